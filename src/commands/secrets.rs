//! `ddinstall secrets`: what the Agent's secrets management would do on this host. Changes nothing, and shows no value.

mod check;

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Format, Helper, Reading, Secrets, Trial};
use crate::config::yaml::{self, Document};
use crate::desired::{AGENT_UNIT, ENVIRONMENT};
use crate::error::{Error, Kind, Result};
use crate::host::confined::Folder;
use crate::host::users::{self, Users};
use crate::host::{FileKind, Host, units};
use crate::packages::Manager;
use crate::secrets::backend::{self, Backend};
use crate::secrets::handles::{self, Files, Found, Judged, Origin};
use crate::secrets::protocol::Version as Protocol;
use crate::secrets::run::{self, Outcome, Tested, clean};
use crate::secrets::{folder, rules};
use crate::settings::File;
use crate::types::{Flavor, Version};

use super::{interruption, print, refuse};

/// Beside [`ENVIRONMENT`], what init scripts read.
const DEFAULTS: &str = "/etc/default/datadog-agent";
/// The Agent's program, which is asked what it says itself.
const CHECKS: &str = "/etc/datadog-agent/conf.d";
/// The Agent's helper for `secret_backend_type` (cmd/secret-generic-connector).
const CONNECTORS: [&str; 2] =
    ["/opt/datadog-agent/embedded/bin/secret-generic-connector", "/opt/datadog-agent/bin/secret-generic-connector"];
/// The first Agent with backends of its own, and with them version 1.1 of the protocol.
const FIRST_BUILT_IN: Version = Version::new(7, 70, 0);

pub(super) fn run(asked: &Secrets, format: Format) -> u8 {
    let result = match asked {
        Secrets::Check(helper) => check::run(helper, format),
        Secrets::List => list(format),
        Secrets::Test(helper, trial) => test(helper, trial, format),
        Secrets::Read(reading) => read(reading),
    };
    result.unwrap_or_else(|error| refuse("secrets", format, error))
}

/// What is configured on this host.
struct Configured {
    host: Host,
    users: Users,
    document: Option<Document>,
    environment: Vec<(String, String)>,
    backend: Backend,
    agent: Option<Version>,
}

impl Configured {
    fn read(helper: &Helper) -> Result<Configured> {
        let host = Host::new(Path::new("/"))?;
        let users = Users::read(&host)?;
        let path = File::Datadog.path();
        let document = match host.read(path)? {
            Some(stored) => Some(yaml::load(&stored.bytes).map_err(|refusal| refusal.into_error(Path::new(path)))?),
            None => None,
        };
        let mut environment = Vec::new();
        for path in [DEFAULTS, ENVIRONMENT] {
            let variables = host.read(path)?.map(|stored| handles::variables(&stored.bytes)).unwrap_or_default();
            environment.extend(variables.into_iter().map(|(_, name, value)| (name, value)));
        }
        let mut backend = backend::configured(document.as_ref(), &environment);
        if let Some(command) = &helper.command {
            backend.command =
                Some(std::path::absolute(command).map_err(|e| Error::io("find", Path::new(command), &e))?);
            backend.arguments.clone_from(&helper.arguments);
        }
        let agent = agent_version(&host);
        Ok(Configured { host, users, document, environment, backend, agent })
    }
}

/// None where there is none, or no package manager that says so.
fn agent_version(host: &Host) -> Option<Version> {
    let names: Vec<&str> = Flavor::ALL.into_iter().filter(|flavor| flavor.is_agent()).map(Flavor::package).collect();
    let found = Manager::of(host).ok()?.installed(host, &names).ok()?;
    found.into_iter().flatten().find(|found| found.is_whole())?.version.parse().ok()
}

