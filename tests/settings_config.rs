//! `ddinstall config` and `ddinstall settings`, as they are called from scripts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ddinstall")).args(args).stdin(Stdio::null()).output().expect("ddinstall")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new(text: &str) -> Scratch {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.yaml"), text).expect("a.yaml");
        Scratch { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).expect("a.yaml")
    }

    fn config(&self, verb: &str, rest: &[&str]) -> Output {
        let path = self.path();
        run(&[&["config", verb, path.to_str().expect("UTF-8")], rest].concat())
    }

    /// `config set` with this on standard input.
    fn piped(&self, rest: &[&str], input: &[u8]) -> Output {
        let mut set = Command::new(env!("CARGO_BIN_EXE_ddinstall"));
        set.args(["config", "set"]).arg(self.path()).args(rest).stdin(Stdio::piped());
        let mut child = set.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ddinstall");
        // It may have refused before it read.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("ddinstall")
    }
}

#[test]
fn values_are_yaml_and_comments_survive() {
    let file = Scratch::new("# mine\na:\n  b: 1 # old\n# c: 2\n");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o604)).expect("chmod");
    let output = file.config("set", &["a.b=on", "c=[x, '0123']", "d.e={f: null}"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("note: a.b: `on` is a text, and no switch to the Agent"), "{}", said(&output));
    assert!(!said(&file.config("set", &["a.b='on'", "--dry-run"])).contains("note:"));
    let text = file.text();
    let data: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let expected: serde_yaml::Value =
        serde_yaml::from_str("{a: {b: 'on'}, c: [x, '0123'], d: {e: {f: null}}}").expect("YAML");
    assert_eq!(data, expected, "{text}");
    assert!(text.starts_with("# mine\na:\n") && text.contains("# old"), "{text}");
    assert_eq!(fs::metadata(file.path()).expect("meta").mode() & 0o7777, 0o604);
    assert!(file.config("set", &["a.b=on"]).stdout.ends_with(b"says so already\n"));
    assert_eq!(file.text(), text);
}

#[test]
fn get_prints_yaml_and_exits_with_1_where_there_is_nothing() {
    let file = Scratch::new("a:\n  b: 'on'\n  c: [1, x]\nempty:\n");
    for (path, code, text) in
        [("a.b", 0, "on\n"), ("a.c", 0, "- 1\n- x\n"), ("empty", 0, "null\n"), ("a.x", 1, ""), ("a..b", 2, "")]
    {
        let output = file.config("get", &[path]);
        let found: Result<serde_yaml::Value, _> = serde_yaml::from_slice(&output.stdout);
        let expected: Result<serde_yaml::Value, _> = serde_yaml::from_str(text);
        assert_eq!(output.status.code(), Some(code), "{path}: {}", said(&output));
        if path == "a.b" {
            assert_eq!(found.expect("YAML"), serde_yaml::Value::from("on"), "a text stays one");
        } else {
            assert_eq!(found.expect("YAML"), expected.expect("YAML"), "{path}");
        }
    }
}

#[test]
fn what_the_editor_refuses_is_exit_7_and_stays() {
    for text in ["a: 1\na: 2\n", "a: *x\n", "a: [1\n", "--- {a: 1}\n--- {b: 2}\n", "- a\n", "a:\n\t- x\n"] {
        let file = Scratch::new(text);
        let output = file.config("set", &["a=3", "b=4"]);
        assert_eq!(output.status.code(), Some(7), "{text:?}: {}", said(&output));
        assert_eq!(file.text(), text);
        assert!(said(&output).contains("a.yaml") && said(&output).contains("was not changed"), "{}", said(&output));
    }
}

