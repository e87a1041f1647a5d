//! What is on the host now, of all that the desired state speaks of. Reads, never writes.

use std::collections::BTreeMap;
use std::thread;

use crate::config::value_at;
use crate::config::yaml::{self, Document, Refusal, Value};
use crate::desired::{
    AGENT_USER, Base, COLLECTOR, Content, Desired, PORTS, PROXY_FOLDER, PROXY_PROGRAM, PROXY_UNIT, SIGNING_KEYS,
};
use crate::error::{Error, Kind, Result};
use crate::host::services::{self, Init};
use crate::host::sockets::{self, Listener};
use crate::host::units::{self, UnitState};
use crate::host::users::Users;
use crate::host::{Attributes, FileKind, Host, Stored, system, users};
use crate::packages::{Installed, Manager};
use crate::settings::File;
use crate::types::{Flavor, Profile, Version};

/// The Agent reads them beside its main file.
const BESIDE: [File; 2] = [File::SystemProbe, File::SecurityAgent];

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
#[derive(Debug, Default)]
pub struct Current {
    pub packages: BTreeMap<&'static str, Installed>,
    /// Wished files and the examples they are made from, by path.
    pub files: BTreeMap<&'static str, Seen>,
    /// The YAML files among them, parsed once.
    documents: BTreeMap<&'static str, std::result::Result<Document, Refusal>>,
    /// The program that the wished one is a copy of.
    pub program: Option<Vec<u8>>,
    /// (uid, gid) of `dd-agent`, once its package has made it.
    pub agent_user: Option<(u32, u32)>,
    /// Memberships (user, group) that are there.
    pub memberships: Vec<(&'static str, &'static str)>,
    pub units: BTreeMap<&'static str, UnitState>,
    /// Who listens on the proxy's ports.
    pub listeners: Vec<Listener>,
}

