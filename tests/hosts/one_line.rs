//! `curl … | sh`: install.sh and a release of the program under test, at https://install.mirror.test.

use super::common::*;
use super::secrets::files_with;
use crate::lab::{Host, Invocation, KEY, Signer, Suite, fingerprint, ran};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const SITE: &str = "https://install.mirror.test";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const NAME: &str = "ddinstall-x86_64";
/// A user whom sudo lets, and one whom it does not.
const USERS: &str = "useradd -m ops && useradd -m guest && mkdir -p /etc/sudoers.d &&
    echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops && chmod 0440 /etc/sudoers.d/ops";

/// The program under test without its symbols, as a release has it.
fn binary() -> &'static [u8] {
    static BINARY: OnceLock<Vec<u8>> = OnceLock::new();
    BINARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let program = std::env::var_os("DDINSTALL_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ddinstall")), PathBuf::from);
        let stripped = folder.path().join("ddinstall");
        ran(Command::new("strip").arg("-o").arg(&stripped).arg(program));
        fs::read(stripped).expect("the program")
    })
}

/// A release, as the host's site serves it. The host itself has no ddinstall.
pub(super) struct Release {
    pub(super) host: Host,
    signer: Signer,
    folder: PathBuf,
    script: String,
}

impl Release {
    pub(super) fn new(host: Host) -> Release {
        let (site, signer) = (host.install_site(), Signer::new());
        let folder = site.join(VERSION);
        fs::create_dir(&folder).expect("a folder");
        let mut release = Release { host, signer, folder, script: String::new() };
        release.publish();
        let mut stamp = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/stamp.sh"));
        let script = ran(stamp.args([VERSION, SITE]).arg(release.file("SHA256SUMS")).arg(release.signer.public()));
        fs::write(site.join("install.sh"), &script).expect("install.sh");
        release.host.write("/srv/install.sh", &script, "root:root", 0o644);
        release.host.sh("rm /usr/local/bin/ddinstall");
        release.script = script;
        release
    }

    pub(super) fn sum_of_script(&self) -> String {
        let line = ran(Command::new("sha256sum").arg(self.host.install_site().join("install.sh")));
        line[..64].to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// All files as they were released.
    fn publish(&self) {
        if fs::read(self.file(NAME)).ok().as_deref() != Some(binary()) {
            self.put(NAME, binary());
        }
        self.sums();
        self.signer.sign(&self.file("SHA256SUMS"));
    }

    fn sums(&self) {
        let sums = ran(Command::new("sha256sum").arg(NAME).current_dir(&self.folder));
        self.put("SHA256SUMS", sums);
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(name), bytes).expect(name);
    }

    /// What is typed into a shell, with the variables that most hosts want.
    fn line(&self, line: &str) -> Invocation {
        let variables = format!(
            "DD_API_KEY={KEY} DD_SITE=ddog-gov.com DD_FIPS_MODE=1 DD_RUNTIME_SECURITY_CONFIG_ENABLED=true \
             DD_REPO_KEY_FINGERPRINTS={}",
            fingerprint("signing")
        );
        // In no argument: a shell reads it as from a terminal.
        self.host.command(&["sh"]).stdin(line.replace("VARIABLES", &variables).replace("ADDRESS", SITE) + "\n")
    }
}

/// What the host fetches files with: the others are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Curl,
    Wget,
    Busybox,
    /// apt's, python's, or openssl, whichever the script takes there.
    Neither,
    Openssl,
}

impl Tool {
    fn alone(self, host: &Host) {
        let programs = [
            ("/usr/bin/curl", self == Tool::Curl),
            ("/usr/bin/wget", self == Tool::Wget),
            ("/usr/lib/apt/apt-helper", self != Tool::Openssl),
            ("/usr/bin/python3", self != Tool::Openssl),
        ];
        host.sh("mkdir -p /srv/hidden; rm -f /usr/local/bin/wget");
        for (program, there) in programs {
            let hidden = format!("/srv/hidden/{}", program.rsplit('/').next().expect("a name"));
            let (from, to) = if there { (hidden.as_str(), program) } else { (program, hidden.as_str()) };
            host.sh(&format!("[ ! -e {from} ] || mv {from} {to}"));
        }
        if self == Tool::Busybox {
            host.sh("ln -s /usr/bin/busybox /usr/local/bin/wget");
        }
    }

    /// The line that people copy; where nothing fetches, the script was brought by other means.
    fn line(self, variables: &str, arguments: &str) -> String {
        match self {
            Tool::Curl => format!("curl -fsSL ADDRESS/install.sh | {variables} sh -s -- {arguments}"),
            Tool::Wget | Tool::Busybox => format!("wget -qO- ADDRESS/install.sh | {variables} sh -s -- {arguments}"),
            Tool::Neither | Tool::Openssl => format!("{variables} sh /srv/install.sh {arguments}"),
        }
    }
}

