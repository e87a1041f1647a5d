//! Package files that the operator has: what is in them, and whether their signature can be checked.

use std::path::Path;

use super::QUICK;
use crate::error::{Error, Kind, Result};
use crate::host::{Command, system};
use crate::packages::{LocalPackage, Manager, Session};

const FORMAT: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SIZE}\\n";

/// Reads a `.rpm`, and has rpm check its digests and, with the keys in its database, its signature.
pub fn read_file(manager: Manager, session: Session, path: &Path) -> Result<LocalPackage> {
    let host = session.host;
    let output =
        Command::new("rpm").args(["-qp", "--nosignature", "--qf", FORMAT]).arg(path).deadline(QUICK).run(host)?;
    let text = output.stdout_text();
    let fields: Vec<&str> = text.trim_end().split('\t').collect();
    let [name, version, architecture, size] = fields[..] else {
        return Err(Error::new(Kind::Usage, format!("{} is no rpm package", path.display()))
            .detail(output.explain())
            .hint("name files that end in .rpm, such as datadog-agent-7.78.1-1.x86_64.rpm"));
    };
    if ![system::machine(), "noarch"].contains(&architecture) {
        let what = format!("{} is for {architecture}, and this host is {}", path.display(), system::machine());
        return Err(Error::new(Kind::Usage, what).hint("name the package for this architecture"));
    }
    let checked = Command::new("rpm").arg("-Kv").arg(path).deadline(QUICK).run(host)?;
    session.events.log(checked.explain());
    let unchecked = signature(&checked.stdout_text()).map_err(|what| {
        Error::new(Kind::Repository, format!("{} {what}", path.display()))
            .detail(checked.explain())
            .hint("the file was changed after it was made: get it anew, from its source")
    })?;
    if manager == Manager::Zypper
        && let Some(why) = &unchecked
    {
        let what =
            format!("the signature of {} cannot be checked, and zypper takes no such file: {why}", path.display());
        return Err(Error::new(Kind::Repository, what).detail(checked.explain()).hint(
            "import the key of its signer with `rpm --import KEYFILE` if you trust it, then run again; what nobody signed \
             must be signed first",
        ));
    }
    Ok(LocalPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        installed: size.parse().unwrap_or(0),
        unchecked,
    })
}

/// Why the signature could not be checked; None: it was, and is good. The lines are those of `rpm -Kv`:
/// `    Header V4 RSA/SHA512 Signature, key ID 387f80360a: NOKEY`
fn signature(text: &str) -> std::result::Result<Option<String>, &'static str> {
    let results: Vec<(&str, &str)> = text.lines().filter_map(|line| line.trim().rsplit_once(": ")).collect();
    if results.iter().any(|(_, result)| result.starts_with("BAD")) || results.is_empty() {
        return Err("has a signature or a digest that does not match");
    }
    let signatures: Vec<&(&str, &str)> = results.iter().filter(|(what, _)| what.contains("Signature")).collect();
    Ok(match signatures.iter().find(|(_, result)| !result.starts_with("OK")) {
        _ if signatures.is_empty() => Some("it has none".into()),
        Some((what, result)) => {
            Some(format!("rpm says {result} of {}: it does not know that key, or not trust it", what.trim()))
        }
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_signature_counts_as_checked() {
        let good = "x.rpm:\n    Header V4 RSA/SHA512 Signature, key ID 0a: OK\n    Header SHA256 digest: OK\n";
        assert_eq!(signature(good), Ok(None));
        assert!(matches!(signature("x.rpm:\n    Header SHA256 digest: OK\n"), Ok(Some(_))));
        assert!(matches!(signature(&good.replace("0a: OK", "0a: NOKEY")), Ok(Some(_))));
        assert!(signature(&good.replace("digest: OK", "digest: BAD (Expected a != b)")).is_err());
        assert!(signature("").is_err());
    }
}
