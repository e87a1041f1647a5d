//! What was asked: flags, variables and file, checked and put together. Touches no host.
//! All mistakes are reported at once, each with the name of its variable or flag.

mod file;
mod rules;
mod sources;

use std::ffi::{OsStr, OsString};

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::{self, Setting, Source, TABLE, Value, Values, WithFips, note_on_word, row};
use crate::types::{Flavor, Pin, Profile, Release, Site, Version};

pub use file::Extra;
pub use sources::{Limits, Named, Sources};

/// The first Agent that knows `fips.*` (documentation of the FIPS proxy).
pub const FIRST_FIPS_AGENT: Version = Version::new(7, 41, 0);

/// Everything that was given, as it was given.
pub struct Inputs<'a> {
    /// The environment of the process.
    pub variables: Vec<(OsString, OsString)>,
    /// Flags by setting key, in the order of the command line.
    pub flags: Vec<(&'static str, String)>,
    /// Every `--set`, as given.
    pub sets: Vec<String>,
    /// `--file`, read.
    pub file: Option<InputFile>,
    /// Reads a file that a setting names; `-` is standard input, for the API key alone.
    pub read: &'a dyn Fn(&str) -> std::result::Result<Vec<u8>, String>,
}

/// An `install.yaml`.
#[derive(Debug, Clone)]
pub struct InputFile {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Its permissions. A file that every user may read holds no secrets.
    pub mode: u32,
}

/// A valid request. `None` means that nothing was said: leave it as it is.
#[derive(Debug, Clone)]
pub struct Request {
    pub values: Values,
    /// Agent settings beside those of the table.
    pub extras: Vec<Extra>,
    pub api_key: Option<Secret>,
    pub flavor: Option<Flavor>,
    pub site: Option<Site>,
    pub fips: Option<bool>,
    pub cws: Option<bool>,
    pub compliance: Option<bool>,
    pub logs: Option<bool>,
    /// Which release the host is to be taken for.
    pub assumed: Option<Release>,
    pub agent_pin: Option<Pin>,
    pub proxy_pin: Option<Pin>,
    /// What this is; None: whatever it looks like.
    pub profile: Option<Profile>,
    /// No API key is needed, and no secret may be written.
    pub no_key: bool,
    /// The package manager's lists and caches are emptied at the end.
    pub clean: bool,
    pub install_only: bool,
    pub no_agent_install: bool,
    pub upgrade: bool,
    /// Whether the packages are to be held at their version.
    pub hold: Option<bool>,
    pub allow_downgrade: bool,
    pub allow_fips_off: bool,
    pub reset_proxy_config: bool,
    pub keep_on_failure: bool,
    pub keep_binary: bool,
    pub sources: Sources,
    /// Things worth saying that are no mistakes: a deprecated or misspelt variable, an unknown site.
    pub notes: Vec<String>,
}

impl Request {
    /// Checks the inputs. The error (exit 2) lists every mistake.
    pub fn new(inputs: Inputs) -> Result<Request> {
        let mut reader = Reader::default();
        if let Some(file) = &inputs.file {
            reader.file(file);
        }
        reader.variables(&inputs.variables);
        for (key, text) in &inputs.flags {
            reader.flag(row(key), text);
        }
        for text in &inputs.sets {
            match file::set(text) {
                Ok(extras) => {
                    let note = text.split_once('=').and_then(|(path, value)| note_on_word(path, value));
                    reader.notes.extend(note.map(|note| format!("--set {note}")));
                    extras.into_iter().for_each(|extra| reader.argument(extra));
                }
                Err(why) => reader.mistakes.push(format!("--set {}: {why}", shown_set(text))),
            }
        }
        reader.api_key_file(inputs.read);
        let request = reader.assemble(&inputs);
        if reader.mistakes.is_empty() {
            return Ok(Request { notes: reader.notes, ..request });
        }
        Err(mistakes(reader.mistakes))
    }

    /// Settings that were turned on and that FIPS rules out, one sentence each.
    pub fn bypasses(&self) -> Vec<String> {
        bypasses(&self.values, &self.extras)
    }

    /// Everything in it that must not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        let of_table = self.values.iter().filter_map(|(setting, _)| self.values.secret(setting.key).cloned());
        let text = |extra: &Extra| extra.value.as_str().map(Secret::new);
        let of_extras = self.extras.iter().filter(|extra| extra.is_secret()).filter_map(text);
        of_table.chain(of_extras).chain(self.sources.secrets()).collect()
    }
}

fn bypasses(values: &Values, extras: &[Extra]) -> Vec<String> {
    let on = values.iter().filter(|(_, value)| **value == Value::Bool(true));
    on.filter_map(|(setting, _)| match setting.with_fips {
        WithFips::Refused(why) => {
            Some(format!("{}: not together with FIPS: {why}, outside the FIPS proxy", setting.name()))
        }
        _ => None,
    })
    .chain(extras.iter().filter_map(Extra::bypasses))
    .collect()
}

