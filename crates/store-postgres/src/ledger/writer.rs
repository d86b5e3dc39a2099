//! The one who writes: loads what a batch touches, decides, and commits it in one transaction.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, try_join};
use weighbridge_ledger::{
    ChainHead, Command, Counters, Decision, End, EndFacts, EntityId, Epoch, Intent, LedgerError, Name,
    Refusal, Seal, decide, decide_end,
};
use weighbridge_units::failpoint::pass;
use weighbridge_units::{AttemptId, Failpoint, Timestamp};

use super::batch::{self, Batch, Heads};
use super::load::{self, Found, Loaded, Wanted, fetch};
use super::presence::Presence;
use super::queue::Answer;
use super::rows::{
    column, epoch_column, id_column, read_attempt, read_epoch, read_head, read_intent, read_number,
};
use crate::error::DbError;
use crate::session::{Connector, Session, within};

/// How long a commit may take, waiting for those of other instances included.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);
/// An instance that stops in the middle of a transaction holds all others up for as long. And every statement finds
/// its rows by an index: what is planned while the tables are still empty would else read them whole until the server
/// learns better. Nothing is compiled for it: the costs that keep the server from reading tables whole would have it
/// do so, which takes longer than any of these statements.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '5s'; \
     SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
/// Whoever has this row is the only one who writes. What the statements behind it read was committed before.
const LOCK: &str = "SELECT seq FROM journal WHERE single FOR UPDATE";
const IS_OPEN: &str = "SELECT closed IS NULL FROM writer WHERE epoch = $1";
const OWN_CHAINS: &str = "SELECT book, writer, seq, hash FROM chain WHERE writer = $1";
const OPEN_EPOCH: &str =
    "INSERT INTO writer (host, presence, backend) VALUES ($1, $2, pg_backend_pid()) RETURNING epoch";
const CLOSE_EPOCH: &str = "UPDATE writer SET closed = now() WHERE epoch = $1 AND closed IS NULL";
const CLOSE_DEAD: &str = "UPDATE writer SET closed = now() WHERE closed IS NULL \
     AND (epoch, beat) IN (SELECT * FROM unnest($1::integer[], $2::bigint[]))";
const LEFT_OPEN: &str = "SELECT attempt, book, body FROM open_attempt \
     WHERE writer IN (SELECT epoch FROM writer WHERE closed IS NOT NULL) AND attempt > $1 ORDER BY attempt LIMIT $2";
const LAST_SEAL: &str = "SELECT coalesce(max(seq), 0), coalesce(max(first), 0) FROM seal";
/// Chains that may still grow, or grew since the last seals.
const GROWING: &str = "SELECT book, writer, seq, hash FROM chain WHERE seq >= $1 \
     OR writer IN (SELECT epoch FROM writer WHERE closed IS NULL) ORDER BY book, writer";

/// Every statement of this file that is prepared.
pub(super) const STATEMENTS: [&str; 9] =
    [LOCK, IS_OPEN, OWN_CHAINS, OPEN_EPOCH, CLOSE_EPOCH, CLOSE_DEAD, LEFT_OPEN, LAST_SEAL, GROWING];

/// Writes the journal. Whatever it remembers is dropped when a commit fails.
pub(super) struct Writer {
    connector: Arc<Connector>,
    presence: Arc<Presence>,
    session: Option<Session>,
    epoch: Option<Epoch>,
    /// Where our chains end; `None`: look again.
    heads: Option<Heads>,
    /// Attempts that we opened and have not ended: for as long as our epoch is open, nobody else ends them.
    own: HashMap<AttemptId, Intent>,
    /// Names that are in the database.
    names: HashSet<EntityId>,
    counters: Counters,
}

/// A transaction that has the journal's lock.
struct Begun {
    batch: Batch,
    loaded: Loaded,
    epoch: Epoch,
    /// Whether the epoch before this one had been declared dead.
    stale: bool,
}

impl Writer {
    /// Names that are remembered at most; more than that, and remembering starts anew.
    const NAMES: usize = 100_000;

