//! How documents are read: what decides where a file and a variable differ, what a text is, and how a command is split.

use ddinstall::review::{Kind, Review, mended, review};

use super::{folder, run};

fn read(text: &str) -> Review {
    review(text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}\n{text}"))
}

/// The containers that a rule names, by the beginning of what it says.
fn named(text: &str, rule: &str) -> Vec<String> {
    let found = read(text).findings;
    let of = found.iter().filter(|finding| finding.rule == rule);
    of.filter_map(|finding| finding.what.split(':').next()).map(str::to_owned).collect()
}

/// A pod with a file of the Agent; `volume` mounts it.
fn pod(file: &str, text: &str, volume: &str, agent: &str, other: &str, variable: &str) -> String {
    let variable = match variable.split_once('=') {
        Some((name, value)) => format!("[{{name: {name}, value: \"{value}\"}}]"),
        None => "[]".to_owned(),
    };
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data:
  {file}: |
    {text}
---
apiVersion: v1
kind: Pod
metadata: {{name: agent}}
spec:
  containers:
    - {{name: agent, image: datadog/agent:7, env: {agent}}}
    - {{name: {other}, image: datadog/agent:7, env: {variable}}}
  volumes: [{volume}]
"
    )
}

const MOUNTED: &str = "{name: settings, configMap: {name: settings}}";
const ON: &str = "[{name: DD_FIPS_ENABLED, value: \"true\"}, {name: DD_FIPS_HTTPS, value: \"false\"}]";

#[test]
fn a_container_takes_its_variable_and_the_mounted_file_where_it_has_none() {
    let fips = |on: &str, volume: &str, agent: &str, trace: &str| {
        let text = format!("fips: {{enabled: {on}, https: false}}");
        named(&pod("datadog.yaml", &text, volume, agent, "trace-agent", trace), "fips-partial")
    };
    let off = "DD_FIPS_ENABLED=false";
    assert_eq!(fips("true", MOUNTED, "[]", off), ["trace-agent"]);
    assert_eq!(fips("true", MOUNTED, ON, off), ["trace-agent"]);
    assert_eq!(fips("false", MOUNTED, ON, ""), ["trace-agent"]);
    assert_eq!(fips("true", "", ON, ""), ["trace-agent"]);
    assert_eq!(fips("true", MOUNTED, ON, ""), [""; 0]);
    assert_eq!(fips("true", "{name: all, projected: {sources: [{configMap: {name: settings}}]}}", ON, ""), [""; 0]);

    let cws = |on: &str, agent: &str, probe: &str| {
        let text = format!("runtime_security_config: {{enabled: {on}}}");
        named(&pod("system-probe.yaml", &text, MOUNTED, agent, "system-probe", probe), "cws-partial")
    };
    let enabled = "DD_RUNTIME_SECURITY_CONFIG_ENABLED";
    let agent = format!("[{{name: {enabled}, value: \"true\"}}]");
    assert_eq!(cws("true", "[]", &format!("{enabled}=false")), ["system-probe"]);
    assert_eq!(cws("false", &agent, ""), ["system-probe"]);
    assert_eq!(cws("true", &agent, ""), [""; 0]);
}

/// A file's own word on HTTPS counts for its containers, and another container's does not.
#[test]
fn the_files_word_on_https_counts_where_a_container_says_nothing() {
    let https = |https: &str| {
        let text = format!("fips: {{enabled: true, https: {https}}}");
        named(&pod("datadog.yaml", &text, MOUNTED, ON, "trace-agent", ""), "fips-https")
    };
    assert_eq!(https("true"), ["trace-agent"]);
    assert_eq!(https("false"), [""; 0]);
}

