use std::collections::{BTreeMap, HashMap};

use weighbridge_units::{AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp};

use crate::{
    AccountId, AccountKind, Adjust, AttemptEntry, Balance, Billing, Book, ClaimId, End, EndFacts, EntityId,
    Fund, Funding, Hold, LedgerError, Measure, Quantity, Refusal, Reserve, Rollup, RollupKey,
};

/// What a store is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Done, now or before.
    Done,
    /// Refused by this budget.
    Budget(AccountId),
    /// Refused by the wallet.
    Wallet,
    /// Refused as [`Refusal::UnknownTopUp`].
    UnknownTopUp,
    /// Refused as [`Refusal::ClaimConflict`].
    ClaimConflict,
    /// Refused as [`Refusal::ClaimOpen`].
    ClaimOpen(AttemptId),
    /// Refused as [`Refusal::ClaimDone`].
    ClaimDone(AttemptId),
    /// Refused as [`Refusal::Conflict`].
    Conflict,
    /// Refused as [`Refusal::AlreadyEnded`].
    AlreadyEnded,
    /// Refused as [`Refusal::UnknownAttempt`].
    UnknownAttempt,
    /// Refused as [`Refusal::Overflow`].
    Overflow,
    /// Refused as [`Refusal::RefundTooLarge`].
    RefundTooLarge,
    /// Refused as [`Refusal::Invalid`].
    Invalid,
}

impl Expected {
    /// Whether an answer is the expected one.
    pub fn matches(self, answer: &Result<(), LedgerError>) -> bool {
        let refusal = match answer {
            Ok(()) => return self == Self::Done,
            Err(error) => error.refusal(),
        };
        let found = match refusal {
            Some(Refusal::Budget { account, .. }) => Self::Budget(account),
            Some(Refusal::Wallet { .. }) => Self::Wallet,
            Some(Refusal::UnknownTopUp) => Self::UnknownTopUp,
            Some(Refusal::ClaimConflict) => Self::ClaimConflict,
            Some(Refusal::ClaimOpen { attempt }) => Self::ClaimOpen(attempt),
            Some(Refusal::ClaimDone { attempt }) => Self::ClaimDone(attempt),
            Some(Refusal::Conflict) => Self::Conflict,
            Some(Refusal::AlreadyEnded) => Self::AlreadyEnded,
            Some(Refusal::UnknownAttempt) => Self::UnknownAttempt,
            Some(Refusal::Overflow) => Self::Overflow,
            Some(Refusal::RefundTooLarge { .. }) => Self::RefundTooLarge,
            Some(Refusal::Invalid(_)) => Self::Invalid,
            Some(_) | None => return false,
        };
        self == found
    }
}

/// What the books must be: a list of attempts, added up anew at every look, in numbers that cannot overflow.
///
/// Written from the rules alone; it shares no code with [`crate::decide`] and [`crate::apply`].
#[derive(Debug, Default)]
pub struct Model {
    attempts: HashMap<AttemptId, Attempt>,
    refunds: HashMap<u128, Adjust>,
    funds: HashMap<u128, Fund>,
    /// The attempt that was granted each claim last.
    claims: HashMap<ClaimId, AttemptId>,
    /// Sums over attempts that cannot change any more but by refunds or a late end.
    tally: HashMap<AccountId, (i128, i128)>,
}

/// The most that is counted in one bucket, or reserved in tokens.
const MOST: u64 = (1 << 40) - 1;

#[derive(Debug, Clone)]
struct Attempt {
    reserve: Reserve,
    /// As handed over; then what was entered, and whether it replaced a crash.
    ends: Vec<EndFacts>,
    refunded: i128,
    /// It was entered late, and somebody else had its claim by then.
    is_superseded: bool,
}

impl Attempt {
    fn ended(&self) -> Option<&EndFacts> {
        self.ends.last()
    }

    fn charged(&self) -> i128 {
        match self.ended() {
            Some(end) if self.is_paid() => i128::from(end.price.get()),
            _ => 0,
        }
    }

