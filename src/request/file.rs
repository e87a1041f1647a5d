//! `--file` and `--set`: values that come as YAML. Read with a plain YAML reader; nothing is edited here.

use serde_yaml::{Mapping, Value as Yaml};

use crate::secret;
use crate::settings::bypass::{LOOPBACK, PRODUCTS, names_endpoints};
use crate::settings::{File, Setting, TABLE, Type, Value, Values, parse_bool};
use crate::types::YamlPath;

/// An Agent setting that the table does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Extra {
    pub file: File,
    pub path: YamlPath,
    /// Without tags, and without keys that are no text.
    pub value: Yaml,
}

impl Extra {
    /// Whether its name says that it is a secret.
    pub fn is_secret(&self) -> bool {
        self.path.keys().last().is_some_and(|key| secret::is_named_by(key)) && !is_handle(&self.value)
    }

    /// Why it cannot be together with FIPS, if that is so.
    pub fn bypasses(&self) -> Option<String> {
        // The Agent reads keys in any case, and a switch as a word or a number, too.
        let path = self.path.to_string().to_ascii_lowercase();
        let on = match &self.value {
            Yaml::Bool(on) => *on,
            Yaml::Number(number) => number.as_f64() != Some(0.0),
            Yaml::String(text) => parse_bool(text) == Ok(true),
            _ => false,
        };
        let is_product = || PRODUCTS.iter().any(|product| product.file == self.file && product.path == path);
        let text = self.value.as_str().unwrap_or("");
        let why = match () {
            () if on && is_product() => "its data go to the site directly, outside the FIPS proxy",
            () if self.path.keys().iter().any(|key| names_endpoints(key)) => {
                "the Agent sends to them itself, outside the FIPS proxy"
            }
            () if path == "fips.local_address" && !LOOPBACK.contains(&text) => "the FIPS proxy listens on 127.0.0.1",
            () => return None,
        };
        Some(format!("{}:{path}: not together with FIPS: {why}", self.file.name()))
    }
}

fn is_handle(value: &Yaml) -> bool {
    match value {
        Yaml::String(text) => secret::Secret::new(text.as_str()).is_handle(),
        Yaml::Bool(_) | Yaml::Null => true,
        _ => false,
    }
}

/// The top of an `install.yaml`. An empty file says nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Mapping, String> {
    match parsed(bytes) {
        Ok(Yaml::Mapping(entries)) => Ok(entries),
        Ok(Yaml::Null) => Ok(Mapping::new()),
        Ok(_) => Err("it holds no settings: lines such as `site: ddog-gov.com` were expected".into()),
        Err(why) => Err(format!("it is no valid YAML: {why}")),
    }
}

/// So many brackets may be open at once: the reader's time grows with their square.
const BRACKETS: usize = 128;

fn parsed(bytes: &[u8]) -> Result<Yaml, String> {
    let mut open = 0_usize;
    for byte in bytes {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > BRACKETS {
            return Err(format!("more than {BRACKETS} brackets are open at once"));
        }
    }
    serde_yaml::from_slice(bytes).map_err(|why| why.to_string())
}

/// The value of a key of the table, typed or as text.
pub(super) fn value(setting: &Setting, given: &Yaml) -> Result<Option<Value>, String> {
    let quotes = |what: &str| Err(format!("is {what}, and text was expected; put it in quotes"));
    match given {
        Yaml::Null => Ok(None),
        Yaml::Bool(on) if setting.is_switch() || matches!(setting.kind, Type::Never(_)) => {
            setting.parse(if *on { "true" } else { "false" })
        }
        Yaml::Bool(_) => quotes("true or false"),
        Yaml::Number(n) if n.is_u64() => match setting.kind {
            // A fraction would lose digits: 58.10 is the number 58.1.
            Type::MinorVersion
            | Type::Seconds(_)
            | Type::Bytes
            | Type::Choice(_)
            | Type::Bool
            | Type::Switch
            | Type::OnlyOn(_)
            | Type::Never(_) => setting.parse(&n.to_string()),
            _ => quotes("a number"),
        },
        Yaml::Number(_) => quotes("a number"),
        Yaml::String(text) => setting.parse(text),
        Yaml::Sequence(items) => {
            let text = |item: &Yaml| item.as_str().map(str::to_owned);
            match items.iter().map(text).collect::<Option<Vec<String>>>() {
                Some(items) => setting.parse_list(items),
                None => Err("holds an item that is no text; put it in quotes".into()),
            }
        }
        Yaml::Mapping(_) | Yaml::Tagged(_) => Err("is a section, and a value was expected".into()),
    }
}

