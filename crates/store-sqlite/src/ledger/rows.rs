//! Between SQLite's columns and the ledger's types. Every statement of the money path is here.

use rusqlite::{Connection, OptionalExtension, Row};
use weighbridge_ledger::{
    AccountId, Act, Balance, Book, ClaimId, CommandId, Ended, Entry, Fact, Funding, Holder, Intent,
    LedgerError, PayloadHash, Quantity, Rollup, RollupKey, RowHash, Standing, TopUp, decode,
};
use weighbridge_units::failpoint::Injected;
use weighbridge_units::{AttemptId, Bucket, KeyId, NanoUsd, Timestamp};

pub(super) const INSERT_ENTRY: &str = "INSERT INTO entry (seq, book, body, hash) VALUES (?1, ?2, ?3, ?4)";
pub(super) const INSERT_SEAL: &str = "INSERT INTO seal (seq, first) VALUES (?1, ?2)";
pub(super) const INSERT_COMMAND: &str = "INSERT INTO command (id, payload, seq) VALUES (?1, ?2, ?3)";
pub(super) const INSERT_OPEN: &str = "INSERT INTO open_attempt (attempt, book, body) VALUES (?1, ?2, ?3)";
pub(super) const DELETE_OPEN: &str = "DELETE FROM open_attempt WHERE attempt = ?1";
pub(super) const SET_BALANCE: &str = "INSERT INTO balance (account, posted, pending) VALUES (?1, ?2, ?3) \
     ON CONFLICT (account) DO UPDATE SET posted = excluded.posted, pending = excluded.pending";
pub(super) const SET_CLAIM: &str = "INSERT INTO claim (id, attempt, payload, until, standing) \
     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, \
     payload = excluded.payload, until = excluded.until, standing = excluded.standing";
pub(super) const SET_STANDING: &str = "UPDATE claim SET standing = ?3 WHERE id = ?1 AND attempt = ?2";
pub(super) const RETIRE_CLAIMS: &str = "DELETE FROM claim WHERE until <= ?1";
pub(super) const SET_FOLDED: &str = "UPDATE folded SET seq = ?1";
pub(super) const SELECT_FOLDED: &str = "SELECT seq, (SELECT coalesce(max(seq), 0) FROM entry) FROM folded";
pub(super) const ADD_REFUND: &str = "INSERT INTO refunded (attempt, amount) VALUES (?1, ?2) \
     ON CONFLICT (attempt) DO UPDATE SET amount = amount + excluded.amount";
pub(super) const ADD_ROLLUP: &str = "INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, \
     estimated, cost, charged, input, cache_read, cache_write_5m, cache_write_1h, input_audio, output, \
     reasoning, output_audio, web_search, tool_prompt, output_image, input_image, images, images_given, \
     characters, seconds, seconds_made, pages, calls, file_search, map_search, code_sessions) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
     ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31) \
     ON CONFLICT (key, hour, provider, model) DO UPDATE SET attempts = attempts + excluded.attempts, \
     succeeded = succeeded + excluded.succeeded, estimated = estimated + excluded.estimated, \
     cost = cost + excluded.cost, charged = charged + excluded.charged, input = input + excluded.input, \
     cache_read = cache_read + excluded.cache_read, \
     cache_write_5m = cache_write_5m + excluded.cache_write_5m, \
     cache_write_1h = cache_write_1h + excluded.cache_write_1h, \
     input_audio = input_audio + excluded.input_audio, output = output + excluded.output, \
     reasoning = reasoning + excluded.reasoning, output_audio = output_audio + excluded.output_audio, \
     web_search = web_search + excluded.web_search, tool_prompt = tool_prompt + excluded.tool_prompt, \
     output_image = output_image + excluded.output_image, input_image = input_image + excluded.input_image, \
     images = images + excluded.images, images_given = images_given + excluded.images_given, \
     characters = characters + excluded.characters, seconds = seconds + excluded.seconds, \
     seconds_made = seconds_made + excluded.seconds_made, pages = pages + excluded.pages, \
     calls = calls + excluded.calls, file_search = file_search + excluded.file_search, \
     map_search = map_search + excluded.map_search, code_sessions = code_sessions + excluded.code_sessions";
pub(super) const INSERT_NAME: &str =
    "INSERT INTO name (id, text) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";

