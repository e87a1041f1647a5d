//! `ddinstall review`: files in, findings out; with `--fix`, what mends them.

use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Output, ReviewArgs};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::report::text::{self, Style};
use crate::report::{Redactor, diff};
use crate::review::capabilities::explain;
use crate::review::rules::{RULES, Rule};
use crate::review::{Finding, LIMIT, Level, Review, mended, review};

use super::{print, say};

/// A file and what came of it.
struct Reviewed {
    name: String,
    review: Review,
}

pub(super) fn run(args: &ReviewArgs) -> u8 {
    if let Some(feature) = &args.explain {
        print(&explain(feature).unwrap_or_default());
        return 0;
    }
    let mut failed = 0;
    let mut all = Vec::new();
    let mut errors = Vec::new();
    for name in &args.files {
        match one(name, args) {
            Ok(review) => all.push(Reviewed { name: name.clone(), review }),
            Err(error) => {
                failed = error.kind.exit_code();
                errors.push((name, error));
            }
        }
    }
    let found = all.iter().flat_map(|file| &file.review.findings).any(|finding| finding.level == Level::Error);
    let exit_code = match failed {
        0 if found => Kind::Verification.exit_code(),
        code => code,
    };
    match args.output {
        Output::Text if args.fix => {}
        Output::Text => all.iter().for_each(|file| print(&told(file, args.quiet))),
        Output::Json => {
            let errors: Vec<Value> = errors.iter().map(|(name, e)| json!({ "file": name, "error": e })).collect();
            let files: Vec<Value> = all.iter().map(data).collect();
            let document = json!({ "command": "review", "files": files, "unreadable": errors, "exit_code": exit_code });
            print(&format!("{document:#}\n"));
        }
        Output::Sarif => print(&format!("{:#}\n", sarif(&all))),
    }
    for (_, error) in errors {
        let error = error.state("nothing was changed");
        say(&text::error(&error, &Redactor::default(), Style(false)));
    }
    exit_code
}

fn one(name: &str, args: &ReviewArgs) -> Result<Review, Error> {
    let bytes = read(name)?;
    let refused = |refusal: crate::config::yaml::Refusal| refusal.into_error(Path::new(name));
    let first = review(&bytes).map_err(refused)?;
    if !args.fix {
        return Ok(first);
    }
    let (text, after) = mended(&bytes).map_err(refused)?;
    let old = String::from_utf8_lossy(&bytes);
    if args.output == Output::Text {
        let redactor = Redactor::new(first.secrets.iter().cloned());
        let change = diff::texts(&old, &text, name, &redactor);
        if change.contains("********") && !args.write {
            say(&format!(
                "note: {name}: the diff hides a secret, so it cannot be applied; --write changes the file itself\n"
            ));
        }
        print(&change);
        let mended = first.findings.len().saturating_sub(after.findings.len());
        say(&format!("{name}: {mended} of {} findings mended\n", first.findings.len()));
        after.findings.iter().for_each(|finding| say(&line(name, finding)));
    }
    if args.write && text.as_bytes() != bytes {
        write(name, text.as_bytes())?;
    }
    Ok(after)
}

/// Reads a file, or standard input, up to one byte more than is reviewed.
fn read(name: &str) -> Result<Vec<u8>, Error> {
    let usage = |why: String| Error::new(Kind::Usage, format!("{name}: {why}"));
    let mut bytes = Vec::new();
    let limit = LIMIT as u64 + 1;
    if name == "-" {
        std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(|e| usage(e.to_string()))?;
        return Ok(bytes);
    }
    let file = std::fs::File::open(name).map_err(|e| usage(e.to_string()))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(usage("is a folder; name its files".into()));
    }
    file.take(limit).read_to_end(&mut bytes).map_err(|e| usage(e.to_string()))?;
    Ok(bytes)
}

