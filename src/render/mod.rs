//! The state that a request describes, as documents that containers are started from. Pure: it reads no host and no
//! key. Rights come from the table in `review::capabilities`, so that what is made here is what the review expects.

mod variables;

use minijinja::{Value, context};

use crate::config::templates::Template;
use crate::error::{Error, Kind, Result};
use crate::request::Request;
use crate::review::capabilities::{Feature, Grant, Need, Platform, Role, Row, rows_for};
use crate::review::{FIRST_PORT, PARAMETER, PORTS, SECRET};
use crate::settings::row;
use crate::types::{Flavor, Pin};

use variables::{Variable, variables};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Helm,
    Kubernetes,
    Docker,
    Compose,
    EcsFargate,
    EcsEc2,
    Beanstalk,
}

/// Every target with its name.
pub const TARGETS: [(&str, Target); 7] = [
    ("helm", Target::Helm),
    ("kubernetes", Target::Kubernetes),
    ("docker", Target::Docker),
    ("compose", Target::Compose),
    ("ecs-fargate", Target::EcsFargate),
    ("ecs-ec2", Target::EcsEc2),
    ("beanstalk", Target::Beanstalk),
];

/// What only containers have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the secret that holds the API key: a Kubernetes Secret, or the ARN or name of a parameter for ECS.
    pub secret: Option<String>,
    pub namespace: Option<String>,
    /// Where images come from: `public.ecr.aws/datadog`.
    pub registry: Option<String>,
}

/// A document, and what is worth saying of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    pub notes: Vec<String>,
}

/// The registry that the vendor uses for GovCloud, and that has all images (chart's registry by site).
const REGISTRY: &str = "public.ecr.aws/datadog";

/// What the request comes to in containers.
pub(crate) struct State<'r> {
    request: &'r Request,
    target: Target,
    platform: Platform,
    /// With the FIPS proxy.
    fips: bool,
    cws: bool,
    network: bool,
    compliance: bool,
    logs: bool,
    apm: bool,
    site: String,
    features: Vec<Feature>,
}

/// Makes the document for a target.
pub fn render(request: &Request, target: Target, options: &Options) -> Result<Rendered> {
    let state = State::new(request, target)?;
    let image = state.image()?;
    let registry = checked("--registry", options.registry.as_deref().unwrap_or(REGISTRY), "._-/:")?;
    let secret = match target {
        Target::EcsFargate | Target::EcsEc2 => options.secret.as_deref().unwrap_or(PARAMETER),
        _ => options.secret.as_deref().unwrap_or(SECRET.0),
    };
    let secret = checked("--secret", secret, "._-/:+=@")?;
    let namespace = checked("--namespace", options.namespace.as_deref().unwrap_or("datadog"), "-")?;
    let proxy = match &request.proxy_pin {
        Some(Pin::Exact(version)) => version.to_string(),
        Some(Pin::Minor { .. }) => return Err(no_image("fips_proxy_version")),
        None => crate::review::fips::PROXY_TAG.to_owned(),
    };
    let handle = request.api_key.as_ref().filter(|key| key.is_handle()).map(|key| key.reveal().trim().to_owned());
    let mut notes = Vec::new();
    let whole = variables(&state, Role::Whole, handle.as_deref(), &mut notes)?;
    let containers = state.containers(&image, handle.as_deref())?;
    let rows = state.rows(Role::Whole);
    let shown = |variables: &[Variable]| variables.iter().map(Variable::shown).collect::<Vec<_>>();
    let mut volumes: Vec<Value> = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    let roles: Vec<Role> = match target {
        Target::Kubernetes => state.roles(),
        _ => vec![Role::Whole],
    };
    for mount in roles.iter().flat_map(|role| state.rows(*role)) {
        if let Grant::Mount { name, host, writable, .. } = mount.grant
            && !named.contains(&name)
        {
            named.push(name);
            volumes.push(context! { name, host, writable });
        }
    }
    let shared = state.shared(&mut notes)?;
    let chart = state.chart(&shared)?;
    state.left_out(&mut notes);
    let values = context! {
        proxy, registry, namespace, volumes, containers,
        image => image.as_str(),
        secret => secret.as_str(),
        handle => handle.as_deref(),
        key => SECRET.1,
        fips => state.fips,
        cws => state.cws,
        network => state.network,
        compliance => state.compliance,
        logs => state.logs,
        apm => state.apm,
        site => state.site.as_str(),
        builtin => state.flavor() == Flavor::FipsAgent,
        ports => (FIRST_PORT..FIRST_PORT + PORTS).collect::<Vec<i64>>(),
        first => FIRST_PORT,
        count => PORTS,
        env => shown(&whole),
        probe_env => shown(&chart.probe),
        direct_send => chart.direct_send,
        activity_dump => chart.activity_dump,
        discovery => chart.discovery,
        shared_env => shown(&shared),
        tags => request.values.list("tags").unwrap_or_default().to_vec(),
        caps => grants(&rows),
        mounts => mounts(&rows),
        host_pid => has(&rows, Grant::HostPid),
        cgroup => has(&rows, Grant::HostCgroup),
        apparmor => has(&rows, Grant::AppArmor),
        secret_file => handle.as_deref().and_then(secret_file),
        role_of => handle.as_deref().and_then(secret_of_cluster),
        probe_settings => state.probe_settings(),
        fargate => target == Target::EcsFargate,
    };
    let template = match target {
        Target::Helm => Template::Helm,
        Target::Kubernetes => Template::Kubernetes,
        Target::Docker => Template::Docker,
        Target::Compose => Template::Compose,
        Target::EcsFargate => Template::EcsFargate,
        Target::EcsEc2 => Template::EcsEc2,
        Target::Beanstalk => Template::Beanstalk,
    };
    let text = template.render(values)?;
    state.tell(&handle, &secret, &mut notes);
    notes.sort();
    notes.dedup();
    Ok(Rendered { text, notes })
}

