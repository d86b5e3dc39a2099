//! The ledger on SQLite under crashes, neighbours and tampering.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, AccountKind, AttemptEntry, Balance, Book, BudgetScope, BudgetWindow, EndFacts, EntityId,
    Extent, Fund, Funding, Hold, Ledger, LedgerStore, Quantity, Recovery, Refusal, Reserve, RollupQuery,
    Verification, budget_account,
};
use weighbridge_store_sqlite::{Durability, SqliteLedger, SqliteLedgerOptions};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Timestamp};

struct Folder {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    Folder { path: folder.path().join("ledger.db"), _folder: folder }
}

fn open(path: &Path) -> Ledger {
    Ledger::new(Arc::new(SqliteLedger::open(path).unwrap()), 1_000_000)
}

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total)
}

fn reserve(number: u128) -> Reserve {
    let holds = vec![Hold { account: budget(), limit: Some(Quantity::new(1_000_000_000)) }];
    let key = KeyId::from_bits((number % 5) as u64);
    Reserve { key, holds, ..plain_reserve(AttemptId::from_u128(number), Timestamp::from_secs(1)) }
}

fn fund(id: u128, funding: Funding) -> Fund {
    let (tenant, reason, actor) = ("acme".into(), "paid".into(), "finance".into());
    Fund { id, at: Timestamp::from_secs(1), book: Book::Platform, tenant, funding, reason, actor }
}

fn success() -> EndFacts {
    EndFacts { reason: "".into(), ..plain_facts(AttemptOutcome::Success, Timestamp::from_secs(2)) }
}

fn assert_sound(store: &dyn LedgerStore) {
    for extent in [Extent::SinceSeal, Extent::All] {
        let found = block_on(store.verify(extent)).unwrap();
        assert!(found.is_sound(), "{extent:?}: {:?}", found.faults);
    }
}

fn assert_nothing_pending(store: &dyn LedgerStore) {
    for (account, balance) in block_on(store.balances()).unwrap() {
        assert_eq!(balance.pending, Quantity::ZERO, "R6: {account}");
    }
}

