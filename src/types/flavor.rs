use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of the vendor's packages serves a host (`DD_AGENT_FLAVOR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Flavor {
    #[default]
    #[serde(rename = "datadog-agent")]
    Agent,
    #[serde(rename = "datadog-iot-agent")]
    Iot,
    #[serde(rename = "datadog-dogstatsd")]
    Dogstatsd,
    /// The FIPS proxy alone, for an Agent that is set up elsewhere.
    #[serde(rename = "datadog-fips-proxy")]
    FipsProxy,
    /// The Agent with FIPS built in: no proxy.
    #[serde(rename = "datadog-fips-agent")]
    FipsAgent,
    #[serde(rename = "datadog-heroku-agent")]
    Heroku,
}

impl Flavor {
    pub const ALL: [Flavor; 6] =
        [Flavor::Agent, Flavor::Iot, Flavor::Dogstatsd, Flavor::FipsProxy, Flavor::FipsAgent, Flavor::Heroku];

    /// The name of its package.
    pub const fn package(self) -> &'static str {
        match self {
            Flavor::Agent => "datadog-agent",
            Flavor::Iot => "datadog-iot-agent",
            Flavor::Dogstatsd => "datadog-dogstatsd",
            Flavor::FipsProxy => "datadog-fips-proxy",
            Flavor::FipsAgent => "datadog-fips-agent",
            Flavor::Heroku => "datadog-heroku-agent",
        }
    }

    /// Whether it sends through the FIPS proxy once it is told to.
    pub const fn knows_proxy(self) -> bool {
        matches!(self, Flavor::Agent)
    }

    /// Whether it has system-probe and the security agent.
    pub const fn has_system_probe(self) -> bool {
        matches!(self, Flavor::Agent | Flavor::FipsAgent)
    }

    /// Flavors of the Agent exclude each other: they install the same files.
    pub const fn is_agent(self) -> bool {
        !matches!(self, Flavor::Dogstatsd | Flavor::FipsProxy)
    }
}

impl FromStr for Flavor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Flavor::ALL.into_iter().find(|flavor| flavor.package() == text);
        found.ok_or_else(|| format!("`{}` is no flavor of the Agent", text.escape_debug()))
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.package())
    }
}
