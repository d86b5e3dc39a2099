//! Whatever is asked for, nothing panics, no balance is wrong, and what was open ends.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use weighbridge_ledger::{
    AccountId, Adjust, Billing, Book, BudgetScope, BudgetWindow, Claim, ClaimId, Command, Decision, End,
    EndFacts, Epoch, Fund, Funding, Hold, Measure, Name, PayloadHash, Quantity, Refusal, Reserve, State,
    View, apply, budget_account, decide, decide_end, decode, encode,
};
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

/// Numbers at the edges of what they can be, and ordinary ones.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(-1),
        Just(i64::MIN),
        Just(i64::MAX),
        Just(i64::MAX / 2),
        -1_000..1_000_i64,
        any::<i64>(),
    ]
}

fn nanos() -> impl Strategy<Value = NanoUsd> {
    number().prop_map(NanoUsd::new)
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![Just("acme"), Just("other"), Just("")].prop_map(Name::new)
}

fn holds(billing: Billing) -> impl Strategy<Value = Vec<Hold>> {
    let hold = (0..3_usize, 0..2_u64, prop::option::of(number())).prop_map(move |(measure, key, limit)| {
        let scope = BudgetScope::Key(KeyId::from_bits(key));
        let account = budget_account(billing.book(), scope, BudgetWindow::Total);
        Hold { account: account.counting(Measure::ALL[measure]), limit: limit.map(Quantity::new) }
    });
    prop::collection::vec(hold, 0..4)
}

fn reserve() -> impl Strategy<Value = Command> {
    let billing = prop_oneof![Just(Billing::Platform), Just(Billing::OwnKey), Just(Billing::House)];
    let numbers = (0..4_u128, number(), nanos(), nanos(), any::<u64>(), prop::option::of(nanos()));
    let claim = (0..2_u128, any::<[u8; 16]>(), number()).prop_map(|(id, payload, until)| {
        let (id, payload) = (ClaimId::from_u128(id), PayloadHash(payload));
        Box::new(Claim { id, payload, until: Timestamp::from_micros(until) })
    });
    let numbers = (numbers, prop::option::of(claim));
    (numbers, name(), billing.prop_flat_map(|billing| (Just(billing), holds(billing)))).prop_map(
        |(((attempt, at, amount, estimate, tokens, credit_limit), claim), tenant, (billing, holds))| {
            Command::Reserve(Reserve {
                attempt: AttemptId::from_u128(attempt),
                at: Timestamp::from_micros(at),
                expires: Timestamp::from_micros(at),
                key: KeyId::from_bits(7),
                tenant,
                provider: "openai".into(),
                model: "gpt-4o-mini".into(),
                price_version: "v1".into(),
                billing,
                amount,
                tokens,
                credit_limit,
                claim,
                holds,
                estimate,
            })
        },
    )
}

fn end() -> impl Strategy<Value = Command> {
    let usage = prop::collection::vec((0..Bucket::ALL.len(), any::<u64>()), 0..5);
    let provenance = prop_oneof![Just(Provenance::Reported), Just(Provenance::Estimated)];
    let numbers = (0..4_u128, number(), nanos(), nanos());
    (numbers, 0..AttemptOutcome::ALL.len(), usage, provenance, name()).prop_map(
        |((attempt, at, price, cost), outcome, usage, provenance, reason)| {
            let usage = usage.into_iter().fold(Usage::new(), |u, (at, n)| u.with(Bucket::ALL[at], n));
            let facts = EndFacts {
                at: Timestamp::from_micros(at),
                outcome: AttemptOutcome::ALL[outcome],
                usage,
                provenance,
                price,
                cost,
                exact: Usd::from(cost),
                reason,
            };
            Command::End(End { attempt: AttemptId::from_u128(attempt), facts })
        },
    )
}

fn adjust() -> impl Strategy<Value = Command> {
    (0..4_u128, 0..4_u128, number(), nanos(), name()).prop_map(|(id, attempt, at, refund, reason)| {
        let (attempt, at) = (AttemptId::from_u128(attempt), Timestamp::from_micros(at));
        Command::Adjust(Adjust { id, attempt, at, refund, reason })
    })
}

