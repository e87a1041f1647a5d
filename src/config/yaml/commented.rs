//! Finds settings that stand commented out, in both layouts of the Agent's example files, and turns their lines into
//! live ones. It decides nothing alone: what it proposes is parsed and checked like every other edit.

use super::Parsed;
use super::locate::Section;
use super::render::{self, Quotes};
use super::text::Splice;
use super::tree::{Entry, Kind, Node};
use super::value::same_key;
use super::{Value, text};

/// A line that holds a key, live or commented out, or the first line of a list item.
#[derive(Debug)]
struct Item {
    line: usize,
    /// The column its key would have if all comments were taken away as they are meant.
    indent: usize,
    /// `-` for a list item: its keys belong to nobody who can be asked for.
    key: String,
    live: bool,
    parent: Option<usize>,
    /// Where the documented value and what follows it on the line stand.
    value: std::ops::Range<usize>,
    /// How sure it is that the line is a setting and not prose; `None` for a line that must not be replaced.
    score: Option<u32>,
}

/// All keys of a file, with the comments read as if they were live.
#[derive(Debug)]
pub(super) struct Index {
    items: Vec<Item>,
}

/// A comment line, taken apart.
struct Comment<'t> {
    indent: usize,
    /// What stands after the `#` and its blanks.
    body: &'t str,
    at: usize,
    /// A line of explanation: `## …` or `# # …`.
    prose: bool,
}

impl Index {
    pub fn new(parsed: &Parsed) -> Index {
        let (text, lines) = (&parsed.text, &parsed.lines);
        let marks = Marks::new(parsed);
        let mut items: Vec<Item> = Vec::new();
        let mut stack: Vec<usize> = Vec::new();
        let mut described: Vec<(usize, &str)> = Vec::new();
        let mut next_live = marks.live.iter().peekable();
        let body = lines.index(parsed.tree.body.start)..=lines.index(parsed.tree.body.end);
        for line in body {
            let span = lines.span(line);
            let content = &text[span.clone()];
            let mut new = None;
            let mut list_item = None;
            let mut key_at = None;
            while let Some((l, entry)) = next_live.peek()
                && *l <= line
            {
                key_at = (*l == line).then_some(*entry);
                next_live.next();
            }
            if let Some(entry) = key_at {
                described.clear();
                new = Some(Item {
                    line,
                    indent: entry.key.span.start - span.start,
                    key: entry.name.clone(),
                    live: true,
                    parent: None,
                    value: entry.value.span.clone(),
                    score: None,
                });
            } else if marks.inside(line) || content.trim().is_empty() {
                if !marks.inside(line) {
                    described.clear();
                }
                continue;
            } else if let Some(comment) = comment(content, span.start) {
                if comment.prose || comment.body.starts_with('@') {
                    if let Some(name) = param(comment.body) {
                        described.push((comment.indent, name));
                        pop(&mut stack, &items, comment.indent);
                    }
                } else if let Some(rest) = comment.body.strip_prefix("- ") {
                    list_item = Some((comment.indent, rest, comment.at + 2));
                } else {
                    new = candidate(&comment, line, &described);
                }
            } else {
                let indent = content.len() - content.trim_start_matches(' ').len();
                if content[indent..].starts_with("- ") || &content[indent..] == "-" {
                    list_item = Some((indent, "", span.end));
                }
            }
            if let Some((indent, _, _)) = list_item {
                new = Some(Item {
                    line,
                    indent,
                    key: "-".to_owned(),
                    live: false,
                    parent: None,
                    value: span.end..span.end,
                    score: None,
                });
            }
            let Some(mut item) = new else { continue };
            // The items of a list may stand in the column of its key.
            let depth = item.indent + usize::from(item.key == "-");
            pop(&mut stack, &items, depth);
            item.parent = stack.last().copied();
            if !item.live && item.key != "-" {
                described.clear();
            }
            stack.push(items.len());
            items.push(item);
        }
        Index { items }
    }

