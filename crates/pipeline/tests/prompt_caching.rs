//! Marks for the prompt cache, placed for keys that want them: what providers are sent, and what it costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_access::PromptCache;
use weighbridge_simulator::{InvoiceLine, Simulator};
use world::{Answer, CHAT, MESSAGES, World, monthly};

const RESPONSES: &str = "/v1/responses";

/// Models that cache what is marked, at everyone who serves them.
const MARKED: [&str; 4] = [
    "anthropic/claude-haiku-4-5",
    "vertex/claude-haiku-4-5@20251001",
    "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "bedrock/amazon.nova-lite-v1:0",
];

/// Longer than what any of them caches at least.
fn long() -> String {
    "The scales are to be read twice, and the smaller figure counts. ".repeat(260)
}

/// A conversation so far, in words that its client has for it.
fn turns(path: &str, model: &str, said: &[&str]) -> Value {
    let role = |place: usize| if place.is_multiple_of(2) { "user" } else { "assistant" };
    let said: Vec<Value> = said
        .iter()
        .enumerate()
        .map(|(place, text)| json!({ "role": role(place), "content": text }))
        .collect();
    match path {
        MESSAGES => json!({ "model": model, "max_tokens": 100, "system": long(), "messages": said }),
        RESPONSES => json!({ "model": model, "instructions": long(), "input": said, "store": false }),
        _ => {
            let system = json!({ "role": "system", "content": long() });
            let all: Vec<Value> = std::iter::once(system).chain(said).collect();
            json!({ "model": model, "messages": all })
        }
    }
}

/// A request that is answered, and billed as it is invoiced.
async fn billed(world: &World, key: &str, path: &str, body: &Value) -> InvoiceLine {
    let answer = world.send(world::post(path, key, body)).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    let record = record(world, key, &answer).await;
    let attempts = record["attempts"].as_array().unwrap();
    let request = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(attempts.len(), 1, "{request}: {record}");
    let id = attempts[0]["attempt"].as_str().unwrap();
    let line = world.invoice().into_iter().find(|line| line.attempt.unwrap().to_string() == id).unwrap();
    assert_eq!(attempts[0]["cost_usd"], format!("0.{:09}", line.nano_usd), "{record} {line:?}");
    line
}

async fn record(world: &World, key: &str, answer: &Answer) -> Value {
    let path = format!("/v1/requests/{}", answer.header("x-request-id").unwrap());
    world.ask(http::Method::GET, &path, key).await.json()
}

/// The body that a provider received last.
fn sent(world: &World) -> (String, Value) {
    let last = world.simulators().map(Simulator::requests).concat().pop().unwrap();
    let text = String::from_utf8(last.body.to_vec()).unwrap();
    let value = serde_json::from_str(&text).unwrap();
    (text, value)
}

fn marks(text: &str) -> usize {
    text.matches("\"cache_control\":").count() + text.matches("\"cachePoint\":").count()
}

