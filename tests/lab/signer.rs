//! What a release is signed with, and programs that must succeed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Runs a program that must succeed, and gives what it printed.
pub fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// An OpenPGP key of its own, in a folder of its own. RSA, as a release's.
pub struct Signer(TempDir);

impl Signer {
    pub fn new() -> Signer {
        let signer = Signer(TempDir::new().expect("a folder"));
        fs::set_permissions(signer.0.path(), fs::Permissions::from_mode(0o700)).expect("a private folder");
        let make = ["--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "rsa3072", "sign"];
        ran(signer.gpg().args(make));
        ran(signer.gpg().arg("--output").arg(signer.public()).arg("--export"));
        signer
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--yes", "--homedir"]).arg(self.0.path());
        command
    }

    /// The file of the public key, not armored.
    pub fn public(&self) -> PathBuf {
        self.0.path().join("public.gpg")
    }

    /// Writes the signature beside the file, as FILE.asc.
    pub fn sign(&self, file: &Path) {
        ran(self.gpg().args(["--armor", "--detach-sign"]).arg(file));
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}
