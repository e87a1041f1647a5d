//! Carries a plan out. Each step's undo is on disk before the step runs; a failure takes the run back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::current::{self, Current};
use crate::desired::{self, AGENT_UNIT, Asked, Desired, PORTS, PROXY_CFG, PROXY_UNIT, SATELLITES, package_folders};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Events};
use crate::facts::Facts;
use crate::host::units::{self, Settled, Verdict};
use crate::host::{Attributes, Hold, Host, Stored, services, sockets, system, users};
use crate::packages::{Change, Manager, PackageSpec, Session};
use crate::plan::{Context, Plan};
use crate::receipt::{Outcome, Receipt, Undo};
use crate::request::Request;
use crate::rollback::{self, Purge};
use crate::step::{FileChange, PackageChange, Step};

/// How long the proxy may take until it listens on all its ports.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
/// How long services are watched before they count as up, and how long that may take.
const SETTLE: Duration = Duration::from_millis(1500);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// A step that was carried out.
#[derive(Debug, Clone)]
pub struct StepDone {
    pub kind: &'static str,
    pub what: String,
    pub details: Vec<String>,
    pub seconds: f64,
}

/// What a run did.
#[derive(Default)]
pub struct Applied {
    pub steps: Vec<StepDone>,
    pub notes: Vec<String>,
    /// How long services were watched, in seconds.
    pub settling: f64,
    /// The plan that was made after the packages were installed.
    pub second_plan: Option<Plan>,
}

/// A run that failed: why, and what it had done until then.
pub struct Failed {
    pub error: Error,
    pub applied: Applied,
}

/// All that a run needs to know.
pub struct Job<'a> {
    pub session: Session<'a>,
    pub request: &'a Request,
    pub facts: &'a Facts,
    pub asked: &'a Asked,
}

impl<'a> Job<'a> {
    fn host(&self) -> &'a Host {
        self.session.host
    }

    fn events(&self) -> &'a Events {
        self.session.events
    }
}

/// Carries `plan` out. The lock is held by the caller.
pub fn run(
    job: &Job,
    receipt: &mut Receipt,
    plan: &Plan,
    context: Context,
    desired: &Desired,
) -> std::result::Result<Applied, Box<Failed>> {
    let mut run = Run { job, receipt, context, hold: None, applied: Applied::default() };
    let result = run.all(plan, desired);
    let Run { mut applied, hold, .. } = run;
    drop(hold);
    // A run whose end cannot be noted would be finished by the next one, of which nobody would know why.
    match result.and_then(|()| receipt.end(job.host(), Outcome::Done)) {
        Ok(()) => Ok(applied),
        Err(error) => {
            let signalled = job.session.cancel.load(Ordering::Relaxed);
            let error = if signalled { interrupted(error) } else { error };
            let error = take_back(job, receipt, error, &mut applied);
            Err(Box::new(Failed { error, applied }))
        }
    }
}

/// Whatever failed after a signal failed because of it.
fn interrupted(error: Error) -> Error {
    let what = format!("a signal ended this run ({})", error.what);
    Error { kind: Kind::Interrupted, what, ..error }.hint("run again to finish")
}

