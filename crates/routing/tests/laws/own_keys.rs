//! Requests that bring credentials of their own: nothing of theirs touches the target's, nor the other way round.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weighbridge_routing::{DeadEnd, FailureCause, KeyPool, Plan, Route, Verdict};
use weighbridge_units::ErrorClass;

use crate::world::{START, after, route, status, status_after, target, target_with_keys, targets_own};

/// A plan over a route whose first target has so many credentials of the request's own.
fn plan(route: &Arc<Route>, own: &Arc<KeyPool>) -> Plan {
    let own = route.targets().enumerate().map(|(at, _)| (at == 0).then(|| Arc::clone(own))).collect();
    Plan::new(route.clone()).with_own_keys(own)
}

#[test]
fn a_refused_own_key_is_benched_alone() {
    let (shared, own) = (target_with_keys("a", 2), Arc::new(KeyPool::new(2)));
    let route = route(vec![(shared.clone(), 1)], vec![target("b")]);
    let mut plan = plan(&route, &own);
    for _ in 0..2 {
        let pick = plan.next(START, 0).unwrap();
        assert!(pick.is_own_key());
        assert_eq!(plan.failed(pick, &status(ErrorClass::Authentication), START), Verdict::NextKey);
    }
    let fallback = plan.next(START, 0).unwrap();
    assert!(!fallback.is_own_key() && fallback.target().get() == 1);
    drop(fallback);
    assert!(!own.any_ready(START) && shared.keys().any_ready(START));
    // Who has none of their own goes where they went before.
    let pick = Plan::new(route.clone()).next(START, 0).unwrap();
    assert_eq!((pick.target().get(), pick.is_own_key()), (0, false));
}

#[test]
fn benched_keys_of_the_target_keep_nobody_with_own_ones_away() {
    let (shared, own) = (target("a"), Arc::new(KeyPool::new(1)));
    let route = route(vec![(shared.clone(), 1)], vec![target("b")]);
    shared.keys().refused(0, START);
    assert_eq!(Plan::new(route.clone()).next(START, 0).unwrap().target().get(), 1);
    let pick = plan(&route, &own).next(START, 0).unwrap();
    assert_eq!((pick.target().get(), pick.is_own_key()), (0, true));
}

#[test]
fn a_limit_of_an_own_account_is_nobody_elses() {
    let own = Arc::new(KeyPool::new(1));
    let route = route(vec![(target("a"), 1)], vec![]);
    let mut first = plan(&route, &own);
    let pick = first.next(START, 0).unwrap();
    assert_eq!(first.failed(pick, &status_after(ErrorClass::RateLimit, 30), START), Verdict::NextKey);
    assert!(first.next(START, 0).is_none());
    let left_alone =
        DeadEnd::LeftAlone { class: ErrorClass::RateLimit, retry_after: Some(Duration::from_secs(30)) };
    assert_eq!(first.dead_end(START), left_alone);
    assert!(!own.any_ready(after(29_000)) && own.any_ready(after(30_000)));
    assert!(Plan::new(route.clone()).next(START, 0).is_some(), "the target is there for others");

    // And theirs is not that account's.
    let mut platform = Plan::new(route.clone());
    let pick = platform.next(after(40_000), 0).unwrap();
    platform.failed(pick, &status_after(ErrorClass::RateLimit, 30), after(40_000));
    assert!(Plan::new(route.clone()).next(after(40_000), 0).is_none());
    assert!(plan(&route, &own).next(after(40_000), 0).is_some());
}

#[test]
fn what_speaks_against_the_target_does_so_for_everybody() {
    for cause in targets_own() {
        let (shared, own) = (target("a"), Arc::new(KeyPool::new(1)));
        let route = route(vec![(shared, 1)], vec![target("b")]);
        for _ in 0..5 {
            let mut plan = plan(&route, &own);
            let pick = plan.next(START, 0).unwrap();
            plan.failed(pick, &cause, START);
        }
        assert!(own.any_ready(START), "{cause:?}");
        assert_eq!(plan(&route, &own).next(START, 0).unwrap().target().get(), 1, "{cause:?}");
    }
}

fn any_cause() -> impl Strategy<Value = FailureCause> {
    let classes = [
        ErrorClass::Authentication,
        ErrorClass::Billing,
        ErrorClass::Permission,
        ErrorClass::RateLimit,
        ErrorClass::BadRequest,
        ErrorClass::NotFound,
    ];
    (prop::sample::select(classes.to_vec()), any::<bool>())
        .prop_map(|(class, told)| if told { status_after(class, 20) } else { status(class) })
}

proptest! {
    /// Whatever a tenant's account answers, those of others are used as if nothing had happened.
    #[test]
    fn k1_own_accounts_are_apart(causes in prop::collection::vec(any_cause(), 1..20), keys in 1_usize..4) {
        let (shared, own) = (target_with_keys("a", keys), Arc::new(KeyPool::new(keys)));
        let route = route(vec![(shared.clone(), 1)], vec![]);
        for (at, cause) in causes.iter().enumerate() {
            let now = after(at as u64 * 500);
            let mut plan = plan(&route, &own);
            while let Some(pick) = plan.next(now, 0) {
                prop_assert!(pick.is_own_key());
                plan.failed(pick, cause, now);
            }
            let mut other = Plan::new(route.clone());
            let pick = other.next(now, 0);
            prop_assert!(pick.is_some_and(|pick| !pick.is_own_key()));
        }
    }
}
