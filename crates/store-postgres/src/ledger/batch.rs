//! After deciding: the rows of a batch are gathered, take effect, and are written together.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;
use weighbridge_ledger::{
    AccountId, Book, ChainHead, ClaimId, Command, CommandId, Counters, EntityId, Entry, Fact, Holder, Intent,
    Name, PayloadHash, RollupKey, RowHash, Settlement, Standing, State, View, apply, encode,
};
use weighbridge_units::failpoint::pass;
use weighbridge_units::{AttemptId, Failpoint, NanoUsd, Timestamp};

use super::rows::{
    attempt_column, book_column, claim, claim_column, command_column, epoch_column, id_column, refund,
    standing_column,
};
use crate::error::DbError;
use crate::session::Session;

const INSERT_ENTRIES: &str = "INSERT INTO entry (seq, book, body, hash) \
     SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bytea[], $4::bytea[])";
const SET_SEQ: &str = "UPDATE journal SET seq = $1 WHERE single";
const SET_CHAINS: &str = "INSERT INTO chain (book, writer, seq, hash) \
     SELECT * FROM unnest($1::smallint[], $2::integer[], $3::bigint[], $4::bytea[]) \
     ON CONFLICT (book, writer) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
const INSERT_SEALS: &str = "INSERT INTO seal (seq, first) SELECT seq, $2 FROM unnest($1::bigint[]) AS seq";
const INSERT_COMMANDS: &str = "INSERT INTO command (id, payload, seq) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])";
const INSERT_OPEN: &str = "INSERT INTO open_attempt (attempt, writer, book, body) \
     SELECT * FROM unnest($1::bytea[], $2::integer[], $3::smallint[], $4::bytea[])";
const DELETE_OPEN: &str = "DELETE FROM open_attempt WHERE attempt = ANY($1)";
const SET_BALANCES: &str = "INSERT INTO balance (account, posted, pending) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
     ON CONFLICT (account) DO UPDATE SET posted = excluded.posted, pending = excluded.pending";
const RETIRE_CLAIMS: &str = "DELETE FROM claim WHERE until <= $1";
const SET_CLAIMS: &str = "INSERT INTO claim (id, attempt, payload, until, standing) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::smallint[]) \
     ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, payload = excluded.payload, \
     until = excluded.until, standing = excluded.standing";
const SET_STANDINGS: &str = "UPDATE claim SET standing = ended.standing \
     FROM unnest($1::bytea[], $2::bytea[], $3::smallint[]) AS ended (id, attempt, standing) \
     WHERE claim.id = ended.id AND claim.attempt = ended.attempt";
const ADD_REFUNDS: &str = "INSERT INTO refunded (original, amount) SELECT * FROM unnest($1::bytea[], $2::bigint[]) \
     ON CONFLICT (original) DO UPDATE SET amount = refunded.amount + excluded.amount";
/// Counts come as text, since an array of arrays would be one array. No sum overflows: that of a count takes millions
/// of attempts of the largest, and money is checked by its accounts (rule M4).
const ADD_ROLLUPS: &str = "INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, estimated, cost, \
     charged, counts) SELECT key, hour, provider, model, attempts, succeeded, estimated, cost, charged, \
     counts::bigint[] FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
     $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[]) AS added (key, hour, provider, model, \
     attempts, succeeded, estimated, cost, charged, counts) \
     ON CONFLICT (key, hour, provider, model) DO UPDATE SET attempts = rollup.attempts + excluded.attempts, \
     succeeded = rollup.succeeded + excluded.succeeded, estimated = rollup.estimated + excluded.estimated, \
     cost = rollup.cost + excluded.cost, charged = rollup.charged + excluded.charged, \
     counts = ARRAY(SELECT coalesce(before, 0) + coalesce(more, 0) \
     FROM unnest(rollup.counts, excluded.counts) WITH ORDINALITY AS sums (before, more, at) ORDER BY at)";
const INSERT_NAMES: &str = "INSERT INTO name (id, text) SELECT * FROM unnest($1::bigint[], $2::text[]) \
     ON CONFLICT (id) DO NOTHING";

/// Every statement of this file.
pub(super) const STATEMENTS: [&str; 14] = [
    INSERT_ENTRIES,
    SET_SEQ,
    SET_CHAINS,
    INSERT_SEALS,
    INSERT_COMMANDS,
    INSERT_OPEN,
    DELETE_OPEN,
    SET_BALANCES,
    RETIRE_CLAIMS,
    SET_CLAIMS,
    SET_STANDINGS,
    ADD_REFUNDS,
    ADD_ROLLUPS,
    INSERT_NAMES,
];

