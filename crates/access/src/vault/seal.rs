use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{KeyOwner, MasterKey, MasterKeyId, ProviderKeyId, ProviderSecret};

/// Bytes of a nonce: enough that random ones never meet.
pub const SECRET_NONCE_BYTES: usize = 24;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + MasterKeyId::BYTES + SECRET_NONCE_BYTES;
/// The column that a secret lies in: were there another one some day, its contents would not open here.
const COLUMN: &[u8] = b"provider_key.sealed\0";

/// A provider's key that cannot be read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Box<[u8]>);

impl SealedSecret {
    /// From what a store has kept. Anything is taken: [`crate::MasterKeys::open`] tells whether it is whole.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// For a store to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The master key that it says it is sealed under; `None` where it is too short to say so.
    pub fn master_key(&self) -> Option<MasterKeyId> {
        self.0.get(1..)?.first_chunk().map(|id| MasterKeyId::from_bytes(*id))
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({} bytes)", self.0.len())
    }
}

/// Where a secret lies: it opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct SealPlace<'a> {
    /// Whose key it is.
    pub owner: &'a KeyOwner,
    /// The provider that it is for.
    pub provider: &'a str,
    /// The key's id.
    pub id: ProviderKeyId,
}

/// Why a provider's key cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The master key that sealed it is not configured.
    #[error(
        "the provider key {id} is sealed under the master key {master}, which is not configured: add that one to \
         vault.old_master_keys, or revoke the provider key"
    )]
    NoMasterKey {
        /// The provider's key.
        id: ProviderKeyId,
        /// The master key that is missing.
        master: MasterKeyId,
    },
    /// Another release wrote it, or its first byte is damaged.
    #[error(
        "the provider key {id} is sealed in format {version}, which this release does not know: was it written by a newer one?"
    )]
    Version {
        /// The provider's key.
        id: ProviderKeyId,
        /// The format.
        version: u8,
    },
    /// It is not what was sealed, or lies where it was not put.
    #[error("the provider key {id} is damaged or lies in another's place: revoke it and add it anew")]
    Damaged {
        /// The provider's key.
        id: ProviderKeyId,
    },
    /// It is too large.
    #[error("the provider key {id} cannot be sealed: it is too large")]
    Unsealable {
        /// The provider's key.
        id: ProviderKeyId,
    },
}

pub(super) fn seal(
    master: &MasterKey,
    place: &SealPlace<'_>,
    secret: &ProviderSecret,
    nonce: &[u8; SECRET_NONCE_BYTES],
) -> Result<SealedSecret, VaultError> {
    let secret = secret.expose().as_bytes();
    // The whole length up front: a growing buffer would leave copies of the secret behind.
    let mut sealed = Vec::with_capacity(HEADER_BYTES + secret.len() + TAG_BYTES);
    sealed.push(VERSION);
    sealed.extend_from_slice(master.id().as_bytes());
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(secret);
    let text = sealed.get_mut(HEADER_BYTES..).unwrap_or_default();
    let tag = cipher(master, place)
        .encrypt_inout_detached(nonce.into(), &associated(master.id(), place), text.into())
        .map_err(|_| VaultError::Unsealable { id: place.id })?;
    sealed.extend_from_slice(&tag);
    Ok(SealedSecret(sealed.into()))
}

pub(super) fn open(
    master: &MasterKey,
    place: &SealPlace<'_>,
    sealed: &SealedSecret,
) -> Result<ProviderSecret, VaultError> {
    let damaged = VaultError::Damaged { id: place.id };
    let (version, rest) = sealed.0.split_first().ok_or(damaged)?;
    if *version != VERSION {
        return Err(VaultError::Version { id: place.id, version: *version });
    }
    let rest = rest.get(MasterKeyId::BYTES..).ok_or(damaged)?;
    let (nonce, rest) = rest.split_first_chunk::<SECRET_NONCE_BYTES>().ok_or(damaged)?;
    let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(damaged)?;
    let mut text = Zeroizing::new(text.to_vec());
    cipher(master, place)
        .decrypt_inout_detached(
            nonce.into(),
            &associated(master.id(), place),
            text.as_mut_slice().into(),
            tag.into(),
        )
        .map_err(|_| damaged)?;
    let text = std::str::from_utf8(&text).map_err(|_| damaged)?;
    ProviderSecret::new(text).map_err(|_| damaged)
}

/// The cipher of one owner.
fn cipher(master: &MasterKey, place: &SealPlace<'_>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*master.owners(&place.owner.tagged())).into())
}

/// What a seal binds a secret to. No part can be taken for another: owners and providers have no zero byte.
fn associated(master: MasterKeyId, place: &SealPlace<'_>) -> Vec<u8> {
    let owner = place.owner.tagged();
    let id = place.id.get().to_be_bytes();
    let parts: [&[u8]; 8] =
        [&[VERSION], master.as_bytes(), COLUMN, &owner, b"\0", place.provider.as_bytes(), b"\0", &id];
    parts.concat()
}
