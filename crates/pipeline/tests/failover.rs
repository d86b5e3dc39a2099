//! What follows failures and delays, by cause, time and configuration.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use weighbridge_pipeline::settings::Settings;
use weighbridge_simulator::Fault;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use world::{Answer, CHAT, MESSAGES, World, post};

fn chat(model: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "messages": [{ "role": "user", "content": "words:20" }],
        "max_tokens": 100,
        "stream": stream,
    })
}

const REFUSED: Fault = Fault::RefuseConnection;

fn limited(retry_after: u32) -> Fault {
    Fault::Status { code: 429, retry_after: Some(retry_after) }
}

/// Sends a request whose client waits so long.
async fn within(world: &World, model: &str, millis: &str) -> (Answer, Duration) {
    let mut request = post(CHAT, &world.key, &chat(model, false));
    request.headers_mut().insert("x-gateway-timeout-ms", millis.parse().unwrap());
    let before = Instant::now();
    (world.send(request).await, before.elapsed())
}

#[tokio::test(start_paused = true)]
async fn with_one_vendor_down_every_request_succeeds_and_hardly_any_is_tried_twice() {
    for fault in [REFUSED, Fault::Status { code: 503, retry_after: None }, Fault::Html { code: 502 }] {
        let world = World::new();
        (0..1_000).for_each(|_| world.openai.push_fault(fault.clone()));
        let mut slowest = Duration::ZERO;
        for number in 0..400 {
            let path = if number % 2 == 0 { CHAT } else { MESSAGES };
            let before = Instant::now();
            let answer = world.post(path, &chat("gpt", number % 3 == 0)).await;
            assert_eq!(
                (answer.status, answer.header("x-gateway-provider")),
                (200, Some("anthropic")),
                "{fault:?}"
            );
            // The simulators answer at once, so that all of it is ours.
            slowest = slowest.max(before.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(slowest < Duration::from_millis(5), "{fault:?}: {slowest:?}");
        let tries = world.openai.request_count() + world.anthropic.request_count();
        assert!(tries * 10 <= 400 * 12, "{fault:?}: {tries} tries");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_back_gets_its_requests_again() {
    let world = World::new();
    (0..5).for_each(|_| world.openai.push_fault(REFUSED));
    for _ in 0..5 {
        world.post(CHAT, &chat("gpt", false)).await;
    }
    let provider =
        async || world.post(CHAT, &chat("gpt", false)).await.header("x-gateway-provider").map(str::to_owned);
    assert_eq!(provider().await.as_deref(), Some("anthropic"), "benched");
    // One second, and up to a tenth at random.
    tokio::time::sleep(Duration::from_millis(1_101)).await;
    assert_eq!(provider().await.as_deref(), Some("openai"), "it probes");
    assert_eq!(provider().await.as_deref(), Some("openai"));
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_deadline_ends_its_request_and_benches_nobody() {
    let world = World::new();
    for _ in 0..8 {
        world.openai.push_fault(Fault::StallBeforeHead);
        let (answer, took) = within(&world, "gpt", "300").await;
        assert_eq!(answer.status, 504, "{}", answer.text());
        assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(310), "{took:?}");
    }
    assert_eq!(world.anthropic.request_count(), 0, "no time for another");
    let answer = world.post(CHAT, &chat("gpt", false)).await;
    assert_eq!(answer.header("x-gateway-provider"), Some("openai"), "nobody is benched");
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_attempt_is_made_while_there_is_time_for_it() {
    let world = World::new();
    world.openai.push_fault(REFUSED);
    let (answer, _) = within(&world, "gpt", "100").await;
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")));
    world.openai.push_fault(REFUSED);
    let (answer, _) = within(&world, "gpt", "99").await;
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (502, Some("1")));
    for wrong in ["0", "soon", "86400001", "-1"] {
        assert_eq!(within(&world, "gpt", wrong).await.0.status, 400, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_retry_after_is_waited_for_where_nobody_else_is_left() {
    let world = World::new();
    world.openai.push_fault(limited(1));
    let before = Instant::now();
    let answer = world.post(CHAT, &chat("only-gpt", true)).await;
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")));
    let took = before.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1_110), "{took:?}");
    // Once per request.
    (0..2).for_each(|_| world.openai.push_fault(limited(1)));
    let answer = world.post(CHAT, &chat("only-gpt", true)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Not where it is longer, where another is left, or where the client does not wait that long.
    world.openai.push_fault(limited(2));
    assert_eq!(world.post(CHAT, &chat("only-gpt", false)).await.status, 429);
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.openai.push_fault(limited(1));
    let (answer, took) = within(&world, "gpt", "5000").await;
    assert_eq!((answer.header("x-gateway-provider"), took), (Some("anthropic"), Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.openai.push_fault(limited(1));
    let (answer, took) = within(&world, "only-gpt", "800").await;
    assert_eq!((answer.status, took), (429, Duration::ZERO));
}

/// OpenAI says with each answer that its limit of requests is used up, for 30 seconds.
struct Exhausted(Arc<dyn Transport>);

impl Transport for Exhausted {
    fn send(
        &self,
        request: Request<Rope>,
        connect: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        let tells = request.uri().host() == Some("openai.test");
        Box::pin(async move {
            let mut response = self.0.send(request, connect).await?;
            if tells {
                let headers = response.headers_mut();
                headers.insert("x-ratelimit-remaining-requests", "0".parse().unwrap());
                headers.insert("x-ratelimit-reset-requests", "30s".parse().unwrap());
            }
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_limit_is_used_up_is_passed_over_and_used_for_want_of_another() {
    let mut world = World::new();
    world.transport = Arc::new(Exhausted(Arc::clone(&world.transport)));
    let provider = async |model| {
        let answer = world.post(CHAT, &chat(model, false)).await;
        assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("1")));
        answer.header("x-gateway-provider").unwrap().to_owned()
    };
    assert_eq!(provider("gpt").await, "openai");
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(provider("gpt").await, "anthropic");
    assert_eq!(provider("only-gpt").await, "openai", "for which it begins anew");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(provider("gpt").await, "openai");
}

fn only(change: impl Fn(&mut weighbridge_routing::FallbackRules)) -> World {
    World::with_settings(1, |settings: &mut Settings| {
        settings.routes.iter_mut().for_each(|route| change(&mut route.failover.rules));
    })
}

#[tokio::test(start_paused = true)]
async fn fallbacks_serve_errors_and_limits_unless_told_otherwise() {
    let (error, limit) = (Fault::Status { code: 500, retry_after: None }, limited(30));
    for (world, fault, status) in [
        (only(|_| {}), &error, 200),
        (only(|_| {}), &limit, 200),
        (only(|rules| rules.on_error = false), &error, 502),
        (only(|rules| rules.on_error = false), &limit, 200),
        (only(|rules| rules.on_rate_limit = false), &error, 200),
        (only(|rules| rules.on_rate_limit = false), &limit, 429),
    ] {
        world.openai.push_fault(fault.clone());
        let answer = world.post(CHAT, &chat("gpt", false)).await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text());
        assert_eq!(world.anthropic.request_count(), u64::from(status == 200), "{fault:?}");
    }
}
