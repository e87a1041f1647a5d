//! What was done is taken back: the host is what it was before, and what is somebody else's stays.

use super::common::*;
use super::interrupted::interrupted;
use super::state::State;
use crate::lab::{Host, Repo, Run, Suite};

const OPERATORS: &str = "\
# Managed by hand since 2019.
api_key: 0ddba11cafe5ca1ab1edecafbadc0ffee
site: ddog-gov.com
tags:   [ 'team:infra' ]   # odd spacing, and ours
";

/// An Agent that its operator has configured, with times that a careless restore would lose.
fn existing(suite: Suite, version: &str) -> Host {
    let host = Host::fresh(suite)
        .with_agent(version)
        .file(DATADOG, OPERATORS, "dd-agent:dd-agent", 0o600)
        .file(SYSPROBE, "# tried in spring\nnetwork_config:\n  enabled: false\n", "root:dd-agent", 0o640)
        .file("/etc/datadog-agent/conf.d/mine.d/conf.yaml", "init_config:\n", "root:root", 0o644)
        .boot();
    host.sh(
        "touch -d '2020-02-02 02:02:02.123456789' /etc/datadog-agent/*.yaml /etc/datadog-agent/conf.d/mine.d/conf.yaml",
    );
    host.wait_until("systemctl is-active datadog-agent");
    // Its satellites without work end by themselves, a moment after their start.
    let idle = ["sysprobe", "security"].map(|name| format!("! systemctl is-active datadog-agent-{name}"));
    host.wait_until(&idle.join(" && "));
    host
}

fn rollback(host: &Host) -> Run {
    host.ddinstall(&["rollback"]).run()
}

fn uninstall(host: &Host, args: &[&str]) -> Run {
    host.ddinstall(&[&["uninstall"], args].concat()).run()
}

fn nothing_of_ours_is_left(host: &Host) {
    assert!(!host.exists("/var/lib/ddinstall"));
    assert!(host.exists("/var/log/ddinstall"));
    assert_eq!(host.sh("find / /run -xdev \\( -name 'ddinstall-*-*' -o -name '.ddinstall*' \\) -print"), "");
}

