//! The signing keys in rpm's database. They get there from our own file, whose keys were checked against fingerprints.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::host::{Command, Host};
use crate::packages::{Session, keys};

use super::{QUICK, with_lock};

/// The keys of a keyring that rpm does not know yet, by the names that they have as packages: `gpg-pubkey-` and the end
/// of the fingerprint, then the time at which the key was made.
pub fn missing_keys(host: &Host, keyring: &[u8]) -> Result<Vec<String>> {
    let made = keys::made(keyring);
    let output =
        Command::new("rpm").args(["-q", "gpg-pubkey", "--qf", "%{VERSION}-%{RELEASE}\\n"]).deadline(QUICK).run(host)?;
    let text = output.stdout_text();
    let known: Vec<&str> = text.lines().collect();
    let short = |name: &str| name[name.len().saturating_sub(8)..].to_owned();
    Ok(made
        .into_iter()
        .map(|(fingerprint, time)| (fingerprint.to_string().to_lowercase(), time))
        // rpm 6 writes the whole fingerprint, older ones its last eight digits.
        .filter(|(name, time)| {
            let names = [format!("{}-{time:x}", short(name)), format!("{name}-{time:x}")];
            !known.iter().any(|known| names.iter().any(|name| name == known))
        })
        .map(|(name, time)| format!("gpg-pubkey-{}-{time:x}", short(&name)))
        .collect())
}

/// Imports the keys of our file into rpm's database.
pub fn import(session: Session, keyring: &Path) -> Result<()> {
    let output = with_lock(session, || {
        session.lasting(Command::new("rpm").arg("--import").arg(keyring), "ddinstall-rpm").run(session.host)
    })?;
    session.events.log(output.explain());
    let stored = session.host.read(keyring)?;
    let missing = missing_keys(session.host, &stored.map(|s| s.bytes).unwrap_or_default())?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::PackageManager, format!("rpm did not take these signing keys: {}", missing.join(", ")))
        .detail(output.explain())
        .hint("see what rpm says above: a policy of this host may not allow such keys"))
}
