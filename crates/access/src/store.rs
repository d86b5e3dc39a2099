use std::error::Error;

use async_trait::async_trait;
use thiserror::Error;
use weighbridge_units::{KeyId, Timestamp};

use crate::{InvalidDefinition, KeyHash, Tenant, VirtualKey};

/// Why a store of keys did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// There is no key of that id.
    #[error("there is no key {0}: `weighbridge keys list` shows those that exist")]
    NotFound(KeyId),
    /// There is a key of that id already.
    #[error("there is a key {0} already: make another one")]
    Duplicate(KeyId),
    /// The key was revoked and cannot be changed any more.
    #[error("the key {0} is revoked: make another one")]
    Revoked(KeyId),
    /// What is to be changed is not what it was when the change was thought of.
    #[error("{0} was changed by somebody else meanwhile: look at it again")]
    Changed(String),
    /// The key's definition contradicts itself or cannot be kept.
    #[error("the key cannot be stored")]
    Invalid(#[from] InvalidDefinition),
    /// The store cannot be reached, read or written.
    #[error("the store of keys is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// What the store holds is not a tenant.
    #[error("the store's entry for tenant {name} cannot be read: {what}")]
    CorruptTenant {
        /// The tenant.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// What the store holds is not a key.
    #[error("the store's entry for key {id} cannot be read: {what}")]
    Corrupt {
        /// The key.
        id: KeyId,
        /// What is wrong with it.
        what: String,
    },
}

/// Where virtual keys and tenants are kept.
///
/// Every change is durable when its call returns, and raises [`KeyStore::version`] in the same step,
/// also for other processes that share the store. A store never sees a secret.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Adds a key.
    ///
    /// # Errors
    /// [`KeyStoreError::Duplicate`] where its id is taken, [`KeyStoreError::Invalid`] where
    /// [`VirtualKey::check`] refuses it.
    async fn create(&self, key: VirtualKey) -> Result<(), KeyStoreError>;

    /// Every key, dead ones included, in the order of creation.
    ///
    /// # Errors
    /// [`KeyStoreError::Corrupt`] where an entry cannot be read: better no answer than one key too few.
    async fn load_all(&self) -> Result<Vec<VirtualKey>, KeyStoreError>;

    /// Takes a key back for good, and returns it. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`].
    async fn revoke(&self, id: KeyId, at: Timestamp) -> Result<VirtualKey, KeyStoreError>;

    /// Gives a key another secret; the present one works until `grace_until` (rule K1).
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`], [`KeyStoreError::Revoked`].
    async fn rotate(
        &self,
        id: KeyId,
        hash: KeyHash,
        grace_until: Timestamp,
    ) -> Result<VirtualKey, KeyStoreError>;

    /// Replaces the definition of a key, if it still is `former`; its secrets, creation and revocation are no
    /// part of it and stay as the store has them.
    ///
    /// # Errors
    /// [`KeyStoreError::NotFound`]; [`KeyStoreError::Revoked`]; [`KeyStoreError::Changed`] where the key is not
    /// `former` any more; [`KeyStoreError::Invalid`] where [`VirtualKey::check`] refuses the new one.
    async fn update(&self, former: &VirtualKey, key: VirtualKey) -> Result<VirtualKey, KeyStoreError>;

    /// Adds a tenant where `former` is `None`, or replaces it if it still is `former`.
    ///
    /// # Errors
    /// [`KeyStoreError::Changed`] where the tenant is not, or not any more, what `former` says;
    /// [`KeyStoreError::Invalid`] where [`Tenant::check`] refuses the new one.
    async fn put_tenant(&self, former: Option<&Tenant>, tenant: Tenant) -> Result<(), KeyStoreError>;

    /// Every tenant, by name.
    ///
    /// # Errors
    /// [`KeyStoreError::CorruptTenant`] where an entry cannot be read.
    async fn load_tenants(&self) -> Result<Vec<Tenant>, KeyStoreError>;

    /// A number that changes with every change of any key or tenant. Cheap: it is asked several times a second.
    ///
    /// # Errors
    /// [`KeyStoreError::Unavailable`].
    async fn version(&self) -> Result<u64, KeyStoreError>;
}

impl VirtualKey {
    /// This definition with the secrets, the creation and the revocation of another state of the same key: what
    /// a [`KeyStore::update`] comes to.
    #[must_use]
    pub fn with_life_of(self, kept: &Self) -> Self {
        let Self { id, hash, retired, created, revoked, .. } = kept;
        Self { id: *id, hash: *hash, retired: *retired, created: *created, revoked: *revoked, ..self }
    }
}
