//! The journal's tail: rows that the tables beside the journal do not show yet.
//!
//! A commit writes rows of the journal and nothing else, so that a reservation, for which a request waits,
//! changes one page of the file or two. What the rows add up to is gathered here, and goes to the tables
//! for many of them at once: an account that moved a hundred times is written once, and an attempt that was
//! opened and has ended since not at all. The table `folded` says up to which row the tables go. The rows after it are
//! in the file as well, so whoever opens it, after a crash or as another process, adds them up again.

use std::collections::HashMap;

use rusqlite::Connection;
use weighbridge_ledger::{
    AccountId, Act, Book, ClaimId, CommandId, Entry, Fact, Funding, Holder, PayloadHash, Settlement,
    Standing, State, View,
};
use weighbridge_units::{AttemptId, NanoUsd, Timestamp};

use super::rows::{
    ADD_REFUND, ADD_ROLLUP, DELETE_OPEN, INSERT_COMMAND, INSERT_OPEN, RETIRE_CLAIMS, SET_BALANCE, SET_CLAIM,
    SET_FOLDED, SET_STANDING, StoreError, attempt_column, claim_column, id_column, rollup_columns,
    top_up_column,
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
    /// Idempotency claims that were made.
    claims: HashMap<ClaimId, Holder>,
    /// What became of claims that were made before the tail.
    standings: Vec<(ClaimId, AttemptId, Standing)>,
    /// Claims that end by then are no more, but for those that were made since.
    retired: Option<Timestamp>,
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
            Fact::Reserved { attempt, payload, intent } => {
                claim(CommandId::of(*attempt, Act::Reserve), *payload);
                self.opened.insert(*attempt, (entry.book, body.into()));
                if let Some(claim) = &intent.claim {
                    self.claims.insert(claim.id, Holder::new(*attempt, claim));
                }
            }
            Fact::Ended { attempt, payload, settlement, claim: of } => {
                claim(CommandId::of(*attempt, Act::End), *payload);
                if self.opened.remove(attempt).is_none() {
                    self.ended.push(*attempt);
                }
                self.stand(*of, *attempt, settlement);
            }
            Fact::Late { attempt, payload, settlement, claim: of } => {
                claim(CommandId::of(*attempt, Act::Late), *payload);
                self.stand(*of, *attempt, settlement);
            }
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
            Fact::Sealed { .. } => {
                self.retired = self.retired.max(Some(entry.at));
                self.claims.retain(|_, holder| entry.at < holder.until);
            }
            Fact::Overage { .. } | Fact::Used { .. } => {}
        }
    }

    /// What an end makes of the claim of its attempt.
    fn stand(&mut self, claim: Option<ClaimId>, attempt: AttemptId, settlement: &Settlement) {
        let Some(id) = claim else { return };
        let standing = Standing::after(settlement.outcome);
        match self.claims.get_mut(&id) {
            Some(holder) if holder.attempt == attempt => holder.standing = standing,
            _ => self.standings.push((id, attempt, standing)),
        }
    }

    /// Writes what became of claims.
    fn fold_claims(&mut self, db: &Connection) -> Result<(), StoreError> {
        if let Some(until) = self.retired.take() {
            db.prepare_cached(RETIRE_CLAIMS)?.execute([until.as_micros()])?;
        }
        if self.claims.is_empty() && self.standings.is_empty() {
            return Ok(());
        }
        let mut set = db.prepare_cached(SET_CLAIM)?;
        for (id, holder) in self.claims.drain() {
            let Holder { attempt, payload, until, standing } = holder;
            let (attempt, until) = (attempt_column(attempt), until.as_micros());
            set.execute((claim_column(id), attempt, payload.0, until, standing as u8))?;
        }
        let mut set = db.prepare_cached(SET_STANDING)?;
        for (id, attempt, standing) in self.standings.drain(..) {
            set.execute((claim_column(id), attempt_column(attempt), standing as u8))?;
        }
        Ok(())
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
        self.fold_claims(db)?;
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
        state.forget_holders();
        self.rows = 0;
        Ok(())
    }
}
