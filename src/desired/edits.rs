//! The edits of the Agent's YAML files that a request comes to.

use crate::config::yaml::{Edit, Value};
use crate::request::{Extra, Request};
use crate::settings::bypass::LOOPBACK;
use crate::settings::{self, File, Fixed, Setting, Type, WithFips, row};
use crate::types::{Flavor, Site, Version, YamlPath};

use super::{
    AGENT_FILE, AGENT_UNIT, Asked, Base, Content, DOGSTATSD_UNIT, FIRST_WITHOUT_SECURITY_AGENT, FileWish, HELPER,
    ROOT_FILE, When, Wish,
};

/// Settings whose edits depend on more than their value; the functions below make them.
const MEANT: [&str; 8] = [
    "site",
    "fips_mode",
    "runtime_security_config_enabled",
    "compliance_config_enabled",
    "logs_enabled",
    "runtime_security_config_network_enabled",
    "runtime_security_config_direct_send",
    "logs_config_process_collect_all",
];

/// The Agent in which network events of CWS came, under a key of their own and off by default. Later ones have them on,
/// under `event_monitoring_config` (system-probe's configuration code).
const NETWORK_KEY_AGENT: (u32, u32) = (7, 36);

const ASKED: &str = "asked for";

/// The files that a request comes to.
pub(super) fn agent_files(request: &Request, asked: &Asked, agent: Option<&Version>) -> Vec<FileWish> {
    let mut edits = Edits { main: asked.main_file(), ..Edits::default() };
    let fips = asked.fips_on();
    let given = || {
        let meant = |setting: &Setting| MEANT.contains(&setting.key);
        let idle = move |setting: &Setting| fips && setting.with_fips == WithFips::NoEffect;
        request.values.iter().filter(move |(setting, _)| !meant(setting) && !idle(setting))
    };
    // What a setting brings with it comes first: what was asked for itself takes its place.
    for (setting, value) in given() {
        if *value == settings::Value::Bool(true) {
            edits.also(setting);
        }
    }
    collect_all(&mut edits, request);
    for (setting, value) in given() {
        for (file, at) in setting.lands {
            edits.asked(*file, at, yaml(setting, value));
        }
    }
    helper(&mut edits, request);
    if request.values.bool("apm_error_tracking_standalone") == Some(false) {
        let off = When::Is("core_agent.enabled", Value::Bool(false));
        edits.when(File::Datadog, "core_agent.enabled", Value::Bool(true), off, "the whole Agent is back");
    }
    site(&mut edits, request, asked);
    if fips {
        edits.set(File::Datadog, "fips.enabled", Value::Bool(true), "the Agent sends through the proxy");
        let why = |at: &str| match at {
            "fips.port_range_start" => "the proxy's first port",
            "fips.https" => "the proxy takes plain HTTP on the loopback",
            _ => "it would bypass the proxy",
        };
        for (file, at, fixed) in row("fips_mode").also {
            edits.set(*file, at, fixed_value(*fixed), why(at));
        }
        let elsewhere = When::NoneOf("fips.local_address", &LOOPBACK);
        let own = Value::Str("127.0.0.1".into());
        edits.when(File::Datadog, "fips.local_address", own, elsewhere, "the proxy listens on the loopback");
    } else if asked.fips == Some(false) {
        edits.turn_off(File::Datadog, "fips.enabled");
    }
    let collects = request.values.bool("logs_config_process_collect_all") == Some(true);
    match request.logs.or(asked.logs.filter(|_| !collects)) {
        Some(on) => edits.asked(File::Datadog, "logs_enabled", Value::Bool(on)),
        None if fips => edits.yielding(
            File::Datadog,
            "logs_enabled",
            Value::Bool(true),
            "the proxy's log is collected",
            "logs_enabled: false was set by hand and stays: the proxy's log is not collected",
        ),
        None => {}
    }
    cws(&mut edits, request, asked, agent);
    compliance(&mut edits, asked, agent);
    for extra in &request.extras {
        edits.extra(extra);
    }
    if request.values.bool("system_probe_ensure_config") == Some(true) {
        edits.ensured = true;
    }
    edits.files()
}

