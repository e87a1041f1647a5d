//! What must hold between the values of a request.

use crate::secret::handle;
use crate::settings::{self, Value, Values, WithFips, row};
use crate::types::{Flavor, Pin, Site};

use super::{FIRST_FIPS_AGENT, Reader, bypasses, sources};

impl Reader {
    /// What FIPS rules out or leaves without effect.
    pub(super) fn with_fips(&mut self, values: &Values, site: Option<&Site>, agent_pin: Option<&Pin>) {
        if let Some(site) = site.filter(|site| !site.is_us1_fed()) {
            self.mistakes.push(format!(
                "DD_SITE: the FIPS proxy sends to ddog-gov.com (US1-FED) only, and DD_FIPS_MODE is on with DD_SITE={site}"
            ));
        }
        if let Some(pin) = agent_pin.filter(|pin| pin.newest() < FIRST_FIPS_AGENT) {
            self.mistakes
                .push(format!("DD_AGENT_MINOR_VERSION: FIPS mode needs Agent 7.41 or later, and {pin} was asked for"));
        }
        let bypasses = bypasses(values, &self.extras);
        self.mistakes.extend(bypasses);
        for (setting, _) in values.iter().filter(|(setting, _)| setting.with_fips == WithFips::NoEffect) {
            let name = setting.name();
            self.notes.push(format!("{name} has no effect while FIPS is on: the Agent sends to the proxy instead"));
        }
    }

    /// A setting that is on, and one that it needs that is off.
    pub(super) fn contradictions(&mut self, values: &Values) {
        for (setting, value) in values.iter() {
            if *value != Value::Bool(true) {
                continue;
            }
            let needs = setting.also.iter().filter(|(_, _, fixed)| *fixed == settings::Fixed::Bool(true));
            for (file, at, _) in needs {
                let off = values.iter().find(|(other, value)| {
                    **value == Value::Bool(false)
                        && other.lands.contains(&(*file, *at))
                        // Its meaning in the official script: all but the privileged files.
                        && other.key != "privileged_logs_enabled"
                });
                if let Some((other, _)) = off {
                    let (name, needed) = (setting.name(), other.name());
                    self.mistakes.push(format!("{needed}: is off, and {name}, which needs it, is on"));
                }
            }
        }
        if values.text("agent_dist_channel") == Some("nightly")
            && values.text("repo_url").is_none()
            && values.text("apt_url").is_none()
        {
            self.mistakes
                .push("DD_AGENT_DIST_CHANNEL: nightly is only in a repository of your own: set DD_REPO_URL".into());
        }
        if values.bool("no_agent_install") == Some(true) {
            for key in ["fips_mode", "runtime_security_config_enabled", "compliance_config_enabled"] {
                if values.bool(key) == Some(true) {
                    let name = row(key).name();
                    self.mistakes
                        .push(format!("{name}: cannot be proven without an Agent, and DD_NO_AGENT_INSTALL is on"));
                }
            }
        }
    }

