//! What a host is like before the test begins.

use super::{Host, KEY, Keys, Repo, Suite, host_sh, set};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Made by [`Host::fresh`]; [`boot`](Builder::boot) makes the host.
#[must_use]
pub struct Builder {
    suite: Suite,
    repo: Repo,
    keys: Keys,
    layer: Option<&'static str>,
    systemd: bool,
    sysv: bool,
    agent: Option<String>,
    packages: Vec<String>,
    files: Vec<File>,
    hosts: Vec<String>,
    tmpfs: Vec<(String, String)>,
    images: Vec<(String, Suite)>,
    os_release: Option<String>,
    proxy: bool,
}

struct File {
    path: String,
    bytes: Vec<u8>,
    owner: String,
    mode: u32,
}

impl Builder {
    pub(super) fn new(suite: Suite) -> Self {
        Builder {
            suite,
            repo: Repo::Good,
            keys: Keys::Good,
            layer: None,
            systemd: true,
            sysv: false,
            agent: None,
            packages: Vec::new(),
            files: Vec::new(),
            hosts: Vec::new(),
            tmpfs: Vec::new(),
            images: Vec::new(),
            os_release: None,
            proxy: false,
        }
    }

    pub fn repo(mut self, repo: Repo) -> Self {
        self.repo = repo;
        self
    }

    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Programs that the base lacks, from a layer over it: `tools` (curl, wget, busybox, sudo, doas), `ssh` (its server,
    /// sudo) or `cloud` (cloud-init and curl, on bookworm).
    pub fn with_layer(mut self, name: &'static str) -> Self {
        self.layer = Some(name);
        self
    }

    /// No systemd runs in it, as in an image build: /run/systemd/system is not there.
    pub fn without_systemd(mut self) -> Self {
        self.systemd = false;
        self
    }

    /// Debian's sysvinit is process 1 (bookworm's, so of that suite); systemd is installed and does not run.
    pub fn with_sysv(mut self) -> Self {
        self.systemd = false;
        self.sysv = true;
        self
    }

    /// Agent 7.58.2 or another version is installed and runs. Unless a file says otherwise, its
    /// datadog.yaml is the example with a key in it.
    pub fn with_agent(mut self, version: &str) -> Self {
        self.agent = Some(version.into());
        self
    }

    /// A further package is installed: the name of its file in the lab's `debs`, up to `_amd64.deb`.
    pub fn with_package(mut self, file: &str) -> Self {
        self.packages.push(file.into());
        self
    }

    /// A file, written after the packages are installed; `owner` is `user:group`.
    pub fn file(mut self, path: &str, bytes: impl AsRef<[u8]>, owner: &str, mode: u32) -> Self {
        self.files.push(File { path: path.into(), bytes: bytes.as_ref().to_vec(), owner: owner.into(), mode });
        self
    }

    /// A line for /etc/hosts. The first line with a name counts, so this one goes on top.
    pub fn hosts_entry(mut self, line: &str) -> Self {
        self.hosts.push(line.into());
        self
    }

    /// A small file system over a folder, for a disk that is full; `size` as for mount, such as `10M`.
    pub fn tmpfs(mut self, path: &str, size: &str) -> Self {
        self.tmpfs.push((path.into(), size.into()));
        self
    }

    /// The root of a system that does not run, as a folder: the base of a suite, which can be written to.
    pub fn image(mut self, path: &str, suite: Suite) -> Self {
        self.images.push((path.into(), suite));
        self
    }

    /// Repositories and keys are reached through a proxy that asks for a password, and by no other way.
    pub fn behind_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Another distribution by its /etc/os-release (everything else stays Debian).
    pub fn os_release(mut self, text: &str) -> Self {
        self.os_release = Some(text.into());
        self
    }

    pub fn boot(self) -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        set();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", self.suite.name(), std::process::id());
        // From here on the host is torn down whatever happens.
        let mut host =
            Host::named(name, self.suite, if self.sysv { Some("sysv") } else { (!self.systemd).then_some("bare") });
        host_sh(&["create", host.name(), self.suite.name(), self.repo.name(), self.layer.unwrap_or_default()]);
        host.serve_keys(self.keys);
        if self.proxy {
            host_sh(&["proxy", host.name()]);
        }

        for (path, size) in &self.tmpfs {
            host.add_tmpfs(path, size);
        }
        for (path, suite) in &self.images {
            host.add_image(path, *suite);
        }
        if !self.hosts.is_empty() {
            let file = host.path("/etc/hosts");
            let text = fs::read_to_string(&file).expect("/etc/hosts");
            fs::write(&file, format!("{}\n{text}", self.hosts.join("\n"))).expect("/etc/hosts");
        }
        if let Some(text) = &self.os_release {
            // A link to /usr/lib/os-release in the base.
            let file = host.path("/etc/os-release");
            let _ = fs::remove_file(&file);
            fs::write(&file, text).expect("/etc/os-release");
        }
        let binary = std::env::var_os("DDINSTALL_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ddinstall")), PathBuf::from);
        let installed = host.path("/usr/local/bin/ddinstall");
        fs::copy(&binary, &installed).unwrap_or_else(|e| panic!("{}: {e}", binary.display()));
        host.boot_again();

        let mut debs: Vec<String> = self.agent.iter().map(|v| format!("datadog-agent_{v}-1")).collect();
        debs.extend(self.packages);
        if host.suite().is_rpm() {
            // Whoever reads rpm's database makes files beside it.
            host.sh("rpm -qa > /dev/null; touch /var/cache");
        }
        for deb in debs {
            install(&host, &deb);
        }
        let own_yaml = self.files.iter().any(|f| f.path == "/etc/datadog-agent/datadog.yaml");
        for file in &self.files {
            host.write(&file.path, &file.bytes, &file.owner, file.mode);
        }
        if self.agent.is_some() {
            if !own_yaml {
                let example = host.read("/etc/datadog-agent/datadog.yaml.example");
                let text = example.replace("\napi_key:\n", &format!("\napi_key: {KEY}\n"));
                host.write("/etc/datadog-agent/datadog.yaml", text.as_bytes(), "dd-agent:dd-agent", 0o640);
            }
            if self.systemd {
                host.sh("systemctl restart datadog-agent");
            }
        }
        host
    }
}

fn install(host: &Host, package: &str) {
    let (file, inside, install) = if host.suite().is_rpm() {
        // Debian's rpm wants to be told that it may.
        (format!("rpms/signing/{package}_amd64.rpm"), "/var/cache/lab.rpm", "rpm -i --force-debian --nosignature")
    } else {
        (format!("debs/{package}_amd64.deb"), "/var/cache/lab.deb", "dpkg -i")
    };
    let file = set().join(file);
    fs::copy(&file, host.path(inside)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    host.sh(&format!("{install} {inside} && rm {inside}"));
}
