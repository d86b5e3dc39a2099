//! Answers that are kept: sealed, owned by a tenant, for a time.
//!
//! OpenAI's Responses keep an answer unless told otherwise, so that a later request can go on from it
//! (`previous_response_id`), and so that it can be read again and deleted. Behind a gateway any provider
//! may have given the answer, so the gateway keeps it.
//!
//! | question | answered by |
//! |---|---|
//! | what is kept of an answer? | [`KeptAnswer`] |
//! | how is it kept? | sealed by a [`Vault`], as [`Kept`] |
//! | where? | a [`CacheStore`], such as [`MemoryCacheStore`] |
//! | what was said before a request? | [`read_chain`] |
//!
//! Nothing can be asked of a store without naming the tenant: an [`EntryKey`] has one. Each tenant's
//! entries are sealed under a key of its own, with tenant and id as associated data, so that an entry
//! that was moved to another place does not open there either.
//!
//! The crate is pure: the time and random bytes are arguments.
//!
//! ```
//! use weighbridge_cache::{
//!     AnsweredBy, CacheStore, EntryKey, KeptAnswer, KeptId, MasterSecret, MemoryCacheStore, Purpose,
//!     StoreLimits, Tenant, Vault,
//! };
//! use weighbridge_units::{KeyId, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = Vault::new(&MasterSecret::new([7; 32])); // derived from the gateway's one secret
//! let store = MemoryCacheStore::new(StoreLimits::default());
//! let tenant = Tenant::new("acme/search")?;
//! let answer = KeptAnswer {
//!     id: KeptId::new("resp_1")?,
//!     tenant: tenant.clone(),
//!     key: KeyId::from_bits(5),
//!     created: Timestamp::from_secs(100),
//!     answered_by: AnsweredBy { provider: "openai".into(), model: "gpt-4o-mini".into() },
//!     provider_id: None,
//!     previous: None,
//!     input: r#"[{"role":"user","content":"Hi"}]"#.into(),
//!     answer: r#"{"id":"resp_1","object":"response","output":[]}"#.into(),
//! };
//! let nonce = [1; 24]; // from the system's random source
//! let expires = Timestamp::from_secs(200);
//! # futures::executor::block_on(async {
//! store.put(vault.seal(Purpose::Response, &answer, expires, &nonce)?).await?;
//!
//! let key = EntryKey::new(Purpose::Response, tenant, KeptId::new("resp_1")?);
//! let kept = store.get(&key, Timestamp::from_secs(150)).await?.ok_or("not kept")?;
//! assert_eq!(vault.open(&kept)?, answer);
//!
//! let other = EntryKey::new(Purpose::Response, Tenant::new("somebody-else")?, key.id().clone());
//! assert!(store.get(&other, Timestamp::from_secs(150)).await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(()) })
//! # }
//! ```

mod answer;
mod chain;
mod codec;
mod entry;
mod memory;
mod store;
pub mod testkit;
mod vault;

pub use answer::{AnsweredBy, KeptAnswer};
pub use chain::{ChainError, ChainLimits, read_chain};
pub use entry::{EntryKey, InvalidEntry, Kept, KeptId, Purpose, Tenant};
pub use memory::MemoryCacheStore;
pub use store::{CacheStore, Holding, StoreError, StoreLimits};
pub use vault::{MASTER_SECRET_BYTES, MasterSecret, NONCE_BYTES, SealError, Sealed, UnsealError, Vault};
