//! Strategies: each leaves what it is for, and all of them keep the laws of a choice.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use weighbridge_routing::{
    Choice, Demand, FailureCause, Headroom, HealthPolicy, KeyPool, LatencyOf, LeastBusy, LeastLatency, Limit,
    LowestCost, Pick, Plan, Random, RateLimits, Route, RouteError, RouteParts, Split, Sticky, Strategy,
    Target, TimeLimit, stable_hash,
};
use weighbridge_units::{ErrorClass, Monotonic, NanoUsd};

use crate::world::{START, after, status, unbounded, weighted};

fn of(strategies: Vec<Box<dyn Strategy>>, weights: &[u32]) -> Arc<Route> {
    let primaries = weighted(weights);
    Route::new(RouteParts { primaries, strategies, retry_budget: unbounded(), ..RouteParts::default() })
        .unwrap()
}

fn one(strategy: impl Strategy + 'static, weights: &[u32]) -> Arc<Route> {
    of(vec![Box::new(strategy)], weights)
}

fn pick(route: &Arc<Route>, demand: &Demand, now: Monotonic, random: u64) -> Pick {
    Plan::new(Arc::clone(route)).with_demand(demand.clone()).next(now, random).unwrap()
}

/// Where a request would go that ends at once, unobserved.
fn goes(route: &Arc<Route>, demand: &Demand, now: Monotonic, random: u64) -> usize {
    pick(route, demand, now, random).target().get()
}

fn by(affinity: u64) -> Demand {
    Demand { affinity: Some(affinity), ..Demand::default() }
}

/// Callers as hashes have them.
fn caller(number: u32) -> Demand {
    by(stable_hash(&number.to_be_bytes()))
}

fn observed(route: &Route, at: usize) -> &weighbridge_routing::Observed {
    route.targets().nth(at).unwrap().observed()
}

/// Benches a target for a second.
fn bench(route: &Route, at: usize, now: Monotonic) {
    let target = route.targets().nth(at).unwrap();
    (0..5).for_each(|_| target.health().failed(&FailureCause::Broken, now, false, now));
}

/// An answer of the target that a request is given, so long after it was sent; how long `n` of them took is told.
fn answers(route: &Arc<Route>, latencies: &[u64], now: Monotonic) {
    let picks: Vec<Pick> = latencies.iter().map(|_| pick(route, &Demand::default(), now, 0)).collect();
    for pick in picks {
        let latency = latencies[pick.target().get()];
        pick.succeeded(now + Duration::from_millis(latency));
    }
}

fn every() -> Vec<Box<dyn Strategy>> {
    vec![
        Box::new(Random),
        Box::new(LeastLatency::default()),
        Box::new(LeastLatency { of: LatencyOf::FirstToken }),
        Box::new(LeastBusy),
        Box::new(LowestCost),
        Box::new(Headroom),
        Box::new(Sticky::default()),
        Box::new(Sticky::new(110, Some(Duration::from_secs(300)))),
        Box::new(Split::new(7)),
    ]
}

#[derive(Debug, Clone)]
struct Step {
    affinity: Option<u8>,
    random: u64,
    gap_ms: u64,
    /// What becomes of the oldest attempt that is under way.
    end: u8,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = (any::<Option<u8>>(), any::<u64>(), 0_u64..4_000, any::<u8>())
        .prop_map(|(affinity, random, gap_ms, end)| Step { affinity, random, gap_ms, end });
    prop::collection::vec(step, 1..40)
}

