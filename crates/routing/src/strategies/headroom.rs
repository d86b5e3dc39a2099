use weighbridge_units::Monotonic;

use crate::demand::{Demand, Needs};
use crate::strategy::{Candidates, Strategy};

/// Those with the largest part of their rate limits left, within two hundredths, as the provider's headers told them
/// last, filling up until their reset, and less what was sent since.
///
/// One that has no room for the request's tokens comes last. One of which nothing is known counts as half used: it is
/// tried before the known ones run dry, and does not get everything because it never tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headroom;

/// The whole limit.
const WHOLE: u32 = 1_000_000;

impl Strategy for Headroom {
    fn name(&self) -> &'static str {
        "headroom"
    }

    fn needs(&self) -> Needs {
        Needs { observations: true, ..Needs::default() }
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, demand: &Demand, now: Monotonic, _: u64) {
        candidates.leave_least(
            |one| {
                let left = one.target.observed().headroom(demand.tokens, now).unwrap_or(WHOLE / 2);
                i64::from(WHOLE.saturating_sub(left))
            },
            |least| least + i64::from(WHOLE / 50),
        );
    }
}
