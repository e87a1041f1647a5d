//! The rows. Names and meanings of the `DD_*` variables are those of the vendor's install script
//! (agent-linux-install-script 1.46.0); where ours differ, the row says so.

mod run;
mod secrets;

use super::File::{Datadog, SecurityAgent, SystemProbe};
use super::Fixed::{self, Item};
use super::Setting;
use super::Type::*;
use super::WithFips::{NoEffect, Refused};
use run::RUN;
use secrets::SECRETS;

const ON: Fixed = Fixed::Bool(true);
const OFF: Fixed = Fixed::Bool(false);

const KEEPS: &str =
    "written into the file that is there, too; the script leaves an existing file as it is and says it was done";
const OFF_IS_OFF: &str = "off values are off, and an existing file is changed, too";

/// Every setting, in the order of the documentation.
pub static TABLE: &[Setting] = &joined::<{ OF_AGENT.len() + RUN.len() }>(OF_AGENT, RUN);

const OF_AGENT: &[Setting] = &joined::<{ AGENT.len() + SECRETS.len() }>(AGENT, SECRETS);

const fn joined<const N: usize>(a: &[Setting], b: &[Setting]) -> [Setting; N] {
    let mut all = [a[0]; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < a.len() { a[i] } else { b[i - a.len()] };
        i += 1;
    }
    all
}

