//! How a row's body is written: compact, versioned, and readable for as long as the journal is kept.
//!
//! One byte of version, one of fact, then the fields in order; whole numbers as LEB128, signed ones
//! zigzagged, ids and entities at fixed width. The book stands beside the body in the row.

mod reader;
mod writer;

use rust_decimal::Decimal;
use thiserror::Error;
use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

use crate::{
    AccountId, AccountKind, Adjust, Billing, Book, ChainHead, Claim, ClaimId, End, EntityId, Entry, Epoch,
    Fact, Fund, Funding, Hold, Intent, MAX_HOLDS, Measure, PayloadHash, Phase, Reserve, RollupKey, RowHash,
    Settlement, Transfer, Used,
};
use reader::Reader;
use writer::Writer;

/// The newest version that [`encode`] writes. [`decode`] reads this one and all earlier ones.
///
/// 2: holds say what they count, intents have tokens and a credit limit, overages have tokens; wallets.
/// 3: attempts have a claim. 4: attempts of the installation's own, which have none. All other rows are written as 2,
/// so that earlier releases go on reading them.
const VERSION: u8 = 4;
const WITH_CLAIM: u8 = 3;
const ORDINARY: u8 = 2;

/// Why bytes are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It was written by a later release.
    #[error("version {0} of the journal is newer than this release: upgrade it")]
    Version(u8),
    /// It ends too early.
    #[error("it ends too early")]
    Truncated,
    /// It goes on after its end.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// A code that nothing is written as.
    #[error("{code} is no {what}")]
    Unknown {
        /// What was to be read.
        what: &'static str,
        /// What was found.
        code: u8,
    },
    /// A number that does not fit.
    #[error("a number does not fit")]
    Number,
}

/// Appends the body of an entry's row.
pub fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let mut w = Writer(out);
    w.u8(version_of(&entry.fact));
    w.u8(fact_code(&entry.fact));
    w.varint(u64::from(entry.writer.get()));
    w.i64(entry.at.as_micros());
    match &entry.fact {
        Fact::Reserved { attempt, payload, intent } => {
            w.u128(attempt.get());
            w.bytes(&payload.0);
            write_intent(&mut w, intent);
        }
        Fact::Ended { attempt, payload, settlement, claim }
        | Fact::Late { attempt, payload, settlement, claim } => {
            w.u128(attempt.get());
            w.bytes(&payload.0);
            write_settlement(&mut w, settlement);
            if let Some(claim) = claim {
                w.u128(claim.get());
            }
        }
        Fact::Overage { attempt, excess, tokens } => {
            w.u128(attempt.get());
            w.nanos(*excess);
            w.varint(*tokens);
        }
        Fact::Refunded { attempt, id, payload, rollup, amount, reason } => {
            w.u128(attempt.get());
            w.u128(*id);
            w.bytes(&payload.0);
            write_rollup(&mut w, rollup);
            w.nanos(*amount);
            w.entity(*reason);
        }
        Fact::Used { attempt, rollup, used, replaces } => {
            w.u128(attempt.get());
            write_rollup(&mut w, rollup);
            write_used(&mut w, used);
            w.u8(u8::from(replaces.is_some()));
            if let Some(replaced) = replaces {
                write_used(&mut w, replaced);
            }
        }
        Fact::Funded { id, payload, tenant, funding, reason, actor } => {
            w.u128(*id);
            w.bytes(&payload.0);
            w.entity(*tenant);
            write_funding(&mut w, *funding);
            w.entity(*reason);
            w.entity(*actor);
        }
        Fact::Sealed { heads } => {
            w.varint(heads.len() as u64);
            for head in heads {
                w.varint(u64::from(head.writer.get()));
                w.varint(head.seq);
                w.bytes(&head.hash.0);
            }
        }
    }
    w.varint(entry.transfers.len() as u64);
    for transfer in &entry.transfers {
        w.u8(transfer.phase as u8);
        write_account(&mut w, transfer.debit);
        write_account(&mut w, transfer.credit);
        w.signed(transfer.amount.get());
    }
}

