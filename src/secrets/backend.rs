//! The secret backend that the Agent would use: `secret_*` settings of datadog.yaml, which variables of its environment
//! beat. Pure.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::protocol::BuiltIn;
use crate::config::value_at;
use crate::config::yaml::{Document, Value};

/// The Agent's defaults (pkg/config/setup/config.go): seconds, and bytes of each output.
const TIMEOUT: u64 = 30;
const OUTPUT: u64 = 1024 * 1024;
/// More is never asked of a helper, nor taken from it: a day, and 64 MiB.
const MOST_TIME: u64 = 24 * 60 * 60;
const MOST_OUTPUT: u64 = 64 * 1024 * 1024;

/// How secrets are resolved on this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    pub command: Option<PathBuf>,
    pub arguments: Vec<String>,
    /// `secret_backend_type`; a command beats it.
    pub kind: Option<String>,
    pub config: Json,
    /// Seconds.
    pub timeout: u64,
    /// Bytes of standard output, and of standard error.
    pub output: usize,
    pub group_exec: bool,
    /// Line breaks at the end of a value are taken off.
    pub trim: bool,
    /// Checks' files are left unresolved.
    pub skip_checks: bool,
}

/// A setting, and the variable that beats it.
fn setting(document: Option<&Document>, environment: &[(String, String)], name: &str) -> Option<Value> {
    let variable = format!("DD_{}", name.to_ascii_uppercase());
    // The last line of a name counts.
    let given = environment.iter().rev().find(|(n, v)| *n == variable && !v.is_empty());
    match given {
        Some((_, value)) => Some(Value::Str(value.clone())),
        None => document.and_then(|d| value_at(d, name)).filter(|v| **v != Value::Null).cloned(),
    }
}

/// Reads what is configured.
pub fn configured(document: Option<&Document>, environment: &[(String, String)]) -> Backend {
    let get = |name: &str| setting(document, environment, name);
    let text = |name: &str| get(name).map(|value| plain(&value)).filter(|text| !text.is_empty());
    let on = |name: &str| get(name).and_then(|value| value.as_bool()) == Some(true);
    let number = |name: &str, default: u64, most: u64| {
        let given = match get(name) {
            Some(Value::Int(number)) => u64::try_from(number).ok(),
            Some(Value::Str(text)) => text.trim().parse().ok(),
            _ => None,
        };
        // 0 is the default, as in the Agent.
        given.filter(|n| *n > 0).unwrap_or(default).min(most)
    };
    let arguments = match get("secret_backend_arguments") {
        Some(Value::Seq(items)) => items.iter().map(plain).collect(),
        Some(Value::Str(words)) => words.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let output = number("secret_backend_output_max_size", OUTPUT, MOST_OUTPUT);
    Backend {
        command: get("secret_backend_command").map(|v| plain(&v)).filter(|c| !c.is_empty()).map(PathBuf::from),
        arguments,
        kind: text("secret_backend_type"),
        config: get("secret_backend_config").map_or(Json::Object(serde_json::Map::new()), |value| json(&value)),
        timeout: number("secret_backend_timeout", TIMEOUT, MOST_TIME),
        output: usize::try_from(output).unwrap_or(usize::MAX),
        group_exec: on("secret_backend_command_allow_group_exec_perm"),
        trim: on("secret_backend_remove_trailing_line_break"),
        skip_checks: on("secret_backend_skip_checks"),
    }
}

impl Backend {
    /// Whether handles are resolved at all.
    pub fn is_set(&self) -> bool {
        self.command.is_some() || self.kind.is_some()
    }

    /// What the request says to the Agent's own helper.
    pub fn built_in(&self) -> Option<BuiltIn> {
        let kind = self.kind.clone().filter(|_| self.command.is_none())?;
        Some(BuiltIn { kind, config: self.config.clone() })
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        other => crate::config::shown(other),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(on) => (*on).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.as_str().into(),
        Value::Seq(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn page_the_command_is_named_in_datadog_yaml() {
        let document = yaml::load(b"secret_backend_command: /opt/helper\nsecret_backend_arguments: [read, /run/secrets, 7]\nsecret_backend_timeout: 5\nsecret_backend_output_max_size: 1024\nsecret_backend_command_allow_group_exec_perm: true\n").unwrap();
        let backend = configured(Some(&document), &[]);
        assert_eq!(backend.command, Some("/opt/helper".into()));
        assert_eq!(backend.arguments, ["read", "/run/secrets", "7"]);
        assert_eq!((backend.timeout, backend.output, backend.group_exec, backend.trim), (5, 1024, true, false));
    }

    #[test]
    fn page_variables_of_the_environment_name_it_too_and_win() {
        let document = yaml::load(b"secret_backend_command: /opt/helper\nsecret_backend_timeout: 5\n").unwrap();
        let of = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let environment = [
            of("DD_SECRET_BACKEND_COMMAND", "/old"),
            of("DD_SECRET_BACKEND_COMMAND", "/readsecret.py"),
            of("DD_SECRET_BACKEND_ARGUMENTS", "/run/secrets  two"),
            of("DD_SECRET_BACKEND_REMOVE_TRAILING_LINE_BREAK", "true"),
        ];
        let backend = configured(Some(&document), &environment);
        assert_eq!(backend.command, Some("/readsecret.py".into()));
        assert_eq!((backend.arguments.len(), backend.timeout, backend.trim), (2, 5, true));
    }

    #[test]
    fn what_is_not_set_has_the_agents_defaults_and_a_command_beats_a_type() {
        let backend = configured(None, &[]);
        assert_eq!((backend.timeout, backend.output, backend.is_set()), (30, 1024 * 1024, false));
        let text = "secret_backend_type: file.yaml\nsecret_backend_config: {file_path: /x, a: {b: [1, true]}}\n";
        let backend = configured(Some(&yaml::load(text.as_bytes()).unwrap()), &[]);
        let built_in = backend.built_in().unwrap();
        assert_eq!(built_in.kind, "file.yaml");
        assert_eq!(built_in.config.to_string(), r#"{"a":{"b":[1,true]},"file_path":"/x"}"#);
        let text = format!("{text}secret_backend_command: /x\n");
        assert!(configured(Some(&yaml::load(text.as_bytes()).unwrap()), &[]).built_in().is_none());
    }
}
