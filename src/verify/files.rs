//! Files as the Agent will read them: values, owners and modes, the vendor's proxy configuration, the repository.

use std::path::Path;

use crate::config;
use crate::config::templates::shell;
use crate::config::yaml::{Document, Edit, Value};
use crate::current::{Current, Seen};
use crate::desired::{AGENT_UNIT, Base, Content, Desired, ENVIRONMENT, FileWish, Wish};
use crate::error::Result;
use crate::host::{Host, system};
use crate::packages::apt::found;
use crate::packages::{Manager, keys};
use crate::plan;
use crate::secret;
use crate::types::Flavor;

use super::{Cause, Check, FileHash, Mend, Status};

pub(super) fn files(desired: &Desired, current: &Current) -> Vec<Check> {
    desired.files.iter().flat_map(|wish| file(wish, current)).collect()
}

fn file(wish: &FileWish, current: &Current) -> Vec<Check> {
    let name = short(wish.path);
    let rights = Check::new(format!("mode.{name}"), format!("owner and mode of {}", wish.path), expected_rights(wish));
    let content = match &wish.content {
        Content::Edits { .. } => {
            Check::new(format!("file.{name}"), format!("{} is read by the Agent", wish.path), "valid YAML")
        }
        Content::Vendor { example, .. } => Check::new(
            "proxy.config",
            format!("{} is the vendor's, unmodified", wish.path),
            format!("equal to {example}"),
        ),
        Content::Variables(wanted) => {
            let expected: Vec<String> = wanted.iter().map(|(name, value)| format!("{name}={value}")).collect();
            Check::new(format!("file.{name}"), format!("{} has what the units need", wish.path), expected.join(", "))
        }
        Content::Note(_) => Check::new(format!("file.{name}"), format!("{} is there", wish.path), "a file"),
        Content::Program(_) => Check::new(
            format!("file.{name}"),
            format!("{} is the secret helper", wish.path),
            "the program that was named",
        ),
    };
    let stored = match current.file(wish.path) {
        Seen::Present(stored) => stored,
        Seen::Denied(why) => return vec![content.unknown(why), rights.skipped("not looked at")],
        Seen::Absent if optional(wish, current) => return vec![content.skipped("this Agent ships no such file")],
        Seen::Absent => {
            return vec![
                content.fails("no such file", "run `ddinstall install`").because(Cause::FileMissing, Mend::Fix),
            ];
        }
    };
    let mut checks = Vec::new();
    match &wish.content {
        Content::Edits { wishes, .. } => match current.document(wish.path) {
            None => checks.push(content.unknown("it was not read")),
            Some(Ok(document)) => {
                checks.push(content.passes(format!("{} bytes", stored.bytes.len())));
                let due = wishes.iter().filter(|w| w.when.as_ref().is_none_or(|when| when.holds(document)));
                checks.extend(due.map(|w| setting(&name, wish.path, w, document)));
            }
            Some(Err(refusal)) => {
                let line = refusal.line.map_or_else(String::new, |line| format!("line {line}: "));
                let hint = format!("repair it, then `ddinstall install`: {}", refusal.hint);
                checks
                    .push(content.fails(format!("{line}{}", refusal.why), hint).because(Cause::FileBroken, Mend::Hand));
            }
        },
        Content::Vendor { example, .. } => checks.push(match current.file(example).stored() {
            Some(example) if example.bytes == stored.bytes => {
                content.passes(format!("sha256 {}", system::sha256_hex(&stored.bytes)))
            }
            Some(_) => content
                .warns(
                    "it differs from the example in the package: compliance is not guaranteed",
                    "`ddinstall install --reset-proxy-config` takes the vendor's example",
                )
                .because(Cause::ProxyConfigChanged, Mend::Command(RESET.into())),
            None => content
                .warns(format!("{example} is not there to compare"), format!("reinstall {}", crate::desired::PROXY)),
        }),
        Content::Variables(wanted) => {
            let seen = |name: &str| plan::variable(&stored.bytes, name);
            let wrong: Vec<&str> = wanted
                .iter()
                .filter(|(name, value)| seen(name).as_deref() != Some(value))
                .map(|(name, _)| *name)
                .collect();
            checks.push(match wrong.is_empty() {
                true => content.passes("it has"),
                false => content
                    .fails(format!("{} is not so", wrong.join(", ")), "run `ddinstall install`")
                    .because(Cause::Setting, Mend::Fix),
            });
        }
        Content::Note(_) => checks.push(content.passes("it is there")),
        Content::Program(_) => checks.push(match current.program.as_ref() == Some(&stored.bytes) {
            true => content.passes(format!("{} bytes", stored.bytes.len())),
            false => content.fails("it is another one", "run `ddinstall install`"),
        }),
    }
    if let (Content::Program(_), Some(wanted)) = (&wish.content, current.attributes(wish.rights)) {
        checks.push(match plan::not_exactly(&stored.meta, wanted) {
            None => rights.passes(format!("mode {:04o}", stored.meta.mode)),
            Some(why) => rights.fails(why, "`ddinstall install` sets it right"),
        });
        return checks;
    }
    // A file of root's alone needs no user of the Agent.
    let root_only = wish.rights.owner == "root" && wish.rights.group == "root";
    checks.push(match current.agent_user.or(root_only.then_some((0, 0))) {
        None => rights.unknown("there is no user dd-agent"),
        Some(agent) => match plan::mistake(&stored.meta, agent, wish.rights.is_public()) {
            None => rights
                .passes(format!("user {}, group {}, mode {:04o}", stored.meta.uid, stored.meta.gid, stored.meta.mode)),
            Some(why) => rights.fails(why, "`ddinstall install` sets it right").because(Cause::FileRights, Mend::Fix),
        },
    });
    checks
}

