//! What the Agent sends to its site directly although it sends through the FIPS proxy: its `setupFipsEndpoints` leaves it
//! out.

use super::File;

/// A product that sends directly once it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    pub file: File,
    /// The switch.
    pub path: &'static str,
    pub on: Default,
}

/// Whether a product is on where nothing is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    Off,
    On,
    /// It has something to send where containers run.
    WithContainers,
}

const fn off(path: &'static str) -> Product {
    Product { file: File::Datadog, path, on: Default::Off }
}

const fn with_containers(path: &'static str) -> Product {
    Product { file: File::Datadog, path, on: Default::WithContainers }
}

const fn of_system_probe(path: &'static str) -> Product {
    Product { file: File::SystemProbe, path, on: Default::On }
}

pub const PRODUCTS: [Product; 12] = [
    // Off by itself where the site is ddog-gov.com, and with the proxy.
    off("agent_telemetry.enabled"),
    with_containers("container_lifecycle.enabled"),
    with_containers("container_image.enabled"),
    off("sbom.enabled"),
    off("remote_configuration.enabled"),
    off("network_path.connections_monitoring.enabled"),
    off("otelcollector.enabled"),
    off("private_action_runner.enabled"),
    // On, and silent until an application of the host sends to them: said among what is not covered.
    off("evp_proxy_config.enabled"),
    off("ol_proxy_config.enabled"),
    of_system_probe("discovery.enabled"),
    of_system_probe("runtime_security_config.activity_dump.enabled"),
];

/// Whether the last word of a path, or a whole variable, is a list of further endpoints: the Agent sends to them itself.
pub fn names_endpoints(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("additional_endpoints")
}

/// The variable that sets the Agent's setting at a path (Agent: `DD_`, dots as `_`; traces leave out `CONFIG`).
pub fn variable(path: &str) -> String {
    let path = match path.strip_prefix("apm_config.") {
        Some(rest) => format!("apm_{rest}"),
        None => path.to_owned(),
    };
    format!("DD_{}", path.replace(['.', '-'], "_").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_the_agents() {
        assert_eq!(variable("sbom.enabled"), "DD_SBOM_ENABLED");
        assert_eq!(variable("apm_config.additional_endpoints"), "DD_APM_ADDITIONAL_ENDPOINTS");
        assert!(names_endpoints("DD_APM_PROFILING_ADDITIONAL_ENDPOINTS"));
        assert!(names_endpoints("orchestrator_additional_endpoints") && !names_endpoints("endpoints"));
    }
}
