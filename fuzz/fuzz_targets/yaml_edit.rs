//! Any bytes, any edit: no panic, no hang, and what is edited keeps the contract.
//!
//! cargo +nightly fuzz run yaml_edit --target x86_64-unknown-linux-gnu

#![no_main]

use ddinstall::config::yaml::{Edit, Value, edit, load};
use libfuzzer_sys::fuzz_target;

const PATHS: &[&str] = &[
    "a",
    "a.b",
    "a.b.c",
    "fips.enabled",
    "tags",
    "site",
    "runtime_security_config.activity_dump.enabled",
    "api_key",
];

fn value(pick: u8) -> Value {
    match pick % 8 {
        0 => Value::Bool(true),
        1 => Value::Str("x".to_owned()),
        2 => Value::Str("12:30:45 # \n".to_owned()),
        3 => Value::Int(7),
        4 => Value::Seq(vec![Value::Str("team:infra".to_owned()), Value::Null]),
        5 => Value::Map(vec![("b".to_owned(), Value::Bool(false))]),
        6 => Value::Null,
        _ => Value::Float(0.5),
    }
}

fuzz_target!(|data: &[u8]| {
    let [verb, path, pick, text @ ..] = data else {
        return;
    };
    let Ok(path) = PATHS[usize::from(*path) % PATHS.len()].parse() else {
        return;
    };
    let value = value(*pick);
    let change = match verb % 8 {
        0 => Edit::Remove { path },
        1 => Edit::Append { path, value },
        _ => Edit::Set { path, value },
    };
    let before = load(text);
    let Ok(done) = edit(text, std::slice::from_ref(&change)) else {
        return;
    };
    assert!(before.is_ok(), "edited what cannot be loaded");
    assert_eq!(done.changes.is_empty(), done.text.as_bytes() == text);
    let after = load(done.text.as_bytes()).expect("the result loads");
    match &change {
        Edit::Set { path, value } => assert_eq!(after.get(path), Some(value)),
        Edit::Remove { path } => assert_eq!(after.get(path), None),
        Edit::Append { path, value } => match after.get(path) {
            Some(Value::Seq(items)) => assert!(items.contains(value)),
            other => panic!("no list after append: {other:?}"),
        },
    }
    let again = edit(done.text.as_bytes(), &[change]).expect("a second edit");
    assert!(again.changes.is_empty(), "does more when done twice");
    assert_eq!(again.text, done.text);
});
