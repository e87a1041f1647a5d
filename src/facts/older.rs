//! The release files that were there before os-release: one line of prose each, or `DISTRIB_*` variables.

use super::Distribution;
use crate::types::Release;

/// In the order in which they are asked: the more special ones first. Debian's own is on every derivative of it.
pub(super) const FILES: [&str; 16] = [
    "/etc/lsb-release",
    "/etc/oracle-release",
    "/etc/centos-release",
    "/etc/rocky-release",
    "/etc/almalinux-release",
    "/etc/fedora-release",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/SuSE-release",
    "/etc/alpine-release",
    "/etc/arch-release",
    "/etc/gentoo-release",
    "/etc/slackware-version",
    "/etc/photon-release",
    "/etc/debian_version",
    "/etc/issue",
];

/// How the files call a distribution; of two that fit, the first.
const NAMES: [(&str, &str); 25] = [
    ("red hat enterprise linux", "rhel"),
    ("redhat", "rhel"),
    ("scientific linux", "scientific"),
    ("centos", "centos"),
    ("rocky linux", "rocky"),
    ("almalinux", "almalinux"),
    ("oracle linux", "ol"),
    ("enterprise linux enterprise linux server", "ol"),
    ("amazon linux", "amzn"),
    ("fedora", "fedora"),
    ("suse linux enterprise desktop", "sled"),
    ("suse linux enterprise", "sles"),
    ("opensuse tumbleweed", "opensuse-tumbleweed"),
    ("opensuse", "opensuse"),
    ("linux mint", "linuxmint"),
    ("linuxmint", "linuxmint"),
    ("kali", "kali"),
    ("raspbian", "raspbian"),
    ("ubuntu", "ubuntu"),
    ("debian", "debian"),
    ("alpine", "alpine"),
    ("gentoo", "gentoo"),
    ("slackware", "slackware"),
    ("photon", "photon"),
    ("arch linux", "arch"),
];

/// Reads the file of this name (without its folder). None if it names nothing that is known.
pub(super) fn parse(file: &str, text: &str) -> Option<Distribution> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    match file {
        "lsb-release" => lsb(text),
        "debian_version" => debian(first?),
        "alpine-release" => Some(made("alpine", number(first?), format!("Alpine Linux {}", first?))),
        // Arch's is empty.
        "arch-release" => Some(made("arch", String::new(), "Arch Linux".into())),
        "SuSE-release" => suse(first?, text),
        _ => prose(first?),
    }
}

fn made(id: &str, version: String, name: String) -> Distribution {
    Distribution::of(&Release { id: id.to_owned(), version }, name, "")
}

/// `CentOS release 6.10 (Final)`, `Amazon Linux release 2 (Karoo)`, `Debian GNU/Linux 7 \n \l`
fn prose(line: &str) -> Option<Distribution> {
    // getty's escapes end a line of /etc/issue.
    let line = line.split(" \\").next().unwrap_or(line).trim();
    let small = line.to_ascii_lowercase();
    let (name, id) = NAMES.iter().find(|(name, _)| small.contains(name))?;
    let after = small.find(name).and_then(|at| small.get(at + name.len()..)).unwrap_or("");
    Some(made(id, number(after), line.to_owned()))
}

/// The service pack stands in a line of its own: `PATCHLEVEL = 4`.
fn suse(first: &str, text: &str) -> Option<Distribution> {
    let found = prose(first)?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key))?;
        Some(number(line)).filter(|n| !n.is_empty())
    };
    let version = match (value("VERSION"), value("PATCHLEVEL")) {
        (Some(version), Some(level)) if !version.contains('.') => format!("{version}.{level}"),
        (Some(version), _) => version,
        _ => found.version.clone(),
    };
    Some(made(&found.id, version, found.name))
}

/// `7.11`, or on testing and unstable `trixie/sid`.
fn debian(first: &str) -> Option<Distribution> {
    let version = number(first);
    let codename = first.split_once("/sid").map(|(codename, _)| codename);
    if version.is_empty() && codename.is_none() {
        return None;
    }
    Some(made("debian", version, format!("Debian GNU/Linux {first}")))
}

fn lsb(text: &str) -> Option<Distribution> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let id = value("DISTRIB_ID")?;
    let name = value("DISTRIB_DESCRIPTION").unwrap_or_else(|| id.clone());
    let small = id.to_ascii_lowercase();
    let known = NAMES.iter().find(|(name, _)| small.contains(name)).map_or(small.as_str(), |(_, id)| id);
    if !known.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)) {
        return None;
    }
    Some(made(known, number(&value("DISTRIB_RELEASE").unwrap_or_default()), name))
}

/// The first number with its dots, such as `6.10`; empty without one.
fn number(text: &str) -> String {
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let rest = &text[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, text: &str) -> String {
        parse(file, text).map_or_else(|| "nothing".into(), |d| format!("{} {}", d.id, d.version))
    }

    #[test]
    fn each_file_is_read_as_its_distribution_writes_it() {
        for (file, text, is) in [
            ("redhat-release", "CentOS release 6.10 (Final)\n", "centos 6.10"),
            ("redhat-release", "CentOS Linux release 7.9.2009 (Core)\n", "centos 7.9.2009"),
            ("redhat-release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n", "rhel 6.10"),
            ("oracle-release", "Oracle Linux Server release 6.10\n", "ol 6.10"),
            ("system-release", "Amazon Linux AMI release 2018.03\n", "amzn 2018.03"),
            ("system-release", "Amazon Linux release 2 (Karoo)\n", "amzn 2"),
            ("SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n", "sles 11.4"),
            ("SuSE-release", "openSUSE 13.2 (x86_64)\nVERSION = 13.2\nCODENAME = Harlequin\n", "opensuse 13.2"),
            ("debian_version", "7.11\n", "debian 7.11"),
            ("debian_version", "trixie/sid\n", "debian "),
            ("debian_version", "nonsense\n", "nothing"),
            ("lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=14.04\nDISTRIB_CODENAME=trusty\n", "ubuntu 14.04"),
            ("lsb-release", "LSB_VERSION=base-4.0-amd64\n", "nothing"),
            ("issue", "Debian GNU/Linux 7 \\n \\l\n\n", "debian 7"),
            ("issue", "\nUbuntu 14.04.6 LTS \\n \\l\n", "ubuntu 14.04.6"),
            ("issue", "Authorised use only\n", "nothing"),
            ("gentoo-release", "Gentoo Base System release 2.14\n", "gentoo 2.14"),
            ("alpine-release", "3.18.4\n", "alpine 3.18.4"),
            ("arch-release", "", "arch "),
            ("redhat-release", "", "nothing"),
        ] {
            assert_eq!(read(file, text), is, "{file}: {text}");
        }
    }
}
