//! What decides whether a file can be run as a program, beside its owner and mode.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use super::walk::{Last, is};
use super::{Host, ReadFailure, xattr};

impl Host {
    /// At most the first `length` bytes of a regular file; none of anything else.
    pub fn head(&self, path: &Path, length: usize) -> Result<Vec<u8>, ReadFailure> {
        let mut bytes = Vec::new();
        if let Some(file) = self.regular(path)? {
            // What cannot be read looks like what is not there.
            let _ = file.take(length as u64).read_to_end(&mut bytes);
        }
        Ok(bytes)
    }

    /// Whether the file is on a file system that is mounted `noexec`.
    pub fn runs_no_programs(&self, path: &Path) -> Result<bool, ReadFailure> {
        let fd = self.open(path, OFlag::O_PATH, Last::Keep)?;
        Ok(fd.is_some_and(|fd| fstatvfs(&fd).is_ok_and(|s| s.flags().contains(FsFlags::ST_NOEXEC))))
    }

    /// The SELinux type of a file, where SELinux enforces: `bin_t`.
    pub fn enforced_label(&self, path: &Path) -> Result<Option<String>, ReadFailure> {
        if self.read_text("/sys/fs/selinux/enforce")?.is_none_or(|text| text.trim() != "1") {
            return Ok(None);
        }
        let Some(file) = self.regular(path)? else { return Ok(None) };
        let label = xattr::label(&file).map_err(|e| self.failure("read the label of", path, e))?;
        Ok(label.and_then(|label| label.split(':').nth(2).map(str::to_owned)))
    }

    fn regular(&self, path: &Path) -> Result<Option<File>, ReadFailure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let Some(fd) = self.open(path, flags, Last::Keep)? else { return Ok(None) };
        let stat = fstat(&fd).map_err(|e| self.failure("read", path, e))?;
        Ok(is(&stat, SFlag::S_IFREG).then(|| File::from(fd)))
    }
}
