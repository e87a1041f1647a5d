//! The receipt: what was asked and what each run did, written before it is done, so that a run that
//! was cut off is known and every run can be undone. It holds hashes and backups' names, never content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::desired::Asked;
use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, FileKind, Host, Stored, system};

pub const STATE: &str = "/var/lib/ddinstall";
pub const RECEIPT: &str = "/var/lib/ddinstall/receipt.json";
pub const LOCK: &str = "/var/lib/ddinstall/lock";
/// The proof of the last changing run, as JSON.
pub const PROOF: &str = "/var/lib/ddinstall/proof.json";
/// Says that an image lacks its API key, for whatever starts it: gone once that is there.
pub const INCOMPLETE: &str = "/var/lib/ddinstall/incomplete";
const INCOMPLETE_TEXT: &[u8] =
    b"The API key is still to come: `ddinstall install` with DD_API_KEY completes this image.\n";
/// This program, where it was asked to keep itself for a later uninstallation.
pub const BINARY: &str = "/var/lib/ddinstall/ddinstall";
/// One log a changing run. They stay when all else of ours goes.
pub const LOGS: &str = "/var/log/ddinstall";
/// While packages are removed: copies of files that are not ours and would go with them, each at its own path below it.
pub const KEPT: &str = "/var/lib/ddinstall/kept";
const BACKUPS: &str = "/var/lib/ddinstall/backups";
/// 2 (0.2): attributes, users, folders of packages, runs that are being taken back. 1 is read, too.
const FORMAT: u32 = 2;

const PRIVATE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o600 };
const PRIVATE_FOLDER: Attributes = Attributes { uid: 0, gid: 0, mode: 0o700 };

/// How to take one change back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub enum Undo {
    /// Put the backup back, with the attributes it had.
    RestoreFile {
        path: String,
        backup: String,
        uid: u32,
        gid: u32,
        mode: u32,
        mtime: i64,
        mtime_nsec: i64,
        written: String,
    },
    /// Remove the file, if its sha256 is still the one that was written.
    RemoveFile {
        path: String,
        written: String,
    },
    /// Remove the folder, if it is empty.
    RemoveFolder {
        path: String,
    },
    /// Remove packages that were absent.
    RemovePackages {
        names: Vec<String>,
        /// Folders of these packages that were absent, too: all that is in them came after us.
        #[serde(default)]
        folders: Vec<String>,
    },
    /// Go back to the version that was there.
    RestorePackage {
        name: String,
        version: String,
        /// The version that replaced it. Another one that is there now is somebody else's choice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Packages' scripts may set owners and modes of files that are not theirs: what they were.
    RestoreAttributes {
        path: String,
        uid: u32,
        gid: u32,
        mode: u32,
        /// What the scripts made of it, where they were done. Anything else is somebody else's choice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<(u32, u32, u32)>,
    },
    /// A user that was absent and that packages' scripts make. It stays, and is named.
    NewUser {
        user: String,
    },
    LeaveGroup {
        user: String,
        group: String,
    },
    /// Hold packages again, or release them.
    Hold {
        names: Vec<String>,
        hold: bool,
    },
    Disable {
        unit: String,
    },
    /// The unit ran before, or it did not: bring that back once the files are back.
    Unit {
        unit: String,
        ran: bool,
    },
}

/// A step as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub what: String,
    pub undo: Vec<Undo>,
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Running, or cut off.
    Open,
    Done,
    /// Failed and left as it was then.
    Kept,
    /// Being taken back, or cut off in that, or something could not be taken back yet.
    TakingBack,
    RolledBack,
}

impl Outcome {
    /// Neither done nor taken back.
    fn is_open(self) -> bool {
        matches!(self, Outcome::Open | Outcome::TakingBack)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: u32,
    /// RFC 3339, UTC.
    pub started: String,
    /// The version of ddinstall.
    pub tool: String,
    pub outcome: Outcome,
    /// What the host was asked to be before this run.
    pub asked_before: Asked,
    pub steps: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub format: u32,
    pub asked: Asked,
    /// sha256 of every vendor example of the proxy's configuration that was put in place.
    #[serde(default)]
    pub proxy_examples: Vec<String>,
    pub runs: Vec<Run>,
    /// In an image, the time (seconds since 1970) that stands for all times of this run, so that it is built alike twice.
    #[serde(skip)]
    pub built: Option<u64>,
}

/// What receipts of all formats say.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Default for Receipt {
    fn default() -> Self {
        Receipt { format: FORMAT, asked: Asked::default(), proxy_examples: Vec::new(), runs: Vec::new(), built: None }
    }
}

