//! What the running Agent says of itself: its status and counters, its own diagnosis, its log.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::desired::{AGENT_UNIT, AGENT_USER, FIRST_PORT};
use crate::host::users::Users;
use crate::host::{Command, Host, system};
use crate::secrets::rules;
use crate::settings::File;
use crate::types::Version;

use super::{Cause, Check, Look, Mend, container};

/// The Agent itself.
pub const PROGRAM: &str = "/opt/datadog-agent/bin/agent/agent";
const LOG: &str = "/var/log/datadog/agent.log";
/// So much of the log's end is read, in bytes.
const LOG_END: usize = 64 << 10;
/// The Agent answers at once, or is in trouble.
const DEADLINE: Duration = Duration::from_secs(15);
/// From here on `diagnose` takes `--include` (documentation of the FIPS proxy).
const FIRST_NEW_DIAGNOSE: Version = Version::new(7, 48, 0);

/// Whether the Agent was started after its files were last written: otherwise it runs with others.
pub(super) fn loaded(look: &Look) -> Option<Check> {
    let check = Check::of("agent.loaded", "started after its files were written");
    let files = [File::Datadog, File::SystemProbe, File::SecurityAgent].map(|file| file.path());
    let later = look.current.written_since(AGENT_UNIT, &files)?;
    let denied = files.iter().any(|file| matches!(look.current.file(file), crate::current::Seen::Denied(_)));
    Some(match later.as_slice() {
        [] if denied => check.unknown("its files cannot be read"),
        [] => check.passes("it was"),
        files => check
            .warns(format!("written later: {}", files.join(", ")), look.restart(AGENT_UNIT))
            .because(Cause::NotRestarted, Mend::Command(look.restart(AGENT_UNIT))),
    })
}

/// `datadog-agent status`: the settings that it runs with, and its counters.
pub(super) fn status(look: &Look) -> Vec<Check> {
    let fips = Check::of("agent.fips", format!("FIPS mode, with the proxy's ports from {FIRST_PORT} on"));
    let delivery = Check::of("agent.delivery", "payloads accepted, and a valid API key");
    let wanted: Vec<Check> = [fips, delivery]
        .into_iter()
        .filter(|check| look.choice.takes(&check.id))
        .filter(|check| check.id != "agent.fips" || look.desired.asked.fips_on())
        .collect();
    if wanted.is_empty() || !look.asks_the_agent() {
        return Vec::new();
    }
    if !look.facts.root {
        return wanted.into_iter().map(|check| check.unknown("the Agent answers root and its own user only")).collect();
    }
    // An Agent that has just started does not answer at once.
    let mut parsed = ask(look.host);
    for _ in 0..3 {
        if parsed.is_ok() || !is_new(look) {
            break;
        }
        thread::sleep(Duration::from_secs(1));
        parsed = ask(look.host);
    }
    match parsed {
        Err(why) => wanted.into_iter().map(|check| check.unclear(&why, "`datadog-agent status` says more")).collect(),
        Ok(status) => wanted
            .into_iter()
            .map(|check| {
                if check.id == "agent.fips" {
                    mode(check, &status, look.restart(AGENT_UNIT))
                } else {
                    counters(check, &status, is_new(look))
                }
            })
            .collect(),
    }
}

fn ask(host: &Host) -> Result<Value, String> {
    let output = as_agent(host, PROGRAM)?.args(["status", "-j"]).deadline(DEADLINE).run(host);
    let output = output.map_err(|error| error.to_string())?;
    let text = output.stdout_text();
    // Some versions log a line or two before it.
    let json = text.find('{').map_or("", |at| &text[at..]);
    let unread = |_| format!("`status -j` ended with {}, and printed no JSON", output.ending());
    serde_json::from_str(json).map_err(unread)
}

/// A program as the Agent's user, never as root: the Agent's own may be that user's to change.
pub fn as_agent<'a>(host: &Host, program: &str) -> Result<Command<'a>, String> {
    let users = Users::read(host).map_err(|failure| failure.to_string())?;
    let user = rules::identity(&users, AGENT_USER).filter(|user| user.uid != 0);
    let user = user.ok_or_else(|| format!("there is no user {AGENT_USER}, as whom the Agent is asked"))?;
    Ok(Command::new(program).identity(user))
}

/// Whether the Agent was started within the last minute.
fn is_new(look: &Look) -> bool {
    let started = look.current.units.get(AGENT_UNIT).and_then(|state| {
        let since = system::time_of_monotonic(state.active_since_monotonic);
        // Without systemd its process tells.
        since.or_else(|| {
            container::pids(look, state).into_iter().filter_map(|pid| system::started(look.host, pid)).max()
        })
    });
    started.is_none_or(|started| started + 60 > system::epoch_seconds() as i64)
}

