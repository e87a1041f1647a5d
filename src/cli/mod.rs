//! The command line: what was typed, as settings and options. Flags come from the settings table.

mod render;
mod report;
mod review;
mod secrets;
mod verify;

pub use verify::{Evidence, Verify};

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::render::{Options, Target};
use crate::settings::{Setting, TABLE, Type};

pub use report::Shape;
pub use review::{Output, Review as ReviewArgs};
pub use secrets::{Helper, Reading, Secrets, Trial};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Install,
    Plan {
        diff: bool,
        detailed_exitcode: bool,
    },
    Verify(Verify),
    Doctor {
        fix: bool,
    },
    Undo(Extent),
    Settings(Listing),
    Support(Question, Listing),
    /// A folder or `-`, and how many hosts are named for each finding.
    Report {
        input: String,
        shape: Shape,
        names: usize,
    },
    Render(Target, Options),
    Review(ReviewArgs),
    Secrets(Secrets),
    ConfigGet {
        file: String,
        path: String,
    },
    ConfigSet {
        file: String,
        changes: Vec<String>,
        diff: bool,
        dry_run: bool,
    },
}

/// How much is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// All runs, not only the last one.
    pub all: bool,
    /// The packages' configuration and data, too.
    pub purge: bool,
    pub dry_run: bool,
}

/// The host that `ddinstall support` is asked about; without an os-release, this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    pub os_release: Option<String>,
    /// `--arch`
    pub architecture: Option<String>,
    /// `--kernel`
    pub kernel: Option<String>,
    /// `--assume-distribution`
    pub assumed: Option<String>,
}

/// How a table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    Text,
    Json,
    Markdown,
    /// A JSON schema of `--file`.
    Schema,
}

/// A command line that was understood.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub action: Action,
    pub format: Format,
    pub quiet: bool,
    /// Settings by key, in the order of the table.
    pub flags: Vec<(&'static str, String)>,
    /// Every `--set`.
    pub sets: Vec<String>,
    /// `--file`
    pub file: Option<String>,
    /// `--root`
    pub root: Option<String>,
}

/// Reads the arguments (the program's name first). The error knows how to print itself: help, version or a mistake.
pub fn parse(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let Some((name, sub)) = matches.subcommand() else {
        let all = command();
        let names: Vec<&str> = all.get_subcommands().map(Command::get_name).collect();
        return Err(command()
            .error(clap::error::ErrorKind::MissingSubcommand, format!("a command is needed: {}", names.join(", "))));
    };
    let action = match name {
        "plan" => Action::Plan { diff: sub.get_flag("diff"), detailed_exitcode: sub.get_flag("detailed_exitcode") },
        "verify" => Action::Verify(verify::verify_of(sub)),
        "doctor" => Action::Doctor { fix: sub.get_flag("fix") },
        "rollback" => Action::Undo(Extent { all: false, purge: false, dry_run: sub.get_flag("dry_run") }),
        "uninstall" => {
            Action::Undo(Extent { all: true, purge: sub.get_flag("purge"), dry_run: sub.get_flag("dry_run") })
        }
        "settings" => Action::Settings(listing(sub)),
        "support" => Action::Support(question(sub), listing(sub)),
        "report" => report::action(sub),
        "config" => config(sub)?,
        "render" => render::action(sub),
        "review" => review::action(sub),
        "secrets" => Action::Secrets(secrets::action(sub).ok_or_else(|| {
            command()
                .error(clap::error::ErrorKind::MissingSubcommand, "secrets needs `check`, `list`, `test` or `read`")
        })?),
        _ => Action::Install,
    };
    let sub = match name {
        "secrets" => sub.subcommand().map_or(sub, |(_, below)| below),
        _ => sub,
    };
    let json = sub.try_get_one::<String>("format").ok().flatten().is_some_and(|format| format == "json");
    let format = if json { Format::Json } else { Format::Text };
    let quiet = sub.try_get_one::<bool>("quiet").ok().flatten().copied().unwrap_or(false);
    let bare = matches!(
        action,
        Action::Settings(_)
            | Action::Support(..)
            | Action::Report { .. }
            | Action::Review(_)
            | Action::Secrets(_)
            | Action::Undo(_)
    );
    if bare || matches!(action, Action::ConfigGet { .. } | Action::ConfigSet { .. }) {
        return Ok(Invocation { action, format, quiet, flags: Vec::new(), sets: Vec::new(), file: None, root: None });
    }
    let sets = sub.get_many::<String>("set").map_or_else(Vec::new, |sets| sets.cloned().collect());
    let text = |name: &str| sub.get_one::<String>(name).cloned();
    Ok(Invocation { action, format, quiet, flags: flags(sub), sets, file: text("file"), root: text("root") })
}

