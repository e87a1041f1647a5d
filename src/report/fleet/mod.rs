//! Many hosts' verifications, merged: which hosts fail which check, what versions there are, where hosts differ.
//! A host costs some hundred bytes, whatever its result holds; everything of a result is taken for hostile.

mod documents;
mod summary;
mod text;

pub use documents::{Documents, Piece};
pub use summary::Summary;
pub use text::{html, text};

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::Redactor;
use crate::verify::Status;

/// Checks that are told apart, and differing values of each; what comes beyond is counted together.
const CHECKS: usize = 1000;
const VALUES: usize = 64;
/// Results that could not be read and are named; further ones are counted.
const UNREAD: usize = 10_000;
/// Characters of a text that are kept.
const LONGEST: usize = 300;

/// Hosts by their number.
type Hosts = Vec<u32>;

/// What differing hosts have of one thing.
#[derive(Debug, Default)]
struct Spread {
    values: Vec<(Box<str>, Hosts)>,
    /// Hosts with values beyond [`VALUES`].
    others: Hosts,
}

impl Spread {
    fn add(&mut self, value: &str, host: u32) {
        let hosts = match self.values.iter().position(|(known, _)| **known == *value) {
            Some(i) => &mut self.values[i].1,
            None if self.values.len() < VALUES => {
                self.values.push((value.into(), Hosts::new()));
                &mut self.values.last_mut().expect("it was pushed just now").1
            }
            None => &mut self.others,
        };
        hosts.push(host);
    }
}

/// One check, over all hosts.
#[derive(Debug)]
struct Tally {
    id: Box<str>,
    title: Box<str>,
    passed: u32,
    skipped: u32,
    warned: Hosts,
    unknown: Hosts,
    failed: Hosts,
    /// What was seen where it failed or is unknown.
    seen: Spread,
    hint: Option<Box<str>>,
    /// What was seen wherever it was looked at, for checks that read a value which hosts may share.
    values: Spread,
}

/// What is known of all hosts so far.
#[derive(Debug, Default)]
pub struct Fleet {
    names: Vec<Box<str>>,
    /// Names that came before, as they are without their file.
    known: HashSet<Box<str>>,
    repeated: BTreeMap<Box<str>, u32>,
    /// Hosts whose worst check is that.
    pass: u32,
    warn: u32,
    unknown: u32,
    fail: u32,
    checks: Vec<Tally>,
    by_id: BTreeMap<Box<str>, usize>,
    /// Results of checks beyond [`CHECKS`].
    beyond: u64,
    /// Distribution, kernel, architecture, version of ddinstall.
    about: [Spread; 4],
    unread: Vec<(Box<str>, Box<str>)>,
    unnamed: u64,
    from: Box<str>,
    to: Box<str>,
}

/// The names of [`Fleet::about`].
const ABOUT: [&str; 4] = ["distribution", "kernel", "architecture", "ddinstall"];

impl Fleet {
    /// Adds a result: a document of `verify` or `install`. `file` is how the operator calls the host; where that says
    /// nothing, the result says it. `place` is where the document stands.
    pub fn add(&mut self, file: Option<&str>, place: &str, document: &[u8]) {
        if let Err(why) = self.try_add(file, document) {
            self.unread(place, &why);
        }
    }

    /// Counts a result that could not be read.
    pub fn unread(&mut self, place: &str, why: &str) {
        match self.unread.len() < UNREAD {
            true => self.unread.push((plain(place), clean(why))),
            false => self.unnamed += 1,
        }
    }

