//! The ledger on SQLite.

mod batch;
mod commit;
mod epoch;
mod housekeeping;
mod key_totals;
mod load;
mod queue;
mod reads;
mod rows;
mod seals;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use weighbridge_ledger::{
    AccountId, Adjust, AttemptEntry, Balance, Command, Counters, End, EntityId, Extent, Fund, Intent,
    JournalRow, LedgerError, LedgerStore, Name, Permit, Recovery, Reserve, Rollup, RollupKey, RollupQuery,
    UsageKey, UsageQuery, Verification,
};
use weighbridge_units::{AttemptId, Timestamp};

use crate::connection::{open, open_migrated};
use crate::worker::Worker;
use crate::{Durability, OpenError};
use commit::{Commit, Shared};
use rows::StoreError;

/// How long a commit waits for another process that is writing: its thread has other requests to serve.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How to open a [`SqliteLedger`].
#[derive(Debug, Clone)]
pub struct SqliteLedgerOptions {
    /// The file. Beside it SQLite keeps `-wal` and `-shm`, and each open ledger a `-writer-N`.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
}

/// A [`LedgerStore`] in an SQLite file.
///
/// A commit is made by whoever asks for it, on its own thread, for all who ask at the same time: it writes
/// to the page cache only, and there the rows of the journal only, which takes less than waking another
/// thread would. The tables beside the journal follow, for many commits at once. With [`Durability::Fsync`]
/// a thread of the store makes all commits.
///
/// Several processes may have the same file open, and write to it; each opening is a writer of its own,
/// with hash chains of its own. [`LedgerStore::recover`] knows dead writers by the locks that the system
/// took from them, so an attempt whose process lives is never ended for it.
///
/// Dropping it commits what was handed over.
pub struct SqliteLedger {
    shared: Arc<Shared>,
    reader: Worker,
    threads: Vec<JoinHandle<()>>,
}

impl SqliteLedger {
    /// Opens a file, creating it where needed. Commits survive the death of the process.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::with_options(&SqliteLedgerOptions { path: path.into(), durability: Durability::Process })
    }

    /// Opens a file as told.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be used.
    pub fn with_options(options: &SqliteLedgerOptions) -> Result<Self, OpenError> {
        let SqliteLedgerOptions { path, durability } = options;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let db = open_migrated(path, *durability)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
        // The store's thread carries the log over, so that no commit ever stops for it.
        db.pragma_update(None, "wal_autocheckpoint", 0).map_err(sqlite)?;
        let reads = open(path, *durability)?;
        reads.pragma_update(None, "query_only", true).map_err(sqlite)?;
        let checkpoints = open(path, *durability)?;

        let shared = Arc::new(Shared::new(db, path.clone(), *durability));
        let reader = Worker::start("weighbridge-reads", reads)?;
        let threads = housekeeping::start(&shared, checkpoints)?.into();
        Ok(Self { shared, reader, threads })
    }

    /// Carries the write-ahead log over into the database. The store's thread does so by itself; before the
    /// file is copied, do it by hand.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn checkpoint(&self) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let db = open(&shared.path, shared.durability).map_err(cannot_open)?;
            shared.with_writer(|_| housekeeping::checkpoint(&db).map(drop))
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let shared = Arc::clone(&self.shared);
        let read = move |db: &mut rusqlite::Connection| {
            // A settled request is visible to the next read (rule Q1).
            shared.settle();
            let (folded, last) = rows::find_folded(db)?;
            if folded < last {
                shared.with_writer(|writer| writer.fold_all())?;
            }
            Ok(read(db)?)
        };
        let done = self.reader.run(read).await;
        done.ok_or_else(|| thread_died("weighbridge-reads"))?
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.shared.settle();
        if let Err(error) = self.shared.with_writer(|writer| writer.close()) {
            tracing::warn!(%error, "the ledger was not closed in good order; the next start recovers it");
        }
    }
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLedger").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl LedgerStore for SqliteLedger {
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(Commit::new(&self.shared, Command::Reserve(reserve)))
    }

    fn hand_over(&self, end: End, permit: Permit) {
        self.shared.queue.push_end(end, permit);
    }

    fn flush(&self) {
        self.shared.flush();
    }

    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError> {
        Commit::new(&self.shared, Command::Adjust(adjust)).await
    }

    async fn fund(&self, fund: Fund) -> Result<(), LedgerError> {
        Commit::new(&self.shared, Command::Fund(fund)).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.recover(now)).await
    }

    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError> {
        self.read(reads::open_attempts).await
    }

    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        self.read(move |db| reads::attempt(db, attempt)).await
    }

    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError> {
        self.read(reads::balances).await
    }

    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError> {
        self.read(move |db| rows::find_balance(db, account)).await
    }

    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError> {
        self.read(move |db| reads::journal(db, after, limit)).await
    }

    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError> {
        self.read(move |db| reads::rollups(db, &query)).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<(UsageKey, Rollup)>, LedgerError> {
        self.read(move |db| reads::usage(db, &query)).await
    }

    async fn attempt_rows(&self, attempt: AttemptId) -> Result<Vec<JournalRow>, LedgerError> {
        self.read(move |db| reads::attempt_rows(db, attempt)).await
    }

    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with_writer(|writer| writer.seal(now))).await
    }

    async fn verify(&self, extent: Extent) -> Result<Verification, LedgerError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.settle();
            let db = open(&shared.path, shared.durability).map_err(cannot_open)?;
            Ok(verify::verify(&db, extent)?)
        })
        .await
    }

    async fn health(&self) -> Result<(), LedgerError> {
        if self.shared.failure().is_none() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with_writer(|writer| writer.probe())).await
    }

    async fn register_name(&self, name: Name) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with_writer(|writer| writer.name(&name))).await
    }

    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError> {
        self.read(move |db| reads::name(db, id)).await
    }

    fn counters(&self) -> Counters {
        self.shared.counters()
    }
}

/// Does what takes long on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let (answer, answered) = oneshot::channel();
    let run = move || {
        let _ = answer.send(work());
    };
    let started = thread::Builder::new().name("weighbridge-ledger-job".to_owned()).spawn(run);
    started
        .map_err(|error| LedgerError::Unavailable { reason: format!("cannot start a thread: {error}") })?;
    answered.await.map_err(|_| thread_died("weighbridge-ledger-job"))?
}

fn thread_died(name: &str) -> LedgerError {
    LedgerError::Unavailable { reason: format!("the store's thread `{name}` has died") }
}

fn cannot_open(error: OpenError) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}
