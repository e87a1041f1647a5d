//! The contract of the YAML editor over generated files: the result holds the old data plus exactly the change, read
//! by another parser; every line that the change does not need is there, byte for byte and in order; doing it twice
//! does nothing more; no input panics. `YAML_CASES` sets the number of cases (20,000).

#[path = "yaml/oracle.rs"]
mod oracle;

use std::sync::atomic::{AtomicU32, Ordering};

use ddinstall::config::yaml::{Edit, Value, edit, load};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const KEYS: &[&str] = &["a", "b", "c", "d", "fips", "enabled", "tags", "site"];

fn key() -> impl Strategy<Value = String> {
    proptest::sample::select(KEYS).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,6}",
        1 => proptest::sample::select(&[
            "on", "0123", "1e3", "null", "~", "a: b", "x #y", "one\ntwo", "😀", "12:30:45", "=", "<<", "0x1f", "1_000",
            ".inf", "2024-01-01", "", " a ", "- a", "it's", "say \"hi\"", "C:\\dir", "$(x)", "`x`", "50%", "{a}", "[a]",
            "a,b", "*a", "&a", "!a", "|", ">", "?", ":", "a:", "\u{85}", "\u{2028}", "\u{feff}", "\t", "#a", "---", "...",
            "team:infra", "https://app.datadoghq.com/x?y=1&z=2",
        ][..]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|n| Value::Int(n.into())),
        any::<i16>().prop_map(|n| Value::Float(f64::from(n) / 8.0)),
        text().prop_map(Value::Str),
        text().prop_map(Value::Str),
        Just(Value::Null),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let map = proptest::collection::btree_map(key(), scalar(), 0..3);
    prop_oneof![
        6 => scalar(),
        2 => proptest::collection::vec(scalar(), 0..4).prop_map(Value::Seq),
        1 => map.prop_map(|m| Value::Map(m.into_iter().collect())),
    ]
}

/// A scalar as people write it, on one line.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z][a-z0-9.-]{0,8}",
        1 => "'[a-z #:]{0,8}'",
        1 => "\"[a-z #:]{0,8}\"",
        1 => "[0-9]{1,4}",
        2 => proptest::sample::select(&["true", "false", "yes", "null", "~", "1.5", "[]", "{}", "[x, 'y']", "{k: 1, l: }"][..])
            .prop_map(str::to_owned),
    ]
}

fn note() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => Just("  # note".to_owned())]
}

/// The lines of one section or setting, without its key being told apart from comments: `indent` deep.
fn block(indent: usize, depth: u32) -> BoxedStrategy<Vec<String>> {
    let pad = " ".repeat(indent);
    let (p1, p2, p3, p4, p5, p6, p7) =
        (pad.clone(), pad.clone(), pad.clone(), pad.clone(), pad.clone(), pad.clone(), pad);
    let line = (key(), written(), note()).prop_map(move |(k, v, n)| vec![format!("{p1}{k}: {v}{n}")]);
    let empty = (key(), note()).prop_map(move |(k, n)| vec![format!("{p2}{k}:{n}")]);
    let comment = prop_oneof![
        "[a-z ]{0,10}".prop_map(|t| format!("# {t}")),
        (key(), written()).prop_map(|(k, v)| format!("# {k}: {v}")),
        key().prop_map(|k| format!("# {k}:")),
        (key(), written()).prop_map(|(k, v)| format!("#   {k}: {v}")),
        (key(), written()).prop_map(|(k, v)| format!("  # {k}: {v}")),
        key().prop_map(|k| format!("## @param {k} - string")),
        Just(String::new()),
    ]
    .prop_map(move |c| vec![if c.is_empty() { c } else { format!("{p3}{c}") }]);
    let list = (key(), any::<bool>(), proptest::collection::vec((written(), note()), 1..4)).prop_map(
        move |(k, deep, items)| {
            let dash = if deep { "  - " } else { "- " };
            let items = items.into_iter().map(|(v, n)| format!("{p4}{dash}{v}{n}"));
            std::iter::once(format!("{p4}{k}:")).chain(items).collect()
        },
    );
    let scalar = (key(), proptest::sample::select(&["|", "|-", "|+", ">", ">-"][..]), 1..4usize, 0..3usize).prop_map(
        move |(k, style, lines, blank)| {
            let mut out = vec![format!("{p5}{k}: {style}")];
            out.extend((0..lines).map(|n| format!("{p5}  # text {n}")));
            out.extend((0..blank).map(|_| String::new()));
            out
        },
    );
    let dots = (key(), key(), written(), note()).prop_map(move |(k, l, v, n)| vec![format!("{p6}{k}.{l}: {v}{n}")]);
    if depth == 0 {
        return prop_oneof![4 => line, 1 => empty, 3 => comment, 1 => list, 1 => scalar, 1 => dots].boxed();
    }
    let step = proptest::sample::select(&[2usize, 2, 2, 4][..]);
    let section = (key(), step).prop_flat_map(move |(k, step)| {
        let head = format!("{p7}{k}:");
        proptest::collection::vec(block(indent + step, depth - 1), 1..4)
            .prop_map(move |inner| std::iter::once(head.clone()).chain(inner.into_iter().flatten()).collect())
    });
    prop_oneof![4 => line, 1 => empty, 4 => comment, 1 => list, 1 => scalar, 1 => dots, 4 => section].boxed()
}