    fn is_paid(&self) -> bool {
        let paid = [AttemptOutcome::Success, AttemptOutcome::ClientLeft];
        let somebody_owes = self.reserve.billing != Billing::House;
        somebody_owes && !self.is_superseded && self.ended().is_some_and(|end| paid.contains(&end.outcome))
    }

    /// Whether budgets count it: whatever the tenant pays for; of what the installation does for itself, whatever is
    /// not lost.
    fn is_counted(&self) -> bool {
        match self.reserve.billing {
            Billing::House => self.ended().is_some_and(|end| end.outcome != AttemptOutcome::Crashed),
            _ => self.is_paid(),
        }
    }

    /// Tokens that budgets count.
    fn counted_tokens(&self) -> i128 {
        let Some(end) = self.ended().filter(|_| self.is_counted()) else { return 0 };
        let tokens = end.usage.iter().filter(|(bucket, _)| bucket.is_prompt() || bucket.is_answer());
        tokens.map(|(_, count)| i128::from(count.min(MOST))).sum()
    }

    /// What the attempt has done to each account by now: (account, posted, pending), debits positive.
    fn moves(&self) -> Vec<(AccountId, i128, i128)> {
        let Reserve { key, tenant, provider, billing, amount, tokens, holds, .. } = &self.reserve;
        let book = match billing {
            Billing::Platform | Billing::House => Book::Platform,
            Billing::OwnKey => Book::Surcharge,
        };
        let account = |book, kind, entity| AccountId::new(book, kind, entity);
        let (posted, pending) = match self.ended() {
            Some(_) => (self.charged() - self.refunded, 0),
            None => (0, i128::from(amount.get())),
        };
        let mut moves = Vec::new();
        if *billing != Billing::House {
            moves.push((account(book, AccountKind::Receivable, tenant.id()), posted, pending));
            moves.push((account(book, AccountKind::Sales, EntityId::NONE), -posted, -pending));
        }
        let used = match self.ended() {
            Some(end) if *billing == Billing::House && self.is_counted() => i128::from(end.cost.get()),
            _ => posted,
        };
        for hold in holds {
            let (control, posted, pending) = match (hold.account.kind(), self.ended()) {
                (AccountKind::BudgetTokens, Some(_)) => {
                    (AccountKind::BudgetTokensControl, self.counted_tokens(), 0)
                }
                (AccountKind::BudgetTokens, None) => {
                    (AccountKind::BudgetTokensControl, 0, i128::from((*tokens).min(MOST)))
                }
                (AccountKind::BudgetRequests, Some(_)) => {
                    (AccountKind::BudgetRequestsControl, i128::from(self.is_counted()), 0)
                }
                (AccountKind::BudgetRequests, None) => (AccountKind::BudgetRequestsControl, 0, 1),
                _ => (AccountKind::BudgetControl, used, pending),
            };
            moves.push((hold.account, posted, pending));
            moves.push((account(book, control, EntityId::NONE), -posted, -pending));
        }
        if let Some(end) = self.ended() {
            let cost = i128::from(end.cost.get());
            let absorbed =
                |reason: &str| account(Book::Platform, AccountKind::Absorbed, EntityId::of(reason));
            let bearer = match end.outcome {
                AttemptOutcome::Success | AttemptOutcome::ClientLeft => {
                    account(Book::Platform, AccountKind::CostOfSales, EntityId::NONE)
                }
                AttemptOutcome::TimedOut => absorbed("timeout"),
                AttemptOutcome::LostHedge => absorbed("hedge"),
                AttemptOutcome::Shadow => absorbed("shadow"),
                AttemptOutcome::Crashed => absorbed("crash"),
                _ => absorbed(end.reason.as_str()),
            };
            if *billing != Billing::OwnKey {
                moves.push((bearer, cost, 0));
                moves.push((account(Book::Platform, AccountKind::Payable, provider.id()), -cost, 0));
            }
            let key = EntityId::from_bits(key.get());
            moves.push((account(Book::Usage, AccountKind::Consumed, key), cost, 0));
            moves.push((account(Book::Usage, AccountKind::Upstream, provider.id()), -cost, 0));
        }
        moves
    }
}

