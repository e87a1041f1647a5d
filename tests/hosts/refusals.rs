//! What is refused leaves no trace: the tree is as before, the exit code is the documented one, the message names
//! the cause. One booted host hears many refusals.

use super::common::*;
use crate::lab::{Host, Invocation, KEY, Keys, Repo, Run, Suite};

/// A host on which nothing may change, refusal after refusal.
pub(super) struct Untouched {
    pub(super) host: Host,
}

impl Untouched {
    pub(super) fn new(host: Host) -> Untouched {
        Untouched { host }
    }

    #[track_caller]
    pub(super) fn refuses(&self, what: Invocation, status: i32, says: &[&str]) -> Run {
        let before = self.host.asking_tree();
        let run = what.run().exits(status);
        for text in says {
            assert!(run.stderr.contains(text), "{text:?} is not said\n{run}");
        }
        assert!(run.stderr.contains("nothing was changed"), "{run}");
        assert!(run.stderr.contains("to do: "), "{run}");
        assert!(!run.stderr.contains("panicked") && !run.stderr.contains(KEY), "{run}");
        let changes = self.host.asking_tree().changes_since(&before);
        assert!(changes.is_empty(), "{changes:#?}\n{run}");
        run
    }

    pub(super) fn install(&self) -> Invocation {
        self.host.asked(&["install"])
    }
}

#[test]
fn input_that_cannot_be_meant() {
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot());
    host.refuses(host.install().env("DD_SITE", "datadoghq.eu"), 2, &["DD_SITE", "ddog-gov.com", "datadoghq.eu"]);
    host.refuses(host.install().env("DD_AGENT_MINOR_VERSION", "40"), 2, &["DD_AGENT_MINOR_VERSION", "7.41"]);
    host.refuses(host.install().env("DD_API_KEY", ""), 2, &["DD_API_KEY"]);
    host.refuses(host.install().env("DD_FIPS_MODE", "perhaps"), 2, &["DD_FIPS_MODE", "perhaps"]);
    host.refuses(host.install().env("DD_REPO_KEY_FINGERPRINTS", "abc"), 2, &["DD_REPO_KEY_FINGERPRINTS", "abc"]);
    host.refuses(host.install().env("TESTING_APT_URL", "x [trusted=yes]"), 2, &["TESTING_APT_URL"]);
    let both = host.install().env("DD_SITE", "datadoghq.eu").env("DD_AGENT_MINOR_VERSION", "40");
    host.refuses(both, 2, &["2 mistakes", "DD_SITE", "DD_AGENT_MINOR_VERSION"]);
    host.refuses(host.host.asked(&["install", "--api-key-file", "/nowhere"]), 2, &["DD_API_KEY_FILE", "/nowhere"]);
    host.host.asked(&["install", "--api-key", KEY]).run().exits(2).says("--api-key");
    assert_eq!(host.host.all_requests().len(), 0, "nothing is asked before the input is right");
}

#[test]
fn what_the_files_of_the_host_say_against_it() {
    files_say_against_it(Suite::Bookworm);
}

