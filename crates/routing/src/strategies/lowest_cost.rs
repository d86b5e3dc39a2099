use weighbridge_units::Monotonic;

use crate::demand::{Demand, Needs};
use crate::strategy::{Candidates, Strategy};

/// Those where this request is expected to cost least ([`Demand::costs`]). One without a known price comes last.
#[derive(Debug, Clone, Copy, Default)]
pub struct LowestCost;

impl Strategy for LowestCost {
    fn name(&self) -> &'static str {
        "lowest-cost"
    }

    fn needs(&self) -> Needs {
        Needs { costs: true, ..Needs::default() }
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, demand: &Demand, _: Monotonic, _: u64) {
        let cost = |position: usize| demand.costs.get(position).copied().flatten();
        candidates
            .leave_least(|one| cost(one.index.get()).map_or(i64::MAX, |cost| cost.get()), |least| least);
    }
}
