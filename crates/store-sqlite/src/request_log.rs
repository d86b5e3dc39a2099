//! The log of requests: a database file and a thread of its own, so that neither a request nor the
//! ledger ever waits for it.
//!
//! A request leaves its record in a bounded backlog. Every 25 ms, and before each question, the
//! thread writes what waits in one transaction, and now and then deletes what is too old. A log that cannot
//! keep up, or cannot write, drops records and counts them; it never holds a request up.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, TrySendError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::channel::oneshot;
use rusqlite::{Connection, ToSql, TransactionBehavior, params};
use weighbridge_records::{Backlog, LogError, RequestLog, RequestRecord, Scope, redact};
use weighbridge_units::{RequestId, Timestamp};

use crate::connection::make_private;
use crate::worker::stand_back;

/// How long a record may wait until it is written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(25);
/// Records that are written in one go. Then the thread pauses: a scheduler lets it run for a slice of some
/// milliseconds even where a request waits for the processor.
const GO: usize = 4;
/// How long it pauses.
const PAUSE: Duration = Duration::from_micros(20);
/// With more records than this waiting, the log is behind and does not pause.
const BEHIND: usize = 250;
/// How long a write waits for another process that has the file open.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often old records are looked for, however few new ones come.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// New records after which old ones are looked for: one in a hundred of what is kept, but no more than this.
const RETENTION_RECORDS: u64 = 1_000;
/// Pages that the write-ahead log grows to before it is carried over: 32 MB. Pages of the indexes change
/// often, and are carried over once.
const CHECKPOINT_PAGES: u32 = 8_000;
/// Records that may wait to be written.
const BACKLOG: usize = 10_000;
/// Records that are written in one transaction.
const BATCH: usize = 1_000;
/// Questions that may wait to be answered.
const QUESTIONS: usize = 64;

const INSERT: &str = "INSERT INTO request (id, at, tenant, key, record) VALUES (?1, ?2, ?3, ?4, ?5)";
/// Looks at the ?1 oldest records only, so that no transaction takes long.
const DELETE_OLD: &str = "DELETE FROM request WHERE seq IN (SELECT seq FROM request ORDER BY seq LIMIT ?1) \
     AND (seq <= (SELECT max(seq) FROM request) - ?2 OR at < ?3)";
const GET_ANY: &str = "SELECT record FROM request WHERE id = ?1 ORDER BY seq DESC LIMIT 1";
const GET_BY_TENANT: &str =
    "SELECT record FROM request WHERE id = ?1 AND tenant = ?2 ORDER BY seq DESC LIMIT 1";
const GET_BY_KEY: &str = "SELECT record FROM request WHERE id = ?1 AND key = ?2 ORDER BY seq DESC LIMIT 1";
const RECENT: &str = "SELECT record FROM request ORDER BY seq DESC LIMIT ?1";
const RECENT_BY_TENANT: &str = "SELECT record FROM request WHERE tenant = ?2 ORDER BY seq DESC LIMIT ?1";
const RECENT_BY_KEY: &str = "SELECT record FROM request WHERE key = ?2 ORDER BY seq DESC LIMIT ?1";

const BETWEEN: &str =
    "SELECT seq, record FROM request WHERE seq > ?1 AND at >= ?2 AND at < ?3 ORDER BY seq LIMIT ?4";

mod migrations {
    refinery::embed_migrations!("request-log-migrations");
}

/// How much a log keeps; what is beyond either bound is deleted, the oldest first. It is looked for now and then
/// only, so that a log may be longer by a hundredth, and hold what is a minute too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records.
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
    /// A million records, and thirty days.
    fn default() -> Self {
        Self { records: 1_000_000, age: Duration::from_secs(30 * 86_400) }
    }
}

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// A [`RequestLog`] in an SQLite file. Dropping it writes what still waits.
pub struct SqliteRequestLog {
    backlog: Arc<Backlog<Arc<RequestRecord>>>,
    questions: Option<mpsc::SyncSender<Question>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl SqliteRequestLog {
    /// Opens the file, creating and migrating it where needed, and starts the log's thread. The file
    /// is not the ledger's.
    ///
    /// # Errors
    /// [`LogError::Store`] where the file cannot be opened or migrated, or there is no thread.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, LogError> {
        let connection = connect(path)?;
        let backlog = Arc::new(Backlog::new(BACKLOG));
        let (questions, queue) = mpsc::sync_channel(QUESTIONS);
        let writer = Writer {
            connection,
            backlog: backlog.clone(),
            retention,
            retained_at: Instant::now(),
            // Whatever another process, or a longer bound, has left there.
            added: retention.turn(),
            failing: false,
        };
        let writer = thread::Builder::new()
            .name("request-log".to_owned())
            .spawn(move || {
                stand_back();
                writer.run(&queue);
            })
            .map_err(store_failed)?;
        Ok(Self { backlog, questions: Some(questions), writer: Some(writer) })
    }

