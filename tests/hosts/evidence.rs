//! What `verify` prints, in every form: for people, for scripts, for CI, for an auditor. No form carries a secret.

use super::common::*;
use crate::lab::{Host, KEY, Suite};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn evidence(host: &Host, format: &str) -> String {
    host.ddinstall(&["verify", "--format", format]).run().exits(0).stdout
}

/// What of JSON schema our own uses: enough to say that a document is as it is published. (--long asks a real validator.)
fn violations(schema: &Value, root: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
        return violations(&root["$defs"][name], root, value, at, found);
    }
    let is = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    if !is || !listed || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, below) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => violations(schema, root, below, &format!("{at}.{name}"), found),
            None if schema["additionalProperties"] == Value::Bool(false) => {
                found.push(format!("{at}.{name}: not published"))
            }
            None => {}
        }
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        violations(&schema["items"], root, item, &format!("{at}[{i}]"), found);
    }
}

#[test]
fn every_form_says_the_same_and_no_secret() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let password = "pr0xy-passw0rd-5ecret";
    host.command(&[
        "ddinstall",
        "config",
        "set",
        DATADOG,
        &format!("proxy.https=http://ops:{password}@proxy.test:3128"),
    ])
    .run()
    .exits(0);
    host.sh("systemctl restart datadog-agent");
    host.wait_until("datadog-agent status -j | grep -q '\"Success\":[1-9]' && ss -Hlx | grep -q runtime-security.sock");
    let tree = host.quiet_tree();

    let run = host.verify().exits(0);
    let document = run.json();
    let schema: Value = serde_json::from_str(&evidence(&host, "schema")).unwrap();
    let mut found = Vec::new();
    violations(&schema, &schema, &document, "", &mut found);
    assert!(found.is_empty(), "{found:#?}");
    let proof = &document["verify"];
    let mut hashed = proof.clone();
    let sha256 = hashed.as_object_mut().unwrap().remove("sha256").unwrap();
    let hash: String = Sha256::digest(hashed.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sha256, hash.as_str());
    assert_eq!(proof["ports"].as_array().unwrap().len(), 16);
    assert_eq!(proof["ports"][13]["product"], "runtime security (CWS)");
    assert!(
        proof["ports"].as_array().unwrap().iter().all(|port| port["status"] == "pass" && port["process"] == "haproxy")
    );
    assert_eq!(proof["host"]["machine"].as_str().unwrap().len(), 36);
    // The hash of a file with a password would help to guess it.
    let file = |path: &str| proof["files"].as_array().unwrap().iter().find(|f| f["path"] == path).unwrap().clone();
    assert!(file(DATADOG).get("sha256").is_none() && file(PROXY_CFG)["sha256"].is_string());

    let checks = proof["checks"].as_array().unwrap();
    let ids: BTreeSet<&str> = checks.iter().filter_map(|check| check["id"].as_str()).collect();
    assert_eq!(ids.len(), checks.len(), "an id stands twice");
    let passed = |id: &str| checks.iter().any(|check| check["id"] == id && check["status"] == "pass");
    for id in [
        "agent.fips",
        "agent.delivery",
        "agent.diagnose",
        "agent.loaded",
        "bypass.connections",
        "proxy.tls",
        "proxy.backends",
        "proxy.dns",
        "proxy.reach",
        "cws.module",
    ] {
        assert!(passed(id), "{id}\n{run}");
    }
    let tls = checks.iter().find(|check| check["id"] == "proxy.tls").unwrap();
    assert!(tls["seen"].as_str().unwrap().ends_with("allows TLS 1.2"), "{tls}");
    // Every check that is made is listed, with its source.
    let list = host.ddinstall(&["verify", "--list", "--format", "json"]).user("nobody").run().exits(0).json();
    assert!(
        list.as_array().unwrap().len() > 40
            && checks.iter().all(|check| check["source"].as_str().unwrap().starts_with("https://"))
    );

    let junit = evidence(&host, "junit");
    assert_eq!(junit.matches("<testcase ").count(), checks.len());
    let oscal: Value = serde_json::from_str(&evidence(&host, "oscal")).unwrap();
    let result = &oscal["assessment-results"]["results"][0];
    assert_eq!(result["observations"].as_array().unwrap().len(), checks.len());
    let controls: Vec<&str> =
        result["findings"].as_array().unwrap().iter().filter_map(|f| f["target"]["target-id"].as_str()).collect();
    assert_eq!(controls, ["au-4_obj", "cm-6_obj", "sc-13_obj", "sc-28_obj", "sc-8_obj", "si-4_obj"]);
    // This kernel is not in FIPS mode: nobody is to read that all of SC-13 is satisfied.
    let state = |control: &str| {
        result["findings"].as_array().unwrap().iter().find(|f| f["target"]["target-id"] == control).unwrap()["target"]["status"]["state"].clone()
    };
    assert_eq!((state("sc-13_obj"), state("si-4_obj")), ("not-satisfied".into(), "satisfied".into()));
    let html = evidence(&host, "html");
    for text in ["<script", "src=", "@import", "url(", "<link"] {
        assert!(!html.contains(text), "{text}");
    }
    let words = host.ddinstall(&["verify", "--details"]).run().exits(0);
    assert!(
        words.stdout.contains("source:") && words.stdout.contains("9816 runtime security (CWS): 127.0.0.1, haproxy"),
        "{words}"
    );
    for text in [&run.stdout, &junit, &oscal.to_string(), &html, &words.stdout] {
        assert!(!text.contains(KEY) && !text.contains(password), "{text}");
    }
    host.changed_nothing_since(&tree);
}

