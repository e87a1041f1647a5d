//! Packages go back to what they were, and what their scripts changed beside with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Purge, Undoing, strangers};
use crate::desired::{AGENT_UNIT, AGENT_USER, PROXY_UNIT, SATELLITES, package_folders};
use crate::error::Result;
use crate::host::users::Users;
use crate::host::{Attributes, FileKind, Host};
use crate::packages::{Change, Installed, Manager, PackageSpec};
use crate::receipt::{KEPT, Record, Undo};

/// The undos that a package step needs, beside those of the packages themselves: what their scripts change.
pub fn scripts(host: &Host, names: &[&str]) -> Result<Vec<Undo>> {
    let mut undos = Vec::new();
    if Users::read(host)?.user(AGENT_USER).is_none() {
        undos.push(Undo::NewUser { user: AGENT_USER.into() });
    }
    let folders: BTreeSet<&str> = names.iter().flat_map(|name| package_folders(name)).copied().collect();
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

/// What undoes these steps (oldest first, of one run or of several), oldest first: of a package's moves the oldest run
/// knows what was before all of them. One that it brought goes, whatever was there between; one that was there moves once,
/// since a version between two others may not be to be had any more.
pub(super) fn resolved(steps: &[Record]) -> Vec<Undo> {
    let mut all: Vec<Undo> = Vec::new();
    let mut was_there: BTreeMap<String, bool> = BTreeMap::new();
    for undo in steps.iter().flat_map(|step| &step.undo) {
        match undo {
            Undo::RemovePackages { names, folders } => {
                let (there, absent): (Vec<&String>, _) =
                    names.iter().partition(|name| *was_there.entry((*name).clone()).or_insert(false));
                // Removed by somebody, and brought again in whatever version.
                for name in there {
                    moved_to(&mut all, name).into_iter().for_each(|by| *by = None);
                }
                let names = absent.into_iter().cloned().collect();
                all.push(Undo::RemovePackages { names, folders: folders.clone() });
            }
            Undo::RestorePackage { name, version, by: to } => match moved_to(&mut all, name) {
                _ if !*was_there.entry(name.clone()).or_insert(true) => {}
                // What it is now came by the move before this one, and by nobody else's.
                Some(by) if by.as_ref() == Some(version) => by.clone_from(to),
                _ => all.push(undo.clone()),
            },
            _ => all.push(undo.clone()),
        }
    }
    all.retain(|undo| !matches!(undo, Undo::RemovePackages { names, .. } if names.is_empty()));
    all
}

/// The version that the last move of a package led to.
fn moved_to<'a>(all: &'a mut [Undo], package: &str) -> Option<&'a mut Option<String>> {
    all.iter_mut().rev().find_map(|undo| match undo {
        Undo::RestorePackage { name, by, .. } if name == package => Some(by),
        _ => None,
    })
}

