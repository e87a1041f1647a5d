//! apt: the repository's entry, its verification in a private folder, its index. The packages are next door.
//! Signatures are apt's to check, always.

mod explain;
mod files;
pub mod found;
mod index;
mod reach;
mod transaction;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use minijinja::context;

pub use files::read_file;
pub use reach::credential_file;
pub use transaction::{download, hold, install, remove};

use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Command, Output};
use crate::packages::lock::{self, Attempt};
use crate::packages::{Available, Session, render};

/// An apt repository that is signed by the keys of its own keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub url: String,
    pub suite: String,
    pub component: String,
    /// dpkg's name of it, such as `amd64`.
    pub architecture: String,
    pub keyring: PathBuf,
    pub list: PathBuf,
    /// The whole text of `list`, where more than our entry stands in it, or another tool wrote it (see [`found`]).
    pub text: Option<String>,
    /// The keyring is another tool's, and not ours to write.
    pub keyring_stays: bool,
}

/// How long an index may take, and what it may fill. It is less than a megabyte; apt itself has no limit for an answer
/// that does not name its size. Its cache of all of the host's sources is a file, too.
const INDEX_DEADLINE: Duration = Duration::from_secs(120);
const INDEX_LIMIT: u64 = 64 << 20;
const LISTS_LIMIT: u64 = 1 << 30;

/// Where the vendor's own script and packages put the entry and the keyring.
pub const LIST: &str = "/etc/apt/sources.list.d/datadog.list";
pub const KEYRING: &str = "/usr/share/keyrings/datadog-archive-keyring.gpg";

const ROOT_FILE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o644 };
const ROOT_FOLDER: Attributes = Attributes { mode: 0o755, ..ROOT_FILE };

impl Repository {
    /// The vendor's repository of Agent 7, and where its own script and packages put entry and keyring.
    pub fn vendor(architecture: impl Into<String>) -> Self {
        Repository {
            url: "https://apt.datadoghq.com/".into(),
            suite: "stable".into(),
            component: "7".into(),
            architecture: architecture.into(),
            keyring: KEYRING.into(),
            list: LIST.into(),
            text: None,
            keyring_stays: false,
        }
    }

    /// The text of the entry's file. Errors where a part would not stay the one word that it must be (exit code 2).
    pub fn list_text(&self) -> Result<String> {
        self.text.clone().map_or_else(|| self.entry(&self.keyring), Ok)
    }

    fn entry(&self, keyring: &Path) -> Result<String> {
        let keyring = keyring.to_string_lossy();
        for (what, text) in [
            ("repository URL", self.url.as_str()),
            ("suite", &self.suite),
            ("component", &self.component),
            ("keyring path", &keyring),
        ] {
            let bad = |c: char| c.is_whitespace() || c.is_control() || "[]#\"'\\".contains(c);
            if text.is_empty() || text.contains(bad) {
                return Err(Error::new(Kind::Usage, format!("`{}` cannot be a {what}", text.escape_debug()))
                    .hint("it must be one word without brackets and quotes"));
            }
        }
        render(
            include_str!("../../../templates/apt/datadog.list"),
            context! { keyring, url => &self.url, suite => &self.suite, component => &self.component },
        )
    }
}

/// Verifies the repository and reads its index in a private folder, which is gone afterwards: a refused repository
/// leaves nothing behind. `names` are the packages to look for.
pub fn verify(session: Session, repository: &Repository, keyring: &[u8], names: &[&str]) -> Result<Available> {
    let host = session.host;
    reach::check(session, repository)?;
    session.events.progress("verify the repository", None);
    // apt reads and verifies as its own user, who must be able to enter.
    let folder = host.temp_dir("/run", 0o711)?;
    let at = |name: &str| folder.path().join(name);
    for name in ["state", "state/lists", "state/lists/partial", "cache", "cache/archives", "cache/archives/partial"] {
        host.make_dir(at(name), &ROOT_FOLDER)?;
    }
    let auth = reach::auth_text(session.access);
    let conf = render(
        include_str!("../../../templates/apt/verify.conf"),
        context! {
            folder => folder.path().to_string_lossy(),
            architecture => &repository.architecture,
            credentials => auth.is_some(),
        },
    )?;
    if let Some(auth) = auth {
        // apt reads it before it gives root's rights up.
        host.write(at("auth.conf"), auth.as_bytes(), &Attributes { mode: 0o600, ..ROOT_FILE })?;
    }
    reach::seed(session, repository, &at("state/lists"))?;
    host.write(at("keyring.gpg"), keyring, &ROOT_FILE)?;
    let entry = repository.entry(&at("keyring.gpg"))?;
    host.write(at("datadog.list"), entry.as_bytes(), &ROOT_FILE)?;
    host.write(at("apt.conf"), conf.as_bytes(), &ROOT_FILE)?;

    let output = with_retries(session, INDEX_DEADLINE, |left| {
        let command = apt_get(session).arg("-c").arg(at("apt.conf"));
        reach::reaching(session, command)?
            .args(INDEX_OPTIONS)
            .arg("update")
            .file_limit(INDEX_LIMIT)
            .deadline(left)
            .run(host)
    })?;
    explain::index(&output, &repository.url)?;

    let mut available = Available::default();
    let ending = format!("_binary-{}_Packages", repository.architecture);
    let mut found = false;
    for name in host.list(at("state/lists"))?.unwrap_or_default() {
        let path = at("state/lists").join(&name);
        if name.to_string_lossy().ends_with(&ending) {
            found = true;
            index::read(&mut available, &host.read_text(path)?.unwrap_or_default(), names);
        }
    }
    if !found {
        return Err(Error::new(
            Kind::Repository,
            format!(
                "the repository {} has no packages for {} in `{} {}`",
                crate::net::redact(&repository.url),
                repository.architecture,
                repository.suite,
                repository.component
            ),
        )
        .detail(output.explain()));
    }
    Ok(available)
}