#[test]
fn checks_are_chosen_and_waited_for() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let ids = |args: &[&str]| -> Vec<String> {
        let run = host.ddinstall(&[&["verify", "--format", "json"], args].concat()).run().exits(0);
        run.json()["verify"]["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&["--only", "proxy.ports"]), ["proxy.ports"]);
    let proxy = ids(&["--only", "proxy,kernel.fips", "--skip", "proxy.intake"]);
    assert!(
        proxy.iter().all(|id| id.starts_with("proxy.") || id == "kernel.fips")
            && !proxy.contains(&"proxy.intake".into())
    );
    // A part proves no more than it says, in any form.
    let part = |form: &str| host.ddinstall(&["verify", "--only", "proxy.ports", "--format", form]).run().exits(0);
    let text = host.ddinstall(&["verify", "--only", "proxy.ports"]).run().exits(0).says("the others were not made");
    assert!(!text.stdout.contains("sends through it") && !text.stdout.contains("CWS is on"), "{text}");
    assert_eq!(part("json").json()["verify"]["chosen"]["only"][0], "proxy.ports");
    assert!(part("html").says("Partial: only chosen checks were made").stdout.find("Proven").is_none());
    let oscal = part("oscal").json();
    let findings = oscal["assessment-results"]["results"][0]["findings"].as_array().expect("findings").clone();
    assert!(findings.iter().all(|finding| finding["target"]["status"]["state"] == "not-satisfied"), "{findings:#?}");
    let run = host.ddinstall(&["verify", "--only", "proxy.port,nonsense"]).run().exits(2);
    assert!(
        run.stderr.contains("--only proxy.port") && run.stderr.contains("nonsense") && run.stderr.contains("--list"),
        "{run}"
    );

    // What fails comes first, a line each.
    host.sh("systemctl stop datadog-agent-security");
    let run = host.ddinstall(&["verify", "--only", "unit"]).run().exits(9);
    assert!(run.stdout.starts_with("FAIL"), "{run}");
    host.ddinstall(&["verify", "--skip", "unit.datadog-agent-security"]).run().exits(0);
    let begun = std::time::Instant::now();
    host.sh("systemd-run -q --on-active=3 systemctl start datadog-agent-security");
    host.ddinstall(&["verify", "--wait", "10m"]).run().exits(0);
    assert!(begun.elapsed().as_secs() < 300);
    host.sh("systemctl stop datadog-agent-security");
    host.ddinstall(&["verify", "--wait", "2s"]).run().exits(9);
}

#[test]
fn no_check_passes_where_its_reading_was_denied() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let run = host
        .ddinstall(&["verify", "--format", "json"])
        .env("DD_FIPS_MODE", "1")
        .env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1");
    // strace tells which files this user was denied.
    let run = run.user("nobody").run().exits(9);
    let document = run.json();
    let checks = document["verify"]["checks"].as_array().unwrap();
    let status = |id: &str| {
        checks.iter().find(|check| check["id"] == id).map(|check| check["status"].as_str().unwrap().to_owned())
    };
    // Readable by every user: the tables of packages, units, users and sockets, and what the kernel tells all.
    const OPEN: [&str; 16] = [
        "platform.",
        "package.",
        "version.",
        "updates.",
        "repository.",
        "unit.",
        "kernel.",
        "cws.",
        "proxy.address",
        "proxy.localhost",
        "proxy.reach",
        "journald.group",
        "file.install_info",
        "mode.install_info",
        "proxy.dns",
        "journald.access",
    ];
    for check in checks.iter().filter(|check| check["status"] == "pass") {
        let id = check["id"].as_str().unwrap();
        let world_readable = ["file.fips_proxy.d", "mode.fips_proxy.d"].iter().any(|start| id.starts_with(start));
        assert!(OPEN.iter().any(|open| id.starts_with(open)) || world_readable, "{id} passes\n{run}");
    }
    for id in [
        "bypass.environment",
        "bypass.endpoints",
        "bypass.products",
        "bypass.connections",
        "proxy.ports",
        "proxy.journal",
        "agent.fips",
        "agent.delivery",
        "agent.key",
        "proxy.config",
    ] {
        assert_eq!(status(id).as_deref(), Some("unknown"), "{id}\n{run}");
    }
}

