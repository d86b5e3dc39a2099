//! What a provider can do wrong, one by one: the client's answer, the ledger's entry, what follows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use weighbridge_ledger::{AttemptEntry, LedgerStore};
use weighbridge_pipeline::settings::ProviderCredential;
use weighbridge_simulator::Fault;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use weighbridge_units::{NanoUsd, Provenance};
use world::{Answer, CHAT, MESSAGES, World};

fn chat(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "messages": [{ "role": "user", "content": "words:60" }],
        "max_tokens": 300,
        "stream": stream,
    })
}

fn outcomes(record: &Value) -> Vec<(&str, &str)> {
    let attempts = record["attempts"].as_array().unwrap();
    attempts.iter().map(|a| (a["outcome"].as_str().unwrap(), a["charged_usd"].as_str().unwrap())).collect()
}

const FREE: &str = "0.000000000";

/// Whatever was promised to a client that was told that its stream broke.
fn assert_broken(answer: &Answer) {
    let text = answer.text();
    assert!(text.contains("error"), "an error event: {text}");
    for good in ["[DONE]", "message_stop", "\"finish_reason\":\"stop\"", "end_turn"] {
        assert!(!text.contains(good), "a broken stream must not end well ({good}): {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_before_any_output_go_on_to_the_next() {
    let faults = || {
        vec![
            Fault::RefuseConnection,
            Fault::Reset,
            Fault::Status { code: 500, retry_after: None },
            Fault::Status { code: 503, retry_after: None },
            Fault::Status { code: 429, retry_after: Some(7) },
            Fault::ErrorUnder200,
            Fault::Html { code: 200 },
            Fault::Html { code: 502 },
            Fault::Empty,
            Fault::NoCredit,
        ]
    };
    for stream in [false, true] {
        for fault in faults() {
            let world = World::new();
            let case = format!("{fault:?} stream={stream}");
            // A refused credential is followed by the other one of the same provider.
            let hits = if matches!(fault, Fault::NoCredit) { 2 } else { 1 };
            (0..hits).for_each(|_| world.openai.push_fault(fault.clone()));
            let before = tokio::time::Instant::now();
            let answer = world.post(CHAT, &chat("gpt", stream)).await;
            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
            assert_eq!(answer.header("x-gateway-provider"), Some("anthropic"), "{case}");
            assert_eq!(answer.header("x-gateway-attempts"), Some((hits + 1).to_string().as_str()), "{case}");
            assert!(before.elapsed() < Duration::from_millis(100), "{case}: {:?}", before.elapsed());
            let record = world.record(&answer).await;
            let ends = outcomes(&record);
            assert_eq!(ends[0], ("failed-before-output", FREE), "{case}: {record}");
            assert_eq!(ends.last().unwrap().0, "success", "{case}: {record}");
            assert!(world.openai.invoice().is_empty(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn alone_the_failure_is_the_answer_with_its_class() {
    let cases = [
        (Fault::RefuseConnection, 502),
        (Fault::Status { code: 500, retry_after: None }, 502),
        (Fault::Status { code: 503, retry_after: None }, 503),
        (Fault::Html { code: 200 }, 502),
        (Fault::ErrorUnder200, 502),
        (Fault::Empty, 502),
        (Fault::CutBody, 502),
    ];
    for (fault, status) in cases {
        let world = World::new();
        world.openai.push_fault(fault.clone());
        let answer = world.post(CHAT, &chat("only-gpt", false)).await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text());
        assert!(answer.json()["error"]["message"].is_string(), "{fault:?}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_of_the_only_target_is_the_clients_429() {
    let world = World::new();
    world.openai.push_fault(Fault::Status { code: 429, retry_after: Some(9) });
    let answer = world.post(CHAT, &chat("only-gpt", false)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("9")), "{}", answer.text());
    assert_eq!(answer.header("x-gateway-limit-kind"), Some("upstream"));
    // The target is left alone for as long as it asked.
    let again = world.post(CHAT, &chat("only-gpt", false)).await;
    assert_eq!(again.status, 429);
    assert_eq!(world.openai.request_count(), 1);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(world.post(CHAT, &chat("only-gpt", false)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_is_the_clients_own_and_is_not_tried_again() {
    let world = World::new();
    let mut body = chat("gpt", false);
    body["temperature"] = json!(9);
    let answer = world.post(CHAT, &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(world.anthropic.request_count(), 0);
    // The same over the other protocol, translated.
    world.anthropic.push_fault(Fault::Status { code: 400, retry_after: None });
    let answer = world.post(CHAT, &chat("claude", false)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test(start_paused = true)]
async fn a_refused_platform_key_is_never_the_clients_401() {
    let world = World::with_settings(1, |settings| {
        settings.providers[0].credentials = vec![ProviderCredential::key("sk-invalid".to_owned())];
    });
    let answer = world.post(CHAT, &chat("only-gpt", false)).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!answer.text().contains("sk-invalid"), "{}", answer.text());
    assert_eq!(world.post(CHAT, &chat("gpt", false)).await.status, 200, "the fallback serves");
}

#[tokio::test(start_paused = true)]
async fn breaks_in_mid_stream_end_with_an_error_event_and_no_second_try() {
    for (model, provider) in [("gpt", "openai"), ("claude", "anthropic")] {
        for path in [CHAT, MESSAGES] {
            for fault in [
                Fault::CutMidStream { after_frames: 12 },
                Fault::ResetMidStream { after_frames: 12 },
                Fault::ErrorMidStream { after_frames: 12 },
                Fault::MalformedMidStream { after_frames: 12 },
                Fault::StallMidStream { after_frames: 12 },
            ] {
                let world = World::new();
                let case = format!("{path} {model} {fault:?}");
                let simulator = if provider == "openai" { &world.openai } else { &world.anthropic };
                simulator.push_fault(fault.clone());
                let answer = world.post(path, &chat(model, true)).await;
                assert_eq!(answer.status, 200, "{case}");
                assert_broken(&answer);
                let record = world.record(&answer).await;
                let ends = outcomes(&record);
                let expected = if matches!(fault, Fault::StallMidStream { .. }) {
                    "timed-out"
                } else {
                    "failed-mid-stream"
                };
                assert_eq!(ends, [(expected, FREE)], "{case}: {record}");
                assert_eq!(record["attempts"][0]["provenance"], "estimated", "{case}: {record}");
                assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_first_byte_goes_on_to_the_next() {
    for stream in [false, true] {
        let world = World::new();
        world.openai.push_fault(Fault::StallBeforeHead);
        let before = tokio::time::Instant::now();
        let answer = world.post(CHAT, &chat("gpt", stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(before.elapsed() >= Duration::from_secs(60), "{:?}", before.elapsed());
        let record = world.record(&answer).await;
        let first = &record["attempts"][0];
        assert_eq!(
            (first["outcome"].as_str(), first["charged_usd"].as_str()),
            (Some("timed-out"), Some(FREE))
        );
        assert!(first["usage"]["input"].as_u64().unwrap() > 0, "the prompt is estimated: {record}");
    }
}

#[tokio::test(start_paused = true)]
async fn missing_usage_is_estimated_and_running_usage_counts_once() {
    let world = World::new();
    world.openai.push_fault(Fault::NoUsage);
    let answer = world.post(CHAT, &chat("only-gpt", true)).await;
    let record = world.record(&answer).await;
    assert_eq!(record["attempts"][0]["provenance"], "estimated", "{record}");
    assert_ne!(record["attempts"][0]["charged_usd"], FREE);
    for (model, stream) in [("only-gpt", true), ("only-claude", true)] {
        let world = World::new();
        world.openai.push_fault(Fault::RunningUsage);
        world.anthropic.push_fault(Fault::RunningUsage);
        let answer = world.post(CHAT, &chat(model, stream)).await;
        let record = world.record(&answer).await;
        let line = world.openai.invoice().into_iter().chain(world.anthropic.invoice()).next().unwrap();
        assert_eq!(record["attempts"][0]["cost_usd"], NanoUsd::new(line.nano_usd).to_string(), "{record}");
    }
}

/// Providers that tell what was answered and not what was asked: the field of the prompt goes by a name that nobody
/// knows.
struct Forgetful(Arc<dyn Transport>);

impl Transport for Forgetful {
    fn send(
        &self,
        request: Request<Rope>,
        connect: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let (head, body) = self.0.send(request, connect).await?.into_parts();
            let mut text = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
            for field in ["prompt_tokens", "input_tokens", "promptTokenCount"] {
                text = text.replace(&format!("\"{field}\":"), &format!("\"un{field}\":"));
            }
            let body: ByteStream = Box::pin(Full::new(Bytes::from(text)).map_err(|never| match never {}));
            Ok(Response::from_parts(head, body))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn m7_a_prompt_that_no_provider_tells_is_not_free() {
    let models = ["only-gpt", "only-claude", "openai-responses/gpt-4o-mini", "gemini/gemini-2.5-flash"];
    for (model, stream) in models.iter().flat_map(|model| [(model, false), (model, true)]) {
        let mut world = World::new();
        world.transport = Arc::new(Forgetful(Arc::clone(&world.transport)));
        let answer = world.post(CHAT, &chat(model, stream)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let record = world.record(&answer).await;
        let attempt = &record["attempts"][0];
        assert_eq!(attempt["provenance"], "estimated", "{model}, stream {stream}: {record}");
        assert!(attempt["usage"]["input"].as_u64() > Some(0), "{model}, stream {stream}: {record}");
        let line = &world.invoice()[0];
        let told = ["output", "reasoning"].map(|bucket| attempt["usage"][bucket].as_u64().unwrap_or(0));
        assert_eq!(told, [line.usage.output, line.usage.reasoning], "{model}, stream {stream}: {record}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_upstream_and_pays_once() {
    for model in ["only-gpt", "only-claude"] {
        let world = World::new();
        let mut body = chat(model, true);
        body["messages"][0]["content"] = json!("pace:50 words:100");
        let response = world.open(world::post(CHAT, &world.key, &body)).await;
        let mut stream = response.into_body();
        for _ in 0..4 {
            assert!(stream.frame().await.is_some());
        }
        drop(stream);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(world.openai.open_answers() + world.anthropic.open_answers(), 0, "{model}: cancelled");
        assert_eq!(world.pipeline.ledger().outstanding(), 0);
        let line = world.openai.invoice().into_iter().chain(world.anthropic.invoice()).next().unwrap();
        let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap();
        let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{entry:?}") };
        assert_eq!(ended.settlement.outcome.as_str(), "client-left");
        assert_eq!(ended.used.provenance, Provenance::Estimated);
        assert!(ended.settlement.charged > NanoUsd::ZERO);
        assert_eq!(ended.settlement.charged, ended.settlement.cost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_head_is_settled_too() {
    let world = World::new();
    world.openai.push_fault(Fault::StallBeforeHead);
    {
        let request = world::post(CHAT, &world.key, &chat("only-gpt", false));
        let waiting = world.open(request);
        tokio::pin!(waiting);
        let left = tokio::time::timeout(Duration::from_secs(5), &mut waiting).await;
        assert!(left.is_err(), "nothing answers");
    }
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
    assert_eq!(world.pipeline.open_requests(), 0);
    let line = &world.openai.invoice()[0];
    let entry = world.store.attempt(line.attempt.unwrap()).await.unwrap();
    let Some(AttemptEntry::Ended(ended)) = entry else { panic!("{entry:?}") };
    assert_eq!(ended.settlement.outcome.as_str(), "client-left");
}

#[tokio::test(start_paused = true)]
async fn an_endless_event_costs_bounded_memory() {
    let world = World::new();
    world.openai.push_fault(Fault::EndlessEvent { after_frames: 12 });
    let answer = world.post(CHAT, &chat("only-gpt", true)).await;
    assert_broken(&answer);
    assert!(answer.body.len() < 40 * 1024 * 1024, "{}", answer.body.len());
}
