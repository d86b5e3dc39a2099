//! A store that has at hand what a command touches decides as one that remembers everything.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use std::collections::BTreeMap;

use weighbridge_ledger::testkit::{Script, Step};
use weighbridge_ledger::{
    AccountId, Act, Balance, Book, ChainHead, Command, CommandId, Decision, End, EndFacts, Epoch, Fund,
    Funding, Intent, Refusal, Rollup, RollupKey, RowHash, Seal, State, View, apply, decide, decide_end,
    touches,
};
use weighbridge_units::AttemptId;

const WRITER: Epoch = Epoch::new(1);

fn decided(state: &State, command: &Command) -> Result<Decision, Refusal> {
    match command {
        Command::End(end) => decide_end(state, WRITER, end),
        command => decide(state, WRITER, command),
    }
}

/// The commands that a step is made of: a restart ends what is open.
fn commands(step: Step, state: &State) -> Vec<Command> {
    match step {
        Step::Reserve(reserve) => vec![Command::Reserve(reserve)],
        Step::End(end) => vec![Command::End(end)],
        Step::Adjust(adjust) => vec![Command::Adjust(adjust)],
        Step::Fund(fund) => vec![Command::Fund(fund)],
        Step::Seal(at) => {
            let head = ChainHead { book: Book::Platform, writer: WRITER, seq: 1, hash: RowHash::GENESIS };
            vec![Command::Seal(Seal { at, heads: vec![head] })]
        }
        Step::Restart(at) => {
            let mut open: Vec<_> = state.intents().map(|(id, intent)| (id, intent.estimate)).collect();
            open.sort_unstable();
            let crash =
                |(attempt, estimate)| Command::End(End { attempt, facts: EndFacts::crashed(at, estimate) });
            open.into_iter().map(crash).collect()
        }
    }
}

fn intent_of(state: &State, attempt: AttemptId) -> Option<&Intent> {
    state.intent(attempt).or_else(|| Some(&state.ended(attempt)?.intent))
}

/// Makes known to `hand` what a command looks at, and it does not know yet.
fn load(hand: &mut State, whole: &State, command: &Command) {
    let mut ids = Vec::new();
    let mut claim = None;
    if let Some(attempt) = command.attempt() {
        ids.extend([Act::Reserve, Act::End, Act::Late].map(|act| CommandId::of(attempt, act)));
        if let Some(intent) = whole.intent(attempt) {
            hand.load_intent(attempt, intent.clone());
        }
        if let Some(ended) = whole.ended(attempt) {
            hand.load_ended(attempt, ended.clone());
        }
        claim = intent_of(whole, attempt).and_then(|intent| intent.claim.as_ref());
    }
    match command {
        Command::Reserve(reserve) => claim = reserve.claim.as_ref().or(claim),
        Command::Adjust(adjust) => ids.push(CommandId { id: adjust.id, act: Act::Refund }),
        Command::Fund(Fund { id, funding, .. }) => {
            ids.push(CommandId { id: *id, act: Act::Fund });
            if let Funding::Refund { of, .. } = funding
                && let Some(top_up) = whole.top_up(*of)
            {
                hand.load_top_up(*of, top_up);
            }
        }
        Command::End(_) | Command::Seal(_) => {}
    }
    for id in ids {
        if let Some(payload) = whole.claim(id) {
            hand.load_claim(id, payload);
        }
    }
    if let Some((id, holder)) = claim.and_then(|claim| Some((claim.id, whole.holder(claim.id)?))) {
        hand.load_holder(id, holder);
    }
    let intent = command.attempt().and_then(|attempt| intent_of(whole, attempt));
    for account in touches(command, intent) {
        if !hand.knows(account) {
            hand.load_balance(account, whole.balance(account));
        }
    }
}

/// Plays a script on a state that remembers everything, and on one that is given what each command touches, and
/// forgets what `forgets` lets it; what differs is told.
fn play(seed: u64, forgets: impl Fn(&mut State, usize)) {
    let (mut whole, mut hand, mut script) = (State::new(), State::new(), Script::new(seed));
    let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
    let (mut committed, mut refused) = (0, 0);
    for step in 0..1_500 {
        for command in commands(script.step(), &whole) {
            load(&mut hand, &whole, &command);
            let decision = decided(&whole, &command);
            assert_eq!(decided(&hand, &command), decision, "seed {seed}, step {step}: {command:?}");
            match decision {
                Ok(Decision::Commit(entries)) => {
                    committed += 1;
                    for entry in &entries {
                        apply(&mut whole, entry);
                        apply(&mut hand, entry);
                    }
                }
                Ok(Decision::Repeated) => {}
                Err(_) => refused += 1,
            }
            if let Some(attempt) = command.attempt() {
                assert_eq!(hand.intent(attempt), whole.intent(attempt));
                assert_eq!(hand.ended(attempt), whole.ended(attempt));
            }
            for (account, balance) in hand.balances() {
                assert_eq!(balance, whole.balance(account), "seed {seed}, step {step}: {account}");
            }
            for (key, sum) in hand.take_rollups() {
                rollups.entry(key).or_default().add(&sum);
            }
            assert_eq!(hand.rollups().count(), 0, "what was taken out is not counted twice");
            forgets(&mut hand, step);
        }
    }
    assert!(committed > 500 && refused > 50, "{committed} committed, {refused} refused");
    assert_eq!(rollups, whole.rollups().collect(), "L5");
}

