//! What dnf, yum, zypper and rpm say, as the operator should read it.

use crate::error::{Error, Kind, Result};
use crate::host::process::is_installed;
use crate::host::{Host, Output};
use crate::net::redact;
use crate::packages::Session;
use crate::packages::lock::Lock;
use crate::packages::trouble::{Marks, Trouble, ended_at_download, ended_at_index};

/// The lock that dnf, yum (exit code 200) or zypper (7) did not get.
pub fn lock_in(output: &Output) -> Option<Lock> {
    let what = match output.status {
        Some(200) => "dnf",
        Some(7) => "zypper",
        _ => return None,
    };
    Some(Lock { what: what.into(), pid: holder(&all(output)), name: None })
}

/// `metadata already locked by 762`, `… is locked by the application with pid 914 (sleep).`, `PID 762 is: …`
fn holder(text: &str) -> Option<u32> {
    ["locked by ", "with pid ", "with PID "].iter().find_map(|mark| {
        let (_, rest) = text.split_once(mark)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

fn all(output: &Output) -> String {
    format!("{}\n{}", output.stdout_text(), output.stderr_text())
}

/// Whether the index was read.
pub fn index(host: &Host, output: &Output, url: &str) -> Result<()> {
    if output.success() {
        return Ok(());
    }
    let url = redact(url);
    if let Some(error) = ended_at_index(output, &url) {
        return Err(error);
    }
    let text = all(output);
    // SIGXFSZ, or what is said of it where it is ignored.
    if output.signal == Some(25) || text.contains("File too large") || text.contains("Curl error (23)") {
        return Err(Trouble::TooLarge.error(&format!("the repository {url}"), None).detail(output.explain()));
    }
    let error = disk(&text, "reading the index")
        .or_else(|| no_gpg(host, &text))
        .or_else(|| repository(&text, &format!("the repository {url}")))
        .unwrap_or_else(|| {
            Error::new(Kind::Repository, format!("the index of the repository {url} could not be read"))
        });
    Err(error.detail(output.explain()))
}

pub fn download(session: Session, output: &Output) -> Error {
    let text = all(output);
    if let Some(error) = ended_at_download(output, session.access) {
        return error;
    }
    let has = |needles: &[&str]| needles.iter().any(|n| text.contains(n));
    let error = if let Some(error) = disk(&text, "the download") {
        error
    } else if has(&["nothing provides", "Problem:", "conflicting requests", "Requires:"]) {
        let what = "the packages cannot be installed: something that they depend on is missing, or another package excludes them";
        Error::new(Kind::PackageManager, what)
            .hint("see what is said above; a missing repository of the distribution is the usual cause")
    } else if let Some(error) = repository(&text, "a repository") {
        error
    } else if has(&["No match for argument", "Unable to find a match", "No package ", "not found in package names"]) {
        Error::new(Kind::Repository, "the repository does not have the version any more that it had a moment ago")
            .hint(
                "a mirror was put back to an older state, or somebody replays an old index: use one that is up to date",
            )
            .absent()
    } else {
        Error::new(Kind::PackageManager, "the packages could not be downloaded")
    };
    error.detail(output.explain())
}

pub fn transaction(output: &Output, subject: &str) -> Error {
    let text = all(output);
    let error = disk(&text, subject).unwrap_or_else(|| {
        let scriptlet = text.lines().find(|line| line.contains("scriptlet failed"));
        let cause = scriptlet.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        Error::new(Kind::PackageManager, format!("{subject} failed{cause}"))
            .hint("see what is said above, mend it, then run again")
    });
    error.detail(output.explain())
}

fn disk(text: &str, subject: &str) -> Option<Error> {
    let marks = [
        "No space left",
        "more space needed on",
        "needs at least",
        "Insufficient space",
        "not enough space",
        "No free space",
    ];
    marks.iter().any(|mark| text.contains(mark)).then(|| {
        Error::new(Kind::Prerequisite, format!("{subject} failed: the disk is full")).hint("make room, then run again")
    })
}

/// dnf and zypper have gpg check the index. Without it the first says something of an engine, the second that it does not
/// know the key.
fn no_gpg(host: &Host, text: &str) -> Option<Error> {
    let marks = ["Invalid crypto engine", "signed with an unknown key ''"];
    let missing = !is_installed(host, "gpg") && !is_installed(host, "gpg2");
    (missing && marks.iter().any(|mark| text.contains(mark))).then(|| {
        Error::new(Kind::Prerequisite, "the signature of the index cannot be checked: there is no gpg on this host")
            .hint("install the package gnupg2 (gpg2 on SUSE), then run again")
    })
}

/// What dnf, yum and zypper say of each cause.
const MARKS: Marks = &[
    (Trouble::ExpiredKey, &["has expired", "Key expired", "KEYEXPIRED", "EXPKEYSIG", "EXPSIG"]),
    (Trouble::ChangedIndex, &["was modified after it has been signed"]),
    (
        Trouble::BadSignature,
        &["Bad GPG signature", "repomd.xml signature could not be verified", "Signing key not found"],
    ),
    (Trouble::UnsignedIndex, &["is unsigned", "GPG signature is not available", "repomd.xml.asc", "repomd.xml.key"]),
    (Trouble::ChangedPackage, &["Signature does not verify"]),
    (
        Trouble::UnsignedPackage,
        &[
            "GPG check FAILED",
            "is not signed",
            "Package header is not signed",
            "Signature verification failed",
            "Public key for",
            "The GPG keys listed for",
            "does not match for package",
            "not correct for this package",
            "public key is not available",
        ],
    ),
    (
        Trouble::Checksum,
        &[
            "checksum doesn't match",
            "wrong checksum",
            "incorrect checksum",
            "Digest verification failed",
            "does not match checksum",
            "does not match intended download",
            "SHA256 digest: BAD",
        ],
    ),
    (Trouble::Certificate, &["SSL", "certificate", "Curl error (60)", "Curl error (35)", "Curl error (77)"]),
    (Trouble::NoSuchHost, &["Could not resolve", "Couldn't resolve", "Curl error (6)", "Name or service not known"]),
    (
        Trouble::Silent,
        &["Operation too slow", "Timeout was reached", "Curl error (28)", "timed out", "Timeout exceeded"],
    ),
    (
        Trouble::Unreachable,
        &[
            "Couldn't connect",
            "Could not connect",
            "Failed to connect",
            "Curl error (7)",
            "Connection refused",
            "No route to host",
            "Network is unreachable",
            "Connection failed",
        ],
    ),
    (Trouble::ProxyPassword, &["response 407", "Status code: 407", "Error 407", "code: 407"]),
    (
        Trouble::Denied,
        &[
            "Status code: 401",
            "Status code: 403",
            "Error 401",
            "Error 403",
            "Permission to access",
            "Authentication required",
        ],
    ),
    (Trouble::NotFound, &["Status code: 404", "Error 404", "type can't be determined", "not found on medium"]),
    (Trouble::ServerFails, &["Status code: 5", "Error 500", "Error 502", "Error 503", "Error 504"]),
    (
        Trouble::NoIndex,
        &[
            "repomd.xml parser error",
            "Error parsing",
            "not well-formed",
            "Document is empty",
            "Parse error",
            "Valid metadata not found",
            "Cannot download repomd.xml",
        ],
    ),
    (
        Trouble::BrokenOff,
        &["Curl error", "Connection reset", "Empty reply", "transfer closed", "All mirrors were tried"],
    ),
];

/// A failure that a repository, or the way to it, is the cause of. `subject` begins the sentence.
pub fn repository(text: &str, subject: &str) -> Option<Error> {
    let key = unknown_key(text);
    let trouble = key.as_ref().map(|_| Trouble::UnknownKey).or_else(|| Trouble::told_by(MARKS, text))?;
    Some(trouble.error(subject, key.as_deref()))
}

/// `… is signed with an unknown key '37474D387F80360A'`
fn unknown_key(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("signed with an unknown key '")?;
    let key: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (key.len() >= 8).then_some(key)
}

/// `214.1 KiB`, `120 M`, `36 k` in bytes; 0 for what is no size.
pub fn bytes(text: &str) -> u64 {
    let text = text.trim();
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit.chars().next() {
        Some('k' | 'K') => 1024.0,
        Some('M') => 1024.0 * 1024.0,
        Some('G') => 1024.0 * 1024.0 * 1024.0,
        _ => 1.0,
    };
    let bytes = number.parse::<f64>().unwrap_or(0.0) * factor;
    // A number from outside: what does not fit is cut by the conversion.
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> String {
        repository(text, "it").map(|e| e.what).unwrap_or_default()
    }

    #[test]
    fn dnf_and_zypper_are_both_understood() {
        for (text, says) in [
            (
                "Warning: File 'repomd.xml' from repository 'Datadog' is signed with an unknown key '37474D387F80360A'.",
                "(37474D387F80360A)",
            ),
            ("File 'repomd.xml' from repository 'Datadog' is unsigned, continue? [yes/no] (no): no", "is not signed"),
            (
                "Warning: This file was modified after it has been signed.\nSignature verification failed for repomd.xml",
                "was changed",
            ),
            ("Warning: Digest verification failed for file 'primary.xml.gz'", "checksum"),
            (
                "Error: Failed to download metadata for repo 'datadog': repomd.xml GPG signature verification error: Bad GPG signature",
                "not trusted, or",
            ),
            (
                "Error: GPG verification is enabled, but GPG signature is not available. Status code: 404 for https://x/repodata/repomd.xml.asc",
                "is not signed",
            ),
            (
                "  - Downloading successful, but checksum doesn't match. Calculated: 36(sha256)  Expected: 0b(sha256)",
                "checksum",
            ),
            ("  - Status code: 404 for https://x/repodata/repomd.xml (IP: 127.0.0.1)", "404"),
            (
                "  - Curl error (7): Couldn't connect to server for https://x/ [Failed to connect to x]",
                "could not be reached",
            ),
            ("  - Curl error (28): Timeout was reached for https://x/ [Operation too slow.]", "in time"),
            ("  - Curl error (60): SSL peer certificate or SSH remote key was not OK for https://x/", "certificate"),
            ("Error: GPG check FAILED", "a package that is not signed"),
        ] {
            assert!(what(text).contains(says), "{text}: {}", what(text));
        }
        assert_eq!(what("nothing of this kind"), "");
    }

    #[test]
    fn the_holder_of_a_lock_is_found() {
        assert_eq!(holder("metadata already locked by 762\n  The application with PID 762 is: sleep"), Some(762));
        assert_eq!(holder("System management is locked by the application with pid 914 (sleep)."), Some(914));
        assert_eq!(holder("Existing lock /var/run/yum.pid: another copy is running as pid 5."), None);
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes(" 214.1 KiB"), 219_238);
        assert_eq!(bytes("120 M"), 120 * 1024 * 1024);
        assert_eq!(bytes("a lot"), 0);
    }
}
