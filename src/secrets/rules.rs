//! Who may run a helper, as the Agents of different ages judge it, and what keeps it from running. Pure, but for
//! [`look`], which reads the host.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::users::Users;
use crate::host::{FileKind, FileMeta, Host, Identity};
use crate::types::Version;

/// The first Agent that no longer asks who owns the helper: datadog-agent#26119, of May 2024, is in 7.55 or 7.56.
const FIRST_WITHOUT_OWNER: (u32, u32) = (7, 56);

/// What is known of a helper.
#[derive(Debug, Clone)]
pub struct Helper {
    /// What it leads to, links followed.
    pub target: PathBuf,
    pub meta: FileMeta,
    /// Every folder on the way to the path that is configured and to the target, outermost first.
    pub folders: Vec<(PathBuf, FileMeta)>,
    /// Its first bytes.
    pub head: Vec<u8>,
    /// It is on a file system that runs no programs.
    pub no_exec: bool,
    /// The SELinux type of it, where SELinux enforces.
    pub label: Option<String>,
}

/// A rule that a helper breaks. What mends it is told in words: the path is from a file that is the Agent's user's to
/// change, and may name anything of the system's. No line to paste is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub why: String,
    pub mend: String,
}

fn broken(why: impl Into<String>, mend: impl Into<String>) -> std::result::Result<(), Broken> {
    Err(Broken { why: why.into(), mend: mend.into() })
}

type Judged = std::result::Result<(), Broken>;

impl Helper {
    fn mend(&self, group_exec: bool) -> String {
        let (owner, mode) = if group_exec { ("root:dd-agent", "0750") } else { ("dd-agent:dd-agent", "0700") };
        let path = self.target.display();
        format!("if {path} is your helper and nothing else, make {owner} its owner and {mode} its mode")
    }

    /// Agents before 7.56 (secretsimpl/check_rights_nix.go): the owner is who runs it and may do so, and nobody else has
    /// any right; with `secret_backend_command_allow_group_exec_perm` its group may run it, too.
    pub fn old_rule(&self, runner: &Identity, group_exec: bool) -> Judged {
        let FileMeta { mode, uid, gid, .. } = self.meta;
        let own = uid == runner.uid && mode & 0o100 != 0;
        if group_exec {
            self.group_bits()?;
            let by_group = mode & 0o010 != 0 && (gid == runner.gid || runner.groups.contains(&gid));
            return match own || by_group {
                true => Ok(()),
                false => {
                    broken("neither its owner nor its group is who runs it, with the right to do so", self.mend(true))
                }
            };
        }
        if uid != runner.uid {
            return broken(format!("it belongs to uid {uid}, and uid {} runs it", runner.uid), self.mend(false));
        }
        if mode & 0o100 == 0 {
            return broken(format!("mode {mode:04o}: its owner may not run it"), self.mend(false));
        }
        self.no_others()
    }

    /// Agents from 7.56 on (impl/check_rights_nix.go): as before, whoever owns it, as long as it can be run.
    pub fn new_rule(&self, runner: &Identity, group_exec: bool) -> Judged {
        if group_exec {
            self.group_bits()?;
        } else {
            self.no_others()?;
        }
        if !may(&self.meta, runner, 0o1) {
            return broken(
                format!("mode {:04o}: uid {} may not run it", self.meta.mode, runner.uid),
                self.mend(group_exec),
            );
        }
        Ok(())
    }

    /// Why this Agent does not run it, and what mends that; a newer rule counts for one that is not known.
    pub fn refused_by(&self, runner: &Identity, group_exec: bool, agent: Option<&Version>) -> Option<String> {
        let judged = match agent.is_some_and(asks_for_owner) {
            true => self.old_rule(runner, group_exec),
            false => self.new_rule(runner, group_exec),
        };
        judged.err().map(|broken| format!("{}; {}", broken.why, broken.mend))
    }

    /// What the documentation promises: the owner, no rights of others, and the owner's right to run it.
    pub fn documented_rule(&self, runner: &Identity) -> Judged {
        self.old_rule(runner, false)
    }

    fn no_others(&self) -> Judged {
        match self.meta.mode & 0o077 {
            0 => Ok(()),
            _ => {
                broken(format!("mode {:04o}: 'group' or 'others' have rights on it", self.meta.mode), self.mend(false))
            }
        }
    }

