//! The installer is killed with SIGKILL, alone, with all that it started, or with the whole host, at the boundaries of its
//! steps and at random instants. One more `ddinstall install` must bring the host to the end of an uninterrupted run,
//! and no configuration file may be seen truncated, missing or readable by others at any instant. Eight kills by default, or
//! DDINSTALL_KILLS; with DDINSTALL_LONG=1 every boundary and 200 random instants. DDINSTALL_SEED chooses other instants.

use super::common::*;
use super::state::State;
use crate::lab::{Host, KEY, Suite};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const KILLS: usize = 8;
const LONG: usize = 200;
const WORKERS: usize = 2;

/// Who dies.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Installer,
    /// Its process group, and the package manager, which runs in a session of its own.
    Group,
    Host,
}

#[derive(Debug, Clone, Copy)]
enum When {
    /// Before or after this rename: a receipt or a file is put in place, which is where steps begin and end.
    Boundary(usize),
    /// After this part of the time that a whole run takes.
    Part(f64),
    /// As soon as this shell script succeeds.
    Once(&'static str),
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    suite: Suite,
    existing: bool,
    victim: Victim,
    when: When,
}

/// What an uninterrupted run comes to.
struct Reference {
    state: State,
    files: BTreeMap<&'static str, Vec<u8>>,
    seconds: f64,
    boundaries: usize,
}

const WATCHED: [&str; 6] = [DATADOG, SYSPROBE, SECURITY, PROXY_CFG, PROXY_LOGS, "/etc/datadog-agent/install_info"];
const OPERATORS: &str = "# Managed by hand.\napi_key: 0ddba11cafe5ca1ab1edecafbadc0ffee\nsite: ddog-gov.com\n";
/// Where the lab's strace is; the id in install.json is another one on each host.
const ASIDE_TOO: [&str; 2] = ["/usr/local", "/etc/datadog-agent/install.json"];
pub const STRACE: &str = "/usr/local/lib/strace";
pub const TRACE: &str = "/usr/local/lib/strace/log";

fn host(suite: Suite, existing: bool) -> Host {
    let mut builder = Host::fresh(suite);
    if existing {
        builder = builder.with_agent("7.58.2").file(DATADOG, OPERATORS, "dd-agent:dd-agent", 0o640);
    }
    let host = builder.boot();
    bring_strace(&host);
    host
}

/// The machine's strace, with the libraries that it needs.
pub fn bring_strace(host: &Host) {
    let folder = host.path(STRACE);
    fs::create_dir_all(&folder).expect("folder");
    let output = Command::new("ldd").arg("/usr/bin/strace").output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    for path in paths.chain(["/usr/bin/strace"]) {
        let name = path.rsplit('/').next().expect("a name");
        fs::copy(path, folder.join(name)).unwrap_or_else(|e| panic!("{path}: {e} (script/setup installs strace)"));
    }
}

/// The words before a command that traces its first thread.
pub fn strace<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let loader = "/usr/local/lib/strace/ld-linux-x86-64.so.2";
    [&[loader, "--library-path", STRACE, "/usr/local/lib/strace/strace", "-qq"], options].concat()
}

