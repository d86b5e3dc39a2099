//! The ledger on PostgreSQL under crashes, neighbours, lost answers and outages.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

mod server;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, AttemptEntry, Book, BudgetScope, BudgetWindow, EndFacts, Extent, Fault, Hold, Ledger,
    LedgerError, LedgerStore, Quantity, Recovery, Refusal, Reserve, RollupQuery, budget_account,
};
use weighbridge_store_postgres::{Database, PostgresLedger, PostgresLedgerOptions};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, Timestamp};

/// Quick to find the dead, so that tests need not wait.
const BEAT: Duration = Duration::from_millis(100);

/// So slow that nobody is found dead by beats while a test runs.
const NO_BEAT: Duration = Duration::from_secs(3_600);

fn open(url: &str) -> Ledger {
    open_at(url, BEAT)
}

fn open_at(url: &str, beat: Duration) -> Ledger {
    let store = PostgresLedger::with_options(&Database::open(url).unwrap(), PostgresLedgerOptions { beat });
    Ledger::new(Arc::new(store), 1_000_000)
}

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total)
}

fn reserve_within(number: u128, limit: i64) -> Reserve {
    let holds = vec![Hold { account: budget(), limit: Some(Quantity::new(limit)) }];
    let key = KeyId::from_bits((number % 5) as u64);
    Reserve { key, holds, ..plain_reserve(AttemptId::from_u128(number), Timestamp::from_secs(1)) }
}

