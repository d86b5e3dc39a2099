//! Before deciding: what a batch looks at is made known, in as few round trips as it takes.

use std::collections::{HashMap, HashSet};

use futures::future::try_join4;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use weighbridge_ledger::{
    AccountId, Act, Balance, ClaimId, Command, CommandId, Ended, Fact, Funding, Intent, State, TopUp, View,
    touches,
};
use weighbridge_units::{AttemptId, NanoUsd};

use super::rows::{
    attempt_column, claim_column, column, command_column, id_column, read_attempt, read_balance,
    read_command, read_entry, read_holder, read_intent, read_payload, top_up_column,
};
use crate::error::DbError;
use crate::session::Session;

pub(super) const SELECT_COMMANDS: &str = "SELECT id, payload, seq FROM command WHERE id = ANY($1)";
pub(super) const SELECT_OPEN: &str = "SELECT attempt, book, body FROM open_attempt WHERE attempt = ANY($1)";
pub(super) const SELECT_BALANCES: &str =
    "SELECT account, posted, pending FROM balance WHERE account = ANY($1)";
pub(super) const SELECT_ENTRIES: &str =
    "SELECT seq, book, body FROM entry WHERE seq = $1 OR seq BETWEEN $2 AND $2 + 2 ORDER BY seq";
pub(super) const SELECT_CLAIMS: &str =
    "SELECT id, attempt, payload, until, standing FROM claim WHERE id = ANY($1)";
pub(super) const SELECT_REFUNDED: &str = "SELECT amount FROM refunded WHERE original = $1";

/// Every statement of this file.
pub(super) const STATEMENTS: [&str; 6] =
    [SELECT_COMMANDS, SELECT_OPEN, SELECT_BALANCES, SELECT_ENTRIES, SELECT_CLAIMS, SELECT_REFUNDED];

/// What a batch has looked at, and what its entries made of it.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) state: State,
    claims: HashSet<CommandId>,
    attempts: HashSet<AttemptId>,
    top_ups: HashSet<u128>,
    holders: HashSet<ClaimId>,
    /// Attempts whose rows cannot be read: nothing can be decided on them, and others go on.
    pub(super) corrupt: HashMap<AttemptId, String>,
}

/// What is to be asked for next.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    claims: Vec<CommandId>,
    attempts: Vec<AttemptId>,
    accounts: Vec<AccountId>,
    top_ups: Vec<u128>,
    holders: Vec<ClaimId>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        let Self { claims, attempts, accounts, top_ups, holders } = self;
        claims.is_empty()
            && attempts.is_empty()
            && accounts.is_empty()
            && top_ups.is_empty()
            && holders.is_empty()
    }
}

/// The answers to what was wanted.
pub(super) struct Found {
    claims: Vec<Row>,
    attempts: Vec<Row>,
    balances: Vec<Row>,
    holders: Vec<Row>,
}