/// A newer Agent without a security-agent ships no file for it; system-probe does its work then.
fn optional(wish: &FileWish, current: &Current) -> bool {
    match &wish.content {
        Content::Edits { base: Base::None, .. } => true,
        Content::Edits { base: Base::Example(example), wishes } if wishes.is_empty() => {
            current.file(example).stored().is_none()
        }
        Content::Edits { base: Base::Example(example), .. } => {
            wish.path == crate::settings::File::SecurityAgent.path() && current.file(example).stored().is_none()
        }
        _ => false,
    }
}

fn expected_rights(wish: &FileWish) -> String {
    let r = wish.rights;
    match r.is_public() {
        true => format!("{}:{} {:04o}", r.owner, r.group, r.mode),
        _ if r.mode & 0o100 != 0 => format!("{}:{} {:04o}", r.owner, r.group, r.mode),
        false => format!(
            "{}:{} {:04o}, or what the vendor's package sets: readable by dd-agent, closed to others",
            r.owner, r.group, r.mode
        ),
    }
}

fn setting(name: &str, file: &str, wish: &Wish, document: &Document) -> Check {
    let (path, expected) = match &wish.edit {
        Edit::Set { path, value } => (path, value.clone()),
        Edit::Append { path, .. } if wish.drops => {
            let check = Check::new(
                format!("config.{name}.{path}"),
                format!("{path} in {file}"),
                "the entry is not in the list",
            );
            return match plan::without(document, &wish.edit) {
                None => check.passes(wish.why),
                Some(_) => check.fails("it is", "run `ddinstall install`").because(Cause::Setting, Mend::Fix),
            };
        }
        Edit::Append { path, .. } => {
            let check =
                Check::new(format!("config.{name}.{path}"), format!("{path} in {file}"), "the entry is in the list");
            return match plan::holds(document, &wish.edit) {
                true => check.passes(wish.why),
                false => check.fails("it is not", "run `ddinstall install`").because(Cause::Setting, Mend::Fix),
            };
        }
        Edit::Remove { path } => (path, Value::Null),
    };
    let shown = |value: &Value| match value {
        Value::Bool(_) => config::shown(value),
        _ if plan::is_secret(&path.to_string()) => "********".into(),
        _ => config::shown(value),
    };
    let check = Check::new(format!("config.{name}.{path}"), format!("{path} in {file}"), shown(&expected));
    match document.get(path) {
        Some(found) if found.is_to_the_agent(&expected) => check.passes(shown(found)),
        Some(found) if wish.yields.is_some() && *found != Value::Null => {
            let told = wish.yields.clone().unwrap_or_default();
            check.warns(shown(found), told)
        }
        found => {
            let line = document.line(path).map_or_else(String::new, |line| format!(" (line {line})"));
            let seen = found.map_or_else(|| "not set".into(), |found| format!("{}{line}", shown(found)));
            let (cause, mend) = match path.to_string().as_str() {
                "fips.enabled" => (Cause::FipsOff, Mend::Fix),
                "fips.https" => (Cause::FipsHttps, Mend::Fix),
                "runtime_security_config.enabled" => (Cause::CwsOff, Mend::Fix),
                "fips.port_range_start" => (Cause::PortRange, Mend::Fix),
                // Which site is meant is never guessed.
                "site" => (
                    Cause::WrongSite,
                    Mend::Command(format!("ddinstall install --site {}", shell(expected.as_str().unwrap_or_default()))),
                ),
                _ => (Cause::Setting, Mend::Fix),
            };
            check.fails(seen, format!("`ddinstall install` sets it: {}", wish.why)).because(cause, mend)
        }
    }
}

