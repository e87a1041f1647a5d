//! The settings table against the program: every setting by variable, flag and file key, and what each comes to.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsString;

use ddinstall::cli;
use ddinstall::config::yaml::{self, Edit, Value};
use ddinstall::desired::{self, Asked, Content, Desired};
use ddinstall::error::{Error, Kind};
use ddinstall::facts::{self, Facts, Init};
use ddinstall::request::{InputFile, Inputs, Request};
use ddinstall::settings::{File, Fixed, Setting, TABLE, Type, WithFips, row};
use ddinstall::types::Version;

const KEY: &str = "5ca1ab1e0ddba11c0ffee00decafbad0";

/// What one source says.
#[derive(Default, Clone)]
struct Given {
    variables: Vec<(String, String)>,
    flags: Vec<String>,
    file: Option<String>,
    mode: u32,
}

impl Given {
    fn variable(mut self, name: &str, value: &str) -> Given {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, text: impl Into<String>) -> Given {
        self.flags.push(text.into());
        self
    }

    fn file(mut self, text: impl Into<String>) -> Given {
        self.file = Some(text.into());
        self.mode = 0o600;
        self
    }

    /// Through the real command line.
    fn request(&self) -> Result<Request, Error> {
        let args = ["ddinstall", "install"].into_iter().map(OsString::from);
        let invocation = cli::parse(args.chain(self.flags.iter().map(OsString::from)))
            .unwrap_or_else(|e| panic!("{:?}: {e}", self.flags));
        Request::new(Inputs {
            variables: self.variables.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            flags: invocation.flags,
            sets: invocation.sets,
            file: self.file.as_ref().map(|text| InputFile {
                name: "install.yaml".into(),
                bytes: text.clone().into_bytes(),
                mode: self.mode,
            }),
            read: &|path| match path {
                "/key" => Ok(KEY.into()),
                "/ca.pem" => Ok(b"-----BEGIN CERTIFICATE-----\n".to_vec()),
                _ => Err("no such file".into()),
            },
        })
    }

    fn mistakes(&self) -> Vec<String> {
        let error = self.request().expect_err("it was taken");
        assert_eq!(error.kind, Kind::Usage);
        if error.detail.is_empty() { vec![error.what] } else { error.detail }
    }
}

fn facts() -> Facts {
    Facts {
        profile: ddinstall::types::Profile::Host,
        distribution: facts::parse(b"ID=debian\nVERSION_ID=12\n").unwrap(),
        architecture: "x86_64".into(),
        kernel: "6.1.0".into(),
        init: Init::Systemd,
        root: true,
        kernel_fips: None,
        lockdown: None,
    }
}

fn desired(request: &Request, agent: Option<&str>) -> Desired {
    let agent: Option<Version> = agent.map(|text| text.parse().unwrap());
    desired::desired(request, Asked::merged(request, &Asked::default()), &facts(), agent.as_ref()).unwrap()
}

/// All that a request means, but for what was said about it.
fn meaning(given: &Given) -> String {
    let request =
        given.request().unwrap_or_else(|e| panic!("{:?} {:?}: {e} {:?}", given.variables, given.flags, e.detail));
    let wanted = desired(&request, Some("7.78.1"));
    let (pins, sources) = ((&request.agent_pin, &request.proxy_pin), &request.sources);
    let keeps = (request.keep_on_failure, request.keep_binary, request.profile, request.no_key, request.clean);
    let run = (request.upgrade, request.hold, request.allow_downgrade, request.allow_fips_off, keeps);
    let key = request.api_key.as_ref().map(|key| key.reveal().to_owned());
    format!("{wanted:#?} {pins:?} {sources:?} {run:?} {:?} {key:?}", request.reset_proxy_config)
}

