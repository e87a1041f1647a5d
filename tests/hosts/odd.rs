//! Odd hosts and hostile surroundings: what we inherit steers nothing, and what is missing is named.

use super::state::State;
use crate::lab::{Host, Invocation, KEY, Suite, fingerprint};

/// An install that a shell begins, after it has changed its own surroundings.
fn from_shell(host: &Host, script: &str) -> Invocation {
    host.command(&["sh", "-c", &format!("{script}; exec /usr/local/bin/ddinstall install")])
        .env("DD_API_KEY", KEY)
        .env("DD_SITE", "ddog-gov.com")
        .env("DD_FIPS_MODE", "1")
        .env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "true")
        .env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"))
}

fn end(host: &Host) -> State {
    host.state().timeless().without(&["/etc/datadog-agent/install.json"])
}

#[test]
fn what_is_inherited_steers_nothing() {
    let host = Host::fresh(Suite::Bookworm).boot();
    for program in ["apt-get", "dpkg", "dpkg-query", "systemctl", "systemd-run", "usermod", "gpgv"] {
        host.write(&format!("/srv/evil/{program}"), "#!/bin/sh\ntouch /srv/steered\n", "root:root", 0o755);
    }
    host.write("/srv/evil/apt.conf", "DPkg::Pre-Invoke { \"touch /srv/steered\"; };\n", "root:root", 0o644);
    host.write("/srv/evil/env.sh", "touch /srv/steered\n", "root:root", 0o644);
    host.write("/srv/evil/Evil.pm", "package Evil; system 'touch /srv/steered'; 1;\n", "root:root", 0o644);
    let before = host.state();
    host.install().exits(0);
    let expected = end(&host);
    host.ddinstall(&["rollback"]).run().exits(0);
    host.state().equals(&before);
    let surroundings = [
        // Everything that could name a program, a file or a library, no room for temporary files, and an open umask.
        "mount -t tmpfs -o noexec,size=64k none /tmp; umask 000; cd /srv/evil; \
         export PATH=/srv/evil LD_PRELOAD=/srv/evil/evil.so LD_LIBRARY_PATH=/srv/evil APT_CONFIG=/srv/evil/apt.conf \
         DPKG_ROOT=/srv/evil DPKG_ADMINDIR=/srv/evil RPM_CONFIGDIR=/srv/evil TMPDIR=/srv/nowhere TMP=/srv/nowhere \
         BASH_ENV=/srv/evil/env.sh ENV=/srv/evil/env.sh PERL5LIB=/srv/evil PERL5OPT=-MEvil HOME=/srv/evil \
         SYSTEMD_UNIT_PATH=/srv/evil SHELL=/srv/evil/dpkg PYTHONPATH=/srv/evil IFS=/",
        // The tightest umask, no locale, hardly a stack, no standard input, no /tmp.
        "umount /tmp; mv /tmp /srv/tmp; umask 777; ulimit -S -s 64; unset LANG; export LC_ALL=tlh_KL.UTF-8 LANGUAGE=tlh; exec 0<&-",
    ];
    for script in surroundings {
        let run = from_shell(&host, script).run().exits(0);
        let changes = end(&host).without(&["/tmp", "/srv/tmp"]).changes_since(&expected.clone().without(&["/tmp"]));
        assert!(changes.is_empty(), "{script}: {changes:#?}\n{run}");
        assert!(!host.exists("/srv/steered"), "{script}: {run}");
        host.verify().exits(0);
        host.ddinstall(&["rollback"]).run().exits(0);
    }
    host.sh("mv /srv/tmp /tmp");
    host.state().equals(&before);
}

#[test]
fn a_host_without_its_books_is_refused() {
    let host = Host::fresh(Suite::Bookworm).boot();
    for folder in ["/var/lib", "/var/lib/dpkg"] {
        host.sh(&format!("mv {folder} /srv/away"));
        let run = host.install().exits(4).says("there is no /var/lib/dpkg/status").says("nothing was changed");
        let left = host.sh(&format!("find {folder} -mindepth 1 2>/dev/null || true"));
        assert_eq!(left, "", "{folder}: {run}");
        host.sh(&format!("rm -rf {folder}; mv /srv/away {folder}"));
    }
    host.install().exits(0);
    host.verify().exits(0);
}