/// `FILE:path.to.key=value`
pub(super) fn set(text: &str) -> Result<Vec<Extra>, String> {
    let form = "is not of the form FILE:path.to.key=value, FILE being datadog, system-probe or security-agent";
    let (name, rest) = text.split_once(':').ok_or(form)?;
    let (path, value) = rest.split_once('=').ok_or(form)?;
    let file = File::named(name).ok_or(form)?;
    let path: YamlPath = path.parse()?;
    let value = parsed(value.as_bytes())
        .map_err(|_| format!("{path}: the value is no valid YAML; put text that YAML would read as more in quotes"))?;
    let mut extras = Vec::new();
    leaves(file, path, &value, &mut extras)?;
    Ok(extras)
}

/// The `set:` section of a file: file, then paths or nested keys.
pub(super) fn section(given: &Yaml) -> Result<Vec<Extra>, String> {
    let form = "is not of the form `set: {datadog: {path.to.key: value}}`";
    let mut extras = Vec::new();
    let Yaml::Mapping(files) = given else {
        return if given.is_null() { Ok(extras) } else { Err(form.into()) };
    };
    for (name, entries) in files {
        let name = name.as_str().ok_or(form)?;
        let file =
            File::named(name).ok_or_else(|| format!("{name} is none of datadog, system-probe and security-agent"))?;
        let Yaml::Mapping(entries) = entries else { return Err(form.into()) };
        for (path, value) in entries {
            let path: YamlPath = path.as_str().ok_or(form)?.parse()?;
            leaves(file, path, value, &mut extras)?;
        }
    }
    Ok(extras)
}

/// A section is taken key by key, so that keys which are not named stay. Keys with dots are data, such as labels: the
/// section that holds them is one value.
fn leaves(file: File, path: YamlPath, value: &Yaml, extras: &mut Vec<Extra>) -> Result<(), String> {
    if extras.len() > 10_000 {
        return Err("holds more than 10000 settings".into());
    }
    plain(&path, value)?;
    if let Yaml::Mapping(entries) = value
        && !entries.is_empty()
        && entries.keys().all(|key| key.as_str().is_some_and(|key| !key.contains('.')))
    {
        for (key, value) in entries {
            let below = format!("{path}.{}", key.as_str().unwrap_or_default()).parse()?;
            leaves(file, below, value, extras)?;
        }
        return Ok(());
    }
    extras.push(Extra { file, path, value: value.clone() });
    Ok(())
}

fn plain(path: &YamlPath, value: &Yaml) -> Result<(), String> {
    match value {
        Yaml::Tagged(_) => Err(format!("{path}: YAML tags are not taken")),
        Yaml::Number(n) if n.is_u64() && !n.is_i64() => Err(format!("{path}: the number is too large")),
        Yaml::Sequence(items) => items.iter().try_for_each(|item| plain(path, item)),
        Yaml::Mapping(entries) => entries.iter().try_for_each(|(key, value)| match key {
            Yaml::String(_) => plain(path, value),
            _ => Err(format!("{path}: a key is no text; put it in quotes")),
        }),
        _ => Ok(()),
    }
}

/// The setting of the table that an extra would interfere with.
pub(super) fn taken(extra: &Extra, values: &Values) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| {
        let meets = |file: File, at: &str| {
            file == extra.file && at.parse::<YamlPath>().is_ok_and(|at| overlap(&at, &extra.path))
        };
        let on = values.bool(setting.key) == Some(true);
        setting.lands.iter().any(|(file, at)| meets(*file, at))
            || (on && setting.also.iter().any(|(file, at, _)| meets(*file, at)))
    })
}

/// Whether one path is the other, or leads to it. Keys match whatever their case, as in the Agent.
pub(super) fn overlap(a: &YamlPath, b: &YamlPath) -> bool {
    a.keys().iter().zip(b.keys()).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_nested_without_end_are_refused_at_once() {
        let deep = format!("set: {}", "[".repeat(100_000));
        assert!(read(deep.as_bytes()).unwrap_err().contains("brackets"));
        assert!(set(&format!("datadog:a={}", "{a: ".repeat(20_000))).unwrap_err().contains("no valid YAML"));
        // Closed ones are no depth.
        let long = format!("tags: [{}]", "[], ".repeat(1000));
        assert_eq!(read(long.as_bytes()).unwrap().len(), 1);
    }
}
