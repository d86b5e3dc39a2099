//! The ledger on PostgreSQL.

mod batch;
mod commit;
mod key_totals;
mod load;
mod presence;
mod queue;
mod reads;
mod rows;
mod verify;
mod watch;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use tokio::task::JoinHandle;
use weighbridge_ledger::{
    AccountId, Adjust, AttemptEntry, Balance, Command, Counters, End, EntityId, Extent, Fund, Intent,
    JournalRow, LedgerError, LedgerStore, Name, Permit, Recovery, Reserve, Rollup, RollupKey, RollupQuery,
    UsageKey, UsageQuery, Verification,
};
use weighbridge_units::{AttemptId, Timestamp};

use crate::Database;
use crate::error::DbError;
use crate::session::{Link, Session};
use commit::Shared;

/// How long verifying and recovering may take.
const LONG: Duration = Duration::from_secs(24 * 3_600);
/// How long dropping waits for what was handed over.
const CLOSE_WITHIN: Duration = Duration::from_secs(15);

/// How to open a [`PostgresLedger`].
#[derive(Debug, Clone, Copy)]
pub struct PostgresLedgerOptions {
    /// How often an instance shows the others that it lives. Who has not done so for five times as long counts as
    /// dead, where the kernel does not know better: what it had open is ended as crashed. All instances should say
    /// the same.
    pub beat: Duration,
}

impl Default for PostgresLedgerOptions {
    /// Once a second.
    fn default() -> Self {
        Self { beat: Duration::from_secs(1) }
    }
}

/// A [`LedgerStore`] in a PostgreSQL database, which any number of instances share.
///
/// All commits of an instance are made by one task on one connection: it takes what waits, at most 64 commands, and
/// carries them out in one transaction of two round trips. The first locks the end of the journal and reads what the
/// commands look at; the second writes and commits. So the commits of all instances follow each other, budgets are
/// checked against what is committed, and no two of them can wait for each other. A commit whose outcome is unknown
/// is made again, under the same ids.
///
/// Each opening is a writer of its own, with hash chains of its own and an epoch. An instance that shows no sign of
/// life is declared dead by the others and its epoch closed; should it live after all, it commits nothing more under
/// that epoch, is told so once, and goes on as a new one.
///
/// Dropping it commits what was handed over.
pub struct PostgresLedger {
    database: Database,
    shared: Arc<Shared>,
    reads: Arc<Link>,
    closed: Mutex<mpsc::Receiver<()>>,
    beating: JoinHandle<()>,
}

impl PostgresLedger {
    /// Opens the ledger in a database. Nothing is asked of the database yet.
    pub fn open(database: &Database) -> Self {
        Self::with_options(database, PostgresLedgerOptions::default())
    }

    /// Opens the ledger as told.
    pub fn with_options(database: &Database, options: PostgresLedgerOptions) -> Self {
        let shared = Arc::new(Shared::new(database.connector(), options.beat));
        let (done, closed) = mpsc::channel();
        let committing = Arc::clone(&shared);
        database.runtime().spawn(async move {
            committing.work().await;
            // Nobody listens any more where dropping has taken too long.
            let _ = done.send(());
        });
        let beating = database.runtime().spawn(Arc::clone(&shared).beat());
        let reads = Arc::new(Link::new(database.connector()));
        Self { database: database.clone(), shared, reads, closed: Mutex::new(closed), beating }
    }

    /// A question that sees what was settled before it was asked (rule Q1).
    async fn read<T: Send + 'static>(
        &self,
        read: impl for<'a> FnOnce(&'a mut Session) -> BoxFuture<'a, Result<T, DbError>> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.shared.settle().await?;
        let link = Arc::clone(&self.reads);
        let done = self.database.run(async move {
            let mut lent = link.lend().await?;
            let done = read(&mut lent.session).await?;
            lent.give_back();
            Ok::<_, DbError>(done)
        });
        Ok(done.await?)
    }
}

impl Drop for PostgresLedger {
    fn drop(&mut self) {
        self.shared.stop();
        let closed = self.closed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(CLOSE_WITHIN).is_err() {
            tracing::warn!("the ledger was not closed in good order; its open attempts end as crashed");
        }
        self.beating.abort();
    }
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLedger").finish_non_exhaustive()
    }
}

#[async_trait]
impl LedgerStore for PostgresLedger {
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.shared.ask(Command::Reserve(reserve))
    }

    fn hand_over(&self, end: End, permit: Permit) {
        self.shared.hand_over(end, permit);
    }

    /// The task that commits is woken by whatever comes.
    fn wants_flush(&self) -> bool {
        false
    }

    fn flush(&self) {}

    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError> {
        self.shared.ask(Command::Adjust(adjust)).await
    }

    async fn fund(&self, fund: Fund) -> Result<(), LedgerError> {
        self.shared.ask(Command::Fund(fund)).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        let shared = Arc::clone(&self.shared);
        Ok(self.database.run_within(LONG, async move { shared.recover(now).await }).await?)
    }

    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError> {
        self.read(|session| reads::open_attempts(session).boxed()).await
    }

    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        self.read(move |session| reads::attempt(session, attempt).boxed()).await
    }

    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError> {
        self.read(|session| reads::balances(session).boxed()).await
    }

    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError> {
        self.read(move |session| reads::balance(session, account).boxed()).await
    }

    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError> {
        self.read(move |session| reads::journal(session, after, limit).boxed()).await
    }

    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError> {
        self.read(move |session| reads::rollups(session, query).boxed()).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<(UsageKey, Rollup)>, LedgerError> {
        self.read(move |session| reads::usage(session, query).boxed()).await
    }

    async fn attempt_rows(&self, attempt: AttemptId) -> Result<Vec<JournalRow>, LedgerError> {
        self.read(move |session| reads::attempt_rows(session, attempt).boxed()).await
    }

    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        Ok(self.database.run(async move { shared.seal(now).await }).await?)
    }

    async fn verify(&self, extent: Extent) -> Result<Verification, LedgerError> {
        self.shared.settle().await?;
        let connector = self.database.connector();
        let verify = async move { verify::verify(&mut connector.connect().await?, extent).await };
        Ok(self.database.run_within(LONG, verify).await?)
    }

    async fn health(&self) -> Result<(), LedgerError> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    async fn register_name(&self, name: Name) -> Result<(), LedgerError> {
        let shared = Arc::clone(&self.shared);
        Ok(self.database.run(async move { shared.register_name(&name).await }).await?)
    }

    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError> {
        self.read(move |session| reads::name(session, id).boxed()).await
    }

    fn counters(&self) -> Counters {
        self.shared.counters()
    }
}

#[cfg(test)]
pub(crate) fn statements() -> Vec<&'static str> {
    [
        &writer::STATEMENTS[..],
        &load::STATEMENTS,
        &batch::STATEMENTS,
        &commit::STATEMENTS,
        &reads::STATEMENTS,
        &key_totals::STATEMENTS,
        &verify::STATEMENTS,
    ]
    .concat()
}
