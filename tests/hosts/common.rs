//! The request that most tests make, and what they look at afterwards.

use crate::lab::{Host, Invocation, KEY, Run, Suite, Tree, fingerprint};
use serde_json::Value;
use std::process::Command;

pub const DATADOG: &str = "/etc/datadog-agent/datadog.yaml";
pub const SYSPROBE: &str = "/etc/datadog-agent/system-probe.yaml";
pub const SECURITY: &str = "/etc/datadog-agent/security-agent.yaml";
pub const PROXY_CFG: &str = "/etc/datadog-fips-proxy/datadog-fips-proxy.cfg";
pub const PROXY_LOGS: &str = "/etc/datadog-agent/conf.d/fips_proxy.d/conf.yaml";

/// What other programs write by themselves while a host just runs.
pub const RESTLESS: [&str; 8] = [
    "/var/log/datadog",
    "/var/log/journal",
    "/var/log/wtmp",
    "/opt/datadog-agent/run",
    // Whoever reads rpm's database writes here, and zypper here.
    "/var/lib/rpm/rpmdb.sqlite-shm",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/YaST2",
    "/var/tmp/none",
];

/// The units that must run on a host that is FIPS and CWS.
pub const UNITS: [&str; 4] =
    ["datadog-fips-proxy", "datadog-agent", "datadog-agent-sysprobe", "datadog-agent-security"];

/// A program that listens on a port of the proxy and is none.
pub const SQUATTER: &str = "systemd-run -q --unit=squatter perl -MIO::Socket::INET -e \
    'my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 9804, ReuseAddr => 1) or die; sleep 600'";

/// The same, once the proxy's package is there: it is in the way of a run's middle.
pub const LATE_SQUATTER: &str = "systemd-run -q --unit=squatter perl -MIO::Socket::INET -e 'select undef, undef, undef, 0.01 until -e \"/opt/datadog-fips-proxy\"; \
    my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 9804, ReuseAddr => 1) or die; sleep 600'";

impl Host {
    /// What the operator of a host says that is to be FIPS and CWS. A later `env` replaces a variable.
    pub fn asked(&self, args: &[&str]) -> Invocation {
        self.ddinstall(args)
            .env("DD_API_KEY", KEY)
            .env("DD_SITE", "ddog-gov.com")
            .env("DD_FIPS_MODE", "1")
            .env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "true")
            .env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"))
    }

    pub fn install(&self) -> Run {
        self.asked(&["install"]).run()
    }

    /// Says nothing: what the host is to be is known from the run before.
    pub fn verify(&self) -> Run {
        self.ddinstall(&["verify", "--format", "json"]).run()
    }

    /// The tree without what never rests.
    pub fn quiet_tree(&self) -> Tree {
        self.tree().without(&RESTLESS)
    }

    /// The same, where apt asks a repository, or package files are copied: files come and go in these folders.
    pub fn asking_tree(&self) -> Tree {
        self.quiet_tree().without(&["/tmp/none", "/var/cache/none"])
    }

    #[track_caller]
    pub fn asking_changed_nothing_since(&self, before: &Tree) {
        let changes = self.asking_tree().changes_since(before);
        assert!(changes.is_empty(), "{changes:#?}");
    }

    #[track_caller]
    pub fn changed_nothing_since(&self, before: &Tree) {
        let changes = self.quiet_tree().changes_since(before);
        assert!(changes.is_empty(), "{changes:#?}");
    }

    /// How often systemd has started a unit since the host was booted.
    pub fn starts(&self, unit: &str) -> usize {
        let started = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";
        self.sh(&format!("journalctl --sync; journalctl -q --no-pager -o cat {started} UNIT={unit}.service | wc -l"))
            .parse()
            .expect("a number")
    }

    /// The package manager forgets the index. (apt takes none that is older than the one it knows.)
    pub fn forget_index(&self) {
        self.sh("rm -rf /var/lib/apt/lists/* /var/cache/dnf/* /var/cache/zypp/*");
    }

    /// The package manager reads the index, and forgets the packages that it downloaded.
    pub fn forget_packages(&self) {
        self.sh(match self.suite() {
            Suite::El9 => "dnf -q --refresh makecache && find /var/cache/dnf -name '*.rpm' -delete",
            Suite::Sles15 => "zypper -q refresh && find /var/cache/zypp -name '*.rpm' -delete",
            _ => "apt-get -q update && rm -f /var/cache/apt/archives/*.deb",
        });
    }

    pub fn installed(&self, package: &str) -> Option<String> {
        let query: &[&str] = match self.suite().is_rpm() {
            true => &["rpm", "-q", "--qf", "installed %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}", package],
            false => &["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
        };
        self.command(query).run().stdout.strip_prefix("installed ").map(str::to_owned)
    }
}

impl Run {
    /// The checks of a verification that did not hold.
    #[track_caller]
    pub fn failures(&self) -> Vec<String> {
        let checks = self.json()["verify"]["checks"].as_array().cloned().unwrap_or_default();
        let failed = |check: &&Value| ["fail", "unknown"].contains(&check["status"].as_str().unwrap_or_default());
        checks.iter().filter(failed).map(|check| check["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[track_caller]
    pub fn fails(self, check: &str) -> Self {
        assert!(self.failures().iter().any(|id| id == check), "{check} did not fail: {:?}\n{self}", self.failures());
        self.exits(9)
    }
}

/// The lines that `git diff` shows, without its headers: `-old`, `+new`.
pub fn git_diff(before: &[u8], after: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("before", before), ("after", after)] {
        std::fs::write(folder.path().join(name), bytes).expect(name);
    }
    let output = Command::new("git")
        .args(["-c", "core.safecrlf=false", "diff", "--no-index", "--no-color", "-U0", "before", "after"])
        .current_dir(folder.path())
        .output()
        .expect("git");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let header = |line: &&str| !["diff ", "index ", "--- ", "+++ ", "@@ "].iter().any(|h| line.starts_with(h));
    text.split_terminator('\n').filter(header).map(str::to_owned).collect()
}
