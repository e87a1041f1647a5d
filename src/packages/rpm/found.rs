//! Entries of the same repository that other tools left. Ours replaces the one in its own file, says what was different
//! there, and does not stand beside another: two entries with different keys or limits get in each other's way.

use std::path::{Path, PathBuf};

use super::Repository;
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// The host of the vendor's repositories.
const VENDOR: &str = "yum.datadoghq.com";

/// A section of a repository file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    id: String,
    url: String,
    enabled: bool,
    /// What makes it unfit: `gpgcheck=0`, `includepkgs=datadog-agent`, …
    flaws: Vec<String>,
}

/// Looks for them. Returns notes; an entry that would stand beside ours is an error (exit code 4).
pub fn left_by_others(host: &Host, repository: &Repository) -> Result<Vec<String>> {
    let ours = repository.entry.as_path();
    let mut notes = Vec::new();
    for path in files(host, repository)? {
        let Some(text) = host.read_text(&path)? else { continue };
        let entries = sections(&text);
        let shown = path.display();
        if path == ours {
            if text == repository.entry_text()? {
                continue;
            }
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
        repository.entry.display()
    ))
}

impl Entry {
    fn is_of(&self, repository: &Repository) -> bool {
        let place = |url: &str| url.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/').to_owned();
        let found = place(&self.url);
        let host = found.split(['/', ':']).next().unwrap_or_default();
        self.id == "datadog" || host == VENDOR || found == place(&repository.url)
    }

    fn name(&self) -> &str {
        &self.id
    }

    fn told(&self) -> Vec<String> {
        let off = (!self.enabled).then(|| "enabled=0".to_owned());
        off.into_iter().chain(self.flaws.iter().cloned()).collect()
    }
}

/// The files that may hold entries.
fn files(host: &Host, repository: &Repository) -> Result<Vec<PathBuf>> {
    let folder = repository.entry.parent().unwrap_or(Path::new("/"));
    let mut found: Vec<PathBuf> = host.list(folder)?.unwrap_or_default().iter().map(|name| folder.join(name)).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "repo"));
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_entry_is_read() {
        let repo = "# by a tool\n[datadog]\nname = x\nbaseurl = https://yum.datadoghq.com/stable/7/x86_64/\nenabled=0\n\
                    gpgcheck = no\nincludepkgs=datadog-agent\n[epel]\nbaseurl=https://e/\n";
        let found = sections(repo);
        assert_eq!(found[0].told(), ["enabled=0", "gpgcheck=0", "includepkgs=datadog-agent"]);
        assert_eq!((found[1].id.as_str(), found[1].enabled), ("epel", true));
    }
}
