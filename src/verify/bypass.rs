//! What would let data leave outside the FIPS proxy (Agent: `setupFipsEndpoints` and what it does not redirect).

use crate::config::value_at;
use crate::config::yaml::{Document, Value};
use crate::current::Current;
use crate::host::Host;
use crate::settings::File;

use super::Check;

/// Environment of the units, which beats datadog.yaml.
const ENVIRONMENT: &str = "/etc/datadog-agent/environment";

/// Lists of further endpoints: the Agent sends to them directly.
const ENDPOINTS: [&str; 9] = [
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
const PRODUCTS: [(File, &str); 8] = [
    (File::Datadog, "remote_configuration.enabled"),
    (File::Datadog, "sbom.enabled"),
    (File::Datadog, "container_image.enabled"),
    (File::Datadog, "network_path.connections_monitoring.enabled"),
    (File::Datadog, "agent_telemetry.enabled"),
    (File::Datadog, "otelcollector.enabled"),
    (File::SystemProbe, "discovery.enabled"),
    (File::SystemProbe, "runtime_security_config.activity_dump.enabled"),
];

pub(super) fn checks(host: &Host, current: &Current) -> Vec<Check> {
    vec![environment(host), endpoints(current), products(current)]
}

fn document(current: &Current, file: File) -> Option<&Document> {
    current.document(file.path())?.as_ref().ok()
}

/// Variables in the units' environment file beat datadog.yaml.
fn environment(host: &Host) -> Check {
    let check = Check::new(
        "bypass.environment",
        "no variable of the Agent's units turns the proxy off",
        "no DD_FIPS_* variable",
    );
    let text = match host.read_text(ENVIRONMENT) {
        Ok(text) => text.unwrap_or_default(),
        Err(failure) => return check.unknown(failure.to_string()),
    };
    let off = |line: &&str| {
        let Some((name, value)) = line.trim().split_once('=') else { return false };
        let value = value.trim().trim_matches(['"', '\'']);
        match name.trim() {
            "DD_FIPS_ENABLED" => !matches!(value, "true" | "1"),
            "DD_FIPS_HTTPS" => !matches!(value, "false" | "0"),
            "DD_FIPS_PORT_RANGE_START" => value != "9803",
            "DD_FIPS_LOCAL_ADDRESS" => true,
            "DD_SITE" => value != "ddog-gov.com",
            _ => false,
        }
    };
    let found: Vec<&str> = text.lines().filter(off).map(|line| line.split('=').next().unwrap_or(line)).collect();
    match found.is_empty() {
        true => check.passes("none"),
        false => check.fails(
            format!("{ENVIRONMENT}: {}", found.join(", ")),
            format!("remove it from {ENVIRONMENT}, then restart the Agent"),
        ),
    }
}

fn endpoints(current: &Current) -> Check {
    let check = Check::new("bypass.endpoints", "no further endpoint is sent to directly", "no additional_endpoints");
    let Some(document) = document(current, File::Datadog) else { return check.unknown("datadog.yaml cannot be read") };
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
    match found.is_empty() {
        true => check.passes("none"),
        false => check.fails(
            format!("{} in {}", found.join(", "), File::Datadog.path()),
            "remove them: the Agent sends to these endpoints itself, outside the proxy",
        ),
    }
}

fn products(current: &Current) -> Check {
    let check = Check::new(
        "bypass.products",
        "no product is on that the proxy does not relay",
        "remote configuration, SBOM, container images, network path, telemetry, discovery and activity dumps off",
    );
    let mut found = Vec::new();
    for file in [File::Datadog, File::SystemProbe] {
        let Some(document) = document(current, file) else { continue };
        for (of, path) in PRODUCTS.iter().filter(|(of, _)| *of == file) {
            if value_at(document, path) == Some(&Value::Bool(true)) {
                found.push(format!("{path} in {}", of.path()));
            }
        }
    }
    let hint = "set it to false: its data goes to the site directly, outside the proxy";
    match found.is_empty() {
        false => check.fails(found.join(", "), hint),
        true => check.passes("none"),
    }
}