/// A file may say where the proxy listens.
#[test]
fn the_files_word_on_the_proxys_place_counts() {
    let rules = |fips: &str| {
        let text = format!("fips: {{enabled: true, https: false, {fips}}}");
        let text = pod("datadog.yaml", &text, MOUNTED, "[]", "fips-proxy", "DD_FIPS_LOCAL_ADDRESS=127.0.0.1");
        let text =
            text.replace("name: fips-proxy, image: datadog/agent:7", "name: fips-proxy, image: datadog/fips-proxy:1");
        let found = read(&text).findings;
        ["fips-port", "fips-address"].map(|rule| found.iter().any(|finding| finding.rule == rule))
    };
    assert_eq!(rules("port_range_start: 9803"), [false, false]);
    assert_eq!(rules("port_range_start: 9900"), [true, false]);
    assert_eq!(rules("local_address: 10.0.0.5"), [false, true]);
}

/// A mounted file goes past the proxy as a variable does, in capitals or not.
#[test]
fn what_a_mounted_file_sends_past_the_proxy_is_found() {
    let bypass = |text: &str, volume: &str| {
        let agent = format!("{}, {{name: DD_FIPS_LOCAL_ADDRESS, value: localhost}}]", ON.trim_end_matches(']'));
        let text = pod("datadog.yaml", text, volume, &agent, "trace-agent", "");
        let found = read(&text).findings;
        found.into_iter().filter(|f| f.rule == "fips-bypass").map(|finding| finding.what).collect::<Vec<_>>()
    };
    for (text, what) in [
        ("additional_endpoints: {\"https://app.datadoghq.com\": [abc]}", "agent: additional_endpoints is set"),
        ("logs_config: {Additional_Endpoints: [{Host: x}]}", "agent: logs_config.additional_endpoints is set"),
        ("SBOM: {Enabled: true}", "agent: DD_SBOM_ENABLED is on"),
    ] {
        let found = bypass(text, MOUNTED);
        assert!(matches!(&found[..], [one] if one.starts_with(what)), "{text}: {found:?}");
        assert!(bypass(text, "").is_empty(), "{text}");
    }
    for text in ["additional_endpoints: {}", "logs_config: {additional_endpoints: []}", "sbom: {enabled: false}"] {
        assert_eq!(bypass(text, MOUNTED), [""; 0], "{text}");
    }
}

/// Variables that come in sets: those of the same text count, others are named, and no right is taken away for them.
#[test]
fn sets_of_variables_count_where_they_stand_in_the_text() {
    let text = |set: &str| {
        format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data:
  FIPS_ENABLED: \"true\"
  FIPS_HTTPS: \"true\"
  RUNTIME_SECURITY_CONFIG_ENABLED: \"true\"
  API_KEY: 0123456789abcdef0123456789abcdef
---
apiVersion: v1
kind: Pod
metadata: {{name: agent}}
spec:
  hostPID: true
  containers:
    - name: agent
      image: datadog/agent:7
      envFrom:
        - {set}
      securityContext: {{capabilities: {{add: [SYS_PTRACE]}}}}
"
        )
    };
    let rules = |text: &str| -> Vec<&str> { read(text).findings.iter().map(|finding| finding.rule).collect() };
    let here = text("{prefix: DD_, configMapRef: {name: settings}}");
    let found = rules(&here);
    for rule in ["fips-https", "fips-proxy-missing", "secret-plain"] {
        assert!(found.contains(&rule), "{rule}: {found:?}");
    }
    for rule in ["variables-unread", "right-needless", "host-pid"] {
        assert!(!found.contains(&rule), "{rule}: {found:?}");
    }
    // What mends it goes before the set, and the set stays.
    let (after, left) = mended(here.as_bytes()).unwrap();
    assert!(after.contains("configMapRef: {name: settings}") && after.contains("name: DD_FIPS_HTTPS"), "{after}");
    assert!(!left.findings.iter().any(|finding| finding.rule == "fips-https"), "{:?}", left.findings);
    // Without the prefix the names are others.
    assert!(!rules(&text("{configMapRef: {name: settings}}")).contains(&"fips-https"));

    let elsewhere = text("{secretRef: {name: others}}");
    let found = read(&elsewhere).findings;
    let line = 1 + elsewhere[..elsewhere.find("secretRef").unwrap()].matches('\n').count();
    assert!(found.iter().any(|finding| finding.rule == "variables-unread" && finding.line == line), "{found:?}");
    assert!(found.iter().any(|finding| finding.rule == "right-needless" && finding.fix.is_empty()), "{found:?}");
    let (after, _) = mended(elsewhere.as_bytes()).unwrap();
    assert!(after.contains("hostPID: true") && after.contains("SYS_PTRACE"), "{after}");

    let unread = |text: &str| rules(text).contains(&"variables-unread");
    for files in ["agent.env", "[agent.env]", "[{path: agent.env, required: false}]"] {
        assert!(unread(&format!("services: {{agent: {{image: datadog/agent:7, env_file: {files}}}}}\n")), "{files}");
    }
    assert!(unread("docker run --env-file agent.env datadog/agent:7\n"));
    assert!(unread("fips: {enabled: true}\ndatadog: {envFrom: [{configMapRef: {name: x}}]}\n"));
    assert!(unread(
        r#"{"containerDefinitions": [{"name": "a", "image": "datadog/agent:7", "environmentFiles": [{"value": "arn:x"}]}]}"#
    ));
}

