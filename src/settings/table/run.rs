//! What a run does, and where packages come from.

use super::super::Setting;
use super::super::Type::*;

const INJECTION: &str = "APM injection downloads a further vendor script and runs it as root; \
    run that script yourself, after this, if you want it";

/// Rows that land in no file.
pub(super) const RUN: &[Setting] = &[
    // The run.
    Setting::new("install_only", &["DD_INSTALL_ONLY"], Switch, "Installs and configures, and starts nothing.")
        .default("off")
        .better("`0` is off"),
    Setting::new(
        "no_agent_install",
        &["DD_NO_AGENT_INSTALL"],
        Switch,
        "Sets up keys, repository and configuration files, and leaves the Agent to you.",
    )
    .default("off")
    .better("`0` is off; not together with FIPS, CWS or compliance checks, which could not be proven"),
    Setting::new(
        "agent_flavor",
        &["DD_AGENT_FLAVOR"],
        Choice(&[
            "datadog-agent",
            "datadog-iot-agent",
            "datadog-dogstatsd",
            "datadog-fips-proxy",
            "datadog-fips-agent",
            "datadog-heroku-agent",
        ]),
        "Package to install. datadog-fips-agent has FIPS built in and needs no proxy.",
    )
    .default("the installed one; on a fresh host datadog-agent")
    .better("the version is looked up for the flavor's own package; another flavor that is installed is named, never removed"),
    Setting::new("agent_major_version", &["DD_AGENT_MAJOR_VERSION"], Choice(&["7"]), "Major version of the Agent.")
        .default("7")
        .refused("7 only: Agent 6 has neither the FIPS proxy nor CWS as it is today"),
    Setting::new(
        "agent_minor_version",
        &["DD_AGENT_MINOR_VERSION"],
        MinorVersion,
        "Minor version of the Agent: 58 for its newest patch, 58.2 for just that one.",
    )
    .default("the installed one; on a fresh host the newest")
    .better("matched exactly, and for the flavor's own package"),
    Setting::new(
        "fips_proxy_version",
        &["DD_FIPS_PROXY_VERSION"],
        PackageVersion,
        "Version of the FIPS proxy, such as 1.1.14.",
    )
    .default("the installed one; on a fresh host the newest")
    .ours(),
    Setting::new(
        "upgrade",
        &["DD_UPGRADE"],
        Switch,
        "Upgrades installed packages to the newest version, or to the one that is pinned.",
    )
    .default("off: an installed version stays")
    .better("a second run stays at its version unless asked; the script upgrades on every run"),
    Setting::new(
        "hold",
        &["DD_HOLD"],
        Bool,
        "Holds the packages at their version against other upgrades, or releases them; a pin or --upgrade beside it still moves them.",
    )
    .ours(),
    Setting::new(
        "package",
        &["DD_PACKAGE_FILES"],
        Paths,
        "Package files that are on this host already, installed in place of those of the repository, which is not asked.",
    )
    .default("packages come from the repository")
    .ours(),
    Setting::new(
        "assume_distribution",
        &["DD_ASSUME_DISTRIBUTION"],
        Release,
        "Release that an unknown derivative is built on, such as debian:12 or rhel:9.",
    )
    .default("what os-release says")
    .ours(),
    Setting::new(
        "profile",
        &["DD_INSTALL_PROFILE"],
        Choice(&crate::types::Profile::NAMES),
        "What this is: a host, an image that is being built, or a container whose first process starts everything.",
    )
    .default("image with --root, and in a container without a service manager; otherwise host")
    .ours(),
    Setting::new(
        "no_key",
        &["DD_NO_KEY"],
        Bool,
        "Does without an API key, and keeps secrets out: the first start brings the key by `ddinstall install`.",
    )
    .default("off; on with --root")
    .ours(),
    Setting::new("clean", &["DD_CLEAN"], Switch, "Empties the package manager's lists and caches at the end.")
        .default("off; in an image they are left as they were found")
        .ours(),
    Setting::new("allow_downgrade", &[], Switch, "Lets a pinned version replace a newer one.").default("off").ours(),
    Setting::new("allow_fips_off", &[], Switch, "Lets an explicit DD_FIPS_MODE=0 turn FIPS off on a host that has it.")
        .default("off")
        .ours(),
    Setting::new(
        "reset_proxy_config",
        &[],
        Switch,
        "Replaces a changed datadog-fips-proxy.cfg by the vendor's example.",
    )
    .default("off: a proxy configuration that was changed by hand stays")
    .ours(),
    Setting::new("on_failure", &[], Choice(&["rollback", "keep"]), "What a failing run does with what it has changed.")
        .default("rollback")
        .ours(),
    Setting::new(
        "keep_binary",
        &[],
        Switch,
        "Keeps a copy of this program in /var/lib/ddinstall, for a later rollback or uninstall; install.sh asks for it.",
    )
    .default("off")
    .ours(),
    // Where packages come from.
    Setting::new(
        "repo_url",
        &["DD_REPO_URL", "REPO_URL"],
        Address,
        "Domain of the package repositories: packages come from https://apt.DOMAIN/ or https://yum.DOMAIN/.",
    )
    .default("datadoghq.com"),
    Setting::new(
        "agent_dist_channel",
        &["DD_AGENT_DIST_CHANNEL"],
        Choice(&["stable", "beta", "nightly"]),
        "Channel of the repository; nightly only from a repository of your own.",
    )
    .default("stable"),
    Setting::new(
        "rpm_repo_gpgcheck",
        &["DD_RPM_REPO_GPGCHECK"],
        OnlyOn("repositories are always checked by signature; name a mirror's own key with DD_REPO_KEY_FINGERPRINTS"),
        "Checks the signature of rpm repositories.",
    )
    .default("on, always")
    .idle("repositories are always checked")
    .refused("off is refused; on is accepted"),
    Setting::new(
        "apt_url",
        &["TESTING_APT_URL"],
        Address,
        "Address of the apt repository, with or without https://, in place of what repo_url gives; user:password@ in it is kept in apt's credential file.",
    )
    .default("apt.datadoghq.com"),
    Setting::new("apt_repo_version", &["TESTING_APT_REPO_VERSION"], Text, "Suite and component of the apt repository.")
        .default("stable 7"),
    Setting::new("yum_url", &["TESTING_YUM_URL"], Address, "Address of the rpm repository.")
        .default("yum.datadoghq.com"),
    Setting::new("yum_version_path", &["TESTING_YUM_VERSION_PATH"], Text, "Path of the rpm repository under its address.")
        .default("stable/7"),
    Setting::new("keys_url", &["TESTING_KEYS_URL"], Address, "Address of the signing keys, with or without https://.")
        .default("keys.datadoghq.com")
        .better("keys are checked against pinned fingerprints, wherever they come from"),
    Setting::new("report_url", &["TESTING_REPORT_URL"], Text, "Address that reports of failure are sent to.")
        .default("none")
        .idle("no report is ever sent")
        .better("no report is ever sent"),
    Setting::new(
        "repo_key_fingerprints",
        &["DD_REPO_KEY_FINGERPRINTS"],
        List,
        "Fingerprints, separated by commas, of further signing keys that you trust, for a mirror signed by its own key.",
    )
    .default("only the vendor's keys are trusted")
    .ours(),
    Setting::new(
        "repo_key_file",
        &["DD_REPO_KEY_FILE"],
        Path,
        "File with the signing keys, in place of a download; the keys in it are trusted.",
    )
    .default("keys are downloaded")
    .ours(),
    Setting::new(
        "proxy",
        &["DD_REPO_PROXY"],
        Address,
        "HTTP proxy for keys and packages; NO_PROXY excepts hosts. With a password: by its variable.",
    )
    .default("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY; without them the package manager's own")
    .ours(),
    Setting::new(
        "ca_file",
        &["DD_REPO_CA_FILE"],
        Path,
        "Certificate authorities (PEM) that keys and packages may come from, beside the system's.",
    )
    .default("the system's alone")
    .ours(),
    Setting::new(
        "lock_wait",
        &["DD_LOCK_WAIT"],
        Seconds(0),
        "How long a lock of the package manager, or another run, is waited for.",
    )
    .default("120")
    .ours(),
    Setting::new(
        "download_stall",
        &["DD_DOWNLOAD_STALL"],
        Seconds(1),
        "How long a download may stand still before it is given up.",
    )
    .default("60")
    .ours(),
    Setting::new(
        "download_limit",
        &["DD_DOWNLOAD_LIMIT"],
        Seconds(1),
        "How long all downloading may take; what was fetched is used by the next run.",
    )
    .default("1800")
    .ours(),
    // What we do not do.
    Setting::new(
        "instrumentation_telemetry_enabled",
        &["DD_INSTRUMENTATION_TELEMETRY_ENABLED"],
        Bool,
        "Telemetry of the installation.",
    )
    .default("none is ever sent")
    .idle("this program sends no telemetry, whatever it says")
    .better("none is ever sent; the script sends it unless told otherwise"),
    Setting::new(
        "no_security_agent_install",
        &["DD_NO_SECURITY_AGENT_INSTALL"],
        Bool,
        "Leaves security-agent.yaml out: not done here.",
    )
    .default("as the Agent's package ships it")
    .idle("security-agent.yaml is made where the Agent's package ships an example of it; DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE lets system-probe send by itself")
    .refused("the file is made where the package ships an example of it; DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE lets system-probe send by itself"),
    Setting::new(
        "apm_instrumentation_enabled",
        &["DD_APM_INSTRUMENTATION_ENABLED"],
        Never(INJECTION),
        "APM injection into processes: refused.",
    )
    .default("off")
    .refused(INJECTION),
    Setting::new(
        "apm_instrumentation_libraries",
        &["DD_APM_INSTRUMENTATION_LIBRARIES", "DD_APM_INSTRUMENTATION_LANGUAGES"],
        Never(INJECTION),
        "Libraries of APM injection: refused.",
    )
    .default("none")
    .refused(INJECTION),
];
