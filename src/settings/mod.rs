//! The settings table: every setting's names, type, place and documentation, once.
//! Flags, variables, file keys, help and documentation are all read from here.

pub mod bypass;
mod names;
mod table;
mod value;

pub use names::{misspelt, nearest};
pub use table::TABLE;
pub use value::{Source, Value, Values, note_on_word, parse_bool};

/// One of the Agent's YAML files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum File {
    #[default]
    Datadog,
    /// In place of datadog.yaml where only DogStatsD is installed.
    Dogstatsd,
    SystemProbe,
    SecurityAgent,
}

impl File {
    /// Where the Agent reads it.
    pub const fn path(self) -> &'static str {
        match self {
            File::Datadog => "/etc/datadog-agent/datadog.yaml",
            File::Dogstatsd => "/etc/datadog-dogstatsd/dogstatsd.yaml",
            File::SystemProbe => "/etc/datadog-agent/system-probe.yaml",
            File::SecurityAgent => "/etc/datadog-agent/security-agent.yaml",
        }
    }

    /// How operators name it, without `.yaml`.
    pub const fn name(self) -> &'static str {
        match self {
            File::Datadog => "datadog",
            File::Dogstatsd => "dogstatsd",
            File::SystemProbe => "system-probe",
            File::SecurityAgent => "security-agent",
        }
    }

    /// Reads `datadog` or `datadog.yaml`.
    pub fn named(name: &str) -> Option<File> {
        let name = name.strip_suffix(".yaml").unwrap_or(name);
        [File::Datadog, File::SystemProbe, File::SecurityAgent].into_iter().find(|file| file.name() == name)
    }

    /// The documented example that the Agent's package ships beside it.
    pub const fn example(self) -> &'static str {
        match self {
            File::Datadog => "/etc/datadog-agent/datadog.yaml.example",
            File::Dogstatsd => "/etc/datadog-dogstatsd/dogstatsd.yaml.example",
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
    /// A list, separated by blanks.
    Words,
    /// A Datadog site.
    Site,
    /// An `https://` or `http://` address, or a handle that the Agent resolves to one.
    Url,
    /// A host or an address, with or without `https://`. It may hold `user:password@`.
    Address,
    /// The path of a file on this host.
    Path,
    /// Paths of files on this host, separated by commas; its flag may be repeated.
    Paths,
    /// Whole seconds, at least this many and at most a day.
    Seconds(u64),
    /// Whole bytes, at least 1 and at most 64 MiB.
    Bytes,
    /// A minor version of the Agent: `58`, `58.2`, `59.0~rc.5`.
    MinorVersion,
    /// A package version such as `1.1.14`.
    PackageVersion,
    /// A release of a distribution: `debian:12`.
    Release,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A word of small letters, digits, `_` and `-`; the Agent knows which ones there are.
    Word,
    /// Host names, separated by commas or blanks.
    Hosts,
    /// A switch that may only be on; the text says why.
    OnlyOn(&'static str),
    /// Nothing that may be turned on; the text says why.
    Never(&'static str),
}

/// What stands at a further place in the Agent's files once a setting is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    Bool(bool),
    Int(i64),
    /// This text, as an item of the list that is there.
    Item(&'static str),
}

/// What becomes of a setting while the Agent sends through the FIPS proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithFips {
    Works,
    /// What it turns on would reach the site outside the proxy, so both together are refused (exit 2). The text says what.
    Refused(&'static str),
    /// The Agent overwrites or ignores it.
    NoEffect,
}

/// A variable of the official script against ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versus {
    /// It means the same.
    Same,
    Better(&'static str),
    /// We do not do it, or do only a part of it.
    Refused(&'static str),
    /// The official script does not have it.
    Ours,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in `--file`; with dashes for underscores, its flag.
    pub key: &'static str,
    /// Its variable, then deprecated or shorter names for the same.
    pub variables: &'static [&'static str],
    pub kind: Type,
    /// The places in the Agent's files that take the value.
    pub lands: &'static [(File, &'static str)],
    /// What else stands in the Agent's files once it is on.
    pub also: &'static [(File, &'static str, Fixed)],
    /// What holds where it is not given.
    pub default: &'static str,
    /// The first Agent that knows it (major, minor); None: every supported one, or not known.
    pub since: Option<(u32, u32)>,
    pub with_fips: WithFips,
    /// Why giving it changes nothing here; such a setting is accepted, and that is said.
    pub idle: Option<&'static str>,
    pub versus: Versus,
    pub doc: &'static str,
}

/// Rows are written with these, so that each names only what is special about it.
impl Setting {
    const fn new(key: &'static str, variables: &'static [&'static str], kind: Type, doc: &'static str) -> Setting {
        Setting {
            key,
            variables,
            kind,
            lands: &[],
            also: &[],
            default: "left as it is",
            since: None,
            with_fips: WithFips::Works,
            idle: None,
            versus: Versus::Same,
            doc,
        }
    }

    const fn lands(mut self, lands: &'static [(File, &'static str)]) -> Setting {
        self.lands = lands;
        self
    }

    const fn also(mut self, also: &'static [(File, &'static str, Fixed)]) -> Setting {
        self.also = also;
        self
    }

    const fn default(mut self, default: &'static str) -> Setting {
        self.default = default;
        self
    }

    const fn since(mut self, major: u32, minor: u32) -> Setting {
        self.since = Some((major, minor));
        self
    }

    const fn with_fips(mut self, with_fips: WithFips) -> Setting {
        self.with_fips = with_fips;
        self
    }

    const fn idle(mut self, why: &'static str) -> Setting {
        self.idle = Some(why);
        self
    }

    const fn better(mut self, how: &'static str) -> Setting {
        self.versus = Versus::Better(how);
        self
    }

    const fn refused(mut self, why: &'static str) -> Setting {
        self.versus = Versus::Refused(why);
        self
    }

    const fn ours(mut self) -> Setting {
        self.versus = Versus::Ours;
        self
    }
}

impl Setting {
    /// The flag without its dashes. Secrets have none: an argument can be read by every user of the host. What is
    /// always refused has none either.
    pub fn flag(&self) -> Option<String> {
        (!matches!(self.kind, Type::Secret | Type::Never(_))).then(|| self.key.replace('_', "-"))
    }

    /// Whether the value is an address, which may hold a password.
    pub fn is_address(&self) -> bool {
        matches!(self.kind, Type::Url | Type::Address)
    }

    /// Whether the value is just on or off.
    pub fn is_switch(&self) -> bool {
        matches!(self.kind, Type::Bool | Type::Switch | Type::OnlyOn(_))
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
            let also = setting.also.iter().map(|(_, path, _)| path);
            for path in setting.lands.iter().map(|(_, path)| path).chain(also) {
                path.parse::<crate::types::YamlPath>().unwrap();
            }
        }
    }
}
