//! A host with an Agent of its own becomes FIPS and CWS, and keeps every line that has nothing to do with it.

use super::common::*;
use crate::lab::{Host, Suite};

const OLD_KEY: &str = "0ddba11cafe5ca1ab1edecafbadc0ffee";

const OPERATORS: &str = "\
# Managed by hand since 2019. Ask Jo before you change it!
api_key: 0ddba11cafe5ca1ab1edecafbadc0ffee   # of the old organisation
site: datadoghq.com
dd_url: https://gateway.example.org

tags:   [ 'team:infra',  \"tier:web\" ]   # odd spacing, and ours
proxy:
    https: http://proxy.example.org:3128
    no_proxy:
        - 169.254.169.254

process_config:
  process_collection:
    enabled: true # we want it
logs_enabled: true
# the end
";

const SYSTEM_PROBE: &str = "\
# CWS was tried in spring.
runtime_security_config.enabled: true
network_config:
  enabled: false  # too loud
";

const SECURITY_AGENT: &str = "# Written on a desktop.\r\nruntime_security_config:\r\n  enabled: false\r\n  # socket: default\r\ncompliance_config:\r\n  enabled: false\r\n";

fn host(suite: Suite) -> Host {
    let host = Host::fresh(suite)
        .with_agent("7.58.2")
        .file(DATADOG, OPERATORS, "dd-agent:dd-agent", 0o640)
        .file(SYSPROBE, SYSTEM_PROBE, "root:dd-agent", 0o640)
        .file(SECURITY, SECURITY_AGENT, "root:dd-agent", 0o640)
        .boot();
    host.wait_until("systemctl is-active datadog-agent");
    host
}

pub(super) fn it_keeps_every_line_of_its_operator(suite: Suite) {
    let host = host(suite);
    let (agent, sysprobe) = (host.starts("datadog-agent"), host.starts("datadog-agent-sysprobe"));
    let run = host.install().exits(0);
    host.verify().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));

    let key = crate::lab::KEY;
    let datadog = git_diff(OPERATORS.as_bytes(), &host.bytes(DATADOG));
    assert_eq!(
        datadog,
        [
            "-api_key: 0ddba11cafe5ca1ab1edecafbadc0ffee   # of the old organisation",
            "-site: datadoghq.com",
            &format!("+api_key: \"{key}\"   # of the old organisation"),
            "+site: ddog-gov.com",
            "+fips:",
            "+  enabled: true",
            "+  port_range_start: 9803",
            "+  https: false",
            "+agent_telemetry:",
            "+  enabled: false",
        ]
    );
    assert_eq!(
        git_diff(SYSTEM_PROBE.as_bytes(), &host.bytes(SYSPROBE)),
        [
            "-runtime_security_config.enabled: true",
            "+runtime_security_config:",
            "+  enabled: true",
            "+  activity_dump:",
            "+    enabled: false",
            "+discovery:",
            "+  enabled: false",
        ]
    );
    assert_eq!(
        git_diff(SECURITY_AGENT.as_bytes(), &host.bytes(SECURITY)),
        ["-  enabled: false\r", "+  enabled: true\r"]
    );
    for ineffective in ["line 4: dd_url has no effect", "line 7: proxy has no effect"] {
        assert!(run.stdout.contains(ineffective), "{ineffective}\n{run}");
    }
    // One restart each at most.
    assert_eq!(host.starts("datadog-agent"), agent + 1);
    assert!(host.starts("datadog-agent-sysprobe") <= sysprobe + 1);
    assert_eq!(host.starts("datadog-fips-proxy"), 1);

    let tree = host.quiet_tree();
    let run = host.install().exits(0).says("Nothing to do");
    host.changed_nothing_since(&tree);
    assert!(run.stdout.contains("dd_url has no effect"), "{run}");
    assert!(!run.stdout.contains(OLD_KEY), "{run}");
}

#[test]
fn bookworm_keeps_every_line_of_its_operator() {
    it_keeps_every_line_of_its_operator(Suite::Bookworm);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn bullseye_keeps_every_line_of_its_operator() {
    it_keeps_every_line_of_its_operator(Suite::Bullseye);
}

#[test]
fn the_whole_example_with_settings_of_its_own_is_changed_in_place() {
    let host = Host::fresh(Suite::Trixie).with_agent("7.58.2").boot();
    let before = host.read(DATADOG).replace("\n# site: datadoghq.com\n", "\nsite: datadoghq.com\n");
    let before = before + "\nlogs_enabled: false\n";
    host.write(DATADOG, &before, "dd-agent:dd-agent", 0o640);
    let run = host.install().exits(0);
    // The operator's explicit choice stays, and is told.
    assert!(run.stdout.contains("logs_enabled: false"), "{run}");
    assert_eq!(host.yaml(DATADOG)["logs_enabled"], false);
    let diff = git_diff(before.as_bytes(), &host.bytes(DATADOG));
    let shown = diff.join("\n");
    assert!((8..=14).contains(&diff.len()), "{shown}");
    for line in &diff {
        let setting = line[1..].trim_start_matches(['#', ' ']);
        let ours = ["site:", "fips:", "enabled:", "port_range_start:", "https:", "agent_telemetry:"];
        assert!(ours.iter().any(|s| setting.starts_with(s)), "{shown}");
    }
    host.verify().exits(0);
}

#[test]
fn an_older_agent_moves_to_the_newest_only_when_asked_to() {
    let host = Host::fresh(Suite::Bookworm).with_agent("7.44.1").boot();
    host.install().exits(0).says("7.45");
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.44.1-1"));
    host.asked(&["install", "--upgrade"]).run().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
    host.verify().exits(0);
}

#[test]
fn an_agent_that_is_too_old_for_fips_is_named() {
    let host = Host::fresh(Suite::Bookworm).with_agent("7.40.1").boot();
    let tree = host.quiet_tree();
    host.install().exits(4).says("7.41").says("--upgrade");
    // apt makes files in /tmp and removes them.
    let changes = host.quiet_tree().without(&["/tmp/none"]).changes_since(&tree.without(&["/tmp/none"]));
    assert!(changes.is_empty(), "{changes:#?}");
    host.asked(&["install", "--upgrade"]).run().exits(0);
    host.verify().exits(0);
}
