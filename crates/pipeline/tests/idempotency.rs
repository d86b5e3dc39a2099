//! Requests under an idempotency key: carried out once, billed once, and answered as often as they are asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use weighbridge_access::Limits;
use weighbridge_cache::{CacheStore, KeepingTerms, MemoryCacheStore, StoreLimits};
use weighbridge_ledger::{LedgerStore, MemoryLedger};
use weighbridge_pipeline::settings::{DrainLimits, OnDisconnect};
use weighbridge_simulator::Fault;
use weighbridge_units::{Protocol, Timestamp};
use world::clients::{MODELS, ask, clients};
use world::{Answer, CHAT, World, post, read};

const SECOND: Duration = Duration::from_secs(1);

fn keyed(path: &str, key: &str, body: &Value, idempotency: &str) -> Request<Full<Bytes>> {
    let mut request = post(path, key, body);
    request.headers_mut().insert("idempotency-key", idempotency.parse().unwrap());
    request
}

impl World {
    async fn again(&self, path: &str, body: &Value, idempotency: &str) -> Answer {
        self.send(keyed(path, &self.key, body, idempotency)).await
    }
}

fn chat(text: &str, stream: bool) -> Value {
    ask(Protocol::OpenAiChat, "openai/gpt-4o-mini", text, stream).1
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("x-gateway-cache") == Some("idempotent")
}

/// What was asked before is answered with the same bytes, costs nothing, and says of which request it is.
async fn assert_replays(world: &World, first: &Answer, again: &Answer, case: &str) {
    assert_eq!((first.status, again.status), (200, 200), "{case}: {} {}", first.text(), again.text());
    assert_eq!(first.body, again.body, "{case}");
    for name in ["content-type", "x-gateway-provider", "x-gateway-model"] {
        assert_eq!(first.header(name), again.header(name), "{case}");
    }
    assert!(!is_replay(first) && is_replay(again), "{case}: {:?}", again.headers);
    let shown =
        ["x-gateway-attempts", "x-gateway-cost-usd", "x-gateway-replay-of"].map(|name| again.header(name));
    assert_eq!(shown, [Some("0"), Some("0"), first.header("x-request-id")], "{case}");
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"), "{case}");
    let record = world.record(again).await;
    assert_eq!(record["replay_of"].as_str(), first.header("x-request-id"), "{case}: {record}");
    assert_eq!(record["attempts"], json!([]), "{case}");
}

