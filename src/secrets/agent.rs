//! What the Agent itself says of its secrets: `datadog-agent secret`, `datadog-agent configcheck`, and its last words
//! when it does not start. The wordings of old and new Agents are read. Pure.

/// `datadog-agent secret`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether a backend is set.
    pub enabled: bool,
    /// Its judgement of the helper's rights; None where it gives none.
    pub rights: Option<bool>,
    /// Handles that it has resolved, each with where it is used, in its words.
    pub resolved: Vec<(String, Vec<String>)>,
    pub unresolved: Vec<String>,
}

/// Reads either wording. None: it is neither.
pub fn secret(text: &str) -> Option<Said> {
    let mut said = Said::default();
    let mut known = false;
    let mut failing = false;
    for line in text.lines().map(plain) {
        let trimmed = line.trim();
        if trimmed.contains("No secret_backend_command set") {
            return Some(Said::default());
        }
        if trimmed.starts_with("=== Checking executable") || trimmed == "=== Secrets stats ===" {
            (known, said.enabled) = (true, true);
        } else if let Some(judged) =
            trimmed.strip_prefix("Check Rights:").or_else(|| trimmed.strip_prefix("Executable permissions:"))
        {
            said.rights = Some(judged.trim_start().starts_with("OK"));
        } else if trimmed.starts_with("Secrets not resolved") {
            failing = true;
        } else if trimmed.starts_with("Secrets handle") || trimmed.starts_with("Number of secrets") {
            failing = false;
        } else if let Some(entry) = trimmed.strip_prefix("- ") {
            let (handle, places) = entry_of(entry);
            match failing {
                true => said.unresolved.push(handle),
                false => said.resolved.push((handle, places)),
            }
        } else if let Some(place) = trimmed.strip_prefix("used in ")
            && let Some((_, places)) = said.resolved.last_mut().filter(|_| !failing)
        {
            places.push(place.to_owned());
        }
    }
    known.then_some(said)
}

/// `api_key: from datadog.yaml`, or `'api_key':`. A handle may hold colons, a file's name none.
fn entry_of(entry: &str) -> (String, Vec<String>) {
    if let Some((handle, files)) = entry.rsplit_once(": from ") {
        return (handle.to_owned(), files.split(", ").map(str::to_owned).collect());
    }
    let handle = entry.trim_end_matches(':');
    let handle = handle.strip_prefix('\'').and_then(|h| h.strip_suffix('\'')).unwrap_or(handle);
    (handle.to_owned(), Vec::new())
}

/// A check in `datadog-agent configcheck`, without its values: some are secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckConfig {
    pub name: String,
    /// Where it comes from, in the Agent's words.
    pub source: String,
    /// Handles that still stand in it.
    pub unresolved: Vec<String>,
}

/// Reads either wording: `Source:` of old Agents, `Configuration source:` of new ones.
pub fn configcheck(text: &str) -> Vec<CheckConfig> {
    let mut checks: Vec<CheckConfig> = Vec::new();
    for line in text.lines().map(plain) {
        let trimmed = line.trim();
        let heading = trimmed.strip_prefix("=== ").and_then(|rest| rest.strip_suffix(" ==="));
        if let Some(name) = heading {
            let name = name.strip_suffix(" check").unwrap_or(name).to_owned();
            checks.push(CheckConfig { name, source: String::new(), unresolved: Vec::new() });
            continue;
        }
        let Some(check) = checks.last_mut() else { continue };
        let source = trimmed.strip_prefix("Configuration source:").or_else(|| trimmed.strip_prefix("Source:"));
        if let Some(source) = source.filter(|_| check.source.is_empty()) {
            check.source = source.trim().to_owned();
        }
        let value = trimmed.split_once(": ").map_or(trimmed, |(_, value)| value);
        let value = value.trim_start_matches("- ").trim_matches(['"', '\'']);
        check.unresolved.extend(crate::secret::handle(value).map(str::to_owned));
    }
    checks
}

/// The line of a journal in which the Agent says that it does not start because of a secret.
pub fn refusal<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let says = |line: &&str| {
        let line = line.to_ascii_lowercase();
        let secret = ["decrypt", "secret", "resolve"].iter().any(|word| line.contains(word));
        secret && ["error", "unable", "invalid executable", "failed"].iter().any(|word| line.contains(word))
    };
    lines.into_iter().filter(says).last().map(|line| line.trim().to_owned())
}

