//! `plan` says what would change, for anybody, and changes nothing.

use super::common::*;
use crate::lab::{Host, Suite};

#[test]
fn a_plan_needs_no_root_and_writes_nothing() {
    let host = Host::fresh(Suite::Bookworm).boot();
    let tree = host.quiet_tree();
    let run = host.asked(&["plan", "--diff", "--detailed-exitcode"]).user("nobody").run().exits(20);
    for text in ["install datadog-agent", "datadog.list", "fips.enabled: true", "api_key: ********"] {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
    assert!(!run.stdout.contains('\u{1b}'), "no colours but on a terminal\n{run}");
    let run = host.asked(&["plan", "--format", "json", "--detailed-exitcode"]).run().exits(20);
    let json = run.json();
    assert_eq!((&json["command"], &json["changed"]), (&"plan".into(), &true.into()), "{run}");
    assert!(json["steps"].as_array().is_some_and(|steps| steps.len() > 8), "{run}");
    host.asked(&["plan"]).run().exits(0);
    host.changed_nothing_since(&tree);
    assert!(host.all_requests().is_empty(), "{:?}", host.all_requests());

    host.install().exits(0);
    let tree = host.quiet_tree();
    host.asked(&["plan", "--detailed-exitcode"]).run().exits(0).says("Nothing to do");
    let json = host.asked(&["plan", "--detailed-exitcode", "--format", "json"]).run().exits(0).json();
    assert_eq!(json["changed"], false);
    // Nobody may not read datadog.yaml: that is said, and not taken for "nothing to do".
    let run = host.asked(&["plan", "--detailed-exitcode"]).user("nobody").run();
    assert!(!run.stdout.contains("Nothing to do") && run.status != Some(0), "{run}");
    host.changed_nothing_since(&tree);
}

#[test]
fn a_plan_of_a_host_with_an_agent_is_what_the_install_then_does() {
    let host = Host::fresh(Suite::Trixie).with_agent("7.58.2").boot();
    host.sh("systemctl is-active datadog-agent");
    let (tree, units) = (host.quiet_tree(), host.invocation_ids());
    let run = host.asked(&["plan", "--diff", "--detailed-exitcode"]).run().exits(20);
    host.changed_nothing_since(&tree);
    assert_eq!(host.invocation_ids(), units);
    for text in ["--- a/etc/datadog-agent/datadog.yaml", "+fips:", "+  enabled: true", "restart datadog-agent.service"]
    {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
    let planned = host.asked(&["plan", "--format", "json"]).run().exits(0).json();
    let done = host.asked(&["install", "--format", "json"]).run().exits(0).json();
    let steps = |json: &serde_json::Value| -> Vec<String> {
        json["steps"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap().to_owned()).collect()
    };
    // The keyring is a step of its own as long as it was not fetched.
    let planned: Vec<String> = steps(&planned).into_iter().map(|kind| kind.replace("keyring", "file")).collect();
    let (mut planned, mut done) = (planned, steps(&done));
    planned.sort();
    done.sort();
    assert_eq!(planned, done);
}

#[test]
fn a_plan_refuses_what_install_would_refuse() {
    let host = Host::fresh(Suite::Bookworm).boot();
    host.asked(&["plan"]).env("DD_SITE", "datadoghq.eu").run().exits(2).says("DD_SITE");
    host.asked(&["plan"]).env("DD_API_KEY", "").run().exits(2).says("DD_API_KEY");
    host.sh(SQUATTER);
    host.wait_until("ss -Hltn | grep -q :9804");
    host.asked(&["plan"]).run().exits(4).says("9804");
    host.write(DATADOG, "a: [\n", "root:root", 0o644);
    host.asked(&["plan"]).run().exits(7).says("line");
}
