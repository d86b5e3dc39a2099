use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use weighbridge_units::Monotonic;

use crate::{RateCell, Standing, Take, VirtualKey};

/// Which limit is meant. The names are those of `x-gateway-limit-kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests per minute.
    Rpm,
    /// Tokens per minute.
    Tpm,
}

impl LimitKind {
    /// The name in headers, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Tpm => "tpm",
        }
    }
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A limit has no room. Nothing was taken from any limit (rule R8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the key's limit of {limit} {what} per minute has room for {remaining} and this request needs {needed}: {advice}",
    what = match self.kind { LimitKind::Rpm => "requests", LimitKind::Tpm => "tokens" },
    advice = if self.can_never_pass() { "make it smaller or ask for a higher limit" } else { "wait and try again" }
)]
pub struct LimitRefusal {
    /// Which limit.
    pub kind: LimitKind,
    /// When it is worth trying again.
    pub retry_after: Duration,
    /// Units per minute.
    pub limit: u64,
    /// Units that were left.
    pub remaining: u64,
    /// Units that the request needs.
    pub needed: u64,
}

impl LimitRefusal {
    /// Whether the request needs more than the limit ever holds, so that waiting does not help.
    pub const fn can_never_pass(&self) -> bool {
        self.needed > self.limit
    }
}

/// A virtual key as the request path uses it: its definition and the cells that its limits count in.
#[derive(Debug)]
pub struct Principal {
    key: Arc<VirtualKey>,
    rpm: Option<Arc<RateCell>>,
    tpm: Option<Arc<RateCell>>,
}

impl Principal {
    /// Compiles a key. The cells of its former self, if any, are kept where a limit is unchanged and
    /// carried over where it changed.
    pub(crate) fn new(key: Arc<VirtualKey>, former: Option<&Self>) -> Self {
        let rpm = cell(key.limits.rpm, former.and_then(|p| p.rpm.as_ref()));
        let tpm = cell(key.limits.tpm, former.and_then(|p| p.tpm.as_ref()));
        Self { key, rpm, tpm }
    }

    /// The key's definition.
    pub const fn key(&self) -> &Arc<VirtualKey> {
        &self.key
    }

    /// Whether the key may use a model, by the name that the client sent.
    pub fn may_use(&self, model: &str) -> bool {
        self.key.models.allows(model)
    }

    /// Takes one request and an estimate of its tokens, in this order; all or nothing.
    ///
    /// # Errors
    /// [`LimitRefusal`] by the first limit without room; nothing is taken then.
    pub fn admit(self: &Arc<Self>, now: Monotonic, tokens: u64) -> Result<Admission, LimitRefusal> {
        let refusal = |kind, cell: &RateCell, needed, retry_after| {
            let Standing { limit, remaining, .. } = cell.standing(now);
            LimitRefusal { kind, retry_after, limit, remaining, needed }
        };
        // Built before the second limit is asked: if that refuses, dropping it gives the request back.
        let mut admission = Admission {
            principal: Arc::clone(self),
            at: now,
            request: None,
            tokens: None,
            estimate: tokens,
            dispatched: false,
        };
        if let Some(cell) = &self.rpm {
            let take = cell.take(1, now).map_err(|wait| refusal(LimitKind::Rpm, cell, 1, wait))?;
            admission.request = Some(take);
        }
        if let Some(cell) = &self.tpm {
            let take = cell.take(tokens, now).map_err(|wait| refusal(LimitKind::Tpm, cell, tokens, wait))?;
            admission.tokens = Some(take);
        }
        Ok(admission)
    }

    /// How the limit of requests per minute stands; `None` without such a limit.
    pub fn requests(&self, now: Monotonic) -> Option<Standing> {
        self.rpm.as_ref().map(|cell| cell.standing(now))
    }

    /// How the limit of tokens per minute stands; `None` without such a limit.
    pub fn tokens(&self, now: Monotonic) -> Option<Standing> {
        self.tpm.as_ref().map(|cell| cell.standing(now))
    }
}

fn cell(limit: Option<u64>, former: Option<&Arc<RateCell>>) -> Option<Arc<RateCell>> {
    let limit = limit?;
    Some(match former {
        Some(cell) if cell.per_minute() == limit => Arc::clone(cell),
        Some(cell) => Arc::new(cell.with_limit(limit)),
        None => Arc::new(RateCell::new(limit)),
    })
}

/// A place in a key's limits, from admission to the request's end (rule R8).
///
/// Dropped before [`Admission::dispatched`], it gives back all that it took: the request was refused
/// later on, failed, or panicked before anything was sent. Afterwards the request counts, and the
/// estimate of its tokens counts until [`Admission::true_up`] replaces it by the truth.
#[derive(Debug)]
#[must_use = "dropping an admission gives its place back"]
pub struct Admission {
    principal: Arc<Principal>,
    at: Monotonic,
    request: Option<Take>,
    tokens: Option<Take>,
    /// The tokens that were taken.
    estimate: u64,
    dispatched: bool,
}