/// A whole file.
fn file() -> impl Strategy<Value = String> {
    let body = proptest::collection::vec(block(0, 2), 0..8);
    (body, 0..4u8, any::<bool>(), 0..8u8).prop_map(|(body, eol, last, mark)| {
        let mut text = if mark == 0 { "\u{feff}".to_owned() } else { String::new() };
        let lines: Vec<String> = body.into_iter().flatten().collect();
        for (n, line) in lines.iter().enumerate() {
            text.push_str(line);
            if n + 1 < lines.len() || last {
                let crlf = eol == 0 || (eol == 1 && n % 2 == 0);
                text.push_str(if crlf { "\r\n" } else { "\n" });
            }
        }
        text
    })
}

fn an_edit() -> impl Strategy<Value = Edit> {
    let path = proptest::collection::vec(key(), 1..4).prop_map(|k| k.join(".").parse().expect("a path"));
    (path, value(), scalar(), 0..8u8).prop_map(|(path, value, item, verb)| match verb {
        0 => Edit::Remove { path },
        1 => Edit::Append { path, value: item },
        _ => Edit::Set { path, value },
    })
}

fn several() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![2 => proptest::collection::vec(an_edit(), 1), 1 => proptest::collection::vec(an_edit(), 2..5)]
}

/// Lines that the edits have no business with: the live settings of other sections, and comments that do not name a key of
/// the path.
fn foreign<'t>(text: &'t str, edits: &[Edit]) -> Vec<&'t str> {
    let mut keys: Vec<&str> = Vec::new();
    let mut first: Vec<&str> = Vec::new();
    for edit in edits {
        first.push(&edit.path().keys()[0]);
        keys.extend(edit.path().keys().iter().map(String::as_str));
        if let Edit::Set { value: Value::Map(m), .. } = edit {
            keys.extend(m.iter().map(|(k, _)| k.as_str()));
        }
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut ours = false;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let body = content.trim_start().trim_start_matches(['#', ' ']);
        let name = body.split([':', '.']).next().unwrap_or_default();
        let live = !content.is_empty() && !content.trim_start().starts_with('#');
        if live && !content.starts_with([' ', '-']) {
            ours = first.contains(&name);
        }
        let named = keys.contains(&name);
        // Inside our own section text blocks may look like comments.
        if !ours && (live || !named) {
            found.push(line.trim_end_matches(['\r', '\n']));
        }
    }
    found
}

/// Whether no edit undoes another.
fn apart(edits: &[Edit]) -> bool {
    edits.iter().enumerate().all(|(n, a)| {
        let meets = |b: &Edit| a.path().keys().iter().zip(b.path().keys()).all(|(x, y)| x == y);
        !edits[..n].iter().any(meets)
    })
}

