//! The vendors' prompt caches: which beginnings of prompts were seen before.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Hashes of prompt beginnings. It forgets everything once it is full, which only costs money.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache {
    seen: Mutex<HashSet<u64>>,
}

impl PrefixCache {
    const CAPACITY: usize = 100_000;

    /// Whether the beginning was seen before.
    pub(crate) fn has(&self, hash: u64) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }

    /// Keeps a beginning; whether it was new.
    pub(crate) fn keep(&self, hash: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= Self::CAPACITY {
            seen.clear();
        }
        seen.insert(hash)
    }
}
