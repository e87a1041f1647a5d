//! Takes runs back, last step first. An undo that fails does not stop the others, and is told; what somebody changed
//! since is left, and named. Doing it twice does no harm: a rollback that was cut off is simply done again.

mod files;
mod packages;
mod strangers;

use std::time::Duration;

use files::{Files, Now};
use packages::resolved;
pub use packages::scripts;

use crate::desired::{AGENT_UNIT, DOGSTATSD_UNIT, PROXY_UNIT, SATELLITES};
use crate::error::{Error, Result};
use crate::host::units::{self, Verdict};
use crate::host::users::{self, Users};
use crate::host::{Attributes, FileKind, Hold, Host, system};
use crate::packages::Session;
use crate::receipt::{Record, Undo};

/// How long a service that is started again is watched, and how long that may take.
const SETTLE: Duration = Duration::from_millis(1500);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Whether the configuration and the data of packages that are removed go, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    Never,
    /// If nobody put anything of their own there.
    IfUntouched,
    Always,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Undone {
    pub done: Vec<String>,
    /// What is left because it is not ours (any more), each with the reason.
    pub left: Vec<String>,
    /// What is gone, a version from its repository or a copy from our folder: trying again is no use.
    pub unavailable: Vec<(String, Error)>,
    /// What could not be taken back, and may be tried again.
    pub failed: Vec<(String, Error)>,
}

impl Undone {
    /// The failure to tell, if there is one: the first, with all of them in its details.
    pub fn error(&self) -> Option<Error> {
        const AGAIN: &str = "mend what is named above, then run the same command again: it does the rest";
        let lines = |title: &str, all: &[(String, Error)]| match all.is_empty() {
            true => String::new(),
            false => {
                let all: Vec<String> = all.iter().map(|(what, error)| format!("{what}: {error}")).collect();
                format!("{title}\n  {}\n", all.join("\n  "))
            }
        };
        let detail =
            lines("could not be taken back:", &self.failed) + &lines("is not to be had any more:", &self.unavailable);
        let (kind, hint) = match (self.failed.first(), self.unavailable.first()) {
            (Some((_, error)), _) => (error.kind, AGAIN),
            (None, Some((_, error))) => (error.kind, error.hint.as_deref().unwrap_or(AGAIN)),
            (None, None) => return None,
        };
        Some(Error::new(kind, "not all could be taken back").detail(detail).hint(hint))
    }
}

