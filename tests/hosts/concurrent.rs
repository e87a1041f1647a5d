//! Many runs at once: one acts, the others wait or say who acts.

use super::common::*;
use super::kills::{TRACE, bring_strace, strace};
use crate::lab::{Host, Run, Suite};

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
    // Under a shell: the way into the host would stop with it.
    let first = host.asked_by(&["sh", "-c", "\"$@\"; exit $?", "sh"]).spawn();
    host.wait_until("test -s /var/lib/ddinstall/lock");
    let holder = host.read("/var/lib/ddinstall/lock").trim().to_owned();
    // It keeps the lock for as long as the others look.
    host.sh(&format!("kill -STOP {holder}"));
    let run = host.asked(&["install"]).env("DD_LOCK_WAIT", "0").run().exits(4);
    assert!(run.stderr.contains(&format!("process {holder}")), "{run}");
    let run = host.ddinstall(&["rollback"]).env("DD_LOCK_WAIT", "0").run();
    host.sh(&format!("kill -CONT {holder}"));
    // Before the first step is noted, there is nothing that could be taken back.
    assert!(run.status == Some(4) || run.stdout.contains("Nothing to do"), "{run}");
    assert_eq!(first.wait_with_output().expect("wait").status.code(), Some(0));
    host.verify().exits(0);
}

/// Stops a run where it has planned and is about to take the lock, and lets it go on when `meanwhile` is done.
fn stopped(host: &Host, tags: &str, meanwhile: impl FnOnce()) -> Run {
    host.sh(&format!("rm -f {TRACE}"));
    // The call is not made, and says that somebody else has the lock: the run asks again once it goes on.
    let inject = "inject=flock:error=EAGAIN:signal=STOP:when=1";
    let words = strace(&["-e", "trace=flock", "-e", inject, "-o", TRACE]);
    let slow = host.asked_by(&words).env("DD_TAGS", tags);
    let (run, ()) = std::thread::scope(|scope| {
        let run = scope.spawn(|| slow.run());
        host.wait_until(&format!("grep -q 'stopped by SIGSTOP' {TRACE}"));
        let pid = host.sh("pidof ddinstall");
        meanwhile();
        host.sh(&format!("kill -CONT {pid}"));
        (run.join().expect("the run"), ())
    });
    run
}

#[test]
fn a_run_that_another_one_overtook_looks_again() {
    let host = Host::fresh(Suite::Bookworm).boot();
    bring_strace(&host);
    let original = host.state().packages;
    stopped(&host, "team:slow", || drop(host.install().exits(0))).exits(0);
    let receipt: serde_json::Value = serde_json::from_str(&host.read("/var/lib/ddinstall/receipt.json")).expect("JSON");
    let ids: Vec<_> = receipt["runs"].as_array().expect("runs").iter().map(|run| run["id"].as_u64()).collect();
    assert_eq!(ids.len(), 2, "{receipt:#}");
    assert_ne!(ids[0], ids[1], "{receipt:#}");
    assert!(host.read(DATADOG).contains("team:slow"));
    host.verify().exits(0);
    // What was taken back meanwhile is not written down again.
    let uninstall = || drop(host.ddinstall(&["uninstall", "--purge"]).run().exits(0));
    stopped(&host, "team:late", uninstall).exits(0);
    assert!(host.read(DATADOG).contains("team:late"));
    uninstall();
    assert!(!host.exists("/etc/datadog-agent"));
    assert_eq!(host.state().packages, original);
}

#[test]
fn a_file_that_somebody_else_writes_meanwhile_is_not_written_over() {
    let host = Host::fresh(Suite::Bookworm).boot();
    bring_strace(&host);
    host.install().exits(0);
    let edit = || drop(host.sh(&format!("echo 'log_level: debug' >> {DATADOG}")));
    let run = stopped(&host, "team:slow", edit).exits(4).says("datadog.yaml was changed by somebody else");
    assert!(run.stderr.contains("all that this run had changed was taken back"), "{run}");
    assert!(host.read(DATADOG).ends_with("log_level: debug\n"));
    host.asked(&["install"]).env("DD_TAGS", "team:slow").run().exits(0);
    let text = host.read(DATADOG);
    assert!(text.contains("team:slow") && text.contains("\nlog_level: debug\n"));
}