#[tokio::test(start_paused = true)]
async fn a3_l4_a_retry_is_answered_with_the_same_bytes_and_billed_once() {
    let world = World::new();
    for client in clients() {
        for (model, _) in MODELS {
            for stream in [false, true] {
                world.afresh(None);
                let case = format!("{client} {model} {stream}");
                let (path, body) = ask(client, model, "words:30", stream);
                let first = world.again(&path, &body, &case).await;
                // At once, and once it is kept.
                for _ in 0..2 {
                    assert_replays(&world, &first, &world.again(&path, &body, &case).await, &case).await;
                    tokio::time::sleep(SECOND).await;
                }
                assert_eq!(world.invoice().len(), 1, "{case}");
                let other = world.again(&path, &body, &format!("{case}!")).await;
                assert!(!is_replay(&other) && world.invoice().len() == 2, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a3_vectors_are_replayed() {
    let world = World::new();
    let body = json!({ "model": "openai/text-embedding-3-small", "input": "hello" });
    let first = world.again("/v1/embeddings", &body, "k").await;
    assert_replays(&world, &first, &world.again("/v1/embeddings", &body, "k").await, "embeddings").await;
    assert_eq!(world.invoice().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn l4_who_asks_while_it_is_carried_out_joins_it() {
    for stream in [false, true] {
        let world = World::new();
        world.afresh(Some(&Fault::SlowHead(3 * SECOND)));
        let body = chat("pace:50 words:40", stream);
        let answers = join_all((0..20).map(|_| world.again(CHAT, &body, "k"))).await;
        let first = answers.iter().position(|answer| !is_replay(answer)).unwrap();
        for (at, answer) in answers.iter().enumerate().filter(|(at, _)| *at != first) {
            assert_replays(&world, &answers[first], answer, &format!("{stream} {at}")).await;
        }
        assert_eq!((world.invoice().len(), world.pipeline.open_requests()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_late_gets_a_stream_from_its_beginning_at_a_pace_of_its_own() {
    let world = World::new();
    let body = chat("pace:50 words:40", true);
    let mut first = world.open(keyed(CHAT, &world.key, &body, "k")).await.into_body();
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.extend_from_slice(&first.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    let slow = world.open(keyed(CHAT, &world.key, &body, "k")).await;
    assert_eq!(slow.headers()["x-gateway-cache"], "idempotent");
    let began = tokio::time::Instant::now();
    sent.extend_from_slice(&first.collect().await.unwrap().to_bytes());
    assert!(began.elapsed() < 3 * SECOND, "nobody waits for who reads slowly");
    let mut slow = slow.into_body();
    let mut got = Vec::new();
    while let Some(frame) = slow.frame().await {
        got.extend_from_slice(&frame.unwrap().into_data().unwrap());
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&sent));
    assert_eq!(world.invoice().len(), 1);
}

/// Asks and leaves after so long, wherever the answer is by then.
async fn leave_after(world: &World, body: &Value, after: Duration) {
    let asked = async { read(world.open(keyed(CHAT, &world.key, body, "k")).await).await };
    assert!(tokio::time::timeout(after, asked).await.is_err(), "it is not answered yet");
}

#[tokio::test(start_paused = true)]
async fn who_has_left_finds_the_answer_that_was_read_on() {
    for stream in [false, true] {
        for (after, then) in
            [(SECOND, SECOND), (4 * SECOND, SECOND / 10), (SECOND, 30 * SECOND), (4 * SECOND, 30 * SECOND)]
        {
            let world = World::new();
            world.afresh(Some(&Fault::SlowHead(3 * SECOND)));
            let body = chat(if stream { "pace:100 words:40" } else { "words:40" }, stream);
            if !stream && after > 3 * SECOND {
                continue;
            }
            leave_after(&world, &body, after).await;
            assert_eq!(world.pipeline.drains(), 1, "{stream} {after:?}");
            tokio::time::sleep(then).await;
            let answer = world.again(CHAT, &body, "k").await;
            assert!(
                answer.status == 200 && is_replay(&answer),
                "{stream} {after:?} {then:?}: {}",
                answer.text()
            );
            assert!(!stream || answer.text().trim_end().ends_with("[DONE]"), "{}", answer.text());
            assert_eq!(world.invoice().len(), 1);
            let line = &world.invoice()[0];
            let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap().unwrap();
            let weighbridge_ledger::AttemptEntry::Ended(ended) = entry else { panic!("{entry:?}") };
            assert_eq!(ended.settlement.outcome.as_str(), "success");
            assert_eq!(ended.settlement.charged.get(), line.nano_usd, "paid once, for the retry");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_keeps_an_answer_alive_whose_client_has_left() {
    let world = World::with_settings(1, |settings| {
        settings.drain = DrainLimits { time: SECOND, most: 1 };
    });
    world.afresh(Some(&Fault::SlowHead(20 * SECOND)));
    let body = chat("words:10", false);
    leave_after(&world, &body, SECOND / 2).await;
    let answer = world.again(CHAT, &body, "k").await;
    assert!(answer.status == 200 && is_replay(&answer), "{}", answer.text());
    assert_eq!(world.invoice().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_what_is_given_up_carries_it_out() {
    let world = World::with_settings(1, |settings| settings.drain = DrainLimits { time: SECOND, most: 0 });
    world.afresh(Some(&Fault::SlowHead(5 * SECOND)));
    let body = chat("words:10", false);
    let (waits, ()) = tokio::join!(
        async {
            tokio::time::sleep(SECOND / 10).await;
            world.again(CHAT, &body, "k").await
        },
        leave_after(&world, &body, SECOND),
    );
    assert!(waits.status == 200 && !is_replay(&waits), "{}", waits.text());
}

#[tokio::test(start_paused = true)]
async fn l4_another_body_is_a_conflict_in_the_clients_protocol() {
    let world = World::new();
    for client in clients() {
        world.afresh(None);
        let key = format!("{client}");
        let (path, body) = ask(client, "openai/gpt-4o-mini", "words:3", false);
        assert_eq!(world.again(&path, &body, &key).await.status, 200);
        let (path, other) = ask(client, "openai/gpt-4o-mini", "words:4", false);
        let refused = world.again(&path, &other, &key).await;
        assert_eq!(refused.status, 409, "{client}: {}", refused.text());
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        assert!(refused.json()["error"]["message"].as_str().unwrap().contains("another request"), "{client}");
        assert_eq!(world.record(&refused).await["refused"], "idempotency-conflict");
        assert_eq!(world.invoice().len(), 1, "{client}: nothing was sent");
    }
    // While it is being carried out, as well.
    world.afresh(Some(&Fault::SlowHead(SECOND)));
    let (body, other) = (chat("words:3", false), chat("words:4", false));
    let (first, refused) = tokio::join!(world.again(CHAT, &body, "k"), world.again(CHAT, &other, "k"));
    assert_eq!((first.status, refused.status), (200, 409));
}

#[tokio::test(start_paused = true)]
async fn keys_of_others_do_not_meet() {
    let mut world = World::new();
    let other = world.add_key(|_| {});
    let body = chat("words:3", false);
    world.again(CHAT, &body, "k").await;
    let theirs = world.send(keyed(CHAT, &other, &chat("words:4", false), "k")).await;
    assert!(theirs.status == 200 && !is_replay(&theirs), "{}", theirs.text());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept_and_a_retry_is_carried_out() {
    let world = World::new();
    let body = ask(Protocol::OpenAiChat, "only-gpt", "words:9", false).1;
    let streamed = ask(Protocol::OpenAiChat, "only-gpt", "words:9", true).1;
    for (fault, body, status) in [
        (Fault::Status { code: 400, retry_after: None }, &body, 400),
        (Fault::Status { code: 500, retry_after: None }, &body, 502),
        (Fault::CutMidStream { after_frames: 5 }, &streamed, 200),
    ] {
        world.afresh(Some(&fault));
        let key = format!("{fault:?}");
        let failed = world.again(CHAT, body, &key).await;
        assert_eq!(failed.status, status, "{}", failed.text());
        let again = world.again(CHAT, body, &key).await;
        assert!(again.status == 200 && !is_replay(&again), "{fault:?}: {}", again.text());
        assert!(is_replay(&world.again(CHAT, body, &key).await), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_goes_on_under_the_same_key() {
    let world = World::new();
    world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
    let body = ask(Protocol::OpenAiChat, "gpt", "words:9", false).1;
    let first = world.again(CHAT, &body, "k").await;
    assert_eq!((first.status, first.header("x-gateway-attempts")), (200, Some("2")), "{}", first.text());
    assert_replays(&world, &first, &world.again(CHAT, &body, "k").await, "failover").await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_limit_is_not_kept_and_replays_use_nothing_up() {
    let mut world = World::new();
    let limited = world.add_key(|key| key.limits = Limits { rpm: Some(2), ..Limits::NONE });
    let body = chat("words:3", false);
    let send = |idempotency: &'static str| world.send(keyed(CHAT, &limited, &body, idempotency));
    let first = send("a").await;
    for _ in 0..5 {
        assert!(is_replay(&send("a").await));
    }
    assert_eq!(first.status, 200);
    assert_eq!((send("b").await.status, send("c").await.status), (200, 429));
    assert!(is_replay(&send("a").await), "a replay needs no room either");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(send("c").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_one_is_refused() {
    let world = World::new();
    let body = chat("words:3", false);
    for wrong in ["", &"k".repeat(256)] {
        let refused = world.again(CHAT, &body, wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    let mut doubled = keyed(CHAT, &world.key, &body, "k");
    doubled.headers_mut().append("idempotency-key", "k".parse().unwrap());
    assert_eq!(world.send(doubled).await.status, 400);
    assert!(world.invoice().is_empty());
    assert_eq!(world.again(CHAT, &body, &"k".repeat(255)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn after_its_window_a_key_is_free() {
    let world = World::with_settings(1, |settings| settings.idempotency.window = 60 * SECOND);
    let body = chat("words:3", false);
    world.again(CHAT, &body, "k").await;
    tokio::time::sleep(59 * SECOND).await;
    assert!(is_replay(&world.again(CHAT, &body, "k").await));
    tokio::time::sleep(2 * SECOND).await;
    assert!(!is_replay(&world.again(CHAT, &chat("words:4", false), "k").await), "for anything else, too");
    let off = World::with_settings(1, |settings| settings.idempotency.enabled = false);
    off.again(CHAT, &body, "k").await;
    assert!(!is_replay(&off.again(CHAT, &body, "k").await));
}

#[tokio::test(start_paused = true)]
async fn l4_what_is_not_kept_is_not_carried_out_again() {
    let small = World::with_settings(1, |settings| settings.idempotency.max_body = 200);
    let store = MemoryCacheStore::new(StoreLimits { total_bytes: 1_500, ..StoreLimits::default() });
    let full = World::keeping(1, |_| {}, Some(world::keeping(Arc::new(store), KeepingTerms::default())));
    let none = World::keeping(1, |_| {}, None);
    for world in [small, full, none] {
        let body = chat("words:100", false);
        assert_eq!(world.again(CHAT, &body, "k").await.status, 200);
        tokio::time::sleep(SECOND).await;
        // In the second world, this one drives the first one out.
        world.again(CHAT, &chat("words:101", false), "other").await;
        tokio::time::sleep(SECOND).await;
        let refused = world.again(CHAT, &body, "k").await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "idempotency_answer_gone");
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        assert_eq!(world.invoice().len(), 2);
    }
}

/// Two instances over one ledger and one store of kept answers.
fn two() -> (World, World) {
    let store: Arc<dyn CacheStore> = Arc::new(MemoryCacheStore::new(StoreLimits::default()));
    let ledger = MemoryLedger::with_rows(1_000_000);
    let other = ledger.restart();
    let keeping = || Some(world::keeping(Arc::clone(&store), KeepingTerms::default()));
    let one = World::over(ledger, 1, |_| {}, keeping());
    (one, World::over(other, 2, |_| {}, keeping()))
}

fn invoiced(one: &World, other: &World) -> usize {
    one.invoice().len() + other.invoice().len()
}

#[tokio::test(start_paused = true)]
async fn l4_of_two_instances_one_carries_it_out_and_the_other_waits() {
    for stream in [false, true] {
        let (one, other) = two();
        for world in [&one, &other] {
            world.afresh(Some(&Fault::SlowHead(5 * SECOND)));
        }
        let body = chat("words:20", stream);
        let asked = [&one, &other, &one, &other].map(|world| world.again(CHAT, &body, "k"));
        let answers = join_all(asked).await;
        assert_eq!(invoiced(&one, &other), 1);
        let carried_out: Vec<_> = answers.iter().filter(|answer| !is_replay(answer)).collect();
        assert_eq!(carried_out.len(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == carried_out[0].body));
        let conflict = other.again(CHAT, &chat("words:21", stream), "k").await;
        assert_eq!((conflict.status, invoiced(&one, &other)), (409, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn l4_who_waits_too_long_for_another_instance_is_told_to_ask_again() {
    let (one, other) = two();
    one.afresh(Some(&Fault::SlowHead(50 * SECOND)));
    let body = chat("words:20", false);
    let (first, waits) = tokio::join!(one.again(CHAT, &body, "k"), async {
        tokio::time::sleep(SECOND).await;
        let busy = other.again(CHAT, &body, "k").await;
        assert_eq!((busy.status, busy.header("retry-after")), (409, Some("1")), "{}", busy.text());
        assert_eq!(busy.header("x-should-retry"), None, "SDKs try again by themselves");
        other.again(CHAT, &body, "k").await
    });
    assert_eq!((first.status, waits.status, is_replay(&waits)), (200, 200, true), "{}", waits.text());
    assert_eq!(invoiced(&one, &other), 1);
}

#[tokio::test(start_paused = true)]
async fn c1_l4_after_a_crash_a_retry_is_carried_out_and_billed_once() {
    let (one, other) = two();
    one.afresh(Some(&Fault::StallBeforeHead));
    let body = chat("words:20", false);
    let hangs = one.again(CHAT, &body, "k");
    let retry = async {
        tokio::time::sleep(SECOND).await;
        let waits = other.again(CHAT, &body, "k");
        let dies = async {
            tokio::time::sleep(SECOND).await;
            // The first instance is taken for dead: what it has open ends as crashed.
            assert_eq!(other.store.recover(Timestamp::default()).await.unwrap().crashed, 1);
        };
        tokio::join!(waits, dies).0
    };
    let retry = tokio::select! {
        answer = hangs => panic!("{}", answer.text()),
        retry = retry => retry,
    };
    assert!(retry.status == 200 && !is_replay(&retry), "{}", retry.text());
    assert!(is_replay(&other.again(CHAT, &body, "k").await));
    let charged: i64 = other.invoice().iter().map(|line| line.nano_usd).sum();
    let rollups = other.store.rollups(weighbridge_ledger::RollupQuery::ALL).await.unwrap();
    assert_eq!(rollups.iter().map(|(_, rollup)| rollup.charged.get()).sum::<i64>(), charged);
}

#[tokio::test(start_paused = true)]
async fn a_drain_by_configuration_does_not_change_what_is_kept() {
    let world = World::with_settings(1, |settings| settings.on_disconnect = OnDisconnect::Drain);
    let body = chat("pace:50 words:20", true);
    let first = world.again(CHAT, &body, "k").await;
    assert_replays(&world, &first, &world.again(CHAT, &body, "k").await, "drain").await;
}
