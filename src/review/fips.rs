//! Whether Agent and FIPS proxy fit together, and what goes past the proxy.

use super::capabilities::{Platform, Role};
use super::mend::{FIRST_PORT, Mend, PORTS};
use super::model::{Container, Finding, Variable, Workload};
use super::read::image_tag;
use super::rules::finding;
use crate::config::yaml::places::Change;
use crate::settings::File;
use crate::settings::bypass::{Default, PRODUCTS, Product, names_endpoints, variable};

/// The container that a product sends from.
pub fn role_of(product: &Product) -> Role {
    match product.file {
        File::SystemProbe => Role::SystemProbe,
        _ if product.path.contains("_proxy_config.") => Role::Trace,
        _ => Role::Agent,
    }
}

/// Whether it sends where nothing is set. In a cluster there are containers.
pub fn is_default(product: &Product) -> bool {
    product.on != Default::Off
}

/// What the Agent ignores while it sends through the proxy.
const IGNORED: [&str; 9] = [
    "DD_DD_URL",
    "DD_URL",
    "DD_APM_DD_URL",
    "DD_PROCESS_CONFIG_PROCESS_DD_URL",
    "DD_LOGS_CONFIG_LOGS_DD_URL",
    "DD_PROXY_HTTP",
    "DD_PROXY_HTTPS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
];

/// The proxy that fixes bring in (vendor's chart).
pub const PROXY_TAG: &str = "1.1.29";

/// Whether a bypass is one where these containers run.
pub fn applies(path: &str, role: Role, workload: &Workload) -> bool {
    let runs = workload.containers.iter().any(|c| c.role == role || c.role == Role::Whole);
    let probes = workload.platform != Platform::Fargate;
    runs && (role != Role::SystemProbe || (workload.cws() && (probes || path.contains("activity_dump"))))
}

