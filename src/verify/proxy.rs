//! The proxy: its 16 ports, who owns them and on which address, what it answers, what its journal says.

use std::time::Duration;

use crate::current::Current;
use crate::desired::{Desired, PORTS, PROXY_UNIT};
use crate::facts::{Facts, Init};
use crate::host::sockets::{Probe, http_get, ranges};
use crate::host::{Host, units};
use crate::types::Profile;

use super::{Check, Reach};

/// Metrics, and the validation of API keys, enter the proxy here (`setupFipsEndpoints`, offset 1).
const METRICS_PORT: u16 = 9804;
const PATH: &str = "/api/v1/validate";

pub(super) fn checks(facts: &Facts, desired: &Desired, current: &Current, reach: Reach) -> Vec<Check> {
    let runs = current.units.get(PROXY_UNIT).is_some_and(|state| state.is_running());
    if !desired.start && !runs {
        let check = Check::new("proxy.ports", "the proxy listens", "ports 9803 to 9818");
        return vec![check.skipped(desired.rests())];
    }
    let restart = match facts.profile {
        Profile::Container => "the container's first process must start it, and end where it ends".to_owned(),
        _ => format!("systemctl restart {PROXY_UNIT}"),
    };
    let ports = ports(current, facts.root, &restart);
    let own = ports.status == super::Status::Pass;
    vec![ports, addresses(current), answers(reach, own, &restart)]
}

fn ports(current: &Current, root: bool, restart: &str) -> Check {
    let expected = format!("ports {} to {}, all held by {PROXY_UNIT}", PORTS.start(), PORTS.end());
    let check = Check::new("proxy.ports", "the proxy listens on its ports", expected);
    let (mut wrong, mut closed) = (Vec::new(), Vec::new());
    let mut unseen = false;
    for port in PORTS {
        let listeners: Vec<_> = current.listeners.iter().filter(|l| l.port == port).collect();
        if listeners.is_empty() {
            closed.push(port);
        }
        for listener in listeners {
            match &listener.owner {
                Some(owner) if owner.unit.as_deref() == Some(PROXY_UNIT) => {}
                Some(owner) => wrong.push(format!("{port} is held by {} (process {})", owner.name, owner.pid)),
                None => unseen = true,
            }
        }
    }
    let strangers = !wrong.is_empty();
    if !closed.is_empty() {
        wrong.push(format!("nobody listens on {}", ranges(&closed)));
    }
    if strangers {
        return check.fails(wrong.join("; "), format!("stop what holds the port, then: {restart}"));
    }
    if !closed.is_empty() {
        return check.fails(wrong.join("; "), format!("`ddinstall install`, or: {restart}"));
    }
    if unseen && !root {
        return check.unknown("all ports are listened on; by whom, only root may see");
    }
    if unseen {
        return check.fails("a port is held by a process that is in no unit", restart);
    }
    check.passes(format!("all {} of them", PORTS.count()))
}

fn addresses(current: &Current) -> Check {
    let check = Check::new("proxy.address", "only this host reaches the proxy", "loopback addresses");
    let open: Vec<String> = current
        .listeners
        .iter()
        .filter(|l| !l.address.is_loopback())
        .map(|l| format!("{}:{}", l.address, l.port))
        .collect();
    match open.as_slice() {
        [] => check.passes("loopback only"),
        [first, ..] => check.warns(
            format!("{first} and {} more", open.len() - 1),
            "it relays plain HTTP: close these ports in the firewall, or set DD_FIPS_LOCAL_ADDRESS where the vendor's configuration uses it",
        ),
    }
}

/// Reads the unit's current invocation; of each backend the last word counts.
pub(super) fn journal(host: &Host, desired: &Desired, current: &Current) -> Option<Check> {
    let state = current.units.get(PROXY_UNIT).filter(|state| desired.asked.proxy_on() && state.is_running())?;
    let title = "the proxy's log tells of no failure";
    let check = Check::new("proxy.journal", title, "no `bind socket`, no backend without a server");
    if desired.init != Init::Systemd {
        return Some(check.skipped("there is no journal here; the proxy writes to the system's log"));
    }
    Some(match units::journal(host, PROXY_UNIT, 2000, Some(&state.invocation_id)) {
        Err(error) => check.unknown(error.to_string()),
        Ok(lines) => match complaints(&lines) {
            complaints if complaints.is_empty() => check.passes(format!("{} lines read", lines.len())),
            complaints => check.fails(
                complaints.join("; "),
                "free the port, or let the proxy reach the intake on port 443 (https://ip-ranges.ddog-gov.com/ lists its addresses)",
            ),
        },
    })
}

/// The failures that still hold at the end of a log.
fn complaints(lines: &[String]) -> Vec<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.contains("bind socket") {
            found.retain(|(subject, _)| subject != "bind");
            found.push(("bind".into(), line.trim().to_owned()));
        } else if let Some((_, rest)) =
            line.split_once("backend '").filter(|_| line.contains("has no server available"))
        {
            let backend = rest.split('\'').next().unwrap_or(rest).to_owned();
            found.retain(|(subject, _)| *subject != backend);
            found.push((backend, line.trim().to_owned()));
        } else if let Some((_, rest)) = line.split_once("Server ").filter(|_| line.contains(" is UP")) {
            let backend = rest.split('/').next().unwrap_or(rest);
            found.retain(|(subject, _)| subject != backend);
        }
    }
    found.into_iter().map(|(_, line)| line).collect()
}

fn answers(reach: Reach, own: bool, restart: &str) -> Check {
    let check = Check::new(
        "proxy.intake",
        "a request goes through the proxy to the intake",
        format!("an answer of the intake to http://localhost:{METRICS_PORT}{PATH}"),
    );
    if reach == Reach::Local {
        return check.skipped("nothing has changed; `ddinstall verify` asks the intake");
    }
    if !own {
        return check.skipped("the ports are not the proxy's own");
    }
    let reachable = "let the proxy reach the intake of ddog-gov.com on port 443, then run `ddinstall verify`";
    // A proxy that has just started may not have resolved its backends yet.
    let mut answer = http_get(METRICS_PORT, PATH);
    for _ in 0..4 {
        match &answer {
            Probe::Answer { status, .. } if ![502, 503, 504].contains(status) => break,
            _ => std::thread::sleep(Duration::from_millis(500)),
        }
        answer = http_get(METRICS_PORT, PATH);
    }
    match answer {
        Probe::Answer { status: status @ 502..=504, .. } => {
            check.fails(format!("HTTP {status}: the proxy answers, and cannot reach the intake"), reachable)
        }
        Probe::Answer { status, .. } => check.passes(format!("HTTP {status}")),
        Probe::Empty => check.fails("an empty answer: the proxy closed the connection", reachable),
        Probe::TimedOut => check.fails("no answer within 2 s", reachable),
        Probe::Refused => check.fails("nobody listens", restart),
        Probe::NotHttp(_) => check.fails("an answer that is not HTTP", restart),
        Probe::Failed(why) => check.fails(why, restart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_backend_counts() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let down = "[ALERT] (9) : backend 'datadog-api' has no server available!";
        let up = "[WARNING] (9) : Server datadog-api/mothership1 is UP, reason: Layer4 check passed";
        assert_eq!(complaints(&lines(down)).len(), 1);
        assert_eq!(complaints(&lines(&format!("{down}\n{up}"))).len(), 0);
        assert_eq!(complaints(&lines(&format!("{up}\n{down}"))).len(), 1);
        assert_eq!(complaints(&lines("cannot bind socket (Address already in use) [0.0.0.0:9804]")).len(), 1);
    }
}
