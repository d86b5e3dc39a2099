//! From intent to end: the types that make an unreserved dispatch or an unsettled attempt hard to
//! write.
//!
//! An [`Intent`] exists only once its reservation is committed. It alone can be dispatched, which
//! makes it [`InFlight`]; that ends exactly once, also when it is dropped: because the client has
//! left, or because something panicked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::HeaderMap;
use weighbridge_access::AttemptClaim;
use weighbridge_ledger::{EndFacts, Name, Reservation};
use weighbridge_records::{AttemptRecord, CountsDiffer};
use weighbridge_routing::{FailureCause, Pick, RateLimits};
use weighbridge_stream::Facts;
use weighbridge_units::failpoint::reach;
use weighbridge_units::{
    AttemptId, AttemptOutcome, ErrorClass, Failpoint, Monotonic, NanoUsd, Provenance, Timestamp,
};

use crate::aside::Aside;
use crate::compiled::Deployment;
use crate::exchange::Exchange;
use crate::jobs::settle_soon;
use crate::metering::{Meter, Metered, Worst};
use crate::own_keys::{OwnKey, Used};
use crate::pace::Pace;

/// An attempt whose reservation is committed and which has not been sent.
///
/// It travels in a box: it is moved from stage to stage, and the connection holds the room that the largest
/// stage takes for as long as a stream runs.
#[must_use = "an intent is dispatched, or its reservation is entered as crashed"]
pub(crate) struct Intent {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) pick: Pick,
    /// Whose credential it is sent with.
    pub(crate) used: Used,
    pub(crate) meter: Meter,
    pub(crate) worst: Worst,
    /// What the attempt holds of limits beside its request; given back if it is not dispatched.
    pub(crate) claim: AttemptClaim,
    pub(crate) reservation: Reservation,
    pub(crate) exchange: Box<Exchange>,
}

impl Intent {
    /// From here on the provider may be working.
    pub(crate) fn dispatch(self: Box<Self>) -> InFlight {
        let started = self.exchange.now();
        self.exchange.draft.presence.at_provider(true);
        let pace = Pace::default();
        InFlight(Some(Sent { intent: self, started, first_byte: None, status: None, pace, unsent: false }))
    }
}

/// An attempt that may be costing money.
#[must_use = "an attempt in flight is ended with what is known of it"]
pub(crate) struct InFlight(Option<Sent>);

struct Sent {
    intent: Box<Intent>,
    started: Monotonic,
    first_byte: Option<Monotonic>,
    status: Option<u16>,
    pace: Pace,
    /// It still waits for a credential: the provider has got nothing of it.
    unsent: bool,
}

/// How an attempt went, as far as it is not in the facts of its answer.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) error: Option<ErrorClass>,
    /// The provider said that it would not serve the request, or never got it: where nothing else
    /// was told, nothing was used, and that is no guess.
    pub(crate) refused: bool,
}

impl Ending {
    pub(crate) const SUCCESS: Self = Self::of(AttemptOutcome::Success);
    const CLIENT_LEFT: Self = Self::of(AttemptOutcome::ClientLeft);

    pub(crate) const fn of(outcome: AttemptOutcome) -> Self {
        Self { outcome, error: None, refused: false }
    }

    /// It failed, and the provider may have worked on it.
    pub(crate) const fn failed(outcome: AttemptOutcome, error: ErrorClass) -> Self {
        Self { outcome, error: Some(error), refused: false }
    }

    /// The provider did not work on it.
    pub(crate) const fn refused(error: ErrorClass) -> Self {
        Self { outcome: AttemptOutcome::FailedBeforeOutput, error: Some(error), refused: true }
    }
}

impl InFlight {
    /// Notes the head of the answer.
    pub(crate) fn head_came(&mut self, status: u16) {
        if let Some(sent) = &mut self.0 {
            sent.first_byte = Some(sent.intent.exchange.now());
            sent.status = Some(status);
        }
    }