/// The last row of each of a writer's chains, by book.
pub(super) type Heads = [Option<ChainHead>; Book::ALL.len()];

/// What a transaction is going to write.
pub(super) struct Batch {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) heads: Heads,
    pub(super) counters: Counters,
    rows: Vec<StoredEntry>,
    seals: Vec<i64>,
    commands: Vec<(CommandId, PayloadHash, u64)>,
    /// Attempts that are opened, and do not end in the same batch.
    pub(super) opened: HashMap<AttemptId, (Intent, Book, Vec<u8>)>,
    /// Attempts that end, and were opened before.
    pub(super) ended: Vec<AttemptId>,
    /// By what is given back, as the table names it.
    refunds: HashMap<Vec<u8>, NanoUsd>,
    /// Idempotency claims that are made.
    claims: HashMap<ClaimId, Holder>,
    /// What becomes of claims that were made before.
    standings: HashMap<(ClaimId, AttemptId), Standing>,
    /// Claims that end by then are no more, but for those that are made behind it.
    retired: Option<Timestamp>,
    moved: Vec<AccountId>,
    pub(super) names: HashMap<EntityId, String>,
}

struct StoredEntry {
    seq: u64,
    book: Book,
    body: Vec<u8>,
    hash: RowHash,
}

impl Batch {
    /// After the row `last_seq`, with the writer's chains as they end there.
    pub(super) fn new(last_seq: u64, heads: Heads, counters: Counters) -> Self {
        Self {
            first_seq: last_seq + 1,
            last_seq,
            heads,
            counters,
            rows: Vec::new(),
            seals: Vec::new(),
            commands: Vec::new(),
            opened: HashMap::new(),
            ended: Vec::new(),
            refunds: HashMap::new(),
            claims: HashMap::new(),
            standings: HashMap::new(),
            retired: None,
            moved: Vec::new(),
            names: HashMap::new(),
        }
    }

    /// Adds the rows of one command, and lets them take effect on what is at hand.
    pub(super) fn add(&mut self, state: &mut State, entries: Vec<Entry>) {
        for entry in entries {
            let (seq, book) = (self.last_seq + 1, entry.book);
            self.last_seq = seq;
            let mut body = Vec::with_capacity(256);
            encode(&entry, &mut body);
            let head = self.heads.get_mut(book as usize);
            let previous =
                head.as_ref().and_then(|head| head.as_ref()).map_or(RowHash::GENESIS, |head| head.hash);
            let hash = RowHash::of(previous, seq, book, &body);
            if let Some(head) = head {
                *head = Some(ChainHead { book, writer: entry.writer, seq, hash });
            }
            apply(state, &entry);
            self.note(seq, &entry, &body);
            self.rows.push(StoredEntry { seq, book, body, hash });
        }
    }

    /// What a row changes beside the journal, but for the sums, which the state has.
    fn note(&mut self, seq: u64, entry: &Entry, body: &[u8]) {
        self.moved.extend(entry.transfers.iter().flat_map(|t| [t.debit, t.credit]));
        if let Some((id, payload)) = claim(&entry.fact) {
            self.commands.push((id, payload, seq));
        }
        if let Some((original, amount)) = refund(&entry.fact) {
            let sum = self.refunds.entry(original).or_default();
            *sum = sum.plus(amount).unwrap_or(NanoUsd::MAX);
        }
        let counters = &mut self.counters;
        match &entry.fact {
            Fact::Reserved { attempt, intent, .. } => {
                counters.reserved += 1;
                self.opened.insert(*attempt, (intent.clone(), entry.book, body.to_vec()));
                if let Some(claim) = &intent.claim {
                    self.claims.insert(claim.id, Holder::new(*attempt, claim));
                }
            }
            Fact::Ended { attempt, settlement, claim, .. } => {
                counters.ended += 1;
                if self.opened.remove(attempt).is_none() {
                    self.ended.push(*attempt);
                }
                self.stand(*claim, *attempt, settlement);
            }
            Fact::Late { attempt, settlement, claim, .. } => {
                counters.late += 1;
                self.stand(*claim, *attempt, settlement);
            }
            Fact::Overage { .. } => counters.overages += 1,
            Fact::Sealed { .. } => {
                self.seals.push(id_column(seq));
                self.retired = self.retired.max(Some(entry.at));
                self.claims.retain(|_, holder| entry.at < holder.until);
            }
            Fact::Refunded { .. } | Fact::Funded { .. } | Fact::Used { .. } => {}
        }
    }

