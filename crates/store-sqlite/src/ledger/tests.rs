//! What only the inside can bring about: a full disk, a neighbour that does not let go, lost tasks.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use futures::executor::block_on;
use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, Book, BudgetScope, BudgetWindow, EndFacts, Hold, Ledger, Quantity, Refusal, budget_account,
};
use weighbridge_units::AttemptOutcome;

use super::writer::Writer;
use super::*;

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total)
}

fn reserve(number: u128) -> Reserve {
    let holds = vec![Hold { account: budget(), limit: Some(Quantity::new(1_000_000)) }];
    Reserve { holds, ..plain_reserve(AttemptId::from_u128(number), Timestamp::from_secs(1)) }
}

fn success() -> EndFacts {
    plain_facts(AttemptOutcome::Success, Timestamp::from_secs(2))
}

struct Opened {
    store: Arc<SqliteLedger>,
    ledger: Ledger,
    folder: tempfile::TempDir,
}

fn opened() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteLedger::open(&folder.path().join("ledger.db")).unwrap());
    let ledger = Ledger::new(Arc::clone(&store) as Arc<dyn LedgerStore>, 10_000);
    Opened { store, ledger, folder }
}

fn is_unavailable<T>(answer: &Result<T, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::Unavailable { .. }))
}

#[test]
fn c3_c4_a_full_disk_stops_new_work_loses_no_end_and_heals() {
    let Opened { store, ledger, folder: _folder } = opened();
    let running: Vec<_> = (0..20).map(|n| block_on(ledger.reserve(reserve(n))).unwrap()).collect();
    store.shared.with_writer(|writer| writer.fill_disk(true)).unwrap();

    // A batch that fits in part only is given up as a whole, and forgotten.
    let many = (50_000..50_100).map(|number| ledger.reserve(reserve(number)));
    assert!(block_on(futures::future::join_all(many)).iter().all(is_unavailable));

    // What still fits on the pages there are goes through; then nothing does.
    let mut granted = Vec::new();
    let refused = (100..10_000).find(|&number| match block_on(ledger.reserve(reserve(number))) {
        Ok(reservation) => {
            granted.push(reservation);
            false
        }
        answer => {
            assert!(is_unavailable(&answer), "{answer:?}");
            true
        }
    });
    assert!(refused.is_some(), "the disk never filled up");
    assert!(store.shared.failure().is_some(), "the next question about its health must try to write");

    // Running work ends all the same; nothing leaves the queue.
    let open = running.len() + granted.len();
    running.into_iter().chain(granted).for_each(|reservation| reservation.end(success()));
    store.shared.settle();
    assert!(ledger.outstanding() >= open, "{} of {open} ends are kept", ledger.outstanding());
    assert!(is_unavailable(&block_on(ledger.reserve(reserve(20_000)))));

    store.shared.with_writer(|writer| writer.fill_disk(false)).unwrap();
    // Nobody flushes: the store's thread recovers by itself.
    block_on(ledger.drained());
    block_on(store.health()).unwrap();
    let balance = block_on(store.balance(budget())).unwrap();
    assert_eq!(balance, Balance { posted: Quantity::new(70 * open as i64), pending: Quantity::ZERO });
    block_on(ledger.reserve(reserve(30_000))).unwrap().end(success());
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
    assert!(store.counters().failed_commits > 0);
}

#[test]
fn a_neighbour_that_does_not_let_go_makes_the_ledger_unavailable_until_it_does() {
    let Opened { store, ledger, folder } = opened();
    block_on(ledger.reserve(reserve(1))).unwrap().end(success());
    block_on(store.balances()).unwrap();
    let neighbour = open(&folder.path().join("ledger.db"), Durability::Process).unwrap();
    neighbour.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(is_unavailable(&block_on(ledger.reserve(reserve(2)))));
    neighbour.execute_batch("COMMIT").unwrap();
    block_on(ledger.reserve(reserve(3))).unwrap().end(success());
    block_on(ledger.drained());
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn a_task_that_goes_away_leaves_nothing_reserved() {
    let Opened { store, ledger, folder: _folder } = opened();
    let mut context = Context::from_waker(Waker::noop());
    for polls in 0..3 {
        let mut waiting = Box::pin(ledger.reserve(reserve(polls)));
        for _ in 0..polls {
            let _ = waiting.as_mut().poll(&mut context);
        }
    }
    block_on(ledger.drained());
    assert_eq!(block_on(store.balance(budget())).unwrap(), Balance::default());
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn orders_of_one_thread_are_committed_together() {
    let Opened { store, ledger, folder: _folder } = opened();
    let asked = (0..50).map(|number| ledger.reserve(reserve(number)));
    let granted = block_on(futures::future::join_all(asked));
    assert!(granted.iter().all(Result::is_ok));
    assert_eq!(store.counters().commits, 1);
    assert_eq!(store.counters().reserved, 50);
}

#[test]
fn one_refusal_in_a_batch_hinders_nobody_else() {
    let Opened { ledger, folder: _folder, .. } = opened();
    let asked = (0..30_u128).map(|number| {
        let mut asked = reserve(number);
        asked.holds[0].limit = Some(Quantity::new(if number % 3 == 0 { 0 } else { 1_000_000 }));
        ledger.reserve(asked)
    });
    for (number, answer) in block_on(futures::future::join_all(asked)).into_iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(number % 3, 0),
            Err(error) => {
                assert!(matches!(error.refusal(), Some(Refusal::Budget { .. })), "{error}");
                assert_eq!(number % 3, 0);
            }
        }
    }
}

