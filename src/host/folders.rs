//! Folders below the root: made, listed, removed with all that is in them, and how much room they have.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat, mkdirat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::files::{Attributes, FileKind, FileMeta, ReadFailure, TEMPORARY, set_attributes, sync_folder};
use super::walk::{Last, is};
use super::{Host, system};
use crate::error::{Error, Kind, Result};

/// How the names of our own folders begin; a process id, `-`, and what only this process knows follow.
const FOLDER: &str = "ddinstall-";

/// What a file system has left for root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes: u64,
    /// Files and folders that can still be made; None where the file system makes them as needed.
    pub inodes: Option<u64>,
    /// The same for all but root, who has a reserve on some file systems.
    pub bytes_of_others: u64,
    pub inodes_of_others: Option<u64>,
    /// Two paths with the same device share the room.
    pub device: u64,
}

/// A folder of our own that is removed with its content when this is dropped.
#[derive(Debug)]
pub struct TempDir {
    host: Host,
    path: PathBuf,
}

impl TempDir {
    /// The path below the host's root, beginning with `/`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Nobody is left to tell; the next run uses another name.
        let _ = self.host.remove_tree(&self.path);
    }
}

impl Host {
    /// Makes one folder with exactly this owner and mode. False if a folder is there already (its owner and mode are
    /// left as they are); an error if something else is, or if the parent is absent.
    pub fn make_dir(&self, path: impl AsRef<Path>, to: &Attributes) -> Result<bool> {
        let path = path.as_ref();
        match self.meta(path)?.map(|m| m.kind) {
            None => {}
            Some(FileKind::Dir) => return Ok(false),
            // A link that may be followed, such as /var/run, stands for its folder.
            Some(FileKind::Symlink) if self.open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, Last::Follow)?.is_some() => {
                return Ok(false);
            }
            Some(_) => return Err(self.error("make the folder", path, Errno::EEXIST)),
        }
        let (parent, name) = self.parent(path)?;
        let error = |e| self.error("make the folder", path, e);
        mkdirat(&parent, name.as_os_str(), Mode::S_IRWXU).map_err(error)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let done = openat(&parent, name.as_os_str(), flags, Mode::empty())
            .and_then(|fd| set_attributes(&fd, to))
            .and_then(|()| sync_folder(&parent));
        if let Err(e) = done {
            let _ = unlinkat(&parent, name.as_os_str(), UnlinkatFlags::RemoveDir);
            return Err(error(e));
        }
        Ok(true)
    }

    /// [`Host::make_dir`] for the folder and every parent that is absent. The folders made, outermost first.
    pub fn make_dirs(&self, path: impl AsRef<Path>, to: &Attributes) -> Result<Vec<PathBuf>> {
        let mut made = Vec::new();
        let mut folders: Vec<&Path> = path.as_ref().ancestors().collect();
        folders.retain(|p| p.file_name().is_some());
        for folder in folders.into_iter().rev() {
            if self.make_dir(folder, to)? {
                made.push(folder.to_owned());
            }
        }
        Ok(made)
    }

    /// The names in a folder, sorted. None if it is absent.
    pub fn list(&self, path: impl AsRef<Path>) -> std::result::Result<Option<Vec<OsString>>, ReadFailure> {
        let path = path.as_ref();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let Some(fd) = self.open(path, flags, Last::Follow)? else {
            return Ok(None);
        };
        names(fd).map(Some).map_err(|e| self.failure("list", path, errno(&e)))
    }

    /// The folder itself and all that is in it, links not followed. Empty if it is absent; what vanishes meanwhile is left out.
    pub fn list_tree(&self, path: impl AsRef<Path>) -> Result<Vec<(PathBuf, FileMeta)>> {
        let mut found = Vec::new();
        let mut waiting = vec![path.as_ref().to_owned()];
        while let Some(path) = waiting.pop() {
            let Some(meta) = self.meta(&path)? else { continue };
            if meta.kind == FileKind::Dir {
                waiting.extend(self.list(&path)?.unwrap_or_default().into_iter().map(|name| path.join(name)));
            }
            found.push((path, meta));
        }
        Ok(found)
    }

    /// Removes a folder if it is empty. False if it is absent or something is in it.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        if self.meta(path)?.is_none() {
            return Ok(false);
        }
        let (parent, name) = self.parent(path)?;
        match unlinkat(&parent, name.as_os_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) => {
                sync_folder(&parent).map_err(|e| self.error("sync the folder of", path, e))?;
                Ok(true)
            }
            Err(Errno::ENOENT | Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
            Err(e) => Err(self.error("remove", path, e)),
        }
    }

    /// Removes what a killed run was writing in this folder (see [`Host::write`]); the names removed. Only for the one
    /// that holds the lock. False friends are safe: a link of such a name is removed itself.
    pub fn remove_leftovers(&self, folder: impl AsRef<Path>) -> Result<Vec<OsString>> {
        let folder = folder.as_ref();
        let mut left = self.list(folder)?.unwrap_or_default();
        left.retain(|name| name.to_string_lossy().starts_with(TEMPORARY));
        for name in &left {
            self.remove_file(folder.join(name))?;
        }
        Ok(left)
    }

    /// Removes a folder with all that is in it, following no link and leaving other file systems that are mounted in
    /// it alone (that is an error). False if it is absent.
    pub fn remove_tree(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        if self.meta(path)?.is_none() {
            return Ok(false);
        }
        let (parent, name) = self.parent(path)?;
        let error = |e| self.error("remove", path, e);
        let device = fstat(&parent).map_err(error)?.st_dev;
        remove_below(&parent, &name, device).map_err(error)?;
        sync_folder(&parent).map_err(error)?;
        Ok(true)
    }

    /// The room on the file system that holds `path`, or would hold it (that of its nearest parent).
    pub fn free_space(&self, path: impl AsRef<Path>) -> Result<Space> {
        let path = path.as_ref();
        for folder in path.ancestors() {
            if let Some(fd) = self.open(folder, OFlag::O_PATH, Last::Follow)? {
                let error = |e| self.error("read the free space of", folder, e);
                let space = fstatvfs(&fd).map_err(error)?;
                let stat = fstat(&fd).map_err(error)?;
                return Ok(Space {
                    bytes: wide(space.blocks_free()).saturating_mul(wide(space.fragment_size())),
                    inodes: (space.files() > 0).then(|| wide(space.files_free())),
                    bytes_of_others: wide(space.blocks_available()).saturating_mul(wide(space.fragment_size())),
                    inodes_of_others: (space.files() > 0).then(|| wide(space.files_available())),
                    device: wide(stat.st_dev),
                });
            }
        }
        Err(self.error("read the free space of", path, Errno::ENOENT))
    }

    /// Removes the folders of [`Host::temp_dir`] whose process was killed before it could. The names removed. In name
    /// spaces of its own every run is process 1: only the one that holds the lock knows that no other lives.
    pub fn remove_stale_temporaries(&self, parent: impl AsRef<Path>, locked: bool) -> Result<Vec<OsString>> {
        let parent = Path::new("/").join(parent.as_ref());
        let mut stale = self.list(&parent)?.unwrap_or_default();
        let (me, own) = (std::process::id().to_string(), own_folder()?);
        let is_gone = |pid: &str| !Path::new("/proc").join(pid).exists() || (locked && pid == me);
        stale.retain(|name| {
            let name = name.to_string_lossy();
            owner_of(&name).is_some_and(is_gone) && !name.starts_with(&own)
        });
        for name in &stale {
            self.remove_tree(parent.join(name))?;
        }
        Ok(stale)
    }

    /// A new folder of ours with a random name in `parent`, with `mode` (0700 unless another user must enter). Those of
    /// runs that were killed are removed.
    pub fn temp_dir(&self, parent: impl AsRef<Path>, mode: u32) -> Result<TempDir> {
        let parent = Path::new("/").join(parent.as_ref());
        self.remove_stale_temporaries(&parent, false)?;
        let path = parent.join(own_folder()? + &system::random_hex()?);
        let me = Attributes { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw(), mode };
        if !self.make_dir(&path, &me)? {
            return Err(Error::new(Kind::Prerequisite, format!("{} is there already", path.display())));
        }
        Ok(TempDir { host: self.clone(), path })
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}