impl Admission {
    /// The key that was admitted.
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Takes more tokens than were known of at first, or nothing more.
    ///
    /// # Errors
    /// [`LimitRefusal`] where the limit has no room for all of them together. The request is then refused, and
    /// dropping this gives back what it had.
    pub fn take_more(&mut self, tokens: u64, now: Monotonic) -> Result<(), LimitRefusal> {
        let Some(cell) = &self.principal.tpm else { return Ok(()) };
        let had = self.tokens.as_ref();
        let take = cell.take_more(had, tokens, now).map_err(|retry_after| {
            let Standing { limit, remaining, .. } = cell.standing(now);
            // As if it had asked for all at once: what it has is given back.
            let (remaining, needed) =
                (remaining.saturating_add(self.estimate), tokens.saturating_add(self.estimate));
            LimitRefusal { kind: LimitKind::Tpm, retry_after, limit, remaining, needed }
        })?;
        self.estimate = self.estimate.saturating_add(tokens);
        self.tokens = Some(take);
        Ok(())
    }

    /// Says that something was sent to a provider: from here on the request counts, whatever happens.
    pub fn dispatched(&mut self) {
        self.dispatched = true;
    }

    /// Replaces the estimate by the tokens that were used: 0 where nothing was.
    pub fn true_up(mut self, tokens: u64, now: Monotonic) {
        self.dispatched = true;
        if let (Some(cell), Some(take)) = (&self.principal.tpm, self.tokens.take()) {
            cell.correct(take, tokens, now);
        }
    }

    /// Gives everything back, as dropping does before the dispatch, at a known time.
    pub fn refund(mut self, now: Monotonic) {
        self.give_back(now);
    }

    fn give_back(&mut self, now: Monotonic) {
        if let (Some(cell), Some(take)) = (&self.principal.tpm, self.tokens.take()) {
            cell.give_back(take, now);
        }
        if let (Some(cell), Some(take)) = (&self.principal.rpm, self.request.take()) {
            cell.give_back(take, now);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.dispatched {
            // No clock here: the time of the admission is the latest that is known.
            self.give_back(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyHash, Limits, TenantName};
    use proptest::prelude::*;
    use weighbridge_units::{KeyId, Timestamp};

    const NOW: Monotonic = Monotonic::from_micros(5_000_000);

    fn principal(rpm: Option<u64>, tpm: Option<u64>) -> Arc<Principal> {
        Arc::new(Principal::new(Arc::new(key(rpm, tpm)), None))
    }

    fn key(rpm: Option<u64>, tpm: Option<u64>) -> VirtualKey {
        let tenant = TenantName::new("t").unwrap();
        let hash = KeyHash::from_bytes([0; 32]);
        let mut key = VirtualKey::new(KeyId::from_bits(1), "k", tenant, hash, Timestamp::default());
        key.limits = Limits { rpm, tpm };
        key
    }

    fn left(principal: &Principal) -> (Option<u64>, Option<u64>) {
        (principal.requests(NOW).map(|s| s.remaining), principal.tokens(NOW).map(|s| s.remaining))
    }

    #[test]
    fn r8_a_refusal_by_tokens_gives_the_request_back() {
        let principal = principal(Some(10), Some(100));
        let refusal = principal.admit(NOW, 101).unwrap_err();
        assert_eq!((refusal.kind, refusal.needed, refusal.can_never_pass()), (LimitKind::Tpm, 101, true));
        assert_eq!(left(&principal), (Some(10), Some(100)));
    }

    #[test]
    fn r8_a_refusal_by_requests_takes_no_tokens() {
        let principal = principal(Some(1), Some(100));
        let _held = principal.admit(NOW, 10).unwrap();
        let refusal = principal.admit(NOW, 10).unwrap_err();
        assert_eq!(refusal.kind, LimitKind::Rpm);
        assert_eq!(refusal.retry_after, Duration::from_secs(60));
        assert_eq!(left(&principal), (Some(0), Some(90)));
        assert_eq!(
            refusal.to_string(),
            "the key's limit of 1 requests per minute has room for 0 and this request needs 1: wait and try again"
        );
    }

    #[test]
    fn r8_what_is_found_later_counts_as_if_it_had_been_known() {
        let principal = principal(Some(10), Some(100));
        let mut more = principal.admit(NOW, 10).unwrap();
        more.take_more(80, NOW).unwrap();
        assert_eq!(left(&principal), (Some(9), Some(10)));
        let refusal = more.take_more(20, NOW).unwrap_err();
        assert_eq!((refusal.kind, refusal.needed, refusal.remaining), (LimitKind::Tpm, 110, 100));
        assert!(refusal.can_never_pass());
        assert_eq!(left(&principal), (Some(9), Some(10)), "nothing more was taken");
        drop(more);
        assert_eq!(left(&principal), (Some(10), Some(100)), "dropped before the dispatch");
        let mut sent = principal.admit(NOW, 10).unwrap();
        sent.take_more(40, NOW).unwrap();
        sent.true_up(30, NOW);
        assert_eq!(left(&principal), (Some(9), Some(70)), "trued up");
        let free = self::principal(None, None);
        free.admit(NOW, 1).unwrap().take_more(u64::MAX, NOW).unwrap();
    }

    #[test]
    fn r8_a_place_is_released_once_on_every_way_out() {
        let principal = principal(Some(10), Some(100));
        drop(principal.admit(NOW, 10).unwrap());
        assert_eq!(left(&principal), (Some(10), Some(100)), "dropped before the dispatch");
        principal.admit(NOW, 10).unwrap().refund(NOW);
        assert_eq!(left(&principal), (Some(10), Some(100)), "refunded");
        principal.admit(NOW, 10).unwrap().true_up(25, NOW);
        assert_eq!(left(&principal), (Some(9), Some(75)), "trued up");
        let mut sent = principal.admit(NOW, 10).unwrap();
        sent.dispatched();
        drop(sent);
        assert_eq!(left(&principal), (Some(8), Some(65)), "dropped after the dispatch");
        principal.admit(NOW, 65).unwrap().true_up(0, NOW);
        assert_eq!(left(&principal), (Some(7), Some(65)), "nothing was used");
    }

    #[test]
    fn r8_a_panic_gives_the_place_back() {
        let principal = principal(Some(10), None);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = principal.admit(NOW, 1).unwrap();
            panic!("on the way");
        }));
        assert!(caught.is_err());
        assert_eq!(left(&principal), (Some(10), None));
    }

