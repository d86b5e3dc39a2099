//! Active probes: to benched models' providers only, and never more than a hint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use serde_json::json;
use weighbridge_access::{KeyStore, MemoryKeyStore};
use weighbridge_pipeline::Jobs;
use weighbridge_pipeline::settings::ProbeSettings;
use weighbridge_simulator::Fault;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use world::{CHAT, World};

/// A provider's list of models, which is there or not.
#[derive(Default)]
struct Listing {
    is_up: AtomicBool,
    asked: AtomicU64,
}

impl Transport for Listing {
    fn send(
        &self,
        request: Request<Rope>,
        _: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        assert_eq!((request.method(), request.uri().path()), (&Method::GET, "/v1/models"));
        assert!(request.headers().contains_key("authorization") && request.body().is_empty());
        self.asked.fetch_add(1, Ordering::Relaxed);
        let status = if self.is_up.load(Ordering::Relaxed) { 200 } else { 503 };
        let body: ByteStream = Box::pin(Empty::<Bytes>::new().map_err(|never| match never {}));
        Box::pin(async move { Ok(Response::builder().status(status).body(body).unwrap()) })
    }
}

/// A world in which OpenAI is asked every five seconds whether it is back, at the listing.
async fn probing() -> (World, Arc<Listing>, Jobs) {
    let world = World::with_settings(1, |settings| {
        let health = &mut settings.providers[0].health;
        health.policy.cool_down = Duration::from_secs(60);
        health.probe = Some(ProbeSettings { path: "/models".into(), every: Duration::from_secs(5) });
    });
    let listing = Arc::new(Listing::default());
    let keys = MemoryKeyStore::new();
    for key in &world.keys {
        keys.create(key.clone()).await.unwrap();
    }
    let mut jobs = Jobs::start(&world.pipeline, Arc::new(keys));
    jobs.probe_providers(&world.pipeline, Arc::clone(&listing) as Arc<dyn Transport>);
    (world, listing, jobs)
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_asked_while_it_is_benched_and_its_answer_ends_the_cool_down() {
    let (world, listing, jobs) = probing().await;
    let body = json!({ "model": "gpt", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 9 });
    let provider =
        async || world.post(CHAT, &body).await.header("x-gateway-provider").unwrap_or_default().to_owned();
    let asked = || listing.asked.load(Ordering::Relaxed);

    assert_eq!(provider().await, "openai");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(asked(), 0, "nobody is benched");
    for _ in 0..5 {
        world.openai.push_fault(Fault::RefuseConnection);
        assert_eq!(provider().await, "anthropic");
    }
    tokio::time::sleep(Duration::from_millis(20_500)).await;
    assert!((4..=5).contains(&asked()), "{}", asked());
    assert_eq!(provider().await, "anthropic", "it has not answered");
    listing.is_up.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = asked();
    // It answers, and does not serve: one request finds that out, and it is benched again.
    world.openai.push_fault(Fault::RefuseConnection);
    let record = world.post(CHAT, &body).await;
    assert_eq!(record.header("x-gateway-attempts"), Some("2"));
    assert_eq!(provider().await, "anthropic");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(asked() > before);
    assert_eq!(provider().await, "openai");
    jobs.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_asked_for_a_model_that_the_file_does_not_name_as_well() {
    let (world, listing, jobs) = probing().await;
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let body = json!({ "model": "openai/gpt-4o", "messages": messages, "max_tokens": 9 });
    for _ in 0..5 {
        world.openai.push_fault(Fault::RefuseConnection);
        assert_eq!(world.post(CHAT, &body).await.status, 502);
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(listing.asked.load(Ordering::Relaxed) > 0);
    jobs.stop().await;
}
