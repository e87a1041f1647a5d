//! Takes secrets out of text: those that are known, and those that look like one by their key or their shape.

use crate::config::yaml::{self, Value};
use crate::net::userinfo;
use crate::plan::Plan;
use crate::secret::{self, Secret};
use crate::step::Step;

const HIDDEN: &str = "********";

/// Knows the secrets of a run.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Vec<String>,
}

impl Redactor {
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.into_iter().for_each(|secret| redactor.learn(secret.reveal()));
        redactor
    }

    /// Learns the secrets in the files of a plan, as they are and as they will be.
    pub fn learn_plan(&mut self, plan: &Plan) {
        for step in &plan.steps {
            let Step::File(file) = step else { continue };
            for bytes in file.before.iter().map(|before| &before.bytes).chain([&file.after]) {
                if let Ok(document) = yaml::load(bytes) {
                    self.learn_value(document.root(), false);
                }
            }
        }
    }

    /// Learns the secrets in a value, by the names of their keys.
    pub fn learn_value(&mut self, value: &Value, is_secret: bool) {
        match value {
            Value::Str(text) if is_secret => self.learn(text),
            Value::Seq(items) => items.iter().for_each(|item| self.learn_value(item, is_secret)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    self.learn_value(
                        value,
                        is_secret || secret::is_named_by(key) || key.contains("additional_endpoints"),
                    );
                }
            }
            _ => {}
        }
    }

    fn learn(&mut self, text: &str) {
        // A handle of the Agent's secrets management names a secret and is none. What is very short
        // would take half of every line with it; it is hidden by its key instead.
        for line in text.lines().map(str::trim) {
            if line.len() >= 6 && !line.starts_with("ENC[") && !self.known.iter().any(|k| k == line) {
                self.known.push(line.to_owned());
            }
        }
        // The longest first: one secret may hold another.
        self.known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without its secrets.
    pub fn text(&self, text: &str) -> String {
        let ends_with_newline = text.ends_with('\n');
        let lines: Vec<String> = text.lines().map(|line| self.line(line)).collect();
        let mut out = lines.join("\n");
        if ends_with_newline {
            out.push('\n');
        }
        out
    }

    fn line(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for secret in &self.known {
            if line.contains(secret.as_str()) {
                line = line.replace(secret.as_str(), HIDDEN);
            }
        }
        visible(&hide_keys(&hide_userinfo(&hide_by_key(&line))))
    }
}

/// Control characters become visible: what a service logs must not steer the operator's terminal.
fn visible(line: &str) -> String {
    let shown = |c: char| match c {
        '\t' => '\t',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    line.chars().map(shown).collect()
}

/// `api_key: VALUE`, also in a comment or behind a list dash.
fn hide_by_key(line: &str) -> String {
    let Some(colon) = line.find(": ") else { return line.to_owned() };
    let (before, value) = (&line[..colon], line[colon + 2..].trim());
    let key = before.trim_start_matches([' ', '\t', '#', '-', '+', '"', '\'']).trim_end_matches(['"', '\'']);
    let is_key = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c));
    let harmless = value.is_empty()
        || ["true", "false", HIDDEN, "\"\"", "''"].contains(&value)
        || value.trim_start_matches(['"', '\'']).starts_with("ENC[")
        || value.starts_with('<')
        // A message about a variable is words; its value is known, and hidden by that.
        || (key.starts_with("DD_") && value.contains(' '))
        || value.contains(HIDDEN);
    match is_key && secret::is_named_by(key) && !harmless {
        true => format!("{before}: {HIDDEN}"),
        false => line.to_owned(),
    }
}

/// `scheme://user:password@host`.
fn hide_userinfo(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let word = after.find(|c: char| c.is_whitespace() || ['"', '\''].contains(&c)).unwrap_or(after.len());
        rest = match userinfo(&after[..word]) {
            Some(end) => {
                out.push_str(HIDDEN);
                &after[end..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// Words of just 32 or 40 lower-case hexadecimal digits: API and application keys.
fn hide_keys(line: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let end = rest[start..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(rest.len(), |n| start + n);
        let word = &rest[start..end];
        out.push_str(&rest[..start]);
        out.push_str(if [32, 40].contains(&word.len()) && word.chars().all(is_hex) { HIDDEN } else { word });
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_by_value_key_and_shape() {
        let r = Redactor::new([Secret::new("canary-value-1")]);
        assert_eq!(r.text("GET ?k=canary-value-1&x"), "GET ?k=********&x");
        assert_eq!(r.text("+api_key: abc"), "+api_key: ********");
        assert_eq!(r.text("# app_key: \"abc\"\n"), "# app_key: ********\n");
        assert_eq!(r.text("  - password: x # note"), "  - password: ********");
        assert_eq!(r.text("https: http://u:p@proxy:3128"), "https: http://********@proxy:3128");
        assert_eq!(r.text("E: http://u:p/a@ss@proxy:3128/ x@y"), "E: http://********@proxy:3128/ x@y");
        assert_eq!(r.text("    - 0123456789abcdef0123456789abcdef"), "    - ********");
    }

    #[test]
    fn a_service_cannot_steer_the_terminal() {
        assert_eq!(Redactor::default().text("a\x1b[2Jb\tc\r"), "a\u{fffd}[2Jb\tc\u{fffd}");
    }

    #[test]
    fn what_is_no_secret_stays() {
        let r = Redactor::default();
        for text in [
            "site: ddog-gov.com",
            "api_key: ENC[key]",
            "api_key:",
            "DD_API_KEY_FILE: /nowhere: no such file",
            "secret_backend_command: /x",
            "fips.enabled: true",
            "a: http://x/y@z",
        ] {
            assert_eq!(r.text(text), text);
        }
    }
}
