//! Documents with one planted fault each, from the vendor's pages and from what is known of the chart: the review names
//! it, in its line, and `--fix` mends it without touching a comment.

use ddinstall::render::Target::{self, Beanstalk, Compose, Docker, EcsEc2, EcsFargate, Helm, Kubernetes};
use ddinstall::review::{mended, review};

use super::{folder, rendered, run};

/// How a fault gets into a document.
enum Plant {
    /// The first of these texts becomes that.
    To(&'static str, &'static str),
    /// Every one becomes that.
    All(&'static str, &'static str),
    /// The text from the first of these up to the next of those goes.
    Cut(&'static str, &'static str),
    /// This stands behind the first of these.
    After(&'static str, &'static str),
    /// Behind the first of these, the first of those becomes that.
    In(&'static str, &'static str, &'static str),
}

use Plant::{After, All, Cut, In, To};

/// Document, what is planted, the rule that names it, and a text of the line it is located in.
type Fault = (&'static str, Target, &'static [Plant], &'static str, &'static str);

const ENV: &str = "            - {name: DD_HEALTH_PORT, value: \"5555\"} # for the probes below\n";
const FAULTS: &[Fault] = &[
    // FIPS, in pods.
    (
        "https",
        Kubernetes,
        &[To(
            "- name: DD_FIPS_HTTPS\n              value: \"false\"",
            "- name: DD_FIPS_HTTPS\n              value: \"true\"",
        )],
        "fips-https",
        "- name: DD_FIPS_HTTPS",
    ),
    (
        "https-unset",
        Kubernetes,
        &[To("            - name: DD_FIPS_HTTPS\n              value: \"false\"\n", "")],
        "fips-https",
        "- name: agent",
    ),
    (
        "proxy-not-told-of-port",
        Kubernetes,
        &[All(
            "- name: DD_FIPS_PORT_RANGE_START\n              value: \"9803\"",
            "- name: DD_FIPS_PORT_RANGE_START\n              value: \"9900\"",
        )],
        "fips-port",
        "{name: DD_FIPS_PORT_RANGE_START",
    ),
    (
        "other-port-of-one",
        Kubernetes,
        &[To(
            "- name: DD_FIPS_PORT_RANGE_START\n              value: \"9803\"",
            "- name: DD_FIPS_PORT_RANGE_START\n              value: \"9900\"",
        )],
        "fips-port",
        "{name: DD_FIPS_PORT_RANGE_START",
    ),
    (
        "range-of-15",
        Kubernetes,
        &[To("            - {containerPort: 9818, protocol: TCP}\n", "")],
        "fips-ports",
        "ports: # all 16",
    ),
    (
        "proxy-on-all-addresses",
        Kubernetes,
        &[To("DD_FIPS_LOCAL_ADDRESS, value: \"127.0.0.1\"", "DD_FIPS_LOCAL_ADDRESS, value: \"0.0.0.0\"")],
        "fips-address",
        "0.0.0.0",
    ),
    (
        "agent-elsewhere",
        Kubernetes,
        &[To(
            "- name: DD_FIPS_LOCAL_ADDRESS\n              value: \"127.0.0.1\"",
            "- name: DD_FIPS_LOCAL_ADDRESS\n              value: \"10.0.0.5\"",
        )],
        "fips-address",
        "- name: DD_FIPS_LOCAL_ADDRESS",
    ),
    ("site", Kubernetes, &[To("value: \"ddog-gov.com\"", "value: \"datadoghq.com\"")], "fips-site", "- name: DD_SITE"),
    (
        "site-unset",
        Kubernetes,
        &[To("            - name: DD_SITE\n              value: \"ddog-gov.com\"\n", "")],
        "fips-site",
        "- name: agent",
    ),
    (
        "activity-dumps",
        Kubernetes,
        &[To(
            "_ACTIVITY_DUMP_ENABLED\n              value: \"false\"",
            "_ACTIVITY_DUMP_ENABLED\n              value: \"true\"",
        )],
        "fips-bypass",
        "_ACTIVITY_DUMP_ENABLED",
    ),
    (
        "discovery-by-default",
        Kubernetes,
        &[To("            - name: DD_DISCOVERY_ENABLED\n              value: \"false\"\n", "")],
        "fips-bypass-default",
        "- name: system-probe",
    ),
    (
        "remote-configuration",
        Kubernetes,
        &[After(ENV, "            - {name: DD_REMOTE_CONFIGURATION_ENABLED, value: \"true\"}\n")],
        "fips-bypass",
        "DD_REMOTE_CONFIGURATION_ENABLED",
    ),
    (
        "further-endpoints",
        Kubernetes,
        &[After(ENV, "            - {name: DD_ADDITIONAL_ENDPOINTS, value: '{\"https://x\": [\"y\"]}'}\n")],
        "fips-bypass",
        "DD_ADDITIONAL_ENDPOINTS",
    ),
    (
        "web-proxy",
        Kubernetes,
        &[After(ENV, "            - {name: DD_PROXY_HTTPS, value: \"http://web:3128\"}\n")],
        "fips-ignored",
        "DD_PROXY_HTTPS",
    ),
    (
        "intake-address",
        Kubernetes,
        &[After(ENV, "            - {name: DD_DD_URL, value: \"https://app.datadoghq.com\"}\n")],
        "fips-ignored",
        "DD_DD_URL",
    ),
    (
        "one-container-past-the-proxy",
        Kubernetes,
        &[To("DD_FIPS_ENABLED\n              value: \"true\"", "DD_FIPS_ENABLED\n              value: \"false\"")],
        "fips-partial",
        "- name: DD_FIPS_ENABLED",
    ),
    (
        "system-probe-without-fips",
        Kubernetes,
        &[In("- name: system-probe\n", "- name: DD_FIPS_ENABLED", "- name: DD_FIPS_ENABLE")],
        "fips-partial",
        "- name: system-probe",
    ),
    (
        "no-proxy",
        Kubernetes,
        &[Cut("        - name: fips-proxy", "      volumes:\n")],
        "fips-proxy-missing",
        "- name: agent",
    ),
    (
        "agent-does-not-use-it",
        Kubernetes,
        &[All("DD_FIPS_ENABLED\n              value: \"true\"", "DD_FIPS_ENABLED\n              value: \"false\"")],
        "fips-agent-off",
        "- name: fips-proxy",
    ),
    (
        "fips-agent-and-proxy",
        Kubernetes,
        &[All("agent:7\"", "agent:7-fips\"")],
        "fips-image",
        "image: \"public.ecr.aws/datadog/agent:7-fips\"\n          command: [agent",
    ),
    // CWS and rights, in pods.
    (
        "no-host-pid",
        Kubernetes,
        &[Cut("      hostPID", "      securityContext")],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "no-ptrace",
        Kubernetes,
        &[Cut("                - SYS_PTRACE", "                - NET_ADMIN")],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "no-capabilities",
        Kubernetes,
        &[Cut("            capabilities:", "            # the default AppArmor")],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "module-loading",
        Kubernetes,
        &[After("              add:\n", "                - SYS_MODULE\n")],
        "right-needless",
        "- SYS_MODULE",
    ),
    (
        "cap-prefix-and-all",
        Kubernetes,
        &[To(
            "            allowPrivilegeEscalation: false\n          livenessProbe",
            "            capabilities: {add: [CAP_SYS_ADMIN]}\n          livenessProbe",
        )],
        "right-needless",
        "CAP_SYS_ADMIN",
    ),
    (
        "privileged",
        Kubernetes,
        &[To(
            "            readOnlyRootFilesystem: true\n            allowPrivilegeEscalation: false\n          livenessProbe",
            "            readOnlyRootFilesystem: true\n            privileged: true\n          livenessProbe",
        )],
        "privileged",
        "privileged: true",
    ),
    (
        "apparmor",
        Kubernetes,
        &[Cut("            appArmorProfile", "          volumeMounts")],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "proc-writable",
        Kubernetes,
        &[To(
            "mountPath: /host/proc\n              readOnly: true",
            "mountPath: /host/proc\n              readOnly: false",
        )],
        "mount-writable",
        "- name: procdir",
    ),
    (
        "passwd-writable-by-default",
        Kubernetes,
        &[To("mountPath: /etc/passwd\n              readOnly: true\n", "mountPath: /etc/passwd\n")],
        "mount-writable",
        "- name: passwd",
    ),
    (
        "debugfs-read-only",
        Kubernetes,
        &[To(
            "mountPath: /sys/kernel/debug\n              readOnly: false",
            "mountPath: /sys/kernel/debug\n              readOnly: true",
        )],
        "mount-read-only",
        "- name: debugfs",
    ),
    (
        "no-host-root",
        Kubernetes,
        &[Cut("            - name: hostroot", "            - name: debugfs")],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "no-passwd",
        Kubernetes,
        &[
            Cut("            - name: passwd", "            - name: group"),
            Cut("        - name: passwd", "        - name: group"),
        ],
        "right-missing",
        "- name: system-probe",
    ),
    (
        "host-root-of-the-agent",
        Kubernetes,
        &[After(
            "mountPath: /host/proc\n              readOnly: true\n",
            "            - {name: hostroot, mountPath: /host/root, readOnly: true}\n",
        )],
        "right-needless",
        "mountPath: /host/root, readOnly: true}",
    ),
    (
        "etc-of-the-host",
        Kubernetes,
        &[
            In(
                "- name: agent\n",
                "{name: tmp, mountPath: /tmp}\n",
                "{name: tmp, mountPath: /tmp}\n            - {name: etc, mountPath: /host/etc}\n",
            ),
            After("      volumes:\n", "        - {name: etc, hostPath: {path: /etc}}\n"),
        ],
        "mount-writable-unknown",
        "{name: etc, mountPath",
    ),
    (
        "propagation",
        Kubernetes,
        &[After("mountPath: /host/root\n", "              mountPropagation: Bidirectional\n")],
        "mount-propagation",
        "- name: hostroot",
    ),
    (
        "host-network",
        Kubernetes,
        &[After("      serviceAccountName: datadog-agent\n", "      hostNetwork: true\n")],
        "host-network",
        "hostNetwork",
    ),
    (
        "host-ipc",
        Kubernetes,
        &[After("      serviceAccountName: datadog-agent\n", "      hostIPC: true\n")],
        "host-ipc",
        "hostIPC",
    ),
    (
        "root-file-system",
        Kubernetes,
        &[To(
            "            readOnlyRootFilesystem: true\n            allowPrivilegeEscalation: false\n          livenessProbe",
            "            allowPrivilegeEscalation: false\n          livenessProbe",
        )],
        "root-filesystem",
        "securityContext:\n            allowPrivilegeEscalation: false\n          livenessProbe",
    ),
    ("old-user", Kubernetes, &[To("runAsUser: 0", "runAsUser: 101")], "user-id", "runAsUser: 101"),
    (
        "no-seccomp",
        Kubernetes,
        &[To("seccompProfile: {type: RuntimeDefault}", "seccompProfile: {type: Unconfined}")],
        "seccomp-off",
        "seccompProfile",
    ),
    (
        "host-root-variable",
        Kubernetes,
        &[All("            - name: HOST_ROOT\n              value: \"/host/root\"\n", "")],
        "cws-host-root",
        "- name: system-probe",
    ),
    (
        "cws-off-in-one",
        Kubernetes,
        &[In(
            "- name: security-agent\n",
            "- name: DD_RUNTIME_SECURITY_CONFIG_ENABLED\n              value: \"true\"",
            "- {name: DD_RUNTIME_SECURITY_CONFIG_ENABLED, value: \"false\"}",
        )],
        "cws-partial",
        "- {name: DD_RUNTIME_SECURITY_CONFIG_ENABLED",
    ),
    // Secrets and the rest of a cluster.
    (
        "key-in-the-file",
        Kubernetes,
        &[To(
            "{name: DD_API_KEY, valueFrom: {secretKeyRef: {name: \"datadog-secret\", key: api-key}}}\n            - {name: KUBERNETES",
            "{name: DD_API_KEY, value: 0123456789abcdef0123456789abcdef}\n            - {name: KUBERNETES",
        )],
        "secret-plain",
        "value: 0123456789abcdef",
    ),
    (
        "boolean-without-quotes",
        Kubernetes,
        &[To("DD_LOGS_ENABLED\n              value: \"true\"", "DD_LOGS_ENABLED\n              value: true")],
        "value-type",
        "value: true",
    ),
    ("latest", Kubernetes, &[To("fips-proxy:1.1.29", "fips-proxy:latest")], "image-tag", "fips-proxy:latest"),
    ("no-tag", Kubernetes, &[To("fips-proxy:1.1.29", "fips-proxy")], "image-tag", "/fips-proxy\""),
    (
        "agent-before-fips",
        Kubernetes,
        &[All("agent:7\"", "agent:7.40.1\"")],
        "version-old",
        "agent:7.40.1\"\n          command: [agent",
    ),
    ("all-verbs", Kubernetes, &[To("verbs: [get, list, watch]", "verbs: [\"*\"]")], "rbac-wide", "verbs: [\"*\"]"),
    (
        "all-secrets",
        Kubernetes,
        &[To("endpoints, events]", "endpoints, events, secrets]")],
        "rbac-secrets",
        "endpoints, events, secrets]",
    ),
    (
        "cluster-admin",
        Kubernetes,
        &[To("  kind: ClusterRole\n  name: datadog-agent\n", "  kind: ClusterRole\n  name: cluster-admin\n")],
        "rbac-wide",
        "name: cluster-admin",
    ),
    (
        "namespace-baseline",
        Kubernetes,
        &[To("enforce: privileged", "enforce: baseline")],
        "namespace-level",
        "enforce: baseline",
    ),
    (
        "secret-in-the-manifests",
        Kubernetes,
        &[To(
            "apiVersion: v1\nkind: ServiceAccount",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: datadog-secret}\nstringData:\n  api-key: 0123456789abcdef0123456789abcdef\n---\napiVersion: v1\nkind: ServiceAccount",
        )],
        "secret-manifest",
        "api-key: 0123",
    ),
    // Compose.
    (
        "privileged",
        Compose,
        &[After("    restart: unless-stopped\n", "    privileged: true\n")],
        "privileged",
        "privileged: true",
    ),
    (
        "socket-writable",
        Compose,
        &[To("/var/run/docker.sock:/var/run/docker.sock:ro", "/var/run/docker.sock:/var/run/docker.sock")],
        "mount-writable",
        "docker.sock",
    ),
    (
        "proxy-published",
        Compose,
        &[After("    network_mode: service:datadog-agent\n", "    ports: [\"9803-9818:9803-9818\"]\n")],
        "fips-published",
        "ports:",
    ),
    (
        "network-of-its-own",
        Compose,
        &[To("    network_mode: service:datadog-agent\n", "")],
        "fips-loopback",
        "fips-proxy:",
    ),
    ("no-proxy", Compose, &[Cut("  fips-proxy:\n", "zzz")], "fips-proxy-missing", "datadog-agent:"),
    ("no-raw", Compose, &[Cut("      - NET_RAW", "      - IPC_LOCK")], "right-missing", "datadog-agent:"),
    ("no-cgroups", Compose, &[To("    cgroup: host\n", "")], "right-missing", "datadog-agent:"),
    ("no-pids", Compose, &[To("    pid: host\n", "")], "right-missing", "datadog-agent:"),
    (
        "no-apparmor-option",
        Compose,
        &[To("      - apparmor:unconfined\n", "      - no-new-privileges:true\n")],
        "right-missing",
        "datadog-agent:",
    ),
    (
        "key-in-the-file",
        Compose,
        &[To("DD_API_KEY:\n", "DD_API_KEY: 0123456789abcdef0123456789abcdef\n")],
        "secret-plain",
        "DD_API_KEY: 0",
    ),
    ("https", Compose, &[To("DD_FIPS_HTTPS: \"false\"", "DD_FIPS_HTTPS: \"true\"")], "fips-https", "DD_FIPS_HTTPS"),
    (
        "seccomp",
        Compose,
        &[After("      - apparmor:unconfined\n", "      - seccomp:unconfined\n")],
        "seccomp-off",
        "seccomp:unconfined",
    ),
    // docker run.
    (
        "comment-in-the-command",
        Docker,
        &[To("  --cap-add CHOWN \\\n", "  --cap-add CHOWN \\ # to hand its socket over\n")],
        "shell-comment",
        "\\ # to hand",
    ),
    ("no-ptrace", Docker, &[To("  --cap-add SYS_PTRACE \\\n", "")], "right-missing", "docker run -d --name dd-agent"),
    (
        "socket-writable",
        Docker,
        &[To("docker.sock:ro", "docker.sock")],
        "mount-writable",
        "-v /var/run/docker.sock:/var/run/docker.sock ",
    ),
    (
        "key-in-arguments",
        Docker,
        &[To("  -e DD_API_KEY \\\n", "  -e DD_API_KEY=\"$DD_API_KEY\" \\\n")],
        "secret-plain",
        "-e DD_API_KEY=",
    ),
    (
        "privileged",
        Docker,
        &[To("  --pid host \\\n", "  --pid host --privileged \\\n")],
        "privileged",
        "--pid host --privileged",
    ),
    (
        "network-of-its-own",
        Docker,
        &[To("  --network container:dd-agent \\\n", "")],
        "fips-loopback",
        "docker run -d --name fips-proxy",
    ),
    (
        "proxy-published",
        Docker,
        &[To("  --network container:dd-agent \\\n", "  --network container:dd-agent -p 9804:9804 \\\n")],
        "fips-published",
        "-p 9804",
    ),
    ("site", Docker, &[To("DD_SITE=ddog-gov.com \\", "DD_SITE=datadoghq.eu \\")], "fips-site", "DD_SITE=datadoghq.eu"),
    // ECS.
    (
        "commas",
        EcsEc2,
        &[To("\"readOnly\": true}\n      ],", "\"readOnly\": true},\n      ],")],
        "json-comma",
        "\"readOnly\": true},\n      ],",
    ),
    (
        "bridge",
        EcsEc2,
        &[To("\"networkMode\": \"host\"", "\"networkMode\": \"bridge\"")],
        "fips-loopback",
        "networkMode",
    ),
    (
        "no-ptrace",
        EcsEc2,
        &[To("            \"SYS_PTRACE\",\n", "")],
        "right-missing",
        "{\n      \"name\": \"datadog-agent\"",
    ),
    (
        "no-pids",
        EcsEc2,
        &[To("  \"pidMode\": \"host\",\n", "")],
        "right-missing",
        "{\n      \"name\": \"datadog-agent\"",
    ),
    (
        "range-of-15",
        EcsEc2,
        &[To(
            "{\"containerPort\": 9817, \"protocol\": \"tcp\"},\n        {\"containerPort\": 9818, \"protocol\": \"tcp\"}",
            "{\"containerPort\": 9817, \"protocol\": \"tcp\"}",
        )],
        "fips-ports",
        "\"portMappings\": [\n        {\"containerPort\": 9803",
    ),
    (
        "key-in-the-file",
        EcsEc2,
        &[
            To(
                "      \"environment\": [\n",
                "      \"environment\": [\n        {\"name\": \"DD_API_KEY\", \"value\": \"0123456789abcdef0123456789abcdef\"},\n",
            ),
            To(
                "      \"secrets\": [\n        {\"name\": \"DD_API_KEY\", \"valueFrom\": \"datadog-api-key\"}\n      ],\n",
                "",
            ),
        ],
        "secret-plain",
        "0123456789abcdef",
    ),
    (
        "proc-writable",
        EcsEc2,
        &[To("\"/host/proc\", \"readOnly\": true", "\"/host/proc\", \"readOnly\": false")],
        "mount-writable",
        "/host/proc",
    ),
    ("number-as-value", EcsEc2, &[To("\"value\": \"9803\"", "\"value\": 9803")], "value-type", "\"value\": 9803"),
    (
        "ebpf",
        EcsFargate,
        &[To(",\n        {\"name\": \"DD_RUNTIME_SECURITY_CONFIG_EBPFLESS_ENABLED\", \"value\": \"true\"}", "")],
        "cws-ebpfless",
        "DD_RUNTIME_SECURITY_CONFIG_ENABLED",
    ),
    (
        "proxy-port",
        EcsFargate,
        &[To(
            "{\"name\": \"DD_FIPS_PORT_RANGE_START\", \"value\": \"9803\"}\n",
            "{\"name\": \"DD_FIPS_PORT_RANGE_START\", \"value\": \"9900\"}\n",
        )],
        "fips-port",
        "\"9900\"",
    ),
    // Elastic Beanstalk: the page has these three writable.
    (
        "socket-writable",
        Beanstalk,
        &[To("\"/var/run/docker.sock\", \"readOnly\": true", "\"/var/run/docker.sock\", \"readOnly\": false")],
        "mount-writable",
        "\"readOnly\": false}",
    ),
    (
        "passwd-writable",
        Beanstalk,
        &[To("\"/etc/passwd\", \"readOnly\": true", "\"/etc/passwd\", \"readOnly\": false")],
        "mount-writable",
        "\"/etc/passwd\", \"readOnly\": false",
    ),
    (
        "key-in-the-file",
        Beanstalk,
        &[To(
            "      \"environment\": [\n",
            "      \"environment\": [\n        {\"name\": \"DD_API_KEY\", \"value\": \"0123456789abcdef0123456789abcdef\"},\n",
        )],
        "secret-plain",
        "0123456789abcdef",
    ),
    (
        "no-apparmor-option",
        Beanstalk,
        &[To("      \"dockerSecurityOptions\": [\"apparmor:unconfined\"],\n", "")],
        "right-missing",
        "{\n      \"name\": \"datadog-agent\"",
    ),
    // The chart's values.
    ("range-of-15", Helm, &[To("portRange: 16", "portRange: 15")], "fips-ports", "portRange: 15"),
    ("https", Helm, &[To("use_https: false", "use_https: true")], "fips-https", "use_https"),
    ("proxy-not-told-of-port", Helm, &[To("port: 9803", "port: 9900")], "fips-port", "port: 9900"),
    (
        "address",
        Helm,
        &[To("local_address: \"127.0.0.1\"", "local_address: \"0.0.0.0\"")],
        "fips-address",
        "local_address",
    ),
    (
        "fips-below-datadog",
        Helm,
        &[To("datadog:\n", "datadog:\n  fips:\n    enabled: true\n")],
        "helm-value",
        "  fips:",
    ),
    (
        "security-agent-at-the-top",
        Helm,
        &[To("datadog:\n", "securityAgent:\n  runtime:\n    enabled: true\ndatadog:\n")],
        "helm-value",
        "securityAgent:",
    ),
    (
        "key-in-the-file",
        Helm,
        &[To("  apiKeyExistingSecret: \"datadog-secret\"\n", "  apiKey: 0123456789abcdef0123456789abcdef\n")],
        "secret-plain",
        "apiKey: 0",
    ),
    (
        "activity-dumps",
        Helm,
        &[To(
            "      activityDump:\n        # They would go past the FIPS proxy.\n        enabled: false",
            "      activityDump:\n        # They would go past the FIPS proxy.\n        enabled: true",
        )],
        "fips-bypass",
        "        enabled: true\n    compliance",
    ),
    ("site", Helm, &[To("site: \"ddog-gov.com\"", "site: \"datadoghq.com\"")], "fips-site", "site: \"datadoghq.com\""),
    (
        "switch-as-text",
        Helm,
        &[To("      # CWS\n      enabled: true", "      # CWS\n      enabled: \"true\"")],
        "helm-value",
        "enabled: \"true\"",
    ),
    ("both-kinds-of-fips", Helm, &[To("datadog:\n", "useFIPSAgent: true\ndatadog:\n")], "fips-image", "useFIPSAgent"),
    (
        "unknown-name",
        Helm,
        &[To("  use_https: false\n", "  use_https: false\n  use_http: true\n")],
        "helm-value",
        "use_http: true",
    ),
    ("system-probe-without-fips", Helm, &[Cut("  containers:\n    systemProbe", "zzz")], "fips-partial", "agents:"),
];