const SELECT_COMMAND: &str = "SELECT payload, seq FROM command WHERE id = ?1";
const SELECT_OPEN: &str = "SELECT book, body FROM open_attempt WHERE attempt = ?1";
const SELECT_BALANCE: &str = "SELECT posted, pending FROM balance WHERE account = ?1";
const SELECT_CLAIM: &str = "SELECT id, attempt, payload, until, standing FROM claim WHERE id = ?1";
pub(super) const SELECT_CLAIMS: &str = "SELECT id, attempt, payload, until, standing FROM claim";
const SELECT_REFUNDED: &str = "SELECT amount FROM refunded WHERE attempt = ?1";
const SELECT_ENTRIES: &str = "SELECT book, body FROM entry WHERE seq >= ?1 ORDER BY seq LIMIT 3";
const SELECT_ENTRY: &str = "SELECT book, body FROM entry WHERE seq = ?1";
pub(super) const SELECT_BALANCES: &str = "SELECT account, posted, pending FROM balance ORDER BY account";
pub(super) const SELECT_ALL_OPEN: &str = "SELECT attempt, book, body FROM open_attempt ORDER BY attempt";
pub(super) const SELECT_OPEN_AFTER: &str =
    "SELECT attempt, book, body FROM open_attempt WHERE attempt > ?1 ORDER BY attempt LIMIT ?2";
pub(super) const SELECT_ROLLUPS: &str = "SELECT key, hour, provider, model, attempts, succeeded, estimated, \
     cost, charged, input, cache_read, cache_write_5m, cache_write_1h, input_audio, output, reasoning, \
     output_audio, web_search, tool_prompt, output_image, input_image, images, images_given, characters, \
     seconds, seconds_made, pages, calls, file_search, map_search, code_sessions \
     FROM rollup WHERE key BETWEEN ?1 AND ?2 AND hour >= ?3 AND hour < ?4 \
     ORDER BY key, provider, model, hour";

/// [`SELECT_ROLLUPS`] added up, by key, provider and model.
pub(super) const SELECT_USAGE_BY_MODEL: &str = "SELECT key, 0, provider, model, sum(attempts), sum(succeeded), \
     sum(estimated), sum(cost), sum(charged), sum(input), sum(cache_read), sum(cache_write_5m), \
     sum(cache_write_1h), sum(input_audio), sum(output), sum(reasoning), sum(output_audio), sum(web_search), \
     sum(tool_prompt), sum(output_image), sum(input_image), sum(images), sum(images_given), sum(characters), \
     sum(seconds), sum(seconds_made), sum(pages), sum(calls), sum(file_search), sum(map_search), \
     sum(code_sessions) \
     FROM rollup WHERE key BETWEEN ?1 AND ?2 AND hour >= ?3 AND hour < ?4 \
     GROUP BY key, provider, model ORDER BY key, provider, model";

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// SQLite said no: locked, full, read-only, gone. It may say yes later.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file system said no.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// A row is not what it must be.
    #[error("{0}")]
    Corrupt(String),
    /// The writer panicked, which is a bug; its transaction is rolled back.
    #[error("the ledger's writer panicked")]
    Panicked,
}

impl From<Injected> for StoreError {
    fn from(injected: Injected) -> Self {
        Self::File(std::io::Error::other(injected))
    }
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Corrupt { what },
            other => Self::Unavailable { reason: other.to_string() },
        }
    }
}

pub(super) fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

pub(super) fn attempt_column(attempt: AttemptId) -> [u8; 16] {
    attempt.get().to_be_bytes()
}

/// Refunds of attempts and of top-ups stand in one table: those of attempts under the attempt, those of top-ups
/// under the command's id, which is a byte longer.
pub(super) fn top_up_column(id: u128) -> [u8; 17] {
    CommandId { id, act: Act::Fund }.to_bytes()
}

pub(super) fn read_attempt(bytes: &[u8]) -> Result<AttemptId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| corrupt("an attempt's id is not 16 bytes long"))?;
    Ok(AttemptId::from_u128(u128::from_be_bytes(bytes)))
}

/// Ids of accounts, keys and names use at most 63 bits.
pub(super) fn id_column(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// The last row that the tables show, and the last row of the journal.
pub(super) fn find_folded(db: &Connection) -> Result<(u64, u64), StoreError> {
    let mut statement = db.prepare_cached(SELECT_FOLDED)?;
    let (folded, last): (i64, i64) = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((u64::try_from(folded).unwrap_or_default(), u64::try_from(last).unwrap_or_default()))
}

/// What is known under a command's id, and the first row that it wrote.
pub(super) fn find_command(db: &Connection, id: CommandId) -> Result<Option<(PayloadHash, i64)>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_COMMAND)?;
    let found = statement.query_row([id.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.map(|(payload, seq)| (PayloadHash(payload), seq)))
}

