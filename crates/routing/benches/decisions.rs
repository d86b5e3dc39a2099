//! How long a decision takes: a plan for a request, and its first target among 2, 20 and 200, with each strategy, what it
//! goes by being known of every target, and the choice told for the record.
//!
//! ```console
//! $ cargo bench -p weighbridge-routing --bench decisions
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement may fail anywhere")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use weighbridge_routing::{
    Demand, Headroom, HealthPolicy, KeyPool, LeastBusy, LeastLatency, Limit, LowestCost, Plan, Random,
    RateLimits, Route, RouteParts, Split, Sticky, Strategy, Target, stable_hash,
};
use weighbridge_units::{Monotonic, NanoUsd};

const NOW: Monotonic = Monotonic::from_micros(3_600_000_000);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let mut group = criterion.benchmark_group("decision");
    for (name, strategies) in [
        ("weighted-round-robin", (|| Vec::new()) as fn() -> Vec<Box<dyn Strategy>>),
        ("random", || vec![Box::new(Random)]),
        ("least-latency", || vec![Box::new(LeastLatency::default())]),
        ("least-busy", || vec![Box::new(LeastBusy)]),
        ("lowest-cost", || vec![Box::new(LowestCost)]),
        ("headroom", || vec![Box::new(Headroom)]),
        ("sticky", || vec![Box::new(Sticky::new(125, Some(Duration::from_secs(300))))]),
        ("split", || vec![Box::new(Split::new(1))]),
        ("headroom, least-latency", || vec![Box::new(Headroom), Box::new(LeastLatency::default())]),
    ] {
        for count in [2, 20, 200] {
            let route = route(count, strategies());
            let costs = (0..count as i64).map(|at| Some(NanoUsd::new(100 + at))).collect();
            let demand = Demand { affinity: None, tokens: 1_000, costs };
            let mut number = 0_u64;
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    number += 1;
                    let random = stable_hash(&number.to_be_bytes());
                    let demand = Demand { affinity: Some(random), ..demand.clone() };
                    let mut plan = Plan::new(Arc::clone(&route)).with_demand(demand);
                    black_box(plan.next(NOW, random)).is_some()
                });
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

/// A route of healthy targets that have all answered, and told of their limits.
fn route(count: usize, strategies: Vec<Box<dyn Strategy>>) -> Arc<Route> {
    let target = |at: usize| {
        let target =
            Target::new(format!("vendor/model-{at}"), Arc::new(KeyPool::new(1)), HealthPolicy::default());
        target.observed().watch();
        let only =
            Route::new(RouteParts { primaries: vec![(Arc::clone(&target), 1)], ..RouteParts::default() });
        let pick = Plan::new(only.unwrap()).next(NOW, 0).unwrap();
        let reset = Some(Duration::from_secs(60));
        let requests = Limit { limit: Some(1_000), remaining: 500 + at as u64, reset };
        pick.told(&RateLimits { requests: Some(requests), tokens: None }, NOW);
        pick.succeeded(NOW + Duration::from_millis(300 + at as u64 * 7 % 100));
        (target, 1 + at as u32 % 3)
    };
    let primaries = (0..count).map(target).collect();
    Route::new(RouteParts { primaries, strategies, ..RouteParts::default() }).unwrap()
}
