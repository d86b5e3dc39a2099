use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

use crate::allowance::Allowance;
use crate::rate_limits::RateLimits;
use crate::recent::Recent;

/// What is observed of a target: fixed in size, written by every attempt, read without a lock.
///
/// How many attempts are in flight is always known. The rest is observed only while somebody [watches](Self::watch),
/// since it costs each answer a fraction of a microsecond.
#[derive(Default)]
pub struct Observed {
    watched: AtomicBool,
    in_flight: AtomicU32,
    latency: Recent,
    first_token: Recent,
    requests: Allowance,
    tokens: Allowance,
}

impl Observed {
    /// What is observed by now, apart from what will be.
    pub(crate) fn copied(&self) -> Self {
        Self {
            watched: AtomicBool::new(self.is_watched()),
            in_flight: AtomicU32::new(self.in_flight()),
            latency: self.latency.copied(),
            first_token: self.first_token.copied(),
            requests: self.requests.copied(),
            tokens: self.tokens.copied(),
        }
    }

    /// From now on latencies and rate limits are kept. A route whose strategy needs them calls it.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// Whether anybody wants to know latencies and rate limits.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Attempts that were handed out and have not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The median time to a whole answer, of at most 16 answers of the last minute; `None` where there were none.
    pub fn latency(&self, now: Monotonic) -> Option<Duration> {
        self.latency.median(now)
    }

    /// The median time to the first content of a streamed answer, likewise.
    pub fn first_token(&self, now: Monotonic) -> Option<Duration> {
        self.first_token.median(now)
    }

    /// What is left of the rate limits after a request of so many tokens, in millionths of the limit that has least
    /// left; 0 where the request does not fit, `None` where the provider has told of no limit lately.
    pub fn headroom(&self, tokens: u64, now: Monotonic) -> Option<u32> {
        let (requests, tokens) = (self.requests.left_after(1, now), self.tokens.left_after(tokens, now));
        requests.into_iter().chain(tokens).min()
    }

    /// Takes note of what an answer told of rate limits.
    pub fn told(&self, limits: &RateLimits, now: Monotonic) {
        for (allowance, told) in [(&self.requests, limits.requests), (&self.tokens, limits.tokens)] {
            if let Some(limit) = told.filter(|_| self.is_watched()) {
                allowance.told(limit, now);
            }
        }
    }

    pub(crate) fn entered(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn left(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request of so many tokens is about to be sent.
    pub(crate) fn takes(&self, tokens: u64) {
        if self.is_watched() {
            self.requests.take(1);
            self.tokens.take(tokens);
        }
    }

    pub(crate) fn began(&self, after: Duration, now: Monotonic) {
        if self.is_watched() {
            self.first_token.note(after, now);
        }
    }

    pub(crate) fn answered(&self, after: Duration, now: Monotonic) {
        if self.is_watched() {
            self.latency.note(after, now);
        }
    }
}
