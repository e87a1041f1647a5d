//! What may be behind a check that does not hold, and what mends it. `doctor` puts these in order.

use serde::Serialize;

/// A cause, in the order of explanation: an earlier one may be behind a later one, never the other way round.
/// Its name in the JSON form is a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Something could only be seen by root.
    NotRoot,
    AgentTooOld,
    PackageMissing,
    /// A package that is half-installed, or whose program is gone.
    PackageBroken,
    DiskFull,
    /// A configuration file that is no YAML.
    FileBroken,
    FileMissing,
    /// Owner or mode of a file.
    FileRights,
    NoApiKey,
    UnitMasked,
    NoAuthorities,
    PortTaken,
    ProxyConfigChanged,
    /// The Agent looks for the proxy on other ports, or at another address.
    PortRange,
    FipsOff,
    FipsHttps,
    CwsOff,
    WrongSite,
    /// A variable of the Agent's units says otherwise than its files.
    EnvironmentOverride,
    ServiceFailed,
    ServiceDown,
    /// A program runs with another configuration than its files have.
    NotRestarted,
    LocalFirewall,
    LocalhostName,
    Dns,
    TlsRefused,
    IntakeBlocked,
    IntakeRefused,
    IntakeBroken,
    KeyRefused,
    CannotSend,
    FurtherEndpoints,
    UnrelayedProduct,
    DirectConnection,
    JournalGroup,
    JournalAccess,
    ServiceDisabled,
    /// Any other setting that is not as asked for.
    Setting,
    // What is worth knowing, without a check that fails.
    OpenProxy,
    Repository,
    Cws,
    Kernel,
}

/// How a cause is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// `ddinstall install` does it: plan, apply, receipt.
    Fix,
    /// A line for the shell: it decides what is the operator's to decide.
    Command(String),
    /// Nothing on this host alone does it; the check's hint says what to do.
    Hand,
}

/// Checks that fail where the proxy cannot reach the intake.
const INTAKE: &[&str] = &[
    "proxy.intake",
    "proxy.backends",
    "proxy.tls",
    "proxy.journal",
    "proxy.dns",
    "agent.diagnose",
    "agent.delivery",
    "agent.log",
];
/// Checks that fail where the Agent cannot reach the proxy.
const PROXY: &[&str] =
    &["proxy.", "unit.datadog-fips-proxy", "agent.diagnose", "agent.delivery", "agent.log", "journald.group"];
/// Checks that fail where the Agent does not run.
const AGENT: &[&str] = &["unit.", "agent.", "cws.module", "journald.group", "bypass.connections"];
/// Checks that fail where the Agent runs with other settings.
const SETTINGS: &[&str] = &["agent.", "bypass.connections", "unit.datadog-agent-", "cws.module"];
const SENDING: &[&str] = &["agent.diagnose", "agent.delivery", "agent.log"];

