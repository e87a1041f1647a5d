//! Rights that are given, needless or missing, held against the table; and whether CWS is complete.

use super::capabilities::{Feature, Grant, Need, Platform, Role, Row, TABLE, rows_for, same_path};
use super::mend::Mend;
use super::model::{Container, Finding, Flag, Mount, Right, Workload};
use super::read::{are_agents, image_name, image_tag};
use super::rules::finding;
use crate::config::yaml::Value;
use crate::config::yaml::places::Change;
use crate::secret::{self, Secret};
use crate::types::Version;

/// Rules that take away what no feature needs that is on.
const UNNEEDED: [&str; 3] = ["right-needless", "host-pid", "host-network"];

pub struct Checker<'d> {
    pub mend: Mend<'d>,
    pub features: Vec<Feature>,
    pub found: &'d mut Vec<Finding>,
    pub rights: &'d mut Vec<Right>,
    pub secrets: &'d mut Vec<Secret>,
}

impl Checker<'_> {
    fn workload(&self) -> &Workload {
        self.mend.workload
    }

    fn add(&mut self, id: &str, at: &str, what: String, mut fix: Vec<Change>) {
        // A feature that needs it may be turned on by a variable that was not read.
        let unread = |c: &Container| !c.unread.is_empty() || c.unknown(false).next().is_some();
        if UNNEEDED.contains(&id) && self.workload().containers.iter().any(unread) {
            fix.clear();
        }
        self.found.push(finding(id, self.mend.workload.document, at, what, fix));
    }

    fn right(&mut self, container: &str, at: &str, right: String, why: Option<&'static str>) {
        let document = self.workload().document;
        self.rights.push(Right { document, at: at.into(), line: 0, container: container.into(), right, why });
    }

    pub fn check(&mut self) {
        let workload = self.mend.workload;
        // What may be the Agent is told, and not judged, but for its key.
        for container in workload.containers.iter().filter(|c| c.role == Role::Other && are_agents(&c.variables)) {
            let (name, image) = (&container.name, container.image.escape_debug());
            let what = format!("{name}: it has variables of the Agent, and {image} is no name of its image");
            self.add("agent-unread", &container.at, what, Vec::new());
            self.secrets(container);
        }
        if !workload.is_ours() {
            return;
        }
        self.together(workload);
        if workload.cws() {
            self.cws(workload);
        }
        for container in workload.containers.iter().filter(|c| c.role != Role::Other) {
            for (set, at) in &container.unread {
                let what = format!("{}: variables of {} were not read", container.name, set.escape_debug());
                self.add("variables-unread", at, what, Vec::new());
            }
            for variable in container.unknown(workload.fips()) {
                let what = format!("{}: the value of {} was not read", container.name, variable.name.escape_debug());
                self.add("variables-unread", &variable.at, what, Vec::new());
            }
            self.secrets(container);
            self.image(container);
            self.switches(container);
            self.capabilities(container);
            self.mounts(container);
            if container.role.sends() {
                self.missing(container);
                self.user(container);
            }
        }
    }

    fn row(&self, container: &Container, grant: Grant) -> Option<&'static Row> {
        rows_for(container.role, self.workload().platform, &self.features).find(|row| row.grant == grant)
    }

    /// What all containers share.
    fn together(&mut self, workload: &Workload) {
        let name = workload.name.clone();
        let pid = workload.containers.iter().find_map(|c| self.row(c, Grant::HostPid));
        if workload.host_pid.on {
            let at = workload.host_pid.at.clone().unwrap_or_default();
            match pid {
                Some(row) => self.right(&name, &at, "the host's process ids".into(), Some(row.why)),
                None => {
                    let fix = vec![Change::Remove(at.clone())];
                    self.add("host-pid", &at, format!("{name} has the host's process ids"), fix);
                }
            }
        }
        let Flag { on: host_network, at } = workload.host_network.clone();
        if host_network {
            let at = at.unwrap_or_default();
            // A task on EC2 has no other way to share the loopback without an interface of its own.
            if workload.platform == Platform::EcsEc2 && workload.fips() {
                let why = "the FIPS proxy is reached by the loopback address";
                self.right(&name, &at, "the host's network".into(), Some(why));
            } else {
                let fix = vec![Change::Remove(at.clone())];
                self.add("host-network", &at, format!("{name} has the host's network"), fix);
            }
        }
        if workload.host_ipc.on {
            let at = workload.host_ipc.at.clone().unwrap_or_default();
            self.add("host-ipc", &at, format!("{name} has the host's IPC"), vec![Change::Remove(at.clone())]);
        }
    }

    fn cws(&mut self, workload: &Workload) {
        const ENABLED: &str = "DD_RUNTIME_SECURITY_CONFIG_ENABLED";
        let anyone = workload.containers.iter().find(|c| c.variable(ENABLED).is_some());
        let anyone = anyone.map_or(workload.at.clone(), |c| c.variable(ENABLED).map_or(c.at.clone(), |v| v.at.clone()));
        if workload.platform == Platform::Fargate {
            let less = "runtime_security_config.ebpfless.enabled";
            let container = workload.containers.iter().find(|c| c.role.is_agent());
            if let Some(container) = container.filter(|_| !workload.is_on(less)) {
                let fix = self.mend.set(container, "DD_RUNTIME_SECURITY_CONFIG_EBPFLESS_ENABLED", "true");
                self.add("cws-ebpfless", &anyone, format!("{}: CWS on Fargate uses eBPF", container.name), fix);
            }
            return;
        }
        let pod = workload.platform == Platform::Kubernetes;
        let Some(probe) = workload.containers.iter().find(|c| c.role.probes()) else {
            if workload.containers.iter().any(|c| c.role.is_agent()) {
                let what = format!("{}: CWS is on, and there is no system-probe", workload.name);
                self.add("cws-system-probe", &anyone, what, Vec::new());
            }
            return;
        };
        let direct = workload.is_on("runtime_security_config.direct_send_from_system_probe");
        let security = workload.of(Role::Security);
        if pod && probe.role == Role::SystemProbe && security.is_none() && !direct {
            let what = format!("{}: CWS is on, and there is no security-agent", workload.name);
            self.add("cws-security-agent", &anyone, what, Vec::new());
        }
        for container in [Some(probe), security].into_iter().flatten() {
            if workload.switch(container, "runtime_security_config.enabled") != Some(true)
                && !container.is_unread(ENABLED)
            {
                let at = container.variable(ENABLED).map_or(&container.at, |v| &v.at);
                let fix = self.mend.set(container, ENABLED, "true");
                self.add(
                    "cws-partial",
                    at,
                    format!("{}: {ENABLED} is not true, and it is elsewhere", container.name),
                    fix,
                );
            }
        }
        if probe.text("HOST_ROOT") != Some("/host/root") && workload.platform != Platform::Beanstalk {
            let at = probe.variable("HOST_ROOT").map_or(&probe.at, |v| &v.at);
            let fix = self.mend.set(probe, "HOST_ROOT", "/host/root");
            self.add("cws-host-root", at, format!("{}: HOST_ROOT is not /host/root", probe.name), fix);
        }
    }

    fn secrets(&mut self, container: &Container) {
        for variable in &container.variables {
            if variable.mistyped {
                let at = format!("{}/value", variable.at);
                let value = variable.value.clone().unwrap_or_default();
                let what = format!("{}: the value of {} is no text", container.name, variable.name);
                self.add("value-type", &at, what, vec![Change::Put(at.clone(), Value::Str(value))]);
            }
            if is_secret(&variable.name)
                && let Some(value) = variable.value.as_deref().filter(|text| is_plain(text))
            {
                self.secrets.push(Secret::new(value));
                let fix = self.mend.reference(container, variable);
                let what = format!("{}: the value of {} stands in the file", container.name, variable.name);
                self.add("secret-plain", &variable.at, what, fix);
            }
        }
    }

    fn image(&mut self, container: &Container) {
        let at = format!("{}/image", container.at);
        let (image, name) = (&container.image, &container.name);
        let put = |tag: &str| {
            let last = image.rfind('/').map_or(0, |slash| slash + 1);
            let bare = last + image_name(image).len();
            vec![Change::Put(at.clone(), Value::Str(format!("{}:{tag}", &image[..bare])))]
        };
        let newest = if container.role == Role::Proxy { super::fips::PROXY_TAG } else { "7" };
        if image.contains("@sha256:") {
            return;
        }
        let Some(tag) = image_tag(image).filter(|tag| *tag != "latest") else {
            let fix = put(newest);
            return self.add("image-tag", &at, format!("{name}: {image} names no version"), fix);
        };
        let Some(version) = version(tag).filter(|_| container.role.sends() && container.role != Role::Cluster) else {
            return;
        };
        let needs = [
            (self.workload().fips(), Version::new(7, 41, 0), "FIPS"),
            (self.workload().cws(), Version::new(7, 27, 0), "CWS"),
            (
                self.workload().is_on("runtime_security_config.network.enabled"),
                Version::new(7, 36, 0),
                "network events of CWS",
            ),
        ];
        if let Some((_, first, what)) = needs.into_iter().find(|(on, first, _)| *on && version < *first) {
            let what = format!("{name}: {what} came with Agent {}.{}, and this is {tag}", first.major, first.minor);
            self.add("version-old", &at, what, put(newest));
        }
    }

    fn switches(&mut self, container: &Container) {
        let name = container.name.clone();
        if container.privileged.on {
            let at = container.privileged.at.clone().unwrap_or_default();
            self.add(
                "privileged",
                &at,
                format!("{name} is privileged"),
                vec![Change::Put(at.clone(), Value::Bool(false))],
            );
        }
        if let (true, Some(at)) = (container.unconfined.on, &container.unconfined.at) {
            match self.row(container, Grant::AppArmor) {
                Some(row) => self.right(&name, at, "no AppArmor profile".into(), Some(row.why)),
                // What a pod says for all is judged where it is needed.
                None if !at.starts_with(&container.at) && !at.contains("annotations") => {}
                None => {
                    let fix = vec![Change::Remove(at.clone())];
                    self.add("right-needless", at, format!("{name} has no AppArmor profile"), fix);
                }
            }
        }
        if let (true, Some(at)) = (container.unfiltered.on, &container.unfiltered.at) {
            let whole = at.strip_suffix("/type").unwrap_or(at).to_owned();
            self.add("seccomp-off", at, format!("{name} has no seccomp profile"), vec![Change::Remove(whole)]);
        }
        if let (true, Some(at)) = (container.host_cgroup.on, &container.host_cgroup.at) {
            let why = "the control groups are the host's, so that containers are told apart";
            let why = self.row(container, Grant::HostCgroup).map_or(why, |row| row.why);
            self.right(&name, at, "the host's control groups".into(), Some(why));
        }
        for (what, at) in &container.needless {
            let fix = vec![Change::Remove(at.clone())];
            self.add("right-needless", at, format!("{name} has {}", what.escape_debug()), fix);
        }
        if let (true, Some(at)) = (container.host_users.on, &container.host_users.at) {
            let right = "the host's user ids";
            match self.row(container, Grant::HostPid) {
                Some(_) => {
                    self.right(&name, at, right.into(), Some("docker gives the host's process ids only with them"))
                }
                None => {
                    let fix = vec![Change::Remove(at.clone())];
                    self.add("right-needless", at, format!("{name} has {right}"), fix);
                }
            }
        }
        if container.read_only_root == Some(false) && !matches!(container.role, Role::Whole | Role::Init) {
            let at = format!("{}/securityContext/readOnlyRootFilesystem", container.at);
            let fix = vec![Change::Put(at.clone(), Value::Bool(true))];
            self.add("root-filesystem", &at, format!("{name} can write to its own file system"), fix);
        }
    }

    fn capabilities(&mut self, container: &Container) {
        for (capability, at) in &container.capabilities {
            let row = rows_for(container.role, self.workload().platform, &self.features)
                .find(|row| matches!(row.grant, Grant::Capability(name) if name == capability));
            match row {
                Some(row) => self.right(&container.name, at, format!("capability {capability}"), Some(row.why)),
                None => {
                    let what = format!("{} has the capability {}", container.name, capability.escape_debug());
                    self.add("right-needless", at, what, vec![Change::Remove(at.clone())]);
                }
            }
        }
    }

    fn mounts(&mut self, container: &Container) {
        let platform = self.workload().platform;
        for mount in &container.mounts {
            let (name, host, at) = (&container.name, mount.host.escape_debug(), &mount.at);
            if mount.propagates {
                let fix = self.mend.no_propagation(mount);
                self.add("mount-propagation", at, format!("{name}: mounts below {host} reach the host"), fix);
            }
            let rows = || rows_for(container.role, platform, &self.features).filter(|row| fits(row.grant, mount));
            let is = |row: &&Row, wanted| matches!(row.grant, Grant::Mount { writable, .. } if writable == wanted);
            let row = rows().find(|row| is(row, mount.writable)).or_else(|| rows().next());
            let mode = if mount.writable { "read-write" } else { "read-only" };
            match row {
                Some(row) if mount.writable && !is(&row, true) => {
                    let fix = self.mend.mode(mount, false);
                    self.add("mount-writable", at, format!("{name} can write to {host}"), fix);
                }
                Some(row) if !mount.writable && is(&row, true) && row.need == Need::Must => {
                    let fix = self.mend.mode(mount, true);
                    self.add("mount-read-only", at, format!("{name} cannot write to {host}"), fix);
                }
                Some(row) => self.right(name, at, format!("{host}, {mode}"), Some(row.why)),
                None => self.unknown(container, mount),
            }
        }
    }

    fn unknown(&mut self, container: &Container, mount: &Mount) {
        let (name, host) = (&container.name, mount.host.escape_debug().to_string());
        let known = TABLE.iter().any(|row| fits(row.grant, mount));
        let logs = self.features.contains(&Feature::Logs) && mount.host.starts_with("/var/log/");
        let handed = mount.path.starts_with("/run/secrets/");
        let id = match () {
            () if known && (mount.writable || container.role != Role::Init) => "right-needless",
            () if container.role == Role::Proxy => "right-needless",
            () if mount.writable => "mount-writable-unknown",
            () if logs || handed || container.role == Role::Init => {
                let why = match () {
                    () if logs => "logs that the operator wants collected",
                    () if handed => "a secret that is handed over as a file",
                    () => "it prepares a volume, and ends",
                };
                return self.right(name, &mount.at, format!("{host}, read-only"), Some(why));
            }
            () => "mount-unknown",
        };
        let fix = match id {
            "right-needless" => self.mend.unmount(mount),
            "mount-writable-unknown" => self.mend.mode(mount, false),
            _ => Vec::new(),
        };
        self.add(id, &mount.at, format!("{name} has {host} of the host"), fix);
    }

    fn missing(&mut self, container: &Container) {
        let workload = self.mend.workload;
        let rows: Vec<&Row> =
            rows_for(container.role, workload.platform, &self.features).filter(|row| row.need == Need::Must).collect();
        let mut told: Vec<Grant> = Vec::new();
        for row in rows {
            let (given, right) = match row.grant {
                Grant::Capability(name) => {
                    let all = container.privileged.on || container.capabilities.iter().any(|(c, _)| c == "ALL");
                    (all || container.capabilities.iter().any(|(c, _)| c == name), format!("the capability {name}"))
                }
                Grant::Mount { host, path, .. } => {
                    let given =
                        container.mounts.iter().any(|mount| fits(row.grant, mount) || covers(mount, host, path));
                    (given, format!("{host} of the host at {path}"))
                }
                Grant::HostPid => (workload.host_pid.on, "the host's process ids".into()),
                Grant::HostCgroup => (container.host_cgroup.on, "the host's control groups".into()),
                Grant::AppArmor => {
                    (container.unconfined.on || container.privileged.on, "freedom from the AppArmor profile".into())
                }
            };
            if given || told.contains(&row.grant) {
                continue;
            }
            told.push(row.grant);
            let core = matches!(row.feature, Feature::Core | Feature::Logs | Feature::OriginDetection);
            let id = if core { "right-missing-core" } else { "right-missing" };
            let fix = self.mend.grant(container, row.grant);
            self.add(id, &container.at, format!("{} lacks {right}: {}", container.name, row.why), fix);
        }
    }

    fn user(&mut self, container: &Container) {
        let name = container.name.clone();
        let Some((user, at)) = container.user.clone() else { return };
        let needs_root = container.role.probes() && self.workload().cws();
        if user == 0 {
            let why = match needs_root {
                true => "eBPF and the host's files",
                false => "the container runtime's socket and the logs, which are root's",
            };
            return self.right(&name, &at, "the user root".into(), Some(why));
        }
        let own = format!("{}/", container.at);
        let wanted = match version(image_tag(&container.image).unwrap_or_default()) {
            _ if needs_root => 0,
            Some(version) if version < Version::new(7, 48, 0) => 101,
            _ => 100,
        };
        if user == wanted || !needs_root && ![100, 101].contains(&user) {
            return self.right(&name, &at, format!("the user {user}"), Some("a user without rights of its own"));
        }
        let value = match self.mend.data.at(&at) {
            Some(Value::Str(_)) => Value::Str(wanted.to_string()),
            _ => Value::Int(wanted),
        };
        let fix = match at.starts_with(&own) {
            true => vec![Change::Put(at.clone(), value)],
            // What the pod says counts for others, too.
            false => vec![Change::Put(format!("{own}securityContext/runAsUser"), value)],
        };
        self.add("user-id", &at, format!("{name} runs as user {user}, and {wanted} was expected"), fix);
    }
}