impl Model {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a reservation comes to; it is carried out if it comes to something.
    pub fn reserve(&mut self, reserve: &Reserve) -> Expected {
        if let Some(known) = self.attempts.get(&reserve.attempt) {
            return match known.ended() {
                _ if known.reserve != *reserve => Expected::Conflict,
                None => Expected::Done,
                Some(_) => Expected::AlreadyEnded,
            };
        }
        let book = match reserve.billing {
            Billing::Platform | Billing::House => Book::Platform,
            Billing::OwnKey => Book::Surcharge,
        };
        if reserve.billing == Billing::House && (reserve.credit_limit.is_some() || reserve.claim.is_some()) {
            return Expected::Invalid;
        }
        let mut seen = Vec::new();
        for hold in &reserve.holds {
            if hold.account.book() != book || seen.contains(&hold.account) {
                return Expected::Invalid;
            }
            seen.push(hold.account);
        }
        if reserve.amount.get() < 0 || reserve.estimate.get() < 0 {
            return Expected::Invalid;
        }
        if let Some(refused) = self.claimed(reserve) {
            return refused;
        }
        for hold in &reserve.holds {
            let (posted, pending) = self.balance(hold.account);
            if let Some(limit) = hold.limit {
                let left = i128::from(limit.get()) - posted - pending;
                if !fits(posted + pending) || !fits(left) {
                    return Expected::Overflow;
                }
                let needed = match hold.account.measure() {
                    Measure::Usd => i128::from(reserve.amount.get()),
                    Measure::Tokens => i128::from(reserve.tokens.min(MOST)),
                    Measure::Requests => 1,
                };
                if limit.get() == 0 || left < 0 || left < needed {
                    return Expected::Budget(hold.account);
                }
            }
        }
        if let Some(limit) = reserve.credit_limit {
            let (posted, pending) =
                self.balance(AccountId::new(book, AccountKind::Receivable, reserve.tenant.id()));
            let left = i128::from(limit.get()) - posted - pending;
            if !fits(posted + pending) || !fits(left) {
                return Expected::Overflow;
            }
            if left < i128::from(reserve.amount.get()) {
                return Expected::Wallet;
            }
        }
        let attempt =
            Attempt { reserve: reserve.clone(), ends: Vec::new(), refunded: 0, is_superseded: false };
        if !self.change(None, Some(&attempt)) {
            return Expected::Overflow;
        }
        self.attempts.insert(reserve.attempt, attempt);
        if let Some(claim) = &reserve.claim {
            self.claims.insert(claim.id, reserve.attempt);
        }
        Expected::Done
    }

    /// Whether somebody else has what a reservation claims.
    fn claimed(&self, reserve: &Reserve) -> Option<Expected> {
        let claim = reserve.claim.as_ref()?;
        if claim.until <= reserve.at {
            return Some(Expected::Invalid);
        }
        let last = self.attempts.get(self.claims.get(&claim.id)?)?;
        let held = last.reserve.claim.as_ref().filter(|held| reserve.at < held.until)?;
        let attempt = last.reserve.attempt;
        match last.ended() {
            _ if held.payload != claim.payload => Some(Expected::ClaimConflict),
            None => Some(Expected::ClaimOpen(attempt)),
            Some(end) if end.outcome == AttemptOutcome::Success => Some(Expected::ClaimDone(attempt)),
            Some(_) => None,
        }
    }

    /// Whether an attempt's claim is another one's at that time.
    fn has_lost_its_claim(&self, attempt: &Attempt, at: Timestamp) -> bool {
        let claim = attempt.reserve.claim.as_ref();
        let last = claim.and_then(|claim| self.attempts.get(self.claims.get(&claim.id)?));
        last.is_some_and(|last| {
            let is_over = last.reserve.claim.as_ref().is_none_or(|held| held.until <= at);
            last.reserve.attempt != attempt.reserve.attempt && !is_over
        })
    }

