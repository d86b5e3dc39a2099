//! What is refused before anything is sent, and how it is said.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use weighbridge_access::{Limits, ModelScope};
use weighbridge_units::Timestamp;
use world::{Answer, CHAT, MESSAGES, World, monthly, post};

async fn raw(world: &World, path: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::post(path).header("x-api-key", &world.key).body(Full::new(body.into())).unwrap();
    world.send(request).await
}

fn hello(model: &str) -> serde_json::Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "echo:Hi" }] })
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_key_all_look_the_same() {
    let mut world = World::new();
    let expired = world.add_key(|key| key.expires = Some(Timestamp::from_secs(1)));
    let revoked = world.add_key(|key| key.revoked = Some(Timestamp::from_secs(1)));
    let mut bodies = Vec::new();
    for key in ["", "nonsense", "wb-000000000000-x", &expired, &revoked, &format!("{}x", world.key)] {
        let answer = world.send(post(CHAT, key, &hello("gpt"))).await;
        assert_eq!(answer.status, 401, "{key}: {}", answer.text());
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let answer = world.send(post(MESSAGES, "nonsense", &hello("gpt"))).await;
    assert_eq!(answer.json()["error"]["type"], "authentication_error");
    assert_eq!(world.openai.request_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn bad_bodies_name_the_field() {
    let world = World::new();
    let deep = format!(r#"{{"model":"gpt","messages":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let cases = [
        ("not json", 400, "JSON"),
        (r#"{"model":"gpt""#, 400, "JSON"),
        ("[]", 400, "object"),
        (r#"{"messages":[]}"#, 400, "model"),
        (r#"{"model":7,"messages":[]}"#, 400, "model"),
        (r#"{"model":"gpt","model":"gpt","messages":[]}"#, 400, "model"),
        (r#"{"model":"gpt","stream":"yes","messages":[]}"#, 400, "stream"),
        (&deep, 400, "deep"),
        ("\u{feff}{}", 400, "JSON"),
    ];
    for path in [CHAT, MESSAGES] {
        for (body, status, word) in &cases {
            let answer = raw(&world, path, (*body).to_owned()).await;
            assert_eq!(answer.status, *status, "{path} {body}: {}", answer.text());
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(word), "{path} {body}: {message}");
        }
        assert_eq!(raw(&world, path, &b"{\"model\":\"\xff\"}"[..]).await.status, 400);
    }
    let wrong = json!({ "model": "claude", "messages": [{ "role": "user", "content": 7 }] });
    let answer = world.post(CHAT, &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "messages.0.content", "{}", answer.text());
    assert_eq!(world.openai.request_count() + world.anthropic.request_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_413() {
    let world = World::with_settings(1, |settings| settings.limits.body_bytes = 100);
    let answer = raw(&world, CHAT, vec![b' '; 101]).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_names_near_ones() {
    let world = World::new();
    let answer = world.post(CHAT, &hello("only-gtp")).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
    assert!(answer.text().contains("`only-gpt`"), "{}", answer.text());
    let answer = world.post(MESSAGES, &hello("nothing-like-it")).await;
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
}

#[tokio::test(start_paused = true)]
async fn scopes_bind_and_are_not_told_apart_in_lists() {
    let mut world = World::new();
    let scoped = world.add_key(|key| key.models = ModelScope::Only(vec!["claude".parse().unwrap()]));
    let answer = world.send(post(CHAT, &scoped, &hello("gpt"))).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(world.send(post(CHAT, &scoped, &hello("claude"))).await.status, 200);
    let list = Request::get("/v1/models").header("x-api-key", &scoped).body(Full::default()).unwrap();
    assert_eq!(world.send(list).await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unpriced_model_is_refused_before_dispatch() {
    let world = World::with_settings(1, |settings| {
        let mut route = settings.routes[2].clone();
        route.name = "future".into();
        route.targets[0].model = "gpt-from-the-future".into();
        settings.routes.push(route);
    });
    let answer = world.post(CHAT, &hello("future")).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (400, Some("model_not_priced")));
    let answer = world.post(CHAT, &hello("openai/gpt-4o-mni")).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
    assert!(answer.text().contains("`openai/gpt-4o-mini`"), "{}", answer.text());
    assert_eq!(world.openai.request_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn r8_limits_refuse_in_order_and_consume_nothing() {
    let mut world = World::new();
    let two = world.add_key(|key| key.limits = Limits { rpm: Some(2), ..Limits::NONE });
    for _ in 0..2 {
        let answer = world.send(post(CHAT, &two, &hello("gpt"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
    }
    let answer = world.send(post(CHAT, &two, &hello("gpt"))).await;
    assert_eq!((answer.status, answer.header("x-gateway-limit-kind")), (429, Some("rpm")));
    assert!(answer.header("retry-after").is_some());

    let narrow = world.add_key(|key| key.limits = Limits { rpm: Some(100), tpm: Some(10), ..Limits::NONE });
    let answer = world.send(post(CHAT, &narrow, &hello("gpt"))).await;
    assert_eq!((answer.status, answer.header("x-gateway-limit-kind")), (429, Some("tpm")));
}

#[tokio::test(start_paused = true)]
async fn a_budget_refuses_with_its_reset_and_gives_the_limits_back() {
    let mut world = World::new();
    let poor = world.add_key(|key| {
        key.budgets = monthly(1_000);
        key.limits = Limits { rpm: Some(1), ..Limits::NONE };
    });
    for _ in 0..3 {
        let answer = world.send(post(CHAT, &poor, &hello("gpt"))).await;
        assert_eq!(
            (answer.status, answer.header("x-gateway-limit-kind")),
            (429, Some("budget")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        // 21 November to 1 December.
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((9 * 86_400..=10 * 86_400).contains(&wait), "{wait}");
    }
    assert_eq!(
        world.openai.request_count() + world.anthropic.request_count(),
        0,
        "a budget never fails over"
    );
    let zero = world.add_key(|key| key.budgets = monthly(0));
    assert_eq!(world.send(post(CHAT, &zero, &hello("gpt"))).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn r4_a_budget_without_room_for_the_maximum_caps_the_output_and_says_so() {
    let mut world = World::new();
    let some = world.add_key(|key| key.budgets = monthly(1_000_000));
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let answer = world.send(post(CHAT, &some, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent: serde_json::Value = serde_json::from_slice(&world.openai.requests()[0].body).unwrap();
    let cap = sent["max_completion_tokens"].as_u64().unwrap();
    assert!((64..16_384).contains(&cap), "{sent}");
    assert!(answer.header("x-gateway-loss").unwrap().contains("defaulted"));
}

#[tokio::test(start_paused = true)]
async fn r3_a_budget_holds_under_concurrency() {
    let mut world = World::new();
    // Worst cost of one: about 50 output tokens and the body's bytes of input.
    let key = world.add_key(|key| key.budgets = monthly(500_000));
    let body = hello("only-gpt");
    let calls = (0..100).map(|_| world.send(post(CHAT, &key, &body)));
    let answers = futures::future::join_all(calls).await;
    let spent: i64 = world.openai.invoice().iter().map(|line| line.nano_usd).sum();
    assert!(spent <= 500_000, "{spent}");
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
}

#[tokio::test(start_paused = true)]
async fn another_tenants_record_does_not_exist() {
    let mut world = World::new();
    let answer = world.post(CHAT, &hello("gpt")).await;
    let path = format!("/v1/requests/{}", answer.header("x-request-id").unwrap());
    assert_eq!(world.get(&path).await.status, 200);
    let stranger = world.add_key(|key| key.tenant = "other".parse().unwrap());
    let request = Request::get(&path).header("x-api-key", &stranger).body(Full::default()).unwrap();
    assert_eq!(world.send(request).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn draining_refuses_new_work() {
    let world = World::new();
    world.pipeline.drain();
    let answer = world.post(CHAT, &hello("gpt")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
}

#[tokio::test(start_paused = true)]
async fn unknown_routes_and_methods_are_refused() {
    let world = World::new();
    assert_eq!(world.get("/v1/nothing").await.status, 404);
    assert_eq!(world.get(CHAT).await.status, 405);
}