/// Nothing of the script stays where it works.
#[track_caller]
fn nothing_is_left(host: &Host) {
    assert_eq!(host.sh("find /tmp /var/tmp /run /root /home -name 'ddinstall.*' 2>/dev/null || true"), "");
}

fn one_line_installs(suite: Suite, tools: &[Tool]) -> Release {
    let release = Release::new(Host::fresh(suite).with_layer("tools").boot());
    let host = &release.host;
    host.sh(USERS);
    let mut fresh = true;
    for tool in tools {
        tool.alone(host);
        host.forget_requests();
        // Without rights nothing is even fetched.
        let before = host.quiet_tree();
        let run = release.line(&tool.line("VARIABLES", "")).user("guest").run().exits(4);
        assert!(run.stderr.contains("install.sh: this needs root, and sudo refused\n  run it as root"), "{run}");
        host.changed_nothing_since(&before);
        let requests = host.requests("install.mirror.test");
        assert!(!requests.iter().any(|line| line.contains(NAME)), "{requests:?}");
        release.line(&tool.line("", "-- --version")).user("guest").run().exits(0).says("ddinstall ");
        // The first run, by a user, changes the host; all others say that it is as it should be.
        for user in [Some("ops"), None] {
            let line = release.line(&tool.line("VARIABLES", ""));
            let line = if let Some(user) = user { line.user(user) } else { line };
            let (run, sample) = host.sampling(|| line.run());
            let run = run.exits(0).says(if fresh { "(CWS) is on" } else { "Nothing to do" });
            assert!(
                !run.stderr.contains("install.sh") && !run.stdout.contains(KEY) && !run.stderr.contains(KEY),
                "{run}"
            );
            assert!(sample.rounds > 5, "{} rounds", sample.rounds);
            assert!(sample.in_arguments(KEY).is_empty(), "{:#?}", sample.in_arguments(KEY));
            fresh = false;
        }
        nothing_is_left(host);
    }
    host.verify_by(&release);
    assert_eq!(files_with(host, KEY), [(DATADOG.to_owned(), 0o640)]);
    assert!(!host.sh("journalctl --no-pager -o verbose").contains(KEY));
    release
}

impl Host {
    /// The binary is not on the host: it is fetched for this, too, and the exit code is its own.
    fn verify_by(&self, release: &Release) {
        release.line("sh /srv/install.sh -- verify").run().exits(0);
        self.sh("systemctl stop datadog-fips-proxy");
        release.line("sh /srv/install.sh -- verify").user("ops").run().exits(9);
        self.sh("systemctl start datadog-fips-proxy");
    }
}

#[test]
fn one_line_installs_as_root_and_by_sudo_with_curl_wget_and_neither() {
    let release = one_line_installs(Suite::Bookworm, &[Tool::Curl, Tool::Wget, Tool::Neither]);
    other_ways_to_say_it(&release);
}

#[test]
#[ignore = "bookworm stands for them: --long"]
fn one_line_installs_on_the_other_distributions() {
    for suite in [Suite::Bullseye, Suite::Trixie, Suite::El9, Suite::Sles15] {
        one_line_installs(suite, &[Tool::Neither, Tool::Wget, Tool::Curl]);
    }
    one_line_installs(Suite::Bookworm, &[Tool::Busybox, Tool::Openssl]);
}

