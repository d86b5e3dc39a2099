//! Who commits, and when; and who lives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use weighbridge_ledger::{Command, Counters, End, Epoch, LedgerError, Name, Permit, Recovery};
use weighbridge_units::failpoint::pass;
use weighbridge_units::{Failpoint, Timestamp};

use super::presence::{Presence, Sign};
use super::queue::{Answer, Queue};
use super::rows::{column, epoch_column, read_epoch};
use super::watch::Watch;
use super::writer::Writer;
use crate::error::DbError;
use crate::session::{Connector, Link, within};

const BEAT: &str =
    "UPDATE writer SET beat = beat + 1, backend = pg_backend_pid() WHERE epoch = $1 AND closed IS NULL";
const BEATS: &str = "SELECT epoch, beat FROM writer WHERE closed IS NULL";
/// All writers that nobody has closed: by what they are known to be there, whether the server has closed the connection
/// of their last sign of life, and whether they have something open.
const OTHERS: &str = "SELECT epoch, beat, host, presence, \
     NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = backend), \
     EXISTS (SELECT FROM open_attempt WHERE writer = epoch) FROM writer WHERE closed IS NULL";
const IS_LEFT_OPEN: &str = "SELECT EXISTS (SELECT FROM open_attempt JOIN writer ON writer = epoch \
     WHERE closed IS NOT NULL)";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [BEAT, BEATS, OTHERS, IS_LEFT_OPEN];

/// Commands of one commit, at most.
const BATCH: usize = 64;
/// Attempts that recovery ends in one commit.
const RECOVERED: i64 = 1_000;
/// How often a commit is made again at once whose connection broke, or which somebody else was in the way of.
const RETRIES: usize = 2;
/// How long a store is left alone that could not be written.
const PAUSE: Duration = Duration::from_millis(200);
/// After how long it is asked again, at most, whether others live of whom it is not known.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// What the handle and the tasks of one opened ledger share.
pub(super) struct Shared {
    queue: Queue,
    wake: Notify,
    stop: AtomicBool,
    /// Taken for one commit after another.
    writer: tokio::sync::Mutex<Writer>,
    status: Mutex<Status>,
    /// What the signs of life come and go by, so that they never wait for a commit.
    signs: Link,
    /// By what others on this host know that this ledger is open. Held for as long as anybody may write.
    presence: Arc<Presence>,
    watch: Mutex<Watch>,
    beat: Duration,
    /// Whether what was open at the start has been seen to.
    recovered: AtomicBool,
}

/// What is known of the other writers that nobody has closed.
struct Others {
    /// Those whose process has ended, with the beat that was their last.
    gone: Vec<(Epoch, i64)>,
    /// Whether it is known of each that has something open if it lives.
    all_known: bool,
}

#[derive(Debug, Default)]
struct Status {
    /// Why the last commit failed, if it did.
    failure: Option<LedgerError>,
    counters: Counters,
    epoch: Option<Epoch>,
}

impl Shared {
    pub(super) fn new(connector: Arc<Connector>, beat: Duration) -> Self {
        let presence = Arc::new(Presence::take());
        let writer = Writer::new(Arc::clone(&connector), Arc::clone(&presence));
        Self {
            queue: Queue::default(),
            wake: Notify::new(),
            stop: AtomicBool::new(false),
            writer: tokio::sync::Mutex::new(writer),
            status: Mutex::default(),
            signs: Link::new(connector),
            presence,
            watch: Mutex::default(),
            beat,
            recovered: AtomicBool::new(false),
        }
    }

