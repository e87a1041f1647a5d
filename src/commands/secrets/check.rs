//! `ddinstall secrets check`: each rule that the helper must keep, and what the Agent itself says.

use serde_json::json;

use crate::cli::{Format, Helper};
use crate::config::value_at;
use crate::config::yaml::{self, Value};
use crate::desired::{AGENT_UNIT, FIRST_WITHOUT_SECURITY_AGENT};
use crate::error::{Kind, Result};
use crate::host::users::effective_is_root;
use crate::host::{Host, process, units};
use crate::report::Redactor;
use crate::report::text::{self, Details, Style};
use crate::secret::wipe;
use crate::secrets::handles::{Files, Judged};
use crate::secrets::rules::{self, Broken};
use crate::secrets::{agent, run::clean};
use crate::settings::File;
use crate::verify::{AGENT_PROGRAM, Check, Status, as_agent};

use super::{AGENT_ANSWERS, Configured, all_files, document, print};

pub(super) fn run(helper: &Helper, format: Format) -> Result<u8> {
    let configured = Configured::read(helper)?;
    let files = all_files(&configured.host)?;
    let mut checks = vec![backend(&configured, &files), written(&files)];
    checks.extend(rights(&configured, &helper.user));
    checks.extend(system_probe(&configured));
    checks.extend(start(&configured, &files));
    checks.extend(says(&configured.host));
    let bad = checks.iter().any(|check| matches!(check.status, Status::Fail | Status::Unknown));
    let exit_code = if bad { Kind::Verification.exit_code() } else { 0 };
    print(&match format {
        Format::Text => text::checks(&checks, Details::Failures, &Redactor::default(), Style(false)),
        Format::Json => document("check", json!({ "checks": checks }), exit_code),
    });
    Ok(exit_code)
}

fn check(
    id: &str,
    title: &str,
    status: Status,
    seen: impl Into<String>,
    expected: &str,
    hint: Option<String>,
) -> Check {
    let (id, title, seen) = (format!("secrets.{id}"), title.to_owned(), seen.into());
    let source = "https://docs.datadoghq.com/agent/configuration/secrets-management/";
    Check {
        id,
        title,
        status,
        seen,
        expected: expected.to_owned(),
        hint,
        cause: None,
        mend: None,
        source,
        controls: &[],
    }
}

/// Places of handles in all files: `datadog.yaml line 3 (api_key)`.
fn places(files: &Files, judged: impl Fn(&Judged) -> bool) -> Vec<String> {
    let of = |(path, found): (&String, &std::result::Result<Vec<_>, String>)| -> Vec<String> {
        let found: &[crate::secrets::handles::Found] = found.as_deref().unwrap_or_default();
        let found = found.iter().filter(|found| judged(&found.judged));
        found.map(|found| format!("{path} line {} ({})", found.line, found.path.escape_debug())).collect()
    };
    files.iter().flat_map(of).collect()
}

fn some(mut places: Vec<String>) -> String {
    let more = places.len().saturating_sub(3);
    places.truncate(3);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    clean(&(places.join(", ") + &more))
}

fn backend(configured: &Configured, files: &Files) -> Check {
    let handles = places(files, |judged| matches!(judged, Judged::Handle { .. }));
    let make = |status, seen: String, hint| {
        check(
            "backend",
            "handles are resolved",
            status,
            seen,
            "secret_backend_command or secret_backend_type is set",
            hint,
        )
    };
    match (&configured.backend.command, &configured.backend.kind) {
        (Some(command), _) => make(Status::Pass, clean(&command.display().to_string()), None),
        (None, Some(kind)) => make(Status::Pass, format!("by the Agent itself ({})", clean(kind)), None),
        (None, None) if handles.is_empty() => {
            make(Status::Skipped, "there are no handles, and no backend".into(), None)
        }
        (None, None) => make(
            Status::Fail,
            format!("no backend is set: the Agent takes them as they are: {}", some(handles)),
            Some("run `ddinstall install` with DD_SECRET_BACKEND_COMMAND, _HELPER or _FOLDER".into()),
        ),
    }
}

/// Files that cannot be read, and what is written like a handle.
fn written(files: &Files) -> Check {
    let make = |status, seen: String, hint: Option<&str>| {
        let expected = "a handle is the whole value of a setting";
        check("written", "handles are written as the Agent reads them", status, seen, expected, hint.map(str::to_owned))
    };
    let unread = files.iter().find_map(|(path, found)| Some((path, found.as_ref().err()?)));
    let wrong = places(files, |judged| matches!(judged, Judged::None(_)));
    match (unread, wrong.is_empty()) {
        (Some((path, why)), _) => {
            make(Status::Unknown, clean(&format!("{path}: {why}")), Some("correct the file, or run as root"))
        }
        (None, false) => make(Status::Warn, some(wrong), Some("`ddinstall secrets list` says what is wrong with each")),
        (None, true) => make(Status::Pass, format!("{} files were read", files.len()), None),
    }
}

