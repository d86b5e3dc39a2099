//! What follows a failure, end to end through a plan (invariants, table of faults).

use std::sync::Arc;
use std::time::Duration;

use weighbridge_routing::{
    DeadEnd, FailureCause, FallbackRules, HealthPolicy, KeyPool, Plan, Rejection, Route, RouteParts, Target,
    Verdict,
};
use weighbridge_units::ErrorClass;

use crate::world::{
    START, after, callers_own, route, status, status_after, target, target_with_keys, targets_own, unbounded,
    weighted,
};

fn names(plan: &Plan) -> Vec<(usize, &'static str)> {
    plan.decision().excluded.iter().map(|(index, why)| (index.get(), why.as_str())).collect()
}

#[test]
fn a_target_that_fails_is_followed_by_the_next() {
    for cause in targets_own() {
        let mut plan = Plan::new(route(vec![(target("a"), 1)], vec![target("b")]));
        let first = plan.next(START, 0).unwrap();
        assert_eq!(plan.failed(first, &cause, START), Verdict::Next, "{cause:?}");
        let second = plan.next(START, 0).unwrap();
        assert_eq!((second.target().get(), plan.tries()), (1, 2));
        second.succeeded(START);
    }
}

#[test]
fn what_a_request_brings_upon_itself_is_not_repeated() {
    for class in [ErrorClass::BadRequest, ErrorClass::ContextTooLong, ErrorClass::ContentPolicy] {
        let mut plan = Plan::new(route(weighted(&[1, 1]), vec![target("b")]));
        let first = plan.next(START, 0).unwrap();
        assert_eq!(plan.failed(first, &status(class), START), Verdict::Stop, "{class}");
        assert!(plan.next(START, 0).is_none());
        assert_eq!(plan.dead_end(START), DeadEnd::Stopped);
    }
}

#[test]
fn a_prompt_too_long_goes_to_a_configured_fallback_and_not_to_an_equal() {
    let parts = RouteParts {
        primaries: weighted(&[1, 1]),
        fallbacks: vec![target("large")],
        rules: FallbackRules { on_context: true, ..FallbackRules::default() },
        ..RouteParts::default()
    };
    let mut plan = Plan::new(Route::new(parts).unwrap());
    let first = plan.next(START, 0).unwrap();
    assert_eq!(plan.failed(first, &status(ErrorClass::ContextTooLong), START), Verdict::Next);
    let second = plan.next(START, 0).unwrap();
    assert_eq!(second.target().get(), 2);
    assert_eq!(names(&plan), [(1, "only-fallbacks")]);
    second.succeeded(START);
}

#[test]
fn a_refused_key_is_followed_by_another_and_benched_for_other_requests() {
    let route = route(vec![(target_with_keys("a", 3), 1)], vec![target("b")]);
    let mut plan = Plan::new(route.clone());
    let mut tried = Vec::new();
    for class in [ErrorClass::Authentication, ErrorClass::Billing] {
        let pick = plan.next(START, 0).unwrap();
        tried.push((pick.target().get(), pick.key()));
        assert_eq!(plan.failed(pick, &status(class), START), Verdict::NextKey);
    }
    let pick = plan.next(START, 0).unwrap();
    tried.push((pick.target().get(), pick.key()));
    pick.succeeded(START);
    assert_eq!(tried, [(0, 0), (0, 1), (0, 2)]);

    // The next requests use the key that works, and the target was never benched.
    for _ in 0..5 {
        let pick = Plan::new(route.clone()).next(START, 0).unwrap();
        assert_eq!((pick.target().get(), pick.key()), (0, 2));
        pick.succeeded(START);
    }
}

#[test]
fn without_another_key_the_next_target_follows() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let mut plan = Plan::new(route.clone());
    let first = plan.next(START, 0).unwrap();
    assert_eq!(plan.failed(first, &status(ErrorClass::Authentication), START), Verdict::NextKey);
    let second = plan.next(START, 0).unwrap();
    assert_eq!(second.target().get(), 1);
    second.succeeded(START);
    assert_eq!(names(&plan), [(0, "no-key")]);

    // The next request does not even try the refused key.
    let pick = Plan::new(route).next(START, 0).unwrap();
    assert_eq!(pick.target().get(), 1);
    pick.succeeded(START);
}

#[test]
fn a_refused_key_is_tried_for_want_of_anything_better() {
    let keys = Arc::new(KeyPool::new(1));
    let only = Target::new("a", keys.clone(), HealthPolicy::default());
    let route = route(vec![(only, 1)], vec![]);
    keys.refused(0, START);
    let mut plan = Plan::new(route);
    let pick = plan.next(START, 0).unwrap();
    assert_eq!(plan.failed(pick, &status(ErrorClass::Authentication), START), Verdict::NextKey);
    assert!(plan.next(START, 0).is_none());
    assert_eq!(plan.dead_end(START), DeadEnd::AllTried);
}

#[test]
fn a_target_is_left_alone_for_as_long_as_it_asked() {
    for class in [ErrorClass::RateLimit, ErrorClass::Overloaded] {
        let route = route(vec![(target("a"), 1)], vec![target("b")]);
        let mut plan = Plan::new(route.clone());
        let first = plan.next(START, 0).unwrap();
        plan.failed(first, &status_after(class, 7), START);
        for (millis, expected) in [(0, 1), (6_999, 1), (7_000, 0)] {
            let pick = Plan::new(route.clone()).next(after(millis), 0).unwrap();
            assert_eq!(pick.target().get(), expected, "{class} after {millis} ms");
            pick.succeeded(after(millis));
        }
    }
}

