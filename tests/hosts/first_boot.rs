//! The examples of packaging/first-boot and packaging/cloud-init, as they are but for their three values.

use super::common::*;
use super::one_line::Release;
use super::secrets::files_with;
use crate::lab::{Host, KEY, Repo, Suite, fingerprint};
use std::fs;
use std::path::Path;

const DONE: &str = "/etc/ddinstall/first-boot.done";
const KEY_FILE: &str = "/etc/ddinstall/api_key";
const SETTINGS: &str = "/etc/ddinstall/install.yaml";

fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The example with something in place of one of its lines' ends.
fn with(text: String, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old}");
    text.replace(old, new)
}

fn settings() -> String {
    let trusted = fingerprint("signing");
    format!(
        "site: ddog-gov.com\nfips_mode: true\nruntime_security_config_enabled: true\nrepo_key_fingerprints: {trusted}\n"
    )
}

/// An image with the unit; what the test adds stands in a drop-in.
fn image(host: &Host) {
    host.write("/etc/systemd/system/ddinstall.service", example("first-boot/ddinstall.service"), "root:root", 0o644);
    // Before 232 systemd has no such variables.
    let sooner = "[Service]\nRestartSec=1\nUnsetEnvironment=EXIT_CODE EXIT_STATUS SERVICE_RESULT\n";
    host.write("/etc/systemd/system/ddinstall.service.d/sooner.conf", sooner, "root:root", 0o644);
}

fn runs(host: &Host) -> usize {
    host.sh("ls /var/log/ddinstall 2>/dev/null | wc -l").parse().expect("a number")
}

fn show(host: &Host, property: &str) -> String {
    host.sh(&format!("systemctl show -P {property} ddinstall.service"))
}

#[track_caller]
fn is_done_once(host: &Host) {
    host.wait_until(&format!("test -e {DONE}"));
    host.wait_until("test \"$(systemctl is-active ddinstall)\" = inactive");
    assert_eq!((show(host, "Result").as_str(), host.exists(KEY_FILE)), ("success", false));
    host.verify().exits(0);
    assert_eq!(files_with(host, KEY), [(DATADOG.to_owned(), 0o640)]);
    let journal = host.sh("journalctl --no-pager -o verbose");
    assert!(journal.contains("(CWS) is on") && !journal.contains(KEY), "{}", host.journal("ddinstall"));
    assert_eq!(
        host.sh("systemd-analyze verify --man=no /etc/systemd/system/ddinstall.service 2>&1 | grep ddinstall || true"),
        ""
    );
}

fn becomes_fips_and_cws_at_first_boot(suite: Suite) -> Host {
    let mut host = Host::fresh(suite).repo(Repo::Missing).boot();
    image(&host);
    host.sh("systemctl -q enable ddinstall.service");
    // Without settings nothing happens.
    host.poweroff();
    host.boot_again();
    assert_eq!((show(&host, "ConditionResult").as_str(), runs(&host)), ("no", 0));
    // The repository is not there yet, and comes.
    host.write(SETTINGS, settings(), "root:root", 0o600);
    host.write(KEY_FILE, KEY, "root:root", 0o600);
    host.poweroff();
    host.boot_again();
    host.wait_until("test \"$(systemctl show -P NRestarts ddinstall)\" -gt 0");
    assert!(!host.exists(DONE) && host.exists(KEY_FILE));
    host.serve(Repo::Good);
    is_done_once(&host);
    // Not again.
    let changing = runs(&host);
    host.poweroff();
    host.boot_again();
    assert_eq!((show(&host, "ConditionResult").as_str(), runs(&host)), ("no", changing));
    assert!(!host.sh("journalctl --no-pager -b -u ddinstall").contains("Started"));
    host.wait_until("ddinstall verify");
    host
}

#[test]
fn a_host_becomes_fips_and_cws_at_its_first_boot() {
    let host = becomes_fips_and_cws_at_first_boot(Suite::Bookworm);
    // Wrong input is not tried again, and no key that is still needed is deleted.
    host.sh(&format!("rm {DONE}; systemctl reset-failed"));
    host.write(SETTINGS, settings().replace("fips_mode: true", "fips_mode: perhaps"), "root:root", 0o600);
    host.write(KEY_FILE, KEY, "root:root", 0o600);
    host.sh("systemctl start ddinstall");
    host.wait_until("systemctl is-failed ddinstall");
    assert_eq!((show(&host, "ExecMainStatus").as_str(), show(&host, "NRestarts").as_str()), ("2", "0"));
    assert!(host.exists(KEY_FILE) && !host.exists(DONE));
    // A key that systemd keeps; another than before, so that it is seen to arrive.
    let other = KEY.replace("5ca1ab1e", "0ddba11e");
    host.sh(&format!("rm {KEY_FILE}; systemctl reset-failed"));
    host.write(SETTINGS, settings(), "root:root", 0o600);
    host.write("/etc/credstore/ddinstall.api_key", &other, "root:root", 0o600);
    let drop_in = "/etc/systemd/system/ddinstall.service.d/credential.conf";
    host.write(drop_in, example("first-boot/credential.conf"), "root:root", 0o644);
    host.sh("systemctl daemon-reload; systemctl start ddinstall");
    host.wait_until(&format!("test -e {DONE}"));
    assert_eq!(host.yaml(DATADOG)["api_key"], other);
    host.verify().exits(0);
}

