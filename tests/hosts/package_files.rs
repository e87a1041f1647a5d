//! Packages that the operator has as files: no repository is asked, and what could not be checked is said.

use super::refusals::Untouched;
use crate::lab::{Host, Suite, set};

impl Host {
    /// Puts packages of the lab into /root, and names them as arguments.
    fn with_packages(&self, names: &[&str]) -> Vec<String> {
        let mut args = vec!["install".to_owned()];
        for name in names {
            let path = format!("/root/{name}_amd64.deb");
            let bytes = std::fs::read(set().join(format!("debs/{name}_amd64.deb"))).expect(name);
            self.write(&path, bytes, "root:root", 0o644);
            args.extend(["--package".to_owned(), path]);
        }
        args
    }
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

const AGENT: &str = "datadog-agent_7.58.2-1";
const PROXY: &str = "datadog-fips-proxy_1.1.14-1";

fn files_take_the_place_of_the_repository(suite: Suite) {
    let host = Host::fresh(suite).boot();
    let args = host.with_packages(&[AGENT, PROXY]);
    let plan = host.asked(&[&["plan"], &words(&args)[1..]].concat()).run().exits(0);
    assert!(plan.stdout.contains("7.58.2"), "{plan}");
    let run = host.asked(&words(&args)).run().exits(0);
    for name in [AGENT, PROXY] {
        assert!(run.stdout.contains(&format!("the signature of /root/{name}_amd64.deb")), "{run}");
    }
    run.says("was not checked").says("debsig-verify is not installed");
    assert_eq!(host.installed("datadog-agent").as_deref(), Some("1:7.58.2-1"));
    for name in ["apt.datadoghq.com", "keys.datadoghq.com"] {
        assert!(host.requests(name).is_empty(), "{:#?}", host.requests(name));
    }
    assert!(!host.exists("/etc/apt/sources.list.d/datadog.list"));
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
