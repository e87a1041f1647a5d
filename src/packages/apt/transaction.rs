//! The two phases of an installation with apt: a download that may be stopped, and a transaction that may not.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::explain::{self, essence, repository};
use super::reach::reaching;
use super::{LISTS_LIMIT, apt_get, with_lock, with_retries};
use crate::error::{Error, Kind, Result};
use crate::host::{Command, Output, Stream};
use crate::packages::dpkg;
use crate::packages::trouble::ended_at_download;
use crate::packages::{Change, Manager, PackageSpec, Session};

const RELEASE: &str = "--hold=off releases it; --hold moves it and holds the new version";

/// For an update of all of the host's sources.
const UPDATE_DEADLINE: Duration = Duration::from_secs(300);

/// Downloads the packages, and what they need, into apt's cache. If the host's own lists turn out to be missing or
/// stale, they are updated, once.
pub fn download(session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
    mend_interrupted(session)?;
    let limit = session.access.deadline;
    let attempt = || with_retries(session, limit, |left| try_download(session, specs, change, left));
    let mut output = attempt()?;
    if needs_other_lists(&output, specs) {
        session.events.note("the package lists of this host are missing or old: running apt-get update");
        let update = with_lock(session, || {
            let update = reaching(session, apt_get(session))?.arg("update");
            let limit = UPDATE_DEADLINE.min(session.access.deadline);
            update.file_limit(LISTS_LIMIT).deadline(limit).run(session.host)
        })?;
        session.events.log(update.explain());
        if let Some(failed) = explain::update(&update) {
            session.events.note(failed);
        }
        output = attempt()?;
    }
    if output.success() {
        return Ok(());
    }
    if output.stopped.is_some() && session.cancelled() {
        return Err(
            Error::new(Kind::Interrupted, "the download was stopped").hint("run again: it goes on where it stopped")
        );
    }
    Err(failed_download(session, &output))
}

/// Installs what was downloaded, in one transaction that nothing ends before its time, not even our own death.
pub fn install(session: Session, specs: &[PackageSpec], change: Change) -> Result<()> {
    mend_interrupted(session)?;
    let progress = Progress::new(session, "install", specs.iter().map(|s| s.name.as_str()));
    let broken = RefCell::new(Vec::new());
    let output = with_lock(session, || {
        let listener = |stream, line: &str| match status_line(stream, line) {
            Some(Status::Percent(percent)) => progress.at(percent),
            Some(Status::Error(text)) => broken.borrow_mut().push(text),
            None => {}
        };
        let command = installation(session, specs, change)?
            // With it, apt looks for package files among its own.
            .args(specs.iter().all(|spec| spec.file.is_none()).then_some("--no-download"))
            .args(["-o", "Dpkg::Options::=--force-confdef"])
            .args(["-o", "Dpkg::Options::=--force-confold"])
            .args(session.image.then_some(["-o", "Dpkg::Options::=--force-unsafe-io"]).into_iter().flatten());
        to_its_end(session, command, listener)
    })?;
    session.events.log(output.explain());
    let broken = broken.into_inner();
    let wrong = Manager::Apt.not_as_asked(session.host, specs)?;
    if output.success() && wrong.is_none() {
        return Ok(());
    }
    // apt takes up what other packages have left undone; their failure is not ours.
    if wrong.is_none() && !broken.is_empty() {
        for text in broken {
            let note = format!("another package is broken: {text}");
            session.events.note(note);
        }
        return Ok(());
    }
    let error = failed_transaction(&output, &broken, "the installation");
    Err(match wrong {
        Some(wrong) => error.detail(wrong),
        None => error,
    })
}

/// Holds packages at their version, or releases them.
pub fn hold(session: Session, names: &[&str], hold: bool) -> Result<()> {
    let output = with_lock(session, || {
        let verb = if hold { "hold" } else { "unhold" };
        Command::new("apt-mark").arg(verb).args(names).cancel(session.cancel).run(session.host)
    })?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new(Kind::PackageManager, format!("{} could not be held or released", names.join(", ")))
        .detail(output.explain()))
}

