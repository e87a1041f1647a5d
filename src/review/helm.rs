//! Values of the vendor's Helm chart. The chart makes the pods; here it counts what it is told, and what it would not
//! do with it (chart datadog 3.240: values.yaml, _container-fips-proxy.yaml).

use super::capabilities::Role;
use super::fips::{is_default, role_of};
use super::mend::{FIRST_PORT, PORTS, SECRET, from_secret, pair};
use super::model::{Finding, Variable};
use super::read::{Place, kubernetes::flatten, written};
use super::rights::{is_plain, is_secret};
use super::rules::{finding, rule};
use crate::config::yaml::Value;
use crate::config::yaml::places::Change::{self, Put, Remove};
use crate::secret::Secret;
use crate::settings::bypass::{PRODUCTS, Product, names_endpoints, switch, variable as by_variable};

/// Names of values that are looked at, and their kinds: `b` a switch, `i` a number, `s` a text.
const TYPES: [(&str, char); 29] = [
    ("useFIPSAgent", 'b'),
    ("fips/enabled", 'b'),
    ("fips/port", 'i'),
    ("fips/portRange", 'i'),
    ("fips/use_https", 'b'),
    ("fips/local_address", 's'),
    ("fips/image/tag", 's'),
    ("datadog/site", 's'),
    ("datadog/apiKeyExistingSecret", 's'),
    ("datadog/logs/enabled", 'b'),
    ("datadog/logs/containerCollectAll", 'b'),
    ("datadog/apm/portEnabled", 'b'),
    ("datadog/apm/socketEnabled", 'b'),
    ("datadog/securityAgent/runtime/enabled", 'b'),
    ("datadog/securityAgent/runtime/network/enabled", 'b'),
    ("datadog/securityAgent/runtime/activityDump/enabled", 'b'),
    ("datadog/securityAgent/runtime/directSendFromSystemProbe", 'b'),
    ("datadog/securityAgent/compliance/enabled", 'b'),
    ("datadog/discovery/enabled", 'b'),
    ("datadog/containerImageCollection/enabled", 'b'),
    ("datadog/containerLifecycle/enabled", 'b'),
    ("datadog/sbom/containerImage/enabled", 'b'),
    ("datadog/sbom/host/enabled", 'b'),
    ("datadog/networkPath/connectionsMonitoring/enabled", 'b'),
    ("datadog/otelCollector/enabled", 'b'),
    ("datadog/privateActionRunner/enabled", 'b'),
    ("clusterAgent/privateActionRunner/enabled", 'b'),
    ("remoteConfiguration/enabled", 'b'),
    ("agents/image/tag", 's'),
];

/// Values that turn on what goes past the proxy, by its switch in the Agent's files; the others have variables alone.
const VALUES: [(&str, &[&str]); 8] = [
    ("container_image.enabled", &["datadog/containerImageCollection/enabled"]),
    ("container_lifecycle.enabled", &["datadog/containerLifecycle/enabled"]),
    ("sbom.enabled", &["datadog/sbom/containerImage/enabled", "datadog/sbom/host/enabled"]),
    ("network_path.connections_monitoring.enabled", &["datadog/networkPath/connectionsMonitoring/enabled"]),
    ("otelcollector.enabled", &["datadog/otelCollector/enabled"]),
    (
        "private_action_runner.enabled",
        &["datadog/privateActionRunner/enabled", "clusterAgent/privateActionRunner/enabled"],
    ),
    ("discovery.enabled", &["datadog/discovery/enabled"]),
    ("runtime_security_config.activity_dump.enabled", &["datadog/securityAgent/runtime/activityDump/enabled"]),
];

/// Sections in which every name is known: one that is not configures nothing.
const KNOWN: [(&str, &[&str]); 3] = [
    ("fips", &["enabled", "port", "portRange", "use_https", "local_address", "resources", "image", "customFipsConfig"]),
    ("datadog/securityAgent", &["runtime", "compliance"]),
    (
        "datadog/securityAgent/runtime",
        &[
            "enabled",
            "fimEnabled",
            "useSecruntimeTrack",
            "network",
            "syscallMonitor",
            "activityDump",
            "securityProfile",
            "enforcement",
            "directSendFromSystemProbe",
            "policies",
            "containerExclude",
            "containerInclude",
        ],
    ),
];

