//! What settings come to on a host that already has something, planned over a folder that looks like one.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ddinstall::error::{Error, Kind};
use ddinstall::event::Events;
use ddinstall::host::Host;
use ddinstall::packages::{Access, Session};
use ddinstall::prepare::{self, Looked, Prepared, prepare};
use ddinstall::request::{Inputs, Request};
use ddinstall::secrets::handles::{self, Judged, Origin};
use ddinstall::secrets::needs;
use ddinstall::settings::File;
use ddinstall::step::Step;
use ddinstall::types::Profile;

struct Root(tempfile::TempDir);

impl Root {
    /// A Debian host with these packages, `name=version`, and the Agent's user.
    fn new(packages: &[&str]) -> Root {
        let root = Root(tempfile::tempdir().expect("a folder"));
        let uid = nix::unistd::geteuid();
        root.write("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n");
        root.write("/usr/bin/apt-get", "");
        root.write("/etc/passwd", &format!("root:x:0:0::/:/bin/sh\ndd-agent:x:{uid}:{uid}::/:/bin/sh\n"));
        root.write("/etc/group", &format!("root:x:0:\ndd-agent:x:{uid}:\n"));
        let entry = |package: &&str| {
            let (name, version) = package.split_once('=').expect("a version");
            format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
        };
        root.write("/var/lib/dpkg/status", &packages.iter().map(entry).collect::<String>());
        fs::create_dir_all(root.path("/var/lib/dpkg/updates")).expect("updates");
        root.write("/usr/bin/apt-get", "#!/bin/false\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.path("/usr/bin/apt-get"), mode).expect("chmod");
        for file in [File::Datadog, File::SystemProbe, File::SecurityAgent, File::Dogstatsd] {
            root.write(file.example(), "# api_key:\n\n# tags:\n#   - team:infra\n");
        }
        root
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        fs::set_permissions(&path, mode).expect("chmod");
    }

    fn request(variables: &[(&str, &str)], sets: &[&str]) -> Result<Request, Error> {
        Request::new(Inputs {
            variables: variables.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            flags: vec![],
            sets: sets.iter().map(|set| set.to_string()).collect(),
            file: None,
            read: &|_| Err("none".into()),
        })
    }

    fn plan(&self, variables: &[(&str, &str)], sets: &[&str]) -> Result<Prepared, Error> {
        let request = Root::request(variables, sets)?;
        let host = Host::new(self.0.path()).expect("a host");
        let session = Session {
            image: false,
            host: &host,
            events: &Events::new(|_| {}),
            lock_wait: Duration::ZERO,
            access: &Access::default(),
            environment: &[],
            cancel: &AtomicBool::new(false),
            lock: None,
        };
        prepare(session, &request, false)
    }

    /// What a host's run needs of the secret backend: a folder is an image, where it may come later.
    fn backend_on_a_host(&self, variables: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let request = Root::request(variables, &[])?;
        let host = Host::new(self.0.path()).expect("a host");
        let Looked { asked, current, .. } = prepare::look(&host, &request, false)?;
        needs::check(&host, &request, &asked, Profile::Host, &current)
    }

    /// The text that the plan gives a file; None: it does not touch it.
    fn planned(&self, path: &str, variables: &[(&str, &str)], sets: &[&str]) -> Option<String> {
        let prepared = self.plan(variables, sets).unwrap_or_else(|e| panic!("{e} {:?}", e.detail));
        prepared.plan.steps.iter().find_map(|step| match step {
            Step::File(file) if file.path == path => Some(String::from_utf8(file.after.clone()).expect("UTF-8")),
            _ => None,
        })
    }

    /// Plans, writes what was planned, and plans again: nothing may be left to do with the file.
    fn settle(&self, path: &str, variables: &[(&str, &str)], sets: &[&str]) -> String {
        let text = self.planned(path, variables, sets).unwrap_or_else(|| panic!("{path} is not touched"));
        self.write(path, &text);
        assert_eq!(self.planned(path, variables, sets), None, "a second run: {text}");
        text
    }
}

const AGENT: &str = "datadog-agent=1:7.78.1-1";
const KEY: (&str, &str) = ("DD_API_KEY", "5ca1ab1e0ddba11c0ffee00decafbad0");

fn datadog() -> &'static str {
    File::Datadog.path()
}

