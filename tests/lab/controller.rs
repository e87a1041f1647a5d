//! A machine that runs real Ansible (ansible-core from PyPI), and reaches hosts over real ssh: `sshd -i` in each host
//! speaks with `ssh` out here through a pipe, since hosts have no network to this machine.

use super::{Host, fingerprint, folder};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

/// Who logs in: no root, and sudo wants no password.
pub const USER: &str = "ops";

/// The controller: a folder with a key, an inventory, the collection and the stripped binary.
pub struct Controller {
    folder: tempfile::TempDir,
    /// Where Ansible's programs are.
    programs: PathBuf,
    inventory: serde_json::Map<String, Value>,
}

/// What a run of Ansible said.
#[derive(Debug)]
pub struct Play {
    pub status: Option<i32>,
    pub output: String,
    pub seconds: f64,
}

/// An environment with Ansible in it (tests/lab/setup/ansible.sh); None: this machine has no Python for it.
fn programs(version: &str) -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/setup/ansible.sh");
    let output = Command::new(script).arg(version).output().expect(script);
    if output.status.code() == Some(77) {
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// The binary under test without its symbols, which would only be carried around.
pub fn stripped() -> &'static Path {
    static BINARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = BINARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = std::env::var("DDINSTALL_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ddinstall").into());
        let file = folder.path().join("ddinstall");
        let status = Command::new("strip").arg("-o").arg(&file).arg(&binary).status().expect("strip");
        assert!(status.success(), "strip {binary}");
        (folder, file)
    });
    file
}

impl Controller {
    /// `version` as ansible.sh takes it. None where this machine cannot have it.
    pub fn new(version: &str) -> Option<Controller> {
        let programs = programs(version)?;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at("key")).status();
        assert!(status.expect("ssh-keygen").success());
        let collections = at("collections/ansible_collections/ddinstall");
        fs::create_dir_all(&collections).expect("a folder");
        let collection = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/ansible");
        std::os::unix::fs::symlink(collection, collections.join("ddinstall")).expect("a link");
        fs::create_dir(at("tmp")).expect("a folder");
        Some(Controller { folder, programs, inventory: serde_json::Map::new() })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The version of ansible-core, such as `2.19.14`.
    pub fn version(&self) -> String {
        let output = self.command("ansible").arg("--version").output().expect("ansible");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split(['[', ']']).nth(1).and_then(|v| v.strip_prefix("core ")).unwrap_or_default().to_owned()
    }

    /// Lets Ansible reach a host (with the layer `ssh`) under a name. It is as if it came so: the server is
    /// set up, and what the tests put there goes.
    pub fn add(&mut self, name: &str, host: &Host) {
        let key = fs::read_to_string(self.path("key.pub")).expect("key.pub");
        host.command(&[
            "sh",
            "-ec",
            "id sshd > /dev/null 2>&1 || useradd -r -U -d /run/sshd -s /usr/sbin/nologin sshd
            useradd -m -s /bin/sh -p '*' ops
            mkdir -p /etc/sudoers.d /etc/ssh && echo 'ops ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/ops
            chmod 0440 /etc/sudoers.d/ops
            ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/host_key
            printf 'HostKey /etc/ssh/host_key\\nUsePAM no\\nPrintLastLog no\\nSubsystem sftp internal-sftp\\n' > /etc/ssh/lab
            mkdir -m 0755 -p /run/sshd && mkdir -m 0700 ~ops/.ssh && cat > ~ops/.ssh/authorized_keys && chown -R ops ~ops/.ssh
            rm -f /usr/local/bin/ddinstall",
        ])
        .stdin(&key)
        .run()
        .exits(0);
        let way = format!(
            "-o ProxyCommand='{} exec {} /usr/sbin/sshd -i -f /etc/ssh/lab'",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/host.sh"),
            host.name()
        );
        self.reach(name, &way);
    }

    /// A host that nobody answers for.
    pub fn add_unreachable(&mut self, name: &str) {
        self.reach(name, "-o ProxyCommand=/bin/false");
    }

    fn reach(&mut self, name: &str, way: &str) {
        // Host keys are made with the hosts: nothing is known of them.
        let way = format!("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR {way}");
        self.inventory.insert(name.into(), json!({ "ansible_ssh_common_args": way }));
    }

    /// Gives a host a variable.
    pub fn set(&mut self, name: &str, variable: &str, value: Value) {
        self.inventory[name][variable] = value;
    }

    /// What every task asks for, as in the other tests; further settings go over it.
    pub fn asked(&self, more: Value) -> Value {
        let mut asked = json!({
            "source": super::controller::stripped(),
            "api_key": "{{ datadog_api_key }}", "site": "ddog-gov.com", "fips_mode": true,
            "runtime_security_config_enabled": true, "repo_key_fingerprints": [fingerprint("signing")],
        });
        asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        asked
    }

