//! What apt says, as the operator should read it. apt up to 2.x has signatures checked by gpgv, from 3.0 on by sqv.

use crate::error::{Error, Kind, Result};
use crate::host::Output;
use crate::net::redact;
use crate::packages::lock::Lock;
use crate::packages::trouble::{Marks, Trouble, ended_at_index};

/// The lock that apt, or dpkg under it, did not get.
pub fn lock_in(text: &str) -> Option<Lock> {
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("E: Could not get lock ") {
            if rest.contains("(13: ") || rest.contains("(30: ") {
                return None; // No right, or a file system that is read-only: waiting will not help.
            }
            let file = rest.split(' ').next().unwrap_or_default();
            let (pid, name) = rest.split_once("held by process ").map_or((None, None), |(_, by)| holder(by));
            return Some(Lock { what: file.trim_end_matches('.').to_owned(), pid, name });
        }
        // dpkg: `was locked by another process with pid 7`; from 1.22 on `was locked by /usr/bin/apt-get process with pid 7`.
        if let Some((by, pid)) =
            line.split_once(" was locked by ").and_then(|(_, by)| by.split_once(" process with pid "))
        {
            let name = by.rsplit('/').next().filter(|name| *name != "another").map(str::to_owned);
            return Some(Lock { what: "/var/lib/dpkg/lock".into(), pid: holder(pid).0, name });
        }
    }
    None
}

/// `123 (unattended-upgr)` or `123`.
fn holder(text: &str) -> (Option<u32>, Option<String>) {
    let (pid, name) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let name = name.trim().trim_matches(['(', ')']);
    (pid.parse().ok(), (!name.is_empty()).then(|| name.to_owned()))
}

/// Whether an `update` got the whole index. apt up to 2.1 ends with 0 where a download failed, and says it in a warning.
pub fn index(output: &Output, url: &str) -> Result<()> {
    let (out, err) = (output.stdout_text(), output.stderr_text());
    if output.success() && complaint(&err).is_none() {
        return Ok(());
    }
    let url = redact(url);
    if let Some(error) = ended_at_index(output, &url) {
        return Err(error);
    }
    Err(repository(&format!("{err}\n{out}"), &format!("the repository {url}"))
        .unwrap_or_else(|| {
            let what = format!("the index of the repository {url} could not be read");
            Error::new(Kind::Repository, what)
        })
        .detail(essence(output)))
}

/// What an `update` of all of the host's sources could not do, for a note: others than ours may be broken.
pub fn update(output: &Output) -> Option<String> {
    let err = output.stderr_text();
    let complaint = complaint(&err);
    let failed = complaint.is_some() || !output.success();
    failed.then(|| format!("not all sources of this host could be read: {}", complaint.unwrap_or(&output.ending())))
}

/// The first line that says that an index is missing.
fn complaint(err: &str) -> Option<&str> {
    let says =
        |l: &&str| l.starts_with("E: ") || l.contains("Failed to fetch") || l.contains("Some index files failed");
    err.lines().find(says)
}

/// The command, how it ended, and what apt complains about, without the checksums that it lists.
pub fn essence(output: &Output) -> String {
    let mut text = format!("{}: {}", output.command_line(), output.ending());
    let (out, err) = (output.stdout_text(), output.stderr_text());
    let mut after_error = false;
    let complaints = out.lines().chain(err.lines()).filter(|line| {
        let starts = |marks: &[&str]| marks.iter().any(|m| line.starts_with(m));
        // The line after `Err:` has the cause.
        let wanted = after_error || starts(&["E: ", "W: ", "Err:"]);
        after_error = starts(&["Err:"]);
        wanted
    });
    for line in complaints.take(30) {
        text.push_str("\n  ");
        text.push_str(line.trim());
    }
    text
}