/// A right value, what the file may say instead, and values of which all are wrong.
fn sample(setting: &Setting) -> (&'static str, &'static str, &'static [&'static str]) {
    match (setting.key, setting.kind) {
        (_, Type::Never(_)) => ("off", "false", &["host", "1", "java:1"]),
        (_, Type::OnlyOn(_)) => ("1", "true", &["0", "off", "2"]),
        (_, Type::Bool | Type::Switch) => ("yes", "true", &["2", "maybe", "tru", "y e s"]),
        (_, Type::Site) => ("ddog-gov.com", "ddog-gov.com", &["https://ddog-gov.com", "x y", "$(id).com"]),
        (_, Type::Url) => {
            ("https://example.org:443/x?y=%20", "https://example.org:443/x?y=%20", &["example.org", "https://a b"])
        }
        ("api_key_file", _) => ("/key", "/key", &["/nowhere"]),
        (_, Type::MinorVersion) => ("58.2", "'58.2'", &["x", "58;id", "58.2.1"]),
        (_, Type::Release) => ("debian:12", "debian:12", &["debian:twelve", "a b", ":12"]),
        (_, Type::PackageVersion) => ("1.1.14", "1.1.14", &["latest", "1;id"]),
        ("agent_flavor", _) => ("datadog-dogstatsd", "datadog-dogstatsd", &["agent", "datadog"]),
        ("agent_major_version", _) => ("7", "7", &["6", "8", "seven"]),
        ("agent_dist_channel", _) => ("beta", "Beta", &["nightly", "weekly"]),
        ("profile", _) => ("container", "container", &["pod"]),
        ("on_failure", _) => ("keep", "keep", &["stop"]),
        ("min_tls_version", _) => ("tlsv1.3", "tlsv1.3", &["tlsv1.0", "1.2"]),
        (_, Type::Choice(_)) => panic!("{}: no sample", setting.key),
        ("repo_key_fingerprints", _) => {
            ("D75CEA17048B9ACBF186794B32637D44F14F620E", "[D75CEA17048B9ACBF186794B32637D44F14F620E]", &["D75C", "zz"])
        }
        ("repo_key_file", _) => ("/key", "/key", &["/nowhere", "-"]),
        ("ca_file", _) => ("/ca.pem", "/ca.pem", &["/nowhere", "/key"]),
        ("proxy", _) => ("proxy:3128", "http://proxy:3128/", &["socks5h://proxy:1", "http://"]),
        (_, Type::Seconds(_)) => ("7", "7", &["-1", "1.5", "soon", "999999"]),
        (_, Type::Bytes) => ("2048", "2048", &["0", "-1", "1.5", "1k", "999999999"]),
        (_, Type::Words) => ("read /x a,b", "[read, /x, 'a,b']", &["a\nb", "x ENC[y]"]),
        ("secret_backend_command" | "secret_backend_helper" | "secret_backend_folder", _) => {
            ("/opt/helper", "/opt/helper", &["helper", "ENC[x]", "./a"])
        }
        (_, Type::Paths) => ("/a.deb,/b.deb", "[/a.deb, /b.deb]", &["a\nb"]),
        ("repo_url" | "apt_url" | "yum_url" | "keys_url", _) => {
            ("mirror.example.org", "mirror.example.org", &["a b", "x [trusted=yes]"])
        }
        ("apt_repo_version", _) => ("beta 7", "beta 7", &["beta", "a b c", "a [b]"]),
        ("yum_version_path", _) => ("beta/7", "beta/7", &["a b", "x?y"]),
        (_, Type::Word) => ("basic", "basic", &["two words", "a;b"]),
        (_, Type::List) => ("a:b,c d", "['a:b', c d]", &["a\nb"]),
        (_, Type::Hosts) => ("a.b,c.d e.f", "[a.b, c.d, e.f]", &["a\nb"]),
        (_, Type::Secret) => (KEY, KEY, &["a\nb"]),
        (_, Type::Text | Type::Path | Type::Address) => ("some text", "some text", &["a\nb"]),
    }
}

#[test]
fn variable_flag_and_file_key_mean_the_same() {
    for setting in TABLE {
        let (value, in_file, _) = sample(setting);
        let mut ways: Vec<(String, Given)> = Vec::new();
        for variable in setting.variables {
            ways.push((variable.to_string(), Given::default().variable(variable, value)));
        }
        if let Some(flag) = setting.flag() {
            ways.push((format!("--{flag}"), Given::default().flag(format!("--{flag}={value}"))));
        }
        ways.push(("file".into(), Given::default().file(format!("{}: {in_file}\n", setting.key))));
        ways.push(("file, as text".into(), Given::default().file(format!("{}: {value:?}\n", setting.key))));
        assert!(ways.len() >= 3, "{}", setting.key);
        let meanings: Vec<String> = ways.iter().map(|(_, given)| meaning(given)).collect();
        for ((way, _), meaning) in ways.iter().zip(&meanings) {
            assert_eq!(*meaning, meanings[0], "{}: {way} and {}", setting.key, ways[0].0);
        }
        let changes_something = setting.idle.is_none() && !matches!(setting.kind, Type::Never(_));
        let is_default = ["agent_major_version"].contains(&setting.key);
        assert_eq!(meanings[0] != meaning(&Given::default()), changes_something && !is_default, "{}", setting.key);
    }
}

