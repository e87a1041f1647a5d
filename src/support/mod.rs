//! What is supported where: distributions, architectures and kernels, with their sources. Pure; the rows stand in
//! one table next door.

mod table;

use serde::Serialize;

pub use table::{Agents, Cws, Proxy, Row, Source, TABLE};

use crate::error::{Error, Kind, Result};
use crate::facts::{Distribution, Facts, Family, parents};
use crate::host::system::Lockdown;
use crate::types::{Flavor, Pin, Version};
use table::{FIRST, Kernel};

/// What a request needs of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs<'a> {
    pub fips: bool,
    pub cws: bool,
    pub flavor: Flavor,
    pub pin: Option<&'a Pin>,
}

/// The first Agent with CWS that the vendor still supports is 7.46; the first with it at all is 7.27.
pub const FIRST_CWS_AGENT: Version = Version::new(7, 27, 0);

/// From this Agent on all products go through the FIPS proxy (Datadog FIPS compliance page).
pub const ALL_PRODUCTS_AGENT: Version = Version::new(7, 45, 0);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Supported {
    Yes,
    No,
    Beta,
}

/// One decision, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub supported: Supported,
    pub reason: String,
    pub source: &'static str,
    /// The oldest and the newest Agent that the vendor supports there, as `7.51`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Worth a note where it is used: the page does not name it itself.
    #[serde(skip)]
    pub inferred: bool,
}

/// What is supported on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answers {
    pub agent: Answer,
    pub fips_proxy: Answer,
    pub cws: Answer,
}

/// The Agents that the vendor supports on a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Minor versions of Agent 7.
    pub first: Option<u32>,
    pub last: Option<u32>,
}

impl Range {
    /// Whether this Agent is in the range.
    pub fn holds(&self, version: &Version) -> bool {
        version.major != 7
            || (self.first.is_none_or(|first| version.minor >= first)
                && self.last.is_none_or(|last| version.minor <= last))
    }
}

/// The Agents that a release and architecture can have; every one where that is not known.
pub fn agents(d: &Distribution, architecture: &str) -> Range {
    match row(d).map(|row| agents_of(row, architecture)) {
        Some(Agents::From(first)) if first > 0 => Range { first: Some(first), last: None },
        Some(Agents::UpTo(last)) => Range { first: None, last: Some(last) },
        _ => Range::default(),
    }
}

/// The kernel's and the packages' names of one architecture.
pub fn architecture(name: &str) -> &str {
    match name {
        "amd64" | "x86-64" | "x64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

/// What is supported on this release, architecture and kernel. An empty kernel is one that is not known.
pub fn answers(d: &Distribution, architecture: &str, kernel: &str, lockdown: Option<Lockdown>) -> Answers {
    let agent = agent(d, architecture);
    let Some(row) = row(d).filter(|_| agent.supported != Supported::No) else {
        let without =
            |what: &str| no(format!("{what} needs the Agent, which is not supported here"), Source::Platforms);
        return Answers { fips_proxy: without("the FIPS proxy"), cws: without("CWS"), agent };
    };
    Answers { fips_proxy: proxy(d, row, architecture), cws: cws(d, row, kernel, lockdown), agent }
}

/// The row of a release. A rolling one is newer than every release: it has its distribution's last row.
fn row(d: &Distribution) -> Option<&'static Row> {
    let base = d.base.as_ref()?;
    let mut rows = TABLE.iter().filter(|row| row.ids.contains(&base.id.as_str()));
    if parents::elsewhere(&d.id, &d.variant).is_some() && !d.assumed {
        return None;
    }
    match base.numbers() {
        Some(found) => rows.find(|row| row.from <= found && found < row.before),
        None => rows.next_back(),
    }
}

fn agents_of(row: &Row, architecture: &str) -> Agents {
    match architecture {
        "x86_64" => row.x86_64,
        "aarch64" => row.aarch64,
        _ => Agents::None,
    }
}

fn yes(reason: String, source: Source) -> Answer {
    let source = source.text();
    Answer { supported: Supported::Yes, reason, source, first: None, newest: None, inferred: false }
}

fn no(reason: String, source: Source) -> Answer {
    Answer { supported: Supported::No, ..yes(reason, source) }
}

fn beta(reason: String, source: Source) -> Answer {
    Answer { supported: Supported::Beta, ..yes(reason, source) }
}

fn agent(d: &Distribution, architecture: &str) -> Answer {
    let why = |id: &str| parents::elsewhere(id, &d.variant);
    let named = why(&d.id).or_else(|| match d.family {
        Family::Other => d.like.split_whitespace().find_map(why),
        _ => None,
    });
    if let Some(why) = named.filter(|_| !d.assumed) {
        return no(format!("the vendor has no packages for {}: {why}", d.name), Source::Platforms);
    }
    let Some(base) = &d.base else {
        let reason = match d.family {
            Family::Other => format!("{} is not a distribution that the vendor has packages for", d.described()),
            _ => format!("{} is not known, and does not say which release it is built on", d.described()),
        };
        return no(reason, Source::Host);
    };
    let (Some(row), Some(last)) = (row(d), newest_row(&base.id)) else {
        let first = TABLE.iter().find(|row| row.ids.contains(&base.id.as_str()));
        let first = first.map_or_else(String::new, |row| format!(": the first is {}", written(&base.id, row.from)));
        return no(format!("the vendor supports no Agent 7 on {}{first}", d.short()), Source::Platforms);
    };
    let release = d.short();
    let source = row.agent_source;
    match agents_of(row, architecture) {
        Agents::None if !["x86_64", "aarch64"].contains(&architecture) => {
            no(format!("the vendor has packages for x86_64 and aarch64, and this is {architecture}"), source)
        }
        Agents::None => {
            let first = TABLE.iter().find(|row| row.ids == last.ids && agents_of(row, architecture) != Agents::None);
            let reason = match first {
                Some(first) => format!(
                    "on {architecture} the vendor supports {} and later, and this is {release}",
                    written(&base.id, first.from)
                ),
                None => format!("the vendor supports {} on x86_64 only, and this is {architecture}", last.name),
            };
            no(reason, source)
        }
        Agents::From(0) => yes(format!("{release} on {architecture} is supported{}", rolling(d)), source),
        Agents::From(first) => Answer {
            first: Some(format!("7.{first}")),
            ..yes(format!("{release} on {architecture} is supported from Agent 7.{first} on{}", rolling(d)), source)
        },
        Agents::UpTo(last) => Answer {
            newest: Some(format!("7.{last}")),
            ..yes(format!("Agent 7.{last} is the last that supports {release}"), source)
        },
    }
}

fn newest_row(id: &str) -> Option<&'static Row> {
    TABLE.iter().rfind(|row| row.ids.contains(&id))
}