/// Reads the body of a row of `book`. Never panics, whatever the bytes are.
///
/// # Errors
/// A [`DecodeError`] that says what is wrong.
pub fn decode(book: Book, body: &[u8]) -> Result<Entry, DecodeError> {
    let mut r = Reader { rest: body, version: VERSION };
    match r.u8()? {
        version @ 1..=VERSION => r.version = version,
        version => return Err(DecodeError::Version(version)),
    }
    let code = r.u8()?;
    let writer = Epoch::new(r.u32()?);
    let at = Timestamp::from_micros(r.i64()?);
    let fact = read_fact(&mut r, code, book, writer, at)?;
    let count = r.varint()?;
    let mut transfers = Vec::new();
    for _ in 0..count {
        let phase = match r.u8()? {
            1 => Phase::Pend,
            2 => Phase::Release,
            3 => Phase::Post,
            code => return Err(DecodeError::Unknown { what: "phase", code }),
        };
        let (debit, credit) = (read_account(&mut r, book)?, read_account(&mut r, book)?);
        transfers.push(Transfer { phase, debit, credit, amount: r.quantity()? });
    }
    match r.rest.len() {
        0 => Ok(Entry { book, writer, at, fact, transfers }),
        more => Err(DecodeError::Trailing(more)),
    }
}

/// The first version that has everything which a fact says.
const fn version_of(fact: &Fact) -> u8 {
    match fact {
        Fact::Reserved { intent, .. } if matches!(intent.billing, Billing::House) => VERSION,
        Fact::Reserved { intent, .. } if intent.claim.is_some() => WITH_CLAIM,
        Fact::Ended { claim: Some(_), .. } | Fact::Late { claim: Some(_), .. } => WITH_CLAIM,
        _ => ORDINARY,
    }
}

const fn fact_code(fact: &Fact) -> u8 {
    match fact {
        Fact::Reserved { .. } => 1,
        Fact::Ended { .. } => 2,
        Fact::Overage { .. } => 3,
        Fact::Late { .. } => 4,
        Fact::Refunded { .. } => 5,
        Fact::Used { .. } => 6,
        Fact::Sealed { .. } => 7,
        Fact::Funded { .. } => 8,
    }
}

fn read_fact(
    r: &mut Reader<'_>,
    code: u8,
    book: Book,
    writer: Epoch,
    at: Timestamp,
) -> Result<Fact, DecodeError> {
    if code == 7 {
        let count = r.varint()?;
        let mut heads = Vec::new();
        for _ in 0..count {
            let writer = Epoch::new(r.u32()?);
            heads.push(ChainHead { book, writer, seq: r.varint()?, hash: RowHash(r.array()?) });
        }
        return Ok(Fact::Sealed { heads });
    }
    let id = r.u128()?;
    let attempt = AttemptId::from_u128(id);
    Ok(match code {
        8 => Fact::Funded {
            id,
            payload: PayloadHash(r.array()?),
            tenant: r.entity()?,
            funding: read_funding(r)?,
            reason: r.entity()?,
            actor: r.entity()?,
        },
        1 => Fact::Reserved {
            attempt,
            payload: PayloadHash(r.array()?),
            intent: read_intent(r, book, writer, at)?,
        },
        2 => Fact::Ended {
            attempt,
            payload: PayloadHash(r.array()?),
            settlement: read_settlement(r)?,
            claim: read_claim_id(r)?,
        },
        3 => Fact::Overage { attempt, excess: r.nanos()?, tokens: read_tokens(r)? },
        4 => Fact::Late {
            attempt,
            payload: PayloadHash(r.array()?),
            settlement: read_settlement(r)?,
            claim: read_claim_id(r)?,
        },
        5 => Fact::Refunded {
            attempt,
            id: r.u128()?,
            payload: PayloadHash(r.array()?),
            rollup: read_rollup(r)?,
            amount: r.nanos()?,
            reason: r.entity()?,
        },
        6 => Fact::Used {
            attempt,
            rollup: read_rollup(r)?,
            used: read_used(r)?,
            replaces: match r.bool()? {
                true => Some(Box::new(read_used(r)?)),
                false => None,
            },
        },
        code => return Err(DecodeError::Unknown { what: "fact", code }),
    })
}

