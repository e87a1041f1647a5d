use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A version of the Agent or of the proxy: `7.58.2`, or `7.59.0~rc.5` for a pre-release.
/// A package version (`1:7.58.2-1`) parses too; its epoch and its revision are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    /// The text after `~` or `-` of a pre-release, such as `rc.5`.
    pub pre: Option<String>,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version { major, minor, patch, pre: None }
    }
}

impl Version {
    /// Whether it is no pre-release. A suffix after `+` names a build.
    pub fn is_release(&self) -> bool {
        self.pre.as_ref().is_none_or(|pre| pre.starts_with('+'))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a version such as 7.58.2");
        let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (numbers, tail) = rest.split_at(end);
        let mut parts = numbers.split('.').map(|n| n.parse::<u32>().map_err(|_| bad()));
        let major = parts.next().ok_or_else(bad)??;
        let minor = parts.next().ok_or_else(bad)??;
        let patch = parts.next().unwrap_or(Ok(0))?;
        if parts.next().is_some() {
            return Err(bad());
        }
        // A revision is digits after `-`; what stands before it, after `~` or `-`, is a pre-release.
        let tail = match tail.rsplit_once('-') {
            Some((before, revision)) if revision.bytes().all(|c| c.is_ascii_digit()) => before,
            _ => tail,
        };
        let pre = tail.trim_start_matches(['~', '-']);
        if !pre.bytes().all(|c| c.is_ascii_alphanumeric() || b".+~-".contains(&c)) {
            return Err(bad());
        }
        Ok(Version { major, minor, patch, pre: (!pre.is_empty()).then(|| pre.to_owned()) })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |v: &Self| (v.major, v.minor, v.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.pre.as_ref().map_or(Ok(()), |pre| write!(f, "~{pre}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_versions_parse() {
        let v = |t: &str| t.parse::<Version>().unwrap();
        assert_eq!(v("1:7.58.2-1"), Version::new(7, 58, 2));
        assert_eq!(v("7.41.0"), Version::new(7, 41, 0));
        assert_eq!(v("1:7.35.0~rc.5-1").to_string(), "7.35.0~rc.5");
        assert!(v("7.35.0~rc.5") < v("7.35.0"));
        assert!(v("7.9.0") < v("7.41.0"));
        assert!("seven".parse::<Version>().is_err());
        assert!("7.1.1;id".parse::<Version>().is_err());
    }
}
