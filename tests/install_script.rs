//! install.sh with a stand-in for the binary: a script that says what it was given. The real one goes through it on
//! hosts of the lab.
#![allow(clippy::unwrap_used)]

#[path = "lab/signer.rs"]
mod signer;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use signer::{Signer, ran};
use tempfile::TempDir;

const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash"]];
const NAME: &str = "ddinstall-x86_64";
const BINARY: &str =
    "#!/bin/sh\n[ \"$1\" != wait ] || exec sleep 60\necho \"arguments: $*\"\necho \"key: $DD_API_KEY\"\nexit 9\n";

/// A release on disk, and the install.sh that carries its sums.
struct Release {
    folder: TempDir,
    script: String,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Release {
    fn new(key: Option<&Signer>) -> Release {
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
            stamp.arg(key.public());
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

#[test]
fn variables_arguments_and_exit_code_pass_through() {
    let release = Release::new(None);
    for shell in SHELLS {
        let (code, out, err) = release.run(shell, &["--", "plan", "--diff", "a b"]);
        assert_eq!(out, "arguments: plan --diff a b\nkey: it's 5ecret\n$(x)\n", "{shell:?} {err}");
        assert_eq!((code, err.as_str()), (9, ""), "{shell:?}");
        // What the operator has afterwards to uninstall with.
        assert!(release.run(shell, &[]).1.starts_with("arguments: install --keep-binary\n"), "{shell:?}");
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
    let (ours, theirs) = (Signer::new(), Signer::new());
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
        let (code, _, err) = release.run(shell, &[]);
        assert_eq!((code, err.as_str()), (9, ""), "{shell:?}");
    }
    // A right signature of other sums says nothing of this binary.
    fs::write(&sums, fs::read_to_string(&sums).unwrap().replace(NAME, "ddinstall-aarch64")).unwrap();
    ours.sign(&sums);
    for arguments in [&[][..], &["--require-signature"]] {
        let (code, out, err) = release.run(SHELLS[0], arguments);
        assert_eq!((code, out.as_str()), (5, ""), "{err}");
        assert!(err.contains("are not those in this script"), "{err}");
    }
}

#[test]
fn another_version_takes_a_signature() {
    let key = Signer::new();
    let release = Release::new(Some(&key));
    let next = release.folder.path().join("1.3.0");
    fs::create_dir(&next).unwrap();
    let publish = |version: &str| {
        fs::write(next.join(NAME), format!("#!/bin/sh\necho ddinstall {version}\n")).unwrap();
        fs::write(next.join("SHA256SUMS"), ran(Command::new("sha256sum").arg(NAME).current_dir(&next))).unwrap();
    };
    publish("1.3.0");
    let (code, _, err) = release.run(SHELLS[0], &["--version", "1.3.0"]);
    assert_eq!(code, 5);
    assert!(err.contains("holds the sums of ddinstall 1.2.3") && err.contains("/1.3.0/install.sh"), "{err}");
    key.sign(&next.join("SHA256SUMS"));
    for shell in SHELLS {
        let (code, out, err) = release.run(shell, &["--version", "1.3.0"]);
        assert_eq!((code, out.as_str()), (0, "ddinstall 1.3.0\n"), "{shell:?} {err}");
    }
    // What was released and signed, but as another version.
    publish("1.1.0");
    key.sign(&next.join("SHA256SUMS"));
    let (code, out, err) = release.run(SHELLS[0], &["--version", "1.3.0"]);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("is another version of ddinstall"), "{err}");
}

#[test]
fn the_binary_may_be_kept() {
    let release = Release::new(None);
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("ddinstall");
    for shell in SHELLS {
        fs::write(&kept, "an older one").unwrap();
        assert_eq!(release.run(shell, &["--to", &folder.path().display().to_string(), "--", "verify"]).0, 9);
        assert_eq!(fs::read_to_string(&kept).unwrap(), BINARY);
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    // A folder of that name would take it in, and it would not be where it was asked for.
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    let (code, out, err) = release.run(SHELLS[0], &["--to", &folder.path().display().to_string(), "--", "verify"]);
    assert!(code == 2 && out.is_empty() && err.contains("/ddinstall is a folder"), "{err}");
}

/// Nobody else may be able to put another binary in place between the check and the run.
#[test]
fn a_folder_of_others_is_not_trusted() {
    let release = Release::new(None);
    let folder = TempDir::new().unwrap();
    for (mode, owner, trusted) in [
        (0o700, 0, true),
        (0o1777, 0, true),
        (0o755, 0, true),
        (0o777, 0, false),
        (0o775, 0, false),
        (0o700, 12345, false),
        (0o1777, 12345, false),
    ] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(owner), None).unwrap();
        for shell in SHELLS {
            let text = release.script.replace("exit \"$status\"\n", "printf '%s\\n' \"$dir\"; exit \"$status\"\n");
            let variables = [("TMPDIR", folder.path().to_str().unwrap())];
            let output = piped(shell, &text, &[], &variables, "/usr/bin:/bin:/usr/sbin:/sbin");
            let out = String::from_utf8(output.stdout).unwrap();
            let used = out.lines().last().is_some_and(|dir| Path::new(dir).parent() == Some(folder.path()));
            assert_eq!((output.status.code(), used), (Some(9), trusted), "{shell:?} {mode:o} {owner} {out}");
        }
    }
}

/// A folder with these programs alone, to look for them in.
fn programs(scripts: &[(&str, &str)], linked: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, script) in scripts {
        fs::write(folder.path().join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in linked {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// Where one was lost, the host would become something else than what was asked for.
#[test]
fn all_variables_reach_root_whatever_their_bytes() {
    let release = Release::new(None);
    let fakes = programs(&[("id", "echo 1000"), ("sudo", "exec env -i PATH=\"$PATH\" \"$@\"")], &[]);
    let path = format!("{}:/usr/bin:/bin", fakes.path().display());
    // The binary is the same, but for what it says: no sum is held against it.
    let said = "env -0 | LC_ALL=C sort -z | grep -az -e ^DD_ -e ^SOURCE_; exit 9";
    let text = release.script.replace("\"$dir/ddinstall\" \"$@\" ||", &format!("sh -c '{said}' ||"));
    let values: [(&str, &[u8]); 4] = [
        ("DD_API_KEY", b"5ecret"),
        ("DD_FIPS_MODE", b"1"),
        ("DD_TAGS", b"a\xff x}$(echo run >&2) it's\nDD_SITE=b"),
        ("SOURCE_DATE_EPOCH", b"7"),
    ];
    let expected = values.map(|(name, value)| [name.as_bytes(), b"=", value, b"\0"].concat()).concat();
    for shell in SHELLS {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            // env(1) keeps the order, on which it depends what would be lost.
            let mut command = Command::new("env");
            command.args(["-i", &format!("PATH={path}"), "LC_ALL=C.UTF-8"]);
            for (name, value) in order.map(|at| values[at]) {
                command.arg(std::ffi::OsStr::from_bytes(&[name.as_bytes(), b"=", value].concat()));
            }
            let output = command.args(shell).args(["-c", &text]).output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*err), (Some(9), ""), "{shell:?}");
            assert_eq!(output.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{shell:?}");
        }
    }
}

/// The folder that a user happens to be in may be another's.
#[test]
fn no_code_is_taken_from_the_folder_where_it_is_run() {
    let linked = ["sh", "uname", "ls", "mktemp", "chmod", "rm", "python3"];
    let tools = programs(&[("id", "echo 0")], &linked);
    let (script, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let text = Release::new(None).script.replace("/usr/lib/apt/apt-helper", "/nonexistent");
    fs::write(script.path().join("install.sh"), text).unwrap();
    for module in ["ssl", "shutil", "urllib"] {
        let file = elsewhere.path().join(format!("{module}.py"));
        fs::write(&file, "print('it was run')\n").unwrap();
        let mut command = Command::new("/usr/bin/dash");
        command.arg(script.path().join("install.sh")).current_dir(elsewhere.path()).env_clear();
        let output =
            command.env("PATH", tools.path()).env("DDINSTALL_BASE_URL", "https://127.0.0.1:1").output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("Connection refused") && err.contains("cannot fetch https://127.0.0.1:1/"), "{err}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{module}");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn usage_is_checked() {
    let release = Release::new(None);
    for (arguments, said) in [
        (&["--frobnicate"][..], "unknown option --frobnicate"),
        (&["install"], "unknown option install"),
        (&["--version"], "wants a value"),
        (&["--version", ""], "wants a value"),
        (&["--version", "../../etc"], "is no version"),
        (&["--to", "/nonexistent/folder"], "there is no folder /nonexistent/folder"),
    ] {
        for shell in SHELLS {
            let (code, out, err) = release.run(shell, arguments);
            assert_eq!((code, out.as_str()), (2, ""), "{shell:?} {arguments:?}");
            assert!(err.contains(said), "{shell:?} {err}");
        }
    }
    for (base, said) in [
        ("http://mirror.example.org", "must begin with https:// or file:///"),
        ("file://relative", "must begin with https:// or file:///"),
        ("https://user:passw0rd@mirror.example.org/x", "put user and password into ~/.netrc"),
    ] {
        let output = piped(SHELLS[0], &release.script, &[], &[("DDINSTALL_BASE_URL", base)], "/usr/bin:/bin");
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(err.contains(said) && !err.contains("passw0rd"), "{err}");
    }
    // The exit code is the same where nobody can be told why.
    for (shell, closed) in SHELLS.iter().flat_map(|shell| [(shell, "2>&-"), (shell, "2>/dev/full")]) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("install.sh"), &release.script).unwrap();
        let line = format!("exec {} install.sh --frobnicate {closed}", shell.join(" "));
        let status = Command::new("bash").args(["-c", &line]).current_dir(folder.path()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{line}");
    }
    // The script of a checkout holds no sums, and takes a build only from beside itself.
    let text = fs::read_to_string(project().join("install.sh")).unwrap();
    let output = piped(SHELLS[0], &text, &[], &[], "/usr/bin:/bin");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let release = Release::new(None);
    for shell in SHELLS {
        let temporary = TempDir::new().unwrap();
        let text = temporary.path().join("piped");
        fs::write(&text, &release.script).unwrap();
        // A process group of its own, as a terminal or a service manager would stop it.
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-s", "--", "--", "wait"])
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::from(fs::File::open(&text).unwrap()))
            .process_group(0)
            .spawn()
            .unwrap();
        let folder = || fs::read_dir(temporary.path()).unwrap().flatten().find(|entry| entry.path() != text);
        let waits = |program: &str| {
            fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let group = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                line.starts_with(program.as_bytes()) && group.split(' ').nth(4) == Some(&child.id().to_string())
            })
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !waits("sleep\0") {
            assert!(std::time::Instant::now() < end, "{shell:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(folder().is_some());
        // The shell's own: a small system has no program of that name.
        ran(Command::new("dash").args(["-c", &format!("kill -TERM -{}", child.id())]));
        assert_eq!((child.wait().unwrap().code(), folder().is_none()), (Some(10), true), "{shell:?}");
    }
}

#[test]
fn a_checkout_uses_its_own_build() {
    let checkout = TempDir::new().unwrap();
    let script = checkout.path().join("install.sh");
    fs::copy(project().join("install.sh"), &script).unwrap();
    let run = |shell: &[&str], arguments: &[&str]| {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .arg(&script)
            .args(arguments)
            .env("TMPDIR", checkout.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let build = checkout.path().join("target/x86_64-unknown-linux-musl/release");
    for shell in SHELLS {
        let (code, _, err) = run(shell, &[]);
        assert!(code == 2 && err.contains("cargo build --release makes it"), "{shell:?} {err}");
    }
    fs::create_dir_all(&build).unwrap();
    fs::write(build.join("ddinstall"), BINARY).unwrap();
    fs::set_permissions(build.join("ddinstall"), fs::Permissions::from_mode(0o755)).unwrap();
    for shell in SHELLS {
        let (code, out, err) = run(shell, &["--", "plan"]);
        assert_eq!((code, err.as_str()), (9, ""), "{shell:?}");
        assert!(out.starts_with("arguments: plan\n"), "{out}");
        for arguments in [&["--require-signature"][..], &["--version", "1.2.3"]] {
            let (code, out, err) = run(shell, arguments);
            assert!(code == 2 && out.is_empty() && err.contains("has its own build alone"), "{shell:?} {out} {err}");
        }
        let (code, out, _) = run(shell, &["--help"]);
        assert!(code == 0 && out.contains("--require-signature  runs nothing"), "{out}");
    }
}

/// Runs the text's prefixes, from the longest that is wanted to the shortest, each piped into a dash of its own, and says
/// how many there were.
const PREFIXES: &str = r#"
text=$1 count=0
while [ ${#text} -gt "$2" ]; do
    text=${text%?}
    printf '%s' "$text" | /dash
    count=$((count + 1))
done
echo "$count""#;

/// A root with dash, what it is linked with, and nothing else.
fn empty_root() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::copy("/usr/bin/dash", root.path().join("dash")).unwrap();
    for word in ran(Command::new("ldd").arg("/usr/bin/dash")).split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.path().join(word.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(word, copy).unwrap();
    }
    root
}

fn files(root: &Path) -> String {
    ran(Command::new("find").args([".", "-printf", "%p %s %T@\n"]).current_dir(root))
}

/// dash counts bytes, not characters: a prefix may end within one.
#[test]
fn a_script_that_was_cut_off_does_nothing() {
    let release = Release::new(None);
    let text = release.script.trim_end();
    assert_eq!(release.script.len(), text.len() + 1);
    let dash = |root: &TempDir, script: &str| {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(root.path()).args(["/dash", "-c", script, "dash"]).env_clear();
        command
    };
    const PARTS: usize = 4;
    let cut = |part: usize| text.len() * part / PARTS;
    std::thread::scope(|scope| {
        for part in 0..PARTS {
            scope.spawn(move || {
                let root = empty_root();
                let before = files(root.path());
                // A prefix, for a part's end may lie within a character.
                let end = std::ffi::OsStr::from_bytes(&text.as_bytes()[..cut(part + 1)]);
                let output = dash(&root, PREFIXES).arg(end).arg(cut(part).to_string()).output().unwrap();
                let count = String::from_utf8(output.stdout).unwrap();
                assert_eq!(count, format!("{}\n", cut(part + 1) - cut(part)), "what was printed, and all that was");
                // A command that was looked for would be "not found", one of the script's own words begins with its name.
                for line in String::from_utf8_lossy(&output.stderr).lines() {
                    assert!(line.starts_with("/dash: ") && line.contains("Syntax error: "), "{line}");
                }
                assert_eq!(files(root.path()), before);
            });
        }
    });
    let root = empty_root();
    let whole = dash(&root, "printf '%s' \"$1\" | /dash").arg(text).output().unwrap();
    assert!(String::from_utf8_lossy(&whole.stderr).contains("not found"), "the whole text, without its last newline");
}
