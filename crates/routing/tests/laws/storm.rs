//! Outages under load, simulated in virtual time: a seeded run of many requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weighbridge_routing::{FailureCause, Pick, Plan, RetryBudget, RetryPolicy, Route, RouteParts};
use weighbridge_units::{ErrorClass, Monotonic};

use crate::world::{START, status, target, weighted};

/// How a target answers at an instant.
type Weather = fn(target: usize, at: Monotonic) -> Option<FailureCause>;

#[derive(Default, Debug)]
struct Outcome {
    requests: u32,
    tries: u32,
    answered: u32,
    /// Time until the answer, in microseconds, of the requests that came after a second.
    waits: Vec<u64>,
}

/// A request that waits for its target's answer.
struct Waiting {
    plan: Plan,
    pick: Pick,
    arrived: Monotonic,
    cause: Option<FailureCause>,
}

/// Requests arrive every `gap`; a target takes `latency` to answer or to fail.
fn simulate(route: &Arc<Route>, seconds: u64, gap: Duration, latency: Duration, weather: Weather) -> Outcome {
    let mut outcome = Outcome::default();
    // Answers by the instant and a serial number, so that equal instants keep their order.
    let mut waiting: BTreeMap<(Monotonic, u64), Waiting> = BTreeMap::new();
    let (end, mut arrival, mut serial) = (START + Duration::from_secs(seconds), START, 0_u64);
    let mut send = |mut plan: Plan, arrived, now, waiting: &mut BTreeMap<_, _>| {
        serial += 1;
        if let Some(pick) = plan.next(now, serial) {
            let cause = weather(pick.target().get(), now);
            waiting.insert((now + latency, serial), Waiting { plan, pick, arrived, cause });
            return 1;
        }
        0
    };
    loop {
        let next_answer = waiting.keys().next().map(|(at, _)| *at);
        if arrival < end && next_answer.is_none_or(|at| arrival <= at) {
            outcome.requests += 1;
            outcome.tries += send(Plan::new(route.clone()), arrival, arrival, &mut waiting);
            arrival = arrival + gap;
            continue;
        }
        let Some(((now, _), answer)) = waiting.pop_first() else { return outcome };
        let Waiting { mut plan, pick, arrived, cause } = answer;
        match cause {
            None => {
                pick.succeeded(now);
                outcome.answered += 1;
                if arrived >= START + Duration::from_secs(1) {
                    outcome.waits.push(now.since(arrived).as_micros() as u64);
                }
            }
            Some(cause) => {
                plan.failed(pick, &cause, now);
                outcome.tries += send(plan, arrived, now, &mut waiting);
            }
        }
    }
}

fn route(primaries: usize, fallbacks: usize) -> Arc<Route> {
    Route::new(RouteParts {
        primaries: weighted(&vec![1; primaries]),
        fallbacks: (0..fallbacks).map(|at| target(&format!("fallback {at}"))).collect(),
        retry_budget: Arc::new(RetryBudget::new(RetryPolicy::default())),
        ..RouteParts::default()
    })
    .unwrap()
}

#[test]
fn all_down_under_full_load_stays_within_the_retry_budget() {
    for (primaries, fallbacks) in [(1, 0), (1, 1), (3, 2), (10, 10)] {
        let route = route(primaries, fallbacks);
        let (gap, latency) = (Duration::from_millis(1), Duration::from_millis(50));
        let outcome = simulate(&route, 60, gap, latency, |_, _| Some(status(ErrorClass::Server)));
        assert!(outcome.tries * 10 <= outcome.requests * 12, "{} tries", outcome.tries);
        assert!(outcome.tries >= outcome.requests, "each request is tried once");
    }
}

#[test]
fn an_outage_after_good_times_stays_within_the_retry_budget() {
    let route = route(2, 2);
    let weather: Weather = |_, at| (at.since(START).as_secs() >= 30).then_some(FailureCause::Broken);
    let outcome = simulate(&route, 90, Duration::from_millis(2), Duration::from_millis(300), weather);
    assert!(outcome.tries * 10 <= outcome.requests * 12, "{outcome:?}");
}

#[test]
fn with_the_primary_down_for_a_minute_everyone_is_answered_and_hardly_anyone_waits() {
    let route = route(1, 1);
    let weather: Weather = |target, _| (target == 0).then_some(status(ErrorClass::Overloaded));
    let latency = Duration::from_millis(20);
    let mut outcome = simulate(&route, 60, Duration::from_millis(10), latency, weather);
    assert_eq!(outcome.answered, outcome.requests);
    assert!(outcome.tries * 10 <= outcome.requests * 12);
    outcome.waits.sort_unstable();
    let p99 = outcome.waits[outcome.waits.len() * 99 / 100];
    let added = Duration::from_micros(p99) - latency;
    assert!(added < Duration::from_millis(5), "{added:?} added");
}

#[test]
fn one_of_twenty_down_is_found_out_and_comes_back() {
    let route = route(20, 0);
    let weather: Weather = |target, at| {
        let second = at.since(START).as_secs();
        (target == 7 && (10..40).contains(&second)).then_some(FailureCause::Garbage)
    };
    let outcome = simulate(&route, 120, Duration::from_millis(5), Duration::from_millis(50), weather);
    assert_eq!(outcome.answered, outcome.requests);
    // Five failures, then one probe for each cool-down of 1, 2, 4, 8, 16 seconds.
    let failures = outcome.tries - outcome.requests;
    assert!((5..40).contains(&failures), "{failures} failures");
}
