use std::collections::VecDeque;
use std::time::Duration;

use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

use super::Random;
use crate::{
    Adjust, Billing, Book, BudgetScope, BudgetWindow, Claim, ClaimId, End, EndFacts, Fund, Funding, Hold,
    Measure, Name, PayloadHash, Quantity, Reserve, budget_account,
};

/// One thing that is done to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A reservation: fresh, repeated, or another one under an attempt that is known.
    Reserve(Reserve),
    /// An end: the first, repeated, another second one, or one of an attempt that nobody reserved.
    End(End),
    /// A refund: fresh, repeated, too large, or another one under the same id.
    Adjust(Adjust),
    /// A funding: fresh, repeated, a refund that is too large or of nothing, or another one under the same id.
    Fund(Fund),
    /// The hash chains are linked.
    Seal(Timestamp),
    /// The process dies and comes back: what was open is to be recovered.
    Restart(Timestamp),
}

/// Makes up steps: a few tenants, keys, providers and budgets, so that they meet often.
#[derive(Debug)]
pub struct Script {
    random: Random,
    /// Whether the installation does something for itself.
    has_house: bool,
    now: Timestamp,
    tenants: Vec<Name>,
    providers: Vec<Name>,
    models: Vec<Name>,
    reasons: Vec<Name>,
    version: Name,
    /// Attempts that were asked for lately, whatever came of them; the newest last.
    asked: VecDeque<Reserve>,
    ended: VecDeque<End>,
    adjusted: VecDeque<Adjust>,
    funded: VecDeque<Fund>,
}

/// How many attempts back a script remembers.
const MEMORY: usize = 40;