/// Removes those of the packages that are there, in one transaction. Packages that they depend on stay; it is refused
/// where a package that depends on them would go, too.
pub fn remove(session: Session, names: &[&str], purge: bool) -> Result<()> {
    mend_interrupted(session)?;
    let known = match purge {
        true => dpkg::remembered(session.host, names)?,
        false => dpkg::installed(session.host, names)?.iter().map(Option::is_some).collect(),
    };
    let there: Vec<&str> = names.iter().zip(known).filter(|(_, known)| *known).map(|(name, _)| *name).collect();
    if there.is_empty() {
        return Ok(());
    }
    let trial = with_lock(session, || removal(session, &there, purge).arg("--simulate").run(session.host))?;
    let others = removed(&trial.stdout_text(), &there);
    if !others.is_empty() {
        let what = format!("{} cannot be removed alone: {} depend on them", there.join(", "), others.join(", "));
        return Err(Error::new(Kind::PackageManager, what).hint("remove those first if they may go"));
    }
    let progress = Progress::new(session, "remove", there.iter().copied());
    let output = with_lock(session, || {
        let listener = |stream, line: &str| {
            if let Some(Status::Percent(percent)) = status_line(stream, line) {
                progress.at(percent);
            }
        };
        to_its_end(session, removal(session, &there, purge), listener)
    })?;
    session.events.log(output.explain());
    if !output.success() {
        return Err(failed_transaction(&output, &[], "the removal"));
    }
    Ok(())
}

/// Runs a transaction that nothing ends before its time, and hands what it says to the listener.
fn to_its_end(session: Session, command: Command, listener: impl FnMut(Stream, &str)) -> Result<Output> {
    let command = command.arg("-o").status_fd("APT::Status-Fd=");
    session.lasting(command, "ddinstall-apt").on_line(listener).run(session.host)
}

fn removal<'a>(session: Session<'a>, names: &[&str], purge: bool) -> Command<'a> {
    apt_get(session)
        .args(["remove", "-y", "-o", "APT::Get::AutomaticRemove=false"])
        // One that dpkg was stopped in may go, too.
        .args(["-o", "Dpkg::Options::=--force-remove-reinstreq"])
        // A hold keeps a version, and not a package that its operator has sent away. (As an option, older ones pass it over.)
        .args(["-o", "APT::Get::allow-change-held-packages=true"])
        .args(purge.then_some("--purge"))
        .args(names)
}

/// What a simulated removal would take, beside what was asked for: `Remv NAME [VERSION]`, `Purg NAME [VERSION]`.
fn removed(simulation: &str, asked: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in simulation.lines() {
        let Some(rest) = line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg ")) else { continue };
        let name = rest.split([' ', ':']).next().unwrap_or(rest);
        if !asked.contains(&name) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn installation<'a>(session: Session<'a>, specs: &[PackageSpec], change: Change) -> Result<Command<'a>> {
    // Of a package that dpkg was stopped in, in its last moments, apt sees the version, and would only configure it.
    let again = dpkg::to_install_again(session.host)?;
    let others = again.iter().filter(|name| specs.iter().all(|spec| spec.name != **name));
    // Nothing that was not asked for: no recommended packages, and none removed to make room.
    let command = apt_get(session)
        .args(["install", "-y", "--no-install-recommends", "--no-remove"])
        .args(change.downgrade.then_some("--allow-downgrades"))
        .args(change.held.then_some("--allow-change-held-packages"))
        .args((!again.is_empty()).then_some("--reinstall"));
    Ok(command.args(words(specs)).args(others))
}

fn words(specs: &[PackageSpec]) -> Vec<String> {
    let word = |spec: &PackageSpec| match &spec.version {
        _ if spec.file.is_some() => spec.file.iter().map(|file| file.display().to_string()).collect(),
        Some(version) => format!("{}={version}", spec.name),
        None => spec.name.clone(),
    };
    specs.iter().map(word).collect()
}

fn try_download(session: Session, specs: &[PackageSpec], change: Change, left: Duration) -> Result<Output> {
    let progress = Progress::new(session, "download", specs.iter().map(|s| s.name.as_str()));
    with_lock(session, || {
        // apt goes on reporting while nothing arrives: only a percentage that moves is progress.
        let mut last = (String::new(), Instant::now());
        let stop = AtomicBool::new(false);
        let listener = |stream, line: &str| {
            if stream != Stream::Status {
                return;
            }
            let exact = line.split(':').nth(2).unwrap_or_default();
            if exact != last.0 {
                last = (exact.to_owned(), Instant::now());
            }
            if last.1.elapsed() > session.access.stall || session.cancelled() {
                stop.store(true, Ordering::Relaxed);
            }
            if let Some(Status::Percent(percent)) = status_line(stream, line) {
                progress.at(percent);
            }
        };
        let output = reaching(session, installation(session, specs, change)?)?
            .arg("--download-only")
            .arg("-o")
            .status_fd("APT::Status-Fd=")
            .deadline(left)
            .stall(session.access.stall)
            .cancel(&stop)
            .on_line(listener)
            .run(session.host)?;
        session.events.log(output.explain());
        Ok(output)
    })
}

