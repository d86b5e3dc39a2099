//! What asking Redis for a request's limits takes: alone, and how many a server decides in a second.
//!
//! `cargo bench -p weighbridge-store-redis --bench asks`; it starts a `redis-server` of its own, on a socket.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a tool for the command line")]

#[path = "../tests/server/mod.rs"]
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use weighbridge_access::{
    Decision, FleetLimits, FleetWorld, LimitCells, LimitKind, LimitOwner, Limits, Want,
};
use weighbridge_store_redis::{RedisLimits, RedisLimitsOptions};
use weighbridge_units::{Monotonic, NanoUsd};

const ALONE: usize = 20_000;
const TOGETHER: usize = 64;
const EACH: usize = 2_000;

struct World(Instant, Vec<Arc<LimitCells>>);

impl FleetWorld for World {
    fn cells(&self) -> Vec<Arc<LimitCells>> {
        self.1.clone()
    }

    fn now(&self) -> Monotonic {
        Monotonic::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap())
    }

    fn random(&self) -> u64 {
        u64::from(std::process::id()) << 32 | u64::from(self.0.elapsed().subsec_nanos())
    }
}

fn main() {
    let Some(server) = server::own() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&server));
}

async fn run(server: &server::Server) {
    let limits = Limits {
        rpm: Some(1_000_000_000),
        tpm: Some(1_000_000_000),
        usd_per_minute: Some(NanoUsd::new(i64::MAX / 1_000)),
        concurrency: Some(100_000),
    };
    let owners = [
        (LimitOwner::Key, "k"),
        (LimitOwner::Team, "acme/search"),
        (LimitOwner::Organisation, "acme"),
        (LimitOwner::Model, "m"),
        (LimitOwner::Deployment, "p/m"),
    ];
    let cells = owners.map(|(whose, name)| Arc::new(LimitCells::new(whose, name, &limits, None)));
    let options = RedisLimitsOptions {
        url: SecretString::from(server.url()),
        certificates: None,
        timeout: Duration::from_secs(5),
        sync_every: Duration::from_secs(3_600),
        instance: 1,
    };
    let fleet = Arc::new(RedisLimits::new(options).unwrap());
    let world = Arc::new(World(Instant::now(), cells.to_vec()));
    let (kept, known) = (Arc::clone(&fleet), Arc::clone(&world));
    tokio::spawn(async move { kept.run(&*known).await });
    while !fleet.standing().is_shared {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let want = |at: usize, kind, units| Want { cells: Arc::clone(&cells[at]), kind, units };
    let one = vec![want(0, LimitKind::Rpm, 1)];
    let key = vec![want(0, LimitKind::Rpm, 1), want(0, LimitKind::Tpm, 100)];
    let all: Vec<Want> = [LimitKind::Rpm, LimitKind::Tpm, LimitKind::UsdPerMinute]
        .into_iter()
        .flat_map(|kind| (0..owners.len()).map(move |at| (at, kind)))
        .map(|(at, kind)| want(at, kind, 10))
        .collect();
    for (name, wants) in [
        ("a key's requests", one),
        ("a key's requests and tokens", key),
        ("fifteen rates of five owners", all),
    ] {
        let mut times = Vec::with_capacity(ALONE);
        for _ in 0..ALONE {
            let begun = Instant::now();
            assert!(matches!(fleet.take(&wants, world.now()).await, Decision::Granted(_)));
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let begun = Instant::now();
        let tasks: Vec<_> = (0..TOGETHER)
            .map(|_| {
                let (fleet, wants, world) = (Arc::clone(&fleet), wants.clone(), Arc::clone(&world));
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        assert!(matches!(fleet.take(&wants, world.now()).await, Decision::Granted(_)));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = (TOGETHER * EACH) as u128 * 1_000 / begun.elapsed().as_millis();
        println!(
            "{name}: alone p50 {:?}, p99 {:?}; {TOGETHER} at a time {rate} per second",
            times[ALONE / 2],
            times[ALONE * 99 / 100]
        );
    }
}