#[test]
fn a_dry_run_shows_the_change_without_secrets_and_writes_nothing() {
    let key = "5ca1ab1e0ddba11c0ffee00decafbad0";
    let file = Scratch::new(&format!("api_key: {key}\nsnmp:\n  password: hunter22\n"));
    let before = file.text();
    let output = file.piped(&["api_key=ENC[x]", "snmp.password=-", "--dry-run", "--diff"], b"swordfish\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for secret in [key, "hunter22", "swordfish"] {
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
    assert!(said(&output).contains("would change") && said(&output).contains("+api_key"), "{}", said(&output));
    assert_eq!(file.text(), before);
}

#[test]
fn a_secret_comes_on_standard_input_or_as_a_handle() {
    let file = Scratch::new("# mine\napi_key: old\n");
    let before = file.text();
    for argument in ["api_key=hunter2", "snmp={password: hunter2}", "additional_endpoints={'https://x': [hunter2]}"] {
        let output = file.config("set", &["a=1", argument]);
        assert_eq!(output.status.code(), Some(2), "{argument}: {}", said(&output));
        assert!(said(&output).contains("standard input") && !said(&output).contains("hunter2"), "{}", said(&output));
        assert_eq!(file.text(), before);
    }
    for (input, value) in [("5ca1ab1e\n", "5ca1ab1e"), ("0123", "0123"), ("a: b #c\r\n", "a: b #c"), ("x\n\n", "x\n")] {
        let output = file.piped(&["api_key=-", "a=1"], input.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(!said(&output).contains(value), "{}", said(&output));
        let data: serde_yaml::Value = serde_yaml::from_str(&file.text()).expect("YAML");
        assert_eq!(data["api_key"], serde_yaml::Value::from(value), "a text, whatever it looks like");
    }
    let before = file.text();
    let much = vec![b'x'; 64 * 1024 + 1];
    for (arguments, input) in [
        (vec!["api_key=-"], &b""[..]),
        (vec!["api_key=-"], b"\n"),
        (vec!["api_key=-"], b"\xff\xfe"),
        (vec!["api_key=-"], &much),
        (vec!["api_key=-", "app_key=-"], b"x"),
    ] {
        let output = file.piped(&arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("standard input"), "{}", said(&output));
        assert_eq!(file.text(), before);
    }
    assert_eq!(file.config("set", &["api_key=ENC[x]"]).status.code(), Some(0));
}

/// A closed descriptor, and a pipe whose reader is gone: the exit code is the documented one, in place of a panic's.
#[test]
fn standard_error_and_output_may_be_gone() {
    let file = Scratch::new("a: 1\n");
    let compose = Scratch::new("services: {agent: {image: datadog/agent}}\n");
    let (path, reviewed) = (file.path(), compose.path());
    let (path, reviewed) = (path.to_str().expect("UTF-8"), reviewed.to_str().expect("UTF-8"));
    let commands: [(&[&str], i32); 8] = [
        (&["config", "get", path, "b"], 1),
        (&["config", "set", path, "b"], 2),
        (&["config", "set", "/nowhere/x.yaml", "b=1"], 2),
        (&["config", "get", path, "a"], 0),
        (&["plan", "--api-key-file", "/nowhere"], 2),
        (&["install", "--format", "json", "--api-key-file", "/nowhere"], 2),
        (&["review", "/nowhere/x.yaml"], 2),
        (&["no-such-command"], 2),
    ];
    for streams in ["2>&-", ">&- 2>&-", "3>&1 >&- 1>&2 2>&-"] {
        for (arguments, code) in &commands {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec \"$0\" \"$@\" {streams}"), env!("CARGO_BIN_EXE_ddinstall")]);
            let status = shell.args(*arguments).stdin(Stdio::null()).output().expect("sh").status;
            assert_eq!(status.code(), Some(*code), "{arguments:?} {streams}");
        }
    }
    let fix: (&[&str], i32) = (&["review", "--fix", reviewed], 0);
    let render: (&[&str], i32) = (&["render", "compose"], 0);
    for (arguments, code) in commands.iter().chain([&fix, &render]) {
        let gone = || std::io::pipe().expect("a pipe").1;
        let mut binary = Command::new(env!("CARGO_BIN_EXE_ddinstall"));
        binary.args(*arguments).stdin(Stdio::null()).stdout(gone()).stderr(gone());
        let status = binary.status().expect("ddinstall");
        assert_eq!(status.code(), Some(*code), "{arguments:?}: {status}");
    }
}

