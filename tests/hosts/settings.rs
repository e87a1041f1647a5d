//! Settings on real hosts: each one that lands in a file is read back from it by another YAML reader, and the
//! file passes yamllint. Hostile values reach the file as they are, and reach no shell.

use std::io::Write;
use std::process::{Command, Stdio};

use ddinstall::settings::{File, Fixed, Setting, TABLE, Type};
use serde_yaml::Value;

use crate::lab::{Host, KEY, Suite, fingerprint};

const FILES: [File; 3] = [File::Datadog, File::SystemProbe, File::SecurityAgent];

/// The relaxed rules as they are: the examples' long lines are warnings in it, and nothing else is let through.
const RULES: &str = "relaxed";

/// A value, as `--file` takes it.
fn sample(setting: &Setting) -> String {
    match setting.kind {
        Type::Bool | Type::Switch | Type::OnlyOn(_) => "true".into(),
        Type::Site => "ddog-gov.com".into(),
        Type::Url => "http://user:p%20w@proxy.example.org:3128/#x".into(),
        Type::Choice(words) => words[0].into(),
        Type::List => "['team:infra', 'a: b #c', 'on', \"it's\"]".into(),
        Type::Hosts => "[a.example.org, 10.0.0.0/8]".into(),
        Type::Secret => "'0123: #''\"x'".into(),
        _ => "'null'".into(),
    }
}

fn lint(name: &str, text: &str) {
    let mut child = Command::new("yamllint")
        .args(["-d", RULES, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("yamllint, of the package of that name");
    let mut stdin = child.stdin.take().expect("stdin");
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("yamllint");
    writer.join().expect("writer").expect("yamllint reads");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {said}");
}

/// What stands at a path, dotted keys or not.
fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, key| value.get(key))
}

fn read(host: &Host, file: File) -> Value {
    serde_yaml::from_str(&host.read(file.path())).unwrap_or_else(|e| panic!("{}: {e}", file.path()))
}

