//! `ddinstall support`: what is supported on this host, on another one by its os-release, and everywhere.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Format, Listing, Question};
use crate::error::{Error, Kind, Result};
use crate::facts::{self, Distribution, parents};
use crate::host::Host;
use crate::host::system;
use crate::support::{self, Agents, Answer, Answers, Cws, Proxy, Row, Source, Supported, TABLE};
use crate::types::Release;

use super::{print, refuse};

/// A host and the answers on it.
struct Asked<'a> {
    distribution: Distribution,
    architecture: &'a str,
    kernel: &'a str,
    answers: Answers,
}

pub(super) fn run(question: &Question, listing: Listing) -> u8 {
    let format = if listing == Listing::Json { Format::Json } else { Format::Text };
    if listing == Listing::Markdown {
        print(&markdown());
        return 0;
    }
    let kernel = match &question.os_release {
        Some(_) => question.kernel.clone().unwrap_or_default(),
        None => question.kernel.clone().or_else(system::kernel_release).unwrap_or_default(),
    };
    // Another host is not looked at, and this one says nothing of it.
    let default = if question.os_release.is_some() { "x86_64" } else { system::machine() };
    let architecture = question.architecture.as_deref().map_or(default, support::architecture);
    let answered = distribution(question).and_then(|d| {
        words(question)?;
        // The lockdown is this host's.
        let here = question.os_release.is_none().then(|| Host::new(Path::new("/")).ok()).flatten();
        let lockdown = here.and_then(|host| system::lockdown(&host).ok().flatten());
        let answers = support::answers(&d, architecture, &kernel, lockdown);
        Ok(Asked { distribution: d, architecture, kernel: &kernel, answers })
    });
    let whole = question.os_release.is_none();
    let host = match answered {
        Ok(host) => host,
        Err(error) => {
            if whole && format == Format::Text {
                print(&table());
            }
            return refuse("support", format, error);
        }
    };
    print(&match format {
        Format::Json => format!("{:#}\n", document(&host, whole)),
        Format::Text if whole => format!("{}\n{}", text(&host), table()),
        Format::Text => text(&host),
    });
    // "Not supported" is an answer; `install` is what ends with 3 there.
    0
}

/// The host that is asked about.
fn distribution(question: &Question) -> Result<Distribution> {
    let variable = std::env::var("DD_ASSUME_DISTRIBUTION").ok().filter(|text| !text.trim().is_empty());
    let here = question.os_release.is_none();
    let assumed = question.assumed.as_ref().or(variable.as_ref().filter(|_| here));
    let assumed: Option<Release> = assumed.map(|text| text.trim().parse()).transpose().map_err(not_a_release)?;
    let Some(path) = &question.os_release else {
        return facts::distribution(&Host::new(Path::new("/"))?, assumed.as_ref());
    };
    let found = read(path)?;
    match assumed {
        Some(release) => found.taken_for(&release).map_err(not_a_release),
        None => Ok(found),
    }
}

fn not_a_release(why: String) -> Error {
    Error::new(Kind::Usage, format!("--assume-distribution: {why}"))
        .hint("name one that `ddinstall support` lists, such as debian:12")
}

/// Reads a release file. Whatever is wrong with it, the distribution is not known: exit 3.
fn read(path: &str) -> Result<Distribution> {
    let unsupported = |why: String| {
        Error::new(Kind::Unsupported, format!("{path}: {why}"))
            .hint("name an os-release file, or an older one such as redhat-release under its own name")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| unsupported(e.to_string()))?;
    file.take(facts::LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(|e| unsupported(e.to_string()))?;
    let name = Path::new(path).file_name().map_or("", |name| name.to_str().unwrap_or(""));
    facts::parse_file(name, &bytes).map_err(unsupported)
}

/// What was typed must be what `uname` prints.
fn words(question: &Question) -> Result<()> {
    let usage = |what: String, hint: &str| Err(Error::new(Kind::Usage, what).hint(hint));
    let is_word = |name: &&String| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c));
    if let Some(name) = question.architecture.as_ref().filter(|name| name.is_empty() || !is_word(name)) {
        let what = format!("--arch: `{}` is no architecture", name.escape_debug());
        return usage(what, "give what `uname -m` prints there: x86_64, aarch64");
    }
    if let Some(kernel) = &question.kernel
        && (support::numbers(kernel).is_none() || kernel.chars().any(char::is_control))
    {
        let what = format!("--kernel: `{}` is no kernel release", kernel.escape_debug());
        return usage(what, "give what `uname -r` prints there: 6.1.0-21-amd64");
    }
    Ok(())
}

fn document(host: &Asked, whole: bool) -> Value {
    let d = &host.distribution;
    let base = d.base.as_ref().map(|base| json!({ "id": base.id, "version": base.version }));
    let mut out = json!({
        "id": d.id,
        "version": d.version,
        "name": d.name,
        "family": d.family,
        "package_manager": d.package_manager(),
        "base": base,
        "architecture": host.architecture,
        "kernel": if host.kernel.is_empty() { Value::Null } else { json!(host.kernel) },
        "agent": host.answers.agent,
        "fips_proxy": host.answers.fips_proxy,
        "cws": host.answers.cws,
        "exit_code": 0,
    });
    if host.answers.agent.supported == Supported::No {
        out["hint"] = json!(support::hint(d));
    }
    if whole {
        out["table"] = TABLE.iter().map(row_value).collect();
    }
    out
}

