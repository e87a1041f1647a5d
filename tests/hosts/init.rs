//! Hosts where systemd is not process 1: SysV init, and none.

use super::common::*;
use crate::lab::{Host, Invocation, KEY, Repo, Suite, fingerprint};

/// A host that is asked for the Agent alone.
fn agent(host: &Host, args: &[&str]) -> Invocation {
    host.ddinstall(args).env("DD_API_KEY", KEY).env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"))
}

fn process(host: &Host, name: &str) -> String {
    host.sh(&format!("cat /opt/datadog-agent/run/{name}.pid"))
}

#[test]
fn with_sysv_init_services_are_started_by_their_scripts_and_at_the_next_boot() {
    // systemd is installed there, so the package's own script enables nothing but units.
    let mut host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).with_sysv().boot();
    let run = agent(&host, &["install"]).run().exits(0).says("/etc/init.d");
    assert!(run.stdout.contains("The Agent runs."), "{run}");
    host.sh("/etc/init.d/datadog-agent status");
    assert!(host.holds("ls /etc/rc2.d/S??datadog-agent"));
    host.verify().exits(0);

    let (before, pid) = (host.quiet_tree(), process(&host, "agent"));
    agent(&host, &["install"]).run().exits(0).says("Nothing to do");
    host.changed_nothing_since(&before);
    assert_eq!(process(&host, "agent"), pid);

    // What it reads has changed: it is started anew.
    agent(&host, &["install"]).env("DD_ENV", "lab").run().exits(0).says("restart datadog-agent");
    assert_ne!(process(&host, "agent"), pid);

    host.sh("service datadog-agent stop");
    host.verify().fails("unit.datadog-agent");
    agent(&host, &["install"]).run().exits(0).says("start datadog-agent");

    host.sh("update-rc.d datadog-agent disable");
    host.verify().fails("unit.enabled");
    agent(&host, &["install"]).run().exits(0).says("enable datadog-agent");

    host.kill_host();
    host.boot_again();
    host.wait_until("/etc/init.d/datadog-agent status");
    host.verify().exits(0);
}

#[test]
fn with_sysv_init_what_has_no_script_is_refused() {
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).with_sysv().boot();
    let before = host.quiet_tree();
    host.install().exits(3).says("no SysV script for system-probe").says("nothing was changed");
    host.changed_nothing_since(&before);
    // The proxy's package has a unit alone.
    let asked = |args: &[&str]| agent(&host, args).env("DD_FIPS_MODE", "1").env("DD_SITE", "ddog-gov.com");
    asked(&["install"]).run().exits(8).says("there is no /etc/init.d/datadog-fips-proxy").says("taken back");
    assert_eq!(host.installed("datadog-agent"), None);
}

/// What an operator may write for the proxy where systemd does not run.
const PROXY_SCRIPT: &str = "#!/bin/sh
### BEGIN INIT INFO
# Provides: datadog-fips-proxy
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
program=/opt/datadog-fips-proxy/embedded/sbin/haproxy
pid=/run/datadog-fips-proxy.pid
case $1 in
    start) start-stop-daemon --start --background --make-pidfile --pidfile $pid --chuid dd-agent --startas $program -- \\
        -db -f /etc/datadog-fips-proxy/datadog-fips-proxy.cfg ;;
    stop) start-stop-daemon --stop --oknodo --retry=5 --remove-pidfile --pidfile $pid ;;
    restart) $0 stop; $0 start ;;
    status) start-stop-daemon --status --pidfile $pid ;;
esac
";

#[test]
fn with_sysv_init_a_script_for_the_proxy_is_used() {
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).with_sysv().file(
        "/etc/init.d/datadog-fips-proxy",
        PROXY_SCRIPT,
        "root:root",
        0o755,
    );
    let host = host.boot();
    let asked = |args: &[&str]| agent(&host, args).env("DD_FIPS_MODE", "1").env("DD_SITE", "ddog-gov.com");
    let run = asked(&["install"]).run().exits(0);
    assert!(run.stdout.contains("sends through it"), "{run}");
    assert_eq!(host.yaml(DATADOG)["fips"]["enabled"], true);
    // There is no journal to collect from.
    assert!(!host.exists(PROXY_LOGS));
    host.verify().exits(0);
    assert!(host.first_request("metrics.agent.ddog-gov.com").contains("datadog-agent"), "{:?}", host.all_requests());
    asked(&["install"]).run().exits(0).says("Nothing to do");

    // Another user's process on one of its ports is not the proxy.
    host.sh("/etc/init.d/datadog-fips-proxy stop");
    host.sh("setsid perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 9804, ReuseAddr => 1) or die; sleep 600' >/dev/null 2>&1 &");
    host.wait_until("ss -Hltn | grep -q :9804");
    host.verify().fails("proxy.ports");
    asked(&["install"]).run().exits(4).says("9804");
}

#[test]
fn without_a_service_manager_nothing_is_started_and_the_next_boot_starts_all() {
    let host = Host::fresh(Suite::Bookworm).without_systemd().boot();
    host.install().exits(0).says("nothing was started: no service manager runs here");
    assert!(!host.holds("pgrep -u dd-agent"));
    host.verify().exits(0);
    for unit in ["datadog-agent", "datadog-fips-proxy"] {
        assert!(host.holds(&format!("test -L /etc/systemd/system/multi-user.target.wants/{unit}.service")), "{unit}");
    }
    // Enabled again where somebody took that away.
    host.sh("rm /etc/systemd/system/multi-user.target.wants/datadog-agent.service");
    host.verify().fails("unit.enabled");
    host.install().exits(0).says("enable datadog-agent");
    host.install().exits(0).says("Nothing to do");
    let host = host.into_booted();
    host.wait_until("ddinstall verify");
}

#[test]
fn a_container_without_systemd_says_that_nothing_will_start_the_services() {
    let host = Host::fresh(Suite::Bookworm).without_systemd().boot();
    host.sh("mv /usr/bin/systemctl /usr/bin/systemctl.away");
    let run = agent(&host, &["install"]).run().exits(0).says("no service manager runs here");
    assert!(run.stdout.contains("there is no systemd here that would start them"), "{run}");
    agent(&host, &["install"]).run().exits(0).says("Nothing to do");
}
