//! Processes of a container: what its first process must have started, since there are no units.

use crate::current::Current;
use crate::desired::{AGENT_UNIT, DOGSTATSD_UNIT, Desired, PROXY_PROGRAM, PROXY_UNIT, SECURITY_UNIT, SYSPROBE_UNIT};
use crate::host::services::Init;
use crate::host::units::UnitState;
use crate::host::{Host, system};
use crate::types::Profile;

use super::{Cause, Check, Look, Mend};

/// The program that a unit of the vendor's starts.
fn program(unit: &str) -> Option<&'static str> {
    Some(match unit {
        PROXY_UNIT => PROXY_PROGRAM,
        AGENT_UNIT => "/opt/datadog-agent/bin/agent/agent",
        DOGSTATSD_UNIT => "/opt/datadog-dogstatsd/bin/dogstatsd",
        SYSPROBE_UNIT => "/opt/datadog-agent/embedded/bin/system-probe",
        SECURITY_UNIT => "/opt/datadog-agent/embedded/bin/security-agent",
        _ => return None,
    })
}

/// The processes of a unit: its first one, or, where no systemd tells it, those that run its program as root or as the
/// Agent's user.
pub(super) fn pids(look: &Look, state: &UnitState) -> Vec<u32> {
    if state.main_pid != 0 {
        return vec![state.main_pid];
    }
    // In an image nothing runs; what can be seen is the building machine's.
    let here = look.desired.init != Init::Systemd && look.facts.profile != Profile::Image;
    let Some(program) = program(&state.name).filter(|_| here) else { return Vec::new() };
    trusted(look.host, look.current, program).map(|(pid, _)| pid).collect()
}

/// The processes of a program with their users: those of root and of the Agent's user.
fn trusted(host: &Host, current: &Current, program: &str) -> impl Iterator<Item = (u32, u32)> {
    let agent = current.agent_user.map(|(uid, _)| uid);
    system::processes(host, program).into_iter().filter(move |(_, uid)| *uid == 0 || Some(*uid) == agent)
}

/// Whether each program that must run does, as root or as the Agent's user.
pub(super) fn processes(host: &Host, desired: &Desired, current: &Current) -> Vec<Check> {
    let mut checks = Vec::new();
    for unit in desired.units.iter().filter(|unit| unit.must_run) {
        let Some(program) = program(unit.name) else { continue };
        let name = unit.name.trim_end_matches(".service");
        let check = Check::new(format!("process.{name}"), format!("{name} runs"), format!("a process of {program}"));
        checks.push(if !desired.start {
            check.skipped(desired.rests())
        } else {
            match trusted(host, current, program).next() {
                Some((pid, uid)) => check.passes(format!("process {pid} of user {uid}")),
                None => check
                    .fails(
                        "there is none",
                        "the container's first process must start it; what it printed says why it did not (its log is in /var/log/datadog)",
                    )
                    .because(Cause::ServiceDown, Mend::Hand),
            }
        });
    }
    checks
}
