use std::ops::Range;

use weighbridge_units::KeyId;

use super::Violation;
use crate::{LedgerStore, RollupQuery, UsageBy, UsageQuery, add_up};

/// Compares the usage of periods in and around these hours with what the store's own roll-ups add up to (rule L5), of
/// all keys, of key 3 and of one that nobody has. Unlike [`check_usage`](super::check_usage), it takes the store as
/// somebody else has filled it, such as an earlier release. Gives the number of sums that were told.
///
/// # Errors
/// The first [`Violation`], whose seed means nothing.
pub async fn check_totals(store: &dyn LedgerStore, hours: Range<i64>) -> Result<usize, Violation> {
    let Range { start, end } = hours;
    let periods =
        [(i64::MIN, i64::MAX), (start, end), (start + 1, end - 7), (start + 30, start + 31), (end, start)];
    let (mut step, mut sums) = (0, 0);
    for (from_hour, until_hour) in periods {
        for key in [None, Some(KeyId::from_bits(3)), Some(KeyId::from_bits(999_999))] {
            for by in [UsageBy::Key, UsageBy::Day] {
                step += 1;
                let violation = |what| Violation { seed: 0, step, what };
                let read = |error| violation(format!("the store answers: {error}"));
                let of = RollupQuery { key, from_hour, until_hour };
                let right = add_up(store.rollups(of).await.map_err(read)?, by);
                let found = store.usage(UsageQuery { of, by }).await.map_err(read)?;
                if found != right {
                    return Err(violation(format!(
                        "L5: {of:?} by {by:?} is {found:?}, and must be {right:?}"
                    )));
                }
                sums += found.len();
            }
        }
    }
    Ok(sums)
}