/// All files in which the Agent resolves handles, and some in which it does not.
fn all_files(host: &Host) -> Result<Files> {
    let mut paths: Vec<String> = [File::Datadog, File::Dogstatsd, File::SecurityAgent, File::SystemProbe]
        .iter()
        .map(|file| file.path().to_owned())
        .chain([ENVIRONMENT, DEFAULTS].map(str::to_owned))
        .collect();
    let mut files = Files::new();
    for (path, meta) in host.list_tree(CHECKS)? {
        let path = path.display().to_string();
        let read = [".yaml", ".yml", ".yaml.default"].iter().any(|end| path.ends_with(end));
        if read && meta.kind != FileKind::Dir {
            paths.push(path);
        } else if meta.kind == FileKind::Symlink && (path == CHECKS || path.ends_with(".d")) {
            files.insert(path, Err("a link to a folder, which is not followed".into()));
        }
    }
    for path in paths {
        let Some(found) = one_file(host, &path) else { continue };
        files.insert(path, found);
    }
    Ok(files)
}

/// None where it is absent.
fn one_file(host: &Host, path: &str) -> Option<std::result::Result<Vec<Found>, String>> {
    let stored = match host.meta(path) {
        Ok(Some(meta)) if meta.len > yaml::LIMIT as u64 => return Some(Err("it is larger than 16 MiB".into())),
        Ok(_) => host.read(path),
        Err(failure) => Err(failure),
    };
    let bytes = match stored {
        Ok(stored) => stored?.bytes,
        Err(failure) => return Some(Err(failure.to_string())),
    };
    let origin = Origin::of(path);
    Some(match origin {
        Origin::Environment => Ok(handles::in_environment(&bytes)),
        _ => handles::in_yaml(&bytes, origin).map_err(|refusal| match refusal.line {
            Some(line) => format!("line {line}: {}", refusal.why),
            None => refusal.why,
        }),
    })
}

fn list(format: Format) -> Result<u8> {
    let host = Host::new(Path::new("/"))?;
    let files = all_files(&host)?;
    let unread = files.values().any(|found| found.is_err());
    let exit_code = if unread { Kind::Verification.exit_code() } else { 0 };
    print(&match format {
        Format::Text => listed(&files),
        Format::Json => {
            let entries = files.iter().map(|(path, found)| match found {
                Ok(found) => json!({ "file": path, "found": found.iter().map(entry).collect::<Value>() }),
                Err(why) => json!({ "file": path, "error": why }),
            });
            document("list", entries.collect(), exit_code)
        }
    });
    Ok(exit_code)
}

fn document(command: &str, found: Value, exit_code: u8) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let command = format!("secrets {command}");
    format!(
        "{:#}\n",
        json!({ "format": 1, "ddinstall": version, "command": command, "secrets": found, "exit_code": exit_code })
    )
}

fn entry(found: &Found) -> Value {
    let mut entry = json!({ "line": found.line, "path": found.path });
    match &found.judged {
        Judged::Handle { handle, templates } => {
            entry["handle"] = handle.as_str().into();
            entry["templates"] = templates.as_slice().into();
        }
        // The value itself may be a secret.
        Judged::None(why) => entry["no_handle"] = (*why).into(),
    }
    if let Some(caution) = found.caution {
        entry["caution"] = caution.into();
    }
    entry
}

fn listed(files: &Files) -> String {
    let mut out = String::new();
    let mut handles = 0;
    for (path, found) in files {
        let path = clean(path);
        match found {
            Err(why) => out.push_str(&format!("{path}: cannot be read: {}\n", clean(why))),
            Ok(found) => {
                for one in found {
                    let place = format!("{path}:{}  {}", one.line, one.path.escape_debug());
                    let said = match &one.judged {
                        Judged::Handle { handle, templates } => {
                            handles += 1;
                            let when = match templates.is_empty() {
                                true => String::new(),
                                false => format!("  (resolved once {} is known)", templates.join(", ")),
                            };
                            format!("ENC[{}]{when}", clean(handle))
                        }
                        Judged::None(why) => format!("no handle: {why}"),
                    };
                    let caution = one.caution.map_or_else(String::new, |caution| format!("  note: {caution}"));
                    out.push_str(&format!("{place}  {said}{caution}\n"));
                }
            }
        }
    }
    match handles {
        0 => out.push_str("The Agent's files hold no handles.\n"),
        1 => out.push_str("1 handle.\n"),
        n => out.push_str(&format!("{n} handles.\n")),
    }
    out
}

