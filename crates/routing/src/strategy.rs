use std::num::NonZeroU32;

use weighbridge_units::Monotonic;

use crate::demand::{Demand, Needs};
use crate::route::{Member, Target};
use crate::target_set::{TargetIndex, TargetSet};

/// Leaves those of several targets that are best by some measure. All of them are fit to serve a request.
///
/// One operation is enough to filter, to order and to pick. To filter is to leave some, to pick is to leave one, and the
/// order is that in which a [`Plan`](crate::Plan) gets its targets: after a failure it asks anew, without those that
/// were tried, so that a later try sees what has become known meanwhile. And it composes: a route asks its strategies
/// one after the other, each about those that the earlier ones left as equals, and at last
/// [`WeightedRoundRobin`](crate::WeightedRoundRobin), which leaves one.
///
/// Health, credentials, and whether a target was tried already are settled before a strategy is asked. It may keep state
/// between calls (in atomics or behind a short lock), and must do the same in the same sequence of calls.
pub trait Strategy: Send + Sync {
    /// The name in configuration and records.
    fn name(&self) -> &'static str;

    /// What it wants to know beside the number of attempts in flight.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The same strategy with what it remembers by now: whoever asks the copy leaves this one as it is.
    fn copied(&self) -> Box<dyn Strategy>;

    /// Leaves the best of `candidates`, of which there are two at least; `random` is a fresh random number. Whoever
    /// leaves all of them as they are has no opinion.
    fn narrow(&self, candidates: &mut Candidates<'_>, demand: &Demand, now: Monotonic, random: u64);
}

/// The targets that a [`Strategy`] may leave. There is always one at least.
pub struct Candidates<'a> {
    members: &'a [Member],
    eligible: TargetSet,
    /// By position, with the number of the strategy that gave it, from 1; 0 where none has.
    scores: [(i64, u8); TargetSet::CAPACITY],
    strategy: u8,
}

/// One of the targets that a [`Strategy`] may leave.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Its place in the route: the same in every call, whichever others there are.
    pub index: TargetIndex,
    /// Its share beside its equals.
    pub weight: NonZeroU32,
    /// The target itself.
    pub target: &'a Target,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(members: &'a [Member], eligible: TargetSet) -> Self {
        Self { members, eligible, scores: [(0, 0); TargetSet::CAPACITY], strategy: 0 }
    }

    /// The candidates in the order of the route.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        let members = self.members;
        self.eligible.iter().filter_map(move |index| {
            let member = members.get(index.get())?;
            let weight = NonZeroU32::new(member.weight)?;
            Some(Candidate { index, weight, target: &member.target })
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.eligible.len()
    }

    /// Never: there is always one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a target is among them.
    pub fn contains(&self, index: TargetIndex) -> bool {
        self.eligible.contains(index)
    }

    /// Notes how a candidate fares, least being best: for the record, nobody else reads it.
    pub fn score(&mut self, index: TargetIndex, score: i64) {
        if let Some(noted) = self.scores.get_mut(index.get()) {
            *noted = (score, self.strategy);
        }
    }

    /// Leaves one. Nothing changes where it is no candidate.
    pub fn leave(&mut self, index: TargetIndex) {
        if self.contains(index) {
            self.eligible = TargetSet::default();
            self.eligible.insert(index);
        }
    }

    /// Scores all, and leaves those whose score is at most what `worst` makes of the least.
    pub fn leave_least(&mut self, score: impl Fn(&Candidate<'a>) -> i64, worst: impl Fn(i64) -> i64) {
        let mut least = i64::MAX;
        for candidate in self.iter() {
            let score = score(&candidate);
            least = least.min(score);
            self.score(candidate.index, score);
        }
        let worst = worst(least).max(least);
        let mut left = self.eligible;
        for index in self.eligible.iter() {
            if self.scores.get(index.get()).is_some_and(|(score, _)| *score > worst) {
                left.remove(index);
            }
        }
        self.eligible = left;
    }

    /// From now on it is the strategy of this number, from 1, that gives scores.
    pub(crate) fn asked_by(&mut self, strategy: u8) {
        self.strategy = strategy;
    }

    /// The score of a target, and the number of the strategy that gave it.
    pub(crate) fn score_of(&self, index: TargetIndex) -> Option<(i64, u8)> {
        self.scores.get(index.get()).copied().filter(|(_, by)| *by > 0)
    }
}
