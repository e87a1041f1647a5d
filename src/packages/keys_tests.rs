#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

// Made by gpg; the private halves are gone.
const PLAIN: &str = include_str!("../../tests/keys/plain.asc");
const THIRD_PARTY: &str = include_str!("../../tests/keys/third_party.asc");
const EXPIRED: &str = include_str!("../../tests/keys/expired.asc");
const EXTENDED: &str = include_str!("../../tests/keys/extended.asc");
const UNREVOKED: &str = include_str!("../../tests/keys/before_revocation.asc");
const REVOKED: &str = include_str!("../../tests/keys/revoked.asc");
const STRANGER: &str = include_str!("../../tests/keys/stranger.asc");
const WEAK: &str = include_str!("../../tests/keys/weak.asc");

const APT_LAB: Fingerprint = Fingerprint::pinned("6A9EEF9BB9DD3BCFC331502B3F96391660DD611D");
const OLD: Fingerprint = Fingerprint::pinned("F08535D778DA3CD4FE5080DDDFE67745383D7098");
const LEAKED: Fingerprint = Fingerprint::pinned("749E4B0BFFBFF4A6187E4CE9415504F81142247F");
const WEAK_ONE: Fingerprint = Fingerprint::pinned("B80B57D3B641B5208C546DE59EC37509B7843DE7");
const TRUSTED: [Fingerprint; 4] = [APT_LAB, OLD, LEAKED, WEAK_ONE];

/// 2025-01-01
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_735_689_600)
}

/// One key file: binary, or any number of armored blocks.
fn read(source: &str, data: &[u8], trusted: &[Fingerprint], now: SystemTime) -> Result<KeyFile> {
    Ok(sort(certificates(source, data)?, trusted, now))
}

fn file(data: &str) -> KeyFile {
    read("key.asc", data.as_bytes(), &TRUSTED, now()).unwrap()
}

fn usable(data: &str) -> Vec<Fingerprint> {
    file(data).usable.iter().map(|key| key.0.fingerprint).collect()
}

fn files(list: &[(&str, &str)]) -> Vec<(String, Result<Vec<u8>>)> {
    let owned = |(name, data): &(&str, &str)| ((*name).to_owned(), Ok(data.as_bytes().to_vec()));
    list.iter().map(owned).collect()
}

#[test]
fn a_trusted_key_is_usable() {
    let file = file(PLAIN);
    assert_eq!(file.left_out, []);
    assert_eq!(file.usable[0].0.fingerprint, APT_LAB);
}

#[test]
fn a_third_partys_certification_neither_breaks_nor_stays() {
    let plain = keyring(Family::Apt, &file(PLAIN).usable);
    assert_eq!(keyring(Family::Apt, &file(THIRD_PARTY).usable), plain);
}

#[test]
fn every_one_of_several_armored_blocks_is_read() {
    let both = format!("Keys of the lab\n\n{PLAIN}\nand\n{EXTENDED}");
    assert_eq!(usable(&both), [APT_LAB, OLD]);
}

#[test]
fn windows_line_ends_are_read() {
    assert_eq!(usable(&PLAIN.replace('\n', "\r\n")), [APT_LAB]);
}

#[test]
fn an_expired_key_is_left_out_with_its_day() {
    let file = file(EXPIRED);
    assert!(file.usable.is_empty());
    assert_eq!(file.left_out[0].1.to_string(), "it expired on 2022-01-01");
    let earlier = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let then = read("key.asc", EXPIRED.as_bytes(), &TRUSTED, earlier).unwrap();
    assert_eq!(then.usable[0].0.fingerprint, OLD);
}

#[test]
fn the_newest_self_signature_says_when_a_key_expires() {
    for both in [format!("{EXPIRED}{EXTENDED}"), format!("{EXTENDED}{EXPIRED}")] {
        assert_eq!(usable(&both), [OLD]);
    }
}

#[test]
fn a_revocation_in_any_copy_counts() {
    assert_eq!(usable(UNREVOKED), [LEAKED]);
    let file = file(&format!("{REVOKED}{UNREVOKED}"));
    assert!(file.usable.is_empty());
    assert_eq!(file.left_out[0].1.to_string(), "its owner revoked it (it leaked)");
}

#[test]
fn a_revocation_that_the_key_did_not_sign_is_ignored() {
    let key = openpgp::parse(UNREVOKED.as_bytes()).unwrap().remove(0);
    let revoked = openpgp::parse(REVOKED.as_bytes()).unwrap().remove(0);
    let mut other = openpgp::parse(PLAIN.as_bytes()).unwrap().remove(0);
    other.graft(&revoked);
    assert!(other.check(now()).is_ok());
    assert!(key.check(now()).is_ok());
}

#[test]
fn a_key_of_tomorrow_is_left_out() {
    let past = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = read("key.asc", PLAIN.as_bytes(), &TRUSTED, past).unwrap();
    assert!(matches!(file.left_out[0].1, Reason::Future(_)));
}

#[test]
fn a_stranger_is_left_out() {
    let file = file(&format!("{STRANGER}{PLAIN}"));
    assert_eq!(file.usable.len(), 1);
    assert_eq!(file.left_out, [("93478D92913006168C691596D720E220C2FE0661".into(), Reason::Untrusted)]);
}

