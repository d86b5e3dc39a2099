//! Kept answers: a database file and a thread of its own, so that nothing else waits for their bulk.
//!
//! A call is one transaction. What has been put survives the death of the process; a power cut may lose
//! the last answers, as it may lose the ledger's last commits with the default durability.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, named_params};
use weighbridge_cache::{
    CacheStore, EntryKey, Holding, ItemTag, Kept, KeptId, Purpose, Sealed, StoreError, StoreLimits, Tenant,
};
use weighbridge_units::Timestamp;

use crate::connection::{Layout, migrate, open_as, write};
use crate::worker::Worker;
use crate::{Durability, OpenError};

mod migrations {
    refinery::embed_migrations!("kept-migrations");
}

/// Bytes of entries that may wait to be written.
const WAITING_BYTES: u64 = 64 << 20;
/// Pages that hold nothing, per page of the file, from which on some are given back: they are soon needed again.
const EMPTY_SHARE: i64 = 4;
/// Pages that are given back at once.
const PAGES_GIVEN_BACK: u32 = 1_000;

const INSERT: &str = "INSERT INTO kept (tenant, purpose, id, expires, bytes, sealed) \
     VALUES (:tenant, :purpose, :id, :expires, :bytes, :sealed)";
const GET: &str = "SELECT expires, sealed FROM kept \
     WHERE tenant = :tenant AND purpose = :purpose AND id = :id AND expires > :now";
const INSERT_ITEM: &str = "INSERT OR IGNORE INTO kept_item (item, seq) VALUES (:item, :seq)";
/// Of the entries that hold an item the one that came last.
const FIND: &str = "SELECT purpose, id FROM kept_item JOIN kept USING (seq) \
     WHERE item = :item AND tenant = :tenant AND expires > :now ORDER BY seq DESC LIMIT 1";
const PROLONG: &str = "UPDATE kept SET expires = max(expires, :until) \
     WHERE tenant = :tenant AND purpose = :purpose AND id = :id AND expires > :now";
const DELETE: &str = "DELETE FROM kept WHERE tenant = :tenant AND purpose = :purpose AND id = :id \
     RETURNING expires > :now";
const SWEEP: &str = "DELETE FROM kept WHERE seq IN \
     (SELECT seq FROM kept WHERE expires <= :now ORDER BY expires, seq LIMIT :limit)";
const HOLDING: &str = "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM kept_share";
/// Of the tenant that holds most, the entry that ends first.
const MAKE_ROOM: &str = "DELETE FROM kept WHERE seq = (SELECT seq FROM kept \
     WHERE tenant = (SELECT tenant FROM kept_share ORDER BY bytes DESC, tenant LIMIT 1) \
     ORDER BY expires, seq LIMIT 1)";

/// A [`CacheStore`] in an SQLite file. Dropping it waits for the calls under way.
#[derive(Debug)]
pub struct SqliteCacheStore {
    worker: Worker,
    limits: StoreLimits,
    waiting: Arc<AtomicU64>,
}

impl SqliteCacheStore {
    /// Opens the file, creating and migrating it where needed. It is not the ledger's.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened or migrated.
    pub fn open(path: &Path, limits: StoreLimits) -> Result<Self, OpenError> {
        let mut connection = open_as(path, Durability::Process, Layout::BULK)?;
        migrate(path, &mut connection, migrations::migrations::runner())?;
        // What was deleted is overwritten, not only forgotten.
        connection
            .pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))
            .map_err(|source| OpenError::Sqlite { path: path.into(), source })?;
        Ok(Self { worker: Worker::start("weighbridge-kept", connection)?, limits, waiting: Arc::default() })
    }

    /// Asks on the store's thread: the caller may be on a runtime that must not block.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let answer = self.worker.run(|connection| work(connection)).await;
        answer.ok_or_else(|| unavailable("the store's thread has ended"))?.map_err(unavailable)
    }
}

#[async_trait]
impl CacheStore for SqliteCacheStore {
    async fn put(&self, kept: Kept) -> Result<u64, StoreError> {
        self.limits.check(&kept)?;
        let waiting = Waiting::take(&self.waiting, kept.bytes()).ok_or(StoreError::Busy)?;
        let most = column(self.limits.total_bytes);
        self.ask(move |connection| {
            // Until it is written; also where the caller has gone.
            let _waiting = waiting;
            put(connection, &kept, most)
        })
        .await
    }

