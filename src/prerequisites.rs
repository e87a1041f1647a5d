//! What must hold before anything is written. Every refusal here leaves the host untouched.

use crate::config::is_on;
use crate::config::yaml::Value;
use crate::current::Current;
use crate::desired::{Asked, PORTS, PROXY_UNIT};
use crate::error::{Error, Kind, Result};
use crate::facts::{Facts, Family, Init};
use crate::host::Host;
use crate::packages::{self, Manager, versions::compare_debian};
use crate::request::{FIRST_FIPS_AGENT, Request};
use crate::settings;
use crate::step::PackageChange;
use crate::support::{self, ALL_PRODUCTS_AGENT, FIRST_CWS_AGENT, Needs};
use crate::types::{Flavor, Profile, Site, Version};

/// The first FIPS Agent that the official script installs.
const FIRST_FIPS_FLAVOR: Version = Version::new(7, 64, 0);

/// Room that is left over beside what the packages need: configuration, backups, logs.
const SPARE: u64 = 32 * 1024 * 1024;

/// What the host is: supported, and ours to change. Returns notes.
pub fn platform(host: &Host, facts: &Facts, request: &Request, asked: &Asked, writes: bool) -> Result<Vec<String>> {
    let needs =
        Needs { fips: asked.fips_on(), cws: asked.cws_on(), flavor: asked.flavor(), pin: request.agent_pin.as_ref() };
    let mut notes = support::check(facts, needs)?;
    notes.extend(services(facts, asked)?);
    let fits = match (facts.distribution.family, Manager::of(host)?) {
        (Family::Debian, manager) => manager == Manager::Apt,
        (Family::RedHat, manager) => manager == Manager::Dnf,
        (Family::Suse, manager) => manager == Manager::Zypper,
        (Family::Other, _) => false,
    };
    if !fits {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{} does not have the package manager of its family", facts.distribution.name),
        )
        .hint("ddinstall installs with apt on Debian and Ubuntu, dnf or yum on Red Hat's kin, zypper on SUSE"));
    }
    if writes && !facts.root {
        return Err(Error::new(Kind::Prerequisite, "changing this host needs root").hint(
            "run as root: `sudo -E ddinstall install` keeps the DD_* variables; `ddinstall plan` works without root",
        ));
    }
    Ok(notes)
}

/// Packages can be changed one by one: a host that was booted from one image (ostree, bootc) has its programs read-only.
/// Its configuration can be changed.
pub fn can_install(host: &Host, changes: &[PackageChange]) -> Result<()> {
    const BOOTED: &str = "/run/ostree-booted";
    if changes.is_empty() || host.meta(BOOTED)?.is_none() {
        return Ok(());
    }
    let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    let what =
        format!("this system is one image ({BOOTED} is there): {} cannot be installed into it", names.join(", "));
    Err(Error::new(Kind::Unsupported, what)
        .hint("run `ddinstall install --no-key` in the build of the image, or layer the packages (`rpm-ostree install`); then run again"))
}

/// What the packages have a service for, under this host's init system.
fn services(facts: &Facts, asked: &Asked) -> Result<Option<String>> {
    match facts.init {
        _ if facts.profile == Profile::Image => Ok(Some(
            "this is an image: nothing is started in it, and neither the ports nor the kernel of this machine are looked at".into(),
        )),
        _ if facts.profile == Profile::Container => Ok(None),
        Init::Systemd | Init::Upstart => Ok(None),
        // The packages' own list: packages/debian/etc of datadog-agent, and omnibus/config/software/init-scripts-agent.rb.
        Init::Sysv if asked.cws_on() => {
            let what = "CWS: systemd is not process 1 here, and the Agent's package has no SysV script for system-probe";
            Err(Error::new(Kind::Unsupported, what).hint("run CWS on a host with systemd, or install without it"))
        }
        Init::Sysv => Ok(Some("systemd is not process 1 here: services are started by their scripts in /etc/init.d".into())),
        Init::None => Ok(Some(
            "no service manager runs here (a container, or an image build): nothing is started, and services are only enabled"
                .into(),
        )),
    }
}

