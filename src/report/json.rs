//! Results as one JSON document. Its form is a promise to scripts (README, "JSON").

use serde_json::{Value, json};

use crate::apply::StepDone;
use crate::doctor::Trouble;
use crate::error::Error;
use crate::plan::Plan;
use crate::rollback::Undone;
use crate::verify::Verification;

use super::{Redactor, diff, evidence};

/// The version of the document's form.
const FORMAT: u32 = 1;

/// What a command found and did, as far as it came.
#[derive(Default)]
pub struct Document<'a> {
    pub command: &'a str,
    pub changed: Option<bool>,
    pub plan: Option<&'a Plan>,
    pub with_diff: bool,
    pub steps: Option<&'a [StepDone]>,
    /// What was taken back, and what was left or could not be.
    pub undone: Option<&'a Undone>,
    pub notes: &'a [String],
    pub verification: Option<&'a Verification>,
    /// The causes of what does not hold, in order.
    pub troubles: Option<&'a [Trouble]>,
    /// Seconds in which services were watched, and in which the result was verified.
    pub seconds: Option<(f64, f64)>,
    pub proof: Option<&'a str>,
    pub error: Option<&'a Error>,
    pub exit_code: u8,
}

impl Document<'_> {
    pub fn render(&self, redactor: &Redactor) -> String {
        let clean = |text: &str| redactor.text(text);
        let mut out = json!({ "format": FORMAT, "ddinstall": env!("CARGO_PKG_VERSION"), "command": self.command });
        if let Some(changed) = self.changed {
            out["changed"] = changed.into();
        }
        let step = |kind: &str, what: &str, details: &[String]| json!({ "kind": kind, "what": clean(what), "details": details.iter().map(|d| clean(d)).collect::<Vec<_>>() });
        if let Some(plan) = self.plan {
            let steps = plan.steps.iter().map(|s| {
                let mut value = step(s.kind(), &s.describe(), &s.details());
                if let Some(text) = diff::of_step(s, redactor).filter(|_| self.with_diff) {
                    value["diff"] = text.into();
                }
                value
            });
            out["steps"] = Value::Array(steps.collect());
        } else if let Some(steps) = self.steps {
            let steps = steps.iter().map(|s| {
                let mut value = step(s.kind, &s.what, &s.details);
                value["seconds"] = milliseconds(s.seconds);
                value
            });
            out["steps"] = Value::Array(steps.collect());
        }
        if let Some(undone) = self.undone {
            let all = |lines: &[String]| lines.iter().map(|line| clean(line)).collect::<Vec<_>>();
            let told = |all: &[(String, Error)]| -> Vec<String> {
                all.iter().map(|(what, error)| format!("{what}: {error}")).collect()
            };
            out["undone"] = all(&undone.done).into();
            out["left"] = all(&undone.left).into();
            out["unavailable"] = all(&told(&undone.unavailable)).into();
            out["failed"] = all(&told(&undone.failed)).into();
        }
        out["notes"] = self.notes.iter().map(|note| clean(note)).collect::<Vec<_>>().into();
        if let Some(verification) = self.verification {
            out["verify"] = evidence::value(verification, redactor);
        }
        if let Some(troubles) = self.troubles {
            let mut value = serde_json::to_value(troubles).unwrap_or_default();
            redact_strings(&mut value, redactor);
            out["troubles"] = value;
        }
        if let Some((settling, verifying)) = self.seconds {
            out["seconds"] = json!({ "settling": milliseconds(settling), "verifying": milliseconds(verifying) });
        }
        if let Some(proof) = self.proof {
            out["proof"] = proof.into();
        }
        if let Some(error) = self.error {
            let mut value = serde_json::to_value(error).unwrap_or_default();
            value["exit_code"] = error.kind.exit_code().into();
            redact_strings(&mut value, redactor);
            out["error"] = value;
        }
        out["exit_code"] = self.exit_code.into();
        format!("{out:#}\n")
    }
}

/// Seconds with three decimals.
fn milliseconds(seconds: f64) -> Value {
    json!((seconds * 1000.0).round() / 1000.0)
}

pub(super) fn redact_strings(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => *text = redactor.text(text),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_strings(item, redactor)),
        Value::Object(entries) => entries.values_mut().for_each(|item| redact_strings(item, redactor)),
        _ => {}
    }
}
