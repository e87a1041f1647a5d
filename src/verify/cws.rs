//! What CWS needs beside its files and units.

use crate::config::value_at;
use crate::desired::{AGENT_UNIT, SYSPROBE_UNIT};
use crate::host::services::log_command;
use crate::host::system::{self, Lockdown};
use crate::settings::File;
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
            // Elsewhere than at its own place neither eBPF's loader nor system-probe looks for it.
            let places = ["/sys/kernel/debug", "/sys/kernel/tracing"];
            let kind = |line: &str| {
                let fields: Vec<&str> = line.split(' ').collect();
                matches!(fields[..], [_, at, "debugfs" | "tracefs", ..] if places.contains(&at))
            };
            match mounts.lines().find(|line| kind(line)) {
                Some(line) => check.passes(line.split(' ').nth(1).unwrap_or_default()),
                None => check.warns("not mounted", MOUNT).because(Cause::Cws, Mend::Command(MOUNT.into())),
            }
        }
        Err(failure) => check.unknown(failure.to_string()),
    }
}

/// Whether a line of /proc/net/unix is a socket at this path that takes connections (its flag __SO_ACCEPTCON, proc(5)).
fn listens(line: &str, path: &str) -> bool {
    let mut fields = line.split_whitespace();
    fields.nth(3) == Some("00010000") && fields.nth(3) == Some(path)
}

fn module(look: &Look) -> Check {
    let named = look.current.document(File::SystemProbe.path()).and_then(|document| document.as_ref().ok());
    let named = named.and_then(|document| value_at(document, "runtime_security_config.socket")?.as_str());
    let socket = named.map_or(SOCKET, |path| path.trim_start_matches("unix://"));
    let check = Check::of("cws.module", format!("system-probe listens on {}", socket.escape_debug()));
    if !look.current.units.get(SYSPROBE_UNIT).is_some_and(|state| state.is_running()) {
        return check.skipped(format!("{SYSPROBE_UNIT} does not run"));
    }
    // Not by the file: it may be left over, and its folder may be another user's.
    match look.host.read_text("/proc/net/unix") {
        Ok(sockets) if sockets.as_deref().unwrap_or_default().lines().any(|line| listens(line, socket)) => {
            check.passes("it does")
        }
        Ok(_) => check
            .warns(
                "nobody listens there",
                format!(
                    "{} says why; an Agent that sends from system-probe itself may have none",
                    log_command(look.facts.init, SYSPROBE_UNIT)
                ),
            )
            .because(Cause::Cws, Mend::Command(look.restart(AGENT_UNIT))),
        Err(failure) => check.unknown(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_counts_where_somebody_listens() {
        let line = |flags: &str| format!("0000000000000000: 00000002 00000000 {flags} 0001 01 12345 {SOCKET}");
        assert!(listens(&line("00010000"), SOCKET));
        assert!(!listens(&line("00000000"), SOCKET) && !listens(&line("00010000"), "/run/other.sock"));
        assert!(!listens("Num       RefCount Protocol Flags    Type St Inode Path", SOCKET));
    }
}