#[test]
fn l3_a_store_that_loads_what_a_command_touches_decides_as_one_that_knows_all() {
    for seed in 0..4 {
        play(seed, |hand, _| *hand = State::new());
    }
}

#[test]
fn l3_a_store_that_forgets_its_history_now_and_then_decides_as_one_that_does_not() {
    for seed in 4..8 {
        play(seed, |hand, step| {
            if step % 50 == 0 {
                hand.forget_history();
                hand.forget_holders();
            }
        });
    }
}

/// A state after a script, and the ids of all that was carried out in it.
fn played(seed: u64) -> (State, Vec<(CommandId, Command)>) {
    let (mut state, mut script, mut carried_out) = (State::new(), Script::new(seed), Vec::new());
    for _ in 0..1_000 {
        for command in commands(script.step(), &state) {
            let Ok(Decision::Commit(entries)) = decided(&state, &command) else { continue };
            let was_ended = command.attempt().is_some_and(|attempt| state.ended(attempt).is_some());
            let id = match &command {
                Command::Reserve(reserve) => CommandId::of(reserve.attempt, Act::Reserve),
                Command::End(end) if was_ended => CommandId::of(end.attempt, Act::Late),
                Command::End(end) => CommandId::of(end.attempt, Act::End),
                Command::Adjust(adjust) => CommandId { id: adjust.id, act: Act::Refund },
                Command::Fund(fund) => CommandId { id: fund.id, act: Act::Fund },
                Command::Seal(_) => continue,
            };
            entries.iter().for_each(|entry| apply(&mut state, entry));
            carried_out.push((id, command));
        }
    }
    for act in Act::ALL {
        assert!(carried_out.iter().any(|(id, _)| id.act == act), "{act:?} must happen");
    }
    (state, carried_out)
}

fn balances(state: &State) -> BTreeMap<AccountId, Balance> {
    state.balances().collect()
}

#[test]
fn l4_whatever_was_carried_out_is_known_by_its_id() {
    let (state, carried_out) = played(11);
    for (id, command) in &carried_out {
        assert!(state.claim(*id).is_some(), "{id:?}: {command:?}");
    }
}

#[test]
fn l3_history_that_is_forgotten_takes_no_balance_open_attempt_claim_or_roll_up_with_it() {
    let (whole, carried_out) = played(12);
    let mut state = whole.clone();
    state.forget_history();
    for (id, command) in &carried_out {
        assert_eq!(state.claim(*id), None, "{id:?}");
        assert_eq!(state.top_up(id.id), None);
        if let Some(attempt) = command.attempt() {
            assert_eq!((state.ended(attempt), state.intent(attempt)), (None, whole.intent(attempt)));
        }
    }
    assert_eq!(balances(&state), balances(&whole));
    assert!(state.intents().count() > 0 && state.holders().count() > 0);
    assert_eq!(state.holders().count(), whole.holders().count());
    assert_eq!(state.rollups().collect::<BTreeMap<_, _>>(), whole.rollups().collect::<BTreeMap<_, _>>());
    state.forget_holders();
    assert_eq!(state.holders().count(), 0);
}

#[test]
fn l4_one_ended_attempt_is_forgotten_with_its_ids_and_no_other_one() {
    let (whole, carried_out) = played(13);
    for attempt in carried_out.iter().step_by(7).filter_map(|(_, command)| command.attempt()) {
        let mut state = whole.clone();
        state.forget_attempt(attempt);
        let was_ended = whole.ended(attempt).is_some();
        assert_eq!((state.ended(attempt), state.intent(attempt)), (None, whole.intent(attempt)));
        for (id, command) in &carried_out {
            // A refund has an id of its own.
            let is_gone = was_ended && command.attempt() == Some(attempt) && id.act != Act::Refund;
            assert_eq!(state.claim(*id), whole.claim(*id).filter(|_| !is_gone), "{id:?}");
        }
        assert_eq!(balances(&state), balances(&whole));
    }
}

#[test]
fn l4_an_id_that_is_forgotten_may_be_used_anew_and_a_top_up_goes_with_its_id() {
    let (whole, carried_out) = played(15);
    for (forgotten, _) in carried_out.iter().step_by(7) {
        let mut state = whole.clone();
        state.forget_claim(*forgotten);
        for (id, _) in &carried_out {
            assert_eq!(state.claim(*id), whole.claim(*id).filter(|_| id != forgotten), "{id:?}");
            let is_gone = id == forgotten && id.act == Act::Fund;
            assert_eq!(state.top_up(id.id), whole.top_up(id.id).filter(|_| !is_gone), "{id:?}");
        }
    }
}
