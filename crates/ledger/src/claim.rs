//! Idempotency claims: of the requests that bear one key, one is carried out.
//!
//! A reservation may bear a [`Claim`]. It is decided on, committed and kept in the journal with the reservation
//! itself, so that no crash parts the two. An attempt holds its claim while it is open, and for good once it has
//! succeeded; an attempt that ended otherwise lets the next one with the same payload have it.

use weighbridge_units::{AttemptId, AttemptOutcome, Timestamp};

use crate::{PayloadHash, Refusal, View};

/// What a claim is known by: a hash of whose it is and of the key that the caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(u128);

impl ClaimId {
    /// Of everything that tells one claim from another.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(u128::from_be_bytes(short_hash(parts)))
    }

    /// The id of that number.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl PayloadHash {
    /// Of everything that tells what is asked for from anything else.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(short_hash(parts))
    }
}

/// BLAKE3 of the parts, each behind its length, so that none can be taken for another.
fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

/// That of all requests under one id, one is carried out, until its window is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What it is known by.
    pub id: ClaimId,
    /// What is asked for: another request under the id is refused.
    pub payload: PayloadHash,
    /// When its window is over: then the id may be used for anything again.
    pub until: Timestamp,
}

/// Who has a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The attempt that claimed it last.
    pub attempt: AttemptId,
    /// What was asked for.
    pub payload: PayloadHash,
    /// When its window is over.
    pub until: Timestamp,
    /// What became of the attempt.
    pub standing: Standing,
}

impl Holder {
    /// The holder of a claim that an attempt has just made.
    pub const fn new(attempt: AttemptId, claim: &Claim) -> Self {
        Self { attempt, payload: claim.payload, until: claim.until, standing: Standing::Open }
    }
}

/// What became of the attempt that holds a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Standing {
    /// It has not ended.
    Open = 1,
    /// It succeeded: nothing else is carried out under the claim.
    Done = 2,
    /// It ended otherwise: the same may be tried again.
    Free = 3,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::Open, Self::Done, Self::Free];

    /// What an end makes of the claim of its attempt.
    pub fn after(outcome: AttemptOutcome) -> Self {
        if outcome == AttemptOutcome::Success { Self::Done } else { Self::Free }
    }

    /// The standing of that number, as stores write it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| *standing as u8 == code)
    }
}

/// Whether a reservation may have the claim that it bears (rule L4).
pub(crate) fn may_claim(view: &impl View, claim: &Claim, at: Timestamp) -> Result<(), Refusal> {
    if claim.until <= at {
        return Err(Refusal::Invalid("a claim ends before it begins"));
    }
    let Some(holder) = view.holder(claim.id).filter(|holder| at < holder.until) else { return Ok(()) };
    let attempt = holder.attempt;
    match holder.standing {
        _ if holder.payload != claim.payload => Err(Refusal::ClaimConflict),
        Standing::Open => Err(Refusal::ClaimOpen { attempt }),
        Standing::Done => Err(Refusal::ClaimDone { attempt }),
        Standing::Free => Ok(()),
    }
}
