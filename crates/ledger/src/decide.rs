use weighbridge_units::{AttemptId, AttemptOutcome, Bucket, NanoUsd, Provenance, Usage};

use crate::charging::{Counted, charge, charge_accounts, cost_account};
use crate::claim::may_claim;
use crate::codec::{adjust_payload, end_payload, reserve_payload};
use crate::funding::{funded, funding_accounts};
use crate::state::fits;
use crate::{
    AccountId, AccountKind, Act, Adjust, Billing, Book, Command, CommandId, End, EndFacts, Ended, EntityId,
    Entry, Epoch, Fact, Hold, Intent, MAX_HOLDS, Measure, PayloadHash, Phase, Quantity, Refusal, Reserve,
    Seal, Settlement, Transfer, Used, View,
};

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was carried out before; there is nothing to do.
    Repeated,
    /// These rows are to be written, all of them or none.
    Commit(Vec<Entry>),
}

/// Counts above this are no usage but a mistake (rule M2): they are cut to it, and flagged.
pub const MAX_COUNT: u64 = (1 << 40) - 1;

/// The accounts that a command may look at or move, in order of their ids.
///
/// `intent` is that of the attempt which the command names, where it is known. A store that shares its
/// accounts with other writers locks them in this order.
pub fn touches(command: &Command, intent: Option<&Intent>) -> Vec<AccountId> {
    let mut accounts = match command {
        Command::Reserve(reserve) => {
            let mut accounts = Vec::with_capacity(2 * reserve.holds.len() + 2);
            let book = reserve.billing.book();
            accounts.push(AccountId::new(book, AccountKind::Receivable, reserve.tenant.id()));
            accounts.push(AccountId::new(book, AccountKind::Sales, EntityId::NONE));
            touch_holds(&reserve.holds, &mut accounts);
            accounts
        }
        Command::End(End { facts, .. }) => intent.map_or_else(Vec::new, |intent| {
            let mut accounts = Vec::with_capacity(2 * intent.holds.len() + 8);
            touch_charge(intent, &mut accounts);
            let crash = charge(intent.billing, &EndFacts::crashed(facts.at, intent.estimate));
            accounts.extend(cost_account(intent.billing, &charge(intent.billing, facts)));
            accounts.extend(cost_account(intent.billing, &crash));
            accounts.push(AccountId::new(Book::Platform, AccountKind::Payable, intent.provider));
            accounts.push(AccountId::new(Book::Usage, AccountKind::Consumed, EntityId::of_key(intent.key)));
            accounts.push(AccountId::new(Book::Usage, AccountKind::Upstream, intent.provider));
            accounts
        }),
        Command::Adjust(_) => intent.map_or_else(Vec::new, |intent| {
            let mut accounts = Vec::with_capacity(2 * intent.holds.len() + 2);
            touch_charge(intent, &mut accounts);
            accounts
        }),
        Command::Fund(fund) => funding_accounts(fund).into(),
        Command::Seal(_) => Vec::new(),
    };
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

fn touch_charge(intent: &Intent, accounts: &mut Vec<AccountId>) {
    let (receivable, sales) = charge_accounts(intent);
    accounts.extend([receivable, sales]);
    touch_holds(&intent.holds, accounts);
}

fn touch_holds(holds: &[Hold], accounts: &mut Vec<AccountId>) {
    accounts.extend(holds.iter().flat_map(|hold| [hold.account, control(hold)]));
}

/// What a command comes to, given what it touches. Pure: every store gives the same answer.
///
/// # Errors
/// A [`Refusal`]: nothing may be changed.
pub fn decide(view: &impl View, writer: Epoch, command: &Command) -> Result<Decision, Refusal> {
    let entries = match command {
        Command::Reserve(reserve) => reserved(view, writer, reserve)?,
        Command::End(end) => ended(view, writer, end)?,
        Command::Adjust(adjust) => adjusted(view, writer, adjust)?,
        Command::Fund(fund) => funded(view, writer, fund)?,
        Command::Seal(seal) => Some(sealed(writer, seal)),
    };
    checked(view, entries)
}

/// No balance may overflow (rule M4).
fn checked(view: &impl View, entries: Option<Vec<Entry>>) -> Result<Decision, Refusal> {
    match entries {
        None => Ok(Decision::Repeated),
        Some(entries) if fits(view, &entries) => Ok(Decision::Commit(entries)),
        Some(_) => Err(Refusal::Overflow),
    }
}

/// As [`decide`] for an end whose caller does not wait for the answer: the end of an open attempt is entered
/// whatever it says, so that no reservation is ever left behind.
///
/// An end that contradicts itself, or does not fit into a balance, is entered as a crash at the attempt's
/// estimate; where even that does not fit, at no cost.
///
/// # Errors
/// The [`Refusal`] of the end, where its attempt is not open.
pub fn decide_end(view: &impl View, writer: Epoch, end: &End) -> Result<Decision, Refusal> {
    let decide = |end: &End| ended(view, writer, end).and_then(|entries| checked(view, entries));
    let mut decision = decide(end);
    if let Some(intent) = view.intent(end.attempt) {
        for estimate in [intent.estimate, NanoUsd::ZERO] {
            if decision.is_err() {
                decision =
                    decide(&End { attempt: end.attempt, facts: EndFacts::crashed(end.facts.at, estimate) });
            }
        }
    }
    decision
}

fn reserved(view: &impl View, writer: Epoch, reserve: &Reserve) -> Result<Option<Vec<Entry>>, Refusal> {
    let attempt = reserve.attempt;
    let payload = reserve_payload(reserve);
    if let Some(claimed) = view.claim(CommandId::of(attempt, Act::Reserve)) {
        // R1: a repetition may be dispatched only while the intent that it repeats is open, and ours.
        return match view.intent(attempt) {
            _ if claimed != payload => Err(Refusal::Conflict),
            Some(intent) if intent.writer == writer => Ok(None),
            Some(_) => Err(Refusal::StaleEpoch),
            None => Err(Refusal::AlreadyEnded),
        };
    }
    valid_reserve(reserve)?;
    if let Some(claim) = &reserve.claim {
        may_claim(view, claim, reserve.at)?;
    }
    let intent = Intent {
        writer,
        at: reserve.at,
        expires: reserve.expires,
        key: reserve.key,
        tenant: reserve.tenant.id(),
        provider: reserve.provider.id(),
        model: reserve.model.id(),
        price_version: reserve.price_version.id(),
        billing: reserve.billing,
        amount: reserve.amount,
        tokens: reserve.tokens.min(MAX_COUNT),
        estimate: reserve.estimate,
        credit_limit: reserve.credit_limit,
        claim: reserve.claim.clone(),
        holds: reserve.holds.clone(),
    };
    let reserved = Counted::reserved(&intent);
    for hold in &intent.holds {
        has_room(view, hold, reserved.of(hold.measure()))?;
    }
    may_owe(view, &intent)?;
    let transfers = charge_transfers(&intent, Phase::Pend, reserved).collect();
    let book = intent.billing.book();
    let fact = Fact::Reserved { attempt, payload, intent };
    Ok(Some(vec![Entry { book, writer, at: reserve.at, fact, transfers }]))
}

fn valid_reserve(reserve: &Reserve) -> Result<(), Refusal> {
    if reserve.amount.is_negative() || reserve.estimate.is_negative() {
        return Err(Refusal::Invalid("an amount is below zero"));
    }
    if reserve.holds.len() > MAX_HOLDS {
        return Err(Refusal::Invalid("more than 16 holds"));
    }
    if reserve.billing == Billing::House && (reserve.credit_limit.is_some() || reserve.claim.is_some()) {
        return Err(Refusal::Invalid("what the installation does for itself has a credit limit or a claim"));
    }
    let book = reserve.billing.book();
    for (at, hold) in reserve.holds.iter().enumerate() {
        if !hold.account.kind().is_budget() || hold.account.book() != book {
            return Err(Refusal::Invalid("a hold is no budget of the book that is charged"));
        }
        if reserve.holds.iter().skip(at + 1).any(|other| other.account == hold.account) {
            return Err(Refusal::Invalid("two holds on one budget"));
        }
    }
    Ok(())
}

/// posted + pending + needed ≤ limit (rule R3). A limit of zero blocks also what costs nothing (rule M7).
fn has_room(view: &impl View, hold: &Hold, needed: Quantity) -> Result<(), Refusal> {
    let Some(limit) = hold.limit else { return Ok(()) };
    let available = available(view, hold.account, limit)?;
    // After an overage (R5) less than nothing is available, so that not even what is free has room.
    if limit == Quantity::ZERO || available < needed {
        let pending = view.balance(hold.account).pending;
        return Err(Refusal::Budget { account: hold.account, available, needed, pending });
    }
    Ok(())
}

/// As [`has_room`], for what the tenant may owe. To have spent all of a wallet is not to be blocked from what
/// costs nothing.
fn may_owe(view: &impl View, intent: &Intent) -> Result<(), Refusal> {
    let Some(limit) = intent.credit_limit else { return Ok(()) };
    let (receivable, _) = charge_accounts(intent);
    let available = available(view, receivable, limit.into())?.usd();
    match available < intent.amount {
        true => Err(Refusal::Wallet { available, needed: intent.amount }),
        false => Ok(()),
    }
}

/// What a limit leaves, after what is posted and pending.
fn available(view: &impl View, account: AccountId, limit: Quantity) -> Result<Quantity, Refusal> {
    let balance = view.balance(account);
    let used = balance.posted.plus(balance.pending).ok_or(Refusal::Overflow)?;
    limit.minus(used).ok_or(Refusal::Overflow)
}

fn ended(view: &impl View, writer: Epoch, end: &End) -> Result<Option<Vec<Entry>>, Refusal> {
    let attempt = end.attempt;
    let payload = end_payload(end);
    if let Some(ended) = view.ended(attempt) {
        return late(view, writer, end, payload, ended);
    }
    let intent = view.intent(attempt).ok_or(Refusal::UnknownAttempt)?;
    valid_end(&end.facts)?;
    let settlement = charge(intent.billing, &end.facts);
    let book = intent.billing.book();
    let entry = |fact, transfers| Entry { book, writer, at: end.facts.at, fact, transfers };

    // R5: truth wins. What exceeds the reservation is posted in full, in a row of its own.
    let reserved = Counted::reserved(intent);
    let counted = Counted::charged(intent.billing, &settlement, &bounded(&end.facts.usage));
    let (within, beyond) = counted.split(reserved);
    let transfers = charge_transfers(intent, Phase::Release, reserved)
        .chain(charge_transfers(intent, Phase::Post, within))
        .chain(cost_transfer(intent, &settlement))
        .collect();
    let mut entries = Vec::with_capacity(3);
    let claim = intent.claim.as_ref().map(|claim| claim.id);
    entries.push(entry(Fact::Ended { attempt, payload, settlement, claim }, transfers));
    let overage: Vec<_> = charge_transfers(intent, Phase::Post, beyond).collect();
    if !overage.is_empty() {
        let counts = |measure| intent.holds.iter().any(|hold| hold.measure() == measure);
        let tokens = if counts(Measure::Tokens) { beyond.tokens } else { 0 };
        let is_owed = intent.billing != Billing::House;
        let excess = if is_owed || counts(Measure::Usd) { beyond.usd } else { NanoUsd::ZERO };
        entries.push(entry(Fact::Overage { attempt, excess, tokens }, overage));
    }
    entries.push(used_entry(writer, intent, end, &settlement, None));
    Ok(Some(entries))
}

fn valid_end(facts: &EndFacts) -> Result<(), Refusal> {
    match facts.price.is_negative() || facts.cost.is_negative() {
        true => Err(Refusal::Invalid("a price or cost is below zero")),
        false => Ok(()),
    }
}

/// R7: the truth about an attempt that was entered as crashed replaces that entry, once. Any other
/// second end is refused (rule R2).
fn late(
    view: &impl View,
    writer: Epoch,
    end: &End,
    payload: PayloadHash,
    ended: &Ended,
) -> Result<Option<Vec<Entry>>, Refusal> {
    let attempt = end.attempt;
    let repeats = |act| view.claim(CommandId::of(attempt, act)) == Some(payload);
    if repeats(Act::End) || repeats(Act::Late) {
        return Ok(None);
    }
    let first_was_crash = ended.settlement.outcome == AttemptOutcome::Crashed && !ended.late;
    // A provider's figures for a crash are news; another guess is not.
    let is_guess =
        end.facts.outcome == AttemptOutcome::Crashed && end.facts.provenance == Provenance::Estimated;
    if !first_was_crash || is_guess {
        return Err(Refusal::AlreadyEnded);
    }
    valid_end(&end.facts)?;
    let intent = &ended.intent;
    let claim = intent.claim.as_ref().map(|claim| claim.id);
    let mut settlement = charge(intent.billing, &end.facts);
    let mut charged = Counted::charged(intent.billing, &settlement, &bounded(&end.facts.usage));
    // L4: another attempt has carried out meanwhile what was asked for, and is what the tenant pays for.
    let holder = claim.and_then(|id| view.holder(id)).filter(|holder| end.facts.at < holder.until);
    if holder.is_some_and(|holder| holder.attempt != attempt) {
        settlement.charged = NanoUsd::ZERO;
        charged = Counted::money(NanoUsd::ZERO);
    }
    let transfers = cost_transfer(intent, &ended.settlement)
        .map(Transfer::reversed)
        .into_iter()
        .chain(charge_transfers(intent, Phase::Post, charged))
        .chain(cost_transfer(intent, &settlement))
        .collect();
    let fact = Fact::Late { attempt, payload, settlement, claim };
    let entry = Entry { book: intent.billing.book(), writer, at: end.facts.at, fact, transfers };
    Ok(Some(vec![entry, used_entry(writer, intent, end, &settlement, Some(&ended.used))]))
}

/// The row of the usage book: what the attempt used upstream, whoever pays for it.
fn used_entry(
    writer: Epoch,
    intent: &Intent,
    end: &End,
    settlement: &Settlement,
    replaces: Option<&Used>,
) -> Entry {
    let facts = &end.facts;
    let used = Used {
        outcome: facts.outcome,
        usage: bounded(&facts.usage),
        provenance: facts.provenance,
        cost: facts.cost,
        exact: facts.exact,
        charged: settlement.charged,
    };
    let consumed = AccountId::new(Book::Usage, AccountKind::Consumed, EntityId::of_key(intent.key));
    let upstream = AccountId::new(Book::Usage, AccountKind::Upstream, intent.provider);
    let post = |amount: NanoUsd| transfer(Phase::Post, consumed, upstream, Quantity::from(amount));
    let transfers = replaces
        .and_then(|replaced| post(replaced.cost))
        .map(Transfer::reversed)
        .into_iter()
        .chain(post(facts.cost))
        .collect();
    let replaces = replaces.map(|replaced| Box::new(*replaced));
    let fact = Fact::Used { attempt: end.attempt, rollup: intent.rollup(), used, replaces };
    Entry { book: Book::Usage, writer, at: facts.at, fact, transfers }
}

/// Counts that no provider can mean are cut and flagged, so that sums stay sums (rules M2, M5).
fn bounded(usage: &Usage) -> Usage {
    let mut bounded = *usage;
    for bucket in Bucket::ALL {
        if usage.get(bucket) > MAX_COUNT {
            bounded.set(bucket, MAX_COUNT);
            bounded.flag_contradiction();
        }
    }
    bounded
}

fn adjusted(view: &impl View, writer: Epoch, adjust: &Adjust) -> Result<Option<Vec<Entry>>, Refusal> {
    let attempt = adjust.attempt;
    let payload = adjust_payload(adjust);
    match view.claim(CommandId { id: adjust.id, act: Act::Refund }) {
        Some(claimed) if claimed == payload => return Ok(None),
        Some(_) => return Err(Refusal::Conflict),
        None => {}
    }
    if adjust.refund <= NanoUsd::ZERO {
        return Err(Refusal::Invalid("a refund must be above zero"));
    }
    let ended = match view.ended(attempt) {
        Some(ended) => ended,
        None if view.intent(attempt).is_some() => return Err(Refusal::Invalid("the attempt has not ended")),
        None => return Err(Refusal::UnknownAttempt),
    };
    let left = ended.settlement.charged.minus(ended.refunded).map_err(|_| Refusal::Overflow)?;
    if adjust.refund > left {
        return Err(Refusal::RefundTooLarge { left });
    }
    let intent = &ended.intent;
    // The money returns. What was counted in tokens and requests was used all the same.
    let given_back = Counted::money(adjust.refund);
    let transfers = charge_transfers(intent, Phase::Post, given_back).map(Transfer::reversed).collect();
    let fact = Fact::Refunded {
        attempt,
        id: adjust.id,
        payload,
        rollup: intent.rollup(),
        amount: adjust.refund,
        reason: adjust.reason.id(),
    };
    Ok(Some(vec![Entry { book: intent.billing.book(), writer, at: adjust.at, fact, transfers }]))
}

fn sealed(writer: Epoch, seal: &Seal) -> Vec<Entry> {
    let of = |book| -> Vec<_> { seal.heads.iter().copied().filter(|head| head.book == book).collect() };
    Book::ALL
        .into_iter()
        .map(|book| (book, of(book)))
        .filter(|(_, heads)| !heads.is_empty())
        .map(|(book, heads)| Entry {
            book,
            writer,
            at: seal.at,
            fact: Fact::Sealed { heads },
            transfers: Vec::new(),
        })
        .collect()
}

/// What an attempt counts for, on every account that a charge moves: what the tenant owes, if any does, and each
/// budget.
fn charge_transfers(intent: &Intent, phase: Phase, counted: Counted) -> impl Iterator<Item = Transfer> + '_ {
    let owed = (intent.billing != Billing::House).then(|| charge_accounts(intent));
    let budgets = intent.holds.iter().map(|hold| (hold.account, control(hold)));
    owed.into_iter()
        .chain(budgets)
        .filter_map(move |(debit, credit)| transfer(phase, debit, credit, counted.of(debit.measure())))
}

