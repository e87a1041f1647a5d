//! `ddinstall review`: files, and what is wanted of them.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::Action;
use crate::review::capabilities::FEATURES;

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Text,
    Json,
    Sarif,
}

/// What is reviewed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub files: Vec<String>,
    pub output: Output,
    /// Prints what mends the files, as a diff.
    pub fix: bool,
    /// Writes it, too.
    pub write: bool,
    /// Without the rights that are in order.
    pub quiet: bool,
    /// Prints what a feature needs, and reads no file.
    pub explain: Option<String>,
}

pub(super) fn command() -> Command {
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let features = FEATURES.map(|(_, name, _)| name);
    Command::new("review")
        .about("Tells what is wrong with what containers are started from: FIPS, CWS, rights that are missing or needless, secrets. Looks at no host.")
        .arg(
            Arg::new("FILE")
                .num_args(1..)
                .required_unless_present("explain")
                .help("Manifests, `helm template` output, values of the chart, Compose files, ECS task definitions, Dockerrun.aws.json, docker run commands, `docker inspect` output; - is standard input"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "json", "sarif"])
                .default_value("text")
                .help("How findings are printed; sarif is SARIF 2.1.0"),
        )
        .arg(switch("fix", "Prints what mends the files as a unified diff, and changes nothing").conflicts_with("explain"))
        .arg(switch("write", "Changes the files, too").requires("fix"))
        .arg(switch("quiet", "Prints findings only, not the rights that are in order").short('q'))
        .arg(
            Arg::new("explain")
                .long("explain")
                .value_name("FEATURE")
                .value_parser(features)
                .conflicts_with("FILE")
                .help("Prints the rights that a feature needs, why, and who says so"),
        )
        .after_help("Exits with 9 where a finding is an error (with --fix: where one is left), with 2 or 7 where a file cannot be read.")
}

pub(super) fn action(matches: &ArgMatches) -> Action {
    let output = match matches.get_one::<String>("format").map(String::as_str) {
        Some("json") => Output::Json,
        Some("sarif") => Output::Sarif,
        _ => Output::Text,
    };
    Action::Review(Review {
        files: matches.get_many::<String>("FILE").map_or_else(Vec::new, |files| files.cloned().collect()),
        output,
        fix: matches.get_flag("fix"),
        write: matches.get_flag("write"),
        quiet: matches.get_flag("quiet"),
        explain: matches.get_one::<String>("explain").cloned(),
    })
}