/// What was typed, up to its value, which may be a secret.
fn shown_set(text: &str) -> String {
    text.split('=').next().unwrap_or(text).escape_debug().to_string()
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
    extras: Vec<Extra>,
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

    fn flag(&mut self, setting: &Setting, text: &str) {
        let name = format!("--{}", setting.key.replace('_', "-"));
        if setting.is_address() && sources::has_password(text) {
            let variable = setting.name();
            let why = format!("the address holds a password, and every user can read arguments; use {variable}");
            return self.mistakes.push(format!("{name}: {why}"));
        }
        self.take(setting, &name, text, Source::Flag);
    }

    /// One `--set`.
    fn argument(&mut self, extra: Extra) {
        if extra.is_secret() {
            let why = "every user can read arguments; put it under `set:` in a --file that only root may read";
            return self.mistakes.push(format!("--set {}:{}: {why}", extra.file.name(), extra.path));
        }
        self.extra("--set", extra);
    }

    fn extra(&mut self, name: &str, extra: Extra) {
        // The last one counts, and arguments come after the file.
        self.extras.retain(|before| (before.file, &before.path) != (extra.file, &extra.path));
        let meets = |before: &&Extra| before.file == extra.file && file::overlap(&before.path, &extra.path);
        if let Some(before) = self.extras.iter().find(meets) {
            let (a, b) = (&before.path, &extra.path);
            return self.mistakes.push(format!("{name}: {a} and {b} are set, and one holds the other"));
        }
        self.extras.push(extra);
    }

    fn file(&mut self, input: &InputFile) {
        let name = &input.name;
        let entries = match file::read(&input.bytes) {
            Ok(entries) => entries,
            Err(why) => return self.mistakes.push(format!("{name}: {why}")),
        };
        let open = input.mode & 0o007 != 0;
        let exposed = format!(
            "{name} has mode {:04o}, and every user may read the secret in it: chmod 600 it, or use an ENC[…] handle",
            input.mode & 0o7777
        );
        for (key, value) in &entries {
            let Some(key) = key.as_str() else {
                self.mistakes.push(format!("{name}: a key is no text"));
                continue;
            };
            if key == "set" {
                match file::section(value) {
                    Ok(extras) => {
                        for extra in extras {
                            if open && extra.is_secret() {
                                self.mistakes.push(format!("{name}: set: {}: {exposed}", extra.path));
                            }
                            self.extra(&format!("{name}: set"), extra);
                        }
                    }
                    Err(why) => self.mistakes.push(format!("{name}: set: {why}")),
                }
                continue;
            }
            let Some(setting) = TABLE.iter().find(|setting| setting.key == key) else {
                let meant = settings::nearest(key).map_or_else(String::new, |k| format!("; did you mean {k}?"));
                self.mistakes.push(format!("{name}: {} is not a setting{meant}", key.escape_debug()));
                continue;
            };
            match file::value(setting, value) {
                Ok(Some(Value::Secret(secret))) if open && !secret.is_handle() => {
                    self.mistakes.push(format!("{name}: {key}: {exposed}"));
                }
                Ok(Some(Value::Text(text))) if open && setting.is_address() && sources::has_password(&text) => {
                    self.mistakes.push(format!("{name}: {key}: {exposed}"));
                }
                Ok(Some(value)) => self.values.give(setting, value, Source::File),
                Ok(None) => {}
                Err(why) => self.mistakes.push(format!("{name}: {key}: {why}")),
            }
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
                    self.notes.push(format!("{name} is another name of {}", setting.variables[0]));
                }
                self.take(setting, name, text, Source::Variable);
            }
        }
        for name in variables.iter().filter_map(|(name, _)| name.to_str()) {
            let injection = name.starts_with("DD_APM_INSTRUMENTATION_");
            if injection && !TABLE.iter().any(|s| s.variables.contains(&name)) {
                let text = find(name).and_then(|value| value.to_str()).unwrap_or("1");
                self.take(row("apm_instrumentation_enabled"), name, text, Source::Variable);
            } else if let Some(meant) = settings::misspelt(name) {
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
        // A key that a stronger source gives itself wins.
        let source = self.values.source("api_key_file").unwrap_or(Source::File);
        self.take(row("api_key"), &format!("{name}: {path}"), first, source);
    }

    fn assemble(&mut self, inputs: &Inputs) -> Request {
        let values = self.values.clone();
        let on = |key| values.bool(key) == Some(true);
        let site: Option<Site> = values.text("site").and_then(|text| text.parse().ok());
        let fips = values.bool("fips_mode");
        let agent_pin = values.text("agent_minor_version").and_then(|minor| Pin::agent(7, minor).ok());
        let flavor: Option<Flavor> = values.text("agent_flavor").and_then(|text| text.parse().ok());
        if let Some(site) = site.as_ref().filter(|site| !site.is_known()) {
            self.notes.push(format!("DD_SITE: {site} is none of the sites that Datadog lists; it is used as it is"));
        }
        if fips == Some(true) {
            self.with_fips(&values, site.as_ref(), agent_pin.as_ref());
        }
        if values.secret("api_key").is_some_and(|key| !key.is_handle() && !looks_like_a_key(key.reveal())) {
            self.notes
                .push("DD_API_KEY does not look like an API key (32 hexadecimal digits); it is used as it is".into());
        }
        self.contradictions(&values);
        self.secrets(&values);
        if on("no_key") {
            self.without_secrets(&values);
        }
        self.flavor(&values, flavor.unwrap_or_default());
        for (setting, _) in values.iter() {
            if let Some(why) = setting.idle {
                self.notes.push(format!("{} changes nothing: {why}", setting.name()));
            }
        }
        for extra in std::mem::take(&mut self.extras) {
            match file::taken(&extra, &values) {
                Some(setting) => {
                    let (file, path, name) = (extra.file.name(), &extra.path, setting.name());
                    self.mistakes.push(format!("--set {file}:{path}: that is what {name} sets; use {name}"));
                }
                None => self.extras.push(extra),
            }
        }
        let sources = self.sources(&values, inputs);
        Request {
            extras: self.extras.clone(),
            api_key: values.secret("api_key").cloned(),
            flavor,
            site,
            fips,
            cws: values.bool("runtime_security_config_enabled"),
            compliance: values.bool("compliance_config_enabled"),
            logs: values.bool("logs_enabled"),
            assumed: values.text("assume_distribution").and_then(|text| text.parse().ok()),
            agent_pin,
            proxy_pin: values.text("fips_proxy_version").and_then(|text| Pin::version(text).ok()),
            profile: values.text("profile").and_then(|text| text.parse().ok()),
            no_key: on("no_key"),
            clean: on("clean"),
            install_only: on("install_only"),
            no_agent_install: on("no_agent_install"),
            upgrade: on("upgrade"),
            hold: values.bool("hold"),
            allow_downgrade: on("allow_downgrade"),
            allow_fips_off: on("allow_fips_off"),
            reset_proxy_config: on("reset_proxy_config"),
            keep_on_failure: values.text("on_failure") == Some("keep"),
            keep_binary: on("keep_binary"),
            sources,
            notes: Vec::new(),
            values,
        }
    }
}

