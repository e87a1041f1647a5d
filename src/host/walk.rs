//! From a path to an open descriptor, below the root and past no link that another user could have planted.
//!
//! The rule for symbolic links, in parents and (for reading) at the end:
//! **a link is followed only if root owns it, and every folder on the way to it is owned by root and writable by
//! nobody else** (`/lib`, `/var/run`, `/etc/os-release`). Every other link is refused. "Root" is uid 0 or the
//! owner of the root folder. A link's text is read and walked here, one component at a time, so an
//! absolute target starts at the host's root again, `..` stops there, and magic links of `/proc` lead nowhere.
//!
//! A path without links is opened by one `openat2` with `RESOLVE_NO_SYMLINKS`; if that meets a link, or
//! the kernel or a seccomp filter does not have it, the walk of `O_NOFOLLOW` steps below decides.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::Host;
use super::files::ReadFailure;
use crate::error::{Error, Kind, Result};

/// As in the kernel: more links than this are a loop.
const MOST_LINKS: usize = 40;

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// Follow it if the rule allows.
    Follow,
    /// Hand it to `open` as it is; with `O_PATH` that opens the link itself.
    Keep,
}

pub(super) type Found = std::result::Result<Option<OwnedFd>, ReadFailure>;

impl Host {
    /// Opens `path` with `flags` (`O_NOFOLLOW` and `O_CLOEXEC` are added). None if it or a parent is absent.
    pub(super) fn open(&self, path: &Path, flags: OFlag, last: Last) -> Found {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let parts = parts(path)?;
        let relative: PathBuf = if parts.is_empty() { PathBuf::from(".") } else { parts.iter().collect() };
        let how = OpenHow::new().flags(flags).resolve(
            ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_BENEATH,
        );
        let keeps_link = last == Last::Keep || !flags.contains(OFlag::O_PATH);
        match openat2(&self.0.folder, &relative, how) {
            Ok(fd) if keeps_link || !is(&stat(&fd, path)?, SFlag::S_IFLNK) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e @ Errno::EACCES) => Err(self.failure("open", path, e)),
            _ => self.walk(path, parts, flags, last),
        }
    }

    /// The same step by step.
    pub(super) fn walk(&self, path: &Path, mut parts: VecDeque<OsString>, flags: OFlag, last: Last) -> Found {
        let mut folders: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        loop {
            let here = folders.last().map_or(self.0.folder.as_fd(), |f| f.as_fd());
            let Some(part) = parts.pop_front() else {
                return self.opened(path, openat(here, ".", flags, Mode::empty()));
            };
            if part == ".." {
                folders.pop();
                continue;
            }
            let look = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let Some(step) = self.opened(path, openat(here, part.as_os_str(), look, Mode::empty()))? else {
                return Ok(None);
            };
            let seen = stat(&step, path)?;
            let at_end = parts.is_empty();
            if is(&seen, SFlag::S_IFLNK) && !(at_end && last == Last::Keep) {
                links += 1;
                self.may_follow(path, &folders, &seen, links)?;
                let target = readlinkat(&step, "").map_err(|e| self.failure("read the link", path, e))?;
                if Path::new(&target).is_absolute() {
                    folders.clear();
                }
                for part in link_parts(&target).into_iter().rev() {
                    parts.push_front(part);
                }
            } else if at_end {
                return self.opened(path, openat(here, part.as_os_str(), flags, Mode::empty()));
            } else if is(&seen, SFlag::S_IFDIR) {
                folders.push(step);
            } else {
                return Err(self.failure("open", path, Errno::ENOTDIR));
            }
        }
    }

    fn may_follow(
        &self,
        path: &Path,
        folders: &[OwnedFd],
        link: &FileStat,
        links: usize,
    ) -> std::result::Result<(), ReadFailure> {
        let mut private = links <= MOST_LINKS && self.is_trusted(link.st_uid);
        for folder in std::iter::once(self.0.folder.as_fd()).chain(folders.iter().map(OwnedFd::as_fd)) {
            private = private && self.is_private(&stat(folder, path)?);
        }
        if private {
            return Ok(());
        }
        Err(ReadFailure::NotRegular(
            Error::new(
                Kind::Prerequisite,
                format!(
                    "{}: a symbolic link on the way, in a folder that not only root can write, is not followed",
                    self.real_path(path).display()
                ),
            )
            .hint("put the file or folder itself in the place of the link, then run again"),
        ))
    }

    fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || uid == self.0.owner
    }

    /// Whether nobody but root can change what stands in this folder.
    pub(super) fn is_private(&self, folder: &FileStat) -> bool {
        self.is_trusted(folder.st_uid) && folder.st_mode & 0o022 == 0
    }

    fn opened(&self, path: &Path, result: nix::Result<OwnedFd>) -> Found {
        match result {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(self.failure("open", path, e)),
        }
    }

    /// The folder of `path`, open for reading and syncing, and the name in it. An error if there is no such folder.
    pub(super) fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let mut parts = parts(path)?;
        let Some(name) = parts.pop_back() else {
            return Err(Error::new(Kind::Prerequisite, format!("{} cannot be replaced", self.root().display())));
        };
        let folder: PathBuf = parts.iter().collect();
        match self.open(&folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Last::Follow)? {
            Some(fd) => Ok((fd, name)),
            None => Err(self.error("open", &folder, Errno::ENOENT)),
        }
    }

    /// An operating-system error on a path of this host.
    pub(super) fn error(&self, doing: &str, path: &Path, errno: Errno) -> Error {
        Error::io(doing, &self.real_path(path), &errno.into())
    }

    pub(super) fn failure(&self, doing: &str, path: &Path, errno: Errno) -> ReadFailure {
        let error = self.error(doing, path, errno);
        match errno {
            Errno::EACCES | Errno::EPERM => ReadFailure::Denied(error),
            Errno::ELOOP | Errno::ENXIO => ReadFailure::NotRegular(error),
            _ => ReadFailure::Other(error),
        }
    }
}

pub(super) fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

fn stat(fd: impl AsFd, path: &Path) -> std::result::Result<FileStat, ReadFailure> {
    fstat(fd).map_err(|e| ReadFailure::Other(Error::io("read", path, &e.into())))
}

/// The components below the root. `..` is refused: no path of ours has one.
fn parts(path: &Path) -> std::result::Result<VecDeque<OsString>, ReadFailure> {
    path.components()
        .filter(|c| !matches!(c, Component::RootDir | Component::CurDir))
        .map(|c| match c {
            Component::Normal(part) => Ok(part.to_owned()),
            _ => Err(ReadFailure::Other(Error::new(
                Kind::Usage,
                format!("{}: a path with `..` is not accepted", path.display()),
            ))),
        })
        .collect()
}

fn link_parts(target: &OsStr) -> Vec<OsString> {
    Path::new(target)
        .components()
        .filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir))
        .map(|c| c.as_os_str().to_owned())
        .collect()
}
