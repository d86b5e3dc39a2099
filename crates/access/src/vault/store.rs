use std::error::Error;

use async_trait::async_trait;
use thiserror::Error;

use super::{ProviderKey, ProviderKeyId};
use crate::InvalidDefinition;

/// Why a store of providers' keys did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProviderKeyError {
    /// There is no key of that id.
    #[error("there is no provider key {0}: `weighbridge provider-keys list` shows those that exist")]
    NotFound(ProviderKeyId),
    /// There is a key of that id already.
    #[error("there is a provider key {0} already: add another one")]
    Duplicate(ProviderKeyId),
    /// The key is not what it was when the change was thought of.
    #[error("the provider key {0} was changed by somebody else meanwhile: look at it again")]
    Changed(ProviderKeyId),
    /// The key cannot take the place of the other one.
    #[error("the provider key {0} cannot become this: owner, provider and revocation stay")]
    Another(ProviderKeyId),
    /// The key's definition contradicts itself or cannot be kept.
    #[error("the provider key cannot be stored")]
    Invalid(#[from] InvalidDefinition),
    /// The store cannot be reached, read or written.
    #[error("the store of provider keys is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// What the store holds is not a key.
    #[error("the store's entry for the provider key {id} cannot be read: {what}")]
    Corrupt {
        /// The key.
        id: ProviderKeyId,
        /// What is wrong with it.
        what: String,
    },
}

/// Where providers' keys are kept, sealed.
///
/// Every change is durable when its call returns, and raises [`ProviderKeyStore::version`] in the same step, also
/// for other processes that share the store. A store never sees a secret in clear.
#[async_trait]
pub trait ProviderKeyStore: Send + Sync {
    /// Adds a key.
    ///
    /// # Errors
    /// [`ProviderKeyError::Duplicate`] where its id is taken, [`ProviderKeyError::Invalid`] where
    /// [`ProviderKey::check`] refuses it.
    async fn add(&self, key: ProviderKey) -> Result<(), ProviderKeyError>;

    /// Puts `next` into the place of `former`, if that is what is there.
    ///
    /// # Errors
    /// [`ProviderKeyError::NotFound`]; [`ProviderKeyError::Changed`] where something else is there;
    /// [`ProviderKeyError::Another`] where [`ProviderKey::may_become`] says no; [`ProviderKeyError::Invalid`].
    async fn replace(&self, former: &ProviderKey, next: ProviderKey) -> Result<(), ProviderKeyError>;

    /// Every key, revoked ones included, in the order of creation.
    ///
    /// # Errors
    /// [`ProviderKeyError::Corrupt`] where an entry cannot be read: better no answer than one key too few.
    async fn load(&self) -> Result<Vec<ProviderKey>, ProviderKeyError>;

    /// A number that changes with every change of any key. Cheap: it is asked several times a second.
    ///
    /// # Errors
    /// [`ProviderKeyError::Unavailable`].
    async fn version(&self) -> Result<u64, ProviderKeyError>;
}