impl Current {
    /// Those of these files that were written after a unit was started: it runs with others. A time that is still to come
    /// says nothing. None: it does not run, or since when is not known.
    pub fn written_since<'a>(&self, unit: &str, files: &[&'a str]) -> Option<Vec<&'a str>> {
        let running = self.units.get(unit).filter(|state| state.is_running())?;
        let started = system::time_of_monotonic(running.active_since_monotonic)?;
        let now = system::epoch_seconds() as i64;
        let later = |path: &&&str| {
            let stored = self.file(path).stored();
            stored.is_some_and(|stored| stored.meta.mtime > started + 1 && stored.meta.mtime <= now)
        };
        Some(files.iter().filter(later).copied().collect())
    }

    pub fn read(host: &Host, desired: &Desired) -> Result<Current> {
        // systemctl takes as long as all the rest: it runs beside it.
        let wanted: Vec<&str> = desired.units.iter().map(|unit| unit.name).collect();
        thread::scope(|scope| {
            let states = scope.spawn(|| units::show(host, &wanted));
            let rest = Current::read_rest(host, desired)?;
            let states = states.join().unwrap_or_else(|_| units::show(host, &wanted))?;
            rest.with_units(host, desired, &states)
        })
    }

    fn read_rest(host: &Host, desired: &Desired) -> Result<Current> {
        let flavors = Flavor::ALL.map(Flavor::package);
        let names: Vec<&'static str> = flavors.into_iter().chain([COLLECTOR, SIGNING_KEYS]).collect();
        let found = Manager::of(host)?.installed(host, &names)?;
        let packages = names.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?))).collect();
        let mut files = BTreeMap::new();
        // The Agent's main file tells whether the host is fresh and where it sends, whatever is wished.
        for path in [desired.asked.main_file().path()].into_iter().chain(desired.files.iter().flat_map(paths)) {
            if !files.contains_key(path) {
                files.insert(path, see(host, path)?);
            }
        }
        // What only speaks of a bypass is read as it stands, whoever's it is.
        for path in BESIDE.map(File::path) {
            files.entry(path).or_insert_with(|| match host.read(path) {
                Ok(Some(stored)) => Seen::Present(stored),
                Ok(None) => Seen::Absent,
                Err(failure) => Seen::Denied(failure.to_string()),
            });
        }
        let yaml = desired.files.iter().filter(|wish| matches!(wish.content, Content::Edits { .. }));
        let mut documents = BTreeMap::new();
        for path in [desired.asked.main_file().path()]
            .into_iter()
            .chain(yaml.map(|wish| wish.path))
            .chain(BESIDE.map(File::path))
        {
            if let Some(Seen::Present(stored)) = files.get(path) {
                documents.entry(path).or_insert_with(|| yaml::load(&stored.bytes));
            }
        }
        let program = desired.files.iter().find_map(|wish| match &wish.content {
            Content::Program(from) => Some(program(host, from.as_deref())),
            _ => None,
        });
        let users = Users::read(host)?;
        let memberships = desired.memberships.iter().filter(|(user, group)| users.is_member(user, group)).copied();
        Ok(Current {
            packages,
            files,
            documents,
            program: program.transpose()?,
            agent_user: users.user(AGENT_USER).map(|user| (user.uid, user.gid)),
            memberships: memberships.collect(),
            ..Current::default()
        })
    }

    fn with_units(mut self, host: &Host, desired: &Desired, states: &[UnitState]) -> Result<Current> {
        let state = |name: &str| states.iter().find(|state| state.name == name);
        self.units = desired.units.iter().filter_map(|wish| Some((wish.name, state(wish.name)?.clone()))).collect();
        // An image is built with the ports of the machine that builds it.
        if desired.asked.proxy_on() && desired.profile != Profile::Image {
            let likely =
                state(PROXY_UNIT).map_or_else(Vec::new, |s| sockets::processes_of_unit(host, &s.control_group));
            self.listeners = proxy_ports(host, &likely)?;
        }
        Ok(self)
    }

    /// A YAML file as the Agent reads it; None where it is absent or cannot be read at all.
    pub fn document(&self, path: &str) -> Option<&std::result::Result<Document, Refusal>> {
        self.documents.get(path)
    }

    /// Whether a file says a key.
    pub fn has_key(&self, path: &str) -> bool {
        let document = self.document(path).and_then(|document| document.as_ref().ok());
        let value = document.and_then(|document| value_at(document, "api_key"));
        value.is_some_and(|v| !matches!(v, Value::Null) && *v != Value::Str(String::new()))
    }

    /// The installed version of a package; None where it is absent or half-installed.
    pub fn version(&self, package: &str) -> Option<&str> {
        let installed = self.packages.get(package)?;
        installed.is_whole().then_some(installed.version.as_str())
    }

    /// Whether a package is there, and not whole: a transaction was cut off.
    pub fn is_half_installed(&self, package: &str) -> bool {
        self.packages.get(package).is_some_and(|installed| !installed.is_whole())
    }

    /// The flavor of the Agent that is installed.
    pub fn agent(&self) -> Option<Flavor> {
        let agents = Flavor::ALL.into_iter().filter(|flavor| flavor.is_agent());
        agents.into_iter().find(|flavor| self.version(flavor.package()).is_some())
    }

    /// The installed Agent's version.
    pub fn agent_version(&self) -> Option<Version> {
        self.version(self.agent()?.package())?.parse().ok()
    }

    pub fn file(&self, path: &str) -> &Seen {
        self.files.get(path).unwrap_or(&Seen::Absent)
    }

    /// Listeners on the proxy's ports that are not the proxy's own.
    pub fn strangers(&self) -> Vec<&Listener> {
        let of_proxy = |l: &&Listener| l.owner.as_ref().is_some_and(|o| o.unit.as_deref() == Some(PROXY_UNIT));
        self.listeners.iter().filter(|l| !of_proxy(l)).collect()
    }

    /// The proxy's ports that the proxy does not listen on.
    pub fn closed_ports(&self) -> Vec<u16> {
        let of_proxy = |l: &&Listener| l.owner.as_ref().is_none_or(|o| o.unit.as_deref() == Some(PROXY_UNIT));
        PORTS.filter(|port| !self.listeners.iter().filter(of_proxy).any(|l| l.port == *port)).collect()
    }

    /// Owner and group names to ids. None while `dd-agent` does not exist yet.
    pub fn attributes(&self, rights: crate::desired::Rights) -> Option<Attributes> {
        let uid = if rights.owner == AGENT_USER { self.agent_user?.0 } else { 0 };
        let gid = if rights.group == AGENT_USER { self.agent_user?.1 } else { 0 };
        Some(Attributes { uid, gid, mode: rights.mode })
    }
}