#[test]
fn an_item_joins_the_list_and_leaves_it_again() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\nextra_config_providers: # mine\n  - docker\n");
    let on = [("DD_LOGS_CONFIG_PROCESS_COLLECT_ALL", "1")];
    let text = root.settle(datadog(), &on, &[]);
    assert!(text.contains("# mine\n  - docker\n  - process_log\n"), "{text}");
    let off = [("DD_LOGS_CONFIG_PROCESS_COLLECT_ALL", "0")];
    let text = root.settle(datadog(), &off, &[]);
    assert!(text.contains("  - docker\n") && !text.contains("process_log"), "{text}");
}

#[test]
fn the_whole_agent_comes_back_only_where_it_was_off() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\n");
    let off = [("DD_APM_ERROR_TRACKING_STANDALONE", "off")];
    let text = root.settle(datadog(), &off, &[]);
    assert!(!text.contains("core_agent"), "{text}");
    root.settle(datadog(), &[("DD_APM_ERROR_TRACKING_STANDALONE", "on")], &[]);
    let text = root.settle(datadog(), &off, &[]);
    assert!(text.contains("core_agent:\n  enabled: true"), "{text}");
}

#[test]
fn a_handle_in_the_file_makes_direct_sending_ask_the_agent() {
    let direct = [("DD_RUNTIME_SECURITY_CONFIG_DIRECT_SEND_FROM_SYSTEM_PROBE", "1")];
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: ENC[key]\n");
    let text = root.settle(datadog(), &direct, &[]);
    assert!(text.contains("agent_ipc:\n  port: 5009\n  config_refresh_interval: 60\n"), "{text}");
    root.write(datadog(), "api_key: 0123\n");
    assert_eq!(root.planned(datadog(), &direct, &[]), None);
}

#[test]
fn what_bypasses_is_refused_on_a_host_that_has_fips_on_by_hand() {
    let root = Root::new(&[AGENT, "datadog-fips-proxy=1.1.14-1"]);
    root.write(datadog(), "api_key: x\nsite: ddog-gov.com\nfips:\n  enabled: true\n");
    let error = root.plan(&[("DD_SBOM_HOST_ENABLED", "1")], &[]).err().expect("refused");
    assert_eq!(error.kind, Kind::Usage);
    assert!(error.what.contains("DD_SBOM_HOST_ENABLED"), "{error}");
    assert!(root.plan(&[("DD_SBOM_HOST_ENABLED", "0")], &[]).is_ok());
}

#[test]
fn an_agent_that_is_too_old_for_a_setting_is_told() {
    let root = Root::new(&["datadog-agent=1:7.58.2-1"]);
    root.write(datadog(), "api_key: x\n");
    let error = root.plan(&[("DD_REMOTE_UPDATES", "1")], &[]).err().expect("refused");
    assert_eq!(error.kind, Kind::Prerequisite);
    assert!(error.what.contains("DD_REMOTE_UPDATES needs Agent 7.69.0"), "{error}");
    assert!(root.plan(&[("DD_REMOTE_UPDATES", "0")], &[]).is_ok());
}

#[test]
fn off_makes_no_file() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\n");
    let path = File::SystemProbe.path();
    assert_eq!(root.planned(path, &[("DD_DISCOVERY_ENABLED", "0")], &[]), None);
    assert!(root.planned(path, &[("DD_DISCOVERY_ENABLED", "1")], &[]).is_some());
    assert!(root.planned(path, &[("DD_SYSTEM_PROBE_ENSURE_CONFIG", "1")], &[]).is_some());
    root.write(path, "discovery:\n  enabled: true\n");
    let text = root.settle(path, &[("DD_DISCOVERY_ENABLED", "0")], &[]);
    assert!(text.contains("enabled: false"), "{text}");
}

