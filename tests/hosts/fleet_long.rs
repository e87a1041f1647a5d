//! Fleets of eight hosts, several releases of Ansible, and what Ansible's own tools say of the collection.

use super::common::*;
use super::fleet::{boot, failed_in_the_middle, state_of, tree_of};
use super::secrets::files_with;
use crate::lab::{Controller, Host, KEY, MIRROR_PASSWORD, MIRROR_USER, Suite, Tree, set};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

const EIGHT: [Suite; 8] = [
    Suite::Bookworm,
    Suite::Trixie,
    Suite::El9,
    Suite::Sles15,
    Suite::Bookworm,
    Suite::Trixie,
    Suite::El9,
    Suite::Sles15,
];

fn trees(hosts: &[(String, Host)]) -> Vec<Tree> {
    hosts.iter().map(|(_, host)| tree_of(host)).collect()
}

/// Eight hosts of four distributions at once: check mode, convergence, a second run, drift, one host that cannot be reached
/// and one that fails in the middle, an upgrade in batches.
fn a_fleet_of_eight(version: &str) {
    let Some(mut controller) = Controller::new(version) else {
        println!("fleet: this machine has no Python for the {version} Ansible");
        return;
    };
    println!("fleet: ansible-core {}", controller.version());
    let hosts = boot(&mut controller, &EIGHT);
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let task = |more: Value, play: Value| controller.task("ddinstall", controller.asked(more), play);
    let old = task(json!({"agent_minor_version": "58.2"}), json!({}));

    let before = trees(&hosts);
    controller.run(&[], &old, &["--check", "--diff"]).exits(0).each(&names, 1).says("+deb [signed-by=");
    for ((name, host), before) in hosts.iter().zip(&before) {
        let changes = tree_of(host).changes_since(before);
        assert!(changes.is_empty(), "{name}: {changes:#?}");
    }

    // One fails in the middle: what was in its way is said, and the others are right.
    hosts[3].1.sh(LATE_SQUATTER);
    let before = state_of(&hosts[3].1);
    let play = controller.run(&[], &old, &["-vvv"]).exits(2);
    failed_in_the_middle(&play, "h4", &hosts[3].1, &before);
    assert!(!play.output.contains(KEY), "{}", play.output);
    assert!(controller.files_with(KEY).is_empty(), "{:?}", controller.files_with(KEY));
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != "h4").collect();
    let play = play.each(&others, 1);
    println!("fleet: fresh, seven hosts and one that fails: {:.1} s", play.seconds);
    hosts[3].1.sh("systemctl stop squatter");
    let play = controller.run(&[], &old, &[]).exits(0);
    assert_eq!((play.count("h4", "changed"), play.count("h1", "changed")), (1, 0), "{}", play.output);

    // A second run, with one more host that nobody answers for.
    controller.add_unreachable("h9");
    let task = |more: Value, play: Value| controller.task("ddinstall", controller.asked(more), play);
    let before = trees(&hosts);
    let play = controller.run(&[], &old, &[]).exits(4).each(&names, 0);
    assert_eq!(play.count("h9", "unreachable"), 1, "{}", play.output);
    for ((name, host), before) in hosts.iter().zip(&before) {
        assert!(tree_of(host).changes_since(before).is_empty(), "{name}");
        assert_eq!(files_with(host, KEY), [(DATADOG.to_owned(), 0o640)], "{name}");
        assert!(!host.sh("journalctl --no-pager -o verbose").contains(KEY), "{name}");
    }

    // Drift, each of another kind.
    hosts[0].1.sh("systemctl stop datadog-agent");
    hosts[1].1.sh("sed -i 's/^site: .*/site: datadoghq.com/' /etc/datadog-agent/datadog.yaml");
    hosts[2].1.sh("rm /etc/datadog-agent/system-probe.yaml");
    let play = controller.run(&names, &old, &["--diff"]).exits(0).says("+site: ddog-gov.com");
    let changed: Vec<u32> = names.iter().map(|name| play.count(name, "changed")).collect();
    assert_eq!(changed, [1, 1, 1, 0, 0, 0, 0, 0], "{}", play.output);

    // An upgrade in batches: one host, then two, then the rest.
    let upgrade = task(json!({"upgrade": true}), json!({"serial": [1, 2, "100%"], "max_fail_percentage": 0}));
    let play = controller.run(&names, &upgrade, &[]).exits(0).each(&names, 1);
    assert_eq!(play.output.matches("TASK [The one task]").count(), 3, "{}", play.output);
    for (name, host) in &hosts {
        assert!(host.installed("datadog-agent").is_some_and(|version| version.contains("7.78.1")), "{name}");
        host.verify().exits(0);
    }
    // Where the first batch fails, nobody else is touched.
    hosts[0].1.sh("echo 'a: [' > /etc/datadog-agent/datadog.yaml");
    let before = trees(&hosts[1..]);
    let tagged = task(json!({"tags": ["a:b"]}), json!({"serial": [1, "100%"], "max_fail_percentage": 0}));
    let play = controller.run(&names, &tagged, &[]).exits(2).says("not valid YAML");
    assert_eq!(play.output.matches("TASK [The one task]").count(), 1, "{}", play.output);
    for ((name, host), before) in hosts[1..].iter().zip(&before) {
        assert!(tree_of(host).changes_since(before).is_empty(), "{name}");
    }
}

