//! A verification as evidence: JSON with a hash over it, JUnit, OSCAL assessment results, an HTML report. All are made from
//! the one JSON value that secrets were taken out of.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::config::templates::Template;
use crate::error::{Error, Kind, Result};
use crate::host::system;
use crate::verify::Verification;

use super::Redactor;
use super::json::redact_strings;

/// The JSON schema of what `verify --format json` prints.
pub const SCHEMA: &str = include_str!("../../templates/report/verify.schema.json");

/// The version of OSCAL that the assessment results are written in.
const OSCAL: &str = "1.1.2";

/// The verification without secrets. `sha256` is over the rest of it, as compact JSON with sorted keys (`jq -cSj`).
pub fn value(verification: &Verification, redactor: &Redactor) -> Value {
    let mut value = serde_json::to_value(verification).unwrap_or_default();
    redact_strings(&mut value, redactor);
    let hash = system::sha256_hex(value.to_string().as_bytes());
    value["sha256"] = hash.into();
    value
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn checks(evidence: &Value) -> &[Value] {
    evidence["checks"].as_array().map_or(&[], Vec::as_slice)
}

/// For tools that read test results: a check is a test case, its group a class. What is unknown is an error, a warning
/// passes with its words as output.
pub fn junit(verification: &Verification, redactor: &Redactor) -> String {
    let evidence = value(verification, redactor);
    let count = |status: &str| checks(&evidence).iter().filter(|check| text(check, "status") == status).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"ddinstall verify\" hostname=\"{}\" timestamp=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escaped(text(&evidence["host"], "name")),
        escaped(text(&evidence, "at").trim_end_matches('Z')),
        checks(&evidence).len(),
        count("fail"),
        count("unknown"),
        count("skipped")
    );
    let _ = writeln!(
        out,
        "  <properties>\n    <property name=\"sha256\" value=\"{}\"/>\n  </properties>",
        text(&evidence, "sha256")
    );
    for check in checks(&evidence) {
        let [id, title, seen, expected, hint] =
            ["id", "title", "seen", "expected", "hint"].map(|key| escaped(text(check, key)));
        let group = id.split('.').next().unwrap_or_default();
        let _ = write!(out, "  <testcase classname=\"{group}\" name=\"{id}: {title}\" time=\"0\"");
        let _ = match text(check, "status") {
            "fail" => {
                writeln!(out, "><failure message=\"{seen}\">expected: {expected}\nto do: {hint}</failure></testcase>")
            }
            "unknown" => {
                writeln!(out, "><error message=\"{seen}\">expected: {expected}\nto do: {hint}</error></testcase>")
            }
            "skipped" => writeln!(out, "><skipped message=\"{seen}\"/></testcase>"),
            "warn" => writeln!(out, "><system-out>warning: {seen}\nto do: {hint}</system-out></testcase>"),
            _ => writeln!(out, "/>"),
        };
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text in an XML document; what XML cannot hold was made visible before.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What the checks say of a control.
#[derive(Default)]
struct Control {
    id: String,
    related: Vec<Value>,
    /// What does not hold.
    words: Vec<String>,
    /// Whether that is more than a warning.
    failed: bool,
    /// Whether anything holds.
    passed: bool,
}

/// NIST OSCAL assessment results: an observation a check, a finding a control that checks speak for.
pub fn oscal(verification: &Verification, redactor: &Redactor) -> Result<String> {
    let evidence = value(verification, redactor);
    let at = text(&evidence, "at");
    let host = &evidence["host"];
    let (plan, subject, result) = (system::random_uuid()?, system::random_uuid()?, system::random_uuid()?);
    let mut observations = Vec::new();
    let mut controls: Vec<Control> = Vec::new();
    for check in checks(&evidence) {
        let uuid = system::random_uuid()?;
        let status = text(check, "status");
        let property = |name: &str, value: &str| json!({ "name": name, "ns": NAMESPACE, "value": value });
        let mut observation = json!({
            "uuid": uuid,
            "title": text(check, "id"),
            "description": format!("{}. Expected: {}.", text(check, "title"), text(check, "expected")),
            "props": [property("check", text(check, "id")), property("status", status)],
            "methods": ["TEST"],
            "types": ["control-objective"],
            "subjects": [{ "subject-uuid": subject, "type": "inventory-item" }],
            "relevant-evidence": [{ "href": text(check, "source"), "description": or_dash(text(check, "seen")) }],
            "collected": at,
        });
        if !text(check, "hint").is_empty() {
            observation["remarks"] = format!("To do: {}", text(check, "hint")).into();
        }
        observations.push(observation);
        for control in check["controls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let at = controls.iter().position(|known| known.id == control).unwrap_or_else(|| {
                controls.push(Control { id: control.to_owned(), ..Control::default() });
                controls.len() - 1
            });
            let known = &mut controls[at];
            known.related.push(json!({ "observation-uuid": uuid }));
            known.passed |= status == "pass";
            if status != "pass" && (status != "skipped" || is_alive(text(check, "id"))) {
                known.words.push(format!("{} ({status}): {}", text(check, "id"), text(check, "seen")));
                known.failed |= !["warn", "skipped"].contains(&status);
            }
        }
    }
    controls.sort_by(|a, b| a.id.cmp(&b.id));
    if controls.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            "none of the chosen checks speaks for a control: OSCAL results would be empty",
        )
        .hint("`ddinstall verify --list` names the controls beside the checks"));
    }
    let mut findings = Vec::new();
    let partial = evidence["chosen"].is_object();
    for Control { id: control, related, words, failed, passed } in &controls {
        let status = match (words.is_empty() && *passed && !partial, failed) {
            (true, _) => json!({ "state": "satisfied", "reason": "pass" }),
            (_, true) => json!({ "state": "not-satisfied", "reason": "fail" }),
            (_, false) => json!({ "state": "not-satisfied", "reason": "other" }),
        };
        let mut finding = json!({
            "uuid": system::random_uuid()?,
            "title": format!("{}: what ddinstall can see of it on this host", control.to_uppercase()),
            "description": format!("{} checks speak for this control, as far as the Datadog Agent and its FIPS proxy go. They do not assess the control as a whole.", related.len()),
            "target": { "type": "objective-id", "target-id": format!("{control}_obj"), "status": status },
            "related-observations": related,
        });
        let mut words = words.clone();
        words.extend(partial.then(|| PARTIAL.to_owned()));
        words.extend((!passed && words.is_empty()).then(|| "nothing of it was looked at".to_owned()));
        if !words.is_empty() {
            finding["remarks"] = words.join("\n").into();
        }
        findings.push(finding);
    }
    let not_covered: Vec<&str> =
        evidence["not_covered"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let selected: Vec<Value> = controls.iter().map(|control| json!({ "control-id": control.id })).collect();
    let described = |name: &str, key: &str| json!({ "name": name, "ns": NAMESPACE, "value": or_dash(text(host, key)) });
    let results = json!({
        "uuid": result,
        "title": format!("ddinstall verify on {}", text(host, "name")),
        "description": "Automated checks of the Datadog Agent, its FIPS proxy and Cloud Workload Security, made on the host itself.",
        "start": at,
        "end": at,
        "props": [
            { "name": "evidence-sha256", "ns": NAMESPACE, "value": text(&evidence, "sha256") },
            { "name": "status", "ns": NAMESPACE, "value": text(&evidence, "status") },
        ],
        "local-definitions": {
            "inventory-items": [{
                "uuid": subject,
                "description": format!("The host {}, {}", text(host, "name"), text(host, "distribution")),
                "props": [described("host-name", "name"), described("kernel", "kernel"), described("architecture", "architecture"), described("machine", "machine")],
            }],
        },
        "reviewed-controls": { "control-selections": [{ "include-controls": selected }] },
        "observations": observations,
        "findings": findings,
        "remarks": format!("{}Not covered:\n{}", if partial { format!("{PARTIAL}.\n") } else { String::new() }, not_covered.iter().map(|line| format!("- {line}\n")).collect::<String>()),
    });
    let document = json!({
        "assessment-results": {
            "uuid": system::random_uuid()?,
            "metadata": {
                "title": format!("FIPS and CWS of the Datadog Agent on {}", text(host, "name")),
                "last-modified": at,
                "version": text(&evidence["tool"], "version"),
                "oscal-version": OSCAL,
                "props": [{ "name": "tool", "ns": NAMESPACE, "value": "ddinstall" }],
            },
            "import-ap": { "href": format!("#{plan}"), "remarks": "There is no assessment plan beside the checks themselves: `ddinstall verify --list`." },
            "results": [results],
            "back-matter": {
                "resources": [{
                    "uuid": plan,
                    "title": "The checks of ddinstall",
                    "description": "`ddinstall verify --list` names every check, with its source and the controls that it speaks for.",
                }],
            },
        },
    });
    Ok(format!("{document:#}\n"))
}