#[test]
fn dotted_keys_beside_nested_ones_are_unified_and_that_is_shown() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\nlogs_config.batch_wait: 3\nlogs_config:\n  open_files_limit: 7\n");
    let sets = ["datadog:logs_config.batch_wait=5"];
    let prepared = root.plan(&[], &sets).expect("a plan");
    let told: Vec<String> = prepared.plan.steps.iter().flat_map(Step::details).collect();
    assert!(told.iter().any(|line| line.contains("dotted key is now in its section")), "{told:?}");
    let text = root.settle(datadog(), &[], &sets);
    let data: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    assert_eq!(data["logs_config"]["batch_wait"].as_i64(), Some(5), "{text}");
}

#[test]
fn what_the_agent_reads_the_same_is_neither_changed_nor_told() {
    let root = Root::new(&[AGENT]);
    let fips = [("DD_FIPS_MODE", "1"), ("DD_SITE", "ddog-gov.com"), ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1")];
    root.write(datadog(), "api_key: x\nfips:\n  port_range_start: \"9803\"\n  enabled: \"true\"\n");
    root.write(File::SystemProbe.path(), "discovery:\n  enabled: \"0\"\n");
    let prepared = root.plan(&fips, &[]).expect("a plan");
    let told: Vec<String> = prepared.plan.steps.iter().flat_map(Step::details).chain(prepared.notes).collect();
    let about = |word: &str| told.iter().any(|line| line.contains(word));
    assert!(!about("port_range_start") && !about("fips.enabled") && !about("discovery"), "{told:?}");
    root.write(datadog(), "api_key: x\nfips:\n  port_range_start: \"9804\"\n");
    root.write(File::SystemProbe.path(), "discovery:\n  enabled: \"1\"\n");
    let prepared = root.plan(&fips, &[]).expect("a plan");
    let told: Vec<String> = prepared.plan.steps.iter().flat_map(Step::details).chain(prepared.notes).collect();
    let about = |word: &str| told.iter().any(|line| line.contains(word));
    assert!(about("port_range_start: 9803 instead of \"9804\"") && about("discovery"), "{told:?}");
}

#[test]
fn another_flavor_that_is_installed_is_named_and_never_removed() {
    for (asked, there, named) in [
        ("datadog-fips-agent", vec![AGENT, "datadog-fips-proxy=1.1.14-1"], "datadog-agent and datadog-fips-proxy"),
        ("datadog-agent", vec!["datadog-iot-agent=1:7.78.1-1"], "datadog-iot-agent"),
        ("datadog-iot-agent", vec![AGENT], "datadog-agent"),
    ] {
        let error = Root::new(&there).plan(&[("DD_AGENT_FLAVOR", asked), KEY], &[]).err().expect("refused");
        assert_eq!(error.kind, Kind::Prerequisite);
        assert!(error.what.contains(named), "{error}");
    }
    // DogStatsD alone stands beside an Agent, and so does the proxy.
    for flavor in ["datadog-dogstatsd", "datadog-fips-proxy"] {
        assert!(Root::new(&[AGENT]).plan(&[("DD_AGENT_FLAVOR", flavor), KEY], &[]).is_ok(), "{flavor}");
    }
}

#[test]
fn an_installed_flavor_stays_where_none_is_named() {
    let root = Root::new(&["datadog-iot-agent=1:7.78.1-1"]);
    root.write(datadog(), "api_key: x\n");
    let prepared = root.plan(&[("DD_TAGS", "a:b")], &[]).expect("a plan");
    assert!(prepared.desired.packages.iter().all(|p| p.name != "datadog-agent"));
    assert!(!prepared.plan.steps.iter().any(|step| matches!(step, Step::Packages(_))));
}

#[test]
fn the_fips_agent_has_its_variable_beside_the_operators_lines() {
    let root = Root::new(&["datadog-fips-agent=1:7.78.1-1"]);
    root.write(datadog(), "api_key: x\nsite: ddog-gov.com\n");
    let path = "/etc/datadog-agent/environment";
    root.write(path, "# mine\nGOFIPS=0\nHTTP_PROXY=x");
    let text = root.settle(path, &[], &[]);
    assert_eq!(text, "# mine\nGOFIPS=0\nHTTP_PROXY=x\nGOFIPS=1\n");
    let old = Root::new(&["datadog-fips-agent=1:7.63.0-1"]);
    old.write(datadog(), "api_key: x\n");
    assert_eq!(old.plan(&[], &[]).err().expect("too old").kind, Kind::Prerequisite);
}

#[test]
fn dogstatsd_alone_has_a_file_of_its_own() {
    let root = Root::new(&["datadog-dogstatsd=1:7.78.1-1"]);
    let given = [("DD_AGENT_FLAVOR", "datadog-dogstatsd"), KEY, ("DD_TAGS", "a:b"), ("DD_SITE", "datadoghq.eu")];
    let text = root.settle(File::Dogstatsd.path(), &given, &["datadog:log_level=debug"]);
    let data: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    assert_eq!(data["site"].as_str(), Some("datadoghq.eu"));
    assert_eq!(data["log_level"].as_str(), Some("debug"));
    let keyless = [("DD_AGENT_FLAVOR", "datadog-dogstatsd")];
    let bare = Root::new(&["datadog-dogstatsd=1:7.78.1-1"]);
    assert_eq!(bare.plan(&keyless, &[]).err().expect("no key").kind, Kind::Usage);
}

#[test]
fn without_an_agent_its_configuration_is_made_for_root_alone() {
    let root = Root::new(&["datadog-signing-keys=1:1.4.0-1"]);
    fs::remove_file(root.path("/etc/datadog-agent/datadog.yaml.example")).expect("no example");
    root.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    let given = [("DD_NO_AGENT_INSTALL", "1"), KEY, ("DD_TAGS", "a:b")];
    let text = root.planned(datadog(), &given, &[]).expect("datadog.yaml");
    assert!(text.contains("api_key:") && text.contains("- a:b"), "{text}");
    let prepared = root.plan(&given, &[]).expect("a plan");
    assert!(!prepared.plan.steps.iter().any(|step| matches!(step, Step::Start { .. })));
}

#[test]
fn all_sources_give_the_same_steps() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "# mine\napi_key: x\nenv: old\n");
    let steps = |inputs: Inputs| {
        let request = Request::new(inputs).expect("a request");
        let host = Host::new(root.0.path()).expect("a host");
        let (events, cancel) = (Events::new(|_| {}), AtomicBool::new(false));
        let access = Access::default();
        let session = Session {
            image: false,
            host: &host,
            events: &events,
            lock_wait: Duration::ZERO,
            access: &access,
            environment: &[],
            cancel: &cancel,
            lock: None,
        };
        let prepared = prepare(session, &request, false).expect("a plan");
        let of = |step: &Step| match step {
            Step::File(file) => format!("{}\n{}", step.describe(), String::from_utf8_lossy(&file.after)),
            _ => format!("{} {:?}", step.describe(), step.details()),
        };
        prepared.plan.steps.iter().map(of).collect::<Vec<_>>()
    };
    let inputs =
        || Inputs { variables: vec![], flags: vec![], sets: vec![], file: None, read: &|_| Err("none".into()) };
    for (key, variable, value) in [
        ("env", "DD_ENV", "prod"),
        ("tags", "DD_TAGS", "a:b,c:d"),
        ("discovery_enabled", "DD_DISCOVERY_ENABLED", "on"),
        ("logs_config_process_collect_all", "DD_LOGS_CONFIG_PROCESS_COLLECT_ALL", "1"),
        ("runtime_security_config_enabled", "DD_RUNTIME_SECURITY_CONFIG_ENABLED", "yes"),
        ("proxy_no_proxy", "DD_PROXY_NO_PROXY", "a b,c"),
    ] {
        let by_variable = steps(Inputs { variables: vec![(variable.into(), value.into())], ..inputs() });
        let by_flag = steps(Inputs { flags: vec![(key, value.into())], ..inputs() });
        let bytes = format!("{key}: {value:?}\n").into_bytes();
        let file = ddinstall::request::InputFile { name: "x".into(), bytes, mode: 0o600 };
        let by_file = steps(Inputs { file: Some(file), ..inputs() });
        assert!(!by_variable.is_empty(), "{key}");
        assert_eq!(by_variable, by_flag, "{key}");
        assert_eq!(by_variable, by_file, "{key}");
    }
}

