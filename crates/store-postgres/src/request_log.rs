//! The log of requests.
//!
//! A request leaves its record in a bounded backlog. Every 25 ms, and before each question, what waits is written in
//! one transaction, and now and then what is too old is deleted. A log that cannot keep up, or cannot write, drops
//! records and counts them; it never holds a request up. Its commits do not wait for the server's disk: should the
//! server crash, the last moments' records may be missing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use weighbridge_records::{Backlog, LogError, RequestLog, RequestRecord, Scope, redact};
use weighbridge_units::{RequestId, Timestamp};

use crate::Database;
use crate::error::DbError;
use crate::session::{Link, Session, within};

/// How long a record may wait until it is written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(25);
/// How long a log is left alone that could not be written.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a write may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(30);
/// How long dropping waits for the last records.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// How often old records are looked for, however few new ones come.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// New records after which old ones are looked for.
const RETENTION_RECORDS: u64 = 1_000;
/// Records that may wait to be written.
const BACKLOG: usize = 10_000;
/// Records that are written in one transaction.
const BATCH: usize = 1_000;
/// Questions that may wait to be answered.
const QUESTIONS: usize = 64;

const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";
const INSERT: &str = "INSERT INTO request (id, at, tenant, key, record) \
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])";
/// Looks at the $1 oldest records only, so that no transaction takes long.
const DELETE_OLD: &str = "DELETE FROM request WHERE seq IN (SELECT seq FROM request ORDER BY seq LIMIT $1) \
     AND (seq <= (SELECT max(seq) FROM request) - $2 OR at < $3)";
const GET_ANY: &str = "SELECT record FROM request WHERE id = $1 ORDER BY seq DESC LIMIT 1";
const GET_BY_TENANT: &str =
    "SELECT record FROM request WHERE id = $1 AND tenant = $2 ORDER BY seq DESC LIMIT 1";
const GET_BY_KEY: &str = "SELECT record FROM request WHERE id = $1 AND key = $2 ORDER BY seq DESC LIMIT 1";
const RECENT: &str = "SELECT record FROM request ORDER BY seq DESC LIMIT $1";
const RECENT_BY_TENANT: &str = "SELECT record FROM request WHERE tenant = $2 ORDER BY seq DESC LIMIT $1";
const RECENT_BY_KEY: &str = "SELECT record FROM request WHERE key = $2 ORDER BY seq DESC LIMIT $1";

const BETWEEN: &str =
    "SELECT record, seq FROM request WHERE seq > $1 AND at >= $2 AND at < $3 ORDER BY seq LIMIT $4";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 9] = [
    INSERT,
    DELETE_OLD,
    GET_ANY,
    GET_BY_TENANT,
    GET_BY_KEY,
    RECENT,
    RECENT_BY_TENANT,
    RECENT_BY_KEY,
    BETWEEN,
];

/// How much a log keeps; what is beyond either bound is deleted, the oldest first. It is looked for now and then
/// only, so that a log may be somewhat longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records, of all instances together.
    pub records: u64,
    /// Age of a record, by the wall clock.
    pub age: Duration,
}

impl Retention {
    /// New records after which old ones are looked for.
    fn turn(self) -> u64 {
        (self.records / 100).clamp(1, RETENTION_RECORDS)
    }
}

impl Default for Retention {
    /// Ten million records, and thirty days.
    fn default() -> Self {
        Self { records: 10_000_000, age: Duration::from_secs(30 * 86_400) }
    }
}

/// A [`RequestLog`] in a PostgreSQL database. Dropping it writes what still waits.
pub struct PostgresRequestLog {
    database: Database,
    shared: Arc<Shared>,
    closed: Mutex<mpsc::Receiver<()>>,
}

struct Shared {
    backlog: Backlog<Arc<RequestRecord>>,
    link: Link,
    retention: Retention,
    questions: Semaphore,
    stop: AtomicBool,
    /// Whoever has it writes; nobody else takes from the backlog meanwhile.
    writing: tokio::sync::Mutex<Writing>,
}

