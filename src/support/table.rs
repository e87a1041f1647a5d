//! The support table: a row a range of releases. What the vendor supports changes here and nowhere else.

/// A page that says what is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// "Supported Platforms", the Agent by operating system, version and architecture.
    Platforms,
    /// "Agent proxy for FIPS compliance", supported platforms and limitations.
    Fips,
    /// "Workload Protection Supported Linux Distributions".
    Cws,
    /// The older list of "Cloud Workload Security, getting started": Fedora 26+, SUSE 15+, CentOS/RHEL 7.6+.
    OlderCws,
    /// agent-linux-install-script 1.46.0.
    Script,
    /// What the kernel itself says.
    Kernel,
    /// What this host says of itself.
    Host,
}

impl Source {
    pub const fn text(self) -> &'static str {
        match self {
            Source::Platforms => "https://docs.datadoghq.com/agent/supported_platforms/",
            Source::Fips => "https://docs.datadoghq.com/agent/faq/fips_proxy/",
            Source::Cws => "https://docs.datadoghq.com/security/workload_protection/supported_linux_distributions/",
            Source::OlderCws => "https://docs.datadoghq.com/security/cloud_workload_security/getting_started/",
            Source::Script => "https://github.com/DataDog/agent-linux-install-script (1.46.0)",
            Source::Kernel => "the running kernel",
            Source::Host => "the host's own release file",
        }
    }
}

/// The Agents of one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// None is supported.
    None,
    /// Agent 7 from this minor version on.
    From(u32),
    /// Up to this minor version, which is the last.
    UpTo(u32),
}

/// What is said of the FIPS proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    No,
    Yes,
    Beta,
    /// The page names Red Hat, and this is of its family.
    Family,
}

/// What is said of CWS, and the first kernel that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cws {
    No,
    /// Named by the page.
    Yes(Kernel),
    /// Named by the older page, or built from a release that is named.
    Family(Kernel, Source),
}

/// A kernel release's leading numbers.
pub type Kernel = [u32; 4];

/// The first kernel with what CWS needs.
pub const FIRST: Kernel = [4, 14, 0, 0];
/// Red Hat 7.6's, which has it backported.
const RED_HAT_7: Kernel = [3, 10, 0, 957];
/// SUSE Linux Enterprise 12 SP4's, which has it backported.
const SUSE_12: Kernel = [4, 12, 0, 0];

/// A range of releases.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Distributions by ID, as `facts::parents` names them.
    pub ids: &'static [&'static str],
    /// For people.
    pub name: &'static str,
    /// The first release, and the first that is not meant any more.
    pub from: (u32, u32),
    pub before: (u32, u32),
    pub x86_64: Agents,
    pub aarch64: Agents,
    pub agent_source: Source,
    pub proxy: Proxy,
    pub cws: Cws,
    /// The newest major release that the page on CWS names, where it does not say "or later".
    pub cws_named: Option<u32>,
}

const END: (u32, u32) = (u32::MAX, 0);
const RED_HAT: &[&str] = &["rhel", "centos", "ol"];
const REBUILDS: &[&str] = &["rocky", "almalinux"];
const OPENSUSE: &[&str] = &["opensuse-leap"];

/// What most rows say.
const BASE: Row = Row {
    ids: &[],
    name: "",
    from: (0, 0),
    before: END,
    x86_64: Agents::From(0),
    aarch64: Agents::None,
    agent_source: Source::Platforms,
    proxy: Proxy::No,
    cws: Cws::No,
    cws_named: None,
};