fn usage(what: String) -> Error {
    Error::new(Kind::Usage, what).hint("correct the input and run again; `ddinstall help render` lists the options")
}

/// A name that goes into documents where it cannot be quoted.
fn checked(name: &str, text: &str, more: &str) -> Result<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    if text.is_empty() || !text.chars().all(good) {
        return Err(usage(format!("{name}: `{}` holds a character that no such name has", text.escape_debug())));
    }
    Ok(text.to_owned())
}

fn no_image(key: &str) -> Error {
    let name = row(key).name();
    let hint = "name the whole version, such as 58.2: an image is of one release";
    Error::new(Kind::Usage, format!("{name}: a version without its last number names no image")).hint(hint)
}

/// `ENC[k8s_secret@namespace/name/key]`
fn secret_of_cluster(handle: &str) -> Option<Value> {
    let inside = handle.strip_prefix("ENC[k8s_secret@")?.strip_suffix(']')?;
    let mut parts = inside.split('/');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    (plain(namespace) && plain(name)).then(|| context! { namespace, name })
}

/// `ENC[file@/run/secrets/name]`: the name.
fn secret_file(handle: &str) -> Option<String> {
    let name = handle.strip_prefix("ENC[file@/run/secrets/")?.strip_suffix(']')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

fn has(rows: &[&Row], grant: Grant) -> Option<&'static str> {
    rows.iter().find(|row| row.grant == grant).map(|row| row.why)
}

fn grants(rows: &[&Row]) -> Vec<Value> {
    let name = |row: &&Row| match row.grant {
        Grant::Capability(name) => Some(context! { name, why => row.why }),
        _ => None,
    };
    rows.iter().filter_map(name).collect()
}

fn mounts(rows: &[&Row]) -> Vec<Value> {
    let mount = |row: &&Row| match row.grant {
        Grant::Mount { name, host, path, writable } => Some(context! { name, host, path, writable, why => row.why }),
        _ => None,
    };
    rows.iter().filter_map(mount).collect()
}

