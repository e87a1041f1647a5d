//! A run that is killed, or asked to stop: the next one finishes.

use super::common::*;
use crate::lab::{Host, Suite};

/// Starts `ddinstall` with its answers, and sends it a signal as soon as a shell script succeeds. Its exit code, or
/// none, and what it said.
pub(super) fn interrupted(host: &Host, args: &[&str], signal: &str, when: &str) -> (Option<i32>, String) {
    let child = host.asked(args).spawn();
    // One shell waits and kills: on a busy machine a second one would come too late.
    host.sh(&format!(
        "n=0; until {when} > /dev/null; do n=$((n + 1)); test $n -lt 3000; sleep 0.02; done
         kill -{signal} $(pidof ddinstall)"
    ));
    let output = child.wait_with_output().expect("wait");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub(super) fn the_next_run_finishes(suite: Suite, when: &str) {
    let host = Host::fresh(suite).boot();
    let (status, _) = interrupted(&host, &["install"], "KILL", when);
    assert_ne!(status, Some(0));
    let run = host.install().exits(0);
    host.verify().exits(0);
    assert!(!host.exists("/run/systemd/system/datadog-agent.service.d"), "{run}");
    host.install().exits(0).says("Nothing to do");
    let strays = host.sh(r"find / /run -xdev \( -name 'ddinstall-[0-9]*' -o -name '.ddinstall*' \) -print");
    assert!(strays.is_empty(), "{strays}");
}

#[test]
fn killed_while_it_looks() {
    the_next_run_finishes(Suite::Bookworm, "pidof ddinstall");
}

#[test]
fn killed_while_packages_are_unpacked() {
    the_next_run_finishes(Suite::Bookworm, "test -e /opt/datadog-agent");
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn killed_while_packages_are_unpacked_on_trixie() {
    the_next_run_finishes(Suite::Trixie, "test -e /usr/bin/datadog-agent");
}

#[test]
fn killed_while_files_are_written() {
    the_next_run_finishes(Suite::Bookworm, "test -e /etc/datadog-agent/datadog.yaml");
}

#[test]
#[ignore = "on a busy machine the run is done before it is killed, and kills.rs stands for it; --long runs it"]
fn killed_while_services_start() {
    the_next_run_finishes(Suite::Bullseye, "systemctl is-active datadog-fips-proxy");
}

#[test]
fn what_a_killed_run_was_writing_is_cleared_away() {
    let host = Host::fresh(Suite::Bookworm).boot();
    interrupted(&host, &["install"], "KILL", "test -e /etc/datadog-agent/datadog.yaml");
    let leftover = "/etc/datadog-agent/.ddinstall-0123456789abcdef-datadog.yaml";
    host.sh("install -d -m 700 /var/lib/ddinstall/backups/1");
    host.write("/var/lib/ddinstall/backups/1/.ddinstall-0123456789abcdef-8", "api_key: half", "root:root", 0o600);
    host.write(leftover, "api_key: half", "dd-agent:dd-agent", 0o640);
    host.write("/var/lib/ddinstall/.ddinstall-0123456789abcdef-receipt.json", "{", "root:root", 0o600);
    host.install().exits(0);
    assert!(!host.exists(leftover));
    assert_eq!(host.sh("find /var/lib/ddinstall -name '.*'"), "");
}

#[test]
fn a_host_that_loses_power_is_finished_after_it_boots() {
    let mut host = Host::fresh(Suite::Bookworm).boot();
    let child = host.asked(&["install"]).spawn();
    host.wait_until("test -e /opt/datadog-agent");
    host.kill_host();
    drop(child);
    host.boot_again();
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
fn a_run_that_is_asked_to_stop_takes_itself_back() {
    a_stop_takes_it_back(Suite::Bookworm);
}

pub(super) fn a_stop_takes_it_back(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let (status, stderr) = interrupted(&host, &["install"], "TERM", "test -e /opt/datadog-agent");
    assert_eq!(status, Some(10), "{stderr}");
    assert!(stderr.contains("taken back") && stderr.contains("to do:"), "{stderr}");
    assert_eq!(host.installed("datadog-agent"), None);
    assert!(!host.exists(DATADOG));
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn a_lock_that_another_program_holds_is_waited_for() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.sh("systemd-run -q --unit=holder perl -MFcntl -e 'open my $f, \">>\", \"/var/lib/dpkg/lock-frontend\" or die;
         my $lock = pack \"s s x4 q q i x4\", F_WRLCK, 0, 0, 0, 0; fcntl $f, F_SETLK, $lock or die; sleep 6'");
    host.wait_until("grep -q POSIX /proc/locks");
    let run = host.install().exits(0);
    assert!(run.stderr.contains("waiting") && run.stderr.contains("lock"), "{run}");
    assert!(run.stderr.contains("perl"), "{run}");
    host.verify().exits(0);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn two_runs_at_once_come_to_the_same_end() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let first = host.asked(&["install"]).spawn();
    host.wait_until("test -e /var/lib/ddinstall/lock");
    let second = host.install().exits(0).says("waiting for another run");
    assert!(second.stdout.contains("Nothing to do"), "{second}");
    assert_eq!(first.wait_with_output().expect("wait").status.code(), Some(0));
    for unit in UNITS {
        assert_eq!(host.starts(unit), 1, "{unit}");
    }
}

/// dpkg notes that a package must be installed again until its last file is in place, under the new version already.
#[test]
fn a_package_that_dpkg_says_must_be_installed_again_is() {
    for state in ["unpacked", "half-configured"] {
        let host = Host::fresh(Suite::Bookworm).boot();
        interrupted(&host, &["install"], "KILL", "test -e /opt/datadog-agent");
        host.wait_until("! pidof apt-get dpkg");
        host.sh(&format!(
            "sed -i '/^Package: datadog-fips-proxy$/,/^$/s/^Status: .*/Status: install reinstreq {state}/' /var/lib/dpkg/status"
        ));
        match state {
            // It may go without being whole first.
            "half-configured" => host.ddinstall(&["uninstall"]).run().exits(0),
            _ => host.install().exits(0),
        };
        let there = host.sh("dpkg-query -W -f '${Status}' datadog-fips-proxy 2>&1 || true");
        assert_eq!(there == "install ok installed", state != "half-configured", "{there}");
    }
}

/// From its first instant: the next run does not begin before it is over.
#[test]
fn a_transaction_keeps_the_lock_of_a_killed_run() {
    let host = Host::fresh(Suite::Bookworm).boot();
    interrupted(&host, &["install"], "KILL", "pidof systemd-run || test -e /opt/datadog-agent");
    let run = host.install().exits(0);
    assert!(run.stderr.contains("was cut off; its transaction goes on"), "{run}");
    assert_eq!(host.sh("grep -c ' install datadog-agent:' /var/log/dpkg.log"), "1", "{run}");
}
