//! What all kinds of documents come to: containers with what they are given, each with the place where it says so.

use crate::config::yaml::Value;
use crate::config::yaml::places::Change;
use crate::settings::bypass::{names_endpoints, switch, variable};

use super::capabilities::{Feature, Platform, Role};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Warning,
    Error,
}

impl Level {
    /// As SARIF names it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One thing that is wrong, and what mends it.
#[derive(Debug, Clone)]
pub struct Finding {
    /// A key of `rules::RULES`.
    pub rule: &'static str,
    pub level: Level,
    /// Which document of the file, from 0.
    pub document: usize,
    /// JSON pointer of the place.
    pub at: String,
    /// From 1; filled in by whoever knows the text.
    pub line: usize,
    pub what: String,
    pub hint: String,
    pub fix: Vec<Change>,
}

impl Finding {
    /// Whether `--fix` mends it: by its changes, or by reading the text without what nobody takes.
    pub fn is_mendable(&self) -> bool {
        !self.fix.is_empty() || ["json-comma", "shell-comment"].contains(&self.rule)
    }
}

/// A right that is given, and why it is needed; or that none is known.
#[derive(Debug, Clone)]
pub struct Right {
    pub document: usize,
    pub at: String,
    pub line: usize,
    pub container: String,
    pub right: String,
    pub why: Option<&'static str>,
}

/// A switch, and the place that sets it.
#[derive(Debug, Clone, Default)]
pub struct Flag {
    pub on: bool,
    pub at: Option<String>,
}

/// A variable of a container.
#[derive(Debug, Clone)]
pub struct Variable {
    pub name: String,
    /// None where it comes from somewhere else: a secret, the caller's environment.
    pub value: Option<String>,
    /// Whether the document says it in a form that the platform refuses, such as an unquoted `true`.
    pub mistyped: bool,
    /// Whether it comes with a whole set (`envFrom`), whose place `at` is; one of the container's own goes before it.
    pub inherited: bool,
    pub at: String,
}

impl Variable {
    /// One that a container has of its own, in the form that its platform takes.
    pub fn new(name: &str, value: Option<String>, at: String) -> Variable {
        Variable { name: name.to_owned(), value, mistyped: false, inherited: false, at }
    }

    /// Whether it decides what is judged, and its value stands elsewhere. Only FIPS asks for a site and endpoints.
    pub fn is_unread(&self, fips: bool) -> bool {
        let name = self.name.as_str();
        let of_fips = name == "DD_SITE" || names_endpoints(name);
        let decides = name.ends_with("_ENABLED") || name.starts_with("DD_FIPS_") || fips && of_fips;
        self.value.is_none() && name.starts_with("DD_") && decides
    }
}

/// A path of the host in a container.
#[derive(Debug, Clone)]
pub struct Mount {
    pub host: String,
    pub path: String,
    pub writable: bool,
    /// Mounts made in the container reach the host.
    pub propagates: bool,
    pub at: String,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub name: String,
    pub role: Role,
    pub image: String,
    /// Pointer of the container itself.
    pub at: String,
    pub variables: Vec<Variable>,
    /// Sets of variables that do not stand in the text, each with its place.
    pub unread: Vec<(String, String)>,
    pub capabilities: Vec<(String, String)>,
    pub privileged: Flag,
    /// No AppArmor profile.
    pub unconfined: Flag,
    /// No seccomp profile.
    pub unfiltered: Flag,
    /// The host's control groups; outside Docker always.
    pub host_cgroup: Flag,
    /// The host's user ids where docker's daemon maps them.
    pub host_users: Flag,
    /// What no feature needs, such as devices: each with its place.
    pub needless: Vec<(String, String)>,
    pub user: Option<(i64, String)>,
    pub mounts: Vec<Mount>,
    pub ports: Vec<i64>,
    /// None where the platform has no such option or the container must write.
    pub read_only_root: Option<bool>,
    /// The part of a network name that joins it to another container, for Compose.
    pub network: Option<String>,
}

impl Container {
    /// What a variable is set to in the document; None where it is not set or comes from elsewhere.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().rev().find(|variable| variable.name == name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.variable(name)?.value.as_deref()
    }