/// What is known of earlier runs.
#[derive(Debug, Clone)]
pub enum Past {
    Known(Box<Receipt>),
    /// There is no receipt.
    None,
    /// Only root may read it.
    Denied,
}

impl Past {
    pub fn load(host: &Host) -> Result<Past> {
        let bytes = match host.read_own(RECEIPT) {
            Ok(Some(stored)) => stored.bytes,
            Ok(None) => return Ok(Past::None),
            Err(failure) if failure.is_denied() => return Ok(Past::Denied),
            Err(failure) => return Err(failure.into()),
        };
        let hint = "move the file away to start a new one; runs that it describes can then no longer be undone";
        let bad = |why: String| Error::new(Kind::Prerequisite, format!("{RECEIPT}: {why}")).hint(hint);
        let unread = |e: serde_json::Error| bad(format!("cannot be read: {e}"));
        // First: a later one may say what cannot be read here.
        let Format { format } = serde_json::from_slice(&bytes).map_err(unread)?;
        if format > FORMAT {
            let why = format!("has format {format}, and this ddinstall knows {FORMAT}");
            return Err(bad(why).hint("run the newer ddinstall that wrote it"));
        }
        let receipt: Receipt = serde_json::from_slice(&bytes).map_err(unread)?;
        Ok(Past::Known(Box::new(receipt)))
    }

    pub fn receipt(self) -> Receipt {
        match self {
            Past::Known(receipt) => *receipt,
            Past::None | Past::Denied => Receipt::default(),
        }
    }
}

impl Receipt {
    /// The run that was cut off, if the last one that stands was.
    pub fn cut_off(&self) -> Option<&Run> {
        self.standing().next_back().filter(|run| run.outcome.is_open())
    }

    /// Whether the last run that stands did not come to its end: what it changed may not be in use yet.
    pub fn is_unfinished(&self) -> bool {
        self.standing().next_back().is_some_and(|run| run.outcome.is_open() || run.outcome == Outcome::Kept)
    }

    /// The runs that were not taken back, oldest first.
    pub fn standing(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.iter().filter(|run| run.outcome != Outcome::RolledBack)
    }

    /// Whether a run that was not taken back put this package on the host.
    pub fn installed(&self, package: &str) -> bool {
        let installs =
            |undo: &Undo| matches!(undo, Undo::RemovePackages { names, .. } if names.iter().any(|n| n == package));
        self.standing().flat_map(|run| &run.steps).flat_map(|step| &step.undo).any(installs)
    }

    /// Begins a run, or goes on with one that was cut off: both are one change, and are taken back as one. So are runs
    /// whose uninstallation was cut off: the host is neither of what each of them left. Nothing is written before the
    /// first step.
    pub fn begin(&mut self, asked: Asked) {
        self.format = FORMAT;
        if self.cut_off().is_some() {
            let first = self.runs.iter().position(|run| run.outcome.is_open()).unwrap_or(self.runs.len() - 1);
            let mut rest = self.runs.split_off(first + 1);
            rest.retain(|run| run.outcome != Outcome::RolledBack);
            let run = &mut self.runs[first];
            run.steps.extend(rest.into_iter().flat_map(|run| run.steps));
            run.outcome = Outcome::Open;
            self.asked = asked;
            return;
        }
        let id = self.runs.last().map_or(1, |run| run.id + 1);
        let started = match self.built {
            Some(seconds) => std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
            None => std::time::SystemTime::now(),
        };
        let asked_before = std::mem::replace(&mut self.asked, asked);
        self.runs.push(Run {
            id,
            started: humantime::format_rfc3339_seconds(started).to_string(),
            tool: env!("CARGO_PKG_VERSION").into(),
            outcome: Outcome::Open,
            asked_before,
            steps: Vec::new(),
        });
    }

