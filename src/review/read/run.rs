//! `docker run` commands and the output of `docker inspect`, brought into the form of a Compose file. Where each value
//! stands in the text is kept, so that findings name its line and a command can be changed.

use std::ops::Range;

use crate::config::templates::shell as quoted;
use crate::config::yaml::places::{Change, apply, token};
use crate::config::yaml::{Refusal, Value};
use crate::settings::bypass::switch;

use super::options::{Given, Word, given, volume};
use super::{Place, written};

/// A value of the made-up Compose file, and where it stands.
#[derive(Debug, Clone)]
pub struct Spot {
    pub pointer: String,
    pub line: usize,
    /// Bytes of the flag with its value.
    range: Range<usize>,
}

/// What a text came to.
#[derive(Debug)]
pub struct Made {
    pub data: Value,
    pub spots: Vec<Spot>,
    /// Whether the text can be changed: a command can, what `inspect` tells of a container cannot.
    pub editable: bool,
}

/// Options of `docker run`, and keys of Compose: a list or a value.
const OPTIONS: [(&str, &str, bool); 17] = [
    ("cap-add", "cap_add", true),
    ("cap-drop", "cap_drop", true),
    ("volume", "volumes", true),
    ("mount", "volumes", true),
    ("security-opt", "security_opt", true),
    ("publish", "ports", true),
    ("env-file", "env_file", true),
    ("device", "devices", true),
    ("device-cgroup-rule", "device_cgroup_rules", true),
    ("userns", "userns_mode", false),
    ("uts", "uts", false),
    ("pid", "pid", false),
    ("ipc", "ipc", false),
    ("cgroupns", "cgroup", false),
    ("network", "network_mode", false),
    ("net", "network_mode", false),
    ("user", "user", false),
];

/// Whether the text holds a `docker run` command.
pub fn is_command(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start().trim_start_matches("sudo ").trim_start_matches("exec ");
        line.starts_with("docker run") || line.starts_with("docker container run")
    })
}

/// Reads every `docker run` command of a script.
pub fn commands(text: &str) -> Result<Made, Refusal> {
    let mut made = Made { data: Value::Map(Vec::new()), spots: Vec::new(), editable: true };
    let mut at = 0;
    while at < text.len() {
        let (words, end) = words(text, at)?;
        let run = words.iter().position(|word| word.text == "run");
        let docker = words.iter().position(|word| word.text == "docker");
        if let (Some(run), Some(docker)) = (run, docker)
            && docker < run
            && run <= docker + 2
        {
            made.command(text, &words[run + 1..])?;
        }
        at = end;
    }
    Ok(made)
}

impl Made {
    fn put(&mut self, pointer: String, value: Value, text: &str, range: Range<usize>) {
        apply(&mut self.data, &Change::Put(pointer.clone(), value));
        let line = 1 + text[..range.start].matches('\n').count();
        self.spots.push(Spot { pointer, line, range });
    }

