//! What Redis counts, and what the instance knows: entering the one into the other, and telling where they differ.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use weighbridge_access::{FleetReturn, FleetWorld, LimitCells, RateCell};
use weighbridge_units::Monotonic;

use crate::error::Fault;
use crate::keys::{self, RATES};
use crate::limits::RedisLimits;
use crate::link::Link;

/// How long the job waits for Redis.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between the two looks of a comparison: what requests are about to take, or have just given back, differs for less.
const SECOND_LOOK: Duration = Duration::from_millis(500);
/// What is missing of a minute before it counts as missing, in nanoseconds.
const TOLERANCE: u64 = 1_000_000_000;
/// The longest time to drain that is told: a whole number in floating point.
const LONGEST: u64 = 1 << 52;
/// Owners that one script looks at.
const OWNERS: usize = 100;
/// Places that one script enters.
const PLACES: usize = 1_000;

/// How long the requests, tokens and money of an owner need to drain, in nanoseconds.
type Aheads = [u64; RATES.len()];

/// A place that this instance is entered with: its key, and its number.
type Entered = (Arc<LimitCells>, u64);

impl RedisLimits {
    /// Raises every rate in Redis to what this instance knows of it.
    pub(crate) async fn enter_rates(&self, link: &Link, world: &dyn FleetWorld) -> Result<(), Fault> {
        let now = world.now();
        let known = aheads(world.cells(), |cell| cell.known_ahead(now), 0);
        self.merge(link, &known).await.map(drop)
    }

    /// Enters every place that this instance has taken. Gives those, and what it is entered with beside them.
    pub(crate) async fn enter_places(
        &self,
        link: &Link,
    ) -> Result<(Vec<(u64, Arc<LimitCells>)>, Differing), Fault> {
        let taken = self.places.all();
        let mut differing = Differing::default();
        for places in taken.chunks(PLACES) {
            let mut script = self.scripts.places.prepare_invoke();
            script.key(keys::STATE).key(keys::LIVING).arg(link.era).arg(link.epoch);
            let mut numbers: HashMap<String, usize> = HashMap::new();
            let mut owners = Vec::new();
            for (place, cells) in places {
                let next = numbers.len() + 3;
                let number = *numbers.entry(keys::places(cells)).or_insert_with_key(|key| {
                    script.key(key);
                    owners.push(cells);
                    next
                });
                script.arg(number).arg(self.places.member(*place));
            }
            let answer: Vec<String> = link.call(&script, PATIENCE).await?;
            let [known, missing, entered @ ..] = answer.as_slice() else { return Err(Fault::Lost) };
            if known != "1" {
                return Err(Fault::Lost);
            }
            differing.missing += missing.parse::<u64>().map_err(|_| Fault::Odd)?;
            for pair in entered.chunks_exact(2) {
                let owner =
                    pair[0].parse::<usize>().ok().and_then(|number| owners.get(number.checked_sub(3)?));
                let (Some(cells), Some(place)) = (owner, self.places.number_of(&pair[1])) else { continue };
                if !self.places.is_taken(place) {
                    differing.free.push((Arc::clone(cells), place));
                }
            }
        }
        Ok((taken, differing))
    }

