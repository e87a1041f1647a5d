//! What settings come to: in which file and at which path each lands, and what each flavor is.

use std::collections::BTreeMap;

use ddinstall::config::yaml::{self, Edit, Value};
use ddinstall::desired::{Content, Desired};
use ddinstall::settings::{File, Fixed, TABLE, WithFips};

use super::{Given, KEY, desired, sample};

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
