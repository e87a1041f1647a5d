//! `--root`: this program once more, in name spaces of its own, so that package managers and their scripts find in the
//! folder what they expect (/proc, /dev, /run, names of servers) and leave nothing of it there. Processes that a script
//! starts see none of this machine's, and end with the run.
//!
//! Package managers run in a chroot in any case. Their own options for another root (`RootDir`, `--installroot`, `--root`)
//! do the same around scripts and bring nothing of this with them, and apt's still reads the configuration out here.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::walk::Last;
use super::{Attributes, FileKind, Host, users};
use crate::error::{Error, Kind, Result};

/// Tells the second process that it is the one inside.
const INSIDE: &str = "DDINSTALL_INSIDE";
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const NAMES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// In a file that is there to be mounted on. A killed run leaves it, and the next one knows it by that.
const PLACE: &[u8] = b"# ddinstall mounts a file of the machine here while it works.\n";
/// Nobody else can lock it.
const PLACE_ATTRIBUTES: Attributes = Attributes { uid: 0, gid: 0, mode: 0o600 };
const PUBLIC: Attributes = Attributes { uid: 0, gid: 0, mode: 0o755 };

/// What is mounted in the folder until this is dropped, or the process ends.
#[derive(Default)]
pub struct Inside {
    /// Files that were made to mount something on, each locked by all runs that mount there: the last one removes it.
    made: Vec<(Host, PathBuf, Flock<OwnedFd>)>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        for (host, path, lock) in &self.made {
            let _ = umount2(&host.real_path(path), MntFlags::MNT_DETACH);
            if lock.relock(FlockArg::LockExclusiveNonblock).is_ok() {
                let _ = host.remove_file(path);
            }
        }
    }
}

/// The first process runs the second one, and gets its exit code; the second one goes on with what is mounted. Without
/// root's rights nothing can be mounted, and what only reads goes on without it.
pub fn enter(root: &Path, writes: bool, stop: &AtomicBool) -> Result<std::result::Result<Inside, u8>> {
    if std::env::var_os(INSIDE).is_some() && getpid() == Pid::from_raw(1) {
        // Who kills the first process means the build: it takes itself back.
        let _ = set_pdeathsig(Signal::SIGTERM);
        return furnish(&Host::new(root)?, writes).map(Ok);
    }
    if !users::effective_is_root() {
        return Ok(Ok(Inside::default()));
    }
    match unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID) {
        Ok(()) => run(stop).map(Err),
        Err(_) if !writes => Ok(Ok(Inside::default())),
        Err(e) => Err(Error::new(Kind::Prerequisite, format!("--root: no name spaces can be made here: {e}")).hint(
            "build it where root may mount, or run `ddinstall install` in the image itself (RUN ddinstall install)",
        )),
    }
}

fn run(stop: &AtomicBool) -> Result<u8> {
    let me = Path::new("/proc/self/exe");
    let cannot = |e: std::io::Error| Error::io("run", me, &e);
    let mut child = Command::new(me).args(std::env::args_os().skip(1)).env(INSIDE, "1").spawn().map_err(cannot)?;
    loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return code
                .ok_or_else(|| Error::new(Kind::Interrupted, format!("the run inside the folder ended: {status}")));
        }
        if stop.load(Ordering::Relaxed) {
            // Once more makes no difference to it.
            let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), Signal::SIGTERM);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn furnish(host: &Host, writes: bool) -> Result<Inside> {
    let none = None::<&str>;
    let private = mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
    private.map_err(|e| host.error("mount below", Path::new("/"), e))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mut inside = Inside::default();
    on(host, "/proc", writes, |at| mount(Some("proc"), at, Some("proc"), quiet, none))?;
    on(host, "/proc/sys", false, |at| read_only(Path::new("/proc/sys"), at))?;
    on(host, "/sys", false, |at| read_only(Path::new("/sys"), at))?;
    let memory = |at: &Path| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"));
    on(host, "/run", false, memory)?;
    if on(host, "/dev", writes, memory)? {
        for path in DEVICES.map(|name| Path::new("/dev").join(name)).into_iter().filter(|path| path.exists()) {
            host.write(&path, b"", &Attributes { mode: 0o666, ..PUBLIC })?;
            on(host, &path, true, |at| mount(Some(&path), at, none, MsFlags::MS_BIND, none))?;
        }
        host.make_dir("/dev/shm", &Attributes { mode: 0o1777, ..PUBLIC })?;
        let dev = host.real_path("/dev");
        for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
            let made = std::os::unix::fs::symlink(Path::new("/proc/self").join(target), dev.join(name));
            made.map_err(|e| Error::io("make", &dev.join(name), &e))?;
        }
    }
    // Servers have here the names that they have out there.
    let file = Attributes { mode: 0o644, ..PUBLIC };
    for path in NAMES.map(Path::new).into_iter().filter(|path| writes && path.exists()) {
        match host.meta(path)?.map(|meta| meta.kind) {
            Some(FileKind::Symlink) => {
                // systemd-resolved's, in /run, which is ours now. Any other link is the image's own affair.
                let text = host.link_text(path).unwrap_or_default();
                if let Some((_, rest)) = text.to_string_lossy().split_once("run/") {
                    let target = Path::new("/run").join(rest);
                    host.make_dirs(target.parent().unwrap_or(&target), &PUBLIC)?;
                    let names = std::fs::read(path).map_err(|e| Error::io("read", path, &e))?;
                    host.write(&target, &names, &file)?;
                }
                continue;
            }
            None => host.write(path, PLACE, &PLACE_ATTRIBUTES)?,
            Some(_) => {}
        }
        if host.read(path)?.is_some_and(|stored| stored.bytes == PLACE)
            && let Some(place) = host.open(path, OFlag::O_RDONLY, Last::Keep)?
        {
            let lock = Flock::lock(place, FlockArg::LockShared).map_err(|(_, e)| host.error("lock", path, e))?;
            inside.made.push((host.clone(), path.to_owned(), lock));
        }
        on(host, path, true, |at| read_only(path, at))?;
    }
    Ok(inside)
}

/// Mounts on what stands at this path, and never where a link leads. False if there is nothing, which may be an error.
fn on(host: &Host, path: impl AsRef<Path>, needed: bool, mount: impl FnOnce(&Path) -> nix::Result<()>) -> Result<bool> {
    let path = path.as_ref();
    let is_link = host.meta(path)?.is_some_and(|meta| meta.kind == FileKind::Symlink);
    let Some(place) = host.open(path, OFlag::O_PATH, Last::Keep)?.filter(|_| !is_link) else {
        let what = format!("{} is missing, or a link: this is no root of a system", host.real_path(path).display());
        let error = Error::new(Kind::Prerequisite, what).hint("make the folder, then run again");
        return if needed { Err(error) } else { Ok(false) };
    };
    let at = PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()));
    mount(&at).map_err(|e| host.error("mount on", path, e))?;
    Ok(true)
}

fn read_only(what: &Path, at: &Path) -> nix::Result<()> {
    let none = None::<&str>;
    match mount(Some(what), at, none, MsFlags::MS_BIND, none) {
        // Of a user namespace's root the kernel hides nothing that is mounted below. There the folder does without.
        Err(Errno::EINVAL) => return Ok(()),
        mounted => mounted?,
    }
    // The descriptor is of what is below the new mount: the path has to be asked for again.
    let at = std::fs::read_link(at).map_err(|_| Errno::EIO)?;
    let flags = MsFlags::MS_BIND
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NOEXEC
        | MsFlags::MS_NODEV;
    mount(none, &at, none, flags, none)
}
