//! Proof: checks derived from the desired state, against the live host, not against what apply believes.
//! What cannot be read is `unknown`, never guessed.

mod agent;
mod bypass;
pub mod catalogue;
pub mod cause;
mod container;
mod cws;
mod environment;
mod files;
mod firewall;
mod platform;
mod proxy;
mod services;
mod statistics;

pub use agent::{PROGRAM as AGENT_PROGRAM, as_agent};

use std::thread;
use std::time::SystemTime;

use serde::Serialize;

use crate::current::Current;
use crate::desired::{AGENT_UNIT, Desired};
use crate::facts::Facts;
use crate::host::services::restart_command;
use crate::host::{Host, system};
use crate::types::{Flavor, Profile};

pub use catalogue::{CATALOGUE, Choice};
pub use cause::{Cause, Mend};
pub use proxy::Port;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    /// Not looked at, with the reason in `seen`.
    Skipped,
    /// True, and worth knowing.
    Warn,
    /// It could not be read.
    Unknown,
    Fail,
}

/// One statement about the host.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Stable name, for scripts: `proxy.ports`.
    pub id: String,
    pub title: String,
    pub status: Status,
    pub seen: String,
    pub expected: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is behind it, where it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    #[serde(skip)]
    pub mend: Option<Mend>,
    /// Where it is written that this must be so.
    pub source: &'static str,
    /// NIST SP 800-53 controls that it speaks for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub controls: &'static [&'static str],
}

impl Check {
    fn new(id: impl Into<String>, title: impl Into<String>, expected: impl Into<String>) -> Check {
        let (id, title, expected) = (id.into(), title.into(), expected.into());
        let (source, controls) = catalogue::of(&id).map_or(("", &[][..]), |row| (row.source, row.controls));
        let (status, seen) = (Status::Unknown, String::new());
        Check { id, title, status, seen, expected, hint: None, cause: None, mend: None, source, controls }
    }

    /// A check with the title that stands in the catalogue.
    fn of(id: &'static str, expected: impl Into<String>) -> Check {
        Check::new(id, catalogue::of(id).map_or(id, |row| row.title), expected)
    }

    /// What is behind a failure or a warning, and what mends it.
    fn because(mut self, cause: Cause, mend: Mend) -> Check {
        (self.cause, self.mend) = (Some(cause), Some(mend));
        self
    }

    fn ends(mut self, status: Status, seen: impl Into<String>) -> Check {
        self.status = status;
        self.seen = seen.into();
        self
    }

    fn passes(self, seen: impl Into<String>) -> Check {
        self.ends(Status::Pass, seen)
    }

    fn fails(self, seen: impl Into<String>, hint: impl Into<String>) -> Check {
        let mut check = self.ends(Status::Fail, seen);
        check.hint = Some(hint.into());
        check
    }

    fn warns(self, seen: impl Into<String>, hint: impl Into<String>) -> Check {
        let mut check = self.ends(Status::Warn, seen);
        check.hint = Some(hint.into());
        check
    }

    fn unknown(self, why: impl Into<String>) -> Check {
        let mut check = self.ends(Status::Unknown, why);
        check.hint = Some("run as root to see it".into());
        check.because(Cause::NotRoot, Mend::Command("sudo ddinstall doctor".into()))
    }

    /// It could not be read, and not for want of rights.
    fn unclear(self, why: impl Into<String>, hint: impl Into<String>) -> Check {
        let mut check = self.ends(Status::Unknown, why);
        check.hint = Some(hint.into());
        check
    }

    fn skipped(self, why: impl Into<String>) -> Check {
        self.ends(Status::Skipped, why)
    }
}

/// The proof, or what is missing of it.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// When it was looked at: RFC 3339, UTC.
    pub at: String,
    pub tool: Tool,
    pub host: HostName,
    /// Where not every check was wanted: it proves no more than it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Choice>,
    /// The worst status of all checks.
    pub status: Status,
    pub checks: Vec<Check>,
    /// The proxy's ports, each with its product and who holds it. Empty where no proxy is wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The files that this host was held against.
    pub files: Vec<FileHash>,
    /// What no check here covers, as the vendor's pages say it.
    pub not_covered: Vec<String>,
}

/// What looked.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    pub name: &'static str,
    pub version: &'static str,
}

/// A file that was read.
#[derive(Debug, Clone, Serialize)]
pub struct FileHash {
    pub path: String,
    /// None where it could not be read, or holds a secret that the hash would help to guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub owner: u32,
    pub group: u32,
    /// Octal, as `0640`.
    pub mode: String,
    pub bytes: u64,
}

/// Which host was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct HostName {
    pub name: String,
    pub distribution: String,
    pub kernel: String,
    pub architecture: String,
    /// Tells this machine from others. Made of /etc/machine-id, which itself is not to leave the host (machine-id(5)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl HostName {
    fn of(host: &Host, facts: &Facts) -> HostName {
        HostName {
            machine: system::machine_id(host).map(|id| derived(&id)),
            name: system::hostname().unwrap_or_default(),
            distribution: facts.distribution.name.clone(),
            kernel: facts.kernel.clone(),
            architecture: facts.architecture.clone(),
        }
    }
}