/// A folder for this machine's Python with the validators in it, made once.
fn validators() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/validators");
    if !folder.join("ready").exists() {
        let script = format!(
            "set -e; export DEBIAN_FRONTEND=noninteractive
             get() {{ until apt-get -qq update; do sleep 5; done; apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install \"$@\"; }}
             python3 -c 'import ensurepip' 2> /dev/null || get python3-venv
             command -v chromium > /dev/null || get chromium fonts-dejavu-core
             rm -rf {0}; python3 -m venv {0}; {0}/bin/pip -q install compliance-trestle jsonschema playwright; touch {0}/ready",
            folder.display()
        );
        let done = Command::new("bash").args(["-c", &script]).output().expect("bash");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    folder
}

const VALIDATE: &str = r#"
import json, pathlib, sys, xml.etree.ElementTree as tree
import jsonschema
from trestle.oscal.assessment_results import AssessmentResults
from playwright.sync_api import sync_playwright
folder = pathlib.Path(sys.argv[1])
schema = json.loads((folder / "schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
for name in ["verify.json", "doctor.json", "broken.json"]:
    jsonschema.Draft202012Validator(schema).validate(json.loads((folder / name).read_text()))
proof = json.loads((folder / "verify.json").read_text())["verify"]
import hashlib
told = proof.pop("sha256")
text = json.dumps(proof, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
assert hashlib.sha256(text.encode()).hexdigest() == told
for name in ["oscal.json", "oscal-broken.json", "oscal-one.json"]:
    results = AssessmentResults.oscal_read(folder / name)
    assert results.results
for name in ["junit.xml", "junit-broken.xml"]:
    suite = tree.parse(folder / name).getroot()
    assert suite.tag == "testsuite" and int(suite.get("tests")) == len(suite.findall("testcase")) > 40
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    for page_name in ["report", "report-broken"]:
        for width, kind in [(1280, "desktop"), (390, "phone")]:
            for scheme in ["light", "dark"]:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                asked, said = [], []
                page.on("request", lambda request: asked.append(request.url))
                page.on("console", lambda message: said.append(message.text))
                page.goto((folder / f"{page_name}.html").as_uri())
                assert len(asked) == 1, asked
                assert not said, said
                # Nothing is wider than the screen.
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (page_name, kind)
                colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (colour == "rgb(255, 255, 255)") == (scheme == "light"), colour
                page.screenshot(path=folder / f"{page_name}-{kind}-{scheme}.png", full_page=True)
                page.close()
    browser.close()
"#;

#[test]
#[ignore = "asks trestle, jsonschema and Chromium: --long"]
fn other_programs_accept_the_evidence() {
    let python = validators().join("bin/python");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/evidence");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let host = Host::fresh(Suite::Bookworm).boot();
    host.install().exits(0);
    let write = |name: &str, args: &[&str]| {
        let run = host.ddinstall(args).run();
        assert!(!run.stdout.contains(KEY), "{name}");
        std::fs::write(folder.join(name), &run.stdout).unwrap();
    };
    write("schema.json", &["verify", "--format", "schema"]);
    write("verify.json", &["verify", "--format", "json"]);
    write("doctor.json", &["doctor", "--format", "json"]);
    write("oscal.json", &["verify", "--format", "oscal"]);
    write("oscal-one.json", &["verify", "--format", "oscal", "--only", "proxy.ports"]);
    host.ddinstall(&["verify", "--format", "oscal", "--only", "proxy.localhost"]).run().exits(2).says("control");
    write("junit.xml", &["verify", "--format", "junit"]);
    write("report.html", &["verify", "--format", "html"]);
    // What is hostile in a value stays text in every form.
    host.sh(&format!("ddinstall config set {DATADOG} 'fips.enabled=\"<script>alert(1)</script>&\\u001b[2J\"'; systemctl stop datadog-fips-proxy"));
    write("broken.json", &["verify", "--format", "json"]);
    write("oscal-broken.json", &["verify", "--format", "oscal"]);
    write("junit-broken.xml", &["verify", "--format", "junit"]);
    write("report-broken.html", &["verify", "--format", "html"]);
    let html = std::fs::read_to_string(folder.join("report-broken.html")).unwrap();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
    let done = Command::new(&python).args(["-c", VALIDATE]).arg(&folder).output().expect("python");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let trestle = python.with_file_name("trestle");
    let script = format!(
        "cd $(mktemp -d) && {0} init > /dev/null 2>&1 && {0} import -f {1}/oscal.json -o ours && {0} validate -f assessment-results/ours/assessment-results.json",
        trestle.display(),
        folder.display()
    );
    let done = Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
