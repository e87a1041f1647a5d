//! The Agent's secrets management (`ddinstall secrets`): helpers that misbehave, values that are shown nowhere, rights,
//! and a key that is on no disk of ours.

use super::common::*;
use super::secrets::{files_with, no_process_shows};
use crate::lab::{Host, KEY, Run, Suite};

const FOLDER: &str = "/etc/secrets";
const HELPER: &str = "/opt/ddinstall/secret-helper";

impl Host {
    /// A helper with the rights that Agents of every age want.
    fn helper(&self, name: &str, text: &str) -> String {
        let path = format!("/opt/helpers/{name}");
        self.write(&path, text, "dd-agent:dd-agent", 0o700);
        path
    }

    fn secrets(&self, args: &[&str]) -> Run {
        self.ddinstall(&[&["secrets"], args].concat()).run()
    }
}

/// A host with an Agent that rests, and nothing of its user's.
fn resting(version: &str) -> Host {
    let host = Host::fresh(Suite::Bookworm).with_agent(version).boot();
    host.sh("mkdir -p /opt/helpers; systemctl stop datadog-agent; while pgrep -u dd-agent; do sleep 0.1; done");
    host
}

/// A helper's name, owner, mode and text, and the checks that tell of it.
type Case<'a> = (&'a str, &'a str, u32, &'a str, &'a [(&'a str, &'a str)]);

