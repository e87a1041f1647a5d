//! What dpkg has installed, read from its database without a child process where that is safe.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host, Output};
use crate::packages::{Installed, State};

const STATUS: &str = "/var/lib/dpkg/status";
/// dpkg's journal: while a numbered file is in it, the status file is not the whole truth.
const UPDATES: &str = "/var/lib/dpkg/updates";

/// apt's lock and dpkg's own.
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

/// The process that holds a lock of dpkg's database.
pub fn locked(host: &Host) -> Result<Option<u32>> {
    for file in LOCKS {
        if let Some(pid) = host.record_lock(file)? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// What is known of each of these packages, in their order. None: dpkg does not know it, or only that it was there once.
pub fn installed(host: &Host, names: &[&str]) -> Result<Vec<Option<Installed>>> {
    if !has_journal(host)? {
        return match status(host)? {
            Some(status) => Ok(find(&status, names)),
            // Not "nothing is installed": apt would refuse every step, after the first ones were done.
            None => Err(Error::new(
                Kind::Prerequisite,
                format!("dpkg's list of packages is missing: there is no {STATUS}"),
            )
            .hint(
                "dpkg keeps yesterday's list in /var/lib/dpkg/status-old and older ones in /var/backups: put one back",
            )),
        };
    }
    let format = "-f=Package: ${Package}\\nStatus: ${Status}\\nVersion: ${Version}\\n\\n";
    // Exit code 1 means that one of them is unknown.
    let output = Command::new("dpkg-query").args(["-W", format]).args(names).run(host)?;
    match output.status {
        Some(0 | 1) => Ok(find(&output.stdout_text(), names)),
        _ => Err(Error::new(Kind::PackageManager, "dpkg cannot say what is installed").detail(output.explain())),
    }
}

/// The files of installed packages, and whether each still is as it was brought.
pub fn owned(host: &Host, names: &[&str]) -> Result<BTreeMap<String, bool>> {
    let known = installed(host, names)?;
    let there = names.iter().zip(known).filter(|(_, known)| known.is_some());
    let there: Vec<&str> = there.map(|(name, _)| *name).collect();
    if there.is_empty() {
        return Ok(BTreeMap::new());
    }
    let what = "dpkg cannot say whose files are whose";
    let fails = |output: &Output| Error::new(Kind::PackageManager, what).detail(output.explain());
    let listed = Command::new("dpkg-query").arg("-L").args(&there).run(host)?;
    if !listed.success() {
        return Err(fails(&listed));
    }
    let text = listed.stdout_text();
    let mut files: BTreeMap<String, bool> =
        text.lines().filter(|line| line.starts_with('/')).map(|line| (line.to_owned(), true)).collect();
    // Only what differs is printed, as `??5?????? c /path` or `missing     c /path`.
    let differ = Command::new("dpkg").arg("--verify").args(&there).run(host)?;
    if !matches!(differ.status, Some(0 | 1)) {
        return Err(fails(&differ));
    }
    for line in differ.stdout_text().lines() {
        if let Some(at) = line.find('/') {
            files.insert(line[at..].to_owned(), false);
        }
    }
    Ok(files)
}

/// Which of these packages dpkg knows anything of, if only that their configuration is left.
pub fn remembered(host: &Host, names: &[&str]) -> Result<Vec<bool>> {
    let format = "-f=${Package} ${db:Status-Status}\\n";
    // Exit code 1 means that one of them is unknown.
    let output = Command::new("dpkg-query").args(["-W", format]).args(names).run(host)?;
    if !matches!(output.status, Some(0 | 1)) {
        return Err(Error::new(Kind::PackageManager, "dpkg cannot say what is installed").detail(output.explain()));
    }
    let text = output.stdout_text();
    let known = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.any(|(package, status)| package == name && status != "not-installed")
    };
    Ok(names.iter().map(|name| known(name)).collect())
}

/// Whether dpkg is in the middle of a transaction, or was stopped there: apt then refuses to work until
/// `dpkg --configure -a`.
pub fn was_interrupted(host: &Host) -> Result<bool> {
    has_journal(host)
}

/// Packages that dpkg was stopped in while it unpacked them, as it says itself: all of the host's, since one is enough to
/// stop apt.
pub fn to_install_again(host: &Host) -> Result<Vec<String>> {
    Ok(marked(&status(host)?.unwrap_or_default()))
}

fn marked(status: &str) -> Vec<String> {
    // One without a version was not there before, and apt unpacks it by itself if something wants it.
    let broken = |text: &&str| {
        header(text, "Status").and_then(|status| status.split(' ').nth(1)) == Some("reinstreq")
            && header(text, "Version").is_some()
    };
    paragraphs(status).filter(|(_, text)| broken(text)).map(|(name, _)| name.to_owned()).collect()
}

fn has_journal(host: &Host) -> Result<bool> {
    // What dpkg counts: names of digits only. An unreadable folder cannot be passed over.
    match host.list(UPDATES) {
        Ok(names) => Ok(names
            .unwrap_or_default()
            .iter()
            .any(|n| !n.is_empty() && n.as_encoded_bytes().iter().all(u8::is_ascii_digit))),
        Err(failure) => Err(failure.into()),
    }
}

fn status(host: &Host) -> Result<Option<String>> {
    let stored = host.read(Path::new(STATUS))?;
    Ok(stored.map(|s| {
        // Megabytes, and UTF-8 as a rule: no copy then.
        String::from_utf8(s.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }))
}

fn find(status: &str, names: &[&str]) -> Vec<Option<Installed>> {
    let mut found = vec![None; names.len()];
    for (name, text) in paragraphs(status) {
        let Some(at) = names.iter().position(|n| *n == name) else {
            continue;
        };
        // Of a package with several architectures the one that is really there counts.
        let one = read(text);
        if one.is_some() {
            found[at] = one;
        }
    }
    found
}

fn read(paragraph: &str) -> Option<Installed> {
    let mut words = header(paragraph, "Status")?.split(' ');
    let held = words.next() == Some("hold");
    let broken = words.next() == Some("reinstreq");
    let state = match words.next()? {
        "installed" if !broken => State::Installed,
        "triggers-awaited" | "triggers-pending" => State::Triggers,
        "half-configured" => State::HalfConfigured,
        "unpacked" => State::Unpacked,
        "config-files" | "not-installed" => return None,
        _ => State::HalfInstalled,
    };
    Some(Installed { version: header(paragraph, "Version").unwrap_or_default().to_owned(), state, held })
}

/// Each paragraph with the package's name: cut where a line begins with `Package: `, which needs no look at other lines.
fn paragraphs(status: &str) -> impl Iterator<Item = (&str, &str)> {
    const START: &str = "\nPackage: ";
    let first = status.strip_prefix(&START[1..]);
    let mut rest = match first {
        Some(rest) => Some(rest),
        None => status.find(START).map(|at| &status[at + START.len()..]),
    };
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.find(START);
        rest = end.map(|end| &text[end + START.len()..]);
        let text = &text[..end.unwrap_or(text.len())];
        Some((text.lines().next().unwrap_or_default(), text))
    })
}

