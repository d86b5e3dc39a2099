//! Questions to the ledger that nobody's request waits for.

use weighbridge_ledger::{
    AccountId, Act, AttemptEntry, Balance, CommandId, EntityId, Fact, Intent, JournalRow, Rollup, RollupKey,
    RollupQuery, UsageBy, UsageKey, UsageQuery,
};
use weighbridge_units::{AttemptId, Bucket};

use super::key_totals;
use super::load::{SELECT_BALANCES, SELECT_COMMANDS, SELECT_OPEN, find_ended};
use super::rows::{
    attempt_column, column, command_column, id_column, read_attempt, read_balance, read_entry, read_hash,
    read_intent, read_number, read_rollup,
};
use crate::error::DbError;
use crate::session::Session;

const ALL_OPEN: &str = "SELECT attempt, book, body FROM open_attempt ORDER BY attempt";
const ALL_BALANCES: &str = "SELECT account, posted, pending FROM balance ORDER BY account";
pub(super) const JOURNAL: &str =
    "SELECT seq, book, body, hash FROM entry WHERE seq > $1 ORDER BY seq LIMIT $2";
const ROLLUPS: &str = "SELECT key, hour, provider, model, attempts, succeeded, estimated, cost, charged, counts \
     FROM rollup WHERE key BETWEEN $1 AND $2 AND hour >= $3 AND hour < $4 ORDER BY key, provider, model, hour";
const USAGE_BY_MODEL: &str = "SELECT key, 0::bigint, provider, model, sum(attempts)::bigint, \
     sum(succeeded)::bigint, sum(estimated)::bigint, sum(cost)::bigint, sum(charged)::bigint, \
     ARRAY[sum(counts[1]), sum(counts[2]), sum(counts[3]), sum(counts[4]), sum(counts[5]), sum(counts[6]), \
     sum(counts[7]), sum(counts[8]), sum(counts[9]), sum(counts[10]), sum(counts[11]), sum(counts[12]), \
     sum(counts[13]), sum(counts[14]), sum(counts[15]), sum(counts[16]), sum(counts[17]), sum(counts[18]), \
     sum(counts[19]), sum(counts[20]), sum(counts[21]), sum(counts[22])]::bigint[] \
     FROM rollup WHERE key BETWEEN $1 AND $2 AND hour >= $3 AND hour < $4 \
     GROUP BY key, provider, model ORDER BY key, provider, model";
// The arrays' elements are the buckets.
const _: () = assert!(Bucket::ALL.len() == 22);
const NAME: &str = "SELECT text FROM name WHERE id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 6] = [ALL_OPEN, ALL_BALANCES, JOURNAL, ROLLUPS, USAGE_BY_MODEL, NAME];

/// The most rows that one command writes.
const COMMAND_ROWS: usize = 3;

pub(super) async fn open_attempts(session: &mut Session) -> Result<Vec<(AttemptId, Intent)>, DbError> {
    let mut open = Vec::new();
    for row in session.query(ALL_OPEN, &[]).await? {
        open.push((read_attempt(column(&row, 0)?)?, read_intent(column(&row, 1)?, column(&row, 2)?)?));
    }
    Ok(open)
}

pub(super) async fn attempt(
    session: &mut Session,
    attempt: AttemptId,
) -> Result<Option<AttemptEntry>, DbError> {
    // Open first: an attempt that ends between the two questions is found by the second.
    match session.query(SELECT_OPEN, &[&vec![attempt_column(attempt)]]).await?.first() {
        Some(row) => Ok(Some(AttemptEntry::Open(read_intent(column(row, 1)?, column(row, 2)?)?))),
        None => Ok(find_ended(session, attempt).await?.map(AttemptEntry::Ended)),
    }
}

pub(super) async fn balances(session: &mut Session) -> Result<Vec<(AccountId, Balance)>, DbError> {
    session.query(ALL_BALANCES, &[]).await?.iter().map(read_balance).collect()
}

pub(super) async fn balance(session: &mut Session, account: AccountId) -> Result<Balance, DbError> {
    let found = session.query(SELECT_BALANCES, &[&vec![id_column(account.get())]]).await?;
    Ok(found.first().map(read_balance).transpose()?.map(|(_, balance)| balance).unwrap_or_default())
}

pub(super) async fn journal(
    session: &mut Session,
    after: u64,
    limit: usize,
) -> Result<Vec<JournalRow>, DbError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut journal = Vec::new();
    for row in session.query(JOURNAL, &[&id_column(after), &limit]).await? {
        journal.push(JournalRow {
            seq: read_number(column(&row, 0)?)?,
            entry: read_entry(column(&row, 1)?, column(&row, 2)?)?,
            hash: read_hash(column(&row, 3)?)?,
        });
    }
    Ok(journal)
}

pub(super) async fn rollups(
    session: &mut Session,
    query: RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, DbError> {
    select_rollups(session, ROLLUPS, query).await
}

async fn select_rollups(
    session: &mut Session,
    select: &'static str,
    query: RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, DbError> {
    let (first, last) = match query.key {
        Some(key) => (id_column(key.get()), id_column(key.get())),
        None => (0, i64::MAX),
    };
    let found = session.query(select, &[&first, &last, &query.from_hour, &query.until_hour]).await?;
    found.iter().map(read_rollup).collect()
}

pub(super) async fn usage(
    session: &mut Session,
    query: UsageQuery,
) -> Result<Vec<(UsageKey, Rollup)>, DbError> {
    if query.by != UsageBy::Model {
        return key_totals::usage(session, &query).await;
    }
    let sums = select_rollups(session, USAGE_BY_MODEL, query.of).await?;
    Ok(sums.into_iter().map(|(key, rollup)| (UsageKey::of(&key, query.by), rollup)).collect())
}

/// A command's rows are neighbours: an end writes at most three.
pub(super) async fn attempt_rows(
    session: &mut Session,
    attempt: AttemptId,
) -> Result<Vec<JournalRow>, DbError> {
    let commands = [Act::Reserve, Act::End, Act::Late].map(|act| command_column(CommandId::of(attempt, act)));
    let mut found: Vec<JournalRow> = Vec::new();
    for command in session.query(SELECT_COMMANDS, &[&commands.to_vec()]).await? {
        let first = read_number(column(&command, 2)?)?;
        for row in journal(session, first.saturating_sub(1), COMMAND_ROWS).await? {
            let is_new = found.iter().all(|other| other.seq != row.seq);
            let is_refund = matches!(row.entry.fact, Fact::Refunded { .. });
            if row.entry.fact.attempt() == Some(attempt) && is_new && !is_refund {
                found.push(row);
            }
        }
    }
    found.sort_by_key(|row| row.seq);
    Ok(found)
}

pub(super) async fn name(session: &mut Session, id: EntityId) -> Result<Option<String>, DbError> {
    let found = session.query_opt(NAME, &[&id_column(id.get())]).await?;
    found.map(|row| column(&row, 0)).transpose()
}
