//! What mends a finding, as changes of the document that it stands in.

use crate::config::yaml::Value;
use crate::config::yaml::places::{Change, token};

use super::capabilities::{Grant, Platform, same_path};
use super::model::{Container, Mount, Variable, Workload};
use super::read::Place;
use super::read::compose::parts;
use Change::{Push, Put, Remove};

/// Where a secret is kept, as fixes name it.
pub const SECRET: (&str, &str) = ("datadog-secret", "api-key");
/// The parameter of the Systems Manager that task definitions name.
pub const PARAMETER: &str = "datadog-api-key";
/// The first of the proxy's ports.
pub const FIRST_PORT: i64 = 9803;
/// How many there are.
pub const PORTS: i64 = 16;

fn text(text: impl Into<String>) -> Value {
    Value::Str(text.into())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(key, value)| (key.to_owned(), value)).to_vec())
}

/// A variable of a list.
pub fn pair(name: &str, value: &str) -> Value {
    map([("name", text(name)), ("value", text(value))])
}

/// What a variable's value is called where secrets are kept: `api-key`.
fn key_of(variable: &str) -> String {
    variable.trim_start_matches("DD_").to_ascii_lowercase().replace('_', "-")
}

/// Names a Secret in place of the value of a pod's variable.
pub fn from_secret(variable: &Variable) -> Vec<Change> {
    let at = &variable.at;
    let secret = map([("name", text(SECRET.0)), ("key", text(key_of(&variable.name)))]);
    vec![Put(format!("{at}/valueFrom"), map([("secretKeyRef", secret)])), Remove(format!("{at}/value"))]
}

/// A document that fixes are made for.
pub struct Mend<'d> {
    pub workload: &'d Workload,
    /// The data of its document.
    pub data: &'d Value,
}

