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
        self.sh("systemd-run -q --unit=faults /usr/local/bin/faults.pl apt.datadoghq.com");
        self.wait_until(5, "ss -Hltn | grep -q 127.0.0.4:80");
        self
    }

    /// A process takes a lock as package managers do, and keeps it.
    fn lock(&self, file: &str, seconds: u32) {
        self.write("/usr/local/bin/lock.pl", include_str!("../lab/lock.pl"), "root:root", 0o755);
        self.sh(&format!("systemd-run -q --unit=locker /usr/local/bin/lock.pl {file} {seconds}"));
        self.wait_until(5, "test -e /run/locked");
    }

    fn unlock(&self) {
        self.sh("systemctl stop locker; rm /run/locked");
    }
}

#[track_caller]
fn in_time(run: &Run, seconds: f64) {
    assert!(run.seconds < seconds, "within {seconds} s\n{run}");
}

/// What a failing run on a host that has an Agent leaves: its own log, and what apt fetched.
fn quiet(host: &Host) -> Tree {
    host.quiet_tree().without(&["/var/lib/ddinstall", "/var/log/ddinstall", "/var/lib/apt", "/var/cache/apt", "/tmp"])
}

fn a_rotated_key(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).repo(Repo::Classic).boot());
    host.host.install().exits(0);
    host.host.serve(Repo::Rotated);
    let upgrade = || host.host.asked(&["install", "--upgrade"]);
    host.refuses(upgrade(), 5, &["apt.datadoghq.com", "not trusted"]);
    assert_eq!(host.host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
    let both = format!("{},{}", fingerprint("signing"), fingerprint("next"));
    upgrade().env(FINGERPRINTS, &both).run().exits(0);
    assert_eq!(host.host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
    // The old key still counts while both are pinned.
    host.host.serve(Repo::Good);
    host.host.sh("rm -r /var/lib/apt/lists/*");
    let before = host.host.asking_tree();
    upgrade().env(FINGERPRINTS, &both).run().exits(0);
    host.host.asking_changed_nothing_since(&before);
}

#[test]
fn a_rotated_key_is_taken_once_it_is_pinned_on_bookworm() {
    a_rotated_key(Suite::Bookworm);
}

#[test]
fn a_rotated_key_is_taken_once_it_is_pinned_on_trixie() {
    a_rotated_key(Suite::Trixie);
}

#[test]
fn a_package_that_is_not_the_one_in_the_index() {
    let host = Host::fresh(Suite::Bookworm).repo(Repo::TamperedPackage).boot();
    let before = host.state();
    let run = host.install().exits(5).says("checksum mismatch");
    in_time(&run, 60.0);
    is_as_before(&host, &before, &run);
    // On a host that has an Agent, the Agent goes on.
    host.serve(Repo::Classic);
    host.sh("rm -r /var/lib/apt/lists/*");
    host.install().exits(0);
    host.serve(Repo::TamperedPackage);
    let (before, ids) = (quiet(&host), host.invocation_ids());
    let run = host.asked(&["install", "--upgrade"]).run().exits(5).says("checksum mismatch").says("taken back");
    in_time(&run, 60.0);
    let changes = quiet(&host).changes_since(&before);
    assert!(changes.is_empty(), "{changes:#?}\n{run}");
    assert_eq!(host.invocation_ids(), ids);
    host.verify().exits(0);
}

#[test]
fn an_older_index_that_is_replayed_lowers_nothing() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    host.serve(Repo::Older);
    let upgrade = || host.asked(&["install", "--upgrade"]).run().exits(0);
    for known in [true, false] {
        if !known {
            host.sh("rm -r /var/lib/apt/lists/*");
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
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot().with_faults());
    let from = |fault: &str, limit: &str| {
        let install = host.host.asked(&["install", "--download-limit", limit]);
        host.refuses(install.env("TESTING_APT_URL", &format!("http://127.0.0.4/{fault}")), 5, &["127.0.0.4"])
    };
    in_time(&from("endless", "60"), 50.0);
    in_time(&from("packages", "60"), 50.0);
    let run = from("drip", "4");
    in_time(&run, 20.0);
    assert!(run.stderr.contains("4 s") || run.stderr.contains("too slow"), "{run}");
}

#[test]
fn a_slow_download_ends_in_time_and_goes_on_where_it_stopped() {
    let host = Host::fresh(Suite::Bookworm).boot().with_faults();
    let before = host.state();
    // The index takes its five seconds; the packages would take half a minute.
    let run = host.asked(&["install", "--download-limit", "9"]).env("TESTING_APT_URL", SLOW).run().exits(5);
    let run = run.says("within 9 s").says("--download-limit");
    in_time(&run, 45.0);
    is_as_before(&host, &before, &run);
    let partial = "find /var/cache/apt/archives/partial -name 'datadog-*' -size +0 | grep -q .";
    assert!(host.holds(partial), "{run}");
    // A server that stands still.
    let halt = host.asked(&["install", "--download-stall", "3"]).env("TESTING_APT_URL", "http://127.0.0.4/halt");
    let run = halt.run().exits(5);
    in_time(&run, 45.0);
    is_as_before(&host, &before, &run);
    assert!(!run.stderr.contains(KEY));
    host.forget_requests();
    host.install().exits(0);
    let packages: Vec<String> = host.requests("apt.datadoghq.com").into_iter().filter(|r| r.contains(".deb")).collect();
    assert!(packages.iter().any(|request| request.contains(" 206 ")), "{packages:#?}");
    host.verify().exits(0);
}

#[test]
fn a_lock_is_waited_for() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.lock("/var/lib/dpkg/lock-frontend", 20);
    let run = host.install().exits(0).says("/var/lib/dpkg/lock-frontend").says("lock.pl");
    assert!(run.seconds > 15.0, "{run}");
    host.verify().exits(0);
}

#[test]
fn a_lock_that_is_held_for_ever() {
    let host = Host::fresh(Suite::Bookworm).boot();
    for file in ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"] {
        host.lock(file, 600);
        let before = host.state();
        let run = host.asked(&["install", "--lock-wait", "3"]).run().exits(4).says(file).says("lock.pl");
        in_time(&run, 15.0);
        is_as_before(&host, &before, &run);
        host.unlock();
    }
    host.install().exits(0);
}
