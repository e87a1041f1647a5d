//! What is supported where: releases, architectures and kernels, with their sources. One table.

use crate::error::{Error, Kind, Result};
use crate::facts::{Distribution, Facts};
use crate::host::system::Lockdown;
use crate::types::Version;

/// What a request needs of the host.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    pub fips: bool,
    pub cws: bool,
}

/// A distribution and the first release that serves each purpose.
struct Row {
    id: &'static str,
    agent: (u32, u32),
    /// Datadog FIPS compliance page: Debian ≥ 8, Ubuntu ≥ 14.04.
    fips: (u32, u32),
    /// Workload Protection, supported Linux distributions: Debian ≥ 10, Ubuntu ≥ 18.04.
    cws: (u32, u32),
}

const TABLE: [Row; 4] = [
    Row { id: "debian", agent: (8, 0), fips: (8, 0), cws: (10, 0) },
    Row { id: "rhel", agent: (6, 0), fips: (7, 0), cws: (7, 6) },
    Row { id: "sles", agent: (12, 0), fips: (12, 0), cws: (12, 0) },
    Row { id: "ubuntu", agent: (14, 4), fips: (14, 4), cws: (18, 4) },
];

/// The first kernel that CWS runs on (Workload Protection, supported Linux distributions).
const FIRST_CWS_KERNEL: (u32, u32) = (4, 14);

/// The first Agent with CWS that the vendor still supports is 7.46; the first with it at all is 7.27.
pub const FIRST_CWS_AGENT: Version = Version::new(7, 27, 0);

/// From this Agent on all products go through the FIPS proxy (Datadog FIPS compliance page).
pub const ALL_PRODUCTS_AGENT: Version = Version::new(7, 45, 0);

/// Refuses (exit 3) what is not supported here; returns notes on what is in beta or unknown.
pub fn check(facts: &Facts, needs: Needs) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let d = &facts.distribution;
    let unsupported = |what: String, hint: &str| Err(Error::new(Kind::Unsupported, what).hint(hint));
    match facts.architecture.as_str() {
        "x86_64" => {}
        "aarch64" if needs.fips => notes.push("the FIPS proxy is in beta on aarch64".into()),
        "aarch64" => {}
        other => {
            return unsupported(format!("architecture {other} is not supported"), "use a host with x86_64 or aarch64");
        }
    }
    let Some(row) = TABLE.iter().find(|row| row.id == d.id) else {
        let hint =
            "ddinstall supports Debian and Ubuntu; on a derivative, install on a host of the distribution itself";
        return unsupported(format!("{} (ID={}) is not supported", d.name, d.id), hint);
    };
    let wanted =
        [("the Agent", row.agent, true), ("the FIPS proxy", row.fips, needs.fips), ("CWS", row.cws, needs.cws)];
    match release(d) {
        // Debian testing and unstable have no VERSION_ID: newer than every release.
        None => {
            notes.push(format!("{} has no release number; it is taken as newer than every supported release", d.name))
        }
        Some(found) => {
            for (what, first, asked) in wanted {
                if asked && found < first {
                    let first = if first.1 == 0 { first.0.to_string() } else { format!("{}.{:02}", first.0, first.1) };
                    let what = format!("{} is not supported by {what}: it needs {} {first} or later", d.name, d.id);
                    return unsupported(what, "upgrade the distribution, or leave that feature off");
                }
            }
        }
    }
    if needs.cws {
        if kernel(&facts.kernel).is_some_and(|found| found < FIRST_CWS_KERNEL) {
            let what = format!("CWS needs kernel 4.14 or later, and this host runs {}", facts.kernel);
            return unsupported(what, "boot a newer kernel, or run without DD_RUNTIME_SECURITY_CONFIG_ENABLED");
        }
        if facts.lockdown == Some(Lockdown::Confidentiality) {
            let what = "the kernel is locked down (confidentiality), which forbids the eBPF programs of CWS".into();
            return unsupported(
                what,
                "boot with lockdown=integrity or none, or run without DD_RUNTIME_SECURITY_CONFIG_ENABLED",
            );
        }
    }
    Ok(notes)
}

fn release(d: &Distribution) -> Option<(u32, u32)> {
    numbers(&d.version)
}

fn kernel(release: &str) -> Option<(u32, u32)> {
    numbers(release)
}

/// The two leading numbers of `6.1.0-18-amd64` or `22.04`; one number alone counts as `.0`.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|n| n.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Family, Init};

    fn facts(id: &str, version: &str) -> Facts {
        let distribution = Distribution {
            id: id.into(),
            version: version.into(),
            name: format!("{id} {version}"),
            family: Family::Debian,
        };
        Facts {
            distribution,
            architecture: "x86_64".into(),
            kernel: "6.1.0-18-amd64".into(),
            init: Init::Systemd,
            root: true,
            kernel_fips: None,
            lockdown: None,
        }
    }

    const ALL: Needs = Needs { fips: true, cws: true };

    #[test]
    fn releases_are_held_against_what_was_asked() {
        assert!(check(&facts("debian", "12"), ALL).is_ok());
        assert!(check(&facts("ubuntu", "18.04"), ALL).is_ok());
        assert!(check(&facts("ubuntu", "16.04"), ALL).is_err());
        assert!(check(&facts("ubuntu", "16.04"), Needs { fips: true, cws: false }).is_ok());
        let e = check(&facts("debian", "9"), ALL).unwrap_err();
        assert!(e.what.contains("CWS") && e.kind == Kind::Unsupported);
        assert!(check(&facts("alpine", "3.20"), ALL).is_err());
    }

    #[test]
    fn kernel_and_lockdown_are_checked_for_cws_only() {
        let old = Facts { kernel: "4.9.0-12".into(), ..facts("debian", "12") };
        assert!(check(&old, ALL).is_err());
        assert!(check(&old, Needs { fips: true, cws: false }).is_ok());
        let locked = Facts { lockdown: Some(Lockdown::Confidentiality), ..facts("debian", "12") };
        assert!(check(&locked, ALL).is_err());
    }

    #[test]
    fn other_architectures_are_refused() {
        assert!(check(&Facts { architecture: "armv7l".into(), ..facts("debian", "12") }, ALL).is_err());
        assert_eq!(check(&Facts { architecture: "aarch64".into(), ..facts("debian", "12") }, ALL).unwrap().len(), 1);
    }
}