/// What lands in the Agent's files.
const AGENT: &[Setting] = &[
    // What the host sends, and where to.
    Setting::new("api_key", &["DD_API_KEY"], Secret, "API key of your Datadog organisation, or an ENC[…] handle.")
        .lands(&[(Datadog, "api_key")])
        .default("the key that is in datadog.yaml")
        .better("never in an argument, a log or a second copy of the file"),
    Setting::new(
        "api_key_file",
        &["DD_API_KEY_FILE"],
        Path,
        "File that holds the API key on its first line; `-` reads it from standard input.",
    )
    .default("none")
    .ours(),
    Setting::new("app_key", &["DD_APP_KEY"], Secret, "Application key, or an ENC[…] handle.")
        .lands(&[(Datadog, "app_key")])
        .better(KEEPS),
    Setting::new("site", &["DD_SITE"], Site, "Datadog site that data is sent to.")
        .lands(&[(Datadog, "site")])
        .default("with FIPS on a fresh host ddog-gov.com; otherwise left as it is")
        .better("written under FIPS, too; without it, what the proxy does not relay goes to datadoghq.com"),
    Setting::new(
        "url",
        &["DD_URL"],
        Url,
        "Intake address for metrics in place of the site's; without effect under FIPS.",
    )
    .lands(&[(Datadog, "dd_url")])
    .with_fips(NoEffect)
    .better(KEEPS),
    Setting::new("hostname", &["DD_HOSTNAME"], Text, "Name under which the host appears.")
        .lands(&[(Datadog, "hostname")])
        .better("any character reaches the file as it is"),
    Setting::new(
        "tags",
        &["DD_TAGS", "DD_HOST_TAGS"],
        List,
        "Tags of the host, separated by commas: team:infra,tier:web.",
    )
    .lands(&[(Datadog, "tags")])
    .better("any character reaches the file as it is"),
    Setting::new("env", &["DD_ENV"], Text, "Environment of the host, such as prod.")
        .lands(&[(Datadog, "env")])
        .better("any character reaches the file as it is"),
    // FIPS and CWS.
    Setting::new(
        "fips_mode",
        &["DD_FIPS_MODE"],
        Bool,
        "Sends all that the Agent can send through the FIPS proxy, installed on this host.",
    )
    .lands(&[(Datadog, "fips.enabled")])
    .also(&[
        (Datadog, "fips.port_range_start", Fixed::Int(9803)),
        (Datadog, "fips.https", OFF),
        (Datadog, "agent_telemetry.enabled", OFF),
    ])
    .since(7, 41)
    .better("on an installed Agent, too; `0` is off; what would bypass the proxy is off; the result is proven"),
    Setting::new(
        "runtime_security_config_enabled",
        &["DD_RUNTIME_SECURITY_CONFIG_ENABLED"],
        Bool,
        "Turns on Cloud Workload Security (CWS).",
    )
    .lands(&[(SystemProbe, "runtime_security_config.enabled"), (SecurityAgent, "runtime_security_config.enabled")])
    .since(7, 27)
    .better("on an installed Agent, too; `1` is on; the result is proven"),
    Setting::new(
        "compliance_config_enabled",
        &["DD_COMPLIANCE_CONFIG_ENABLED"],
        Bool,
        "Turns on the compliance checks of the host (CSPM).",
    )
    .lands(&[(SecurityAgent, "compliance_config.enabled")])
    .better(KEEPS),
    Setting::new(
        "runtime_security_config_network_enabled",
        &["DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED", "DD_EVENT_MONITORING_CONFIG_NETWORK_ENABLED"],
        Bool,
        "Network events of CWS, under the key that this Agent's version reads.",
    )
    .lands(&[(SystemProbe, "event_monitoring_config.network.enabled")])
    .default("on with CWS")
    .since(7, 36)
    .ours(),
    Setting::new(
        "runtime_security_config_activity_dump_enabled",
        &["DD_RUNTIME_SECURITY_CONFIG_ACTIVITY_DUMP_ENABLED"],
        Bool,
        "Activity dumps of CWS.",
    )
    .lands(&[(SystemProbe, "runtime_security_config.activity_dump.enabled")])
    .default("off with FIPS; otherwise left as it is")
    .with_fips(Refused("activity dumps go to cws-intake of the site directly"))
    .ours(),
    Setting::new(
        "runtime_security_config_direct_send",
        &["DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE"],
        Bool,
        "Lets system-probe send CWS events itself; with an ENC[…] key, agent_ipc is set as that needs.",
    )
    .lands(&[(SystemProbe, "runtime_security_config.direct_send_from_system_probe")])
    .since(7, 63)
    .ours(),
    // system-probe.
    Setting::new(
        "system_probe_ensure_config",
        &["DD_SYSTEM_PROBE_ENSURE_CONFIG"],
        Switch,
        "Makes system-probe.yaml from the package's example, whatever else is on.",
    )
    .default("off"),
    Setting::new("discovery_enabled", &["DD_DISCOVERY_ENABLED"], Bool, "Service discovery.")
        .lands(&[(SystemProbe, "discovery.enabled")])
        .default("off with FIPS and CWS; otherwise left as it is")
        .with_fips(Refused("service discovery sends to the site directly"))
        .better(OFF_IS_OFF),
    Setting::new(
        "privileged_logs_enabled",
        &["DD_PRIVILEGED_LOGS_ENABLED"],
        Bool,
        "Lets system-probe open log files that dd-agent may not read.",
    )
    .lands(&[(SystemProbe, "privileged_logs.enabled")])
    .better(OFF_IS_OFF),
    Setting::new(
        "system_probe_service_monitoring_enabled",
        &["DD_SYSTEM_PROBE_SERVICE_MONITORING_ENABLED"],
        Bool,
        "Universal Service Monitoring.",
    )
    .lands(&[(SystemProbe, "service_monitoring_config.enabled")])
    .better(OFF_IS_OFF),
    // Logs.
    Setting::new(
        "logs_enabled",
        &["DD_LOGS_ENABLED"],
        Bool,
        "Turns on log collection, which the proxy's own log needs.",
    )
    .lands(&[(Datadog, "logs_enabled")])
    .default("with FIPS on, unless datadog.yaml says false; otherwise left as it is")
    .ours(),
    Setting::new(
        "logs_config_process_collect_all",
        &["DD_LOGS_CONFIG_PROCESS_COLLECT_ALL"],
        Bool,
        "Collects the logs of all processes that are found. Off takes process_log out of extra_config_providers.",
    )
    .also(&[
        (Datadog, "logs_enabled", ON),
        (Datadog, "process_config.process_collection.use_wlm", ON),
        (Datadog, "extra_config_providers", Item("process_log")),
        (Datadog, "logs_config.process_exclude_agent", ON),
        (Datadog, "logs_config.auto_multi_line_detection", ON),
        (SystemProbe, "discovery.enabled", ON),
        (SystemProbe, "privileged_logs.enabled", ON),
    ])
    .with_fips(Refused("it needs service discovery, which sends to the site directly"))
    .better(KEEPS),
    Setting::new("apm_enabled", &["DD_APM_ENABLED"], Bool, "Takes traces from applications (the trace-agent).")
        .lands(&[(Datadog, "apm_config.enabled")])
        .default("the Agent's own: on")
        .ours(),
    // Products.
    Setting::new(
        "infrastructure_mode",
        &["DD_INFRASTRUCTURE_MODE"],
        Word,
        "Infrastructure mode of the Agent: full, basic, end_user_device, none.",
    )
    .lands(&[(Datadog, "infrastructure_mode")])
    .better(KEEPS),
    Setting::new(
        "apm_error_tracking_standalone",
        &["DD_APM_ERROR_TRACKING_STANDALONE"],
        Bool,
        "Error Tracking for backend services without the rest of the Agent's products.",
    )
    .lands(&[(Datadog, "apm_config.error_tracking_standalone.enabled")])
    .also(&[(Datadog, "core_agent.enabled", OFF)])
    .better("in datadog.yaml; the script writes two variables to /etc/environment, for every process of the host"),
    Setting::new(
        "sbom_container_image_enabled",
        &["DD_SBOM_CONTAINER_IMAGE_ENABLED"],
        Bool,
        "Software bills of materials of container images.",
    )
    .lands(&[(Datadog, "sbom.container_image.enabled")])
    .also(&[(Datadog, "sbom.enabled", ON)])
    .with_fips(Refused("bills of materials are sent to the site directly"))
    .better("in datadog.yaml; the script writes to the units' environment file"),
    Setting::new("sbom_host_enabled", &["DD_SBOM_HOST_ENABLED"], Bool, "Software bill of materials of the host.")
        .lands(&[(Datadog, "sbom.host.enabled")])
        .also(&[(Datadog, "sbom.enabled", ON)])
        .with_fips(Refused("bills of materials are sent to the site directly"))
        .better("in datadog.yaml; the script writes to the units' environment file"),
    Setting::new("remote_updates", &["DD_REMOTE_UPDATES"], Bool, "Lets Datadog update this Agent from afar.")
        .lands(&[(Datadog, "remote_updates")])
        .default("never turned on unasked")
        .since(7, 69)
        .with_fips(Refused("remote updates come by remote configuration, which goes to the site directly"))
        .better("never on unasked, and off is off where the key is already set, too"),
    Setting::new(
        "otelcollector_enabled",
        &["DD_OTELCOLLECTOR_ENABLED"],
        Bool,
        "The OpenTelemetry collector of Datadog (DDOT): package, otel-config.yaml and datadog.yaml.",
    )
    .lands(&[(Datadog, "otelcollector.enabled")])
    .with_fips(Refused("the collector sends to the site directly"))
    .better(KEEPS),
    Setting::new(
        "private_action_runner_enabled",
        &["DD_PRIVATE_ACTION_RUNNER_ENABLED"],
        Bool,
        "The private action runner.",
    )
    .lands(&[(Datadog, "private_action_runner.enabled")])
    .with_fips(Refused("the runner talks to the site directly"))
    .better(KEEPS),
    Setting::new(
        "private_action_runner_actions_allowlist",
        &["DD_PRIVATE_ACTION_RUNNER_ACTIONS_ALLOWLIST"],
        List,
        "Actions that the runner may carry out, separated by commas.",
    )
    .lands(&[(Datadog, "private_action_runner.actions_allowlist")])
    .better(KEEPS),
    Setting::new(
        "private_action_runner_http_allowlist",
        &["DD_PRIVATE_ACTION_RUNNER_HTTP_ALLOWLIST"],
        List,
        "Hosts that the runner may send HTTP requests to, separated by commas.",
    )
    .lands(&[(Datadog, "private_action_runner.http_allowlist")])
    .better(KEEPS),
    Setting::new(
        "private_action_runner_api_key_only_enrollment",
        &["DD_PRIVATE_ACTION_RUNNER_API_KEY_ONLY_ENROLLMENT"],
        Bool,
        "Enrols the runner with the API key alone.",
    )
    .lands(&[(Datadog, "private_action_runner.api_key_only_enrollment")])
    .better(KEEPS),
    Setting::new(
        "private_action_runner_urn",
        &["DD_PRIVATE_ACTION_RUNNER_URN"],
        Text,
        "Name of a runner that is enrolled already.",
    )
    .lands(&[(Datadog, "private_action_runner.urn")])
    .better(KEEPS),
    Setting::new(
        "private_action_runner_private_key",
        &["DD_PRIVATE_ACTION_RUNNER_PRIVATE_KEY"],
        Secret,
        "Private key of a runner that is enrolled already, or an ENC[…] handle.",
    )
    .lands(&[(Datadog, "private_action_runner.private_key")])
    .better(KEEPS),
    Setting::new(
        "private_action_runner_split_enabled",
        &["DD_PRIVATE_ACTION_RUNNER_SPLIT_ENABLED"],
        Bool,
        "Runs the private action runner as a process of its own.",
    )
    .lands(&[(Datadog, "private_action_runner.split_enabled")])
    .with_fips(Refused("the Agent itself refuses the split runner with the FIPS proxy"))
    .better(KEEPS),
    // The way to the intake.
    Setting::new("proxy_http", &["DD_PROXY_HTTP"], Url, "Web proxy for http addresses; without effect under FIPS.")
        .lands(&[(Datadog, "proxy.http")])
        .with_fips(NoEffect)
        .ours(),
    Setting::new("proxy_https", &["DD_PROXY_HTTPS"], Url, "Web proxy for https addresses; without effect under FIPS.")
        .lands(&[(Datadog, "proxy.https")])
        .with_fips(NoEffect)
        .ours(),
    Setting::new(
        "proxy_no_proxy",
        &["DD_PROXY_NO_PROXY"],
        Hosts,
        "Hosts that are reached without the web proxy, separated by commas or blanks.",
    )
    .lands(&[(Datadog, "proxy.no_proxy")])
    .with_fips(NoEffect)
    .ours(),
    Setting::new(
        "skip_ssl_validation",
        &["DD_SKIP_SSL_VALIDATION"],
        Bool,
        "Turns the Agent's certificate checks off; better add your CA to the system's store.",
    )
    .lands(&[(Datadog, "skip_ssl_validation")])
    .with_fips(Refused("without certificate checks no connection of the Agent is worth the name"))
    .ours(),
    Setting::new(
        "min_tls_version",
        &["DD_MIN_TLS_VERSION"],
        Choice(&["tlsv1.2", "tlsv1.3"]),
        "Oldest TLS version that the Agent speaks.",
    )
    .lands(&[(Datadog, "min_tls_version")])
    .ours(),
];
