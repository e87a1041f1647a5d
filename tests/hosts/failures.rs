//! A step that is made to fail, at each position and in several ways: the host is what it was before.

use super::common::*;
use super::kills::{STRACE, TRACE, bring_strace, strace};
use super::state::State;
use crate::lab::{Host, Run, Suite};

const OPERATORS: &str = "# Managed by hand.\napi_key: 0ddba11cafe5ca1ab1edecafbadc0ffee\nsite: ddog-gov.com\n";
/// The system calls with which files and folders are written, and how many failures of each are tried by default.
const CALLS: [(&str, usize); 4] = [("renameat", 3), ("fsync", 2), ("mkdirat", 1), ("fchmod", 1)];
const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EROFS", "EDQUOT"];

/// An Agent of the operator's that runs.
fn existing() -> Host {
    let host = Host::fresh(Suite::Bookworm)
        .with_agent("7.58.2")
        .file(DATADOG, OPERATORS, "dd-agent:dd-agent", 0o640)
        .tmpfs("/etc/datadog-agent", "16M")
        .boot();
    host.wait_until("systemctl is-active datadog-agent");
    host
}

fn state(host: &Host) -> State {
    host.state().without(&[STRACE])
}

/// The run said what is the case, and it is.
fn is_as_before(host: &Host, before: &State, run: &Run) {
    assert_ne!(run.status, Some(0), "{run}");
    assert!(run.stderr.contains("taken back") || run.stderr.contains("nothing was changed"), "{run}");
    let changes = state(host).changes_since(before);
    assert!(changes.is_empty(), "{changes:#?}\n{run}");
    assert_eq!(host.sh("find / /run -xdev \\( -name 'ddinstall-*-*' -o -name '.ddinstall*' \\) -print"), "", "{run}");
}

/// Fails a system call of the installer by ptrace; each of them with DDINSTALL_LONG=1.
fn each_call_that_fails_is_taken_back(host: &Host) {
    bring_strace(host);
    let before = state(host);
    let calls = CALLS.map(|(call, _)| call).join(",");
    let run = host.asked_by(&strace(&["-e", &format!("trace={calls}"), "-o", TRACE])).run().exits(0);
    let trace = host.read(TRACE);
    host.ddinstall(&["rollback"]).run().exits(0);
    let changes = state(host).changes_since(&before);
    assert!(changes.is_empty(), "{changes:#?}\n{run}");
    let (mut failed, mut harmless) = (0, 0);
    for (call, tries) in CALLS {
        let count = trace.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
        assert!(count > tries, "{call}: {count}\n{trace}");
        let long = std::env::var_os("DDINSTALL_LONG").is_some_and(|v| v == "1");
        let positions: Vec<usize> = match long {
            true => (1..=count).collect(),
            // Spread over the whole run, and not its ends alone.
            false => (1..=tries).map(|n| n * count / (tries + 1)).collect(),
        };
        for position in positions {
            let error = ERRORS[failed % ERRORS.len()];
            let inject = format!("inject={call}:error={error}:when={position}");
            let trace = format!("trace={call}");
            let run = host.asked_by(&strace(&["-e", &trace, "-e", &inject, "-o", TRACE])).run();
            failed += 1;
            // Once the end of the run is noted, the proof alone is left to be written.
            if run.stderr.contains("only their proof could not be written") {
                host.ddinstall(&["rollback"]).run().exits(0);
                continue;
            }
            println!("{call} {position} of {count}, {error}: {:?}", run.status);
            // Our log's folder stays, so that a later run makes fewer calls than the first: none failed then. And whether it
            // lasts that a temporary folder of ours is gone from /run matters to nobody.
            let made = !host.read(TRACE).contains("INJECTED");
            if run.status == Some(0) && (made || call == "fsync") {
                harmless += 1;
                host.verify().exits(0);
                host.ddinstall(&["rollback"]).run().exits(0);
                let changes = state(host).changes_since(&before);
                assert!(changes.is_empty(), "{changes:#?}\n{run}");
                continue;
            }
            is_as_before(host, &before, &run);
        }
    }
    assert!(harmless <= 6, "{harmless} failures were not noticed");
    let line = format!("failed calls: {failed}, of no effect: {harmless}, all others taken back\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

#[test]
fn a_call_that_fails_on_a_fresh_host_is_taken_back() {
    each_call_that_fails_is_taken_back(&Host::fresh(Suite::Trixie).boot());
}

#[test]
fn a_call_that_fails_over_an_existing_agent_is_taken_back() {
    each_call_that_fails_is_taken_back(&existing());
}

#[test]
fn a_disk_that_is_full_at_any_point_is_taken_back() {
    let host = existing();
    let before = state(&host);
    let used: u32 = host.sh("df -k --output=used /etc/datadog-agent | tail -n 1").trim().parse().expect("a number");
    let mut failed = 0;
    // Kilobytes that are free.
    for free in [0, 4, 8, 64, 200, 320, 16_384] {
        host.sh(&format!("mount -o remount,size={}k /etc/datadog-agent", used + free));
        let run = host.install();
        if run.status == Some(0) {
            break;
        }
        is_as_before(&host, &before, &run.says("No space left"));
        failed += 1;
    }
    assert!(failed >= 3, "{failed}");
    host.verify().exits(0);
}

#[test]
fn a_state_folder_without_room_is_taken_back() {
    let host = Host::fresh(Suite::Bookworm).tmpfs("/var/lib/ddinstall", "16k").boot();
    let before = state(&host);
    let mut failed = 0;
    for size in ["8k", "12k", "16k", "24k", "40k", "16m"] {
        host.sh(&format!("mount -o remount,size={size} /var/lib/ddinstall"));
        let run = host.install();
        if run.status == Some(0) {
            break;
        }
        is_as_before(&host, &before, &run);
        failed += 1;
    }
    assert!(failed >= 3, "{failed}");
    host.verify().exits(0);
    host.ddinstall(&["rollback"]).run().exits(0);
    state(&host).equals(&before);
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let host = existing();
    let before = state(&host);
    for folder in
        ["/etc", "/etc/datadog-agent", "/etc/datadog-agent/conf.d", "/var/lib/ddinstall", "/var/log/ddinstall"]
    {
        let made = !host.exists(folder);
        host.sh(&format!("mkdir -p {folder}; mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"));
        let run = host.install().exits(4).says("Read-only file system");
        host.sh(&format!("umount {folder}"));
        if made {
            host.sh(&format!("rmdir {folder}"));
        }
        is_as_before(&host, &before, &run);
    }
    host.install().exits(0);
    host.verify().exits(0);
}

#[test]
fn a_port_that_is_taken_in_the_middle_is_named_and_all_is_taken_back() {
    let host = existing();
    let before = state(&host);
    host.sh(LATE_SQUATTER);
    let run = host.install().exits(8).says("datadog-fips-proxy");
    is_as_before(&host, &before, &run);
    host.sh("systemctl stop squatter");
    host.install().exits(0);
    host.verify().exits(0);
}
