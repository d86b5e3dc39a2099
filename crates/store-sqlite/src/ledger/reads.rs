//! Questions to the ledger that nobody's request waits for.

use rusqlite::{Connection, OptionalExtension};
use weighbridge_ledger::{
    AccountId, Act, AttemptEntry, Balance, ClaimId, CommandId, EntityId, Fact, Holder, Intent, JournalRow,
    Rollup, RollupKey, RollupQuery, UsageBy, UsageKey, UsageQuery,
};
use weighbridge_units::AttemptId;

use super::key_totals;
use super::rows::{
    SELECT_ALL_OPEN, SELECT_BALANCES, SELECT_CLAIMS, SELECT_ROLLUPS, SELECT_USAGE_BY_MODEL, StoreError,
    corrupt, find_command, find_ended, find_intent, id_column, read_attempt, read_balance, read_entry,
    read_hash, read_holder, read_intent, read_rollup,
};

/// The most rows that one command writes.
const COMMAND_ROWS: usize = 3;

pub(super) fn open_attempts(db: &Connection) -> Result<Vec<(AttemptId, Intent)>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_ALL_OPEN)?;
    let mut rows = statement.query([])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let attempt = read_attempt(row.get_ref(0)?.as_blob().map_err(corrupt)?)?;
        open.push((attempt, read_intent(row.get_ref(1)?.as_i64(), row.get_ref(2)?.as_blob())?));
    }
    Ok(open)
}

pub(super) fn attempt(db: &Connection, attempt: AttemptId) -> Result<Option<AttemptEntry>, StoreError> {
    // Open first: an attempt that ends between the two questions is found by the second.
    match find_intent(db, attempt)? {
        Some(intent) => Ok(Some(AttemptEntry::Open(intent))),
        None => Ok(find_ended(db, attempt)?.map(AttemptEntry::Ended)),
    }
}

pub(super) fn balances(db: &Connection) -> Result<Vec<(AccountId, Balance)>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_BALANCES)?;
    let mut rows = statement.query([])?;
    let mut balances = Vec::new();
    while let Some(row) = rows.next()? {
        balances.push(read_balance(row)?);
    }
    Ok(balances)
}

pub(super) fn claims(db: &Connection) -> Result<Vec<(ClaimId, Holder)>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_CLAIMS)?;
    let mut rows = statement.query([])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        claims.push(read_holder(row)?);
    }
    Ok(claims)
}

pub(super) fn journal(db: &Connection, after: u64, limit: usize) -> Result<Vec<JournalRow>, StoreError> {
    let select = "SELECT seq, book, body, hash FROM entry WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = db.prepare_cached(select)?;
    let mut rows = statement.query((id_column(after), i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut journal = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let entry = read_entry(row.get_ref(1)?.as_i64(), row.get_ref(2)?.as_blob())?;
        let hash = read_hash(row.get_ref(3)?.as_blob().map_err(corrupt)?)?;
        journal.push(JournalRow { seq: u64::try_from(seq).unwrap_or_default(), entry, hash });
    }
    Ok(journal)
}

pub(super) fn rollups(db: &Connection, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, StoreError> {
    select_rollups(db, SELECT_ROLLUPS, query)
}

fn select_rollups(
    db: &Connection,
    select: &str,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, StoreError> {
    let (first, last) = match query.key {
        Some(key) => (id_column(key.get()), id_column(key.get())),
        None => (0, i64::MAX),
    };
    let mut statement = db.prepare_cached(select)?;
    let rollups = statement.query_map((first, last, query.from_hour, query.until_hour), read_rollup)?;
    Ok(rollups.collect::<Result<_, _>>()?)
}

pub(super) fn usage(db: &Connection, query: &UsageQuery) -> Result<Vec<(UsageKey, Rollup)>, StoreError> {
    if query.by != UsageBy::Model {
        return key_totals::usage(db, query);
    }
    let sums = select_rollups(db, SELECT_USAGE_BY_MODEL, &query.of)?;
    Ok(sums.into_iter().map(|(key, rollup)| (UsageKey::of(&key, query.by), rollup)).collect())
}

/// A command's rows are neighbours: an end writes at most three.
pub(super) fn attempt_rows(db: &Connection, attempt: AttemptId) -> Result<Vec<JournalRow>, StoreError> {
    let mut found: Vec<JournalRow> = Vec::new();
    for act in [Act::Reserve, Act::End, Act::Late] {
        let Some((_, seq)) = find_command(db, CommandId::of(attempt, act))? else { continue };
        let before = u64::try_from(seq).unwrap_or_default().saturating_sub(1);
        for row in journal(db, before, COMMAND_ROWS)? {
            if row.entry.fact.attempt() == Some(attempt) && found.iter().all(|other| other.seq != row.seq) {
                found.push(row);
            }
        }
    }
    found.sort_by_key(|row| row.seq);
    found.retain(|row| !matches!(row.entry.fact, Fact::Refunded { .. }));
    Ok(found)
}

pub(super) fn name(db: &Connection, id: EntityId) -> Result<Option<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT text FROM name WHERE id = ?1")?;
    Ok(statement.query_row([id_column(id.get())], |row| row.get(0)).optional()?)
}
