//! Kept answers.
//!
//! A call is one transaction. It does not wait for the server's disk: should the server crash, the last answers may be
//! missing. Whoever changes what is kept holds one lock for as long, so that the limit holds for all instances
//! together, and nobody waits in a circle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio_postgres::Row;
use weighbridge_cache::{
    CacheStore, EntryKey, Holding, ItemTag, Kept, KeptId, Purpose, Sealed, StoreError, StoreLimits, Tenant,
};
use weighbridge_units::Timestamp;

use crate::Database;
use crate::error::DbError;
use crate::session::{Link, Session};

/// Bytes of entries that may wait to be written.
const WAITING_BYTES: u64 = 64 << 20;

/// The number is "kept" in ASCII.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock(1801810036)";
const INSERT: &str = "INSERT INTO kept (tenant, purpose, id, expires, bytes, sealed) \
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq";
const INSERT_ITEMS: &str = "INSERT INTO kept_item (item, seq) SELECT DISTINCT item, $2::bigint \
     FROM unnest($1::bytea[]) AS item";
const GET: &str = "SELECT expires, sealed FROM kept \
     WHERE tenant = $1 AND purpose = $2 AND id = $3 AND expires > $4";
/// Of the entries that hold an item the one that came last.
const FIND: &str = "SELECT DISTINCT ON (item) item, purpose, id FROM kept_item JOIN kept USING (seq) \
     WHERE item = ANY($1) AND tenant = $2 AND expires > $3 ORDER BY item, seq DESC";
const PROLONG: &str = "UPDATE kept SET expires = greatest(expires, $5) \
     WHERE tenant = $1 AND purpose = $2 AND id = $3 AND expires > $4";
const DELETE: &str = "DELETE FROM kept WHERE tenant = $1 AND purpose = $2 AND id = $3 RETURNING expires > $4";
const SWEEP: &str = "DELETE FROM kept WHERE seq IN \
     (SELECT seq FROM kept WHERE expires <= $1 ORDER BY expires, seq LIMIT $2)";
const HOLDING: &str =
    "SELECT coalesce(sum(entries), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM kept_share";
/// Of the tenant that holds most, the entry that ends first.
const MAKE_ROOM: &str = "DELETE FROM kept WHERE seq = (SELECT seq FROM kept \
     WHERE tenant = (SELECT tenant FROM kept_share ORDER BY bytes DESC, tenant COLLATE \"C\" LIMIT 1) \
     ORDER BY expires, seq LIMIT 1)";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 9] =
    [INSERT, INSERT_ITEMS, GET, FIND, PROLONG, DELETE, SWEEP, HOLDING, MAKE_ROOM];

/// A [`CacheStore`] in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresCacheStore {
    database: Database,
    /// Reading waits for no writing.
    reads: Arc<Link>,
    writes: Arc<Link>,
    limits: StoreLimits,
    waiting: Arc<AtomicU64>,
}

impl PostgresCacheStore {
    /// Opens the kept answers of a database. Nothing is asked of the database yet.
    pub fn open(database: &Database, limits: StoreLimits) -> Self {
        let link = || Arc::new(Link::new(database.connector()));
        Self { database: database.clone(), reads: link(), writes: link(), limits, waiting: Arc::default() }
    }
}

#[async_trait]
impl CacheStore for PostgresCacheStore {
    async fn put(&self, kept: Kept) -> Result<u64, StoreError> {
        self.limits.check(&kept)?;
        let waiting = Waiting::take(&self.waiting, kept.bytes()).ok_or(StoreError::Busy)?;
        let most = column(self.limits.total_bytes);
        let link = Arc::clone(&self.writes);
        let put = async move {
            // Until it is written; also where the caller has gone.
            let _waiting = waiting;
            let mut lent = link.lend().await?;
            lent.session.run(BEGIN).await?;
            let made_room = put(&mut lent.session, &kept, most).await?;
            lent.session.run("COMMIT").await?;
            lent.give_back();
            Ok(made_room)
        };
        self.database.run(put).await
    }

    async fn get(&self, key: &EntryKey, now: Timestamp) -> Result<Option<Kept>, StoreError> {
        let (link, key) = (Arc::clone(&self.reads), key.clone());
        let get = async move {
            let mut lent = link.lend().await?;
            let (tenant, purpose, id) = columns(&key);
            let found = lent.session.query_opt(GET, &[&tenant, &purpose, &id, &now.as_micros()]).await?;
            lent.give_back();
            let kept = |row: Row| -> Result<Kept, DbError> {
                let (expires, sealed) = (row.try_get(0)?, row.try_get::<_, Vec<u8>>(1)?);
                Ok(Kept {
                    key,
                    expires: Timestamp::from_micros(expires),
                    sealed: Sealed::from_bytes(sealed),
                    items: Vec::new(),
                })
            };
            Ok(found.map(kept).transpose()?)
        };
        self.database.run(get).await
    }

