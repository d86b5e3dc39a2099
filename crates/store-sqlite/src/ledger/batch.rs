//! After deciding: rows go to the journal, and what they add up to into the tables.

use rusqlite::{CachedStatement, Connection};
use weighbridge_ledger::{
    AccountId, Act, Book, ChainHead, CommandId, Counters, Entry, Fact, PayloadHash, RowHash, State, View,
    apply, encode,
};

use super::rows::{
    ADD_REFUND, ADD_ROLLUP, DELETE_OPEN, INSERT_COMMAND, INSERT_ENTRY, INSERT_OPEN, SET_BALANCE, StoreError,
    attempt_column, id_column, rollup_columns,
};

/// Where the journal ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    pub(super) last_seq: u64,
    /// The last row of each of this writer's chains, by book.
    pub(super) heads: [Option<ChainHead>; Book::ALL.len()],
    /// The last row when the chains were linked last; `None`: others wrote since, or it is not known.
    pub(super) sealed_seq: Option<u64>,
    pub(super) counters: Counters,
}

/// A batch in the middle of its transaction: statements at hand, and what has moved.
pub(super) struct Batch<'a> {
    entry: CachedStatement<'a>,
    command: CachedStatement<'a>,
    open: CachedStatement<'a>,
    close: CachedStatement<'a>,
    refund: CachedStatement<'a>,
    moved: Vec<AccountId>,
    pub(super) at: Position,
}

impl<'a> Batch<'a> {
    pub(super) fn new(db: &'a Connection, at: Position) -> Result<Self, StoreError> {
        Ok(Self {
            entry: db.prepare_cached(INSERT_ENTRY)?,
            command: db.prepare_cached(INSERT_COMMAND)?,
            open: db.prepare_cached(INSERT_OPEN)?,
            close: db.prepare_cached(DELETE_OPEN)?,
            refund: db.prepare_cached(ADD_REFUND)?,
            moved: Vec::with_capacity(64),
            at,
        })
    }

    /// Writes the rows of one command and lets them take effect.
    pub(super) fn write(
        &mut self,
        state: &mut State,
        body: &mut Vec<u8>,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        for entry in entries {
            let (seq, book) = (self.at.last_seq + 1, entry.book);
            self.at.last_seq = seq;
            body.clear();
            encode(entry, body);
            let head = self.at.heads.get_mut(book as usize);
            let previous =
                head.as_ref().and_then(|head| head.as_ref()).map_or(RowHash::GENESIS, |head| head.hash);
            let hash = RowHash::of(previous, seq, book, body);
            if let Some(head) = head {
                *head = Some(ChainHead { book, writer: entry.writer, seq, hash });
            }
            self.entry.execute((id_column(seq), book as i64, &body[..], &hash.0))?;
            self.write_fact(seq, entry, body)?;
            self.moved.extend(entry.transfers.iter().flat_map(|t| [t.debit, t.credit]));
            apply(state, entry);
        }
        Ok(())
    }

    fn write_fact(&mut self, seq: u64, entry: &Entry, body: &[u8]) -> Result<(), StoreError> {
        let mut claim = |id: CommandId, payload: &PayloadHash| {
            self.command.execute((id.to_bytes(), &payload.0, id_column(seq)))
        };
        let counters = &mut self.at.counters;
        match &entry.fact {
            Fact::Reserved { attempt, payload, .. } => {
                claim(CommandId::of(*attempt, Act::Reserve), payload)?;
                self.open.execute((attempt_column(*attempt), entry.book as i64, body))?;
                counters.reserved += 1;
            }
            Fact::Ended { attempt, payload, .. } => {
                claim(CommandId::of(*attempt, Act::End), payload)?;
                self.close.execute([attempt_column(*attempt)])?;
                counters.ended += 1;
            }
            Fact::Late { attempt, payload, .. } => {
                claim(CommandId::of(*attempt, Act::Late), payload)?;
                counters.late += 1;
            }
            Fact::Refunded { attempt, id, payload, amount, .. } => {
                claim(CommandId { id: *id, act: Act::Refund }, payload)?;
                self.refund.execute((attempt_column(*attempt), amount.get()))?;
            }
            Fact::Overage { .. } => counters.overages += 1,
            Fact::Used { .. } | Fact::Sealed { .. } => {}
        }
        Ok(())
    }

    /// Writes what the rows add up to, once per account and roll-up; says where the journal ends now.
    pub(super) fn finish(mut self, db: &Connection, state: &mut State) -> Result<Position, StoreError> {
        self.moved.sort_unstable();
        self.moved.dedup();
        let mut set = db.prepare_cached(SET_BALANCE)?;
        for account in &self.moved {
            let balance = state.balance(*account);
            set.execute((id_column(account.get()), balance.posted.get(), balance.pending.get()))?;
        }
        let mut add = db.prepare_cached(ADD_ROLLUP)?;
        for (key, rollup) in state.take_rollups() {
            add.execute(rollup_columns(&key, &rollup))?;
        }
        state.forget_history();
        Ok(self.at)
    }
}