    /// Variables that decide what is judged, and were not read.
    pub fn unknown(&self, fips: bool) -> impl Iterator<Item = &Variable> {
        self.variables.iter().filter(move |variable| variable.is_unread(fips))
    }

    /// Whether a variable's value stands elsewhere, where it was not read.
    pub fn is_unread(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|variable| variable.value.is_none())
    }
}

/// Containers that run together: a pod, a task, a set of services.
#[derive(Debug, Clone)]
pub struct Workload {
    pub document: usize,
    pub platform: Platform,
    pub name: String,
    pub namespace: Option<String>,
    pub at: String,
    pub host_pid: Flag,
    pub host_network: Flag,
    pub host_ipc: Flag,
    /// Whether its containers reach one another by 127.0.0.1; None where each says so itself.
    pub shares_loopback: Option<bool>,
    pub containers: Vec<Container>,
    /// Settings in its files that stand in the same text (ConfigMaps that it mounts), as `path` to text.
    pub settings: Vec<(String, String)>,
}

impl Workload {
    /// What a file says of it.
    fn in_file(&self, path: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == path).map(|(_, value)| value.as_str())
    }

    /// The features that are on.
    pub fn features(&self) -> Vec<Feature> {
        let mut features = vec![Feature::Core];
        if self.is_on("logs_enabled") {
            features.push(Feature::Logs);
        }
        let traces = self.containers.iter().any(|container| container.role == Role::Trace);
        if traces || self.is_on("apm_config.enabled") {
            features.push(Feature::Apm);
        }
        if self.cws() {
            features.push(Feature::Cws);
        }
        if self.is_on("compliance_config.enabled") {
            features.push(Feature::Compliance);
        }
        if self.fips() {
            features.push(Feature::Fips);
        }
        if self.is_on("dogstatsd_origin_detection") {
            features.push(Feature::OriginDetection);
        }
        features
    }

    /// A setting of one container: its variable, and the file where it has none, or an empty one.
    pub fn said<'s>(&'s self, container: &'s Container, path: &str) -> Option<&'s str> {
        match container.variable(&variable(path)).map(|variable| variable.value.as_deref()) {
            Some(said) if said != Some("") => said,
            _ => self.in_file(path),
        }
    }

    /// Whether one container has a switch on. None where neither its variable nor the file says so.
    pub fn switch(&self, container: &Container, path: &str) -> Option<bool> {
        match container.text(&variable(path)) {
            Some(text) if !text.is_empty() => Some(switch(text) == Some(true)),
            _ => self.by_file(path).filter(|_| !container.is_unread(&variable(path))),
        }
    }

    /// What a file says of a switch.
    fn by_file(&self, path: &str) -> Option<bool> {
        self.in_file(path).map(|text| Value::Str(text.into()).as_bool() == Some(true))
    }

    /// Whether a setting is on in any of its containers: each takes its variable, and the file where it has none.
    pub fn is_on(&self, path: &str) -> bool {
        self.containers.iter().any(|container| container.role.sends() && self.switch(container, path) == Some(true))
    }

    pub fn cws(&self) -> bool {
        self.is_on("runtime_security_config.enabled")
    }

    pub fn fips(&self) -> bool {
        self.is_on("fips.enabled")
    }

    /// Whether a part of the Agent, or its proxy, runs in it.
    pub fn is_ours(&self) -> bool {
        self.containers.iter().any(|container| container.role.sends() || container.role == Role::Proxy)
    }

    pub fn of(&self, role: Role) -> Option<&Container> {
        self.containers.iter().find(|container| container.role == role)
    }
}
