//! How documents are read: what decides where a file and a variable differ, what a text is, and how a command is split.

use ddinstall::review::{Review, review};

fn read(text: &str) -> Review {
    review(text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}\n{text}"))
}

/// What the chart turns on by itself and would go past the proxy: the values that helm-values.txt marks.
#[test]
fn what_the_chart_has_on_by_default_is_asked_for() {
    let list = include_str!("helm-values.txt");
    let marked: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(" bool on")).collect();
    assert_eq!(marked.len(), 5, "{marked:?}");
    let least = "fips: {enabled: true}\ndatadog: {securityAgent: {runtime: {enabled: true}}}\n";
    let places = |text: &str, rule: &str| -> Vec<String> {
        let found = read(text).findings;
        found.iter().filter(|f| f.rule == rule).map(|f| f.at[1..].replace('/', ".")).collect()
    };
    let mut found = places(least, "fips-bypass-default");
    found.sort();
    let mut expected = marked.clone();
    expected.sort();
    assert_eq!(found, expected);
    for name in marked {
        let mut value = "true".to_owned();
        for key in name.rsplit('.') {
            value = format!("{{{key}: {value}}}");
        }
        let text = match name.strip_prefix("datadog.") {
            Some(_) => format!("fips: {{enabled: true}}\n{}", &value[1..value.len() - 1]),
            None => format!("{least}{}", &value[1..value.len() - 1]),
        };
        let cws = ["discovery", "activityDump"].iter().any(|part| name.contains(part));
        assert!(cws || places(&text, "fips-bypass").contains(&name.to_owned()), "{name}: {text}");
    }
    // Either of the two turns it off.
    for off in ["remoteConfiguration: {enabled: false}", "datadog: {remoteConfiguration: {enabled: false}}"] {
        let text = format!("fips: {{enabled: true}}\n{off}\n");
        assert!(!places(&text, "fips-bypass-default").iter().any(|at| at.contains("remote")), "{off}");
    }
}
