//! While Redis is there.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::{Instant, sleep};
use weighbridge_access::{LimitKind, LimitOwner};

use crate::server::{self, Server};
use crate::world::{NO_LIMITS, Rooms, fleet, limits, places, rpm};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_instances_that_ask_at_once_are_admitted_the_limit_and_not_one_more() {
    let Some(server) = server::own() else { return };
    for (rooms, most) in [
        (Rooms::of_key(rpm(50)), 50),
        (Rooms { team: limits(10_000, 4_000, 1_000_000, 10_000), ..Rooms::of_key(NO_LIMITS) }, 40),
        (Rooms { target: limits(10_000, 1_000_000, 350, 10_000), ..Rooms::of_key(rpm(300)) }, 35),
        (Rooms { team: limits(200, 1_000_000, 1_000_000, 17), ..Rooms::of_key(places(30)) }, 17),
    ] {
        server.command::<()>(&["FLUSHALL"]);
        let instances: Vec<_> = fleet(&server, rooms, 4).await.into_iter().map(Arc::new).collect();
        let begun = Instant::now();
        let asking = (0..240).map(|number| {
            let instance = Arc::clone(&instances[number % 4]);
            // What is admitted is held to the end.
            tokio::spawn(async move { instance.ask(100, 10).await })
        });
        let asking: Vec<_> = asking.collect();
        let mut held = Vec::new();
        for asked in asking {
            held.extend(asked.await.unwrap());
        }
        // A rate refills while it is asked for.
        let refilled = most * usize::try_from(begun.elapsed().as_millis()).unwrap() / 60_000 + 1;
        assert!((most..=most + refilled).contains(&held.len()), "{} of {most} were admitted", held.len());
        assert!(instances.iter().all(|instance| instance.fleet.standing().losses == 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_a_refusal_by_one_takes_nothing_of_the_others() {
    let Some(server) = server::own() else { return };
    let rooms = Rooms {
        key: limits(10, 480, 100, 5),
        team: limits(10, 1_000, 100, 5),
        target: limits(10, 470, 1_000, 5),
    };
    let [one, two] = &fleet(&server, rooms, 2).await[..] else { unreachable!() };
    // The other instance has taken all but a little of it.
    let held = two.ask(450, 50).await.unwrap();
    let before = contents(&server);
    for (tokens, money, whose, kind) in [
        (31, 10, LimitOwner::Key, LimitKind::Tpm),
        (21, 10, LimitOwner::Deployment, LimitKind::Tpm),
        (10, 51, LimitOwner::Key, LimitKind::UsdPerMinute),
    ] {
        let refusal = one.ask(tokens, money).await.unwrap_err();
        assert_eq!((refusal.whose, refusal.kind), (whose, kind), "{refusal}");
        assert!(refusal.retry_after <= Duration::from_secs(60));
    }
    let after = contents(&server);
    assert_eq!(before.0, after.0, "places");
    for (before, after) in before.1.iter().zip(&after.1) {
        assert!(after <= before, "a refusal has taken something: {before} to {after}");
    }
    two.settle(held, 100, 10);
    let begun = Instant::now();
    while one.ask(300, 40).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "what was not used is not back");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Members of the sets of places, and what is ahead of every rate, in nanoseconds.
fn contents(server: &Server) -> (Vec<String>, Vec<u64>) {
    let mut keys: Vec<String> = server.command(&["KEYS", "{weighbridge}:*:*:*"]);
    keys.sort();
    let (mut members, mut aheads) = (Vec::new(), Vec::new());
    for key in keys {
        if key.contains(":places:") {
            members.extend(server.command::<Vec<String>>(&["ZRANGE", &key, "0", "-1"]));
        } else {
            aheads.extend(server.command::<Vec<u64>>(&["HMGET", &key, "r", "t", "m"]));
        }
    }
    members.sort();
    (members, aheads)
}

#[test]
fn r8_whatever_ends_as_it_does_only_what_was_used_stays_taken() {
    let Some(server) = server::own() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rooms = Rooms {
        key: limits(400, 40_000, 40_000, 9),
        team: limits(500, 50_000, 50_000, 8),
        target: limits(600, 60_000, 60_000, 7),
    };
    let instances = runtime.block_on(fleet(&server, rooms, 2));
    let step = (0_usize..2, 0_u64..300, 0_i64..300, 0_u8..4, 0_u64..300, 0_i64..300);
    let steps = proptest::collection::vec(step, 1..30);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(40) });
    let run = runner.run(&steps, |steps| {
        let (mut held, mut requests, mut tokens, mut money) = (Vec::new(), 0, 0, 0);
        let begun = Instant::now();
        let before = settled(&server);
        for (which, estimate, worst, end, used, cost) in steps {
            let instance = &instances[which];
            let Ok((claim, admission)) = runtime.block_on(instance.ask(estimate, worst)) else { continue };
            match end {
                0 => drop((claim, admission)),
                1 => {
                    drop(claim);
                    admission.refund(instance.now());
                }
                2 => held.push((which, (claim, admission))),
                _ => {
                    instance.settle((claim, admission), used, cost);
                    (requests, tokens, money) = (requests + 1, tokens + used, money + cost.unsigned_abs());
                }
            }
        }
        for (which, (claim, admission)) in held {
            drop(claim);
            admission.refund(instances[which].now());
        }
        let after = settled(&server);
        let passed = u64::try_from(begun.elapsed().as_nanos()).unwrap();
        // In the order of keys: deployment, key, team.
        for (owner, limit) in [60_000, 40_000, 50_000].into_iter().enumerate() {
            let used = [requests * 100, tokens, money];
            for (kind, units) in used.into_iter().enumerate() {
                let at = owner * 3 + kind;
                let lengths = units * 60_000_000_000 / limit;
                let least = (before[at] + lengths).saturating_sub(passed + 1_000_000);
                prop_assert!(
                    after[at] >= least,
                    "{at}: {} of {lengths} on {} stay taken",
                    after[at],
                    before[at]
                );
                prop_assert!(
                    after[at] <= before[at] + lengths + 1_000_000,
                    "{at}: {} of {lengths} on {} stay taken",
                    after[at],
                    before[at]
                );
            }
        }
        Ok(())
    });
    run.unwrap();
}

/// What is ahead of every rate once everything that was given back has arrived, drained up to now.
fn settled(server: &Server) -> Vec<u64> {
    let begun = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(5));
        let (members, _) = contents(server);
        if members.is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "places stay taken: {members:?}");
    }
    std::thread::sleep(Duration::from_millis(10));
    let mut aheads = Vec::new();
    for owner in ["deployment:p/m", "key:000000000001", "team:acme/search"] {
        let [seconds, micros] = server.command::<[u64; 2]>(&["TIME"]);
        let key = format!("{{weighbridge}}:rates:{owner}");
        let found = server.command::<[Option<u64>; 4]>(&["HMGET", &key, "at", "r", "t", "m"]);
        let gone = (seconds * 1_000_000 + micros).saturating_sub(found[0].unwrap_or(0)).saturating_mul(1_000);
        aheads.extend(found[1..].iter().map(|ahead| ahead.unwrap_or(0).saturating_sub(gone)));
    }
    aheads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_the_places_of_a_dead_instance_are_free_when_its_lease_is_over() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(places(4)), 3).await;
    let [dead, living, third] = &instances[..] else { unreachable!() };
    let _held =
        (dead.ask(0, 0).await.unwrap(), dead.ask(0, 0).await.unwrap(), living.ask(0, 0).await.unwrap());
    let last = third.ask(0, 0).await.unwrap();
    assert_eq!(third.ask(0, 0).await.unwrap_err().kind, LimitKind::Concurrency);
    drop(last);
    let begun = Instant::now();
    let last = loop {
        match living.ask(0, 0).await {
            Ok(held) => break held,
            Err(_) => sleep(Duration::from_millis(2)).await,
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "a place is not given back");
    };
    dead.die();
    let died = Instant::now();
    let mut found = Vec::new();
    while found.len() < 2 {
        assert!(died.elapsed() < Duration::from_secs(10), "its places stay taken");
        found.extend(third.ask(0, 0).await);
        sleep(Duration::from_millis(20)).await;
    }
    assert!(died.elapsed() > Duration::from_secs(3), "it might have lived");
    assert_eq!(third.ask(0, 0).await.unwrap_err().kind, LimitKind::Concurrency, "the others' stay theirs");
    drop(last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_one_request_after_the_other_fits_into_one_place_and_a_minute_that_is_given_back() {
    let Some(server) = server::own() else { return };
    let rooms = Rooms::of_key(limits(10_000, 1_000, 10_000, 1));
    let instances = fleet(&server, rooms, 1).await;
    for _ in 0..300 {
        let held = instances[0].ask(1_000, 0).await.unwrap();
        instances[0].settle(held, 0, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_leaves_frees_its_places_and_leaves_what_it_used() {
    let Some(server) = server::own() else { return };
    let rooms = Rooms::of_key(limits(10, 1_000, 1_000, 2));
    let instances = fleet(&server, rooms, 2).await;
    let [gone, stays] = &instances[..] else { unreachable!() };
    gone.settle(gone.ask(600, 0).await.unwrap(), 500, 0);
    let _held = gone.ask(0, 0).await.unwrap();
    gone.die();
    gone.fleet.leave().await;
    assert_eq!(stays.ask(520, 0).await.unwrap_err().kind, LimitKind::Tpm);
    let _held = (stays.ask(0, 0).await.unwrap(), stays.ask(0, 0).await.unwrap());
    stays.wait_for_instances(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(rpm(10)), 1).await;
    let _first = instances[0].ask(0, 0).await.unwrap();
    server.command::<()>(&["SCRIPT", "FLUSH"]);
    let _second = instances[0].ask(0, 0).await.unwrap();
    assert_eq!(instances[0].fleet.standing().losses, 0);
}