/// What writing remembers.
struct Writing {
    /// When old records were looked for, and how many were added since.
    retained_at: Instant,
    added: u64,
    /// Whether the last write failed: only the change is reported.
    failing: bool,
}

impl PostgresRequestLog {
    /// Opens the log of a database.
    pub fn open(database: &Database, retention: Retention) -> Self {
        // Whatever a longer bound has left there is looked for with the first records.
        let writing = Writing { retained_at: Instant::now(), added: retention.turn(), failing: false };
        let shared = Arc::new(Shared {
            backlog: Backlog::new(BACKLOG),
            link: Link::new(database.connector()),
            retention,
            questions: Semaphore::new(QUESTIONS),
            stop: AtomicBool::new(false),
            writing: tokio::sync::Mutex::new(writing),
        });
        let (done, closed) = mpsc::channel();
        let works = Arc::clone(&shared);
        database.runtime().spawn(async move {
            works.work().await;
            // Nobody listens any more where dropping has taken too long.
            let _ = done.send(());
        });
        Self { database: database.clone(), shared, closed: Mutex::new(closed) }
    }

    /// Asks once everything is written that was appended before.
    async fn ask(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<String>, LogError> {
        self.read(sql, values, |row| row.try_get(0)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        read: fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, LogError> {
        let shared = Arc::clone(&self.shared);
        self.database
            .run(async move {
                let _place = shared.questions.try_acquire().map_err(|_| LogError::Busy)?;
                shared.flush().await?;
                let mut lent = shared.link.lend().await?;
                let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
                let rows = lent.session.query(sql, &values).await?;
                lent.give_back();
                Ok(rows.iter().map(read).collect::<Result<_, _>>().map_err(DbError::from)?)
            })
            .await
    }
}

type Value = Box<dyn ToSql + Send + Sync>;

#[async_trait]
impl RequestLog for PostgresRequestLog {
    fn append(&self, record: Arc<RequestRecord>) {
        self.shared.backlog.push(record);
    }

    async fn get(&self, scope: &Scope, id: &RequestId) -> Result<Option<String>, LogError> {
        // A record leaves the backlog only once it is in the database: it is in one of the two.
        let waits = |record: &Arc<RequestRecord>| record.id == *id && scope.covers(record);
        if let Some(record) = self.shared.backlog.find_newest(waits) {
            return Ok(Some(record.to_json()));
        }
        let id: Value = Box::new(stored_id(id));
        let found = match scope {
            Scope::All => self.ask(GET_ANY, vec![id]),
            Scope::Tenant(tenant) => self.ask(GET_BY_TENANT, vec![id, Box::new(tenant.to_string())]),
            Scope::Key(key) => self.ask(GET_BY_KEY, vec![id, Box::new(stored_key(key.get()))]),
        };
        Ok(found.await?.pop())
    }

    async fn recent(&self, scope: &Scope, limit: usize) -> Result<Vec<String>, LogError> {
        let limit: Value = Box::new(i64::try_from(limit).unwrap_or(i64::MAX));
        match scope {
            Scope::All => self.ask(RECENT, vec![limit]).await,
            Scope::Tenant(tenant) => {
                self.ask(RECENT_BY_TENANT, vec![limit, Box::new(tenant.to_string())]).await
            }
            Scope::Key(key) => self.ask(RECENT_BY_KEY, vec![limit, Box::new(stored_key(key.get()))]).await,
        }
    }

    async fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, LogError> {
        let place = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let values: Vec<Value> = vec![
            Box::new(place(after)),
            Box::new(from.as_micros()),
            Box::new(until.as_micros()),
            Box::new(place(limit as u64)),
        ];
        let rows = self.read(BETWEEN, values, |row| Ok((row.try_get::<_, i64>(1)?, row.try_get(0)?))).await?;
        Ok(rows.into_iter().map(|(seq, record)| (u64::try_from(seq).unwrap_or_default(), record)).collect())
    }

    fn dropped(&self) -> u64 {
        self.shared.backlog.dropped()
    }
}

impl Drop for PostgresRequestLog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let closed = self.closed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(CLOSE_WITHIN).is_err() {
            tracing::warn!("the last records of requests could not be written");
        }
    }
}

impl fmt::Debug for PostgresRequestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRequestLog").finish_non_exhaustive()
    }
}

