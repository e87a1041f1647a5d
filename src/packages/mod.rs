//! Package managers, signing keys and repositories. What is installed, what could be, and the two phases of installing:
//! a download that may be stopped, and a transaction that may not.

mod access;
pub mod apt;
mod available;
pub mod caches;
pub mod dpkg;
pub mod keys;
mod lock;
mod openpgp;
pub mod rpm;
mod trouble;
pub mod versions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use access::{Access, trust_store};
use lock::{Attempt, Lock};

pub use available::{Available, Candidate, Needs};

use crate::error::{Error, Kind, Result};
use crate::event::Events;
use crate::host::process::is_installed;
use crate::host::{Command, Host, scopes};
use crate::template;

/// The package managers that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Apt,
    /// dnf, or the yum of before it: which of them is there is its own to find out.
    Dnf,
    Zypper,
}

/// Where packages come from: an entry and a keyring on the host, and how the package manager reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repository {
    Apt(apt::Repository),
    Rpm(rpm::Repository),
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
    /// An image is built: what fails is thrown away, so that nothing need be on the disk before its time.
    pub image: bool,
    /// Set when the run is to end: whatever may be stopped then is.
    pub cancel: &'a AtomicBool,
    /// Of a run that changes the host: its transactions keep it for as long as they last, even if the run is killed.
    pub lock: Option<&'a crate::host::Lock>,
}

