//! Every text in a file, keys too, with its place. Reads only.

use super::tree::{Kind, Node};
use super::{Parsed, Refusal, Value, check, data};

/// A text as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Keys and numbers of list items, joined by dots: `instances.0.password`.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub text: String,
    /// It is a key, not a value.
    pub is_key: bool,
}

/// The texts of a file, in its order. An alias shows the text that it stands for, where that is one.
pub fn texts(bytes: &[u8]) -> Result<Vec<Text>, Refusal> {
    let (_, text) = check::decode(bytes)?;
    let parsed = Parsed::new(text)?;
    let mut found = Vec::new();
    if let Some(root) = &parsed.tree.root {
        walk(&parsed, root, "", &mut found);
    }
    Ok(found)
}

fn walk(parsed: &Parsed, node: &Node, path: &str, found: &mut Vec<Text>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let line = |node: &Node| parsed.lines.number(node.span.start);
    match &node.kind {
        Kind::Seq { items, .. } => {
            items.iter().enumerate().for_each(|(i, item)| walk(parsed, item, &below(&i.to_string()), found));
        }
        Kind::Map { entries, .. } => {
            for entry in entries {
                let path = below(&entry.name);
                found.push(Text { path: path.clone(), line: line(&entry.key), text: entry.name.clone(), is_key: true });
                walk(parsed, &entry.value, &path, found);
            }
        }
        Kind::Scalar { .. } | Kind::Alias(_) => {
            if let Some(Value::Str(text)) = data::of_node(&parsed.tree, node) {
                found.push(Text { path: path.to_owned(), line: line(node), text, is_key: false });
            }
        }
    }
}
