//! What Agent and helper say to each other (comp/core/secrets/impl/fetch_secret.go): a list of handles in JSON, and an
//! object of answers. The answer is read as the Agent's Go reads it (names of fields in any case, the last of two equal
//! keys counts, nothing behind the object), without a copy of a value that is not overwritten.

use std::collections::{BTreeMap, BTreeSet};

use crate::secret::{Wiped, wipe};

/// The version of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1_0,
    /// It says how long the helper has, and what the built-in backend is to do.
    V1_1,
}

/// What the Agent is asked for a backend of its own (`secret_backend_type`), in JSON.
pub struct BuiltIn {
    pub kind: String,
    pub config: serde_json::Value,
}

/// The request, as the Agent writes it.
pub fn request(version: Version, handles: &[String], timeout: u64, built_in: Option<&BuiltIn>) -> Vec<u8> {
    let mut request = serde_json::Map::new();
    let number = if version == Version::V1_0 { "1.0" } else { "1.1" };
    request.insert("version".into(), number.into());
    request.insert("secrets".into(), handles.into());
    if version == Version::V1_1 {
        request.insert("secret_backend_timeout".into(), timeout.into());
    }
    if let Some(BuiltIn { kind, config }) = built_in {
        request.insert("type".into(), kind.as_str().into());
        request.insert("config".into(), config.clone());
    }
    serde_json::Value::Object(request).to_string().into_bytes()
}

/// What the helper said of one handle.
#[derive(Debug)]
pub enum Answer {
    Resolved(Wiped),
    /// Its own words.
    Error(String),
    Missing,
    /// No value, an empty one, or one of nothing but the line breaks that the Agent is to take off.
    Empty,
}

/// The answers to all handles that were asked for.
#[derive(Debug)]
pub struct Answers {
    pub of: BTreeMap<String, Answer>,
    /// How many answers nobody asked for. Their names may be secrets: a helper may take a value for a handle.
    pub extra: usize,
    /// Handles whose value holds a NUL byte, which few programs take.
    pub nul: BTreeSet<String>,
}

/// Reads the helper's output. The error says what is wrong with it and repeats nothing of it.
pub fn answers(output: &[u8], handles: &[String], trim: bool) -> Result<Answers, String> {
    let mut reader = Reader { bytes: output, at: 0, depth: 0 };
    let mut found: BTreeMap<&str, Entry> = BTreeMap::new();
    let mut extra = 0;
    if output.iter().all(u8::is_ascii_whitespace) {
        return Err("it printed nothing".into());
    }
    reader.object("the answer", |reader, handle| {
        let asked = handles.iter().find(|asked| *asked == handle);
        let entry = reader.entry(asked)?;
        match asked {
            Some(asked) => drop(found.insert(asked, entry)),
            None => extra += 1,
        }
        Ok(())
    })?;
    reader.blanks();
    if reader.at < output.len() {
        return Err(format!("something follows the JSON object, at byte {}", reader.at));
    }
    let mut answers = Answers { of: BTreeMap::new(), extra, nul: BTreeSet::new() };
    for handle in handles {
        let answer = match found.remove(handle.as_str()) {
            None => Answer::Missing,
            Some(Entry { error: Some(error), .. }) if !error.is_empty() => {
                Answer::Error(String::from_utf8_lossy(&error).into_owned())
            }
            Some(Entry { value: None, .. }) => Answer::Empty,
            Some(Entry { value: Some(mut value), .. }) => {
                if trim {
                    let kept = value.iter().rposition(|b| !b"\r\n".contains(b)).map_or(0, |at| at + 1);
                    value.shorten(kept);
                }
                if value.contains(&0) {
                    answers.nul.insert(handle.clone());
                }
                if value.is_empty() { Answer::Empty } else { Answer::Resolved(value) }
            }
        };
        answers.of.insert(handle.clone(), answer);
    }
    Ok(answers)
}

#[derive(Default)]
struct Entry {
    value: Option<Wiped>,
    error: Option<Wiped>,
}

