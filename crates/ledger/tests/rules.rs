//! The rules of `invariants.md`, one by one, on the pure functions.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::time::Duration;

use weighbridge_ledger::{
    AccountId, AccountKind, Adjust, Balance, Billing, Book, BudgetScope, BudgetWindow, Command, Decision,
    End, EndFacts, EntityId, Entry, Epoch, Fact, Fund, Funding, Hold, Measure, Quantity, Refusal, Reserve,
    State, View, apply, budget_account, decide, decide_end, touches,
};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

const WRITER: Epoch = Epoch::new(1);

fn now() -> Timestamp {
    Timestamp::from_date(2026, 11, 21).unwrap()
}

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Key(KeyId::from_bits(7)), BudgetWindow::Total)
}

fn reserve(number: u128, amount: i64, limit: i64) -> Reserve {
    Reserve {
        attempt: AttemptId::from_u128(number),
        at: now(),
        expires: now() + Duration::from_secs(60),
        key: KeyId::from_bits(7),
        tenant: "acme".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        price_version: "2026-11".into(),
        billing: Billing::Platform,
        amount: NanoUsd::new(amount),
        tokens: 1_000,
        credit_limit: None,
        claim: None,
        holds: vec![Hold { account: budget(), limit: Some(Quantity::new(limit)) }],
        estimate: NanoUsd::new(amount),
    }
}

fn end(number: u128, outcome: AttemptOutcome, price: i64, cost: i64) -> End {
    End {
        attempt: AttemptId::from_u128(number),
        facts: EndFacts {
            at: now(),
            outcome,
            usage: Usage::new().with(Bucket::Input, 10).with(Bucket::Output, 1),
            provenance: Provenance::Reported,
            price: NanoUsd::new(price),
            cost: NanoUsd::new(cost),
            exact: Usd::from(NanoUsd::new(cost)),
            reason: "cut".into(),
        },
    }
}

fn refund(id: u128, number: u128, amount: i64) -> Adjust {
    Adjust {
        id,
        attempt: AttemptId::from_u128(number),
        at: now(),
        refund: NanoUsd::new(amount),
        reason: "complaint".into(),
    }
}

/// As [`reserve`], with a budget in tokens and one in requests beside the one in money.
fn counted(number: u128, tokens: u64, token_limit: i64, request_limit: i64) -> Reserve {
    let mut reserve = Reserve { tokens, ..reserve(number, 100, 1_000) };
    for (measure, limit) in [(Measure::Tokens, token_limit), (Measure::Requests, request_limit)] {
        let limit = Some(Quantity::new(limit));
        reserve.holds.push(Hold { account: budget().counting(measure), limit });
    }
    reserve
}

fn fund(id: u128, funding: Funding) -> Fund {
    let (reason, actor) = ("invoice paid".into(), "finance".into());
    Fund { id, at: now(), book: Book::Platform, tenant: "acme".into(), funding, reason, actor }
}

fn pay(state: &mut State, fund: Fund) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::Fund(fund))
}

fn prepaid(number: u128, amount: i64) -> Reserve {
    Reserve { credit_limit: Some(NanoUsd::ZERO), holds: Vec::new(), ..reserve(number, amount, 0) }
}

/// Carries a command out; gives the rows that it wrote.
fn act(state: &mut State, command: &Command) -> Result<Vec<Entry>, Refusal> {
    match decide(state, WRITER, command)? {
        Decision::Repeated => Ok(Vec::new()),
        Decision::Commit(entries) => {
            entries.iter().for_each(|entry| apply(state, entry));
            Ok(entries)
        }
    }
}

fn open(state: &mut State, reserve: Reserve) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::Reserve(reserve))
}

fn close(state: &mut State, end: End) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::End(end))
}

fn posted(state: &State, account: AccountId) -> i64 {
    state.balance(account).posted.get()
}

fn platform(kind: AccountKind, name: &str) -> AccountId {
    AccountId::new(Book::Platform, kind, EntityId::of(name))
}