    fn group_bits(&self) -> Judged {
        match self.meta.mode & 0o027 {
            0 => Ok(()),
            _ => broken(
                format!("mode {:04o}: 'others' have rights on it, or 'group' has write permission", self.meta.mode),
                self.mend(true),
            ),
        }
    }

    /// No Agent looks at the folders: whoever may write one of them may put another program in the helper's place.
    pub fn folders_rule(&self, runner: &Identity) -> Judged {
        for (path, meta) in &self.folders {
            let path = path.display();
            if ![0, runner.uid].contains(&meta.uid) {
                return broken(
                    format!("{path} belongs to uid {}, who may replace what is in it", meta.uid),
                    format!("move the helper to /opt/ddinstall, or make root the owner of {path}"),
                );
            }
            if meta.mode & 0o022 != 0 {
                let mend = format!("move the helper to /opt/ddinstall, or let root alone write to {path}");
                return broken(format!("{path} has mode {:04o}: others may replace what is in it", meta.mode), mend);
            }
            if !may(meta, runner, 0o1) {
                let why = format!("{path} has mode {:04o}: uid {} does not get through", meta.mode, runner.uid);
                return broken(why, format!("move the helper to /opt/ddinstall, or let others enter {path}"));
            }
        }
        Ok(())
    }

    /// What the kernel needs to run it. `there` says whether a program is there and may be run.
    pub fn program_rule(&self, there: impl Fn(&str) -> bool) -> Judged {
        let path = self.target.display();
        if self.no_exec {
            return broken("its file system is mounted noexec", "move the helper to /opt/ddinstall, or remount it");
        }
        if self.head.starts_with(b"\x7fELF") {
            let machine = self.head.get(18..20).map(|b| u16::from_le_bytes([b[0], b[1]]));
            let ours = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
            return match machine {
                Some(machine) if machine == ours => Ok(()),
                // A 32-bit program may be run by a 64-bit kernel.
                Some(3 | 40) => Ok(()),
                _ => broken("it is a program for another processor", "build it for this host"),
            };
        }
        let Some(rest) = self.head.strip_prefix(b"#!") else {
            let mend = format!("put an interpreter line into its first line, such as #!/bin/sh ({path})");
            return broken(
                "it is neither a program nor a script with `#!` in its first bytes: exec format error",
                mend,
            );
        };
        // The kernel reads no further (BINPRM_BUF_SIZE).
        let end = rest.iter().position(|b| *b == b'\n');
        let line = String::from_utf8_lossy(&rest[..end.unwrap_or(rest.len())]).into_owned();
        if end.is_none() && self.head.len() >= HEAD {
            return broken("its interpreter line is longer than the kernel reads (256 bytes)", "shorten it");
        }
        if line.ends_with('\r') {
            return broken(
                "its first line ends with a carriage return, which becomes part of the interpreter's name",
                "end its lines with a line feed alone",
            );
        }
        let mut words = line.split_whitespace();
        let Some(interpreter) = words.next() else {
            return broken("its interpreter line is empty", "write the interpreter behind #!");
        };
        if !interpreter.starts_with('/') {
            return broken(
                format!("its interpreter `{}` is no absolute path", interpreter.escape_debug()),
                "write its whole path",
            );
        }
        if !there(interpreter) {
            return broken(
                format!("its interpreter {} is not there", interpreter.escape_debug()),
                "install it, or name another one",
            );
        }
        let by_env = interpreter.ends_with("/env");
        match words.find(|word| !word.starts_with('-') && !word.contains('=')).filter(|_| by_env) {
            Some(name) if !there(name) => broken(
                format!("`env` finds no {} in the Agent's PATH", name.escape_debug()),
                "name the interpreter by its whole path",
            ),
            _ => Ok(()),
        }
    }

    /// A label that a service may not run, where SELinux enforces.
    pub fn label_rule(&self) -> Judged {
        match &self.label {
            Some(label) if !RUNNABLE.contains(&label.as_str()) && !label.ends_with("_exec_t") => broken(
                format!("its SELinux type is {label}, and services run bin_t"),
                "move the helper to /opt/ddinstall, or give it the type bin_t (semanage fcontext, then restorecon)",
            ),
            _ => Ok(()),
        }
    }
}

