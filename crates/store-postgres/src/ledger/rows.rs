//! Between the columns of the database and the ledger's types.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use weighbridge_ledger::{
    AccountId, Act, Balance, Book, ChainHead, ClaimId, CommandId, EntityId, Entry, Epoch, Fact, Funding,
    Holder, Intent, LedgerError, PayloadHash, Quantity, Rollup, RollupKey, RowHash, Standing, decode,
};
use weighbridge_units::{AttemptId, KeyId, NanoUsd, Timestamp};

use crate::error::DbError;

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Corrupt(what) => Self::Corrupt { what },
            other => Self::Unavailable { reason: other.to_string() },
        }
    }
}

/// A column, which has the type that the table gave it.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, DbError> {
    row.try_get(at).map_err(DbError::corrupt)
}

pub(super) fn attempt_column(attempt: AttemptId) -> Vec<u8> {
    attempt.get().to_be_bytes().to_vec()
}

/// What a row gives back, and of which original. Refunds of attempts and of top-ups stand in one table: those of
/// attempts under the attempt, those of top-ups under the command's id, which is a byte longer.
pub(super) fn refund(fact: &Fact) -> Option<(Vec<u8>, NanoUsd)> {
    match fact {
        Fact::Refunded { attempt, amount, .. } => Some((attempt_column(*attempt), *amount)),
        Fact::Funded { funding: Funding::Refund { of, amount }, .. } => Some((top_up_column(*of), *amount)),
        _ => None,
    }
}

pub(super) fn top_up_column(id: u128) -> Vec<u8> {
    command_column(CommandId { id, act: Act::Fund })
}

pub(super) fn read_attempt(bytes: &[u8]) -> Result<AttemptId, DbError> {
    let bytes = bytes.try_into().map_err(|_| DbError::corrupt("an attempt's id is not 16 bytes long"))?;
    Ok(AttemptId::from_u128(u128::from_be_bytes(bytes)))
}

pub(super) fn command_column(id: CommandId) -> Vec<u8> {
    id.to_bytes().to_vec()
}

pub(super) fn read_command(bytes: &[u8]) -> Result<CommandId, DbError> {
    let wrong = || DbError::corrupt("a command's id is not one");
    let bytes: &[u8; 17] = bytes.try_into().map_err(|_| wrong())?;
    let (id, act) = bytes.split_at(16);
    let id = id.try_into().map(u128::from_be_bytes).map_err(|_| wrong())?;
    let act = act.first().copied().and_then(Act::from_code).ok_or_else(wrong)?;
    Ok(CommandId { id, act })
}

pub(super) fn read_payload(bytes: &[u8]) -> Result<PayloadHash, DbError> {
    bytes.try_into().map(PayloadHash).map_err(|_| DbError::corrupt("a payload's hash is not 16 bytes long"))
}

pub(super) fn claim_column(claim: ClaimId) -> Vec<u8> {
    claim.get().to_be_bytes().to_vec()
}

pub(super) fn standing_column(standing: Standing) -> i16 {
    standing as i16
}

/// The columns `id, attempt, payload, until, standing`.
pub(super) fn read_holder(row: &Row) -> Result<(ClaimId, Holder), DbError> {
    let id: &[u8] = column(row, 0)?;
    let id = id.try_into().map_err(|_| DbError::corrupt("a claim's id is not 16 bytes long"))?;
    let standing = u8::try_from(column::<i16>(row, 4)?).ok().and_then(Standing::from_code);
    let holder = Holder {
        attempt: read_attempt(column(row, 1)?)?,
        payload: read_payload(column(row, 2)?)?,
        until: Timestamp::from_micros(column(row, 3)?),
        standing: standing.ok_or_else(|| DbError::corrupt("a claim stands in no way that is known"))?,
    };
    Ok((ClaimId::from_u128(u128::from_be_bytes(id)), holder))
}