#[test]
fn flags_beat_variables_and_variables_beat_the_file() {
    for setting in TABLE.iter().filter(|s| !s.variables.is_empty() && s.flag().is_some() && s.idle.is_none()) {
        let (value, _, _) = sample(setting);
        let other = match setting.kind {
            Type::Bool | Type::Switch => "off",
            Type::Text if setting.key == "apt_repo_version" => "stable 7",
            Type::Text if setting.key == "yum_version_path" => "stable/7",
            Type::Address if setting.key.ends_with("_url") => "other.example.org",
            Type::Seconds(_) => "9",
            Type::Bytes => "9",
            Type::Words => "x y",
            Type::Path if setting.key.starts_with("secret_") => "/other",
            Type::Paths => "/c.deb",
            Type::Text | Type::Word => "other",
            Type::List if setting.key != "repo_key_fingerprints" => "x:y",
            Type::Hosts => "x.y",
            Type::Url => "http://other.example.org",
            Type::MinorVersion | Type::PackageVersion => "60.1",
            Type::Release => "rhel:9",
            _ => continue,
        };
        let (variable, flag) = (setting.variables[0], setting.flag().unwrap());
        let file = format!("{}: {other:?}\n", setting.key);
        let by_flag = Given::default().flag(format!("--{flag}={value}"));
        let by_variable = Given::default().variable(variable, value);
        let expected = meaning(&by_flag);
        assert_ne!(meaning(&Given::default().variable(variable, other)), expected, "{}", setting.key);
        assert_eq!(meaning(&by_flag.clone().variable(variable, other)), expected, "{}", setting.key);
        assert_eq!(meaning(&by_flag.clone().file(file.clone())), expected, "{}", setting.key);
        assert_eq!(meaning(&by_flag.variable(variable, other).file(file.clone())), expected, "{}", setting.key);
        assert_eq!(meaning(&by_variable.file(file)), expected, "{}", setting.key);
    }
}

#[test]
fn a_key_file_is_as_strong_as_what_names_it() {
    let key = |given: Given| given.request().unwrap().api_key.unwrap().reveal().to_owned();
    let other = "0123456789abcdef0123456789abcdef";
    assert_eq!(key(Given::default().variable("DD_API_KEY", other).flag("--api-key-file=/key")), KEY);
    assert_eq!(key(Given::default().variable("DD_API_KEY", other).file("api_key_file: /key\n")), other);
    assert_eq!(key(Given::default().file(format!("api_key: {other}\napi_key_file: /key\n"))), KEY);
}

#[test]
fn every_off_value_is_off() {
    for setting in TABLE.iter().filter(|s| matches!(s.kind, Type::Bool | Type::Switch | Type::Never(_))) {
        let off = meaning(&Given::default().file(format!("{}: false\n", setting.key)));
        for value in ["0", "false", "no", "off", "FALSE", "Off", "No", " 0 "] {
            for variable in setting.variables {
                assert_eq!(meaning(&Given::default().variable(variable, value)), off, "{variable}={value:?}");
            }
            if let Some(flag) = setting.flag() {
                assert_eq!(meaning(&Given::default().flag(format!("--{flag}={value}"))), off, "--{flag}={value:?}");
            }
            assert_eq!(meaning(&Given::default().file(format!("{}: {value:?}\n", setting.key))), off);
        }
    }
}

#[test]
fn empty_means_leave_it_as_it_is() {
    let nothing = meaning(&Given::default());
    for setting in TABLE {
        for variable in setting.variables {
            assert_eq!(meaning(&Given::default().variable(variable, "  ")), nothing, "{variable}");
        }
        for empty in ["", " ''", " null"] {
            assert_eq!(
                meaning(&Given::default().file(format!("{}:{empty}\n", setting.key))),
                nothing,
                "{}",
                setting.key
            );
        }
    }
}

#[test]
fn a_wrong_value_is_told_with_the_name_of_its_variable() {
    for setting in TABLE {
        for wrong in sample(setting).2 {
            for variable in setting.variables.iter().filter(|v| !["REPO_URL", "DD_HOST_TAGS"].contains(v)) {
                let mistakes = Given::default().variable(variable, wrong).mistakes();
                assert!(mistakes.len() == 1 && mistakes[0].contains(variable), "{variable}={wrong:?}: {mistakes:?}");
                assert!(setting.kind != Type::Secret || !mistakes[0].contains(wrong), "{mistakes:?}");
            }
            let mistakes = Given::default().file(format!("{}: {wrong:?}\n", setting.key)).mistakes();
            let named = mistakes[0].contains(setting.key) || mistakes[0].contains(&setting.name());
            assert!(mistakes.len() == 1 && named, "{}: {wrong:?}: {mistakes:?}", setting.key);
        }
    }
}

