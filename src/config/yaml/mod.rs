//! Edits YAML files of the Agent without touching a byte that the change does not need: text is spliced at the places
//! a parser names, and the result is parsed again and must hold the old data plus exactly the change, or nothing is
//! done. It reads no files and knows no settings.

mod check;
mod commented;
mod data;
mod dotted;
mod edit;
mod list;
mod locate;
pub mod places;
mod render;
mod replace;
mod text;
mod texts;
mod tree;
mod value;

use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Kind};
use crate::types::YamlPath;

pub use edit::edit;
pub use texts::{Text, texts};
pub use value::Value;

use commented::Index;
use data::Norm;
use text::Lines;
use tree::Tree;

/// The largest file that is read, in bytes. The Agent's own are below 0.2 MB.
pub const LIMIT: usize = 16 * 1024 * 1024;

/// One change to a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The setting at `path` is `value`. A map is set key by key: keys that it does not name go.
    Set { path: YamlPath, value: Value },
    /// The list at `path` holds an item equal to `value`. A list that is not there is made.
    Append { path: YamlPath, value: Value },
    /// There is no setting at `path`. A section that loses its last setting stays, empty.
    Remove { path: YamlPath },
}

impl Edit {
    /// The place it is about.
    pub fn path(&self) -> &YamlPath {
        match self {
            Edit::Set { path, .. } | Edit::Append { path, .. } | Edit::Remove { path } => path,
        }
    }
}

/// What one edit did.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub path: YamlPath,
    /// The value before; `None` where there was none.
    pub before: Option<Value>,
    /// The value now; `None` where it was removed.
    pub after: Option<Value>,
    /// Dotted keys of the section were brought together with, or made into, a nested section. `before` and
    /// `after` may then be equal.
    pub unified: bool,
}

/// The text after all edits. No changes means that the text is the old one, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    pub text: String,
    pub changes: Vec<Change>,
}

/// Why a file is not read or not edited. The caller knows the file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Counted from 1.
    pub line: Option<usize>,
    pub why: String,
    /// What the operator can do. May be empty.
    pub hint: String,
}

impl Refusal {
    pub fn new(why: impl Into<String>) -> Self {
        Refusal { line: None, why: why.into(), hint: String::new() }
    }

    fn at(line: usize, why: impl Into<String>) -> Self {
        Refusal { line: Some(line), ..Refusal::new(why) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The program's error, exit code 7, for a refused `file`.
    pub fn into_error(self, file: &Path) -> Error {
        let place = match self.line {
            Some(line) => format!("{}, line {line}", file.display()),
            None => file.display().to_string(),
        };
        let error = Error::new(Kind::Merge, format!("{place}: {}", self.why));
        if self.hint.is_empty() { error } else { error.hint(self.hint) }
    }
}

/// A file as the Agent reads it.
#[derive(Debug)]
pub struct Document {
    root: Value,
    notes: Vec<String>,
    parsed: Parsed,
}

impl Document {
    /// All data. Dotted keys at the top level stand expanded; those further down may be data (labels) and stay.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The value at `path`.
    pub fn get(&self, path: &YamlPath) -> Option<&Value> {
        self.root.get(path)
    }

    /// Oddities that the operator should know of, such as a dotted key beside its nested form.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The line (from 1) of the setting at `path`.
    pub fn line(&self, path: &YamlPath) -> Option<usize> {
        locate::line(&self.parsed, path)
    }
}

/// Reads a file: UTF-8, at most 16 MB, one document, a map or nothing at the top.
pub fn load(text: &[u8]) -> Result<Document, Refusal> {
    let (_, text) = check::decode(text)?;
    let parsed = Parsed::new(text)?;
    parsed.top()?;
    Ok(Document { root: dotted::expand(&parsed.data), notes: dotted::notes(&parsed), parsed })
}

/// A text with everything known about it.
#[derive(Debug)]
struct Parsed {
    text: String,
    lines: Lines,
    tree: Tree,
    /// Dotted keys as they stand.
    data: Value,
    /// What stands commented out; made when it is first asked for.
    commented: OnceLock<Index>,
}

impl Parsed {
    fn new(text: String) -> Result<Parsed, Refusal> {
        let lines = Lines::new(&text);
        let tree = tree::parse(&text, &lines)?;
        let data = data::of(&tree, &text)?;
        Ok(Parsed { text, lines, tree, data, commented: OnceLock::new() })
    }

    fn commented(&self) -> &Index {
        self.commented.get_or_init(|| Index::new(self))
    }

    fn norm(&self) -> Norm {
        Norm::of(&self.data)
    }

    /// Refuses a file whose top level is a list or a single value.
    fn top(&self) -> Result<(), Refusal> {
        match (&self.tree.root, &self.data) {
            (Some(root), _) if root.tag.is_some() => {
                Err(Refusal::at(self.lines.number(root.span.start), "the whole file carries a tag")
                    .hint("the Agent's files have none; remove it"))
            }
            (None, _) | (_, Value::Map(_)) => Ok(()),
            (Some(root), other) => Err(Refusal::at(
                self.lines.number(root.span.start),
                format!("the file holds {}, not settings", other.kind()),
            )
            .hint("a configuration file is made of `key: value` lines")),
        }
    }
}
