//! Pinned, upgraded, lowered and held versions.

use super::refusals::Untouched;
use crate::lab::{Host, Repo, Suite};

const MINOR: &str = "DD_AGENT_MINOR_VERSION";
const PROXY_VERSION: &str = "DD_FIPS_PROXY_VERSION";

impl Host {
    #[track_caller]
    fn has(&self, agent: &str, proxy: &str) {
        let found = |name: &str| self.installed(name).unwrap_or_default();
        let found = (found("datadog-agent"), found("datadog-fips-proxy"));
        assert_eq!(found, (format!("1:{agent}-1"), format!("{proxy}-1")));
    }

    fn on_hold(&self) -> String {
        let command = match self.suite() {
            Suite::El9 => r"dnf -q -C --disablerepo=* versionlock list | sed 's/-[0-9]*:.*//' | sort",
            Suite::Sles15 => "sed -n 's/^solvable_name: //p' /etc/zypp/locks | sort",
            _ => "apt-mark showhold",
        };
        self.sh(command).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn a_pinned_version_is_the_one_that_is_installed() {
    a_pinned_version(Suite::Bookworm);
}

pub(super) fn a_pinned_version(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).repo(Repo::Candidate).boot());
    let pinned = |minor: &str| host.install().env(MINOR, minor).env(PROXY_VERSION, "1.1.10");
    host.refuses(pinned("59.0~rc.6"), 5, &["7.59.0~rc.6", "7.59.0~rc.5"]);
    host.refuses(pinned("58.1"), 5, &["7.58.1", "7.58.2"]);
    host.refuses(pinned("59.0").env(PROXY_VERSION, "9.9"), 5, &["datadog-fips-proxy", "9.9", "1.1.14"]);
    pinned("59.0~rc.5").run().exits(0);
    host.host.has("7.59.0~rc.5", "1.1.10");
    // The pin is met: nothing is asked.
    host.host.forget_requests();
    pinned("59.0~rc.5").run().exits(0);
    host.host.install().exits(0);
    assert!(host.host.requests(suite.repository_host()).is_empty());
    // A release is not its candidate.
    pinned("59.0").run().exits(0);
    host.host.has("7.59.0", "1.1.10");
    host.host.verify().exits(0);
}

#[test]
fn a_minor_version_is_its_newest_patch() {
    let plain = |host: &Host, minor: &str| {
        let run = host.asked(&["install", "--install-only"]).env("DD_FIPS_MODE", "").env(MINOR, minor);
        run.env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "").run()
    };
    for (suite, minor, version) in [
        (Suite::Bullseye, "40", "1:7.40.1-1"),
        (Suite::Trixie, "44.1", "1:7.44.1-1"),
        (Suite::Bookworm, "59", "1:7.59.0-1"),
    ] {
        let host = Host::fresh(suite).repo(Repo::Candidate).boot();
        plain(&host, minor).exits(0);
        assert_eq!(host.installed("datadog-agent").as_deref(), Some(version));
    }
}

pub(super) fn upgrade_and_downgrade(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).repo(Repo::Classic).boot());
    host.install().env(PROXY_VERSION, "1.1.10").run().exits(0);
    host.host.has("7.58.2", "1.1.10");
    host.host.serve(Repo::Good);
    host.host.install().exits(0);
    host.host.has("7.58.2", "1.1.10");
    let upgrade = || host.host.asked(&["install", "--upgrade"]).run().exits(0);
    upgrade();
    host.host.has("7.78.1", "1.1.14");
    // Nothing has changed there: one small question, and neither the list nor a package is sent.
    host.host.forget_requests();
    let before = host.host.asking_tree();
    upgrade();
    host.host.asking_changed_nothing_since(&before);
    let requests = host.host.requests(suite.repository_host());
    if suite.is_rpm() {
        assert!(!requests.iter().any(|request| request.contains(".rpm ")), "{requests:#?}");
    } else {
        assert!(requests.len() == 1 && requests[0].contains("InRelease 304 "), "{requests:#?}");
    }

    let lower = || host.install().env(MINOR, "58").env(PROXY_VERSION, "1.1.10");
    host.refuses(lower(), 2, &["7.78.1", "7.58.2", "--allow-downgrade"]);
    let flag = ["install", "--allow-downgrade"];
    host.host.asked(&flag).env(MINOR, "58").env(PROXY_VERSION, "1.1.10").run().exits(0);
    host.host.has("7.58.2", "1.1.10");
    host.host.verify().exits(0);
    // The flag alone lowers nothing.
    host.host.asked(&["install", "--allow-downgrade", "--upgrade"]).run().exits(0);
    host.host.has("7.78.1", "1.1.14");
}

#[test]
fn versions_go_up_and_down_when_asked_on_bookworm() {
    upgrade_and_downgrade(Suite::Bookworm);
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn versions_go_up_and_down_when_asked_on_trixie() {
    upgrade_and_downgrade(Suite::Trixie);
}

#[test]
fn what_is_on_hold_moves_only_with_a_word_about_the_hold() {
    what_is_on_hold(Suite::Bookworm);
}

pub(super) fn what_is_on_hold(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).repo(Repo::Classic).boot());
    host.host.asked(&["install", "--hold"]).run().exits(0);
    assert_eq!(host.host.on_hold(), "datadog-agent datadog-fips-proxy");
    host.host.changed_by(&["install", "--hold"], false);
    host.host.changed_by(&["install"], false);
    host.host.serve(Repo::Good);
    // The package manager itself leaves them alone.
    host.host.sh(match suite {
        Suite::El9 => "dnf -qy --refresh upgrade",
        Suite::Sles15 => "zypper -qn refresh && zypper -qn update",
        _ => "apt-get -qq update && apt-get -qqy upgrade",
    });
    host.host.has("7.58.2", "1.1.14");
    host.refuses(host.host.asked(&["install", "--upgrade"]), 4, &["datadog-agent", "on hold", "7.78.1", "--hold=off"]);
    host.host.changed_by(&["install", "--upgrade", "--hold"], true);
    host.host.has("7.78.1", "1.1.14");
    assert_eq!(host.host.on_hold(), "datadog-agent datadog-fips-proxy");
    host.host.changed_by(&["install", "--hold=off"], true);
    assert_eq!(host.host.on_hold(), "");
    host.host.changed_by(&["install", "--hold=off"], false);
}

impl Host {
    /// Runs it, and compares the whole tree.
    #[track_caller]
    fn changed_by(&self, args: &[&str], change: bool) {
        let before = self.quiet_tree();
        let run = self.asked(args).run().exits(0);
        let changes = self.quiet_tree().changes_since(&before);
        assert_eq!(!changes.is_empty(), change, "{args:?} {changes:#?}\n{run}");
    }
}
