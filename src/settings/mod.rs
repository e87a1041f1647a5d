//! The settings table: every setting's names, type, place and documentation, once.
//! Flags, variables, file keys, help and documentation are all read from here.

mod table;
mod value;

pub use table::TABLE;
pub use value::{Source, Value, Values};

/// One of the Agent's YAML files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    Datadog,
    SystemProbe,
    SecurityAgent,
}

impl File {
    /// Where the Agent reads it.
    pub const fn path(self) -> &'static str {
        match self {
            File::Datadog => "/etc/datadog-agent/datadog.yaml",
            File::SystemProbe => "/etc/datadog-agent/system-probe.yaml",
            File::SecurityAgent => "/etc/datadog-agent/security-agent.yaml",
        }
    }

    /// The documented example that the Agent's package ships beside it.
    pub const fn example(self) -> &'static str {
        match self {
            File::Datadog => "/etc/datadog-agent/datadog.yaml.example",
            File::SystemProbe => "/etc/datadog-agent/system-probe.yaml.example",
            File::SecurityAgent => "/etc/datadog-agent/security-agent.yaml.example",
        }
    }
}

/// What a setting's text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `1 true yes on` or `0 false no off`, in any case.
    Bool,
    /// As `Bool`; its flag takes no value.
    Switch,
    /// One line of text.
    Text,
    /// One line of text that must not be shown.
    Secret,
    /// A list, separated by commas.
    List,
    /// A Datadog site.
    Site,
    /// An `https://` or `http://` address.
    Url,
    /// The path of a file on this host.
    Path,
    /// A minor version of the Agent: `58`, `58.2`, `59.0~rc.5`.
    MinorVersion,
    /// A package version such as `1.1.14`.
    PackageVersion,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// Its key in `--file`; with dashes for underscores, its flag.
    pub key: &'static str,
    /// Its variable, then deprecated or shorter names for the same.
    pub variables: &'static [&'static str],
    pub kind: Type,
    /// The places in the Agent's files that take the value as it is. Settings that mean more than
    /// one value (FIPS, CWS) have none here: `desired` says what they mean.
    pub lands: &'static [(File, &'static str)],
    /// What holds where it is not given.
    pub default: &'static str,
    pub doc: &'static str,
}

impl Setting {
    /// The flag without its dashes. Secrets have none: an argument can be read by every user of the host.
    pub fn flag(&self) -> Option<String> {
        (self.kind != Type::Secret).then(|| self.key.replace('_', "-"))
    }

    /// How messages name the setting: its variable, or its flag where it has no variable.
    pub fn name(&self) -> String {
        match self.variables.first() {
            Some(variable) => (*variable).to_owned(),
            None => format!("--{}", self.key.replace('_', "-")),
        }
    }
}

/// The row of a key. Panics on a key that is not in the table, which is a mistake in the source.
pub fn row(key: &str) -> &'static Setting {
    match TABLE.iter().find(|s| s.key == key) {
        Some(setting) => setting,
        None => panic!("no setting {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_once_in_the_table() {
        let mut seen = std::collections::HashSet::new();
        for setting in TABLE {
            assert!(seen.insert(setting.key), "{} twice", setting.key);
            for variable in setting.variables {
                assert!(seen.insert(variable), "{variable} twice");
            }
            assert!(setting.doc.ends_with('.'), "{}: one sentence", setting.key);
            for (_, path) in setting.lands {
                path.parse::<crate::types::YamlPath>().unwrap();
            }
        }
    }
}
