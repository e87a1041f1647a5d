//! `ddinstall install`: brings the host to the described state, and proves it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::apply::{self, Applied, Job};
use crate::cli::Format;
use crate::current::Current;
use crate::desired::{self, Asked, Desired};
use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Hold, Host, scopes, system, users};
use crate::packages::{self, Manager};
use crate::prepare::{self, Prepared};
use crate::receipt::{self, BINARY, PROOF, Past, Receipt};
use crate::report::json::Document;
use crate::report::text::{self, Details};
use crate::verify::{self, Choice, Reach, Verification};

use super::image::{self, Traces};
use super::{Session, after_earlier, lock, print};

/// All that a run came to.
#[derive(Default)]
struct Done {
    changed: bool,
    applied: Applied,
    notes: Vec<String>,
    verification: Option<Verification>,
    verifying: f64,
    desired: Option<Desired>,
    proof: Option<&'static str>,
}

pub(super) fn run(session: &Session) -> u8 {
    let mut done = Done::default();
    let result = install(session, &mut done);
    let error = match (result, &done.verification) {
        (Err(error), _) => Some(error),
        (Ok(()), Some(verification)) if !verification.holds() => Some(not_proven(verification)),
        _ => None,
    };
    let exit_code = error.as_ref().map_or(0, |error| error.kind.exit_code());
    session.terminal.rest();
    let document = Document {
        command: "install",
        changed: Some(done.changed),
        steps: Some(&done.applied.steps),
        notes: &done.notes,
        verification: done.verification.as_ref(),
        seconds: done.verification.is_some().then_some((done.applied.settling, done.verifying)),
        proof: done.proof,
        exit_code,
        ..Document::default()
    };
    if session.format == Format::Text {
        print(&words(session, &done));
    }
    match error {
        Some(error) => session.fail(document, &error),
        None => {
            if session.format == Format::Json {
                print(&document.render(&session.redactor));
            }
            0
        }
    }
}

/// The same on behalf of `doctor --fix`, which looks and prints by itself. Says whether anything was changed.
pub(super) fn mend(session: &Session) -> Result<bool> {
    let mut done = Done::default();
    install(session, &mut done)?;
    Ok(done.changed)
}

/// The result in plain words.
fn words(session: &Session, done: &Done) -> String {
    let (Some(verification), Some(desired)) = (&done.verification, &done.desired) else { return String::new() };
    let mut out = text::notes(&done.notes, &session.redactor);
    if !done.changed && verification.holds() {
        out.push_str("Nothing to do: this host is as asked for.\n");
        return out;
    }
    let all = text::verification(verification, Details::Failures, &session.redactor, session.style);
    out.push_str(&all);
    out.push_str(&text::summary(desired, verification, done.proof, session.style));
    if session.request.keep_binary && !session.image {
        out.push_str(&format!("Later: `{BINARY} verify` looks again, `{BINARY} uninstall` takes all of it back.\n"));
    }
    out
}

fn not_proven(verification: &Verification) -> Error {
    let failed: Vec<&str> = verification.failures().map(|check| check.id.as_str()).collect();
    Error::new(Kind::Verification, format!("the host is not what it was asked to be: {}", failed.join(", ")))
        .state("what was installed and configured stays")
        .hint("see the checks above; `ddinstall verify` looks again")
}

fn install(session: &Session, done: &mut Done) -> Result<()> {
    let nothing = |error: Error| if error.state.is_none() { error.state("nothing was changed") } else { error };
    let Session { host, request, events, .. } = session;
    let earlier = after_earlier(session).map_err(nothing)?;
    let prepared = prepare::prepare(session.tools(), request, true).map_err(nothing)?;
    if is_converged(&prepared) && is_noted(&prepared) {
        return nothing_to_do(session, prepared, done);
    }
    if session.stop.load(Ordering::Relaxed) {
        return Err(nothing(Error::new(Kind::Interrupted, "a signal ended this run before it began")));
    }
    let lock = match earlier {
        Some(lock) => lock,
        None => lock(session).map_err(nothing)?,
    };
    // Somebody else may have changed the host until the lock was ours: look once more.
    let known = Past::load(host).map_err(nothing)?.receipt();
    let mut prepared = match known == prepared.receipt {
        true => prepared,
        false => prepare::prepare(session.tools(), request, true).map_err(nothing)?,
    };
    if is_converged(&prepared) {
        if !is_noted(&prepared) {
            prepared.receipt.note(host, prepared.asked.clone()).map_err(nothing)?;
        }
        drop(lock);
        return nothing_to_do(session, prepared, done);
    }
    if let Some(stale) = Hold::stale(host).map_err(nothing)? {
        stale.release().map_err(nothing)?;
    }
    let built = session.image.then(image::built).transpose().map_err(nothing)?;
    let traces = Traces::look(session).map_err(nothing)?;
    let log = match traces {
        Some(_) => "none: this is an image".into(),
        None => session.journal.open(host).map_err(nothing)?,
    };
    let proof = host.read_own(PROOF).map_err(|failure| nothing(failure.into()))?;
    clear_away(session, &prepared.desired).map_err(nothing)?;
    if request.keep_binary && !session.image {
        keep_binary(host).map_err(nothing)?;
    }
    events.log(format!("ddinstall {} changes this host; log {log}", env!("CARGO_PKG_VERSION")));
    show_plan(session, &prepared);
    done.notes = prepared.notes.clone();
    let Prepared { facts, mut receipt, asked, desired, context, plan, .. } = prepared;
    receipt.built = built;
    let job = Job {
        session: packages::Session { lock: Some(&lock), ..session.tools() },
        request,
        facts: &facts,
        asked: &asked,
    };
    let applied = apply::run(&job, &mut receipt, &plan, context, &desired);
    let swept = traces.map_or(Ok(()), |traces| traces.remove(host));
    match applied {
        Ok(applied) => {
            done.changed = true;
            let new: Vec<String> = applied.notes.iter().filter(|note| !done.notes.contains(note)).cloned().collect();
            done.notes.extend(new);
            done.applied = applied;
        }
        Err(failed) => {
            let failed = *failed;
            done.changed = receipt.runs.last().is_some_and(|run| run.outcome != receipt::Outcome::RolledBack);
            done.applied = failed.applied;
            events.log(format!("failed: {}", failed.error));
            // It proves what is the case again.
            let proof = proof.filter(|_| !done.changed);
            let put_back = proof.map(|proof| host.write(PROOF, &proof.bytes, &proof.meta.attributes()));
            return Err(match put_back {
                Some(Err(why)) => failed.error.detail(format!("the proof of before could not be written back: {why}")),
                _ => failed.error,
            });
        }
    }
    let stays = |error: Error| error.state("the changes are made and stay");
    scopes::end_empty(host).map_err(stays)?;
    let prepared = prepare::look(host, request, true).map_err(stays)?;
    let version = prepared.current.agent_version();
    let desired =
        desired::desired(request, prepared.asked.clone(), &prepared.facts, version.as_ref()).map_err(stays)?;
    let started = Instant::now();
    let current = Current::read(host, &desired).map_err(stays)?;
    let verification = verify::verify(host, &prepared.facts, &desired, &current, Reach::Intake, &Choice::default());
    done.verifying = started.elapsed().as_secs_f64();
    // What is in an image is proven where it runs.
    let written = if session.image { Ok(()) } else { write_proof(session, &verification) };
    done.proof = (written.is_ok() && !session.image).then_some(PROOF);
    done.verification = Some(verification);
    done.desired = Some(desired);
    written.map_err(|error| error.state("the changes are made and stay; only their proof could not be written"))?;
    swept.and_then(|()| image::clean(session)).map_err(stays)
}

