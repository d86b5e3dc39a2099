//! The one who writes: loads what a batch touches, decides, and commits it in one transaction.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use rusqlite::Connection;
use weighbridge_ledger::{
    Command, Counters, Decision, End, EndFacts, EntityId, Epoch, LedgerError, Name, Recovery, Refusal, Seal,
    State, apply,
};
use weighbridge_units::failpoint::pass;
use weighbridge_units::{Failpoint, Timestamp};

use super::batch::{Batch, Position};
use super::epoch::{Claim, close_dead};
use super::load::{StoreOr, decide_order, register_name, register_names};
use super::rows::{
    INSERT_SEAL, SELECT_OPEN_AFTER, StoreError, find_balance, find_folded, id_column, read_attempt,
    read_intent,
};
use super::seals;
use super::tail::Tail;

/// What is asked of the writer, one after another.
#[derive(Debug)]
pub(super) enum Order {
    /// From somebody who waits for the answer.
    Command(Command),
    /// Handed over; nobody waits.
    End(End),
}

/// What came of an order. A refusal changed nothing and does not hinder the others of its batch.
pub(super) type Answer = Result<(), LedgerError>;

/// Writes the journal. Whatever it remembers is dropped when a commit fails or another process wrote.
pub(super) struct Writer {
    db: Connection,
    path: PathBuf,
    claim: Option<Claim>,
    /// What batches have looked at or changed: all that the tail says, and what was loaded from the tables.
    state: State,
    /// All of it, unless `data_version` is `None`.
    tail: Tail,
    names: HashSet<EntityId>,
    /// Where the journal ends, as this transaction sees it; and as the last confirmed commit left it.
    at: Position,
    confirmed: Position,
    /// What SQLite's `data_version` was: it changes when another connection writes. `None`: look again.
    data_version: Option<i64>,
    in_transaction: bool,
    /// How many writers were closed when all that they had left open was ended.
    recovered: Option<i64>,
    body: Vec<u8>,
}

impl Writer {
    /// Balances that are remembered at most; more than that, and remembering starts anew.
    const BALANCES: usize = 100_000;
    /// From so many rows of the tail on, the next commit brings the tables up to date.
    pub(super) const TAIL_MAX: usize = 1_024;

    pub(super) fn new(db: Connection, path: PathBuf) -> Self {
        Self {
            db,
            path,
            claim: None,
            state: State::new(),
            tail: Tail::default(),
            names: HashSet::new(),
            at: Position::default(),
            confirmed: Position::default(),
            data_version: None,
            in_transaction: false,
            recovered: None,
            body: Vec::with_capacity(1024),
        }
    }

    /// Carries out orders in one commit. Afterwards the answers stand in the order of the orders.
    ///
    /// # Errors
    /// Nothing was written, or it is unknown whether it was; the same orders may be given again.
    pub(super) fn commit(&mut self, orders: &[Order]) -> Result<Vec<Answer>, StoreError> {
        match catch_unwind(AssertUnwindSafe(|| self.try_commit(orders))) {
            Ok(done) => done,
            Err(_) => {
                self.confirmed.counters.failed_commits += 1;
                self.abandon();
                Err(StoreError::Panicked)
            }
        }
    }

    fn try_commit(&mut self, orders: &[Order]) -> Result<Vec<Answer>, StoreError> {
        let stale = self.begin()?;
        let answers = self.carry_out(orders, stale).and_then(|answers| {
            pass(Failpoint::SqliteWritten)?;
            Ok(answers)
        });
        self.confirm(answers)
    }

    /// Begins a transaction as an epoch that is open. Says whether the one before had been declared dead.
    fn begin(&mut self) -> Result<bool, StoreError> {
        self.abandon();
        let mut stale = false;
        loop {
            if self.claim.is_none() {
                self.open_epoch()?;
            }
            self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.in_transaction = true;
            let version = self.db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
            pass(Failpoint::SqliteBegun)?;
            if self.data_version == Some(version) {
                return Ok(stale);
            }
            if self.claim.as_ref().map_or(Ok(false), |claim| claim.is_open(&self.db))? {
                self.catch_up()?;
                self.data_version = Some(version);
                return Ok(stale);
            }
            stale = true;
            self.claim = None;
            self.abandon();
        }
    }

    /// Becomes a new writer, whose chains have no rows yet.
    fn open_epoch(&mut self) -> Result<(), StoreError> {
        self.claim = Some(Claim::new(&self.db, &self.path)?);
        pass(Failpoint::SqliteEpoch)?;
        let (folded, last_seq) = find_folded(&self.db)?;
        let counters = self.confirmed.counters;
        self.confirmed = Position { last_seq, folded, counters, ..Position::default() };
        self.at = self.confirmed;
        self.data_version = None;
        Ok(())
    }

