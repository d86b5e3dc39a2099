use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weighbridge_access::LimitCells;

/// The places that requests of this instance have taken, by their numbers.
#[derive(Debug)]
pub(crate) struct Places {
    /// What tells the members of this instance from those of others.
    instance: String,
    next: AtomicU64,
    taken: Mutex<HashMap<u64, Arc<LimitCells>>>,
}

impl Places {
    pub(crate) fn new(instance: u64) -> Self {
        Self { instance: format!("{instance:x}:"), next: AtomicU64::new(0), taken: Mutex::default() }
    }

    /// A number that no place had before.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a place is taken.
    pub(crate) fn take(&self, place: u64, cells: &Arc<LimitCells>) {
        self.lock().insert(place, Arc::clone(cells));
    }

    /// Notes that it is free.
    pub(crate) fn free(&self, place: u64) {
        self.lock().remove(&place);
    }

    /// Whether it is taken.
    pub(crate) fn is_taken(&self, place: u64) -> bool {
        self.lock().contains_key(&place)
    }

    /// All that are taken.
    pub(crate) fn all(&self) -> Vec<(u64, Arc<LimitCells>)> {
        self.lock().iter().map(|(place, cells)| (*place, Arc::clone(cells))).collect()
    }

    /// How a place is called in Redis.
    pub(crate) fn member(&self, place: u64) -> String {
        format!("{}{place}", self.instance)
    }

    /// The number of a place by what it is called; `None` for those of others.
    pub(crate) fn number_of(&self, member: &str) -> Option<u64> {
        member.strip_prefix(&self.instance)?.parse().ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<LimitCells>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
