//! The text of changed lists: items put in and taken out, with the lines and comments of the others kept.

use super::render::{self, Quotes};
use super::replace::{complicated, flow_insert, keeps_comments, last_line, unterminated};
use super::text::{self, Splice};
use super::tree::{Entry, Kind, Node};
use super::{Parsed, Refusal, Value, data};

/// The column of the dashes of a block list.
fn dash_column(parsed: &Parsed, entry: &Entry, items: &[Node]) -> Option<usize> {
    let lines = &parsed.lines;
    let key_line = lines.index(entry.key.span.start);
    let mut line = lines.index(items.first()?.span.start);
    while line > key_line {
        let content = &parsed.text[lines.span(line)];
        let blank = content.len() - content.trim_start_matches(' ').len();
        if content[blank..].starts_with("- ") || &content[blank..] == "-" {
            return Some(blank);
        }
        line -= 1;
    }
    None
}

/// The line that the dash of a list item stands in, and that it starts with it.
fn dash_line(parsed: &Parsed, items: &[Node], at: usize, column: usize) -> Option<usize> {
    let floor = at.checked_sub(1).map_or(0, |p| parsed.lines.index(items[p].span.end.saturating_sub(1)) + 1);
    let mut line = parsed.lines.index(items[at].span.start);
    loop {
        let content = &parsed.text[parsed.lines.span(line)];
        let blank = content.len() - content.trim_start_matches(' ').len();
        if blank == column && content[blank..].starts_with('-') {
            return Some(line);
        }
        if line <= floor {
            return None;
        }
        line -= 1;
    }
}

/// Makes a block list hold `wanted`: items that stay keep their lines and their comments.
pub(super) fn replace(
    parsed: &Parsed,
    entry: &Entry,
    items: &[Node],
    wanted: &[Value],
) -> Result<Vec<Splice>, Refusal> {
    let refuse = || complicated(parsed, entry);
    let lines = &parsed.lines;
    let column = dash_column(parsed, entry, items).ok_or_else(refuse)?;
    let mut dashes = Vec::with_capacity(items.len());
    for at in 0..items.len() {
        dashes.push(dash_line(parsed, items, at, column).ok_or_else(refuse)?);
    }
    if wanted.len().saturating_mul(items.len()) > 4_000_000 {
        return Err(refuse());
    }
    let mut reader = data::Reader::new(&parsed.tree);
    let values: Vec<Option<Value>> = items.iter().map(|n| reader.read(n)).collect();
    let end_line = |at: usize| {
        let line = lines.index(items[at].span.end.saturating_sub(1));
        line.max(dashes[at])
    };
    let write = |items: &[Value]| -> Vec<String> {
        items.iter().flat_map(|v| render::list_item(v, column, Quotes::Plain)).collect()
    };
    let mut splices = Vec::new();
    let mut next = 0;
    let mut kept: Option<usize> = None;
    let insert = |new: &[Value], kept: Option<usize>| -> Option<Splice> {
        if new.is_empty() {
            return None;
        }
        let new = write(new);
        Some(match kept {
            Some(at) => text::after_line(&parsed.text, lines, end_line(at), &new),
            None => text::before_line(&parsed.text, lines, dashes[0], &new),
        })
    };
    for (at, value) in values.iter().enumerate() {
        let found = value.as_ref().and_then(|v| wanted[next..].iter().position(|w| w == v));
        match found {
            Some(skip) => {
                splices.extend(insert(&wanted[next..next + skip], kept));
                next += skip + 1;
                kept = Some(at);
            }
            None => {
                let gone = lines.span(dashes[at]).start..lines.next(end_line(at));
                keeps_comments(parsed, gone.clone(), &entry.name, &items[at])?;
                splices.push(Splice::new(gone, ""));
            }
        }
    }
    if next < wanted.len() {
        if kept.is_some() {
            may_follow(parsed, &entry.value)?;
        }
        splices.extend(insert(&wanted[next..], kept));
    }
    Ok(splices)
}

/// Refuses to write behind a text block that the end of the file cuts off.
fn may_follow(parsed: &Parsed, value: &Node) -> Result<(), Refusal> {
    if !unterminated(parsed, value) {
        return Ok(());
    }
    Err(Refusal::at(
        parsed.lines.count(),
        "the file ends, without a line end, inside a text block; nothing can follow it unambiguously",
    )
    .hint("end the last line, then run again"))
}

/// Puts one more item at the end of a list.
pub(super) fn append(parsed: &Parsed, entry: &Entry, item: &Value) -> Result<Vec<Splice>, Refusal> {
    match &entry.value.kind {
        Kind::Seq { flow: true, items } => {
            let last = items.last().map(|n| n.span.end);
            let new = render::inline(item, Quotes::Plain, true);
            Ok(vec![flow_insert(&entry.value, last, &new)])
        }
        Kind::Seq { flow: false, items } => {
            may_follow(parsed, &entry.value)?;
            let column = dash_column(parsed, entry, items);
            let column = column.ok_or_else(|| complicated(parsed, entry))?;
            let new = render::list_item(item, column, Quotes::Plain);
            let last = last_line(parsed, entry);
            Ok(vec![text::after_line(&parsed.text, &parsed.lines, last, &new)])
        }
        _ => Err(complicated(parsed, entry)),
    }
}
