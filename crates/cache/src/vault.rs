//! Sealing and opening: XChaCha20-Poly1305 under a key per purpose and tenant.
//!
//! A sealed answer is `version (1) · key id (4) · nonce (24) · ciphertext · tag (16)`. Version, key id and
//! the entry's key are associated data: whatever of it changes, the answer does not open.

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use weighbridge_units::Timestamp;
use zeroize::Zeroizing;

use crate::{EntryKey, ItemTag, Kept, KeptAnswer, Purpose, Tenant, codec};

/// Bytes of a [`MasterSecret`].
pub const MASTER_SECRET_BYTES: usize = 32;

/// Bytes of a nonce: enough that random ones never meet.
pub const NONCE_BYTES: usize = 24;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// What all keys of a vault come from. It has no `Debug`, and is erased when it is dropped.
pub struct MasterSecret(Zeroizing<[u8; MASTER_SECRET_BYTES]>);

impl MasterSecret {
    /// From 32 bytes that are as good as random, such as the gateway's secret derives for this purpose.
    pub fn new(bytes: [u8; MASTER_SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// An answer that cannot be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Bytes);

impl Sealed {
    /// From what a store has kept. Anything is taken: [`Vault::open`] tells whether it is whole.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// For a store to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Why an answer cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// No more than 4 GiB are ever kept of one answer.
    #[error("the answer is too large to be kept")]
    TooLarge,
    /// The key could not be derived. It does not happen with keys of this length.
    #[error("no key can be derived for the entry")]
    Key,
}

/// Why a kept answer does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnsealError {
    /// Another release wrote it, or its first byte is damaged.
    #[error(
        "the kept answer has format {0}, which this release does not know: was it written by a newer one?"
    )]
    Version(u8),
    /// Another secret sealed it, or the id of its key is damaged.
    #[error("the kept answer was sealed under another secret: has the key pepper been changed?")]
    OtherSecret,
    /// It is not what was sealed, or lies where it was not put.
    #[error("the kept answer is damaged or lies in another's place")]
    Damaged,
}

/// Seals and opens the answers of all tenants. It has no `Debug`.
#[derive(Clone)]
pub struct Vault {
    master: Hkdf<Sha256>,
    key_id: [u8; KEY_ID_BYTES],
}

impl Vault {
    /// A vault under a secret.
    pub fn new(master: &MasterSecret) -> Self {
        let master = Hkdf::<Sha256>::new(Some(b"weighbridge kept answers"), &master.0[..]);
        let mut key_id = [0; KEY_ID_BYTES];
        // It fails for more than 255 hashes only, here and below.
        let _ = master.expand(b"key id", &mut key_id);
        Self { master, key_id }
    }

    /// Seals an answer for its tenant. The nonce is [`NONCE_BYTES`] random bytes of a cryptographic
    /// source, never used again.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        &self,
        purpose: Purpose,
        answer: &KeptAnswer,
        expires: Timestamp,
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<Kept, SealError> {
        let key = EntryKey::new(purpose, answer.tenant.clone(), answer.id.clone());
        self.seal_text(key, expires, nonce, codec::length(answer), |out| codec::write(answer, out))
    }

    /// Seals what `write` appends, some `length` bytes, as [`Self::seal`] does.
    pub(crate) fn seal_text(
        &self,
        key: EntryKey,
        expires: Timestamp,
        nonce: &[u8; NONCE_BYTES],
        length: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Option<()>,
    ) -> Result<Kept, SealError> {
        let mut sealed = Vec::with_capacity(HEADER_BYTES + length + TAG_BYTES);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(nonce);
        write(&mut sealed).ok_or(SealError::TooLarge)?;
        let cipher = self.cipher(&key).ok_or(SealError::Key)?;
        let text = sealed.get_mut(HEADER_BYTES..).unwrap_or_default();
        let tag = cipher
            .encrypt_inout_detached(nonce.into(), &self.associated(&key), text.into())
            .map_err(|_| SealError::TooLarge)?;
        sealed.extend_from_slice(&tag);
        Ok(Kept { key, expires, sealed: Sealed(sealed.into()), items: Vec::new() })
    }

