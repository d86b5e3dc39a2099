use std::error::Error;

use async_trait::async_trait;
use thiserror::Error;
use weighbridge_units::Timestamp;

use crate::{EntryKey, ItemTag, Kept, Tenant};

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// The largest entry, in bytes as [`Kept::bytes`] counts them.
    pub entry_bytes: u64,
    /// All entries together, in bytes. An entry larger than this is not taken either.
    pub total_bytes: u64,
}

impl StoreLimits {
    /// Whether an entry may be kept at all.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn check(&self, kept: &Kept) -> Result<(), StoreError> {
        let (bytes, limit) = (kept.bytes(), self.entry_bytes.min(self.total_bytes));
        if bytes > limit { Err(StoreError::TooLarge { bytes, limit }) } else { Ok(()) }
    }
}

impl Default for StoreLimits {
    /// 32 MiB per entry, 1 GiB together.
    fn default() -> Self {
        Self { entry_bytes: 32 << 20, total_bytes: 1 << 30 }
    }
}

/// What a store holds at the moment, entries that have expired and were not swept yet included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Entries.
    pub entries: u64,
    /// Their bytes, as [`Kept::bytes`] counts them.
    pub bytes: u64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entry is larger than the store takes.
    #[error("the answer has {bytes} bytes and at most {limit} are kept: ask with `store: false`")]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// More waits to be written than the store holds in memory.
    #[error("the store of kept answers is busy: try again")]
    Busy,
    /// The store cannot be reached, read or written.
    #[error("the store of kept answers is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Where kept answers lie, sealed.
///
/// What was put is on the disk, where there is one, when its call returns. A store is bounded: where the
/// whole would pass [`StoreLimits::total_bytes`], the tenant that holds most, the new entry not counted,
/// loses the entries that expire first until there is room (of tenants that hold the same, the first by
/// name). So no tenant can drive out another that holds
/// less than itself.
#[async_trait]
pub trait CacheStore: Send + Sync {
    /// Keeps an entry, in place of one under the same key. Gives how many others made room for it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; the others say what failed, and nothing has changed then.
    async fn put(&self, kept: Kept) -> Result<u64, StoreError>;

    /// The entry, unless there is none or its time is over at `now`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    async fn get(&self, key: &EntryKey, now: Timestamp) -> Result<Option<Kept>, StoreError>;

    /// For each tag the tenant's entry that was put with it last, of those whose time is not over at `now`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    async fn find(
        &self,
        tenant: &Tenant,
        items: &[ItemTag],
        now: Timestamp,
    ) -> Result<Vec<Option<EntryKey>>, StoreError>;

    /// Moves the end of an entry to `until`, unless it is later already: one that is gone on from lives
    /// as long as what came of it. Tells whether there is such an entry at `now`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be written.
    async fn prolong(&self, key: &EntryKey, now: Timestamp, until: Timestamp) -> Result<bool, StoreError>;

    /// Deletes the entry for good. Tells whether there was one whose time was not over at `now`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be written: it may still be there then.
    async fn delete(&self, key: &EntryKey, now: Timestamp) -> Result<bool, StoreError>;

    /// Deletes entries whose time is over at `now`, at most `limit`, and gives how many. Where that is
    /// `limit` there may be more.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be written.
    async fn sweep(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError>;

    /// How much it holds.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    async fn holding(&self) -> Result<Holding, StoreError>;
}