/// What apt, gpgv and sqv say of each cause.
const MARKS: Marks = &[
    (Trouble::ExpiredKey, &["EXPKEYSIG", "KEYEXPIRED", "Expired on", "key is expired", "EXPSIG"]),
    (Trouble::RevokedKey, &["REVKEYSIG", "KEYREVOKED", "is revoked", "revoked:"]),
    (Trouble::ChangedIndex, &["BADSIG", "Bad signature", "bad signature", "manipulated"]),
    (Trouble::Future, &["is not valid yet", "not live until", "Not live until"]),
    (Trouble::TooOld, &["is expired (invalid since"]),
    (Trouble::TooLarge, &["received signal 25"]),
    (Trouble::Checksum, &["Hash Sum mismatch", "unexpected size", "Hashsum mismatch"]),
    (
        Trouble::Certificate,
        &[
            "certificate verif",
            "Certificate verif",
            "certificate is NOT trusted",
            "issuer is unknown",
            "SSL connection",
            "handshake",
        ],
    ),
    (Trouble::NoSuchHost, &["Could not resolve", "Temporary failure resolving", "Name or service not known"]),
    (Trouble::Silent, &["timed out"]),
    (
        Trouble::Unreachable,
        &[
            "Could not connect",
            "Cannot initiate the connection",
            "Connection refused",
            "Connection failed",
            "Unable to connect",
            "No route to host",
            "Network is unreachable",
        ],
    ),
    (Trouble::ProxyPassword, &["407  ", " 407 Proxy"]),
    (Trouble::Denied, &["401  ", "403  "]),
    (Trouble::NotFound, &["404  "]),
    (Trouble::ServerFails, &["500  ", "502  ", "503  ", "504  "]),
    (
        Trouble::UnsignedIndex,
        &[
            "NODATA",
            "is not signed",
            "isn't valid, got",
            "No signature",
            "does not have a Release file",
            "Malformed message",
        ],
    ),
    (
        Trouble::BrokenOff,
        &[
            "Connection reset",
            "connection reset",
            "closed the connection",
            "Error reading from server",
            "Undetermined Error",
            "Bad header line",
            "terminated",
        ],
    ),
];

/// A failure that a repository, or the way to it, is the cause of. `subject` begins the sentence.
pub fn repository(text: &str, subject: &str) -> Option<Error> {
    let key = missing_key(text);
    let trouble = key.as_ref().map(|_| Trouble::UnknownKey).or_else(|| Trouble::told_by(MARKS, text))?;
    Some(trouble.error(subject, key.as_deref()))
}

/// Whether the cause is one that often passes: the server fails, or the connection broke off.
pub fn may_pass(text: &str) -> bool {
    let has = |needles: &[&str]| needles.iter().any(|n| text.contains(n));
    has(&["500  ", "502  ", "503  ", "504  ", "onnection reset", "closed the connection", "Error reading from server"])
        && missing_key(text).is_none()
}

/// The key that gpgv (`NO_PUBKEY` and 16 digits) or sqv (`Missing key` and the fingerprint) did not have.
fn missing_key(text: &str) -> Option<String> {
    ["NO_PUBKEY ", "Missing key "].iter().find_map(|marker| {
        let (_, rest) = text.split_once(marker)?;
        let key: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
        (key.len() >= 16).then_some(key)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn what(text: &str) -> String {
        repository(text, "it").map(|e| e.what).unwrap_or_default()
    }

    #[test]
    fn gpgv_and_sqv_are_both_understood() {
        let gpgv = "W: GPG error: https://apt.datadoghq.com stable InRelease: The following signatures couldn't be verified \
                    because the public key is not available: NO_PUBKEY E6266D4AC0962C7D\n\
                    E: The repository 'https://apt.datadoghq.com stable InRelease' is not signed.";
        let sqv = "W: OpenPGP signature verification failed: https://x stable InRelease: Sub-process /usr/bin/sqv returned an \
                   error code (1), error message is: Missing key D18886567EABAD8B2D2526900D826EB906462314, which is needed to \
                   verify signature.\nE: The repository 'https://x stable InRelease' is not signed.";
        assert_eq!(what(gpgv), "it is signed by a key that is not trusted (E6266D4AC0962C7D)");
        assert!(what(sqv).contains("(D18886567EABAD8B2D2526900D826EB906462314)"));
    }

    #[test]
    fn a_lock_is_told_from_a_lack_of_rights() {
        let new = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 123 (apt-get)\nN: Be aware";
        let lock = lock_in(new).unwrap();
        assert_eq!(lock.what, "/var/lib/dpkg/lock-frontend");
        assert_eq!((lock.pid, lock.name.as_deref()), (Some(123), Some("apt-get")));
        let old = "E: Could not get lock /var/lib/dpkg/lock - open (11: Resource temporarily unavailable)";
        assert_eq!(lock_in(old).unwrap().pid, None);
        let denied = "E: Could not get lock /var/lib/dpkg/lock - open (13: Permission denied)";
        assert_eq!(lock_in(denied), None);
        let dpkg = "dpkg: error: dpkg frontend lock was locked by another process with pid 77";
        let lock = lock_in(dpkg).unwrap();
        assert_eq!((lock.pid, lock.name), (Some(77), None));
        let new = "dpkg: error: dpkg frontend lock was locked by /usr/bin/apt-get process with pid 132\nnote: x";
        let lock = lock_in(new).unwrap();
        assert_eq!((lock.pid, lock.name.as_deref()), (Some(132), Some("apt-get")));
    }
}
