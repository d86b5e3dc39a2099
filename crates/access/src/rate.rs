use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

use crate::Share;

/// One minute, in the nanoseconds that a cell counts in.
pub(crate) const WINDOW: u64 = 60_000_000_000;

/// A rate limit per minute in one atomic word (GCRA, the generic cell rate algorithm).
///
/// The word is the instant at which everything taken so far will have drained at the limit's rate.
/// There is room as long as that instant lies at most a minute ahead: a cell at rest admits a whole
/// minute's worth at once, and refills steadily from then on. The instant means the same for every
/// limit, so it can be carried over when a limit changes.
///
/// A unit's time is rounded down to whole nanoseconds: up to some hundred thousand per minute a burst
/// from rest admits exactly the limit, and above that it is off by less than 2 %.
#[derive(Debug)]
pub struct RateCell {
    per_minute: u64,
    drained_at: AtomicU64,
    /// The same of all instances together, as far as it is known here; 0 where they are not counted together.
    fleet_drained_at: AtomicU64,
}

/// What was taken from a [`RateCell`]: give it back with [`RateCell::give_back`], or correct it with
/// [`RateCell::correct`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was taken counts until it is given back"]
pub struct Take {
    /// The instant from which the taken units drain.
    start: u64,
    /// How long they take to drain.
    length: u64,
}

impl Take {
    /// What was taken before and what was taken now, as if all of it had been taken now, one after the other.
    pub(crate) const fn joined(before: Option<Self>, Self { start, length }: Self) -> Self {
        let before = match before {
            Some(before) => before.length,
            None => 0,
        };
        Self { start: start.saturating_sub(before), length: length.saturating_add(before) }
    }
}

/// How a limit stands: the figures of the `x-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Units per minute.
    pub limit: u64,
    /// Units that would be admitted now.
    pub remaining: u64,
    /// Time until the whole limit is free again if nothing more is taken.
    pub reset: Duration,
}

impl RateCell {
    /// The largest limit that is counted.
    pub const MAX_PER_MINUTE: u64 = 1_000_000_000;

    /// A cell at rest. Limits above [`RateCell::MAX_PER_MINUTE`] count as that; 0 admits nothing.
    pub const fn new(per_minute: u64) -> Self {
        let per_minute = if per_minute > Self::MAX_PER_MINUTE { Self::MAX_PER_MINUTE } else { per_minute };
        Self::of_money(per_minute)
    }

    /// A cell at rest for nano-dollars, which are many.
    pub const fn of_money(per_minute: u64) -> Self {
        Self { per_minute, drained_at: AtomicU64::new(0), fleet_drained_at: AtomicU64::new(0) }
    }

    /// A cell with another limit that has drained as far as this one.
    #[must_use]
    pub fn with_limit(&self, per_minute: u64) -> Self {
        let cell = Self::of_money(per_minute);
        for (new, old) in
            [(&cell.drained_at, &self.drained_at), (&cell.fleet_drained_at, &self.fleet_drained_at)]
        {
            new.store(old.load(Ordering::Acquire), Ordering::Release);
        }
        cell
    }

    /// Units per minute.
    pub const fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Takes units, all or none.
    ///
    /// # Errors
    /// How long to wait until the units would be there. Where they are more than a whole minute's
    /// worth, that is the time until the cell is at rest, and waiting will not help.
    pub fn take(&self, units: u64, now: Monotonic) -> Result<Take, Duration> {
        self.take_of(Share::WHOLE, units, now)
    }