/// Debian testing and its like have no number.
fn rolling(d: &Distribution) -> &'static str {
    match d.base.as_ref().map(|base| base.numbers()) {
        Some(None) => "; it has no release number, and is taken as newer than every release",
        _ => "",
    }
}

/// `debian 8`, `ubuntu 14.04`
fn written(id: &str, release: (u32, u32)) -> String {
    format!("{id} {}", number(id, release))
}

/// `8`, `14.04`, `11.4`
pub fn number(id: &str, release: (u32, u32)) -> String {
    match release {
        (major, 0) => major.to_string(),
        (major, minor) if id == "ubuntu" => format!("{major}.{minor:02}"),
        (major, minor) => format!("{major}.{minor}"),
    }
}

const PROXY_AGENTS: &str = "Agent 7.41 or later, from 7.45 on for all products";

fn proxy(d: &Distribution, row: &Row, architecture: &str) -> Answer {
    let release = d.short();
    let family = "the page names Red Hat Enterprise Linux 7 and later; this is of its family, and not named";
    match (row.proxy, architecture) {
        (Proxy::No, _) => no(
            format!("the FIPS proxy supports RHEL 7, Debian 8, Ubuntu 14.04, SUSE 12 and later, and this is {release}"),
            Source::Fips,
        ),
        (Proxy::Beta, _) => beta(format!("the FIPS proxy is in beta on SUSE; it needs {PROXY_AGENTS}"), Source::Fips),
        (_, "aarch64") => beta(format!("the FIPS proxy is in beta on aarch64; it needs {PROXY_AGENTS}"), Source::Fips),
        (Proxy::Yes, _) => yes(format!("{release} is supported; it needs {PROXY_AGENTS}"), Source::Fips),
        (Proxy::Family, _) => {
            Answer { inferred: true, ..yes(format!("{family}; it needs {PROXY_AGENTS}"), Source::Fips) }
        }
    }
}

fn cws(d: &Distribution, row: &Row, kernel: &str, lockdown: Option<Lockdown>) -> Answer {
    let release = d.short();
    let (first, source, inferred) = match row.cws {
        Cws::No => {
            let first = TABLE.iter().find(|other| other.ids == row.ids && other.cws != Cws::No);
            let first = first.map_or_else(String::new, |row| {
                let id = d.base.as_ref().map_or("", |base| base.id.as_str());
                format!(" {} and later", written(id, row.from))
            });
            return no(format!("CWS supports{first}, and this is {release}"), Source::Cws);
        }
        Cws::Yes(first) => (first, Source::Cws, false),
        Cws::Family(first, source) => (first, source, true),
    };
    let needed = shown(first);
    if lockdown == Some(Lockdown::Confidentiality) {
        let reason = "the kernel is locked down (confidentiality), which forbids the eBPF programs of CWS";
        return no(reason.into(), Source::Kernel);
    }
    let numbers = numbers(kernel);
    if numbers.is_some_and(|found| !serves(found, first)) {
        let needed = match first < FIRST {
            true => format!("{} or later, or {release}'s own from {needed} on", shown(FIRST)),
            false => format!("{needed} or later on {release}"),
        };
        return no(format!("CWS needs kernel {needed}, and this one is {kernel}"), Source::Cws);
    }
    let seen = match numbers {
        Some(_) => format!("; kernel {kernel} is {needed} or later"),
        None => format!("; the kernel is not known: it must be {needed} or later"),
    };
    let major = d.base.as_ref().and_then(|base| base.numbers()).map(|(major, _)| major);
    let beyond = row.cws_named.filter(|named| major.is_none_or(|major| major > *named));
    let reason = match (row.cws, beyond) {
        (Cws::Family(_, Source::Cws), _) => {
            format!("{release} is built from Red Hat Enterprise Linux, which is supported{seen}")
        }
        (Cws::Family(..), _) => format!("{release} is on the older list of supported distributions{seen}"),
        (_, Some(named)) => format!("{release} is newer than {named}, the newest that the page names{seen}"),
        _ => format!("{release} is supported{seen}"),
    };
    Answer { inferred: inferred || beyond.is_some(), ..yes(reason, source) }
}

