//! Pods, and what makes pods; ConfigMaps with the Agent's files.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::yaml::{self, Value};

use super::super::capabilities::{Platform, Role};
use super::super::model::{Container, Flag, Mount, Workload};
use super::{Place, capability, role, whole, written};

/// Where the pod of an object stands.
const PODS: [(&str, &str); 8] = [
    ("Pod", "spec"),
    ("DaemonSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// What the Agent's files in each ConfigMap say, as `path` to text.
pub type Settings = BTreeMap<String, Vec<(String, String)>>;

/// The objects of a document: itself, or the items of a List.
pub fn objects(document: &Value) -> Vec<Place<'_>> {
    let root = Place::root(document);
    match root.text("kind") {
        Some(kind) if kind.ends_with("List") && root.get("items").is_some() => root.items("items"),
        Some(_) => vec![root],
        None => Vec::new(),
    }
}

/// The pods with a part of the Agent in a document.
pub fn workloads(document: &Value, number: usize, settings: &Settings) -> Vec<Workload> {
    objects(document).iter().filter_map(|object| workload(object, number, settings)).collect()
}

fn workload(object: &Place, document: usize, settings: &Settings) -> Option<Workload> {
    let kind = object.text("kind")?;
    let (_, path) = PODS.iter().find(|(known, _)| *known == kind)?;
    let pod = object.get(path)?;
    let mut containers: Vec<Container> =
        pod.items("initContainers").iter().map(|place| container(object, &pod, place, path, true)).collect();
    containers.extend(pod.items("containers").iter().map(|place| container(object, &pod, place, path, false)));
    whole(&mut containers);
    if !containers.iter().any(|container| container.role.sends() || container.role == Role::Proxy) {
        return None;
    }
    let name = object.text("metadata/name").unwrap_or("without a name");
    let mut sources = pod.items("volumes");
    sources.extend(pod.items("volumes").iter().flat_map(|volume| volume.items("projected/sources")));
    let mounted: BTreeSet<&str> = sources.iter().filter_map(|source| source.text("configMap/name")).collect();
    Some(Workload {
        document,
        platform: Platform::Kubernetes,
        name: format!("{kind} {name}"),
        namespace: object.text("metadata/namespace").map(str::to_owned),
        at: pod.at.clone(),
        host_pid: pod.flag("hostPID"),
        host_network: pod.flag("hostNetwork"),
        host_ipc: pod.flag("hostIPC"),
        shares_loopback: Some(true),
        containers,
        settings: mounted.iter().filter_map(|name| settings.get(*name)).flatten().cloned().collect(),
    })
}

fn container(object: &Place, pod: &Place, place: &Place, path: &str, init: bool) -> Container {
    let (name, image) = (place.text("name").unwrap_or(""), place.text("image").unwrap_or(""));
    let command: Vec<String> =
        place.items("command").iter().chain(&place.items("args")).map(|word| written(word.value)).collect();
    let role = match role(image, name, &command.join(" ")) {
        Role::Other => Role::Other,
        _ if init => Role::Init,
        role => role,
    };
    let own = place.get("securityContext");
    let context = own.clone().unwrap_or(Place { value: &Value::Null, at: format!("{}/securityContext", place.at) });
    let volumes = pod.items("volumes");
    let mount = |mount: &Place| {
        let volume = volumes.iter().find(|volume| volume.text("name") == mount.text("name"))?;
        Some(Mount {
            host: volume.text("hostPath/path")?.to_owned(),
            path: mount.text("mountPath").unwrap_or("").to_owned(),
            writable: !mount.flag("readOnly").on,
            propagates: mount.text("mountPropagation") == Some("Bidirectional"),
            at: mount.at.clone(),
        })
    };
    let annotations = path.strip_suffix("spec").unwrap_or("");
    let annotation = format!("container.apparmor.security.beta.kubernetes.io/{name}");
    let old = object.entries(&format!("{annotations}metadata/annotations"));
    let old = old.iter().find(|(key, place)| *key == annotation && place.value.as_str() == Some("unconfined"));
    let profile = |kind: &str| match context.get(kind) {
        Some(_) => context.says(&format!("{kind}/type"), "Unconfined"),
        None => pod.says(&format!("securityContext/{kind}/type"), "Unconfined"),
    };
    let unconfined = match old {
        Some((_, place)) => Flag { on: true, at: Some(place.at.clone()) },
        None => profile("appArmorProfile"),
    };
    let capabilities = context.texts("capabilities/add");
    Container {
        name: name.to_owned(),
        role,
        image: image.to_owned(),
        at: place.at.clone(),
        variables: place.variables("env"),
        capabilities: capabilities.into_iter().map(|(name, at)| (capability(&name), at)).collect(),
        privileged: context.flag("privileged"),
        unconfined,
        unfiltered: profile("seccompProfile"),
        host_cgroup: Flag { on: true, at: None },
        user: context.int("runAsUser").or_else(|| pod.int("securityContext/runAsUser")),
        mounts: place.items("volumeMounts").iter().filter_map(mount).collect(),
        ports: place.items("ports").iter().filter_map(|port| port.int("containerPort")).map(|(n, _)| n).collect(),
        read_only_root: role.sends().then(|| context.flag("readOnlyRootFilesystem").on),
        network: None,
    }
}

/// Settings of the Agent in ConfigMaps that hold system-probe.yaml or another of its files.
pub fn settings(document: &Value, into: &mut Settings) {
    for object in objects(document).iter().filter(|object| object.text("kind") == Some("ConfigMap")) {
        let found = into.entry(object.text("metadata/name").unwrap_or("").to_owned()).or_default();
        for (name, file) in object.entries("data") {
            let agents = ["datadog.yaml", "system-probe.yaml", "security-agent.yaml"].contains(&name);
            let Some(text) = file.value.as_str().filter(|_| agents) else { continue };
            if let Ok(document) = yaml::load(text.as_bytes()) {
                flatten("", document.root(), found);
            }
        }
    }
}

fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Null | Value::Seq(_) => {}
        scalar => into.push((path.to_owned(), written(scalar))),
    }
}