fn row_value(row: &Row) -> Value {
    json!({
        "distributions": row.ids,
        "name": row.name,
        "releases": releases(row),
        "agent": { "x86_64": agents(row.x86_64), "aarch64": agents(row.aarch64), "source": row.agent_source.text() },
        "fips_proxy": { "x86_64": proxy(row.proxy), "aarch64": proxy_arm(row), "source": Source::Fips.text() },
        "cws": { "supported": cws(row.cws), "source": cws_source(row.cws).text() },
    })
}

fn word(answer: &Answer) -> &'static str {
    match answer.supported {
        Supported::Yes => "yes",
        Supported::No => "no",
        Supported::Beta => "beta",
    }
}

fn text(host: &Asked) -> String {
    let d = &host.distribution;
    let mut parts = vec![d.package_manager().unwrap_or("no package manager that is known").to_owned()];
    parts.push(host.architecture.to_owned());
    if !host.kernel.is_empty() {
        parts.push(format!("kernel {}", host.kernel));
    }
    let mut out = format!("{}: {}\n", d.short(), parts.join(", "));
    let answers = &host.answers;
    for (what, answer) in [("Agent", &answers.agent), ("FIPS proxy", &answers.fips_proxy), ("CWS", &answers.cws)] {
        out.push_str(&format!("  {what:<11} {:<5} {}\n{:20}{}\n", word(answer), answer.reason, "", answer.source));
    }
    if answers.agent.supported == Supported::No {
        out.push_str(&format!("detected: {}\nto do: {}\n", d.described(), support::hint(d)));
    }
    out
}

const HEAD: [&str; 6] = ["distribution", "releases", "Agent x86_64", "Agent aarch64", "FIPS proxy", "CWS"];

fn cells(row: &Row) -> [String; 6] {
    [
        row.name.to_owned(),
        releases(row),
        agents(row.x86_64),
        agents(row.aarch64),
        match (proxy(row.proxy), proxy_arm(row)) {
            ("yes", "beta") => "yes, aarch64 beta".into(),
            (word, _) => word.into(),
        },
        cws(row.cws),
    ]
}

/// The whole table, in columns.
fn table() -> String {
    let head = HEAD.map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(TABLE.iter().map(cells)).collect();
    let widths: Vec<usize> = (0..6).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(&format!("{}\n", line.join("  ").trim_end()));
    }
    let without: Vec<&str> = parents::without_packages().collect();
    out.push_str(&format!("\n{NOTES}\nThe vendor has no packages for: {}\n", without.join(", ")));
    out.push_str(&format!("Sources: {}\n", SOURCES.map(Source::text).join("\n         ")));
    out
}

const SOURCES: [Source; 5] = [Source::Platforms, Source::Fips, Source::Cws, Source::OlderCws, Source::Script];

const NOTES: &str = "The FIPS proxy needs Agent 7.41 or later, from 7.45 on for all products. CWS needs the kernel that is named, or a \
later one.\nDerivatives are taken for the release that they are built on; one that does not name it takes \
--assume-distribution ID:VERSION.";

/// The table for documents.
fn markdown() -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = row(&HEAD.map(str::to_owned));
    out.push_str(&row(&HEAD.map(|_| "---".to_owned())));
    for cells in TABLE.iter().map(cells) {
        out.push_str(&row(&cells));
    }
    out.push_str(&format!("\n{}\n", NOTES.replace("ID:VERSION", "`ID:VERSION`")));
    out
}

/// `7`, `10 and later`, `12 to 14`
fn releases(row: &Row) -> String {
    let id = row.ids.first().copied().unwrap_or("");
    let first = support::number(id, row.from);
    match row.before {
        (u32::MAX, _) if row.from == (0, 0) => "rolling".into(),
        (u32::MAX, _) => format!("{first} and later"),
        (major, 0) if row.from.0 + 1 == major => first,
        before => format!("{first} to before {}", support::number(id, before)),
    }
}

fn agents(agents: Agents) -> String {
    match agents {
        Agents::None => "no".into(),
        Agents::From(0) => "yes".into(),
        Agents::From(first) => format!("7.{first} and later"),
        Agents::UpTo(last) => format!("up to 7.{last}"),
    }
}

fn proxy(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::No => "no",
        Proxy::Yes | Proxy::Family => "yes",
        Proxy::Beta => "beta",
    }
}

fn proxy_arm(row: &Row) -> &'static str {
    match (row.proxy, row.aarch64) {
        (Proxy::No, _) | (_, Agents::None) => "no",
        _ => "beta",
    }
}

fn cws(cws: Cws) -> String {
    match cws {
        Cws::No => "no".into(),
        Cws::Yes(kernel) | Cws::Family(kernel, _) => format!("kernel {}", support::shown(kernel)),
    }
}

fn cws_source(cws: Cws) -> Source {
    match cws {
        Cws::Family(_, source) => source,
        _ => Source::Cws,
    }
}