impl Loaded {
    /// What these commands look at and is not known yet. `own`: attempts that are certainly open.
    pub(super) fn wanted<'a>(
        &mut self,
        commands: impl Iterator<Item = &'a Command>,
        own: &HashMap<AttemptId, Intent>,
    ) -> Wanted {
        let mut wanted = Wanted::default();
        for command in commands {
            self.want(command, own, &mut wanted);
        }
        wanted.accounts.sort_unstable();
        wanted.accounts.dedup();
        wanted
    }

    fn want(&mut self, command: &Command, own: &HashMap<AttemptId, Intent>, wanted: &mut Wanted) {
        if let Command::Fund(fund) = command {
            self.want_claim(CommandId { id: fund.id, act: Act::Fund }, wanted);
            if let Funding::Refund { of, .. } = fund.funding
                && self.state.top_up(of).is_none()
                && self.top_ups.insert(of)
            {
                wanted.top_ups.push(of);
            }
            self.want_accounts(touches(command, None), wanted);
        }
        let Some(attempt) = command.attempt() else { return };
        let mut is_known = self.state.intent(attempt).is_some() || self.state.ended(attempt).is_some();
        if !is_known && let Some(intent) = own.get(&attempt) {
            self.state.load_intent(attempt, intent.clone());
            is_known = true;
        }
        match command {
            Command::Reserve(reserve) => {
                self.want_holder(reserve.claim.as_ref().map(|claim| claim.id), wanted);
                let claim = CommandId::of(attempt, Act::Reserve);
                self.want_claim(claim, wanted);
                if !is_known && self.state.claim(claim).is_some() {
                    self.want_attempt(attempt, wanted);
                }
            }
            Command::End(_) if !is_known => self.want_history(attempt, wanted),
            Command::Adjust(adjust) => {
                self.want_claim(CommandId { id: adjust.id, act: Act::Refund }, wanted);
                if !is_known {
                    self.want_history(attempt, wanted);
                }
            }
            // Only what comes late looks at whose the claim is by now.
            Command::End(_) => {
                let ended = self.state.ended(attempt);
                let claim = ended.and_then(|ended| Some(ended.intent.claim.as_ref()?.id));
                self.want_holder(claim, wanted);
            }
            Command::Fund(_) | Command::Seal(_) => {}
        }
        self.want_accounts(touches(command, self.intent(attempt)), wanted);
    }

    fn want_accounts(&self, touched: Vec<AccountId>, wanted: &mut Wanted) {
        wanted.accounts.extend(touched.into_iter().filter(|account| !self.state.knows(*account)));
    }

    fn want_history(&mut self, attempt: AttemptId, wanted: &mut Wanted) {
        self.want_attempt(attempt, wanted);
        for act in [Act::Reserve, Act::End, Act::Late] {
            self.want_claim(CommandId::of(attempt, act), wanted);
        }
    }

    fn want_attempt(&mut self, attempt: AttemptId, wanted: &mut Wanted) {
        if self.attempts.insert(attempt) {
            wanted.attempts.push(attempt);
        }
    }

    fn want_holder(&mut self, claim: Option<ClaimId>, wanted: &mut Wanted) {
        let Some(claim) = claim else { return };
        if self.state.holder(claim).is_none() && self.holders.insert(claim) {
            wanted.holders.push(claim);
        }
    }

    fn want_claim(&mut self, claim: CommandId, wanted: &mut Wanted) {
        if self.state.claim(claim).is_none() && self.claims.insert(claim) {
            wanted.claims.push(claim);
        }
    }

    /// What an attempt was opened as, whether it has ended or not.
    fn intent(&self, attempt: AttemptId) -> Option<&Intent> {
        self.state.intent(attempt).or_else(|| self.state.ended(attempt).map(|ended| &ended.intent))
    }

    /// Takes the answers in.
    pub(super) async fn absorb(
        &mut self,
        session: &Session,
        wanted: &Wanted,
        found: Found,
    ) -> Result<(), DbError> {
        for row in &found.claims {
            self.state.load_claim(read_command(column(row, 0)?)?, read_payload(column(row, 1)?)?);
        }
        for row in &found.attempts {
            let attempt = read_attempt(column(row, 0)?)?;
            match read_intent(column(row, 1)?, column(row, 2)?) {
                Ok(intent) => self.state.load_intent(attempt, intent),
                Err(error) => drop(self.corrupt.insert(attempt, error.to_string())),
            }
        }
        for account in &wanted.accounts {
            self.state.load_balance(*account, Balance::default());
        }
        for row in &found.balances {
            let (account, balance) = read_balance(row)?;
            self.state.load_balance(account, balance);
        }
        for attempt in &wanted.attempts {
            let has_ended = self.state.claim(CommandId::of(*attempt, Act::End)).is_some();
            if has_ended && self.intent(*attempt).is_none() {
                match find_ended(session, *attempt).await {
                    Ok(Some(ended)) => self.state.load_ended(*attempt, ended),
                    Ok(None) => {}
                    Err(DbError::Corrupt(what)) => drop(self.corrupt.insert(*attempt, what)),
                    Err(error) => return Err(error),
                }
            }
        }
        for row in &found.holders {
            let (claim, holder) = read_holder(row)?;
            self.state.load_holder(claim, holder);
        }
        for id in &wanted.top_ups {
            if let Some(top_up) = find_top_up(session, *id).await? {
                self.state.load_top_up(*id, top_up);
            }
        }
        Ok(())
    }

    /// Asks until nothing is wanted any more.
    pub(super) async fn load<'a>(
        &mut self,
        session: &Session,
        commands: impl Iterator<Item = &'a Command> + Clone,
        own: &HashMap<AttemptId, Intent>,
    ) -> Result<(), DbError> {
        loop {
            let wanted = self.wanted(commands.clone(), own);
            if wanted.is_empty() {
                return Ok(());
            }
            let found = fetch(session, &wanted).await?;
            self.absorb(session, &wanted, found).await?;
        }
    }
}

