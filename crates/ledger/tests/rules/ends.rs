//! Ends of attempts: once, in full, and by the table of outcomes.

use std::time::Duration;

use weighbridge_ledger::{
    AccountId, AccountKind, Billing, Book, Decision, End, EndFacts, EntityId, Fact, Quantity, Refusal,
    Reserve, State, View, apply, decide_end,
};
use weighbridge_units::{AttemptId, AttemptOutcome, Bucket, NanoUsd, Provenance, Usage};

use crate::support::*;

#[test]
fn r2_an_attempt_ends_once() {
    let mut state = State::new();
    assert_eq!(close(&mut state, end(1, AttemptOutcome::Success, 1, 1)), Err(Refusal::UnknownAttempt));
    open(&mut state, reserve(1, 100, 1_000)).unwrap();
    close(&mut state, end(1, AttemptOutcome::Success, 90, 80)).unwrap();
    let before = state.clone();
    for outcome in AttemptOutcome::ALL {
        assert_eq!(close(&mut state, end(1, outcome, 91, 80)), Err(Refusal::AlreadyEnded));
    }
    assert_eq!(state, before);
}

#[test]
fn r5_what_exceeds_the_reservation_is_posted_in_full_and_blocks() {
    let mut state = State::new();
    open(&mut state, reserve(1, 100, 100)).unwrap();
    let entries = close(&mut state, end(1, AttemptOutcome::Success, 130, 130)).unwrap();
    let overage = entries.iter().find(|entry| matches!(entry.fact, Fact::Overage { .. })).unwrap();
    assert_eq!(
        overage.fact,
        Fact::Overage { attempt: AttemptId::from_u128(1), excess: NanoUsd::new(30), tokens: 0 }
    );
    assert!(overage.transfers.iter().all(|transfer| transfer.amount == Quantity::new(30)));
    assert_eq!(posted(&state, budget()), 130);
    assert_eq!(posted(&state, platform(AccountKind::Receivable, "acme")), 130);
    assert!(matches!(open(&mut state, reserve(2, 0, 100)), Err(Refusal::Budget { .. })));
}

#[test]
fn r6_the_unused_part_returns_with_the_end() {
    for outcome in AttemptOutcome::ALL {
        let mut state = State::new();
        open(&mut state, reserve(1, 100, 100)).unwrap();
        close(&mut state, end(1, outcome, 40, 30)).unwrap();
        assert!(state.balances().all(|(_, balance)| balance.pending == Quantity::ZERO), "{outcome}");
        assert_eq!(state.intents().count(), 0);
        open(&mut state, reserve(2, 60, 100)).unwrap();
    }
}

