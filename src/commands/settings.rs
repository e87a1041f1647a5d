//! `ddinstall settings`: the table of settings.

use serde_json::json;

use crate::cli::Format;
use crate::settings::{Setting, TABLE};

use super::print;

pub(super) fn run(format: Format) -> u8 {
    print(&match format {
        Format::Text => TABLE.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => format!("{:#}\n", TABLE.iter().map(value).collect::<serde_json::Value>()),
    });
    0
}

fn text(setting: &Setting) -> String {
    let flag = setting.flag().map_or_else(|| "no flag".into(), |flag| format!("--{flag}"));
    let mut out = format!("{}\n  {}\n  {flag}", setting.key, setting.doc);
    for variable in setting.variables {
        out.push_str(&format!(", {variable}"));
    }
    for (file, path) in setting.lands {
        out.push_str(&format!("\n  in {}: {path}", file.path()));
    }
    if !setting.default.is_empty() {
        out.push_str(&format!("\n  default: {}", setting.default));
    }
    out.push('\n');
    out
}

fn value(setting: &Setting) -> serde_json::Value {
    json!({
        "key": setting.key,
        "flag": setting.flag(),
        "variables": setting.variables,
        "lands": setting.lands.iter().map(|(file, path)| json!({ "file": file.path(), "path": path })).collect::<Vec<_>>(),
        "default": setting.default,
        "doc": setting.doc,
    })
}
