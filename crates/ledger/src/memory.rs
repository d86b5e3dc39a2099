use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};
use weighbridge_units::{AttemptId, Timestamp};

use crate::id_map::IdMap;
use crate::state::apply_sums;
use crate::{
    AccountId, Act, Adjust, AttemptEntry, Auditor, Balance, Book, ChainHead, Command, CommandId, Counters,
    Decision, End, EndFacts, EntityId, Entry, Epoch, Extent, Fact, Fault, Fund, Intent, JournalRow,
    LedgerError, LedgerStore, Name, Permit, Recovery, Refusal, Reserve, Rollup, RollupKey, RollupQuery,
    RowHash, Seal, State, StoredRow, Verification, View, apply, decide, decide_end, encode,
};

/// A ledger in memory: for tests, for embedding, and where losing the books with the process is fine.
///
/// The newest rows of the journal are kept; older ones are folded into a snapshot, and the attempts, top-ups
/// and command ids that they told of are forgotten. Roll-ups are kept for 62 days.
///
/// Rows are chained when they are first looked at or sealed, and keep their hashes from then on: in memory nobody
/// else can change them meanwhile, and hashing would be a third of a commit. What is forgotten before has no
/// part in a chain, which then begins anew ([`RowHash::GENESIS`]).
pub struct MemoryLedger {
    books: Arc<Mutex<Books>>,
    epoch: AtomicU32,
}

impl MemoryLedger {
    /// How many rows of the journal [`MemoryLedger::new`] keeps; some 1 MB.
    pub const ROWS: usize = 4_096;

    /// An empty ledger.
    pub fn new() -> Self {
        Self::with_rows(Self::ROWS)
    }

    /// An empty ledger that keeps the newest `rows` rows of its journal.
    pub fn with_rows(rows: usize) -> Self {
        let books = Arc::new(Mutex::new(Books { rows_max: rows, ..Books::default() }));
        let epoch = AtomicU32::new(lock(&books).open_epoch().get());
        Self { books, epoch }
    }

    /// Another instance over the same books: as after a crash, the attempts of the first stay open until
    /// the new one recovers, which declares the first dead.
    #[must_use]
    pub fn restart(&self) -> Self {
        let epoch = AtomicU32::new(lock(&self.books).open_epoch().get());
        Self { books: Arc::clone(&self.books), epoch }
    }

