//! Configuration files: the YAML editor and the templates.

pub mod templates;
pub mod yaml;

use yaml::{Document, Value};

/// The value at a path that stands in the source, such as `fips.enabled`.
pub fn value_at<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    document.get(&path.parse().ok()?)
}

/// A value on one line, for messages.
pub fn shown(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Str(text) if text.is_empty() => "\"\"".into(),
        Value::Str(text) => text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"),
        Value::Seq(items) => format!("[{}]", list(items.iter().map(shown).collect())),
        Value::Map(entries) => {
            format!("{{{}}}", list(entries.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect()))
        }
    }
}
