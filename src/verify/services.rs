//! Packages, units, memberships and the kernel.

use crate::current::Current;
use crate::desired::{
    AGENT_UNIT, AGENT_USER, COLLECTOR, DOGSTATSD_UNIT, Desired, JOURNAL_GROUP, PROXY, PROXY_UNIT, SIGNING_KEYS,
    SYSPROBE_UNIT, Wanted,
};
use crate::facts::{Facts, Init};
use crate::host::Host;
use crate::host::system::{self, Lockdown};
use crate::host::users::Users;
use crate::request::FIRST_FIPS_AGENT;
use crate::types::{Profile, Version};

use super::Check;

pub(super) fn packages(desired: &Desired, current: &Current) -> Vec<Check> {
    let wanted = desired.packages.iter().filter(|wish| wish.version != Wanted::Along);
    wanted
        .map(|wish| {
            let needs_fips = desired.asked.fips_on() && wish.name == desired.asked.flavor().package();
            let expected =
                if needs_fips { format!("installed, {FIRST_FIPS_AGENT} or later") } else { "installed".into() };
            let id = match wish.name {
                PROXY => "package.proxy",
                COLLECTOR => "package.collector",
                SIGNING_KEYS => "package.keys",
                _ => "package.agent",
            };
            let check = Check::new(id, format!("the package {} is installed", wish.name), expected);
            match current.version(wish.name) {
                None => match current.packages.get(wish.name) {
                    Some(half) => {
                        check.fails(format!("{} is {}", half.version, half.state.word()), "run `ddinstall install`")
                    }
                    None => check.fails("it is not", "run `ddinstall install`"),
                },
                Some(version) => {
                    let old = version.parse::<Version>().is_ok_and(|v| v < FIRST_FIPS_AGENT);
                    match needs_fips && old {
                        true => check.fails(version, "run `ddinstall install --upgrade`"),
                        false => check.passes(version),
                    }
                }
            }
        })
        .collect()
}

/// Whether the Agent can read the proxy's log: its user is in the group, its process knows that, and the journal is
/// the group's to read.
pub(super) fn journald(host: &Host, desired: &Desired, current: &Current) -> Vec<Check> {
    if !desired.memberships.contains(&(AGENT_USER, JOURNAL_GROUP)) {
        return Vec::new();
    }
    let check = Check::new(
        "journald.group",
        format!("{AGENT_USER} may read the journal"),
        format!("{AGENT_USER} is a member of {JOURNAL_GROUP}, and the running Agent knows it"),
    );
    let group = Users::read(host).ok().and_then(|users| users.group(JOURNAL_GROUP).map(|group| group.gid));
    let running = current.units.get(AGENT_UNIT).map_or(0, |state| state.main_pid);
    let groups = system::groups_of(host, running);
    let member = match (current.memberships.contains(&(AGENT_USER, JOURNAL_GROUP)), group, groups) {
        (false, ..) => check
            .fails("it is not", format!("`ddinstall install` adds it, or: usermod -aG {JOURNAL_GROUP} {AGENT_USER}")),
        (true, Some(gid), Some(groups)) if !groups.contains(&gid) => {
            check.fails("the running Agent was started before it was added", format!("systemctl restart {AGENT_UNIT}"))
        }
        _ => check.passes("it is"),
    };
    vec![member, journal_folder(host, group)]
}

fn journal_folder(host: &Host, group: Option<u32>) -> Check {
    let expected = format!("a journal that the group {JOURNAL_GROUP} can read");
    let check = Check::new("journald.access", "there is a journal to read", expected);
    for folder in ["/var/log/journal", "/run/log/journal"] {
        let Ok(Some(meta)) = host.meta(folder) else { continue };
        let open = meta.mode & 0o005 == 0o005 || (Some(meta.gid) == group && meta.mode & 0o050 == 0o050);
        return match open {
            true => check.passes(folder),
            false => check.fails(
                format!("{folder} has mode {:04o} and group {}", meta.mode, meta.gid),
                "systemd-tmpfiles --create --prefix /var/log/journal sets it right",
            ),
        };
    }
    check.warns("neither /var/log/journal nor /run/log/journal is there", "systemd-journald makes one when it runs")
}

