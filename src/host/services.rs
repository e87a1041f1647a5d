//! Services where systemd is not process 1: upstart's jobs through `initctl`, SysV scripts through `service` or
//! /etc/init.d, and what systemd would start at a later boot where no service manager runs at all.
//! What they cannot tell (restarts, invocations, journals) stays empty.

use std::ffi::OsStr;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;

use super::child::find;
use super::units::{UnitState, full_name, systemd_is_pid1};
use super::{Command, Host, Output};
use crate::error::{Error, Kind, Result};

/// Who starts and stops services here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// systemd is process 1.
    Systemd,
    /// upstart is process 1 (Ubuntu 14.04, Red Hat 6).
    Upstart,
    /// Another init that runs the scripts in /etc/init.d.
    Sysv,
    /// No service manager runs: a container, an image build.
    None,
}

/// How long `service NAME start` and its relatives may take.
const DEADLINE: Duration = Duration::from_secs(120);
const STATUS_DEADLINE: Duration = Duration::from_secs(20);

/// Where the links of enabled SysV scripts are: Debian and Red Hat, older Red Hat, SUSE.
const RUN_LEVELS: [&str; 6] =
    ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rc.d/rc3.d", "/etc/init.d/rc3.d", "/etc/init.d/rc5.d"];

/// Who starts and stops services on this host. Process 1 stays who it is, so it is asked once.
pub fn init(host: &Host) -> Init {
    static LIVE: OnceLock<Init> = OnceLock::new();
    if !host.is_live() {
        return Init::None;
    }
    *LIVE.get_or_init(|| detect(host))
}

fn detect(host: &Host) -> Init {
    if systemd_is_pid1(host) {
        return Init::Systemd;
    }
    // A container's first process is its program, or a tiny init with a name of its own (tini, docker-init, …).
    let first = host.read_text("/proc/1/comm").ok().flatten().unwrap_or_default();
    if first.trim() != "init" {
        return Init::None;
    }
    // The program may be there without being process 1; its answer comes from process 1.
    let version = Command::new("initctl").arg("version").deadline(STATUS_DEADLINE);
    if has(host, "initctl")
        && let Ok(output) = version.run(host)
        && output.success()
        && output.stdout_text().contains("upstart")
    {
        return Init::Upstart;
    }
    match host.meta("/etc/init.d") {
        Ok(Some(_)) => Init::Sysv,
        _ => Init::None,
    }
}

fn has(host: &Host, program: &str) -> bool {
    find(host, OsStr::new(program)).is_ok()
}

/// The name without `.service`, as scripts and jobs have it.
fn plain(unit: &str) -> &str {
    unit.strip_suffix(".service").unwrap_or(unit)
}

/// What an operator types to restart a unit; it stands well in a chain of `&&`.
pub fn restart_command(init: Init, unit: &str) -> String {
    let name = plain(unit);
    match init {
        Init::Systemd | Init::None => format!("systemctl restart {name}"),
        // `initctl` knows no scripts, and `service` on Red Hat 6 no jobs.
        Init::Upstart => format!("{{ initctl stop {name}; initctl start {name} || service {name} restart; }}"),
        Init::Sysv => format!("service {name} restart"),
    }
}

/// What an operator types to read what a unit said last.
pub fn log_command(init: Init, unit: &str) -> String {
    match init {
        Init::Systemd | Init::None => format!("journalctl -u {}", plain(unit)),
        Init::Upstart | Init::Sysv => "tail -n 50 /var/log/datadog/*.log".into(),
    }
}

/// The state of these services, in their order.
pub(super) fn show(host: &Host, init: Init, units: &[&str]) -> Result<Vec<UnitState>> {
    let one = |unit: &&str| match init {
        Init::Upstart => upstart(host, unit),
        Init::Sysv => sysv(host, unit),
        Init::Systemd | Init::None => at_rest(host, unit),
    };
    units.iter().map(one).collect()
}

fn state(unit: &str, load_state: &str, active_state: &str, sub_state: &str) -> UnitState {
    UnitState {
        name: full_name(unit),
        load_state: load_state.into(),
        active_state: active_state.into(),
        sub_state: sub_state.into(),
        condition_result: true,
        ..UnitState::default()
    }
}

fn absent(unit: &str) -> UnitState {
    state(unit, "not-found", "inactive", "dead")
}

/// A unit that systemd would know, on a host or an image where it does not run.
fn at_rest(host: &Host, unit: &str) -> Result<UnitState> {
    let name = full_name(unit);
    let folders = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let mut there = None;
    for folder in folders {
        let path = format!("{folder}/{name}");
        if there.is_none() && host.meta(&path)?.is_some() {
            there = Some(path);
        }
    }
    let Some(path) = there else { return Ok(absent(unit)) };
    let mut enabled = false;
    for folder in host.list("/etc/systemd/system")?.unwrap_or_default() {
        if folder.to_string_lossy().ends_with(".wants") {
            let names = host.list(format!("/etc/systemd/system/{}", folder.display()))?;
            enabled |= names.unwrap_or_default().iter().any(|wanted| wanted.to_string_lossy() == name);
        }
    }
    let unit_file_state = match (enabled, has(host, "systemctl")) {
        (true, _) => "enabled",
        (false, true) => "disabled",
        // No systemd is installed: whether it is enabled means nothing.
        (false, false) => "",
    };
    let rest = state(unit, "loaded", "inactive", "dead");
    Ok(UnitState { unit_file_state: unit_file_state.into(), fragment_path: path, ..rest })
}

