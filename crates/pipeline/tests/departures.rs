//! Clients that leave: their attempts are cancelled at once, or read on for the exact usage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;
use weighbridge_ledger::{AttemptEntry, Ended, LedgerStore};
use weighbridge_pipeline::settings::{DrainLimits, OnDisconnect};
use weighbridge_simulator::Fault;
use weighbridge_units::{NanoUsd, Protocol, Provenance};
use world::World;
use world::clients::{MODELS, ask, clients};

const SECOND: Duration = Duration::from_secs(1);

/// A world that drains, within these bounds.
fn draining(limits: DrainLimits) -> World {
    World::with_settings(1, |settings| {
        settings.on_disconnect = OnDisconnect::Drain;
        settings.drain = limits;
    })
}

fn open_answers(world: &World) -> usize {
    world.simulators().iter().map(|simulator| simulator.open_answers()).sum()
}

/// What the ledger says of the one attempt, and what the invoice.
async fn settled(world: &World) -> (Ended, NanoUsd) {
    // Ends are committed right behind the turn in which they came.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
    assert_eq!((world.pipeline.open_requests(), world.pipeline.drains(), open_answers(world)), (0, 0, 0));
    let lines = world.invoice();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let entry = world.store.attempt(lines[0].attempt.unwrap()).await.unwrap();
    let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{entry:?}") };
    assert_eq!(ended.settlement.outcome.as_str(), "client-left");
    assert_eq!(ended.settlement.charged, ended.settlement.cost);
    (ended, NanoUsd::new(lines[0].nano_usd))
}

/// Reads a few frames of an answer and leaves.
async fn leave_in_mid_stream(world: &World, client: Protocol, model: &str) -> Option<String> {
    let (path, body) = ask(client, model, "pace:50 words:60", true);
    let response = world.open(world::post(&path, &world.key, &body)).await;
    let id = response.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    let mut stream = response.into_body();
    for _ in 0..4 {
        assert!(stream.frame().await.is_some());
    }
    id
}

