//! The proxy: its 16 ports, who owns them and on which address, what it answers, what its journal says.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::config::templates::shell;
use crate::current::Current;
use crate::desired::{AGENT_UNIT, FIRST_PORT, PORTS, PROXY_CFG, PROXY_CFG_EXAMPLE, PROXY_UNIT};
use crate::facts::Init;
use crate::host::sockets::{Knock, Listener, Probe, http_get, knock, ranges};
use crate::host::units;
use crate::types::Profile;

use super::{Cause, Check, Look, Mend, Reach, Status, files, firewall, statistics};

/// Metrics, and the validation of API keys, enter the proxy here (`setupFipsEndpoints`, offset 1).
const METRICS_PORT: u16 = 9804;
const PATH: &str = "/api/v1/validate";

/// What goes through each port, in their order (`setupFipsEndpoints` in the Agent's configuration code).
const PRODUCTS: [&str; 16] = [
    "statistics page",
    "metrics",
    "traces",
    "profiles",
    "processes",
    "logs",
    "database monitoring: metrics",
    "database monitoring: samples",
    "network devices: metadata",
    "network devices: SNMP traps",
    "instrumentation telemetry",
    "application security",
    "orchestrator explorer",
    "runtime security (CWS)",
    "compliance (CSPM)",
    "NetFlow",
];

/// One port of the proxy, and who listens on it. A port that several hold has a row for each.
#[derive(Debug, Clone, Serialize)]
pub struct Port {
    pub port: u16,
    pub product: &'static str,
    /// `pass` where it is the proxy's own.
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// All ports of the proxy, as they are.
pub(super) fn table(current: &Current) -> Vec<Port> {
    let row = |port: u16, listener: Option<&Listener>| {
        let owner = listener.and_then(|listener| listener.owner.as_ref());
        let status = match (listener, owner) {
            (None, _) => Status::Fail,
            (_, None) => Status::Unknown,
            (_, Some(owner)) if owner.unit.as_deref() == Some(PROXY_UNIT) => Status::Pass,
            _ => Status::Fail,
        };
        Port {
            port,
            product: product(port),
            status,
            address: listener.map(|listener| listener.address.to_string()),
            process: owner.map(|owner| owner.name.clone()),
            pid: owner.map(|owner| owner.pid),
            unit: owner.and_then(|owner| owner.unit.clone()),
        }
    };
    let rows = |port| {
        let held: Vec<&Listener> = current.listeners.iter().filter(|l| l.port == port).collect();
        match held.is_empty() {
            true => vec![row(port, None)],
            false => held.into_iter().map(|listener| row(port, Some(listener))).collect(),
        }
    };
    PORTS.flat_map(rows).collect()
}

fn product(port: u16) -> &'static str {
    PRODUCTS.get(usize::from(port.wrapping_sub(FIRST_PORT))).copied().unwrap_or_default()
}

pub(super) fn checks(look: &Look) -> Vec<Check> {
    let Look { desired, current, .. } = *look;
    let runs = current.units.get(PROXY_UNIT).is_some_and(|state| state.is_running());
    let check = Check::of("proxy.ports", "ports 9803 to 9818");
    if !desired.start && !runs {
        return vec![check.skipped(desired.rests())];
    }
    let ports = ports(look);
    let own = ports.status == Status::Pass;
    let mut checks = vec![ports, addresses(look)];
    checks.extend(loaded(look));
    checks.push(localhost(look));
    let reach = reach(look);
    let reached = reach.status != Status::Fail;
    checks.push(reach);
    if look.choice.takes("proxy.intake") {
        checks.push(answers(look, own));
    }
    if look.reach != Reach::Local && own && reached {
        checks.extend(statistics::checks(look));
    }
    checks
}

/// Who starts the proxy anew.
fn restart(look: &Look) -> String {
    match look.facts.profile {
        Profile::Container => "the container's first process must start it, and end where it ends".to_owned(),
        _ => look.restart(PROXY_UNIT),
    }
}

/// A container's proxy is its first process' to start.
fn mended(look: &Look, mend: Mend) -> Mend {
    if look.facts.profile == Profile::Container { Mend::Hand } else { mend }
}

