//! Hosts that lack what installers often rely on.

use super::refusals::Untouched;
use crate::lab::{Host, Suite};

const HELPERS: &str = "curl wget gpg gnupg ps free pgrep lsb_release sudo";

/// The lab's own authority, which certifies the vendor's host names there.
fn lab_authority(host: &Host) -> String {
    host.read("/usr/local/share/ca-certificates/ddinstall-lab.crt")
}

#[test]
fn no_curl_no_gnupg_no_procps_no_lsb_release_and_no_sudo() {
    for suite in Suite::ALL {
        let host = Untouched::new(Host::fresh(suite).boot());
        let lacking = match suite.is_rpm() {
            true => {
                format!("mv $(command -v gpg) /root; rm -f $(for name in {HELPERS}; do command -v $name || true; done)")
            }
            false => "dpkg --purge --force-depends procps curl wget gnupg gpg lsb-release sudo 2>&1".into(),
        };
        host.host.sh(&lacking);
        host.host.sh(&format!("for name in {HELPERS}; do ! command -v $name || exit 1; done"));
        if suite.is_rpm() {
            host.refuses(host.install(), 4, &["there is no gpg", "gnupg2"]);
            host.host.sh("mv /root/gpg /usr/bin");
        }
        host.host.install().exits(0);
        host.host.verify().exits(0);
    }
}

#[test]
fn without_certificate_authorities() {
    let host = Untouched::new(Host::fresh(Suite::Bookworm).boot());
    let ca = lab_authority(&host.host);
    host.host.sh(
        "dpkg --purge --force-depends ca-certificates 2>&1; rm -rf /etc/ssl/certs /usr/local/share/ca-certificates",
    );
    host.host.write("/root/ca.pem", ca, "root:root", 0o644);
    host.refuses(host.install(), 4, &["certificate", "package ca-certificates", "--ca-file"]);
    let with = |args: &[&str]| host.host.asked(&[&["install", "--ca-file", "/root/ca.pem"], args].concat());
    // The FIPS proxy itself checks the intake by the system's authorities.
    host.refuses(with(&[]), 4, &["FIPS proxy", "package ca-certificates"]);
    with(&[]).env("DD_FIPS_MODE", "").run().exits(0);
    host.host.verify().exits(0);
}
