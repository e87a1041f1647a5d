use std::fmt;
use std::str::FromStr;

/// The fingerprint of an OpenPGP v4 key: 20 bytes, written as 40 upper-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// From the raw bytes of a key. None for keys of another length (v3, v6).
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Fingerprint(bytes.try_into().ok()?))
    }

    /// A fingerprint pinned in the source. Panics (at compile time, where it is used for constants) on a typing mistake.
    pub const fn pinned(hex: &str) -> Self {
        const fn digit(c: u8) -> u8 {
            match c {
                b'0'..=b'9' => c - b'0',
                b'A'..=b'F' => c - b'A' + 10,
                _ => panic!("a pinned fingerprint is 40 upper-case hexadecimal digits"),
            }
        }
        let text = hex.as_bytes();
        assert!(text.len() == 40);
        let mut bytes = [0; 20];
        let mut i = 0;
        while i < 20 {
            bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
            i += 1;
        }
        Fingerprint(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// Reads 40 hexadecimal digits of either case; spaces and a leading `0x` are allowed, as gpg prints them.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits).to_ascii_uppercase();
        if digits.len() != 40 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err("a key fingerprint has 40 hexadecimal digits".into());
        }
        Ok(Fingerprint::pinned(&digits))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_gpg_prints() {
        let f: Fingerprint = "5F1E 2560 61D8 13B1 25E1  56E8 E626 6D4A C096 2C7D".parse().unwrap();
        assert_eq!(f.to_string(), "5F1E256061D813B125E156E8E6266D4AC0962C7D");
        assert_eq!("0x5f1e256061d813b125e156e8e6266d4ac0962c7d".parse(), Ok(f));
    }

    #[test]
    fn a_short_key_id_is_no_fingerprint() {
        assert!("C0962C7D".parse::<Fingerprint>().is_err());
        assert!("5F1E256061D813B125E156E8E6266D4AC0962C7é".parse::<Fingerprint>().is_err());
    }
}
