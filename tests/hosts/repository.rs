//! Repositories that lie, stand still or never end, and locks that others hold: the exit code is the documented one,
//! it comes in time, and the host is as before. (Signatures that cannot be trusted: refusals.rs.)

use super::refusals::Untouched;
use super::services::is_as_before;
use crate::lab::{Host, KEY, Repo, Run, Suite, Tree, fingerprint};

const FINGERPRINTS: &str = "DD_REPO_KEY_FINGERPRINTS";

/// The repository at one KB a second.
const SLOW: &str = "http://127.0.0.1:8001";

impl Host {
    /// Starts a repository with faults (tests/lab/faults.pl) at http://127.0.0.4/FAULT.
    fn with_faults(self) -> Host {
        self.write("/usr/local/bin/faults.pl", include_str!("../lab/faults.pl"), "root:root", 0o755);
        self.sh(&format!("systemd-run -q --unit=faults /usr/local/bin/faults.pl {}", self.suite().repository_host()));
        self.wait_until("ss -Hltn | grep -q 127.0.0.4:80");
        self
    }

    /// A process takes a lock as package managers do, and keeps it.
    fn lock(&self, file: &str, seconds: u32) {
        self.write("/usr/local/bin/lock.pl", include_str!("../lab/lock.pl"), "root:root", 0o755);
        self.sh(&format!("systemd-run -q --unit=locker /usr/local/bin/lock.pl {file} {seconds}"));
        self.wait_until("test -e /run/locked");
    }

    fn unlock(&self) {
        self.sh("systemctl stop locker; rm /run/locked");
    }
}

#[track_caller]
fn in_time(run: &Run, seconds: f64) {
    assert!(run.seconds < seconds, "within {seconds} s\n{run}");
}

/// What a failing run on a host that has an Agent leaves: its own log, and what the package manager fetched and noted.
fn quiet(host: &Host) -> Tree {
    let ours = ["/var/lib/ddinstall", "/var/log/ddinstall", "/tmp"];
    host.quiet_tree().without(&[&ours[..], &BOOKS].concat())
}

/// Where package managers keep what they fetched, and their logs.
const BOOKS: [&str; 12] = [
    "/var/lib/apt",
    "/var/cache/apt",
    "/var/lib/dnf",
    "/var/cache/dnf",
    "/var/log/dnf.log",
    "/var/log/dnf.librepo.log",
    "/var/log/dnf.rpm.log",
    "/var/log/hawkey.log",
    "/var/cache/zypp",
    "/var/log/zypp",
    "/var/lib/zypp",
    "/var/log/zypper.log",
];

/// A file that is a lock of the package manager, and how messages call it.
fn locks(suite: Suite) -> &'static [(&'static str, &'static str)] {
    match suite {
        Suite::El9 => &[("/var/cache/dnf/metadata_lock.pid", "dnf"), ("/var/lib/rpm/.rpm.lock", "the database of rpm")],
        Suite::Sles15 => &[("/run/zypp.pid", "zypper"), ("/var/lib/rpm/.rpm.lock", "the database of rpm")],
        _ => &[
            ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock-frontend"),
            ("/var/lib/apt/lists/lock", "/var/lib/apt/lists/lock"),
        ],
    }
}

