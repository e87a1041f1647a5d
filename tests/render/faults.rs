//! Documents with one planted fault each, from the vendor's pages and from what is known of the chart: the review names
//! it, in its line, and `--fix` mends it without touching a comment.

use ddinstall::render::Target::{self, Beanstalk};
use ddinstall::review::{mended, review};

use super::{folder, rendered, run};

#[path = "faults/elsewhere.rs"]
mod elsewhere;
#[path = "faults/pods.rs"]
mod pods;

/// How a fault gets into a document.
enum Plant {
    /// The first of these texts becomes that.
    To(&'static str, &'static str),
    /// Every one becomes that.
    All(&'static str, &'static str),
    /// The text from the first of these up to the next of those goes.
    Cut(&'static str, &'static str),
    /// This stands behind the first of these.
    After(&'static str, &'static str),
    /// Behind the first of these, the first of those becomes that.
    In(&'static str, &'static str, &'static str),
}

use Plant::{After, All, Cut, In, To};

/// Document, what is planted, the rule that names it, and a text of the line it is located in.
type Fault = (&'static str, Target, &'static [Plant], &'static str, &'static str);

fn all() -> Vec<&'static Fault> {
    pods::FAULTS.iter().chain(elsewhere::FAULTS).collect()
}

const FULL: [(&str, &str); 4] = [
    ("DD_FIPS_MODE", "1"),
    ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1"),
    ("DD_LOGS_ENABLED", "1"),
    ("DD_APM_ENABLED", "1"),
];

fn planted(fault: &Fault) -> String {
    let (name, target, plants, ..) = fault;
    let from = if *target == Beanstalk { 1 } else { 0 };
    let mut text = rendered(*target, &FULL[from..]);
    for plant in *plants {
        let before = text.clone();
        text = match plant {
            To(old, new) => text.replacen(old, new, 1),
            All(old, new) => text.replace(old, new),
            After(old, new) => text.replacen(old, &format!("{old}{new}"), 1),
            In(behind, old, new) => {
                let (before, after) = text.split_once(behind).unwrap_or_else(|| panic!("{name}: no {behind:?}"));
                format!("{before}{behind}{}", after.replacen(old, new, 1))
            }
            Cut(from, to) => {
                let start = text.find(from).unwrap_or_else(|| panic!("{name}: no {from:?} in\n{text}"));
                let end = text[start..].find(to).map_or(text.len(), |at| start + at);
                format!("{}{}", &text[..start], &text[end..])
            }
        };
        assert!(text != before, "{name} ({target:?}): nothing was planted");
    }
    text
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#')).collect()
}

#[test]
fn each_planted_fault_is_named_located_and_mended() {
    let faults = all();
    assert!(faults.len() >= 40, "{}", faults.len());
    let mut wrong = Vec::new();
    for fault in &faults {
        let (name, target, _, rule, mark) = fault;
        let Ok(text) = std::panic::catch_unwind(|| planted(fault)) else {
            wrong.push(format!("{name} ({target:?}): nothing was planted"));
            continue;
        };
        let mut say = |what: String| wrong.push(format!("{name} ({target:?}): {what}"));
        let found = match review(text.as_bytes()) {
            Ok(found) => found.findings,
            Err(why) => {
                say(format!("{why:?}"));
                continue;
            }
        };
        let at = text.find(mark).unwrap_or_else(|| panic!("{name}: no {mark:?} in\n{text}"));
        let line = 1 + text[..at].matches('\n').count();
        if !found.iter().any(|finding| finding.rule == *rule && finding.line == line) {
            let found: Vec<_> = found.iter().map(|f| (f.rule, f.line, &f.what)).collect();
            say(format!("no {rule} in line {line}: {found:?}"));
        }
        let (after, mut left) = mended(text.as_bytes()).unwrap();
        // What the operator may have wanted is told, and not taken away.
        left.findings.retain(|finding| finding.rule != "mount-unknown");
        if !left.findings.is_empty() {
            let left: Vec<_> = left.findings.iter().map(|f| (f.rule, f.line, &f.what, &f.fix)).collect();
            say(format!("not mended: {left:?}"));
        }
        let kept = comments(&after);
        for comment in comments(&text) {
            if !kept.contains(&comment) {
                say(format!("lost {comment:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
}

/// The same through the binary, all files at once: findings with file and line, a diff that `patch` takes, SARIF.
#[test]
fn the_command_names_mends_and_writes() {
    let folder = folder("render-faults");
    let (faults, mut files) = (all(), Vec::new());
    for (number, fault) in faults.iter().enumerate() {
        let file = folder.join(format!("{number:02} {}", fault.0));
        std::fs::write(&file, planted(fault)).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let with = |options: &[&str]| {
        let args: Vec<&str> =
            ["review"].iter().chain(options).copied().chain(files.iter().map(String::as_str)).collect();
        run(&args, &[])
    };
    let text = with(&["--quiet"]);
    assert_eq!(text.status.code(), Some(9));
    let said = String::from_utf8(text.stdout).unwrap();
    for (file, (name, target, _, rule, _)) in files.iter().zip(&faults) {
        let of = |line: &str| line.starts_with(&format!("{file}:")) && line.ends_with(&format!("[{rule}]"));
        assert!(said.lines().any(of), "{name} ({target:?})");
    }
    assert!(!said.contains("0123456789abcdef"), "a secret is shown");
    let sarif = run(&["review", "--format", "sarif", &files[0], &files[60], &files[90]], &[]);
    let sarif: serde_json::Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() >= 3);
    for result in results {
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().contains("%20"));
    }
    // A diff that a tool takes, of a file without secrets.
    let file = &files[0];
    let diff = run(&["review", "--fix", file], &[]);
    assert_eq!(diff.status.code(), Some(0));
    let copy = folder.join("copy");
    std::fs::copy(file, &copy).unwrap();
    let mut patch = std::process::Command::new("patch")
        .arg(&copy)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut patch.stdin.take().unwrap(), &diff.stdout).unwrap();
    assert!(patch.wait().unwrap().success());
    let clean = run(&["review", copy.to_str().unwrap()], &[]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stdout));
    let written = with(&["--fix", "--write"]);
    assert!(!String::from_utf8_lossy(&written.stdout).contains("0123456789abcdef"), "a secret is shown");
    let clean = with(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&clean.stdout).unwrap();
    assert_eq!(clean.status.code(), Some(0));
    assert_eq!(json["files"].as_array().unwrap().len(), faults.len());
    let left = json["files"].as_array().unwrap().iter().flat_map(|file| file["findings"].as_array().unwrap());
    assert!(left.clone().all(|finding| finding["rule"] == "mount-unknown"), "{:?}", left.collect::<Vec<_>>());
}
