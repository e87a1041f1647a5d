//! A value that must not be shown: redacted `Debug`, no `Display`, no `Serialize`.

use std::fmt;

/// Words in a key of a configuration file that make its value a secret.
const WORDS: [&str; 11] = [
    "api_key",
    "apikey",
    "app_key",
    "appkey",
    "password",
    "passwd",
    "token",
    "secret",
    "private_key",
    "community_string",
    "credential",
];

/// Whether the value of a key of this name is a secret.
pub fn is_named_by(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // `secret_backend_command` and its relatives say where secrets are, and hold none.
    !key.starts_with("secret_") && WORDS.iter().any(|word| key.contains(word))
}

/// An API key or another secret. Reading it takes a call that can be searched for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the file that must hold it and for redaction. Nothing else calls this.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is a handle of the Agent's secrets management (`ENC[…]`), which is no secret itself.
    pub fn is_handle(&self) -> bool {
        let value = self.0.trim_matches([' ', '\t']);
        value.starts_with("ENC[") && value.ends_with(']')
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}
