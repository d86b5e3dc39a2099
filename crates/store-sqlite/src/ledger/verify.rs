//! Whether the journal is what was written, and the tables are what it adds up to.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};
use weighbridge_ledger::{
    Act, Auditor, CommandId, Entry, Extent, Fact, Fault, Funding, PayloadHash, State, StoredRow,
    Verification, running_totals,
};

use super::rows::{StoreError, attempt_column, find_command, find_folded, id_column, top_up_column};
use super::seals::{SELECT_CHAIN, last_group};
use super::{key_totals, reads};

/// Verifies a snapshot of the file.
pub(super) fn verify(db: &Connection, extent: Extent) -> Result<Verification, StoreError> {
    let snapshot = Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
    match extent {
        Extent::SinceSeal => since_seal(&snapshot),
        Extent::All => all(&snapshot),
    }
}

fn since_seal(db: &Connection) -> Result<Verification, StoreError> {
    let (first, heads) = match last_group(db) {
        Ok(group) => group.unwrap_or((1, Vec::new())),
        // The seals themselves are damaged: reading everything says how.
        Err(StoreError::Corrupt(_)) => return all(db),
        Err(error) => return Err(error),
    };
    let mut auditor = Auditor::after(first - 1, &heads, State::new());
    read_journal(db, &mut auditor, u64::MAX, |_, _| Ok(()))?;
    Ok(auditor.finish())
}

fn all(db: &Connection) -> Result<Verification, StoreError> {
    let mut auditor = Auditor::whole();
    let mut tables = Tables::default();
    let (folded, _) = find_folded(db)?;
    // The tables are as of that row; what the rows after it add up to is not in them yet.
    read_journal(db, &mut auditor, folded, |seq, entry| tables.compare(db, seq, entry))?;
    tables.compare_rest(db, auditor.state())?;
    read_journal(db, &mut auditor, u64::MAX, |_, entry| {
        tables.seals += u64::from(matches!(entry.fact, Fact::Sealed { .. }));
        Ok(())
    })?;
    tables.compare_count(db, "seal", tables.seals)?;
    tables.faults.into_iter().for_each(|what| auditor.note(Fault::Fold { what }));
    Ok(auditor.finish())
}

/// Reads on, up to the row `last`.
fn read_journal(
    db: &Connection,
    auditor: &mut Auditor,
    last: u64,
    mut look_at: impl FnMut(u64, &Entry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(SELECT_CHAIN)?;
    let mut rows = statement.query([id_column(auditor.next_seq())])?;
    while let Some(row) = rows.next()? {
        if auditor.has_seen_enough() {
            break;
        }
        let seq = u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
        if seq > last {
            break;
        }
        let book = row.get_ref(1)?.as_i64().ok().and_then(|book| u8::try_from(book).ok());
        let row = StoredRow { seq, book: book.unwrap_or(u8::MAX), body: blob(row, 2)?, hash: blob(row, 3)? };
        if let Some(entry) = auditor.row(row) {
            look_at(seq, &entry)?;
        }
    }
    Ok(())
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], StoreError> {
    match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Ok(&[]),
    }
}

/// The tables beside the journal, compared with it (rules L3, L5).
#[derive(Default)]
struct Tables {
    commands: u64,
    seals: u64,
    /// By the column of the original.
    refunded: HashMap<Vec<u8>, i64>,
    faults: Vec<String>,
}

