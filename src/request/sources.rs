//! Where packages and keys come from, and how those places are reached.

use std::time::Duration;

use crate::net::{self, Credentials, Proxies};
use crate::secret::Secret;
use crate::settings::{Values, row};
use crate::types::Fingerprint;

use super::{Inputs, Reader};

/// A file that a setting named, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// How long a run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For another package manager's lock, or another run.
    pub lock: Duration,
    /// The longest silence of a download.
    pub stall: Duration,
    /// The whole download.
    pub download: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits { lock: seconds(120), stall: seconds(60), download: seconds(30 * 60) }
    }
}

/// Where packages and keys come from. Addresses in it hold no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `https://apt.datadoghq.com/`
    pub apt_url: String,
    /// `https://yum.datadoghq.com/`
    pub yum_url: String,
    /// `stable/7`
    pub yum_path: String,
    /// `stable`
    pub suite: String,
    /// `7`
    pub component: String,
    /// `https://keys.datadoghq.com/`
    pub keys_url: String,
    /// Signing keys that the operator has, in place of a download.
    pub key_file: Option<Named>,
    /// Keys that the operator trusts beside the vendor's.
    pub fingerprints: Vec<Fingerprint>,
    /// What mirrors want to know.
    pub credentials: Vec<Credentials>,
    pub proxies: Proxies,
    /// Certificate authorities beside the system's, in PEM.
    pub ca: Option<Named>,
    pub limits: Limits,
    /// Package files that the operator has, in place of a repository.
    pub packages: Vec<String>,
}

impl Sources {
    /// How our own requests are made.
    pub fn client(&self) -> net::Options {
        let usual = net::Limits::default();
        net::Options {
            proxies: self.proxies.clone(),
            credentials: self.credentials.clone(),
            extra_roots: self.ca.as_ref().map(|ca| ca.bytes.clone()),
            limits: net::Limits {
                connect: usual.connect.min(self.limits.stall),
                stall: usual.stall.min(self.limits.stall),
                overall: usual.overall.min(self.limits.download),
                ..usual
            },
        }
    }

    /// Everything in it that must not be shown.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        self.credentials.iter().flat_map(Credentials::secrets).chain(self.proxies.secrets()).collect()
    }
}

impl Reader {
    pub(super) fn sources(&mut self, values: &Values, inputs: &Inputs) -> Sources {
        let domain = values.text("repo_url").unwrap_or("datadoghq.com").to_owned();
        let apt = values.text("apt_url").map_or_else(|| format!("apt.{domain}"), str::to_owned);
        let apt_key = if values.text("apt_url").is_some() { "apt_url" } else { "repo_url" };
        let keys = values.text("keys_url").unwrap_or("keys.datadoghq.com").to_owned();
        let mut credentials = Vec::new();
        let apt_url = self.address(apt_key, &apt, &mut credentials);
        let yum_url = match values.text("yum_url") {
            Some(url) => self.address("yum_url", url, &mut credentials),
            // A domain that is none is told once.
            None if apt_key == "repo_url" && apt_url.is_empty() => String::new(),
            None => self.address("repo_url", &format!("yum.{domain}"), &mut credentials),
        };
        let keys_url = self.address("keys_url", &keys, &mut credentials);
        let channel = format!("{} 7", values.text("agent_dist_channel").unwrap_or("stable"));
        let yum_path = self.yum_path(values, &channel);
        let version = values.text("apt_repo_version").unwrap_or(&channel);
        let word = |w: &&str| w.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-/~+".contains(&c));
        let words: Vec<&str> = version.split_whitespace().collect();
        if words.len() != 2 || !words.iter().all(word) {
            let name = row("apt_repo_version").name();
            self.mistakes.push(format!(
                "{name}: `{}` is not a suite and a component such as `stable 7`",
                version.escape_debug()
            ));
        }
        let mut fingerprints = Vec::new();
        for text in values.list("repo_key_fingerprints").unwrap_or_default() {
            match text.parse() {
                Ok(fingerprint) => fingerprints.push(fingerprint),
                Err(why) => self.mistakes.push(format!("DD_REPO_KEY_FINGERPRINTS: `{}`: {why}", text.escape_debug())),
            }
        }
        let part = |i: usize| words.get(i).copied().unwrap_or_default().to_owned();
        let proxies = Proxies::new(values.text("proxy"), &inputs.variables).unwrap_or_else(|why| {
            let why = if values.text("proxy").is_some() { format!("{}: {why}", row("proxy").name()) } else { why };
            self.mistakes.push(why);
            Proxies::default()
        });
        let ca = self.named(values, "ca_file", inputs);
        if let Some(ca) = ca.as_ref().filter(|ca| !holds_certificate(&ca.bytes)) {
            self.mistakes.push(format!("{}: {} holds no certificate in PEM form", row("ca_file").name(), ca.path));
        }
        Sources {
            apt_url,
            yum_url,
            yum_path,
            suite: part(0),
            component: part(1),
            keys_url,
            key_file: self.named(values, "repo_key_file", inputs),
            fingerprints,
            credentials,
            proxies,
            ca,
            limits: limits(values),
            packages: values.list("package").unwrap_or_default().to_vec(),
        }
    }

