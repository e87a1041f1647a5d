//! A file's change as a unified diff.

use similar::TextDiff;

use crate::step::{FileChange, Step};

use super::Redactor;

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
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(3).header(&from, &format!("b{}", file.path)).to_string();
    // A carriage return would move the cursor; diffs of such files are readable without it.
    redactor.text(&text.replace('\r', ""))
}

/// The diff of a step, if it changes a file.
pub fn of_step(step: &Step, redactor: &Redactor) -> Option<String> {
    match step {
        Step::File(file) => Some(unified(file, redactor)).filter(|diff| !diff.is_empty()),
        _ => None,
    }
}