#[test]
fn all_mistakes_of_all_sources_are_told_at_once() {
    let given = Given::default()
        .variable("DD_SITE", "https://x")
        .variable("DD_FIPS_MODE", "maybe")
        .flag("--upgrade=perhaps")
        .flag("--set=datadog")
        .file("tag: [a]\nlogs_enabled: perhaps\nagent_minor_version: 58.10\nset: {agent: {a: 1}}\n");
    let mistakes = given.mistakes().join("\n");
    for part in [
        "DD_SITE:",
        "DD_FIPS_MODE:",
        "--upgrade:",
        "--set datadog:",
        "tag is not a setting; did you mean tags?",
        "logs_enabled:",
        "agent_minor_version: is a number",
        "agent is none of datadog",
    ] {
        assert!(mistakes.contains(part), "{part}\n{mistakes}");
    }
    assert_eq!(mistakes.lines().count(), 8, "{mistakes}");
}

#[test]
fn a_file_that_others_may_read_holds_no_secret() {
    let secrets =
        [format!("api_key: {KEY}"), format!("app_key: {KEY}"), format!("set: {{datadog: {{x.password: {KEY}}}}}")];
    for text in secrets {
        for (mode, taken) in [(0o600, true), (0o640, true), (0o644, false), (0o604, false)] {
            let mut given = Given::default().file(text.clone());
            given.mode = mode;
            assert_eq!(given.request().is_ok(), taken, "{text} {mode:o}");
            if !taken {
                let mistakes = given.mistakes().join("\n");
                assert!(mistakes.contains(&format!("mode {mode:04o}")) && !mistakes.contains(KEY), "{mistakes}");
            }
        }
    }
    let mut open = Given::default().file("api_key: ENC[key]\ntags: [a:b]\nset: {datadog: {x.password: 'ENC[x]'}}\n");
    open.mode = 0o644;
    assert!(open.request().is_ok());
}

#[test]
fn page_secret_settings_and_system_probe_take_no_handles() {
    let folder = Given::default().variable("DD_SECRET_BACKEND_FOLDER", "/run/secrets");
    for (given, says) in [
        (Given::default().flag("--set=datadog:secret_backend_config.token='ENC[x]'"), "can hold none"),
        (Given::default().flag("--set=system-probe:network_config.x='ENC[x]'"), "system-probe resolves no"),
        (Given::default().file("set: {system-probe: {a: [b, 'ENC[x]']}}\n"), "system-probe resolves no"),
        (Given::default().variable("DD_SECRET_BACKEND_TYPE", "ENC[x]"), "can hold none"),
        (Given::default().variable("DD_LOGS_ENABLED", "ENC[x]"), "neither on"),
        (Given::default().variable("DD_SECRET_BACKEND_TIMEOUT", "ENC[x]"), "no number of seconds"),
        (folder.clone().variable("DD_SECRET_BACKEND_HELPER", "/x"), "there is one helper"),
        (folder.clone().variable("DD_SECRET_BACKEND_ARGUMENTS", "x"), "not together with DD_SECRET_BACKEND_FOLDER"),
        (folder.clone().variable("DD_NO_AGENT_INSTALL", "1"), "belongs to dd-agent"),
    ] {
        let mistakes = given.mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].contains(says), "{says}: {mistakes:?}");
    }
    // Wherever a secret is, a handle is taken, from every source.
    let json = "ENC[{\"env\": \"prod\"}]";
    for key in ["api_key", "app_key", "private_action_runner_private_key", "proxy_https", "url"] {
        let setting = row(key);
        let by_variable = Given::default().variable(setting.variables[0], json);
        let mut by_file = Given::default().file(format!("{key}: '{json}'\n"));
        by_file.mode = 0o644;
        assert_eq!(meaning(&by_variable), meaning(&by_file), "{key}");
        assert_ne!(meaning(&by_variable), meaning(&Given::default()), "{key}");
    }
}

#[test]
fn misspelt_variables_and_deprecated_names_are_pointed_out() {
    let given = Given::default()
        .variable("DD_FIPS_MOED", "1")
        .variable("DD_HOST_TAGS", "a:b")
        .variable("TESTING_REPORT_URL", "x");
    let notes = given.request().unwrap().notes.join("\n");
    for part in
        ["did you mean DD_FIPS_MODE?", "DD_HOST_TAGS is another name of DD_TAGS", "TESTING_REPORT_URL changes nothing"]
    {
        assert!(notes.contains(part), "{notes}");
    }
}