impl<'r> State<'r> {
    fn new(request: &'r Request, target: Target) -> Result<State<'r>> {
        let platform = match target {
            Target::Helm | Target::Kubernetes => Platform::Kubernetes,
            Target::Docker | Target::Compose => Platform::Docker,
            Target::EcsFargate => Platform::Fargate,
            Target::EcsEc2 => Platform::EcsEc2,
            Target::Beanstalk => Platform::Beanstalk,
        };
        let flavor = request.flavor.unwrap_or_default();
        if !matches!(flavor, Flavor::Agent | Flavor::FipsAgent) {
            let what = format!("DD_AGENT_FLAVOR: there is no document for {flavor} in containers");
            return Err(Error::new(Kind::Unsupported, what).hint("leave it unset, or use datadog-fips-agent"));
        }
        let on = |wish: Option<bool>| wish == Some(true);
        let fips = on(request.fips);
        if fips && platform == Platform::Beanstalk {
            let what = "the FIPS proxy does not support Elastic Beanstalk: its containers share no loopback address, and the Agent takes no other for the proxy";
            let hint = "use the Agent that has FIPS built in: DD_AGENT_FLAVOR=datadog-fips-agent without DD_FIPS_MODE";
            return Err(Error::new(Kind::Unsupported, what).hint(hint));
        }
        let cws = on(request.cws);
        let (logs, compliance) = (on(request.logs), on(request.compliance));
        if compliance && platform == Platform::Fargate {
            let what = "DD_COMPLIANCE_CONFIG_ENABLED: Fargate has no host that could be checked";
            return Err(Error::new(Kind::Unsupported, what).hint("leave it out"));
        }
        let apm = request.values.bool("apm_enabled") != Some(false);
        let network = request.values.bool("runtime_security_config_network_enabled") != Some(false) && cws;
        let gov = fips || flavor == Flavor::FipsAgent;
        let usual = if gov { "ddog-gov.com" } else { "datadoghq.com" };
        let site = request.site.as_ref().map_or(usual.to_owned(), ToString::to_string);
        let all = [
            (true, Feature::Core),
            (logs, Feature::Logs),
            (apm, Feature::Apm),
            (cws, Feature::Cws),
            (compliance, Feature::Compliance),
            (fips, Feature::Fips),
        ];
        let features = all.into_iter().filter(|(on, _)| *on).map(|(_, feature)| feature).collect();
        let state = State { request, target, platform, fips, cws, network, compliance, logs, apm, site, features };
        Ok(state)
    }

    fn flavor(&self) -> Flavor {
        self.request.flavor.unwrap_or_default()
    }

    /// The tag of the Agent's image.
    fn image(&self) -> Result<String> {
        let version = match &self.request.agent_pin {
            None => "7".to_owned(),
            Some(Pin::Exact(version)) => version.to_string().replace('~', "-"),
            Some(Pin::Minor { .. }) => return Err(no_image("agent_minor_version")),
        };
        Ok(if self.flavor() == Flavor::FipsAgent { format!("{version}-fips") } else { version })
    }

    /// Containers of a pod.
    fn roles(&self) -> Vec<Role> {
        let all = [
            (Role::Agent, true),
            (Role::Trace, self.apm),
            (Role::SystemProbe, self.cws),
            (Role::Security, self.cws || self.compliance),
        ];
        all.into_iter().filter(|(_, on)| *on).map(|(role, _)| role).collect()
    }

    /// Rights of a container: each once, and the wider mode where two features differ.
    fn rows(&self, role: Role) -> Vec<&'static Row> {
        let mut rows: Vec<&'static Row> = Vec::new();
        for row in rows_for(role, self.platform, &self.features).filter(|row| row.need >= Need::Usual) {
            if !rows.iter().any(|known| known.grant == row.grant) {
                rows.push(row);
            }
        }
        rows
    }

