//! Usage of a period, as the difference of what a key had used by its end and by its beginning.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use weighbridge_ledger::{KeyTotal, Rollup, UsageBy, UsageKey, UsageQuery, differences};
use weighbridge_units::KeyId;

use super::rows::{StoreError, id_column, read_rollup};

/// Keys are found one after another: there are far fewer of them than rows.
const NEXT_KEY: &str = "SELECT key FROM key_total WHERE key > ?1 ORDER BY key LIMIT 1";
const NEXT_HOUR: &str =
    "SELECT hour FROM key_total WHERE key = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour LIMIT 1";
/// The columns that [`read_rollup`] reads, and what comes behind the table's name.
macro_rules! select_totals {
    ($rest:literal) => {
        concat!(
            "SELECT key, hour, 0, 0, attempts, succeeded, estimated, cost, charged, input, cache_read, \
             cache_write_5m, cache_write_1h, input_audio, output, reasoning, output_audio, web_search, \
             tool_prompt, output_image, input_image, images, images_given, characters, seconds, seconds_made, \
             pages, calls, file_search, map_search, code_sessions FROM key_total ",
            $rest
        )
    };
}
const TOTAL_BEFORE: &str = select_totals!("WHERE key = ?1 AND hour < ?2 ORDER BY hour DESC LIMIT 1");
const ALL_TOTALS: &str = select_totals!("ORDER BY key, hour");

const DAY_HOURS: i64 = 24;

/// Usage of a period by key, or by key and day. It takes as long for a year as for an hour, and is exact for any hours.
pub(super) fn usage(db: &Connection, query: &UsageQuery) -> Result<Vec<(UsageKey, Rollup)>, StoreError> {
    // All rows are of one moment.
    let snapshot = Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
    let mut next_key = snapshot.prepare_cached(NEXT_KEY)?;
    let mut totals = Vec::new();
    if let Some(key) = query.of.key {
        add_totals(&snapshot, query, id_column(key.get()), &mut totals)?;
        return Ok(differences(totals, query));
    }
    let mut key = -1;
    while let Some(next) = next_key.query_row([key], |row| row.get(0)).optional()? {
        key = next;
        add_totals(&snapshot, query, key, &mut totals)?;
    }
    Ok(differences(totals, query))
}

/// What a key had used as the period begins, and as it ends, or as each of its days ends in which something was used.
fn add_totals(
    db: &Connection,
    query: &UsageQuery,
    key: i64,
    totals: &mut Vec<KeyTotal>,
) -> Result<(), StoreError> {
    let mut total_before = db.prepare_cached(TOTAL_BEFORE)?;
    let mut add = |end: i64| -> Result<(), StoreError> {
        let found = total_before.query_row((key, end), read_rollup).optional()?;
        let hour = end.saturating_sub(1);
        totals.extend(found.map(|(of, total)| KeyTotal { key: of.key, hour, total }));
        Ok(())
    };
    let (from, until) = (query.of.from_hour, query.of.until_hour);
    add(from)?;
    if query.by != UsageBy::Day {
        return add(until);
    }
    let mut next_hour = db.prepare_cached(NEXT_HOUR)?;
    let mut begin = from;
    while let Some(hour) = next_hour.query_row((key, begin, until), |row| row.get::<_, i64>(0)).optional()? {
        let day_end = hour.div_euclid(DAY_HOURS).saturating_add(1).saturating_mul(DAY_HOURS);
        begin = day_end.min(until);
        add(begin)?;
    }
    Ok(())
}

/// A row of the table: key and hour, and the total.
type HourTotal = ((KeyId, i64), Rollup);

/// All of the table, by key and hour.
pub(super) fn all(db: &Connection) -> Result<Vec<HourTotal>, StoreError> {
    let mut statement = db.prepare(ALL_TOTALS)?;
    let totals = statement.query_map([], read_rollup)?;
    Ok(totals.map(|row| row.map(|(of, total)| ((of.key, of.hour), total))).collect::<Result<_, _>>()?)
}