#[test]
fn a_strangers_subkey_and_user_do_not_enter_the_keyring() {
    let mut key = openpgp::parse(STRANGER.as_bytes()).unwrap().remove(0);
    let plain = openpgp::parse(PLAIN.as_bytes()).unwrap().remove(0);
    let clean = key.check(now()).unwrap().bytes;
    key.graft(&plain);
    assert_eq!(key.check(now()).unwrap().bytes, clean);
}

#[test]
fn a_forged_self_signature_proves_nothing() {
    let mut key = openpgp::parse(PLAIN.as_bytes()).unwrap().remove(0);
    key.flip_signatures();
    assert_eq!(key.check(now()).unwrap_err(), Invalid::NoSelfSignature);
}

#[test]
fn weak_keys_are_noted() {
    let fetched = choose(files(&[("weak.asc", WEAK)]), &TRUSTED, now()).unwrap();
    assert!(fetched.notes.iter().any(|n| n.contains("SHA-1")));
    assert!(fetched.notes.iter().any(|n| n.contains("1024 bits")));
}

#[test]
fn the_keyring_is_binary_sorted_and_without_doubles() {
    let keys = file(&format!("{EXTENDED}{PLAIN}{PLAIN}")).usable;
    let ring = keyring(Family::Apt, &keys);
    let reversed: Vec<Key> = keys.iter().rev().cloned().chain(keys.clone()).collect();
    assert_eq!(keyring(Family::Apt, &reversed), ring);
    assert_eq!(fingerprints_in(&ring, now()), [(APT_LAB, true), (OLD, true)]);
    assert_eq!(read("ring", &ring, &TRUSTED, now()).unwrap().usable.len(), 2);
    assert_eq!(fingerprints_in(REVOKED.as_bytes(), now()), [(LEAKED, false)]);
    assert!(fingerprints_in(b"", now()).is_empty());
    assert!(fingerprints_in(b"\xffnonsense", now()).is_empty());
}

#[test]
fn what_is_no_key_is_named() {
    let what = |data: &[u8]| read("URL", data, &TRUSTED, now()).unwrap_err().what;
    assert_eq!(what(b"<!DOCTYPE html>\n<html>"), "URL is not an OpenPGP key (it begins with `<!DOCTYPE html>`)");
    assert_eq!(what(b" \n"), "URL is not an OpenPGP key (it is empty)");
    assert!(what(b"\x1b[31mred").contains("`[31mred`"));
    assert!(what(&PLAIN.as_bytes()[..600]).contains("cut short"));
    let binary = keyring(Family::Apt, &file(PLAIN).usable);
    assert!(what(&binary[..200]).contains("cut short"));
    assert!(what(&PLAIN.replace("mQ", "?!").into_bytes()).contains("damaged"));
    assert!(what(b"\x8c\x00").contains("not a public key"));
}

#[test]
fn a_missing_file_is_a_note_where_another_gives_a_key() {
    let mut list = files(&[("a", PLAIN), ("b", EXPIRED), ("c", "<html>")]);
    let missing = Error::new(Kind::Repository, "cannot download d: 404");
    list.push(("d".into(), Err(missing)));
    let fetched = choose(list, &TRUSTED, now()).unwrap();
    assert_eq!(fetched.keys.len(), 1);
    assert_eq!(fetched.notes.len(), 3, "{:?}", fetched.notes);
}

#[test]
fn without_a_trusted_key_the_error_says_what_was_seen() {
    let error = choose(files(&[("mirror.asc", STRANGER)]), &TRUSTED, now()).unwrap_err();
    assert_eq!(error.kind, Kind::Repository);
    assert!(error.detail.iter().any(|d| d.contains("mirror.asc holds 93478D")));
    assert!(error.hint.unwrap().contains("DD_REPO_KEY_FINGERPRINTS=93478D92913006168C691596D720E220C2FE0661"));
    let error = choose(files(&[("old.asc", EXPIRED)]), &TRUSTED, now()).unwrap_err();
    assert!(error.detail[0].contains("expired on 2022"));
    let error = choose(files(&[("a", "<html>"), ("b", "<html>")]), &TRUSTED, now()).unwrap_err();
    assert!(error.what.contains("begins with `<html>`"));
}

#[test]
fn the_vendors_file_names_end_in_their_fingerprints() {
    for family in [Family::Apt, Family::Rpm] {
        assert_eq!(family.files().len(), 5);
        for key in family.pinned() {
            let id = &key.fingerprint.to_string()[32..];
            assert!(key.file.contains(id), "{}", key.file);
        }
    }
    let urls = urls("https://mirror.example/keys/", Family::Apt);
    assert_eq!(urls[0], "https://mirror.example/keys/DATADOG_APT_KEY_CURRENT.public");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_keys_never_panic(at in 0usize..1200, byte: u8, cut in 0usize..1300) {
        let mut ring = keyring(Family::Apt, &file(PLAIN).usable);
        let at = at % ring.len();
        ring[at] = byte;
        ring.truncate(cut);
        let _ = read("key", &ring, &TRUSTED, now());
        fingerprints_in(&ring, now());
        let mut armor = PLAIN.as_bytes().to_vec();
        armor[at] = byte;
        armor.truncate(cut * 2);
        let _ = read("key", &armor, &TRUSTED, now());
    }
}
