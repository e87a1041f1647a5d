//! What the repository offers: its keys are fetched and checked, its index is verified in a private folder, and
//! versions are chosen. Nothing of the host is touched.

mod files;

use crate::current::Current;
use crate::desired::{COLLECTOR, Desired, Wanted};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, system};
use crate::net;
use crate::packages::apt::found;
use crate::packages::versions::{choose, compare_debian};
use crate::packages::{Access, Available, Manager, Needs, PackageSpec, Repository, Session, apt, keys, rpm};
use crate::request::{Request, Sources};
use crate::step::PackageChange;
use crate::support::Range;
use crate::types::Pin;

pub use files::{FromFiles, files};

/// Everything that is needed to install: verified, and chosen.
pub struct Supply {
    pub keyring: Vec<u8>,
    pub packages: Vec<PackageChange>,
    pub needs: Needs,
    pub notes: Vec<String>,
}

/// The repository that a request names, for a host of this architecture (as the kernel names it).
pub fn repository(host: &Host, manager: Manager, sources: &Sources, architecture: &str) -> Repository {
    let [entry, keyring] = manager.repository_files();
    let above = match manager {
        Manager::Apt => {
            let architecture = if architecture == "aarch64" { "arm64" } else { "amd64" };
            return Repository::Apt(apt::Repository {
                url: sources.apt_url.clone(),
                suite: sources.suite.clone(),
                component: sources.component.clone(),
                ..apt::Repository::vendor(architecture)
            });
        }
        Manager::Dnf => "",
        Manager::Zypper => "suse/",
    };
    let url = format!("{}{above}{}/{architecture}/", sources.yum_url, sources.yum_path);
    Repository::Rpm(rpm::Repository {
        manager,
        keyring: keyring.into(),
        entry: entry.into(),
        login: sources.credentials.iter().find(|known| known.fit(&url)).map(|known| known.login.clone()),
        url,
        repo_gpgcheck: !is_release_8_1(host),
    })
}

/// The address that this host's packages come from.
pub fn address(host: &Host, sources: &Sources) -> String {
    let manager = Manager::of(host).unwrap_or(Manager::Apt);
    repository(host, manager, sources, system::machine()).url().to_owned()
}

