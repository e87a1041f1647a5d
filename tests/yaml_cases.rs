//! Runs `tests/yaml/cases`: each folder holds `before.yaml`, `edits.txt` and either `after.yaml` or `refusal.txt`.
//!
//! `edits.txt` has one edit a line: `set PATH = VALUE`, `append PATH = VALUE`, `remove PATH`, values in YAML.
//! `refusal.txt` holds a part of the message, with `line N:` before it where a line is named. To see what
//! a new case gives, run with `YAML_CASES_WRITE=1`: it writes the missing file, which is then to be read with care.

#[path = "yaml/oracle.rs"]
mod oracle;

use std::fs;
use std::path::Path;

use ddinstall::config::yaml::{Edit, Refusal, Value, edit};

fn edits(text: &str) -> Vec<Edit> {
    text.lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        .map(|line| {
            let (verb, rest) = line.split_once(' ').expect("a verb and a path");
            let (path, value) = rest.split_once(" = ").unwrap_or((rest, ""));
            let path = path.trim().parse().expect("a path");
            let value = || Value::parse(value).expect("a YAML value");
            match verb {
                "set" => Edit::Set { path, value: value() },
                "append" => Edit::Append { path, value: value() },
                "remove" => Edit::Remove { path },
                other => panic!("{other}: neither set, append nor remove"),
            }
        })
        .collect()
}

fn message(refusal: &Refusal) -> String {
    match refusal.line {
        Some(line) => format!("line {line}: {}\n", refusal.why),
        None => format!("{}\n", refusal.why),
    }
}

/// What is wrong with a case; `None` where all is well.
fn check(folder: &Path) -> Option<String> {
    let before = fs::read(folder.join("before.yaml")).expect("before.yaml");
    let edits = edits(&fs::read_to_string(folder.join("edits.txt")).expect("edits.txt"));
    let (after, refusal) = (folder.join("after.yaml"), folder.join("refusal.txt"));
    let result = edit(&before, &edits);
    if std::env::var_os("YAML_CASES_WRITE").is_some() && !after.exists() && !refusal.exists() {
        match &result {
            Ok(done) => fs::write(&after, &done.text).expect("after.yaml"),
            Err(e) => fs::write(&refusal, message(e)).expect("refusal.txt"),
        }
    }
    if let Ok(wanted) = fs::read_to_string(&refusal) {
        return match result {
            Ok(done) => Some(format!("is not refused, it gives:\n{}", done.text)),
            Err(e) if message(&e).contains(wanted.trim_end()) => None,
            Err(e) => Some(format!("is refused, but so:\n{}", message(&e))),
        };
    }
    let wanted = fs::read_to_string(&after).expect("after.yaml or refusal.txt");
    let done = match result {
        Ok(done) => done,
        Err(e) => return Some(format!("is refused: {}", message(&e))),
    };
    if done.text != wanted {
        return Some(format!("gives:\n{}", done.text));
    }
    let before = String::from_utf8(before).expect("UTF-8");
    if done.changes.is_empty() != (done.text == before) {
        return Some(format!("says it changed {:?}", done.changes));
    }
    match edit(wanted.as_bytes(), &edits) {
        Ok(again) if again.text == wanted && again.changes.is_empty() => {}
        again => return Some(format!("does more when done twice: {again:?}")),
    }
    // Where libyaml can read both, it must see exactly the change.
    if let Some(old) = oracle::read(&before) {
        let Some(new) = oracle::read(&wanted) else {
            return Some("libyaml cannot read what comes out".to_owned());
        };
        let expected = oracle::expected(&old, &edits);
        if oracle::normal(&new) != expected {
            return Some(format!("libyaml reads {new:?}, expected {expected:?}"));
        }
    }
    None
}

#[test]
fn every_case_comes_out_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).expect("cases").map(|c| c.expect("case").path()).collect();
    cases.sort();
    let wrong: Vec<String> =
        cases.iter().filter_map(|c| check(c).map(|why| format!("{}: {why}", c.display()))).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(cases.len() >= 100, "only {} cases", cases.len());
}