/// The writer and time of an intent are its row's.
fn write_intent(w: &mut Writer<'_>, intent: &Intent) {
    w.i64(intent.expires.as_micros());
    w.varint(intent.key.get());
    w.entity(intent.tenant);
    w.entity(intent.provider);
    w.entity(intent.model);
    w.entity(intent.price_version);
    w.u8(match intent.billing {
        Billing::Platform => 0,
        Billing::OwnKey => 1,
        Billing::House => 2,
    });
    w.nanos(intent.amount);
    w.nanos(intent.estimate);
    w.varint(intent.tokens);
    w.u8(u8::from(intent.credit_limit.is_some()));
    if let Some(limit) = intent.credit_limit {
        w.nanos(limit);
    }
    w.varint(intent.holds.len() as u64);
    for hold in &intent.holds {
        w.u8(hold.measure() as u8);
        w.entity(hold.account.entity());
        w.u8(u8::from(hold.limit.is_some()));
        if let Some(limit) = hold.limit {
            w.signed(limit.get());
        }
    }
    // Nobody has asked for what the installation does for itself.
    if let Some(claim) = intent.claim.as_ref().filter(|_| intent.billing != Billing::House) {
        w.u128(claim.id.get());
        w.bytes(&claim.payload.0);
        w.i64(claim.until.as_micros());
    }
}

/// Version 3 always has one, and no other has.
fn read_claim_id(r: &mut Reader<'_>) -> Result<Option<ClaimId>, DecodeError> {
    if r.version != WITH_CLAIM { Ok(None) } else { Ok(Some(ClaimId::from_u128(r.u128()?))) }
}

/// Version 1 counted no tokens.
fn read_tokens(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    if r.version == 1 { Ok(0) } else { r.varint() }
}

fn read_intent(r: &mut Reader<'_>, book: Book, writer: Epoch, at: Timestamp) -> Result<Intent, DecodeError> {
    let mut intent = Intent {
        writer,
        at,
        expires: Timestamp::from_micros(r.i64()?),
        key: KeyId::from_bits(r.varint()?),
        tenant: r.entity()?,
        provider: r.entity()?,
        model: r.entity()?,
        price_version: r.entity()?,
        billing: match r.u8()? {
            0 => Billing::Platform,
            1 => Billing::OwnKey,
            2 if r.version >= VERSION => Billing::House,
            code => return Err(DecodeError::Unknown { what: "billing", code }),
        },
        amount: r.nanos()?,
        estimate: r.nanos()?,
        tokens: read_tokens(r)?,
        // Version 1 bounded no wallet.
        credit_limit: if r.version > 1 && r.bool()? { Some(r.nanos()?) } else { None },
        claim: None,
        holds: Vec::new(),
    };
    let count = r.varint()?;
    if count > MAX_HOLDS as u64 {
        return Err(DecodeError::Number);
    }
    for _ in 0..count {
        // Version 1 held money only.
        let code = if r.version == 1 { 0 } else { r.u8()? };
        let measure = Measure::from_code(code).ok_or(DecodeError::Unknown { what: "measure", code })?;
        let account = AccountId::new(book, AccountKind::budget(measure), r.entity()?);
        let limit = match r.bool()? {
            true => Some(r.quantity()?),
            false => None,
        };
        intent.holds.push(Hold { account, limit });
    }
    if let Some(id) = read_claim_id(r)? {
        let (payload, until) = (PayloadHash(r.array()?), Timestamp::from_micros(r.i64()?));
        intent.claim = Some(Box::new(Claim { id, payload, until }));
    }
    Ok(intent)
}

fn write_funding(w: &mut Writer<'_>, funding: Funding) {
    let (code, amount) = match funding {
        Funding::TopUp(amount) => (1, amount),
        Funding::Credit(amount) => (2, amount),
        Funding::Adjustment(amount) => (3, amount),
        Funding::Refund { amount, .. } => (4, amount),
    };
    w.u8(code);
    w.nanos(amount);
    if let Funding::Refund { of, .. } = funding {
        w.u128(of);
    }
}

