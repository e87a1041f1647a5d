//! Reads what containers are started from, and tells what is wrong with it: FIPS, CWS, rights, secrets. Pure: bytes in,
//! findings out. It never changes a file; `mended` returns the text that would be right.

pub mod capabilities;
pub mod fips;
mod helm;
mod mend;
mod model;
mod objects;
mod read;
mod rights;
pub mod rules;
mod standards;

use crate::config::yaml::places::{Change, Manifests};
use crate::config::yaml::{Refusal, Value};
use crate::secret::Secret;

use capabilities::Platform;
use mend::Mend;
use model::Workload;
use read::run::Made;

pub use mend::{FIRST_PORT, PARAMETER, PORTS, SECRET};
pub use model::{Finding, Level, Right};

/// The largest file that is read, in bytes.
pub const LIMIT: usize = 4 << 20;

/// How many bytes are read again, all changes together, before the rest is left to another run.
const WORK: usize = 16 << 20;

/// Findings of one file that are kept; a file that has more is told so.
const MOST: usize = 1000;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kubernetes,
    Helm,
    Compose,
    Ecs,
    Beanstalk,
    Run,
    Inspect,
}

impl Kind {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kubernetes => "Kubernetes manifests",
            Kind::Helm => "values of the Helm chart",
            Kind::Compose => "a Compose file",
            Kind::Ecs => "an ECS task definition",
            Kind::Beanstalk => "a Dockerrun.aws.json",
            Kind::Run => "docker run",
            Kind::Inspect => "the output of docker inspect",
        }
    }
}

/// A pod, and what the Pod Security Standards say of it.
#[derive(Debug, Clone)]
pub struct Standing {
    pub name: String,
    pub namespace: Option<String>,
    pub level: &'static str,
    /// What keeps it from the next level.
    pub against: Vec<String>,
}

/// What was found in a file.
#[derive(Debug)]
pub struct Review {
    pub kind: Kind,
    pub findings: Vec<Finding>,
    pub rights: Vec<Right>,
    pub standings: Vec<Standing>,
    /// What stands in the file and must not be shown.
    pub secrets: Vec<Secret>,
}

/// The data of a file, and where they stand.
enum Source {
    Manifests(Manifests),
    Made(Made),
}

struct Parsed {
    kind: Kind,
    source: Source,
    /// The text without what no reader of its kind would take, and what that was.
    text: String,
    found: Vec<Finding>,
}

impl Source {
    fn documents(&self) -> Vec<&Value> {
        match self {
            Source::Manifests(file) => (0..file.count()).map(|n| file.data(n)).collect(),
            Source::Made(made) => vec![&made.data],
        }
    }

    fn line(&self, document: usize, at: &str) -> usize {
        match self {
            Source::Manifests(file) => file.line(document, at),
            Source::Made(made) => made.line(at),
        }
    }

    /// Changes a document; `text` is the whole text before and after.
    fn change(&mut self, text: &mut String, document: usize, change: &Change) -> Result<(), Refusal> {
        match self {
            Source::Manifests(file) => {
                file.change(document, change)?;
                file.text().clone_into(text);
            }
            Source::Made(made) => {
                let new = made.change(text, change)?;
                *made = read::run::commands(&new)?;
                *text = new;
            }
        }
        Ok(())
    }
}

/// Reviews a file's bytes.
pub fn review(bytes: &[u8]) -> Result<Review, Refusal> {
    let parsed = parse(bytes)?;
    Ok(examine(parsed.kind, parsed.source, parsed.found).0)
}

