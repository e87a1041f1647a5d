//! `ddinstall doctor`: the causes of what does not hold, first the one that explains the others, and what mends them.

use crate::cli::Format;
use crate::doctor::{self, By, Trouble};
use crate::error::{Error, Kind, Result};
use crate::host::units;
use crate::prepare::Looked;
use crate::report::json::Document;
use crate::report::text;
use crate::verify::{Choice, Status, Verification};

use super::{Session, install, print, verify};

/// How much of a failed service's journal is told.
const LINES: u32 = 5;

pub(super) fn run(session: &Session, fix: bool) -> u8 {
    let failed = |error: &Error| session.fail(Document { command: "doctor", ..Document::default() }, error);
    let (looked, verification, troubles) = match examine(session) {
        Ok(found) => found,
        Err(error) => return failed(&error.state("nothing was changed")),
    };
    let mends = troubles.iter().any(|trouble| trouble.mend.by == By::Fix && trouble.status > Status::Warn);
    if !fix || !mends {
        return told(session, &looked, &verification, &troubles, None);
    }
    if session.format == Format::Text {
        session.terminal.rest();
        print(&text::troubles(&troubles, false, &verify::redactor(session, &looked), session.style));
    }
    let mended = match install::mend(session) {
        Ok(changed) => changed,
        Err(error) => return failed(&error),
    };
    // What the run has mended is seen by another look.
    match examine(session) {
        Ok((looked, verification, troubles)) => told(session, &looked, &verification, &troubles, Some(mended)),
        Err(error) => failed(&error),
    }
}

fn examine(session: &Session) -> Result<(Looked, Verification, Vec<Trouble>)> {
    let (looked, verification) = verify::look(session, &Choice::default())?;
    let mut troubles = doctor::diagnose(&verification);
    for trouble in &mut troubles {
        for unit in trouble.checks.iter().filter_map(|check| check.strip_prefix("unit.")) {
            let name = format!("{unit}.service");
            let state = looked.current.units.get(name.as_str());
            if state.is_some_and(|state| state.is_failed() || state.n_restarts > 0) {
                let lines = units::journal(&session.host, &name, LINES, None).unwrap_or_default();
                trouble.detail.extend(lines.into_iter().map(|line| format!("{unit}: {line}")));
            }
        }
    }
    Ok((looked, verification, troubles))
}

/// Prints the troubles that there are now. `mended`: whether a run has changed the host before.
fn told(
    session: &Session,
    looked: &Looked,
    verification: &Verification,
    troubles: &[Trouble],
    mended: Option<bool>,
) -> u8 {
    session.terminal.rest();
    let redactor = verify::redactor(session, looked);
    let exit_code = if verification.holds() { 0 } else { Kind::Verification.exit_code() };
    print(&match session.format {
        Format::Text => text::troubles(troubles, mended.is_some(), &redactor, session.style),
        Format::Json => Document {
            command: "doctor",
            changed: Some(mended.unwrap_or(false)),
            notes: &looked.notes,
            troubles: Some(troubles),
            verification: Some(verification),
            exit_code,
            ..Document::default()
        }
        .render(&redactor),
    });
    exit_code
}
