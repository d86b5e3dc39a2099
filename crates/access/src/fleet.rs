//! Limits that several instances count together.
//!
//! Whoever keeps the common count implements [`FleetLimits`]; requests ask it for all that they want at once, and get
//! all of it or nothing (rule R8). What is used less than was taken, or more, is told to it without waiting. Where
//! it cannot be asked, each instance gives out its [`Share`] of the limits by itself (rule C5).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weighbridge_units::{Monotonic, NanoUsd};

use crate::claim::{SOON, nano};
use crate::rate::{WINDOW, duration, standing};
use crate::{LimitCells, LimitKind, LimitOwner, LimitRefusal, Share};

/// The longest time that anything is told to take to drain: some 52 days. It is a whole number in floating point.
const LONGEST: u64 = 1 << 52;

/// What is wanted of one limit.
#[derive(Debug, Clone)]
pub struct Want {
    /// Whose limit.
    pub cells: Arc<LimitCells>,
    /// Which one.
    pub kind: LimitKind,
    /// How much of it, in its units; of places always one.
    pub units: u64,
}

impl Want {
    /// How long the units take to drain, in nanoseconds. Something is wanted of a limit that there is.
    pub fn length(&self) -> u64 {
        length(&self.cells, self.kind, self.units)
    }

    /// Notes how long what all instances have taken of a limit per minute needs to drain, in nanoseconds.
    pub fn note(&self, ahead: u64, now: Monotonic) {
        if let Some(cell) = self.cells.cell(self.kind) {
            cell.note_fleet(ahead, now);
        }
    }

    /// The refusal of what is wanted, where all instances together have taken so many places, or so many
    /// nanoseconds to drain.
    pub fn refusal(&self, taken: u64) -> LimitRefusal {
        let Self { cells, kind, units } = self;
        let limit = cells.limit(*kind).unwrap_or(0);
        let (remaining, retry_after) = match kind {
            LimitKind::Concurrency => (limit.saturating_sub(taken), SOON),
            _ => {
                let length = self.length();
                let end = taken.saturating_add(length);
                // More than a minute's worth never fits: then it is the time until the limit is at rest.
                let wait = if length > WINDOW { taken } else { end.saturating_sub(WINDOW) };
                (standing(limit, taken).remaining, Duration::from_nanos(wait))
            }
        };
        LimitRefusal { kind: *kind, whose: cells.whose(), retry_after, limit, remaining, needed: *units }
    }
}

fn length(cells: &LimitCells, kind: LimitKind, units: u64) -> u64 {
    duration(cells.limit(kind).unwrap_or(0), units).min(LONGEST)
}

/// What was decided for all instances.
#[derive(Debug)]
pub enum Decision {
    /// All of it was taken, in the order in which it was wanted.
    Granted(Vec<Held>),
    /// One limit has no room, and nothing was taken.
    Refused(LimitRefusal),
    /// Nobody could be asked: the instance gives this part of the limits out by itself.
    Away(Share),
}

/// What was taken of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Of a limit per minute: an interval.
    Rate {
        /// When the last of it will have drained, in nanoseconds of the common clock.
        until: u64,
        /// How long it takes to drain, in nanoseconds.
        length: u64,
    },
    /// A place among the requests that run, by its number.
    Place(u64),
}

/// What somebody holds of one limit of all instances together.
#[derive(Debug)]
pub struct FleetTake {
    /// Whose limit.
    pub cells: Arc<LimitCells>,
    /// Which one.
    pub kind: LimitKind,
    /// What.
    pub held: Held,
}

/// What comes back to the common count, or is owed to it.
#[derive(Debug)]
pub enum FleetReturn {
    /// That much of an interval was not used; what of it has drained is not given back.
    Unused {
        /// Whose limit.
        cells: Arc<LimitCells>,
        /// Which one.
        kind: LimitKind,
        /// When the interval ends, in nanoseconds of the common clock.
        until: u64,
        /// How much of its end was not used, in nanoseconds.
        length: u64,
    },
    /// So much more was used, in nanoseconds.
    Owed {
        /// Whose limit.
        cells: Arc<LimitCells>,
        /// Which one.
        kind: LimitKind,
        /// How much more.
        length: u64,
    },
    /// A place is free again.
    Place {
        /// Whose limit.
        cells: Arc<LimitCells>,
        /// The place's number.
        place: u64,
    },
}

