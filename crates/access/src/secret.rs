use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use weighbridge_units::{KeyId, base32};
use zeroize::Zeroizing;

use crate::InvalidDefinition;

/// How many random bytes [`mint_key`] takes: eight for the public id, thirty-two for the secret.
pub const KEY_RANDOM_BYTES: usize = 8 + SECRET_BYTES;

const SECRET_BYTES: usize = 32;
/// Characters of a secret: 256 bits at five per character; the last character carries one bit.
const SECRET_LENGTH: usize = 52;
const ID_LENGTH: usize = 12;
const PREFIX: &str = "wb-";
/// The gateway's one secret. It is the key of the keyed hash: without it, a stolen key store tells nothing
/// about any secret. What else has to be kept from readers of a store is sealed under keys that
/// [`Pepper::derive`] makes of it.
///
/// It comes from the configuration and is not kept in the store. It has no `Debug`.
#[derive(Clone)]
pub struct Pepper {
    /// The hash with the pepper already mixed in: saves two of four blocks per request.
    keyed: Hmac<Sha256>,
    derived: Hkdf<Sha256>,
}

/// Keeps what is derived apart from the keyed hash.
const DERIVATION_SALT: &[u8] = b"weighbridge key pepper";

impl Pepper {
    /// The fewest bytes a pepper may have.
    pub const MIN_BYTES: usize = 16;

    /// A pepper of any bytes, ideally 32 random ones.
    ///
    /// # Errors
    /// [`InvalidDefinition::Pepper`] below [`Pepper::MIN_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidDefinition> {
        if bytes.len() < Self::MIN_BYTES {
            return Err(InvalidDefinition::Pepper);
        }
        let keyed = Hmac::new_from_slice(bytes).map_err(|_| InvalidDefinition::Pepper)?;
        Ok(Self { keyed, derived: Hkdf::new(Some(DERIVATION_SALT), bytes) })
    }

    /// A secret for another purpose, which tells nothing about the pepper or about those of other purposes
    /// (HKDF-SHA256, RFC 5869). The same pepper and purpose always give the same.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        // Fails for more than 255 hashes only; this is one.
        let _ = self.derived.expand(purpose.as_bytes(), &mut derived[..]);
        derived
    }

    /// The hash that a store keeps in place of the secret. The id is part of what is hashed, so that
    /// hashes cannot be swapped between keys.
    pub fn hash(&self, presented: &PresentedKey) -> KeyHash {
        let mut mac = self.keyed.clone();
        mac.update(&presented.id.get().to_be_bytes());
        mac.update(&presented.secret[..]);
        KeyHash(mac.finalize().into_bytes().into())
    }
}

/// The keyed hash of a key's secret. Compared in constant time, and by no other way.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// From what a store has kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// A key as a client sent it, taken apart but not yet believed. It has no `Debug`.
pub struct PresentedKey {
    id: KeyId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl PresentedKey {
    /// Takes a text apart; `None` where it cannot be a key, which costs neither hash nor look-up.
    ///
    /// There is one spelling per key: upper case, padding or stray bits in the last character are no
    /// other ways to write it.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('-')?;
        if id.len() != ID_LENGTH || secret.len() != SECRET_LENGTH {
            return None;
        }
        Some(Self { id: id.parse().ok()?, secret: decode(secret.as_bytes())? })
    }

    /// The public id.
    pub const fn id(&self) -> KeyId {
        self.id
    }
}

/// A key that was just made: the only moment at which its secret can be seen. It has no `Debug`.
pub struct MintedKey {
    /// The public id.
    pub id: KeyId,
    /// What the store keeps.
    pub hash: KeyHash,
    text: SecretString,
}

impl MintedKey {
    /// The whole key, `wb-<id>-<secret>`, to be shown once.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// The whole key, still wrapped.
    pub fn into_secret(self) -> SecretString {
        self.text
    }
}

/// Makes a key from [`KEY_RANDOM_BYTES`] random bytes of a cryptographic source.
pub fn mint_key(random: &[u8; KEY_RANDOM_BYTES], pepper: &Pepper) -> MintedKey {
    let (id, secret) = random.split_at(KEY_RANDOM_BYTES - SECRET_BYTES);
    let id = KeyId::from_bits(id.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)));
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    bytes.copy_from_slice(secret);
    mint_secret(id, &bytes, pepper)
}