/// What the host's own configuration says against the request.
pub fn request(request: &Request, asked: &Asked, profile: Profile, current: &Current) -> Result<()> {
    let usage = |what: String, hint: &str| Err(Error::new(Kind::Usage, what).hint(hint));
    let path = asked.main_file().path();
    if asked.flavor() == Flavor::FipsProxy {
        return Ok(());
    }
    // An image may go on without a key that was waived before; what runs may not.
    let waived = request.no_key || (asked.no_key && profile == Profile::Image);
    let Some(document) = current.document(path) else {
        if request.api_key.is_none() && !waived && !matches!(current.file(path), crate::current::Seen::Denied(_)) {
            return usage(format!("DD_API_KEY is not set, and there is no {path} that holds a key"), NO_KEY);
        }
        return Ok(());
    };
    let document = document.as_ref().map_err(|refusal| refusal.clone().into_error(std::path::Path::new(path)))?;
    let text = |at: &str| match at.parse().ok().and_then(|at| document.get(&at)) {
        Some(Value::Str(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let has_key = current.has_key(path);
    if request.api_key.is_none() && !has_key && !waived {
        return usage(format!("DD_API_KEY is not set, and {path} holds no key"), NO_KEY);
    }
    let is_fips = is_on(document, "fips.enabled");
    if is_fips && request.fips == Some(false) && !request.allow_fips_off {
        return usage(
            "DD_FIPS_MODE is off, and this host has FIPS on: its data would leave outside the proxy".into(),
            "leave DD_FIPS_MODE unset to keep FIPS, or add --allow-fips-off to turn it off",
        );
    }
    // FIPS may be on by an earlier run or by hand; this call need not say so.
    if (asked.fips_on() || (is_fips && request.fips.is_none()))
        && let [first, rest @ ..] = request.bypasses().as_slice()
    {
        let error = Error::new(Kind::Usage, format!("this host has FIPS on; {first}"));
        return Err(error.detail(rest.join("\n")).hint("leave it unset, or turn FIPS off first"));
    }
    if asked.fips_on() && request.site.is_none() {
        let site = text("site").or_else(|| implied_site(text("dd_url")));
        // An Agent without a site sends to US1; a host that has a key and no site is such a one.
        let site = site.or_else(|| (has_key && !is_fips).then(|| "datadoghq.com".into()));
        if let Some(site) = site.filter(|site| site != "ddog-gov.com") {
            return usage(
                format!("{path} sends to {site}, and the FIPS proxy sends to ddog-gov.com (US1-FED) only"),
                "name the site: set DD_SITE=ddog-gov.com, with an API key of that site, if this host is to move there",
            );
        }
    }
    if is_fips && request.fips.is_none() && request.site.as_ref().is_some_and(|site| !site.is_us1_fed()) {
        return usage(
            "DD_SITE: this host has FIPS on, and the FIPS proxy sends to ddog-gov.com (US1-FED) only".into(),
            "leave DD_SITE unset, or turn FIPS off with DD_FIPS_MODE=0 and --allow-fips-off",
        );
    }
    Ok(())
}

const NO_KEY: &str = "set DD_API_KEY, or name a file that holds it with --api-key-file (`-` for standard input)";

/// The site behind an intake address, such as `https://app.ddog-gov.com`.
fn implied_site(url: Option<String>) -> Option<String> {
    let host = url?.split("://").nth(1)?.split(['/', ':']).next()?.to_owned();
    // One site's name may end in another's: the longest that fits is meant.
    let fits = |site: &&str| host == *site || host.ends_with(&format!(".{site}"));
    Site::known().filter(fits).max_by_key(|site| site.len()).map(str::to_owned)
}

/// Packages that exclude each other. Nothing is removed here: that is the operator's to do.
pub fn flavors(asked: &Asked, current: &Current, manager: Manager) -> Result<()> {
    let flavor = asked.flavor();
    let there = |other: &Flavor| current.version(other.package()).is_some();
    let excluded = |other: &Flavor| {
        (flavor.is_agent() && other.is_agent() && *other != flavor)
            || (flavor == Flavor::FipsAgent && *other == Flavor::FipsProxy)
            || (flavor == Flavor::FipsProxy && *other == Flavor::FipsAgent)
    };
    let found: Vec<&str> =
        Flavor::ALL.into_iter().filter(|other| excluded(other) && there(other)).map(Flavor::package).collect();
    if found.is_empty() {
        return Ok(());
    }
    let what = format!("{flavor} was asked for, and {} is installed, which excludes it", found.join(" and "));
    Err(Error::new(Kind::Prerequisite, what).hint(format!(
        "remove it first: {} remove {} (its configuration stays), or leave DD_AGENT_FLAVOR unset to keep it",
        manager.command(),
        found.join(" ")
    )))
}

/// The ports of the proxy are free, or its own.
pub fn ports(asked: &Asked, current: &Current) -> Result<()> {
    let strangers = current.strangers();
    if !asked.proxy_on() || strangers.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = strangers
        .iter()
        .map(|l| match &l.owner {
            Some(owner) => {
                format!("port {} is held by {} (process {}) on {}", l.port, owner.name, owner.pid, l.address)
            }
            None => format!("port {} is held by another process on {}", l.port, l.address),
        })
        .collect();
    let what = format!("{}; the FIPS proxy needs {} to {}", each[0], PORTS.start(), PORTS.end());
    Err(Error::new(Kind::Prerequisite, what)
        .detail(each[1..].join("\n"))
        .hint(format!("stop that process or move it to another port; {PROXY_UNIT} itself may hold them")))
}

/// The FIPS proxy has the system's certificate authorities to check the intake with: its configuration, which is the
/// vendor's, names their file.
pub fn authorities(host: &Host, asked: &Asked) -> Result<()> {
    if !asked.proxy_on() || packages::trust_store(host)?.is_some() {
        return Ok(());
    }
    let what = "the FIPS proxy checks the intake by the system's certificate authorities, and this host has none";
    Err(Error::new(Kind::Prerequisite, what).hint("install the package ca-certificates, then run again"))
}

/// The Agent that will be there serves what was asked.
pub fn agent_version(
    request: &Request,
    asked: &Asked,
    changes: &[PackageChange],
    current: &Current,
) -> Result<Vec<String>> {
    let change = changes.iter().find(|change| change.name == asked.flavor().package());
    let to: Option<Version> = match change {
        Some(change) => change.to.as_ref().and_then(|v| v.parse().ok()),
        None => current.agent_version(),
    };
    let Some(version) = to else { return Ok(Vec::new()) };
    let hint = match change {
        Some(_) => "pin a newer one with DD_AGENT_MINOR_VERSION, or use a repository that has one",
        None => "add --upgrade, or pin a newer one with DD_AGENT_MINOR_VERSION",
    };
    let old = |what: &str, first: &Version| {
        Err(Error::new(Kind::Prerequisite, format!("{what} needs Agent {first} or later, and this is {version}"))
            .hint(hint))
    };
    if asked.fips_on() && version < FIRST_FIPS_AGENT {
        return old("FIPS mode", &FIRST_FIPS_AGENT);
    }
    if asked.cws_on() && version < FIRST_CWS_AGENT {
        return old("CWS", &FIRST_CWS_AGENT);
    }
    if asked.flavor() == Flavor::FipsAgent && version < FIRST_FIPS_FLAVOR {
        return old("datadog-fips-agent", &FIRST_FIPS_FLAVOR);
    }
    for (setting, _) in request.values.iter().filter(|(_, value)| **value != settings::Value::Bool(false)) {
        let first = setting.since.map(|(major, minor)| Version::new(major, minor, 0));
        if let Some(first) = first.filter(|first| version < *first) {
            return old(&setting.name(), &first);
        }
    }
    if asked.fips_on() && version < ALL_PRODUCTS_AGENT {
        return Ok(vec![format!(
            "Agent {version}: some products go through the FIPS proxy only from {ALL_PRODUCTS_AGENT} on"
        )]);
    }
    Ok(Vec::new())
}

/// Refuses to replace a newer version by an older one without `--allow-downgrade`.
pub fn downgrade(request: &Request, changes: &[PackageChange]) -> Result<()> {
    for change in changes {
        let (Some(from), Some(to)) = (&change.from, &change.to) else { continue };
        if !request.allow_downgrade && compare_debian(to, from).is_lt() {
            let what = format!("{} {from} is installed, and {to} was asked for, which is older", change.name);
            return Err(Error::new(Kind::Usage, what).hint("add --allow-downgrade if that is what you want"));
        }
    }
    Ok(())
}

/// Refuses to change a package on hold unless the operator says what becomes of the hold.
pub fn held(request: &Request, changes: &[PackageChange], current: &Current) -> Result<()> {
    let is_held = |change: &&PackageChange| current.packages.get(change.name.as_str()).is_some_and(|p| p.held);
    match changes.iter().find(is_held) {
        Some(change) if request.hold.is_none() => {
            let to = change.to.as_deref().unwrap_or("another version");
            let what = format!("{} is on hold, and would be replaced by {to}", change.name);
            Err(Error::new(Kind::Prerequisite, what)
                .hint("--hold=off releases it; --hold moves it and holds the new version"))
        }
        _ => Ok(()),
    }
}

/// There is room for the packages and for our own files.
pub fn disk(host: &Host, manager: Manager, packages: packages::Needs) -> Result<()> {
    let mut needs: Vec<(u64, u64, u64, Vec<&str>)> = Vec::new();
    for (folder, bytes) in
        [("/opt", packages.installed), (manager.cache(), packages.download), ("/var/lib", SPARE), ("/etc", SPARE / 32)]
    {
        let space = host.free_space(folder)?;
        match needs.iter_mut().find(|(device, ..)| *device == space.device) {
            Some((_, _, need, folders)) => {
                *need = need.saturating_add(bytes);
                folders.push(folder);
            }
            None => needs.push((space.device, space.bytes, bytes, vec![folder])),
        }
    }
    for (_, free, need, folders) in needs {
        if free < need {
            let what = format!(
                "{} has {} MB free, and {} MB are needed",
                folders.join(" and "),
                free / 1_000_000,
                need.div_ceil(1_000_000)
            );
            return Err(Error::new(Kind::Prerequisite, what).hint("make room on that file system, then run again"));
        }
    }
    Ok(())
}