/// `true` and `"true"`, `9803` and `"9803"`: versions differ.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn mode(check: Check, status: &Value, restart: String) -> Check {
    let Some(on) = status.get("fips_proxy_enabled").map(text) else {
        return check.skipped("this Agent does not say");
    };
    let port = status.get("fips_port_range_start").map_or_else(|| FIRST_PORT.to_string(), text);
    if on == "true" && port == FIRST_PORT.to_string() {
        return check.passes(format!("FIPS mode, ports from {port} on"));
    }
    let seen = if on == "true" { format!("ports from {port} on") } else { "not in FIPS mode".into() };
    check
        .fails(seen, format!("where its files and variables are right it runs with older ones: {restart}"))
        .because(Cause::NotRestarted, Mend::Command(restart))
}

fn counters(check: Check, status: &Value, new: bool) -> Check {
    let forwarder = &status["forwarderStats"];
    // One that is refused stands in the second list alone (older Agents: in the first one).
    let keys = ["APIKeyStatus", "APIKeyFailure"].into_iter().filter_map(|list| forwarder[list].as_object());
    let invalid = keys.flat_map(|keys| keys.values()).any(|word| text(word).contains("invalid"));
    let count = |name: &str| forwarder["Transactions"][name].as_u64().unwrap_or(0);
    // What the intake refuses is no error to it, but dropped.
    let (accepted, errors) = (count("Success"), count("Errors") + count("Dropped"));
    let seen = format!("{accepted} payloads accepted, {errors} errors and dropped ones since it was started");
    let hint = "see `datadog-agent status`, and the checks of the proxy";
    if invalid {
        let command = "ddinstall install --api-key-file -";
        return check
            .fails(
                "the intake says that the API key is invalid",
                format!("`{command}` takes another key, from standard input; it must be one of ddog-gov.com"),
            )
            .because(Cause::KeyRefused, Mend::Command(command.into()));
    }
    match (accepted, errors) {
        _ if forwarder.is_null() => check.skipped("this Agent does not say"),
        (0, 0) => check.skipped("nothing was sent so far"),
        // What was sent before the proxy knew its way is sent again.
        (0, _) if new => check.skipped(format!("it was started just now: {seen}")),
        (0, _) => check.fails(seen, hint).because(Cause::CannotSend, Mend::Hand),
        _ if errors > accepted => check.warns(seen, hint),
        _ => check.passes(seen),
    }
}

/// The Agent's own diagnosis of its way to the intake, as its own user, in the form of its version.
pub(super) fn diagnosis(look: &Look) -> Option<Check> {
    let check = Check::of("agent.diagnose", "every check of `datadog-agent diagnose` passes");
    if !look.choice.takes(&check.id) || !look.asks_the_agent() {
        return None;
    }
    if !look.facts.root {
        return Some(check.unknown("the Agent answers root and its own user only"));
    }
    let version = look.current.agent_version()?;
    let arguments: &[&str] = match version >= FIRST_NEW_DIAGNOSE {
        true => &["diagnose", "--include", "connectivity-datadog-core-endpoints"],
        false => &["diagnose", "datadog-connectivity"],
    };
    let asked = as_agent(look.host, PROGRAM).and_then(|command| {
        command.args(arguments).deadline(DEADLINE).run(look.host).map_err(|error| error.to_string())
    });
    let output = match asked {
        Ok(output) => output,
        Err(why) => return Some(check.unclear(why, "see whether the Agent's package is whole")),
    };
    let text = output.stdout_text() + &output.stderr_text();
    Some(judged(check, &text, output.timed_out()))
}

fn judged(check: Check, text: &str, timed_out: bool) -> Check {
    let says = |word: &str| {
        text.lines().filter(|line| line.split(|c: char| !c.is_ascii_uppercase()).any(|part| part == word)).count()
    };
    let (passed, failed) = (says("PASS"), says("FAIL") + says("ERROR"));
    let diagnosis = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("Diagnosis:")).map(str::trim);
    let hint = "see the checks of the proxy and the intake";
    if timed_out {
        return check
            .fails(format!("no end after {} s", DEADLINE.as_secs()), hint)
            .because(Cause::CannotSend, Mend::Hand);
    }
    match (passed, failed) {
        (0, 0) => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            check.skipped(format!("this Agent's diagnosis was not understood: {}", first.trim()))
        }
        (_, 0) => check.passes(format!("{passed} passed")),
        _ => {
            let words: Vec<&str> = diagnosis.collect();
            check.fails(format!("{failed} failed: {}", words.join("; ")), hint).because(Cause::CannotSend, Mend::Hand)
        }
    }
}

/// The troubles that the documentation of the FIPS proxy names for the Agent's log.
const COMPLAINTS: [&str; 3] = ["connection refused", "context deadline exceeded", "connection reset by peer"];

