//! Takes a run back, last step first. An undo that fails does not stop the others, and is told.

use crate::error::Result;
use crate::event::Events;
use crate::host::{Attributes, Host, system, units, users};
use crate::packages::{Change, Manager, PackageSpec, Session};
use crate::receipt::{Record, Undo};

/// What could not be taken back, and what was left because somebody changed it since.
#[derive(Debug, Default)]
pub struct Left(pub Vec<String>);

/// Undoes the steps of one run: what it started is stopped, then files, groups and packages go back, then what ran
/// before runs again.
pub fn undo(session: Session, steps: &[Record]) -> Left {
    let Session { host, events, .. } = session;
    let mut left = Left::default();
    let undos: Vec<&Undo> = steps.iter().rev().flat_map(|step| step.undo.iter().rev()).collect();
    let is_unit = |undo: &&&Undo| matches!(undo, Undo::Unit { .. });
    for undo in undos.iter().filter(is_unit) {
        if let Undo::Unit { unit, ran: false } = undo {
            left.note(events, &format!("stop {unit}"), units::stop(host, &[unit]));
        }
    }
    for undo in undos.iter().filter(|undo| !is_unit(undo)) {
        left.one(session, undo);
    }
    for undo in undos.iter().filter(is_unit) {
        if let Undo::Unit { unit, ran: true } = undo {
            let again = units::reset_failed(host, &[unit]).and_then(|()| units::restart(host, &[unit]));
            left.note(events, &format!("start {unit} as before"), again);
        }
    }
    left
}

impl Left {
    fn note(&mut self, events: &Events, what: &str, result: Result<()>) {
        match result {
            Ok(()) => events.log(format!("undo: {what}")),
            Err(error) => self.0.push(format!("{what}: {error}")),
        }
    }

    fn one(&mut self, session: Session, undo: &Undo) {
        let Session { host, events, .. } = session;
        match undo {
            Undo::RestoreFile { path, backup, uid, gid, mode, mtime, mtime_nsec, written } => {
                if !self.ours(host, path, written, events) {
                    return;
                }
                let to = Attributes { uid: *uid, gid: *gid, mode: *mode };
                let restored = host.read(backup).map_err(Into::into).and_then(|backup| match backup {
                    Some(backup) => host.write(path, &backup.bytes, &to),
                    None => Ok(()),
                });
                let restored = restored.and_then(|()| host.set_mtime(path, *mtime, *mtime_nsec));
                self.note(events, &format!("put {path} back"), restored);
            }
            Undo::RemoveFile { path, written } => {
                if self.ours(host, path, written, events) {
                    self.note(events, &format!("remove {path}"), host.remove_file(path).map(|_| ()));
                }
            }
            Undo::RemoveFolder { path } => {
                // A folder that is not empty holds somebody else's files.
                let _ = host.remove_dir(path);
            }
            Undo::RemovePackages { names } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let removed = Manager::Apt.remove(session, &names, false);
                self.note(events, &format!("remove {}", names.join(", ")), removed);
            }
            Undo::RestorePackage { name, version } => {
                let specs = [PackageSpec::exactly(name, version)];
                let change = Change { downgrade: true, held: true };
                let back = Manager::Apt
                    .download(session, &specs, change)
                    .and_then(|()| Manager::Apt.install(session, &specs, change));
                self.note(events, &format!("bring {name} {version} back"), back);
            }
            Undo::LeaveGroup { user, group } => {
                let result = users::remove_from_group(host, user, group);
                self.note(events, &format!("take {user} out of the group {group}"), result);
            }
            Undo::Hold { names, hold } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let what = if *hold { "hold" } else { "release" };
                self.note(events, &format!("{what} {}", names.join(", ")), Manager::Apt.hold(session, &names, *hold));
            }
            Undo::Disable { unit } => self.note(events, &format!("disable {unit}"), units::disable(host, &[unit])),
            Undo::Unit { .. } => {}
        }
    }

    /// Whether the file still is what was written. What is not there, or was changed since, is not ours to take back.
    fn ours(&mut self, host: &Host, path: &str, written: &str, events: &Events) -> bool {
        match host.read(path) {
            Ok(Some(stored)) if system::sha256_hex(&stored.bytes) == written => true,
            Ok(Some(_)) => {
                events.log(format!("undo: {path} is as it was before, or was changed since"));
                false
            }
            Ok(None) => false,
            Err(failure) => {
                self.0.push(format!("{path}: {failure}"));
                false
            }
        }
    }
}