    /// As [`Self::take`], out of a part of the limit. A part begins as far used as all of it is known to be:
    /// whoever falls back on it gets no fresh minute.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_of(&self, share: Share, units: u64, now: Monotonic) -> Result<Take, Duration> {
        let now = nanos(now);
        let per_minute = share.of(self.per_minute);
        let length = duration(per_minute, units);
        let floor =
            if share.is_whole() { now } else { now.max(self.fleet_drained_at.load(Ordering::Acquire)) };
        let mut drained_at = self.drained_at.load(Ordering::Acquire);
        loop {
            let start = drained_at.max(floor);
            let end = start.saturating_add(length);
            let ahead = end - now;
            if per_minute == 0 {
                return Err(Duration::from_nanos(WINDOW));
            }
            if ahead > WINDOW {
                let wait = if length > WINDOW { start - now } else { ahead - WINDOW };
                return Err(Duration::from_nanos(wait));
            }
            match self.swap(drained_at, end) {
                Ok(()) => return Ok(Take { start, length }),
                Err(current) => drained_at = current,
            }
        }
    }

    /// Gives everything back that has not drained since: as if it had not been taken.
    ///
    /// One word cannot tell whose units are left. Where others gave theirs back in between, as much as
    /// those may be given back too much.
    pub fn give_back(&self, take: Take, now: Monotonic) {
        self.shorten(take.start, take.length, 0, nanos(now));
    }

    /// Replaces the units taken by the true number, which may lie above the limit. What is owed counts
    /// from now on, and drains before anything else is admitted.
    pub fn correct(&self, take: Take, units: u64, now: Monotonic) {
        self.correct_of(Share::WHOLE, take, units, now);
    }

    /// As [`Self::correct`], of what was taken out of that part of the limit.
    pub fn correct_of(&self, share: Share, take: Take, units: u64, now: Monotonic) {
        let (now, length) = (nanos(now), duration(share.of(self.per_minute), units));
        if length <= take.length {
            self.shorten(take.start, take.length, length, now);
            return;
        }
        let more = length - take.length;
        let mut drained_at = self.drained_at.load(Ordering::Acquire);
        while let Err(current) = self.swap(drained_at, drained_at.max(now).saturating_add(more)) {
            drained_at = current;
        }
    }

    /// Counts what was taken before this cell was made: units, and how long ago, the oldest first. A cell that is
    /// further used already stays as it is.
    pub fn resume(&self, taken: impl IntoIterator<Item = (Duration, u64)>, now: Monotonic) {
        let (mut ahead, mut before) = (0_u64, None);
        for (ago, units) in taken {
            let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
            ahead = ahead.saturating_sub(before.unwrap_or(ago).saturating_sub(ago));
            ahead = ahead.saturating_add(duration(self.per_minute, units));
            before = Some(ago);
        }
        let ahead = ahead.saturating_sub(before.unwrap_or(0));
        if ahead > 0 {
            self.drained_at.fetch_max(nanos(now).saturating_add(ahead), Ordering::AcqRel);
        }
    }

    /// How the limit stands: of all instances together where that is known to be more used.
    pub fn standing(&self, now: Monotonic) -> Standing {
        standing(self.per_minute, self.known_ahead(now))
    }

    /// How long what was taken here needs to drain, in nanoseconds.
    pub fn own_ahead(&self, now: Monotonic) -> u64 {
        self.drained_at.load(Ordering::Acquire).saturating_sub(nanos(now))
    }

    /// How long what is known to have been taken, here or by all instances together, needs to drain, in nanoseconds.
    pub fn known_ahead(&self, now: Monotonic) -> u64 {
        let fleet = self.fleet_drained_at.load(Ordering::Acquire).saturating_sub(nanos(now));
        fleet.max(self.own_ahead(now))
    }

    /// Notes how long what all instances together have taken needs to drain, in nanoseconds.
    pub fn note_fleet(&self, ahead: u64, now: Monotonic) {
        self.fleet_drained_at.store(nanos(now).saturating_add(ahead), Ordering::Release);
    }

    /// Frees what lies between `kept` and `length` of an interval, as far as it is yet to come.
    fn shorten(&self, start: u64, length: u64, kept: u64, now: u64) {
        let to_come = start.saturating_add(length).saturating_sub(now);
        let free = to_come.min(length - kept);
        let mut drained_at = self.drained_at.load(Ordering::Acquire);
        loop {
            let shorter = drained_at.saturating_sub(free);
            match self.swap(drained_at, shorter) {
                Ok(()) => return,
                Err(current) => drained_at = current,
            }
        }
    }

    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        self.drained_at.compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }
}

