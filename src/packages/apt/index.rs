//! What a repository offers, from its `Packages` files.

use std::collections::BTreeMap;

use crate::packages::PackageSpec;
use crate::packages::versions::compare_debian;

/// One version of a package in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
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
                needs.download += candidate.size;
                needs.installed += candidate.installed_size * 1024;
            }
        }
        needs
    }

    /// Adds the paragraphs of a `Packages` file that describe one of `names`.
    pub fn add(&mut self, index: &str, names: &[&str]) {
        for paragraph in index.split("\n\n") {
            let Some(name) = field(paragraph, "Package").filter(|n| names.contains(n)) else {
                continue;
            };
            let Some(version) = field(paragraph, "Version") else {
                continue;
            };
            let number = |key| field(paragraph, key).and_then(|n| n.parse().ok());
            let versions = self.0.entry(name.to_owned()).or_default();
            if versions.iter().all(|c| c.version != version) {
                versions.push(Candidate {
                    version: version.to_owned(),
                    size: number("Size").unwrap_or(0),
                    installed_size: number("Installed-Size").unwrap_or(0),
                });
                versions.sort_by(|a, b| compare_debian(&b.version, &a.version));
            }
        }
    }
}

/// The value of a field of one line, of a paragraph in Debian's control syntax.
pub fn field<'a>(paragraph: &'a str, key: &str) -> Option<&'a str> {
    let lines = paragraph.lines();
    let mut values = lines.filter_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    values.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
Package: datadog-agent
Version: 1:7.57.0-1
Installed-Size: 1000
Description: The Agent
 Version: 9
Size: 500

Package: datadog-agent
Version: 1:7.58.0-1
Installed-Size: 2000
Size: 700

Package: datadog-agent-dbg
Version: 1:7.99.0-1
Size: 1

Package: datadog-fips-proxy
Version: 1:1.1.5-1
Size: 30
";

    #[test]
    fn the_index_gives_versions_and_sizes() {
        let mut available = Available::default();
        available.add(INDEX, &["datadog-agent", "datadog-fips-proxy"]);
        available.add(INDEX, &["datadog-agent"]);
        let versions = available.versions("datadog-agent").iter();
        assert_eq!(versions.map(|c| c.version.as_str()).collect::<Vec<_>>(), ["1:7.58.0-1", "1:7.57.0-1"]);
        assert!(available.versions("datadog-agent-dbg").is_empty());
        let specs = [PackageSpec::exactly("datadog-agent", "1:7.57.0-1"), PackageSpec::newest("datadog-fips-proxy")];
        let needs = Needs { download: 530, installed: 1000 * 1024 };
        assert_eq!(available.needs(&specs), needs);
    }
}
