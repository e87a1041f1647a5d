//! From text to a checked value. Messages say what was expected and never repeat a secret.

use std::collections::BTreeMap;

use super::{Setting, TABLE, Type, row};
use crate::secret::{Secret, handle};
use crate::types::{Pin, Release, Site};

/// Bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// Seconds.
const DAY: u64 = 24 * 60 * 60;

/// Where a value was given. Flags beat variables, variables beat the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    File,
    Variable,
    Flag,
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Text(String),
    List(Vec<String>),
    Secret(Secret),
}

impl Setting {
    /// Reads items that were given as a list, which may hold commas.
    pub fn parse_list(&self, items: Vec<String>) -> Result<Option<Value>, String> {
        if !matches!(self.kind, Type::List | Type::Words | Type::Hosts | Type::Paths) {
            return Err("a list was given, and one value was expected".into());
        }
        let items: Vec<String> = items.iter().map(|item| item.trim().to_owned()).filter(|i| !i.is_empty()).collect();
        if items.iter().any(|item| item.chars().any(char::is_control)) {
            return Err("holds a line break or another control character".into());
        }
        Ok((!items.is_empty()).then_some(Value::List(items)))
    }

    /// Reads the setting's text. `Ok(None)`: empty, which means "leave it as it is".
    pub fn parse(&self, text: &str) -> Result<Option<Value>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().any(char::is_control) {
            return Err("holds a line break or another control character".into());
        }
        Ok(Some(match self.kind {
            Type::Bool | Type::Switch => Value::Bool(parse_bool(text)?),
            Type::OnlyOn(why) => match parse_bool(text)? {
                true => Value::Bool(true),
                false => return Err(format!("cannot be turned off: {why}")),
            },
            Type::Never(why) => match parse_bool(text) {
                Ok(false) => return Ok(None),
                _ => return Err(format!("is not done here: {why}")),
            },
            Type::Text | Type::Address => Value::Text(text.to_owned()),
            Type::Seconds(least) => match text.parse::<u64>() {
                Ok(seconds) if (least..=DAY).contains(&seconds) => Value::Text(seconds.to_string()),
                _ => return Err(format!("`{}` is no number of seconds from {least} to {DAY}", text.escape_debug())),
            },
            Type::Bytes => match text.parse::<u64>() {
                Ok(bytes) if (1..=MOST).contains(&bytes) => Value::Text(bytes.to_string()),
                _ => return Err(format!("`{}` is no number of bytes from 1 to {MOST}", text.escape_debug())),
            },
            Type::Words => Value::List(text.split_whitespace().map(str::to_owned).collect()),
            Type::Word => {
                let word = text.to_ascii_lowercase();
                if !word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-".contains(&c)) {
                    return Err(format!("`{}` is not one word such as basic", text.escape_debug()));
                }
                Value::Text(word)
            }
            Type::Secret => Value::Secret(Secret::new(text)),
            Type::Hosts => {
                let items = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty());
                Value::List(items.map(str::to_owned).collect())
            }
            Type::List | Type::Paths => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::List(items.map(str::to_owned).collect())
            }
            Type::Site => Value::Text(text.parse::<Site>()?.to_string()),
            Type::Url if handle(text).is_some() => Value::Text(text.to_owned()),
            Type::Url => {
                if !text.starts_with("https://") && !text.starts_with("http://") {
                    return Err(format!("`{text}` does not begin with https:// or http://"));
                }
                if text.contains(char::is_whitespace) {
                    return Err("an address holds no white space".into());
                }
                Value::Text(text.to_owned())
            }
            Type::Path => Value::Text(text.to_owned()),
            Type::MinorVersion => {
                Pin::agent(7, text)?;
                Value::Text(text.to_owned())
            }
            Type::PackageVersion => {
                Pin::version(text)?;
                Value::Text(text.to_owned())
            }
            Type::Release => Value::Text(text.parse::<Release>()?.to_string()),
            Type::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                Some(word) => Value::Text((*word).to_owned()),
                None => return Err(format!("`{}` is not one of: {}", text.escape_debug(), words.join(", "))),
            },
        }))
    }
}

pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!("`{}` is neither on (1, true, yes, on) nor off (0, false, no, off)", text.escape_debug())),
    }
}

/// What to say of a value of the Agent's that was typed as a bare `yes`, `on` or the like, or as a number that does not
/// fit: it is written as a text, since YAML readers differ on it, and a text of this kind is no switch to the Agent (see [`super::bypass::switch`]).
pub fn note_on_word(path: &str, typed: &str) -> Option<String> {
    let word = typed.trim();
    let digits = word.trim_start_matches(['+', '-']);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && word.parse::<i64>().is_err() {
        // Without it: a key may be made of digits alone.
        return Some(format!("{path}: what was given is a text: as a number it is too large for some readers"));
    }
    let told = ["yes", "no", "on", "off", "y", "n"].iter().any(|known| known.eq_ignore_ascii_case(word));
    told.then(|| {
        format!("{path}: `{word}` is a text, and no switch to the Agent; write true or false where one is meant")
    })
}

/// The values that were given, each with its source.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<&'static str, (Value, Source)>);

impl Values {
    /// Takes a value, unless a stronger source gave one before.
    pub fn give(&mut self, setting: &Setting, value: Value, source: Source) {
        let Some(key) = TABLE.iter().find(|s| s.key == setting.key).map(|s| s.key) else { return };
        if self.0.get(key).is_none_or(|(_, before)| *before <= source) {
            self.0.insert(key, (value, source));
        }
    }

    /// The value of a key that is in the table.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(row(key).key).map(|(value, _)| value)
    }

    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Value::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self, key: &str) -> Option<&[String]> {
        match self.get(key) {
            Some(Value::List(list)) => Some(list),
            _ => None,
        }
    }

    pub fn secret(&self, key: &str) -> Option<&Secret> {
        match self.get(key) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// Where the value of a key came from.
    pub fn source(&self, key: &str) -> Option<Source> {
        self.0.get(row(key).key).map(|(_, source)| *source)
    }

    /// Everything that was given, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.0.iter().map(|(key, (value, _))| (row(key), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_too_large_is_told_and_not_shown() {
        let digits = "12345678901234567890123456789012";
        let told = note_on_word("api_key", digits).unwrap();
        assert!(told.starts_with("api_key: ") && !told.contains(digits), "{told}");
        assert!(note_on_word("port", "9803").is_none() && note_on_word("port", "-9803").is_none());
    }

    #[test]
    fn every_off_value_is_off() {
        let fips = row("fips_mode");
        for off in ["0", "false", "no", "off", "FALSE", "Off", " 0 "] {
            assert_eq!(fips.parse(off), Ok(Some(Value::Bool(false))), "{off}");
        }
        assert_eq!(fips.parse(""), Ok(None));
        assert!(fips.parse("maybe").is_err());
    }

    #[test]
    fn a_flag_beats_a_variable_in_either_order() {
        let env = row("env");
        let text = |t: &str| Value::Text(t.into());
        for order in [[0, 1], [1, 0]] {
            let given = [(text("variable"), Source::Variable), (text("flag"), Source::Flag)];
            let mut values = Values::default();
            for i in order {
                values.give(env, given[i].0.clone(), given[i].1);
            }
            assert_eq!(values.text("env"), Some("flag"));
        }
    }

    #[test]
    fn hostile_values_are_refused_where_they_would_be_read_as_more() {
        assert!(row("api_key").parse("abc\ndef").is_err());
        assert!(row("url").parse("https://a b").is_err());
        assert!(row("url").parse("app.datadoghq.com").is_err());
        assert!(row("agent_minor_version").parse("58;id").is_err());
        assert!(row("agent_minor_version").parse("58.2\n1").is_err());
        assert!(row("site").parse("$(id)").is_err());
    }
}
