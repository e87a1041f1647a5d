//! Many runs at once: one acts, the others wait or say who acts.

use super::common::*;
use crate::lab::{Host, Suite};

const RUNS: usize = 20;

#[test]
fn of_twenty_runs_at_once_one_acts() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let children: Vec<_> = (0..RUNS).map(|_| host.asked(&["install"]).spawn()).collect();
    let mut acted = 0;
    for child in children {
        let output = child.wait_with_output().expect("wait");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) if stdout.contains("Nothing to do") => {}
            Some(0) => acted += 1,
            Some(4) => assert!(stderr.contains("another run of ddinstall (process "), "{stderr}"),
            other => panic!("{other:?}\n{stdout}\n{stderr}"),
        }
    }
    assert_eq!(acted, 1);
    for unit in UNITS {
        assert_eq!(host.starts(unit), 1, "{unit}");
    }
    let receipt: serde_json::Value = serde_json::from_str(&host.read("/var/lib/ddinstall/receipt.json")).expect("JSON");
    assert_eq!(receipt["runs"].as_array().map(Vec::len), Some(1));
    host.verify().exits(0);
}

#[test]
fn who_may_not_wait_is_told_who_acts() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let first = host.asked(&["install"]).spawn();
    host.wait_until(20, "test -s /var/lib/ddinstall/lock");
    let holder = host.read("/var/lib/ddinstall/lock");
    let run = host.asked(&["install"]).env("DD_LOCK_WAIT", "0").run().exits(4);
    assert!(run.stderr.contains(&format!("process {}", holder.trim())), "{run}");
    let run = host.ddinstall(&["rollback"]).env("DD_LOCK_WAIT", "0").run();
    // Before the first step is noted, there is nothing that could be taken back.
    assert!(run.status == Some(4) || run.stdout.contains("Nothing to do"), "{run}");
    assert_eq!(first.wait_with_output().expect("wait").status.code(), Some(0));
    host.verify().exits(0);
}
