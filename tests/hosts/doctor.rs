//! Hosts that are broken in every way that the vendor's pages and operators tell of: `doctor` names that cause first, and
//! what it does or prints mends the host. The cases share one host: broken, named, mended, the next.

use super::breakages::{CASES, Case, Heal, Tool};
use crate::lab::{Host, KEY, PATIENCE, Run, Suite, fingerprint};
use serde_json::Value;
use std::time::{Duration, Instant};

impl Host {
    fn doctor(&self, args: &[&str]) -> Run {
        let all = [&["doctor", "--format", "json"], args].concat();
        self.ddinstall(&all).env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing")).run()
    }

    /// What the operator types, with an API key on standard input.
    #[track_caller]
    fn types(&self, command: &str) {
        let shell = self.command(&["sh", "-ec", command]).env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"));
        shell.env("DEBIAN_FRONTEND", "noninteractive").stdin(KEY).run().exits(0);
    }
}

fn first(run: &Run) -> (String, Value) {
    let trouble = run.json()["troubles"][0].clone();
    (trouble["cause"].as_str().unwrap_or_default().to_owned(), trouble)
}

/// Breaks, has it named, mends, and looks again. Returns the line of the table.
fn case(host: &Host, case: &Case) -> String {
    let begun = Instant::now();
    // systemd refuses a unit that was started often of late, as by the case before.
    host.sh("systemctl reset-failed");
    (case.breaks)(host);
    let end = Instant::now() + PATIENCE;
    let (run, trouble) = loop {
        let run = host.doctor(&[]);
        let (cause, trouble) = first(&run);
        if cause == case.cause {
            break (run, trouble);
        }
        assert!(Instant::now() < end, "{}: {cause} instead of {}\n{run}", case.name, case.cause);
        std::thread::sleep(Duration::from_millis(500));
    };
    let warns = trouble["status"] == "warn";
    let run = run.exits(if warns { 0 } else { 9 });
    let by = trouble["mend"]["by"].as_str().unwrap_or_default();
    let command = trouble["mend"]["command"].as_str().unwrap_or_default();
    let mended = match case.heal {
        Heal::Fix => {
            assert_eq!(by, "fix", "{}\n{run}", case.name);
            let run = host.doctor(&["--fix"]);
            assert!(run.status == Some(0), "{}\n{run}", case.name);
            "doctor --fix".to_owned()
        }
        Heal::Printed => {
            assert_eq!(by, "command", "{}\n{run}", case.name);
            host.types(command);
            command.to_owned()
        }
        Heal::Hand(restore) => {
            assert_eq!(by, "hand", "{}\n{run}", case.name);
            restore(host);
            "by hand".to_owned()
        }
        Heal::HandThenPrinted(restore) => {
            assert_eq!(by, "command", "{}\n{run}", case.name);
            restore(host);
            host.types(command);
            format!("by hand, then {command}")
        }
    };
    let run = host.ddinstall(&["verify", "--wait", "120s", "--details"]).run();
    assert!(run.status == Some(0), "{} is not green after: {mended}\n{run}", case.name);
    let left = host.doctor(&[]).exits(0);
    assert_ne!(first(&left).0, case.cause, "{}\n{left}", case.name);
    let mended: String = mended.chars().take(90).collect();
    format!("{:<44} {:<22} {mended} ({:.1} s)", case.name, case.cause, begun.elapsed().as_secs_f64())
}

fn all(cases: impl Iterator<Item = &'static Case>) -> usize {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let healthy = host.doctor(&[]).exits(0);
    let troubles = healthy.json()["troubles"].as_array().cloned().unwrap_or_default();
    assert!(troubles.iter().all(|trouble| trouble["status"] == "warn"), "{healthy}");
    println!("{:<44} {:<22} mended", "broken", "named");
    let mut count = 0;
    for one in cases {
        println!("{}", case(&host, one));
        count += 1;
    }
    count
}

#[test]
fn a_cause_is_named_first_and_mended() {
    assert!(all(CASES.iter().filter(|case| case.quick)) >= 10);
}

#[test]
#[ignore = "every broken host there is: --long"]
fn every_cause_is_named_first_and_mended() {
    let tools = Tool::install();
    // DDINSTALL_CASE picks those whose name contains it.
    let wanted = std::env::var("DDINSTALL_CASE").unwrap_or_default();
    let count = all(CASES.iter().filter(|case| !case.quick && tools.has(case) && case.name.contains(&wanted)));
    assert!(!wanted.is_empty() || count + CASES.iter().filter(|case| case.quick).count() >= 40, "{count}");
}

#[test]
#[ignore = "needs an Agent of its own: --long"]
fn an_agent_that_is_too_old_is_named_and_upgraded() {
    let host = Host::fresh(Suite::Bookworm).with_agent("7.40.1").boot();
    let run = host.asked(&["doctor", "--format", "json"]).run().exits(9);
    let troubles = run.json()["troubles"].as_array().cloned().unwrap_or_default();
    assert!(troubles.iter().any(|trouble| trouble["cause"] == "agent-too-old"), "{run}");
    host.asked(&["install", "--upgrade"]).run().exits(0);
    host.verify().exits(0);
}

#[test]
fn words_and_exit_codes() {
    let host = Host::fresh(Suite::Trixie).boot();
    let tree = host.quiet_tree();
    host.ddinstall(&["doctor"]).run().exits(9).says("no Datadog Agent").says("ddinstall install");
    host.changed_nothing_since(&tree);
    host.install().exits(0);
    let tree = host.quiet_tree();
    host.ddinstall(&["doctor"]).run().exits(0).says("Healthy");
    // Nothing is broken: nothing is done.
    host.ddinstall(&["doctor", "--fix"]).run().exits(0).says("Healthy");
    host.changed_nothing_since(&tree);
    host.sh("systemctl stop datadog-fips-proxy");
    let run = host.ddinstall(&["doctor"]).run().exits(9).says("1. a service does not run");
    assert!(run.stdout.contains("explains:") && run.stdout.contains("mend:     ddinstall doctor --fix"), "{run}");
    host.ddinstall(&["doctor", "--fix"]).run().exits(0).says("Mended");
    // Another user is told what is not seen, never that all is well.
    let run = host.ddinstall(&["doctor"]).env("DD_FIPS_MODE", "1").user("nobody").run().exits(9);
    assert!(run.stdout.contains("not everything could be seen") && run.stdout.contains("sudo"), "{run}");
}
