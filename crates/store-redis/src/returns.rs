use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weighbridge_access::FleetReturn;

/// Returns that may wait; places may always, as no more can wait than were taken.
const MOST: usize = 65_536;
/// Returns that one script takes back.
const BATCH: usize = 200;

/// What waits to be taken back.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    waiting: Mutex<VecDeque<FleetReturn>>,
    arrived: Notify,
    /// How many have arrived, and how many of those Redis knows of or never will.
    pushed: AtomicU64,
    done: AtomicU64,
    is_done: Notify,
    dropped: AtomicU64,
}

impl Returns {
    pub(crate) fn push(&self, back: FleetReturn) {
        let mut waiting = self.lock();
        if waiting.len() >= MOST && !matches!(back, FleetReturn::Place { .. }) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(back);
        self.pushed.fetch_add(1, Ordering::AcqRel);
        let is_first = waiting.len() == 1;
        drop(waiting);
        if is_first {
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something.
    pub(crate) async fn arrived(&self) {
        while self.lock().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// What one script is to take back.
    pub(crate) fn batch(&self) -> Vec<FleetReturn> {
        let mut waiting = self.lock();
        let most = waiting.len().min(BATCH);
        waiting.drain(..most).collect()
    }

    /// Says that a batch is over and done with.
    pub(crate) fn done(&self, batch: usize) {
        self.done.fetch_add(batch as u64, Ordering::AcqRel);
        self.is_done.notify_waiters();
    }

    /// Whether there is anything that Redis does not know of yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.done.load(Ordering::Acquire) < self.pushed.load(Ordering::Acquire)
    }

    /// Waits until everything that has arrived so far is done with.
    pub(crate) async fn settled(&self) {
        let pushed = self.pushed.load(Ordering::Acquire);
        loop {
            let notified = self.is_done.notified();
            if self.done.load(Ordering::Acquire) >= pushed {
                return;
            }
            notified.await;
        }
    }

    /// Forgets what waits: the count that it belongs to is not asked any more.
    pub(crate) fn clear(&self) {
        let mut waiting = self.lock();
        let forgotten = waiting.len();
        waiting.clear();
        drop(waiting);
        self.done(forgotten);
    }

    /// How much found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<FleetReturn>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
