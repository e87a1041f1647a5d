//! The test lab: throw-away hosts with real systemd, apt and haproxy (tests/lab/README.md). A test says
//! what the host is like, what is run in it, and what must be true afterwards:
//!
//!     let host = Host::fresh(Suite::Bookworm).boot();
//!     host.ddinstall(&["install"]).env("DD_API_KEY", KEY).run().exits(0);
//!     assert_eq!(host.sh("systemctl is-active datadog-agent"), "active");
//!
//! Hosts are made by host.sh; what is here asks it, and looks. Tests fail where the lab is not set up.
#![allow(dead_code, unused_imports)]

mod builder;
mod command;
mod container;
mod controller;
mod host;
mod sampling;
mod signer;
mod tree;

pub use builder::Builder;
pub use command::{Invocation, Run};
pub use container::Container;
pub use controller::{Controller, Play, USER};
pub use host::{Host, PATIENCE};
pub use sampling::{Process, Sample};
pub use signer::{Signer, ran};
pub use tree::{Entry, Tree};

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A well-formed API key that is easily found again wherever it leaks to.
pub const KEY: &str = "5ca1ab1e0ddba11c0ffee00decafbad0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 11: apt 2.2, systemd 247.
    Bullseye,
    /// Debian 12: apt 2.6, systemd 252.
    Bookworm,
    /// Debian 13: apt 3.0 with sqv, systemd 257.
    Trixie,
    /// A stand-in for Red Hat 9 on the programs of Debian 12: dnf 4.14.
    El9,
    /// A stand-in for SLES 15 on the programs of Debian 12: zypper 1.14.
    Sles15,
}

impl Suite {
    pub const ALL: [Suite; 5] = [Suite::Bullseye, Suite::Bookworm, Suite::Trixie, Suite::El9, Suite::Sles15];

    pub fn name(self) -> &'static str {
        match self {
            Suite::Bullseye => "bullseye",
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
            Suite::El9 => "el9",
            Suite::Sles15 => "sles15",
        }
    }

    /// Whether packages are rpms there.
    pub fn is_rpm(self) -> bool {
        matches!(self, Suite::El9 | Suite::Sles15)
    }

    /// The vendor's host that packages come from.
    pub fn repository_host(self) -> &'static str {
        if self.is_rpm() { "yum.datadoghq.com" } else { "apt.datadoghq.com" }
    }

    /// The variable that names another repository.
    pub fn repository_variable(self) -> &'static str {
        if self.is_rpm() { "TESTING_YUM_URL" } else { "TESTING_APT_URL" }
    }

    /// Where the repository's entry and its keyring belong.
    pub fn repository_files(self) -> [&'static str; 2] {
        match self {
            Suite::El9 => ["/etc/yum.repos.d/datadog.repo", "/etc/pki/rpm-gpg/RPM-GPG-KEY-datadog"],
            Suite::Sles15 => ["/etc/zypp/repos.d/datadog.repo", "/etc/pki/rpm-gpg/RPM-GPG-KEY-datadog"],
            _ => ["/etc/apt/sources.list.d/datadog.list", "/usr/share/keyrings/datadog-archive-keyring.gpg"],
        }
    }
}

/// What a private mirror at https://private.test asks for (`/dd/` is the repository, `/keys/` the key host).
pub const MIRROR_USER: &str = "ops";
pub const MIRROR_PASSWORD: &str = "m1rror-passw0rd/5ecret";

/// The proxy of a host that is [`behind_proxy`](Builder::behind_proxy), without and with what it asks for.
pub const PROXY: &str = "http://127.0.0.1:3128";
pub const PROXY_PASSWORD: &str = "proxy-passw0rd-5ecret";

