//! Usage of a period, as the difference of what a key had used by its end and by its beginning.

use weighbridge_ledger::{KeyTotal, Rollup, UsageBy, UsageKey, UsageQuery, differences};
use weighbridge_units::KeyId;

use super::rows::{id_column, read_rollup};
use crate::error::DbError;
use crate::session::Session;

/// Rows are found by their index, one after another, and nothing is compiled for it: the server takes the questions for far
/// larger ones than they are, and compiling takes it a second.
pub(crate) const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

/// `WITH` and the keys between `$1` and `$2` that have used something, found one after another: there are far fewer of
/// them than rows. Then, for each key and each hour `ends`.`at` of `$ends`, the last total before it, by key and hour.
macro_rules! totals_before {
    ($ends:literal) => {
        concat!(
            "WITH RECURSIVE used (key) AS ( \
             (SELECT key FROM key_total WHERE key BETWEEN $1 AND $2 ORDER BY key LIMIT 1) \
             UNION ALL \
             SELECT (SELECT later.key FROM key_total AS later WHERE later.key > used.key AND later.key <= $2 \
             ORDER BY later.key LIMIT 1) FROM used WHERE used.key IS NOT NULL) \
             SELECT used.key, ends.at - 1, 0::bigint, 0::bigint, attempts, succeeded, estimated, cost, charged, counts \
             FROM used CROSS JOIN LATERAL (", $ends, ") AS ends (at) \
             CROSS JOIN LATERAL (SELECT * FROM key_total AS total WHERE total.key = used.key \
             AND total.hour < ends.at ORDER BY total.hour DESC LIMIT 1) AS total \
             WHERE used.key IS NOT NULL ORDER BY used.key, ends.at"
        )
    };
}
const BY_KEY: &str = totals_before!("VALUES ($3::bigint), ($4::bigint)");
/// From the first day of the period in which a key has used something to the last, which are found once (`OFFSET`).
const BY_DAY: &str = totals_before!(
    "SELECT CASE WHEN day < first / 24 THEN $3::bigint ELSE least((day + 1) * 24, $4::bigint) END \
     FROM (SELECT (SELECT hour FROM key_total WHERE key = used.key AND hour >= $3 ORDER BY hour LIMIT 1), \
     (SELECT hour FROM key_total WHERE key = used.key AND hour < $4 ORDER BY hour DESC LIMIT 1) OFFSET 0) \
     AS within (first, last), generate_series(first / 24 - 1, last / 24) AS day"
);
const ALL_TOTALS: &str = "SELECT key, hour, 0::bigint, 0::bigint, attempts, succeeded, estimated, cost, charged, \
     counts FROM key_total ORDER BY key, hour";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 3] = [BY_KEY, BY_DAY, ALL_TOTALS];

/// Usage of a period by key, or by key and day. It takes as long for a year as for an hour, and is exact for any hours.
pub(super) async fn usage(
    session: &mut Session,
    query: &UsageQuery,
) -> Result<Vec<(UsageKey, Rollup)>, DbError> {
    let select = if query.by == UsageBy::Day { BY_DAY } else { BY_KEY };
    let (first, last) = match query.of.key {
        Some(key) => (id_column(key.get()), id_column(key.get())),
        None => (0, i64::MAX),
    };
    // One hour further on than can be, so that the hour before it is a number, too.
    let from = query.of.from_hour.max(i64::MIN + 1);
    let found = session.query_within(BEGIN, select, &[&first, &last, &from, &query.of.until_hour]).await?;
    let totals = found.iter().map(read_rollup).map(|row| {
        let (of, total) = row?;
        Ok(KeyTotal { key: of.key, hour: of.hour, total })
    });
    Ok(differences(totals.collect::<Result<Vec<_>, DbError>>()?, query))
}

/// A row of the table: key and hour, and the total.
type HourTotal = ((KeyId, i64), Rollup);

/// All of the table, by key and hour.
pub(super) async fn all(session: &mut Session) -> Result<Vec<HourTotal>, DbError> {
    let totals = session.query(ALL_TOTALS, &[]).await?;
    totals.iter().map(|row| read_rollup(row).map(|(of, total)| ((of.key, of.hour), total))).collect()
}