    /// What an end makes of the claim of its attempt.
    fn stand(&mut self, claim: Option<ClaimId>, attempt: AttemptId, settlement: &Settlement) {
        let Some(id) = claim else { return };
        let standing = Standing::after(settlement.outcome);
        match self.claims.get_mut(&id) {
            Some(holder) if holder.attempt == attempt => holder.standing = standing,
            _ => drop(self.standings.insert((id, attempt), standing)),
        }
    }

    /// Makes the names known that a command mentions.
    pub(super) fn name_all(&mut self, command: &Command) {
        match command {
            Command::Reserve(reserve) => {
                for name in [&reserve.tenant, &reserve.provider, &reserve.model, &reserve.price_version] {
                    self.name(name);
                }
            }
            Command::End(end) => self.name(&end.facts.reason),
            Command::Adjust(adjust) => self.name(&adjust.reason),
            Command::Fund(fund) => {
                for name in [&fund.tenant, &fund.reason, &fund.actor] {
                    self.name(name);
                }
            }
            Command::Seal(_) => {}
        }
    }

    /// Makes a name known.
    pub(super) fn name(&mut self, name: &Name) {
        // The database's texts cannot hold this character, and one name must not hold up the rest.
        self.names.entry(name.id()).or_insert_with(|| name.as_str().replace('\0', "\u{fffd}"));
    }

    /// Writes everything and commits, in one round trip. Each statement is on the wire before the first answer is
    /// looked at; one that fails takes those behind it along, the commit included.
    pub(super) async fn commit(&self, session: &Session, state: &mut State) -> Result<(), DbError> {
        let Columns { entries, chains, commands, opened, refunds, claims, standings } = self.columns();
        let retired = self.retired.unwrap_or_default().as_micros();
        let seq = id_column(self.last_seq);
        let first = id_column(self.first_seq);
        let ended: Vec<_> = self.ended.iter().copied().map(attempt_column).collect();
        let balances = self.balances(state);
        let rollups = RollupColumns::new(state.take_rollups());
        let (name_ids, name_texts): (Vec<_>, Vec<_>) =
            self.names.iter().map(|(id, text)| (id_column(id.get()), text.as_str())).unzip();

        let has_rows = !self.rows.is_empty();
        futures::try_join!(
            write(session, has_rows, INSERT_ENTRIES, [&entries.0, &entries.1, &entries.2, &entries.3]),
            write(session, has_rows, SET_SEQ, [&seq]),
            write(session, has_rows, SET_CHAINS, [&chains.0, &chains.1, &chains.2, &chains.3]),
            write(session, !self.seals.is_empty(), INSERT_SEALS, [&self.seals, &first]),
            write(session, !commands.0.is_empty(), INSERT_COMMANDS, [&commands.0, &commands.1, &commands.2]),
            write(session, !opened.0.is_empty(), INSERT_OPEN, [&opened.0, &opened.1, &opened.2, &opened.3]),
            write(session, !ended.is_empty(), DELETE_OPEN, [&ended]),
            write(session, !balances.0.is_empty(), SET_BALANCES, [&balances.0, &balances.1, &balances.2]),
            write(session, self.retired.is_some(), RETIRE_CLAIMS, [&retired]),
            write(
                session,
                !claims.0.is_empty(),
                SET_CLAIMS,
                [&claims.0, &claims.1, &claims.2, &claims.3, &claims.4]
            ),
            write(
                session,
                !standings.0.is_empty(),
                SET_STANDINGS,
                [&standings.0, &standings.1, &standings.2]
            ),
            write(session, !refunds.0.is_empty(), ADD_REFUNDS, [&refunds.0, &refunds.1]),
            write(session, !rollups.counts.is_empty(), ADD_ROLLUPS, rollups.values()),
            write(session, !name_ids.is_empty(), INSERT_NAMES, [&name_ids, &name_texts]),
            async { Ok(pass(Failpoint::PostgresWritten)?) },
            session.run("COMMIT"),
        )?;
        Ok(())
    }

