//! The store in memory against the reference model.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::sync::Arc;

use futures::executor::block_on;
use weighbridge_ledger::testkit::{Report, check_store, check_usage, plain_facts, plain_reserve};
use weighbridge_ledger::{
    Adjust, AttemptEntry, Book, Extent, Fact, Fund, Funding, Ledger, LedgerError, MemoryLedger, Refusal,
    Reserve, RollupQuery, RowHash, encode,
};
use weighbridge_units::{AttemptId, AttemptOutcome, NanoUsd, Timestamp};

fn run(seed: u64, steps: usize, rows: usize) -> Report {
    let mut subject = MemoryLedger::with_rows(rows);
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

fn reserve(number: u128, at: Timestamp) -> Reserve {
    plain_reserve(AttemptId::from_u128(number), at)
}

fn serve(ledger: &Ledger, number: u128, at: Timestamp) {
    block_on(ledger.reserve(reserve(number, at))).unwrap().end(plain_facts(AttemptOutcome::Success, at));
}

fn refund(number: u128, amount: i64) -> Adjust {
    Adjust {
        id: number,
        attempt: AttemptId::from_u128(number),
        at: Timestamp::from_secs(1),
        refund: NanoUsd::new(amount),
        reason: "complaint".into(),
    }
}

fn fund(id: u128, funding: Funding) -> Fund {
    let (tenant, reason, actor) = ("acme".into(), "invoice paid".into(), "finance".into());
    Fund { id, at: Timestamp::from_secs(1), book: Book::Platform, tenant, funding, reason, actor }
}

/// So its memory is bounded, however long it runs.
#[test]
fn l3_a_ledger_in_memory_knows_what_its_rows_tell_and_forgets_the_rest_but_for_open_attempts() {
    let memory = Arc::new(MemoryLedger::with_rows(40));
    let ledger = Ledger::new(memory, 10);
    let store = &**ledger.store();
    let open = block_on(ledger.reserve(reserve(1_000, Timestamp::from_secs(1)))).unwrap();
    for number in 0..40 {
        serve(&ledger, number, Timestamp::from_secs(1));
        block_on(store.adjust(refund(number, 1))).unwrap();
        block_on(store.fund(fund(number, Funding::TopUp(NanoUsd::new(9))))).unwrap();
    }
    let rows = block_on(store.journal(0, usize::MAX)).unwrap();
    assert_eq!((rows.len(), rows[39].seq), (40, 1 + 40 * 5));
    let tells = |of: &dyn Fn(&Fact) -> bool| rows.iter().any(|row| of(&row.entry.fact));
    let refused = |answer: Result<(), LedgerError>| answer.unwrap_err().refusal();
    for number in 0..40 {
        let attempt = AttemptId::from_u128(number);
        let is_told = tells(&|fact| matches!(fact, Fact::Ended { attempt: of, .. } if *of == attempt));
        assert_eq!(block_on(store.attempt(attempt)).unwrap().is_some(), is_told, "attempt {number}");

        let is_told = tells(&|fact| matches!(fact, Fact::Refunded { id, .. } if *id == number));
        let other = refused(block_on(store.adjust(refund(number, 2))));
        let expected = if is_told { Refusal::Conflict } else { Refusal::UnknownAttempt };
        assert_eq!(other, Some(expected), "refund {number}");

        let is_told = tells(&|fact| matches!(fact, Fact::Funded { id, .. } if *id == number));
        let amount = NanoUsd::new(10);
        let back =
            refused(block_on(store.fund(fund(1_000 + number, Funding::Refund { of: number, amount }))));
        let left = NanoUsd::new(9);
        let expected = if is_told { Refusal::RefundTooLarge { left } } else { Refusal::UnknownTopUp };
        assert_eq!(back, Some(expected), "top-up {number}");
    }
    assert!(matches!(block_on(store.attempt(open.attempt())).unwrap(), Some(AttemptEntry::Open(_))));
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
    open.void(Timestamp::from_secs(2));
}

/// What is read twice is the same twice, whatever was written and forgotten meanwhile.
#[test]
fn l3_rows_in_memory_keep_the_hashes_that_they_were_first_read_with() {
    let memory = Arc::new(MemoryLedger::with_rows(40));
    let ledger = Ledger::new(memory, 10);
    let store = &**ledger.store();
    (0..10).for_each(|number| serve(&ledger, number, Timestamp::from_secs(1)));
    let before = block_on(store.journal(0, usize::MAX)).unwrap();
    (10..17).for_each(|number| serve(&ledger, number, Timestamp::from_secs(2)));
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
    block_on(store.seal(Timestamp::from_secs(3))).unwrap();
    let after = block_on(store.journal(0, usize::MAX)).unwrap();
    let again = before.iter().filter(|row| row.seq >= after[0].seq);
    assert!((10..before.len()).contains(&again.clone().count()));
    assert!(again.zip(&after).all(|(row, again)| row == again));
    assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
}

/// Rows that nobody looked at take their chain along when they are forgotten; the next ones begin another.
#[test]
fn l3_rows_in_memory_that_are_forgotten_unread_have_no_part_in_a_chain() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::with_rows(6)), 10);
    let store = &**ledger.store();
    // The second time, there were chains before.
    for numbers in [0..10, 10..20] {
        numbers.for_each(|number| serve(&ledger, number, Timestamp::from_secs(1)));
        let rows = block_on(store.journal(0, usize::MAX)).unwrap();
        for book in [Book::Platform, Book::Usage] {
            let row = rows.iter().find(|row| row.entry.book == book).unwrap();
            let mut body = Vec::new();
            encode(&row.entry, &mut body);
            assert_eq!(row.hash, RowHash::of(RowHash::GENESIS, row.seq, book, &body));
        }
        assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
        block_on(store.seal(Timestamp::from_secs(2))).unwrap();
        assert!(block_on(store.verify(Extent::All)).unwrap().is_sound());
    }
}

#[test]
fn l5_roll_ups_in_memory_are_those_of_62_days_before_the_newest() {
    let ledger = Ledger::new(Arc::new(MemoryLedger::new()), 10);
    let hour = |number: i64| Timestamp::from_secs(1_800_000_000 + number * 3_600);
    let first = hour(0).hour();
    let kept = || {
        let rollups = block_on(ledger.store().rollups(RollupQuery::ALL)).unwrap();
        rollups.into_iter().map(|(key, _)| key.hour - first).collect::<Vec<_>>()
    };
    for (number, at) in [0, 1, 62 * 24, 2].into_iter().enumerate() {
        serve(&ledger, number as u128, hour(at));
    }
    assert_eq!(kept(), [0, 1, 2, 62 * 24]);
    serve(&ledger, 4, hour(62 * 24 + 1));
    assert_eq!(kept(), [1, 2, 62 * 24, 62 * 24 + 1]);
    assert!(block_on(ledger.store().verify(Extent::All)).unwrap().is_sound());
}

#[test]
fn l5_usage_of_any_period_is_the_sum_of_its_rows_in_memory() {
    for seed in 0..4 {
        let checked = block_on(check_usage(&mut MemoryLedger::new(), seed, 1_000));
        let report = checked.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.ended > 200 && report.late > 5 && report.refunds > 5, "{report:?}");
        assert!(report.questions > 200 && report.uneven > 100 && report.sums > 1_000, "{report:?}");
    }
}