fn every_setting_is_read_back(version: &str) {
    let host = Host::fresh(Suite::Bookworm).with_agent(version).boot();
    host.sh("systemctl stop datadog-agent; cp -a /etc/datadog-agent /etc/before");
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("a version");
    let mut seen = 0;
    for setting in TABLE.iter().filter(|s| !s.lands.is_empty() || !s.also.is_empty()) {
        // A secret backend has values of its own: secret_backend.rs and tests/settings_plan.rs.
        if setting.key.starts_with("secret_backend_") {
            continue;
        }
        // Its package is not among the stand-ins.
        if setting.key == "otelcollector_enabled" || setting.since.is_some_and(|(_, first)| minor < first) {
            continue;
        }
        let mut text = format!("{}: {}\n", setting.key, sample(setting));
        if setting.key == "fips_mode" {
            text.push_str("site: ddog-gov.com\n");
        }
        host.write("/root/install.yaml", &text, "root:root", 0o600);
        let install = || {
            let run = host.ddinstall(&["install", "--install-only", "--file", "/root/install.yaml"]);
            run.env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run().exits(0)
        };
        install();
        let given: Value = serde_yaml::from_str(&text).expect("the sample");
        let given = &given[setting.key];
        for (file, path) in setting.lands {
            assert_eq!(at(&read(&host, *file), path), Some(given), "{}: {path}", setting.key);
        }
        for (file, path, fixed) in setting.also {
            let document = read(&host, *file);
            let found = at(&document, path).unwrap_or_else(|| panic!("{}: no {path}", setting.key));
            let holds = match fixed {
                Fixed::Bool(on) => found.as_bool() == Some(*on),
                Fixed::Int(number) => found.as_i64() == Some(*number),
                Fixed::Item(item) => found.as_sequence().is_some_and(|items| items.contains(&Value::from(*item))),
            };
            assert!(holds, "{}: {path}: {found:?}", setting.key);
        }
        for file in FILES.into_iter().filter(|file| host.exists(file.path())) {
            lint(&format!("{} for {}", file.path(), setting.key), &host.read(file.path()));
        }
        install().says("Nothing to do");
        host.sh("rm -rf /etc/datadog-agent && cp -a /etc/before /etc/datadog-agent && rm -rf /var/lib/ddinstall");
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn every_setting_is_read_back_from_the_new_examples() {
    every_setting_is_read_back("7.78.1");
}

#[test]
fn every_setting_is_read_back_from_the_classic_examples() {
    every_setting_is_read_back("7.58.2");
}

#[test]
fn hostile_values_reach_the_file_and_no_shell() {
    let hostile = r#"a/b&c'd"e\f#g: h $(touch /tmp/pwned) `touch /tmp/pwned` %s %n ; touch /tmp/pwned | x #y"#;
    let url = "https://example.org/&'\"\\#:$(touch${IFS}/tmp/pwned)`id`%s%n";
    let host = Host::fresh(Suite::Bookworm).with_agent("7.58.2").boot();
    let tags = format!("{hostile},on,0123,1e3,null,=,<<,12:30:45,🙂");
    let command = || {
        host.ddinstall(&["install", "--install-only", "--set", "datadog:log_payloads='yes'"])
            .env("DD_API_KEY", hostile)
            .env("DD_HOSTNAME", hostile)
            .env("DD_ENV", hostile)
            .env("DD_TAGS", &tags)
            .env("DD_URL", url)
    };
    let (run, sample) = host.sampling(|| command().run().exits(0));
    assert!(sample.in_arguments("pwned").is_empty(), "{sample:?}");
    assert!(!host.exists("/tmp/pwned"));
    assert!(!run.stdout.contains(hostile) || !run.stdout.contains(&format!("api_key: {hostile}")), "{run}");
    let document = read(&host, File::Datadog);
    for path in ["api_key", "hostname", "env"] {
        assert_eq!(at(&document, path).and_then(Value::as_str), Some(hostile), "{path}");
    }
    assert_eq!(at(&document, "dd_url").and_then(Value::as_str), Some(url));
    assert_eq!(at(&document, "log_payloads").and_then(Value::as_str), Some("yes"));
    let found: Vec<&str> = document["tags"].as_sequence().expect("tags").iter().filter_map(Value::as_str).collect();
    assert_eq!(found, tags.split(',').collect::<Vec<_>>());
    lint("datadog.yaml", &host.read(File::Datadog.path()));
    command().run().exits(0).says("Nothing to do");
    // A line break would be more than the value: refused, and nothing is changed.
    for name in ["DD_API_KEY", "DD_HOSTNAME", "DD_ENV", "DD_TAGS", "DD_URL", "DD_SITE"] {
        let run = host.ddinstall(&["install", "--install-only"]).env(name, "https://a\nfips: {enabled: false}").run();
        run.exits(2).says(name);
    }
    let tree = host.read(File::Datadog.path());
    assert_eq!(serde_yaml::from_str::<Value>(&tree).expect("YAML"), document);
}

#[test]
fn config_set_keeps_owner_and_mode_and_follows_no_link() {
    let host = Host::fresh(Suite::Bookworm).with_agent("7.58.2").boot();
    let path = File::Datadog.path();
    host.ddinstall(&["config", "set", path, "fips.enabled=true", "tags=[a:b, 'on']", "--diff"])
        .run()
        .exits(0)
        .says("+fips:")
        .says("fips.enabled: true (was unset)");
    assert_eq!((host.owner(path).as_str(), host.mode(path)), ("dd-agent:dd-agent", 0o640));
    host.ddinstall(&["config", "get", path, "fips.enabled"]).run().exits(0).says("true");
    let before = host.quiet_tree();
    host.ddinstall(&["config", "set", path, "fips.enabled=true"]).run().exits(0).says("says so already");
    host.ddinstall(&["config", "set", path, "env=x", "--dry-run"]).run().exits(0).says("would change");
    host.changed_nothing_since(&before);
    // Every user can read arguments.
    host.ddinstall(&["config", "set", path, &format!("app_key={KEY}"), "--diff"])
        .run()
        .exits(2)
        .says("app_key is a secret");
    host.changed_nothing_since(&before);
    let run = host.ddinstall(&["config", "set", path, "app_key=-", "--diff"]).stdin(format!("{KEY}\n")).run().exits(0);
    assert!(!run.stdout.contains(KEY), "{run}");
    assert_eq!(host.yaml(path)["app_key"], KEY);
    // dd-agent owns the folder: it may plant a link there.
    host.sh("echo 'a: 1' > /etc/victim.yaml; ln -s /etc/victim.yaml /etc/datadog-agent/link.yaml; chown -h dd-agent: /etc/datadog-agent/link.yaml");
    let run = host.ddinstall(&["config", "set", "/etc/datadog-agent/link.yaml", "a=2"]).run();
    assert_ne!(run.status, Some(0), "{run}");
    assert_eq!(host.read("/etc/victim.yaml"), "a: 1\n");
}

#[test]
fn without_an_agent_the_repository_and_the_configuration_are_there() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let install = || {
        let run = host.ddinstall(&["install", "--no-agent-install", "--tags", "a:b"]).env("DD_API_KEY", KEY);
        run.env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run().exits(0)
    };
    install();
    let path = File::Datadog.path();
    assert_eq!((host.owner(path).as_str(), host.mode(path)), ("root:root", 0o600));
    assert!(host.exists("/etc/apt/sources.list.d/datadog.list") && !host.exists("/usr/bin/datadog-agent"));
    install().says("Nothing to do");
    // The Agent that is installed later takes them over.
    let later = host.ddinstall(&["install"]).env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run().exits(0);
    assert!(host.read(path).contains("- a:b"), "{later}");
}
