//! Units, asked and driven through `systemctl`, and their journals; where systemd is not process 1, the services of
//! the same names (`services`). A call costs some 4 ms, so [`show`] asks for all units at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::services::{self, Init};
use super::{Command, Host, Output, system};
use crate::error::{Error, Kind, Result};

/// How long `systemctl start` and its relatives may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at units that should come to rest.
const PAUSE: Duration = Duration::from_millis(50);

/// One unit as `systemctl show` has it. Empty texts are what systemd does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitState {
    /// The name as it was asked for, with its suffix.
    pub name: String,
    /// `loaded`, `not-found`, `masked`, `bad-setting`, …
    pub load_state: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active_state: String,
    /// `running`, `exited`, `dead`, `auto-restart`, …
    pub sub_state: String,
    /// `enabled`, `disabled`, `static`, `masked`, …; empty if there is no file.
    pub unit_file_state: String,
    /// 0 if none runs.
    pub main_pid: u32,
    /// How often systemd restarted it by itself since its last start.
    pub n_restarts: u32,
    /// `success`, `exit-code`, `signal`, `timeout`, …
    pub result: String,
    /// 32 hexadecimal digits that change with every start.
    pub invocation_id: String,
    /// When it last became active, as systemd writes a time.
    pub active_since: String,
    /// The same in microseconds of the monotonic clock; 0 if it never was.
    pub active_since_monotonic: u64,
    pub control_group: String,
    /// False if a condition kept the last start from happening.
    pub condition_result: bool,
    /// The exit code, or the signal, of the main process's last end.
    pub exec_main_status: i32,
    /// Whether its files changed since systemd read them.
    pub need_daemon_reload: bool,
    pub fragment_path: String,
    /// Its `Environment=`, as systemd quotes it. May hold secrets.
    pub environment: String,
    /// The files of its `EnvironmentFile=`.
    pub environment_files: Vec<String>,
    /// The files that add to its own.
    pub drop_ins: Vec<String>,
}

impl UnitState {
    pub fn exists(&self) -> bool {
        !self.load_state.is_empty() && self.load_state != "not-found"
    }

    pub fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    pub fn is_running(&self) -> bool {
        self.is_active() && self.sub_state == "running"
    }

    pub fn is_failed(&self) -> bool {
        self.active_state == "failed"
    }

    pub fn is_enabled(&self) -> bool {
        self.unit_file_state.starts_with("enabled")
    }

    /// `active (running)`
    pub fn seen(&self) -> String {
        format!("{} ({})", self.active_state, self.sub_state)
    }
}

/// How a unit came to rest, see [`settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Active, with the same process all the time.
    Up,
    /// Inactive and quiet: it ended by itself without an error, was never started, or a condition kept it down.
    Down,
    /// Failed, or not loadable.
    Failed,
    /// It was still starting, stopping or being restarted when the limit was over.
    Restless,
}

/// A unit and how it came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub unit: UnitState,
    pub verdict: Verdict,
}

/// Whether systemd runs this host (as `sd_booted` decides it). False for an image.
pub fn systemd_is_pid1(host: &Host) -> bool {
    host.is_live() && matches!(host.meta("/run/systemd/system"), Ok(Some(_)))
}

const PROPERTIES: &str = "-pId,Names,LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result,InvocationID,ActiveEnterTimestamp,ActiveEnterTimestampMonotonic,ControlGroup,ConditionResult,ExecMainStatus,NeedDaemonReload,FragmentPath,Environment,EnvironmentFiles,DropInPaths";

/// The state of all these units, in their order, by one call. A unit that does not exist has the load state `not-found`.
pub fn show(host: &Host, units: &[&str]) -> Result<Vec<UnitState>> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let init = services::init(host);
    if init != Init::Systemd {
        return services::show(host, init, units);
    }
    let output = systemctl()
        .args(["show", "--no-pager", PROPERTIES, "--"])
        .args(units)
        .deadline(Duration::from_secs(20))
        .run(host)?;
    let states = parse_show(&output.stdout_text(), units);
    match (output.success(), states) {
        (true, Some(states)) => Ok(states),
        _ => Err(Error::new(Kind::Service, "cannot ask systemd for its units")
            .detail(output.explain())
            .hint("see whether `systemctl status` works on this host")),
    }
}