/// Reads the index of this repository, whose entry and keyring are in place, into apt's own lists.
pub fn refresh(session: Session, repository: &Repository) -> Result<()> {
    session.events.progress("refresh the package index", None);
    let output = with_retries(session, INDEX_DEADLINE, |left| {
        with_lock(session, || {
            reach::reaching(session, apt_get(session))?
                .args(INDEX_OPTIONS)
                .arg("-o")
                .arg(format!("Dir::Etc::sourcelist={}", repository.list.display()))
                .args(["-o", "Dir::Etc::sourceparts=-"])
                .args(["-o", "APT::Get::List-Cleanup=0"])
                .arg("update")
                .file_limit(LISTS_LIMIT)
                .deadline(left)
                .run(session.host)
        })
    })?;
    explain::index(&output, &repository.url)
}

/// For every `update`. Not every apt knows the error mode; its output is read in any case.
const INDEX_OPTIONS: [&str; 4] = ["-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Languages=none"];

/// apt-get as it is always called: no questions, and no way around signatures, whatever apt.conf says.
fn apt_get<'a>(session: Session<'a>) -> Command<'a> {
    let mut command = session
        .command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBIAN_PRIORITY", "critical")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("APT_LISTBUGS_FRONTEND", "none");
    for option in [
        "Acquire::AllowInsecureRepositories=false",
        "Acquire::AllowWeakRepositories=false",
        "Acquire::AllowDowngradeToInsecureRepositories=false",
        "APT::Get::AllowUnauthenticated=false",
        "Acquire::https::Verify-Peer=true",
        "Acquire::https::Verify-Host=true",
        "Acquire::Check-Valid-Until=true",
        "Acquire::Retries=3",
        "Dpkg::Use-Pty=0",
    ] {
        command = command.args(["-o", option]);
    }
    let silence = session.access.stall.as_secs().clamp(1, 20);
    for method in ["http", "https"] {
        command = command.arg("-o").arg(format!("Acquire::{method}::Timeout={silence}"));
    }
    command
}

/// Runs apt, and twice more after a pause where the server failed or broke off. `limit` is for all of it, as the
/// operator's limit of downloads is; `run` is told what is left.
fn with_retries(session: Session, limit: Duration, mut run: impl FnMut(Duration) -> Result<Output>) -> Result<Output> {
    let end = Instant::now() + limit.min(session.access.deadline);
    for pause in [1, 4, 0].map(Duration::from_secs) {
        let output = run(end.saturating_duration_since(Instant::now()))?;
        let text = output.stderr_text();
        let passes = !output.success() && output.stopped.is_none() && explain::may_pass(&text);
        if pause.is_zero() || !passes || session.cancelled() || Instant::now() + pause >= end {
            return Ok(output);
        }
        session.events.log(format!("{}; trying again", explain::essence(&output)));
        std::thread::sleep(pause);
    }
    unreachable!("the last try returns")
}

/// Runs apt again and again while another process holds one of its locks.
fn with_lock(session: Session, mut run: impl FnMut() -> Result<Output>) -> Result<Output> {
    lock::wait(session, || {
        let output = run()?;
        let text = output.stderr_text();
        Ok(match explain::lock_in(&text).filter(|_| !output.success()) {
            Some(lock) => Attempt::Locked(lock, text.to_string()),
            None => Attempt::Done(output),
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_entry_is_the_vendors() {
        assert_eq!(
            Repository::vendor("amd64").list_text().unwrap(),
            "deb [signed-by=/usr/share/keyrings/datadog-archive-keyring.gpg] https://apt.datadoghq.com/ stable 7\n"
        );
    }

    #[test]
    fn an_entry_cannot_be_broken_out_of() {
        for bad in ["https://x/ [trusted=yes]", "https://x/\ndeb", "", "a]b", "x\u{2028}y", "x#y"] {
            let repository = Repository { url: bad.into(), ..Repository::vendor("amd64") };
            assert_eq!(repository.list_text().unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }
}
