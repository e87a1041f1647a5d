//! The two extended attributes that a replaced file must keep: its SELinux label and its access ACL.
//! The only calls into the C library that have no safe wrapper among our crates.
#![allow(unsafe_code, reason = "fgetxattr and fsetxattr have no safe wrapper in nix")]

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;

const LABEL: &CStr = c"security.selinux";
const ACL: &CStr = c"system.posix_acl_access";

/// Gives `new` the label and the ACL of `old`, or none where `old` has none (a folder's default ACL may have
/// put one there). A label that the kernel does not let us set is left; an ACL that cannot be set is an error.
pub(super) fn copy(old: &File, new: &File) -> nix::Result<()> {
    if let Some(label) = get(old, LABEL)?
        && get(new, LABEL)?.as_ref() != Some(&label)
    {
        match set(new, LABEL, &label) {
            Ok(()) | Err(Errno::EPERM | Errno::EACCES | Errno::ENOTSUP | Errno::EINVAL) => {}
            Err(e) => return Err(e),
        }
    }
    match get(old, ACL)? {
        Some(acl) => set(new, ACL, &acl),
        None => match remove(new, ACL) {
            Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(()),
            other => other,
        },
    }
}

/// The SELinux label of a file; None where it has none.
pub(super) fn label(file: &File) -> nix::Result<Option<String>> {
    Ok(get(file, LABEL)?.map(|label| String::from_utf8_lossy(&label).trim_end_matches('\0').to_owned()))
}

/// None where the file or the file system has no such attribute.
fn get(file: &File, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
    // An ACL has 8 bytes an entry; the kernel's limit for any attribute is 64 KiB.
    let mut value = vec![0u8; 65536];
    // SAFETY: the name ends in NUL and the buffer is as long as it is said to be.
    let length = unsafe { libc::fgetxattr(file.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match Errno::result(length) {
        Ok(length) => {
            value.truncate(length.unsigned_abs());
            Ok(Some(value))
        }
        Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(None),
        Err(e) => Err(e),
    }
}

fn set(file: &File, name: &CStr, value: &[u8]) -> nix::Result<()> {
    // SAFETY: the name ends in NUL and the value is as long as it is said to be.
    let result = unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(result).map(drop)
}

fn remove(file: &File, name: &CStr) -> nix::Result<()> {
    // SAFETY: the name ends in NUL.
    let result = unsafe { libc::fremovexattr(file.as_raw_fd(), name.as_ptr()) };
    Errno::result(result).map(drop)
}
