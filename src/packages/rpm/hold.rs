//! Packages held at their version: dnf's and yum's plugin versionlock, and zypper's locks.

use super::{QUICK, dnf, with_lock, zypper};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::packages::{Manager, Session};

/// Where the plugin keeps its list: dnf's, and that of the yum of before it.
const LISTS: [&str; 2] = ["/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list"];
const LOCKS: &str = "/etc/zypp/locks";

/// Whether a package is held at this version.
pub(super) fn is_held(host: &Host, name: &str, version: &str) -> Result<bool> {
    for list in LISTS {
        let text = host.read_text(list)?.unwrap_or_default();
        if text.lines().any(|line| locks(line, name, version)) {
            return Ok(true);
        }
    }
    Ok(zypper_locks(&host.read_text(LOCKS)?.unwrap_or_default(), name))
}

/// `datadog-agent-1:7.58.2-1.*` as dnf writes it, `1:datadog-agent-7.58.2-1.*` as yum does. `!` excludes a version. A lock
/// on a version that is not the installed one holds nothing.
fn locks(line: &str, name: &str, version: &str) -> bool {
    let (_, plain) = version.split_once(':').unwrap_or(("", version));
    let (epoch, _) = version.split_once(':').unwrap_or(("0", version));
    let line = line.trim();
    let patterns = [format!("{name}-{version}"), format!("{name}-{epoch}:{plain}"), format!("{epoch}:{name}-{plain}")];
    line == name
        || patterns.iter().any(|p| line.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Blocks of `solvable_name: datadog-agent` and the like (locks(5) of zypper).
fn zypper_locks(text: &str, name: &str) -> bool {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("solvable_name:"));
    names.map(str::trim).any(|locked| match locked.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == locked,
    })
}

/// Whether dnf's plugin is there.
pub fn can_hold(session: Session) -> Result<()> {
    // Not in the host's own log: nothing is changed yet.
    let folder = session.host.temp_dir("/run", 0o700)?;
    let logs = format!("--setopt=logdir={}", folder.path().display());
    let output = dnf::versionlock(session).arg("list").arg(logs).deadline(QUICK).run(session.host)?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new(Kind::Prerequisite, "packages cannot be held: the plugin versionlock is not installed")
        .detail(output.explain())
        .hint("install python3-dnf-plugin-versionlock (yum-plugin-versionlock where there is no dnf), then run again"))
}

/// Holds packages at their version, or releases them.
pub fn hold(manager: Manager, session: Session, names: &[&str], hold: bool) -> Result<()> {
    let output = with_lock(session, || {
        let command = match (manager, hold) {
            (Manager::Zypper, true) => zypper::zypper(session).args(["addlock", "-t", "package"]),
            (Manager::Zypper, false) => zypper::zypper(session).args(["removelock", "-t", "package"]),
            (_, true) => dnf::versionlock(session).arg("add"),
            (_, false) => dnf::versionlock(session).arg("delete"),
        };
        command.args(names).deadline(QUICK).run(session.host)
    })?;
    session.events.log(output.explain());
    let found = super::installed(session.host, names)?;
    let wrong = names.iter().zip(found).find(|(_, found)| found.as_ref().is_some_and(|found| found.held != hold));
    match wrong {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(Kind::PackageManager, format!("{name} could not be held or released"))
            .detail(output.explain())
            .hint("see what is said above, mend it, then run again")),
    }
}

/// After a package on hold was moved: the lock moves along.
pub(super) fn follow(manager: Manager, session: Session, held: &[&str]) -> Result<()> {
    if manager != Manager::Dnf || held.is_empty() {
        return Ok(());
    }
    let output =
        with_lock(session, || dnf::versionlock(session).arg("delete").args(held).deadline(QUICK).run(session.host))?;
    session.events.log(output.explain());
    hold(manager, session, held, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_lock_is_read() {
        for line in
            ["datadog-agent-1:7.58.2-1.*", "1:datadog-agent-7.58.2-1.*", "datadog-agent", " datadog-agent-1:7.58.2-1"]
        {
            assert!(locks(line, "datadog-agent", "1:7.58.2-1"), "{line}");
        }
        for line in [
            "!datadog-agent-1:7.58.2-1.*",
            "# datadog-agent",
            "datadog-agent-1:7.58.20-1.*",
            "datadog-agent-1:7.44.1-1.*",
        ] {
            assert!(!locks(line, "datadog-agent", "1:7.58.2-1"), "{line}");
        }
        assert!(locks("datadog-fips-proxy-0:1.1.14-1.*", "datadog-fips-proxy", "1.1.14-1"));
        let text = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: datadog-agent\n";
        assert!(zypper_locks(text, "datadog-agent") && !zypper_locks(text, "datadog-fips-proxy"));
        assert!(zypper_locks("solvable_name: datadog-*", "datadog-fips-proxy"));
    }
}