fn listing(matches: &ArgMatches) -> Listing {
    match matches.get_one::<String>("format").map(String::as_str) {
        Some("json") => Listing::Json,
        Some("markdown") => Listing::Markdown,
        Some("schema") => Listing::Schema,
        _ => Listing::Text,
    }
}

fn question(matches: &ArgMatches) -> Question {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    Question {
        os_release: text("os_release"),
        architecture: text("arch"),
        kernel: text("kernel"),
        assumed: text("assume_distribution"),
    }
}

fn config(matches: &ArgMatches) -> Result<Action, clap::Error> {
    let text = |m: &ArgMatches, name: &str| m.get_one::<String>(name).cloned().unwrap_or_default();
    match matches.subcommand() {
        Some(("get", m)) => Ok(Action::ConfigGet { file: text(m, "FILE"), path: text(m, "PATH") }),
        Some((_, m)) => Ok(Action::ConfigSet {
            file: text(m, "FILE"),
            changes: m.get_many::<String>("PATH=VALUE").map_or_else(Vec::new, |all| all.cloned().collect()),
            diff: m.get_flag("diff"),
            dry_run: m.get_flag("dry_run"),
        }),
        None => Err(command().error(clap::error::ErrorKind::MissingSubcommand, "config needs `get` or `set`")),
    }
}

fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let given = |setting: &&Setting| setting.flag().is_some();
    TABLE
        .iter()
        .filter(given)
        .filter_map(|setting| {
            let values: Vec<&str> = matches.get_many::<String>(setting.key)?.map(String::as_str).collect();
            Some((setting.key, values.join(",")))
        })
        .collect()
}

/// The whole command line, for parsing, help, completions and manual pages.
pub fn command() -> Command {
    Command::new("ddinstall")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes this host FIPS and CWS with the Datadog Agent, and proves it.")
        .long_about(ABOUT)
        .after_help("Exit codes: 0 done or nothing to do · 2 wrong input · 3 not supported here · 4 prerequisite missing · 5 network, repository or signature · 6 package manager · 7 configuration cannot be merged · 8 service did not start · 9 verification failed · 10 interrupted")
        .subcommand_required(false)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommand(
            settings(Command::new("install"))
                .about("Brings the host to the described state, and proves it. Safe to repeat.")
                .arg(quiet_arg())
                .after_help("Settings may also be given as variables (in brackets). Unset or empty means: leave it as it is.\nThe API key has no flag, since other users can read arguments: set DD_API_KEY, or name a file with --api-key-file."),
        )
        .subcommand(
            settings(Command::new("plan"))
                .about("Shows what `install` would change, and changes nothing. Works without root.")
                .arg(Arg::new("diff").long("diff").action(ArgAction::SetTrue).help("Shows each file's change as a unified diff, without secrets"))
                .arg(
                    Arg::new("detailed_exitcode")
                        .long("detailed-exitcode")
                        .action(ArgAction::SetTrue)
                        .help("Exits with 20 where changes are pending, and 0 where there is nothing to do"),
                ),
        )
        .subcommand(verify::verify(settings(Command::new("verify"))))
        .subcommand(verify::doctor(settings(Command::new("doctor"))))
        .subcommand(
            undo(Command::new("rollback"))
                .about("Takes the last run back: files, packages, groups and services are as before it. What you changed since stays, and is named."),
        )
        .subcommand(
            undo(Command::new("uninstall"))
                .about("Takes all runs back. An Agent that was there before stays; what you changed since stays, and is named.")
                .arg(
                    Arg::new("purge")
                        .long("purge")
                        .action(ArgAction::SetTrue)
                        .help("Removes the configuration and the data of the packages that it removes, too, with whatever you put there"),
                ),
        )
        .subcommand(
            Command::new("settings").about("Prints every setting with its variable, flag and meaning").arg(
                format_arg().value_parser(["text", "json", "markdown", "schema"]).help(
                    "How the table is printed; `schema` is a JSON schema of --file",
                ),
            ),
        )
        .subcommand(support_command())
        .subcommand(report::command())
        .subcommand(config_command())
        .subcommand(render::command(settings))
        .subcommand(review::command())
        .subcommand(secrets::command(format_arg()))
}

