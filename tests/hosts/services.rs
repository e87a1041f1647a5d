//! A package or a service that fails: the run says why in the unit's or the package's own words, and is taken back.

use super::common::*;
use super::state::State;
use crate::lab::{Host, Repo, Run, Suite};

/// A run that failed has left nothing.
pub(super) fn is_as_before(host: &Host, before: &State, run: &Run) {
    assert!(run.stderr.contains("taken back") && run.stderr.contains("NOT in FIPS mode"), "{run}");
    host.state().equals(before);
    assert!(!host.exists("/var/lib/ddinstall"));
    assert!(!host.holds("ss -Hltn | grep -qE ':98(0[3-9]|1[0-8]) '"));
    assert!(!host.holds("ls /run/systemd/system/datadog* /run/systemd/system.control/datadog*"));
    assert!(host.holds("! id -nG dd-agent | grep -q systemd-journal"));
}

fn is_taken_back(host: &Host, before: &State, run: &Run) {
    is_as_before(host, before, run);
    // And the host is none the worse for it.
    host.serve(Repo::Good);
    host.forget_index();
    host.install().exits(0);
    host.verify().exits(0);
}

pub(super) fn a_crash_is_taken_back(suite: Suite) {
    let host = Host::fresh(suite).repo(Repo::Crash).boot();
    let before = host.state();
    let run = host.install().exits(8).says("datadog-agent").says("panic: runtime error");
    is_taken_back(&host, &before, &run);
}

#[test]
fn an_agent_that_crashes_is_taken_back() {
    a_crash_is_taken_back(Suite::Bookworm);
}

#[test]
fn an_agent_that_crashes_is_named_though_systemd_gives_its_satellite_up_before() {
    let limit = "/etc/systemd/system/datadog-agent-sysprobe.service.d/limit.conf";
    let text = "[Service]\nStartLimitInterval=60\nStartLimitBurst=2\n";
    let host = Host::fresh(Suite::Bookworm).file(limit, text, "root:root", 0o644).repo(Repo::Crash).boot();
    let before = host.state();
    let run = host.install().exits(8).says("datadog-agent.service is").says("panic: runtime error");
    let run = run.says("datadog-agent-sysprobe.service is failed (failed), too");
    is_as_before(&host, &before, &run);
}

pub(super) fn a_failing_script_is_taken_back(suite: Suite) {
    let host = Host::fresh(suite).repo(Repo::Postinst).boot();
    let before = host.state();
    let run = host.install().exits(6).says("datadog-agent");
    is_taken_back(&host, &before, &run);
}

#[test]
fn a_package_whose_script_fails_is_taken_back() {
    a_failing_script_is_taken_back(Suite::Bookworm);
}

pub(super) fn a_package_is_not_installed(suite: Suite, repo: Repo, says: &str) {
    let host = Host::fresh(suite).repo(repo).boot();
    let before = host.state();
    let run = host.install().exits(5).says(says);
    is_taken_back(&host, &before, &run);
}

#[test]
fn a_package_that_is_not_what_the_index_says_is_not_installed() {
    a_package_is_not_installed(Suite::Trixie, Repo::TamperedPackage, "datadog-agent");
}

#[test]
fn a_disk_that_fills_up_under_the_packages_is_named() {
    // Their scripts make more than the packages say.
    let host = Host::fresh(Suite::Bookworm).tmpfs("/opt", "1M").boot();
    host.install().exits(4).says("disk is full").says("taken back");
    assert_eq!(host.installed("datadog-agent"), None);
    host.sh("umount /opt");
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
fn an_agent_that_ran_before_runs_again_after_a_failure() {
    an_agent_runs_again(Suite::Bookworm);
}

pub(super) fn an_agent_runs_again(suite: Suite) {
    let host = Host::fresh(suite).repo(Repo::Crash).with_agent("7.58.2").boot();
    let (yaml, version) = (host.bytes(DATADOG), host.installed("datadog-agent"));
    let run = host.asked(&["install", "--upgrade"]).run().exits(8);
    assert!(run.stderr.contains("taken back"), "{run}");
    assert_eq!(host.installed("datadog-agent"), version);
    assert_eq!(host.installed("datadog-fips-proxy"), None);
    assert_eq!(host.bytes(DATADOG), yaml);
    host.wait_until("systemctl is-active datadog-agent");
    assert_eq!(host.sh("systemctl show -p NRestarts --value datadog-agent"), "0");
    // Kept on request, for somebody to look at.
    let run = host.asked(&["install", "--upgrade", "--on-failure=keep"]).run().exits(8);
    assert!(run.stderr.contains("--on-failure=keep"), "{run}");
    assert!(host.exists(PROXY_CFG));
    host.serve(Repo::Good);
    host.forget_index();
    host.asked(&["install", "--upgrade"]).run().exits(0);
    host.verify().exits(0);
}

#[test]
fn nothing_is_started_where_that_is_asked_for() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.asked(&["install"]).env("DD_INSTALL_ONLY", "1").run().exits(0).says("nothing was started");
    for unit in UNITS {
        assert_eq!(host.starts(unit), 0, "{unit}");
    }
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_host_without_systemd_is_prepared_for_its_first_boot() {
    let host = Host::fresh(Suite::Bookworm).without_systemd().boot();
    host.install().exits(0);
    host.verify().exits(0);
    assert_eq!(host.yaml(DATADOG)["fips"]["enabled"], true);
    host.install().exits(0).says("Nothing to do");
}
