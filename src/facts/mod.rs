//! What kind of host this is: distribution, release, architecture, kernel, init, privileges.
//! Reads, never writes, and guesses nothing.

mod distribution;
mod older;
pub mod parents;

pub use distribution::{Distribution, Family, LIMIT, parse, parse_file};

use crate::error::{Error, Kind, Result};
pub use crate::host::services::Init;
use crate::host::system::{self, Lockdown};
use crate::host::{Host, services, users};
use crate::types::{Profile, Release};

#[derive(Debug, Clone)]
pub struct Facts {
    pub distribution: Distribution,
    /// As the kernel names it: `x86_64`, `aarch64`, …
    pub architecture: String,
    /// As `uname -r` prints it.
    pub kernel: String,
    pub init: Init,
    pub profile: Profile,
    pub root: bool,
    /// Whether the kernel is in FIPS mode; None where it does not say.
    pub kernel_fips: Option<bool>,
    /// The kernel's lockdown mode; None where it does not say.
    pub lockdown: Option<Lockdown>,
}

impl Facts {
    /// Looks at the host. A malformed os-release is an error (exit 3), never a guess. `assumed` is the release that
    /// the operator says this is, `said` the profile. The kernel that an image is built on is not the one that it will run
    /// on, of which nothing is known.
    pub fn gather(host: &Host, assumed: Option<&Release>, said: Option<Profile>) -> Result<Facts> {
        let profile = profile(host, said);
        let own = profile != Profile::Image;
        Ok(Facts {
            distribution: distribution(host, assumed)?,
            architecture: system::machine().to_owned(),
            kernel: system::kernel_release().filter(|_| own).unwrap_or_default(),
            init: services::init(host),
            profile,
            root: users::effective_is_root(),
            kernel_fips: system::kernel_fips(host).unwrap_or(None).filter(|_| own),
            lockdown: system::lockdown(host).unwrap_or(None).filter(|_| own),
        })
    }
}

/// A folder is an image, whatever it is called. So is, unless the operator says otherwise, what says of itself that it is a
/// container, and runs no service manager: one that runs cannot be told from one that is being built.
pub fn profile(host: &Host, said: Option<Profile>) -> Profile {
    let found = || match services::init(host) {
        Init::None if system::container_hint(host).is_some() => Profile::Image,
        _ => Profile::Host,
    };
    if host.is_live() { said.unwrap_or_else(found) } else { Profile::Image }
}

/// Which distribution this host is, or is to be taken for.
pub fn distribution(host: &Host, assumed: Option<&Release>) -> Result<Distribution> {
    let found = detect(host);
    let Some(release) = assumed else { return found };
    // What cannot be read is what the operator answers for.
    let found = found.unwrap_or_else(|_| Distribution::of(release, format!("a distribution taken for {release}"), ""));
    found.taken_for(release).map_err(|why| {
        Error::new(Kind::Usage, format!("DD_ASSUME_DISTRIBUTION: {why}"))
            .hint("name one that `ddinstall support` lists, such as debian:12")
    })
}

fn detect(host: &Host) -> Result<Distribution> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        // /etc/os-release is a link on most distributions, in a folder that only root writes.
        if let Some(bytes) = read(host, path)? {
            return parse(&bytes).map_err(|why| malformed(path, &why));
        }
    }
    for path in older::FILES {
        let Some(bytes) = read(host, path)? else { continue };
        let text = distribution::text(&bytes).map_err(|why| malformed(path, &why))?;
        if let Some(found) = older::parse(path.trim_start_matches("/etc/"), text) {
            return Ok(found);
        }
    }
    Err(Error::new(Kind::Unsupported, "no file says which distribution this is (/etc/os-release and older ones)")
        .hint(ASSUME))
}

fn read(host: &Host, path: &str) -> Result<Option<Vec<u8>>> {
    match host.read(path) {
        Ok(stored) => Ok(stored.map(|stored| stored.bytes)),
        Err(failure) => Err(Error { kind: Kind::Unsupported, ..failure.into() }),
    }
}

fn malformed(path: &str, why: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{path}: {why}"))
        .hint(format!("repair the file: it names the distribution that packages are chosen for; {ASSUME}"))
}

const ASSUME: &str = "or say which release this host is built on: --assume-distribution debian:12";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_is_an_image_and_this_kernel_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
        let host = Host::new(folder.path()).unwrap();
        for said in [None, Some(Profile::Host), Some(Profile::Container)] {
            let facts = Facts::gather(&host, None, said).unwrap();
            assert_eq!((facts.profile, facts.kernel.as_str(), facts.init), (Profile::Image, "", Init::None));
        }
        let here = Host::new(std::path::Path::new("/")).unwrap();
        assert_eq!(profile(&here, Some(Profile::Container)), Profile::Container);
    }
}
