//! Packages that the operator has as files: no repository is asked, and what could not be checked is said.

use super::refusals::Untouched;
use crate::lab::{Host, Suite, set};
use std::process::Command;

impl Host {
    /// Puts packages of the lab into /root, and names them as arguments.
    fn with_packages(&self, names: &[&str]) -> Vec<String> {
        self.with_packages_of("signing", names)
    }

    /// The same, with rpms that this key has signed.
    fn with_packages_of(&self, key: &str, names: &[&str]) -> Vec<String> {
        let mut args = vec!["install".to_owned()];
        for name in names {
            let path = at(self.suite(), name);
            let from = if self.suite().is_rpm() {
                format!("rpms/{key}/{name}_amd64.rpm")
            } else {
                format!("debs/{name}_amd64.deb")
            };
            let bytes = std::fs::read(set().join(&from)).expect(&from);
            self.write(&path, bytes, "root:root", 0o644);
            args.extend(["--package".to_owned(), path]);
        }
        args
    }
}

/// Where it lies on the host.
fn at(suite: Suite, name: &str) -> String {
    format!("/root/{name}_amd64.{}", if suite.is_rpm() { "rpm" } else { "deb" })
}

impl Host {
    /// The operator gives the key of the packages to rpm.
    fn trust_signing_key(&self) {
        let key = std::fs::read(set().join("keys/signing.asc")).expect("the key");
        self.write("/root/signing.asc", key, "root:root", 0o644);
        self.sh("rpm --import /root/signing.asc");
    }
}

/// Signed by a key that rpm knows, by nobody or by a stranger, and changed after it was signed.
pub(super) fn signatures_of_rpms(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    host.host.trust_signing_key();
    host.host.sh("touch /var/cache");
    let unchecked = |args: &[String], why: &str| {
        if suite == Suite::Sles15 {
            host.refuses(host.host.asked(&words(args)), 5, &[AGENT, "zypper takes no such file", why, "rpm --import"]);
        } else {
            let plan = host.host.asked(&[&["plan"], &words(args)[1..]].concat()).run().exits(0);
            assert!(plan.stdout.contains("was not checked") && plan.stdout.contains(why), "{plan}");
        }
    };
    let args = host.host.with_packages_of("stranger", &[AGENT, PROXY]);
    unchecked(&args, "it does not know that key");
    let agent = host.host.path(&at(suite, AGENT));
    let output = Command::new("rpmsign").arg("--delsign").arg(&agent).output().expect("rpmsign");
    assert!(output.status.success(), "{output:?}");
    unchecked(&args, "it has none");
    let args = host.host.with_packages(&[AGENT, PROXY]);
    let mut bytes = std::fs::read(&agent).expect("the package");
    bytes[20_000] ^= 1;
    std::fs::write(&agent, bytes).expect("the package");
    host.refuses(host.host.asked(&words(&args)), 5, &[AGENT, "does not match"]);
    assert!(host.host.all_requests().is_empty());
    let args = host.host.with_packages(&[AGENT, PROXY]);
    let run = host.host.asked(&words(&args)).run().exits(0);
    assert!(!run.stdout.contains("was not checked"), "{run}");
    host.host.verify().exits(0);
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

const AGENT: &str = "datadog-agent_7.58.2-1";
const PROXY: &str = "datadog-fips-proxy_1.1.14-1";

pub(super) fn files_take_the_place_of_the_repository(suite: Suite) {
    let host = Host::fresh(suite).boot();
    // zypper takes only what it can check.
    let checked = suite == Suite::Sles15;
    if checked {
        host.trust_signing_key();
    }
    let args = host.with_packages(&[AGENT, PROXY]);
    let plan = host.asked(&[&["plan"], &words(&args)[1..]].concat()).run().exits(0);
    assert!(plan.stdout.contains("7.58.2"), "{plan}");
    let run = host.asked(&words(&args)).run().exits(0);
    for name in [AGENT, PROXY] {
        assert_eq!(run.stdout.contains(&format!("the signature of {}", at(suite, name))), !checked, "{run}");
    }
    let why = if suite.is_rpm() { "it does not know that key" } else { "debsig-verify is not installed" };
    assert_eq!(run.stdout.contains("was not checked"), !checked, "{run}");
    assert_eq!(run.stdout.contains(why), !checked, "{run}");
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
    for name in [suite.repository_host(), "keys.datadoghq.com"] {
        assert!(host.requests(name).is_empty(), "{:#?}", host.requests(name));
    }
    assert!(!host.exists(suite.repository_files()[0]));
    assert!(!host.holds("ls -d /var/cache/tmp* /var/cache/.tmp* /var/cache/ddinstall*"), "our copies are gone");
    host.verify().exits(0);
    let before = host.asking_tree();
    host.asked(&words(&args)).run().exits(0);
    host.asking_changed_nothing_since(&before);
    // A newer file is an upgrade; an older one needs the word.
    let newer = host.with_packages(&["datadog-agent_7.78.1-1"]);
    host.asked(&words(&newer)).run().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.78.1-1"));
    let older = host.with_packages(&[AGENT]);
    host.asked(&words(&older)).run().exits(2).says("--allow-downgrade");
    host.asked(&[&words(&older)[..], &["--allow-downgrade"]].concat()).run().exits(0);
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
}

#[test]
fn files_take_the_place_of_the_repository_on_bookworm() {
    files_take_the_place_of_the_repository(Suite::Bookworm);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn files_take_the_place_of_the_repository_on_bullseye() {
    files_take_the_place_of_the_repository(Suite::Bullseye);
}

#[test]
fn files_that_are_not_what_is_needed() {
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot());
    host.host.sh("touch /var/cache");
    let refuses = |names: &[&str], status, says: &[&str]| {
        let args = host.host.with_packages(names);
        host.refuses(host.host.asked(&words(&args)), status, says)
    };
    refuses(&[AGENT], 4, &["datadog-fips-proxy is needed"]);
    refuses(&[AGENT, "datadog-agent_7.78.1-1", PROXY], 2, &["two of the files", "datadog-agent"]);
    let one = |file: &str| host.host.asked(&["install", "--package", file]);
    host.refuses(one("/root/absent.deb"), 2, &["/root/absent.deb"]);
    host.refuses(one("/root"), 2, &["/root is no regular file"]);
    host.host.write("/root/text.deb", "no package", "root:root", 0o644);
    host.refuses(one("/root/text.deb"), 2, &["/root/text.deb is no Debian package"]);
    let args = host.host.with_packages(&[AGENT, PROXY]);
    let pinned = host.host.asked(&words(&args)).env("DD_AGENT_MINOR_VERSION", "78");
    host.refuses(pinned, 2, &["7.58.2", "7.78", "was asked for"]);
    // A stand-in for debsig-verify, which finds a bad signature.
    host.host.write(
        "/usr/bin/debsig-verify",
        "#!/bin/sh\necho 'debsig: Verification group failed checks.'\nexit 13\n",
        "root:root",
        0o755,
    );
    host.refuses(host.host.asked(&words(&args)), 5, &[AGENT, "signature that does not match"]);
    assert!(host.host.all_requests().is_empty());
    // And one that finds a good one.
    host.host.write("/usr/bin/debsig-verify", "#!/bin/sh\nexit 0\n", "root:root", 0o755);
    let run = host.host.asked(&words(&args)).run().exits(0);
    assert!(!run.stdout.contains("was not checked"), "{run}");
}