    /// Takes note of what the head tells of the limits of the account behind the credential.
    pub(crate) fn told_limits(&self, headers: &HeaderMap) {
        let Some(Sent { intent, .. }) = self.0.as_ref().filter(|sent| !sent.intent.exchange.draft.is_copy())
        else {
            return;
        };
        if !headers.keys().any(|name| RateLimits::are_told_in(name.as_str())) {
            return;
        }
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let limits = RateLimits::read(header, intent.exchange.wall());
        intent.pick.told(&limits, intent.exchange.now());
    }

    /// Notes that it still waits for what it is sent with, or does not any more.
    pub(crate) fn is_unsent(&mut self, unsent: bool) {
        if let Some(sent) = &mut self.0 {
            sent.unsent = unsent;
        }
    }

    /// The wall clock.
    pub(crate) fn wall(&self) -> Timestamp {
        self.0.as_ref().map_or_else(Timestamp::default, |sent| sent.intent.exchange.wall())
    }

    /// Content has come, so long after the dispatch: a target that was being probed is back, however long
    /// its answer takes, and no other attempt can follow.
    pub(crate) fn committed(&mut self, after: Duration, output_bytes: u64) {
        if let Some(Sent { intent, pace, .. }) = &mut self.0 {
            pace.note(after, output_bytes);
            intent.pick.began(intent.exchange.now());
            intent.exchange.forget_request();
        }
    }

    /// A further piece has come, with which there are so many bytes of content.
    pub(crate) fn piece_came(&mut self, after: Duration, output_bytes: u64) {
        if let Some(sent) = &mut self.0 {
            sent.pace.note(after, output_bytes);
        }
    }

    /// Ends an attempt before its commit point, and gives request and pick back for what comes next.
    pub(crate) fn end(mut self, ending: &Ending, facts: &Facts) -> Option<(Box<Exchange>, Pick)> {
        let Ended { exchange, pick, .. } = self.0.take()?.end(ending, facts);
        Some((exchange, pick))
    }

    /// Ends an attempt with a whole answer; its client may have left before the end.
    pub(crate) fn succeed(mut self, facts: &Facts) -> Option<Box<Exchange>> {
        let exchange = self.exchange()?;
        // Under an idempotency key, the answer is for whoever asks once more.
        let is_for_nobody = exchange.carried_out.is_none() && exchange.draft.presence.has_left();
        let ending = if is_for_nobody { Ending::CLIENT_LEFT } else { Ending::SUCCESS };
        let Ended { exchange, pick, at } = self.0.take()?.end(&ending, facts);
        if !exchange.draft.is_copy() {
            pick.succeeded(at);
        }
        if let Some(carried_out) = &exchange.carried_out {
            carried_out.succeeded();
        }
        Some(exchange)
    }

    /// Ends an attempt that failed after the commit point: health learns of it, nothing follows.
    pub(crate) fn fail(
        mut self,
        ending: &Ending,
        cause: &FailureCause,
        facts: &Facts,
    ) -> Option<Box<Exchange>> {
        let Ended { exchange, pick, at } = self.0.take()?.end(ending, facts);
        if !exchange.draft.is_copy() {
            pick.failed(cause, at);
        }
        Some(exchange)
    }

    /// Ends an attempt whose client has gone.
    pub(crate) fn abandon(self, facts: &Facts) {
        drop(self.end(&Ending::CLIENT_LEFT, facts));
    }

    /// Ends an attempt in whose way something panicked.
    pub(crate) fn crash(self, facts: &Facts) {
        drop(self.end(&Ending::of(AttemptOutcome::Crashed), facts));
    }

    /// The attempt's id.
    pub(crate) fn attempt(&self) -> Option<AttemptId> {
        self.0.as_ref().map(|sent| sent.intent.reservation.attempt())
    }

    /// The tenant's own key that was sent, if it was one.
    pub(crate) fn own_key(&self) -> Option<&OwnKey> {
        self.0.as_ref()?.intent.used.own()
    }

    /// Whether others run beside it, of which one answers.
    pub(crate) fn races(&self) -> bool {
        let aside = self.0.as_ref().and_then(|sent| sent.intent.exchange.draft.aside.as_ref());
        matches!(aside, Some(Aside::Racer { .. }))
    }