/// Plays the steps; where each request went, and what is in flight at last.
fn play(
    strategies: Vec<Box<dyn Strategy>>,
    weights: &[u32],
    steps: &[Step],
) -> (Vec<usize>, u32, Vec<Choice>) {
    let route = of(strategies, weights);
    let (mut trace, mut choices, mut open, mut now) = (Vec::new(), Vec::new(), Vec::new(), START);
    for Step { affinity, random, gap_ms, end } in steps {
        let costs =
            (0..weights.len() as i64).map(|at| (at != 2).then(|| NanoUsd::new((at + 3) % 4))).collect();
        let demand = Demand { affinity: affinity.map(u64::from), tokens: 100, costs };
        let mut plan = Plan::new(Arc::clone(&route)).with_demand(demand);
        let Some(pick) = plan.next(now, *random) else { continue };
        trace.push(pick.target().get());
        choices.extend(plan.decision().choice.clone());
        open.push((plan, pick));
        now = now + Duration::from_millis(*gap_ms);
        if open.len() < 3 {
            continue;
        }
        let (mut plan, mut pick) = open.remove(0);
        match end % 5 {
            0 => drop(pick),
            1 => {
                plan.failed(pick, &status(ErrorClass::Server), now);
            }
            2 => {
                plan.failed(pick, &FailureCause::TimedOut(TimeLimit::FirstByte), now);
            }
            3 => {
                let remaining = u64::from(*end);
                let limit = Limit { limit: Some(255), remaining, reset: Some(Duration::from_secs(30)) };
                pick.told(&RateLimits { requests: Some(limit), tokens: None }, now);
                pick.succeeded(now);
            }
            _ => {
                pick.began(now);
                pick.succeeded(now);
            }
        }
    }
    drop(open);
    (trace, route.targets().map(|target| target.observed().in_flight()).sum(), choices)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn every_choice_is_one_that_can_be_told(
        weights in prop::collection::vec(1_u32..9, 2..24), steps in steps(), order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(),
        count in 1_usize..4,
    ) {
        let chosen = || {
            let mut all: Vec<Option<Box<dyn Strategy>>> = every().into_iter().map(Some).collect();
            let mut chosen: Vec<Box<dyn Strategy>> = Vec::new();
            for strategy in order.iter().filter_map(|at| all[*at].take()) {
                // Scores name their strategy: two of one name could not be told apart.
                if chosen.len() < count && chosen.iter().all(|other| other.name() != strategy.name()) {
                    chosen.push(strategy);
                }
            }
            chosen
        };
        let (trace, in_flight, choices) = play(chosen(), &weights, &steps);
        prop_assert_eq!(in_flight, 0, "every attempt has ended");
        prop_assert!(!trace.is_empty() && trace.iter().all(|at| *at < weights.len()));
        for choice in &choices {
            prop_assert!(choice.candidates >= 2 && choice.candidates <= weights.len());
            prop_assert_eq!(choice.scores.len(), choice.candidates.min(Choice::MOST));
            let (chosen, others) = choice.scores.split_first().unwrap();
            let beaten = others.iter().filter(|other| other.by == chosen.by);
            // Bounded loads may pass over the nearest.
            prop_assert!(chosen.by == "sticky" || beaten.clone().all(|other| chosen.score <= other.score), "{:?}", choice);
            prop_assert_eq!(chosen.by, choice.by);
        }
        let (again, _, same) = play(chosen(), &weights, &steps);
        prop_assert_eq!((again, same), (trace, choices), "the same calls, the same choices");
    }

    #[test]
    fn least_busy_keeps_loads_in_proportion(weights in prop::collection::vec(1_u32..6, 2..10)) {
        let route = one(LeastBusy, &weights);
        let total: u32 = weights.iter().sum();
        let open: Vec<Pick> = (0..total * 3).map(|_| pick(&route, &Demand::default(), START, 0)).collect();
        for (at, weight) in weights.iter().enumerate() {
            prop_assert_eq!(observed(&route, at).in_flight(), weight * 3);
        }
        drop(open);
    }

    #[test]
    fn sticky_bounds_loads(affinities in prop::collection::vec(0_u64..3, 50..200), weights in prop::collection::vec(1_u32..4, 2..8)) {
        let route = one(Sticky::default(), &weights);
        let total: u32 = weights.iter().sum();
        let mut open = Vec::new();
        for (sent, affinity) in (1..).zip(affinities) {
            open.push(pick(&route, &by(affinity), START, 0));
            for (at, weight) in weights.iter().enumerate() {
                let share = f64::from(sent) * f64::from(*weight) / f64::from(total);
                let in_flight = f64::from(observed(&route, at).in_flight());
                prop_assert!(in_flight <= (share * 1.25).max(3.0) + 1.0, "{} of {}", in_flight, share);
            }
        }
    }
}