/// The time that units take to drain at so many per minute, in nanoseconds.
pub(crate) fn duration(per_minute: u64, units: u64) -> u64 {
    let exact = (u128::from(units) * u128::from(WINDOW)).checked_div(u128::from(per_minute));
    u64::try_from(exact.unwrap_or(0)).unwrap_or(u64::MAX)
}

/// How a limit stands whose use needs so many nanoseconds to drain.
pub(crate) fn standing(per_minute: u64, ahead: u64) -> Standing {
    let free = u128::from(WINDOW.saturating_sub(ahead));
    let remaining = u64::try_from(free * u128::from(per_minute) / u128::from(WINDOW)).unwrap_or(0);
    Standing { limit: per_minute, remaining, reset: Duration::from_nanos(ahead) }
}

fn nanos(now: Monotonic) -> u64 {
    now.as_micros().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_micros(1_000_000_000 + millis * 1_000)
    }

    fn remaining(cell: &RateCell, now: Monotonic) -> u64 {
        cell.standing(now).remaining
    }

    #[test]
    fn a_cell_at_rest_admits_its_limit_and_refills_steadily() {
        let cell = RateCell::new(60);
        let takes: Vec<_> = (0..60).map(|_| cell.take(1, at(0)).unwrap()).collect();
        assert_eq!(cell.take(1, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(cell.take(1, at(999)), Err(Duration::from_millis(1)));
        assert_eq!(remaining(&cell, at(10_000)), 10);
        assert!(cell.take(11, at(10_000)).is_err());
        assert!(cell.take(10, at(10_000)).is_ok());
        assert_eq!(takes.len(), 60);
    }

    #[test]
    fn zero_blocks_and_more_than_a_minute_never_passes() {
        assert!(RateCell::new(0).take(0, at(0)).is_err());
        let cell = RateCell::new(10);
        assert_eq!(cell.take(11, at(0)), Err(Duration::ZERO));
        assert_eq!(remaining(&cell, at(0)), 10);
    }

    #[test]
    fn r8_what_has_drained_is_not_given_back() {
        let cell = RateCell::new(60);
        let first = cell.take(60, at(0)).unwrap();
        let second = cell.take(60, at(60_000)).unwrap();
        cell.give_back(first, at(61_000));
        assert_eq!(remaining(&cell, at(61_000)), 1, "the second minute's use must still count");
        cell.give_back(second, at(61_000));
        assert_eq!(remaining(&cell, at(61_000)), 60);
    }

    #[test]
    fn r8_the_truth_replaces_the_estimate_in_both_directions() {
        let cell = RateCell::new(1_000);
        let take = cell.take(900, at(0)).unwrap();
        cell.correct(take, 100, at(0));
        assert_eq!(remaining(&cell, at(0)), 900);
        let take = cell.take(100, at(0)).unwrap();
        cell.correct(take, 2_900, at(0)); // 3,000 in all: two minutes of debt
        assert_eq!(remaining(&cell, at(0)), 0);
        assert_eq!(cell.take(1, at(120_000)), Err(Duration::from_millis(60)));
        assert_eq!(remaining(&cell, at(180_000)), 1_000);
    }

    #[test]
    fn r8_what_is_owed_counts_from_the_moment_it_is_known() {
        let cell = RateCell::new(60);
        let take = cell.take(10, at(0)).unwrap();
        cell.correct(take, 40, at(30_000)); // the ten have drained, thirty more are known of now
        assert_eq!(remaining(&cell, at(30_000)), 30);
    }

    #[test]
    fn another_limit_inherits_the_share_that_is_used() {
        let cell = RateCell::new(100);
        let _kept = cell.take(50, at(0)).unwrap();
        assert_eq!(remaining(&cell.with_limit(10), at(0)), 5);
        assert_eq!(remaining(&cell.with_limit(1_000), at(0)), 500);
    }

    proptest! {
        /// As if the cell had been there all the time.
        #[test]
        fn c7_a_cell_that_resumes_stands_where_its_former_self_stood(
            mut taken in prop::collection::vec((0_u64..90_000, 0_u64..40), 0..40),
        ) {
            taken.sort_unstable();
            let (before, after) = (RateCell::new(60), RateCell::new(60));
            for (millis, units) in &taken {
                let take = RateCell::take(&before, 0, at(*millis)).or_else(|_| RateCell::new(60).take(0, at(*millis)));
                before.correct(take.unwrap(), *units, at(*millis));
            }
            let now = 90_000;
            let ago = |millis| Duration::from_millis(now - millis);
            after.resume(taken.iter().map(|(millis, units)| (ago(*millis), *units)), at(now));
            prop_assert_eq!(after.own_ahead(at(now)), before.own_ahead(at(now)));
            // A second time, or less than is known already, changes nothing.
            after.resume([(Duration::ZERO, 0)], at(now));
            prop_assert_eq!(after.own_ahead(at(now)), before.own_ahead(at(now)));
        }
    }

    #[test]
    fn threads_never_take_more_than_the_limit() {
        let cell = RateCell::new(1_000);
        let taken: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1_000).filter(|_| cell.take(1, at(0)).is_ok()).count() as u64))
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn r8_threads_that_give_all_back_leave_the_cell_at_rest() {
        let cell = RateCell::new(1_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for units in (1..40).cycle().take(2_000) {
                        if let Ok(take) = cell.take(units, at(0)) {
                            cell.give_back(take, at(0));
                        }
                    }
                });
            }
        });
        assert_eq!(cell.standing(at(0)), Standing { limit: 1_000, remaining: 1_000, reset: Duration::ZERO });
    }

    proptest! {
        #[test]
        fn a_burst_admits_the_limit_exactly(limit in 1_u64..2_000, units in 1_u64..50) {
            let cell = RateCell::new(limit);
            let admitted = (0..limit + 1).filter(|_| cell.take(units, at(0)).is_ok()).count() as u64;
            prop_assert_eq!(admitted, limit / units);
            prop_assert_eq!(remaining(&cell, at(0)), limit % units);
        }

        /// Against the plainest model: in no stretch of time is more admitted than the limit at its
        /// start plus what refills during it.
        #[test]
        fn no_stretch_of_time_admits_more_than_a_full_cell_and_its_refill(
            limit in 1_u64..500, steps in proptest::collection::vec((0_u64..5_000, 1_u64..60), 1..60)
        ) {
            let cell = RateCell::new(limit);
            let (mut now, mut admitted) = (0, Vec::new());
            for (pause, units) in steps {
                now += pause;
                match cell.take(units, at(now)) {
                    Ok(_) => admitted.push((now, units)),
                    Err(wait) if units <= limit => {
                        // The promise holds: after the wait there is room.
                        let later = at(now) + wait + Duration::from_micros(1);
                        prop_assert!(remaining(&cell, later) >= units);
                    }
                    Err(_) => {}
                }
            }
            for (first, (start, _)) in admitted.iter().enumerate() {
                let mut sum = 0;
                for (end, units) in &admitted[first..] {
                    sum += units;
                    let most = limit * 60_000 + limit * (end - start);
                    prop_assert!(sum * 60_000 <= most, "{} units in {} ms", sum, end - start);
                }
            }
        }

        #[test]
        fn r8_giving_back_at_once_is_as_if_nothing_was_taken(
            limit in 1_u64..1_000_000_000, before in 0_u64..2_000, units in 0_u64..2_000, now in 0_u64..100_000
        ) {
            let cell = RateCell::new(limit);
            let _kept = cell.take(before, at(0));
            let standing = cell.standing(at(now));
            if let Ok(take) = cell.take(units, at(now)) {
                cell.give_back(take, at(now));
            }
            prop_assert_eq!(cell.standing(at(now)), standing);
        }

        #[test]
        fn no_number_overflows(limit in any::<u64>(), units in any::<u64>(), truth in any::<u64>(), a in any::<u64>(), b in any::<u64>()) {
            let cell = RateCell::new(limit);
            if let Ok(take) = cell.take(units, Monotonic::from_micros(a)) {
                cell.correct(take, truth, Monotonic::from_micros(b));
            }
            let standing = cell.standing(Monotonic::from_micros(b));
            prop_assert!(standing.remaining <= standing.limit);
        }
    }
}
