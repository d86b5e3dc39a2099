//! Budgets in money, tokens and requests.

use weighbridge_ledger::{
    Balance, Book, BudgetScope, BudgetWindow, Command, End, EndFacts, Fact, Hold, Measure, Quantity, Refusal,
    Reserve, State, View, budget_account,
};
use weighbridge_units::{AttemptId, AttemptOutcome, Bucket, NanoUsd, Usage};

use crate::support::*;

#[test]
fn r3_a_budget_admits_up_to_its_limit_and_not_one_nano_dollar_more() {
    let mut state = State::new();
    open(&mut state, reserve(1, 600, 1_000)).unwrap();
    let refused = |available, needed, pending| Refusal::Budget {
        account: budget(),
        available: Quantity::new(available),
        needed: Quantity::new(needed),
        pending: Quantity::new(pending),
    };
    assert_eq!(open(&mut state, reserve(2, 401, 1_000)), Err(refused(400, 401, 600)));
    open(&mut state, reserve(3, 400, 1_000)).unwrap();
    close(&mut state, end(1, AttemptOutcome::Success, 500, 500)).unwrap();
    assert_eq!(open(&mut state, reserve(4, 101, 1_000)), Err(refused(100, 101, 400)));
    // A lowered limit blocks and erases nothing.
    assert_eq!(open(&mut state, reserve(5, 0, 10)), Err(refused(10 - 900, 0, 400)));
    assert_eq!(posted(&state, budget()), 500);
    open(&mut state, reserve(6, 100, 1_000)).unwrap();
}

#[test]
fn r3_a_refusal_by_one_budget_reserves_nothing_on_the_others() {
    let mut state = State::new();
    let other = budget_account(Book::Platform, BudgetScope::Tenant("acme"), BudgetWindow::Total);
    let mut asked = reserve(1, 100, 1_000);
    asked.holds.push(Hold { account: other, limit: Some(Quantity::new(99)) });
    assert!(matches!(open(&mut state, asked), Err(Refusal::Budget { account, .. }) if account == other));
    assert_eq!(state, State::new());
}

#[test]
fn r3_a_budget_in_tokens_or_requests_admits_up_to_its_limit_and_not_one_more() {
    let mut state = State::new();
    open(&mut state, counted(1, 60, 100, 2)).unwrap();
    let refused = |measure, available, needed, pending| {
        let account = budget().counting(measure);
        let [available, needed, pending] = [available, needed, pending].map(Quantity::new);
        Refusal::Budget { account, available, needed, pending }
    };
    let before = state.clone();
    assert_eq!(open(&mut state, counted(2, 41, 100, 2)), Err(refused(Measure::Tokens, 40, 41, 60)));
    assert_eq!(state, before, "R8: nothing is held on the others");
    // It used 11 of the 60 that were held.
    close(&mut state, end(1, AttemptOutcome::Success, 1, 1)).unwrap();
    open(&mut state, counted(3, 89, 100, 2)).unwrap();
    assert_eq!(open(&mut state, counted(4, 0, 100, 2)), Err(refused(Measure::Requests, 0, 1, 1)));
    let error = refused(Measure::Tokens, 40, 41, 60).to_string();
    assert!(error.contains("has 40 tokens left and 41 tokens are needed"), "{error}");
}

#[test]
fn a2_r6_what_nobody_pays_for_counts_in_no_measure() {
    for outcome in AttemptOutcome::ALL {
        let mut state = State::new();
        open(&mut state, counted(1, 60, 100, 1)).unwrap();
        close(&mut state, end(1, outcome, 5, 5)).unwrap();
        let pays = matches!(outcome, AttemptOutcome::Success | AttemptOutcome::ClientLeft);
        for (measure, counts) in [(Measure::Usd, 5), (Measure::Tokens, 11), (Measure::Requests, 1)] {
            let balance = state.balance(budget().counting(measure));
            let posted = Quantity::new(if pays { counts } else { 0 });
            assert_eq!(balance, Balance { posted, pending: Quantity::ZERO }, "{outcome}, {measure}");
        }
    }
}