#[test]
fn random_keeps_shares_and_draws_anew() {
    let route = one(Random, &[1, 3]);
    let heavy = (0..4_000).filter(|random| goes(&route, &Demand::default(), START, *random) == 1).count();
    assert!((2_900..3_100).contains(&heavy), "{heavy}");
}

#[test]
fn split_keeps_a_caller_on_one_side_and_shares_by_weight() {
    let (route, other) = (one(Split::new(1), &[9, 1]), one(Split::new(2), &[9, 1]));
    let side = |route, number, random| goes(route, &caller(number), START, random);
    let canary: Vec<u32> = (0..20_000).filter(|number| side(&route, *number, 0) == 1).collect();
    assert!((1_880..2_120).contains(&canary.len()), "{}", canary.len());
    assert!(canary.iter().all(|number| (1..5).all(|random| side(&route, *number, random) == 1)));
    let both = canary.iter().filter(|number| side(&other, **number, 0) == 1).count();
    assert!(both < 300, "another trial hits others: {both}");
    // A larger share takes nobody off the canary who was on it.
    let wider = one(Split::new(1), &[8, 2]);
    assert!(canary.iter().all(|number| side(&wider, *number, 0) == 1));
}

#[test]
fn split_sends_callers_elsewhere_only_while_their_side_is_away() {
    let route = one(Split::new(1), &[1, 1]);
    let sides = |now| (0..50).map(|number| goes(&route, &caller(number), now, 0)).collect::<Vec<_>>();
    let before = sides(START);
    assert!(before.contains(&0) && before.contains(&1));
    bench(&route, 0, START);
    assert!(sides(after(500)).iter().all(|side| *side == 1));
    bench(&route, 1, START);
    route.targets().for_each(|target| target.health().succeeded(after(1_100), after(1_200)));
    assert_eq!(sides(after(1_300)), before);
}

#[test]
fn without_an_affinity_value_the_next_strategy_decides() {
    let split: Box<dyn Strategy> = Box::new(Split::new(1));
    for strategy in [split, Box::new(Sticky::default())] {
        let route = of(vec![strategy, Box::new(LowestCost)], &[1, 1, 1]);
        let costs = [3, 1, 2].map(|nanos| Some(NanoUsd::new(nanos))).into();
        assert_eq!(goes(&route, &Demand { costs, ..Demand::default() }, START, 9), 1);
    }
}

#[test]
fn sticky_moves_only_what_belonged_to_the_one_that_is_away() {
    let route = one(Sticky::default(), &[1; 5]);
    let places = |now| (0..200).map(|number| goes(&route, &caller(number), now, 3)).collect::<Vec<_>>();
    let before = places(START);
    bench(&route, 2, START);
    let moved = places(after(500));
    assert!(before.iter().zip(&moved).all(|(was, is)| if *was == 2 { *is != 2 } else { was == is }));
    // Without a memory they come back with it.
    route.targets().for_each(|target| target.health().succeeded(after(1_100), after(1_200)));
    assert_eq!(places(after(1_300)), before);
}

#[test]
fn sticky_remembers_where_a_value_went_for_as_long_as_the_cache_lives() {
    let route = one(Sticky::new(125, Some(Duration::from_secs(300))), &[1; 5]);
    let wanderer =
        (0..).map(caller).find(|caller| goes(&one(Sticky::default(), &[1; 5]), caller, START, 0) == 2);
    let wanderer = wanderer.unwrap();
    bench(&route, 2, START);
    let refuge = goes(&route, &wanderer, after(500), 0);
    assert_ne!(refuge, 2);
    route.targets().for_each(|target| target.health().succeeded(after(1_100), after(1_200)));
    let seconds = |seconds: u64| after(seconds * 1_000);
    assert_eq!(goes(&route, &wanderer, seconds(200), 0), refuge);
    assert_eq!(goes(&route, &wanderer, seconds(500), 0), refuge, "its use has kept it alive");
    assert_eq!(goes(&route, &wanderer, seconds(801), 0), 2);
}

