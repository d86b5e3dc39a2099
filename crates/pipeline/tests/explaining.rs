//! What a running pipeline says it would do with a request: it then does that, and does nothing else for having said it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use weighbridge_access::OwnKeys;
use weighbridge_pipeline::settings::{
    AffinityBy, RouteSettings, StrategyKind, StrategySettings, TargetSettings,
};
use weighbridge_pipeline::{RouteExplanation, RouteQuestion, RouteQuestionError, explain_route};
use weighbridge_routing::LatencyOf;
use weighbridge_simulator::Fault;
use weighbridge_units::Protocol;
use world::{CHAT, World, open_key};

const MODELS: [&str; 3] = ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"];
const STICKY: StrategyKind = StrategyKind::Sticky { ttl: Some(Duration::from_secs(300)), load_percent: 125 };

/// A world with a model `many` whose targets are [`MODELS`].
fn world(order: &[StrategyKind]) -> World {
    let targets = MODELS.map(|name| {
        let (provider, model) = name.split_once('/').unwrap();
        TargetSettings { provider: provider.into(), model: model.into(), weight: 1 }
    });
    World::with_settings(1, |settings| {
        settings.routes.push(RouteSettings {
            strategy: StrategySettings { order: order.to_vec(), affinity: AffinityBy::Prefix },
            ..RouteSettings::new("many", targets.to_vec())
        });
    })
}

fn chat(text: &str) -> Value {
    json!({ "model": "many", "max_tokens": 20, "messages": [{ "role": "user", "content": text }] })
}

fn question(world: &World, body: &Value) -> RouteQuestion {
    RouteQuestion {
        protocol: Protocol::OpenAiChat,
        model: None,
        headers: http::HeaderMap::new(),
        body: body.to_string().into(),
        principal: world.directory.get(world.keys[0].id).unwrap(),
        random: 0,
    }
}

fn told(world: &World, body: &Value) -> RouteExplanation {
    world.pipeline.explain_route(question(world, body)).unwrap()
}

fn first(explained: &RouteExplanation) -> &str {
    &explained.order[0].target
}

