//! What an image must not keep of its making.

use crate::error::Result;
use crate::host::Host;
use crate::packages::Manager;
use crate::packages::caches::{self, Caches};
use crate::receipt::LOCK;

use super::Session;

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
pub(super) fn built() -> u64 {
    std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