fn reference(suite: Suite, existing: bool) -> Arc<Reference> {
    type All = Mutex<BTreeMap<(&'static str, bool), Arc<OnceLock<Arc<Reference>>>>>;
    static KNOWN: OnceLock<All> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let cell = known.lock().expect("lock").entry((suite.name(), existing)).or_default().clone();
    cell.get_or_init(|| Arc::new(make_reference(suite, existing))).clone()
}

fn make_reference(suite: Suite, existing: bool) -> Reference {
    let host = host(suite, existing);
    let words = strace(&["-e", "trace=renameat,rename,renameat2", "-o", TRACE]);
    let begun = Instant::now();
    host.asked_by(&words).run().exits(0);
    Reference {
        seconds: begun.elapsed().as_secs_f64(),
        boundaries: host.read(TRACE).lines().filter(|line| line.starts_with("rename")).count(),
        files: WATCHED.into_iter().chain([suite.repository_files()[0]]).map(|path| (path, host.bytes(path))).collect(),
        state: end_state(&host),
    }
}

fn end_state(host: &Host) -> State {
    let mut state = host.state().timeless().without(&ASIDE_TOO);
    // The packages' scripts give it to dd-agent whenever they run over one that is there, and leave theirs to root.
    state.forget_owner("/etc/datadog-agent/install_info");
    state.forget_killed_user_tools();
    if host.suite().is_rpm() {
        state.forget_killed_managers();
    }
    state
}

impl Host {
    /// An install that another program starts.
    pub fn asked_by(&self, words: &[&str]) -> crate::lab::Invocation {
        self.command(&[words, &["/usr/local/bin/ddinstall", "install"]].concat())
            .env("DD_API_KEY", KEY)
            .env("DD_SITE", "ddog-gov.com")
            .env("DD_FIPS_MODE", "1")
            .env("DD_RUNTIME_SECURITY_CONFIG_ENABLED", "true")
            .env("DD_REPO_KEY_FINGERPRINTS", &crate::lab::fingerprint("signing"))
    }
}

impl Trial {
    fn run(self) -> Result<(), String> {
        let expected = reference(self.suite, self.existing);
        let mut host = host(self.suite, self.existing);
        let watcher = Watcher::start(&host, expected.files.clone(), self.existing);
        self.interrupt(&mut host, expected.seconds);
        let run = host.asked(&["install"]).run();
        let seen = watcher.finish();
        let logs = "cat /var/log/ddinstall/*; ls -l --time-style=full-iso /var/lib/apt/lists /var/cache/apt || true";
        if run.status != Some(0) {
            return Err(format!("the next run failed: {run}\n{}", host.sh(logs)));
        }
        let mut wrong = end_state(&host).changes_since(&expected.state);
        wrong.extend(seen);
        let strays = host.sh("find / /run -xdev \\( -name 'ddinstall-*-*' -o -name '.ddinstall*' \\) -print; ls -d /run/systemd/system/*.d 2>/dev/null || true");
        wrong.extend(strays.lines().map(|line| format!("left behind: {line}")));
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}\n{run}\n{}", host.sh(logs))) }
    }

    fn interrupt(self, host: &mut Host, seconds: f64) {
        let setsid = ["setsid", "--wait"];
        let child = match self.when {
            When::Once(script) => {
                let child = host.asked_by(&setsid).spawn();
                host.wait_until(script);
                child
            }
            When::Part(part) => {
                let child = host.asked_by(&setsid).spawn();
                std::thread::sleep(Duration::from_secs_f64(seconds * part));
                child
            }
            When::Boundary(number) => {
                let inject = format!("inject=renameat:signal=STOP:when={number}");
                let words = [&setsid[..], &strace(&["-e", "trace=renameat", "-e", &inject, "-o", TRACE])].concat();
                let mut child = host.asked_by(&words).spawn();
                let end = Instant::now() + Duration::from_secs(300);
                let trace = host.path(TRACE);
                while !fs::read_to_string(&trace).unwrap_or_default().contains("stopped by SIGSTOP") {
                    assert!(Instant::now() < end, "{self:?}: not stopped in time");
                    if child.try_wait().expect("wait").is_some() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                child
            }
        };
        match self.victim {
            Victim::Installer => drop(host.sh("kill -KILL $(pidof ddinstall) || true")),
            Victim::Group => {
                host.sh(
                    "for pid in $(pidof ddinstall); do kill -s KILL -- -$(cut -d ' ' -f 5 /proc/$pid/stat) || true; done; \
                     for pid in $(pidof -x apt-get dpkg dpkg-deb dnf zypper rpm gpg-agent); do kill -KILL $pid || true; done",
                );
            }
            Victim::Host => {
                host.kill_host();
                drop(child);
                host.boot_again();
                return;
            }
        }
        let _ = child.wait_with_output();
        host.wait_until("! pidof ddinstall");
    }
}

/// Looks at the configuration files, again and again.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Watcher {
    fn start(host: &Host, end: BTreeMap<&'static str, Vec<u8>>, existing: bool) -> Watcher {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let files: Vec<(&'static str, PathBuf, Vec<Vec<u8>>)> = end
            .into_iter()
            .map(|(path, end)| {
                let at = host.path(path);
                let mut whole: Vec<Vec<u8>> = fs::read(&at).into_iter().collect();
                // The packages' own script writes this one first, with the version of dpkg in it.
                if path.ends_with("install_info") {
                    whole.push(Vec::new());
                }
                whole.push(end);
                (path, at, whole)
            })
            .collect();
        let folder = host.path("/etc/datadog-agent");
        let thread = std::thread::spawn(move || {
            let mut wrong = BTreeSet::new();
            let mut there: BTreeSet<&str> = BTreeSet::new();
            while !asked.load(Ordering::Relaxed) {
                for (path, at, whole) in &files {
                    match fs::read(at) {
                        Ok(bytes) => {
                            there.insert(path);
                            if !whole.contains(&bytes) && !path.ends_with("install_info") {
                                wrong.insert(format!("{path} was seen with {} bytes of something else", bytes.len()));
                            }
                        }
                        Err(_) if there.contains(path) => drop(wrong.insert(format!("{path} was missing"))),
                        Err(_) => {}
                    }
                    let secret = *path == DATADOG || *path == SYSPROBE || *path == SECURITY;
                    let mode = fs::symlink_metadata(at).map_or(0, |meta| meta.mode());
                    if secret && mode & 0o007 != 0 {
                        wrong.insert(format!("{path} was seen with mode {:o}", mode & 0o7777));
                    }
                }
                for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                    if entry.file_name().to_string_lossy().starts_with(".ddinstall-") {
                        let mode = entry.metadata().map_or(0, |meta| meta.permissions().mode());
                        if mode & 0o007 != 0 && entry.file_name().to_string_lossy().contains("datadog.yaml") {
                            wrong.insert(format!("{:?} was seen with mode {mode:o}", entry.file_name()));
                        }
                    }
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            if existing && !there.contains(DATADOG) {
                wrong.insert("the watcher saw nothing".into());
            }
            wrong
        });
        Watcher { stop, thread }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("watcher")
    }
}

