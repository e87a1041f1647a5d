//! The only place where processes are spawned. Each child gets a fixed environment, `/` as its folder, umask 022
//! and a session of its own, so that neither our variables nor a terminal's signals reach it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub use super::child::PATH;
use super::child::{Identity, Start, command_line, find, locale, memory_file, prepare, temporary};
use super::pipes::Channels;
use super::units::systemd_is_pid1;
use super::{Host, Lock};
use crate::error::{Error, Result};

/// Scopes that this process has asked for.
static SCOPES: AtomicU32 = AtomicU32::new(0);

/// How long a child may take to obey SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// Which of a child's outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
    /// The extra descriptor of [`Command::status_fd`].
    Status,
}

/// Why a child was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was over its deadline.
    Deadline,
    /// Nothing was heard of it for as long as [`Command::stall`] says.
    Stall,
    /// The flag of [`Command::cancel`] was set.
    Cancel,
}

/// What is left of a child.
#[derive(Debug)]
pub struct Output {
    /// The exit code; None if a signal ended it.
    pub status: Option<i32>,
    pub signal: Option<i32>,
    /// The last 4 MiB of it at the least; what is before may be cut off.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Set if we ended it before its time.
    pub stopped: Option<Stop>,
    pub seconds: f64,
    command: String,
}

/// A program, its arguments, and what it may do. Secrets belong into [`Command::private_file`], never
/// into arguments.
pub struct Command<'a> {
    program: OsString,
    args: Vec<Arg>,
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
    stall: Option<Duration>,
    survives: bool,
    scope: Option<String>,
    holds: Vec<BorrowedFd<'a>>,
    file_limit: Option<u64>,
    identity: Option<Identity>,
    cancel: Option<&'a AtomicBool>,
    on_line: Option<OnLine<'a>>,
}

type OnLine<'a> = Box<dyn FnMut(Stream, &str) + 'a>;

enum Arg {
    Text(OsString),
    /// The prefix of an argument that ends in the number of the status descriptor.
    StatusFd(String),
    /// What is in a file without a name, whose path is the argument.
    PrivateFile(Vec<u8>),
}