#[test]
#[ignore = "bookworm stands for them: --long"]
fn other_distributions_become_fips_and_cws_at_their_first_boot() {
    for suite in [Suite::Bullseye, Suite::Trixie, Suite::El9, Suite::Sles15] {
        becomes_fips_and_cws_at_first_boot(suite);
    }
}

/// A host whose next boot is the first that cloud-init sees, with this user data.
fn with_user_data(host: &mut Host, text: &str) {
    // No metadata service, no network to set up, and no module but those that the examples use.
    let modules = "datasource_list: [NoCloud]\nnetwork: {config: disabled}\ncloud_init_modules: [bootcmd, write-files]\n\
        cloud_config_modules: [runcmd]\ncloud_final_modules: [scripts-user]\n";
    host.write("/etc/cloud/cloud.cfg.d/99-lab.cfg", modules, "root:root", 0o644);
    host.write("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: lab-1\n", "root:root", 0o600);
    host.write("/var/lib/cloud/seed/nocloud/user-data", text, "root:root", 0o600);
    host.sh("systemctl -q enable cloud-init-local cloud-init cloud-config cloud-final");
    host.poweroff();
    host.boot_again();
}

#[test]
fn the_user_data_is_valid() {
    let host = Host::fresh(Suite::Bookworm).with_layer("cloud").boot();
    for name in ["install", "prepared-image"] {
        host.write("/root/user-data", example(&format!("cloud-init/{name}.yaml")), "root:root", 0o600);
        let run = host.command(&["cloud-init", "schema", "-c", "/root/user-data"]).run().exits(0);
        assert!(run.says("Valid").stderr.is_empty());
    }
}

/// The example with a key, and with the lab's signing key.
fn filled(name: &str) -> String {
    let text = with(example(name), &format!("'{}'", "0".repeat(32)), &format!("'{KEY}'"));
    let trusted = format!("fips_mode: true\n      repo_key_fingerprints: {}\n", fingerprint("signing"));
    with(text, "fips_mode: true\n", &trusted)
}

#[test]
#[ignore = "several boots with cloud-init: --long"]
fn cloud_init_installs() {
    // Any image: by install.sh.
    let mut release = Release::new(Host::fresh(Suite::Bookworm).with_layer("cloud").boot());
    let text =
        with(filled("cloud-init/install.yaml"), "https://install.example.com/0.1.0", "https://install.mirror.test");
    let sum = release.sum_of_script();
    let text = with(text, &"0".repeat(64), &sum);
    with_user_data(&mut release.host, &text);
    let host = &release.host;
    host.command(&["cloud-init", "status", "--wait", "--long"]).run().exits(0).says("status: done");
    host.verify().exits(0);
    assert!(host.read("/var/log/cloud-init-output.log").contains("(CWS) is on"));
    assert!(!host.read("/var/log/cloud-init-output.log").contains(KEY));
    for (file, mode) in files_with(host, KEY) {
        let user_data = file.starts_with("/var/lib/cloud/") || file.starts_with("/run/cloud-init/");
        assert!(file == DATADOG || user_data && mode & 0o077 == 0, "{file} {mode:o}");
    }
    assert!(!host.holds("test -e /run/ddinstall.key"));
    // A script that is not the one whose sum is known is not run.
    let mut release = Release::new(Host::fresh(Suite::Bookworm).with_layer("cloud").boot());
    let text = with(text, &sum, &"1".repeat(64));
    with_user_data(&mut release.host, &text);
    let host = &release.host;
    assert_ne!(host.command(&["cloud-init", "status", "--wait", "--long"]).run().status, Some(0));
    assert!(!host.exists("/usr/local/bin/ddinstall") && host.installed("datadog-agent").is_none());
    assert!(!host.holds("test -e /run/ddinstall.key"));
}

#[test]
#[ignore = "several boots with cloud-init: --long"]
fn cloud_init_completes_a_prepared_image() {
    let mut host = Host::fresh(Suite::Bookworm).with_layer("cloud").boot();
    image(&host);
    host.sh("systemctl -q enable ddinstall.service");
    // Commands may come long after the unit has done its work: packages and upgrades of the user data are before them.
    let slow = format!("runcmd:\n  - [sh, -c, 'until test -e {DONE}; do sleep 1; done']\n");
    with_user_data(&mut host, &with(filled("cloud-init/prepared-image.yaml"), "runcmd:\n", &slow));
    host.command(&["cloud-init", "status", "--wait", "--long"]).run().exits(0).says("status: done");
    assert!(host.exists(DONE) && !host.exists(KEY_FILE));
    assert_eq!(show(&host, "Result"), "success");
    host.verify().exits(0);
    // A machine that was copied, with the marker and another key.
    let text = filled("cloud-init/prepared-image.yaml").replace(KEY, &KEY.replace("5ca1ab1e", "0ddba11e"));
    host.sh("cloud-init clean --logs");
    with_user_data(&mut host, &text);
    host.command(&["cloud-init", "status", "--wait", "--long"]).run().exits(0).says("status: done");
    host.wait_until(&format!("test -e {DONE} && ! test -e {KEY_FILE}"));
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY.replace("5ca1ab1e", "0ddba11e"));
    assert_eq!(show(&host, "Result"), "success");
}
