#![allow(clippy::unwrap_used)]

use super::*;
use crate::facts::{Init, parse};
use crate::types::Release;

fn distribution(id: &str, version: &str) -> Distribution {
    parse(format!("ID={id}\nVERSION_ID={version}\nPRETTY_NAME='{id} {version}'\n").as_bytes()).unwrap()
}

fn facts(id: &str, version: &str) -> Facts {
    Facts {
        profile: crate::types::Profile::Host,
        distribution: distribution(id, version),
        architecture: "x86_64".into(),
        kernel: "6.1.0-18-amd64".into(),
        init: Init::Systemd,
        root: true,
        kernel_fips: None,
        lockdown: None,
    }
}

const ALL: Needs = Needs { fips: true, cws: true, flavor: Flavor::Agent, pin: None };
const FIPS: Needs = Needs { cws: false, ..ALL };

#[test]
fn releases_are_held_against_what_was_asked() {
    assert!(check(&facts("debian", "12"), ALL).unwrap().is_empty());
    assert!(check(&facts("ubuntu", "18.04"), ALL).is_ok());
    assert!(check(&facts("ubuntu", "16.04"), ALL).is_err());
    assert!(check(&facts("ubuntu", "16.04"), FIPS).is_ok());
    let e = check(&facts("debian", "9"), ALL).unwrap_err();
    assert!(e.what.contains("CWS") && e.kind == Kind::Unsupported);
    assert!(check(&facts("alpine", "3.20"), ALL).is_err());
}

#[test]
fn kernel_and_lockdown_are_checked_for_cws_only() {
    let old = Facts { kernel: "4.9.0-12".into(), ..facts("debian", "12") };
    assert!(check(&old, ALL).is_err());
    assert!(check(&old, FIPS).is_ok());
    let locked = Facts { lockdown: Some(Lockdown::Confidentiality), ..facts("debian", "12") };
    assert!(check(&locked, ALL).is_err());
    assert!(check(&Facts { kernel: String::new(), ..facts("debian", "12") }, ALL).is_ok());
}

#[test]
fn other_architectures_are_refused() {
    assert!(check(&Facts { architecture: "armv7l".into(), ..facts("debian", "12") }, ALL).is_err());
    assert_eq!(check(&Facts { architecture: "aarch64".into(), ..facts("debian", "12") }, ALL).unwrap().len(), 1);
}

#[test]
fn red_hats_backported_kernel_counts() {
    let kernel = |kernel: &str| answers(&distribution("centos", "7"), "x86_64", kernel, None).cws.supported;
    assert_eq!(kernel("3.10.0-1160.el7.x86_64"), Supported::Yes);
    assert_eq!(kernel("3.10.0-862.el7.x86_64"), Supported::No);
    assert_eq!(kernel("5.4.17-2136.300.7.el7uek.x86_64"), Supported::Yes);
}

#[test]
fn a_capped_release_takes_no_newer_pin() {
    let range = agents(&distribution("centos", "6.10"), "x86_64");
    assert_eq!(range, Range { first: None, last: Some(51) });
    assert!(range.holds(&Version::new(7, 51, 1)) && !range.holds(&Version::new(7, 52, 0)));
    let pinned = |id: &str, version: &str, minor: &str| {
        let pin = Pin::agent(7, minor).unwrap();
        check(&facts(id, version), Needs { pin: Some(&pin), ..Needs::default() })
    };
    let e = pinned("centos", "6.10", "52").unwrap_err();
    assert!(e.kind == Kind::Unsupported && e.what.contains("up to 7.51"), "{e}");
    assert!(pinned("centos", "6.10", "51").is_ok() && pinned("centos", "7", "52").is_ok());
    assert!(pinned("rocky", "9.3", "32").unwrap_err().what.contains("from 7.33 on"));
}

#[test]
fn rows_of_one_distribution_do_not_overlap() {
    for (i, a) in TABLE.iter().enumerate() {
        assert!(a.from < a.before, "{} {:?}", a.name, a.from);
        for b in &TABLE[i + 1..] {
            let same = a.ids.iter().any(|id| b.ids.contains(id));
            assert!(!same || a.before <= b.from || b.before <= a.from, "{} {:?} {:?}", a.name, a.from, b.from);
        }
        assert!(a.ids.iter().all(|id| parents::known(id) == Some(id)), "{:?} is detected under another name", a.ids);
    }
}

#[test]
fn what_is_assumed_decides() {
    let alpine = distribution("alpine", "3.20").taken_for(&Release::new("debian", "12")).unwrap();
    assert_eq!(answers(&alpine, "x86_64", "6.1.0", None).agent.supported, Supported::Yes);
}
