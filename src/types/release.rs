use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release of a distribution, written `debian:12`. A rolling one has no version: `debian`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// As `ID=` of os-release names the distribution.
    pub id: String,
    /// As `VERSION_ID=` does: `12`, `22.04`; empty on a rolling release.
    pub version: String,
}

impl Release {
    pub fn new(id: impl Into<String>, version: impl Into<String>) -> Self {
        Release { id: id.into(), version: version.into() }
    }

    /// The two leading numbers of the version; one alone counts as `.0`. None on a rolling release.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        Some((major, parts.next().and_then(|n| n.parse().ok()).unwrap_or(0)))
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, version) = text.split_once([':', '=']).unwrap_or((text, ""));
        let id = id.to_ascii_lowercase();
        let word = !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
        let number = version.bytes().all(|c| c.is_ascii_digit() || c == b'.')
            && (version.is_empty() || version.starts_with(|c: char| c.is_ascii_digit()));
        if !word || !number {
            return Err(format!("`{}` is not a release such as debian:12", text.escape_debug()));
        }
        Ok(Release { id, version: version.to_owned() })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, ":{}", self.version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_a_word_and_a_number() {
        let release = |text: &str| text.parse::<Release>().unwrap();
        assert_eq!(release("debian:12"), Release::new("debian", "12"));
        assert_eq!(release("ubuntu:22.04").numbers(), Some((22, 4)));
        assert_eq!(release("Debian").numbers(), None);
        assert_eq!(release("opensuse-tumbleweed").to_string(), "opensuse-tumbleweed");
        for bad in ["", ":12", "debian:twelve", "debian:12;id", "a b:1", "debian:.1", "\u{e4}:1"] {
            assert!(bad.parse::<Release>().is_err(), "{bad}");
        }
    }
}
