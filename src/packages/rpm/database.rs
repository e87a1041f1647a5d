//! What rpm has installed, asked of rpm itself: there is no library to link with, and its database has several forms.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host, system};
use crate::packages::{Installed, PackageSpec, Session, State};

use super::{QUICK, hold, unfinished, with_lock};

/// The epoch stands there only where the package has one, as the package managers write it.
const FORMAT: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n";

/// What is known of each of these packages, in their order.
pub fn installed(host: &Host, names: &[&str]) -> Result<Vec<Option<Installed>>> {
    let output = Command::new("rpm").args(["-q", "--qf", FORMAT]).args(names).deadline(QUICK).run(host)?;
    // The exit code is the number of packages that are not there; an error of the database is told apart by its text.
    if output.status.is_none() || output.stderr_text().lines().any(|line| line.starts_with("error: ")) {
        return Err(Error::new(Kind::PackageManager, "rpm cannot say what is installed")
            .detail(output.explain())
            .hint("rpm --rebuilddb mends a database that is damaged"));
    }
    let mut found = read(&output.stdout_text(), names);
    let unfinished = unfinished::names(host)?;
    for (name, known) in names.iter().zip(&mut found) {
        if let Some(known) = known {
            if known.state == State::Installed && unfinished.iter().any(|cut_off| cut_off == name) {
                known.state = State::HalfConfigured;
            }
            known.held = hold::is_held(host, name, &known.version)?;
        }
    }
    Ok(found)
}

/// The files of installed packages, and whether each still is as it was brought: its sha256 is compared.
pub fn owned(host: &Host, names: &[&str]) -> Result<BTreeMap<String, bool>> {
    let format = "[%{FILENAMES}\\t%{FILEDIGESTS}\\n]";
    let mut found = BTreeMap::new();
    for name in names {
        if !is_there(host, name)? {
            continue;
        }
        let output = Command::new("rpm").args(["-q", "--qf", format, name]).deadline(QUICK).run(host)?;
        if !output.success() {
            return Err(
                Error::new(Kind::PackageManager, "rpm cannot say whose files are whose").detail(output.explain())
            );
        }
        for (path, digest) in output.stdout_text().lines().filter_map(|line| line.split_once('\t')) {
            // Folders and links have no digest.
            let whole = digest.is_empty()
                || host.read(path).is_ok_and(|stored| stored.is_some_and(|s| system::sha256_hex(&s.bytes) == digest));
            if path.starts_with('/') {
                found.insert(path.to_owned(), whole);
            }
        }
    }
    Ok(found)
}

/// Whether this package is there: its name, with or without version and release.
pub fn is_there(host: &Host, name: &str) -> Result<bool> {
    let output = Command::new("rpm").args(["-q", name]).deadline(QUICK).run(host)?;
    match output.status {
        Some(0) => Ok(true),
        Some(_) if output.stdout_text().contains("is not installed") => Ok(false),
        _ => Err(Error::new(Kind::PackageManager, format!("rpm cannot say whether {name} is there"))
            .detail(output.explain())
            .hint("see what rpm says above; `rpm --rebuilddb` mends a damaged database")),
    }
}

fn read(text: &str, names: &[&str]) -> Vec<Option<Installed>> {
    let mut found: Vec<Option<Installed>> = vec![None; names.len()];
    for (name, version) in text.lines().filter_map(|line| line.split_once('\t')) {
        let Some(at) = names.iter().position(|n| *n == name) else { continue };
        // rpm writes the new version down before it takes the old one out: two of them are an upgrade that was cut off.
        let state = if found[at].is_some() { State::HalfInstalled } else { State::Installed };
        found[at] = Some(Installed { version: version.to_owned(), state, held: false });
    }
    found
}

/// Ends an upgrade that was cut off: all versions but the newest are taken out of the database, without their scripts.
pub(super) fn mend(session: Session, specs: &[PackageSpec]) -> Result<()> {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    for (name, known) in names.iter().zip(installed(session.host, &names)?) {
        if known.is_none_or(|known| known.state != State::HalfInstalled) {
            continue;
        }
        // The order in which they were installed.
        let format = "%{INSTALLTIME} %{NAME}-%{VERSION}-%{RELEASE}\\n";
        let output = Command::new("rpm").args(["-q", "--qf", format, name]).deadline(QUICK).run(session.host)?;
        let text = output.stdout_text();
        let mut all: Vec<(u64, &str)> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(time, label)| (time.parse().unwrap_or(0), label))
            .collect();
        all.sort_unstable();
        all.pop();
        let old: Vec<&str> = all.into_iter().map(|(_, label)| label).collect();
        session
            .events
            .note(format!("an upgrade of {name} was interrupted: removing what is left of {}", old.join(", ")));
        let output = with_lock(session, || {
            let command = Command::new("rpm").args(["-e", "--noscripts", "--nodeps"]).args(&old);
            session.lasting(command, "ddinstall-rpm").run(session.host)
        })?;
        session.events.log(output.explain());
        if !output.success() {
            return Err(Error::new(
                Kind::PackageManager,
                format!("an earlier upgrade of {name} was interrupted, and rpm could not end it"),
            )
            .detail(output.explain())
            .hint("remove the older version with rpm -e --noscripts, then run again"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_is_there() {
        let text =
            "datadog-agent\t1:7.58.2-1\npackage datadog-iot-agent is not installed\ndatadog-fips-proxy\t1.1.14-1\n";
        let found = read(text, &["datadog-fips-proxy", "datadog-iot-agent", "datadog-agent"]);
        let versions: Vec<_> = found.iter().map(|f| f.as_ref().map(|i| i.version.as_str())).collect();
        assert_eq!(versions, [Some("1.1.14-1"), None, Some("1:7.58.2-1")]);
        let twice = read("a\t1-1\na\t2-1\n", &["a"]);
        assert_eq!(twice[0].as_ref().map(|i| i.state), Some(State::HalfInstalled));
    }
}
