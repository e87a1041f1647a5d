//! What the request means on this host: packages, files, group memberships and units. Pure.
//! A configuration file is held as edits; bytes are made from them in `plan`, in memory.

mod edits;

use minijinja::context;
use serde::{Deserialize, Serialize};

use crate::config::templates::Template;
use crate::config::value_at;
use crate::config::yaml::{Document, Edit, Value};
use crate::error::Result;
use crate::facts::{Facts, Family, Init};
use crate::request::Request;
use crate::settings::File;
use crate::types::{Flavor, Pin, Profile, Release, Site, Version};

use edits::{agent_files, path};

pub const PROXY: &str = "datadog-fips-proxy";
pub const SIGNING_KEYS: &str = "datadog-signing-keys";
/// The OpenTelemetry collector, beside the Agent.
pub const COLLECTOR: &str = "datadog-agent-ddot";

pub const AGENT_UNIT: &str = "datadog-agent.service";
pub const PROXY_UNIT: &str = "datadog-fips-proxy.service";
pub const DOGSTATSD_UNIT: &str = "datadog-dogstatsd.service";
pub const SYSPROBE_UNIT: &str = "datadog-agent-sysprobe.service";
pub const SECURITY_UNIT: &str = "datadog-agent-security.service";
pub const TRACE_UNIT: &str = "datadog-agent-trace.service";
pub const PROCESS_UNIT: &str = "datadog-agent-process.service";

/// Where a secret helper is put that the operator names, or that is ours. Root owns the folder, which dd-agent cannot
/// change.
pub const HELPER: &str = "/opt/ddinstall/secret-helper";

/// The folders that a package of the vendor's has to itself, and that its purge removes.
pub fn package_folders(package: &str) -> &'static [&'static str] {
    match package {
        SIGNING_KEYS => &[],
        // rpm keeps imported keys as packages.
        key if key.starts_with("gpg-pubkey-") => &[],
        PROXY => &["/etc/datadog-fips-proxy", "/opt/datadog-fips-proxy"],
        _ => &["/etc/datadog-agent", "/opt/datadog-agent", "/var/log/datadog"],
    }
}

/// The units that follow the Agent by themselves (`Wants=` and `BindsTo=` in the vendor's units).
pub const SATELLITES: [&str; 4] = [SYSPROBE_UNIT, SECURITY_UNIT, TRACE_UNIT, PROCESS_UNIT];

/// The user of the Agent and of the proxy, made by their packages.
pub const AGENT_USER: &str = "dd-agent";
pub const JOURNAL_GROUP: &str = "systemd-journal";

/// Where the proxy's package puts its program.
pub const PROXY_FOLDER: &str = "/opt/datadog-fips-proxy";
pub const PROXY_PROGRAM: &str = "/opt/datadog-fips-proxy/embedded/sbin/haproxy";
pub const PROXY_CFG: &str = "/etc/datadog-fips-proxy/datadog-fips-proxy.cfg";
pub const PROXY_CFG_EXAMPLE: &str = "/etc/datadog-fips-proxy/datadog-fips-proxy.cfg.example";
pub const PROXY_LOGS: &str = "/etc/datadog-agent/conf.d/fips_proxy.d/conf.yaml";
pub const INSTALL_INFO: &str = "/etc/datadog-agent/install_info";
/// Environment of the Agent's units.
pub const ENVIRONMENT: &str = "/etc/datadog-agent/environment";
const COLLECTOR_CONFIG: &str = "/etc/datadog-agent/otel-config.yaml";
const COLLECTOR_EXAMPLE: &str = "/etc/datadog-agent/otel-config.yaml.example";

/// First port of the proxy, and how many it has: the statistics page, then one a product
/// (`setupFipsEndpoints` in the Agent's configuration code).
pub const FIRST_PORT: u16 = 9803;
pub const PORTS: std::ops::RangeInclusive<u16> = 9803..=9818;

