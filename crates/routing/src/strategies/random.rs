use weighbridge_units::Monotonic;

use crate::affinity::distance;
use crate::demand::Demand;
use crate::strategy::{Candidates, Strategy};

/// Any of them, with a chance that is its weight's share.
///
/// It keeps no state, so instances that know nothing of each other do not fall into step, and traffic that comes in a
/// rhythm meets no turns that have the same one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, _: &Demand, _: Monotonic, random: u64) {
        candidates.leave_least(|one| distance(random, one.target.id(), one.weight), |least| least);
    }
}
