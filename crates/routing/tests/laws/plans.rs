//! What holds for every plan, whatever happens to it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weighbridge_routing::{FailureCause, FallbackRules, Plan, Rejection, Route, RouteParts, Target};
use weighbridge_units::ErrorClass;

use crate::world::{START, callers_own, status, status_after, target_with_keys, targets_own, unbounded};

/// One thing that can happen to a pick.
#[derive(Debug, Clone)]
enum Fate {
    Succeeds,
    Fails(FailureCause),
    IsRejected,
    ClientLeaves,
}

fn fate() -> impl Strategy<Value = Fate> {
    let mut causes: Vec<_> = targets_own().into_iter().chain(callers_own()).collect();
    causes.extend([ErrorClass::Authentication, ErrorClass::Billing, ErrorClass::RateLimit].map(status));
    causes.push(status_after(ErrorClass::RateLimit, 3));
    causes.push(status_after(ErrorClass::Overloaded, 20));
    prop_oneof![
        2 => Just(Fate::Succeeds),
        8 => prop::sample::select(causes).prop_map(Fate::Fails),
        1 => Just(Fate::IsRejected),
        1 => Just(Fate::ClientLeaves),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    weights: Vec<u32>,
    fallbacks: usize,
    keys: usize,
    rules: [bool; 4],
    /// Requests one after another: time gone by before each pick, and its fate.
    requests: Vec<Vec<(u64, Fate)>>,
}

fn case() -> impl Strategy<Value = Case> {
    let request = prop::collection::vec((0_u64..2_000, fate()), 12);
    (
        prop::collection::vec(0_u32..5, 0..5),
        0_usize..4,
        1_usize..4,
        any::<[bool; 4]>(),
        prop::collection::vec(request, 1..40),
    )
        .prop_map(|(mut weights, fallbacks, keys, rules, requests)| {
            if fallbacks == 0 {
                weights.push(1);
            }
            Case { weights, fallbacks, keys, rules, requests }
        })
}

fn route_of(case: &Case) -> Arc<Route> {
    let named = |name: String| target_with_keys(&name, case.keys);
    let weights = case.weights.iter().enumerate();
    let primaries: Vec<(Arc<Target>, u32)> = weights.map(|(at, w)| (named(format!("p{at}")), *w)).collect();
    Route::new(RouteParts {
        primaries,
        fallbacks: (0..case.fallbacks).map(|at| named(format!("f{at}"))).collect(),
        rules: FallbackRules {
            on_context: case.rules[0],
            on_content: case.rules[1],
            on_error: case.rules[2],
            on_rate_limit: case.rules[3],
        },
        retry_budget: unbounded(),
        ..RouteParts::default()
    })
    .unwrap()
}

/// Runs a case; gives everything that was chosen and excluded, and checks the laws of a plan.
fn run(case: &Case) -> Result<String, TestCaseError> {
    let route = route_of(case);
    let mut now = START;
    let mut trace = String::new();
    for (number, request) in case.requests.iter().enumerate() {
        let mut plan = Plan::new(route.clone());
        let mut seen = HashSet::new();
        let mut last = None;
        let mut ended = false;
        for (millis, fate) in request {
            now = now + Duration::from_millis(*millis);
            let Some(pick) = plan.next(now, number as u64) else {
                ended = true;
                trace += &format!("{:?}\n", plan.dead_end(now));
                break;
            };
            trace += &format!("{pick:?} ");
            let (target, key) = (pick.target().get(), pick.key());
            prop_assert!(key < case.keys);
            prop_assert!(case.weights.get(target).is_none_or(|weight| *weight > 0), "a drained target");
            prop_assert!(seen.insert((target, key)), "target {} twice with key {}", target, key);
            let again = seen.iter().any(|(t, k)| *t == target && *k != key);
            prop_assert!(
                !again || last == Some((target, true)),
                "target {} twice without a refused key",
                target
            );
            let mut key_refused = false;
            match fate {
                Fate::Succeeds => {
                    pick.succeeded(now);
                    break;
                }
                Fate::ClientLeaves => break,
                Fate::IsRejected => plan.reject(pick, Rejection::Price, now),
                Fate::Fails(cause) => {
                    key_refused = cause.blames_key();
                    plan.failed(pick, cause, now);
                }
            }
            last = Some((target, key_refused));
        }
        if ended {
            prop_assert!(plan.next(now, 0).is_none(), "an ended plan stays ended");
        }
        trace += &format!("{:?}\n", plan.decision().excluded);
    }
    // However it went: an hour later everyone is back, and nobody holds a probe's place for ever.
    now = now + Duration::from_secs(3_601);
    prop_assert!(Plan::new(route.clone()).next(now, 0).is_some());
    Ok(trace)
}

proptest! {
    #[test]
    fn a_target_is_tried_once_and_the_same_calls_give_the_same_trace(case in case()) {
        prop_assert_eq!(run(&case)?, run(&case)?);
    }

    /// A single target is never benched away: unless it asked to be left alone, it is tried.
    #[test]
    fn a_single_target_is_always_tried(fates in prop::collection::vec((fate(), 0_u64..3_000), 1..60)) {
        let case = Case { weights: vec![1], fallbacks: 0, keys: 1, rules: [false; 4], requests: vec![] };
        let route = route_of(&case);
        let (mut now, mut left_alone) = (START, START);
        for (fate, millis) in fates {
            now = now + Duration::from_millis(millis);
            let mut plan = Plan::new(route.clone());
            let pick = plan.next(now, 0);
            prop_assert_eq!(pick.is_none(), now < left_alone);
            let Some(pick) = pick else { continue };
            match fate {
                Fate::Succeeds => pick.succeeded(now),
                Fate::ClientLeaves => {}
                Fate::IsRejected => plan.reject(pick, Rejection::Price, now),
                Fate::Fails(cause) => {
                    left_alone = left_alone.max(cause.retry_after().map_or(START, |after| now + after));
                    plan.failed(pick, &cause, now);
                }
            }
        }
    }
}

proptest! {
    /// What was taken out at first is not handed out, whatever becomes of the others: not as a last resort either.
    #[test]
    fn what_is_excluded_is_never_handed_out(case in case(), excluded in prop::collection::hash_set(0_usize..10, 0..10)) {
        let route = route_of(&case);
        let mut now = START;
        for request in &case.requests {
            let mut plan = Plan::new(route.clone());
            excluded.iter().for_each(|position| plan.exclude(*position, Rejection::Residency));
            for (waited, fate) in request {
                now = now + Duration::from_millis(*waited);
                let Some(pick) = plan.next(now, *waited) else { break };
                prop_assert!(!excluded.contains(&pick.target().get()));
                match fate {
                    Fate::Fails(cause) => drop(plan.failed(pick, cause, now)),
                    Fate::IsRejected => plan.reject(pick, Rejection::Budget, now),
                    Fate::Succeeds | Fate::ClientLeaves => drop(pick),
                }
            }
        }
    }
}