/// Whether this Agent wants the helper to belong to whom it runs as.
pub fn asks_for_owner(agent: &Version) -> bool {
    (agent.major, agent.minor) < FIRST_WITHOUT_OWNER
}

/// Types of files that services may run.
const RUNNABLE: [&str; 4] = ["bin_t", "usr_t", "lib_t", "container_file_t"];
/// As much as the kernel looks at.
const HEAD: usize = 256;

/// Whether one of the rights of `bit` (1: run or enter) is the runner's, by owner, group and others. Root enters all
/// folders, and runs what anybody may run.
pub fn may(meta: &FileMeta, runner: &Identity, bit: u32) -> bool {
    if runner.uid == 0 {
        return meta.kind == FileKind::Dir || meta.mode & (bit * 0o111) != 0;
    }
    let shift = if meta.uid == runner.uid {
        6
    } else if meta.gid == runner.gid || runner.groups.contains(&meta.gid) {
        3
    } else {
        0
    };
    meta.mode & (bit << shift) != 0
}

/// A user with all the groups that it is a member of.
pub fn identity(users: &Users, name: &str) -> Option<Identity> {
    let user = users.user(name)?;
    Some(Identity { uid: user.uid, gid: user.gid, groups: users.groups_of(name) })
}

/// Reads what there is to know of a helper. An error if it is not there, or is no file.
pub fn look(host: &Host, path: &Path) -> Result<Helper> {
    let refuse = |what: String| Err(Error::new(Kind::Prerequisite, what));
    if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return refuse(format!("secret_backend_command: {} is no absolute path", path.display()));
    }
    let real = host.real_path(path);
    let found = std::fs::canonicalize(&real).map_err(|e| Error::io("find the helper", &real, &e))?;
    let target = Path::new("/").join(found.strip_prefix(host.root()).unwrap_or(&found));
    let Some(meta) = host.meta(&target)? else {
        return refuse(format!("{} is not there", target.display()));
    };
    if meta.kind != FileKind::File {
        return refuse(format!("{} is no file", target.display()));
    }
    let mut folders: Vec<(PathBuf, FileMeta)> = Vec::new();
    for start in [path, &target] {
        let mut way: Vec<&Path> = start.ancestors().skip(1).collect();
        way.reverse();
        for folder in way {
            // A link on the way is judged by the folder it stands in and by what it leads to.
            match host.meta(folder)? {
                Some(meta) if meta.kind == FileKind::Dir && !folders.iter().any(|(f, _)| f == folder) => {
                    folders.push((folder.to_owned(), meta));
                }
                _ => {}
            }
        }
    }
    Ok(Helper {
        head: host.head(&target, HEAD)?,
        no_exec: host.runs_no_programs(&target)?,
        label: host.enforced_label(&target)?,
        target,
        meta,
        folders,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: u32 = 107;

    fn runner() -> Identity {
        Identity { uid: AGENT, gid: 112, groups: vec![112, 999] }
    }

    fn meta(kind: FileKind, uid: u32, gid: u32, mode: u32) -> FileMeta {
        FileMeta { kind, mode, uid, gid, len: 0, mtime: 0, mtime_nsec: 0, nlink: 1, inode: 1, device: 1 }
    }

    fn helper(uid: u32, gid: u32, mode: u32) -> Helper {
        Helper {
            target: "/opt/h".into(),
            meta: meta(FileKind::File, uid, gid, mode),
            folders: vec![("/".into(), meta(FileKind::Dir, 0, 0, 0o755))],
            head: b"#!/bin/sh\n".to_vec(),
            no_exec: false,
            label: None,
        }
    }

    #[test]
    fn page_the_helper_belongs_to_the_user_of_the_agent_and_to_nobody_else() {
        // uid, gid, mode: old, new; then both with group_exec.
        for (uid, gid, mode, expected) in [
            (AGENT, 112, 0o700, [true, true, true, true]),
            (AGENT, 112, 0o500, [true, true, true, true]),
            (AGENT, 112, 0o600, [false, false, false, false]),
            (AGENT, 112, 0o750, [false, false, true, true]),
            (AGENT, 112, 0o770, [false, false, false, false]),
            (AGENT, 112, 0o755, [false, false, false, false]),
            (AGENT, 112, 0o701, [false, false, false, false]),
            (0, 0, 0o700, [false, false, false, false]),
            (0, 112, 0o750, [false, false, true, true]),
            (0, 999, 0o550, [false, false, true, true]),
            (0, 50, 0o750, [false, false, false, false]),
            (0, 112, 0o740, [false, false, false, false]),
            (0, 112, 0o755, [false, false, false, false]),
        ] {
            let helper = helper(uid, gid, mode);
            let runner = runner();
            let judged = [false, true].map(|group| [helper.old_rule(&runner, group), helper.new_rule(&runner, group)]);
            let judged: Vec<bool> = judged.iter().flatten().map(|j| j.is_ok()).collect();
            assert_eq!(judged, expected, "{uid}:{gid} {mode:04o}");
            assert_eq!(helper.documented_rule(&runner).is_ok(), expected[0]);
        }
    }

    #[test]
    fn the_newer_rule_asks_no_owner_where_root_runs_it() {
        let root = Identity { uid: 0, gid: 0, groups: vec![0] };
        let helper = helper(1000, 1000, 0o700);
        assert!(helper.new_rule(&root, false).is_ok());
        assert!(helper.old_rule(&root, false).unwrap_err().why.contains("uid 1000"));
        assert!(helper.documented_rule(&root).is_err());
    }

    #[test]
    fn every_folder_on_the_way_is_judged() {
        for (uid, mode, says) in [
            (0, 0o755, None),
            (AGENT, 0o700, None),
            (1000, 0o755, Some("belongs to uid 1000")),
            (0, 0o775, Some("others may replace")),
            (0, 0o1777, Some("others may replace")),
            (0, 0o700, Some("does not get through")),
        ] {
            let mut helper = helper(AGENT, 112, 0o700);
            helper.folders.push(("/opt".into(), meta(FileKind::Dir, uid, uid, mode)));
            let judged = helper.folders_rule(&runner()).err().map(|b| b.why);
            assert_eq!(judged.is_some(), says.is_some(), "{judged:?}");
            assert!(judged.unwrap_or_default().contains(says.unwrap_or_default()));
        }
    }

    #[test]
    fn what_the_kernel_would_not_run_is_told_with_the_reason() {
        let elf = |machine: u16| [&b"\x7fELF"[..], &[0; 14], &machine.to_le_bytes()].concat();
        for (head, says) in [
            (b"#!/bin/sh\necho".to_vec(), None),
            (b"#! /bin/sh -e\n".to_vec(), None),
            (b"#!/usr/bin/env python3\n".to_vec(), None),
            (b"#!/usr/bin/env -S A=1 python3 -u\n".to_vec(), None),
            (elf(if cfg!(target_arch = "aarch64") { 183 } else { 62 }), None),
            (elf(243), Some("another processor")),
            (b"echo hello\n".to_vec(), Some("exec format error")),
            (b"".to_vec(), Some("exec format error")),
            (b"#!/bin/sh\r\n".to_vec(), Some("carriage return")),
            (b"#!sh\n".to_vec(), Some("no absolute path")),
            (b"#!\n".to_vec(), Some("is empty")),
            (b"#!/opt/absent\n".to_vec(), Some("/opt/absent is not there")),
            (b"#!/usr/bin/env ruby\n".to_vec(), Some("finds no ruby")),
            ([b"#!/".to_vec(), vec![b'x'; 300]].concat()[..256].to_vec(), Some("256 bytes")),
        ] {
            let helper = Helper { head, ..helper(AGENT, 112, 0o700) };
            let there = |name: &str| ["/bin/sh", "/usr/bin/env", "python3"].contains(&name);
            let judged = helper.program_rule(there).err().map(|b| b.why);
            assert_eq!(judged.is_some(), says.is_some(), "{:?} {judged:?}", helper.head);
            assert!(judged.unwrap_or_default().contains(says.unwrap_or_default()));
        }
        let helper = Helper { no_exec: true, ..helper(AGENT, 112, 0o700) };
        assert!(helper.program_rule(|_| true).unwrap_err().why.contains("noexec"));
    }

    #[test]
    fn a_label_that_services_may_not_run_is_told() {
        for (label, good) in
            [(None, true), (Some("bin_t"), true), (Some("ssh_exec_t"), true), (Some("user_home_t"), false)]
        {
            let helper = Helper { label: label.map(str::to_owned), ..helper(AGENT, 112, 0o700) };
            assert_eq!(helper.label_rule().is_ok(), good, "{label:?}");
        }
    }
}