/// After a failure: undoes this run, unless the operator wants to look at it, and says what is the case now.
fn take_back(job: &Job, receipt: &mut Receipt, error: Error, applied: &mut Applied) -> Error {
    let Some(this) = receipt.runs.last().cloned() else { return error };
    if job.request.keep_on_failure {
        let settled = receipt.settle_attributes(job.host());
        let saved = settled.and(receipt.end(job.host(), Outcome::Kept));
        let done = this.steps.iter().filter(|step| step.done).count();
        let state = format!("{done} of this run's steps are done and stay (--on-failure=keep)");
        return match saved {
            Ok(()) => error.state(state),
            Err(why) => error.state(format!("{state}; the receipt could not be written: {why}")),
        };
    }
    job.events().note("taking this run back");
    // A signal ended the run, and must not end its undoing.
    let calm = AtomicBool::new(false);
    let marked = receipt.take_back(job.host(), this.id);
    let undone = rollback::undo(Session { cancel: &calm, ..job.session }, &this.steps, Purge::IfUntouched);
    let failure = undone.error();
    let saved = match &failure {
        // What is to be done again must be known.
        Some(_) if !undone.failed.is_empty() => Ok(()),
        _ => receipt.taken_back(job.host(), this.id),
    };
    if let Err(why) = marked.and(saved) {
        applied.notes.push(format!("the receipt could not be written: {why}"));
    }
    let fips = match (job.asked.fips_on(), this.asked_before.fips_on()) {
        (true, false) => "; this host is NOT in FIPS mode",
        _ => "",
    };
    let error = match undone.left.is_empty() {
        true => error,
        false => error.detail(format!("left as it is:\n  {}", undone.left.join("\n  "))),
    };
    match failure {
        None => error.state(format!("all that this run had changed was taken back{fips}")),
        Some(failure) => error
            .detail(failure.detail.join("\n"))
            .state(format!("this run was taken back, but for what is named above{fips}")),
    }
}

struct Run<'a> {
    job: &'a Job<'a>,
    receipt: &'a mut Receipt,
    context: Context,
    hold: Option<Hold>,
    applied: Applied,
}

