//! The variables that the Agent's units give it: they beat its files. Values are compared here and never shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::templates::shell;
use crate::desired::{AGENT_UNIT, DOGSTATSD_UNIT, ENVIRONMENT, SATELLITES};
use crate::host::system;
use crate::host::units::UnitState;

use crate::host::services::Init;
use crate::settings::bypass::{PRODUCTS, names_endpoints, switch, variable};

use super::{Cause, Check, Look, Mend, agent, container};

/// What the vendor's init scripts read.
const DEFAULTS: &str = "/etc/default/datadog-agent";

const DEADLINE: Duration = Duration::from_secs(5);

/// Where a variable was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File(String),
    /// The unit itself, or one of its drop-ins.
    Unit(String),
    /// A running process: whoever set it has taken it back since, or set it for all units.
    Process(String),
}

/// Whether a variable would undo what the files say.
fn undoes(name: &str, value: &str) -> bool {
    // Another name is none of the Agent's, and not to be pasted into a shell.
    if !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return false;
    }
    let value = value.trim().trim_matches(['"', '\'']);
    let on = || switch(value) == Some(true);
    let off = || switch(value) == Some(false);
    match name {
        // The Agent takes an empty one for none.
        _ if value.is_empty() => false,
        "DD_FIPS_ENABLED" => !on(),
        "DD_FIPS_HTTPS" => !off(),
        "DD_FIPS_PORT_RANGE_START" => value != "9803",
        "DD_FIPS_LOCAL_ADDRESS" => !matches!(value, "localhost" | "127.0.0.1"),
        "DD_SITE" => value != "ddog-gov.com",
        "DD_SKIP_SSL_VALIDATION" => on(),
        _ if name.starts_with("DD_") && names_endpoints(name) => !matches!(value, "{}" | "[]"),
        _ if PRODUCTS.iter().any(|product| variable(product.path) == name) => on(),
        _ => false,
    }
}

/// A value of a variable that undoes nothing.
fn harmless(name: &str) -> &'static str {
    match name {
        "DD_FIPS_ENABLED" => "true",
        "DD_FIPS_PORT_RANGE_START" => "9803",
        "DD_FIPS_LOCAL_ADDRESS" => "localhost",
        "DD_SITE" => "ddog-gov.com",
        _ if names_endpoints(name) => "",
        _ => "false",
    }
}

/// What a shell assigns that sources a file, each in a line of its own. systemd ignores `export NAME=value`
/// (systemd.exec(5): its name is none), and a shell takes several in a line.
fn sourced(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(|line| line.split([' ', '\t', ';'])).collect::<Vec<_>>().join("\n")
}

fn assignments(text: &str, separator: fn(char) -> bool) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator)
        .filter_map(|line| line.trim().trim_start_matches(['"', '\'']).split_once('='))
        .filter(|(name, _)| !name.starts_with('#'))
}

/// The variables of a process; of one that has ended meanwhile, none. Root of a container may not trace: the Agent's user
/// may see its own processes.
fn environment_of(look: &Look, pid: u32) -> Option<String> {
    let path = format!("/proc/{pid}/environ");
    match look.host.read_text(&path) {
        Ok(text) => Some(text.unwrap_or_default()),
        Err(_) if system::has_ended(look.host, pid) => Some(String::new()),
        Err(_) if look.facts.root => {
            let output = agent::as_agent(look.host, "cat").ok()?.arg(&path).deadline(DEADLINE).run(look.host).ok()?;
            (output.success() || system::has_ended(look.host, pid)).then(|| output.stdout_text())
        }
        Err(_) => None,
    }
}

