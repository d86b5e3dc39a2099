//! What the installation does for itself.

use weighbridge_ledger::{
    AccountId, AccountKind, Balance, Billing, Book, End, EndFacts, EntityId, Fact, Measure, Quantity,
    Refusal, Reserve, State, View,
};
use weighbridge_units::{AttemptId, AttemptOutcome, NanoUsd};

use crate::support::*;

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
fn r5_an_overage_tells_of_money_that_is_owed_or_held_and_of_no_other() {
    let all = [Measure::Usd, Measure::Tokens];
    for (billing, held, excess) in [
        (Billing::Platform, &all[1..], 30),
        (Billing::Platform, &all[..], 30),
        (Billing::House, &all[..], 30),
        // Nobody owes it, and no budget counts it.
        (Billing::House, &all[1..], 0),
    ] {
        let mut state = State::new();
        let mut reserve = Reserve { billing, tokens: 5, ..counted(1, 5, 1_000, 5) };
        reserve.holds.retain(|hold| held.contains(&hold.measure()));
        open(&mut state, reserve).unwrap();
        let rows = close(&mut state, end(1, AttemptOutcome::Success, 130, 130)).unwrap();
        let told = rows.iter().find_map(|row| match row.fact {
            Fact::Overage { excess, tokens, .. } => Some((excess.get(), tokens)),
            _ => None,
        });
        assert_eq!(told, Some((excess, 6)), "{billing:?} {held:?}");
    }
}

#[test]
fn nobody_owes_or_has_asked_for_what_the_installation_does_for_itself() {
    let mut state = State::new();
    let limited = Reserve { credit_limit: Some(NanoUsd::new(1_000)), ..of_the_house(1, 150) };
    assert!(matches!(open(&mut state, limited), Err(Refusal::Invalid(_))));
    assert_eq!(state, State::new());
}
