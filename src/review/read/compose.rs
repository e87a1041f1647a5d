//! Compose files; `docker run` and `docker inspect` are brought into their form.

use crate::config::yaml::Value;

use super::super::capabilities::{Platform, Role};
use super::super::model::{Container, Flag, Mount, Variable, Workload};
use super::{Place, capability, role, whole, written};

/// The services of a document, as one set.
pub fn workload(document: &Value, number: usize) -> Option<Workload> {
    let root = Place::root(document);
    let mut services = root.entries("services");
    services.retain(|(_, service)| matches!(service.value, Value::Map(_)));
    let mut containers: Vec<Container> = services.iter().map(|(name, service)| container(name, service)).collect();
    whole(&mut containers);
    let agent = containers.iter().position(|container| container.role.sends()).unwrap_or_default();
    let (name, service) = services.get(agent)?;
    Some(Workload {
        document: number,
        platform: Platform::Docker,
        name: format!("service {name}"),
        namespace: None,
        at: service.at.clone(),
        host_pid: service.says("pid", "host"),
        host_network: service.says("network_mode", "host"),
        host_ipc: service.says("ipc", "host"),
        shares_loopback: None,
        containers,
        settings: Vec::new(),
    })
}

fn container(name: &str, place: &Place) -> Container {
    let image = place.text("image").unwrap_or("");
    let called = place.text("container_name").unwrap_or(name);
    let options = place.texts("security_opt");
    let option = |words: [&str; 2]| {
        let found = options.iter().find(|(text, _)| words.contains(&text.as_str()));
        Flag { on: found.is_some(), at: found.map(|(_, at)| at.clone()) }
    };
    let port = |port: &Place| match port.value {
        Value::Map(_) => port.int("target").map(|(n, _)| n),
        // The first of a range stands for all.
        other => written(other).rsplit(':').next()?.split(['/', '-']).next()?.parse().ok(),
    };
    let variables = variables(place);
    let role = match role(image, name, "", &variables) {
        Role::Other => role(image, called, "", &variables),
        role => role,
    };
    Container {
        name: name.to_owned(),
        role,
        image: image.to_owned(),
        at: place.at.clone(),
        variables,
        unread: files(place),
        capabilities: place.texts("cap_add").into_iter().map(|(name, at)| (capability(&name), at)).collect(),
        privileged: place.flag("privileged"),
        unconfined: option(["apparmor:unconfined", "apparmor=unconfined"]),
        unfiltered: option(["seccomp:unconfined", "seccomp=unconfined"]),
        host_cgroup: place.says("cgroup", "host"),
        host_users: place.says("userns_mode", "host"),
        needless: needless(place),
        user: place.int("user"),
        mounts: place.items("volumes").iter().filter_map(mount).collect(),
        ports: place.items("ports").iter().filter_map(port).collect(),
        read_only_root: None,
        network: place.text("network_mode").map(str::to_owned),
    }
}

/// A map, or a list of `NAME=value`; without a value it comes from the caller's environment.
fn variables(place: &Place) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    for (name, value) in place.entries("environment") {
        let text = (*value.value != Value::Null).then(|| written(value.value)).and_then(|text| known(&text));
        found.push(Variable::new(name, text, value.at));
    }
    for item in place.items("environment") {
        let text = written(item.value);
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), None),
        };
        found.push(Variable::new(name, value.and_then(known), item.at));
    }
    found
}

/// Files of variables: one name, a list of names, or of maps with a `path`.
fn files(place: &Place) -> Vec<(String, String)> {
    let mut all = place.items("env_file");
    all.extend(place.get("env_file").filter(|file| file.value.as_str().is_some()));
    let name = |file: &Place| file.value.as_str().or_else(|| file.text("path")).map(str::to_owned);
    all.iter().filter_map(|file| Some((name(file)?, file.at.clone()))).collect()
}

/// A variable's value. None where it begins with one of the caller's environment (`$NAME`, `${NAME}`) that has no default.
fn known(text: &str) -> Option<String> {
    let text = resolved(text);
    (!text.starts_with('$') || text.starts_with("$$")).then_some(text)
}

/// Devices of the host, and its UTS namespace.
fn needless(place: &Place) -> Vec<(String, String)> {
    let device = |device: &Place| {
        let name = device.text("source").map_or_else(|| written(device.value), str::to_owned);
        (format!("the device {name}"), device.at.clone())
    };
    let mut found: Vec<(String, String)> = place.items("devices").iter().map(device).collect();
    let rules = place.texts("device_cgroup_rules").into_iter();
    found.extend(rules.map(|(rule, at)| (format!("the devices {rule}"), at)));
    let name = place.says("uts", "host");
    found.extend(name.at.filter(|_| name.on).map(|at| ("the UTS namespace of the host".to_owned(), at)));
    found
}

fn mount(place: &Place) -> Option<Mount> {
    let (host, path, writable, propagates) = match place.value {
        Value::Str(text) => {
            let mut parts = parts(text);
            let (host, path) = (parts.next()?, parts.next()?);
            let options: Vec<&str> = parts.next().unwrap_or("").split(',').collect();
            (resolved(host), path, !options.contains(&"ro"), options.iter().any(|o| ["shared", "rshared"].contains(o)))
        }
        _ => {
            let propagation = place.text("bind/propagation").unwrap_or("");
            let propagates = ["shared", "rshared"].contains(&propagation);
            (resolved(place.text("source")?), place.text("target")?, !place.flag("read_only").on, propagates)
        }
    };
    // Anything else is the name of a volume. What a variable holds may be a path.
    let is_path = host.starts_with(['/', '.', '~', '$']);
    is_path.then(|| Mount { host, path: path.into(), writable, propagates, at: place.at.clone() })
}

/// The parts of a volume, `HOST:PATH:OPTIONS`; a colon within `${NAME:-…}` parts nothing.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    })
}

/// A text with what stands for a variable at its beginning where it is not set: `${NAME:-/path}/x` is `/path/x`.
fn resolved(text: &str) -> String {
    let variable = text.strip_prefix("${").and_then(|rest| rest.split_once('}'));
    let default = variable.and_then(|(inside, rest)| {
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (_, inside) = inside.split_at(end);
        Some((inside.strip_prefix(":-").or_else(|| inside.strip_prefix('-'))?, rest))
    });
    default.map_or(text.to_owned(), |(default, rest)| format!("{default}{rest}"))
}