    /// Compares what Redis counts with what this instance has taken itself, repairs what is missing, and says how
    /// much it was. Everybody together have taken at least as much as one of them.
    pub(crate) async fn compare(&self, link: &Link, world: &dyn FleetWorld) -> Result<(), Fault> {
        let own = |now: Monotonic| move |cell: &RateCell| cell.own_ahead(now);
        let first = aheads(world.cells(), own(world.now()), TOLERANCE);
        let suspects: HashSet<String> = self.behind(link, &first).await?.into_keys().collect();
        let (_, before) = self.enter_places(link).await?;
        sleep(SECOND_LOOK).await;
        let mut second = HashMap::new();
        if !suspects.is_empty() {
            second = aheads(world.cells(), own(world.now()), TOLERANCE);
            second.retain(|key, _| suspects.contains(key));
        }
        let behind = self.behind(link, &second).await?;
        second.retain(|key, _| behind.contains_key(key));
        self.merge(link, &second).await?;
        let (_, mut after) = self.enter_places(link).await?;
        let was_free: HashSet<u64> = before.free.iter().map(|(_, place)| *place).collect();
        after.free.retain(|(_, place)| was_free.contains(place));

        let nanos: u64 = behind.values().copied().fold(0, u64::saturating_add);
        let places = before.missing + after.missing + after.free.len() as u64;
        self.drift_nanos.store(nanos, Ordering::Relaxed);
        self.drift_places.store(places, Ordering::Relaxed);
        if nanos > 0 || places > 0 {
            tracing::warn!(nanos, places, "what Redis counts of limits was repaired");
        }
        for (cells, place) in after.free {
            self.returns.push(FleetReturn::Place { cells, place });
        }
        Ok(())
    }

    /// The rates of which Redis counts less than is known, and how much less.
    async fn behind(
        &self,
        link: &Link,
        known: &HashMap<String, Aheads>,
    ) -> Result<HashMap<String, u64>, Fault> {
        let nothing = known.keys().map(|key| (key.clone(), Aheads::default())).collect();
        let counted = self.merge(link, &nothing).await?;
        let behind = known.iter().filter_map(|(key, known)| {
            let counted = counted.get(key)?;
            let less = known.iter().zip(counted).map(|(known, counted)| known.saturating_sub(*counted));
            let less: u64 = less.filter(|less| *less > TOLERANCE).fold(0, u64::saturating_add);
            (less > 0).then(|| (key.clone(), less))
        });
        Ok(behind.collect())
    }

    /// Raises rates in Redis to that, and gives what they were before.
    async fn merge(
        &self,
        link: &Link,
        rates: &HashMap<String, Aheads>,
    ) -> Result<HashMap<String, Aheads>, Fault> {
        let rates: Vec<_> = rates.iter().collect();
        let mut before = HashMap::with_capacity(rates.len());
        for some in rates.chunks(OWNERS) {
            let mut script = self.scripts.merge.prepare_invoke();
            script.key(keys::STATE).arg(link.era);
            for (key, aheads) in some {
                script.key(*key);
                for ahead in *aheads {
                    script.arg(ahead.min(&LONGEST));
                }
            }
            let answer = link.ask(&script, PATIENCE).await?;
            let counted = answer.get(2..).unwrap_or_default().chunks_exact(RATES.len());
            for ((key, _), counted) in some.iter().zip(counted) {
                let counted = [0, 1, 2]
                    .map(|at: usize| counted.get(at).map_or(0, |it| u64::try_from(*it).unwrap_or(0)));
                before.insert((*key).clone(), counted);
            }
        }
        Ok(before)
    }
}

/// Where the places of this instance differ.
#[derive(Debug, Default)]
pub(crate) struct Differing {
    /// Places that were taken and not entered.
    missing: u64,
    /// Places that are entered and free.
    free: Vec<Entered>,
}

/// What somebody has ahead of them by key, of those who have more than so much ahead in any of their rates.
fn aheads(
    cells: Vec<Arc<LimitCells>>,
    ahead: impl Fn(&RateCell) -> u64,
    more_than: u64,
) -> HashMap<String, Aheads> {
    let mut all: HashMap<String, Aheads> = HashMap::new();
    for cells in cells {
        let aheads = RATES.map(|kind| cells.cell(kind).map_or(0, &ahead));
        if aheads.iter().any(|ahead| *ahead > more_than) {
            let entry = all.entry(keys::rates(&cells)).or_default();
            for (most, ahead) in entry.iter_mut().zip(aheads) {
                *most = ahead.max(*most);
            }
        }
    }
    all
}
