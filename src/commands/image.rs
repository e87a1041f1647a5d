//! What an image must not keep of its making.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Host, users};
use crate::packages::{Manager, caches};
use crate::receipt::LOCK;

use super::Session;

/// What was there before the run, on disk for as long as it lasts: what a killed run leaves is no part of the image.
const TRACES: &str = "/var/lib/ddinstall/traces";
const PRIVATE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o600 };

const BUILT: &str = "SOURCE_DATE_EPOCH";
/// Seconds since 1970. From then on no date can be written as RFC 3339 has it.
const YEAR_10000: u64 = 253_402_300_800;

/// What was there before the run, or before the one that was killed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    /// What the package manager had downloaded.
    found: BTreeSet<PathBuf>,
    /// The file with a mirror's password, which was not there.
    password: Option<PathBuf>,
}

impl Traces {
    /// Notes what is there. None where this is no image, which keeps all.
    pub fn look(session: &Session) -> Result<Option<Traces>> {
        let host = &session.host;
        if !session.image {
            host.remove_file(TRACES)?;
            return Ok(None);
        }
        let manager = Manager::of(host)?;
        let mut traces = match Traces::left(host)? {
            Some(left) => left,
            None => Traces { found: caches::found(host, manager)?, password: None },
        };
        if let Some((path, _)) = manager.credential_file(&session.access)
            && host.meta(path)?.is_none()
        {
            traces.password = Some(path.into());
        }
        host.write(TRACES, &traces.bytes(), &PRIVATE)?;
        Ok(Some(traces))
    }

    /// What a killed run has noted.
    pub fn left(host: &Host) -> Result<Option<Traces>> {
        Ok(host.read_own(TRACES)?.map(|stored| Traces::read(&stored.bytes)))
    }

    /// Removes what the package manager downloaded, a mirror's password, and the lock, which names a process.
    pub fn remove(self, host: &Host) -> Result<()> {
        caches::restore(host, Manager::of(host)?, &self.found)?;
        for path in self.password.iter().map(PathBuf::as_path).chain([LOCK, TRACES].map(Path::new)) {
            host.remove_file(path)?;
        }
        Ok(())
    }

    /// The file with the password first, then the others; no path holds a zero.
    fn bytes(&self) -> Vec<u8> {
        let password = self.password.as_deref().unwrap_or(Path::new(""));
        let paths = [password].into_iter().chain(self.found.iter().map(PathBuf::as_path));
        paths.flat_map(|path| path.as_os_str().as_bytes().iter().copied().chain([0])).collect()
    }

    fn read(bytes: &[u8]) -> Traces {
        let mut paths = bytes.split(|byte| *byte == 0).map(|path| PathBuf::from(OsStr::from_bytes(path)));
        let password = paths.next().filter(|path| !path.as_os_str().is_empty());
        Traces { password, found: paths.filter(|path| !path.as_os_str().is_empty()).collect() }
    }
}

/// `--clean`, and what a run left that was killed at its very end.
pub(super) fn clean(session: &Session) -> Result<()> {
    let host: &Host = &session.host;
    if session.image
        && users::effective_is_root()
        && let Some(left) = Traces::left(host)?
    {
        left.remove(host)?;
    }
    if session.request.clean { caches::empty(host, Manager::of(host)?) } else { Ok(()) }
}

/// The time that an image bears in place of the clock's: two builds are alike (reproducible-builds.org, SOURCE_DATE_EPOCH).
pub(super) fn built() -> Result<u64> {
    std::env::var_os(BUILT).map_or(Ok(0), |text| seconds(&text.to_string_lossy()))
}

fn seconds(text: &str) -> Result<u64> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().ok().filter(|seconds| *seconds < YEAR_10000).ok_or_else(|| {
        let what =
            format!("{BUILT}: `{}` is no number of seconds since 1970, before the year 10000", text.escape_debug());
        Error::new(Kind::Usage, what).hint("give whole seconds, as `date +%s` does, or unset it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_can_be_read_again() {
        let path = |bytes| PathBuf::from(OsStr::from_bytes(bytes));
        let found = BTreeSet::from([path(b"/var/cache/apt"), path(b"/var/cache/apt/two\nlines \xff")]);
        for password in [None, Some(path(b"/etc/apt/auth.conf.d/ddinstall.conf"))] {
            for found in [found.clone(), BTreeSet::new()] {
                let traces = Traces { found, password: password.clone() };
                assert_eq!(Traces::read(&traces.bytes()), traces);
            }
        }
    }

    #[test]
    fn the_time_of_an_image_can_be_written_as_a_date() {
        for (text, known) in [("", Some(0)), ("0", Some(0)), ("253402300799", Some(253_402_300_799))] {
            assert_eq!(seconds(text).ok(), known);
        }
        for bad in ["253402300800", "1735689600000", "18446744073709551615", "99999999999999999999", "-1", "1.5", "now"]
        {
            let error = seconds(bad).expect_err(bad);
            assert!(error.kind == Kind::Usage && error.what.contains("SOURCE_DATE_EPOCH"), "{bad}: {error}");
        }
        let last = std::time::UNIX_EPOCH + std::time::Duration::from_secs(YEAR_10000 - 1);
        assert_eq!(humantime::format_rfc3339_seconds(last).to_string(), "9999-12-31T23:59:59Z");
    }
}
