//! A fresh host becomes FIPS and CWS by one command.

use super::common::*;
use crate::lab::{Host, KEY, Repo, Suite};

pub(super) fn becomes_fips_and_cws(suite: Suite, repo: Repo) {
    let host = Host::fresh(suite).repo(repo).boot();
    host.install().exits(0).says("The FIPS proxy listens on ports 9803-9818").says("(CWS) is on");
    host.verify().exits(0);

    let version = if repo == Repo::Good { "1:7.78.1-1" } else { "1:7.58.2-1" };
    assert_eq!(host.installed("datadog-agent").as_deref(), Some(version));
    let ports = host.sh("ss -Hltnp | grep haproxy | grep -oE ':98(0[3-9]|1[0-8]) ' | sort -u | wc -l");
    assert_eq!(ports, "16");
    for unit in UNITS {
        assert!(host.holds(&format!("systemctl is-active {unit} && systemctl is-enabled datadog-agent")), "{unit}");
        assert_eq!(host.starts(unit), 1, "{unit}");
    }
    assert!(host.sh("id -nG dd-agent").split(' ').any(|group| group == "systemd-journal"));
    host.wait_until("grep -q 'Successfully posted payload (202)' /var/log/datadog/agent.log");
    let post = host.first_request("metrics.agent.ddog-gov.com");
    assert!(post.starts_with("POST /intake/ 202 key=given"), "{post}");
    let hosts = host.all_requests();
    let foreign = |line: &&String| {
        !["ddog-gov.com ", "datadoghq.com GET ", "datadoghq.com HEAD "].iter().any(|name| line.contains(name))
    };
    assert!(!hosts.iter().any(|line| foreign(&line)), "{hosts:#?}");
    assert!(host.requests("keys.datadoghq.com").iter().all(|line| line.contains("key=none")));
    assert!(host.requests(suite.repository_host()).iter().all(|line| line.contains("key=none")));

    the_files_say_what_was_asked(&host);
    the_files_carry_every_comment_of_their_examples(&host);
    owners_and_modes_are_right(&host);
}

fn the_files_say_what_was_asked(host: &Host) {
    let datadog = host.yaml(DATADOG);
    assert_eq!(datadog["api_key"], KEY);
    assert_eq!(datadog["site"], "ddog-gov.com");
    assert_eq!(datadog["logs_enabled"], true);
    assert_eq!(datadog["fips"]["enabled"], true);
    assert_eq!(datadog["fips"]["https"], false);
    assert_eq!(datadog["fips"]["port_range_start"], 9803);
    assert_eq!(datadog["agent_telemetry"]["enabled"], false);
    assert_eq!(datadog.as_mapping().expect("a mapping").len(), 5);
    let sysprobe = host.yaml(SYSPROBE);
    assert_eq!(sysprobe["runtime_security_config"]["enabled"], true);
    assert_eq!(sysprobe["runtime_security_config"]["activity_dump"]["enabled"], false);
    assert_eq!(host.yaml(SECURITY)["runtime_security_config"]["enabled"], true);
    let source = &host.yaml(PROXY_LOGS)["logs"][0];
    assert_eq!((&source["type"], &source["source"]), (&"journald".into(), &"datadog-fips-proxy".into()));
    assert_eq!(source["include_units"][0], "datadog-fips-proxy.service");
    assert_eq!(host.bytes(PROXY_CFG), host.bytes(&format!("{PROXY_CFG}.example")));
    assert!(host.read("/etc/datadog-agent/install_info").contains("ddinstall"));
}

/// Only lines that held a setting, commented out, may differ from the example: they are the live ones now.
fn the_files_carry_every_comment_of_their_examples(host: &Host) {
    const SETTINGS: [&str; 11] = [
        "api_key:",
        "site:",
        "fips:",
        "enabled:",
        "port_range_start:",
        "https:",
        "logs_enabled:",
        "agent_telemetry:",
        "runtime_security_config:",
        "activity_dump:",
        "discovery:",
    ];
    for file in [DATADOG, SYSPROBE, SECURITY] {
        let example = host.bytes(&format!("{file}.example"));
        let lines = git_diff(&example, &host.bytes(file));
        for line in &lines {
            let setting = line[1..].trim_start_matches(['#', ' ']);
            assert!(SETTINGS.iter().any(|s| setting.starts_with(s)), "{file}: {line}\n{lines:#?}");
            assert!(line.starts_with('-') || !line[1..].trim_start().starts_with('#'), "{file}: {line}");
        }
        let (taken, given) = (lines.iter().filter(|l| l.starts_with('-')), lines.iter().filter(|l| l.starts_with('+')));
        assert!(taken.count() <= given.count(), "{file}: {lines:#?}");
        let comments = String::from_utf8(example).expect("text").lines().filter(|l| is_prose(l)).count();
        let kept = host.read(file).lines().filter(|l| is_prose(l)).count();
        assert_eq!(comments, kept, "{file}");
        assert!(comments > 5, "{file}: {comments}");
    }
    assert!(host.bytes(DATADOG).len() > 150_000, "the example has its real size");
}

/// A comment for people: a sentence, a rule, a `@param`.
fn is_prose(line: &str) -> bool {
    line.starts_with("##") || line.contains("@param") || line.contains("@env")
}

fn owners_and_modes_are_right(host: &Host) {
    let rights = |path| (host.owner(path), host.mode(path));
    let [entry, keyring] = host.suite().repository_files();
    for (path, owner, mode) in [
        (DATADOG, "dd-agent:dd-agent", 0o640),
        (SYSPROBE, "root:dd-agent", 0o640),
        (SECURITY, "root:dd-agent", 0o640),
        (PROXY_CFG, "dd-agent:dd-agent", 0o640),
        (PROXY_LOGS, "dd-agent:dd-agent", 0o640),
        (entry, "root:root", 0o644),
        (keyring, "root:root", 0o644),
        ("/var/lib/ddinstall", "root:root", 0o700),
        ("/var/lib/ddinstall/receipt.json", "root:root", 0o600),
        ("/var/lib/ddinstall/proof.json", "root:root", 0o600),
        ("/var/log/ddinstall", "root:root", 0o700),
    ] {
        assert_eq!(rights(path), (owner.to_owned(), mode), "{path}");
    }
    let list = host.read(entry);
    assert!(list.contains(keyring), "{list}");
}

#[test]
fn bullseye_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::Bullseye, Repo::Good);
}

#[test]
fn bookworm_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::Bookworm, Repo::Good);
}

#[test]
fn trixie_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::Trixie, Repo::Good);
}

#[test]
fn an_agent_with_the_classic_examples_becomes_fips_and_cws() {
    becomes_fips_and_cws(Suite::Bookworm, Repo::Classic);
}

#[test]
fn the_key_may_come_by_standard_input() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let run = host.asked(&["install", "--api-key-file", "-"]).env("DD_API_KEY", "").stdin(format!("{KEY}\n")).run();
    run.exits(0);
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY);
}

#[test]
fn the_result_is_one_json_document() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let run = host.asked(&["install", "--format", "json"]).run().exits(0);
    let json = run.json();
    assert_eq!((&json["changed"], &json["verify"]["status"]), (&true.into(), &"warn".into()), "{run}");
    assert!(json["steps"].as_array().is_some_and(|steps| steps.len() > 8), "{run}");
    assert!(json.get("error").is_none(), "{run}");
    let json = host.asked(&["install", "--format", "json"]).env("DD_SITE", "datadoghq.eu").run().exits(2).json();
    assert!(json["error"]["hint"].is_string() && json["changed"] == false, "{json:#}");
}