#[test]
fn r5_tokens_beyond_the_reservation_are_posted_in_full_and_block() {
    let mut state = State::new();
    open(&mut state, counted(1, 4, 10, 10)).unwrap();
    let entries = close(&mut state, end(1, AttemptOutcome::Success, 90, 90)).unwrap();
    let overage = entries.iter().find(|entry| matches!(entry.fact, Fact::Overage { .. })).unwrap();
    let attempt = AttemptId::from_u128(1);
    assert_eq!(overage.fact, Fact::Overage { attempt, excess: NanoUsd::ZERO, tokens: 7 });
    assert_eq!(posted(&state, budget().counting(Measure::Tokens)), 11);
    let again = open(&mut state, counted(2, 0, 10, 10));
    assert!(matches!(again, Err(Refusal::Budget { account, .. }) if account.measure() == Measure::Tokens));
}

#[test]
fn r7_the_truth_about_a_crash_counts_its_tokens_too() {
    let mut state = State::new();
    open(&mut state, counted(1, 60, 100, 10)).unwrap();
    let crash = End { attempt: AttemptId::from_u128(1), facts: EndFacts::crashed(now(), NanoUsd::new(100)) };
    close(&mut state, crash).unwrap();
    let counts = |state: &State| {
        [Measure::Tokens, Measure::Requests].map(|measure| posted(state, budget().counting(measure)))
    };
    assert_eq!(counts(&state), [0, 0]);
    close(&mut state, end(1, AttemptOutcome::Success, 50, 40)).unwrap();
    assert_eq!(counts(&state), [11, 1]);
    // L6: what is refunded is money; the tokens were used all the same.
    act(&mut state, &Command::Adjust(refund(5, 1, 50))).unwrap();
    assert_eq!((posted(&state, budget()), counts(&state)), (0, [11, 1]));
}

#[test]
fn m5_an_absurd_count_is_cut_where_it_is_held_and_where_it_is_posted() {
    let most = i64::try_from(weighbridge_ledger::MAX_COUNT).unwrap();
    let mut state = State::new();
    open(&mut state, counted(1, u64::MAX, i64::MAX, 10)).unwrap();
    let tokens = budget().counting(Measure::Tokens);
    assert_eq!(state.balance(tokens).pending, Quantity::new(most));
    let mut absurd = end(1, AttemptOutcome::Success, 1, 1);
    absurd.facts.usage = Usage::new().with(Bucket::Input, u64::MAX).with(Bucket::WebSearch, u64::MAX);
    close(&mut state, absurd).unwrap();
    assert_eq!(posted(&state, tokens), most, "searches are no tokens");
}

#[test]
fn m7_a_budget_of_zero_blocks_what_costs_nothing_too_and_no_limit_blocks_nothing() {
    let mut state = State::new();
    assert!(matches!(open(&mut state, reserve(1, 0, 0)), Err(Refusal::Budget { .. })));
    let mut unlimited = reserve(2, 1_000_000, 0);
    unlimited.holds[0].limit = None;
    open(&mut state, unlimited).unwrap();
}

#[test]
fn r3_as_many_budgets_as_are_allowed_are_each_held() {
    let mut state = State::new();
    let months = 0..i32::try_from(weighbridge_ledger::MAX_HOLDS).unwrap();
    let accounts: Vec<_> = months
        .map(|month| budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Month(month)))
        .collect();
    let holds = accounts.iter().map(|account| Hold { account: *account, limit: None }).collect();
    open(&mut state, Reserve { holds, ..reserve(1, 70, 0) }).unwrap();
    for account in accounts {
        assert_eq!(state.balance(account).pending, Quantity::new(70));
    }
}

#[test]
fn r5_an_overage_tells_of_tokens_only_where_a_budget_counts_them() {
    for (counts_tokens, told) in [(false, 0), (true, 7)] {
        let mut state = State::new();
        let mut asked = counted(1, 4, 10, 10);
        asked.holds.retain(|hold| counts_tokens || hold.measure() != Measure::Tokens);
        open(&mut state, asked).unwrap();
        // It used 11 tokens for 30 nano-dollars more than were reserved.
        let entries = close(&mut state, end(1, AttemptOutcome::Success, 130, 130)).unwrap();
        let overages = entries.iter().filter_map(|entry| match entry.fact {
            Fact::Overage { excess, tokens, .. } => Some((excess.get(), tokens)),
            _ => None,
        });
        assert_eq!(overages.collect::<Vec<_>>(), [(30, told)]);
    }
}
