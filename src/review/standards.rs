//! The Pod Security Standards (kubernetes.io/docs/concepts/security/pod-security-standards, as of Kubernetes 1.34): which
//! level a pod meets.

use std::collections::HashSet;

use super::Standing;
use super::model::Workload;
use super::read::{Place, written};
use crate::config::yaml::Value;

/// Capabilities that the baseline level allows.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel parameters that the baseline level allows.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Types of SELinux labels that the baseline level allows.
const LABELS: [&str; 5] = ["", "container_engine_t", "container_init_t", "container_kvm_t", "container_t"];

/// Kinds of volumes that the restricted level allows.
const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// Where a container names a host to ask: probes and hooks.
const ASKS: [&str; 5] = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"];

/// Profiles of seccomp and AppArmor that are no `Unconfined`.
const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Which level a pod meets, and what keeps it from the next. `document` is the one that it stands in.
pub fn standing(workload: &Workload, document: &Value) -> Standing {
    let nothing = Value::Null;
    let pod = Place { value: document.at(&workload.at).unwrap_or(&nothing), at: workload.at.clone() };
    let mut against = baseline(&pod, document);
    let mut level = "privileged";
    if against.is_empty() {
        against = restricted(&pod);
        level = if against.is_empty() { "restricted" } else { "baseline" };
    }
    let mut told = HashSet::new();
    against.retain(|what| told.insert(what.clone()));
    Standing { name: workload.name.clone(), namespace: workload.namespace.clone(), level, against }
}

fn containers<'v>(pod: &Place<'v>) -> Vec<Place<'v>> {
    ["initContainers", "containers", "ephemeralContainers"].iter().flat_map(|list| pod.items(list)).collect()
}

fn capabilities(container: &Place, list: &str) -> Vec<String> {
    let texts = container.texts(&format!("securityContext/capabilities/{list}"));
    texts.into_iter().map(|(name, _)| name).collect()
}

/// What the baseline level forbids.
fn baseline(pod: &Place, document: &Value) -> Vec<String> {
    let mut against = Vec::new();
    let mut say = |on: bool, what: &str| {
        if on {
            against.push(what.to_owned());
        }
    };
    for name in ["hostPID", "hostNetwork", "hostIPC"] {
        say(pod.flag(name).on, name);
    }
    say(pod.items("volumes").iter().any(|volume| volume.get("hostPath").is_some()), "hostPath volumes");
    for sysctl in pod.items("securityContext/sysctls") {
        let name = sysctl.text("name").unwrap_or("");
        say(!SYSCTLS.contains(&name), &format!("sysctl {}", name.escape_debug()));
    }
    let metadata = pod.at.strip_suffix("/spec").unwrap_or("");
    let annotations = document.at(&format!("{metadata}/metadata/annotations"));
    for (name, value) in annotations.map_or(&[][..], Value::entries) {
        let value = value.as_str().unwrap_or("");
        let kept = ["", "runtime/default"].contains(&value) || value.starts_with("localhost/");
        say(name.starts_with(APPARMOR) && !kept, "AppArmor unconfined");
    }
    let containers = containers(pod);
    for place in containers.iter().chain([pod]) {
        let profile = |kind: &str| place.text(&format!("securityContext/{kind}/type"));
        say(profile("appArmorProfile").is_some_and(|kind| !PROFILES.contains(&kind)), "AppArmor unconfined");
        say(profile("seccompProfile").is_some_and(|kind| !PROFILES.contains(&kind)), "seccomp unconfined");
        let label = |key: &str| place.text(&format!("securityContext/seLinuxOptions/{key}")).unwrap_or("");
        let own = !LABELS.contains(&label("type")) || !label("user").is_empty() || !label("role").is_empty();
        say(own, "a SELinux label of its own");
        say(place.flag("securityContext/windowsOptions/hostProcess").on, "hostProcess");
    }
    for container in &containers {
        say(container.flag("securityContext/privileged").on, "privileged");
        for name in capabilities(container, "add") {
            say(
                !CAPABILITIES.contains(&name.as_str()),
                &format!("capability {}", super::read::capability(&name).escape_debug()),
            );
        }
        for port in container.items("ports") {
            let number = port.get("hostPort").map(|port| written(port.value)).filter(|number| number != "0");
            say(number.is_some(), &format!("hostPort {}", number.as_deref().unwrap_or("").escape_debug()));
        }
        say(container.text("securityContext/procMount").is_some_and(|mount| mount != "Default"), "procMount");
        let names = |what: &str| container.text(what).is_some_and(|host| !host.is_empty());
        let asks = |ask: &&str| names(&format!("{ask}/httpGet/host")) || names(&format!("{ask}/tcpSocket/host"));
        say(ASKS.iter().any(asks), "a probe or hook that names a host");
    }
    against
}

