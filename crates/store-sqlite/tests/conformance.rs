//! The store on SQLite against the reference model of the ledger's testkit.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::path::PathBuf;

use futures::executor::block_on;
use weighbridge_ledger::LedgerStore;
use weighbridge_ledger::testkit::{Interleaved, Report, Subject, check_store, check_usage};
use weighbridge_store_sqlite::{Durability, SqliteLedger, SqliteLedgerOptions};

struct Sqlite {
    options: SqliteLedgerOptions,
    ledger: Option<SqliteLedger>,
    _folder: tempfile::TempDir,
}

impl Sqlite {
    fn new(durability: Durability) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("ledger.db");
        let options = SqliteLedgerOptions { path, durability };
        let ledger = Some(SqliteLedger::with_options(&options).unwrap());
        Self { options, ledger, _folder: folder }
    }
}

impl Subject for Sqlite {
    fn store(&self) -> &dyn LedgerStore {
        self.ledger.as_ref().unwrap()
    }
    fn restart(&mut self) {
        self.ledger = None;
        self.ledger = Some(SqliteLedger::with_options(&self.options).unwrap());
    }
}

fn run(durability: Durability, seed: u64, steps: usize) -> Report {
    let checked = block_on(check_store(&mut Sqlite::new(durability), seed, steps));
    checked.unwrap_or_else(|violation| panic!("{violation}"))
}

#[test]
fn l_and_r_rules_hold_on_sqlite() {
    for seed in 100..103 {
        let report = run(Durability::Process, seed, 1_200);
        println!("{report:?}");
        assert!(report.granted > 100 && report.refused > 100 && report.crashed > 20, "{report:?}");
        assert!(report.refused_by_count > 20 && report.refused_by_wallet > 2, "{report:?}");
        assert!(report.funded > 10 && report.refused_by_claim > 2, "{report:?}");
        assert!(report.overages > 10 && report.late > 10 && report.refunds > 1, "{report:?}");
    }
}

#[test]
fn l_and_r_rules_hold_with_fsync() {
    assert!(run(Durability::Fsync, 200, 80).granted > 10);
}

#[test]
fn l5_usage_of_any_period_is_the_sum_of_its_rows_on_sqlite() {
    for seed in 0..3 {
        let checked = block_on(check_usage(&mut Sqlite::new(Durability::Process), seed, 700));
        let report = checked.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.ended > 150 && report.late > 2 && report.refunds > 2, "{report:?}");
        assert!(report.questions > 100 && report.uneven > 50 && report.sums > 500, "{report:?}");
    }
}

/// Two processes on one file, in turns.
struct Two {
    options: SqliteLedgerOptions,
    ledgers: Option<Interleaved<SqliteLedger>>,
    seed: u64,
    changes: usize,
    _folder: tempfile::TempDir,
}

impl Subject for Two {
    fn store(&self) -> &dyn LedgerStore {
        self.ledgers.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.changes += self.ledgers.take().map_or(0, |ledgers| ledgers.changes());
        let ledgers = [0, 1].map(|_| SqliteLedger::with_options(&self.options).unwrap());
        self.ledgers = Some(Interleaved::new(ledgers.into(), self.seed));
    }
}

fn run_on_two(seed: u64, steps: usize) -> (Report, usize) {
    let Sqlite { options, _folder, .. } = Sqlite::new(Durability::Process);
    let mut two = Two { options, ledgers: None, seed, changes: 0, _folder };
    two.restart();
    let checked = block_on(check_store(&mut two, seed, steps));
    let report = checked.unwrap_or_else(|violation| panic!("{violation}"));
    two.restart();
    (report, two.changes)
}

#[test]
fn c6_l5_two_writers_of_one_file_add_up_to_what_the_reference_model_says() {
    let (report, changes) = run_on_two(300, 600);
    println!("{report:?}, {changes} turns");
    assert!(report.granted > 40 && report.refused > 40 && report.crashed > 5 && changes > 300, "{report:?}");
}

#[test]
#[ignore = "takes long"]
fn c6_l5_two_writers_of_one_file_for_long() {
    for seed in 400..410 {
        let (report, changes) = run_on_two(seed, 10_000);
        println!("seed {seed}: {report:?}, {changes} turns");
    }
}