/// Who listens on the proxy's ports. Where no systemd says which service a process belongs to, the proxy is known by its
/// program, run by its own user or root. In a container even root may lack the right to see whose a socket is: there it is
/// the proxy's where the proxy runs as the user that opened it. `likely` are processes to look at first.
pub fn proxy_ports(host: &Host, likely: &[u32]) -> Result<Vec<Listener>> {
    let mut listeners = sockets::listeners(host, PORTS, likely)?;
    if services::init(host) != Init::Systemd {
        let user = Users::read(host)?.user(AGENT_USER).map(|user| user.uid);
        for owner in listeners.iter_mut().filter_map(|listener| listener.owner.as_mut()) {
            let ours = owner.exe.as_ref().is_some_and(|exe| exe.starts_with(PROXY_FOLDER));
            let meta = host.meta(format!("/proc/{}", owner.pid)).ok().flatten();
            if ours && meta.is_some_and(|meta| meta.uid == 0 || Some(meta.uid) == user) {
                owner.unit = Some(PROXY_UNIT.into());
            }
        }
        let unseen = |listener: &&mut Listener| listener.owner.is_none();
        if users::effective_is_root() && listeners.iter_mut().any(|listener| unseen(&listener)) {
            let proxies = system::processes(host, PROXY_PROGRAM);
            let proxies: Vec<_> = proxies.iter().filter(|(_, uid)| *uid == 0 || Some(*uid) == user).collect();
            for listener in listeners.iter_mut().filter(unseen) {
                if let Some((pid, _)) = proxies.iter().find(|(_, uid)| *uid == listener.uid) {
                    listener.owner =
                        Some(sockets::Process { unit: Some(PROXY_UNIT.into()), ..sockets::process(host, *pid) });
                }
            }
        }
    }
    Ok(listeners)
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
    match host.read_own(path) {
        Ok(Some(stored)) => Ok(Seen::Present(stored)),
        Ok(None) => Ok(Seen::Absent),
        Err(failure) if failure.is_denied() => Ok(Seen::Denied(failure.to_string())),
        Err(failure) => Err(refused(failure.into())),
    }
}

/// The bytes of a program that is to be copied: this one, or one that the operator names and nobody else can change.
fn program(host: &Host, from: Option<&str>) -> Result<Vec<u8>> {
    const LIMIT: u64 = 256 << 20;
    let Some(path) = from else { return system::own_program() };
    let name = "DD_SECRET_BACKEND_HELPER";
    let refuse = |why: String| Err(Error::new(Kind::Usage, format!("{name}: {path}: {why}")));
    match host.meta(path)? {
        None => return refuse("no such file".into()),
        Some(meta) if meta.len > LIMIT => return refuse("is larger than 256 MiB".into()),
        Some(meta) if meta.kind == FileKind::File && meta.mode & 0o022 != 0 => {
            return refuse(format!("mode {:04o}: others may write to it: chmod go-w", meta.mode));
        }
        Some(_) => {}
    }
    match host.read(path)? {
        Some(stored) if stored.bytes.is_empty() => refuse("is empty".into()),
        Some(stored) => Ok(stored.bytes),
        None => refuse("no such file".into()),
    }
}

/// A file that must not be touched, such as a planted link, stops a run before it begins.
fn refused(error: Error) -> Error {
    Error { kind: Kind::Prerequisite, ..error }
}
