//! What a release holds (script/release). Documents and the bill of materials are looked at always; the binaries and
//! packages, whose making takes minutes, by `script/test --long`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

#[allow(dead_code)]
#[path = "../packaging/documents.rs"]
mod documents;
#[path = "lab/mod.rs"]
mod lab;

use lab::{Host, Run, Signer, Suite, fingerprint};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LIMIT: u64 = 5_000_000;
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; script/setup --release installs what is missing"))
}

/// Standard output of a command that ends well.
fn ran(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn shell(script: &str, folder: &Path) -> String {
    ran(Command::new("bash").args(["--norc", "-ec", script]).current_dir(folder))
}

fn written_documents() -> TempDir {
    let folder = TempDir::new().unwrap();
    documents::write(folder.path()).unwrap();
    folder
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = written_documents();
    let complete = |words: &str, at: usize| {
        let script = format!(
            "source completions/ddinstall.bash; complete -p ddinstall > /dev/null
             COMP_WORDS=({words}) COMP_CWORD={at}; _ddinstall ddinstall \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"
             echo \"${{COMPREPLY[*]}}\""
        );
        shell(&script, folder.path())
    };
    assert_eq!(complete("ddinstall ins", 1), "install");
    assert_eq!(complete("ddinstall install --sit", 2), "--site");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = written_documents();
    let pages: BTreeSet<String> = fs::read_dir(folder.path().join("man"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["ddinstall.1", "ddinstall-install.1", "ddinstall-plan.1", "ddinstall-config-set.1"] {
        assert!(pages.contains(name), "{pages:?}");
    }
    let page = fs::read_to_string(folder.path().join("man/ddinstall-install.1")).unwrap();
    for text in [format!("\"ddinstall {VERSION}\""), "DD_API_KEY".to_owned()] {
        assert!(page.contains(&text), "{text}: {page}");
    }
}

#[test]
fn the_bill_of_materials_names_what_is_linked_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let [bill, licences] = ["bill", "licences"].map(|name| folder.path().join(name));
    ran(Command::new(project().join("packaging/sbom.sh")).arg(&bill).arg(&licences));
    let bill: Value = serde_json::from_slice(&fs::read(bill).unwrap()).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bill["metadata"]["component"]["version"], VERSION);
    let components = bill["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(|c| c["name"].as_str().unwrap()).collect();
    for linked in ["rustls", "ring", "pgp", "musl", "rust-std"] {
        assert!(names.contains(linked), "{linked} is missing");
    }
    for other in ["proptest", "clap_mangen", "cc", "syn", "serde_derive", "ddinstall"] {
        assert!(!names.contains(other), "{other} is not linked");
    }
    for component in components {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        let ours = component["purl"].as_str().unwrap().starts_with("pkg:cargo/");
        assert_eq!(component["hashes"][0]["content"].is_string(), ours, "{component}");
    }
    let parts: BTreeSet<&str> = components.iter().map(|c| c["bom-ref"].as_str().unwrap()).collect();
    let depended: BTreeSet<&str> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|d| d["dependsOn"].as_array().unwrap())
        .map(|d| d.as_str().unwrap())
        .collect();
    assert_eq!(parts, depended, "each part is needed by another, and each that is needed is named");
    let licences = fs::read_to_string(licences).unwrap();
    assert!(licences.contains("  ring ") && licences.contains("Permission is hereby granted"));
}

/// What a release is made of by hand: each would be in every install.sh, or break it.
#[test]
fn a_secret_key_and_what_is_no_key_are_not_stamped() {
    let key = Signer::new();
    let folder = TempDir::new().unwrap();
    let sums = folder.path().join("SHA256SUMS");
    fs::write(&sums, format!("{}  ddinstall-x86_64\n", "0".repeat(64))).unwrap();
    let stamp = |base: &str, key: &Path| {
        Command::new(project().join("packaging/stamp.sh")).args(["1.2.3", base]).arg(&sums).arg(key).output().unwrap()
    };
    let file = folder.path().join("key");
    let export = |arguments: &[&str]| {
        let home = key.public();
        let gpg =
            Command::new("gpg").args(["--batch", "--homedir"]).arg(home.parent().unwrap()).args(arguments).output();
        gpg.unwrap().stdout
    };
    for wrong in [export(&["--export-secret-keys"]), export(&["--armor", "--export"]), b"none".to_vec()] {
        assert!(!wrong.is_empty());
        fs::write(&file, wrong).unwrap();
        let output = stamp("https://install.example.org", &file);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        assert!(String::from_utf8_lossy(&output.stderr).contains("is no public key of OpenPGP, or armoured"));
    }
    assert_eq!(stamp("https://install.example.org", &key.public()).status.code(), Some(0));
    for base in ["https://install.example.org/it's", "http://install.example.org", "install.example.org"] {
        assert_eq!(stamp(base, &key.public()).status.code(), Some(2), "{base}");
    }
}

/// The secret key that signs the releases of these tests, in a file.
fn key() -> PathBuf {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        shell(
            "export GNUPGHOME=$PWD; gpg --batch --quiet --passphrase '' --quick-generate-key 'Release <release@example.org>' \
             rsa2048 sign never; gpg --batch --armor --export-secret-keys; gpgconf --kill all",
            folder.path(),
        )
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secret.asc");
    fs::write(&file, text).unwrap();
    file
}

/// A release of this checkout, made once a run: signed, and to be found where it lies.
fn release() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        made(project(), &folder, &folder, &[]);
        folder.join(VERSION)
    })
}