/// How the common count stands, as far as this instance knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetStanding {
    /// Whether it is asked; else each instance gives its share out by itself.
    pub is_shared: bool,
    /// Instances that live.
    pub instances: u32,
    /// How often it could not be asked any more, or had been lost.
    pub losses: u64,
    /// Nanoseconds of use that the latest comparison found missing in it.
    pub drift_nanos: u64,
    /// Places that the latest comparison found missing in it, or taken by nobody.
    pub drift_places: u64,
    /// What came back and found no room in the queue: it stays taken until it has drained.
    pub dropped: u64,
}

/// The common count of all instances.
///
/// It decides about rates and never about money that is owed: budgets and wallets are the ledger's (rule C5).
#[async_trait]
pub trait FleetLimits: Send + Sync + fmt::Debug {
    /// The part of each limit that this instance may give out without asking for more: the whole while the count
    /// can be asked.
    fn share(&self) -> Share;

    /// Takes all that is wanted, in that order, or nothing. One question to whoever keeps the count; it is over
    /// within a bounded time.
    async fn take(&self, wants: &[Want], now: Monotonic) -> Decision;

    /// Takes a place without being asked, for a request that runs anyway: it counts once the count can be asked.
    fn occupy(&self, cells: &Arc<LimitCells>) -> u64;

    /// Takes back, without waiting. What finds no room stays taken until it has drained.
    fn give(&self, back: FleetReturn);

    /// How the count stands.
    fn standing(&self) -> FleetStanding;

    /// Joins the count where that can be done at once, so that the first request is counted together already.
    async fn begin(&self, world: &dyn FleetWorld);

    /// Keeps this instance in the count, for ever: the job `quota-sync`. Without it nobody is asked.
    async fn run(&self, world: &dyn FleetWorld);

    /// Leaves the count: what was not used is given back, and places are free.
    async fn leave(&self);
}

/// What keeping an instance in the common count needs to know of it.
pub trait FleetWorld: Send + Sync {
    /// Everybody's limits.
    fn cells(&self) -> Vec<Arc<LimitCells>>;
    /// The clock that requests are admitted by.
    fn now(&self) -> Monotonic;
    /// 64 random bits.
    fn random(&self) -> u64;
}

/// What a request, or one attempt, holds of the common count. Its places are free when it is dropped; what it
/// took of rates stays taken.
#[derive(Debug)]
#[must_use = "dropping it frees its places"]
pub struct FleetHold {
    fleet: Arc<dyn FleetLimits>,
    takes: Vec<FleetTake>,
}

impl FleetHold {
    pub(crate) const fn new(fleet: Arc<dyn FleetLimits>, takes: Vec<FleetTake>) -> Self {
        Self { fleet, takes }
    }

    /// Gives everything back.
    pub(crate) fn give_back(self) {
        for FleetTake { cells, kind, held } in &self.takes {
            if let Held::Rate { until, length } = *held {
                self.fleet.give(FleetReturn::Unused { cells: Arc::clone(cells), kind: *kind, until, length });
            }
        }
    }

    /// Replaces estimates by the truth: `cost` is what a provider asks for, `charged` what everybody else is.
    /// A request counts once it was sent.
    pub(crate) fn correct(self, tokens: u64, cost: NanoUsd, charged: NanoUsd) {
        for FleetTake { cells, kind, held } in &self.takes {
            let Held::Rate { until, length: taken } = *held else { continue };
            let units = match (kind, cells.whose()) {
                (LimitKind::Tpm, _) => tokens,
                (LimitKind::UsdPerMinute, LimitOwner::Deployment) => nano(cost),
                (LimitKind::UsdPerMinute, _) => nano(charged),
                _ => continue,
            };
            let (cells, kind, used) = (Arc::clone(cells), *kind, length(cells, *kind, units));
            if used < taken {
                self.fleet.give(FleetReturn::Unused { cells, kind, until, length: taken - used });
            } else if used > taken {
                self.fleet.give(FleetReturn::Owed { cells, kind, length: used - taken });
            }
        }
    }
}

impl Drop for FleetHold {
    fn drop(&mut self) {
        for FleetTake { cells, held, .. } in self.takes.drain(..) {
            if let Held::Place(place) = held {
                self.fleet.give(FleetReturn::Place { cells, place });
            }
        }
    }
}
