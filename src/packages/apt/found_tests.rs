#![allow(clippy::unwrap_used)]

use super::*;

const KEYRING: &str = "/usr/share/keyrings/datadog-archive-keyring.gpg";
const OURS: &str =
    "deb [signed-by=/usr/share/keyrings/datadog-archive-keyring.gpg] https://apt.datadoghq.com/ stable 7\n";
/// The key in tests/keys that may sign, and another.
const TRUSTED: &str = include_str!("../../../tests/keys/plain.asc");

/// A host with these files.
fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let host = Host::new(folder.path()).unwrap();
    (folder, host)
}

fn trusted() -> Vec<Fingerprint> {
    keys::fingerprints_in(TRUSTED.as_bytes(), SystemTime::now())
        .into_iter()
        .map(|(fingerprint, _)| fingerprint)
        .collect()
}

fn look(files: &[(&str, &str)]) -> Result<Found> {
    let (_folder, host) = host(files);
    adopt(&host, Repository::vendor("amd64"), &trusted())
}

fn list(name: &str) -> String {
    format!("{PARTS}/{name}")
}

#[test]
fn both_formats_are_read() {
    let line = "deb [arch=amd64,arm64 signed-by=/k.gpg trusted=yes] https://apt.datadoghq.com stable 7 # ours\n";
    let entry = one_line(line, 3).unwrap();
    assert_eq!(entry.architectures, ["amd64", "arm64"]);
    assert_eq!((entry.keyring(), entry.loose.as_slice()), (Some(Path::new("/k.gpg")), &["trusted=yes".to_owned()][..]));
    assert!(entry.enabled && entry.is_of(&Repository::vendor("amd64")) && entry.gives(&Repository::vendor("amd64")));
    assert!(!entry.gives(&Repository::vendor("s390x")));
    assert!(!one_line("# deb https://apt.datadoghq.com/ stable 7", 1).unwrap().enabled);
    assert_eq!(one_line("# the deb of Datadog", 1), None);
    assert_eq!(one_line("deb [trusted=no] cdrom:[x]/ bookworm main", 1).unwrap().loose.len(), 0);

    let text = "# Written by hand\n\nTypes: deb deb-src\nURIs: http://u:p@APT.datadoghq.com/\nSuites: stable\n\
                Components: 6 7\nEnabled: no\nSigned-By:\n -----BEGIN\n .\n abc\n# between\nTrusted: yes\n\n\
                Types: deb\nURIs: https://other/\nSuites: ./\n";
    let entries = stanzas(text);
    assert_eq!((entries.len(), entries[0].line, entries[1].line), (2, 3, 15));
    let first = &entries[0];
    assert!(!first.enabled && first.is_of(&Repository::vendor("amd64")) && first.is_vendors());
    assert_eq!(first.signed_by.as_deref(), Some("-----BEGIN\n.\nabc"));
    assert_eq!((first.keyring(), first.loose.len()), (None, 1));
    assert!(entries[1].enabled && !entries[1].is_vendors());
}

#[test]
fn no_entry_makes_a_panic() {
    let signs = ["deb", " ", "[", "]", "=", "#", "\n", ":", "Types", "trusted", "https://x/", "\u{e9}"];
    for n in 0..signs.len().pow(4) {
        let text: String = (0..4).map(|place| signs[n / signs.len().pow(place) % signs.len()]).collect();
        let _ = parse(Path::new("a.list"), &text);
        let _ = parse(Path::new("a.sources"), &text);
    }
}

#[test]
fn without_another_entry_ours_is_written() {
    for files in [
        &[][..],
        &[("/etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n")],
        // apt reads neither.
        &[("/etc/apt/sources.list.d/datadog.list.save", OURS), ("/etc/apt/sources.list.d/a b.list", OURS)],
    ] {
        let found = look(files).unwrap();
        assert_eq!(found.notes, Vec::<String>::new());
        assert_eq!(found.repository.list_text().unwrap(), OURS);
    }
}

#[test]
fn an_entry_with_the_same_keyring_is_used_as_it_is() {
    let (by_tool, stanza) = (list("ansible_datadog_7.list"), list("datadog.sources"));
    let text =
        format!("Types: deb\nURIs: https://apt.datadoghq.com\nSuites: stable\nComponents: 7\nSigned-By: {KEYRING}\n");
    for (file, text) in [(&by_tool, OURS), (&stanza, &text)] {
        let found = look(&[(file, text)]).unwrap();
        assert_eq!(found.repository.list, Path::new(file.as_str()));
        assert_eq!(found.repository.list_text().unwrap(), *text);
        assert!(!found.repository.keyring_stays && found.notes[0].contains(file.as_str()), "{:?}", found.notes);
    }
    // Twice already: ours stays, and the other one is named.
    let found = look(&[(&by_tool, OURS), (&list("datadog.list"), OURS)]).unwrap();
    assert!(found.repository.list.ends_with("datadog.list") && found.notes[0].contains("remove one of the two"));
}

