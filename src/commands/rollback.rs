//! `ddinstall rollback` takes the last run back, `ddinstall uninstall` all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::cli::{Extent, Format};
use crate::config::{is_on, yaml};
use crate::desired::{AGENT_UNIT, PROXY};
use crate::error::{Error, Kind, Result};
use crate::host::{Hold, Host, Lock, scopes, units, users};
use crate::packages::{self, Manager};
use crate::receipt::{self, LOGS, Outcome, PROOF, Past, Receipt, Record, Undo};
use crate::report::json::Document;
use crate::report::text;
use crate::rollback::{self, Purge, Undone};
use crate::settings::File;
use crate::types::Flavor;

use super::image::Traces;
use super::{Session, print};

/// What is to be taken back.
struct Task {
    receipt: Receipt,
    /// The oldest of the runs; all that stand and are younger go with it.
    from: u32,
    started: String,
}

impl Task {
    fn steps(&self) -> Vec<Record> {
        let runs = self.receipt.standing().filter(|run| run.id >= self.from);
        runs.flat_map(|run| run.steps.iter().cloned()).collect()
    }
}

#[derive(Default)]
struct Done {
    changed: bool,
    undone: Undone,
    notes: Vec<String>,
    words: String,
}

pub(super) fn run(session: &Session, extent: Extent) -> u8 {
    let mut done = Done::default();
    let result = take_back(session, extent, &mut done);
    session.terminal.rest();
    let exit_code = result.as_ref().err().map_or(0, |error| error.kind.exit_code());
    let document = Document {
        command: if extent.all { "uninstall" } else { "rollback" },
        changed: Some(done.changed),
        undone: Some(&done.undone),
        notes: &done.notes,
        exit_code,
        ..Document::default()
    };
    if session.format == Format::Text {
        print(&text::undone(&done.undone, &session.redactor));
        print(&text::notes(&done.notes, &session.redactor));
    }
    match result {
        Err(error) => session.fail(document, &error),
        Ok(()) => {
            match session.format {
                Format::Text => print(&session.redactor.text(&done.words)),
                Format::Json => print(&document.render(&session.redactor)),
            }
            0
        }
    }
}

fn take_back(session: &Session, extent: Extent, done: &mut Done) -> Result<()> {
    let nothing = |error: Error| error.state("nothing was changed");
    if !extent.dry_run && !users::effective_is_root() {
        return Err(nothing(
            Error::new(Kind::Prerequisite, "changing this host needs root").hint("run as root, or add --dry-run"),
        ));
    }
    let Some(task) = task(session, extent).map_err(nothing)? else {
        let noted = matches!(Past::load(&session.host).map_err(nothing)?, Past::Known(_));
        if noted && extent.all && !extent.dry_run {
            let _lock = super::lock(session).map_err(nothing)?;
            if Past::load(&session.host).map_err(nothing)?.receipt().standing().next().is_none() {
                receipt::forget(&session.host)?;
            }
        }
        done.words = "Nothing to do: no run of ddinstall stands on this host.\n".into();
        return Ok(());
    };
    if extent.dry_run {
        done.words = preview(&task, extent);
        done.undone.done = rollback::preview(&session.host, &task.steps());
        return Ok(());
    }
    let lock = super::lock(session).map_err(nothing)?;
    // Somebody else may have changed the host until the lock was ours.
    let Some(task) = self::task(session, extent).map_err(nothing)? else {
        done.words = "Nothing to do: another run of ddinstall has taken it back.\n".into();
        return Ok(());
    };
    carry_out(session, &lock, extent, task, done)
}

/// The runs that are meant. None: no run stands.
fn task(session: &Session, extent: Extent) -> Result<Option<Task>> {
    let receipt = match Past::load(&session.host)? {
        Past::Known(receipt) => *receipt,
        Past::None => return Ok(None),
        Past::Denied => {
            let error = Error::new(Kind::Prerequisite, "what earlier runs did is known to root only");
            return Err(error.hint("run as root"));
        }
    };
    let first = match extent.all {
        true => receipt.standing().next(),
        // Runs whose undoing did not come to its end belong together.
        false => {
            let begun = receipt.standing().find(|run| run.outcome == Outcome::TakingBack);
            begun.or_else(|| receipt.standing().next_back())
        }
    };
    let first = first.map(|run| (run.id, run.started.clone()));
    Ok(first.map(|(from, started)| Task { receipt, from, started }))
}

