//! Every check that there is, in one table: its id, what it states, where that is written, and the NIST controls that it
//! speaks for. `--list`, `--only` and `--skip` read it.

use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// One check, or a family of them whose ids begin alike (`config.*`).
#[derive(Debug)]
pub struct Row {
    pub id: &'static str,
    pub title: &'static str,
    /// Where it is written that this must be so.
    pub source: &'static str,
    /// NIST SP 800-53 controls, where that is honest.
    pub controls: &'static [&'static str],
}

const FIPS: &str = "https://docs.datadoghq.com/agent/faq/fips_proxy/";
const TROUBLE: &str =
    "https://docs.datadoghq.com/agent/faq/fips_proxy/?tab=hostorvm#troubleshooting-a-host-or-vm-installation";
const CWS: &str = "https://docs.datadoghq.com/security/workload_protection/setup/agent/linux/";
const KERNELS: &str = "https://docs.datadoghq.com/security/workload_protection/troubleshooting/threats/";
const JOURNALD: &str = "https://docs.datadoghq.com/integrations/journald/";
const KEYS: &str = "https://docs.datadoghq.com/agent/guide/linux-key-rotation-2024/";
const PLATFORMS: &str = "https://docs.datadoghq.com/agent/supported_platforms/";
const CONFIGURATION: &str = "https://docs.datadoghq.com/agent/configuration/agent-configuration-files/";
const TRAFFIC: &str = "https://docs.datadoghq.com/agent/configuration/network/";
const AGENT_CODE: &str = "https://github.com/DataDog/datadog-agent/blob/main/pkg/config/setup/config.go";
const CERTIFICATE: &str = "https://csrc.nist.gov/projects/cryptographic-module-validation-program/certificate/4282";

const fn row(id: &'static str, title: &'static str, source: &'static str, controls: &'static [&'static str]) -> Row {
    Row { id, title, source, controls }
}

const CRYPTO: &[&str] = &["sc-8", "sc-13"];
const CONFIG: &[&str] = &["cm-6"];
const MONITORING: &[&str] = &["si-4"];

pub const CATALOGUE: &[Row] = &[
    row("platform.release", "the distribution, its release and the architecture are supported", PLATFORMS, &[]),
    row("platform.authorities", "there are certificate authorities to check the intake with", FIPS, CRYPTO),
    row("platform.disk", "there is room where the Agent and the proxy write", PLATFORMS, &["au-4"]),
    row("package.*", "the packages are installed, in a version that can do it", FIPS, CONFIG),
    row("version.products", "this Agent sends all products through the proxy", FIPS, CRYPTO),
    row("version.cws", "this Agent has CWS", CWS, MONITORING),
    row("updates.held", "whether packages are held at their version", FIPS, &[]),
    row("repository.entry", "updates can be installed", PLATFORMS, CONFIG),
    row("repository.keyring", "updates are checked by signature", KEYS, CONFIG),
    row("file.*", "a configuration file is there and can be read", CONFIGURATION, CONFIG),
    row("mode.*", "a configuration file has its owner and mode", CONFIGURATION, &["cm-6", "sc-28"]),
    row("config.*", "a setting is as asked for", FIPS, CONFIG),
    row("config.datadog.yaml.fips.*", "the Agent is told to send through the proxy", FIPS, &["sc-8", "sc-13", "cm-6"]),
    row("agent.key", "an API key is set", CONFIGURATION, &[]),
    row("journald.group", "the Agent may read the journal", FIPS, &["au-4"]),
    row("journald.access", "there is a journal to read", JOURNALD, &["au-4"]),
    row("process.*", "a program runs in the container", TROUBLE, MONITORING),
    row("unit.enabled", "the services start when the host boots", FIPS, CONFIG),
    row("unit.*", "a service runs", TROUBLE, MONITORING),
    row(
        "bypass.environment",
        "no variable of the Agent's units turns the proxy off",
        AGENT_CODE,
        &["sc-8", "sc-13", "cm-6"],
    ),
    row("bypass.endpoints", "no further endpoint is sent to directly", AGENT_CODE, CRYPTO),
    row("bypass.products", "no product is on that the proxy does not relay", FIPS, CRYPTO),
    row("bypass.connections", "no process of the Agent is connected past the proxy", FIPS, CRYPTO),
    row("proxy.config", "the proxy's configuration is the vendor's, unmodified", FIPS, &["sc-13", "cm-6"]),
    row("proxy.loaded", "the proxy was started with the configuration that is there", FIPS, CONFIG),
    row("proxy.ports", "the proxy listens on its 16 ports", FIPS, CRYPTO),
    row("proxy.address", "only this host reaches the proxy", FIPS, &["sc-8"]),
    row("proxy.reach", "the ports of the proxy can be reached on this host", TROUBLE, &[]),
    row("proxy.localhost", "the name localhost is this host", AGENT_CODE, &[]),
    row("proxy.intake", "a request goes through the proxy to the intake", TROUBLE, CRYPTO),
    row("proxy.backends", "the proxy's backends are up", TROUBLE, CRYPTO),
    row("proxy.dns", "the names of the intake can be resolved", TRAFFIC, &[]),
    row("proxy.tls", "the proxy's connections to the intake are TLS, with a certificate that it checks", FIPS, CRYPTO),
    row("proxy.journal", "the proxy's log tells of no failure", TROUBLE, &[]),
    row("agent.loaded", "the Agent was started with the configuration that is there", CONFIGURATION, CONFIG),
    row("agent.fips", "the running Agent says that it sends through the proxy", AGENT_CODE, CRYPTO),
    row("agent.delivery", "the Agent's counters say that data arrives", FIPS, MONITORING),
    row("agent.diagnose", "the Agent's own diagnosis finds the intake", FIPS, &[]),
    row("agent.log", "the Agent's log tells of no failed connection", TROUBLE, &[]),
    row("kernel.fips", "the kernel is in FIPS mode", CERTIFICATE, &["sc-13"]),
    row("kernel.crypto_policy", "the system's crypto policy is FIPS", CERTIFICATE, &["sc-13"]),
    row("cws.policies", "CWS has policies", CWS, MONITORING),
    row("cws.kernel", "the kernel is new enough for CWS", CWS, MONITORING),
    row("cws.lockdown", "the kernel's lockdown lets eBPF programs run", KERNELS, MONITORING),
    row("cws.btf", "the kernel describes its types", KERNELS, &[]),
    row("cws.debugfs", "the kernel's tracing file system is mounted", CWS, &[]),
    row("cws.module", "system-probe has loaded the module of CWS", CWS, MONITORING),
];

/// The row that a check belongs to: the longest id that fits.
pub fn of(id: &str) -> Option<&'static Row> {
    CATALOGUE.iter().filter(|row| fits(row.id, id)).max_by_key(|row| row.id.len())
}

