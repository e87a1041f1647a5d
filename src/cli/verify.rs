//! `ddinstall verify` and `ddinstall doctor`.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// What verify prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    #[default]
    Text,
    Json,
    Junit,
    /// NIST OSCAL assessment results.
    Oscal,
    Html,
    /// The JSON schema of the JSON form; looks at no host.
    Schema,
}

/// How verify looks, and what it prints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verify {
    pub evidence: Evidence,
    /// What was expected, where that is written and what to do, for every check.
    pub details: bool,
    /// Names the checks instead of making them.
    pub list: bool,
    pub only: Vec<String>,
    pub skip: Vec<String>,
    /// How long a host that is still starting may take.
    pub wait: Option<Duration>,
}

const FORMATS: [(&str, Evidence); 6] = [
    ("text", Evidence::Text),
    ("json", Evidence::Json),
    ("junit", Evidence::Junit),
    ("oscal", Evidence::Oscal),
    ("html", Evidence::Html),
    ("schema", Evidence::Schema),
];

/// Adds its own options to a command that has the settings.
pub(super) fn verify(command: Command) -> Command {
    let words = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("CHECK").value_delimiter(',').action(ArgAction::Append).help(help)
    };
    command
        .about("Checks the host against what it was asked to be. Changes nothing; exits with 9 where a check fails.")
        .mut_arg("format", |arg| {
            arg.value_parser(FORMATS.map(|(name, _)| name)).help(
                "How results are printed; oscal are NIST OSCAL assessment results, schema is the JSON schema of json",
            )
        })
        .arg(flag("details", "Tells of every check what was expected, where that is written, and what to do"))
        .arg(flag("list", "Names every check, and looks at nothing"))
        .arg(words("only", "Makes these checks alone, by id (proxy.ports), family (config.*) or group (proxy)"))
        .arg(words("skip", "Leaves these checks out"))
        .arg(
            Arg::new("wait").long("wait").value_name("TIME").value_parser(time).help(
                "Looks again until all holds, for at most this long, such as 60s: for a host that is still starting",
            ),
        )
}

pub(super) fn verify_of(matches: &ArgMatches) -> Verify {
    let words = |name: &str| matches.get_many::<String>(name).map_or_else(Vec::new, |all| all.cloned().collect());
    let format = matches.get_one::<String>("format").map_or("text", String::as_str);
    Verify {
        evidence: FORMATS.iter().find(|(name, _)| *name == format).map(|(_, evidence)| *evidence).unwrap_or_default(),
        details: matches.get_flag("details"),
        list: matches.get_flag("list"),
        only: words("only"),
        skip: words("skip"),
        wait: matches.get_one::<Duration>("wait").copied(),
    }
}

pub(super) fn doctor(command: Command) -> Command {
    command
        .about(
            "Finds the cause of what does not hold, and the command that mends it. Exits with 9 where trouble is left.",
        )
        .arg(flag("fix", "Mends what `install` can mend, by plan, apply and receipt; the rest is printed"))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// `60s`, `2m`, or a number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().map(Duration::from_secs).ok();
    let time = seconds.or_else(|| humantime::parse_duration(text).ok());
    time.filter(|time| *time <= Duration::from_secs(3600))
        .ok_or_else(|| "is no time of at most an hour, such as 60s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(time("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(time("5"), Ok(Duration::from_secs(5)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert!(time("x").is_err() && time("2h").is_err());
    }
}
