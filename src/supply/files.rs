//! Packages that the operator has as files: no repository is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::current::Current;
use crate::desired::{Desired, Wanted};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, TempDir};
use crate::packages::{LocalPackage, Manager, Needs, Session};
use crate::step::PackageChange;

/// The packages of the files, and what they need.
pub struct FromFiles {
    pub packages: Vec<PackageChange>,
    pub needs: Needs,
    pub notes: Vec<String>,
    /// Holds our copies, and is gone with them.
    pub folder: Option<Arc<TempDir>>,
}

/// Reads the files. `wanted` comes from `plan::wanted_packages`. With `copy`, they are copied to where nobody else can
/// change them before they are looked at, and the copies are what is installed.
pub fn files(
    session: Session,
    paths: &[String],
    desired: &Desired,
    current: &Current,
    wanted: &[PackageChange],
    copy: bool,
) -> Result<FromFiles> {
    let folder = if copy { Some(Arc::new(session.host.temp_dir("/var/cache", 0o700)?)) } else { None };
    let mut found = FromFiles { packages: Vec::new(), needs: Needs::default(), notes: Vec::new(), folder };
    let mut seen: Vec<String> = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let at = found.place(session.host, path, number)?;
        let package = Manager::of(session.host)?.read_file(session, &at).map_err(|error| named(error, &at, path))?;
        if seen.contains(&package.name) {
            return usage(format!("--package: two of the files are {}", package.name));
        }
        found.take(path, at, &package, desired, current)?;
        seen.push(package.name);
    }
    let along = |name: &str| desired.packages.iter().any(|w| w.name == name && w.version == Wanted::Along);
    let lacking = wanted.iter().find(|w| !seen.contains(&w.name) && !along(&w.name));
    if let Some(lacking) = lacking {
        let what = format!("{} is needed, and none of the files of --package is it", lacking.name);
        return Err(Error::new(Kind::Prerequisite, what)
            .hint("name its file, too; without --package all packages come from the repository"));
    }
    Ok(found)
}

/// Messages name the operator's file, not our copy of it.
fn named(error: Error, copy: &Path, path: &str) -> Error {
    let what = error.what.replace(&copy.display().to_string(), path);
    Error { what, ..error }
}

fn usage<T>(what: String) -> Result<T> {
    Err(Error::new(Kind::Usage, what).hint("--package takes files of the packages that this host is to have"))
}

impl FromFiles {
    fn place(&self, host: &Host, path: &str, number: usize) -> Result<PathBuf> {
        let cannot = |e: std::io::Error| {
            Error { kind: Kind::Usage, ..Error::io("read", Path::new(path), &e) }
                .hint("--package takes package files of this host")
        };
        let real = std::fs::canonicalize(path).map_err(cannot)?;
        if !std::fs::metadata(&real).map_err(cannot)?.is_file() {
            return usage(format!("--package: {path} is no regular file"));
        }
        let Some(folder) = &self.folder else {
            // The package manager of an image sees nothing that is outside of it.
            return if host.is_live() {
                Ok(real)
            } else {
                usage("--package: `plan --root` does not look into files".into())
            };
        };
        // The suffix is how a package manager tells a file from a name.
        let suffix = real.extension().map_or_else(String::new, |s| format!(".{}", s.to_string_lossy()));
        let copy = folder.path().join(format!("{number}{suffix}"));
        let to = host.real_path(&copy);
        std::fs::copy(&real, &to).map_err(|e| Error::io("copy to", &to, &e))?;
        Ok(copy)
    }

    fn take(
        &mut self,
        path: &str,
        at: PathBuf,
        package: &LocalPackage,
        desired: &Desired,
        current: &Current,
    ) -> Result<()> {
        let LocalPackage { name, version, .. } = package;
        let Some(wish) = desired.packages.iter().find(|wish| wish.name == name) else {
            return usage(format!("--package: {path} is {name}, which was not asked for"));
        };
        let fits = |pin: &crate::types::Pin| version.parse().is_ok_and(|version| pin.matches(&version));
        if let Wanted::Pinned(pin) = &wish.version
            && !fits(pin)
        {
            return usage(format!("--package: {path} is {name} {version}, and {pin} was asked for"));
        }
        let installed = current.version(wish.name);
        if installed == Some(version) {
            return Ok(());
        }
        if let Some(why) = &package.unchecked {
            self.notes.push(format!("the signature of {path} ({name} {version}) was not checked: {why}"));
        }
        self.needs.installed = self.needs.installed.saturating_add(package.installed);
        self.packages.push(PackageChange {
            name: name.clone(),
            from: installed.map(str::to_owned),
            to: Some(version.clone()),
            file: Some(at),
        });
        Ok(())
    }
}
