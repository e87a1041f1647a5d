//! Files below the root: read, looked at, replaced and removed without ever following a planted link.
//! A file is only ever replaced whole, by a rename; nothing is written into a file that is already there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens};
use nix::sys::statfs::{PROC_SUPER_MAGIC, Statfs, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, unlinkat};

use super::walk::{Last, is};
use super::{Host, system, xattr};
use crate::error::{Error, Kind, Result};

/// How the names of files begin that are being written.
pub(super) const TEMPORARY: &str = ".ddinstall-";

/// What kind of thing has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    /// "FIFO", "socket", "block device" or "character device".
    Other(&'static str),
}

/// What `lstat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    pub kind: FileKind,
    /// The permission bits (07777).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes.
    pub len: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds within that second.
    pub mtime_nsec: i64,
    pub nlink: u64,
    pub inode: u64,
    pub device: u64,
}

/// A regular file as it was read: content and attributes are of the same open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub bytes: Vec<u8>,
    pub meta: FileMeta,
}

/// Owner, group and mode (07777) of something that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// Why something could not be read. `?` turns it into an [`Error`].
#[derive(Debug, Clone)]
pub enum ReadFailure {
    /// We lack the right to; `verify` says "unknown".
    Denied(Error),
    /// A link that is not followed, a hard link in a folder of another user, a FIFO, a device, a socket, a folder.
    NotRegular(Error),
    Other(Error),
}

impl ReadFailure {
    pub fn is_denied(&self) -> bool {
        matches!(self, ReadFailure::Denied(_))
    }

    pub fn error(&self) -> &Error {
        match self {
            ReadFailure::Denied(e) | ReadFailure::NotRegular(e) | ReadFailure::Other(e) => e,
        }
    }
}

impl From<ReadFailure> for Error {
    fn from(failure: ReadFailure) -> Error {
        match failure {
            ReadFailure::Denied(e) | ReadFailure::NotRegular(e) | ReadFailure::Other(e) => e,
        }
    }
}

impl std::fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error().fmt(f)
    }
}

impl std::error::Error for ReadFailure {}

impl FileMeta {
    pub fn attributes(&self) -> Attributes {
        Attributes { uid: self.uid, gid: self.gid, mode: self.mode }
    }
}

impl From<&FileStat> for FileMeta {
    // The widths of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn from(s: &FileStat) -> FileMeta {
        let kind = match SFlag::from_bits_truncate(s.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => FileKind::File,
            SFlag::S_IFDIR => FileKind::Dir,
            SFlag::S_IFLNK => FileKind::Symlink,
            SFlag::S_IFIFO => FileKind::Other("FIFO"),
            SFlag::S_IFSOCK => FileKind::Other("socket"),
            SFlag::S_IFBLK => FileKind::Other("block device"),
            _ => FileKind::Other("character device"),
        };
        FileMeta {
            kind,
            mode: s.st_mode & 0o7777,
            uid: s.st_uid,
            gid: s.st_gid,
            len: s.st_size as u64,
            mtime: s.st_mtime as i64,
            mtime_nsec: s.st_mtime_nsec as i64,
            nlink: s.st_nlink as u64,
            inode: s.st_ino as u64,
            device: s.st_dev as u64,
        }
    }
}

/// No file that is read whole is larger, in bytes: the largest is a program of the operator's.
const LARGEST: u64 = 256 << 20;

impl Host {
    /// Reads a regular file; None if it or its folder is absent. In a folder that not only root can write, a hard
    /// link is refused: it may be a secret of another owner under a new name.
    pub fn read(&self, path: impl AsRef<Path>) -> std::result::Result<Option<Stored>, ReadFailure> {
        self.read_with(path.as_ref(), Last::Follow)
    }

