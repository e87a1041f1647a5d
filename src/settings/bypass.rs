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

const fn of_agent(path: &'static str, on: Default) -> Product {
    Product { file: File::Datadog, path, on }
}

const fn of_system_probe(path: &'static str) -> Product {
    Product { file: File::SystemProbe, path, on: Default::On }
}

pub const PRODUCTS: [Product; 13] = [
    of_agent("agent_telemetry.enabled", Default::On),
    of_agent("container_lifecycle.enabled", Default::WithContainers),
    of_agent("container_image.enabled", Default::WithContainers),
    of_agent("sbom.enabled", Default::Off),
    of_agent("remote_configuration.enabled", Default::Off),
    of_agent("network_path.connections_monitoring.enabled", Default::Off),
    of_agent("otelcollector.enabled", Default::Off),
    of_agent("private_action_runner.enabled", Default::Off),
    // The first Agents that had it.
    of_agent("privateactionrunner.enabled", Default::Off),
    // They send what applications send to the trace agent.
    of_agent("evp_proxy_config.enabled", Default::On),
    of_agent("ol_proxy_config.enabled", Default::On),
    of_system_probe("discovery.enabled"),
    of_system_probe("runtime_security_config.activity_dump.enabled"),
];

/// The addresses of the proxy that the Agent can be told (Agent: `IsLocalAddress`; the proxy binds 127.0.0.1).
pub const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// Whether the last word of a path, or a whole variable, is a list of further endpoints: the Agent sends to them itself.
pub fn names_endpoints(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("additional_endpoints")
}

/// Whether a variable's text turns a switch on or off, as the Agent (and docker) reads it: Go's `ParseBool`. Any other
/// text, such as `yes`, the Agent takes for off.
pub fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
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
        assert_eq!(
            ["true", "T", "0", "False", "yes", "on", "tRUE", ""].map(switch),
            [Some(true), Some(true), Some(false), Some(false), None, None, None, None]
        );
        assert!(names_endpoints("orchestrator_additional_endpoints") && !names_endpoints("endpoints"));
    }
}
