//! Usage, told apart by what is asked for.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use weighbridge_ledger::{EntityId, Rollup, RollupKey, UsageBy, UsageKey, add_up};
use weighbridge_units::KeyId;

fn rollup(key: u64, model: &str, hour: i64, attempts: i64) -> (RollupKey, Rollup) {
    let (provider, model) = (EntityId::of("openai"), EntityId::of(model));
    let sum = Rollup { attempts, ..Rollup::default() };
    (RollupKey { key: KeyId::from_bits(key), provider, model, hour }, sum)
}

#[test]
fn l5_usage_is_told_apart_by_what_is_asked_for_and_loses_nothing() {
    // Of two keys, two models, and the last and first hours of three days; each counts as a digit of its own.
    let rollups = [
        rollup(1, "a", -1, 1),
        rollup(1, "a", 0, 10),
        rollup(1, "b", 23, 100),
        rollup(1, "a", 24, 1_000),
        rollup(2, "a", 24, 10_000),
    ];
    let sums = |by| -> Vec<_> {
        let sums = add_up(rollups, by);
        let told = |(key, sum): (UsageKey, Rollup)| {
            let model = key.model.map(|(provider, model)| {
                assert_eq!(provider, EntityId::of("openai"));
                if model == EntityId::of("a") { "a" } else { "b" }
            });
            (key.key.get(), model, key.day, sum.attempts)
        };
        let mut told: Vec<_> = sums.into_iter().map(told).collect();
        told.sort_unstable();
        told
    };
    assert_eq!(sums(UsageBy::Key), [(1, None, None, 1_111), (2, None, None, 10_000)]);
    assert_eq!(
        sums(UsageBy::Model),
        [(1, Some("a"), None, 1_011), (1, Some("b"), None, 100), (2, Some("a"), None, 10_000)]
    );
    assert_eq!(
        sums(UsageBy::Day),
        [
            (1, None, Some(-1), 1),
            (1, None, Some(0), 110),
            (1, None, Some(1), 1_000),
            (2, None, Some(1), 10_000)
        ]
    );
}