/// Ids of accounts, keys and names use at most 63 bits, and no journal has more rows.
pub(super) fn id_column(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

pub(super) fn read_number(number: i64) -> Result<u64, DbError> {
    u64::try_from(number).map_err(|_| DbError::corrupt("a number is below zero"))
}

pub(super) fn book_column(book: Book) -> i16 {
    book as i16
}

pub(super) fn epoch_column(epoch: Epoch) -> i32 {
    // The database counts them with this type.
    i32::try_from(epoch.get()).unwrap_or(i32::MAX)
}

pub(super) fn read_epoch(epoch: i32) -> Result<Epoch, DbError> {
    u32::try_from(epoch).map(Epoch::new).map_err(|_| DbError::corrupt("an epoch is below zero"))
}

pub(super) fn read_book(book: i16) -> Result<Book, DbError> {
    let known = u8::try_from(book).ok().and_then(Book::from_code);
    known.ok_or_else(|| DbError::corrupt(format!("{book} is no book")))
}

/// An entry, from the columns `book` and `body`.
pub(super) fn read_entry(book: i16, body: &[u8]) -> Result<Entry, DbError> {
    decode(read_book(book)?, body).map_err(DbError::corrupt)
}

/// An open attempt, from the row that opened it.
pub(super) fn read_intent(book: i16, body: &[u8]) -> Result<Intent, DbError> {
    match read_entry(book, body)?.fact {
        Fact::Reserved { intent, .. } => Ok(intent),
        _ => Err(DbError::corrupt("an open attempt was opened by something else than a reservation")),
    }
}

pub(super) fn read_account(bits: i64) -> Result<AccountId, DbError> {
    let account = u64::try_from(bits).ok().and_then(AccountId::from_bits);
    account.ok_or_else(|| DbError::corrupt(format!("{bits} is no account")))
}

/// The columns `account, posted, pending`.
pub(super) fn read_balance(row: &Row) -> Result<(AccountId, Balance), DbError> {
    let balance = Balance { posted: Quantity::new(column(row, 1)?), pending: Quantity::new(column(row, 2)?) };
    Ok((read_account(column(row, 0)?)?, balance))
}

pub(super) fn read_hash(bytes: &[u8]) -> Result<RowHash, DbError> {
    bytes.try_into().map(RowHash).map_err(|_| DbError::corrupt("a hash is not 32 bytes long"))
}

/// The columns `book, writer, seq, hash`.
pub(super) fn read_head(row: &Row) -> Result<ChainHead, DbError> {
    Ok(ChainHead {
        book: read_book(column(row, 0)?)?,
        writer: read_epoch(column(row, 1)?)?,
        seq: read_number(column(row, 2)?)?,
        hash: read_hash(column(row, 3)?)?,
    })
}

/// The columns `key, hour, provider, model, attempts, succeeded, estimated, cost, charged, counts`.
pub(super) fn read_rollup(row: &Row) -> Result<(RollupKey, Rollup), DbError> {
    let id = |at| read_number(column(row, at)?);
    let key = RollupKey {
        key: KeyId::from_bits(id(0)?),
        hour: column(row, 1)?,
        provider: EntityId::from_bits(id(2)?),
        model: EntityId::from_bits(id(3)?),
    };
    let mut rollup = Rollup {
        attempts: column(row, 4)?,
        succeeded: column(row, 5)?,
        estimated: column(row, 6)?,
        cost: NanoUsd::new(column(row, 7)?),
        charged: NanoUsd::new(column(row, 8)?),
        ..Rollup::default()
    };
    // Buckets that this release does not know are left to one that does.
    let counts: Vec<i64> = column(row, 9)?;
    for (count, stored) in rollup.counts.iter_mut().zip(counts) {
        *count = stored;
    }
    Ok((key, rollup))
}

/// What an entry makes known of its command, if it is the first row of one that has an id.
pub(super) fn claim(fact: &Fact) -> Option<(CommandId, PayloadHash)> {
    match fact {
        Fact::Reserved { attempt, payload, .. } => Some((CommandId::of(*attempt, Act::Reserve), *payload)),
        Fact::Ended { attempt, payload, .. } => Some((CommandId::of(*attempt, Act::End), *payload)),
        Fact::Late { attempt, payload, .. } => Some((CommandId::of(*attempt, Act::Late), *payload)),
        Fact::Refunded { id, payload, .. } => Some((CommandId { id: *id, act: Act::Refund }, *payload)),
        Fact::Funded { id, payload, .. } => Some((CommandId { id: *id, act: Act::Fund }, *payload)),
        Fact::Overage { .. } | Fact::Used { .. } | Fact::Sealed { .. } => None,
    }
}
