use std::collections::BTreeMap;

use weighbridge_units::KeyId;

use crate::{EntityId, Rollup, RollupKey, RollupQuery};

/// What usage is told apart by, beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageBy {
    /// Nothing: one sum for each key.
    Key,
    /// The provider and its model.
    Model,
    /// The day (UTC) in which attempts were opened.
    Day,
}

/// Which usage is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// Whose, and when.
    pub of: RollupQuery,
    /// Told apart by what.
    pub by: UsageBy,
}

/// Whose usage a sum is. What it is not told apart by is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    /// The virtual key.
    pub key: KeyId,
    /// The provider's and the model's names.
    pub model: Option<(EntityId, EntityId)>,
    /// Days since the Unix epoch.
    pub day: Option<i64>,
}

const DAY_HOURS: i64 = 24;

impl UsageKey {
    /// The sum that a roll-up counts in.
    pub fn of(rollup: &RollupKey, by: UsageBy) -> Self {
        let day = rollup.hour.div_euclid(DAY_HOURS);
        Self {
            key: rollup.key,
            model: (by == UsageBy::Model).then_some((rollup.provider, rollup.model)),
            day: (by == UsageBy::Day).then_some(day),
        }
    }
}

/// Roll-ups, added up: what every store's [`usage`](crate::LedgerStore::usage) answers.
pub fn add_up(
    rollups: impl IntoIterator<Item = (RollupKey, Rollup)>,
    by: UsageBy,
) -> Vec<(UsageKey, Rollup)> {
    let mut sums: BTreeMap<UsageKey, Rollup> = BTreeMap::new();
    for (key, rollup) in rollups {
        sums.entry(UsageKey::of(&key, by)).or_default().add(&rollup);
    }
    sums.into_iter().collect()
}

/// What a key had used by the end of an hour in which it used anything, since its first attempt. The usage of any period
/// is the difference of two of them, however much lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTotal {
    /// The virtual key.
    pub key: KeyId,
    /// The hour, since the Unix epoch. What stands for a [`UsageQuery`] may have a later one, up to which nothing is added.
    pub hour: i64,
    /// The sum over all hours up to this one, itself included.
    pub total: Rollup,
}

/// What roll-ups come to hour by hour, by key and hour: what stores keep beside them to answer [`differences`].
pub fn running_totals(rollups: impl IntoIterator<Item = (RollupKey, Rollup)>) -> Vec<KeyTotal> {
    let mut hours: BTreeMap<(KeyId, i64), Rollup> = BTreeMap::new();
    for (of, rollup) in rollups {
        hours.entry((of.key, of.hour)).or_default().add(&rollup);
    }
    let mut totals: Vec<KeyTotal> = Vec::with_capacity(hours.len());
    for ((key, hour), rollup) in hours {
        let before = totals.last().filter(|last| last.key == key);
        let mut total = before.map_or_else(Rollup::default, |last| last.total);
        total.add(&rollup);
        totals.push(KeyTotal { key, hour, total });
    }
    totals
}

/// The usage of a period, from running totals by key and hour: of each key the total as the period begins, which has an hour
/// before it and may be missing where it is nothing, and the total as the period ends, or as each of its days ends.
///
/// What is told apart by model is in no totals: ask [`add_up`].
pub fn differences(
    totals: impl IntoIterator<Item = KeyTotal>,
    query: &UsageQuery,
) -> Vec<(UsageKey, Rollup)> {
    let mut before: Option<(KeyId, Rollup)> = None;
    let mut found = Vec::new();
    for KeyTotal { key, hour, total } in totals {
        let base = before.filter(|(of, _)| *of == key).map_or_else(Rollup::default, |(_, total)| total);
        before = Some((key, total));
        let used = total.since(&base);
        if hour < query.of.from_hour || used == Rollup::default() {
            continue;
        }
        let day = (query.by == UsageBy::Day).then(|| hour.div_euclid(DAY_HOURS));
        found.push((UsageKey { key, model: None, day }, used));
    }
    found
}
