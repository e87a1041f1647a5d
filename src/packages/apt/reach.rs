//! How apt reaches the repository: proxy, certificates and credentials for this repository's host alone, in a
//! configuration that no other user can read; and what an old apt cannot do.

use std::cmp::Ordering;
use std::path::Path;

use super::{ROOT_FILE, Repository};
use crate::error::{Error, Kind, Result};
use crate::host::Command;
use crate::net::Way;
use crate::packages::versions::compare_debian;
use crate::packages::{Access, Session, dpkg};

/// apt's own file for credentials, ours alone (apt_auth.conf(5), from apt 1.5 on).
const AUTH: &str = "/etc/apt/auth.conf.d/ddinstall.conf";

/// The first apt with `Signed-By`, and the first that speaks https and reads auth.conf.d by itself (apt's changelog).
const FIRST_SIGNED_BY: &str = "1.1";
const FIRST_HTTPS: &str = "1.5";

/// The credential file and its text. None where the repository wants nothing.
pub fn credential_file(access: &Access) -> Option<(&'static str, Vec<u8>)> {
    Some((AUTH, auth_text(access)?.into_bytes()))
}

/// Without a protocol an entry is for https alone.
pub(super) fn auth_text(access: &Access) -> Option<String> {
    let known = access.credentials()?;
    let (host, path) = (&known.host, known.path.trim_end_matches('/'));
    Some(format!("machine {host}{path} login {} password {}\n", known.login, known.password.reveal()))
}

/// The command with what it must know to reach the repository. It reads that from a file without a name: a proxy's
/// password is in no argument, and in no file that could stay.
pub(super) fn reaching<'a>(session: Session<'a>, command: Command<'a>) -> Result<Command<'a>> {
    let ca = session.access.ca_bundle(session.host)?;
    let text = config(session.access, ca.as_deref());
    Ok(if text.is_empty() { command } else { command.arg("-c").private_file(text) })
}

fn config(access: &Access, ca: Option<&Path>) -> String {
    let host = access.url.split_once("://").map_or("", |(_, rest)| rest).split(['/', ':']).next().unwrap_or("");
    let mut text = String::new();
    let proxy = match access.way() {
        Way::Unsaid => None,
        Way::Direct => Some("DIRECT".to_owned()),
        // The address was normalised: quotes and control characters in it are percent-encoded.
        Way::Through(proxy) => Some(proxy.reveal().trim_end_matches('/').to_owned()),
    };
    if let Some(proxy) = proxy {
        for method in ["http", "https"] {
            text.push_str(&format!("Acquire::{method}::Proxy::{host} \"{proxy}\";\n"));
        }
    }
    if access.url.starts_with("https://") {
        // What is said of one host beats what is said of all.
        for check in ["Verify-Peer", "Verify-Host"] {
            text.push_str(&format!("Acquire::https::{host}::{check} \"true\";\n"));
        }
    }
    if let Some(ca) = ca {
        text.push_str(&format!("Acquire::https::{host}::CAInfo \"{}\";\n", ca.display()));
    }
    text
}

/// Whether the apt of this host can do what the repository needs.
pub(super) fn check(session: Session, repository: &Repository) -> Result<()> {
    session.access.can_be_checked(session.host)?;
    let found = dpkg::installed(session.host, &["apt", "apt-transport-https"])?;
    // A host whose database cannot say is taken to have a current one: apt itself refuses what it does not know.
    let Some(Some(apt)) = found.first() else { return Ok(()) };
    let transport = found.get(1).is_some_and(Option::is_some);
    can(&apt.version, repository.url.starts_with("https://"), transport, session.access.credentials().is_some())
}

fn can(apt: &str, https: bool, transport: bool, credentials: bool) -> Result<()> {
    let older = |than: &str| compare_debian(apt, than) == Ordering::Less;
    if older(FIRST_SIGNED_BY) {
        let what =
            format!("apt {apt} cannot tie a signing key to one repository (Signed-By came with {FIRST_SIGNED_BY})");
        return Err(Error::new(Kind::Unsupported, what).hint(
            "a newer release of the distribution has one; ddinstall trusts the vendor's keys for the vendor's repository only",
        ));
    }
    if https && !transport && older(FIRST_HTTPS) {
        return Err(Error::new(Kind::Prerequisite, format!("apt {apt} does not speak https by itself"))
            .hint("install the package apt-transport-https, then run again"));
    }
    if credentials && older(FIRST_HTTPS) {
        let what = format!("apt {apt} does not read {AUTH}, which keeps the mirror's user name and password");
        return Err(Error::new(Kind::Unsupported, what)
            .hint("put them into /etc/apt/auth.conf (mode 0600), and leave them out of the address"));
    }
    Ok(())
}