/// No helper nests deeper, and every level is a call of ours. (Go's limit is 10,000.)
const DEPTH: usize = 128;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.blanks();
        self.bytes.get(self.at).copied()
    }

    fn invalid<T>(&self) -> Result<T, String> {
        match self.at >= self.bytes.len() {
            true => Err("it is no JSON: it ends too early".into()),
            false => Err(format!("it is no JSON, at byte {}", self.at)),
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), String> {
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            _ => self.invalid(),
        }
    }

    /// `what` is what an object was expected for.
    fn object(
        &mut self,
        what: &str,
        mut entry: impl FnMut(&mut Self, &str) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.peek() != Some(b'{') {
            let kind = self.kind()?;
            return Err(format!("{what} is {kind}, and an object was expected"));
        }
        self.at += 1;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            entry(self, &String::from_utf8_lossy(&key))?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.invalid(),
            }
        }
    }

    /// `{"value": …, "error": …}`; null stands for one without fields. `asked` is its handle, if somebody asked for it.
    fn entry(&mut self, asked: Option<&String>) -> Result<Entry, String> {
        let mut entry = Entry::default();
        let name = match asked {
            Some(handle) => format!("the answer to `{}`", handle.escape_debug()),
            None => "an answer that nobody asked for".into(),
        };
        if self.peek() == Some(b'n') {
            self.skip()?;
            return Ok(entry);
        }
        self.object(&name, |reader, field| {
            let place = match () {
                () if field.eq_ignore_ascii_case("value") => &mut entry.value,
                () if field.eq_ignore_ascii_case("error") => &mut entry.error,
                () => return reader.skip(),
            };
            match reader.peek() {
                Some(b'"') => *place = Some(reader.string()?),
                // Go leaves a field as it is for null.
                Some(b'n') => reader.skip()?,
                _ => {
                    let kind = reader.kind()?;
                    return Err(format!("`{}` in {name} is {kind}, and text was expected", field.to_ascii_lowercase()));
                }
            }
            Ok(())
        })?;
        Ok(entry)
    }

    /// What kind of value comes next, for messages. It must be a whole one.
    fn kind(&mut self) -> Result<&'static str, String> {
        let kind = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "text",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        };
        self.skip()?;
        Ok(kind)
    }

    /// Passes over one value.
    fn skip(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("it is nested too deeply".into());
        }
        match self.peek() {
            Some(b'{') => self.object("it", |reader, _| reader.skip())?,
            Some(b'[') => {
                self.at += 1;
                if self.peek() == Some(b']') {
                    self.at += 1;
                } else {
                    loop {
                        self.skip()?;
                        match self.peek() {
                            Some(b',') => self.at += 1,
                            Some(b']') => {
                                self.at += 1;
                                break;
                            }
                            _ => return self.invalid(),
                        }
                    }
                }
            }
            Some(b'"') => drop(self.string()?),
            _ => self.word()?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// `true`, `null`, a number.
    fn word(&mut self) -> Result<(), String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
        let word = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        if !matches!(word, "true" | "false" | "null") && serde_json::from_str::<serde_json::Number>(word).is_err() {
            return self.invalid();
        }
        self.at += length;
        Ok(())
    }

    fn string(&mut self) -> Result<Wiped, String> {
        self.take(b'"')?;
        let start = self.at;
        let mut end = start;
        while let Some(byte) = self.bytes.get(end).filter(|byte| **byte != b'"') {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        // What is written is never shorter than what it means.
        let mut text = Wiped::with_capacity(end - start);
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => self.escape(&mut text)?,
                Some(byte) if *byte >= 0x20 => {
                    text.push(&[*byte]);
                    self.at += 1;
                }
                _ => return self.invalid(),
            }
        }
    }

    fn escape(&mut self, text: &mut Wiped) -> Result<(), String> {
        let simple = match self.bytes.get(self.at + 1) {
            Some(b'u') => {
                let mut unit = self.unit(self.at + 2);
                let Some(first) = unit.take() else { return self.invalid() };
                self.at += 6;
                let mut scalar = u32::from(first);
                if (0xd800..0xdc00).contains(&scalar)
                    && self.bytes[self.at..].starts_with(b"\\u")
                    && let Some(second @ 0xdc00..0xe000) = self.unit(self.at + 2)
                {
                    scalar = 0x10000 + ((scalar - 0xd800) << 10) + (u32::from(second) - 0xdc00);
                    self.at += 6;
                }
                // Half a pair becomes the replacement character, as in Go.
                let mut bytes = [0; 4];
                text.push(char::from_u32(scalar).unwrap_or('\u{fffd}').encode_utf8(&mut bytes).as_bytes());
                bytes.fill(0);
                return Ok(());
            }
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            _ => {
                self.at += 1;
                return self.invalid();
            }
        };
        text.push(&[simple]);
        self.at += 2;
        Ok(())
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// Text without the values that were resolved: where one stands in it, all of it goes.
pub fn without_values(text: String, answers: &Answers) -> String {
    let leaks =
        answers.of.values().any(|answer| matches!(answer, Answer::Resolved(value) if holds(text.as_bytes(), value)));
    if leaks {
        wipe(&mut text.into_bytes());
        return "(withheld: it holds the value of a secret)".into();
    }
    text
}

/// Whether a value stands in some output. What is very short stands everywhere, and proves nothing.
pub fn holds(output: &[u8], value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value.len() >= 4 && output.windows(value.len()).any(|window| window == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, handles: &[&str]) -> Result<Vec<String>, String> {
        let handles: Vec<String> = handles.iter().map(|h| (*h).to_owned()).collect();
        let answers = answers(output.as_bytes(), &handles, false)?;
        Ok(handles
            .iter()
            .map(|handle| match &answers.of[handle] {
                Answer::Resolved(value) => format!("={}", String::from_utf8_lossy(value)),
                Answer::Error(why) => format!("!{why}"),
                Answer::Missing => "missing".into(),
                Answer::Empty => "empty".into(),
            })
            .collect())
    }

    #[test]
    fn page_the_request_names_its_version_and_the_handles() {
        let handles = ["secret1".to_owned(), "secret2".to_owned()];
        let text = String::from_utf8(request(Version::V1_0, &handles, 30, None)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json, serde_json::json!({"version": "1.0", "secrets": ["secret1", "secret2"]}));
        let json: serde_json::Value = serde_json::from_slice(&request(Version::V1_1, &handles, 30, None)).unwrap();
        assert_eq!((&json["version"], &json["secret_backend_timeout"]), (&"1.1".into(), &30.into()));
    }

    #[test]
    fn page_an_answer_has_a_value_or_an_error_for_each_handle() {
        let page = r#"{"secret1": {"value": "secret_value", "error": null},
            "secret2": {"value": null, "error": "could not fetch the secret"}}"#;
        assert_eq!(read(page, &["secret1", "secret2"]).unwrap(), ["=secret_value", "!could not fetch the secret"]);
    }

    #[test]
    fn missing_empty_and_both_are_told_apart_as_in_the_agent() {
        let output = r#"{"a": {"value": ""}, "b": {}, "c": null, "d": {"value": "v", "error": "e"}, "e": {"VALUE": "x", "Error": ""}, "a": {"value": "last", "more": [1, {"x": [true, null, -1.5e3]}]}}"#;
        assert_eq!(
            read(output, &["a", "b", "c", "d", "e", "f"]).unwrap(),
            ["=last", "empty", "empty", "!e", "=x", "missing"]
        );
    }

    #[test]
    fn escapes_mean_what_they_mean_in_json() {
        let output = r#"{"a\u0062": {"value": "\u00e9\ud83d\ude00\ud800x\n\"\\\/\t"}, "n": {"value": "a\u0000b"}}"#;
        assert_eq!(read(output, &["ab"]).unwrap(), ["=é😀\u{fffd}x\n\"\\/\t"]);
        let all = answers(output.as_bytes(), &["n".into()], false).unwrap();
        assert_eq!((all.nul.len(), all.extra), (1, 1));
    }

    #[test]
    fn wrong_answers_are_refused_and_never_repeated() {
        const CANARY: &str = "CANARY-0123";
        for (output, says) in [
            ("", "nothing"),
            (" \n", "nothing"),
            ("CANARY-0123", "no JSON"),
            ("\"CANARY-0123\"", "is text, and an object"),
            ("[\"CANARY-0123\"]", "is a list"),
            ("{\"a\": \"CANARY-0123\"}", "the answer to `a` is text"),
            ("{\"a\": {\"value\": 1234}}", "`value` in the answer to `a` is a number"),
            ("{\"a\": {\"value\": [\"CANARY-0123\"]}}", "is a list"),
            ("{\"a\": {\"value\": \"x\", \"error\": {\"CANARY-0123\": 1}}}", "`error` in"),
            ("{\"CANARY-0123\": \"a\"}", "an answer that nobody asked for is text"),
            ("{\"CANARY-0123\": {\"value\": 1}}", "`value` in an answer that nobody asked for is a number"),
            ("{\"a\": {\"value\": \"CANARY-0123\"}", "ends too early"),
            ("{\"a\": {\"value\": \"CANARY-0123\"}} CANARY-0123", "follows the JSON object"),
            ("{\"a\": {\"value\": \"CANARY-0123\0\"}}", "no JSON"),
            ("{\"a\": {\"value\": \"CANARY-0123\n\"}}", "no JSON"),
            ("{\"a\": {\"value\": \"\\x\"}}", "no JSON"),
            ("{\"a\": tru}", "no JSON"),
            ("{a: 1}", "no JSON"),
            ("null", "is null"),
        ] {
            let why = read(output, &["a"]).unwrap_err();
            assert!(why.contains(says) && !why.contains(CANARY), "{output:?}: {why}");
        }
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        assert!(read(&deep, &["a"]).unwrap_err().contains("deeply"));
        let deep = format!("{{\"a\": {{\"x\": {}", "{\"y\": ".repeat(100_000));
        assert!(read(&deep, &["a"]).unwrap_err().contains("deeply"));
    }

    #[test]
    fn line_breaks_at_the_end_go_where_the_agent_takes_them_off() {
        let value = |trim| {
            let output = br#"{"a": {"value": "x\n\r\n"}, "b": {"value": "\n"}}"#;
            let all = answers(output, &["a".into(), "b".into()], trim).unwrap();
            match (&all.of["a"], &all.of["b"]) {
                (Answer::Resolved(a), b) => (a.to_vec(), matches!(b, Answer::Empty)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(value(false), (b"x\n\r\n".to_vec(), false));
        assert_eq!(value(true), (b"x".to_vec(), true));
    }

    #[test]
    fn text_that_holds_a_value_is_withheld() {
        let output = br#"{"a": {"value": "hunter22"}, "b": {"error": "no hunter22 here"}}"#;
        let all = answers(output, &["a".into(), "b".into()], false).unwrap();
        assert!(without_values("no hunter22 here".into(), &all).starts_with("(withheld"));
        assert_eq!(without_values("no such key".into(), &all), "no such key");
    }
}
