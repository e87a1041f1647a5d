//! Receipts of earlier formats are read, and what they say is taken back.

use super::common::*;
use crate::lab::{Host, Suite};
use serde_json::Value;

const RECEIPT: &str = "/var/lib/ddinstall/receipt.json";
/// Written by the version of that format, on a host of the lab.
const FORMAT_1: &str = include_str!("../fixtures/receipt-format-1.json");

#[test]
fn a_receipt_of_the_first_format_is_read() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.sh("mkdir -m 700 /var/lib/ddinstall");
    host.write(RECEIPT, FORMAT_1, "root:root", 0o600);
    let run = host.ddinstall(&["rollback", "--dry-run"]).run().exits(0);
    for line in [
        "remove datadog-agent, datadog-fips-proxy",
        &format!("remove {DATADOG}"),
        &format!("remove {PROXY_CFG}"),
        "take dd-agent out of the group systemd-journal",
        "stop datadog-agent.service, which did not run before",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{run}");
    }
    // Of what it describes nothing is there: so nothing is left to do, and that is no failure.
    host.ddinstall(&["rollback"]).run().exits(0);
    host.ddinstall(&["rollback"]).run().exits(0).says("Nothing to do");
}

#[test]
fn a_run_of_the_first_format_is_taken_back() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let before = host.state();
    host.install().exits(0);
    let mut receipt: Value = serde_json::from_str(&host.read(RECEIPT)).expect("JSON");
    receipt["format"] = 1.into();
    for step in receipt["runs"][0]["steps"].as_array_mut().expect("steps") {
        let undos = step["undo"].as_array_mut().expect("undos");
        undos.retain(|undo| !["restore_attributes", "new_user"].iter().any(|new| undo["undo"] == *new));
        for undo in undos {
            let undo = undo.as_object_mut().expect("an undo");
            undo.remove("folders");
            undo.remove("by");
        }
    }
    host.write(RECEIPT, serde_json::to_vec(&receipt).expect("JSON"), "root:root", 0o600);
    host.ddinstall(&["rollback"]).run().exits(0);
    assert_eq!((host.installed("datadog-agent"), host.installed("datadog-fips-proxy")), (None, None));
    // That format did not know which folders were new: what is in them stays, but for what we wrote.
    let stays = ["/etc/datadog-agent", "/opt/datadog-agent", "/etc/datadog-fips-proxy", "/opt/datadog-fips-proxy"];
    let mut now = host.state().without(&stays);
    now.packages.retain(|line| !line.contains("deinstall ok config-files"));
    now.equals(&before);
    for path in [DATADOG, SYSPROBE, SECURITY, PROXY_CFG, PROXY_LOGS] {
        assert!(!host.exists(path), "{path}");
    }
}

#[test]
fn a_receipt_of_a_later_format_is_left_alone() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.sh("mkdir -m 700 /var/lib/ddinstall");
    let later = FORMAT_1.replacen("\"format\": 1", "\"format\": 99", 1);
    assert_ne!(later, FORMAT_1);
    for text in [later.as_str(), "{\"format\": ", ""] {
        host.write(RECEIPT, text, "root:root", 0o600);
        for run in [host.install(), host.ddinstall(&["rollback"]).run(), host.ddinstall(&["uninstall"]).run()] {
            let run = run.exits(4).says(RECEIPT);
            assert!(run.stderr.contains("to do:"), "{run}");
        }
        assert_eq!(host.read(RECEIPT), text);
    }
}
