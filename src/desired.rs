//! What the request means on this host: packages, files, group memberships and units. Pure.
//! A configuration file is held as edits; bytes are made from them in `plan`, in memory.

use minijinja::context;
use serde::{Deserialize, Serialize};

use crate::config::templates::Template;
use crate::config::yaml::{Edit, Value};
use crate::error::Result;
use crate::facts::{Facts, Init};
use crate::request::Request;
use crate::settings::{self, File};
use crate::types::{Pin, Site, Version, YamlPath};

pub const AGENT: &str = "datadog-agent";
pub const PROXY: &str = "datadog-fips-proxy";
pub const SIGNING_KEYS: &str = "datadog-signing-keys";

pub const AGENT_UNIT: &str = "datadog-agent.service";
pub const PROXY_UNIT: &str = "datadog-fips-proxy.service";
pub const SYSPROBE_UNIT: &str = "datadog-agent-sysprobe.service";
pub const SECURITY_UNIT: &str = "datadog-agent-security.service";
pub const TRACE_UNIT: &str = "datadog-agent-trace.service";
pub const PROCESS_UNIT: &str = "datadog-agent-process.service";

/// The units that follow the Agent by themselves (`Wants=` and `BindsTo=` in the vendor's units).
pub const SATELLITES: [&str; 4] = [SYSPROBE_UNIT, SECURITY_UNIT, TRACE_UNIT, PROCESS_UNIT];

/// The user of the Agent and of the proxy, made by their packages.
pub const AGENT_USER: &str = "dd-agent";
pub const JOURNAL_GROUP: &str = "systemd-journal";

pub const PROXY_CFG: &str = "/etc/datadog-fips-proxy/datadog-fips-proxy.cfg";
pub const PROXY_CFG_EXAMPLE: &str = "/etc/datadog-fips-proxy/datadog-fips-proxy.cfg.example";
pub const PROXY_LOGS: &str = "/etc/datadog-agent/conf.d/fips_proxy.d/conf.yaml";
pub const INSTALL_INFO: &str = "/etc/datadog-agent/install_info";

/// First port of the proxy, and how many it has: the statistics page, then one a product
/// (`setupFipsEndpoints` in the Agent's configuration code).
pub const FIRST_PORT: u16 = 9803;
pub const PORTS: std::ops::RangeInclusive<u16> = 9803..=9818;

/// The first Agent in which system-probe alone does CWS and compliance (datadog-agent#56131, after 7.83).
const FIRST_WITHOUT_SECURITY_AGENT: Version = Version::new(7, 84, 0);

/// What a host was asked to be. Kept in the receipt, so that `verify` and a later run with fewer
/// variables know it. Holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub fips: Option<bool>,
    pub cws: Option<bool>,
    pub compliance: Option<bool>,
    pub logs: Option<bool>,
    pub site: Option<String>,
    pub install_only: bool,
}

impl Asked {
    /// What the request says, and where it says nothing, what was said before.
    pub fn merged(request: &Request, before: &Asked) -> Asked {
        Asked {
            fips: request.fips.or(before.fips),
            cws: request.cws.or(before.cws),
            compliance: request.compliance.or(before.compliance),
            logs: request.logs.or(before.logs),
            site: request.site.as_ref().map(Site::to_string).or_else(|| before.site.clone()),
            install_only: request.install_only,
        }
    }

    pub fn fips_on(&self) -> bool {
        self.fips == Some(true)
    }

    pub fn cws_on(&self) -> bool {
        self.cws == Some(true)
    }

    pub fn compliance_on(&self) -> bool {
        self.compliance == Some(true)
    }
}

/// Which version of a package is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The installed one stays; where there is none, the newest.
    Any,
    Newest,
    /// The newest that the pin allows.
    Pinned(Pin),
    /// Only beside another package of the same transaction, and only where the repository has it.
    Along,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageWish {
    pub name: &'static str,
    pub version: Wanted,
}

