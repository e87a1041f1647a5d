//! Finds the live place of a path: the setting itself, or the innermost section that is there.

use crate::types::YamlPath;

use super::tree::{Entry, Kind, Node};
use super::value::{dotted, same_key};
use super::{Parsed, Refusal, Value};

/// A section that settings can be put into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'t> {
    /// The entry it is the value of; `None` for the file itself.
    pub owner: Option<&'t Entry>,
    /// Its map; `None` where nothing stands in it.
    pub map: Option<&'t Node>,
}

impl<'t> Section<'t> {
    pub fn entries(&self) -> &'t [Entry] {
        match self.map.map(|m| &m.kind) {
            Some(Kind::Map { entries, .. }) => entries,
            _ => &[],
        }
    }

    pub fn is_flow(&self) -> bool {
        matches!(self.map.map(|m| &m.kind), Some(Kind::Map { flow: true, .. }))
    }

    /// The entries for `key`, nested form and dotted forms.
    pub fn matching(&self, key: &str) -> (Vec<&'t Entry>, Vec<Dotted<'t>>) {
        let mut nested = Vec::new();
        let mut dots = Vec::new();
        for entry in self.entries() {
            if same_key(&entry.name, key) {
                nested.push(entry);
            } else if let Some(parts) = dotted(&entry.name)
                && same_key(parts[0], key)
            {
                dots.push(Dotted { entry, parts });
            }
        }
        (nested, dots)
    }
}

/// An entry such as `runtime_security_config.enabled: true`.
#[derive(Debug, Clone)]
pub(super) struct Dotted<'t> {
    pub entry: &'t Entry,
    pub parts: Vec<&'t str>,
}

impl Dotted<'_> {
    /// Whether its key is the first part of `rest`, or all of it.
    pub fn leads_to(&self, rest: &[String]) -> bool {
        self.parts.len() <= rest.len() && self.parts.iter().zip(rest).all(|(a, b)| same_key(a, b))
    }
}

impl Parsed {
    pub(super) fn root_section(&self) -> Section<'_> {
        Section { owner: None, map: self.tree.root.as_ref() }
    }

    /// The line (from 1) that an entry starts in.
    pub(super) fn line_of(&self, entry: &Entry) -> usize {
        self.lines.number(entry.key.span.start)
    }

    /// The section that is the value of `entry`, or why it is none.
    pub(super) fn section_of<'t>(&self, entry: &'t Entry, path: &str) -> Result<Section<'t>, Refusal> {
        let line = self.line_of(entry);
        let value = &entry.value;
        self.not_aliased(value, path)?;
        let refuse = |what: &str| {
            Refusal::at(line, format!("`{}` is {what}, so `{path}` cannot be set in it", entry.name))
                .hint("change or remove that line first")
        };
        let map = match &value.kind {
            Kind::Map { .. } => Some(value),
            Kind::Alias(_) => return Err(refuse("an alias of another section")),
            Kind::Seq { .. } => return Err(refuse("a list")),
            Kind::Scalar { .. } => match super::data::of_node(&self.tree, value) {
                Some(Value::Null) if value.anchor == 0 && value.tag.is_none() => None,
                Some(other) => return Err(refuse(other.kind())),
                None => return Err(refuse("not readable")),
            },
        };
        Ok(Section { owner: Some(entry), map })
    }

    /// Refuses to change data that an alias shows in another place, too.
    pub(super) fn not_aliased(&self, node: &Node, path: &str) -> Result<(), Refusal> {
        if node.anchor != 0 && self.tree.aliased.contains(&node.anchor) {
            return Err(Refusal::at(
                self.lines.number(node.span.start),
                format!("`{path}` stands in data with an anchor, which an alias uses in another place, too"),
            )
            .hint("write the data out in both places, or change it by hand"));
        }
        Ok(())
    }
}

/// The line (from 1) of the setting at `path`, in either form.
pub(super) fn line(parsed: &Parsed, path: &YamlPath) -> Option<usize> {
    fn find<'t>(section: Section<'t>, rest: &[String]) -> Option<&'t Entry> {
        let (nested, dots) = section.matching(rest.first()?);
        let nested = nested.into_iter().map(|e| (e, 1));
        let dots = dots.into_iter().filter(|d| d.leads_to(rest)).map(|d| (d.entry, d.parts.len()));
        for (entry, used) in nested.chain(dots) {
            if used == rest.len() {
                return Some(entry);
            }
            let inner = Section { owner: Some(entry), map: Some(&entry.value) };
            if let Some(found) = find(inner, &rest[used..]) {
                return Some(found);
            }
        }
        None
    }
    find(parsed.root_section(), path.keys()).map(|e| parsed.line_of(e))
}
