//! What dnf, yum and zypper share: the repository's entry, rpm's database and keys, locks, removal. Signatures are the
//! package manager's to check, always.

mod database;
mod dnf;
mod explain;
mod files;
mod found;
mod hold;
mod keys;
mod reach;
mod unfinished;
mod zypper;

use std::path::{Path, PathBuf};
use std::time::Duration;

use minijinja::context;

pub use database::{installed, is_there, owned};
pub use files::read_file;
pub use found::left_by_others;
pub use hold::{can_hold, hold};
pub use keys::{import, missing_keys};
pub use reach::credential_file;

use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Command, Host, Output};
use crate::packages::lock::{self, Attempt, Lock};
use crate::packages::versions::compare_debian;
use crate::packages::{Available, Change, Manager, PackageSpec, Session, render};

/// An RPM repository whose index and packages are signed by keys of its own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// [`Manager::Dnf`] or [`Manager::Zypper`].
    pub manager: Manager,
    /// The folder above `repodata`.
    pub url: String,
    /// Armored keys; the one place from which they are ever imported.
    pub keyring: PathBuf,
    pub entry: PathBuf,
    /// The user name that a mirror wants; the password is in the file of [`credential_file`].
    pub login: Option<String>,
    /// Whether the signature of the index is checked. False on Red Hat 8.1 and its kin alone, which cannot do it.
    pub repo_gpgcheck: bool,
}

/// The keys of this repository; the folder is where distributions keep theirs.
pub const KEYRING: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-datadog";

/// How long an index may take. It is a few megabytes.
const INDEX_DEADLINE: Duration = Duration::from_secs(120);
/// The largest file of an index, with what dnf and zypper make of it, in bytes: far more than the vendor's.
const INDEX_LIMIT: u64 = 256 * 1024 * 1024;
/// How long rpm may take for what is not a transaction of packages.
const QUICK: Duration = Duration::from_secs(60);

const ROOT_FILE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o644 };
const ROOT_FOLDER: Attributes = Attributes { mode: 0o755, ..ROOT_FILE };

/// How long the index may take in this run.
fn index_deadline(session: Session) -> Duration {
    INDEX_DEADLINE.min(session.access.deadline)
}

/// Where rpm keeps its database and its lock: the older place, and that of newer releases.
const DATABASES: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

impl Repository {
    /// The text of the entry. Errors where a part would not stay the one word that it must be (exit code 2).
    pub fn entry_text(&self) -> Result<String> {
        self.text(&self.keyring)
    }

    fn text(&self, keyring: &Path) -> Result<String> {
        let keyring = keyring.to_string_lossy();
        for (what, text) in [("repository URL", self.url.as_str()), ("keyring path", &keyring)] {
            // `$` begins a variable of the package manager, a comma another address.
            let bad = |c: char| c.is_whitespace() || c.is_control() || "[]#;,$\"'\\{}".contains(c);
            if text.is_empty() || text.contains(bad) {
                return Err(Error::new(Kind::Usage, format!("`{}` cannot be a {what}", text.escape_debug()))
                    .hint("it must be one word without brackets, quotes and variables"));
            }
        }
        let template = match self.manager {
            Manager::Zypper => include_str!("../../../templates/rpm/zypper.repo"),
            _ => include_str!("../../../templates/rpm/dnf.repo"),
        };
        let login = self.login.as_deref();
        if login.is_some_and(|login| login.contains(|c: char| c == '$' || c.is_whitespace() || c.is_control())) {
            return Err(Error::new(Kind::Usage, "the user name of the mirror cannot stand in a repository file")
                .hint("it must be one word without `$`"));
        }
        render(template, context! { url => &self.url, keyring, login, repo_gpgcheck => self.repo_gpgcheck })
    }
}

/// Verifies the repository and reads its index in a private folder, which is gone afterwards.
pub fn verify(session: Session, repository: &Repository, keyring: &[u8], names: &[&str]) -> Result<Available> {
    session.events.progress("verify the repository", None);
    session.access.can_be_checked(session.host)?;
    // On disk: an index may be large.
    let folder = session.host.temp_dir("/var/cache", 0o700)?;
    session.host.write(folder.path().join("keys.asc"), keyring, &ROOT_FILE)?;
    match repository.manager {
        Manager::Zypper => zypper::verify(session, repository, folder.path(), names),
        _ => dnf::verify(session, repository, folder.path(), names),
    }
}

/// Reads the index of this repository alone, whose entry and keys are in place.
pub fn refresh(session: Session, repository: &Repository) -> Result<()> {
    session.events.progress("refresh the package index", None);
    let output = match repository.manager {
        Manager::Zypper => zypper::refresh(session)?,
        _ => dnf::refresh(session)?,
    };
    explain::index(session.host, &output, &repository.url)
}

/// Downloads the packages, and what they need, into the package manager's cache. Signatures are checked here, too.
pub fn download(manager: Manager, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
    if !change.downgrade
        && let Some((spec, is)) = older(session, specs)?.first()
    {
        let what = format!("{} {is} is installed, which is newer than the one asked for", spec.name);
        return Err(Error::new(Kind::PackageManager, what).hint("a downgrade must be asked for explicitly"));
    }
    tell(session, "download", specs);
    let again = unfinished::again(session.host, specs)?;
    let output = match manager {
        Manager::Zypper => zypper::download(session, specs, &again, change)?,
        _ => dnf::download(session, specs, &again, change)?,
    };
    session.events.log(output.explain());
    if output.success() {
        return Ok(());
    }
    if output.stopped.is_some() && session.cancelled() {
        return Err(Error::new(Kind::Interrupted, "the download was stopped").hint("run again: what is there is kept"));
    }
    Err(explain::download(session, &output))
}