/// Whether an id is the pattern, or begins as a pattern that ends in `*` does.
fn fits(pattern: &str, id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => id.starts_with(start),
        None => id == pattern,
    }
}

/// Which checks are wanted: all, or some by their ids (`proxy.ports`), families (`config.*`) or groups (`proxy`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Choice {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Choice {
    /// Errors (exit 2) name every word that fits no check.
    pub fn new(only: &[String], skip: &[String]) -> Result<Choice> {
        let mut mistakes = Vec::new();
        for (flag, words) in [("--only", only), ("--skip", skip)] {
            for word in words {
                let pattern = pattern(word);
                let start = pattern.strip_suffix('*').unwrap_or(&pattern);
                // A family's member is known by its family, a group by its members.
                let known = of(&pattern).is_some()
                    || (pattern != start && CATALOGUE.iter().any(|row| row.id.starts_with(start)));
                if !known || start.is_empty() {
                    mistakes.push(format!("{flag} {word}: there is no such check"));
                }
            }
        }
        if let [first, rest @ ..] = mistakes.as_slice() {
            return Err(Error::new(Kind::Usage, first.as_str())
                .detail(rest.join("\n"))
                .hint("`ddinstall verify --list` names every check"));
        }
        let patterns = |words: &[String]| words.iter().map(|word| pattern(word)).collect();
        Ok(Choice { only: patterns(only), skip: patterns(skip) })
    }

    /// Whether a check is wanted.
    pub fn takes(&self, id: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, id));
        (self.only.is_empty() || any(&self.only)) && !any(&self.skip)
    }

    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }
}

/// A group's name stands for all in it.
fn pattern(word: &str) -> String {
    if word.contains('.') { word.to_owned() } else { format!("{word}.*") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(only: &[&str], skip: &[&str]) -> Result<Choice> {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        Choice::new(&words(only), &words(skip))
    }

    #[test]
    fn ids_are_unique_and_every_row_has_a_source() {
        for (i, row) in CATALOGUE.iter().enumerate() {
            assert!(row.source.starts_with("https://"), "{}", row.id);
            assert!(CATALOGUE[..i].iter().all(|other| other.id != row.id), "{}", row.id);
        }
        assert_eq!(of("unit.enabled").unwrap().id, "unit.enabled");
        assert_eq!(of("unit.datadog-agent").unwrap().id, "unit.*");
        assert!(of("nonsense").is_none());
    }

    #[test]
    fn checks_are_chosen_by_id_family_and_group() {
        let proxy = choice(&["proxy"], &["proxy.intake"]).unwrap();
        assert!(proxy.takes("proxy.ports") && !proxy.takes("proxy.intake") && !proxy.takes("unit.enabled"));
        let one = choice(&["config.datadog.yaml.fips.enabled"], &[]).unwrap();
        assert!(one.takes("config.datadog.yaml.fips.enabled") && !one.takes("config.datadog.yaml.site"));
        assert!(choice(&[], &["config.*"]).unwrap().takes("proxy.ports"));
        assert!(Choice::default().takes("anything.at.all") && Choice::default().is_all());
    }

    #[test]
    fn every_word_that_fits_no_check_is_named() {
        let error = choice(&["proxy.port", "proxy"], &["nothing", "*", ""]).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.what.contains("proxy.port") && error.detail.len() == 3, "{error:?}");
    }
}
