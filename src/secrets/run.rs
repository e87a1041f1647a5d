//! Runs the helper as the Agent does, and tells for each handle what came of it. No value leaves this module.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::backend::Backend;
use super::protocol::{self, Answer, Version};
use crate::error::{Error, Result};
use crate::host::guarded::{End, Guarded, Heard};
use crate::host::{Identity, Stream};

/// What became of a handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Resolved,
    /// The helper's words.
    Error(String),
    Missing,
    Empty,
    /// The helper said more than the Agent reads.
    TooLarge,
    /// The helper gave no answer that can be used.
    Unanswered,
}

impl Outcome {
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Resolved => "resolved",
            Outcome::Error(_) => "error",
            Outcome::Missing => "missing",
            Outcome::Empty => "empty",
            Outcome::TooLarge => "too large",
            Outcome::Unanswered => "unanswered",
        }
    }
}

/// What came of a run of the helper.
#[derive(Debug, Clone)]
pub struct Tested {
    /// In the order in which they were asked for.
    pub handles: Vec<(String, Outcome)>,
    /// Why there is no answer at all.
    pub trouble: Option<String>,
    /// What else is worth knowing.
    pub warnings: Vec<String>,
    /// What it said on standard error, if that is to be shown and holds no value.
    pub stderr: Option<String>,
    pub seconds: f64,
}

/// What is to be run, and how.
pub struct Trial<'a> {
    pub program: PathBuf,
    pub backend: &'a Backend,
    pub handles: Vec<String>,
    pub version: Version,
    /// None: as whom we are.
    pub identity: Option<Identity>,
    pub environment: Vec<(OsString, OsString)>,
    pub show_stderr: bool,
}

/// Runs it once, with all handles.
pub fn test(trial: Trial, cancel: &AtomicBool) -> Result<Tested> {
    let Trial { backend, handles, .. } = trial;
    let built_in = backend.built_in();
    let arguments = if built_in.is_some() { &[][..] } else { &backend.arguments };
    let guarded = Guarded {
        program: trial.program.clone(),
        args: arguments.iter().map(OsString::from).collect(),
        env: trial.environment,
        stdin: protocol::request(trial.version, &handles, backend.timeout, built_in.as_ref()),
        identity: trial.identity,
        deadline: Duration::from_secs(backend.timeout),
        limit: backend.output,
    };
    let heard = guarded.run(cancel).map_err(|e| {
        Error::io("run", &trial.program, &e).hint("`ddinstall secrets check` names the rule that it breaks")
    })?;
    Ok(told(heard, handles, backend, trial.show_stderr))
}

fn told(heard: Heard, handles: Vec<String>, backend: &Backend, show_stderr: bool) -> Tested {
    let mut trouble = trouble(&heard, backend);
    let mut warnings = Vec::new();
    let mut stderr = String::from_utf8_lossy(&heard.stderr).into_owned();
    // Read in any case: what it says there may be a secret.
    let answers = protocol::answers(&heard.stdout, &handles, backend.trim);
    if let (None, Err(why)) = (&trouble, &answers) {
        trouble = Some(format!("its answer is of no use: {why}"));
    }
    let mut outcomes = Vec::new();
    if let Ok(answers) = &answers {
        let leaks: Vec<&str> = answers
            .of
            .iter()
            .filter(|(_, a)| matches!(a, Answer::Resolved(value) if protocol::holds(&heard.stderr, value)))
            .map(|(handle, _)| handle.as_str())
            .collect();
        if !leaks.is_empty() {
            warnings.push(format!(
                "it prints secrets on standard error, which the Agent writes to its log when the helper fails: {}",
                shortened(&leaks)
            ));
        }
        if answers.extra > 0 {
            warnings.push(format!("answers that nobody asked for: {}", answers.extra));
        }
        if !answers.nul.is_empty() {
            let nul: Vec<&str> = answers.nul.iter().map(String::as_str).collect();
            warnings.push(format!("a NUL byte is in the value of: {}", shortened(&nul)));
        }
        stderr = protocol::without_values(stderr, answers);
        outcomes.extend(handles.iter().map(|handle| match &answers.of[handle] {
            Answer::Resolved(_) => Outcome::Resolved,
            Answer::Error(why) => Outcome::Error(clean(&protocol::without_values(why.clone(), answers))),
            Answer::Missing => Outcome::Missing,
            Answer::Empty => Outcome::Empty,
        }));
    }
    if trouble.is_some() {
        let outcome = match heard.end {
            End::TooLong(_) => Outcome::TooLarge,
            _ => Outcome::Unanswered,
        };
        outcomes = vec![outcome; handles.len()];
    }
    if heard.left > 0 && heard.end != End::TimedOut {
        warnings.push(format!("it left {} of its own, ended now", count(heard.left)));
    }
    if heard.remaining > 0 {
        warnings.push(format!("{} of it could not be ended: stuck in the kernel", count(heard.remaining)));
    }
    if !heard.stderr.is_empty() && !show_stderr {
        let bytes = heard.stderr.len();
        warnings.push(format!("{bytes} bytes on standard error; --show-stderr shows them, and they may hold a secret"));
    }
    Tested {
        handles: handles.into_iter().zip(outcomes).collect(),
        trouble,
        warnings,
        stderr: (show_stderr && !stderr.is_empty()).then(|| lines(&stderr)),
        seconds: heard.seconds,
    }
}

/// Why the Agent would throw all of it away.
fn trouble(heard: &Heard, backend: &Backend) -> Option<String> {
    let Backend { timeout, output, .. } = backend;
    match heard.end {
        End::Exited(0) => None,
        End::Exited(code) => Some(format!("it failed: exit code {code}; the Agent drops the whole file that asks")),
        End::Signalled(signal) => Some(format!("it crashed: signal {signal}")),
        End::TimedOut => Some(format!("it did not end within {timeout} s (secret_backend_timeout)")),
        End::HeldOpen => Some(format!(
            "it ended, and a process that it left held its output open for {timeout} s: the Agent waits for that one"
        )),
        End::TooLong(stream) => {
            let name = if stream == Stream::Stderr { "standard error" } else { "standard output" };
            Some(format!("it wrote more than {output} bytes to {name} (secret_backend_output_max_size)"))
        }
        End::Cancelled => Some("it was ended by a signal to ddinstall".into()),
    }
}

fn count(processes: usize) -> String {
    match processes {
        1 => "1 process".into(),
        n => format!("{n} processes"),
    }
}

/// Names for a line: the first ones, and how many there are.
fn shortened(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(5).map(|name| clean(name)).collect();
    match names.len() {
        n if n > 5 => format!("{} and {} more", shown.join(", "), n - 5),
        _ => shown.join(", "),
    }
}

/// The last lines of an output.
fn lines(text: &str) -> String {
    let all: Vec<String> = text.lines().map(clean).collect();
    all[all.len().saturating_sub(40)..].join("\n")
}

/// Text of others for one line of a terminal: without control characters, and not without end.
pub fn clean(text: &str) -> String {
    const MOST: usize = 2000;
    let mut out = String::new();
    for c in text.trim_end().chars().take(MOST) {
        match c.is_control() {
            true => out.extend(c.escape_debug()),
            false => out.push(c),
        }
    }
    out
}
