//! The ledger on PostgreSQL against the reference model of the ledger's testkit.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

mod server;

use futures::executor::block_on;
use weighbridge_ledger::LedgerStore;
use weighbridge_ledger::testkit::{Interleaved, Report, Subject, check_store, check_usage};
use weighbridge_store_postgres::{Database, PostgresLedger};

struct Postgres {
    database: Database,
    ledger: Option<PostgresLedger>,
}

impl Subject for Postgres {
    fn store(&self) -> &dyn LedgerStore {
        self.ledger.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.ledger = None;
        self.ledger = Some(PostgresLedger::open(&self.database));
    }
}

fn run(url: &str, seed: u64, steps: usize) -> Report {
    let database = Database::open(url).unwrap();
    let ledger = Some(PostgresLedger::open(&database));
    let checked = block_on(check_store(&mut Postgres { database, ledger }, seed, steps));
    checked.unwrap_or_else(|violation| panic!("{violation}"))
}

#[test]
fn l_and_r_rules_hold_on_postgres() {
    let Some(server) = server::shared() else { return };
    for seed in 100..102 {
        let report = run(&server.url(&server.database()), seed, 800);
        println!("{report:?}");
        assert!(report.granted > 60 && report.refused > 60 && report.crashed > 10, "{report:?}");
        assert!(report.overages > 5 && report.late > 5 && report.refunds > 1, "{report:?}");
        assert!(report.refused_by_claim > 0, "{report:?}");
    }
}

#[test]
fn l5_usage_of_any_period_is_the_sum_of_its_rows_on_postgres() {
    let Some(server) = server::shared() else { return };
    for seed in 0..2 {
        let database = Database::open(&server.url(&server.database())).unwrap();
        let ledger = Some(PostgresLedger::open(&database));
        let checked = block_on(check_usage(&mut Postgres { database, ledger }, seed, 700));
        let report = checked.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.ended > 150 && report.late > 2 && report.refunds > 2, "{report:?}");
        assert!(report.questions > 100 && report.uneven > 50 && report.sums > 500, "{report:?}");
    }
}

/// Two instances on one database, in turns.
struct Two {
    database: Database,
    ledgers: Option<Interleaved<PostgresLedger>>,
    seed: u64,
    changes: usize,
}

impl Two {
    fn new(url: &str, seed: u64) -> Self {
        let mut two = Self { database: Database::open(url).unwrap(), ledgers: None, seed, changes: 0 };
        two.restart();
        two
    }
}

impl Subject for Two {
    fn store(&self) -> &dyn LedgerStore {
        self.ledgers.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.changes += self.ledgers.take().map_or(0, |ledgers| ledgers.changes());
        let ledgers = [0, 1].map(|_| PostgresLedger::open(&self.database));
        self.ledgers = Some(Interleaved::new(ledgers.into(), self.seed));
    }
}

fn run_on_two(url: &str, seed: u64, steps: usize) -> (Report, usize) {
    let mut two = Two::new(url, seed);
    let checked = block_on(check_store(&mut two, seed, steps));
    let report = checked.unwrap_or_else(|violation| panic!("{violation}"));
    two.restart();
    (report, two.changes)
}

#[test]
fn c6_l5_two_instances_add_up_to_what_the_reference_model_says() {
    let Some(server) = server::shared() else { return };
    let (report, changes) = run_on_two(&server.url(&server.database()), 300, 500);
    println!("{report:?}, {changes} turns");
    assert!(report.granted > 30 && report.refused > 30 && report.crashed > 5 && changes > 300, "{report:?}");
}

#[test]
fn l_and_r_rules_hold_behind_a_pooler_in_session_mode() {
    let Some(server) = server::shared() else { return };
    let Some(pooler) = server::Pooler::start(&server, "session") else { return };
    let report = run(&pooler.url(&server.database()), 500, 400);
    println!("{report:?}");
    assert!(report.granted > 30 && report.refused > 30 && report.crashed > 5, "{report:?}");
    let (report, changes) = run_on_two(&pooler.url(&server.database()), 501, 300);
    println!("{report:?}, {changes} turns");
    assert!(report.granted > 20 && changes > 150, "{report:?}");
}

/// `cargo test -p weighbridge-store-postgres --test conformance -- --ignored --nocapture`.
#[test]
#[ignore = "takes long"]
fn c6_l5_two_instances_for_long() {
    let Some(server) = server::own() else { return };
    for seed in 400..410 {
        let (report, changes) = run_on_two(&server.url(&server.database()), seed, 5_000);
        println!("seed {seed}: {report:?}, {changes} turns");
    }
}