impl<'a> Command<'a> {
    /// A program by its name (looked up in [`PATH`] only) or by its absolute path. It has 60 seconds, and /dev/null as stdin.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Command {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            deadline: Duration::from_secs(60),
            stall: None,
            survives: false,
            scope: None,
            holds: Vec::new(),
            file_limit: None,
            identity: None,
            cancel: None,
            on_line: None,
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(Arg::Text(arg.as_ref().to_owned()));
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|a| Arg::Text(a.as_ref().to_owned()));
        self.args.extend(args);
        self
    }

    /// One variable more than `PATH`, `HOME` and `LC_ALL`.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The child's process group is ended after this time, unless [`Command::never_kill`].
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// The child's process group is ended if no output came for this time.
    pub fn stall(mut self, limit: Duration) -> Self {
        self.stall = Some(limit);
        self
    }

    /// For a transaction that must not be cut: no limit ends it, and our own death does not either, for its outputs are files
    /// in memory, not pipes that would break. See also [`Command::scope`] and [`Command::holds`].
    pub fn never_kill(mut self) -> Self {
        self.survives = true;
        self
    }

    /// Runs in a systemd scope of this name where systemd runs, so that the end of our own unit or login session
    /// does not end it.
    pub fn scope(mut self, name: impl Into<String>) -> Self {
        self.scope = Some(name.into());
        self
    }

    /// The child keeps the lock for as long as it lives, even if we die.
    pub fn holds(mut self, lock: &'a Lock) -> Self {
        self.holds.push(lock.as_fd());
        self
    }

    /// The child's process group is ended soon after the flag is set, unless [`Command::never_kill`].
    pub fn cancel(mut self, flag: &'a AtomicBool) -> Self {
        self.cancel = Some(flag);
        self
    }

    /// Adds an argument made of `prefix` and the number of a descriptor that the child may write lines to, such as
    /// `APT::Status-Fd=`.
    pub fn status_fd(mut self, prefix: impl Into<String>) -> Self {
        self.args.push(Arg::StatusFd(prefix.into()));
        self
    }

    /// A child, or one of its own, that writes more than this many bytes to one file is ended by the kernel (SIGXFSZ).
    pub fn file_limit(mut self, bytes: u64) -> Self {
        self.file_limit = Some(bytes);
        self
    }

    /// It runs as this user. Only root can do that.
    pub fn identity(mut self, user: Identity) -> Self {
        self.identity = Some(user);
        self
    }

    /// Adds the path of a file with this content as an argument. The file has no name: the child and root alone can
    /// open it, by the path that is given, and it is gone with the child.
    pub fn private_file(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.args.push(Arg::PrivateFile(content.into()));
        self
    }

    /// Called with every line (without its end) as it comes. A carriage return ends a line, too.
    pub fn on_line(mut self, listener: impl FnMut(Stream, &str) + 'a) -> Self {
        self.on_line = Some(Box::new(listener));
        self
    }

    /// Runs it to its end. An exit code other than 0 is no error here; a program that is missing or cannot be started is.
    /// With a root other than `/` it runs in a chroot there (as root only).
    pub fn run(mut self, host: &Host) -> Result<Output> {
        let started = Instant::now();
        let program = find(host, &self.program)?;
        let status = self
            .args
            .iter()
            .any(|a| matches!(a, Arg::StatusFd(_)))
            .then(|| memory_file(&[]))
            .transpose()
            .map_err(|e| cannot_run(&program, &e))?;
        let mut files = Vec::new();
        let mut args: Vec<OsString> = Vec::new();
        for arg in &self.args {
            args.push(match (arg, &status) {
                (Arg::StatusFd(prefix), Some(fd)) => format!("{prefix}{}", fd.as_raw_fd()).into(),
                (Arg::StatusFd(prefix), None) => prefix.into(),
                (Arg::Text(text), _) => text.clone(),
                (Arg::PrivateFile(content), _) => {
                    let file = memory_file(content).map_err(|e| cannot_run(&program, &e))?;
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    files.push(OwnedFd::from(file));
                    path.into()
                }
            });
        }
        let command = command_line(&program, &args);
        let (child, mut channels) =
            self.spawn(host, &program, &args, status, files).map_err(|e| cannot_run(&program, &e))?;
        let mut on_line = self.on_line.take();
        let mut listener = |stream: Stream, line: &str| {
            if let Some(on_line) = &mut on_line {
                on_line(stream, line);
            }
        };
        let (status, stopped) =
            self.wait(child, &mut channels, &mut listener, started).map_err(|e| cannot_run(&program, &e))?;
        channels.finish(&mut listener);
        Ok(Output {
            status: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
            stdout: channels.take(Stream::Stdout),
            stderr: channels.take(Stream::Stderr),
            stopped,
            seconds: started.elapsed().as_secs_f64(),
            command,
        })
    }

    fn spawn(
        &self,
        host: &Host,
        program: &Path,
        args: &[OsString],
        status: Option<File>,
        files: Vec<OwnedFd>,
    ) -> io::Result<(Child, Channels)> {
        let scope = self.scope.as_ref().filter(|_| systemd_is_pid1(host));
        let with_runner = scope.and_then(|name| {
            let runner = find(host, OsStr::new("systemd-run")).ok()?;
            Some((name, runner))
        });
        let mut command = match with_runner {
            Some((name, runner)) => {
                let mut command = std::process::Command::new(runner);
                command.args(["--scope", "--quiet", "--slice=system.slice"]);
                // A scope that ended a moment ago may still have its name.
                let number = SCOPES.fetch_add(1, Ordering::Relaxed);
                command.arg(format!("--unit={name}-{}-{number}", std::process::id()));
                command.arg("--").arg(program);
                command
            }
            _ => std::process::Command::new(program),
        };
        command
            .args(args)
            .current_dir("/")
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("LC_ALL", locale(host))
            .envs(temporary(host).map(|folder| ("TMPDIR", folder)))
            .envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null());
        let mut kept = files;
        for fd in &self.holds {
            kept.push(fd.try_clone_to_owned()?);
        }
        let mut channels = Channels::default();
        if let Some(file) = status {
            // The number in the argument is that of `file` itself; we read through another.
            channels.add_file(Stream::Status, file.try_clone()?);
            kept.push(OwnedFd::from(file));
        }
        if self.survives {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let file = memory_file(&[])?;
                let end = Stdio::from(file.try_clone()?);
                match stream {
                    Stream::Stdout => command.stdout(end),
                    _ => command.stderr(end),
                };
                channels.add_file(stream, file);
            }
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let root = (!host.is_live()).then(|| host.root());
        prepare(
            &mut command,
            Start { root, kept, file_limit: self.file_limit, no_core: false, identity: self.identity.clone() },
        );
        let mut child = command.spawn()?;
        if let Some(pipe) = child.stdout.take() {
            channels.add_pipe(Stream::Stdout, pipe.into())?;
        }
        if let Some(pipe) = child.stderr.take() {
            channels.add_pipe(Stream::Stderr, pipe.into())?;
        }
        Ok((child, channels))
    }

    fn wait(
        &self,
        mut child: Child,
        channels: &mut Channels,
        listener: &mut dyn FnMut(Stream, &str),
        started: Instant,
    ) -> io::Result<(Option<std::process::ExitStatus>, Option<Stop>)> {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let mut heard = Instant::now();
        let mut pause = Duration::from_micros(100);
        let mut stopping: Option<(Stop, Instant, Signal)> = None;
        loop {
            if channels.drain(listener) {
                heard = Instant::now();
                pause = Duration::from_micros(100);
            }
            if let Some(status) = child.try_wait()? {
                return Ok((Some(status), stopping.map(|s| s.0)));
            }
            stopping = match stopping {
                None => self.limit(started, heard).map(|why| {
                    // An error means that the group is gone, which is what is wanted.
                    let _ = killpg(group, Signal::SIGTERM);
                    (why, Instant::now(), Signal::SIGTERM)
                }),
                Some((why, since, Signal::SIGTERM)) if since.elapsed() > GRACE => {
                    let _ = killpg(group, Signal::SIGKILL);
                    Some((why, Instant::now(), Signal::SIGKILL))
                }
                // Stuck in the kernel (a dead network file system): nothing more can be done.
                Some((why, since, Signal::SIGKILL)) if since.elapsed() > GRACE => {
                    return Ok((None, Some(why)));
                }
                other => other,
            };
            if !channels.poll(Duration::from_millis(20)) {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        }
    }

    fn limit(&self, started: Instant, heard: Instant) -> Option<Stop> {
        if self.survives {
            None
        } else if self.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
            Some(Stop::Cancel)
        } else if started.elapsed() >= self.deadline {
            Some(Stop::Deadline)
        } else if self.stall.is_some_and(|s| heard.elapsed() >= s) {
            Some(Stop::Stall)
        } else {
            None
        }
    }
}

