//! Results in plain words.

use std::fmt::Write;

use crate::desired::Desired;
use crate::doctor::{By, Trouble};
use crate::error::Error;
use crate::plan::Plan;
use crate::rollback::Undone;
use crate::verify::{Check, Status, Verification};

use super::{Redactor, diff};

/// Colours, where standard output is a terminal and NO_COLOR is not set.
#[derive(Debug, Clone, Copy)]
pub struct Style(pub bool);

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn status(self, status: Status) -> String {
        match status {
            Status::Pass => self.paint("32", "pass   "),
            Status::Warn => self.paint("33", "warn   "),
            Status::Fail => self.paint("31", "FAIL   "),
            Status::Unknown => self.paint("31", "unknown"),
            Status::Skipped => self.paint("2", "skipped"),
        }
    }

    /// Colours a diff.
    fn diff(self, text: &str) -> String {
        let paint = |line: &str| match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => self.paint("1", line),
            Some(b'+') => self.paint("32", line),
            Some(b'-') => self.paint("31", line),
            Some(b'@') => self.paint("36", line),
            _ => line.to_owned(),
        };
        text.lines().map(|line| format!("    {}\n", paint(line))).collect()
    }
}

/// What would change, step by step.
pub fn plan(plan: &Plan, notes: &[String], with_diff: bool, redactor: &Redactor, style: Style) -> String {
    let mut out = String::new();
    match plan.steps.len() {
        0 => out.push_str("Nothing to do: this host is as asked for.\n"),
        1 => out.push_str("1 step:\n"),
        n => out.push_str(&format!("{n} steps:\n")),
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(out, "{:>3}. {}", i + 1, redactor.text(&step.describe()));
        let after = matches!(step, crate::step::Step::AfterPackages { .. });
        for detail in step.details() {
            let when = if after { " (after the packages are installed)" } else { "" };
            let _ = writeln!(out, "       {}{when}", redactor.text(&detail));
        }
        if with_diff && let Some(text) = diff::of_step(step, redactor) {
            out.push_str(&style.diff(&text));
        }
    }
    out.push_str(&self::notes(notes, redactor));
    out
}

pub fn notes(notes: &[String], redactor: &Redactor) -> String {
    notes.iter().map(|note| format!("note: {}\n", redactor.text(note))).collect()
}

/// What was taken back, and what is left on purpose. Failures are told with the error.
pub fn undone(undone: &Undone, redactor: &Redactor) -> String {
    let mut out = String::new();
    for what in &undone.done {
        let _ = writeln!(out, "  {}", redactor.text(what));
    }
    for what in &undone.left {
        let _ = writeln!(out, "left: {}", redactor.text(what));
    }
    out
}

/// How much is told of each check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// One line.
    None,
    /// What was expected and what to do, where it does not hold.
    Failures,
    /// The same, and where it is written, of every check.
    All,
}

/// Checks in their order.
pub fn checks<'a>(
    checks: impl IntoIterator<Item = &'a Check>,
    details: Details,
    redactor: &Redactor,
    style: Style,
) -> String {
    let mut out = String::new();
    for check in checks {
        let _ = writeln!(out, "{}  {}: {}", style.status(check.status), check.title, redactor.text(&check.seen));
        if details == Details::All || (details == Details::Failures && check.status >= Status::Warn) {
            out.push_str(&explained(check, details, redactor));
        }
    }
    out
}

/// Every check of a verification, the worst first.
pub fn verification(verification: &Verification, details: Details, redactor: &Redactor, style: Style) -> String {
    let mut checks: Vec<&Check> = verification.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    let mut out = self::checks(checks, details, redactor, style);
    if details == Details::All && !verification.ports.is_empty() {
        out.push_str("ports of the proxy:\n");
        for port in &verification.ports {
            let by = match (&port.address, &port.process, port.pid) {
                (None, ..) => "nobody listens".to_owned(),
                (Some(address), Some(process), Some(pid)) => format!("{address}, {process} (process {pid})"),
                (Some(address), ..) => format!("{address}, a process that cannot be seen"),
            };
            let _ = writeln!(out, "{}  {} {}: {by}", style.status(port.status), port.port, port.product);
        }
    }
    out
}

fn explained(check: &Check, details: Details, redactor: &Redactor) -> String {
    let mut out = String::new();
    if details == Details::All || check.status >= Status::Unknown {
        let _ = writeln!(out, "           check:    {}", check.id);
        let _ = writeln!(out, "           expected: {}", redactor.text(&check.expected));
    }
    if let Some(hint) = &check.hint {
        let _ = writeln!(out, "           to do:    {}", redactor.text(hint));
    }
    if details == Details::All {
        let _ = writeln!(out, "           source:   {}", check.source);
    }
    out
}