pub(super) fn find_balance(db: &Connection, account: AccountId) -> Result<Balance, StoreError> {
    let mut statement = db.prepare_cached(SELECT_BALANCE)?;
    let found = statement.query_row([id_column(account.get())], |row| {
        Ok(Balance { posted: Quantity::new(row.get(0)?), pending: Quantity::new(row.get(1)?) })
    });
    Ok(found.optional()?.unwrap_or_default())
}

pub(super) fn claim_column(claim: ClaimId) -> [u8; 16] {
    claim.get().to_be_bytes()
}

pub(super) fn find_holder(db: &Connection, claim: ClaimId) -> Result<Option<Holder>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_CLAIM)?;
    let mut rows = statement.query([claim_column(claim)])?;
    rows.next()?.map(|row| Ok(read_holder(row)?.1)).transpose()
}

/// The columns `id, attempt, payload, until, standing`.
pub(super) fn read_holder(row: &Row<'_>) -> Result<(ClaimId, Holder), StoreError> {
    let id = row.get(0).map(u128::from_be_bytes).map_err(corrupt)?;
    let attempt = row.get(1).map(u128::from_be_bytes).map_err(corrupt)?;
    let standing = Standing::from_code(row.get(4).map_err(corrupt)?);
    let holder = Holder {
        attempt: AttemptId::from_u128(attempt),
        payload: PayloadHash(row.get(2).map_err(corrupt)?),
        until: Timestamp::from_micros(row.get(3).map_err(corrupt)?),
        standing: standing.ok_or_else(|| corrupt("a claim stands in no way that is known"))?,
    };
    Ok((ClaimId::from_u128(id), holder))
}

pub(super) fn find_intent(db: &Connection, attempt: AttemptId) -> Result<Option<Intent>, StoreError> {
    let mut statement = db.prepare_cached(SELECT_OPEN)?;
    let mut rows = statement.query([attempt_column(attempt)])?;
    rows.next()?.map(|row| read_intent(row.get_ref(0)?.as_i64(), row.get_ref(1)?.as_blob())).transpose()
}

/// An open attempt, from the body of the row that opened it.
pub(super) fn read_intent<E>(book: Result<i64, E>, body: Result<&[u8], E>) -> Result<Intent, StoreError> {
    match read_entry(book, body)?.fact {
        Fact::Reserved { intent, .. } => Ok(intent),
        _ => Err(corrupt("an open attempt was opened by something else than a reservation")),
    }
}

pub(super) fn read_entry<E>(book: Result<i64, E>, body: Result<&[u8], E>) -> Result<Entry, StoreError> {
    let (Ok(book), Ok(body)) = (book, body) else { return Err(corrupt("a row's columns have other types")) };
    let book = u8::try_from(book).ok().and_then(Book::from_code);
    let book = book.ok_or_else(|| corrupt("a row names a book that does not exist"))?;
    decode(book, body).map_err(corrupt)
}

/// An ended attempt, from the rows that its commands wrote.
pub(super) fn find_ended(db: &Connection, attempt: AttemptId) -> Result<Option<Ended>, StoreError> {
    let Some((_, opened)) = find_command(db, CommandId::of(attempt, Act::Reserve))? else { return Ok(None) };
    let Some((_, ended)) = find_command(db, CommandId::of(attempt, Act::End))? else { return Ok(None) };
    let late = find_command(db, CommandId::of(attempt, Act::Late))?.map(|(_, seq)| seq);

    let mut statement = db.prepare_cached(SELECT_ENTRY)?;
    let mut rows = statement.query([opened])?;
    let row = rows.next()?.ok_or_else(|| corrupt(format!("row {opened} is missing")))?;
    let intent = read_intent(row.get_ref(0)?.as_i64(), row.get_ref(1)?.as_blob())?;

    // An end and its usage are neighbours; an overage may stand between them.
    let mut statement = db.prepare_cached(SELECT_ENTRIES)?;
    let mut rows = statement.query([late.unwrap_or(ended)])?;
    let (mut settlement, mut used) = (None, None);
    while let Some(row) = rows.next()? {
        match read_entry(row.get_ref(0)?.as_i64(), row.get_ref(1)?.as_blob())?.fact {
            Fact::Ended { attempt: of, settlement: s, .. }
            | Fact::Late { attempt: of, settlement: s, .. }
                if of == attempt && settlement.is_none() =>
            {
                settlement = Some(s);
            }
            Fact::Used { attempt: of, used: u, .. } if of == attempt && used.is_none() => used = Some(u),
            _ => {}
        }
    }
    let (Some(settlement), Some(used)) = (settlement, used) else {
        return Err(corrupt(format!("the end of attempt {attempt} is incomplete")));
    };
    let refunded = find_refunded(db, &attempt_column(attempt))?;
    Ok(Some(Ended { intent, settlement, used, late: late.is_some(), refunded }))
}

