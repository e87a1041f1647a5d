//! Which right each feature of the Agent needs, in which of its processes, and why: the one table of it. Documents are
//! made from it and judged by it.

/// What the Agent is asked to do, as far as it takes rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    Core,
    Logs,
    Apm,
    Cws,
    Compliance,
    Fips,
    OriginDetection,
}

/// Every feature with its name and what it is.
pub const FEATURES: [(Feature, &str, &str); 7] = [
    (Feature::Core, "core", "metrics of the host and its containers"),
    (Feature::Logs, "logs", "logs of containers (DD_LOGS_ENABLED)"),
    (Feature::Apm, "apm", "traces (DD_APM_ENABLED)"),
    (Feature::Cws, "cws", "Cloud Workload Security (DD_RUNTIME_SECURITY_CONFIG_ENABLED), with its network events"),
    (Feature::Compliance, "compliance", "compliance checks of the host (DD_COMPLIANCE_CONFIG_ENABLED)"),
    (Feature::Fips, "fips", "the FIPS proxy beside the Agent (DD_FIPS_ENABLED)"),
    (Feature::OriginDetection, "origin-detection", "DogStatsD's origin detection (DD_DOGSTATSD_ORIGIN_DETECTION)"),
];

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The Agent itself.
    Agent,
    Trace,
    Process,
    SystemProbe,
    Security,
    Cluster,
    /// All of the Agent's processes in one container.
    Whole,
    /// The FIPS proxy.
    Proxy,
    /// Prepares a volume and ends.
    Init,
    /// Nothing of the Agent.
    Other,
}

impl Role {
    /// Whether it is a part of the Agent that sends data.
    pub fn sends(self) -> bool {
        !matches!(self, Role::Proxy | Role::Init | Role::Other)
    }

    /// Whether it runs system-probe.
    pub fn probes(self) -> bool {
        matches!(self, Role::SystemProbe | Role::Whole)
    }

    pub fn is_agent(self) -> bool {
        matches!(self, Role::Agent | Role::Whole)
    }
}

/// Where containers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Kubernetes,
    /// `docker run`, Compose, `docker inspect`.
    Docker,
    EcsEc2,
    Fargate,
    Beanstalk,
}

/// A right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Capability(&'static str),
    /// A path of the host in the container.
    Mount {
        name: &'static str,
        host: &'static str,
        path: &'static str,
        writable: bool,
    },
    /// The host's process ids.
    HostPid,
    /// The host's control groups.
    HostCgroup,
    /// No AppArmor profile.
    AppArmor,
}

/// How much a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The vendor's chart gives it; it works without.
    May,
    /// Documents that are made here have it; others may do without.
    Usual,
    Must,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub feature: Feature,
    pub grant: Grant,
    /// Containers that need it; `Whole` needs what any of them needs.
    pub roles: &'static [Role],
    /// Whether it is for Kubernetes, and whether for all others.
    on: (bool, bool),
    pub need: Need,
    pub why: &'static str,
    pub source: &'static str,
}

impl Row {
    /// Whether a container of this kind needs, or may have, the right.
    pub fn is_for(&self, role: Role, platform: Platform) -> bool {
        let here = match platform {
            Platform::Kubernetes => self.on.0,
            Platform::Docker => self.on.1,
            // Task definitions have no such options, and Fargate gives no host at all.
            Platform::EcsEc2 => self.on.1 && self.grant != Grant::HostCgroup,
            Platform::Beanstalk => self.on.1 && !matches!(self.grant, Grant::HostCgroup | Grant::HostPid),
            Platform::Fargate => false,
        };
        here && (self.roles.contains(&role) || role == Role::Whole && self.roles.iter().any(|role| role.sends()))
    }
}

const BOTH: (bool, bool) = (true, true);
const POD: (bool, bool) = (true, false);
const REST: (bool, bool) = (false, true);

const PERMISSIONS: &str = "documentation: permissions and security in Kubernetes (mount table)";
const SETUP: &str = "documentation: set up Cloud Workload Security (docker run, Dockerrun.aws.json)";
const CHART: &str = "vendor's chart: rendered DaemonSet with workload protection";

const fn mount(name: &'static str, host: &'static str, path: &'static str) -> Grant {
    Grant::Mount { name, host, path, writable: false }
}

const fn writable(name: &'static str, host: &'static str, path: &'static str) -> Grant {
    Grant::Mount { name, host, path, writable: true }
}