fn fund() -> impl Strategy<Value = Command> {
    let funding = prop_oneof![
        nanos().prop_map(Funding::TopUp),
        nanos().prop_map(Funding::Credit),
        nanos().prop_map(Funding::Adjustment),
        (0..4_u128, nanos()).prop_map(|(of, amount)| Funding::Refund { of, amount }),
    ];
    (0..4_u128, number(), 0..3_usize, name(), funding).prop_map(|(id, at, book, tenant, funding)| {
        let (reason, actor) = ("r".into(), "a".into());
        let (at, book) = (Timestamp::from_micros(at), Book::ALL[book]);
        Command::Fund(Fund { id, at, book, tenant, funding, reason, actor })
    })
}

fn sums(state: &State) -> Vec<(i128, i128)> {
    let groups = Book::ALL.into_iter().flat_map(|book| Measure::ALL.map(|measure| (book, measure)));
    let sum = |(book, measure)| {
        let is_of = |account: AccountId| account.book() == book && account.measure() == measure;
        let balances = state.balances().filter(|(account, _)| is_of(*account));
        balances.fold((0, 0), |sum: (i128, i128), (_, balance)| {
            (sum.0 + i128::from(balance.posted.get()), sum.1 + i128::from(balance.pending.get()))
        })
    };
    groups.map(sum).collect()
}

/// What a command is known by, if it may take effect once under that.
fn once(command: &Command) -> Option<(u8, u128)> {
    match command {
        Command::Reserve(reserve) => Some((0, reserve.attempt.get())),
        Command::Adjust(adjust) => Some((1, adjust.id)),
        Command::Fund(fund) => Some((2, fund.id)),
        // The truth about an attempt that was entered as crashed comes after its end.
        _ => None,
    }
}

/// The same command by a clock that runs backwards, from what it was to what it will be.
fn at_another_time(mut command: Command) -> Command {
    let other = |at: Timestamp| Timestamp::from_micros(!at.as_micros());
    match &mut command {
        Command::Reserve(reserve) => {
            (reserve.at, reserve.expires) = (other(reserve.at), other(reserve.expires));
            // How long a claim holds is a matter of time.
            reserve.claim = None;
        }
        Command::End(end) => end.facts.at = other(end.facts.at),
        Command::Adjust(adjust) => adjust.at = other(adjust.at),
        Command::Fund(fund) => fund.at = other(fund.at),
        Command::Seal(_) => {}
    }
    command
}

fn without_claims(mut command: Command) -> Command {
    if let Command::Reserve(reserve) = &mut command {
        reserve.claim = None;
    }
    command
}

/// Carries commands out, and says how many rows each wrote, or why not.
fn carried_out(commands: impl IntoIterator<Item = Command>) -> (Vec<Result<usize, Refusal>>, State) {
    let writer = Epoch::new(1);
    let mut state = State::new();
    let carry_out = |command: Command| {
        let decision = match &command {
            Command::End(end) => decide_end(&state, writer, end),
            command => decide(&state, writer, command),
        };
        Ok(match decision? {
            Decision::Commit(entries) => {
                entries.iter().for_each(|entry| apply(&mut state, entry));
                entries.len()
            }
            Decision::Repeated => 0,
        })
    };
    let done = commands.into_iter().map(carry_out).collect();
    (done, state)
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(prop_oneof![3 => reserve(), 3 => end(), 1 => adjust(), 2 => fund()], 1..40)
}