const FULL: [(&str, &str); 4] = [
    ("DD_FIPS_MODE", "1"),
    ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1"),
    ("DD_LOGS_ENABLED", "1"),
    ("DD_APM_ENABLED", "1"),
];

fn planted(fault: &Fault) -> String {
    let (name, target, plants, ..) = fault;
    let from = if *target == Beanstalk { 1 } else { 0 };
    let mut text = rendered(*target, &FULL[from..]);
    for plant in *plants {
        let before = text.clone();
        text = match plant {
            To(old, new) => text.replacen(old, new, 1),
            All(old, new) => text.replace(old, new),
            After(old, new) => text.replacen(old, &format!("{old}{new}"), 1),
            In(behind, old, new) => {
                let (before, after) = text.split_once(behind).unwrap_or_else(|| panic!("{name}: no {behind:?}"));
                format!("{before}{behind}{}", after.replacen(old, new, 1))
            }
            Cut(from, to) => {
                let start = text.find(from).unwrap_or_else(|| panic!("{name}: no {from:?} in\n{text}"));
                let end = text[start..].find(to).map_or(text.len(), |at| start + at);
                format!("{}{}", &text[..start], &text[end..])
            }
        };
        assert!(text != before, "{name} ({target:?}): nothing was planted");
    }
    text
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#')).collect()
}