/// The last minute of the Agent's log, by its own newest line.
pub(super) fn log(look: &Look) -> Option<Check> {
    let running = look.current.units.get(AGENT_UNIT).is_some_and(|state| state.is_running());
    if !running || !look.desired.asked.fips_on() || look.reach != super::Reach::Agent || !look.choice.takes("agent.log")
    {
        return None;
    }
    let check = Check::of("agent.log", "no refused, reset or silent connection in its last minute");
    Some(match look.host.read_end(LOG, LOG_END) {
        Ok(None) => check.skipped(format!("there is no {LOG}")),
        Ok(Some(text)) => match complaint(&text) {
            None => check.passes(format!("{} lines read", text.lines().count())),
            Some(line) => check
                .warns(line, "see the checks of the proxy and the intake; it may be over")
                .because(Cause::CannotSend, Mend::Hand),
        },
        Err(failure) => check.unknown(failure.to_string()),
    })
}

/// The last complaint of the log's last minute, unless a payload was posted after it.
fn complaint(log: &str) -> Option<&str> {
    let time = |line: &str| humantime::parse_rfc3339_weak(line.get(..19)?).ok();
    let newest = log.lines().rev().find_map(time)?;
    let recent = log.lines().rev().take_while(|line| {
        let at = time(line);
        at.is_none_or(|at| newest.duration_since(at).is_ok_and(|age| age <= Duration::from_secs(60)))
    });
    for line in recent {
        if line.contains("Successfully posted") || line.contains("Starting Datadog Agent") {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if COMPLAINTS.iter().any(|complaint| lower.contains(complaint)) {
            return Some(line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Status;

    fn check() -> Check {
        Check::of("agent.delivery", "")
    }

    #[test]
    fn the_agent_is_asked_as_its_user_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert!(as_agent(&host, "true").is_err());
        for (uid, good) in [(0, false), (112, true)] {
            std::fs::write(folder.path().join("etc/passwd"), format!("dd-agent:x:{uid}:{uid}::/:/bin/sh\n")).unwrap();
            assert_eq!(as_agent(&host, "true").is_ok(), good);
        }
    }

    #[test]
    fn only_the_last_minute_of_a_log_counts() {
        let line = |time: &str, text: &str| format!("2026-11-21 {time} UTC | CORE | ERROR | {text}\n");
        let refused = line("10:00:30", "dial tcp 127.0.0.1:9804: connect: connection refused");
        assert!(complaint(&refused).is_some());
        assert!(complaint(&(refused.clone() + &line("10:01:10", "x"))).is_some());
        assert!(complaint(&(refused.clone() + &line("10:02:00", "x"))).is_none());
        assert!(complaint(&(refused + &line("10:00:40", "Successfully posted payload"))).is_none());
        assert!(complaint("").is_none());
    }

    #[test]
    fn counters_and_settings_are_read_in_both_spellings() {
        let status = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let good = status(
            r#"{"forwarderStats":{"APIKeyStatus":{"a":"API Key valid"},"Transactions":{"Success":3,"Errors":1}}}"#,
        );
        assert_eq!(counters(check(), &good, false).status, Status::Pass);
        for list in ["APIKeyStatus", "APIKeyFailure"] {
            let refused = status(&format!(r#"{{"forwarderStats":{{"{list}":{{"a":"API Key invalid"}}}}}}"#));
            assert_eq!(counters(check(), &refused, true).cause, Some(Cause::KeyRefused));
        }
        let dropped = status(r#"{"forwarderStats":{"Transactions":{"Success":0,"Dropped":4}}}"#);
        assert_eq!(counters(check(), &dropped, false).status, Status::Fail);
        assert_eq!(counters(check(), &status("{}"), false).status, Status::Skipped);
        let silent = status(r#"{"forwarderStats":{"Transactions":{"Errors":4}}}"#);
        assert_eq!(counters(check(), &silent, false).status, Status::Fail);
        assert_eq!(counters(check(), &silent, true).status, Status::Skipped);
        for text in [
            r#"{"fips_proxy_enabled":"true","fips_port_range_start":"9803"}"#,
            r#"{"fips_proxy_enabled":true,"fips_port_range_start":9803}"#,
        ] {
            assert_eq!(mode(check(), &status(text), String::new()).status, Status::Pass);
        }
        assert_eq!(mode(check(), &status(r#"{"fips_proxy_enabled":"false"}"#), String::new()).status, Status::Fail);
    }

    #[test]
    fn both_forms_of_a_diagnosis_are_understood() {
        let new = "Suite: connectivity-datadog-core-endpoints\n1. --------------\n  PASS [connectivity] Connectivity to http://localhost:9804\n  Diagnosis: fine\n Total:1, Success:1\n";
        assert_eq!(judged(check(), new, false).status, Status::Pass);
        assert_eq!(judged(check(), &new.replace("PASS", "FAIL"), false).status, Status::Fail);
        assert_eq!(
            judged(check(), "=== Running datadog-connectivity diagnosis ===\n===> PASS\n", false).status,
            Status::Pass
        );
        assert_eq!(judged(check(), "===> FAIL\n", false).status, Status::Fail);
        assert_eq!(judged(check(), "Error: unknown command\n", false).status, Status::Skipped);
        assert_eq!(judged(check(), "", true).status, Status::Fail);
    }
}
