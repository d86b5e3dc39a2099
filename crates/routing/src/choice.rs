use weighbridge_units::Monotonic;

use crate::affinity::mixed;
use crate::demand::Demand;
use crate::route::Route;
use crate::strategy::Candidates;
use crate::target_set::{TargetIndex, TargetSet};

/// How a request's first target was chosen among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The strategy that left no other.
    pub by: &'static str,
    /// The random number that the strategies were given: with it, and what they knew, they choose the same again.
    pub seed: u64,
    /// How many targets there were to choose from.
    pub candidates: usize,
    /// The chosen target, then the others, those first that came furthest; at most [`Choice::MOST`].
    pub scores: Vec<Scored>,
}

/// How a candidate fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scored {
    /// Which one.
    pub target: TargetIndex,
    /// Its score with the last strategy that looked at it; least is best. What it counts is that strategy's own:
    /// microseconds, attempts, nano-dollars.
    pub score: i64,
    /// That strategy.
    pub by: &'static str,
}

impl Choice {
    /// The most candidates that are kept, so that the record of a request has a bound.
    pub const MOST: usize = 16;
}

/// One of `equals`, by the route's strategies, which are asked only where there is a choice; how, if `told` is wanted.
pub(crate) fn choose(
    route: &Route,
    equals: TargetSet,
    demand: &Demand,
    now: Monotonic,
    seed: u64,
    told: bool,
) -> Option<(TargetIndex, Option<Choice>)> {
    let first = equals.iter().next()?;
    if equals.len() == 1 {
        return Some((first, None));
    }
    let mut candidates = Candidates::new(route.members(), equals);
    let mut by = "";
    let mut asked = 0_u8;
    for (number, strategy) in (1..).zip(route.strategies()) {
        let before = candidates.len();
        candidates.asked_by(number);
        strategy.narrow(&mut candidates, demand, now, mixed(seed.wrapping_add(number.into())));
        asked = number;
        if candidates.len() < before {
            by = strategy.name();
        }
        if candidates.len() == 1 {
            break;
        }
    }
    let chosen = candidates.iter().next()?.index;
    let choice = told.then(|| Choice {
        by,
        seed,
        candidates: equals.len(),
        scores: scores(route, &candidates, equals, chosen, asked),
    });
    Some((chosen, choice))
}

/// The chosen one first, then those that the latest strategies have scored.
fn scores(
    route: &Route,
    candidates: &Candidates<'_>,
    equals: TargetSet,
    chosen: TargetIndex,
    asked: u8,
) -> Vec<Scored> {
    let scored = |target| {
        let (score, number) = candidates.score_of(target)?;
        let by = route.strategies().get(usize::from(number) - 1)?.name();
        Some((number, Scored { target, score, by }))
    };
    let mut scores = Vec::with_capacity(equals.len().min(Choice::MOST));
    scores.extend(scored(chosen).map(|(_, scored)| scored));
    for number in (1..=asked).rev() {
        for target in equals.iter().filter(|target| *target != chosen) {
            match scored(target) {
                _ if scores.len() == Choice::MOST => return scores,
                Some((by, scored)) if by == number => scores.push(scored),
                _ => {}
            }
        }
    }
    scores
}
