//! Whether the journal is what was written, and the tables are what it adds up to.

use std::collections::HashMap;

use tokio_postgres::Row;
use weighbridge_ledger::{
    AccountId, Auditor, Balance, Book, ChainHead, CommandId, Entry, Epoch, Extent, Fact, Fault, PayloadHash,
    RollupQuery, State, StoredRow, Verification, running_totals,
};

use super::key_totals;
use super::load::SELECT_COMMANDS;
use super::reads::{self, JOURNAL};
use super::rows::{
    claim, column, command_column, id_column, read_command, read_entry, read_head, read_holder, read_number,
    read_payload, refund,
};
use crate::error::DbError;
use crate::session::Session;

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const LAST_SEALS: &str = "SELECT entry.seq, book, body, first FROM seal JOIN entry USING (seq) \
     WHERE first = (SELECT max(first) FROM seal) ORDER BY entry.seq";
const COUNTS: &str =
    "SELECT (SELECT count(*) FROM command), (SELECT count(*) FROM seal), (SELECT seq FROM journal)";
const REFUNDED: &str = "SELECT original, amount FROM refunded";
const CLAIMS: &str = "SELECT id, attempt, payload, until, standing FROM claim";
const CHAINS: &str = "SELECT book, writer, seq, hash FROM chain";

#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [LAST_SEALS, COUNTS, REFUNDED, CLAIMS, CHAINS];

/// Rows of the journal that are read at once.
const PAGE: i64 = 5_000;

/// Verifies a snapshot.
pub(super) async fn verify(session: &mut Session, extent: Extent) -> Result<Verification, DbError> {
    session.run(SNAPSHOT).await?;
    let found = match extent {
        Extent::SinceSeal => since_seal(session).await?,
        Extent::All => all(session).await?,
    };
    session.run("COMMIT").await?;
    Ok(found)
}

async fn since_seal(session: &mut Session) -> Result<Verification, DbError> {
    let (first, heads) = match last_seals(session).await {
        Ok(seals) => seals,
        // The seals themselves are damaged: reading everything says how.
        Err(DbError::Corrupt(_)) => return all(session).await,
        Err(error) => return Err(error),
    };
    let mut auditor = Auditor::after(first.saturating_sub(1), &heads, State::new());
    while read_page(session, &mut auditor).await?.is_some() {}
    Ok(auditor.finish())
}

/// The first of the last seals, and the chains as they ended before it.
async fn last_seals(session: &mut Session) -> Result<(u64, Vec<ChainHead>), DbError> {
    let (mut first, mut chains) = (1, Vec::new());
    for row in session.query(LAST_SEALS, &[]).await? {
        let Fact::Sealed { heads } = read_entry(column(&row, 1)?, column(&row, 2)?)?.fact else {
            return Err(DbError::corrupt("a row that should be a seal is none"));
        };
        first = read_number(column(&row, 3)?)?;
        chains.extend(heads);
    }
    Ok((first, chains))
}

async fn all(session: &mut Session) -> Result<Verification, DbError> {
    let mut auditor = Auditor::whole();
    let mut tables = Tables::default();
    while let Some(entries) = read_page(session, &mut auditor).await? {
        tables.compare_page(session, &entries).await?;
    }
    tables.compare_rest(session, &auditor).await?;
    tables.faults.into_iter().for_each(|what| auditor.note(Fault::Fold { what }));
    Ok(auditor.finish())
}

/// Reads on, and gives what could be read; `None` at the end, or where so much is wrong that more tells nothing.
async fn read_page(
    session: &mut Session,
    auditor: &mut Auditor,
) -> Result<Option<Vec<(u64, Entry)>>, DbError> {
    let after = id_column(auditor.next_seq().saturating_sub(1));
    let rows = session.query(JOURNAL, &[&after, &PAGE]).await?;
    if rows.is_empty() || auditor.has_seen_enough() {
        return Ok(None);
    }
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let seq = read_number(column(row, 0)?)?;
        let book: i16 = column(row, 1)?;
        let book = u8::try_from(book).unwrap_or(u8::MAX);
        let stored = StoredRow { seq, book, body: column(row, 2)?, hash: column(row, 3)? };
        entries.extend(auditor.row(stored).map(|entry| (seq, entry)));
    }
    Ok(Some(entries))
}

/// The tables beside the journal, compared with it (rules L3, L5).
#[derive(Default)]
struct Tables {
    commands: i64,
    seals: i64,
    refunded: HashMap<Vec<u8>, i64>,
    faults: Vec<String>,
}

