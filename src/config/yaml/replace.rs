//! The text of one change: a value replaced, an entry or list item put in or taken out. Each function only proposes
//! splices; `edit` parses the result and judges it.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::locate::Section;
use super::render::{self, Quotes};
use super::text::{self, Splice};
use super::tree::{Entry, Kind, Node};
use super::{Parsed, Refusal, Value, list};

/// Whether only blanks stand before the entry on its line.
pub(super) fn starts_line(parsed: &Parsed, entry: &Entry) -> bool {
    let at = entry.key.span.start;
    let start = parsed.lines.span(parsed.lines.index(at)).start;
    parsed.text[start..at].bytes().all(|b| b == b' ')
}

/// The column for a new entry of `section`.
pub(super) fn child_indent(parsed: &Parsed, section: &Section) -> usize {
    let column = |entry: &Entry| {
        let at = entry.key.span.start;
        at - parsed.lines.span(parsed.lines.index(at)).start
    };
    match (section.entries().first(), section.owner) {
        (Some(first), _) => column(first),
        (None, Some(owner)) => column(owner) + 2,
        (None, None) => 0,
    }
}

/// The last line of an entry's content.
pub(super) fn last_line(parsed: &Parsed, entry: &Entry) -> usize {
    let end = entry.end().max(colon(parsed, entry).unwrap_or(0));
    parsed.lines.index(end.saturating_sub(1).max(entry.key.span.start))
}

/// Whether the file ends, without line end, inside this value's text block: readers disagree about its last line end,
/// so nothing may follow it.
pub(super) fn unterminated(parsed: &Parsed, value: &Node) -> bool {
    let last = value.last();
    // Its span leaves blanks at its end out.
    let is_last = || parsed.text.get(last.span.end..).is_some_and(|rest| rest.trim_ascii().is_empty());
    last.is_block_scalar() && !parsed.text.ends_with(['\n', '\r']) && is_last()
}

/// The place behind the colon of an entry.
fn colon(parsed: &Parsed, entry: &Entry) -> Option<usize> {
    let rest = parsed.text.get(entry.key.span.end..)?;
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[blanks..].starts_with(':').then_some(entry.key.span.end + blanks + 1)
}

pub(super) fn complicated(parsed: &Parsed, entry: &Entry) -> Refusal {
    Refusal::at(
        parsed.line_of(entry),
        format!("`{}` is written in a way that is not edited here", entry.name.escape_debug()),
    )
    .hint("write it as `key: value` by hand, then run again")
}

/// The splices that give an empty section whose emptiness is written out (`fips: null`) its place for entries.
pub(super) fn clear_null(parsed: &Parsed, section: &Section) -> Vec<Splice> {
    let (Some(owner), None) = (section.owner, section.map) else {
        return Vec::new();
    };
    match (owner.value.is_nothing(), colon(parsed, owner)) {
        (false, Some(colon)) => vec![Splice::new(colon..owner.value.span.end, "")],
        _ => Vec::new(),
    }
}

/// New lines in a section that is no flow map, behind what it holds.
pub(super) fn insertion(parsed: &Parsed, section: &Section, new: &[String]) -> Result<Splice, Refusal> {
    let (text, lines) = (&parsed.text, &parsed.lines);
    if section.owner.is_none() {
        if let Some(last) = section.entries().last()
            && unterminated(parsed, &last.value)
        {
            return Ok(text::before_line(text, lines, lines.index(last.key.span.start), new));
        }
        let end = parsed.tree.body.end;
        if end < text.len() {
            return Ok(text::before_line(text, lines, lines.index(end), new));
        }
        let last = lines.count() - 1;
        if lines.span(last).is_empty() && last > 0 {
            return Ok(text::after_line(text, lines, last - 1, new));
        }
        if text.is_empty() {
            let with: String = new.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
            return Ok(Splice::new(0..0, with));
        }
        return Ok(text::after_line(text, lines, last, new));
    }
    match (section.entries().last(), section.owner) {
        (Some(last), _) => {
            if unterminated(parsed, &last.value) {
                return Ok(text::before_line(text, lines, lines.index(last.key.span.start), new));
            }
            Ok(text::after_line(text, lines, last_line(parsed, last), new))
        }
        (None, Some(owner)) => Ok(text::after_line(text, lines, last_line(parsed, owner), new)),
        (None, None) => Err(Refusal::new("no place for a new setting")),
    }
}

