//! What would let data leave outside the FIPS proxy (Agent: `setupFipsEndpoints` and what it does not redirect).

use crate::config::templates::shell;
use crate::config::value_at;
use crate::config::yaml::{Document, Edit, Value};
use crate::current::{Current, Seen};
use crate::desired::{AGENT_UNIT, Content, Desired, SATELLITES};
use crate::host::sockets::{self, Connection};
use crate::host::units::UnitState;
use crate::host::{FileKind, Host, ReadFailure};
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
                    emptied.push(emptying(file, &path, empty));
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

/// The line for the shell that empties a list. Its path is of keys that anybody may have written.
fn emptying(file: File, path: &str, empty: &str) -> String {
    format!("ddinstall config set {} {}", file.path(), shell(&format!("{path}={empty}")))
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
fn integrations(host: &Host) -> Result<Vec<String>, ReadFailure> {
    let mut found = Vec::new();
    for folder in host.list(CHECKS)?.unwrap_or_default() {
        let folder = folder.to_string_lossy().into_owned();
        let Some(name) = folder.strip_suffix(".d").filter(|name| *name != "fips_proxy") else { continue };
        let path = format!("{CHECKS}/{folder}");
        if host.meta(&path)?.is_none_or(|meta| meta.kind == FileKind::File) {
            continue;
        }
        let files = host.list(&path)?.unwrap_or_default();
        let is_live =
            |file: &std::ffi::OsString| [".yaml", ".yml"].iter().any(|end| file.to_string_lossy().ends_with(end));
        if files.iter().any(is_live) {
            found.push(name.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
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
    if away.is_empty() {
        return check.passes(format!("{} processes, {} connections, all to this host", pids.len(), outgoing.len()));
    }
    let integrations = match integrations(look.host) {
        Ok(integrations) => integrations,
        Err(failure) => return check.unclear(failure.to_string(), "let it be a folder: the Agent's checks are in it"),
    };
    if let ([first, rest @ ..], true) = (direct.as_slice(), integrations.is_empty()) {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        return check
            .fails(format!("{first}{more}"), "see what makes it: a product that the proxy does not relay")
            .because(Cause::DirectConnection, Mend::Hand);
    }
    let example = direct.first().cloned().unwrap_or_else(|| away.iter().map(|c| shown(&c)).next().unwrap_or_default());
    check.warns(
        format!("{} to other hosts, such as {example}", away.len()),
        format!(
            "see whether it is an integration's ({}): their traffic is not covered by the FIPS proxy",
            if integrations.is_empty() { "none is configured".into() } else { integrations.join(", ") }
        ),
    )
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

    #[test]
    fn checks_behind_a_link_are_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("etc/datadog-agent/conf.d/db.d")).unwrap();
        std::fs::write(at("etc/datadog-agent/conf.d/db.d/conf.yaml"), "").unwrap();
        std::fs::write(at("etc/datadog-agent/conf.d/file.d"), "").unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert_eq!(integrations(&host).unwrap(), ["db"]);
        std::os::unix::fs::symlink("/nowhere", at("etc/datadog-agent/conf.d/more.d")).unwrap();
        std::os::unix::fs::chown(at("etc/datadog-agent/conf.d"), Some(112), None).unwrap();
        assert!(integrations(&host).is_err());
    }

    #[test]
    fn a_key_of_a_file_stays_one_word_of_the_line_to_paste() {
        let line = emptying(File::Datadog, "x'$(id)'`id`\"y.additional_endpoints", "''");
        let script = format!("set -- {line}; printf '%s' \"$5\"");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let word = String::from_utf8(output.stdout).unwrap();
        assert_eq!(word, "x'$(id)'`id`\"y.additional_endpoints=''", "{line}");
    }
}
