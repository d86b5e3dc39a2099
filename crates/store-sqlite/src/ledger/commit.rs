//! Who commits, and when: combining group commit.
//!
//! A task pushes its order, lets the other ready tasks of its thread push theirs, and tries to become the
//! one who writes. Who gets the lock commits whatever waits, for all; who does not is woken by who did. So
//! a lone request pays no switch of threads, and a busy server commits in batches.
//!
//! With [`Durability::Fsync`] every commit waits for the disk, which no task of a runtime may do: there, a
//! thread of the store does the same.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};
use std::time::Duration;

use rusqlite::Connection;
use weighbridge_ledger::{Command, Counters, LedgerError, Recovery};
use weighbridge_units::Timestamp;

use super::queue::{Hears, Queue, Slot};
use super::rows::StoreError;
use super::writer::{Answer, Order, Writer};
use crate::Durability;

/// What all handles and threads of one opened ledger share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    pub(super) queue: Queue,
    writer: Mutex<Writer>,
    health: Mutex<Health>,
    failed_checkpoints: AtomicU64,
    signal: Mutex<Signal>,
    signalled: Condvar,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct Health {
    /// Why the last commit failed, if it did.
    failure: Option<LedgerError>,
    counters: Counters,
}

/// What the store's thread waits for.
#[derive(Debug, Default)]
struct Signal {
    work: bool,
    stop: bool,
}

/// Whether the store's thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// There may be something to do.
    Work,
    /// The ledger is being closed.
    Stop,
}

impl Shared {
    /// Commits that one task makes for others before it leaves the queue to the next.
    const COMMITS: usize = 4;
    /// Rows of the journal that are gathered before a flush brings the tables up to date. The more there are,
    /// the fewer requests come while that is being done, but those wait longer: up to half a millisecond.
    pub(super) const FOLDED: usize = 256;
    /// Attempts that recovery ends in one commit.
    const RECOVERED: usize = 1_000;

    pub(super) fn new(db: Connection, path: PathBuf, durability: Durability) -> Self {
        Self {
            writer: Mutex::new(Writer::new(db, path.clone())),
            path,
            durability,
            queue: Queue::default(),
            health: Mutex::default(),
            failed_checkpoints: AtomicU64::new(0),
            signal: Mutex::default(),
            signalled: Condvar::new(),
            stopped: Condvar::new(),
        }
    }

    /// Commits what waits, unless somebody else is doing so.
    pub(super) fn combine(&self) {
        for _ in 0..Self::COMMITS {
            // Who holds it looks at the queue again after letting go.
            let Some(mut writer) = self.free_writer() else { return };
            let done = self.commit_batch(&mut writer);
            drop(writer);
            if done.is_err() || self.queue.is_empty() {
                return;
            }
        }
        // Others have waited on this task's time long enough to do their own share.
        if self.durability == Durability::Fsync || !self.queue.wake_first() {
            self.signal();
        }
    }

    /// The writer, if nobody else has it.
    fn free_writer(&self) -> Option<MutexGuard<'_, Writer>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            // Whoever had it panicked. It rolls back when it begins anew.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Commits what waits, or has the store's thread do so where that waits for the disk. Brings the tables up
    /// to date now and then: nobody waits for a flush.
    pub(super) fn flush(&self) {
        let waits = !self.queue.is_empty();
        match self.durability {
            Durability::Process => {
                if waits {
                    self.combine();
                }
                self.fold();
            }
            Durability::Fsync if waits => self.signal(),
            // A commit of its own would be another wait for the disk; see `Writer::TAIL_MAX`.
            Durability::Fsync => {}
        }
    }

    /// Brings the tables up to date if they are far behind and nobody is writing.
    fn fold(&self) {
        let Some(mut writer) = self.free_writer() else { return };
        if writer.tail_rows() < Self::FOLDED {
            return;
        }
        let folded = writer.fold_all();
        self.note(&writer, &folded);
        drop(writer);
        if let Err(error) = folded {
            tracing::error!(%error, "the ledger cannot be written");
        }
        if !self.queue.is_empty() {
            self.combine(); // What came meanwhile found the writer taken.
        }
    }

