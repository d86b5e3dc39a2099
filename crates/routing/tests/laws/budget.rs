//! The retry budget: second tries stay a share of the traffic.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weighbridge_routing::{
    DeadEnd, FailureCause, Plan, Rejection, RetryBudget, RetryPolicy, Route, RouteParts,
};
use weighbridge_units::Monotonic;

use crate::world::{START, after, weighted};

#[test]
fn little_traffic_can_fail_over() {
    let budget = RetryBudget::new(RetryPolicy::default());
    budget.count_request(START);
    let granted = (0..100).filter(|_| budget.take(START)).count();
    assert_eq!(granted, 10);
    assert!(!budget.take(after(26_000)), "nothing is earned by waiting within the window");
    assert!(budget.take(after(31_000)), "what left the window counts no more");
}

#[test]
fn what_was_not_used_is_given_back() {
    let budget = RetryBudget::new(RetryPolicy { floor: 1, ..RetryPolicy::default() });
    assert!(budget.take(START) && !budget.take(START));
    budget.give_back(START);
    assert!(budget.take(START));
    budget.give_back(after(60_000));
    budget.give_back(after(60_000));
    assert!(budget.take(after(60_000)) && !budget.take(after(60_000)), "nothing is given back twice");
}

fn route(targets: usize, budget: &Arc<RetryBudget>) -> Arc<Route> {
    let parts = RouteParts {
        primaries: weighted(&vec![1; targets]),
        retry_budget: Arc::clone(budget),
        ..RouteParts::default()
    };
    Route::new(parts).unwrap()
}

fn fails(plan: &mut Plan) -> bool {
    let pick = plan.next(START, 0);
    pick.map(|pick| plan.failed(pick, &FailureCause::Garbage, START)).is_some()
}

#[test]
fn a_plan_pays_for_second_tries_only() {
    let budget = Arc::new(RetryBudget::new(RetryPolicy { floor: 1, ..RetryPolicy::default() }));
    let (single, pair) = (route(1, &budget), route(2, &budget));

    let mut plan = Plan::new(single);
    assert!(fails(&mut plan) && !fails(&mut plan));
    assert_eq!(plan.dead_end(START), DeadEnd::AllTried, "the second try was paid back");

    let mut plan = Plan::new(pair.clone());
    assert!(fails(&mut plan));
    let rejected = plan.next(START, 0).unwrap();
    plan.reject(rejected, Rejection::Price, START);

    let mut plan = Plan::new(pair.clone());
    assert!(fails(&mut plan) && fails(&mut plan), "what was rejected was paid back");

    let mut plan = Plan::new(pair);
    assert!(fails(&mut plan) && !fails(&mut plan));
    assert_eq!(plan.dead_end(START), DeadEnd::RetriesSpent);
    assert!(plan.decision().retries_refused);
}

/// Requests and second tries of each slot, kept for ever: the reference.
#[derive(Default)]
struct Ledger(Vec<(u64, u64, u64)>);

impl Ledger {
    fn within(&self, policy: &RetryPolicy, now: Monotonic) -> (u64, u64) {
        let slot = policy.window.as_micros() as u64 / 10;
        let current = now.as_micros() / slot;
        let recent = self.0.iter().filter(|(at, ..)| current - at / slot < 10);
        recent.fold((0, 0), |sum, (_, requests, tries)| (sum.0 + requests, sum.1 + tries))
    }
}

proptest! {
    #[test]
    fn second_tries_stay_within_their_share(
        steps in prop::collection::vec((any::<bool>(), 0_u64..2_000), 0..300),
        percent in 0_u32..60,
        floor in 0_u32..8,
        window in 1_u64..60,
    ) {
        let policy = RetryPolicy { percent, floor, window: Duration::from_secs(window) };
        let budget = RetryBudget::new(policy);
        let (mut ledger, mut now) = (Ledger::default(), START);
        for (is_request, millis) in steps {
            now = now + Duration::from_millis(millis);
            if is_request {
                budget.count_request(now);
                ledger.0.push((now.as_micros(), 1, 0));
            } else {
                let (requests, tries) = ledger.within(&policy, now);
                let allowed = tries < (requests * u64::from(percent) / 100).max(u64::from(floor));
                prop_assert_eq!(budget.take(now), allowed);
                if allowed {
                    ledger.0.push((now.as_micros(), 0, 1));
                }
            }
        }
    }
}