pub(super) fn units(facts: &Facts, desired: &Desired, current: &Current) -> Vec<Check> {
    let mut checks = Vec::new();
    for wish in desired.units.iter().filter(|wish| wish.must_run) {
        let check = Check::new(
            format!("unit.{}", wish.name.trim_end_matches(".service")),
            format!("{} runs", wish.name),
            "active (running)",
        );
        let Some(state) = current.units.get(wish.name) else {
            checks.push(check.unknown("systemd does not answer"));
            continue;
        };
        let seen = state.seen();
        checks.push(if !desired.start {
            check.skipped(format!("{seen}; {}", desired.rests()))
        } else if state.is_running() {
            check.passes(if state.active_since.is_empty() {
                seen
            } else {
                format!("{seen} since {}", state.active_since)
            })
        } else {
            let says_why = match facts.init {
                Init::Systemd => format!("journalctl -u {}", wish.name),
                _ => "its log in /var/log/datadog".into(),
            };
            let hint = format!("{says_why} says why; `ddinstall install` starts it");
            check.fails(if state.exists() { seen } else { "there is no such unit".into() }, hint)
        });
    }
    checks.extend(at_boot(facts, desired, current));
    checks
}

/// Whether the services start with the host, now or once it boots as what it is built for.
fn at_boot(facts: &Facts, desired: &Desired, current: &Current) -> Option<Check> {
    let own = |name: &str| [PROXY_UNIT, AGENT_UNIT, DOGSTATSD_UNIT].contains(&name);
    let states: Vec<_> =
        desired.units.iter().filter(|u| own(u.name)).filter_map(|u| current.units.get(u.name)).collect();
    let check = Check::new("unit.enabled", "the services start when the host boots", "enabled");
    let names = |wanted: &[&str]| {
        let found = states.iter().filter(|state| state.exists() && wanted.contains(&state.unit_file_state.as_str()));
        found.map(|state| state.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (off, other) = (names(&["disabled"]), names(&["", "manual", "masked", "masked-runtime"]));
    if states.is_empty() {
        None
    } else if !off.is_empty() {
        Some(check.fails(format!("{off}: disabled"), "`ddinstall install` enables what must start"))
    } else if !other.is_empty() && facts.init == Init::None {
        let hint = "in a container, let its first process start them (docs.datadoghq.com/containers)";
        Some(check.warns(format!("{other}: there is no systemd here that would start them"), hint))
    } else if !other.is_empty() {
        Some(check.warns(format!("{other}: kept from starting by the operator"), "enable them if they are to start"))
    } else {
        Some(check.passes("enabled"))
    }
}

pub(super) fn kernel_fips(facts: &Facts) -> Check {
    let check = Check::new("kernel.fips", "the kernel is in FIPS mode", "fips_enabled = 1");
    match facts.kernel_fips {
        Some(true) => check.passes("1"),
        _ => check.warns(
            "it is not",
            "the proxy's cryptography is validated for operating systems in FIPS mode: turning it on is up to you (security policy of the certificate)",
        ),
    }
}

/// What CWS needs beside its files and units.
pub(super) fn cws(host: &Host, facts: &Facts) -> Vec<Check> {
    const POLICIES: &str = "/etc/datadog-agent/runtime-security.d";
    let policies = Check::new("cws.policies", "CWS has policies", format!("a .policy file in {POLICIES}"));
    let policies = match host.list(POLICIES) {
        Ok(names) => {
            let found: Vec<String> = names
                .iter()
                .flatten()
                .map(|name| name.to_string_lossy().into_owned())
                .filter(|name| name.ends_with(".policy"))
                .collect();
            match found.is_empty() {
                true => policies.warns(
                    "none",
                    "policies come with the Agent's package; under FIPS none are sent by remote configuration",
                ),
                false => policies.passes(found.join(", ")),
            }
        }
        Err(failure) => policies.unknown(failure.to_string()),
    };
    let kernel = Check::new("cws.kernel", "the kernel runs eBPF programs", "4.14 or later, not locked down");
    if facts.profile == Profile::Image {
        return vec![policies];
    }
    let kernel = match facts.lockdown {
        Some(Lockdown::Confidentiality) => kernel.fails("locked down (confidentiality)", "boot with lockdown=integrity or none"),
        _ if system::has_btf(host) => kernel.passes(format!("{}, with BTF", facts.kernel)),
        _ => kernel.warns(
            format!("{}, without BTF", facts.kernel),
            format!("system-probe then needs kernel headers or its own BTF; journalctl -u {SYSPROBE_UNIT} says if it found them"),
        ),
    };
    vec![policies, kernel]
}