/// Takes the vendor's configuration of the proxy, which is never edited.
pub(super) const RESET: &str = "ddinstall install --reset-proxy-config";

/// Whether the Agent has an API key, from its file or its units' environment. It is never shown.
pub(super) fn key(host: &Host, desired: &Desired, current: &Current) -> Option<Check> {
    if desired.asked.flavor() == Flavor::FipsProxy {
        return None;
    }
    let path = desired.asked.main_file().path();
    let check = Check::of("agent.key", format!("api_key in {path}"));
    if desired.asked.no_key {
        // An image is complete but for its key.
        return Some(check.skipped("still to come: `ddinstall install` with DD_API_KEY brings it"));
    }
    let document = match (current.document(path), current.file(path)) {
        (Some(Ok(document)), _) => document,
        (_, Seen::Denied(why)) => return Some(check.unknown(why)),
        _ => return Some(check.skipped(format!("{path} was not read"))),
    };
    let text = config::value_at(document, "api_key").map_or_else(String::new, config::shown);
    if text.starts_with("ENC[") {
        return Some(check.passes("a handle of the Agent's secrets management"));
    }
    if !matches!(text.as_str(), "" | "null" | "\"\"") {
        return Some(check.passes("set"));
    }
    let elsewhere = host.read_text(ENVIRONMENT).ok().flatten().unwrap_or_default();
    let in_unit = current.units.get(AGENT_UNIT).is_some_and(|state| state.environment.contains("DD_API_KEY="));
    if in_unit
        || elsewhere
            .lines()
            .any(|line| line.trim().len() > "DD_API_KEY=".len() && line.trim().starts_with("DD_API_KEY="))
    {
        return Some(check.passes("set in the environment of the Agent's units"));
    }
    let command = "ddinstall install --api-key-file -";
    Some(
        check
            .fails("empty", format!("`{command}` reads it from standard input"))
            .because(Cause::NoApiKey, Mend::Command(command.into())),
    )
}

/// What was read, so that an auditor can hold it against the host.
pub(super) fn hashes(current: &Current) -> Vec<FileHash> {
    let present = current.files.iter().filter_map(|(path, seen)| Some((path, seen.stored()?)));
    present
        .map(|(path, stored)| {
            // The key has enough chance in it; a password in the same file may not.
            let guessable = |document: &Document| holds_password(document.root());
            let hidden = current.document(path).is_some_and(|document| document.as_ref().is_ok_and(guessable));
            FileHash {
                path: (*path).to_owned(),
                sha256: (!hidden).then(|| system::sha256_hex(&stored.bytes)),
                owner: stored.meta.uid,
                group: stored.meta.gid,
                mode: format!("{:04o}", stored.meta.mode),
                bytes: stored.meta.len,
            }
        })
        .collect()
}

