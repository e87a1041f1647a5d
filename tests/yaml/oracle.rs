//! A second opinion on edits: libyaml reads the file before and after, and a model of its own says what must differ.

use ddinstall::config::yaml::{Edit, Value};
use serde_yaml::Value as Oracle;

/// The file as libyaml reads it, with merge keys applied. `None` where it cannot.
pub fn read(text: &str) -> Option<Oracle> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut value: Oracle = serde_yaml::from_str(text).ok()?;
    value.apply_merge().ok()?;
    Some(value)
}

/// All dotted keys expanded, and empty sections as null: what an edit may write in either way. Order does not count.
pub fn normal(value: &Oracle) -> Oracle {
    match value {
        Oracle::Mapping(map) => {
            let mut out = Oracle::Mapping(Default::default());
            let is_dotted =
                |k: &Oracle| k.as_str().is_some_and(|k| k.contains('.') && !k.split('.').any(str::is_empty));
            for (key, value) in map.iter().filter(|(k, _)| !is_dotted(k)) {
                put(&mut out, std::slice::from_ref(key), normal(value));
            }
            for (key, value) in map.iter().filter(|(k, _)| is_dotted(k)) {
                let keys: Vec<Oracle> = key.as_str().unwrap_or_default().split('.').map(Oracle::from).collect();
                put(&mut out, &keys, normal(value));
            }
            match &out {
                Oracle::Mapping(m) if m.is_empty() => Oracle::Null,
                _ => out,
            }
        }
        other => other.clone(),
    }
}

fn same(a: &Oracle, b: &Oracle) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => a == b,
    }
}

/// Puts `value` where it belongs; a map that is there already is added to.
fn put(into: &mut Oracle, keys: &[Oracle], value: Oracle) {
    let Some((first, rest)) = keys.split_first() else {
        match (into, value) {
            (Oracle::Mapping(into), Oracle::Mapping(more)) => {
                for (k, v) in more {
                    put(into.entry(k).or_insert(Oracle::Null), &[], v);
                }
            }
            (into, value) => *into = value,
        }
        return;
    };
    if !into.is_mapping() {
        *into = Oracle::Mapping(Default::default());
    }
    let Oracle::Mapping(map) = into else { return };
    let key = map.keys().find(|k| same(k, first)).unwrap_or(first).clone();
    put(map.entry(key).or_insert(Oracle::Null), rest, value);
}

fn take(from: &mut Oracle, keys: &[Oracle]) {
    let (Oracle::Mapping(map), Some((first, rest))) = (from, keys.split_first()) else {
        return;
    };
    let Some(key) = map.keys().find(|k| same(k, first)).cloned() else {
        return;
    };
    if rest.is_empty() {
        map.remove(&key);
    } else if let Some(inner) = map.get_mut(&key) {
        take(inner, rest);
        if inner.as_mapping().is_some_and(|m| m.is_empty()) {
            *inner = Oracle::Null;
        }
    }
}

fn find<'o>(value: &'o Oracle, keys: &[Oracle]) -> Option<&'o Oracle> {
    let Some((first, rest)) = keys.split_first() else {
        return Some(value);
    };
    let map = value.as_mapping()?;
    let key = map.keys().find(|k| same(k, first))?;
    find(&map[key], rest)
}

/// What the data must be after `edits`.
pub fn expected(before: &Oracle, edits: &[Edit]) -> Oracle {
    let mut data = normal(before);
    for edit in edits {
        let keys: Vec<Oracle> = edit.path().keys().iter().map(|k| Oracle::from(k.as_str())).collect();
        match edit {
            Edit::Set { value, .. } => {
                // A map replaces what is there.
                let kept = find(&data, &keys).is_some();
                if kept {
                    set_at(&mut data, &keys, normal(&oracle(value)));
                } else {
                    put(&mut data, &keys, normal(&oracle(value)));
                }
            }
            Edit::Append { value, .. } => {
                let mut items = match find(&data, &keys) {
                    Some(Oracle::Sequence(items)) => items.clone(),
                    _ => Vec::new(),
                };
                if !items.contains(&oracle(value)) {
                    items.push(oracle(value));
                }
                put(&mut data, &keys, Oracle::Sequence(items));
            }
            Edit::Remove { .. } => take(&mut data, &keys),
        }
    }
    match &data {
        Oracle::Mapping(m) if m.is_empty() => Oracle::Null,
        _ => data,
    }
}

fn set_at(data: &mut Oracle, keys: &[Oracle], value: Oracle) {
    let Some((first, rest)) = keys.split_first() else {
        *data = value;
        return;
    };
    let Oracle::Mapping(map) = data else { return };
    let Some(key) = map.keys().find(|k| same(k, first)).cloned() else {
        return;
    };
    if let Some(inner) = map.get_mut(&key) {
        set_at(inner, rest, value);
    }
}

fn oracle(value: &Value) -> Oracle {
    match value {
        Value::Null => Oracle::Null,
        Value::Bool(b) => Oracle::from(*b),
        Value::Int(n) => Oracle::from(*n),
        Value::Float(f) => Oracle::from(*f),
        Value::Str(s) => Oracle::from(s.as_str()),
        Value::Seq(items) => Oracle::Sequence(items.iter().map(oracle).collect()),
        Value::Map(entries) => {
            Oracle::Mapping(entries.iter().map(|(k, v)| (Oracle::from(k.as_str()), oracle(v))).collect())
        }
    }
}