/// Red Hat, CentOS and Oracle Linux 8.1, whose dnf cannot check the signature of an index (bugzilla.redhat.com 1792506).
fn is_release_8_1(host: &Host) -> bool {
    let text = host.read_text("/etc/redhat-release").ok().flatten().unwrap_or_default();
    text.split_once(" release 8.1").is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The repository as an entry that other tools left serves it, where there is one; and notes on all that were found.
pub fn adopted(host: &Host, repository: Repository, sources: &Sources) -> Result<(Repository, Vec<String>)> {
    match repository {
        Repository::Apt(repository) => {
            let mut trusted = keys::Family::Apt.fingerprints();
            trusted.extend(&sources.fingerprints);
            let found = found::adopt(host, repository, &trusted)?;
            Ok((Repository::Apt(found.repository), found.notes))
        }
        Repository::Rpm(repository) => {
            let notes = rpm::left_by_others(host, &repository)?;
            Ok((Repository::Rpm(repository), notes))
        }
    }
}

/// Looks at the repository. `range` holds the Agents that this release supports; `wanted` comes from `plan::wanted_packages`.
pub fn look(
    session: Session,
    request: &Request,
    range: Range,
    repository: &Repository,
    desired: &Desired,
    current: &Current,
    wanted: &[PackageChange],
) -> Result<Supply> {
    let family = match repository {
        Repository::Apt(_) => keys::Family::Apt,
        Repository::Rpm(_) => keys::Family::Rpm,
    };
    let fetched = signing_keys(session, &request.sources, family)?;
    let keyring = keys::keyring(family, &fetched.keys);
    let names: Vec<&str> = wanted.iter().map(|change| change.name.as_str()).collect();
    let available = repository.verify(session, &keyring, &names).map_err(|e| fetched.explain(e))?;
    let mut supply = Supply { keyring, packages: Vec::new(), needs: Needs::default(), notes: fetched.notes };
    if let Repository::Rpm(rpm::Repository { repo_gpgcheck: false, url, .. }) = repository {
        supply.notes.push(format!(
            "{url}: the signature of the index is not checked, for this release (8.1) cannot do it; that of each package is"
        ));
    }
    supply.notes.extend(transient(session.access));
    for change in wanted {
        supply.take(change, range, desired, current, &available, repository)?;
    }
    let specs: Vec<PackageSpec> = supply.packages.iter().map(PackageChange::spec).collect();
    supply.needs = available.needs(&specs);
    Ok(supply)
}

/// The keys that are downloaded and trusted, or those of the operator's own file, all of which are.
fn signing_keys(session: Session, sources: &Sources, family: keys::Family) -> Result<keys::Fetched> {
    let now = std::time::SystemTime::now();
    let mut trusted = family.fingerprints();
    trusted.extend(&sources.fingerprints);
    if let Some(file) = &sources.key_file {
        trusted.extend(keys::fingerprints_in(&file.bytes, now).iter().map(|(fingerprint, _)| *fingerprint));
        return keys::choose(vec![(file.path.clone(), Ok(file.bytes.clone()))], &trusted, now);
    }
    let client = net::Client::new(sources.client(), session.events.clone());
    let urls = keys::urls(&sources.keys_url, family);
    keys::fetch(&client, &urls, &trusted, now, session.events)
}

/// What the package manager does not know once this run is over.
fn transient(access: &Access) -> Vec<String> {
    let mut notes = Vec::new();
    if access.ca.is_some() && access.url.starts_with("https://") {
        notes.push(format!(
            "--ca-file counts for ddinstall alone: the host's own updates from {} need that authority in the system's trust store",
            access.url
        ));
    }
    if matches!(access.way(), net::Way::Through(_)) {
        notes.push(format!(
            "the proxy counts for ddinstall alone: the host's own updates from {} go as the package manager is set up",
            access.url
        ));
    }
    notes
}

/// Whether a keyring that is in place can check all that the new one could.
pub fn covers(there: &[u8], new: &[u8]) -> bool {
    let usable = |bytes| {
        let keys = keys::fingerprints_in(bytes, std::time::SystemTime::now()).into_iter();
        keys.filter(|(_, usable)| *usable).map(|(fingerprint, _)| fingerprint).collect::<Vec<_>>()
    };
    let there = usable(there);
    usable(new).iter().all(|fingerprint| there.contains(fingerprint))
}

impl Supply {
    fn take(
        &mut self,
        change: &PackageChange,
        range: Range,
        desired: &Desired,
        current: &Current,
        available: &Available,
        repository: &Repository,
    ) -> Result<()> {
        let wish = desired.packages.iter().find(|wish| wish.name == change.name).map(|wish| &wish.version);
        let pin = match wish {
            Some(Wanted::Pinned(pin)) => Some(pin),
            _ => None,
        };
        let versions = || available.versions(&change.name).iter().map(|candidate| candidate.version.as_str());
        let is_agent = desired.asked.flavor().is_agent() && change.name == desired.asked.flavor().package();
        let is_agent = is_agent || change.name == COLLECTOR;
        let fits = |text: &&str| !is_agent || text.parse().is_ok_and(|version| range.holds(&version));
        let chosen = choose(versions().filter(fits), pin);
        if let (Some(version), None, Some(newer)) = (chosen, pin, choose(versions(), None))
            && newer != version
        {
            let name = &change.name;
            self.notes.push(format!(
                "{name} {version} is chosen, and not {newer}, since it is the newest that the vendor supports on this \
                 release"
            ));
        }
        let Some(version) = chosen else {
            if wish == Some(&Wanted::Along) {
                self.notes.push(format!("{} has no {}; it is left out", repository.url(), change.name));
                return Ok(());
            }
            let error = absent(&change.name, pin, versions().collect(), repository);
            let capped = range.last.filter(|_| is_agent && pin.is_none() && choose(versions(), None).is_some());
            return Err(match capped {
                Some(last) => error.detail(format!("this release of the distribution supports Agents up to 7.{last}")),
                None => error,
            });
        };
        if current.version(&change.name) == Some(version) {
            return Ok(());
        }
        // Nobody asked for an older one: the mirror lags behind, or somebody replays an old index.
        if let Some(installed) = current.version(&change.name).filter(|_| pin.is_none())
            && compare_debian(version, installed).is_lt()
        {
            self.notes.push(format!(
                "{} has {} {version} at the most, and {installed} is installed: it stays",
                repository.url(),
                change.name
            ));
            return Ok(());
        }
        self.packages.push(PackageChange { to: Some(version.to_owned()), ..change.clone() });
        Ok(())
    }
}

fn absent(name: &str, pin: Option<&Pin>, versions: Vec<&str>, repository: &Repository) -> Error {
    let what = match pin {
        Some(pin) => format!("{} has no {name} {pin}", repository.url()),
        None => format!("{} has no package {name} for this architecture", repository.url()),
    };
    let has: Vec<&str> = versions.into_iter().rev().take(10).collect();
    let hint = match has.is_empty() {
        true => "check the address of the repository, its suite and its component".to_owned(),
        false => format!("it has: {}", has.join(", ")),
    };
    Error::new(Kind::Repository, what).hint(hint)
}