/// Every row. Ranges of one distribution do not overlap.
pub static TABLE: &[Row] = &[
    Row { ids: &["debian"], name: "Debian", from: (7, 0), before: (8, 0), x86_64: Agents::UpTo(35), ..BASE },
    Row { ids: &["debian"], name: "Debian", from: (8, 0), before: (9, 0), proxy: Proxy::Yes, ..BASE },
    // On Debian the script has no older Agent for arm64 (1.46.0).
    Row {
        ids: &["debian"],
        name: "Debian",
        from: (9, 0),
        before: (10, 0),
        aarch64: Agents::From(35),
        proxy: Proxy::Yes,
        ..BASE
    },
    Row {
        ids: &["debian"],
        name: "Debian",
        from: (10, 0),
        aarch64: Agents::From(35),
        proxy: Proxy::Yes,
        cws: Cws::Yes(FIRST),
        ..BASE
    },
    Row { ids: &["ubuntu"], name: "Ubuntu", from: (14, 4), before: (16, 4), proxy: Proxy::Yes, ..BASE },
    Row {
        ids: &["ubuntu"],
        name: "Ubuntu",
        from: (16, 4),
        before: (18, 4),
        aarch64: Agents::From(16),
        proxy: Proxy::Yes,
        ..BASE
    },
    Row {
        ids: &["ubuntu"],
        name: "Ubuntu",
        from: (18, 4),
        aarch64: Agents::From(16),
        proxy: Proxy::Yes,
        cws: Cws::Yes(FIRST),
        cws_named: Some(24),
        ..BASE
    },
    Row {
        ids: RED_HAT,
        name: "Red Hat Enterprise Linux, CentOS, Oracle Linux",
        from: (6, 0),
        before: (7, 0),
        x86_64: Agents::UpTo(51),
        ..BASE
    },
    Row {
        ids: RED_HAT,
        name: "Red Hat Enterprise Linux, CentOS, Oracle Linux",
        from: (7, 0),
        before: (8, 0),
        proxy: Proxy::Yes,
        cws: Cws::Yes(RED_HAT_7),
        ..BASE
    },
    Row {
        ids: RED_HAT,
        name: "Red Hat Enterprise Linux, CentOS, Oracle Linux",
        from: (8, 0),
        aarch64: Agents::From(16),
        proxy: Proxy::Yes,
        cws: Cws::Yes(FIRST),
        cws_named: Some(9),
        ..BASE
    },
    Row {
        ids: REBUILDS,
        name: "Rocky Linux, AlmaLinux",
        from: (8, 0),
        x86_64: Agents::From(33),
        aarch64: Agents::From(33),
        proxy: Proxy::Family,
        cws: Cws::Family(FIRST, Source::Cws),
        ..BASE
    },
    Row {
        ids: &["amzn"],
        name: "Amazon Linux",
        from: (2, 0),
        before: (3, 0),
        aarch64: Agents::From(16),
        proxy: Proxy::Family,
        cws: Cws::Yes(FIRST),
        ..BASE
    },
    Row {
        ids: &["amzn"],
        name: "Amazon Linux",
        from: (2022, 0),
        x86_64: Agents::From(40),
        aarch64: Agents::From(40),
        proxy: Proxy::Family,
        cws: Cws::Yes(FIRST),
        ..BASE
    },
    Row {
        ids: &["fedora"],
        name: "Fedora",
        from: (26, 0),
        before: (27, 0),
        proxy: Proxy::Family,
        cws: Cws::Family(FIRST, Source::OlderCws),
        ..BASE
    },
    Row {
        ids: &["fedora"],
        name: "Fedora",
        from: (27, 0),
        aarch64: Agents::From(16),
        proxy: Proxy::Family,
        cws: Cws::Family(FIRST, Source::OlderCws),
        ..BASE
    },
    Row {
        ids: &["sles"],
        name: "SUSE Linux Enterprise",
        from: (11, 4),
        before: (12, 0),
        x86_64: Agents::UpTo(32),
        ..BASE
    },
    Row {
        ids: &["sles"],
        name: "SUSE Linux Enterprise",
        from: (12, 0),
        before: (15, 0),
        proxy: Proxy::Beta,
        cws: Cws::Yes(SUSE_12),
        ..BASE
    },
    Row {
        ids: &["sles"],
        name: "SUSE Linux Enterprise",
        from: (15, 0),
        proxy: Proxy::Beta,
        cws: Cws::Yes(FIRST),
        cws_named: Some(15),
        ..BASE
    },
    Row {
        ids: OPENSUSE,
        name: "openSUSE",
        from: (11, 4),
        before: (15, 0),
        x86_64: Agents::UpTo(32),
        agent_source: Source::Script,
        ..BASE
    },
    // 42 came before 15.
    Row {
        ids: OPENSUSE,
        name: "openSUSE Leap",
        from: (42, 0),
        before: (43, 0),
        x86_64: Agents::UpTo(32),
        agent_source: Source::Script,
        ..BASE
    },
    Row {
        ids: OPENSUSE,
        name: "openSUSE Leap",
        from: (15, 0),
        before: (42, 0),
        proxy: Proxy::Beta,
        cws: Cws::Family(FIRST, Source::OlderCws),
        ..BASE
    },
    Row {
        ids: &["opensuse-tumbleweed"],
        name: "openSUSE Tumbleweed",
        proxy: Proxy::Beta,
        cws: Cws::Family(FIRST, Source::OlderCws),
        ..BASE
    },
];