#[test]
fn l1_l2_each_row_balances_within_its_book_and_touches_what_was_announced() {
    let mut state = State::new();
    let commands = [
        Command::Reserve(reserve(1, 100, 1_000)),
        Command::Reserve(Reserve { billing: Billing::OwnKey, holds: Vec::new(), ..reserve(2, 100, 1_000) }),
        Command::End(end(1, AttemptOutcome::Success, 130, 110)),
        Command::End(end(2, AttemptOutcome::Success, 5, 110)),
        Command::Reserve(reserve(3, 100, 1_000)),
        Command::End(End {
            attempt: AttemptId::from_u128(3),
            facts: EndFacts::crashed(now(), NanoUsd::new(100)),
        }),
        Command::End(end(3, AttemptOutcome::ClientLeft, 70, 60)),
        Command::Adjust(refund(9, 3, 70)),
        Command::Reserve(counted(4, 5, 10_000, 10)),
        Command::End(end(4, AttemptOutcome::Success, 5, 5)),
        Command::Fund(fund(20, Funding::TopUp(NanoUsd::new(500)))),
        Command::Fund(fund(21, Funding::Credit(NanoUsd::new(50)))),
        Command::Fund(fund(22, Funding::Adjustment(NanoUsd::new(-5)))),
        Command::Fund(fund(23, Funding::Refund { of: 20, amount: NanoUsd::new(100) })),
    ];
    for command in commands {
        let intent = command.attempt().and_then(|attempt| {
            state.intent(attempt).or_else(|| state.ended(attempt).map(|ended| &ended.intent))
        });
        let announced = touches(&command, intent);
        assert!(announced.is_sorted(), "accounts are locked in the order of their ids");
        for entry in act(&mut state, &command).unwrap() {
            for transfer in &entry.transfers {
                for account in [transfer.debit, transfer.credit] {
                    assert_eq!(account.book(), entry.book, "{entry:?}");
                    assert_eq!(account.measure(), transfer.debit.measure(), "{entry:?}");
                    assert!(announced.contains(&account), "{account} was not announced: {command:?}");
                }
                assert!(transfer.amount > Quantity::ZERO);
            }
        }
        for (book, measure) in Book::ALL.into_iter().flat_map(|book| Measure::ALL.map(|m| (book, m))) {
            let is_of = |account: AccountId| (account.book(), account.measure()) == (book, measure);
            let of_book = state.balances().filter(|(account, _)| is_of(*account));
            let sum = of_book.fold((0, 0), |sum: (i64, i64), (_, Balance { posted, pending })| {
                (sum.0 + posted.get(), sum.1 + pending.get())
            });
            assert_eq!(sum, (0, 0), "{book}, {measure}");
        }
    }
}

#[test]
fn l4_the_same_id_twice_has_one_effect_and_another_payload_is_a_conflict() {
    let mut state = State::new();
    open(&mut state, reserve(1, 100, 1_000)).unwrap();
    let before = state.clone();
    assert_eq!(open(&mut state, reserve(1, 100, 1_000)), Ok(vec![]));
    assert_eq!(open(&mut state, reserve(1, 101, 1_000)), Err(Refusal::Conflict));
    assert_eq!(state, before);

    close(&mut state, end(1, AttemptOutcome::Success, 90, 80)).unwrap();
    let before = state.clone();
    assert_eq!(close(&mut state, end(1, AttemptOutcome::Success, 90, 80)), Ok(vec![]));
    // R1: what has ended must not be dispatched again, so its reservation is not confirmed again.
    assert_eq!(open(&mut state, reserve(1, 100, 1_000)), Err(Refusal::AlreadyEnded));
    assert_eq!(state, before);

    act(&mut state, &Command::Adjust(refund(5, 1, 10))).unwrap();
    let before = state.clone();
    assert_eq!(act(&mut state, &Command::Adjust(refund(5, 1, 10))), Ok(vec![]));
    assert_eq!(act(&mut state, &Command::Adjust(refund(5, 1, 11))), Err(Refusal::Conflict));
    assert_eq!(state, before);
}

#[test]
fn r1_an_intent_of_another_writer_is_not_confirmed_again() {
    let mut state = State::new();
    open(&mut state, reserve(1, 100, 1_000)).unwrap();
    let again = decide(&state, Epoch::new(2), &Command::Reserve(reserve(1, 100, 1_000)));
    assert_eq!(again, Err(Refusal::StaleEpoch), "whoever opened it may be dead, and its intent about to end");
}