impl Script {
    /// The script of a seed; it never ends. In those of odd seeds the installation does something for itself; the others
    /// are as they were before it could.
    pub fn new(seed: u64) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| Name::new(*name)).collect();
        Self {
            random: Random::new(seed),
            has_house: seed % 2 == 1,
            now: Timestamp::from_date(2026, 11, 30).unwrap_or_default() + Duration::from_secs(23 * 3_600),
            tenants: names(&["acme", "acme/research"]),
            providers: names(&["openai", "anthropic"]),
            models: names(&["gpt-4o-mini", "claude-haiku-4-5"]),
            reasons: names(&["status-500", "cut", ""]),
            version: Name::new("2026-11"),
            asked: VecDeque::new(),
            ended: VecDeque::new(),
            adjusted: VecDeque::new(),
            funded: VecDeque::new(),
        }
    }

    /// The next step.
    pub fn step(&mut self) -> Step {
        self.now = self.now + Duration::from_millis(self.random.below(4_000));
        match self.random.below(1_000) {
            0..390 => Step::Reserve(self.reserve()),
            390..435 => Step::Reserve(self.reserve_again()),
            435..875 => Step::End(self.end()),
            875..940 => Step::Adjust(self.adjust()),
            940..965 => Step::Fund(self.fund()),
            965..990 => Step::Seal(self.now),
            _ => Step::Restart(self.now),
        }
    }

    fn reserve(&mut self) -> Reserve {
        let random = &mut self.random;
        let at = self.now;
        let key = KeyId::from_bits(random.below(3));
        let tenant = random.pick(&self.tenants).cloned().unwrap_or_else(|| self.version.clone());
        let mut billing = if random.chance(20) { Billing::OwnKey } else { Billing::Platform };
        // Nobody owes, or has asked for, what the installation does for itself; one that says so is refused.
        let mut is_asked_for = true;
        if self.has_house && billing == Billing::Platform && random.chance(15) {
            (billing, is_asked_for) = (Billing::House, random.chance(5));
        }
        let book = billing.book();
        let mut holds = Vec::new();
        let account = budget_account(book, BudgetScope::Key(key), BudgetWindow::Month(at.month()));
        match random.below(10) {
            0 => {}
            1 => holds.push(Hold { account, limit: Some(Quantity::ZERO) }),
            2 => holds.push(Hold { account, limit: None }),
            _ => holds.push(Hold { account, limit: Some(limit(random)) }),
        }
        if random.chance(50) {
            let account = budget_account(book, BudgetScope::Tenant(tenant.as_str()), BudgetWindow::Total);
            holds.push(Hold { account, limit: random.chance(80).then(|| limit(random)) });
        }
        if random.chance(25) {
            let account = account.counting(Measure::Tokens);
            holds.push(Hold { account, limit: random.chance(80).then(|| token_limit(random)) });
        }
        if random.chance(25) {
            let tenant = BudgetScope::Tenant(tenant.as_str());
            let account = budget_account(book, tenant, BudgetWindow::Total).counting(Measure::Requests);
            holds.push(Hold { account, limit: random.chance(80).then(|| request_limit(random)) });
        }
        match random.below(100) {
            0 => holds.extend(holds.first().copied()),
            1 => holds.push(Hold {
                account: budget_account(Book::Usage, BudgetScope::Installation, BudgetWindow::Total),
                limit: None,
            }),
            _ => {}
        }
        let amount = amount(random, 1_000);
        let reserve = Reserve {
            attempt: AttemptId::new(at, u128::from(random.bits()) << 64 | u128::from(random.bits())),
            at,
            expires: at + Duration::from_secs(600),
            key,
            tenant,
            provider: random.pick(&self.providers).cloned().unwrap_or_else(|| self.version.clone()),
            model: random.pick(&self.models).cloned().unwrap_or_else(|| self.version.clone()),
            price_version: self.version.clone(),
            billing,
            amount,
            tokens: if random.chance(1) { u64::MAX } else { random.below(1_500) },
            credit_limit: credit_limit(random).filter(|_| is_asked_for),
            claim: claim(random, at).filter(|_| is_asked_for),
            holds,
            estimate: NanoUsd::new(amount.get().saturating_sub(random.below(10) as i64).max(0)),
        };
        remember(&mut self.asked, &reserve);
        reserve
    }

    fn reserve_again(&mut self) -> Reserve {
        // A claim may have been retired since, or not: that depends on what else the store has done.
        let known = self.known().filter(|reserve| reserve.claim.is_none());
        let Some(mut reserve) = known else { return self.reserve() };
        if self.random.chance(50) {
            reserve.amount = NanoUsd::new(reserve.amount.get() ^ 1);
        }
        reserve
    }

    fn end(&mut self) -> End {
        if self.random.chance(5)
            && let Some(end) = self.ended.get(self.random.below(self.ended.len() as u64) as usize)
        {
            return end.clone(); // The same again.
        }
        let random = &mut self.random;
        let known = self.asked.get(random.below(self.asked.len() as u64) as usize);
        let attempt = match known {
            Some(reserve) if !random.chance(2) => reserve.attempt,
            _ => AttemptId::new(self.now, u128::from(random.bits())),
        };
        let outcome = *random.pick(&AttemptOutcome::ALL).unwrap_or(&AttemptOutcome::Success);
        let outcome = if random.chance(50) { AttemptOutcome::Success } else { outcome };
        let reserved = known.map_or(1_000, |reserve| reserve.amount.get());
        let cost = amount(random, reserved.unsigned_abs().saturating_add(reserved.unsigned_abs() / 8));
        let usage = match random.below(20) {
            0 => Usage::new(),
            1 => Usage::new().with(Bucket::Input, u64::MAX).with(Bucket::Output, 1),
            _ => Usage::new()
                .with(Bucket::Input, random.below(1_000))
                .with(Bucket::CacheRead, random.below(50))
                .with(Bucket::Output, random.below(300)),
        };
        let provenance = [Provenance::Reported, Provenance::Tokenised, Provenance::Estimated];
        let end = End {
            attempt,
            facts: EndFacts {
                at: self.now,
                outcome,
                usage,
                provenance: *random.pick(&provenance).unwrap_or(&Provenance::Reported),
                price: NanoUsd::new(cost.get().saturating_add(random.below(40) as i64)),
                cost,
                exact: Usd::from(cost),
                reason: random.pick(&self.reasons).cloned().unwrap_or_else(|| self.version.clone()),
            },
        };
        remember(&mut self.ended, &end);
        end
    }

    fn adjust(&mut self) -> Adjust {
        if self.random.chance(20)
            && let Some(adjust) = self.adjusted.get(self.random.below(self.adjusted.len() as u64) as usize)
        {
            let mut adjust = adjust.clone();
            if self.random.chance(50) {
                adjust.refund = NanoUsd::new(adjust.refund.get().saturating_add(1));
            }
            return adjust;
        }
        let unknown = AttemptId::new(self.now, u128::from(self.random.bits()));
        let adjust = Adjust {
            id: u128::from(self.random.bits()),
            attempt: self.known().map_or(unknown, |reserve| reserve.attempt),
            at: self.now,
            refund: amount(&mut self.random, 400),
            reason: Name::new("complaint"),
        };
        remember(&mut self.adjusted, &adjust);
        adjust
    }

    fn fund(&mut self) -> Fund {
        let random = &mut self.random;
        let known = self.funded.get(random.below(self.funded.len() as u64) as usize).cloned();
        if let Some(mut again) = known.clone().filter(|_| random.chance(15)) {
            again.at = self.now;
            if random.chance(50) {
                again.funding = Funding::Credit(NanoUsd::new(1));
            }
            return again;
        }
        let usual = amount(random, 300_000);
        let funding = match (random.below(10), &known) {
            (0..4, _) | (6.., None) => Funding::TopUp(usual),
            (4, _) => Funding::Credit(usual),
            (5, _) if random.chance(50) => Funding::Adjustment(NanoUsd::new(usual.get().saturating_neg())),
            (5, _) => Funding::Adjustment(usual),
            (6.., Some(known)) => Funding::Refund { of: known.id, amount: amount(random, 100_000) },
        };
        // Mostly of the tenant and in the book that paid.
        let (tenant, book) = match known.filter(|_| matches!(funding, Funding::Refund { .. })) {
            Some(known) if !random.chance(10) => (known.tenant, known.book),
            _ => (
                random.pick(&self.tenants).cloned().unwrap_or_else(|| self.version.clone()),
                *random.pick(&[Book::Platform, Book::Platform, Book::Surcharge]).unwrap_or(&Book::Usage),
            ),
        };
        let book = if random.chance(3) { Book::Usage } else { book };
        let id = u128::from(random.bits());
        let (reason, actor) = (Name::new("invoice paid"), Name::new("finance"));
        let fund = Fund { id, at: self.now, book, tenant, funding, reason, actor };
        remember(&mut self.funded, &fund);
        fund
    }

    fn known(&mut self) -> Option<Reserve> {
        self.asked.get(self.random.below(self.asked.len() as u64) as usize).cloned()
    }
}