pub(super) fn check(look: &Look) -> Check {
    let check = Check::of("bypass.environment", "no variable that turns the proxy off, moves it or adds an endpoint");
    let ours = |state: &&UnitState| {
        state.name == AGENT_UNIT || state.name == DOGSTATSD_UNIT || SATELLITES.contains(&state.name.as_str())
    };
    let units: Vec<&UnitState> = look.current.units.values().filter(ours).collect();
    let mut found: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    let mut add = |place: Place, text: &str, separator: fn(char) -> bool| {
        for (name, value) in assignments(text, separator) {
            if undoes(name.trim(), value) {
                let names = found.entry(place.clone()).or_default();
                if !names.iter().any(|known| known == name.trim()) {
                    names.push(name.trim().to_owned());
                }
            }
        }
    };
    let mut files: Vec<&str> = vec![ENVIRONMENT];
    files.extend((look.desired.init != Init::Systemd).then_some(DEFAULTS));
    files.extend(units.iter().flat_map(|state| &state.environment_files).map(String::as_str));
    files.sort_unstable();
    files.dedup();
    for file in files {
        match look.host.read_text(file) {
            Ok(text) => {
                let text = text.unwrap_or_default();
                let text = if look.desired.init == Init::Systemd { text } else { sourced(&text) };
                add(Place::File(file.into()), &text, |c| c == '\n');
            }
            Err(failure) => return check.unknown(failure.to_string()),
        }
    }
    let mut unseen = false;
    for state in units {
        add(Place::Unit(state.name.clone()), &state.environment, char::is_whitespace);
        for pid in container::pids(look, state) {
            match environment_of(look, pid) {
                Some(text) => add(Place::Process(state.name.clone()), &text, |c| c == '\0'),
                None => unseen = true,
            }
        }
    }
    // A process has what its file or unit gives it: that is the place to name.
    let named: Vec<String> = found
        .iter()
        .filter(|(place, _)| !matches!(place, Place::Process(_)))
        .flat_map(|(_, names)| names.clone())
        .collect();
    found.retain(|place, names| {
        if matches!(place, Place::Process(_)) {
            names.retain(|name| !named.contains(name));
        }
        !names.is_empty()
    });
    if found.is_empty() {
        return if unseen {
            check.unknown("the variables of the running Agent are root's to see")
        } else {
            check.passes("none")
        };
    }
    let seen: Vec<String> = found
        .iter()
        .map(|(place, names)| match place {
            Place::File(path) => format!("{path}: {}", names.join(", ")),
            Place::Unit(unit) => format!("{unit}: {}", names.join(", ")),
            Place::Process(unit) => format!("the running {unit}: {}", names.join(", ")),
        })
        .collect();
    let mend = mend(look, &found);
    check
        .fails(seen.join("; "), format!("remove it, then restart the Agent: {mend}"))
        .because(Cause::EnvironmentOverride, Mend::Command(mend))
}

/// The line for the shell that takes the variables away where they stand.
fn mend(look: &Look, found: &BTreeMap<Place, Vec<String>>) -> String {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for (place, names) in found {
        let names = names.iter().map(String::as_str);
        match place {
            Place::File(path) => files.entry(path).or_default().extend(names),
            // The last of several drop-ins wins, and neither the vendor's file nor the operator's lines are touched.
            Place::Unit(unit) => {
                let folder = format!("/etc/systemd/system/{unit}.d");
                let set: String = names.map(|name| format!("Environment={name}={}\\n", harmless(name))).collect();
                let file = format!("{folder}/zz-ddinstall.conf");
                lines.push(format!(
                    "mkdir -p {folder} && printf '[Service]\\n{set}' > {file} && systemctl daemon-reload"
                ));
            }
            Place::Process(_) => {
                lines.push(format!("systemctl unset-environment {}", names.collect::<Vec<_>>().join(" ")))
            }
        }
    }
    for (path, mut names) in files {
        names.sort_unstable();
        names.dedup();
        lines.push(format!("sed -i -E '/^[[:space:]]*(export[[:space:]]+)?({})=/d' {}", names.join("|"), shell(path)));
    }
    lines.push(look.restart(AGENT_UNIT));
    lines.join(" && ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_says_the_same_is_none() {
        for (name, value, bad) in [
            ("DD_FIPS_ENABLED", "false", true),
            ("DD_FIPS_ENABLED", "true", false),
            ("DD_FIPS_HTTPS", "\"false\"", false),
            ("DD_FIPS_LOCAL_ADDRESS", "localhost", false),
            ("DD_FIPS_LOCAL_ADDRESS", "::1", true),
            ("DD_SITE", "datadoghq.com", true),
            ("DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS", "[{}]", true),
            ("DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS", "[]", false),
            ("DD_SBOM_ENABLED", "true", true),
            ("DD_SBOM_ENABLED", "false", false),
            ("DD_APM_ADDITIONAL_ENDPOINTS", "{\"https://x\": [\"y\"]}", true),
            ("DD_RUNTIME_SECURITY_CONFIG_ENDPOINTS_ADDITIONAL_ENDPOINTS", "[{}]", true),
            ("DD_CONTAINER_LIFECYCLE_ENABLED", "true", true),
            ("DD_FIPS_ENABLED", "", false),
            ("DD_SITE", "", false),
            ("DD_HOSTNAME", "x", false),
            ("DD_'$(id)'_ADDITIONAL_ENDPOINTS", "[{}]", false),
        ] {
            assert_eq!(undoes(name, value), bad, "{name}={value}");
        }
    }

    #[test]
    fn variables_are_found_in_every_form() {
        let found = |text, separator| assignments(text, separator).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(found("# A=1\nB=2\n  C=x y\n", |c| c == '\n'), ["B", "C"]);
        assert_eq!(found("A=1 \"B=2 3\" C=4", char::is_whitespace), ["A", "B", "C"]);
        assert_eq!(found("A=1\0B=2\0", |c| c == '\0'), ["A", "B"]);
        let text = sourced("# export A=1\nexport B=2\n  C=3; export C\nexport D=4 E='5'\n");
        assert_eq!(found(&text, |c| c == '\n'), ["B", "C", "D", "E"]);
    }
}
