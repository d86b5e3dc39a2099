//! One admitted request, from admission to its record.
//!
//! The exchange travels: from stage to stage, into each attempt and back, and at last into the body
//! of a stream. Wherever it is dropped, its record is written, what it took of the key's tokens per
//! minute is trued up, and its place is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use weighbridge_access::{Admission, LossPolicy, Principal};
use weighbridge_protocol::{Body, Envelope};
use weighbridge_routing::Labels;
use weighbridge_translate::{FetchedMedia, StreamForm, openai_chat};
use weighbridge_units::{Monotonic, NanoUsd, Protocol, RequestId, Timestamp};

use crate::compiled::Deployment;
use crate::conversation::Conversation;
use crate::draft::Draft;
use crate::idempotency::CarriedOut;
use crate::pipeline::Core;
use crate::resume::Resumption;
use crate::settings::Timeouts;
use crate::vectors::Vectors;

/// An attempt that has less time than this left does not begin: it would hardly be connected.
const CONNECTS_WITHIN: Duration = Duration::from_millis(100);

/// One admitted request.
pub(crate) struct Exchange {
    pub(crate) draft: Draft,
    pub(crate) principal: Arc<Principal>,
    pub(crate) client: Protocol,
    /// How the client wants a stream framed.
    pub(crate) form: StreamForm,
    pub(crate) client_headers: HeaderMap,
    pub(crate) envelope: Envelope,
    /// What is asked for, where that is vectors.
    pub(crate) vectors: Option<Box<Vectors>>,
    /// What it has to do with kept answers, where it is of OpenAI Responses.
    pub(crate) conversation: Option<Box<Conversation>>,
    pub(crate) body: Body,
    /// What was fetched of the media that the body names by address.
    pub(crate) media: Vec<FetchedMedia>,
    pub(crate) loss_policy: LossPolicy,
    /// When its client waits no longer, where it said so.
    pub(crate) deadline: Option<Monotonic>,
    /// Labels that whoever serves it must have.
    pub(crate) demands: Vec<Labels>,
    /// What its idempotency key stands for.
    pub(crate) carried_out: Option<Arc<CarriedOut>>,
    /// What is needed to continue its stream where that breaks off, until that is done.
    pub(crate) resumption: Option<Arc<Resumption>>,
    /// Its next attempt continues a stream.
    pub(crate) goes_on: bool,
    /// The client takes trailers.
    pub(crate) wants_trailers: bool,
    /// Where the latest attempt went.
    pub(crate) deployment: Option<Arc<Deployment>>,
    /// What the request holds of its key's limits, until it ends.
    pub(crate) admission: Option<Admission>,
    /// Its place among those that run at once, given back with it.
    pub(crate) _place: Option<Place>,
}

impl Exchange {
    pub(crate) fn core(&self) -> &Core {
        &self.draft.core
    }

    pub(crate) fn id(&self) -> &RequestId {
        &self.draft.record.id
    }

    /// Whether the client asked with `functions`, and expects calls in that form.
    pub(crate) fn legacy_functions(&self) -> bool {
        self.client == Protocol::OpenAiChat && openai_chat::asks_with_functions(self.body.root())
    }

    /// When the request arrived, by the wall clock.
    pub(crate) fn arrived(&self) -> Timestamp {
        self.draft.record.at
    }

    /// The monotonic clock.
    pub(crate) fn now(&self) -> Monotonic {
        self.core().env.monotonic()
    }

    /// The wall clock.
    pub(crate) fn wall(&self) -> Timestamp {
        self.core().env.now()
    }

    /// Bounds on an attempt that begins now: none goes beyond the client's own.
    pub(crate) fn within(&self, mut bounds: Timeouts) -> Timeouts {
        if let Some(deadline) = self.deadline {
            let left = deadline.since(self.now());
            bounds.total = bounds.total.min(left);
        }
        bounds
    }

    /// Whether there is time for another attempt: to connect at least, which takes a good one less than this.
    pub(crate) fn has_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| deadline.since(self.now()) >= CONNECTS_WITHIN)
    }

    /// Lets go of what only another attempt would need: a stream may run for an hour, and its request
    /// would hold the buffers that it was read into.
    pub(crate) fn forget_request(&mut self) {
        if self.resumption.is_some() {
            return;
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.settle(&self.body);
        }
        self.body = Body::default();
        self.media = Vec::new();
        self.client_headers = HeaderMap::new();
    }

    /// What the tenant has been charged so far.
    pub(crate) fn charged(&self) -> NanoUsd {
        self.draft.record.charged()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.gather();
        let now = self.now();
        self.draft.ended = Some(now);
        let Some(admission) = self.admission.take() else { return };
        let attempts = &self.draft.record.attempts;
        if attempts.is_empty() {
            // Nothing was sent: refused requests consume nothing of the limits (rule R8).
            admission.refund(now);
        } else {
            let tokens = attempts.iter().map(|attempt| attempt.usage.total());
            admission.true_up(tokens.fold(0, u64::saturating_add), now);
        }
    }
}

/// A request's place among those that the gateway takes at once; given back when dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes a place, if fewer than `most` are taken.
    pub(crate) fn take(places: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(Arc::clone(places));
        // The place counts while it is asked about: at the limit, dropping it gives it back.
        (place.0.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_places_are_given_back_once() {
        let places = Arc::new(AtomicUsize::new(0));
        let first = Place::take(&places, 1);
        assert!(first.is_some());
        assert!(Place::take(&places, 1).is_none());
        drop(first);
        assert!(Place::take(&places, 1).is_some());
        assert_eq!(places.load(Ordering::Acquire), 0);
    }
}