/// What [`undo`] would do with these steps, in its order.
pub fn preview(host: &Host, steps: &[Record]) -> Vec<String> {
    let undos = resolved(steps);
    let readers = readers(host, &undos, &ran_before(&undos));
    let restarts = readers.iter().map(|unit| format!("restart {unit}, which has read what is taken back"));
    let mut lines: Vec<String> = Vec::new();
    for line in undos.iter().rev().filter_map(describe).chain(restarts) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn describe(undo: &Undo) -> Option<String> {
    Some(match undo {
        Undo::RestoreFile { path, .. } => format!("put {path} back"),
        Undo::RemoveFile { path, .. } => format!("remove {path}"),
        Undo::RemovePackages { names, .. } => format!("remove {}", names.join(", ")),
        Undo::RestorePackage { name, version, .. } => format!("bring {name} {version} back"),
        Undo::LeaveGroup { user, group } => format!("take {user} out of the group {group}"),
        Undo::Hold { names, hold: true } => format!("hold {}", names.join(", ")),
        Undo::Hold { names, .. } => format!("release {}", names.join(", ")),
        Undo::Disable { unit } => format!("disable {unit}"),
        Undo::Unit { unit, ran: true } => format!("restart {unit}, which ran before"),
        Undo::Unit { unit, .. } => format!("stop {unit}, which did not run before"),
        Undo::NewUser { .. } | Undo::RemoveFolder { .. } | Undo::RestoreAttributes { .. } => return None,
    })
}

/// Undoes these steps (oldest first, of one run or of several): what they started is stopped, then files, groups and
/// packages go back, then what ran before runs again. Services start with the old configuration only.
pub fn undo(session: Session, steps: &[Record], purge: Purge) -> Undone {
    let undos = resolved(steps);
    let mut this = Undoing { session, purge, files: Files::read(session.host, &undos), out: Undone::default() };
    let ran = ran_before(&undos);
    for (unit, _) in ran.iter().filter(|(_, ran)| !ran) {
        this.stop(unit);
    }
    let readers = readers(session.host, &undos, &ran);
    // Scriptlets restart services themselves: not before all is back.
    let moves = |undo: &Undo| matches!(undo, Undo::RemovePackages { .. } | Undo::RestorePackage { .. });
    let held = if undos.iter().any(moves) { this.hold() } else { None };
    for undo in undos.iter().rev() {
        this.one(undo);
    }
    if let Some(Err(error)) = held.map(Hold::release) {
        this.out.failed.push(("let the services start again".into(), error));
    }
    let _ = units::daemon_reload(session.host);
    let mut again: Vec<&str> = ran.iter().filter(|(_, ran)| *ran).map(|(unit, _)| *unit).collect();
    let there = units::show(session.host, &readers).unwrap_or_default();
    again.extend(readers.iter().filter(|unit| there.iter().any(|state| state.name == **unit && state.exists())));
    this.start(&again);
    this.out
}

/// The units that the steps started, the proxy first, and whether they ran before: of several runs the oldest knows.
fn ran_before(undos: &[Undo]) -> Vec<(&str, bool)> {
    let mut ran: Vec<(&str, bool)> = Vec::new();
    for undo in undos {
        if let Undo::Unit { unit, ran: before } = undo
            && !ran.iter().any(|(known, _)| known == unit)
        {
            ran.push((unit, *before));
        }
    }
    ran.sort_by_key(|(unit, _)| *unit != PROXY_UNIT);
    ran
}

/// Units that none of the steps started, and that have read since what the steps wrote: somebody else started them, as
/// DD_INSTALL_ONLY and an image leave it to others.
fn readers(host: &Host, undos: &[Undo], noted: &[(&str, bool)]) -> Vec<&'static str> {
    const READERS: [(&str, &str); 3] = [
        (PROXY_UNIT, "/etc/datadog-fips-proxy/"),
        (AGENT_UNIT, "/etc/datadog-agent/"),
        (DOGSTATSD_UNIT, "/etc/datadog-agent/"),
    ];
    let states = units::show(host, &READERS.map(|(unit, _)| unit)).unwrap_or_default();
    let has_read = |unit: &str, folder: &str| {
        let state = states.iter().find(|state| state.name == unit && state.is_running())?;
        let started = system::time_of_monotonic(state.active_since_monotonic)?;
        let files = undos.iter().filter_map(|undo| match undo {
            Undo::RestoreFile { path, mtime, .. } => Some((path, Some(*mtime))),
            Undo::RemoveFile { path, .. } => Some((path, None)),
            _ => None,
        });
        let files = files.filter(|(path, _)| path.starts_with(folder));
        let mut ours = files.filter_map(|(path, was)| Some((host.meta(path).ok()??.mtime, was)));
        // With the time that it had, a file's owner or mode alone was changed: there is nothing to read again.
        ours.any(|(now, was)| now <= started && was != Some(now)).then_some(())
    };
    let unnoted = READERS.into_iter().filter(|(unit, _)| noted.iter().all(|(known, _)| known != unit));
    unnoted.filter(|(unit, folder)| has_read(unit, folder).is_some()).map(|(unit, _)| unit).collect()
}

struct Undoing<'a> {
    session: Session<'a>,
    purge: Purge,
    files: Files,
    out: Undone,
}

