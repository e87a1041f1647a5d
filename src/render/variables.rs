//! The settings of a request as variables of containers (the Agent: `DD_`, dots as `_`).

use minijinja::{Value, context};

use crate::error::Result;
use crate::request::Extra;
use crate::review::FIRST_PORT;
use crate::review::capabilities::{Platform, Role};
use crate::review::fips::{is_default, role_of};
use crate::settings::bypass::{PRODUCTS, variable};
use crate::settings::{self, File, Fixed, Setting};

use super::{State, Target, usage};

/// Settings that the functions below write themselves, and the key.
const MEANT: [&str; 10] = [
    "api_key",
    "site",
    "hostname",
    "tags",
    "fips_mode",
    "runtime_security_config_enabled",
    "runtime_security_config_network_enabled",
    "compliance_config_enabled",
    "logs_enabled",
    "apm_enabled",
];

/// A variable, and why it is set.
pub struct Variable {
    name: String,
    value: String,
    why: String,
}

impl Variable {
    pub fn shown(&self) -> Value {
        context! { name => &self.name, value => &self.value, why => &self.why }
    }
}

struct Set<'s, 'r> {
    state: &'s State<'r>,
    all: Vec<Variable>,
}

impl Set<'_, '_> {
    /// A later wish does not take the place of an earlier one.
    fn put(&mut self, name: &str, value: impl Into<String>, why: &str) {
        if self.all.iter().any(|variable| variable.name == name) {
            return;
        }
        let value = value.into();
        let value = match self.state.target {
            // `$(NAME)` and `$NAME` would be taken from other variables there.
            Target::Kubernetes | Target::Helm => value.replace("$(", "$$("),
            Target::Compose => value.replace('$', "$$"),
            _ => value,
        };
        self.all.push(Variable { name: name.into(), value, why: why.into() });
    }
}

