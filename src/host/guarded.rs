//! Runs a program that is not trusted to end: within a time and a size, with all that it starts, and so that what it
//! says stays in memory that is overwritten. For helpers that print secrets.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::Stream;
use super::child::{Identity, Start, memory_file, prepare};
use crate::secret::Wiped;

/// How long processes that were killed may take to be gone. One that hangs in the kernel is not, and is told.
const GONE: Duration = Duration::from_secs(5);

/// A program and what it may do.
pub struct Guarded {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    pub stdin: Vec<u8>,
    /// None: as whom we are.
    pub identity: Option<Identity>,
    pub deadline: Duration,
    /// Bytes of each output.
    pub limit: usize,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    TimedOut,
    /// It ended by itself, and a process that it left kept its output open until the time was over.
    HeldOpen,
    /// It wrote more than it may.
    TooLong(Stream),
    Cancelled,
}

/// What came of it.
#[derive(Debug)]
pub struct Heard {
    pub end: End,
    pub stdout: Wiped,
    pub stderr: Wiped,
    /// Processes that it had left, which were ended.
    pub left: usize,
    /// Processes that could not be ended.
    pub remaining: usize,
    pub seconds: f64,
}

/// Keeps what this process holds in memory from core files and from other processes of the same user. A program that it
/// starts is as it would be anyway (prctl(2), PR_SET_DUMPABLE).
pub fn keep_memory_private() {
    // No kernel refuses this.
    let _ = prctl::set_dumpable(false);
}

impl Guarded {
    /// Runs it to its end, and ends what it leaves. No other child of ours may run meanwhile: we take over the orphans.
    pub fn run(self, cancel: &AtomicBool) -> io::Result<Heard> {
        prctl::set_child_subreaper(true)?;
        let result = self.watched(cancel);
        prctl::set_child_subreaper(false)?;
        result
    }

    fn watched(self, cancel: &AtomicBool) -> io::Result<Heard> {
        let started = Instant::now();
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).current_dir("/").env_clear().envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(memory_file(&self.stdin)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command, Start { no_core: true, identity: self.identity.clone(), ..Start::default() });
        let mut child = command.spawn()?;
        let (mut pipes, mut status) = (Vec::new(), None);
        let end = self.listen(&mut child, &mut pipes, &mut status, started, cancel);
        // Also where its output or its end could not be had.
        let (left, remaining) = end_all(&mut child, status.is_none());
        let end = end?;
        let mut heard = |stream| {
            let at = pipes.iter().position(|pipe| pipe.stream == stream);
            at.map(|at| pipes.swap_remove(at).heard).unwrap_or_default()
        };
        Ok(Heard {
            end,
            stdout: heard(Stream::Stdout),
            stderr: heard(Stream::Stderr),
            left,
            remaining,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Hears the child until it ends, or may not go on.
    fn listen(
        &self,
        child: &mut Child,
        pipes: &mut Vec<Pipe>,
        status: &mut Option<ExitStatus>,
        started: Instant,
        cancel: &AtomicBool,
    ) -> io::Result<End> {
        for (stream, pipe) in [
            (Stream::Stdout, child.stdout.take().map(OwnedFd::from)),
            (Stream::Stderr, child.stderr.take().map(OwnedFd::from)),
        ] {
            if let Some(pipe) = pipe {
                fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                let heard = Wiped::with_capacity(self.limit);
                pipes.push(Pipe { stream, file: pipe.into(), heard, open: true });
            }
        }
        loop {
            if let Some(stream) = pipes.iter_mut().find_map(Pipe::drain) {
                return Ok(End::TooLong(stream));
            }
            if status.is_none() {
                *status = child.try_wait()?;
            }
            if let Some(status) = *status
                && pipes.iter().all(|pipe| !pipe.open)
            {
                return Ok(ended(status));
            }
            if cancel.load(Ordering::Relaxed) {
                return Ok(End::Cancelled);
            }
            if started.elapsed() >= self.deadline {
                return Ok(if status.is_some() { End::HeldOpen } else { End::TimedOut });
            }
            wait(pipes);
        }
    }
}

fn ended(status: ExitStatus) -> End {
    match status.code() {
        Some(code) => End::Exited(code),
        None => End::Signalled(status.signal().unwrap_or_default()),
    }
}

struct Pipe {
    stream: Stream,
    file: fs::File,
    heard: Wiped,
    open: bool,
}

impl Pipe {
    /// Takes what is there now. The stream, if it is more than there may be.
    fn drain(&mut self) -> Option<Stream> {
        let mut buffer = [0u8; 16 << 10];
        let mut too_long = None;
        // Bounded, so that one that never stops talking cannot keep us from the clock.
        for _ in 0..64 {
            if !self.open || too_long.is_some() {
                break;
            }
            match self.file.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) if self.heard.push(&buffer[..count]) => {}
                Ok(_) => too_long = Some(self.stream),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.open = false,
            }
        }
        buffer.fill(0);
        std::hint::black_box(&buffer);
        too_long
    }
}

/// Until a pipe has something, and not for long: the child's end is no event here.
fn wait(pipes: &[Pipe]) {
    let mut fds: Vec<PollFd> =
        pipes.iter().filter(|p| p.open).map(|p| PollFd::new(p.file.as_fd(), PollFlags::POLLIN)).collect();
    if fds.is_empty() {
        return sleep(Duration::from_millis(2));
    }
    // An interruption by a signal only makes the caller look once more.
    let _ = poll(&mut fds, PollTimeout::from(10u8));
}

/// Ends the child and all that descends from it. What its parents left became our child, whatever session or group it
/// made for itself: where the kernel says that we have no child, nothing is left. How many beside the child itself there
/// were, and how many stay.
fn end_all(child: &mut Child, alive: bool) -> (usize, usize) {
    let started = Instant::now();
    let own = i32::try_from(child.id()).unwrap_or_default();
    let mut others = BTreeSet::new();
    let mut child_gone = !alive;
    if alive {
        // All but those that made a session of their own, at one blow. (Once it is reaped, its number may be another's.)
        let _ = killpg(Pid::from_raw(own), Signal::SIGKILL);
    }
    loop {
        let found = descendants();
        for pid in &found {
            // It may be gone already.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        others.extend(found.iter().copied().filter(|pid| *pid != own || child_gone));
        if !child_gone {
            child_gone = matches!(child.try_wait(), Ok(Some(_)) | Err(_));
        }
        // The child's own status is std's to take.
        if child_gone && nothing_left(&mut others) {
            return (others.len(), 0);
        }
        if started.elapsed() > GONE {
            return (others.len(), found.len().max(1));
        }
        if found.is_empty() {
            sleep(Duration::from_millis(1));
        }
    }
}

/// Takes the ends of processes that came to us. True if the kernel says that we have no child any more.
fn nothing_left(others: &mut BTreeSet<i32>) -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(status) => others.extend(status.pid().map(Pid::as_raw)),
            Err(Errno::EINTR) => {}
            Err(_) => return true,
        }
    }
}

/// All processes that descend from this one.
fn descendants() -> Vec<i32> {
    let mut found = Vec::new();
    let mut waiting = vec!["self".to_owned()];
    while let Some(of) = waiting.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{of}/task")) else { continue };
        for thread in threads.flatten() {
            // CONFIG_PROC_CHILDREN, which every distribution's kernel has.
            let Ok(children) = fs::read_to_string(thread.path().join("children")) else { continue };
            for pid in children.split_whitespace() {
                found.extend(pid.parse::<i32>());
                waiting.push(pid.to_owned());
            }
        }
    }
    found
}