pub(super) fn a_fresh_host_is_fresh_again(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let before = host.state();
    host.install().exits(0);
    let done = host.state();
    let run = rollback(&host).exits(0).says("dd-agent").says("taken back");
    host.state().equals(&before);
    nothing_of_ours_is_left(&host);
    assert!(run.stdout.contains("left: the system user dd-agent"), "{run}");
    rollback(&host).exits(0).says("Nothing to do");
    // And as if nothing had been.
    host.install().exits(0);
    host.state()
        .timeless()
        .without(&["/etc/datadog-agent/install.json"])
        .equals(&done.timeless().without(&["/etc/datadog-agent/install.json"]));
    host.verify().exits(0);
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn a_fresh_host_is_fresh_again_bullseye() {
    a_fresh_host_is_fresh_again(Suite::Bullseye);
}

#[test]
fn a_fresh_host_is_fresh_again_trixie() {
    a_fresh_host_is_fresh_again(Suite::Trixie);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn two_runs_over_an_existing_agent_are_taken_back_one_by_one() {
    two_runs_one_by_one(Suite::Bookworm);
}

pub(super) fn two_runs_one_by_one(suite: Suite) {
    let host = existing(suite, "7.58.2");
    let before = host.state();
    host.install().exits(0);
    let first = host.state();
    host.asked(&["install", "--env", "prod", "--tags", "a:b"]).run().exits(0);
    assert_ne!(host.state(), first);
    let preview = host.ddinstall(&["rollback", "--dry-run"]).run().exits(0);
    assert!(preview.stdout.contains(&format!("put {DATADOG} back")), "{preview}");
    assert!(!preview.stdout.contains("remove datadog-fips-proxy"), "{preview}");
    let json = host.ddinstall(&["rollback", "--format", "json"]).run().exits(0).json();
    assert_eq!(json["changed"], true);
    assert!(json["undone"].as_array().is_some_and(|all| !all.is_empty()), "{json}");
    host.state().equals(&first);
    host.verify().exits(0);
    let run = rollback(&host).exits(0).says("NOT in FIPS mode");
    host.state().equals(&before);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"), "{run}");
    // The Agent's files are no matter of what was brought, the repository's keys among it.
    assert!(!run.stdout.contains("not ours"), "{run}");
    nothing_of_ours_is_left(&host);
}

#[test]
fn an_upgrade_is_taken_back() {
    upgraded_and_back(Suite::Bookworm);
}

pub(super) fn upgraded_and_back(suite: Suite) {
    let host = existing(suite, "7.44.1");
    host.sh("systemctl disable datadog-agent-trace");
    let before = host.state();
    host.asked(&["install", "--upgrade"]).run().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
    rollback(&host).exits(0);
    host.state().equals(&before);
}

/// Over a version between, in one run that was cut off or in two that were not, a package goes back at once.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn two_upgrades_are_taken_back_as_one() {
    let host = existing(Suite::Bookworm, "7.44.1");
    let before = host.state();
    for cut_off in [true, false] {
        host.serve(Repo::Classic);
        host.forget_index();
        if cut_off {
            interrupted(&host, &["install", "--upgrade"], "KILL", "dpkg-query -W datadog-agent | grep -q 7.58.2");
        } else {
            host.asked(&["install", "--upgrade"]).run().exits(0);
            assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
        }
        host.serve(Repo::Good);
        host.forget_index();
        host.asked(&["install", "--upgrade"]).run().exits(0);
        assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
        let run = if cut_off { rollback(&host) } else { uninstall(&host, &["--purge"]) }.exits(0);
        assert!(!run.stdout.contains("7.58.2"), "{run}");
        host.state().equals(&before);
    }
}

#[test]
fn a_version_that_is_not_to_be_had_any_more_is_named() {
    a_version_that_is_gone(Suite::Bookworm);
}

pub(super) fn a_version_that_is_gone(suite: Suite) {
    let host = existing(suite, "7.44.1");
    host.asked(&["install", "--upgrade"]).run().exits(0);
    // One that is not there at present is no reason to forget the run.
    let away = "cp /etc/hosts /root/hosts && sed -i -E '/(apt|yum|keys)[.]/d' /etc/hosts";
    host.forget_packages();
    host.sh(away);
    rollback(&host).exits(5).says("run the same command again");
    host.sh("cat /root/hosts > /etc/hosts");
    host.serve(Repo::Old);
    host.forget_packages();
    let run = rollback(&host).exits(5).says("datadog-agent 1:7.44.1-1");
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"), "{run}");
    assert_eq!(host.read(DATADOG), OPERATORS);
    assert_eq!(host.installed("datadog-fips-proxy"), None);
    rollback(&host).exits(0).says("Nothing to do");
}

#[test]
fn what_the_operator_did_since_stays_and_is_named() {
    work_of_the_operator(Suite::Bookworm);
}

pub(super) fn work_of_the_operator(suite: Suite) {
    let host = Host::fresh(suite).boot();
    host.install().exits(0);
    host.sh(&format!("echo '# mine' >> {DATADOG}"));
    let own = "/etc/datadog-agent/conf.d/nginx.d/conf.yaml";
    host.write(own, "instances: []\n", "dd-agent:dd-agent", 0o640);
    let policy = "/etc/datadog-agent/runtime-security.d/default.policy";
    host.sh(&format!("echo '# mine' >> {policy}"));
    let run = rollback(&host).exits(0);
    for path in [DATADOG, own, policy] {
        assert!(run.stdout.contains(&format!("left: {path} stays")), "{path}\n{run}");
        assert!(host.exists(path), "{path}");
    }
    for path in [SYSPROBE, PROXY_CFG, PROXY_LOGS, suite.repository_files()[0]] {
        assert!(!host.exists(path), "{path}");
    }
    assert_eq!((host.installed("datadog-agent"), host.installed("datadog-fips-proxy")), (None, None));
}

/// What is no plain file any more, may not start or is gone is somebody else's choice: no rollback fails for it.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn what_the_operator_put_away_since_is_named() {
    let host = existing(Suite::Bookworm, "7.58.2");
    let link = format!("mv {SYSPROBE} /srv/site.yaml && ln -s /srv/site.yaml {SYSPROBE}");
    let back = format!(
        "rm {SYSPROBE} && mv /srv/site.yaml {SYSPROBE} && systemctl unmask datadog-agent && systemctl start datadog-agent"
    );
    let cases = [
        (format!("{link} && systemctl mask --now datadog-agent"), format!("{SYSPROBE} stays"), back.as_str()),
        (
            "apt-get remove -yq datadog-agent && apt-mark hold datadog-fips-proxy".into(),
            "datadog-agent.service is not there any more".into(),
            "true",
        ),
    ];
    for (put_away, named, back) in cases {
        host.install().exits(0);
        host.sh(&put_away);
        let run = rollback(&host).exits(0);
        assert!(run.stdout.contains(&named) && run.stdout.contains("datadog-agent.service is"), "{run}");
        rollback(&host).exits(0).says("Nothing to do");
        assert_eq!(host.read(DATADOG), OPERATORS);
        host.sh(back);
    }
}