    pub(super) fn new(connector: Arc<Connector>, presence: Arc<Presence>) -> Self {
        Self {
            connector,
            presence,
            session: None,
            epoch: None,
            heads: None,
            own: HashMap::new(),
            names: HashSet::new(),
            counters: Counters::default(),
        }
    }

    /// What has happened since the ledger was opened.
    pub(super) const fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) const fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Carries out commands in one commit. Afterwards the answers stand in the order of the commands.
    ///
    /// # Errors
    /// Nothing was written, or it is unknown whether it was; the same commands may be given again.
    pub(super) async fn commit(&mut self, commands: &[Option<Command>]) -> Result<Vec<Answer>, DbError> {
        // Who waits for those before has nothing to be written.
        if commands.iter().all(Option::is_none) && !commands.is_empty() {
            return Ok(commands.iter().map(|_| Ok(())).collect());
        }
        let committed =
            AssertUnwindSafe(within(COMMIT_WITHIN, self.try_commit(commands))).catch_unwind().await;
        self.remember(committed.unwrap_or(Err(DbError::Panicked)))
    }

    /// What failed leaves nothing behind that could be wrong: the connection goes, and with it the transaction, if
    /// it was not committed, and everything that was remembered.
    fn remember<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        match &done {
            Ok(_) => self.counters.commits += 1,
            Err(_) => {
                self.counters.failed_commits += 1;
                self.session = None;
                self.heads = None;
                self.own.clear();
                self.names.clear();
            }
        }
        done
    }

    async fn try_commit(&mut self, commands: &[Option<Command>]) -> Result<Vec<Answer>, DbError> {
        let mut begun = self.begin(commands).await?;
        let answers = self.carry_out(&mut begun, commands).await?;
        self.confirm(begun).await?;
        Ok(answers)
    }

    async fn connected(&mut self) -> Result<(), DbError> {
        if self.session.as_ref().is_some_and(|session| !session.client.is_closed()) {
            return Ok(());
        }
        let mut session = self.connector.connect().await?;
        let statements = [&STATEMENTS[..], &load::STATEMENTS[..], &batch::STATEMENTS[..]].concat();
        session.prepare_all(&statements).await?;
        self.session = Some(session);
        self.heads = None;
        Ok(())
    }

    fn session(&self) -> Result<&Session, DbError> {
        self.session.as_ref().ok_or(DbError::Ended)
    }

    /// Takes the lock as an epoch that is open, and loads what the commands are known to look at meanwhile.
    async fn begin(&mut self, commands: &[Option<Command>]) -> Result<Begun, DbError> {
        self.connected().await?;
        let mut stale = false;
        loop {
            let epoch = self.open_epoch().await?;
            let mut loaded = Loaded::default();
            let wanted = loaded.wanted(commands.iter().flatten(), &self.own);
            let (seq, is_open, heads, found) = self.lock(epoch, &wanted).await?;
            if is_open {
                self.heads = Some(heads);
                loaded.absorb(self.session()?, &wanted, found).await?;
                pass(Failpoint::PostgresBegun)?;
                let batch = Batch::new(seq, heads, self.counters);
                return Ok(Begun { batch, loaded, epoch, stale });
            }
            self.session()?.run("ROLLBACK").await?;
            stale = true;
            self.epoch = None;
        }
    }

    /// One round trip: the transaction begins, waits for its turn, and reads.
    async fn lock(&self, epoch: Epoch, wanted: &Wanted) -> Result<(u64, bool, Heads, Found), DbError> {
        let session = self.session()?;
        let epoch = epoch_column(epoch);
        let (lock, is_open) = (session.prepared(LOCK)?, session.prepared(IS_OPEN)?);
        let client = &session.client;
        let ((), seq, open, heads, found) = try_join!(
            session.run(BEGIN),
            async { Ok(client.query_one(lock, &[]).await?) },
            async { Ok(client.query_opt(is_open, &[&epoch]).await?) },
            self.find_heads(session, epoch),
            fetch(session, wanted),
        )?;
        let open = open.map_or(Ok(false), |row| column(&row, 0))?;
        Ok((read_number(column(&seq, 0)?)?, open, heads, found))
    }

    /// Where our chains end.
    async fn find_heads(&self, session: &Session, epoch: i32) -> Result<Heads, DbError> {
        if let Some(heads) = self.heads {
            return Ok(heads);
        }
        let mut heads = Heads::default();
        for row in session.client.query(session.prepared(OWN_CHAINS)?, &[&epoch]).await? {
            let head = read_head(&row)?;
            if let Some(place) = heads.get_mut(head.book as usize) {
                *place = Some(head);
            }
        }
        Ok(heads)
    }

    /// Our epoch; a new one where we have none, whose chains have no rows yet.
    pub(super) async fn open_epoch(&mut self) -> Result<Epoch, DbError> {
        self.connected().await?;
        if let Some(epoch) = self.epoch {
            return Ok(epoch);
        }
        let (host, name) = (self.presence.host(), self.presence.name());
        let opened = self.session()?.ask(OPEN_EPOCH, &[&host, &name]).await?;
        let row = opened.first().ok_or_else(|| DbError::corrupt("no epoch was opened"))?;
        let epoch = read_epoch(column(row, 0)?)?;
        pass(Failpoint::PostgresEpoch)?;
        self.heads = None;
        self.own.clear();
        self.epoch = Some(epoch);
        Ok(epoch)
    }

    async fn carry_out(
        &mut self,
        begun: &mut Begun,
        commands: &[Option<Command>],
    ) -> Result<Vec<Answer>, DbError> {
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            answers.push(match command {
                None => Ok(()),
                Some(command) => self.decide(begun, command).await?,
            });
        }
        Ok(answers)
    }

    async fn decide(&self, begun: &mut Begun, command: &Command) -> Result<Answer, DbError> {
        let Begun { batch, loaded, epoch, stale } = begun;
        if *stale && !matches!(command, Command::End(_)) {
            return Ok(Err(Refusal::StaleEpoch.into()));
        }
        // What the commands before it left open to ask; mostly nothing.
        loaded.load(self.session()?, std::iter::once(command), &self.own).await?;
        let corrupt = command.attempt().and_then(|attempt| loaded.corrupt.get(&attempt));
        let decided = match (corrupt, command) {
            (Some(what), _) => Err(LedgerError::Corrupt { what: what.clone() }),
            (None, Command::End(end)) => decide_end(&loaded.state, *epoch, end).map_err(LedgerError::from),
            (None, command) => decide(&loaded.state, *epoch, command).map_err(LedgerError::from),
        };
        let answer = decided.map(|decision| {
            if let Decision::Commit(entries) = decision {
                batch.name_all(command);
                batch.add(&mut loaded.state, entries);
            }
        });
        if let (Command::End(end), Err(error)) = (command, &answer) {
            batch.counters.rejected_ends += 1;
            tracing::warn!(attempt = %end.attempt, %error, "an end was not entered");
        }
        Ok(answer)
    }

    /// Commits, and only then remembers what was done.
    async fn confirm(&mut self, begun: Begun) -> Result<(), DbError> {
        let Begun { mut batch, mut loaded, .. } = begun;
        batch.names.retain(|id, _| !self.names.contains(id));
        batch.commit(self.session()?, &mut loaded.state).await?;
        pass(Failpoint::PostgresCommitted)?;
        self.counters = batch.counters;
        self.heads = Some(batch.heads);
        if self.names.len() > Self::NAMES {
            self.names.clear();
        }
        self.names.extend(batch.names.into_keys());
        self.own.extend(batch.opened.into_iter().map(|(attempt, (intent, ..))| (attempt, intent)));
        for attempt in &batch.ended {
            self.own.remove(attempt);
        }
        Ok(())
    }

    /// Marks writers closed that were found dead, as long as they have given no sign since. Says how many were.
    pub(super) async fn close_dead(&mut self, dead: &[(Epoch, i64)]) -> Result<u64, DbError> {
        let closed = within(COMMIT_WITHIN, self.try_close_dead(dead)).await;
        self.remember(closed)
    }

    async fn try_close_dead(&mut self, dead: &[(Epoch, i64)]) -> Result<u64, DbError> {
        let begun = self.begin(&[]).await?;
        let (epochs, beats): (Vec<_>, Vec<_>) =
            dead.iter().map(|(epoch, beat)| (epoch_column(*epoch), *beat)).unzip();
        let session = self.session()?;
        let closed = session.client.execute(session.prepared(CLOSE_DEAD)?, &[&epochs, &beats]).await?;
        self.confirm(begun).await?;
        Ok(closed)
    }

    /// Ends what closed writers left open, among the next `limit` attempts after `after`. Says how many, and where
    /// to go on.
    pub(super) async fn end_left_open(
        &mut self,
        after: &[u8],
        limit: i64,
        now: Timestamp,
    ) -> Result<(u64, Option<Vec<u8>>), DbError> {
        let ended = within(COMMIT_WITHIN * 4, self.try_end_left_open(after, limit, now)).await;
        self.remember(ended)
    }

    async fn try_end_left_open(
        &mut self,
        after: &[u8],
        limit: i64,
        now: Timestamp,
    ) -> Result<(u64, Option<Vec<u8>>), DbError> {
        // Looked for and ended in one transaction: somebody else may be doing the same.
        let mut begun = self.begin(&[]).await?;
        let (mut ends, mut last, mut intents) = (Vec::new(), None, HashMap::new());
        for row in self.session()?.ask(LEFT_OPEN, &[&after, &limit]).await? {
            let id: &[u8] = column(&row, 0)?;
            last = Some(id.to_vec());
            let attempt = read_attempt(id)?;
            let intent = read_intent(column(&row, 1)?, column(&row, 2)?)?;
            let facts = EndFacts::crashed(now, intent.estimate);
            intents.insert(attempt, intent);
            ends.push(Some(Command::End(End { attempt, facts })));
        }
        begun.loaded.load(self.session()?, ends.iter().flatten(), &intents).await?;
        let answers = self.carry_out(&mut begun, &ends).await?;
        self.confirm(begun).await?;
        Ok((answers.iter().filter(|answer| answer.is_ok()).count() as u64, last))
    }

    /// Links the chains, if anything was written since they were linked last.
    pub(super) async fn seal(&mut self, now: Timestamp) -> Result<(), DbError> {
        let sealed = within(COMMIT_WITHIN, self.try_seal(now)).await;
        self.remember(sealed)
    }

    async fn try_seal(&mut self, now: Timestamp) -> Result<(), DbError> {
        let mut begun = self.begin(&[]).await?;
        let session = self.session()?;
        let last = session.ask(LAST_SEAL, &[]).await?;
        let last = last.first().ok_or_else(|| DbError::corrupt("nothing is known of seals"))?;
        let (sealed, first): (i64, i64) = (column(last, 0)?, column(last, 1)?);
        if id_column(begun.batch.last_seq) != sealed {
            let rows = session.ask(GROWING, &[&first]).await?;
            let heads = rows.iter().map(read_head).collect::<Result<Vec<ChainHead>, _>>()?;
            let seal = [Some(Command::Seal(Seal { at: now, heads }))];
            for answer in self.carry_out(&mut begun, &seal).await? {
                answer.map_err(DbError::corrupt)?;
            }
            pass(Failpoint::PostgresSealed)?;
        }
        self.confirm(begun).await
    }

    /// Registers a name.
    pub(super) async fn name(&mut self, name: &Name) -> Result<(), DbError> {
        let named = within(COMMIT_WITHIN, async {
            let mut begun = self.begin(&[]).await?;
            begun.batch.name(name);
            self.confirm(begun).await
        });
        let named = named.await;
        self.remember(named)
    }

    /// Closes our epoch, when the ledger is closed in good order.
    pub(super) async fn close(&mut self) -> Result<(), DbError> {
        if self.epoch.is_none() {
            return Ok(());
        }
        let closed = within(COMMIT_WITHIN, async {
            let begun = self.begin(&[]).await?;
            self.session()?.ask(CLOSE_EPOCH, &[&epoch_column(begun.epoch)]).await?;
            self.confirm(begun).await
        });
        let closed = closed.await;
        self.epoch = None;
        self.remember(closed)
    }
}