fn read_funding(r: &mut Reader<'_>) -> Result<Funding, DecodeError> {
    let (code, amount) = (r.u8()?, r.nanos()?);
    match code {
        1 => Ok(Funding::TopUp(amount)),
        2 => Ok(Funding::Credit(amount)),
        3 => Ok(Funding::Adjustment(amount)),
        4 => Ok(Funding::Refund { amount, of: r.u128()? }),
        code => Err(DecodeError::Unknown { what: "funding", code }),
    }
}

fn write_settlement(w: &mut Writer<'_>, settlement: &Settlement) {
    w.u8(outcome_code(settlement.outcome));
    w.entity(settlement.reason);
    w.nanos(settlement.charged);
    w.nanos(settlement.cost);
}

fn read_settlement(r: &mut Reader<'_>) -> Result<Settlement, DecodeError> {
    Ok(Settlement { outcome: read_outcome(r)?, reason: r.entity()?, charged: r.nanos()?, cost: r.nanos()? })
}

fn write_rollup(w: &mut Writer<'_>, rollup: &RollupKey) {
    w.varint(rollup.key.get());
    w.entity(rollup.provider);
    w.entity(rollup.model);
    w.signed(rollup.hour);
}

fn read_rollup(r: &mut Reader<'_>) -> Result<RollupKey, DecodeError> {
    Ok(RollupKey {
        key: KeyId::from_bits(r.varint()?),
        provider: r.entity()?,
        model: r.entity()?,
        hour: r.signed()?,
    })
}

fn write_used(w: &mut Writer<'_>, used: &Used) {
    w.u8(outcome_code(used.outcome));
    w.u8(provenance_code(used.provenance));
    w.nanos(used.cost);
    w.nanos(used.charged);
    let exact = used.exact.get();
    w.u8(u8::try_from(exact.scale()).unwrap_or(u8::MAX));
    w.signed_wide(exact.mantissa());
    w.u8(u8::from(used.usage.is_contradictory()));
    w.u8(u8::try_from(used.usage.iter().count()).unwrap_or(u8::MAX));
    for (bucket, count) in used.usage.iter() {
        w.u8(bucket as u8);
        w.varint(count);
    }
}

fn read_used(r: &mut Reader<'_>) -> Result<Used, DecodeError> {
    let (outcome, provenance) = (read_outcome(r)?, read_provenance(r)?);
    let (cost, charged) = (r.nanos()?, r.nanos()?);
    let scale = u32::from(r.u8()?);
    let exact =
        Decimal::try_from_i128_with_scale(r.signed_wide()?, scale).map_err(|_| DecodeError::Number)?;
    let mut usage = Usage::new();
    if r.bool()? {
        usage.flag_contradiction();
    }
    for _ in 0..r.u8()? {
        let code = r.u8()?;
        let bucket = Bucket::ALL.into_iter().find(|bucket| *bucket as u8 == code);
        usage.set(bucket.ok_or(DecodeError::Unknown { what: "bucket", code })?, r.varint()?);
    }
    Ok(Used { outcome, usage, provenance, cost, exact: Usd::new(exact), charged })
}

fn write_account(w: &mut Writer<'_>, account: AccountId) {
    let kind = account.kind();
    w.u8(kind as u8);
    if !kind.is_single() {
        w.entity(account.entity());
    }
}

fn read_account(r: &mut Reader<'_>, book: Book) -> Result<AccountId, DecodeError> {
    let code = r.u8()?;
    let kind = AccountKind::from_code(code).ok_or(DecodeError::Unknown { what: "account", code })?;
    let entity = if kind.is_single() { EntityId::NONE } else { r.entity()? };
    Ok(AccountId::new(book, kind, entity))
}