fn site(edits: &mut Edits, request: &Request, asked: &Asked) {
    if asked.fips_on() {
        let site = asked.site.clone().unwrap_or_else(|| Site::us1_fed().to_string());
        edits.set(File::Datadog, "site", Value::Str(site), "what the proxy does not relay must not leave US1-FED");
    } else if let Some(site) = &request.site {
        edits.asked(File::Datadog, "site", Value::Str(site.to_string()));
    } else if asked.flavor() == Flavor::FipsAgent {
        edits.yielding(
            File::Datadog,
            "site",
            Value::Str(Site::us1_fed().to_string()),
            "the FIPS Agent is for the sites of GovCloud",
            "the site that is set stays: the FIPS Agent is for the sites of GovCloud only",
        );
    }
}

fn collect_all(edits: &mut Edits, request: &Request) {
    let setting = row("logs_config_process_collect_all");
    match request.values.bool(setting.key) {
        Some(true) => edits.also(setting),
        Some(false) => {
            let items = setting.also.iter().filter(|(_, _, fixed)| matches!(fixed, Fixed::Item(_)));
            for (file, at, fixed) in items {
                edits.drop(*file, at, fixed_value(*fixed));
            }
        }
        None => {}
    }
}

/// The helper that is put in place is the command.
fn helper(edits: &mut Edits, request: &Request) {
    let folder = request.values.text("secret_backend_folder");
    if folder.is_none() && request.values.text("secret_backend_helper").is_none() {
        return;
    }
    let why = "the helper that resolves ENC[…] handles";
    edits.set(File::Datadog, "secret_backend_command", Value::Str(HELPER.into()), why);
    if let Some(folder) = folder {
        let words = ["secrets", "read", folder].map(|word| Value::Str(word.into()));
        edits.set(File::Datadog, "secret_backend_arguments", Value::Seq(words.into()), why);
    }
}

fn compliance(edits: &mut Edits, asked: &Asked, agent: Option<&Version>) {
    const ENABLED: &str = "compliance_config.enabled";
    if asked.compliance_on() {
        edits.set(File::SecurityAgent, ENABLED, Value::Bool(true), "compliance checks are on");
        if agent.is_some_and(|v| *v >= FIRST_WITHOUT_SECURITY_AGENT) {
            edits.set(File::Datadog, ENABLED, Value::Bool(true), "compliance checks are on");
        }
    } else if asked.compliance == Some(false) {
        edits.turn_off(File::SecurityAgent, ENABLED);
        // Newer Agents read it there.
        let on = When::Is(ENABLED, Value::Bool(true));
        edits.when(File::Datadog, ENABLED, Value::Bool(false), on, "turned off");
    }
}

fn cws(edits: &mut Edits, request: &Request, asked: &Asked, agent: Option<&Version>) {
    const ENABLED: &str = "runtime_security_config.enabled";
    if asked.cws == Some(false) {
        edits.turn_off(File::SystemProbe, ENABLED);
        edits.turn_off(File::SecurityAgent, ENABLED);
    }
    network(edits, request, asked, agent);
    direct_send(edits, request, asked, agent);
    if !asked.cws_on() {
        return;
    }
    // Both files on all versions, until system-probe is known to send by itself.
    edits.set(File::SystemProbe, ENABLED, Value::Bool(true), "CWS is on");
    edits.set(File::SecurityAgent, ENABLED, Value::Bool(true), "CWS is on");
    if asked.fips_on() {
        let dumps = "runtime_security_config.activity_dump.enabled";
        edits.set(File::SystemProbe, dumps, Value::Bool(false), "activity dumps would bypass the proxy");
        if request.values.bool("discovery_enabled").is_none() {
            edits.yielding(
                File::SystemProbe,
                "discovery.enabled",
                Value::Bool(false),
                "service discovery would be turned on by CWS, and bypass the proxy",
                "discovery.enabled was set by hand and stays: where it is on, service discovery bypasses the FIPS proxy",
            );
        }
    }
}