impl Tables {
    /// Compares what one row says of its command.
    fn compare(&mut self, db: &Connection, seq: u64, entry: &Entry) -> Result<(), StoreError> {
        let (id, payload) = match &entry.fact {
            Fact::Reserved { attempt, payload, .. } => (CommandId::of(*attempt, Act::Reserve), payload),
            Fact::Ended { attempt, payload, .. } => (CommandId::of(*attempt, Act::End), payload),
            Fact::Late { attempt, payload, .. } => (CommandId::of(*attempt, Act::Late), payload),
            Fact::Refunded { attempt, id, payload, amount, .. } => {
                self.refund(attempt_column(*attempt).into(), amount.get());
                (CommandId { id: *id, act: Act::Refund }, payload)
            }
            Fact::Funded { id, payload, funding, .. } => {
                if let Funding::Refund { of, amount } = funding {
                    self.refund(top_up_column(*of).into(), amount.get());
                }
                (CommandId { id: *id, act: Act::Fund }, payload)
            }
            Fact::Sealed { .. } => {
                self.seals += 1;
                return Ok(());
            }
            Fact::Overage { .. } | Fact::Used { .. } => return Ok(()),
        };
        self.commands += 1;
        let known: Option<(PayloadHash, i64)> = find_command(db, id).or_else(|error| match error {
            StoreError::Sqlite(rusqlite::Error::FromSqlConversionFailure(..)) => Ok(None),
            error => Err(error),
        })?;
        if known != Some((*payload, id_column(seq))) {
            self.fault(format!("the command of row {seq}"));
        }
        Ok(())
    }

    /// Compares what all rows add up to.
    fn compare_rest(&mut self, db: &Connection, folded: &State) -> Result<(), StoreError> {
        self.compare_count(db, "command", self.commands)?;
        let refunded = std::mem::take(&mut self.refunded);
        self.compare_table("refund", refunded, {
            let mut statement = db.prepare("SELECT attempt, amount FROM refunded")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<_>, _>>()?
        });
        let balances = or_fault(reads::balances(db), &mut self.faults)?;
        self.compare_table("account", folded.balances().collect(), balances);
        let everything = weighbridge_ledger::RollupQuery::ALL;
        let rollups = or_fault(reads::rollups(db, &everything), &mut self.faults)?;
        self.compare_table("roll-up", folded.rollups().collect(), rollups);
        let totals = running_totals(folded.rollups());
        let totals = totals.into_iter().map(|of| ((of.key, of.hour), of.total)).collect();
        let found = or_fault(key_totals::all(db), &mut self.faults)?;
        self.compare_table("total of a key and hour", totals, found);
        let claims = or_fault(reads::claims(db), &mut self.faults)?;
        self.compare_table("claim", folded.holders().collect(), claims);
        let open = or_fault(reads::open_attempts(db), &mut self.faults)?;
        let expected = folded.intents().map(|(attempt, intent)| (attempt, intent.clone())).collect();
        self.compare_table("open attempt", expected, open);
        Ok(())
    }

    fn refund(&mut self, original: Vec<u8>, amount: i64) {
        let sum = self.refunded.entry(original).or_default();
        *sum = sum.saturating_add(amount);
    }

    fn compare_count(&mut self, db: &Connection, table: &str, expected: u64) -> Result<(), StoreError> {
        let found: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        if u64::try_from(found) != Ok(expected) {
            self.fault(format!("the table `{table}`, with {found} rows in place of {expected},"));
        }
        Ok(())
    }

    fn compare_table<K: Eq + std::hash::Hash + std::fmt::Debug, V: PartialEq>(
        &mut self,
        what: &str,
        mut expected: HashMap<K, V>,
        found: Vec<(K, V)>,
    ) {
        for (key, value) in found {
            if expected.remove(&key) != Some(value) {
                self.fault(format!("{what} {key:?}"));
            }
        }
        for key in expected.keys() {
            self.fault(format!("{what} {key:?}, which is missing,"));
        }
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < Verification::MAX_FAULTS {
            self.faults.push(what);
        }
    }
}

/// A table that cannot be read is a fault, not the end of verifying.
fn or_fault<T: Default>(read: Result<T, StoreError>, faults: &mut Vec<String>) -> Result<T, StoreError> {
    match read {
        Err(StoreError::Corrupt(what)) => {
            faults.push(format!("a table ({what})"));
            Ok(T::default())
        }
        read => read,
    }
}
