//! Units held back while packages are installed: a drop-in under /run with a condition on a file that is
//! there only while we hold. The packages' own `systemctl start` then does nothing and says 0. A unit that runs goes on
//! running, unless a scriptlet restarts it: then it stays down until the release and a start.

use std::path::{Path, PathBuf};

use super::files::Attributes;
use super::{Host, units};
use crate::error::Result;

const FLAG: &str = "/run/ddinstall/hold";
const FOLDER: &str = "/run/systemd/system";
const DROP_IN: &str = "00-ddinstall-hold.conf";
const TEXT: &str = "# Written by ddinstall while packages are installed; gone when it is done, and after a reboot.\n[Unit]\nConditionPathExists=!/run/ddinstall/hold\n";

/// Units that do not start. Released by [`Hold::release`] or, errors untold, when dropped.
#[derive(Debug)]
#[must_use = "the hold ends when this is dropped"]
pub struct Hold {
    host: Host,
    drop_ins: Vec<PathBuf>,
}

impl Hold {
    /// Holds these units (names with their suffix), known to systemd or not yet. Without systemd as PID 1 nothing is
    /// held, for nothing can be started.
    pub fn engage(host: &Host, held: &[&str]) -> Result<Hold> {
        let drop_ins = held.iter().map(|unit| Path::new(FOLDER).join(format!("{unit}.d")).join(DROP_IN)).collect();
        let hold = Hold { host: host.clone(), drop_ins };
        if units::systemd_is_pid1(host) {
            hold.write()?;
            units::daemon_reload(host)?;
        }
        Ok(hold)
    }

    fn write(&self) -> Result<()> {
        let me = |mode| Attributes { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw(), mode };
        self.host.make_dirs("/run/ddinstall", &me(0o755))?;
        self.host.write(FLAG, b"", &me(0o644))?;
        for path in &self.drop_ins {
            if let Some(folder) = path.parent() {
                self.host.make_dirs(folder, &me(0o755))?;
            }
            self.host.write(path, TEXT.as_bytes(), &me(0o644))?;
        }
        Ok(())
    }

    /// A hold that a killed run left behind; release it.
    pub fn stale(host: &Host) -> Result<Option<Hold>> {
        let mut drop_ins = Vec::new();
        for name in host.list(FOLDER)?.unwrap_or_default() {
            let path = Path::new(FOLDER).join(&name).join(DROP_IN);
            if name.to_string_lossy().ends_with(".d") && host.meta(&path)?.is_some() {
                drop_ins.push(path);
            }
        }
        let flag = host.meta(FLAG)?.is_some();
        Ok((flag || !drop_ins.is_empty()).then(|| Hold { host: host.clone(), drop_ins }))
    }

    /// Lets the units start again. It starts none of them.
    pub fn release(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let mut removed = self.host.remove_file(FLAG)?;
        for path in self.drop_ins.drain(..) {
            removed |= self.host.remove_file(&path)?;
            if let Some(folder) = path.parent() {
                self.host.remove_dir(folder)?;
            }
        }
        self.host.remove_dir("/run/ddinstall")?;
        if removed && units::systemd_is_pid1(&self.host) {
            units::daemon_reload(&self.host)?;
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The next run finds what is left (`stale`), and so does a reboot.
        if !self.drop_ins.is_empty() {
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_of_a_killed_run_is_found_and_released() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert!(Hold::stale(&host).unwrap().is_none());
        let hold = Hold::engage(&host, &["datadog-agent.service", "a.service"]).unwrap();
        hold.write().unwrap();
        std::mem::forget(hold);
        let stale = Hold::stale(&host).unwrap().unwrap();
        let held = ["a.service", "datadog-agent.service"].map(|unit| Path::new(FOLDER).join(format!("{unit}.d")));
        assert_eq!(stale.drop_ins.iter().filter_map(|path| path.parent()).collect::<Vec<_>>(), held);
        stale.release().unwrap();
        assert!(Hold::stale(&host).unwrap().is_none());
        assert_eq!(host.list("/run/systemd/system").unwrap().unwrap().len(), 0);
    }
}