#[test]
fn l6_refunds_never_exceed_the_charge_and_return_to_its_window() {
    let mut state = State::new();
    assert_eq!(act(&mut state, &Command::Adjust(refund(4, 1, 1))), Err(Refusal::UnknownAttempt));
    open(&mut state, reserve(1, 100, 1_000)).unwrap();
    assert_eq!(
        act(&mut state, &Command::Adjust(refund(5, 1, 1))),
        Err(Refusal::Invalid("the attempt has not ended"))
    );
    close(&mut state, end(1, AttemptOutcome::Success, 90, 80)).unwrap();
    act(&mut state, &Command::Adjust(refund(6, 1, 60))).unwrap();
    let left = NanoUsd::new(30);
    assert_eq!(act(&mut state, &Command::Adjust(refund(7, 1, 31))), Err(Refusal::RefundTooLarge { left }));
    act(&mut state, &Command::Adjust(refund(8, 1, 30))).unwrap();
    assert_eq!(posted(&state, budget()), 0);
    assert_eq!(
        posted(&state, platform(AccountKind::Payable, "openai")),
        -80,
        "the provider is owed all the same"
    );
    let (_, rollup) = state.rollups().next().unwrap();
    assert_eq!((rollup.charged, rollup.cost), (NanoUsd::ZERO, NanoUsd::new(80)));
}

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
fn r3_a_prepaid_tenant_spends_what_it_paid_and_not_one_nano_dollar_more() {
    let mut state = State::new();
    let wallet = |available, needed| {
        Err(Refusal::Wallet { available: NanoUsd::new(available), needed: NanoUsd::new(needed) })
    };
    assert_eq!(open(&mut state, prepaid(1, 1)), wallet(0, 1), "nothing is paid yet");
    open(&mut state, prepaid(2, 0)).unwrap();
    pay(&mut state, fund(20, Funding::TopUp(NanoUsd::new(100)))).unwrap();
    open(&mut state, prepaid(3, 60)).unwrap();
    let before = state.clone();
    assert_eq!(open(&mut state, prepaid(4, 41)), wallet(40, 41));
    assert_eq!(state, before);
    close(&mut state, end(3, AttemptOutcome::Success, 50, 50)).unwrap();
    open(&mut state, prepaid(4, 50)).unwrap();
    // R5: an overage is posted in full, and what is free is refused too while something is owed.
    close(&mut state, end(4, AttemptOutcome::Success, 70, 70)).unwrap();
    assert_eq!(open(&mut state, prepaid(5, 0)), wallet(-20, 0));
    // Post-paid is the same with a limit above zero; and another book is another wallet.
    let postpaid =
        |number, amount| Reserve { credit_limit: Some(NanoUsd::new(30)), ..prepaid(number, amount) };
    assert_eq!(open(&mut state, postpaid(6, 11)), wallet(10, 11));
    open(&mut state, postpaid(7, 10)).unwrap();
    open(&mut state, Reserve { billing: Billing::OwnKey, ..postpaid(8, 30) }).unwrap();
}

#[test]
fn l1_fundings_move_the_wallet_against_accounts_that_say_what_they_were() {
    let mut state = State::new();
    for (id, funding) in [
        (20, Funding::TopUp(NanoUsd::new(1_000))),
        (21, Funding::Credit(NanoUsd::new(200))),
        (22, Funding::Adjustment(NanoUsd::new(-30))),
        (23, Funding::Adjustment(NanoUsd::new(4))),
        (24, Funding::Refund { of: 20, amount: NanoUsd::new(600) }),
    ] {
        pay(&mut state, fund(id, funding)).unwrap();
    }
    let kinds =
        [AccountKind::Receivable, AccountKind::Cash, AccountKind::Promotions, AccountKind::Adjustments];
    let balances = kinds.map(|kind| posted(&state, platform(kind, "acme")));
    assert_eq!(balances, [-574, 400, 200, -26]);
}

#[test]
fn l4_a_funding_takes_effect_once_under_its_id() {
    let mut state = State::new();
    let top_up = fund(20, Funding::TopUp(NanoUsd::new(100)));
    pay(&mut state, top_up.clone()).unwrap();
    let before = state.clone();
    let later = Fund { at: now() + Duration::from_secs(60), ..top_up.clone() };
    assert_eq!(pay(&mut state, later), Ok(vec![]), "who repeats it does so later");
    for other in [
        Fund { funding: Funding::TopUp(NanoUsd::new(101)), ..top_up.clone() },
        Fund { funding: Funding::Credit(NanoUsd::new(100)), ..top_up.clone() },
        Fund { tenant: "other".into(), ..top_up.clone() },
        Fund { book: Book::Surcharge, ..top_up.clone() },
        Fund { reason: "again".into(), ..top_up.clone() },
        Fund { actor: "somebody".into(), ..top_up.clone() },
    ] {
        assert_eq!(pay(&mut state, other), Err(Refusal::Conflict));
    }
    assert_eq!(state, before);
}

