//! OpenPGP certificates, as far as the signing key of a repository needs them: the policy
//! that rPGP leaves to its caller (self-signatures, expiry, revocation). The cryptography is rPGP's.
//! A certificate that passes is written anew from just the parts that its own key has signed.

use std::time::{Duration, SystemTime};

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType, SubpacketData, UserId};
use pgp::types::{KeyDetails, KeyVersion, Tag};

use crate::types::Fingerprint;

mod packet;

use packet::{PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SIGNATURE, TRUST, USER_ID};

/// A key, a user id or a subkey, with the signatures that follow it.
#[derive(Debug, Clone)]
struct Component {
    packet: Packet,
    signatures: Vec<Packet>,
}

/// A public key as it was received: nothing of it is checked yet.
#[derive(Debug, Clone)]
pub struct Certificate {
    primary: PublicKey,
    /// The primary key first.
    components: Vec<Component>,
}

/// A certificate that may sign now.
#[derive(Debug, Clone)]
pub struct Valid {
    pub fingerprint: Fingerprint,
    /// What is weak, but no reason to refuse.
    pub notes: Vec<String>,
    /// Binary packets: only those that the key itself has signed.
    pub bytes: Vec<u8>,
}

/// Why a certificate may not sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    Expired(SystemTime),
    /// With the reason that its owner gave.
    Revoked(String),
    /// It was made after now: the clock of the host is wrong, or that of the signer.
    Future(SystemTime),
    NoSelfSignature,
    /// Not a version 4 key.
    Version,
}