/// The child's part of the tests that kill: it works until it dies, and tells what was acknowledged.
///
/// Without the variable it is no test at all.
#[test]
fn child_works_until_it_is_killed() {
    let Some(path) = std::env::var_os("WEIGHBRIDGE_TEST_LEDGER") else { return };
    let first: u128 = std::env::var("WEIGHBRIDGE_TEST_FIRST").unwrap().parse().unwrap();
    let ledger = open(Path::new(&path));
    block_on(ledger.store().recover(Timestamp::from_secs(3))).unwrap();
    println!("ready");
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let ledger = ledger.clone();
            thread::spawn(move || {
                for number in 0_u128.. {
                    let attempt = first + number * 4 + worker;
                    let reservation = block_on(ledger.reserve(reserve(attempt))).unwrap();
                    println!("reserved {attempt}");
                    if number % 7 == 3 {
                        std::mem::forget(reservation); // In flight when the end comes.
                        continue;
                    }
                    reservation.end(success());
                    ledger.flush();
                    if number % 50 == 0 && worker == 0 {
                        block_on(ledger.store().seal(Timestamp::from_secs(3))).unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn c1_c2_kill_9_under_load_loses_nothing_that_was_acknowledged() {
    let folder = folder();
    let mut acknowledged: HashSet<u128> = HashSet::new();
    for cycle in 0..5_u64 {
        let first = 1_000_000 * (1 + u128::from(cycle));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_works_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env("WEIGHBRIDGE_TEST_LEDGER", &folder.path)
            .env("WEIGHBRIDGE_TEST_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.find(|line| line.as_ref().unwrap().contains("ready")).unwrap().unwrap();
        let enough = 40 + 53 * cycle as usize;
        let mut told = |line: std::io::Result<String>| {
            let number = line.ok()?.split("reserved ").nth(1)?.trim().parse::<u128>().ok()?;
            acknowledged.insert(number);
            Some(())
        };
        for line in lines.by_ref().take(enough) {
            told(line);
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        // The last line may be cut; whole ones count.
        for line in lines {
            told(line);
        }
    }
    assert!(acknowledged.len() > 400);

    // C2: two instances recover at once.
    let (one, two) = (open(&folder.path), open(&folder.path));
    let both = [one.clone(), two.clone()].map(|ledger| {
        thread::spawn(move || block_on(ledger.store().recover(Timestamp::from_secs(9))).unwrap())
    });
    let crashed: u64 = both.map(|recovery| recovery.join().unwrap().crashed).iter().sum();
    assert!(crashed > 0, "the last kill left attempts open");
    assert_eq!(block_on(one.store().recover(Timestamp::from_secs(9))).unwrap(), Recovery::default());

    assert_sound(&**one.store());
    assert_nothing_pending(&**one.store());
    let mut charged = 0;
    for &attempt in &acknowledged {
        match block_on(one.store().attempt(AttemptId::from_u128(attempt))).unwrap() {
            Some(AttemptEntry::Ended(ended)) => match ended.settlement.outcome {
                AttemptOutcome::Success => charged += ended.settlement.charged.get(),
                AttemptOutcome::Crashed => assert_eq!(ended.settlement.cost, NanoUsd::new(90)),
                other => panic!("{other}"),
            },
            other => panic!("attempt {attempt} was acknowledged, and is {other:?}"),
        }
    }
    // An attempt may be committed and ended before its line was read; never charged twice.
    let posted = block_on(one.store().balance(budget())).unwrap().posted.get();
    assert!(posted >= charged && posted % 70 == 0);
    let successes: i64 =
        block_on(one.store().rollups(RollupQuery::ALL)).unwrap().iter().map(|r| r.1.succeeded).sum();
    assert_eq!(posted, successes * 70);
}

#[test]
fn c2_an_attempt_whose_process_lives_is_never_recovered() {
    let folder = folder();
    let (first, second) = (open(&folder.path), open(&folder.path));
    let reservation = block_on(first.reserve(reserve(1))).unwrap();
    assert_eq!(block_on(second.store().recover(Timestamp::from_secs(9))).unwrap(), Recovery::default());
    reservation.end(success());
    drop(first);
    assert_eq!(block_on(second.store().balance(budget())).unwrap().posted, Quantity::new(70));
}

#[test]
fn c6_a_writer_that_was_declared_dead_is_told_once_and_its_ends_come_late() {
    let folder = folder();
    let (first, second) = (open(&folder.path), open(&folder.path));
    let reservation = block_on(first.reserve(reserve(1))).unwrap();
    // As on a file system that forgot the lock.
    std::fs::remove_file(folder.path.with_extension("db-writer-1")).unwrap();
    let recovery = block_on(second.store().recover(Timestamp::from_secs(9))).unwrap();
    assert_eq!(recovery, Recovery { crashed: 1, writers: 1 });

    assert_eq!(block_on(first.reserve(reserve(2))).err(), Some(Refusal::StaleEpoch.into()));
    block_on(first.reserve(reserve(3))).unwrap().void(Timestamp::from_secs(3));
    reservation.end(success());
    first.flush();
    block_on(first.drained());
    let Some(AttemptEntry::Ended(ended)) = block_on(second.store().attempt(AttemptId::from_u128(1))).unwrap()
    else {
        panic!("it has ended");
    };
    assert!(ended.late);
    assert_eq!(ended.settlement.charged, NanoUsd::new(70));
    assert_eq!(first.store().counters().late, 1);
    assert_sound(&**second.store());
    assert_nothing_pending(&**second.store());
}

#[test]
fn several_writers_keep_chains_of_their_own_in_one_file() {
    let folder = folder();
    let ledgers = [open(&folder.path), open(&folder.path), open(&folder.path)];
    for round in 0..4_u128 {
        for (at, ledger) in ledgers.iter().enumerate() {
            let attempt = 10 * round + at as u128;
            block_on(ledger.reserve(reserve(attempt))).unwrap().end(success());
            ledger.flush();
            if (round as usize + at).is_multiple_of(3) {
                block_on(ledger.store().seal(Timestamp::from_secs(3))).unwrap();
            }
            assert_sound(&**ledger.store());
        }
    }
    let rows = block_on(ledgers[0].store().journal(0, 1_000)).unwrap();
    let writers: HashSet<_> = rows.iter().map(|row| row.entry.writer).collect();
    assert_eq!(writers.len(), 3);
    assert_eq!(block_on(ledgers[2].store().balance(budget())).unwrap().posted, Quantity::new(12 * 70));
    drop(ledgers);
    let again = open(&folder.path);
    block_on(again.store().seal(Timestamp::from_secs(3))).unwrap();
    block_on(again.reserve(reserve(1_000))).unwrap().end(success());
    again.flush();
    assert_sound(&**again.store());
}

#[test]
fn r3_a_budget_holds_under_threads_and_instances() {
    let folder = folder();
    let ledgers = [open(&folder.path), open(&folder.path)];
    let (granted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..8_usize {
            let (ledger, granted, refused) = (&ledgers[worker % 2], &granted, &refused);
            scope.spawn(move || {
                for number in 0..25 {
                    let mut asked = reserve((worker * 1_000 + number) as u128);
                    asked.holds[0].limit = Some(Quantity::new(1_000)); // Room for ten.
                    match block_on(ledger.reserve(asked)) {
                        Ok(reservation) => {
                            granted.fetch_add(1, Ordering::Relaxed);
                            std::mem::forget(reservation);
                        }
                        Err(error) => {
                            assert!(matches!(error.refusal(), Some(Refusal::Budget { .. })), "{error}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!((granted.into_inner(), refused.into_inner()), (10, 190));
    let balance = block_on(ledgers[0].store().balance(budget())).unwrap();
    assert_eq!(balance, Balance { posted: Quantity::ZERO, pending: Quantity::new(1_000) });
}

#[test]
fn r3_l4_a_wallet_holds_and_is_topped_up_once_under_threads_and_instances() {
    let folder = folder();
    let ledgers = [open(&folder.path), open(&folder.path)];
    let (granted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..8_usize {
            let (ledger, granted, refused) = (&ledgers[worker % 2], &granted, &refused);
            scope.spawn(move || {
                // All of them enter the same payment, before they spend it.
                let paid = Funding::TopUp(NanoUsd::new(1_050));
                block_on(ledger.store().fund(fund(7, paid))).unwrap();
                for number in 0..25 {
                    let asked = reserve((worker * 1_000 + number) as u128);
                    let asked = Reserve { credit_limit: Some(NanoUsd::ZERO), ..asked };
                    match block_on(ledger.reserve(asked)) {
                        Ok(reservation) => {
                            granted.fetch_add(1, Ordering::Relaxed);
                            std::mem::forget(reservation);
                        }
                        Err(error) => {
                            assert!(matches!(error.refusal(), Some(Refusal::Wallet { .. })), "{error}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!((granted.into_inner(), refused.into_inner()), (10, 190));
    let receivable = AccountId::new(Book::Platform, AccountKind::Receivable, EntityId::of("acme"));
    let balance = block_on(ledgers[0].store().balance(receivable)).unwrap();
    assert_eq!(balance, Balance { posted: Quantity::new(-1_050), pending: Quantity::new(1_000) });
}

#[test]
fn l6_refunds_of_a_top_up_are_remembered_by_the_file() {
    let folder = folder();
    let back = |id, amount| fund(id, Funding::Refund { of: 7, amount: NanoUsd::new(amount) });
    block_on(open(&folder.path).store().fund(fund(7, Funding::TopUp(NanoUsd::new(100))))).unwrap();
    block_on(open(&folder.path).store().fund(back(8, 60))).unwrap();
    let (one, other) = (open(&folder.path), open(&folder.path));
    assert_sound(&**one.store());
    for ledger in [&one, &other] {
        let answer = block_on(ledger.store().fund(back(9, 41))).unwrap_err();
        assert_eq!(answer.refusal(), Some(Refusal::RefundTooLarge { left: NanoUsd::new(40) }));
        block_on(ledger.store().fund(back(8, 60))).unwrap();
    }
    block_on(one.store().fund(back(9, 40))).unwrap();
    let answer = block_on(other.store().fund(back(10, 1))).unwrap_err();
    assert_eq!(answer.refusal(), Some(Refusal::RefundTooLarge { left: NanoUsd::ZERO }));
    assert_sound(&**other.store());
}

/// A small ledger with open, ended, refunded and crashed attempts, and several seals.
fn rich_ledger(path: &Path) {
    for start in 0..3_u128 {
        let ledger = open(path);
        block_on(ledger.store().recover(Timestamp::from_secs(9))).unwrap();
        for number in 0..4 {
            let reservation = block_on(ledger.reserve(reserve(100 * start + number))).unwrap();
            match number {
                0 => std::mem::forget(reservation), // The store stays open with it, as in a hung process.
                1 => reservation.end(EndFacts { price: NanoUsd::new(140), ..success() }),
                2 => drop(reservation),
                _ => reservation.end(success()),
            }
            ledger.flush();
        }
        let refund = weighbridge_ledger::Adjust {
            id: start,
            attempt: AttemptId::from_u128(100 * start + 1),
            at: Timestamp::from_secs(4),
            refund: NanoUsd::new(5),
            reason: "complaint".into(),
        };
        block_on(ledger.store().adjust(refund)).unwrap();
        block_on(ledger.store().seal(Timestamp::from_secs(5))).unwrap();
    }
}

fn verify_file(path: &Path) -> Verification {
    let store = SqliteLedger::open(path).unwrap();
    let found = block_on(store.verify(Extent::All)).unwrap();
    drop(store);
    for side_file in ["damaged-wal", "damaged-shm"] {
        let _ = std::fs::remove_file(path.with_extension(side_file));
    }
    found
}

#[test]
fn l3_l5_whatever_is_changed_behind_its_back_is_found() {
    let folder = folder();
    rich_ledger(&folder.path);
    let ledger = open(&folder.path);
    assert_sound(&**ledger.store());
    let db = rusqlite::Connection::open(&folder.path).unwrap();
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    let rows: i64 = db.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).unwrap();

    let mut damages: Vec<String> = vec![
        "UPDATE balance SET posted = posted + 1 WHERE account = (SELECT max(account) FROM balance)".into(),
        "UPDATE balance SET pending = pending + 1 WHERE account = (SELECT min(account) FROM balance)".into(),
        "DELETE FROM balance WHERE account = (SELECT min(account) FROM balance)".into(),
        "UPDATE rollup SET output = output + 1".into(),
        "UPDATE rollup SET charged = charged - 1".into(),
        "DELETE FROM rollup".into(),
        "UPDATE key_total SET calls = calls + 1".into(),
        "DELETE FROM key_total".into(),
        "DELETE FROM open_attempt".into(),
        "INSERT INTO open_attempt SELECT randomblob(16), book, body FROM open_attempt LIMIT 1".into(),
        "DELETE FROM command WHERE id = (SELECT min(id) FROM command)".into(),
        "UPDATE command SET payload = zeroblob(16) WHERE id = (SELECT max(id) FROM command)".into(),
        "UPDATE command SET seq = seq + 1 WHERE id = (SELECT max(id) FROM command)".into(),
        "UPDATE refunded SET amount = amount + 1".into(),
        "DELETE FROM refunded".into(),
        "DELETE FROM seal WHERE seq = (SELECT min(seq) FROM seal)".into(),
        "UPDATE folded SET seq = seq - 9".into(),
        "DELETE FROM entry".into(),
    ];
    for seq in 1..=rows {
        damages.push(format!("DELETE FROM entry WHERE seq = {seq}"));
        damages.push(format!("UPDATE entry SET book = (book + 1) % 3 WHERE seq = {seq}"));
        damages.push(format!("UPDATE entry SET hash = zeroblob(32) WHERE seq = {seq}"));
        damages.push(format!("UPDATE entry SET body = CAST(body || x'00' AS BLOB) WHERE seq = {seq}"));
        damages.push(format!(
            "UPDATE entry SET body = (SELECT body FROM entry AS other WHERE other.seq = {}) WHERE seq = {seq}",
            seq % rows + 1
        ));
    }
    for damage in damages {
        // Damaged, looked at, and put right again.
        let copy = [db.path().unwrap(), ".good"].concat();
        if !Path::new(&copy).exists() {
            db.execute("VACUUM INTO ?1", [&copy]).unwrap();
        }
        let path = folder.path.with_extension("damaged");
        std::fs::copy(&copy, &path).unwrap();
        let damaged = rusqlite::Connection::open(&path).unwrap();
        assert!(damaged.execute(&damage, []).unwrap() > 0, "{damage}");
        drop(damaged);
        let found = verify_file(&path);
        assert!(!found.is_sound(), "{damage}");
    }
}

#[test]
fn l4_ids_are_remembered_across_restarts() {
    let folder = folder();
    let ledger = open(&folder.path);
    block_on(ledger.reserve(reserve(1))).unwrap().end(success());
    drop(ledger);
    let ledger = open(&folder.path);
    assert_eq!(block_on(ledger.reserve(reserve(1))).err(), Some(Refusal::AlreadyEnded.into()));
    let other = Reserve { amount: NanoUsd::new(7), ..reserve(1) };
    assert_eq!(block_on(ledger.reserve(other)).err(), Some(Refusal::Conflict.into()));
}

#[test]
fn a_new_file_is_made_by_several_at_once() {
    for _ in 0..10 {
        let folder = folder();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        drop(SqliteLedger::open(&folder.path).unwrap());
                    })
                })
                .collect();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        assert_sound(&**open(&folder.path).store());
    }
}

/// A process that closes a descriptor of a file loses all its POSIX locks on it. Without SQLite's lock, another process
/// takes itself for the last one that uses the database, and an old SQLite then deletes the write-ahead log.
#[cfg(target_os = "linux")]
#[test]
fn c1_opening_a_file_again_keeps_the_locks_on_it() {
    use std::os::unix::fs::MetadataExt;
    let folder = folder();
    let ledger = open(&folder.path);
    block_on(ledger.reserve(reserve(1))).unwrap().end(success());
    let another = open(&folder.path);
    let file = format!(":{} ", std::fs::metadata(&folder.path).unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    assert!(locks.lines().any(|lock| lock.contains("READ") && lock.contains(&file)), "{file} in {locks}");
    drop((ledger, another));
}

#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let ledger = open(&folder.path);
    block_on(ledger.reserve(reserve(1))).unwrap().void(Timestamp::from_secs(2));
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder.path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db-writer-1"]);
}

#[test]
fn names_are_registered_with_the_entries_that_mention_them() {
    let folder = folder();
    let ledger = open(&folder.path);
    block_on(ledger.reserve(reserve(1))).unwrap().end(EndFacts { reason: "cut".into(), ..success() });
    ledger.flush();
    block_on(ledger.store().register_name("budget of acme".into())).unwrap();
    for name in ["acme", "openai", "gpt-4o-mini", "2026-11", "cut", "budget of acme"] {
        let id = weighbridge_ledger::EntityId::of(name);
        assert_eq!(block_on(ledger.store().name(id)).unwrap().as_deref(), Some(name));
    }
}

#[test]
fn with_fsync_the_stores_thread_commits() {
    let folder = folder();
    let options = SqliteLedgerOptions { path: folder.path.clone(), durability: Durability::Fsync };
    let ledger = Ledger::new(Arc::new(SqliteLedger::with_options(&options).unwrap()), 1_000);
    for number in 0..20 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
    }
    ledger.flush();
    block_on(ledger.drained());
    assert_eq!(block_on(ledger.store().balance(budget())).unwrap().posted, Quantity::new(20 * 70));
    assert_sound(&**ledger.store());
}

fn recover(attempts: u128) -> Duration {
    let folder = folder();
    let first = SqliteLedger::open(&folder.path).unwrap();
    let asked = (0..attempts).map(|number| first.reserve(reserve(number)));
    assert!(block_on(futures::future::join_all(asked)).iter().all(Result::is_ok));
    drop(first);
    let second = SqliteLedger::open(&folder.path).unwrap();
    let begun = std::time::Instant::now();
    let recovery = block_on(second.recover(Timestamp::from_secs(9))).unwrap();
    let took = begun.elapsed();
    assert_eq!(u128::from(recovery.crashed), attempts);
    assert_nothing_pending(&second);
    assert_sound(&second);
    took
}

#[test]
fn c2_intents_are_recovered_in_commits_of_many() {
    recover(2_500);
}

#[test]
#[ignore = "100,000 attempts: .ci/deep runs it in release"]
fn c2_100_000_intents_are_recovered_in_10_seconds() {
    let took = recover(100_000);
    println!("100,000 open attempts were recovered in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