/// Makes a new secret for a key that exists (rotation, rule K1) from 32 random bytes of a
/// cryptographic source.
pub fn mint_secret(id: KeyId, random: &[u8; SECRET_BYTES], pepper: &Pepper) -> MintedKey {
    // The whole length up front: a growing string would leave copies of the secret behind.
    let mut text = String::with_capacity(PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH);
    text.push_str(PREFIX);
    text.push_str(&id.to_string());
    text.push('-');
    encode(random, &mut text);
    let hash = pepper.hash(&PresentedKey { id, secret: Zeroizing::new(*random) });
    MintedKey { id, hash, text: text.into() }
}

fn encode(secret: &[u8; SECRET_BYTES], text: &mut String) {
    let (mut bits, mut count) = (0_u32, 0);
    for byte in secret {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(base32::DIGITS[(bits >> count) as usize & 31]));
        }
    }
    text.push(char::from(base32::DIGITS[(bits << (5 - count)) as usize & 31]));
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; SECRET_BYTES]>> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    let mut to = secret.iter_mut();
    let (mut bits, mut count) = (0_u32, 0);
    for character in text {
        bits = bits << 5 | u32::from(base32::value(*character)?);
        count += 5;
        if count >= 8 {
            count -= 8;
            *to.next()? = (bits >> count) as u8;
        }
    }
    (bits & ((1 << count) - 1) == 0).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pepper() -> Pepper {
        Pepper::new(&[1; 32]).unwrap()
    }

    proptest! {
        #[test]
        fn minted_keys_are_read_back(random in any::<[u8; KEY_RANDOM_BYTES]>()) {
            let minted = mint_key(&random, &pepper());
            let presented = PresentedKey::parse(minted.expose()).unwrap();
            prop_assert_eq!(presented.id(), minted.id);
            prop_assert!(pepper().hash(&presented) == minted.hash);
            prop_assert_eq!(&presented.secret[..], &random[8..]);
        }

        #[test]
        fn no_text_breaks_the_parser(text in ".{0,90}") {
            prop_assert!(PresentedKey::parse(&text).is_none());
        }

        #[test]
        fn every_change_of_one_character_is_another_key(
            random in any::<[u8; KEY_RANDOM_BYTES]>(), at in 0_usize..68, to in "[0-9a-zA-Z-]"
        ) {
            let minted = mint_key(&random, &pepper());
            let mut text = minted.expose().to_owned();
            text.replace_range(at..=at, &to);
            prop_assume!(text != minted.expose());
            let same = PresentedKey::parse(&text)
                .is_some_and(|other| other.id() == minted.id && pepper().hash(&other) == minted.hash);
            prop_assert!(!same);
        }
    }

    #[test]
    fn the_form_is_fixed() {
        let minted = mint_key(&[0xff; KEY_RANDOM_BYTES], &pepper());
        assert_eq!(minted.expose().len(), PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH);
        assert!(minted.expose().starts_with("wb-zzzzzzzzzzzz-zzzz"));
        // 256 bits leave four of the last character's five unused: they must be zero.
        let stray = minted.expose().strip_suffix('g').unwrap().to_owned() + "h";
        assert!(PresentedKey::parse(&stray).is_none());
        assert!(PresentedKey::parse(&minted.expose().to_uppercase()).is_none());
    }

    #[test]
    fn the_hash_is_hmac_sha256_of_id_and_secret() {
        // Computed by Python: hmac.new(bytes([1]*32), bytes(8) + bytes(32), 'sha256').hexdigest()
        let hash = mint_key(&[0; KEY_RANDOM_BYTES], &pepper()).hash;
        let hex: String = hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "e7999f94a20204137bd3fe5fd0bd6bc5d048848ec2ebc772949e37016b648929");
    }

    #[test]
    fn secrets_are_derived_by_purpose() {
        // Computed by Python's hmac, by the two steps of RFC 5869.
        let derived = pepper().derive("kept answers");
        let hex: String = derived.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "2129da0f6b060edea87c8c0f708331c5904d7507b7de04b2c737b69210559ade");
        assert!(*derived != *pepper().derive("kept answer"));
        assert!(*derived != *Pepper::new(&[2; 32]).unwrap().derive("kept answers"));
    }

    #[test]
    fn another_pepper_gives_another_hash() {
        let random = [3; KEY_RANDOM_BYTES];
        let other = Pepper::new(&[2; 32]).unwrap();
        assert!(mint_key(&random, &pepper()).hash != mint_key(&random, &other).hash);
        assert!(Pepper::new(&[0; 15]).is_err());
    }
}
