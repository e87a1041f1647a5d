//! The log of a changing run: held in memory until something is about to be written, then in `/var/log/ddinstall`.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use crate::error::Result;
use crate::event::Event;
use crate::host::{Attributes, Host};
use crate::receipt::LOGS;
use crate::report::Redactor;

/// Collects lines without secrets.
pub struct Journal {
    redactor: Redactor,
    state: Mutex<State>,
}

enum State {
    /// Nothing is written as long as nothing changes.
    Held(Vec<String>),
    Open(File),
}

impl Journal {
    pub fn new(redactor: Redactor) -> Journal {
        Journal { redactor, state: Mutex::new(State::Held(Vec::new())) }
    }

    pub fn hear(&self, event: &Event) {
        let text = match event {
            Event::StepStarted { what } => format!("begin: {what}"),
            Event::StepDone { what, seconds } => format!("done: {what} ({seconds:.3} s)"),
            Event::StepFailed { what } => format!("failed: {what}"),
            Event::Note(text) => format!("note: {text}"),
            Event::Log(text) => text.clone(),
            Event::Progress { .. } => return,
        };
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now());
        let lines: String = self.redactor.text(&text).lines().map(|line| format!("{time} {line}\n")).collect();
        match self.state.lock().as_deref_mut() {
            Ok(State::Held(held)) => held.push(lines),
            Ok(State::Open(file)) => drop(file.write_all(lines.as_bytes())),
            Err(_) => {}
        }
    }

    /// Opens the log of this run and writes what was held. Returns its path.
    pub fn open(&self, host: &Host) -> Result<String> {
        host.make_dirs(LOGS, &Attributes { uid: 0, gid: 0, mode: 0o700 })?;
        let time = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().replace(':', "");
        let path = format!("{LOGS}/{time}.log");
        let mut file = host.append(&path, 0o600)?;
        if let Ok(mut state) = self.state.lock() {
            if let State::Held(held) = &*state {
                let _ = file.write_all(held.concat().as_bytes());
            }
            *state = State::Open(file);
        }
        Ok(path)
    }
}
