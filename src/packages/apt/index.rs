//! What a repository offers, from its `Packages` files.

use crate::packages::{Available, Candidate};

/// Adds the paragraphs of a `Packages` file that describe one of `names`.
pub fn read(available: &mut Available, index: &str, names: &[&str]) {
    for paragraph in index.split("\n\n") {
        let Some(name) = field(paragraph, "Package").filter(|n| names.contains(n)) else {
            continue;
        };
        let Some(version) = field(paragraph, "Version") else {
            continue;
        };
        let candidate = Candidate {
            version: version.to_owned(),
            size: number(paragraph, "Size"),
            installed_size: number(paragraph, "Installed-Size"),
        };
        available.add(name, candidate);
    }
}

/// The value of a field of one line, of a paragraph in Debian's control syntax.
pub fn field<'a>(paragraph: &'a str, key: &str) -> Option<&'a str> {
    let lines = paragraph.lines();
    let mut values = lines.filter_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
    values.next().map(str::trim)
}

/// The number in a field; 0 where there is none.
pub fn number(paragraph: &str, key: &str) -> u64 {
    field(paragraph, key).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Needs, PackageSpec};

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
        read(&mut available, INDEX, &["datadog-agent", "datadog-fips-proxy"]);
        read(&mut available, INDEX, &["datadog-agent"]);
        let versions = available.versions("datadog-agent").iter();
        assert_eq!(versions.map(|c| c.version.as_str()).collect::<Vec<_>>(), ["1:7.58.0-1", "1:7.57.0-1"]);
        assert!(available.versions("datadog-agent-dbg").is_empty());
        let specs = [PackageSpec::exactly("datadog-agent", "1:7.57.0-1"), PackageSpec::newest("datadog-fips-proxy")];
        let needs = Needs { download: 530, installed: 1000 * 1024 };
        assert_eq!(available.needs(&specs), needs);
    }

    #[test]
    fn sizes_that_cannot_be_are_more_than_any_disk_has() {
        let most = u64::MAX;
        let index =
            ["a", "b"].map(|name| format!("Package: {name}\nVersion: 1\nSize: {most}\nInstalled-Size: {most}\n\n"));
        let mut available = Available::default();
        read(&mut available, &index.concat(), &["a", "b"]);
        let specs = ["a", "b"].map(|name| PackageSpec::exactly(name, "1"));
        assert_eq!(available.needs(&specs), Needs { download: most, installed: most });
    }
}