/// Owner and mode of the file stay.
fn write(name: &str, bytes: &[u8]) -> Result<(), Error> {
    let none = || Error::new(Kind::Usage, format!("{name}: no file that could be changed"));
    let path = std::path::absolute(name).map_err(|e| Error::io("write", Path::new(name), &e))?;
    let host = Host::new(Path::new("/"))?;
    let stored = host.read(&path)?.ok_or_else(none)?;
    host.can_replace(&path)?;
    host.write(&path, bytes, &stored.meta.attributes())
}

fn line(name: &str, finding: &Finding) -> String {
    let (level, rule) = (finding.level.name(), finding.rule);
    format!("{name}:{}: {level}: {} [{rule}]\n    {}\n", finding.line, finding.what, finding.hint)
}

fn told(file: &Reviewed, quiet: bool) -> String {
    let Reviewed { name, review } = file;
    let mut out = format!("{name}: {}\n", review.kind.name());
    review.findings.iter().for_each(|finding| out.push_str(&line(name, finding)));
    let count = |level| review.findings.iter().filter(|finding| finding.level == level).count();
    match review.findings.is_empty() {
        true => out.push_str("  nothing found\n"),
        false => {
            let (errors, warnings) = (count(Level::Error), count(Level::Warning));
            out.push_str(&format!(
                "  {errors} errors, {warnings} warnings; ddinstall review --fix {name} shows what mends them\n"
            ));
        }
    }
    if quiet {
        return out;
    }
    if !review.rights.is_empty() {
        out.push_str("  rights that are given, and why:\n");
    }
    for right in &review.rights {
        let why = right.why.unwrap_or("not known");
        out.push_str(&format!("    line {}: {}: {}: {why}\n", right.line, right.container, right.right));
    }
    for pod in &review.standings {
        let next = match pod.level {
            "privileged" => "; against baseline",
            "baseline" => "; against restricted",
            _ => "",
        };
        let against = if next.is_empty() { String::new() } else { format!("{next}: {}", pod.against.join(", ")) };
        out.push_str(&format!("  Pod Security Standards: {} is {}{against}\n", pod.name, pod.level));
    }
    out
}

fn data(file: &Reviewed) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "rule": finding.rule,
            "level": finding.level.name(),
            "line": finding.line,
            "document": finding.document,
            "at": finding.at,
            "what": finding.what,
            "help": finding.hint,
            "mendable": finding.is_mendable(),
        })
    };
    let review = &file.review;
    let rights = review.rights.iter().map(|right| {
        json!({
            "line": right.line,
            "container": right.container,
            "right": right.right,
            "why": right.why,
            "at": right.at,
        })
    });
    let pods =
        review.standings.iter().map(|pod| json!({ "name": pod.name, "level": pod.level, "against": pod.against }));
    json!({
        "file": file.name,
        "kind": review.kind.name(),
        "findings": review.findings.iter().map(finding).collect::<Vec<_>>(),
        "rights": rights.collect::<Vec<_>>(),
        "pod_security": pods.collect::<Vec<_>>(),
    })
}

/// SARIF 2.1.0, which code hosts show beside the lines.
fn sarif(files: &[Reviewed]) -> Value {
    let rule = |rule: &Rule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.help },
            "defaultConfiguration": { "level": rule.level.name() },
        })
    };
    let rules: Vec<Value> = RULES.iter().map(rule).collect();
    let result = |name: &str, finding: &Finding| {
        json!({
            "ruleId": finding.rule,
            "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule),
            "level": finding.level.name(),
            "message": { "text": format!("{}. {}.", finding.what, finding.hint) },
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(name) },
                    "region": { "startLine": finding.line },
                },
                "logicalLocations": [{ "fullyQualifiedName": finding.at }],
            }],
        })
    };
    let results: Vec<Value> =
        files.iter().flat_map(|file| file.review.findings.iter().map(|f| result(&file.name, f))).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "ddinstall", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    })
}

/// A path as a reference of a URI.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
