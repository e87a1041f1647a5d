//! What is on the host now, of all that the desired state speaks of. Reads, never writes.

use std::collections::BTreeMap;

use crate::desired::{AGENT, AGENT_USER, Base, Content, Desired, PORTS, PROXY, PROXY_UNIT, SIGNING_KEYS};
use crate::error::{Error, Kind, Result};
use crate::host::sockets::{self, Listener};
use crate::host::units::{self, UnitState};
use crate::host::users::Users;
use crate::host::{Attributes, Host, Stored};
use crate::packages::{Installed, Manager};
use crate::settings::File;
use crate::types::Version;

/// One file.
#[derive(Debug, Clone)]
pub enum Seen {
    Absent,
    Present(Stored),
    /// We lack the right to read it.
    Denied(String),
}

impl Seen {
    pub fn stored(&self) -> Option<&Stored> {
        match self {
            Seen::Present(stored) => Some(stored),
            _ => None,
        }
    }
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Current {
    pub packages: BTreeMap<&'static str, Installed>,
    /// Wished files and the examples they are made from, by path.
    pub files: BTreeMap<&'static str, Seen>,
    /// (uid, gid) of `dd-agent`, once its package has made it.
    pub agent_user: Option<(u32, u32)>,
    /// Memberships (user, group) that are there.
    pub memberships: Vec<(&'static str, &'static str)>,
    pub units: BTreeMap<&'static str, UnitState>,
    /// Who listens on the proxy's ports.
    pub listeners: Vec<Listener>,
}

impl Current {
    pub fn read(host: &Host, desired: &Desired) -> Result<Current> {
        let names = [AGENT, PROXY, SIGNING_KEYS];
        let found = Manager::Apt.installed(host, &names)?;
        let packages = names.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?))).collect();
        let mut files = BTreeMap::new();
        // The Agent's main file tells whether the host is fresh and where it sends, whatever is wished.
        for path in [File::Datadog.path()].into_iter().chain(desired.files.iter().flat_map(paths)) {
            if !files.contains_key(path) {
                files.insert(path, see(host, path)?);
            }
        }
        let users = Users::read(host)?;
        let memberships = desired.memberships.iter().filter(|(user, group)| users.is_member(user, group)).copied();
        let wanted: Vec<&str> = desired.units.iter().map(|unit| unit.name).collect();
        let states = if wanted.is_empty() { Vec::new() } else { units::show(host, &wanted)? };
        let units = desired.units.iter().filter_map(|wish| {
            let state = states.iter().find(|state| state.name == wish.name)?;
            Some((wish.name, state.clone()))
        });
        let proxy = states.iter().find(|state| state.name == PROXY_UNIT);
        let likely = proxy.map_or_else(Vec::new, |state| sockets::processes_of_unit(host, &state.control_group));
        Ok(Current {
            packages,
            files,
            agent_user: users.user(AGENT_USER).map(|user| (user.uid, user.gid)),
            memberships: memberships.collect(),
            units: units.collect(),
            listeners: if desired.asked.fips_on() { sockets::listeners(host, PORTS, &likely)? } else { Vec::new() },
        })
    }

    /// The installed version of a package; None where it is absent or half-installed.
    pub fn version(&self, package: &str) -> Option<&str> {
        let installed = self.packages.get(package)?;
        installed.is_whole().then_some(installed.version.as_str())
    }

    /// The installed Agent's version.
    pub fn agent_version(&self) -> Option<Version> {
        self.version(AGENT)?.parse().ok()
    }

    pub fn file(&self, path: &str) -> &Seen {
        self.files.get(path).unwrap_or(&Seen::Absent)
    }

    /// Listeners on the proxy's ports that are not the proxy's own.
    pub fn strangers(&self) -> Vec<&Listener> {
        let of_proxy = |l: &&Listener| l.owner.as_ref().is_some_and(|o| o.unit.as_deref() == Some(PROXY_UNIT));
        self.listeners.iter().filter(|l| !of_proxy(l)).collect()
    }

    /// Owner and group names to ids. None while `dd-agent` does not exist yet.
    pub fn attributes(&self, rights: crate::desired::Rights) -> Option<Attributes> {
        let uid = if rights.owner == AGENT_USER { self.agent_user?.0 } else { 0 };
        let gid = if rights.group == AGENT_USER { self.agent_user?.1 } else { 0 };
        Some(Attributes { uid, gid, mode: rights.mode })
    }
}

fn paths(wish: &crate::desired::FileWish) -> Vec<&'static str> {
    match &wish.content {
        Content::Edits { base: Base::Example(example), .. } | Content::Vendor { example, .. } => {
            vec![wish.path, example]
        }
        _ => vec![wish.path],
    }
}

fn see(host: &Host, path: &str) -> Result<Seen> {
    match host.read(path) {
        Ok(Some(stored)) => Ok(Seen::Present(stored)),
        Ok(None) => Ok(Seen::Absent),
        Err(failure) if failure.is_denied() => Ok(Seen::Denied(failure.to_string())),
        Err(failure) => Err(refused(failure.into())),
    }
}

/// A file that must not be touched, such as a planted link, stops a run before it begins.
fn refused(error: Error) -> Error {
    Error { kind: Kind::Prerequisite, ..error }
}
