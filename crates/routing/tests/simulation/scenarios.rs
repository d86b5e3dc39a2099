//! A scenario for each strategy, and what it must be better at than weighted round robin there.

use weighbridge_routing::{
    Headroom, LatencyOf, LeastBusy, LeastLatency, LowestCost, Random, Split, Sticky, Strategy,
};

use crate::world::{Deployment, FAIR, Outcome, Request, Scenario, Weather};

/// A strategy in the scenario that it is for.
pub(crate) struct Case {
    pub(crate) strategy: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) world: Scenario,
    pub(crate) strategies: fn() -> Vec<Box<dyn Strategy>>,
    pub(crate) measure: &'static str,
    pub(crate) measured: fn(&Outcome) -> u64,
    /// It measures at most so much of what weighted round robin does, in percent.
    pub(crate) most_percent: u64,
}

const PLAIN: Deployment = Deployment { answer_ms: 400, at_once: 100, per_minute: None, price: 100 };

fn plain(_: usize) -> Deployment {
    PLAIN
}

fn fair(_: usize, _: u64) -> Weather {
    FAIR
}

/// Of a hundred callers, each with twenty conversations that follow each other.
fn request(number: u64, random: u64) -> Request {
    let caller = random % 100;
    Request {
        caller,
        conversation: (caller << 32) | (number / 1_000),
        tokens: 1,
        work_percent: 100,
        is_wrong: false,
    }
}

fn one(strategy: impl Strategy + 'static) -> Vec<Box<dyn Strategy>> {
    vec![Box::new(strategy)]
}

const BASE: Scenario = Scenario {
    deployments: plain,
    weather: fair,
    request,
    seconds: 200,
    per_second: 100,
    added_in: 0..0,
    affinity: |request| request.conversation,
};

/// Four of the deployments are of one vendor, which is down from the second minute to the third.
fn outage(deployment: usize, second: u64) -> Weather {
    Weather { is_down: deployment.is_multiple_of(4) && (60..180).contains(&second), ..FAIR }
}

/// For forty seconds each, four of the deployments answer slowly and now and then with an error.
fn brown_outs(deployment: usize, second: u64) -> Weather {
    match deployment as u64 / 4 == second / 40 {
        true => Weather { slow_percent: 800, failing_percent: 10, ..FAIR },
        false => FAIR,
    }
}

/// Every fifty seconds others are the fast ones.
fn shifts(deployment: usize, second: u64) -> Weather {
    let rank = (deployment as u64 * 7 + second / 50 * 5) % 20;
    Weather { slow_percent: 50 + rank * 20, ..FAIR }
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case {
            strategy: "random",
            scenario: "a rhythm: for 100 s every twentieth request is ten times the work",
            world: Scenario {
                deployments: |_| Deployment { at_once: 16, ..PLAIN },
                request: |number, random| {
                    let is_heavy = number.is_multiple_of(20) && (2_000..12_000).contains(&number);
                    let work_percent = if is_heavy { 1_000 } else { 100 };
                    Request { work_percent, ..request(number, random) }
                },
                ..BASE
            },
            strategies: || one(Random),
            measure: "99th percentile, ms",
            measured: Outcome::p99_ms,
            most_percent: 50,
        },
        Case {
            strategy: "least-latency",
            scenario: "latency shifts: every 50 s others are the fast ones",
            world: Scenario { weather: shifts, ..BASE },
            strategies: || one(LeastLatency { of: LatencyOf::Answer }),
            measure: "mean, ms",
            measured: Outcome::mean_ms,
            most_percent: 30,
        },
        Case {
            strategy: "least-latency",
            scenario: "brown-outs: four at a time are eight times slower, with errors",
            world: Scenario { weather: brown_outs, ..BASE },
            strategies: || one(LeastLatency::default()),
            measure: "mean, ms",
            measured: Outcome::mean_ms,
            most_percent: 50,
        },
        Case {
            strategy: "least-busy",
            scenario: "deployments of different size that slow down under load",
            world: Scenario {
                deployments: |at| Deployment { at_once: 3 + at as u64 % 5 * 2, ..PLAIN },
                per_second: 170,
                ..BASE
            },
            strategies: || one(LeastBusy),
            measure: "99th percentile, ms",
            measured: Outcome::p99_ms,
            most_percent: 20,
        },
        Case {
            strategy: "lowest-cost",
            scenario: "prices from 20 to 400, and the vendor of the cheapest is down for two minutes",
            world: Scenario {
                deployments: |at| Deployment { price: 20 + 20 * at as i64, ..PLAIN },
                weather: outage,
                ..BASE
            },
            strategies: || one(LowestCost),
            measure: "cost, nano-dollars per answer",
            measured: |outcome| outcome.cost as u64 / outcome.answered,
            most_percent: 25,
        },
        Case {
            strategy: "headroom",
            scenario: "limits from 120 to 1640 tokens a minute, two thirds used; one request of ten takes 11, others 1",
            world: Scenario {
                deployments: |at| Deployment { per_minute: Some(120 + 80 * at as u64), ..PLAIN },
                request: |number, random| {
                    let tokens = if number.is_multiple_of(10) { 11 } else { 1 };
                    Request { tokens, ..request(number, random) }
                },
                ..BASE
            },
            strategies: || one(Headroom),
            measure: "tries that met a limit",
            measured: |outcome| outcome.rate_limited,
            most_percent: 5,
        },
        Case {
            strategy: "sticky",
            scenario: "prompt caches that live for 5 min, and an outage of a vendor",
            world: Scenario { weather: outage, ..BASE },
            strategies: || one(Sticky::new(125, Some(std::time::Duration::from_secs(300)))),
            measure: "answers without a cached prompt",
            measured: |outcome| outcome.answered - outcome.remembered,
            most_percent: 25,
        },
        Case {
            strategy: "split",
            scenario: "a trial of twenty versions by caller, without failures",
            world: Scenario { affinity: |request| request.caller, ..BASE },
            strategies: || one(Split::new(1)),
            measure: "callers who met several versions",
            measured: |outcome| outcome.served.values().filter(|served| served.len() > 1).count() as u64,
            most_percent: 0,
        },
    ]
}

/// One vendor of four is down for two minutes; callers make mistakes of their own all the time.
pub(crate) fn vendor_down() -> Scenario {
    Scenario { weather: outage, request: with_mistakes, added_in: 65..180, per_second: 50, ..BASE }
}

/// Nothing is wrong but what callers do: long runs of requests that no deployment can serve.
pub(crate) fn callers_own_errors() -> Scenario {
    Scenario { request: with_mistakes, seconds: 20, ..BASE }
}

fn with_mistakes(number: u64, random: u64) -> Request {
    Request { is_wrong: number / 50 % 4 == 1, ..request(number, random) }
}

/// Every strategy, and a list.
pub(crate) fn every() -> Vec<(&'static str, Vec<Box<dyn Strategy>>)> {
    let sticky = || Box::new(Sticky::new(125, Some(std::time::Duration::from_secs(300))));
    vec![
        ("weighted-round-robin", Vec::new()),
        ("random", one(Random)),
        ("least-latency", one(LeastLatency::default())),
        ("least-busy", one(LeastBusy)),
        ("lowest-cost", one(LowestCost)),
        ("headroom", one(Headroom)),
        ("sticky", vec![sticky()]),
        ("split", one(Split::new(1))),
        ("headroom, sticky", vec![Box::new(Headroom), sticky()]),
    ]
}