#[test]
fn page_handles_are_written_to_yaml_so_that_they_read_back() {
    let json = r#"ENC[{"env": "prod", "check": "postgres", "id": "user_password"}]"#;
    let handles = [
        "ENC[api_key]",
        "ENC[user_array[1234]]",
        json,
        "ENC[db_%%host%%]",
        "ENC[a # b]",
        "ENC[it's: \"x\", \\n]",
        "ENC[鍵]",
        "ENC[ x ]",
        "ENC[]",
    ];
    for handle in handles {
        let root = Root::new(&[AGENT]);
        root.write(datadog(), "api_key: old # mine\nsnmp:\n  x: 1\n");
        let variables = [("DD_API_KEY", handle), ("DD_PROXY_HTTPS", handle), ("DD_SECRET_BACKEND_TYPE", "file.yaml")];
        let set = format!("datadog:snmp.password='{}'", handle.replace('\'', "''"));
        let text = root.settle(datadog(), &variables, &[&set]);
        assert!(text.contains("# mine"), "{text}");
        let yaml: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!((&yaml["api_key"], &yaml["snmp"]["password"]), (&handle.into(), &handle.into()), "{text}");
        assert_eq!(yaml["proxy"]["https"], handle);
        let found = handles::in_yaml(text.as_bytes(), Origin::Main).expect("handles");
        let wanted = handle.strip_prefix("ENC[").and_then(|h| h.strip_suffix(']')).expect("a handle");
        let is = |found: &handles::Found| matches!(&found.judged, Judged::Handle { handle, .. } if handle == wanted);
        assert_eq!(found.iter().filter(|found| is(found)).count(), 3, "{text}\n{found:?}");
    }
}

