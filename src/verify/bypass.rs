//! What would let data leave outside the FIPS proxy (Agent: `setupFipsEndpoints` and what it does not redirect).

use crate::config::value_at;
use crate::config::yaml::{Document, Edit, Value};
use crate::current::{Current, Seen};
use crate::desired::{AGENT_UNIT, Content, Desired, SATELLITES};
use crate::host::sockets::{self, Connection};
use crate::settings::File;

use super::{Cause, Check, Look, Mend, environment};

/// Lists of further endpoints: the Agent sends to them directly.
pub(super) const ENDPOINTS: [&str; 9] = [
    "additional_endpoints",
    "apm_config.additional_endpoints",
    "apm_config.profiling_additional_endpoints",
    "apm_config.telemetry.additional_endpoints",
    "process_config.additional_endpoints",
    "logs_config.additional_endpoints",
    "orchestrator_explorer.orchestrator_additional_endpoints",
    "database_monitoring.samples.additional_endpoints",
    "network_devices.metadata.additional_endpoints",
];

/// Products that send directly to the site once they are on.
pub(super) const PRODUCTS: [(File, &str); 9] = [
    (File::Datadog, "remote_configuration.enabled"),
    (File::Datadog, "sbom.enabled"),
    (File::Datadog, "container_image.enabled"),
    (File::Datadog, "network_path.connections_monitoring.enabled"),
    (File::Datadog, "agent_telemetry.enabled"),
    (File::Datadog, "otelcollector.enabled"),
    (File::Datadog, "private_action_runner.enabled"),
    (File::SystemProbe, "discovery.enabled"),
    (File::SystemProbe, "runtime_security_config.activity_dump.enabled"),
];

pub(super) fn checks(look: &Look) -> Vec<Check> {
    vec![environment::check(look), endpoints(look.current), products(look), connections(look)]
}

fn document(current: &Current, file: File) -> Option<&Document> {
    current.document(file.path())?.as_ref().ok()
}

fn endpoints(current: &Current) -> Check {
    let check = Check::of("bypass.endpoints", "no additional_endpoints");
    let Some(document) = document(current, File::Datadog) else {
        return unread(check, current, File::Datadog);
    };
    let is_set = |path: &&&str| {
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::Seq(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        };
        value_at(document, path).is_some_and(|value| !empty(value))
    };
    let found: Vec<&str> = ENDPOINTS.iter().filter(is_set).copied().collect();
    if found.is_empty() {
        return check.passes("none");
    }
    let emptied = found.iter().map(|path| {
        let list = value_at(document, path).is_some_and(|value| matches!(value, Value::Seq(_)));
        format!("'{path}={}'", if list { "[]" } else { "{}" })
    });
    let emptied = emptied.collect::<Vec<_>>().join(" ");
    let file = File::Datadog.path();
    check
        .fails(
            format!("{} in {file}", found.join(", ")),
            "remove them: the Agent sends to these endpoints itself, outside the proxy",
        )
        .because(
            Cause::FurtherEndpoints,
            Mend::Command(format!("ddinstall config set {file} {emptied} && systemctl restart {AGENT_UNIT}")),
        )
}

/// A file that cannot be read says nothing, which is no proof.
fn unread(check: Check, current: &Current, file: File) -> Check {
    match current.file(file.path()) {
        Seen::Denied(why) => check.unknown(why),
        Seen::Absent => check.unclear(format!("there is no {}", file.path()), "run `ddinstall install`"),
        Seen::Present(_) => check.unclear(format!("{} is no valid YAML", file.path()), "see the check of the file"),
    }
}

fn products(look: &Look) -> Check {
    let current = look.current;
    let check = Check::of(
        "bypass.products",
        "remote configuration, SBOM, container images, network path, telemetry, discovery and activity dumps off",
    );
    let mut found = Vec::new();
    for file in [File::Datadog, File::SystemProbe] {
        match document(current, file) {
            Some(document) => {
                let on = |(of, path): &&(File, &'static str)| {
                    *of == file && value_at(document, path) == Some(&Value::Bool(true))
                };
                found.extend(PRODUCTS.iter().filter(on).map(|(of, path)| (*of, *path)));
            }
            // Without CWS nobody need have a system-probe.yaml.
            None if file == File::SystemProbe && matches!(current.file(file.path()), Seen::Absent) => {}
            None => return unread(check, current, file),
        }
    }
    if found.is_empty() {
        return check.passes("none");
    }
    let seen: Vec<String> = found.iter().map(|(of, path)| format!("{path} in {}", of.path())).collect();
    let set = found.iter().map(|(of, path)| format!("ddinstall config set {} {path}=false && ", of.path()));
    // What is off by what was asked for is turned off by `install`; the rest the operator has turned on.
    let mend = match found.iter().all(|(of, path)| turns_off(look.desired, *of, path)) {
        true => Mend::Fix,
        false => Mend::Command(format!("{}systemctl restart {AGENT_UNIT}", set.collect::<String>())),
    };
    check
        .fails(seen.join(", "), "set it to false: its data goes to the site directly, outside the proxy")
        .because(Cause::UnrelayedProduct, mend)
}

fn turns_off(desired: &Desired, file: File, at: &str) -> bool {
    let Some(Content::Edits { wishes, .. }) = desired.file(file.path()).map(|wish| &wish.content) else { return false };
    wishes.iter().any(|wish| {
        let off = matches!(&wish.edit, Edit::Set { path, value: Value::Bool(false) } if path.to_string() == at);
        off && wish.yields.is_none()
    })
}

/// Connections that the processes of the Agent's units have made to other hosts. Its integrations make such ones, too:
/// the vendor's pages do not cover those, and to port 443 nothing but the proxy should go.
fn connections(look: &Look) -> Check {
    let check = Check::of("bypass.connections", "established connections to this host only");
    let running = |name: &&str| {
        look.current.units.get(*name).filter(|state| state.is_active() && !state.control_group.is_empty())
    };
    let groups = std::iter::once(&AGENT_UNIT).chain(&SATELLITES).filter_map(running);
    let pids: Vec<u32> = groups.flat_map(|state| sockets::processes_of_unit(look.host, &state.control_group)).collect();
    if pids.is_empty() {
        return check.skipped("no process of the Agent's units was found");
    }
    if !look.facts.root {
        return check.unknown("the sockets of other users' processes are root's to see");
    }
    let outgoing = match sockets::outgoing(look.host, &pids) {
        Ok(found) => found,
        Err(failure) => return check.unknown(failure.to_string()),
    };
    let away: Vec<&Connection> = outgoing.iter().filter(|c| !c.remote.ip().to_canonical().is_loopback()).collect();
    let shown =
        |c: &&&Connection| format!("{} (process {}, {})", c.remote, c.pid, sockets::process(look.host, c.pid).name);
    let direct: Vec<String> = away.iter().filter(|c| c.remote.port() == 443).map(|c| shown(&c)).collect();
    if let [first, rest @ ..] = direct.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        return check
            .fails(
                format!("{first}{more}"),
                "see what makes it: a product that the proxy does not relay, or an integration of yours, which the proxy does not cover",
            )
            .because(Cause::DirectConnection, Mend::Hand);
    }
    match away.as_slice() {
        [] => check.passes(format!("{} processes, {} connections, all to this host", pids.len(), outgoing.len())),
        [first, ..] => check.warns(
            format!("{} to other hosts, such as {}", away.len(), shown(&first)),
            "traffic of integrations is not covered by the FIPS proxy",
        ),
    }
}
