//! Packages, units, memberships and the kernel.

use crate::current::Current;
use crate::desired::{
    AGENT_UNIT, AGENT_USER, COLLECTOR, DOGSTATSD_UNIT, Desired, JOURNAL_GROUP, PROXY, PROXY_UNIT, SIGNING_KEYS, Wanted,
};
use crate::facts::{Facts, Family, Init};
use crate::host::Host;
use crate::host::services::restart_command;
use crate::host::system;
use crate::host::units::UnitState;
use crate::host::users::Users;
use crate::request::FIRST_FIPS_AGENT;
use crate::types::Version;

use super::{Cause, Check, Mend};

pub(super) fn packages(desired: &Desired, current: &Current) -> Vec<Check> {
    let wanted = desired.packages.iter().filter(|wish| wish.version != Wanted::Along);
    wanted
        .map(|wish| {
            let needs_fips = desired.asked.fips_on() && wish.name == desired.asked.flavor().package();
            let expected =
                if needs_fips { format!("installed, {FIRST_FIPS_AGENT} or later") } else { "installed".into() };
            let id = match wish.name {
                PROXY => "package.proxy",
                COLLECTOR => "package.collector",
                SIGNING_KEYS => "package.keys",
                _ => "package.agent",
            };
            let check = Check::new(id, format!("the package {} is installed", wish.name), expected);
            match current.version(wish.name) {
                None => match current.packages.get(wish.name) {
                    Some(half) => check
                        .fails(format!("{} is {}", half.version, half.state.word()), "run `ddinstall install`")
                        .because(Cause::PackageBroken, Mend::Fix),
                    None => {
                        check.fails("it is not", "run `ddinstall install`").because(Cause::PackageMissing, Mend::Fix)
                    }
                },
                Some(version) => {
                    let old = version.parse::<Version>().is_ok_and(|v| v < FIRST_FIPS_AGENT);
                    match needs_fips && old {
                        true => check
                            .fails(version, "run `ddinstall install --upgrade`")
                            .because(Cause::AgentTooOld, Mend::Command("ddinstall install --upgrade".into())),
                        false => check.passes(version),
                    }
                }
            }
        })
        .collect()
}

/// Whether the Agent can read the proxy's log: its user is in the group, its process knows that, and the journal is
/// the group's to read.
pub(super) fn journald(host: &Host, desired: &Desired, current: &Current) -> Vec<Check> {
    if !desired.memberships.contains(&(AGENT_USER, JOURNAL_GROUP)) {
        return Vec::new();
    }
    let check = Check::new(
        "journald.group",
        format!("{AGENT_USER} may read the journal"),
        format!("{AGENT_USER} is a member of {JOURNAL_GROUP}, and the running Agent knows it"),
    );
    let group = match Users::read(host) {
        Ok(users) => users.group(JOURNAL_GROUP).map(|group| group.gid),
        Err(failure) => return vec![check.unknown(failure.to_string())],
    };
    let running = current.units.get(AGENT_UNIT).map_or(0, |state| state.main_pid);
    let groups = system::groups_of(host, running);
    let restart = restart_command(desired.init, AGENT_UNIT);
    let member = match (current.memberships.contains(&(AGENT_USER, JOURNAL_GROUP)), group, groups) {
        (false, ..) => check
            .fails("it is not", format!("`ddinstall install` adds it, or: usermod -aG {JOURNAL_GROUP} {AGENT_USER}"))
            .because(Cause::JournalGroup, Mend::Fix),
        (true, Some(gid), Some(groups)) if !groups.contains(&gid) => check
            .fails("the running Agent was started before it was added", &restart)
            .because(Cause::JournalGroup, Mend::Command(restart)),
        (true, Some(_), None) if running != 0 => check.unknown("the groups of the running Agent cannot be seen"),
        _ => check.passes("it is"),
    };
    vec![member, journal_folder(host, group)]
}

fn journal_folder(host: &Host, group: Option<u32>) -> Check {
    let expected = format!("a journal that the group {JOURNAL_GROUP} can read");
    let check = Check::new("journald.access", "there is a journal to read", expected);
    let mut folders = ["/var/log/journal", "/run/log/journal"];
    // journald writes to the second one before the first is there, and where it was told to keep nothing.
    let volatile = system::machine_id(host).map(|id| format!("{}/{id}/system.journal", folders[1]));
    if volatile.is_some_and(|journal| matches!(host.meta(journal), Ok(Some(_)))) {
        folders.reverse();
    }
    for folder in folders {
        let meta = match host.meta(folder) {
            Ok(Some(meta)) => meta,
            Ok(None) => continue,
            Err(failure) => return check.unknown(failure.to_string()),
        };
        let open = meta.mode & 0o005 == 0o005 || (Some(meta.gid) == group && meta.mode & 0o050 == 0o050);
        return match open {
            true => check.passes(folder),
            false => check
                .fails(
                    format!("{folder} has mode {:04o} and group {}", meta.mode, meta.gid),
                    format!("systemd-tmpfiles --create --prefix {folder} sets it right"),
                )
                .because(
                    Cause::JournalAccess,
                    Mend::Command(format!("chgrp {JOURNAL_GROUP} {folder} && chmod 2755 {folder}; systemd-tmpfiles --create --prefix {folder}")),
                ),
        };
    }
    check.warns("neither /var/log/journal nor /run/log/journal is there", "systemd-journald makes one when it runs")
}

