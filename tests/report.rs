//! `ddinstall report` as operators run it: results of many hosts in, one summary out.

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// The checks of a verification, as one of a real host holds them.
const CHECKS: [(&str, &str); 44] = [
    ("package.agent", "1:7.78.1-1"),
    ("package.proxy", "1.1.14-1"),
    ("repository.entry", "/etc/apt/sources.list.d/datadog.list"),
    ("repository.keyring", "D22A71799EA4E35261D61348A41C0E941DAA7F46, AC842880EFE1F33F3EA6B189DAE324C6E03F690A"),
    ("file.datadog.yaml", "192613 bytes"),
    ("config.datadog.yaml.site", "ddog-gov.com"),
    ("config.datadog.yaml.fips.enabled", "true"),
    ("config.datadog.yaml.fips.port_range_start", "9803"),
    ("config.datadog.yaml.fips.https", "false"),
    ("config.datadog.yaml.agent_telemetry.enabled", "false"),
    ("config.datadog.yaml.logs_enabled", "true"),
    ("mode.datadog.yaml", "user 999, group 997, mode 0640"),
    ("file.system-probe.yaml", "6688 bytes"),
    ("config.system-probe.yaml.runtime_security_config.enabled", "true"),
    ("config.system-probe.yaml.runtime_security_config.activity_dump.enabled", "false"),
    ("config.system-probe.yaml.discovery.enabled", "false"),
    ("mode.system-probe.yaml", "user 0, group 997, mode 0640"),
    ("file.security-agent.yaml", "1091 bytes"),
    ("config.security-agent.yaml.runtime_security_config.enabled", "true"),
    ("mode.security-agent.yaml", "user 0, group 997, mode 0640"),
    ("proxy.config", "sha256 84bb857fee83f79bbb10966b9cc24ba9961d2208d660a9859ed8404e9d7e6351"),
    ("mode.datadog-fips-proxy.cfg", "user 999, group 997, mode 0640"),
    ("file.fips_proxy.d.conf.yaml", "319 bytes"),
    ("config.fips_proxy.d.conf.yaml.logs", "the Agent collects the proxy's log from the journal"),
    ("mode.fips_proxy.d.conf.yaml", "user 999, group 997, mode 0640"),
    ("file.install_info", "it is there"),
    ("mode.install_info", "user 0, group 0, mode 0644"),
    ("journald.group", "it is"),
    ("journald.access", "/var/log/journal"),
    ("unit.datadog-fips-proxy", "active (running) since Sat 2026-11-21 11:10:11 UTC"),
    ("unit.datadog-agent", "active (running) since Sat 2026-11-21 11:10:12 UTC"),
    ("unit.datadog-agent-sysprobe", "active (running) since Sat 2026-11-21 11:10:12 UTC"),
    ("unit.datadog-agent-security", "active (running) since Sat 2026-11-21 11:10:12 UTC"),
    ("unit.enabled", "enabled"),
    ("bypass.environment", "none"),
    ("bypass.endpoints", "none"),
    ("bypass.products", "none"),
    ("proxy.ports", "all 16 of them"),
    ("proxy.address", "loopback only"),
    ("proxy.intake", "HTTP 403"),
    ("proxy.journal", "1 lines read"),
    ("kernel.fips", "it is"),
    ("cws.policies", "default.policy"),
    ("cws.kernel", "6.18.44, with BTF"),
];

/// A host's result; `changes` are checks that ended otherwise, with what was seen.
fn result(host: &str, changes: &[(&str, &str, &str)]) -> Value {
    let checks = CHECKS.iter().map(|(id, seen)| {
        let usual = (*id, "pass", *seen);
        let (_, status, seen) = changes.iter().find(|(of, ..)| of == id).unwrap_or(&usual);
        let mut check = json!({
            "id": id, "title": format!("title of {id}"), "status": status, "seen": seen,
            "expected": "what was expected there", "added later": {"x": [1]},
        });
        if *status == "fail" {
            check["hint"] = json!("run `ddinstall install`");
        }
        check
    });
    let worst = if changes.iter().any(|(_, status, _)| *status == "fail") { "fail" } else { "pass" };
    json!({
        "format": 1, "ddinstall": "0.1.0", "command": "verify", "notes": [], "exit_code": 0,
        "verify": {
            "at": "2026-11-21T11:10:15Z", "status": worst, "checks": checks.collect::<Vec<_>>(),
            "host": {"name": host, "distribution": "Debian GNU/Linux 12 (bookworm)", "kernel": "6.1.0-31-amd64", "architecture": "x86_64"},
        },
    })
}

fn report(args: &[&str], input: Vec<u8>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ddinstall"))
        .arg("report")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ddinstall");
    let mut stdin = child.stdin.take().expect("stdin");
    std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    child.wait_with_output().expect("wait")
}