/// The value of a field. These fields stand near the beginning, so that little of a long paragraph is read.
fn header<'a>(paragraph: &'a str, key: &str) -> Option<&'a str> {
    let lines = paragraph.lines();
    let mut values = lines.filter_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "\
Package: adduser
Status: install ok installed
Version: 3.134
Description: add users
 Package: datadog-agent is not meant here

Package: datadog-agent
Status: hold ok installed
Priority: extra
Version: 1:7.58.0-1

Package: datadog-fips-proxy
Status: install ok half-configured
Version: 1:1.1.5-1

Package: datadog-signing-keys
Status: deinstall ok config-files
Version: 1:1.3.1

Package: other
Status: install reinstreq installed
Version: 1
";

    #[test]
    fn what_must_be_installed_again_is_named() {
        assert_eq!(marked(DATABASE), ["other"]);
        assert!(marked("Package: new\nStatus: install reinstreq half-installed\n").is_empty());
    }

    #[test]
    fn the_database_says_what_is_there() {
        let names = ["datadog-fips-proxy", "datadog-agent", "datadog-signing-keys", "datadog", "other", "adduser"];
        let found = find(DATABASE, &names);
        let states: Vec<_> = found.iter().map(|f| f.as_ref().map(|i| i.state)).collect();
        assert_eq!(
            states,
            [
                Some(State::HalfConfigured),
                Some(State::Installed),
                None,
                None,
                Some(State::HalfInstalled),
                Some(State::Installed),
            ]
        );
        let agent = found[1].as_ref().map(|i| (i.version.as_str(), i.held));
        assert_eq!(agent, Some(("1:7.58.0-1", true)));
        assert_eq!(find("", &["a"]), [None]);
        assert_eq!(find("Package: a", &["a"]), [None]);
    }
}