pub(super) fn a_rotated_key(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).repo(Repo::Classic).boot());
    host.host.install().exits(0);
    host.host.serve(Repo::Rotated);
    let upgrade = || host.host.asked(&["install", "--upgrade"]);
    host.refuses(upgrade(), 5, &[suite.repository_host(), "not trusted"]);
    assert_eq!(host.host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
    let both = format!("{},{}", fingerprint("signing"), fingerprint("next"));
    upgrade().env(FINGERPRINTS, &both).run().exits(0);
    assert_eq!(host.host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
    // The old key still counts while both are pinned.
    host.host.serve(Repo::Good);
    host.host.forget_index();
    let before = host.host.asking_tree();
    upgrade().env(FINGERPRINTS, &both).run().exits(0);
    host.host.asking_changed_nothing_since(&before);
}

#[test]
fn a_rotated_key_is_taken_once_it_is_pinned_on_bookworm() {
    a_rotated_key(Suite::Bookworm);
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn a_rotated_key_is_taken_once_it_is_pinned_on_trixie() {
    a_rotated_key(Suite::Trixie);
}

#[test]
fn a_package_that_is_not_the_one_in_the_index() {
    another_package(Suite::Bookworm, "checksum mismatch");
}

pub(super) fn another_package(suite: Suite, says: &str) {
    let host = Host::fresh(suite).repo(Repo::TamperedPackage).boot();
    let before = host.state();
    let run = host.install().exits(5).says(says);
    in_time(&run, 60.0);
    is_as_before(&host, &before, &run);
    // On a host that has an Agent, the Agent goes on.
    host.serve(Repo::Classic);
    host.forget_index();
    host.install().exits(0);
    host.serve(Repo::TamperedPackage);
    let (before, ids) = (quiet(&host), host.invocation_ids());
    let run = host.asked(&["install", "--upgrade"]).run().exits(5).says(says).says("taken back");
    in_time(&run, 60.0);
    let changes = quiet(&host).changes_since(&before);
    assert!(changes.is_empty(), "{changes:#?}\n{run}");
    assert_eq!(host.invocation_ids(), ids);
    host.verify().exits(0);
}

#[test]
fn an_older_index_that_is_replayed_lowers_nothing() {
    an_older_index(Suite::Bookworm);
}

pub(super) fn an_older_index(suite: Suite) {
    let host = Host::fresh(suite).boot();
    host.install().exits(0);
    host.serve(Repo::Older);
    let upgrade = || host.asked(&["install", "--upgrade"]).run().exits(0);
    for known in [true, false] {
        if !known {
            host.forget_index();
        }
        let before = host.asking_tree();
        let run = upgrade();
        host.asking_changed_nothing_since(&before);
        assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
        assert!(known || run.stdout.contains("7.58.2") && run.stdout.contains("it stays"), "{run}");
    }
}

#[test]
fn an_index_that_never_ends() {
    no_end(Suite::Bookworm);
}

pub(super) fn no_end(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot().with_faults());
    let from = |fault: &str, limit: &str| {
        let install = host.host.asked(&["install", "--download-limit", limit]);
        host.refuses(install.env(suite.repository_variable(), &format!("http://127.0.0.4/{fault}")), 5, &["127.0.0.4"])
    };
    in_time(&from("endless", "60"), 50.0);
    in_time(&from("packages", "60"), 50.0);
    let run = from("drip", "4");
    in_time(&run, 60.0);
    assert!(run.stderr.contains("4 s") || run.stderr.contains("too slow"), "{run}");
}

#[test]
fn a_slow_download_ends_in_time_and_goes_on_where_it_stopped() {
    a_slow_download(Suite::Bookworm);
}

pub(super) fn a_slow_download(suite: Suite) {
    let host = Host::fresh(suite).boot().with_faults();
    let before = host.state();
    // The index takes its five seconds; the packages would take half a minute.
    let run = host.asked(&["install", "--download-limit", "18"]).env(suite.repository_variable(), SLOW).run().exits(5);
    let run = run.says("within 18 s").says("--download-limit");
    in_time(&run, 90.0);
    is_as_before(&host, &before, &run);
    let partial = match suite {
        Suite::El9 => "find /var/cache/dnf -name 'datadog-*.rpm' -size +0 | grep -q .",
        Suite::Sles15 => "true",
        _ => "find /var/cache/apt/archives/partial -name 'datadog-*' -size +0 | grep -q .",
    };
    assert!(host.holds(partial), "{run}");
    // A server that stands still. libzypp keeps whole packages only: there, in the one that is fetched last.
    let fault = if suite == Suite::Sles15 { "late" } else { "halt" };
    let halt = host.asked(&["install", "--download-stall", "3"]);
    let run = halt.env(suite.repository_variable(), &format!("http://127.0.0.4/{fault}")).run().exits(5);
    in_time(&run, 90.0);
    is_as_before(&host, &before, &run);
    assert!(!run.stderr.contains(KEY));
    host.forget_requests();
    if suite == Suite::El9 {
        // dnf keeps what it fetched by address.
        host.asked(&["install"]).env(suite.repository_variable(), SLOW).run().exits(0);
    } else {
        host.install().exits(0);
    }
    let packages = host.all_requests();
    let packages: Vec<String> = packages.into_iter().filter(|r| r.contains(".deb") || r.contains(".rpm")).collect();
    let again = |what: &str| packages.iter().any(|request| request.contains(what));
    match suite {
        Suite::Sles15 => assert!(again("/datadog-fips-proxy-") && !again("/datadog-agent-"), "{packages:#?}"),
        _ => assert!(again(" 206 "), "{packages:#?}"),
    }
    host.verify().exits(0);
}

#[test]
fn a_lock_is_waited_for() {
    a_lock_for_a_while(Suite::Bookworm);
}

pub(super) fn a_lock_for_a_while(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let (file, name) = locks(suite)[0];
    host.lock(file, 20);
    let run = host.install().exits(0).says(name).says("lock.pl");
    assert!(run.seconds > 15.0, "{run}");
    host.verify().exits(0);
}

#[test]
fn a_lock_that_is_held_for_ever() {
    a_lock_for_ever(Suite::Bookworm);
}

pub(super) fn a_lock_for_ever(suite: Suite) {
    let host = Host::fresh(suite).boot();
    for (file, name) in locks(suite) {
        host.lock(file, 600);
        let before = host.state();
        let run = host.asked(&["install", "--lock-wait", "3"]).run().exits(4).says(name).says("lock.pl");
        in_time(&run, 60.0);
        is_as_before(&host, &before, &run);
        host.unlock();
    }
    host.install().exits(0);
}

/// rpm: entries of the same repository that other tools left: in our file, in one of theirs, and one that is off.
pub(super) fn entries_of_other_tools(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    let [ours, _] = suite.repository_files();
    let url = format!("https://{}/stable/7/x86_64/", suite.repository_host());
    let entry = |id: &str, more: &str| format!("[{id}]\nname=x\nbaseurl={url}\n{more}\n");
    let theirs = ours.replace("datadog.repo", "monitoring.repo");
    let left = entry("monitoring", "gpgcheck=0\nincludepkgs=datadog-agent");
    let off = entry("monitoring", "enabled=0");
    host.host.write(&theirs, &left, "root:root", 0o644);
    host.refuses(host.install(), 4, &[&theirs, "same repository", "gpgcheck=0", "includepkgs=datadog-agent", ours]);
    assert!(host.host.all_requests().is_empty());
    host.host.write(&theirs, &off, "root:root", 0o644);
    host.host.write(ours, left.replace("[monitoring]", "[datadog]") + "enabled=0\n", "root:root", 0o644);
    let run = host.install().run().exits(0);
    let flaws = "enabled=0, gpgcheck=0, includepkgs=datadog-agent";
    for text in [theirs.as_str(), "disabled entry", "it stays", ours, flaws, "it is replaced"] {
        assert!(run.stdout.contains(text), "{text:?} is not said\n{run}");
    }
    assert_eq!(host.host.read(&theirs), off);
    assert!(!host.host.read(ours).contains("gpgcheck=0"));
    host.host.verify().exits(0);
}