/// What the journal calls an outcome: for good, whatever order the type has.
fn outcome_code(outcome: AttemptOutcome) -> u8 {
    match outcome {
        AttemptOutcome::Success => 1,
        AttemptOutcome::ClientLeft => 2,
        AttemptOutcome::FailedBeforeOutput => 3,
        AttemptOutcome::FailedMidStream => 4,
        AttemptOutcome::TimedOut => 5,
        AttemptOutcome::LostHedge => 6,
        AttemptOutcome::Crashed => 7,
        AttemptOutcome::Shadow => 8,
        // A test goes through all outcomes; a new one without a code reads back as an error.
        _ => u8::MAX,
    }
}

fn read_outcome(r: &mut Reader<'_>) -> Result<AttemptOutcome, DecodeError> {
    let code = r.u8()?;
    let outcome = AttemptOutcome::ALL.into_iter().find(|outcome| outcome_code(*outcome) == code);
    outcome.ok_or(DecodeError::Unknown { what: "outcome", code })
}

const fn provenance_code(provenance: Provenance) -> u8 {
    match provenance {
        Provenance::Reported => 1,
        Provenance::Tokenised => 2,
        Provenance::Estimated => 3,
    }
}

fn read_provenance(r: &mut Reader<'_>) -> Result<Provenance, DecodeError> {
    match r.u8()? {
        1 => Ok(Provenance::Reported),
        2 => Ok(Provenance::Tokenised),
        3 => Ok(Provenance::Estimated),
        code => Err(DecodeError::Unknown { what: "provenance", code }),
    }
}

/// What tells a repeated reservation from another one under the same id (rule L4).
pub(crate) fn reserve_payload(reserve: &Reserve) -> PayloadHash {
    payload(1, |w| {
        w.i64(reserve.at.as_micros());
        w.i64(reserve.expires.as_micros());
        w.varint(reserve.key.get());
        for name in [&reserve.tenant, &reserve.provider, &reserve.model, &reserve.price_version] {
            w.entity(name.id());
        }
        w.u8(reserve.billing as u8);
        w.nanos(reserve.amount);
        w.nanos(reserve.estimate);
        w.varint(reserve.tokens);
        w.u8(u8::from(reserve.credit_limit.is_some()));
        w.nanos(reserve.credit_limit.unwrap_or_default());
        for hold in &reserve.holds {
            w.varint(hold.account.get());
            w.u8(u8::from(hold.limit.is_some()));
            w.signed(hold.limit.unwrap_or_default().get());
        }
        if let Some(claim) = &reserve.claim {
            w.u128(claim.id.get());
            w.bytes(&claim.payload.0);
            w.i64(claim.until.as_micros());
        }
    })
}

/// What tells a repeated end from another one.
pub(crate) fn end_payload(end: &End) -> PayloadHash {
    let facts = &end.facts;
    payload(2, |w| {
        w.i64(facts.at.as_micros());
        w.entity(facts.reason.id());
        w.nanos(facts.price);
        write_used(
            w,
            &Used {
                outcome: facts.outcome,
                usage: facts.usage,
                provenance: facts.provenance,
                cost: facts.cost,
                exact: facts.exact,
                charged: NanoUsd::ZERO,
            },
        );
    })
}

/// What tells a repeated refund from another one.
pub(crate) fn adjust_payload(adjust: &Adjust) -> PayloadHash {
    payload(3, |w| {
        w.u128(adjust.attempt.get());
        w.i64(adjust.at.as_micros());
        w.nanos(adjust.refund);
        w.entity(adjust.reason.id());
    })
}

/// What tells a repeated funding from another one: not its time, as who repeats it does so later.
pub(crate) fn fund_payload(fund: &Fund) -> PayloadHash {
    payload(4, |w| {
        w.u8(fund.book as u8);
        w.entity(fund.tenant.id());
        write_funding(w, fund.funding);
        w.entity(fund.reason.id());
        w.entity(fund.actor.id());
    })
}

fn payload(kind: u8, write: impl FnOnce(&mut Writer<'_>)) -> PayloadHash {
    let mut bytes = Vec::with_capacity(160);
    bytes.push(kind);
    write(&mut Writer(&mut bytes));
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
    PayloadHash(short)
}