#[test]
fn what_injects_is_refused_by_any_name() {
    for name in
        ["DD_APM_INSTRUMENTATION_ENABLED", "DD_APM_INSTRUMENTATION_LIBRARIES", "DD_APM_INSTRUMENTATION_SOMETHING"]
    {
        let mistakes = Given::default().variable(name, "host").mistakes();
        assert!(mistakes[0].contains(name) && mistakes[0].contains("vendor script"), "{mistakes:?}");
        assert!(Given::default().variable(name, "0").request().is_ok(), "{name}");
    }
}

// What settings come to.

/// By file, path and value, all that is set.
fn edits(desired: &Desired) -> BTreeMap<(String, String), Value> {
    let mut all = BTreeMap::new();
    for file in &desired.files {
        let Content::Edits { wishes, .. } = &file.content else { continue };
        for wish in wishes.iter().filter(|w| w.when.is_none() && !w.drops) {
            let (path, value) = match &wish.edit {
                Edit::Set { path, value } => (path, value.clone()),
                Edit::Append { path, value } => (path, Value::Seq(vec![value.clone()])),
                Edit::Remove { .. } => continue,
            };
            assert!(all.insert((file.path.to_string(), path.to_string()), value).is_none(), "{path} twice");
        }
    }
    all
}

fn on(given: Given) -> BTreeMap<(String, String), Value> {
    edits(&desired(&given.request().unwrap(), Some("7.78.1")))
}

fn at(file: File, path: &str) -> (String, String) {
    (file.path().to_string(), path.to_string())
}

#[test]
fn every_setting_lands_where_the_table_says() {
    for setting in TABLE.iter().filter(|s| s.key != "agent_flavor") {
        let (value, ..) = sample(setting);
        let edits = on(Given::default().file(format!("{}: {value:?}\n", setting.key)));
        for (file, path) in setting.lands {
            assert!(edits.contains_key(&at(*file, path)), "{}: {path}", setting.key);
        }
        for (file, path, fixed) in setting.also {
            let expected = match fixed {
                Fixed::Bool(on) => Value::Bool(*on),
                Fixed::Int(number) => Value::Int(*number),
                Fixed::Item(item) => Value::Seq(vec![Value::Str((*item).into())]),
            };
            assert_eq!(edits.get(&at(*file, path)), Some(&expected), "{}: {path}", setting.key);
        }
    }
}

#[test]
fn what_bypasses_the_proxy_is_refused_with_fips() {
    for setting in TABLE.iter().filter(|s| matches!(s.with_fips, WithFips::Refused(_))) {
        let given = Given::default().variable("DD_FIPS_MODE", "1").variable(setting.variables[0], "1");
        let mistakes = given.mistakes();
        assert!(mistakes[0].contains(setting.variables[0]), "{mistakes:?}");
        assert!(Given::default().variable("DD_FIPS_MODE", "1").variable(setting.variables[0], "0").request().is_ok());
        // FIPS may be on by an earlier run.
        assert_eq!(Given::default().variable(setting.variables[0], "1").request().unwrap().bypasses().len(), 1);
    }
    let fips = Given::default().variable("DD_FIPS_MODE", "1").variable("DD_PROXY_HTTPS", "http://p:3128");
    assert!(fips.request().unwrap().notes.join("").contains("DD_PROXY_HTTPS has no effect"));
    assert!(!on(fips).contains_key(&at(File::Datadog, "proxy.https")));
}

#[test]
fn logs_of_all_processes_spare_privileged_files_on_request() {
    let all = Given::default().variable("DD_LOGS_CONFIG_PROCESS_COLLECT_ALL", "true");
    let privileged = at(File::SystemProbe, "privileged_logs.enabled");
    assert_eq!(on(all.clone())[&privileged], Value::Bool(true));
    let spared = on(all.clone().variable("DD_PRIVILEGED_LOGS_ENABLED", "false"));
    assert_eq!(spared[&privileged], Value::Bool(false));
    assert_eq!(spared[&at(File::SystemProbe, "discovery.enabled")], Value::Bool(true));
    assert!(all.variable("DD_DISCOVERY_ENABLED", "0").mistakes()[0].contains("DD_DISCOVERY_ENABLED"));
}