    /// Opens a kept answer.
    ///
    /// # Errors
    /// [`UnsealError`] where a single bit of it or of its key is not what it was.
    pub fn open(&self, kept: &Kept) -> Result<KeptAnswer, UnsealError> {
        codec::read(&kept.key, &self.open_text(kept)?).ok_or(UnsealError::Damaged)
    }

    /// Opens what [`Self::seal_text`] has sealed.
    pub(crate) fn open_text(&self, kept: &Kept) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (version, rest) = kept.sealed.as_bytes().split_first().ok_or(UnsealError::Damaged)?;
        if *version != VERSION {
            return Err(UnsealError::Version(*version));
        }
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or(UnsealError::Damaged)?;
        if *key_id != self.key_id {
            return Err(UnsealError::OtherSecret);
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError::Damaged)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(UnsealError::Damaged)?;
        let cipher = self.cipher(&kept.key).ok_or(UnsealError::Damaged)?;
        let mut text = Zeroizing::new(text.to_vec());
        cipher
            .decrypt_inout_detached(
                nonce.into(),
                &self.associated(&kept.key),
                text.as_mut_slice().into(),
                tag.into(),
            )
            .map_err(|_| UnsealError::Damaged)?;
        Ok(text)
    }

    /// What an item is found by: the same for the same purpose, tenant and id, and for no other.
    ///
    /// # Errors
    /// [`SealError::Key`].
    pub fn item_tag(&self, purpose: Purpose, tenant: &Tenant, id: &str) -> Result<ItemTag, SealError> {
        let mut tag = [0; ItemTag::BYTES];
        let info: [&[u8]; 6] = [
            b"items\0",
            purpose.as_str().as_bytes(),
            b"\0",
            tenant.as_str().as_bytes(),
            b"\0",
            id.as_bytes(),
        ];
        self.master.expand_multi_info(&info, &mut tag).map_err(|_| SealError::Key)?;
        Ok(ItemTag::from_bytes(tag))
    }

    /// The cipher of one purpose and tenant.
    fn cipher(&self, key: &EntryKey) -> Option<XChaCha20Poly1305> {
        let mut subkey = Zeroizing::new([0; 32]);
        let info: [&[u8]; 4] =
            [b"entries\0", key.purpose().as_str().as_bytes(), b"\0", key.tenant().as_str().as_bytes()];
        self.master.expand_multi_info(&info, &mut subkey[..]).ok()?;
        Some(XChaCha20Poly1305::new((&*subkey).into()))
    }

    /// What a seal binds the answer to. No part can be taken for another: tenants and purposes have no
    /// zero byte.
    fn associated(&self, key: &EntryKey) -> Vec<u8> {
        let parts: [&[u8]; 7] = [
            &[VERSION],
            &self.key_id,
            key.purpose().as_str().as_bytes(),
            b"\0",
            key.tenant().as_str().as_bytes(),
            b"\0",
            key.id().as_str().as_bytes(),
        ];
        parts.concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::generators::kept_answer;
    use crate::{KeptId, Tenant};

    fn vault() -> Vault {
        Vault::new(&MasterSecret::new([1; 32]))
    }

    fn seal(answer: &KeptAnswer, nonce: [u8; NONCE_BYTES]) -> Kept {
        vault().seal(Purpose::Response, answer, Timestamp::from_secs(9), &nonce).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(answer in kept_answer(), nonce in any::<[u8; NONCE_BYTES]>()) {
            prop_assert_eq!(vault().open(&seal(&answer, nonce)), Ok(answer));
        }

        #[test]
        fn a_flipped_bit_is_an_error(answer in kept_answer(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let kept = seal(&answer, [7; NONCE_BYTES]);
            let mut bytes = kept.sealed.as_bytes().to_vec();
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let found = vault().open(&Kept { sealed: Sealed::from_bytes(bytes), ..kept });
            let expected = match place {
                0 => UnsealError::Version(VERSION ^ (1 << bit)),
                1..=KEY_ID_BYTES => UnsealError::OtherSecret,
                _ => UnsealError::Damaged,
            };
            prop_assert_eq!(found, Err(expected));
        }

        #[test]
        fn a_cut_is_an_error(answer in kept_answer(), at in any::<prop::sample::Index>()) {
            let kept = seal(&answer, [7; NONCE_BYTES]);
            let bytes = kept.sealed.as_bytes();
            let cut = Sealed::from_bytes(bytes[..at.index(bytes.len())].to_vec());
            prop_assert_eq!(vault().open(&Kept { sealed: cut, ..kept }), Err(UnsealError::Damaged));
        }

        #[test]
        fn nothing_of_it_can_be_read(nonce in any::<[u8; NONCE_BYTES]>(), answer in kept_answer()) {
            const CANARY: &str = "CANARY-0123456789";
            let answer = KeptAnswer { input: CANARY.into(), answer: CANARY.into(), ..answer };
            let kept = seal(&answer, nonce);
            let shows = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"CANARY");
            prop_assert!(!shows(kept.sealed.as_bytes()));
            let debug = format!("{answer:?} {kept:?}");
            prop_assert!(!shows(debug.as_bytes()));
        }
    }

    #[test]
    fn an_answer_opens_only_in_its_own_place() {
        let answer = crate::testkit::generators::answer("acme", "resp_1", 40);
        let kept = seal(&answer, [7; NONCE_BYTES]);
        for (tenant, id) in [("acm", "resp_1"), ("acme", "resp_2"), ("acme ", "resp_1"), ("other", "resp_1")]
        {
            let key =
                EntryKey::new(Purpose::Response, Tenant::new(tenant).unwrap(), KeptId::new(id).unwrap());
            assert_eq!(vault().open(&Kept { key, ..kept.clone() }), Err(UnsealError::Damaged));
        }
    }

    #[test]
    fn another_secret_is_told_from_damage() {
        let kept = seal(&crate::testkit::generators::answer("acme", "resp_1", 40), [7; NONCE_BYTES]);
        let other = Vault::new(&MasterSecret::new([2; 32]));
        assert_eq!(other.open(&kept), Err(UnsealError::OtherSecret));
    }

    #[test]
    fn the_form_is_fixed() {
        // Computed by Python from RFC 5869, RFC 8439 and draft-irtf-cfrg-xchacha.
        let kept = seal(&crate::testkit::generators::answer("acme", "resp_1", 5), [7; NONCE_BYTES]);
        let hex: String = kept.sealed.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "017fceb5e30707070707070707070707070707070707070707070707074ba6e26f7991dc82f1ddc73605edcae6\
             858a195af16369ae962fa7e0498c09e77fe1371300fa3b249d51180d3db5ad0d580e668c49a716eb11c813ce1b\
             804eb6dd91e1a07d7ab2e1bd92aad95c50e9b9f7e3a5a024a0a9f9f576925d7d"
        );
    }

    #[test]
    fn an_item_has_one_tag_per_tenant_and_secret() {
        let tag = |secret: u8, tenant: &str, id: &str| {
            let vault = Vault::new(&MasterSecret::new([secret; 32]));
            vault.item_tag(Purpose::Response, &Tenant::new(tenant).unwrap(), id).unwrap()
        };
        let tags = [
            tag(1, "acme", "msg_1"),
            tag(1, "acme", "msg_2"),
            tag(1, "acm", "msg_1"),
            tag(1, "acme", ""),
            tag(2, "acme", "msg_1"),
        ];
        let told: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(told.len(), tags.len());
        assert_eq!(tag(1, "acme", "msg_1"), tags[0]);
        // It is kept in files: computed by Python from RFC 5869.
        assert_eq!(
            tags[0].as_bytes().map(|byte| format!("{byte:02x}")).concat(),
            "726fca2777220e447aa7e1ce2d481a89"
        );
    }

    #[test]
    fn tenants_have_keys_of_their_own() {
        let sealed = |tenant: &str| {
            seal(&crate::testkit::generators::answer(tenant, "resp_1", 40), [7; NONCE_BYTES]).sealed
        };
        let (one, other) = (sealed("acme"), sealed("acmf"));
        // The same nonce and the same text: under one key the ciphertexts would be the same.
        assert!(one.as_bytes()[HEADER_BYTES..] != other.as_bytes()[HEADER_BYTES..]);
        assert_eq!(one.as_bytes()[..HEADER_BYTES], other.as_bytes()[..HEADER_BYTES]);
    }
}
