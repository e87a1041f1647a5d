use super::*;
use crate::verify::{HostName, Tool};

fn check(id: &str, status: Status, cause: Option<Cause>, mend: Option<Mend>) -> Check {
    Check {
        id: id.into(),
        title: id.into(),
        status,
        seen: "x".into(),
        expected: "y".into(),
        hint: None,
        cause,
        mend,
        source: "",
        controls: &[],
    }
}

fn verification(checks: Vec<Check>) -> Verification {
    let host = HostName {
        name: "h".into(),
        distribution: "d".into(),
        kernel: "k".into(),
        architecture: "a".into(),
        machine: None,
    };
    Verification {
        chosen: None,
        at: String::new(),
        tool: Tool { name: "ddinstall", version: "0" },
        host,
        status: Status::Fail,
        checks,
        ports: Vec::new(),
        files: Vec::new(),
        not_covered: Vec::new(),
    }
}

#[test]
fn a_taken_port_explains_a_dead_proxy_and_not_a_wrong_mode() {
    let command = Mend::Command("kill 5".into());
    let troubles = diagnose(&verification(vec![
        check("mode.datadog.yaml", Status::Fail, Some(Cause::FileRights), Some(Mend::Fix)),
        check("unit.datadog-fips-proxy", Status::Fail, Some(Cause::ServiceFailed), Some(Mend::Fix)),
        check("proxy.ports", Status::Fail, Some(Cause::PortTaken), Some(command)),
        check("agent.delivery", Status::Fail, Some(Cause::CannotSend), Some(Mend::Hand)),
        check("kernel.fips", Status::Warn, Some(Cause::Kernel), None),
        check("cws.btf", Status::Warn, None, None),
        check("proxy.config", Status::Pass, None, None),
    ]));
    let causes: Vec<Cause> = troubles.iter().map(|trouble| trouble.cause).collect();
    assert_eq!(causes, [Cause::FileRights, Cause::PortTaken, Cause::Kernel]);
    assert_eq!(troubles[1].mend.command.as_deref(), Some("kill 5"));
}

#[test]
fn what_one_cause_says_twice_is_one_trouble() {
    let stop = |unit: &str| Some(Mend::Command(format!("systemctl unmask {unit}")));
    let troubles = diagnose(&verification(vec![
        check("unit.a", Status::Fail, Some(Cause::UnitMasked), stop("a")),
        check("unit.b", Status::Fail, Some(Cause::UnitMasked), stop("b")),
    ]));
    assert_eq!(troubles.len(), 1);
    assert_eq!(troubles[0].mend.command.as_deref(), Some("systemctl unmask a && systemctl unmask b"));
}

#[test]
fn a_healthy_host_has_no_trouble() {
    assert!(diagnose(&verification(vec![check("proxy.ports", Status::Pass, None, None)])).is_empty());
}
