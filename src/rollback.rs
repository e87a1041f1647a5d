//! Takes runs back, last step first. An undo that fails does not stop the others, and is told; what somebody changed
//! since is left, and named. Doing it twice does no harm: a rollback that was cut off is simply done again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::desired::{AGENT_UNIT, AGENT_USER, PROXY_UNIT, SATELLITES, package_folders};
use crate::error::{Error, Kind, Result};
use crate::host::units::{self, Verdict};
use crate::host::users::{self, Users};
use crate::host::{Attributes, FileKind, Hold, Host, Stored, system};
use crate::packages::{Change, Manager, PackageSpec, Session};
use crate::receipt::{Record, Undo};

/// How long a service that is started again is watched, and how long that may take.
const SETTLE: Duration = Duration::from_millis(1500);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Files that the Agent and the packages' scripts make themselves: nobody's work is lost with them.
const GENERATED: [&str; 4] = ["install_info", "install.json", "auth_token", "ipc_cert.pem"];

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
    /// Versions that no repository has any more: trying again is no use.
    pub unavailable: Vec<String>,
    /// What could not be taken back, and may be tried again.
    pub failed: Vec<(String, Error)>,
}

impl Undone {
    /// The failure to tell, if there is one: the first, with all of them in its details.
    pub fn error(&self) -> Option<Error> {
        let lines = |title: &str, lines: Vec<String>| match lines.is_empty() {
            true => String::new(),
            false => format!("{title}\n  {}\n", lines.join("\n  ")),
        };
        let failed = self.failed.iter().map(|(what, error)| format!("{what}: {error}")).collect();
        let detail =
            lines("could not be taken back:", failed) + &lines("is not to be had any more:", self.unavailable.clone());
        let (kind, hint) = match self.failed.first() {
            Some((_, error)) => {
                (error.kind, "mend what is named above, then run `ddinstall rollback`: it does the rest")
            }
            None if self.unavailable.is_empty() => return None,
            None => (Kind::Repository, "install that version yourself if you have its package"),
        };
        Some(Error::new(kind, "not all could be taken back").detail(detail).hint(hint))
    }
}

/// What an undo would do, for `--dry-run`.
pub fn describe(undo: &Undo) -> Option<String> {
    Some(match undo {
        Undo::RestoreFile { path, .. } => format!("put {path} back"),
        Undo::RemoveFile { path, .. } => format!("remove {path}"),
        Undo::RemovePackages { names, .. } => format!("remove {}", names.join(", ")),
        Undo::RestorePackage { name, version, .. } => format!("bring {name} {version} back"),
        Undo::LeaveGroup { user, group } => format!("take {user} out of the group {group}"),
        Undo::Disable { unit } => format!("disable {unit}"),
        Undo::Unit { unit, ran: true } => format!("restart {unit}, which ran before"),
        Undo::Unit { unit, .. } => format!("stop {unit}, which did not run before"),
        Undo::NewUser { .. } | Undo::RemoveFolder { .. } | Undo::RestoreAttributes { .. } => return None,
    })
}

