//! Who listens on which port, who is connected where, and a tiny probe of a port on loopback.
//! The owner of a socket is only searched for where a port in question is taken.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::tcp_table::{State, rows};
use super::walk::Last;
use super::{Host, ReadFailure};

pub use super::probe::{Knock, Probe, http_get, knock, unframed};

/// A process as far as it can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// The kernel's short name of it, at most 15 bytes.
    pub name: String,
    /// The program's file; None if we lack the right to see it.
    pub exe: Option<PathBuf>,
    /// The systemd unit that it belongs to, such as `datadog-fips-proxy.service`.
    pub unit: Option<String>,
}

/// A TCP socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    pub address: IpAddr,
    pub inode: u64,
    /// The user that opened it.
    pub uid: u32,
    /// None if it could not be found: another user's process (when not root), or one outside our process namespace.
    pub owner: Option<Process>,
}

/// An established TCP connection of a process that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub pid: u32,
}

/// Ports as people write them: `9803-9805, 9818`. `ports` must be in order.
pub fn ranges(ports: &[u16]) -> String {
    let runs = ports.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(u16::to_string).collect(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

type Read<T> = std::result::Result<T, ReadFailure>;

/// The listeners on these ports, sorted by port and address. `likely` are processes to look at first (those of the proxy's
/// unit, see [`processes_of_unit`]): if they own all of them, no other process is looked at.
pub fn listeners(host: &Host, ports: RangeInclusive<u16>, likely: &[u32]) -> Read<Vec<Listener>> {
    let rows = rows(host, State::Listen, |row| ports.contains(&row.local.port()))?;
    let mut missing: BTreeSet<u64> = rows.iter().map(|r| r.inode).collect();
    let mut owners: HashMap<u64, u32> = HashMap::new();
    if !missing.is_empty() {
        let others = pids(host)?;
        let others = others.into_iter().filter(|p| !likely.contains(p));
        for pid in likely.iter().copied().chain(others) {
            for inode in socket_inodes(host, pid).unwrap_or_default() {
                if missing.remove(&inode) {
                    owners.insert(inode, pid);
                }
            }
            if missing.is_empty() {
                break;
            }
        }
    }
    let mut known: HashMap<u32, Process> = HashMap::new();
    let mut found: Vec<Listener> = rows
        .into_iter()
        .map(|row| Listener {
            port: row.local.port(),
            address: row.local.ip(),
            inode: row.inode,
            uid: row.uid,
            owner: owners.get(&row.inode).map(|pid| {
                let process = known.entry(*pid).or_insert_with(|| process(host, *pid));
                process.clone()
            }),
        })
        .collect();
    found.sort_by_key(|l| (l.port, l.address, l.inode));
    Ok(found)
}

/// The established TCP connections of these processes. None: we may not see the descriptors of one of them.
pub fn connections(host: &Host, of: &[u32]) -> Read<Option<Vec<Connection>>> {
    let mut owners: HashMap<u64, u32> = HashMap::new();
    for pid in of {
        let Some(inodes) = socket_inodes(host, *pid) else { return Ok(None) };
        owners.extend(inodes.into_iter().map(|inode| (inode, *pid)));
    }
    if owners.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let rows = rows(host, State::Established, |row| owners.contains_key(&row.inode))?;
    let with_pid = rows
        .into_iter()
        .filter_map(|row| Some(Connection { local: row.local, remote: row.remote, pid: *owners.get(&row.inode)? }));
    Ok(Some(with_pid.collect()))
}

/// The connections among them that these processes have made themselves: nobody here listens at their local end.
pub fn outgoing(host: &Host, of: &[u32]) -> Read<Option<Vec<Connection>>> {
    let Some(mut made) = connections(host, of)? else { return Ok(None) };
    if !made.is_empty() {
        let ports: BTreeSet<u16> = rows(host, State::Listen, |_| true)?.iter().map(|row| row.local.port()).collect();
        made.retain(|connection| !ports.contains(&connection.local.port()));
    }
    Ok(Some(made))
}

/// The processes in a unit's control group (`UnitState::control_group`) and the groups below it, sorted.
pub fn processes_of_unit(host: &Host, control_group: &str) -> Vec<u32> {
    if control_group.len() < 2 {
        return Vec::new();
    }
    // Unified, hybrid, and the old hierarchy of version 1.
    for base in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        let mut found = Vec::new();
        let group = Path::new(base).join(control_group.trim_start_matches('/'));
        collect_pids(host, &group, 0, &mut found);
        if !found.is_empty() {
            found.sort_unstable();
            return found;
        }
    }
    Vec::new()
}

fn collect_pids(host: &Host, group: &Path, depth: u8, found: &mut Vec<u32>) {
    if let Ok(Some(text)) = host.read_text(group.join("cgroup.procs")) {
        found.extend(text.lines().filter_map(|l| l.parse::<u32>().ok()));
    }
    if depth < 8 {
        for name in host.list(group).ok().flatten().unwrap_or_default() {
            // The kernel's own files all have a dot after a controller's name; folders are groups.
            let below = group.join(&name);
            if matches!(host.meta(below.join("cgroup.procs")), Ok(Some(_))) {
                collect_pids(host, &below, depth + 1, found);
            }
        }
    }
}

/// What can be seen of a process.
pub fn process(host: &Host, pid: u32) -> Process {
    let text = |name: &str| {
        let text = host.read_text(format!("/proc/{pid}/{name}"));
        text.ok().flatten().unwrap_or_default()
    };
    Process {
        pid,
        name: text("comm").trim_end().to_owned(),
        exe: host.link_text(format!("/proc/{pid}/exe")).map(PathBuf::from),
        unit: unit_of(&text("cgroup")),
    }
}

/// The unit in `/proc/PID/cgroup`: the last `*.service` of systemd's own path (version 1, hybrid) or of the unified one. What
/// runs below a user's manager belongs to `user@UID.service`: its own names are that user's invention.
fn unit_of(cgroup: &str) -> Option<String> {
    let path_of = |controllers: &str| {
        cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            (fields.next() == Some(controllers)).then(|| fields.next())?
        })
    };
    let last_service = |path: &str| {
        let mut services = path.split('/').filter(|part| part.ends_with(".service"));
        let user = services.clone().find(|part| part.starts_with("user@"));
        user.or(services.next_back()).map(str::to_owned)
    };
    let old = path_of("name=systemd").and_then(last_service);
    old.or_else(|| path_of("").and_then(last_service))
}

