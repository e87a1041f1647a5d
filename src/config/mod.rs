//! Configuration files: the YAML editor and the templates.

pub mod templates;
pub mod yaml;

use yaml::{Document, Value};

/// The value at a path that stands in the source, such as `fips.enabled`.
pub fn value_at<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    document.get(&path.parse().ok()?)
}

/// Whether a switch at such a path is on, in whatever words the file has for it.
pub fn is_on(document: &Document, path: &str) -> bool {
    value_at(document, path).and_then(Value::as_bool) == Some(true)
}

/// A value on one line, for messages.
pub fn shown(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        // A text that would be read as something else without quotes: `"9803"`.
        Value::Str(text) if Value::plain(text) != *value => format!("\"{text}\""),
        Value::Str(text) => text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"),
        Value::Seq(items) => format!("[{}]", list(items.iter().map(shown).collect())),
        Value::Map(entries) => {
            format!("{{{}}}", list(entries.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_another_value_is_shown_in_quotes() {
        let text = |text: &str| shown(&Value::Str(text.into()));
        assert_eq!((shown(&Value::Int(9803)).as_str(), text("9803").as_str()), ("9803", "\"9803\""));
        assert_eq!((text("").as_str(), text("true").as_str(), text("yes").as_str()), ("\"\"", "\"true\"", "yes"));
    }
}