/// Whether all of `lines` are lines of `text`, in the same order.
fn survive(lines: &[&str], text: &str) -> Option<String> {
    let mut all = text.trim_start_matches('\u{feff}').split_inclusive('\n').map(|l| l.trim_end_matches(['\r', '\n']));
    lines.iter().find(|l| !all.any(|a| a == **l)).map(|l| (*l).to_owned())
}

/// The contract for one file and edit; lines are compared where the file is `structured` as people write files. True
/// where the edit was made, false where it was refused.
fn holds(before: &str, edits: &[Edit], structured: bool) -> Result<bool, TestCaseError> {
    let done = match edit(before.as_bytes(), edits) {
        Ok(done) => done,
        Err(_) => return Ok(false),
    };
    prop_assert_eq!(done.changes.is_empty(), done.text == before, "changes and text disagree");
    prop_assert_eq!(before.starts_with('\u{feff}'), done.text.starts_with('\u{feff}'));
    let again = edit(done.text.as_bytes(), edits);
    prop_assert!(
        !apart(edits) || again.as_ref().is_ok_and(|a| a.changes.is_empty() && a.text == done.text),
        "twice: {:?}\n{}",
        again,
        done.text
    );
    if structured && let Some(lost) = survive(&foreign(before, edits), &done.text) {
        return Err(TestCaseError::fail(format!("line lost: {lost:?} in\n{}", done.text)));
    }
    if let Some(old) = oracle::read(before) {
        let new = oracle::read(&done.text);
        prop_assert!(new.is_some(), "libyaml cannot read\n{}", done.text);
        let new = new.map(|n| oracle::normal(&n));
        prop_assert_eq!(new, Some(oracle::expected(&old, edits)), "data differ\n{}", done.text);
    }
    Ok(true)
}

fn runner(threads: u32) -> TestRunner {
    let cases = std::env::var("YAML_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000) / threads;
    TestRunner::new(Config { cases, max_global_rejects: 1_000_000, failure_persistence: None, ..Config::default() })
}

#[test]
fn an_edit_changes_what_it_says_and_nothing_else() {
    let (made, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let half = || {
        let case = |(before, edits): (String, Vec<Edit>)| {
            // Files that do not load (the generator repeats keys) are another property's matter.
            if load(before.as_bytes()).is_err() {
                return Ok(());
            }
            let done = holds(&before, &edits, true)?;
            let count = if done { &made } else { &refused };
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        if let Err(e) = runner(2).run(&(file(), several()), case) {
            panic!("{e}");
        }
    };
    std::thread::scope(|s| {
        s.spawn(half);
        s.spawn(half);
    });
    let (made, refused) = (made.into_inner(), refused.into_inner());
    eprintln!("{made} made, {refused} refused");
    assert!(made > refused * 3, "{refused} refused, {made} made");
}

#[test]
fn no_input_panics() {
    let soup = proptest::collection::vec(
        proptest::sample::select(
            &[
                "a", "b", ".", ":", ": ", " ", "  ", "\n", "\r\n", "\t", "#", "# ", "- ", "-", "[", "]", "{", "}", ",",
                "\"", "'", "|", ">", "|+", "&x", "*x", "<<", "!", "!!str ", "?", "---", "...", "%", "\u{feff}", "é",
                "\\", "~", "fips", "enabled", "1",
            ][..],
        ),
        0..40,
    )
    .prop_map(|parts| parts.concat().into_bytes());
    let bytes = proptest::collection::vec(any::<u8>(), 0..64);
    let result = runner(1).run(&(prop_oneof![4 => soup, 1 => bytes], an_edit()), |(before, change)| {
        let _ = load(&before);
        match std::str::from_utf8(&before) {
            Ok(text) => holds(text, &[change], false).map(|_| ()),
            Err(_) => {
                prop_assert!(edit(&before, &[change]).is_err());
                Ok(())
            }
        }
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}
