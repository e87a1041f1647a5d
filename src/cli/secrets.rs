//! `ddinstall secrets`: its part of the command line.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// What is asked of the Agent's secrets management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secrets {
    Check(Helper),
    List,
    Test(Helper, Trial),
    Read(Reading),
}

/// A helper in place of the one that the Agent is configured with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Helper {
    pub command: Option<String>,
    pub arguments: Vec<String>,
    /// Whom the Agent runs as.
    pub user: String,
}

/// How a helper is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// Empty: all that the Agent's files hold.
    pub handles: Vec<String>,
    /// Seconds.
    pub timeout: Option<u64>,
    /// `1.0` or `1.1`.
    pub protocol: Option<String>,
    pub show_stderr: bool,
}

/// How our own helper reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    pub folder: String,
    /// Bytes of one secret.
    pub max_size: Option<u64>,
    pub keep_line_break: bool,
}

pub(super) fn command(format: Arg) -> Command {
    let check = Command::new("check")
        .about("Says whether Agents of every age would run the helper, and what keeps them from it. Exits with 9 where a rule is broken.")
        .arg(format.clone());
    let list = Command::new("list")
        .about("Lists every ENC[…] handle in the Agent's files, and what is written like one and is none.")
        .arg(format.clone());
    let test = Command::new("test")
        .about("Runs the helper as the Agent does, and says which handles it resolves. Values are never shown. Exits with 9 where one is not resolved.")
        .arg(format)
        .arg(Arg::new("HANDLE").num_args(0..).help("Handles to ask for; without any, all of the Agent's files"))
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=86400))
                .help("How long the helper may take, in place of secret_backend_timeout"),
        )
        .arg(
            Arg::new("protocol")
                .long("protocol")
                .value_name("VERSION")
                .value_parser(["1.0", "1.1"])
                .help("Version of the request; otherwise 1.1 for Agent 7.70 and later, and 1.0 before"),
        )
        .arg(switch("show_stderr", "show-stderr", "Shows what the helper says on standard error, which may hold a secret"));
    let read = Command::new("read")
        .about("Answers the Agent's request on standard input out of a folder of files: a secret_backend_command of our own.")
        .arg(Arg::new("FOLDER").required(true).help("The folder whose files are the secrets, such as /run/secrets"))
        .arg(
            Arg::new("max_size")
                .long("max-size")
                .value_name("BYTES")
                .value_parser(value_parser!(u64).range(1..=1_000_000))
                .help("The largest secret that is read; otherwise 65536"),
        )
        .arg(switch("keep_line_break", "keep-line-break", "Keeps the line break at the end of a file as part of the secret"));
    Command::new("secrets")
        .about("Checks, lists, tests and resolves the ENC[…] handles of the Agent's secrets management")
        .subcommand_required(false)
        .arg_required_else_help(true)
        .subcommand(helper(check))
        .subcommand(list)
        .subcommand(helper(test))
        .subcommand(read)
}

fn switch(name: &'static str, flag: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(flag).action(ArgAction::SetTrue).help(help)
}

fn helper(command: Command) -> Command {
    command
        .arg(Arg::new("command").long("command").value_name("FILE").help("A helper in place of the configured one"))
        .arg(
            Arg::new("argument")
                .long("argument")
                .value_name("TEXT")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .requires("command")
                .help("An argument of that helper; may be repeated"),
        )
        .arg(Arg::new("user").long("user").value_name("NAME").default_value("dd-agent").help("Whom the Agent runs as"))
}

/// Reads the arguments. None: no subcommand was named.
pub(super) fn action(matches: &ArgMatches) -> Option<Secrets> {
    let (name, m) = matches.subcommand()?;
    let text = |name: &str| m.try_get_one::<String>(name).ok().flatten().cloned();
    let texts =
        |name: &str| m.try_get_many::<String>(name).ok().flatten().map_or_else(Vec::new, |all| all.cloned().collect());
    let on = |name: &str| m.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    let number = |name: &str| m.try_get_one::<u64>(name).ok().flatten().copied();
    let helper =
        || Helper { command: text("command"), arguments: texts("argument"), user: text("user").unwrap_or_default() };
    Some(match name {
        "check" => Secrets::Check(helper()),
        "list" => Secrets::List,
        "test" => Secrets::Test(
            helper(),
            Trial {
                handles: texts("HANDLE"),
                timeout: number("timeout"),
                protocol: text("protocol"),
                show_stderr: on("show_stderr"),
            },
        ),
        _ => Secrets::Read(Reading {
            folder: text("FOLDER").unwrap_or_default(),
            max_size: number("max_size"),
            keep_line_break: on("keep_line_break"),
        }),
    })
}
