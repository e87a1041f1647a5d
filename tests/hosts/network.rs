//! Hosts that reach repositories through a proxy that wants a password, or have a private mirror that wants one and
//! is certified by an authority of its own. No password is shown to another user.

use super::refusals::Untouched;
use super::secrets::{files_with, no_process_shows, says_no};
use crate::lab::{Host, Invocation, KEY, MIRROR_PASSWORD, MIRROR_USER, PROXY, PROXY_PASSWORD, Run, Suite, set};

const CA: &str = "/root/private-ca.pem";

/// The file in which a mirror's password is kept.
fn credentials(suite: Suite) -> &'static str {
    match suite {
        Suite::El9 => "/etc/dnf/vars/ddinstall_password",
        Suite::Sles15 => "/etc/zypp/credentials.d/ddinstall",
        _ => "/etc/apt/auth.conf.d/ddinstall.conf",
    }
}

fn with_password(password: &str) -> String {
    PROXY.replace("http://", &format!("http://lab:{password}@"))
}

pub(super) fn through_a_proxy(suite: Suite, variable: &str) {
    let host = Untouched::new(Host::fresh(suite).behind_proxy().boot());
    host.refuses(host.install(), 5, &["keys.datadoghq.com", "resolved"]);
    host.refuses(host.install().env(variable, PROXY), 5, &["proxy", "user name and a password"]);
    let wrong = host.refuses(host.install().env(variable, &with_password("wrong-passw0rd")), 5, &["proxy"]);
    says_no(&wrong, &["wrong-passw0rd"]);
    assert!(host.host.all_requests().is_empty());

    let install = host.install().env(variable, &with_password(PROXY_PASSWORD));
    let (run, sample) = host.host.sampling(|| install.run());
    let run = run.exits(0);
    let log = host.host.proxy_log();
    for name in ["keys.datadoghq.com", suite.repository_host()] {
        assert!(log.contains(&format!("CONNECT {name}:443")), "{name}\n{log}");
    }
    no_process_shows(&sample, PROXY_PASSWORD);
    assert_eq!(sample.in_environments(PROXY_PASSWORD).len(), 1, "the sampling saw ddinstall itself");
    says_no(&run, &[PROXY_PASSWORD, KEY]);
    assert!(!host.host.sh("journalctl --no-pager -o verbose").contains(PROXY_PASSWORD));
    assert_eq!(files_with(&host.host, PROXY_PASSWORD), []);
    host.host.verify().exits(0);
    // The second run needs no network.
    let before = host.host.quiet_tree();
    host.host.install().exits(0);
    host.host.changed_nothing_since(&before);
}

