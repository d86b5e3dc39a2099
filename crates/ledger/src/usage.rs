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
