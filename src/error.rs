//! The one error of the program: what failed, its exit code, and what to do next.
//! It prints nothing and knows no host; `report` turns it into text or JSON.

use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

/// The class of a failure. Its number is the exit code, and a promise to scripts (README, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Wrong usage or input.
    Usage = 2,
    /// This distribution, release, architecture or kernel is not supported.
    Unsupported = 3,
    /// A prerequisite is missing: privileges, a port, a lock, disk space, a file that can be written.
    Prerequisite = 4,
    /// Network, repository, signing key or signature.
    Repository = 5,
    /// The package manager failed.
    PackageManager = 6,
    /// A configuration file cannot be merged.
    Merge = 7,
    /// A service did not start, or did not stay up.
    Service = 8,
    /// Everything was done, and the proof failed.
    Verification = 9,
    /// A signal ended the run.
    Interrupted = 10,
}

impl Kind {
    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// A failure as the operator reads it. `what` names the variable, file, line or port.
#[derive(Debug, Clone, Serialize)]
pub struct Error {
    pub kind: Kind,
    pub what: String,
    /// Further lines: all mistakes of an input, or a command and its output.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What state the host is in now. Filled in by whoever knows it, at the latest by `cli`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A repository was read, and does not have what was wanted: trying again is no use.
    #[serde(skip)]
    pub absent: bool,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), detail: Vec::new(), state: None, hint: None, absent: false }
    }

    /// An operating-system error on a path. `doing` completes "cannot …": "write", "read", "open".
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let e = Error::new(Kind::Prerequisite, format!("cannot {doing} {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::PermissionDenied => e.hint("run as root (sudo), or check who owns the folder"),
            io::ErrorKind::StorageFull => e.hint("make room on that file system, then run again"),
            io::ErrorKind::ReadOnlyFilesystem => e.hint("remount that file system writable, then run again"),
            io::ErrorKind::QuotaExceeded => e.hint("raise the disk quota, then run again"),
            _ => e,
        }
    }

    pub fn absent(mut self) -> Self {
        self.absent = true;
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Adds lines of detail, split at line ends.
    pub fn detail(mut self, text: impl AsRef<str>) -> Self {
        self.detail.extend(text.as_ref().lines().map(str::to_owned));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}
