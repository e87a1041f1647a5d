//! Distributions by name: what each is built on, and those that the vendor builds nothing for.
//! A derivative counts only where it names its parent's release itself, or where the release is documented here.

use crate::types::Release;

use super::Family;

/// Names of one distribution. The first is the one that the support table uses.
const SAME: [(&str, &[&str]); 12] = [
    ("debian", &["raspbian"]),
    ("ubuntu", &[]),
    ("rhel", &["redhat", "scientific", "cloudlinux", "eurolinux", "springdale", "miraclelinux", "circle", "virtuozzo"]),
    ("centos", &[]),
    ("rocky", &[]),
    ("almalinux", &[]),
    ("ol", &["oracle", "oraclelinux"]),
    ("amzn", &["amazon"]),
    ("fedora", &[]),
    ("sles", &["sled", "sles_sap", "sle_hpc", "suse", "sle"]),
    ("opensuse-leap", &["opensuse"]),
    ("opensuse-tumbleweed", &["opensuse-slowroll"]),
];

/// Debian's releases by codename (debian.org/releases).
const DEBIAN: [(&str, &str); 9] = [
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
];

/// Ubuntu's releases by codename (releases.ubuntu.com).
const UBUNTU: [(&str, &str); 22] = [
    ("precise", "12.04"),
    ("trusty", "14.04"),
    ("xenial", "16.04"),
    ("bionic", "18.04"),
    ("cosmic", "18.10"),
    ("disco", "19.04"),
    ("eoan", "19.10"),
    ("focal", "20.04"),
    ("groovy", "20.10"),
    ("hirsute", "21.04"),
    ("impish", "21.10"),
    ("jammy", "22.04"),
    ("kinetic", "22.10"),
    ("lunar", "23.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
    ("resolute", "26.04"),
    ("zesty", "17.04"),
    ("artful", "17.10"),
];

/// Derivatives that do not name their parent's release: name, own major version, parent, its version. From the
/// release notes of each.
const DERIVED: [(&str, u32, &str, &str); 27] = [
    ("linuxmint", 18, "ubuntu", "16.04"),
    ("linuxmint", 19, "ubuntu", "18.04"),
    ("linuxmint", 20, "ubuntu", "20.04"),
    ("linuxmint", 21, "ubuntu", "22.04"),
    ("linuxmint", 22, "ubuntu", "24.04"),
    ("elementary", 5, "ubuntu", "18.04"),
    ("elementary", 6, "ubuntu", "20.04"),
    ("elementary", 7, "ubuntu", "22.04"),
    ("elementary", 8, "ubuntu", "24.04"),
    ("zorin", 15, "ubuntu", "18.04"),
    ("zorin", 16, "ubuntu", "20.04"),
    ("zorin", 17, "ubuntu", "22.04"),
    ("zorin", 18, "ubuntu", "24.04"),
    ("trisquel", 10, "ubuntu", "20.04"),
    ("trisquel", 11, "ubuntu", "22.04"),
    ("trisquel", 12, "ubuntu", "24.04"),
    ("devuan", 2, "debian", "9"),
    ("devuan", 3, "debian", "10"),
    ("devuan", 4, "debian", "11"),
    ("devuan", 5, "debian", "12"),
    ("devuan", 6, "debian", "13"),
    ("parrot", 4, "debian", "10"),
    ("parrot", 5, "debian", "11"),
    ("parrot", 6, "debian", "12"),
    ("parrot", 7, "debian", "13"),
    ("pureos", 10, "debian", "11"),
    ("pureos", 11, "debian", "12"),
];

const OTHER_PACKAGES: &str = "its packages are neither deb nor rpm of a distribution that the vendor builds for";
const MUSL: &str = "it has another C library (musl) than the vendor's packages need";
const ALIEN: &str = "it has rpm packages, and the vendor builds none for it";
const CONTAINERS: &str = "its system is an image for containers, without a package manager";
const IMMUTABLE: &str = "its system is one image, which packages are not installed into one by one";

/// Distributions that the vendor has no packages for (Supported Platforms), and why.
const ELSEWHERE: [(&str, &str); 52] = [
    ("alpine", MUSL),
    ("postmarketos", MUSL),
    ("chimera", MUSL),
    ("wolfi", OTHER_PACKAGES),
    ("chainguard", OTHER_PACKAGES),
    ("openwrt", OTHER_PACKAGES),
    ("arch", OTHER_PACKAGES),
    ("archarm", OTHER_PACKAGES),
    ("manjaro", OTHER_PACKAGES),
    ("endeavouros", OTHER_PACKAGES),
    ("garuda", OTHER_PACKAGES),
    ("artix", OTHER_PACKAGES),
    ("cachyos", OTHER_PACKAGES),
    ("steamos", OTHER_PACKAGES),
    ("nixos", OTHER_PACKAGES),
    ("guix", OTHER_PACKAGES),
    ("gentoo", OTHER_PACKAGES),
    ("funtoo", OTHER_PACKAGES),
    ("void", OTHER_PACKAGES),
    ("slackware", OTHER_PACKAGES),
    ("solus", OTHER_PACKAGES),
    ("clear-linux-os", OTHER_PACKAGES),
    ("kaos", OTHER_PACKAGES),
    ("exherbo", OTHER_PACKAGES),
    ("poky", OTHER_PACKAGES),
    ("buildroot", OTHER_PACKAGES),
    ("tinycore", OTHER_PACKAGES),
    ("photon", ALIEN),
    ("mariner", ALIEN),
    ("azurelinux", ALIEN),
    ("openeuler", ALIEN),
    ("mageia", ALIEN),
    ("openmandriva", ALIEN),
    ("altlinux", ALIEN),
    ("rosa", ALIEN),
    ("flatcar", CONTAINERS),
    ("coreos", CONTAINERS),
    ("rhcos", CONTAINERS),
    ("scos", CONTAINERS),
    ("bottlerocket", CONTAINERS),
    ("cos", CONTAINERS),
    ("talos", CONTAINERS),
    ("rancheros", CONTAINERS),
    ("k3os", CONTAINERS),
    ("ubuntu-core", IMMUTABLE),
    ("endless", IMMUTABLE),
    ("vanilla", IMMUTABLE),
    ("sle-micro", IMMUTABLE),
    ("sl-micro", IMMUTABLE),
    ("opensuse-microos", IMMUTABLE),
    ("opensuse-leap-micro", IMMUTABLE),
    ("opensuse-aeon", IMMUTABLE),
];

/// Variants (`VARIANT_ID`) of Fedora and its kin whose system is one image.
const IMAGES: [&str; 9] =
    ["coreos", "silverblue", "kinoite", "sericea", "onyx", "iot", "atomic.host", "cosmic-atomic", "sway-atomic"];

/// Why the vendor has no packages for a distribution; None: it may have.
pub fn elsewhere(id: &str, variant: &str) -> Option<&'static str> {
    if ["fedora", "rhel", "centos"].contains(&id) && IMAGES.contains(&variant) {
        return Some(IMMUTABLE);
    }
    ELSEWHERE.iter().find(|(name, _)| *name == id).map(|(_, why)| *why)
}

