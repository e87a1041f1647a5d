//! Release files of many distributions, and what the program decides for each: tests/distributions/decisions.txt.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/distributions")
}

fn support(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ddinstall"))
        .arg("support")
        .args(args)
        .env_remove("DD_ASSUME_DISTRIBUTION")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", text(&output.stdout), text(&output.stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The rows of a table of this folder.
fn table(name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// What the program says of a release file, in the words of a row.
fn decided(file: &str, arch: &str, kernel: &str) -> String {
    let path = folder().join(file);
    let output =
        support(&["--os-release", path.to_str().unwrap(), "--arch", arch, "--kernel", kernel, "--format", "json"]);
    let found = json(&output);
    let word = |value: &Value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    let base = match (word(&found["base"]["id"]), word(&found["base"]["version"])) {
        (id, version) if version == "-" => id,
        (id, version) => format!("{id}:{version}"),
    };
    let mut words: Vec<String> = [file, arch, kernel].map(str::to_owned).to_vec();
    words.extend(["id", "version", "family", "package_manager"].map(|key| word(&found[key])));
    words.push(base);
    for what in ["agent", "fips_proxy", "cws"] {
        let answer = &found[what];
        words.push(word(&answer["supported"]));
        let reason = answer["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && !answer["source"].as_str().unwrap().is_empty(), "{file}: {answer}");
    }
    let agent = found["agent"]["supported"] != "no";
    // "Not supported" is an answer, too.
    assert_eq!((output.status.code(), &found["exit_code"]), (Some(0), &Value::from(0)), "{file}");
    assert_eq!(found["hint"].is_string(), !agent, "{file}: what may be done is said where it is not supported");
    words.join(" ")
}

#[test]
fn every_release_file_is_decided_as_the_table_says() {
    let rows: Vec<Vec<String>> = table("decisions.txt")[1..]
        .iter()
        .map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let decided = decided(&row[0], &row[1], &row[2]);
            (decided != row.join(" ")).then(|| format!("wanted {}\ngot    {decided}", row.join(" ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Written from the vendor's pages and its script, not from what the program says: agent, proxy, CWS, and the newest or
/// the first Agent.
#[test]
fn what_the_vendor_says_is_what_is_answered() {
    for (file, arch, kernel, said, newest, first) in [
        // agent-linux-install-script 1.46.0: RHEL and CentOS before 7 up to 7.51, Debian before 8 up to 7.35, openSUSE before
        // 15 and SLES before 12 up to 7.32, Rocky and AlmaLinux from 7.33 on, Debian on arm64 from 7.35 on.
        ("centos-6.redhat-release", "x86_64", "2.6.32", ["yes", "no", "no"], Some("7.51"), None),
        ("debian-7.os-release", "x86_64", "3.2.0", ["yes", "no", "no"], Some("7.35"), None),
        ("sles-11.4.os-release", "x86_64", "3.0.101", ["yes", "no", "no"], Some("7.32"), None),
        ("opensuse-42.3.os-release", "x86_64", "4.4.180", ["yes", "no", "no"], Some("7.32"), None),
        ("rocky-9.4.os-release", "x86_64", "5.14.0", ["yes", "yes", "yes"], None, Some("7.33")),
        ("debian-12-arm64.os-release", "aarch64", "6.1.0", ["yes", "beta", "yes"], None, Some("7.35")),
        // FIPS proxy: RHEL 7, Debian 8, Ubuntu 14.04 and later on x86_64; SUSE 12 and arm64 in beta.
        ("debian-8.os-release", "x86_64", "3.16.0", ["yes", "yes", "no"], None, None),
        ("ubuntu-14.04.os-release", "x86_64", "3.13.0", ["yes", "yes", "no"], None, None),
        ("sles-12.5.os-release", "x86_64", "4.12.14", ["yes", "beta", "yes"], None, None),
        ("ubuntu-24.04-arm64.os-release", "aarch64", "6.8.0", ["yes", "beta", "yes"], None, Some("7.16")),
        // CWS: kernel 4.14 or a backport; Ubuntu 18.04, Debian 10, Red Hat 7.6 (kernel 3.10.0-957) and later, Amazon Linux 2.
        ("debian-9.os-release", "x86_64", "4.19.0", ["yes", "yes", "no"], None, None),
        ("debian-10.os-release", "x86_64", "4.19.0", ["yes", "yes", "yes"], None, None),
        ("ubuntu-16.04.os-release", "x86_64", "4.15.0", ["yes", "yes", "no"], None, None),
        ("ubuntu-18.04.os-release", "x86_64", "4.13.0", ["yes", "yes", "no"], None, None),
        ("rhel-7.9.os-release", "x86_64", "3.10.0-957.el7.x86_64", ["yes", "yes", "yes"], None, None),
        ("rhel-7.9.os-release", "x86_64", "3.10.0-862.el7.x86_64", ["yes", "yes", "no"], None, None),
        // Backports are those of one kernel alone.
        ("rhel-7.9.os-release", "x86_64", "3.10.108-1", ["yes", "yes", "no"], None, None),
        ("rhel-7.9.os-release", "x86_64", "4.1.12-124.48.2.el7uek.x86_64", ["yes", "yes", "no"], None, None),
        ("rhel-7.9.os-release", "x86_64", "5.4.17-2011.el7uek.x86_64", ["yes", "yes", "yes"], None, None),
        ("sles-12.5.os-release", "x86_64", "4.13.9", ["yes", "beta", "no"], None, None),
        ("amzn-2.os-release", "x86_64", "4.9.76", ["yes", "yes", "no"], None, None),
        ("amzn-2.os-release", "x86_64", "4.14.0", ["yes", "yes", "yes"], None, None),
        ("alpine-3.20.os-release", "x86_64", "6.6.0", ["no", "no", "no"], None, None),
    ] {
        let path = folder().join(file);
        let args = ["--os-release", path.to_str().unwrap(), "--arch", arch, "--kernel", kernel, "--format", "json"];
        let found = json(&support(&args));
        let words = ["agent", "fips_proxy", "cws"].map(|what| found[what]["supported"].as_str().unwrap().to_owned());
        assert_eq!(words, said, "{file} {kernel}: {found}");
        if let Some(newest) = newest {
            assert_eq!(found["agent"]["newest"], newest, "{file}");
        }
        if let Some(first) = first {
            assert_eq!(found["agent"]["first"], first, "{file}");
        }
    }
}

#[test]
fn every_file_of_the_folder_is_in_a_table() {
    let first = |row: &String| row.split_whitespace().next().unwrap().to_owned();
    let mut told: BTreeSet<String> = table("decisions.txt")[1..].iter().map(first).collect();
    told.extend(table("refused.txt").iter().map(first));
    told.extend(["decisions.txt", "refused.txt"].map(str::to_owned));
    let there: BTreeSet<String> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, told);
}

#[test]
fn what_is_malformed_is_refused_and_says_why() {
    for row in table("refused.txt") {
        let (file, why) = row.split_once("  ").unwrap();
        let path = folder().join(file.trim());
        for format in ["text", "json"] {
            let output = support(&["--os-release", path.to_str().unwrap(), "--format", format]);
            assert_eq!(output.status.code(), Some(3), "{file}");
            let said = text(&output.stderr) + &text(&output.stdout);
            assert!(said.contains(why.trim()) && !said.contains("panicked"), "{file}: {said}");
            assert!(!said.contains('\u{1b}'), "{file}: {said}");
            if format == "json" {
                assert_eq!(json(&output)["exit_code"], 3, "{file}");
            }
        }
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let huge = scratch.path().join("os-release");
    fs::write(&huge, "ID=debian\n".repeat(200_000)).unwrap();
    for path in [huge.to_str().unwrap(), "/nowhere/os-release", "/etc", "/dev/zero", "/dev/null"] {
        let output = support(&["--os-release", path]);
        assert_eq!(output.status.code(), Some(3), "{path}");
        assert!(text(&output.stderr).contains(path), "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
    }
}

#[test]
fn another_host_is_answered_for_without_its_kernel() {
    let path = folder().join("rocky-9.4.os-release");
    let output = support(&["--os-release", path.to_str().unwrap(), "--arch", "arm64", "--format", "json"]);
    let found = json(&output);
    assert_eq!((&found["architecture"], &found["kernel"]), (&"aarch64".into(), &Value::Null));
    assert!(found["cws"]["reason"].as_str().unwrap().contains("4.14"), "{found}");
    assert_eq!(found["agent"]["first"], "7.33");
    for bad in [["--arch", "x y"], ["--kernel", "new"]] {
        let output = support(&[&["--os-release", path.to_str().unwrap()], &bad[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        assert!(text(&output.stderr).contains(bad[0]), "{}", text(&output.stderr));
    }
}

#[test]
fn a_derivative_that_does_not_name_its_parent_may_be_taken_for_one() {
    let path = folder().join("corporate-debian.os-release");
    let ask = |args: &[&str]| support(&[&["--os-release", path.to_str().unwrap(), "--format", "json"], args].concat());
    assert!(json(&ask(&[]))["hint"].as_str().unwrap().contains("--assume-distribution debian:12"));
    let found = ask(&["--assume-distribution", "debian:12"]);
    assert_eq!(found.status.code(), Some(0));
    let found = json(&found);
    assert_eq!((&found["id"], &found["base"]["version"]), (&"excorp".into(), &"12".into()));
    assert_eq!(found["fips_proxy"]["supported"], "yes");
    assert_eq!(ask(&["--assume-distribution", "plan9:4"]).status.code(), Some(2));
    assert_eq!(ask(&["--assume-distribution", "debian:twelve"]).status.code(), Some(2));
}

#[test]
fn the_whole_table_is_printed_for_people_programs_and_documents() {
    let lines = text(&support(&[]).stdout);
    let rows = json(&support(&["--format", "json"]))["table"].as_array().unwrap().clone();
    assert!(rows.len() > 15);
    let document = text(&support(&["--format", "markdown"]).stdout);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        assert!(lines.contains(name) && document.contains(&format!("| {name} |")), "{name}");
        assert!(row["agent"]["source"].as_str().unwrap().starts_with("https://"), "{row}");
    }
    assert!(lines.contains("alpine") && lines.contains("https://docs.datadoghq.com/"), "{lines}");
}
