//! `verify` names what is not as it should be, and `install` mends what it can.

use super::common::*;
use crate::lab::{Host, Suite};

/// Not proven before, mended by one more run, proven after.
#[track_caller]
fn mends(host: &Host, check: &str) {
    host.verify().fails(check);
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
#[ignore = "doctor's broken hosts are mended by the same plan: --long"]
fn what_is_broken_is_named_and_mended() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.verify().exits(0);

    host.sh("systemctl stop datadog-fips-proxy");
    host.verify().fails("proxy.ports");
    mends(&host, "unit.datadog-fips-proxy");

    host.sh("systemctl stop datadog-agent");
    mends(&host, "unit.datadog-agent");

    host.sh("systemctl stop datadog-agent-sysprobe");
    mends(&host, "unit.datadog-agent-sysprobe");

    let edited = host.read(DATADOG).replace("\nfips:\n", "\nfips: # edited by Jo\n");
    let at = edited.find("\nfips: # edited by Jo").unwrap();
    let edited = format!("{}{}", &edited[..at], edited[at..].replacen("  enabled: true", "  enabled: false", 1));
    host.write(DATADOG, &edited, "dd-agent:dd-agent", 0o640);
    mends(&host, "config.datadog.yaml.fips.enabled");
    assert_eq!(git_diff(edited.as_bytes(), &host.bytes(DATADOG)), ["-  enabled: false", "+  enabled: true"]);

    host.sh("gpasswd -d dd-agent systemd-journal");
    mends(&host, "journald.group");

    host.sh("rm /etc/datadog-agent/conf.d/fips_proxy.d/conf.yaml");
    mends(&host, "file.fips_proxy.d.conf.yaml");

    host.write("/etc/datadog-agent/environment", "DD_FIPS_ENABLED=false\n", "dd-agent:dd-agent", 0o640);
    host.verify().fails("bypass.environment");
    host.sh("rm /etc/datadog-agent/environment");
    host.verify().exits(0);
}

#[test]
fn a_loosened_mode_is_mended_without_a_restart() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let units = host.invocation_ids();
    for file in [DATADOG, PROXY_CFG, SYSPROBE] {
        host.sh(&format!("chmod 0644 {file}"));
        mends(&host, &format!("mode.{}", file.rsplit('/').next().unwrap()));
        assert_eq!(host.mode(file), 0o640);
    }
    assert_eq!(host.invocation_ids(), units);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_port_that_was_taken_over_is_named_with_its_holder() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.sh(&format!("systemctl stop datadog-fips-proxy; {SQUATTER}"));
    host.wait_until("ss -Hltn | grep -q :9804");
    host.command(&["systemctl", "start", "datadog-fips-proxy"]).run();
    let run = host.verify().fails("proxy.ports");
    assert!(run.stdout.contains("9804 is held by perl"), "{run}");
    host.install().exits(4).says("9804").says("perl");
    host.sh("systemctl stop squatter datadog-fips-proxy");
    mends(&host, "proxy.ports");

    // The proxy holds all its ports, and somebody else one of them on another address.
    host.sh(&SQUATTER.replace("LocalPort => 9804", "LocalPort => 9804, LocalAddr => \"127.0.0.3\""));
    host.wait_until("ss -Hltn | grep -q 127.0.0.3:9804");
    let run = host.verify().fails("proxy.ports");
    assert!(run.stdout.contains("9804 is held by perl"), "{run}");
}

#[test]
fn a_proxy_that_runs_and_does_not_listen_is_restarted() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let program = "/opt/datadog-fips-proxy/embedded/sbin/haproxy";
    host.sh(&format!(
        "mv {program} {program}.real
         printf '#!/bin/sh\\nmkdir /tmp/once 2>/dev/null && exec sleep 600\\nexec {program}.real \"$@\"\\n' > {program}
         chmod 755 {program}; systemctl restart datadog-fips-proxy"
    ));
    mends(&host, "proxy.ports");
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_intake_that_is_away_is_named() {
    let host = Host::fresh(Suite::Trixie).boot();
    host.install().exits(0);
    host.intake_down();
    let run = host.verify().fails("proxy.intake");
    assert!(run.stdout.contains("503"), "{run}");
    host.intake_up();
    // The proxy asks every ten seconds, and believes the second answer.
    host.wait_until("ddinstall verify");
}

