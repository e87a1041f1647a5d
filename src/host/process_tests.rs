//! Children that talk much, that hang, and that must not be cut.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;

fn live() -> Host {
    Host::new(Path::new("/")).unwrap()
}

fn sh<'a>(script: &str) -> Command<'a> {
    Command::new("sh").args(["-c", script])
}

#[test]
fn a_child_gets_a_clean_environment_and_its_own_session() {
    let out = sh("env; umask; pwd; cat; ps -o sid= -p $$ 2>/dev/null || true; echo $$")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run(&live())
        .unwrap();
    let text = out.stdout_text();
    assert!(out.success(), "{}", out.explain());
    assert!(text.contains("DEBIAN_FRONTEND=noninteractive\n"));
    assert!(text.contains("PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"));
    assert!(text.contains("\n0022\n/\n"));
    assert!(!text.contains("CARGO"));
}

#[test]
fn lines_and_the_exit_code_arrive() {
    let mut lines = Vec::new();
    let out = sh("echo in; echo err >&2; printf 'a\\rb'; exit 3")
        .on_line(|stream, line| lines.push((stream, line.to_owned())))
        .run(&live())
        .unwrap();
    assert_eq!((out.status, out.signal), (Some(3), None));
    assert_eq!(out.stdout, b"in\na\rb");
    let of = |wanted: Stream| -> Vec<&str> {
        let lines = lines.iter().filter(|(s, _)| *s == wanted);
        lines.map(|(_, l)| l.as_str()).collect()
    };
    assert_eq!(of(Stream::Stdout), ["in", "a", "b"]);
    assert_eq!(of(Stream::Stderr), ["err"]);
    assert!(out.explain().starts_with("/usr/bin/sh -c 'echo in; echo err"));
    assert!(out.explain().contains("exit code 3"));
}