/// How the names of this process's folders begin.
fn own_folder() -> Result<String> {
    static RUN: OnceLock<String> = OnceLock::new();
    let run = match RUN.get() {
        Some(run) => run,
        None => {
            let run = system::random_hex()?;
            RUN.get_or_init(|| run)
        }
    };
    Ok(format!("{FOLDER}{}-{run}-", std::process::id()))
}

/// The process that made a folder of this name with [`Host::temp_dir`].
fn owner_of(name: &str) -> Option<&str> {
    let (pid, _) = name.strip_prefix(FOLDER)?.split_once('-')?;
    pid.bytes().all(|c| c.is_ascii_digit()).then_some(pid).filter(|pid| !pid.is_empty())
}

/// For fields whose type differs between architectures.
fn wide(n: impl TryInto<u64>) -> u64 {
    n.try_into().unwrap_or(u64::MAX)
}

/// Read through `/proc/self/fd`, which leads to the open folder itself, wherever it is by now.
pub(super) fn names(folder: impl AsFd) -> std::io::Result<Vec<OsString>> {
    let mut names = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd()))?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn remove_below(parent: &impl AsFd, name: &OsString, device: u64) -> nix::Result<()> {
    let stat = fstatat(parent, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if !is(&stat, SFlag::S_IFDIR) {
        return unlinkat(parent, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
    }
    if wide(stat.st_dev) != device {
        return Err(Errno::EXDEV);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = openat(parent, name.as_os_str(), flags, Mode::empty())?;
    for below in names(&folder).map_err(|e| errno(&e))? {
        remove_below(&folder, &below, device)?;
    }
    unlinkat(parent, name.as_os_str(), UnlinkatFlags::RemoveDir)
}