    /// Takes notice of what others wrote, and of a commit of our own that was confirmed to nobody.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        self.names.clear();
        let (folded, last) = find_folded(&self.db)?;
        if self.data_version.is_some() && (folded, last) == (self.at.folded, self.at.last_seq) {
            return Ok(()); // It was nothing of the ledger.
        }
        if last != self.at.last_seq {
            self.at.sealed_seq = None;
        }
        self.state = State::new();
        self.tail = Tail::default();
        let first = self.at.last_seq.min(folded) + 1;
        self.at.folded = folded;
        self.read_on(first)?;
        self.fold()?;
        // Open attempts of others are no concern of ours.
        self.state = State::new();
        Ok(())
    }

    /// Reads the journal from row `first` on: where our chains end, and the tail.
    fn read_on(&mut self, first: u64) -> Result<(), StoreError> {
        let own = self.epoch()?;
        let mut statement = self.db.prepare_cached(seals::SELECT_CHAIN)?;
        let mut rows = statement.query([id_column(first)])?;
        while let Some(row) = rows.next()? {
            let (head, entry) = seals::read_chain(row)?;
            self.at.last_seq = head.seq;
            if head.writer == own
                && let Some(own) = self.at.heads.get_mut(head.book as usize)
            {
                *own = Some(head);
            }
            if head.seq > self.at.folded {
                for account in entry.transfers.iter().flat_map(|t| [t.debit, t.credit]) {
                    if !self.state.knows(account) {
                        self.state.load_balance(account, find_balance(&self.db, account)?);
                    }
                }
                apply(&mut self.state, &entry);
                self.tail.add(head.seq, &entry, row.get_ref(2)?.as_blob().unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Brings the tables up to date, within a transaction.
    fn fold(&mut self) -> Result<(), StoreError> {
        if self.tail.rows() > 0 {
            self.tail.fold(&self.db, &mut self.state, self.at.last_seq)?;
            self.at.folded = self.at.last_seq;
            pass(Failpoint::SqliteFolded)?;
            if self.state.balances().len() > Self::BALANCES {
                self.state = State::new();
            }
        }
        Ok(())
    }

    /// How many rows of our own the tables do not show yet.
    pub(super) const fn tail_rows(&self) -> usize {
        self.tail.rows()
    }

    /// Brings the tables up to date in a commit of its own.
    pub(super) fn fold_all(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        let folded = self.fold();
        self.confirm(folded)
    }

    /// Commits, or gives up what was begun.
    fn confirm<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let committed = done.and_then(|done| {
            self.db.prepare_cached("COMMIT")?.execute([])?;
            pass(Failpoint::SqliteCommitted)?;
            Ok(done)
        });
        match committed {
            Ok(done) => {
                self.in_transaction = false;
                self.at.counters.commits += 1;
                self.confirmed = self.at;
                Ok(done)
            }
            Err(error) => {
                self.confirmed.counters.failed_commits += 1;
                self.abandon();
                Err(error)
            }
        }
    }

    /// Ends a transaction that was not confirmed, and forgets everything that it may have changed.
    fn abandon(&mut self) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the ledger's transaction cannot be rolled back");
        }
        self.state = State::new();
        self.tail = Tail::default();
        self.names.clear();
        self.at = self.confirmed;
        self.data_version = None;
    }

    /// What has happened since the ledger was opened.
    pub(super) const fn counters(&self) -> Counters {
        self.confirmed.counters
    }

    fn epoch(&self) -> Result<Epoch, StoreError> {
        let claim = self.claim.as_ref();
        claim.map(|claim| claim.epoch).ok_or_else(|| StoreError::Corrupt("there is no epoch".into()))
    }

    fn carry_out(&mut self, orders: &[Order], stale: bool) -> Result<Vec<Answer>, StoreError> {
        let mut answers = Vec::with_capacity(orders.len());
        let epoch = self.epoch()?;
        let db = &self.db;
        let mut batch = Batch::new(db, self.at)?;
        for order in orders {
            let answer = match order {
                Order::Command(_) if stale => Err(Refusal::StaleEpoch.into()),
                order => match decide_order(db, &mut self.state, epoch, order) {
                    Ok(Decision::Repeated) => Ok(()),
                    Ok(Decision::Commit(entries)) => {
                        register_names(db, &mut self.names, order)?;
                        batch.write(&mut self.state, &mut self.tail, &mut self.body, &entries)?;
                        Ok(())
                    }
                    Err(StoreOr::Store(StoreError::Corrupt(what))) => Err(LedgerError::Corrupt { what }),
                    Err(StoreOr::Store(error)) => return Err(error),
                    Err(StoreOr::Refusal(refusal)) => Err(refusal.into()),
                },
            };
            if let (Order::End(end), Err(error)) = (order, &answer) {
                batch.at.counters.rejected_ends += 1;
                tracing::warn!(attempt = %end.attempt, %error, "an end was not entered");
            }
            answers.push(answer);
        }
        self.at = batch.at;
        drop(batch);
        if self.tail.rows() >= Self::TAIL_MAX {
            self.fold()?;
        }
        Ok(answers)
    }

    /// Ends what dead writers left open, in commits of at most `batch` attempts.
    pub(super) fn recover(&mut self, now: Timestamp, batch: usize) -> Result<Recovery, StoreError> {
        self.begin()?;
        let own = self.epoch()?;
        let dead = close_dead(&self.db, &self.path, own).and_then(|dead| {
            let closed = "SELECT count(*) FROM writer WHERE closed IS NOT NULL";
            Ok((dead, self.db.prepare_cached(closed)?.query_row([], |row| row.get(0))?))
        });
        let (dead, closed): (u64, i64) = self.confirm(dead)?;
        pass(Failpoint::SqliteDeadClosed)?;
        let mut recovery = Recovery { crashed: 0, writers: dead };
        // A closed writer opens nothing: if there are no more of them, nothing can have been left open since.
        if self.recovered == Some(closed) {
            return Ok(recovery);
        }
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            // Looked for and ended in one transaction: somebody else may be doing the same.
            self.begin()?;
            let left_open = self.fold().and_then(|()| self.left_open(&from, batch, now));
            let done = left_open.and_then(|(ends, last)| {
                let answers = self.carry_out(&ends, false)?;
                Ok((answers.iter().filter(|answer| answer.is_ok()).count(), last))
            });
            let (ended, last) = self.confirm(done)?;
            recovery.crashed += ended as u64;
            after = last;
            pass(Failpoint::SqliteRecovered)?;
        }
        self.recovered = Some(closed);
        Ok(recovery)
    }

    /// Ends for the open attempts of closed writers, among the next `limit` after `after`; and where to go on.
    fn left_open(
        &self,
        after: &[u8],
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Order>, Option<Vec<u8>>), StoreError> {
        let mut closed = self.db.prepare_cached("SELECT closed IS NOT NULL FROM writer WHERE epoch = ?1")?;
        let mut is_closed = HashMap::new();
        let mut statement = self.db.prepare_cached(SELECT_OPEN_AFTER)?;
        let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
        let (mut ends, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_blob().unwrap_or_default();
            last = Some(id.to_vec());
            let attempt = read_attempt(id)?;
            let intent = read_intent(row.get_ref(1)?.as_i64(), row.get_ref(2)?.as_blob())?;
            let dead = match is_closed.get(&intent.writer) {
                Some(dead) => *dead,
                None => {
                    let dead = closed.query_row([intent.writer.get()], |row| row.get(0))?;
                    is_closed.insert(intent.writer, dead);
                    dead
                }
            };
            if dead {
                let facts = EndFacts::crashed(now, intent.estimate);
                ends.push(Order::End(End { attempt, facts }));
            }
        }
        Ok((ends, last))
    }

    /// Links the chains, if anything was written since they were linked last.
    pub(super) fn seal(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.begin()?;
        let sealed = self.write_seals(now);
        self.confirm(sealed)
    }

    fn write_seals(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let last_seq = self.at.last_seq;
        if last_seq == 0 || self.at.sealed_seq == Some(last_seq) {
            return Ok(());
        }
        // Somebody else's seals link it all. They are rows of that writer's chains, which they do not name.
        if self.at.sealed_seq.is_none() && seals::last_row(&self.db)? == Some(last_seq) {
            return Ok(());
        }
        // Where the last seals are ours and nobody else has written since, only our own chains have grown.
        let own = self.at.sealed_seq.is_some().then_some(&self.at.heads);
        let heads = seals::heads(&self.db, own)?;
        let seal = [Order::Command(Command::Seal(Seal { at: now, heads }))];
        for answer in self.carry_out(&seal, false)? {
            answer.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        }
        for seq in last_seq + 1..=self.at.last_seq {
            self.db.prepare_cached(INSERT_SEAL)?.execute((id_column(seq), id_column(last_seq + 1)))?;
        }
        self.at.sealed_seq = Some(self.at.last_seq);
        pass(Failpoint::SqliteSealed)?;
        Ok(())
    }

    /// Registers a name.
    pub(super) fn name(&mut self, name: &Name) -> Result<(), StoreError> {
        self.begin()?;
        let done = register_name(&self.db, &mut self.names, name);
        self.confirm(done)
    }

    /// Writes something, to see whether it can be done.
    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        let done = self.epoch().and_then(|epoch| {
            let touch = "UPDATE writer SET opened = opened WHERE epoch = ?1";
            Ok(self.db.prepare_cached(touch)?.execute([epoch.get()]).map(drop)?)
        });
        self.confirm(done)
    }

    /// Lets the disk have no room for another page, or have room again.
    #[cfg(test)]
    pub(super) fn fill_disk(&mut self, full: bool) -> Result<(), StoreError> {
        let pages: i64 = self.db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = if full { pages } else { 1 << 30 };
        Ok(self.db.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?)
    }

    /// Closes the epoch in good order. Attempts that are still open are for the next one to recover.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        self.abandon();
        if self.tail.rows() > 0 {
            self.fold_all()?;
        }
        match self.claim.take() {
            Some(claim) => claim.close(&self.db),
            None => Ok(()),
        }
    }
}
