//! Values as YAML text that every reader, YAML 1.1 or 1.2, reads back as the same value.

use std::fmt::Write;

use super::Value;

/// How the string that stands in the file now, or in the commented example, is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// As plain as is safe.
    Plain,
    Single,
    Double,
}

/// Words that some reader takes for something else than a text.
const WORDS: &[&str] =
    &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity", "nil", "none"];

/// `value` on one line. Lists and maps come out in flow style.
pub(super) fn inline(value: &Value, quotes: Quotes, in_flow: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(f) => float(*f),
        Value::Str(s) => string(s, quotes, in_flow),
        Value::Seq(items) => {
            let items: Vec<_> = items.iter().map(|v| inline(v, quotes, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(k, v)| format!("{}: {}", key(k), inline(v, quotes, true))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Whether the value goes behind its key on the same line.
pub(super) fn is_inline(value: &Value) -> bool {
    match value {
        Value::Seq(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => true,
    }
}

/// `key: value` as lines without line ends, indented by `indent`.
pub(super) fn entry(name: &str, value: &Value, indent: usize, quotes: Quotes) -> Vec<String> {
    let pad = " ".repeat(indent);
    if is_inline(value) {
        return vec![format!("{pad}{}: {}", key(name), inline(value, quotes, false))];
    }
    let mut lines = vec![format!("{pad}{}:", key(name))];
    lines.extend(block(value, indent + 2, quotes));
    lines
}

/// `keys[0]: keys[1]: … value`, nested, as lines.
pub(super) fn nested(keys: &[String], value: &Value, indent: usize, quotes: Quotes) -> Vec<String> {
    match keys {
        [] => Vec::new(),
        [last] => entry(last, value, indent, quotes),
        [first, rest @ ..] => {
            let mut lines = vec![format!("{}{}:", " ".repeat(indent), key(first))];
            lines.extend(nested(rest, value, indent + 2, quotes));
            lines
        }
    }
}

/// A list or map that is not empty, as lines.
pub(super) fn block(value: &Value, indent: usize, quotes: Quotes) -> Vec<String> {
    match value {
        Value::Seq(items) => items.iter().flat_map(|item| list_item(item, indent, quotes)).collect(),
        Value::Map(entries) => entries.iter().flat_map(|(k, v)| entry(k, v, indent, quotes)).collect(),
        other => vec![format!("{}{}", " ".repeat(indent), inline(other, quotes, false))],
    }
}

/// `- item` as lines.
pub(super) fn list_item(item: &Value, indent: usize, quotes: Quotes) -> Vec<String> {
    let pad = " ".repeat(indent);
    if is_inline(item) {
        return vec![format!("{pad}- {}", inline(item, quotes, false))];
    }
    let mut lines = block(item, indent + 2, quotes);
    if let Some(first) = lines.first_mut() {
        *first = format!("{pad}- {}", first.trim_start_matches(' '));
    }
    lines
}

/// A mapping key.
pub(super) fn key(name: &str) -> String {
    // A long key in quotes is not a simple key any more; there are none in the Agent's files.
    string(name, Quotes::Plain, true)
}

fn float(f: f64) -> String {
    if f.is_nan() {
        return ".nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = format!("{f:?}");
    // YAML 1.1 wants a point and a sign in the exponent: 1.0e+16.
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}

fn string(text: &str, quotes: Quotes, in_flow: bool) -> String {
    match quotes {
        Quotes::Plain if plain_is_safe(text, in_flow) => text.to_owned(),
        Quotes::Single if text.chars().all(|c| !needs_escape(c)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => double_quoted(text),
    }
}

/// Deliberately narrow: a letter (or `/`, `_`) first, then only characters that mean nothing to any reader.
fn plain_is_safe(text: &str, in_flow: bool) -> bool {
    let mut chars = text.chars();
    let first_ok = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    if !first_ok || text.len() > 200 || WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return false;
    }
    let mut previous = ' ';
    for c in text.chars() {
        let ok = c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | '@' | '+')
            || (c == ':' && !in_flow && previous != ':');
        if !ok {
            return false;
        }
        previous = c;
    }
    previous != ':'
}

/// Characters that stand in the file only as an escape: controls, other line ends, byte order marks, non-characters.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || (c as u32) & 0xfffe == 0xfffe
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if needs_escape(c) => {
                let n = c as u32;
                let _ = if n <= 0xff {
                    write!(out, "\\x{n:02x}")
                } else if n <= 0xffff {
                    write!(out, "\\u{n:04x}")
                } else {
                    write!(out, "\\U{n:08x}")
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        inline(&Value::Str(text.to_owned()), Quotes::Plain, false)
    }

    #[test]
    fn a_string_that_could_be_anything_else_is_quoted() {
        for text in [
            "on",
            "yes",
            "No",
            "0123",
            "1e3",
            "null",
            "~",
            "a: b",
            "x #y",
            "12:30:45",
            "=",
            "<<",
            "0x1f",
            "1_000",
            ".inf",
            "2024-01-01",
            "",
            " a",
            "a ",
            "- a",
            "a\nb",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "a:",
            "[a",
            "{a",
            "|",
            ">",
            "'a",
            "?",
            "?a",
            "#a",
            "a,b",
            "y",
            "7.41",
            "true",
        ] {
            let written = plain(text);
            assert!(written.starts_with('"'), "{text:?} written as {written}");
            assert_eq!(Value::parse(&written).unwrap(), Value::Str(text.to_owned()));
        }
    }

    #[test]
    fn an_ordinary_string_stays_plain() {
        for text in ["ddog-gov.com", "prod", "team:infra", "https://app.datadoghq.com", "/etc/datadog-agent", "ENC_x"] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn floats_keep_their_point() {
        for (f, text) in [(1000.0, "1000.0"), (1e16, "1.0e+16"), (1.5e-9, "1.5e-9"), (0.5, "0.5")] {
            assert_eq!(float(f), text);
            assert_eq!(Value::plain(text), Value::Float(f));
        }
    }
}
