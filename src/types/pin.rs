use std::fmt;

use super::Version;

/// A version that the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// The newest release of a minor version: 7.20.
    Minor { major: u32, minor: u32 },
    /// This release or pre-release: 7.20.2, 7.35.0~rc.5.
    Exact(Version),
}

impl Pin {
    /// Reads `DD_AGENT_MINOR_VERSION` as the official script documents it: `20`, `20.0`, `35.0~rc.5`.
    pub fn agent(major: u32, minor: &str) -> Result<Pin, String> {
        let bad = |_| format!("`{}` is not a minor version such as 58, 58.2 or 58.0~rc.3", minor.escape_debug());
        if !minor.is_empty() && minor.bytes().all(|c| c.is_ascii_digit()) {
            let minor = minor.parse().map_err(|_| bad(String::new()))?;
            return Ok(Pin::Minor { major, minor });
        }
        // Version knows 7.58~rc.3 and 1:7.58.2, too; the script does not.
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        match minor.split_once('.') {
            Some((before, patch)) if before.bytes().all(|c| c.is_ascii_digit()) && digits(patch) => {
                let version = format!("{major}.{minor}").parse().map_err(bad)?;
                Ok(Pin::Exact(version))
            }
            _ => Err(bad(String::new())),
        }
    }

    /// A whole version: `7.58.2`, or `1.1` for the newest 1.1 of the proxy. An epoch and a revision are ignored.
    pub fn version(text: &str) -> Result<Pin, String> {
        match text.split_once('.') {
            Some((major, minor)) if major.bytes().all(|c| c.is_ascii_digit()) => {
                let major = major.parse().map_err(|_| format!("`{major}` is not a version number"))?;
                Pin::agent(major, minor)
            }
            _ => Ok(Pin::Exact(text.parse()?)),
        }
    }

    /// The newest version that it can mean, as far as its numbers say.
    pub fn newest(&self) -> Version {
        match self {
            Pin::Minor { major, minor } => Version::new(*major, *minor, u32::MAX),
            Pin::Exact(version) => version.clone(),
        }
    }

    /// Whether a version fulfils the wish.
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Pin::Minor { major, minor } => version.is_release() && (version.major, version.minor) == (*major, *minor),
            Pin::Exact(wanted) => wanted == version,
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Minor { major, minor } => write!(f, "{major}.{minor}"),
            Pin::Exact(version) => version.fmt(f),
        }
    }
}