/// A UUID of a machine id. (32 digits in a row would look like a key, and be taken out.)
fn derived(id: &str) -> String {
    let hash = system::sha256_hex(format!("ddinstall:{id}").as_bytes());
    [&hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]].join("-")
}

impl Verification {
    /// Whether the host is what it was asked to be: nothing failed, nothing is unknown.
    pub fn holds(&self) -> bool {
        self.status < Status::Unknown
    }

    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.status >= Status::Unknown)
    }
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This host only; nothing leaves it.
    Local,
    /// Through the proxy to the intake.
    Intake,
    /// And what the running Agent says of itself.
    Agent,
}

/// Looks at everything that the desired state says and that is chosen. `current` must have been read just now.
pub fn verify(
    host: &Host,
    facts: &Facts,
    desired: &Desired,
    current: &Current,
    reach: Reach,
    choice: &Choice,
) -> Verification {
    let look = Look { host, facts, desired, current, reach, choice };
    let proxy_on = desired.asked.proxy_on();
    let mut ports = Vec::new();
    let mut checks = thread::scope(|scope| {
        // What children say takes as long as all the rest: they run beside it.
        let journal = scope.spawn(|| choice.takes("proxy.journal").then(|| proxy::journal(&look)).flatten());
        let status = scope.spawn(|| agent::status(&look));
        let diagnosis = scope.spawn(|| agent::diagnosis(&look));
        let mut checks = platform::checks(&look);
        checks.extend(services::packages(desired, current));
        checks.extend(platform::versions(&look));
        checks.extend(files::repository(host));
        checks.extend(files::files(desired, current));
        checks.extend(files::key(host, desired, current));
        if facts.profile == Profile::Container {
            checks.extend(container::processes(host, desired, current));
        } else {
            checks.extend(services::journald(host, desired, current));
            checks.extend(services::units(facts, desired, current));
        }
        if desired.asked.fips_on() {
            checks.extend(bypass::checks(&look));
        }
        if proxy_on {
            ports = proxy::table(current);
            checks.extend(proxy::checks(&look));
            checks.extend(journal.join().unwrap_or_default());
        }
        checks.extend(agent::loaded(&look));
        checks.extend(status.join().unwrap_or_default());
        checks.extend(diagnosis.join().unwrap_or_default());
        checks.extend(agent::log(&look));
        if facts.profile == Profile::Image {
            let check = Check::of("kernel.fips", "looked at where the image runs");
            checks.push(check.skipped("an image has no kernel; the one that runs here is another's"));
        } else if proxy_on || desired.asked.flavor() == Flavor::FipsAgent {
            checks.push(platform::kernel_fips(facts));
            checks.push(platform::crypto_policy(host));
        }
        if desired.asked.cws_on() {
            checks.extend(cws::checks(&look));
        }
        checks
    });
    checks.retain(|check| choice.takes(&check.id));
    let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let tool = Tool { name: "ddinstall", version: env!("CARGO_PKG_VERSION") };
    let files = files::hashes(current);
    let not_covered = NOT_COVERED.iter().map(|line| (*line).to_owned()).collect();
    let chosen = (!choice.is_all()).then(|| choice.clone());
    Verification { at, tool, host: HostName::of(host, facts), chosen, status, checks, ports, files, not_covered }
}

/// What the checks look at.
#[derive(Clone, Copy)]
struct Look<'a> {
    host: &'a Host,
    facts: &'a Facts,
    desired: &'a Desired,
    current: &'a Current,
    reach: Reach,
    choice: &'a Choice,
}

impl Look<'_> {
    /// What an operator types to restart a unit of this host.
    fn restart(&self, unit: &str) -> String {
        restart_command(self.facts.init, unit)
    }

    /// Whether the running Agent is to be asked.
    fn asks_the_agent(&self) -> bool {
        self.reach == Reach::Agent
            && self.desired.asked.flavor().is_agent()
            && matches!(self.host.meta(agent::PROGRAM), Ok(Some(_)))
            && self
                .current
                .units
                .get(AGENT_UNIT)
                .is_some_and(|state| state.is_running() || !container::pids(self, state).is_empty())
    }
}

/// What the vendor's pages say is not covered (FIPS compliance page: limitations, security considerations).
const NOT_COVERED: &[&str] = &[
    "traffic of the Agent's integrations, and whatever else ends at the Agent or starts at it beside the intake",
    "what applications send to the Agent for the event platform and OpenLineage (evp_proxy_config, ol_proxy_config), which goes to the site directly",
    "communication between the Cluster Agent and node Agents",
    "serverless monitoring",
    "outbound communication to anything other than GovCloud (US1-FED)",
    "the operating environment that the certificate of the cryptographic module asks for: hardening, and the kernel's FIPS mode",
    "that the intake's addresses are the vendor's: they are listed at https://ip-ranges.ddog-gov.com/",
    "the Agent's programs themselves: that a package is the vendor's is the package manager's check of its signature",
];
