//! Progress for a person: one line that moves on a terminal, one line a step elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;

use crate::event::Event;

use super::Redactor;

/// Prints what happens to standard error.
pub struct Terminal {
    redactor: Redactor,
    moving: bool,
    quiet: bool,
    /// Whether a moving line stands there, to be wiped before the next.
    dirty: Mutex<bool>,
}

impl Terminal {
    pub fn new(redactor: Redactor, quiet: bool) -> Terminal {
        Terminal { redactor, moving: stderr().is_terminal(), quiet, dirty: Mutex::new(false) }
    }

    pub fn hear(&self, event: &Event) {
        if self.quiet {
            return;
        }
        match event {
            Event::StepStarted { what } => self.transient(&format!("  … {what}")),
            Event::Progress { what, percent: Some(percent) } => self.transient(&format!("  … {what} {percent} %")),
            Event::Progress { what, percent: None } => self.transient(&format!("  … {what}")),
            Event::StepDone { what, seconds } => self.line(&format!("  ok  {what} ({seconds:.1} s)")),
            Event::StepFailed { what } => self.line(&format!("  FAILED  {what}")),
            Event::Note(text) => self.line(&format!("  note: {text}")),
            Event::Log(_) => {}
        }
    }

    /// A line that the next one replaces. Not shown where nothing can be replaced.
    fn transient(&self, text: &str) {
        if !self.moving {
            return;
        }
        let text: String = self.redactor.text(text).chars().filter(|c| !c.is_control()).take(100).collect();
        if let Ok(mut dirty) = self.dirty.lock() {
            let _ = write!(stderr(), "\r\x1b[K{text}");
            let _ = stderr().flush();
            *dirty = true;
        }
    }

    fn line(&self, text: &str) {
        if let Ok(mut dirty) = self.dirty.lock() {
            let wipe = if *dirty { "\r\x1b[K" } else { "" };
            let _ = writeln!(stderr(), "{wipe}{}", self.redactor.text(text));
            *dirty = false;
        }
    }

    /// Wipes the moving line before something else is printed.
    pub fn rest(&self) {
        if let Ok(mut dirty) = self.dirty.lock()
            && std::mem::take(&mut *dirty)
        {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
