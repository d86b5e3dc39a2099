//! What any command does to the books: rows that balance, once under their id, or nothing.

use weighbridge_ledger::{
    AccountId, AccountKind, Balance, Billing, Book, BudgetScope, BudgetWindow, ChainHead, Command, End,
    EndFacts, Epoch, Fact, Funding, Hold, Measure, Quantity, Refusal, Reserve, RowHash, Seal, State, View,
    budget_account, decide, touches,
};
use weighbridge_units::{AttemptId, AttemptOutcome, NanoUsd};

use crate::support::*;

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
fn m4_what_would_overflow_is_refused_and_changes_nothing() {
    let mut state = State::new();
    open(&mut state, Reserve { holds: vec![], ..reserve(1, i64::MAX, 0) }).unwrap();
    let before = state.clone();
    assert_eq!(open(&mut state, Reserve { holds: vec![], ..reserve(2, 1, 0) }), Err(Refusal::Overflow));
    // Of another tenant, so that nothing but the account on the credit side is full, below zero.
    let other = Reserve { tenant: "other".into(), holds: vec![], ..reserve(3, 2, 0) };
    assert_eq!(open(&mut state, other), Err(Refusal::Overflow));
    assert_eq!(state, before);
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
fn l2_a_seal_is_a_row_of_each_book_that_has_heads_and_names_those_alone() {
    let heads: Vec<ChainHead> = [(Book::Platform, 1), (Book::Usage, 2), (Book::Platform, 3)]
        .map(|(book, writer)| ChainHead {
            book,
            writer: Epoch::new(writer),
            seq: writer.into(),
            hash: RowHash::GENESIS,
        })
        .to_vec();
    let rows = act(&mut State::new(), &Command::Seal(Seal { at: now(), heads: heads.clone() })).unwrap();
    let told: Vec<_> = rows.into_iter().map(|row| (row.book, row.fact)).collect();
    let of = |heads: &[ChainHead]| Fact::Sealed { heads: heads.to_vec() };
    assert_eq!(told, [(Book::Platform, of(&[heads[0], heads[2]])), (Book::Usage, of(&[heads[1]]))]);
}
