//! The steps that a run can take: a closed set, each with what it would change.

use std::path::PathBuf;

use crate::host::{Attributes, Stored};
use crate::packages::PackageSpec;

/// A file that will be written, whole.
#[derive(Clone)]
pub struct FileChange {
    pub path: String,
    /// What is there now; None: nothing.
    pub before: Option<Stored>,
    pub after: Vec<u8>,
    pub rights: Attributes,
    /// `dd-agent:dd-agent 0640`, for people.
    pub rights_text: String,
    /// One line a change: `fips.enabled: true (the Agent sends through the proxy)`.
    pub changes: Vec<String>,
    /// The unit that must be restarted for it.
    pub read_by: Option<&'static str>,
}

/// A package that is installed or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    pub name: String,
    /// The installed version, as the package manager writes it.
    pub from: Option<String>,
    /// None: the newest that the repository has (not looked up yet).
    pub to: Option<String>,
    /// The operator's own file of it.
    pub file: Option<PathBuf>,
}

impl PackageChange {
    pub fn spec(&self) -> PackageSpec {
        PackageSpec { name: self.name.clone(), version: self.to.clone(), file: self.file.clone() }
    }
}

/// One step of a plan.
#[derive(Clone)]
pub enum Step {
    /// A file; repository entries and keyrings too.
    File(FileChange),
    /// The keyring, whose keys have not been downloaded yet.
    Keyring {
        path: String,
        from: String,
    },
    /// Signing keys that rpm keeps in a database of its own, by their names there.
    ImportKeys {
        keys: Vec<String>,
    },
    /// One transaction of the package manager.
    Packages(Vec<PackageChange>),
    /// A file whose example is still inside a package: planned again after the packages are installed.
    AfterPackages {
        path: String,
        from: &'static str,
        changes: Vec<String>,
    },
    Group {
        user: String,
        group: String,
    },
    /// Packages are held at their version, or released.
    Hold {
        names: Vec<String>,
        hold: bool,
    },
    Enable {
        unit: String,
    },
    /// Starts the unit, or restarts it where it runs.
    Start {
        unit: String,
        running: bool,
        why: String,
    },
}

impl Step {
    /// A word for the kind, as JSON has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::File(_) | Step::AfterPackages { .. } => "file",
            Step::Keyring { .. } | Step::ImportKeys { .. } => "keyring",
            Step::Packages(_) => "packages",
            Step::Hold { .. } => "hold",
            Step::Group { .. } => "group",
            Step::Enable { .. } | Step::Start { .. } => "service",
        }
    }

    /// What the step does, in the imperative.
    pub fn describe(&self) -> String {
        match self {
            Step::File(file) if file.before.is_none() => format!("create {} ({})", file.path, file.rights_text),
            Step::File(file) if file.before.as_ref().is_some_and(|b| b.bytes == file.after) => {
                format!("set owner and mode of {} to {}", file.path, file.rights_text)
            }
            Step::File(file) => format!("change {}", file.path),
            Step::Keyring { path, from } => format!("create {path} with the signing keys of {from}"),
            Step::ImportKeys { keys } => format!("import {} into the database of rpm", keys.join(", ")),
            Step::Packages(changes) => describe_packages(changes),
            Step::AfterPackages { path, from, .. } => format!("create {path} {from}").trim_end().to_owned(),
            Step::Group { user, group } => format!("add {user} to the group {group}"),
            Step::Hold { names, hold: true } => format!("hold {} at the installed version", names.join(", ")),
            Step::Hold { names, .. } => format!("release the hold of {}", names.join(", ")),
            Step::Enable { unit } => format!("enable {unit}"),
            Step::Start { unit, running: true, .. } => format!("restart {unit}"),
            Step::Start { unit, .. } => format!("start {unit}"),
        }
    }

    /// Why, or what in detail, one line each.
    pub fn details(&self) -> Vec<String> {
        match self {
            Step::File(file) => file.changes.clone(),
            Step::AfterPackages { changes, .. } => changes.clone(),
            Step::Start { why, .. } => vec![why.clone()],
            _ => Vec::new(),
        }
    }
}

/// `install a 1, b 2; replace c 1 by 2`
fn describe_packages(changes: &[PackageChange]) -> String {
    let to = |change: &PackageChange| change.to.clone().unwrap_or_else(|| "(the newest in the repository)".into());
    let new = changes.iter().filter(|change| change.from.is_none());
    let new: Vec<String> = new.map(|change| format!("{} {}", change.name, to(change))).collect();
    let mut parts = Vec::new();
    if !new.is_empty() {
        parts.push(format!("install {}", new.join(", ")));
    }
    for change in changes {
        if let Some(from) = &change.from {
            parts.push(format!("replace {} {from} by {}", change.name, to(change)));
        }
    }
    parts.join("; ")
}