/// Neither of the two runs knows the file that is there in the end: it is nobody's but the operator's.
#[test]
fn work_between_two_runs_stays_and_is_named() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.sh(&format!("echo '# mine' >> {DATADOG}"));
    host.asked(&["install", "--env", "prod"]).run().exits(0);
    let run = uninstall(&host, &[]).exits(0);
    assert!(run.stdout.contains(&format!("left: {DATADOG} stays")), "{run}");
    assert!(host.read(DATADOG).contains("# mine") && !host.read(DATADOG).contains("\nenv: prod"), "{run}");
    nothing_of_ours_is_left(&host);
}

/// Removed by hand and brought again, a package goes back to what it was; a file stays removed.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn what_was_removed_between_two_runs_goes_back_as_a_whole() {
    let host = existing(Suite::Bookworm, "7.44.1");
    host.asked(&["install", "--upgrade"]).run().exits(0);
    host.sh(&format!("apt-get remove -yq datadog-agent && rm {SYSPROBE}"));
    host.serve(Repo::Classic);
    host.forget_index();
    host.install().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
    host.serve(Repo::Good);
    host.forget_packages();
    let run = uninstall(&host, &[]).exits(0).says(&format!("{SYSPROBE} was removed since"));
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.44.1-1"), "{run}");
    assert_eq!((host.read(DATADOG).as_str(), host.exists(SYSPROBE)), (OPERATORS, false), "{run}");
    nothing_of_ours_is_left(&host);
}

/// Nobody but its operator started what has read the new files.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn services_that_were_left_to_the_operator_read_the_old_files_again() {
    let host = existing(Suite::Bookworm, "7.58.2");
    host.install().exits(0);
    host.asked(&["install", "--env", "prod"]).env("DD_INSTALL_ONLY", "true").run();
    host.sh("systemctl restart datadog-agent");
    let starts = host.starts("datadog-agent");
    let restart = "restart datadog-agent.service, which has read what is taken back";
    host.ddinstall(&["rollback", "--dry-run"]).run().exits(0).says(restart);
    let run = rollback(&host).exits(0);
    assert!(!host.read(DATADOG).contains("env: prod"), "{run}");
    assert_eq!(host.starts("datadog-agent"), starts + 1, "{run}");
    // It has read them already.
    host.asked(&["install", "--env", "prod"]).env("DD_INSTALL_ONLY", "true").run();
    let preview = host.ddinstall(&["rollback", "--dry-run"]).run().exits(0);
    assert!(!preview.stdout.contains(restart), "{preview}");
    rollback(&host).exits(0);
    assert_eq!(host.starts("datadog-agent"), starts + 1, "{run}");
    // Nor is a mode anything to read.
    host.sh(&format!("chmod 0644 {DATADOG}"));
    host.install().exits(0);
    rollback(&host).exits(0);
    assert_eq!((host.starts("datadog-agent"), host.mode(DATADOG)), (starts + 1, 0o644));
}

