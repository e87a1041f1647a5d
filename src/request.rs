//! What was asked: flags, variables and file, checked and put together. Touches no host.
//! All mistakes are reported at once, each with the name of its variable or flag.

use std::ffi::{OsStr, OsString};

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::{Setting, Source, TABLE, Values, row};
use crate::types::{Fingerprint, Pin, Site, Version};

/// The first Agent that knows `fips.*` (documentation of the FIPS proxy).
pub const FIRST_FIPS_AGENT: Version = Version::new(7, 41, 0);

/// Everything that was given, as it was given.
pub struct Inputs<'a> {
    /// The environment of the process.
    pub variables: Vec<(OsString, OsString)>,
    /// Flags by setting key, in the order of the command line.
    pub flags: Vec<(&'static str, String)>,
    /// Reads the file that `api_key_file` names; `-` is standard input.
    pub read: &'a dyn Fn(&str) -> std::result::Result<Vec<u8>, String>,
}

/// Where packages and keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `https://apt.datadoghq.com/`
    pub apt_url: String,
    /// `stable`
    pub suite: String,
    /// `7`
    pub component: String,
    /// `https://keys.datadoghq.com/`
    pub keys_url: String,
    /// Keys that the operator trusts beside the vendor's.
    pub fingerprints: Vec<Fingerprint>,
}

/// A valid request. `None` means that nothing was said: leave it as it is.
#[derive(Debug, Clone)]
pub struct Request {
    pub values: Values,
    pub api_key: Option<Secret>,
    pub site: Option<Site>,
    pub fips: Option<bool>,
    pub cws: Option<bool>,
    pub compliance: Option<bool>,
    pub logs: Option<bool>,
    pub agent_pin: Option<Pin>,
    pub proxy_pin: Option<Pin>,
    pub install_only: bool,
    pub upgrade: bool,
    pub allow_downgrade: bool,
    pub allow_fips_off: bool,
    pub reset_proxy_config: bool,
    pub keep_on_failure: bool,
    pub sources: Sources,
    /// Things worth saying that are no mistakes: a deprecated or misspelt variable, an unknown site.
    pub notes: Vec<String>,
}

impl Request {
    /// Checks the inputs. The error (exit 2) lists every mistake.
    pub fn new(inputs: Inputs) -> Result<Request> {
        let mut reader = Reader::default();
        reader.variables(&inputs.variables);
        for (key, text) in &inputs.flags {
            let setting = row(key);
            reader.take(setting, &format!("--{}", key.replace('_', "-")), text, Source::Flag);
        }
        reader.api_key_file(inputs.read);
        let request = reader.assemble();
        if reader.mistakes.is_empty() {
            return Ok(Request { notes: reader.notes, ..request });
        }
        Err(mistakes(reader.mistakes))
    }
}

/// One mistake stands in the first line; several are listed under it.
fn mistakes(mut mistakes: Vec<String>) -> Error {
    let hint = "correct the input and run again; `ddinstall help install` lists every setting";
    let error = match mistakes.len() {
        1 => Error::new(Kind::Usage, mistakes.remove(0)),
        n => Error::new(Kind::Usage, format!("{n} mistakes in the input")).detail(mistakes.join("\n")),
    };
    error.hint(hint)
}

#[derive(Default)]
struct Reader {
    values: Values,
    mistakes: Vec<String>,
    notes: Vec<String>,
}

impl Reader {
    fn take(&mut self, setting: &Setting, name: &str, text: &str, source: Source) {
        match setting.parse(text) {
            Ok(Some(value)) => self.values.give(setting, value, source),
            Ok(None) => {}
            Err(why) => self.mistakes.push(format!("{name}: {why}")),
        }
    }

