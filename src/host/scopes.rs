//! The scopes that transactions run in ([`Command::scope`](super::Command::scope)), which outlive the run that began them.

use super::{Command, Host};
use crate::error::Result;

const FOLDER: &str = "/run/systemd/transient";
/// Where the processes of a unit of system.slice are listed: the unified hierarchy, and systemd's own of before it.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice"];

/// A process of a transaction that still goes on. None: no transaction does.
pub fn running(host: &Host) -> Result<Option<u32>> {
    for name in scopes(host)? {
        if let Some(Some(process)) = process(host, &name)? {
            return Ok(Some(process));
        }
    }
    Ok(None)
}

/// Ends the scopes whose processes are gone: systemd of before 250 may miss that the last one ended.
pub fn end_empty(host: &Host) -> Result<()> {
    for name in scopes(host)? {
        // One without a group is about to begin, or to end.
        if process(host, &name)? == Some(None) {
            // One that is gone by now is what is wanted.
            let _ = Command::new("systemctl").args(["stop", "--quiet", &name]).run(host)?;
        }
    }
    Ok(())
}

fn scopes(host: &Host) -> Result<Vec<String>> {
    let names = host.list(FOLDER)?.unwrap_or_default();
    let names = names.into_iter().map(|name| name.to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with("ddinstall-") && name.ends_with(".scope")).collect())
}

/// The first process of a scope. None: the scope has no control group.
fn process(host: &Host, scope: &str) -> Result<Option<Option<u32>>> {
    for group in GROUPS {
        if let Some(text) = host.read_text(format!("{group}/{scope}/cgroup.procs"))? {
            return Ok(Some(text.lines().find_map(|line| line.trim().parse().ok())));
        }
    }
    Ok(None)
}