/// Asks, waits for so long, and leaves before there is an answer.
async fn leave_before_the_head(world: &World, client: Protocol, model: &str, stream: bool, after: Duration) {
    let (path, body) = ask(client, model, "words:30", stream);
    let waiting = world.open(world::post(&path, &world.key, &body));
    assert!(tokio::time::timeout(after, waiting).await.is_err(), "nothing answers yet");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_in_mid_stream_cancels_upstream_at_once() {
    let world = World::new();
    for client in clients() {
        for (model, _) in MODELS {
            world.afresh(None);
            leave_in_mid_stream(&world, client, model).await;
            let (ended, invoiced) = settled(&world).await;
            assert_eq!(ended.used.provenance, Provenance::Estimated, "{client} {model}");
            assert!(ended.settlement.cost > NanoUsd::ZERO && invoiced > NanoUsd::ZERO, "{client} {model}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_the_head_cancels_upstream_at_once() {
    let world = World::new();
    for client in clients() {
        for (model, _) in MODELS {
            for (fault, stream) in [
                (Fault::StallBeforeHead, false),
                (Fault::StallBeforeHead, true),
                (Fault::StallMidStream { after_frames: 0 }, true),
            ] {
                world.afresh(Some(&fault));
                leave_before_the_head(&world, client, model, stream, 5 * SECOND).await;
                let (ended, _) = settled(&world).await;
                assert_eq!(ended.used.provenance, Provenance::Estimated, "{client} {model}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a1_a_drained_stream_is_billed_as_invoiced() {
    let world = draining(DrainLimits::default());
    for client in clients() {
        for (model, _) in MODELS {
            world.afresh(None);
            let id = leave_in_mid_stream(&world, client, model).await.unwrap();
            let case = format!("{client} {model}");
            assert_eq!((world.pipeline.drains(), open_answers(&world)), (1, 1), "{case}");
            // It is a request at work like any other: whoever drains the gateway waits for it.
            assert_eq!(world.pipeline.open_requests(), 1, "{case}");
            tokio::time::sleep(30 * SECOND).await;
            let (ended, invoiced) = settled(&world).await;
            assert_eq!(ended.used.provenance, Provenance::Reported, "{case}");
            assert_eq!(ended.settlement.cost, invoiced, "{case}");
            let record = world.get(&format!("/v1/requests/{id}")).await.json();
            assert_eq!(record["attempts"][0]["outcome"], "client-left", "{case}: {record}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a1_an_answer_whose_client_left_before_its_head_is_billed_as_invoiced() {
    let world = draining(DrainLimits::default());
    for client in clients() {
        for (model, _) in MODELS {
            for stream in [false, true] {
                world.afresh(Some(&Fault::SlowHead(3 * SECOND)));
                leave_before_the_head(&world, client, model, stream, SECOND).await;
                assert_eq!(world.pipeline.drains(), 1, "{client} {model} {stream}");
                tokio::time::sleep(30 * SECOND).await;
                let (ended, invoiced) = settled(&world).await;
                assert_eq!(ended.used.provenance, Provenance::Reported, "{client} {model} {stream}");
                assert_eq!(ended.settlement.cost, invoiced, "{client} {model} {stream}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn draining_is_bounded_in_time() {
    let world = draining(DrainLimits { time: 2 * SECOND, most: 10 });
    leave_in_mid_stream(&world, Protocol::OpenAiChat, "openai/gpt-4o-mini").await;
    tokio::time::sleep(SECOND).await;
    assert_eq!((world.pipeline.drains(), open_answers(&world)), (1, 1));
    tokio::time::sleep(2 * SECOND).await;
    let (ended, _) = settled(&world).await;
    assert_eq!(ended.used.provenance, Provenance::Estimated);
}

#[tokio::test(start_paused = true)]
async fn draining_is_bounded_in_number() {
    let world = draining(DrainLimits { time: 60 * SECOND, most: 2 });
    for open in [1, 2, 2, 2] {
        leave_in_mid_stream(&world, Protocol::OpenAiChat, "openai/gpt-4o-mini").await;
        assert_eq!((world.pipeline.drains(), open_answers(&world)), (open, open));
    }
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((world.pipeline.drains(), world.pipeline.ledger().outstanding()), (0, 0));
    let mut provenances = Vec::new();
    for line in world.invoice() {
        let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap();
        let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{entry:?}") };
        provenances.push(ended.used.provenance);
    }
    let exact = provenances.iter().filter(|provenance| **provenance == Provenance::Reported).count();
    assert_eq!((exact, provenances.len()), (2, 4), "{provenances:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_sent_for_a_client_that_has_left() {
    let world = draining(DrainLimits { time: 200 * SECOND, most: 10 });
    world.openai.push_fault(Fault::StallBeforeHead);
    let body = json!({ "model": "gpt", "messages": [{ "role": "user", "content": "Hi" }] });
    let waiting = world.open(world::post(world::CHAT, &world.key, &body));
    assert!(tokio::time::timeout(5 * SECOND, waiting).await.is_err());
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!((world.openai.request_count(), world.anthropic.request_count()), (1, 0));
    assert_eq!((world.pipeline.drains(), world.pipeline.ledger().outstanding()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_route_says_otherwise_than_the_installation() {
    let world = World::with_settings(1, |settings| {
        settings.on_disconnect = OnDisconnect::Drain;
        settings.routes.iter_mut().for_each(|route| {
            route.on_disconnect = (&*route.name == "only-gpt").then_some(OnDisconnect::Cancel);
        });
    });
    leave_in_mid_stream(&world, Protocol::OpenAiChat, "only-gpt").await;
    assert_eq!(world.pipeline.drains(), 0);
    leave_in_mid_stream(&world, Protocol::OpenAiChat, "only-claude").await;
    assert_eq!(world.pipeline.drains(), 1);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((world.pipeline.drains(), world.pipeline.ledger().outstanding()), (0, 0));
}

#[test]
fn where_the_runtime_ends_a_drained_attempt_is_cancelled_and_settled() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = runtime.block_on(async {
        let world = draining(DrainLimits::default());
        leave_in_mid_stream(&world, Protocol::OpenAiChat, "openai/gpt-4o-mini").await;
        assert_eq!(world.pipeline.drains(), 1);
        world
    });
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        world.pipeline.ledger().flush();
        let (ended, _) = settled(&world).await;
        assert_eq!(ended.used.provenance, Provenance::Estimated);
    });
}