/// A line without colours.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, code)) = rest.split_once('\x1b') {
        out.push_str(before);
        rest = code.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_the_secret_command_lists_rights_handles_and_places() {
        let page = "=== Checking executable rights ===\nExecutable path: /path/to/you/executable\nCheck Rights: OK, the executable has the correct rights\n\nRights Detail:\nfile mode: 100700\nOwner username: dd-agent\nGroup name: dd-agent\n\n=== Secrets stats ===\nNumber of secrets decrypted: 3\nSecrets handle decrypted:\n- api_key: from datadog.yaml\n- db_prod_user: from postgres.yaml\n- {\"a\": \"b\"}: from postgres.yaml, mysql.yaml\n";
        let said = secret(page).unwrap();
        assert_eq!((said.enabled, said.rights, said.resolved.len()), (true, Some(true), 3));
        assert_eq!(said.resolved[0], ("api_key".into(), vec!["datadog.yaml".into()]));
        assert_eq!(said.resolved[2].0, "{\"a\": \"b\"}");
        assert_eq!(said.resolved[2].1.len(), 2);
    }

    #[test]
    fn the_newer_wording_is_read_too() {
        let text = "=== Checking executable permissions ===\nExecutable path: /opt/x\nExecutable permissions: \x1b[31merror: the executable does not have the correct permissions\x1b[0m\n\nPermissions Detail:\nFile mode: 100755\nOwner: root\nGroup: root\n\n=== Secrets stats ===\nNumber of secrets resolved: 1\nSecrets handle resolved:\n\n- 'api_key':\n\tused in 'datadog.yaml' configuration in entry 'api_key'\n\nSecrets not resolved:\n- 'db:x'\n\tused in 'a' configuration in entry 'b'\n";
        let said = secret(text).unwrap();
        assert_eq!(said.rights, Some(false));
        assert_eq!(said.resolved.len(), 1);
        assert_eq!(said.resolved[0].1, ["'datadog.yaml' configuration in entry 'api_key'"]);
        assert_eq!(said.unresolved, ["db:x"]);
        let none = secret("No secret_backend_command set: secrets feature is not enabled\n").unwrap();
        assert!(!none.enabled);
        assert_eq!(secret("Error: unknown command\n"), None);
    }

    #[test]
    fn page_configcheck_shows_checks_after_resolution() {
        let page = "=== a check ===\nSource: File Configuration Provider\nInstance 1:\nhost: swordfish\nport: 1\npassword: ENC[left]\n~\n===\n\n=== another check ===\nSource: File Configuration Provider\nInstance 1:\npassword: swordfish\n~\n===\n";
        let checks = configcheck(page);
        assert_eq!(checks.len(), 2);
        assert_eq!((checks[0].name.as_str(), checks[0].source.as_str()), ("a", "File Configuration Provider"));
        assert_eq!((checks[0].unresolved.clone(), checks[1].unresolved.len()), (vec!["left".to_owned()], 0));
        assert!(!format!("{checks:?}").contains("swordfish"));
        let new = "\n=== postgres check ===\nConfiguration provider: file\nConfiguration source: file:/etc/datadog-agent/conf.d/postgres.d/conf.yaml\nConfig for instance ID: postgres:1\npassword: \"ENC[left]\"\n~\n===\n";
        let checks = configcheck(new);
        assert_eq!(checks[0].source, "file:/etc/datadog-agent/conf.d/postgres.d/conf.yaml");
        assert_eq!(checks[0].unresolved, ["left"]);
    }

    #[test]
    fn page_an_agent_that_does_not_start_says_why_on_standard_error() {
        let lines = [
            "Started Datadog Agent.",
            "Error: unable to set up global agent configuration: unable to decrypt secret from datadog.yaml: error while running '/opt/x': exit status 1",
            "Main process exited, code=exited, status=255",
        ];
        assert_eq!(refusal(lines).as_deref(), Some(lines[1]));
        assert_eq!(refusal([lines[0], lines[2]]), None);
    }
}
