//! Entries of the same repository that other tools left. Ours replaces the one in its own file, says what was different
//! there, and does not stand beside another: two entries with different keys or limits get in each other's way.

use std::path::{Path, PathBuf};

use super::Repository;
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// The hosts of the vendor's repositories.
const VENDORS: [&str; 2] = ["apt.datadoghq.com", "yum.datadoghq.com"];

/// An entry for packages, of any package manager.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    /// Its name, where entries have names.
    id: String,
    url: String,
    enabled: bool,
    /// What makes it unfit: `gpgcheck=0`, `includepkgs=datadog-agent`, …
    flaws: Vec<String>,
}

/// Looks for them. Returns notes; an entry that would stand beside ours is an error (exit code 4).
pub fn left_by_others(host: &Host, repository: &Repository) -> Result<Vec<String>> {
    let ours = repository.entry();
    let mut notes = Vec::new();
    for path in files(host, repository)? {
        let Some(text) = host.read_text(&path)? else { continue };
        let entries = read(repository, &path, &text);
        let shown = path.display();
        if path == ours {
            if let Some(other) = entries.iter().find(|entry| !entry.is_of(repository)) {
                let what = format!("{shown} has an entry of another repository, too ({})", other.name());
                return Err(refused(what, repository));
            }
            let flaws: Vec<String> = entries.iter().flat_map(Entry::told).collect();
            if !flaws.is_empty() {
                notes.push(format!("{shown} was there, with {}: it is replaced", flaws.join(", ")));
            }
            continue;
        }
        for entry in entries.iter().filter(|entry| entry.is_of(repository)) {
            if !entry.enabled && entry.id != "datadog" {
                notes.push(format!("{shown} has a disabled entry of the same repository ({}): it stays", entry.name()));
                continue;
            }
            let told = entry.told();
            let with = if told.is_empty() { String::new() } else { format!(", with {}", told.join(", ")) };
            let what = format!("{shown} has an entry of the same repository ({}){with}", entry.name());
            return Err(refused(what, repository));
        }
    }
    Ok(notes)
}

fn refused(what: String, repository: &Repository) -> Error {
    Error::new(Kind::Prerequisite, what).hint(format!(
        "remove it, or have the tool that wrote it remove it, then run again: ddinstall keeps its own in {}",
        repository.entry().display()
    ))
}

impl Entry {
    fn is_of(&self, repository: &Repository) -> bool {
        let place = |url: &str| url.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/').to_owned();
        let found = place(&self.url);
        let host = found.split(['/', ':']).next().unwrap_or_default();
        (matches!(repository, Repository::Rpm(_)) && self.id == "datadog")
            || VENDORS.contains(&host)
            || found == place(repository.url())
    }

    fn name(&self) -> &str {
        if self.id.is_empty() { &self.url } else { &self.id }
    }

    fn told(&self) -> Vec<String> {
        let off = (!self.enabled).then(|| "enabled=0".to_owned());
        off.into_iter().chain(self.flaws.iter().cloned()).collect()
    }
}

/// The files that may hold entries.
fn files(host: &Host, repository: &Repository) -> Result<Vec<PathBuf>> {
    let folder = repository.entry().parent().unwrap_or(Path::new("/"));
    let endings: &[&str] = match repository {
        Repository::Apt(_) => &["list", "sources"],
        Repository::Rpm(_) => &["repo"],
    };
    let mut found: Vec<PathBuf> = host.list(folder)?.unwrap_or_default().iter().map(|name| folder.join(name)).collect();
    found.retain(|path| path.extension().is_some_and(|end| endings.iter().any(|known| end == *known)));
    if let Repository::Apt(_) = repository {
        found.push("/etc/apt/sources.list".into());
    }
    Ok(found)
}

fn read(repository: &Repository, path: &Path, text: &str) -> Vec<Entry> {
    match repository {
        Repository::Rpm(_) => sections(text),
        Repository::Apt(_) if path.extension().is_some_and(|end| end == "sources") => stanzas(text),
        Repository::Apt(_) => lines(text),
    }
}

/// `.repo`: sections of `key=value`.
fn sections(text: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(id) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            found.push(Entry { id: id.into(), enabled: true, ..Entry::default() });
            continue;
        }
        let (Some(entry), Some((key, value))) = (found.last_mut(), line.split_once('=')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        let off = ["0", "no", "false", "off"].contains(&value.to_ascii_lowercase().as_str());
        match key {
            "baseurl" => entry.url = value.into(),
            "enabled" => entry.enabled = !off,
            "gpgcheck" | "repo_gpgcheck" | "pkg_gpgcheck" | "sslverify" if off => entry.flaws.push(format!("{key}=0")),
            "includepkgs" | "exclude" | "excludepkgs" => entry.flaws.push(format!("{key}={value}")),
            _ => {}
        }
    }
    found
}

/// `deb [signed-by=… trusted=yes] URL SUITE COMPONENT…`; what is commented out is none.
fn lines(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("deb ")) {
        let line = line.trim();
        let (options, rest) = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", line),
        };
        let flaws = options.split_whitespace().filter(|option| *option == "trusted=yes").map(str::to_owned).collect();
        let url = rest.split_whitespace().next().unwrap_or_default().to_owned();
        found.push(Entry { id: String::new(), url, enabled: true, flaws });
    }
    found
}

/// `.sources`: paragraphs of `Key: value` (deb822).
fn stanzas(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |key: &str| {
            let mut lines = paragraph.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
        };
        let enabled = field("Enabled").is_none_or(|value| !value.eq_ignore_ascii_case("no"));
        let flaws: Vec<String> =
            field("Trusted").filter(|value| *value == "yes").map(|_| "trusted=yes".to_owned()).into_iter().collect();
        for url in field("URIs").unwrap_or_default().split_whitespace() {
            found.push(Entry { id: String::new(), url: url.into(), enabled, flaws: flaws.clone() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::apt;

    #[test]
    fn every_form_of_an_entry_is_read() {
        let repo = "# by a tool\n[datadog]\nname = x\nbaseurl = https://yum.datadoghq.com/stable/7/x86_64/\nenabled=0\n\
                    gpgcheck = no\nincludepkgs=datadog-agent\n[epel]\nbaseurl=https://e/\n";
        let found = sections(repo);
        assert_eq!(found[0].told(), ["enabled=0", "gpgcheck=0", "includepkgs=datadog-agent"]);
        assert_eq!((found[1].id.as_str(), found[1].enabled), ("epel", true));
        let list =
            "# deb https://old/ a b\ndeb [arch=amd64 trusted=yes] https://apt.datadoghq.com stable 7\ndeb-src x y\n";
        let found = lines(list);
        assert_eq!((found.len(), found[0].url.as_str()), (1, "https://apt.datadoghq.com"));
        assert_eq!(found[0].flaws, ["trusted=yes"]);
        let sources =
            "Types: deb\nURIs: https://apt.datadoghq.com/\nEnabled: no\n\nTypes: deb\nURIs: https://a/ https://b/\n";
        let found = stanzas(sources);
        assert_eq!((found.len(), found[0].enabled, found[1].enabled), (3, false, true));
        let repository = Repository::Apt(apt::Repository::vendor("amd64"));
        assert!(found[0].is_of(&repository) && !found[1].is_of(&repository));
    }
}
