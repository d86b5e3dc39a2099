use std::fmt;
use std::sync::Arc;

use weighbridge_units::Monotonic;

use crate::failure::FailureCause;
use crate::route::Target;
use crate::target_set::TargetIndex;

/// A target that a [`Plan`](crate::Plan) handed out, with one of its provider's credentials.
///
/// It outlives the plan: what becomes of a stream is reported when the stream ends. Dropping it
/// reports nothing, which is right where the client left.
#[must_use = "report how the attempt went, or health never learns of it"]
pub struct Pick {
    target: Arc<Target>,
    index: TargetIndex,
    key: usize,
    started: Monotonic,
    probe: bool,
}

impl Pick {
    pub(crate) fn new(
        target: Arc<Target>,
        index: TargetIndex,
        key: usize,
        probe: bool,
        now: Monotonic,
    ) -> Self {
        Self { target, index, key, started: now, probe }
    }

    /// The target's place in its route.
    pub fn target(&self) -> TargetIndex {
        self.index
    }

    /// The credential's place in its provider's list.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Whether this request finds out if a benched target is back.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The answer has begun, which is all that a probe has to find out: others need not wait for the
    /// end of a long stream. Without effect where this is no probe.
    pub fn began(&mut self, now: Monotonic) {
        if std::mem::take(&mut self.probe) {
            self.target.health().succeeded(self.started, now);
            self.target.health().release_probe();
        }
    }

    /// The answer was whole.
    pub fn succeeded(self, now: Monotonic) {
        self.target.health().succeeded(self.started, now);
        self.target.keys().accepted(self.key);
    }

    /// The attempt failed. Before the commit point, [`Plan::failed`](crate::Plan::failed) does this
    /// and tells what may follow; after it, nothing may.
    pub fn failed(self, cause: &FailureCause, now: Monotonic) {
        if cause.blames_key() {
            self.target.keys().refused(self.key, now);
        }
        self.target.health().failed(cause, self.started, self.probe, now);
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        if self.probe {
            self.target.health().release_probe();
        }
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probe = if self.probe { ", probe" } else { "" };
        write!(f, "Pick({}, key {}{probe})", self.target.name(), self.key)
    }
}
