//! What a host's file system holds beyond its base: two of these, before and after, show every change.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// By absolute path in the host. Removed files of the base are there with the kind `removed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<String, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `file`, `folder`, `link`, `socket`, `removed` or `other`.
    pub kind: &'static str,
    /// Of a file its size and hash, of a link its target.
    pub content: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Nanoseconds since 1970.
    pub mtime: i128,
}

impl Tree {
    /// Adds everything below `at`, which is `path` in the host.
    pub(super) fn add(&mut self, at: &Path, path: &str) {
        let Ok(entries) = fs::read_dir(at) else {
            return;
        };
        for entry in entries.flatten() {
            let inside = format!("{path}/{}", entry.file_name().to_string_lossy());
            let Ok(meta) = entry.path().symlink_metadata() else {
                continue;
            };
            let kind = meta.file_type();
            let whiteout = kind.is_char_device() && meta.rdev() == 0;
            let (kind, content) = if kind.is_file() {
                ("file", fs::read(entry.path()).map(|b| hash(&b)).unwrap_or_default())
            } else if kind.is_dir() {
                self.add(&entry.path(), &inside);
                ("folder", String::new())
            } else if kind.is_symlink() {
                ("link", fs::read_link(entry.path()).map(|t| t.display().to_string()).unwrap_or_default())
            } else if whiteout {
                ("removed", String::new())
            } else {
                (if kind.is_socket() { "socket" } else { "other" }, String::new())
            };
            let mtime = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            let entry = Entry { kind, content, mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid(), mtime };
            self.0.insert(inside, entry);
        }
    }

    /// Without these paths and what is below them, and without the times of the folders they are in.
    pub fn without(mut self, paths: &[&str]) -> Tree {
        self.0.retain(|path, _| {
            !paths.iter().any(|p| path == p || path.strip_prefix(p).is_some_and(|rest| rest.starts_with('/')))
        });
        for path in paths {
            if let Some((parent, _)) = path.rsplit_once('/')
                && let Some(entry) = self.0.get_mut(parent)
            {
                entry.mtime = 0;
            }
        }
        self
    }

    /// Without times: whoever packs an image sets them all to one (`--timestamp`, SOURCE_DATE_EPOCH).
    pub fn without_times(mut self) -> Tree {
        self.0.values_mut().for_each(|entry| entry.mtime = 0);
        self
    }

    /// One line a path that differs: `+ path`, `- path`, or `~ path (content, mode, …)`.
    pub fn changes_since(&self, before: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, now) in &self.0 {
            match before.0.get(path) {
                None => lines.push(format!("+ {path}")),
                Some(then) if then != now => lines.push(format!("~ {path} ({})", difference(then, now))),
                Some(_) => {}
            }
        }
        lines.extend(before.0.keys().filter(|p| !self.0.contains_key(*p)).map(|p| format!("- {p}")));
        lines
    }
}

fn difference(then: &Entry, now: &Entry) -> String {
    let mut parts = Vec::new();
    if then.kind != now.kind {
        parts.push(format!("{} is now a {}", then.kind, now.kind));
    }
    if then.content != now.content {
        parts.push("content".into());
    }
    if then.mode != now.mode {
        parts.push(format!("mode {:o} is now {:o}", then.mode, now.mode));
    }
    if (then.uid, then.gid) != (now.uid, now.gid) {
        parts.push(format!("owner {}:{} is now {}:{}", then.uid, then.gid, now.uid, now.gid));
    }
    if then.mtime != now.mtime {
        parts.push("mtime".into());
    }
    parts.join(", ")
}

/// Against change, not against malice: std's hash is quick even in a debug build.
fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{} bytes, {:016x}", bytes.len(), hasher.finish())
}
