//! The signing keys of the repositories: which fingerprints are trusted, which keys are usable now, and the keyring
//! that is made of them. A key is trusted by its fingerprint alone, whatever its file is called.

use std::fmt;
use std::time::SystemTime;

use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::net;
use crate::packages::openpgp::{self, Certificate, Invalid, Valid};
use crate::types::Fingerprint;

/// A key of the vendor, pinned: from the vendor's Chef cookbook (recipes/repository.rb), Ansible role
/// (defaults/main.yml), Puppet module, and the data-security page of its documentation.
#[derive(Debug, Clone, Copy)]
pub struct Pinned {
    pub file: &'static str,
    pub fingerprint: Fingerprint,
}

const fn pin(file: &'static str, fingerprint: &str) -> Pinned {
    Pinned { file, fingerprint: Fingerprint::pinned(fingerprint) }
}

/// The keys of one kind of repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Apt,
    /// yum, dnf and zypper.
    Rpm,
}

impl Family {
    /// The file that holds the key in use, whichever that is.
    pub fn current_file(self) -> &'static str {
        match self {
            Family::Apt => "DATADOG_APT_KEY_CURRENT.public",
            Family::Rpm => "DATADOG_RPM_KEY_CURRENT.public",
        }
    }

    pub fn pinned(self) -> &'static [Pinned] {
        match self {
            Family::Apt => &APT,
            Family::Rpm => &RPM,
        }
    }

    /// The names of all key files, that of the key in use first.
    pub fn files(self) -> Vec<&'static str> {
        let pinned = self.pinned().iter().map(|p| p.file);
        std::iter::once(self.current_file()).chain(pinned).collect()
    }

    pub fn fingerprints(self) -> Vec<Fingerprint> {
        self.pinned().iter().map(|p| p.fingerprint).collect()
    }
}

const APT: [Pinned; 4] = [
    // The next one, expires in 2033.
    pin("DATADOG_APT_KEY_06462314.public", "D18886567EABAD8B2D2526900D826EB906462314"),
    // In use since 2024, expires in 2028.
    pin("DATADOG_APT_KEY_C0962C7D.public", "5F1E256061D813B125E156E8E6266D4AC0962C7D"),
    // The previous one, expires in 2032.
    pin("DATADOG_APT_KEY_F14F620E.public", "D75CEA17048B9ACBF186794B32637D44F14F620E"),
    // Expired in 2022.
    pin("DATADOG_APT_KEY_382E94DE.public", "A2923DFF56EDA6E76E55E492D3A80E30382E94DE"),
];

const RPM: [Pinned; 4] = [
    // Active from April 2028, expires in 2033.
    pin("DATADOG_RPM_KEY_4F09D16B.public", "2416A37757B1BB0268B3634B52AFC5994F09D16B"),
    // In use, expires in 2028.
    pin("DATADOG_RPM_KEY_B01082D3.public", "7408BFD56BC5BF0C361AAAE85D88EEA3B01082D3"),
    // Retired in 2024.
    pin("DATADOG_RPM_KEY_FD4BF915.public", "C6559B690CA882F023BDF3F63F4D1729FD4BF915"),
    // Retired in 2022.
    pin("DATADOG_RPM_KEY_E09422B3.public", "A4C0B90D7443CF6E4E8AA341F1068E14E09422B3"),
];

/// A trusted key that may sign now.
#[derive(Debug, Clone)]
pub struct Key(Valid);

/// Why a key is not in the keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    Untrusted,
    Expired(SystemTime),
    /// With the reason that its owner gave.
    Revoked(String),
    /// Made after now.
    Future(SystemTime),
    /// Nothing shows that its owner made it what it claims to be.
    NoSelfSignature,
    /// Not a version 4 key.
    Version,
}

/// What a key file, or several, turned out to hold.
#[derive(Debug, Clone, Default)]
pub struct KeyFile {
    pub usable: Vec<Key>,
    /// The fingerprint, of whatever length, and why it was left out.
    pub left_out: Vec<(String, Reason)>,
}

/// The keys to put into a keyring, and what the operator may want to know about the others.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub keys: Vec<Key>,
    pub notes: Vec<String>,
    /// As in [`KeyFile`].
    pub left_out: Vec<(String, Reason)>,
}

