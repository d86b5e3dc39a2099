use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::seal::{SECRET_NONCE_BYTES, SealPlace, SealedSecret, VaultError, open, seal};
use super::{KeySecret, OpenKey, ProviderKey, ProviderSecret};
use crate::InvalidDefinition;

/// Names a master key without telling anything about it. It stands at the head of all that is sealed under it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId([u8; Self::BYTES]);

impl MasterKeyId {
    pub(super) const BYTES: usize = 4;

    pub(super) const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKeyId({self})")
    }
}

/// What the keys of a vault are sealed under. It comes from the configuration and is never kept in a store. It has
/// no `Debug`.
#[derive(Clone)]
pub struct MasterKey {
    derived: Hkdf<Sha256>,
    id: MasterKeyId,
}

impl MasterKey {
    /// The fewest bytes that a master key may have.
    pub const MIN_BYTES: usize = 32;

    /// A master key of any bytes, ideally 32 random ones, in hexadecimal for example.
    ///
    /// # Errors
    /// [`InvalidDefinition::MasterKey`] below [`MasterKey::MIN_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidDefinition> {
        if bytes.len() < Self::MIN_BYTES {
            return Err(InvalidDefinition::MasterKey);
        }
        let derived = Hkdf::<Sha256>::new(Some(b"weighbridge provider keys"), bytes);
        let mut id = [0; MasterKeyId::BYTES];
        // It fails for more than 255 hashes only, here and below.
        let _ = derived.expand(b"key id", &mut id);
        Ok(Self { derived, id: MasterKeyId(id) })
    }

    /// Its name.
    pub const fn id(&self) -> MasterKeyId {
        self.id
    }

    /// The key that an owner's secrets are sealed under.
    pub(super) fn owners(&self, owner: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let _ = self.derived.expand_multi_info(&[b"secrets\0", owner], &mut key[..]);
        key
    }
}

/// The master key that new secrets are sealed under, and former ones that can still open theirs.
///
/// To rotate, a new master key comes first and the former one into the list of the old; once everything is sealed
/// anew ([`MasterKeys::reseal`]), the old one can go. It has no `Debug`.
#[derive(Clone)]
pub struct MasterKeys {
    current: MasterKey,
    old: Vec<MasterKey>,
}

impl MasterKeys {
    /// The present master key, and former ones.
    pub fn new(current: MasterKey, old: Vec<MasterKey>) -> Self {
        Self { current, old }
    }

    /// The present master key's name.
    pub const fn current(&self) -> MasterKeyId {
        self.current.id
    }

    /// Seals a secret for its place. The nonce is [`SECRET_NONCE_BYTES`] random bytes of a cryptographic source,
    /// never used again.
    ///
    /// # Errors
    /// [`VaultError::Unsealable`], which does not happen with secrets of this size.
    pub fn seal(
        &self,
        place: &SealPlace<'_>,
        secret: &ProviderSecret,
        nonce: &[u8; SECRET_NONCE_BYTES],
    ) -> Result<SealedSecret, VaultError> {
        seal(&self.current, place, secret, nonce)
    }

    /// Opens what was sealed for this place, under the present master key or a former one.
    ///
    /// # Errors
    /// [`VaultError::NoMasterKey`] names the master key that is missing; the others say that a bit of the secret or
    /// of its place is not what it was.
    pub fn open(&self, place: &SealPlace<'_>, sealed: &SealedSecret) -> Result<ProviderSecret, VaultError> {
        let master = sealed.master_key().ok_or(VaultError::Damaged { id: place.id })?;
        let known = std::iter::once(&self.current).chain(&self.old).find(|known| known.id == master);
        open(known.ok_or(VaultError::NoMasterKey { id: place.id, master })?, place, sealed)
    }

    /// Whether a secret is sealed under the present master key.
    pub fn is_current(&self, sealed: &SealedSecret) -> bool {
        sealed.master_key() == Some(self.current.id)
    }

    /// Seals a secret anew that is sealed under a former master key; `None` where that is not so.
    ///
    /// # Errors
    /// As [`MasterKeys::open`].
    pub fn reseal(
        &self,
        place: &SealPlace<'_>,
        sealed: &SealedSecret,
        nonce: &[u8; SECRET_NONCE_BYTES],
    ) -> Result<Option<SealedSecret>, VaultError> {
        if self.is_current(sealed) {
            return Ok(None);
        }
        self.seal(place, &self.open(place, sealed)?, nonce).map(Some)
    }

    /// Opens a store's keys for use; revoked ones have nothing to open.
    ///
    /// # Errors
    /// As [`MasterKeys::open`], by the first key that does not open: better none than one too few.
    pub fn open_all(&self, keys: Vec<ProviderKey>) -> Result<Vec<OpenKey>, VaultError> {
        let mut open = Vec::with_capacity(keys.len());
        for key in keys {
            if let KeySecret::Sealed(sealed) = &key.secret {
                let secret = self.open(&key.place(), sealed)?;
                open.push(OpenKey { secret, key });
            }
        }
        Ok(open)
    }
}
