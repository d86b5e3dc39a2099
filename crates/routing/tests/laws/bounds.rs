//! What bounds benching, waiting and second attempts.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weighbridge_routing::{
    Availability, DeadEnd, FailureCause, FallbackRules, HealthPolicy, KeyPool, Limit, Plan, RateLimits,
    RetryBudget, RetryPolicy, Route, RouteParts, Target, Verdict,
};
use weighbridge_units::{ErrorClass, Monotonic};

use crate::world::{START, after, route, status, status_after, target, targets_own, unbounded, weighted};

/// Benches a target for its share of failures, not for failures in a row.
fn bench_as_outlier(target: &Target) {
    for outcome in 0..40 {
        match outcome % 2 {
            0 => target.health().succeeded(START, START),
            _ => target.health().failed(&FailureCause::Broken, START, false, START),
        }
    }
    assert!(matches!(target.availability(START), Availability::Benched { .. }));
}

fn bench_as_down(target: &Target) {
    (0..5).for_each(|_| target.health().failed(&FailureCause::Broken, START, false, START));
}

/// The first choices of 60 requests.
fn chosen(route: &Arc<Route>) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..60)
        .map(|_| {
            let pick = Plan::new(route.clone()).next(START, 0).unwrap();
            pick.target().get()
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

proptest! {
    #[test]
    fn never_more_than_a_share_of_the_primaries_is_benched_for_its_share_of_failures(
        primaries in 1_usize..12, outliers in 0_usize..12, percent in 0_u32..=100,
    ) {
        let parts = RouteParts {
            primaries: weighted(&vec![1; primaries]),
            outliers_percent: percent,
            retry_budget: unbounded(),
            ..RouteParts::default()
        };
        let route = Route::new(parts).unwrap();
        route.targets().take(outliers).for_each(|target| bench_as_outlier(target));
        let most = (primaries * percent as usize / 100).max(1);
        let outliers = outliers.min(primaries);
        // Where all may be benched and are, all are tried for want of anything better.
        let expected = if outliers == primaries && most >= primaries { 0 } else { outliers.min(most) };
        let benched = primaries - chosen(&route).len();
        prop_assert!(benched <= most, "{benched} of {primaries} benched");
        prop_assert_eq!(benched, expected);
    }

    #[test]
    fn a_cool_down_is_spread_within_its_share(random in any::<u64>(), percent in 0_u32..=100) {
        let policy = HealthPolicy { jitter_percent: percent, ..HealthPolicy::default() };
        let target = Target::new("a", Arc::new(KeyPool::new(1)), policy);
        let parts = RouteParts { primaries: vec![(target.clone(), 1)], retry_budget: unbounded(), ..RouteParts::default() };
        let route = Route::new(parts).unwrap();
        for _ in 0..5 {
            Plan::new(route.clone()).next(START, random).unwrap().failed(&FailureCause::Broken, START);
        }
        let Availability::Benched { until } = target.availability(START) else { panic!("not benched") };
        let longest = Duration::from_millis(1_000 + u64::from(percent) * 10);
        let time = until.since(START);
        prop_assert!(time >= Duration::from_secs(1) && time <= longest, "{time:?}");
        // All of the share is used, evenly: what was benched together comes back spread out.
        let part = u128::from(percent) * 10_000 * u128::from(random) / u128::from(u64::MAX);
        let expected = 1_000_000 + part;
        prop_assert!(time.as_micros().abs_diff(expected) < 1_000, "{time:?}, not {expected} µs");
    }
}

#[test]
fn what_fails_in_a_row_is_down_and_not_an_outlier() {
    let route = route(weighted(&[1, 1, 1]), vec![]);
    route.targets().take(2).for_each(|target| bench_as_down(target));
    assert_eq!(chosen(&route), [2]);
}

#[test]
fn outliers_stay_benched_where_a_fallback_is_healthy() {
    let route = route(weighted(&[1, 1]), vec![target("f")]);
    route.targets().take(2).for_each(|target| bench_as_outlier(target));
    assert_eq!(chosen(&route), [2]);
    bench_as_down(route.targets().last().unwrap());
    assert_eq!(chosen(&route).len(), 1, "one of the two primaries takes part again");
    assert!(chosen(&route)[0] < 2);
}

fn told(remaining: u64, seconds: u64) -> RateLimits {
    let reset = Some(Duration::from_secs(seconds));
    RateLimits { requests: Some(Limit { limit: None, remaining, reset }), tokens: None }
}

#[test]
fn who_has_nothing_left_of_its_limits_is_passed_over_and_used_for_want_of_anything_better() {
    let with_other = route(vec![(target("a"), 1)], vec![target("b")]);
    let alone = route(vec![(with_other.targets().next().unwrap().clone(), 1)], vec![]);
    let tell = |remaining, reset| {
        let pick = Plan::new(alone.clone()).next(START, 0).unwrap();
        pick.told(&told(remaining, reset), START);
        pick.succeeded(START);
    };
    let first = |route: &Arc<Route>, millis| {
        let pick = Plan::new(route.clone()).next(after(millis), 0).unwrap();
        pick.target().get()
    };
    tell(1, 30);
    assert_eq!(first(&with_other, 0), 0, "something is left");
    tell(0, 30);
    assert_eq!([0, 29_999, 30_000].map(|millis| first(&with_other, millis)), [1, 1, 0]);
    assert_eq!(first(&alone, 0), 0, "a single target is never benched away");
    // A limit that is said to be full only tomorrow has room long before.
    tell(0, 86_400);
    assert_eq!([59_999, 60_000].map(|millis| first(&with_other, millis)), [1, 0]);
}

fn with_limits_per_key(keys: usize) -> Arc<Route> {
    let policy = HealthPolicy { limit_per_key: true, ..HealthPolicy::default() };
    route(vec![(Target::new("a", Arc::new(KeyPool::new(keys)), policy), 1)], vec![target("b")])
}

#[test]
fn where_each_key_has_its_limits_another_follows_the_one_that_met_them() {
    let route = with_limits_per_key(2);
    let mut plan = Plan::new(route.clone());
    let limit = status_after(ErrorClass::RateLimit, 7);
    let first = plan.next(START, 0).unwrap();
    let met = first.key();
    assert_eq!(plan.failed(first, &limit, START), Verdict::NextKey);
    let second = plan.next(START, 0).unwrap();
    assert_eq!((second.target().get(), second.key()), (0, 1 - met));
    second.succeeded(START);
    for _ in 0..4 {
        let pick = Plan::new(route.clone()).next(START, 0).unwrap();
        assert_eq!((pick.target().get(), pick.key()), (0, 1 - met), "it rests for others too");
    }
    // With the last of them, the target is left alone until the first is back.
    let mut plan = Plan::new(route.clone());
    let pick = plan.next(after(1_000), 0).unwrap();
    plan.failed(pick, &limit, after(1_000));
    assert_eq!(plan.next(after(1_000), 0).unwrap().target().get(), 1);
    let pick = Plan::new(route).next(after(7_000), 0).unwrap();
    assert_eq!((pick.target().get(), pick.key()), (0, met));
}

fn ruled(rules: FallbackRules) -> Arc<Route> {
    let parts = RouteParts {
        primaries: weighted(&[1, 1]),
        fallbacks: vec![target("f")],
        rules,
        retry_budget: unbounded(),
        ..RouteParts::default()
    };
    Route::new(parts).unwrap()
}

/// Whether the fallback is reached after both primaries have failed so.
fn falls_back(rules: FallbackRules, causes: [FailureCause; 2]) -> bool {
    let mut plan = Plan::new(ruled(rules));
    for cause in causes {
        let pick = plan.next(START, 0).unwrap();
        assert!(pick.target().get() < 2, "equals come first");
        plan.failed(pick, &cause, START);
    }
    plan.next(START, 0).is_some_and(|pick| pick.target().get() == 2)
}

#[test]
fn fallbacks_serve_what_they_are_for() {
    let all = FallbackRules::default();
    let not_errors = FallbackRules { on_error: false, ..all };
    let not_limits = FallbackRules { on_rate_limit: false, ..all };
    let limit = status(ErrorClass::RateLimit);
    for error in targets_own() {
        assert!(falls_back(all, [error, limit]) && falls_back(not_limits, [error, error]));
        assert!(!falls_back(not_errors, [error, error]), "{error:?}");
        // Of several things that happened, one that they serve is enough.
        assert!(falls_back(not_errors, [error, limit]) && falls_back(not_limits, [limit, error]));
    }
    assert!(!falls_back(not_limits, [limit, limit]));
}

#[test]
fn fallbacks_do_not_take_the_place_of_primaries_that_are_away_either() {
    let rules = FallbackRules { on_error: false, on_rate_limit: false, ..FallbackRules::default() };
    let down = ruled(rules);
    down.targets().take(2).for_each(|target| bench_as_down(target));
    assert!(chosen(&down)[0] < 2, "tried for want of anything better");
    let limited = ruled(rules);
    let limit = status_after(ErrorClass::RateLimit, 5);
    limited.targets().take(2).for_each(|target| target.health().failed(&limit, START, false, START));
    let mut plan = Plan::new(limited);
    assert!(plan.next(START, 0).is_none());
    let retry_after = Some(Duration::from_secs(5));
    assert_eq!(plan.dead_end(START), DeadEnd::LeftAlone { class: ErrorClass::RateLimit, retry_after });
    let names: Vec<_> = plan.decision().excluded.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(names, ["left-alone", "left-alone", "only-primaries"]);
}

#[test]
fn a_hedge_is_another_healthy_target_out_of_the_retry_budget() {
    let budget = Arc::new(RetryBudget::new(RetryPolicy { floor: 1, percent: 0, ..RetryPolicy::default() }));
    let parts = RouteParts {
        primaries: vec![(target("a"), 1)],
        fallbacks: vec![target("b"), target("c")],
        retry_budget: budget,
        ..RouteParts::default()
    };
    let route = Route::new(parts).unwrap();
    bench_as_down(route.targets().nth(1).unwrap());
    let mut plan = Plan::new(route.clone());
    let first = plan.next(START, 0).unwrap();
    let second = plan.hedge(START, 0).unwrap();
    assert_eq!((first.target().get(), second.target().get(), plan.tries()), (0, 2, 2));
    // The budget is spent, which does not end the request.
    assert!(plan.hedge(START, 0).is_none());
    let mut other = Plan::new(route);
    let only = other.next(START, 0).unwrap();
    assert!(other.hedge(START, 0).is_none());
    other.failed(only, &FailureCause::Broken, START);
    assert_ne!(other.dead_end(START), DeadEnd::RetriesSpent);
}

#[test]
fn where_nobody_is_left_a_short_retry_after_is_waited_for_once() {
    let mut plan = Plan::new(route(weighted(&[1, 1]), vec![]));
    for seconds in [3, 1] {
        let pick = plan.next(START, 0).unwrap();
        plan.failed(pick, &status_after(ErrorClass::RateLimit, seconds), START);
    }
    assert!(plan.next(START, 0).is_none());
    assert_eq!(plan.wait(Duration::from_millis(999), START, 0), None, "longer than may be waited");
    let wait = plan.wait(Duration::from_secs(1), START, u64::MAX).unwrap();
    assert!(wait >= Duration::from_secs(1) && wait <= Duration::from_millis(1_100), "{wait:?}");
    let pick = plan.next(START + wait, 0).unwrap();
    plan.failed(pick, &status_after(ErrorClass::RateLimit, 1), START + wait);
    assert_eq!(plan.wait(Duration::from_secs(9), START + wait, 0), None);
    // What ended for another reason is not waited for.
    let mut stopped = Plan::new(route(weighted(&[1]), vec![]));
    let pick = stopped.next(START, 0).unwrap();
    stopped.failed(pick, &status(ErrorClass::BadRequest), START);
    assert_eq!(stopped.wait(Duration::from_secs(9), START, 0), None);
}

#[test]
fn a_copy_is_for_a_healthy_target_and_earns_nothing() {
    let budget = Arc::new(RetryBudget::new(RetryPolicy { floor: 0, percent: 100, ..RetryPolicy::default() }));
    let parts =
        RouteParts { primaries: weighted(&[1, 1]), retry_budget: budget.clone(), ..RouteParts::default() };
    let route = Route::new(parts).unwrap();
    let mut plan = Plan::new(route.clone());
    let _copy = plan.copy(START, 0).unwrap();
    assert!(plan.next(START, 0).is_none(), "it is tried once");
    assert!(!budget.take(START), "no request was counted");
    route.targets().for_each(|target| bench_as_down(target));
    assert!(Plan::new(route).copy(START, 0).is_none());
}

#[test]
fn an_active_probe_that_is_answered_ends_the_cool_down_and_not_the_doubt() {
    let target = target("a");
    for now in [Monotonic::from_micros(0), START] {
        target.health().answered_probe(now);
        assert_eq!(target.availability(now), Availability::Ready, "it was not benched");
    }
    bench_as_down(&target);
    target.health().answered_probe(after(1));
    assert_eq!(target.availability(after(1)), Availability::Probe);
}