fn undo(command: Command) -> Command {
    let help = "Prints what would be taken back, and changes nothing";
    command
        .arg(format_arg())
        .arg(quiet_arg())
        .arg(Arg::new("dry_run").long("dry-run").action(ArgAction::SetTrue).help(help))
}

fn quiet_arg() -> Arg {
    let quiet = Arg::new("quiet").long("quiet").short('q').action(ArgAction::SetTrue);
    quiet.help("Prints errors and the last lines only")
}

fn support_command() -> Command {
    let option = |name: &'static str, flag: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(flag).value_name(value).help(help)
    };
    Command::new("support")
        .about("Says whether Agent, FIPS proxy and CWS are supported on this host, and on every other. Works without root.")
        .arg(format_arg().value_parser(["text", "json", "markdown"]).help("How the answer is printed; `markdown` is the table alone"))
        .arg(option(
            "os_release",
            "os-release",
            "FILE",
            "Answers for the host that this os-release is of, or an older file such as redhat-release, without a look at this one",
        ))
        .arg(option("arch", "arch", "ARCH", "Its architecture, as `uname -m` prints it; x86_64 where it is not given").requires("os_release"))
        .arg(option("kernel", "kernel", "RELEASE", "Its kernel, as `uname -r` prints it").requires("os_release"))
        .arg(option("assume_distribution", "assume-distribution", "ID:VERSION", "Release that it is built on, where it does not say so itself"))
        .after_help("Exits with 3 where the Agent is not supported, or where the distribution cannot be told.")
}

fn config_command() -> Command {
    let file = Arg::new("FILE").required(true).help("A YAML file, such as /etc/datadog-agent/datadog.yaml");
    let get = Command::new("get")
        .about("Prints the value of a setting as YAML. Exits with 1 where the file does not set it.")
        .arg(file.clone())
        .arg(Arg::new("PATH").required(true).help("Keys joined by dots: fips.enabled"));
    let set = Command::new("set")
        .about("Sets values in a YAML file, and touches no other byte of it. Exits with 7, the file untouched, where that cannot be done.")
        .arg(file)
        .arg(
            Arg::new("PATH=VALUE")
                .required(true)
                .num_args(1..)
                .help("A setting and its value, which is YAML: fips.enabled=true, tags='[a:b, c:d]'; PATH=- takes a text from standard input"),
        )
        .arg(Arg::new("diff").long("diff").action(ArgAction::SetTrue).help("Shows the change as a unified diff, without secrets"))
        .arg(Arg::new("dry_run").long("dry-run").action(ArgAction::SetTrue).help("Writes nothing"))
        .after_help("Every user can read arguments: a secret is an ENC[…] handle, or comes on standard input (api_key=-). Exits with 4 where the file was changed meanwhile.");
    Command::new("config")
        .about("Reads and edits a YAML file for runbooks, keeping comments, order, owner and mode")
        .subcommand_required(false)
        .arg_required_else_help(true)
        .subcommand(get)
        .subcommand(set)
}

const ABOUT: &str = "Makes this host FIPS and CWS with the Datadog Agent, and proves it.\n\n\
Installs the Agent and its FIPS proxy from the vendor's signed repository, writes datadog.yaml, system-probe.yaml, \
security-agent.yaml and the journald log configuration without losing a line of yours, starts the services, and checks the result.\n\n\
On a fresh host, as root:\n\n  DD_API_KEY=… DD_SITE=ddog-gov.com DD_FIPS_MODE=1 DD_RUNTIME_SECURITY_CONFIG_ENABLED=true ddinstall install\n\n\
`ddinstall plan --diff` shows what that would change. `ddinstall verify` proves it again at any time.";

fn format_arg() -> Arg {
    Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(["text", "json"])
        .default_value("text")
        .help("How results are printed")
}