#[test]
fn the_only_target_left_alone_is_a_429_with_its_retry_after() {
    let route = route(vec![(target("a"), 1)], vec![]);
    let mut plan = Plan::new(route.clone());
    let pick = plan.next(START, 0).unwrap();
    plan.failed(pick, &status_after(ErrorClass::RateLimit, 7), START);
    assert!(plan.next(START, 0).is_none());
    let left_alone = |seconds| DeadEnd::LeftAlone {
        class: ErrorClass::RateLimit,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    assert_eq!(plan.dead_end(START), left_alone(7));

    // The next request is not sent at all, and learns the same.
    let mut plan = Plan::new(route);
    assert!(plan.next(after(2_000), 0).is_none());
    assert_eq!(plan.dead_end(after(2_000)), left_alone(5));
    assert_eq!((plan.tries(), names(&plan)), (0, vec![(0, "left-alone")]));
}

#[test]
fn of_several_left_alone_the_first_that_is_back_counts() {
    let answers = [(ErrorClass::Overloaded, 9), (ErrorClass::RateLimit, 4)];
    for answers in [answers, [answers[1], answers[0]]] {
        let mut plan = Plan::new(route(weighted(&[1, 1]), vec![]));
        for (class, seconds) in answers {
            let pick = plan.next(START, 0).unwrap();
            plan.failed(pick, &status_after(class, seconds), START);
        }
        assert!(plan.next(START, 0).is_none());
        let retry_after = Some(Duration::from_secs(4));
        assert_eq!(plan.dead_end(START), DeadEnd::LeftAlone { class: ErrorClass::RateLimit, retry_after });
    }
}

#[test]
fn a_drained_target_that_is_left_alone_says_nothing() {
    let route = route(weighted(&[0, 1]), vec![]);
    let drained = route.targets().next().unwrap();
    drained.health().failed(&status_after(ErrorClass::RateLimit, 3), START, false, START);
    let mut plan = Plan::new(route);
    let pick = plan.next(START, 0).unwrap();
    plan.reject(pick, Rejection::Price, START);
    assert!(plan.next(START, 0).is_none());
    assert_eq!(plan.dead_end(START), DeadEnd::AllTried);
}

#[test]
fn a_key_that_works_again_is_forgiven() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    let keys = route.targets().next().unwrap().keys();
    keys.refused(0, START);
    let pick = Plan::new(route.clone()).next(after(10_000), 0).unwrap();
    assert_eq!(pick.target().get(), 0);
    pick.succeeded(after(10_000));
    keys.refused(0, after(10_000));
    assert!(keys.any_ready(after(20_000)), "benched as if for the first time");
}

#[test]
fn a_target_that_the_caller_rejects_costs_no_try() {
    let route = route(weighted(&[1, 1]), vec![target("c")]);
    let mut plan = Plan::new(route);
    for rejection in [Rejection::Price, Rejection::Budget] {
        let pick = plan.next(START, 0).unwrap();
        plan.reject(pick, rejection, START);
    }
    let pick = plan.next(START, 0).unwrap();
    assert_eq!((pick.target().get(), plan.tries()), (2, 1));
    assert_eq!(names(&plan), [(0, "price"), (1, "budget")]);
    pick.succeeded(START);
}

#[test]
fn callers_never_bench_a_target_or_a_key() {
    let route = route(vec![(target("a"), 1)], vec![target("b")]);
    for cause in callers_own() {
        for _ in 0..100 {
            let mut plan = Plan::new(route.clone());
            let pick = plan.next(START, 0).unwrap();
            assert_eq!(pick.target().get(), 0, "{cause:?}");
            plan.failed(pick, &cause, START);
        }
    }
}

#[test]
fn a_failure_after_the_commit_point_speaks_against_the_target() {
    let route = Route::new(RouteParts {
        primaries: vec![(target("a"), 1)],
        fallbacks: vec![target("b")],
        retry_budget: unbounded(),
        ..RouteParts::default()
    })
    .unwrap();
    for _ in 0..5 {
        let pick = Plan::new(route.clone()).next(START, 0).unwrap();
        assert_eq!(pick.target().get(), 0);
        // The plan is gone by now: the stream breaks later.
        pick.failed(&FailureCause::Broken, after(10));
    }
    let pick = Plan::new(route).next(after(10), 0).unwrap();
    assert_eq!(pick.target().get(), 1);
    pick.succeeded(after(10));
}

#[test]
fn a_preferred_target_is_asked_first_while_it_is_healthy() {
    let route = route(weighted(&[1, 1, 0]), vec![target("d")]);
    let first = |position| {
        let mut plan = Plan::new(route.clone());
        plan.prefer(position);
        let pick = plan.next(START, 0).unwrap();
        let index = pick.target().get();
        plan.reject(pick, Rejection::Price, START);
        let second = plan.next(START, 0).unwrap();
        assert_ne!(second.target().get(), index, "it is asked once");
        second.succeeded(START);
        index
    };
    for position in [0, 1, 3] {
        assert_eq!(first(position), position);
    }
    // One that is drained, that does not exist, or that asked to be left alone changes nothing.
    assert!([2, 4, 999].into_iter().all(|position| first(position) < 2));
    let last = route.targets().last().unwrap();
    last.health().failed(&status_after(ErrorClass::RateLimit, 3), START, false, START);
    assert!(first(3) < 2);
}
