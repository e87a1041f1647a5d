//! `ddinstall config`: the YAML editor for runbooks, on any file. Nothing is written unless all of it can be.

use std::path::{Path, PathBuf};

use crate::config::yaml::{self, Document, Edit, Value};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Stored};
use crate::plan::is_secret;
use crate::report::text::{self, Style};
use crate::report::{Redactor, diff};
use crate::step::FileChange;
use crate::types::YamlPath;

use super::print;

/// Exit code of `config get` where the file does not set the value. No class of failure has it.
const NOT_SET: u8 = 1;

pub(super) fn get(file: &str, path: &str) -> u8 {
    match value(file, path) {
        Ok(Some(text)) => {
            print(&text);
            0
        }
        Ok(None) => {
            eprintln!("{file} does not set {path}");
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
    eprint!("{}", text::error(error, &Redactor::default(), Style(false)));
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
        host.can_replace(&path)?;
        host.write(&path, &change.after, &rights)?;
    }
    Ok(report)
}

/// Every mistake is told, and no value, which may be a secret.
fn edits(changes: &[String]) -> Result<Vec<Edit>> {
    let mut mistakes = Vec::new();
    let mut edits = Vec::new();
    for change in changes {
        let Some((path, value)) = change.split_once('=') else {
            mistakes.push(format!("`{}` is not of the form PATH=VALUE", change.escape_debug()));
            continue;
        };
        let read = || -> std::result::Result<Edit, String> {
            let at: YamlPath = path.parse()?;
            let value = Value::parse(value).map_err(|why| format!("{path}: the value is no YAML: {}", why.why))?;
            Ok(Edit::Set { path: at, value })
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
