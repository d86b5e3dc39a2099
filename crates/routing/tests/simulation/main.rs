//! Twenty deployments in virtual time, with outages, brown-outs, rate limits and shifts of latency: what each strategy
//! is for, measured against weighted round robin, and what all of them keep to.
//!
//! The tables of `docs/routing.md` are made here:
//!
//! ```console
//! $ WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-routing --test simulation
//! ```

#![expect(clippy::unwrap_used, reason = "where a helper of a test fails, the test does")]

mod page;
mod scenarios;
mod world;

use std::fmt::Write as _;

use scenarios::{callers_own_errors, cases, every, vendor_down};
use world::{p99, play};

#[test]
fn each_strategy_beats_round_robin_at_what_it_is_for() {
    let mut table =
        "| strategy | scenario | measured | weighted round robin | strategy | at most |\n|---|---|---|---|---|---|\n".to_owned();
    for case in cases() {
        let usual = (case.measured)(&play(&case.world, Vec::new()));
        let outcome = play(&case.world, (case.strategies)());
        let ours = (case.measured)(&outcome);
        let (strategy, scenario, measure) = (case.strategy, case.scenario, case.measure);
        println!("{strategy}: {usual} → {ours}");
        assert!(
            ours * 100 <= usual * case.most_percent && usual > 0,
            "{strategy}, {scenario}: {measure} is {ours}, with weighted round robin {usual}"
        );
        assert!(outcome.tries * 10 <= outcome.requests * 12, "{strategy}: {} tries", outcome.tries);
        writeln!(
            table,
            "| `{strategy}` | {scenario} | {measure} | {usual} | {ours} | {} % |",
            case.most_percent
        )
        .unwrap();
    }
    page::hold("strategies", &table);
}

#[test]
fn with_a_vendor_down_everyone_is_answered_and_hardly_anyone_waits() {
    let mut table = "| strategy | requests | answered | tries per request | with a second try, later on | added, 99th percentile |\n|---|---|---|---|---|---|\n".to_owned();
    for (name, strategies) in every() {
        let outcome = play(&vendor_down(), strategies);
        let right = outcome.requests - outcome.wrong;
        assert_eq!(
            outcome.answered, right,
            "{name}: every request that a healthy deployment can serve is answered"
        );
        assert!(outcome.tries * 10 <= outcome.requests * 12, "{name}: {} tries", outcome.tries);
        let added = p99(&outcome.added_us);
        assert!(added < 5_000, "{name}: {added} µs added");
        assert!(outcome.benched, "the breakers have opened");
        let again = outcome.added_us.iter().filter(|added| **added > 0).count();
        let tries = outcome.tries * 1_000 / outcome.requests;
        writeln!(
            table,
            "| `{name}` | {right} | {} | {}.{:03} | {again} of {} | {}.{:03} ms |",
            outcome.answered,
            tries / 1_000,
            tries % 1_000,
            outcome.added_us.len(),
            added / 1_000,
            added % 1_000
        )
        .unwrap();
    }
    page::hold("outage", &table);
}

#[test]
fn callers_own_errors_bench_no_deployment() {
    for (name, strategies) in every() {
        let outcome = play(&callers_own_errors(), strategies);
        assert!(outcome.wrong > 400 && !outcome.benched, "{name}");
        assert_eq!(
            (outcome.answered, outcome.tries),
            (outcome.requests - outcome.wrong, outcome.requests),
            "{name}"
        );
    }
}