const PROC: Grant = mount("procdir", "/proc", "/host/proc");
const CGROUPS: Grant = mount("cgroups", "/sys/fs/cgroup", "/host/sys/fs/cgroup");
const OS_RELEASE: Grant = mount("os-release-file", "/etc/os-release", "/host/etc/os-release");
const PASSWD: Grant = mount("passwd", "/etc/passwd", "/etc/passwd");
const GROUP: Grant = mount("group", "/etc/group", "/etc/group");
const RUN: Grant = mount("runtimesocketdir", "/var/run", "/host/var/run");
const DOCKER: Grant = mount("docker-sock", "/var/run/docker.sock", "/var/run/docker.sock");
const SOCKETS: Grant = writable("dsdsocket", "/var/run/datadog", "/var/run/datadog");
const HOSTROOT: Grant = mount("hostroot", "/", "/host/root");
const DEBUGFS: Grant = writable("debugfs", "/sys/kernel/debug", "/sys/kernel/debug");

const AGENT: &[Role] = &[Role::Agent];
const PROBE: &[Role] = &[Role::SystemProbe];
const SECURITY: &[Role] = &[Role::Security];

use Feature::{Apm, Compliance, Core, Cws, Logs, OriginDetection};
use Grant::{AppArmor, Capability, HostCgroup, HostPid};
use Need::{May, Must, Usual};

