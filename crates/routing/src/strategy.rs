use weighbridge_units::Monotonic;

use crate::route::{Member, Target};
use crate::target_set::{TargetIndex, TargetSet};

/// Chooses one of several targets that are all fit to serve a request.
///
/// A strategy only orders equals: health, credentials, and whether a target was tried already are
/// settled before it is asked. It may keep state between calls (in atomics or behind a short lock),
/// and must give the same choices for the same sequence of calls.
pub trait Strategy: Send + Sync {
    /// The name in configuration and records.
    fn name(&self) -> &'static str;

    /// Chooses one of `candidates`, which are never empty; `random` is a fresh random number.
    ///
    /// A strategy that gives `None`, or a target that is no candidate, leaves the choice to the
    /// caller, who takes the first.
    fn pick(&self, candidates: &Candidates<'_>, now: Monotonic, random: u64) -> Option<TargetIndex>;
}

/// The targets that a [`Strategy`] may choose from.
pub struct Candidates<'a> {
    members: &'a [Member],
    eligible: TargetSet,
}

/// One of the targets that a [`Strategy`] may choose from.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Its place in the route: the same in every call, whichever others there are.
    pub index: TargetIndex,
    /// Its share beside its equals, at least 1.
    pub weight: u32,
    /// The target itself.
    pub target: &'a Target,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(members: &'a [Member], eligible: TargetSet) -> Self {
        Self { members, eligible }
    }

    /// The candidates in the order of the route.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        let members = self.members;
        self.eligible.iter().filter_map(move |index| {
            let member = members.get(index.get())?;
            Some(Candidate { index, weight: member.weight, target: &member.target })
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.eligible.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a target is among them.
    pub fn contains(&self, index: TargetIndex) -> bool {
        self.eligible.contains(index)
    }
}
