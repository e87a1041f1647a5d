//! zypper.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::reach::{ROOT, Reach};
use super::{INDEX_LIMIT, QUICK, Repository, explain, index_deadline, with_lock};
use crate::error::{Error, Kind, Result};
use crate::host::{Command, Output};
use crate::packages::{Available, Candidate, Change, Manager, PackageSpec, Session};

/// As the entry names the repository.
const ALIAS: &str = "datadog";

/// How long a refresh of all of the host's repositories may take.
const UPDATE_DEADLINE: Duration = Duration::from_secs(300);

/// Verifies the repository in a root of its own, whose database of rpm holds the keys of this repository alone.
pub(super) fn verify(session: Session, repository: &Repository, folder: &Path, names: &[&str]) -> Result<Available> {
    let host = session.host;
    let keys = folder.join("keys.asc");
    let reach = Reach::alone(session, repository, &keys)?;
    let root = reach.at(ROOT);
    let import = Command::new("rpm").arg("--root").arg(&root).arg("--import").arg(&keys).deadline(QUICK).run(host)?;
    if !import.success() {
        return Err(Error::new(Kind::PackageManager, "rpm does not take the signing keys").detail(import.explain()));
    }
    let zypper = || {
        reach.tell(zypper(session)).env("ZYPP_LOGFILE", folder.join("log")).arg("--cache-dir").arg(folder.join("cache"))
    };
    let output =
        zypper().args(["refresh", ALIAS]).file_limit(INDEX_LIMIT).deadline(index_deadline(session)).run(host)?;
    explain::index(host, &output, &repository.url)?;
    let mut available = Available::default();
    let sizes = zypper().arg("--no-refresh").arg("info").args(names).deadline(QUICK).run(host)?;
    let sizes = read_info(&sizes.stdout_text());
    let output = zypper()
        .args(["--no-refresh", "--xmlout", "search", "-s", "-t", "package", "--match-exact"])
        .args(names)
        .deadline(QUICK)
        .run(host)?;
    read_search(&mut available, &output.stdout_text(), names, &sizes);
    // 104: none of them is there.
    if !output.success() && output.status != Some(104) {
        let what = format!("the packages of {} could not be listed", crate::net::redact(&repository.url));
        return Err(Error::new(Kind::Repository, what).detail(output.explain()));
    }
    Ok(available)
}

pub(super) fn refresh(session: Session) -> Result<Output> {
    let reach = Reach::host(session, Manager::Zypper, None)?;
    with_lock(session, || {
        reach
            .tell(zypper(session))
            .args(["refresh", ALIAS])
            .file_limit(INDEX_LIMIT)
            .deadline(index_deadline(session))
            .run(session.host)
    })
}

pub(super) fn download(session: Session, specs: &[PackageSpec], again: &[String], change: Change) -> Result<Output> {
    let reach = Reach::host(session, Manager::Zypper, Some(change))?;
    let run = || {
        with_lock(session, || {
            let command = transaction(session, Some(&reach), specs, change, &how(again, Some("--download-only")));
            without_retries(session, command.deadline(session.access.deadline))
        })
    };
    let output = run()?;
    // It is the host's other repositories that are lacking: a package that ours need.
    if output.success() || output.stopped.is_some() || !output.stdout_text().contains("nothing provides") {
        return Ok(output);
    }
    session.events.note("the package lists of this host are missing or old: running zypper refresh");
    let refresh = with_lock(session, || {
        zypper(session).arg("refresh").file_limit(INDEX_LIMIT).deadline(UPDATE_DEADLINE).run(session.host)
    })?;
    session.events.log(refresh.explain());
    if !refresh.success() {
        let note = format!("not all repositories of this host could be read: zypper refresh: {}", refresh.ending());
        session.events.note(note);
    }
    run()
}

/// Runs a download. After a silence of the server zypper would wait for half a minute and try again, several times; what
/// is said is enough.
fn without_retries(session: Session, command: Command) -> Result<Output> {
    let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if session.cancelled() {
                    stop.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let listener = |_, line: &str| {
            if line.contains("Retrying in ") {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let output = command.cancel(&stop).on_line(listener).run(session.host);
        over.store(true, Ordering::Relaxed);
        output
    })
}

pub(super) fn install(session: Session, specs: &[PackageSpec], again: &[String], change: Change) -> Result<Output> {
    // A folder would be left behind where we are killed and the transaction goes on.
    let reach = change.held.then(|| Reach::new(session, Manager::Zypper, Some(change))).transpose()?;
    with_lock(session, || {
        let progress = |_, line: &str| {
            if let Some(percent) = progress(line) {
                session.events.progress("install", Some(percent));
            }
        };
        let command = transaction(session, reach.as_ref(), specs, change, &how(again, None));
        session.lasting(command, "ddinstall-zypper").on_line(progress).run(session.host)
    })
}

/// `--force` installs a package of the same version once more.
fn how<'a>(again: &[String], download: Option<&'a str>) -> Vec<&'a str> {
    (!again.is_empty()).then_some("--force").into_iter().chain(download).collect()
}