impl Tables {
    /// Compares what rows say of their commands.
    async fn compare_page(&mut self, session: &mut Session, entries: &[(u64, Entry)]) -> Result<(), DbError> {
        let mut claims = Vec::new();
        for (seq, entry) in entries {
            if matches!(entry.fact, Fact::Sealed { .. }) {
                self.seals += 1;
            }
            if let Some((original, amount)) = refund(&entry.fact) {
                let sum = self.refunded.entry(original).or_default();
                *sum = sum.saturating_add(amount.get());
            }
            claims.extend(claim(&entry.fact).map(|(id, payload)| (*seq, id, payload)));
        }
        self.commands += i64::try_from(claims.len()).unwrap_or(i64::MAX);
        let ids: Vec<_> = claims.iter().map(|(_, id, _)| command_column(*id)).collect();
        let mut known: HashMap<CommandId, (PayloadHash, i64)> = HashMap::new();
        for row in session.query(SELECT_COMMANDS, &[&ids]).await? {
            // What cannot be read is not known.
            if let Ok(payload) = read_payload(column(&row, 1)?) {
                known.insert(read_command(column(&row, 0)?)?, (payload, column(&row, 2)?));
            }
        }
        for (seq, id, payload) in claims {
            if known.get(&id) != Some(&(payload, id_column(seq))) {
                self.fault(format!("the command of row {seq}"));
            }
        }
        Ok(())
    }

    /// Compares what all rows add up to.
    async fn compare_rest(&mut self, session: &mut Session, auditor: &Auditor) -> Result<(), DbError> {
        let folded = auditor.state();
        let counts = session.query_one(COUNTS, &[]).await?;
        let last = id_column(auditor.next_seq().saturating_sub(1));
        for (at, table, expected) in
            [(0, "command", self.commands), (1, "seal", self.seals), (2, "journal", last)]
        {
            let found: i64 = column(&counts, at)?;
            if found != expected {
                self.fault(format!("the table `{table}`, with {found} in place of {expected},"));
            }
        }
        let refunded = std::mem::take(&mut self.refunded);
        self.compare_table("refund", refunded, read(session.query(REFUNDED, &[]).await?, read_refund));
        let chains = auditor.heads().map(|head| (chain(&head), head)).collect();
        let heads = |row: &Row| read_head(row).map(|head| (chain(&head), head));
        self.compare_table("hash chain", chains, read(session.query(CHAINS, &[]).await?, heads));
        let balances: HashMap<AccountId, Balance> = folded.balances().collect();
        self.compare_table("account", balances, or_corrupt(reads::balances(session).await)?);
        let claims = read(session.query(CLAIMS, &[]).await?, read_holder);
        self.compare_table("claim", folded.holders().collect(), claims);
        let rollups = or_corrupt(reads::rollups(session, RollupQuery::ALL).await)?;
        self.compare_table("roll-up", folded.rollups().collect(), rollups);
        let totals = running_totals(folded.rollups());
        let totals = totals.into_iter().map(|of| ((of.key, of.hour), of.total)).collect();
        let found = or_corrupt(key_totals::all(session).await)?;
        self.compare_table("total of a key and hour", totals, found);
        let expected = folded.intents().map(|(attempt, intent)| (attempt, intent.clone())).collect();
        self.compare_table("open attempt", expected, or_corrupt(reads::open_attempts(session).await)?);
        Ok(())
    }

    fn compare_table<K: Eq + std::hash::Hash + std::fmt::Debug, V: PartialEq>(
        &mut self,
        what: &str,
        mut expected: HashMap<K, V>,
        found: Result<Vec<(K, V)>, String>,
    ) {
        let found = match found {
            Ok(found) => found,
            Err(why) => return self.fault(format!("a table of which a {what} cannot be read ({why})")),
        };
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

fn chain(head: &ChainHead) -> (Book, Epoch) {
    (head.book, head.writer)
}

fn read_refund(row: &Row) -> Result<(Vec<u8>, i64), DbError> {
    Ok((column(row, 0)?, column(row, 1)?))
}

fn read<T>(rows: Vec<Row>, read: impl Fn(&Row) -> Result<T, DbError>) -> Result<Vec<T>, String> {
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// A table that cannot be read is a fault, not the end of verifying.
fn or_corrupt<T>(read: Result<T, DbError>) -> Result<Result<T, String>, DbError> {
    match read {
        Err(DbError::Corrupt(what)) => Ok(Err(what)),
        read => read.map(Ok),
    }
}