/// A value that stands elsewhere counts where it can be read, and is named where it cannot.
#[test]
fn a_value_behind_a_reference_counts_or_is_named() {
    let service = |more: &str| {
        format!(
            "services:\n  agent:\n    image: datadog/agent:7\n    environment:\n      DD_FIPS_ENABLED: ${{FIPS:-true}}\n      DD_FIPS_HTTPS: 'false'\n      {more}\n  fips-proxy: {{image: datadog/fips-proxy:1, network_mode: 'service:agent', environment: {{DD_FIPS_LOCAL_ADDRESS: 127.0.0.1}}}}\n"
        )
    };
    let rules = |text: &str, line: usize| -> Vec<&str> {
        read(text).findings.iter().filter(|finding| finding.line == line).map(|finding| finding.rule).collect()
    };
    for (more, rule) in [
        ("DD_SITE: ${DD_SITE:-datadoghq.com}", "fips-site"),
        ("DD_SITE: ${DD_SITE}", "variables-unread"),
        ("DD_SBOM_ENABLED: \"${SBOM:-true}\"", "fips-bypass"),
        ("DD_SBOM_ENABLED: \"${SBOM?}\"", "variables-unread"),
        ("DD_ADDITIONAL_ENDPOINTS: $MORE", "fips-bypass"),
    ] {
        assert!(rules(&service(more), 7).contains(&rule), "{more}: {:?}", read(&service(more)).findings);
        assert!(!read(&service(more)).findings.iter().any(|finding| finding.rule == "fips-agent-off"), "{more}");
    }
    assert_eq!(rules(&service("DD_SITE: ${DD_SITE:-ddog-gov.com}"), 7), [""; 0]);
    let unknown = service("DD_SITE: ddog-gov.com").replace("${FIPS:-true}", "${FIPS}");
    let found = read(&unknown).findings;
    assert!(!found.iter().any(|finding| finding.rule == "fips-agent-off"), "{found:?}");
    assert_eq!(rules(&unknown, 5), ["variables-unread"]);

    let pod = |set: &str| {
        format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{sbom: 'true', key: 0123456789abcdef0123456789abcdef}}
---
apiVersion: v1
kind: Pod
metadata: {{name: agent}}
spec:
  containers:
    - name: agent
      image: datadog/agent:7
      env:
        - {{name: DD_FIPS_ENABLED, value: 'true'}}
        - {{name: DD_SBOM_ENABLED, valueFrom: {{configMapKeyRef: {{name: {set}, key: sbom}}}}}}
        - {{name: DD_API_KEY, valueFrom: {{configMapKeyRef: {{name: {set}, key: key}}}}}}
"
        )
    };
    assert_eq!(rules(&pod("settings"), 15), ["fips-bypass"]);
    assert_eq!(rules(&pod("settings"), 16), ["secret-plain"]);
    assert_eq!(rules(&pod("others"), 15), ["variables-unread"]);
    let (after, left) = mended(pod("settings").as_bytes()).unwrap();
    assert!(!after.contains("configMapKeyRef") && after.contains("key: api-key"), "{after}");
    assert!(!left.findings.iter().any(|f| ["fips-bypass", "secret-plain"].contains(&f.rule)), "{:?}", left.findings);
}