    /// Carries a command out. An instance that was declared dead is told so once, and goes on as a new one.
    fn commit(
        &self,
        books: &mut Books,
        decide: impl Fn(&State, Epoch) -> Result<Decision, Refusal>,
    ) -> Result<(), Refusal> {
        let writer = Epoch::new(self.epoch.load(Ordering::Acquire));
        if !books.live.contains(&writer) {
            self.epoch.store(books.open_epoch().get(), Ordering::Release);
            return Err(Refusal::StaleEpoch);
        }
        if let Decision::Commit(entries) = decide(&books.state, writer)? {
            entries.into_iter().for_each(|entry| books.write(entry));
        }
        books.counters.commits += 1;
        Ok(())
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLedger").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[async_trait]
impl LedgerStore for MemoryLedger {
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>> {
        // There is nothing to wait for, so the future need not carry the reservation.
        let mut books = lock(&self.books);
        for name in [&reserve.tenant, &reserve.provider, &reserve.model, &reserve.price_version] {
            books.name(name);
        }
        let command = Command::Reserve(reserve);
        let done = self.commit(&mut books, |state, writer| decide(state, writer, &command));
        std::future::ready(done.map_err(LedgerError::from)).boxed()
    }

    /// Commits at once: there is nothing to wait for.
    fn hand_over(&self, end: End, permit: Permit) {
        let books = &mut *lock(&self.books);
        books.name(&end.facts.reason);
        let mut done = self.commit(books, |state, writer| decide_end(state, writer, &end));
        if done == Err(Refusal::StaleEpoch) {
            done = self.commit(books, |state, writer| decide_end(state, writer, &end));
        }
        if done.is_err() {
            books.counters.rejected_ends += 1;
        }
        drop(permit);
    }

    fn wants_flush(&self) -> bool {
        false
    }

    fn flush(&self) {}

    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError> {
        let books = &mut *lock(&self.books);
        books.name(&adjust.reason);
        let command = Command::Adjust(adjust);
        Ok(self.commit(books, |state, writer| decide(state, writer, &command))?)
    }

    async fn fund(&self, fund: Fund) -> Result<(), LedgerError> {
        let books = &mut *lock(&self.books);
        [&fund.tenant, &fund.reason, &fund.actor].into_iter().for_each(|name| books.name(name));
        let command = Command::Fund(fund);
        Ok(self.commit(books, |state, writer| decide(state, writer, &command))?)
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        let books = &mut *lock(&self.books);
        let own = Epoch::new(self.epoch.load(Ordering::Acquire));
        let alive = books.live.len();
        books.live.retain(|epoch| *epoch == own);
        let mut recovery = Recovery { crashed: 0, writers: (alive - books.live.len()) as u64 };
        let dead = |(_, intent): &(AttemptId, &Intent)| intent.writer != own;
        let mut left: Vec<_> = books.state.intents().filter(dead).map(|(id, i)| (id, i.estimate)).collect();
        left.sort_unstable();
        for (attempt, estimate) in left {
            let end = End { attempt, facts: EndFacts::crashed(now, estimate) };
            self.commit(books, |state, writer| decide_end(state, writer, &end))?;
            recovery.crashed += 1;
        }
        Ok(recovery)
    }

    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError> {
        let books = lock(&self.books);
        let mut open: Vec<_> = books.state.intents().map(|(id, intent)| (id, intent.clone())).collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        Ok(open)
    }

    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        let books = lock(&self.books);
        let open = books.state.intent(attempt).map(|intent| AttemptEntry::Open(intent.clone()));
        Ok(open.or_else(|| books.state.ended(attempt).map(|ended| AttemptEntry::Ended(ended.clone()))))
    }

    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError> {
        let mut balances: Vec<_> = lock(&self.books).state.balances().collect();
        balances.sort_unstable_by_key(|(account, _)| *account);
        Ok(balances)
    }

    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError> {
        Ok(lock(&self.books).state.balance(account))
    }

    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError> {
        let mut books = lock(&self.books);
        let rows = books.chained().filter(|(seq, ..)| *seq > after).take(limit);
        Ok(rows.map(|(seq, entry, hash)| JournalRow { seq, entry: entry.clone(), hash }).collect())
    }

    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError> {
        let asked = |(key, _): &(RollupKey, Rollup)| {
            query.key.is_none_or(|of| of == key.key)
                && (query.from_hour..query.until_hour).contains(&key.hour)
        };
        let mut rollups: Vec<_> = lock(&self.books).state.rollups().filter(asked).collect();
        rollups.sort_unstable_by_key(|(key, _)| *key);
        Ok(rollups)
    }

    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError> {
        let books = &mut *lock(&self.books);
        if books.last_seq == books.sealed_seq {
            return Ok(());
        }
        books.chain();
        let mut heads: Vec<_> = books.heads.values().copied().collect();
        heads.sort_unstable_by_key(|head| (head.book, head.writer));
        let command = Command::Seal(Seal { at: now, heads });
        self.commit(books, |state, writer| decide(state, writer, &command))?;
        books.sealed_seq = books.last_seq;
        let Books { heads, live, .. } = books;
        heads.retain(|_, head| live.contains(&head.writer));
        Ok(())
    }

    /// Reads all rows that are kept, whatever the extent: there are few.
    async fn verify(&self, _: Extent) -> Result<Verification, LedgerError> {
        Ok(lock(&self.books).verify())
    }

    async fn health(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn register_name(&self, name: Name) -> Result<(), LedgerError> {
        lock(&self.books).name(&name);
        Ok(())
    }

    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError> {
        Ok(lock(&self.books).names.get(&id).map(|name| name.as_str().to_owned()))
    }

    fn counters(&self) -> Counters {
        lock(&self.books).counters
    }
}

/// Nothing under this lock panics half-way, so a poisoned one holds whole books.
fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Books {
    state: State,
    rows: VecDeque<Entry>,
    rows_max: usize,
    last_seq: u64,
    sealed_seq: u64,
    /// Of the oldest rows, as far as they have been chained.
    hashes: VecDeque<RowHash>,
    /// The last row of each chain, among those.
    heads: IdMap<(Book, Epoch), ChainHead>,
    /// Sums and chain heads before the first row that is kept.
    snapshot: State,
    snapshot_heads: IdMap<(Book, Epoch), ChainHead>,
    live: BTreeSet<Epoch>,
    epochs: u32,
    names: IdMap<EntityId, Name>,
    newest_hour: i64,
    counters: Counters,
}

impl Books {
    const ROLLUP_HOURS: i64 = 62 * 24;

    fn open_epoch(&mut self) -> Epoch {
        self.epochs += 1;
        let epoch = Epoch::new(self.epochs);
        self.live.insert(epoch);
        epoch
    }

    fn name(&mut self, name: &Name) {
        self.names.entry(name.id()).or_insert_with(|| name.clone());
    }

    fn write(&mut self, entry: Entry) {
        self.last_seq += 1;
        apply(&mut self.state, &entry);
        self.count(&entry.fact);
        self.rows.push_back(entry);
        while self.rows.len() > self.rows_max {
            self.fold_oldest();
        }
    }

    /// The number of the oldest row that is kept.
    fn first_seq(&self) -> u64 {
        self.last_seq + 1 - self.rows.len() as u64
    }

    /// Chains the rows that came since the last time.
    fn chain(&mut self) {
        let chained = self.hashes.len();
        let mut body = Vec::new();
        for (seq, entry) in (self.first_seq()..).zip(&self.rows).skip(chained) {
            let (book, writer) = (entry.book, entry.writer);
            body.clear();
            encode(entry, &mut body);
            let previous = self.heads.get(&(book, writer)).map_or(RowHash::GENESIS, |head| head.hash);
            let hash = RowHash::of(previous, seq, book, &body);
            self.heads.insert((book, writer), ChainHead { book, writer, seq, hash });
            self.hashes.push_back(hash);
        }
    }

    /// The rows that are kept, chained: the number, the row, and its hash.
    fn chained(&mut self) -> impl Iterator<Item = (u64, &Entry, RowHash)> {
        self.chain();
        let rows = (self.first_seq()..).zip(&self.rows).zip(&self.hashes);
        rows.map(|((seq, entry), hash)| (seq, entry, *hash))
    }

    fn count(&mut self, fact: &Fact) {
        match fact {
            Fact::Reserved { .. } => self.counters.reserved += 1,
            Fact::Ended { .. } => self.counters.ended += 1,
            Fact::Overage { .. } => self.counters.overages += 1,
            Fact::Late { .. } => self.counters.late += 1,
            Fact::Used { rollup, .. } if rollup.hour > self.newest_hour => {
                self.newest_hour = rollup.hour;
                for state in [&mut self.state, &mut self.snapshot] {
                    state.forget_rollups_before(rollup.hour - Self::ROLLUP_HOURS);
                }
            }
            _ => {}
        }
    }

    fn fold_oldest(&mut self) {
        let seq = self.first_seq();
        let Some(entry) = self.rows.pop_front() else { return };
        let (book, writer) = (entry.book, entry.writer);
        let chained = self.hashes.pop_front();
        let head = ChainHead { book, writer, seq, hash: chained.unwrap_or(RowHash::GENESIS) };
        self.snapshot_heads.insert((book, writer), head);
        if chained.is_none() {
            self.heads.insert((book, writer), head);
        }
        apply_sums(&mut self.snapshot, &entry);
        match entry.fact {
            Fact::Ended { attempt, .. } => self.state.forget_attempt(attempt),
            Fact::Refunded { id, .. } => self.state.forget_claim(CommandId { id, act: Act::Refund }),
            Fact::Funded { id, .. } => self.state.forget_claim(CommandId { id, act: Act::Fund }),
            _ => {}
        }
    }

    fn verify(&mut self) -> Verification {
        let heads: Vec<_> = self.snapshot_heads.values().copied().collect();
        let mut auditor = Auditor::after(self.first_seq() - 1, &heads, self.snapshot.clone());
        let mut body = Vec::new();
        for (seq, entry, hash) in self.chained() {
            body.clear();
            encode(entry, &mut body);
            auditor.row(StoredRow { seq, book: entry.book as u8, body: &body, hash: &hash.0 });
        }
        let folded: HashMap<_, _> = auditor.state().balances().collect();
        for (account, balance) in self.state.balances() {
            if folded.get(&account) != Some(&balance) {
                auditor.note(Fault::Fold { what: format!("account {account}") });
            }
        }
        let oldest = self.newest_hour - Self::ROLLUP_HOURS;
        let folded: HashMap<_, _> = auditor.state().rollups().collect();
        for (key, rollup) in self.state.rollups() {
            if key.hour >= oldest && folded.get(&key) != Some(&rollup) {
                auditor.note(Fault::Fold { what: format!("roll-up {key:?}") });
            }
        }
        auditor.finish()
    }
}