/// The causes of what does not hold, the one that explains the others first. `mended`: `--fix` has run before.
pub fn troubles(troubles: &[Trouble], mended: bool, redactor: &Redactor, style: Style) -> String {
    let mut out = String::new();
    let (failing, advice): (Vec<&Trouble>, Vec<&Trouble>) = troubles.iter().partition(|t| t.status > Status::Warn);
    if failing.is_empty() {
        let _ = writeln!(out, "{} every check holds.", style.paint("32", if mended { "Mended:" } else { "Healthy:" }));
    }
    for (i, trouble) in failing.iter().enumerate() {
        let _ = writeln!(out, "{}. {}", i + 1, style.paint("31", trouble.title));
        out.push_str(&described(trouble, redactor));
    }
    if !advice.is_empty() {
        out.push_str("Worth knowing:\n");
    }
    for trouble in advice {
        let _ = writeln!(out, "-  {}", style.paint("33", trouble.title));
        out.push_str(&described(trouble, redactor));
    }
    out
}

fn described(trouble: &Trouble, redactor: &Redactor) -> String {
    let mut out = String::new();
    for seen in &trouble.seen {
        let _ = writeln!(out, "   seen:     {}", redactor.text(seen));
    }
    for line in &trouble.detail {
        let _ = writeln!(out, "   log:      {}", redactor.text(line));
    }
    if !trouble.explains.is_empty() {
        let _ = writeln!(out, "   explains: {}", trouble.explains.join(", "));
    }
    let mend = &trouble.mend;
    match (mend.by, &mend.command, &mend.hint) {
        (By::Fix, ..) => out.push_str("   mend:     ddinstall doctor --fix\n"),
        (_, Some(command), _) => {
            let _ = writeln!(out, "   mend:     {}", redactor.text(command));
        }
        (_, None, Some(hint)) => {
            let _ = writeln!(out, "   mend:     by hand: {}", redactor.text(hint));
        }
        (_, None, None) => {}
    }
    out
}

/// The last words of a run: what holds now, in plain words, and what proves it.
pub fn summary(desired: &Desired, verification: &Verification, proof: Option<&str>, style: Style) -> String {
    let count = |status| verification.checks.iter().filter(|check| check.status == status).count();
    let mut out = String::new();
    if !verification.holds() {
        let failures: Vec<&str> = verification.failures().map(|check| check.id.as_str()).collect();
        let _ = writeln!(out, "{} {}", style.paint("31", "Not proven:"), failures.join(", "));
        out.push_str("`ddinstall doctor` names the cause and what mends it; `ddinstall verify --details` tells more of each check.\n");
        return out;
    }
    if verification.chosen.is_some() {
        let _ = writeln!(out, "{} of the chosen checks hold; the others were not made.", verification.checks.len());
        return out;
    }
    if !desired.start {
        let _ = writeln!(out, "Installed and configured; nothing was started: {}.", desired.rests());
    } else if desired.asked.fips_on() {
        let site = desired.asked.site.as_deref().unwrap_or("ddog-gov.com");
        let _ = writeln!(out, "The FIPS proxy listens on ports 9803-9818, and the Agent sends through it, to {site}.");
    } else {
        out.push_str("The Agent runs.\n");
        out.push_str("FIPS is not on: the Agent sends to the site itself.\n");
    }
    if desired.asked.no_key {
        out.push_str(
            "The API key is still to come: `ddinstall install` with DD_API_KEY at the first start brings it.\n",
        );
    }
    if desired.asked.cws_on() {
        out.push_str("Cloud Workload Security (CWS) is on.\n");
    }
    let _ = writeln!(
        out,
        "{} checks passed, {}, {} not looked at.",
        count(Status::Pass),
        match count(Status::Warn) {
            1 => "1 warning".into(),
            n => format!("{n} warnings"),
        },
        count(Status::Skipped)
    );
    if let Some(path) = proof {
        let _ = writeln!(out, "Proof for your auditor: {path} (`ddinstall verify --format json` prints a new one).");
    }
    out
}

/// A failure: what, the details, the state of the host, what to do.
pub fn error(error: &Error, redactor: &Redactor, style: Style) -> String {
    let mut out = format!("{} {}\n", style.paint("31", "error:"), redactor.text(&error.what));
    for line in &error.detail {
        let _ = writeln!(out, "  {}", redactor.text(line));
    }
    if let Some(state) = &error.state {
        let _ = writeln!(out, "state: {}", redactor.text(state));
    }
    if let Some(hint) = &error.hint {
        let _ = writeln!(out, "to do: {}", redactor.text(hint));
    }
    out
}
