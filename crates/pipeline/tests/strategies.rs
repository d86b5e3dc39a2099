//! Strategies on the way of a request: what they are told of it, and what its record tells of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use weighbridge_pipeline::settings::{
    AffinityBy, RouteSettings, ShadowSettings, StrategyKind, StrategySettings, TargetSettings,
};
use weighbridge_records::{RequestRecord, Scope};
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};
use weighbridge_units::RequestId;
use world::{Answer, CHAT, MESSAGES, World, post};

const MODELS: [&str; 4] =
    ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5"];

/// A world with a model `many` whose targets are [`MODELS`].
///
/// Each request to `only-gpt` has a copy that goes there.
fn world(order: &[StrategyKind], affinity: AffinityBy) -> World {
    let targets = MODELS.map(|name| {
        let (provider, model) = name.split_once('/').unwrap();
        TargetSettings { provider: provider.into(), model: model.into(), weight: 1 }
    });
    World::with_settings(1, |settings| {
        let shadow = ShadowSettings { to: "many".into(), permille: 1_000, most: 2 };
        let copied = settings.routes.iter_mut().filter(|route| &*route.name == "only-gpt");
        copied.for_each(|route| route.failover.shadow = Some(shadow.clone()));
        settings.routes.push(RouteSettings {
            strategy: StrategySettings { order: order.to_vec(), affinity },
            ..RouteSettings::new("many", targets.to_vec())
        });
    })
}

/// A conversation of so many turns.
fn conversation(topic: &str, turns: usize) -> Value {
    let mut messages = vec![
        json!({ "role": "system", "content": "You are terse." }),
        json!({ "role": "user", "content": format!("echo:{topic}") }),
    ];
    for turn in 1..turns {
        messages.push(json!({ "role": "assistant", "content": format!("{topic}, {turn}") }));
        messages.push(json!({ "role": "user", "content": format!("echo:{turn}") }));
    }
    json!({ "model": "many", "max_tokens": 20, "messages": messages })
}

fn record(world: &World, answer: &Answer) -> std::sync::Arc<RequestRecord> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = RequestId::new(answer.header("x-request-id").unwrap()).unwrap();
    world.log.find(&Scope::All, &id).unwrap()
}

/// Where the request went.
fn target(world: &World, answer: &Answer) -> String {
    let record = record(world, answer);
    let [attempt] = &record.attempts[..] else { panic!("one attempt: {}", record.to_json()) };
    format!("{}/{}", attempt.provider, attempt.model)
}

const STICKY: StrategyKind = StrategyKind::Sticky { ttl: None, load_percent: 125 };

#[tokio::test(start_paused = true)]
async fn the_cheapest_is_found_by_the_price_book_and_the_record_tells_how() {
    let world = world(&[StrategyKind::LowestCost], AffinityBy::Prefix);
    for turns in 1..4 {
        let answer = world.post(CHAT, &conversation("prices", turns)).await;
        assert_eq!(target(&world, &answer), "openai/gpt-4o-mini");
        let record = record(&world, &answer);
        let told: Value = serde_json::from_str(&record.to_json()).unwrap();
        assert_eq!(told["strategy"], "lowest-cost");
        assert_eq!(
            (&told["choice"]["candidates"], told["choice"]["seed"].as_str().unwrap().len()),
            (&json!(4), 16)
        );
        let scores = told["choice"]["scores"].as_array().unwrap();
        assert_eq!((scores.len(), &scores[0]["target"]), (4, &json!("openai/gpt-4o-mini")));
        let nanos = |at: usize| scores[at]["score"].as_i64().unwrap();
        assert!((1..4).all(|other| 0 < nanos(0) && nanos(0) < nanos(other)), "{told}");
        let shown = world.record(&answer).await;
        assert!(shown.get("choice").is_none(), "what it would cost elsewhere is not the tenant's business");
    }
}