#[test]
#[ignore = "eight hosts, a few minutes: --long"]
fn a_fleet_of_eight_with_the_newest_ansible_of_this_python() {
    a_fleet_of_eight("newest");
}

#[test]
#[ignore = "eight hosts, a few minutes: --long"]
fn a_fleet_of_eight_with_the_oldest_ansible() {
    a_fleet_of_eight("oldest");
}

#[test]
#[ignore = "eight hosts, a few minutes: --long"]
fn a_fleet_of_eight_with_the_newest_ansible() {
    a_fleet_of_eight("next");
}

/// The figures of the documentation: fresh, second and check run over one, four and eight hosts.
#[test]
#[ignore = "figures of a minute's runs: --long"]
fn what_a_run_of_ansible_costs() {
    let mut controller = Controller::new("newest").expect("Ansible");
    let hosts = boot(&mut controller, &EIGHT);
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let task = controller.task("ddinstall", controller.asked(json!({})), json!({}));
    println!("ansible-core {}: seconds for all hosts (for each one)", controller.version());
    let mut begun = 0;
    for n in [1, 4, 8] {
        // Hosts that are new to this size are fresh; the figure of 4 is of three, and that of 8 of four.
        let new = &names[begun..n];
        let fresh = controller.run(new, &task, &[]).exits(0).each(new, 1).seconds;
        begun = n;
        let least = |run: &dyn Fn() -> f64| (0..3).map(|_| run()).fold(f64::MAX, f64::min);
        let again = |flags: &[&str]| controller.run(&names[..n], &task, flags).exits(0).each(&names[..n], 0);
        let (second, check) = (least(&|| again(&[]).seconds), least(&|| again(&["--check"]).seconds));
        // What of the second run is ours: the commands alone, on all hosts at once.
        let ours = least(&|| {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for (_, host) in &hosts[..n] {
                    scope.spawn(|| host.asked(&["install"]).run().exits(0));
                }
            });
            started.elapsed().as_secs_f64()
        });
        let each = |seconds: f64, hosts: usize| format!("{seconds:.2} ({:.2})", seconds / hosts as f64);
        println!("hosts: {n}, tasks for each one: {}", again(&[]).count("h1", "ok"));
        println!("  fresh, {} of them: {}", new.len(), each(fresh, new.len()));
        println!("  second run: {}, with --check: {}", each(second, n), each(check, n));
        println!("  the commands of the second run alone: {}", each(ours, n));
    }
    // In batches, and two at a time; and fresh hosts with a mirror.
    let serial = controller.task("ddinstall", controller.asked(json!({})), json!({"serial": 2}));
    let mut throttle = task.clone();
    throttle["tasks"][0]["throttle"] = json!(2);
    for (name, task) in [("serial: 2", serial), ("throttle: 2", throttle)] {
        let play = controller.run(&[], &task, &[]).exits(0).each(&names, 0);
        println!("8 hosts, second run, {name}: {:.2}", play.seconds);
    }
    drop(hosts);
    let mut controller = Controller::new("newest").expect("Ansible");
    let hosts = boot(&mut controller, &EIGHT[..4]);
    let names: Vec<&str> = hosts.iter().map(|(name, _)| name.as_str()).collect();
    let mirror = controller.asked(json!({"repo_url": "mirror.test", "keys_url": "keys.mirror.test"}));
    let play = controller.run(&[], &controller.task("ddinstall", mirror, json!({})), &[]).exits(0).each(&names, 1);
    println!("4 hosts, fresh, from a mirror: {:.2}", play.seconds);
    for (name, host) in &hosts {
        let elsewhere = host.requests(host.suite().repository_host());
        assert!(elsewhere.is_empty(), "{name}: {elsewhere:?}");
    }
}