#[test]
fn network_events_have_the_key_of_the_agents_version() {
    let request = |on: &str| {
        Given::default()
            .variable("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1")
            .variable("DD_RUNTIME_SECURITY_CONFIG_NETWORK_ENABLED", on)
            .request()
            .unwrap()
    };
    let old = at(File::SystemProbe, "runtime_security_config.network.enabled");
    let new = at(File::SystemProbe, "event_monitoring_config.network.enabled");
    for (agent, asked, expected) in [
        ("7.36.1", "1", (Some(true), None)),
        ("7.36.1", "", (Some(true), None)),
        ("7.36.1", "0", (Some(false), None)),
        ("7.58.2", "1", (None, Some(true))),
        ("7.58.2", "", (None, None)),
        ("7.58.2", "0", (None, Some(false))),
    ] {
        let edits = edits(&desired(&request(asked), Some(agent)));
        let (old, new) = (edits.get(&old).cloned(), edits.get(&new).cloned());
        assert_eq!((old, new), (expected.0.map(Value::Bool), expected.1.map(Value::Bool)), "{agent} {asked:?}");
    }
}

#[test]
fn direct_sending_with_a_handle_asks_the_agent_for_the_key() {
    let direct = Given::default().variable("DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE", "1");
    let port = at(File::Datadog, "agent_ipc.port");
    assert_eq!(on(direct.clone().variable("DD_API_KEY", "ENC[key]"))[&port], Value::Int(5009));
    assert!(!on(direct.clone().variable("DD_API_KEY", KEY)).contains_key(&port));
    // Without a key in the request, the one in the file decides.
    let wanted = desired(&direct.request().unwrap(), Some("7.78.1"));
    let Content::Edits { wishes, .. } = &wanted.file(File::Datadog.path()).unwrap().content else { panic!() };
    let when = wishes.iter().find(|w| w.edit.path().to_string() == "agent_ipc.port").unwrap().when.clone().unwrap();
    assert!(when.holds(&yaml::load(b"api_key: ENC[key]\n").unwrap()));
    assert!(!when.holds(&yaml::load(b"api_key: 0123\n").unwrap()));
    // From the first Agent on whose system-probe sends by default, CWS alone is enough.
    let cws = Given::default().variable("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1").variable("DD_API_KEY", "ENC[key]");
    assert!(edits(&desired(&cws.request().unwrap(), Some("7.84.0"))).contains_key(&port));
    assert!(!on(cws).contains_key(&port));
}

#[test]
fn any_other_setting_can_be_set() {
    let given = Given::default()
        .flag("--set=datadog:logs_config.batch_wait=5")
        .flag("--set=system-probe.yaml:ping.enabled=true")
        .flag("--set=datadog:log_level='off'")
        .file("set:\n  datadog:\n    logs_config: {batch_wait: 9, open_files_limit: 7}\n    labels: {a.b: 0123}\n");
    let edits = on(given);
    assert_eq!(edits[&at(File::Datadog, "logs_config.batch_wait")], Value::Int(5), "arguments beat the file");
    assert_eq!(edits[&at(File::Datadog, "logs_config.open_files_limit")], Value::Int(7));
    assert_eq!(edits[&at(File::Datadog, "log_level")], Value::Str("off".into()));
    assert_eq!(edits[&at(File::SystemProbe, "ping.enabled")], Value::Bool(true));
    let labels = Value::Map(vec![("a.b".into(), Value::Str("0123".into()))]);
    assert_eq!(edits[&at(File::Datadog, "labels")], labels);
    for (wrong, says) in [
        ("datadog:site=x.com", "use DD_SITE"),
        ("datadog:fips={enabled: false}", "use DD_FIPS_MODE"),
        ("datadog:API_KEY='ENC[x]'", "use DD_API_KEY"),
        ("datadog:tags=[a]", "use DD_TAGS"),
        ("datadog:snmp.password=hunter22", "every user can read arguments"),
        ("datadog:a=[", "no valid YAML"),
        ("datadog:a..b=1", "not a path"),
        ("security:a=1", "not of the form"),
        ("datadog:a=!x 1", "tags"),
    ] {
        let mistakes = Given::default().flag(format!("--set={wrong}")).mistakes();
        assert!(mistakes[0].contains(says) && !mistakes[0].contains("hunter22"), "{wrong}: {mistakes:?}");
    }
    let both = Given::default().flag("--set=datadog:a.b=1").flag("--set=datadog:a=2");
    assert!(both.mistakes()[0].contains("one holds the other"));
    let needed = Given::default().flag("--set=datadog:logs_config.auto_multi_line_detection=false");
    assert!(needed.request().is_ok());
    assert!(needed.variable("DD_LOGS_CONFIG_PROCESS_COLLECT_ALL", "1").request().is_err());
}

#[test]
fn a_web_proxy_with_a_password_is_no_argument() {
    let url = "http://user:pass@proxy:3128";
    assert!(Given::default().flag(format!("--proxy-https={url}")).mistakes()[0].contains("use DD_PROXY_HTTPS"));
    assert_eq!(
        on(Given::default().variable("DD_PROXY_HTTPS", url))[&at(File::Datadog, "proxy.https")],
        Value::Str(url.into())
    );
}

