//! From a request to a plan: everything that is looked at before anything is written. Shared by `plan` and `install`.

use std::collections::HashSet;

use crate::config::is_on;
use crate::current::Current;
use crate::desired::{self, Asked, Desired, PROXY_CFG, PROXY_CFG_EXAMPLE};
use crate::error::Result;
use crate::facts::Facts;
use crate::host::{Host, Stored, system};
use crate::packages::{Installed, Manager, Needs, Session};
use crate::plan::{self, Context, Plan};
use crate::prerequisites;
use crate::receipt::{Past, Receipt};
use crate::request::Request;
use crate::secrets;
use crate::settings::File;
use crate::step::Step;
use crate::supply;
use crate::support;
use crate::types::Flavor;

/// The host, the wish and the way from one to the other.
pub struct Prepared {
    pub facts: Facts,
    pub receipt: Receipt,
    pub asked: Asked,
    pub desired: Desired,
    pub current: Current,
    pub context: Context,
    pub plan: Plan,
    pub notes: Vec<String>,
}

/// What is known of the host, before a plan is made.
pub struct Looked {
    pub facts: Facts,
    pub receipt: Receipt,
    pub asked: Asked,
    pub desired: Desired,
    pub current: Current,
    pub notes: Vec<String>,
}

/// Reads the host. `writes`: this run is going to change it, so it must be root.
pub fn look(host: &Host, request: &Request, writes: bool) -> Result<Looked> {
    let past = Past::load(host)?;
    let mut notes = request.notes.clone();
    if matches!(past, Past::Denied) {
        notes.push(
            "what earlier runs were asked for is known to root only; only what is asked for now is looked at".into(),
        );
    }
    let receipt = past.receipt();
    let mut asked = Asked::merged(request, &receipt.asked);
    let facts = Facts::gather(host, asked.distribution.as_ref(), request.profile)?;
    if asked.flavor.is_none() {
        asked.flavor = installed_flavor(host)?;
    }
    notes.extend(prerequisites::platform(host, &facts, request, &asked, writes)?);
    let mut desired = desired::desired(request, asked.clone(), &facts, None)?;
    let mut current = Current::read(host, &desired)?;
    let configured = as_configured(&asked, &current);
    if configured != asked {
        asked = configured;
        desired = desired::desired(request, asked.clone(), &facts, None)?;
        current = Current::read(host, &desired)?;
    }
    // Somebody has brought it by another way.
    let complete = asked.no_key && current.has_key(asked.main_file().path());
    asked.no_key &= !complete;
    let version = current.agent_version();
    if version.is_some() || complete {
        desired = desired::desired(request, asked.clone(), &facts, version.as_ref())?;
    }
    Ok(Looked { facts, receipt, asked, desired, current, notes })
}

/// Where neither this call nor an earlier run said whether FIPS and CWS are wanted, the files say it: what is on stays
/// on, whole.
fn as_configured(asked: &Asked, current: &Current) -> Asked {
    let on = |file: File, path: &str| {
        let document = current.document(file.path())?.as_ref().ok()?;
        is_on(document, path).then_some(true)
    };
    let mut asked = asked.clone();
    if asked.flavor().knows_proxy() {
        asked.fips = asked.fips.or_else(|| on(File::Datadog, "fips.enabled"));
    }
    asked.cws = asked.cws.or_else(|| on(File::SystemProbe, "runtime_security_config.enabled"));
    asked
}

/// The flavor that is installed, where it is another one than datadog-agent: it stays.
fn installed_flavor(host: &Host) -> Result<Option<Flavor>> {
    let agents = Flavor::ALL.into_iter().filter(|flavor| flavor.is_agent());
    let agents: Vec<Flavor> = agents.collect();
    let names: Vec<&str> = agents.iter().map(|flavor| flavor.package()).collect();
    let found = Manager::of(host)?.installed(host, &names)?;
    let there = agents.into_iter().zip(found).find(|(_, found)| found.as_ref().is_some_and(Installed::is_whole));
    Ok(there.map(|(flavor, _)| flavor).filter(|flavor| *flavor != Flavor::Agent))
}