/// The same fault twice is mended twice, whichever document it stands in.
#[test]
fn each_document_is_mended() {
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n    - {{name: agent, image: datadog/agent:7, securityContext: {{privileged: true}}}}\n"
        )
    };
    let (after, left) = mended(format!("{}---\n{}", pod("one"), pod("two")).as_bytes()).unwrap();
    assert!(!left.findings.iter().any(|finding| finding.rule == "privileged"), "{:?}\n{after}", left.findings);
    assert_eq!(after.matches("privileged: false").count(), 2, "{after}");
}

/// What the chart turns on by itself and would go past the proxy: the values that helm-values.txt marks.
#[test]
fn what_the_chart_has_on_by_default_is_asked_for() {
    let list = include_str!("helm-values.txt");
    let marked: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(" bool on")).collect();
    assert_eq!(marked.len(), 5, "{marked:?}");
    let enabled = "{enabled: true}";
    let least = "fips: {enabled: true}\ndatadog: {securityAgent: {runtime: {enabled: true}}}\n";
    let places = |text: &str, rule: &str| -> Vec<String> {
        let found = read(text).findings;
        found.iter().filter(|f| f.rule == rule).map(|f| f.at[1..].replace('/', ".")).collect()
    };
    let mut found = places(least, "fips-bypass-default");
    found.sort();
    // Three have no value, and are turned off by variables.
    let mut expected = [marked.as_slice(), &["datadog.env"; 3]].concat();
    expected.sort();
    assert_eq!(found, expected);
    for name in marked {
        let mut value = "true".to_owned();
        for key in name.rsplit('.') {
            value = format!("{{{key}: {value}}}");
        }
        let text = match name.strip_prefix("datadog.") {
            Some(_) => format!("fips: {{enabled: true}}\n{}", &value[1..value.len() - 1]),
            None => format!("{least}{}", &value[1..value.len() - 1]),
        };
        let cws = ["discovery", "activityDump"].iter().any(|part| name.contains(part));
        assert!(cws || places(&text, "fips-bypass").contains(&name.to_owned()), "{name}: {text}");
    }
    let file = "agents: {customAgentConfig: {logs_config: {additional_endpoints: [{Host: x}]}}, useConfigMap: ";
    assert_eq!(places(&format!("fips: {enabled}\n{file}true}}\n"), "fips-bypass"), ["agents.customAgentConfig"]);
    assert_eq!(places(&format!("fips: {enabled}\n{file}false}}\n"), "fips-bypass"), [""; 0]);
    // A variable goes before the chart's own default, where the product sends from.
    for (section, unset) in [("agents: {containers: {traceAgent: ", 4), ("agents: {containers: {agent: ", 5)] {
        let env = "{env: [{name: DD_EVP_PROXY_CONFIG_ENABLED, value: 'false'}]}";
        let text = format!("fips: {enabled}\ndatadog: {{containerLifecycle: {enabled}}}\n{section}{env}}}}}\n");
        let found = places(&text, "fips-bypass-default");
        assert_eq!(found.len(), unset + 1, "{section}: {found:?}");
    }
    let off = "{customAgentConfig: {evp_proxy_config: {enabled: false}, container_lifecycle: {enabled: false}}";
    let found = places(&format!("fips: {enabled}\nagents: {off}, useConfigMap: true}}\n"), "fips-bypass-default");
    assert_eq!(found.iter().filter(|at| *at == "datadog.env").count(), 2, "{found:?}");
    assert!(found.iter().any(|at| at.contains("containerLifecycle")), "{found:?}");
    let dictionary = "fips: {enabled: true}\ndatadog: {envDict: {DD_CONTAINER_LIFECYCLE_ENABLED: 'false'}}\n";
    assert!(!places(dictionary, "fips-bypass-default").iter().any(|at| at.contains("Lifecycle")));
    // Either of the two turns it off.
    for off in ["remoteConfiguration: {enabled: false}", "datadog: {remoteConfiguration: {enabled: false}}"] {
        let text = format!("fips: {{enabled: true}}\n{off}\n");
        assert!(!places(&text, "fips-bypass-default").iter().any(|at| at.contains("remote")), "{off}");
    }
}