/// The text that mends all that can be mended, and what is left then.
pub fn mended(bytes: &[u8]) -> Result<(String, Review), Refusal> {
    let state = |text: &str| -> Result<(String, Review, Source), Refusal> {
        let parsed = parse(text.as_bytes())?;
        let (review, source) = examine(parsed.kind, parsed.source, parsed.found);
        Ok((parsed.text, review, source))
    };
    let key = |finding: &Finding| format!("{} {} {} {}", finding.rule, finding.document, finding.at, finding.what);
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    // Findings that were dealt with before and came back, or could not be.
    let mut tried: Vec<String> = Vec::new();
    let mut work = WORK;
    loop {
        let (repaired, review, mut source) = state(&text)?;
        if repaired != text {
            text = repaired;
            continue;
        }
        let before = text.clone();
        let mut done: Vec<(usize, &Change)> = Vec::new();
        for finding in review.findings.iter().filter(|finding| !finding.fix.is_empty()) {
            // What is removed moves what stands behind it, so it goes alone.
            let removes = finding.fix.iter().any(|change| matches!(change, Change::Remove(_)));
            // What another finding has just set waits until that is read again.
            let is_set = |change: &Change| {
                let Change::Put(at, value) = change else { return false };
                done.iter().any(|(document, done)| {
                    matches!(done, Change::Put(place, other) if *document == finding.document && place == at && other != value)
                })
            };
            let key = key(finding);
            if tried.contains(&key) || removes && !done.is_empty() || finding.fix.iter().any(is_set) {
                continue;
            }
            tried.push(key);
            let old = text.clone();
            let changes: Vec<(usize, &Change)> = finding.fix.iter().map(|change| (finding.document, change)).collect();
            for (_, change) in changes.iter().filter(|change| !done.contains(change)) {
                let Some(left) = work.checked_sub(text.len()) else { return Ok((before, review)) };
                work = left;
                if source.change(&mut text, finding.document, change).is_err() {
                    // All changes of a finding, or none.
                    text = old;
                    source = state(&text)?.2;
                    break;
                }
            }
            done.extend(changes);
            if removes {
                break;
            }
        }
        if text == before {
            return Ok((text, review));
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let refuse = |why: &str, hint: &str| Refusal { line: None, why: why.into(), hint: hint.into() };
    if bytes.len() > LIMIT {
        return Err(refuse(
            &format!("larger than {} MB", LIMIT >> 20),
            "no such document is that large; name the right file",
        ));
    }
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    // A manifest may quote a command: a text is one only where it is no document, nor begins as one.
    match documents(bytes, text) {
        Ok(Some(parsed)) => return Ok(parsed),
        Err(why) if !read::run::is_command(text) || begins_as_document(text) => return Err(why),
        _ => {}
    }
    if !read::run::is_command(text) {
        let hint = "Kubernetes manifests, values of the chart, Compose files, ECS task definitions, Dockerrun.aws.json, docker run commands and the output of docker inspect are read";
        return Err(refuse("this is none of the kinds of documents that are reviewed", hint));
    }
    let (text, found) = without_comments(text);
    let made = read::run::commands(&text)?;
    Ok(Parsed { kind: Kind::Run, source: Source::Made(made), text, found })
}

/// Whether a text that is no YAML was meant to be: it begins with a key, or holds a manifest and is no script.
fn begins_as_document(text: &str) -> bool {
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with(['#', '%']) && !line.starts_with("---");
    let name = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"'".contains(c));
    text.lines().find(says).and_then(|line| line.split_once(':')).is_some_and(|(key, _)| name(key))
        || !text.starts_with("#!") && text.lines().any(|line| line.starts_with("apiVersion:"))
}

/// Reads YAML or JSON. None where it is of none of the kinds that are known.
fn documents(bytes: &[u8], text: &str) -> Result<Option<Parsed>, Refusal> {
    let json = text.trim_start().starts_with(['{', '[']);
    let (text, found) = if json { without_commas(text) } else { (text.to_owned(), Vec::new()) };
    let bytes = if json { text.as_bytes() } else { bytes };
    let file = Manifests::load(bytes, LIMIT)?;
    if json && let Err(why) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        let hint = "every reader of this file expects JSON; correct that line".to_owned();
        return Err(Refusal { line: Some(why.line()), why: "not valid JSON".into(), hint });
    }
    let first = file.data(0);
    let has = |key: &str| first.at(&format!("/{key}")).is_some();
    let objects = (0..file.count()).any(|n| file.data(n).at("/apiVersion").is_some());
    let kind = match () {
        () if objects => Kind::Kubernetes,
        () if first.at("/0/HostConfig").is_some() => Kind::Inspect,
        () if has("AWSEBDockerrunVersion") => Kind::Beanstalk,
        () if has("containerDefinitions") || has("taskDefinition") => Kind::Ecs,
        () if has("services") => Kind::Compose,
        () if helm::is_values(first) => Kind::Helm,
        () => return Ok(None),
    };
    let source = match kind {
        Kind::Inspect => Source::Made(read::run::inspected(first, |at| file.line(0, at))),
        _ => Source::Manifests(file),
    };
    Ok(Some(Parsed { kind, source, text, found }))
}

