//! Real Ansible over real ssh brings hosts to the state, in one task each.

use super::common::*;
use super::secrets::{files_with, no_process_shows};
use super::state::State;
use crate::lab::{Controller, Host, KEY, Play, Suite, Tree, USER};
use serde_json::json;
use std::process::Command;

/// What logging in and sudo leave, whatever is run.
pub(super) fn tree_of(host: &Host) -> Tree {
    host.quiet_tree().without(&["/var/log/lastlog", "/var/log/btmp", "/var/lib/sudo", "/run/utmp"])
}

/// What a host is, but for the program that the module puts there, and what logging in and sudo leave.
pub(super) fn state_of(host: &Host) -> State {
    host.state().without(&["/usr/local/bin/ddinstall", "/var/lib/sudo", "/run"])
}

/// A host under [`LATE_SQUATTER`] failed in the middle of the run: the cause is said, and all of it was taken back.
pub(super) fn failed_in_the_middle(play: &Play, name: &str, host: &Host, before: &State) {
    assert_eq!(play.count(name, "failed"), 1, "{}", play.output);
    for text in ["9804", "taken back", "to do: "] {
        assert!(play.output.contains(text), "{text}\n{}", play.output);
    }
    state_of(host).equals(before);
}

/// Hosts of these suites, booted side by side, as h1, h2 and so on.
pub(super) fn boot(controller: &mut Controller, suites: &[Suite]) -> Vec<(String, Host)> {
    let boot = |suite: &Suite| {
        let suite = *suite;
        std::thread::spawn(move || Host::fresh(suite).with_layer("ssh").boot())
    };
    let threads: Vec<_> = suites.iter().map(boot).collect();
    let hosts: Vec<Host> = threads.into_iter().map(|thread| thread.join().expect("a host")).collect();
    let named: Vec<(String, Host)> = (1..).map(|n| format!("h{n}")).zip(hosts).collect();
    for (name, host) in &named {
        controller.add(name, host);
    }
    named
}