    async fn find(
        &self,
        tenant: &Tenant,
        items: &[ItemTag],
        now: Timestamp,
    ) -> Result<Vec<Option<EntryKey>>, StoreError> {
        let (link, tenant, items) = (Arc::clone(&self.reads), tenant.clone(), items.to_vec());
        let find = async move {
            let mut lent = link.lend().await?;
            let tags: Vec<&[u8]> = items.iter().map(|item| &item.as_bytes()[..]).collect();
            let rows = lent.session.query(FIND, &[&tags, &tenant.as_str(), &now.as_micros()]).await?;
            lent.give_back();
            let mut found = HashMap::new();
            for row in &rows {
                let (purpose, id): (&str, &str) =
                    (row.try_get(1).map_err(DbError::from)?, row.try_get(2).map_err(DbError::from)?);
                let purpose = Purpose::from_name(purpose).map_err(unavailable)?;
                let key = EntryKey::new(purpose, tenant.clone(), KeptId::new(id).map_err(unavailable)?);
                found.insert(row.try_get::<_, &[u8]>(0).map_err(DbError::from)?, key);
            }
            Ok(tags.into_iter().map(|tag| found.get(tag).cloned()).collect())
        };
        self.database.run(find).await
    }

    async fn prolong(&self, key: &EntryKey, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let (link, key) = (Arc::clone(&self.writes), key.clone());
        let prolong = async move {
            let mut lent = link.lend().await?;
            let (tenant, purpose, id) = columns(&key);
            lent.session.run(BEGIN).await?;
            let (now, until) = (now.as_micros(), until.as_micros());
            let prolonged = lent.session.execute(PROLONG, &[&tenant, &purpose, &id, &now, &until]).await?;
            lent.session.run("COMMIT").await?;
            lent.give_back();
            Ok(prolonged > 0)
        };
        self.database.run(prolong).await
    }

    async fn delete(&self, key: &EntryKey, now: Timestamp) -> Result<bool, StoreError> {
        let (link, key) = (Arc::clone(&self.writes), key.clone());
        let delete = async move {
            let mut lent = link.lend().await?;
            lent.session.run(BEGIN).await?;
            let deleted = delete(&mut lent.session, &key, now).await?;
            lent.session.run("COMMIT").await?;
            lent.give_back();
            Ok(deleted.unwrap_or(false))
        };
        self.database.run(delete).await
    }

    async fn sweep(&self, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let link = Arc::clone(&self.writes);
        let sweep = async move {
            let mut lent = link.lend().await?;
            lent.session.run(BEGIN).await?;
            let swept = lent.session.execute(SWEEP, &[&now.as_micros(), &column(limit)]).await?;
            lent.session.run("COMMIT").await?;
            lent.give_back();
            Ok(swept)
        };
        self.database.run(sweep).await
    }

    async fn holding(&self) -> Result<Holding, StoreError> {
        let link = Arc::clone(&self.reads);
        let holding = async move {
            let mut lent = link.lend().await?;
            let holding = holding(&mut lent.session).await?;
            lent.give_back();
            Ok(holding)
        };
        self.database.run(holding).await
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        unavailable(error)
    }
}

async fn put(session: &mut Session, kept: &Kept, most: i64) -> Result<u64, DbError> {
    delete(session, &kept.key, kept.expires).await?;
    let bytes = column(kept.bytes());
    let mut made_room = 0;
    while column(holding(session).await?.bytes).saturating_add(bytes) > most {
        if session.execute(MAKE_ROOM, &[]).await? == 0 {
            break;
        }
        made_room += 1;
    }
    let (tenant, purpose, id) = columns(&kept.key);
    let (expires, sealed) = (kept.expires.as_micros(), kept.sealed.as_bytes());
    let row = session.query_one(INSERT, &[&tenant, &purpose, &id, &expires, &bytes, &sealed]).await?;
    if !kept.items.is_empty() {
        let seq: i64 = row.try_get(0)?;
        let items: Vec<&[u8]> = kept.items.iter().map(|item| &item.as_bytes()[..]).collect();
        session.execute(INSERT_ITEMS, &[&items, &seq]).await?;
    }
    Ok(made_room)
}

/// Whether the entry that was deleted was still to be given out; `None` where there was none.
async fn delete(session: &mut Session, key: &EntryKey, now: Timestamp) -> Result<Option<bool>, DbError> {
    let (tenant, purpose, id) = columns(key);
    let deleted = session.query_opt(DELETE, &[&tenant, &purpose, &id, &now.as_micros()]).await?;
    deleted.map(|row| row.try_get(0)).transpose().map_err(DbError::from)
}

async fn holding(session: &mut Session) -> Result<Holding, DbError> {
    let row = session.query_one(HOLDING, &[]).await?;
    let (entries, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Holding { entries: entries.cast_unsigned(), bytes: bytes.cast_unsigned() })
}

/// Tenant, purpose and id.
fn columns(key: &EntryKey) -> (&str, &str, &str) {
    (key.tenant().as_str(), key.purpose().as_str(), key.id().as_str())
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
