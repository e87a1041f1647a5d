//! The lab itself: the stand-ins behave as the vendor's packages are known to.

use crate::lab::{Host, KEY, Keys, Repo, Suite};

const INSTALL: &str = r#"
    cp /lab-keyring.gpg /usr/share/keyrings/datadog-archive-keyring.gpg
    echo "deb [signed-by=/usr/share/keyrings/datadog-archive-keyring.gpg] https://apt.datadoghq.com/ stable 7" \
        > /etc/apt/sources.list.d/datadog.list
    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install datadog-agent datadog-fips-proxy datadog-signing-keys"#;

fn keyring() -> Vec<u8> {
    std::fs::read(crate::lab::set().join("keys/keyring.gpg")).expect("the lab's keyring")
}

fn host(suite: Suite, repo: Repo) -> Host {
    let keyring = keyring();
    Host::fresh(suite).repo(repo).file("/lab-keyring.gpg", keyring, "root:root", 0o644).boot()
}

/// By hand, what the documentation says: FIPS and CWS.
fn configure(host: &Host) {
    let yaml = format!(
        "api_key: {KEY}\nsite: ddog-gov.com\nfips:\n  enabled: true\n  port_range_start: 9803\n  https: false\n"
    );
    let cfg = host.read("/etc/datadog-fips-proxy/datadog-fips-proxy.cfg.example");
    host.write("/etc/datadog-agent/datadog.yaml", yaml, "dd-agent:dd-agent", 0o640);
    host.write(
        "/etc/datadog-agent/system-probe.yaml",
        "runtime_security_config.enabled: true\n",
        "root:dd-agent",
        0o640,
    );
    host.write(
        "/etc/datadog-agent/security-agent.yaml",
        "runtime_security_config:\n  enabled: true\n",
        "root:dd-agent",
        0o640,
    );
    host.write("/etc/datadog-fips-proxy/datadog-fips-proxy.cfg", cfg, "dd-agent:dd-agent", 0o640);
}

