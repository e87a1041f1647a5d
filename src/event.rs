//! What happens, told to whoever listens: the terminal, the log, nobody.
//! The rooms below say *what*; only `report` decides how it looks.

use std::sync::Arc;

/// One thing worth telling while a run goes on. No variant carries a secret.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins. `what` is in the imperative: "install datadog-agent 1:7.58.2-1".
    StepStarted { what: String },
    /// The running step moved on. `percent` is 0–100 where it is known.
    Progress { what: String, percent: Option<u8> },
    /// The running step ended well.
    StepDone { what: String, seconds: f64 },
    /// A step failed.
    StepFailed { what: String },
    /// Something the operator should know that is no step.
    Note(String),
    /// For the log only: a command that ran, a request that was made.
    Log(String),
}

/// A listener that can be shared between threads.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(&Event) + Send + Sync>);

impl Events {
    pub fn new(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Events(Arc::new(listener))
    }

    pub fn tell(&self, event: Event) {
        (self.0)(&event);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note(text.into()));
    }

    pub fn log(&self, text: impl Into<String>) {
        self.tell(Event::Log(text.into()));
    }

    pub fn progress(&self, what: impl Into<String>, percent: Option<u8>) {
        self.tell(Event::Progress { what: what.into(), percent });
    }
}
