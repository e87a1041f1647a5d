//! `ddinstall render`: settings, and what only containers have.

use clap::{Arg, ArgMatches, Command};

use super::Action;
use crate::render::{Options, TARGETS, Target};

/// Its part of the command line, on top of the settings.
pub(super) fn command(with_settings: impl Fn(Command) -> Command) -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let targets = TARGETS.map(|(name, _)| name);
    with_settings(Command::new("render"))
        .about("Prints the same state for containers: Helm values, manifests, docker run, Compose, ECS, Elastic Beanstalk. Looks at no host and needs no API key.")
        .arg(Arg::new("TARGET").required(true).value_parser(targets).help("What is printed"))
        .arg(option("secret", "NAME", "Secret that holds the API key: a Kubernetes Secret (datadog-secret), for ECS an ARN or a parameter (datadog-api-key)"))
        .arg(option("namespace", "NAME", "Kubernetes namespace. Default: datadog"))
        .arg(option("registry", "NAME", "Where images come from. Default: public.ecr.aws/datadog"))
        .after_help("The API key never stands in a document: it is read from a secret, or resolved from an ENC[…] handle in DD_API_KEY.")
}

pub(super) fn action(matches: &ArgMatches) -> Action {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let target = text("TARGET").and_then(|name| TARGETS.iter().find(|(known, _)| *known == name));
    let options = Options { secret: text("secret"), namespace: text("namespace"), registry: text("registry") };
    Action::Render(target.map_or(Target::Kubernetes, |(_, target)| *target), options)
}
