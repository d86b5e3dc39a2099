use weighbridge_units::Monotonic;

use crate::affinity::{distance, mixed};
use crate::demand::{Demand, Needs};
use crate::strategy::{Candidates, Strategy};

/// A share of the callers for each, by weight and a stable hash of the affinity value: for a canary, or to compare two
/// models. One caller stays on one side for as long as that is fit, on every instance and over restarts.
///
/// The side of each caller is drawn anew for each salt, so that trials under several names hit different callers.
/// Requests without an affinity value are left to the next strategy.
#[derive(Debug, Clone, Copy)]
pub struct Split {
    salt: u64,
}

impl Split {
    /// A split that is apart from all with another `salt`, such as the [`stable_hash`](crate::stable_hash) of the
    /// route's name.
    pub const fn new(salt: u64) -> Self {
        Self { salt: mixed(salt) }
    }
}

impl Strategy for Split {
    fn name(&self) -> &'static str {
        "split"
    }

    fn needs(&self) -> Needs {
        Needs { affinity: true, ..Needs::default() }
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, demand: &Demand, _: Monotonic, _: u64) {
        let Some(affinity) = demand.affinity else { return };
        let affinity = affinity ^ self.salt;
        candidates.leave_least(|one| distance(affinity, one.target.id(), one.weight), |least| least);
    }
}