/// Network events, under the key that this Agent reads: another one would be unknown to it.
fn network(edits: &mut Edits, request: &Request, asked: &Asked, agent: Option<&Version>) {
    let asked_for = request.values.bool("runtime_security_config_network_enabled");
    match (agent.map(|v| (v.major, v.minor)), asked_for) {
        (Some(NETWORK_KEY_AGENT), on) => {
            if let Some(on) = on.or(asked.cws_on().then_some(true)) {
                let at = "runtime_security_config.network.enabled";
                edits.set(File::SystemProbe, at, Value::Bool(on), "network events, under the key of Agent 7.36");
            }
        }
        (_, Some(on)) => edits.asked(File::SystemProbe, "event_monitoring_config.network.enabled", Value::Bool(on)),
        (_, None) => {}
    }
}

/// system-probe resolves no `ENC[…]` handle by itself: where it sends, it must ask the Agent for the key.
fn direct_send(edits: &mut Edits, request: &Request, asked: &Asked, agent: Option<&Version>) {
    let asked_for = request.values.bool("runtime_security_config_direct_send");
    if let Some(on) = asked_for {
        let at = "runtime_security_config.direct_send_from_system_probe";
        edits.asked(File::SystemProbe, at, Value::Bool(on));
    }
    let by_default = asked.cws_on() && agent.is_some_and(|v| *v >= FIRST_WITHOUT_SECURITY_AGENT);
    if !asked_for.unwrap_or(by_default) {
        return;
    }
    let why = "system-probe asks the Agent for the key behind the ENC[…] handle";
    for (at, value) in [("agent_ipc.port", 5009), ("agent_ipc.config_refresh_interval", 60)] {
        match &request.api_key {
            Some(key) if key.is_handle() => edits.set(File::Datadog, at, Value::Int(value), why),
            Some(_) => {}
            None => edits.when(File::Datadog, at, Value::Int(value), When::Handle("api_key"), why),
        }
    }
}

/// Wishes by file, in the order in which they are made.
#[derive(Default)]
struct Edits {
    wishes: Vec<(File, Wish, bool)>,
    /// The file that takes what is written for datadog.yaml.
    main: File,
    /// system-probe.yaml is made even if nothing is set in it.
    ensured: bool,
}

impl Edits {
    /// A later wish for the same place takes the place of an earlier one.
    fn push(&mut self, file: File, wish: Wish, makes_file: bool) {
        let file = if file == File::Datadog { self.main } else { file };
        // The Agent reads keys in any case.
        let path = wish.edit.path().to_string();
        let same =
            |(f, w, _): &&mut (File, Wish, bool)| *f == file && w.edit.path().to_string().eq_ignore_ascii_case(&path);
        match self.wishes.iter_mut().find(same) {
            Some(before) => *before = (file, wish, makes_file),
            None => self.wishes.push((file, wish, makes_file)),
        }
    }

    fn set(&mut self, file: File, at: &str, value: Value, why: &'static str) {
        self.push(file, wish(Edit::Set { path: path(at), value }, why), true);
    }

    /// What was asked for as it is. A switch that is off makes no file.
    fn asked(&mut self, file: File, at: &str, value: Value) {
        let makes_file = value != Value::Bool(false);
        self.push(file, wish(Edit::Set { path: path(at), value }, ASKED), makes_file);
    }

    fn when(&mut self, file: File, at: &str, value: Value, when: When, why: &'static str) {
        let edit = Edit::Set { path: path(at), value };
        self.push(file, Wish { when: Some(when), ..wish(edit, why) }, false);
    }

    fn yielding(&mut self, file: File, at: &str, value: Value, why: &'static str, told: &str) {
        let edit = Edit::Set { path: path(at), value };
        self.push(file, Wish { yields: Some(told.into()), ..wish(edit, why) }, true);
    }