/// Where the request went first.
async fn sent(world: &World, body: &Value) -> String {
    let answer = world.post(CHAT, body).await;
    let record = world.record(&answer).await;
    let attempt = &record["attempts"][0];
    format!("{}/{}", attempt["provider"].as_str().unwrap(), attempt["model"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_what_is_done_and_asking_changes_nothing() {
    for kind in [
        StrategyKind::WeightedRoundRobin,
        StrategyKind::LeastLatency(LatencyOf::Answer),
        StrategyKind::LeastBusy,
        StrategyKind::LowestCost,
        StrategyKind::Headroom,
        STICKY,
        StrategyKind::Split,
    ] {
        let (asked, twin) = (world(&[kind]), world(&[kind]));
        for number in 0..24_usize {
            let body = chat(&format!("echo:{}", number % 5));
            for world in [&asked, &twin] {
                if number % 7 == 3 {
                    world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
                }
                if number % 5 == 1 {
                    world.anthropic.push_fault(Fault::SlowHead(Duration::from_millis(700)));
                }
            }
            let foretold = told(&asked, &body);
            for other in 0..3 {
                told(&asked, &chat(&format!("echo:{other}")));
            }
            let went = sent(&asked, &body).await;
            assert_eq!(went, first(&foretold), "{kind:?} {number}: {foretold:?}");
            assert_eq!(sent(&twin, &body).await, went, "{kind:?} {number}: as if nobody had asked");
        }
        assert_eq!(asked.openai.request_count(), twin.openai.request_count());
    }
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_is_observed_scored_and_left_out() {
    let world = world(&[StrategyKind::LeastLatency(LatencyOf::Answer)]);
    for number in 0..6 {
        world.anthropic.push_fault(Fault::SlowHead(Duration::from_millis(400)));
        sent(&world, &chat(&format!("echo:{number}"))).await;
        world.anthropic.clear_faults();
    }
    let seen = told(&world, &chat("echo:x"));
    assert!(seen.is_observed);
    let choice = seen.choice.as_ref().unwrap();
    // In virtual time two of them are equally fast: the slow one is out, and turns decide between the others.
    assert_eq!((choice.by, choice.candidates, choice.scores.len()), ("weighted-round-robin", 3, 3));
    let claude = seen.targets.iter().find(|target| &*target.target == MODELS[2]).unwrap();
    let of_claude = claude.seen.as_ref().unwrap();
    assert_eq!((of_claude.availability, of_claude.in_flight), ("ready", 0));
    assert!(of_claude.latency.unwrap() >= Duration::from_millis(400), "{seen:?}");
    assert!(seen.targets.iter().all(|target| target.cost.is_some()));
    let scored = choice.scores.iter().find(|scored| &*scored.target == MODELS[2]).unwrap();
    assert_eq!(scored.by, "least-latency");
    assert_eq!(i128::from(scored.score), of_claude.latency.unwrap().as_micros() as i128);
    // An instance that has just started has nothing to score it by, and says so by saying nothing.
    let at = weighbridge_units::Timestamp::default();
    let fresh = explain_route(&world.settings, &world.pipeline.prices(), at, question(&world, &chat("x")));
    let fresh = fresh.unwrap();
    assert!(!fresh.is_observed && fresh.targets.iter().all(|target| target.seen.is_none()));
    assert!(fresh.choice.unwrap().scores.iter().all(|scored| scored.by != "least-latency"));

    // Benched, and still the last resort.
    for number in 0..60 {
        world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
        sent(&world, &chat(&format!("echo:{number}"))).await;
        if told(&world, &chat("echo:x")).excluded.iter().any(|over| over.reason == "benched") {
            break;
        }
    }
    let explained = told(&world, &chat("echo:x"));
    let over = explained.excluded.iter().find(|over| over.reason == "benched").unwrap();
    let standing = explained.targets.iter().find(|target| target.target == over.target).unwrap();
    let seen = standing.seen.as_ref().unwrap();
    assert!(seen.availability == "benched" && seen.back_in.is_some(), "{explained:?}");
    assert_eq!(explained.order.last().map(|last| &last.target), Some(&over.target), "for want of another");
}

#[tokio::test(start_paused = true)]
async fn who_is_left_alone_by_all_is_told_what_the_client_would_be() {
    let world = World::new();
    world.openai.push_fault(Fault::Status { code: 429, retry_after: Some(40) });
    let body = json!({ "model": "only-gpt", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(world.post(CHAT, &body).await.status, 429);
    let explained = told(&world, &body);
    assert_eq!((explained.order.len(), explained.refused.map(|(status, _)| status)), (0, Some(429)));
    let excluded: Vec<_> = explained.excluded.iter().map(|over| over.reason).collect();
    assert_eq!(excluded, ["left-alone"]);
    assert_eq!(explained.targets[0].seen.as_ref().unwrap().back_in, Some(Duration::from_secs(40)));
    assert_eq!(world.openai.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn tenants_own_keys_count() {
    let mut world = World::new();
    world.add_tenant("own", |tenant| tenant.own_keys = Some(OwnKeys::Require));
    world.add_key(|key| key.tenant = "own".parse().unwrap());
    let body = json!({ "model": "either", "messages": [{ "role": "user", "content": "hi" }] });
    let asked = |world: &World| {
        let principal = world.directory.get(world.keys.last().unwrap().id).unwrap();
        world.pipeline.explain_route(RouteQuestion { principal, ..question(world, &body) }).unwrap()
    };
    let none = asked(&world);
    assert!(none.order.is_empty() && none.refused.is_some(), "{none:?}");
    assert!(none.excluded.iter().all(|over| over.reason == "own-key"), "{none:?}");
    world.pipeline.put_provider_keys(vec![open_key(7, "own", "anthropic", "sk-own-0123456789")]).unwrap();
    let one = asked(&world);
    assert_eq!((one.order.len(), first(&one), &one.refused), (1, "anthropic/claude-haiku-4-5", &None));
}

#[test]
fn what_is_no_request_is_none() {
    let world = World::new();
    let unread = |body: &str| {
        let question = RouteQuestion { body: body.to_owned().into(), ..question(&world, &json!({})) };
        matches!(world.pipeline.explain_route(question), Err(RouteQuestionError::Request(_)))
    };
    assert!(unread("{") && unread(r#"{"model":"gpt","model":"gpt"}"#) && unread("{}"));
}
