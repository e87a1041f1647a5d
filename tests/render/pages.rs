//! Documents as the vendor's pages and chart have them: what the review says of them, and what is left after mending.

use ddinstall::review::{Review, mended, review};

fn told(text: &str) -> (Review, Vec<(&'static str, usize)>) {
    let found = review(text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
    let told = found.findings.iter().map(|finding| (finding.rule, finding.line)).collect();
    (found, told)
}

fn rules(told: &[(&'static str, usize)]) -> Vec<&'static str> {
    let mut rules: Vec<_> = told.iter().map(|(rule, _)| *rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// The command of the page on Cloud Workload Security: its comment cuts it off, and a file can be written to.
const DOCKER: &str = "docker run -d --name dd-agent \\
  --cgroupns host \\
  --pid host \\
  --security-opt apparmor:unconfined \\
  --cap-add SYS_ADMIN \\
  --cap-add SYS_RESOURCE \\
  --cap-add SYS_PTRACE \\
  --cap-add NET_ADMIN \\
  --cap-add NET_BROADCAST \\
  --cap-add NET_RAW \\
  --cap-add IPC_LOCK \\
  --cap-add CHOWN \\
  -v /var/run/docker.sock:/var/run/docker.sock:ro \\
  -v /proc/:/host/proc/:ro \\
  -v /sys/fs/cgroup/:/host/sys/fs/cgroup:ro \\
  -v /etc/passwd:/etc/passwd:ro \\
  -v /etc/group:/etc/group:ro \\
  -v /:/host/root:ro \\
  -v /sys/kernel/debug:/sys/kernel/debug \\
  -v /etc/os-release:/etc/os-release \\
  -e DD_RUNTIME_SECURITY_CONFIG_ENABLED=true \\
  -e DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED=true \\ # to enable the collection of CWS network events
  -e HOST_ROOT=/host/root \\
  -e DD_API_KEY=0123456789abcdef0123456789abcdef \\
  gcr.io/datadoghq/agent:7
";

#[test]
fn the_pages_docker_command_has_three_faults() {
    let (found, told) = told(DOCKER);
    assert_eq!(told, [("mount-writable", 20), ("shell-comment", 22), ("secret-plain", 24)], "{:#?}", found.findings);
    let (after, left) = mended(DOCKER.as_bytes()).unwrap();
    assert!(left.findings.is_empty(), "{:#?}", left.findings);
    assert!(
        after.contains("-e DD_API_KEY \\\n") && after.contains("NETWORK_ENABLED=true \\\n  -e HOST_ROOT"),
        "{after}"
    );
    // Every right of the page is one that the table has a reason for.
    assert_eq!(left.rights.len(), 8 + 8 + 3, "{:#?}", left.rights);
}

/// The Dockerrun.aws.json of the same page.
const DOCKERRUN: &str = r#"{
    "AWSEBDockerrunVersion": 2,
    "volumes": [
        {"name": "docker_sock", "host": {"sourcePath": "/var/run/docker.sock"}},
        {"name": "proc", "host": {"sourcePath": "/proc/"}},
        {"name": "cgroup", "host": {"sourcePath": "/cgroup/"}},
        {"name": "debug", "host": {"sourcePath": "/sys/kernel/debug"}},
        {"name": "os_release", "host": {"sourcePath": "/etc/os-release"}},
        {"name": "etc_passwd", "host": {"sourcePath": "/etc/passwd"}},
        {"name": "etc_group", "host": {"sourcePath": "/etc/group"}}
    ],
    "containerDefinitions": [
        {
            "image": "gcr.io/datadoghq/agent:7",
            "environment": [
                {"name": "DD_API_KEY", "value": "0123456789abcdef0123456789abcdef"},
                {"name": "DD_SITE", "value": "datadoghq.com"},
                {"name": "DD_RUNTIME_SECURITY_CONFIG_ENABLED", "value": "true"}
            ],
            "memory": 256,
            "dockerSecurityOptions": ["apparmor:unconfined"],
            "linuxParameters": {"capabilities": {"add": ["SYS_ADMIN", "SYS_RESOURCE", "SYS_PTRACE", "NET_ADMIN",
                "NET_BROADCAST", "NET_RAW", "IPC_LOCK", "CHOWN"]}},
            "mountPoints": [
                {"sourceVolume": "docker_sock", "containerPath": "/var/run/docker.sock", "readOnly": false},
                {"sourceVolume": "proc", "containerPath": "/host/proc", "readOnly": true},
                {"sourceVolume": "cgroup", "containerPath": "/host/sys/fs/cgroup", "readOnly": true},
                {"containerPath": "/sys/kernel/debug", "sourceVolume": "debug"},
                {"sourceVolume": "os_release", "containerPath": "/host/etc/os-release", "readOnly": false},
                {"sourceVolume": "etc_passwd", "containerPath": "/etc/passwd", "readOnly": false},
                {"sourceVolume": "etc_group", "containerPath": "/etc/group", "readOnly": false}
            ]
        }
    ]
}
"#;

#[test]
fn the_pages_dockerrun_lets_the_agent_write_where_it_need_not() {
    let (found, told) = told(DOCKERRUN);
    assert_eq!(rules(&told), ["mount-writable", "right-missing", "secret-plain"], "{:#?}", found.findings);
    let writable: Vec<usize> =
        told.iter().filter(|(rule, _)| *rule == "mount-writable").map(|(_, line)| *line).collect();
    assert_eq!(writable, [25, 29, 30, 31]);
    let (after, left) = mended(DOCKERRUN.as_bytes()).unwrap();
    assert!(left.findings.is_empty(), "{:#?}", left.findings);
    assert!(
        serde_json::from_str::<serde_json::Value>(&after).is_ok() && !after.contains("0123456789abcdef"),
        "{after}"
    );
}

/// As the page on ECS prints the FIPS proxy: with commas that JSON does not have, and in a network of its own.
#[test]
fn the_pages_task_is_no_json() {
    let ports: String =
        (9803..=9818).map(|port| format!("{{\"containerPort\": {port}, \"protocol\": \"tcp\"}},\n")).collect();
    let text = format!(
        r#"{{"family": "x", "containerDefinitions": [
{{"name": "fips-proxy", "image": "datadog/fips-proxy:1.1.7", "portMappings": [
{ports}], "essential": true, "memory": 256, "environment": [
{{"name": "DD_FIPS_PORT_RANGE_START", "value": "9803"}},
{{"name": "DD_FIPS_LOCAL_ADDRESS", "value": "127.0.0.1"}},
]}},
{{"name": "datadog-agent", "image": "datadog/agent:7", "memory": 256, "environment": [
{{"name": "DD_FIPS_ENABLED", "value": "true"}},
{{"name": "DD_FIPS_PORT_RANGE_START", "value": "9803"}},
{{"name": "DD_FIPS_HTTPS", "value": "false"}},
],
}}
]}}
"#
    );
    let (_, told) = told(&text);
    assert_eq!(told.iter().filter(|(rule, _)| *rule == "json-comma").count(), 4, "{told:?}");
    for rule in ["fips-loopback", "fips-site", "fips-bypass-default", "right-missing-core"] {
        assert!(rules(&told).contains(&rule), "{rule}: {told:?}");
    }
    let (after, left) = mended(text.as_bytes()).unwrap();
    assert!(left.findings.is_empty(), "{:#?}\n{after}", left.findings);
    assert!(serde_json::from_str::<serde_json::Value>(&after).is_ok());
}

/// What `helm template` makes of the chart with CWS and the FIPS proxy, as far as the review reads it: names, mounts
/// and rights of the chart's DaemonSet (workload_protection.yaml), and its sidecar with a range of 15 ports.
fn chart() -> String {
    let mount = |name: &str, path: &str, only: bool| {
        format!(
            "            - name: {name}\n              mountPath: {path}\n              mountPropagation: None\n              readOnly: {only}\n"
        )
    };
    let fips = "            - name: DD_FIPS_ENABLED\n              value: \"true\"\n            - name: DD_FIPS_PORT_RANGE_START\n              value: \"9803\"\n            - name: DD_FIPS_HTTPS\n              value: \"false\"\n            - name: DD_FIPS_LOCAL_ADDRESS\n              value: \"127.0.0.1\"\n";
    let key = "            - name: DD_API_KEY\n              valueFrom:\n                secretKeyRef:\n                  name: \"datadog-secret\"\n                  key: api-key\n            - name: DD_SITE\n              value: \"ddog-gov.com\"\n";
    let common = [("procdir", "/host/proc"), ("cgroups", "/host/sys/fs/cgroup")];
    let common: String = common.iter().map(|(name, path)| mount(name, path, true)).collect();
    let agent = format!(
        "{common}{}{}{}{}",
        mount("os-release-file", "/host/etc/os-release", true),
        mount("dsdsocket", "/var/run/datadog", false),
        mount("runtimesocketdir", "/host/var/run", true),
        mount("passwd", "/etc/passwd", true)
    );
    let trace = format!(
        "{common}{}{}",
        mount("dsdsocket", "/var/run/datadog", false),
        mount("runtimesocketdir", "/host/var/run", true)
    );
    let probe = format!(
        "{common}{}{}{}{}{}{}{}{}{}",
        mount("os-release-file", "/host/etc/os-release", true),
        mount("passwd", "/etc/passwd", true),
        mount("group", "/etc/group", true),
        mount("hostroot", "/host/root", true),
        mount("debugfs", "/sys/kernel/debug", false),
        mount("modules", "/lib/modules", true),
        mount("src", "/usr/src", true),
        mount("public-key-dir", "/host/etc/pki", true),
        mount("sysprobe-socket-dir", "/var/run/sysprobe", false),
    );
    let security = format!(
        "{}{}{}",
        mount("os-release-file", "/host/etc/os-release", true),
        mount("dsdsocket", "/var/run/datadog", false),
        mount("runtimesocketdir", "/host/var/run", true)
    );
    let volumes: String = [
        ("procdir", "/proc"),
        ("cgroups", "/sys/fs/cgroup"),
        ("os-release-file", "/etc/os-release"),
        ("dsdsocket", "/var/run/datadog/"),
        ("runtimesocketdir", "/var/run"),
        ("passwd", "/etc/passwd"),
        ("group", "/etc/group"),
        ("hostroot", "/"),
        ("debugfs", "/sys/kernel/debug"),
        ("modules", "/lib/modules"),
        ("src", "/usr/src"),
        ("public-key-dir", "/etc/pki"),
        ("seccomp-root", "/var/lib/kubelet/seccomp"),
    ]
    .iter()
    .map(|(name, path)| format!("        - name: {name}\n          hostPath:\n            path: {path}\n"))
    .collect();
    let capabilities = "[SYS_ADMIN, SYS_RESOURCE, SYS_PTRACE, NET_ADMIN, NET_BROADCAST, NET_RAW, IPC_LOCK, CHOWN, DAC_READ_SEARCH, KILL]";
    let ports: String = (9803..9818)
        .map(|port| {
            format!(
                "            - name: fips-{port}\n              containerPort: {port}\n              protocol: TCP\n"
            )
        })
        .collect();
    let image = "image: \"gcr.io/datadoghq/agent:7.81.1\"";
    let context = "securityContext:\n            readOnlyRootFilesystem: true";
    format!(
        "---
# Source: datadog/templates/system-probe-configmap.yaml
apiVersion: v1
kind: ConfigMap
metadata: {{name: datadog-system-probe-config, namespace: default}}
data:
  system-probe.yaml: |
    system_probe_config:
      enabled: true
    runtime_security_config:
      enabled: true
      network: {{enabled: true}}
      activity_dump: {{enabled: true}}
---
# Source: datadog/templates/daemonset.yaml
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: datadog, namespace: default}}
spec:
  template:
    spec:
      hostPID: true
      securityContext: {{runAsUser: 0}}
      initContainers:
        - name: seccomp-setup
          {image}
          command: [cp, /etc/config/system-probe-seccomp.json, /host/var/lib/kubelet/seccomp/system-probe]
          volumeMounts:
            - {{name: seccomp-root, mountPath: /host/var/lib/kubelet/seccomp}}
      containers:
        - name: agent
          {image}
          command: [agent, run]
          {context}
          env:
{key}{fips}          volumeMounts:
{agent}        - name: trace-agent
          {image}
          command: [trace-agent, -config=/etc/datadog-agent/datadog.yaml]
          {context}
          env:
{key}{fips}          volumeMounts:
{trace}        - name: system-probe
          {image}
          command: [system-probe, --config=/etc/datadog-agent/system-probe.yaml]
          {context}
            appArmorProfile: {{type: Unconfined}}
            seccompProfile: {{type: Localhost, localhostProfile: system-probe}}
            privileged: false
            capabilities: {{add: {capabilities}}}
          env:
            - {{name: HOST_ROOT, value: /host/root}}
          volumeMounts:
{probe}        - name: security-agent
          {image}
          command: [security-agent, start]
          {context}
          env:
{key}{fips}            - {{name: DD_RUNTIME_SECURITY_CONFIG_ENABLED, value: \"true\"}}
          volumeMounts:
{security}        - name: fips-proxy
          image: \"gcr.io/datadoghq/fips-proxy:1.1.29\"
          ports:
{ports}          env:
            - {{name: DD_FIPS_LOCAL_ADDRESS, value: \"127.0.0.1\"}}
          volumeMounts:
            - {{name: fips-proxy-cfg, mountPath: /etc/datadog-fips-proxy}}
      volumes:
        - {{name: fips-proxy-cfg, configMap: {{name: datadog-fips-config}}}}
        - {{name: sysprobe-config, configMap: {{name: datadog-system-probe-config}}}}
        - {{name: sysprobe-socket-dir, emptyDir: {{}}}}
{volumes}"
    )
}

#[test]
fn the_charts_known_traps_are_found_in_what_it_renders() {
    let text = chart();
    let (found, told) = told(&text);
    // system-probe has no FIPS variables; the range is one short; what is on by default goes past the proxy.
    assert_eq!(
        rules(&told),
        ["fips-bypass", "fips-bypass-default", "fips-partial", "fips-ports"],
        "{:#?}",
        found.findings
    );
    assert!(found.rights.iter().all(|right| right.why.is_some()), "{:#?}", found.rights);
    assert!(found.rights.len() > 35, "{}", found.rights.len());
    assert_eq!(found.standings[0].level, "privileged");
    let (after, left) = mended(text.as_bytes()).unwrap();
    assert!(left.findings.is_empty(), "{:#?}\n{after}", left.findings);
}

#[test]
fn docker_inspect_is_read_and_not_changed() {
    let text = r#"[
  {
    "Name": "/dd-agent",
    "Config": {"Image": "gcr.io/datadoghq/agent:7", "User": "", "Env": [
      "DD_API_KEY=0123456789abcdef0123456789abcdef",
      "DD_RUNTIME_SECURITY_CONFIG_ENABLED=true",
      "HOST_ROOT=/host/root"
    ]},
    "HostConfig": {"Privileged": true, "PidMode": "", "CgroupnsMode": "private", "IpcMode": "private",
      "NetworkMode": "default", "CapAdd": null, "SecurityOpt": null},
    "Mounts": [
      {"Type": "bind", "Source": "/", "Destination": "/host/root", "Mode": "", "RW": true},
      {"Type": "volume", "Source": "/var/lib/docker/volumes/x/_data", "Destination": "/etc/datadog-agent", "RW": true}
    ]
  }
]
"#;
    let (found, told) = told(text);
    for expected in [("secret-plain", 5), ("privileged", 9), ("mount-writable", 12)] {
        assert!(told.contains(&expected), "{expected:?}: {:#?}", found.findings);
    }
    assert!(rules(&told).contains(&"right-missing"));
    let (after, left) = mended(text.as_bytes()).unwrap();
    assert_eq!((after.as_str(), left.findings.len()), (text, found.findings.len()));
}
