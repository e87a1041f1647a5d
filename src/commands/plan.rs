//! `ddinstall plan`: what would change. Writes nothing.

use crate::cli::Format;
use crate::error::Error;
use crate::prepare;
use crate::report::json::Document;
use crate::report::text;

use super::{CHANGES_PENDING, Session, print};

pub(super) fn run(session: &Session, with_diff: bool, detailed_exitcode: bool) -> u8 {
    let prepared = match prepare::prepare(session.tools(), &session.request, false) {
        Ok(prepared) => prepared,
        Err(error) => return fail(session, error),
    };
    let mut redactor = session.redactor.clone();
    redactor.learn_plan(&prepared.plan);
    let pending = !prepared.plan.is_empty();
    let exit_code = if pending && detailed_exitcode { CHANGES_PENDING } else { 0 };
    session.terminal.rest();
    print(&match session.format {
        Format::Text => text::plan(&prepared.plan, &prepared.notes, with_diff, &redactor, session.style),
        Format::Json => Document {
            command: "plan",
            changed: Some(pending),
            plan: Some(&prepared.plan),
            with_diff,
            notes: &prepared.notes,
            exit_code,
            ..Document::default()
        }
        .render(&redactor),
    });
    exit_code
}

fn fail(session: &Session, error: Error) -> u8 {
    let error =
        if error.state.is_none() { error.state("nothing was changed; `plan` never changes anything") } else { error };
    session.fail(Document { command: "plan", changed: Some(false), ..Document::default() }, &error)
}