impl Mend<'_> {
    fn platform(&self) -> Platform {
        self.workload.platform
    }

    fn is_docker(&self) -> bool {
        self.platform() == Platform::Docker
    }

    fn is_pod(&self) -> bool {
        self.platform() == Platform::Kubernetes
    }

    /// Sets a variable.
    pub fn set(&self, container: &Container, name: &str, value: &str) -> Vec<Change> {
        let at = &container.at;
        let found = container.variable(name).filter(|variable| !variable.inherited);
        if self.is_docker() {
            let list = container.variables.first().is_some_and(|v| !v.at.ends_with(&format!("/{}", token(&v.name))));
            let both = || text(format!("{name}={value}"));
            return match (found, list) {
                (Some(variable), true) => vec![Put(variable.at.clone(), both())],
                (Some(variable), false) => vec![Put(variable.at.clone(), text(value))],
                (None, true) => vec![Push(format!("{at}/environment"), both())],
                (None, false) => vec![Put(format!("{at}/environment/{}", token(name)), text(value))],
            };
        }
        let list = if self.is_pod() { "env" } else { "environment" };
        let stands = |at: &str| self.data.at(&format!("{at}/value")).is_some();
        match found {
            Some(Variable { at, .. }) if stands(at) => vec![Put(format!("{at}/value"), text(value))],
            Some(Variable { at: old, .. }) => {
                vec![Remove(old.clone()), Push(format!("{at}/{list}"), pair(name, value))]
            }
            None => vec![Push(format!("{at}/{list}"), pair(name, value))],
        }
    }

    /// Takes a variable away. One that comes with a set stays: who wants the set's others would lose them.
    pub fn unset(&self, variable: &Variable) -> Vec<Change> {
        if variable.inherited { Vec::new() } else { vec![Remove(variable.at.clone())] }
    }

    /// Names a secret in place of its value.
    pub fn reference(&self, container: &Container, variable: &Variable) -> Vec<Change> {
        if variable.inherited {
            return Vec::new();
        }
        let (at, name) = (&variable.at, &variable.name);
        match self.platform() {
            Platform::Kubernetes => {
                let mut changes = from_secret(variable);
                changes.retain(|change| !matches!(change, Remove(at) if self.data.at(at).is_none()));
                changes
            }
            Platform::Docker if at.ends_with(&format!("/{}", token(name))) => vec![Put(at.clone(), Value::Null)],
            Platform::Docker => vec![Put(at.clone(), text(name))],
            // An environment property of Elastic Beanstalk reaches the containers.
            Platform::Beanstalk => vec![Remove(at.clone())],
            Platform::EcsEc2 | Platform::Fargate => {
                let parameter = match name.as_str() {
                    "DD_API_KEY" => PARAMETER.to_owned(),
                    _ => format!("datadog-{}", key_of(name)),
                };
                let entry = map([("name", text(name)), ("valueFrom", text(parameter))]);
                vec![Remove(at.clone()), Push(format!("{}/secrets", container.at), entry)]
            }
        }
    }

    /// Gives a right of the table.
    pub fn grant(&self, container: &Container, grant: Grant) -> Vec<Change> {
        let at = &container.at;
        match grant {
            Grant::Capability(name) => {
                let list = match self.platform() {
                    Platform::Kubernetes => "securityContext/capabilities/add",
                    Platform::Docker => "cap_add",
                    _ => "linuxParameters/capabilities/add",
                };
                vec![Push(format!("{at}/{list}"), text(name))]
            }
            Grant::Mount { name, host, path, writable } => self.mount(container, name, host, path, writable),
            Grant::HostPid => match self.platform() {
                Platform::Kubernetes => vec![Put(format!("{}/hostPID", self.workload.at), Value::Bool(true))],
                Platform::Docker => vec![Put(format!("{at}/pid"), text("host"))],
                _ => vec![Put(format!("{}/pidMode", self.workload.at), text("host"))],
            },
            Grant::HostCgroup => vec![Put(format!("{at}/cgroup"), text("host"))],
            Grant::AppArmor => match self.platform() {
                Platform::Kubernetes => {
                    let at = format!("{at}/securityContext/appArmorProfile");
                    vec![Put(at, map([("type", text("Unconfined"))]))]
                }
                Platform::Docker => vec![Push(format!("{at}/security_opt"), text("apparmor:unconfined"))],
                _ => vec![Push(format!("{at}/dockerSecurityOptions"), text("apparmor:unconfined"))],
            },
        }
    }

    fn volumes(&self) -> Vec<Place<'_>> {
        let workload = Place { value: self.data, at: String::new() };
        let at = format!("{}/volumes", self.workload.at);
        workload.items(at.trim_start_matches('/'))
    }

    fn mount(&self, container: &Container, name: &str, host: &str, path: &str, writable: bool) -> Vec<Change> {
        let (at, workload) = (&container.at, &self.workload.at);
        if self.is_docker() {
            let mode = if writable { "" } else { ":ro" };
            return vec![Push(format!("{at}/volumes"), text(format!("{host}:{path}{mode}")))];
        }
        let pod = self.is_pod();
        let source = if pod { "hostPath/path" } else { "host/sourcePath" };
        let volumes = self.volumes();
        let known = volumes.iter().find(|v| v.text(source).is_some_and(|path| same_path(path) == same_path(host)));
        let mut changes = Vec::new();
        let name = match known.and_then(|volume| volume.text("name")) {
            Some(name) => name.to_owned(),
            None => {
                let taken = volumes.iter().any(|volume| volume.text("name") == Some(name));
                let name = if taken { format!("host-{name}") } else { name.to_owned() };
                let path = match pod {
                    true => ("hostPath", map([("path", text(host))])),
                    false => ("host", map([("sourcePath", text(host))])),
                };
                changes.push(Push(format!("{workload}/volumes"), map([("name", text(&name)), path])));
                name
            }
        };
        let mode = ("readOnly", Value::Bool(!writable));
        changes.push(match pod {
            true => {
                let mount = map([("name", text(name)), ("mountPath", text(path)), mode]);
                Push(format!("{at}/volumeMounts"), mount)
            }
            false => {
                let mount = map([("sourceVolume", text(name)), ("containerPath", text(path)), mode]);
                Push(format!("{at}/mountPoints"), mount)
            }
        });
        changes
    }

    /// Takes a path of the host away, and its volume where nobody else has it.
    pub fn unmount(&self, mount: &Mount) -> Vec<Change> {
        let mut changes = vec![Remove(mount.at.clone())];
        let place = Place::root(self.data);
        let key = if self.is_pod() { "name" } else { "sourceVolume" };
        let Some(name) = place.get(mount.at.trim_start_matches('/')).and_then(|mount| mount.text(key)) else {
            return changes;
        };
        let list = if self.is_pod() { "volumeMounts" } else { "mountPoints" };
        let all = self.workload.containers.iter().filter_map(|c| place.get(c.at.trim_start_matches('/')));
        let count = all.flat_map(|container| container.items(list)).filter(|m| m.text(key) == Some(name)).count();
        if let (1, Some(volume)) = (count, self.volumes().iter().find(|volume| volume.text("name") == Some(name))) {
            changes.push(Remove(volume.at.clone()));
        }
        changes
    }

    /// Sets whether a mount can be written to; its propagation goes.
    pub fn mode(&self, mount: &Mount, writable: bool) -> Vec<Change> {
        let at = &mount.at;
        if let Some(Value::Str(told)) = self.data.at(at) {
            let mode = if writable { "" } else { ":ro" };
            let places: Vec<&str> = parts(told).take(2).collect();
            return vec![Put(at.clone(), text(format!("{}{mode}", places.join(":"))))];
        }
        let key = if self.is_docker() { "read_only" } else { "readOnly" };
        vec![Put(format!("{at}/{key}"), Value::Bool(!writable))]
    }

    pub fn no_propagation(&self, mount: &Mount) -> Vec<Change> {
        match self.data.at(&mount.at) {
            Some(Value::Str(_)) => self.mode(mount, mount.writable),
            _ if self.is_pod() => vec![Remove(format!("{}/mountPropagation", mount.at))],
            _ => vec![Remove(format!("{}/bind/propagation", mount.at))],
        }
    }

    /// A port of the proxy that is not listed.
    pub fn port(&self, proxy: &Container, port: i64) -> Vec<Change> {
        let (list, protocol) = if self.is_pod() { ("ports", "TCP") } else { ("portMappings", "tcp") };
        let entry = map([("containerPort", Value::Int(port)), ("protocol", text(protocol))]);
        vec![Push(format!("{}/{list}", proxy.at), entry)]
    }

    /// The proxy beside the Agent.
    pub fn proxy(&self, image: &str) -> Vec<Change> {
        let address = [("DD_FIPS_LOCAL_ADDRESS", "127.0.0.1"), ("DD_FIPS_PORT_RANGE_START", "9803")];
        let variables = Value::Seq(address.map(|(name, value)| pair(name, value)).to_vec());
        let named = [("name", text("fips-proxy")), ("image", text(image))];
        let port = |key: &'static str| {
            let port = |n| map([("containerPort", Value::Int(n)), ("protocol", text(key))]);
            Value::Seq((FIRST_PORT..FIRST_PORT + PORTS).map(port).collect())
        };
        let at = &self.workload.at;
        let [name, image] = named;
        match self.platform() {
            Platform::Kubernetes => {
                let proxy = map([name, image, ("env", variables), ("ports", port("TCP"))]);
                vec![Push(format!("{at}/containers"), proxy)]
            }
            Platform::Docker => {
                let Some(agent) = self.workload.containers.iter().find(|c| c.role.is_agent()) else {
                    return Vec::new();
                };
                let variables = map(address.map(|(name, value)| (name, text(value))));
                let network = ("network_mode", text(format!("service:{}", agent.name)));
                let proxy = map([image, network, ("environment", variables), ("restart", text("unless-stopped"))]);
                vec![Put("/services/fips-proxy".into(), proxy)]
            }
            Platform::Beanstalk => Vec::new(),
            Platform::EcsEc2 | Platform::Fargate => {
                let memory = ("memory", Value::Int(256));
                let essential = ("essential", Value::Bool(true));
                let proxy =
                    map([name, image, essential, memory, ("environment", variables), ("portMappings", port("tcp"))]);
                vec![Push(format!("{at}/containerDefinitions"), proxy)]
            }
        }
    }
}
