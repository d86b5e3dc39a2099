//! Attempts beside a request: those of a race, of which one answers, and copies, which answer nobody.
//!
//! An attempt owns its request until it ends. Where several run at once, each owns one that was set aside for it,
//! and the request itself waits for the winner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use weighbridge_access::Admission;
use weighbridge_records::{AttemptRecord, RequestRecord};
use weighbridge_units::{AttemptId, AttemptOutcome, RequestId};

use crate::departure::Presence;
use crate::draft::Draft;
use crate::exchange::{Exchange, Place};

/// What a request is beside another.
#[derive(Clone)]
pub(crate) enum Aside {
    /// One of several attempts at the same answer. What becomes of it joins the record of the request.
    Racer { race: Arc<Race>, lost: Arc<AtomicBool> },
    /// A copy: nobody pays for it, nobody gets its answer, and nobody's health depends on it.
    Copy,
}

/// What has ended of a race.
#[derive(Default)]
pub(crate) struct Race(Mutex<Vec<AttemptRecord>>);

impl Race {
    pub(crate) fn ended(&self, attempts: Vec<AttemptRecord>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(attempts);
    }

    fn take(&self) -> Vec<AttemptRecord> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Aside {
    /// How an attempt is booked that has ended so: who has lost a race did not lose its client, and a copy is one
    /// however it ended.
    pub(crate) fn booked(&self, outcome: AttemptOutcome) -> AttemptOutcome {
        match (self, outcome) {
            (Self::Racer { lost, .. }, AttemptOutcome::ClientLeft) if lost.load(Ordering::Acquire) => {
                AttemptOutcome::LostHedge
            }
            (Self::Copy, AttemptOutcome::Crashed) | (Self::Racer { .. }, _) => outcome,
            (Self::Copy, _) => AttemptOutcome::Shadow,
        }
    }
}

impl Exchange {
    /// The request set aside for one attempt of a race.
    pub(crate) fn racer(&self, race: &Arc<Race>, lost: &Arc<AtomicBool>) -> Box<Self> {
        let aside = Aside::Racer { race: Arc::clone(race), lost: Arc::clone(lost) };
        let mut racer = self.set_aside(self.id().clone(), aside);
        racer.draft.record.losses = self.draft.record.losses.clone();
        racer.draft.started = self.draft.started;
        racer.resumption.clone_from(&self.resumption);
        racer
    }

    /// A copy of the request, with a record and a place of its own.
    pub(crate) fn copy(&self, place: Place) -> Box<Self> {
        let id = RequestId::from_attempt(AttemptId::new(self.wall(), self.core().env.random_wide()));
        let mut copy = self.set_aside(id, Aside::Copy);
        let (record, original) = (&mut copy.draft.record, &self.draft.record);
        record.copy_of = Some(original.id.clone());
        record.caller.clone_from(&original.caller);
        record.model.clone_from(&original.model);
        (record.stream, record.tags) = (original.stream, original.tags.clone());
        let tokens = weighbridge_tokens::estimate(self.body.bytes().len() as u64);
        copy.admission = Some(Admission::of_nobody(&self.principal, self.now(), tokens));
        copy._place = Some(place);
        copy
    }

    fn set_aside(&self, id: RequestId, aside: Aside) -> Box<Self> {
        let draft = Draft {
            core: Arc::clone(&self.draft.core),
            record: RequestRecord::new(id, self.arrived(), self.client),
            started: self.now(),
            waited: std::time::Duration::ZERO,
            presence: Presence::default(),
            aside: Some(aside),
            ended: None,
            race: None,
        };
        Box::new(Self {
            draft,
            principal: Arc::clone(&self.principal),
            client: self.client,
            form: self.form,
            client_headers: self.client_headers.clone(),
            envelope: self.envelope.clone(),
            vectors: self.vectors.clone(),
            conversation: None,
            body: self.body.clone(),
            media: self.media.clone(),
            loss_policy: self.loss_policy,
            demands: self.demands.clone(),
            deadline: self.deadline,
            carried_out: None,
            resumption: None,
            goes_on: false,
            wants_trailers: false,
            deployment: self.deployment.clone(),
            admission: None,
            _place: None,
        })
    }

    /// Whether its attempts may race, or be copied: what is kept of an answer, or claimed for it, is so once.
    pub(crate) fn may_be_set_aside(&self) -> bool {
        self.conversation.is_none() && self.carried_out.is_none()
    }

    /// Takes note of what has ended of its race, in the order in which it was sent.
    pub(crate) fn gather(&mut self) {
        let Some(race) = &self.draft.race else { return };
        let attempts = &mut self.draft.record.attempts;
        attempts.extend(race.take());
        attempts.sort_by_key(|attempt| attempt.started_us);
    }

    /// Goes on with what the winner of its race had of it.
    pub(crate) fn take_over(&mut self, mut winner: Box<Self>) {
        self.gather();
        self.deployment = winner.deployment.take();
        self.draft.record.losses = std::mem::take(&mut winner.draft.record.losses);
    }
}
