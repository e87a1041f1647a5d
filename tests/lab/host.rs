//! A running host: commands in it, its files from the outside, its servers and its power switch.

use super::sampling::Sampler;
use super::{Builder, Invocation, Keys, Repo, Sample, Suite, Tree, folder, host_sh};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything is waited for: long, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Torn down when dropped. With `DDINSTALL_LAB_KEEP` set, the host of a test that fails stays, and
/// `tests/lab/host.sh exec NAME bash` enters it.
pub struct Host {
    name: String,
    suite: Suite,
    /// How host.sh boots it; None: with systemd.
    mode: Option<&'static str>,
    pid: u32,
    /// Folders that are not on the overlay.
    tmpfs: Vec<String>,
}

impl Host {
    pub fn fresh(suite: Suite) -> Builder {
        Builder::new(suite)
    }

    pub(super) fn named(name: String, suite: Suite, mode: Option<&'static str>) -> Host {
        Host { name, suite, mode, pid: 0, tmpfs: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The host's first process, as numbered out here.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    fn work(&self) -> PathBuf {
        folder().join("hosts").join(&self.name)
    }

    // Commands

    pub fn command(&self, args: &[&str]) -> Invocation {
        Invocation::new(self.pid, self.group(), args)
    }

    pub fn ddinstall(&self, args: &[&str]) -> Invocation {
        self.command(&[&["/usr/local/bin/ddinstall"], args].concat())
    }

    /// Runs a shell script, which must succeed, and returns its output without the last line end.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.command(&["sh", "-ec", script]).run().exits(0).stdout.trim_end().to_string()
    }

    /// Whether a shell script succeeds.
    pub fn holds(&self, script: &str) -> bool {
        self.command(&["sh", "-ec", script]).run().status == Some(0)
    }