/// What is said of a verification with `--only` or `--skip`.
const PARTIAL: &str = "only chosen checks were made, which prove no more than they say";

/// Whether a check is one of what must run: where it was not looked at, nothing is shown.
fn is_alive(id: &str) -> bool {
    ["unit.", "process.", "proxy."].iter().any(|group| id.starts_with(group))
}

/// What the names of our properties belong to.
const NAMESPACE: &str = "https://ddinstall.invalid/ns/oscal";

/// OSCAL has no empty texts.
fn or_dash(text: &str) -> &str {
    if text.trim().is_empty() { "-" } else { text }
}

/// One page without scripts and without other files, for the auditor.
pub fn html(verification: &Verification, redactor: &Redactor) -> Result<String> {
    let evidence = value(verification, redactor);
    let count = |status: &str| checks(&evidence).iter().filter(|check| text(check, "status") == status).count();
    let counts: Vec<(&str, usize)> =
        ["fail", "unknown", "warn", "skipped", "pass"].into_iter().map(|status| (status, count(status))).collect();
    let order = |check: &&Value| {
        ["fail", "unknown", "warn", "pass", "skipped"].iter().position(|s| *s == text(check, "status"))
    };
    let mut sorted: Vec<&Value> = checks(&evidence).iter().collect();
    sorted.sort_by_key(order);
    // (control, checks that were looked at, those that hold, those that were not looked at)
    let mut controls: Vec<(&str, usize, usize, usize)> = Vec::new();
    for check in checks(&evidence) {
        for control in check["controls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let is = |status: &str| usize::from(text(check, "status") == status);
            let (looked, held, skipped) = (1 - is("skipped"), is("pass"), is("skipped"));
            match controls.iter_mut().find(|(known, ..)| *known == control) {
                Some(known) => *known = (control, known.1 + looked, known.2 + held, known.3 + skipped),
                None => controls.push((control, looked, held, skipped)),
            }
        }
    }
    controls.sort_unstable();
    let values = json!({ "evidence": evidence, "checks": sorted, "counts": counts, "controls": controls });
    Template::Report.render(minijinja::value::Serde(values).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_every_text() {
        assert_eq!(escaped("<a b=\"c\">&\u{ffff}"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn the_schema_is_json() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}
