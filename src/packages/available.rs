//! What a verified repository offers.

use std::collections::BTreeMap;

use crate::packages::PackageSpec;
use crate::packages::versions::compare_debian;

/// One version of a package in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As the package manager writes it.
    pub version: String,
    /// The size of the download, in bytes.
    pub size: u64,
    /// The room it takes when it is installed, in KiB.
    pub installed_size: u64,
}

/// What the verified repository offers, of the packages that were asked about: each with its versions, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Available(BTreeMap<String, Vec<Candidate>>);

/// The room that packages take, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    pub download: u64,
    pub installed: u64,
}

impl Available {
    /// The versions of a package, newest first. Empty where the repository does not have it.
    pub fn versions(&self, package: &str) -> &[Candidate] {
        self.0.get(package).map_or(&[], Vec::as_slice)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a version of a package; one that is known already is passed over.
    pub fn add(&mut self, package: &str, candidate: Candidate) {
        let versions = self.0.entry(package.to_owned()).or_default();
        if versions.iter().all(|known| known.version != candidate.version) {
            versions.push(candidate);
            // rpm orders versions of the form that the vendor uses as Debian does.
            versions.sort_by(|a, b| compare_debian(&b.version, &a.version));
        }
    }

    /// The room that these packages take. A spec without a version means the newest; what is not there counts nothing.
    pub fn needs(&self, specs: &[PackageSpec]) -> Needs {
        let mut needs = Needs::default();
        for spec in specs {
            let mut versions = self.versions(&spec.name).iter();
            let candidate = match &spec.version {
                Some(version) => versions.find(|c| c.version == *version),
                None => versions.next(),
            };
            if let Some(candidate) = candidate {
                needs.download = needs.download.saturating_add(candidate.size);
                let installed = candidate.installed_size.saturating_mul(1024);
                needs.installed = needs.installed.saturating_add(installed);
            }
        }
        needs
    }
}