    /// Waits until a shell script succeeds.
    #[track_caller]
    pub fn wait_until(&self, script: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let run = self.command(&["sh", "-ec", script]).run();
            if run.status == Some(0) {
                return;
            }
            assert!(Instant::now() < end, "{script}: {run}\n{}", self.journal("datadog*"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn journal(&self, unit: &str) -> String {
        self.command(&["journalctl", "--no-pager", "-o", "short-precise", "-n", "200", "-u", unit]).run().stdout
    }

    /// By unit, the invocation that runs or ran last: another one means that the unit was restarted.
    pub fn invocation_ids(&self) -> BTreeMap<String, String> {
        let units = [
            "datadog-agent",
            "datadog-agent-trace",
            "datadog-agent-process",
            "datadog-agent-sysprobe",
            "datadog-agent-security",
            "datadog-fips-proxy",
        ];
        let text =
            self.sh(&format!("systemctl show -p Id,InvocationID {}", units.map(|u| format!("{u}.service")).join(" ")));
        let field =
            |block: &str, name: &str| block.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().to_string();
        text.split("\n\n").map(|block| (field(block, "Id="), field(block, "InvocationID="))).collect()
    }

    /// Looks at all processes of the host, as often as it can, while the closure runs.
    pub fn sampling<T>(&self, what: impl FnOnce() -> T) -> (T, Sample) {
        let sampler = Sampler::start(self.pid);
        let result = what();
        (result, sampler.finish())
    }

    /// From the outside, the control group that commands join. Without a cgroup2 tree here, none.
    fn group(&self) -> String {
        let top = if fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false) {
            "/sys/fs/cgroup"
        } else {
            "/sys/fs/cgroup/unified"
        };
        let text = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        let path = text.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or_default();
        let group = format!("{top}{}/user.slice/lab", path.trim_end_matches("/init.scope"));
        if fs::create_dir_all(&group).is_ok() { format!("{group}/cgroup.procs") } else { "/dev/null".into() }
    }

    // Files

    /// Where a path of the host is out here. Links are not followed: an absolute one leads elsewhere.
    pub fn path(&self, path: &str) -> PathBuf {
        self.work().join("root").join(path.trim_start_matches('/'))
    }

    #[track_caller]
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// A YAML file of the host.
    #[track_caller]
    pub fn yaml(&self, path: &str) -> serde_yaml::Value {
        serde_yaml::from_str(&self.read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    #[track_caller]
    pub fn mode(&self, path: &str) -> u32 {
        self.path(path).symlink_metadata().unwrap_or_else(|e| panic!("{path}: {e}")).mode() & 0o7777
    }

    /// `user:group`, by the host's names.
    #[track_caller]
    pub fn owner(&self, path: &str) -> String {
        self.command(&["stat", "-c", "%U:%G", path]).run().exits(0).stdout.trim().to_string()
    }

    /// Writes a file, and the folders it is in; `owner` is `user:group` by the host's names.
    #[track_caller]
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>, owner: &str, mode: u32) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().expect("a parent")).unwrap_or_else(|e| panic!("{path}: {e}"));
        fs::write(&file, bytes).unwrap_or_else(|e| panic!("{path}: {e}"));
        self.command(&["chown", owner, path]).run().exits(0);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Everything on disk that is not as in the base system; /run, /proc, /sys and /dev are not on disk.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        tree.add(&self.work().join("upper"), "");
        for path in &self.tmpfs {
            tree.add(&self.path(path), path);
        }
        tree
    }

    /// Whether a path is a folder of the base system.
    pub fn is_base_folder(&self, path: &str) -> bool {
        let base = fs::read_to_string(self.work().join("base")).expect("base");
        PathBuf::from(base.trim()).join(path.trim_start_matches('/')).is_dir()
    }

    // Servers

    /// The folder that https://install.mirror.test serves; `/moved` redirects there, `/plain` does without TLS, and
    /// `/cut/quarter1` to `3` end too early while faults.pl runs.
    pub fn install_site(&self) -> PathBuf {
        let folder = self.work().join("www/install");
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The requests that the vendor's host `name` got, in order: method, path, status, `key=given` or
    /// `key=none`, and the program that asked.
    pub fn requests(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name} ");
        self.all_requests().iter().filter_map(|l| l.strip_prefix(&prefix)).map(str::to_string).collect()
    }

    /// The first request that the vendor's host `name` got, which a server logs once it has answered it.
    #[track_caller]
    pub fn first_request(&self, name: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(first) = self.requests(name).into_iter().next() {
                return first;
            }
            assert!(Instant::now() < end, "nothing was asked of {name}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The requests to all of the vendor's hosts, each with the host's name in front.
    pub fn all_requests(&self) -> Vec<String> {
        let log = |role| fs::read_to_string(self.work().join(format!("log/{role}.log"))).unwrap_or_default();
        (log("web") + &log("intake")).lines().map(str::to_string).collect()
    }

    /// What the proxy of a host behind one was asked for, a line each.
    pub fn proxy_log(&self) -> String {
        fs::read_to_string(self.work().join("log/proxy.log")).unwrap_or_default()
    }

    pub fn forget_requests(&self) {
        for role in ["web", "intake"] {
            fs::File::create(self.work().join(format!("log/{role}.log"))).expect("log");
        }
    }

    pub fn serve(&self, repo: Repo) {
        host_sh(&["serve", &self.name, "repo", repo.name()]);
    }

    pub fn serve_keys(&self, keys: Keys) {
        host_sh(&["serve", &self.name, "keys", keys.name()]);
    }

    /// Connections to the intake are refused from now on.
    pub fn intake_down(&self) {
        host_sh(&["intake", &self.name, "down"]);
    }

    pub fn intake_up(&self) {
        host_sh(&["intake", &self.name, "up"]);
    }

    // Power

    pub fn poweroff(&mut self) {
        host_sh(&["stop", &self.name]);
        self.pid = 0;
    }

    /// Pulls the plug: no process of the host gets a word in.
    pub fn kill_host(&mut self) {
        host_sh(&["stop", &self.name, "kill"]);
        self.pid = 0;
    }

    pub fn boot_again(&mut self) {
        let pid = host_sh(&[&["boot", &self.name], self.mode.as_slice()].concat());
        self.pid = pid.parse().unwrap_or_else(|_| panic!("host.sh boot printed {pid:?}"));
    }

    /// The same host, as an image that was built and is booted with systemd now.
    pub fn into_booted(mut self) -> Host {
        self.kill_host();
        self.mode = None;
        self.boot_again();
        self
    }

    /// Where a folder of [`Builder::image`] keeps what is not as in its base, out here.
    fn image_layer(&self, path: &str) -> PathBuf {
        self.work().join(format!("image{}", path.replace('/', "-")))
    }

    pub(super) fn add_image(&mut self, path: &str, suite: Suite) {
        let (at, layer) = (self.path(path), self.image_layer(path));
        let base = folder().join("base").join(suite.name()).canonicalize().expect("the base of the suite");
        for folder in [&at, &layer.join("upper"), &layer.join("work")] {
            fs::create_dir_all(folder).expect("folder");
        }
        let (base, layer) = (base.display(), layer.display());
        let options = format!("lowerdir={base},upperdir={layer}/upper,workdir={layer}/work");
        nix::mount::mount(Some("image"), &at, Some("overlay"), nix::mount::MsFlags::empty(), Some(options.as_str()))
            .expect("overlay");
    }

    /// Everything in an image that is not as in its base.
    pub fn image_tree(&self, path: &str) -> Tree {
        let mut tree = Tree::default();
        tree.add(&self.image_layer(path).join("upper"), "");
        tree
    }

    pub(super) fn add_tmpfs(&mut self, path: &str, size: &str) {
        let at = self.path(path);
        fs::create_dir_all(&at).expect("folder");
        let options = format!("size={size},mode=755");
        nix::mount::mount(Some("tmpfs"), &at, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(options.as_str()))
            .expect("tmpfs");
        self.tmpfs.push(path.into());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("DDINSTALL_LAB_KEEP").is_some() {
            let _ = fs::write(self.work().join("owner"), "keep 0\n");
            eprintln!("kept: tests/lab/host.sh exec {0} bash; then tests/lab/host.sh destroy {0}", self.name);
            return;
        }
        // A second panic would hide the first.
        let outcome = std::panic::catch_unwind(|| host_sh(&["destroy", &self.name]));
        if outcome.is_err() {
            eprintln!("the host {} was not torn down; the next test run tries again", self.name);
        }
    }
}
