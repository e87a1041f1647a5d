//! How the repository is reached, beside its address; the same for every package manager.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::host::{Attributes, Host, TempDir};
use crate::net::{Credentials, Proxies, Way};
use crate::request::Sources;

/// Where systems keep the certificate authorities that they trust, in one file (Debian and Alpine, Red Hat, SUSE).
pub const TRUST_STORES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// The way to a repository. It counts for this repository alone, never for the host's other sources.
#[derive(Debug, Default)]
pub struct Access {
    /// The repository's address. It holds no password.
    pub url: String,
    pub proxies: Proxies,
    pub credentials: Vec<Credentials>,
    /// Certificate authorities beside the system's, in PEM.
    pub ca: Option<Vec<u8>>,
    /// The longest silence of a download.
    pub stall: Duration,
    /// All of a download.
    pub deadline: Duration,
    bundle: OnceLock<TempDir>,
}

impl Access {
    /// With nothing that would have to be known to get there.
    pub fn to(url: impl Into<String>) -> Self {
        Access { url: url.into(), ..Access::default() }
    }

    /// The way to one of the repositories of a request.
    pub fn new(url: impl Into<String>, sources: &Sources) -> Self {
        Access {
            proxies: sources.proxies.clone(),
            credentials: sources.credentials.clone(),
            ca: sources.ca.as_ref().map(|ca| ca.bytes.clone()),
            stall: sources.limits.stall,
            deadline: sources.limits.download,
            ..Access::to(url)
        }
    }

    /// The way to the repository.
    pub fn way(&self) -> Way {
        self.proxies.way(&self.url)
    }

    /// What the repository wants to know.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.iter().find(|credentials| credentials.fit(&self.url))
    }

    /// A file with the system's certificate authorities and the operator's, which every user may read; None where the
    /// system's alone count. The package managers' own option replaces the system's. It is gone with this value.
    pub fn ca_bundle(&self, host: &Host) -> Result<Option<PathBuf>> {
        let Some(ca) = &self.ca else { return Ok(None) };
        if let Some(folder) = self.bundle.get() {
            return Ok(Some(folder.path().join("ca.pem")));
        }
        let mut bytes = trust_store(host)?.unwrap_or_default();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(ca);
        // The package manager reads it as its own user.
        let folder = host.temp_dir("/run", 0o711)?;
        let path = folder.path().join("ca.pem");
        host.write(&path, &bytes, &Attributes { uid: 0, gid: 0, mode: 0o644 })?;
        let _ = self.bundle.set(folder);
        Ok(Some(path))
    }

    /// An https repository needs authorities to be checked with. Errors with exit code 4.
    pub fn can_be_checked(&self, host: &Host) -> Result<()> {
        if !self.url.starts_with("https://") || self.ca.is_some() || trust_store(host)?.is_some() {
            return Ok(());
        }
        Err(Error::new(Kind::Prerequisite, "this host has no certificate authorities to check https servers with")
            .hint("install the package ca-certificates, or name a file of certificates with --ca-file"))
    }
}

/// The system's certificate authorities. None where there are none.
pub fn trust_store(host: &Host) -> Result<Option<Vec<u8>>> {
    for path in TRUST_STORES {
        if let Some(stored) = host.read(path)?.filter(|stored| !stored.bytes.is_empty()) {
            return Ok(Some(stored.bytes));
        }
    }
    Ok(None)
}
