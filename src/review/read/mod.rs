//! From each kind of document to containers with their rights.

pub mod compose;
pub mod ecs;
pub mod kubernetes;
mod options;
pub mod run;

use crate::config::yaml::Value;
use crate::config::yaml::places::token;

use super::capabilities::Role;
use super::model::{Container, Flag, Variable};

/// A value and its JSON pointer.
#[derive(Debug, Clone)]
pub struct Place<'v> {
    pub value: &'v Value,
    pub at: String,
}

impl<'v> Place<'v> {
    pub fn root(value: &'v Value) -> Place<'v> {
        Place { value, at: String::new() }
    }

    /// The value below, by keys joined with `/`.
    pub fn get(&self, keys: &str) -> Option<Place<'v>> {
        let value = self.value.at(&format!("/{keys}"))?;
        (*value != Value::Null).then(|| Place { value, at: format!("{}/{keys}", self.at) })
    }

    pub fn items(&self, keys: &str) -> Vec<Place<'v>> {
        let Some(list) = self.get(keys) else { return Vec::new() };
        let place = |(n, value): (usize, &'v Value)| Place { value, at: format!("{}/{n}", list.at) };
        list.value.items().iter().enumerate().map(place).collect()
    }

    pub fn entries(&self, keys: &str) -> Vec<(&'v str, Place<'v>)> {
        let Some(map) = self.get(keys) else { return Vec::new() };
        let place = |(key, value): &'v (String, Value)| {
            (key.as_str(), Place { value, at: format!("{}/{}", map.at, token(key)) })
        };
        map.value.entries().iter().map(place).collect()
    }

    pub fn text(&self, keys: &str) -> Option<&'v str> {
        self.get(keys)?.value.as_str()
    }

    pub fn flag(&self, keys: &str) -> Flag {
        let place = self.get(keys);
        Flag { on: place.as_ref().is_some_and(|p| p.value.as_bool() == Some(true)), at: place.map(|p| p.at) }
    }

    /// A switch that is on where the text is this.
    pub fn says(&self, keys: &str, text: &str) -> Flag {
        let place = self.get(keys);
        Flag { on: place.as_ref().is_some_and(|p| p.value.as_str() == Some(text)), at: place.map(|p| p.at) }
    }

    pub fn int(&self, keys: &str) -> Option<(i64, String)> {
        let place = self.get(keys)?;
        match place.value {
            Value::Int(number) => Some((*number, place.at)),
            Value::Str(text) => Some((text.split(':').next()?.parse().ok()?, place.at)),
            _ => None,
        }
    }

    /// A list of `{name, value}`.
    pub fn variables(&self, keys: &str) -> Vec<Variable> {
        let variable = |place: &Place| {
            let value = place.get("value");
            let mistyped = value.as_ref().is_some_and(|p| !matches!(p.value, Value::Str(_)));
            let text = value.map(|p| written(p.value));
            Some(Variable { mistyped, ..Variable::new(place.text("name")?, text, place.at.clone()) })
        };
        self.items(keys).iter().filter_map(variable).collect()
    }

    /// A list of texts, each with its place.
    pub fn texts(&self, keys: &str) -> Vec<(String, String)> {
        self.items(keys).iter().filter_map(|place| Some((place.value.as_str()?.to_owned(), place.at.clone()))).collect()
    }
}

/// A scalar as text.
pub fn written(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        other => crate::config::shown(other),
    }
}

/// A capability without its prefix, in capitals.
pub fn capability(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map_or(name.clone(), str::to_owned)
}

/// The last part of an image's name, without tag and digest: `agent`.
pub fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// The tag of an image: `7.58.2`. None where it has none, or only a digest.
pub fn image_tag(image: &str) -> Option<&str> {
    let image = image.split('@').next().unwrap_or(image);
    image.rsplit('/').next().unwrap_or(image).split_once(':').map(|(_, tag)| tag)
}

/// Variables of the Agent, and those of who sends to one: an application may have a key of its own.
const AGENTS: [&str; 3] = ["DD_API_KEY", "DD_SITE", "DD_FIPS_ENABLED"];
const APPLICATIONS: [&str; 4] = ["DD_SERVICE", "DD_AGENT_HOST", "DD_TRACE_AGENT_URL", "DD_DOGSTATSD_URL"];

/// Whether these are the Agent's, and no application's.
pub fn are_agents(variables: &[Variable]) -> bool {
    let has = |names: &[&str]| variables.iter().any(|variable| names.contains(&variable.name.as_str()));
    has(&AGENTS) && !has(&APPLICATIONS)
}

/// What a container runs, by its image, its name, its command and its variables.
pub fn role(image: &str, name: &str, command: &str, variables: &[Variable]) -> Role {
    let base = image_name(image);
    if base.contains("fips-proxy") {
        return Role::Proxy;
    }
    if base.contains("cluster-agent") {
        return Role::Cluster;
    }
    let parts = [
        ("system-probe", Role::SystemProbe),
        ("security-agent", Role::Security),
        ("trace-agent", Role::Trace),
        ("process-agent", Role::Process),
    ];
    let named = name.contains("agent") || name == "system-probe";
    let ours = base.contains("agent") && (image.contains("datadog") || named)
        || base.contains("datadog") && named
        || (base.contains("agent") || base == "datadog") && are_agents(variables);
    match parts.iter().find(|(part, _)| name == *part || command.contains(part)) {
        _ if !ours => Role::Other,
        Some((_, role)) => *role,
        None => Role::Agent,
    }
}

/// The Agent's container runs all its processes where none has a container of its own.
pub fn whole(containers: &mut [Container]) {
    let apart = [Role::Trace, Role::SystemProbe, Role::Security, Role::Process];
    if containers.iter().any(|container| apart.contains(&container.role)) {
        return;
    }
    for container in containers.iter_mut().filter(|container| container.role == Role::Agent) {
        container.role = Role::Whole;
    }
}
