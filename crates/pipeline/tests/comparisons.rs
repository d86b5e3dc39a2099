//! What is noted beside an attempt: its cost at a baseline, and counts of tokens that are far from ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use weighbridge_pipeline::settings::{CountAlarm, TargetSettings};
use weighbridge_pricing::{PriceBook, ServiceTier};
use weighbridge_simulator::Fault;
use weighbridge_units::{Bucket, Timestamp, Usage};
use world::{CHAT, World};

fn hello() -> Value {
    json!({ "model": "gpt", "max_tokens": 50, "messages": [{ "role": "user", "content": "echo:Hello there" }] })
}

fn baseline(model: &str) -> Option<TargetSettings> {
    Some(TargetSettings { provider: "openai".into(), model: model.into(), weight: 1 })
}

#[tokio::test(start_paused = true)]
async fn p1_a_baseline_is_priced_by_the_pinned_book_for_the_same_usage() {
    let world = World::with_settings(1, |settings| settings.routes[0].baseline = baseline("gpt-4o"));
    world.openai.push_fault(Fault::Status { code: 500, retry_after: None });
    let answer = world.post(CHAT, &hello()).await;
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")));
    let record = world.record(&answer).await;
    assert_eq!(record["attempts"][0].get("baseline"), None, "a failure would not have been one elsewhere");
    let attempt = &record["attempts"][1];
    assert_eq!(attempt["model"], "claude-haiku-4-5");
    let count = |bucket: &str| attempt["usage"][bucket].as_u64().unwrap_or(0);
    let usage = Usage::new().with(Bucket::Input, count("input")).with(Bucket::Output, count("output"));
    let at = Timestamp::from_date(2026, 11, 21).unwrap();
    let card = PriceBook::builtin().unwrap().find("openai", "gpt-4o", ServiceTier::Standard, at).unwrap();
    let expected = card.cost(&usage).unwrap().posted.to_string();
    assert_eq!(attempt["baseline"], json!({ "model": "openai/gpt-4o", "cost_usd": expected }));
    assert_ne!(attempt["cost_usd"], json!(expected));
}

#[tokio::test(start_paused = true)]
async fn a_baseline_without_a_price_compares_nothing() {
    let world = World::with_settings(1, |settings| settings.routes[0].baseline = baseline("no-such-model"));
    let answer = world.post(CHAT, &hello()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.record(&answer).await["attempts"][0].get("baseline"), None);
}

#[tokio::test(start_paused = true)]
async fn counts_that_are_far_apart_raise_an_alarm() {
    // So narrow that the JSON around a short prompt is enough.
    let narrow = Some(CountAlarm { ratio: 2, minimum: 1 });
    let world = World::with_settings(1, |settings| settings.count_alarm = narrow);
    let answer = world.post(CHAT, &hello()).await;
    let record = world.record(&answer).await;
    let attempt = &record["attempts"][0];
    let told = attempt["usage"]["input"].as_u64().unwrap();
    let differ = &attempt["counts_differ"];
    assert_eq!((&differ["side"], differ["told"].as_u64()), (&json!("prompt"), Some(told)), "{attempt}");
    assert!(differ["estimated"].as_u64().unwrap() > told * 2);
    assert_eq!(world.pipeline.count_alarms(), 1);

    for (alarm, body) in [
        (Some(CountAlarm::default()), hello()),
        (None, hello()),
        // A picture's bytes say nothing of its tokens.
        (
            narrow,
            json!({ "model": "gpt", "max_tokens": 50, "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "echo:Hello there" },
            { "type": "image_url", "image_url": { "url": "data:image/gif;base64,R0lGODlh" } },
        ] }] }),
        ),
    ] {
        let world = World::with_settings(1, |settings| settings.count_alarm = alarm);
        let answer = world.post(CHAT, &body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(world.record(&answer).await["attempts"][0].get("counts_differ"), None);
        assert_eq!(world.pipeline.count_alarms(), 0);
    }
}
