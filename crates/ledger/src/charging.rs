use weighbridge_units::{AttemptOutcome, NanoUsd, Usage};

use crate::{
    AccountId, AccountKind, Billing, Book, EndFacts, EntityId, Intent, Measure, Quantity, Settlement,
};

/// Who pays for an attempt, as a function of how it ended (rule A2).
///
/// | outcome | tenant pays | provider's cost goes to |
/// |---|---|---|
/// | success | the price | cost of sales |
/// | client left | the price | cost of sales |
/// | failed before output | nothing | `absorbed:<reason>` |
/// | failed mid-stream | nothing | `absorbed:<reason>` |
/// | timed out | nothing | `absorbed:timeout` |
/// | lost hedge | nothing | `absorbed:hedge` |
/// | shadow | nothing | `absorbed:shadow` |
/// | crashed | nothing | `absorbed:crash` |
///
/// With [`Billing::OwnKey`] the price is the surcharge, and the provider's cost goes nowhere: the
/// tenant settles it with the provider. With [`Billing::House`] no tenant pays, however it ended. The usage book records
/// the cost in every case.
pub fn charge(billing: Billing, facts: &EndFacts) -> Settlement {
    let pays = facts.outcome.tenant_pays() && billing != Billing::House;
    Settlement {
        outcome: facts.outcome,
        reason: facts.reason.id(),
        charged: if pays { facts.price } else { NanoUsd::ZERO },
        cost: facts.cost,
    }
}

/// The account that bears the provider's cost; none where the tenant bears it outside this ledger.
pub fn cost_account(billing: Billing, settlement: &Settlement) -> Option<AccountId> {
    let absorbed = |reason| AccountId::new(Book::Platform, AccountKind::Absorbed, reason);
    match (billing, settlement.outcome) {
        (Billing::OwnKey, _) => None,
        (_, AttemptOutcome::Success | AttemptOutcome::ClientLeft) => {
            Some(AccountId::new(Book::Platform, AccountKind::CostOfSales, EntityId::NONE))
        }
        (_, AttemptOutcome::TimedOut) => Some(absorbed(EntityId::of("timeout"))),
        (_, AttemptOutcome::LostHedge) => Some(absorbed(EntityId::of("hedge"))),
        (_, AttemptOutcome::Shadow) => Some(absorbed(EntityId::of("shadow"))),
        (_, AttemptOutcome::Crashed) => Some(absorbed(EntityId::of("crash"))),
        (_, _) => Some(absorbed(settlement.reason)),
    }
}

/// What an attempt counts for, in each measure. A hold takes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) usd: NanoUsd,
    pub(crate) tokens: u64,
    pub(crate) requests: u64,
}

impl Counted {
    /// Money only.
    pub(crate) const fn money(usd: NanoUsd) -> Self {
        Self { usd, tokens: 0, requests: 0 }
    }

    /// What is reserved for an attempt.
    pub(crate) const fn reserved(intent: &Intent) -> Self {
        Self { usd: intent.amount, tokens: intent.tokens, requests: 1 }
    }

    /// What an attempt counts for once it has ended: nothing, unless the tenant pays for it. What the installation
    /// has done for itself counts for what it cost, but for what is lost in a crash.
    pub(crate) fn charged(billing: Billing, settlement: &Settlement, usage: &Usage) -> Self {
        let (counts, usd) = match billing {
            Billing::House => (settlement.outcome != AttemptOutcome::Crashed, settlement.cost),
            Billing::Platform | Billing::OwnKey => (settlement.outcome.tenant_pays(), settlement.charged),
        };
        match counts {
            true => Self { usd, tokens: usage.total(), requests: 1 },
            false => Self::money(NanoUsd::ZERO),
        }
    }

    /// The parts up to, and beyond, what was reserved.
    pub(crate) fn split(self, reserved: Self) -> (Self, Self) {
        let within = Self {
            usd: self.usd.min(reserved.usd),
            tokens: self.tokens.min(reserved.tokens),
            requests: self.requests.min(reserved.requests),
        };
        let beyond = Self {
            // Neither is negative, so that their difference fits.
            usd: NanoUsd::new(self.usd.get().saturating_sub(within.usd.get())),
            tokens: self.tokens.saturating_sub(within.tokens),
            requests: self.requests.saturating_sub(within.requests),
        };
        (within, beyond)
    }

    /// So much of a measure.
    pub(crate) fn of(self, measure: Measure) -> Quantity {
        match measure {
            Measure::Usd => self.usd.into(),
            Measure::Tokens => Quantity::of_count(self.tokens),
            Measure::Requests => Quantity::of_count(self.requests),
        }
    }
}

/// The two accounts between which a tenant's charge moves: what it owes, and what was sold. Nothing moves there with
/// [`Billing::House`].
pub(crate) fn charge_accounts(intent: &Intent) -> (AccountId, AccountId) {
    let book = intent.billing.book();
    (
        AccountId::new(book, AccountKind::Receivable, intent.tenant),
        AccountId::new(book, AccountKind::Sales, EntityId::NONE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use weighbridge_units::Timestamp;

    #[test]
    fn a2_the_charge_is_a_function_of_the_outcome() {
        let mut table = String::new();
        for outcome in AttemptOutcome::ALL {
            let mut facts = EndFacts::not_dispatched(Timestamp::default());
            (facts.outcome, facts.price, facts.cost) = (outcome, NanoUsd::new(130), NanoUsd::new(100));
            facts.reason = Name::new("cut");
            let settlement = charge(Billing::Platform, &facts);
            let house = charge(Billing::House, &facts);
            assert_eq!(house, Settlement { charged: NanoUsd::ZERO, ..settlement });
            assert_eq!(cost_account(Billing::House, &house), cost_account(Billing::Platform, &house));
            let named = ["cut", "timeout", "hedge", "shadow", "crash"];
            let bearer = cost_account(Billing::Platform, &settlement).unwrap();
            let bearer = match bearer.kind() {
                AccountKind::Absorbed => {
                    let is = |name: &&str| EntityId::of(name) == bearer.entity();
                    format!("absorbed:{}", named.into_iter().find(is).unwrap())
                }
                kind => kind.as_str().to_owned(),
            };
            table +=
                &format!("{outcome}: {} / {} to {bearer}\n", settlement.charged.get(), settlement.cost.get());
            assert_eq!(cost_account(Billing::OwnKey, &settlement), None);
        }
        let expected = "\
            success: 130 / 100 to cost_of_sales\n\
            client-left: 130 / 100 to cost_of_sales\n\
            failed-before-output: 0 / 100 to absorbed:cut\n\
            failed-mid-stream: 0 / 100 to absorbed:cut\n\
            timed-out: 0 / 100 to absorbed:timeout\n\
            lost-hedge: 0 / 100 to absorbed:hedge\n\
            shadow: 0 / 100 to absorbed:shadow\n\
            crashed: 0 / 100 to absorbed:crash\n";
        assert_eq!(table, expected);
    }
}