/// The names of all distributions that the vendor has no packages for.
pub fn without_packages() -> impl Iterator<Item = &'static str> {
    ELSEWHERE.iter().map(|(name, _)| *name)
}

/// The name that the support table uses for a distribution, where it has one.
pub fn known(id: &str) -> Option<&'static str> {
    SAME.iter().find(|(name, others)| *name == id || others.contains(&id)).map(|(name, _)| *name)
}

/// What os-release says of a distribution's origin. Empty texts are what it does not say.
#[derive(Debug, Default)]
pub(super) struct Origin<'a> {
    pub id: &'a str,
    pub like: &'a str,
    pub version: &'a str,
    /// `VERSION_CODENAME`
    pub codename: &'a str,
    /// `UBUNTU_CODENAME`
    pub ubuntu: &'a str,
    /// `DEBIAN_CODENAME`
    pub debian: &'a str,
    /// `PLATFORM_ID`, such as `platform:el9`
    pub platform: &'a str,
}

impl Origin<'_> {
    pub fn family(&self) -> Family {
        if elsewhere(self.id, "").is_some() {
            return Family::Other;
        }
        let own = known(self.id).map(family_of);
        let of_like = || self.like.split_whitespace().find_map(|word| known(word).map(family_of));
        let of_table = || DERIVED.iter().find(|(name, ..)| *name == self.id).map(|_| Family::Debian);
        own.or_else(of_like).or_else(of_table).unwrap_or(Family::Other)
    }

    /// The release that packages are chosen for; None if it cannot be told.
    pub fn release(&self) -> Option<Release> {
        if elsewhere(self.id, "").is_some() {
            return None;
        }
        // Tumbleweed had this name, too, and its versions are dates.
        let snapshot = self.id == "opensuse" && Release::new("", self.version).numbers() > Some((2000, 0));
        if let Some(id) = if snapshot { known("opensuse-tumbleweed") } else { known(self.id) } {
            return Some(Release::new(id, self.own_version(id)));
        }
        if self.id == "kali" {
            // Kali is built from Debian testing, and its version is its own.
            return Some(Release::new("debian", ""));
        }
        self.named().or_else(|| self.derived())
    }

    /// The version of a distribution of its own. Debian testing and unstable have a codename alone.
    fn own_version(&self, id: &str) -> String {
        let found = match id {
            _ if !self.version.is_empty() => Some(self.version),
            "debian" => number(&DEBIAN, self.codename),
            "ubuntu" => number(&UBUNTU, self.codename).or_else(|| number(&UBUNTU, self.ubuntu)),
            _ => self.platform.strip_prefix("platform:el").filter(is_number),
        };
        found.unwrap_or("").to_owned()
    }

    /// The parent's release, where the derivative names it.
    fn named(&self) -> Option<Release> {
        if let Some(version) = number(&UBUNTU, self.ubuntu) {
            return Some(Release::new("ubuntu", version));
        }
        if let Some(version) = number(&DEBIAN, self.debian) {
            return Some(Release::new("debian", version));
        }
        let like = |name: &str| self.like.split_whitespace().any(|word| word == name);
        let platform = self.platform.strip_prefix("platform:").unwrap_or("");
        if ["rhel", "centos", "fedora"].into_iter().any(like) {
            for (prefix, id) in [("el", "rhel"), ("f", "fedora")] {
                if let Some(version) = platform.strip_prefix(prefix).filter(is_number) {
                    return Some(Release::new(id, version));
                }
            }
        }
        if like("ubuntu")
            && let Some(version) = number(&UBUNTU, self.codename)
        {
            return Some(Release::new("ubuntu", version));
        }
        if like("debian")
            && let Some(version) = number(&DEBIAN, self.codename)
        {
            return Some(Release::new("debian", version));
        }
        None
    }

    fn derived(&self) -> Option<Release> {
        let (major, _) = Release::new(self.id, self.version).numbers()?;
        let row = DERIVED.iter().find(|(name, version, ..)| *name == self.id && *version == major)?;
        Some(Release::new(row.2, row.3))
    }
}

/// The family of a distribution of the table.
pub(super) fn family_of(known: &str) -> Family {
    match known {
        "debian" | "ubuntu" => Family::Debian,
        "sles" | "opensuse-leap" | "opensuse-tumbleweed" => Family::Suse,
        _ => Family::RedHat,
    }
}

fn number(names: &[(&str, &'static str)], codename: &str) -> Option<&'static str> {
    names.iter().find(|(name, _)| *name == codename).map(|(_, version)| *version)
}

fn is_number(text: &&str) -> bool {
    !text.is_empty() && text.len() < 5 && text.bytes().all(|c| c.is_ascii_digit())
}
