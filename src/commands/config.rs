//! `ddinstall config`: the YAML editor for runbooks, on any file. Nothing is written unless all of it can be.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::yaml::{self, Document, Edit, Value};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Stored};
use crate::plan::is_secret;
use crate::report::text::{self, Style};
use crate::report::{Redactor, diff};
use crate::secret;
use crate::settings::note_on_word;
use crate::step::FileChange;
use crate::types::YamlPath;

use super::{print, say};

const SECRET: &str = "every user can read arguments; give an ENC[…] handle, or `-` and the value on standard input";

/// Exit code of `config get` where the file does not set the value. No class of failure has it.
const NOT_SET: u8 = 1;

pub(super) fn get(file: &str, path: &str) -> u8 {
    match value(file, path) {
        Ok(Some(text)) => {
            print(&text);
            0
        }
        Ok(None) => {
            say(&format!("{file} does not set {path}\n"));
            NOT_SET
        }
        Err(error) => fail(&error.state("nothing was changed; `config get` never changes anything")),
    }
}

pub(super) fn set(file: &str, changes: &[String], with_diff: bool, dry_run: bool) -> u8 {
    match edit(file, changes, with_diff, dry_run) {
        Ok(report) => {
            print(&report);
            0
        }
        Err(error) => fail(&error.state(format!("{file} was not changed"))),
    }
}

fn fail(error: &Error) -> u8 {
    say(&text::error(error, &Redactor::default(), Style(false)));
    error.kind.exit_code()
}

/// The value as YAML text; None where it is not set.
fn value(file: &str, path: &str) -> Result<Option<String>> {
    let path: YamlPath = path.parse().map_err(usage)?;
    let (_, file, stored) = open(file)?;
    let document = load(&file, &stored)?;
    document.get(&path).map(written).transpose()
}

fn written(value: &Value) -> Result<String> {
    serde_yaml::to_string(&plain(value))
        .map_err(|e| Error::new(Kind::Merge, format!("the value cannot be written as YAML: {e}")))
}

fn plain(value: &Value) -> serde_yaml::Value {
    use serde_yaml::Value as Yaml;
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(on) => Yaml::Bool(*on),
        Value::Int(number) => Yaml::Number((*number).into()),
        Value::Float(number) => Yaml::Number((*number).into()),
        Value::Str(text) => Yaml::String(text.clone()),
        Value::Seq(items) => Yaml::Sequence(items.iter().map(plain).collect()),
        Value::Map(entries) => {
            Yaml::Mapping(entries.iter().map(|(key, value)| (Yaml::String(key.clone()), plain(value))).collect())
        }
    }
}

fn edit(file: &str, changes: &[String], with_diff: bool, dry_run: bool) -> Result<String> {
    let edits = edits(changes)?;
    let (host, path, stored) = open(file)?;
    let document = load(&path, &stored)?;
    let edited = yaml::edit(&stored.bytes, &edits).map_err(|refusal| refusal.into_error(&path))?;
    let mut redactor = Redactor::default();
    redactor.learn_value(document.root(), false);
    if let Ok(after) = yaml::load(edited.text.as_bytes()) {
        redactor.learn_value(after.root(), false);
    }
    if edited.changes.is_empty() || edited.text.as_bytes() == stored.bytes {
        return Ok(format!("{file} says so already\n"));
    }
    let mut report = format!("{}{file}\n", if dry_run { "would change " } else { "changed " });
    for change in &edited.changes {
        let shown = |value: &Option<Value>| match value {
            None => "unset".to_owned(),
            Some(value @ Value::Bool(_)) => crate::config::shown(value),
            Some(_) if is_secret(&change.path.to_string()) => "********".to_owned(),
            Some(value) => crate::config::shown(value),
        };
        let line = format!("  {}: {} (was {})\n", change.path, shown(&change.after), shown(&change.before));
        report.push_str(&redactor.text(&line));
    }
    let rights = stored.meta.attributes();
    let change = FileChange {
        path: path.display().to_string(),
        before: Some(stored),
        after: edited.text.into_bytes(),
        rights,
        rights_text: String::new(),
        changes: Vec::new(),
        read_by: None,
    };
    if with_diff {
        report.push_str(&diff::unified(&change, &redactor));
    }
    if !dry_run {
        replace(&host, &path, &change)?;
    }
    Ok(report)
}

/// Writes the file, unless it is no longer what the edit was made for.
fn replace(host: &Host, path: &Path, change: &FileChange) -> Result<()> {
    host.can_replace(path)?;
    let now = host.read(path)?;
    let seen = |stored: &Stored| (stored.bytes.clone(), stored.meta.attributes());
    if now.as_ref().map(seen) != change.before.as_ref().map(seen) {
        let what = format!("{} was changed meanwhile", path.display());
        return Err(Error::new(Kind::Prerequisite, what).hint("run again"));
    }
    host.write(path, &change.after, &change.rights)
}