fn the_stand_ins_run_by_plain_apt(suite: Suite) {
    let host = host(suite, Repo::Good);
    host.sh(INSTALL);
    assert_eq!(host.sh("dpkg-query -W -f '${Version}' datadog-agent"), "1:7.78.1-1");
    assert!(!host.holds("systemctl is-active datadog-agent"), "nothing starts before there is a datadog.yaml");
    configure(&host);
    host.sh("systemctl start datadog-fips-proxy");
    host.wait_until("test $(ss -Hltnp | grep -c haproxy) = 16");
    host.sh("systemctl start datadog-agent");
    host.wait_until("for unit in agent agent-trace agent-process agent-sysprobe agent-security fips-proxy; do systemctl is-active -q datadog-$unit; done");
    let ports = host.sh("ss -Hltnp | grep haproxy | grep -o ':98[01][0-9] ' | sort -u | wc -l");
    assert_eq!(ports, "16");

    host.wait_until("grep -q 'Successfully posted payload (202)' /var/log/datadog/agent.log");
    let post = host.first_request("metrics.agent.ddog-gov.com");
    assert!(post.starts_with("POST /intake/ 202 key=given"), "{post}");
    assert!(host.read("/var/log/datadog/agent.log").contains("FIPS mode is enabled! All communication to DataDog will be routed to the local FIPS proxy on 'localhost' starting from port 9803"));
    host.wait_until("test -S /opt/datadog-agent/run/runtime-security.sock");
    assert!(host.holds("datadog-agent diagnose --include connectivity-datadog-core-endpoints | grep -q PASS"));
    let status = host.command(&["datadog-agent", "status", "-j"]).run().exits(0).json();
    assert_eq!(status["fips_proxy_enabled"], "true");

    // The satellites follow the Agent, and an upgrade takes owners and modes back.
    let before = host.invocation_ids();
    host.sh("systemctl restart datadog-agent");
    let after = host.invocation_ids();
    for unit in ["datadog-agent.service", "datadog-agent-trace.service", "datadog-agent-sysprobe.service"] {
        assert_ne!(before[unit], after[unit], "{unit}");
    }
    assert_eq!(before["datadog-fips-proxy.service"], after["datadog-fips-proxy.service"]);
    host.sh("dpkg-reconfigure datadog-agent 2>/dev/null || dpkg --configure datadog-agent || apt-get -y --reinstall install datadog-agent");
    assert_eq!(
        (
            host.owner("/etc/datadog-agent/system-probe.yaml").as_str(),
            host.mode("/etc/datadog-agent/system-probe.yaml")
        ),
        ("dd-agent:dd-agent", 0o440)
    );
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn the_stand_ins_run_on_bullseye() {
    the_stand_ins_run_by_plain_apt(Suite::Bullseye);
}

#[test]
fn the_stand_ins_run_on_bookworm() {
    the_stand_ins_run_by_plain_apt(Suite::Bookworm);
}

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn the_stand_ins_run_on_trixie() {
    the_stand_ins_run_by_plain_apt(Suite::Trixie);
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_agent_without_fips_connects_directly_and_rests_its_satellites() {
    let mut host = Host::fresh(Suite::Bookworm)
        .with_agent("7.58.2")
        .file(
            "/etc/datadog-agent/security-agent.yaml",
            "runtime_security_config:\n  enabled: false\n",
            "root:dd-agent",
            0o640,
        )
        .boot();
    host.wait_until("systemctl is-active datadog-agent && ss -Htnp | grep '\"agent\"' | grep -q 127.0.0.2:443");
    // Its file is there, nothing is on in it: it ends by itself and that is no failure.
    assert_eq!(
        host.sh("systemctl show -p ActiveState,Result datadog-agent-security"),
        "Result=success\nActiveState=inactive"
    );
    // Its file is not there: it is not even tried.
    assert_eq!(host.sh("systemctl show -p ConditionResult datadog-agent-sysprobe"), "ConditionResult=no");
    let tree = host.tree();
    host.sh("echo x >> /etc/datadog-agent/datadog.yaml; touch /root/new; rm /etc/issue");
    let changes = host.tree().changes_since(&tree);
    assert!(changes.contains(&"+ /root/new".to_string()), "{changes:?}");
    assert!(changes.contains(&"+ /etc/issue".to_string()), "{changes:?}");
    assert!(changes.iter().any(|c| c.starts_with("~ /etc/datadog-agent/datadog.yaml (content")), "{changes:?}");

    host.poweroff();
    host.boot_again();
    assert_eq!(host.sh("systemctl is-enabled datadog-agent"), "enabled");
    host.kill_host();
    host.boot_again();
    assert!(host.exists("/root/new"));
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_agent_without_a_key_fails() {
    let host = Host::fresh(Suite::Bookworm).with_agent("7.58.2").boot();
    host.write("/etc/datadog-agent/datadog.yaml", "api_key:\n", "dd-agent:dd-agent", 0o640);
    assert!(host.holds("systemctl restart datadog-agent"), "systemctl says 0 whatever happens next");
    host.wait_until("systemctl is-failed datadog-agent");
    assert!(host.journal("datadog-agent").contains("no API key configured"));
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn an_agent_that_crashes_gives_up_after_some_starts() {
    let host = host(Suite::Bookworm, Repo::Crash);
    host.sh(INSTALL);
    host.write("/etc/datadog-agent/datadog.yaml", format!("api_key: {KEY}\n"), "dd-agent:dd-agent", 0o640);
    host.sh("systemctl start datadog-agent; systemctl is-active datadog-agent");
    // Before systemd 254 the unit counts as failed for an instant between two starts, too.
    host.wait_until("journalctl -u datadog-agent | grep -q 'Start request repeated too quickly'");
    assert!(host.holds("systemctl is-failed datadog-agent"));
    // Fewer than the unit's limit of five: the satellites that are bound to it ask for starts, too.
    assert_ne!(host.sh("systemctl show -p NRestarts --value datadog-agent"), "0");
    assert!(host.journal("datadog-agent").contains("panic: runtime error"));
}

#[test]
#[ignore = "others stand for it; --long runs it"]
fn repositories_that_are_not_right_are_refused_by_apt() {
    let host = host(Suite::Trixie, Repo::Stranger);
    for repo in [Repo::Stranger, Repo::Expired, Repo::Unsigned, Repo::Tampered, Repo::TamperedPackage, Repo::Missing] {
        host.serve(repo);
        let run = host.command(&["sh", "-ec", INSTALL]).run();
        assert_ne!(run.status, Some(0), "{repo:?}: {run}");
        assert!(!host.exists("/usr/bin/datadog-agent"), "{repo:?}");
        host.sh("rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb");
    }
    host.serve(Repo::Good);
    host.sh(INSTALL);
}

#[test]
fn the_servers_have_their_moods() {
    let host = Host::fresh(Suite::Bookworm).keys(Keys::NotFound).boot();
    let get = |host: &Host, url: &str| host.sh(&format!("cat > /get.pl <<'P'\n{GET}\nP\nperl /get.pl {url}"));
    assert!(get(&host, "keys.datadoghq.com /DATADOG_APT_KEY_CURRENT.public").contains(" 404 "));
    host.serve_keys(Keys::Good);
    assert!(get(&host, "keys.datadoghq.com /DATADOG_APT_KEY_CURRENT.public").contains("BEGIN PGP PUBLIC KEY BLOCK"));
    host.intake_down();
    assert!(host.holds("! ss -Hltn | grep -q 127.0.0.2:443"));
    host.intake_up();
    assert!(host.holds("ss -Hltn | grep -q 127.0.0.2:443"));
}

/// The base systems have neither curl nor wget; the key host speaks HTTP, too.
const GET: &str = r#"use IO::Socket::INET; my ($h, $p) = @ARGV;
my $s = IO::Socket::INET->new("$h:80") or die; print $s "GET $p HTTP/1.0\r\nHost: $h\r\n\r\n"; print while <$s>;"#;

#[test]
#[ignore = "another system stands for it; --long runs it"]
fn a_host_without_systemd_takes_the_packages() {
    let keyring = keyring();
    let host = Host::fresh(Suite::Bookworm)
        .without_systemd()
        .tmpfs("/opt", "10M")
        .file("/lab-keyring.gpg", keyring, "root:root", 0o644)
        .boot();
    assert!(!host.exists("/run/systemd/system"));
    host.sh(INSTALL);
    assert!(host.exists("/etc/systemd/system/multi-user.target.wants/datadog-agent.service"));
    assert_eq!(host.sh("df --output=fstype /opt | tail -1"), "tmpfs");
}

#[test]
fn sampling_sees_what_is_in_arguments_and_environments() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let (_, sample) = host.sampling(|| host.command(&["sleep", "0.3"]).env("CANARY", KEY).run().exits(0));
    assert!(sample.in_arguments(KEY).is_empty(), "{sample:?}");
    assert_eq!(sample.in_environments(KEY).iter().map(|p| p.program.as_str()).collect::<Vec<_>>(), ["/usr/bin/sleep"]);
    // Each program is seen whole, at whatever instant it is looked at.
    let many = ["sh", "-c", "for i in $(seq 2000); do /bin/true; done"];
    let (_, sample) = host.sampling(|| host.command(&many).env("CANARY", KEY).run().exits(0));
    let seen = sample.in_environments(KEY);
    assert!(seen.iter().any(|p| p.args == ["/bin/true"]) && seen.iter().all(|p| !p.args.is_empty()), "{seen:?}");
    let (_, sample) = host.sampling(|| host.sh(&format!("sleep 0.2; sh -c 'sleep 0.2; : {KEY}'")));
    assert!(!sample.in_arguments(KEY).is_empty());
    let run = host.command(&["id", "-un"]).user("nobody").run();
    assert!(run.stdout.contains("nobody"), "{run}");
}
