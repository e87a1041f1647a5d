//! User name and password of a mirror, taken out of its address.

use reqwest::Url;

use super::decoded;
use crate::secret::Secret;

/// What a mirror wants to know (HTTP basic authentication), and the addresses that may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `mirror.example.org`, with a port where the address names one.
    pub host: String,
    /// Addresses below this path are meant; it begins and ends with a slash.
    pub path: String,
    pub login: String,
    pub password: Secret,
}

impl Credentials {
    /// Splits `https://user:password@host/path` into the address and what it gives away; other addresses stay as they
    /// are. Errors (without the password) where it could be read on the way, or could not be kept in a file of words.
    pub fn split(url: &str) -> Result<(String, Option<Credentials>), String> {
        let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or("");
        if !authority.contains('@') {
            return Ok((url.to_owned(), None));
        }
        let mut parsed = Url::parse(url).map_err(|_| "it is not an address".to_owned())?;
        if parsed.scheme() != "https" {
            return Err("a user name and a password are sent over https only".into());
        }
        let (login, password) = (decoded(parsed.username()), decoded(parsed.password().unwrap_or_default()));
        let word = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if !word(&login) || !word(&password) {
            return Err("user name and password must both be there, without blanks and control characters".into());
        }
        let cannot = |()| "it is not an address".to_owned();
        parsed.set_username("").and_then(|()| parsed.set_password(None)).map_err(cannot)?;
        let host = parsed.host_str().unwrap_or_default();
        let host = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = format!("{}/", parsed.path().trim_end_matches('/'));
        let credentials = Credentials { host, path, login, password: Secret::new(password) };
        Ok((parsed.to_string(), Some(credentials)))
    }

    /// Whether an address may be told: the same host and port over https, below the same path.
    pub fn fit(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        url.scheme() == "https" && host == self.host && url.path().starts_with(&self.path)
    }

    /// What must not be shown: the password, as it is and as an address writes it.
    pub fn secrets(&self) -> [Secret; 2] {
        let mut url = Url::parse("https://x/").ok();
        let encoded = url.as_mut().and_then(|url| {
            url.set_password(Some(self.password.reveal())).ok()?;
            url.password().map(str::to_owned)
        });
        [self.password.clone(), Secret::new(encoded.unwrap_or_default())]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_told_from_what_it_gives_away() {
        let (url, found) = Credentials::split("https://ops:p%40ss%2Fword@mirror.example.org:8443/dd/").unwrap();
        assert_eq!(url, "https://mirror.example.org:8443/dd/");
        let found = found.unwrap();
        assert_eq!(
            (found.host.as_str(), found.path.as_str(), found.login.as_str()),
            ("mirror.example.org:8443", "/dd/", "ops")
        );
        assert_eq!(found.password.reveal(), "p@ss/word");
        let fits = |url: &str| found.fit(url);
        assert!(fits("https://mirror.example.org:8443/dd/pool/x.deb"));
        for other in [
            "https://mirror.example.org/dd/x",
            "http://mirror.example.org:8443/dd/x",
            "https://mirror.example.org:8443/else/x",
            "https://evil.example.org:8443/dd/x",
        ] {
            assert!(!fits(other), "{other}");
        }
        assert_eq!(Credentials::split("https://x/a@b").unwrap(), ("https://x/a@b".into(), None));
    }

    #[test]
    fn what_could_be_read_on_the_way_is_refused() {
        for bad in
            ["http://u:hunter2@x/", "https://hunter2@x/", "https://u:hunter2%0amachine@x/", "https://:hunter2@x/"]
        {
            let why = Credentials::split(bad).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