#[test]
fn r7_figures_of_any_outcome_are_news_after_a_crash_and_another_guess_is_not() {
    for outcome in AttemptOutcome::ALL {
        for provenance in [Provenance::Reported, Provenance::Tokenised, Provenance::Estimated] {
            let mut state = State::new();
            open(&mut state, reserve(1, 100, 1_000)).unwrap();
            let facts = EndFacts::crashed(now(), NanoUsd::new(100));
            close(&mut state, End { attempt: AttemptId::from_u128(1), facts }).unwrap();
            let mut late = end(1, outcome, 70, 60);
            late.facts.provenance = provenance;
            let is_guess = outcome == AttemptOutcome::Crashed && provenance == Provenance::Estimated;
            match close(&mut state, late) {
                Ok(_) => assert!(!is_guess, "{outcome}, {provenance:?}"),
                Err(refusal) => {
                    assert_eq!(
                        (refusal, is_guess),
                        (Refusal::AlreadyEnded, true),
                        "{outcome}, {provenance:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn r7_the_truth_replaces_a_crash_once() {
    let mut state = State::new();
    open(&mut state, reserve(1, 100, 1_000)).unwrap();
    let crash = End { attempt: AttemptId::from_u128(1), facts: EndFacts::crashed(now(), NanoUsd::new(100)) };
    close(&mut state, crash.clone()).unwrap();
    assert_eq!(posted(&state, platform(AccountKind::Absorbed, "crash")), 100);
    assert_eq!(posted(&state, platform(AccountKind::Receivable, "acme")), 0, "nobody pays for a crash");

    let truth = end(1, AttemptOutcome::Success, 50, 40);
    assert_eq!(close(&mut state, truth.clone()).unwrap().len(), 2);
    assert_eq!(posted(&state, platform(AccountKind::Absorbed, "crash")), 0);
    assert_eq!(posted(&state, platform(AccountKind::Payable, "openai")), -40);
    assert_eq!(posted(&state, platform(AccountKind::Receivable, "acme")), 50);
    assert_eq!(posted(&state, budget()), 50);
    let (_, rollup) = state.rollups().next().unwrap();
    assert_eq!((rollup.attempts, rollup.succeeded, rollup.estimated), (1, 1, 0));
    assert_eq!((rollup.cost, rollup.charged), (NanoUsd::new(40), NanoUsd::new(50)));

    let before = state.clone();
    assert_eq!(close(&mut state, truth), Ok(vec![]), "repeated");
    assert_eq!(close(&mut state, crash), Ok(vec![]), "repeated");
    assert_eq!(close(&mut state, end(1, AttemptOutcome::Success, 51, 40)), Err(Refusal::AlreadyEnded));
    assert_eq!(state, before);
}

#[test]
fn a2_a4_the_books_follow_the_table() {
    for outcome in AttemptOutcome::ALL {
        for billing in [Billing::Platform, Billing::OwnKey, Billing::House] {
            let mut state = State::new();
            open(&mut state, Reserve { billing, holds: vec![], ..reserve(1, 100, 0) }).unwrap();
            close(&mut state, end(1, outcome, 50, 40)).unwrap();
            let pays = matches!(outcome, AttemptOutcome::Success | AttemptOutcome::ClientLeft)
                && billing != Billing::House;
            let sales = AccountId::new(billing.book(), AccountKind::Sales, EntityId::NONE);
            assert_eq!(posted(&state, sales), if pays { -50 } else { 0 }, "{outcome} {billing:?}");
            let owed = if billing == Billing::OwnKey { 0 } else { -40 };
            assert_eq!(
                posted(&state, platform(AccountKind::Payable, "openai")),
                owed,
                "{outcome} {billing:?}"
            );
            let upstream = AccountId::new(Book::Usage, AccountKind::Upstream, EntityId::of("openai"));
            assert_eq!(posted(&state, upstream), -40, "the usage book has every attempt");
            let (_, rollup) = state.rollups().next().unwrap();
            assert_eq!(rollup.succeeded, i64::from(outcome == AttemptOutcome::Success));
        }
    }
}

#[test]
fn m5_absurd_counts_are_cut_and_flagged() {
    let most = weighbridge_ledger::MAX_COUNT;
    assert_eq!(most, 0xff_ffff_ffff, "M2: below 2⁴⁰");
    for (count, entered, flagged) in [(most, most, false), (most + 1, most, true), (u64::MAX, most, true)] {
        let mut state = State::new();
        open(&mut state, reserve(1, 100, 1_000)).unwrap();
        let mut absurd = end(1, AttemptOutcome::Success, 1, 1);
        absurd.facts.usage = Usage::new().with(Bucket::Input, count);
        close(&mut state, absurd).unwrap();
        let usage = state.ended(AttemptId::from_u128(1)).unwrap().used.usage;
        assert_eq!((usage.get(Bucket::Input), usage.is_contradictory()), (entered, flagged), "{count}");
    }
}

#[test]
fn no_end_of_an_open_attempt_leaves_its_reservation_behind() {
    for (price, cost, estimate, entered) in
        [(-1, 5, 70, 70), (5, -1, 70, 70), (5, i64::MAX, 70, 70), (5, -1, 200, 0)]
    {
        let mut state = State::new();
        // The provider is owed almost all that can be owed.
        open(&mut state, Reserve { holds: vec![], ..reserve(1, 1, 0) }).unwrap();
        close(&mut state, end(1, AttemptOutcome::Success, 0, i64::MAX - 100)).unwrap();
        open(&mut state, Reserve { estimate: NanoUsd::new(estimate), ..reserve(2, 100, 1_000) }).unwrap();
        let Ok(Decision::Commit(entries)) =
            decide_end(&state, WRITER, &end(2, AttemptOutcome::Success, price, cost))
        else {
            panic!("it was not entered");
        };
        entries.iter().for_each(|entry| apply(&mut state, entry));
        let ended = state.ended(AttemptId::from_u128(2)).unwrap();
        assert_eq!(ended.settlement.outcome, AttemptOutcome::Crashed);
        assert_eq!(ended.settlement.cost, NanoUsd::new(entered));
        assert_eq!(state.balance(budget()).pending, Quantity::ZERO);
    }
}

#[test]
fn l5_a_roll_up_tells_what_its_attempts_used_and_nothing_of_what_none_told() {
    let mut state = State::new();
    for (number, usage) in [
        (1, Usage::new().with(Bucket::Input, 10).with(Bucket::Output, 3)),
        (2, Usage::new().with(Bucket::Input, 5).with(Bucket::CacheRead, 0)),
    ] {
        open(&mut state, reserve(number, 100, 1_000)).unwrap();
        let mut told = end(number, AttemptOutcome::Success, 1, 1);
        told.facts.usage = usage;
        close(&mut state, told).unwrap();
    }
    let (_, rollup) = state.rollups().next().unwrap();
    assert_eq!(rollup.usage(), Usage::new().with(Bucket::Input, 15).with(Bucket::Output, 3));
}

#[test]
fn l5_what_is_forgotten_of_the_roll_ups_are_the_hours_before() {
    let mut state = State::new();
    for number in 0..4_u128 {
        let at = now() + Duration::from_secs(3_600 * u64::try_from(number).unwrap());
        let expires = at + Duration::from_secs(60);
        open(&mut state, Reserve { at, expires, ..reserve(number, 10, 1_000) }).unwrap();
        let ended = end(number, AttemptOutcome::Success, 10, 10);
        close(&mut state, End { facts: EndFacts { at, ..ended.facts }, ..ended }).unwrap();
    }
    let hours = |state: &State| {
        let mut hours: Vec<_> = state.rollups().map(|(key, _)| key.hour).collect();
        hours.sort_unstable();
        hours
    };
    let all = hours(&state);
    assert_eq!(all.len(), 4);
    state.forget_rollups_before(all[2]);
    assert_eq!(hours(&state), all[2..]);
}
