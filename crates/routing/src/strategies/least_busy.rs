use weighbridge_units::Monotonic;

use crate::demand::Demand;
use crate::strategy::{Candidates, Strategy};

/// Those with the fewest attempts in flight for their weight: one of weight 3 counts as busy as one of weight 1 with a
/// third of its attempts.
///
/// What is slow keeps its attempts for longer, and so gets fewer: nothing has to be measured for that.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastBusy;

/// One attempt in flight at a target of weight 1.
const ONE: u64 = 1_000_000;

impl Strategy for LeastBusy {
    fn name(&self) -> &'static str {
        "least-busy"
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, _: &Demand, _: Monotonic, _: u64) {
        candidates.leave_least(
            |one| (u64::from(one.target.observed().in_flight()) * ONE / u64::from(one.weight.get())) as i64,
            |least| least,
        );
    }
}