    #[test]
    fn without_limits_everything_is_admitted() {
        let principal = principal(None, None);
        principal.admit(NOW, u64::MAX).unwrap().true_up(u64::MAX, NOW);
        assert_eq!(left(&principal), (None, None));
    }

    #[test]
    fn limits_survive_a_change_of_the_key() {
        let old = principal(Some(10), Some(100));
        old.admit(NOW, 50).unwrap().true_up(50, NOW);
        let mut changed = key(Some(20), Some(100));
        changed.name = "renamed".to_owned();
        let new = Principal::new(Arc::new(changed), Some(&old));
        assert_eq!(left(&new), (Some(18), Some(50)));
    }

    #[test]
    fn r8_threads_share_a_limit_exactly() {
        let principal = principal(Some(500), Some(100_000));
        let admitted: usize = std::thread::scope(|scope| {
            let worker = || {
                let admit = |n| match principal.admit(NOW, 100) {
                    // Every third goes away before the dispatch.
                    Ok(admission) if n % 3 != 0 => {
                        admission.true_up(10, NOW);
                        true
                    }
                    _ => false,
                };
                (0..300).filter(|n| admit(*n)).count()
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let used = admitted as u64;
        assert!(used <= 500);
        assert_eq!(left(&principal), (Some(500 - used), Some(100_000 - 10 * used)));
    }

    proptest! {
        /// A sequence of admissions with every kind of end leaves exactly what was really used.
        #[test]
        fn r8_only_what_was_used_stays_taken(
            steps in proptest::collection::vec((0_u64..200, 0_u8..4, 0_u64..200), 0..80)
        ) {
            let principal = principal(Some(40), Some(4_000));
            let (mut requests, mut tokens, mut held) = (0_u64, 0_u64, Vec::new());
            for (estimate, end, truth) in steps {
                let (free_requests, free_tokens) = (40 - requests, 4_000_u64.saturating_sub(tokens));
                match principal.admit(NOW, estimate) {
                    Ok(admission) => match end {
                        0 => drop(admission),
                        1 => admission.refund(NOW),
                        2 => {
                            admission.true_up(truth, NOW);
                            (requests, tokens) = (requests + 1, tokens + truth);
                        }
                        _ => {
                            held.push(admission);
                            (requests, tokens) = (requests + 1, tokens + estimate);
                        }
                    },
                    Err(refusal) => {
                        let room = match refusal.kind { LimitKind::Rpm => free_requests, LimitKind::Tpm => free_tokens };
                        prop_assert_eq!(refusal.remaining, room);
                        prop_assert!(refusal.needed > room || tokens > 4_000);
                    }
                }
                prop_assert_eq!(left(&principal), (Some(40 - requests), Some(4_000_u64.saturating_sub(tokens))));
            }
            for admission in held {
                admission.refund(NOW);
            }
        }
    }
}
