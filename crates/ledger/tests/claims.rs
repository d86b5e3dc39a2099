//! Idempotency claims: of all that bear one key, one is carried out and paid for.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use proptest::prelude::*;
use weighbridge_ledger::testkit::{plain_facts, plain_reserve};
use weighbridge_ledger::{
    AccountId, AccountKind, Book, Claim, ClaimId, Command, Decision, End, EndFacts, EntityId, Entry, Epoch,
    Fact, PayloadHash, Refusal, Reserve, Seal, Standing, State, View, apply, decide, decode, encode,
};
use weighbridge_units::{AttemptId, AttemptOutcome, NanoUsd, Provenance, Timestamp};

const WRITER: Epoch = Epoch::new(1);
const WINDOW: u64 = 100;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + i64::try_from(seconds).unwrap())
}

fn key(number: u8) -> ClaimId {
    ClaimId::of(&[b"acme", &[number]])
}

fn reserve(number: u128, claim: ClaimId, payload: u8, now: u64) -> Reserve {
    let payload = PayloadHash::of(&[&[payload]]);
    let claim = Claim { id: claim, payload, until: at(now + WINDOW) };
    Reserve { claim: Some(Box::new(claim)), ..plain_reserve(AttemptId::from_u128(number), at(now)) }
}

fn end(number: u128, outcome: AttemptOutcome, provenance: Provenance, now: u64) -> End {
    let facts = EndFacts { provenance, ..plain_facts(outcome, at(now)) };
    End { attempt: AttemptId::from_u128(number), facts }
}

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

fn close(state: &mut State, number: u128, outcome: AttemptOutcome, now: u64) {
    act(state, &Command::End(end(number, outcome, Provenance::Reported, now))).unwrap();
}

fn owed(state: &State) -> i64 {
    let account = AccountId::new(Book::Platform, AccountKind::Receivable, EntityId::of("acme"));
    state.balance(account).posted.get()
}

#[test]
fn l4_the_same_is_carried_out_once() {
    let mut state = State::new();
    open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
    let running = Err(Refusal::ClaimOpen { attempt: AttemptId::from_u128(1) });
    assert_eq!(open(&mut state, reserve(2, key(1), 1, 1)), running);
    assert_eq!(open(&mut state, reserve(1, key(1), 1, 0)), Ok(Vec::new()), "the same attempt repeats itself");
    close(&mut state, 1, AttemptOutcome::Success, 2);
    let done = Err(Refusal::ClaimDone { attempt: AttemptId::from_u128(1) });
    assert_eq!(open(&mut state, reserve(2, key(1), 1, 3)), done);
    assert_eq!(owed(&state), 70);
    open(&mut state, reserve(3, key(2), 1, 3)).unwrap();
}

#[test]
fn l4_something_else_under_the_same_key_is_a_conflict_whatever_became_of_the_first() {
    for outcome in [None, Some(AttemptOutcome::Success), Some(AttemptOutcome::Crashed)] {
        let mut state = State::new();
        open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
        if let Some(outcome) = outcome {
            close(&mut state, 1, outcome, 1);
        }
        assert_eq!(open(&mut state, reserve(2, key(1), 2, 2)), Err(Refusal::ClaimConflict));
    }
}

#[test]
fn l4_what_did_not_succeed_is_tried_again() {
    for outcome in AttemptOutcome::ALL.into_iter().filter(|outcome| *outcome != AttemptOutcome::Success) {
        let mut state = State::new();
        open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
        close(&mut state, 1, outcome, 1);
        open(&mut state, reserve(2, key(1), 1, 2)).unwrap();
        assert_eq!(state.holder(key(1)).unwrap().attempt, AttemptId::from_u128(2));
    }
}