/// The official script's own line with another address, and what else people do.
fn other_ways_to_say_it(release: &Release) {
    let host = &release.host;
    Tool::Curl.alone(host);
    let run = release.line("VARIABLES bash -c \"$(curl -L ADDRESS/install.sh)\"").run().exits(0).says("Nothing to do");
    assert!(!run.stderr.contains("install.sh"), "{run}");
    // doas in place of sudo, a key on standard input, /tmp where nothing may be run, and a copy that is kept.
    host.sh("mv /usr/bin/sudo /root/sudo; echo 'permit nopass ops' > /etc/doas.conf; chmod 0400 /etc/doas.conf");
    host.sh("mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp");
    host.write("/srv/key", KEY, "ops:ops", 0o400);
    let line = "DD_TAGS=\"owner:it's me,key:\\$(id)\" sh /srv/install.sh --to /usr/local/bin -- install --api-key-file - < /srv/key";
    let (run, sample) = host.sampling(|| release.line(line).user("ops").run());
    run.exits(0);
    assert_eq!(host.yaml(DATADOG)["tags"][0], "owner:it's me");
    assert_eq!(host.yaml(DATADOG)["tags"][1], "key:$(id)");
    assert!(sample.in_arguments(KEY).is_empty() && sample.in_environments(KEY).is_empty());
    assert_eq!(host.bytes("/usr/local/bin/ddinstall"), binary());
    assert_eq!(
        (host.mode("/usr/local/bin/ddinstall"), host.owner("/usr/local/bin/ddinstall")),
        (0o755, "root:root".into())
    );
    release.line("VARIABLES sh /srv/install.sh").user("guest").run().exits(4).says("this needs root, and doas refused");
    host.sh("mv /usr/bin/doas /root");
    let run = release.line("VARIABLES sh /srv/install.sh").user("guest").run().exits(4);
    assert!(run.stderr.contains("neither sudo nor doas"), "{run}");
    nothing_is_left(host);

    // Without a network: the release's folder was brought here, and a mirror's redirect is followed where there is one.
    host.forget_requests();
    fs::create_dir_all(host.path("/srv/release").join(VERSION)).expect("a folder");
    for name in [NAME, "SHA256SUMS", "SHA256SUMS.asc"] {
        fs::copy(release.file(name), host.path("/srv/release").join(VERSION).join(name)).expect(name);
    }
    let offline = "DDINSTALL_BASE_URL=file:///srv/release/ sh /srv/install.sh --require-signature -- --version";
    release.line(offline).run().exits(0).says("ddinstall ");
    assert!(host.requests("install.mirror.test").is_empty());
    release.line("DDINSTALL_BASE_URL=ADDRESS/moved sh /srv/install.sh -- --version").run().exits(0).says("ddinstall ");

    // A machine that is none of ours.
    for (option, name, said) in
        [("-m", "riscv64", "ddinstall is for x86_64 and aarch64"), ("-s", "FreeBSD", "for Linux")]
    {
        let fake = format!("#!/bin/sh\n[ \"$1\" != {option} ] && exec /usr/bin/uname \"$@\"\necho {name}\n");
        host.write("/usr/local/bin/uname", fake, "root:root", 0o755);
        release.line("VARIABLES sh /srv/install.sh").run().exits(3).says(said);
    }
}

#[test]
fn behind_a_proxy() {
    let host = Host::fresh(Suite::Bookworm).with_layer("tools").behind_proxy().boot();
    let release = Release::new(host);
    let host = &release.host;
    host.sh("sed -i s/install.mirror.test// /etc/hosts");
    let proxy = format!("http://lab:{}@127.0.0.1:3128", crate::lab::PROXY_PASSWORD);
    for tool in [Tool::Curl, Tool::Wget, Tool::Neither] {
        tool.alone(host);
        for name in ["https_proxy", "HTTPS_PROXY"] {
            let line = release.line("sh /srv/install.sh -- --version").env(name, &proxy);
            let (run, sample) = host.sampling(|| line.run());
            run.exits(0).says("ddinstall ");
            assert!(sample.in_arguments(crate::lab::PROXY_PASSWORD).is_empty());
        }
        release.line("sh /srv/install.sh -- --version").run().exits(5).says("https_proxy");
    }
    Tool::Openssl.alone(host);
    let run = release.line("sh /srv/install.sh -- --version").env("https_proxy", &proxy).run().exits(5);
    assert!(run.stderr.contains("nothing here fetches files over https"), "{run}");
    assert!(host.proxy_log().matches("CONNECT install.mirror.test:443").count() >= 6);
}

/// One way in which what is served is not what was released.
struct Fault<'a> {
    what: String,
    base: String,
    arguments: &'a str,
    says: &'a str,
    make: Box<dyn Fn(&Release) + 'a>,
}