    /// Queues a command, now, and waits for its answer. Where the store is known to be away, it is refused at once:
    /// nobody waits for a database that is not there (rule C4).
    pub(super) fn ask(&self, command: Command) -> BoxFuture<'static, Answer> {
        if let Some(failure) = self.failure() {
            return std::future::ready(Err(failure)).boxed();
        }
        self.queue_up(Some(command))
    }

    fn queue_up(&self, command: Option<Command>) -> BoxFuture<'static, Answer> {
        let answered = self.queue.push(command);
        self.wake.notify_one();
        async { answered.await.unwrap_or_else(|_| Err(DbError::Ended.into())) }.boxed()
    }

    pub(super) fn hand_over(&self, end: End, permit: Permit) {
        self.queue.push_end(end, permit);
        self.wake.notify_one();
    }

    /// Ready once all is committed that was asked for or handed over before.
    pub(super) fn settle(&self) -> BoxFuture<'static, Answer> {
        self.queue_up(None)
    }

    /// Tells the task that commits to end, once it has committed what waits.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Commits what comes, until it is told to stop.
    pub(super) async fn work(&self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.failure() {
                None => self.wake.notified().await,
                Some(_) => {
                    sleep(PAUSE).await;
                    self.try_again().await;
                }
            }
            while !self.queue.is_empty() && self.commit_batch().await.is_ok() {}
        }
        while !self.queue.is_empty() && self.commit_batch().await.is_ok() {}
        let mut writer = self.writer.lock().await;
        if let Err(error) = writer.close().await {
            tracing::warn!(%error, "the ledger's epoch stays open; another instance will close it");
        }
    }

    /// Whether the store can be written again, where nothing waits that would show it.
    async fn try_again(&self) {
        if self.queue.is_empty() {
            let mut writer = self.writer.lock().await;
            let done = writer.commit(&[]).await;
            self.note(&writer, &done);
        }
    }

    async fn commit_batch(&self) -> Result<(), ()> {
        let mut writer = self.writer.lock().await;
        let orders = self.queue.take(BATCH);
        let mut committed = writer.commit(&orders.commands).await;
        for _ in 0..RETRIES {
            // Under the same ids (rules C3, L4): what was committed after all is repeated, and has no effect.
            match &committed {
                Err(error) if error.is_worth_a_retry() => {
                    tracing::warn!(%error, "a commit of the ledger is made again");
                    committed = writer.commit(&orders.commands).await;
                }
                _ => break,
            }
        }
        if matches!(committed, Err(DbError::Panicked)) {
            committed = commit_one_by_one(&mut writer, &orders.commands).await;
        }
        self.note(&writer, &committed);
        match committed {
            Ok(answers) => {
                orders.hears.into_iter().zip(answers).for_each(|(hears, answer)| hears.answer(answer));
                Ok(())
            }
            Err(error) => {
                self.queue.give_back(orders, &unavailable(&error));
                Err(())
            }
        }
    }

    fn note<T>(&self, writer: &Writer, done: &Result<T, DbError>) {
        let mut status = lock(&self.status);
        status.counters = writer.counters();
        status.epoch = writer.epoch();
        // A row that cannot be read is no reason to refuse what does not touch it.
        let failure = done.as_ref().err().filter(|error| !matches!(error, DbError::Corrupt(_)));
        let failure = failure.map(unavailable);
        match (&failure, &status.failure) {
            (Some(failure), None) => tracing::error!(%failure, "the ledger cannot be written"),
            (None, Some(_)) => tracing::info!("the ledger can be written again"),
            _ => {}
        }
        let fails = failure.is_some();
        status.failure = failure;
        drop(status);
        if fails {
            self.wake.notify_one(); // It tries again by itself.
        }
    }

    /// Why the last commit failed, if it did.
    pub(super) fn failure(&self) -> Option<LedgerError> {
        lock(&self.status).failure.clone()
    }

    pub(super) fn counters(&self) -> Counters {
        lock(&self.status).counters
    }

    pub(super) async fn seal(&self, now: Timestamp) -> Result<(), DbError> {
        let mut writer = self.writer.lock().await;
        let done = writer.seal(now).await;
        self.note(&writer, &done);
        done
    }

    pub(super) async fn register_name(&self, name: &Name) -> Result<(), DbError> {
        let mut writer = self.writer.lock().await;
        let done = writer.name(name).await;
        self.note(&writer, &done);
        done
    }

    /// Shows signs of life, and looks for those of others, for as long as the ledger is open.
    pub(super) async fn beat(self: Arc<Self>) {
        loop {
            sleep(self.beat).await;
            let begun = Instant::now();
            match within(Duration::from_secs(10), self.beat_once()).await {
                // Where the database is slow, others may have beaten and not be seen: that is no look.
                Ok(beats) if begun.elapsed() <= self.beat => lock(&self.watch).look(beats),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "no sign of life could be given"),
            }
        }
    }

    /// Beats, and says how far all others are.
    async fn beat_once(&self) -> Result<Vec<(Epoch, i64)>, DbError> {
        let own = lock(&self.status).epoch;
        let mut lent = self.signs.lend().await?;
        if let Some(own) = own {
            lent.session.execute(BEAT, &[&epoch_column(own)]).await?;
        }
        let rows = lent.session.query(BEATS, &[]).await?;
        lent.give_back();
        let beats = rows.iter().map(|row| Ok((read_epoch(column(row, 0)?)?, column(row, 1)?)));
        let mut beats = beats.collect::<Result<Vec<_>, DbError>>()?;
        beats.retain(|(epoch, _)| Some(*epoch) != own);
        Ok(beats)
    }

    /// Ends what dead writers left open. The first time, it waits until it is known of every writer that has
    /// something open whether it lives: at once, where the kernel knows, else by beats.
    pub(super) async fn recover(&self, now: Timestamp) -> Result<Recovery, DbError> {
        let own = self.own_epoch().await?;
        let gone = loop {
            let others = self.others(own).await?;
            if others.all_known || self.recovered.load(Ordering::Acquire) {
                break others.gone;
            }
            sleep(ASK_AGAIN.min(self.beat / 4)).await;
        };
        let dead = [gone, lock(&self.watch).dead()].concat();
        let mut recovery = Recovery::default();
        if !dead.is_empty() {
            let mut writer = self.writer.lock().await;
            let closed = writer.close_dead(&dead).await;
            self.note(&writer, &closed);
            recovery.writers = closed?;
            pass(Failpoint::PostgresDeadClosed)?;
        }
        let mut after = self.is_left_open().await?.then(Vec::new);
        while let Some(from) = after {
            let mut writer = self.writer.lock().await;
            let ended = writer.end_left_open(&from, RECOVERED, now).await;
            self.note(&writer, &ended);
            let (ended, last) = ended?;
            recovery.crashed += ended;
            after = last;
            pass(Failpoint::PostgresRecovered)?;
        }
        self.recovered.store(true, Ordering::Release);
        Ok(recovery)
    }

    async fn own_epoch(&self) -> Result<Epoch, DbError> {
        let mut writer = self.writer.lock().await;
        let opened = writer.open_epoch().await;
        self.note(&writer, &opened);
        opened
    }

    /// What is known of all writers but ourselves.
    ///
    /// Who has lost its connection may live and make another one, so that alone nobody is dead of it. Whose process
    /// has ended is; that the server has noticed it, too, is asked for beside, so that two must be wrong before
    /// somebody who lives is taken for dead (rule C6).
    async fn others(&self, own: Epoch) -> Result<Others, DbError> {
        let mut lent = self.signs.lend().await?;
        let rows = lent.session.query(OTHERS, &[]).await?;
        lent.give_back();
        let mut others = Others { gone: Vec::new(), all_known: true };
        for row in &rows {
            let epoch = read_epoch(column(row, 0)?)?;
            let (is_disconnected, has_open): (bool, bool) = (column(row, 4)?, column(row, 5)?);
            let is_known = match self.presence.sign(column(row, 2)?, column(row, 3)?) {
                Sign::Free if epoch != own && is_disconnected => {
                    others.gone.push((epoch, column(row, 1)?));
                    true
                }
                Sign::Held => true,
                Sign::Free | Sign::Unknown => epoch == own || lock(&self.watch).knows(epoch),
            };
            others.all_known &= is_known || !has_open;
        }
        Ok(others)
    }

    async fn is_left_open(&self) -> Result<bool, DbError> {
        let mut lent = self.signs.lend().await?;
        let row = lent.session.query_one(IS_LEFT_OPEN, &[]).await?;
        lent.give_back();
        column(&row, 0)
    }
}

/// After a panic: whatever brings it about must not hold up the rest, nor take it along.
async fn commit_one_by_one(
    writer: &mut Writer,
    commands: &[Option<Command>],
) -> Result<Vec<Answer>, DbError> {
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        match writer.commit(std::slice::from_ref(command)).await {
            Ok(one) => answers.extend(one),
            Err(DbError::Panicked) => {
                tracing::error!(?command, "the ledger's writer panics over this, which is a bug");
                answers.push(Err(LedgerError::Corrupt { what: DbError::Panicked.to_string() }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: &DbError) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}
