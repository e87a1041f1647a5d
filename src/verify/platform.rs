//! The host itself: release, certificate authorities, room on the disks, versions, the kernel's cryptography.

use crate::current::Current;
use crate::desired::Desired;
use crate::facts::Facts;
use crate::host::Host;
use crate::packages;
use crate::support::{self, ALL_PRODUCTS_AGENT, FIRST_CWS_AGENT, Supported};
use crate::types::Profile;

use super::{Cause, Check, Look, Mend};

/// Below this a service cannot write its state and its log, in bytes.
const NO_ROOM: u64 = 1 << 20;
/// Below this it soon cannot.
const LITTLE_ROOM: u64 = 64 << 20;

pub(super) fn checks(look: &Look) -> Vec<Check> {
    let mut checks = vec![release(look.facts, look.desired)];
    if look.desired.asked.proxy_on() {
        checks.push(authorities(look.host));
    }
    checks.push(disk(look.host));
    checks
}

fn release(facts: &Facts, desired: &Desired) -> Check {
    let check = Check::of("platform.release", "a release that the vendor's pages name");
    // The kernel under an image is another's.
    let kernel = if facts.profile == Profile::Image { "" } else { &facts.kernel };
    let answers = support::answers(&facts.distribution, &facts.architecture, kernel, facts.lockdown);
    let mut asked = vec![("the Agent", &answers.agent)];
    if desired.asked.proxy_on() {
        asked.push(("the FIPS proxy", &answers.fips_proxy));
    }
    if desired.asked.cws_on() {
        asked.push(("CWS", &answers.cws));
    }
    let seen = format!("{}, {}", facts.distribution.name, facts.architecture);
    match asked.iter().find(|(_, answer)| answer.supported != Supported::Yes) {
        None => check.passes(seen),
        Some((what, answer)) => check.warns(format!("{seen}; {what}: {}", answer.reason), answer.source),
    }
}

fn authorities(host: &Host) -> Check {
    let check = Check::of("platform.authorities", "the system's certificates");
    let update = match packages::Manager::of(host) {
        Ok(packages::Manager::Dnf) => "update-ca-trust extract",
        _ => "update-ca-certificates --fresh",
    };
    match packages::trust_store(host) {
        Ok(Some(bytes)) => {
            let count = String::from_utf8_lossy(&bytes).matches("-----BEGIN").count();
            check.passes(format!("{count} certificates"))
        }
        Ok(None) => check
            .fails("the file of certificates is missing or empty", format!("reinstall ca-certificates, or: {update}"))
            .because(
                Cause::NoAuthorities,
                Mend::Command(format!("{update} && systemctl reset-failed datadog-fips-proxy; ddinstall install")),
            ),
        Err(error) => check.unclear(error.to_string(), "see what is in its place"),
    }
}

fn disk(host: &Host) -> Check {
    let check = Check::of("platform.disk", format!("{} MB free", LITTLE_ROOM >> 20));
    let mut least: Option<(u64, &str)> = None;
    for folder in ["/etc", "/var/log/datadog", "/opt/datadog-agent/run", "/var/lib", "/run"] {
        match host.free_space(folder) {
            Ok(space) => {
                // Agent and proxy write as a user. No inode left is as good as no byte.
                let free = if space.inodes_of_others == Some(0) { 0 } else { space.bytes_of_others };
                if least.is_none_or(|(bytes, _)| free < bytes) {
                    least = Some((free, folder));
                }
            }
            Err(error) => return check.unclear(error.to_string(), "run as root to see it"),
        }
    }
    let (free, folder) = least.unwrap_or_default();
    let seen = format!("{folder}: {} MB free", free >> 20);
    match free {
        free if free < NO_ROOM => check
            .fails(
                format!("{folder} is full ({} kB free)", free >> 10),
                format!("make room: `du -xh {folder} | sort -h | tail` shows what takes it; then `ddinstall install`"),
            )
            .because(Cause::DiskFull, Mend::Hand),
        free if free < LITTLE_ROOM => check.warns(seen, "make room there"),
        _ => check.passes(seen),
    }
}

/// What the installed Agent can do, and whether its version may move.
pub(super) fn versions(look: &Look) -> Vec<Check> {
    let (desired, current) = (look.desired, look.current);
    let mut checks = vec![held(desired, current)];
    let Some(version) = current.agent_version() else { return checks };
    if desired.asked.fips_on() {
        let check = Check::of("version.products", format!("{ALL_PRODUCTS_AGENT} or later"));
        checks.push(match version >= ALL_PRODUCTS_AGENT {
            true => check.passes(version.to_string()),
            false => check.warns(
                version.to_string(),
                "`ddinstall install --upgrade`: some products do not go through the proxy yet",
            ),
        });
    }
    if desired.asked.cws_on() {
        let check = Check::of("version.cws", format!("{FIRST_CWS_AGENT} or later"));
        checks.push(match version >= FIRST_CWS_AGENT {
            true => check.passes(version.to_string()),
            false => check
                .fails(version.to_string(), "`ddinstall install --upgrade`")
                .because(Cause::AgentTooOld, Mend::Command("ddinstall install --upgrade".into())),
        });
    }
    checks
}

fn held(desired: &Desired, current: &Current) -> Check {
    let check = Check::of("updates.held", "either; a held package gets no security updates");
    let held: Vec<&str> = desired
        .packages
        .iter()
        .map(|wish| wish.name)
        .filter(|name| current.packages.get(name).is_some_and(|package| package.held))
        .collect();
    check.passes(if held.is_empty() { "not held".into() } else { format!("held: {}", held.join(", ")) })
}

pub(super) fn kernel_fips(facts: &Facts) -> Check {
    let check = Check::of("kernel.fips", "fips_enabled = 1");
    match facts.kernel_fips {
        Some(true) => check.passes("1"),
        _ => check
            .warns(
                "it is not",
                "the proxy's cryptography is validated for operating systems in FIPS mode: turning it on is up to you (security policy of the certificate)",
            )
            .because(Cause::Kernel, Mend::Hand),
    }
}

/// Red Hat's family has one policy for all of the system's cryptography.
pub(super) fn crypto_policy(host: &Host) -> Check {
    let check = Check::of("kernel.crypto_policy", "FIPS");
    match host.read_text("/etc/crypto-policies/state/current") {
        Ok(None) => check.skipped("this distribution has no crypto policies"),
        Ok(Some(text)) if text.trim().starts_with("FIPS") => check.passes(text.trim()),
        Ok(Some(text)) => check
            .warns(
                text.trim(),
                "`fips-mode-setup --enable` sets it, with the kernel's mode; it takes effect at the next boot",
            )
            .because(Cause::Kernel, Mend::Hand),
        Err(failure) => check.unknown(failure.to_string()),
    }
}
