//! Packages held at their version: dnf's and yum's plugin versionlock, dnf5's own, and zypper's locks.

use std::path::Path;

use super::{QUICK, dnf, with_lock, zypper};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::packages::{Manager, Session};

/// Where the plugin keeps its list: dnf's, and that of the yum of before it.
const LISTS: [&str; 2] = ["/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list"];
/// dnf5's list, whose versionlock is no plugin (dnf5-versionlock(8)).
const TOML: &str = "/etc/dnf/versionlock.toml";
const LOCKS: &str = "/etc/zypp/locks";

/// Whether `dnf` is dnf5, which does not read the lists of the older ones.
pub(super) fn is_dnf5(host: &Host) -> bool {
    host.link_text("/usr/bin/dnf").is_some_and(|target| Path::new(&target).ends_with("dnf5"))
}

/// Whether a package is held at this version.
pub(super) fn is_held(host: &Host, name: &str, version: &str) -> Result<bool> {
    if is_dnf5(host) {
        return Ok(toml_locks(&host.read_text(TOML)?.unwrap_or_default(), name, version));
    }
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

/// Tables of `[[packages]]` with a name, each with tables of conditions that all must hold. What `versionlock add` writes
/// is one: `key = "evr"`, `comparator = "="`, `value = "1:7.58.2-1"`.
fn toml_locks(text: &str, name: &str, version: &str) -> bool {
    let version = if version.contains(':') { version.to_owned() } else { format!("0:{version}") };
    let (mut ours, mut key, mut comparator) = (false, "", "");
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            ours &= !line.starts_with("[[packages]]");
            (key, comparator) = ("", "");
        }
        let Some((word, rest)) = line.split_once('=') else { continue };
        let mut quoted = rest.trim().split(['"', '\'']).skip(1);
        let Some(value) = quoted.next() else { continue };
        match word.trim() {
            "name" => ours = value.strip_suffix('*').map_or(name == value, |start| name.starts_with(start)),
            "key" => key = value,
            "comparator" => comparator = value,
            "value" if ours && (key, comparator) == ("evr", "=") && value == version => return true,
            _ => {}
        }
    }
    false
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

/// Before packages on hold are moved by dnf5, whose lock no option leaves out: those that were released, which
/// [`follow`] holds again.
pub(super) fn release<'a>(session: Session, held: &[&'a str]) -> Result<Vec<&'a str>> {
    if held.is_empty() || !is_dnf5(session.host) {
        return Ok(Vec::new());
    }
    hold(Manager::Dnf, session, held, false)?;
    Ok(held.to_vec())
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
    fn the_list_of_dnf5_is_read() {
        let text = "version = \"1.0\"\n\n# kept\n[[packages]]\nname = \"datadog-fips-proxy\"\ncomment = \"a = b\"\n\
            [[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\nvalue = \"0:1.1.14-1\"\n\n\
            [[packages]]\nname = 'datadog-agent'\n[[packages.conditions]]\nkey = 'evr'\ncomparator = '!='\n\
            value = '1:7.58.2-1'\n[[packages]]\nname = \"datadog-dog*\"\n[[packages.conditions]]\nkey = \"evr\"\n\
            comparator = \"=\"\nvalue = \"1:7.58.2-1\" # here\n";
        assert!(toml_locks(text, "datadog-fips-proxy", "1.1.14-1"));
        assert!(toml_locks(text, "datadog-dogstatsd", "1:7.58.2-1"));
        assert!(!toml_locks(text, "datadog-fips-proxy", "1.1.15-1"));
        // Excluding a version holds nothing.
        assert!(!toml_locks(text, "datadog-agent", "1:7.58.2-1"));
        assert!(!toml_locks("", "datadog-agent", "1:7.58.2-1"));
    }

    #[test]
    fn each_dnf_has_its_own_list() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for below in ["usr/bin", "etc/dnf/plugins"] {
            std::fs::create_dir_all(at(below)).unwrap();
        }
        let host = Host::new(folder.path()).unwrap();
        let held = |name: &str| is_held(&host, name, "1:7.58.2-1").unwrap();
        std::fs::write(at("etc/dnf/plugins/versionlock.list"), "old-1:7.58.2-1.*\n").unwrap();
        let toml = "[[packages]]\nname = \"new\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\n\
            value = \"1:7.58.2-1\"\n";
        std::fs::write(at("etc/dnf/versionlock.toml"), toml).unwrap();
        std::os::unix::fs::symlink("dnf-3", at("usr/bin/dnf")).unwrap();
        assert_eq!((held("old"), held("new")), (true, false));
        std::fs::remove_file(at("usr/bin/dnf")).unwrap();
        std::os::unix::fs::symlink("dnf5", at("usr/bin/dnf")).unwrap();
        assert_eq!((held("old"), held("new")), (false, true));
    }

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