#[test]
fn an_entry_with_another_keyring_is_used_if_its_keys_are_trusted() {
    let entry = |keyring: &str| format!("deb [signed-by={keyring}] https://apt.datadoghq.com/ stable 7\n");
    let file = list("corp.list");
    let text = entry("/etc/apt/keyrings/corp.asc");
    let found = look(&[(&file, &text), ("/etc/apt/keyrings/corp.asc", TRUSTED)]).unwrap();
    assert_eq!(found.repository.keyring, Path::new("/etc/apt/keyrings/corp.asc"));
    assert!(found.repository.keyring_stays);

    let (_folder, host) = host(&[(&file, &text), ("/etc/apt/keyrings/corp.asc", TRUSTED)]);
    let error = adopt(&host, Repository::vendor("amd64"), &[]).unwrap_err();
    assert!(error.kind == Kind::Prerequisite && error.what.contains("another key"), "{error}");

    let inline = TRUSTED.lines().map(|line| if line.is_empty() { " .\n".into() } else { format!(" {line}\n") });
    let inline: String = inline.collect();
    let stanza =
        format!("Types: deb\nURIs: https://apt.datadoghq.com/\nSuites: stable\nComponents: 7\nSigned-By:\n{inline}");
    assert!(look(&[(&list("corp.sources"), &stanza)]).is_ok());
    assert!(look(&[(&file, &entry(&trusted()[0].to_string()))]).is_ok());
    assert!(look(&[(&file, &entry("/nowhere.gpg"))]).unwrap_err().what.contains("no usable key"));
}

#[test]
fn what_apt_would_not_check_or_not_take_is_refused() {
    let file = list("other.list");
    for (text, why) in [
        ("deb https://apt.datadoghq.com/ stable 7", "without Signed-By"),
        ("deb [trusted=yes] https://apt.datadoghq.com/ stable 7", "trusted=yes"),
        ("deb [allow-insecure=yes] https://apt.datadoghq.com/ stable 7", "allow-insecure=yes"),
        ("deb [check-valid-until=no] https://apt.datadoghq.com/ stable 7", "check-valid-until=no"),
        ("deb [signed-by=/other.asc] https://apt.datadoghq.com/ stable 6", "other components"),
    ] {
        let error = look(&[(&file, text), ("/other.asc", TRUSTED)]).unwrap_err();
        assert_eq!(error.kind, Kind::Prerequisite, "{text}");
        assert!(error.what.contains(why) && error.what.contains(&file) && error.hint.is_some(), "{error}");
    }
    // Beside ours apt takes no second keyring, trusted or not.
    let text = "deb [signed-by=/other.asc] https://apt.datadoghq.com/ stable 7";
    assert!(look(&[(&file, text), ("/other.asc", TRUSTED), (&list("datadog.list"), OURS)]).is_err());
}

#[test]
fn what_is_disabled_or_another_repository_is_named_and_stays() {
    let disabled =
        "Enabled: no\nTypes: deb\nURIs: https://apt.datadoghq.com/\nSuites: stable\nComponents: 7\nTrusted: yes\n";
    for (name, text, says) in [
        ("datadog.sources", disabled, "disabled"),
        ("old.list", "# deb https://apt.datadoghq.com/ stable 7\n", "disabled"),
        ("beta.list", "deb https://apt.datadoghq.com/ beta 7\n", "another repository"),
    ] {
        let found = look(&[(&list(name), text)]).unwrap();
        assert!(found.notes.len() == 1 && found.notes[0].contains(says), "{:?}", found.notes);
        assert_eq!(found.repository.list_text().unwrap(), OURS);
    }
    // Another component beside ours, with our keyring: no doubling.
    let found = look(&[(&list("six.list"), &OURS.replace(" 7", " 6"))]).unwrap();
    assert_eq!(found.repository.list_text().unwrap(), OURS);
}

#[test]
fn in_our_own_file_comments_stay_and_the_entry_is_one() {
    let before = "# By the operations team\ndeb [trusted=yes] https://apt.datadoghq.com/ stable 6\n\ndeb http://mirror/ stable 7";
    let found = look(&[(&list("datadog.list"), before)]).unwrap();
    assert_eq!(found.repository.list_text().unwrap(), format!("# By the operations team\n{OURS}\n"));
    assert!(found.notes[0].contains("trusted=yes"), "{:?}", found.notes);
    assert!(found.notes[1].contains("line 4: the entry `http://mirror/ stable 7` is replaced"), "{:?}", found.notes);
    assert_eq!(found.notes.len(), 2);
    let wider = OURS.replace(" 7", " 6 7");
    for (before, replaced) in [(OURS, 0), (&*wider, 1), ("# deb http://mirror/ stable 7\n", 0)] {
        let found = look(&[(&list("datadog.list"), before)]).unwrap();
        assert_eq!(found.notes.iter().filter(|note| note.contains("is replaced")).count(), replaced, "{before}");
    }
    // What is not written is not said: another file serves the repository.
    let found = look(&[(&list("a.list"), OURS), (&list("datadog.list"), "deb http://mirror/ stable 7\n")]).unwrap();
    assert!(found.repository.list.ends_with("a.list") && found.notes.len() == 1, "{:?}", found.notes);
    assert_eq!(merged(OURS, OURS), OURS);
    assert_eq!(merged("# deb x y z", "deb a b c\n"), "# deb x y z\ndeb a b c\n");
}
