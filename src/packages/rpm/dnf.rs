//! dnf, and the yum of Red Hat 7 and Amazon Linux 2. Where dnf is, yum is another name of it.

use std::path::Path;

use super::reach::Reach;
use super::{INDEX_LIMIT, Repository, explain, hold, index_deadline, older, with_lock};
use crate::error::{Error, Kind, Result};
use crate::host::process::is_installed;
use crate::host::{Command, Host, Output};
use crate::packages::{Available, Candidate, Change, Manager, PackageSpec, Session};

/// As the entry names the repository.
const ID: &str = "datadog";

/// One line a package. Every dnf knows these tags.
const FORMAT: &str = "%{name} %{epoch} %{version}-%{release} %{downloadsize} %{installsize}\n";

/// Whether there is only the yum of before dnf, which knows fewer options and commands.
fn is_old(host: &Host) -> bool {
    !is_installed(host, "dnf")
}

/// Verifies the repository with caches, keys and logs of its own; the host's own settings, such as a proxy, count.
pub(super) fn verify(session: Session, repository: &Repository, folder: &Path, names: &[&str]) -> Result<Available> {
    let host = session.host;
    let old = is_old(host);
    if old && session.access.credentials().is_some() {
        return Err(Error::new(
            Kind::Unsupported,
            "the yum of this host has no file for a mirror's user name and password",
        )
        .hint("use a mirror that asks for none from here, or name package files with --package"));
    }
    let at = |name: &str| folder.join(name);
    let reach = Reach::alone(session, repository, &at("keys.asc"))?;
    let mut command = reach.tell(dnf(session));
    for (option, name) in [("cachedir", "cache"), ("persistdir", "state"), ("logdir", "log")] {
        command = command.arg(format!("--setopt={option}={}", at(name).display()));
    }
    // yum has no other way to put its log elsewhere.
    command = command.arg(format!("--setopt=logfile={}", at("yum.log").display())).arg("--noplugins").args(only_ours());
    let command = match old {
        true => command.args(["--showduplicates", "info", "available"]),
        false => command.args(["repoquery", "--available", "--qf", FORMAT]),
    };
    let output = command.args(names).file_limit(INDEX_LIMIT).deadline(index_deadline(session)).run(host)?;
    let mut available = Available::default();
    let text = output.stdout_text();
    match old {
        true => read_info(&mut available, &text),
        false => read_query(&mut available, &text, names),
    }
    // yum calls it a failure where one of the names is unknown.
    if !old || available.is_empty() {
        explain::index(host, &output, &repository.url)?;
    }
    Ok(available)
}

pub(super) fn refresh(session: Session) -> Result<Output> {
    let reach = Reach::host(session, Manager::Dnf, None)?;
    with_lock(session, || {
        let command = reach.tell(dnf(session)).args(only_ours());
        let command = match is_old(session.host) {
            true => command.arg("makecache"),
            false => command.args(["--refresh", "makecache"]),
        };
        command.file_limit(INDEX_LIMIT).deadline(index_deadline(session)).run(session.host)
    })
}

pub(super) fn download(session: Session, specs: &[PackageSpec], again: &[String], change: Change) -> Result<Output> {
    let reach = Reach::host(session, Manager::Dnf, Some(change))?;
    transactions(session, specs, again, |verb, words| {
        let command = reach.tell(transaction(session, specs, change)).args([verb, "--downloadonly"]).args(words);
        command.deadline(session.access.deadline).run(session.host)
    })
}

pub(super) fn install(session: Session, specs: &[PackageSpec], again: &[String], change: Change) -> Result<Output> {
    transactions(session, specs, again, |verb, words| {
        let command = transaction(session, specs, change).args(["-C", verb]).args(words);
        // Another transaction may follow, and a successful one empties the cache.
        let command = command.args((verb != "install").then_some("--setopt=keepcache=1"));
        let progress = |_, line: &str| {
            if let Some(percent) = progress(line) {
                session.events.progress("install", Some(percent));
            }
        };
        session.lasting(command, "ddinstall-dnf").on_line(progress).run(session.host)
    })
}

fn transaction<'a>(session: Session<'a>, specs: &[PackageSpec], change: Change) -> Command<'a> {
    let best = (!is_old(session.host)).then_some("--best");
    // It has a repository without keys, on which dnf ends where rpm knows no key yet.
    let files = specs.iter().any(|spec| spec.file.is_some()).then_some("--disableplugin=local");
    let unlocked = (change.held && !hold::is_dnf5(session.host)).then_some("--disableplugin=versionlock");
    dnf(session).args(best).args(unlocked).args(files)
}

/// One transaction; another before it for packages that are to be installed `again`, and with the old yum for those that
/// are to be lowered: they have commands of their own.
fn transactions(
    session: Session,
    specs: &[PackageSpec],
    again: &[String],
    mut run: impl FnMut(&str, &[String]) -> Result<Output>,
) -> Result<Output> {
    let mut rest: Vec<&PackageSpec> = specs.iter().collect();
    let (same, others): (Vec<&PackageSpec>, Vec<&PackageSpec>) =
        rest.into_iter().partition(|spec| again.contains(&spec.name));
    rest = others;
    if !same.is_empty() {
        let output = with_lock(session, || run("reinstall", &words(&same)))?;
        if !output.success() || rest.is_empty() {
            return Ok(output);
        }
    }
    if is_old(session.host) {
        let lower: Vec<&PackageSpec> = older(session, specs)?.into_iter().map(|(spec, _)| spec).collect();
        rest.retain(|spec| !lower.contains(spec));
        if !lower.is_empty() {
            let output = with_lock(session, || run("downgrade", &words(&lower)))?;
            if !output.success() || rest.is_empty() {
                return Ok(output);
            }
        }
    }
    with_lock(session, || run("install", &words(&rest)))
}