    /// Commits all that waits, and blocks until it is: what was handed over before is in the file then, or
    /// cannot be written.
    pub(super) fn settle(&self) {
        while !self.queue.is_empty() {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if self.commit_batch(&mut writer).is_err() {
                return;
            }
        }
        // Somebody else may have taken the rest out, and be about to commit it.
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn commit_batch(&self, writer: &mut Writer) -> Result<(), ()> {
        let (orders, hears) = self.queue.take(match self.durability {
            Durability::Process => 128,
            // The disk takes as long for many as for few.
            Durability::Fsync => 256,
        });
        if orders.is_empty() {
            return Ok(());
        }
        let mut committed = writer.commit(&orders);
        if matches!(committed, Err(StoreError::Panicked)) {
            committed = commit_one_by_one(writer, &orders);
        }
        self.note(writer, &committed);
        match committed {
            Ok(answers) => {
                for (answer, hears) in answers.into_iter().zip(hears) {
                    match hears {
                        Hears::Task(slot) => slot.answer(answer),
                        Hears::Nobody(permit) => drop(permit),
                    }
                }
                Ok(())
            }
            Err(error) => {
                self.queue.give_back(orders, hears, &unavailable(&error));
                tracing::error!(%error, "the ledger cannot be written");
                Err(())
            }
        }
    }

    /// Does something with the writer that cannot wait in the queue; blocks until the writer is free.
    pub(super) fn with_writer<T>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, LedgerError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut writer);
        self.note(&writer, &done);
        drop(writer);
        if !self.queue.is_empty() {
            self.signal(); // What came meanwhile found the writer taken.
        }
        Ok(done?)
    }

    /// As [`Writer::recover`].
    pub(super) fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        self.with_writer(|writer| writer.recover(now, Self::RECOVERED))
    }

    fn note<T>(&self, writer: &Writer, done: &Result<T, StoreError>) {
        let mut health = lock(&self.health);
        health.counters = writer.counters();
        health.failure = match done {
            Err(error @ (StoreError::Sqlite(_) | StoreError::File(_) | StoreError::Panicked)) => {
                Some(unavailable(error))
            }
            _ => None,
        };
    }

    /// Why the last commit failed, if it did.
    pub(super) fn failure(&self) -> Option<LedgerError> {
        lock(&self.health).failure.clone()
    }

    pub(super) fn counters(&self) -> Counters {
        let failed_checkpoints = self.failed_checkpoints.load(Ordering::Relaxed);
        Counters { failed_checkpoints, ..lock(&self.health).counters }
    }

    /// Counts a time that the write-ahead log could not be carried over.
    pub(super) fn count_failed_checkpoint(&self) {
        self.failed_checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    /// Wakes the store's thread.
    fn signal(&self) {
        lock(&self.signal).work = true;
        self.signalled.notify_one();
    }

    /// Tells the store's threads to end.
    pub(super) fn stop(&self) {
        lock(&self.signal).stop = true;
        self.signalled.notify_all();
        self.stopped.notify_all();
    }

    /// What a thread does between its rounds that has nothing to do with commits.
    pub(super) fn wait_for_stop(&self, at_most: Duration) -> Woken {
        let waited = self.stopped.wait_timeout_while(lock(&self.signal), at_most, |signal| !signal.stop);
        let (signal, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if signal.stop { Woken::Stop } else { Woken::Work }
    }

    /// What the thread that commits does between its rounds.
    pub(super) fn wait(&self, at_most: Duration) -> Woken {
        let idle = |signal: &mut Signal| !(signal.work || signal.stop);
        let waited = self.signalled.wait_timeout_while(lock(&self.signal), at_most, idle);
        let (mut signal, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // It is about to look at the queue: what comes from now on has to wake it again.
        signal.work = false;
        if signal.stop { Woken::Stop } else { Woken::Work }
    }
}

/// After a panic: whatever brings it about must not hold up the rest, nor take it along.
fn commit_one_by_one(writer: &mut Writer, orders: &[Order]) -> Result<Vec<Answer>, StoreError> {
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        match writer.commit(std::slice::from_ref(order)) {
            Ok(one) => answers.extend(one),
            Err(StoreError::Panicked) => {
                tracing::error!(?order, "the ledger's writer panics over this, which is a bug");
                answers.push(Err(LedgerError::Corrupt { what: StoreError::Panicked.to_string() }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: &StoreError) -> LedgerError {
    LedgerError::Unavailable { reason: error.to_string() }
}

/// An order that waits for its commit.
pub(super) struct Commit<'a> {
    shared: &'a Shared,
    slot: Arc<Slot>,
    /// Until it is queued.
    command: Option<Command>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(shared: &'a Shared, command: Command) -> Self {
        Self { shared, slot: Arc::default(), command: Some(command) }
    }
}

impl Future for Commit<'_> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        if let Some(command) = self.command.take() {
            // The waker first: the answer may come at once.
            let _ = self.slot.poll(context.waker());
            self.shared.queue.push_command(command, Arc::clone(&self.slot));
            match self.shared.durability {
                // One turn for the other tasks of this thread to join the batch.
                Durability::Process => context.waker().wake_by_ref(),
                Durability::Fsync => self.shared.signal(),
            }
            return Poll::Pending;
        }
        if let Some(answer) = self.slot.poll(context.waker()) {
            return Poll::Ready(answer);
        }
        if self.shared.durability == Durability::Process {
            self.shared.combine();
        }
        self.slot.poll(context.waker()).map_or(Poll::Pending, Poll::Ready)
    }
}
