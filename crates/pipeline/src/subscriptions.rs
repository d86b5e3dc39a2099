//! Flat subscriptions: what tenants owe for the service each calendar month (UTC), whatever they use.
//!
//! Each month is posted once, under an id that follows from tenant and month: however often the job runs, on however
//! many instances, and across restarts (rule L4).

use weighbridge_access::Tenant;
use weighbridge_ledger::{Book, EntityId, Fund, Funding, LedgerError, LedgerStore, Name, Refusal};
use weighbridge_units::{NanoUsd, Timestamp};

/// Posts what tenants owe for the month of `now`, unless it is posted already. Tells how many were asked for.
///
/// # Errors
/// [`LedgerError`]; what was not posted is at the next turn.
pub(crate) async fn post(
    tenants: impl Iterator<Item = Tenant>,
    ledger: &dyn LedgerStore,
    now: Timestamp,
) -> Result<usize, LedgerError> {
    let mut asked = 0;
    for tenant in tenants {
        let Some(fund) = due(&tenant, now) else { continue };
        asked += 1;
        match ledger.fund(fund).await {
            // Posted at the price of the day on which the month began: a change binds from the next month on.
            Ok(()) | Err(LedgerError::Refused(Refusal::Conflict)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(asked)
}

/// What a tenant owes for the month of `now`; nothing where its time is over.
fn due(tenant: &Tenant, now: Timestamp) -> Option<Fund> {
    let amount = tenant.subscription.filter(|amount| *amount > NanoUsd::ZERO)?;
    if tenant.expires.is_some_and(|end| now >= end) {
        return None;
    }
    let month = now.month();
    let reason = format!("subscription {}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
    let half = |what: &str| u128::from(EntityId::of(&format!("{what}:{reason}:{}", tenant.name)).get());
    Some(Fund {
        id: half("one") << 64 | half("other"),
        at: now,
        book: Book::Surcharge,
        tenant: Name::new(tenant.name.shared()),
        funding: Funding::Adjustment(NanoUsd::new(-amount.get())),
        reason: Name::new(reason),
        actor: Name::new("weighbridge"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weighbridge_access::TenantName;
    use weighbridge_ledger::{AccountId, AccountKind, MemoryLedger};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn tenant(name: &str, subscription: i64) -> Tenant {
        let mut tenant = Tenant::new(TenantName::new(name).unwrap(), Timestamp::default());
        tenant.subscription = Some(NanoUsd::new(subscription));
        tenant
    }

    fn owes(ledger: &MemoryLedger, name: &str) -> i64 {
        let account = AccountId::new(Book::Surcharge, AccountKind::Receivable, EntityId::of(name));
        block_on(ledger.balance(account)).unwrap().posted.get()
    }

    proptest! {
        #[test]
        fn l4_a_month_is_posted_once_however_often_it_is_asked_for(
            days in prop::collection::vec(0_i64..400, 1..40), price in 1_i64..1_000_000_000,
        ) {
            let ledger = MemoryLedger::new();
            let start = Timestamp::from_date(2026, 11, 21).unwrap();
            let mut days = days;
            days.sort_unstable();
            let mut months = std::collections::BTreeSet::new();
            for day in days {
                let now = Timestamp::from_secs(start.as_secs() + day * 86_400);
                months.insert(now.month());
                // Another instance, at the same time; and a price that changes within the month.
                for price in [price, price, price + 1] {
                    let tenants = vec![tenant("acme", price), tenant("acme/search", 0)];
                    prop_assert_eq!(block_on(post(tenants.into_iter(), &ledger, now)).unwrap(), 1);
                }
                prop_assert_eq!(owes(&ledger, "acme"), price * months.len() as i64);
            }
            prop_assert_eq!(owes(&ledger, "acme/search"), 0);
        }
    }

    #[test]
    fn who_has_none_or_whose_time_is_over_owes_nothing() {
        let now = Timestamp::from_date(2026, 12, 31).unwrap();
        assert_eq!(due(&Tenant::new(TenantName::new("a").unwrap(), now), now), None);
        assert_eq!(due(&Tenant { expires: Some(now), ..tenant("a", 5) }, now), None);
        let fund = due(&tenant("a", 5), now).unwrap();
        assert_eq!(
            (fund.reason.to_string(), fund.book),
            ("subscription 2026-12".to_owned(), Book::Surcharge)
        );
    }
}
