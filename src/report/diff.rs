//! A file's change as a unified diff.

use std::fmt::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, DiffTag, group_diff_ops};

use crate::step::{FileChange, Step};

use super::Redactor;

/// Lines around a change, as `diff -u` shows them.
const CONTEXT: usize = 3;

/// How long the shortest diff is looked for. Two long texts that share nothing get a longer one.
const LIMIT: Duration = Duration::from_secs(2);

/// The diff of a file step, without secrets. Empty where only owner or mode change, where it is no text, and for a
/// program, which may hold secrets that no key names.
pub fn unified(file: &FileChange, redactor: &Redactor) -> String {
    let before = file.before.as_ref().map_or(&[][..], |before| &before.bytes);
    let (Ok(old), Ok(new)) = (std::str::from_utf8(before), std::str::from_utf8(&file.after)) else {
        return String::new();
    };
    if old == new || file.rights.mode & 0o111 != 0 {
        return String::new();
    }
    let from = if file.before.is_some() { format!("a{}", file.path) } else { "/dev/null".into() };
    let text = format!("--- {from}\n+++ b{}\n{}", file.path, hunks(old, new));
    // A carriage return would move the cursor; diffs of such files are readable without it.
    redactor.text(&text.replace('\r', ""))
}

/// The change of a text that `path` names, in a form that `patch -p1` takes. Empty where there is none.
pub fn texts(old: &str, new: &str, path: &str, redactor: &Redactor) -> String {
    if old == new {
        return String::new();
    }
    let path = path.trim_start_matches('/');
    redactor.text(&format!("--- a/{path}\n+++ b/{path}\n{}", hunks(old, new)))
}

fn hunks(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let mut text = String::new();
    for group in group_diff_ops(operations(&old, &new), CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let removed = first.old_range().start..last.old_range().end;
        let added = first.new_range().start..last.new_range().end;
        let _ = writeln!(text, "@@ -{} +{} @@", place(removed), place(added));
        for operation in &group {
            let (tag, from, to) = operation.as_tag_tuple();
            if tag == DiffTag::Equal {
                lines(&mut text, ' ', &old[from]);
            } else {
                lines(&mut text, '-', &old[from]);
                lines(&mut text, '+', &new[to]);
            }
        }
    }
    text
}

/// Myers' algorithm, called directly: `TextDiff` holds all of the crate's algorithms, for every kind of text, and is
/// 0.2 MB of the binary.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut found = Compact::new(Replace::new(Capture::new()), old, new);
    let until = Instant::now().checked_add(LIMIT);
    // What the hooks return is `Infallible`.
    let Ok(()) = myers::diff_deadline_raw(&mut found, old, 0..old.len(), new, 0..new.len(), until);
    found.into_inner().into_inner().into_ops()
}

/// First line and number of lines. An empty range stands behind the line that it names.
fn place(range: Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        count => format!("{},{count}", range.start + 1),
    }
}

fn lines(text: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        text.push(sign);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// The diff of a step, if it changes a file.
pub fn of_step(step: &Step, redactor: &Redactor) -> Option<String> {
    match step {
        Step::File(file) => Some(unified(file, redactor)).filter(|diff| !diff.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hunks_are_those_of_diff_u() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n";
        let new = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn";
        let expected = "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n\
                        @@ -11,3 +11,4 @@\n k\n l\n m\n+n\n\\ No newline at end of file\n";
        assert_eq!(hunks(old, new), expected);
        assert_eq!(hunks("", "x\n"), "@@ -0,0 +1 @@\n+x\n");
        assert_eq!(hunks("x\ny\n", ""), "@@ -1,2 +0,0 @@\n-x\n-y\n");
        assert_eq!(hunks("x", "x\n"), "@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x\n");
    }

    /// What `patch` would make of the hunks.
    fn applied(old: &str, hunks: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let (mut at, mut result, mut kept) = (0, String::new(), true);
        for line in hunks.split_inclusive('\n') {
            let rest = line.get(1..).unwrap_or_default();
            match line.as_bytes()[0] {
                b'@' => {
                    let from = rest.split(['-', ' ']).nth(2).unwrap();
                    let (first, count) = from.split_once(',').unwrap_or((from, "1"));
                    let start = first.parse::<usize>().unwrap() - usize::from(count != "0");
                    result.extend(old[at..start].iter().copied());
                    at = start;
                }
                b'\\' => result.truncate(result.len() - usize::from(kept)),
                sign => {
                    kept = sign != b'-';
                    at += usize::from(sign != b'+');
                    result.push_str(if kept { rest } else { "" });
                }
            }
        }
        result.extend(old[at..].iter().copied());
        result
    }

    proptest! {
        #[test]
        fn a_diff_leads_from_the_old_text_to_the_new_one(old in "([abc]{0,1}\n){0,30}[ab]{0,1}", new in "([abc]{0,1}\n){0,30}[ab]{0,1}") {
            prop_assert_eq!(applied(&old, &hunks(&old, &new)), new);
        }
    }
}
