//! The data of a parsed file: aliases and merge keys resolved, dotted keys expanded, and what an edit means as data.
//! It knows nothing of text, so that the editor's splices are judged by something that shares no code with them.

use std::collections::{BTreeMap, HashMap};

use granit_parser::ScalarStyle;

use super::tree::{DEPTH, Kind, Node, Tree};
use super::value::{dotted, same_key};
use super::{Edit, Refusal, Value};

/// Resolves a tree, with a budget: aliases may repeat values, but not blow them up.
struct Resolver<'t> {
    anchors: HashMap<usize, &'t Node>,
    /// How many bytes and values aliases may still add.
    budget: usize,
    /// Whether the value being resolved was reached through an alias.
    aliases: usize,
}

/// The data of the document, dotted keys as they stand.
pub(super) fn of(tree: &Tree, text: &str) -> Result<Value, Refusal> {
    let Some(root) = &tree.root else {
        return Ok(Value::Null);
    };
    let mut resolver = Resolver { anchors: HashMap::new(), budget: text.len().saturating_mul(4) + 100_000, aliases: 0 };
    resolver.collect(root);
    resolver.value(root, 0)
}

/// Reads single values of a tree.
pub(super) struct Reader<'t>(Resolver<'t>);

impl<'t> Reader<'t> {
    pub fn new(tree: &'t Tree) -> Self {
        let mut resolver = Resolver { anchors: HashMap::new(), budget: 0, aliases: 0 };
        if let Some(root) = &tree.root
            && !tree.aliased.is_empty()
        {
            resolver.collect(root);
        }
        Reader(resolver)
    }

    /// The data of `node`; `None` where aliases multiply it beyond use.
    pub fn read(&mut self, node: &'t Node) -> Option<Value> {
        self.0.budget = 10_000_000;
        self.0.value(node, 0).ok()
    }
}

/// The data of one value of the tree.
pub(super) fn of_node<'t>(tree: &'t Tree, node: &'t Node) -> Option<Value> {
    Reader::new(tree).read(node)
}

impl<'t> Resolver<'t> {
    fn collect(&mut self, node: &'t Node) {
        if node.anchor != 0 {
            self.anchors.insert(node.anchor, node);
        }
        match &node.kind {
            Kind::Seq { items, .. } => items.iter().for_each(|n| self.collect(n)),
            Kind::Map { entries, .. } => {
                for e in entries {
                    self.collect(&e.key);
                    self.collect(&e.value);
                }
            }
            _ => {}
        }
    }

    fn value(&mut self, node: &'t Node, depth: usize) -> Result<Value, Refusal> {
        if depth > DEPTH {
            return Err(Refusal::new("nested too deeply, or an alias inside its own anchor"));
        }
        if self.aliases > 0 {
            let cost = 16
                + match &node.kind {
                    Kind::Scalar { text, .. } => text.len(),
                    _ => 0,
                };
            self.budget = self
                .budget
                .checked_sub(cost)
                .ok_or_else(|| Refusal::new("its aliases multiply the data beyond all use"))?;
        }
        match &node.kind {
            Kind::Scalar { text, style } => Ok(scalar(node, text, *style)),
            Kind::Alias(id) => {
                let target =
                    self.anchors.get(id).copied().ok_or_else(|| Refusal::new("an alias without its anchor"))?;
                self.aliases += 1;
                let value = self.value(target, depth + 1);
                self.aliases -= 1;
                value
            }
            Kind::Seq { items, .. } => {
                items.iter().map(|n| self.value(n, depth + 1)).collect::<Result<_, _>>().map(Value::Seq)
            }
            Kind::Map { entries, .. } => {
                let mut map = Vec::with_capacity(entries.len());
                let mut merged = Vec::new();
                for e in entries {
                    if is_merge(&e.key) {
                        self.merge(&e.value, depth + 1, &mut merged)?;
                    } else {
                        map.push((e.name.clone(), self.value(&e.value, depth + 1)?));
                    }
                }
                if !merged.is_empty() {
                    let mut names: std::collections::HashSet<String> = map.iter().map(|(k, _)| k.clone()).collect();
                    for (k, v) in merged {
                        if names.insert(k.clone()) {
                            map.push((k, v));
                        }
                    }
                }
                Ok(Value::Map(map))
            }
        }
    }

