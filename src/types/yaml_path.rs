use std::fmt;
use std::str::FromStr;

/// The place of a value in a YAML file, as the Agent writes it: mapping keys joined by dots (`fips.enabled`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YamlPath(Vec<String>);

impl YamlPath {
    /// The keys, outermost first. Never empty, and no key is empty.
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for YamlPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys: Vec<String> = text.split('.').map(str::to_owned).collect();
        if keys.iter().any(|k| k.is_empty() || k.chars().any(|c| c.is_control())) {
            return Err(format!("`{}` is not a path such as fips.enabled", text.escape_debug()));
        }
        Ok(YamlPath(keys))
    }
}

impl fmt::Display for YamlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
