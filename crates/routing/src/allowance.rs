use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

use crate::rate_limits::Limit;

/// How long what a provider told is believed at least, and the period of a limit that did not tell its own.
const PERIOD: Duration = Duration::from_secs(60);

/// What is left of a provider's rate limit: as it was last told, filling up until its reset, less what was sent since.
///
/// Advice, not a count: other instances use the same account, and several credentials of one target may have limits of
/// their own, of which the latest word counts.
#[derive(Default)]
pub(crate) struct Allowance {
    /// 0 where nothing was ever told.
    limit: AtomicU64,
    remaining: AtomicU64,
    told_at: AtomicU64,
    full_at: AtomicU64,
    taken: AtomicU64,
}

impl Allowance {
    pub(crate) fn copied(&self) -> Self {
        let copied = |from: &AtomicU64| AtomicU64::new(from.load(Ordering::Relaxed));
        Self {
            limit: copied(&self.limit),
            remaining: copied(&self.remaining),
            told_at: copied(&self.told_at),
            full_at: copied(&self.full_at),
            taken: copied(&self.taken),
        }
    }

    pub(crate) fn told(&self, told: Limit, now: Monotonic) {
        let known = told.limit.unwrap_or_else(|| self.limit.load(Ordering::Relaxed));
        let full = now + told.reset.unwrap_or(PERIOD);
        self.taken.store(0, Ordering::Relaxed);
        self.remaining.store(told.remaining, Ordering::Relaxed);
        self.told_at.store(now.as_micros(), Ordering::Relaxed);
        self.full_at.store(full.as_micros(), Ordering::Relaxed);
        self.limit.store(known.max(told.remaining).max(1), Ordering::Relaxed);
    }

    pub(crate) fn take(&self, amount: u64) {
        // Wraps after more than anybody ever takes between two answers.
        self.taken.fetch_add(amount, Ordering::Relaxed);
    }

    /// What is left once `amount` is taken, in millionths of the limit; 0 where it does not fit.
    pub(crate) fn left_after(&self, amount: u64, now: Monotonic) -> Option<u32> {
        let limit = self.limit.load(Ordering::Relaxed);
        let [told_at, full_at] =
            [&self.told_at, &self.full_at].map(|at| Monotonic::from_micros(at.load(Ordering::Relaxed)));
        if limit == 0 || now > full_at.max(told_at + PERIOD) {
            return None;
        }
        let remaining = self.remaining.load(Ordering::Relaxed).min(limit);
        let (gone, whole) = (now.since(told_at).as_micros(), full_at.since(told_at).as_micros());
        let filled = u128::from(limit - remaining) * gone.min(whole) / whole.max(1);
        let filled = if whole == 0 { limit - remaining } else { u64::try_from(filled).unwrap_or(u64::MAX) };
        let spent = self.taken.load(Ordering::Relaxed).saturating_add(amount);
        let left = remaining.saturating_add(filled).saturating_sub(spent);
        u32::try_from(u128::from(left) * 1_000_000 / u128::from(limit)).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Monotonic = Monotonic::from_micros(5_000_000_000);

    fn limit(limit: Option<u64>, remaining: u64, reset: Option<u64>) -> Limit {
        Limit { limit, remaining, reset: reset.map(Duration::from_secs) }
    }

    #[test]
    fn it_fills_up_until_its_reset_and_is_forgotten_at_last() {
        let allowance = Allowance::default();
        assert_eq!(allowance.left_after(0, START), None);
        allowance.told(limit(Some(100), 20, Some(40)), START);
        let left = |seconds| allowance.left_after(0, START + Duration::from_secs(seconds));
        assert_eq!(
            [0, 20, 40, 60, 61].map(left),
            [Some(200_000), Some(600_000), Some(1_000_000), Some(1_000_000), None]
        );
    }

    #[test]
    fn what_was_sent_since_is_gone() {
        let allowance = Allowance::default();
        allowance.told(limit(Some(100), 20, None), START);
        allowance.take(5);
        assert_eq!(allowance.left_after(10, START), Some(50_000));
        assert_eq!(allowance.left_after(16, START), Some(0));
        allowance.told(limit(None, 14, None), START);
        assert_eq!(allowance.left_after(0, START), Some(140_000), "the limit is known from before");
    }

    proptest! {
        #[test]
        fn nothing_overflows(
            known in any::<Option<u64>>(), remaining in any::<u64>(), reset in any::<Option<u64>>(),
            taken in any::<u64>(), amount in any::<u64>(), later in any::<u64>(),
        ) {
            let allowance = Allowance::default();
            allowance.told(limit(known, remaining, reset), START);
            allowance.take(taken);
            let left = allowance.left_after(amount, START + Duration::from_micros(later));
            prop_assert!(left.is_none_or(|left| left <= 1_000_000));
        }
    }
}