type Columns = (Feature, Grant, &'static [Role], (bool, bool), Need, &'static str, &'static str);

/// The table.
pub static TABLE: [Row; 57] = rows([
    (Core, PROC, AGENT, BOTH, Must, "figures of the host's processes and memory", PERMISSIONS),
    (Core, CGROUPS, AGENT, BOTH, Must, "figures of containers", PERMISSIONS),
    (Core, OS_RELEASE, AGENT, BOTH, Must, "tells the host's distribution", PERMISSIONS),
    (Core, RUN, AGENT, POD, Must, "the container runtime's socket", PERMISSIONS),
    (Core, DOCKER, AGENT, REST, Must, "Docker's socket, for containers and their metadata", SETUP),
    (Core, SOCKETS, AGENT, POD, Usual, "the socket that DogStatsD makes for other pods", PERMISSIONS),
    (Core, SOCKETS, AGENT, REST, May, "the sockets that the Agent makes for other containers", PERMISSIONS),
    (Core, PASSWD, &[Role::Agent, Role::Process], BOTH, May, "users' names of processes", PERMISSIONS),
    (Core, PROC, &[Role::Trace, Role::Process, Role::Init], BOTH, May, "containers of processes", CHART),
    (Core, CGROUPS, &[Role::Trace, Role::Process], BOTH, May, "containers of processes", CHART),
    (Core, RUN, &[Role::Trace, Role::Process, Role::Security, Role::Init], POD, May, "containers of processes", CHART),
    (Core, OS_RELEASE, SECURITY, BOTH, May, "tells the host's distribution", CHART),
    (Core, SOCKETS, &[Role::Security, Role::Process], POD, May, "its own figures, sent by DogStatsD", CHART),
    (Logs, mount("logpodpath", "/var/log/pods", "/var/log/pods"), AGENT, POD, Must, "the containers' logs", CHART),
    (
        Logs,
        mount("logcontainers", "/var/log/containers", "/var/log/containers"),
        AGENT,
        POD,
        May,
        "links to the containers' logs",
        CHART,
    ),
    (
        Logs,
        mount("dockercontainers", "/var/lib/docker/containers", "/var/lib/docker/containers"),
        AGENT,
        BOTH,
        Usual,
        "the containers' log files, where Docker keeps them",
        CHART,
    ),
    (
        Logs,
        writable("pointerdir", "/var/lib/datadog-agent/logs", "/opt/datadog-agent/run"),
        AGENT,
        POD,
        Usual,
        "how far each log was read, kept over restarts",
        CHART,
    ),
    (
        Logs,
        writable("pointerdir", "/opt/datadog-agent/run", "/opt/datadog-agent/run"),
        AGENT,
        REST,
        Usual,
        "how far each log was read, kept over restarts",
        CHART,
    ),
    (Apm, SOCKETS, &[Role::Trace], POD, Usual, "the socket that the trace-agent makes for other pods", PERMISSIONS),
    (Cws, Capability("SYS_ADMIN"), PROBE, BOTH, Must, "loads eBPF programs, and enters namespaces", SETUP),
    (Cws, Capability("SYS_RESOURCE"), PROBE, BOTH, Must, "locks memory for eBPF maps beyond the limit", SETUP),
    (Cws, Capability("SYS_PTRACE"), PROBE, BOTH, Must, "reads other processes' environment and executable", SETUP),
    (Cws, Capability("NET_ADMIN"), PROBE, BOTH, Must, "attaches network classifiers", SETUP),
    (Cws, Capability("NET_BROADCAST"), PROBE, BOTH, Must, "hears of network interfaces by netlink", SETUP),
    (Cws, Capability("NET_RAW"), PROBE, BOTH, Must, "reads packets, such as DNS", SETUP),
    (Cws, Capability("IPC_LOCK"), PROBE, BOTH, Must, "keeps eBPF buffers in memory", SETUP),
    (Cws, Capability("CHOWN"), PROBE, BOTH, Must, "hands its socket to the other processes of the Agent", SETUP),
    (
        Cws,
        Capability("DAC_READ_SEARCH"),
        PROBE,
        BOTH,
        May,
        "reads files that root may not read in a user namespace",
        CHART,
    ),
    (Cws, Capability("KILL"), PROBE, BOTH, May, "ends processes, where CWS enforcement is on", CHART),
    (Cws, HostPid, PROBE, BOTH, Must, "events name the host's process ids", SETUP),
    (Cws, HostCgroup, PROBE, REST, Must, "the control groups in events are the host's", SETUP),
    (Cws, AppArmor, PROBE, BOTH, Must, "the default AppArmor profile forbids ptrace and mounts of debugfs", SETUP),
    (Cws, HOSTROOT, PROBE, BOTH, Must, "files that events are about", CHART),
    (Cws, DEBUGFS, PROBE, BOTH, Must, "kernel probes are registered by writing there", SETUP),
    (Cws, PROC, PROBE, BOTH, Must, "processes that ran before it", SETUP),
    (Cws, CGROUPS, PROBE, BOTH, Must, "the container of each process", SETUP),
    (Cws, OS_RELEASE, PROBE, BOTH, Must, "chooses the probes for the host's kernel", SETUP),
    (Cws, PASSWD, PROBE, BOTH, Must, "users' names in events", SETUP),
    (Cws, GROUP, PROBE, BOTH, Must, "groups' names in events", SETUP),
    (
        Cws,
        mount("modules", "/lib/modules", "/lib/modules"),
        PROBE,
        BOTH,
        May,
        "kernel headers, where the kernel has no BTF",
        CHART,
    ),
    (Cws, mount("src", "/usr/src", "/usr/src"), PROBE, BOTH, May, "kernel headers, where the kernel has no BTF", CHART),
    (Cws, mount("apt", "/etc/apt", "/host/etc/apt"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (Cws, mount("yum", "/etc/yum.repos.d", "/host/etc/yum.repos.d"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (Cws, mount("zypp", "/etc/zypp", "/host/etc/zypp"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (Cws, mount("pki", "/etc/pki", "/host/etc/pki"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (Cws, mount("dnf", "/etc/dnf/vars", "/host/etc/dnf/vars"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (Cws, mount("rhsm", "/etc/rhsm", "/host/etc/rhsm"), PROBE, BOTH, May, "fetches kernel headers", CHART),
    (
        Cws,
        writable("seccomp", "/var/lib/kubelet/seccomp", "/host/var/lib/kubelet/seccomp"),
        &[Role::Init],
        POD,
        May,
        "puts system-probe's seccomp profile in place",
        CHART,
    ),
    (Compliance, Capability("AUDIT_CONTROL"), SECURITY, POD, Must, "reads the audit rules", CHART),
    (Compliance, Capability("AUDIT_READ"), SECURITY, POD, Must, "reads the audit rules", CHART),
    (Compliance, HostPid, SECURITY, BOTH, Must, "finds the processes whose configuration is checked", CHART),
    (Compliance, HOSTROOT, SECURITY, BOTH, Must, "files that are checked", CHART),
    (Compliance, PROC, SECURITY, BOTH, Must, "processes that are checked", CHART),
    (Compliance, CGROUPS, SECURITY, BOTH, Usual, "the container of each process", CHART),
    (Compliance, PASSWD, SECURITY, BOTH, Must, "users that are checked", CHART),
    (Compliance, GROUP, SECURITY, BOTH, Must, "groups that are checked", CHART),
    (OriginDetection, HostPid, AGENT, BOTH, Must, "DogStatsD asks which process sent a metric", PERMISSIONS),
]);

const fn rows<const N: usize>(columns: [Columns; N]) -> [Row; N] {
    let (feature, grant, roles, on, need, why, source) = columns[0];
    let mut rows = [Row { feature, grant, roles, on, need, why, source }; N];
    let mut n = 0;
    while n < N {
        let (feature, grant, roles, on, need, why, source) = columns[n];
        rows[n] = Row { feature, grant, roles, on, need, why, source };
        n += 1;
    }
    rows
}

/// The rows that count for a container of this kind with these features on.
pub fn rows_for(role: Role, platform: Platform, on: &[Feature]) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| on.contains(&row.feature) && row.is_for(role, platform))
}

/// A path as it is compared: `/proc/` is `/proc`, `/run` is `/var/run`, and old Amazon Linux has `/cgroup`.
pub fn same_path(path: &str) -> String {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    match path {
        "/cgroup" => "/sys/fs/cgroup".into(),
        "/run" => "/var/run".into(),
        _ => match path.strip_prefix("/run/") {
            Some(rest) => format!("/var/run/{rest}"),
            None => path.into(),
        },
    }
}

/// `review --explain FEATURE`: what it needs, where, and why. None where there is no such feature.
pub fn explain(name: &str) -> Option<String> {
    let (feature, _, what) = FEATURES.iter().find(|(_, known, _)| name.eq_ignore_ascii_case(known))?;
    let mut out = format!("{name}: {what}\n");
    for row in TABLE.iter().filter(|row| row.feature == *feature) {
        let grant = match row.grant {
            Grant::Capability(name) => format!("capability {name}"),
            Grant::Mount { host, path, writable, .. } => {
                let mode = if writable { "read-write" } else { "read-only" };
                if host == path { format!("{host}, {mode}") } else { format!("{host} at {path}, {mode}") }
            }
            Grant::HostPid => "the host's process ids (hostPID, --pid host)".into(),
            Grant::HostCgroup => "the host's control groups (--cgroupns host)".into(),
            Grant::AppArmor => "no AppArmor profile (unconfined)".into(),
        };
        let need = match row.need {
            Need::Must => "needed",
            Need::Usual => "usual",
            Need::May => "allowed",
        };
        let on = match row.on {
            POD => ", in Kubernetes",
            REST => ", outside Kubernetes",
            _ => "",
        };
        let roles: Vec<&str> = row.roles.iter().map(|role| role.name()).collect();
        let (roles, why, source) = (roles.join(", "), row.why, row.source);
        out.push_str(&format!("  {grant}\n    {need} by {roles}{on}: {why}\n    source: {source}\n"));
    }
    if *feature == Feature::Fips {
        out.push_str("  no right at all: ports 9803 to 9818 (16) on 127.0.0.1, which the proxy's container shares with the Agent's\n    source: documentation: FIPS compliance; the Agent's setupFipsEndpoints\n");
    }
    Some(out)
}

impl Role {
    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Trace => "trace-agent",
            Role::Process => "process-agent",
            Role::SystemProbe => "system-probe",
            Role::Security => "security-agent",
            Role::Cluster => "cluster-agent",
            Role::Whole => "the whole Agent",
            Role::Proxy => "fips-proxy",
            Role::Init => "an init container",
            Role::Other => "another container",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_explained() {
        for (_, name, _) in FEATURES {
            let text = explain(name).unwrap();
            assert!(text.contains("source: "), "{text}");
        }
        assert!(explain("other").is_none());
    }

    #[test]
    fn the_page_of_docker_and_the_table_say_the_same() {
        let rows: Vec<_> = rows_for(Role::Whole, Platform::Docker, &[Feature::Core, Feature::Cws])
            .filter(|row| row.need == Need::Must)
            .collect();
        let capabilities = rows.iter().filter(|row| matches!(row.grant, Grant::Capability(_))).count();
        assert_eq!(capabilities, 8);
        let mounts: std::collections::BTreeSet<_> = rows
            .iter()
            .filter_map(|row| match row.grant {
                Grant::Mount { host, writable, .. } => Some((host, writable)),
                _ => None,
            })
            .collect();
        let page = [
            "/",
            "/etc/group",
            "/etc/os-release",
            "/etc/passwd",
            "/proc",
            "/sys/fs/cgroup",
            "/sys/kernel/debug",
            "/var/run/docker.sock",
        ];
        assert_eq!(mounts.into_iter().collect::<Vec<_>>(), page.map(|host| (host, host == "/sys/kernel/debug")));
    }
}