/// The name that apt gives a file of the repository among its lists, for a path below the repository's address.
pub(super) fn list_name(repository: &Repository, path: &str) -> String {
    let address = repository.url.split_once("://").map_or(repository.url.as_str(), |(_, rest)| rest);
    let mut name = String::new();
    for c in format!("{address}dists/{}/{path}", repository.suite.trim_end_matches('/')).chars() {
        match c {
            '/' => name.push('_'),
            // What apt quotes (URItoFileName).
            c if "\\|{}[]<>\"^~_=!@#$%&*".contains(c) => name.push_str(&format!("%{:02x}", u32::from(c))),
            c => name.push(c),
        }
    }
    name
}

/// Lays what apt read here before into the private lists, so that an index that has not changed is not sent again,
/// and an older one is told from the one that is known. apt checks its signature all the same.
pub(super) fn seed(session: Session, repository: &Repository, lists: &Path) -> Result<()> {
    let host = session.host;
    let packages = format!("{}/binary-{}/Packages", repository.component, repository.architecture);
    for path in ["InRelease", packages.as_str()] {
        let name = list_name(repository, path);
        let Some(known) = host.read(Path::new("/var/lib/apt/lists").join(&name))? else { return Ok(()) };
        host.write(lists.join(&name), &known.bytes, &ROOT_FILE)?;
        // The server is asked for what is newer than this.
        host.set_mtime(lists.join(&name), known.meta.mtime, known.meta.mtime_nsec)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::net::{Credentials, Proxies};
    use crate::secret::Secret;

    fn access(url: &str, proxy: Option<&str>) -> Access {
        let mut access = Access::to(url);
        access.proxies = Proxies::new(proxy, &[("NO_PROXY".into(), "direct.example.org".into())]).unwrap();
        access.credentials = vec![Credentials {
            host: "mirror.example.org:8443".into(),
            path: "/dd/".into(),
            login: "ops".into(),
            password: Secret::new("hunter2"),
        }];
        access
    }

    #[test]
    fn the_configuration_is_for_one_host() {
        let through = access("https://mirror.example.org:8443/dd/", Some("http://u:p%22w@proxy:3128"));
        assert_eq!(
            config(&through, Some(Path::new("/run/tmp-1/ca.pem"))),
            "Acquire::http::Proxy::mirror.example.org \"http://u:p%22w@proxy:3128\";\n\
             Acquire::https::Proxy::mirror.example.org \"http://u:p%22w@proxy:3128\";\n\
             Acquire::https::mirror.example.org::Verify-Peer \"true\";\n\
             Acquire::https::mirror.example.org::Verify-Host \"true\";\n\
             Acquire::https::mirror.example.org::CAInfo \"/run/tmp-1/ca.pem\";\n"
        );
        assert_eq!(config(&access("http://mirror.example.org/", None), None), "");
        let direct = config(&access("http://direct.example.org/", Some("http://proxy:1")), None);
        assert!(direct.contains("direct.example.org \"DIRECT\""), "{direct}");
    }

    #[test]
    fn credentials_are_for_their_repository_alone() {
        let ours = access("https://mirror.example.org:8443/dd/", None);
        let (path, text) = credential_file(&ours).unwrap();
        assert_eq!(path, AUTH);
        assert_eq!(text, b"machine mirror.example.org:8443/dd login ops password hunter2\n");
        assert_eq!(credential_file(&access("https://apt.datadoghq.com/", None)), None);
        assert_eq!(credential_file(&access("http://mirror.example.org:8443/dd/", None)), None);
    }

    #[test]
    fn an_old_apt_is_told_what_it_lacks() {
        let kind = |apt, transport, credentials| can(apt, true, transport, credentials).map_err(|e| e.kind);
        for (apt, transport, credentials, outcome) in [
            ("0.8.16~exp12ubuntu10", true, false, Err(Kind::Unsupported)),
            ("1.0.9.8.6", true, false, Err(Kind::Unsupported)),
            ("1.1~exp8", true, false, Err(Kind::Unsupported)),
            ("1.1", false, false, Err(Kind::Prerequisite)),
            ("1.2.35", true, false, Ok(())),
            ("1.4.11", false, false, Err(Kind::Prerequisite)),
            ("1.4.11", true, true, Err(Kind::Unsupported)),
            ("1.5", false, true, Ok(())),
            ("1.8.2.3", false, true, Ok(())),
            ("2.2.4", false, false, Ok(())),
            ("3.0.3", false, true, Ok(())),
        ] {
            assert_eq!(kind(apt, transport, credentials), outcome, "{apt}");
        }
        assert!(can("1.4.11", false, false, false).is_ok(), "plain http needs no transport");
        assert!(can("1.4.11", true, false, false).unwrap_err().hint.unwrap().contains("apt-transport-https"));
    }

    #[test]
    fn apts_names_of_lists_are_known() {
        let name = |url: &str| list_name(&Repository { url: url.into(), ..Repository::vendor("amd64") }, "InRelease");
        assert_eq!(name("https://apt.datadoghq.com/"), "apt.datadoghq.com_dists_stable_InRelease");
        assert_eq!(name("http://x:8080/my_repo/~a/"), "x:8080_my%5frepo_%7ea_dists_stable_InRelease");
    }
}