/// Makes the plan. With `online`, the repository is looked at where packages are needed, so that versions are known
/// and a repository that cannot be trusted stops the run here.
pub fn prepare(session: Session, request: &Request, online: bool) -> Result<Prepared> {
    let host = session.host;
    let manager = Manager::of(host)?;
    let Looked { facts, receipt, asked, desired, current, mut notes } = look(host, request, online)?;
    prerequisites::request(request, &asked, facts.profile, &current)?;
    notes.extend(secrets::needs::check(host, request, &asked, facts.profile, &current)?);
    prerequisites::flavors(&asked, &current, manager)?;
    let agent = asked.flavor().package();
    let mut context = Context {
        packages: plan::wanted_packages(&desired, &current),
        proxy_examples: receipt.proxy_examples.clone(),
        agent_is_ours: receipt.installed(agent),
        hold: request.hold,
        resume: receipt.is_unfinished(),
        packages_done: current.version(agent).is_some(),
        ..Context::default()
    };
    if follows_example(&current)
        && let Some(stored) = current.file(PROXY_CFG).stored()
    {
        context.proxy_examples.push(system::sha256_hex(&stored.bytes));
    }
    let files = &request.sources.packages;
    let mut needs = Needs::default();
    if !files.is_empty() {
        let found = supply::files(session, files, &desired, &current, &context.packages, online)?;
        notes.extend(found.notes);
        (context.packages, context.files, needs) = (found.packages, found.folder, found.needs);
        prerequisites::held(request, &context.packages, &current)?;
        prerequisites::downgrade(request, &context.packages)?;
    }
    prerequisites::can_install(host, &context.packages)?;
    if !context.packages.is_empty() {
        context.agent_is_ours |= context.packages.iter().any(|change| change.name == agent && change.from.is_none());
        context.packages_done = false;
    }
    if !context.packages.is_empty() && files.is_empty() {
        let repository = supply::repository(host, manager, &request.sources, &facts.architecture);
        let (repository, found) = supply::adopted(host, repository, &request.sources)?;
        notes.extend(found);
        context.keys_url = request.sources.keys_url.clone();
        context.credentials = match manager.credential_file(session.access) {
            Some((path, after)) => Some((path, host.read_own(path)?, after)),
            None => None,
        };
        context.repository_files = [host.read_own(repository.entry())?, host.read_own(repository.keyring())?];
        context.repository = Some(repository);
    }
    // Files are merged before the network is asked: a file that cannot be merged stops the run first.
    let mut plan = Plan::new(&desired, &current, &context)?;
    prerequisites::ports(&asked, &current)?;
    if !plan.is_empty() && online {
        session.access.can_be_checked(host)?;
        prerequisites::authorities(host, &asked)?;
        prerequisites::disk(host, manager, needs)?;
    }
    if let Some(repository) = context.repository.as_ref().filter(|_| online) {
        let range = support::agents(&facts.distribution, &facts.architecture);
        let supply = supply::look(session, request, range, repository, &desired, &current, &context.packages)?;
        notes.extend(supply.notes);
        let [_, keyring] = &context.repository_files;
        // The vendor's package writes the same keyring, with more keys in it.
        let stays = |there: &&Stored| repository.keyring_stays() || supply::covers(&there.bytes, &supply.keyring);
        let kept = keyring.as_ref().filter(stays);
        let keyring = kept.map_or(supply.keyring, |there| there.bytes.clone());
        context.missing_keys = manager.missing_keys(host, &keyring)?;
        context.keyring = Some(keyring);
        context.packages = supply.packages;
        context.packages_done = context.packages.is_empty();
        prerequisites::held(request, &context.packages, &current)?;
        prerequisites::downgrade(request, &context.packages)?;
        prerequisites::disk(host, manager, supply.needs)?;
        plan = Plan::new(&desired, &current, &context)?;
    }
    notes.extend(prerequisites::agent_version(request, &asked, &context.packages, &current)?);
    if online && plan.steps.iter().any(|step| matches!(step, Step::Hold { .. })) {
        manager.can_hold(session)?;
    }
    notes.extend(plan.notes.iter().cloned());
    if let Some(run) = receipt.cut_off() {
        notes.push(format!("the run of {} was cut off before it was done; this one finishes it", run.started));
    }
    let mut told = HashSet::new();
    notes.retain(|note| told.insert(note.clone()));
    Ok(Prepared { facts, receipt, asked, desired, current, context, plan, notes })
}

/// Whether the proxy's configuration is the example of the package that is installed now.
fn follows_example(current: &Current) -> bool {
    let bytes = |path| current.file(path).stored().map(|stored| &stored.bytes);
    bytes(PROXY_CFG).is_some() && bytes(PROXY_CFG) == bytes(PROXY_CFG_EXAMPLE)
}