    fn yum_path(&mut self, values: &Values, channel: &str) -> String {
        let path = values.text("yum_version_path").map_or_else(|| channel.replace(' ', "/"), str::to_owned);
        let path = path.trim_matches('/').to_owned();
        if path.is_empty() || !path.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-/~+".contains(&c)) {
            let name = row("yum_version_path").name();
            self.mistakes.push(format!("{name}: `{}` is not a path such as `stable/7`", path.escape_debug()));
        }
        path
    }

    fn address(&mut self, key: &str, text: &str, credentials: &mut Vec<Credentials>) -> String {
        let name = row(key).name();
        let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = match Credentials::split(&url) {
            Ok(_) if has_password(&url) && key == "repo_url" => {
                let address = row("apt_url").name();
                self.mistakes.push(format!("{name}: a domain was expected; name the whole address in {address}"));
                return String::new();
            }
            Ok((url, found)) => {
                credentials.extend(found.filter(|found| !credentials.contains(found)));
                url
            }
            Err(why) => {
                self.mistakes.push(format!("{name}: {why}"));
                return String::new();
            }
        };
        base_url(&url).unwrap_or_else(|| {
            self.mistakes.push(format!("{name}: {} is not a host or an address", net::quoted(text)));
            String::new()
        })
    }

    fn named(&mut self, values: &Values, key: &str, inputs: &Inputs) -> Option<Named> {
        let path = values.text(key)?.to_owned();
        let name = row(key).name();
        let read = if path == "-" { Err("standard input is for the API key".into()) } else { (inputs.read)(&path) };
        match read {
            Ok(bytes) => Some(Named { path, bytes }),
            Err(why) => {
                self.mistakes.push(format!("{name}: {path}: {why}"));
                None
            }
        }
    }
}

fn limits(values: &Values) -> Limits {
    let usual = Limits::default();
    let seconds = |key, usual| {
        let given = values.text(key).and_then(|text| text.parse().ok());
        given.map_or(usual, Duration::from_secs)
    };
    Limits {
        lock: seconds("lock_wait", usual.lock),
        stall: seconds("download_stall", usual.stall),
        download: seconds("download_limit", usual.download),
    }
}