impl Output {
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }

    /// Whether a deadline or a stall limit ended it.
    pub fn timed_out(&self) -> bool {
        matches!(self.stopped, Some(Stop::Deadline | Stop::Stall))
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The command line, quoted as for a shell.
    pub fn command_line(&self) -> &str {
        &self.command
    }

    /// How it ended: "exit code 100", "ended by signal 9", "stopped after 60 s without an answer".
    pub fn ending(&self) -> String {
        match (self.stopped, self.status, self.signal) {
            (Some(Stop::Deadline), ..) => {
                format!("stopped: not finished after {:.0} s", self.seconds)
            }
            (Some(Stop::Stall), ..) => {
                format!("stopped: silent for too long ({:.0} s in all)", self.seconds)
            }
            (Some(Stop::Cancel), ..) => "stopped on request".into(),
            (None, Some(code), _) => format!("exit code {code}"),
            (None, None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None, None) => "ended in an unknown way".into(),
        }
    }

    /// The command line, how it ended, and the last 20 lines of its output: for the detail of an [`Error`].
    pub fn explain(&self) -> String {
        let (out, err) = (self.stdout_text(), self.stderr_text());
        let lines: Vec<&str> = out.lines().chain(err.lines()).map(str::trim_end).filter(|l| !l.is_empty()).collect();
        let mut text = format!("{}: {}", self.command, self.ending());
        for line in &lines[lines.len().saturating_sub(20)..] {
            text.push_str("\n  ");
            text.push_str(line);
        }
        text
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.program.to_string_lossy())
    }
}

/// Whether [`Command`] would find this program.
pub fn is_installed(host: &Host, program: &str) -> bool {
    find(host, OsStr::new(program)).is_ok()
}

fn cannot_run(program: &Path, error: &io::Error) -> Error {
    Error::io("run", program, error)
}