/// Puts `keys: value` into `section`, where no comment documents it.
pub(super) fn insert(
    parsed: &Parsed,
    section: &Section,
    keys: &[String],
    value: &Value,
) -> Result<Vec<Splice>, Refusal> {
    if let Some(map) = section.map.filter(|_| section.is_flow()) {
        let mut value = value.clone();
        for key in keys[1..].iter().rev() {
            value = Value::Map(vec![(key.clone(), value)]);
        }
        let new = format!("{}: {}", render::key(&keys[0]), render::inline(&value, Quotes::Plain, true));
        return Ok(vec![match section.entries().last() {
            // `{a:, b: 1}` is no map of two keys to every reader; `{a: , b: 1}` is.
            Some(last) if last.value.is_nothing() => {
                let end = entry_end(parsed, last);
                Splice::new(end..end, format!(" , {new}"))
            }
            last => flow_insert(map, last.map(Entry::end), &new),
        }]);
    }
    if section.entries().iter().any(|e| !starts_line(parsed, e)) {
        let first = &section.entries()[0];
        return Err(complicated(parsed, first));
    }
    let new = render::nested(keys, value, child_indent(parsed, section), Quotes::Plain);
    let mut splices = clear_null(parsed, section);
    splices.push(insertion(parsed, section, &new)?);
    Ok(splices)
}

pub(super) fn flow_insert(collection: &Node, last: Option<usize>, new: &str) -> Splice {
    match last {
        Some(end) => Splice::new(end..end, format!(", {new}")),
        None => {
            let inner = collection.span.start + 1;
            Splice::new(inner..inner, new)
        }
    }
}

/// Takes an entry out.
pub(super) fn deletion(parsed: &Parsed, section: &Section, entry: &Entry) -> Result<Vec<Splice>, Refusal> {
    let entries = section.entries();
    let at = entries.iter().position(|e| std::ptr::eq(e, entry)).ok_or_else(|| complicated(parsed, entry))?;
    let gone = if section.is_flow() {
        let end = |e: &Entry| entry_end(parsed, e);
        match (entries.get(at + 1), at.checked_sub(1).map(|i| &entries[i])) {
            (Some(next), _) => entry.key.span.start..next.key.span.start,
            (None, Some(previous)) => end(previous)..end(entry),
            (None, None) => entry.key.span.start..end(entry),
        }
    } else {
        if !starts_line(parsed, entry) || colon(parsed, entry).is_none() {
            return Err(complicated(parsed, entry));
        }
        super::dotted::extent(parsed, entry)
    };
    keeps_comments(parsed, gone.clone(), &entry.name, &entry.value)?;
    // `{a:}` is not a map to every reader; `{a: }` is.
    let bare = parsed.text[..gone.start].ends_with(':') && section.is_flow();
    Ok(vec![Splice::new(gone, if bare { " " } else { "" })])
}

/// Where an entry ends: behind its colon where it has no value.
fn entry_end(parsed: &Parsed, entry: &Entry) -> usize {
    entry.end().max(colon(parsed, entry).unwrap_or(0))
}

/// Refuses to delete lines of comment that stand inside what goes, which is this node of the entry of that name. A comment
/// at the end of a line goes with its line.
pub(super) fn keeps_comments(parsed: &Parsed, gone: Range<usize>, name: &str, node: &Node) -> Result<(), Refusal> {
    let mut texts = Vec::new();
    text_spans(node, &mut texts);
    let lines = &parsed.lines;
    for line in lines.index(gone.start)..=lines.index(gone.end.saturating_sub(1).max(gone.start)) {
        let span = lines.span(line);
        let content = parsed.text[span.clone()].trim_start();
        let at = span.end - content.len();
        if content.starts_with('#') && gone.contains(&at) && !texts.iter().any(|t| t.contains(&at)) {
            return Err(Refusal::at(line + 1, format!("a comment stands inside `{name}`, which would go with it"))
                .hint("move the comment, or make the change by hand"));
        }
    }
    Ok(())
}

/// The places of all scalars: a `#` in them is no comment.
fn text_spans(node: &Node, found: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::Seq { items, .. } => items.iter().for_each(|n| text_spans(n, found)),
        Kind::Map { entries, .. } => entries.iter().for_each(|e| text_spans(&e.value, found)),
        _ => found.push(node.span.clone()),
    }
}

/// How the value that stands there is quoted.
fn quotes_of(node: &Node) -> Quotes {
    match node.kind {
        Kind::Scalar { style: ScalarStyle::SingleQuoted, .. } => Quotes::Single,
        Kind::Scalar { style: ScalarStyle::DoubleQuoted, .. } => Quotes::Double,
        _ => Quotes::Plain,
    }
}

