//! How documents are read: what decides where a file and a variable differ, what a text is, and how a command is split.

use ddinstall::review::{Review, review};

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

/// What the chart turns on by itself and would go past the proxy: the values that helm-values.txt marks.
#[test]
fn what_the_chart_has_on_by_default_is_asked_for() {
    let list = include_str!("helm-values.txt");
    let marked: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(" bool on")).collect();
    assert_eq!(marked.len(), 5, "{marked:?}");
    let least = "fips: {enabled: true}\ndatadog: {securityAgent: {runtime: {enabled: true}}}\n";
    let places = |text: &str, rule: &str| -> Vec<String> {
        let found = read(text).findings;
        found.iter().filter(|f| f.rule == rule).map(|f| f.at[1..].replace('/', ".")).collect()
    };
    let mut found = places(least, "fips-bypass-default");
    found.sort();
    let mut expected = marked.clone();
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
    // Either of the two turns it off.
    for off in ["remoteConfiguration: {enabled: false}", "datadog: {remoteConfiguration: {enabled: false}}"] {
        let text = format!("fips: {{enabled: true}}\n{off}\n");
        assert!(!places(&text, "fips-bypass-default").iter().any(|at| at.contains("remote")), "{off}");
    }
}
