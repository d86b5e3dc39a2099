//! The rows that link the hash chains.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};
use weighbridge_ledger::{Book, ChainHead, Entry, Epoch, Fact};

use super::rows::{StoreError, corrupt, id_column, read_entry, read_hash};

/// Rows from a number on, as [`read_chain`] reads them.
pub(super) const SELECT_CHAIN: &str = "SELECT seq, book, body, hash FROM entry WHERE seq >= ?1 ORDER BY seq";

const SELECT_LAST_ROW: &str = "SELECT seq FROM seal ORDER BY seq DESC LIMIT 1";
const SELECT_LAST_GROUP: &str = "SELECT entry.seq, entry.book, entry.body FROM seal JOIN entry ON entry.seq = seal.seq \
     WHERE seal.seq >= (SELECT first FROM seal ORDER BY seq DESC LIMIT 1) ORDER BY entry.seq";

/// The number of the last seal.
pub(super) fn last_row(db: &Connection) -> Result<Option<u64>, StoreError> {
    let last: Option<i64> = db.prepare_cached(SELECT_LAST_ROW)?.query_row([], |row| row.get(0)).optional()?;
    Ok(last.and_then(|seq| u64::try_from(seq).ok()))
}

/// The seals that were written last: the number of the first of them, and all heads that they name.
pub(super) fn last_group(db: &Connection) -> Result<Option<(u64, Vec<ChainHead>)>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_LAST_GROUP)?;
    let mut rows = statement.query([])?;
    let mut group: Option<(u64, Vec<ChainHead>)> = None;
    while let Some(row) = rows.next()? {
        let seq = read_seq(row)?;
        let Fact::Sealed { heads } = read_entry(row.get_ref(1)?.as_i64(), row.get_ref(2)?.as_blob())?.fact
        else {
            return Err(corrupt(format!("row {seq} is no seal")));
        };
        group.get_or_insert_with(|| (seq, Vec::new())).1.extend(heads);
    }
    Ok(group)
}

/// The heads that the next seals are to name: of every chain that may still grow, or grew since the last
/// seals. `own`: ours, where we know that nobody else's have grown.
pub(super) fn heads(
    db: &Connection,
    own: Option<&[Option<ChainHead>; Book::ALL.len()]>,
) -> Result<Vec<ChainHead>, StoreError> {
    let (first, listed) = last_group(db)?.unwrap_or((1, Vec::new()));
    let mut heads = BTreeMap::new();
    for head in listed {
        if is_open(db, head.writer)? {
            heads.insert((head.book, head.writer), head);
        }
    }
    match own {
        Some(own) => heads.extend(own.iter().flatten().map(|head| ((head.book, head.writer), *head))),
        None => {
            let mut statement = db.prepare_cached(SELECT_CHAIN)?;
            let mut rows = statement.query([id_column(first)])?;
            while let Some(row) = rows.next()? {
                let (head, _) = read_chain(row)?;
                heads.insert((head.book, head.writer), head);
            }
        }
    }
    Ok(heads.into_values().collect())
}

/// A row, and where its chain ends with it.
pub(super) fn read_chain(row: &Row<'_>) -> Result<(ChainHead, Entry), StoreError> {
    let entry = read_entry(row.get_ref(1)?.as_i64(), row.get_ref(2)?.as_blob())?;
    let hash = read_hash(row.get_ref(3)?.as_blob().map_err(corrupt)?)?;
    Ok((ChainHead { book: entry.book, writer: entry.writer, seq: read_seq(row)?, hash }, entry))
}

fn read_seq(row: &Row<'_>) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(0)?).map_err(|_| corrupt("a row's number is below zero"))
}

fn is_open(db: &Connection, writer: Epoch) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached("SELECT closed IS NULL FROM writer WHERE epoch = ?1")?;
    Ok(statement.query_row([writer.get()], |row| row.get(0)).optional()?.unwrap_or(false))
}