impl Undoing<'_> {
    fn note(&mut self, what: &str, result: Result<()>) {
        match result {
            Ok(()) => {
                self.session.events.log(format!("undo: {what}"));
                // Of a run that was cut off and the one that went on, both may say so.
                if !self.out.done.iter().any(|done| done == what) {
                    self.out.done.push(what.to_owned());
                }
            }
            Err(error) => {
                self.session.events.log(format!("undo failed: {what}: {error}"));
                self.out.failed.push((what.to_owned(), error));
            }
        }
    }

    fn leave(&mut self, what: String) {
        if !self.out.left.contains(&what) {
            self.session.events.log(format!("left: {what}"));
            self.out.left.push(what);
        }
    }

    fn hold(&mut self) -> Option<Hold> {
        let mut all = vec![PROXY_UNIT, AGENT_UNIT];
        all.extend(SATELLITES);
        match Hold::engage(self.session.host, &all) {
            Ok(hold) => Some(hold),
            Err(error) => {
                self.out.failed.push(("keep the services from starting meanwhile".into(), error));
                None
            }
        }
    }

    fn stop(&mut self, unit: &str) {
        let there = units::show(self.session.host, &[unit]).map(|states| states.iter().any(|s| s.is_active()));
        match there {
            Ok(false) => {}
            Ok(true) => self.note(&format!("stop {unit}"), units::stop(self.session.host, &[unit])),
            Err(error) => self.note(&format!("stop {unit}"), Err(error)),
        }
    }

    /// Starts what ran before, and watches it: systemctl says 0 for a unit that then crash-loops.
    fn start(&mut self, again: &[&str]) {
        let host = self.session.host;
        let mut started = Vec::new();
        let states = units::show(host, again).unwrap_or_default();
        for unit in again {
            // Somebody has put it away since; no further try would start it.
            if let Some(state) = states.iter().find(|state| state.name == *unit)
                && (!state.exists() || state.load_state == "masked")
            {
                let why = if state.exists() { "masked" } else { "not there any more" };
                self.leave(format!("{unit} is {why}, and is not started"));
                continue;
            }
            let result = units::restart(host, &[unit]);
            if result.is_ok() {
                started.push(*unit);
            }
            self.note(&format!("start {unit} as before"), result);
        }
        if started.is_empty() {
            return;
        }
        match units::settle(host, &started, SETTLE, SETTLE_LIMIT) {
            Ok(settled) => {
                for unit in settled.iter().filter(|s| s.verdict != Verdict::Up) {
                    let what = format!("keep {} running as before", unit.unit.name);
                    self.out.failed.push((what, units::service_error(host, &unit.unit)));
                }
            }
            Err(error) => self.out.failed.push(("watch the services".into(), error)),
        }
    }

    fn one(&mut self, undo: &Undo) {
        let Session { host, .. } = self.session;
        match undo {
            Undo::RestoreFile { path, backup, uid, gid, mode, mtime, mtime_nsec, written } => {
                let to = Attributes { uid: *uid, gid: *gid, mode: *mode };
                self.restore_file(path, backup, &to, (*mtime, *mtime_nsec), written);
            }
            Undo::RemoveFile { path, written } => match self.files.now(host, path, written, None) {
                Ok(Now::Written) => {
                    self.files.was_absent(path);
                    self.note(&format!("remove {path}"), host.remove_file(path).map(|_| ()));
                }
                Ok(Now::Changed) => self.leave(format!("{path} stays: it was changed since")),
                Ok(Now::Absent | Now::Before | Now::Known) => {}
                Err(error) => self.note(&format!("remove {path}"), Err(error)),
            },
            // A folder that is not empty holds somebody else's files.
            Undo::RemoveFolder { path } => drop(host.remove_dir(path)),
            Undo::RemovePackages { names, folders } => {
                self.remove_packages(&names.iter().map(String::as_str).collect::<Vec<_>>(), folders);
            }
            Undo::RestorePackage { name, version, by } => self.restore_package(name, version, by.as_deref()),
            Undo::RestoreAttributes { path, uid, gid, mode, made } => {
                let to = Attributes { uid: *uid, gid: *gid, mode: *mode };
                let made = made.map(|(uid, gid, mode)| Attributes { uid, gid, mode });
                let now = host.meta(path).ok().flatten().filter(|m| matches!(m.kind, FileKind::File | FileKind::Dir));
                let Some(now) = now.map(|meta| meta.attributes()) else { return };
                // Without `made` the step was cut off: what is there is its work.
                if now != to && made.is_none_or(|made| made == now) {
                    let done = host.set_attributes(path, &to).map(|_| ());
                    self.note(&format!("set owner and mode of {path} back"), done);
                }
            }
            Undo::LeaveGroup { user, group } => match Users::read(host) {
                Ok(users) if !users.is_member(user, group) => {}
                Ok(_) => {
                    let result = users::remove_from_group(host, user, group);
                    self.note(&format!("take {user} out of the group {group}"), result);
                }
                Err(failure) => self.note(&format!("take {user} out of the group {group}"), Err(failure.into())),
            },
            Undo::Hold { names, hold } => self.hold_packages(names, *hold),
            Undo::Disable { unit } => match units::show(host, &[unit]) {
                Ok(states) if !states.iter().any(|s| s.exists() && s.is_enabled()) => {}
                _ => self.note(&format!("disable {unit}"), units::disable(host, &[unit])),
            },
            Undo::NewUser { user } => {
                if Users::read(host).is_ok_and(|users| users.user(user).is_some()) {
                    self.leave(format!(
                        "the system user {user} and its group stay: the packages' scripts made them, and files may be \
                         theirs (`userdel {user}` removes them)"
                    ));
                }
            }
            Undo::Unit { .. } => {}
        }
    }
}