/// Variables of a container.
pub fn variables(state: &State, role: Role, handle: Option<&str>, notes: &mut Vec<String>) -> Result<Vec<Variable>> {
    let mut set = Set { state, all: Vec::new() };
    let whole = role == Role::Whole;
    let pod = state.platform == Platform::Kubernetes;
    let fargate = state.platform == Platform::Fargate;
    let probes = role.probes() && !fargate;
    if let Some(handle) = handle.filter(|_| role != Role::SystemProbe) {
        set.put("DD_API_KEY", handle, "a handle, which the Agent resolves");
        let helper = ["secret_backend_command", "secret_backend_type"];
        let own = |extra: &Extra| helper.contains(&extra.path.to_string().as_str());
        if !state.request.extras.iter().any(own) {
            set.put("DD_SECRET_BACKEND_COMMAND", "/readsecret_multiple_providers.sh", "the image's own helper");
        }
    }
    set.put("DD_SITE", state.site.as_str(), "where data are sent to");
    if state.fips {
        set.put("DD_FIPS_ENABLED", "true", "all that can be is sent through the FIPS proxy");
        set.put("DD_FIPS_PORT_RANGE_START", FIRST_PORT.to_string(), "the proxy's first port, as the proxy is told");
        set.put("DD_FIPS_HTTPS", "false", "the proxy takes plain HTTP on the loopback");
        set.put("DD_FIPS_LOCAL_ADDRESS", "127.0.0.1", "the loopback that both share");
        for (path, of) in PRODUCTS.iter().filter(|p| is_default(p)).map(|p| (p.path, role_of(p))) {
            let here = of == role || whole || (of == Role::Trace && role == Role::Agent && !state.apm);
            let probe = of != Role::SystemProbe || (state.cws && (probes || path.contains("activity_dump")));
            if here && probe {
                set.put(&variable(path), "false", "its data would go past the proxy");
            }
        }
    }
    if role.is_agent() {
        if let Some(tags) = state.request.values.list("tags") {
            if let Some(tag) = tags.iter().find(|tag| tag.contains(char::is_whitespace)) {
                return Err(usage(format!(
                    "DD_TAGS: `{}` holds a blank, which parts tags in a variable",
                    tag.escape_debug()
                )));
            }
            set.put("DD_TAGS", tags.join(" "), "tags of all data");
        }
        match state.request.values.text("hostname") {
            Some(name) if state.platform == Platform::Docker => set.put("DD_HOSTNAME", name, "the host's name"),
            Some(_) => notes.push("DD_HOSTNAME is left out: each node has a name of its own".into()),
            None => {}
        }
        if state.logs || state.request.logs == Some(false) {
            set.put("DD_LOGS_ENABLED", state.logs.to_string(), "logs");
        }
        if state.logs {
            set.put("DD_LOGS_CONFIG_CONTAINER_COLLECT_ALL", "true", "logs of all containers");
        }
        set.put("DD_APM_ENABLED", state.apm.to_string(), "traces");
        if state.apm && !pod {
            set.put("DD_APM_NON_LOCAL_TRAFFIC", "true", "traces of other containers");
        }
        if pod {
            set.put("DD_DOGSTATSD_SOCKET", "/var/run/datadog/dsd.socket", "metrics of other pods, without a port");
        }
        if fargate {
            set.put("ECS_FARGATE", "true", "the Agent asks the task's metadata, not a host");
        }
    }
    if role == Role::Trace {
        set.put("DD_APM_ENABLED", "true", "traces");
        set.put("DD_APM_RECEIVER_SOCKET", "/var/run/datadog/apm.socket", "traces of other pods, without a port");
    }
    if state.cws && (whole || role != Role::Trace) {
        set.put("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "true", "CWS");
        if fargate {
            set.put("DD_RUNTIME_SECURITY_CONFIG_EBPFLESS_ENABLED", "true", "Fargate has no eBPF");
        }
        if probes {
            let network = state.network.to_string();
            set.put("DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED", network, "network events of CWS");
            if !pod {
                set.put("DD_SYSTEM_PROBE_ENABLED", "true", "the process that watches the kernel");
            }
        }
    }
    if state.compliance && (whole || role == Role::Security) {
        set.put("DD_COMPLIANCE_CONFIG_ENABLED", "true", "compliance checks");
        set.put("DD_COMPLIANCE_CONFIG_HOST_BENCHMARKS_ENABLED", "true", "of the host, too");
    }
    let files = (state.cws && probes) || (state.compliance && (whole || role == Role::Security));
    if files {
        set.put("HOST_ROOT", "/host/root", "where the host's files are");
    }
    table(&mut set, role, notes)?;
    Ok(set.all)
}

/// What the table and `--set` name beside.
fn table(set: &mut Set, role: Role, notes: &mut Vec<String>) -> Result<()> {
    let request = set.state.request;
    let given = || request.values.iter().filter(|(setting, _)| !MEANT.contains(&setting.key));
    for extra in &request.extras {
        if is_of(extra.file, role) {
            if extra.is_secret() {
                let path = &extra.path;
                return Err(usage(format!(
                    "--set {path}: a secret does not go into a document; give an ENC[…] handle"
                )));
            }
            set.put(&variable(&extra.path.to_string()), plain(extra)?, "asked for");
        }
    }
    for (setting, value) in given() {
        if setting.lands.is_empty() && setting.also.is_empty() {
            if role.is_agent() && !of_render(setting) {
                notes.push(format!("{} is left out: it is about a host", setting.name()));
            }
            continue;
        }
        let text = match value {
            settings::Value::Bool(on) => on.to_string(),
            settings::Value::Text(text) => text.clone(),
            settings::Value::List(items) => items.join(" "),
            settings::Value::Secret(secret) if secret.is_handle() => secret.reveal().to_owned(),
            settings::Value::Secret(_) => {
                let name = setting.name();
                return Err(usage(format!("{name}: a secret does not go into a document; give an ENC[…] handle")));
            }
        };
        for (_, path) in setting.lands.iter().filter(|(file, _)| is_of(*file, role)) {
            set.put(&variable(path), text.clone(), "asked for");
        }
        for (file, path, fixed) in setting.also {
            if *value == settings::Value::Bool(true) && is_of(*file, role) {
                let text = match fixed {
                    Fixed::Bool(on) => on.to_string(),
                    Fixed::Int(number) => number.to_string(),
                    Fixed::Item(item) => (*item).to_owned(),
                };
                set.put(&variable(path), text, "comes with what was asked for");
            }
        }
    }
    Ok(())
}

/// Settings that have no place in the Agent's files and that `render` reads elsewhere.
fn of_render(setting: &Setting) -> bool {
    let read = ["api_key_file", "agent_flavor", "agent_minor_version", "agent_major_version", "fips_proxy_version"];
    read.contains(&setting.key)
}

/// Whether a container reads a file.
fn is_of(file: File, role: Role) -> bool {
    match role {
        Role::Whole => true,
        Role::SystemProbe => file == File::SystemProbe,
        Role::Security => file == File::SecurityAgent,
        Role::Agent => file == File::Datadog,
        _ => false,
    }
}

fn plain(extra: &Extra) -> Result<String> {
    use serde_yaml::Value as Yaml;
    let scalar = |value: &Yaml| match value {
        Yaml::Bool(on) => Some(on.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::String(text) => Some(text.clone()),
        _ => None,
    };
    let text = match &extra.value {
        Yaml::Sequence(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>().map(|items| items.join(" ")),
        other => scalar(other),
    };
    text.ok_or_else(|| usage(format!("--set {}: a section has no form as a variable", extra.path)))
}

impl State<'_> {
    /// Variables that the chart hands to all containers of the Agent: those that it has no values for.
    pub(super) fn shared(&self, notes: &mut Vec<String>) -> Result<Vec<Variable>> {
        if self.target != Target::Helm {
            return Ok(Vec::new());
        }
        for text in [Some(self.site.as_str()), self.request.values.text("env")]
            .into_iter()
            .flatten()
            .chain(self.request.values.list("tags").unwrap_or_default().iter().map(String::as_str))
        {
            // The chart runs some values through its template engine.
            if text.contains("{{") {
                return Err(usage(format!("`{}`: the chart would read {{{{ as a template", text.escape_debug())));
            }
        }
        let mut set = Set { state: self, all: Vec::new() };
        if self.fips {
            // What the chart has a value for is set there.
            let valued = ["container_image", "container_lifecycle", "discovery", "activity_dump"];
            let own = |path: &str| valued.iter().any(|name| path.contains(name));
            for path in PRODUCTS.iter().filter(|p| is_default(p)).map(|p| p.path).filter(|path| !own(path)) {
                set.put(&variable(path), "false", "its data would go past the proxy");
            }
        }
        table(&mut set, Role::Agent, notes)?;
        Ok(set.all)
    }
}
