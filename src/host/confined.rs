//! Reads files of one folder for whoever names them, and never one outside of it: names with `..`, absolute names, and
//! links that lead out are refused by the kernel (`openat2` beneath), or by a walk that does the same where the kernel is
//! older than 5.6 or a filter keeps the call from us. Links that stay inside are followed, since Kubernetes makes them.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::walk::is;
use crate::error::{Error, Result};
use crate::secret::Wiped;

/// As in the kernel: more links than this are a loop.
const MOST_LINKS: usize = 40;
/// Somebody who renames folders all the time can keep `..` in a link from being resolved; then it is refused.
const MOST_RETRIES: usize = 64;

/// A folder that is read from.
pub struct Folder {
    fd: OwnedFd,
}

/// Why a name is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Empty, absolute, with `..` or with a NUL byte in it.
    Name,
    /// A link on the way leads out of the folder.
    Outside,
    Absent,
    /// Neither a file nor a link to one: a folder, a FIFO, a device, a socket.
    NotAFile(&'static str),
    /// It has further names (hard links), which may be outside.
    ManyNames,
    TooLarge,
    Denied,
    /// The kernel's word for it.
    Other(Errno),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Name => f.write_str("not a name inside the folder"),
            Refused::Outside => f.write_str("a link leads out of the folder"),
            Refused::Absent => f.write_str("no such file"),
            Refused::NotAFile(what) => write!(f, "is {what}, not a file"),
            Refused::ManyNames => f.write_str("the file has several names (hard links)"),
            Refused::TooLarge => f.write_str("larger than allowed"),
            Refused::Denied => f.write_str("permission denied"),
            Refused::Other(errno) => f.write_str(errno.desc()),
        }
    }
}

impl Folder {
    /// Opens the folder itself, which may be reached over links.
    pub fn open(path: &Path) -> Result<Folder> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(|e| Error::io("open the folder", path, &e.into()))?;
        Ok(Folder { fd })
    }

    /// Reads the file of this name, which has at most `limit` bytes. Devices and FIFOs are not even opened.
    pub fn read(&self, name: &str, limit: usize) -> std::result::Result<Wiped, Refused> {
        self.contents(self.find(name)?, limit)
    }

    fn find(&self, name: &str) -> std::result::Result<OwnedFd, Refused> {
        let path = relative(name)?;
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 0..MOST_RETRIES {
            match openat2(&self.fd, &path, how) {
                Ok(fd) => return Ok(fd),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::ENOSYS | Errno::EPERM) => return self.walk(&path),
                Err(e) => return Err(refused(e)),
            }
        }
        Err(Refused::Other(Errno::EAGAIN))
    }

    /// The same step by step. `..` in a link goes back to the folder that we came from, wherever it is by now.
    fn walk(&self, path: &Path) -> std::result::Result<OwnedFd, Refused> {
        let mut parts = parts(path.as_os_str());
        let mut folders: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                folders.pop().ok_or(Refused::Outside)?;
                continue;
            }
            let here = folders.last().map_or(self.fd.as_fd(), |f| f.as_fd());
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let step = openat(here, part.as_os_str(), flags, Mode::empty()).map_err(refused)?;
            let stat = fstat(&step).map_err(refused)?;
            if is(&stat, SFlag::S_IFLNK) {
                links += 1;
                let target = readlinkat(&step, "").map_err(refused)?;
                match (links <= MOST_LINKS, target.as_bytes().first()) {
                    (false, _) => return Err(Refused::Other(Errno::ELOOP)),
                    (_, Some(b'/') | None) => return Err(Refused::Outside),
                    _ => {}
                }
                for part in self::parts(&target).into_iter().rev() {
                    parts.push_front(part);
                }
            } else if parts.is_empty() {
                return Ok(step);
            } else if is(&stat, SFlag::S_IFDIR) {
                folders.push(step);
            } else {
                return Err(Refused::Other(Errno::ENOTDIR));
            }
        }
        Err(Refused::NotAFile("a folder"))
    }

    fn contents(&self, found: OwnedFd, limit: usize) -> std::result::Result<Wiped, Refused> {
        let stat = fstat(&found).map_err(refused)?;
        for (kind, what) in [
            (SFlag::S_IFDIR, "a folder"),
            (SFlag::S_IFIFO, "a FIFO"),
            (SFlag::S_IFSOCK, "a socket"),
            (SFlag::S_IFCHR, "a device"),
            (SFlag::S_IFBLK, "a device"),
            (SFlag::S_IFLNK, "a link"),
        ] {
            if is(&stat, kind) {
                return Err(Refused::NotAFile(what));
            }
        }
        if stat.st_nlink > 1 {
            return Err(Refused::ManyNames);
        }
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > limit as u64 {
            return Err(Refused::TooLarge);
        }
        // The very file that was looked at, opened for reading.
        let path = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
        let mut file = File::from(open(&path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(refused)?);
        let mut read = Wiped::with_capacity(limit);
        let mut buffer = [0u8; 4096];
        let result = loop {
            match file.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) if !read.push(&buffer[..count]) => break Err(Refused::TooLarge),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => break Err(Refused::Other(Errno::from_raw(e.raw_os_error().unwrap_or_default()))),
            }
        };
        buffer.fill(0);
        std::hint::black_box(&buffer);
        result.map(|()| read)
    }
}