#[test]
fn l6_refunds_of_a_top_up_name_it_and_never_exceed_it() {
    let mut state = State::new();
    let back = |id, of, amount| fund(id, Funding::Refund { of, amount: NanoUsd::new(amount) });
    assert_eq!(pay(&mut state, back(30, 20, 1)), Err(Refusal::UnknownTopUp));
    pay(&mut state, fund(20, Funding::TopUp(NanoUsd::new(100)))).unwrap();
    pay(&mut state, fund(21, Funding::Credit(NanoUsd::new(100)))).unwrap();
    assert_eq!(
        pay(&mut state, back(30, 21, 1)),
        Err(Refusal::UnknownTopUp),
        "what was given is not paid back"
    );
    pay(&mut state, back(30, 20, 60)).unwrap();
    let left = NanoUsd::new(40);
    assert_eq!(pay(&mut state, back(31, 20, 41)), Err(Refusal::RefundTooLarge { left }));
    assert_eq!(pay(&mut state, back(30, 20, 60)), Ok(vec![]), "repeated");
    for wrong in [
        Fund { tenant: "other".into(), ..back(32, 20, 1) },
        Fund { book: Book::Surcharge, ..back(32, 20, 1) },
    ] {
        assert!(matches!(pay(&mut state, wrong), Err(Refusal::Invalid(_))));
    }
    pay(&mut state, back(31, 20, 40)).unwrap();
    assert_eq!(posted(&state, platform(AccountKind::Cash, "")), 0);
    let left = NanoUsd::ZERO;
    assert_eq!(pay(&mut state, back(34, 20, 1)), Err(Refusal::RefundTooLarge { left }), "of both refunds");
    // No act refunds a refund.
    assert_eq!(pay(&mut state, back(33, 31, 1)), Err(Refusal::UnknownTopUp));
}