fn examine(kind: Kind, source: Source, mut findings: Vec<Finding>) -> (Review, Source) {
    let documents = source.documents();
    let mut rights = Vec::new();
    let mut secrets = Vec::new();
    let mut workloads: Vec<Workload> = Vec::new();
    let mut sets = read::kubernetes::Sets::default();
    for document in documents.iter().filter(|_| kind == Kind::Kubernetes) {
        read::kubernetes::sets(document, &mut sets);
    }
    for (number, document) in documents.iter().enumerate() {
        match kind {
            Kind::Kubernetes => workloads.extend(read::kubernetes::workloads(document, number, &sets)),
            Kind::Helm => helm::check(document, number, &mut findings, &mut secrets),
            Kind::Ecs | Kind::Beanstalk => workloads.push(read::ecs::workload(document, number)),
            Kind::Compose | Kind::Run | Kind::Inspect => workloads.extend(read::compose::workload(document, number)),
        }
    }
    let anyone = workloads.iter().any(|workload| workload.fips());
    for workload in &workloads {
        let Some(data) = documents.get(workload.document) else { continue };
        let mend = Mend { workload, data };
        fips::check(&mend, anyone, &mut findings);
        let features = workload.features();
        rights::Checker { mend, features, found: &mut findings, rights: &mut rights, secrets: &mut secrets }.check();
    }
    let ours = || workloads.iter().filter(|workload| workload.is_ours());
    let pods = ours().filter(|workload| workload.platform == Platform::Kubernetes);
    let standing = |pod: &Workload| Some(standards::standing(pod, documents.get(pod.document)?));
    let standings: Vec<Standing> = pods.filter_map(standing).collect();
    if kind == Kind::Kubernetes {
        for (number, document) in documents.iter().enumerate() {
            objects::check(document, number, &standings, &mut findings, &mut secrets);
        }
    }
    let seen = kind == Kind::Helm || ours().next().is_some();
    if !seen && !findings.iter().any(|finding| finding.rule == "agent-unread") {
        findings.push(rules::finding("agent-unread", 0, "", "no Agent was found in it", Vec::new()));
    }
    findings.truncate(MOST);
    rights.truncate(MOST);
    for finding in findings.iter_mut().filter(|finding| finding.line == 0) {
        finding.line = source.line(finding.document, &finding.at);
    }
    for right in &mut rights {
        right.line = source.line(right.document, &right.at);
    }
    findings.sort_by_key(|finding| (finding.line, finding.rule));
    (Review { kind, findings, rights, standings, secrets }, source)
}

/// JSON without commas before a closing bracket, which YAML would take.
fn without_commas(text: &str) -> (String, Vec<Finding>) {
    let mut out = String::with_capacity(text.len());
    let mut found = Vec::new();
    let (mut inside, mut escaped, mut line) = (false, false, 1);
    // Where the last comma stands, if only blanks follow it; and up to where the text is done.
    let mut comma: Option<(usize, usize)> = None;
    let mut done = 0;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => line += 1,
            '"' if !escaped => inside = !inside,
            ']' | '}' if !inside => {
                if let Some((at, line)) = comma.take() {
                    out.push_str(&text[done..at]);
                    done = at + 1;
                    let what = "a comma stands before a closing bracket";
                    found.push(Finding { line, ..rules::finding("json-comma", 0, "", what, Vec::new()) });
                }
            }
            _ => {}
        }
        escaped = inside && c == '\\' && !escaped;
        if c == ',' && !inside {
            comma = Some((at, line));
        } else if !c.is_whitespace() {
            comma = None;
        }
        if found.len() > MOST {
            break;
        }
    }
    out.push_str(&text[done..]);
    (out, found)
}

/// A script without comments behind a line's backslash: the shell ends the command there.
fn without_comments(text: &str) -> (String, Vec<Finding>) {
    let mut out = String::with_capacity(text.len());
    let mut found = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let broken = line.find("\\ ").filter(|at| line[at + 1..].trim_start().starts_with('#'));
        let Some(at) = broken.filter(|at| line[..*at].ends_with(' ')) else {
            out.push_str(line);
            continue;
        };
        out.push_str(&line[..=at]);
        out.push('\n');
        let what = "a comment stands behind the backslash of a continued line";
        found.push(Finding { line: number + 1, ..rules::finding("shell-comment", 0, "", what, Vec::new()) });
    }
    (out, found)
}
