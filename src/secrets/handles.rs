//! Finds handles (`ENC[…]`) in the Agent's files, and what is written like one and is none. Pure.

use std::collections::BTreeMap;

use crate::config::yaml::{self, Refusal};
use crate::secret;
use crate::settings::{File, TABLE};

/// What reads a file decides what a handle in it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// datadog.yaml: `secret_*` settings are read before any handle is resolved.
    Main,
    /// security-agent.yaml and the files of checks.
    Other,
    /// system-probe.yaml: its resolver does nothing (comp/core/secrets/noop-impl).
    SystemProbe,
    /// `NAME=value` lines.
    Environment,
}

impl Origin {
    /// Of a file that the Agent reads.
    pub fn of(path: &str) -> Origin {
        match path {
            _ if path == File::SystemProbe.path() => Origin::SystemProbe,
            _ if path == File::Datadog.path() || path == File::Dogstatsd.path() => Origin::Main,
            _ if path.ends_with(".yaml") || path.ends_with(".yml") || path.ends_with(".default") => Origin::Other,
            _ => Origin::Environment,
        }
    }
}

/// What a text is to the Agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is resolved. With template variables (`%%host%%`), these are filled in first.
    Handle { handle: String, templates: Vec<String> },
    /// It looks like a handle and is none, for this reason.
    None(&'static str),
}

/// A handle, or what looks like one, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub line: usize,
    /// `instances.0.password`, or the name of a variable.
    pub path: String,
    pub judged: Judged,
    /// It is resolved, and of no use there.
    pub caution: Option<&'static str>,
}

const IN_KEY: &str = "a key is never resolved, only a value";
const IN_SETTING: &str = "secret_* settings are read before handles are resolved, so they can hold none";
const IN_SYSTEM_PROBE: &str = "system-probe resolves no handles; it reads this as it is";
const PART: &str = "the handle must be the whole value";
const QUOTES: &str = "the quotes are typographic, so they are part of the value; use \" or '";
const CASE: &str = "ENC must be in capital letters, with the bracket right behind it";
const OPEN: &str = "it has no ] at its end";
const SWITCH: &str = "a resolved secret is always text, and this setting is no text";
const EMPTY: &str = "the handle is empty";
const FOR_SYSTEM_PROBE: &str =
    "the Agent resolves it; system-probe, which may read the same environment, takes it as it is";

/// All of a YAML file.
pub fn in_yaml(bytes: &[u8], origin: Origin) -> Result<Vec<Found>, Refusal> {
    let texts = yaml::texts(bytes)?;
    Ok(texts.iter().filter_map(|text| judge(&text.text, &text.path, text.line, text.is_key, origin)).collect())
}

/// All of an environment file.
pub fn in_environment(bytes: &[u8]) -> Vec<Found> {
    let of = |(line, name, value): &(usize, String, String)| judge(value, name, *line, false, Origin::Environment);
    variables(bytes).iter().filter_map(of).collect()
}

/// The variables of an environment file, with their lines: `NAME=value`, the value in quotes or not.
pub fn variables(bytes: &[u8]) -> Vec<(usize, String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let of = |(i, line): (usize, &str)| {
        let line = line.trim();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        Some((i + 1, name.to_owned(), unquoted(value.trim()).to_owned()))
    };
    text.lines().enumerate().filter_map(of).collect()
}

fn unquoted(value: &str) -> &str {
    let quoted = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

fn judge(text: &str, path: &str, line: usize, is_key: bool, origin: Origin) -> Option<Found> {
    let found = |judged, caution| Some(Found { line, path: path.to_owned(), judged, caution });
    let none = |why| found(Judged::None(why), None);
    let Some(handle) = secret::handle(text) else {
        let trimmed = text.trim_matches([' ', '\t']);
        // In any case, and nothing else: `sequenc[e]` is no handle that went wrong.
        let whole = trimmed.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("enc[")) && trimmed.ends_with(']');
        return match () {
            () if whole || trimmed.starts_with("ENC [") => none(CASE),
            () if !trimmed.contains("ENC[") => None,
            () if is_key => none(IN_KEY),
            () if trimmed.starts_with(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) => none(QUOTES),
            () if trimmed.starts_with("ENC[") && !trimmed.contains(']') => none(OPEN),
            () => none(PART),
        };
    };
    let of_secrets = match origin {
        Origin::Main => path.to_ascii_lowercase().starts_with("secret_"),
        Origin::Environment => path.starts_with("DD_SECRET_"),
        _ => false,
    };
    match () {
        () if is_key => none(IN_KEY),
        () if origin == Origin::SystemProbe => none(IN_SYSTEM_PROBE),
        () if of_secrets => none(IN_SETTING),
        () => {
            let caution = match () {
                () if handle.is_empty() => Some(EMPTY),
                () if is_no_text(path, origin) => Some(SWITCH),
                () if origin == Origin::Environment => Some(FOR_SYSTEM_PROBE),
                () => None,
            };
            found(Judged::Handle { handle: handle.to_owned(), templates: templates(handle) }, caution)
        }
    }
}

