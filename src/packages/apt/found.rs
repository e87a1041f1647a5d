//! Entries of the same repository that other tools left in apt's sources: seen, named, and adopted or refused, so that
//! no repository stands there twice. apt itself fails where two entries of one repository name different keys, and a
//! loose option of one (`trusted=yes`) holds for the other, too.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Repository;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::packages::keys;
use crate::types::Fingerprint;

const MAIN: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";

/// Options that take the check of signatures away or weaken it (sources.list(5)).
const LOOSE: [&str; 5] =
    ["trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure", "check-valid-until"];

/// One entry of apt's sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub file: PathBuf,
    /// The line that it begins in, counted from 1.
    pub line: usize,
    pub enabled: bool,
    pub uris: Vec<String>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    pub architectures: Vec<String>,
    /// As it stands there: a path, fingerprints, or the key itself. None: every key of the host is trusted for it.
    pub signed_by: Option<String>,
    /// `trusted=yes`
    pub loose: Vec<String>,
    /// For source packages alone.
    pub sources_only: bool,
}

/// What is to be done about what was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The repository, with the file, its text and the keyring that serve it.
    pub repository: Repository,
    pub notes: Vec<String>,
}

impl Entry {
    fn place(&self) -> String {
        format!("{} line {}", self.file.display(), self.line)
    }

    fn is_of(&self, repository: &Repository) -> bool {
        let suite = |suite: &String| suite.trim_end_matches('/') == repository.suite.trim_end_matches('/');
        self.uris.iter().any(|uri| plain(uri) == plain(&repository.url)) && self.suites.iter().any(suite)
    }

    /// Whether apt gets from it what it would get from ours.
    fn gives(&self, repository: &Repository) -> bool {
        let arch = self.architectures.is_empty() || self.architectures.contains(&repository.architecture);
        arch && !self.sources_only && self.components.contains(&repository.component)
    }

    /// What goes with it where ours takes its place, for a note.
    fn lost(&self, repository: &Repository) -> Option<String> {
        if !self.loose.is_empty() {
            return Some(format!("{}: {} is taken away: signatures are checked", self.place(), self.loose.join(", ")));
        }
        let same = self.is_of(repository) && self.gives(repository) && self.components.len() == 1;
        let words = self.uris.iter().map(|uri| crate::net::redact(uri));
        let words: Vec<String> = words.chain(self.suites.iter().chain(&self.components).cloned()).collect();
        (!same).then(|| format!("{}: the entry `{}` is replaced: this file is ours", self.place(), words.join(" ")))
    }

    /// The keyring's path, where a path is what `Signed-By` names.
    pub fn keyring(&self) -> Option<&Path> {
        let one_word = |text: &&str| !text.contains([' ', ',', '\n']);
        self.signed_by.as_deref().filter(one_word).map(Path::new).filter(|path| path.is_absolute())
    }

    /// Whether it is for one of the vendor's hosts.
    pub fn is_vendors(&self) -> bool {
        let host = |uri: &String| plain(uri).split('/').next().unwrap_or("").to_owned();
        self.uris.iter().map(host).any(|host| host == "datadoghq.com" || host.ends_with(".datadoghq.com"))
    }
}

/// What apt compares: host and path. The protocol counts as one, for two ways to one repository are one too many.
fn plain(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_ascii_lowercase();
    format!("{host}/{path}").trim_end_matches('/').to_owned()
}

/// All entries that apt reads, in the order in which it does. A file that cannot be read is in the notes.
pub fn entries(host: &Host) -> Result<(Vec<Entry>, Vec<String>)> {
    let mut files = vec![PathBuf::from(MAIN)];
    let mut names: Vec<String> = host
        .list(PARTS)?
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        // apt passes over all others.
        .filter(|name| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c)))
        .filter(|name| name.ends_with(".list") || name.ends_with(".sources"))
        .collect();
    names.sort();
    files.extend(names.iter().map(|name| Path::new(PARTS).join(name)));
    let (mut entries, mut notes) = (Vec::new(), Vec::new());
    for file in files {
        match host.read_text(&file) {
            Ok(Some(text)) => entries.extend(parse(&file, &text)),
            Ok(None) => {}
            Err(failure) => notes.push(format!("{failure}: whether it names the same repository is not known")),
        }
    }
    Ok((entries, notes))
}

