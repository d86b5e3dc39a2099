//! Counting what is open, so that it cannot be forgotten to count down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of something are open at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// Counts one more, as long as the returned value lives.
    pub(crate) fn count(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// One that is counted.
#[derive(Debug)]
#[must_use = "dropping it counts down"]
pub(crate) struct Counted(Counter);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