#[track_caller]
fn exits(output: Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn summary(args: &[&str], input: Vec<u8>, code: i32) -> Value {
    let text = exits(report(&[args, &["--format", "json"]].concat(), input), code);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(folder.join(name), bytes).expect(name);
}

#[test]
fn a_folder_of_results_becomes_one_summary() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let dead = ("unit.datadog-agent", "fail", "inactive (dead)");
    let old = ("package.agent", "pass", "1:7.58.2-1");
    write(folder.path(), "web1.json", format!("{:#}\n", result("web1", &[])));
    write(folder.path(), "web2.example.org.json", result("web2", &[dead]).to_string());
    write(folder.path(), "db1.json", result("elsewhere", &[dead, old]).to_string());
    write(folder.path(), "db2.json", result("db2", &[("kernel.fips", "warn", "it is not")]).to_string());
    write(folder.path(), "notes.txt", "nothing");
    let json = summary(&[path], vec![], 9);
    let hosts = json!({"all": 4, "pass": 1, "warn": 1, "unknown": 0, "fail": 2, "unread": 0});
    assert_eq!((&json["hosts"], &json["exit_code"]), (&hosts, &json!(9)), "{json:#}");
    let worst = &json["checks"][0];
    assert_eq!(worst["id"], "unit.datadog-agent");
    assert_eq!(worst["fail"], json!({"hosts": 2, "names": ["db1 (elsewhere)", "web2.example.org"]}), "{worst:#}");
    assert_eq!(worst["seen"][0]["value"], "inactive (dead)");
    assert_eq!(worst["hint"], "run `ddinstall install`");
    assert_eq!(json["checks"][1]["warn"]["names"], json!(["db2"]));
    let agents = json["versions"].as_array().expect("versions").iter().find(|v| v["what"] == "package.agent");
    let agents = &agents.expect("package.agent")["values"];
    assert_eq!((&agents[0]["value"], &agents[0]["hosts"]), (&json!("1:7.78.1-1"), &json!(3)));
    assert_eq!((&agents[1]["value"], &agents[1]["names"]), (&json!("1:7.58.2-1"), &json!(["db1 (elsewhere)"])));
    assert_eq!(json["drift"], json!([]), "versions have a place of their own");

    let text = exits(report(&[path], vec![]), 9);
    for line in ["4 hosts: 2 as asked (1 with warnings), 2 not.", "2 hosts: db1 (elsewhere), web2.example.org"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = exits(report(&[path, "--names", "1"], vec![]), 9);
    assert!(text.contains("2 hosts: db1 (elsewhere) and 1 more"), "{text}");
    let page = exits(report(&[path, "--format", "html"], vec![]), 9);
    assert!(page.contains("unit.datadog-agent") && page.contains("web2.example.org"), "{page}");
    for loads in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
}

#[test]
fn a_fleet_that_is_as_asked_exits_with_0() {
    let input = format!("{}\n{:#}{}", result("a", &[]), result("b", &[]), result("c", &[]));
    let json = summary(&["-"], input.clone().into_bytes(), 0);
    assert_eq!((&json["hosts"]["all"], &json["hosts"]["pass"], &json["unread"]), (&3.into(), &3.into(), &json!([])));
    assert!(exits(report(&["-"], input.into_bytes()), 0).starts_with("3 hosts: 3 as asked, 0 not.\n"));
}

#[test]
fn where_hosts_differ_is_said() {
    let site = ("config.datadog.yaml.site", "pass", "datadoghq.com");
    let config = ("proxy.config", "warn", "sha256 0000");
    let all = [("a", vec![]), ("b", vec![]), ("c", vec![site, config])];
    let input: String = all.iter().map(|(host, changes)| format!("{}\n", result(host, changes))).collect();
    let json = summary(&["-"], input.into_bytes(), 0);
    let what: Vec<&str> = json["drift"].as_array().expect("drift").iter().filter_map(|d| d["what"].as_str()).collect();
    assert_eq!(what, ["config.datadog.yaml.site", "proxy.config"]);
    assert_eq!(json["drift"][0]["values"][1], json!({"value": "datadoghq.com", "hosts": 1, "names": ["c"]}));
    assert_eq!(json["drift"][0]["values"][0]["names"], json!([]), "what most have is nobody's drift");
}

#[test]
fn what_cannot_be_read_is_named_and_costs_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = result("good", &[]).to_string();
    write(folder.path(), "good.json", &whole);
    write(folder.path(), "cut.json", &whole[..whole.len() / 2]);
    write(folder.path(), "empty.json", "");
    write(folder.path(), "html.json", "<html>Sign in</html>");
    write(folder.path(), "binary.json", [0xff, 0, 1, b'{', 0xfe]);
    write(folder.path(), "other.json", r#"{"verify": 3}"#);
    write(folder.path(), "deep.json", "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000));
    write(folder.path(), "huge.json", format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20)));
    let refused = json!({"command": "verify", "error": {"kind": "unsupported", "what": "not supported here"}});
    write(folder.path(), "refused.json", refused.to_string());
    fs::create_dir(folder.path().join("folder.json")).expect("a folder");
    nix::unistd::mkfifo(&folder.path().join("pipe.json"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    std::os::unix::fs::symlink("/nowhere", folder.path().join("link.json")).expect("a link");
    let json = summary(&[folder.path().to_str().expect("text")], vec![], 9);
    assert_eq!((&json["hosts"]["all"], &json["hosts"]["unread"]), (&1.into(), &11.into()), "{json:#}");
    let why = |name: &str| {
        let unread = json["unread"].as_array().expect("unread");
        let found = unread.iter().find(|u| u["name"].as_str().is_some_and(|n| n.starts_with(name)));
        found.unwrap_or_else(|| panic!("{name}: {unread:#?}"))["why"].as_str().unwrap_or_default().to_owned()
    };
    for (name, part) in [
        ("cut.json", "ends in the middle"),
        ("empty.json", "empty"),
        ("html.json", "no JSON document"),
        ("binary.json", "no JSON document"),
        ("other.json", "no verification"),
        ("deep.json", "no valid JSON"),
        ("huge.json", "larger than 2 MiB"),
        ("refused.json", "not supported here"),
        ("folder.json", "no regular file"),
        ("pipe.json", "no regular file"),
        ("link.json", "No such file"),
    ] {
        assert!(why(name).contains(part), "{name}: {}", why(name));
    }
}

#[test]
fn a_hostile_result_neither_passes_for_good_nor_steers_the_reader() {
    let bad = "<script>alert(1)</script>\u{1b}[2J";
    let mut hostile = result(bad, &[("proxy.ports", "excellent", bad)]);
    hostile["verify"]["status"] = json!("pass");
    hostile["verify"]["at"] = json!(["now"]);
    let input = hostile.to_string().into_bytes();
    let json = summary(&["-"], input.clone(), 9);
    assert_eq!((&json["hosts"]["unknown"], &json["checks"][0]["id"]), (&1.into(), &"proxy.ports".into()));
    let page = exits(report(&["-", "--format", "html"], input.clone()), 9);
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    assert!(!exits(report(&["-"], input), 9).contains('\u{1b}'));
    // A thousand hosts with a thousand checks of their own, and values that never repeat.
    let input: String = (0..1000)
        .map(|host| {
            let mut result = result("same", &[("package.agent", "pass", &format!("{host}"))]);
            let own =
                (0..20).map(|n| json!({"id": format!("x.{host}.{n}"), "status": "fail", "seen": "y".repeat(5000)}));
            result["verify"]["checks"].as_array_mut().expect("checks").extend(own);
            format!("{result}\n")
        })
        .collect();
    let json = summary(&["-", "--names", "3"], input.into_bytes(), 9);
    assert_eq!((&json["hosts"]["fail"], &json["beyond"]), (&1000.into(), &19_044.into()));
    assert_eq!(json["checks"].as_array().map(Vec::len), Some(1000));
    let agents = &json["versions"][0]["values"];
    assert_eq!((agents.as_array().map(Vec::len), &agents[64]["hosts"]), (Some(65), &936.into()), "{agents:#}");
    assert_eq!(json["repeated"], json!([{"name": "same", "results": 1000}]));
}

#[test]
fn nothing_to_read_is_a_mistake_and_no_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    assert_eq!(report(&[path], vec![]).status.code(), Some(2));
    assert_eq!(report(&["/nowhere"], vec![]).status.code(), Some(2));
    assert_eq!(report(&["-"], b" \n".to_vec()).status.code(), Some(2));
    assert_eq!(report(&[], vec![]).status.code(), Some(2));
}

/// Time and memory by the number of hosts: printed, and limited. `--long` goes to 100,000.
#[test]
fn a_large_fleet_needs_little_memory() {
    let long = std::env::var_os("DDINSTALL_LONG").is_some();
    let sizes: &[usize] = if long { &[1_000, 10_000, 100_000] } else { &[500, 2_500] };
    let dead = ("unit.datadog-agent", "fail", "inactive (dead)");
    let kernel = ("kernel.fips", "fail", "it is not");
    for hosts in sizes {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ddinstall"))
            .args(["report", "-", "--format", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("ddinstall");
        let mut stdin = std::io::BufWriter::new(child.stdin.take().expect("stdin"));
        // Every host fails a check, and every tenth another one, too.
        let [some, more] = [&[kernel][..], &[kernel, dead]].map(|changes| result("HOST", changes).to_string());
        for host in 0..*hosts {
            let text = if host % 10 == 0 { &more } else { &some };
            writeln!(stdin, "{}", text.replace("HOST", &format!("host{host}.example.org"))).expect("a reader");
        }
        drop(stdin);
        assert_eq!(child.wait().expect("wait").code(), Some(9));
        // Of the largest child so far.
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss() / 1024;
        println!("report: {hosts} hosts, {:.2} s, at most {peak} MB of memory", begun.elapsed().as_secs_f64());
        assert!(peak < 200, "{hosts} hosts: {peak} MB");
    }
}
