use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weighbridge_units::Monotonic;

/// How many second tries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Second tries per hundred requests of the window. 20 means: tries ≤ 1.2 × requests.
    pub percent: u32,
    /// Second tries per window that are allowed however few requests there are, so that a gateway
    /// with little traffic can fail over.
    pub floor: u32,
    /// The window that requests and second tries are counted in.
    pub window: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { percent: 20, floor: 10, window: Duration::from_secs(30) }
    }
}

/// Keeps second tries to a share of the traffic, so that an outage of everything does not multiply
/// the load (invariants, table of faults: tries ≤ 1.2 × requests).
///
/// One budget is meant to be shared by all routes of a gateway. Time moves in tenths of the window.
pub struct RetryBudget {
    policy: RetryPolicy,
    counts: Mutex<Counts>,
}

const SLOTS: usize = 10;

#[derive(Default, Clone)]
struct Counts {
    /// Number of the slot that is being written, counted from the clock's start.
    newest: u64,
    slots: [Slot; SLOTS],
    sum: Slot,
}

#[derive(Default, Clone, Copy)]
struct Slot {
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// A budget with nothing spent.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, counts: Mutex::default() }
    }

    /// What is spent by now, apart from what will be.
    pub(crate) fn copied(&self) -> Self {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { policy: self.policy, counts: Mutex::new(counts) }
    }

    /// Counts a request, which earns its share of a second try.
    pub fn count_request(&self, now: Monotonic) {
        self.at(now).add(1, 0);
    }

    /// Takes a second try out of the budget; whether there was one.
    pub fn take(&self, now: Monotonic) -> bool {
        let mut counts = self.at(now);
        let earned = counts.sum.requests * u64::from(self.policy.percent) / 100;
        let allowed = counts.sum.retries < earned.max(u64::from(self.policy.floor));
        if allowed {
            counts.add(0, 1);
        }
        allowed
    }

    /// Gives back a second try that was not made after all.
    pub fn give_back(&self, now: Monotonic) {
        let mut counts = self.at(now);
        // Taken in an earlier slot, it stays taken until that slot leaves the window.
        let newest = counts.newest_slot();
        if newest.retries > 0 {
            newest.retries -= 1;
            counts.sum.retries -= 1;
        }
    }

    fn at(&self, now: Monotonic) -> MutexGuard<'_, Counts> {
        let slot_micros = (self.policy.window.as_micros() / SLOTS as u128).max(1);
        let slot = u64::try_from(u128::from(now.as_micros()) / slot_micros).unwrap_or(u64::MAX);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.advance_to(slot);
        counts
    }
}

impl Counts {
    fn advance_to(&mut self, slot: u64) {
        // Threads read the clock before they take the lock, so that time may seem to step back: what
        // comes late is counted in the newest slot.
        let steps = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for _ in 0..steps {
            self.newest += 1;
            let leaving = std::mem::take(self.newest_slot());
            self.sum.requests -= leaving.requests;
            self.sum.retries -= leaving.retries;
        }
        self.newest = self.newest.max(slot);
    }

    fn newest_slot(&mut self) -> &mut Slot {
        &mut self.slots[(self.newest % SLOTS as u64) as usize]
    }

    fn add(&mut self, requests: u64, retries: u64) {
        let slot = self.newest_slot();
        slot.requests += requests;
        slot.retries += retries;
        self.sum.requests += requests;
        self.sum.retries += retries;
    }
}
