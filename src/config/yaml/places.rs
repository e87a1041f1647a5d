//! Files of several documents, and places inside lists, as manifests have them: read and changed by JSON pointers.
//! Each document is parsed by itself, and a change is kept only if the data are the old data plus exactly that change.

use super::check::decode;
use super::data;
use super::render::{self, Quotes};
use super::text::{Splice, after_line, splice};
use super::tree::{Entry, Kind, Node};
use super::{Parsed, Refusal, Value};

/// One change to a document. Places are JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The value is this. Maps on the way that are not there are made.
    Put(String, Value),
    /// The list has this item at its end. A list that is not there is made.
    Push(String, Value),
    /// There is nothing. What is empty then goes, too.
    Remove(String),
}

/// A file of one document or more.
#[derive(Debug)]
pub struct Manifests {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    start: usize,
    /// Lines before it.
    before: usize,
    parsed: Parsed,
}

/// A key as a part of a pointer.
pub fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn keys(at: &str) -> Vec<String> {
    at.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

impl Value {
    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        keys(pointer).iter().try_fold(self, |value, key| value.child(key))
    }

    fn child(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, value)| value),
            Value::Seq(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The items of a list; none where it is no list.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Seq(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none where it is no map.
    pub fn entries(&self) -> &[(String, Value)] {
        match self {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

impl Manifests {
    /// Reads a file of at most `limit` bytes. Documents without data are left out.
    pub fn load(bytes: &[u8], limit: usize) -> Result<Manifests, Refusal> {
        if bytes.len() > limit {
            return Err(Refusal::new(format!("larger than {} MB", limit >> 20)));
        }
        let (_, text) = decode(bytes)?;
        let mut parts = Vec::new();
        // At the start of a line, `---` begins a document wherever it stands, also inside a text.
        let mut starts = vec![(0, 0)];
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if at > 0 && line.starts_with("---") && line[3..].chars().next().is_none_or(char::is_whitespace) {
                starts.push((at, number));
            }
            at += line.len();
        }
        for (n, &(start, before)) in starts.iter().enumerate() {
            let end = starts.get(n + 1).map_or(text.len(), |next| next.0);
            let parsed = Parsed::new(text[start..end].to_owned()).map_err(|mut refusal| {
                refusal.line = refusal.line.map(|line| line + before);
                refusal
            })?;
            if parsed.data != Value::Null {
                parts.push(Part { start, before, parsed });
            }
        }
        Ok(Manifests { text, parts })
    }

    pub fn count(&self) -> usize {
        self.parts.len()
    }

    /// The data of a document; keys with dots stand as they are.
    pub fn data(&self, document: usize) -> &Value {
        self.parts.get(document).map_or(&Value::Null, |part| &part.parsed.data)
    }

    /// The line (from 1) of the place, or of the innermost one around it that is there.
    pub fn line(&self, document: usize, pointer: &str) -> usize {
        let Some(part) = self.parts.get(document) else { return 1 };
        let found = part.find(&keys(pointer));
        let start = match (found.entry, found.node) {
            (Some(entry), _) => entry.key.span.start,
            (None, Some(node)) => node.span.start,
            (None, None) => 0,
        };
        part.before + part.parsed.lines.number(start)
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Changes one document. Nothing is changed where that is refused.
    pub fn change(&mut self, document: usize, change: &Change) -> Result<(), Refusal> {
        let part = self.parts.get(document).ok_or_else(|| Refusal::new("no such document"))?;
        let mut expected = part.parsed.data.clone();
        apply(&mut expected, change);
        let splices = part.plan(change)?;
        let new = splice(&part.parsed.text, splices).ok_or_else(|| Refusal::new("changes overlap"))?;
        let parsed = Parsed::new(new).ok().filter(|parsed| parsed.data == expected).ok_or_else(|| {
            Refusal::new("this cannot be changed without a risk to what stands around it").hint("change it by hand")
        })?;
        let end = part.start + part.parsed.text.len();
        self.text.replace_range(part.start..end, &parsed.text);
        let lines = |text: &str| text.matches('\n').count();
        let (longer, more) = (parsed.text.len(), lines(&parsed.text));
        let (shorter, fewer) = (part.parsed.text.len(), lines(&part.parsed.text));
        for later in &mut self.parts[document + 1..] {
            later.start = later.start + longer - shorter;
            later.before = later.before + more - fewer;
        }
        self.parts[document].parsed = parsed;
        Ok(())
    }
}

/// How far a pointer leads.
struct Found<'t> {
    /// The innermost value that is there.
    node: Option<&'t Node>,
    /// The entry that it is the value of, unless it is an item of a list.
    entry: Option<&'t Entry>,
    /// How many parts of the pointer lead to it.
    used: usize,
}

impl Part {
    fn find(&self, keys: &[String]) -> Found<'_> {
        let mut found = Found { node: self.parsed.tree.root.as_ref(), entry: None, used: 0 };
        for key in keys {
            match found.node.map(|node| &node.kind) {
                Some(Kind::Map { entries, .. }) => {
                    let Some(entry) = entries.iter().find(|entry| entry.name == *key) else { break };
                    (found.node, found.entry) = (Some(&entry.value), Some(entry));
                }
                Some(Kind::Seq { items, .. }) => {
                    let Some(item) = key.parse().ok().and_then(|n: usize| items.get(n)) else { break };
                    (found.node, found.entry) = (Some(item), None);
                }
                _ => break,
            }
            found.used += 1;
        }
        found
    }

    fn plan(&self, change: &Change) -> Result<Vec<Splice>, Refusal> {
        match change {
            Change::Put(at, value) => self.put(&keys(at), value),
            Change::Push(at, value) => {
                let keys = keys(at);
                let found = self.find(&keys);
                match found.node {
                    Some(node) if found.used == keys.len() && matches!(node.kind, Kind::Seq { .. }) => {
                        self.insert(node, None, value)
                    }
                    _ => self.put(&keys, &Value::Seq(vec![value.clone()])),
                }
            }
            Change::Remove(at) => self.remove(&keys(at)),
        }
    }

    fn hard(&self, at: usize) -> Refusal {
        Refusal::at(self.before + self.parsed.lines.number(at), "this cannot be changed in place")
            .hint("change it by hand")
    }

    fn put(&self, keys: &[String], value: &Value) -> Result<Vec<Splice>, Refusal> {
        let found = self.find(keys);
        let node = found.node.ok_or_else(|| self.hard(0))?;
        self.parsed.not_aliased(node, "this")?;
        let rest = &keys[found.used..];
        if let ([first, others @ ..], Kind::Map { .. }) = (rest, &node.kind) {
            let nested = others.iter().rev().fold(value.clone(), |v, key| Value::Map(vec![(key.clone(), v)]));
            return self.insert(node, Some(first), &nested);
        }
        let nested = rest.iter().rev().fold(value.clone(), |v, key| Value::Map(vec![(key.clone(), v)]));
        let empty = node.is_nothing() || matches!(data::of_node(&self.parsed.tree, node), Some(Value::Null));
        if !rest.is_empty() && !empty {
            return Err(self.hard(node.span.start));
        }
        let block = matches!(node.kind, Kind::Seq { flow: false, .. } | Kind::Map { flow: false, .. });
        if block || matches!(node.kind, Kind::Alias(_)) {
            return Err(self.hard(node.span.start));
        }
        let quoted = self.parsed.text[node.span.clone()].starts_with('"');
        let text = if self.is_json() {
            json(&nested)
        } else {
            render::inline(&nested, if quoted { Quotes::Double } else { Quotes::Plain }, !quoted)
        };
        if node.is_nothing() {
            // An empty value's place is behind its colon or its dash.
            let line = self.parsed.lines.index(node.span.start);
            let line = match found.entry {
                Some(entry) => self.parsed.lines.index(entry.key.span.start),
                None => line,
            };
            let span = self.parsed.lines.span(line);
            let content = &self.parsed.text[span.clone()];
            let end = content.find(" #").map_or(content.trim_end().len(), |hash| content[..hash].trim_end().len());
            return Ok(vec![Splice::new(span.start + end..span.start + end, format!(" {text}"))]);
        }
        Ok(vec![Splice::new(node.span.clone(), text)])
    }

    /// A JSON file must stay one.
    fn is_json(&self) -> bool {
        matches!(
            self.parsed.tree.root.as_ref().map(|root| &root.kind),
            Some(Kind::Map { flow: true, .. } | Kind::Seq { flow: true, .. })
        )
    }

    /// One more entry, or item where there is no key, at the end of a collection.
    fn insert(&self, node: &Node, key: Option<&str>, value: &Value) -> Result<Vec<Splice>, Refusal> {
        let text = &self.parsed.text;
        let (flow, spans) = spans(node);
        if flow {
            let new = match (self.is_json(), key) {
                (true, Some(key)) => format!("{}: {}", json(&Value::Str(key.into())), json(value)),
                (true, None) => json(value),
                (false, Some(key)) => format!("{}: {}", render::key(key), render::inline(value, Quotes::Plain, true)),
                (false, None) => render::inline(value, Quotes::Plain, true),
            };
            let Some(last) = spans.last() else {
                let inside = node.span.start + 1..node.span.end - 1;
                return Ok(vec![Splice::new(inside, new)]);
            };
            // As the last one is set off from what stands before it.
            let blank = &text[text[..last.start].trim_end().len()..last.start];
            let blank = if blank.contains('\n') { blank } else { " " };
            return Ok(vec![Splice::new(last.end..last.end, format!(",{blank}{new}"))]);
        }
        let first = spans.first().ok_or_else(|| self.hard(node.span.start))?;
        let lines = &self.parsed.lines;
        let start = if key.is_some() { first.start } else { self.dash(first.start)? };
        let column = start - lines.span(lines.index(start)).start;
        let new = match key {
            Some(key) => render::entry(key, value, column, Quotes::Plain),
            None => render::list_item(value, column, Quotes::Plain),
        };
        let last = lines.index(node.last().span.end.max(node.span.end).saturating_sub(1)).max(lines.index(start));
        Ok(vec![after_line(text, lines, last, &new)])
    }

    /// Where the dash before an item stands.
    fn dash(&self, item: usize) -> Result<usize, Refusal> {
        let before = self.parsed.text[..item].trim_end();
        before.ends_with('-').then(|| before.len() - 1).ok_or_else(|| self.hard(item))
    }

    fn remove(&self, keys: &[String]) -> Result<Vec<Splice>, Refusal> {
        let Some((last, above)) = keys.split_last() else { return Err(self.hard(0)) };
        let parent = self.find(above);
        let node = parent.node.filter(|_| parent.used == above.len()).ok_or_else(|| self.hard(0))?;
        self.parsed.not_aliased(node, "this")?;
        let (flow, spans) = spans(node);
        let at = match &node.kind {
            Kind::Map { entries, .. } => entries.iter().position(|entry| entry.name == *last),
            _ => last.parse().ok().filter(|n: &usize| *n < spans.len()),
        };
        let at = at.ok_or_else(|| self.hard(node.span.start))?;
        if spans.len() == 1 && !above.is_empty() {
            return self.remove(above);
        }
        let own = spans[at].clone();
        if flow {
            let gone = match (at, spans.get(at + 1)) {
                (0, Some(next)) => own.start..next.start,
                (0, None) => node.span.start + 1..node.span.end - 1,
                _ => spans[at - 1].end..own.end,
            };
            return Ok(vec![Splice::new(gone, "")]);
        }
        let lines = &self.parsed.lines;
        let start = if matches!(node.kind, Kind::Seq { .. }) { self.dash(own.start)? } else { own.start };
        let line = lines.span(lines.index(start));
        if self.parsed.text[line.start..start].trim().is_empty() {
            let end = lines.next(lines.index(own.end.max(start + 1).saturating_sub(1)));
            return Ok(vec![Splice::new(line.start..end, "")]);
        }
        // The first key of a list's item stands behind the dash.
        let next = spans.get(at + 1).ok_or_else(|| self.hard(start))?;
        Ok(vec![Splice::new(start..next.start, "")])
    }
}

/// Whether a collection is in flow style, and where its entries or items stand.
fn spans(node: &Node) -> (bool, Vec<std::ops::Range<usize>>) {
    match &node.kind {
        Kind::Seq { flow, items } => (*flow, items.iter().map(|item| item.span.start..item.last().span.end).collect()),
        Kind::Map { flow, entries } => {
            (*flow, entries.iter().map(|e| e.key.span.start..e.end().max(e.value.last().span.end)).collect())
        }
        _ => (false, Vec::new()),
    }
}

/// The value as JSON on one line.
fn json(value: &Value) -> String {
    match value {
        Value::Str(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Seq(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |(key, value): &(String, Value)| format!("{}: {}", json(&Value::Str(key.clone())), json(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => render::inline(other, Quotes::Double, true),
    }
}

/// What a change means as data.
pub fn apply(value: &mut Value, change: &Change) {
    match change {
        Change::Put(at, new) => *reach(value, &keys(at)) = new.clone(),
        Change::Push(at, new) => {
            let list = reach(value, &keys(at));
            match list {
                Value::Seq(items) => items.push(new.clone()),
                other => *other = Value::Seq(vec![new.clone()]),
            }
        }
        Change::Remove(at) => {
            remove(value, &keys(at));
        }
    }
}

fn reach<'v>(value: &'v mut Value, keys: &[String]) -> &'v mut Value {
    let [key, rest @ ..] = keys else { return value };
    let item = key.parse::<usize>().ok().filter(|n| *n < value.items().len());
    if item.is_none() && !matches!(value, Value::Map(_)) {
        *value = Value::Map(Vec::new());
    }
    match value {
        Value::Seq(items) => reach(&mut items[item.unwrap_or(0)], rest),
        Value::Map(entries) => {
            let at = entries.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
                entries.push((key.clone(), Value::Null));
                entries.len() - 1
            });
            reach(&mut entries[at].1, rest)
        }
        other => other,
    }
}

/// Removes, and tells whether what is left is empty.
fn remove(value: &mut Value, keys: &[String]) -> bool {
    let [key, rest @ ..] = keys else { return true };
    match value {
        Value::Map(entries) => {
            if let Some(at) = entries.iter().position(|(k, _)| k == key)
                && remove(&mut entries[at].1, rest)
            {
                entries.remove(at);
            }
            entries.is_empty()
        }
        Value::Seq(items) => {
            if let Some(at) = key.parse().ok().filter(|n: &usize| *n < items.len())
                && remove(&mut items[at], rest)
            {
                items.remove(at);
            }
            items.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, changes: &[Change]) -> String {
        let mut file = Manifests::load(text.as_bytes(), 1 << 20).unwrap();
        changes.iter().for_each(|change| file.change(0, change).unwrap());
        let again = Manifests::load(file.text().as_bytes(), 1 << 20).unwrap();
        assert_eq!(again.data(0), file.data(0));
        file.text().to_owned()
    }

    fn text(value: &str) -> Value {
        Value::Str(value.into())
    }

    #[test]
    fn places_inside_lists_are_changed_and_comments_stay() {
        let before = "a:\n  - name: x # the first\n    env:\n    - {name: A, value: \"1\"}\n    # why B\n    - name: B\n      value: \"2\" # two\n  - name: y\nz: 1\n";
        let put = Change::Put("/a/0/env/1/value".into(), text("3"));
        assert_eq!(changed(before, &[put]), before.replace("\"2\"", "\"3\""));
        let push = Change::Push("/a/0/env".into(), Value::parse("{name: C, value: x}").unwrap());
        assert_eq!(
            changed(before, &[push]),
            before.replace("\"2\" # two\n", "\"2\" # two\n    - name: C\n      value: x\n")
        );
        let remove = Change::Remove("/a/0/env/0".into());
        assert_eq!(changed(before, &[remove]), before.replace("    - {name: A, value: \"1\"}\n", ""));
        let deep = Change::Put("/a/1/securityContext/privileged".into(), Value::Bool(false));
        assert_eq!(
            changed(before, &[deep]),
            before.replace("  - name: y\n", "  - name: y\n    securityContext:\n      privileged: false\n")
        );
        let first = Change::Remove("/a/0/name".into());
        assert!(changed(before, &[first]).starts_with("a:\n  - env:\n"));
        let emptied = [Change::Remove("/a/1/name".into())];
        assert_eq!(changed(before, &emptied), before.replace("  - name: y\n", ""));
    }

    #[test]
    fn a_json_file_stays_one() {
        let before = "{\n  \"a\": [\n    {\"x\": 1},\n    {\"x\": 2}\n  ],\n  \"b\": {}\n}\n";
        let after = changed(
            before,
            &[
                Change::Push("/a".into(), Value::parse("{x: yes}").unwrap()),
                Change::Put("/b/c/d".into(), text("e")),
                Change::Remove("/a/0".into()),
                Change::Put("/n".into(), Value::Int(3)),
            ],
        );
        assert_eq!(
            after,
            "{\n  \"a\": [\n    {\"x\": 2},\n    {\"x\": \"yes\"}\n  ],\n  \"b\": {\"c\": {\"d\": \"e\"}},\n  \"n\": 3\n}\n"
        );
        serde_json::from_str::<serde_json::Value>(&after).unwrap();
    }

    #[test]
    fn documents_are_apart_and_lines_count_through() {
        let text = "# none\n---\na: 1\n---\n# b\nb:\n- c\n- d\n...\n";
        let mut file = Manifests::load(text.as_bytes(), 1 << 20).unwrap();
        assert_eq!((file.count(), file.line(1, "/b/1"), file.line(0, "/a"), file.line(1, "/b/7/x")), (2, 8, 3, 6));
        file.change(0, &Change::Put("/k/o".into(), Value::Int(5))).unwrap();
        file.change(1, &Change::Put("/b/0".into(), Value::Int(5))).unwrap();
        assert_eq!(file.text(), text.replace("- c", "- 5").replace("a: 1\n", "a: 1\nk:\n  o: 5\n"));
        assert_eq!(file.line(1, "/b/1"), 10);
        let broken = Manifests::load(b"a: 1\n---\nb: [\n", 1 << 20).unwrap_err();
        assert!(broken.line.is_some_and(|line| line >= 3), "{broken:?}");
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        let text = "a: &x\n  b: 1\nc: *x\n";
        let mut file = Manifests::load(text.as_bytes(), 1 << 20).unwrap();
        for change in [Change::Put("/a/b".into(), Value::Int(2)), Change::Put("/c/b".into(), Value::Int(2))] {
            let result = file.change(0, &change);
            assert!(result.is_err(), "{change:?}: {result:?}");
        }
    }
}
