//! Images: built in a folder from outside, in a container's build, and completed by their first start.

use super::common::*;
use crate::lab::{Container, Host, Invocation, KEY, MIRROR_PASSWORD, MIRROR_USER, Repo, Suite, fingerprint, set};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const INCOMPLETE: &str = "/var/lib/ddinstall/incomplete";

/// What the package managers and the tools of packages' scripts write anew each time, with times in it.
const NOT_OURS: [&str; 12] = [
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    "/var/cache/ldconfig",
    "/var/log/dnf.log",
    "/var/log/dnf.rpm.log",
    "/var/log/dnf.librepo.log",
    "/var/log/hawkey.log",
    "/var/log/zypper.log",
    "/var/log/zypp",
    "/var/lib/dnf",
    "/var/lib/rpm",
];

/// An image that is to be FIPS and CWS, without a key.
fn build(host: &Host, args: &[&str]) -> Invocation {
    host.ddinstall(args)
        .env("DD_SITE", "ddog-gov.com")
        .env("DD_FIPS_MODE", "1")
        .env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "true")
        .env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"))
}

#[test]
fn an_image_is_built_in_a_folder_twice_alike_and_the_machine_notices_nothing() {
    let host = Host::fresh(Suite::Bookworm).image("/srv/a", Suite::Bookworm).image("/srv/b", Suite::Bookworm);
    let host = host.image("/srv/c", Suite::Bookworm).image("/srv/d", Suite::Bookworm).boot();
    // From a mirror that wants a password, which no image keeps.
    let authority = std::fs::read(set().join("mirror/ca.crt")).expect("the authority");
    host.write("/root/ca.crt", authority, "root:root", 0o644);
    let url = format!("https://{MIRROR_USER}:{}@private.test/dd", MIRROR_PASSWORD.replace('/', "%2F"));
    let build = |host: &Host, args: &[&str]| {
        build(host, args).env("TESTING_APT_URL", &url).env("DD_REPO_CA_FILE", "/root/ca.crt")
    };
    // The machine's ports are not the image's.
    host.sh(SQUATTER);
    let (before, units) = (host.quiet_tree(), host.invocation_ids());
    let lists = host.sh("find /srv/a/var/lib/apt /srv/a/var/cache /srv/a/dev /srv/a/run | sort");

    // A key is not taken, unless that is said: nothing is begun.
    // A file was mounted on and taken away in /etc, whose time is another now.
    let strange = |host: &Host| host.image_tree("/srv/a").0.into_keys().filter(|path| path != "/etc").count();
    assert_eq!(strange(&host), 0);
    let refused = build(&host, &["install", "--root", "/srv/a"]).env("DD_API_KEY", KEY).run().exits(2);
    assert!(refused.stderr.contains("DD_API_KEY: --no-key (which --root implies)"), "{refused}");
    assert!(!refused.stderr.contains(KEY), "{refused}");
    assert_eq!(strange(&host), 0);
    let plan = build(&host, &["plan", "--root", "/srv/a"]).run().exits(0);
    assert!(plan.stdout.contains("install datadog-agent"), "{plan}");
    assert_eq!(strange(&host), 0);

    let run = build(&host, &["install", "--root", "/srv/a"]).run().exits(0).says("nothing was started");
    assert!(run.stdout.contains("The API key is still to come"), "{run}");
    build(&host, &["install", "--root", "/srv/b"]).run().exits(0);
    host.ddinstall(&["verify", "--root", "/srv/a"]).run().exits(0);
    build(&host, &["install", "--root", "/srv/a"]).run().exits(0).says("Nothing to do");

    // Enabled for its first boot; no log, no proof, no lock, no cache, no name of a server of this machine.
    for unit in ["datadog-agent", "datadog-fips-proxy", "datadog-agent-sysprobe"] {
        assert!(host.holds(&format!("test -L /srv/a/etc/systemd/system/multi-user.target.wants/{unit}.service")));
    }
    assert_eq!(host.sh("ls /srv/a/var/lib/ddinstall"), "backups\nincomplete\nreceipt.json");
    assert!(!host.exists("/srv/a/var/log/ddinstall"));
    assert_eq!(host.sh("find /srv/a/var/lib/apt /srv/a/var/cache /srv/a/dev /srv/a/run | sort"), lists);
    assert!(!host.exists("/srv/a/etc/hosts"));
    assert!(host.yaml("/srv/a/etc/datadog-agent/datadog.yaml")["fips"]["enabled"] == true);

    // Twice alike, but for what is others' to write.
    let tree = |image| host.image_tree(image).without(&NOT_OURS).without_times();
    assert_eq!(tree("/srv/b").changes_since(&tree("/srv/a")), [""; 0]);
    a_build_that_is_killed_leaves_nothing_in_the_end(&host, build(&host, &["install", "--root", "/srv/c"]));
    a_build_whose_first_process_is_killed_takes_itself_back(&host, build(&host, &["install", "--root", "/srv/d"]));
    // dpkg keeps the step before the last one; the receipt tells of both tries.
    let tree = |image| tree(image).without(&["/var/lib/ddinstall", "/var/lib/dpkg/status-old"]);
    assert_eq!(tree("/srv/c").changes_since(&tree("/srv/b")), [""; 0]);

    // The machine: no file, no unit, no process, no mount.
    assert_eq!(host.quiet_tree().without(&["/srv"]).changes_since(&before.without(&["/srv"])), [""; 0]);
    assert_eq!(host.invocation_ids(), units);
    assert_eq!(host.sh("grep -c /srv/ /proc/self/mountinfo"), "4", "the images' own");
    assert!(!host.holds("ls -l /proc/*/root | grep -q /srv/"));
}

