//! What a provider remembers: its invoice, and the requests that it received.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::InvoiceLine;

/// A request as a provider received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The method.
    pub method: http::Method,
    /// Path and query.
    pub target: String,
    /// All headers, credentials included.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Invoice, received requests, answers under way.
#[derive(Debug, Default)]
pub(crate) struct Account {
    lines: Mutex<Vec<InvoiceLine>>,
    received: Mutex<VecDeque<ReceivedRequest>>,
    open: AtomicUsize,
    /// Received requests that are kept.
    keep: usize,
}

impl Account {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, ..Self::default() }
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn closed(&self, line: InvoiceLine) {
        locked(&self.lines).push(line);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn lines(&self) -> Vec<InvoiceLine> {
        locked(&self.lines).clone()
    }

    pub(crate) fn receive(&self, request: ReceivedRequest) {
        let mut received = locked(&self.received);
        received.push_back(request);
        while received.len() > self.keep {
            received.pop_front();
        }
    }

    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        locked(&self.received).iter().cloned().collect()
    }

    pub(crate) fn forget(&self) {
        locked(&self.lines).clear();
        locked(&self.received).clear();
    }
}

/// A simulated provider goes on after a panic in a test's thread.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