    /// Commented lines that document `keys` below `section`, each from outermost to innermost, the surest first. A
    /// chain that is shorter than `keys` documents only the parents.
    fn chains(&self, parsed: &Parsed, section: &Section, keys: &[String]) -> Vec<Vec<usize>> {
        let parent = match section.owner {
            None => None,
            Some(owner) => {
                let line = parsed.lines.index(owner.key.span.start);
                match self.items.iter().position(|i| i.live && i.line == line) {
                    Some(at) => Some(at),
                    None => return Vec::new(),
                }
            }
        };
        let mut found = Vec::new();
        self.descend(parent, keys, &mut Vec::new(), &mut found);
        let score = |chain: &Vec<usize>| -> (usize, u32) {
            let sure = chain.iter().map(|&i| self.items[i].score.unwrap_or(0)).sum();
            (chain.len(), sure)
        };
        found.sort_by_key(|c| std::cmp::Reverse(score(c)));
        found
    }

    fn descend(&self, parent: Option<usize>, keys: &[String], chain: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
        let Some((key, rest)) = keys.split_first() else {
            return;
        };
        // A file full of look-alikes must not cost more than the file is worth.
        if found.len() >= 64 {
            return;
        }
        for (at, item) in self.items.iter().enumerate() {
            if item.live || item.parent != parent || !same_key(&item.key, key) {
                continue;
            }
            let usable = if rest.is_empty() { item.score.is_some() } else { item.value.is_empty() };
            if !usable {
                continue;
            }
            chain.push(at);
            found.push(chain.clone());
            self.descend(Some(at), rest, chain, found);
            chain.pop();
        }
    }

    /// Ways to make `keys: value` live in `section` where it is documented, the best first.
    pub fn activations(&self, parsed: &Parsed, section: &Section, keys: &[String], value: &Value) -> Vec<Vec<Splice>> {
        if section.is_flow() {
            return Vec::new();
        }
        let mut indent = super::replace::child_indent(parsed, section);
        let first_indent = indent;
        self.chains(parsed, section, keys)
            .into_iter()
            .take(4)
            .map(|chain| {
                indent = first_indent;
                let mut splices = Vec::new();
                for (level, &at) in chain.iter().enumerate() {
                    let item = &self.items[at];
                    let mut splice = if level + 1 == keys.len() {
                        leaf_line(parsed, item, value, indent)
                    } else {
                        parent_line(parsed, item, indent)
                    };
                    indent += 2;
                    if level + 1 == chain.len() && chain.len() < keys.len() {
                        let new = render::nested(&keys[chain.len()..], value, indent, Quotes::Plain);
                        push_lines(parsed, item.line, &mut splice, &new);
                    }
                    splices.push(splice);
                }
                splices.extend(super::replace::clear_null(parsed, section));
                splices
            })
            .collect()
    }
}

/// The key of a comment line, where it has one.
fn candidate(comment: &Comment, line: usize, described: &[(usize, &str)]) -> Option<Item> {
    let body = comment.body;
    let colon = body.find(':')?;
    let key = body[..colon].trim_end_matches(' ');
    let key_ok = key.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'/'));
    let after = &body[colon + 1..];
    if !key_ok || !(after.is_empty() || after.starts_with(' ')) {
        return None;
    }
    let documented = described.iter().any(|(_, name)| {
        let last = name.rsplit('.').next().unwrap_or(name);
        same_key(name, key) || same_key(last, key)
    });
    let value = value_part(after);
    let simple = is_simple(value.trim());
    let start = comment.at + colon + 1;
    let empty = value.trim().is_empty() || value.trim() == "{}";
    Some(Item {
        line,
        indent: comment.indent,
        key: key.to_owned(),
        live: false,
        parent: None,
        value: if empty { start..start } else { start..start + value.len() },
        score: (simple || documented).then_some(u32::from(simple) * 2 + u32::from(documented) * 4),
    })
}

/// The part of `text` before a comment, without the blanks at its end.
fn value_part(text: &str) -> &str {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') && matches!(previous, ' ' | '[' | '{' | ',') => quote = Some(c),
            None if c == '#' && previous == ' ' => return text[..at].trim_end(),
            None => {}
        }
        previous = c;
    }
    text.trim_end()
}

/// Whether it looks like an example value, not like a sentence.
fn is_simple(value: &str) -> bool {
    let wrapped = |open: char, close: char| value.len() > 1 && value.starts_with(open) && value.ends_with(close);
    value.is_empty()
        || !value.contains(' ')
        || wrapped('"', '"')
        || wrapped('\'', '\'')
        || wrapped('<', '>')
        || wrapped('[', ']')
        || wrapped('{', '}')
}