fn cost_transfer(intent: &Intent, settlement: &Settlement) -> Option<Transfer> {
    let payable = AccountId::new(Book::Platform, AccountKind::Payable, intent.provider);
    let bearer = cost_account(intent.billing, settlement)?;
    transfer(Phase::Post, bearer, payable, settlement.cost.into())
}

/// A transfer, unless it moves nothing.
fn transfer(phase: Phase, debit: AccountId, credit: AccountId, amount: Quantity) -> Option<Transfer> {
    (amount > Quantity::ZERO).then_some(Transfer { phase, debit, credit, amount })
}

impl Transfer {
    /// The transfer that undoes this one.
    fn reversed(self) -> Self {
        Self { debit: self.credit, credit: self.debit, ..self }
    }
}

fn control(hold: &Hold) -> AccountId {
    AccountId::new(hold.account.book(), AccountKind::budget_control(hold.measure()), EntityId::NONE)
}

/// The attempt that a command is about.
impl Command {
    /// The attempt that the command names; a store makes known what it knows of it before deciding.
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Reserve(reserve) => Some(reserve.attempt),
            Self::End(end) => Some(end.attempt),
            Self::Adjust(adjust) => Some(adjust.attempt),
            Self::Fund(_) | Self::Seal(_) => None,
        }
    }
}