    fn variables(&mut self, variables: &[(OsString, OsString)]) {
        let find = |name: &str| variables.iter().find(|(n, _)| n == OsStr::new(name)).map(|(_, value)| value);
        for setting in TABLE {
            // Aliases first, so that the variable's own name wins where both are set.
            for (i, name) in setting.variables.iter().enumerate().rev() {
                let Some(value) = find(name) else { continue };
                let Some(text) = value.to_str() else {
                    self.mistakes.push(format!("{name}: is not valid UTF-8"));
                    continue;
                };
                if i > 0 && !text.trim().is_empty() {
                    self.notes.push(format!("{name} is an older name of {}", setting.variables[0]));
                }
                self.take(setting, name, text, Source::Variable);
            }
        }
        for name in variables.iter().filter_map(|(name, _)| name.to_str()) {
            if let Some(meant) = misspelt(name) {
                self.notes
                    .push(format!("{name} is not a variable of ddinstall and was not used; did you mean {meant}?"));
            }
        }
    }

    fn api_key_file(&mut self, read: &dyn Fn(&str) -> std::result::Result<Vec<u8>, String>) {
        let Some(path) = self.values.text("api_key_file").map(str::to_owned) else { return };
        let name = row("api_key_file").name();
        let text = match read(&path).and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".into()))
        {
            Ok(text) => text,
            Err(why) => return self.mistakes.push(format!("{name}: {path}: {why}")),
        };
        let first = text.lines().next().unwrap_or("").trim();
        if first.is_empty() {
            return self.mistakes.push(format!("{name}: {path}: the first line is empty, an API key was expected"));
        }
        self.take(row("api_key"), &format!("{name}: {path}"), first, Source::Flag);
    }

    fn assemble(&mut self) -> Request {
        let values = self.values.clone();
        let on = |key| values.bool(key) == Some(true);
        let site: Option<Site> = values.text("site").and_then(|text| text.parse().ok());
        let fips = values.bool("fips_mode");
        let agent_pin = values.text("agent_minor_version").and_then(|minor| Pin::agent(7, minor).ok());
        if let (Some(true), Some(site)) = (fips, &site)
            && !site.is_us1_fed()
        {
            self.mistakes.push(format!(
                "DD_SITE: the FIPS proxy sends to ddog-gov.com (US1-FED) only, and DD_FIPS_MODE is on with DD_SITE={site}"
            ));
        }
        if let Some(site) = site.as_ref().filter(|site| !site.is_known()) {
            self.notes.push(format!("DD_SITE: {site} is none of the sites that Datadog lists; it is used as it is"));
        }
        if fips == Some(true)
            && let Some(pin) = agent_pin.as_ref().filter(|pin| pin.newest() < FIRST_FIPS_AGENT)
        {
            self.mistakes
                .push(format!("DD_AGENT_MINOR_VERSION: FIPS mode needs Agent 7.41 or later, and {pin} was asked for"));
        }
        if values.secret("api_key").is_some_and(|key| !key.is_handle() && !looks_like_a_key(key.reveal())) {
            self.notes
                .push("DD_API_KEY does not look like an API key (32 hexadecimal digits); it is used as it is".into());
        }
        let sources = self.sources(&values);
        Request {
            api_key: values.secret("api_key").cloned(),
            site,
            fips,
            cws: values.bool("runtime_security_config_enabled"),
            compliance: values.bool("compliance_config_enabled"),
            logs: values.bool("logs_enabled"),
            agent_pin,
            proxy_pin: values.text("fips_proxy_version").and_then(|text| Pin::version(text).ok()),
            install_only: on("install_only"),
            upgrade: on("upgrade"),
            allow_downgrade: on("allow_downgrade"),
            allow_fips_off: on("allow_fips_off"),
            reset_proxy_config: on("reset_proxy_config"),
            keep_on_failure: values.text("on_failure") == Some("keep"),
            sources,
            notes: Vec::new(),
            values,
        }
    }