    /// What an end comes to; it is carried out if it comes to something.
    pub fn end(&mut self, end: &End) -> Expected {
        let Some(known) = self.attempts.get(&end.attempt).cloned() else { return Expected::UnknownAttempt };
        if known.ends.contains(&end.facts) {
            return Expected::Done;
        }
        let crashed_only =
            |ends: &[EndFacts]| matches!(ends, [end] if end.outcome == AttemptOutcome::Crashed);
        let is_late = known.ended().is_some();
        let guessed =
            end.facts.outcome == AttemptOutcome::Crashed && end.facts.provenance == Provenance::Estimated;
        if is_late && (guessed || !crashed_only(&known.ends)) {
            return Expected::AlreadyEnded;
        }
        let is_superseded = is_late && self.has_lost_its_claim(&known, end.facts.at);
        let with = |facts: &EndFacts| {
            let mut changed = known.clone();
            changed.ends.push(facts.clone());
            changed.is_superseded = is_superseded;
            changed
        };
        let valid = end.facts.price.get() >= 0 && end.facts.cost.get() >= 0;
        let wanted = with(&end.facts);
        if valid && self.change(Some(&known), Some(&wanted)) {
            self.attempts.insert(end.attempt, wanted);
            return Expected::Done;
        }
        let refused = if valid { Expected::Overflow } else { Expected::Invalid };
        if is_late {
            return refused;
        }
        // It cannot be entered as it is; then it is entered as crashed, at no cost if need be.
        for estimate in [known.reserve.estimate, NanoUsd::ZERO] {
            let crashed = with(&EndFacts::crashed(end.facts.at, estimate));
            if self.change(Some(&known), Some(&crashed)) {
                self.attempts.insert(end.attempt, crashed);
                return Expected::Done;
            }
        }
        refused
    }

    /// What a refund comes to; it is carried out if it comes to something.
    pub fn adjust(&mut self, adjust: &Adjust) -> Expected {
        match self.refunds.get(&adjust.id) {
            Some(known) if known == adjust => return Expected::Done,
            Some(_) => return Expected::Conflict,
            None => {}
        }
        if adjust.refund.get() <= 0 {
            return Expected::Invalid;
        }
        let Some(known) = self.attempts.get(&adjust.attempt).cloned() else {
            return Expected::UnknownAttempt;
        };
        if known.ended().is_none() {
            return Expected::Invalid;
        }
        let refunded = known.refunded + i128::from(adjust.refund.get());
        if refunded > known.charged() {
            return Expected::RefundTooLarge;
        }
        let changed = Attempt { refunded, ..known.clone() };
        if !self.change(Some(&known), Some(&changed)) {
            return Expected::Overflow;
        }
        self.attempts.insert(adjust.attempt, changed);
        self.refunds.insert(adjust.id, adjust.clone());
        Expected::Done
    }

    /// What a funding comes to; it is carried out if it comes to something.
    pub fn fund(&mut self, fund: &Fund) -> Expected {
        match self.funds.get(&fund.id) {
            Some(known) if *known == Fund { at: known.at, ..fund.clone() } => return Expected::Done,
            Some(_) => return Expected::Conflict,
            None => {}
        }
        let valid = match fund.funding {
            Funding::Adjustment(amount) => amount.get() != 0,
            Funding::TopUp(amount) | Funding::Credit(amount) | Funding::Refund { amount, .. } => {
                amount.get() > 0
            }
        };
        if !valid || fund.book == Book::Usage {
            return Expected::Invalid;
        }
        if let Funding::Refund { of, amount } = fund.funding {
            let Some(Fund { funding: Funding::TopUp(paid), book, tenant, .. }) = self.funds.get(&of) else {
                return Expected::UnknownTopUp;
            };
            if (*book, tenant) != (fund.book, &fund.tenant) {
                return Expected::Invalid;
            }
            let back = self.funds.values().filter_map(|known| match known.funding {
                Funding::Refund { of: other, amount } if other == of => Some(i128::from(amount.get())),
                _ => None,
            });
            if back.sum::<i128>() + i128::from(amount.get()) > i128::from(paid.get()) {
                return Expected::RefundTooLarge;
            }
        }
        // What the booking cannot even say does not fit either.
        if fund.funding == Funding::Adjustment(NanoUsd::new(i64::MIN)) || !self.shift(&fund_moves(fund)) {
            return Expected::Overflow;
        }
        self.funds.insert(fund.id, fund.clone());
        Expected::Done
    }

