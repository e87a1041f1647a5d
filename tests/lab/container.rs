//! An image that buildah builds from packaging/container, and the container that crun runs of it, in a host's network.

use super::{Host, PATIENCE, Run, Suite};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Both are gone when it is dropped.
pub struct Container {
    image: String,
    folder: tempfile::TempDir,
}

impl Container {
    /// Builds the image with these arguments, and returns what the build said.
    #[track_caller]
    pub fn build(host: &Host, suite: Suite, arguments: &[String]) -> (Container, Run) {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let image = format!("{}-image", host.name());
        let binary = std::env::var_os("DDINSTALL_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ddinstall")), PathBuf::from);
        let container = Container { image, folder };
        let mut args = vec!["build", host.name(), suite.name(), &container.image, binary.to_str().expect("a path")];
        args.extend(arguments.iter().map(String::as_str));
        let run = container.script(&args, &[]);
        (container, run)
    }

    /// Runs it with these variables.
    #[track_caller]
    pub fn start(&self, host: &Host, variables: &[(&str, &str)]) {
        let folder = self.folder();
        let mut args = vec!["start", host.name(), &self.image, &folder];
        args.extend(variables.iter().map(|(name, _)| *name));
        self.script(&args, variables).exits(0);
    }

    pub fn exec(&self, args: &[&str]) -> Run {
        self.script(&[&["exec", &self.folder()], args].concat(), &[])
    }

    /// The environments of its processes, read out here: a line is `haproxy: DD_ENV=lab`.
    #[track_caller]
    pub fn environments(&self) -> String {
        self.script(&["environments", &self.folder()], &[]).exits(0).stdout
    }

    /// Sends a signal to its first process, and returns the exit code of that.
    #[track_caller]
    pub fn stop(&self, signal: &str) -> String {
        self.script(&["stop", &self.folder(), signal], &[]).exits(0).stdout.trim().to_owned()
    }

    /// Waits until its first process has ended, and returns the exit code of that.
    #[track_caller]
    pub fn wait_for_end(&self) -> String {
        let end = Instant::now() + PATIENCE;
        let status = self.folder.path().join("status");
        while !status.exists() {
            assert!(Instant::now() < end, "it runs and runs: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::read_to_string(status).expect("status").trim().to_owned()
    }

    /// Runs a command in it, again and again, until it succeeds.
    #[track_caller]
    pub fn wait_until(&self, args: &[&str]) -> Run {
        let end = Instant::now() + PATIENCE;
        loop {
            let run = self.exec(args);
            if run.status == Some(0) {
                return run;
            }
            assert!(Instant::now() < end, "{run}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What its processes have said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs a shell script in the root of the image, out here.
    #[track_caller]
    pub fn in_image(&self, script: &str) -> String {
        self.script(&["mount", &self.image, "sh", "-ec", script], &[]).exits(0).stdout.trim_end().to_owned()
    }

    fn folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn script(&self, args: &[&str], variables: &[(&str, &str)]) -> Run {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/container.sh");
        let started = Instant::now();
        let output = Command::new(script).args(args).envs(variables.iter().copied()).output().expect("container.sh");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Run {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.script(&["remove", &self.image, &self.folder()], &[]);
    }
}