/// The folder that journald writes to counts, not one of earlier days.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_journal_that_is_kept_in_memory_alone_is_found() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.write("/etc/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n", "root:root", 0o644);
    host.sh("systemctl restart systemd-journald; chmod 2755 /var/log/journal; chmod 700 /run/log/journal");
    let run = host.verify().fails("journald.access");
    assert!(run.stdout.contains("/run/log/journal has mode 2700"), "{run}");
    host.sh("chmod 2755 /run/log/journal");
    let run = host.ddinstall(&["verify", "--details", "--only", "journald.access"]).run().exits(0);
    run.says("/run/log/journal");
}

#[test]
fn a_host_without_the_agent_is_not_proven() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let tree = host.quiet_tree();
    host.ddinstall(&["verify"]).run().exits(9).says("no Datadog Agent").says("ddinstall install");
    host.changed_nothing_since(&tree);
}

/// Files that nobody asked for send past the proxy as others do, and say what a host of another tool's is meant to be.
#[test]
fn what_stands_in_files_of_others_counts() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let without_cws = [("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "false")];
    let install = without_cws.iter().fold(host.asked(&["install"]), |run, (name, value)| run.env(name, value));
    install.run().exits(0);
    let told = host.ddinstall(&["verify", "--details", "--only", "bypass.products"]).run().exits(0);
    told.says(
        "none; on unless turned off, for what applications send: evp_proxy_config.enabled, ol_proxy_config.enabled",
    );
    host.verify().exits(0);
    let write = |path: &str, text: &str| host.write(path, text, "root:dd-agent", 0o640);
    for (path, text, check) in [
        (SYSPROBE, "discovery:\n  enabled: \"true\"\n", "bypass.products"),
        (SECURITY, "compliance_config:\n  endpoints:\n    additional_endpoints: [{host: x}]\n", "bypass.endpoints"),
    ] {
        write(path, text);
        host.verify().fails(check);
        host.sh(&format!("rm {path}"));
    }
    let first = host.read(DATADOG);
    host.write(DATADOG, format!("{first}\ncontainer_image:\n  enabled: 'yes'\n"), "dd-agent:dd-agent", 0o640);
    host.verify().fails("bypass.products");
    host.write(DATADOG, first, "dd-agent:dd-agent", 0o640);
    // Nobody has said on this host what it is to be: its files do.
    host.sh("rm -r /var/lib/ddinstall");
    write(
        SYSPROBE,
        "runtime_security_config:\n  enabled: true\n  activity_dump:\n    enabled: false\ndiscovery:\n  enabled: false\n",
    );
    write(SECURITY, "runtime_security_config:\n  enabled: true\n");
    let json = host.ddinstall(&["verify", "--format", "json"]).run().json();
    let ids: Vec<&str> =
        json["verify"]["checks"].as_array().expect("checks").iter().filter_map(|c| c["id"].as_str()).collect();
    for id in ["proxy.ports", "cws.kernel", "unit.datadog-agent-sysprobe"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    // The proxy's password in a value that was asked for is shown by nobody.
    let run = host.ddinstall(&["verify", "--details"]).env("DD_PROXY_HTTPS", "http://u:hunter22@proxy:3128").run();
    assert!(!run.stdout.contains("hunter22"), "{run}");
}

#[test]
fn verify_writes_nothing_and_says_the_same_in_words() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let (tree, units) = (host.quiet_tree(), host.invocation_ids());
    host.verify().exits(0);
    let run = host.ddinstall(&["verify"]).run().exits(0);
    assert!(!run.stdout.contains("FAIL") && !run.stdout.contains('\u{1b}'), "{run}");
    host.changed_nothing_since(&tree);
    assert_eq!(host.invocation_ids(), units);
    host.sh("systemctl stop datadog-fips-proxy");
    let run = host.ddinstall(&["verify", "--details"]).run().exits(9);
    for text in ["FAIL", "check:    proxy.ports", "expected:", "to do:", "Not proven:"] {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
}

#[test]
fn what_only_root_can_see_is_unknown_to_others() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let run = host.ddinstall(&["verify", "--format", "json"]).env("DD_FIPS_MODE", "1").user("nobody").run().exits(9);
    let json = run.json();
    assert_eq!(json["verify"]["status"], "unknown", "{run}");
    assert!(run.stdout.contains("run as root"), "{run}");
}