#[test]
fn m4_fundings_that_say_nothing_or_too_much_are_refused_and_change_nothing() {
    let mut state = State::new();
    let nano = NanoUsd::new;
    for funding in [
        Funding::TopUp(nano(0)),
        Funding::TopUp(nano(-1)),
        Funding::Credit(nano(0)),
        Funding::Credit(nano(i64::MIN)),
        Funding::Adjustment(nano(0)),
        Funding::Refund { of: 20, amount: nano(-1) },
    ] {
        assert!(matches!(pay(&mut state, fund(20, funding)), Err(Refusal::Invalid(_))), "{funding:?}");
    }
    assert_eq!(pay(&mut state, fund(20, Funding::Adjustment(nano(i64::MIN)))), Err(Refusal::Overflow));
    let nobody = Fund { book: Book::Usage, ..fund(20, Funding::TopUp(nano(1))) };
    assert!(matches!(pay(&mut state, nobody), Err(Refusal::Invalid(_))));
    assert_eq!(state, State::new());
    pay(&mut state, fund(20, Funding::TopUp(nano(i64::MAX)))).unwrap();
    let before = state.clone();
    assert_eq!(pay(&mut state, fund(21, Funding::TopUp(nano(2)))), Err(Refusal::Overflow));
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

/// An attempt of the installation's own, with budgets in money, tokens and requests.
fn of_the_house(number: u128, limit: i64) -> Reserve {
    let mut reserve = Reserve { billing: Billing::House, ..counted(number, 1_000, 5_000, 5) };
    reserve.holds[0].limit = Some(Quantity::new(limit));
    reserve
}

#[test]
fn r3_r4_what_the_installation_does_for_itself_counts_in_budgets_by_its_cost_and_nobody_owes_it() {
    let mut state = State::new();
    let [tokens, requests] = [Measure::Tokens, Measure::Requests].map(|measure| budget().counting(measure));
    let nobody_owes = |state: &State| {
        let (owed, sales) = (platform(AccountKind::Receivable, "acme"), AccountKind::Sales);
        for account in [owed, AccountId::new(Book::Platform, sales, EntityId::NONE)] {
            assert_eq!(state.balance(account), Balance::default());
        }
    };
    open(&mut state, of_the_house(1, 150)).unwrap();
    assert_eq!(state.balance(budget()).pending.get(), 100);
    nobody_owes(&state);
    let refused = open(&mut state, of_the_house(2, 150));
    assert!(matches!(refused, Err(Refusal::Budget { account, .. }) if account == budget()), "{refused:?}");

    close(&mut state, end(1, AttemptOutcome::Shadow, 70, 40)).unwrap();
    assert_eq!([budget(), tokens, requests].map(|account| posted(&state, account)), [40, 11, 1]);
    assert_eq!([budget(), tokens, requests].map(|account| state.balance(account).pending.get()), [0; 3]);
    assert_eq!(posted(&state, platform(AccountKind::Absorbed, "shadow")), 40);
    nobody_owes(&state);

    // What is lost in a crash counts for nothing, and the truth that comes late counts after all.
    open(&mut state, of_the_house(2, 150)).unwrap();
    let crash = EndFacts::crashed(now(), NanoUsd::new(100));
    close(&mut state, End { attempt: AttemptId::from_u128(2), facts: crash }).unwrap();
    assert_eq!([budget(), tokens, requests].map(|account| posted(&state, account)), [40, 11, 1]);
    close(&mut state, end(2, AttemptOutcome::Shadow, 0, 30)).unwrap();
    assert_eq!([budget(), tokens, requests].map(|account| posted(&state, account)), [70, 22, 2]);

    // R5: truth wins.
    open(&mut state, of_the_house(3, 1_000)).unwrap();
    let rows = close(&mut state, end(3, AttemptOutcome::Shadow, 0, 130)).unwrap();
    let excess: Vec<_> = rows
        .iter()
        .filter_map(|row| match row.fact {
            Fact::Overage { excess, .. } => Some(excess.get()),
            _ => None,
        })
        .collect();
    assert_eq!((posted(&state, budget()), excess), (200, vec![30]));
    nobody_owes(&state);
}

#[test]
fn nobody_owes_or_has_asked_for_what_the_installation_does_for_itself() {
    let mut state = State::new();
    let limited = Reserve { credit_limit: Some(NanoUsd::new(1_000)), ..of_the_house(1, 150) };
    assert!(matches!(open(&mut state, limited), Err(Refusal::Invalid(_))));
    assert_eq!(state, State::new());
}

#[test]
fn m4_what_would_overflow_is_refused_and_changes_nothing() {
    let mut state = State::new();
    open(&mut state, Reserve { holds: vec![], ..reserve(1, i64::MAX, 0) }).unwrap();
    let before = state.clone();
    assert_eq!(open(&mut state, Reserve { holds: vec![], ..reserve(2, 1, 0) }), Err(Refusal::Overflow));
    assert_eq!(state, before);
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
fn m7_a_budget_of_zero_blocks_what_costs_nothing_too_and_no_limit_blocks_nothing() {
    let mut state = State::new();
    assert!(matches!(open(&mut state, reserve(1, 0, 0)), Err(Refusal::Budget { .. })));
    let mut unlimited = reserve(2, 1_000_000, 0);
    unlimited.holds[0].limit = None;
    open(&mut state, unlimited).unwrap();
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
fn commands_that_contradict_themselves_are_refused() {
    let mut state = State::new();
    let hold = Hold { account: budget(), limit: None };
    let wrong_book = budget_account(Book::Surcharge, BudgetScope::Installation, BudgetWindow::Total);
    let no_budget = platform(AccountKind::Receivable, "acme");
    for holds in [
        vec![hold, hold],
        vec![Hold { account: wrong_book, limit: None }],
        vec![Hold { account: no_budget, limit: None }],
        (0..17)
            .map(|month| Hold {
                account: budget_account(
                    Book::Platform,
                    BudgetScope::Installation,
                    BudgetWindow::Month(month),
                ),
                limit: None,
            })
            .collect(),
    ] {
        let refused = open(&mut state, Reserve { holds, ..reserve(1, 1, 1) });
        assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    }
    for (amount, estimate) in [(-1, 0), (0, -1), (-1, -1)] {
        let estimate = NanoUsd::new(estimate);
        let refused = open(&mut state, Reserve { estimate, ..reserve(1, amount, 100) });
        assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
    }
    assert_eq!(state, State::new());
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
fn fundings_of_each_kind_have_a_name_of_their_own() {
    let amount = NanoUsd::new(1);
    let kinds = [
        Funding::TopUp(amount),
        Funding::Credit(amount),
        Funding::Adjustment(amount),
        Funding::Refund { of: 1, amount },
    ];
    assert_eq!(kinds.map(Funding::as_str), ["top-up", "credit", "adjustment", "refund"]);
}
