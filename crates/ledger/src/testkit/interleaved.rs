use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;
use weighbridge_units::{AttemptId, Timestamp};

use super::Random;
use crate::{
    AccountId, Adjust, AttemptEntry, Balance, Counters, End, EntityId, Extent, Fund, Intent, JournalRow,
    LedgerError, LedgerStore, Name, Permit, Recovery, Reserve, Rollup, RollupKey, RollupQuery, Verification,
};

/// Several openings of one ledger, taken in turns that a seed decides on: what one of them wrote, the next has to
/// know. An attempt is repeated and ended by the opening that reserved it, as its epoch says; refunds, fundings,
/// seals and all looks are anybody's.
///
/// Before a command, what the others were handed over is committed, so that there is one order of all commands, and
/// the reference model can tell what is right.
pub struct Interleaved<S> {
    stores: Vec<S>,
    turns: Mutex<Turns>,
}

struct Turns {
    random: Random,
    now: usize,
    changes: usize,
    /// Who was asked for an attempt.
    asked: HashMap<AttemptId, usize>,
    /// Those that were handed over ends since they were last waited for.
    owing: BTreeSet<usize>,
}

impl<S: LedgerStore> Interleaved<S> {
    /// Takes turns between stores of the same data.
    pub fn new(stores: Vec<S>, seed: u64) -> Self {
        let turns = Turns {
            random: Random::new(seed),
            now: 0,
            changes: 0,
            asked: HashMap::new(),
            owing: BTreeSet::new(),
        };
        Self { stores, turns: Mutex::new(turns) }
    }

    /// How often the turn has changed.
    pub fn changes(&self) -> usize {
        self.turns().changes
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is.
    fn current(&self) -> &S {
        self.store(self.turns().now)
    }

    /// Whose turn it is from now on.
    async fn next(&self) -> Result<&S, LedgerError> {
        let next = self.turns().draw(self.stores.len());
        self.turn_to(next).await
    }

    async fn turn_to(&self, next: usize) -> Result<&S, LedgerError> {
        let owing = std::mem::take(&mut self.turns().owing);
        for store in owing.iter().filter(|store| **store != next).filter_map(|store| self.stores.get(*store))
        {
            store.flush();
            // A read sees all that was handed over before it (rule Q1).
            store.open_attempts().await?;
        }
        let turns = &mut *self.turns();
        // What it was handed over itself is committed with what it is asked next, unless that is refused at once.
        turns.owing.extend(owing.into_iter().filter(|store| *store == next));
        turns.changes += usize::from(turns.now != next);
        turns.now = next;
        Ok(self.store(next))
    }

    #[expect(clippy::indexing_slicing, reason = "a turn is below the number of stores")]
    fn store(&self, turn: usize) -> &S {
        &self.stores[turn]
    }
}

impl Turns {
    fn draw(&mut self, stores: usize) -> usize {
        usize::try_from(self.random.below(stores as u64)).unwrap_or(0)
    }
}

#[async_trait]
impl<S: LedgerStore> LedgerStore for Interleaved<S> {
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>> {
        let turns = &mut *self.turns();
        let drawn = turns.draw(self.stores.len());
        let whose = *turns.asked.entry(reserve.attempt).or_insert(drawn);
        Box::pin(async move { self.turn_to(whose).await?.reserve(reserve).await })
    }

    fn hand_over(&self, end: End, permit: Permit) {
        let turns = &mut *self.turns();
        let whose = turns.asked.get(&end.attempt).copied().unwrap_or(turns.now);
        turns.owing.insert(whose);
        self.store(whose).hand_over(end, permit);
    }

    fn flush(&self) {
        self.stores.iter().for_each(S::flush);
    }

    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError> {
        self.next().await?.adjust(adjust).await
    }

    async fn fund(&self, fund: Fund) -> Result<(), LedgerError> {
        self.next().await?.fund(fund).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        self.next().await?.recover(now).await
    }

    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError> {
        self.next().await?.open_attempts().await
    }

    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        self.next().await?.attempt(attempt).await
    }

    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError> {
        self.next().await?.balances().await
    }

    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError> {
        self.next().await?.balance(account).await
    }

    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError> {
        self.next().await?.journal(after, limit).await
    }

    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError> {
        self.next().await?.rollups(query).await
    }

    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.next().await?.seal(now).await
    }

    async fn verify(&self, extent: Extent) -> Result<Verification, LedgerError> {
        self.next().await?.verify(extent).await
    }

    async fn health(&self) -> Result<(), LedgerError> {
        self.next().await?.health().await
    }

    async fn register_name(&self, name: Name) -> Result<(), LedgerError> {
        self.next().await?.register_name(name).await
    }

    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError> {
        self.next().await?.name(id).await
    }

    fn counters(&self) -> Counters {
        self.current().counters()
    }
}