/// Runs script/release of a checkout; `found` is where people will find it.
fn made(checkout: &Path, folder: &Path, found: &Path, environment: &[(&str, &str)]) {
    let mut command = Command::new(checkout.join("script/release"));
    command.args(["--base-url", &format!("file://{}", found.display()), "--key"]).arg(key()).arg(folder);
    println!("{}", ran(command.envs(environment.iter().copied())));
}

fn binary(architecture: &str) -> PathBuf {
    release().join(format!("ddinstall-{architecture}"))
}

/// Runs the binary: this machine's directly, the other under qemu.
fn run(architecture: &str, arguments: &[&str]) -> Output {
    let mut command = match architecture {
        "x86_64" => Command::new(binary(architecture)),
        _ => {
            let mut command = Command::new(format!("qemu-{architecture}-static"));
            command.arg(binary(architecture));
            command
        }
    };
    output(command.args(arguments).env_clear())
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn binaries_are_static_and_hardened_and_small() {
    for architecture in ARCHITECTURES {
        let file = binary(architecture);
        let read = ran(Command::new("readelf").args(["-hldW"]).arg(&file));
        let machine = if architecture == "x86_64" { "X86-64" } else { "AArch64" };
        assert!(read.contains(machine), "{read}");
        assert!(!read.contains("INTERP") && !read.contains("NEEDED"), "{architecture} wants a library: {read}");
        for sign in ["DYN (Position-Independent Executable file)", "GNU_RELRO", "BIND_NOW", "RELR"] {
            assert!(read.contains(sign), "{architecture}: no {sign}: {read}");
        }
        let stack = read.lines().find(|line| line.contains("GNU_STACK")).unwrap();
        assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{stack}");
        let size = fs::metadata(&file).unwrap().len();
        println!("ddinstall-{architecture}: {size} bytes");
        assert!(size < LIMIT, "ddinstall-{architecture} has {size} bytes");
    }
    let ldd = output(Command::new("ldd").arg(binary("x86_64")));
    assert!(String::from_utf8_lossy(&[ldd.stdout, ldd.stderr].concat()).contains("statically linked"));
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn both_binaries_run() {
    let root = TempDir::new().unwrap();
    let os_release = root.path().join("os-release");
    fs::write(&os_release, "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n").unwrap();
    for architecture in ARCHITECTURES {
        let version = run(architecture, &["--version"]);
        assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("ddinstall {VERSION}\n"));
        let asked =
            ["support", "--format", "json", "--arch", architecture, "--os-release", os_release.to_str().unwrap()];
        let support = run(architecture, &asked);
        assert!(support.status.success(), "{}", String::from_utf8_lossy(&support.stderr));
        serde_json::from_slice::<Value>(&support.stdout).unwrap();
        let file = root.path().join(format!("{architecture}.yaml"));
        fs::write(&file, "# kept\nfips:\n  enabled: false # kept, too\n").unwrap();
        let set = run(architecture, &["config", "set", file.to_str().unwrap(), "fips.enabled=true"]);
        assert!(set.status.success(), "{architecture}: {}", String::from_utf8_lossy(&set.stderr));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# kept\nfips:\n  enabled: true # kept, too\n");
    }
}

/// As long as this lives, the kernel runs programs for aarch64 by qemu: ddinstall calls itself to look into a folder.
struct Emulation(TempDir);

impl Emulation {
    const NAME: &str = "ddinstall-tests";

    fn new() -> Emulation {
        let folder = TempDir::new().unwrap();
        ran(Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(folder.path()));
        let emulation = Emulation(folder);
        // What an earlier run left that was killed.
        let _ = fs::write(emulation.0.path().join(Self::NAME), "-1");
        let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
        let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
        let line = format!(":{}:M::{magic}:{mask}:/usr/bin/qemu-aarch64-static:F", Self::NAME);
        fs::write(emulation.0.path().join("register"), line).unwrap();
        emulation
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        let _ = fs::write(self.0.path().join(Self::NAME), "-1");
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// The lab's repository has no packages for aarch64: that binary looks at the image that the other has made.
#[test]
#[ignore = "makes a release; --long runs it"]
fn both_binaries_plan_an_image() {
    let bytes = |architecture| fs::read(binary(architecture)).unwrap();
    let host = Host::fresh(Suite::Bookworm)
        .image("/srv/image", Suite::Bookworm)
        .file("/root/x86_64", bytes("x86_64"), "root:root", 0o755)
        .file("/root/aarch64", bytes("aarch64"), "root:root", 0o755)
        .boot();
    let run = |program: &str, command: &str| -> Run {
        host.command(&[program, command, "--root", "/srv/image"])
            .env("DD_SITE", "ddog-gov.com")
            .env("DD_FIPS_MODE", "1")
            .env("DD_REPO_KEY_FINGERPRINTS", &fingerprint("signing"))
            .run()
            .exits(0)
    };
    run("/root/x86_64", "plan").says("install datadog-agent");
    run("/root/x86_64", "install").says("nothing was started");
    let _emulation = Emulation::new();
    for program in ["/root/x86_64", "/root/aarch64"] {
        run(program, "plan").says("Nothing to do");
    }
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn sums_and_signature_are_right_and_install_sh_runs_the_binary_by_them() {
    let folder = release();
    ran(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(folder));
    let listed = fs::read_to_string(folder.join("SHA256SUMS")).unwrap().lines().count();
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(listed, files - 2, "all but SHA256SUMS itself and its signature");
    let install = ["install.sh", "--require-signature", "--", "--version"];
    let installed = ran(Command::new("dash").args(install).current_dir(folder));
    assert_eq!(installed, format!("ddinstall {VERSION}"));
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn zsh_and_fish_complete_and_pages_are_clean() {
    let folder = written_documents();
    let fish = "fish --no-config -c 'source completions/ddinstall.fish; complete -C \"ddinstall ins\"'";
    assert!(shell(fish, folder.path()).starts_with("install\t"), "fish");
    // A terminal of its own, and a key that shows the line as it stands.
    let zsh = r#"zsh -f -c '
        zmodload zsh/zpty; zpty shell zsh -f -i
        zpty -w shell "unsetopt zle_bracketed_paste; fpath=($PWD/completions \$fpath); autoload -U compinit; compinit -D -u"
        zpty -w shell "show() { print -r -- \"<\$BUFFER>\"; }; zle -N show; bindkey ^X show"
        zpty -n -w shell "ddinstall ins"$'"'\\t\\x18'"'
        zpty -r shell lines "*<ddinstall*>*"; print -r -- $lines; zpty -d shell'"#;
    assert!(shell(zsh, folder.path()).contains("<ddinstall install >"), "zsh");
    let lint = output(Command::new("bash").args(["-c", "mandoc -T lint -W error man/*.1"]).current_dir(folder.path()));
    let lint = String::from_utf8_lossy(&lint.stdout).into_owned();
    assert!(lint.is_empty(), "{lint}");
}

/// Another folder, another folder of cargo's, another time zone and language: the same files.
#[test]
#[ignore = "makes two releases; --long runs it"]
fn two_builds_in_different_folders_are_equal() {
    let first = release();
    let place = TempDir::with_prefix("another place ").unwrap();
    let [checkout, cargo, output] = ["checkout", "cargo", "output"].map(|name| place.path().join(name));
    ran(Command::new("git").args(["clone", "--quiet"]).arg(project()).arg(&checkout));
    // What is not committed yet belongs to the release, too.
    let copy = "git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C \"$CHECKOUT\"";
    ran(Command::new("bash").args(["-ec", copy]).env("CHECKOUT", &checkout).current_dir(project()));
    fs::create_dir(&cargo).unwrap();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cargo"));
    ran(Command::new("cp").args(["-r"]).arg(home.join("registry")).arg(&cargo));
    let otherwise = [
        ("CARGO_HOME", cargo.to_str().unwrap()),
        ("TZ", "Asia/Tokyo"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("RUSTFLAGS", "-Copt-level=1"),
    ];
    made(&checkout, &output, first.parent().unwrap(), &otherwise);
    let second = output.join(VERSION);
    let names = |folder: &Path| -> BTreeSet<_> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(first), names(&second));
    // A signature says when it was made.
    for name in names(first).iter().filter(|name| *name != "SHA256SUMS.asc") {
        let [one, other] = [first, &second].map(|folder| fs::read(folder.join(name)).unwrap());
        assert!(one == other, "{name} differs");
    }
}

/// Installed, the package's ddinstall runs; removed, it leaves nothing.
fn a_package_comes_and_goes(suite: Suite, file: &str, install: &str, remove: &str) {
    let bytes = fs::read(release().join(file)).unwrap();
    let host = Host::fresh(suite).file("/root/package", bytes, "root:root", 0o644).boot();
    // The lab puts its own there.
    host.sh("rm -f /usr/local/bin/ddinstall");
    let folders = "find /usr /etc /opt -xdev | sort > /run/$1";
    host.sh(&folders.replace("$1", "before"));
    host.sh(install);
    assert_eq!(
        host.sh("command -v ddinstall; ddinstall --version"),
        format!("/usr/bin/ddinstall\nddinstall {VERSION}")
    );
    host.sh("zcat /usr/share/man/man1/ddinstall-install.1.gz | grep -q DD_API_KEY");
    let complete = "source /usr/share/bash-completion/completions/ddinstall; COMP_WORDS=(ddinstall ins) COMP_CWORD=1
        _ddinstall ddinstall ins ddinstall; test \"${COMPREPLY[*]}\" = install";
    host.command(&["bash", "-ec", complete]).run().exits(0);
    host.sh(remove);
    host.sh(&folders.replace("$1", "after"));
    assert_eq!(host.sh("diff /run/before /run/after || true"), "");
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn the_deb_comes_and_goes() {
    let file = format!("ddinstall_{VERSION}_amd64.deb");
    let install = "mv /root/package /root/ddinstall.deb && dpkg -i /root/ddinstall.deb";
    a_package_comes_and_goes(Suite::Bookworm, &file, install, "dpkg --purge ddinstall");
}

#[test]
#[ignore = "makes a release; --long runs it"]
fn the_rpm_comes_and_goes() {
    let file = format!("ddinstall-{VERSION}-1.x86_64.rpm");
    let install = "mv /root/package /root/ddinstall.rpm && dnf -q -y --disablerepo='*' install /root/ddinstall.rpm";
    a_package_comes_and_goes(Suite::El9, &file, install, "dnf -q -y --disablerepo='*' remove ddinstall");
}