/// The first Agent in which system-probe alone does CWS and compliance (datadog-agent#56131, after 7.83).
pub(crate) const FIRST_WITHOUT_SECURITY_AGENT: Version = Version::new(7, 84, 0);

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavor: Option<Flavor>,
    /// Which release the host is to be taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Release>,
    pub install_only: bool,
    /// The API key is still to come: an image holds none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_key: bool,
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
            flavor: request.flavor.or(before.flavor),
            distribution: request.assumed.clone().or_else(|| before.distribution.clone()),
            install_only: request.install_only,
            no_key: request.api_key.is_none() && (request.no_key || before.no_key),
        }
    }

    pub fn flavor(&self) -> Flavor {
        self.flavor.unwrap_or_default()
    }

    /// Whether the FIPS proxy is to run here, for this Agent or alone.
    pub fn proxy_on(&self) -> bool {
        self.fips_on() || self.flavor() == Flavor::FipsProxy
    }

    /// The file that the flavor's settings stand in.
    pub fn main_file(&self) -> File {
        if self.flavor() == Flavor::Dogstatsd { File::Dogstatsd } else { File::Datadog }
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
/// A program that the Agent runs, as Agents of every age demand it.
pub const HELPER_FILE: Rights = Rights { owner: AGENT_USER, group: AGENT_USER, mode: 0o700 };
/// The same where its group may run it.
pub const GROUP_HELPER_FILE: Rights = Rights { owner: "root", group: AGENT_USER, mode: 0o750 };
/// Files of an Agent that is not there yet; its package hands them over to its user.
pub const PRIVATE_FILE: Rights = Rights { owner: "root", group: "root", mode: 0o600 };
/// Files that everybody may read.
pub const PUBLIC_FILE: Rights = Rights { owner: "root", group: "root", mode: 0o644 };

/// An edit and why it is made.
#[derive(Debug, Clone)]
pub struct Wish {
    pub edit: Edit,
    /// Where the operator has said otherwise in the file, that stays and this is told.
    pub yields: Option<String>,
    /// Only where the file says this.
    pub when: Option<When>,
    /// An item that is to be in no list, where `edit` would append it.
    pub drops: bool,
    pub why: &'static str,
}

/// What a file must say for an edit to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// The value at this path is an `ENC[…]` handle.
    Handle(&'static str),
    /// The value at this path is this.
    Is(&'static str, Value),
    /// There is a value at this path, and it is none of these.
    NoneOf(&'static str, &'static [&'static str]),
}

impl When {
    pub fn holds(&self, document: &Document) -> bool {
        match self {
            When::Handle(path) => value_at(document, path)
                .and_then(Value::as_str)
                .is_some_and(|text| crate::secret::Secret::new(text).is_handle()),
            When::Is(path, Value::Bool(on)) => value_at(document, path).and_then(Value::as_bool) == Some(*on),
            When::Is(path, value) => value_at(document, path) == Some(value),
            When::NoneOf(path, values) => {
                let text = value_at(document, path).filter(|value| **value != Value::Null).map(crate::config::shown);
                text.is_some_and(|text| !text.is_empty() && !values.contains(&text.as_str()))
            }
        }
    }
}

#[derive(Debug, Clone)]
pub enum Content {
    /// These edits, in the file that is there, or in `base` where there is none.
    Edits { base: Base, wishes: Vec<Wish> },
    /// The vendor's file, byte for byte. One that was changed by hand stays, unless `reset`.
    Vendor { example: &'static str, reset: bool },
    /// These `NAME=value` lines among the others of an environment file.
    Variables(&'static [(&'static str, &'static str)]),
    /// This text. One that the package itself wrote is replaced, another one stays.
    Note(String),
    /// A program, byte for byte, with exactly these rights. None: this very one.
    Program(Option<String>),
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
    /// In the order in which they are started.
    pub units: Vec<UnitWish>,
    /// Who would start them.
    pub init: Init,
    /// What it is that is described.
    pub profile: Profile,
    /// Whether units are started by this run.
    pub start: bool,
}

impl Desired {
    pub fn file(&self, path: &str) -> Option<&FileWish> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Why nothing is started, where nothing is.
    pub fn rests(&self) -> &'static str {
        match (self.profile, self.init) {
            (Profile::Container, _) => "the container's first process starts it",
            (_, Init::None) => "no service manager runs here",
            (Profile::Image, _) => "this is an image",
            _ if self.asked.no_key => "the API key is still to come (--no-key)",
            _ => "DD_INSTALL_ONLY leaves services to you",
        }
    }
}

/// What the request means. `agent` is the version that is or will be installed; None: the newest.
pub fn desired(request: &Request, asked: Asked, facts: &Facts, agent: Option<&Version>) -> Result<Desired> {
    let flavor = asked.flavor();
    let fips = asked.fips_on();
    let mut files = match flavor {
        Flavor::FipsProxy => Vec::new(),
        _ => agent_files(request, &asked, agent),
    };
    files.extend(helper(request).filter(|_| flavor != Flavor::FipsProxy));
    let mut memberships = Vec::new();
    if asked.proxy_on() {
        files.push(FileWish {
            path: PROXY_CFG,
            content: Content::Vendor { example: PROXY_CFG_EXAMPLE, reset: request.reset_proxy_config },
            rights: AGENT_FILE,
            read_by: Some(PROXY_UNIT),
        });
    }
    // Where systemd runs, or will: an image.
    if fips && matches!(facts.init, Init::Systemd | Init::None) {
        files.push(proxy_logs()?);
        memberships.push((AGENT_USER, JOURNAL_GROUP));
    }
    if flavor == Flavor::FipsAgent {
        files.push(FileWish {
            path: ENVIRONMENT,
            content: Content::Variables(&[("GOFIPS", "1")]),
            rights: ROOT_FILE,
            read_by: Some(AGENT_UNIT),
        });
    }
    if collector(request) {
        files.push(FileWish {
            path: COLLECTOR_CONFIG,
            content: Content::Edits { base: Base::Example(COLLECTOR_EXAMPLE), wishes: Vec::new() },
            rights: AGENT_FILE,
            read_by: Some(AGENT_UNIT),
        });
    }
    if flavor.is_agent() {
        files.push(FileWish {
            path: INSTALL_INFO,
            content: Content::Note(Template::InstallInfo.render(context! { version => env!("CARGO_PKG_VERSION") })?),
            rights: PUBLIC_FILE,
            read_by: None,
        });
    }
    if request.no_agent_install {
        without_agent(&mut files);
    }
    let mut units = if request.no_agent_install { Vec::new() } else { units(&asked, agent) };
    if facts.init == Init::Sysv {
        units.retain(|unit| unit.name != SYSPROBE_UNIT);
    }
    let starts = facts.profile == Profile::Host && facts.init != Init::None;
    let start = starts && !asked.install_only && !asked.no_key && !request.no_agent_install;
    let packages = packages(request, &asked, facts.distribution.family == Family::Debian);
    Ok(Desired { packages, files, memberships, units, init: facts.init, profile: facts.profile, start, asked })
}

/// The helper of the secret backend, where it is ours to put in place.
fn helper(request: &Request) -> Option<FileWish> {
    let program = match (request.values.text("secret_backend_helper"), request.values.text("secret_backend_folder")) {
        (Some(path), _) => Some(path.to_owned()),
        (None, Some(_)) => None,
        (None, None) => return None,
    };
    let by_group = request.values.bool("secret_backend_command_allow_group_exec_perm") == Some(true);
    let rights = if by_group { GROUP_HELPER_FILE } else { HELPER_FILE };
    // The Agent runs it anew each time: no unit must be restarted for it.
    Some(FileWish { path: HELPER, content: Content::Program(program), rights, read_by: None })
}

fn collector(request: &Request) -> bool {
    request.values.bool("otelcollector_enabled") == Some(true)
}

/// Neither the Agent's user nor its examples are there.
fn without_agent(files: &mut Vec<FileWish>) {
    files.retain(|file| matches!(file.content, Content::Edits { .. }));
    for file in files {
        file.rights = PRIVATE_FILE;
        file.read_by = None;
        if let Content::Edits { base: base @ Base::Example(_), .. } = &mut file.content {
            *base = Base::Text(String::new());
        }
    }
}

/// `keys`: whether the vendor has a package that brings the signing keys up to date, which is so for apt only.
fn packages(request: &Request, asked: &Asked, keys: bool) -> Vec<PackageWish> {
    if request.no_agent_install && !keys {
        return Vec::new();
    }
    if request.no_agent_install {
        // Its package brings the repository's keys up to date later on.
        return vec![PackageWish { name: SIGNING_KEYS, version: Wanted::Any }];
    }
    let wanted = |pin: Option<Pin>| match pin {
        Some(pin) => Wanted::Pinned(pin),
        None if request.upgrade => Wanted::Newest,
        None => Wanted::Any,
    };
    let mut packages = Vec::new();
    if asked.flavor() != Flavor::FipsProxy {
        packages.push(PackageWish { name: asked.flavor().package(), version: wanted(request.agent_pin.clone()) });
    }
    if asked.proxy_on() {
        packages.push(PackageWish { name: PROXY, version: wanted(request.proxy_pin.clone()) });
    }
    if collector(request) {
        packages.push(PackageWish { name: COLLECTOR, version: wanted(request.agent_pin.clone()) });
    }
    if keys {
        packages.push(PackageWish { name: SIGNING_KEYS, version: Wanted::Along });
    }
    packages
}

fn units(asked: &Asked, agent: Option<&Version>) -> Vec<UnitWish> {
    let security = (asked.cws_on() || asked.compliance_on()) && agent.is_none_or(|v| *v < FIRST_WITHOUT_SECURITY_AGENT);
    let mut units = Vec::new();
    if asked.proxy_on() {
        units.push(UnitWish { name: PROXY_UNIT, must_run: true });
    }
    match asked.flavor() {
        Flavor::FipsProxy => return units,
        Flavor::Dogstatsd => {
            units.push(UnitWish { name: DOGSTATSD_UNIT, must_run: true });
            return units;
        }
        _ => units.push(UnitWish { name: AGENT_UNIT, must_run: true }),
    }
    if asked.flavor().has_system_probe() {
        units.push(UnitWish { name: SYSPROBE_UNIT, must_run: asked.cws_on() });
        units.push(UnitWish { name: SECURITY_UNIT, must_run: security });
    }
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
        when: None,
        drops: false,
        why: "the Agent collects the proxy's log from the journal",
    };
    Ok(FileWish {
        path: PROXY_LOGS,
        content: Content::Edits { base: Base::Text(text), wishes: vec![wish] },
        rights: AGENT_FILE,
        read_by: Some(AGENT_UNIT),
    })
}
