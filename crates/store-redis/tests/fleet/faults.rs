//! When Redis is away, slow, lost or stale.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weighbridge_access::LimitKind;

use crate::server;
use crate::world::{Instance, PATIENT, Rooms, TIMEOUT, fleet, hasty, limits, places, rpm};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_while_redis_is_down_each_has_its_share_and_nobody_waits() {
    let Some(server) = server::own() else { return };
    let instances = hasty(&server, Rooms::of_key(rpm(60)), 3).await;
    server.kill();
    for instance in &instances {
        // The first to ask may find out.
        let begun = Instant::now();
        let admitted = instance.burst(100).await;
        // One that was on its way counts as a whole and as a part.
        assert!((19..=20).contains(&admitted), "{admitted} of sixty among three");
        assert!(begun.elapsed() < TIMEOUT + Duration::from_millis(100));
    }
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert!(instances[0].ask(0, 0).await.is_err() || begun.elapsed() > Duration::from_millis(900));
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "no request waits for it");
    for instance in &instances {
        assert_eq!(instance.fleet.standing().losses, 1);
        assert!(!instance.fleet.standing().is_shared);
    }

    // It comes back empty; all is used, and that is not forgotten.
    server.start();
    for instance in &instances {
        instance.wait(true).await;
    }
    let since = begun.elapsed() + Duration::from_secs(2);
    let mut admitted = 0;
    for instance in &instances {
        admitted += instance.burst(100).await;
    }
    let refilled = usize::try_from(since.as_secs()).unwrap() + 1;
    assert!(admitted <= refilled, "{admitted} after {since:?}");
    sleep(Duration::from_secs(2)).await;
    assert!(instances[1].burst(1).await == 1, "nobody is refused for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_an_instance_that_is_alone_gives_the_whole_limit_out_while_redis_is_down() {
    let Some(server) = server::own() else { return };
    let instances = hasty(&server, Rooms::of_key(rpm(60)), 1).await;
    server.kill();
    assert_eq!(instances[0].burst(100).await, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_a_count_that_was_flushed_gives_nobody_a_fresh_minute() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(rpm(120)), 2).await;
    let [one, two] = &instances[..] else { unreachable!() };
    let begun = Instant::now();
    // The other one has taken all, and this one knows it from its last question only.
    assert_eq!(two.burst(110).await, 110);
    assert_eq!(one.burst(5).await, 5);
    server.command::<()>(&["FLUSHALL"]);
    let mut admitted = 115;
    let mut was_away = 0;
    while begun.elapsed() < Duration::from_secs(7) {
        for instance in &instances {
            admitted += instance.burst(50).await;
            was_away |= u8::from(!instance.fleet.standing().is_shared);
        }
        sleep(Duration::from_millis(5)).await;
        let refilled = 2 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 1);
        assert!(admitted <= 120 + refilled + 2, "{admitted} after {:?}", begun.elapsed());
    }
    assert_eq!(was_away, 1);
    for instance in &instances {
        assert!(instance.fleet.standing().is_shared && instance.fleet.standing().losses == 1);
    }
    assert!(admitted >= 120 + 7, "nobody is refused for ever: {admitted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_a_count_that_went_back_is_begun_anew() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(limits(60, 6_000, 1_000, 3)), 2).await;
    let [one, two] = &instances[..] else { unreachable!() };
    let before: Vec<String> = server.command(&["HGETALL", "{weighbridge}:limits"]);
    assert_eq!(two.burst(50).await, 50);
    let held = one.ask(0, 0).await.unwrap();
    // A replica took over that had seen nothing of all this.
    let keys: Vec<String> = server.command(&["KEYS", "{weighbridge}:*:key:*"]);
    server
        .command::<()>(&[&["DEL"], keys.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    let state: Vec<&str> = before.iter().map(String::as_str).collect();
    server.command::<()>(&[&["HSET", "{weighbridge}:limits"], state.as_slice()].concat());
    let begun = Instant::now();
    assert!(one.ask(0, 0).await.is_ok() || !one.fleet.standing().is_shared);
    assert!(!one.fleet.standing().is_shared, "it was noticed with the first question");
    two.wait(false).await;
    one.wait(true).await;
    two.wait(true).await;
    let mut admitted = 0;
    for instance in [two, one] {
        admitted += instance.burst(60).await;
    }
    let refilled = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    assert!(admitted <= 9 + refilled, "{admitted} more than the fifty-one");
    let (_second, _third) = (two.ask(0, 0).await, two.ask(0, 0).await);
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_a_frozen_server_costs_a_request_its_patience_and_the_next_ones_nothing() {
    let Some(server) = server::own() else { return };
    let instances = hasty(&server, Rooms::of_key(rpm(600)), 2).await;
    let [one, two] = &instances[..] else { unreachable!() };
    server.freeze();
    let begun = Instant::now();
    let _first = one.ask(0, 0).await.unwrap();
    assert!(begun.elapsed() < TIMEOUT * 2, "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(one.burst(299).await, 299, "its share, in which one is taken");
    assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
    // Who does not ask finds out by its own sign of life.
    two.wait(false).await;
    sleep(Duration::from_secs(2)).await;
    assert!(!one.fleet.standing().is_shared && !two.fleet.standing().is_shared);
    server.thaw();
    one.wait(true).await;
    two.wait(true).await;
    let fresh = two.burst(600).await;
    assert!(fresh < 400, "{fresh}: what one has used meanwhile was entered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_a_clock_that_jumps_forward_refills_nothing() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(rpm(60)), 1).await;
    let one = &instances[0];
    assert_eq!(one.burst(60).await, 60);
    // As good as a clock that is an hour ahead: everything there was touched an hour ago.
    let key = "{weighbridge}:rates:key:000000000001";
    server.command::<()>(&["HINCRBY", key, "at", "-3600000000"]);
    let begun = Instant::now();
    let admitted = one.burst(60).await;
    // Only the server's own clock tells; this one has not moved, so that the cell is taken for drained, but here.
    assert!(admitted <= 2, "{admitted} after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_places_of_requests_that_run_on_are_taken_in_the_next_count_too() {
    let Some(server) = server::own() else { return };
    let instances = fleet(&server, Rooms::of_key(places(4)), 2).await;
    let [one, two] = &instances[..] else { unreachable!() };
    let early = one.ask(0, 0).await.unwrap();
    server.kill();
    one.wait(false).await;
    // One among two may run two; so may the other.
    let alone = one.ask(0, 0).await.unwrap();
    assert_eq!(one.ask(0, 0).await.unwrap_err().kind, LimitKind::Concurrency);
    server.start();
    one.wait(true).await;
    two.wait(true).await;
    let rest = (two.ask(0, 0).await.unwrap(), two.ask(0, 0).await.unwrap());
    assert_eq!(two.ask(0, 0).await.unwrap_err().kind, LimitKind::Concurrency);
    drop((early, alone));
    let begun = Instant::now();
    let mut found = Vec::new();
    while found.len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(5), "places stay taken");
        found.extend(two.ask(0, 0).await);
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(one.ask(0, 0).await.unwrap_err().kind, LimitKind::Concurrency);
    drop(rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_in_redis_is_found_entered_and_told() {
    let Some(server) = server::own() else { return };
    let rooms = Rooms::of_key(limits(60, 6_000, 1_000, 5));
    let one = Instance::with(&server, rooms, PATIENT, Duration::from_secs(1));
    one.wait(true).await;
    assert_eq!(one.burst(30).await, 30);
    let held = one.ask(100, 0).await.unwrap();
    // Evicted, by a server that is set up to.
    let keys: Vec<String> = server.command(&["KEYS", "{weighbridge}:*:key:*"]);
    assert_eq!(keys.len(), 2);
    server.command::<()>(&["DEL", &keys[0], &keys[1]]);
    let begun = Instant::now();
    let (mut nanos, mut found) = (0, 0);
    while nanos == 0 || found == 0 {
        let standing = one.fleet.standing();
        (nanos, found) = (standing.drift_nanos.max(nanos), standing.drift_places.max(found));
        assert!(begun.elapsed() < Duration::from_secs(10), "{standing:?}");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(nanos > 20_000_000_000 && found == 1, "{nanos}, {found}");
    assert!(one.fleet.standing().is_shared && one.fleet.standing().losses == 0);
    let taken: u64 = server.command(&["ZCARD", "{weighbridge}:places:key:000000000001"]);
    assert_eq!(taken, 1);
    let ahead: u64 = server.command(&["HGET", "{weighbridge}:rates:key:000000000001", "r"]);
    assert!(ahead > 20_000_000_000, "{ahead}");
    drop(held);
}