fn faults(stranger: &Signer) -> Vec<Fault<'_>> {
    fn fault<'a>(what: &str, arguments: &'a str, says: &'a str, make: Box<dyn Fn(&Release) + 'a>) -> Fault<'a> {
        Fault { what: what.into(), base: SITE.into(), arguments, says, make }
    }
    fn without<'a>(name: &'static str) -> Box<dyn Fn(&Release) + 'a> {
        Box::new(move |release| fs::remove_file(release.file(name)).expect(name))
    }
    const PAGE: &str = "<!DOCTYPE html>\n<html><body>Please sign in.</body></html>\n";
    let must = "--require-signature -- --version";
    let plainly = "-- --version";
    let not_released = "is not what was released";
    // apt of Debian 11 takes an empty file for none.
    let nothing_run = "nothing was run";
    let mut faults = vec![
        fault(
            "one byte",
            plainly,
            not_released,
            Box::new(|release| {
                let mut bytes = binary().to_vec();
                bytes[binary().len() / 3] ^= 1;
                release.put(NAME, bytes);
            }),
        ),
        fault(
            "another version, rightly signed",
            plainly,
            "are not those in this script",
            Box::new(|release| {
                release.put(NAME, "#!/bin/sh\ntouch /root/was-run\n");
                release.sums();
                release.signer.sign(&release.file("SHA256SUMS"));
            }),
        ),
        fault(
            "another version's binary alone",
            plainly,
            not_released,
            Box::new(|release| {
                release.put(NAME, "#!/bin/sh\ntouch /root/was-run\n");
            }),
        ),
        fault("no signature", must, "could not be checked", without("SHA256SUMS.asc")),
        fault("no sums", must, "could not be checked", without("SHA256SUMS")),
        fault("no binary", plainly, "cannot fetch", without(NAME)),
        fault(
            "a stranger's signature",
            must,
            "is not the release's",
            Box::new(|release| {
                stranger.sign(&release.file("SHA256SUMS"));
            }),
        ),
        fault(
            "a stranger's signature, not asked for",
            plainly,
            "is not the release's",
            Box::new(|release| {
                stranger.sign(&release.file("SHA256SUMS"));
            }),
        ),
        fault("a page for the binary", plainly, not_released, Box::new(|release| release.put(NAME, PAGE))),
        fault(
            "a page for the sums",
            plainly,
            "is not the release's",
            Box::new(|release| release.put("SHA256SUMS", PAGE)),
        ),
        fault(
            "a page for the signature",
            plainly,
            "is not the release's",
            Box::new(|release| {
                release.put("SHA256SUMS.asc", PAGE);
            }),
        ),
        fault(
            "pages for all",
            must,
            "is not",
            Box::new(|release| {
                [NAME, "SHA256SUMS", "SHA256SUMS.asc"].iter().for_each(|name| release.put(name, PAGE));
            }),
        ),
    ];
    for quarter in 0..4 {
        let short: Box<dyn Fn(&Release)> =
            Box::new(move |release| release.put(NAME, &binary()[..binary().len() * quarter / 4]));
        faults.push(fault(&format!("{quarter} quarters, and a length that fits"), plainly, nothing_run, short));
    }
    for quarter in 1..4 {
        let what = format!("{quarter} quarters, and then no more");
        let base = format!("{SITE}/cut/quarter{quarter}");
        faults.push(Fault { what, base, arguments: plainly, says: "nothing was run", make: Box::new(|_| {}) });
    }
    let (what, base) = ("redirected to plain http".into(), format!("{SITE}/plain"));
    faults.push(Fault { what, base, arguments: plainly, says: "cannot fetch", make: Box::new(|_| {}) });
    faults
}

/// With the first of the tools all faults, with the others those that a tool may take differently.
fn refuses_what_was_not_released(suite: Suite, tools: &[Tool]) {
    let release = Release::new(Host::fresh(suite).with_layer("tools").boot());
    let (host, stranger) = (&release.host, Signer::new());
    host.write("/usr/local/bin/faults.pl", include_str!("../lab/faults.pl"), "root:root", 0o755);
    host.sh("systemd-run -q --unit=faults /usr/local/bin/faults.pl install.mirror.test");
    host.wait_until("ss -Hltn | grep -q 127.0.0.4:80");
    for tool in tools {
        tool.alone(host);
        // What is right is run.
        let run = |base: &str, arguments: &str| {
            release.line(&format!("sh /srv/install.sh {arguments}")).env("DDINSTALL_BASE_URL", base).run()
        };
        run(SITE, "--require-signature -- --version").exits(0).says("ddinstall ");
        let before = host.asking_tree();
        for fault in faults(&stranger) {
            if *tool != tools[0] && fault.base == SITE && fault.what != "no binary" {
                continue;
            }
            (fault.make)(&release);
            let run = run(&fault.base, fault.arguments).exits(5);
            assert!(run.stderr.contains(fault.says), "{tool:?}, {}: {run}", fault.what);
            assert!(run.stdout.is_empty(), "{tool:?}, {}: {run}", fault.what);
            let changes = host.asking_tree().changes_since(&before);
            assert!(changes.is_empty(), "{tool:?}, {}: {changes:#?}", fault.what);
            nothing_is_left(host);
            release.publish();
        }
    }
}

#[test]
fn what_was_not_released_is_not_run() {
    refuses_what_was_not_released(Suite::Bookworm, &[Tool::Curl, Tool::Wget, Tool::Neither]);
}

#[test]
#[ignore = "curl and apt stand for them: --long"]
fn what_was_not_released_is_not_run_with_busybox_and_openssl() {
    refuses_what_was_not_released(Suite::Bookworm, &[Tool::Busybox, Tool::Openssl]);
}

#[test]
#[ignore = "bookworm stands for them: --long"]
fn what_was_not_released_is_not_run_on_the_other_distributions() {
    for suite in [Suite::Bullseye, Suite::Trixie, Suite::El9, Suite::Sles15] {
        refuses_what_was_not_released(suite, &[Tool::Neither, Tool::Wget, Tool::Curl]);
    }
}
