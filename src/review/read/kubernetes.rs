//! Pods, and what makes pods; ConfigMaps with the Agent's files.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::yaml::{self, Value};
use crate::settings::bypass::names_endpoints;

use super::super::capabilities::{Platform, Role};
use super::super::model::{Container, Flag, Mount, Variable, Workload};
use super::{Place, capability, role, whole, written};

/// Where the pod of an object stands: of a DaemonSet and all that has a template as it has, a CronJob, a PodTemplate and a
/// Pod. Kinds are not asked for, since a cluster may have its own.
const PODS: [&str; 4] = ["spec/template/spec", "spec/jobTemplate/spec/template/spec", "template/spec", "spec"];

/// Kind and name of an object.
type Named = (&'static str, String);

/// What stands in the ConfigMaps and Secrets of a text, for the pods that take it from there.
#[derive(Debug, Default)]
pub struct Sets {
    /// What the Agent's files in each ConfigMap say, as `path` to text.
    files: BTreeMap<String, Vec<(String, String)>>,
    /// What each holds by kind and name, as `envFrom` hands it out. A Secret's values are not looked at.
    variables: BTreeMap<Named, Vec<(String, Option<String>)>>,
}

/// The objects of a document: itself, or the items of a List.
pub fn objects(document: &Value) -> Vec<Place<'_>> {
    let root = Place::root(document);
    match root.text("kind") {
        Some(kind) if kind.ends_with("List") && root.get("items").is_some() => root.items("items"),
        Some(_) => vec![root],
        None => Vec::new(),
    }
}

/// The pods of a document.
pub fn workloads(document: &Value, number: usize, sets: &Sets) -> Vec<Workload> {
    objects(document).iter().filter_map(|object| workload(object, number, sets)).collect()
}

fn workload(object: &Place, document: usize, sets: &Sets) -> Option<Workload> {
    let kind = object.text("kind")?;
    let (path, pod) = PODS.iter().find_map(|path| {
        let pod = object.get(path)?;
        pod.get("containers").is_some().then_some((path, pod))
    })?;
    let mut containers: Vec<Container> =
        pod.items("initContainers").iter().map(|place| container(object, &pod, place, sets, path, true)).collect();
    containers.extend(pod.items("containers").iter().map(|place| container(object, &pod, place, sets, path, false)));
    whole(&mut containers);
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
        settings: mounted.iter().filter_map(|name| sets.files.get(*name)).flatten().cloned().collect(),
    })
}

fn container(object: &Place, pod: &Place, place: &Place, sets: &Sets, path: &str, init: bool) -> Container {
    let (name, image) = (place.text("name").unwrap_or(""), place.text("image").unwrap_or(""));
    let command: Vec<String> =
        place.items("command").iter().chain(&place.items("args")).map(|word| written(word.value)).collect();
    let variables = [inherited(place, sets), own(place, sets)].concat();
    let role = match role(image, name, &command.join(" "), &variables) {
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
        variables,
        unread: unread(place, sets),
        capabilities: capabilities.into_iter().map(|(name, at)| (capability(&name), at)).collect(),
        privileged: context.flag("privileged"),
        unconfined,
        unfiltered: profile("seccompProfile"),
        host_cgroup: Flag { on: true, at: None },
        host_users: Flag::default(),
        needless: Vec::new(),
        user: context.int("runAsUser").or_else(|| pod.int("securityContext/runAsUser")),
        mounts: place.items("volumeMounts").iter().filter_map(mount).collect(),
        ports: place.items("ports").iter().filter_map(|port| port.int("containerPort")).map(|(n, _)| n).collect(),
        read_only_root: role.sends().then(|| context.flag("readOnlyRootFilesystem").on),
        network: None,
    }
}

/// The set that an item of `envFrom` names, and what is put before its names.
fn source<'v>(item: &Place<'v>) -> Option<(Named, &'v str)> {
    let kinds = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];
    let named = kinds.iter().find_map(|(key, kind)| Some((*kind, item.text(&format!("{key}/name"))?.to_owned())));
    Some((named?, item.text("prefix").unwrap_or("")))
}

/// Variables that come in sets; of two sets the later one counts, as where one variable is named twice.
fn inherited(place: &Place, sets: &Sets) -> Vec<Variable> {
    let mut found = Vec::new();
    for item in place.items("envFrom") {
        let Some((key, prefix)) = source(&item) else { continue };
        let variable = |(name, value): &(String, Option<String>)| Variable {
            inherited: true,
            ..Variable::new(&format!("{prefix}{name}"), value.clone(), item.at.clone())
        };
        found.extend(sets.variables.get(&key).into_iter().flatten().map(variable));
    }
    found
}

/// A container's own variables. One that is taken from a ConfigMap of the text has the value that stands there.
fn own(place: &Place, sets: &Sets) -> Vec<Variable> {
    let mut variables = place.variables("env");
    for (variable, item) in variables.iter_mut().zip(place.items("env").iter().filter(|i| i.text("name").is_some())) {
        let Some(source) = item.get("valueFrom/configMapKeyRef") else { continue };
        let name = source.text("name").unwrap_or_default().to_owned();
        let set = sets.variables.get(&("ConfigMap", name)).into_iter().flatten();
        let key = source.text("key");
        variable.value = set.filter(|(name, _)| Some(name.as_str()) == key).find_map(|(_, value)| value.clone());
    }
    variables
}

fn unread(place: &Place, sets: &Sets) -> Vec<(String, String)> {
    let unread = |item: &Place| {
        let (key, _) = source(item)?;
        (!sets.variables.contains_key(&key)).then(|| (format!("the {} {}", key.0, key.1), item.at.clone()))
    };
    place.items("envFrom").iter().filter_map(unread).collect()
}

/// Takes in the ConfigMaps and Secrets of a document.
pub fn sets(document: &Value, into: &mut Sets) {
    for object in objects(document) {
        let name = object.text("metadata/name").unwrap_or("").to_owned();
        let kind = match object.text("kind") {
            Some("ConfigMap") => "ConfigMap",
            Some("Secret") => "Secret",
            _ => continue,
        };
        let variables = into.variables.entry((kind, name.clone())).or_default();
        for (key, value) in ["data", "stringData"].iter().flat_map(|data| object.entries(data)) {
            variables.push((key.to_owned(), (kind == "ConfigMap").then(|| written(value.value))));
        }
        if kind == "Secret" {
            continue;
        }
        let found = into.files.entry(name).or_default();
        for (name, file) in object.entries("data") {
            let agents = ["datadog.yaml", "system-probe.yaml", "security-agent.yaml"].contains(&name);
            let Some(text) = file.value.as_str().filter(|_| agents) else { continue };
            if let Ok(document) = yaml::load(text.as_bytes()) {
                flatten("", document.root(), found);
            }
        }
    }
}

/// What one of the Agent's files says, as `path` to text. The Agent knows no capitals in its paths.
pub fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        // Of endpoints it is enough that there are some.
        Value::Map(_) | Value::Seq(_) if names_endpoints(path) => {
            if !value.entries().is_empty() || !value.items().is_empty() {
                into.push((path.to_owned(), String::new()));
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = key.to_ascii_lowercase();
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Null | Value::Seq(_) => {}
        scalar => into.push((path.to_owned(), written(scalar))),
    }
}
