//! Facts of the kernel and small services of the system: time, randomness, checksums.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::{Host, ReadFailure};
use crate::error::{Error, Result};

/// The kernel's lockdown mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockdown {
    None,
    Integrity,
    /// Blocks eBPF programs that read kernel memory, and with them CWS.
    Confidentiality,
}

type Read<T> = std::result::Result<Option<T>, ReadFailure>;

/// The release of the running kernel, such as `6.1.0-21-amd64`. The kernel is the machine's, whatever the root.
pub fn kernel_release() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(text.trim().to_owned())
}

/// The name that the host has given itself.
pub fn hostname() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(text.trim().to_owned())
}

/// The 32 hexadecimal digits of /etc/machine-id; None in an image, which has none yet.
pub fn machine_id(host: &Host) -> Option<String> {
    let text = host.read_text("/etc/machine-id").ok()??;
    Some(text.trim().to_owned()).filter(|id| id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// The ids of all groups that a process acts with. None if there is no such process.
pub fn groups_of(host: &Host, pid: u32) -> Option<Vec<u32>> {
    let text = host.read_text(format!("/proc/{pid}/status")).ok()??;
    let values = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let effective = values("Gid:")?.split_whitespace().nth(1)?;
    let all = values("Groups:")?.split_whitespace().chain([effective]);
    Some(all.filter_map(|id| id.parse().ok()).collect())
}

/// The machine as `uname -m` names it. A static binary runs on the machine that it was built for.
pub fn machine() -> &'static str {
    std::env::consts::ARCH
}

/// Whether the kernel is in FIPS mode. None if it does not know the mode (then it is off).
pub fn kernel_fips(host: &Host) -> Read<bool> {
    let text = host.read_text("/proc/sys/crypto/fips_enabled")?;
    Ok(text.map(|t| t.trim() == "1"))
}

/// The lockdown mode; None if the kernel has no such thing or securityfs is not mounted.
pub fn lockdown(host: &Host) -> Read<Lockdown> {
    let text = host.read_text("/sys/kernel/security/lockdown")?;
    Ok(text.as_deref().and_then(parse_lockdown))
}

/// `none [integrity] confidentiality`: the brackets mark the mode.
fn parse_lockdown(text: &str) -> Option<Lockdown> {
    let (_, rest) = text.split_once('[')?;
    match rest.split_once(']')?.0 {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    }
}

/// Whether the kernel describes its own types (BTF), so that eBPF programs fit it without headers.
pub fn has_btf(host: &Host) -> bool {
    matches!(host.meta("/sys/kernel/btf/vmlinux"), Ok(Some(_)))
}

/// What kind of container this looks like ("docker", "podman", "lxc", …). A hint: only root may read the best source.
pub fn container_hint(host: &Host) -> Option<String> {
    let there = |path| matches!(host.meta(path), Ok(Some(_)));
    if let Ok(Some(name)) = host.read_text("/run/systemd/container") {
        return Some(name.trim().to_owned());
    }
    if there("/.dockerenv") {
        return Some("docker".into());
    }
    if there("/run/.containerenv") {
        return Some("podman".into());
    }
    let environment = host.read("/proc/1/environ").ok()??;
    let name = environment.bytes.split(|b| *b == 0).find_map(|v| v.strip_prefix(b"container="))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The processes of a program, and the user of each: by the file that they run, or by how they were called, since scripts run
/// their interpreter, and only a few may see the file of another user's process.
pub fn processes(host: &Host, program: &str) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for pid in host.list("/proc").ok().flatten().unwrap_or_default() {
        let Some(pid) = pid.to_str().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let line = host.read(format!("/proc/{pid}/cmdline")).ok().flatten().map(|stored| stored.bytes);
        let called = line.is_some_and(|line| line.split(|b| *b == 0).take(2).any(|word| word == program.as_bytes()));
        let runs = || host.link_text(format!("/proc/{pid}/exe")).is_some_and(|exe| exe == program);
        if called || runs() {
            found.extend(host.meta(format!("/proc/{pid}")).ok().flatten().map(|meta| (pid, meta.uid)));
        }
    }
    found
}

/// Whether a process is no more, or only waits to be collected: its command line is every user's to read, and empty then.
pub fn has_ended(host: &Host, pid: u32) -> bool {
    !matches!(host.read(format!("/proc/{pid}/cmdline")), Ok(Some(line)) if !line.bytes.is_empty())
}

/// When a process was started, in seconds since 1970. None if there is none.
pub fn started(host: &Host, pid: u32) -> Option<i64> {
    let text = host.read_text(format!("/proc/{pid}/stat")).ok()??;
    let second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    Some(epoch_seconds() as i64 - (now.tv_sec() - ticks(&text)? / second))
}

/// The start of a process in ticks since the machine was booted, from its `stat`; its name may hold blanks and brackets.
fn ticks(stat: &str) -> Option<i64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Seconds since 1970; 0 with a clock before that.
pub fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Seconds since 1970 at an instant of the monotonic clock, which systemd writes in microseconds. None at 0, and for an
/// instant to come.
pub fn time_of_monotonic(microseconds: u64) -> Option<i64> {
    // /proc/uptime counts what the machine slept, too, and is a container's own in some.
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok()?;
    let ago = now.tv_sec() - i64::try_from(microseconds / 1_000_000).ok()?;
    (microseconds > 0 && ago >= 0).then(|| epoch_seconds() as i64 - ago)
}

/// A random UUID from the kernel, such as `f81d4fae-7dec-41d0-a765-00a0c91e6bf6`.
pub fn random_uuid() -> Result<String> {
    const SOURCE: &str = "/proc/sys/kernel/random/uuid";
    let text = std::fs::read_to_string(SOURCE).map_err(|e| Error::io("read", Path::new(SOURCE), &e))?;
    Ok(text.trim().to_owned())
}

/// 16 random hexadecimal digits, for a name that nobody can guess.
pub(super) fn random_hex() -> Result<String> {
    use std::io::Read;
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0u8; 8];
    std::fs::File::open(SOURCE)
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Error::io("read", Path::new(SOURCE), &e))?;
    Ok(hex(&bytes))
}