/// What the restricted level wants beyond that.
fn restricted(pod: &Place) -> Vec<String> {
    let mut against = Vec::new();
    for volume in pod.items("volumes") {
        // Without any kind it is an emptyDir.
        let kind = volume.value.entries().iter().map(|(key, _)| key).find(|key| *key != "name");
        if let Some(kind) = kind.filter(|kind| !VOLUMES.contains(&kind.as_str())) {
            against.push(format!("a volume of the kind {}", kind.escape_debug()));
        }
    }
    let is_root = |place: &Place| place.int("securityContext/runAsUser").is_some_and(|(user, _)| user == 0);
    let non_root =
        |place: &Place| place.get("securityContext/runAsNonRoot").map(|flag| flag.value.as_bool() == Some(true));
    let seccomp = |place: &Place| place.get("securityContext/seccompProfile/type").is_some();
    if is_root(pod) || non_root(pod) == Some(false) {
        against.push("the pod runs as root".into());
    }
    for container in containers(pod) {
        let name = container.text("name").unwrap_or("").escape_debug();
        let mut say = |on: bool, what: &str| {
            if on {
                against.push(format!("{name}: {what}"));
            }
        };
        let escalates = container.get("securityContext/allowPrivilegeEscalation").map(|flag| flag.value.as_bool());
        say(escalates != Some(Some(false)), "allowPrivilegeEscalation is not false");
        say(is_root(&container), "runs as root");
        say(!non_root(&container).or(non_root(pod)).unwrap_or(false), "runAsNonRoot is not true");
        say(!seccomp(&container) && !seccomp(pod), "no seccomp profile");
        say(!capabilities(&container, "drop").iter().any(|name| name == "ALL"), "capabilities.drop has no ALL");
        for name in capabilities(&container, "add").iter().filter(|name| *name != "NET_BIND_SERVICE") {
            say(true, &format!("capability {}", name.escape_debug()));
        }
    }
    against
}

#[cfg(test)]
mod tests {
    use super::super::review;
    use crate::config::yaml::Value;
    use crate::config::yaml::places::Change;