/// Gives a live entry another value.
pub(super) fn replace(parsed: &Parsed, section: &Section, entry: &Entry, new: &Value) -> Result<Vec<Splice>, Refusal> {
    let old = &entry.value;
    let colon_at = colon(parsed, entry);
    if old.tag.is_some() || (!section.is_flow() && (!starts_line(parsed, entry) || colon_at.is_none())) {
        return Err(complicated(parsed, entry));
    }
    if let (Kind::Seq { items, flow: false }, Value::Seq(wanted)) = (&old.kind, new)
        && !wanted.is_empty()
    {
        return list::replace(parsed, entry, items, wanted);
    }
    let flow = section.is_flow() || matches!(old.kind, Kind::Seq { flow: true, .. } | Kind::Map { flow: true, .. });
    let written = render::inline(new, quotes_of(old), flow);
    let inline = render::is_inline(new) || flow;
    if old.is_nothing() {
        if old.anchor != 0 {
            return Err(complicated(parsed, entry));
        }
        let Some(at) = colon_at else {
            let at = entry.key.span.end;
            return Ok(vec![Splice::new(at..at, format!(": {written}"))]);
        };
        if inline {
            return Ok(vec![Splice::new(at..at, format!(" {written}"))]);
        }
        let owner = Section { owner: Some(entry), map: None };
        let lines = render::block(new, child_indent(parsed, &owner), Quotes::Plain);
        return Ok(vec![insertion(parsed, &owner, &lines)?]);
    }
    if old.span.is_empty() {
        return Err(complicated(parsed, entry));
    }
    keeps_comments(parsed, old.span.clone(), &entry.name, old)?;
    let colon_at = colon_at.unwrap_or(entry.key.span.end);
    let block_collection = matches!(old.kind, Kind::Seq { flow: false, .. } | Kind::Map { flow: false, .. });
    if block_collection {
        if old.anchor != 0 {
            return Err(complicated(parsed, entry));
        }
        // From the line below the key to the end: what stands behind the key stays.
        let key_line = parsed.lines.index(entry.key.span.start);
        let below = parsed.lines.next(key_line)..parsed.lines.next(last_line(parsed, entry));
        keeps_comments(parsed, below.clone(), &entry.name, &entry.value)?;
        if below.start > old.span.start {
            return Err(complicated(parsed, entry));
        }
        if inline {
            return Ok(vec![Splice::new(colon_at..colon_at, format!(" {written}")), Splice::new(below, "")]);
        }
        let eol = parsed.lines.eol(&parsed.text, key_line);
        let indent = child_indent(parsed, &Section { owner: Some(entry), map: None });
        let with: String = render::block(new, indent, Quotes::Plain).iter().flat_map(|l| [l.as_str(), eol]).collect();
        return Ok(vec![Splice::new(below, with)]);
    }
    if old.is_block_scalar() {
        return block_scalar(parsed, entry, new, &written);
    }
    if inline {
        return Ok(vec![Splice::new(old.span.clone(), written)]);
    }
    // `tags: a  # note` becomes a list below `tags:  # note`.
    if old.anchor != 0 {
        return Err(complicated(parsed, entry));
    }
    let owner = Section { owner: Some(entry), map: None };
    let lines = render::block(new, child_indent(parsed, &owner), Quotes::Plain);
    Ok(vec![
        Splice::new(colon_at..old.span.end, ""),
        text::after_line(&parsed.text, &parsed.lines, last_line(parsed, entry), &lines),
    ])
}

/// Replaces a text block; a comment behind its `|` stays.
fn block_scalar(parsed: &Parsed, entry: &Entry, new: &Value, written: &str) -> Result<Vec<Splice>, Refusal> {
    let old = &entry.value;
    let lines = &parsed.lines;
    let header = lines.index(old.span.start);
    let indicator = parsed.text[old.span.start..lines.span(header).end]
        .find(|c: char| c.is_whitespace())
        .map_or(lines.span(header).end, |n| old.span.start + n);
    let body_end =
        if old.span.end > lines.next(header) { lines.next(lines.index(old.span.end - 1)) } else { lines.next(header) };
    let body = Splice::new(lines.next(header)..body_end, "");
    if render::is_inline(new) {
        return Ok(vec![Splice::new(old.span.start..indicator, written), body]);
    }
    if old.anchor != 0 {
        return Err(complicated(parsed, entry));
    }
    let colon_at = colon(parsed, entry).ok_or_else(|| complicated(parsed, entry))?;
    let eol = lines.eol(&parsed.text, header);
    let indent = child_indent(parsed, &Section { owner: Some(entry), map: None });
    let with: String = render::block(new, indent, Quotes::Plain).iter().flat_map(|l| [l.as_str(), eol]).collect();
    Ok(vec![Splice::new(colon_at..indicator, ""), Splice::new(body.at, with)])
}
