//! The front: permits, guards, cancellation, shutting down.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::{FutureExt, poll};
use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, Adjust, AttemptEntry, Balance, Book, BudgetScope, BudgetWindow, Counters, End, EntityId,
    Extent, Fund, Hold, Intent, JournalRow, Ledger, LedgerError, LedgerStore, MemoryLedger, Name, Permit,
    Quantity, Recovery, Refusal, Reserve, Rollup, RollupKey, RollupQuery, Verification, budget_account,
};
use weighbridge_units::{AttemptId, AttemptOutcome, NanoUsd, Provenance, Timestamp};

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total)
}

fn reserve(number: u128) -> Reserve {
    let holds = vec![Hold { account: budget(), limit: Some(Quantity::new(250)) }];
    Reserve { holds, ..plain_reserve(AttemptId::from_u128(number), Timestamp::from_secs(1)) }
}

fn ended(ledger: &Ledger, number: u128) -> weighbridge_ledger::Ended {
    match block_on(ledger.store().attempt(AttemptId::from_u128(number))).unwrap() {
        Some(AttemptEntry::Ended(ended)) => ended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dropped_reservation_is_entered_as_a_crash_at_its_estimate() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
    drop(block_on(ledger.reserve(reserve(1))).unwrap());
    let ended = ended(&ledger, 1);
    assert_eq!(ended.settlement.outcome, AttemptOutcome::Crashed);
    assert_eq!((ended.settlement.charged, ended.settlement.cost), (NanoUsd::ZERO, NanoUsd::new(90)));
    assert_eq!(ended.used.provenance, Provenance::Estimated);
    assert_eq!(ledger.outstanding(), 0);
}

#[test]
fn a_panic_ends_its_attempt() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
    let panicking = ledger.clone();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _reservation = block_on(panicking.reserve(reserve(1))).unwrap();
        panic!("in the middle of a request");
    }));
    assert!(result.is_err());
    assert_eq!(ended(&ledger, 1).settlement.outcome, AttemptOutcome::Crashed);
    assert_eq!(ledger.outstanding(), 0);
}

#[test]
fn voiding_costs_nothing() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
    block_on(ledger.reserve(reserve(1))).unwrap().void(Timestamp::from_secs(2));
    let ended = ended(&ledger, 1);
    assert_eq!(ended.settlement.outcome, AttemptOutcome::FailedBeforeOutput);
    assert_eq!((ended.settlement.charged, ended.settlement.cost), (NanoUsd::ZERO, NanoUsd::ZERO));
}

#[test]
fn open_attempts_are_bounded_and_shutting_down_waits_for_the_last() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 2);
    let first = block_on(ledger.reserve(reserve(1))).unwrap();
    let second = block_on(ledger.reserve(reserve(2))).unwrap();
    assert_eq!(block_on(ledger.reserve(reserve(3))).err(), Some(LedgerError::Full { open: 2 }));

    let mut drained = pin!(ledger.drained());
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(drained.as_mut().poll(&mut context).is_pending());
    first.void(Timestamp::from_secs(2));
    assert_eq!(ledger.outstanding(), 1);
    assert!(drained.as_mut().poll(&mut context).is_pending());
    second.void(Timestamp::from_secs(2));
    assert!(drained.as_mut().poll(&mut context).is_ready());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "waking across threads is what is tested")]
fn shutting_down_is_woken_by_the_last_end() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 2);
    let reservation = block_on(ledger.reserve(reserve(1))).unwrap();
    let ender = std::thread::spawn(move || reservation.void(Timestamp::from_secs(2)));
    block_on(ledger.drained());
    ender.join().unwrap();
}

#[test]
fn a_refused_reservation_gives_its_place_back_and_ends_nothing() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
    let open = block_on(ledger.reserve(reserve(1))).unwrap();
    let other = Reserve { amount: NanoUsd::new(99), ..reserve(1) };
    assert_eq!(block_on(ledger.reserve(other)).err(), Some(Refusal::Conflict.into()));
    assert_eq!(ledger.outstanding(), 1);
    assert_eq!(block_on(ledger.store().open_attempts()).unwrap().len(), 1);
    open.void(Timestamp::from_secs(2));
}