fn holds_certificate(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// `https://apt.example.org/path` to an address that ends with a slash.
/// None where it holds what a repository entry would read as more than an address.
fn base_url(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-:/~%+".contains(&c);
    if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(plain) {
        return None;
    }
    Some(format!("{}/", url.trim_end_matches('/')))
}

/// `scheme://user:password@host`, the scheme left out or not.
pub(super) fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or("");
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{InputFile, Request};
    use super::*;
    use crate::error::{Kind, Result};

    const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----\n";

    fn inputs<'a>(variables: &[(&str, &str)]) -> Inputs<'a> {
        let variables = variables.iter().map(|(n, v)| (n.into(), v.into())).collect();
        let read: &dyn Fn(&str) -> std::result::Result<Vec<u8>, String> =
            &|path| if path == "/ca.pem" { Ok(PEM.to_vec()) } else { Err("absent".into()) };
        Inputs { variables, flags: vec![], sets: vec![], file: None, read }
    }

    fn request(variables: &[(&str, &str)]) -> Result<Request> {
        Request::new(inputs(variables))
    }

    #[test]
    fn a_mirror_is_an_address_and_nothing_more() {
        let apt = |url| request(&[("TESTING_APT_URL", url)]).map(|r| r.sources.apt_url);
        assert_eq!(apt("apt.example.org").unwrap(), "https://apt.example.org/");
        assert_eq!(apt("http://mirror:8080/dd").unwrap(), "http://mirror:8080/dd/");
        for bad in ["a b", "https://x [trusted=yes]", "http://user:hunter2@x", "file:///etc", "x\ny", "https://"] {
            let error = apt(bad).unwrap_err();
            assert!(error.kind == Kind::Usage && !error.what.contains("hunter2"), "{bad}: {error}");
        }
        for slash in
            ["https://u:hunter2/more@x/", "u:hunter2/more@x", "https://u:hunter2#more@x/", "https://u:a@b/hunter2@x"]
        {
            let error = apt(slash).unwrap_err();
            let shown = ["hunter2", "more"].iter().any(|part| error.what.contains(part));
            assert!(error.what.contains("%2F") && !shown, "{error}");
        }
        assert_eq!(request(&[("DD_REPO_URL", "example.org")]).unwrap().sources.apt_url, "https://apt.example.org/");
        assert!(!request(&[("DD_REPO_URL", "u:hunter2@example.org")]).unwrap_err().what.contains("hunter2"));
    }

    #[test]
    fn a_password_is_taken_out_of_an_address() {
        let address = "ops:hunter2-and-more@mirror.example.org/dd";
        let r =
            request(&[("TESTING_APT_URL", address), ("TESTING_KEYS_URL", "https://ops:other-words@keys/")]).unwrap();
        assert_eq!(r.sources.apt_url, "https://mirror.example.org/dd/");
        assert_eq!(r.sources.keys_url, "https://keys/");
        assert_eq!(r.sources.credentials.len(), 2);
        assert_eq!(r.sources.credentials[0].path, "/dd/");
        assert!(r.secrets().iter().any(|secret| secret.reveal() == "hunter2-and-more"));
        // Every user can read arguments, and this file.
        let mut argument = inputs(&[]);
        argument.flags = vec![("apt_url", address.into())];
        let mut open = inputs(&[]);
        let bytes = format!("apt_url: {address}\n").into_bytes();
        open.file = Some(InputFile { name: "install.yaml".into(), bytes, mode: 0o644 });
        for inputs in [argument, open] {
            let error = Request::new(inputs).unwrap_err();
            assert!(error.what.contains("every user") && !error.what.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn limits_and_files_are_checked() {
        let limits = |text| request(&[("DD_LOCK_WAIT", text)]).map(|r| r.sources.limits.lock.as_secs());
        assert_eq!(limits("0").unwrap(), 0);
        assert_eq!(limits("").unwrap(), 120);
        for bad in ["-1", "x", "1.5", "99999999"] {
            assert!(limits(bad).is_err(), "{bad}");
        }
        assert!(request(&[("DD_DOWNLOAD_STALL", "0")]).is_err(), "that would be no download");
        assert_eq!(request(&[("DD_REPO_CA_FILE", "/ca.pem")]).unwrap().sources.ca.unwrap().bytes, PEM);
        for (name, path) in [("DD_REPO_CA_FILE", "/absent"), ("DD_REPO_KEY_FILE", "/absent"), ("DD_REPO_KEY_FILE", "-")]
        {
            assert!(request(&[(name, path)]).unwrap_err().what.contains(name), "{name}");
        }
    }
}