#[tokio::test(start_paused = true)]
async fn what_one_turn_writes_the_next_one_reads() {
    for model in MARKED {
        for path in [MESSAGES, CHAT, RESPONSES] {
            for policy in [PromptCache::FiveMinutes, PromptCache::OneHour] {
                let mut world = World::new();
                let key = world.add_key(|key| key.prompt_cache = Some(policy));
                let case = format!("{model} {path} {policy:?}");

                let first = billed(&world, &key, path, &turns(path, model, &["echo:one"])).await.usage;
                assert_eq!(marks(&sent(&world).0), 1, "{case}");
                // The price book has no hour for Nova, which has none.
                let hour = policy == PromptCache::OneHour && !model.contains("nova");
                let (written, other) = match hour {
                    true => (first.cache_write_1h, first.cache_write_5m),
                    false => (first.cache_write_5m, first.cache_write_1h),
                };
                assert!(written > 4_096 && other == 0 && first.cache_read == 0, "{case}: {first:?}");
                assert_eq!(sent(&world).0.contains("\"1h\""), hour, "{case}");

                let said = ["echo:one", "one", "echo:two"];
                let second = billed(&world, &key, path, &turns(path, model, &said)).await.usage;
                assert_eq!(marks(&sent(&world).0), 3, "{case}");
                assert_eq!(second.cache_read, written, "{case}: {second:?}");

                let said = ["echo:one", "one", "echo:two", "two", "echo:three"];
                let third = billed(&world, &key, path, &turns(path, model, &said)).await.usage;
                assert_eq!(marks(&sent(&world).0), 3, "{case}");
                let all = second.cache_read + second.cache_write_5m + second.cache_write_1h;
                assert_eq!(third.cache_read, all, "{case}: {second:?} {third:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_policy_the_bytes_pass_as_they_came() {
    let model = MARKED[0];
    let mut world = World::new();
    let (plain, caching) =
        (world.key.clone(), world.add_key(|key| key.prompt_cache = Some(PromptCache::OneHour)));
    let body = turns(MESSAGES, model, &["echo:one", "one", "echo:two"]);
    let passed = body.to_string().replace(model, "claude-haiku-4-5");
    billed(&world, &plain, MESSAGES, &body).await;
    assert_eq!(sent(&world).0, passed);
    billed(&world, &caching, MESSAGES, &body).await;
    // With it, the same bytes and the marks.
    let mark = r#","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#;
    let (text, _) = sent(&world);
    assert_eq!(text.matches(mark).count(), 3);
    assert_eq!(text.replace(mark, "").replace(r#"[{"type":"text","text":"#, ""), passed);
}

#[tokio::test(start_paused = true)]
async fn whoever_marks_or_says_little_is_left_alone() {
    let mut world = World::new();
    let key = world.add_key(|key| key.prompt_cache = Some(PromptCache::FiveMinutes));
    let mark = json!({ "type": "ephemeral", "ttl": "1h" });
    let mut own = turns(MESSAGES, MARKED[0], &["echo:one", "one", "echo:two"]);
    own["messages"][0]["content"] = json!([{ "type": "text", "text": long(), "cache_control": mark }]);
    let short = json!({ "model": MARKED[0], "max_tokens": 9, "system": "Be brief.",
        "messages": [{ "role": "user", "content": "echo:one" }] });
    for body in [own, short] {
        billed(&world, &key, MESSAGES, &body).await;
        assert_eq!(sent(&world).0, body.to_string().replace(MARKED[0], "claude-haiku-4-5"));
    }
    // Others cache on their own.
    for model in ["openai/gpt-4o-mini", "gemini/gemini-2.5-flash"] {
        let mut world = World::new();
        let key = world.add_key(|key| key.prompt_cache = Some(PromptCache::FiveMinutes));
        billed(&world, &key, MESSAGES, &turns(MESSAGES, model, &["echo:one"])).await;
        assert_eq!(marks(&sent(&world).0), 0);
    }
    // What is asked is how many tokens there are, not that they be kept.
    let count =
        json!({ "model": MARKED[0], "system": long(), "messages": [{ "role": "user", "content": "one" }] });
    let answer = world.send(world::post("/v1/messages/count_tokens", &key, &count)).await;
    assert_eq!((answer.status, marks(&sent(&world).0)), (200, 0));
}

/// What earlier turns left is amended, and what is left of it is marked.
#[tokio::test(start_paused = true)]
async fn an_amended_request_is_marked_too() {
    let mut world = World::new();
    let key = world.add_key(|key| key.prompt_cache = Some(PromptCache::FiveMinutes));
    let mut body = turns(MESSAGES, MARKED[0], &["echo:one", "one", "echo:two"]);
    body["messages"][1]["content"] = json!([
        { "type": "thinking", "thinking": "hm", "signature": "wb.proof:s:openai-responses-v1::c2ln" },
        { "type": "text", "text": "one" }]);
    billed(&world, &key, MESSAGES, &body).await;
    let (text, sent) = sent(&world);
    assert!(!text.contains("wb.proof"), "{text}");
    assert_eq!(marks(&text), 3);
    assert!(sent["messages"][0]["content"][0]["cache_control"].is_object());
}

/// A budget is never overspent by what is written to a cache for an hour, which costs twice as much.
#[tokio::test(start_paused = true)]
async fn r4_what_is_reserved_covers_the_dearest_write() {
    let rate = 1_000; // of input, in nano-dollars per token
    for budget in [20_000_000, 60_000_000, 90_000_000] {
        let mut world = World::new();
        let key = world.add_key(|key| {
            key.prompt_cache = Some(PromptCache::OneHour);
            key.budgets = monthly(budget);
        });
        let body = turns(MESSAGES, MARKED[0], &["echo:one", "one", "echo:two"]);
        let bound = body.to_string().len() as i64 * 2 * rate;
        let answer = world.send(world::post(MESSAGES, &key, &body)).await;
        // Each byte may be a token, and each token may be written for an hour.
        assert_eq!(
            answer.status == 200,
            bound + 100 * 5 * rate <= budget,
            "{budget} {bound}: {}",
            answer.text()
        );
        let spent: i64 = world.invoice().iter().map(|line| line.nano_usd).sum();
        assert!(spent <= budget, "{spent} of {budget}");
    }
}

/// A text that is cached alone, or one that is not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("word ".repeat(2_600)), "[a-z]{1,9}", Just("\"cache_control\" and \\ \u{e9}".to_owned())]
}

fn content(role: &'static str) -> impl Strategy<Value = Value> {
    let picture =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "aGk=" } });
    let block = match role {
        "user" => prop_oneof![
            3 => text().prop_map(|text| json!({ "type": "text", "text": text })),
            1 => Just(picture),
        ]
        .boxed(),
        _ => text().prop_map(|text| json!({ "type": "text", "text": text })).boxed(),
    };
    prop_oneof![text().prop_map(Value::from), prop::collection::vec(block, 1..4).prop_map(Value::from)]
}

fn asked() -> impl Strategy<Value = Value> {
    let tools = prop::collection::vec(text(), 0..3).prop_map(|texts| {
        let tool = |(place, text): (usize, String)| {
            json!({ "name": format!("t{place}"), "description": text, "input_schema": { "type": "object" } })
        };
        texts.into_iter().enumerate().map(tool).collect::<Vec<_>>()
    });
    let turns = (prop::collection::vec((content("user"), content("assistant")), 0..4), content("user"));
    (prop::option::of(content("assistant")), tools, turns, any::<bool>()).prop_map(
        |(system, tools, (turns, last), call)| {
            let mut messages: Vec<Value> = Vec::new();
            for (user, assistant) in turns {
                messages.push(json!({ "role": "user", "content": user }));
                messages.push(json!({ "role": "assistant", "content": assistant }));
            }
            messages.push(json!({ "role": "user", "content": last }));
            if call && !tools.is_empty() {
                let call = json!({ "type": "tool_use", "id": "toolu_1", "name": "t0", "input": {} });
                messages.push(json!({ "role": "assistant", "content": [call] }));
                let result = json!({ "type": "tool_result", "tool_use_id": "toolu_1", "content": last });
                messages.push(json!({ "role": "user", "content": [result] }));
            }
            let mut body = json!({ "max_tokens": 50, "messages": messages });
            if let Some(system) = system {
                body["system"] = system;
            }
            if !tools.is_empty() {
                body["tools"] = json!(tools);
            }
            body
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(10), ..ProptestConfig::default() })]

    /// Whatever is asked, the judges of the vendors' schemas and rules take what is sent, and the bill is right.
    #[test]
    fn whatever_is_marked_is_taken(
        body in asked(),
        model in prop::sample::select(MARKED.to_vec()),
        policy in prop::sample::select(vec![PromptCache::FiveMinutes, PromptCache::OneHour]),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            let key = world.add_key(|key| key.prompt_cache = Some(policy));
            let mut body = body;
            body["model"] = model.into();
            let first = billed(&world, &key, MESSAGES, &body).await.usage;
            let (text, _) = sent(&world);
            assert!(marks(&text.replace("\\\"cache_control\\\"", "")) <= 4, "{text}");
            let second = billed(&world, &key, MESSAGES, &body).await.usage;
            assert_eq!(second.cache_read, first.cache_write_5m + first.cache_write_1h);
        });
    }
}
