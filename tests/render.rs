//! `ddinstall render` and `ddinstall review`: documents for containers are what others say they must be, the review
//! finds nothing in them, and finds and mends each fault that is planted.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ddinstall::render::{Options, TARGETS, Target, render};
use ddinstall::request::{Inputs, Request};
use ddinstall::review::{Level, review};

#[path = "render/faults.rs"]
mod faults;
#[path = "render/hostile.rs"]
mod hostile;
#[path = "render/pages.rs"]
mod pages;
#[path = "render/reading.rs"]
mod reading;
#[path = "render/readme.rs"]
mod readme;

const CLUSTER: &str = "ENC[k8s_secret@datadog/keys/api-key]";
const FILE: &str = "ENC[file@/run/secrets/api-key]";

fn request(variables: &[(&str, &str)]) -> Request {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let read: &dyn Fn(&str) -> Result<Vec<u8>, String> = &|_| Err("none".into());
    Request::new(Inputs { variables, flags: vec![], sets: vec![], file: None, read }).unwrap()
}

fn rendered(target: Target, variables: &[(&str, &str)]) -> String {
    render(&request(variables), target, &Options::default()).unwrap().text
}

/// Name of the target, variables, document.
type Combination = (&'static str, Vec<(&'static str, &'static str)>, String);

/// Every combination of what a document depends on that its platform has.
fn combinations() -> Vec<Combination> {
    let mut all = Vec::new();
    for (name, target) in TARGETS {
        for bits in 0..128_u32 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            let word = |bit| if on(bit) { "true" } else { "false" };
            let (fips, compliance) = (on(0), on(6));
            let impossible = target == Target::Beanstalk && fips || target == Target::EcsFargate && compliance;
            if impossible {
                continue;
            }
            let mut variables = vec![
                ("DD_FIPS_MODE", word(0)),
                ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", word(1)),
                ("DD_LOGS_ENABLED", word(2)),
                ("DD_APM_ENABLED", word(3)),
                ("DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED", word(4)),
                ("DD_COMPLIANCE_CONFIG_ENABLED", word(6)),
                ("DD_TAGS", "team:infra,tier:web"),
            ];
            if on(5) {
                let pod = matches!(target, Target::Helm | Target::Kubernetes);
                variables.push(("DD_API_KEY", if pod { CLUSTER } else { FILE }));
            }
            let text = rendered(target, &variables);
            all.push((name, variables, text));
        }
    }
    assert!(all.len() > 700, "{}", all.len());
    all
}

#[test]
fn the_review_finds_nothing_in_what_is_rendered() {
    for (name, variables, text) in combinations() {
        let review = review(text.as_bytes()).unwrap_or_else(|why| panic!("{name} {variables:?}: {why:?}\n{text}"));
        assert!(review.findings.is_empty(), "{name} {variables:?}: {:#?}\n{text}", review.findings);
        assert!(name == "helm" || name == "ecs-fargate" || review.rights.len() > 3, "{name}: {:?}", review.rights);
        assert!(review.rights.iter().all(|right| right.why.is_some() && right.line > 0), "{:?}", review.rights);
    }
}

#[test]
fn the_agent_with_fips_built_in_has_no_proxy_beside_it() {
    for (name, target) in TARGETS {
        let text = rendered(target, &[("DD_AGENT_FLAVOR", "datadog-fips-agent"), ("DD_SITE", "ddog-gov.com")]);
        let review = review(text.as_bytes()).unwrap();
        assert!(review.findings.is_empty(), "{name}: {:#?}", review.findings);
        let proxy = text.contains("fips-proxy") || text.contains("DD_FIPS");
        assert!(!proxy && (text.contains("agent:7-fips") || text.contains("useFIPSAgent: true")), "{name}: {text}");
    }
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    for (_, target) in TARGETS {
        let variables = [("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1"), ("DD_LOGS_ENABLED", "1")];
        assert_eq!(rendered(target, &variables), rendered(target, &variables));
    }
}