impl Certificate {
    /// None for keys of another version than 4, which have no fingerprint of 20 bytes.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self.primary.version() {
            KeyVersion::V4 => Fingerprint::from_bytes(self.primary.fingerprint().as_bytes()),
            _ => None,
        }
    }

    /// The fingerprint, of whatever length, in hexadecimal digits.
    pub fn name(&self) -> String {
        let bytes = self.primary.fingerprint();
        bytes.as_bytes().iter().map(|b| format!("{b:02X}")).collect()
    }

    /// Seconds since 1970.
    pub fn created(&self) -> u64 {
        let created = SystemTime::from(self.primary.created_at());
        created.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    /// Adds what another copy of the same key knows: a revocation, a later expiry.
    pub fn merge(&mut self, other: Certificate) {
        for theirs in other.components {
            match self.components.iter_mut().find(|c| c.packet == theirs.packet) {
                Some(ours) => {
                    for signature in theirs.signatures {
                        if !ours.signatures.contains(&signature) {
                            ours.signatures.push(signature);
                        }
                    }
                }
                None => self.components.push(theirs),
            }
        }
    }

    /// Applies the policy. Signatures of others, and whatever this key has not signed, are left out of the result.
    pub fn check(&self, now: SystemTime) -> Result<Valid, Invalid> {
        let fingerprint = self.fingerprint().ok_or(Invalid::Version)?;
        let created = SystemTime::from(self.primary.created_at());
        if created > now {
            return Err(Invalid::Future(created));
        }
        let mut bytes = Vec::new();
        let mut own: Vec<Signature> = Vec::new();
        for component in &self.components {
            let kept = match component.packet.tag {
                PUBLIC_KEY => self.direct(component, now, &mut own)?,
                USER_ID => self.user(component, now, &mut own),
                PUBLIC_SUBKEY => self.subkey(component, now),
                _ => Vec::new(),
            };
            if component.packet.tag == PUBLIC_KEY || !kept.is_empty() {
                component.packet.write(&mut bytes);
                kept.iter().for_each(|packet| packet.write(&mut bytes));
            }
        }
        // The newest word counts; of two spoken in the same second, the stricter one.
        let newest = own.iter().max_by_key(|s| {
            let life = s.key_expiration_time().map_or(0, |d| d.as_secs());
            (s.created(), std::cmp::Reverse(life.wrapping_sub(1)))
        });
        let newest = newest.ok_or(Invalid::NoSelfSignature)?;
        let life = newest.key_expiration_time().map_or(0, |d| d.as_secs());
        let expires = (life > 0).then(|| created + Duration::from_secs(life.into()));
        if let Some(at) = expires.filter(|at| *at <= now) {
            return Err(Invalid::Expired(at));
        }
        let mut notes = Vec::new();
        if newest.hash_alg() == Some(HashAlgorithm::Sha1) {
            notes.push("its self-signature uses SHA-1, which newer package managers refuse".into());
        }
        if let Some(bits) = self.rsa_bits().filter(|bits| *bits < 2048) {
            notes.push(format!("an RSA key of {bits} bits is weak"));
        }
        Ok(Valid { fingerprint, notes, bytes })
    }

    /// Direct key signatures to keep. A revocation ends it all.
    fn direct(&self, component: &Component, now: SystemTime, own: &mut Vec<Signature>) -> Result<Vec<Packet>, Invalid> {
        let mut kept = Vec::new();
        for (packet, signature) in signatures(component) {
            let revokes = match signature.typ() {
                Some(SignatureType::KeyRevocation) => true,
                Some(SignatureType::Key) => false,
                _ => continue,
            };
            if signature.verify_key(&self.primary).is_err() {
                continue;
            }
            if revokes {
                let reason = signature.revocation_reason_string();
                return Err(Invalid::Revoked(reason.map(|r| packet::printable(r)).unwrap_or_default()));
            }
            if in_force(&signature, now) {
                kept.push(packet.clone());
                own.push(signature);
            }
        }
        Ok(kept)
    }

    /// The self-certifications to keep of a user id; none where it is revoked.
    fn user(&self, component: &Component, now: SystemTime, own: &mut Vec<Signature>) -> Vec<Packet> {
        let Some(id) = component.packet.read(Tag::UserId, |header, body| UserId::try_from_reader(header, body)) else {
            return Vec::new();
        };
        let mut kept = Vec::new();
        let mut certified: Vec<Signature> = Vec::new();
        let mut revoked = None;
        for (packet, signature) in signatures(component) {
            let revokes = signature.typ() == Some(SignatureType::CertRevocation);
            if !(revokes || signature.is_certification())
                || !self.claims_to_sign(&signature)
                || signature.verify_certification(&self.primary, Tag::UserId, &id).is_err()
            {
                continue;
            }
            if revokes {
                revoked = revoked.max(signature.created());
            } else if in_force(&signature, now) {
                kept.push(packet.clone());
                certified.push(signature);
            }
        }
        if revoked.is_some() && certified.iter().all(|s| s.created() <= revoked) {
            return Vec::new();
        }
        own.append(&mut certified);
        kept
    }

    /// The bindings and revocations to keep of a subkey; none where no binding holds.
    fn subkey(&self, component: &Component, now: SystemTime) -> Vec<Packet> {
        let read = |header, body: &mut &[u8]| PublicSubkey::try_from_reader(header, body);
        let Some(subkey) = component.packet.read(Tag::PublicSubkey, read) else {
            return Vec::new();
        };
        let mut kept = Vec::new();
        let mut bound = false;
        for (packet, signature) in signatures(component) {
            if signature.verify_subkey_binding(&self.primary, &subkey).is_err() {
                continue;
            }
            if signature.typ() == Some(SignatureType::SubkeyBinding) {
                // A subkey that signs must itself have agreed to belong to this key.
                let agreed = |s: &Signature| s.verify_primary_key_binding(&subkey, &self.primary);
                let signs = signature.key_flags().sign();
                if !in_force(&signature, now)
                    || signs && signature.embedded_signature().is_none_or(|s| agreed(s).is_err())
                {
                    continue;
                }
                bound = true;
            }
            kept.push(packet.clone());
        }
        if bound { kept } else { Vec::new() }
    }

    /// The size of the modulus, which stands after version, time and algorithm.
    fn rsa_bits(&self) -> Option<u16> {
        match self.components.first()?.packet.body.as_slice() {
            [4, _, _, _, _, 1 | 3, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// False for a signature that names another issuer: a third party's, which proves nothing here.
    fn claims_to_sign(&self, signature: &Signature) -> bool {
        let ids = signature.issuer_key_id();
        ids.is_empty() || ids.contains(&&self.primary.legacy_key_id())
    }
}

/// Reads certificates: binary, or any number of armored blocks with text around them. Err says what is wrong, as the
/// end of a sentence that begins with the file's name.
pub fn parse(data: &[u8]) -> Result<Vec<Certificate>, String> {
    if data.first().is_some_and(|byte| byte & 0x80 != 0) {
        return certificates(packet::split(data)?);
    }
    let mut found = Vec::new();
    for block in packet::armored_blocks(data)? {
        found.extend(certificates(packet::split(&block)?)?);
    }
    Ok(found)
}

/// One armored block of these packets. None where memory is the limit: nothing else can fail.
pub fn armored(packets: &[u8]) -> Option<Vec<u8>> {
    struct Raw<'a>(&'a [u8]);
    impl pgp::ser::Serialize for Raw<'_> {
        fn to_writer<W: std::io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
            Ok(writer.write_all(self.0)?)
        }
        fn write_len(&self) -> usize {
            self.0.len()
        }
    }
    let mut text = Vec::new();
    pgp::armor::write(&Raw(packets), pgp::armor::BlockType::PublicKey, &mut text, None, true).ok()?;
    Some(text)
}

