use std::fmt;
use std::sync::Arc;

use weighbridge_units::{AttemptId, NanoUsd, Timestamp};

use crate::permit::Permits;
use crate::{Drained, End, EndFacts, LedgerError, LedgerStore, Permit, Refusal, Reserve};

/// The front that applications use: reserving gives a guard, and the guard sees to the end.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn LedgerStore>,
    permits: Permits,
    max_open: usize,
}

impl Ledger {
    /// Over a store, with at most `max_open` attempts open at once.
    pub fn new(store: Arc<dyn LedgerStore>, max_open: usize) -> Self {
        Self { store, permits: Permits::new(max_open), max_open }
    }

    /// The store, for everything but reserving and ending.
    pub fn store(&self) -> &Arc<dyn LedgerStore> {
        &self.store
    }

    /// Commits an attempt's intent with its reservation. Only then may it be dispatched.
    ///
    /// Dropping the future is safe at any point: what it may have reserved is released.
    ///
    /// # Errors
    /// [`LedgerError::Full`] where too many attempts are open, [`LedgerError::Refused`] by a budget,
    /// [`LedgerError::Unavailable`] where the store cannot be written. None of them leaves money reserved.
    pub async fn reserve(&self, reserve: Reserve) -> Result<Reservation, LedgerError> {
        let permit = self.permits.take().ok_or(LedgerError::Full { open: self.max_open })?;
        let mut reservation = Reservation {
            attempt: reserve.attempt,
            at: reserve.at,
            amount: reserve.amount,
            estimate: reserve.estimate,
            committed: false,
            store: Arc::clone(&self.store),
            permit: Some(permit),
        };
        match self.store.reserve(reserve).await {
            Ok(()) => {
                reservation.committed = true;
                Ok(reservation)
            }
            Err(error) => {
                // A refusal left nothing behind. A conflict must not end the attempt that it met.
                if matches!(error, LedgerError::Refused(_)) {
                    reservation.permit = None;
                }
                Err(error)
            }
        }
    }

    /// Whether ends that were handed over wait to be flushed, or to be carried along by a reservation.
    pub fn wants_flush(&self) -> bool {
        self.store.wants_flush()
    }

    /// Commits the ends that were handed over; call it when an answer's last byte is on its way.
    pub fn flush(&self) {
        self.store.flush();
    }

    /// How many attempts are open, or ended but not committed.
    pub fn outstanding(&self) -> usize {
        self.permits.taken()
    }

    /// Ready when no attempt is open and every end is committed: what shutting down waits for.
    pub fn drained(&self) -> Drained {
        self.permits.drained()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}

/// A committed intent: the right to dispatch one attempt, and the duty to end it.
///
/// Dropping it enters the attempt as crashed: the tenant pays nothing, and the provider's side is an
/// estimate. So a panic, too, ends its attempt.
#[must_use = "dropping a reservation enters its attempt as crashed: end it, or void it"]
pub struct Reservation {
    attempt: AttemptId,
    at: Timestamp,
    amount: NanoUsd,
    estimate: NanoUsd,
    committed: bool,
    store: Arc<dyn LedgerStore>,
    permit: Option<Permit>,
}

impl Reservation {
    /// The attempt.
    pub const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// What is reserved.
    pub const fn amount(&self) -> NanoUsd {
        self.amount
    }

    /// Ends the attempt. The end is committed with the next flush or reservation.
    pub fn end(mut self, facts: EndFacts) {
        self.hand_over(facts);
    }

    /// Ends an attempt that was certainly not dispatched, or never reached the provider.
    pub fn void(mut self, at: Timestamp) {
        self.hand_over(EndFacts::not_dispatched(at));
    }

    fn hand_over(&mut self, facts: EndFacts) {
        if let Some(permit) = self.permit.take() {
            self.store.hand_over(End { attempt: self.attempt, facts }, permit);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.permit.is_none() {
            return;
        }
        // There is no clock here: the end is entered under the time of the reservation.
        let facts = match self.committed {
            true => EndFacts::crashed(self.at, self.estimate),
            false => EndFacts::not_dispatched(self.at),
        };
        self.hand_over(facts);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({}, {} USD)", self.attempt, self.amount)
    }
}

/// A refusal by name, so that callers need not look into the error twice.
impl LedgerError {
    /// The refusal, if it is one.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }
}
