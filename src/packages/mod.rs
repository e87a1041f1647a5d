//! Package managers, signing keys and repositories. What is installed, what could be, and the two phases of installing:
//! a download that may be stopped, and a transaction that may not.

mod access;
pub mod apt;
pub mod dpkg;
pub mod keys;
mod openpgp;
pub mod versions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use access::{Access, trust_store};
pub use apt::{Available, Candidate, Needs, Repository};

use crate::error::Result;
use crate::event::Events;
use crate::host::Host;

/// The package managers that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Apt,
}

/// A package to install, in one version or in the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSpec {
    pub name: String,
    /// As the package manager writes it: `1:7.58.2-1`.
    pub version: Option<String>,
    /// The package itself, where the operator has it; otherwise it comes from the repository.
    pub file: Option<PathBuf>,
}

/// A package that the operator has as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPackage {
    pub name: String,
    /// As the package manager writes it: `1:7.58.2-1`.
    pub version: String,
    /// The room it takes when it is installed, in bytes.
    pub installed: u64,
    /// Why its signature could not be checked; None: it was.
    pub unchecked: Option<String>,
}

/// A package that is on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// As the package manager writes it: `1:7.58.2-1`.
    pub version: String,
    pub state: State,
    /// The operator asked that its version be kept.
    pub held: bool,
}

/// How far the installation of a package came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Installed,
    /// Installed; something is still to be done for or by another package.
    Triggers,
    HalfConfigured,
    Unpacked,
    HalfInstalled,
}

impl State {
    /// As dpkg calls it.
    pub fn word(self) -> &'static str {
        match self {
            State::Installed => "installed",
            State::Triggers => "installed (triggers pending)",
            State::HalfConfigured => "half-configured",
            State::Unpacked => "unpacked",
            State::HalfInstalled => "half-installed",
        }
    }
}

/// What every call of a package manager needs.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    pub host: &'a Host,
    pub events: &'a Events,
    /// How long to wait for another package manager's lock.
    pub lock_wait: Duration,
    /// How the repository is reached.
    pub access: &'a Access,
    /// Variables for the package manager, such as `https_proxy`. They may carry credentials.
    pub environment: &'a [(String, String)],
    /// Set when the run is to end: whatever may be stopped then is.
    pub cancel: &'a AtomicBool,
}

impl Session<'_> {
    fn cancelled(&self) -> bool {
        self.cancel.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl PackageSpec {
    pub fn newest(name: impl Into<String>) -> Self {
        PackageSpec { name: name.into(), version: None, file: None }
    }

    pub fn exactly(name: impl Into<String>, version: impl Into<String>) -> Self {
        PackageSpec { name: name.into(), version: Some(version.into()), file: None }
    }
}

impl Installed {
    /// Whether the package is whole: its files are there and its scripts have run.
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Installed | State::Triggers)
    }
}

impl Manager {
    /// What is known of each of these packages, in their order. Quick: no child process as a rule.
    pub fn installed(self, host: &Host, names: &[&str]) -> Result<Vec<Option<Installed>>> {
        match self {
            Manager::Apt => dpkg::installed(host, names),
        }
    }

    /// The files of these packages, and whether each still is as the package brought it.
    pub fn owned(self, host: &Host, names: &[&str]) -> Result<BTreeMap<String, bool>> {
        match self {
            Manager::Apt => dpkg::owned(host, names),
        }
    }

    /// Whether a transaction was cut off; the next one finishes it.
    pub fn was_interrupted(self, host: &Host) -> Result<bool> {
        match self {
            Manager::Apt => dpkg::was_interrupted(host),
        }
    }

    /// Verifies the repository with this keyring, and says what it offers of `names`, without a change to the host.
    pub fn verify(
        self,
        session: Session,
        repository: &Repository,
        keyring: &[u8],
        names: &[&str],
    ) -> Result<Available> {
        match self {
            Manager::Apt => apt::verify(session, repository, keyring, names),
        }
    }

    /// Reads the index of this repository alone, whose entry and keyring are in place.
    pub fn refresh(self, session: Session, repository: &Repository) -> Result<()> {
        match self {
            Manager::Apt => apt::refresh(session, repository),
        }
    }

    /// Phase one: the packages and what they need, into the package manager's cache. What was downloaded when it
    /// stops is used by the next run.
    pub fn download(self, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
        match self {
            Manager::Apt => apt::download(session, specs, change),
        }
    }

    /// Phase two: one transaction, from the cache. Nothing ends it before its time.
    pub fn install(self, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
        match self {
            Manager::Apt => apt::install(session, specs, change),
        }
    }

    /// The file that keeps what the repository wants to know, for root alone, and its text. None where it wants nothing.
    pub fn credential_file(self, access: &Access) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Manager::Apt => apt::credential_file(access),
        }
    }

    /// Reads a package file, and checks its signature where the package manager can. What is none is exit code 2, a bad
    /// signature 5.
    pub fn read_file(self, session: Session, path: &Path) -> Result<LocalPackage> {
        match self {
            Manager::Apt => apt::read_file(session, path),
        }
    }

    /// Holds packages at their version, or releases them.
    pub fn hold(self, session: Session, names: &[&str], hold: bool) -> Result<()> {
        match self {
            Manager::Apt => apt::hold(session, names, hold),
        }
    }

    /// Removes packages, with their configuration files if `purge`. What is not installed is passed over.
    pub fn remove(self, session: Session, names: &[&str], purge: bool) -> Result<()> {
        match self {
            Manager::Apt => apt::remove(session, names, purge),
        }
    }
}

/// What a transaction may do to versions that are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// An older version may replace a newer one.
    pub downgrade: bool,
    /// The version of a package on hold may change.
    pub held: bool,
}