/// Whether a kernel has what CWS needs: since 4.14, or by backports, which are those of one kernel alone.
fn serves(found: Kernel, first: Kernel) -> bool {
    let of_its_line = found[..2] == first[..2] && (first[3] == 0 || found[2] == first[2]);
    found >= FIRST || found >= first && of_its_line
}

/// The leading numbers of `3.10.0-1160.el7.x86_64`; None if it begins with no `6.1`.
pub fn numbers(kernel: &str) -> Option<Kernel> {
    let mut parts = kernel.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>());
    let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let mut rest = parts.map_while(std::result::Result::ok);
    Some([major, minor, rest.next().unwrap_or(0), rest.next().unwrap_or(0)])
}

/// `4.14`, `3.10.0-957`
pub fn shown([major, minor, patch, build]: Kernel) -> String {
    if build == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}-{build}") }
}

/// Refuses (exit 3) what is not supported here; returns notes on what is in beta, capped or not named by the vendor.
pub fn check(facts: &Facts, needs: Needs) -> Result<Vec<String>> {
    let d = &facts.distribution;
    let answers = answers(d, &facts.architecture, &facts.kernel, facts.lockdown);
    let mut notes = Vec::new();
    if let Some(base) = d.base.as_ref().filter(|base| base.id != d.id || base.version != d.version) {
        let how = if d.assumed { "is taken for" } else { "is built on" };
        notes.push(format!("{} {how} {base}", d.name));
    }
    let fips_off = "leave FIPS mode off here, or use a host that `ddinstall support` lists for it";
    let cws_off =
        "run without DD_RUNTIME_SECURITY_CONFIG_ENABLED, or on a host and kernel that `ddinstall support` lists";
    let asked = [
        ("the Agent", &answers.agent, true, hint(d)),
        ("the FIPS proxy", &answers.fips_proxy, needs.fips || needs.flavor == Flavor::FipsProxy, fips_off.into()),
        ("CWS", &answers.cws, needs.cws, cws_off.into()),
    ];
    for (what, answer, _, hint) in asked.into_iter().filter(|(_, _, asked, _)| *asked) {
        match answer.supported {
            Supported::No => {
                let error = Error::new(Kind::Unsupported, format!("{what}: {}", answer.reason));
                return Err(error.detail(format!("detected: {}\nsource: {}", d.described(), answer.source)).hint(hint));
            }
            Supported::Beta => notes.push(answer.reason.clone()),
            Supported::Yes if answer.inferred || answer.newest.is_some() => {
                notes.push(format!("{what}: {}", answer.reason));
            }
            Supported::Yes => {}
        }
    }
    if d.base.as_ref().is_some_and(|base| base.numbers().is_none()) {
        notes.push(format!("{} has no release number; it is taken as newer than every supported release", d.name));
    }
    pin(agents(d, &facts.architecture), d, needs)?;
    Ok(notes)
}

/// What may be done where the Agent is not supported.
pub fn hint(d: &Distribution) -> String {
    let container = "run the Agent as a container here (docs.datadoghq.com/containers), or use a host that `ddinstall support` lists";
    if parents::elsewhere(&d.id, &d.variant).is_some() {
        return container.into();
    }
    match (&d.base, d.family) {
        (None, Family::Other) => {
            format!("{container}; if this is a derivative of one, name its release: --assume-distribution debian:12")
        }
        (None, family) => {
            let example = match family {
                Family::RedHat => "rhel:9",
                Family::Suse => "sles:15",
                _ => "debian:12",
            };
            format!("if you know which release it is built on, name it: --assume-distribution {example}")
        }
        _ => "use a release and an architecture that `ddinstall support` lists".into(),
    }
}

/// A pinned Agent that this release cannot have is refused before anything is looked up.
fn pin(range: Range, d: &Distribution, needs: Needs) -> Result<()> {
    let Some(pin) = needs.pin.filter(|_| needs.flavor.is_agent()) else { return Ok(()) };
    if range.holds(&pin.newest()) {
        return Ok(());
    }
    let limit = match range {
        Range { last: Some(last), .. } => format!("up to 7.{last}"),
        Range { first, .. } => format!("from 7.{} on", first.unwrap_or(0)),
    };
    let what = format!("Agent {pin} was asked for, and the vendor supports {} with Agent 7 {limit}", d.short());
    Err(Error::new(Kind::Unsupported, what).hint("leave DD_AGENT_MINOR_VERSION unset, or name one that fits"))
}

#[cfg(test)]
mod tests;