#[test]
fn ends_that_nobody_flushes_are_committed_by_the_stores_thread() {
    let Opened { store, ledger, folder: _folder } = opened();
    block_on(ledger.reserve(reserve(1))).unwrap().end(success());
    let mut drained = pin!(ledger.drained());
    let begun = std::time::Instant::now();
    block_on(&mut drained);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(store.counters().ended, 1);
}

/// The last row that the tables of a file show, and the last row of its journal.
fn folded(folder: &Path) -> (u64, u64) {
    let db = open(&folder.join("ledger.db"), Durability::Process).unwrap();
    rows::find_folded(&db).unwrap()
}

#[test]
fn c1_l3_after_a_crash_the_tables_are_brought_up_to_date_from_the_journal() {
    let Opened { store, ledger, folder } = opened();
    let mut left_open = Vec::new();
    for number in 0..8 {
        let reservation = block_on(ledger.reserve(reserve(number))).unwrap();
        match number % 4 {
            0 => left_open.push(reservation),
            _ => reservation.end(success()),
        }
    }
    store.shared.settle();
    let (shown, last) = folded(folder.path());
    assert!(shown < last, "commits left nothing to bring up to date: {shown} of {last}");

    // The files as a kill would leave them: nobody is writing.
    let crashed = tempfile::tempdir().unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(folder.path().join(file), crashed.path().join(file)).unwrap();
    }
    let again = SqliteLedger::open(&crashed.path().join("ledger.db")).unwrap();
    assert!(block_on(again.verify(Extent::All)).unwrap().is_sound());
    let balance = block_on(again.balance(budget())).unwrap();
    assert_eq!(balance, Balance { posted: Quantity::new(6 * 70), pending: Quantity::new(2 * 100) });
    assert_eq!(folded(crashed.path()), (last, last));
    assert_eq!(block_on(again.open_attempts()).unwrap().len(), left_open.len());
    assert_eq!(block_on(again.recover(Timestamp::from_secs(9))).unwrap().crashed, left_open.len() as u64);
    assert!(block_on(again.verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn what_a_neighbour_brought_up_to_date_is_not_added_up_again() {
    let Opened { store, ledger, folder } = opened();
    let neighbour = SqliteLedger::open(&folder.path().join("ledger.db")).unwrap();
    for number in 1..=5_i64 {
        let running = block_on(ledger.reserve(reserve(number as u128))).unwrap();
        let pending = block_on(neighbour.balance(budget())).unwrap().pending;
        assert_eq!(pending, Quantity::new(100), "a neighbour sees what was committed");
        running.end(success());
        store.shared.settle();
        assert_eq!(block_on(neighbour.balance(budget())).unwrap().posted, Quantity::new(70 * number));
    }
    for store in [&*store, &neighbour] {
        assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
        let rollups = block_on(store.rollups(RollupQuery::ALL)).unwrap();
        assert_eq!(rollups.iter().map(|(_, rollup)| rollup.succeeded).sum::<i64>(), 5);
    }
}

#[test]
fn flushes_bring_the_tables_up_to_date_now_and_then_and_a_long_tail_does_in_any_case() {
    let Opened { ledger, folder, .. } = opened();
    for number in 0..100 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
        ledger.flush();
    }
    let (shown, last) = folded(folder.path());
    assert!(shown > 0 && last - shown < Shared::FOLDED as u64, "{shown} of {last}");

    let Opened { ledger, folder, .. } = opened();
    for number in 0..400 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
    }
    let (shown, last) = folded(folder.path());
    assert!(shown > 0 && last - shown <= Writer::TAIL_MAX as u64, "{shown} of {last}");
}

#[test]
fn c4_whoever_carries_the_log_over_outlives_errors_and_panics() {
    let Opened { store, ledger, folder: _folder } = opened();
    let shared = Arc::clone(&store.shared);
    let mut round = 0;
    // Ends when the ledger does; here, when the third round has been.
    housekeeping::carry_over(&store.shared, Duration::ZERO, || {
        round += 1;
        match round {
            // As when commits wait for the rest of it.
            1 => shared.with_writer(|_| panic!("a test panics")).map_err(rows::corrupt),
            2 => Err(rows::corrupt("a test fails")),
            _ => {
                shared.stop();
                Ok(())
            }
        }
    });
    assert_eq!((round, store.counters().failed_checkpoints), (3, 2));
    // Nobody else is hindered: requests are committed, and the tables are brought up to date.
    for number in 0..200 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
        ledger.flush();
    }
    block_on(ledger.drained());
    assert!(store.shared.with_writer(|writer| Ok(writer.tail_rows())).unwrap() < Shared::FOLDED);
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn the_log_is_carried_over_while_commits_go_on() {
    let Opened { store, ledger, folder } = opened();
    for number in 0..200 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
    }
    block_on(store.checkpoint()).unwrap();
    block_on(ledger.reserve(reserve(1_000))).unwrap().end(success());
    block_on(ledger.drained());
    drop((ledger, store));
    let copy = folder.path().join("copy.db");
    std::fs::copy(folder.path().join("ledger.db"), &copy).unwrap();
    let copied = SqliteLedger::open(&copy).unwrap();
    assert_eq!(block_on(copied.balance(budget())).unwrap().posted, Quantity::new(201 * 70));
    assert!(block_on(copied.verify(Extent::All)).unwrap().is_sound());
}