/// A part of the Agent is told by its image, and where that has another name by its variables; what cannot be told is said.
#[test]
fn no_agent_is_passed_over_in_silence() {
    let key = "DD_API_KEY: 0123456789abcdef0123456789abcdef";
    let pod = |kind: &str, name: &str, image: &str, env: &str| {
        let spec = format!(
            "{{containers: [{{name: {name}, image: {image}, env: [{env}], securityContext: {{privileged: true}}}}]}}"
        );
        let spec = if kind == "Pod" { spec } else { format!("{{template: {{spec: {spec}}}}}") };
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
    };
    let named = "{name: DD_SITE, value: datadoghq.com}";
    let task = |environment: &str| {
        format!(
            r#"{{"containerDefinitions": [{{"name": "dd", "image": "1.ecr.aws/dd/agent:7", "privileged": true, {environment}}}]}}"#
        )
    };
    let judged = [
        pod("Rollout", "agent", "datadog/agent:7", ""),
        pod("Pod", "datadog", "registry.corp/datadog:7.58.0", named),
        pod("Pod", "dd", "registry.corp/agent:7", named),
        format!(
            "services: {{monitoring: {{image: 'registry.corp/datadog:7', privileged: true, environment: {{{key}}}}}}}\n"
        ),
        task(r#""secrets": [{"name": "DD_API_KEY", "valueFrom": "x"}]"#),
    ];
    for text in judged {
        let rules: Vec<&str> = read(&text).findings.iter().map(|finding| finding.rule).collect();
        assert!(rules.contains(&"privileged") && !rules.contains(&"agent-unread"), "{rules:?}\n{text}");
    }
    let service = "{name: DD_SERVICE, value: shop}";
    for (text, what) in [
        (pod("Pod", "x", "corp/observer:7", named), "x: it has variables of the Agent, and corp/observer:7 is no name"),
        ("docker run --privileged -e DD_API_KEY \"$IMG\"\n".to_owned(), "container-1: it has variables of the Agent"),
        (pod("Pod", "dd", "registry.corp/agent:7", &format!("{named}, {service}")), "no Agent was found in it"),
        (pod("Pod", "x", "corp/shop:7", ""), "no Agent was found in it"),
        ("services: {}\n".to_owned(), "no Agent was found in it"),
        (task(r#""environment": []"#), "no Agent was found in it"),
        (
            "apiVersion: datadoghq.com/v2alpha1\nkind: DatadogAgent\nmetadata: {name: dd}\nspec: {}\n".to_owned(),
            "dd is for the operator",
        ),
    ] {
        let found = read(&text).findings;
        let [finding] = &found[..] else { panic!("{found:?}\n{text}") };
        assert!(finding.rule == "agent-unread" && finding.what.starts_with(what), "{finding:?}\n{text}");
    }
    let operator = format!(
        "apiVersion: datadoghq.com/v2alpha1\nkind: DatadogAgent\nmetadata: {{name: dd}}\nspec:\n  global:\n    credentials:\n      {}\n",
        key.replace("DD_API_KEY", "apiKey")
    );
    assert!(read(&operator).findings.iter().any(|finding| finding.rule == "secret-plain" && finding.line == 7));
    let (after, left) = mended(operator.as_bytes()).unwrap();
    assert!(after.contains("keyName: api-key") && !after.contains("0123"), "{after}");
    assert_eq!(left.findings.len(), 1, "{:?}", left.findings);
    let found = read("docker run -e DD_API_KEY=0123456789abcdef0123456789abcdef \"$IMG\"\n").findings;
    let rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["agent-unread", "secret-plain"]);
    // It is said, and is no error: in a folder of manifests most hold none.
    let file = folder("render-none").join("shop.yaml");
    std::fs::write(&file, pod("Pod", "x", "corp/shop:7", "")).unwrap();
    let said = run(&["review", file.to_str().unwrap()], &[]);
    assert_eq!(said.status.code(), Some(0));
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.contains("warning: no Agent was found in it [agent-unread]") && !said.contains("nothing found"),
        "{said}"
    );
    let json = run(&["review", "--format", "json", file.to_str().unwrap()], &[]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["files"][0]["findings"][0]["mendable"], false, "{json}");
}

const PRIVILEGED: &str = "apiVersion: v1
kind: Pod
metadata:
  name: agent
  annotations:
    readme: |
      docker run -d datadog/agent:7
spec:
  containers:
    - {name: agent, image: datadog/agent:7, securityContext: {privileged: true}}
";

#[test]
fn a_manifest_that_quotes_a_command_is_a_manifest() {
    let found = read(PRIVILEGED);
    assert_eq!(found.kind, Kind::Kubernetes);
    assert!(found.findings.iter().any(|finding| finding.rule == "privileged"), "{:?}", found.findings);
    let compose = "x-readme: |\n  docker run agent\nservices: {agent: {image: datadog/agent:7, privileged: true}}\n";
    assert_eq!(read(compose).kind, Kind::Compose);
    // One that cannot be read is no script either.
    let broken = PRIVILEGED.replace("spec:", "spec: [");
    let template = format!("{{{{- if .Values.agent }}}}\n{PRIVILEGED}{{{{- end }}}}\n");
    for broken in [
        template,
        broken.clone(),
        format!("# a comment\n---\n{broken}"),
        broken.replace("apiVersion:", "\"apiVersion\":"),
    ] {
        assert!(review(broken.as_bytes()).is_err(), "{broken}");
    }
    let file = folder("render-quoted").join("broken.yaml");
    std::fs::write(&file, broken).unwrap();
    assert_eq!(run(&["review", file.to_str().unwrap()], &[]).status.code(), Some(7));
}

#[test]
fn a_script_is_one_whatever_stands_around_its_command() {
    let script = "#!/bin/sh\nset -eu\nif true; then\n  docker run --privileged datadog/agent:7\nfi\n";
    let step = "jobs:\n  start:\n    steps:\n      - run: |\n          docker run --privileged datadog/agent:7\n";
    for text in [script, step, "{\n  docker run --privileged datadog/agent:7\n}\n"] {
        let found = read(text);
        assert_eq!(found.kind, Kind::Run, "{text}");
        assert!(found.findings.iter().any(|finding| finding.rule == "privileged"), "{text}: {:?}", found.findings);
    }
}

#[test]
fn options_of_docker_run_are_split_as_docker_splits_them() {
    let key = "0123456789abcdef0123456789abcdef";
    for (options, rule) in [
        (format!("-eDD_API_KEY={key}"), "secret-plain"),
        (format!("-e=DD_API_KEY={key}"), "secret-plain"),
        (format!("-ditPeDD_API_KEY={key}"), "secret-plain"),
        (format!("-de DD_API_KEY={key}"), "secret-plain"),
        ("-v/:/host/root".to_owned(), "right-needless"),
        ("-v=/srv:/srv".to_owned(), "mount-writable-unknown"),
        ("--mount type=bind,source=/srv,target=/srv".to_owned(), "mount-writable-unknown"),
        ("--mount 'type=bind,\"src=/s,rv\",dst=/srv,readonly=false'".to_owned(), "mount-writable-unknown"),
        ("--mount=type=bind,src=/srv,destination=/srv,readonly".to_owned(), "mount-unknown"),
        ("--mount type=bind,src=/srv,dst=/srv,ro=1,bind-propagation=rshared".to_owned(), "mount-propagation"),
        ("--privileged".to_owned(), "privileged"),
        ("--cpus 2 --ulimit nofile=9:9 --rm -q --privileged=1".to_owned(), "privileged"),
        ("--new=true --privileged".to_owned(), "privileged"),
        ("--privileged --".to_owned(), "privileged"),
    ] {
        let text = format!("docker run {options} \\\n  datadog/agent:7 agent run -x --name y\n");
        let found = read(&text);
        let rules: Vec<&str> = found.findings.iter().map(|finding| finding.rule).collect();
        assert!(rules.contains(&rule), "{options}: {:?}", found.findings);
        // The image was found behind them, and nothing behind the image was read.
        assert!(!rules.contains(&"image-tag") && !found.rights.iter().any(|right| right.container == "y"), "{options}");
        let (after, left) = mended(text.as_bytes()).unwrap();
        let left: Vec<_> = left.findings.iter().filter(|finding| finding.rule == rule).collect();
        assert!(rule == "mount-unknown" || left.is_empty(), "{options}: {left:?}\n{after}");
        assert!(after.contains("datadog/agent:7 agent run -x --name y\n"), "{after}");
    }
    // Published ports of the proxy, and a user.
    let proxy =
        "docker run -p9803:9803 -u0 datadog/fips-proxy:1.1.29\ndocker run -u 7 -eDD_FIPS_ENABLED=1 datadog/agent:7\n";
    assert!(read(proxy).findings.iter().any(|finding| finding.rule == "fips-published"));
    let root = read("docker run -u0 datadog/agent:7\n");
    assert!(root.rights.iter().any(|right| right.right == "the user root"), "{:?}", root.rights);
    // Switches of the same word stay.
    let (after, _) = mended(format!("docker run -de DD_API_KEY={key} datadog/agent:7\n").as_bytes()).unwrap();
    assert!(after.starts_with("docker run -d -e DD_API_KEY "), "{after}");
    let mount = "docker run --mount type=tmpfs,target=/srv --mount type=volume,source=a,target=/a datadog/agent:7\n";
    assert!(
        !read(mount).findings.iter().any(|finding| finding.rule.starts_with("mount")),
        "{:?}",
        read(mount).findings
    );
}

/// Where docker's daemon maps user ids, it gives the host's process ids only together with the host's user ids.
#[test]
fn devices_and_the_hosts_names_are_rights() {
    let needless = |text: &str| named(text, "right-needless");
    let has = |what: &str| format!("a has {what}");
    assert_eq!(needless("docker run --name a --userns=host datadog/agent:7\n"), [has("the host's user ids")]);
    let cws =
        "docker run --name a --userns=host --pid host -e DD_RUNTIME_SECURITY_CONFIG_ENABLED=true datadog/agent:7\n";
    assert_eq!(needless(cws), [""; 0]);
    assert!(read(cws).rights.iter().any(|right| right.right == "the host's user ids"));
    let inspected = r#"[{"Name": "/a", "Config": {"Image": "datadog/agent:7"}, "HostConfig": {"UTSMode": "host", "UsernsMode": "host",
        "Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda"}], "DeviceCgroupRules": ["b 8:* rwm"]}}]"#;
    let mut found: Vec<String> =
        read(inspected).findings.into_iter().filter(|f| f.rule == "right-needless").map(|f| f.what).collect();
    found.sort();
    let all = ["the UTS namespace of the host", "the device /dev/sda", "the devices b 8:* rwm", "the host's user ids"];
    assert_eq!(found, all.map(has));
}

#[test]
fn an_option_that_nobody_knows_is_told_rather_than_taken_for_one_with_a_value() {
    for option in ["--brand-new", "-Z", "-dZ"] {
        let text = format!("# first\ndocker run {option} datadog/agent:latest\n");
        let why = review(text.as_bytes()).unwrap_err();
        assert_eq!(why.line, Some(2));
        assert!(why.why.contains(option), "{}", why.why);
    }
}
