//! The resource of the Chef cookbook against a real host, under a stand-in of Chef's resource DSL (packaging/chef/test).

use super::common::*;
use crate::lab::{Host, KEY, Suite, fingerprint, folder};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const COOKBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/chef");

fn setup() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/setup/ruby.sh");
    assert!(Command::new(script).status().expect(script).success());
}

/// Ruby runs out here; the resource's `path` is a script that runs ddinstall in the host.
struct Chef {
    folder: tempfile::TempDir,
    settings: Value,
}

impl Chef {
    fn new(host: &Host) -> Chef {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ddinstall");
        let script = format!(
            "#!/bin/sh\n[ -z \"$DD_SITE$REPO_URL\" ] || exit 99\nexport DDINSTALL_LAB={}\nexec {}/tests/lab/host.sh exec {} /usr/local/bin/ddinstall \"$@\"\n",
            crate::lab::folder().display(),
            env!("CARGO_MANIFEST_DIR"),
            host.name()
        );
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        let settings = json!({
            "site": "ddog-gov.com", "fips_mode": true, "runtime_security_config_enabled": true, "hostname": null,
            "repo_key_fingerprints": [fingerprint("signing")],
        });
        Chef { folder, settings }
    }

    fn runs(&self, action: &[&str]) -> Value {
        let path = self.folder.path().join("ddinstall");
        let properties = json!({ "path": path, "api_key": KEY, "settings": self.settings });
        let mut child = Command::new("ruby")
            .arg("-w")
            .arg(format!("{COOKBOOK}/test/run.rb"))
            .args(action)
            // What was not asked for.
            .env("DD_SITE", "datadoghq.com")
            .env("REPO_URL", "nowhere.test")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ruby");
        child.stdin.take().expect("stdin").write_all(properties.to_string().as_bytes()).expect("a reader");
        let output = child.wait_with_output().expect("wait");
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && errors.is_empty(), "{text}{errors}");
        assert!(!text.contains(KEY), "{text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

#[test]
#[ignore = "ruby and rubocop: --long"]
fn the_resource_converges_a_node_and_then_finds_it_up_to_date() {
    setup();
    assert!(folder().is_dir());
    let host = Host::fresh(Suite::Bookworm).boot();
    let mut chef = Chef::new(&host);
    let before = host.quiet_tree();
    // Without an Agent, and where none is asked for, there is nothing to check.
    let asked = std::mem::replace(&mut chef.settings, json!({}));
    let failed = chef.runs(&["verify"])["failed"].to_string();
    assert!(failed.contains("there is no Datadog Agent") && failed.contains("to do: "), "{failed}");
    chef.settings = asked;
    let done = chef.runs(&["install", "why-run"]);
    let said = done["said"].to_string();
    assert!(done["updated"] == true && said.contains("+deb [signed-by="), "{done:#}");
    assert!(done["resource"].as_str().is_some_and(|text| text.contains("api_key *sensitive*")), "{done:#}");
    host.changed_nothing_since(&before);
    assert_eq!(chef.runs(&["install"])["updated"], true);
    host.verify().exits(0);
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY);
    let before = host.quiet_tree();
    let done = chef.runs(&["install"]);
    assert_eq!((&done["updated"], &done["said"]), (&json!(false), &json!([])), "{done:#}");
    assert_eq!(chef.runs(&["verify"])["updated"], false);
    host.changed_nothing_since(&before);
    host.sh("systemctl stop datadog-fips-proxy");
    let failed = chef.runs(&["verify"])["failed"].to_string();
    assert!(failed.contains("unit.datadog-fips-proxy") && failed.contains("proxy.ports"), "{failed}");
    assert_eq!(chef.runs(&["install"])["said"], json!(["start datadog-fips-proxy.service\nit does not run"]));
    chef.settings["site"] = json!("datadoghq.eu");
    let failed = chef.runs(&["install"])["failed"].to_string();
    for text in ["DD_SITE", "state: nothing was changed", "to do: "] {
        assert!(failed.contains(text), "{text}: {failed}");
    }
    // Before the recipe has put it there, why-run says what it can.
    fs::remove_file(chef.folder.path().join("ddinstall")).expect("the script");
    assert!(chef.runs(&["install", "why-run"])["said"].to_string().contains("not there yet"));
    assert!(chef.runs(&["install"])["failed"].to_string().contains("cannot be run"));
}

#[test]
#[ignore = "ruby and rubocop: --long"]
fn the_cookbooks_ruby_is_clean() {
    setup();
    let files =
        ["metadata.rb", "libraries/runner.rb", "resources/ddinstall.rb", "recipes/default.rb", "attributes/default.rb"];
    for file in files.iter().chain(&["test/stand_in.rb", "test/run.rb"]) {
        let output = Command::new("ruby").args(["-wc", file]).current_dir(COOKBOOK).output().expect("ruby");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let output = Command::new("rubocop").args(["--cache", "false"]).current_dir(COOKBOOK).output().expect("rubocop");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
