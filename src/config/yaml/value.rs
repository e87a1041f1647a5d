//! YAML values as the Agent reads them, and what a plain scalar means. No files and no edits here.

use crate::settings::bypass::switch;
use crate::types::YamlPath;

use super::{Parsed, Refusal};

/// One YAML value. A scalar that YAML 1.1 and YAML 1.2 readers understand differently (`yes`, `0123`, `1_000`,
/// `12:30:45`) is `Str` with its text: nothing is guessed, and writing the unambiguous form counts as a change.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Value>),
    /// In the order of the file, without duplicate keys.
    Map(Vec<(String, Value)>),
}

/// Maps are equal whatever their order; NaN equals NaN, so that a file with `.nan` equals itself.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Seq(a), Value::Seq(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => {
                if a.len() != b.len() {
                    return false;
                }
                // The same order is the usual case and needs no sorting.
                if a.iter().zip(b).all(|(x, y)| x.0 == y.0) {
                    return a.iter().zip(b).all(|(x, y)| x.1 == y.1);
                }
                let mut a: Vec<_> = a.iter().collect();
                let mut b: Vec<_> = b.iter().collect();
                a.sort_by(|x, y| x.0.cmp(&y.0));
                b.sort_by(|x, y| x.0.cmp(&y.0));
                a == b
            }
            _ => false,
        }
    }
}

impl Value {
    /// The value at `path`. Keys match whatever their case, and a dotted key counts as nested, as in the Agent;
    /// where both forms exist the nested one is found.
    pub fn get(&self, path: &YamlPath) -> Option<&Value> {
        self.find(path.keys())
    }

    pub(super) fn find(&self, keys: &[String]) -> Option<&Value> {
        let Some(first) = keys.first() else {
            return Some(self);
        };
        let Value::Map(entries) = self else {
            return None;
        };
        let nested = entries.iter().filter(|(k, _)| same_key(k, first));
        for (_, value) in nested {
            if let Some(found) = value.find(&keys[1..]) {
                return Some(found);
            }
        }
        for (key, value) in entries {
            let Some(parts) = dotted(key) else { continue };
            if parts.len() <= keys.len()
                && parts.iter().zip(keys).all(|(a, b)| same_key(a, b))
                && let Some(found) = value.find(&keys[parts.len()..])
            {
                return Some(found);
            }
        }
        None
    }

    /// One YAML value, as given on a command line. Empty text is null.
    pub fn parse(text: &str) -> Result<Value, Refusal> {
        let parsed = Parsed::new(text.to_owned())?;
        Ok(parsed.data)
    }

    /// The value as a switch. Beside booleans it takes the words and numbers that operators use for them, also those
    /// that only some YAML readers take as booleans.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            Value::Int(1) => Some(true),
            Value::Int(0) => Some(false),
            Value::Str(s) => match s.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the Agent, which casts what it reads (see [`switch`]; Go's `ParseInt`), takes this for `wanted`. A word
    /// such as `no` is off to it with quotes and without them; `yes` is on without them only, and is not taken for on.
    pub fn is_to_the_agent(&self, wanted: &Value) -> bool {
        match (self, wanted) {
            (Value::Str(text), Value::Bool(true)) => switch(text) == Some(true),
            (Value::Str(_), Value::Bool(false)) => self.as_bool() == Some(false),
            (Value::Int(number), Value::Bool(on)) => (*number != 0) == *on,
            (Value::Str(text), Value::Int(number)) => *text == number.to_string(),
            _ => self == wanted,
        }
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "empty",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a section",
        }
    }

    /// What a plain scalar means.
    pub fn plain(text: &str) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
                return Value::Float(f64::INFINITY);
            }
            "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            return Value::Str(text.to_owned());
        }
        number(text).unwrap_or_else(|| Value::Str(text.to_owned()))
    }
}

/// A number that all readers take as the same number.
fn number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        let unsigned = text == digits && hex.bytes().all(|b| b.is_ascii_hexdigit());
        return unsigned.then(|| i64::from_str_radix(hex, 16).ok()).flatten().map(Value::Int);
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        // 0123 is octal to some readers and decimal to others.
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        let sign = if negative { "-" } else { "" };
        // One that is larger is rounded by some readers.
        return format!("{sign}{digits}").parse().ok().map(Value::Int);
    }
    let number: f64 = text.parse().ok().filter(|_| float_shape(digits))?;
    number.is_finite().then_some(Value::Float(number))
}

/// Digits with a point, an exponent or both: `1.5`, `.5`, `1.`, `1e3`, `1.5e-3`.
fn float_shape(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_ok
}

/// The Agent lower-cases all keys.
pub(super) fn same_key(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.to_lowercase() == b.to_lowercase()
}

/// More parts than any setting has; a longer key is taken as one key.
const PARTS: usize = 32;

/// The parts of a key that the Agent reads as nested sections.
pub(super) fn dotted(key: &str) -> Option<Vec<&str>> {
    if !key.contains('.') {
        return None;
    }
    let parts: Vec<&str> = key.split('.').collect();
    (parts.len() <= PARTS && !parts.iter().any(|p| p.is_empty())).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_readers_round_is_a_text() {
        assert_eq!(Value::parse("9223372036854775807").unwrap(), Value::Int(i64::MAX));
        for text in ["12345678901234567891", "-12345678901234567891", "1e400"] {
            assert_eq!(Value::parse(text).unwrap(), Value::Str(text.into()));
        }
    }

    #[test]
    fn plain_scalars_mean_what_all_readers_agree_on() {
        for (text, value) in [
            ("true", Value::Bool(true)),
            ("~", Value::Null),
            ("12", Value::Int(12)),
            ("-3", Value::Int(-3)),
            ("0", Value::Int(0)),
            ("0x1f", Value::Int(31)),
            ("1.5", Value::Float(1.5)),
            ("1e3", Value::Float(1000.0)),
            (".inf", Value::Float(f64::INFINITY)),
        ] {
            assert_eq!(Value::plain(text), value, "{text}");
        }
        for text in [
            "yes",
            "off",
            "y",
            "0123",
            "1_000",
            "12:30:45",
            "0o17",
            "1.2.3",
            "-",
            "+",
            ".",
            "e3",
            "1e",
            "-0x1f",
            "2024-01-01",
        ] {
            assert_eq!(Value::plain(text), Value::Str(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_the_agent_casts_is_what_it_is_cast_to() {
        let says =
            |text: &str, wanted: &str| Value::parse(text).unwrap().is_to_the_agent(&Value::parse(wanted).unwrap());
        for (text, wanted) in [("'9803'", "9803"), ("'true'", "true"), ("1", "true"), ("'0'", "false"), ("no", "false")]
        {
            assert!(says(text, wanted), "{text} is {wanted}");
        }
        for (text, wanted) in [("'9804'", "9803"), ("yes", "true"), ("'1'", "false"), ("'0'", "true"), ("x", "false")] {
            assert!(!says(text, wanted), "{text} is not {wanted}");
        }
    }

    #[test]
    fn a_dotted_key_is_found_as_nested() {
        let value = Value::parse("{a.b: {c: 1}, A: {d: 2}}").unwrap();
        let get = |p: &str| value.get(&p.parse().unwrap()).cloned();
        assert_eq!(get("a.b.c"), Some(Value::Int(1)));
        assert_eq!(get("a.D"), Some(Value::Int(2)));
        assert_eq!(get("a.x"), None);
    }
}