#[test]
fn a_deadline_ends_the_whole_group() {
    let started = Instant::now();
    let out = sh("sleep 60 & sleep 60; echo never").deadline(Duration::from_millis(200)).run(&live()).unwrap();
    assert!(out.timed_out() && !out.success());
    assert_eq!(out.stopped, Some(Stop::Deadline));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn silence_is_a_stall_and_talk_is_not() {
    let run = |script, stall| {
        let command = sh(script).stall(Duration::from_millis(stall));
        command.run(&live()).unwrap().stopped
    };
    assert_eq!(run("echo a; sleep 60", 400), Some(Stop::Stall));
    // It lasts longer than it may be silent.
    assert_eq!(run("n=0; until [ $n = 20 ]; do n=$((n + 1)); echo $n; sleep 0.1; done", 1500), None);
}

#[test]
fn a_flag_cancels_but_never_a_transaction() {
    let flag = AtomicBool::new(true);
    let out = sh("sleep 60").cancel(&flag).run(&live()).unwrap();
    assert_eq!(out.stopped, Some(Stop::Cancel));
    assert!(flag.load(Ordering::Relaxed));
    let out = sh("sleep 0.3; echo done")
        .cancel(&flag)
        .stall(Duration::from_millis(50))
        .deadline(Duration::from_millis(50))
        .never_kill()
        .run(&live())
        .unwrap();
    assert_eq!((out.stopped, out.stdout.as_slice()), (None, &b"done\n"[..]));
}

#[test]
fn much_output_is_bounded_and_its_end_kept() {
    for transaction in [false, true] {
        let mut command = sh("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last");
        if transaction {
            command = command.never_kill();
        }
        let out = command.run(&live()).unwrap();
        assert!(out.stdout.len() <= 8 << 20 && out.stdout.len() >= 4 << 20);
        assert!(out.stdout.ends_with(b"x\nlast\n"));
    }
}

#[test]
fn a_status_descriptor_is_heard() {
    let mut status = Vec::new();
    // The last argument is the number of the descriptor. (dash knows those of one digit only.)
    let out = Command::new("bash")
        .args(["-c", "echo 42 >&${1#fd=}; echo out > /dev/stdout; echo more", "bash"])
        .status_fd("fd=")
        .never_kill()
        .on_line(|stream, line| {
            if stream == Stream::Status {
                status.push(line.to_owned());
            }
        })
        .run(&live())
        .unwrap();
    assert!(out.success(), "{}", out.explain());
    assert_eq!(status, ["42"]);
    assert_eq!(out.stdout, b"out\nmore\n");
}

#[test]
fn a_child_that_leaves_a_daemon_behind_is_over_when_it_ends() {
    let started = Instant::now();
    let out = sh("sleep 5 & echo started").run(&live()).unwrap();
    assert_eq!(out.stdout, b"started\n");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_transaction_keeps_the_lock_while_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(folder.path()).unwrap();
    let Locking::Acquired(lock) = host.lock("/lock").unwrap() else {
        panic!("a free lock was not given");
    };
    let path = folder.path().join("lock");
    // The lock is open in the child: its number is among the child's descriptors.
    let out = sh("ls -l /proc/self/fd").holds(&lock).run(&live()).unwrap();
    assert!(out.stdout_text().contains(path.to_str().unwrap()));
}

#[test]
fn a_missing_program_is_named() {
    let error = Command::new("no-such-program").run(&live()).unwrap_err();
    assert!(error.what.contains("no-such-program"));
    assert!(!process::is_installed(&live(), "no-such-program"));
    assert!(process::is_installed(&live(), "sh"));
}

#[test]
fn below_another_root_programs_run_in_a_chroot() {
    if !users::effective_is_root() || cfg!(not(target_env = "musl")) {
        return; // this test's own binary, static, is the only program there
    }
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("usr/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), bin.join("tests")).unwrap();
    let host = Host::new(folder.path()).unwrap();
    let out = Command::new("tests").args(["--list", "chroot"]).run(&host);
    let out = out.unwrap();
    assert!(out.stdout_text().contains("run_in_a_chroot: test"));
    assert!(Command::new("sh").run(&host).is_err());
}

const KILLED: &str = "DDINSTALL_TEST_FOLDER";

/// The victim of the next test: a process that runs a transaction.
#[test]
#[ignore = "run by a_transaction_survives_our_death_and_keeps_the_lock"]
fn a_process_to_be_killed() {
    let Some(folder) = std::env::var_os(KILLED) else {
        return;
    };
    let host = Host::new(Path::new(&folder)).unwrap();
    let Locking::Acquired(lock) = host.lock("/lock").unwrap() else {
        panic!("a free lock was not given");
    };
    // It ends by itself where the test does not come to its end.
    let script = "echo > \"$F/began\"; n=0; until [ -e \"$F/go\" ] || [ $n -ge 600 ]; do n=$((n + 1)); echo much; \
                  echo talk >&2; sleep 0.1; done; echo > \"$F/done\"";
    let command = sh(script).env("F", &folder).holds(&lock).never_kill();
    command.run(&live()).unwrap();
}

#[test]
fn a_transaction_survives_our_death_and_keeps_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(folder.path()).unwrap();
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "host::process_tests::a_process_to_be_killed"])
        .env(KILLED, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = |name: &str| {
        let started = Instant::now();
        while host.meta(name).unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(20), "no {name}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    until("/began");
    victim.kill().unwrap();
    victim.wait().unwrap();
    match host.lock("/lock").unwrap() {
        Locking::HeldBy(pid) => assert_eq!(pid, Some(victim.id())),
        Locking::Acquired(_) => panic!("the lock died with its first owner"),
    }
    std::fs::write(folder.path().join("go"), "").unwrap();
    until("/done");
    let started = Instant::now();
    while matches!(host.lock("/lock").unwrap(), Locking::HeldBy(_)) {
        assert!(started.elapsed() < Duration::from_secs(5), "the lock stays");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_child_is_the_user_that_it_is_told_to_be() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let user = Identity { uid: 12345, gid: 12346, groups: vec![12346, 12347] };
    let output = sh("id -u; id -G; cat /etc/shadow").identity(user).run(&live()).unwrap();
    assert_eq!(output.stdout_text(), "12345\n12346 12347\n");
}
