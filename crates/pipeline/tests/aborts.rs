//! Ten thousand clients that leave at any time: every place, limit and reservation comes back, once (rules R6, R8).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::HashMap;
use std::time::Duration;

use http_body_util::BodyExt;
use weighbridge_access::Limits;
use weighbridge_ledger::{AttemptEntry, Extent, LedgerStore};
use weighbridge_units::{NanoUsd, Provenance};
use world::clients::{MODELS, ask, clients};
use world::{World, post};

const REQUESTS: u64 = 10_000;
/// So many at once, which is all that the key may.
const AT_ONCE: u64 = 50;

/// Asks, reads so many frames if they come in time, and leaves.
async fn leave(world: &World, key: &str, number: u64) {
    let client = clients().nth((number % 4) as usize).unwrap();
    let (model, _) = MODELS[(number / 4 % MODELS.len() as u64) as usize];
    let (path, body) = ask(client, model, "pace:12 words:12", !number.is_multiple_of(3));
    let patience = Duration::from_millis(number * 7 % 160);
    let request = post(&path, key, &body);
    let asked = async {
        let response = world.open(request).await;
        assert_eq!(response.status(), 200, "{number}: nobody's place is lost");
        let mut frames = response.into_body();
        for _ in 0..number % 40 {
            if frames.frame().await.is_none() {
                break;
            }
        }
    };
    // Before anything is polled; while it waits; in mid-stream; or not at all, where the answer was quick.
    let _ = tokio::time::timeout(patience, asked).await;
}

#[tokio::test(start_paused = true)]
async fn r6_r8_ten_thousand_clients_leave_at_any_time() {
    let mut world = World::new();
    let key = world.add_key(|key| {
        key.limits = Limits { concurrency: Some(AT_ONCE), ..Limits::NONE };
        key.budgets = vec!["usd=1000 period=day".parse().unwrap()];
    });
    for first in (0..REQUESTS).step_by(AT_ONCE as usize) {
        let all = (first..first + AT_ONCE).map(|number| leave(&world, &key, number));
        futures::future::join_all(all).await;
        assert_eq!(world.pipeline.open_requests(), 0, "after {first}");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
    assert_eq!(world.simulators().iter().map(|one| one.open_answers()).sum::<usize>(), 0);
    for (account, balance) in world.store.balances().await.unwrap() {
        assert_eq!(balance.pending.get(), 0, "{account}");
    }
    let found = world.store.verify(Extent::All).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);

    let invoice = world.invoice();
    let mut outcomes: HashMap<&str, u64> = HashMap::new();
    for line in &invoice {
        let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap();
        let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{line:?} is {entry:?}") };
        let settlement = ended.settlement;
        *outcomes.entry(settlement.outcome.as_str()).or_default() += 1;
        assert_eq!(settlement.charged, settlement.cost, "whoever leaves pays, once");
        if ended.used.provenance == Provenance::Reported {
            assert_eq!(settlement.cost, NanoUsd::new(line.nano_usd), "{line:?}");
        }
    }
    assert!(outcomes["client-left"] > REQUESTS / 2 && outcomes["success"] > 100, "{outcomes:?}");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
}
