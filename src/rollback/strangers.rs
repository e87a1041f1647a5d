//! What is somebody else's in the folders of packages that go: it is named, and what the package manager would take
//! along is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::desired::package_folders;
use crate::error::Result;
use crate::host::{Attributes, FileKind, Host, Stored};
use crate::packages::Manager;
use crate::receipt::KEPT;

/// Files that the Agent and the packages' scripts make themselves: nobody's work is lost with them.
const GENERATED: [&str; 4] = ["install_info", "install.json", "auth_token", "ipc_cert.pem"];

/// A file of somebody else's below the configuration folders of a package.
pub(super) struct Stranger {
    pub path: PathBuf,
    /// Of a package's file that was changed: the package manager would remove it with the package.
    pub content: Option<Stored>,
}

/// Files that neither the packages brought nor the Agent made, or that were changed.
pub(super) fn find(host: &Host, names: &[&str]) -> Result<Vec<Stranger>> {
    let owned: BTreeMap<String, bool> = Manager::of(host)?.owned(host, names)?;
    let folders: BTreeSet<&str> = names.iter().flat_map(|name| package_folders(name)).copied().collect();
    let mut found = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.starts_with("/etc/")) {
        for (path, meta) in host.list_tree(folder)? {
            let generated = path.file_name().is_some_and(|name| GENERATED.iter().any(|known| name == *known));
            let whole = owned.get(&path.display().to_string());
            if meta.kind == FileKind::Dir || generated || whole == Some(&true) {
                continue;
            }
            let content = if whole.is_some() { host.read(&path).ok().flatten() } else { None };
            found.push(Stranger { path, content });
        }
    }
    Ok(found)
}

/// Copies what the package manager is about to take along: a run that is killed meanwhile leaves it to the next.
pub(super) fn keep(host: &Host, strangers: &[Stranger]) -> Result<()> {
    for Stranger { path, content } in strangers {
        if let Some(stored) = content {
            host.make_dir(KEPT, &Attributes { uid: 0, gid: 0, mode: 0o700 })?;
            make_folders(host, path, Path::to_owned, kept)?;
            put(host, &kept(path), stored)?;
        }
    }
    Ok(())
}

/// Puts back all that was kept and is not there any more, by this run or by one that was killed: the paths. On an
/// error all that was kept stays kept.
pub(super) fn put_back(host: &Host) -> Result<Vec<PathBuf>> {
    let mut back = Vec::new();
    for (copy, _) in host.list_tree(KEPT)?.iter().filter(|(_, meta)| meta.kind == FileKind::File) {
        let (Ok(path), Some(stored)) = (copy.strip_prefix(KEPT), host.read(copy)?) else { continue };
        let path = Path::new("/").join(path);
        if host.meta(&path)?.is_none() {
            make_folders(host, &path, kept, Path::to_owned)?;
            put(host, &path, &stored)?;
        }
        back.push(path);
    }
    host.remove_tree(KEPT)?;
    Ok(back)
}

/// The folders of `path`, outermost first: `to` of each is made as `from` of it is.
fn make_folders(host: &Host, path: &Path, from: fn(&Path) -> PathBuf, to: fn(&Path) -> PathBuf) -> Result<()> {
    let folders: Vec<&Path> = path.ancestors().skip(1).filter(|folder| folder.file_name().is_some()).collect();
    for folder in folders.into_iter().rev() {
        if let Some(meta) = host.meta(from(folder))?.filter(|meta| meta.kind == FileKind::Dir) {
            host.make_dir(to(folder), &meta.attributes())?;
        }
    }
    Ok(())
}

fn put(host: &Host, path: &Path, stored: &Stored) -> Result<()> {
    host.write(path, &stored.bytes, &stored.meta.attributes())?;
    host.set_mtime(path, stored.meta.mtime, stored.meta.mtime_nsec)
}

/// Where the copy of a path is.
fn kept(path: &Path) -> PathBuf {
    Path::new(KEPT).join(path.strip_prefix("/").unwrap_or(path))
}