/// What was not taken back in one go is taken back as a whole, also of several runs.
#[test]
fn an_uninstallation_that_failed_is_ended_by_a_rollback_too() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.asked(&["install", "--env", "prod"]).run().exits(0);
    something_depends_on_the_agent(&host);
    uninstall(&host, &[]).exits(6).says("run the same command again");
    host.sh("dpkg -r site-meta");
    rollback(&host).exits(0);
    assert_eq!((host.installed("datadog-agent"), host.installed("datadog-fips-proxy")), (None, None));
    nothing_of_ours_is_left(&host);
}

#[test]
fn uninstalled_configuration_stays_unless_it_is_purged() {
    uninstalled_and_purged(Suite::Bookworm);
}

pub(super) fn uninstalled_and_purged(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let before = host.state();
    host.install().exits(0);
    host.asked(&["install", "--env", "prod"]).run().exits(0);
    uninstall(&host, &[]).exits(0);
    let stays = ["/etc/datadog-agent", "/opt/datadog-agent", "/etc/datadog-fips-proxy", "/opt/datadog-fips-proxy"];
    let mut now = host.state().without(&stays);
    now.packages.retain(|line| !line.contains("deinstall ok config-files"));
    now.equals(&before);
    assert!(!host.exists(DATADOG) && host.exists("/var/log/datadog"));
    nothing_of_ours_is_left(&host);
    uninstall(&host, &[]).exits(0).says("Nothing to do");
    // What that left is there before the next run, and is not its to purge.
    host.write("/etc/datadog-agent/conf.d/mine.d/conf.yaml", "x: 1\n", "root:root", 0o644);
    let left = host.state();
    host.install().exits(0);
    uninstall(&host, &["--purge"]).exits(0);
    assert!(host.exists("/etc/datadog-agent/conf.d/mine.d/conf.yaml"));
    let changes = host.state().changes_since(&left);
    // The package of keys has no folder of its own that could have held somebody's work.
    let gone = |line: &&String| line.starts_with('-') && !line.starts_with("- package datadog-signing-keys ");
    assert_eq!(changes.iter().find(gone), None, "{changes:#?}");
}

#[test]
fn purged_a_host_is_as_it_was() {
    purged(Suite::Trixie);
}

pub(super) fn purged(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let before = host.state();
    host.install().exits(0);
    // As install.sh asks it to, so that the operator who pasted one line has something to uninstall with.
    let kept = "/var/lib/ddinstall/ddinstall";
    host.asked(&["install", "--env", "prod", "--keep-binary"]).run().exits(0).says(&format!("{kept} uninstall"));
    assert_eq!((host.owner(kept).as_str(), host.mode(kept)), ("root:root", 0o700));
    host.write("/etc/datadog-agent/conf.d/x.d/conf.yaml", "x: 1\n", "root:root", 0o644);
    host.command(&[kept, "uninstall", "--purge"]).run().exits(0);
    host.state().equals(&before);
    nothing_of_ours_is_left(&host);
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
fn an_agent_that_was_there_before_us_stays() {
    an_agent_before_us(Suite::Bullseye);
}

pub(super) fn an_agent_before_us(suite: Suite) {
    let host = existing(suite, "7.58.2");
    let before = host.state();
    host.install().exits(0);
    host.asked(&["install", "--env", "prod", "--upgrade"]).run().exits(0);
    uninstall(&host, &["--purge"]).exits(0);
    host.state().equals(&before);
    nothing_of_ours_is_left(&host);
}

/// A package of the operator's that is in the way of a removal.
fn something_depends_on_the_agent(host: &Host) {
    host.sh("mkdir -p /tmp/meta/DEBIAN && printf 'Package: site-meta\\nVersion: 1\\nArchitecture: all\\nDepends: datadog-agent\\nMaintainer: x <x@example.org>\\nDescription: x\\n' > /tmp/meta/DEBIAN/control && dpkg-deb -b /tmp/meta /tmp/meta.deb && dpkg -i /tmp/meta.deb && rm -r /tmp/meta /tmp/meta.deb");
}

#[test]
fn what_depends_on_a_package_is_not_taken_along() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    something_depends_on_the_agent(&host);
    let run = rollback(&host).exits(6).says("site-meta");
    assert!(host.installed("site-meta").is_some() && host.installed("datadog-agent").is_some(), "{run}");
    host.sh("dpkg -r site-meta");
    rollback(&host).exits(0);
    assert_eq!(host.installed("datadog-agent"), None);
    nothing_of_ours_is_left(&host);
}