fn refused(errno: Errno) -> Refused {
    match errno {
        Errno::ENOENT => Refused::Absent,
        Errno::EXDEV => Refused::Outside,
        Errno::EACCES | Errno::EPERM => Refused::Denied,
        other => Refused::Other(other),
    }
}

/// A name as a path below the folder.
fn relative(name: &str) -> std::result::Result<PathBuf, Refused> {
    let path = Path::new(name);
    let inside = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let named = path.components().any(|c| matches!(c, Component::Normal(_)));
    match inside && named && !name.contains('\0') {
        true => Ok(path.to_owned()),
        false => Err(Refused::Name),
    }
}

fn parts(path: &OsStr) -> VecDeque<OsString> {
    let parts = Path::new(path).components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    parts.map(|c| c.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The folder `in` with a secret, and one outside of it.
    fn folders() -> (tempfile::TempDir, Folder) {
        let top = tempfile::tempdir().unwrap();
        let at = |path: &str| top.path().join(path);
        for folder in ["in", "in/deep", "in-evil"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("in/key"), "inside").unwrap();
        fs::write(at("in/deep/key"), "deep").unwrap();
        fs::write(at("outside"), "OUTSIDE").unwrap();
        fs::write(at("in-evil/key"), "OUTSIDE").unwrap();
        let folder = Folder::open(&at("in")).unwrap();
        (top, folder)
    }

    /// By the kernel, and step by step.
    fn twice(folder: &Folder, name: &str) -> [std::result::Result<String, Refused>; 2] {
        let walked = relative(name).and_then(|path| folder.walk(&path)).and_then(|fd| folder.contents(fd, 100));
        [folder.read(name, 100), walked].map(|r| r.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
    }

    #[test]
    fn files_inside_are_read_and_links_that_stay_inside_are_followed() {
        let (top, folder) = folders();
        // As Kubernetes lays a volume out.
        let at = |path: &str| top.path().join("in").join(path);
        fs::create_dir(at("..2026_11_21")).unwrap();
        fs::write(at("..2026_11_21/password"), "swapped").unwrap();
        symlink("..2026_11_21", at("..data")).unwrap();
        symlink("..data/password", at("password")).unwrap();
        symlink("../key", at("deep/up")).unwrap();
        fs::write(at("two\nlines"), "newline").unwrap();
        for (name, expected) in [
            ("key", "inside"),
            ("./key", "inside"),
            ("deep/key", "deep"),
            ("deep//key", "deep"),
            ("password", "swapped"),
            ("deep/up", "inside"),
            ("two\nlines", "newline"),
        ] {
            for read in twice(&folder, name) {
                assert_eq!(read.as_deref(), Ok(expected), "{name}");
            }
        }
    }

    #[test]
    fn nothing_outside_is_read_by_any_name_or_link() {
        let (top, folder) = folders();
        let outside = top.path().join("outside");
        let at = |path: &str| top.path().join("in").join(path);
        symlink("../outside", at("out")).unwrap();
        symlink(&outside, at("absolute")).unwrap();
        symlink(at("key"), at("absolute-in")).unwrap();
        symlink("..", at("deep/parent")).unwrap();
        symlink("../..", at("deep/top")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("/proc/self/root", at("magic")).unwrap();
        fs::hard_link(&outside, at("hard")).unwrap();
        let names: [(&str, Refused); 17] = [
            ("../outside", Refused::Name),
            ("../in-evil/key", Refused::Name),
            ("deep/../key", Refused::Name),
            ("..", Refused::Name),
            (".", Refused::Name),
            ("", Refused::Name),
            ("/etc/passwd", Refused::Name),
            ("key\0", Refused::Name),
            ("out", Refused::Outside),
            ("absolute", Refused::Outside),
            ("absolute-in", Refused::Outside),
            ("deep/parent/out", Refused::Outside),
            ("deep/top/outside", Refused::Outside),
            ("magic/etc/passwd", Refused::Outside),
            ("loop", Refused::Other(Errno::ELOOP)),
            ("hard", Refused::ManyNames),
            ("absent", Refused::Absent),
        ];
        for (name, expected) in names {
            for read in twice(&folder, name) {
                assert_eq!(read, Err(expected), "{name:?}");
            }
        }
        assert!(twice(&folder, &"x".repeat(300)).iter().all(|r| r.is_err()));
        assert!(twice(&folder, &"x/".repeat(4000)).iter().all(|r| r.is_err()));
    }

    #[test]
    fn what_is_no_file_is_not_opened_and_what_is_large_is_not_read() {
        let (top, folder) = folders();
        let at = |path: &str| top.path().join("in").join(path);
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::write(at("large"), vec![b'x'; 101]).unwrap();
        File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        fs::write(at("just"), vec![b'x'; 100]).unwrap();
        let mut cases = vec![
            ("fifo", Refused::NotAFile("a FIFO")),
            ("socket", Refused::NotAFile("a socket")),
            ("deep", Refused::NotAFile("a folder")),
            ("large", Refused::TooLarge),
            ("sparse", Refused::TooLarge),
            ("key/x", Refused::Other(Errno::ENOTDIR)),
        ];
        // Root alone makes devices.
        let device = nix::sys::stat::makedev(1, 5);
        if nix::sys::stat::mknod(&at("device"), SFlag::S_IFCHR, Mode::S_IRWXU, device).is_ok() {
            cases.push(("device", Refused::NotAFile("a device")));
        }
        for (name, expected) in cases {
            for read in twice(&folder, name) {
                assert_eq!(read, Err(expected), "{name}");
            }
        }
        assert!(twice(&folder, "just").iter().all(|r| r.is_ok()));
    }

    /// Somebody swaps a file, and a folder on the way, for links that lead out, as quickly as can be.
    #[test]
    fn a_race_for_links_is_not_lost_in_ten_thousand_tries() {
        let (top, folder) = folders();
        let top = top.path().to_owned();
        let stop = AtomicBool::new(false);
        let (mut inside, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            for (own, link, other) in [("in/key", "../outside", "in/.key"), ("in/deep", "../in-evil", "in/.deep")] {
                let (own, link, other) = (top.join(own), Path::new(link), top.join(other));
                let stop = &stop;
                scope.spawn(move || {
                    let aside = own.with_extension("aside");
                    while !stop.load(Ordering::Relaxed) {
                        let _ = symlink(link, &other);
                        let _ = fs::rename(&own, &aside).and_then(|()| fs::rename(&other, &own));
                        let _ = fs::remove_file(&own).and_then(|()| fs::rename(&aside, &own));
                    }
                });
            }
            for _ in 0..10_000 {
                for read in ["key", "deep/key"].iter().flat_map(|name| twice(&folder, name)) {
                    match read.as_deref() {
                        Ok("OUTSIDE") => {
                            stop.store(true, Ordering::Relaxed);
                            panic!("the race was lost");
                        }
                        Ok(_) => inside += 1,
                        Err(_) => refused += 1,
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(inside > 0 && refused > 0, "{inside} inside, {refused} refused");
    }
}