#[test]
fn through_a_proxy_that_wants_a_password_on_bookworm() {
    through_a_proxy(Suite::Bookworm, "HTTPS_PROXY");
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn through_a_proxy_that_wants_a_password_on_bullseye() {
    through_a_proxy(Suite::Bullseye, "DD_REPO_PROXY");
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn through_a_proxy_that_wants_a_password_on_trixie() {
    through_a_proxy(Suite::Trixie, "https_proxy");
}

#[test]
fn hosts_that_are_excepted_from_the_proxy_are_reached_directly() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let install = host.asked(&["install", "--proxy", "http://127.0.0.9:3128"]);
    install.env("NO_PROXY", "localhost, .datadoghq.com").run().exits(0);
}

impl Host {
    fn mirrored(&self, args: &[&str], password: &str) -> Invocation {
        let password = password.replace('/', "%2F");
        let at = |folder: &str| format!("https://{MIRROR_USER}:{password}@private.test/{folder}");
        let asked = self.asked(&[&["install"], args].concat());
        asked.env(self.suite().repository_variable(), &at("dd")).env("TESTING_KEYS_URL", &at("keys"))
    }
}

/// Nobody else's configuration turns the check of certificates off.
fn unchecked_by_others(host: &Untouched) {
    let (path, own, off) = match host.host.suite() {
        Suite::El9 => ("/etc/dnf/dnf.conf", host.host.read("/etc/dnf/dnf.conf"), "sslverify=0\n"),
        // zypper has no such setting but in the address of a repository.
        Suite::Sles15 => return,
        _ => {
            let off = "Acquire::https::private.test { Verify-Peer \"false\"; Verify-Host \"false\"; };\n";
            ("/etc/apt/apt.conf.d/99unchecked", String::new(), off)
        }
    };
    host.host.write(path, format!("{own}{off}"), "root:root", 0o644);
    let unchecked = host.host.mirrored(&[], MIRROR_PASSWORD).env("TESTING_KEYS_URL", "keys.datadoghq.com");
    host.refuses(unchecked, 5, &["private.test", "certificate"]);
    host.host.write(path, own, "root:root", 0o644);
}

/// The authority is one of the host's. (The stand-in for SLES has Debian's folder for them.)
fn trust(host: &Host, authority: &str) {
    host.write("/usr/local/share/ca-certificates/private.crt", authority, "root:root", 0o644);
    host.sh("update-ca-certificates 2>&1");
}

pub(super) fn from_a_private_mirror(suite: Suite) {
    let host = Untouched::new(Host::fresh(suite).boot());
    let authority = std::fs::read_to_string(set().join("mirror/ca.crt")).expect("the authority");
    host.host.write(CA, &authority, "root:root", 0o644);
    let mut with_ca = &["--ca-file", CA][..];
    host.refuses(host.host.mirrored(&[], MIRROR_PASSWORD), 5, &["private.test", "certificate", "--ca-file"]);
    unchecked_by_others(&host);
    let wrong = host.refuses(host.host.mirrored(with_ca, "wrong-passw0rd"), 5, &["private.test", "password"]);
    says_no(&wrong, &["wrong-passw0rd"]);
    host.host.write(CA, "no certificate", "root:root", 0o644);
    host.refuses(host.host.mirrored(with_ca, MIRROR_PASSWORD), 2, &["DD_REPO_CA_FILE", CA]);
    host.host.write(CA, &authority, "root:root", 0o644);
    if suite == Suite::Sles15 {
        host.refuses(host.host.mirrored(with_ca, MIRROR_PASSWORD), 4, &["zypper", "update-ca-certificates"]);
        with_ca = &[];
        trust(&host.host, &authority);
    }

    let seen = host.host.all_requests().len();
    let install = host.host.mirrored(with_ca, MIRROR_PASSWORD);
    let (run, sample) = host.host.sampling(|| install.run());
    let run = run.exits(0);
    assert_eq!(run.stdout.contains("--ca-file counts for ddinstall alone"), !with_ca.is_empty(), "{run}");
    let shown = [MIRROR_PASSWORD, &MIRROR_PASSWORD.replace('/', "%2F")];
    for secret in shown {
        no_process_shows(&sample, secret);
        assert!(!host.host.sh("journalctl --no-pager -o verbose").contains(secret));
    }
    says_no(&run, &shown);
    says_no(&run, &[KEY]);
    assert_eq!(files_with(&host.host, shown[0]), [(credentials(suite).to_owned(), 0o600)]);
    assert_eq!(host.host.owner(credentials(suite)), "root:root");
    assert_eq!(files_with(&host.host, shown[1]), []);
    let entry = host.host.read(suite.repository_files()[0]);
    assert!(entry.contains("https://private.test/dd/"), "{entry}");
    let hosts = host.host.all_requests().split_off(seen);
    let vendor = |r: &String| r.contains(suite.repository_host()) || r.contains("keys.datadoghq.com");
    assert!(!hosts.iter().any(vendor), "{hosts:#?}");
    host.host.verify().exits(0);
    let before = host.host.quiet_tree();
    host.host.mirrored(with_ca, MIRROR_PASSWORD).run().exits(0);
    host.host.changed_nothing_since(&before);
}

#[test]
fn from_a_private_mirror_on_bookworm() {
    from_a_private_mirror(Suite::Bookworm);
}

#[test]
#[ignore = "another release stands for it; --long runs it"]
fn from_a_private_mirror_on_bullseye() {
    from_a_private_mirror(Suite::Bullseye);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn from_a_private_mirror_on_trixie() {
    from_a_private_mirror(Suite::Trixie);
}

#[test]
fn a_password_that_every_user_could_read_is_refused() {
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot());
    let refused = |run: Run| says_no(&run, &[PROXY_PASSWORD]);
    let address = with_password(PROXY_PASSWORD);
    refused(host.refuses(host.host.asked(&["install", "--proxy", &address]), 2, &["--proxy", "DD_REPO_PROXY"]));
    let clear = host.install().env("TESTING_APT_URL", &address);
    refused(host.refuses(clear, 2, &["TESTING_APT_URL", "https only"]));
    host.host.write("/root/install.yaml", format!("proxy: {address}\n"), "root:root", 0o644);
    let file = host.host.asked(&["install", "--file", "/root/install.yaml"]);
    refused(host.refuses(file, 2, &["install.yaml", "proxy"]));
    assert!(host.host.all_requests().is_empty());
}
