//! What the tests share.

use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, AccountKind, Adjust, Book, BudgetScope, BudgetWindow, Command, Decision, End, EndFacts,
    EntityId, Entry, Epoch, Fund, Funding, Hold, Measure, Quantity, Refusal, Reserve, State, View, apply,
    budget_account, decide,
};
use weighbridge_units::{AttemptId, AttemptOutcome, KeyId, NanoUsd, Timestamp, Usd};

pub(crate) const WRITER: Epoch = Epoch::new(1);

pub(crate) fn now() -> Timestamp {
    Timestamp::from_date(2026, 11, 21).unwrap()
}

pub(crate) fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Key(KeyId::from_bits(7)), BudgetWindow::Total)
}

pub(crate) fn reserve(number: u128, amount: i64, limit: i64) -> Reserve {
    Reserve {
        amount: NanoUsd::new(amount),
        holds: vec![Hold { account: budget(), limit: Some(Quantity::new(limit)) }],
        estimate: NanoUsd::new(amount),
        ..plain_reserve(AttemptId::from_u128(number), now())
    }
}

pub(crate) fn end(number: u128, outcome: AttemptOutcome, price: i64, cost: i64) -> End {
    End {
        attempt: AttemptId::from_u128(number),
        facts: EndFacts {
            price: NanoUsd::new(price),
            cost: NanoUsd::new(cost),
            exact: Usd::from(NanoUsd::new(cost)),
            ..plain_facts(outcome, now())
        },
    }
}

pub(crate) fn refund(id: u128, number: u128, amount: i64) -> Adjust {
    Adjust {
        id,
        attempt: AttemptId::from_u128(number),
        at: now(),
        refund: NanoUsd::new(amount),
        reason: "complaint".into(),
    }
}

/// As [`reserve`], with a budget in tokens and one in requests beside the one in money.
pub(crate) fn counted(number: u128, tokens: u64, token_limit: i64, request_limit: i64) -> Reserve {
    let mut reserve = Reserve { tokens, ..reserve(number, 100, 1_000) };
    for (measure, limit) in [(Measure::Tokens, token_limit), (Measure::Requests, request_limit)] {
        let limit = Some(Quantity::new(limit));
        reserve.holds.push(Hold { account: budget().counting(measure), limit });
    }
    reserve
}

pub(crate) fn fund(id: u128, funding: Funding) -> Fund {
    let (reason, actor) = ("invoice paid".into(), "finance".into());
    Fund { id, at: now(), book: Book::Platform, tenant: "acme".into(), funding, reason, actor }
}

pub(crate) fn pay(state: &mut State, fund: Fund) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::Fund(fund))
}

pub(crate) fn prepaid(number: u128, amount: i64) -> Reserve {
    Reserve { credit_limit: Some(NanoUsd::ZERO), holds: Vec::new(), ..reserve(number, amount, 0) }
}

/// Carries a command out; gives the rows that it wrote.
pub(crate) fn act(state: &mut State, command: &Command) -> Result<Vec<Entry>, Refusal> {
    match decide(state, WRITER, command)? {
        Decision::Repeated => Ok(Vec::new()),
        Decision::Commit(entries) => {
            entries.iter().for_each(|entry| apply(state, entry));
            Ok(entries)
        }
    }
}

pub(crate) fn open(state: &mut State, reserve: Reserve) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::Reserve(reserve))
}

pub(crate) fn close(state: &mut State, end: End) -> Result<Vec<Entry>, Refusal> {
    act(state, &Command::End(end))
}

pub(crate) fn posted(state: &State, account: AccountId) -> i64 {
    state.balance(account).posted.get()
}

pub(crate) fn platform(kind: AccountKind, name: &str) -> AccountId {
    AccountId::new(Book::Platform, kind, EntityId::of(name))
}
