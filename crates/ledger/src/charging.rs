use weighbridge_units::{AttemptOutcome, NanoUsd};

use crate::{AccountId, AccountKind, Billing, Book, EndFacts, EntityId, Intent, Settlement};

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
/// | crashed | nothing | `absorbed:crash` |
///
/// With [`Billing::OwnKey`] the price is the surcharge, and the provider's cost goes nowhere: the
/// tenant settles it with the provider. The usage book records it in every case.
pub fn charge(facts: &EndFacts) -> Settlement {
    Settlement {
        outcome: facts.outcome,
        reason: facts.reason.id(),
        charged: if facts.outcome.tenant_pays() { facts.price } else { NanoUsd::ZERO },
        cost: facts.cost,
    }
}

/// The account that bears the provider's cost; none where the tenant bears it outside this ledger.
pub fn cost_account(billing: Billing, settlement: &Settlement) -> Option<AccountId> {
    let absorbed = |reason| AccountId::new(Book::Platform, AccountKind::Absorbed, reason);
    match (billing, settlement.outcome) {
        (Billing::OwnKey, _) => None,
        (Billing::Platform, AttemptOutcome::Success | AttemptOutcome::ClientLeft) => {
            Some(AccountId::new(Book::Platform, AccountKind::CostOfSales, EntityId::NONE))
        }
        (Billing::Platform, AttemptOutcome::TimedOut) => Some(absorbed(EntityId::of("timeout"))),
        (Billing::Platform, AttemptOutcome::LostHedge) => Some(absorbed(EntityId::of("hedge"))),
        (Billing::Platform, AttemptOutcome::Crashed) => Some(absorbed(EntityId::of("crash"))),
        (Billing::Platform, _) => Some(absorbed(settlement.reason)),
    }
}

/// The two accounts between which a tenant's charge moves: what it owes, and what was sold.
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
            let settlement = charge(&facts);
            let named = ["cut", "timeout", "hedge", "crash"];
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
            crashed: 0 / 100 to absorbed:crash\n";
        assert_eq!(table, expected);
    }
}