/// By its script's `status`, whose exit codes are the LSB's: 0 runs, 1 and 2 died, 3 does not run.
fn sysv(host: &Host, unit: &str) -> Result<UnitState> {
    let name = plain(unit);
    let script = format!("/etc/init.d/{name}");
    if host.meta(&script)?.is_none() {
        return Ok(absent(unit));
    }
    let output = Command::new(&script).arg("status").deadline(STATUS_DEADLINE).run(host)?;
    let said = output.stdout_text() + &output.stderr_text();
    let (active, sub) = match output.status {
        // The vendor's scripts end with 0, whatever they are asked, where their program or configuration is away.
        Some(0) if !said.contains("not found") => ("active", "running"),
        Some(1 | 2) => ("failed", "dead"),
        _ => ("inactive", "dead"),
    };
    let mut enabled = false;
    for folder in RUN_LEVELS {
        enabled |= host.list(folder)?.unwrap_or_default().iter().any(|link| is_start(&link.to_string_lossy(), name));
    }
    let unit_file_state = if enabled { "enabled" } else { "disabled" };
    let known = state(unit, "loaded", active, sub);
    Ok(UnitState { unit_file_state: unit_file_state.into(), fragment_path: script, ..known })
}

/// `S20datadog-agent`
fn is_start(link: &str, name: &str) -> bool {
    let order = link.strip_prefix('S').and_then(|rest| rest.strip_suffix(name));
    order.is_some_and(|order| !order.is_empty() && order.bytes().all(|c| c.is_ascii_digit()))
}

fn upstart(host: &Host, unit: &str) -> Result<UnitState> {
    let name = plain(unit);
    let job = format!("/etc/init/{name}.conf");
    if host.meta(&job)?.is_none() {
        // upstart runs SysV scripts, too.
        return sysv(host, unit);
    }
    let output = Command::new("initctl").args(["status", name]).deadline(STATUS_DEADLINE).run(host)?;
    let (active, sub, pid) = goal(&output.stdout_text());
    // A job starts at boot by what stands in it, unless the operator overrides that.
    let text = host.read_text(format!("/etc/init/{name}.override")).ok().flatten().unwrap_or_default();
    let unit_file_state = if text.lines().any(|line| line.trim() == "manual") { "manual" } else { "enabled" };
    let known = state(unit, "loaded", active, sub);
    Ok(UnitState { unit_file_state: unit_file_state.into(), fragment_path: job, main_pid: pid, ..known })
}

/// `datadog-agent start/running, process 1234`, `datadog-agent stop/waiting`
fn goal(text: &str) -> (&'static str, &'static str, u32) {
    let pid = text.split_once("process ").map(|(_, rest)| rest.split_whitespace().next().unwrap_or(""));
    let pid = pid.and_then(|pid| pid.parse().ok()).unwrap_or(0);
    match text.split_whitespace().nth(1).unwrap_or("").trim_end_matches(',') {
        "start/running" if pid > 0 => ("active", "running", pid),
        "start/running" => ("active", "exited", 0),
        "stop/waiting" => ("inactive", "dead", 0),
        goal if goal.contains('/') => ("activating", "start", pid),
        _ => ("inactive", "dead", 0),
    }
}

/// `start`, `stop`, `restart`, `enable`, `disable`; what only systemd has is nothing to do.
pub(super) fn drive(host: &Host, init: Init, verb: &str, units: &[&str]) -> Result<()> {
    if verb == "daemon-reload" {
        return match init {
            Init::Upstart => run(host, Command::new("initctl").arg("reload-configuration"), verb, ""),
            _ => Ok(()),
        };
    }
    for unit in units.iter().map(|unit| plain(unit)) {
        let is_job = init == Init::Upstart && matches!(host.meta(format!("/etc/init/{unit}.conf")), Ok(Some(_)));
        match verb {
            "reset-failed" => {}
            "start" | "stop" | "restart" if init == Init::None => {
                return Err(Error::new(Kind::Service, format!("cannot {verb} {unit}: no service manager runs here")));
            }
            "enable" | "disable" if is_job => {}
            "enable" | "disable" => links(host, verb, unit)?,
            "start" | "stop" | "restart" if is_job => job(host, verb, unit)?,
            _ => script(host, verb, unit)?,
        }
    }
    Ok(())
}

/// `initctl restart` would keep the job as it was read before; a job that is already where it should be is no error.
fn job(host: &Host, verb: &str, name: &str) -> Result<()> {
    let running = |host| upstart(host, name).map(|state| state.active_state != "inactive");
    if verb != "start" && running(host)? {
        run(host, Command::new("initctl").args(["stop", name]), verb, name)?;
    }
    if verb != "stop" && !running(host)? {
        run(host, Command::new("initctl").args(["start", name]), verb, name)?;
    }
    Ok(())
}