fn pids(host: &Host) -> Read<Vec<u32>> {
    let names = host.list("/proc")?.unwrap_or_default();
    Ok(names.iter().filter_map(|n| n.to_str()?.parse().ok()).collect())
}

/// The sockets that a process holds. None: it is there, and we may not see them.
fn socket_inodes(host: &Host, pid: u32) -> Option<Vec<u64>> {
    let links = match host.link_texts(Path::new(&format!("/proc/{pid}/fd"))) {
        Some(links) => links,
        None if matches!(host.meta(format!("/proc/{pid}")), Ok(Some(_))) => return None,
        None => Vec::new(),
    };
    Some(links.iter().filter_map(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect())
}

impl Host {
    /// Where a symbolic link of `/proc` points to, as text. None if it is gone or we may not see it.
    pub fn link_text(&self, path: impl AsRef<Path>) -> Option<std::ffi::OsString> {
        let flags = nix::fcntl::OFlag::O_PATH;
        let fd = self.open(path.as_ref(), flags, Last::Keep).ok()??;
        nix::fcntl::readlinkat(&fd, "").ok()
    }

    /// The same for all links in a folder, which is opened once.
    fn link_texts(&self, folder: &Path) -> Option<Vec<String>> {
        use nix::errno::Errno;
        use nix::fcntl::{OFlag, readlinkat};
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let Ok(Some(fd)) = self.open(folder, flags, Last::Follow) else {
            return None;
        };
        let names = super::folders::names(&fd).unwrap_or_default();
        let mut found = Vec::new();
        for name in names {
            match readlinkat(&fd, name.as_os_str()) {
                Ok(text) => found.extend(text.into_string()),
                // The folder can be read by whoever may read all files; what its links say, by whoever may trace.
                Err(Errno::EACCES | Errno::EPERM) => return None,
                Err(_) => {}
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn the_unit_of_a_process_is_found_in_every_kind_of_control_group() {
        let unit = |text| unit_of(text);
        let proxy = Some("datadog-fips-proxy.service".to_owned());
        assert_eq!(unit("0::/system.slice/datadog-fips-proxy.service\n"), proxy);
        assert_eq!(unit("0::/system.slice/datadog-fips-proxy.service/worker\n"), proxy);
        assert_eq!(
            unit(
                "12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/datadog-fips-proxy.service\n0::/system.slice/datadog-fips-proxy.service\n"
            ),
            proxy
        );
        assert_eq!(unit("1:name=systemd:/\n0::/system.slice/datadog-fips-proxy.service\n"), proxy);
        assert_eq!(unit("0::/user.slice/user-0.slice/session-3.scope\n"), None);
        assert_eq!(
            unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/datadog-fips-proxy.service\n"),
            Some("user@1000.service".to_owned())
        );
    }

    #[test]
    fn a_port_we_hold_is_ours() {
        let host = Host::new(Path::new("/")).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let me = std::process::id();
        for likely in [vec![], vec![me]] {
            let found = listeners(&host, port..=port, &likely).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].address, IpAddr::V4(Ipv4Addr::LOCALHOST));
            assert_eq!(found[0].owner.as_ref().unwrap().pid, me);
        }
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ours = connections(&host, &[me]).unwrap().unwrap();
        let local = client.local_addr().unwrap();
        assert!(ours.iter().any(|c| c.local == local && c.pid == me));
        drop(socket);
        // A child of another test has a copy of it until it has become its program.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !listeners(&host, port..=port, &[]).unwrap().is_empty() {
            assert!(std::time::Instant::now() < patience, "nobody listens any more");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    #[test]
    fn the_processes_of_a_unit_are_those_of_its_groups() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("sys/fs/cgroup/system.slice/a.service");
        fs::create_dir_all(group.join("worker")).unwrap();
        fs::write(group.join("cgroup.procs"), "12\n3\n").unwrap();
        fs::write(group.join("worker/cgroup.procs"), "40\n").unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert_eq!(processes_of_unit(&host, "/system.slice/a.service"), [3, 12, 40]);
        assert!(processes_of_unit(&host, "/").is_empty());
    }
}