    /// Whether nothing came at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.unread.is_empty()
    }

    fn try_add(&mut self, file: Option<&str>, document: &[u8]) -> Result<(), String> {
        let result: Value = serde_json::from_slice(document).map_err(|why| format!("it is no valid JSON: {why}"))?;
        let verify = &result["verify"];
        let checks = verify["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
        if checks.is_empty() {
            return Err(match result["error"]["what"].as_str() {
                Some(what) => format!("the host was not verified: {what}"),
                None => "it holds no verification; `ddinstall verify --format json` writes one".into(),
            });
        }
        let own = verify["host"]["name"].as_str().unwrap_or_default();
        let host = u32::try_from(self.names.len()).map_err(|_| "there are too many results")?;
        self.name(file, own);
        let about = ["distribution", "kernel", "architecture"].map(|key| verify["host"][key].as_str());
        let [distribution, kernel, architecture] = about;
        for (spread, value) in
            self.about.iter_mut().zip([distribution, kernel, architecture, result["ddinstall"].as_str()])
        {
            spread.add(&plain(value.unwrap_or("not said")), host);
        }
        let mut worst = status(verify["status"].as_str());
        for check in checks {
            let status = status(check["status"].as_str());
            worst = worst.max(status);
            self.check(host, check, status);
        }
        if verify["chosen"].is_object() {
            worst = worst.max(Status::Unknown);
            let partial = serde_json::json!({
                "id": "verify.chosen",
                "title": "every check was made",
                "seen": "only chosen ones",
                "hint": "run `ddinstall verify` without --only and --skip",
            });
            self.check(host, &partial, Status::Unknown);
        }
        *match worst {
            Status::Pass | Status::Skipped => &mut self.pass,
            Status::Warn => &mut self.warn,
            Status::Unknown => &mut self.unknown,
            Status::Fail => &mut self.fail,
        } += 1;
        self.time(verify["at"].as_str().unwrap_or_default());
        Ok(())
    }

    fn name(&mut self, file: Option<&str>, own: &str) {
        let own = plain(own);
        let name: Box<str> = match file.map(plain) {
            Some(file) if own.is_empty() || *file == *own || file.starts_with(&format!("{own}.")) => file,
            Some(file) => format!("{file} ({own})").into(),
            None if own.is_empty() => format!("result {}", self.names.len() + 1).into(),
            None => own,
        };
        if !self.known.insert(name.clone()) {
            *self.repeated.entry(name.clone()).or_insert(1) += 1;
        }
        self.names.push(name);
    }

    /// Times of the form 2026-11-21T10:00:00Z sort as text.
    fn time(&mut self, at: &str) {
        if at.len() != 20 || !at.ends_with('Z') {
            return;
        }
        if self.from.is_empty() || *at < *self.from {
            self.from = plain(at);
        }
        if *at > *self.to {
            self.to = plain(at);
        }
    }

    fn check(&mut self, host: u32, check: &Value, status: Status) {
        let text = |key: &str| check[key].as_str().unwrap_or_default();
        let id = text("id");
        let at = match self.by_id.get(id) {
            Some(at) => *at,
            None if self.checks.len() >= CHECKS => {
                self.beyond += 1;
                return;
            }
            None => {
                self.by_id.insert(id.chars().take(LONGEST).collect::<String>().into(), self.checks.len());
                self.checks.push(Tally::new(id, text("title")));
                self.checks.len() - 1
            }
        };
        let tally = &mut self.checks[at];
        if status != Status::Skipped && is_shared(id) {
            tally.values.add(&plain(text("seen")), host);
        }
        match status {
            Status::Pass => tally.passed += 1,
            Status::Skipped => tally.skipped += 1,
            Status::Warn => tally.warned.push(host),
            Status::Unknown => tally.unknown.push(host),
            Status::Fail => tally.failed.push(host),
        }
        if status >= Status::Warn {
            tally.seen.add(&clean(text("seen")), host);
            if tally.hint.is_none() {
                tally.hint = check["hint"].as_str().map(clean);
            }
        }
    }
}

impl Tally {
    fn new(id: &str, title: &str) -> Tally {
        Tally {
            id: plain(id),
            title: clean(title),
            passed: 0,
            skipped: 0,
            warned: Hosts::new(),
            unknown: Hosts::new(),
            failed: Hosts::new(),
            seen: Spread::default(),
            hint: None,
            values: Spread::default(),
        }
    }
}

/// A word that is none of ours says nothing good.
fn status(word: Option<&str>) -> Status {
    match word {
        Some("pass") => Status::Pass,
        Some("skipped") => Status::Skipped,
        Some("warn") => Status::Warn,
        Some("fail") => Status::Fail,
        _ => Status::Unknown,
    }
}

/// Whether what a check has seen is a value that hosts may have in common: a version, a setting, a hash.
fn is_shared(id: &str) -> bool {
    id.starts_with("package.") || id.starts_with("config.") || ["proxy.config", "repository.keyring"].contains(&id)
}

/// A name or a value, short and without what steers a terminal.
fn plain(text: &str) -> Box<str> {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(LONGEST).map(shown).collect::<String>().into()
}

/// A sentence: the same, on one line, and without what looks like a secret.
fn clean(text: &str) -> Box<str> {
    let short: String = text.chars().take(LONGEST).collect();
    plain(&Redactor::default().text(&short).replace('\n', " "))
}