    /// A pod of the Agent that meets the restricted level.
    const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: agent
  annotations: {container.apparmor.security.beta.kubernetes.io/agent: runtime/default}
spec:
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
    sysctls: [{name: net.ipv4.tcp_syncookies, value: \"1\"}]
  containers:
    - name: agent
      image: datadog/agent:7
      ports: [{containerPort: 8125}]
      livenessProbe: {httpGet: {port: 5555, path: /live}}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
  volumes:
    - {name: config, configMap: {name: agent}}
    - {name: run}
";

    fn level(old: &str, new: &str) -> (&'static str, Vec<String>) {
        assert!(POD.contains(old), "{old}");
        let standing = review(POD.replacen(old, new, 1).as_bytes()).unwrap().standings.remove(0);
        (standing.level, standing.against)
    }

    #[test]
    fn each_wish_of_the_restricted_level_is_looked_at() {
        assert_eq!(level("", ""), ("restricted", vec![]));
        // A user without a number is the image's own: the kubelet sees that it is not root.
        assert_eq!(level("runAsNonRoot: true", "runAsNonRoot: true\n    runAsUser: 100").0, "restricted");
        for (old, new, what) in [
            ("    runAsNonRoot: true\n", "", "agent: runAsNonRoot is not true"),
            ("    runAsNonRoot: true\n", "    runAsUser: 100\n", "agent: runAsNonRoot is not true"),
            ("runAsNonRoot: true", "runAsNonRoot: true\n    runAsUser: 0", "the pod runs as root"),
            ("drop: [ALL], add: [NET_BIND_SERVICE]", "drop: [ALL], add: [CHOWN]", "agent: capability CHOWN"),
            ("drop: [ALL]", "drop: [KILL]", "agent: capabilities.drop has no ALL"),
            ("    seccompProfile: {type: RuntimeDefault}\n", "", "agent: no seccomp profile"),
            ("allowPrivilegeEscalation: false\n", "runAsUser: 100\n", "agent: allowPrivilegeEscalation is not false"),
            ("readOnlyRootFilesystem: true", "runAsUser: 0", "agent: runs as root"),
            ("configMap: {name: agent}", "nfs: {server: a, path: /}", "a volume of the kind nfs"),
        ] {
            assert_eq!(level(old, new), ("baseline", vec![what.to_owned()]), "{new}");
        }
    }

    #[test]
    fn each_ban_of_the_baseline_level_is_looked_at() {
        for (old, new, what) in [
            ("  volumes:", "  hostPID: true\n  volumes:", "hostPID"),
            ("  volumes:", "  hostIPC: true\n  volumes:", "hostIPC"),
            ("  volumes:", "  hostNetwork: true\n  volumes:", "hostNetwork"),
            ("configMap: {name: agent}", "hostPath: {path: /proc}", "hostPath volumes"),
            ("net.ipv4.tcp_syncookies", "kernel.msgmax", "sysctl kernel.msgmax"),
            ("agent: runtime/default", "agent: unconfined", "AppArmor unconfined"),
            ("readOnlyRootFilesystem: true", "appArmorProfile: {type: Unconfined}", "AppArmor unconfined"),
            ("type: RuntimeDefault", "type: Unconfined", "seccomp unconfined"),
            ("readOnlyRootFilesystem: true", "seLinuxOptions: {type: spc_t}", "a SELinux label of its own"),
            ("readOnlyRootFilesystem: true", "windowsOptions: {hostProcess: true}", "hostProcess"),
            ("readOnlyRootFilesystem: true", "privileged: true", "privileged"),
            ("add: [NET_BIND_SERVICE]", "add: [SYS_ADMIN]", "capability SYS_ADMIN"),
            ("containerPort: 8125", "containerPort: 8125, hostPort: 8125", "hostPort 8125"),
            ("readOnlyRootFilesystem: true", "procMount: Unmasked", "procMount"),
            ("port: 5555", "port: 5555, host: 10.0.0.1", "a probe or hook that names a host"),
        ] {
            assert_eq!(level(old, new), ("privileged", vec![what.to_owned()]), "{new}");
        }
        assert_eq!(level("containerPort: 8125", "containerPort: 8125, hostPort: 0").0, "restricted");
    }

    #[test]
    fn a_namespace_takes_the_level_that_its_pods_need() {
        let namespace = "apiVersion: v1
kind: Namespace
metadata: {name: agents, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
";
        let pod = POD.replace("  name: agent\n", "  name: agent\n  namespace: agents\n");
        let wanted = |pods: &str| {
            let found = review(format!("{namespace}{pods}").as_bytes()).unwrap().findings;
            found.into_iter().find(|finding| finding.rule == "namespace-level").map(|mut finding| finding.fix.remove(0))
        };
        let put = |level: &str| {
            let at = "/metadata/labels/pod-security.kubernetes.io~1enforce";
            Some(Change::Put(at.to_owned(), Value::Str(level.to_owned())))
        };
        assert_eq!(wanted(&pod), None);
        let baseline = pod.replace("    runAsNonRoot: true\n", "");
        assert_eq!(wanted(&baseline), put("baseline"));
        let both = format!("{baseline}---\n{}", pod.replace("  volumes:", "  hostIPC: true\n  volumes:"));
        assert_eq!(wanted(&both), put("privileged"));
    }
}
