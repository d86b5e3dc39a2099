//! The record of a request while it is being written. Wherever it is dropped, it is kept.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use weighbridge_records::RequestRecord;
use weighbridge_units::{Monotonic, Protocol};

use crate::aside::{Aside, Race};
use crate::departure::Presence;
use crate::pipeline::Core;
use crate::receive::request_id;

/// The status in the records of a request whose client left before there was an answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A record that is written to the log and shown to the observers when it is dropped.
pub(crate) struct Draft {
    pub(crate) core: Arc<Core>,
    pub(crate) record: RequestRecord,
    /// When the request arrived.
    pub(crate) started: Monotonic,
    /// Time in which a provider, not the gateway, kept the client waiting.
    pub(crate) waited: Duration,
    /// Whether the client is still there, where that is to be known.
    pub(crate) presence: Presence,
    /// What it is beside another request, if it is.
    pub(crate) aside: Option<Aside>,
    /// Where its attempts race.
    pub(crate) race: Option<Arc<Race>>,
    /// When it ended, if that is known already.
    pub(crate) ended: Option<Monotonic>,
}

impl Draft {
    /// A record of a request that has just arrived.
    pub(crate) fn new(core: &Arc<Core>, client: Protocol, headers: &HeaderMap) -> Self {
        let at = core.env.now();
        let record = RequestRecord::new(request_id(headers, at, &*core.env), at, client);
        let started = core.env.monotonic();
        Self {
            core: Arc::clone(core),
            record,
            started,
            waited: Duration::ZERO,
            presence: Presence::default(),
            aside: None,
            race: None,
            ended: None,
        }
    }

    /// Whether it is a copy of a request.
    pub(crate) const fn is_copy(&self) -> bool {
        matches!(self.aside, Some(Aside::Copy))
    }

    /// Notes what the client was answered with, and what it took us to get there; gives the time.
    pub(crate) fn answered(&mut self, status: u16) -> Monotonic {
        let now = self.core.env.monotonic();
        let elapsed = now.since(self.started);
        self.record.status = if self.presence.has_left() { CLIENT_CLOSED_REQUEST } else { status };
        self.record.overhead_us = micros(elapsed.saturating_sub(self.waited));
        now
    }

    /// Microseconds from the arrival of the request to `at`.
    pub(crate) fn offset(&self, at: Monotonic) -> u64 {
        micros(at.since(self.started))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(Aside::Racer { race, .. }) = &self.aside {
            race.ended(std::mem::take(&mut self.record.attempts));
            return;
        }
        if self.record.status == 0 {
            self.answered(CLIENT_CLOSED_REQUEST);
        }
        let ended = self.ended.unwrap_or_else(|| self.core.env.monotonic());
        self.record.total_us = self.offset(ended);
        let blank = RequestRecord::new(self.record.id.clone(), self.record.at, self.record.client_protocol);
        let record = Arc::new(std::mem::replace(&mut self.record, blank));
        // Metrics and access log are of what clients ask for.
        if !self.is_copy() {
            self.core.observers.iter().for_each(|observer| observer.ended(&record));
        }
        self.core.log.append(record);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
