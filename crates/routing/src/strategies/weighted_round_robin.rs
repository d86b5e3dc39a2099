use std::sync::{Mutex, PoisonError};

use weighbridge_units::Monotonic;

use crate::demand::Demand;
use crate::strategy::{Candidates, Strategy};

/// Smooth weighted round robin: exact shares, and the turns of a heavy target spread out evenly.
///
/// Every candidate gains its weight, the one with the most wins and pays what all gained together.
/// With weights 5, 1, 1 the turns are `a a b a c a a`. While a target is away the others share its
/// turns by their weights, and it owes or is owed nothing when it comes back.
#[derive(Default)]
pub struct WeightedRoundRobin {
    /// What each target has gained and not yet paid, by its place in the route.
    credits: Mutex<Vec<i64>>,
}

impl WeightedRoundRobin {
    /// Everyone starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Strategy for WeightedRoundRobin {
    fn name(&self) -> &'static str {
        "weighted-round-robin"
    }

    fn copied(&self) -> Box<dyn Strategy> {
        let credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::new(Self { credits: Mutex::new(credits) })
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, _: &Demand, _: Monotonic, _: u64) {
        let mut credits = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut gained, mut best) = (0_i64, None);
        for candidate in candidates.iter() {
            let at = candidate.index.get();
            if at >= credits.len() {
                credits.resize(at + 1, 0);
            }
            let Some(credit) = credits.get_mut(at) else { continue };
            let weight = i64::from(candidate.weight.get());
            *credit = credit.saturating_add(weight);
            gained += weight;
            candidates.score(candidate.index, credit.saturating_neg());
            // The earlier of two equals wins, so that the sequence is the same every time.
            if best.is_none_or(|(_, most)| *credit > most) {
                best = Some((candidate.index, *credit));
            }
        }
        let Some((winner, _)) = best else { return };
        if let Some(credit) = credits.get_mut(winner.get()) {
            *credit = credit.saturating_sub(gained);
        }
        candidates.leave(winner);
    }
}
