//! rpm writes a package down before the scripts at the end of its transaction have run, and keeps no note of those. So we
//! keep one: the packages of a transaction, from before it until it has ended by itself. What is named there was cut off,
//! and is installed once more.

use crate::error::Result;
use crate::host::{Attributes, Host};
use crate::packages::{PackageSpec, State};

/// Names, one a line. The folder is that of the receipt, which is there before any transaction.
const NOTE: &str = "/var/lib/ddinstall/rpm-transaction";
const PRIVATE: Attributes = Attributes { uid: 0, gid: 0, mode: 0o600 };

/// The packages whose transaction was cut off. Only root may know.
pub(super) fn names(host: &Host) -> Result<Vec<String>> {
    match host.read_text(NOTE) {
        Ok(text) => Ok(text.unwrap_or_default().lines().map(str::to_owned).collect()),
        Err(failure) if failure.is_denied() => Ok(Vec::new()),
        Err(failure) => Err(failure.into()),
    }
}

/// Names these, too.
pub(super) fn begin(host: &Host, specs: &[PackageSpec]) -> Result<()> {
    let mut all = names(host)?;
    all.extend(specs.iter().map(|spec| spec.name.clone()));
    all.sort_unstable();
    all.dedup();
    write(host, &all)
}

/// Names these no more.
pub(super) fn end(host: &Host, done: &[&str]) -> Result<()> {
    let mut all = names(host)?;
    if all.is_empty() {
        return Ok(());
    }
    all.retain(|name| !done.contains(&name.as_str()));
    write(host, &all)
}

fn write(host: &Host, names: &[String]) -> Result<()> {
    if names.is_empty() {
        host.remove_file(NOTE)?;
    } else {
        host.write(NOTE, (names.join("\n") + "\n").as_bytes(), &PRIVATE)?;
    }
    Ok(())
}

/// Those of the specs whose version is installed and was cut off: a package manager that is asked to install them does
/// nothing.
pub(super) fn again(host: &Host, specs: &[PackageSpec]) -> Result<Vec<String>> {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let known = specs.iter().zip(super::installed(host, &names)?);
    let half = known.filter(|(spec, known)| {
        known.as_ref().is_some_and(|is| {
            is.state == State::HalfConfigured && spec.version.as_ref().is_none_or(|version| *version == is.version)
        })
    });
    Ok(half.map(|(spec, _)| spec.name.clone()).collect())
}