pub(super) fn files_say_against_it(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    let yaml = |text: &str| host.host.write(DATADOG, text, "root:root", 0o640);
    let unnamed = || host.install().env("DD_SITE", "");
    yaml(&format!("api_key: {KEY}\nsite: datadoghq.eu\n"));
    host.refuses(unnamed(), 2, &["datadoghq.eu", "DD_SITE=ddog-gov.com"]);
    yaml(&format!("api_key: {KEY}\n"));
    host.refuses(unnamed(), 2, &["datadoghq.com", "DD_SITE=ddog-gov.com"]);
    yaml(&format!("api_key: {KEY}\ndd_url: https://app.us5.datadoghq.com\n"));
    host.refuses(unnamed(), 2, &["us5.datadoghq.com"]);
    yaml("site: ddog-gov.com\napi_key:\n");
    host.refuses(host.install().env("DD_API_KEY", ""), 2, &["DD_API_KEY", DATADOG]);
    yaml(&format!("api_key: {KEY}\nfips:\n  enabled: true\n"));
    host.refuses(host.install().env("DD_FIPS_MODE", "0"), 2, &["DD_FIPS_MODE", "--allow-fips-off"]);

    yaml("api_key: x\ntags:\n  - a\n bad: [\n");
    let run = host.refuses(host.install(), 7, &[DATADOG]);
    assert!(run.stderr.contains("line 4") || run.stderr.contains("line 3"), "{run}");
    yaml("api_key: x\nfips:\n  enabled: false\nsite: y\nfips:\n  enabled: false\n");
    host.refuses(host.install(), 7, &[DATADOG, "line 5", "fips"]);
    yaml("api_key: x\nfips: [1, 2]\n");
    host.refuses(host.install(), 7, &[DATADOG, "fips"]);
    yaml("api_key: x\n");
    host.host.write(SYSPROBE, "runtime_security_config: on purpose\n", "root:root", 0o640);
    host.refuses(host.install(), 7, &[SYSPROBE, "runtime_security_config"]);
    host.host.write(SYSPROBE, "\tno: yaml\n", "root:root", 0o640);
    host.refuses(host.install(), 7, &[SYSPROBE, "line 1"]);
    assert_eq!(host.host.all_requests().len(), 0, "files are merged before the network is asked");
}

#[test]
fn a_host_that_will_not_do() {
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot());
    let debian = host.host.read("/etc/os-release");
    let release = |text: &str| host.host.write("/etc/os-release", text, "root:root", 0o644);
    release("ID=debian\nVERSION_ID=\"7\"\nPRETTY_NAME=\"Debian GNU/Linux 7 (wheezy)\"\n");
    host.refuses(host.install(), 3, &["Debian GNU/Linux 7 (wheezy)"]);
    release("ID=debian\nVERSION_ID=\"9\"\nPRETTY_NAME=\"Debian GNU/Linux 9 (stretch)\"\n");
    host.refuses(host.install(), 3, &["CWS", "debian 10"]);
    let of = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/distributions");
        std::fs::read_to_string(folder.join(format!("{name}.os-release"))).expect(name)
    };
    // What was detected, why it is not supported, and what may be done instead.
    for (name, id, why) in [
        ("alpine-3.20", "ID=alpine", "another C library (musl)"),
        ("arch", "ID=arch", "neither deb nor rpm"),
        ("nixos-24.05", "ID=nixos", "neither deb nor rpm"),
        ("gentoo", "ID=gentoo", "neither deb nor rpm"),
        ("photon-5.0", "ID=photon", "the vendor builds none for it"),
    ] {
        release(&of(name));
        host.refuses(host.install(), 3, &[&format!("({id}"), why, "run the Agent as a container here"]);
    }
    release(&of("corporate-debian"));
    host.refuses(host.install(), 3, &["ID=excorp", "--assume-distribution debian:12"]);
    for malformed in ["ID='\n", "", "ID=\"\n=\n\u{0}\n"] {
        release(malformed);
        host.refuses(host.install(), 3, &["os-release"]);
    }
    release(&debian);
    host.host.sh("touch /run/ostree-booted");
    host.refuses(host.install(), 3, &["/run/ostree-booted", "datadog-fips-proxy", "in the build of the image"]);
    host.host.sh("rm /run/ostree-booted");

    host.refuses(host.install().user("nobody"), 4, &["root", "sudo"]);
    host.host.sh(SQUATTER);
    host.host.wait_until("ss -Hltn | grep -q :9804");
    host.refuses(host.install(), 4, &["9804", "perl", "process "]);
    assert_eq!(host.host.all_requests().len(), 0);
    host.host.sh("systemctl stop squatter");
    host.host.install().exits(0);

    // Now it is a FIPS host.
    host.host.wait_until("grep -q 202 /var/log/datadog/agent.log");
    let off = || host.install().env("DD_FIPS_MODE", "0");
    host.refuses(off(), 2, &["DD_FIPS_MODE", "--allow-fips-off"]);
    let elsewhere = || host.install().env("DD_FIPS_MODE", "").env("DD_SITE", "datadoghq.com");
    host.refuses(elsewhere(), 2, &["DD_SITE", "ddog-gov.com"]);
}