    async fn get(&self, key: &EntryKey, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        let key = key.clone();
        self.ask(move |connection| {
            let parameters = named_params! {
                ":tenant": key.tenant().as_str(), ":purpose": key.purpose().as_str(), ":id": key.id().as_str(),
                ":now": now.as_micros(),
            };
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?));
            let found = connection.prepare_cached(GET)?.query_row(parameters, read).optional()?;
            Ok(found.map(|(expires, sealed)| Kept {
                key,
                expires: Timestamp::from_micros(expires),
                sealed: Sealed::from_bytes(sealed),
                items: Vec::new(),
            }))
        })
        .await
    }

    async fn find(
        &self,
        tenant: &Tenant,
        items: &[ItemTag],
        now: Timestamp,
    ) -> Result<Vec<Option<EntryKey>>, StoreError> {
        let (tenant, items) = (tenant.clone(), items.to_vec());
        let found = self.ask(move |connection| find(connection, &tenant, &items, now)).await?;
        let key = |(tenant, purpose, id): (Tenant, String, String)| {
            let purpose = Purpose::from_name(&purpose).map_err(unavailable)?;
            Ok(EntryKey::new(purpose, tenant, KeptId::new(&id).map_err(unavailable)?))
        };
        found.into_iter().map(|found| found.map(key).transpose()).collect()
    }

    async fn prolong(&self, key: &EntryKey, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.ask(move |connection| {
            let parameters = named_params! {
                ":tenant": key.tenant().as_str(), ":purpose": key.purpose().as_str(), ":id": key.id().as_str(),
                ":now": now.as_micros(), ":until": until.as_micros(),
            };
            Ok(connection.prepare_cached(PROLONG)?.execute(parameters)? > 0)
        })
        .await
    }

    async fn delete(&self, key: &EntryKey, now: Timestamp) -> Result<bool, StoreError> {
        let key = key.clone();
        self.ask(move |connection| Ok(delete(connection, &key, now)?.unwrap_or(false))).await
    }

    async fn sweep(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        self.ask(move |connection| {
            let parameters = named_params! { ":now": now.as_micros(), ":limit": column(limit) };
            let swept = connection.prepare_cached(SWEEP)?.execute(parameters)?;
            give_pages_back(connection)?;
            Ok(swept as u64)
        })
        .await
    }

    async fn holding(&self) -> Result<Holding, StoreError> {
        self.ask(holding).await
    }
}

fn put(connection: &Connection, kept: &Kept, most: i64) -> rusqlite::Result<u64> {
    let transaction = write(connection)?;
    delete(&transaction, &kept.key, kept.expires)?;
    let bytes = column(kept.bytes());
    let mut made_room = 0;
    while column(holding(&transaction)?.bytes).saturating_add(bytes) > most {
        if transaction.prepare_cached(MAKE_ROOM)?.execute([])? == 0 {
            break;
        }
        made_room += 1;
    }
    transaction.prepare_cached(INSERT)?.execute(named_params! {
        ":tenant": kept.key.tenant().as_str(),
        ":purpose": kept.key.purpose().as_str(),
        ":id": kept.key.id().as_str(),
        ":expires": kept.expires.as_micros(),
        ":bytes": bytes,
        ":sealed": kept.sealed.as_bytes(),
    })?;
    let seq = transaction.last_insert_rowid();
    let mut insert_item = transaction.prepare_cached(INSERT_ITEM)?;
    for item in &kept.items {
        insert_item.execute(named_params! { ":item": item.as_bytes(), ":seq": seq })?;
    }
    drop(insert_item);
    transaction.commit()?;
    Ok(made_room)
}

/// Purpose and id of the entry that holds each item.
fn find(
    connection: &Connection,
    tenant: &Tenant,
    items: &[ItemTag],
    now: Timestamp,
) -> rusqlite::Result<Vec<Option<(Tenant, String, String)>>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut find = |item: &ItemTag| {
        let parameters = named_params! {
            ":item": item.as_bytes(), ":tenant": tenant.as_str(), ":now": now.as_micros(),
        };
        let read = |row: &rusqlite::Row<'_>| Ok((tenant.clone(), row.get(0)?, row.get(1)?));
        statement.query_row(parameters, read).optional()
    };
    items.iter().map(&mut find).collect()
}

/// Whether the entry that was deleted was still to be given out; `None` where there was none.
fn delete(connection: &Connection, key: &EntryKey, now: Timestamp) -> rusqlite::Result<Option<bool>> {
    let parameters = named_params! {
        ":tenant": key.tenant().as_str(), ":purpose": key.purpose().as_str(), ":id": key.id().as_str(),
        ":now": now.as_micros(),
    };
    connection.prepare_cached(DELETE)?.query_row(parameters, |row| row.get(0)).optional()
}

fn holding(connection: &Connection) -> rusqlite::Result<Holding> {
    connection.prepare_cached(HOLDING)?.query_row([], |row| {
        let (entries, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(Holding { entries: entries.cast_unsigned(), bytes: bytes.cast_unsigned() })
    })
}

/// Shortens the file a little where much of it is empty.
fn give_pages_back(connection: &Connection) -> rusqlite::Result<()> {
    let count = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    if count("PRAGMA freelist_count")? <= count("PRAGMA page_count")? / EMPTY_SHARE {
        return Ok(());
    }
    // Each row that is asked for is one page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
    let mut pages = statement.query([])?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// Bytes that wait to be written, until this is dropped.
struct Waiting {
    all: Arc<AtomicU64>,
    bytes: u64,
}

impl Waiting {
    /// `None` where too many wait already. One entry alone always may.
    fn take(all: &Arc<AtomicU64>, bytes: u64) -> Option<Self> {
        let before = all.fetch_add(bytes, Ordering::Relaxed);
        let taken = Self { all: Arc::clone(all), bytes };
        (before == 0 || before + bytes <= WAITING_BYTES).then_some(taken)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(error.into())
}

/// No entry has more bytes than an `i64` counts.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
