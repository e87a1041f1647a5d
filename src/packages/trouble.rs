//! What can be wrong with a repository, or with the way to it: one sentence and one piece of advice for each cause,
//! whatever package manager noticed it. The package managers' own words are in their rooms.

use crate::error::{Error, Kind};
use crate::host::{Output, Stop};

use super::Access;

/// A cause that is the repository's, or that of the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    UnknownKey,
    ExpiredKey,
    RevokedKey,
    ChangedIndex,
    /// A signature that does not hold, and it was not told why.
    BadSignature,
    UnsignedIndex,
    UnsignedPackage,
    ChangedPackage,
    Future,
    TooOld,
    TooLarge,
    Checksum,
    Certificate,
    NoSuchHost,
    Silent,
    Unreachable,
    ProxyPassword,
    Denied,
    NotFound,
    ServerFails,
    NoIndex,
    BrokenOff,
}

/// Words of a package manager, each list with its cause. The first that fits counts.
pub type Marks = &'static [(Trouble, &'static [&'static str])];

/// The failure of a package manager that was ended while it read the index; None: it ended by itself.
pub fn ended_at_index(output: &Output, url: &str) -> Option<Error> {
    output.stopped.as_ref()?;
    let kind = if output.timed_out() { Kind::Repository } else { Kind::Interrupted };
    let what = format!("the index of {url} could not be read: {}", output.ending());
    Some(Error::new(kind, what).hint("the server, or the way to it, is too slow; try again later or name a mirror"))
}

/// The failure of a download that was ended; None: it ended by itself.
pub fn ended_at_download(output: &Output, access: &Access) -> Option<Error> {
    let stopped = output.stopped?;
    let what = if stopped == Stop::Deadline {
        format!("the download was not finished within {} s", access.deadline.as_secs())
    } else {
        format!("the download was given up: nothing arrived for {} s", access.stall.as_secs())
    };
    let hint =
        "run again: what has arrived is kept; a nearer mirror may help, or --download-limit and --download-stall";
    Some(Error::new(Kind::Repository, what).detail(output.explain()).hint(hint))
}

impl Trouble {
    /// The cause that a package manager's words tell.
    pub fn told_by(marks: Marks, text: &str) -> Option<Trouble> {
        let (trouble, _) = marks.iter().find(|(_, marks)| marks.iter().any(|mark| text.contains(mark)))?;
        Some(*trouble)
    }

    /// The failure, with exit code 5. `subject` begins the sentence; `key` is the one that is not known.
    pub fn error(self, subject: &str, key: Option<&str>) -> Error {
        let (what, hint) = self.words();
        let key = key.map(|key| format!(" ({key})")).unwrap_or_default();
        Error::new(Kind::Repository, format!("{subject} {what}{key}")).hint(hint)
    }

    fn words(self) -> (&'static str, &'static str) {
        const MIDDLE: &str = "do not use this mirror; if a proxy stands between, see what it changes";
        const CLOCK: &str = "check the clock of this host";
        const WALL: &str = "is a firewall in the way, or a proxy needed?";
        match self {
            Trouble::UnknownKey => (
                "is signed by a key that is not trusted",
                "if this is your own mirror, compare the key's fingerprint with the one its owner gives you, then name it in \
                 DD_REPO_KEY_FINGERPRINTS",
            ),
            Trouble::ExpiredKey => (
                "is signed by a key that has expired",
                "check the clock of this host; if it is right, the repository must be signed anew",
            ),
            Trouble::RevokedKey => {
                ("is signed by a key that was revoked", "do not use this repository until its owner has signed it anew")
            }
            Trouble::ChangedIndex => {
                ("has a signature that does not match: it was changed after it was signed", MIDDLE)
            }
            Trouble::BadSignature => (
                "has a signature that does not hold: by a key that is not trusted, or the index was changed after it was signed",
                "if this is your own mirror, name the fingerprint of its key in DD_REPO_KEY_FINGERPRINTS; otherwise do not use it",
            ),
            Trouble::UnsignedIndex => (
                "is not signed, or what it serves is no index",
                "have the mirror sign its index, or copy the vendor's signature with it; a proxy or a login page may also \
                 answer in its place",
            ),
            Trouble::UnsignedPackage => (
                "has a package that is not signed by a trusted key",
                "do not use this repository; if it is your own mirror, name the fingerprint of its key in \
                 DD_REPO_KEY_FINGERPRINTS",
            ),
            Trouble::ChangedPackage => ("has a package that was changed after it was signed", MIDDLE),
            Trouble::Future => ("is signed in the future", CLOCK),
            Trouble::TooOld => (
                "has an index that is too old to be believed",
                "check the clock of this host; if it is right, the mirror has not been updated, or someone replays an old index",
            ),
            Trouble::TooLarge => ("sends more than an index can be", MIDDLE),
            Trouble::Checksum => (
                "has files that are not the signed ones (checksum mismatch)",
                "a mirror in the middle of an update mends itself in a few minutes; otherwise it was tampered with: do not use it",
            ),
            Trouble::Certificate => (
                "could not be reached over TLS: its certificate was not accepted",
                "is the package ca-certificates installed, and the clock right? A private authority is named with --ca-file, or \
                 added to the system's trust store",
            ),
            Trouble::NoSuchHost => (
                "could not be reached: its host name cannot be resolved",
                "check the name, and this host's DNS and proxy settings",
            ),
            Trouble::Silent => {
                ("does not answer in time", "is a firewall in the way, or a proxy needed? Otherwise try again later")
            }
            Trouble::Unreachable => ("could not be reached", WALL),
            Trouble::ProxyPassword => (
                "could not be reached: the HTTP proxy wants a user name and a password",
                "give the proxy's URL with them, in HTTPS_PROXY or DD_REPO_PROXY",
            ),
            Trouble::Denied => ("refuses access", "check the user name and the password in its address"),
            Trouble::NotFound => (
                "does not have what it should at this URL (404)",
                "check the URL: with apt also suite and component; with dnf and zypper it is the folder above `repodata`",
            ),
            Trouble::ServerFails => ("has a server that fails at present", "try again later"),
            Trouble::NoIndex => {
                ("serves something that is no index", "check the URL: a proxy or a login page may answer in its place")
            }
            Trouble::BrokenOff => {
                ("breaks the connection off", "try again later; if it stays so, see what stands between")
            }
        }
    }
}
