//! Five settings in a full-size example file, in both layouts: done right, and in less than 10 ms in a release build.
//! `cargo test --release --test yaml_speed -- --nocapture` prints the figures.

#[path = "yaml/example.rs"]
mod example;

use std::time::{Duration, Instant};

use ddinstall::config::yaml::{Edit, Value, edit, load};
use example::Layout;
use granit_parser::{Parser, options};

fn five() -> Vec<Edit> {
    [
        ("api_key", "00000000000000000000000000000000"),
        ("site", "ddog-gov.com"),
        ("fips.enabled", "true"),
        ("runtime_security_config.activity_dump.enabled", "false"),
        ("compliance_config.enabled", "true"),
    ]
    .iter()
    .map(|(path, value)| Edit::Set {
        path: path.parse().expect("a path"),
        value: match *value {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => Value::Str(text.to_owned()),
        },
    })
    .collect()
}

fn best(mut run: impl FnMut()) -> Duration {
    (0..20)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .expect("runs")
}

#[test]
fn five_settings_in_a_full_size_example() {
    for layout in [Layout::Classic, Layout::New] {
        let text = example::datadog(layout);
        assert!(text.len() > 180_000);
        let edits = five();
        let done = edit(text.as_bytes(), &edits).expect("an edit");
        assert_eq!(done.changes.len(), 5);
        let data = load(done.text.as_bytes()).expect("the result loads");
        for change in &edits {
            let Edit::Set { path, value } = change else {
                continue;
            };
            assert_eq!(data.get(path), Some(value), "{path}");
        }
        let lines = |t: &str| t.lines().count();
        assert_eq!(lines(&text), lines(&done.text), "each setting is activated in its own line");
        let changed: Vec<_> = text.lines().zip(done.text.lines()).filter(|(a, b)| a != b).collect();
        assert_eq!(changed.len(), 9, "{changed:#?}");

        let plain = best(|| {
            let mut settings = options! {};
            settings.set_emit_comments(false);
            Parser::new_from_str_with_options(&text, settings).for_each(|e| {
                e.expect("an event");
            });
        });
        let edited = best(|| {
            edit(text.as_bytes(), &edits).expect("an edit");
        });
        let ratio = edited.as_secs_f64() / plain.as_secs_f64();
        eprintln!(
            "{layout:?}: {} bytes, five settings {edited:?}, one plain parse {plain:?}, {ratio:.1} times",
            text.len()
        );
        if !cfg!(debug_assertions) {
            assert!(edited < Duration::from_millis(10), "{edited:?}");
        }
    }
}
