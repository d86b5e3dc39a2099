//! Questions to the ledger that nobody's request waits for.

use weighbridge_ledger::{
    AccountId, AttemptEntry, Balance, EntityId, Intent, JournalRow, Rollup, RollupKey, RollupQuery,
};
use weighbridge_units::AttemptId;

use super::load::{SELECT_BALANCES, SELECT_OPEN, find_ended};
use super::rows::{
    attempt_column, column, id_column, read_attempt, read_balance, read_entry, read_hash, read_intent,
    read_number, read_rollup,
};
use crate::error::DbError;
use crate::session::Session;

const ALL_OPEN: &str = "SELECT attempt, book, body FROM open_attempt ORDER BY attempt";
const ALL_BALANCES: &str = "SELECT account, posted, pending FROM balance ORDER BY account";
pub(super) const JOURNAL: &str =
    "SELECT seq, book, body, hash FROM entry WHERE seq > $1 ORDER BY seq LIMIT $2";
const ROLLUPS: &str = "SELECT key, hour, provider, model, attempts, succeeded, estimated, cost, charged, counts \
     FROM rollup WHERE key BETWEEN $1 AND $2 AND hour >= $3 AND hour < $4 ORDER BY key, provider, model, hour";
const NAME: &str = "SELECT text FROM name WHERE id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [ALL_OPEN, ALL_BALANCES, JOURNAL, ROLLUPS, NAME];

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
    let (first, last) = match query.key {
        Some(key) => (id_column(key.get()), id_column(key.get())),
        None => (0, i64::MAX),
    };
    let found = session.query(ROLLUPS, &[&first, &last, &query.from_hour, &query.until_hour]).await?;
    found.iter().map(read_rollup).collect()
}

pub(super) async fn name(session: &mut Session, id: EntityId) -> Result<Option<String>, DbError> {
    let found = session.query_opt(NAME, &[&id_column(id.get())]).await?;
    found.map(|row| column(&row, 0)).transpose()
}