    fn balances(&self, state: &State) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
        let mut moved = self.moved.clone();
        moved.sort_unstable();
        moved.dedup();
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for account in moved {
            let balance = state.balance(account);
            columns.0.push(id_column(account.get()));
            columns.1.push(balance.posted.get());
            columns.2.push(balance.pending.get());
        }
        columns
    }

    fn columns(&self) -> Columns<'_> {
        let mut columns = Columns::default();
        for row in &self.rows {
            let entries = &mut columns.entries;
            entries.0.push(id_column(row.seq));
            entries.1.push(book_column(row.book));
            entries.2.push(&row.body);
            entries.3.push(&row.hash.0);
        }
        for head in self.heads.iter().flatten() {
            let chains = &mut columns.chains;
            chains.0.push(book_column(head.book));
            chains.1.push(epoch_column(head.writer));
            chains.2.push(id_column(head.seq));
            chains.3.push(&head.hash.0);
        }
        for (id, payload, seq) in &self.commands {
            let commands = &mut columns.commands;
            commands.0.push(command_column(*id));
            commands.1.push(&payload.0);
            commands.2.push(id_column(*seq));
        }
        for (attempt, (intent, book, body)) in &self.opened {
            let opened = &mut columns.opened;
            opened.0.push(attempt_column(*attempt));
            opened.1.push(epoch_column(intent.writer));
            opened.2.push(book_column(*book));
            opened.3.push(body);
        }
        for (id, holder) in &self.claims {
            let claims = &mut columns.claims;
            claims.0.push(claim_column(*id));
            claims.1.push(attempt_column(holder.attempt));
            claims.2.push(&holder.payload.0);
            claims.3.push(holder.until.as_micros());
            claims.4.push(standing_column(holder.standing));
        }
        for ((id, attempt), standing) in &self.standings {
            let standings = &mut columns.standings;
            standings.0.push(claim_column(*id));
            standings.1.push(attempt_column(*attempt));
            standings.2.push(standing_column(*standing));
        }
        for (original, amount) in &self.refunds {
            columns.refunds.0.push(original.clone());
            columns.refunds.1.push(amount.get());
        }
        columns
    }
}

/// What goes into the statements, a column at a time.
#[expect(clippy::type_complexity, reason = "a vector for each column")]
#[derive(Default)]
struct Columns<'a> {
    entries: (Vec<i64>, Vec<i16>, Vec<&'a [u8]>, Vec<&'a [u8]>),
    chains: (Vec<i16>, Vec<i32>, Vec<i64>, Vec<&'a [u8]>),
    commands: (Vec<Vec<u8>>, Vec<&'a [u8]>, Vec<i64>),
    opened: (Vec<Vec<u8>>, Vec<i32>, Vec<i16>, Vec<&'a [u8]>),
    refunds: (Vec<Vec<u8>>, Vec<i64>),
    claims: (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<&'a [u8]>, Vec<i64>, Vec<i16>),
    standings: (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<i16>),
}

struct RollupColumns {
    /// All columns of whole numbers, in the order of the statement.
    numbers: [Vec<i64>; 9],
    counts: Vec<String>,
}

impl RollupColumns {
    fn new(rollups: Vec<(RollupKey, weighbridge_ledger::Rollup)>) -> Self {
        let mut columns = Self { numbers: Default::default(), counts: Vec::new() };
        for (key, rollup) in rollups {
            let numbers = [
                id_column(key.key.get()),
                key.hour,
                id_column(key.provider.get()),
                id_column(key.model.get()),
                rollup.attempts,
                rollup.succeeded,
                rollup.estimated,
                rollup.cost.get(),
                rollup.charged.get(),
            ];
            columns.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number));
            let counts: Vec<_> = rollup.counts.iter().map(i64::to_string).collect();
            columns.counts.push(format!("{{{}}}", counts.join(",")));
        }
        columns
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 10] {
        let [key, hour, provider, model, attempts, succeeded, estimated, cost, charged] = &self.numbers;
        [key, hour, provider, model, attempts, succeeded, estimated, cost, charged, &self.counts]
    }
}

/// Puts a statement on the wire with the first poll, unless there is nothing to write.
async fn write<const N: usize>(
    session: &Session,
    has_rows: bool,
    sql: &'static str,
    values: [&(dyn ToSql + Sync); N],
) -> Result<(), DbError> {
    if has_rows {
        session.client.execute(session.prepared(sql)?, &values).await?;
    }
    Ok(())
}