impl<'a> Session<'a> {
    /// A package manager with the variables that it needs. It is ended where the run is.
    fn command(self, program: &str) -> Command<'a> {
        let command = Command::new(program).cancel(self.cancel);
        self.environment.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// A transaction, which nothing ends before its time, in a scope whose name begins with this.
    fn lasting(self, transaction: Command<'a>, scope: &str) -> Command<'a> {
        let transaction = transaction.never_kill().scope(scope);
        match self.lock {
            Some(lock) => transaction.holds(lock),
            None => transaction,
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl PackageSpec {
    #[cfg(test)]
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
    /// The package manager that the host's packages are in the hands of. A tool of another family may be installed
    /// beside it: what counts is whose database is in use, and SUSE's own mark. Errors where there is none (exit code 3).
    pub fn of(host: &Host) -> Result<Manager> {
        let used = |path: &str| host.meta(path).is_ok_and(|meta| meta.is_some_and(|meta| meta.len > 0));
        let dnf = is_installed(host, "dnf") || is_installed(host, "yum");
        let rpm = dnf || is_installed(host, "zypper");
        if is_installed(host, "apt-get") && (!rpm || used("/var/lib/dpkg/status")) {
            return Ok(Manager::Apt);
        }
        let suse = host.list("/etc/products.d").is_ok_and(|names| names.is_some());
        match is_installed(host, "zypper") {
            true if suse || !dnf => Ok(Manager::Zypper),
            _ if dnf => Ok(Manager::Dnf),
            _ => Err(Error::new(Kind::Unsupported, "none of apt-get, dnf, yum and zypper is there")
                .hint("ddinstall installs with the package manager of the distribution")),
        }
    }

    /// The command that an operator knows it by.
    pub fn command(self) -> &'static str {
        match self {
            Manager::Apt => "apt-get",
            Manager::Dnf => "dnf",
            Manager::Zypper => "zypper",
        }
    }

    /// Where the repository's entry and its keyring are.
    pub fn repository_files(self) -> [&'static str; 2] {
        match self {
            Manager::Apt => [apt::LIST, apt::KEYRING],
            Manager::Dnf => ["/etc/yum.repos.d/datadog.repo", rpm::KEYRING],
            Manager::Zypper => ["/etc/zypp/repos.d/datadog.repo", rpm::KEYRING],
        }
    }

    /// Where downloads are kept.
    pub fn cache(self) -> &'static str {
        match self {
            Manager::Apt => "/var/cache/apt/archives",
            Manager::Dnf => "/var/cache/dnf",
            Manager::Zypper => "/var/cache/zypp",
        }
    }

    /// What is known of each of these packages, in their order. Quick: dpkg's database is read without a child process.
    pub fn installed(self, host: &Host, names: &[&str]) -> Result<Vec<Option<Installed>>> {
        match self {
            Manager::Apt => dpkg::installed(host, names),
            Manager::Dnf | Manager::Zypper => rpm::installed(host, names),
        }
    }

    /// The first of these packages that is not installed whole, in the version that was asked for.
    fn not_as_asked(self, host: &Host, specs: &[PackageSpec]) -> Result<Option<String>> {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let known = self.installed(host, &names)?;
        Ok(specs.iter().zip(known).find_map(|(spec, known)| match known {
            None => Some(format!("{} is not installed", spec.name)),
            Some(is) if !is.is_whole() => Some(format!("{} {} is {}", spec.name, is.version, is.state.word())),
            Some(is) if spec.version.as_ref().is_some_and(|version| *version != is.version) => {
                Some(format!("{} is {}", spec.name, is.version))
            }
            Some(_) => None,
        }))
    }

    /// The files of these packages, and whether each still is as the package brought it.
    pub fn owned(self, host: &Host, names: &[&str]) -> Result<BTreeMap<String, bool>> {
        match self {
            Manager::Apt => dpkg::owned(host, names),
            Manager::Dnf | Manager::Zypper => rpm::owned(host, names),
        }
    }

    /// Waits until no transaction goes on: one that an earlier run began, and left behind when it was killed, changes the
    /// host until it is done. Errors with exit code 4 where the limit of the session is over.
    pub fn wait_for_transaction(self, session: Session) -> Result<()> {
        lock::wait(session, || {
            let database = match self {
                Manager::Apt => dpkg::locked(session.host)?,
                Manager::Dnf | Manager::Zypper => rpm::locked(session.host)?,
            };
            let pid = match scopes::running(session.host)? {
                Some(pid) => Some(pid),
                None => database,
            };
            Ok(match pid {
                Some(pid) => Attempt::Locked(
                    Lock { what: "the database of packages".into(), pid: Some(pid), name: None },
                    String::new(),
                ),
                None => Attempt::Done(()),
            })
        })?;
        scopes::end_empty(session.host)
    }

    /// Whether a transaction was cut off, which must be ended before another can begin. rpm can always begin one.
    pub fn was_interrupted(self, host: &Host) -> Result<bool> {
        match self {
            Manager::Apt => dpkg::was_interrupted(host),
            Manager::Dnf | Manager::Zypper => Ok(false),
        }
    }

    /// The keys of a keyring that must be imported before packages can be checked, by the names that [`Manager::remove`]
    /// removes them by. apt reads the keyring itself.
    pub fn missing_keys(self, host: &Host, keyring: &[u8]) -> Result<Vec<String>> {
        match self {
            Manager::Apt => Ok(Vec::new()),
            Manager::Dnf | Manager::Zypper => rpm::missing_keys(host, keyring),
        }
    }

    /// Imports the keys of the keyring that is in place.
    pub fn import_keys(self, session: Session) -> Result<()> {
        match self {
            Manager::Apt => Ok(()),
            Manager::Dnf | Manager::Zypper => rpm::import(session, Path::new(rpm::KEYRING)),
        }
    }

    /// Phase one: the packages and what they need, into the package manager's cache. What was downloaded when it
    /// stops is used by the next run.
    pub fn download(self, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
        match self {
            Manager::Apt => apt::download(session, specs, change),
            Manager::Dnf | Manager::Zypper => rpm::download(self, session, specs, change),
        }
    }

    /// Phase two: one transaction, from the cache. Nothing ends it before its time.
    pub fn install(self, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
        match self {
            Manager::Apt => apt::install(session, specs, change),
            Manager::Dnf | Manager::Zypper => rpm::install(self, session, specs, change),
        }
    }

    /// The file that keeps what the repository wants to know, for root alone, and its text. None where it wants nothing.
    pub fn credential_file(self, access: &Access) -> Option<(&'static str, Vec<u8>)> {
        match self {
            Manager::Apt => apt::credential_file(access),
            Manager::Dnf | Manager::Zypper => rpm::credential_file(self, access),
        }
    }

    /// Reads a package file, and checks its signature where the package manager can. What is none is exit code 2, a bad
    /// signature 5, and so is for zypper one that cannot be checked: it installs no such file.
    pub fn read_file(self, session: Session, path: &Path) -> Result<LocalPackage> {
        match self {
            Manager::Apt => apt::read_file(session, path),
            Manager::Dnf | Manager::Zypper => rpm::read_file(self, session, path),
        }
    }

    /// Whether it can hold packages. Errors (exit code 4) name what is lacking.
    pub fn can_hold(self, session: Session) -> Result<()> {
        match self {
            Manager::Apt | Manager::Zypper => Ok(()),
            Manager::Dnf => rpm::can_hold(session),
        }
    }

    /// Holds packages at their version, or releases them.
    pub fn hold(self, session: Session, names: &[&str], hold: bool) -> Result<()> {
        match self {
            Manager::Apt => apt::hold(session, names, hold),
            Manager::Dnf | Manager::Zypper => rpm::hold(self, session, names, hold),
        }
    }

    /// Removes packages, with their configuration files if `purge` (which rpm does not know). What is not installed is
    /// passed over.
    pub fn remove(self, session: Session, names: &[&str], purge: bool) -> Result<()> {
        match self {
            Manager::Apt => apt::remove(session, names, purge),
            Manager::Dnf | Manager::Zypper => rpm::remove(session, names),
        }
    }
}

impl Repository {
    pub fn url(&self) -> &str {
        match self {
            Repository::Apt(repository) => &repository.url,
            Repository::Rpm(repository) => &repository.url,
        }
    }

    /// The file that makes it known to the package manager.
    pub fn entry(&self) -> &Path {
        match self {
            Repository::Apt(repository) => &repository.list,
            Repository::Rpm(repository) => &repository.entry,
        }
    }

    pub fn entry_text(&self) -> Result<String> {
        match self {
            Repository::Apt(repository) => repository.list_text(),
            Repository::Rpm(repository) => repository.entry_text(),
        }
    }

    pub fn keyring(&self) -> &Path {
        match self {
            Repository::Apt(repository) => &repository.keyring,
            Repository::Rpm(repository) => &repository.keyring,
        }
    }

    /// Whether the keyring is another tool's, and not ours to write.
    pub fn keyring_stays(&self) -> bool {
        matches!(self, Repository::Apt(repository) if repository.keyring_stays)
    }

    /// Verifies the repository with this keyring, and says what it offers of `names`, without a change to the host.
    pub fn verify(&self, session: Session, keyring: &[u8], names: &[&str]) -> Result<Available> {
        match self {
            Repository::Apt(repository) => apt::verify(session, repository, keyring, names),
            Repository::Rpm(repository) => rpm::verify(session, repository, keyring, names),
        }
    }

    /// Reads the index of this repository alone, whose entry and keyring are in place.
    pub fn refresh(&self, session: Session) -> Result<()> {
        match self {
            Repository::Apt(repository) => apt::refresh(session, repository),
            Repository::Rpm(repository) => rpm::refresh(session, repository),
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

/// A template filled in; a value that it names and does not get is an error.
fn render(text: &str, values: minijinja::Value) -> Result<String> {
    template::render(text, values).map_err(|e| Error::new(Kind::Usage, format!("a template cannot be filled in: {e}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_not_as_asked_is_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("var/lib/dpkg");
        std::fs::create_dir_all(&at).unwrap();
        let database = "Package: a\nStatus: install ok half-configured\nVersion: 1\n\n\
                        Package: b\nStatus: install ok installed\nVersion: 2\n";
        std::fs::write(at.join("status"), database).unwrap();
        let host = Host::new(folder.path()).unwrap();
        let wrong = |name, version| {
            Manager::Apt.not_as_asked(&host, &[PackageSpec::exactly(name, version)]).unwrap().unwrap_or_default()
        };
        assert_eq!(wrong("a", "1"), "a 1 is half-configured");
        assert_eq!((wrong("b", "1").as_str(), wrong("b", "2").as_str()), ("b is 2", ""));
        assert_eq!(wrong("c", "1"), "c is not installed");
    }
}
