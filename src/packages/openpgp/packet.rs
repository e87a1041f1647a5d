//! The outer layers of OpenPGP data: armor and packet framing. What stands in a packet is rPGP's to read.

use pgp::packet::PacketHeader;
use pgp::types::{PacketHeaderVersion, PacketLength, Tag};

/// One packet without its header, whose form is the sender's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub tag: u8,
    pub body: Vec<u8>,
}

pub const SIGNATURE: u8 = 2;
pub const PUBLIC_KEY: u8 = 6;
pub const TRUST: u8 = 12;
pub const USER_ID: u8 = 13;
pub const PUBLIC_SUBKEY: u8 = 14;

impl Packet {
    /// Writes the packet with a header of the old form, which every reader knows.
    pub fn write(&self, out: &mut Vec<u8>) {
        let length = self.body.len();
        match u16::try_from(length) {
            Ok(short) => {
                out.push(0x80 | self.tag << 2 | 1);
                out.extend(short.to_be_bytes());
            }
            Err(_) => {
                out.push(0x80 | self.tag << 2 | 2);
                out.extend((length as u32).to_be_bytes());
            }
        }
        out.extend(&self.body);
    }

    /// What rPGP reads in the body. None where that is no such packet, or where bytes are left over. Only the kinds
    /// that callers ask for get into the binary: rPGP's own parser of any packet holds private keys and messages, too.
    pub fn read<T>(
        &self,
        tag: Tag,
        parser: impl FnOnce(PacketHeader, &mut &[u8]) -> pgp::errors::Result<T>,
    ) -> Option<T> {
        let length = PacketLength::Fixed(u32::try_from(self.body.len()).ok()?);
        let header = PacketHeader::from_parts(PacketHeaderVersion::Old, tag, length).ok()?;
        let mut body = &self.body[..];
        let packet = parser(header, &mut body).ok()?;
        (self.tag == u8::from(tag) && body.is_empty()).then_some(packet)
    }
}

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The binary content of every armored public key.
pub fn armored_blocks(data: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = String::from_utf8_lossy(data);
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.any(|line| line == BEGIN) {
        let mut content = String::new();
        let mut in_headers = true;
        loop {
            let Some(line) = lines.next() else {
                return Err("is an OpenPGP key that was cut short".into());
            };
            match line {
                END => break,
                "" => in_headers = false,
                _ if in_headers && line.contains(": ") => {}
                // The checksum, which is optional and no protection.
                _ if line.starts_with('=') => in_headers = false,
                _ => {
                    in_headers = false;
                    content.push_str(line);
                }
            }
        }
        blocks.push(base64(&content).ok_or("is an OpenPGP key with damaged armor")?);
    }
    if blocks.is_empty() {
        return Err(format!("is not an OpenPGP key ({})", begins_with(data)));
    }
    Ok(blocks)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

/// How the data begins, for a message: "it begins with `<!DOCTYPE html`".
fn begins_with(data: &[u8]) -> String {
    let head = printable(&data[..data.len().min(40)]);
    match head.trim() {
        "" if data.iter().all(u8::is_ascii_whitespace) => "it is empty".into(),
        "" => "it is not text".into(),
        head => format!("it begins with `{head}`"),
    }
}

/// Text of a stranger, fit for a terminal.
pub fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim_start().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// Splits binary data at the packet headers (RFC 9580, 4.2). Keys have no packets of unknown length.
pub fn split(mut data: &[u8]) -> Result<Vec<Packet>, String> {
    let damaged = || "is an OpenPGP key that is damaged or was cut short".to_owned();
    let mut found = Vec::new();
    while let Some((&first, rest)) = data.split_first() {
        let number = |n: usize| rest.get(..n).map(|b| b.iter().fold(0, |a, b| a << 8 | usize::from(*b)));
        let header = match (first & 0xC0, rest.first().copied().unwrap_or(0)) {
            (0x80, _) if first & 3 < 3 => {
                let octets = 1usize << (first & 3);
                number(octets).map(|length| (first >> 2 & 0x0F, octets, length))
            }
            (0xC0, length @ 0..192) => Some((first & 0x3F, 1, length.into())),
            (0xC0, 192..224) => number(2).map(|n| (first & 0x3F, 2, n - 0xC000 + 192)),
            (0xC0, 255) => number(5).map(|n| (first & 0x3F, 5, n & 0xFFFF_FFFF)),
            _ => None,
        };
        let (tag, octets, length) = header.ok_or_else(damaged)?;
        let body = rest.get(octets..).and_then(|r| r.get(..length));
        let body = body.ok_or_else(damaged)?.to_vec();
        data = &rest[octets + length..];
        found.push(Packet { tag, body });
    }
    Ok(found)
}
