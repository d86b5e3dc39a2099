//! Answers that are kept: sealed, owned by a tenant, for a time.
//!
//! OpenAI's Responses keep an answer unless told otherwise, so that a later request can go on from it
//! (`previous_response_id`), and so that it can be read again and deleted. Behind a gateway any provider
//! may have given the answer, so the gateway keeps it.
//!
//! | question | answered by |
//! |---|---|
//! | what is kept of an answer? | [`KeptAnswer`] |
//! | how is it kept, found, gone on from, deleted? | [`KeptAnswers`] |
//! | what does an idempotency key keep? | a [`KeptReplay`], in [`Replays`] |
//! | how is it found by one of its items? | by an [`ItemTag`] |
//! | how is it sealed? | by a [`Vault`], as [`Kept`] |
//! | where does it lie? | in a [`CacheStore`], such as [`MemoryCacheStore`] |
//!
//! Nothing can be asked of a store without naming the tenant: an [`EntryKey`] has one. Each tenant's
//! entries are sealed under a key of its own, with tenant and id as associated data, so that an entry
//! that was moved to another place does not open there either.
//!
//! The crate is pure: the time and random bytes are arguments.
//!
//! ```
//! use std::sync::Arc;
//! use weighbridge_cache::{
//!     AnsweredBy, KeepingTerms, KeptAnswer, KeptAnswers, KeptId, MasterSecret, MemoryCacheStore, StoreLimits,
//!     Tenant, Vault,
//! };
//! use weighbridge_units::{KeyId, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = Vault::new(&MasterSecret::new([7; 32])); // derived from the gateway's one secret
//! let store = Arc::new(MemoryCacheStore::new(StoreLimits::default()));
//! let kept = KeptAnswers::new(store, vault, KeepingTerms::default());
//!
//! let (tenant, id) = (Tenant::new("acme/search")?, KeptId::new("resp_1")?);
//! let answer = KeptAnswer {
//!     id: id.clone(),
//!     tenant: tenant.clone(),
//!     key: KeyId::from_bits(5),
//!     created: Timestamp::from_secs(100),
//!     answered_by: AnsweredBy { provider: "openai".into(), model: "gpt-4o-mini".into() },
//!     provider_id: None,
//!     previous: None,
//!     input: r#"[{"role":"user","content":"Hi"}]"#.into(),
//!     answer: r#"{"id":"resp_1","object":"response","output":[]}"#.into(),
//! };
//! # futures::executor::block_on(async {
//! let nonce = [1; 24]; // from the system's random source
//! kept.keep(&answer, &["msg_1".into()], &[], &nonce).await?;
//!
//! let now = Timestamp::from_secs(150);
//! assert_eq!(kept.get(&tenant, &id, now).await?, answer);
//! assert_eq!(kept.citing(&tenant, &["msg_1".into()], now).await?.answers, [answer]);
//! assert!(kept.get(&Tenant::new("somebody-else")?, &id, now).await.is_err());
//! kept.delete(&tenant, &id, now).await?;
//! assert!(kept.chain(&tenant, &id, now).await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(()) })
//! # }
//! ```

mod answer;
mod codec;
mod entry;
mod kept_answers;
mod memory;
mod replay;
mod store;
pub mod testkit;
mod vault;

pub use answer::{AnsweredBy, KeptAnswer};
pub use entry::{EntryKey, InvalidEntry, ItemTag, Kept, KeptId, Purpose, Tenant};
pub use kept_answers::{Cited, KeepingTerms, KeptAnswers, KeptError};
pub use memory::MemoryCacheStore;
pub use replay::{KeptReplay, Replays};
pub use store::{CacheStore, Holding, StoreError, StoreLimits};
pub use vault::{MASTER_SECRET_BYTES, MasterSecret, NONCE_BYTES, SealError, Sealed, UnsealError, Vault};