impl Shared {
    async fn work(&self) {
        while !self.stop.load(Ordering::Acquire) {
            sleep(FLUSH_INTERVAL).await;
            if self.flush().await.is_err() {
                sleep(PAUSE).await;
            }
        }
        if self.flush().await.is_err() {
            self.backlog.count_dropped(self.backlog.take().len());
        }
    }

    /// Writes what waits, a batch at a time; what cannot be written goes on waiting.
    async fn flush(&self) -> Result<(), DbError> {
        let mut writing = self.writing.lock().await;
        loop {
            let records = self.backlog.oldest(BATCH);
            let added = writing.added + records.len() as u64;
            let retain =
                added >= self.retention.turn() || writing.retained_at.elapsed() >= RETENTION_INTERVAL;
            if records.is_empty() && !(retain && writing.added > 0) {
                return Ok(());
            }
            if let Err(error) = within(FLUSH_WITHIN, self.write(&records, retain.then_some(added))).await {
                if !std::mem::replace(&mut writing.failing, true) {
                    tracing::warn!(%error, "the request log cannot be written: records wait, then drop");
                }
                return Err(error);
            }
            self.backlog.remove_oldest(records.len());
            writing.added = added;
            if retain {
                writing.added = 0;
                writing.retained_at = Instant::now();
            }
            if std::mem::take(&mut writing.failing) {
                tracing::info!("the request log is written again");
            }
        }
    }

    /// Writes records. Where they are so many since old ones were looked for, looks for these as well.
    async fn write(&self, records: &[Arc<RequestRecord>], retain: Option<u64>) -> Result<(), DbError> {
        let mut lent = self.link.lend().await?;
        lent.session.run(BEGIN).await?;
        insert(&mut lent.session, records).await?;
        if let Some(added) = retain {
            // Twice what was added, so that a lowered bound is reached little by little.
            let most = i64::try_from(added * 2 + 100).unwrap_or(i64::MAX);
            let kept = i64::try_from(self.retention.records).unwrap_or(i64::MAX);
            lent.session.execute(DELETE_OLD, &[&most, &kept, &self.oldest_kept()]).await?;
        }
        lent.session.run("COMMIT").await?;
        lent.give_back();
        Ok(())
    }

    /// The arrival, in microseconds since 1970, before which records are too old.
    fn oldest_kept(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.saturating_sub(self.retention.age).as_micros()).unwrap_or(i64::MAX)
    }
}

async fn insert(session: &mut Session, records: &[Arc<RequestRecord>]) -> Result<(), DbError> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = records.iter().map(|record| stored_id(&record.id)).collect();
    let at: Vec<_> = records.iter().map(|record| record.at.as_micros()).collect();
    let callers = || records.iter().map(|record| record.caller.as_ref());
    let tenants: Vec<_> = callers().map(|caller| caller.map(|caller| &*caller.tenant)).collect();
    let keys: Vec<_> = callers().map(|caller| caller.map(|caller| stored_key(caller.key.get()))).collect();
    let texts: Vec<_> = records.iter().map(|record| record.to_json()).collect();
    session.execute(INSERT, &[&ids, &at, &tenants, &keys, &texts]).await?;
    Ok(())
}

/// A client chose the id, and may have put a credential into it.
fn stored_id(id: &RequestId) -> String {
    redact(id.as_str()).into_owned()
}

/// A key's id has 60 bits, so that it fits.
fn stored_key(key: u64) -> i64 {
    i64::try_from(key).unwrap_or(i64::MAX)
}
