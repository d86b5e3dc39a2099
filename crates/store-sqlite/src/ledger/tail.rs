//! The journal's tail: rows that the tables beside the journal do not show yet.
//!
//! A commit writes rows of the journal and nothing else, so that a reservation, for which a request waits,
//! changes one page of the file or two. What the rows add up to is gathered here, and goes to the tables
//! for many of them at once: an account that moved a hundred times is written once, and an attempt that was
//! opened and has ended since not at all. The table `folded` says up to which row the tables go. The rows after it are
//! in the file as well, so whoever opens it, after a crash or as another process, adds them up again.

use std::collections::HashMap;

use rusqlite::Connection;
use weighbridge_ledger::{AccountId, Act, Book, CommandId, Entry, Fact, Funding, PayloadHash, State, View};
use weighbridge_units::{AttemptId, NanoUsd};

use super::rows::{
    ADD_REFUND, ADD_ROLLUP, DELETE_OPEN, INSERT_COMMAND, INSERT_OPEN, SET_BALANCE, SET_FOLDED, StoreError,
    attempt_column, id_column, rollup_columns, top_up_column,
};

/// What the rows of the tail change in the tables, but for the sums, which a [`State`] has.
#[derive(Debug, Default)]
pub(super) struct Tail {
    rows: usize,
    commands: Vec<(CommandId, PayloadHash, u64)>,
    /// Attempts that were opened and have not ended since, with the row that opened each.
    opened: HashMap<AttemptId, (Book, Box<[u8]>)>,
    /// Attempts that have ended, and were opened before the tail.
    ended: Vec<AttemptId>,
    /// By the column of the original.
    refunds: Vec<(Vec<u8>, NanoUsd)>,
    moved: Vec<AccountId>,
}

impl Tail {
    /// How many rows there are.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Adds the next row.
    pub(super) fn add(&mut self, seq: u64, entry: &Entry, body: &[u8]) {
        self.rows += 1;
        self.moved.extend(entry.transfers.iter().flat_map(|t| [t.debit, t.credit]));
        let mut claim = |id, payload| self.commands.push((id, payload, seq));
        match &entry.fact {
            Fact::Reserved { attempt, payload, .. } => {
                claim(CommandId::of(*attempt, Act::Reserve), *payload);
                self.opened.insert(*attempt, (entry.book, body.into()));
            }
            Fact::Ended { attempt, payload, .. } => {
                claim(CommandId::of(*attempt, Act::End), *payload);
                if self.opened.remove(attempt).is_none() {
                    self.ended.push(*attempt);
                }
            }
            Fact::Late { attempt, payload, .. } => claim(CommandId::of(*attempt, Act::Late), *payload),
            Fact::Refunded { attempt, id, payload, amount, .. } => {
                claim(CommandId { id: *id, act: Act::Refund }, *payload);
                self.refunds.push((attempt_column(*attempt).into(), *amount));
            }
            Fact::Funded { id, payload, funding, .. } => {
                claim(CommandId { id: *id, act: Act::Fund }, *payload);
                if let Funding::Refund { of, amount } = funding {
                    self.refunds.push((top_up_column(*of).into(), *amount));
                }
            }
            Fact::Overage { .. } | Fact::Used { .. } | Fact::Sealed { .. } => {}
        }
    }

    /// Brings the tables up to the row `last`, the tail's last, and takes from `state` what they show now.
    pub(super) fn fold(&mut self, db: &Connection, state: &mut State, last: u64) -> Result<(), StoreError> {
        let mut insert = db.prepare_cached(INSERT_COMMAND)?;
        for (id, payload, seq) in self.commands.drain(..) {
            insert.execute((id.to_bytes(), payload.0, id_column(seq)))?;
        }
        let mut insert = db.prepare_cached(INSERT_OPEN)?;
        for (attempt, (book, body)) in self.opened.drain() {
            insert.execute((attempt_column(attempt), book as i64, &body[..]))?;
        }
        let mut delete = db.prepare_cached(DELETE_OPEN)?;
        for attempt in self.ended.drain(..) {
            delete.execute([attempt_column(attempt)])?;
        }
        let mut add = db.prepare_cached(ADD_REFUND)?;
        for (original, amount) in self.refunds.drain(..) {
            add.execute((original, amount.get()))?;
        }
        self.moved.sort_unstable();
        self.moved.dedup();
        let mut set = db.prepare_cached(SET_BALANCE)?;
        for account in self.moved.drain(..) {
            let balance = state.balance(account);
            set.execute((id_column(account.get()), balance.posted.get(), balance.pending.get()))?;
        }
        let mut add = db.prepare_cached(ADD_ROLLUP)?;
        for (key, rollup) in state.take_rollups() {
            add.execute(rollup_columns(&key, &rollup))?;
        }
        db.prepare_cached(SET_FOLDED)?.execute([id_column(last)])?;
        state.forget_history();
        self.rows = 0;
        Ok(())
    }
}