/// How much of an original was given back; see [`top_up_column`].
fn find_refunded(db: &Connection, original: &[u8]) -> Result<NanoUsd, StoreError> {
    let mut statement = db.prepare_cached(SELECT_REFUNDED)?;
    let refunded = statement.query_row([original], |row| row.get(0)).optional()?;
    Ok(NanoUsd::new(refunded.unwrap_or(0)))
}

/// A top-up, from the row that its command wrote.
pub(super) fn find_top_up(db: &Connection, id: u128) -> Result<Option<TopUp>, StoreError> {
    let Some((_, seq)) = find_command(db, CommandId { id, act: Act::Fund })? else { return Ok(None) };
    let mut statement = db.prepare_cached(SELECT_ENTRY)?;
    let mut rows = statement.query([seq])?;
    let row = rows.next()?.ok_or_else(|| corrupt(format!("row {seq} is missing")))?;
    let entry = read_entry(row.get_ref(0)?.as_i64(), row.get_ref(1)?.as_blob())?;
    let Fact::Funded { tenant, funding: Funding::TopUp(amount), .. } = entry.fact else { return Ok(None) };
    let refunded = find_refunded(db, &top_up_column(id))?;
    Ok(Some(TopUp { book: entry.book, tenant, amount, refunded }))
}

/// The columns of [`ADD_ROLLUP`], in order.
pub(super) fn rollup_columns(key: &RollupKey, rollup: &Rollup) -> [i64; 9 + Bucket::ALL.len()] {
    let mut columns = [0; 9 + Bucket::ALL.len()];
    let (head, counts) = columns.split_at_mut(9);
    head.copy_from_slice(&[
        id_column(key.key.get()),
        key.hour,
        id_column(key.provider.get()),
        id_column(key.model.get()),
        rollup.attempts,
        rollup.succeeded,
        rollup.estimated,
        rollup.cost.get(),
        rollup.charged.get(),
    ]);
    counts.copy_from_slice(&rollup.counts);
    columns
}

/// The columns of [`SELECT_ROLLUPS`], in order.
pub(super) fn read_rollup(row: &Row<'_>) -> rusqlite::Result<(RollupKey, Rollup)> {
    let id = |at| row.get::<_, i64>(at).map(|id| u64::try_from(id).unwrap_or_default());
    let key = RollupKey {
        key: KeyId::from_bits(id(0)?),
        hour: row.get(1)?,
        provider: weighbridge_ledger::EntityId::from_bits(id(2)?),
        model: weighbridge_ledger::EntityId::from_bits(id(3)?),
    };
    let mut rollup = Rollup {
        attempts: row.get(4)?,
        succeeded: row.get(5)?,
        estimated: row.get(6)?,
        cost: NanoUsd::new(row.get(7)?),
        charged: NanoUsd::new(row.get(8)?),
        ..Rollup::default()
    };
    for (at, count) in rollup.counts.iter_mut().enumerate() {
        *count = row.get(9 + at)?;
    }
    Ok((key, rollup))
}

pub(super) fn read_balance(row: &Row<'_>) -> Result<(AccountId, Balance), StoreError> {
    let bits: i64 = row.get(0)?;
    let account = u64::try_from(bits).ok().and_then(AccountId::from_bits);
    let account = account.ok_or_else(|| corrupt(format!("{bits} is no account")))?;
    Ok((account, Balance { posted: Quantity::new(row.get(1)?), pending: Quantity::new(row.get(2)?) }))
}

pub(super) fn read_hash(bytes: &[u8]) -> Result<RowHash, StoreError> {
    bytes.try_into().map(RowHash).map_err(|_| corrupt("a hash is not 32 bytes long"))
}