#[test]
fn a_key_never_stands_in_a_document() {
    let key = "0123456789abcdef0123456789abcdef";
    for (name, target) in TARGETS {
        let text = rendered(target, &[("DD_API_KEY", key)]);
        assert!(!text.contains(key), "{name}");
    }
    let secret = [("DD_APP_KEY", "another-secret-of-mine")];
    let error = render(&request(&secret), Target::Compose, &Options::default()).unwrap_err();
    assert!(error.what.contains("DD_APP_KEY") && !error.what.contains("another"), "{error}");
}

#[test]
fn what_a_platform_does_not_have_is_refused() {
    let refused = |target, variables: &[(&str, &str)]| {
        render(&request(variables), target, &Options::default()).unwrap_err().kind.exit_code()
    };
    assert_eq!(refused(Target::Beanstalk, &[("DD_FIPS_MODE", "1")]), 3);
    assert_eq!(refused(Target::EcsFargate, &[("DD_COMPLIANCE_CONFIG_ENABLED", "1")]), 3);
    assert_eq!(refused(Target::Docker, &[("DD_AGENT_FLAVOR", "datadog-iot-agent")]), 3);
    assert_eq!(refused(Target::Docker, &[("DD_AGENT_MINOR_VERSION", "58")]), 2);
    assert_eq!(refused(Target::Kubernetes, &[("DD_TAGS", "a b:c")]), 2);
}

/// Values that would mean more than themselves in YAML, JSON, a shell, Compose, Kubernetes or a template.
#[test]
fn hostile_values_stay_values() {
    let hostile = "a\"b'c\\d$(DD_API_KEY)${X}`id`;x: y # z{% raw %}|&*[]\u{2028}é";
    for (name, target) in TARGETS {
        let variables = [
            ("DD_ENV", hostile),
            ("DD_FIPS_MODE", if name == "beanstalk" { "0" } else { "1" }),
            ("DD_APM_ENABLED", "1"),
        ];
        let text = rendered(target, &variables);
        let found = review(text.as_bytes()).unwrap_or_else(|why| panic!("{name}: {why:?}\n{text}"));
        assert!(found.findings.is_empty(), "{name}: {:?}", found.findings);
        let read = match name {
            "docker" => {
                // A shell whose `docker` prints its arguments.
                let script = format!("docker() {{ printf '%s\\n' \"$@\"; }}\nDD_API_KEY=x\n{text}");
                let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
                String::from_utf8(output.stdout).unwrap().contains(&format!("\nDD_ENV={hostile}\n"))
            }
            _ => {
                let mut values = Vec::new();
                for document in serde_yaml::Deserializer::from_str(&text) {
                    let document = <serde_yaml::Value as serde::Deserialize>::deserialize(document).unwrap();
                    strings(&document, &mut values);
                }
                let expected = match name {
                    "compose" => hostile.replace('$', "$$"),
                    "kubernetes" | "helm" => hostile.replace("$(", "$$("),
                    _ => hostile.to_owned(),
                };
                values.contains(&expected)
            }
        };
        assert!(read, "{name}:\n{text}");
    }
    for option in ["--registry", "--namespace", "--secret"] {
        let output = run(&["render", "kubernetes", &format!("{option}=a\nb: c")], &[]);
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
}

fn strings(value: &serde_yaml::Value, into: &mut Vec<String>) {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::String(text) => into.push(text.clone()),
        Yaml::Sequence(items) => items.iter().for_each(|item| strings(item, into)),
        Yaml::Mapping(entries) => entries.iter().for_each(|(_, value)| strings(value, into)),
        _ => {}
    }
}