/// Owner, group and mode of a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub owner: &'static str,
    pub group: &'static str,
    pub mode: u32,
}

impl Rights {
    /// Whether every user may read the file.
    pub fn is_public(self) -> bool {
        self.mode & 0o004 != 0
    }
}

/// The Agent's own files (vendor script and documentation).
pub const AGENT_FILE: Rights = Rights { owner: AGENT_USER, group: AGENT_USER, mode: 0o640 };
/// Files that the Agent reads and root owns.
pub const ROOT_FILE: Rights = Rights { owner: "root", group: AGENT_USER, mode: 0o640 };
/// Files that everybody may read.
pub const PUBLIC_FILE: Rights = Rights { owner: "root", group: "root", mode: 0o644 };

/// An edit and why it is made.
#[derive(Debug, Clone)]
pub struct Wish {
    pub edit: Edit,
    /// Where the operator has said otherwise in the file, that stays and this is told.
    pub yields: Option<String>,
    pub why: &'static str,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// These edits, in the file that is there, or in `base` where there is none.
    Edits { base: Base, wishes: Vec<Wish> },
    /// The vendor's file, byte for byte. One that was changed by hand stays, unless `reset`.
    Vendor { example: &'static str, reset: bool },
    /// This text. One that the package itself wrote is replaced, another one stays.
    Note(String),
}

/// What a new file is made from.
#[derive(Debug, Clone)]
pub enum Base {
    /// The example in the package.
    Example(&'static str),
    Text(String),
    /// There is nothing to turn off where the file is absent.
    None,
}

#[derive(Debug, Clone)]
pub struct FileWish {
    pub path: &'static str,
    pub content: Content,
    pub rights: Rights,
    /// The unit that reads it.
    pub read_by: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitWish {
    pub name: &'static str,
    /// Whether verification demands that it runs.
    pub must_run: bool,
}

/// The described state of the host.
#[derive(Debug, Clone)]
pub struct Desired {
    pub asked: Asked,
    pub packages: Vec<PackageWish>,
    pub files: Vec<FileWish>,
    /// (user, group)
    pub memberships: Vec<(&'static str, &'static str)>,
    /// In the order in which they are started. Empty where no service manager runs.
    pub units: Vec<UnitWish>,
    /// Whether units are started by this run.
    pub start: bool,
}

impl Desired {
    pub fn file(&self, path: &str) -> Option<&FileWish> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// What the request means. `agent` is the version that is or will be installed; None: the newest.
pub fn desired(request: &Request, asked: Asked, facts: &Facts, agent: Option<&Version>) -> Result<Desired> {
    let fips = asked.fips_on();
    let mut files = agent_files(request, &asked, agent);
    let mut memberships = Vec::new();
    if fips {
        files.push(FileWish {
            path: PROXY_CFG,
            content: Content::Vendor { example: PROXY_CFG_EXAMPLE, reset: request.reset_proxy_config },
            rights: AGENT_FILE,
            read_by: Some(PROXY_UNIT),
        });
        files.push(proxy_logs()?);
        memberships.push((AGENT_USER, JOURNAL_GROUP));
    }
    files.push(FileWish {
        path: INSTALL_INFO,
        content: Content::Note(Template::InstallInfo.render(context! { version => env!("CARGO_PKG_VERSION") })?),
        rights: PUBLIC_FILE,
        read_by: None,
    });
    let units = if facts.init == Init::Systemd { units(&asked, agent) } else { Vec::new() };
    Ok(Desired { packages: packages(request, fips), files, memberships, units, start: !asked.install_only, asked })
}

fn packages(request: &Request, fips: bool) -> Vec<PackageWish> {
    let wanted = |pin: Option<Pin>| match pin {
        Some(pin) => Wanted::Pinned(pin),
        None if request.upgrade => Wanted::Newest,
        None => Wanted::Any,
    };
    let agent = wanted(request.agent_pin.clone());
    let mut packages = vec![PackageWish { name: AGENT, version: agent }];
    if fips {
        packages.push(PackageWish { name: PROXY, version: wanted(request.proxy_pin.clone()) });
    }
    packages.push(PackageWish { name: SIGNING_KEYS, version: Wanted::Along });
    packages
}

fn units(asked: &Asked, agent: Option<&Version>) -> Vec<UnitWish> {
    let security = (asked.cws_on() || asked.compliance_on()) && agent.is_none_or(|v| *v < FIRST_WITHOUT_SECURITY_AGENT);
    let mut units = Vec::new();
    if asked.fips_on() {
        units.push(UnitWish { name: PROXY_UNIT, must_run: true });
    }
    units.push(UnitWish { name: AGENT_UNIT, must_run: true });
    units.push(UnitWish { name: SYSPROBE_UNIT, must_run: asked.cws_on() });
    units.push(UnitWish { name: SECURITY_UNIT, must_run: security });
    units.push(UnitWish { name: TRACE_UNIT, must_run: false });
    units.push(UnitWish { name: PROCESS_UNIT, must_run: false });
    units
}

fn proxy_logs() -> Result<FileWish> {
    let text = Template::FipsProxyLogs.render(context! { source => PROXY, unit => PROXY_UNIT })?;
    let source = Value::Map(vec![
        ("type".into(), Value::Str("journald".into())),
        ("source".into(), Value::Str(PROXY.into())),
        ("service".into(), Value::Str(PROXY.into())),
        ("include_units".into(), Value::Seq(vec![Value::Str(PROXY_UNIT.into())])),
    ]);
    let wish = Wish {
        edit: Edit::Append { path: path("logs"), value: source },
        yields: None,
        why: "the Agent collects the proxy's log from the journal",
    };
    Ok(FileWish {
        path: PROXY_LOGS,
        content: Content::Edits { base: Base::Text(text), wishes: vec![wish] },
        rights: AGENT_FILE,
        read_by: Some(AGENT_UNIT),
    })
}

/// The edits of the Agent's three YAML files.
fn agent_files(request: &Request, asked: &Asked, agent: Option<&Version>) -> Vec<FileWish> {
    let mut edits = Edits::default();
    for (setting, value) in request.values.iter() {
        // The site and the intake address depend on FIPS, below.
        if ["site", "url"].contains(&setting.key) {
            continue;
        }
        for (file, at) in setting.lands {
            edits.set(*file, at, yaml(value), "asked for");
        }
    }
    let fips = asked.fips_on();
    if fips {
        edits.set(File::Datadog, "fips.enabled", Value::Bool(true), "the Agent sends through the proxy");
        edits.set(File::Datadog, "fips.port_range_start", Value::Int(FIRST_PORT.into()), "the proxy's first port");
        edits.set(File::Datadog, "fips.https", Value::Bool(false), "the proxy takes plain HTTP on the loopback");
        let site = asked.site.clone().unwrap_or_else(|| Site::us1_fed().to_string());
        edits.set(File::Datadog, "site", Value::Str(site), "what the proxy does not relay must not leave US1-FED");
        edits.set(File::Datadog, "agent_telemetry.enabled", Value::Bool(false), "it would bypass the proxy");
    } else {
        if let Some(site) = &request.site {
            edits.set(File::Datadog, "site", Value::Str(site.to_string()), "asked for");
        }
        if let Some(url) = request.values.text("url") {
            edits.set(File::Datadog, "dd_url", Value::Str(url.into()), "asked for");
        }
        if asked.fips == Some(false) {
            edits.turn_off(File::Datadog, "fips.enabled");
        }
    }
    match request.logs.or(asked.logs) {
        Some(on) => edits.set(File::Datadog, "logs_enabled", Value::Bool(on), "asked for"),
        None if fips => edits.yielding(
            File::Datadog,
            "logs_enabled",
            Value::Bool(true),
            "the proxy's log is collected",
            "logs_enabled: false was set by hand and stays: the proxy's log is not collected",
        ),
        None => {}
    }
    cws(&mut edits, asked);
    if asked.compliance_on() {
        edits.set(File::SecurityAgent, "compliance_config.enabled", Value::Bool(true), "compliance checks are on");
        if agent.is_some_and(|v| *v >= FIRST_WITHOUT_SECURITY_AGENT) {
            edits.set(File::Datadog, "compliance_config.enabled", Value::Bool(true), "compliance checks are on");
        }
    } else if asked.compliance == Some(false) {
        edits.turn_off(File::SecurityAgent, "compliance_config.enabled");
    }
    edits.files()
}

fn cws(edits: &mut Edits, asked: &Asked) {
    const ENABLED: &str = "runtime_security_config.enabled";
    if asked.cws == Some(false) {
        edits.turn_off(File::SystemProbe, ENABLED);
        edits.turn_off(File::SecurityAgent, ENABLED);
    }
    if !asked.cws_on() {
        return;
    }
    // Both files on all versions, until system-probe is known to send by itself.
    edits.set(File::SystemProbe, ENABLED, Value::Bool(true), "CWS is on");
    edits.set(File::SecurityAgent, ENABLED, Value::Bool(true), "CWS is on");
    if asked.fips_on() {
        let dumps = "runtime_security_config.activity_dump.enabled";
        edits.set(File::SystemProbe, dumps, Value::Bool(false), "activity dumps would bypass the proxy");
        edits.yielding(
            File::SystemProbe,
            "discovery.enabled",
            Value::Bool(false),
            "service discovery would be turned on by CWS, and bypass the proxy",
            "discovery.enabled: true was set by hand and stays: service discovery bypasses the FIPS proxy",
        );
    }
}

/// Wishes by file, in the order in which they are made.
#[derive(Default)]
struct Edits(Vec<(File, Wish, bool)>);

impl Edits {
    fn set(&mut self, file: File, at: &str, value: Value, why: &'static str) {
        self.0.push((file, Wish { edit: Edit::Set { path: path(at), value }, yields: None, why }, true));
    }