/// Connections that take no standard input, a vault, a role, `become` with a password, and an install.sh.
#[test]
#[ignore = "further ways: --long"]
fn every_way_that_an_operator_may_have() {
    let mut controller = Controller::new("newest").expect("Ansible");
    let hosts = boot(&mut controller, &[Suite::Bookworm]);
    let host = &hosts[0].1;
    // A password for sudo, and the role.
    host.sh("usermod -p \"$(perl -e 'print crypt(q(p4ss word), q($6$salt$))')\" ops; echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops");
    controller.set("h1", "ansible_become_password", json!("p4ss word"));
    let mut settings = controller.asked(json!({}));
    let source = settings.as_object_mut().and_then(|all| all.remove("source"));
    let role = json!({
        "hosts": "all", "gather_facts": false, "roles": ["ddinstall.ddinstall.ddinstall"],
        "vars": { "ddinstall_source": source, "ddinstall_settings": settings },
    });
    let play = controller.run(&[], &role, &["-vvv"]).exits(0).each(&["h1"], 1);
    assert!(!play.output.contains(KEY) && !play.output.contains("p4ss word"), "{}", play.output);
    // sudo that wants a terminal: through a file that goes.
    host.sh("echo 'Defaults requiretty' >> /etc/sudoers.d/ops");
    let play = controller.run(&[], &role, &["-vvv"]).exits(0).each(&["h1"], 0);
    assert!(!play.output.contains(KEY), "{}", play.output);
    assert_eq!(files_with(host, KEY), [(DATADOG.to_owned(), 0o640)]);
    assert_eq!(host.sh("find /home/ops/.ansible -type f | wc -l"), "0");
    assert!(controller.files_with(KEY).is_empty(), "{:?}", controller.files_with(KEY));
    // A key out of a vault.
    std::fs::write(controller.path("password"), "vault password").expect("password");
    let vault = controller
        .command("ansible-vault")
        .args(["encrypt_string", "--vault-password-file", "password", KEY])
        .output()
        .expect("ansible-vault");
    let vault = String::from_utf8_lossy(&vault.stdout).into_owned();
    let folder = controller.path("group_vars");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("all.yml"), format!("vaulted: {vault}")).expect("a file");
    for asked in
        [json!({"api_key": "{{ vaulted }}"}), json!({"settings": {"api_key": "{{ vaulted }}"}, "api_key": null})]
    {
        let task = controller.task("ddinstall", controller.asked(asked), json!({}));
        let play = controller.run(&[], &task, &["-vvv", "--vault-password-file", "password"]).exits(0).each(&["h1"], 0);
        assert!(!play.output.contains(KEY), "{}", play.output);
    }
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY);
    // A release's install.sh, with which the host fetches and checks the binary for itself: for a look, then for good.
    let binary =
        controller.asked(json!({}))["source"].as_str().map(std::fs::read).expect("a path").expect("the binary");
    host.write("/srv/release/9/ddinstall-x86_64", &binary, "root:root", 0o644);
    let sum = host.sh("sha256sum < /srv/release/9/ddinstall-x86_64 | cut -d ' ' -f 1");
    let script = include_str!("../../install.sh").replacen("version=''", "version='9'", 1).replacen(
        "sums=''",
        &format!("sums='{sum}  ddinstall-x86_64\n{sum}  ddinstall-aarch64'"),
        1,
    );
    std::fs::write(controller.path("install.sh"), script).expect("a file");
    host.sh("rm /usr/local/bin/ddinstall");
    let fetched = controller.asked(json!({"source": controller.path("install.sh"), "base_url": "file:///srv/release"}));
    let fetched = controller.task("ddinstall", fetched, json!({}));
    controller.run(&[], &fetched, &["--check"]).exits(0).each(&["h1"], 1);
    assert!(!host.exists("/usr/local/bin/ddinstall"));
    controller.run(&[], &fetched, &[]).exits(0).each(&["h1"], 1);
    assert_eq!(host.bytes("/usr/local/bin/ddinstall"), binary);
    controller.run(&[], &fetched, &[]).exits(0).each(&["h1"], 0);
    host.sh("echo more >> /srv/release/9/ddinstall-x86_64; rm /usr/local/bin/ddinstall");
    controller.run(&[], &fetched, &[]).exits(2).says("is not what was released");
    assert!(!host.exists("/usr/local/bin/ddinstall"));
    // A mirror that wants a password.
    std::fs::copy(set().join("mirror/ca.crt"), host.path("/etc/mirror.pem")).expect("the mirror's authority");
    let mirror =
        |path: &str| format!("https://{MIRROR_USER}:{}@private.test/{path}", MIRROR_PASSWORD.replace('/', "%2F"));
    let asked = json!({"source": "", "apt_url": mirror("dd"), "keys_url": mirror("keys"), "ca_file": "/etc/mirror.pem", "upgrade": true});
    host.write("/usr/local/bin/ddinstall", &binary, "root:root", 0o755);
    host.ddinstall(&["uninstall", "--purge"]).run().exits(0);
    host.forget_requests();
    let task = controller.task("ddinstall", controller.asked(asked), json!({}));
    let play = controller.run(&[], &task, &["-vvv"]).exits(0).each(&["h1"], 1);
    assert!(host.requests("apt.datadoghq.com").is_empty() && host.requests("keys.datadoghq.com").is_empty());
    assert!(!play.output.contains(MIRROR_PASSWORD) && !play.output.contains("%2F5ecret"), "{}", play.output);
    // Without root, nothing but the words for it.
    let mut plain = controller.task("ddinstall", controller.asked(json!({"source": ""})), json!({}));
    plain["tasks"][0]["become"] = json!(false);
    controller.run(&[], &plain, &[]).exits(2).says("root");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A copy of the collection as it is shipped, in a tree as Ansible's tools want it.