/// Tells of each percentage once: apt repeats itself twice a second.
struct Progress<'a> {
    session: Session<'a>,
    what: String,
    last: Cell<Option<u8>>,
}

impl<'a> Progress<'a> {
    fn new<'b>(session: Session<'a>, verb: &str, names: impl Iterator<Item = &'b str>) -> Self {
        let what = names.fold(verb.to_owned(), |text, name| text + " " + name);
        session.events.progress(what.as_str(), None);
        Progress { session, what, last: Cell::new(None) }
    }

    fn at(&self, percent: u8) {
        if self.last.replace(Some(percent)) != Some(percent) {
            self.session.events.progress(self.what.as_str(), Some(percent));
        }
    }
}

/// What apt writes to its status descriptor: `dlstatus:1:12.5:Retrieving…`, `pmstatus:package:50.0:Installing…`,
/// `pmerror:package:50.0:text`.
#[derive(Debug, PartialEq)]
enum Status {
    Percent(u8),
    Error(String),
}

fn status_line(stream: Stream, line: &str) -> Option<Status> {
    if stream != Stream::Status {
        return None;
    }
    let mut fields = line.splitn(4, ':');
    let kind = fields.next()?;
    let package = fields.next()?;
    let percent = fields.next()?.parse::<f64>().ok()?;
    match kind {
        "dlstatus" | "pmstatus" => Some(Status::Percent(percent.clamp(0.0, 100.0) as u8)),
        "pmerror" => Some(Status::Error(format!("{package}: {}", fields.next()?.trim()))),
        _ => None,
    }
}

/// Whether it is the host's other sources that are lacking: a dependency, not one of the packages that were asked for.
fn needs_other_lists(output: &Output, specs: &[PackageSpec]) -> bool {
    !output.success() && output.stopped.is_none() && lacks_lists(&output.stderr_text(), specs)
}

fn lacks_lists(text: &str, specs: &[PackageSpec]) -> bool {
    let ours = |line: &str| specs.iter().any(|s| line.contains(&format!(" {}", s.name)));
    text.contains("unmet dependencies")
        || text.contains("held broken packages")
        || text.contains("Maybe run apt-get update")
        || text.contains("maybe run apt-get update")
        || text.lines().any(|line| {
            (line.contains("Unable to locate package") || line.contains("no installation candidate")) && !ours(line)
        })
}

fn failed_download(session: Session, output: &Output) -> Error {
    let text = output.stderr_text();
    // Whoever asked to stop is answered elsewhere: this was the deadline, or nothing arrived.
    if let Some(error) = ended_at_download(output, session.access) {
        return error;
    }
    let plain = |kind, what: &str| Error::new(kind, what);
    let error = if text.contains("enough free space") || text.contains("No space left") {
        plain(Kind::Prerequisite, "there is not enough room for the download")
            .hint("make room in /var/cache/apt/archives, then run again")
    } else if text.contains("Version '") && text.contains("was not found") {
        plain(Kind::Repository, "the repository serves an older index than the one that apt has read here before")
            .hint(
                "a mirror was put back to an older state, or somebody replays an old index: use one that is up to date",
            )
            .absent()
    } else if text.contains("Unable to locate package") || text.contains("no installation candidate") {
        let apt = text.lines().find_map(|l| l.strip_prefix("E: "));
        let what = format!("a package is not to be had: {}", apt.unwrap_or_default());
        let hint = "check its version, and the repository's URL, suite and component";
        Error::new(Kind::Repository, what).hint(hint).absent()
    } else if text.contains("unmet dependencies") || text.contains("held broken packages") {
        plain(Kind::PackageManager, "the packages cannot be installed: something that they depend on is missing").hint(
            "see what apt says above; a package on hold or a missing source of the distribution is the usual cause",
        )
    } else if text.contains("remove is disabled") {
        plain(Kind::PackageManager, "the packages can only be installed if others are removed")
            .hint("see which ones with apt-get install, and remove them yourself if that is right")
    } else if text.contains("Packages were downgraded") || text.contains("will be DOWNGRADED") {
        plain(Kind::PackageManager, "a newer version is installed than the one asked for")
            .hint("a downgrade must be asked for explicitly")
    } else if text.contains("Held packages were changed") {
        plain(Kind::Prerequisite, "a package is on hold and would be changed").hint(RELEASE)
    } else {
        repository(&text, "a repository")
            .unwrap_or_else(|| plain(Kind::PackageManager, "apt-get could not download the packages"))
    };
    let detail = match error.kind {
        Kind::Repository => essence(output),
        _ => output.explain(),
    };
    error.detail(detail)
}

