//! Every order in which three attempts can be reserved and ended, with a crash after every step.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use weighbridge_ledger::testkit::{Expected, Model, plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, AccountKind, Book, BudgetScope, BudgetWindow, Command, Decision, End, EndFacts, EntityId,
    Epoch, Hold, Measure, Quantity, Reserve, State, apply, budget_account, decide, decide_end,
};
use weighbridge_units::{AttemptId, AttemptOutcome, Bucket, NanoUsd, Timestamp, Usage, Usd};

const ATTEMPTS: usize = 3;
const LIMIT: i64 = 250;

fn budget() -> AccountId {
    budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total)
}

/// What bounds the attempts: each admits two of them.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Money,
    Tokens,
    Wallet,
}

impl Bound {
    /// The account whose balance is bounded.
    fn account(self) -> AccountId {
        match self {
            Self::Money => budget(),
            Self::Tokens => budget().counting(Measure::Tokens),
            Self::Wallet => AccountId::new(Book::Platform, AccountKind::Receivable, EntityId::of("acme")),
        }
    }
}

fn reserve(number: usize, bound: Bound) -> Reserve {
    let limit = Some(Quantity::new(LIMIT));
    let hold = |account, is_bound: bool| Hold { account, limit: limit.filter(|_| is_bound) };
    Reserve {
        tokens: 100,
        credit_limit: matches!(bound, Bound::Wallet).then_some(NanoUsd::new(LIMIT)),
        holds: vec![
            hold(budget(), matches!(bound, Bound::Money)),
            hold(budget().counting(Measure::Tokens), matches!(bound, Bound::Tokens)),
            hold(budget().counting(Measure::Requests), false),
        ],
        ..plain_reserve(AttemptId::from_u128(number as u128), Timestamp::from_secs(1))
    }
}

fn end(number: usize) -> End {
    let outcome = [AttemptOutcome::Success, AttemptOutcome::FailedMidStream, AttemptOutcome::ClientLeft];
    End {
        attempt: AttemptId::from_u128(number as u128),
        facts: EndFacts {
            usage: Usage::new().with(Bucket::Input, 80).with(Bucket::Output, number as u64),
            price: NanoUsd::new(80 + number as i64),
            cost: NanoUsd::new(70 + number as i64),
            exact: Usd::ZERO,
            ..plain_facts(outcome[number % 3], Timestamp::from_secs(2))
        },
    }
}

/// All orders of steps 0, 0, 1, 1, 2, 2: the first of a number reserves, the second ends.
fn orders(done: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
    if done.len() == 2 * ATTEMPTS {
        all.push(done.clone());
        return;
    }
    for attempt in 0..ATTEMPTS {
        if done.iter().filter(|step| **step == attempt).count() < 2 {
            done.push(attempt);
            orders(done, all);
            done.pop();
        }
    }
}

struct World {
    state: State,
    model: Model,
    epoch: u32,
    /// Reservations that were refused.
    refused: usize,
}

impl World {
    fn commit(&mut self, decision: Result<Decision, weighbridge_ledger::Refusal>) -> bool {
        match decision {
            Ok(Decision::Commit(entries)) => entries.iter().for_each(|entry| apply(&mut self.state, entry)),
            Ok(Decision::Repeated) => {}
            Err(_) => return false,
        }
        true
    }

    fn reserve(&mut self, reserve: Reserve) {
        let expected = self.model.reserve(&reserve);
        let decision = decide(&self.state, Epoch::new(self.epoch), &Command::Reserve(reserve));
        self.refused += usize::from(decision.is_err());
        assert_eq!(self.commit(decision), expected == Expected::Done);
    }

    fn end(&mut self, end: &End) {
        let expected = self.model.end(end);
        let decision = decide_end(&self.state, Epoch::new(self.epoch), end);
        assert_eq!(self.commit(decision), expected == Expected::Done);
    }

    fn crash(&mut self) {
        self.epoch += 1;
        let mut left: Vec<_> = self.state.intents().map(|(id, intent)| (id, intent.estimate)).collect();
        left.sort_unstable();
        for (attempt, estimate) in left {
            self.end(&End { attempt, facts: EndFacts::crashed(Timestamp::from_secs(3), estimate) });
        }
        assert!(self.state.balances().all(|(_, balance)| balance.pending == Quantity::ZERO), "R6");
    }

    fn check(&self, bound: Bound, told: &str) {
        let mut right = self.model.balances();
        for (account, balance) in self.state.balances() {
            assert_eq!(right.remove(&account).unwrap_or_default(), balance, "{account}: {told}");
        }
        assert!(right.is_empty(), "{told}");
        let (posted, pending) = self.model.balance(bound.account());
        // The truth about a crash is posted in full, as an overage would be (R5).
        let late = |number: usize| self.model.is_late(AttemptId::from_u128(number as u128));
        let late: i128 = (0..ATTEMPTS).filter(|&number| late(number)).map(|number| 80 + number as i128).sum();
        assert!(posted + pending <= i128::from(LIMIT) + late, "R3: {told}");
        let rollups: std::collections::BTreeMap<_, _> = self.state.rollups().collect();
        assert_eq!(rollups, self.model.rollups(), "L5: {told}");
    }
}

#[test]
fn c1_every_order_with_a_crash_after_every_step_keeps_the_books() {
    let mut all = Vec::new();
    orders(&mut Vec::new(), &mut all);
    assert_eq!(all.len(), 90);
    let mut refused = 0;
    let bounds = [Bound::Money, Bound::Tokens, Bound::Wallet];
    for (bound, order) in bounds.into_iter().flat_map(|bound| all.iter().map(move |order| (bound, order))) {
        for crash_after in 0..=order.len() {
            let told = format!("{bound:?}, {order:?}, crash after {crash_after}");
            let mut world = World { state: State::new(), model: Model::new(), epoch: 1, refused: 0 };
            let mut begun = [false; ATTEMPTS];
            for (at, &attempt) in order.iter().enumerate() {
                if at == crash_after {
                    world.crash();
                    world.check(bound, &told);
                }
                match std::mem::replace(&mut begun[attempt], true) {
                    false => world.reserve(reserve(attempt, bound)),
                    true => world.end(&end(attempt)), // After a crash this is a late end (R7).
                }
                world.check(bound, &told);
            }
            for attempt in 0..ATTEMPTS {
                world.end(&end(attempt)); // Nothing is entered twice.
            }
            world.check(bound, &told);
            assert_eq!(world.state.intents().count(), 0, "{told}");
            refused += world.refused;
        }
    }
    assert!(refused > 3 * 90, "each bound refuses where three attempts meet: {refused}");
}