/// What apt.datadoghq.com and yum.datadoghq.com (and apt.mirror.test) serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repo {
    /// Agents 7.40.1, 7.44.1, 7.58.2 and 7.78.1, proxies 1.1.10 and 1.1.14, signing keys 1.4.0.
    Good,
    /// As `Good`, without 7.78.1: the newest Agent has examples in the classic layout.
    Classic,
    /// Only Agent 7.40.1, which does not know the FIPS proxy yet.
    Old,
    /// As `Classic`, and 7.58.3, whose Agent ends with status 1 half a second after it starts.
    Crash,
    /// As `Classic`, and 7.58.3, whose postinst fails.
    Postinst,
    /// As `Classic`, and 7.59.0 with a release candidate of it, 7.59.0~rc.5.
    Candidate,
    /// As `Good`, signed by the next key: the index, and the packages where they are rpms.
    Rotated,
    /// As `Classic`, made long before `Good`.
    Older,
    /// Signed by a key that nobody trusts.
    Stranger,
    /// Signed by a key that has expired.
    Expired,
    /// Neither InRelease nor Release.gpg, or no repomd.xml.asc.
    Unsigned,
    /// `Packages`, or primary.xml, was changed after it was signed.
    Tampered,
    /// rpm only: repomd.xml itself was changed after it was signed.
    Forged,
    /// The 7.78.1 package was changed; the index is honest.
    TamperedPackage,
    /// rpm only: the rpms are signed by a key that nobody trusts; the index is honest.
    StrangePackage,
    /// Nothing at all: 404.
    Missing,
    /// One Agent 7.58.9 of the real one's size; made by `script/lab --full`.
    Full,
}

impl Repo {
    pub fn name(self) -> &'static str {
        match self {
            Repo::Good => "good",
            Repo::Classic => "classic",
            Repo::Old => "old",
            Repo::Crash => "crash",
            Repo::Postinst => "postinst",
            Repo::Candidate => "candidate",
            Repo::Rotated => "rotated",
            Repo::Older => "older",
            Repo::Stranger => "stranger",
            Repo::Expired => "expired",
            Repo::Unsigned => "unsigned",
            Repo::Tampered => "tampered",
            Repo::Forged => "forged",
            Repo::TamperedPackage => "tampered-package",
            Repo::StrangePackage => "strange-package",
            Repo::Missing => "missing",
            Repo::Full => "full",
        }
    }
}

/// What keys.datadoghq.com (and keys.test) serves under the vendor's file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The signing key and the next one, and an expired one among them, as with the vendor.
    Good,
    NotFound,
    /// Status 200 and a sign-in page.
    Html,
    /// Status 200 and no byte.
    Empty,
    /// Each file holds a key that nobody trusts, one that has expired, or one that was revoked.
    Stranger,
    Expired,
    Revoked,
}

impl Keys {
    pub fn name(self) -> &'static str {
        match self {
            Keys::Good => "good",
            Keys::NotFound => "notfound",
            Keys::Html => "html",
            Keys::Empty => "empty",
            Keys::Stranger => "stranger",
            Keys::Expired => "expired",
            Keys::Revoked => "revoked",
        }
    }
}

/// The fingerprint of a lab key: `signing` (it signs the good repositories), `next`, `stranger`,
/// `expired` or `revoked`.
pub fn fingerprint(name: &str) -> String {
    let file = set().join("keys/fingerprints.env");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let prefix = format!("{name}=");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("no key {name} in {}", file.display()))
        .to_string()
}

/// The lab folder.
pub fn folder() -> PathBuf {
    std::env::var_os("DDINSTALL_LAB")
        .filter(|v| !v.is_empty())
        .map_or_else(|| "/var/tmp/ddinstall-lab".into(), PathBuf::from)
}

/// Runs host.sh and returns what it printed; the test fails if it fails.
pub(crate) fn host_sh(args: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/host.sh");
    let output = Command::new(script)
        .args(args)
        .env("OWNER", std::process::id().to_string())
        .output()
        .unwrap_or_else(|e| panic!("{script}: {e}"));
    assert!(output.status.success(), "host.sh {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// The folder of this checkout's keys, packages (`debs`) and repositories. Asked for once in each test
/// process, which also clears away the hosts that dead processes left behind.
pub fn set() -> &'static Path {
    static SET: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let outcome = SET.get_or_init(|| {
        std::panic::catch_unwind(|| PathBuf::from(host_sh(&["begin"])))
            .map_err(|e| e.downcast_ref::<String>().cloned().unwrap_or_else(|| "host.sh begin failed".into()))
    });
    outcome.as_deref().unwrap_or_else(|message| panic!("{message}"))
}
