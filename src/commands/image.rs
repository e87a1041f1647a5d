//! What an image must not keep of its making.

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::packages::Manager;
use crate::packages::caches::{self, Caches};
use crate::receipt::LOCK;

use super::Session;

const BUILT: &str = "SOURCE_DATE_EPOCH";
/// Seconds since 1970. From then on no date can be written as RFC 3339 has it.
const YEAR_10000: u64 = 253_402_300_800;

/// What was there before the run.
pub(super) struct Traces {
    caches: Caches,
    /// The file with a mirror's password, which was not there.
    password: Option<&'static str>,
}

impl Traces {
    pub fn look(session: &Session) -> Result<Traces> {
        let host = &session.host;
        let manager = Manager::of(host)?;
        let password = match manager.credential_file(&session.access) {
            Some((path, _)) if host.meta(path)?.is_none() => Some(path),
            _ => None,
        };
        Ok(Traces { caches: Caches::look(host, manager)?, password })
    }

    /// Removes what the package manager downloaded, a mirror's password, and the lock, which names a process.
    pub fn remove(self, session: &Session) -> Result<()> {
        self.caches.restore(&session.host)?;
        for path in self.password.into_iter().chain([LOCK]) {
            session.host.remove_file(path)?;
        }
        Ok(())
    }
}

/// `--clean`
pub(super) fn clean(session: &Session) -> Result<()> {
    let host: &Host = &session.host;
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