impl Undoing<'_> {
    pub(super) fn remove_packages(&mut self, names: &[&str], folders: &[String]) {
        let host = self.session.host;
        let fresh = |name: &&&str| package_folders(name).iter().all(|f| folders.iter().any(|fresh| fresh == f));
        let (mut whole, mut rest): (Vec<&str>, Vec<&str>) = match self.purge {
            Purge::Never => (Vec::new(), names.to_vec()),
            _ => names.iter().partition(fresh),
        };
        let mut others = Vec::new();
        if self.purge != Purge::Always {
            match strangers::find(host, names) {
                Ok(found) => others = found,
                Err(error) => {
                    rest.append(&mut whole);
                    self.out.failed.push(("look for files that are not ours".into(), error));
                }
            }
        }
        if !others.is_empty() {
            rest.append(&mut whole);
            if let Err(error) = strangers::keep(host, &others) {
                return self.note("keep copies of files that are not ours", Err(error));
            }
        }
        // The package manager takes a folder along that no other package has, /opt for one, though it was there before.
        let above: Vec<(&Path, Attributes)> = names
            .iter()
            .flat_map(|name| package_folders(name))
            .filter_map(|folder| Path::new(folder).parent())
            .filter_map(|folder| Some((folder, host.meta(folder).ok()??.attributes())))
            .collect();
        for (names, purge) in [(&rest, false), (&whole, true)] {
            if names.is_empty() {
                continue;
            }
            let removed = Manager::of(host).and_then(|manager| manager.remove(self.session, names, purge));
            let with = if purge { " with configuration and data" } else { "" };
            let is_gone = removed.is_ok();
            self.note(&format!("remove {}{with}", names.join(", ")), removed);
            for folder in names.iter().flat_map(|name| package_folders(name)).filter(|_| purge && is_gone) {
                if let Err(error) = host.remove_tree(folder) {
                    self.note(&format!("remove {folder}"), Err(error));
                }
            }
        }
        for (folder, was) in above {
            if let Err(error) = host.make_dir(folder, &was) {
                self.note(&format!("keep {}", folder.display()), Err(error));
            }
        }
        if let Err(error) = dangling_links(host) {
            self.note("remove links of run levels that lead nowhere", Err(error));
        }
        let back = if self.purge == Purge::Always { Ok(Vec::new()) } else { strangers::put_back(host) };
        let back = back.unwrap_or_else(|error| {
            self.note("put files back that are not ours", Err(error.state(format!("their copies stay in {KEPT}"))));
            Vec::new()
        });
        // Where all configuration stays, what stays is no news, but for what the package manager took along.
        let named = self.purge != Purge::Never;
        let others = others.into_iter().filter(|other| named || other.content.is_some()).map(|other| other.path);
        for path in others.chain(back) {
            self.leave(format!("{} stays: it is not ours, or was changed since", path.display()));
        }
    }

    pub(super) fn hold_packages(&mut self, names: &[String], hold: bool) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let known =
            match Manager::of(self.session.host).and_then(|manager| manager.installed(self.session.host, &names)) {
                Ok(known) => known,
                Err(error) => return self.note("read what is on hold", Err(error)),
            };
        let other = |is: &Option<Installed>| is.as_ref().is_some_and(|is| is.held != hold);
        let names: Vec<&str> =
            names.into_iter().zip(&known).filter(|(_, is)| other(is)).map(|(name, _)| name).collect();
        if !names.is_empty() {
            let what = if hold { "hold" } else { "release" };
            let held = Manager::of(self.session.host).and_then(|manager| manager.hold(self.session, &names, hold));
            self.note(&format!("{what} {}", names.join(", ")), held);
        }
    }

    pub(super) fn restore_package(&mut self, name: &str, version: &str, by: Option<&str>) {
        let host = self.session.host;
        let what = format!("bring {name} {version} back");
        let found = Manager::of(host).and_then(|manager| Ok((manager, manager.installed(host, &[name])?)));
        let (manager, now) = match found {
            Ok((manager, found)) => (manager, found.into_iter().next().flatten()),
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
        let change = Change { downgrade: true, held: true };
        if let Err(error) = manager.download(self.session, &specs, change) {
            if !error.absent {
                return self.note(&what, Err(error));
            }
            let error = error.hint("install that version yourself if you have its package");
            return self.out.unavailable.push((format!("{name} {version}"), error));
        }
        // Its scripts set owners and modes of files that are not theirs.
        let before = attributes(host, package_folders(name));
        let installed = manager.install(self.session, &specs, change);
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
fn attributes(host: &Host, folders: &[&str]) -> Vec<(String, Attributes)> {
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

/// Removes what `systemctl disable` leaves of SysV scripts in the run levels once their packages are gone.
fn dangling_links(host: &Host) -> Result<()> {
    let units = SATELLITES.into_iter().chain([AGENT_UNIT, PROXY_UNIT]);
    let scripts: Vec<&str> = units.map(|unit| unit.trim_end_matches(".service")).collect();
    for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
        let folder = format!("/etc/rc{level}.d");
        for name in host.list(&folder)?.unwrap_or_default() {
            let name = name.to_string_lossy();
            // K01datadog-agent
            let script = name.get(3..).filter(|_| name.starts_with(['S', 'K'])).unwrap_or_default();
            let link = format!("{folder}/{name}");
            if scripts.contains(&script)
                && host.meta(format!("/etc/init.d/{script}"))?.is_none()
                && host.meta(&link)?.is_some_and(|meta| meta.kind == FileKind::Symlink)
            {
                host.remove_file(&link)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(version: &str, by: &str) -> Undo {
        Undo::RestorePackage { name: "datadog-agent".into(), version: version.into(), by: Some(by.into()) }
    }

    fn brought(names: &[&str]) -> Undo {
        Undo::RemovePackages { names: names.iter().map(|&name| name.into()).collect(), folders: Vec::new() }
    }

    fn of(undos: &[Undo]) -> Vec<Undo> {
        let steps = undos.iter().map(|undo| Record { what: String::new(), undo: vec![undo.clone()], done: true });
        resolved(&steps.collect::<Vec<_>>())
    }

    #[test]
    fn moves_in_a_row_are_one_and_what_somebody_moved_between_is_another() {
        assert_eq!(of(&[moved("1", "2"), moved("2", "3"), moved("3", "4")]), [moved("1", "4")]);
        let with_a_gap = [moved("1", "2"), moved("3", "4")];
        assert_eq!(of(&with_a_gap), with_a_gap);
        // One that was cut off before it came to anything.
        let again = [moved("1", "2"), moved("1", "3")];
        assert_eq!(of(&again), again);
    }

    #[test]
    fn the_oldest_run_knows_whether_a_package_was_there() {
        let (both, other) = (["datadog-agent", "datadog-fips-proxy"], ["datadog-fips-proxy"]);
        assert_eq!(of(&[brought(&both), moved("1", "2")]), [brought(&both)]);
        let again = Undo::RestorePackage { name: both[0].into(), version: "1".into(), by: None };
        assert_eq!(of(&[moved("1", "2"), brought(&both)]), [again.clone(), brought(&other)]);
        assert_eq!(of(&[moved("1", "2"), brought(&both[..1])]), [again]);
        assert_eq!(of(&[brought(&both), brought(&other)]), [brought(&both), brought(&other)]);
    }
}
