//! Entries of the vendor's repository that other tools left in apt's sources: adopted or refused, never doubled.

use crate::lab::{Host, KEY, Repo, Run, Suite, fingerprint, set};

const OURS: &str = "/etc/apt/sources.list.d/datadog.list";
const KEYRING: &str = "/usr/share/keyrings/datadog-archive-keyring.gpg";

fn install(host: &Host) -> Run {
    let run = host.ddinstall(&["install"]).env("DD_API_KEY", KEY);
    run.env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run()
}

/// apt reads its sources and complains of nothing.
fn apt_is_content(host: &Host) {
    let said = host.sh("apt-get update 2>&1");
    assert!(!said.contains("W: ") && !said.contains("E: "), "{said}");
}

fn entry(options: &str) -> String {
    format!("deb {options} https://apt.datadoghq.com/ stable 7\n")
}

#[test]
fn an_entry_of_another_tool_is_used_as_it_is() {
    let stanza = format!(
        "# By the operations team\nTypes: deb\nURIs: https://apt.datadoghq.com\nSuites: stable\nComponents: 7\n\
         Signed-By: {KEYRING}\n"
    );
    let line = entry(&format!("[arch=amd64 signed-by={KEYRING}]"));
    for (suite, file, text) in [
        (Suite::Bullseye, "/etc/apt/sources.list.d/ansible_datadog_7.list", &line),
        (Suite::Bookworm, "/etc/apt/sources.list.d/vendor.sources", &stanza),
        (Suite::Trixie, "/etc/apt/sources.list.d/datadog.sources", &stanza),
    ] {
        let host = Host::fresh(suite).repo(Repo::Classic).file(file, text, "root:root", 0o644).boot();
        install(&host).exits(0).says(file).says("used as it is");
        assert_eq!((host.read(file), host.exists(OURS)), (text.clone(), false), "{file}");
        apt_is_content(&host);
        host.verify().exits(0);
        install(&host).exits(0).says("Nothing to do");
    }
}

#[test]
fn an_entry_with_a_keyring_of_its_own_is_used_if_its_keys_are_trusted() {
    let file = "/etc/apt/sources.list.d/corp.list";
    let text = entry("[signed-by=/etc/apt/keyrings/corp.gpg]");
    let key = std::fs::read(set().join("keys/signing.gpg")).expect("the lab's signing key");
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).file(file, &text, "root:root", 0o644);
    let host = host.file("/etc/apt/keyrings/corp.gpg", &key, "root:root", 0o644).boot();
    install(&host).exits(0).says("used as it is");
    assert_eq!((host.bytes("/etc/apt/keyrings/corp.gpg"), host.exists(OURS)), (key, false));
    apt_is_content(&host);
    host.verify().exits(0);
}

#[test]
fn an_entry_that_is_not_checked_or_cannot_stand_beside_ours_is_refused() {
    let file = "/etc/apt/sources.list.d/other.list";
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).boot();
    for (options, says) in [
        ("", "without Signed-By"),
        ("[trusted=yes]", "trusted=yes"),
        ("[allow-insecure=yes signed-by=/usr/share/keyrings/datadog-archive-keyring.gpg]", "allow-insecure=yes"),
        ("[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", "trusts another key, too"),
        ("[signed-by=/nowhere.gpg]", "no usable key"),
    ] {
        host.write(file, entry(options), "root:root", 0o644);
        let before = host.quiet_tree();
        let run = install(&host).exits(4).says(file).says(says).says("nothing was changed").says("to do: ");
        assert!(!run.stderr.contains("panicked"), "{run}");
        host.changed_nothing_since(&before);
    }
    // Where a package of the distribution is missing, what keeps its sources from being read is told.
    host.sh("dpkg --force-depends --remove haproxy");
    host.write(file, "deb [trusted=yes] http://127.0.0.1:1/ x main\n", "root:root", 0o644);
    let run = host.ddinstall(&["install"]).env("DD_API_KEY", KEY).env("DD_FIPS_MODE", "1");
    let run = run.env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run().exits(6);
    run.says("not all sources of this host could be read").says("something that they depend on is missing");
    // And as asked for, it goes on once the entry is gone.
    host.sh(&format!("rm {file}"));
    install(&host).exits(0);
    apt_is_content(&host);
}

#[test]
fn a_disabled_entry_stays_and_is_named() {
    let file = "/etc/apt/sources.list.d/datadog.sources";
    let text =
        "Enabled: no\nTypes: deb\nURIs: https://apt.datadoghq.com/\nSuites: stable\nComponents: 7\nTrusted: yes\n";
    let host = Host::fresh(Suite::Trixie).repo(Repo::Classic).file(file, text, "root:root", 0o644).boot();
    install(&host).exits(0).says(file).says("is disabled");
    assert_eq!(host.read(file), text);
    assert_eq!(host.read(OURS), entry(&format!("[signed-by={KEYRING}]")));
    apt_is_content(&host);
    host.verify().exits(0);
}

#[test]
fn in_our_own_file_comments_stay_and_nothing_is_doubled() {
    let old = "# By the operations team\ndeb [trusted=yes] https://apt.datadoghq.com/ stable 6\n# disabled on upgrade: deb https://apt.datadoghq.com/ stable 7\n";
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Classic).file(OURS, old, "root:root", 0o644).boot();
    install(&host).exits(0).says("trusted=yes is taken away");
    let ours = entry(&format!("[signed-by={KEYRING}]"));
    assert_eq!(host.read(OURS), old.replace("deb [trusted=yes] https://apt.datadoghq.com/ stable 6\n", &ours));
    apt_is_content(&host);
    host.verify().exits(0);
}