#[test]
fn a_disk_without_room() {
    no_room(Suite::Bookworm);
}

pub(super) fn no_room(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).tmpfs("/opt", "64K").boot());
    host.refuses(host.install(), 4, &["/opt", "MB"]);
    host.host.sh("umount /opt");
    // Another file system for /var, with little room on it.
    host.host.sh(
        "mkdir /room; mount -t tmpfs -o size=128M,mode=755 none /room; cp -a /var/. /room/; mount --bind /room /var
         dd if=/dev/zero of=/var/ballast bs=1M count=$(($(df -m --output=avail /var | tail -1) - 8)) status=none",
    );
    // (Whoever reads rpm's database makes files beside it, and zypper a cookie of its own.)
    let list = "find /var -xdev ! -path '/var/log/*' ! -path '/var/lib' ! -path '/var/lib/rpm*' ! -path '/var/lib/YaST2*' \
                ! -path /var/tmp -printf '%p %s %m %u %T@\\n' | sort";
    let before = host.host.sh(list);
    host.refuses(host.install(), 4, &["/var", "MB"]);
    assert_eq!(host.host.sh(list), before);
    host.host.sh("rm /var/ballast");
    host.host.install().exits(0);
}

pub(super) fn repositories_that_cannot_be_trusted(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    for (repo, says) in [
        (Repo::Stranger, "sign"),
        (Repo::Expired, "sign"),
        (Repo::Unsigned, "not signed"),
        (Repo::Tampered, if suite.is_rpm() { "checksum" } else { "Packages" }),
        (Repo::Missing, "404"),
    ] {
        host.host.serve(repo);
        host.refuses(host.install(), 5, &[suite.repository_host(), says]);
    }
    if suite.is_rpm() {
        host.host.serve(Repo::Forged);
        host.refuses(host.install(), 5, &["yum.datadoghq.com", "changed after it was signed"]);
    }
    host.host.serve(Repo::Old);
    host.refuses(host.install(), 4, &["7.41", "7.40.1"]);
    host.host.serve(Repo::Good);
    // Nobody vouched for the lab's key.
    host.refuses(host.install().env("DD_REPO_KEY_FINGERPRINTS", ""), 5, &["keys.datadoghq.com", "trusted"]);
    host.refuses(host.install().env("DD_AGENT_MINOR_VERSION", "57"), 5, &["7.57", "7.58.2"]);
    host.host.install().exits(0);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn repositories_that_cannot_be_trusted_on_bullseye() {
    repositories_that_cannot_be_trusted(Suite::Bullseye);
}

#[test]
fn repositories_that_cannot_be_trusted_on_bookworm() {
    repositories_that_cannot_be_trusted(Suite::Bookworm);
}

#[test]
fn repositories_that_cannot_be_trusted_on_trixie() {
    repositories_that_cannot_be_trusted(Suite::Trixie);
}

#[test]
fn key_hosts_that_give_no_key() {
    no_key_is_given(Suite::Bookworm);
}

pub(super) fn no_key_is_given(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    for (keys, says) in [
        (Keys::NotFound, "404"),
        (Keys::Html, "key"),
        (Keys::Empty, "empty"),
        (Keys::Stranger, "trusted"),
        (Keys::Expired, "expired"),
        (Keys::Revoked, "revoked"),
    ] {
        host.host.serve_keys(keys);
        let trusted = ["signing", "expired", "revoked"].map(crate::lab::fingerprint).join(",");
        let install = host.install().env("DD_REPO_KEY_FINGERPRINTS", &trusted);
        host.refuses(install, 5, &["keys.datadoghq.com", says]);
    }
    assert!(host.host.requests(suite.repository_host()).is_empty(), "without a key nothing is fetched");
    let nowhere = host.install().env("TESTING_KEYS_URL", "http://127.0.0.9");
    host.refuses(nowhere, 5, &["127.0.0.9"]);
    host.host.serve_keys(Keys::Good);
    let nowhere = host.install().env(suite.repository_variable(), "http://127.0.0.9");
    host.refuses(nowhere, 5, &["127.0.0.9"]);
}
