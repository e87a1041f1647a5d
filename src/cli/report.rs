//! The command line of `ddinstall report`.

use clap::{Arg, ArgMatches, Command, value_parser};

use super::Action;

/// How a summary of many hosts is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Text,
    Json,
    Html,
}

pub(super) fn command() -> Command {
    Command::new("report")
        .about("Merges the results of `verify --format json` of many hosts into one summary. Works without root, looks at no host; exits with 9 where one is not as asked, or could not be read.")
        .arg(
            Arg::new("DIR")
                .required(true)
                .help("A folder with a file NAME.json for each host; `-` reads the documents, one after the other, from standard input"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "json", "html"])
                .default_value("text")
                .help("How the summary is printed; `html` is one page that needs no other file"),
        )
        .arg(
            Arg::new("names")
                .long("names")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .help("Names at most so many hosts for each finding. Default: 10, with html 100, with json all"),
        )
}

pub(super) fn action(matches: &ArgMatches) -> Action {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let shape = match text("format") {
        "json" => Shape::Json,
        "html" => Shape::Html,
        _ => Shape::Text,
    };
    let names = match (matches.get_one::<u32>("names"), shape) {
        (Some(names), _) => *names as usize,
        (None, Shape::Text) => 10,
        (None, Shape::Html) => 100,
        (None, Shape::Json) => usize::MAX,
    };
    Action::Report { input: text("DIR").to_owned(), shape, names }
}