    fn sources(&mut self, values: &Values) -> Sources {
        let domain = values.text("repo_url").unwrap_or("datadoghq.com").to_owned();
        let apt = values.text("apt_url").map_or_else(|| format!("apt.{domain}"), str::to_owned);
        let keys = values.text("keys_url").unwrap_or("keys.datadoghq.com").to_owned();
        let mut address = |key: &str, text: &str| {
            base_url(text).unwrap_or_else(|| {
                self.mistakes.push(format!(
                    "{}: `{}` is not a host or an address",
                    row(key).name(),
                    text.escape_debug()
                ));
                String::new()
            })
        };
        let apt_url = address(if values.text("apt_url").is_some() { "apt_url" } else { "repo_url" }, &apt);
        let keys_url = address("keys_url", &keys);
        let version = values.text("apt_repo_version").unwrap_or("stable 7");
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
        Sources { apt_url, suite: part(0), component: part(1), keys_url, fingerprints }
    }
}

/// `apt.example.org` or `https://apt.example.org/path` to an address that ends with a slash.
/// None where it holds what a repository entry would read as more than an address.
fn base_url(text: &str) -> Option<String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-:/~%+".contains(&c);
    if rest.is_empty() || rest.starts_with('/') || !rest.bytes().all(plain) {
        return None;
    }
    Some(format!("{}/", url.trim_end_matches('/')))
}

fn looks_like_a_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// The variable that a `DD_*` name was probably meant to be: one or two letters away from it.
fn misspelt(name: &str) -> Option<&'static str> {
    let known = || TABLE.iter().flat_map(|s| s.variables.iter().copied());
    if !name.starts_with("DD_") || name.len() < 7 || known().any(|k| k == name) {
        return None;
    }
    known().filter(|k| k.len() >= 7).find(|k| distance(name.as_bytes(), k.as_bytes()) <= 2)
}

/// The number of letters to insert, delete or replace to get from one word to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(variables: &[(&str, &str)]) -> Result<Request> {
        let variables = variables.iter().map(|(n, v)| (n.into(), v.into())).collect();
        Request::new(Inputs { variables, flags: vec![], read: &|_| Err("no file".into()) })
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let e = request(&[("DD_FIPS_MODE", "1"), ("DD_SITE", "datadoghq.eu"), ("DD_AGENT_MINOR_VERSION", "40")])
            .unwrap_err();
        assert_eq!(e.kind, Kind::Usage);
        assert_eq!(e.detail.len(), 2);
        assert!(e.detail[0].contains("DD_SITE") && e.detail[1].contains("DD_AGENT_MINOR_VERSION"));
    }

    #[test]
    fn empty_variables_say_nothing() {
        let r = request(&[("DD_FIPS_MODE", ""), ("DD_SITE", ""), ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", " ")]).unwrap();
        assert_eq!((r.fips, r.site, r.cws), (None, None, None));
    }

    #[test]
    fn a_mirror_is_an_address_and_nothing_more() {
        let apt = |url| request(&[("TESTING_APT_URL", url)]).map(|r| r.sources.apt_url);
        assert_eq!(apt("apt.example.org").unwrap(), "https://apt.example.org/");
        assert_eq!(apt("http://mirror:8080/dd").unwrap(), "http://mirror:8080/dd/");
        for bad in ["a b", "https://x [trusted=yes]", "https://user:password@x", "file:///etc", "x\ny", "https://"] {
            assert!(apt(bad).is_err(), "{bad}");
        }
        assert_eq!(request(&[("DD_REPO_URL", "example.org")]).unwrap().sources.apt_url, "https://apt.example.org/");
    }

    #[test]
    fn a_misspelt_variable_is_pointed_out() {
        let notes = request(&[("DD_FIPS_MOED", "1"), ("DD_TRACE_ENABLED", "1")]).unwrap().notes;
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("DD_FIPS_MODE"));
    }

    #[test]
    fn the_key_can_come_from_a_file() {
        let read = |path: &str| {
            if path == "-" { Ok(b"0123456789abcdef0123456789abcdef\n".to_vec()) } else { Err("absent".into()) }
        };
        let given = |path: &str| {
            Request::new(Inputs { variables: vec![], flags: vec![("api_key_file", path.into())], read: &read })
        };
        assert_eq!(given("-").unwrap().api_key.unwrap().reveal(), "0123456789abcdef0123456789abcdef");
        assert!(given("/nowhere").unwrap_err().what.contains("/nowhere"));
    }
}