fn remember<T: Clone>(last: &mut VecDeque<T>, item: &T) {
    last.push_back(item.clone());
    if last.len() > MEMORY {
        last.pop_front();
    }
}

/// Mostly below `usual`; now and then nothing, less than nothing, or as much as a number can hold.
fn amount(random: &mut Random, usual: u64) -> NanoUsd {
    NanoUsd::new(match random.below(400) {
        0 => -1,
        1 => i64::MAX,
        2 => i64::MAX / 2,
        3..20 => 0,
        _ => i64::try_from(random.below(usual)).unwrap_or(i64::MAX),
    })
}

/// Limits differ from step to step, as if somebody kept changing them.
fn limit(random: &mut Random) -> Quantity {
    let limits = [1_000, 20_000, 400_000, 8_000_000, 160_000_000];
    Quantity::new(random.pick(&limits).copied().unwrap_or(1_000))
}

/// Of a few, so that they meet; mostly for the same.
fn claim(random: &mut Random, at: Timestamp) -> Option<Box<Claim>> {
    let id = ClaimId::of(&[&[random.below(8) as u8]]);
    let payload = PayloadHash::of(&[&[u8::from(random.chance(8))]]);
    let window = Duration::from_secs(random.below(90));
    random.chance(20).then(|| Box::new(Claim { id, payload, until: at + window }))
}

/// Mostly none, as most tenants owe more than they pay here.
fn credit_limit(random: &mut Random) -> Option<NanoUsd> {
    let limits = [0, 0, 100_000, 10_000_000];
    random.chance(35).then(|| NanoUsd::new(random.pick(&limits).copied().unwrap_or(0)))
}

/// Some of them have room after an end whose counts were absurd.
fn token_limit(random: &mut Random) -> Quantity {
    let limits = [0, 3_000, 100_000, 1 << 41, 1 << 50];
    Quantity::new(random.pick(&limits).copied().unwrap_or(3_000))
}

fn request_limit(random: &mut Random) -> Quantity {
    let limits = [0, 10, 100, 1_000, 10_000];
    Quantity::new(random.pick(&limits).copied().unwrap_or(10))
}