/// A store whose commits can be held up or made to fail, in front of a real one.
#[derive(Default)]
struct Slow {
    inner: MemoryLedger,
    commits: Mutex<Commits>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Commits {
    #[default]
    Hang,
    FailAfterTheFact,
}

#[async_trait]
impl LedgerStore for Slow {
    fn reserve(&self, reserve: Reserve) -> BoxFuture<'_, Result<(), LedgerError>> {
        async move {
            self.inner.reserve(reserve).await?;
            if *self.commits.lock().unwrap() == Commits::Hang {
                futures::future::pending::<()>().await;
            }
            Err(LedgerError::Unavailable { reason: "the answer was lost".into() })
        }
        .boxed()
    }
    fn hand_over(&self, end: End, permit: Permit) {
        self.inner.hand_over(end, permit);
    }
    fn flush(&self) {}
    async fn adjust(&self, adjust: Adjust) -> Result<(), LedgerError> {
        self.inner.adjust(adjust).await
    }
    async fn fund(&self, fund: Fund) -> Result<(), LedgerError> {
        self.inner.fund(fund).await
    }
    async fn recover(&self, now: Timestamp) -> Result<Recovery, LedgerError> {
        self.inner.recover(now).await
    }
    async fn open_attempts(&self) -> Result<Vec<(AttemptId, Intent)>, LedgerError> {
        self.inner.open_attempts().await
    }
    async fn attempt(&self, attempt: AttemptId) -> Result<Option<AttemptEntry>, LedgerError> {
        self.inner.attempt(attempt).await
    }
    async fn balances(&self) -> Result<Vec<(AccountId, Balance)>, LedgerError> {
        self.inner.balances().await
    }
    async fn balance(&self, account: AccountId) -> Result<Balance, LedgerError> {
        self.inner.balance(account).await
    }
    async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalRow>, LedgerError> {
        self.inner.journal(after, limit).await
    }
    async fn rollups(&self, query: RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, LedgerError> {
        self.inner.rollups(query).await
    }
    async fn seal(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.inner.seal(now).await
    }
    async fn verify(&self, extent: Extent) -> Result<Verification, LedgerError> {
        self.inner.verify(extent).await
    }
    async fn health(&self) -> Result<(), LedgerError> {
        Ok(())
    }
    async fn register_name(&self, name: Name) -> Result<(), LedgerError> {
        self.inner.register_name(name).await
    }
    async fn name(&self, id: EntityId) -> Result<Option<String>, LedgerError> {
        self.inner.name(id).await
    }
    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

fn nothing_is_left_of(ledger: &Ledger, number: u128) {
    let ended = ended(ledger, number);
    assert_eq!(ended.settlement.outcome, AttemptOutcome::FailedBeforeOutput);
    assert_eq!((ended.settlement.charged, ended.settlement.cost), (NanoUsd::ZERO, NanoUsd::ZERO));
    assert_eq!(block_on(ledger.store().balance(budget())).unwrap(), Balance::default());
    assert_eq!(ledger.outstanding(), 0);
}

#[test]
fn a_reservation_that_is_no_longer_waited_for_is_released() {
    let ledger = Ledger::new(Arc::new(Slow::default()), 10);
    {
        let mut waiting = Box::pin(ledger.reserve(reserve(1)));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
        assert_eq!(ledger.outstanding(), 1);
    }
    nothing_is_left_of(&ledger, 1);
}

#[test]
fn c3_a_commit_of_unknown_outcome_is_undone() {
    let store = Slow::default();
    *store.commits.lock().unwrap() = Commits::FailAfterTheFact;
    let ledger = Ledger::new(Arc::new(store), 10);
    let answer = block_on(ledger.reserve(reserve(1)));
    assert!(matches!(answer, Err(LedgerError::Unavailable { .. })));
    nothing_is_left_of(&ledger, 1);
}

#[test]
fn c6_an_instance_that_was_declared_dead_is_told_once_and_its_ends_come_late() {
    let first = MemoryLedger::new();
    let second = first.restart();
    let first = Ledger::new(Arc::new(first), 10);
    let reservation = block_on(first.reserve(reserve(1))).unwrap();
    let recovery = block_on(second.recover(Timestamp::from_secs(5))).unwrap();
    assert_eq!(recovery, Recovery { crashed: 1, writers: 1 });

    assert_eq!(block_on(first.reserve(reserve(2))).err(), Some(Refusal::StaleEpoch.into()));
    reservation.end(plain_facts(AttemptOutcome::Success, Timestamp::from_secs(6)));
    let ended = ended(&first, 1);
    assert!(ended.late);
    assert_eq!((ended.settlement.charged, ended.settlement.cost), (NanoUsd::new(70), NanoUsd::new(60)));
    assert_eq!(block_on(first.store().balance(budget())).unwrap().posted, Quantity::new(70));
    block_on(first.reserve(reserve(3))).unwrap().void(Timestamp::from_secs(7));
    assert!(block_on(first.store().verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn r3_a_hundred_at_once_with_room_for_two() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 1_000);
    let asked = (0..100).map(|number| ledger.reserve(reserve(number)));
    let answers = block_on(futures::future::join_all(asked));
    let granted: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(granted.len(), 2);
    drop(granted);
    block_on(async { assert_eq!(poll!(ledger.drained()), Poll::Ready(())) });
}