pub fn check(mend: &Mend, others: bool, found: &mut Vec<Finding>) {
    let workload = mend.workload;
    let senders: Vec<&Container> = workload.containers.iter().filter(|c| c.role.sends()).collect();
    let Some(first) = senders.first() else { return };
    let mut add = |id: &str, at: &str, what: String, fix: Vec<Change>| {
        found.push(finding(id, workload.document, at, what, fix));
    };
    let proxy = workload.of(Role::Proxy);
    let built_in = senders.iter().find(|c| image_tag(&c.image).is_some_and(|tag| tag.contains("-fips")));
    let on = |container: &Container| {
        let mut fix = mend.set(container, "DD_FIPS_ENABLED", "true");
        fix.extend(mend.set(container, "DD_FIPS_HTTPS", "false"));
        fix
    };
    if !workload.fips() {
        // Whether they use it stands elsewhere.
        let unread = senders.iter().any(|container| container.is_unread("DD_FIPS_ENABLED"));
        if unread || built_in.is_some() {
            return;
        }
        if let Some(proxy) = proxy {
            let fix = senders.iter().flat_map(|container| on(container)).collect();
            add("fips-agent-off", &proxy.at, "the FIPS proxy runs, and the Agent does not use it".into(), fix);
        } else if others {
            let what = format!("{} has no DD_FIPS_ENABLED, and other workloads of this file have", workload.name);
            let fix = senders.iter().flat_map(|container| on(container)).collect();
            add("fips-partial", &first.at, what, fix);
        }
        return;
    }
    if let Some(container) = built_in {
        let tag = container.image.replacen("-fips", "", 1);
        let at = format!("{}/image", container.at);
        let what = format!("{}: the image has FIPS built in and ignores DD_FIPS_ENABLED", container.name);
        return add("fips-image", &at, what, vec![Change::Put(at.clone(), crate::config::yaml::Value::Str(tag))]);
    }
    if workload.platform == Platform::Beanstalk {
        let at = first.variable("DD_FIPS_ENABLED").map_or(&first.at, |v| &v.at);
        return add("fips-platform", at, "the Agent cannot reach the FIPS proxy in Elastic Beanstalk".into(), vec![]);
    }
    let start = |container: &Container| workload.said(container, "fips.port_range_start")?.parse::<i64>().ok();
    let port = senders.iter().find_map(|c| start(c)).unwrap_or(FIRST_PORT);
    for container in &senders {
        let name = &container.name;
        let place = |name: &str| container.variable(name).map_or(container.at.clone(), |v| v.at.clone());
        if container.is_unread("DD_FIPS_ENABLED") {
            continue;
        }
        if workload.switch(container, "fips.enabled") != Some(true) {
            let mut fix = on(container);
            if port != FIRST_PORT {
                fix.extend(mend.set(container, "DD_FIPS_PORT_RANGE_START", &port.to_string()));
            }
            let what = format!("{name}: DD_FIPS_ENABLED is not true, and it is elsewhere");
            add("fips-partial", &place("DD_FIPS_ENABLED"), what, fix);
            continue;
        }
        if workload.switch(container, "fips.https") != Some(false) && !container.is_unread("DD_FIPS_HTTPS") {
            let what = format!("{name}: DD_FIPS_HTTPS is not false");
            add("fips-https", &place("DD_FIPS_HTTPS"), what, mend.set(container, "DD_FIPS_HTTPS", "false"));
        }
        if start(container).unwrap_or(FIRST_PORT) != port {
            let fix = mend.set(container, "DD_FIPS_PORT_RANGE_START", &port.to_string());
            let what = format!("{name}: its first port of the proxy is not {port} as elsewhere");
            add("fips-port", &place("DD_FIPS_PORT_RANGE_START"), what, fix);
        }
        if let Some(address) = workload.said(container, "fips.local_address").filter(|address| !is_loopback(address)) {
            let what = format!(
                "{name}: the proxy's address (DD_FIPS_LOCAL_ADDRESS, fips.local_address) is {}, no loopback address",
                address.escape_debug()
            );
            let fix = mend.set(container, "DD_FIPS_LOCAL_ADDRESS", "127.0.0.1");
            add("fips-address", &place("DD_FIPS_LOCAL_ADDRESS"), what, fix);
        }
        let site = container.variable("DD_SITE");
        let needed = container.role.is_agent() || container.role == Role::Cluster;
        let by_file = workload.settings.iter().any(|(path, site)| path == "site" && site == "ddog-gov.com");
        let wrong = match site.map(|v| v.value.as_deref()) {
            Some(Some(site)) => site != "ddog-gov.com",
            Some(None) => false,
            None => needed && !by_file,
        };
        if wrong {
            let said = site.and_then(|v| v.value.as_deref()).unwrap_or("not set");
            let what = format!("{name}: DD_SITE is {}", said.escape_debug());
            add("fips-site", &place("DD_SITE"), what, mend.set(container, "DD_SITE", "ddog-gov.com"));
        }
        for variable in &container.variables {
            ignored(mend, container, variable, &mut add);
        }
    }
    for product in &PRODUCTS {
        let (path, role, name) = (product.path, role_of(product), variable(product.path));
        let default = is_default(product) && applies(path, role, workload);
        for container in &senders {
            let own = container.variable(&name);
            // One that does not send it may have it on all the same.
            let here = container.role == role || container.role == Role::Whole;
            let at = own.map_or(&container.at, |v| &v.at);
            let fix = || mend.set(container, &name, "false");
            match workload.switch(container, path) {
                Some(true) if here || own.is_some() => {
                    add("fips-bypass", at, format!("{}: {name} is on", container.name), fix());
                }
                None if here && default && !container.is_unread(&name) => {
                    add("fips-bypass-default", at, format!("{}: {name} is not set", container.name), fix());
                }
                _ => {}
            }
        }
    }
    for (path, _) in workload.settings.iter().filter(|(path, _)| names_endpoints(path)) {
        let what = format!("{}: {path} is set in a file that is mounted", first.name);
        add("fips-bypass", &first.at, what, Vec::new());
    }
    let Some(proxy) = proxy else {
        let image = senders.iter().find_map(|c| c.image.rsplit_once('/')).map_or("datadog", |(registry, _)| registry);
        let fix = mend.proxy(&format!("{image}/fips-proxy:{PROXY_TAG}"));
        return add(
            "fips-proxy-missing",
            &first.at,
            "the Agent is to use the FIPS proxy, and there is none".into(),
            fix,
        );
    };
    check_proxy(mend, proxy, port, &mut add);
}