#[test]
fn l4_after_its_window_a_key_may_be_used_for_anything() {
    let mut state = State::new();
    open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
    close(&mut state, 1, AttemptOutcome::Success, 1);
    assert_eq!(open(&mut state, reserve(2, key(1), 2, WINDOW - 1)), Err(Refusal::ClaimConflict));
    open(&mut state, reserve(2, key(1), 2, WINDOW)).unwrap();
    assert_eq!(state.holder(key(1)).unwrap().payload, PayloadHash::of(&[&[2]]));

    let seal = |now| Command::Seal(Seal { at: at(now), heads: Vec::new() });
    act(&mut state, &seal(WINDOW)).unwrap();
    assert_eq!(state.holders().count(), 1, "a seal without heads writes nothing");
    let fact = Fact::Sealed { heads: Vec::new() };
    let seal = |now| Entry {
        book: Book::Platform,
        writer: WRITER,
        at: at(now),
        fact: fact.clone(),
        transfers: vec![],
    };
    apply(&mut state, &seal(2 * WINDOW - 1));
    assert_eq!(state.holders().count(), 1);
    apply(&mut state, &seal(2 * WINDOW));
    assert_eq!(state.holders().count(), 0, "what is over is no more");
}

#[test]
fn l4_a_claim_without_a_window_is_refused() {
    let mut wrong = reserve(1, key(1), 1, 0);
    wrong.claim.as_mut().unwrap().until = at(0);
    assert!(matches!(open(&mut State::new(), wrong), Err(Refusal::Invalid(_))));
}

/// An instance was taken for dead, lives after all, and tells what its attempt came to: by then a retry was served.
#[test]
fn l4_r7_a_late_success_is_free_where_a_retry_was_carried_out() {
    let mut state = State::new();
    open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
    act(&mut state, &Command::End(end(1, AttemptOutcome::Crashed, Provenance::Estimated, 1))).unwrap();
    open(&mut state, reserve(2, key(1), 1, 2)).unwrap();
    close(&mut state, 2, AttemptOutcome::Success, 3);
    assert_eq!(owed(&state), 70);
    close(&mut state, 1, AttemptOutcome::Success, 4);
    assert_eq!(owed(&state), 70, "one of the two is paid for");
    let late = state.ended(AttemptId::from_u128(1)).unwrap();
    assert_eq!((late.late, late.settlement.charged, late.used.cost), (true, NanoUsd::ZERO, NanoUsd::new(60)));
    assert_eq!(state.holder(key(1)).unwrap().attempt, AttemptId::from_u128(2));
}

#[test]
fn l4_r7_a_late_success_is_paid_for_once_the_window_of_the_retry_is_over() {
    for (late, expected) in [(2 + WINDOW - 1, 70), (2 + WINDOW, 140)] {
        let mut state = State::new();
        open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
        act(&mut state, &Command::End(end(1, AttemptOutcome::Crashed, Provenance::Estimated, 1))).unwrap();
        open(&mut state, reserve(2, key(1), 1, 2)).unwrap();
        close(&mut state, 2, AttemptOutcome::Success, 3);
        close(&mut state, 1, AttemptOutcome::Success, late);
        assert_eq!(owed(&state), expected, "told after {late} s");
    }
}

#[test]
fn l4_r7_a_late_success_is_done_where_nobody_tried_again() {
    let mut state = State::new();
    open(&mut state, reserve(1, key(1), 1, 0)).unwrap();
    act(&mut state, &Command::End(end(1, AttemptOutcome::Crashed, Provenance::Estimated, 1))).unwrap();
    close(&mut state, 1, AttemptOutcome::Success, 2);
    assert_eq!(owed(&state), 70);
    assert_eq!(state.holder(key(1)).unwrap().standing, Standing::Done);
}

