//! The store in memory against the reference model.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use futures::executor::block_on;
use weighbridge_ledger::testkit::{Report, Subject, check_store};
use weighbridge_ledger::{LedgerStore, MemoryLedger};

struct Memory(MemoryLedger);

impl Subject for Memory {
    fn store(&self) -> &dyn LedgerStore {
        &self.0
    }
    fn restart(&mut self) {
        self.0 = self.0.restart();
    }
}

fn run(seed: u64, steps: usize, rows: usize) -> Report {
    let mut subject = Memory(MemoryLedger::with_rows(rows));
    block_on(check_store(&mut subject, seed, steps)).unwrap_or_else(|violation| panic!("{violation}"))
}

/// Ten runs of 10,000 steps; in two tests, so that two threads share them.
fn runs(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let report = run(seed, 10_000, usize::MAX);
        for (what, count) in [
            ("granted", report.granted),
            ("refused", report.refused),
            ("refused_by_count", report.refused_by_count),
            ("rejected", report.rejected),
            ("refused_by_claim", report.refused_by_claim),
            ("ended", report.ended),
            ("overages", report.overages),
            ("late", report.late),
            ("not_ended", report.not_ended),
            ("refunds", report.refunds),
            ("funded", report.funded),
            ("crashed", report.crashed),
        ] {
            assert!(count > 20, "seed {seed} went through {count} {what} only");
        }
        // Once sums are about to overflow, no wallet is asked.
        assert!(report.refused_by_wallet > 5, "seed {seed}: {report:?}");
    }
}

#[test]
fn l_and_r_rules_hold_over_the_first_50_000_operations() {
    runs(0..5);
}

#[test]
fn l_and_r_rules_hold_over_another_50_000_operations() {
    runs(5..10);
}

#[test]
#[ignore = "a minute in release: .ci/deep runs it"]
fn l_and_r_rules_hold_over_1_000_000_operations() {
    runs(1_000..1_100);
}

/// The script asks for the last 40 attempts only; so a short journal answers as a whole one does.
#[test]
fn l3_a_snapshot_and_its_tail_are_the_whole() {
    assert!(run(77, 4_000, 2_600).granted > 500);
}
