//! Desired minus current: the list of steps. An empty plan is a converged host. Pure.

mod files;
mod notes;

use std::path::Path;
use std::sync::Arc;

use crate::current::Current;
use crate::desired::{AGENT_UNIT, DOGSTATSD_UNIT, Desired, PROXY, PROXY_UNIT, PUBLIC_FILE, SIGNING_KEYS, Wanted};
use crate::error::Result;
use crate::host::{Attributes, Stored, TempDir, sockets};
use crate::packages::Repository;
use crate::step::{FileChange, PackageChange, Step};
use crate::types::{Pin, Version};

pub use files::{FilePlan, holds, is_secret, mistake, not_exactly, variable, without};

/// What a run is to do, in order, and what the operator should know.
#[derive(Clone, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
}

/// What the plan must know beside desired and current state.
#[derive(Clone, Default)]
pub struct Context {
    /// The repository, where packages must come from it.
    pub repository: Option<Repository>,
    /// Where its signing keys come from.
    pub keys_url: String,
    /// Its keyring as downloaded and checked; None: not downloaded yet.
    pub keyring: Option<Vec<u8>>,
    /// Keys of it that the package manager keeps elsewhere and does not know yet.
    pub missing_keys: Vec<String>,
    /// The repository's files that are there: its entry and its keyring.
    pub repository_files: [Option<Stored>; 2],
    /// The packages to install; versions are None until the repository was read.
    pub packages: Vec<PackageChange>,
    /// sha256 of the proxy examples that count as the vendor's.
    pub proxy_examples: Vec<String>,
    /// The packages are there: an example that is missing now will not come.
    pub packages_done: bool,
    /// Packages that this run has replaced: their services are started anew.
    pub replaced: Vec<String>,
    /// The Agent's package was put there by ddinstall, in this run or an earlier one.
    pub agent_is_ours: bool,
    /// Whether the packages are to be held at their version.
    pub hold: Option<bool>,
    /// The file that keeps what the repository wants to know: its path, what is there, and what is to be.
    pub credentials: Option<(&'static str, Option<Stored>, Vec<u8>)>,
    /// Our copies of package files, for as long as the plan is.
    pub files: Option<Arc<TempDir>>,
    /// An earlier run was cut off: its services may not have read what it wrote.
    pub resume: bool,
}

/// Packages that must be installed or replaced; empty on a converged host. A pin that the installed
/// version satisfies needs nothing, so that a second run needs no network.
pub fn wanted_packages(desired: &Desired, current: &Current) -> Vec<PackageChange> {
    let mut changes = Vec::new();
    for wish in &desired.packages {
        let installed = current.version(wish.name);
        let needed = match &wish.version {
            Wanted::Any => installed.is_none(),
            Wanted::Newest => true,
            Wanted::Pinned(pin) => !installed.is_some_and(|version| satisfies(version, pin)),
            // One that a killed run has left half-installed is mended by itself, too.
            Wanted::Along => installed.is_none() && (!changes.is_empty() || current.is_half_installed(wish.name)),
        };
        if needed {
            let from = installed.map(str::to_owned);
            changes.push(PackageChange { name: wish.name.into(), from, to: None, file: None });
        }
    }
    changes
}

/// Whether an installed version is one that a pin allows.
fn satisfies(version: &str, pin: &Pin) -> bool {
    version.parse().is_ok_and(|version: Version| pin.matches(&version))
}

impl Plan {
    pub fn new(desired: &Desired, current: &Current, context: &Context) -> Result<Plan> {
        let mut plan = Plan { steps: Vec::new(), notes: notes::ineffective(desired, current) };
        if !context.packages.is_empty() {
            if let Some(repository) = &context.repository {
                plan.repository(repository, context)?;
            }
            plan.steps.push(Step::Packages(context.packages.clone()));
        }
        for wish in &desired.files {
            match files::plan(wish, current, context)? {
                FilePlan::Nothing { notes } => plan.notes.extend(notes),
                FilePlan::Change { change, notes } => {
                    plan.steps.push(Step::File(*change));
                    plan.notes.extend(notes);
                }
                FilePlan::Later { from, changes } => {
                    plan.steps.push(Step::AfterPackages { path: wish.path.into(), from, changes });
                }
            }
        }
        for (user, group) in &desired.memberships {
            if !current.memberships.contains(&(*user, *group)) {
                plan.steps.push(Step::Group { user: (*user).into(), group: (*group).into() });
            }
        }
        plan.hold(desired, current, context);
        plan.services(desired, current, context);
        Ok(plan)
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn repository(&mut self, repository: &Repository, context: &Context) -> Result<()> {
        let [list, keyring] = &context.repository_files;
        let steps = &mut self.steps;
        let public = |path: &Path, before: &Option<Stored>, after: Vec<u8>, why: String| {
            let change = FileChange {
                path: path.display().to_string(),
                before: before.clone(),
                after,
                rights: Attributes { uid: 0, gid: 0, mode: PUBLIC_FILE.mode },
                rights_text: "root:root 0644".into(),
                changes: vec![why],
                read_by: None,
            };
            let changed = before.as_ref().is_none_or(|before| before.bytes != change.after);
            changed.then_some(Step::File(change))
        };
        match &context.keyring {
            Some(bytes) => {
                let why = "the signing keys that this repository is checked with, and no other".into();
                steps.extend(public(repository.keyring(), keyring, bytes.clone(), why));
            }
            None if keyring.is_none() => {
                let path = repository.keyring().display().to_string();
                steps.push(Step::Keyring { path, from: context.keys_url.clone() });
            }
            None => {}
        }
        if let Some((path, before, after)) = &context.credentials {
            let rights = Attributes { uid: 0, gid: 0, mode: 0o600 };
            let same = |before: &Stored| before.bytes == *after && before.meta.attributes() == rights;
            if !before.as_ref().is_some_and(same) {
                steps.push(Step::File(FileChange {
                    path: (*path).into(),
                    before: before.clone(),
                    after: after.clone(),
                    rights,
                    rights_text: "root:root 0600".into(),
                    changes: vec![format!("the user name and the password that {} wants", repository.url())],
                    read_by: None,
                }));
            }
        }
        let why = format!("packages come from {}", repository.url());
        steps.extend(public(repository.entry(), list, repository.entry_text()?.into_bytes(), why));
        if !context.missing_keys.is_empty() {
            steps.push(Step::ImportKeys { keys: context.missing_keys.clone() });
        }
        Ok(())
    }

    /// The packages that are, or will be, there and are not held or released yet.
    fn hold(&mut self, desired: &Desired, current: &Current, context: &Context) {
        let Some(hold) = context.hold else { return };
        let coming = |name: &str| context.packages.iter().any(|change| change.name == name);
        let names = desired.packages.iter().map(|wish| wish.name).filter(|name| match current.packages.get(name) {
            Some(installed) => installed.held != hold,
            None => hold && coming(name),
        });
        let names: Vec<String> = names.filter(|name| *name != SIGNING_KEYS).map(str::to_owned).collect();
        if !names.is_empty() {
            self.steps.push(Step::Hold { names, hold });
        }
    }

    /// Enabling and starting: the proxy first, then the Agent, which its satellites follow.
    fn services(&mut self, desired: &Desired, current: &Current, context: &Context) {
        let later = self.steps.iter().any(|step| matches!(step, Step::Packages(_)));
        let package = desired.asked.flavor().package();
        for (unit, package) in [(PROXY_UNIT, PROXY), (AGENT_UNIT, package), (DOGSTATSD_UNIT, package)] {
            if !desired.units.iter().any(|wish| wish.name == unit) {
                continue;
            }
            let state = current.units.get(unit);
            if state.is_some_and(|s| s.unit_file_state == "disabled") {
                self.steps.push(Step::Enable { unit: unit.into() });
            }
            if !desired.start {
                continue;
            }
            let running = state.is_some_and(|s| s.is_running());
            let satellite_rests = unit == AGENT_UNIT
                && desired.units.iter().any(|wish| {
                    wish.must_run
                        && wish.name != PROXY_UNIT
                        && !current.units.get(wish.name).is_some_and(|s| s.is_running())
                });
            let read: Vec<&'static str> =
                desired.files.iter().filter(|file| file.read_by == Some(unit)).map(|file| file.path).collect();
            let changed = self.steps.iter().find_map(|step| match step {
                Step::File(file) if file.read_by == Some(unit) => Some(format!("it reads {}", file.path)),
                Step::AfterPackages { path, .. } if desired.file(path).is_some_and(|f| f.read_by == Some(unit)) => {
                    Some(format!("it reads {path}"))
                }
                Step::Group { group, .. } if unit == AGENT_UNIT => Some(format!("its user joins the group {group}")),
                Step::Packages(changes) if changes.iter().any(|c| c.name == package) => {
                    Some(format!("{package} is new"))
                }
                _ => None,
            });
            let why = match changed {
                Some(why) => why,
                None if context.replaced.iter().any(|name| name == package) => format!("{package} was replaced"),
                None if context.resume => "an earlier run did not come to its end".into(),
                None if !running && !later => "it does not run".into(),
                None if let Some([path, ..]) = current.written_since(unit, &read).as_deref() => {
                    format!("{path} was changed after it was started")
                }
                None if unit == PROXY_UNIT && !later && !current.closed_ports().is_empty() => {
                    format!("it does not listen on {}", sockets::ranges(&current.closed_ports()))
                }
                None if satellite_rests && !later => "what must run beside it does not".into(),
                None => continue,
            };
            self.steps.push(Step::Start { unit: unit.into(), running, why });
        }
    }
}