    /// It has won its race: from here on it is the attempt of the request itself.
    pub(crate) fn answers(&mut self, request: Box<Exchange>) {
        if let Some(sent) = &mut self.0 {
            let racer = std::mem::replace(&mut sent.intent.exchange, request);
            sent.intent.exchange.take_over(racer);
        }
    }

    /// The request.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.0.as_mut().map(|sent| &mut *sent.intent.exchange)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(sent) = self.0.take() else { return };
        let outcome =
            if std::thread::panicking() { AttemptOutcome::Crashed } else { AttemptOutcome::ClientLeft };
        let ending = Ending { refused: sent.unsent, ..Ending::of(outcome) };
        drop(sent.end(&ending, &Facts::default()));
    }
}

/// What is left of an attempt.
struct Ended {
    exchange: Box<Exchange>,
    pick: Pick,
    at: Monotonic,
}

impl Sent {
    fn end(self, ending: &Ending, facts: &Facts) -> Ended {
        let Self { intent, started, first_byte, status, pace, unsent: _ } = self;
        let Intent { deployment, pick, used, meter, worst, claim, reservation, mut exchange } = *intent;
        let aside = exchange.draft.aside.as_ref();
        let outcome = aside.map_or(ending.outcome, |aside| aside.booked(ending.outcome));
        let attempt = reservation.attempt();
        let metered = meter.read(ending, facts, worst);
        let Metered { usage, provenance, exact, cost, price, .. } = metered;
        let charged = if outcome.tenant_pays() { price } else { NanoUsd::ZERO };
        reach(Failpoint::Metered);
        reservation.end(EndFacts {
            at: exchange.wall(),
            outcome,
            usage,
            provenance,
            price,
            cost,
            exact,
            reason: absorbed_reason(outcome),
        });
        reach(Failpoint::HandedOver);
        let now = exchange.now();
        claim.settle(usage.total(), cost, charged, now);
        if exchange.core().ledger.wants_flush() {
            settle_soon(&exchange.draft.core);
        }

        exchange.draft.presence.at_provider(false);
        let protocol = deployment.address(exchange.client).protocol;
        let draft = &mut exchange.draft;
        let mut record = AttemptRecord::new(
            attempt,
            deployment.provider.name.clone(),
            deployment.model.clone(),
            protocol,
            draft.offset(started),
        );
        record.outcome = outcome;
        record.status = status;
        record.error = ending.error;
        meter.enter(&metered, charged, &mut record);
        record.own_key = used.own().and_then(OwnKey::id).map(|id| id.to_string().into());
        if outcome == AttemptOutcome::Success && provenance == Provenance::Reported {
            record.counts_differ = meter.differing(&usage, facts, exchange.envelope.stream);
        }
        if let Some(CountsDiffer { side, told, estimated }) = record.counts_differ {
            draft.core.count_alarms.fetch_add(1, Ordering::Relaxed);
            let side = side.as_str();
            tracing::warn!(%attempt, side, told, estimated, "a provider's count of tokens is far from ours");
        }
        record.first_byte_us = first_byte.map(|at| draft.offset(at));
        record.first_token_us = pace.first().map(|after| draft.offset(started + after));
        record.token_gaps = pace.gaps();
        record.ended_us = draft.offset(now);
        // Most requests have one attempt; else there would be room for four, for as long as the record is kept.
        draft.record.attempts.reserve_exact(1);
        draft.record.attempts.push(record);
        draft.record.losses.extend(facts.losses.iter().cloned());
        if draft.record.status == 0 {
            // The client was still waiting for a head: that time was the provider's.
            draft.waited += now.since(started);
        }
        Ended { exchange, pick, at: now }
    }
}

/// The account that bears a cost which the tenant does not pay: `absorbed:<reason>`.
pub(crate) fn absorbed_reason(outcome: AttemptOutcome) -> Name {
    // Hashed once, not for each request.
    static MID_STREAM: LazyLock<Name> = LazyLock::new(|| Name::new("mid-stream"));
    static FAILED: LazyLock<Name> = LazyLock::new(|| Name::new("failed"));
    match outcome {
        AttemptOutcome::FailedMidStream => MID_STREAM.clone(),
        _ => FAILED.clone(),
    }
}