#[test]
fn l3_rows_without_a_claim_are_as_earlier_releases_wrote_them() {
    let bytes = |claim: Option<Box<Claim>>| {
        let mut state = State::new();
        let reserve = Reserve { claim, ..reserve(1, key(1), 1, 0) };
        let mut entries = open(&mut state, reserve).unwrap();
        entries.extend(
            act(&mut state, &Command::End(end(1, AttemptOutcome::Success, Provenance::Reported, 1))).unwrap(),
        );
        let written: Vec<Vec<u8>> = entries
            .iter()
            .map(|entry| {
                let mut bytes = Vec::new();
                encode(entry, &mut bytes);
                assert_eq!(decode(entry.book, &bytes).as_ref(), Ok(entry));
                bytes
            })
            .collect();
        written.iter().map(|bytes| bytes[0]).collect::<Vec<_>>()
    };
    assert_eq!(bytes(None), [2, 2, 2]);
    assert_eq!(bytes(reserve(1, key(1), 1, 0).claim), [3, 3, 2], "what an attempt used has no claim");
}

#[test]
fn l3_a_standing_is_read_as_it_was_written_and_no_other_number_is_one() {
    let read: Vec<_> = (0..=u8::MAX).filter_map(|code| Some((code, Standing::from_code(code)?))).collect();
    assert_eq!(read, Standing::ALL.map(|standing| (standing as u8, standing)));
}

#[test]
fn parts_of_what_is_hashed_do_not_run_together() {
    assert_ne!(ClaimId::of(&[b"ab", b"c"]), ClaimId::of(&[b"a", b"bc"]));
    assert_ne!(PayloadHash::of(&[b"ab", b""]), PayloadHash::of(&[b"ab"]));
    assert_eq!(ClaimId::of(&[b"ab", b"c"]), ClaimId::of(&[b"ab", b"c"]));
}

/// A request, or the end of one that is open.
#[derive(Debug, Clone)]
enum Act {
    Ask { key: u8, payload: u8 },
    End { which: prop::sample::Index, outcome: usize },
}

proptest! {
    /// Whatever is asked for and however it ends: within a window, no two attempts under one key are open or have
    /// succeeded, and none is for anything else.
    #[test]
    fn l4_one_attempt_under_a_key_is_open_or_paid_for(
        acts in prop::collection::vec(
            prop_oneof![
                (0..2_u8, 0..2_u8).prop_map(|(key, payload)| Act::Ask { key, payload }),
                (any::<prop::sample::Index>(), 0..AttemptOutcome::ALL.len())
                    .prop_map(|(which, outcome)| Act::End { which, outcome }),
            ],
            1..60,
        ),
        pace in 0..30_u64,
    ) {
        let mut state = State::new();
        // Attempt, key, payload, since when, and what it came to.
        let mut attempts: Vec<(u128, u8, u8, u64, Option<AttemptOutcome>)> = Vec::new();
        for (number, asked) in acts.iter().enumerate() {
            let (number, now) = (number as u128, number as u64 * pace);
            match asked {
                Act::Ask { key: of, payload } => {
                    let mut held = attempts.iter().rev().filter(|(_, key, ..)| key == of);
                    let last = held.next().filter(|(.., since, _)| now < since + WINDOW);
                    let is_free = last.is_none_or(|(_, _, asked, _, came_to)| {
                        asked == payload && came_to.is_some_and(|outcome| outcome != AttemptOutcome::Success)
                    });
                    let granted = open(&mut state, reserve(number, key(*of), *payload, now));
                    prop_assert_eq!(granted.is_ok(), is_free, "{:?}", granted);
                    if granted.is_ok() {
                        attempts.push((number, *of, *payload, now, None));
                    }
                }
                Act::End { which, outcome } => {
                    let mut open: Vec<_> =
                        attempts.iter_mut().filter(|(.., came_to)| came_to.is_none()).collect();
                    if open.is_empty() {
                        continue;
                    }
                    let at = which.index(open.len());
                    let outcome = AttemptOutcome::ALL[*outcome];
                    close(&mut state, open[at].0, outcome, now);
                    open[at].4 = Some(outcome);
                }
            }
        }
    }
}
