//! The parser's events as a tree that knows where each value stands. Reads only; limits keep hostile input cheap.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};

use super::Refusal;
use super::text::Lines;

/// No sane configuration nests deeper, and recursion over the tree stays shallow.
pub(super) const DEPTH: usize = 128;

/// One value and its place, in bytes. For block collections `span` runs from the first entry to the end of
/// the content of the last; for block scalars from `|` or `>` to the end of the text that belongs to it.
#[derive(Debug)]
pub(super) struct Node {
    pub span: Range<usize>,
    /// Its anchor, or 0.
    pub anchor: usize,
    pub tag: Option<String>,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar { text: String, style: ScalarStyle },
    Alias(usize),
    Seq { flow: bool, items: Vec<Node> },
    Map { flow: bool, entries: Vec<Entry> },
}

#[derive(Debug)]
pub(super) struct Entry {
    pub key: Node,
    pub value: Node,
    /// The key as text.
    pub name: String,
}

impl Entry {
    /// Where the entry's content ends.
    pub fn end(&self) -> usize {
        self.value.span.end.max(self.key.span.end)
    }
}

impl Node {
    pub fn is_block_scalar(&self) -> bool {
        matches!(self.kind, Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
    }

    /// Nothing at all stands where the value would be.
    pub fn is_nothing(&self) -> bool {
        self.span.is_empty() && self.anchor == 0 && self.tag.is_none() && matches!(self.kind, Kind::Scalar { .. })
    }

    /// The value that stands last in the text of this one.
    pub fn last(&self) -> &Node {
        match &self.kind {
            Kind::Seq { flow: false, items } => items.last().map_or(self, Node::last),
            Kind::Map { flow: false, entries } => entries.last().map_or(self, |e| e.value.last()),
            _ => self,
        }
    }

    /// Anchors that stand in this value.
    pub fn anchors(&self, found: &mut Vec<usize>) {
        if self.anchor != 0 {
            found.push(self.anchor);
        }
        match &self.kind {
            Kind::Seq { items, .. } => items.iter().for_each(|n| n.anchors(found)),
            Kind::Map { entries, .. } => entries.iter().for_each(|e| {
                e.key.anchors(found);
                e.value.anchors(found);
            }),
            _ => {}
        }
    }
}

/// A file of one document.
#[derive(Debug)]
pub(super) struct Tree {
    /// `None` in a file without data.
    pub root: Option<Node>,
    /// The bytes between an explicit `---` and an explicit `...`.
    pub body: Range<usize>,
    /// Anchors that an alias refers to.
    pub aliased: HashSet<usize>,
}

struct Open {
    node: Node,
    pending: Option<Node>,
    seen: HashMap<String, usize>,
}

/// Parses `text`. Refuses what cannot be edited safely: wrong syntax, several documents, duplicate keys, deep nesting.
pub(super) fn parse(text: &str, lines: &Lines) -> Result<Tree, Refusal> {
    let mut settings = options! { flow_nesting_limit: DEPTH, block_nesting_limit: DEPTH };
    settings.set_emit_comments(false);
    let mut tree = Tree { root: None, body: 0..text.len(), aliased: HashSet::new() };
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    let mut previous_end = 0;
    for event in Parser::new_from_str_with_options(text, settings) {
        let (event, span) = event.map_err(|e| {
            Refusal::at(e.marker().line(), format!("not valid YAML: {}", e.info()))
                .hint("correct that line; `datadog-agent configcheck` and `yamllint` name the place, too")
        })?;
        let bytes = range(&span);
        match event {
            Event::DocumentStart(explicit, _) => {
                documents += 1;
                if documents > 1 {
                    return Err(Refusal::at(lines.number(bytes.start), "a second document starts here (`---`)")
                        .hint("the Agent reads the first document only; keep one document in the file"));
                }
                if explicit {
                    tree.body.start = bytes.end;
                }
            }
            Event::DocumentEnd if text.get(bytes.clone()) == Some("...") => {
                tree.body.end = bytes.start;
            }
            Event::Scalar(value, style, anchor, tag) => {
                let mut span = bytes.clone();
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    span = block_scalar(text, previous_end, bytes.clone());
                }
                let node = Node {
                    span,
                    anchor,
                    tag: tag.map(|t| t.to_string()),
                    kind: Kind::Scalar { text: value.into_owned(), style },
                };
                place(&mut tree, &mut open, node, text, lines)?;
            }
            Event::Alias(id) => {
                tree.aliased.insert(id);
                let node = Node { span: bytes.clone(), anchor: 0, tag: None, kind: Kind::Alias(id) };
                place(&mut tree, &mut open, node, text, lines)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let kind = Kind::Seq { flow: style == StructureStyle::Flow, items: Vec::new() };
                start(&mut open, kind, bytes.clone(), anchor, tag.map(|t| t.to_string()), lines)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let kind = Kind::Map { flow: style == StructureStyle::Flow, entries: Vec::new() };
                start(&mut open, kind, bytes.clone(), anchor, tag.map(|t| t.to_string()), lines)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(closed) = open.pop() else { continue };
                let mut node = closed.node;
                node.span.end = match &node.kind {
                    Kind::Seq { flow: false, items } => items.last().map_or(node.span.end, |n| n.span.end),
                    Kind::Map { flow: false, entries } => entries.last().map_or(node.span.end, Entry::end),
                    _ => bytes.end,
                };
                place(&mut tree, &mut open, node, text, lines)?;
            }
            _ => {}
        }
        previous_end = previous_end.max(bytes.end);
    }
    refuse_tabs(text)?;
    Ok(tree)
}