    fn read_with(&self, path: &Path, last: Last) -> std::result::Result<Option<Stored>, ReadFailure> {
        // O_NONBLOCK: opening a planted FIFO must not wait for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(fd) = self.open(path, flags, last)? else {
            return Ok(None);
        };
        let stat = fstat(&fd).map_err(|e| self.failure("read", path, e))?;
        if !is(&stat, SFlag::S_IFREG) {
            return Err(ReadFailure::NotRegular(self.refusal(path, &stat)));
        }
        self.check_only_name(path, &fd, &stat)?;
        // Whoever owns its folder may have made it as large as a file can be, without any content.
        let too_large = || {
            let what = format!("{} is larger than {} MiB", self.real_path(path).display(), LARGEST >> 20);
            ReadFailure::Other(Error::new(Kind::Prerequisite, what).hint("see what it is, and remove it"))
        };
        if stat.st_size as u64 > LARGEST {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(stat.st_size as usize + 1);
        File::from(fd).take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::PermissionDenied => ReadFailure::Denied(Error::io("read", &self.real_path(path), &e)),
            _ => ReadFailure::Other(Error::io("read", &self.real_path(path), &e)),
        })?;
        if bytes.len() as u64 > LARGEST {
            return Err(too_large());
        }
        Ok(Some(Stored { bytes, meta: FileMeta::from(&stat) }))
    }

    /// [`Host::read`] for a file that [`Host::write`] may replace: a link in its place is refused, whoever made it, and so is
    /// one of several names.
    pub fn read_own(&self, path: impl AsRef<Path>) -> std::result::Result<Option<Stored>, ReadFailure> {
        let path = path.as_ref();
        match self.open(path, OFlag::O_PATH, Last::Keep)? {
            None => return Ok(None),
            Some(fd) => {
                let stat = fstat(&fd).map_err(|e| self.failure("read", path, e))?;
                if is(&stat, SFlag::S_IFLNK) || (is(&stat, SFlag::S_IFREG) && stat.st_nlink > 1) {
                    return Err(ReadFailure::NotRegular(self.refusal(path, &stat)));
                }
            }
        }
        self.read_with(path, Last::Keep)
    }

    /// [`Host::read`] as text; bytes that are no UTF-8 are replaced. For `/proc` and the system's own tables.
    pub fn read_text(&self, path: impl AsRef<Path>) -> std::result::Result<Option<String>, ReadFailure> {
        let stored = self.read(path)?;
        Ok(stored
            .map(|s| String::from_utf8(s.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())))
    }

    /// The last `most` bytes of a file that grows, as text from the first whole line on. None if it is absent.
    pub fn read_end(&self, path: impl AsRef<Path>, most: usize) -> std::result::Result<Option<String>, ReadFailure> {
        let path = path.as_ref();
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(fd) = self.open(path, flags, Last::Keep)? else {
            return Ok(None);
        };
        let stat = fstat(&fd).map_err(|e| self.failure("read", path, e))?;
        if !is(&stat, SFlag::S_IFREG) {
            return Err(ReadFailure::NotRegular(self.refusal(path, &stat)));
        }
        let mut file = File::from(fd);
        let failed = |e: std::io::Error| ReadFailure::Other(Error::io("read", &self.real_path(path), &e));
        let cut = (stat.st_size as u64).saturating_sub(most as u64);
        file.seek(std::io::SeekFrom::Start(cut)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = if cut > 0 { text.find('\n').map_or(0, |at| at + 1) } else { 0 };
        Ok(Some(text[whole..].to_owned()))
    }

    /// Looks at a name without following a link at its end. None if it or a parent is absent.
    pub fn meta(&self, path: impl AsRef<Path>) -> std::result::Result<Option<FileMeta>, ReadFailure> {
        let path = path.as_ref();
        let Some(fd) = self.open(path, OFlag::O_PATH, Last::Keep)? else {
            return Ok(None);
        };
        let stat = fstat(&fd).map_err(|e| self.failure("read", path, e))?;
        Ok(Some(FileMeta::from(&stat)))
    }

    /// What [`Host::write`] would refuse, without writing: for use before anything is changed. Also a
    /// read-only file system, and a folder where the file should be. A missing parent folder is no refusal.
    pub fn can_replace(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut folder = path.parent();
        while let Some(parent) = folder {
            if let Some(fd) = self.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, Last::Follow)? {
                if fstatvfs(&fd).is_ok_and(|s| s.flags().contains(FsFlags::ST_RDONLY)) {
                    return Err(self.error("write", path, Errno::EROFS));
                }
                break;
            }
            folder = parent.parent();
        }
        match self.open(path, OFlag::O_PATH, Last::Keep)? {
            Some(fd) => {
                let stat = fstat(&fd).map_err(|e| self.error("read", path, e))?;
                self.check_replaceable(path, &stat)
            }
            None => Ok(()),
        }
    }

    /// Puts `bytes` in the place of `path`, whole or not at all: a new file beside it (random name, mode 0600),
    /// content, SELinux label and ACL of the old file, owner and mode, fsync, rename, fsync of the folder.
    /// Refused in the place: a link, a file with several hard links, anything that is no regular file. On an
    /// error (a full disk) the old file is untouched and the new one removed.
    pub fn write(&self, path: impl AsRef<Path>, bytes: &[u8], to: &Attributes) -> Result<()> {
        let path = path.as_ref();
        let (folder, name) = self.parent(path)?;
        let old = match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                self.check_replaceable(path, &stat)?;
                let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let fd =
                    openat(&folder, name.as_os_str(), flags, Mode::empty()).map_err(|e| self.error("read", path, e))?;
                Some(File::from(fd))
            }
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(self.error("read", path, e)),
        };
        let (temporary, file) = self.create_beside(path, &folder, &name)?;
        let done = self.fill(path, file, old.as_ref(), bytes, to).and_then(|written| {
            renameat(&folder, temporary.as_os_str(), &folder, name.as_os_str())
                .map_err(|e| self.error("replace", path, e))?;
            Ok(written)
        });
        let written = match done {
            Ok(written) => written,
            Err(e) => {
                // The first error is the one to tell.
                let _ = unlinkat(&folder, temporary.as_os_str(), UnlinkatFlags::NoRemoveDir);
                return Err(e);
            }
        };
        sync_folder(&folder).map_err(|e| self.error("sync the folder of", path, e))?;
        match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(now) if now.st_ino == written.st_ino && now.st_dev == written.st_dev => Ok(()),
            _ => Err(Error::new(
                Kind::Prerequisite,
                format!("{} was replaced by another process while it was written", self.real_path(path).display()),
            )
            .hint("find out which process changes that folder, then run again")),
        }
    }

    /// A new file beside `name` with mode 0600 that nobody else can have opened.
    fn create_beside(&self, path: &Path, folder: &OwnedFd, name: &OsStr) -> Result<(OsString, File)> {
        let mut tries = 0;
        loop {
            let mut temporary = OsString::from(TEMPORARY);
            temporary.push(system::random_hex()?);
            let mut whole = temporary.clone();
            // The name tells an operator what a leftover of a killed run belongs to.
            whole.push("-");
            whole.push(name);
            let temporary = if whole.len() <= 255 { whole } else { temporary };
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            match openat(folder, temporary.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
                Ok(fd) => return Ok((temporary, File::from(fd))),
                Err(Errno::EEXIST | Errno::EINTR) if tries < 100 => tries += 1,
                Err(e) => return Err(self.error("write", path, e)),
            }
        }
    }

    fn fill(&self, path: &Path, mut file: File, old: Option<&File>, bytes: &[u8], to: &Attributes) -> Result<FileStat> {
        let error = |e: Errno| self.error("write", path, e);
        file.write_all(bytes).map_err(|e| Error::io("write", &self.real_path(path), &e))?;
        if let Some(old) = old {
            xattr::copy(old, &file).map_err(error)?;
        }
        set_attributes(&file, to).map_err(error)?;
        fsync(&file).map_err(error)?;
        fstat(&file).map_err(error)
    }

    /// Sets owner and mode of a file or folder that is there; its content and time of change stay.
    /// Refuses what [`Host::write`] refuses. True if something changed.
    pub fn set_attributes(&self, path: impl AsRef<Path>, to: &Attributes) -> Result<bool> {
        let path = path.as_ref();
        let fd = self.open_to_change(path)?;
        let stat = fstat(&fd).map_err(|e| self.error("read", path, e))?;
        if FileMeta::from(&stat).attributes() == *to {
            return Ok(false);
        }
        set_attributes(&fd, to).map_err(|e| self.error("set owner and mode of", path, e))?;
        Ok(true)
    }

    /// Sets the time of the last change, in seconds and nanoseconds since 1970, as a rollback needs it.
    pub fn set_mtime(&self, path: impl AsRef<Path>, seconds: i64, nanos: i64) -> Result<()> {
        let path = path.as_ref();
        let fd = self.open_to_change(path)?;
        futimens(&fd, &TimeSpec::UTIME_OMIT, &TimeSpec::new(seconds, nanos))
            .map_err(|e| self.error("set the time of", path, e))
    }

    fn open_to_change(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let fd = match self.open(path, flags, Last::Keep)? {
            Some(fd) => fd,
            None => return Err(self.error("open", path, Errno::ENOENT)),
        };
        let stat = fstat(&fd).map_err(|e| self.error("read", path, e))?;
        if !is(&stat, SFlag::S_IFDIR) {
            self.check_replaceable(path, &stat)?;
            self.check_only_name(path, &fd, &stat)?;
        }
        Ok(fd)
    }

    /// Opens a log for appending, made with `mode` if it is absent. Only for folders of root.
    pub fn append(&self, path: impl AsRef<Path>, mode: u32) -> Result<File> {
        let path = path.as_ref();
        let (folder, name) = self.parent(path)?;
        let flags = OFlag::O_WRONLY
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_CLOEXEC;
        let fd = openat(&folder, name.as_os_str(), flags, Mode::from_bits_truncate(mode))
            .map_err(|e| self.error("write", path, e))?;
        let stat = fstat(&fd).map_err(|e| self.error("read", path, e))?;
        self.check_replaceable(path, &stat)?;
        self.check_only_name(path, &fd, &stat)?;
        Ok(File::from(fd))
    }

    /// Removes a file, a link itself, a FIFO or a socket. False if it or its folder was absent.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        if self.meta(path)?.is_none() {
            return Ok(false);
        }
        let (folder, name) = self.parent(path)?;
        match unlinkat(&folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                sync_folder(&folder).map_err(|e| self.error("sync the folder of", path, e))?;
                Ok(true)
            }
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(self.error("remove", path, e)),
        }
    }

    /// In a folder that not only root can write: that this open file has no other name. Whoever owns the folder may
    /// link a secret there and unlink it again between two of our looks, so one look at the number of links proves
    /// nothing. If the name leads to this very file, the number is 1, and the time of the last change of either
    /// stays the same, several times over, then nobody is doing so.
    fn check_only_name(&self, path: &Path, fd: &OwnedFd, opened: &FileStat) -> std::result::Result<(), ReadFailure> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let refused = |stat: &FileStat| ReadFailure::NotRegular(self.refusal(path, stat));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let (Some(folder), Some(name)) = (self.open(parent, flags, Last::Follow)?, path.file_name()) else {
            return Err(refused(opened));
        };
        let stat = fstat(&folder).map_err(|e| self.failure("read", parent, e))?;
        // On /proc nobody can make a link, and looking twice may see two inodes.
        let is_proc = |s: Statfs| s.filesystem_type() == PROC_SUPER_MAGIC;
        if self.is_private(&stat) || fstatfs(fd).is_ok_and(is_proc) {
            return Ok(());
        }
        let changed = |s: &FileStat| (s.st_dev, s.st_ino, s.st_ctime, s.st_ctime_nsec);
        for _ in 0..4 {
            let named = fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|_| refused(opened))?;
            let again = fstat(fd).map_err(|e| self.failure("read", path, e))?;
            for seen in [&named, &again] {
                if seen.st_nlink != 1 || changed(seen) != changed(opened) {
                    return Err(refused(opened));
                }
            }
        }
        Ok(())
    }

    fn check_replaceable(&self, path: &Path, stat: &FileStat) -> Result<()> {
        if is(stat, SFlag::S_IFREG) && stat.st_nlink == 1 {
            return Ok(());
        }
        Err(self.refusal(path, stat))
    }

    fn refusal(&self, path: &Path, stat: &FileStat) -> Error {
        let what = match FileMeta::from(stat).kind {
            FileKind::File => "a file with several names (hard links), or changing right now",
            FileKind::Dir => "a folder",
            FileKind::Symlink => "a symbolic link",
            FileKind::Other(what) => what,
        };
        Error::new(
            Kind::Prerequisite,
            format!("{} is {what}, where a plain file must be; it is left alone", self.real_path(path).display()),
        )
        .hint("look where it comes from; move it away or put a plain file there, then run again")
    }
}

/// Makes a change of a folder's names last. Some network and user-space file systems cannot, and say EINVAL.
pub(super) fn sync_folder(folder: &OwnedFd) -> nix::Result<()> {
    match fsync(folder) {
        Err(Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// Owner first: the kernel drops bits of the mode when the owner changes.
pub(super) fn set_attributes(fd: impl AsFd, to: &Attributes) -> nix::Result<()> {
    let stat = fstat(&fd)?;
    if (stat.st_uid, stat.st_gid) != (to.uid, to.gid) {
        fchown(&fd, Some(Uid::from_raw(to.uid)), Some(Gid::from_raw(to.gid)))?;
    }
    fchmod(&fd, Mode::from_bits_truncate(to.mode))
}