fn holds_password(value: &Value) -> bool {
    match value {
        Value::Map(entries) => entries.iter().any(|(key, value)| {
            let told = |text: &str| !text.is_empty() && !text.starts_with("ENC[");
            let is_one = key != "api_key" && secret::is_named_by(key) && value.as_str().is_some_and(told);
            is_one || holds_password(value)
        }),
        Value::Seq(items) => items.iter().any(holds_password),
        Value::Str(text) => text.contains("://") && text.contains('@'),
        _ => false,
    }
}

/// The repository entry and its keyring: without them the next security update does not come.
pub(super) fn repository(host: &Host) -> Vec<Check> {
    let entry =
        Check::new("repository.entry", "updates can be installed", "an entry for the vendor's repository or a mirror");
    let ring = Check::new("repository.keyring", "updates are checked by signature", "a keyring with a usable key");
    let (manager, [list, keyring]) = match Manager::of(host) {
        Ok(manager) => (manager, manager.repository_files()),
        Err(error) => return vec![entry.unknown(error.to_string()), ring.unknown(error.to_string())],
    };
    let (serves, keyring) = match manager {
        Manager::Apt => match apt_entry(host, Path::new(list), Path::new(keyring)) {
            Ok(found) => found,
            Err(error) => return vec![entry.unknown(error.to_string()), ring.unknown(error.to_string())],
        },
        Manager::Dnf | Manager::Zypper => {
            let text = host.read_text(list).ok().flatten();
            (text.filter(|text| checks_packages(text)).map(|_| list.to_owned()), keyring.to_owned())
        }
    };
    let entry = match (host.read_text(list), serves) {
        (Ok(_), Some(file)) => entry.passes(file),
        (Ok(Some(_)), None) if manager != Manager::Apt => entry.warns(
            format!("{list} is off, or does not check packages"),
            "`ddinstall install --upgrade` writes it; without it this host gets no updates that can be trusted",
        ),
        (Ok(_), None) => entry.warns(
            format!("{list} is not there"),
            "`ddinstall install --upgrade` writes it; without it this host gets no updates",
        ),
        (Err(failure), _) => entry.unknown(failure.to_string()),
    };
    let ring = match host.read(&keyring) {
        Ok(Some(stored)) => {
            let keys = keys::fingerprints_in(&stored.bytes, std::time::SystemTime::now());
            let usable: Vec<String> = keys.iter().filter(|(_, usable)| *usable).map(|(f, _)| f.to_string()).collect();
            match usable.is_empty() {
                true => ring.warns("no usable key in it", "`ddinstall install --upgrade` writes it anew"),
                false => ring.passes(usable.join(", ")),
            }
        }
        Ok(None) => ring.warns(format!("{keyring} is not there"), "`ddinstall install --upgrade` writes it"),
        Err(failure) => ring.unknown(failure.to_string()),
    };
    let mended = |check: Check| match check.status {
        Status::Warn => check.because(Cause::Repository, Mend::Command("ddinstall install --upgrade".into())),
        _ => check,
    };
    vec![mended(entry), mended(ring)]
}

/// The file of an apt entry that serves the repository, ours or another tool's, and the keyring that counts.
fn apt_entry(host: &Host, list: &Path, keyring: &Path) -> Result<(Option<String>, String)> {
    let (entries, _) = found::entries(host)?;
    let serves = entries.iter().find(|entry| {
        entry.enabled
            && !entry.sources_only
            && (entry.file == list || entry.is_vendors() || entry.keyring() == Some(keyring))
    });
    let keyring = serves.and_then(found::Entry::keyring).unwrap_or(keyring);
    Ok((serves.map(|entry| entry.file.display().to_string()), keyring.display().to_string()))
}

/// Whether a repository file of dnf or zypper is on, and has packages checked.
fn checks_packages(text: &str) -> bool {
    let has = |key: &str, value: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.any(|(k, v)| k.trim() == key && v.trim() == value)
    };
    text.contains("baseurl") && has("gpgcheck", "1") && !has("enabled", "0")
}

/// `datadog.yaml`, `fips_proxy.d/conf.yaml`, …
fn short(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or(path);
    match (last, parts.next()) {
        ("conf.yaml", Some(folder)) => format!("{folder}.{last}"),
        _ => last.to_owned(),
    }
}