/// dnf or yum as it is always called: no questions, and no way around signatures, whatever dnf.conf says.
fn dnf<'a>(session: Session<'a>) -> Command<'a> {
    let program = if is_old(session.host) { "yum" } else { "dnf" };
    let mut command = session.command(program).arg("-y");
    for option in [
        "exit_on_lock=1",
        "gpgcheck=1",
        "sslverify=1",
        "retries=3",
        "color=never",
        // Nothing that was not asked for.
        "install_weak_deps=0",
        "clean_requirements_on_remove=0",
    ] {
        command = command.arg(format!("--setopt={option}"));
    }
    // How long a server may be silent.
    command.arg(format!("--setopt=timeout={}", session.access.stall.as_secs().max(1)))
}

/// The plugin's command; it looks at the database of rpm alone.
pub(super) fn versionlock<'a>(session: Session<'a>) -> Command<'a> {
    dnf(session).args(["-C", "--disablerepo=*", "versionlock"])
}

fn only_ours() -> [String; 2] {
    ["--disablerepo=*".to_owned(), format!("--enablerepo={ID}")]
}

/// Without the epoch, a spec is read alike by every yum and dnf.
fn words(specs: &[&PackageSpec]) -> Vec<String> {
    let word = |spec: &&PackageSpec| match (&spec.file, &spec.version) {
        (Some(file), _) => file.display().to_string(),
        (_, Some(version)) => format!("{}-{}", spec.name, version.split_once(':').map_or(version.as_str(), |(_, v)| v)),
        _ => spec.name.clone(),
    };
    specs.iter().map(word).collect()
}

/// `  Installing       : datadog-agent-1:7.58.2-1.x86_64      1/2`
fn progress(line: &str) -> Option<u8> {
    let (of, all) = line.trim_end().rsplit(' ').next()?.split_once('/')?;
    let (of, all) = (of.parse::<u32>().ok()?, all.parse::<u32>().ok()?);
    (line.contains(" : ") || line.contains("scriptlet: ")).then_some(())?;
    u8::try_from(of.min(all) * 100 / all.max(1)).ok()
}

fn versioned(epoch: &str, version: &str) -> String {
    match epoch {
        "" | "0" | "(none)" => version.to_owned(),
        epoch => format!("{epoch}:{version}"),
    }
}

fn read_query(available: &mut Available, text: &str, names: &[&str]) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, epoch, version, size, installed] = fields[..] else { continue };
        if names.contains(&name) {
            let number = |text: &str| text.parse::<u64>().unwrap_or(0);
            let version = versioned(epoch, version);
            available.add(name, Candidate { version, size: number(size), installed_size: number(installed) / 1024 });
        }
    }
}

/// What the old yum says of each version, in lines of `Name : value`. It does not tell the room that a package takes
/// when it is installed: five times its size is an estimate.
fn read_info(available: &mut Available, text: &str) {
    let (mut name, mut epoch, mut version) = ("", "", String::new());
    for (key, value) in text.lines().filter_map(|line| line.split_once(" : ")) {
        match key.trim() {
            "Name" => (name, epoch, version) = (value.trim(), "", String::new()),
            "Epoch" => epoch = value.trim(),
            "Version" => version = value.trim().to_owned(),
            "Release" => version = format!("{version}-{}", value.trim()),
            "Size" if !name.is_empty() => {
                let size = explain::bytes(value);
                available.add(
                    name,
                    Candidate {
                        version: versioned(epoch, &version),
                        size,
                        installed_size: size.saturating_mul(5) / 1024,
                    },
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_answers_give_versions_and_sizes() {
        let names = ["datadog-agent", "datadog-fips-proxy"];
        let query =
            "datadog-agent 1 7.58.2-1 36654 217914\n\ndatadog-fips-proxy 0 1.1.14-1 10435 6368\nother 0 1-1 1 1\n";
        let mut available = Available::default();
        read_query(&mut available, query, &names);
        assert_eq!(available.versions("datadog-agent")[0].version, "1:7.58.2-1");
        assert_eq!(available.versions("datadog-fips-proxy")[0].version, "1.1.14-1");
        assert!(available.versions("other").is_empty());

        let info = "Available Packages\nName        : datadog-agent\nArch        : x86_64\nEpoch       : 1\n\
                    Version     : 7.58.2\nRelease     : 1\nSize        : 120 M\nRepo        : datadog\n\n\
                    Name        : datadog-fips-proxy\nArch        : x86_64\nVersion     : 1.1.14\nRelease     : 1\nSize        : 7.0 k\n";
        let mut available = Available::default();
        read_info(&mut available, info);
        let agent = &available.versions("datadog-agent")[0];
        assert_eq!((agent.version.as_str(), agent.size), ("1:7.58.2-1", 120 * 1024 * 1024));
        assert_eq!(available.versions("datadog-fips-proxy")[0].version, "1.1.14-1");
    }

    #[test]
    fn a_spec_is_one_that_every_yum_reads() {
        let (agent, proxy) =
            (PackageSpec::exactly("datadog-agent", "1:7.58.2-1"), PackageSpec::newest("datadog-fips-proxy"));
        assert_eq!(words(&[&agent, &proxy]), ["datadog-agent-7.58.2-1", "datadog-fips-proxy"]);
    }

    #[test]
    fn progress_is_read_from_the_lines_of_a_transaction() {
        assert_eq!(progress("  Installing       : datadog-agent-1:7.58.2-1.x86_64                  1/2 "), Some(50));
        assert_eq!(progress("  Installing       : datadog-agent-1:7.58.2-1.x86_64                  2/2"), Some(100));
        assert_eq!(progress("https://x/1/2"), None);
    }
}