/// Numbers that look random and are the same in every run of the test.
struct Random(u64);

impl Random {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// Kills in the middle of an rpm transaction: all processes, then the host.
pub(super) fn killed_in_a_transaction(suite: Suite) {
    let unpacked = When::Once("test -e /opt/datadog-agent/embedded");
    let known = When::Once("rpm -q datadog-agent datadog-fips-proxy");
    let trials = [(Victim::Group, unpacked), (Victim::Host, unpacked), (Victim::Group, known)];
    judge(&trials.map(|(victim, when)| Trial { suite, existing: false, victim, when }));
}

fn trials() -> Vec<Trial> {
    let long = std::env::var_os("DDINSTALL_LONG").is_some_and(|v| v == "1");
    let seed = std::env::var("DDINSTALL_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = Random(seed.unwrap_or(5));
    let kills = std::env::var("DDINSTALL_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let victims = [Victim::Installer, Victim::Group, Victim::Host];
    let mut all = Vec::new();
    if !long {
        // Each further system costs a run of its own to compare with.
        let suites = if kills > KILLS { 3 } else { 2 };
        for n in 0..kills {
            let (suite, existing) =
                [(Suite::Bookworm, true), (Suite::Trixie, false), (Suite::Bullseye, false)][n / 3 % suites];
            let boundaries = reference(suite, existing).boundaries;
            let when = match n / 3 % 4 < 2 {
                true => When::Boundary(1 + (random.part() * boundaries as f64) as usize),
                false => When::Part(random.part()),
            };
            all.push(Trial { suite, existing, victim: victims[n % 3], when });
        }
        return all;
    }
    for n in 0..LONG {
        let suite = Suite::ALL[n % 3];
        let existing = n / 3 % 3 == 2;
        all.push(Trial { suite, existing, victim: victims[n / 9 % 3], when: When::Part(random.part()) });
    }
    for (suite, existing) in [(Suite::Bookworm, false), (Suite::Bookworm, true)] {
        for number in 1..=reference(suite, existing).boundaries {
            for (n, victim) in victims.into_iter().enumerate() {
                // Each boundary with each victim on the fresh host; one victim in turn on the other.
                if !existing || number % 3 == n {
                    all.push(Trial { suite, existing, victim, when: When::Boundary(number) });
                }
            }
        }
    }
    all
}

#[test]
fn a_killed_run_is_finished_by_the_next() {
    judge(&trials());
}

fn judge(trials: &[Trial]) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let outcome = std::panic::catch_unwind(|| trial.run());
                    let outcome = outcome.unwrap_or_else(|_| Err("the trial itself failed; see above".into()));
                    let word = if outcome.is_ok() { "recovered" } else { "NOT RECOVERED" };
                    eprintln!("{trial:?}: {word} in {:.1} s", begun.elapsed().as_secs_f64());
                    if let Err(why) = outcome {
                        // At once, too: the others take their time. The plan in the middle is long.
                        let lines: Vec<&str> = why.lines().collect();
                        eprintln!("{}\n…", lines[..lines.len().min(20)].join("\n"));
                        eprintln!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
                        failures.lock().expect("lock").push(format!("{trial:?}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("lock");
    // Past the capture of output: this line is the figure.
    let line = format!("kills: {}, recovered: {}\n", trials.len(), trials.len() - failures.len());
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