    /// What the Agent's secrets management rules out.
    pub(super) fn secrets(&mut self, values: &Values) {
        let mut wrong = |key: &str, why: &str| self.mistakes.push(format!("{}: {why}", row(key).name()));
        let ways = ["secret_backend_command", "secret_backend_helper", "secret_backend_folder"];
        let given: Vec<&str> = ways.into_iter().filter(|key| values.text(key).is_some()).collect();
        if let [first, second, ..] = given[..] {
            wrong(second, &format!("not together with {}: there is one helper", row(first).name()));
        }
        for key in given {
            let path = values.text(key).unwrap_or_default();
            if !path.starts_with('/') && handle(path).is_none() {
                wrong(key, "is no absolute path");
            }
            if key != "secret_backend_command" && values.bool("no_agent_install") == Some(true) {
                wrong(
                    key,
                    "the helper belongs to dd-agent, whom the Agent's package makes, and DD_NO_AGENT_INSTALL is on",
                );
            }
        }
        if values.text("secret_backend_folder").is_some() && values.list("secret_backend_arguments").is_some() {
            wrong("secret_backend_arguments", "not together with DD_SECRET_BACKEND_FOLDER, which sets them");
        }
        for (setting, value) in values.iter().filter(|(setting, _)| setting.key.starts_with("secret_")) {
            let is_handle = match value {
                Value::Text(text) => handle(text).is_some(),
                Value::List(items) => items.iter().any(|item| handle(item).is_some()),
                _ => false,
            };
            if is_handle {
                wrong(setting.key, "secret_* settings are read before handles are resolved, so they can hold none");
            }
        }
        for extra in self.extras.iter().filter(|extra| holds_handle(&extra.value)) {
            let why = match extra.file {
                settings::File::SystemProbe => "system-probe resolves no ENC[…] handles: it would read this as it is",
                _ if extra.path.keys().first().is_some_and(|key| key.to_ascii_lowercase().starts_with("secret_")) => {
                    "secret_* settings are read before handles are resolved, so they can hold none"
                }
                _ => continue,
            };
            self.mistakes.push(format!("--set {}:{}: {why}", extra.file.name(), extra.path));
        }
    }

    /// What would put a secret into an image that is to hold none. An `ENC[…]` handle is no secret.
    pub(super) fn without_secrets(&mut self, values: &Values) {
        const HINT: &str = "--no-key (which --root implies) keeps secrets out of the image: unset it, \
            or say --no-key=off if this image is to carry it";
        for (setting, value) in values.iter() {
            let exposed = match value {
                Value::Secret(secret) => !secret.is_handle(),
                Value::Text(text) => !setting.lands.is_empty() && setting.is_address() && sources::has_password(text),
                _ => false,
            };
            if exposed {
                self.mistakes.push(format!("{}: {HINT}", setting.name()));
            }
        }
        for extra in self.extras.iter().filter(|extra| extra.is_secret()) {
            self.mistakes.push(format!("--set {}:{}: {HINT}", extra.file.name(), extra.path));
        }
    }

    pub(super) fn flavor(&mut self, values: &Values, flavor: Flavor) {
        let on = |key| values.bool(key) == Some(true);
        if on("fips_mode") && !flavor.knows_proxy() {
            let why = match flavor {
                Flavor::FipsAgent => "has FIPS built in; leave DD_FIPS_MODE unset",
                Flavor::FipsProxy => "is the proxy alone; leave DD_FIPS_MODE unset",
                _ => "does not send through the FIPS proxy; use datadog-agent",
            };
            self.mistakes.push(format!("DD_FIPS_MODE: {flavor} {why}"));
        }
        if flavor == Flavor::FipsAgent
            && let Some(site) = values.text("site").filter(|site| !site.ends_with("ddog-gov.com"))
        {
            self.mistakes.push(format!("DD_SITE: {flavor} is for the sites of GovCloud only, and DD_SITE is {site}"));
        }
        if !flavor.has_system_probe() {
            let of_agent = |file: &settings::File| *file != settings::File::Datadog;
            for (setting, value) in values.iter() {
                let lands = setting.lands.iter().map(|(file, _)| file).any(of_agent);
                let also = setting.also.iter().map(|(file, ..)| file).any(of_agent);
                if (lands || also || setting.key == "system_probe_ensure_config") && *value != Value::Bool(false) {
                    self.mistakes.push(format!("{}: {flavor} has no system-probe; use datadog-agent", setting.name()));
                }
            }
        }
        if on("otelcollector_enabled") && flavor != Flavor::Agent {
            self.mistakes
                .push(format!("DD_OTELCOLLECTOR_ENABLED: {flavor} does not run the collector; use datadog-agent"));
        }
    }
}

fn holds_handle(value: &serde_yaml::Value) -> bool {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::String(text) => handle(text).is_some(),
        Yaml::Sequence(items) => items.iter().any(holds_handle),
        Yaml::Mapping(entries) => entries.values().any(holds_handle),
        _ => false,
    }
}
