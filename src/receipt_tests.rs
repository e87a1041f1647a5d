use super::*;

fn host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(folder.path()).unwrap();
    (folder, host)
}

#[test]
fn an_image_says_that_its_key_is_to_come_until_the_run_that_brings_it_is_done() {
    let (_folder, host) = host();
    let there = || host.meta(INCOMPLETE).unwrap().is_some();
    let mut receipt = Receipt { built: Some(1_735_689_600), ..Receipt::default() };
    receipt.begin(Asked { no_key: true, ..Asked::default() });
    assert_eq!(receipt.runs[0].started, "2025-01-01T00:00:00Z");
    receipt.end(&host, Outcome::Done).unwrap();
    assert!(there());
    receipt.begin(Asked::default());
    receipt.intend(&host, "the key".into(), Vec::new()).unwrap();
    assert!(there(), "it may be cut off here");
    receipt.end(&host, Outcome::Done).unwrap();
    assert!(!there());
    receipt.take_back(&host, 2).unwrap();
    receipt.taken_back(&host, 2).unwrap();
    assert!(there(), "the key is gone again");
}

fn one_step(receipt: &mut Receipt, host: &Host, what: &str) {
    receipt.begin(Asked::default());
    host.make_dirs(STATE, &PRIVATE_FOLDER).unwrap();
    host.write("/file", what.as_bytes(), &PRIVATE).unwrap();
    let before = host.read("/file").unwrap().unwrap();
    let undo = receipt.back_up(host, "/file", &before, "hash".into()).unwrap();
    receipt.intend(host, what.into(), vec![undo]).unwrap();
}

#[test]
fn an_uninstallation_that_was_cut_off_and_the_next_run_are_one_change() {
    let (_folder, host) = host();
    let mut receipt = Receipt::default();
    for (what, outcome) in [("a", Outcome::Done), ("b", Outcome::Done), ("c", Outcome::Open)] {
        one_step(&mut receipt, &host, what);
        receipt.end(&host, outcome).unwrap();
    }
    receipt.take_back(&host, 2).unwrap();
    one_step(&mut receipt, &host, "d");
    let outcomes: Vec<_> = receipt.runs.iter().map(|run| (run.id, run.outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::Done), (2, Outcome::Open)]);
    let steps: Vec<&str> = receipt.runs[1].steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(steps, ["b", "c", "d"]);
    let copies = |host: &Host| {
        let tree = host.list_tree(BACKUPS).unwrap();
        let mut copies: Vec<_> = tree.into_iter().filter_map(|(path, _)| Some(host.read(path).ok()??.bytes)).collect();
        copies.sort();
        copies
    };
    assert_eq!(copies(&host), [b"a", b"b", b"c", b"d"]);
    receipt.take_back(&host, 2).unwrap();
    receipt.taken_back(&host, 2).unwrap();
    assert_eq!(copies(&host), [b"a"]);
    assert_eq!(Past::load(&host).unwrap().receipt(), receipt);
}

/// A run with one step, and how it ended.
fn run_of(receipt: &mut Receipt, host: &Host, what: &str, outcome: Outcome) {
    one_step(receipt, host, what);
    receipt.end(host, outcome).unwrap();
}

#[test]
fn a_run_that_was_taken_back_hides_none_that_was_cut_off() {
    let (_folder, host) = host();
    let mut receipt = Receipt::default();
    run_of(&mut receipt, &host, "a", Outcome::Kept);
    run_of(&mut receipt, &host, "b", Outcome::Done);
    receipt.take_back(&host, 2).unwrap();
    receipt.taken_back(&host, 2).unwrap();
    assert!(receipt.is_unfinished(), "the first one was kept as it was");
    receipt.take_back(&host, 1).unwrap();
    assert_eq!(receipt.cut_off().map(|run| run.id), Some(1));
    one_step(&mut receipt, &host, "c");
    let steps: Vec<&str> = receipt.standing().flat_map(|run| &run.steps).map(|step| step.what.as_str()).collect();
    assert_eq!(steps, ["a", "c"], "the second one stays taken back");
}

#[test]
fn no_copy_is_written_over_another() {
    let (_folder, host) = host();
    let mut receipt = Receipt::default();
    run_of(&mut receipt, &host, "a", Outcome::Done);
    run_of(&mut receipt, &host, "b", Outcome::Done);
    receipt.take_back(&host, 1).unwrap();
    run_of(&mut receipt, &host, "c", Outcome::Done);
    run_of(&mut receipt, &host, "d", Outcome::Done);
    for undo in receipt.runs.iter().flat_map(|run| &run.steps).flat_map(|step| step.undo.iter().zip([&step.what])) {
        let (Undo::RestoreFile { backup, .. }, what) = undo else { continue };
        assert_eq!(host.read(backup).unwrap().unwrap().bytes, what.as_bytes(), "{backup}");
    }
}

#[test]
fn a_receipt_of_a_later_format_is_told_from_a_broken_one() {
    let (_folder, host) = host();
    let mut receipt = Receipt::default();
    run_of(&mut receipt, &host, "a", Outcome::Done);
    let text = String::from_utf8(host.read(RECEIPT).unwrap().unwrap().bytes).unwrap();
    let later = text.replacen("\"format\": 2", "\"format\": 3", 1).replacen("restore_file", "restore_link", 1);
    host.write(RECEIPT, later.as_bytes(), &PRIVATE).unwrap();
    let error = Past::load(&host).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("run the newer ddinstall that wrote it"), "{error}");
}

#[test]
fn what_scripts_of_a_killed_run_made_is_told_from_what_came_later() {
    let (_folder, host) = host();
    let mut receipt = Receipt::default();
    let me = host.meta("/").unwrap().unwrap().attributes();
    receipt.begin(Asked::default());
    let undos = ["/kept", "/changed"].map(|path| {
        host.write(path, b"", &Attributes { mode: 0o644, ..me }).unwrap();
        Undo::RestoreAttributes { path: path.into(), uid: me.uid, gid: me.gid, mode: 0o644, made: None }
    });
    receipt.intend(&host, "packages".into(), undos.into()).unwrap();
    host.set_attributes("/changed", &Attributes { mode: 0o640, ..me }).unwrap();
    // Killed here; the next run goes on.
    receipt.begin(Asked::default());
    receipt.settle_attributes(&host).unwrap();
    receipt.intend(&host, "file".into(), Vec::new()).unwrap();
    host.set_attributes("/changed", &Attributes { mode: 0o600, ..me }).unwrap();
    receipt.settle_attributes(&host).unwrap();
    let made = Some((me.uid, me.gid, 0o640));
    let known = Undo::RestoreAttributes { path: "/changed".into(), uid: me.uid, gid: me.gid, mode: 0o644, made };
    assert_eq!(receipt.runs[0].steps[0].undo, [known]);
}