/// `@param NAME - …`, the vendor's heading of a setting.
fn param(body: &str) -> Option<&str> {
    let rest = body.trim_start_matches(['#', ' ']).strip_prefix("@param ")?;
    rest.split_whitespace().next()
}

fn comment(content: &str, start: usize) -> Option<Comment<'_>> {
    let blank = content.len() - content.trim_start_matches(' ').len();
    let hashed = content[blank..].strip_prefix('#')?;
    let hashes = hashed.len() - hashed.trim_start_matches('#').len();
    let inner = &hashed[hashes..];
    let spaces = inner.len() - inner.trim_start_matches(' ').len();
    let body = &inner[spaces..];
    Some(Comment {
        indent: blank + spaces.saturating_sub(1),
        body: body.trim_end(),
        at: start + blank + 1 + hashes + spaces,
        prose: hashes > 0 || body.starts_with('#'),
    })
}

fn pop(stack: &mut Vec<usize>, items: &[Item], indent: usize) {
    while let Some(&top) = stack.last()
        && items[top].indent + usize::from(items[top].key == "-") >= indent
    {
        stack.pop();
    }
}

/// Activates a section's line. Its own comment, if it has one, stays.
fn parent_line(parsed: &Parsed, item: &Item, indent: usize) -> Splice {
    let span = parsed.lines.span(item.line);
    let tail = without_braces(&parsed.text[item.value.end..span.end]);
    Splice::new(span, format!("{}{}:{tail}", " ".repeat(indent), item.key))
}

/// What stands behind an example value that is empty, or `{}`.
fn without_braces(tail: &str) -> &str {
    let tail = tail.trim_end();
    tail.trim_start_matches(' ').strip_prefix("{}").unwrap_or(tail)
}

/// Activates a setting's line with its new value, quoted as the example is.
fn leaf_line(parsed: &Parsed, item: &Item, value: &Value, indent: usize) -> Splice {
    let span = parsed.lines.span(item.line);
    let example = parsed.text[item.value.clone()].trim();
    let quotes = match example.as_bytes().first() {
        Some(b'"') => Quotes::Double,
        Some(b'\'') => Quotes::Single,
        _ => Quotes::Plain,
    };
    let mut tail = parsed.text[item.value.end..span.end].trim_end();
    if item.value.is_empty() {
        tail = without_braces(tail);
    }
    let pad = " ".repeat(indent);
    let key = &item.key;
    if render::is_inline(value) {
        let written = render::inline(value, quotes, false);
        return Splice::new(span, format!("{pad}{key}: {written}{tail}"));
    }
    let mut splice = Splice::new(span, format!("{pad}{key}:{tail}"));
    push_lines(parsed, item.line, &mut splice, &render::block(value, indent + 2, quotes));
    splice
}

/// Adds lines behind a replaced line.
fn push_lines(parsed: &Parsed, line: usize, splice: &mut Splice, new: &[String]) {
    let eol = parsed.lines.eol(&parsed.text, line);
    for l in new {
        splice.with.push_str(eol);
        splice.with.push_str(l);
    }
}

/// Which lines hold live keys, and which are the inside of a value and so hold no comments.
struct Marks<'t> {
    live: Vec<(usize, &'t Entry)>,
    /// Line ranges, ascending.
    values: Vec<std::ops::Range<usize>>,
}

impl<'t> Marks<'t> {
    fn new(parsed: &'t Parsed) -> Self {
        let mut marks = Marks { live: Vec::new(), values: Vec::new() };
        if let Some(root) = &parsed.tree.root {
            marks.visit(root, &parsed.lines);
        }
        marks
    }

    fn visit(&mut self, node: &'t Node, lines: &text::Lines) {
        match &node.kind {
            Kind::Map { flow: false, entries } => {
                for e in entries {
                    self.live.push((lines.index(e.key.span.start), e));
                    self.visit(&e.key, lines);
                    self.visit(&e.value, lines);
                }
            }
            Kind::Seq { flow: false, items } => items.iter().for_each(|n| self.visit(n, lines)),
            _ => {
                let first = lines.index(node.span.start);
                let last = lines.index(node.span.end.saturating_sub(1).max(node.span.start));
                if last > first {
                    self.values.push(first + 1..last + 1);
                }
            }
        }
    }

    fn inside(&self, line: usize) -> bool {
        let at = self.values.partition_point(|r| r.end <= line);
        self.values.get(at).is_some_and(|r| r.contains(&line))
    }
}
