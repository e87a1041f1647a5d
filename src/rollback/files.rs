//! Files go back byte for byte, unless somebody else changed them since.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Undoing;
use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, FileKind, Host, system};
use crate::receipt::Undo;

/// What is now where a run has written.
pub(super) enum Now {
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

/// What the steps know of the files, and which files were there when the undoing began.
pub(super) struct Files {
    /// Hashes of what any step wrote, by path.
    written: HashMap<String, HashSet<String>>,
    /// Hashes of what each step that is still to be undone found, oldest first, by path.
    found: HashMap<String, Vec<Option<String>>>,
    there: HashSet<String>,
}

impl Files {
    pub(super) fn read(host: &Host, undos: &[Undo]) -> Files {
        let mut files = Files { written: HashMap::new(), found: HashMap::new(), there: HashSet::new() };
        for undo in undos {
            let (path, written, backup) = match undo {
                Undo::RestoreFile { path, written, backup, .. } => (path, written, Some(backup)),
                Undo::RemoveFile { path, written } => (path, written, None),
                _ => continue,
            };
            let kept = backup.and_then(|backup| host.read(backup).ok().flatten());
            let found = kept.map(|kept| system::sha256_hex(&kept.bytes));
            // A change of owner and mode alone makes nobody's content ours.
            if found.as_ref() != Some(written) {
                files.written.entry(path.clone()).or_default().insert(written.clone());
            }
            files.found.entry(path.clone()).or_default().push(found);
            if host.meta(path).is_ok_and(|meta| meta.is_some()) {
                files.there.insert(path.clone());
            }
        }
        files
    }

    fn was_there(&self, path: &str) -> bool {
        self.there.contains(path)
    }

    /// A step that is undone had found nothing there: what an older one made of it had been removed between the two.
    pub(super) fn was_absent(&mut self, path: &str) {
        self.there.remove(path);
    }

    /// To be asked once for each step, youngest first.
    pub(super) fn now(&mut self, host: &Host, path: &str, written: &str, before: Option<&[u8]>) -> Result<Now> {
        let older = self.found.get_mut(path).map(|found| {
            found.pop();
            &*found
        });
        // We wrote a plain file: a link or a folder in its place is somebody else's.
        if host.meta(path)?.is_some_and(|meta| meta.kind != FileKind::File) {
            return Ok(Now::Changed);
        }
        let Some(now) = host.read(path)? else { return Ok(Now::Absent) };
        let hash = system::sha256_hex(&now.bytes);
        Ok(if hash == written {
            Now::Written
        } else if before == Some(&now.bytes) {
            Now::Before
        } else if older.is_some_and(|older| older.contains(&Some(hash.clone())))
            || self.written.get(path).is_some_and(|written| written.contains(&hash))
        {
            // What only a younger step found is somebody's work between the two.
            Now::Known
        } else {
            Now::Changed
        })
    }
}

impl Undoing<'_> {
    pub(super) fn restore_file(&mut self, path: &str, backup: &str, to: &Attributes, mtime: (i64, i64), written: &str) {
        let host = self.session.host;
        let what = format!("put {path} back");
        let kept = match host.read(backup) {
            Ok(kept) => kept.map(|kept| kept.bytes),
            Err(failure) => return self.note(&what, Err(failure.into())),
        };
        let write = || match &kept {
            Some(kept) => host.write(path, kept, to).and_then(|()| host.set_mtime(path, mtime.0, mtime.1)),
            None => Err(Error::new(Kind::Prerequisite, format!("its copy {backup} is gone"))
                .hint("what the file was is not known any more: write it as you want it")),
        };
        match self.files.now(host, path, written, kept.as_deref()) {
            Ok(Now::Written) if kept.is_none() => self.out.unavailable.extend(write().err().map(|error| (what, error))),
            Ok(Now::Written) => self.note(&what, write()),
            Ok(Now::Before) => {
                let attributes = host.set_attributes(path, to);
                let result = attributes.and_then(|_| host.set_mtime(path, mtime.0, mtime.1));
                self.note(&what, result);
            }
            // Its folder went with the packages that made both.
            Ok(Now::Absent) if self.files.was_there(path) && !has_folder(host, path) => {}
            // A package that was removed just now took it along.
            Ok(Now::Absent) if kept.is_some() && self.files.was_there(path) => self.note(&what, write()),
            Ok(Now::Absent) => self.leave(format!("{path} was removed since, and stays so")),
            Ok(Now::Changed) => self.leave(format!("{path} stays: it was changed since")),
            Ok(Now::Known) => {}
            Err(error) => self.note(&what, Err(error)),
        }
    }
}

fn has_folder(host: &Host, path: &str) -> bool {
    Path::new(path).parent().is_some_and(|folder| !matches!(host.meta(folder), Ok(None)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A step that found `before` at /file, and wrote `written`.
    fn step(host: &Host, number: usize, before: &str, written: &str) -> Undo {
        let backup = format!("/copy-{number}");
        put(host, &backup, before);
        let written = system::sha256_hex(written.as_bytes());
        Undo::RestoreFile {
            path: "/file".into(),
            backup,
            uid: 0,
            gid: 0,
            mode: 0o600,
            mtime: 0,
            mtime_nsec: 0,
            written,
        }
    }

    fn put(host: &Host, path: &str, text: &str) {
        let me = host.meta("/").unwrap().unwrap().attributes();
        host.write(path, text.as_bytes(), &Attributes { mode: 0o600, ..me }).unwrap();
    }

    #[test]
    fn work_between_two_runs_is_somebodys_though_the_second_changed_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        put(&host, "/file", "mine");
        let undos = [step(&host, 1, "old", "ours"), step(&host, 2, "mine", "mine")];
        let mut files = Files::read(&host, &undos);
        let mut now = |written: &str, before: &str| {
            files.now(&host, "/file", &system::sha256_hex(written.as_bytes()), Some(before.as_bytes())).unwrap()
        };
        assert!(matches!(now("mine", "mine"), Now::Written));
        assert!(matches!(now("ours", "old"), Now::Changed));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_somebodys() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        put(&host, "/elsewhere", "ours");
        std::os::unix::fs::symlink("elsewhere", folder.path().join("file")).unwrap();
        let written = system::sha256_hex(b"ours");
        let mut files = Files::read(&host, &[step(&host, 1, "old", "ours")]);
        assert!(matches!(files.now(&host, "/file", &written, Some(b"old")), Ok(Now::Changed)));
    }
}
