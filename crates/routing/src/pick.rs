use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weighbridge_units::{ErrorClass, Monotonic};

use crate::failure::{FailureCause, TimeLimit};
use crate::keys::KeyPool;
use crate::rate_limits::RateLimits;
use crate::route::Target;
use crate::target_set::TargetIndex;

/// How long a credential rests at a limit of its own, where the provider does not say.
const REST: Duration = Duration::from_secs(1);

/// A target that a [`Plan`](crate::Plan) handed out, with one of its provider's credentials.
///
/// It outlives the plan: what becomes of a stream is reported when the stream ends. Dropping it
/// reports nothing, which is right where the client left.
#[must_use = "report how the attempt went, or health never learns of it"]
pub struct Pick {
    target: Arc<Target>,
    index: TargetIndex,
    key: usize,
    /// The pool that the credential is of, where that is not the target's.
    own: Option<Arc<KeyPool>>,
    started: Monotonic,
    probe: bool,
    /// Spreads the ends of cool-downs.
    random: u64,
    begun: bool,
}

impl Pick {
    pub(crate) fn new(
        target: Arc<Target>,
        index: TargetIndex,
        key: usize,
        own: Option<Arc<KeyPool>>,
        probe: bool,
        now: Monotonic,
    ) -> Self {
        target.observed().entered();
        Self { target, index, key, own, started: now, probe, random: 0, begun: false }
    }

    /// With the random number of the choice.
    pub(crate) fn drawn(self, random: u64) -> Self {
        let mut pick = self;
        pick.random = random;
        pick
    }

    /// The target's place in its route.
    pub fn target(&self) -> TargetIndex {
        self.index
    }

    /// The credential's place in its provider's list, or in the request's own.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Whether the credential is of a pool that the request brought along.
    pub fn is_own_key(&self) -> bool {
        self.own.is_some()
    }

    /// Whether a failure is one that another credential may not meet: also a limit, where the account behind the
    /// credential is another than that of the others.
    pub(crate) fn blames_key(&self, cause: &FailureCause) -> bool {
        let is_limit = cause.class() == Some(ErrorClass::RateLimit);
        cause.blames_key() || (is_limit && (self.is_own_key() || self.target.has_limits_per_key()))
    }

    /// The head of an answer told of the limits of the account behind the credential. Those of a request's own
    /// credential are another account's.
    pub fn told(&self, limits: &RateLimits, now: Monotonic) {
        if self.is_own_key() {
            return;
        }
        self.target.observed().told(limits, now);
        if let Some(time) = limits.exhausted_for() {
            self.target.exhausted(self.key, time, now);
        }
    }

    fn keys(&self) -> &KeyPool {
        self.own.as_deref().unwrap_or_else(|| self.target.keys())
    }

    /// Whether this request finds out if a benched target is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The content of an answer has begun. That is the time to the first token, and all that a probe has to find out:
    /// others need not wait for the end of a long stream.
    pub fn began(&mut self, now: Monotonic) {
        if !std::mem::replace(&mut self.begun, true) {
            self.target.observed().began(now.since(self.started), now);
        }
        if std::mem::take(&mut self.probe) {
            self.target.health().succeeded(self.started, now);
            self.target.health().release_probe();
        }
    }

    /// The answer was whole.
    pub fn succeeded(self, now: Monotonic) {
        self.target.health().succeeded(self.started, now);
        self.target.observed().answered(now.since(self.started), now);
        self.keys().accepted(self.key);
    }

    /// The attempt failed. Before the commit point, [`Plan::failed`](crate::Plan::failed) does this
    /// and tells what may follow; after it, nothing may.
    pub fn failed(self, cause: &FailureCause, now: Monotonic) {
        if cause.blames_key() {
            self.keys().refused(self.key, now);
        } else if self.blames_key(cause) {
            let time = cause.retry_after().unwrap_or(REST);
            match &self.own {
                // The limit is that of somebody's own account: it says nothing about the target for others.
                Some(own) => own.rests(self.key, time, now),
                None => self.target.limited(self.key, time, now),
            }
            return;
        }
        if matches!(cause, FailureCause::TimedOut(limit) if *limit != TimeLimit::Total) {
            // It would have taken even longer.
            self.target.observed().answered(now.since(self.started), now);
        }
        self.target.health().failed_at(cause, self.started, self.probe, now, self.random);
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.target.observed().left();
        if self.probe {
            self.target.health().release_probe();
        }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probe = if self.probe { ", probe" } else { "" };
        let own = if self.is_own_key() { "own " } else { "" };
        write!(f, "Pick({}, {own}key {}{probe})", self.target.name(), self.key)
    }
}
