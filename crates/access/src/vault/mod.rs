//! The vault: providers' keys, sealed under a master key that is not in the store.
//!
//! A sealed secret is `version (1) · master key id (4) · nonce (24) · ciphertext · tag (16)`, by
//! XChaCha20-Poly1305 under a key per owner. Version, master key, owner, provider and the key's id are associated
//! data: a secret that lies in another row than the one that it was sealed for does not open.

mod master;
mod provider_key;
mod seal;
mod secret;
mod store;

#[cfg(test)]
mod laws;

pub use master::{MasterKey, MasterKeyId, MasterKeys};
pub use provider_key::{KeyOwner, KeySecret, OpenKey, ProviderKey, ProviderKeyId};
pub use seal::{SECRET_NONCE_BYTES, SealPlace, SealedSecret, VaultError};
pub use secret::{Fingerprint, ProviderSecret};
pub use store::{ProviderKeyError, ProviderKeyStore};
