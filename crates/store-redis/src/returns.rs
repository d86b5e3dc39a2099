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

    /// Forgets what waits: the count that it belongs to is not asked any more.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// How much found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<FleetReturn>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