/// One block a unit, in the order asked, parted by blank lines. None if the number of blocks is another.
fn parse_show(text: &str, units: &[&str]) -> Option<Vec<UnitState>> {
    let blocks: Vec<&str> = text.split("\n\n").map(str::trim).filter(|b| !b.is_empty()).collect();
    (blocks.len() == units.len()).then(|| {
        let pairs = blocks.iter().zip(units);
        pairs.map(|(block, name)| parse_block(block, name)).collect()
    })
}

fn parse_block(block: &str, name: &str) -> UnitState {
    let mut unit = UnitState { name: full_name(name), condition_result: true, ..UnitState::default() };
    for (key, value) in block.lines().filter_map(|l| l.split_once('=')) {
        let text = || value.to_owned();
        match key {
            "LoadState" => unit.load_state = text(),
            "ActiveState" => unit.active_state = text(),
            "SubState" => unit.sub_state = text(),
            "UnitFileState" => unit.unit_file_state = text(),
            "MainPID" => unit.main_pid = value.parse().unwrap_or(0),
            "NRestarts" => unit.n_restarts = value.parse().unwrap_or(0),
            "Result" => unit.result = text(),
            "InvocationID" => unit.invocation_id = text(),
            "ActiveEnterTimestamp" => unit.active_since = text(),
            "ActiveEnterTimestampMonotonic" => {
                unit.active_since_monotonic = value.parse().unwrap_or(0);
            }
            "ControlGroup" => unit.control_group = text(),
            // Before its first start systemd says `no` without having looked: that is no finding.
            "ConditionResult" => unit.condition_result = value != "no",
            "ExecMainStatus" => unit.exec_main_status = value.parse().unwrap_or(0),
            "NeedDaemonReload" => unit.need_daemon_reload = value == "yes",
            "FragmentPath" => unit.fragment_path = text(),
            "Environment" => unit.environment = text(),
            // `/etc/datadog-agent/environment (ignore_errors=yes)`, a line each
            // (up to systemd 235: `EnvironmentFile`)
            "EnvironmentFiles" | "EnvironmentFile" => {
                unit.environment_files
                    .extend(value.split(" (").next().filter(|path| !path.is_empty()).map(str::to_owned));
            }
            "DropInPaths" => unit.drop_ins = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    unit
}

pub(super) fn full_name(name: &str) -> String {
    const SUFFIXES: [&str; 6] = [".service", ".socket", ".target", ".mount", ".timer", ".path"];
    if SUFFIXES.iter().any(|s| name.ends_with(s)) { name.to_owned() } else { format!("{name}.service") }
}

pub fn daemon_reload(host: &Host) -> Result<()> {
    drive(host, "daemon-reload", &[])
}

/// Starts units; 0 of systemctl says little about a unit that then fails: see [`settle`].
pub fn stop(host: &Host, units: &[&str]) -> Result<()> {
    drive(host, "stop", units)
}

/// Starts units anew. What they did before is forgotten first.
pub fn restart(host: &Host, units: &[&str]) -> Result<()> {
    forget(host, units);
    drive(host, "restart", units)
}

/// Forgets what units did before: systemd refuses to start what was started too often of late, as by a boot and the runs
/// around it.
pub fn forget(host: &Host, units: &[&str]) {
    // It fails for a unit that systemd has not loaded, which has no past.
    let _ = drive(host, "reset-failed", units);
}

pub fn enable(host: &Host, units: &[&str]) -> Result<()> {
    drive(host, "enable", units)
}

pub fn disable(host: &Host, units: &[&str]) -> Result<()> {
    drive(host, "disable", units)
}

fn systemctl<'a>() -> Command<'a> {
    // The SysV scripts beside the units are not its to enable.
    Command::new("systemctl").env("SYSTEMCTL_SKIP_SYSV", "true")
}

fn drive(host: &Host, verb: &str, units: &[&str]) -> Result<()> {
    if units.is_empty() && verb != "daemon-reload" {
        return Ok(());
    }
    let init = services::init(host);
    // systemctl makes the links of an enabled unit without a running systemd, too.
    if init != Init::Systemd && (init != Init::None || !matches!(verb, "enable" | "disable")) {
        return services::drive(host, init, verb, units);
    }
    let mut command = systemctl().args(["--no-ask-password", "--quiet", verb]);
    if !units.is_empty() {
        command = command.arg("--").args(units);
    }
    let output = command.deadline(DEADLINE).run(host)?;
    if output.success() {
        return Ok(());
    }
    Err(drive_error(host, verb, units, &output))
}

fn drive_error(host: &Host, verb: &str, units: &[&str], output: &Output) -> Error {
    let what = format!("cannot {verb} {}", units.join(", "));
    let mut error = Error::new(Kind::Service, what.trim_end()).detail(output.explain());
    if matches!(verb, "start" | "restart") {
        for unit in show(host, units).unwrap_or_default() {
            if !unit.is_active() {
                error = with_journal(host, error, &unit);
            }
        }
    }
    match units {
        [] => error,
        _ => error.hint(format!("systemctl status {}", units.join(" "))),
    }
}

/// The error of a unit that is not as it must be, with what its journal says.
pub fn service_error(host: &Host, unit: &UnitState) -> Error {
    let mut what = format!("{} is {} ({})", unit.name, unit.active_state, unit.sub_state);
    if !matches!(unit.result.as_str(), "" | "success") {
        what.push_str(&format!(", result {} {}", unit.result, unit.exec_main_status));
    }
    if unit.n_restarts > 0 {
        what.push_str(&format!(", restarted {} times", unit.n_restarts));
    }
    let error = Error::new(Kind::Service, what);
    match services::init(host) {
        Init::Systemd => with_journal(host, error.hint(format!("journalctl -u {} shows more", unit.name)), unit),
        _ => error.hint("see its log in /var/log/datadog, and the system's log"),
    }
}

/// Has all that was said so far be read from the journal (journalctl(1)); before systemd 228 some may still be missing.
pub fn sync_journal(host: &Host) {
    let _ = Command::new("journalctl").arg("--sync").deadline(Duration::from_secs(10)).run(host);
}

fn with_journal(host: &Host, error: Error, unit: &UnitState) -> Error {
    sync_journal(host);
    // Not those of the last start alone: journald knows no start of a process that has ended when it reads its words.
    match journal(host, &unit.name, 20, None) {
        Ok(lines) if !lines.is_empty() => error
            .detail(format!("journal of {}:", unit.name))
            .detail(lines.iter().map(|l| format!("  {l}\n")).collect::<String>()),
        _ => error,
    }
}

/// Waits until every unit has rested for `settle`: active with the same invocation, process and number of restarts, or
/// inactive. Returns as soon as one has failed, and after `limit` in any case. Asks every 50 ms, all units at once.
pub fn settle(host: &Host, units: &[&str], settle: Duration, limit: Duration) -> Result<Vec<Settled>> {
    let started = Instant::now();
    let mut watch: Vec<(UnitState, Instant)> = Vec::new();
    loop {
        let states = show(host, units)?;
        let now = Instant::now();
        watch = states
            .into_iter()
            .enumerate()
            .map(|(i, state)| match watch.get(i) {
                Some((before, since)) if same(before, &state) => (state, *since),
                _ => (state, now),
            })
            .collect();
        let settled: Vec<Settled> = watch
            .iter()
            .map(|(unit, since)| Settled {
                verdict: verdict(unit, now.duration_since(*since) >= settle),
                unit: unit.clone(),
            })
            .collect();
        let over = settled.iter().any(|s| s.verdict == Verdict::Failed)
            || settled.iter().all(|s| s.verdict != Verdict::Restless)
            || started.elapsed() >= limit;
        if over {
            return Ok(settled);
        }
        sleep(PAUSE);
    }
}

fn same(a: &UnitState, b: &UnitState) -> bool {
    (&a.active_state, &a.sub_state, &a.invocation_id, a.main_pid, a.n_restarts)
        == (&b.active_state, &b.sub_state, &b.invocation_id, b.main_pid, b.n_restarts)
}

fn verdict(unit: &UnitState, rested: bool) -> Verdict {
    match (unit.active_state.as_str(), unit.load_state.as_str()) {
        ("failed", _) | (_, "not-found" | "bad-setting" | "error" | "masked") => Verdict::Failed,
        ("active", _) if rested => Verdict::Up,
        ("inactive", _) if rested => Verdict::Down,
        _ => Verdict::Restless,
    }
}

/// The last lines of a unit's journal, oldest first; with `of` only those of its last start, among them what systemd itself
/// says of it. An error if the journal cannot be read (not root).
pub fn journal(host: &Host, unit: &str, lines: u32, of: Option<&UnitState>) -> Result<Vec<String>> {
    let mut command = Command::new("journalctl").args(["--no-pager", "-q", "-o", "cat"]);
    command = command.arg(format!("-n{lines}"));
    command = match of.map(|state| state.invocation_id.as_str()) {
        Some(id) if !id.is_empty() => {
            command.args([&format!("_SYSTEMD_INVOCATION_ID={id}"), "+", &format!("INVOCATION_ID={id}")])
        }
        _ => command.args(["-u", unit]),
    };
    // Before systemd 232 a start has no id.
    let began = of.filter(|state| state.invocation_id.is_empty()).map(|state| state.active_since_monotonic);
    if let Some(began) = began.and_then(system::time_of_monotonic) {
        command = command.arg(format!("--since=@{began}"));
    }
    let output = command.deadline(Duration::from_secs(20)).run(host)?;
    if !output.success() || output.stderr_text().contains("nsufficient permissions") {
        return Err(Error::new(Kind::Prerequisite, format!("cannot read the journal of {unit}"))
            .detail(output.explain())
            .hint("run as root (sudo), or as a member of systemd-journal"));
    }
    Ok(output.stdout_text().lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOW: &str = "\
Id=datadog-fips-proxy.service
Names=datadog-fips-proxy.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
MainPID=812
NRestarts=0
Result=success
InvocationID=0e2d3b1a6d7f4a54a4b1b2fb66e6a1b7
ActiveEnterTimestamp=Mon 2024-06-03 10:11:12 UTC
ActiveEnterTimestampMonotonic=8123456
ControlGroup=/system.slice/datadog-fips-proxy.service
ConditionResult=yes
ExecMainStatus=0
NeedDaemonReload=no
FragmentPath=/lib/systemd/system/datadog-fips-proxy.service

Id=datadog-agent-security.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=disabled
MainPID=0
NRestarts=[not set]
Result=success
InvocationID=
ConditionResult=no

Id=absent.service
LoadState=not-found
ActiveState=inactive
SubState=dead
";

    #[test]
    fn one_call_tells_of_every_unit_in_the_order_asked() {
        let asked = ["datadog-fips-proxy", "datadog-agent-security.service", "absent"];
        let units = parse_show(SHOW, &asked).unwrap();
        assert_eq!(units[0].name, "datadog-fips-proxy.service");
        assert!(units[0].is_running() && units[0].is_enabled());
        assert_eq!(units[0].main_pid, 812);
        assert_eq!(units[0].active_since_monotonic, 8_123_456);
        assert_eq!(units[0].control_group, "/system.slice/datadog-fips-proxy.service");
        assert!(!units[1].condition_result && !units[1].is_active());
        assert!(!units[2].exists());
        assert_eq!(parse_show(SHOW, &asked[..2]), None);
    }

    #[test]
    fn a_unit_between_two_restarts_is_not_up() {
        let unit = |active: &str, sub: &str| UnitState {
            load_state: "loaded".into(),
            active_state: active.into(),
            sub_state: sub.into(),
            ..UnitState::default()
        };
        let restarting = unit("activating", "auto-restart");
        assert_eq!(verdict(&restarting, true), Verdict::Restless);
        assert_eq!(verdict(&unit("active", "running"), false), Verdict::Restless);
        assert_eq!(verdict(&unit("active", "running"), true), Verdict::Up);
        assert_eq!(verdict(&unit("inactive", "dead"), true), Verdict::Down);
        assert_eq!(verdict(&unit("failed", "failed"), false), Verdict::Failed);
        let mut again = unit("active", "running");
        again.n_restarts = 1;
        assert!(!same(&unit("active", "running"), &again));
    }
}
