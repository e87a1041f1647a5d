//! From a failing picture to its causes: which one explains the others, and what mends it. Pure; `verify` has looked.

use serde::Serialize;

use crate::verify::{Cause, Check, Mend, Status, Verification};

/// One cause on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub cause: Cause,
    pub title: &'static str,
    /// `fail` and `unknown` keep the host from being proven; `warn` does not.
    pub status: Status,
    /// What was seen, a line each.
    pub seen: Vec<String>,
    /// The checks that say so.
    pub checks: Vec<String>,
    /// Further checks that fail by it, or may.
    pub explains: Vec<String>,
    pub mend: How,
    /// More of what the host says of it: the end of a journal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

/// Who mends it, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct How {
    pub by: By,
    /// A line for the shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What to do, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// `ddinstall doctor --fix`
    Fix,
    /// The operator decides, and runs the command.
    Command,
    /// Something outside this host, or a text that only its author can mend.
    Hand,
}

/// The troubles of a host, the one that explains the others first. What stands in the way of the proof comes before what
/// is only worth knowing.
pub fn diagnose(verification: &Verification) -> Vec<Trouble> {
    let mut found: Vec<&Check> = verification.checks.iter().filter(|check| check.status >= Status::Warn).collect();
    // A warning without a cause is advice.
    found.retain(|check| check.status > Status::Warn || check.cause.is_some());
    let rank = |check: &Check| (check.status == Status::Warn, check.cause.unwrap_or(Cause::Setting));
    found.sort_by_key(|check| rank(check));
    let mut troubles: Vec<Trouble> = Vec::new();
    for check in found {
        let cause = check.cause.unwrap_or(Cause::Setting);
        let failed = check.status > Status::Warn;
        let explained = |trouble: &Trouble| {
            let explains = trouble.cause.explains();
            let outcome = check.cause.is_none_or(Cause::is_symptom) || explains.contains(&"");
            trouble.cause < cause && outcome && explains.iter().any(|start| check.id.starts_with(start))
        };
        if let Some(same) = troubles.iter_mut().find(|t| t.cause == cause && (t.status > Status::Warn) == failed) {
            same.seen.push(seen(check));
            same.checks.push(check.id.clone());
            same.mend = together(same.mend.clone(), how(check));
        } else if let Some(root) = troubles.iter_mut().find(|trouble| explained(trouble)) {
            root.explains.push(check.id.clone());
        } else {
            troubles.push(Trouble {
                cause,
                title: cause.title(),
                status: check.status,
                seen: vec![seen(check)],
                checks: vec![check.id.clone()],
                explains: Vec::new(),
                mend: how(check),
                detail: Vec::new(),
            });
        }
    }
    troubles
}

fn seen(check: &Check) -> String {
    format!("{}: {}", check.title, check.seen)
}

fn how(check: &Check) -> How {
    let (by, command) = match &check.mend {
        Some(Mend::Fix) => (By::Fix, Some("ddinstall install".to_owned())),
        Some(Mend::Command(command)) => (By::Command, Some(command.clone())),
        Some(Mend::Hand) | None => (By::Hand, None),
    };
    How { by, command, hint: check.hint.clone() }
}

/// Two checks of one cause: what mends both.
fn together(one: How, other: How) -> How {
    match (&one.command, &other.command) {
        (Some(a), Some(b)) if a != b && one.by == By::Command && other.by == By::Command => {
            How { command: Some(format!("{a} && {b}")), ..one }
        }
        (None, Some(_)) => other,
        _ => one,
    }
}

#[cfg(test)]
mod tests;