/// The real binary, with nothing in its environment but this.
fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ddinstall"));
    command.args(args).env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn flags_variables_and_a_file_say_what_is_rendered() {
    let folder = folder("render-inputs");
    let file = folder.join("install.yaml");
    std::fs::write(&file, "fips_mode: true\ntags: [a:b]\nset:\n  datadog:\n    logs_config.batch_wait: 7\n").unwrap();
    let args =
        ["render", "compose", "--file", file.to_str().unwrap(), "--logs-enabled", "--registry", "mirror.internal/dd"];
    let output = run(&args, &[("DD_ENV", "prod")]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "DD_FIPS_ENABLED: \"true\"",
        "DD_TAGS: \"a:b\"",
        "DD_LOGS_CONFIG_BATCH_WAIT: \"7\"",
        "DD_LOGS_ENABLED: \"true\"",
        "DD_ENV: \"prod\"",
        "mirror.internal/dd/fips-proxy:",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(String::from_utf8(output.stderr).unwrap().contains("note: "));
    // What only the host has is not needed.
    let absent = run(&["render", "docker", "--api-key-file", "/nowhere", "--ca-file", "/nowhere"], &[]);
    assert_eq!(absent.status.code(), Some(0), "{}", String::from_utf8_lossy(&absent.stderr));
    assert!(!String::from_utf8_lossy(&absent.stdout).contains("0000"));
    let json = run(&["render", "helm", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["target"], "helm");
    assert!(json["document"].as_str().unwrap().contains("datadog:"));
    assert_eq!(run(&["render", "helm", "--site", "x y"], &[]).status.code(), Some(2));
}

/// The document, and what was said beside it.
fn said(args: &[&str]) -> (String, String) {
    let output = run(&[&["render"], args].concat(), &[]);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn each_container_of_a_pod_is_told_what_all_read() {
    let asked = ["kubernetes", "--runtime-security-config-enabled", "--proxy-https", "http://proxy.corp:3128"];
    let more = ["--env", "prod", "--min-tls-version", "tlsv1.3", "--tags", "a:b", "--proxy-http", "ENC[x]"];
    let set = ["--skip-ssl-validation", "--set", "datadog:apm_config.max_traces_per_second=5"];
    let own = ["--set", "system-probe:network_config.enabled=true"];
    let (text, notes) = said(&[&asked[..], &more, &set, &own].concat());
    assert!(review(text.as_bytes()).unwrap().findings.is_empty() && !notes.contains("left out"), "{notes}");
    let (_, pod) = text.split_once("\n      containers:\n").unwrap();
    let containers: Vec<&str> = pod.split("\n        - name: ").collect();
    for container in &containers[..4] {
        let has = |name: &str| container.contains(&format!("- name: DD_{name}\n"));
        for name in
            ["PROXY_HTTPS", "ENV", "MIN_TLS_VERSION", "TAGS", "SKIP_SSL_VALIDATION", "APM_MAX_TRACES_PER_SECOND"]
        {
            assert!(has(name), "{name}: {container}");
        }
        let probe = container.contains("embedded/bin/system-probe");
        assert_eq!((has("NETWORK_CONFIG_ENABLED"), has("PROXY_HTTP")), (probe, !probe), "{container}");
    }
    // The chart gives system-probe what it gives all.
    let (text, _) = said(&[&["helm"], &asked[1..], &more, &set, &own].concat());
    for name in ["PROXY_HTTPS", "ENV", "MIN_TLS_VERSION", "NETWORK_CONFIG_ENABLED"] {
        assert_eq!(
            text.matches(&format!("- name: DD_{name}\n")).count()
                + text.matches(&format!("- name: DD_{name} #")).count(),
            1,
            "{name}: {text}"
        );
    }
}

#[test]
fn the_chart_is_told_what_was_asked_of_cws() {
    let cws = ["helm", "--runtime-security-config-enabled"];
    let (plain, _) = said(&cws);
    for (flag, lines) in [
        ("--runtime-security-config-direct-send", "      directSendFromSystemProbe: true\n"),
        (
            "--runtime-security-config-activity-dump-enabled=false",
            "      activityDump:\n        # Asked for.\n        enabled: false\n",
        ),
        ("--discovery-enabled=false", "  discovery:\n    enabled: false\n"),
        ("--discovery-enabled", "  discovery:\n    enabled: true\n"),
    ] {
        let (text, notes) = said(&[&cws[..], &[flag]].concat());
        assert!(text.contains(lines) && !plain.contains(lines) && !notes.contains("left out"), "{flag}: {notes}{text}");
        assert!(review(text.as_bytes()).unwrap().findings.is_empty(), "{flag}");
    }
    let (text, _) = said(&[&cws[..], &["--set", "system-probe:runtime_security_config.fim_enabled=true"]].concat());
    assert!(text.contains("- name: DD_RUNTIME_SECURITY_CONFIG_FIM_ENABLED #"), "{text}");
    let (text, notes) = said(&["helm", "--discovery-enabled=false"]);
    assert!(text.contains("  discovery:\n    enabled: false\n") && !notes.contains("left out"), "{notes}{text}");
}

#[test]
fn what_nothing_takes_is_told() {
    let asked = ["--system-probe-service-monitoring-enabled", "--privileged-logs-enabled"];
    let set = ["--set", "system-probe:network_config.enabled=true", "--fips-proxy-version", "1.1.7"];
    let all = [&asked[..], &set].concat();
    for (target, of_pods) in [("kubernetes", true), ("helm", true), ("compose", false), ("ecs-ec2", false)] {
        let (_, notes) = said(&[&[target], &all[..]].concat());
        for name in [
            "DD_SYSTEM_PROBE_SERVICE_MONITORING_ENABLED",
            "DD_PRIVILEGED_LOGS_ENABLED",
            "--set system-probe:network_config.enabled",
        ] {
            let note = format!(
                "note: {name} is left out: nothing here takes what is for system-probe without DD_RUNTIME_SECURITY_CONFIG_ENABLED\n"
            );
            assert_eq!(notes.contains(&note), of_pods, "{target} {name}: {notes}");
        }
        let proxy = "DD_FIPS_PROXY_VERSION is left out: there is no FIPS proxy without DD_FIPS_MODE\n";
        assert!(notes.contains(proxy), "{target}: {notes}");
        let (_, notes) = said(&[&[target, "--runtime-security-config-enabled", "--fips-mode"], &all[..]].concat());
        assert!(!notes.contains("left out"), "{target}: {notes}");
    }
}

#[test]
fn a_feature_is_explained_from_the_table() {
    let output = run(&["review", "--explain", "cws"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("capability SYS_PTRACE") && text.contains("source: "), "{text}");
    assert_eq!(run(&["review", "--explain", "nothing"], &[]).status.code(), Some(2));
}

/// Made once below target/, with the versions of tests/render/requirements.txt.
fn validators() -> PathBuf {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/requirements.txt");
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/render-validators");
    let wanted = std::fs::read_to_string(&list).unwrap();
    let python = place.join("bin/python3");
    if std::fs::read_to_string(place.join("made")).is_ok_and(|made| made == wanted) {
        return python;
    }
    let ran = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let _ = std::fs::remove_dir_all(&place);
    ran(Command::new("python3").args(["-m", "venv"]).arg(&place));
    let pip = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-compile", "--requirement"];
    ran(Command::new(&python).args(pip).arg(&list));
    std::fs::write(place.join("made"), wanted).unwrap();
    python
}

#[test]
fn documents_are_what_others_say_they_must_be() {
    let folder = folder("render-documents");
    // Each validator's schema takes milliseconds to seconds; every eighth combination has each setting both ways.
    for (number, (name, _, text)) in combinations().into_iter().enumerate() {
        if number % 9 == 0 || name != "kubernetes" {
            std::fs::write(folder.join(format!("{name}.{number}")), text).unwrap();
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/validate.py");
    let output = Command::new(validators()).arg(script).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(TARGETS.iter().all(|(name, _)| said.contains(name)), "{said}");
    println!("{said}");
}

#[test]
fn no_level_of_a_rendered_document_is_an_error() {
    let text = rendered(Target::Kubernetes, &[("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1")]);
    let review = review(text.as_bytes()).unwrap();
    assert!(review.findings.iter().all(|finding| finding.level < Level::Error));
    assert_eq!(review.standings[0].level, "privileged");
    assert!(review.standings[0].against.contains(&"hostPID".to_owned()), "{:?}", review.standings);
}