/// Asks for what is wanted, all at once.
pub(super) async fn fetch(session: &Session, wanted: &Wanted) -> Result<Found, DbError> {
    let claims: Vec<_> = wanted.claims.iter().copied().map(command_column).collect();
    let attempts: Vec<_> = wanted.attempts.iter().copied().map(attempt_column).collect();
    let accounts: Vec<_> = wanted.accounts.iter().map(|account| id_column(account.get())).collect();
    let holders: Vec<_> = wanted.holders.iter().copied().map(claim_column).collect();
    let (claims, attempts, balances, holders) = try_join4(
        find_all(session, SELECT_COMMANDS, &claims),
        find_all(session, SELECT_OPEN, &attempts),
        find_all(session, SELECT_BALANCES, &accounts),
        find_all(session, SELECT_CLAIMS, &holders),
    )
    .await?;
    Ok(Found { claims, attempts, balances, holders })
}

async fn find_all<T: ToSql + Sync>(
    session: &Session,
    sql: &'static str,
    ids: &Vec<T>,
) -> Result<Vec<Row>, DbError>
where
    Vec<T>: ToSql,
{
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(session.client.query(session.prepared(sql)?, &[ids]).await?)
}

/// An ended attempt, from the rows that its commands wrote.
pub(super) async fn find_ended(session: &Session, attempt: AttemptId) -> Result<Option<Ended>, DbError> {
    let ids: Vec<_> =
        [Act::Reserve, Act::End, Act::Late].map(|act| command_column(CommandId::of(attempt, act))).into();
    let (mut opened, mut ended, mut late) = (None, None, None);
    for row in session.ask(SELECT_COMMANDS, &[&ids]).await? {
        let seq: i64 = column(&row, 2)?;
        match read_command(column(&row, 0)?)?.act {
            Act::Reserve => opened = Some(seq),
            Act::End => ended = Some(seq),
            Act::Late => late = Some(seq),
            _ => {}
        }
    }
    let (Some(opened), Some(ended)) = (opened, ended) else { return Ok(None) };

    // An end and its usage are neighbours; an overage may stand between them.
    let (mut intent, mut settlement, mut used) = (None, None, None);
    for row in session.ask(SELECT_ENTRIES, &[&opened, &late.unwrap_or(ended)]).await? {
        match read_entry(column(&row, 1)?, column(&row, 2)?)?.fact {
            Fact::Reserved { attempt: of, intent: it, .. } if of == attempt => intent = Some(it),
            Fact::Ended { attempt: of, settlement: it, .. }
            | Fact::Late { attempt: of, settlement: it, .. }
                if of == attempt && settlement.is_none() =>
            {
                settlement = Some(it);
            }
            Fact::Used { attempt: of, used: it, .. } if of == attempt && used.is_none() => used = Some(it),
            _ => {}
        }
    }
    let (Some(intent), Some(settlement), Some(used)) = (intent, settlement, used) else {
        return Err(DbError::corrupt(format!("the rows of attempt {attempt} are incomplete")));
    };
    let refunded = find_refunded(session, &attempt_column(attempt)).await?;
    Ok(Some(Ended { intent, settlement, used, late: late.is_some(), refunded }))
}

/// How much of an original was given back; see [`refund`](super::rows::refund).
async fn find_refunded(session: &Session, original: &[u8]) -> Result<NanoUsd, DbError> {
    let refunded = session.ask(SELECT_REFUNDED, &[&original]).await?;
    refunded.first().map_or(Ok(0), |row| column(row, 0)).map(NanoUsd::new)
}

/// A top-up, from the row that its command wrote.
async fn find_top_up(session: &Session, id: u128) -> Result<Option<TopUp>, DbError> {
    let original = top_up_column(id);
    let found = session.ask(SELECT_COMMANDS, &[&vec![&original]]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let seq: i64 = column(row, 2)?;
    let rows = session.ask(SELECT_ENTRIES, &[&seq, &seq]).await?;
    let row = rows.first().ok_or_else(|| DbError::corrupt(format!("row {seq} is missing")))?;
    let entry = read_entry(column(row, 1)?, column(row, 2)?)?;
    let Fact::Funded { tenant, funding: Funding::TopUp(amount), .. } = entry.fact else { return Ok(None) };
    let refunded = find_refunded(session, &original).await?;
    Ok(Some(TopUp { book: entry.book, tenant, amount, refunded }))
}