fn reserve(number: u128) -> Reserve {
    reserve_within(number, 1_000_000_000)
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

fn outcome(store: &dyn LedgerStore, number: u128) -> Option<AttemptOutcome> {
    match block_on(store.attempt(AttemptId::from_u128(number))).unwrap()? {
        AttemptEntry::Ended(ended) => Some(ended.settlement.outcome),
        AttemptEntry::Open(_) => None,
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The child's part of the tests that kill: it works until it dies, and tells what was acknowledged.
///
/// Without the variable it is no test at all.
#[test]
fn child_works_until_it_is_killed() {
    let Some(url) = std::env::var_os("WEIGHBRIDGE_TEST_LEDGER") else { return };
    let first: u128 = std::env::var("WEIGHBRIDGE_TEST_FIRST").unwrap().parse().unwrap();
    let ledger = open(url.to_str().unwrap());
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
                    if number % 50 == 0 && worker == 0 {
                        block_on(ledger.store().seal(Timestamp::from_secs(3))).unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

/// Another process that works on the ledger, once it has begun to.
fn child(url: &str, first: u128) -> (Child, Lines) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_works_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env("WEIGHBRIDGE_TEST_LEDGER", url)
        .env("WEIGHBRIDGE_TEST_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("ready")).unwrap().unwrap();
    (child, lines)
}

/// Lets another process leave something open, and kills it.
fn killed_in_the_middle(url: &str) {
    let (mut child, lines) = child(url, 1_000_000);
    let mut lines = lines;
    lines.by_ref().take(40).for_each(|line| drop(line.unwrap()));
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

#[test]
fn c1_c6_a_killed_instance_loses_nothing_and_its_intents_end_as_crashed_while_another_lives() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let survivor = open(&url);
    block_on(survivor.store().recover(Timestamp::from_secs(3))).unwrap();
    let mut held = 0..;
    let mut acknowledged: HashSet<u128> = HashSet::new();
    for cycle in 0..3_u64 {
        // The survivor has something open all the time, which nobody may end for it (rule R2).
        let own = 100 + held.next().unwrap();
        let reservation = block_on(survivor.reserve(reserve(own))).unwrap();
        let first = 1_000_000 * (1 + u128::from(cycle));
        let (mut child, mut lines) = child(&url, first);
        let mut told = |line: std::io::Result<String>| {
            let line = line.unwrap_or_default();
            acknowledged.extend(line.strip_prefix("reserved ").and_then(|it| it.parse::<u128>().ok()));
        };
        lines.by_ref().take(40 + 23 * cycle as usize).for_each(&mut told);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        lines.for_each(told);

        let mut crashed = 0;
        wait_for("the end of what the dead left open", || {
            crashed += block_on(survivor.store().recover(Timestamp::from_secs(4))).unwrap().crashed;
            block_on(survivor.store().open_attempts()).unwrap().len() == 1
        });
        assert!(crashed > 0, "something was in flight");
        assert_eq!(outcome(&**survivor.store(), own), None);
        reservation.end(success());
    }
    let store = survivor.store();
    for number in &acknowledged {
        assert!(outcome(&**store, *number).is_some(), "attempt {number} was acknowledged");
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    assert_nothing_pending(&**store);
    assert_sound(&**store);
}

#[test]
#[cfg(target_os = "linux")]
fn c2_c6_what_a_killed_process_left_open_ends_at_the_next_start_without_waiting_for_beats() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    killed_in_the_middle(&url);
    // Nobody would be dead by beats for hours, so that this is what the kernel said.
    let next = open_at(&url, NO_BEAT);
    let begun = Instant::now();
    let recovery = block_on(next.store().recover(Timestamp::from_secs(4))).unwrap();
    println!("taken over in {:?}", begun.elapsed());
    assert!(recovery.crashed > 0 && recovery.writers == 1, "{recovery:?}");
    assert_eq!(block_on(next.store().open_attempts()).unwrap(), []);
    assert_eq!(block_on(next.store().recover(Timestamp::from_secs(4))).unwrap(), Recovery::default());
    assert_nothing_pending(&**next.store());
    assert_sound(&**next.store());
}

#[test]
fn c6_who_was_killed_on_another_host_is_dead_by_beats_only() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let url = server.url(&name);
    killed_in_the_middle(&url);
    server.sql(&name, "UPDATE writer SET host = host || ' of another machine'");
    let next = open(&url);
    let begun = Instant::now();
    let recovery = block_on(next.store().recover(Timestamp::from_secs(4))).unwrap();
    assert!(begun.elapsed() >= 5 * BEAT, "five looks at the same beat: {:?}", begun.elapsed());
    assert!(recovery.crashed > 0 && recovery.writers == 1, "{recovery:?}");
    assert_nothing_pending(&**next.store());
}

#[test]
#[cfg(target_os = "linux")]
fn c6_r2_who_lives_is_not_taken_for_dead_by_a_start_though_all_its_connections_are_cut() {
    let Some(server) = server::shared() else { return };
    let proxy = server::Proxy::new(&server);
    let name = server.database();
    let cut_off = open_at(&proxy.url(&name), NO_BEAT);
    let running = block_on(cut_off.reserve(reserve(1))).unwrap();
    proxy.set_down(true);
    block_on(cut_off.reserve(reserve(2))).unwrap_err();
    let connected = "SELECT count(*) FROM writer JOIN pg_stat_activity ON pid = backend";
    wait_for("the end of the connections", || server.sql(&name, connected) == "0");
    // It does not wait for who is known to live, either.
    let next = open_at(&server.url(&name), NO_BEAT);
    for _ in 0..3 {
        let recovery = block_on(next.store().recover(Timestamp::from_secs(4))).unwrap();
        assert_eq!(recovery, Recovery::default());
    }
    assert_eq!(outcome(&**next.store(), 1), None, "what runs is open");
    proxy.set_down(false);
    running.end(success());
    block_on(cut_off.drained());
    assert_eq!(outcome(&**next.store(), 1), Some(AttemptOutcome::Success));
    assert_eq!(server.sql(&name, "SELECT count(*) FROM writer WHERE closed IS NOT NULL"), "0");
    assert_sound(&**next.store());
}

#[test]
fn r3_two_instances_share_a_budget_and_overspend_not_a_cent() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let instances = [open(&url), open(&url)];
    let granted = Arc::new(AtomicUsize::new(0));
    // Room for ten, at their worst price.
    let limit = 1_000;
    let workers: Vec<_> = (0..100_u128)
        .map(|number| {
            let ledger = instances[(number % 2) as usize].clone();
            let granted = Arc::clone(&granted);
            thread::spawn(move || match block_on(ledger.reserve(reserve_within(number, limit))) {
                Ok(reservation) => {
                    granted.fetch_add(1, Ordering::Relaxed);
                    Some(reservation)
                }
                Err(LedgerError::Refused(Refusal::Budget { .. })) => None,
                Err(error) => panic!("{error}"),
            })
        })
        .collect();
    let reservations: Vec<_> = workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect();
    assert_eq!(granted.load(Ordering::Relaxed), 10, "as many as there is room for, on both together");
    reservations.into_iter().for_each(|reservation| reservation.end(success()));
    for instance in &instances {
        block_on(instance.drained());
    }
    let balance = block_on(instances[0].store().balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(700), Quantity::ZERO));
    assert_sound(&**instances[1].store());
}

#[test]
fn l3_instances_that_write_in_parallel_add_up() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let instances = [open(&url), open(&url)];
    let workers: Vec<_> = (0..6_u128)
        .map(|worker| {
            let ledger = instances[(worker % 2) as usize].clone();
            thread::spawn(move || {
                for number in 0..40_u128 {
                    let attempt = 1_000 * (worker + 1) + number;
                    block_on(ledger.reserve(reserve(attempt))).unwrap().end(success());
                    if number % 10 == 9 {
                        block_on(ledger.store().seal(Timestamp::from_secs(3))).unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    for ledger in &instances {
        block_on(ledger.drained());
    }
    let store = instances[0].store();
    let balance = block_on(store.balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(6 * 40 * 70), Quantity::ZERO));
    let rollups = block_on(store.rollups(RollupQuery::ALL)).unwrap();
    assert_eq!(rollups.iter().map(|(_, rollup)| rollup.attempts).sum::<i64>(), 6 * 40);
    assert_sound(&**store);
}

#[test]
fn l4_c3_a_commit_whose_answer_is_lost_takes_effect_once() {
    let Some(server) = server::shared() else { return };
    let proxy = server::Proxy::new(&server);
    let ledger = open(&proxy.url(&server.database()));
    let warm = block_on(ledger.reserve(reserve(1))).unwrap();

    proxy.cut_next_commit();
    let reservation = block_on(ledger.reserve(reserve(2))).unwrap();
    assert!(proxy.has_cut(), "the answer was lost");
    proxy.cut_next_commit();
    reservation.end(success());
    warm.end(success());
    block_on(ledger.drained());
    assert!(proxy.has_cut());

    let store = ledger.store();
    let balance = block_on(store.balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(140), Quantity::ZERO));
    assert!(store.counters().failed_commits >= 2, "{:?}", store.counters());
    assert_eq!(store.counters().rejected_ends, 0);
    assert_sound(&**store);
}

#[test]
fn l4_c3_a_connection_that_dies_between_write_and_commit_leaves_nothing_and_the_commit_is_made_again() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let ledger = open(&server.url(&name));
    block_on(ledger.reserve(reserve(1))).unwrap().end(success());
    block_on(ledger.drained());
    // The server's process kills itself when the rows are written and the commit begins, as often as it is told to.
    server.sql(
        &name,
        "CREATE SEQUENCE deaths; \
         CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('deaths') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; \
         RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER die AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION die()",
    );
    let reservation = block_on(ledger.reserve(reserve(2))).unwrap();
    assert_eq!(ledger.store().counters().failed_commits, 2);
    reservation.end(success());
    block_on(ledger.drained());
    let store = ledger.store();
    let balance = block_on(store.balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(140), Quantity::ZERO));
    assert_sound(&**store);
}

#[test]
fn c6_an_instance_that_was_declared_dead_commits_nothing_under_its_epoch_and_goes_on_as_a_new_one() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let ledger = open(&server.url(&name));
    let running = block_on(ledger.reserve(reserve(1))).unwrap();
    // What another instance does that found this one dead.
    server.sql(&name, "UPDATE writer SET closed = now()");
    let other = open(&server.url(&name));
    assert_eq!(block_on(other.store().recover(Timestamp::from_secs(4))).unwrap().crashed, 1);
    assert_eq!(outcome(&**other.store(), 1), Some(AttemptOutcome::Crashed));

    let refused = block_on(ledger.reserve(reserve(2))).unwrap_err();
    assert_eq!(refused, LedgerError::Refused(Refusal::StaleEpoch));
    assert_eq!(block_on(other.store().attempt(AttemptId::from_u128(2))).unwrap(), None);
    // It is told once. What it learns of its running attempt corrects the crash (rule R7), once.
    block_on(ledger.reserve(reserve(3))).unwrap().end(success());
    running.end(success());
    block_on(ledger.drained());
    assert_eq!(ledger.store().counters().late, 1);
    let balance = block_on(other.store().balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(140), Quantity::ZERO));
    assert_sound(&**other.store());
}

#[test]
fn r2_what_an_instance_remembers_as_open_ends_once_if_the_database_knows_better() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let (here, there) = (open(&server.url(&name)), open(&server.url(&name)));
    let reservation = block_on(here.reserve(reserve(1))).unwrap();
    server.sql(&name, "UPDATE writer SET closed = now()");
    assert_eq!(block_on(there.store().recover(Timestamp::from_secs(4))).unwrap().crashed, 1);
    // Such as a restored row: the epoch is open again, and what it had open is not.
    server.sql(&name, "UPDATE writer SET closed = NULL WHERE epoch = 1");
    reservation.end(success());
    block_on(here.drained());
    let counters = here.store().counters();
    assert_eq!((counters.late, counters.rejected_ends), (1, 0), "it corrects the crash (rule R7)");
    assert!(counters.failed_commits > 0, "the first try met the end that is there: {counters:?}");
    let balance = block_on(here.store().balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(70), Quantity::ZERO));
    assert_sound(&**here.store());
}

