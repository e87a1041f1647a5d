//! What is said of a fleet, in the order in which it matters.

use serde::Serialize;

use super::{ABOUT, Fleet, Hosts, Spread, Tally};

/// Hosts by how they ended, and results that are of none.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    /// Results that were read.
    pub all: usize,
    pub pass: u32,
    pub warn: u32,
    pub unknown: u32,
    pub fail: u32,
    /// Results that could not be read.
    pub unread: u64,
}

/// Some hosts: how many, and the first of them.
#[derive(Debug, Default, Serialize)]
pub struct Who<'a> {
    pub hosts: usize,
    pub names: Vec<&'a str>,
}

/// A value, and who has it.
#[derive(Debug, Serialize)]
pub struct Shared<'a> {
    pub value: &'a str,
    pub hosts: usize,
    /// The first of them. None of those who have what most have: nobody looks for them.
    pub names: Vec<&'a str>,
}

/// One check, over all hosts.
#[derive(Debug, Serialize)]
pub struct Finding<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub pass: u32,
    pub skipped: u32,
    pub warn: Who<'a>,
    pub unknown: Who<'a>,
    pub fail: Who<'a>,
    /// What was seen where it did not pass, the most frequent first.
    pub seen: Vec<Shared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
}

/// The values of one thing, the most frequent first.
#[derive(Debug, Serialize)]
pub struct Values<'a> {
    pub what: &'a str,
    pub values: Vec<Shared<'a>>,
}

/// A result that could not be read.
#[derive(Debug, Serialize)]
pub struct Unread<'a> {
    pub name: &'a str,
    pub why: &'a str,
}

/// A name that several results bear.
#[derive(Debug, Serialize)]
pub struct Repeated<'a> {
    pub name: &'a str,
    pub results: u32,
}

/// All of it. As JSON, its form is a promise to scripts (README, "Fleets").
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    pub format: u32,
    pub ddinstall: &'a str,
    pub command: &'a str,
    pub hosts: Counts,
    /// The time of the oldest result, and of the newest: RFC 3339, UTC.
    pub from: &'a str,
    pub to: &'a str,
    /// Every check: those that fail most in front.
    pub checks: Vec<Finding<'a>>,
    /// Results of checks that are not listed, since there are too many.
    pub beyond: u64,
    pub versions: Vec<Values<'a>>,
    /// Values that not all hosts have in common.
    pub drift: Vec<Values<'a>>,
    pub repeated: Vec<Repeated<'a>>,
    pub unread: Vec<Unread<'a>>,
    pub exit_code: u8,
}

impl Fleet {
    /// The summary, with at most `names` hosts named for each finding.
    pub fn summary(&self, names: usize) -> Summary<'_> {
        let hosts = Counts {
            all: self.names.len(),
            pass: self.pass,
            warn: self.warn,
            unknown: self.unknown,
            fail: self.fail,
            unread: self.unread.len() as u64 + self.unnamed,
        };
        let mut checks: Vec<Finding> = self.checks.iter().map(|tally| self.finding(tally, names)).collect();
        let weight = |f: &Finding| (f.fail.hosts, f.unknown.hosts, f.warn.hosts);
        checks.sort_by_key(|finding| std::cmp::Reverse(weight(finding)));
        let about = ABOUT.iter().zip(&self.about).map(|(what, spread)| self.values(what, spread, names));
        let of_checks = |packages: bool| {
            let wanted = move |tally: &&Tally| tally.id.starts_with("package.") == packages;
            self.checks.iter().filter(wanted).map(move |tally| self.values(&tally.id, &tally.values, names))
        };
        let bad = hosts.unknown > 0 || hosts.fail > 0 || hosts.unread > 0;
        Summary {
            format: 1,
            ddinstall: env!("CARGO_PKG_VERSION"),
            command: "report",
            hosts,
            from: &self.from,
            to: &self.to,
            checks,
            beyond: self.beyond,
            versions: of_checks(true).chain(about).filter(|values| !values.values.is_empty()).collect(),
            drift: of_checks(false).filter(|values| values.values.len() > 1).collect(),
            repeated: self.repeated.iter().map(|(name, results)| Repeated { name, results: *results }).collect(),
            unread: self.unread.iter().map(|(name, why)| Unread { name, why }).collect(),
            exit_code: if bad { crate::error::Kind::Verification.exit_code() } else { 0 },
        }
    }

    fn finding<'a>(&'a self, tally: &'a Tally, names: usize) -> Finding<'a> {
        Finding {
            id: &tally.id,
            title: &tally.title,
            pass: tally.passed,
            skipped: tally.skipped,
            warn: self.who(&tally.warned, names),
            unknown: self.who(&tally.unknown, names),
            fail: self.who(&tally.failed, names),
            // Who they are is said above.
            seen: self.values("", &tally.seen, 0).values,
            hint: tally.hint.as_deref(),
        }
    }

    fn who(&self, hosts: &Hosts, names: usize) -> Who<'_> {
        let name = |host: &u32| self.names.get(*host as usize).map(|name| &**name);
        Who { hosts: hosts.len(), names: hosts.iter().filter_map(name).take(names).collect() }
    }

    fn values<'a>(&'a self, what: &'a str, spread: &'a Spread, names: usize) -> Values<'a> {
        let mut known: Vec<(&str, &Hosts)> = spread.values.iter().map(|(value, hosts)| (&**value, hosts)).collect();
        known.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
        if !spread.others.is_empty() {
            known.push(("other values", &spread.others));
        }
        let shared = |(i, (value, hosts)): (usize, (&'a str, &Hosts))| {
            let Who { hosts, names } = self.who(hosts, if i == 0 { 0 } else { names });
            Shared { value, hosts, names }
        };
        Values { what, values: known.into_iter().enumerate().map(shared).collect() }
    }
}
