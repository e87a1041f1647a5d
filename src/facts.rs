//! What kind of host this is: distribution, release, architecture, kernel, init, privileges.
//! Reads, never writes, and guesses nothing.

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::host::system::{self, Lockdown};
use crate::host::{Host, units, users};

/// A family of distributions that share a package manager and a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Debian,
    /// Red Hat Enterprise Linux and its kin: dnf or yum.
    RedHat,
    /// SUSE Linux Enterprise and openSUSE: zypper.
    Suse,
    /// None that this program can serve.
    Other,
}

/// What `/etc/os-release` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// `debian`, `ubuntu`, …
    pub id: String,
    /// `12`, `22.04`; empty on rolling releases.
    pub version: String,
    pub name: String,
    pub family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// systemd is process 1.
    Systemd,
    /// Another init, or none: a container or an image build.
    None,
}

#[derive(Debug, Clone)]
pub struct Facts {
    pub distribution: Distribution,
    /// As the kernel names it: `x86_64`, `aarch64`, …
    pub architecture: String,
    /// As `uname -r` prints it.
    pub kernel: String,
    pub init: Init,
    pub root: bool,
    /// Whether the kernel is in FIPS mode; None where it does not say.
    pub kernel_fips: Option<bool>,
    /// The kernel's lockdown mode; None where it does not say.
    pub lockdown: Option<Lockdown>,
}

impl Facts {
    /// Looks at the host. A malformed os-release is an error (exit 3), never a guess.
    pub fn gather(host: &Host) -> Result<Facts> {
        Ok(Facts {
            distribution: distribution(host)?,
            architecture: system::machine().to_owned(),
            kernel: system::kernel_release().unwrap_or_default(),
            init: if units::systemd_is_pid1(host) { Init::Systemd } else { Init::None },
            root: users::effective_is_root(),
            kernel_fips: system::kernel_fips(host).unwrap_or(None),
            lockdown: system::lockdown(host).unwrap_or(None),
        })
    }
}

fn distribution(host: &Host) -> Result<Distribution> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        // /etc/os-release is a link on most distributions, in a folder that only root writes.
        if let Some(stored) = host.read(path)? {
            return parse(&stored.bytes).map_err(|why| {
                Error::new(Kind::Unsupported, format!("{path}: {why}"))
                    .hint("repair the file; it names the distribution that packages are chosen for")
            });
        }
    }
    Err(Error::new(Kind::Unsupported, "neither /etc/os-release nor /usr/lib/os-release is there")
        .hint("ddinstall supports Debian and Ubuntu, which have this file"))
}

/// Reads an os-release file.
pub fn parse(bytes: &[u8]) -> std::result::Result<Distribution, String> {
    if bytes.len() > 64 * 1024 {
        return Err("is larger than 64 KiB".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not text".to_owned())?;
    for (i, line) in text.lines().enumerate() {
        let Some((_, value)) = line.split_once('=') else { continue };
        // The parser slices a lone quote character out of bounds, so what is unbalanced stops here.
        let value = value.trim();
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
        if quote.is_some_and(|q| value.len() < 2 || !value.ends_with(q)) {
            return Err(format!("line {} has an unbalanced quote", i + 1));
        }
    }
    let parsed: os_release::OsRelease = text.lines().map(str::to_owned).collect();
    let id = parsed.id.to_ascii_lowercase();
    if id.is_empty() {
        return Err("has no ID".into());
    }
    let like = parsed.id_like.to_ascii_lowercase();
    let is = |name: &str| id == name || like.split_whitespace().any(|word| word == name);
    let family = if is("debian") || is("ubuntu") {
        Family::Debian
    } else if ["rhel", "fedora", "centos"].into_iter().any(is) {
        Family::RedHat
    } else if ["suse", "sles"].into_iter().any(is) {
        Family::Suse
    } else {
        Family::Other
    };
    let name = [parsed.pretty_name, parsed.name].into_iter().find(|n| !n.is_empty()).unwrap_or_else(|| id.clone());
    Ok(Distribution { id, version: parsed.version_id, name, family })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_derivatives_are_one_family() {
        let d = parse(b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n").unwrap();
        assert_eq!((d.id.as_str(), d.version.as_str(), d.family), ("debian", "12", Family::Debian));
        assert_eq!(parse(b"ID=linuxmint\nID_LIKE='ubuntu debian'\n").unwrap().family, Family::Debian);
        assert_eq!(parse(b"ID=alpine\nVERSION_ID=3.20\n").unwrap().family, Family::Other);
    }

    #[test]
    fn a_malformed_file_is_an_error_and_no_panic() {
        for bad in [
            &b"ID='\n"[..],
            b"ID=\"\n",
            b"ID=\"debian\nVERSION_ID=12\n",
            b"",
            b"\xff\xfe",
            b"NAME=x\n",
            &[b'a'; 70_000],
        ] {
            assert!(parse(bad).is_err(), "{:?}", bad.get(..20));
        }
    }
}