fn rights(configured: &Configured, user: &str) -> Vec<Check> {
    let Some(command) = &configured.backend.command else { return Vec::new() };
    let host = &configured.host;
    let failed = |what: String, hint: Option<String>| {
        vec![check(
            "helper",
            "the helper is there",
            Status::Fail,
            clean(&what),
            "a program that the Agent may run",
            hint,
        )]
    };
    let Some(runner) = rules::identity(&configured.users, user) else {
        return failed(
            format!("there is no user {user}, as whom the Agent runs it"),
            Some("install the Agent, or name another with --user".into()),
        );
    };
    let helper = match rules::look(host, command) {
        Ok(helper) => helper,
        Err(error) if !effective_is_root() => {
            let hint = Some("run as root to see it".to_owned());
            return vec![check(
                "helper",
                "the helper is there",
                Status::Unknown,
                clean(&error.what),
                "a program",
                hint,
            )];
        }
        Err(error) => return failed(error.what, Some("put it there, or correct secret_backend_command".into())),
    };
    let group = configured.backend.group_exec;
    let old_agent = configured.agent.as_ref().is_none_or(rules::asks_for_owner);
    let there = |name: &str| process::is_installed(host, name);
    let path = clean(&helper.target.display().to_string());
    let meta = &helper.meta;
    let seen = format!("{path}: uid {}, gid {}, mode {:04o}", meta.uid, meta.gid, meta.mode);
    let rule = |id, title: &str, judged: std::result::Result<(), Broken>, worst: Status, expected: &str| match judged {
        Ok(()) => check(id, title, Status::Pass, seen.clone(), expected, None),
        Err(broken) => check(id, title, worst, clean(&broken.why), expected, Some(clean(&broken.mend))),
    };
    // What the installed Agent does not ask for is worth knowing, and no failure.
    let of_old = if old_agent { Status::Fail } else { Status::Warn };
    vec![
        rule(
            "rights.new",
            "Agents from 7.56 on run the helper",
            helper.new_rule(&runner, group),
            Status::Fail,
            "no rights of others, and dd-agent may run it",
        ),
        rule(
            "rights.old",
            "Agents before 7.56 run the helper",
            helper.old_rule(&runner, group),
            of_old,
            "it belongs to dd-agent, and nobody else has rights on it",
        ),
        rule(
            "rights.documented",
            "the helper is as the documentation wants it",
            helper.documented_rule(&runner),
            Status::Warn,
            "dd-agent, 0700 or 0500",
        ),
        rule(
            "folders",
            "nobody else can replace the helper",
            helper.folders_rule(&runner),
            Status::Fail,
            "every folder on the way is root's or dd-agent's alone",
        ),
        rule(
            "program",
            "the kernel runs the helper",
            helper.program_rule(there),
            Status::Fail,
            "a program, or a script with an interpreter that is there",
        ),
        match &helper.label {
            None => check(
                "label",
                "SELinux lets the helper run",
                Status::Skipped,
                "SELinux does not enforce here",
                "",
                None,
            ),
            Some(label) => rule(
                "label",
                &format!("SELinux lets the helper run ({label})"),
                helper.label_rule(),
                Status::Warn,
                "bin_t",
            ),
        },
    ]
}

/// system-probe resolves no handle: where it sends by itself, it must ask the Agent for the key.
fn system_probe(configured: &Configured) -> Option<Check> {
    let document = configured.document.as_ref()?;
    let is_handle = |path: &str| {
        let text = value_at(document, path).and_then(Value::as_str);
        text.is_some_and(|text| crate::secret::handle(text).is_some())
    };
    if !is_handle("api_key") {
        return None;
    }
    let stored = configured.host.read(File::SystemProbe.path()).ok()??;
    let probe = yaml::load(&stored.bytes).ok()?;
    let on = |path: &str| value_at(&probe, path).and_then(Value::as_bool);
    let new = configured.agent.as_ref().is_some_and(|version| *version >= FIRST_WITHOUT_SECURITY_AGENT);
    let sends = on("runtime_security_config.direct_send_from_system_probe").unwrap_or(new);
    if on("runtime_security_config.enabled") != Some(true) || !sends {
        return None;
    }
    let asks = matches!(value_at(document, "agent_ipc.port"), Some(Value::Int(port)) if *port > 0);
    let refreshes = matches!(value_at(document, "agent_ipc.config_refresh_interval"), Some(Value::Int(s)) if *s > 0);
    let title = "system-probe gets the API key behind its handle";
    let expected = "agent_ipc.port and agent_ipc.config_refresh_interval in datadog.yaml";
    Some(match asks && refreshes {
        true => check("system-probe", title, Status::Pass, "it asks the Agent (agent_ipc)", expected, None),
        false => check(
            "system-probe",
            title,
            Status::Fail,
            "it resolves no handles and does not ask the Agent: CWS sends nothing",
            expected,
            Some("`ddinstall install` sets agent_ipc.port: 5009 and agent_ipc.config_refresh_interval: 60".into()),
        ),
    })
}

