//! Every rule of the review, once: its id, how bad it is, what to do, and where it comes from. Ids are a promise.

use crate::config::yaml::places::Change;

use super::model::{Finding, Level};

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub id: &'static str,
    pub level: Level,
    /// What to do, and why.
    pub help: &'static str,
}

const fn error(id: &'static str, help: &'static str) -> Rule {
    Rule { id, level: Level::Error, help }
}

const fn warning(id: &'static str, help: &'static str) -> Rule {
    Rule { id, level: Level::Warning, help }
}

/// All of them.
pub const RULES: [Rule; 49] = [
    error("fips-proxy-missing", "add the fips-proxy container beside the Agent: without it nothing is sent"),
    error("fips-agent-off", "set DD_FIPS_ENABLED=true: the proxy runs, and the Agent sends past it"),
    error("fips-partial", "set DD_FIPS_* on every container of the Agent: one that has none sends past the proxy"),
    error("fips-https", "set DD_FIPS_HTTPS=false: the proxy takes plain HTTP on the loopback, and the default is TLS"),
    error("fips-port", "set the same DD_FIPS_PORT_RANGE_START on the proxy: the Agent would find nobody there"),
    warning("fips-ports", "list all 16 ports, the first to the first + 15: a range of 15 leaves NetFlow out"),
    error(
        "fips-address",
        "use 127.0.0.1: the Agent refuses other addresses, and a proxy on all addresses relays for everybody",
    ),
    error("fips-published", "do not publish the proxy's ports: it relays in plain text for whoever reaches it"),
    error("fips-site", "set DD_SITE=ddog-gov.com: what the proxy does not relay would go to datadoghq.com"),
    error("fips-bypass", "turn it off: its data go to the site directly, outside the proxy"),
    warning("fips-bypass-default", "turn it off by name: it is on by default, and sends to the site directly"),
    warning("fips-ignored", "remove it: the Agent ignores it while it sends through the FIPS proxy"),
    error("fips-image", "use the image without -fips: the FIPS Agent ignores the proxy, or leave the proxy out"),
    warning("fips-config", "leave it out: with another configuration than the vendor's, compliance is not guaranteed"),
    error("fips-loopback", "let both share a network: the Agent takes only a loopback address for the proxy"),
    error(
        "fips-platform",
        "use the image agent:7-fips (DD_AGENT_FLAVOR=datadog-fips-agent): containers of Elastic Beanstalk share no loopback, and the FIPS proxy does not support it",
    ),
    error("cws-system-probe", "add the system-probe container: it is what watches the kernel"),
    error(
        "cws-security-agent",
        "add the security-agent container, or let system-probe send by itself (DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE=true)",
    ),
    error("cws-partial", "set DD_RUNTIME_SECURITY_CONFIG_ENABLED=true there, too"),
    error("cws-host-root", "set HOST_ROOT=/host/root, where the host's files are mounted"),
    error("cws-ebpfless", "set DD_RUNTIME_SECURITY_CONFIG_EBPFLESS_ENABLED=true: Fargate has no eBPF"),
    error("right-missing", "grant it, or turn the feature off"),
    warning("right-missing-core", "grant it: a part of what the Agent collects is missing without it"),
    error("right-needless", "take it away: no feature that is on needs it"),
    warning("host-pid", "take it away, or turn on what needs it (CWS, compliance, DD_DOGSTATSD_ORIGIN_DETECTION)"),
    warning("host-network", "take it away: nothing that is on needs the host's network"),
    error("host-ipc", "take it away: the Agent never needs the host's IPC"),
    error("privileged", "grant the named capabilities instead: privileged is all rights of the host"),
    error("mount-writable", "mount it read-only, as the vendor's page does"),
    error("mount-read-only", "mount it read-write, as the vendor's page does"),
    error("mount-writable-unknown", "mount it read-only: the Agent is not known to need it"),
    warning("mount-unknown", "take it away unless a check of yours reads it: no feature needs it"),
    error("mount-propagation", "take the propagation away: mounts made in the container would reach the host"),
    warning("root-filesystem", "set readOnlyRootFilesystem: true, as the vendor's chart does"),
    warning("seccomp-off", "take it away: the runtime's default profile lets through what the capabilities need"),
    error(
        "user-id",
        "use the user that the image has: dd-agent is 100, up to Agent 7.47.0 it was 101; system-probe runs as root",
    ),
    error("secret-plain", "name a secret instead of writing its value, and change the key: who read the file has it"),
    warning(
        "agent-unread",
        "review what the Agent is started from, and give its image a name that says so (agent, datadog): it was not judged",
    ),
    warning(
        "variables-unread",
        "write the Agent's variables into this file, or review it with the set: what stands elsewhere counts as not set",
    ),
    error("secret-manifest", "keep the value out of the file: kubectl create secret, or an operator that fetches it"),
    error("value-type", "put the value in quotes: a variable's value is a text, and this is refused"),
    warning("image-tag", "name a version: what latest is changes by itself"),
    error("version-old", "use a newer Agent"),
    error(
        "rbac-wide",
        "name what is read: the Agent needs get on nodes/metrics, nodes/spec, nodes/stats and nodes/proxy, and to read a few lists",
    ),
    error("rbac-secrets", "name the secrets (resourceNames) in a Role: this reads those of the whole cluster"),
    error(
        "namespace-level",
        "give the namespace the level that its pods need, or they are refused: paths of the host need privileged",
    ),
    error("json-comma", "take the comma away: JSON has none before a closing bracket"),
    error("shell-comment", "take the comment away: behind a backslash it ends the command in the middle"),
    error("helm-value", "correct it in the values"),
];

/// The rule of an id.
pub fn rule(id: &str) -> &'static Rule {
    match RULES.iter().find(|rule| rule.id == id) {
        Some(rule) => rule,
        None => panic!("no rule {id}"),
    }
}

/// A finding of a rule.
pub fn finding(id: &str, document: usize, at: impl Into<String>, what: impl Into<String>, fix: Vec<Change>) -> Finding {
    let rule = rule(id);
    Finding {
        rule: rule.id,
        level: rule.level,
        document,
        at: at.into(),
        line: 0,
        what: what.into(),
        hint: rule.help.into(),
        fix,
    }
}