fn failed_transaction(output: &Output, broken: &[String], subject: &str) -> Error {
    let text = output.stderr_text();
    let error = if text.contains("No space left") {
        let what = format!("{subject} failed: the disk is full");
        Error::new(Kind::Prerequisite, what).hint("make room, then run again")
    } else {
        let cause = broken.first().map(|b| format!(": {b}")).unwrap_or_default();
        Error::new(Kind::PackageManager, format!("{subject} failed{cause}"))
            .hint("see what apt-get says above; the next run mends a half-done installation with dpkg --configure -a")
    };
    error.detail(output.explain())
}

/// After a transaction was cut (a power failure, kill -9) apt refuses to work until dpkg has finished it.
fn mend_interrupted(session: Session) -> Result<()> {
    if !dpkg::was_interrupted(session.host)? {
        return Ok(());
    }
    session.events.note("an installation was interrupted, or is still going on: running dpkg --configure -a");
    let output = with_lock(session, || {
        // Without our lock: unlike apt, dpkg would hand it on to whatever a script starts.
        Command::new("dpkg")
            .args(["--force-confdef", "--force-confold", "--configure", "-a"])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("NEEDRESTART_SUSPEND", "1")
            .never_kill()
            .scope("ddinstall-dpkg")
            .run(session.host)
    })?;
    session.events.log(output.explain());
    // A package that fails here may be the very one that is about to be replaced; only a journal that stays stops apt.
    if dpkg::was_interrupted(session.host)? {
        return Err(Error::new(
            Kind::PackageManager,
            "an earlier installation was interrupted, and dpkg could not finish it",
        )
        .detail(output.explain())
        .hint("run dpkg --configure -a, mend what it says, then run again"));
    }
    if !output.success() {
        session.events.note("dpkg --configure -a did not succeed for every package; going on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_status_lines_are_read() {
        let read = |line| status_line(Stream::Status, line);
        assert_eq!(read("dlstatus:1:12.5:Retrieving file 1 of 3 (10s remaining)"), Some(Status::Percent(12)));
        assert_eq!(read("pmstatus:datadog-agent:70.1:Unpacking datadog-agent (amd64)"), Some(Status::Percent(70)));
        assert_eq!(
            read("pmerror:datadog-agent:70:installed script returned error 1"),
            Some(Status::Error("datadog-agent: installed script returned error 1".into()))
        );
        assert_eq!(read("nonsense"), None);
        assert_eq!(status_line(Stream::Stdout, "dlstatus:1:12.5:x"), None);
    }

    #[test]
    fn a_removal_that_takes_more_is_seen() {
        let text = "Reading state information...\nPurg datadog-agent [1:7.58.2-1]\nRemv ours-meta [1] [x ]\nPurg ours-meta [1]\n";
        assert_eq!(removed(text, &["datadog-agent"]), ["ours-meta"]);
        assert!(removed(text, &["datadog-agent", "ours-meta"]).is_empty());
    }

    #[test]
    fn the_hosts_lists_are_updated_for_dependencies_only() {
        let specs = [PackageSpec::newest("datadog-agent")];
        let needs = |text| lacks_lists(text, &specs);
        assert!(needs("The following packages have unmet dependencies:\n datadog-agent : Depends: x"));
        assert!(needs("E: Unable to locate package haproxy"));
        assert!(!needs("E: Unable to locate package datadog-agent"));
        assert!(!needs("E: Failed to fetch https://x Hash Sum mismatch"));
    }
}