    /// Asks on the log's thread: the caller may be on a runtime that must not block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Nobody listens any more where the caller was cancelled.
            let _ = answer.send(question(connection));
        });
        match self.questions.as_ref().ok_or(LogError::Closed)?.try_send(question) {
            Ok(()) => answered.await.map_err(|_| LogError::Closed)?.map_err(store_failed),
            Err(TrySendError::Full(_)) => Err(LogError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(LogError::Closed),
        }
    }
}

#[async_trait]
impl RequestLog for SqliteRequestLog {
    fn append(&self, record: Arc<RequestRecord>) {
        self.backlog.push(record);
    }

    async fn get(&self, scope: &Scope, id: &RequestId) -> Result<Option<String>, LogError> {
        // A record leaves the backlog only once it is in the file: it is in one of the two.
        if let Some(record) = self.backlog.find_newest(|record| record.id == *id && scope.covers(record)) {
            return Ok(Some(record.to_json()));
        }
        let (id, scope) = (stored_id(id), scope.clone());
        let found = self.ask(move |connection| match &scope {
            Scope::All => select(connection, GET_ANY, &[&id]),
            Scope::Tenant(tenant) => select(connection, GET_BY_TENANT, &[&id, tenant]),
            Scope::Key(key) => select(connection, GET_BY_KEY, &[&id, &stored_key(key.get())]),
        });
        Ok(found.await?.pop())
    }

    async fn recent(&self, scope: &Scope, limit: usize) -> Result<Vec<String>, LogError> {
        let (limit, scope) = (i64::try_from(limit).unwrap_or(i64::MAX), scope.clone());
        self.ask(move |connection| match &scope {
            Scope::All => select(connection, RECENT, &[&limit]),
            Scope::Tenant(tenant) => select(connection, RECENT_BY_TENANT, &[&limit, tenant]),
            Scope::Key(key) => select(connection, RECENT_BY_KEY, &[&limit, &stored_key(key.get())]),
        })
        .await
    }

    async fn between(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, LogError> {
        let place = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (after, limit) = (place(after), place(limit as u64));
        self.ask(move |connection| {
            let mut statement = connection.prepare_cached(BETWEEN)?;
            let rows = statement
                .query_map(params![after, from.as_micros(), until.as_micros(), limit], |row| {
                    Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(), row.get(1)?))
                })?;
            rows.collect()
        })
        .await
    }

    fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }
}

impl Drop for SqliteRequestLog {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Some(writer) = self.writer.take() {
            // A panic of the log's thread has been reported by then; there is nothing left to write.
            let _ = writer.join();
        }
    }
}

/// What runs on the log's thread.
struct Writer {
    connection: Connection,
    backlog: Arc<Backlog<Arc<RequestRecord>>>,
    retention: Retention,
    /// When old records were looked for, and how many were added since.
    retained_at: Instant,
    added: u64,
    /// Whether the last write failed: only the change is reported.
    failing: bool,
}

impl Writer {
    fn run(mut self, questions: &mpsc::Receiver<Question>) {
        let mut flush_at = Instant::now() + FLUSH_INTERVAL;
        loop {
            let question = questions.recv_timeout(flush_at.saturating_duration_since(Instant::now()));
            self.flush();
            match question {
                // What was appended before the question was asked has been written by now.
                Ok(question) => question(&self.connection),
                Err(RecvTimeoutError::Timeout) => {
                    flush_at = Instant::now() + FLUSH_INTERVAL;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.backlog.count_dropped(self.backlog.take().len());
    }

    /// Writes what waits, a batch at a time; what cannot be written goes on waiting.
    fn flush(&mut self) {
        loop {
            let records = self.backlog.oldest(BATCH);
            let added = self.added + records.len() as u64;
            let retain = added >= self.retention.turn() || self.retained_at.elapsed() >= RETENTION_INTERVAL;
            if records.is_empty() && !retain {
                return;
            }
            if let Err(error) = self.write(&records, retain.then_some(added)) {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the request log cannot be written: records wait, then drop");
                }
                return;
            }
            self.backlog.remove_oldest(records.len());
            self.added = added;
            if retain {
                self.added = 0;
                self.retained_at = Instant::now();
            }
            if std::mem::take(&mut self.failing) {
                tracing::info!("the request log is written again");
            }
        }
    }

    /// Writes records. Where they are so many since old ones were looked for, looks for these as well.
    fn write(&mut self, records: &[Arc<RequestRecord>], retain: Option<u64>) -> rusqlite::Result<()> {
        let oldest_kept = self.oldest_kept();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for records in records.chunks(GO) {
                for record in records {
                    let caller = record.caller.as_ref();
                    insert.execute(params![
                        stored_id(&record.id),
                        record.at.as_micros(),
                        caller.map(|caller| &*caller.tenant),
                        caller.map(|caller| stored_key(caller.key.get())),
                        record.to_json(),
                    ])?;
                }
                if self.backlog.len() < BEHIND {
                    thread::sleep(PAUSE);
                }
            }
            if let Some(added) = retain {
                // Twice what was added, so that a lowered bound is reached little by little.
                let most = i64::try_from(added * 2 + 100).unwrap_or(i64::MAX);
                let kept = i64::try_from(self.retention.records).unwrap_or(i64::MAX);
                transaction.prepare_cached(DELETE_OLD)?.execute(params![most, kept, oldest_kept])?;
            }
        }
        transaction.commit()
    }

    /// The arrival, in microseconds since 1970, before which records are too old.
    fn oldest_kept(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.saturating_sub(self.retention.age).as_micros()).unwrap_or(i64::MAX)
    }
}

