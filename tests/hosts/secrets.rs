//! The API key is in datadog.yaml, in backups that only root may read, and nowhere else.

use super::common::*;
use crate::lab::{Host, KEY, Repo, Run, Sample, Suite};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const OLD_KEY: &str = "0ddba11cafe5ca1ab1edecafbadc0ffe";

/// Files of the host that hold a text, with their modes.
pub(super) fn files_with(host: &Host, text: &str) -> Vec<(String, u32)> {
    fn walk(at: &Path, inside: &str, text: &[u8], found: &mut Vec<(String, u32)>) {
        // On a host that runs, what is listed may be gone.
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let (at, inside) = (entry.path(), format!("{inside}/{}", entry.file_name().to_string_lossy()));
            let Ok(meta) = at.symlink_metadata() else { continue };
            if meta.is_dir() {
                walk(&at, &inside, text, found);
            } else if meta.is_file() && inside != "/usr/local/bin/ddinstall" {
                let bytes = fs::read(&at).unwrap_or_default();
                if String::from_utf8_lossy(&bytes).contains(std::str::from_utf8(text).expect("text")) {
                    found.push((inside, meta.mode() & 0o7777));
                }
            }
        }
    }
    let mut found = Vec::new();
    let upper = host.path("/").join("../upper");
    assert!(upper.is_dir());
    walk(&upper, "", text.as_bytes(), &mut found);
    // What is in memory: /run, with the journal in it.
    let run = host.command(&["grep", "-rlaF", text, "/run", "/tmp", "/dev/shm"]).run();
    found.extend(run.stdout.lines().map(|file| (file.to_owned(), 0)));
    found
}

pub(super) fn no_process_shows(sample: &Sample, key: &str) {
    assert!(sample.rounds > 20, "{} rounds", sample.rounds);
    assert!(sample.in_arguments(key).is_empty(), "{:#?}", sample.in_arguments(key));
    let programs: Vec<&str> = sample.in_environments(key).iter().map(|p| p.program.as_str()).collect();
    assert!(programs.iter().all(|program| *program == "/usr/local/bin/ddinstall"), "{programs:?}");
}

pub(super) fn says_no(run: &Run, keys: &[&str]) {
    for key in keys {
        assert!(!run.stdout.contains(key) && !run.stderr.contains(key), "{key}\n{run}");
    }
}

#[test]
fn the_key_is_nowhere_else_on_a_fresh_host() {
    let host = Host::fresh(Suite::Bookworm).boot();
    says_no(&host.asked(&["plan", "--diff"]).run().exits(0), &[KEY]);
    let (run, sample) = host.sampling(|| host.install());
    let run = run.exits(0);
    no_process_shows(&sample, KEY);
    assert_eq!(sample.in_environments(KEY).len(), 1, "the sampling saw ddinstall itself");
    says_no(&run, &[KEY]);
    assert_eq!(files_with(&host, KEY), [(DATADOG.to_owned(), 0o640)]);
    assert!(!host.sh("journalctl --no-pager -o verbose").contains(KEY));
    says_no(&host.verify(), &[KEY]);
    says_no(&host.asked(&["install", "--format", "json"]).run(), &[KEY]);
    // A key that came by standard input is in no environment at all.
    host.sh("systemctl stop datadog-agent");
    let again = || host.asked(&["install", "--api-key-file", "-"]).env("DD_API_KEY", "").stdin(KEY).run();
    let (run, sample) = host.sampling(again);
    says_no(&run.exits(0), &[KEY]);
    assert!(sample.in_environments(KEY).is_empty(), "{:#?}", sample.in_environments(KEY));
    no_process_shows(&sample, KEY);
}

#[test]
fn neither_the_old_key_nor_the_new_one_is_shown_on_a_host_that_changes_it() {
    let yaml = format!("# ours\napi_key: '{OLD_KEY}'\nsite: ddog-gov.com\nlogs_config:\n  api_key: {OLD_KEY}\n");
    let host = Host::fresh(Suite::Bookworm).with_agent("7.58.2").file(DATADOG, yaml, "dd-agent:dd-agent", 0o640).boot();
    let keys = [KEY, OLD_KEY];
    for args in [&["plan", "--diff"][..], &["plan", "--diff", "--format", "json"]] {
        let run = host.asked(args).run().exits(0);
        says_no(&run, &keys);
        assert!(run.stdout.contains("api_key") && run.stdout.contains("****"), "{run}");
    }
    let (run, sample) = host.sampling(|| host.install());
    says_no(&run.exits(0), &keys);
    for key in keys {
        no_process_shows(&sample, key);
        for (file, mode) in files_with(&host, key) {
            let backup = file.starts_with("/var/lib/ddinstall/backups/") && mode == 0o600;
            assert!(backup || (file == DATADOG && mode == 0o640), "{file} {mode:o}");
        }
    }
    assert_eq!(host.yaml(DATADOG)["api_key"], KEY);
    assert!(files_with(&host, OLD_KEY).iter().any(|(file, _)| file.starts_with("/var/lib/ddinstall/backups/")));
}

#[test]
fn a_failing_run_shows_no_key_either() {
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Crash).boot();
    let (run, sample) = host.sampling(|| host.install());
    says_no(&run.exits(8), &[KEY]);
    no_process_shows(&sample, KEY);
    let left = files_with(&host, KEY);
    assert!(left.is_empty(), "{left:?}");
    // Nor does one that cannot read its input.
    let yaml = format!("api_key: {KEY}\n\tbad: {KEY}\n");
    host.write(DATADOG, yaml, "root:root", 0o640);
    says_no(&host.install().exits(7), &[KEY]);
    says_no(&host.asked(&["install", "--format", "json"]).run().exits(7), &[KEY]);
    says_no(&host.asked(&["install"]).env("DD_SITE", KEY).env("DD_FIPS_MODE", KEY).run().exits(2), &[]);
}