#[test]
fn page_the_backend_is_set_in_datadog_yaml() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\nsecret_backend_arguments:\n  - old\n");
    let variables = [
        ("DD_SECRET_BACKEND_FOLDER", "/run/secrets"),
        ("DD_SECRET_BACKEND_TIMEOUT", "5"),
        ("DD_SECRET_BACKEND_OUTPUT_MAX_SIZE", "2048"),
        ("DD_SECRET_BACKEND_SKIP_CHECKS", "1"),
        ("DD_SECRET_BACKEND_REMOVE_TRAILING_LINE_BREAK", "yes"),
    ];
    fs::create_dir_all(root.path("/run/secrets")).expect("a folder");
    let text = root.settle(datadog(), &variables, &[]);
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    assert_eq!(yaml["secret_backend_command"], "/opt/ddinstall/secret-helper");
    let arguments: serde_yaml::Value = serde_yaml::from_str("[secrets, read, /run/secrets]").expect("YAML");
    assert_eq!(yaml["secret_backend_arguments"], arguments);
    assert_eq!((&yaml["secret_backend_timeout"], &yaml["secret_backend_output_max_size"]), (&5.into(), &2048.into()));
    assert_eq!(yaml["secret_backend_skip_checks"], true);
    assert_eq!(yaml["secret_backend_remove_trailing_line_break"], true);
}