impl Cause {
    /// In plain words.
    pub fn title(self) -> &'static str {
        match self {
            Cause::NotRoot => "not everything could be seen",
            Cause::PackageMissing => "a package is not installed",
            Cause::PackageBroken => "a package is damaged",
            Cause::AgentTooOld => "the Agent is too old",
            Cause::DiskFull => "a disk is full",
            Cause::FileBroken => "a configuration file cannot be read by the Agent",
            Cause::FileMissing => "a file is missing",
            Cause::FileRights => "a file has the wrong owner or mode",
            Cause::NoApiKey => "the Agent has no API key",
            Cause::UnitMasked => "a service is masked: systemd will not start it",
            Cause::NoAuthorities => "the host has no certificate authorities to check the intake with",
            Cause::PortTaken => "another process holds a port of the proxy",
            Cause::ProxyConfigChanged => "the proxy's configuration is not the vendor's",
            Cause::PortRange => "the Agent looks for the proxy where it is not",
            Cause::FipsOff => "the Agent is not told to use the proxy",
            Cause::FipsHttps => "the Agent speaks TLS to the proxy's plain ports",
            Cause::CwsOff => "CWS is not turned on",
            Cause::WrongSite => "the Agent is set to another site",
            Cause::EnvironmentOverride => "a variable overrides the Agent's files",
            Cause::ServiceFailed => "a service failed",
            Cause::ServiceDown => "a service does not run",
            Cause::NotRestarted => "a service runs with an older configuration",
            Cause::LocalFirewall => "a local firewall stands between the Agent and the proxy",
            Cause::LocalhostName => "the name localhost leads elsewhere",
            Cause::Dns => "the names of the intake cannot be resolved",
            Cause::TlsRefused => "the proxy does not accept the intake's certificate",
            Cause::IntakeBlocked => "the proxy's connections to the intake get no answer",
            Cause::IntakeRefused => "the proxy's connections to the intake are refused",
            Cause::IntakeBroken => "the intake takes connections and does not answer as it should",
            Cause::KeyRefused => "the intake does not accept the API key",
            Cause::CannotSend => "the Agent cannot send",
            Cause::FurtherEndpoints => "the Agent also sends to endpoints outside the proxy",
            Cause::UnrelayedProduct => "a product is on that the proxy does not relay",
            Cause::DirectConnection => "a process of the Agent is connected past the proxy",
            Cause::JournalGroup => "the Agent may not read the journal",
            Cause::JournalAccess => "the journal cannot be read",
            Cause::ServiceDisabled => "a service does not start with the host",
            Cause::Setting => "a setting is not as asked for",
            Cause::OpenProxy => "the proxy can be reached from other hosts",
            Cause::Repository => "updates cannot be trusted, or do not come",
            Cause::Cws => "CWS lacks something",
            Cause::Kernel => "the kernel's cryptography is not in FIPS mode",
        }
    }

    /// Whether it may be the mere outcome of another cause; others stand beside each other.
    pub fn is_symptom(self) -> bool {
        matches!(
            self,
            Cause::ServiceFailed
                | Cause::ServiceDown
                | Cause::NotRestarted
                | Cause::IntakeBlocked
                | Cause::IntakeRefused
                | Cause::IntakeBroken
                | Cause::CannotSend
                | Cause::DirectConnection
                | Cause::JournalGroup
                | Cause::Setting
                | Cause::Cws
        )
    }

    /// Beginnings of the ids of checks that fail with it.
    pub fn explains(self) -> &'static [&'static str] {
        match self {
            Cause::PackageMissing | Cause::PackageBroken | Cause::AgentTooOld | Cause::DiskFull => &[""],
            Cause::FileBroken => {
                &["file.", "config.", "bypass.", "unit.datadog-agent", "agent.", "cws.module", "journald.group"]
            }
            Cause::NoApiKey => AGENT,
            Cause::FileMissing | Cause::FileRights | Cause::UnitMasked | Cause::ServiceFailed | Cause::ServiceDown => {
                &["unit.", "agent.", "proxy.", "cws.module", "journald.group", "bypass.connections"]
            }
            Cause::NoAuthorities | Cause::PortTaken | Cause::ProxyConfigChanged | Cause::LocalFirewall => PROXY,
            Cause::PortRange
            | Cause::FipsOff
            | Cause::FipsHttps
            | Cause::CwsOff
            | Cause::WrongSite
            | Cause::EnvironmentOverride => SETTINGS,
            Cause::NotRestarted => &["agent.", "bypass.connections"],
            Cause::LocalhostName => SENDING,
            Cause::Dns | Cause::TlsRefused | Cause::IntakeBlocked | Cause::IntakeRefused | Cause::IntakeBroken => {
                INTAKE
            }
            Cause::KeyRefused | Cause::CannotSend => SENDING,
            Cause::FurtherEndpoints | Cause::UnrelayedProduct => &["bypass.connections"],
            _ => &[],
        }
    }
}