#[test]
fn least_latency_finds_the_fastest_and_finds_out_about_the_unknown() {
    let route = one(LeastLatency::default(), &[1; 3]);
    answers(&route, &[900, 300, 600], START);
    let now = after(1_000);
    assert!((0..5).all(|random| goes(&route, &Demand::default(), now, random) == 1));
    // Nobody heard of the others for a minute: each gets one request to find out, and no second one meanwhile.
    let later = now + Duration::from_secs(62);
    observed(&route, 1).watch();
    pick(&route, &Demand::default(), now, 0).succeeded(later - Duration::from_secs(1));
    let open = [0, 1, 2, 3].map(|random| pick(&route, &Demand::default(), later, random));
    let mut went = open.each_ref().map(|pick| pick.target().get());
    went[..2].sort_unstable();
    assert_eq!(went, [0, 2, 1, 1]);
}

#[test]
fn least_latency_does_not_drown_one_that_begins_to_hang() {
    let route = one(LeastLatency::default(), &[1; 3]);
    answers(&route, &[100, 200, 200], START);
    let open: Vec<Pick> = (0..60).map(|_| pick(&route, &Demand::default(), after(500), 0)).collect();
    assert!(observed(&route, 0).in_flight() < 40, "{}", observed(&route, 0).in_flight());
    drop(open);
}

#[test]
fn a_time_out_is_a_latency_and_a_quick_failure_is_none() {
    let route = one(LeastLatency::default(), &[1; 2]);
    let fail = |cause: &FailureCause, millis| {
        let pick = pick(&route, &Demand::default(), START, 0);
        let at = pick.target().get();
        pick.failed(cause, after(millis));
        observed(&route, at).latency(after(millis))
    };
    assert_eq!(fail(&status(ErrorClass::Server), 1), None);
    assert_eq!(fail(&FailureCause::CallerDeadline, 1), None);
    assert_eq!(fail(&FailureCause::TimedOut(TimeLimit::Total), 1), None);
    assert_eq!(fail(&FailureCause::TimedOut(TimeLimit::FirstByte), 900), Some(Duration::from_millis(900)));
}

#[test]
fn the_first_token_is_compared_where_that_is_wanted() {
    let (answer, first) =
        (one(LeastLatency::default(), &[1; 2]), one(LeastLatency { of: LatencyOf::FirstToken }, &[1; 2]));
    for (route, fastest) in [(answer, 0), (first, 1)] {
        let picks = [0, 1].map(|_| pick(&route, &Demand::default(), START, 0));
        for mut pick in picks {
            let [begins, ends] = [[500, 600], [100, 900]][pick.target().get()];
            pick.began(after(begins));
            pick.began(after(ends)); // The first time counts.
            pick.succeeded(after(ends));
        }
        assert_eq!(goes(&route, &Demand::default(), after(1_000), 0), fastest);
    }
}

#[test]
fn headroom_goes_where_most_is_left_and_the_request_fits() {
    let route = one(Headroom, &[1; 3]);
    let told = |at: usize, limit, remaining| {
        let limit = Limit { limit: Some(limit), remaining, reset: Some(Duration::from_secs(600)) };
        observed(&route, at).told(&RateLimits { requests: None, tokens: Some(limit) }, START);
    };
    let tokens = |tokens| goes(&route, &Demand { tokens, ..Demand::default() }, START, 0);
    told(0, 1_000, 700);
    told(1, 100_000, 55_000);
    assert_eq!(tokens(10), 0);
    assert_eq!(tokens(10_000), 2, "the first has no room, and who is unknown counts as half used");
    told(2, 100_000, 10_000);
    assert_eq!(tokens(10_000), 1);
    let sent = [0, 1, 2].map(|_| tokens(100));
    assert_eq!(sent, [0, 0, 1], "what was sent is taken off: 39 of 100 would be left there, and 44 here");
}