// Flavors.

fn of_flavor(name: &str, more: &[(&str, &str)]) -> Desired {
    let given = more.iter().fold(Given::default().variable("DD_AGENT_FLAVOR", name), |g, (n, v)| g.variable(n, v));
    desired(&given.request().unwrap_or_else(|e| panic!("{name}: {e}")), None)
}

#[test]
fn each_flavor_has_its_own_package_files_and_units() {
    let names = |d: &Desired| d.packages.iter().map(|p| p.name).collect::<Vec<_>>();
    let files = |d: &Desired| d.files.iter().map(|f| f.path).collect::<Vec<_>>();
    let units = |d: &Desired| d.units.iter().filter(|u| u.must_run).map(|u| u.name).collect::<Vec<_>>();
    let key = [("DD_API_KEY", KEY)];

    for name in ["datadog-iot-agent", "datadog-heroku-agent"] {
        let agent = of_flavor(name, &key);
        assert_eq!(names(&agent), [name, "datadog-signing-keys"]);
        assert_eq!(units(&agent), ["datadog-agent.service"]);
        assert_eq!(files(&agent)[0], "/etc/datadog-agent/datadog.yaml");
    }
    let statsd = of_flavor("datadog-dogstatsd", &[("DD_API_KEY", KEY), ("DD_TAGS", "a:b")]);
    assert_eq!(names(&statsd), ["datadog-dogstatsd", "datadog-signing-keys"]);
    assert_eq!(files(&statsd), ["/etc/datadog-dogstatsd/dogstatsd.yaml"]);
    assert_eq!(units(&statsd), ["datadog-dogstatsd.service"]);

    let proxy = of_flavor("datadog-fips-proxy", &[]);
    assert_eq!(names(&proxy), ["datadog-fips-proxy", "datadog-signing-keys"]);
    assert_eq!(files(&proxy), [desired::PROXY_CFG]);
    assert_eq!(units(&proxy), ["datadog-fips-proxy.service"]);

    let fips = of_flavor("datadog-fips-agent", &[("DD_API_KEY", KEY), ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1")]);
    assert_eq!(names(&fips), ["datadog-fips-agent", "datadog-signing-keys"]);
    assert!(matches!(fips.file(desired::ENVIRONMENT).unwrap().content, Content::Variables(&[("GOFIPS", "1")])));
    assert_eq!(edits(&fips)[&at(File::Datadog, "site")], Value::Str("ddog-gov.com".into()));
    assert!(units(&fips).contains(&"datadog-agent-sysprobe.service"));
}

#[test]
fn what_a_flavor_cannot_do_is_refused() {
    for (flavor, variable) in [
        ("datadog-iot-agent", "DD_FIPS_MODE"),
        ("datadog-iot-agent", "DD_RUNTIME_SECURITY_CONFIG_ENABLED"),
        ("datadog-dogstatsd", "DD_COMPLIANCE_CONFIG_ENABLED"),
        ("datadog-dogstatsd", "DD_LOGS_CONFIG_PROCESS_COLLECT_ALL"),
        ("datadog-fips-agent", "DD_FIPS_MODE"),
        ("datadog-fips-agent", "DD_OTELCOLLECTOR_ENABLED"),
        ("datadog-fips-proxy", "DD_FIPS_MODE"),
        ("datadog-fips-proxy", "DD_SYSTEM_PROBE_ENSURE_CONFIG"),
    ] {
        let mistakes = Given::default().variable("DD_AGENT_FLAVOR", flavor).variable(variable, "1").mistakes();
        assert!(mistakes[0].contains(variable) && mistakes[0].contains(flavor), "{mistakes:?}");
    }
    let site = Given::default().variable("DD_AGENT_FLAVOR", "datadog-fips-agent").variable("DD_SITE", "datadoghq.eu");
    assert!(site.mistakes()[0].contains("GovCloud"));
}

#[test]
fn the_collector_comes_with_its_package_and_configuration() {
    let wanted = desired(&Given::default().variable("DD_OTELCOLLECTOR_ENABLED", "1").request().unwrap(), None);
    assert!(wanted.packages.iter().any(|p| p.name == "datadog-agent-ddot"));
    assert!(wanted.file("/etc/datadog-agent/otel-config.yaml").is_some());
    let off = desired(&Given::default().variable("DD_OTELCOLLECTOR_ENABLED", "0").request().unwrap(), None);
    assert!(!off.packages.iter().any(|p| p.name == "datadog-agent-ddot"));
}

#[test]
fn without_an_agent_only_files_that_root_owns_are_made() {
    let wanted = desired(
        &Given::default().variable("DD_NO_AGENT_INSTALL", "1").variable("DD_API_KEY", KEY).request().unwrap(),
        None,
    );
    assert!(!wanted.packages.iter().any(|p| p.name == "datadog-agent") && wanted.units.is_empty() && !wanted.start);
    assert!(wanted.files.iter().all(|f| (f.rights.owner, f.rights.mode) == ("root", 0o600)), "{:?}", wanted.files);
    assert!(Given::default().variable("DD_NO_AGENT_INSTALL", "1").variable("DD_FIPS_MODE", "1").request().is_err());
}

#[test]
fn the_channel_is_the_suite() {
    let suite = |given: Given| given.request().unwrap().sources.suite;
    assert_eq!(suite(Given::default()), "stable");
    assert_eq!(suite(Given::default().variable("DD_AGENT_DIST_CHANNEL", "beta")), "beta");
    let nightly = Given::default().variable("DD_AGENT_DIST_CHANNEL", "nightly").variable("DD_REPO_URL", "example.org");
    assert_eq!(suite(nightly), "nightly");
    let explicit =
        Given::default().variable("DD_AGENT_DIST_CHANNEL", "beta").variable("TESTING_APT_REPO_VERSION", "x 7");
    assert_eq!(suite(explicit), "x");
}

// The documentation.

#[test]
fn no_setting_of_the_official_script_is_missing() {
    let known: Vec<&str> = TABLE.iter().flat_map(|s| s.variables.iter().copied()).collect();
    for name in [
        "DD_API_KEY",
        "DD_APP_KEY",
        "DD_SITE",
        "DD_URL",
        "DD_HOSTNAME",
        "DD_TAGS",
        "DD_HOST_TAGS",
        "DD_ENV",
        "DD_UPGRADE",
        "DD_FIPS_MODE",
        "DD_AGENT_FLAVOR",
        "DD_SYSTEM_PROBE_ENSURE_CONFIG",
        "DD_RUNTIME_SECURITY_CONFIG_ENABLED",
        "DD_COMPLIANCE_CONFIG_ENABLED",
        "DD_DISCOVERY_ENABLED",
        "DD_PRIVILEGED_LOGS_ENABLED",
        "DD_SYSTEM_PROBE_SERVICE_MONITORING_ENABLED",
        "DD_LOGS_CONFIG_PROCESS_COLLECT_ALL",
        "DD_INFRASTRUCTURE_MODE",
        "DD_APM_ERROR_TRACKING_STANDALONE",
        "DD_SBOM_CONTAINER_IMAGE_ENABLED",
        "DD_SBOM_HOST_ENABLED",
        "DD_REMOTE_UPDATES",
        "DD_PRIVATE_ACTION_RUNNER_ENABLED",
        "DD_PRIVATE_ACTION_RUNNER_ACTIONS_ALLOWLIST",
        "DD_OTELCOLLECTOR_ENABLED",
        "DD_INSTALL_ONLY",
        "DD_NO_AGENT_INSTALL",
        "DD_REPO_URL",
        "REPO_URL",
        "DD_RPM_REPO_GPGCHECK",
        "DD_AGENT_MAJOR_VERSION",
        "DD_AGENT_MINOR_VERSION",
        "DD_AGENT_DIST_CHANNEL",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
        "DD_APM_INSTRUMENTATION_ENABLED",
        "DD_APM_INSTRUMENTATION_LIBRARIES",
        "TESTING_APT_URL",
        "TESTING_APT_REPO_VERSION",
        "TESTING_KEYS_URL",
        "TESTING_YUM_URL",
        "TESTING_YUM_VERSION_PATH",
        "TESTING_REPORT_URL",
    ] {
        assert!(known.contains(&name), "{name}");
    }
    assert!(matches!(row("rpm_repo_gpgcheck").kind, Type::OnlyOn(_)));
}

#[test]
fn the_reference_in_the_readme_is_the_tables() {
    let Ok(readme) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")) else {
        eprintln!("SKIPPED: there is no README.md");
        return;
    };
    let (begin, end) = ("<!-- settings -->\n", "<!-- /settings -->");
    let Some((_, rest)) = readme.split_once(begin) else {
        eprintln!("SKIPPED: README.md has no {begin}");
        return;
    };
    let (found, _) = rest.split_once(end).expect("the marker's end");
    assert!(found == ddinstall::commands::settings::markdown(), "script/docs brings README.md up to date");
}