#[test]
fn each_planted_fault_is_named_located_and_mended() {
    assert!(FAULTS.len() >= 40, "{}", FAULTS.len());
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let (name, target, _, rule, mark) = fault;
        let Ok(text) = std::panic::catch_unwind(|| planted(fault)) else {
            wrong.push(format!("{name} ({target:?}): nothing was planted"));
            continue;
        };
        let mut say = |what: String| wrong.push(format!("{name} ({target:?}): {what}"));
        let found = match review(text.as_bytes()) {
            Ok(found) => found.findings,
            Err(why) => {
                say(format!("{why:?}"));
                continue;
            }
        };
        let at = text.find(mark).unwrap_or_else(|| panic!("{name}: no {mark:?} in\n{text}"));
        let line = 1 + text[..at].matches('\n').count();
        if !found.iter().any(|finding| finding.rule == *rule && finding.line == line) {
            let found: Vec<_> = found.iter().map(|f| (f.rule, f.line, &f.what)).collect();
            say(format!("no {rule} in line {line}: {found:?}"));
        }
        let (after, mut left) = mended(text.as_bytes()).unwrap();
        // What the operator may have wanted is told, and not taken away.
        left.findings.retain(|finding| finding.rule != "mount-unknown");
        if !left.findings.is_empty() {
            let left: Vec<_> = left.findings.iter().map(|f| (f.rule, f.line, &f.what, &f.fix)).collect();
            say(format!("not mended: {left:?}"));
        }
        let kept = comments(&after);
        for comment in comments(&text) {
            if !kept.contains(&comment) {
                say(format!("lost {comment:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FAULTS.len(), wrong.join("\n"));
}

/// The same through the binary, all files at once: findings with file and line, a diff that `patch` takes, SARIF.
#[test]
fn the_command_names_mends_and_writes() {
    let folder = folder("render-faults");
    let mut files = Vec::new();
    for (number, fault) in FAULTS.iter().enumerate() {
        let file = folder.join(format!("{number:02} {}", fault.0));
        std::fs::write(&file, planted(fault)).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let with = |options: &[&str]| {
        let args: Vec<&str> =
            ["review"].iter().chain(options).copied().chain(files.iter().map(String::as_str)).collect();
        run(&args, &[])
    };
    let text = with(&["--quiet"]);
    assert_eq!(text.status.code(), Some(9));
    let said = String::from_utf8(text.stdout).unwrap();
    for (file, (name, target, _, rule, _)) in files.iter().zip(FAULTS) {
        let of = |line: &str| line.starts_with(&format!("{file}:")) && line.ends_with(&format!("[{rule}]"));
        assert!(said.lines().any(of), "{name} ({target:?})");
    }
    assert!(!said.contains("0123456789abcdef"), "a secret is shown");
    let sarif = run(&["review", "--format", "sarif", &files[0], &files[60], &files[90]], &[]);
    let sarif: serde_json::Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() >= 3);
    for result in results {
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().contains("%20"));
    }
    // A diff that a tool takes, of a file without secrets.
    let file = &files[0];
    let diff = run(&["review", "--fix", file], &[]);
    assert_eq!(diff.status.code(), Some(0));
    let copy = folder.join("copy");
    std::fs::copy(file, &copy).unwrap();
    let mut patch = std::process::Command::new("patch")
        .arg(&copy)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut patch.stdin.take().unwrap(), &diff.stdout).unwrap();
    assert!(patch.wait().unwrap().success());
    let clean = run(&["review", copy.to_str().unwrap()], &[]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stdout));
    let written = with(&["--fix", "--write"]);
    assert!(!String::from_utf8_lossy(&written.stdout).contains("0123456789abcdef"), "a secret is shown");
    let clean = with(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&clean.stdout).unwrap();
    assert_eq!(clean.status.code(), Some(0));
    assert_eq!(json["files"].as_array().unwrap().len(), FAULTS.len());
    let left = json["files"].as_array().unwrap().iter().flat_map(|file| file["findings"].as_array().unwrap());
    assert!(left.clone().all(|finding| finding["rule"] == "mount-unknown"), "{:?}", left.collect::<Vec<_>>());
}
