use std::fmt;
use std::time::Duration;

use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, Timestamp};

use super::{Violation, plain_facts, plain_reserve};
use crate::{Ledger, LedgerError, LedgerStore, Reserve, RollupQuery, UsageBy, UsageQuery};

/// A long period of a large installation: each key uses each model once in every hour. A store is filled with it in a
/// way of its own, and asked by [`Month::ask`] how long usage takes to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// How many keys there are; their ids are 1 and those that follow.
    pub keys: u64,
    /// How many hours it has, from [`Month::FIRST_HOUR`] on.
    pub hours: i64,
    /// How many models each key uses.
    pub models: i64,
}

/// How long questions of one kind took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// What was asked for.
    pub what: String,
    /// Each answer's time, the shortest first.
    pub times: Vec<Duration>,
}

impl Month {
    /// The first hour, that of the first of November 2026.
    pub const FIRST_HOUR: i64 = 498_264;
    /// Hours by which the questions about all keys begin later than each other: most of them begin within a day.
    const SKIPPED: u64 = 48;

    /// Thirty days of 14 models: ten million roll-ups for a thousand keys.
    pub const fn of(keys: u64) -> Self {
        Self { keys, hours: 720, models: 14 }
    }

    /// Asks for the months of single keys, then for such of all keys at once, each kind so many times, and counts what
    /// is told. `clock` says how late it is.
    ///
    /// # Errors
    /// A [`Violation`] where an answer lacks a roll-up or has one too many; its seed means nothing.
    pub async fn ask(
        &self,
        store: &dyn LedgerStore,
        times: u64,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Vec<Took>, Violation> {
        let mut all = Vec::new();
        for by in [UsageBy::Key, UsageBy::Model, UsageBy::Day] {
            let mut took = Took { what: format!("one key's month by {by:?}"), times: Vec::new() };
            for number in 0..times {
                // Some other key each time, so that little of it is remembered.
                let key = KeyId::from_bits(1 + number * 7_919 % self.keys);
                took.times.push(self.ask_once(store, Some(key), by, 0, clock).await?);
            }
            all.push(took.sorted());
        }
        for by in [UsageBy::Key, UsageBy::Day] {
            let mut took =
                Took { what: format!("all {} keys' month by {by:?}", self.keys), times: Vec::new() };
            for number in 0..times {
                let skipped = (number % Self::SKIPPED).cast_signed();
                took.times.push(self.ask_once(store, None, by, skipped, clock).await?);
            }
            all.push(took.sorted());
        }
        Ok(all)
    }

    /// Asks for the month, less so many hours of its beginning.
    async fn ask_once(
        &self,
        store: &dyn LedgerStore,
        key: Option<KeyId>,
        by: UsageBy,
        skipped: i64,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Duration, Violation> {
        let violation = |what| Violation { seed: 0, step: 0, what };
        let (from_hour, until_hour) = (Self::FIRST_HOUR + skipped, Self::FIRST_HOUR + self.hours);
        let query = UsageQuery { of: RollupQuery { key, from_hour, until_hour }, by };
        let began = clock();
        let found = store.usage(query).await.map_err(|error| violation(format!("{query:?}: {error}")))?;
        let took = clock().saturating_sub(began);
        let told: i64 = found.iter().map(|(_, rollup)| rollup.attempts).sum();
        let keys = if key.is_some() { 1 } else { self.keys.cast_signed() };
        let right = (self.hours - skipped) * self.models * keys;
        match told == right {
            true => Ok(took),
            false => Err(violation(format!("{query:?}: {told} attempts are told, and there are {right}"))),
        }
    }

    /// Enters an attempt in the hour behind the month: what goes on while it is asked for.
    ///
    /// # Errors
    /// [`LedgerError`] where it is not reserved.
    pub async fn enter(&self, ledger: &Ledger, number: u64) -> Result<(), LedgerError> {
        let at = Timestamp::from_secs((Self::FIRST_HOUR + self.hours) * 3_600);
        let attempt = AttemptId::new(at, u128::from(number));
        let key = KeyId::from_bits(1 + number * 31 % self.keys);
        let reservation = ledger.reserve(Reserve { key, ..plain_reserve(attempt, at) }).await?;
        reservation.end(plain_facts(AttemptOutcome::Success, at));
        Ok(())
    }
}

impl Took {
    fn sorted(mut self) -> Self {
        self.times.sort_unstable();
        self
    }

    fn at(&self, percent: usize) -> Duration {
        self.times.get(self.times.len() * percent / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (middle, late, most) = (self.at(50), self.at(99), self.times.last().copied().unwrap_or_default());
        write!(f, "{}: p50 {middle:?}, p99 {late:?}, most {most:?}, of {}", self.what, self.times.len())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use futures::executor::block_on;

    use super::*;
    use crate::MemoryLedger;

    #[test]
    fn a_month_is_told_whole_or_found_wanting() {
        let month = Month { keys: 3, hours: 60, models: 2 };
        let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
        let mut number = 0;
        for hour in 0..month.hours {
            for (key, model) in (1..=month.keys).flat_map(|key| [(key, "small"), (key, "large")]) {
                number += 1;
                let at = Timestamp::from_secs((Month::FIRST_HOUR + hour) * 3_600);
                let reserve = plain_reserve(AttemptId::from_u128(number), at);
                let reserve = Reserve { key: KeyId::from_bits(key), model: model.into(), ..reserve };
                block_on(ledger.reserve(reserve)).unwrap().end(plain_facts(AttemptOutcome::Success, at));
            }
        }
        // The attempt that is entered behind the month is none of its own.
        block_on(month.enter(&ledger, 1)).unwrap();
        ledger.flush();
        let now = Cell::new(Duration::ZERO);
        let clock = || {
            now.set(now.get() + Duration::from_millis(3));
            now.get()
        };
        let store = &**ledger.store();
        let took = block_on(month.ask(store, 100, &clock)).unwrap();
        let told: Vec<_> = took.iter().map(ToString::to_string).collect();
        assert_eq!(told[0], "one key's month by Key: p50 3ms, p99 3ms, most 3ms, of 100");
        assert_eq!((told.len(), &*took[4].what), (5, "all 3 keys' month by Day"));

        for wrong in [Month { keys: 4, ..month }, Month { models: 1, ..month }, Month { models: 3, ..month }]
        {
            assert!(block_on(wrong.ask(store, 100, &clock)).is_err(), "{wrong:?}");
        }
    }
}