fn script(host: &Host, verb: &str, name: &str) -> Result<()> {
    let script = format!("/etc/init.d/{name}");
    if host.meta(&script)?.is_none() {
        let what = format!("cannot {verb} {name}: there is no {script}");
        return Err(Error::new(Kind::Service, what)
            .hint("its package has no service for this host's init system; it needs systemd here"));
    }
    let command = if has(host, "service") { Command::new("service").arg(name) } else { Command::new(&script) };
    run(host, command.arg(verb), verb, name)
}

/// Enables a script with what the distribution has for it: Debian's update-rc.d, Red Hat's and SUSE's chkconfig.
fn links(host: &Host, verb: &str, name: &str) -> Result<()> {
    if has(host, "update-rc.d") {
        if verb == "enable" {
            run(host, Command::new("update-rc.d").args([name, "defaults"]), verb, name)?;
        }
        return run(host, Command::new("update-rc.d").args([name, verb]), verb, name);
    }
    if has(host, "chkconfig") {
        if verb == "enable" {
            run(host, Command::new("chkconfig").args(["--add", name]), verb, name)?;
        }
        let state = if verb == "enable" { "on" } else { "off" };
        return run(host, Command::new("chkconfig").args([name, state]), verb, name);
    }
    Err(Error::new(Kind::Service, format!("cannot {verb} {name}: neither update-rc.d nor chkconfig is there"))
        .hint(format!("link /etc/init.d/{name} into the folders of the run levels yourself, then run again")))
}

fn run(host: &Host, command: Command, verb: &str, name: &str) -> Result<()> {
    let output: Output = command.deadline(DEADLINE).run(host)?;
    if output.success() {
        return Ok(());
    }
    let error = Error::new(Kind::Service, format!("cannot {verb} {name}").trim_end()).detail(output.explain());
    Err(if name.is_empty() { error } else { error.hint(format!("service {name} status")) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn upstarts_answers_are_read() {
        assert_eq!(goal("datadog-agent start/running, process 1234\n"), ("active", "running", 1234));
        assert_eq!(goal("datadog-agent stop/waiting\n"), ("inactive", "dead", 0));
        assert_eq!(goal("datadog-agent start/post-stop, process 12\n").0, "activating");
        assert_eq!(goal("network-interface-security (network) start/running\n").0, "inactive");
        assert_eq!(goal(""), ("inactive", "dead", 0));
    }

    #[test]
    fn commands_for_the_operator_are_those_of_the_init() {
        let unit = "datadog-agent.service";
        assert_eq!(restart_command(Init::Systemd, unit), "systemctl restart datadog-agent");
        assert_eq!(restart_command(Init::Sysv, unit), "service datadog-agent restart");
        let upstart = restart_command(Init::Upstart, unit);
        assert_eq!(
            upstart,
            "{ initctl stop datadog-agent; initctl start datadog-agent || service datadog-agent restart; }"
        );
        // In a chain it runs only if what stands before it ended well, and only once.
        let functions = "initctl() { echo \"$1\"; }; service() { echo service; }";
        let said = |chain: &str| {
            let script = format!("{functions}; {chain} && {upstart}");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!((said("true").as_str(), said("false").as_str()), ("stop\nstart\n", ""));
        assert_eq!(log_command(Init::Systemd, "datadog-agent"), "journalctl -u datadog-agent");
        for init in [Init::Sysv, Init::Upstart] {
            assert_eq!(log_command(init, "datadog-agent"), "tail -n 50 /var/log/datadog/*.log");
        }
    }

    #[test]
    fn a_link_of_a_run_level_starts_one_script() {
        assert!(is_start("S01datadog-agent", "datadog-agent"));
        assert!(!is_start("K01datadog-agent", "datadog-agent"));
        assert!(!is_start("S01datadog-agent-trace", "datadog-agent"));
        assert!(!is_start("Sdatadog-agent", "datadog-agent"));
    }

    #[test]
    fn an_image_tells_what_systemd_will_start_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("lib/systemd/system")).unwrap();
        std::fs::create_dir_all(at("usr/bin")).unwrap();
        std::fs::create_dir_all(at("etc/systemd/system/multi-user.target.wants")).unwrap();
        std::fs::write(at("lib/systemd/system/a.service"), "[Unit]\n").unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert_eq!(init(&host), Init::None);
        let state = |unit| show(&host, Init::None, &[unit]).unwrap().remove(0);
        assert_eq!(state("b").load_state, "not-found");
        assert_eq!((state("a").load_state.as_str(), state("a").unit_file_state.as_str()), ("loaded", ""));
        std::fs::write(at("usr/bin/systemctl"), "").unwrap();
        std::fs::set_permissions(at("usr/bin/systemctl"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(state("a.service").unit_file_state, "disabled");
        std::os::unix::fs::symlink(
            "/lib/systemd/system/a.service",
            at("etc/systemd/system/multi-user.target.wants/a.service"),
        )
        .unwrap();
        assert!(state("a.service").is_enabled() && !state("a").is_running());
        assert!(drive(&host, Init::None, "start", &["a"]).is_err());
    }
}