#[test]
fn c4_a_server_that_is_away_refuses_at_once_keeps_the_ends_and_comes_back_by_itself() {
    let Some(server) = server::own() else { return };
    let url = server.url(&server.database());
    let ledger = open(&url);
    block_on(ledger.store().recover(Timestamp::from_secs(3))).unwrap();
    let running = block_on(ledger.reserve(reserve(1))).unwrap();
    server.stop();
    let refused = block_on(ledger.reserve(reserve(2))).unwrap_err();
    assert!(matches!(refused, LedgerError::Unavailable { .. }), "{refused}");
    let begun = Instant::now();
    for number in 3..50 {
        let refused = block_on(ledger.reserve(reserve(number))).unwrap_err();
        assert!(matches!(refused, LedgerError::Unavailable { .. }), "{refused}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits for a server that is away");
    assert!(block_on(ledger.store().health()).is_err());
    running.end(success());
    thread::sleep(2 * BEAT * 5);

    server.start();
    wait_for("the store", || block_on(ledger.store().health()).is_ok());
    block_on(ledger.drained());
    // While nobody could look, nobody has died of it (rule C6), and what was never dispatched is void.
    assert_eq!(outcome(&**ledger.store(), 1), Some(AttemptOutcome::Success));
    let balance = block_on(ledger.store().balance(budget())).unwrap();
    assert_eq!((balance.posted, balance.pending), (Quantity::new(70), Quantity::ZERO));
    block_on(ledger.reserve(reserve(60))).unwrap().end(success());
    block_on(ledger.drained());
    assert_nothing_pending(&**ledger.store());
    assert_sound(&**ledger.store());
}

#[test]
fn c4_a_network_that_is_cut_is_noticed_and_what_waited_is_committed_later() {
    let Some(server) = server::shared() else { return };
    let proxy = server::Proxy::new(&server);
    let ledger = open(&proxy.url(&server.database()));
    let running = block_on(ledger.reserve(reserve(1))).unwrap();
    proxy.set_down(true);
    let refused = block_on(ledger.reserve(reserve(2))).unwrap_err();
    assert!(matches!(refused, LedgerError::Unavailable { .. }), "{refused}");
    running.end(success());
    proxy.set_down(false);
    block_on(ledger.drained());
    assert_eq!(outcome(&**ledger.store(), 1), Some(AttemptOutcome::Success));
    assert_sound(&**ledger.store());
}

#[test]
fn l3_any_change_of_the_tables_shows() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let ledger = open(&server.url(&name));
    for number in 0..5 {
        block_on(ledger.reserve(reserve(number))).unwrap().end(success());
    }
    let open_one = block_on(ledger.reserve(reserve(5))).unwrap();
    block_on(ledger.store().seal(Timestamp::from_secs(3))).unwrap();
    assert_sound(&**ledger.store());
    for damage in [
        "UPDATE balance SET posted = posted + 1 WHERE posted > 0",
        "UPDATE rollup SET cost = cost + 1",
        "UPDATE rollup SET counts[1] = 0",
        "UPDATE key_total SET counts[22] = 1",
        "DELETE FROM key_total",
        "UPDATE command SET seq = seq + 1 WHERE seq = 1",
        "DELETE FROM command WHERE seq = 1",
        "DELETE FROM open_attempt",
        "UPDATE chain SET seq = seq - 1",
        "UPDATE journal SET seq = seq + 1",
        "DELETE FROM seal",
        "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)",
        "UPDATE entry SET body = set_byte(body, 30, 255 - get_byte(body, 30)) WHERE seq = 2",
    ] {
        let found = damaged(&server, &name, damage, &ledger);
        assert!(!found.is_empty(), "{damage} does not show");
    }
    open_one.end(success());
}

