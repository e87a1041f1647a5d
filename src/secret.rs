//! A value that must not be shown: redacted `Debug`, no `Display`, no `Serialize`.

use std::fmt;

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