    /// A play of one task for all hosts.
    pub fn task(&self, module: &str, options: Value, play: Value) -> Value {
        let task = json!({ "name": "The one task", format!("ddinstall.ddinstall.{module}"): options, "become": true });
        let mut whole = json!({ "hosts": "all", "gather_facts": false, "tasks": [task] });
        whole.as_object_mut().expect("an object").extend(play.as_object().expect("an object").clone());
        whole
    }

    /// Runs plays over the hosts whose names are given; all, where none is.
    pub fn run(&self, hosts: &[&str], play: &Value, flags: &[&str]) -> Play {
        let wanted = |name: &str| hosts.is_empty() || hosts.contains(&name);
        let hosts: serde_json::Map<String, Value> =
            self.inventory.iter().filter(|(name, _)| wanted(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        let inventory = json!({ "all": { "hosts": hosts, "vars": {
            "ansible_user": USER, "ansible_ssh_private_key_file": self.path("key"), "datadog_api_key": super::KEY,
        } } });
        // JSON is YAML.
        fs::write(self.path("inventory.yml"), inventory.to_string()).expect("inventory");
        let plays = if play.is_array() { play.clone() } else { json!([play]) };
        fs::write(self.path("play.yml"), plays.to_string()).expect("play");
        let begun = Instant::now();
        let output = self
            .command("ansible-playbook")
            .args(["-i", "inventory.yml", "play.yml"])
            .args(flags)
            .output()
            .expect("ansible-playbook");
        let seconds = begun.elapsed().as_secs_f64();
        let output = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
            + &format!("\nended with {:?} after {seconds:.2} s\n", output.status.code());
        let status = output.rsplit("ended with Some(").next().and_then(|end| end.split(')').next()?.parse().ok());
        Play { status, output, seconds }
    }

    /// A program of Ansible's, with an environment of its own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        let path = format!("{}:{}", self.programs.display(), std::env::var("PATH").unwrap_or_default());
        command.env_clear().env("PATH", path).env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("ANSIBLE_HOME", self.path("home"))
            .env("ANSIBLE_LOCAL_TEMP", self.path("tmp"));
        command.env("ANSIBLE_TIMEOUT", "60");
        command.env("ANSIBLE_COLLECTIONS_PATH", self.path("collections")).env("ANSIBLE_FORKS", "8");
        command.env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.path("cp")).env("DDINSTALL_LAB", folder());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// A PATH with every Python of this machine, without programs that only stand for them (pyenv's shims).
    pub fn pythons(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut folders = vec![self.programs.display().to_string()];
        folders.extend(path.split(':').filter(|folder| !folder.ends_with("/shims")).map(str::to_owned));
        let versions = PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".pyenv/versions");
        for version in fs::read_dir(versions).into_iter().flatten().flatten() {
            folders.push(version.path().join("bin").display().to_string());
        }
        folders.join(":")
    }

    /// Ends the connections that ssh keeps for the next call.
    pub fn hang_up(&self) {
        for socket in fs::read_dir(self.path("cp")).into_iter().flatten().flatten() {
            let _ = Command::new("ssh")
                .arg("-o")
                .arg(format!("ControlPath={}", socket.path().display()))
                .args(["-O", "exit", "x"])
                .output();
        }
    }

    /// Whether a text stands in any file here that Ansible wrote.
    pub fn files_with(&self, text: &str) -> Vec<String> {
        let found = Command::new("grep").args(["-rlaF", text, "home", "tmp"]).current_dir(self.folder.path()).output();
        String::from_utf8_lossy(&found.expect("grep").stdout).lines().map(str::to_owned).collect()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Play {
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}", self.output);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.output.contains(text), "nothing says {text:?}\n{}", self.output);
        self
    }

    /// A count of a host's line in the recap: `ok`, `changed`, `unreachable`, `failed`.
    #[track_caller]
    pub fn count(&self, host: &str, what: &str) -> u32 {
        let line = self.output.lines().rfind(|line| line.starts_with(host) && line.contains("unreachable="));
        let line = line.unwrap_or_else(|| panic!("no recap of {host}\n{}", self.output));
        let field = line.split_whitespace().find_map(|field| field.strip_prefix(&format!("{what}=")));
        field.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no {what} in {line}"))
    }

    /// The counts of all hosts: one task each, changed or not.
    #[track_caller]
    pub fn each(self, hosts: &[&str], changed: u32) -> Self {
        for host in hosts {
            let counts = ["ok", "changed", "unreachable", "failed"].map(|what| self.count(host, what));
            assert_eq!(counts, [1, changed, 0, 0], "{host}\n{}", self.output);
        }
        self
    }
}
