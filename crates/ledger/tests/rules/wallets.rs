//! What tenants pay in, and what is paid back to them.

use std::time::Duration;

use weighbridge_ledger::{AccountKind, Billing, Book, Command, Fund, Funding, Refusal, Reserve, State};
use weighbridge_units::{AttemptOutcome, NanoUsd};

use crate::support::*;

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