impl Run<'_> {
    fn all(&mut self, plan: &Plan, desired: &Desired) -> Result<()> {
        self.receipt.begin(self.job.asked.clone());
        let host = self.job.host();
        let [_, keyring] = Manager::of(host)?.repository_files();
        self.receipt.settle_cut_off(host, keyring)?;
        let Some(packages) = plan.steps.iter().position(|step| matches!(step, Step::Packages(_))) else {
            self.steps(&plan.steps)?;
            return self.settle(desired);
        };
        self.steps(&plan.steps[..=packages])?;
        // The examples are there now, and so is dd-agent: look and plan once more.
        let job = self.job;
        let current = Current::read(job.host(), desired)?;
        let version = current.agent_version();
        let desired = desired::desired(job.request, job.asked.clone(), job.facts, version.as_ref())?;
        let current = Current::read(job.host(), &desired)?;
        self.context.replaced = self.context.packages.drain(..).map(|change| change.name).collect();
        self.context.packages_done = true;
        let second = Plan::new(&desired, &current, &self.context)?;
        self.applied.notes.extend(second.notes.iter().cloned());
        let result = self.steps(&second.steps);
        self.applied.second_plan = Some(second);
        result?;
        if let Some(hold) = self.hold.take() {
            hold.release()?;
        }
        self.settle(&desired)
    }

    fn steps(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            if self.job.session.cancel.load(Ordering::Relaxed) {
                return Err(Error::new(Kind::Interrupted, format!("before: {}", step.describe())));
            }
            let what = step.describe();
            let started = Instant::now();
            self.job.events().tell(Event::StepStarted { what: what.clone() });
            if let Err(error) = self.step(step) {
                self.job.events().tell(Event::StepFailed { what });
                return Err(error);
            }
            let seconds = started.elapsed().as_secs_f64();
            self.job.events().tell(Event::StepDone { what: what.clone(), seconds });
            self.applied.steps.push(StepDone { kind: step.kind(), what, details: step.details(), seconds });
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let host = self.job.host();
        let undo = match step {
            Step::File(file) => return self.file(file, step),
            Step::Packages(changes) => return self.packages(changes, step),
            Step::Keyring { .. } | Step::AfterPackages { .. } => {
                let what = format!("`{}` was reached before it was planned (a mistake in ddinstall)", step.describe());
                return Err(Error::new(Kind::PackageManager, what));
            }
            Step::ImportKeys { keys } => Undo::RemovePackages { names: keys.clone(), folders: Vec::new() },
            Step::Group { user, group } => Undo::LeaveGroup { user: user.clone(), group: group.clone() },
            Step::Hold { names, hold } => Undo::Hold { names: names.clone(), hold: !hold },
            Step::Enable { unit } => Undo::Disable { unit: unit.clone() },
            Step::Start { unit, running, .. } => Undo::Unit { unit: unit.clone(), ran: *running },
        };
        self.receipt.intend(host, step.describe(), vec![undo])?;
        match step {
            Step::ImportKeys { .. } => Manager::of(host)?.import_keys(self.job.session)?,
            Step::Group { user, group } => users::add_to_group(host, user, group)?,
            Step::Hold { names, hold } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Manager::of(host)?.hold(self.job.session, &names, *hold)?;
            }
            Step::Enable { unit } => units::enable(host, &[unit])?,
            Step::Start { unit, .. } => self.start(unit)?,
            _ => {}
        }
        self.receipt.done(host)
    }

    fn file(&mut self, file: &FileChange, step: &Step) -> Result<()> {
        let host = self.job.host();
        host.can_replace(&file.path)?;
        let bytes = |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.bytes.clone());
        if bytes(&host.read_own(&file.path)?) != bytes(&file.before) {
            let what = format!("{} was changed by somebody else since this run has planned", file.path);
            return Err(Error::new(Kind::Prerequisite, what).hint("run again"));
        }
        let written = system::sha256_hex(&file.after);
        let mut undo = missing_folders(host, &file.path)?;
        undo.push(match &file.before {
            Some(before) => self.receipt.back_up(host, &file.path, before, written.clone())?,
            None => Undo::RemoveFile { path: file.path.clone(), written: written.clone() },
        });
        if file.path == PROXY_CFG && !self.receipt.proxy_examples.contains(&written) {
            self.receipt.proxy_examples.push(written);
        }
        self.receipt.intend(host, step.describe(), undo.clone())?;
        // Folders that are missing on the way belong to the owner of the file, but for a program: who owns its folder can
        // put another one in its place.
        let owner = if file.rights.mode & 0o111 != 0 { (0, 0) } else { (file.rights.uid, file.rights.gid) };
        for folder in &undo {
            if let Undo::RemoveFolder { path } = folder {
                let to = Attributes { uid: owner.0, gid: owner.1, mode: 0o755 };
                host.make_dir(path, &to)?;
            }
        }
        host.write(&file.path, &file.after, &file.rights)?;
        if let Some(before) = file.before.as_ref().filter(|before| before.bytes == file.after) {
            // With other rights alone it is not newer than what its reader has read.
            host.set_mtime(&file.path, before.meta.mtime, before.meta.mtime_nsec)?;
        }
        self.receipt.done(host)
    }

    fn packages(&mut self, changes: &[PackageChange], step: &Step) -> Result<()> {
        let (host, session) = (self.job.host(), self.job.session);
        let manager = Manager::of(host)?;
        let specs: Vec<PackageSpec> = changes.iter().map(PackageChange::spec).collect();
        let mut all = vec![PROXY_UNIT, AGENT_UNIT];
        all.extend(SATELLITES);
        // What an interrupted transaction left is finished first, and that runs scriptlets, too.
        if manager.was_interrupted(host)? {
            self.hold = Some(Hold::engage(host, &all)?);
        }
        if let Some(repository) = &self.context.repository {
            repository.refresh(session)?;
        }
        let request = self.job.request;
        let change = Change { downgrade: request.allow_downgrade, held: request.hold.is_some() };
        manager.download(session, &specs, change)?;
        let ran = units::show(host, &all)?;
        // Scriptlets enable units: what is undone last stands here first.
        let disabled = ran.iter().filter(|state| state.exists() && state.unit_file_state == "disabled");
        let mut undo: Vec<Undo> = disabled.map(|state| Undo::Disable { unit: state.name.clone() }).collect();
        undo.extend(self.undo_packages(changes)?);
        for state in
            ran.iter().filter(|state| [PROXY_UNIT, AGENT_UNIT].contains(&state.name.as_str()) && state.is_running())
        {
            undo.push(Undo::Unit { unit: state.name.clone(), ran: true });
        }
        for change in changes.iter().filter(|change| change.from.is_none()) {
            self.receipt.follow_package(&change.name, change.to.as_deref())?;
        }
        self.receipt.intend(host, step.describe(), undo)?;
        // Scriptlets start services themselves; nothing may run before its configuration is in place.
        if self.hold.is_none() {
            self.hold = Some(Hold::engage(host, &all)?);
        }
        let installed = manager.install(session, &specs, change);
        // The vendor's signing-keys package writes the keyring, too.
        if let Some(repository) = &self.context.repository {
            self.receipt.follow(host, &repository.keyring().display().to_string())?;
        }
        installed?;
        self.receipt.settle_attributes(host)?;
        self.receipt.done(host)
    }

    /// How the packages go back, and what their scripts change beside.
    fn undo_packages(&self, changes: &[PackageChange]) -> Result<Vec<Undo>> {
        let host = self.job.host();
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        let known = Manager::of(host)?.installed(host, &names)?;
        let mut undo = rollback::scripts(host, &names)?;
        // One that a killed run has left half-installed is neither: that run's undo is still there.
        let absent: Vec<&str> =
            names.into_iter().zip(known).filter(|(_, is)| is.is_none()).map(|(name, _)| name).collect();
        if !absent.is_empty() {
            let mut folders = Vec::new();
            for folder in absent.iter().flat_map(|name| package_folders(name)) {
                if host.meta(folder)?.is_none() {
                    folders.push((*folder).to_owned());
                    undo.extend(missing_folders(host, folder)?);
                }
            }
            undo.push(Undo::RemovePackages { names: absent.into_iter().map(str::to_owned).collect(), folders });
        }
        for change in changes {
            if let Some(version) = &change.from {
                let (name, version) = (change.name.clone(), version.clone());
                undo.push(Undo::RestorePackage { name, version, by: change.to.clone() });
            }
        }
        Ok(undo)
    }

    /// Starts or restarts a unit. The proxy counts as started when it listens on all its ports.
    fn start(&mut self, unit: &str) -> Result<()> {
        let host = self.job.host();
        if let Some(hold) = self.hold.take() {
            hold.release()?;
        }
        let before = units::show(host, &[unit])?;
        if before.iter().any(|state| state.need_daemon_reload) {
            units::daemon_reload(host)?;
        }
        if unit == AGENT_UNIT {
            // They were started, and ended, as often as it was.
            units::forget(host, &SATELLITES);
        }
        units::restart(host, &[unit])?;
        if unit == PROXY_UNIT { self.proxy_listens() } else { Ok(()) }
    }

    fn proxy_listens(&self) -> Result<()> {
        let host = self.job.host();
        let started = Instant::now();
        // The count goes on where a unit was stopped between two of its restarts.
        let restarts = units::show(host, &[PROXY_UNIT])?.iter().map(|s| s.n_restarts).max();
        loop {
            let listeners = current::proxy_ports(host, &[])?;
            let own = |port: u16| {
                let is_own = |owner: &sockets::Process| owner.unit.as_deref() == Some(PROXY_UNIT);
                listeners.iter().any(|l| l.port == port && l.owner.as_ref().is_some_and(is_own))
            };
            let Some(missing) = PORTS.clone().find(|port| !own(*port)) else { return Ok(()) };
            let states = units::show(host, &[PROXY_UNIT])?;
            // One that has ended by itself, or was kept by a condition; it may take a moment until it counts as begun.
            let ended = |s: &units::UnitState| s.active_state == "inactive" && started.elapsed() > SETTLE;
            let down = states.iter().find(|s| s.is_failed() || Some(s.n_restarts) > restarts || ended(s));
            if let Some(state) = down {
                return Err(units::service_error(host, state));
            }
            if started.elapsed() > LISTEN_LIMIT {
                let what = format!("{PROXY_UNIT} runs, and does not listen on port {missing}");
                let error =
                    Error::new(Kind::Service, what).hint(services::log_command(services::init(host), PROXY_UNIT));
                let lines = units::journal(host, PROXY_UNIT, 20, None).unwrap_or_default();
                return Err(error.detail(lines.join("\n")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Watches the units until they rest: systemctl says 0 for a unit that then crash-loops.
    fn settle(&mut self, desired: &Desired) -> Result<()> {
        let watched: Vec<&str> = desired.units.iter().filter(|unit| unit.must_run).map(|unit| unit.name).collect();
        if !desired.start || watched.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.job.events().progress("watching the services settle", None);
        let settled = units::settle(self.job.host(), &watched, SETTLE, SETTLE_LIMIT)?;
        self.applied.settling = started.elapsed().as_secs_f64();
        let Some(culprit) = culprit(&settled) else { return Ok(()) };
        let error = units::service_error(self.job.host(), &culprit.unit);
        let victims = settled.iter().filter(|s| s.verdict == Verdict::Failed && s.unit.name != culprit.unit.name);
        Err(victims.fold(error, |error, s| error.detail(format!("{} is {}, too", s.unit.name, s.unit.seen()))))
    }
}

/// The folders above a file or folder that do not exist yet, outermost first: so they are made, and removed backwards.
fn missing_folders(host: &Host, path: &str) -> Result<Vec<Undo>> {
    let mut missing = Vec::new();
    for folder in Path::new(path).ancestors().skip(1) {
        if host.meta(folder)?.is_some() {
            break;
        }
        missing.insert(0, Undo::RemoveFolder { path: folder.display().to_string() });
    }
    Ok(missing)
}

/// The unit to tell of, if not all are up. One that failed ends the watching, whatever the others are still at; but the
/// satellites stop and start with the Agent, so that systemd may give one of them up before an Agent that crashes.
fn culprit(settled: &[Settled]) -> Option<&Settled> {
    let not_up = || settled.iter().filter(|s| s.verdict != Verdict::Up);
    let crashing = |s: &&Settled| s.unit.name == AGENT_UNIT && (s.unit.n_restarts > 0 || !s.unit.is_active());
    not_up().find(crashing).or_else(|| not_up().find(|s| s.verdict == Verdict::Failed)).or_else(|| not_up().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::units::UnitState;

    fn settled(name: &str, active: &str, n_restarts: u32, verdict: Verdict) -> Settled {
        let unit = UnitState { name: name.into(), active_state: active.into(), n_restarts, ..UnitState::default() };
        Settled { unit, verdict }
    }

    #[test]
    fn folders_on_the_way_are_made_from_above_and_removed_from_below() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        let me = host.meta("/").unwrap().unwrap().attributes();
        host.make_dir("/etc", &me).unwrap();
        let missing = missing_folders(&host, "/etc/a/b/file").unwrap();
        let paths: Vec<&str> = missing.iter().filter_map(folder_of).collect();
        assert_eq!(paths, ["/etc/a", "/etc/a/b"]);
        for path in &paths {
            host.make_dir(path, &me).unwrap();
        }
        for path in paths.iter().rev() {
            assert!(host.remove_dir(path).unwrap(), "{path}");
        }
        assert!(missing_folders(&host, "/etc/file").unwrap().is_empty());
    }

    fn folder_of(undo: &Undo) -> Option<&str> {
        if let Undo::RemoveFolder { path } = undo { Some(path) } else { None }
    }

    #[test]
    fn an_agent_that_crashes_is_told_before_what_stops_with_it() {
        let told = |agent: (&str, u32, Verdict), probe: (&str, u32, Verdict)| {
            let all =
                [settled(SATELLITES[0], probe.0, probe.1, probe.2), settled(AGENT_UNIT, agent.0, agent.1, agent.2)];
            culprit(&all).map(|s| s.unit.name.clone())
        };
        let (agent, probe) = (Some(AGENT_UNIT.to_owned()), Some(SATELLITES[0].to_owned()));
        let (failed, up, restless) = (Verdict::Failed, Verdict::Up, Verdict::Restless);
        assert_eq!(told(("activating", 3, restless), ("failed", 0, failed)), agent);
        assert_eq!(told(("active", 3, restless), ("failed", 0, failed)), agent);
        assert_eq!(told(("failed", 0, failed), ("failed", 0, failed)), agent);
        // It has only not rested yet, or has long.
        assert_eq!(told(("active", 0, restless), ("failed", 4, failed)), probe);
        assert_eq!(told(("active", 1, up), ("activating", 4, restless)), probe);
        assert_eq!(told(("active", 1, up), ("active", 0, up)), None);
    }
}
