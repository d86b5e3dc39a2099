//! Further names of models: what they cost, what is known of them, and where they are offered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::Value;
use weighbridge_catalogue::{known_names, model, preset, presets};
use weighbridge_pricing::{PriceBook, ServiceTier};
use weighbridge_units::{ModelAlias, model_aliases};
use world::{CHAT, World, start};

/// Every further name, with the name in the price book of whoever uses it.
fn aliases() -> impl Iterator<Item = (&'static str, &'static ModelAlias)> {
    let priced = presets().iter().filter_map(|preset| preset.price_as);
    priced.flat_map(|provider| model_aliases(provider).map(move |alias| (provider, alias)))
}

/// A name that leads nowhere helps nobody, and a vendor that nobody calls has none.
#[test]
fn every_further_name_has_limits_and_a_price() {
    let book = PriceBook::builtin().unwrap();
    let mut seen = 0;
    for (provider, known) in aliases() {
        assert!(preset(provider).is_some(), "{known:?}");
        for name in [known.alias, known.id] {
            assert!(book.find(provider, name, ServiceTier::Standard, start()).is_some(), "{provider}/{name}");
            assert!(model(provider, name).is_some(), "{provider}/{name}");
        }
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}

/// Further names with entries of their own that say otherwise, in prices or in limits, and why they stay.
const OTHERWISE: [(&str, &str); 3] = [
    ("devstral-small-latest", "a rate for what is read from a cache is stated of this name only"),
    ("mistral-code-latest", "the larger context window is stated of the model's own name only"),
    ("mistral-code-fim-latest", "the larger context window is stated of the model's own name only"),
];

/// Where a further name has entries of its own, they are those of its model: both are facts about one thing.
#[test]
fn a_further_name_costs_and_takes_what_its_model_does() {
    let book = PriceBook::builtin().unwrap();
    for (provider, known) in aliases() {
        let said = |name| {
            let card = book.find(provider, name, ServiceTier::Standard, start()).unwrap();
            let info = model(provider, name).unwrap();
            (card.stated().collect::<Vec<_>>(), info.context_window, info.max_output)
        };
        let differs = said(known.alias) != said(known.id);
        // What no longer differs need not be listed.
        assert_eq!(differs, OTHERWISE.iter().any(|(name, _)| *name == known.alias), "{known:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn further_names_are_offered_with_their_limits() {
    let world = World::new();
    let listed = world.get("/v1/models").await.json();
    let names: Vec<&str> =
        listed["data"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    for name in [
        "openai/gpt-4.1-2025-04-14",
        "anthropic/claude-sonnet-4-5-20250929",
        "gemini/gemini-2.5-flash-latest",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "no name is offered twice");
    let one = world.get("/v1beta/models/gemini/gemini-2.5-flash-latest").await.json();
    assert_eq!(one["inputTokenLimit"], 1_048_576, "{one}");
}

#[tokio::test(start_paused = true)]
async fn a_slip_of_the_pen_is_near_to_a_further_name() {
    let world = World::new();
    let body = serde_json::json!({ "model": "anthropic/claude-sonet-4-5-20250929", "messages": [{ "role": "user", "content": "Hi" }] });
    let answer = world.post(CHAT, &body).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let message = answer.json().pointer("/error/message").and_then(Value::as_str).unwrap().to_owned();
    assert!(message.contains("claude-sonnet-4-5-20250929"), "{message}");
}

/// What a name is asked for by is what is sent, and what it costs is known.
#[tokio::test(start_paused = true)]
async fn a_further_name_is_sent_as_it_is_and_priced_as_its_model() {
    let names: Vec<&str> = known_names("anthropic").map(|(name, _)| name).collect();
    assert!(names.contains(&"claude-opus-4-0") && names.contains(&"claude-opus-4-20250514"));
    let world = World::new();
    let body = serde_json::json!({ "model": "anthropic/claude-haiku-4-5-20251001", "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let answer = world.post(CHAT, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["model"], "claude-haiku-4-5-20251001");
    let cost = format!("0.{:09}", world.invoice()[0].nano_usd);
    assert_eq!(answer.header("x-gateway-cost-usd"), Some(cost.as_str()));
}