fn built(controller: &Controller) -> std::path::PathBuf {
    let output = controller
        .command("ansible-galaxy")
        .args(["collection", "build", "--output-path", "."])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/ansible"))
        .output()
        .expect("ansible-galaxy");
    assert!(output.status.success(), "{}", said(&output));
    let archive = std::fs::read_dir(controller.path(".")).expect("the folder").flatten().map(|e| e.path());
    let archive = archive.into_iter().find(|p| p.extension().is_some_and(|e| e == "gz")).expect("an archive");
    let root = controller.path("shipped/ansible_collections/ddinstall/ddinstall");
    std::fs::create_dir_all(&root).expect("a folder");
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&root).status().expect("tar");
    assert!(status.success());
    root
}

#[test]
#[ignore = "ansible-lint, from PyPI: --long"]
fn ansible_lint_finds_nothing_for_production() {
    let controller = Controller::new("lint").expect("ansible-lint");
    let root = built(&controller);
    let output = controller
        .command("ansible-lint")
        .args(["--offline", "--profile", "production", "--strict", "--nocolor"])
        .current_dir(root)
        .env("ANSIBLE_COLLECTIONS_PATH", controller.path("shipped"))
        .output()
        .expect("ansible-lint");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
#[ignore = "ansible-test makes environments of its own: --long"]
fn ansible_test_finds_nothing() {
    let controller = Controller::new("newest").expect("Ansible");
    let root = built(&controller);
    // ansible-test fetches pip from a host of its own; this does the same with what Python carries.
    let cache = controller.path(".ansible/test/cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/setup/get-pip.py");
    for version in ["20_3_4", "21_3_1", "24_2", "25_0_1", "25_1_1", "25_2", "25_3", "26_0", "26_1"] {
        std::fs::copy(shim, cache.join(format!("get_pip_{version}.py"))).expect("a file");
    }
    let output = controller
        .command("ansible-test")
        .args(["sanity", "--color", "no", "--venv", "--requirements"])
        .env("PATH", controller.pythons())
        .current_dir(root)
        .output()
        .expect("ansible-test");
    let text = said(&output);
    println!(
        "{}",
        text.lines().filter(|line| line.starts_with("Running") || line.contains("WARN")).collect::<Vec<_>>().join("\n")
    );
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_documentation_is_as_ansible_expects_it() {
    let controller = Controller::new("newest").expect("Ansible");
    for (module, texts) in [
        ("ddinstall", ["fips_mode", "DD_SITE", "become: true"]),
        ("ddinstall_facts", ["must_hold", "results", "holds"]),
    ] {
        let output = controller
            .command("ansible-doc")
            .arg(format!("ddinstall.ddinstall.{module}"))
            .output()
            .expect("ansible-doc");
        let text = said(&output);
        assert!(output.status.success() && texts.iter().all(|part| text.contains(part)), "{text}");
    }
    assert!(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/ansible/README.md")).exists());
}