    /// The process died and recovered: how many attempts were open.
    pub fn restart(&mut self, now: Timestamp) -> u64 {
        let open = self.open();
        let count = open.len() as u64;
        for attempt in open {
            let estimate = self.attempts.get(&attempt).map_or(NanoUsd::ZERO, |known| known.reserve.estimate);
            self.end(&End { attempt, facts: EndFacts::crashed(now, estimate) });
        }
        count
    }

    /// The attempts that are open, by id: the order in which a restart ends them.
    pub fn open(&self) -> Vec<AttemptId> {
        let open = self.attempts.iter().filter(|(_, attempt)| attempt.ended().is_none());
        let mut open: Vec<_> = open.map(|(id, _)| *id).collect();
        open.sort_unstable();
        open
    }

    /// The end that was replaced, where one was.
    pub fn is_late(&self, attempt: AttemptId) -> bool {
        self.attempts.get(&attempt).is_some_and(|known| known.ends.len() > 1)
    }

    /// Whether more was charged than had been reserved.
    pub fn is_over(&self, attempt: AttemptId) -> bool {
        let over = |known: &Attempt| {
            let counts = |hold: &Hold| hold.account.measure() == Measure::Tokens;
            let more_money = known.charged() > i128::from(known.reserve.amount.get());
            let more_tokens = known.counted_tokens() > i128::from(known.reserve.tokens.min(MOST));
            let counted = known.reserve.holds.iter().any(counts);
            known.ends.len() == 1 && (more_money || (more_tokens && counted))
        };
        self.attempts.get(&attempt).is_some_and(over)
    }

    /// Whether what a store knows of an attempt is what it must know.
    pub fn agrees(&self, attempt: AttemptId, entry: Option<&AttemptEntry>) -> bool {
        match (self.attempts.get(&attempt), entry) {
            (None, None) => true,
            (Some(known), Some(AttemptEntry::Open(intent))) => {
                known.ended().is_none()
                    && intent.holds == known.reserve.holds
                    && intent.amount == known.reserve.amount
                    && intent.credit_limit == known.reserve.credit_limit
                    && intent.claim == known.reserve.claim
                    && intent.tokens == known.reserve.tokens.min(MOST)
            }
            (Some(known), Some(AttemptEntry::Ended(ended))) => known.ended().is_some_and(|end| {
                ended.settlement.outcome == end.outcome
                    && i128::from(ended.settlement.charged.get()) == known.charged()
                    && ended.settlement.cost == end.cost
                    && ended.used.exact == end.exact
                    && ended.used.provenance == end.provenance
                    && ended.late == (known.ends.len() > 1)
                    && i128::from(ended.refunded.get()) == known.refunded
            }),
            _ => false,
        }
    }

    /// The balance of one account, from the running sums.
    pub fn balance(&self, account: AccountId) -> (i128, i128) {
        self.tally.get(&account).copied().unwrap_or_default()
    }