proptest! {
    /// The ids are few, so that most commands come under one that was used, with the same or another content.
    #[test]
    fn l4_no_id_takes_effect_twice_whatever_comes_under_it(commands in commands()) {
        let (done, _) = carried_out(commands.iter().cloned());
        let mut taken: HashMap<(u8, u128), &Command> = HashMap::new();
        for (command, done) in commands.iter().zip(&done) {
            let Some(id) = once(command) else { continue };
            match (taken.get(&id), done) {
                (None, Ok(rows)) => {
                    prop_assert!(*rows > 0, "what is new takes effect: {:?}", command);
                    taken.insert(id, command);
                }
                (Some(_), Ok(rows)) => prop_assert_eq!(*rows, 0, "it took effect again: {:?}", command),
                (_, Err(_)) => {}
            }
        }
        // And word for word the same is never an effect, nor a conflict.
        for (id, command) in taken {
            let again = [commands.clone(), vec![command.clone()]].concat();
            let (done, _) = carried_out(again);
            let last = done.last().cloned().unwrap();
            let is_over = id.0 == 0 && last == Err(Refusal::AlreadyEnded);
            prop_assert!(last == Ok(0) || is_over, "{:?}: {:?}", last, command);
        }
    }

    /// Rows follow each other by their numbers. A clock that stands still, jumps, or runs backwards before the last
    /// row changes no decision and no balance.
    #[test]
    fn c7_l3_what_clocks_say_decides_nothing(commands in commands()) {
        let (done, state) = carried_out(commands.iter().cloned().map(without_claims));
        let (other, backwards) = carried_out(commands.iter().cloned().map(at_another_time));
        prop_assert_eq!(done, other);
        let balances = |state: &State| state.balances().collect::<BTreeMap<_, _>>();
        prop_assert_eq!(balances(&state), balances(&backwards));
    }

    /// A budget of nothing admits nothing, in whatever it counts and however little is asked for; no limit is spelled
    /// otherwise, and refuses nothing.
    #[test]
    fn m7_a_budget_of_zero_blocks_in_every_measure(
        amount in 0..=i64::MAX, tokens in any::<u64>(), measure in 0..3_usize, is_limited: bool,
    ) {
        let total = budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total);
        let hold = Hold {
            account: total.counting(Measure::ALL[measure]),
            limit: is_limited.then_some(Quantity::ZERO),
        };
        let reserve = Reserve {
            attempt: AttemptId::from_u128(1),
            at: Timestamp::default(),
            expires: Timestamp::default(),
            key: KeyId::from_bits(7),
            tenant: "acme".into(),
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            price_version: "v1".into(),
            billing: Billing::Platform,
            amount: NanoUsd::new(amount),
            tokens,
            credit_limit: None,
            claim: None,
            holds: vec![hold],
            estimate: NanoUsd::ZERO,
        };
        let (done, state) = carried_out([Command::Reserve(reserve)]);
        let is_refused = matches!(done[..], [Err(Refusal::Budget { .. })]);
        prop_assert_eq!(is_refused, is_limited, "{:?}", done);
        prop_assert_eq!(state.balances().next().is_none(), is_limited);
    }

    #[test]
    fn l1_m4_no_command_however_absurd_breaks_a_balance(
        commands in commands(),
    ) {
        let writer = Epoch::new(1);
        let mut state = State::new();
        for command in &commands {
            let before = state.clone();
            let open = command.attempt().is_some_and(|attempt| state.intent(attempt).is_some());
            let decision = match command {
                Command::End(end) => decide_end(&state, writer, end),
                command => decide(&state, writer, command),
            };
            match decision {
                Ok(Decision::Commit(entries)) => for entry in &entries {
                    apply(&mut state, entry);
                    let mut body = Vec::new();
                    encode(entry, &mut body);
                    let read = decode(entry.book, &body);
                    prop_assert_eq!(read.as_ref(), Ok(entry));
                },
                Ok(Decision::Repeated) => {}
                Err(refusal) => {
                    prop_assert!(!refusal.to_string().is_empty());
                    prop_assert!(!(open && matches!(command, Command::End(_))), "an open attempt did not end");
                }
            }
            prop_assert!(sums(&state).iter().all(|sum| *sum == (0, 0)), "L1: {:?}", command);
            if decide(&before, writer, command).is_err() && !matches!(command, Command::End(_)) {
                prop_assert_eq!(&before, &state, "a refusal changed something");
            }
        }
        let pending = state.balances().any(|(_, balance)| balance.pending != Quantity::ZERO);
        prop_assert!(!pending || state.intents().next().is_some(), "R6: nothing is open, but something is reserved");
    }
}