/// Every mistake is told, and no value, which may be a secret. `-` is a text that comes from standard input.
fn edits(changes: &[String]) -> Result<Vec<Edit>> {
    let mut mistakes = Vec::new();
    let mut edits = Vec::new();
    let mut asked = false;
    for change in changes {
        let Some((path, value)) = change.split_once('=') else {
            mistakes.push(format!("`{}` is not of the form PATH=VALUE", change.escape_debug()));
            continue;
        };
        let mut read = || -> std::result::Result<Edit, String> {
            let at: YamlPath = path.parse()?;
            if value == "-" {
                if std::mem::replace(&mut asked, true) {
                    return Err(format!("the value of {path}: standard input is for one value only"));
                }
                let text = input().map_err(|why| format!("the value of {path}: standard input {why}"))?;
                return Ok(Edit::Set { path: at, value: Value::Str(text) });
            }
            if let Some(note) = note_on_word(path, value) {
                say(&format!("note: {note}\n"));
            }
            let value = Value::parse(value).map_err(|why| format!("the value of {path} is no YAML: {}", why.why))?;
            match shows_secret(at.keys().last().map_or("", String::as_str), &value) {
                true => Err(format!("{path} is a secret, and {SECRET}")),
                false => Ok(Edit::Set { path: at, value }),
            }
        };
        match read() {
            Ok(edit) => edits.push(edit),
            Err(why) => mistakes.push(why),
        }
    }
    match mistakes.as_slice() {
        [] => Ok(edits),
        [one] => Err(usage(one.clone())),
        many => Err(usage(format!("{} mistakes in the input", many.len())).detail(many.join("\n"))),
    }
}

/// A value from standard input, which nobody else can read: a text, whatever it looks like.
fn input() -> std::result::Result<String, String> {
    const LIMIT: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    std::io::stdin().take(LIMIT + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > LIMIT {
        return Err("holds more than 64 KiB".into());
    }
    let text = String::from_utf8(bytes).map_err(|_| "holds no UTF-8")?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() { Err("holds nothing".into()) } else { Ok(text.to_owned()) }
}

/// Whether a value that somebody typed holds a secret, by the names of its keys. A handle is none.
fn shows_secret(key: &str, value: &Value) -> bool {
    let named = secret::is_named_by(key);
    // Either addresses with lists of API keys, or a list of sections with names as everywhere.
    let endpoints = key.contains("additional_endpoints");
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Int(_) | Value::Float(_) => named,
        Value::Str(text) => named && !text.is_empty() && secret::handle(text).is_none(),
        Value::Seq(items) => items.iter().any(|item| shows_secret(if endpoints { "" } else { key }, item)),
        Value::Map(entries) => entries.iter().any(|(below, value)| match endpoints {
            true => shows_secret("api_key", value),
            false => shows_secret(if named { key } else { below }, value),
        }),
    }
}

/// The file as an absolute path, so that every folder on the way is looked at.
fn open(file: &str) -> Result<(Host, PathBuf, Stored)> {
    let path = std::path::absolute(file).map_err(|e| Error::io("read", Path::new(file), &e))?;
    let host = Host::new(Path::new("/"))?;
    match host.read(&path)? {
        Some(stored) => Ok((host, path, stored)),
        None => {
            Err(usage(format!("{file}: no such file"))
                .hint("copy the vendor's example first, or run `ddinstall install`"))
        }
    }
}

fn load(path: &Path, stored: &Stored) -> Result<Document> {
    yaml::load(&stored.bytes).map_err(|refusal| refusal.into_error(path))
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(Kind::Usage, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_changed_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("a.yaml");
        let changes: [fn(&Path); 3] = [
            |at| std::fs::write(at, "a: 9\n").unwrap(),
            |at| std::fs::set_permissions(at, PermissionsExt::from_mode(0o600)).unwrap(),
            |at| std::fs::remove_file(at).unwrap(),
        ];
        for meanwhile in changes {
            std::fs::write(&at, "a: 1\n").unwrap();
            std::fs::set_permissions(&at, PermissionsExt::from_mode(0o640)).unwrap();
            let (host, path, stored) = open(at.to_str().unwrap()).unwrap();
            let change = FileChange {
                path: path.display().to_string(),
                rights: stored.meta.attributes(),
                before: Some(stored),
                after: b"a: 2\n".to_vec(),
                rights_text: String::new(),
                changes: Vec::new(),
                read_by: None,
            };
            meanwhile(&at);
            let left = std::fs::read(&at).ok();
            assert_eq!(replace(&host, &path, &change).unwrap_err().kind, Kind::Prerequisite);
            assert_eq!(std::fs::read(&at).ok(), left);
        }
    }

    #[test]
    fn secrets_are_seen_in_values_of_every_kind() {
        let shows = |key, text: &str| shows_secret(key, &Value::parse(text).unwrap());
        for (key, text) in [
            ("api_key", "abc"),
            ("password", "1234"),
            ("tokens", "['ENC[x]', abc]"),
            ("snmp", "{version: 3, auth: {password: x}}"),
            ("additional_endpoints", "{https://x: [abc]}"),
            ("additional_endpoints", "[{api_key: abc, Host: x}]"),
        ] {
            assert!(shows(key, text), "{key} {text}");
        }
        for (key, text) in [
            ("api_key", "ENC[abc]"),
            ("api_key", "''"),
            ("collect_tokens", "true"),
            ("secret_backend_command", "/x"),
            ("log_level", "debug"),
            ("additional_endpoints", "{https://x: ['ENC[a]']}"),
            ("additional_endpoints", "[{api_key: 'ENC[a]', Host: x, Port: 443}]"),
        ] {
            assert!(!shows(key, text), "{key} {text}");
        }
    }
}