    /// Sets `false`, and makes no file for that.
    fn turn_off(&mut self, file: File, at: &str) {
        self.push(file, wish(Edit::Set { path: path(at), value: Value::Bool(false) }, "turned off"), false);
    }

    /// Takes an item out of a list, if it is in there.
    fn drop(&mut self, file: File, at: &str, value: Value) {
        let edit = Edit::Append { path: path(at), value };
        self.push(file, Wish { drops: true, ..wish(edit, "turned off") }, false);
    }

    /// What a setting that is on brings with it.
    fn also(&mut self, setting: &Setting) {
        for (file, at, fixed) in setting.also {
            let (path, value) = (path(at), fixed_value(*fixed));
            let edit = match fixed {
                Fixed::Item(_) => Edit::Append { path, value },
                _ => Edit::Set { path, value },
            };
            self.push(*file, wish(edit, setting.doc.trim_end_matches('.')), true);
        }
    }

    fn extra(&mut self, extra: &Extra) {
        let edit = Edit::Set { path: extra.path.clone(), value: plain(&extra.value) };
        self.push(extra.file, wish(edit, ASKED), true);
    }

    fn files(self) -> Vec<FileWish> {
        let of = |file: File, read_by, rights| {
            let own = || self.wishes.iter().filter(|(f, ..)| *f == file);
            let wishes: Vec<Wish> = own().map(|(_, wish, _)| wish.clone()).collect();
            let ensured = self.ensured && file == File::SystemProbe;
            let makes_file = file == self.main || ensured || own().any(|(_, _, makes)| *makes);
            let base = if makes_file { Base::Example(file.example()) } else { Base::None };
            let needed = ensured || !wishes.is_empty();
            needed.then_some(FileWish {
                path: file.path(),
                content: Content::Edits { base, wishes },
                rights,
                read_by: Some(read_by),
            })
        };
        [
            of(File::Datadog, AGENT_UNIT, AGENT_FILE),
            of(File::Dogstatsd, DOGSTATSD_UNIT, AGENT_FILE),
            of(File::SystemProbe, AGENT_UNIT, ROOT_FILE),
            of(File::SecurityAgent, AGENT_UNIT, ROOT_FILE),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn wish(edit: Edit, why: &'static str) -> Wish {
    Wish { edit, yields: None, when: None, drops: false, why }
}

fn yaml(setting: &Setting, value: &settings::Value) -> Value {
    match value {
        settings::Value::Text(text) if matches!(setting.kind, Type::Seconds(_) | Type::Bytes) => {
            text.parse().map_or_else(|_| Value::Str(text.clone()), Value::Int)
        }
        settings::Value::Bool(on) => Value::Bool(*on),
        settings::Value::Text(text) => Value::Str(text.clone()),
        settings::Value::List(items) => Value::Seq(items.iter().cloned().map(Value::Str).collect()),
        settings::Value::Secret(secret) => Value::Str(secret.reveal().to_owned()),
    }
}

fn fixed_value(fixed: Fixed) -> Value {
    match fixed {
        Fixed::Bool(on) => Value::Bool(on),
        Fixed::Int(number) => Value::Int(number),
        Fixed::Item(text) => Value::Str(text.into()),
    }
}

/// A value as the plain YAML reader has it; the request has refused what has no counterpart.
fn plain(value: &serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(on) => Value::Bool(*on),
        Yaml::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or_default()), Value::Int),
        Yaml::String(text) => Value::Str(text.clone()),
        Yaml::Sequence(items) => Value::Seq(items.iter().map(plain).collect()),
        Yaml::Mapping(entries) => {
            let key = |key: &Yaml| key.as_str().unwrap_or_default().to_owned();
            Value::Map(entries.iter().map(|(k, v)| (key(k), plain(v))).collect())
        }
        Yaml::Tagged(tagged) => plain(&tagged.value),
    }
}

/// A path that stands in the source.
pub(super) fn path(text: &str) -> YamlPath {
    match text.parse() {
        Ok(path) => path,
        Err(why) => panic!("{why}"),
    }
}