/// Settings that we know to be a switch.
fn is_no_text(path: &str, origin: Origin) -> bool {
    TABLE.iter().filter(|setting| setting.is_switch()).any(|setting| match origin {
        Origin::Main => setting.lands.iter().any(|(file, at)| *file == File::Datadog && at.eq_ignore_ascii_case(path)),
        Origin::Environment => setting.variables.contains(&path) && !setting.lands.is_empty(),
        _ => false,
    })
}

/// The template variables of Autodiscovery in a handle: `%%host%%`.
fn templates(handle: &str) -> Vec<String> {
    let mut parts = handle.split("%%").skip(1);
    let mut found = Vec::new();
    while let (Some(name), Some(_)) = (parts.next(), parts.next()) {
        if !name.is_empty() {
            found.push(format!("%%{name}%%"));
        }
    }
    found
}

/// What is found in all files: by file, or why a file cannot be read.
pub type Files = BTreeMap<String, Result<Vec<Found>, String>>;

/// The handles that a helper can be asked for now, each once: those without template variables.
pub fn asked(files: &Files) -> Vec<String> {
    let mut handles: Vec<String> = Vec::new();
    for found in files.values().flatten().flatten() {
        match &found.judged {
            Judged::Handle { handle, templates } if templates.is_empty() && !handles.contains(handle) => {
                handles.push(handle.clone());
            }
            _ => {}
        }
    }
    handles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str, origin: Origin) -> Vec<(String, Judged)> {
        in_yaml(text.as_bytes(), origin).unwrap().into_iter().map(|found| (found.path, found.judged)).collect()
    }

    fn handle(path: &str, handle: &str) -> (String, Judged) {
        (path.into(), Judged::Handle { handle: handle.into(), templates: Vec::new() })
    }

    fn none(path: &str, why: &'static str) -> (String, Judged) {
        (path.into(), Judged::None(why))
    }

    #[test]
    fn page_a_handle_is_the_whole_value_of_a_field() {
        let page = "instances:\n  - server: db_prod\n    # two\n    user: \"ENC[db_prod_user]\"\n    password: \"ENC[db_prod_password]\"\n    password2: \"db-ENC[prod_password]\"\n";
        assert_eq!(
            yaml(page, Origin::Other),
            [
                handle("instances.0.user", "db_prod_user"),
                handle("instances.0.password", "db_prod_password"),
                none("instances.0.password2", PART)
            ]
        );
        assert_eq!(in_yaml(page.as_bytes(), Origin::Other).unwrap()[1].line, 5);
    }

    #[test]
    fn page_any_character_may_stand_in_a_handle_and_quotes_are_escaped() {
        let page = r#"password: "ENC[{\"env\": \"prod\", \"check\": \"postgres\", \"id\": \"user_password\"}]""#;
        let json = r#"{"env": "prod", "check": "postgres", "id": "user_password"}"#;
        assert_eq!(yaml(page, Origin::Other), [handle("password", json)]);
    }

    #[test]
    fn page_brackets_inside_a_handle_need_no_escape() {
        assert_eq!(yaml("user: \"ENC[user_array[1234]]\"", Origin::Other), [handle("user", "user_array[1234]")]);
        assert_eq!(yaml("user: ENC[user_array[1234]]", Origin::Other), [handle("user", "user_array[1234]")]);
        // As the page prints it, with typographic quotes, it is none.
        assert_eq!(yaml("user: “ENC[user_array[1234]]”", Origin::Other), [none("user", QUOTES)]);
    }

    #[test]
    fn page_template_variables_may_stand_in_handles() {
        let page = "instances:\n  - server: '%%host%%'\n    user: ENC[db_prod_user_%%host%%]\n    password: ENC[db_prod_password_%%port_1%%_%%host%%]\n";
        let found = yaml(page, Origin::Other);
        let templates = |i: usize| match &found[i].1 {
            Judged::Handle { templates, .. } => templates.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (templates(0), templates(1)),
            (vec!["%%host%%".into()], vec!["%%port_1%%".into(), "%%host%%".into()])
        );
        let files = Files::from([("conf.d/a.yaml".into(), in_yaml(page.as_bytes(), Origin::Other).map_err(|r| r.why))]);
        assert!(asked(&files).is_empty());
        // The page's example itself has `%%host%%` without quotes, which is no YAML.
        assert!(in_yaml(b"server: %%host%%\n", Origin::Other).is_err());
    }

    #[test]
    fn page_secret_settings_cannot_be_handles() {
        let text = "api_key: ENC[api_key]\nsecret_backend_command: ENC[x]\nsecret_backend_config:\n  token: ENC[y]\n";
        assert_eq!(
            yaml(text, Origin::Main),
            [
                handle("api_key", "api_key"),
                none("secret_backend_command", IN_SETTING),
                none("secret_backend_config.token", IN_SETTING)
            ]
        );
        assert_eq!(yaml("secret_word: ENC[x]", Origin::Other), [handle("secret_word", "x")]);
    }

    #[test]
    fn page_handles_in_environment_variables_are_resolved() {
        let text = b"# DD_APP_KEY=ENC[no]\nDD_API_KEY=ENC[api_key]\nDD_X=\"ENC[{\\\"a\\\"}]\"\nDD_SECRET_BACKEND_COMMAND=ENC[x]\nDD_Y=plain\nexport DD_Z='ENC[z]'\n";
        let found: Vec<_> = in_environment(text).into_iter().map(|f| (f.line, f.path, f.judged)).collect();
        let paths: Vec<_> = found.iter().map(|(line, path, _)| (*line, path.as_str())).collect();
        assert_eq!(paths, [(2, "DD_API_KEY"), (3, "DD_X"), (4, "DD_SECRET_BACKEND_COMMAND"), (6, "DD_Z")]);
        assert_eq!(found[0].2, Judged::Handle { handle: "api_key".into(), templates: vec![] });
        assert_eq!(found[2].2, Judged::None(IN_SETTING));
    }

    #[test]
    fn page_a_secret_is_always_text() {
        let found = in_yaml(b"logs_enabled: ENC[on]\nhostname: ENC[name]\n", Origin::Main).unwrap();
        assert_eq!((found[0].caution, found[1].caution), (Some(SWITCH), None));
    }

    #[test]
    fn what_is_written_like_a_handle_and_is_none_is_told() {
        for (text, why) in [
            ("a: x ENC[y]", PART),
            ("a: ENC[y] x", PART),
            ("a: ENC[y", OPEN),
            ("a: enc[y]", CASE),
            ("a: ENC [y]", CASE),
            ("ENC[key]: 1", IN_KEY),
            ("ENC[key]x: 1", IN_KEY),
            ("a: ‘ENC[y]’", QUOTES),
        ] {
            assert!(yaml(text, Origin::Other).iter().any(|(_, judged)| *judged == Judged::None(why)), "{text}");
        }
        assert_eq!(yaml("a: sequenc[e]\nb: 'ENC'\n# c: ENC[x]\nd: 12\n", Origin::Other), []);
        assert_eq!(yaml("a: ENC[x]", Origin::SystemProbe), [none("a", IN_SYSTEM_PROBE)]);
    }

    #[test]
    fn values_in_every_yaml_form_are_found() {
        let text = "a: [ENC[x], {b: 'ENC[y]'}]\nc: |-\n  ENC[z]\nd: &d ENC[w]\ne: *d\nf:   ENC[v]   # comment\n";
        // In a flow list a bracket ends a plain value: the quotes are needed there.
        assert!(in_yaml(text.as_bytes(), Origin::Other).is_err());
        let text = text.replace("[ENC[x],", "['ENC[x]',");
        let paths: Vec<String> = yaml(&text, Origin::Other).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a.0", "a.1.b", "c", "d", "e", "f"]);
    }
}