fn ports(look: &Look) -> Check {
    let (current, root) = (look.current, look.facts.root);
    let expected = format!("ports {} to {}, all held by {PROXY_UNIT}", PORTS.start(), PORTS.end());
    let check = Check::of("proxy.ports", expected);
    let (mut wrong, mut closed, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    let mut unseen = false;
    for port in PORTS {
        let listeners: Vec<_> = current.listeners.iter().filter(|l| l.port == port).collect();
        if listeners.is_empty() {
            closed.push(port);
        }
        for listener in listeners {
            match &listener.owner {
                Some(owner) if owner.unit.as_deref() == Some(PROXY_UNIT) => {}
                Some(owner) => {
                    wrong.push(format!(
                        "{port} is held by {} (process {}), which is for {}",
                        owner.name,
                        owner.pid,
                        product(port)
                    ));
                    let stop = match owner.unit.as_deref().filter(|unit| !unit.starts_with("user@")) {
                        Some(unit) => format!("systemctl stop {}", shell(unit)),
                        None => format!("kill {}", owner.pid),
                    };
                    if !stops.contains(&stop) {
                        stops.push(stop);
                    }
                }
                None => unseen = true,
            }
        }
    }
    let restart = restart(look);
    if !closed.is_empty() {
        wrong.push(format!("nobody listens on {}", ranges(&closed)));
    }
    if !stops.is_empty() {
        let mend = mended(look, Mend::Command(format!("{} && ddinstall install", stops.join(" && "))));
        return check
            .fails(wrong.join("; "), format!("stop what holds the port, then: {restart}"))
            .because(Cause::PortTaken, mend);
    }
    if !closed.is_empty() {
        let check = check.fails(wrong.join("; "), format!("`ddinstall install`, or: {restart}"));
        let state = current.units.get(PROXY_UNIT);
        // A proxy that was just stopped says nothing of its configuration.
        let tried = state.is_some_and(|state| state.is_running() || state.is_failed() || state.n_restarts > 0);
        return match tried && is_changed(current) {
            true => check.because(Cause::ProxyConfigChanged, Mend::Command(files::RESET.into())),
            false => check.because(Cause::ServiceDown, mended(look, Mend::Fix)),
        };
    }
    if unseen && !root {
        return check.unknown("all ports are listened on; by whom, only root may see");
    }
    if unseen {
        return check
            .fails("a port is held by a process that is in no unit", &restart)
            .because(Cause::PortTaken, Mend::Command(restart));
    }
    check.passes(format!("all {} of them", PORTS.count()))
}

/// Whether the proxy's configuration is another one than the vendor's example.
fn is_changed(current: &Current) -> bool {
    let bytes = |path| current.file(path).stored().map(|stored| &stored.bytes);
    bytes(PROXY_CFG).is_some() && bytes(PROXY_CFG) != bytes(PROXY_CFG_EXAMPLE)
}

fn addresses(look: &Look) -> Check {
    let check = Check::of("proxy.address", "loopback addresses");
    if look.current.listeners.is_empty() {
        return check.skipped("nobody listens");
    }
    let open: Vec<String> = look
        .current
        .listeners
        .iter()
        .filter(|l| !l.address.is_loopback())
        .map(|l| format!("{}:{}", l.address, l.port))
        .collect();
    let listeners = &look.current.listeners;
    let away = listeners.iter().find(|l| !listeners.iter().any(|other| other.port == l.port && serves(other.address)));
    if let Some(Listener { address, port, .. }) = away {
        return check
            .fails(
                format!("{address}:{port} alone, and the Agent asks 127.0.0.1"),
                "set DD_FIPS_LOCAL_ADDRESS=127.0.0.1 where the proxy is told of another address",
            )
            .because(Cause::PortRange, close(look));
    }
    match open.as_slice() {
        [] => check.passes("loopback only"),
        [first, ..] => check
            .warns(
                format!("{first} and {} more", open.len() - 1),
                "it relays plain HTTP: close these ports in the firewall, or set DD_FIPS_LOCAL_ADDRESS where the vendor's configuration uses it",
            )
            .because(Cause::OpenProxy, close(look)),
    }
}

/// How the proxy is bound to the loopback again, without a change of the vendor's file.
fn close(look: &Look) -> Mend {
    const NAME: &str = "DD_FIPS_LOCAL_ADDRESS";
    let text = |path: &str| look.host.read_text(path).ok().flatten().unwrap_or_default();
    if !text(PROXY_CFG).contains(NAME) {
        return Mend::Hand;
    }
    let restart = format!("systemctl daemon-reload && systemctl restart {PROXY_UNIT}");
    let state = look.current.units.get(PROXY_UNIT);
    let files = state.into_iter().flat_map(|state| state.environment_files.iter().chain(&state.drop_ins));
    match files.map(String::as_str).find(|path| text(path).contains(NAME)) {
        Some(path) => Mend::Command(format!("sed -i '/{NAME}=/d' {} && {restart}", shell(path))),
        None => {
            let folder = format!("/etc/systemd/system/{PROXY_UNIT}.d");
            Mend::Command(format!(
                "mkdir -p {folder} && printf '[Service]\\nEnvironment={NAME}=127.0.0.1\\n' > {folder}/loopback.conf && {restart}"
            ))
        }
    }
}

/// Whether the proxy was started after its configuration was last written.
fn loaded(look: &Look) -> Option<Check> {
    look.current.file(PROXY_CFG).stored()?;
    let check = Check::of("proxy.loaded", format!("started after {PROXY_CFG} was written"));
    Some(match look.current.written_since(PROXY_UNIT, &[PROXY_CFG])?.is_empty() {
        true => check.passes("it was"),
        false => check
            .warns("the file was written later", look.restart(PROXY_UNIT))
            .because(Cause::NotRestarted, Mend::Command(look.restart(PROXY_UNIT))),
    })
}

/// The Agent asks for the proxy by this name.
fn localhost(look: &Look) -> Check {
    let check = Check::of("proxy.localhost", "127.0.0.1");
    let text = match look.host.read_text("/etc/hosts") {
        Ok(text) => text.unwrap_or_default(),
        Err(failure) => return check.unknown(failure.to_string()),
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let named: Vec<&str> = lines
        .filter(|line| line.split_whitespace().skip(1).any(|name| name == "localhost"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let is = |address: &&str| **address == Ipv4Addr::LOCALHOST.to_string();
    match named.as_slice() {
        [] => check.warns("/etc/hosts does not name it", "add the line `127.0.0.1 localhost` to /etc/hosts"),
        all if all.iter().any(is) => check.passes("127.0.0.1"),
        all => check
            .fails(format!("{} (/etc/hosts)", all.join(", ")), "the proxy listens on 127.0.0.1: let /etc/hosts say so")
            .because(
                Cause::LocalhostName,
                Mend::Command(format!("sed -i '1i 127.0.0.1 localhost' /etc/hosts && {}", look.restart(AGENT_UNIT))),
            ),
    }
}

/// Whether the Agent finds the proxy there.
fn serves(address: IpAddr) -> bool {
    address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::LOCALHOST)
}

/// Whether the ports that are listened on can be reached: a local firewall stands between otherwise.
fn reach(look: &Look) -> Check {
    let check = Check::of("proxy.reach", "a connection to each port");
    let open: Vec<u16> =
        PORTS.filter(|port| look.current.listeners.iter().any(|l| l.port == *port && serves(l.address))).collect();
    if open.is_empty() {
        return check.skipped("nobody listens");
    }
    let outcomes: Vec<(u16, Knock)> = thread::scope(|scope| {
        let knocks: Vec<_> = open.iter().map(|port| (*port, scope.spawn(move || knock(*port)))).collect();
        knocks.into_iter().map(|(port, knock)| (port, knock.join().unwrap_or(Knock::Silent))).collect()
    });
    let failed: Vec<(u16, &str)> = outcomes
        .iter()
        .filter_map(|(port, outcome)| match outcome {
            Knock::Open => None,
            Knock::Refused => Some((*port, "is refused or reset")),
            Knock::Silent => Some((*port, "gets no answer")),
        })
        .collect();
    match failed.as_slice() {
        [] => check.passes(format!("all {} take connections", open.len())),
        [(_, how), ..] => {
            let ports: Vec<u16> = failed.iter().map(|(port, _)| *port).collect();
            let seen = format!("the proxy listens on {}, and a connection to it {how}", ranges(&ports));
            check
                .fails(seen, "let the local firewall allow TCP 9803 to 9818 on the loopback")
                .because(Cause::LocalFirewall, firewall::open_loopback(look.host))
        }
    }
}

/// Reads the unit's current invocation; of each backend the last word counts.
pub(super) fn journal(look: &Look) -> Option<Check> {
    let Look { host, desired, current, .. } = *look;
    let state = current.units.get(PROXY_UNIT).filter(|state| desired.asked.proxy_on() && state.is_running())?;
    let check = Check::of("proxy.journal", "no `bind socket`, no backend without a server");
    if desired.init != Init::Systemd {
        return Some(check.skipped("there is no journal here; the proxy writes to the system's log"));
    }
    Some(match units::journal(host, PROXY_UNIT, 2000, Some(state)) {
        Err(error) => check.unknown(error.to_string()),
        // systemd itself has a line for each start: an empty journal is one that we may not read, or that is gone.
        Ok(lines) if lines.is_empty() && !look.facts.root => check.unknown("no line of it can be read"),
        Ok(lines) if lines.is_empty() => check.skipped("the journal holds nothing of this start"),
        Ok(lines) => match complaints(&lines) {
            complaints if complaints.is_empty() => check.passes(format!("{} lines read", lines.len())),
            complaints => {
                let (cause, mend) = statistics::cause_of(host, look.facts.init, &lines.join("\n"));
                check
                    .fails(
                        complaints.join("; "),
                        "free the port, or let the proxy reach the intake on port 443 (https://ip-ranges.ddog-gov.com/ lists its addresses)",
                    )
                    .because(cause, mend)
            }
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

fn answers(look: &Look, own: bool) -> Check {
    let check = Check::of("proxy.intake", format!("an answer of the intake to http://localhost:{METRICS_PORT}{PATH}"));
    if look.reach == Reach::Local {
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
            Probe::TimedOut | Probe::Refused => break,
            _ => thread::sleep(Duration::from_millis(500)),
        }
        answer = http_get(METRICS_PORT, PATH);
    }
    let restart = restart(look);
    match answer {
        Probe::Answer { status: 503, .. } => check
            .fails("HTTP 503: the proxy answers, and has no connection to the intake", reachable)
            .because(Cause::IntakeRefused, Mend::Hand),
        Probe::Answer { status: status @ (502 | 504), .. } => check
            .fails(format!("HTTP {status}: the intake takes the proxy's connection and does not answer it"), reachable)
            .because(Cause::IntakeBroken, Mend::Hand),
        Probe::Answer { status, .. } => check.passes(format!("HTTP {status}")),
        Probe::Empty => check
            .fails("an empty answer: the proxy closed the connection", reachable)
            .because(Cause::IntakeBroken, Mend::Hand),
        Probe::TimedOut => check
            .fails("no answer within 5 s", reachable)
            .because(Cause::IntakeBlocked, firewall::open_intake(look.host)),
        Probe::Refused => {
            check.fails("nobody listens", &restart).because(Cause::LocalFirewall, firewall::open_loopback(look.host))
        }
        Probe::NotHttp(_) => check
            .fails("an answer that is not HTTP", &restart)
            .because(Cause::PortTaken, mended(look, Mend::Command(restart))),
        Probe::Failed(why) => {
            check.fails(why, restart).because(Cause::LocalFirewall, firewall::open_loopback(look.host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_its_product() {
        assert_eq!(PORTS.map(product).filter(|product| !product.is_empty()).count(), 16);
        assert_eq!((product(9804), product(9816), product(9803 + 16)), ("metrics", "runtime security (CWS)", ""));
    }

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