    /// The host is what it was asked to be without a change: that it was asked is remembered all the same.
    pub fn note(&mut self, host: &Host, asked: Asked) -> Result<()> {
        self.format = FORMAT;
        self.asked = asked;
        self.save(host)
    }

    fn run(&mut self) -> Result<&mut Run> {
        self.runs.last_mut().ok_or_else(|| Error::new(Kind::Prerequisite, "no run was begun (a mistake in ddinstall)"))
    }

    /// Puts a step's undo on disk, before the step runs.
    pub fn intend(&mut self, host: &Host, what: String, undo: Vec<Undo>) -> Result<()> {
        self.run()?.steps.push(Record { what, undo, done: false });
        self.save(host)
    }

    /// Marks the last step as done.
    pub fn done(&mut self, host: &Host) -> Result<()> {
        if let Some(step) = self.run()?.steps.last_mut() {
            step.done = true;
        }
        self.save(host)
    }

    /// A package's script rewrote a file that this run wrote: what it is now is what may be taken back.
    pub fn follow(&mut self, host: &Host, path: &str) -> Result<()> {
        let Some(now) = host.read(path)? else { return Ok(()) };
        let hash = system::sha256_hex(&now.bytes);
        for undo in self.run()?.steps.iter_mut().flat_map(|step| &mut step.undo) {
            match undo {
                Undo::RemoveFile { path: of, written } | Undo::RestoreFile { path: of, written, .. } if of == path => {
                    written.clone_from(&hash);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Of a run that was cut off, once its transaction is over: what packages' scripts have made is that run's work.
    pub fn settle_cut_off(&mut self, host: &Host, keyring: &str) -> Result<()> {
        let packages = |undo: &Undo| matches!(undo, Undo::RemovePackages { .. } | Undo::RestorePackage { .. });
        if self.run()?.steps.last().is_some_and(|step| !step.done && step.undo.iter().any(packages)) {
            self.follow(host, keyring)?;
        }
        self.settle_attributes(host)
    }

    /// A package that an earlier part of this run has left half-installed is about to get this version: it is ours all
    /// the same.
    pub fn follow_package(&mut self, package: &str, to: Option<&str>) -> Result<()> {
        let undos = self.run()?.steps.iter_mut().flat_map(|step| &mut step.undo);
        let mut moves = undos.filter_map(|undo| match undo {
            Undo::RestorePackage { name, by, .. } if name == package => Some(by),
            _ => None,
        });
        if let Some(by) = moves.next_back() {
            *by = to.map(str::to_owned);
        }
        Ok(())
    }

    pub fn end(&mut self, host: &Host, outcome: Outcome) -> Result<()> {
        self.run()?.outcome = outcome;
        self.save(host)
    }

    /// What packages' scripts made of owners and modes, once they are done; where nothing changed there is nothing to
    /// restore. What is not noted by then would count as their work for ever.
    pub fn settle_attributes(&mut self, host: &Host) -> Result<()> {
        for step in &mut self.run()?.steps {
            for mut undo in std::mem::take(&mut step.undo) {
                if let Undo::RestoreAttributes { path, uid, gid, mode, made: made @ None } = &mut undo {
                    match host.meta(&*path)?.map(|meta| (meta.uid, meta.gid, meta.mode)) {
                        Some(now) if now != (*uid, *gid, *mode) => *made = Some(now),
                        _ => continue,
                    }
                }
                step.undo.push(undo);
            }
        }
        Ok(())
    }

    /// The runs from this one on are about to be taken back. On disk before anything else is.
    pub fn take_back(&mut self, host: &Host, from: u32) -> Result<()> {
        self.format = FORMAT;
        for run in self.runs.iter_mut().filter(|run| run.id >= from && run.outcome != Outcome::RolledBack) {
            run.outcome = Outcome::TakingBack;
        }
        self.save(host)
    }

    /// The runs from this one on were taken back: their backups go. Where no run stands, so does all that we keep on
    /// this host, but for the logs.
    pub fn taken_back(&mut self, host: &Host, from: u32) -> Result<()> {
        let mut asked = None;
        for run in self.runs.iter_mut().filter(|run| run.id >= from && run.outcome == Outcome::TakingBack) {
            run.outcome = Outcome::RolledBack;
            asked.get_or_insert_with(|| run.asked_before.clone());
        }
        self.asked = asked.unwrap_or_default();
        // Before any backup goes: a run that still counts as standing needs them.
        self.save(host)?;
        if self.standing().next().is_none() {
            return forget(host);
        }
        self.prune(host)
    }

    /// The folders in which a run that was killed may have left what it was writing of ours.
    pub fn folders(host: &Host) -> Result<Vec<PathBuf>> {
        let copies = host.list(BACKUPS)?.unwrap_or_default().into_iter().map(|name| Path::new(BACKUPS).join(name));
        let kept =
            host.list_tree(KEPT)?.into_iter().filter(|(_, meta)| meta.kind == FileKind::Dir).map(|(path, _)| path);
        Ok(std::iter::once(PathBuf::from(STATE)).chain(copies).chain(kept).collect())
    }

    /// Removes backups that no standing run needs any more.
    fn prune(&self, host: &Host) -> Result<()> {
        let undos = self.standing().flat_map(|run| &run.steps).flat_map(|step| &step.undo);
        let needed: BTreeSet<&Path> = undos
            .filter_map(|undo| match undo {
                Undo::RestoreFile { backup, .. } => Path::new(backup).parent(),
                _ => None,
            })
            .collect();
        for name in host.list(BACKUPS)?.unwrap_or_default() {
            let folder = Path::new(BACKUPS).join(name);
            if !needed.contains(&*folder) {
                host.remove_tree(folder)?;
            }
        }
        Ok(())
    }

    /// Keeps a copy of a file, readable by root only, and says how to put it back.
    pub fn back_up(&mut self, host: &Host, path: &str, before: &Stored, written: String) -> Result<Undo> {
        let run = self.run()?;
        let folder = format!("{BACKUPS}/{}", run.id);
        host.make_dirs(&folder, &PRIVATE_FOLDER)?;
        // Of runs that became one, a later one may have had this number.
        let mut number = run.steps.len();
        let mut backup = format!("{folder}/{number}");
        while host.meta(&backup)?.is_some() {
            number += 1;
            backup = format!("{folder}/{number}");
        }
        host.write(&backup, &before.bytes, &PRIVATE)?;
        let m = &before.meta;
        let newest = self.built.map_or(i64::MAX, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let (mtime, mtime_nsec) = if m.mtime > newest { (newest, 0) } else { (m.mtime, m.mtime_nsec) };
        Ok(Undo::RestoreFile {
            path: path.into(),
            backup,
            uid: m.uid,
            gid: m.gid,
            mode: m.mode,
            mtime,
            mtime_nsec,
            written,
        })
    }

    fn save(&self, host: &Host) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(Kind::Prerequisite, format!("the receipt cannot be written: {e}")))?;
        text.push(b'\n');
        prepare_state(host)?;
        host.write(RECEIPT, &text, &PRIVATE)?;
        // Until the run that brings the key is done, it may not be there.
        let lacks = self.asked.no_key || self.cut_off().is_some_and(|run| run.asked_before.no_key);
        match host.meta(INCOMPLETE)?.is_some() {
            there if there == lacks => Ok(()),
            true => host.remove_file(INCOMPLETE).map(|_| ()),
            false => host.write(INCOMPLETE, INCOMPLETE_TEXT, &PRIVATE),
        }
    }
}

/// Removes all that we keep, but for the logs.
pub fn forget(host: &Host) -> Result<()> {
    for name in host.list(STATE)?.unwrap_or_default() {
        host.remove_tree(Path::new(STATE).join(name))?;
    }
    // A file system of its own that is mounted there stays.
    let _ = host.remove_dir(STATE);
    Ok(())
}

/// Makes the state folder, which only root may enter.
pub fn prepare_state(host: &Host) -> Result<()> {
    host.make_dirs(STATE, &PRIVATE_FOLDER).map(|_| ())
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