#[test]
fn all_mistakes_are_told_and_no_value() {
    let file = Scratch::new("a: 1\n");
    let output = file.config("set", &["a", "b=[secret-1", "c..d=secret-2"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("3 mistakes") && !said(&output).contains("secret-"), "{}", said(&output));
    assert_eq!(run(&["config", "get", "/nowhere/x.yaml", "a"]).status.code(), Some(2));
    assert_eq!(run(&["config"]).status.code(), Some(2));
}

#[test]
fn a_mistake_about_a_key_is_readable() {
    let output = Command::new(env!("CARGO_BIN_EXE_ddinstall"))
        .args(["plan", "--api-key-file", "/nowhere"])
        .env("DD_APP_KEY", "two\nlines")
        .output()
        .expect("ddinstall");
    assert_eq!(output.status.code(), Some(2));
    for part in ["DD_APP_KEY: holds a line break", "DD_API_KEY_FILE: /nowhere: No such file"] {
        assert!(said(&output).contains(part), "{}", said(&output));
    }
}

#[test]
fn the_table_comes_in_four_formats() {
    let json: serde_json::Value = serde_json::from_slice(&run(&["settings", "--format", "json"]).stdout).expect("JSON");
    assert!(json.as_array().expect("a list").len() > 60);
    assert!(String::from_utf8_lossy(&run(&["settings"]).stdout).contains("DD_FIPS_MODE"));
    assert!(run(&["settings", "--format", "markdown"]).stdout.starts_with(b"| variable"));
}

/// Python's jsonschema is the judge: files that we take are valid, files that we refuse for their shape are not.
#[test]
fn the_schema_agrees_with_the_program() {
    const CHECK: &str = r"
import json, sys
import jsonschema
schema, documents = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(document) for document in documents]))
";
    let can = Command::new("python3").args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: python3 has no jsonschema");
        return;
    }
    let files: [(&str, bool); 22] = [
        ("", true),
        ("fips_mode: true", true),
        ("fips_mode: 'Off'", true),
        ("fips_mode: 1", true),
        ("fips_mode:", true),
        ("fips_mode: perhaps", false),
        ("fips_mode: 2", false),
        ("fips_mode: [true]", false),
        ("tags: [a:b, c]", true),
        ("tags: a,b", true),
        ("tags: [1]", false),
        ("tags: {a: b}", false),
        ("hostname: 12", false),
        ("hostname: true", false),
        ("agent_minor_version: 58", true),
        ("agent_minor_version: 58.10", false),
        ("agent_flavor: datadog-iot-agent", true),
        ("agent_flavor: agent", false),
        ("on_failure: KEEP", true),
        ("url: example.org", false),
        ("sets: {}", false),
        ("set: {datadog: {a.b: 1, c: {d: [x]}}, system-probe.yaml: {x: null}}", true),
    ];
    let schema: serde_json::Value =
        serde_json::from_slice(&run(&["settings", "--format", "schema"]).stdout).expect("JSON");
    let documents: Vec<serde_json::Value> =
        files.iter().map(|(text, _)| serde_yaml::from_str(text).expect("YAML")).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("input.json");
    fs::write(&input, serde_json::to_vec(&(schema, documents)).expect("JSON")).expect("input");
    let output = Command::new("python3")
        .args(["-c", CHECK])
        .stdin(fs::File::open(&input).expect("input"))
        .output()
        .expect("python3");
    assert!(output.status.success(), "{}", said(&output));
    let verdicts: Vec<bool> = serde_json::from_slice(&output.stdout).expect("JSON");
    for ((text, expected), verdict) in files.iter().zip(verdicts) {
        let request = ddinstall::request::Request::new(ddinstall::request::Inputs {
            variables: vec![],
            flags: vec![],
            sets: vec![],
            file: Some(ddinstall::request::InputFile { name: "x".into(), bytes: text.as_bytes().into(), mode: 0o600 }),
            read: &|_| Err("no".into()),
        });
        assert_eq!((request.is_ok(), verdict), (*expected, *expected), "{text}");
    }
}

#[test]
fn output_that_cannot_be_written_is_no_success() {
    let file = Scratch::new("a: 1\n");
    let path = file.path().to_str().expect("UTF-8").to_owned();
    let into = |args: &[&str], out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddinstall"));
        command.args(args).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
        command.output().expect("ddinstall")
    };
    for args in [
        &["settings"][..],
        &["settings", "--format", "json"],
        &["config", "get", &path, "a"],
        &["render", "kubernetes"],
        &["verify", "--list"],
        &["support"],
        &["--help"],
        &["--version"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let output = into(args, full.into());
        assert_eq!(output.status.code(), Some(4), "{args:?}\n{}", said(&output));
        assert!(said(&output).contains("cannot write standard output: No space left"), "{args:?}\n{}", said(&output));
    }
    // The command's own failure counts for more, and a reader that went away is none.
    fs::write(file.path(), "services:\n  agent:\n    image: gcr.io/datadoghq/agent:7\n    privileged: true\n")
        .expect("a.yaml");
    let own = run(&["review", &path]).status.code();
    assert_eq!(own, Some(9));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    assert_eq!(into(&["review", &path], full.into()).status.code(), own);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = into(&["settings"], writer.into());
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
}

/// A process that may leave a core file shows its environment to its own user; one that may not, to root alone.
#[test]
fn no_core_file_is_left_of_what_holds_a_key() {
    let file = Scratch::new("a: 1\n");
    let program = file.folder.path().join("ddinstall");
    fs::copy(env!("CARGO_BIN_EXE_ddinstall"), &program).expect("a copy");
    fs::set_permissions(file.folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let owner = |program: &std::path::Path, args: &[&str]| {
        let mut command = Command::new(program);
        // Only root can be another user.
        if fs::metadata("/proc/self").expect("/proc").uid() == 0 {
            command.uid(65534).gid(65534);
        }
        // It waits for its standard input.
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a child");
        let environment = format!("/proc/{}/environ", child.id());
        let begun = std::time::Instant::now();
        let waits = || fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("stat").contains(") S ");
        while !waits() || begun.elapsed().as_millis() < 300 {
            assert!(begun.elapsed().as_secs() < 20, "{args:?} does not wait");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let owner = fs::metadata(environment).expect("its environment").uid();
        child.kill().expect("kill");
        child.wait().expect("its end");
        owner
    };
    assert_ne!(owner("/bin/cat".as_ref(), &[]), 0);
    let path = file.path().to_str().expect("UTF-8").to_owned();
    assert_eq!(owner(&program, &["config", "set", &path, "b=-"]), 0);
    assert_eq!(owner(&program, &["plan", "--api-key-file", "-"]), 0);
}