#[test]
fn ansible_brings_hosts_to_the_state_in_one_task() {
    let mut controller = Controller::new("newest").expect("Ansible");
    let hosts = boot(&mut controller, &[Suite::Trixie, Suite::El9]);
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let task = controller.task("ddinstall", controller.asked(json!({})), json!({}));

    // Check mode: all is shown, nothing is written, and nothing stays.
    let before: Vec<Tree> = hosts.iter().map(|(_, host)| tree_of(host)).collect();
    let play = controller.run(&[], &task, &["--check", "--diff"]).exits(0).each(&names, 1);
    for text in
        ["+deb [signed-by=", "+++ b/etc/yum.repos.d/datadog.repo", "# fips.enabled: true", "# api_key: ********"]
    {
        assert!(play.output.contains(text), "{text}\n{}", play.output);
    }
    for ((_, host), before) in hosts.iter().zip(&before) {
        let changes = tree_of(host).changes_since(before);
        assert!(changes.is_empty(), "{changes:#?}");
        assert!(host.all_requests().is_empty());
    }

    // The real run, with everything that Ansible can say, and a look at all processes. One host fails in its middle.
    // What the hosts have in their environment was not asked for.
    for (_, host) in &hosts {
        host.sh("printf 'DD_SITE=datadoghq.com\nTESTING_APT_REPO_VERSION=none none\nREPO_URL=nowhere.test\n' > /etc/environment
            echo 'Defaults env_file=/etc/environment' > /etc/sudoers.d/environment");
    }
    hosts[1].1.sh(LATE_SQUATTER);
    let before = state_of(&hosts[1].1);
    let (play, sample) = hosts[0].1.sampling(|| controller.run(&[], &task, &["-vvv", "--diff"]));
    let play =
        play.exits(2).each(&["h1"], 1).says("\"binary\": \"/usr/local/bin/ddinstall\"").says("\"id\": \"proxy.ports\"");
    failed_in_the_middle(&play, "h2", &hosts[1].1, &before);
    assert!(!play.output.contains(KEY), "{}", play.output);
    no_process_shows(&sample, KEY);
    assert!(sample.in_environments(KEY).is_empty(), "{:#?}", sample.in_environments(KEY));
    assert!(controller.files_with(KEY).is_empty(), "{:?}", controller.files_with(KEY));
    hosts[1].1.sh("systemctl stop squatter");
    let play = controller.run(&[], &task, &[]).exits(0);
    assert_eq!((play.count("h1", "changed"), play.count("h2", "changed")), (0, 1), "{}", play.output);
    for (name, host) in &hosts {
        assert_eq!(files_with(host, KEY), [(DATADOG.to_owned(), 0o640)], "{name}");
        assert!(!host.sh("journalctl --no-pager -o verbose").contains(KEY), "{name}");
        assert!(!host.exists(&format!("/home/{USER}/.ansible")), "{name}");
        assert_eq!(
            (host.owner("/usr/local/bin/ddinstall"), host.mode("/usr/local/bin/ddinstall")),
            ("root:root".into(), 0o755)
        );
        host.verify().exits(0);
    }

    // Again: nothing to do, nothing touched.
    let before: Vec<Tree> = hosts.iter().map(|(_, host)| tree_of(host)).collect();
    let play = controller.run(&[], &task, &["--diff"]).exits(0).each(&names, 0);
    println!(
        "fleet: a second run of Ansible {} over {} hosts: {:.2} s",
        controller.version(),
        names.len(),
        play.seconds
    );
    controller.run(&[], &task, &["--check"]).exits(0).each(&names, 0);
    for ((_, host), before) in hosts.iter().zip(&before) {
        assert!(tree_of(host).changes_since(before).is_empty());
    }
    an_output_that_is_no_whole_result_is_a_failure(&controller, &hosts[0].1);

    // A host with another binary: that it would be replaced is a change in check mode, too.
    let host = &hosts[0].1;
    let sum = host.sh("sha256sum /usr/local/bin/ddinstall; echo >> /usr/local/bin/ddinstall");
    let before = tree_of(host);
    let put = "# put ddinstall at /usr/local/bin/ddinstall (sha256 ";
    controller.run(&["h1"], &task, &["--check", "--diff"]).exits(0).each(&["h1"], 1).says(put);
    assert!(tree_of(host).changes_since(&before).is_empty());
    controller.run(&["h1"], &task, &["--diff"]).exits(0).each(&["h1"], 1).says(put);
    assert_eq!(host.sh("sha256sum /usr/local/bin/ddinstall"), sum);

    // Drift on one host: that one is repaired, and its change is shown.
    let drifted = &hosts[1].1;
    drifted.sh("sed -i 's/^  enabled: true/  enabled: false/' /etc/datadog-agent/system-probe.yaml; systemctl stop datadog-fips-proxy");
    let verify = controller.task("ddinstall_facts", json!({"results": controller.path("results")}), json!({}));
    controller.run(&[], &verify, &[]).exits(0).each(&names, 0);
    let report = |code: i32| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_ddinstall")).arg("report").arg(controller.path("results")).output();
        let output = output.expect("ddinstall");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text
    };
    let text = report(9);
    assert!(text.contains("2 hosts: 1 as asked") && text.contains("1 host: h2 (lab-host)"), "{text}");
    let play = controller.run(&[], &task, &["--diff"]).exits(0).says("+  enabled: true");
    assert_eq!((play.count("h1", "changed"), play.count("h2", "changed")), (0, 1), "{}", play.output);
    controller.run(&[], &verify, &[]).exits(0);
    assert!(report(0).starts_with("2 hosts: 2 as asked"));

    // A mistake is told with what to do, and without the key; so is a host that cannot be what is asked.
    let wrong =
        controller.task("ddinstall", controller.asked(json!({"site": "datadoghq.eu", "api_key": KEY})), json!({}));
    let play = controller.run(&["h1"], &wrong, &["-vvv"]).exits(2).says("to do: ").says("state: nothing was changed");
    assert!(
        play.output.contains("site") && !play.output.replace(&wrong.to_string(), "").contains(KEY),
        "{}",
        play.output
    );
    let mistakes = [
        (json!({"api_kye": "x"}), "api_kye"),
        (json!({"agent_minor_version": 58.1}), "put it in quotes"),
        (json!({"source": "/nowhere"}), "cannot read /nowhere"),
        (json!({"settings": {"nothing": 1}}), "nothing is not a setting"),
    ];
    let mut wrong = task.clone();
    let tasks = mistakes.iter().map(|(options, _)| {
        let mut one = controller.task("ddinstall", controller.asked(options.clone()), json!({}))["tasks"][0].clone();
        one["ignore_errors"] = json!(true);
        one
    });
    wrong["tasks"] = tasks.collect();
    let play = controller.run(&["h1"], &wrong, &[]).exits(0);
    for (_, says) in &mistakes {
        assert!(play.output.contains(says), "{says}\n{}", play.output);
    }

    // What the module does, by hand, with wrong input.
    let piped = |args: &[&str], text: String| {
        hosts[0].1.ddinstall(&[&["plan", "--file", "-"], args].concat()).stdin(text).run()
    };
    let right = format!("{{\"api_key\": \"{KEY}\", \"env\": \"lab\"}}\n");
    piped(&["--detailed-exitcode"], right.clone()).exits(20).says("env: lab");
    piped(&["--api-key-file", "-"], right).exits(2).says("standard input holds the settings");
    piped(&[], String::new()).exits(0).says("Nothing to do");
    piped(&[], format!("x: '{}'", "y".repeat(2 << 20))).exits(2).says("larger than 1 MiB");
    let run = piped(&[], format!("api_key: {KEY}\n\tx: 1\n")).exits(2).says("--file -");
    assert!(!run.stdout.contains(KEY) && !run.stderr.contains(KEY), "{run}");
}

/// Runs that were killed before they said anything, or while they did; and one whose end is not what it said.
fn an_output_that_is_no_whole_result_is_a_failure(controller: &Controller, host: &Host) {
    let real = "/usr/local/bin/ddinstall \"$@\"";
    let cases = [
        ("ddinstall", "/opt/killed", "kill -9 $$".to_owned(), "install did not come to its end (exit code 137)"),
        ("ddinstall", "/opt/cut", format!("{real} | head -c 2000; kill -9 $$"), "install did not come to its end"),
        ("ddinstall", "/opt/other", format!("{real}; exit 7"), "install did not come to its end (exit code 7)"),
        ("ddinstall_facts", "/opt/other", format!("{real}; exit 7"), "verify did not come to its end (exit code 7)"),
    ];
    let tasks = cases.iter().map(|(module, path, text, _)| {
        host.write(path, format!("#!/bin/sh\n[ $1 != plan ] || exec {real}\n{text}\n"), "root:root", 0o755);
        let asked = controller.asked(json!({"source": "", "path": path}));
        let mut task = controller.task(module, asked, json!({}))["tasks"][0].clone();
        task["ignore_errors"] = json!(true);
        task
    });
    let mut play = controller.task("ddinstall", json!({}), json!({}));
    play["tasks"] = tasks.collect();
    let play = controller.run(&["h1"], &play, &["--diff"]).exits(0);
    for (_, path, _, says) in &cases {
        assert!(play.output.contains(says), "{path}: {says}\n{}", play.output);
    }
    assert_eq!(play.count("h1", "ignored"), 4, "{}", play.output);
}
