use std::fmt;
use std::str::FromStr;

/// The Datadog site that data is sent to, such as `ddog-gov.com` (a host name without scheme).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(String);

/// The sites that the vendor lists (datadog-cdk-constructs `siteList`, 2026).
pub const KNOWN: [&str; 9] = [
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "uk1.datadoghq.com",
    "ddog-gov.com",
    "us2.ddog-gov.com",
];

impl Site {
    /// US1-FED, the only site that the FIPS proxy sends to.
    pub fn us1_fed() -> Self {
        Site("ddog-gov.com".into())
    }

    pub fn is_us1_fed(&self) -> bool {
        self.0 == "ddog-gov.com"
    }

    /// The sites that the vendor lists.
    pub fn known() -> impl Iterator<Item = &'static str> {
        KNOWN.into_iter()
    }

    /// Whether the vendor lists this site. Another one may be new, or a typing mistake.
    pub fn is_known(&self) -> bool {
        KNOWN.contains(&self.0.as_str())
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
        if text.contains("://") || text.contains('/') {
            return Err("a site is a host name such as ddog-gov.com, without https:// and without a path".into());
        }
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() > 253 || !text.contains('.') || !text.split('.').all(label) {
            return Err("a site is a host name such as ddog-gov.com".into());
        }
        Ok(Site(text))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_or_a_shell_fragment_is_no_site() {
        for bad in
            ["https://ddog-gov.com", "ddog-gov.com/x", "", "localhost", "a b.com", "$(id).com", "-x.com", "a..com"]
        {
            assert!(bad.parse::<Site>().is_err(), "{bad}");
        }
        assert!("DDOG-GOV.com".parse::<Site>().unwrap().is_us1_fed());
        assert!(!"us2.ddog-gov.com".parse::<Site>().unwrap().is_us1_fed());
    }
}