/// Undoes these steps (oldest first, of one run or of several): what they started is stopped, then files, groups and
/// packages go back, then what ran before runs again. Services start with the old configuration only.
pub fn undo(session: Session, steps: &[Record], purge: Purge) -> Undone {
    let undos: Vec<&Undo> = steps.iter().flat_map(|step| &step.undo).collect();
    let mut this = Undoing { session, purge, files: Files::read(session.host, &undos), out: Undone::default() };
    // Of several runs the oldest knows what was before all of them.
    let mut ran: Vec<(&str, bool)> = Vec::new();
    let mut first: HashMap<&str, bool> = HashMap::new();
    for undo in &undos {
        match undo {
            Undo::Unit { unit, ran: before } if !ran.iter().any(|(known, _)| known == unit) => {
                ran.push((unit, *before));
            }
            Undo::RemovePackages { names, .. } => {
                for name in names {
                    first.entry(name).or_insert(true);
                }
            }
            Undo::RestorePackage { name, .. } => {
                first.entry(name).or_insert(false);
            }
            _ => {}
        }
    }
    ran.sort_by_key(|(unit, _)| *unit != PROXY_UNIT);
    for (unit, _) in ran.iter().filter(|(_, ran)| !ran) {
        this.stop(unit);
    }
    // Scriptlets restart services themselves: not before all is back.
    let held = if first.is_empty() { None } else { this.hold() };
    for undo in undos.iter().rev() {
        this.one(undo, &first);
    }
    if let Some(hold) = held {
        this.note("let the services start again", hold.release());
    }
    let _ = units::daemon_reload(session.host);
    let again: Vec<&str> = ran.iter().filter(|(_, ran)| *ran).map(|(unit, _)| *unit).collect();
    this.start(&again);
    this.out
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
                self.out.done.push(what.to_owned());
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
        for unit in again {
            let result = units::reset_failed(host, &[unit]).and_then(|()| units::restart(host, &[unit]));
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

    fn one(&mut self, undo: &Undo, first: &HashMap<&str, bool>) {
        let Session { host, .. } = self.session;
        match undo {
            Undo::RestoreFile { path, backup, uid, gid, mode, mtime, mtime_nsec, written } => {
                let to = Attributes { uid: *uid, gid: *gid, mode: *mode };
                self.restore_file(path, backup, &to, (*mtime, *mtime_nsec), written);
            }
            Undo::RemoveFile { path, written } => match self.files.now(host, path, written, None) {
                Ok(Now::Written) => self.note(&format!("remove {path}"), host.remove_file(path).map(|_| ())),
                Ok(Now::Changed) => self.leave(format!("{path} stays: it was changed since")),
                Ok(Now::Absent | Now::Before | Now::Known) => {}
                Err(error) => self.note(&format!("remove {path}"), Err(error)),
            },
            // A folder that is not empty holds somebody else's files.
            Undo::RemoveFolder { path } => drop(host.remove_dir(path)),
            Undo::RemovePackages { names, folders } => {
                let absent = names.iter().map(String::as_str).filter(|name| first.get(name) != Some(&false));
                self.remove_packages(&absent.collect::<Vec<_>>(), folders);
            }
            // A package that an older run brought goes anyway.
            Undo::RestorePackage { name, .. } if first.get(name.as_str()) == Some(&true) => {}
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

    fn restore_file(&mut self, path: &str, backup: &str, to: &Attributes, mtime: (i64, i64), written: &str) {
        let host = self.session.host;
        let what = format!("put {path} back");
        let kept = match host.read(backup) {
            Ok(Some(kept)) => kept.bytes,
            Ok(None) => {
                let error = Error::new(Kind::Prerequisite, format!("its copy {backup} is gone"));
                // A rollback that was done before took it away with itself.
                return self.note(&what, Err(error));
            }
            Err(failure) => return self.note(&what, Err(failure.into())),
        };
        let write = || host.write(path, &kept, to).and_then(|()| host.set_mtime(path, mtime.0, mtime.1));
        match self.files.now(host, path, written, Some(&kept)) {
            Ok(Now::Written) => self.note(&what, write()),
            Ok(Now::Before) => {
                let attributes = host.set_attributes(path, to);
                let result = attributes.and_then(|_| host.set_mtime(path, mtime.0, mtime.1));
                self.note(&what, result);
            }
            // A package that was removed just now took it along.
            Ok(Now::Absent) if self.files.was_there(path) => self.note(&what, write()),
            Ok(Now::Absent) => self.leave(format!("{path} was removed since, and stays so")),
            Ok(Now::Changed) => self.leave(format!("{path} stays: it was changed since")),
            Ok(Now::Known) => {}
            Err(error) => self.note(&what, Err(error)),
        }
    }

    fn remove_packages(&mut self, names: &[&str], folders: &[String]) {
        let host = self.session.host;
        let fresh = |name: &&&str| package_folders(name).iter().all(|f| folders.iter().any(|fresh| fresh == f));
        let (mut whole, mut rest): (Vec<&str>, Vec<&str>) = match self.purge {
            Purge::Never => (Vec::new(), names.to_vec()),
            _ => names.iter().partition(fresh),
        };
        let mut kept = Vec::new();
        if self.purge != Purge::Always {
            match strangers(host, names) {
                Ok(strangers) if strangers.is_empty() => {}
                Ok(strangers) => {
                    rest.append(&mut whole);
                    kept = strangers;
                }
                Err(error) => {
                    rest.append(&mut whole);
                    self.out.failed.push(("look for files that are not ours".into(), error));
                }
            }
        }
        for (names, purge) in [(&rest, false), (&whole, true)] {
            if names.is_empty() {
                continue;
            }
            let removed = Manager::Apt.remove(self.session, names, purge);
            let with = if purge { " with configuration and data" } else { "" };
            let is_gone = removed.is_ok();
            self.note(&format!("remove {}{with}", names.join(", ")), removed);
            for folder in names.iter().flat_map(|name| package_folders(name)).filter(|_| purge && is_gone) {
                if let Err(error) = host.remove_tree(folder) {
                    self.note(&format!("remove {folder}"), Err(error));
                }
            }
        }
        let named = self.purge != Purge::Never;
        for Stranger { path, content, folder } in kept.iter().filter(|s| named || s.content.is_some()) {
            if let Err(error) = keep(host, path, content.as_ref(), folder) {
                self.note(&format!("keep {path}"), Err(error));
            }
            self.leave(format!("{path} stays: it is not ours, or was changed since"));
        }
    }

    fn restore_package(&mut self, name: &str, version: &str, by: Option<&str>) {
        let host = self.session.host;
        let what = format!("bring {name} {version} back");
        let now = match Manager::Apt.installed(host, &[name]) {
            Ok(found) => found.into_iter().next().flatten(),
            Err(error) => return self.note(&what, Err(error)),
        };
        match now {
            None => return self.leave(format!("{name} was removed since, and stays so")),
            Some(now) if now.is_whole() && now.version == version => return,
            Some(now) if now.is_whole() && by.is_some_and(|by| by != now.version) => {
                return self.leave(format!("{name} {} stays: it was installed since", now.version));
            }
            Some(_) => {}
        }
        let specs = [PackageSpec::exactly(name, version)];
        if let Err(error) = Manager::Apt.download(self.session, &specs, Change::Downgrade) {
            return match error.kind {
                Kind::Repository => self.out.unavailable.push(format!("{name} {version} ({error})")),
                _ => self.note(&what, Err(error)),
            };
        }
        // Its scripts set owners and modes of files that are not theirs.
        let before = attributes(host, package_folders(name));
        let installed = Manager::Apt.install(self.session, &specs, Change::Downgrade);
        for (path, was) in before {
            let now = host.meta(&path).ok().flatten().map(|meta| meta.attributes());
            if now.is_some_and(|now| now != was)
                && let Err(error) = host.set_attributes(&path, &was)
            {
                self.note(&format!("set owner and mode of {path} back"), Err(error));
            }
        }
        self.note(&what, installed);
    }
}

/// The folders of `package` and the files in them, with owners and modes. Links are not looked at.
pub fn attributes(host: &Host, folders: &[&str]) -> Vec<(String, Attributes)> {
    let mut all = Vec::new();
    for folder in folders.iter().filter(|folder| folder.starts_with("/etc/")) {
        for (path, meta) in host.list_tree(folder).unwrap_or_default() {
            if meta.kind == FileKind::Dir || (meta.kind == FileKind::File && meta.nlink == 1) {
                all.push((path.display().to_string(), meta.attributes()));
            }
        }
    }
    all
}

/// A file of somebody else's below the configuration folders of a package.
struct Stranger {
    path: String,
    /// Of a package's file that was changed: the package manager would remove it with the package.
    content: Option<Stored>,
    folder: Attributes,
}

/// Files that neither the packages brought nor the Agent made, or that were changed.
fn strangers(host: &Host, names: &[&str]) -> Result<Vec<Stranger>> {
    let owned: BTreeMap<String, bool> = Manager::Apt.owned(host, names)?;
    let folders: BTreeSet<&str> = names.iter().flat_map(|name| package_folders(name)).copied().collect();
    let mut found = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.starts_with("/etc/")) {
        let tree = host.list_tree(folder)?;
        for (path, meta) in &tree {
            let generated = path.file_name().is_some_and(|name| GENERATED.iter().any(|known| name == *known));
            let name = path.display().to_string();
            let whole = owned.get(&name);
            if meta.kind == FileKind::Dir || generated || whole == Some(&true) {
                continue;
            }
            let parent = tree.iter().find(|(folder, _)| Some(folder.as_path()) == path.parent());
            let content = if whole.is_some() { host.read(path).ok().flatten() } else { None };
            let root = Attributes { uid: 0, gid: 0, mode: 0o755 };
            found.push(Stranger { path: name, content, folder: parent.map_or(root, |(_, meta)| meta.attributes()) });
        }
    }
    Ok(found)
}

/// Puts a file that its package took along back.
fn keep(host: &Host, path: &str, content: Option<&Stored>, folder: &Attributes) -> Result<()> {
    let Some(stored) = content else { return Ok(()) };
    if host.meta(path)?.is_some() {
        return Ok(());
    }
    if let Some(parent) = std::path::Path::new(path).parent() {
        host.make_dirs(parent, folder)?;
    }
    host.write(path, &stored.bytes, &stored.meta.attributes())?;
    host.set_mtime(path, stored.meta.mtime, stored.meta.mtime_nsec)
}

/// What is now where a run has written.
enum Now {
    /// What that step wrote.
    Written,
    /// What was there before it.
    Before,
    /// What another step wrote or found: this one was undone already, or cut off before it wrote.
    Known,
    Absent,
    /// Somebody else's.
    Changed,
}

/// All contents that the steps know of, and which files were there when the undoing began.
struct Files {
    known: HashMap<String, HashSet<String>>,
    there: HashSet<String>,
}

impl Files {
    fn read(host: &Host, undos: &[&Undo]) -> Files {
        let mut files = Files { known: HashMap::new(), there: HashSet::new() };
        for undo in undos {
            let (path, written, backup) = match undo {
                Undo::RestoreFile { path, written, backup, .. } => (path, written, Some(backup)),
                Undo::RemoveFile { path, written } => (path, written, None),
                _ => continue,
            };
            let known = files.known.entry(path.clone()).or_default();
            known.insert(written.clone());
            if let Some(Ok(Some(kept))) = backup.map(|backup| host.read(backup)) {
                known.insert(system::sha256_hex(&kept.bytes));
            }
            if host.meta(path).is_ok_and(|meta| meta.is_some()) {
                files.there.insert(path.clone());
            }
        }
        files
    }

    fn was_there(&self, path: &str) -> bool {
        self.there.contains(path)
    }

    fn now(&self, host: &Host, path: &str, written: &str, before: Option<&[u8]>) -> Result<Now> {
        let Some(now) = host.read(path)? else { return Ok(Now::Absent) };
        let hash = system::sha256_hex(&now.bytes);
        Ok(if hash == written {
            Now::Written
        } else if before == Some(&now.bytes) {
            Now::Before
        } else if self.known.get(path).is_some_and(|known| known.contains(&hash)) {
            Now::Known
        } else {
            Now::Changed
        })
    }
}

/// The undos that a package step needs, beside those of the packages themselves: what their scripts change.
pub fn scripts(host: &Host, changes: &[(&str, bool)]) -> Result<Vec<Undo>> {
    let mut undos = Vec::new();
    if Users::read(host)?.user(AGENT_USER).is_none() {
        undos.push(Undo::NewUser { user: AGENT_USER.into() });
    }
    let folders: BTreeSet<&str> = changes.iter().flat_map(|(name, _)| package_folders(name)).copied().collect();
    let folders: Vec<&str> = folders.into_iter().collect();
    undos.extend(attributes(host, &folders).into_iter().map(|(path, a)| Undo::RestoreAttributes {
        path,
        uid: a.uid,
        gid: a.gid,
        mode: a.mode,
        made: None,
    }));
    Ok(undos)
}