/// What verifying finds after some damage, which is undone afterwards.
fn damaged(server: &server::Server, name: &str, damage: &str, ledger: &Ledger) -> Vec<Fault> {
    // The totals are put right behind the roll-ups, whose triggers write them.
    let tables = [
        "entry",
        "seal",
        "chain",
        "open_attempt",
        "command",
        "balance",
        "refunded",
        "rollup",
        "key_total",
        "journal",
    ];
    let each = |sql: &str| tables.map(|table| sql.replace('@', table)).join("; ");
    server.sql(name, &each("CREATE TABLE kept_@ AS SELECT * FROM @"));
    server.sql(name, damage);
    let found = block_on(ledger.store().verify(Extent::All)).unwrap().faults;
    server.sql(name, &each("TRUNCATE @; INSERT INTO @ SELECT * FROM kept_@; DROP TABLE kept_@"));
    let undone = block_on(ledger.store().verify(Extent::All)).unwrap();
    assert!(undone.is_sound(), "{:?}", undone.faults);
    found
}

/// Recovery of as many intents as one instance may ever leave behind (rule C2):
/// `cargo test -p weighbridge-store-postgres --test faults -- --ignored --nocapture`.
#[test]
#[ignore = "takes long"]
fn c2_a_hundred_thousand_open_intents() {
    let Some(server) = server::own() else { return };
    let url = server.url(&server.database());
    let left = open(&url);
    block_on(async {
        for chunk in 0..100_u128 {
            let reserves = (0..1_000).map(|number| left.store().reserve(reserve(chunk * 1_000 + number)));
            futures::future::join_all(reserves).await.into_iter().for_each(Result::unwrap);
        }
    });
    drop(left);
    let ledger = open(&url);
    let begun = Instant::now();
    let recovery = block_on(ledger.store().recover(Timestamp::from_secs(4))).unwrap();
    println!("{} intents ended in {:?}", recovery.crashed, begun.elapsed());
    assert_eq!(recovery.crashed, 100_000);
    assert_nothing_pending(&**ledger.store());
}