#[test]
fn a_killed_run_and_its_end_are_one_change() {
    let host = existing(Suite::Bookworm, "7.58.2");
    let before: State = host.state();
    for killed_again in [false, true] {
        interrupted(&host, &["install"], "KILL", "test -e /opt/datadog-fips-proxy");
        if !killed_again {
            host.install().exits(0);
            host.verify().exits(0);
        }
        rollback(&host).exits(0);
        host.state().equals(&before);
    }
}

/// The package of the signing keys writes the keyring, too, also for a run that is not there any more.
#[test]
#[ignore = "others stand for it; --long runs it"]
fn the_keyring_of_a_killed_run_goes_with_it() {
    let host = existing(Suite::Bookworm, "7.58.2");
    for killed_again in [false, true] {
        interrupted(&host, &["install"], "KILL", "test -e /opt/datadog-fips-proxy");
        if !killed_again {
            host.install().exits(0);
        }
        let run = uninstall(&host, &[]).exits(0);
        assert!(!run.stdout.contains("keyring.gpg stays"), "{run}");
        assert!(!host.exists("/usr/share/keyrings/datadog-archive-keyring.gpg"), "{run}");
    }
}

/// No conffile, so the package manager takes it along whatever its operator made of it.
#[test]
fn what_was_changed_of_a_packages_files_outlives_a_killed_uninstallation() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let policy = "/etc/datadog-agent/runtime-security.d/default.policy";
    let stat = format!("stat -c '%a %U %Y' {policy} && stat -c '%a %U' $(dirname {policy}) && cat {policy}");
    for killed in [false, true] {
        host.install().exits(0);
        host.sh(&format!("echo '# mine' >> {policy} && chmod 0640 {policy} && touch -d 2020-02-02 {policy}"));
        let before = host.sh(&stat);
        if killed {
            host.sh("sed -i '2i sleep 2' /var/lib/dpkg/info/datadog-agent.postrm");
            interrupted(&host, &["uninstall"], "KILL", &format!("test ! -e {policy}"));
            assert!(!host.exists(policy));
            let half = "/var/lib/ddinstall/kept/etc/datadog-agent/.ddinstall-0123456789abcdef-half";
            host.write(half, "# mi", "root:root", 0o600);
        }
        let run = uninstall(&host, &[]).exits(0).says(&format!("{policy} stays"));
        assert_eq!(host.sh(&stat), before, "{run}");
        nothing_of_ours_is_left(&host);
        host.sh("rm -r /etc/datadog-agent");
    }
}

#[test]
fn only_root_takes_back() {
    let host = Host::fresh(Suite::Bookworm).boot();
    rollback(&host).exits(0).says("Nothing to do");
    assert!(!host.exists("/var/lib/ddinstall"));
    host.ddinstall(&["uninstall"]).user("nobody").run().exits(4).says("needs root");
}
