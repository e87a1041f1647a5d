//! One run at a time: an exclusive `flock` on a file that holds the process id of its owner.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, Flock, FlockArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstat, fstatat};

use super::Host;
use crate::error::Result;

/// The outcome of an attempt to lock.
#[derive(Debug)]
pub enum Locking {
    Acquired(Lock),
    /// Another process holds it: the one with this id, or a child that it left behind (`Command::holds`).
    HeldBy(Option<u32>),
}

/// Held until dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(Flock<File>);

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Host {
    /// Tries once to take the lock; the file (0600) is made if absent, its folder must be there. Nothing waits here.
    pub fn lock(&self, path: impl AsRef<Path>) -> Result<Locking> {
        let path = path.as_ref();
        loop {
            if let Some(locking) = self.try_lock(path)? {
                return Ok(locking);
            }
        }
    }

    /// None: whoever had the lock removed its file before letting go, and the file that we locked has no name any more.
    fn try_lock(&self, path: &Path) -> Result<Option<Locking>> {
        let (folder, name) = self.parent(path)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(&folder, name.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|e| self.error("open the lock", path, e))?;
        match Flock::lock(File::from(fd), FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                let locked = fstat(&*file).map_err(|e| self.error("open the lock", path, e))?;
                match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(named) if (named.st_dev, named.st_ino) == (locked.st_dev, locked.st_ino) => {}
                    _ => return Ok(None),
                }
                // Only a message needs the number: a full disk must not keep us from repairing the host.
                let _ = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
                Ok(Some(Locking::Acquired(Lock(file))))
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Ok(Some(Locking::HeldBy(text.trim().parse().ok())))
            }
            Err((_, e)) => Err(self.error("lock", path, e)),
        }
    }

    /// The process that holds a record lock (fcntl) on any part of a file. None: nobody, or there is no such file.
    pub fn record_lock(&self, path: impl AsRef<Path>) -> Result<Option<u32>> {
        let path = path.as_ref();
        if self.meta(path)?.is_none() {
            return Ok(None);
        }
        let (folder, name) = self.parent(path)?;
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match openat(&folder, name.as_os_str(), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(self.error("open the lock", path, e)),
        };
        let mut lock =
            libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&fd, FcntlArg::F_GETLK(&mut lock)).map_err(|e| self.error("ask for the lock", path, e))?;
        // A process of another name space has no number here.
        Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(u32::try_from(lock.l_pid).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_lock_learns_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        let Locking::Acquired(lock) = host.lock("/lock").unwrap() else {
            panic!("a free lock was not given");
        };
        match host.lock("/lock").unwrap() {
            Locking::HeldBy(pid) => assert_eq!(pid, Some(std::process::id())),
            Locking::Acquired(_) => panic!("given twice"),
        }
        drop(lock);
        assert!(matches!(host.lock("/lock").unwrap(), Locking::Acquired(_)));
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        let Locking::Acquired(first) = host.lock("/lock").unwrap() else {
            panic!("a free lock was not given");
        };
        host.remove_file("/lock").unwrap();
        let waiting = std::thread::spawn({
            let host = host.clone();
            move || matches!(host.lock("/lock").unwrap(), Locking::Acquired(_))
        });
        assert!(waiting.join().unwrap());
        drop(first);
        assert!(folder.path().join("lock").exists());
    }
}
