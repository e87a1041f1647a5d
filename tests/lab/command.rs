//! A command in a host, and what came of it.

use serde_json::Value;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A command that is being described. Its environment holds a PATH and what [`env`](Invocation::env)
/// adds; it goes in by inheritance, so that no process of the host has it in its arguments.
#[must_use]
pub struct Invocation {
    pid: u32,
    group: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    user: Option<String>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Run {
    pub args: Vec<String>,
    /// `None` if a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub seconds: f64,
}

impl Invocation {
    pub(super) fn new(pid: u32, group: String, args: &[&str]) -> Self {
        let args = args.iter().map(|a| a.to_string()).collect();
        Invocation { pid, group, args, env: Vec::new(), stdin: Vec::new(), user: None }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// As another user, with that user's groups.
    pub fn user(mut self, name: &str) -> Self {
        self.user = Some(name.into());
        self
    }

    /// Starts it and does not wait. Killing the child kills only the way in: the command itself is to be
    /// found inside the host.
    pub fn spawn(&self) -> Child {
        let mut command = Command::new("/bin/sh");
        command.env_clear();
        // The shell joins the host's control groups from the outside and becomes nsenter.
        command.args(["-c", "echo $$ 2>/dev/null > \"$0\"; exec nsenter \"$@\"", &self.group]);
        command.args(["-t", &self.pid.to_string(), "-a", "-W/", "--"]);
        if let Some(user) = &self.user {
            let passwd = std::fs::read_to_string(format!("/proc/{}/root/etc/passwd", self.pid)).expect("/etc/passwd");
            let line =
                passwd.lines().find(|l| l.starts_with(&format!("{user}:"))).unwrap_or_else(|| panic!("no user {user}"));
            let group = line.split(':').nth(3).expect("a group");
            command.args(["setpriv", "--reuid", user, "--regid", group, "--init-groups", "--"]);
        }
        command.args(&self.args);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("HOME", if self.user.is_some() { "/nonexistent" } else { "/root" });
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("sh");
        let mut stdin = child.stdin.take().expect("stdin");
        let bytes = self.stdin.clone();
        // In a thread, as the command may never read it.
        std::thread::spawn(move || {
            let _ = stdin.write_all(&bytes);
        });
        child
    }

    pub fn run(self) -> Run {
        let begun = Instant::now();
        let output = self.spawn().wait_with_output().expect("wait");
        Run {
            seconds: begun.elapsed().as_secs_f64(),
            args: self.args,
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// Fails the test, with all output, unless this was the status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self}");
        self
    }

    /// Fails the test unless standard output or standard error holds this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "nothing says {text:?}\n{self}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not one JSON document: {e}\n{self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        writeln!(f, "{:?} ended with {:?} after {:.2} s", self.args, self.status, self.seconds)?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}
