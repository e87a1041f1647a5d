//! Units on a real systemd: they start services, so they run on a throw-away host only, as root:
//! `ddinstall-… --ignored host::live_tests`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::units::{self, Verdict};
use super::*;

const FOLDER: &str = "/run/systemd/system";
const SETTLE: Duration = Duration::from_millis(600);
const LIMIT: Duration = Duration::from_secs(8);

fn host_with(name: &str, service: &str) -> Host {
    let host = Host::new(Path::new("/")).unwrap();
    assert!(units::systemd_is_pid1(&host), "systemd is not PID 1 here");
    let attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
    let text = format!("[Service]\n{service}\n");
    let path = Path::new(FOLDER).join(name);
    host.write(path, text.as_bytes(), &attributes).unwrap();
    units::daemon_reload(&host).unwrap();
    host
}

fn end(host: &Host, name: &str) {
    let _ = units::stop(host, &[name]);
    let _ = units::reset_failed(host, &[name]);
    host.remove_file(Path::new(FOLDER).join(name)).unwrap();
    units::daemon_reload(host).unwrap();
}

fn verdict(host: &Host, name: &str) -> Verdict {
    let settled = units::settle(host, &[name], SETTLE, LIMIT).unwrap();
    settled[0].verdict
}

#[test]
#[ignore = "starts units"]
fn a_crash_loop_is_seen_although_systemctl_says_0() {
    let name = "ddi-crash.service";
    let script = "ExecStart=/bin/sh -c 'echo about to fail; sleep 0.2; exit 7'\nRestart=always\nRestartSec=0.1";
    let host = host_with(name, script);
    units::start(&host, &[name]).unwrap();
    let settled = units::settle(&host, &[name], SETTLE, LIMIT).unwrap();
    assert_eq!(settled[0].verdict, Verdict::Failed, "{settled:?}");
    let error = units::service_error(&host, &settled[0].unit);
    end(&host, name);
    println!("{error} {:#?}", error.detail);
    assert!(error.detail.iter().any(|l| l.contains("about to fail")));
}

#[test]
#[ignore = "starts units"]
fn a_unit_that_stays_is_up_and_one_that_ends_well_is_down() {
    let stays = "ddi-stays.service";
    let host = host_with(stays, "ExecStart=/bin/sleep 1000");
    units::start(&host, &[stays]).unwrap();
    let started = Instant::now();
    assert_eq!(verdict(&host, stays), Verdict::Up);
    println!("settled in {:?}", started.elapsed());
    let unit = &units::show(&host, &[stays]).unwrap()[0];
    println!("{unit:#?}");
    let pids = sockets::processes_of_unit(&host, &unit.control_group);
    assert_eq!(pids, [unit.main_pid]);
    let process = sockets::process(&host, unit.main_pid);
    assert_eq!(process.unit.as_deref(), Some(stays));
    assert_eq!(unit.invocation_id.len(), 32);
    end(&host, stays);
    let ends = "ddi-ends.service";
    let host = host_with(ends, "ExecStart=/bin/sleep 0.1");
    units::start(&host, &[ends]).unwrap();
    assert_eq!(verdict(&host, ends), Verdict::Down);
    end(&host, ends);
    assert_eq!(verdict(&host, "ddi-absent.service"), Verdict::Failed);
}

#[test]
#[ignore = "starts units"]
fn a_held_unit_does_not_start_and_a_running_one_goes_on() {
    let (new, old) = ("ddi-new.service", "ddi-old.service");
    let host = host_with(old, "ExecStart=/bin/sleep 1000");
    units::start(&host, &[old]).unwrap();
    let before = units::show(&host, &[old]).unwrap();
    let hold = Hold::engage(&host, &[new, old]).unwrap();
    // As a package does it: the unit appears, is reloaded, enabled, started.
    host_with(
        new,
        "ExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target",
    );
    units::start(&host, &[new]).unwrap();
    let during = units::show(&host, &[new, old]).unwrap();
    assert!(!during[0].is_active() && !during[0].condition_result);
    assert_eq!(during[1].invocation_id, before[0].invocation_id);
    assert_eq!(Hold::stale(&host).unwrap().unwrap().units(), [new, old]);
    hold.release().unwrap();
    assert!(Hold::stale(&host).unwrap().is_none());
    units::start(&host, &[new]).unwrap();
    assert_eq!(verdict(&host, new), Verdict::Up);
    assert_eq!(
        units::show(&host, &[old]).unwrap()[0].invocation_id,
        before[0].invocation_id
    );
    end(&host, new);
    end(&host, old);
}

#[test]
#[ignore = "starts units"]
fn a_transaction_in_a_scope_has_a_control_group_of_its_own() {
    let host = Host::new(Path::new("/")).unwrap();
    let out = Command::new("sh")
        .args([
            "-c",
            "cat /proc/self/cgroup; n=${1#fd=}; eval \"echo 1 >&$n\"",
            "sh",
        ])
        .status_fd("fd=")
        .never_kill()
        .scope("ddinstall-test")
        .run(&host)
        .unwrap();
    assert!(out.success(), "{}", out.explain());
    println!("{} {:.4} s", out.stdout_text(), out.seconds);
    assert!(out.stdout_text().contains("system.slice/ddinstall-test-"));
}

#[test]
#[ignore = "measures"]
fn how_long_looking_takes() {
    let host = Host::new(Path::new("/")).unwrap();
    let time = |what: &str, job: &dyn Fn()| {
        let started = Instant::now();
        (0..20).for_each(|_| job());
        println!("{what}: {:.3} ms", started.elapsed().as_secs_f64() * 50.0);
    };
    let names = [
        "dbus.service",
        "systemd-journald.service",
        "ddi-absent.service",
    ];
    let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = _socket.local_addr().unwrap().port();
    time("show", &|| drop(units::show(&host, &names).unwrap()));
    time("journal", &|| {
        drop(units::journal(&host, "systemd-journald.service", 50, None).unwrap());
    });
    time("listeners, none", &|| {
        drop(sockets::listeners(&host, 9803..=9818, &[]).unwrap())
    });
    time("listeners, one", &|| {
        drop(sockets::listeners(&host, port..=port, &[]).unwrap())
    });
    time("users", &|| drop(users::Users::read(&host).unwrap()));
    time("read", &|| drop(host.read("/etc/passwd").unwrap()));
    time("meta", &|| {
        assert!(host.meta("/etc/passwd").unwrap().is_some())
    });
    time("true", &|| drop(Command::new("true").run(&host).unwrap()));
}