fn connect(path: &Path) -> Result<Connection, LogError> {
    // Records name models, tenants and end users: they are their owner's to read.
    make_private(path).map_err(store_failed)?;
    let mut connection = Connection::open(path).map_err(store_failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(store_failed)?;
    // A database in memory has no write-ahead log, and needs none.
    let set_wal =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    let mode = set_wal.map_err(store_failed)?;
    if !["wal", "memory"].contains(&mode.as_str()) {
        let why = format!("journal_mode is `{mode}` where `wal` was asked for: use a local file system");
        return Err(store_failed(std::io::Error::other(why)));
    }
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(store_failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(store_failed)?;
    // In one transaction with the note that they were made: who dies in between leaves all or nothing.
    migrations::migrations::runner().set_grouped(true).run(&mut connection).map_err(store_failed)?;
    Ok(connection)
}

fn select(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<String>> {
    connection.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect()
}

/// A client chose the id, and may have put a credential into it.
fn stored_id(id: &RequestId) -> String {
    redact(id.as_str()).into_owned()
}

/// A key's id has 60 bits, so that it fits.
fn stored_key(key: u64) -> i64 {
    i64::try_from(key).unwrap_or(i64::MAX)
}

fn store_failed(error: impl std::error::Error + Send + Sync + 'static) -> LogError {
    LogError::Store(Box::new(error))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;
    use weighbridge_records::{Caller, MemoryRequestLog};
    use weighbridge_units::{KeyId, Protocol};

    use super::*;

    fn id(number: u64) -> RequestId {
        RequestId::new(&format!("req_{number}")).unwrap()
    }

    fn now() -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(since.as_micros() as i64)
    }

    fn record(number: u64, key: u64, at: Timestamp) -> Arc<RequestRecord> {
        let mut record = RequestRecord::new(id(number), at, Protocol::OpenAiChat);
        record.caller = Some(Caller { key: KeyId::from_bits(key), tenant: format!("t{}", key / 2).into() });
        record.total_us = key;
        Arc::new(record)
    }

    fn open(folder: &tempfile::TempDir, retention: Retention) -> SqliteRequestLog {
        SqliteRequestLog::open(&folder.path().join("log.db"), retention).unwrap()
    }

    fn all(log: &SqliteRequestLog) -> Vec<String> {
        block_on(log.recent(&Scope::All, 1_000_000)).unwrap()
    }

    #[test]
    fn q1_a_record_is_visible_to_the_next_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention::default());
        for number in 0..200 {
            log.append(record(number, 1, now()));
            // Now and then the thread is about to write the record.
            if number % 20 == 0 {
                thread::sleep(FLUSH_INTERVAL.mul_f64(number as f64 / 200.0));
            }
            let found = block_on(log.get(&Scope::Key(KeyId::from_bits(1)), &id(number))).unwrap();
            assert!(found.is_some(), "record {number}");
        }
        assert_eq!(all(&log).len(), 200);
    }

    #[test]
    fn c8_what_waits_is_written_on_shutdown_and_found_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention::default());
        (0..5_000).for_each(|number| log.append(record(number, 1, now())));
        drop(log);
        let log = open(&folder, Retention::default());
        assert_eq!(all(&log).len(), 5_000);
        assert!(block_on(log.get(&Scope::All, &id(4_999))).unwrap().is_some());
    }

    #[test]
    fn a_period_is_read_through_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let (log, memory) = (open(&folder, Retention::default()), MemoryRequestLog::new(1_000));
        let start = now().as_micros();
        let at = |number: u64| Timestamp::from_micros(start + number as i64);
        // Requests end in another order than they arrive in.
        for number in [0, 3, 1, 2, 9, 5, 4, 8, 6, 7] {
            let record = record(number, 1, at(number));
            log.append(Arc::clone(&record));
            memory.append(record);
        }
        for log in [&log as &dyn RequestLog, &memory] {
            let (mut after, mut found) = (0, Vec::new());
            loop {
                let page = block_on(log.between(at(2), at(8), after, 2)).unwrap();
                assert!(page.len() <= 2);
                let Some((last, _)) = page.last() else { break };
                after = *last;
                found.extend(page.into_iter().map(|(_, record)| record));
            }
            let expected: Vec<String> =
                [3, 2, 5, 4, 6, 7].map(|number| record(number, 1, at(number)).to_json()).into();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_full_backlog_drops_and_counts_and_never_waits() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention::default());
        // Another connection holds the write lock, so that nothing can be written.
        let other = Connection::open(folder.path().join("log.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (most, started) = (BACKLOG as u64, Instant::now());
        (0..most * 3).for_each(|number| log.append(record(number, 1, now())));
        assert!(started.elapsed() < Duration::from_secs(4), "appending waited for the lock");
        assert!(log.dropped() >= most, "{} dropped", log.dropped());
        other.execute_batch("ROLLBACK").unwrap();
        let dropped = log.dropped();
        assert_eq!(all(&log).len() as u64, most * 3 - dropped);
    }

    #[test]
    fn q1_a_record_that_cannot_be_written_is_visible_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention::default());
        let other = Connection::open(folder.path().join("log.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        log.append(record(1, 1, now()));
        for _ in 0..10 {
            thread::sleep(FLUSH_INTERVAL / 5);
            assert!(block_on(log.get(&Scope::All, &id(1))).unwrap().is_some());
        }
        drop(other);
        assert_eq!(all(&log).len(), 1);
    }

    #[test]
    fn only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention { records: 50, age: Duration::from_secs(3_600) });
        for number in 0..400 {
            log.append(record(number, 1, now()));
            if number % 40 == 0 {
                let _ = all(&log);
            }
        }
        let kept = all(&log);
        assert_eq!(kept.len(), 50);
        assert!(kept[0].contains(r#""id":"req_399""#) && kept[49].contains(r#""id":"req_350""#));
    }

    #[test]
    fn old_records_go() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention { records: 1_000, age: Duration::from_secs(3_600) });
        let old = Timestamp::from_micros(now().as_micros() - 3_601_000_000);
        (0..10).for_each(|number| log.append(record(number, 1, if number < 5 { old } else { now() })));
        assert_eq!(all(&log).len(), 5);
    }

    #[test]
    fn a_credential_as_an_id_is_not_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, Retention::default());
        let id = RequestId::new("sk-CANARY0123456789").unwrap();
        log.append(Arc::new(RequestRecord::new(id.clone(), now(), Protocol::OpenAiChat)));
        assert_eq!(all(&log).len(), 1);
        assert!(block_on(log.get(&Scope::All, &id)).unwrap().is_some());
        drop(log);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"CANARY"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(16), ..ProptestConfig::default() })]

        /// Against the in-memory log, which is proved on its own.
        #[test]
        fn scopes_are_kept_as_in_memory(
            appended in prop::collection::vec((0_u64..6, 0_u64..6), 0..60),
            flush_every in 1_usize..20,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let log = open(&folder, Retention::default());
            let memory = weighbridge_records::MemoryRequestLog::new(1_000);
            for (serial, (number, key)) in appended.into_iter().enumerate() {
                let record = record(number, key, now());
                memory.append(record.clone());
                log.append(record);
                if serial % flush_every == 0 {
                    let _ = all(&log);
                }
            }
            let keys = (0..6).map(|key| Scope::Key(KeyId::from_bits(key)));
            let tenants = (0..4).map(|tenant| Scope::Tenant(format!("t{tenant}").into()));
            for scope in keys.chain(tenants).chain([Scope::All]) {
                for number in 0..6 {
                    let found = block_on(log.get(&scope, &id(number))).unwrap();
                    prop_assert_eq!(found, block_on(memory.get(&scope, &id(number))).unwrap());
                }
                let latest = block_on(log.recent(&scope, 7)).unwrap();
                prop_assert_eq!(latest, block_on(memory.recent(&scope, 7)).unwrap());
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.db");
        let _log = SqliteRequestLog::open(&path, Retention::default()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