fn settings(command: Command) -> Command {
    let command = command
        .arg(format_arg())
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("Settings from a YAML file, under the flags' names with _ for -, or from standard input (`-`); flags and variables win"),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .help("Works on the image whose root is this folder, in place of this host. No API key is needed, and none is taken"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("FILE:PATH=VALUE")
                .action(ArgAction::Append)
                .help("Any other setting of the Agent, such as datadog:logs_config.batch_wait=5; repeatable. FILE is datadog, system-probe or security-agent, the value YAML"),
        );
    TABLE.iter().fold(command, |command, setting| match setting.flag() {
        Some(flag) => command.arg(argument(setting, flag)),
        None => command,
    })
}

fn argument(setting: &'static Setting, flag: String) -> Arg {
    let names = match setting.variables {
        [] => String::new(),
        [first, ..] => format!(" [{first}]"),
    };
    let words = match setting.kind {
        Type::Choice(words) => format!(" One of: {}.", words.join(", ")),
        _ => String::new(),
    };
    let default = if setting.default.is_empty() { String::new() } else { format!(" Default: {}.", setting.default) };
    let arg = Arg::new(setting.key)
        .long(flag)
        .help(format!("{}{words}{default}{names}", setting.doc))
        .help_heading("Settings")
        .action(ArgAction::Set);
    match setting.kind {
        // The table checks values, so that all mistakes are told at once.
        Type::Bool | Type::Switch | Type::OnlyOn(_) => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("on|off")
        }
        Type::List | Type::Hosts => arg.value_name("A,B"),
        Type::Words => arg.value_name("A B").allow_hyphen_values(true),
        Type::Bytes => arg.value_name("BYTES"),
        Type::Path => arg.value_name("FILE"),
        Type::Paths => arg.value_name("FILE").action(ArgAction::Append),
        Type::Url | Type::Address => arg.value_name("URL"),
        Type::Seconds(_) => arg.value_name("SECONDS"),
        Type::Site => arg.value_name("SITE"),
        Type::MinorVersion | Type::PackageVersion => arg.value_name("VERSION"),
        Type::Release => arg.value_name("ID:VERSION"),
        Type::Word | Type::Choice(_) => arg.value_name("WORD"),
        Type::Text | Type::Secret | Type::Never(_) => arg.value_name("TEXT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Invocation, clap::Error> {
        parse(std::iter::once("ddinstall").chain(args.iter().copied()).map(Into::into))
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_can_be_read() {
        fn judge(command: &mut Command) {
            for text in [command.render_help(), command.render_long_help()] {
                let text = text.to_string();
                let name = command.get_name();
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
                assert!(widest <= 100, "{name}: {widest} columns\n{text}");
                // A text column at the right edge would have one word a line.
                let column = text.lines().map(|line| line.len() - line.trim_start().len()).max().unwrap_or_default();
                assert!(column <= 50, "{name}: text from column {column}\n{text}");
            }
            command.get_subcommands_mut().for_each(judge);
        }
        let mut command = command().term_width(100);
        command.build();
        judge(&mut command);
    }

    #[test]
    fn what_is_taken_back_is_said_by_the_command() {
        let extent = |args: &[&str]| match parsed(args).unwrap().action {
            Action::Undo(extent) => (extent.all, extent.purge, extent.dry_run),
            other => panic!("{other:?}"),
        };
        assert_eq!(extent(&["rollback", "--dry-run"]), (false, false, true));
        assert_eq!(extent(&["uninstall"]), (true, false, false));
        assert_eq!(extent(&["uninstall", "--purge"]), (true, true, false));
        assert!(parsed(&["rollback", "--purge"]).is_err());
    }

    #[test]
    fn every_setting_but_secrets_has_a_flag() {
        let i = parsed(&["install", "--fips-mode", "--site=ddog-gov.com", "--upgrade", "--tags", "a:b,c:d"]).unwrap();
        let flag = |key: &str| i.flags.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
        assert_eq!(
            (flag("fips_mode"), flag("site"), flag("upgrade")),
            (Some("true"), Some("ddog-gov.com"), Some("true"))
        );
        assert!(parsed(&["install", "--api-key", "x"]).is_err());
        assert_eq!(
            parsed(&["plan", "--detailed-exitcode"]).unwrap().action,
            Action::Plan { diff: false, detailed_exitcode: true }
        );
    }
}