/// Whether a mount is the row's, or a narrower part of it that cannot be written to.
fn fits(grant: Grant, mount: &Mount) -> bool {
    let Grant::Mount { host, path, .. } = grant else { return false };
    let (own, inside) = (same_path(&mount.host), same_path(&mount.path));
    if own == host {
        // Docker's pages have it at the same place as on the host, too.
        return inside == path || host == "/etc/os-release" && inside == host;
    }
    let rest = own.strip_prefix(host.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
    rest.is_some_and(|rest| !mount.writable && host != "/" && inside == format!("{path}{rest}"))
}

/// Whether a wider mount brings it: `/` at `/host/root` brings nothing else, but `/etc` at `/host/etc` does.
fn covers(mount: &Mount, host: &str, path: &str) -> bool {
    let (own, inside) = (same_path(&mount.host), same_path(&mount.path));
    let rest = host.strip_prefix(&own).filter(|rest| rest.starts_with('/'));
    rest.is_some_and(|rest| format!("{inside}{rest}") == path)
}

/// The version of a tag such as `7.58.2-jmx`; None for `7`.
fn version(tag: &str) -> Option<Version> {
    let numbers = tag.split('-').next()?;
    numbers.contains('.').then(|| numbers.parse().ok()).flatten()
}

/// Whether a variable's value is a secret by its name.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("dd_").unwrap_or(&name);
    let about =
        ["_name", "_file", "_path", "_enabled", "_type", "_timeout", "_command", "_interval", "_url", "_max_size"];
    secret::is_named_by(name) && !about.iter().any(|end| name.ends_with(end))
}

/// Whether a text is the secret itself: not a handle, nor a switch, nor the name of a file.
pub fn is_plain(text: &str) -> bool {
    let text = text.trim();
    let other = text.is_empty() || text.starts_with('/') || Value::Str(text.into()).as_bool().is_some();
    !other && !Secret::new(text).is_handle()
}
