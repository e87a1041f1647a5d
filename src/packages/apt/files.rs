//! Package files that the operator has: what is in them, and whether their signature can be checked.

use std::path::Path;

use super::index::{self, field};
use crate::error::{Error, Kind, Result};
use crate::host::Command;
use crate::host::process::is_installed;
use crate::packages::{LocalPackage, Session};

/// Reads a `.deb`. Its embedded signature is checked where debsig-verify is installed and has a policy for it, which
/// comes with the vendor's package datadog-signing-keys; dpkg and apt check none.
pub fn read_file(session: Session, path: &Path) -> Result<LocalPackage> {
    let host = session.host;
    let output = Command::new("dpkg-deb").arg("-f").arg(path).run(host)?;
    let text = output.stdout_text();
    let (Some(name), Some(version)) = (field(&text, "Package"), field(&text, "Version")) else {
        return Err(Error::new(Kind::Usage, format!("{} is no Debian package", path.display()))
            .detail(output.explain())
            .hint("name files that end in .deb, such as datadog-agent_7.78.1-1_amd64.deb"));
    };
    let own = Command::new("dpkg").arg("--print-architecture").run(host)?.stdout_text();
    let architecture = field(&text, "Architecture").unwrap_or_default();
    if ![own.trim(), "all"].contains(&architecture) {
        let what = format!("{} is for {architecture}, and this host is {}", path.display(), own.trim());
        return Err(Error::new(Kind::Usage, what).hint("name the package for this architecture"));
    }
    Ok(LocalPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        installed: index::number(&text, "Installed-Size").saturating_mul(1024),
        unchecked: signature(session, path)?,
    })
}

/// Why the signature could not be checked; None: it was, and is good. A bad one is an error (exit code 5).
fn signature(session: Session, path: &Path) -> Result<Option<String>> {
    if !is_installed(session.host, "debsig-verify") {
        return Ok(Some("dpkg and apt check none, and debsig-verify is not installed".into()));
    }
    let output = Command::new("debsig-verify").arg(path).run(session.host)?;
    session.events.log(output.explain());
    unverified(output.status).map_err(|()| {
        Error::new(Kind::Repository, format!("{} has a signature that does not match", path.display()))
            .detail(output.explain())
            .hint("the file was changed after it was signed: get it anew, from its source")
    })
}

/// What debsig-verify's status means (debsig-verify(1)): 0 good, 10 to 12 cannot say, others bad.
fn unverified(status: Option<i32>) -> std::result::Result<Option<String>, ()> {
    match status {
        Some(0) => Ok(None),
        Some(10) => Ok(Some("it has none".into())),
        Some(11 | 12) => {
            Ok(Some("debsig-verify has no policy for it; the package datadog-signing-keys brings one".into()))
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_signature_counts_as_checked() {
        assert_eq!(unverified(Some(0)), Ok(None));
        for unknown in [10, 11, 12] {
            assert!(matches!(unverified(Some(unknown)), Ok(Some(_))), "{unknown}");
        }
        for bad in [Some(13), Some(14), Some(1), None] {
            assert_eq!(unverified(bad), Err(()), "{bad:?}");
        }
    }
}
