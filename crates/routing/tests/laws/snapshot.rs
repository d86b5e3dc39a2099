//! A snapshot of a route decides as the route would, and nothing that is done with it is done to the route.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use weighbridge_routing::{
    Demand, Headroom, HealthPolicy, KeyPool, LatencyOf, LeastBusy, LeastLatency, Limit, LowestCost, Pick,
    Plan, Random, RateLimits, Route, RouteParts, Split, Sticky, Strategy, Target, WeightedRoundRobin,
    stable_hash,
};
use weighbridge_units::{ErrorClass, Monotonic, NanoUsd};

use crate::world::{START, status, status_after, unbounded};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
enum End {
    Answered(u64),
    Failed,
    LeftAlone,
    Unauthenticated,
    /// It goes on for a while.
    Open,
}

fn end() -> impl proptest::strategy::Strategy<Value = End> {
    prop_oneof![
        (1_u64..5_000).prop_map(End::Answered),
        Just(End::Failed),
        Just(End::LeftAlone),
        Just(End::Unauthenticated),
        Just(End::Open),
    ]
}

fn strategies(number: usize) -> Vec<Box<dyn Strategy>> {
    match number {
        0 => vec![Box::new(Random)],
        1 => vec![Box::new(LeastLatency::default())],
        2 => vec![Box::new(LeastLatency { of: LatencyOf::FirstToken })],
        3 => vec![Box::new(LeastBusy)],
        4 => vec![Box::new(LowestCost)],
        5 => vec![Box::new(Headroom), Box::new(Sticky::default())],
        6 => vec![Box::new(Sticky::new(125, Some(Duration::from_secs(300))))],
        7 => vec![Box::new(Split::new(7))],
        _ => vec![Box::new(WeightedRoundRobin::new())],
    }
}

/// Two targets that share three credentials, one with a credential of its own, and a fallback.
fn route(number: usize) -> Arc<Route> {
    let keys = Arc::new(KeyPool::weighted(&[1, 2, 1]));
    let shared = |name: &str| Target::new(name, Arc::clone(&keys), HealthPolicy::default());
    let alone = |name: &str| Target::new(name, Arc::new(KeyPool::new(1)), HealthPolicy::default());
    Route::new(RouteParts {
        primaries: vec![(shared("a"), 1), (shared("b"), 3), (alone("c"), 2)],
        fallbacks: vec![alone("d")],
        strategies: strategies(number),
        retry_budget: unbounded(),
        ..RouteParts::default()
    })
    .unwrap()
}

fn demand(caller: u8) -> Demand {
    let costs = [Some(30), None, Some(20), Some(10)].map(|cost| cost.map(NanoUsd::new));
    Demand { affinity: Some(stable_hash(&[caller])), tokens: 10, costs: costs.into() }
}

fn next(route: &Arc<Route>, caller: u8, now: Monotonic, random: u64) -> Option<Pick> {
    Plan::new(Arc::clone(route)).with_demand(demand(caller)).next(now, random)
}

fn place(pick: Option<&Pick>) -> Option<(usize, usize, bool)> {
    pick.map(|pick| (pick.target().get(), pick.key(), pick.is_probe()))
}

/// Ends a request; an open one is given back.
fn ends(pick: Option<Pick>, end: End, now: Monotonic) -> Option<Pick> {
    let pick = pick?;
    let told = Limit { limit: Some(1_000), remaining: 600, reset: Some(Duration::from_secs(30)) };
    pick.told(&RateLimits { requests: None, tokens: Some(told) }, now);
    match end {
        End::Answered(millis) => pick.succeeded(now + Duration::from_millis(millis)),
        End::Failed => pick.failed(&status(ErrorClass::Server), now),
        End::LeftAlone => pick.failed(&status_after(ErrorClass::Overloaded, 2), now),
        End::Unauthenticated => pick.failed(&status(ErrorClass::Authentication), now),
        End::Open => return Some(pick),
    }
    None
}

proptest! {
    #[test]
    fn a_snapshot_foretells_and_leaves_no_trace(
        number in 0_usize..9,
        story in prop::collection::vec((any::<u8>(), any::<u64>(), 0_u64..3_000, end()), 1..60),
    ) {
        let (route, twin) = (route(number), route(number));
        let (mut now, mut open) = (START, Vec::new());
        for (caller, random, millis, end) in story {
            now = now + Duration::from_millis(millis);
            let snapshot = route.snapshot();
            let foretold = place(next(&snapshot, caller % 8, now, random).as_ref());
            // Whatever else befalls the snapshot befalls it alone.
            for other in 0..4 {
                let pick = next(&snapshot, other, now, random ^ u64::from(other));
                ends(pick, [End::Failed, End::Unauthenticated, End::LeftAlone, end][usize::from(other)], now);
            }
            let picks = [next(&route, caller % 8, now, random), next(&twin, caller % 8, now, random)];
            prop_assert_eq!(place(picks[0].as_ref()), foretold);
            prop_assert_eq!(place(picks[1].as_ref()), foretold);
            open.extend(picks.into_iter().filter_map(|pick| ends(pick, end, now)));
            if open.len() > 12 {
                open.drain(..6);
            }
        }
    }
}

#[test]
fn targets_of_one_provider_share_their_keys_in_a_snapshot_too() {
    let snapshot = route(8).snapshot();
    let keys: Vec<_> = snapshot.targets().map(|target| Arc::clone(target.keys())).collect();
    assert!(Arc::ptr_eq(&keys[0], &keys[1]) && !Arc::ptr_eq(&keys[1], &keys[2]));
    assert_eq!(keys[0].len(), 3);
}