fn check_proxy(mend: &Mend, proxy: &Container, port: i64, add: &mut impl FnMut(&str, &str, String, Vec<Change>)) {
    let workload = mend.workload;
    let place = |name: &str| proxy.variable(name).map_or(proxy.at.clone(), |v| v.at.clone());
    let own = proxy.text("DD_FIPS_PORT_RANGE_START").map_or(Some(FIRST_PORT), |text| text.parse().ok());
    if own != Some(port) {
        let fix = mend.set(proxy, "DD_FIPS_PORT_RANGE_START", &port.to_string());
        let own = own.map_or("no number".into(), |own| own.to_string());
        let what = format!("the proxy's first port is {own}, and the Agent uses {port}");
        add("fips-port", &place("DD_FIPS_PORT_RANGE_START"), what, fix);
    }
    if !proxy.text("DD_FIPS_LOCAL_ADDRESS").is_some_and(is_loopback) {
        let fix = mend.set(proxy, "DD_FIPS_LOCAL_ADDRESS", "127.0.0.1");
        let what = "the proxy's DD_FIPS_LOCAL_ADDRESS is no loopback address".into();
        add("fips-address", &place("DD_FIPS_LOCAL_ADDRESS"), what, fix);
    }
    if workload.platform == Platform::Docker {
        if !proxy.ports.is_empty() {
            let at = format!("{}/ports", proxy.at);
            add("fips-published", &at, "the proxy's ports are published".into(), vec![Change::Remove(at.clone())]);
        }
    } else if !proxy.ports.is_empty() {
        let missing: Vec<i64> = (port..port + PORTS).filter(|port| !proxy.ports.contains(port)).collect();
        if let Some(first) = missing.first() {
            let list = if workload.platform == Platform::Kubernetes { "ports" } else { "portMappings" };
            let what = format!("{} of the proxy's {PORTS} ports are not listed, such as {first}", missing.len());
            let fix = missing.iter().flat_map(|port| mend.port(proxy, *port)).collect();
            add("fips-ports", &format!("{}/{list}", proxy.at), what, fix);
        }
    }
    let Some(agent) = workload.containers.iter().find(|c| c.role.is_agent()) else { return };
    let joins = |a: &Container, b: &Container| {
        let name = a.network.as_deref().and_then(|network| network.split_once(':')).map(|(_, name)| name);
        name.is_some_and(|name| name == b.name)
    };
    let hosts = [agent, proxy].iter().all(|c| c.network.as_deref() == Some("host"));
    if !workload.shares_loopback.unwrap_or_else(|| joins(proxy, agent) || joins(agent, proxy) || hosts) {
        let what = "the proxy and the Agent have networks of their own, so the Agent cannot reach it";
        let (at, value) = match workload.platform {
            Platform::Docker => (format!("{}/network_mode", proxy.at), format!("service:{}", agent.name)),
            _ => (format!("{}/networkMode", workload.at), "host".into()),
        };
        let fix = vec![Change::Put(at.clone(), crate::config::yaml::Value::Str(value))];
        add("fips-loopback", &at, what.into(), fix);
    }
}

fn ignored(
    mend: &Mend,
    container: &Container,
    variable: &Variable,
    add: &mut impl FnMut(&str, &str, String, Vec<Change>),
) {
    let name = variable.name.as_str();
    let set = variable.value.as_deref() != Some("");
    let fix = || mend.unset(variable);
    if set && name.starts_with("DD_") && names_endpoints(name) {
        add("fips-bypass", &variable.at, format!("{}: {name} is set", container.name), fix());
    } else if set && IGNORED.contains(&name) {
        add("fips-ignored", &variable.at, format!("{}: {name} is set", container.name), fix());
    }
}

fn is_loopback(address: &str) -> bool {
    let parsed = address.parse::<std::net::IpAddr>();
    address == "localhost" || parsed.is_ok_and(|address| address.is_loopback())
}