/// A tab before a key or a comment, or alone on a line, which the parser passes over and the Agent's own (libyaml's kin, as
/// is ours for values) does not.
fn refuse_tabs(text: &str) -> Result<(), Refusal> {
    if !text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        return Ok(());
    }
    let Err(why) = serde_yaml::from_str::<serde::de::IgnoredAny>(text) else { return Ok(()) };
    let said = why.to_string();
    match why.location() {
        Some(place) if ["a tab character", "cannot start any token"].iter().any(|words| said.contains(words)) => {
            Err(Refusal::at(place.line(), "not valid YAML: a tab, which the Agent's reader refuses here")
                .hint("write blanks in its place"))
        }
        // Any other mistake is the parser's to find, and was none to it.
        _ => Ok(()),
    }
}

fn range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

fn start(
    open: &mut Vec<Open>,
    kind: Kind,
    span: Range<usize>,
    anchor: usize,
    tag: Option<String>,
    lines: &Lines,
) -> Result<(), Refusal> {
    if open.len() >= DEPTH {
        return Err(Refusal::at(lines.number(span.start), format!("nested deeper than {DEPTH} levels")));
    }
    open.push(Open { node: Node { span, anchor, tag, kind }, pending: None, seen: HashMap::new() });
    Ok(())
}

/// Puts a finished value where it belongs: the collection that is open, or the root.
fn place(tree: &mut Tree, open: &mut [Open], node: Node, text: &str, lines: &Lines) -> Result<(), Refusal> {
    let Some(top) = open.last_mut() else {
        let nothing = node.is_nothing();
        tree.root = (!nothing).then_some(node);
        return Ok(());
    };
    match &mut top.node.kind {
        Kind::Seq { items, .. } => items.push(node),
        Kind::Map { entries, .. } => match top.pending.take() {
            None => top.pending = Some(node),
            Some(key) => {
                let name = match &key.kind {
                    Kind::Scalar { text, .. } => text.clone(),
                    // A list, map or alias as a key: told apart by its spelling.
                    _ => text.get(key.span.clone()).unwrap_or_default().to_owned(),
                };
                let line = lines.number(key.span.start);
                if name != "<<"
                    && let Some(first) = top.seen.insert(name.clone(), line)
                {
                    return Err(Refusal::at(
                        line,
                        format!("`{}` is there twice, in line {first} and in line {line}", name.escape_debug()),
                    )
                    .hint("remove one of the two lines: the Agent uses only the last"));
                }
                entries.push(Entry { key, value: node, name });
            }
        },
        _ => {}
    }
    Ok(())
}

/// The parser's span of a block scalar starts at its text. This one starts at its `|` or `>`, and leaves out the blank
/// lines after the text unless they belong to it (`|+`).
fn block_scalar(text: &str, from: usize, content: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut blank_before = true;
    while at < content.start {
        match bytes[at] {
            b'|' | b'>' => break,
            b'#' if blank_before => {
                while at < content.start && !matches!(bytes[at], b'\n' | b'\r') {
                    at += 1;
                }
                continue;
            }
            b'&' | b'!' if blank_before => {
                while at < content.start && !bytes[at].is_ascii_whitespace() {
                    at += 1;
                }
                continue;
            }
            _ => {}
        }
        blank_before = bytes[at].is_ascii_whitespace();
        at += 1;
    }
    let header = at.min(content.start);
    let indicator_end = header + text[header..].bytes().take_while(|b| !b.is_ascii_whitespace()).count();
    if text[header..indicator_end].contains('+') {
        return header..content.end.max(indicator_end);
    }
    let body = &text[content.start..content.end];
    let kept = body.trim_end_matches(['\n', '\r', ' ', '\t']).len();
    header..(content.start + kept).max(indicator_end)
}