/// The entries of one file, in the format that its name tells.
fn parse(file: &Path, text: &str) -> Vec<Entry> {
    let mut entries = match file.extension().is_some_and(|extension| extension == "sources") {
        true => stanzas(text),
        false => text.lines().enumerate().filter_map(|(i, line)| one_line(line, i + 1)).collect(),
    };
    for entry in &mut entries {
        entry.file = file.to_owned();
    }
    entries
}

/// `deb [signed-by=/x arch=amd64] https://apt.datadoghq.com/ stable 7`. One behind a `#` is disabled.
fn one_line(line: &str, number: usize) -> Option<Entry> {
    let bare = line.trim().trim_start_matches(['#', ' ', '\t']);
    let enabled = !line.trim_start().starts_with('#');
    let bare = bare.split('#').next().unwrap_or(bare).trim();
    let (kind, mut rest) = bare.split_once([' ', '\t'])?;
    let mut entry = Entry { line: number, enabled, sources_only: kind == "deb-src", ..Entry::default() };
    if !["deb", "deb-src"].contains(&kind) {
        return None;
    }
    rest = rest.trim_start();
    if let Some((options, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        for (key, value) in options.split_whitespace().filter_map(|option| option.split_once('=')) {
            entry.option(key.trim_end_matches(['+', '-']), value);
        }
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    entry.uris.push(words.next().filter(|uri| uri.contains(':'))?);
    entry.suites.push(words.next()?);
    entry.components = words.collect();
    Some(entry)
}

/// Paragraphs of fields; a line that begins with a blank goes on with the one before.
fn stanzas(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut begins = 0;
    for (i, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            entries.extend(stanza(&fields, begins));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            if fields.is_empty() {
                begins = i + 1;
            }
            fields.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn stanza(fields: &[(String, String)], line: usize) -> Option<Entry> {
    let value = |key: &str| fields.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str());
    let words = |key: &str| value(key).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let types = words("types");
    let mut entry = Entry {
        line,
        enabled: !is_no(value("enabled")),
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        sources_only: !types.iter().any(|kind| kind == "deb"),
        ..Entry::default()
    };
    for (key, value) in fields {
        let key = if key == "architectures" { "arch" } else { key };
        entry.option(key, value);
    }
    (!entry.uris.is_empty()).then_some(entry)
}

/// As apt reads a Boolean (StringToBool).
fn is_no(value: &str) -> bool {
    ["no", "false", "without", "off", "disable", "0"].contains(&value.trim().to_ascii_lowercase().as_str())
}

impl Entry {
    fn option(&mut self, key: &str, value: &str) {
        let key = key.to_ascii_lowercase();
        if key == "signed-by" {
            self.signed_by = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        } else if key == "arch" {
            self.architectures = value.split([',', ' ', '\n']).filter(|a| !a.is_empty()).map(str::to_owned).collect();
        } else if LOOSE.contains(&key.as_str()) && is_no(value) == (key == "check-valid-until") {
            self.loose.push(format!("{key}={}", value.trim()));
        }
    }
}

/// Looks for entries of this repository, and says how it is to be served: by the entry that another tool left, or by
/// ours. An entry that the two cannot stand beside is refused (exit 4). `trusted` are the keys that may sign it.
pub fn adopt(host: &Host, mut repository: Repository, trusted: &[Fingerprint]) -> Result<Found> {
    let (entries, mut notes) = entries(host)?;
    let own = entries.iter().filter(|entry| entry.enabled && entry.file == repository.list);
    let own_is_there = own.clone().any(|entry| entry.is_of(&repository));
    let mut served: Option<&Entry> = None;
    for entry in entries.iter().filter(|entry| entry.file != repository.list) {
        if !entry.is_of(&repository) {
            if entry.enabled && entry.is_vendors() {
                let uri = crate::net::redact(entry.uris.first().map_or("", String::as_str));
                notes.push(format!("{} names another repository of the vendor ({uri}); it stays", entry.place()));
            }
            continue;
        }
        if !entry.enabled {
            notes.push(format!("{} names this repository and is disabled; it stays so", entry.place()));
            continue;
        }
        if let Some(loose) = entry.loose.first() {
            return Err(refused(entry, &format!("with {loose}, which keeps apt from checking its signature")));
        }
        let ours = entry.keyring() == Some(&*repository.keyring);
        if !ours && own_is_there {
            return Err(refused(entry, "with another keyring than ours, which apt does not take"));
        }
        if !ours {
            keys_of(host, entry, trusted)?;
        }
        if !entry.gives(&repository) {
            if !ours {
                return Err(refused(
                    entry,
                    "for other components, with another keyring than ours, which apt does not take",
                ));
            }
            continue;
        }
        match served {
            Some(first) => notes.push(format!("{} names this repository as {} does", entry.place(), first.place())),
            None => served = Some(entry),
        }
    }
    match served.filter(|_| !own_is_there) {
        Some(entry) => {
            notes.push(format!("{} names this repository already, and is used as it is", entry.place()));
            repository.text = host.read_text(&entry.file)?;
            repository.list = entry.file.clone();
            if let Some(keyring) = entry.keyring() {
                repository.keyring_stays = keyring != repository.keyring;
                repository.keyring = keyring.to_owned();
            }
        }
        None => {
            if let Some(entry) = served {
                notes.push(format!("{} names this repository, too: remove one of the two", entry.place()));
            }
            notes.extend(own.filter_map(|entry| entry.lost(&repository)));
            let before = host.read_text(&repository.list).ok().flatten().unwrap_or_default();
            repository.text = Some(merged(&before, &repository.list_text()?));
        }
    }
    Ok(Found { repository, notes })
}

fn refused(entry: &Entry, why: &str) -> Error {
    let what = format!("{} names this repository {why}", entry.place());
    Error::new(Kind::Prerequisite, what)
        .hint("remove that entry (or let the tool that wrote it do so), then run again: ddinstall writes its own")
}

/// The entry's keyring may hold trusted keys only, and one at least that is usable.
fn keys_of(host: &Host, entry: &Entry, trusted: &[Fingerprint]) -> Result<()> {
    let Some(signed_by) = &entry.signed_by else {
        return Err(refused(entry, "without Signed-By, so that every key of this host may sign it"));
    };
    let named: Vec<Fingerprint> =
        signed_by.split([' ', ',', '\n']).filter_map(|word| word.trim_end_matches('!').parse().ok()).collect();
    if !named.is_empty() && named.iter().all(|fingerprint| trusted.contains(fingerprint)) {
        return Ok(());
    }
    let bytes = match entry.keyring() {
        Some(path) => host.read(path)?.map(|stored| stored.bytes).unwrap_or_default(),
        // The key itself; a dot stands for an empty line.
        None => signed_by
            .lines()
            .map(|line| if line == "." { "\n" } else { line }.to_owned() + "\n")
            .collect::<String>()
            .into_bytes(),
    };
    let keys = keys::fingerprints_in(&bytes, SystemTime::now());
    if let Some((stranger, _)) = keys.iter().find(|(fingerprint, usable)| *usable && !trusted.contains(fingerprint)) {
        let error = refused(entry, &format!("with a keyring that trusts another key, too ({stranger})"));
        return Err(error.detail("if that key is meant, name its fingerprint in DD_REPO_KEY_FINGERPRINTS"));
    }
    match keys.iter().any(|(_, usable)| *usable) {
        true => Ok(()),
        false => Err(refused(entry, "with a keyring that has no usable key")),
    }
}

/// The text of our own file: comments stay, every entry makes room for the one.
fn merged(before: &str, entry: &str) -> String {
    let mut text = String::new();
    let mut written = false;
    for line in before.lines() {
        let is_entry = one_line(line, 0).is_some_and(|entry| entry.enabled);
        if !is_entry {
            text.push_str(line);
            text.push('\n');
        } else if !written {
            text.push_str(entry);
            written = true;
        }
    }
    if !written {
        text.push_str(entry);
    }
    text
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