fn test(helper: &Helper, trial: &Trial, format: Format) -> Result<u8> {
    let mut configured = Configured::read(helper)?;
    configured.backend.timeout = trial.timeout.unwrap_or(configured.backend.timeout);
    let Configured { host, users, backend, agent, .. } = &configured;
    let name = &helper.user;
    let unknown = || {
        Error::new(Kind::Prerequisite, format!("there is no user {name}, as whom the Agent runs its helper"))
            .hint("its package makes dd-agent; name another user with --user")
    };
    let identity = rules::identity(users, name).ok_or_else(unknown)?;
    let own = nix::unistd::geteuid().as_raw();
    if own != identity.uid && !users::effective_is_root() {
        return Err(
            Error::new(Kind::Prerequisite, format!("running the helper as {name} needs root")).hint("run with sudo")
        );
    }
    let program = match (&backend.command, &backend.kind) {
        (Some(command), _) => command.clone(),
        (None, Some(kind)) => {
            let there = |path: &&&str| matches!(host.meta(path), Ok(Some(_)));
            let missing = || {
                let what =
                    format!("secret_backend_type: {kind} is resolved by a program of the Agent that is not there");
                Error::new(Kind::Prerequisite, what).hint("it came with Agent 7.70")
            };
            CONNECTORS.iter().find(there).ok_or_else(missing)?.into()
        }
        (None, None) => {
            return Err(Error::new(Kind::Prerequisite, "no secret backend is set").hint(
                "set DD_SECRET_BACKEND_COMMAND, _HELPER or _FOLDER with `ddinstall install`, or name one with --command",
            ));
        }
    };
    let asked = match trial.handles.is_empty() {
        false => trial.handles.clone(),
        true => handles::asked(&all_files(host)?),
    };
    let version = match trial.protocol.as_deref() {
        Some("1.0") => Protocol::V1_0,
        Some(_) => Protocol::V1_1,
        None if agent.as_ref().is_some_and(|version| *version >= FIRST_BUILT_IN) => Protocol::V1_1,
        None => Protocol::V1_0,
    };
    let refused = if backend.command.is_some() {
        let looked = rules::look(host, &program)?;
        looked.refused_by(&identity, backend.group_exec, agent.as_ref())
    } else {
        None
    };
    let tested = match refused {
        Some(why) => Tested {
            handles: asked.into_iter().map(|handle| (handle, Outcome::Unanswered)).collect(),
            trouble: Some(format!("the Agent does not run it: {why}")),
            warnings: Vec::new(),
            stderr: None,
            seconds: 0.0,
        },
        None => {
            let trial = run::Trial {
                program: program.clone(),
                backend,
                handles: asked,
                version,
                identity: (own != identity.uid).then_some(identity),
                environment: agent_environment(&configured, name),
                show_stderr: trial.show_stderr,
            };
            let stop = interruption();
            let tested = run::test(trial, &stop)?;
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(Kind::Interrupted, "a signal ended this run, and the helper with it"));
            }
            tested
        }
    };
    let holds = tested.trouble.is_none() && tested.handles.iter().all(|(_, outcome)| *outcome == Outcome::Resolved);
    let exit_code = if holds { 0 } else { Kind::Verification.exit_code() };
    print(&match format {
        Format::Text => told(&tested, &program),
        Format::Json => {
            let handles = tested.handles.iter().map(|(handle, outcome)| {
                let mut entry = json!({ "handle": handle, "outcome": outcome.word() });
                if let Outcome::Error(why) = outcome {
                    entry["error"] = why.as_str().into();
                }
                entry
            });
            let found = json!({
                "program": program.display().to_string(),
                "handles": handles.collect::<Value>(),
                "trouble": tested.trouble,
                "warnings": tested.warnings,
                "stderr": tested.stderr,
                "seconds": (tested.seconds * 1000.0).round() / 1000.0,
            });
            document("test", found, exit_code)
        }
    });
    Ok(exit_code)
}