    /// All balances that are not zero, added up anew from the list of attempts.
    pub fn balances(&self) -> BTreeMap<AccountId, Balance> {
        let mut sums: BTreeMap<AccountId, (i128, i128)> = BTreeMap::new();
        let moves = self.attempts.values().map(Attempt::moves).chain(self.funds.values().map(fund_moves));
        for (account, posted, pending) in moves.flatten() {
            let sum = sums.entry(account).or_default();
            *sum = (sum.0 + posted, sum.1 + pending);
        }
        let quantity = |sum: i128| Quantity::new(i64::try_from(sum).unwrap_or(i64::MAX));
        let balances = sums.into_iter().filter(|(_, sum)| *sum != (0, 0));
        balances
            .map(|(account, (posted, pending))| {
                (account, Balance { posted: quantity(posted), pending: quantity(pending) })
            })
            .collect()
    }

    /// All roll-ups, added up anew from the list of attempts.
    pub fn rollups(&self) -> BTreeMap<RollupKey, Rollup> {
        let mut rollups: BTreeMap<RollupKey, Rollup> = BTreeMap::new();
        for attempt in self.attempts.values() {
            let (Some(end), reserve) = (attempt.ended(), &attempt.reserve) else { continue };
            let key = RollupKey {
                key: KeyId::from_bits(reserve.key.get()),
                provider: reserve.provider.id(),
                model: reserve.model.id(),
                hour: reserve.at.as_secs().div_euclid(3_600),
            };
            let sum = rollups.entry(key).or_default();
            sum.attempts += 1;
            sum.succeeded += i64::from(end.outcome == AttemptOutcome::Success);
            sum.estimated += i64::from(end.provenance == Provenance::Estimated);
            for (at, bucket) in Bucket::ALL.into_iter().enumerate() {
                let count = end.usage.get(bucket).min(MOST) as i64;
                if let Some(total) = sum.counts.get_mut(at) {
                    *total += count;
                }
            }
            let plus = |sum: NanoUsd, by: i128| {
                let clamped = (i128::from(sum.get()) + by).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
                NanoUsd::new(i64::try_from(clamped).unwrap_or(i64::MAX))
            };
            sum.cost = plus(sum.cost, i128::from(end.cost.get()));
            sum.charged = plus(sum.charged, attempt.charged() - attempt.refunded);
        }
        rollups
    }

    /// Replaces what an attempt has done, unless a balance would not fit: then nothing is changed.
    fn change(&mut self, before: Option<&Attempt>, after: Option<&Attempt>) -> bool {
        let undone =
            before.into_iter().flat_map(Attempt::moves).map(|(a, posted, pending)| (a, -posted, -pending));
        let moves: Vec<_> = undone.chain(after.into_iter().flat_map(Attempt::moves)).collect();
        self.shift(&moves)
    }

    /// Moves balances, unless one would not fit: then nothing is changed.
    fn shift(&mut self, moves: &[(AccountId, i128, i128)]) -> bool {
        let mut sums: HashMap<AccountId, (i128, i128)> = HashMap::new();
        for (account, posted, pending) in moves {
            let sum = sums.entry(*account).or_insert_with(|| self.balance(*account));
            *sum = (sum.0 + posted, sum.1 + pending);
        }
        let all_fit = sums.values().all(|(posted, pending)| fits(*posted) && fits(*pending));
        if all_fit {
            self.tally.extend(sums);
        }
        all_fit
    }
}

/// What a funding has done to each account, as [`Attempt::moves`].
fn fund_moves(fund: &Fund) -> Vec<(AccountId, i128, i128)> {
    let (kind, relief) = match fund.funding {
        Funding::TopUp(amount) => (AccountKind::Cash, i128::from(amount.get())),
        Funding::Refund { amount, .. } => (AccountKind::Cash, -i128::from(amount.get())),
        Funding::Credit(amount) => (AccountKind::Promotions, i128::from(amount.get())),
        Funding::Adjustment(amount) => (AccountKind::Adjustments, i128::from(amount.get())),
    };
    vec![
        (AccountId::new(fund.book, AccountKind::Receivable, fund.tenant.id()), -relief, 0),
        (AccountId::new(fund.book, kind, EntityId::NONE), relief, 0),
    ]
}

fn fits(sum: i128) -> bool {
    i64::try_from(sum).is_ok()
}