impl Fetched {
    /// Why a signature did not count: it is of a key that was left out.
    pub fn explain(&self, error: Error) -> Error {
        let of = |(fingerprint, _): &&(String, Reason)| {
            fingerprint.len() >= 16 && error.what.contains(&fingerprint[fingerprint.len() - 16..])
        };
        match self.left_out.iter().find(of) {
            Some((_, Reason::Untrusted)) | None => error,
            Some((fingerprint, reason)) => {
                let what = format!("{}: key {fingerprint} is left out, for {reason}", error.what);
                Error { what, ..error }.hint(RENEW)
            }
        }
    }
}

const RENEW: &str = "the keys of this repository must be renewed by whoever signs it";

/// The URLs of the family's key files under `base`.
pub fn urls(base: &str, family: Family) -> Vec<String> {
    let base = base.trim_end_matches('/');
    let files = family.files();
    files.iter().map(|file| format!("{base}/{file}")).collect()
}

/// Downloads all key files side by side, and keeps what is trusted and usable. A file that is missing is a note, as
/// long as another gives a usable key.
pub fn fetch(
    client: &net::Client,
    urls: &[String],
    trusted: &[Fingerprint],
    now: SystemTime,
    events: &Events,
) -> Result<Fetched> {
    events.progress("download signing keys", None);
    let answers = client.get_all(urls, net::SMALL);
    let named = urls.iter().map(|url| net::redact(url));
    choose(named.zip(answers).collect(), trusted, now)
}

/// Chooses among key files that were read or downloaded, each with its name. Copies of one key are put together, so
/// that a revocation in any of them counts.
pub fn choose(files: Vec<(String, Result<Vec<u8>>)>, trusted: &[Fingerprint], now: SystemTime) -> Result<Fetched> {
    let mut notes = Vec::new();
    let mut failures = Vec::new();
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for (name, data) in files {
        match data.and_then(|data| certificates(&name, &data)) {
            Ok(certificates) => {
                let held: Vec<_> = certificates.iter().map(Certificate::name).collect();
                seen.push(format!("{name} holds {}", held.join(", ")));
                all.extend(certificates);
            }
            Err(error) => failures.push(error),
        }
    }
    let KeyFile { usable, left_out } = sort(all, trusted, now);
    if usable.is_empty() {
        return Err(none_usable(failures, seen, &left_out));
    }
    for error in failures {
        notes.push(format!("one signing key file is left out: {error}"));
    }
    for (fingerprint, reason) in &left_out {
        notes.push(format!("signing key {fingerprint} is left out: {reason}"));
    }
    for key in &usable {
        for note in &key.0.notes {
            notes.push(format!("signing key {}: {note}", key.0.fingerprint));
        }
    }
    Ok(Fetched { keys: usable, notes, left_out })
}

/// A keyring of these keys, in the form that the family reads: binary for apt, one armored block a key for rpm. Each key
/// once, in the order of their fingerprints, so that equal keys give equal bytes.
pub fn keyring(family: Family, keys: &[Key]) -> Vec<u8> {
    let mut keys: Vec<&Valid> = keys.iter().map(|key| &key.0).collect();
    keys.sort_by_key(|key| key.fingerprint);
    keys.dedup_by_key(|key| key.fingerprint);
    let bytes = keys.iter().map(|key| match family {
        Family::Apt => key.bytes.clone(),
        Family::Rpm => openpgp::armored(&key.bytes).unwrap_or_default(),
    });
    bytes.flatten().collect()
}

/// The keys of a keyring, each with the time at which it was made, in seconds since 1970.
pub fn made(keyring: &[u8]) -> Vec<(Fingerprint, u64)> {
    let keys = merged(openpgp::parse(keyring).unwrap_or_default());
    keys.iter().filter_map(|key| Some((key.fingerprint()?, key.created()))).collect()
}

/// The keys of a keyring that is in place, and whether each could be used now. Empty for anything that is no keyring.
pub fn fingerprints_in(keyring: &[u8], now: SystemTime) -> Vec<(Fingerprint, bool)> {
    let keys = merged(openpgp::parse(keyring).unwrap_or_default());
    keys.iter().filter_map(|key| Some((key.fingerprint()?, key.check(now).is_ok()))).collect()
}