/// The build of /srv/c is killed in its transaction, and run again.
fn a_build_that_is_killed_leaves_nothing_in_the_end(host: &Host, build: Invocation) {
    let mut child = build.spawn();
    // The one out here, and the one inside with all that it started.
    host.sh("until test -e /srv/c/opt/datadog-agent; do sleep 0.01; done
         outer=$(pidof ddinstall); kill -KILL $(cat /proc/$outer/task/$outer/children) $outer");
    let _ = child.wait();
    let left = ["/srv/c/etc/apt/auth.conf.d/ddinstall.conf", "/srv/c/etc/hosts", "/srv/c/var/lib/ddinstall/traces"];
    for path in left {
        assert!(host.exists(path), "it was to be killed in its transaction: {path}");
    }
    assert!(host.holds("ls /srv/c/var/cache/apt/archives/*.deb"));
    // rpm's and local packages' folders are made by process 1 of each run.
    host.sh("mkdir -p /srv/c/var/cache/ddinstall-1-0123456789abcdef/packages");
    build.run().exits(0).says("nothing was started");
    assert_eq!(host.sh("ls /srv/c/var/lib/ddinstall"), "backups\nincomplete\nreceipt.json");
}

/// The build of /srv/d loses the process that its caller sees.
fn a_build_whose_first_process_is_killed_takes_itself_back(host: &Host, build: Invocation) {
    let mut child = build.spawn();
    host.sh("until test -e /srv/d/opt/datadog-agent; do sleep 0.01; done
         outer=$(pidof ddinstall); inner=$(cat /proc/$outer/task/$outer/children); kill -KILL $outer
         n=0; while test -e /proc/$inner; do n=$((n + 1)); test $n -lt 1800; sleep 0.1; done");
    let _ = child.wait();
    assert!(!host.exists("/srv/d/opt/datadog-agent"));
    assert!(!host.exists("/srv/d/var/lib/ddinstall/incomplete"));
}

/// A folder in which a run finds all to mount on, and no system.
fn bare_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["proc", "sys", "dev", "run", "etc"] {
        std::fs::create_dir(folder.path().join(name)).expect(name);
    }
    folder
}

/// As `buildah unshare` makes one. What this machine has mounted below /sys cannot be left out there.
#[test]
fn a_folder_is_furnished_in_a_user_namespace_too() {
    let folder = bare_folder();
    for command in ["plan", "install"] {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_ddinstall"), command, "--root"]);
        let output = unshare.arg(folder.path()).env("DD_SITE", "ddog-gov.com").output().expect("unshare");
        assert!(String::from_utf8_lossy(&output.stderr).contains("none of apt-get"), "{output:?}");
    }
}

/// The second one is refused at once, and the first one still needs its names of servers.
#[test]
fn two_builds_in_one_folder_take_nothing_from_each_other() {
    let folder = bare_folder();
    let names = || ["etc/hosts", "etc/resolv.conf"].map(|name| folder.path().join(name).exists());
    // Inside, it reads the settings first.
    let build = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddinstall"));
        command.args(["install", "--file", "-", "--root"]).arg(folder.path());
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program")
    };
    let refused = |build: Child| {
        let output = build.wait_with_output().expect("its end");
        assert!(String::from_utf8_lossy(&output.stderr).contains("none of apt-get"), "{output:?}");
    };
    for earlier in [0, 1] {
        let mut builds = Vec::new();
        for _ in 0..2 {
            builds.push(build());
            let started = Instant::now();
            while !builds.iter().all(|build| mounted_inside(build.id(), folder.path())) {
                assert!(started.elapsed().as_secs() < 60, "{:?}", names());
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        refused(builds.swap_remove(earlier));
        assert_eq!(names(), [true; 2]);
        let other = builds.remove(0);
        assert!(mounted_inside(other.id(), folder.path()));
        refused(other);
        assert_eq!(names(), [false; 2]);
    }
}

/// Whether the process inside has its names of servers.
fn mounted_inside(outer: u32, folder: &Path) -> bool {
    let inner = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap_or_default();
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", inner.trim())).unwrap_or_default();
    ["etc/hosts", "etc/resolv.conf"].iter().all(|name| mounts.contains(&format!(" {} ", folder.join(name).display())))
}

#[test]
fn an_image_without_a_key_is_completed_by_its_first_start() {
    let host = Host::fresh(Suite::Bookworm).without_systemd().boot();
    build(&host, &["install"]).run().exits(2).says("DD_API_KEY is not set");
    let run = build(&host, &["install", "--no-key", "--clean", "--profile", "image"]).run().exits(0);
    assert!(run.stdout.contains("The API key is still to come"), "{run}");
    assert!(host.exists(INCOMPLETE));
    assert_eq!(host.sh("find /var/lib/apt/lists /var/cache/apt -type f"), "");
    host.verify().exits(0);

    let host = host.into_booted();
    // Without the key nothing is called done.
    host.ddinstall(&["install"]).run().exits(2).says("DD_API_KEY is not set");
    host.wait_until("systemctl is-failed datadog-agent");
    host.verify().fails("unit.datadog-agent");
    host.forget_requests();
    let run = host.ddinstall(&["install"]).env("DD_API_KEY", KEY).run().exits(0);
    assert!(run.stdout.contains("the Agent sends through it, to ddog-gov.com"), "{run}");
    assert!(!host.exists(INCOMPLETE));
    assert_eq!(host.requests("apt.datadoghq.com"), [""; 0], "packages are there");
    host.verify().exits(0);
    // Taken back, it waits for its key again.
    host.ddinstall(&["rollback"]).run().exits(0);
    assert!(host.exists(INCOMPLETE));
}

#[test]
#[ignore = "an image that does not run stands for it; --long runs it"]
fn a_machine_that_runs_and_becomes_an_image_starts_nothing_without_its_key() {
    for profile in ["host", "image"] {
        let host = Host::fresh(Suite::Bookworm).boot();
        let run =
            build(&host, &["install", "--no-key", "--profile", profile]).run().exits(0).says("nothing was started");
        assert!(!host.holds("pgrep -u dd-agent"), "{run}");
        assert_eq!(host.exists("/var/lib/ddinstall/proof.json"), profile == "host");
        assert!(host.exists(INCOMPLETE));
        host.verify().fails("unit.datadog-agent");
        host.ddinstall(&["install"]).env("DD_API_KEY", KEY).run().exits(0);
        host.verify().exits(0);
    }
}

#[test]
#[ignore = "bookworm stands for them; --long runs it"]
fn rpm_images_and_a_newer_apt_are_built_in_a_folder_too() {
    for suite in [Suite::El9, Suite::Sles15, Suite::Trixie] {
        let host = Host::fresh(Suite::Bookworm).image("/srv/a", suite).image("/srv/b", suite).boot();
        for image in ["/srv/a", "/srv/b"] {
            build(&host, &["install", "--root", image, "--clean"]).run().exits(0).says("nothing was started");
            host.ddinstall(&["verify", "--root", image]).run().exits(0);
            assert_eq!(host.sh(&format!("find {image}/var/cache/dnf {image}/var/cache/zypp {image}/var/lib/apt/lists -type f 2>&1 | grep -v 'No such' || true")), "", "{suite:?}");
        }
        let tree = |image| host.image_tree(image).without(&NOT_OURS).without(&RESTLESS).without_times();
        assert_eq!(tree("/srv/b").changes_since(&tree("/srv/a")), [""; 0], "{suite:?}");
        assert!(host.holds("test -L /srv/a/etc/systemd/system/multi-user.target.wants/datadog-agent.service"));
    }
}

#[test]
#[ignore = "it takes half a minute; --long runs it"]
fn a_build_that_fails_leaves_the_folder_as_it_was() {
    let host = Host::fresh(Suite::Bookworm).repo(Repo::Postinst).image("/srv/a", Suite::Bookworm).boot();
    // But for what dpkg and its helpers note, and the user, whom its package does not take away either.
    let noted = "-e ./var/lib/dpkg/ -e ./var/log/ -e ./var/cache/debconf/ -e ./etc/passwd -e ./etc/group -e ./etc/shadow \
        -e ./etc/gshadow -e ./etc/.pwd.lock";
    let all = format!("cd /srv/a && find . -type f -exec sha256sum {{}} + -o -type l -print | sort | grep -vF {noted}");
    let before = host.sh(&all);
    build(&host, &["install", "--root", "/srv/a"]).run().exits(6).says("taken back");
    let after = host.sh(&all);
    let new: Vec<&str> = after.lines().filter(|line| !before.lines().any(|known| known == *line)).collect();
    assert_eq!(new, [""; 0]);
    assert_eq!(after.lines().count(), before.lines().count());
    // What is no root of a system is refused.
    host.sh("mkdir -p /srv/none/proc");
    build(&host, &["install", "--root", "/srv/none"]).run().exits(4).says("no root of a system");
    host.sh("mkdir -p /srv/link/proc && ln -s /etc /srv/link/dev");
    build(&host, &["install", "--root", "/srv/link"]).run().exits(4).says("or a link");
}

/// As process 1, which the kernel spares a signal that it has no handler for.
#[test]
fn a_container_that_is_stopped_while_it_is_completed_ends_at_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let stand_in = "#!/bin/sh\ntrap 'echo taken back; exit 10' TERM\nread -r line\necho \"$line\"\n\
        [ \"$line\" != fail ] || exit 7\nwhile :; do sleep 0.1; done\n";
    std::fs::write(folder.path().join("ddinstall"), stand_in).expect("a stand-in");
    std::fs::set_permissions(folder.path().join("ddinstall"), std::fs::Permissions::from_mode(0o755)).expect("mode");
    let entrypoint = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/container/entrypoint.sh");
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        for (line, status, said) in [("wait\n", 0, "wait\ntaken back\n"), ("fail\n", 7, "fail\n")] {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child"]).args(shell).arg(entrypoint);
            command.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
            let mut container = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare");
            container.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("written");
            let mut heard = String::new();
            let mut output = BufReader::new(container.stdout.take().expect("a pipe"));
            output.read_line(&mut heard).expect("a line");
            let started = Instant::now();
            if status == 0 {
                let first = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.id()));
                let first = first.expect("the first process").trim().parse().expect("a number");
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGTERM).expect("sent");
            }
            while container.try_wait().expect("it").is_none() && started.elapsed().as_secs() < 8 {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            // What has not ended by now would be killed by its runtime.
            let ended = container.try_wait().expect("it");
            container.kill().expect("ended");
            output.read_to_string(&mut heard).expect("text");
            assert_eq!((ended.and_then(|end| end.code()), &*heard), (Some(status), said), "{shell:?}");
        }
    }
}

