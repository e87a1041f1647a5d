//! What package managers keep of indexes and downloads: left as it was found, or emptied.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Manager;
use crate::error::{Error, Kind, Result};
use crate::host::{FileKind, Host};

/// Folders that belong to apt's package, and stay when they are empty.
const APT_FOLDERS: [&str; 2] = ["archives", "partial"];

/// All that is there.
pub fn found(host: &Host, manager: Manager) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for folder in folders(manager) {
        found.extend(host.list_tree(folder)?.into_iter().map(|(path, _)| path));
    }
    Ok(found)
}

/// Removes what was not found. What was may have been brought up to date since.
pub fn restore(host: &Host, manager: Manager, found: &BTreeSet<PathBuf>) -> Result<()> {
    for folder in folders(manager) {
        remove(host, folder, |path, _| !found.contains(path))?;
    }
    Ok(())
}

/// Removes all of it. An error with exit code 4 where another process works with it.
pub fn empty(host: &Host, manager: Manager) -> Result<()> {
    for folder in folders(manager) {
        for lock in ["lock", "archives/lock"].map(|name| Path::new(folder).join(name)) {
            if let Some(pid) = host.record_lock(&lock)? {
                let what = format!("process {pid} works with {folder}, which --clean was to empty");
                return Err(Error::new(Kind::Prerequisite, what).hint("wait until it is done, then run again"));
            }
        }
        let own = |path: &Path| APT_FOLDERS.iter().any(|name| path.file_name().is_some_and(|own| own == *name));
        remove(host, folder, |path, kind| kind != FileKind::Dir || (path != Path::new(folder) && !own(path)))?;
    }
    Ok(())
}

fn folders(manager: Manager) -> &'static [&'static str] {
    match manager {
        Manager::Apt => &["/var/lib/apt/lists", "/var/cache/apt"],
        // dnf's plugin for a local repository keeps a copy of each package.
        Manager::Dnf => &["/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5", "/var/lib/dnf/plugins/local"],
        // The number that zypper gives a machine must not be that of all machines of an image.
        Manager::Zypper => &["/var/cache/zypp", "/var/lib/zypp/AnonymousUniqueId"],
    }
}

fn remove(host: &Host, folder: &str, goes: impl Fn(&Path, FileKind) -> bool) -> Result<()> {
    // A folder stands before what is in it: from the end on, it is empty when its turn comes.
    for (path, meta) in host.list_tree(folder)?.into_iter().rev().filter(|(path, meta)| goes(path, meta.kind)) {
        match meta.kind {
            FileKind::Dir => host.remove_dir(&path)?,
            _ => host.remove_file(&path)?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs;

    #[test]
    fn what_came_goes_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("var/lib/apt/lists/partial")).unwrap();
        fs::create_dir_all(at("var/cache/apt/archives/partial")).unwrap();
        fs::write(at("var/lib/apt/lists/deb_InRelease"), "").unwrap();
        let host = Host::new(folder.path()).unwrap();
        let found = super::found(&host, Manager::Apt).unwrap();
        fs::create_dir_all(at("var/lib/apt/lists/auxfiles")).unwrap();
        fs::write(at("var/lib/apt/lists/apt.datadoghq.com_InRelease"), "").unwrap();
        fs::write(at("var/cache/apt/archives/agent.deb"), "").unwrap();
        restore(&host, Manager::Apt, &found).unwrap();
        let names = |path: &str| {
            let mut names: Vec<_> = fs::read_dir(at(path)).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("var/lib/apt/lists"), ["deb_InRelease", "partial"]);
        assert_eq!(names("var/cache/apt/archives"), ["partial"]);
        empty(&host, Manager::Apt).unwrap();
        assert_eq!(names("var/lib/apt/lists"), ["partial"]);
        assert_eq!(names("var/cache/apt"), ["archives"]);
    }
}
