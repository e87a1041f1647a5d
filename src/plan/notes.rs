//! What the operator should know of a FIPS host: settings that have no effect, and what no setting can redirect.

use crate::config::yaml;
use crate::current::Current;
use crate::desired::Desired;
use crate::settings::File;
use crate::types::YamlPath;

/// Settings that `fips.enabled` makes the Agent ignore or overwrite (`setupFipsEndpoints`, Agent configuration code).
const INEFFECTIVE: [&str; 16] = [
    "dd_url",
    "proxy",
    "apm_config.apm_dd_url",
    "apm_config.profiling_dd_url",
    "apm_config.telemetry.dd_url",
    "process_config.process_dd_url",
    "logs_config.logs_dd_url",
    "logs_config.use_http",
    "logs_config.logs_no_ssl",
    "database_monitoring.metrics.logs_dd_url",
    "database_monitoring.activity.logs_dd_url",
    "database_monitoring.samples.logs_dd_url",
    "network_devices.metadata.logs_dd_url",
    "orchestrator_explorer.orchestrator_dd_url",
    "runtime_security_config.endpoints.logs_dd_url",
    "compliance_config.endpoints.logs_dd_url",
];

/// Settings of the operator that have no effect under FIPS, by name and line.
pub(super) fn ineffective(desired: &Desired, current: &Current) -> Vec<String> {
    if !desired.asked.fips_on() {
        return Vec::new();
    }
    let path = File::Datadog.path();
    let Some(Ok(document)) = current.document(path) else {
        return Vec::new();
    };
    let set = |name: &&&str| -> Option<YamlPath> {
        let at: YamlPath = name.parse().ok()?;
        document.get(&at).is_some_and(|value| *value != yaml::Value::Null).then_some(at)
    };
    INEFFECTIVE
        .iter()
        .filter_map(|name| set(&name))
        .map(|at| {
            let line = document.line(&at).map_or_else(String::new, |line| format!(" line {line}"));
            format!("{path}{line}: {at} has no effect while FIPS is on: the Agent sends to the proxy instead")
        })
        .collect()
}
