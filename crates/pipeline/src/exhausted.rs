//! Budgets that are known to be used up: what certainly has no room in them is refused without asking the ledger.
//!
//! A client that goes on asking beyond its budget costs no commit then. Only what is posted counts here, since what
//! is reserved may come back at any moment; and it counts for a quarter of a second, since refunds and adjustments
//! lower it. Who is let through by this is asked by the ledger all the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weighbridge_ledger::{AccountId, Measure, Quantity};
use weighbridge_units::Monotonic;

use crate::budgets::Counting;
use crate::metering::Worst;

/// For how long a refusal of the ledger speaks for it.
const FRESH: Duration = Duration::from_millis(250);

/// Budgets that are remembered at once. With more, remembering begins anew.
const MOST: usize = 4_096;

/// What the ledger has refused lately.
#[derive(Debug, Default)]
pub(crate) struct Exhausted {
    /// Whether anything is remembered: all that requests look at otherwise.
    any: AtomicBool,
    known: Mutex<HashMap<AccountId, Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    posted: Quantity,
    seen: Monotonic,
}

impl Exhausted {
    /// Remembers a budget that had no room, with what was posted in it.
    pub(crate) fn note(&self, account: AccountId, posted: Quantity, seen: Monotonic) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(account, Known { posted, seen });
        self.any.store(true, Ordering::Release);
    }

    /// The budget that certainly has no room for `least`, and what is left in it at most.
    pub(crate) fn refuses(
        &self,
        counting: &[Counting<'_>],
        least: Worst,
        now: Monotonic,
    ) -> Option<(AccountId, Quantity)> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut known = self.known();
        let found = counting.iter().find_map(|counting| {
            let limit = counting.hold().limit?;
            let Known { posted, seen } = *known.get(&counting.account)?;
            if now.since(seen) > FRESH {
                known.remove(&counting.account);
                return None;
            }
            let available = limit.minus(posted)?;
            (limit == Quantity::ZERO || available < least.of(counting.account.measure()))
                .then_some((counting.account, available))
        });
        if known.is_empty() {
            self.any.store(false, Ordering::Release);
        }
        found
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AccountId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worst {
    /// So much of a measure.
    fn of(self, measure: Measure) -> Quantity {
        match measure {
            Measure::Usd => self.price.into(),
            Measure::Tokens => Quantity::of_count(self.tokens),
            Measure::Requests => Quantity::of_count(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weighbridge_access::{Budget, Window};
    use weighbridge_ledger::{AccountKind, Book, BudgetScope, EntityId};
    use weighbridge_units::NanoUsd;

    fn budget(limit: i64) -> Budget {
        format!("usd={}", NanoUsd::new(limit)).parse().unwrap()
    }

    fn counting(budget: &Budget, entity: u64) -> Counting<'_> {
        let account = AccountId::new(Book::Platform, AccountKind::Budget, EntityId::from_bits(entity));
        let window = Window { start: None, end: None };
        Counting { budget, account, window, owner: BudgetScope::Installation }
    }

    fn worst(price: i64) -> Worst {
        Worst { cost: NanoUsd::ZERO, price: NanoUsd::new(price), tokens: 0 }
    }

    const NOW: Monotonic = Monotonic::from_micros(9_000_000);

    proptest! {
        /// It refuses what the ledger would refuse with nothing pending, and nothing else.
        #[test]
        fn r3_nothing_is_refused_that_could_have_room(
            limit in 0_i64..1_000, posted in 0_i64..1_200, price in 0_i64..1_200, after in 0_u64..500,
        ) {
            let budget = budget(limit);
            let counting = [counting(&budget, 1), counting(&budget, 2)];
            let exhausted = Exhausted::default();
            prop_assert_eq!(exhausted.refuses(&counting, worst(price), NOW), None);
            exhausted.note(counting[1].account, Quantity::new(posted), NOW);
            let now = NOW + Duration::from_millis(after);
            let found = exhausted.refuses(&counting, worst(price), now);
            let has_no_room = limit == 0 || posted + price > limit;
            let expected = (has_no_room && after <= 250)
                .then(|| (counting[1].account, Quantity::new(limit - posted)));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(exhausted.any.load(Ordering::Acquire), after <= 250);
        }
    }

    #[test]
    fn it_forgets_when_there_is_too_much() {
        let exhausted = Exhausted::default();
        for entity in 0..=MOST as u64 {
            let account = AccountId::new(Book::Platform, AccountKind::Budget, EntityId::from_bits(entity));
            exhausted.note(account, Quantity::ZERO, NOW);
        }
        assert_eq!(exhausted.known().len(), 1);
    }

    /// `cargo test --release -p weighbridge-pipeline --lib exhausted -- --ignored --nocapture`
    #[test]
    #[ignore = "a figure, for docs/performance.md"]
    #[allow(clippy::print_stdout, reason = "a report is what this prints")]
    fn how_long_a_refusal_takes() {
        let budget = budget(100);
        let counting: Vec<_> = (0..8).map(|entity| counting(&budget, entity)).collect();
        let exhausted = Exhausted::default();
        exhausted.note(counting[7].account, Quantity::new(100), NOW);
        let began = std::time::Instant::now();
        let refused =
            (0..1_000_000).filter(|_| exhausted.refuses(&counting, worst(1), NOW).is_some()).count();
        println!("{:?} for one of eight budgets", began.elapsed() / 1_000_000);
        assert_eq!(refused, 1_000_000);
    }
}