/// The bytes of the program that is running.
pub fn own_program() -> Result<Vec<u8>> {
    const SELF: &str = "/proc/self/exe";
    std::fs::read(SELF).map_err(|e| Error::io("read", Path::new(SELF), &e))
}

/// The SHA-256 of `bytes` in lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(parse_lockdown("none [integrity] confidentiality\n"), Some(Lockdown::Integrity));
        assert_eq!(parse_lockdown("none integrity [confidentiality]\n"), Some(Lockdown::Confidentiality));
        assert_eq!(parse_lockdown(""), None);
    }

    #[test]
    fn checksums_and_uuids_have_their_usual_form() {
        assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(random_uuid().unwrap().len(), 36);
        assert_ne!(random_hex().unwrap(), random_hex().unwrap());
    }

    #[test]
    fn the_kernel_says_whether_it_is_in_fips_mode() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(folder.path()).unwrap();
        assert_eq!(kernel_fips(&host).unwrap(), None);
        std::fs::create_dir_all(folder.path().join("proc/sys/crypto")).unwrap();
        std::fs::write(folder.path().join("proc/sys/crypto/fips_enabled"), "1\n").unwrap();
        assert_eq!(kernel_fips(&host).unwrap(), Some(true));
    }

    #[test]
    fn a_process_tells_when_it_was_started() {
        let after_name = "S 1 9 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 12345 67 18446744073709551615";
        assert_eq!(ticks(&format!("9 (a) b) {after_name}")), Some(4711));
        assert_eq!(ticks("9 (a) S 1"), None);
        let host = Host::new(Path::new("/")).unwrap();
        let ago = epoch_seconds() as i64 - started(&host, std::process::id()).unwrap();
        assert!((0..3600).contains(&ago), "{ago}");
        assert_eq!(started(&host, u32::MAX), None);
    }

    #[test]
    fn a_process_that_nobody_has_collected_has_ended() {
        let host = Host::new(Path::new("/")).unwrap();
        assert!(!has_ended(&host, std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let began = std::time::Instant::now();
        while !has_ended(&host, child.id()) {
            assert!(began.elapsed().as_secs() < 60);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert!(has_ended(&host, child.id()));
    }
}