/// An Agent that cannot resolve a secret of datadog.yaml does not start, and that early its log is not set up.
fn start(configured: &Configured, files: &Files) -> Option<Check> {
    let path = File::Datadog.path();
    let has_handles = |found: &std::result::Result<Vec<crate::secrets::handles::Found>, String>| {
        found.as_ref().is_ok_and(|found| found.iter().any(|f| matches!(f.judged, Judged::Handle { .. })))
    };
    if !files.get(path).is_some_and(has_handles) {
        return None;
    }
    let state = units::show(&configured.host, &[AGENT_UNIT]).ok()?.into_iter().next().filter(|state| state.exists())?;
    let title = "the Agent starts with the secrets of datadog.yaml";
    if state.is_running() && state.n_restarts == 0 {
        return Some(check("start", title, Status::Pass, state.seen(), "active (running)", None));
    }
    units::sync_journal(&configured.host);
    let lines = units::journal(&configured.host, AGENT_UNIT, 50, None).unwrap_or_default();
    let why = agent::refusal(lines.iter().map(String::as_str));
    if state.is_running() && why.is_none() {
        return Some(check("start", title, Status::Pass, state.seen(), "active (running)", None));
    }
    let handles = files.get(path).and_then(|found| found.as_ref().ok()).map_or(0, Vec::len);
    let seen = match &why {
        Some(line) => format!("{}; it said: {}", state.seen(), clean(line)),
        None => {
            format!("{}; datadog.yaml has {handles} handles, and a failure to resolve one is in no log", state.seen())
        }
    };
    let hint = "`ddinstall secrets test` runs the helper as the Agent does; then systemctl restart datadog-agent";
    Some(check("start", title, Status::Fail, seen, "active (running)", Some(hint.into())))
}

/// What the running Agent says of its secrets.
fn says(host: &Host) -> Vec<Check> {
    if !effective_is_root() || !process::is_installed(host, AGENT_PROGRAM) {
        return Vec::new();
    }
    let title = "the Agent says that it has resolved its secrets";
    if let Err(why) = as_agent(host, AGENT_PROGRAM) {
        let hint = Some("install the Agent".to_owned());
        return vec![check("agent", title, Status::Unknown, why, "all of them", hint)];
    }
    let ask = |word: &str| {
        let command = as_agent(host, AGENT_PROGRAM).ok()?;
        let mut output = command.arg(word).deadline(AGENT_ANSWERS).run(host).ok()?;
        let text = output.success().then(|| output.stdout_text());
        // configcheck shows values.
        wipe(&mut output.stdout);
        text
    };
    let mut checks = Vec::new();
    if let Some(said) = ask("secret").and_then(|text| agent::secret(&text)).filter(|said| said.enabled) {
        let good = said.rights != Some(false) && said.unresolved.is_empty();
        let seen = match (good, said.unresolved.is_empty()) {
            (true, _) => format!("{} resolved", said.resolved.len()),
            (false, true) => "it does not accept the helper's rights".into(),
            (false, false) => clean(&format!("not resolved: {}", said.unresolved.join(", "))),
        };
        let status = if good { Status::Pass } else { Status::Fail };
        let hint =
            (!good).then(|| "`datadog-agent secret` says more; `ddinstall secrets test` asks the helper".to_owned());
        checks.push(check("agent", title, status, seen, "all of them", hint));
    }
    let left = ask("configcheck").map(|text| {
        let checks = agent::configcheck(&text);
        wipe(&mut text.into_bytes());
        checks
    });
    let left: Vec<String> = left
        .unwrap_or_default()
        .into_iter()
        .filter(|check| !check.unresolved.is_empty())
        .map(|check| format!("{} ({})", check.name, check.unresolved.join(", ")))
        .collect();
    if !left.is_empty() {
        let hint = Some("`ddinstall secrets test` asks the helper for them".to_owned());
        let seen = clean(&format!("handles are still in {}", left.join("; ")));
        checks.push(check("checks", "checks run with resolved secrets", Status::Fail, seen, "no handle is left", hint));
    }
    checks
}
