//! A second run finds nothing to do, and does nothing: no request, no file, no restart.

use super::common::*;
use crate::lab::{Host, Suite};

pub(super) fn a_second_run_is_quiet(suite: Suite) {
    let host = Host::fresh(suite).boot();
    host.install().exits(0);
    host.forget_requests();
    let (tree, units) = (host.quiet_tree(), host.invocation_ids());
    host.install().exits(0).says("Nothing to do");
    let json = host.asked(&["install", "--format", "json"]).run().exits(0).json();
    assert_eq!((&json["changed"], &json["steps"].as_array().map(Vec::len)), (&false.into(), &Some(0)), "{json:#}");
    // What is asked for is remembered: nothing need be said again.
    host.ddinstall(&["install"]).run().exits(0).says("Nothing to do");
    host.changed_nothing_since(&tree);
    assert_eq!(host.invocation_ids(), units);
    let requests = host.all_requests();
    assert!(requests.iter().all(|line| line.contains("agent=\"datadog-agent/")), "{requests:#?}");
}

/// A host that is as asked for already needs no step; that it was asked is remembered.
#[test]
fn what_is_asked_of_a_host_that_is_so_already_is_remembered() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let set = |path: &str, setting: &str| host.sh(&format!("ddinstall config set {path} {setting} > /dev/null"));
    // As if somebody had done all of it by hand.
    host.sh("rm /var/lib/ddinstall/receipt.json");
    host.install().exits(0).says("Nothing to do");
    set(DATADOG, "fips.enabled=false");
    host.verify().exits(9);
    set(DATADOG, "fips.enabled=true");
    host.verify().exits(0);
    host.ddinstall(&["uninstall"]).run().exits(0).says("Nothing to do");
    assert!(!host.exists("/var/lib/ddinstall"));
    // And what is off by hand, and is to be so.
    host.install().exits(0);
    set(DATADOG, "fips.enabled=false");
    for path in [SYSPROBE, SECURITY] {
        set(path, "runtime_security_config.enabled=false");
    }
    host.sh("systemctl restart datadog-agent");
    let off = host.ddinstall(&["install", "--allow-fips-off"]).env("DD_FIPS_MODE", "0");
    let off = off.env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "false");
    off.run().exits(0).says("Nothing to do");
    host.ddinstall(&["plan"]).run().exits(0).says("Nothing to do");
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_second_run_is_quiet_on_bullseye() {
    a_second_run_is_quiet(Suite::Bullseye);
}

#[test]
fn a_second_run_is_quiet_on_bookworm() {
    a_second_run_is_quiet(Suite::Bookworm);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_second_run_is_quiet_on_trixie() {
    a_second_run_is_quiet(Suite::Trixie);
}

#[test]
fn the_owners_and_modes_of_the_package_are_no_drift() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let (datadog, sysprobe) = (host.bytes(DATADOG), host.bytes(SYSPROBE));
    host.sh("DEBIAN_FRONTEND=noninteractive apt-get -qq install --reinstall -y datadog-agent >/dev/null 2>&1");
    assert_eq!((host.owner(SYSPROBE), host.mode(SYSPROBE)), ("dd-agent:dd-agent".into(), 0o440));
    host.wait_until("ddinstall verify");
    let (tree, units) = (host.quiet_tree(), host.invocation_ids());
    host.forget_requests();
    // All that may be wrong now is install_info, which the package writes where it is absent; it is not.
    host.install().exits(0).says("Nothing to do");
    host.changed_nothing_since(&tree);
    assert_eq!(host.invocation_ids(), units);
    assert_eq!((datadog, sysprobe), (host.bytes(DATADOG), host.bytes(SYSPROBE)));
}

#[test]
fn a_host_that_was_switched_off_and_on_needs_nothing() {
    let mut host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.poweroff();
    host.boot_again();
    // All that must run does, and the proxy listens.
    host.wait_until("ddinstall verify");
    host.install().exits(0).says("Nothing to do");
}

/// Neither an edit by hand nor a run that was kept as it failed leaves an Agent that runs with what is no more.
#[test]
fn an_agent_that_has_not_read_its_file_yet_is_restarted() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    std::thread::sleep(std::time::Duration::from_secs(3));
    host.sh(&format!("echo 'log_level: debug' >> {DATADOG}"));
    let proxy = host.starts("datadog-fips-proxy");
    host.install().exits(0).says("datadog.yaml was changed after it was started");
    assert_eq!(host.starts("datadog-fips-proxy"), proxy);
    host.install().exits(0).says("Nothing to do");
    // A proof that was lost is made again.
    host.sh("rm /var/lib/ddinstall/proof.json");
    host.install().exits(0).says("Nothing to do");
    assert!(host.exists("/var/lib/ddinstall/proof.json"));

    let asked = || host.asked(&["install", "--on-failure=keep"]).env("DD_TAGS", "team:kept");
    host.sh("mkdir -p /run/systemd/system/datadog-agent.service.d;
        printf '[Service]\nExecStartPre=/bin/false\n' > /run/systemd/system/datadog-agent.service.d/fail.conf; systemctl daemon-reload");
    asked().run().exits(8);
    host.sh("rm -r /run/systemd/system/datadog-agent.service.d; systemctl daemon-reload; systemctl reset-failed datadog-agent; systemctl start datadog-agent");
    asked().run().exits(0).says("an earlier run did not come to its end");
    asked().run().exits(0).says("Nothing to do");
}
