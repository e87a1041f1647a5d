//! The Agent's secrets management. Names are the Agent's own; the official script has none of them.

use super::super::File::Datadog;
use super::super::Setting;
use super::super::Type::*;

/// Rows that land in datadog.yaml as they are, but for the first two.
pub(super) const SECRETS: &[Setting] = &[
    Setting::new(
        "secret_backend_helper",
        &["DD_SECRET_BACKEND_HELPER"],
        Path,
        "Program on this host that is put in place as the secret_backend_command, with the owner and mode that the Agent demands.",
    )
    .default("none")
    .ours(),
    Setting::new(
        "secret_backend_folder",
        &["DD_SECRET_BACKEND_FOLDER"],
        Path,
        "Folder of files whose names are the handles, such as /run/secrets; ddinstall itself is put in place as the helper that reads it.",
    )
    .default("none")
    .ours(),
    Setting::new(
        "secret_backend_command",
        &["DD_SECRET_BACKEND_COMMAND"],
        Path,
        "Program that the Agent resolves ENC[…] handles with; it must be there, with the owner and mode that the Agent demands.",
    )
    .lands(&[(Datadog, "secret_backend_command")])
    .ours(),
    Setting::new(
        "secret_backend_arguments",
        &["DD_SECRET_BACKEND_ARGUMENTS"],
        Words,
        "Arguments of that program, separated by blanks.",
    )
    .lands(&[(Datadog, "secret_backend_arguments")])
    .ours(),
    Setting::new("secret_backend_timeout", &["DD_SECRET_BACKEND_TIMEOUT"], Seconds(1), "How long that program may take.")
        .lands(&[(Datadog, "secret_backend_timeout")])
        .ours(),
    Setting::new(
        "secret_backend_output_max_size",
        &["DD_SECRET_BACKEND_OUTPUT_MAX_SIZE"],
        Bytes,
        "How many bytes that program may print, to standard output and to standard error.",
    )
    .lands(&[(Datadog, "secret_backend_output_max_size")])
    .ours(),
    Setting::new(
        "secret_backend_skip_checks",
        &["DD_SECRET_BACKEND_SKIP_CHECKS"],
        Bool,
        "Leaves handles in the files of checks unresolved.",
    )
    .lands(&[(Datadog, "secret_backend_skip_checks")])
    .ours(),
    Setting::new(
        "secret_backend_remove_trailing_line_break",
        &["DD_SECRET_BACKEND_REMOVE_TRAILING_LINE_BREAK"],
        Bool,
        "Takes line breaks off the end of each secret.",
    )
    .lands(&[(Datadog, "secret_backend_remove_trailing_line_break")])
    .ours(),
    Setting::new(
        "secret_backend_command_allow_group_exec_perm",
        &["DD_SECRET_BACKEND_COMMAND_ALLOW_GROUP_EXEC_PERM"],
        Bool,
        "Lets the program belong to root, and be run by its group; one that is put in place is then root:dd-agent 0750.",
    )
    .lands(&[(Datadog, "secret_backend_command_allow_group_exec_perm")])
    .ours(),
    Setting::new(
        "secret_backend_type",
        &["DD_SECRET_BACKEND_TYPE"],
        Text,
        "The Agent's own backend, such as aws.secrets or file.yaml; its secret_backend_config is set with --set or --file.",
    )
    .lands(&[(Datadog, "secret_backend_type")])
    .since(7, 70)
    .ours(),
];