    fn containers(&self, image: &str, handle: Option<&str>) -> Result<Vec<Value>> {
        let mut containers = Vec::new();
        for role in self.roles() {
            let rows = self.rows(role);
            let env: Vec<Value> = variables(self, role, handle, &mut Vec::new())?.iter().map(Variable::shown).collect();
            let command: &[&str] = match role {
                Role::Agent => &["agent", "run"],
                Role::Trace => &["trace-agent", "-config=/etc/datadog-agent/datadog.yaml"],
                Role::SystemProbe => {
                    &["/opt/datadog-agent/embedded/bin/system-probe", "--config=/etc/datadog-agent/system-probe.yaml"]
                }
                _ => &["security-agent", "start", "-c=/etc/datadog-agent/datadog.yaml"],
            };
            // The chart's own names.
            containers.push(context! {
                name => role.name(), image, env,
                command => command.to_vec(),
                agent => role == Role::Agent,
                probe => role == Role::SystemProbe,
                caps => grants(&rows),
                mounts => mounts(&rows),
                apparmor => has(&rows, Grant::AppArmor),
                run => !rows.iter().any(|row| matches!(row.grant, Grant::Mount { path: "/opt/datadog-agent/run", .. })),
            });
        }
        Ok(containers)
    }

    /// Lines of system-probe.yaml.
    fn probe_settings(&self) -> Vec<Value> {
        let line = |text: &str, why: &str| context! { text, why };
        let mut lines = vec![
            line("system_probe_config:", ""),
            line("  sysprobe_socket: /var/run/sysprobe/sysprobe.sock", "in the volume that the containers share"),
            line("runtime_security_config:", ""),
            line("  enabled: true", "CWS"),
            line("  socket: /var/run/sysprobe/runtime-security.sock", "in the volume that the containers share"),
        ];
        if self.fips {
            lines.push(line("  activity_dump:", ""));
            lines.push(line("    enabled: false", "they would go past the FIPS proxy"));
        }
        lines.push(line("event_monitoring_config:", ""));
        lines.push(line("  network:", ""));
        lines.push(line(&format!("    enabled: {}", self.network), "network events"));
        lines
    }

    /// What the operator should know beside the document.
    fn tell(&self, handle: &Option<String>, secret: &str, notes: &mut Vec<String>) {
        let key = SECRET.1;
        let mut note = |text: String| notes.push(text);
        match (self.target, handle) {
            (_, Some(_)) => note("the API key is resolved by the Agent from the handle that was given".into()),
            (Target::Helm | Target::Kubernetes, None) => {
                note(format!("the API key is read from the Secret {secret}, key {key}, which you make"));
            }
            (Target::EcsFargate | Target::EcsEc2, None) => {
                note(format!(
                    "the API key is read from {secret} (Secrets Manager or parameter store), which the execution role must be allowed to read"
                ));
            }
            (Target::Beanstalk, None) => note("set DD_API_KEY as an environment property, best from a secret".into()),
            (Target::Docker | Target::Compose, None) => {
                note("DD_API_KEY is taken from the environment of whoever starts the containers".into());
            }
        }
        if self.fips {
            note(format!(
                "the proxy's ports are {FIRST_PORT} to {}: {PORTS}, though the chart's default is 15; the Agent and the proxy are both told where they begin",
                FIRST_PORT + PORTS - 1
            ));
            note("off, since their data would go past the proxy: activity dumps, service discovery, telemetry, container images and lifecycle, the proxies for events".into());
            if self.cws {
                note("system-probe has the proxy's variables, too; the chart gives it none".into());
            }
        }
        if self.fips || self.flavor() == Flavor::FipsAgent {
            note("the nodes must be in FIPS mode themselves: no document can see to that".into());
        }
        if self.platform == Platform::Fargate && self.cws {
            note("CWS on Fargate traces with ptrace: start each application by /cws-instrumentation-volume/cws-instrumentation trace --, mount that volume read-only, add SYS_PTRACE, and let it wait for cws-instrumentation-init".into());
        }
        if self.platform == Platform::Fargate && self.logs {
            note("on Fargate the Agent sees no log files: send the application's logs by FireLens".into());
        }
        if self.target == Target::EcsEc2 && self.fips {
            note(
                "the task has the host's network: with bridge, each container would have a loopback of its own".into(),
            );
        }
    }
}
