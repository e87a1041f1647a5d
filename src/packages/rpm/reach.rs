//! How dnf and zypper reach the repository: proxy, certificates and credentials for it alone, and how long they wait.
//! Passwords stand in files of a private folder, or in the package manager's own file for them.

use std::path::{Path, PathBuf};

use super::{ROOT_FOLDER, Repository};
use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Command, TempDir};
use crate::net::{Way, in_query, no_variable};
use crate::packages::{Access, Change, Manager, Session};

/// The variable of dnf that holds the mirror's password, and zypper's file of the same use.
const DNF_FILE: &str = "/etc/dnf/vars/ddinstall_password";
const ZYPPER_FILE: &str = "/etc/zypp/credentials.d/ddinstall";

/// A root in our folder.
pub(super) const ROOT: &str = "root";

const PRIVATE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o600 };

/// The credential file and its text. None where the repository wants nothing.
pub fn credential_file(manager: Manager, access: &Access) -> Option<(&'static str, Vec<u8>)> {
    let known = access.credentials()?;
    let password = known.password.reveal();
    Some(match manager {
        Manager::Zypper => (ZYPPER_FILE, format!("username={}\npassword={password}\n", known.login).into_bytes()),
        _ => (DNF_FILE, format!("{password}\n").into_bytes()),
    })
}

/// What the package manager is told for the time of one call, in a private folder that is gone with it.
pub(super) struct Reach {
    folder: TempDir,
    manager: Manager,
    /// The folder has copies of the host's entries.
    repositories: bool,
    /// The folder has a root of its own, with our entry alone.
    alone: bool,
}

impl Reach {
    /// For the host's own repositories, of which ours is in place.
    pub fn host(session: Session, manager: Manager, change: Option<Change>) -> Result<Reach> {
        let reach = Reach::new(session, manager, change)?;
        let [ours, _] = manager.repository_files();
        if plain(session.access) {
            return Ok(reach);
        }
        let (host, ours) = (session.host, Path::new(ours));
        let folder = ours.parent().unwrap_or(ours);
        host.make_dir(reach.repos(), &ROOT_FOLDER)?;
        for name in host.list(folder)?.unwrap_or_default() {
            let path = folder.join(&name);
            let Some(text) = host.read_text(&path)?.filter(|_| path.extension().is_some_and(|e| e == "repo")) else {
                continue;
            };
            let text = if path == ours { reach.entry(session, &text)? } else { text };
            host.write(reach.repos().join(&name), text.as_bytes(), &PRIVATE)?;
        }
        Ok(Reach { repositories: true, ..reach })
    }

    /// For this repository alone, with keys of a file, before anything of it is in place.
    pub fn alone(session: Session, repository: &Repository, keys: &Path) -> Result<Reach> {
        let manager = repository.manager;
        let reach = Reach::new(session, manager, None)?;
        let host = session.host;
        let [entry, _] = manager.repository_files();
        let mut files = vec![(entry, reach.entry(session, &repository.text(keys)?)?.into_bytes())];
        files.extend(credential_file(manager, session.access));
        for (path, text) in files {
            let path = reach.at(ROOT).join(path.trim_start_matches('/'));
            host.make_dirs(path.parent().unwrap_or(&path), &ROOT_FOLDER)?;
            host.write(&path, &text, &PRIVATE)?;
        }
        Ok(Reach { alone: true, ..reach })
    }

