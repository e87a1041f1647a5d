//! A summary for people: as text, and as a page.

use std::fmt::Write;

use minijinja::context;
use minijinja::value::{Serde, Value};

use super::Summary;
use super::summary::{Finding, Shared, Values};
use crate::error::{Error, Kind, Result};
use crate::report::text::Style;
use crate::template;
use crate::verify::Status;

/// The summary in plain words.
pub fn text(summary: &Summary, style: Style) -> String {
    let mut out = headline(summary) + "\n";
    if !summary.from.is_empty() {
        let _ = writeln!(out, "Looked at between {} and {}.", summary.from, summary.to);
    }
    for finding in &summary.checks {
        out.push_str(&told(finding, style));
    }
    if summary.beyond > 0 {
        let _ = writeln!(out, "\nThere are more checks than can be told apart: {} results of them.", summary.beyond);
    }
    out.push_str(&table("Versions", &summary.versions));
    out.push_str(&table("Where hosts differ", &summary.drift));
    if !summary.repeated.is_empty() {
        out.push_str("\nSeveral results bear the same name, and each is counted\n");
        for repeated in &summary.repeated {
            let _ = writeln!(out, "  {} ({})", repeated.name, repeated.results);
        }
    }
    if !summary.unread.is_empty() {
        out.push_str("\nNot read\n");
        for unread in &summary.unread {
            let _ = writeln!(out, "  {}: {}", unread.name, unread.why);
        }
        let more = summary.hosts.unread - summary.unread.len() as u64;
        if more > 0 {
            let _ = writeln!(out, "  and {more} more");
        }
    }
    out
}

/// `12 hosts: 9 as asked (3 with warnings), 2 not, 1 result could not be read.`
pub fn headline(summary: &Summary) -> String {
    let hosts = summary.hosts;
    let mut out = format!("{}: {} as asked", counted(hosts.all), hosts.pass + hosts.warn);
    if hosts.warn > 0 {
        let _ = write!(out, " ({} with warnings)", hosts.warn);
    }
    let _ = write!(out, ", {} not", hosts.fail);
    if hosts.unknown > 0 {
        let _ = write!(out, ", {} not known", hosts.unknown);
    }
    match hosts.unread {
        0 => {}
        1 => out.push_str("; 1 result could not be read"),
        n => out.push_str(&format!("; {n} results could not be read")),
    }
    out + "."
}

fn counted(hosts: usize) -> String {
    if hosts == 1 { "1 host".into() } else { format!("{hosts} hosts") }
}

fn told(finding: &Finding, style: Style) -> String {
    let mut out = String::new();
    let lists = [(Status::Fail, &finding.fail), (Status::Unknown, &finding.unknown), (Status::Warn, &finding.warn)];
    for (status, who) in lists.into_iter().filter(|(_, who)| who.hosts > 0) {
        let _ = writeln!(out, "\n{}  {}: {}", style.status(status), finding.id, finding.title);
        let _ = writeln!(out, "           {}{}", counted(who.hosts), named(&who.names, who.hosts));
    }
    if out.is_empty() {
        return out;
    }
    for Shared { value, hosts, .. } in finding.seen.iter().take(3) {
        let _ = writeln!(out, "           seen:  {value} ({hosts})");
    }
    if finding.seen.len() > 3 {
        let _ = writeln!(out, "           seen:  {} more", finding.seen.len() - 3);
    }
    if let Some(hint) = finding.hint {
        let _ = writeln!(out, "           to do: {hint}");
    }
    out
}

/// `: a, b and 3 more`
fn named(names: &[&str], hosts: usize) -> String {
    match (names.len(), hosts - names.len()) {
        (0, _) => String::new(),
        (_, 0) => format!(": {}", names.join(", ")),
        (_, more) => format!(": {} and {more} more", names.join(", ")),
    }
}

fn table(title: &str, rows: &[Values]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{title}\n");
    for row in rows {
        let _ = writeln!(out, "  {}", row.what);
        for Shared { value, hosts, names } in &row.values {
            let _ = writeln!(out, "  {hosts:>8}  {value}{}", named(names, *hosts));
        }
    }
    out
}

/// The summary as one page, without a script and without an address that it would load from.
pub fn html(summary: &Summary) -> Result<String> {
    let environment = template::environment();
    let page = include_str!("../../../templates/report/fleet.html");
    let values = context! { headline => headline(summary), ..Value::from(Serde(summary)) };
    environment
        .render_named_str("fleet.html", page, values)
        .map(|text| text + "\n")
        .map_err(|e| Error::new(Kind::Usage, format!("the page cannot be made: {e}")))
}
