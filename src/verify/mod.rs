//! Proof: checks derived from the desired state, against the live host, not against what apply believes.
//! What cannot be read is `unknown`, never guessed.

mod bypass;
mod container;
mod files;
mod proxy;
mod services;

use std::thread;
use std::time::SystemTime;

use serde::Serialize;

use crate::current::Current;
use crate::desired::Desired;
use crate::facts::Facts;
use crate::host::{Host, system};
use crate::types::{Flavor, Profile};

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
}

impl Check {
    fn new(id: impl Into<String>, title: impl Into<String>, expected: impl Into<String>) -> Check {
        let (id, title, expected) = (id.into(), title.into(), expected.into());
        Check { id, title, status: Status::Unknown, seen: String::new(), expected, hint: None }
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
    pub host: HostName,
    /// The worst status of all checks.
    pub status: Status,
    pub checks: Vec<Check>,
}

/// Which host was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct HostName {
    pub name: String,
    pub distribution: String,
    pub kernel: String,
    pub architecture: String,
}

impl HostName {
    fn of(facts: &Facts) -> HostName {
        HostName {
            name: system::hostname().unwrap_or_default(),
            distribution: facts.distribution.name.clone(),
            kernel: facts.kernel.clone(),
            architecture: facts.architecture.clone(),
        }
    }
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
}

/// Looks at everything that the desired state says. `current` must have been read just now.
pub fn verify(host: &Host, facts: &Facts, desired: &Desired, current: &Current, reach: Reach) -> Verification {
    let checks = thread::scope(|scope| {
        // The journal takes as long as all the rest: it is read beside it.
        let journal = scope.spawn(|| proxy::journal(host, desired, current));
        let mut checks = Vec::new();
        checks.extend(services::packages(desired, current));
        checks.extend(files::repository(host));
        checks.extend(files::files(desired, current));
        checks.extend(key(desired));
        if facts.profile == Profile::Container {
            checks.extend(container::processes(host, desired, current));
        } else {
            checks.extend(services::journald(host, desired, current));
            checks.extend(services::units(facts, desired, current));
        }
        if desired.asked.fips_on() {
            checks.extend(bypass::checks(host, current));
        }
        if desired.asked.proxy_on() {
            checks.extend(proxy::checks(facts, desired, current, reach));
            checks.extend(journal.join().unwrap_or_default());
        }
        if facts.profile == Profile::Image {
            let check =
                Check::new("kernel", "the kernel is fit for what was asked for", "looked at where the image runs");
            checks.push(check.skipped("an image has no kernel; the one that runs here is another's"));
        } else if desired.asked.proxy_on() || desired.asked.flavor() == Flavor::FipsAgent {
            checks.push(services::kernel_fips(facts));
        }
        if desired.asked.cws_on() {
            checks.extend(services::cws(host, facts));
        }
        checks
    });
    let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    Verification { at, host: HostName::of(facts), status, checks }
}

/// An image is complete but for its key, and says so.
fn key(desired: &Desired) -> Option<Check> {
    let check = Check::new("config.api_key", "there is an API key", "brought by the first start");
    desired.asked.no_key.then(|| check.skipped("still to come: `ddinstall install` with DD_API_KEY brings it"))
}
