//! Documents that mean harm, or are none: a clear error, in bounded time and memory.

use std::process::{Command, Output, Stdio};

use super::{folder, rendered};
use ddinstall::render::Target;

/// Seconds of a processor that a review may take, in a build without optimisation: 60 times what it takes otherwise.
const SECONDS: u64 = 60;

/// Bytes of memory that a review may have: the parser's tree of 4 MB of brackets is what needs most.
const MEMORY: u64 = 1 << 30;

fn limited(args: &[&str]) -> Output {
    let script = format!("ulimit -v {} && ulimit -t {SECONDS} && exec \"$0\" review \"$@\"", MEMORY >> 10);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ddinstall")]).args(args).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn bomb() -> String {
    let mut text = "apiVersion: v1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{before}]\n"));
    }
    text
}

#[test]
fn hostile_documents_end_in_a_clear_error_in_bounded_time_and_memory() {
    let folder = folder("render-hostile");
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n";
    let many: String = (0..3_000).map(|n| format!("  - {{name: c{n}, image: x/agent}}\n")).collect();
    let agents: String = (0..500)
        .map(|n| format!("  - {{name: agent{n}, image: datadog/agent, securityContext: {{privileged: true}}}}\n"))
        .collect();
    let deep_json = format!("{{\"services\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let cases: Vec<(&str, Vec<u8>, &[i32])> = vec![
        ("empty", Vec::new(), &[7]),
        ("blank", b"\n\n# nothing\n".to_vec(), &[7]),
        ("no kind", b"a: 1\n".to_vec(), &[7]),
        ("a list", b"- 1\n- 2\n".to_vec(), &[7]),
        ("a text", b"hello\n".to_vec(), &[7]),
        ("binary", (0..=255).cycle().take(100_000).collect(), &[7]),
        ("not utf-8", b"services: {a: \xff\xfe}\n".to_vec(), &[7]),
        ("nul", b"services:\n  a: \x00\n".to_vec(), &[7]),
        ("bomb", bomb().into_bytes(), &[7]),
        ("alias of itself", b"services: &a {x: *a}\n".to_vec(), &[0, 7]),
        ("deep flow", format!("services: {}", "[".repeat(500_000)).into_bytes(), &[7]),
        ("deep block", (0..5_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>().into_bytes(), &[7]),
        ("deep json", deep_json.into_bytes(), &[7]),
        ("one megabyte of a text", format!("services: {{a: {{image: '{}'}}}}\n", "x".repeat(1 << 20)).into_bytes(), &[0]),
        ("too large", vec![b'#'; 5 << 20], &[7]),
        ("twice the same key", b"services: {}\nservices: {}\n".to_vec(), &[7]),
        ("a json that is none", b"{\"services\": {\"a\": {image: x}}}".to_vec(), &[7]),
        ("commas", format!("{{\"services\":[{}]}}", "[1,],".repeat(50_000)).into_bytes(), &[0, 7]),
        ("cut off", rendered(Target::EcsEc2, &[]).into_bytes()[..700].to_vec(), &[7]),
        ("many containers", format!("{pod}{many}").into_bytes(), &[0, 9]),
        ("many faults", format!("{pod}{agents}").into_bytes(), &[9]),
        ("many documents", "---\napiVersion: v1\nkind: Pod\n".repeat(10_000).into_bytes(), &[0]),
        ("services of the wrong kind", b"services: [1, {a: b}]\n".to_vec(), &[0]),
        ("environment of the wrong kind", b"services: {agent: {image: datadog/agent, environment: 7, volumes: {a: b}, cap_add: x}}\n".to_vec(), &[0, 9]),
        ("containers of the wrong kind", b"apiVersion: v1\nkind: DaemonSet\nspec: {template: {spec: {containers: {a: 1}, volumes: 7}}}\n".to_vec(), &[0]),
        ("env of the wrong kind", b"apiVersion: v1\nkind: Pod\nspec: {containers: [{name: [1], image: {a: b}, env: [1, [2], {name: 3}]}, 7]}\n".to_vec(), &[0]),
        ("a task of the wrong kind", b"{\"containerDefinitions\": {\"a\": [1]}, \"volumes\": 3}\n".to_vec(), &[0]),
        ("inspect of the wrong kind", b"[{\"HostConfig\": [], \"Config\": {\"Env\": {}, \"Image\": 7}, \"Name\": 3}]\n".to_vec(), &[0]),
        ("an open quote", b"docker run -e 'x datadog/agent\n".to_vec(), &[7]),
        ("a run without an image", b"docker run -d --name\n".to_vec(), &[0]),
        ("values of the wrong kind", b"datadog: [1]\nfips: yes\nagents: {containers: [1]}\n".to_vec(), &[0, 9]),
        ("a terminal's language", b"services: {\"a\x1b[31m\": {image: x}}\n".to_vec(), &[7]),
    ];
    for (name, bytes, codes) in cases {
        let file = folder.join(name.replace(' ', "-"));
        std::fs::write(&file, &bytes).unwrap();
        let file = file.to_str().unwrap();
        for options in [&[][..], &["--fix"]] {
            let args: Vec<&str> = options.iter().copied().chain([file]).collect();
            let output = limited(&args);
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            // What could be mended is.
            let expected = code.is_some_and(|code| codes.contains(&code) || (!options.is_empty() && code == 0));
            assert!(
                expected,
                "{name} {options:?}: {:?}\n{said}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout)
            );
            if code == Some(7) {
                assert!(said.contains(file) && said.len() < 2_000, "{name}: {said}");
            }
            assert!(!said.contains('\u{1b}'), "{name}");
        }
    }
    for missing in ["/nowhere/at/all.yaml", "/", "/proc/self/mem"] {
        let output = limited(&[missing]);
        assert_eq!(output.status.code(), Some(2), "{missing}: {output:?}");
    }
    // One that cannot be read does not hide what is in the others.
    let good = folder.join("good.yaml");
    std::fs::write(&good, "services: {agent: {image: datadog/agent, privileged: true}}\n").unwrap();
    let output = limited(&["/nowhere", good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("[privileged]"));
}
