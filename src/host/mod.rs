//! The only code that touches files, processes, units, users and sockets.
//! Every path is relative to the root of a [`Host`]; nothing here knows Datadog.

mod child;
pub mod confined;
mod files;
mod folders;
pub mod guarded;
mod hold;
pub mod inside;
mod lock;
mod pipes;
mod probe;
pub mod process;
mod programs;
pub mod scopes;
pub mod services;
pub mod sockets;
pub mod system;
mod tcp_table;
pub mod units;
pub mod users;
mod walk;
mod xattr;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod process_tests;

use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use child::Identity;
pub use files::{Attributes, FileKind, FileMeta, ReadFailure, Stored};
pub use folders::{Space, TempDir};
pub use hold::Hold;
pub use lock::{Lock, Locking};
pub use process::{Command, Output, Stop, Stream};

use crate::error::{Error, Result};

/// A host seen through a root folder: `/` in life, a temporary folder in a test, an image with `--root`.
/// Cloning is cheap; the root folder is opened once and everything is found relative to it.
#[derive(Clone)]
pub struct Host(Arc<Root>);

struct Root {
    path: PathBuf,
    folder: OwnedFd,
    /// The owner of the root folder: whoever owns an image decides about its links, as root does on `/`.
    owner: u32,
    live: bool,
}

impl Host {
    /// Opens the root folder. The root itself may be reached over links; nothing below it may leave it.
    pub fn new(root: &Path) -> Result<Host> {
        let path = std::fs::canonicalize(root).map_err(|e| Error::io("open the root folder", root, &e))?;
        let folder = File::open(&path).map_err(|e| Error::io("open", &path, &e))?;
        let meta = folder.metadata().map_err(|e| Error::io("read", &path, &e))?;
        if !meta.is_dir() {
            let e = std::io::Error::from(std::io::ErrorKind::NotADirectory);
            return Err(Error::io("use as root folder", &path, &e));
        }
        Ok(Host(Arc::new(Root { live: path == Path::new("/"), owner: meta.uid(), folder: folder.into(), path })))
    }

    /// The root folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.0.path
    }

    /// Whether this is the running system itself (the root is `/`), whose units and sockets can be asked.
    pub fn is_live(&self) -> bool {
        self.0.live
    }

    /// The path as the kernel sees it: the root joined with `path`. For messages and for arguments of
    /// programs that run outside the root; never for opening, which goes through this module's functions.
    pub fn real_path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.path.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0.path.display())
    }
}
