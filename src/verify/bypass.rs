//! What would let data leave outside the FIPS proxy (Agent: `setupFipsEndpoints` and what it does not redirect).

use crate::config::value_at;
use crate::config::yaml::{Document, Edit, Value};
use crate::current::{Current, Seen};
use crate::desired::{AGENT_UNIT, Content, Desired, SATELLITES};
use crate::host::Host;
use crate::host::sockets::{self, Connection};
use crate::host::units::UnitState;
use crate::settings::File;
use crate::settings::bypass::{Default, PRODUCTS, Product, names_endpoints};
use crate::types::Profile;

use super::{Cause, Check, Look, Mend, container, environment};

/// Where the Agent's checks are configured, a folder each.
const CHECKS: &str = "/etc/datadog-agent/conf.d";
/// Where container runtimes listen, as the Agent looks for them.
const RUNTIMES: [&str; 3] = ["/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock"];
const FILES: [File; 3] = [File::Datadog, File::SystemProbe, File::SecurityAgent];

pub(super) fn checks(look: &Look) -> Vec<Check> {
    vec![environment::check(look), endpoints(look), products(look), connections(look)]
}

fn document(current: &Current, file: File) -> Option<&Document> {
    current.document(file.path())?.as_ref().ok()
}

fn endpoints(look: &Look) -> Check {
    let current = look.current;
    let check = Check::of("bypass.endpoints", "no additional_endpoints");
    let (mut found, mut emptied) = (Vec::new(), Vec::new());
    for file in FILES {
        match document(current, file) {
            Some(document) => {
                let mut lists = Vec::new();
                further(document.root(), String::new(), &mut lists);
                for (path, empty) in lists {
                    emptied.push(format!("ddinstall config set {} '{path}={empty}'", file.path()));
                    found.push(format!("{path} in {}", file.path()));
                }
            }
            None if file != File::Datadog && matches!(current.file(file.path()), Seen::Absent) => {}
            None => return unread(check, current, file),
        }
    }
    if found.is_empty() {
        return check.passes("none");
    }
    check.fails(found.join(", "), "remove them: the Agent sends to these endpoints itself, outside the proxy").because(
        Cause::FurtherEndpoints,
        Mend::Command(format!("{} && {}", emptied.join(" && "), look.restart(AGENT_UNIT))),
    )
}

