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
use weighbridge_ledger::testkit::{Report, Subject, check_store};
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
