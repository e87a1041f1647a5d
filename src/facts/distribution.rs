//! Which distribution this is: from os-release, or from the files that were there before it.
//! What is malformed is an error, and what does not say where it comes from is unknown, never guessed.

use serde::Serialize;

use super::older;
use super::parents::{self, Origin, family_of};
use crate::types::Release;

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

/// What a host says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// `debian`, `linuxmint`, …
    pub id: String,
    /// `12`, `21.3`; empty on rolling releases.
    pub version: String,
    pub name: String,
    pub family: Family,
    /// The release that packages are chosen for: its own, or the one that it is built on. None: it cannot be told.
    pub base: Option<Release>,
    /// `ID_LIKE`
    #[serde(skip)]
    pub like: String,
    /// `VARIANT_ID`
    #[serde(skip)]
    pub variant: String,
    /// The operator said which release it is to be taken for.
    #[serde(skip)]
    pub assumed: bool,
}

/// The largest release file that is read, in bytes.
pub const LIMIT: usize = 64 * 1024;

impl Distribution {
    /// A distribution by its release alone, as the older release files tell it.
    pub(super) fn of(release: &Release, name: String, like: &str) -> Distribution {
        let origin = Origin { id: &release.id, like, version: &release.version, ..Origin::default() };
        Distribution {
            base: origin.release(),
            family: origin.family(),
            id: release.id.clone(),
            version: release.version.clone(),
            name,
            like: like.to_owned(),
            variant: String::new(),
            assumed: false,
        }
    }

    /// The same host, taken for a release that the operator names.
    pub fn taken_for(self, release: &Release) -> Result<Distribution, String> {
        let Some(id) = parents::known(&release.id) else {
            let id = release.id.escape_debug();
            return Err(format!("`{id}` is no distribution that packages are built for"));
        };
        let base = Release::new(id, &release.version);
        Ok(Distribution { family: family_of(id), base: Some(base), assumed: true, ..self })
    }

    /// The name of the package manager's command; None where none is known here.
    pub fn package_manager(&self) -> Option<&'static str> {
        let before = |first: u32| {
            let numbers = self.base.as_ref().and_then(Release::numbers);
            numbers.is_some_and(|(major, _)| major < first)
        };
        let id = self.base.as_ref().map_or("", |base| base.id.as_str());
        match self.family {
            Family::Debian => Some("apt"),
            Family::Suse => Some("zypper"),
            Family::Other => None,
            Family::RedHat if before(first_with_dnf(id)) => Some("yum"),
            Family::RedHat => Some("dnf"),
        }
    }

    /// `Linux Mint 21.3 (ID=linuxmint, VERSION_ID=21.3, ID_LIKE=ubuntu debian)`
    pub fn described(&self) -> String {
        let mut said = vec![format!("ID={}", self.id)];
        for (key, value) in [("VERSION_ID", &self.version), ("ID_LIKE", &self.like), ("VARIANT_ID", &self.variant)] {
            if !value.is_empty() {
                said.push(format!("{key}={value}"));
            }
        }
        format!("{} ({})", self.name, said.join(", "))
    }

    /// Its name, and the release that it is built on where that is another one: `Linux Mint 21.3 (ubuntu 22.04)`.
    pub fn short(&self) -> String {
        match &self.base {
            Some(base) if base.id != self.id || base.version != self.version => {
                format!("{} ({})", self.name, format!("{} {}", base.id, base.version).trim_end())
            }
            _ => self.name.clone(),
        }
    }
}

/// The major release that brought dnf.
fn first_with_dnf(id: &str) -> u32 {
    match id {
        "fedora" => 22,
        "amzn" => 2022,
        _ => 8,
    }
}

/// Reads a release file; its name tells which kind it is. The error says what is wrong with it.
pub fn parse_file(name: &str, bytes: &[u8]) -> Result<Distribution, String> {
    let text = text(bytes)?;
    match older::FILES.iter().map(|path| path.trim_start_matches("/etc/")).find(|older| name.ends_with(older)) {
        // `ID=` makes it an os-release, whatever its name.
        Some(older) if !text.lines().any(|line| line.starts_with("ID=")) => {
            older::parse(older, text).ok_or_else(|| "names no distribution that is known".to_owned())
        }
        _ => parse_text(text),
    }
}

/// Reads an os-release file.
pub fn parse(bytes: &[u8]) -> Result<Distribution, String> {
    parse_text(text(bytes)?)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > LIMIT {
        return Err("is larger than 64 KiB".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not text".to_owned())?;
    match text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) {
        true => Err("holds control characters".into()),
        false => Ok(text),
    }
}

fn parse_text(text: &str) -> Result<Distribution, String> {
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
    if !id.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)) {
        return Err(format!("ID is not one word: {}", id.escape_debug()));
    }
    let extra = |key: &str| {
        let value = parsed.extra.get(key).map_or("", |value| value.trim());
        value.trim_matches(['"', '\'']).to_ascii_lowercase()
    };
    let (like, codename) = (parsed.id_like.to_ascii_lowercase(), parsed.version_codename.to_ascii_lowercase());
    let (ubuntu, debian, platform) = (extra("UBUNTU_CODENAME"), extra("DEBIAN_CODENAME"), extra("PLATFORM_ID"));
    let origin = Origin {
        id: &id,
        like: &like,
        version: &parsed.version_id,
        codename: &codename,
        ubuntu: &ubuntu,
        debian: &debian,
        platform: &platform,
    };
    let (family, base) = (origin.family(), origin.release());
    let name = [parsed.pretty_name, parsed.name].into_iter().find(|n| !n.is_empty()).unwrap_or_else(|| id.clone());
    let version = match (&base, parsed.version_id.is_empty()) {
        // The codename says it where the number is missing.
        (Some(base), true) if base.id == id => base.version.clone(),
        _ => parsed.version_id,
    };
    Ok(Distribution { id, version, name, family, base, like, variant: extra("VARIANT_ID"), assumed: false })
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
            b"ID=\"\xc3\xa9'\n",
            b"",
            b"\xff\xfe",
            b"NAME=x\n",
            b"ID=a b\n",
            b"ID=debian\x1b[31m\n",
            b"UBUNTU_CODENAME='\nID=x\n",
            &[b'a'; 70_000],
        ] {
            assert!(parse(bad).is_err(), "{:?}", bad.get(..20));
        }
    }

    #[test]
    fn every_short_text_of_the_parsers_own_signs_is_read_or_refused() {
        let signs = ["ID", "=", "\"", "'", "\n", " ", "debian", "\r", "é", "VERSION_ID", "PLATFORM_ID"];
        for n in 0..signs.len().pow(4) {
            let text: String = (0..4).map(|place| signs[n / signs.len().pow(place) % signs.len()]).collect();
            let _ = parse(text.as_bytes());
            let _ = parse_file("redhat-release", text.as_bytes());
            let _ = parse_file("lsb-release", text.as_bytes());
        }
    }

    #[test]
    fn another_release_may_be_assumed() {
        let unknown = parse(b"ID=corp\nID_LIKE=debian\nPRETTY_NAME='Corp 4'\n").unwrap();
        assert_eq!((unknown.family, unknown.base.clone()), (Family::Debian, None));
        let d = unknown.clone().taken_for(&Release::new("debian", "12")).unwrap();
        assert_eq!((d.id.as_str(), d.base.clone().unwrap().to_string().as_str()), ("corp", "debian:12"));
        assert!(d.assumed && d.short() == "Corp 4 (debian 12)", "{}", d.short());
        assert!(unknown.taken_for(&Release::new("haiku", "1")).is_err());
    }
}