    fn command(&mut self, text: &str, words: &[Word]) -> Result<(), Refusal> {
        let (options, image) = given(text, words)?;
        let name = options.iter().rev().find(|option| option.name == "name").and_then(|option| option.value.clone());
        let count = self.data.at("/services").map_or(0, |services| services.entries().len());
        let name = name.unwrap_or_else(|| format!("container-{}", count + 1));
        let service = format!("/services/{}", token(&name));
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for Given { name, value, range } in options {
            let value = match (name, value) {
                ("privileged" | "read-only", value) => {
                    let on = value.as_deref().and_then(switch) != Some(false);
                    self.put(format!("{service}/{}", name.replace('-', "_")), Value::Bool(on), text, range);
                    continue;
                }
                ("name", Some(value)) => {
                    self.put(format!("{service}/container_name"), Value::Str(value), text, range);
                    continue;
                }
                ("env", Some(value)) => {
                    let (name, value) = match value.split_once('=') {
                        Some((name, value)) => (name.to_owned(), literal(value)),
                        None => (value, Value::Null),
                    };
                    self.put(format!("{service}/environment/{}", token(&name)), value, text, range);
                    continue;
                }
                ("mount", Some(value)) => volume(&value),
                (_, value) => value,
            };
            let known = OPTIONS.iter().find(|(known, ..)| *known == name);
            let (Some((_, key, list)), Some(value)) = (known, value) else { continue };
            if !list {
                self.put(format!("{service}/{key}"), Value::Str(value), text, range);
                continue;
            }
            let at = match counts.iter_mut().find(|(known, _)| known == key) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    counts.push((key, 0));
                    0
                }
            };
            apply(&mut self.data, &Change::Push(format!("{service}/{key}"), Value::Str(value)));
            let line = 1 + text[..range.start].matches('\n').count();
            self.spots.push(Spot { pointer: format!("{service}/{key}/{at}"), line, range });
        }
        if let Some(word) = image.and_then(|image| words.get(image)) {
            self.put(format!("{service}/image"), Value::Str(word.text.clone()), text, word.range.clone());
        }
        Ok(())
    }

    /// The line of a place, or of the innermost one around it.
    pub fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            let inside = |spot: &&Spot| {
                spot.pointer == pointer || spot.pointer.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'))
            };
            if let Some(spot) = self.spots.iter().find(inside) {
                return spot.line;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return 1,
            }
        }
    }

    /// The text without the flags of a place and of all below it. None where there are none.
    fn remove(&self, text: &str, pointer: &str) -> Option<String> {
        let below = |spot: &&Spot| {
            let rest = spot.pointer.strip_prefix(pointer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut ranges: Vec<_> = self.spots.iter().filter(below).map(|spot| spot.range.clone()).collect();
        ranges.sort_by_key(|range| std::cmp::Reverse(range.start));
        ranges.first()?;
        let mut text = text.to_owned();
        for range in ranges {
            // With the blanks and the continued line before it.
            let before = text[..range.start].trim_end_matches(|c: char| c.is_whitespace() || c == '\\').len();
            text.replace_range(before..range.end, "");
        }
        Some(text)
    }

    /// The text of the script after a change.
    pub fn change(&self, text: &str, change: &Change) -> Result<String, Refusal> {
        if !self.editable {
            return Err(Refusal::new("what docker inspect prints is a running container, and no file to change"));
        }
        let none = || Refusal::new("there is no place for this in the command");
        let (pointer, value) = match change {
            Change::Put(pointer, value) | Change::Push(pointer, value) => (pointer, Some(value)),
            Change::Remove(pointer) => (pointer, None),
        };
        if value.is_none() {
            return self.remove(text, pointer).ok_or_else(none);
        }
        let is_push = matches!(change, Change::Push(..));
        let spot = self.spots.iter().find(|spot| spot.pointer == *pointer && !is_push);
        let flag = value.map(|value| flag(pointer, value).ok_or_else(none)).transpose()?;
        let (range, new) = match (spot, flag) {
            (Some(spot), Some(flag)) if !flag.is_empty() => {
                // Short switches may stand before it in the same word.
                let gap = if text[..spot.range.start].ends_with(char::is_whitespace) { "" } else { " " };
                (spot.range.clone(), format!("{gap}{flag}"))
            }
            (Some(_), _) => return self.remove(text, pointer).ok_or_else(none),
            (None, Some(flag)) => {
                let service: Vec<&str> = pointer.split('/').take(3).collect();
                let image = format!("{}/image", service.join("/"));
                let image = self.spots.iter().find(|spot| spot.pointer == image).ok_or_else(none)?;
                let lines = text[..image.range.start].ends_with([' ', '\t'])
                    && text[..image.range.start].trim_end_matches([' ', '\t']).ends_with("\\\n");
                let gap = if lines { " \\\n  " } else { " " };
                (image.range.start..image.range.start, format!("{flag}{gap}"))
            }
            (None, None) => return Err(none()),
        };
        Ok(format!("{}{new}{}", &text[..range.start], &text[range.end..]))
    }
}

/// A variable's value. What a shell would fill in stands in the arguments all the same, unlike what Compose fills in.
fn literal(text: &str) -> Value {
    let dollar = if text.starts_with('$') { "$" } else { "" };
    Value::Str(format!("{dollar}{text}"))
}

/// A value of the made-up Compose file as a flag.
fn flag(pointer: &str, value: &Value) -> Option<String> {
    let mut keys = pointer.split('/').skip(3);
    let key = keys.next()?;
    if key == "environment" {
        let name = keys.next()?.replace("~1", "/").replace("~0", "~");
        return Some(match value {
            Value::Null => format!("-e {}", quoted(&name)),
            value => format!("-e {}", quoted(&format!("{name}={}", written(value)))),
        });
    }
    match (key, value) {
        ("image", value) => Some(quoted(&written(value))),
        ("privileged" | "read_only", Value::Bool(on)) => {
            Some(if *on { format!("--{}", key.replace('_', "-")) } else { String::new() })
        }
        _ => {
            let (option, ..) = OPTIONS.iter().find(|(_, known, _)| *known == key)?;
            // Compose joins the network of a service, docker that of a container.
            let value = written(value).replacen("service:", "container:", 1);
            Some(format!("--{option} {}", quoted(&value)))
        }
    }
}

/// The words of one command from `at`, and where the next one begins. Quotes, escapes and comments as in a shell.
fn words(text: &str, at: usize) -> Result<(Vec<Word>, usize), Refusal> {
    let bytes = text.as_bytes();
    let mut found: Vec<Word> = Vec::new();
    let mut at = at;
    loop {
        while at < bytes.len() {
            match bytes[at] {
                b' ' | b'\t' | b'\r' => at += 1,
                b'\\' if text[at + 1..].starts_with('\n') => at += 2,
                b'\\' if text[at + 1..].starts_with("\r\n") => at += 3,
                b'#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
                _ => break,
            }
        }
        match bytes.get(at) {
            None => return Ok((found, at)),
            Some(b'\n' | b';' | b'&' | b'|') => return Ok((found, at + 1)),
            _ => {}
        }
        let start = at;
        let mut word = Vec::new();
        let mut quote = None;
        while let Some(&c) = bytes.get(at) {
            match (quote, c) {
                (None, b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|') => break,
                (None, b'\'' | b'"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (None, b'\\') if bytes.get(at + 1) == Some(&b'\n') => break,
                (None | Some(b'"'), b'\\') if at + 1 < bytes.len() => {
                    let next = bytes[at + 1];
                    if quote.is_some() && !b"\"\\$`\n".contains(&next) {
                        word.push(b'\\');
                    }
                    word.push(next);
                    at += 1;
                }
                _ => word.push(c),
            }
            at += 1;
        }
        if quote.is_some() {
            let line = 1 + text[..start].matches('\n').count();
            return Err(Refusal { line: Some(line), why: "a quote is not closed".into(), hint: String::new() });
        }
        found.push(Word { text: String::from_utf8_lossy(&word).into_owned(), range: start..at });
    }
}

/// The containers that `docker inspect` printed. `line` tells the line of a place in its text.
pub fn inspected(document: &Value, line: impl Fn(&str) -> usize) -> Made {
    let mut made = Made { data: Value::Map(Vec::new()), spots: Vec::new(), editable: false };
    let root = Place::root(document);
    for (n, container) in document.items().iter().enumerate() {
        let place = Place { value: container, at: format!("{}/{n}", root.at) };
        let name = place.text("Name").unwrap_or("").trim_start_matches('/');
        let name = if name.is_empty() { format!("container-{n}") } else { name.to_owned() };
        let service = format!("/services/{}", token(&name));
        let mut put = |key: String, value: Value, line: usize| {
            let pointer = format!("{service}/{key}");
            apply(&mut made.data, &Change::Put(pointer.clone(), value));
            made.spots.push(Spot { pointer, line, range: 0..0 });
        };
        for (from, key) in [
            ("Config/Image", "image"),
            ("Config/User", "user"),
            ("HostConfig/UsernsMode", "userns_mode"),
            ("HostConfig/UTSMode", "uts"),
            ("HostConfig/PidMode", "pid"),
            ("HostConfig/IpcMode", "ipc"),
            ("HostConfig/CgroupnsMode", "cgroup"),
            ("HostConfig/NetworkMode", "network_mode"),
            ("HostConfig/Privileged", "privileged"),
        ] {
            if let Some(found) = place.get(from).filter(|found| found.value.as_str() != Some("")) {
                put(key.into(), found.value.clone(), line(&found.at));
            }
        }
        for variable in place.items("Config/Env") {
            let text = written(variable.value);
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            put(format!("environment/{}", token(name)), literal(value), line(&variable.at));
        }
        let mut lists: Vec<(&str, Vec<(String, String)>)> = vec![
            ("cap_add", place.texts("HostConfig/CapAdd")),
            ("security_opt", place.texts("HostConfig/SecurityOpt")),
            ("device_cgroup_rules", place.texts("HostConfig/DeviceCgroupRules")),
        ];
        let mount = |mount: &Place| {
            let mode = if mount.flag("RW").on { "rw" } else { "ro" };
            let host = mount.text("Source").filter(|_| mount.text("Type") != Some("volume"))?;
            Some((format!("{host}:{}:{mode}", mount.text("Destination")?), mount.at.clone()))
        };
        let device = |device: &Place| Some((device.text("PathOnHost")?.to_owned(), device.at.clone()));
        lists.push(("devices", place.items("HostConfig/Devices").iter().filter_map(device).collect()));
        lists.push(("volumes", place.items("Mounts").iter().filter_map(mount).collect()));
        for (key, items) in lists {
            for (n, (text, at)) in items.iter().enumerate() {
                let list = format!("{service}/{key}");
                apply(&mut made.data, &Change::Push(list.clone(), Value::Str(text.clone())));
                made.spots.push(Spot { pointer: format!("{list}/{n}"), line: line(at), range: 0..0 });
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/bin/sh\n# a comment\ndocker run -d --name dd-agent \\\n  --pid host \\\n  --cap-add SYS_ADMIN --cap-add=CHOWN \\\n  -e DD_API_KEY \\\n  -e 'DD_TAGS=a:b c'\\''d' \\\n  -v /proc/:/host/proc/:ro \\\n  gcr.io/datadoghq/agent:7 run -x\n";

    #[test]
    fn a_command_is_read_as_a_shell_reads_it() {
        let made = commands(SCRIPT).unwrap();
        let at = |pointer: &str| made.data.at(&format!("/services/dd-agent/{pointer}")).cloned();
        assert_eq!(at("environment/DD_TAGS"), Some(Value::Str("a:b c'd".into())));
        assert_eq!(at("environment/DD_API_KEY"), Some(Value::Null));
        assert_eq!(at("cap_add/1"), Some(Value::Str("CHOWN".into())));
        assert_eq!(at("image"), Some(Value::Str("gcr.io/datadoghq/agent:7".into())));
        assert_eq!((made.line("/services/dd-agent/cap_add/1"), made.line("/services/dd-agent/pid")), (5, 4));
        assert!(commands("docker run 'x").is_err());
    }

    #[test]
    fn a_command_is_changed_where_it_says_so() {
        let change = |change: Change| commands(SCRIPT).unwrap().change(SCRIPT, &change).unwrap();
        let text = |text: &str| Value::Str(text.into());
        assert_eq!(
            change(Change::Remove("/services/dd-agent/cap_add/1".into())),
            SCRIPT.replace(" --cap-add=CHOWN", "")
        );
        assert_eq!(
            change(Change::Push("/services/dd-agent/cap_add".into(), text("KILL"))),
            SCRIPT.replace("  gcr.io", "  --cap-add KILL \\\n  gcr.io")
        );
        assert_eq!(
            change(Change::Put("/services/dd-agent/environment/DD_TAGS".into(), text("x y"))),
            SCRIPT.replace("'DD_TAGS=a:b c'\\''d'", "'DD_TAGS=x y'")
        );
        assert_eq!(change(Change::Remove("/services/dd-agent/pid".into())), SCRIPT.replace(" \\\n  --pid host", ""));
    }
}
