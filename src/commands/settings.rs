//! `ddinstall settings`: the table of settings, for people, programs and the documentation.

use serde_json::{Map, Value, json};

use crate::cli::Listing;
use crate::settings::{File, Fixed, Setting, TABLE, Type, Versus, WithFips};

use super::print;

pub(super) fn run(listing: Listing) -> u8 {
    print(&match listing {
        Listing::Text => TABLE.iter().map(text).collect::<Vec<_>>().join("\n"),
        Listing::Json => format!("{:#}\n", TABLE.iter().map(value).collect::<Value>()),
        Listing::Markdown => markdown(),
        Listing::Schema => format!("{:#}\n", schema()),
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
    for (file, path, fixed) in setting.also {
        out.push_str(&format!("\n  where it is on, in {}: {path}: {}", file.path(), shown(*fixed)));
    }
    out.push_str(&format!("\n  default: {}", setting.default));
    if let Some((major, minor)) = setting.since {
        out.push_str(&format!("\n  since Agent {major}.{minor}"));
    }
    match setting.with_fips {
        WithFips::Works => {}
        WithFips::NoEffect => out.push_str("\n  without effect under FIPS"),
        WithFips::Refused(why) => out.push_str(&format!("\n  refused under FIPS: {why}")),
    }
    out.push_str(&format!("\n  official script: {}\n", versus(setting)));
    out
}

fn shown(fixed: Fixed) -> String {
    match fixed {
        Fixed::Bool(on) => on.to_string(),
        Fixed::Int(number) => number.to_string(),
        Fixed::Item(item) => format!("{item} as an item"),
    }
}

fn versus(setting: &Setting) -> String {
    match setting.versus {
        Versus::Same => "same".into(),
        Versus::Better(how) => format!("better: {how}"),
        Versus::Refused(why) => format!("refused: {why}"),
        Versus::Ours => "does not have it".into(),
    }
}

fn value(setting: &Setting) -> Value {
    let lands = setting.lands.iter().map(|(file, path)| json!({ "file": file.path(), "path": path }));
    let also = setting.also.iter().map(|(file, path, fixed)| {
        let value = match fixed {
            Fixed::Bool(on) => json!(on),
            Fixed::Int(number) => json!(number),
            Fixed::Item(item) => json!([item]),
        };
        json!({ "file": file.path(), "path": path, "value": value })
    });
    json!({
        "key": setting.key,
        "flag": setting.flag(),
        "variables": setting.variables,
        "type": type_name(setting.kind),
        "choices": match setting.kind { Type::Choice(words) => json!(words), _ => Value::Null },
        "lands": lands.collect::<Vec<_>>(),
        "also": also.collect::<Vec<_>>(),
        "default": setting.default,
        "since": setting.since.map(|(major, minor)| format!("{major}.{minor}")),
        "with_fips": match setting.with_fips {
            WithFips::Works => json!("works"),
            WithFips::NoEffect => json!("no effect"),
            WithFips::Refused(why) => json!({ "refused": why }),
        },
        "official_script": match setting.versus {
            Versus::Same => json!("same"),
            Versus::Better(how) => json!({ "better": how }),
            Versus::Refused(why) => json!({ "refused": why }),
            Versus::Ours => Value::Null,
        },
        "doc": setting.doc,
    })
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "bool",
        Type::Switch => "switch",
        Type::OnlyOn(_) => "on",
        Type::Never(_) => "refused",
        Type::Secret => "secret",
        Type::List | Type::Words | Type::Hosts | Type::Paths => "list",
        Type::Site => "site",
        Type::Url | Type::Address => "url",
        Type::Seconds(_) => "seconds",
        Type::Bytes => "bytes",
        Type::Path => "path",
        Type::MinorVersion | Type::PackageVersion => "version",
        Type::Release => "release",
        Type::Choice(_) => "choice",
        Type::Word => "word",
        Type::Text => "text",
    }
}

/// The reference of the README: what stands between its markers.
pub fn markdown() -> String {
    let mut out =
        String::from("| variable | flag | meaning | default | written to |\n| --- | --- | --- | --- | --- |\n");
    for setting in TABLE {
        let flag = match (setting.flag(), setting.kind) {
            (Some(flag), _) => format!("`--{flag}`"),
            (None, _) => "–".into(),
        };
        let mut doc = setting.doc.to_owned();
        if let Some((major, minor)) = setting.since {
            doc.push_str(&format!(" Agent {major}.{minor} or later."));
        }
        if let WithFips::Refused(why) = setting.with_fips {
            doc.push_str(&format!(" Refused under FIPS: {why}."));
        }
        let lands = setting.lands.iter().map(|(file, path)| format!("`{path}` in {}.yaml", file.name()));
        let also = setting
            .also
            .iter()
            .map(|(file, path, fixed)| format!("`{path}: {}` in {}.yaml", shown(*fixed), file.name()));
        let places: Vec<String> = lands.chain(also).collect();
        out.push_str(&row(&[variables(setting), flag, doc, setting.default.to_owned(), places.join(", ")]));
    }
    out.push_str(BESIDES);
    for setting in TABLE.iter().filter(|setting| setting.versus != Versus::Ours) {
        out.push_str(&row(&[variables(setting), versus(setting)]));
    }
    out
}

/// What the reference says between its two tables.
const BESIDES: &str = "
A secret has no flag, since every user can read arguments. Any other setting of the Agent takes
`--set FILE:path.to.key=value`, as often as needed; FILE is `datadog`, `system-probe` or `security-agent`, the value YAML.
Sections are merged key by key. What a row of the table sets is refused there.

`--file install.yaml` takes the same settings, under the flag's name with `_` for `-`, typed or as text; flags beat
variables, variables beat the file. A secret in it must be an `ENC[…]` handle, or the file closed to other users
(`chmod 600`). `ddinstall settings --format schema` prints its JSON schema.

```yaml
site: ddog-gov.com
fips_mode: true
runtime_security_config_enabled: true
tags: [team:infra, tier:web]
set:
  datadog:
    logs_config.batch_wait: 5
```

FIPS excludes what the proxy does not relay: asking for both is exit code 2. A `--set` that brings such a product in is
done, and `verify` fails by it. The flavors other than datadog-agent were tested as plans, not with the vendor's packages.

### Each variable against the official script

| variable | here |
| --- | --- |
";

fn variables(setting: &Setting) -> String {
    let names: Vec<String> = setting.variables.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "–".into() } else { names.join(", ") }
}

fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A JSON schema of `--file`. What the table checks beyond types (versions, sites) is checked when the file is read.
pub fn schema() -> Value {
    let mut properties: Map<String, Value> =
        TABLE.iter().map(|setting| (setting.key.to_owned(), property(setting))).collect();
    let files = [File::Datadog, File::SystemProbe, File::SecurityAgent].map(File::name);
    let files: Map<String, Value> = files.into_iter().map(|name| (name.into(), json!({ "type": "object" }))).collect();
    let set = json!({
        "type": ["object", "null"],
        "description": "Any other setting of the Agent, by file, as path.to.key: value or nested.",
        "properties": files,
        "patternProperties": { "^(datadog|system-probe|security-agent)\\.yaml$": { "type": "object" } },
        "additionalProperties": false,
    });
    properties.insert("set".into(), set);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ddinstall --file",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(setting: &Setting) -> Value {
    const ON: [&str; 4] = ["1", "true", "yes", "on"];
    const OFF: [&str; 4] = ["0", "false", "no", "off"];
    // Letters may be large or small.
    let words = |words: &[&str]| {
        let any_case = |word: &str| word.chars().map(any_case).collect::<String>();
        format!("^\\s*({})?\\s*$", words.iter().map(|word| any_case(word)).collect::<Vec<_>>().join("|"))
    };
    let switch = |booleans: Value, numbers: Value, texts: String| {
        json!({ "anyOf": [
            { "enum": booleans },
            { "enum": numbers },
            { "type": "string", "pattern": texts },
            { "type": "null" },
        ] })
    };
    let mut schema = match setting.kind {
        Type::Bool | Type::Switch => switch(json!([true, false]), json!([0, 1]), words(&[ON, OFF].concat())),
        Type::OnlyOn(_) => switch(json!([true]), json!([1]), words(&ON)),
        Type::Never(_) => switch(json!([false]), json!([0]), words(&OFF)),
        Type::List | Type::Words | Type::Hosts | Type::Paths => {
            json!({ "type": ["array", "string", "null"], "items": { "type": "string" } })
        }
        Type::MinorVersion | Type::Seconds(_) | Type::Bytes => json!({ "type": ["string", "integer", "null"] }),
        Type::Choice(choices) => {
            let numbers: Vec<u64> = choices.iter().filter_map(|choice| choice.parse().ok()).collect();
            json!({ "anyOf": [
                { "type": "string", "pattern": words(choices) },
                { "enum": numbers },
                { "type": "null" },
            ] })
        }
        Type::Url => json!({ "type": ["string", "null"], "pattern": "^\\s*(https?://\\S*|ENC\\[.*\\])?\\s*$" }),
        _ => json!({ "type": ["string", "null"] }),
    };
    if let Value::Object(schema) = &mut schema {
        let mut doc = setting.doc.to_owned();
        if !setting.variables.is_empty() {
            doc.push_str(&format!(" As a variable: {}.", setting.variables.join(", ")));
        }
        schema.insert("description".into(), json!(doc));
    }
    schema
}

/// One letter of a pattern, large and small.
fn any_case(letter: char) -> String {
    match letter {
        'a'..='z' => format!("[{}{letter}]", letter.to_ascii_uppercase()),
        '.' => "\\.".into(),
        other => other.to_string(),
    }
}