#[test]
fn a_key_that_is_a_handle_needs_a_backend_that_the_agent_would_run() {
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: x\n");
    let handle = ("DD_API_KEY", "ENC[key]");
    let refused = |more: &[(&str, &str)]| {
        let variables: Vec<(&str, &str)> = [&[handle], more].concat();
        root.backend_on_a_host(&variables).err().map(|error| (error.kind, error.what))
    };
    let (kind, what) = refused(&[]).expect("refused");
    assert!(root.plan(&[handle], &[]).is_ok(), "an image's backend may come when it is started");
    assert!(kind == Kind::Usage && what.contains("no secret backend"), "{what}");
    let (kind, what) = refused(&[("DD_SECRET_BACKEND_COMMAND", "/opt/helper")]).expect("refused");
    assert!(kind == Kind::Prerequisite && what.contains("/opt/helper"), "{what}");
    root.write("/opt/helper", "#!/bin/sh\n");
    let (_, what) = refused(&[("DD_SECRET_BACKEND_COMMAND", "/opt/helper")]).expect("refused");
    assert!(what.contains("'group' or 'others' have rights on it"), "{what}");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(root.path("/opt/helper"), mode).expect("chmod");
    };
    mode(0o700);
    assert_eq!(refused(&[("DD_SECRET_BACKEND_COMMAND", "/opt/helper")]), None);
    mode(0o750);
    let group = ("DD_SECRET_BACKEND_COMMAND_ALLOW_GROUP_EXEC_PERM", "on");
    assert_eq!(refused(&[("DD_SECRET_BACKEND_COMMAND", "/opt/helper"), group]), None);
    // The Agent's own backend, one in the file, and one in the environment of the units.
    assert_eq!(refused(&[("DD_SECRET_BACKEND_TYPE", "file.yaml")]), None);
    mode(0o700);
    root.write("/etc/datadog-agent/environment", "DD_SECRET_BACKEND_COMMAND=/opt/helper\n");
    assert_eq!(refused(&[]), None);
    // Where the handle was in the file before, nothing is refused, and it is said.
    let root = Root::new(&[AGENT]);
    root.write(datadog(), "api_key: ENC[key]\n");
    let notes = root.plan(&[("DD_TAGS", "a:b")], &[]).expect("a plan").notes.join("\n");
    assert!(notes.contains("no secret backend"), "{notes}");
    // A folder that others may write is no place for a helper.
    root.write("/helper", "#!/bin/sh\n");
    fs::create_dir_all(root.path("/opt")).expect("/opt");
    fs::set_permissions(root.path("/opt"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let error = root.plan(&[("DD_SECRET_BACKEND_HELPER", "/helper")], &[]).err().expect("refused");
    assert!(error.what.contains("mode 0777"), "{error}");
}

const GOV: &str = "api_key: x\nsite: ddog-gov.com\n";
const PROXY: &str = "datadog-fips-proxy=1.1.14-1";

/// Nobody has asked for FIPS here but the file: what CWS turns on goes past the proxy all the same.
#[test]
fn what_the_files_have_on_stays_on_whole() {
    let root = Root::new(&[AGENT, PROXY]);
    root.write(datadog(), &format!("{GOV}fips:\n  enabled: true\n"));
    let text = root.settle(File::SystemProbe.path(), &[("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "1")], &[]);
    for line in ["  activity_dump:\n    enabled: false\n", "discovery:\n  enabled: false\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(root.settle(datadog(), &[], &[]).contains("https: false"));
    // And the other way round.
    let root = Root::new(&[AGENT, PROXY]);
    root.write(datadog(), GOV);
    root.write(File::SystemProbe.path(), "runtime_security_config:\n  enabled: true\n");
    let text = root.settle(File::SystemProbe.path(), &[("DD_FIPS_MODE", "1")], &[]);
    assert!(text.contains("  activity_dump:\n    enabled: false\n"), "{text}");
    // What is turned off is not on because a file says so.
    let off = root.plan(&[("DD_FIPS_MODE", "0"), ("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "0")], &[]).expect("a plan");
    assert_eq!((off.asked.fips, off.asked.cws), (Some(false), Some(false)));
}

#[test]
fn fips_is_on_in_whatever_words_the_file_has_for_it() {
    for word in ["true", "\"true\"", "\"1\"", "yes", "on"] {
        let root = Root::new(&[AGENT, PROXY]);
        root.write(datadog(), &format!("{GOV}fips:\n  enabled: {word}\n"));
        let error = root.plan(&[("DD_FIPS_MODE", "0")], &[]).err().unwrap_or_else(|| panic!("{word}: planned"));
        assert!(error.what.contains("DD_FIPS_MODE is off, and this host has FIPS on"), "{word}: {error}");
        assert!(root.plan(&[("DD_SBOM_HOST_ENABLED", "1")], &[]).is_err(), "{word}");
    }
}

#[test]
fn the_agent_looks_for_the_proxy_where_it_listens() {
    let fips = [("DD_FIPS_MODE", "1")];
    for (address, mended) in
        [("10.0.0.5", true), ("::1", true), ("127.0.0.2", true), ("127.0.0.1", false), ("localhost", false)]
    {
        let root = Root::new(&[AGENT, PROXY]);
        root.write(datadog(), &format!("{GOV}fips:\n  local_address: \"{address}\" # mine\n"));
        let text = root.settle(datadog(), &fips, &[]);
        assert!(text.contains(if mended { "\"127.0.0.1\" # mine" } else { address }), "{address}: {text}");
    }
    let root = Root::new(&[AGENT, PROXY]);
    root.write(datadog(), GOV);
    assert!(!root.settle(datadog(), &fips, &[]).contains("local_address"));
}

/// What no setting is for, given by path.
#[test]
fn what_bypasses_is_refused_by_its_path_too() {
    let root = Root::new(&[AGENT, PROXY]);
    root.write(datadog(), GOV);
    for (set, refused) in [
        ("datadog:fips.local_address=10.0.0.1", true),
        ("datadog:fips.local_address=127.0.0.1", false),
        ("datadog:logs_config.additional_endpoints=[{host: x}]", true),
        ("datadog:container_image.enabled=true", true),
        ("datadog:container_image.enabled=false", false),
        ("datadog:Container_Image.Enabled=true", true),
        ("datadog:container_image.enabled=\"true\"", true),
        ("datadog:container_image.enabled=1", true),
        ("datadog:container_image.enabled=yes", true),
        ("datadog:Fips.Local_Address=10.0.0.1", true),
        ("datadog:evp_proxy_config.enabled=true", true),
        ("datadog:log_level=debug", false),
    ] {
        let with = root.plan(&[("DD_FIPS_MODE", "1")], &[set]);
        assert_eq!(with.as_ref().is_err_and(|error| error.kind == Kind::Usage), refused, "{set}: {:?}", with.err());
        if let Err(error) = root.plan(&[], &[set]) {
            panic!("{set}: {error}");
        }
    }
}

#[test]
fn compliance_goes_off_wherever_an_agent_may_read_it() {
    let root = Root::new(&["datadog-agent=1:7.84.0-1"]);
    root.write(datadog(), "api_key: x\ncompliance_config:\n  enabled: true\n");
    root.write(File::SecurityAgent.path(), "compliance_config:\n  enabled: true\n");
    let off = [("DD_COMPLIANCE_CONFIG_ENABLED", "0")];
    for path in [datadog(), File::SecurityAgent.path()] {
        assert!(root.settle(path, &off, &[]).contains("compliance_config:\n  enabled: false"), "{path}");
    }
    root.write(datadog(), "api_key: x\n");
    assert_eq!(root.planned(datadog(), &off, &[]), None);
}