fn certificates(source: &str, data: &[u8]) -> Result<Vec<Certificate>> {
    openpgp::parse(data).map_err(|what| {
        Error::new(Kind::Repository, format!("{source} {what}"))
            .hint("open that address in a browser: a proxy, a login page or a wrong URL may answer in its place")
    })
}

fn merged(certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut keys: Vec<Certificate> = Vec::new();
    for certificate in certificates {
        match keys.iter_mut().find(|key| key.name() == certificate.name()) {
            Some(key) => key.merge(certificate),
            None => keys.push(certificate),
        }
    }
    keys
}

fn sort(certificates: Vec<Certificate>, trusted: &[Fingerprint], now: SystemTime) -> KeyFile {
    let mut file = KeyFile::default();
    for key in merged(certificates) {
        // No cryptography with the keys of strangers.
        if key.fingerprint().is_some_and(|f| !trusted.contains(&f)) {
            file.left_out.push((key.name(), Reason::Untrusted));
            continue;
        }
        let reason = match key.check(now) {
            Ok(valid) => {
                file.usable.push(Key(valid));
                continue;
            }
            Err(Invalid::Expired(at)) => Reason::Expired(at),
            Err(Invalid::Revoked(why)) => Reason::Revoked(why),
            Err(Invalid::Future(at)) => Reason::Future(at),
            Err(Invalid::NoSelfSignature) => Reason::NoSelfSignature,
            Err(Invalid::Version) => Reason::Version,
        };
        file.left_out.push((key.name(), reason));
    }
    file
}

fn none_usable(mut failures: Vec<Error>, seen: Vec<String>, left_out: &[(String, Reason)]) -> Error {
    if seen.is_empty() {
        // The same cause for every file, mostly: the first error says it, with its own hint and exit code.
        let Some(mut first) = (!failures.is_empty()).then(|| failures.remove(0)) else {
            return Error::new(Kind::Repository, "no signing key file was named");
        };
        for other in failures {
            first = first.detail(other.what);
        }
        return match first.hint {
            Some(_) => first,
            None => first.hint("check the address of the keys; TESTING_KEYS_URL names that of a mirror"),
        };
    }
    let untrusted = left_out.iter().filter(|(_, r)| *r == Reason::Untrusted);
    let untrusted: Vec<_> = untrusted.map(|(f, _)| f.as_str()).collect();
    let what = if untrusted.len() == left_out.len() {
        "none of the signing keys that were found is trusted"
    } else {
        "none of the signing keys that were found can be used"
    };
    let mut error = Error::new(Kind::Repository, what);
    for (fingerprint, reason) in left_out {
        error = error.detail(format!("key {fingerprint}: {reason}"));
    }
    for line in seen {
        error = error.detail(line);
    }
    for failure in failures {
        error = error.detail(failure.what);
    }
    let in_future = left_out.iter().any(|(_, r)| matches!(r, Reason::Future(_)));
    if in_future {
        error.hint("check the clock of this host")
    } else if untrusted.is_empty() {
        error.hint(RENEW)
    } else {
        error.hint(format!(
            "if this is your own mirror, compare the fingerprint with the one its owner gives you, then name it: \
             DD_REPO_KEY_FINGERPRINTS={}",
            untrusted.join(",")
        ))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |t: &SystemTime| humantime::format_rfc3339_seconds(*t).to_string()[..10].to_owned();
        match self {
            Reason::Untrusted => f.write_str("its fingerprint is not among the trusted ones"),
            Reason::Expired(at) => write!(f, "it expired on {}", day(at)),
            Reason::Revoked(why) if why.is_empty() => f.write_str("its owner revoked it"),
            Reason::Revoked(why) => write!(f, "its owner revoked it ({why})"),
            Reason::Future(at) => write!(f, "it was made on {}, which is yet to come", day(at)),
            Reason::NoSelfSignature => f.write_str("it has no valid self-signature"),
            Reason::Version => f.write_str("it is not a version 4 key"),
        }
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
