use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

use crate::affinity::{distance, mixed};
use crate::demand::{Demand, Needs};
use crate::strategy::{Candidate, Candidates, Strategy};
use crate::target_set::TargetIndex;

/// The same affinity value to the same target, where the provider's cache has what it begins with.
///
/// Without memory, the target is the nearest by weighted rendezvous hashing: the same on every instance and after every
/// restart, and where one fails, only its own values move. With a memory, a value that had to move stays where it went
/// for as long as it is used and the cache there lives, instead of going back to one that has forgotten it.
///
/// Loads are bounded: a target that has more than its share of what is in flight, by a quarter where nothing else is
/// said, is passed over for the next nearest, so that one popular beginning does not drown it. Few attempts overload
/// nobody. Requests without an affinity value are left to the next strategy.
pub struct Sticky {
    load_percent: u32,
    memory: Option<Memory>,
}

/// Attempts in flight that are no overload, whatever the share is.
const FEW: u64 = 4;

impl Sticky {
    /// `load_percent` of its share may be in flight at a target, 100 or more. `ttl` is how long a place is remembered
    /// that is not used, in whole seconds; `None` goes by the hash alone.
    pub fn new(load_percent: u32, ttl: Option<Duration>) -> Self {
        let memory = ttl.map(|ttl| Memory {
            places: (0..Memory::PLACES).map(|_| AtomicU64::new(0)).collect(),
            ttl: ttl.as_secs(),
        });
        Self { load_percent: load_percent.max(100), memory }
    }
}

impl Default for Sticky {
    /// A quarter above its share, without memory.
    fn default() -> Self {
        Self::new(125, None)
    }
}

impl Strategy for Sticky {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn needs(&self) -> Needs {
        Needs { affinity: true, one_key: true, ..Needs::default() }
    }

    fn copied(&self) -> Box<dyn Strategy> {
        let memory = self.memory.as_ref().map(Memory::copied);
        Box::new(Self { load_percent: self.load_percent, memory })
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, demand: &Demand, now: Monotonic, _: u64) {
        // Mixed, since places and their marks are made of some of its bits.
        let Some(affinity) = demand.affinity.map(mixed) else { return };
        let (mut in_flight, mut weights) = (1, 0);
        for one in candidates.iter() {
            in_flight += u64::from(one.target.observed().in_flight());
            weights += u64::from(one.weight.get());
        }
        let has_room = |one: &Candidate<'_>| {
            let weight = u128::from(one.weight.get()) * u128::from(self.load_percent);
            let share = u128::from(in_flight) * weight / (u128::from(weights.max(1)) * 100) + 1;
            u128::from(one.target.observed().in_flight()) < share.max(FEW.into())
        };
        let remembered = self.memory.as_ref().and_then(|memory| memory.place_of(affinity, now));
        let mut nearest = None;
        for one in candidates.iter() {
            let near = match Some(one.index) == remembered {
                true => 0,
                false => distance(affinity, one.target.id(), one.weight),
            };
            candidates.score(one.index, near);
            if nearest.is_none_or(|(least, _)| near < least) && has_room(&one) {
                nearest = Some((near, one.index));
            }
        }
        let Some((_, place)) = nearest else { return };
        candidates.leave(place);
        if let Some(memory) = &self.memory {
            memory.keep(affinity, place, now);
        }
    }
}

/// Where affinity values went: fixed in size, the latest of those that share a place.
struct Memory {
    /// Sixteen bits of the value, the target, and the instant in seconds; 0 where nobody is.
    places: Box<[AtomicU64]>,
    ttl: u64,
}

impl Memory {
    /// 32 KiB. A value that was pushed out goes by the hash, as all do without a memory.
    const PLACES: usize = 4_096;
    const SECONDS: u64 = (1 << 40) - 1;

    fn copied(&self) -> Self {
        let places = self.places.iter().map(|place| AtomicU64::new(place.load(Ordering::Relaxed)));
        Self { places: places.collect(), ttl: self.ttl }
    }

    fn place(&self, affinity: u64) -> Option<&AtomicU64> {
        self.places.get(affinity as usize % Self::PLACES)
    }

    fn place_of(&self, affinity: u64, now: Monotonic) -> Option<TargetIndex> {
        let kept = self.place(affinity)?.load(Ordering::Relaxed);
        let age = seconds(now).saturating_sub(kept & Self::SECONDS);
        let is_his = kept != 0 && kept >> 48 == affinity >> 48;
        (is_his && age <= self.ttl).then(|| TargetIndex::new((kept >> 40 & 0xff) as usize)).flatten()
    }

    fn keep(&self, affinity: u64, target: TargetIndex, now: Monotonic) {
        if let Some(place) = self.place(affinity) {
            let kept = (affinity >> 48) << 48 | (target.get() as u64) << 40 | seconds(now);
            place.store(kept, Ordering::Relaxed);
        }
    }
}

/// Never 0.
fn seconds(at: Monotonic) -> u64 {
    (at.as_micros() / 1_000_000 + 1).min(Memory::SECONDS)
}
