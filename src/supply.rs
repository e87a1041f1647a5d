//! What the repository offers: its keys are fetched and checked, its index is verified in a private folder, and
//! versions are chosen. Nothing of the host is touched.

use crate::current::Current;
use crate::desired::{COLLECTOR, Desired, Wanted};
use crate::error::{Error, Kind, Result};
use crate::net;
use crate::packages::versions::choose;
use crate::packages::{Available, Manager, Needs, PackageSpec, Repository, Session, keys};
use crate::request::{Request, Sources};
use crate::step::PackageChange;
use crate::support::Range;
use crate::types::Pin;

/// Everything that is needed to install: verified, and chosen.
pub struct Supply {
    pub keyring: Vec<u8>,
    pub packages: Vec<PackageChange>,
    pub needs: Needs,
    pub notes: Vec<String>,
}

/// The repository that a request names.
pub fn repository(sources: &Sources, architecture: &str) -> Repository {
    let architecture = if architecture == "aarch64" { "arm64" } else { "amd64" };
    Repository {
        url: sources.apt_url.clone(),
        suite: sources.suite.clone(),
        component: sources.component.clone(),
        ..Repository::vendor(architecture)
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
    let client = net::Client::new(net::Options::default(), session.events.clone());
    let mut trusted = keys::Family::Apt.fingerprints();
    trusted.extend(&request.sources.fingerprints);
    let urls = keys::urls(&request.sources.keys_url, keys::Family::Apt);
    let fetched = keys::fetch(&client, &urls, &trusted, std::time::SystemTime::now(), session.events)?;
    let keyring = keys::keyring(&fetched.keys);
    let names: Vec<&str> = wanted.iter().map(|change| change.name.as_str()).collect();
    let available = Manager::Apt.verify(session, repository, &keyring, &names).map_err(|e| fetched.explain(e))?;
    let mut supply = Supply { keyring, packages: Vec::new(), needs: Needs::default(), notes: fetched.notes };
    for change in wanted {
        supply.take(change, range, desired, current, &available, repository)?;
    }
    let specs: Vec<PackageSpec> = supply.packages.iter().map(PackageChange::spec).collect();
    supply.needs = available.needs(&specs);
    Ok(supply)
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
                self.notes.push(format!("{} has no {}; it is left out", repository.url, change.name));
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
        self.packages.push(PackageChange { to: Some(version.to_owned()), ..change.clone() });
        Ok(())
    }
}

fn absent(name: &str, pin: Option<&Pin>, versions: Vec<&str>, repository: &Repository) -> Error {
    let what = match pin {
        Some(pin) => format!("{} has no {name} {pin}", repository.url),
        None => format!("{} has no package {name} for this architecture", repository.url),
    };
    let has: Vec<&str> = versions.into_iter().rev().take(10).collect();
    let hint = match has.is_empty() {
        true => "check the address of the repository, its suite and its component".to_owned(),
        false => format!("it has: {}", has.join(", ")),
    };
    Error::new(Kind::Repository, what).hint(hint)
}