/// The status of each check.
fn statuses(run: &Run) -> std::collections::BTreeMap<String, String> {
    let checks = run.json()["secrets"]["checks"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().trim_start_matches("secrets.").to_owned();
    checks.iter().map(|check| (text(&check["id"]), text(&check["status"]))).collect()
}

#[test]
fn helpers_that_misbehave_are_reported_in_time_and_leave_no_process() {
    let host = resting("7.44.1");
    let perl = |text: &str| {
        format!("#!/usr/bin/perl\nuse POSIX ();\n$| = 1;\nmy $asked = do {{ local $/; <STDIN> }};\n{text}\n")
    };
    let good = r#"print '{"a": {"value": "canary-1"}, "b": {"value": "canary-2", "error": null}}';"#;
    // Name, program, what is said of it, and of the handle `a`.
    let cases: [(&str, String, &str, &str); 21] = [
        ("good", perl(good), "2 of 2 resolved", "resolved    a"),
        ("hang", perl("sleep 600;"), "did not end within 1 s", "unanswered  a"),
        (
            "deaf",
            perl("$SIG{TERM} = $SIG{INT} = $SIG{HUP} = 'IGNORE'; sleep 1 while 1;"),
            "did not end within 1 s",
            "unanswered  a",
        ),
        ("crash", perl(&format!("{good} kill 'SEGV', $$; sleep 9;")), "crashed: signal 11", "unanswered  a"),
        ("fails", perl(&format!("{good} print STDERR \"no token\\n\"; exit 3;")), "exit code 3", "unanswered  a"),
        (
            "flood",
            perl("print 'x' x 1048576 for 1 .. 1024;"),
            "more than 1048576 bytes to standard output",
            "too large   a",
        ),
        (
            "loud",
            perl("print STDERR 'x' x 1048576 for 1 .. 1024;"),
            "more than 1048576 bytes to standard error",
            "too large   a",
        ),
        (
            "drip",
            perl("while (1) { print ' '; select undef, undef, undef, 0.05 }"),
            "did not end within 1 s",
            "unanswered  a",
        ),
        ("text", perl("print 'canary-1';"), "its answer is of no use: it is no JSON", "unanswered  a"),
        ("silent", perl(""), "it printed nothing", "unanswered  a"),
        ("half", perl(r#"print '{"a": {"value": "canary';"#), "ends too early", "unanswered  a"),
        (
            "types",
            perl(r#"print '{"a": {"value": 12345678}}';"#),
            "`value` in the answer to `a` is a number",
            "unanswered  a",
        ),
        ("bare", perl(r#"print '{"a": "canary-1"}';"#), "the answer to `a` is text", "unanswered  a"),
        (
            "extra",
            perl(r#"print '{"a": {"value": "canary-1"}, "b": {"value": "canary-2"}, "z": {"value": "canary-3"}}';"#),
            "answers that nobody asked for: 1",
            "resolved    a",
        ),
        // The value for the handle, and the handle for the value.
        (
            "swapped",
            perl(r#"print '{"canary-1": {"value": "a"}, "canary-2": {"value": "b"}}';"#),
            "answers that nobody asked for: 2",
            "missing     a",
        ),
        ("nul", perl(r#"print "{\"a\": {\"value\": \"canary\0\"}}";"#), "it is no JSON, at byte", "unanswered  a"),
        (
            "escaped",
            perl(r#"print '{"a": {"value": "canary\u0000"}, "b": {"value": ""}}';"#),
            "a NUL byte is in the value of: a",
            "empty       b",
        ),
        (
            "errors",
            perl(r#"print '{"a": {"value": null, "error": "no such key"}}';"#),
            "0 of 2 resolved",
            "error       a: no such key",
        ),
        (
            "leaks",
            perl(&format!("{good} print STDERR \"got canary-2\\n\";")),
            "prints secrets on standard error",
            "resolved    a",
        ),
        // One that lives on in a session of its own, and holds the output.
        (
            "holds",
            perl(&format!("{good} exit 0 if fork; POSIX::setsid(); exit 0 if fork; sleep 600;")),
            "held its output open for 3 s",
            "unanswered  a",
        ),
        // One that is never the same process for long.
        (
            "chain",
            perl("POSIX::setsid(); while (1) { my $pid = fork; exit 0 if $pid }"),
            "held its output open for 3 s",
            "unanswered  a",
        ),
    ];
    for (name, text, says, of_handle) in &cases {
        let helper = host.helper(name, text);
        // Long where the helper's own end is what counts.
        let timeout: f64 = match *name {
            "hang" | "deaf" | "drip" => 1.0,
            "holds" | "chain" => 3.0,
            _ => 20.0,
        };
        let run = host.secrets(&["test", "--command", &helper, "--timeout", &timeout.to_string(), "a", "b"]);
        let left = host.command(&["pgrep", "-u", "dd-agent", "-l"]).run().stdout;
        assert_eq!(left, "", "{name} leaves processes\n{run}");
        assert!(run.seconds < timeout + 10.0, "{name}\n{run}");
        let all = ["good", "extra", "leaks"].contains(name);
        let run = run.says(says).says(of_handle).exits(if all { 0 } else { 9 });
        assert!(!run.stdout.contains("canary") && !run.stderr.contains("canary"), "{name}\n{run}");
    }
    // Many processes at once, all in sessions of their own.
    let bomb = host.helper("bomb", &perl("for (1 .. 300) { next if fork; POSIX::setsid(); sleep 600 } sleep 600;"));
    let run = host.secrets(&["test", "--command", &bomb, "--timeout", "1", "a"]).exits(9);
    assert_eq!(host.command(&["pgrep", "-u", "dd-agent", "-l"]).run().stdout, "", "{run}");
    // Nor does one stay where its end cannot be had: whoever called us ignores the ends of children.
    let ignoring = ["perl", "-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV", "ddinstall", "secrets", "test"];
    let run =
        host.command(&[&ignoring[..], &["--command", "/opt/helpers/holds", "--timeout", "1", "a"]].concat()).run();
    assert_ne!(run.status, Some(0), "{run}");
    assert_eq!(host.command(&["pgrep", "-u", "dd-agent", "-l"]).run().stdout, "", "{run}");
    // Standard error is shown on request, and a value in it never.
    let shown =
        host.secrets(&["test", "--command", "/opt/helpers/fails", "--show-stderr", "a"]).exits(9).says("no token");
    assert!(!shown.stdout.contains("canary"), "{shown}");
    host.secrets(&["test", "--command", "/opt/helpers/leaks", "--show-stderr", "a", "b"]).says("(withheld");
    page_the_helper_runs_as_the_agent_does(&host, &perl);
    page_the_dummy_program_resolves_every_handle(&host, &perl);
    // One that the Agent would not run is not run here either.
    host.sh("chmod 0755 /opt/helpers/good");
    host.secrets(&["test", "--command", "/opt/helpers/good", "a"]).exits(9).says("the Agent does not run it");
}

/// By its user, with its environment, its limits, its arguments, and the request on standard input.
fn page_the_helper_runs_as_the_agent_does(host: &Host, perl: &dyn Fn(&str) -> String) {
    let echo = r#"$asked =~ s/"/'/g; my $core = `sh -c 'ulimit -c'`; chomp $core;
        printf '{"a": {"error": "%s, user %s, groups %s, core %s, %s, %s"}}', $asked, $<, $), $core, $ENV{HOME}, join ' ', $ENV{OURS}, @ARGV;"#;
    let echo = host.helper("echo", &perl(echo));
    host.write("/etc/datadog-agent/environment", "# ours\nOURS=\"of the unit\"\n", "root:dd-agent", 0o640);
    let user = host.sh("echo user $(id -u dd-agent)");
    let run = host.secrets(&["test", "--command", &echo, "--argument", "-x", "--argument", "y z", "a"]);
    let run = run.says("'version':'1.0'").says("'secrets':['a']").says(&user).says("core 0");
    run.says("/opt/datadog-agent, of the unit -x y z");
    host.secrets(&["test", "--command", &echo, "--protocol", "1.1", "a"])
        .says("'version':'1.1'")
        .says("'secret_backend_timeout':30");
}

/// The page's example: it puts `decrypted_` in front of each handle. All handles of the files are asked for, each once.
fn page_the_dummy_program_resolves_every_handle(host: &Host, perl: &dyn Fn(&str) -> String) {
    let dummy = r#"my ($list) = $asked =~ /"secrets":\s*\[(.*?)\]/; print '{', join(',', map { qq($_: {"value": "decrypted_$$"}) } split /,/, $list), '}';"#;
    let dummy = host.helper("dummy", &perl(dummy));
    let check = "instances:\n  - server: db_prod\n    user: ENC[db_prod_user]\n    password: ENC[db_prod_password]\n  - user: ENC[db_prod_user]\n";
    host.write("/etc/datadog-agent/conf.d/postgres.yaml", check, "dd-agent:dd-agent", 0o640);
    let run = host.secrets(&["test", "--command", &dummy]).exits(0);
    run.says("resolved    db_prod_user").says("resolved    db_prod_password").says("2 of 2 resolved");
}

/// The environment of the Agent that runs.
fn page_the_helper_shares_the_environment_of_the_agent(host: &Host) {
    let script =
        "#!/bin/sh\ncat > /dev/null; echo \"{\\\"a\\\": {\\\"error\\\": \\\"invocation $INVOCATION_ID\\\"}}\"\n";
    let echo = host.helper("invocation", script);
    let id = host.sh("systemctl show -p InvocationID --value datadog-agent");
    host.secrets(&["test", "--command", &echo, "a"]).exits(9).says(&format!("invocation {id}"));
}

#[test]
fn page_the_values_of_a_thousand_handles_are_shown_nowhere() {
    let host = resting("7.58.2");
    let names: Vec<String> = (0..1000).map(|i| format!("handle_{i}")).collect();
    let lines: String = names.iter().map(|name| format!("  - password: ENC[{name}]\n")).collect();
    host.write("/etc/datadog-agent/conf.d/many.yaml", format!("instances:\n{lines}"), "dd-agent:dd-agent", 0o640);
    // The mark stands in no file: the helper makes it.
    let helper = host.helper(
        "thousand",
        "#!/usr/bin/perl\nmy $asked = do { local $/; <STDIN> };\nmy $mark = join '-', 'can', 'ary';\nmy @all = $asked =~ /\"(handle_\\d+)\"/g;\nprint STDERR \"$mark-of-$all[7]\\n\" if $ARGV[0] eq 'leak';\nprint '{', join(',', map { qq(\"$_\": {\"value\": \"$mark-of-$_\"}) } @all), '}';\nif ($ARGV[0] eq 'slow') { $| = 1; print ''; open my $out, '>', '/tmp/printed'; sleep 25 }\nkill 'ABRT', $$ if $ARGV[0] eq 'crash';\n",
    );
    let mark = "can-ary";
    let no_core = || {
        let cores = "find / -xdev -name 'core*' -newer /opt/helpers/thousand -type f -size +16k | head";
        assert_eq!(host.sh(cores), "");
    };
    let args = ["test", "--command", &helper, "--show-stderr", "--argument"];
    for (argument, format, status) in
        [("plain", "text", 0), ("leak", "json", 0), ("leak", "text", 0), ("crash", "json", 9)]
    {
        let (run, sample) = host.sampling(|| host.secrets(&[&args[..], &[argument, "--format", format]].concat()));
        let run = run.exits(status);
        assert!(!run.stdout.contains(mark) && !run.stderr.contains(mark), "{argument} {format}");
        assert!(sample.in_arguments(mark).is_empty() && sample.in_environments(mark).is_empty());
        let resolved =
            ["resolved    handle_0", "\"outcome\": \"resolved\""].iter().any(|says| run.stdout.contains(says));
        assert_eq!(resolved, status == 0, "{argument} {format}");
        if argument == "leak" {
            run.says("prints secrets on standard error").says("handle_7");
        }
    }
    // While it runs, too, and where it is ended with all values in its memory.
    let slow =
        ["/bin/sh", "-c", "ulimit -c unlimited; exec ddinstall secrets test --command \"$0\" --argument slow", &helper];
    let mut child = host.command(&slow).spawn();
    host.wait_until("test -e /tmp/printed");
    assert_eq!(files_with(&host, mark), []);
    host.sh("pkill -ABRT -x ddinstall");
    child.wait().expect("its end");
    no_core();
    assert_eq!(files_with(&host, mark), []);
    assert!(!host.sh("journalctl --no-pager -o verbose").contains(mark));
    no_core();
}

#[test]
fn rights_parents_and_interpreters_are_judged_and_handles_listed() {
    let host = resting("7.44.1");
    let script = "#!/bin/sh\nexit 0\n";
    let cases: [Case; 7] = [
        (
            "right",
            "dd-agent:dd-agent",
            0o700,
            script,
            &[("rights.new", "pass"), ("rights.old", "pass"), ("folders", "pass"), ("program", "pass")],
        ),
        ("roots", "root:root", 0o700, script, &[("rights.new", "fail"), ("rights.old", "fail")]),
        (
            "open",
            "dd-agent:dd-agent",
            0o755,
            script,
            &[("rights.new", "fail"), ("rights.old", "fail"), ("rights.documented", "warn")],
        ),
        ("plain", "dd-agent:dd-agent", 0o600, script, &[("rights.new", "fail"), ("rights.old", "fail")]),
        ("group", "root:dd-agent", 0o750, script, &[("rights.new", "fail"), ("rights.old", "fail")]),
        ("dos", "dd-agent:dd-agent", 0o700, "#!/bin/sh\r\nexit 0\r\n", &[("rights.new", "pass"), ("program", "fail")]),
        ("absent", "dd-agent:dd-agent", 0o700, "#!/opt/no/interpreter\n", &[("program", "fail")]),
    ];
    for (name, owner, mode, text, expected) in cases {
        let path = format!("/opt/helpers/{name}");
        host.write(&path, text, owner, mode);
        let run = host.secrets(&["check", "--command", &path, "--format", "json"]);
        let statuses = statuses(&run);
        for (id, status) in expected {
            assert_eq!(statuses.get(*id).map(String::as_str), Some(*status), "{name}: {id}\n{run}");
        }
        let fails = expected.iter().any(|(_, status)| *status == "fail");
        run.exits(if fails { 9 } else { 0 });
    }
    // A folder that others may write, and a link into it.
    host.sh("mkdir -m 0777 /opt/shared && cp -p /opt/helpers/right /opt/shared/ && ln -s /opt/shared/right /opt/helpers/link");
    for path in ["/opt/shared/right", "/opt/helpers/link"] {
        let run = host.secrets(&["check", "--command", path]).exits(9).says("/opt/shared has mode 0777");
        assert!(run.stdout.contains("pass     Agents before 7.56 run the helper"), "{run}");
    }
    // With the group's right allowed, in the files as they are.
    let yaml = "api_key: ENC[api_key]\nsecret_backend_command: /opt/helpers/group\nsecret_backend_command_allow_group_exec_perm: true\nsecret_backend_timeout: 'ENC[t]'\nhostname: db-ENC[x]\n";
    host.write(DATADOG, yaml, "dd-agent:dd-agent", 0o640);
    host.write(
        SYSPROBE,
        "a: ENC[never]\nruntime_security_config:\n  enabled: true\n  direct_send_from_system_probe: true\n",
        "root:dd-agent",
        0o640,
    );
    host.write("/etc/datadog-agent/environment", "DD_APP_KEY=ENC[app_key]\n", "root:dd-agent", 0o640);
    host.sh("mkdir -p /etc/datadog-agent/conf.d/db.d");
    host.write(
        "/etc/datadog-agent/conf.d/db.d/auto_conf.yaml",
        "instances:\n  - user: ENC[db_%%host%%]\n",
        "dd-agent:dd-agent",
        0o640,
    );
    host.write("/etc/datadog-agent/conf.d/db.d/conf.yaml.example", "a: ENC[example]\n", "dd-agent:dd-agent", 0o640);
    let run = host.secrets(&["check", "--format", "json"]).exits(9);
    let found = statuses(&run);
    for (id, status) in [("rights.new", "pass"), ("rights.old", "pass"), ("written", "warn"), ("system-probe", "fail")]
    {
        assert_eq!(found.get(id).map(String::as_str), Some(status), "{id}\n{run}");
    }
    let list = host.secrets(&["list"]).exits(0);
    for line in [
        "datadog.yaml:1  api_key  ENC[api_key]",
        "datadog.yaml:4  secret_backend_timeout  no handle: secret_* settings",
        "datadog.yaml:5  hostname  no handle: the handle must be the whole value",
        "system-probe.yaml:1  a  no handle: system-probe resolves no handles",
        "environment:1  DD_APP_KEY  ENC[app_key]  note:",
        "auto_conf.yaml:2  instances.0.user  ENC[db_%%host%%]  (resolved once %%host%% is known)",
        "3 handles.",
    ] {
        assert!(list.stdout.contains(line), "{line}\n{list}");
    }
    assert!(!list.stdout.contains("example"), "{list}");
    // What cannot be read is said, and a link that dd-agent has planted is not followed.
    host.sh("ln -s /etc/shadow /etc/datadog-agent/conf.d/planted.yaml; mkfifo /etc/datadog-agent/conf.d/fifo.yaml");
    host.secrets(&["list", "--format", "json"]).exits(9).says("planted.yaml").says("is not followed").says("FIFO");
    host.sh("cd /etc/datadog-agent/conf.d && rm planted.yaml fifo.yaml && mkdir /opt/more && ln -s /opt/more more.d");
    host.secrets(&["list"]).exits(9).says("more.d").says("a link to a folder, which is not followed");
    // The Agent's own program is never root's to run: it may be another's to change.
    let agent = "/opt/datadog-agent/bin/agent/agent";
    host.write(agent, "#!/bin/sh\nid -un >> /tmp/asked\n", "dd-agent:dd-agent", 0o755);
    host.sh("touch /tmp/asked && chmod 0666 /tmp/asked");
    let run = host.secrets(&["check", "--format", "json"]).exits(9);
    assert_eq!(statuses(&run).get("written").map(String::as_str), Some("unknown"), "{run}");
    assert_eq!(host.sh("sort -u /tmp/asked").trim(), "dd-agent");
}

#[test]
fn page_our_helper_reads_files_of_a_folder_and_nothing_beside_it() {
    let host = resting("7.58.2");
    host.sh(&format!(
        "mkdir -p {FOLDER} /etc/secrets-evil && cd {FOLDER} && echo outside > /etc/secrets-evil/key && echo outside > /etc/outside
        printf 'swordfish\\n' > db_prod_password; printf x > 'two
lines'; mkdir ..2026 && echo swapped > ..2026/password && ln -s ..2026 ..data && ln -s ..data/password password
        ln -s ../outside out; ln -s /etc/outside absolute; ln /etc/outside hard; mkfifo fifo; mknod zero c 1 5
        ln -s /dev/zero device; ln -s /proc/self/environ proc; truncate -s 1T huge; mkdir folder; : > empty
        chown -R dd-agent {FOLDER}"
    ));
    let handles = [
        "db_prod_password",
        "two\nlines",
        "password",
        "../outside",
        "../secrets-evil/key",
        "/etc/outside",
        "out",
        "absolute",
        "hard",
        "fifo",
        "zero",
        "device",
        "proc",
        "huge",
        "folder",
        "empty",
        "absent",
        "folder/../password",
    ];
    let request = serde_json::json!({ "version": "1.0", "secrets": handles }).to_string();
    let run = host.ddinstall(&["secrets", "read", FOLDER]).user("dd-agent").stdin(request).run().exits(0);
    let answer = run.json();
    let value = |handle: &str| answer[handle]["value"].as_str().map(str::to_owned);
    let values: Vec<_> = handles.iter().map(|handle| value(handle)).collect();
    let expected = [Some("swordfish".to_owned()), Some("x".into()), Some("swapped".into())];
    assert_eq!(values[..3], expected, "{run}");
    assert!(values[3..].iter().all(Option::is_none), "{run}");
    for handle in &handles[3..] {
        assert!(answer[*handle]["error"].as_str().is_some_and(|why| !why.is_empty()), "{handle:?}\n{run}");
    }
    assert!(run.seconds < 5.0 && !run.stdout.contains("outside\\n"), "{run}");
    host.ddinstall(&["secrets", "read", "/nowhere"]).user("dd-agent").stdin("{}").run().exits(4);
    host.ddinstall(&["secrets", "read", FOLDER]).user("dd-agent").stdin("{}").run().exits(2);
}

#[test]
fn a_host_with_a_handle_for_its_key_has_the_key_in_no_file_of_ours() {
    let host = Host::fresh(Suite::Bookworm).boot();
    // The user is there before the package, as where a host's accounts are managed: the secret is its alone.
    host.sh(&format!(
        "groupadd --system dd-agent && useradd --system --gid dd-agent --home-dir /opt/datadog-agent --no-create-home --shell /usr/sbin/nologin dd-agent
        install -d -o dd-agent -g dd-agent -m 0700 {FOLDER}"
    ));
    host.write(&format!("{FOLDER}/api_key"), format!("{KEY}\n"), "dd-agent:dd-agent", 0o400);
    // The program is copied and compared in what follows: without what a debugger needs, as it is released.
    let program = host.path("/usr/local/bin/ddinstall");
    assert!(std::process::Command::new("strip").arg(program).status().is_ok_and(|status| status.success()));
    let asked = |args: &[&str]| host.asked(args).env("DD_API_KEY", "ENC[api_key]");
    let before = host.quiet_tree();
    // Without a backend the Agent would take the handle for the key.
    asked(&["install"]).run().exits(2).says("no secret backend is set");
    asked(&["install"]).env("DD_SECRET_BACKEND_COMMAND", "/opt/absent").run().exits(4).says("/opt/absent");
    asked(&["install"]).env("DD_SECRET_BACKEND_FOLDER", "/nowhere").run().exits(4).says("/nowhere is not there");
    host.changed_nothing_since(&before);

    let ours = |args: &[&str]| asked(args).env("DD_SECRET_BACKEND_FOLDER", FOLDER);
    let (run, sample) = host.sampling(|| ours(&["install"]).run());
    let run = run.exits(0);
    no_process_shows(&sample, KEY);
    assert!(sample.in_environments(KEY).is_empty());
    assert!(!run.stdout.contains(KEY) && !run.stderr.contains(KEY));
    assert_eq!(files_with(&host, KEY), [(format!("{FOLDER}/api_key"), 0o400)]);
    assert_eq!((host.owner(HELPER).as_str(), host.mode(HELPER)), ("dd-agent:dd-agent", 0o700));
    assert_eq!(host.owner("/opt/ddinstall"), "root:root");
    assert_eq!(host.bytes(HELPER), host.bytes("/usr/local/bin/ddinstall"));
    let yaml = host.yaml(DATADOG);
    assert_eq!((&yaml["api_key"], &yaml["secret_backend_command"]), (&"ENC[api_key]".into(), &HELPER.into()));
    // The Agent has the key itself, and sends with it.
    host.wait_until("datadog-agent status | grep -q 'API key ending with fbad0: API Key valid'");
    ours(&["install"]).run().exits(0).says("Nothing to do");
    host.verify().exits(0);
    host.secrets(&["test"]).exits(0).says("resolved    api_key").says("1 of 1 resolved");
    host.secrets(&["check"]).exits(0).says("1 resolved");
    page_the_helper_shares_the_environment_of_the_agent(&host);

    // Drift of its rights: the Agent no longer starts, says so on standard error alone, and is told why.
    host.sh(&format!("chmod 0755 {HELPER}; systemctl restart datadog-agent; true"));
    host.wait_until("systemctl is-failed -q datadog-agent");
    host.secrets(&["check"])
        .exits(9)
        .says("'group' or 'others' have rights on it")
        .says("unable to decrypt secret from datadog.yaml");
    assert!(!host.sh("cat /var/log/datadog/agent.log").contains("decrypt"));
    ours(&["install"]).run().exits(0);
    assert_eq!(host.mode(HELPER), 0o700);
    host.secrets(&["check"]).exits(0);
    assert_eq!(files_with(&host, KEY), [(format!("{FOLDER}/api_key"), 0o400)]);

    host.ddinstall(&["uninstall"]).run().exits(0);
    assert!(!host.exists("/opt/ddinstall"));
}

#[test]
#[ignore = "a plan without a host stands for it; --long runs it"]
fn a_helper_of_the_operators_is_put_in_place_with_the_rights_that_the_agent_demands() {
    let host = resting("7.44.1");
    host.write(
        "/root/helper",
        format!("#!/bin/sh\ncat > /dev/null\necho '{{\"user_array[1234]\": {{\"value\": \"{KEY}\"}}}}'\n"),
        "root:root",
        0o700,
    );
    host.forget_packages();
    let asked = |group: &str| {
        let asked = host.ddinstall(&["install"]).env("DD_API_KEY", "ENC[user_array[1234]]");
        asked
            .env("DD_SECRET_BACKEND_HELPER", "/root/helper")
            .env("DD_SECRET_BACKEND_COMMAND_ALLOW_GROUP_EXEC_PERM", group)
    };
    let plan = host
        .ddinstall(&["plan", "--diff"])
        .env("DD_API_KEY", "ENC[x]")
        .env("DD_SECRET_BACKEND_HELPER", "/root/helper")
        .run();
    assert!(!plan.exits(0).says(HELPER).stdout.contains(KEY));
    asked("").run().exits(0);
    assert_eq!((host.owner(HELPER).as_str(), host.mode(HELPER)), ("dd-agent:dd-agent", 0o700));
    assert_eq!(host.yaml(DATADOG)["api_key"], "ENC[user_array[1234]]");
    host.secrets(&["check"]).exits(0).says("1 resolved");
    asked("on").run().exits(0);
    assert_eq!((host.owner(HELPER).as_str(), host.mode(HELPER)), ("root:dd-agent", 0o750));
    host.secrets(&["test"]).exits(0).says("resolved    user_array[1234]");
    host.sh("chmod o+w /root/helper");
    asked("on").run().exits(2).says("others may write to it");
    host.ddinstall(&["rollback"]).run().exits(0);
    assert_eq!((host.owner(HELPER).as_str(), host.mode(HELPER)), ("dd-agent:dd-agent", 0o700));
    host.ddinstall(&["uninstall"]).run().exits(0);
    assert!(!host.exists("/opt/ddinstall"));
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY);
}
