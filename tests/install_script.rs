//! install.sh with a stand-in for the binary: a script that says what it was given. The real one goes through it on
//! hosts of the lab.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash"]];
const NAME: &str = "ddinstall-x86_64";
const BINARY: &str = "#!/bin/sh\necho \"arguments: $*\"\necho \"key: $DD_API_KEY\"\nexit 9\n";

/// A release on disk, and the install.sh that carries its sums.
struct Release {
    folder: TempDir,
    script: String,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Release {
    fn new(key: Option<&Key>) -> Release {
        let folder = TempDir::new().unwrap();
        let version = folder.path().join("1.2.3");
        fs::create_dir(&version).unwrap();
        fs::write(version.join(NAME), BINARY).unwrap();
        let sums = ran(Command::new("sha256sum").arg(NAME).current_dir(&version));
        fs::write(version.join("SHA256SUMS"), sums).unwrap();
        let mut stamp = Command::new(project().join("packaging/stamp.sh"));
        stamp.args(["1.2.3", &format!("file://{}", folder.path().display())]).arg(version.join("SHA256SUMS"));
        if let Some(key) = key {
            key.sign(&version.join("SHA256SUMS"));
            stamp.arg(key.0.path().join("public.gpg"));
        }
        let script = ran(&mut stamp);
        Release { script, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("1.2.3").join(name)
    }

    /// Pipes the script into a shell, as people do. What it leaves in its temporary folder is an error.
    fn run(&self, shell: &[&str], arguments: &[&str]) -> (i32, String, String) {
        let output = piped(
            shell,
            &self.script,
            arguments,
            &[("DD_API_KEY", "it's 5ecret\n$(x)")],
            "/usr/bin:/bin:/usr/sbin:/sbin",
        );
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

fn piped(shell: &[&str], script: &str, arguments: &[&str], variables: &[(&str, &str)], path: &str) -> Output {
    let (empty, temporary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let text = empty.path().join("piped");
    fs::write(&text, script).unwrap();
    let mut command = Command::new(Path::new("/usr/bin").join(shell[0]));
    command.args(&shell[1..]).arg("-s").arg("--").args(arguments);
    command.env_clear().env("PATH", path).env("TMPDIR", temporary.path()).envs(variables.iter().copied());
    command.current_dir(temporary.path()).stdin(Stdio::from(fs::File::open(&text).unwrap()));
    let output = command.output().unwrap();
    let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    output
}

/// A signing key of its own, in a folder of its own.
struct Key(TempDir);

impl Key {
    fn new() -> Key {
        let key = Key(TempDir::new().unwrap());
        fs::set_permissions(key.0.path(), fs::Permissions::from_mode(0o700)).unwrap();
        ran(key.gpg().args(["--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "rsa3072", "sign"]));
        ran(key.gpg().arg("--output").arg(key.0.path().join("public.gpg")).arg("--export"));
        key
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--yes", "--homedir"]).arg(self.0.path());
        command
    }

    fn sign(&self, file: &Path) {
        ran(self.gpg().args(["--armor", "--detach-sign"]).arg(file));
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}

#[test]
fn variables_arguments_and_exit_code_pass_through() {
    let release = Release::new(None);
    for shell in SHELLS {
        let (code, out, err) = release.run(shell, &["--", "plan", "--diff", "a b"]);
        assert_eq!(out, "arguments: plan --diff a b\nkey: it's 5ecret\n$(x)\n", "{shell:?} {err}");
        assert_eq!((code, err.as_str()), (9, ""), "{shell:?}");
        assert!(release.run(shell, &[]).1.starts_with("arguments: install\n"), "{shell:?}");
    }
}

#[test]
fn it_shows_what_it_would_fetch() {
    let release = Release::new(None);
    for shell in SHELLS {
        let (code, out, _) = release.run(shell, &["--print", "--", "verify"]);
        assert_eq!(code, 0);
        assert_eq!(out, format!("file://{}\nddinstall verify\n", release.file(NAME).display()), "{shell:?}");
    }
}

#[test]
fn what_was_not_released_is_not_run() {
    let release = Release::new(None);
    let mut other = BINARY.to_owned().into_bytes();
    other[20] ^= 1;
    let texts: [&[u8]; 5] = [
        &other,
        b"#!/bin/sh\necho another version\n",
        b"<html>moved</html>",
        b"",
        &BINARY.as_bytes()[..BINARY.len() / 2],
    ];
    for shell in SHELLS {
        for text in texts {
            fs::write(release.file(NAME), text).unwrap();
            let (code, out, err) = release.run(shell, &[]);
            assert_eq!((code, out.as_str()), (5, ""), "{shell:?}");
            assert!(err.contains("is not what was released: sha256 ") && err.contains("nothing was run"), "{err}");
        }
        fs::remove_file(release.file(NAME)).unwrap();
        let (code, out, err) = release.run(shell, &[]);
        assert_eq!((code, out.as_str()), (5, ""), "{shell:?}");
        assert!(err.contains("cannot fetch file://"), "{err}");
    }
}

#[test]
fn a_wrong_signature_is_refused_and_a_missing_one_where_it_is_a_must() {
    let (ours, theirs) = (Key::new(), Key::new());
    let release = Release::new(Some(&ours));
    let sums = release.file("SHA256SUMS");
    for shell in SHELLS {
        ours.sign(&sums);
        assert_eq!(release.run(shell, &["--require-signature"]).0, 9, "{shell:?}");
        theirs.sign(&sums);
        for arguments in [&[][..], &["--require-signature"]] {
            let (code, out, err) = release.run(shell, arguments);
            assert_eq!((code, out.as_str()), (5, ""), "{shell:?}");
            assert!(err.contains("is not the release's"), "{err}");
        }
        fs::remove_file(release.file("SHA256SUMS.asc")).unwrap();
        let (code, out, err) = release.run(shell, &["--require-signature"]);
        assert_eq!((code, out.as_str()), (5, ""), "{shell:?}");
        assert!(err.contains("could not be checked"), "{err}");
        // The sums in the script are enough where a signature is no must.
        assert_eq!(release.run(shell, &[]).0, 9, "{shell:?}");
    }
}

#[test]
fn another_version_takes_a_signature() {
    let key = Key::new();
    let release = Release::new(Some(&key));
    let next = release.folder.path().join("1.3.0");
    fs::create_dir(&next).unwrap();
    fs::write(next.join(NAME), "#!/bin/sh\necho the next\n").unwrap();
    fs::write(next.join("SHA256SUMS"), ran(Command::new("sha256sum").arg(NAME).current_dir(&next))).unwrap();
    let (code, _, err) = release.run(SHELLS[0], &["--version", "1.3.0"]);
    assert_eq!(code, 5);
    assert!(err.contains("holds the sums of ddinstall 1.2.3") && err.contains("/1.3.0/install.sh"), "{err}");
    key.sign(&next.join("SHA256SUMS"));
    for shell in SHELLS {
        let (code, out, err) = release.run(shell, &["--version", "1.3.0"]);
        assert_eq!((code, out.as_str()), (0, "the next\n"), "{shell:?} {err}");
    }
}

#[test]
fn usage_is_checked() {
    let release = Release::new(None);
    for (arguments, said) in [
        (&["--frobnicate"][..], "unknown option --frobnicate"),
        (&["install"], "unknown option install"),
        (&["--version"], "wants a value"),
    ] {
        for shell in SHELLS {
            let (code, out, err) = release.run(shell, arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{shell:?} {arguments:?}");
            assert!(err.contains(said), "{shell:?} {err}");
        }
    }
    let base = [("DDINSTALL_BASE_URL", "http://mirror.example.org")];
    let output = piped(SHELLS[0], &release.script, &[], &base, "/usr/bin:/bin");
    assert_eq!(output.status.code(), Some(2));
    // The script of a checkout holds no sums, and takes a build only from beside itself.
    let text = fs::read_to_string(project().join("install.sh")).unwrap();
    let output = piped(SHELLS[0], &text, &[], &[], "/usr/bin:/bin");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_script_that_was_cut_off_does_nothing() {
    let release = Release::new(None);
    let text = release.script.trim_end();
    let cuts: Vec<usize> = (0..text.len()).filter(|at| text.is_char_boundary(*at)).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for part in cuts.chunks(cuts.len().div_ceil(threads)) {
            scope.spawn(move || {
                for cut in part {
                    let output = piped(SHELLS[0], &text[..*cut], &[], &[], "/nonexistent");
                    let err = String::from_utf8_lossy(&output.stderr);
                    assert!(output.stdout.is_empty(), "cut at {cut}");
                    // A command that was looked for would be "not found", one of the script's own words begins with its name.
                    assert!(err.is_empty() || err.contains("Syntax error"), "cut at {cut}: {err}");
                    assert!(!err.contains("not found") && !err.contains("install.sh:"), "cut at {cut}: {err}");
                }
            });
        }
    });
    let whole = piped(SHELLS[0], text, &[], &[], "/nonexistent");
    assert!(String::from_utf8_lossy(&whole.stderr).contains("not found"), "the whole text, without its last newline");
}
