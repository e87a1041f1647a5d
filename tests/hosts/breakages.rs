//! The broken hosts of `doctor`: how each is broken, what is behind it, and who mends it.

use super::common::*;
use crate::lab::Host;
use std::path::Path;
use std::process::Command;

pub struct Case {
    pub name: &'static str,
    pub cause: &'static str,
    pub breaks: fn(&Host),
    pub heal: Heal,
    /// Run by default, not with --long alone.
    pub quick: bool,
}

#[derive(Clone, Copy)]
pub enum Heal {
    /// `doctor --fix`
    Fix,
    /// The command that doctor prints.
    Printed,
    /// Outside the host, or in a text that only its author can mend.
    Hand(fn(&Host)),
    /// First that, then the command.
    HandThenPrinted(fn(&Host)),
}

/// Programs that hosts of the lab do not have, and that some cases need: the machine's own are copied.
pub struct Tool {
    nft: bool,
}

impl Tool {
    pub fn install() -> Tool {
        if !Path::new("/usr/sbin/nft").exists() {
            let apt = "apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install nftables";
            let done = Command::new("sh").args(["-c", apt]).output().expect("sh");
            assert!(Path::new("/usr/sbin/nft").exists(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        // The kernel must know it, too.
        let probe = "unshare --net nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }'";
        let nft = Command::new("sh").args(["-c", probe]).output().expect("sh").status.success();
        if !nft {
            println!("this machine's kernel has no nftables: the cases of firewalls are left out");
        }
        Tool { nft }
    }

    pub fn has(&self, case: &Case) -> bool {
        self.nft || !case.name.starts_with("firewall")
    }
}

const fn slow(name: &'static str, cause: &'static str, breaks: fn(&Host), heal: Heal) -> Case {
    Case { name, cause, breaks, heal, quick: false }
}

const fn quick(name: &'static str, cause: &'static str, breaks: fn(&Host), heal: Heal) -> Case {
    Case { name, cause, breaks, heal, quick: true }
}

use Heal::{Fix, Hand, HandThenPrinted, Printed};

pub const CASES: &[Case] = &[
    // Services.
    quick("the proxy is stopped", "service-down", |h| stop(h, "datadog-fips-proxy"), Fix),
    slow("the Agent is stopped", "service-down", |h| stop(h, "datadog-agent"), Fix),
    slow("system-probe is stopped", "service-down", |h| stop(h, "datadog-agent-sysprobe"), Fix),
    slow("the security-agent is stopped", "service-down", |h| stop(h, "datadog-agent-security"), Fix),
    quick("the proxy is masked", "unit-masked", |h| sh(h, "systemctl mask --now datadog-fips-proxy"), Printed),
    slow("the Agent is masked", "unit-masked", |h| sh(h, "systemctl mask --now datadog-agent"), Printed),
    slow(
        "the proxy does not start with the host",
        "service-disabled",
        |h| sh(h, "systemctl disable -q datadog-fips-proxy"),
        Fix,
    ),
    slow(
        "the proxy's program is gone",
        "package-broken",
        |h| {
            sh(
                h,
                "rm /opt/datadog-fips-proxy/embedded/sbin/haproxy; systemctl restart datadog-fips-proxy || true; sleep 1",
            );
        },
        Printed,
    ),
    slow(
        "the proxy's package was removed",
        "package-missing",
        |h| sh(h, "apt-get -qq -y remove datadog-fips-proxy > /dev/null 2>&1"),
        Fix,
    ),
    slow(
        "the proxy runs and does not listen",
        "service-down",
        |h| {
            let program = "/opt/datadog-fips-proxy/embedded/sbin/haproxy";
            sh(h, &format!("mv {program} {program}.real
            printf '#!/bin/sh\\nmkdir /run/once 2>/dev/null && exec sleep 600\\nexec {program}.real \"$@\"\\n' > {program}
            chmod 755 {program}; chmod 1777 /run; systemctl restart datadog-fips-proxy"));
        },
        Fix,
    ),
    // Ports.
    quick(
        "another process holds port 9804",
        "port-taken",
        |h| {
            sh(h, &format!("systemctl stop datadog-fips-proxy; {SQUATTER}"));
            h.wait_until("ss -Hltn | grep -q :9804");
            h.command(&["systemctl", "start", "datadog-fips-proxy"]).run();
        },
        Printed,
    ),
    slow(
        "another process holds port 9804 elsewhere",
        "port-taken",
        |h| {
            sh(h, &SQUATTER.replace("LocalPort => 9804", "LocalPort => 9804, LocalAddr => \"127.0.0.3\""));
            h.wait_until("ss -Hltn | grep -q 127.0.0.3:9804");
        },
        Printed,
    ),
    quick(
        "the proxy is bound to 0.0.0.0",
        "open-proxy",
        |h| {
            sh(
                h,
                "echo DD_FIPS_LOCAL_ADDRESS=0.0.0.0 > /etc/datadog-fips-proxy/environment; systemctl restart datadog-fips-proxy",
            );
            h.wait_until("ss -Hltn | grep -q 0.0.0.0:9818");
        },
        Printed,
    ),
    quick(
        "the proxy is bound where the Agent does not ask",
        "port-range",
        |h| {
            sh(
                h,
                "echo DD_FIPS_LOCAL_ADDRESS=127.0.0.2 > /etc/datadog-fips-proxy/environment; systemctl restart datadog-fips-proxy",
            );
            h.wait_until("ss -Hltn | grep -q 127.0.0.2:9818");
        },
        Printed,
    ),
    // The proxy's configuration.
    slow(
        "the proxy's configuration is gone",
        "file-missing",
        |h| sh(h, &format!("rm {PROXY_CFG}; systemctl restart datadog-fips-proxy || true; sleep 1")),
        Fix,
    ),
    quick("the proxy listens on other ports", "proxy-config-changed", |h| proxy_config(h, "s/:98/:99/"), Printed),
    slow(
        "the proxy's configuration has a mistake",
        "proxy-config-changed",
        |h| proxy_config(h, "s/^    maxconn/    maxxconn/"),
        Printed,
    ),
    slow(
        "the proxy's configuration has one line more",
        "proxy-config-changed",
        |h| proxy_config(h, "1i # ours"),
        Printed,
    ),
    // The Agent's files.
    quick("fips.enabled is false", "fips-off", |h| set(h, DATADOG, "fips.enabled=false"), Fix),
    slow("fips.https is true", "fips-https", |h| set(h, DATADOG, "fips.https=true"), Fix),
    slow("the Agent looks on other ports", "port-range", |h| set(h, DATADOG, "fips.port_range_start=9903"), Fix),
    quick("the site is another one", "wrong-site", |h| set(h, DATADOG, "site=datadoghq.com"), Printed),
    slow("CWS is off", "cws-off", |h| set(h, SYSPROBE, "runtime_security_config.enabled=false"), Fix),
    slow(
        "activity dumps are on",
        "unrelayed-product",
        |h| set(h, SYSPROBE, "runtime_security_config.activity_dump.enabled=true"),
        Fix,
    ),
    slow(
        "remote configuration is on",
        "unrelayed-product",
        |h| set(h, DATADOG, "remote_configuration.enabled=true"),
        Printed,
    ),
    slow(
        "there is a further endpoint",
        "further-endpoints",
        |h| {
            let line = "additional_endpoints: {https://app.datadoghq.com: [abcdefabcdefabcdefabcdefabcdefab]}";
            sh(h, &format!("echo '{line}' >> {DATADOG}; systemctl restart datadog-agent; sleep 1"));
        },
        Printed,
    ),
    slow("the API key is empty", "no-api-key", |h| set(h, DATADOG, "api_key=\"\""), Printed),
    slow(
        "datadog.yaml is no YAML",
        "file-broken",
        |h| {
            sh(h, &format!("printf 'broken: [1, 2\\n' >> {DATADOG}; systemctl restart datadog-agent || true; sleep 1"));
        },
        Hand(|h| sh(h, &format!("sed -i '/^broken:/d' {DATADOG}; ddinstall install"))),
    ),
    slow(
        "the Agent cannot read datadog.yaml",
        "file-rights",
        |h| {
            sh(
                h,
                &format!(
                    "chown root:root {DATADOG}; chmod 600 {DATADOG}; systemctl restart datadog-agent || true; sleep 1"
                ),
            );
        },
        Fix,
    ),
    quick("every user can read datadog.yaml", "file-rights", |h| sh(h, &format!("chmod 644 {DATADOG}")), Fix),
    slow(
        "the running Agent has an older configuration",
        "not-restarted",
        |h| {
            set(h, DATADOG, "fips.enabled=false");
            h.wait_until(
                "datadog-agent status -j | grep -q '\"fips_proxy_enabled\":\"0\\|\"fips_proxy_enabled\":\"false'",
            );
            sh(h, &format!("ddinstall config set {DATADOG} fips.enabled=true"));
        },
        Printed,
    ),
    // Variables.
    quick(
        "a variable turns the proxy off",
        "environment-override",
        |h| environment(h, "DD_FIPS_ENABLED=false"),
        Printed,
    ),
    slow("a variable names another site", "environment-override", |h| environment(h, "DD_SITE=datadoghq.eu"), Printed),
    slow(
        "a drop-in turns the proxy off",
        "environment-override",
        |h| {
            sh(h, "mkdir -p /etc/systemd/system/datadog-agent.service.d
            printf '[Service]\\nEnvironment=DD_FIPS_ENABLED=false\\n' > /etc/systemd/system/datadog-agent.service.d/ours.conf
            systemctl daemon-reload; systemctl restart datadog-agent");
        },
        Printed,
    ),
    slow(
        "all units have a variable",
        "environment-override",
        |h| {
            sh(h, "systemctl set-environment DD_FIPS_PORT_RANGE_START=9903; systemctl restart datadog-agent");
        },
        Printed,
    ),
    // Past the proxy.
    slow(
        "a process of the Agent is connected elsewhere",
        "direct-connection",
        |h| {
            sh(h, "ip addr add 203.0.113.7/32 dev lo
            systemd-run -q --unit=elsewhere perl -MIO::Socket::INET -e \
              'my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => \"203.0.113.7\", LocalPort => 443) or die; my @c; while (1) { push @c, $s->accept }'
            printf '#!/bin/sh\\nperl -MIO::Socket::INET -e '\"'\"'sleep 1; my $s = IO::Socket::INET->new(PeerAddr => \"203.0.113.7\", PeerPort => 443) or die; sleep 600'\"'\"' &\\n' > /usr/local/bin/leak
            chmod 755 /usr/local/bin/leak; mkdir -p /etc/systemd/system/datadog-agent.service.d
            printf '[Service]\\nExecStartPost=/usr/local/bin/leak\\n' > /etc/systemd/system/datadog-agent.service.d/leak.conf
            systemctl daemon-reload; systemctl restart datadog-agent");
        },
        Hand(|h| {
            sh(
                h,
                "rm /etc/systemd/system/datadog-agent.service.d/leak.conf; systemctl daemon-reload
            systemctl restart datadog-agent; systemctl stop elsewhere",
            );
        }),
    ),
    // The way to the intake.
    slow(
        "the intake refuses connections",
        "intake-refused",
        |h| {
            h.intake_down();
            sh(h, "systemctl restart datadog-fips-proxy");
        },
        Hand(intake_back),
    ),
    slow(
        "the intake answers nothing",
        "intake-broken",
        |h| fake_intake(h, true, "http-request reject"),
        Hand(intake_back),
    ),
    slow(
        "a TLS inspection stands before the intake",
        "tls-refused",
        |h| fake_intake(h, false, "http-request return status 202"),
        Hand(intake_back),
    ),
    slow(
        "the intake does not take the key",
        "key-refused",
        |h| fake_intake(h, true, "http-request return status 403"),
        HandThenPrinted(intake_back),
    ),
    slow(
        "the intake's names are not resolved",
        "dns",
        |h| {
            sh(
                h,
                "cp /etc/hosts /root/hosts; sed -i '/ddog-gov.com/d' /etc/hosts; systemctl restart datadog-fips-proxy",
            );
        },
        HandThenPrinted(|h| sh(h, "cat /root/hosts > /etc/hosts")),
    ),
    slow(
        "there are no certificate authorities",
        "no-authorities",
        |h| {
            sh(h, "rm /etc/ssl/certs/ca-certificates.crt; systemctl restart datadog-fips-proxy || true; sleep 1");
        },
        Printed,
    ),
    slow(
        "localhost leads elsewhere",
        "localhost-name",
        |h| {
            sh(
                h,
                "sed -i -E 's/^127\\.0\\.0\\.1(\\s+localhost)/127.0.0.9\\1/' /etc/hosts; systemctl restart datadog-agent",
            );
        },
        Printed,
    ),
    // Firewalls.
    slow(
        "firewall: packets to the proxy are dropped",
        "local-firewall",
        |h| nft(h, "tcp dport 9803-9818 drop"),
        Printed,
    ),
    slow(
        "firewall: one port of the proxy is reset",
        "local-firewall",
        |h| nft(h, "tcp dport 9816 reject with tcp reset"),
        Printed,
    ),
    slow(
        "firewall: the proxy's packets are dropped",
        "intake-blocked",
        |h| {
            nft(h, "tcp dport 443 drop");
            sh(h, "systemctl restart datadog-fips-proxy");
        },
        Printed,
    ),
    // The system.
    slow(
        "a disk is full",
        "disk-full",
        |h| {
            sh(
                h,
                "mount -t tmpfs -o size=8M,uid=$(id -u dd-agent),mode=755 tmpfs /var/log/datadog
            dd if=/dev/zero of=/var/log/datadog/filler bs=64k 2> /dev/null || true",
            );
        },
        Hand(|h| sh(h, "rm /var/log/datadog/filler; umount -l /var/log/datadog; systemctl restart datadog-agent")),
    ),
    quick(
        "the Agent is not in the journal's group",
        "journal-group",
        |h| sh(h, "gpasswd -d dd-agent systemd-journal > /dev/null"),
        Fix,
    ),
    slow(
        "the running Agent is not in the journal's group",
        "journal-group",
        |h| {
            sh(
                h,
                "gpasswd -d dd-agent systemd-journal > /dev/null; systemctl restart datadog-agent; sleep 1; usermod -aG systemd-journal dd-agent",
            );
        },
        Printed,
    ),
    slow(
        "the journal's folder is closed",
        "journal-access",
        |h| {
            sh(h, "for d in /var/log/journal /run/log/journal; do if [ -d $d ]; then chmod 700 $d; break; fi; done");
        },
        Printed,
    ),
    slow("the log configuration of the proxy is gone", "file-missing", |h| sh(h, &format!("rm {PROXY_LOGS}")), Fix),
];

fn sh(host: &Host, script: &str) {
    host.sh(script);
}

fn stop(host: &Host, unit: &str) {
    host.sh(&format!("systemctl stop {unit}"));
}

fn set(host: &Host, file: &str, change: &str) {
    host.command(&["ddinstall", "config", "set", file, change]).run().exits(0);
    host.sh("systemctl restart datadog-agent || true; sleep 1");
}

fn environment(host: &Host, line: &str) {
    host.sh(&format!("echo '{line}' >> /etc/datadog-agent/environment; systemctl restart datadog-agent; sleep 1"));
}

/// Edits the proxy's configuration, as no operator should.
fn proxy_config(host: &Host, edit: &str) {
    host.sh(&format!("sed -i '{edit}' {PROXY_CFG}; systemctl restart datadog-fips-proxy || true; sleep 1"));
}

/// A rule on the way out of the host.
fn nft(host: &Host, rule: &str) {
    let libraries = Command::new("ldd").arg("/usr/sbin/nft").output().expect("ldd").stdout;
    let libraries = String::from_utf8_lossy(&libraries).into_owned();
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/') && !word.contains("ld-linux"));
    for path in paths.chain(["/usr/sbin/nft"]) {
        let inside = host.path(path);
        if !inside.exists() {
            std::fs::create_dir_all(inside.parent().expect("a folder")).expect(path);
            std::fs::copy(path, &inside).expect(path);
        }
    }
    host.sh("nft flush ruleset; nft add table inet site; nft 'add chain inet site out { type filter hook output priority 0; }'");
    host.command(&["nft", &format!("add rule inet site out {rule}")]).run().exits(0);
}

fn intake_back(host: &Host) {
    host.sh("systemctl stop intake 2> /dev/null || true");
    host.intake_up();
    host.sh("systemctl restart datadog-fips-proxy");
}

/// Another server in the intake's place, with the lab's certificate or one that nobody knows.
fn fake_intake(host: &Host, trusted: bool, rule: &str) {
    host.intake_down();
    let work = host.path("/").parent().expect("a folder").to_owned();
    let pem = if trusted {
        let conf = std::fs::read_to_string(work.join("intake.conf")).expect("intake.conf");
        let path = |name: &str| {
            let line = conf.lines().find_map(|line| line.trim().strip_prefix(name)).expect(name);
            std::fs::read_to_string(line.trim().trim_end_matches(';')).expect(name)
        };
        path("ssl_certificate ") + &path("ssl_certificate_key ")
    } else {
        let folder = tempfile::tempdir().expect("a folder");
        let both = folder.path().join("both.pem");
        let subject = "/CN=api.ddog-gov.com";
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject, "-keyout"])
            .arg(&both)
            .arg("-out")
            .arg(folder.path().join("crt.pem"))
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{made:?}");
        let read = |path: &Path| std::fs::read_to_string(path).expect("pem");
        read(&folder.path().join("crt.pem")) + &read(&both)
    };
    host.write("/root/intake.pem", pem, "root:root", 0o600);
    let config = format!(
        "global\n  log stdout local0\ndefaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\nfrontend intake\n  bind 127.0.0.2:443 ssl crt /root/intake.pem\n  {rule}\n"
    );
    host.write("/root/intake.cfg", config, "root:root", 0o600);
    host.sh("systemd-run -q --unit=intake haproxy -db -f /root/intake.cfg");
    host.wait_until("ss -Hltn | grep -q 127.0.0.2:443");
    host.sh("systemctl restart datadog-fips-proxy");
}