/// Sections that stand under `datadog`; at another place they configure nothing.
const OF_DATADOG: [&str; 9] =
    ["securityAgent", "logs", "apm", "site", "apiKey", "apiKeyExistingSecret", "tags", "systemProbe", "sbom"];

/// Whether these are values of the chart.
pub fn is_values(document: &Value) -> bool {
    let names = ["datadog", "fips", "agents", "clusterAgent", "useFIPSAgent", "securityAgent"];
    document.entries().iter().any(|(key, _)| names.contains(&key.as_str()))
}

pub fn check(document: &Value, number: usize, found: &mut Vec<Finding>, secrets: &mut Vec<Secret>) {
    let root = Place::root(document);
    let at = |keys: &str| format!("/{keys}");
    let mut add = |id: &str, keys: &str, what: String, fix: Vec<Change>| {
        found.push(finding(id, number, at(keys), what, fix));
    };
    let put = |keys: &str, value: Value| vec![Put(at(keys), value)];
    let text = |text: &str| Value::Str(text.into());
    let mut value = |keys: &str, what: String, fix: Vec<Change>| add("helm-value", keys, what, fix);

    for (keys, kind) in TYPES {
        let Some(place) = root.get(keys) else { continue };
        let (right, mended) = match (kind, place.value) {
            ('b', Value::Bool(_)) | ('i', Value::Int(_)) | ('s', Value::Str(_)) => (true, None),
            ('b', other) => (false, other.as_bool().map(Value::Bool)),
            ('i', other) => (false, written(other).parse().ok().map(Value::Int)),
            (_, other) => (false, Some(Value::Str(written(other)))),
        };
        if !right {
            let wanted = match kind {
                'b' => "true or false",
                'i' => "a number",
                _ => "a text in quotes",
            };
            let name = keys.replace('/', ".");
            let fix = mended.map_or(Vec::new(), |mended| put(keys, mended));
            value(keys, format!("{name} is not {wanted}"), fix);
        }
    }
    for (section, names) in KNOWN {
        for (name, place) in root.entries(section) {
            if !names.contains(&name) {
                let keys = place.at.trim_start_matches('/').to_owned();
                let what = format!("{}.{} is no value of the chart", section.replace('/', "."), name.escape_debug());
                value(&keys, what, vec![Remove(place.at)]);
            }
        }
    }
    for name in OF_DATADOG {
        if let Some(place) = root.get(name) {
            let what = format!("{name} configures nothing here: it belongs under datadog");
            let moved = root.get(&format!("datadog/{name}")).is_none();
            let mut fix = vec![Remove(place.at.clone())];
            if moved {
                fix.push(Put(at(&format!("datadog/{name}")), place.value.clone()));
            }
            value(name, what, fix);
        }
    }
    if let Some(place) = root.get("datadog/fips") {
        let mut fix = vec![Remove(place.at.clone())];
        if root.get("fips").is_none() {
            fix.push(Put("/fips".into(), place.value.clone()));
        }
        value("datadog/fips", "datadog.fips configures nothing: fips stands at the top".into(), fix);
    }

    let fips = root.flag("fips/enabled").on;
    let built_in = root.flag("useFIPSAgent").on;
    let cws = root.flag("datadog/securityAgent/runtime/enabled").on;
    for keys in ["datadog/apiKey", "datadog/appKey", "clusterAgent/token"] {
        let secret = root.text(keys).map(Secret::new).filter(|secret| !secret.is_handle());
        let Some(secret) = secret.filter(|secret| !secret.reveal().is_empty()) else { continue };
        secrets.push(secret);
        let what = format!("{} stands in the values", keys.replace('/', "."));
        let mut fix = vec![Remove(at(keys))];
        let named = if keys == "clusterAgent/token" { "clusterAgent/tokenExistingSecret" } else { keys };
        let named = if named == keys { format!("{keys}ExistingSecret") } else { named.to_owned() };
        if root.get(&named).is_none() {
            fix.push(Put(at(&named), text(SECRET.0)));
        }
        add("secret-plain", keys, what, fix);
    }
    if built_in && fips {
        let what = "useFIPSAgent and fips.enabled are both on: the FIPS Agent takes no proxy".into();
        add("fips-image", "useFIPSAgent", what, put("useFIPSAgent", Value::Bool(false)));
    }
    if (fips || built_in) && root.text("datadog/site") != Some("ddog-gov.com") {
        let said = root.text("datadog/site").unwrap_or("not set").escape_debug().to_string();
        if fips || !said.ends_with("ddog-gov.com") {
            add(
                "fips-site",
                "datadog/site",
                format!("datadog.site is {said}"),
                put("datadog/site", text("ddog-gov.com")),
            );
        }
    }
    privileges(&root, number, cws, found);
    variables(&root, number, fips && !built_in, found, secrets);
    if !fips || built_in {
        return;
    }
    let mut add = |id: &str, keys: &str, what: String, fix: Vec<Change>| {
        found.push(finding(id, number, at(keys), what, fix));
    };
    if root.flag("fips/use_https").on {
        let fix = put("fips/use_https", Value::Bool(false));
        add("fips-https", "fips/use_https", "fips.use_https is on".into(), fix);
    }
    let port = root.int("fips/port").map_or(FIRST_PORT, |(port, _)| port);
    if port != FIRST_PORT {
        let what = format!("fips.port is {port}, and the chart does not tell the proxy, which listens from 9803");
        add("fips-port", "fips/port", what, put("fips/port", Value::Int(FIRST_PORT)));
    }
    let range = root.int("fips/portRange").map_or(15, |(range, _)| range);
    if range < PORTS {
        let what =
            format!("fips.portRange is {range}: it ends one port short of NetFlow's, {}", FIRST_PORT + PORTS - 1);
        add("fips-ports", "fips/portRange", what, put("fips/portRange", Value::Int(PORTS)));
    }
    if let Some(address) = root.text("fips/local_address").filter(|a| *a != "localhost" && !a.starts_with("127.")) {
        let what = format!("fips.local_address is {}", address.escape_debug());
        add("fips-address", "fips/local_address", what, put("fips/local_address", text("127.0.0.1")));
    }
    if root.get("fips/customFipsConfig").is_some_and(|place| !is_empty(place.value)) {
        let fix = vec![Remove(at("fips/customFipsConfig"))];
        add(
            "fips-config",
            "fips/customFipsConfig",
            "fips.customFipsConfig replaces the proxy's configuration".into(),
            fix,
        );
    }
    bypasses(&root, number, cws, found);
    let mut add = |id: &str, keys: &str, what: String, fix: Vec<Change>| {
        found.push(finding(id, number, at(keys), what, fix));
    };
    if cws {
        let probe = "agents/containers/systemProbe/env";
        let has = root.get(probe).is_some_and(|env| env.variables_named("DD_FIPS_ENABLED"));
        if !has {
            let all = [
                ("DD_FIPS_ENABLED", "true"),
                ("DD_FIPS_HTTPS", "false"),
                ("DD_FIPS_PORT_RANGE_START", "9803"),
                ("DD_FIPS_LOCAL_ADDRESS", "127.0.0.1"),
            ];
            let fix = all.map(|(name, value)| Change::Push(at(probe), pair(name, value))).to_vec();
            let what = "the chart gives system-probe no FIPS variables".into();
            add("fips-partial", probe, what, fix);
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.entries().is_empty() && value.items().is_empty() && value.as_str().is_none_or(str::is_empty)
}

/// What goes past the proxy, by values, variables and the file that the values make.
fn bypasses(root: &Place, number: usize, cws: bool, found: &mut Vec<Finding>) {
    const FILE: &str = "agents/customAgentConfig";
    const REMOTE: [&str; 2] = ["remoteConfiguration/enabled", "datadog/remoteConfiguration/enabled"];
    let mut add = |id: &str, keys: &str, what: String, fix: Vec<Change>| {
        found.push(finding(id, number, format!("/{keys}"), what, fix));
    };
    let mut file = Vec::new();
    if let Some(place) = root.get(FILE).filter(|_| root.flag("agents/useConfigMap").on) {
        flatten("", place.value, &mut file);
    }
    for (path, _) in file.iter().filter(|(path, _)| names_endpoints(path)) {
        add("fips-bypass", FILE, format!("{path} is set in agents.customAgentConfig"), Vec::new());
    }
    let of = |keys: &str| root.get(keys).map(|place| place.value.as_bool() != Some(false));
    for product in &PRODUCTS {
        let (path, name) = (product.path, by_variable(product.path));
        let mut values = VALUES.iter().find(|(known, _)| *known == path).map_or(&[][..], |(_, values)| *values);
        let here = cws || !path.contains("activity_dump");
        let mut default = is_default(product) && here;
        if path == "remote_configuration.enabled" {
            // The chart turns it on only where both say so.
            default = !REMOTE.iter().any(|keys| of(keys) == Some(false));
            values = if default { &REMOTE } else { &[] };
        }
        let by_file = file
            .iter()
            .find(|(known, _)| known == path)
            .map(|(_, text)| Value::Str(text.clone()).as_bool() == Some(true));
        let said = variable_of(root, product, &name);
        for keys in values.iter().filter(|keys| of(keys) == Some(true) && here) {
            let fix = vec![Put(format!("/{keys}"), Value::Bool(false))];
            add("fips-bypass", keys, format!("{} is on", keys.replace('/', ".")), fix);
        }
        let variable = || vec![Change::Push("/datadog/env".into(), pair(&name, "false"))];
        match (said, by_file) {
            // Variables go before the file; those that are on are told where they stand.
            (Some(_), _) => {}
            (None, Some(true)) => {
                add("fips-bypass", FILE, format!("{path} is on in agents.customAgentConfig"), variable());
            }
            // What the chart has a value for it makes a variable of.
            (None, off) if !default || off.is_some() && values.is_empty() => {}
            (None, _) => match values.first() {
                Some(keys) if of(keys).is_none() => {
                    let fix = vec![Put(format!("/{keys}"), Value::Bool(false))];
                    add("fips-bypass-default", keys, format!("{} is not set", keys.replace('/', ".")), fix);
                }
                Some(_) => {}
                None => add("fips-bypass-default", "datadog/env", format!("{name} is not set"), variable()),
            },
        }
    }
}

/// Variables of a section: a list, and a map.
fn given(section: &Place) -> Vec<Variable> {
    let mut all = section.variables("env");
    let entries = section.entries("envDict").into_iter();
    all.extend(entries.map(|(name, value)| Variable::new(name, Some(written(value.value)), value.at)));
    all
}

/// What a variable says of a product, in the container that it sends from.
fn variable_of(root: &Place, product: &Product, name: &str) -> Option<bool> {
    let own = match role_of(product) {
        Role::SystemProbe => "agents/containers/systemProbe",
        Role::Trace => "agents/containers/traceAgent",
        _ => "agents/containers/agent",
    };
    let sections = [own, "datadog"].into_iter().filter_map(|keys| root.get(keys));
    let variable = sections.flat_map(|section| given(&section)).find(|variable| variable.name == name)?;
    // One that stands elsewhere is told as such.
    Some(variable.value.is_none_or(|text| switch(&text) == Some(true)))
}

/// Variables that the values give to containers: what decides there goes before the chart's own switches.
fn variables(root: &Place, number: usize, fips: bool, found: &mut Vec<Finding>, secrets: &mut Vec<Secret>) {
    let sections = ["datadog", "clusterAgent", "clusterChecksRunner"];
    let mut lists: Vec<_> = sections.iter().map(|name| ((*name).to_owned(), root.get(name))).collect();
    let of_agent = |(name, place)| (format!("agents.containers.{name}"), Some(place));
    lists.extend(root.entries("agents/containers").into_iter().map(of_agent));
    let mut add = |id: &str, at: &str, what: String, fix| found.push(finding(id, number, at, what, fix));
    for (of, place) in lists.iter().filter_map(|(of, place)| Some((of.escape_debug(), place.as_ref()?))) {
        for set in place.items("envFrom") {
            add("variables-unread", &set.at, format!("{of}: variables of a set were not read"), Vec::new());
        }
        for variable in given(place) {
            let listed = !variable.at.contains("/envDict/");
            let at = if listed { format!("{}/value", variable.at) } else { variable.at.clone() };
            let name = variable.name.escape_debug();
            if variable.is_unread(fips) {
                add("variables-unread", &variable.at, format!("{of}: the value of {name} was not read"), Vec::new());
            }
            let Some(value) = variable.value.as_deref() else { continue };
            if variable.mistyped {
                let fix = vec![Put(at.clone(), Value::Str(value.into()))];
                add("value-type", &at, format!("{of}: the value of {name} is no text"), fix);
            }
            if is_secret(&variable.name) && is_plain(value) {
                secrets.push(Secret::new(value));
                let fix = if listed { from_secret(&variable) } else { vec![Remove(at.clone())] };
                add("secret-plain", &variable.at, format!("{of}: the value of {name} stands in the values"), fix);
            }
            let on = switch(value);
            let bypass = PRODUCTS.iter().any(|product| by_variable(product.path) == variable.name);
            let put = |word: &str| vec![Put(at.clone(), Value::Str(word.into()))];
            match variable.name.as_str() {
                _ if !fips => {}
                "DD_FIPS_ENABLED" if on != Some(true) => {
                    add("fips-partial", &variable.at, format!("{of}: {name} is not true"), put("true"));
                }
                "DD_FIPS_HTTPS" if on != Some(false) => {
                    add("fips-https", &variable.at, format!("{of}: {name} is not false"), put("false"));
                }
                _ if bypass && on == Some(true) => {
                    add("fips-bypass", &variable.at, format!("{of}: {name} is on"), put("false"));
                }
                other if other.starts_with("DD_") && names_endpoints(other) && !value.is_empty() => {
                    add("fips-bypass", &variable.at, format!("{of}: {name} is set"), vec![Remove(variable.at.clone())]);
                }
                _ => {}
            }
        }
    }
}

/// Rights that the values give beyond what the chart does by itself.
fn privileges(root: &Place, number: usize, cws: bool, found: &mut Vec<Finding>) {
    let mut add = |id: &str, at: String, what: String, fix: Vec<Change>| found.push(finding(id, number, at, what, fix));
    for (name, container) in root.entries("agents/containers") {
        let flag = container.flag("securityContext/privileged");
        if let (true, Some(at)) = (flag.on, flag.at) {
            let fix = vec![Put(at.clone(), Value::Bool(false))];
            add("privileged", at, format!("{} is privileged", name.escape_debug()), fix);
        }
        for (capability, at) in container.texts("securityContext/capabilities/add") {
            let probe = name == "systemProbe" && cws;
            let known = super::capabilities::TABLE.iter().any(|row| {
                matches!(row.grant, super::capabilities::Grant::Capability(c) if c == super::read::capability(&capability))
            });
            if !(probe && known) {
                let what = format!("{} has the capability {}", name.escape_debug(), capability.escape_debug());
                add("right-needless", at.clone(), what, vec![Remove(at)]);
            }
        }
    }
    let network = root.flag("agents/useHostNetwork");
    if let (true, Some(at)) = (network.on, network.at) {
        let fix = vec![Put(at.clone(), Value::Bool(false))];
        add("host-network", at, "agents.useHostNetwork is on".into(), fix);
    }
    for keys in ["agents/image/tag", "clusterAgent/image/tag"] {
        if root.text(keys) == Some("latest") {
            let fix = vec![Put(format!("/{keys}"), Value::Str("7".into()))];
            let what = format!("{} is latest; {}", keys.replace('/', "."), rule("image-tag").help);
            add("image-tag", format!("/{keys}"), what, fix);
        }
    }
    for volume in root.items("agents/volumes") {
        let Some(host) = volume.text("hostPath/path") else { continue };
        let mounts = root.items("agents/volumeMounts");
        for mount in mounts.iter().filter(|mount| mount.text("name") == volume.text("name")) {
            if !mount.flag("readOnly").on {
                let fix = vec![Put(format!("{}/readOnly", mount.at), Value::Bool(true))];
                let what = format!("the Agent can write to {}", host.escape_debug());
                add("mount-writable-unknown", mount.at.clone(), what, fix);
            }
        }
    }
}

impl Place<'_> {
    fn variables_named(&self, name: &str) -> bool {
        self.value.items().iter().any(|item| item.at("/name").and_then(Value::as_str) == Some(name))
    }
}