fn told(tested: &Tested, program: &Path) -> String {
    let mut out = String::new();
    for (handle, outcome) in &tested.handles {
        let more = if let Outcome::Error(why) = outcome { format!(": {why}") } else { String::new() };
        out.push_str(&format!("{:<10}  {}{more}\n", outcome.word(), clean(handle)));
    }
    let resolved = tested.handles.iter().filter(|(_, outcome)| *outcome == Outcome::Resolved).count();
    let program = clean(&program.display().to_string());
    if let Some(trouble) = &tested.trouble {
        out.push_str(&format!("error: {program}: {trouble}\n"));
    }
    for warning in &tested.warnings {
        out.push_str(&format!("warning: {program}: {warning}\n"));
    }
    if let Some(stderr) = &tested.stderr {
        out.push_str("standard error:\n");
        stderr.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out.push_str(&format!("{resolved} of {} resolved, in {:.1} s.\n", tested.handles.len(), tested.seconds));
    out
}

/// The running Agent's environment, which its helper inherits; where none runs, what its unit would give it.
fn agent_environment(configured: &Configured, user: &str) -> Vec<(OsString, OsString)> {
    let states = units::show(&configured.host, &[AGENT_UNIT]).unwrap_or_default();
    let running = states.iter().map(|state| state.main_pid).find(|pid| *pid != 0);
    let bytes = running.and_then(|pid| configured.host.read(format!("/proc/{pid}/environ")).ok().flatten());
    if let Some(stored) = bytes.filter(|stored| !stored.bytes.is_empty()) {
        let variable = |line: &[u8]| {
            let at = line.iter().position(|b| *b == b'=')?;
            Some((OsString::from_vec(line[..at].to_vec()), OsString::from_vec(line[at + 1..].to_vec())))
        };
        return stored.bytes.split(|b| *b == 0).filter_map(variable).collect();
    }
    let mut environment: Vec<(OsString, OsString)> =
        vec![("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())];
    if let Some(user) = configured.users.user(user) {
        for (name, value) in
            [("HOME", &user.home), ("USER", &user.name), ("LOGNAME", &user.name), ("SHELL", &user.shell)]
        {
            environment.push((name.into(), value.into()));
        }
    }
    environment.extend(configured.environment.iter().map(|(name, value)| (name.into(), value.into())));
    environment
}

/// The helper itself: a request on standard input, the answer on standard output.
fn read(reading: &Reading) -> Result<u8> {
    let usage = |what: &str| Err(Error::new(Kind::Usage, what));
    if std::io::stdin().is_terminal() {
        return usage(
            "the request is read from standard input: echo '{\"version\":\"1.0\",\"secrets\":[\"name\"]}' | ddinstall secrets read FOLDER",
        );
    }
    let folder = Folder::open(Path::new(&reading.folder))?;
    let mut request = Vec::new();
    let limit = folder::LARGEST_REQUEST as u64;
    let read = std::io::stdin().take(limit + 1).read_to_end(&mut request);
    read.map_err(|e| Error::io("read", Path::new("standard input"), &e))?;
    if request.len() > folder::LARGEST_REQUEST {
        return usage("the request is larger than 1 MiB");
    }
    let how = folder::Reading {
        largest: reading.max_size.map_or(folder::LARGEST_SECRET, |size| usize::try_from(size).unwrap_or(usize::MAX)),
        keep_line_break: reading.keep_line_break,
    };
    let answer = folder::answer(&folder, &request, how)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&answer)
        .and_then(|()| out.flush())
        .map_err(|e| Error::io("write", Path::new("standard output"), &e))?;
    Ok(0)
}

/// How long the Agent may take to answer one question about itself.
const AGENT_ANSWERS: Duration = Duration::from_secs(20);
