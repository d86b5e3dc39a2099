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

const UNAVAILABLE: Fault = Fault::Status { code: 503, retry_after: Some(60) };

/// Where a request for `model` goes, and with how many attempts; `None` where nobody answers.
async fn went(world: &World, model: &str) -> (Option<String>, String) {
    let answer = world.post(CHAT, &chat(model, false)).await;
    let header = |name| answer.header(name).map(str::to_owned);
    let provider = header("x-gateway-provider").filter(|_| answer.status == 200);
    (provider, header("x-gateway-attempts").unwrap_or_default())
}

fn served(provider: &str, attempts: u32) -> (Option<String>, String) {
    (Some(provider.to_owned()), attempts.to_string())
}

/// What befalls a deployment that is asked for as `provider/model` is known where a model of the file leads to it.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_fails_under_its_own_name_is_benched_for_every_model_that_leads_to_it() {
    let world = World::new();
    (0..5).for_each(|_| world.openai.push_fault(REFUSED));
    for _ in 0..5 {
        assert_eq!(went(&world, "openai/gpt-4o-mini").await.0, None);
    }
    for model in ["gpt", "either"] {
        assert_eq!(went(&world, model).await, served("anthropic", 1), "{model}");
    }
    // For want of another it is asked all the same, and another model at the same provider is not benched.
    assert_eq!(went(&world, "only-gpt").await, served("openai", 1));
    assert_eq!(went(&world, "openai/gpt-4o").await, served("openai", 1));
}

/// And the other way about, also over a reload, which may name it or no longer name it.
#[tokio::test(start_paused = true)]
async fn what_a_model_found_out_holds_for_its_deployment_s_own_name_whatever_a_reload_names() {
    let world = World::new();
    world.openai.push_fault(UNAVAILABLE);
    assert_eq!(went(&world, "gpt").await, served("anthropic", 2));
    let asked = world.openai.request_count();
    let direct = async || world.post(CHAT, &chat("openai/gpt-4o-mini", false)).await;
    let left_alone = async |why: &str| {
        let answer = direct().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")), "{why}");
        assert_eq!(world.openai.request_count(), asked, "{why}");
    };
    left_alone("named").await;
    let mut unnamed: Settings = world.settings.clone();
    unnamed.routes.retain(|route| &*route.name == "only-claude");
    for (settings, why) in [
        (&world.settings, "named still"),
        (&unnamed, "no longer"),
        (&unnamed, "never"),
        (&world.settings, "again"),
    ] {
        world.pipeline.reload(settings).unwrap();
        left_alone(why).await;
    }
    assert_eq!(went(&world, "gpt").await, served("anthropic", 1));
    // One that was only asked for by its own name, and is named later.
    world.pipeline.reload(&unnamed).unwrap();
    let key = world.openai.request_count();
    tokio::time::sleep(Duration::from_secs(61)).await;
    world.openai.push_fault(UNAVAILABLE);
    assert_eq!(direct().await.status, 503);
    world.pipeline.reload(&world.settings).unwrap();
    assert_eq!(went(&world, "gpt").await, served("anthropic", 1));
    assert_eq!(world.openai.request_count(), key + 1);
}
