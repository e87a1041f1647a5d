//! The settings table against the program: every setting by variable, flag and file key, and what each comes to.

#![allow(clippy::unwrap_used)]

#[path = "settings/effects.rs"]
mod effects;

use std::collections::BTreeSet;
use std::ffi::OsString;

use ddinstall::cli;
use ddinstall::desired::{self, Asked, Desired};
use ddinstall::error::{Error, Kind};
use ddinstall::facts::{self, Facts, Init};
use ddinstall::request::{InputFile, Inputs, Request};
use ddinstall::settings::{Setting, TABLE, Type, row};
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
        ("on_failure", _) => ("keep", "keep", &["stop"]),
        ("profile", _) => ("image", "Image", &["vm", "containers"]),
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
        "DD_NO_SECURITY_AGENT_INSTALL",
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
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- settings -->\n").expect("the marker");
    let (found, _) = rest.split_once("<!-- /settings -->").expect("the marker's end");
    assert!(found == ddinstall::commands::settings::markdown(), "script/docs brings README.md up to date");
}

#[test]
fn a_containers_processes_are_started_without_what_may_be_secret() {
    let entrypoint = include_str!("../packaging/container/entrypoint.sh");
    let unset = entrypoint.lines().filter_map(|line| line.trim().strip_prefix("unset "));
    let unset: BTreeSet<&str> = unset.flat_map(str::split_whitespace).collect();
    let secret = TABLE.iter().filter(|row| row.kind == Type::Secret || row.is_address() || row.key.ends_with("_url"));
    let secret: BTreeSet<&str> = secret.flat_map(|row| row.variables.iter().copied()).collect();
    let ways = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    assert_eq!(unset, secret.into_iter().chain(ways).collect());
}