    /// The keys that `<<: *base` or `<<: [*a, *b]` brings in, the earlier before the later.
    fn merge(&mut self, node: &'t Node, depth: usize, into: &mut Vec<(String, Value)>) -> Result<(), Refusal> {
        match self.value(node, depth)? {
            Value::Map(entries) => into.extend(entries),
            Value::Seq(items) => {
                for item in items {
                    if let Value::Map(entries) = item {
                        into.extend(entries);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text == "<<")
}

fn scalar(node: &Node, text: &str, style: ScalarStyle) -> Value {
    match node.tag.as_deref() {
        Some("tag:yaml.org,2002:str" | "!") => return Value::Str(text.to_owned()),
        Some("tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" | "tag:yaml.org,2002:bool") => {
            return Value::plain(text);
        }
        Some("tag:yaml.org,2002:null") => return Value::Null,
        _ => {}
    }
    match style {
        ScalarStyle::Plain if node.span.is_empty() => Value::Null,
        ScalarStyle::Plain => Value::plain(text),
        _ => Value::Str(text.to_owned()),
    }
}

/// Data with all dotted keys expanded: the form in which old and new are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Norm {
    Map(BTreeMap<String, Norm>),
    Other(Value),
}

impl Norm {
    pub fn of(value: &Value) -> Norm {
        let Value::Map(entries) = value else {
            return Norm::Other(value.clone());
        };
        let mut map = BTreeMap::new();
        // The nested form first, so that where both exist the dotted one is the addition.
        let (dots, plain): (Vec<_>, Vec<_>) = entries.iter().partition(|(k, _)| dotted(k).is_some());
        for (key, value) in plain {
            map.insert(key.clone(), Norm::of(value));
        }
        for (key, value) in dots {
            let parts = dotted(key).unwrap_or_default();
            insert(&mut map, &parts, Norm::of(value));
        }
        Norm::Map(map)
    }

    fn is_empty(&self) -> bool {
        match self {
            Norm::Map(m) => m.is_empty(),
            Norm::Other(v) => *v == Value::Null,
        }
    }

    pub fn get(&self, keys: &[String]) -> Option<&Norm> {
        let Some((first, rest)) = keys.split_first() else {
            return Some(self);
        };
        let Norm::Map(map) = self else { return None };
        map.get(&spelling(map, first)?)?.get(rest)
    }

    /// What `edit` asks for, as data. An edit that cannot be done leaves data that no text will match.
    pub fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Set { path, value } => self.set(path.keys(), Norm::of(value)),
            Edit::Append { path, value } => {
                let mut items = match self.get(path.keys()) {
                    Some(Norm::Other(Value::Seq(items))) => items.clone(),
                    _ => Vec::new(),
                };
                if !items.contains(value) {
                    items.push(value.clone());
                }
                self.set(path.keys(), Norm::Other(Value::Seq(items)));
            }
            Edit::Remove { path } => self.remove(path.keys()),
        }
    }

    fn set(&mut self, keys: &[String], value: Norm) {
        let Some((first, rest)) = keys.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Norm::Map(_)) {
            *self = Norm::Map(BTreeMap::new());
        }
        if let Norm::Map(map) = self {
            let name = spelling(map, first).unwrap_or_else(|| first.clone());
            map.entry(name).or_insert(Norm::Other(Value::Null)).set(rest, value);
        }
    }

    /// A section that loses its last setting stays, empty: nothing else may disappear.
    fn remove(&mut self, keys: &[String]) {
        let Norm::Map(map) = self else { return };
        let [first, rest @ ..] = keys else { return };
        let Some(name) = spelling(map, first) else {
            return;
        };
        if rest.is_empty() {
            map.remove(&name);
        } else if let Some(inner) = map.get_mut(&name) {
            inner.remove(rest);
        }
    }

    /// Whether the file says the same, where an empty section may be written as nothing at all.
    pub fn same(&self, found: &Norm) -> bool {
        match (self, found) {
            (Norm::Map(a), Norm::Map(b)) if !a.is_empty() => {
                a.len() == b.len() && a.iter().zip(b).all(|((ka, va), (kb, vb))| ka == kb && va.same(vb))
            }
            (a, b) => a == b || (a.is_empty() && b.is_empty()),
        }
    }
}

fn spelling(map: &BTreeMap<String, Norm>, key: &str) -> Option<String> {
    if map.contains_key(key) {
        return Some(key.to_owned());
    }
    map.keys().find(|k| same_key(k, key)).cloned()
}

fn insert(map: &mut BTreeMap<String, Norm>, parts: &[&str], value: Norm) {
    let [first, rest @ ..] = parts else { return };
    let slot = map.entry((*first).to_owned()).or_insert_with(|| Norm::Map(BTreeMap::new()));
    if rest.is_empty() {
        merge(slot, value);
        return;
    }
    if !matches!(slot, Norm::Map(_)) {
        *slot = Norm::Map(BTreeMap::new());
    }
    if let Norm::Map(inner) = slot {
        insert(inner, rest, value);
    }
}

fn merge(slot: &mut Norm, value: Norm) {
    match (slot, value) {
        (Norm::Map(into), Norm::Map(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(slot) => merge(slot, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (slot, value) => *slot = value,
    }
}
