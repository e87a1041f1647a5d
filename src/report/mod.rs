//! What a person or a script reads: text, JSON, diffs, progress, the log. Secrets are taken out here, at the one way out.

pub mod diff;
pub mod fleet;
pub mod json;
mod redact;
mod terminal;
pub mod text;

pub use redact::Redactor;
pub use terminal::Terminal;
