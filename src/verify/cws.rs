//! What CWS needs beside its files and units.

use crate::desired::{AGENT_UNIT, SYSPROBE_UNIT};
use crate::host::services::log_command;
use crate::host::system::{self, Lockdown};
use crate::support;
use crate::types::Profile;

use super::{Cause, Check, Look, Mend};

const POLICIES: &str = "/etc/datadog-agent/runtime-security.d";
/// The module listens here once it is loaded (`runtime_security_config.socket`).
const SOCKET: &str = "/opt/datadog-agent/run/runtime-security.sock";

pub(super) fn checks(look: &Look) -> Vec<Check> {
    if look.facts.profile == Profile::Image {
        return vec![policies(look)];
    }
    vec![policies(look), kernel(look), lockdown(look), btf(look), debugfs(look), module(look)]
}

fn policies(look: &Look) -> Check {
    let check = Check::of("cws.policies", format!("a .policy file in {POLICIES}"));
    match look.host.list(POLICIES) {
        Ok(names) => {
            let names = names.iter().flatten().map(|name| name.to_string_lossy().into_owned());
            let found: Vec<String> = names.filter(|name| name.ends_with(".policy")).collect();
            match found.is_empty() {
                true => check
                    .warns("none", "policies come with the Agent's package (reinstall it); under FIPS none are sent by remote configuration")
                    .because(Cause::Cws, Mend::Hand),
                false => check.passes(found.join(", ")),
            }
        }
        Err(failure) => check.unknown(failure.to_string()),
    }
}

fn kernel(look: &Look) -> Check {
    let check = Check::of("cws.kernel", "4.14 or later, or one that the distribution has prepared");
    let facts = look.facts;
    let answers = support::answers(&facts.distribution, &facts.architecture, &facts.kernel, None);
    match answers.cws.supported {
        support::Supported::No => check
            .fails(format!("{}: {}", facts.kernel, answers.cws.reason), "run CWS on a newer kernel")
            .because(Cause::Cws, Mend::Hand),
        _ => check.passes(&facts.kernel),
    }
}

fn lockdown(look: &Look) -> Check {
    let check = Check::of("cws.lockdown", "none or integrity");
    match system::lockdown(look.host) {
        Ok(Some(Lockdown::Confidentiality)) => {
            check.fails("confidentiality", "boot with lockdown=integrity or none").because(Cause::Cws, Mend::Hand)
        }
        Ok(Some(mode)) => check.passes(if mode == Lockdown::None { "none" } else { "integrity" }),
        Ok(None) => check.passes("this kernel has no lockdown, or does not say"),
        Err(failure) => check.unknown(failure.to_string()),
    }
}

fn btf(look: &Look) -> Check {
    let check = Check::of("cws.btf", "/sys/kernel/btf/vmlinux");
    match system::has_btf(look.host) {
        true => check.passes("it does"),
        false => check.warns(
            format!("{}, without BTF", look.facts.kernel),
            format!(
                "system-probe then needs kernel headers or its own BTF; {} says if it found them",
                log_command(look.facts.init, SYSPROBE_UNIT)
            ),
        ),
    }
}

/// systemd has a unit for it, which counts as mounted on each boot.
const MOUNT: &str = "systemctl start sys-kernel-debug.mount";

fn debugfs(look: &Look) -> Check {
    let check = Check::of("cws.debugfs", "debugfs at /sys/kernel/debug, or tracefs");
    match look.host.read_text("/proc/mounts") {
        Ok(mounts) => {
            let mounts = mounts.unwrap_or_default();
            let kind = |line: &str| line.split(' ').nth(2).is_some_and(|kind| ["debugfs", "tracefs"].contains(&kind));
            match mounts.lines().find(|line| kind(line)) {
                Some(line) => check.passes(line.split(' ').nth(1).unwrap_or_default()),
                None => check.warns("not mounted", MOUNT).because(Cause::Cws, Mend::Command(MOUNT.into())),
            }
        }
        Err(failure) => check.unknown(failure.to_string()),
    }
}

fn module(look: &Look) -> Check {
    let check = Check::of("cws.module", format!("system-probe listens on {SOCKET}"));
    if !look.current.units.get(SYSPROBE_UNIT).is_some_and(|state| state.is_running()) {
        return check.skipped(format!("{SYSPROBE_UNIT} does not run"));
    }
    match look.host.meta(SOCKET) {
        Ok(Some(_)) => check.passes("it does"),
        Ok(None) => check
            .warns(
                "there is no such socket",
                format!(
                    "{} says why; an Agent that sends from system-probe itself may have none",
                    log_command(look.facts.init, SYSPROBE_UNIT)
                ),
            )
            .because(Cause::Cws, Mend::Command(look.restart(AGENT_UNIT))),
        Err(failure) => check.unknown(failure.to_string()),
    }
}