/// Groups packets into certificates. Parts that no keyring needs (photographs, trust notes, anything newer than this
/// code) are dropped with their signatures, and so are keys of a kind that rPGP does not read.
fn certificates(packets: Vec<Packet>) -> Result<Vec<Certificate>, String> {
    let mut found: Vec<Certificate> = Vec::new();
    let (mut known_key, mut known_part) = (false, false);
    let mut any_key = false;
    for packet in packets {
        known_part = match packet.tag {
            PUBLIC_KEY | USER_ID | PUBLIC_SUBKEY => true,
            SIGNATURE | TRUST => known_part,
            5 | 7 => return Err("holds a private key, where a public one is expected".into()),
            _ => false,
        };
        any_key |= packet.tag == PUBLIC_KEY;
        let component = |packet| Component { packet, signatures: Vec::new() };
        match (packet.tag, found.last_mut()) {
            (PUBLIC_KEY, _) => {
                let primary = packet.read(Tag::PublicKey, |header, body| PublicKey::try_from_reader(header, body));
                known_key = primary.is_some();
                if let Some(primary) = primary {
                    found.push(Certificate { primary, components: vec![component(packet)] });
                }
            }
            (USER_ID | PUBLIC_SUBKEY, Some(key)) if known_key => {
                key.components.push(component(packet));
            }
            (SIGNATURE, Some(key)) if known_key && known_part => {
                if let Some(last) = key.components.last_mut() {
                    last.signatures.push(packet);
                }
            }
            _ => {}
        }
    }
    match (found.is_empty(), any_key) {
        (false, _) => Ok(found),
        (true, true) => Err("holds an OpenPGP key of an unknown kind".into()),
        (true, false) => Err("is OpenPGP data, but not a public key".into()),
    }
}

/// The signatures of a component that can be read and that policy admits.
fn signatures(component: &Component) -> impl Iterator<Item = (&Packet, Signature)> {
    component.signatures.iter().filter_map(|packet| {
        let signature = packet.read(Tag::Signature, |header, body| Signature::try_from_reader(header, body))?;
        let broken = matches!(signature.hash_alg(), None | Some(HashAlgorithm::Md5 | HashAlgorithm::Ripemd160));
        // "Critical" means: whoever does not understand this must not accept the signature.
        let foreign = signature.config()?.hashed_subpackets().any(|s| {
            s.is_critical
                && matches!(
                    s.data,
                    SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_)
                )
        });
        (!broken && !foreign).then_some((packet, signature))
    })
}

/// Whether a signature was made, and has not run out.
fn in_force(signature: &Signature, now: SystemTime) -> bool {
    let Some(created) = signature.created().map(SystemTime::from) else {
        return false;
    };
    let life = signature.signature_expiration_time().map_or(0, |d| d.as_secs());
    created <= now && (life == 0 || now < created + Duration::from_secs(life.into()))
}

#[cfg(test)]
impl Certificate {
    /// Adds all parts of another key, as a hostile server would.
    pub fn graft(&mut self, other: &Certificate) {
        self.components[0].signatures.extend(other.components[0].signatures.clone());
        self.components.extend(other.components[1..].iter().cloned());
    }

    /// Damages every signature in its last byte.
    pub fn flip_signatures(&mut self) {
        for signature in self.components.iter_mut().flat_map(|c| &mut c.signatures) {
            if let Some(last) = signature.body.last_mut() {
                *last ^= 1;
            }
        }
    }
}
