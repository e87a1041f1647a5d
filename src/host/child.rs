//! How a child begins: its program, its locale, its descriptors, and what happens between fork and exec.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{Gid, Uid, chdir, chroot, setgid, setgroups, setsid, setuid};

use super::Host;
use super::walk::{Last, is};
use crate::error::{Error, Kind, Result};

/// Where programs are looked for, and the children's `PATH`. The caller's `PATH` means nothing here.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Whom a child runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
}

/// What a child is to be like.
#[derive(Default)]
pub(super) struct Start<'a> {
    pub root: Option<&'a Path>,
    pub kept: Vec<OwnedFd>,
    pub file_limit: Option<u64>,
    /// No core file of it is written, whoever would take it.
    pub no_core: bool,
    /// It runs as this user, and cannot fill the host with processes of its own.
    pub identity: Option<Identity>,
}

/// More processes than a helper has use for, threads of the same user's other programs among them.
const PROCESSES: u64 = 4096;

/// What happens in the child between fork and exec.
#[allow(unsafe_code, reason = "setsid, umask and chroot have no safe way through std")]
pub(super) fn prepare(command: &mut std::process::Command, start: Start) {
    let Start { root, kept, file_limit, no_core, identity } = start;
    let root: Option<PathBuf> = root.map(Path::to_owned);
    let groups: Vec<Gid> = identity.iter().flat_map(|i| &i.groups).map(|id| Gid::from_raw(*id)).collect();
    let child_side = move || -> io::Result<()> {
        setsid()?;
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        if let Some(root) = &root {
            chroot(root)?;
            chdir("/")?;
        }
        for fd in &kept {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        if let Some(bytes) = file_limit {
            setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?;
            setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        }
        if no_core {
            forbid_core()?;
        }
        if let Some(identity) = &identity {
            let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC)?;
            setrlimit(Resource::RLIMIT_NPROC, PROCESSES.min(soft), hard)?;
            setgroups(&groups)?;
            setgid(Gid::from_raw(identity.gid))?;
            setuid(Uid::from_raw(identity.uid))?;
        }
        Ok(())
    };
    // SAFETY: only system calls that are async-signal-safe; nothing is allocated (the path fits nix's stack buffer
    // or the call fails) and no lock is taken.
    unsafe {
        command.pre_exec(child_side);
    }
}

/// No core file of a child and of its own: too small a limit for a file, and 1 keeps a program that takes core
/// files (`core_pattern` with `|`) from being called, which 0 does not (core(5)).
fn forbid_core() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, hard.min(1), hard.min(1))
}

/// A file without a name that a child can read from or write to, in memory where the kernel can do that.
pub(super) fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = match memfd_create("ddinstall", MFdFlags::MFD_CLOEXEC) {
        Ok(fd) => File::from(fd),
        Err(Errno::ENOSYS | Errno::EPERM) => tempfile::tempfile_in("/run").or_else(|_| tempfile::tempfile())?,
        Err(e) => return Err(e.into()),
    };
    file.write_all(content)?;
    file.rewind()?;
    if content.is_empty() {
        // A child that opens /dev/stdout anew must not make others write over it.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    }
    Ok(file)
}

/// `C.UTF-8` where the C library has it, for otherwise perl and others complain.
pub(super) fn locale(host: &Host) -> &'static str {
    let has = |path| matches!(host.meta(path), Ok(Some(_)));
    if has("/usr/lib/locale/C.utf8") || has("/usr/lib/locale/C.UTF-8") { "C.UTF-8" } else { "C" }
}

/// Where a child puts temporary files on a host without /tmp, which apt for one needs.
pub(super) fn temporary(host: &Host) -> Option<&'static str> {
    matches!(host.meta("/tmp"), Ok(None)).then_some("/var/tmp")
}

/// The program's path below the root. It must be a plain file that may be run, reached over links of the system only.
pub(super) fn find(host: &Host, program: &OsStr) -> Result<PathBuf> {
    let name = Path::new(program);
    let candidates: Vec<PathBuf> = if name.is_absolute() {
        vec![name.to_owned()]
    } else {
        PATH.split(':').map(|d| Path::new(d).join(name)).collect()
    };
    for path in candidates {
        if let Ok(Some(fd)) = host.open(&path, OFlag::O_PATH, Last::Follow)
            && let Ok(stat) = fstat(&fd)
            && is(&stat, SFlag::S_IFREG)
            && stat.st_mode & 0o111 != 0
        {
            return Ok(path);
        }
    }
    Err(Error::new(Kind::Prerequisite, format!("the program {} is not there", name.display()))
        .detail(format!("looked for in {PATH} below {}", host.root().display()))
        .hint("install the package that has it, then run again"))
}

pub(super) fn command_line(program: &Path, args: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    let mut line = program.display().to_string();
    for arg in args {
        let arg = arg.to_string_lossy();
        line.push(' ');
        if !arg.is_empty() && arg.chars().all(plain) {
            line.push_str(&arg);
        } else {
            line.push_str(&format!("'{}'", arg.replace('\'', r"'\''")));
        }
    }
    line
}
