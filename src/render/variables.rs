//! The settings of a request as variables of containers (the Agent: `DD_`, dots as `_`).

use minijinja::{Value, context};

use crate::error::Result;
use crate::request::{Extra, Request};
use crate::review::FIRST_PORT;
use crate::review::capabilities::{Platform, Role};
use crate::review::fips::{is_default, role_of};
use crate::secret::Secret;
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
    if let Some(tags) = state.request.values.list("tags") {
        if let Some(tag) = tags.iter().find(|tag| tag.contains(char::is_whitespace)) {
            let tag = tag.escape_debug();
            return Err(usage(format!("DD_TAGS: `{tag}` holds a blank, which parts tags in a variable")));
        }
        set.put("DD_TAGS", tags.join(" "), "tags of all data");
    }
    if role.is_agent() {
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
    // system-probe resolves no handles.
    let takes = |text: &str| role != Role::SystemProbe || !Secret::new(text).is_handle();
    for extra in &request.extras {
        if is_of(extra.file, role) {
            if extra.is_secret() {
                let path = &extra.path;
                return Err(usage(format!(
                    "--set {path}: a secret does not go into a document; give an ENC[…] handle"
                )));
            }
            let text = plain(extra)?;
            if takes(&text) {
                set.put(&variable(&extra.path.to_string()), text, "asked for");
            }
        }
    }
    for (setting, value) in given(request) {
        if setting.lands.is_empty() && setting.also.is_empty() {
            if role.is_agent() && !of_render(setting) {
                notes.push(format!("{} is left out: it is about a host", setting.name()));
            }
            if setting.key == "fips_proxy_version" && !set.state.fips {
                notes.push(format!("{} is left out: there is no FIPS proxy without DD_FIPS_MODE", setting.name()));
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
        for (_, path) in setting.lands.iter().filter(|(file, _)| is_of(*file, role) && takes(&text)) {
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

/// Settings that are written as they are.
fn given(request: &Request) -> impl Iterator<Item = (&'static Setting, &settings::Value)> {
    request.values.iter().filter(|(setting, _)| !MEANT.contains(&setting.key))
}

/// Settings that have no place in the Agent's files and that `render` reads elsewhere.
fn of_render(setting: &Setting) -> bool {
    let read = ["api_key_file", "agent_flavor", "agent_minor_version", "agent_major_version", "fips_proxy_version"];
    read.contains(&setting.key)
}

/// Whether a container reads a file: datadog.yaml is read by all that send.
fn is_of(file: File, role: Role) -> bool {
    match file {
        File::Datadog | File::Dogstatsd => role.sends(),
        File::SystemProbe => role.probes(),
        File::SecurityAgent => matches!(role, Role::Security | Role::Whole),
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

/// What the chart has values for: variables, and those that are left for system-probe.
pub struct Chart {
    pub direct_send: Option<String>,
    pub activity_dump: Option<String>,
    pub discovery: Option<String>,
    pub probe: Vec<Variable>,
}

impl State<'_> {
    /// What system-probe is told by the chart: `shared` reaches it, too.
    pub(super) fn chart(&self, shared: &[Variable]) -> Result<Chart> {
        let mut probe = variables(self, Role::SystemProbe, None, &mut Vec::new())?;
        let known = ["DD_SITE", "DD_TAGS", "HOST_ROOT"];
        let always = ["runtime_security_config.enabled", "runtime_security_config.network.enabled"].map(variable);
        probe.retain(|v| {
            let name = v.name.as_str();
            !known.contains(&name) && !always.iter().chain(shared.iter().map(|v| &v.name)).any(|other| other == name)
        });
        // A switch: another text stays a variable.
        let mut take = |path: &str| {
            let name = variable(path);
            let at = probe.iter().position(|v| v.name == name && ["true", "false"].contains(&v.value.as_str()))?;
            Some(probe.remove(at).value)
        };
        let direct_send = take("runtime_security_config.direct_send_from_system_probe");
        let activity_dump = take("runtime_security_config.activity_dump.enabled");
        let discovery = take("discovery.enabled").or_else(|| self.fips.then(|| "false".to_owned()));
        Ok(Chart { direct_send, activity_dump, discovery, probe })
    }

    /// Names what was asked for and no container takes.
    pub(super) fn left_out(&self, notes: &mut Vec<String>) {
        let roles = match self.target {
            Target::Kubernetes => self.roles(),
            // Its values have room for system-probe's variables, and for all.
            Target::Helm if self.cws => vec![Role::Agent, Role::SystemProbe],
            Target::Helm => vec![Role::Agent],
            _ => return,
        };
        let mut note = |name: &str, file: File, path: &str| {
            let valued = self.target == Target::Helm && path == "discovery.enabled";
            if !valued && !roles.iter().any(|role| is_of(file, *role)) {
                let without = if self.cws { "" } else { " without DD_RUNTIME_SECURITY_CONFIG_ENABLED" };
                notes.push(format!("{name} is left out: nothing here takes what is for {}{without}", file.name()));
            }
        };
        for extra in &self.request.extras {
            let path = extra.path.to_string();
            note(&format!("--set {}:{path}", extra.file.name()), extra.file, &path);
        }
        for (setting, value) in given(self.request) {
            let also = setting.also.iter().filter(|_| *value == settings::Value::Bool(true));
            let also = also.map(|(file, path, _)| (*file, *path));
            for (file, path) in setting.lands.iter().copied().chain(also) {
                note(&setting.name(), file, path);
            }
        }
    }

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