fn looks_like_a_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(variables: &[(&str, &str)]) -> Result<Request> {
        let variables = variables.iter().map(|(n, v)| (n.into(), v.into())).collect();
        Request::new(Inputs { variables, flags: vec![], sets: vec![], file: None, read: &|_| Err("no file".into()) })
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
    fn an_image_without_a_key_takes_no_secret() {
        let waived = |variables: &[(&str, &str)]| request(&[&[("DD_NO_KEY", "on")], variables].concat());
        for (name, secret) in
            [("DD_API_KEY", "k"), ("DD_APP_KEY", "k"), ("DD_PROXY_HTTPS", "https://user:password@proxy.test:3128")]
        {
            let error = waived(&[(name, secret)]).unwrap_err();
            assert!(error.what.starts_with(name) && error.what.contains("--no-key=off"), "{}", error.what);
        }
        let handle = waived(&[("DD_API_KEY", "ENC[key]"), ("DD_PROXY_HTTPS", "https://proxy.test:3128")]).unwrap();
        assert!(handle.no_key && handle.api_key.is_some(), "a handle is no secret");
        assert!(!request(&[("DD_NO_KEY", "off"), ("DD_API_KEY", "k")]).unwrap().no_key);
    }

    #[test]
    fn a_misspelt_variable_is_pointed_out() {
        let notes = request(&[("DD_FIPS_MOED", "1"), ("DD_TRACE_ENABLED", "1")]).unwrap().notes;
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("DD_FIPS_MODE"));
    }

    #[test]
    fn a_bare_word_for_a_switch_is_told() {
        let notes = |set: &str| {
            let inputs = Inputs {
                variables: vec![],
                flags: vec![],
                sets: vec![set.into()],
                file: None,
                read: &|_| Err("no file".into()),
            };
            Request::new(inputs).unwrap().notes
        };
        assert!(notes("datadog:inventories_enabled=yes")[0].contains("datadog:inventories_enabled: `yes` is a text"));
        assert!(notes("datadog:inventories_enabled=true").is_empty());
        assert!(notes("datadog:inventories_enabled='yes'").is_empty());
    }

    #[test]
    fn the_key_can_come_from_a_file() {
        let read = |path: &str| {
            if path == "-" { Ok(b"0123456789abcdef0123456789abcdef\n".to_vec()) } else { Err("absent".into()) }
        };
        let given = |path: &str| {
            Request::new(Inputs {
                variables: vec![],
                flags: vec![("api_key_file", path.into())],
                sets: vec![],
                file: None,
                read: &read,
            })
        };
        assert_eq!(given("-").unwrap().api_key.unwrap().reveal(), "0123456789abcdef0123456789abcdef");
        assert!(given("/nowhere").unwrap_err().what.contains("/nowhere"));
    }
}