#[test]
fn limits_of_an_own_credential_say_nothing_about_the_target() {
    let target = Target::new("a", Arc::new(KeyPool::new(1)), HealthPolicy::default());
    target.observed().watch();
    let primaries = vec![(target, 1)];
    let route = Route::new(RouteParts { primaries, ..RouteParts::default() }).unwrap();
    let own = || vec![Some(Arc::new(KeyPool::new(1)))].into();
    let limit = Limit { limit: Some(10), remaining: 0, reset: None };
    let limits = RateLimits { requests: Some(limit), tokens: None };
    let mine = Plan::new(Arc::clone(&route)).with_own_keys(own()).next(START, 0).unwrap();
    mine.told(&limits, START);
    assert_eq!(observed(&route, 0).headroom(1, START), None);
    pick(&route, &Demand::default(), START, 0).told(&limits, START);
    assert_eq!(observed(&route, 0).headroom(1, START), Some(0));
}

#[test]
fn nobody_is_asked_where_there_is_no_choice_and_a_route_has_few_strategies() {
    let target = Target::new("a", Arc::new(KeyPool::new(1)), HealthPolicy::default());
    let route =
        Route::new(RouteParts { primaries: vec![(target, 1)], strategies: every(), ..RouteParts::default() });
    assert_eq!(route.unwrap_err(), RouteError::TooManyStrategies(9));
    let mut plan = Plan::new(one(Random, &[1]));
    plan.next(START, 0).unwrap().succeeded(START);
    assert_eq!((plan.decision().strategy, &plan.decision().choice), ("random", &None));
}

/// Targets at one provider with so many credentials.
fn with_keys(strategies: Vec<Box<dyn Strategy>>, keys: usize) -> Arc<Route> {
    let keys = Arc::new(KeyPool::new(keys));
    let target = |name: &str| (Target::new(name, Arc::clone(&keys), HealthPolicy::default()), 1);
    let primaries = vec![target("a"), target("b")];
    Route::new(RouteParts { primaries, strategies, retry_budget: unbounded(), ..RouteParts::default() })
        .unwrap()
}

#[test]
fn sticky_keeps_to_one_credential_as_well_while_it_is_healthy() {
    let route = with_keys(vec![Box::new(Sticky::default())], 4);
    let place = |number, now| {
        let pick = pick(&route, &caller(number), now, 0);
        (pick.target().get(), pick.key())
    };
    let before: Vec<_> = (0..200).map(|number| place(number, START)).collect();
    assert!(
        (0..4).all(|key| before.iter().filter(|(_, of)| *of == key).count() > 20),
        "all of them are used"
    );
    assert_eq!((0..200).map(|number| place(number, START)).collect::<Vec<_>>(), before);
    // A refused credential's requests go out with others, and come back to it.
    route.targets().next().unwrap().keys().refused(2, START);
    for (number, (target, key)) in before.iter().enumerate() {
        let (now_at, with) = place(number as u32, START);
        assert_eq!(now_at, *target);
        assert!(with != 2 && (with == *key || *key == 2));
    }
    assert_eq!((0..200).map(|number| place(number, after(10_000))).collect::<Vec<_>>(), before);
    // Who belongs to nobody takes turns, and so does everybody where nothing is kept together.
    let turns = |route: &Arc<Route>, demand: &Demand| {
        (0..8).map(|_| pick(route, demand, START, 0).key()).collect::<std::collections::HashSet<_>>().len()
    };
    assert_eq!(turns(&with_keys(vec![Box::new(Sticky::default())], 4), &Demand::default()), 4);
    assert_eq!(turns(&with_keys(vec![Box::new(Split::new(1))], 4), &caller(1)), 4);
}

#[test]
fn after_a_refused_credential_the_next_nearest_is_tried() {
    let route = with_keys(vec![Box::new(Sticky::default())], 3);
    let mut plan = Plan::new(Arc::clone(&route)).with_demand(caller(5));
    let mut tried = Vec::new();
    for _ in 0..3 {
        let pick = plan.next(START, 0).unwrap();
        tried.push((pick.target().get(), pick.key()));
        plan.failed(pick, &status(ErrorClass::Authentication), START);
    }
    let mut keys: Vec<_> = tried.iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2], "{tried:?}");
}