fn carry_out(session: &Session, lock: &Lock, extent: Extent, mut task: Task, done: &mut Done) -> Result<()> {
    let Session { host, events, .. } = session;
    let untouched = |error: Error| error.state("nothing was taken back");
    if task.receipt.cut_off().is_some() {
        let manager = Manager::of(host)?;
        manager.wait_for_transaction(session.tools()).map_err(untouched)?;
        let [_, keyring] = manager.repository_files();
        task.receipt.settle_cut_off(host, keyring).map_err(untouched)?;
    }
    let steps = task.steps();
    let Task { mut receipt, from, started } = task;
    if let Some(stale) = Hold::stale(host).map_err(untouched)? {
        stale.release().map_err(untouched)?;
    }
    let log = session.journal.open(host).map_err(untouched)?;
    let what = if extent.all { "takes all runs back" } else { "takes the last run back" };
    events.log(format!("ddinstall {} {what}; log {log}", env!("CARGO_PKG_VERSION")));
    let ours = Receipt::folders(host).map_err(untouched)?;
    for folder in folders(&steps).into_iter().chain(ours.iter().map(PathBuf::as_path)) {
        host.remove_leftovers(folder).map_err(untouched)?;
    }
    let was_fips = receipt.asked.fips_on();
    let traces = if session.image { Traces::left(host).map_err(untouched)? } else { None };
    receipt.take_back(host, from).map_err(untouched)?;
    done.changed = true;
    host.remove_file(PROOF).map_err(untouched)?;
    let purge = match (extent.all, extent.purge) {
        (false, _) => Purge::IfUntouched,
        (true, false) => Purge::Never,
        (true, true) => Purge::Always,
    };
    // Whoever asks us to stop in the middle would get a host that is neither: it goes on to its end.
    let calm = AtomicBool::new(false);
    done.undone =
        rollback::undo(packages::Session { cancel: &calm, lock: Some(lock), ..session.tools() }, &steps, purge);
    let kept = !done.undone.failed.is_empty();
    let stays = |error: Error| error.state("what could be taken back is taken back");
    if !kept {
        receipt.taken_back(host, from).map_err(stays)?;
    }
    traces.map_or(Ok(()), |traces| traces.remove(host)).map_err(stays)?;
    scopes::end_empty(host).map_err(stays)?;
    let agent_runs = || units::show(host, &[AGENT_UNIT]).is_ok_and(|states| states.iter().any(|s| s.is_active()));
    if waits_for_proxy(host) {
        let path = File::Datadog.path();
        done.notes.push(format!(
            "{path} says fips.enabled: true, and the FIPS proxy is gone: this Agent sends nothing. Install again, or \
             `ddinstall config set {path} fips.enabled=false`"
        ));
    } else if was_fips && !kept && !receipt.asked.fips_on() && agent_runs() {
        done.notes.push("this host is NOT in FIPS mode any more: its Agent sends outside the proxy".into());
    }
    let whole = match receipt.standing().next() {
        None => format!("All that ddinstall had changed on this host is taken back; its logs stay in {LOGS}.\n"),
        Some(_) => format!("The run of {started} is taken back.\n"),
    };
    done.words = whole;
    match done.undone.error() {
        None => Ok(()),
        Some(error) => Err(error.state(if kept { "the rest was taken back" } else { "all else was taken back" })),
    }
}

/// Whether an Agent is left that is to send through a proxy that is not there.
fn waits_for_proxy(host: &Host) -> bool {
    let installed = |manager: Manager| manager.installed(host, &[Flavor::Agent.package(), PROXY]);
    let there = Manager::of(host).and_then(installed).unwrap_or_default();
    let stored = host.read(File::Datadog.path()).ok().flatten();
    let document = stored.and_then(|stored| yaml::load(&stored.bytes).ok());
    let on = document.is_some_and(|document| is_on(&document, "fips.enabled"));
    on && matches!(there.as_slice(), [Some(_), None])
}

/// The folders in which a killed run may have left what it was writing.
fn folders(steps: &[Record]) -> BTreeSet<&Path> {
    let undos = steps.iter().flat_map(|step| &step.undo);
    let files = undos.filter_map(|undo| match undo {
        Undo::RestoreFile { path, .. } | Undo::RemoveFile { path, .. } => Path::new(path).parent(),
        _ => None,
    });
    files.collect()
}

fn preview(task: &Task, extent: Extent) -> String {
    let (many, purge) = match (extent.all, extent.purge) {
        (true, true) => ("uninstall", " The packages' configuration and data go, too."),
        (true, false) => ("uninstall", " The packages' configuration and data stay."),
        _ => ("rollback", ""),
    };
    format!("That is what {many} would do, back to before the run of {}.{purge} Nothing was changed.\n", task.started)
}
