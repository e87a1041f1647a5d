//! Locks of package managers are waited for, with a limit, and whoever holds one is named.

use std::time::{Duration, Instant};

use super::Session;
use crate::error::{Error, Kind, Result};

/// A lock that another process holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// A file, or words for it.
    pub what: String,
    pub pid: Option<u32>,
    /// The holder's name, where the package manager tells it.
    pub name: Option<String>,
}

/// What came of one try.
pub enum Attempt<T> {
    Done(T),
    /// The lock, and what the package manager said.
    Locked(Lock, String),
}

const PAUSE: Duration = Duration::from_millis(500);

/// Tries again and again while another process holds the lock. A lock stops a package manager before it does anything.
/// Errors with exit code 4 where the limit of the session is over.
pub fn wait<T>(session: Session, mut attempt: impl FnMut() -> Result<Attempt<T>>) -> Result<T> {
    let start = Instant::now();
    let mut told = None;
    loop {
        let (lock, said) = match attempt()? {
            Attempt::Done(done) => return Ok(done),
            Attempt::Locked(lock, said) => (lock, said),
        };
        if session.cancelled() {
            return Err(Error::new(Kind::Interrupted, "stopped while waiting for a lock"));
        }
        let (what, by) = (&lock.what, holder(session, &lock));
        if start.elapsed() >= session.lock_wait {
            return Err(Error::new(Kind::Prerequisite, format!("{what} is locked by {by}"))
                .detail(said)
                .hint("wait until it is done, then run again"));
        }
        if told.as_ref() != Some(&by) {
            let limit = session.lock_wait.as_secs();
            session.events.note(format!("waiting for {by}, which holds {what} (up to {limit} s)"));
            told = Some(by);
        }
        std::thread::sleep(PAUSE);
    }
}

fn holder(session: Session, lock: &Lock) -> String {
    let Some(pid) = lock.pid else { return "another process".into() };
    let known = lock.name.clone();
    match known.or_else(|| session.host.read_text(format!("/proc/{pid}/comm")).ok().flatten()) {
        Some(name) => format!("process {pid} ({})", name.trim()),
        None => format!("process {pid}"),
    }
}