    /// For the host as it is.
    pub fn new(session: Session, manager: Manager, change: Option<Change>) -> Result<Reach> {
        let folder = session.host.temp_dir("/run", 0o700)?;
        let reach = Reach { folder, manager, repositories: false, alone: false };
        if manager == Manager::Zypper {
            let own = session.host.read_text("/etc/zypp/zypp.conf")?.unwrap_or_default();
            let held = change.is_some_and(|change| change.held);
            let text = zypp_conf(&own, session.access.stall.as_secs(), held);
            session.host.write(reach.at("zypp.conf"), text.as_bytes(), &PRIVATE)?;
        }
        Ok(reach)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repos(&self) -> PathBuf {
        self.at("repos")
    }

    /// Tells the command.
    pub fn tell<'a>(&self, command: Command<'a>) -> Command<'a> {
        match self.manager {
            Manager::Zypper => {
                let command = command.env("ZYPP_CONF", self.at("zypp.conf"));
                // What it leaves there when it is ended is gone with the folder.
                let command = command.env("ZYPPTMPDIR", self.folder.path());
                match (self.alone, self.repositories) {
                    (true, _) => command.arg("--root").arg(self.at(ROOT)),
                    (_, true) => command.arg("--reposd-dir").arg(self.repos()),
                    _ => command,
                }
            }
            _ if self.alone => {
                let at = |name: &str| self.at(ROOT).join(name).display().to_string();
                command
                    .arg(format!("--setopt=reposdir={}", at("etc/yum.repos.d")))
                    .arg(format!("--setopt=varsdir=/etc/yum/vars,/etc/dnf/vars,{}", at("etc/dnf/vars")))
            }
            _ if self.repositories => command.arg(format!("--setopt=reposdir={}", self.repos().display())),
            _ => command,
        }
    }

    /// The entry with what is needed to get there.
    fn entry(&self, session: Session, text: &str) -> Result<String> {
        let access = session.access;
        if self.manager == Manager::Zypper {
            if access.ca.is_some() && access.url.starts_with("https://") {
                return Err(Error::new(Kind::Prerequisite, "zypper cannot be given a certificate authority for one run")
                    .hint("put it into /etc/pki/trust/anchors and run update-ca-certificates, then run again without --ca-file"));
            }
            return Ok(with_parameters(text, &proxy_parameters(&access.way())));
        }
        let mut text = text.to_owned();
        match access.way() {
            Way::Unsaid => {}
            Way::Direct => text.push_str("proxy=\n"),
            // The address was normalised: `$`, which begins a variable, is the one letter that is left to be quoted.
            Way::Through(proxy) => text.push_str(&format!("proxy={}\n", no_variable(proxy.reveal()))),
        }
        if let Some(ca) = access.ca_bundle(session.host)? {
            text.push_str(&format!("sslcacert={}\n", ca.display()));
        }
        Ok(text)
    }
}

fn plain(access: &Access) -> bool {
    access.way() == Way::Unsaid && access.ca.is_none()
}

/// What zypper reads about a proxy in the address of a repository (libzypp, media manager).
fn proxy_parameters(way: &Way) -> Vec<(&'static str, String)> {
    let proxy = match way {
        Way::Unsaid => return Vec::new(),
        Way::Direct => return vec![("proxy", "_none_".into())],
        Way::Through(proxy) => proxy.reveal(),
    };
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest).trim_end_matches('/');
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => (host, port),
        _ => (place, "80"),
    };
    let mut found = vec![("proxy", host.to_owned()), ("proxyport", port.to_owned())];
    if let Some(user) = user {
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        found.extend([("proxyuser", user.to_owned()), ("proxypass", password.to_owned())]);
    }
    found
}

fn with_parameters(text: &str, parameters: &[(&str, String)]) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        lines.push_str(line);
        if line.starts_with("baseurl=") {
            for (i, (name, value)) in parameters.iter().enumerate() {
                let mark = if i == 0 && !line.contains('?') { '?' } else { '&' };
                lines.push_str(&format!("{mark}{name}={}", in_query(value)));
            }
        }
        lines.push('\n');
    }
    lines
}

/// The host's zypp.conf with our limit for a silent server and, where held packages may move, without the locks.
fn zypp_conf(own: &str, stall: u64, held: bool) -> String {
    let mut ours = vec![("download.transfer_timeout", stall.clamp(1, 3600).to_string())];
    if held {
        ours.push(("locksfile.apply", "no".into()));
    }
    let is_ours = |line: &str| ours.iter().any(|(key, _)| line.split_once('=').is_some_and(|(k, _)| k.trim() == *key));
    let mut text = String::from("[main]\n");
    for (key, value) in &ours {
        text.push_str(&format!("{key} = {value}\n"));
    }
    for line in own.lines().filter(|line| line.trim() != "[main]" && !is_ours(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_proxy_becomes_parameters_of_the_address() {
        let way = Way::Through(Secret::new("http://u:p%22&w@proxy.example.org:3128/"));
        let entry = "[datadog]\nbaseurl=https://x/y/?credentials=ddinstall\ngpgcheck=1\n";
        assert_eq!(
            with_parameters(entry, &proxy_parameters(&way)),
            "[datadog]\nbaseurl=https://x/y/?credentials=ddinstall&proxy=proxy.example.org&proxyport=3128&proxyuser=u\
             &proxypass=p%22%26w\ngpgcheck=1\n"
        );
        assert_eq!(
            with_parameters("baseurl=https://x/\n", &proxy_parameters(&Way::Direct)),
            "baseurl=https://x/?proxy=_none_\n"
        );
        assert_eq!(with_parameters(entry, &proxy_parameters(&Way::Unsaid)), entry);
    }

    #[test]
    fn the_hosts_own_settings_of_zypper_stay() {
        let own =
            "[main]\n# download.transfer_timeout = 180\ndownload.transfer_timeout = 180\nsolver.onlyRequires = true\n";
        assert_eq!(
            zypp_conf(own, 60, false),
            "[main]\ndownload.transfer_timeout = 60\n# download.transfer_timeout = 180\nsolver.onlyRequires = true\n"
        );
        assert!(zypp_conf("", 60, true).contains("locksfile.apply = no\n"));
    }
}