    fn yielding(&mut self, file: File, at: &str, value: Value, why: &'static str, told: &str) {
        self.0.push((file, Wish { edit: Edit::Set { path: path(at), value }, yields: Some(told.into()), why }, true));
    }

    /// Sets `false`, and makes no file for that.
    fn turn_off(&mut self, file: File, at: &str) {
        let edit = Edit::Set { path: path(at), value: Value::Bool(false) };
        self.0.push((file, Wish { edit, yields: None, why: "turned off" }, false));
    }

    fn files(self) -> Vec<FileWish> {
        let of = |file: File, read_by, rights| {
            let wishes: Vec<Wish> =
                self.0.iter().filter(|(f, ..)| *f == file).map(|(_, wish, _)| wish.clone()).collect();
            let makes_file = file == File::Datadog || self.0.iter().any(|(f, _, makes)| *f == file && *makes);
            let base = if makes_file { Base::Example(file.example()) } else { Base::None };
            let needed = !wishes.is_empty();
            needed.then_some(FileWish {
                path: file.path(),
                content: Content::Edits { base, wishes },
                rights,
                read_by: Some(read_by),
            })
        };
        [
            of(File::Datadog, AGENT_UNIT, AGENT_FILE),
            of(File::SystemProbe, AGENT_UNIT, ROOT_FILE),
            of(File::SecurityAgent, AGENT_UNIT, ROOT_FILE),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn yaml(value: &settings::Value) -> Value {
    match value {
        settings::Value::Bool(on) => Value::Bool(*on),
        settings::Value::Text(text) => Value::Str(text.clone()),
        settings::Value::List(items) => Value::Seq(items.iter().cloned().map(Value::Str).collect()),
        settings::Value::Secret(secret) => Value::Str(secret.reveal().to_owned()),
    }
}

/// A path that stands in the source.
fn path(text: &str) -> YamlPath {
    match text.parse() {
        Ok(path) => path,
        Err(why) => panic!("{why}"),
    }
}
