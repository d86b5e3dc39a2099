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
use weighbridge_ledger::testkit::{Report, Subject, check_store};
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