/// The example of packaging/container, built and run as it is; with CWS where it is asked for.
fn example(suite: Suite, cws: bool) {
    let host = Host::fresh(suite).boot();
    let mut arguments = vec![format!("DD_REPO_KEY_FINGERPRINTS={}", fingerprint("signing"))];
    arguments.extend(cws.then(|| "DD_RUNTIME_SECURITY_CONFIG_ENABLED=true".to_owned()));
    let (container, build) = Container::build(&host, suite, &arguments);
    let build = build.exits(0);
    assert!(build.stdout.contains("nothing was started: no service manager runs here"), "{build}");
    let state = container.in_image("ls var/lib/ddinstall; ls var/log/ddinstall 2> /dev/null || true");
    assert_eq!(state, "backups\nincomplete\nreceipt.json");
    let cached =
        "ls var/lib/apt/lists var/cache/apt var/cache/dnf 2> /dev/null | grep -i -e datadog -e pkgcache || true";
    assert_eq!(container.in_image(cached), "");

    // Without a key it says what is lacking, and ends.
    container.start(&host, &[]);
    container.wait_for_end();
    assert!(container.log().contains("DD_API_KEY is not set"), "{}", container.log());

    host.forget_requests();
    let password = "c4n4ry-5ecret";
    let address = format!("http://lab:{password}@proxy.test:3128");
    container.start(
        &host,
        &[
            ("DD_API_KEY", KEY),
            ("DD_ENV", "lab"),
            ("DD_APP_KEY", password),
            ("DD_REPO_PROXY", &address),
            ("HTTPS_PROXY", &address),
        ],
    );
    let verified = container.wait_until(&["ddinstall", "verify", "--profile", "container"]);
    for line in ["all 16 of them", "datadog-fips-proxy runs: process", "datadog-agent runs: process", "HTTP 403"] {
        assert!(verified.stdout.contains(line), "{line}\n{verified}");
    }
    assert_eq!(verified.stdout.contains("datadog-agent-sysprobe runs: process"), cws, "{verified}");
    assert_eq!(host.requests(suite.repository_host()), [""; 0], "packages are there");
    assert!(!container.exec(&["test", "-e", INCOMPLETE]).exits(1).stdout.contains(KEY));
    assert!(!container.log().contains(KEY));
    // Its processes have neither key nor password in their environment, nor root's rights.
    let environments = container.environments();
    for line in ["sh: DD_ENV=lab", "haproxy: DD_ENV=lab", "agent: DD_ENV=lab"] {
        assert!(environments.contains(line), "{line}\n{environments}");
    }
    assert!(!environments.contains(KEY) && !environments.contains(password), "{environments}");
    let script = "for p in /proc/[0-9]*; do test \"$(cat $p/comm)\" = haproxy && stat -c %U $p; done; true";
    assert_eq!(container.exec(&["sh", "-c", script]).exits(0).stdout.lines().next(), Some("dd-agent"));
    assert!(host.first_request("metrics.agent.ddog-gov.com").contains("key=given"));

    // What ends by itself ends the container; a signal ends it in peace.
    assert_eq!(container.stop("TERM"), "0");
    // A variable of the container's that sends past the proxy is found where no unit tells of it.
    container.start(&host, &[("DD_API_KEY", KEY), ("DD_FIPS_ENABLED", "false")]);
    container.wait_until(&["sh", "-c", "test -s /opt/datadog-agent/run/agent.pid"]);
    let verified = container.exec(&["ddinstall", "verify", "--profile", "container", "--only", "bypass.environment"]);
    verified.exits(9).says("the running datadog-agent.service: DD_FIPS_ENABLED");
    // The container may be gone before the shell is.
    container.exec(&["sh", "-c", "kill $(cat /opt/datadog-agent/run/agent.pid)"]);
    assert_eq!(container.wait_for_end(), "1");
    assert!(container.log().contains("a process has ended"), "{}", container.log());
}

#[test]
fn an_image_that_buildah_builds_runs_as_a_container() {
    example(Suite::Bookworm, false);
}

#[test]
#[ignore = "bookworm stands for them; --long runs it"]
fn images_of_other_distributions_run_as_containers_with_cws() {
    for suite in [Suite::El9, Suite::Trixie] {
        example(suite, true);
    }
}