/// The lists of further endpoints below a value that are not empty, each with what it is when it is.
fn further(value: &Value, above: String, found: &mut Vec<(String, &'static str)>) {
    let Value::Map(entries) = value else { return };
    for (key, value) in entries {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let empty = match value {
            Value::Null => None,
            Value::Seq(items) => (!items.is_empty()).then_some("[]"),
            Value::Map(entries) => (!entries.is_empty()).then_some("{}"),
            Value::Str(text) => (!matches!(text.trim(), "" | "[]" | "{}")).then_some("''"),
            _ => Some("''"),
        };
        match empty {
            Some(empty) if names_endpoints(key) => found.push((path, empty)),
            _ => further(value, path, found),
        }
    }
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
    let (mut on, mut unsaid, mut untold) = (Vec::new(), Vec::new(), Vec::new());
    let containers = || RUNTIMES.iter().any(|socket| matches!(look.host.meta(socket), Ok(Some(_))));
    for product in PRODUCTS {
        let value = match document(current, product.file) {
            Some(document) => value_at(document, product.path),
            // Without CWS nobody need have a system-probe.yaml.
            None if product.file != File::Datadog && matches!(current.file(product.file.path()), Seen::Absent) => None,
            None => return unread(check, current, product.file),
        };
        match value {
            Some(value) if value.as_bool() == Some(true) => on.push(product),
            None if product.on == Default::WithContainers && containers() => unsaid.push(product),
            // They relay what applications send, which is told as not covered.
            None if product.on == Default::On && product.path.contains("_proxy_config.") => untold.push(product.path),
            _ => {}
        }
    }
    let named = |found: &[Product]| {
        let seen: Vec<String> = found.iter().map(|p| format!("{} in {}", p.path, p.file.path())).collect();
        let set = found.iter().map(|p| format!("ddinstall config set {} {}=false && ", p.file.path(), p.path));
        let command = set.collect::<String>() + &look.restart(AGENT_UNIT);
        (seen.join(", "), Mend::Command(command))
    };
    let hint = "set it to false: its data goes to the site directly, outside the proxy";
    if !on.is_empty() {
        let (seen, command) = named(&on);
        // What is off by what was asked for is turned off by `install`; the rest the operator has turned on.
        let mend = match on.iter().all(|product| turns_off(look.desired, product.file, product.path)) {
            true => Mend::Fix,
            false => command,
        };
        return check.fails(seen, hint).because(Cause::UnrelayedProduct, mend);
    }
    if !unsaid.is_empty() {
        let (seen, command) = named(&unsaid);
        let seen = format!("containers run here, and nothing says that these are off: {seen}");
        return check.warns(seen, hint).because(Cause::UnrelayedProduct, command);
    }
    let seen = match untold.is_empty() {
        true => "none".into(),
        false => format!("none; on unless turned off, for what applications send: {}", untold.join(", ")),
    };
    check.passes(seen)
}

fn turns_off(desired: &Desired, file: File, at: &str) -> bool {
    let Some(Content::Edits { wishes, .. }) = desired.file(file.path()).map(|wish| &wish.content) else { return false };
    wishes.iter().any(|wish| {
        let off = matches!(&wish.edit, Edit::Set { path, value: Value::Bool(false) } if path.to_string() == at);
        off && wish.yields.is_none()
    })
}

/// Checks of the operator's, which may connect to whatever they watch. Our own collects a log.
fn integrations(host: &Host) -> Vec<String> {
    let mut found = Vec::new();
    for folder in host.list(CHECKS).ok().flatten().unwrap_or_default() {
        let folder = folder.to_string_lossy().into_owned();
        let Some(name) = folder.strip_suffix(".d").filter(|name| *name != "fips_proxy") else { continue };
        let files = host.list(format!("{CHECKS}/{folder}")).ok().flatten().unwrap_or_default();
        let is_live =
            |file: &std::ffi::OsString| [".yaml", ".yml"].iter().any(|end| file.to_string_lossy().ends_with(end));
        if files.iter().any(is_live) {
            found.push(name.to_owned());
        }
    }
    found.sort_unstable();
    found
}

/// Connections that the processes of the Agent's units have made to other hosts. Its integrations make such ones, too:
/// the vendor's pages do not cover those, and to port 443 nothing but the proxy should go.
fn connections(look: &Look) -> Check {
    let check = Check::of("bypass.connections", "established connections to this host only");
    let units = std::iter::once(&AGENT_UNIT).chain(&SATELLITES).filter_map(|name| look.current.units.get(*name));
    let of = |state: &UnitState| match state.control_group.as_str() {
        "" => container::pids(look, state),
        group => sockets::processes_of_unit(look.host, group),
    };
    let pids: Vec<u32> = units.flat_map(of).collect();
    if pids.is_empty() {
        return check.skipped("no process of the Agent's was found");
    }
    if !look.facts.root {
        return check.unknown("the sockets of other users' processes are root's to see");
    }
    let outgoing = match sockets::outgoing(look.host, &pids) {
        Ok(Some(found)) => found,
        Ok(None) if look.facts.profile == Profile::Container => {
            return check.skipped("this container may not see them: it has no capability SYS_PTRACE");
        }
        Ok(None) => return check.unclear("their sockets may not be seen", "run it with the capability SYS_PTRACE"),
        Err(failure) => return check.unknown(failure.to_string()),
    };
    let away: Vec<&Connection> = outgoing.iter().filter(|c| !c.remote.ip().to_canonical().is_loopback()).collect();
    let shown =
        |c: &&&Connection| format!("{} (process {}, {})", c.remote, c.pid, sockets::process(look.host, c.pid).name);
    let direct: Vec<String> = away.iter().filter(|c| c.remote.port() == 443).map(|c| shown(&c)).collect();
    let integrations = integrations(look.host);
    if let ([first, rest @ ..], true) = (direct.as_slice(), integrations.is_empty()) {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        return check
            .fails(format!("{first}{more}"), "see what makes it: a product that the proxy does not relay")
            .because(Cause::DirectConnection, Mend::Hand);
    }
    match away.as_slice() {
        [] => check.passes(format!("{} processes, {} connections, all to this host", pids.len(), outgoing.len())),
        [first, ..] => check.warns(
            format!("{} to other hosts, such as {}", away.len(), direct.first().cloned().unwrap_or(shown(&first))),
            format!(
                "see whether it is an integration's ({}): their traffic is not covered by the FIPS proxy",
                if integrations.is_empty() { "none is configured".into() } else { integrations.join(", ") }
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn lists_of_endpoints_are_found_wherever_they_stand() {
        let text = "additional_endpoints: {}\nlogs_config:\n  additional_endpoints: [{host: a}]\n\
            database_monitoring:\n  metrics:\n    additional_endpoints: '[{}]'\n  samples:\n    additional_endpoints: []\n\
            orchestrator_explorer:\n  orchestrator_additional_endpoints: {a: [b]}\n";
        let document = yaml::load(text.as_bytes()).unwrap();
        let mut found = Vec::new();
        further(document.root(), String::new(), &mut found);
        let expected = [
            ("logs_config.additional_endpoints", "[]"),
            ("database_monitoring.metrics.additional_endpoints", "''"),
            ("orchestrator_explorer.orchestrator_additional_endpoints", "{}"),
        ];
        assert_eq!(found, expected.map(|(path, empty)| (path.to_owned(), empty)));
    }
}