pub(super) fn units(facts: &Facts, desired: &Desired, current: &Current) -> Vec<Check> {
    let mut checks = Vec::new();
    for wish in desired.units.iter().filter(|wish| wish.must_run) {
        let check = Check::new(
            format!("unit.{}", wish.name.trim_end_matches(".service")),
            format!("{} runs", wish.name),
            "active (running)",
        );
        let Some(state) = current.units.get(wish.name) else {
            checks.push(check.unknown("systemd does not answer"));
            continue;
        };
        let seen = state.seen();
        checks.push(if !desired.start {
            check.skipped(format!("{seen}; {}", desired.rests()))
        } else if state.is_running() {
            check.passes(if state.active_since.is_empty() {
                seen
            } else {
                format!("{seen} since {}", state.active_since)
            })
        } else {
            down(check, facts, state)
        });
    }
    checks.extend(at_boot(facts, desired, current));
    checks
}

/// Why a unit that must run does not.
fn down(check: Check, facts: &Facts, state: &UnitState) -> Check {
    let unit = &state.name;
    let says_why = match facts.init {
        Init::Systemd => format!("journalctl -u {unit}"),
        _ => "its log in /var/log/datadog".into(),
    };
    let package = if unit == PROXY_UNIT { PROXY } else { "datadog-agent" };
    if state.load_state == "masked" || state.unit_file_state.starts_with("masked") {
        return check
            .fails("it is masked: systemd will not start it", "unmask it if it is to run")
            .because(Cause::UnitMasked, Mend::Command(format!("systemctl unmask {unit} && ddinstall install")));
    }
    // systemd's own exit codes: 200 and above it did not get as far as the program; 203: it could not be run.
    if !state.exists() || state.exec_main_status == 203 {
        let seen = if state.exists() { "its program cannot be run" } else { "there is no such unit" };
        return check
            .fails(seen, format!("reinstall the package {package}; {says_why} says more"))
            .because(Cause::PackageBroken, Mend::Command(reinstall(facts, package)));
    }
    let hint = format!("{says_why} says why; `ddinstall install` starts it");
    match state.is_failed() || state.n_restarts > 0 {
        true => check
            .fails(format!("{}, {} {}", state.seen(), state.result, state.exec_main_status), hint)
            .because(Cause::ServiceFailed, Mend::Fix),
        false => check.fails(state.seen(), hint).because(Cause::ServiceDown, Mend::Fix),
    }
}

/// Puts a package's files back, and its service on its feet.
fn reinstall(facts: &Facts, package: &str) -> String {
    let manager = match facts.distribution.family {
        Family::Debian => "apt-get install -y --reinstall",
        Family::RedHat => "dnf reinstall -y",
        Family::Suse | Family::Other => "zypper --non-interactive install --force",
    };
    format!("{manager} {package} && ddinstall install")
}

/// Whether the services start with the host, now or once it boots as what it is built for.
fn at_boot(facts: &Facts, desired: &Desired, current: &Current) -> Option<Check> {
    let own = |name: &str| [PROXY_UNIT, AGENT_UNIT, DOGSTATSD_UNIT].contains(&name);
    let states: Vec<_> =
        desired.units.iter().filter(|u| own(u.name)).filter_map(|u| current.units.get(u.name)).collect();
    let check = Check::new("unit.enabled", "the services start when the host boots", "enabled");
    let names = |wanted: &[&str]| {
        let found = states.iter().filter(|state| state.exists() && wanted.contains(&state.unit_file_state.as_str()));
        found.map(|state| state.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (off, other) = (names(&["disabled"]), names(&["", "manual", "masked", "masked-runtime"]));
    if states.is_empty() {
        None
    } else if !off.is_empty() {
        Some(
            check
                .fails(format!("{off}: disabled"), "`ddinstall install` enables what must start")
                .because(Cause::ServiceDisabled, Mend::Fix),
        )
    } else if !other.is_empty() && facts.init == Init::None {
        let hint = "in a container, let its first process start them (docs.datadoghq.com/containers)";
        Some(check.warns(format!("{other}: there is no systemd here that would start them"), hint))
    } else if !other.is_empty() {
        Some(check.warns(format!("{other}: kept from starting by the operator"), "enable them if they are to start"))
    } else {
        Some(check.passes("enabled"))
    }
}