/// Nothing is to be done, and nothing to be noted.
fn is_converged(prepared: &Prepared) -> bool {
    let noted = prepared.receipt.asked.no_key == prepared.asked.no_key;
    prepared.plan.is_empty() && prepared.receipt.cut_off().is_none() && noted
}

/// Whether the receipt says already what is asked for.
fn is_noted(prepared: &Prepared) -> bool {
    let noted = Asked { install_only: prepared.asked.install_only, ..prepared.receipt.asked.clone() };
    noted == prepared.asked
}

/// A host that needs no change: its own files and services are checked, and nothing leaves it.
fn nothing_to_do(session: &Session, prepared: Prepared, done: &mut Done) -> Result<()> {
    let host = &session.host;
    let untouched = |error: Error| error.state("this host is as asked for, and was not changed");
    if session.request.keep_binary && !session.image {
        receipt::prepare_state(host).and_then(|()| keep_binary(host)).map_err(untouched)?;
    }
    let started = Instant::now();
    let Prepared { facts, desired, current, .. } = &prepared;
    let verification = verify::verify(host, facts, desired, current, Reach::Local, &Choice::default());
    // A run that was killed at its very end has left none.
    let unproven = prepared.receipt.standing().next().is_some() && !session.image && host.meta(PROOF)?.is_none();
    if unproven && users::effective_is_root() {
        write_proof(session, &verification).map_err(untouched)?;
        done.proof = Some(PROOF);
    }
    done.verifying = started.elapsed().as_secs_f64();
    done.notes = prepared.notes;
    done.verification = Some(verification);
    done.desired = Some(prepared.desired);
    image::clean(session)
}

/// Removes what a killed run was writing, and the proof of a state that is about to change.
fn clear_away(session: &Session, desired: &Desired) -> Result<()> {
    let [entry, keyring] = Manager::of(&session.host)?.repository_files().map(Path::new);
    let ours = Receipt::folders(&session.host)?;
    let files = desired.files.iter().map(|wish| Path::new(wish.path)).chain([entry, keyring]);
    let folders: BTreeSet<&Path> = files.filter_map(Path::parent).chain(ours.iter().map(PathBuf::as_path)).collect();
    for folder in folders {
        for name in session.host.remove_leftovers(folder)? {
            session.events.log(format!("removed {}, which a killed run left", folder.join(name).display()));
        }
    }
    for folder in ["/run", "/var/cache"] {
        for name in session.host.remove_stale_temporaries(folder, true)? {
            session.events.log(format!("removed {folder}/{}, which a killed run left", name.display()));
        }
    }
    session.host.remove_file(PROOF).map(|_| ())
}

/// Before the first step, so that also a run that is cut off can be finished or taken back by it.
fn keep_binary(host: &Host) -> Result<()> {
    let bytes = system::own_program()?;
    if host.read_own(BINARY)?.is_some_and(|kept| kept.bytes == bytes && kept.meta.mode == 0o700) {
        return Ok(());
    }
    host.write(BINARY, &bytes, &Attributes { uid: 0, gid: 0, mode: 0o700 })
}

fn show_plan(session: &Session, prepared: &Prepared) {
    if session.format == Format::Text {
        session.terminal.rest();
        let mut redactor = session.redactor.clone();
        redactor.learn_plan(&prepared.plan);
        print(&text::plan(&prepared.plan, &[], true, &redactor, session.style));
    }
}

fn write_proof(session: &Session, verification: &Verification) -> Result<()> {
    let document = Document { command: "verify", verification: Some(verification), ..Document::default() };
    let text = document.render(&session.redactor);
    session.host.write(PROOF, text.as_bytes(), &Attributes { uid: 0, gid: 0, mode: 0o600 })
}