/// Installs what was downloaded, in one transaction that nothing ends before its time, not even our own death.
pub fn install(manager: Manager, session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
    database::mend(session, specs)?;
    let held = if change.held { held_of(session, specs)? } else { Vec::new() };
    tell(session, "install", specs);
    let released = hold::release(session, &held)?;
    let again = unfinished::again(session.host, specs)?;
    unfinished::begin(session.host, specs)?;
    let output = match manager {
        Manager::Zypper => zypper::install(session, specs, &again, change)?,
        _ => dnf::install(session, specs, &again, change)?,
    };
    session.events.log(output.explain());
    if output.status.is_some() {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        unfinished::end(session.host, &names)?;
    }
    match manager.not_as_asked(session.host, specs)? {
        None => {
            if !output.success() {
                session.events.note(format!(
                    "the packages are installed; {} says: {}",
                    manager.command(),
                    output.ending()
                ));
            }
            hold::follow(manager, session, &held)
        }
        Some(wrong) => {
            let error = explain::transaction(&output, "the installation").detail(wrong);
            Err(match hold::follow(manager, session, &released) {
                Ok(()) => error,
                Err(failed) => error.detail(failed.what),
            })
        }
    }
}

/// Removes those of the packages that are there, in one transaction, by rpm itself: it refuses where another package
/// needs one of them, and takes nothing else along. Keys are packages, too (`gpg-pubkey-…`). Configuration that was
/// changed stays, as `.rpmsave` where the package brought it.
pub fn remove(session: Session, names: &[&str]) -> Result<()> {
    let mut there = Vec::new();
    for name in names {
        if is_there(session.host, name)? {
            there.push(*name);
        }
    }
    if there.is_empty() {
        return unfinished::end(session.host, names);
    }
    session.events.progress(format!("remove {}", there.join(" ")), None);
    let output = with_lock(session, || {
        session.lasting(Command::new("rpm").arg("-e").args(&there), "ddinstall-rpm").run(session.host)
    })?;
    session.events.log(output.explain());
    for name in there {
        if is_there(session.host, name)? {
            return Err(explain::transaction(&output, "the removal"));
        }
    }
    unfinished::end(session.host, names)
}

fn tell(session: Session, verb: &str, specs: &[PackageSpec]) {
    let what = specs.iter().fold(verb.to_owned(), |text, spec| text + " " + &spec.name);
    session.events.progress(what, None);
}

/// The packages of these that are held at the version that is installed.
fn held_of<'a>(session: Session, specs: &'a [PackageSpec]) -> Result<Vec<&'a str>> {
    let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    let found = names.iter().zip(installed(session.host, &names)?);
    Ok(found.filter(|(_, found)| found.as_ref().is_some_and(|is| is.held)).map(|(name, _)| *name).collect())
}

/// The specs that would lower an installed version, each with that version.
fn older<'a>(session: Session, specs: &'a [PackageSpec]) -> Result<Vec<(&'a PackageSpec, String)>> {
    let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    let known = specs.iter().zip(installed(session.host, &names)?);
    let lower = known.filter_map(|(spec, known)| {
        let (wanted, is) = (spec.version.as_ref()?, known?.version);
        compare_debian(wanted, &is).is_lt().then_some((spec, is))
    });
    Ok(lower.collect())
}

/// Runs a package manager again and again while another process holds its lock, or that of rpm's database, on which it
/// would wait without a limit. A lock stops it before it does anything.
fn with_lock(session: Session, mut run: impl FnMut() -> Result<Output>) -> Result<Output> {
    lock::wait(session, || {
        if let Some(pid) = locked(session.host)? {
            let lock = Lock { what: "the database of rpm".into(), pid: Some(pid), name: None };
            return Ok(Attempt::Locked(lock, String::new()));
        }
        let output = run()?;
        Ok(match explain::lock_in(&output) {
            Some(lock) => Attempt::Locked(lock, String::new()),
            None => Attempt::Done(output),
        })
    })
}

/// The process that holds the lock of rpm's database.
pub fn locked(host: &Host) -> Result<Option<u32>> {
    for folder in DATABASES {
        if let Some(pid) = host.record_lock(format!("{folder}/.rpm.lock"))? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn repository(manager: Manager) -> Repository {
        Repository {
            manager,
            url: "https://yum.datadoghq.com/stable/7/x86_64/".into(),
            keyring: "/etc/pki/rpm-gpg/RPM-GPG-KEY-datadog".into(),
            entry: "/etc/yum.repos.d/datadog.repo".into(),
            login: None,
            repo_gpgcheck: true,
        }
    }

    #[test]
    fn index_and_packages_are_checked() {
        for manager in [Manager::Dnf, Manager::Zypper] {
            let text = repository(manager).entry_text().unwrap();
            for line in [
                "[datadog]",
                "baseurl=https://yum.datadoghq.com/stable/7/x86_64/",
                "gpgcheck=1",
                "repo_gpgcheck=1",
                "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-datadog",
            ] {
                assert!(text.lines().any(|l| l == line), "{line}\n{text}");
            }
        }
        let old = Repository { repo_gpgcheck: false, ..repository(Manager::Dnf) }.entry_text().unwrap();
        assert!(old.contains("\nrepo_gpgcheck=0\n") && old.contains("\ngpgcheck=1\n") && old.contains("8.1"), "{old}");
    }

    #[test]
    fn an_entry_cannot_be_broken_out_of() {
        for bad in ["https://x/\ngpgcheck=0", "https://x/ y", "", "https://$basearch/", "a,b", "x\u{2028}y"] {
            let repository = Repository { url: bad.into(), ..repository(Manager::Dnf) };
            assert_eq!(repository.entry_text().unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }
}