#[tokio::test(start_paused = true)]
async fn the_turns_of_a_conversation_stay_together_in_every_protocol() {
    let world = world(&[STICKY], AffinityBy::Prefix);
    for path in [CHAT, MESSAGES] {
        let mut all = BTreeSet::new();
        for topic in 0..12 {
            let mut went = BTreeSet::new();
            for turns in 1..4 {
                let mut body = conversation(&format!("topic {topic}"), turns);
                if path == MESSAGES {
                    body["messages"].as_array_mut().unwrap().remove(0);
                    body["system"] = json!("You are terse.");
                }
                went.insert(target(&world, &world.post(path, &body).await));
            }
            assert_eq!(went.len(), 1, "topic {topic} at {path} went to {went:?}");
            all.append(&mut went);
        }
        assert!(all.len() > 2, "different conversations go apart: {all:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_cache_key_says_what_belongs_together() {
    let world = world(&[STICKY], AffinityBy::Prefix);
    let mut went = BTreeSet::new();
    for topic in 0..8 {
        let mut body = conversation(&format!("topic {topic}"), 1);
        body["prompt_cache_key"] = json!("one");
        went.insert(target(&world, &world.post(CHAT, &body).await));
    }
    assert_eq!(went.len(), 1, "{went:?}");
}

#[tokio::test(start_paused = true)]
async fn each_key_stays_on_its_side_of_a_split() {
    let mut world = world(&[StrategyKind::Split], AffinityBy::Key);
    let mut all = BTreeSet::new();
    for _ in 0..8 {
        let key = world.add_key(|_| {});
        let mut went = BTreeSet::new();
        for topic in 0..3 {
            let answer = world.send(post(CHAT, &key, &conversation(&format!("topic {topic}"), 1))).await;
            went.insert(target(&world, &answer));
        }
        assert_eq!(went.len(), 1, "{went:?}");
        all.append(&mut went);
    }
    assert!(all.len() > 1, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn sessions_go_by_their_header_and_others_by_the_next_strategy() {
    let header = AffinityBy::Header(HeaderName::from_static("x-session"));
    let world = world(&[STICKY, StrategyKind::LowestCost], header);
    let mut all = BTreeSet::new();
    for session in 0..8 {
        let mut went = BTreeSet::new();
        for topic in 0..3 {
            let (mut head, body) = post(CHAT, &world.key, &conversation(&format!("{topic}"), 1)).into_parts();
            head.headers.insert("x-session", session.to_string().parse().unwrap());
            let answer = world.send(Request::<Full<_>>::from_parts(head, body)).await;
            went.insert(target(&world, &answer));
        }
        assert_eq!(went.len(), 1, "{went:?}");
        all.append(&mut went);
    }
    assert!(all.len() > 1, "{all:?}");
    let answer = world.post(CHAT, &conversation("no session", 1)).await;
    assert_eq!(
        (target(&world, &answer).as_str(), record(&world, &answer).strategy),
        ("openai/gpt-4o-mini", "lowest-cost")
    );
}

#[tokio::test(start_paused = true)]
async fn where_there_is_one_target_nothing_is_told_of_a_choice() {
    let world = World::new();
    let answer =
        world.post(CHAT, &json!({ "model": "only-gpt", "messages": conversation("x", 1)["messages"] })).await;
    assert_eq!(record(&world, &answer).choice, None);
}

#[tokio::test(start_paused = true)]
async fn headroom_is_read_off_the_providers_headers() {
    let world = world(&[StrategyKind::Headroom], AffinityBy::Prefix);
    let mut went = BTreeSet::new();
    for request in 0..5 {
        let answer = world.post(CHAT, &conversation("limits", 1)).await;
        let record = record(&world, &answer);
        let best = record.choice.as_ref().unwrap().scores.scores[0];
        let by = if request == 0 { "weighted-round-robin" } else { "headroom" };
        assert_eq!((record.strategy, best.by), (by, by), "nobody is known at first: {}", record.to_json());
        assert!(request == 0 || best.score < 10_000, "hardly anything is used: {}", record.to_json());
        went.insert(target(&world, &answer));
    }
    assert_eq!(went.len(), 1, "who told of much room is preferred to whom nobody knows");
}

/// Where the copy of a request to `only-gpt` went.
async fn copied_to(world: &World, mut body: Value) -> String {
    body["model"] = json!("only-gpt");
    let answer = world.post(CHAT, &body).await;
    assert_eq!(target(world, &answer), "openai/gpt-4o-mini");
    let id = RequestId::new(answer.header("x-request-id").unwrap()).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let records = world.log.latest(&Scope::All, 10);
    let copy = records.iter().find(|record| record.copy_of.as_ref() == Some(&id)).unwrap();
    let [attempt] = &copy.attempts[..] else { panic!("one attempt: {}", copy.to_json()) };
    format!("{}/{}", attempt.provider, attempt.model)
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_where_it_is_cheapest_or_where_its_like_went() {
    let cheapest = world(&[StrategyKind::LowestCost], AffinityBy::Prefix);
    for turns in 1..4 {
        assert_eq!(copied_to(&cheapest, conversation("prices", turns)).await, "openai/gpt-4o-mini");
    }
    // What a client calls its user is not on a copy's record.
    for by in [AffinityBy::Prefix, AffinityBy::User] {
        let sticky = world(&[STICKY], by.clone());
        let mut all = BTreeSet::new();
        for topic in 0..8 {
            let mut went = BTreeSet::new();
            for turns in 1..4 {
                let mut body = match by {
                    AffinityBy::Prefix => conversation(&format!("topic {topic}"), turns),
                    _ => conversation(&format!("topic {topic}, {turns}"), 1),
                };
                body["user"] = json!(format!("user {topic}"));
                went.insert(copied_to(&sticky, body).await);
            }
            assert_eq!(went.len(), 1, "topic {topic} by {by:?} went to {went:?}");
            all.append(&mut went);
        }
        assert!(all.len() > 1, "by {by:?}: {all:?}");
    }
}

/// OpenAI says that 900 of a thousand tokens are left, Anthropic that half of a million are.
struct Limited(Arc<dyn Transport>);

impl Transport for Limited {
    fn send(
        &self,
        request: Request<Rope>,
        connect: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        let told = match request.uri().host() {
            Some("openai.test") => {
                [("x-ratelimit-limit-tokens", "1000"), ("x-ratelimit-remaining-tokens", "900")]
            }
            _ => [
                ("anthropic-ratelimit-tokens-limit", "1000000"),
                ("anthropic-ratelimit-tokens-remaining", "500000"),
            ],
        };
        Box::pin(async move {
            let mut response = self.0.send(request, connect).await?;
            let headers = response.headers_mut();
            for (name, value) in told {
                headers.insert(name, value.parse().unwrap());
            }
            let hour = "2026-11-21T01:00:00Z".parse().unwrap();
            headers.insert("anthropic-ratelimit-tokens-reset", hour);
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_not_sent_where_the_provider_has_told_of_too_little_room_for_it() {
    let mut world = world(&[StrategyKind::Headroom], AffinityBy::Prefix);
    world.transport = Arc::new(Limited(Arc::clone(&world.transport)));
    for model in MODELS {
        let mut body = conversation("limits", 1);
        body["model"] = json!(model);
        assert_eq!(world.post(CHAT, &body).await.status, 200);
    }
    let (small, large) = (conversation("small", 1), conversation(&"large ".repeat(2_000), 1));
    assert!(copied_to(&world, small.clone()).await.starts_with("openai/"), "most of its limit is left");
    assert!(copied_to(&world, large).await.starts_with("anthropic/"), "its limit is smaller than that");
    assert!(copied_to(&world, small).await.starts_with("openai/"));
}