fn transaction<'a>(
    session: Session<'a>,
    reach: Option<&Reach>,
    specs: &[PackageSpec],
    change: Change,
    how: &[&str],
) -> Command<'a> {
    // What is asked for, and what it needs; for a conflict zypper proposes to give up, and that is taken.
    reach
        .map_or_else(|| zypper(session), |reach| reach.tell(zypper(session)))
        .args(["--no-refresh", "install", "-t", "package", "--no-recommends", "--auto-agree-with-licenses"])
        .args(how)
        .args(change.downgrade.then_some("--oldpackage"))
        .args(specs.iter().map(|spec| match (&spec.file, &spec.version) {
            (Some(file), _) => file.display().to_string(),
            (_, Some(version)) => format!("{}={version}", spec.name),
            _ => spec.name.clone(),
        }))
}

/// zypper as it is always called: questions get the cautious answer, which for a signature that does not hold is no.
pub(super) fn zypper<'a>(session: Session<'a>) -> Command<'a> {
    session.command("zypper").arg("--non-interactive")
}

/// `(1/2) Installing: datadog-agent-1:7.58.2-1.x86_64 [...done]`
fn progress(line: &str) -> Option<u8> {
    let (count, rest) = line.strip_prefix('(')?.split_once(") ")?;
    let (of, all) = count.split_once('/')?;
    let (of, all) = (of.parse::<u32>().ok()?, all.parse::<u32>().ok()?);
    rest.starts_with("Installing").then_some(())?;
    u8::try_from(of.min(all) * 100 / all.max(1)).ok()
}

/// `<solvable status="not-installed" name="datadog-agent" kind="package" edition="1:7.78.1-1" …/>`, one a line.
fn read_search(available: &mut Available, xml: &str, names: &[&str], sizes: &[(String, u64)]) {
    for line in xml.lines().filter(|line| line.starts_with("<solvable ")) {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (Some(name), Some(version)) = (field("name"), field("edition")) else { continue };
        if names.contains(&name) {
            let installed = sizes.iter().find(|(known, _)| known == name).map_or(0, |(_, bytes)| *bytes);
            // zypper does not tell the size of a download: a third of what is installed is an estimate.
            let candidate =
                Candidate { version: version.to_owned(), size: installed / 3, installed_size: installed / 1024 };
            available.add(name, candidate);
        }
    }
}

/// The room that the newest version of each package takes, in bytes: `Installed Size : 214.1 KiB`.
fn read_info(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut name = "";
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "Name" => name = value.trim(),
            "Installed Size" => found.push((name.to_owned(), explain::bytes(value))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_give_versions_and_sizes() {
        let xml = "<?xml version='1.0'?>\n<stream>\n<message type=\"info\">Loading repository data...</message>\n\
            <solvable status=\"not-installed\" name=\"datadog-agent\" kind=\"package\" edition=\"1:7.58.2-1\" arch=\"x86_64\" repository=\"Datadog\"/>\n\
            <solvable status=\"not-installed\" name=\"datadog-agent\" kind=\"package\" edition=\"1:7.78.1-1\" arch=\"x86_64\" repository=\"Datadog\"/>\n\
            <solvable status=\"not-installed\" name=\"other\" kind=\"package\" edition=\"1-1\" arch=\"x86_64\" repository=\"Datadog\"/>\n";
        let info = "Information for package datadog-agent:\n---\nRepository     : Datadog\nName           : datadog-agent\n\
            Version        : 1:7.78.1-1\nInstalled Size : 3.0 MiB\n";
        let mut available = Available::default();
        read_search(&mut available, xml, &["datadog-agent"], &read_info(info));
        let newest = &available.versions("datadog-agent")[0];
        assert_eq!((newest.version.as_str(), newest.installed_size, newest.size), ("1:7.78.1-1", 3072, 1024 * 1024));
        assert_eq!(available.versions("datadog-agent").len(), 2);
        assert!(available.versions("other").is_empty());
    }

    #[test]
    fn progress_is_read_from_the_lines_of_a_transaction() {
        assert_eq!(progress("(1/2) Installing: datadog-agent-1:7.58.2-1.x86_64 [...done]"), Some(50));
        assert_eq!(progress("Retrieving package datadog-agent (1/2)"), None);
    }
}
