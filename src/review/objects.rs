//! What stands beside the pods in manifests: rights in the cluster, namespaces, secrets.

use super::Standing;
use super::mend::SECRET;
use super::model::Finding;
use super::read::{Place, kubernetes::objects};
use super::rules::finding;
use crate::config::yaml::Value;
use crate::config::yaml::places::{Change, token};
use crate::secret::Secret;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

pub fn check(document: &Value, number: usize, pods: &[Standing], found: &mut Vec<Finding>, secrets: &mut Vec<Secret>) {
    for object in objects(document) {
        let name = object.text("metadata/name").unwrap_or("").escape_debug().to_string();
        match object.text("kind").unwrap_or("") {
            kind @ ("ClusterRole" | "Role") => role(&object, kind == "ClusterRole", &name, number, found),
            "ClusterRoleBinding" | "RoleBinding" => {
                let ours =
                    object.items("subjects").iter().any(|s| s.text("name").is_some_and(|n| n.contains("datadog")));
                if object.text("roleRef/name") == Some("cluster-admin") && (ours || name.contains("datadog")) {
                    let at = format!("{}/roleRef/name", object.at);
                    let what = format!("{name} gives all rights in the cluster");
                    let fix = vec![Change::Put(at.clone(), Value::Str("datadog-agent".into()))];
                    found.push(finding("rbac-wide", number, at, what, fix));
                }
            }
            "Secret" => {
                for data in ["stringData", "data"] {
                    for (key, value) in object.entries(data) {
                        let plain = value.value.as_str().is_some_and(|text| !text.is_empty());
                        if plain && super::rights::is_secret(&key.replace('-', "_")) {
                            secrets.extend(value.value.as_str().map(Secret::new));
                            let what = format!("the Secret {name} holds {} itself", key.escape_debug());
                            let fix = vec![Change::Put(value.at.clone(), Value::Str(String::new()))];
                            found.push(finding("secret-manifest", number, value.at, what, fix));
                        }
                    }
                }
            }
            "DatadogAgent" => {
                let what = format!("{name} is for the operator: the pods that it makes were not judged");
                found.push(finding("agent-unread", number, format!("{}/kind", object.at), what, Vec::new()));
                for (key, at) in [("apiKey", "apiSecret"), ("appKey", "appSecret")] {
                    let credentials = format!("{}/spec/global/credentials", object.at);
                    let value = object.text(&format!("spec/global/credentials/{key}"));
                    if let Some(value) = value.filter(|value| super::rights::is_plain(value)) {
                        secrets.push(Secret::new(value));
                        let secret = [("secretName", SECRET.0), ("keyName", &key.replace("Key", "-key"))];
                        let secret = secret.map(|(key, value)| (key.to_owned(), Value::Str(value.into())));
                        let at = format!("{credentials}/{at}");
                        let fix = vec![
                            Change::Remove(format!("{credentials}/{key}")),
                            Change::Put(at, Value::Map(secret.to_vec())),
                        ];
                        let what = format!("{name}: {key} stands in the file");
                        found.push(finding("secret-plain", number, format!("{credentials}/{key}"), what, fix));
                    }
                }
            }
            "Namespace" => {
                let at = format!("{}/metadata/labels/{}", object.at, token(ENFORCE));
                let level = document.at(&at).and_then(Value::as_str).unwrap_or("privileged");
                let above = |pod: &&Standing| {
                    let inside = pod.namespace.as_deref() == object.text("metadata/name");
                    inside && pod.level != "restricted" && pod.level != level
                };
                let most = pods.iter().filter(above).min_by_key(|pod| pod.level != "privileged");
                if let Some(pod) = most.filter(|_| level != "privileged") {
                    let what =
                        format!("the namespace {name} takes pods of level {level}, and {} is {}", pod.name, pod.level);
                    let fix = vec![Change::Put(at.clone(), Value::Str(pod.level.into()))];
                    found.push(finding("namespace-level", number, at, what, fix));
                }
            }
            _ => {}
        }
    }
}

fn role(object: &Place, whole_cluster: bool, name: &str, number: usize, found: &mut Vec<Finding>) {
    for rule in object.items("rules") {
        let says = |key: &str, word: &str| rule.texts(key).iter().any(|(text, _)| text == word);
        let gone = || vec![Change::Remove(rule.at.clone())];
        let wide = ["verbs", "resources", "apiGroups"].into_iter().find(|key| says(key, "*"));
        if let Some(key) = wide {
            let at = format!("{}/{key}", rule.at);
            found.push(finding("rbac-wide", number, at, format!("{name} has all {key} (*)"), gone()));
        } else if whole_cluster && says("resources", "secrets") && rule.items("resourceNames").is_empty() {
            let only = rule.items("resources").len() == 1;
            let secrets = rule.texts("resources").into_iter().find(|(text, _)| text == "secrets");
            let at = secrets.map_or(rule.at.clone(), |(_, at)| at);
            let fix = if only { gone() } else { vec![Change::Remove(at.clone())] };
            found.push(finding("rbac-secrets", number, at, format!("{name} reads every secret of the cluster"), fix));
        }
    }
}
