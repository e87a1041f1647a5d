//! A value that must not be shown: redacted `Debug`, no `Display`, no `Serialize`; its bytes are overwritten when it goes.

use std::fmt;
use std::hint::black_box;

/// Words in a key of a configuration file that make its value a secret.
const WORDS: [&str; 16] = [
    "api_key",
    "apikey",
    "app_key",
    "appkey",
    "password",
    "passwd",
    "token",
    "secret",
    "private_key",
    // SNMP, in both spellings.
    "auth_key",
    "authkey",
    "priv_key",
    "privkey",
    "passphrase",
    "community_string",
    "credential",
];

/// Whether the value of a key of this name is a secret.
pub fn is_named_by(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // `secret_backend_command` and its relatives say where secrets are, and hold none. None of them is a key.
    (!key.starts_with("secret_") || key.ends_with("_key")) && WORDS.iter().any(|word| key.contains(word))
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
        handle(&self.0).is_some()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// The handle in a value that the Agent takes for one: blanks around it aside, the whole value is `ENC[…]`
/// (comp/core/secrets/utils/utils.go). It may be empty, and hold brackets.
pub fn handle(value: &str) -> Option<&str> {
    value.trim_matches([' ', '\t']).strip_prefix("ENC[")?.strip_suffix(']')
}

/// Bytes that may hold secrets. They never move to a second place, and are overwritten when this goes.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Room for at most this many bytes.
    pub fn with_capacity(bytes: usize) -> Wiped {
        Wiped(Vec::with_capacity(bytes))
    }

    /// Takes as much as there is room for. True if that is all.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.0.capacity() - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        bytes.len() <= room
    }

    /// Takes bytes away from the end until this many are left.
    pub fn shorten(&mut self, to: usize) {
        if let Some(rest) = self.0.get_mut(to..) {
            rest.fill(0);
            self.0.truncate(to);
        }
    }
}

impl std::ops::Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped(********)")
    }
}

/// Overwrites bytes, and those behind them that a longer value has left.
pub fn wipe(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.capacity(), 0);
    bytes.fill(0);
    // The compiler must not find out that nobody reads them.
    black_box(bytes.as_slice());
    bytes.clear();
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_the_whole_value() {
        for (value, expected) in [
            ("ENC[api_key]", Some("api_key")),
            (" \tENC[a b] ", Some("a b")),
            ("ENC[]", Some("")),
            ("ENC[user_array[1234]]", Some("user_array[1234]")),
            ("ENC[{\"env\": \"prod\"}]", Some("{\"env\": \"prod\"}")),
            ("db-ENC[x]", None),
            ("ENC[x]y", None),
            ("enc[x]", None),
            ("ENC[x", None),
        ] {
            assert_eq!(handle(value), expected, "{value}");
        }
    }

    #[test]
    fn names_tell_secrets_from_what_is_about_them() {
        for name in ["api_key", "authKey", "privKey", "auth_key", "priv_key", "keyPassphrase", "secret_access_key"] {
            assert!(is_named_by(name), "{name}");
        }
        for name in
            ["secret_backend_command", "secret_refresh_interval", "authProtocol", "privProtocol", "access_key_id"]
        {
            assert!(!is_named_by(name), "{name}");
        }
    }

    #[test]
    fn bytes_that_may_be_secret_take_no_more_room_than_they_have_and_are_overwritten() {
        let mut bytes = Wiped::with_capacity(4);
        assert!(bytes.push(b"abc") && !bytes.push(b"def"));
        assert_eq!(&*bytes, b"abcd");
        bytes.shorten(1);
        assert_eq!((&*bytes, format!("{bytes:?}").as_str()), (&b"a"[..], "Wiped(********)"));
        let mut plain = b"secret".to_vec();
        plain.truncate(2);
        wipe(&mut plain);
        plain.resize(6, b'x');
        assert_eq!(plain, b"xxxxxx");
    }
}
