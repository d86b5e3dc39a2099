//! Who serves another's format: the same questions at the maker and at every house, with tools, caches,
//! reasoning and whatever a client may send that a house refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use world::{Answer, CHAT, MESSAGES, World};

const RESPONSES: &str = "/v1/responses";

/// Claude, at its maker and at the houses.
const CLAUDE: [&str; 3] = [
    "anthropic/claude-haiku-4-5",
    "vertex/claude-haiku-4-5@20251001",
    "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
];

/// OpenAI's models, at their maker and at Azure.
const GPT: [&str; 3] = ["openai/gpt-4o-mini", "azure/gpt-4o-mini", "azure-dated/gpt-4o-mini"];

fn with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn messages(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 3_000, "messages": [{ "role": "user", "content": text }] })
}

/// The data of a stream's events.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// A request that is answered, and billed as it is invoiced.
async fn billed(world: &World, path: &str, body: &Value) -> Answer {
    let answer = world.post(path, body).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    let record = world.record(&answer).await;
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{record}");
    let line = world.invoice().pop().unwrap();
    assert_eq!(attempts[0]["attempt"], line.attempt.unwrap().to_string());
    assert_eq!(attempts[0]["cost_usd"], format!("0.{:09}", line.nano_usd), "{record} {line:?}");
    assert_eq!(attempts[0]["provenance"], "reported", "{record}");
    answer
}

#[tokio::test(start_paused = true)]
async fn what_only_anthropic_knows_reaches_no_house() {
    for model in CLAUDE {
        for stream in [false, true] {
            let world = World::new();
            let body = with(
                messages(model, "echo:Hi"),
                json!({
                    "stream": stream,
                    "service_tier": "auto",
                    "metadata": { "user_id": "u" },
                    "system": [{ "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } }],
                }),
            );
            let mut request = world::post(MESSAGES, &world.key, &body);
            request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
            request.headers_mut().insert("anthropic-beta", "context-1m-2025-08-07".parse().unwrap());
            let answer = world.send(request).await;
            assert_eq!(answer.status, 200, "{model} stream={stream}: {}", answer.text());
            assert!(answer.text().contains("\"Hi\"") || stream, "{model}: {}", answer.text());
            let sent = world.simulators().map(|simulator| simulator.requests()).concat().pop().unwrap();
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            assert_eq!(body["metadata"]["user_id"], "u", "{model}");
            let in_body = body["anthropic_beta"][0] == "context-1m-2025-08-07";
            assert_eq!(in_body, model.starts_with("bedrock"), "{model}: {body}");
            assert_eq!(sent.headers.contains_key("anthropic-beta"), !in_body, "{model}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn caches_cost_what_each_house_says() {
    for model in CLAUDE {
        for path in [MESSAGES, CHAT] {
            for stream in [false, true] {
                let world = World::new();
                let mark = |ttl: &str| json!({ "type": "ephemeral", "ttl": ttl });
                let long = "a long prompt that is worth keeping ".repeat(20);
                let body = json!({
                    "model": model, "max_tokens": 100, "stream": stream,
                    "messages": [{ "role": "user", "content": [
                        { "type": "text", "text": long, "cache_control": mark("1h") },
                        { "type": "text", "text": long, "cache_control": mark("5m") },
                        { "type": "text", "text": "echo:Hi" },
                    ]}],
                });
                billed(&world, path, &body).await;
                // What was written is read.
                billed(&world, path, &body).await;
                if path == MESSAGES {
                    let usage = world.invoice()[0].usage;
                    assert!(usage.cache_write_5m > 0 && usage.cache_write_1h > 0, "{model} {usage:?}");
                    assert!(world.invoice()[1].usage.cache_read > 0, "{model}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn thoughts_come_back_to_where_they_were_signed() {
    for model in CLAUDE {
        for stream in [false, true] {
            let world = World::new();
            let thinking =
                json!({ "stream": stream, "thinking": { "type": "enabled", "budget_tokens": 1_024 } });
            let asked = with(messages(model, "echo:Hi"), thinking);
            let answer = billed(&world, MESSAGES, &asked).await;
            let content = if stream {
                let mut thought = json!({ "type": "thinking", "thinking": "", "signature": "" });
                let mut text = String::new();
                for event in events(&answer) {
                    let delta = &event["delta"];
                    for name in ["thinking", "signature"] {
                        if let Some(piece) = delta[name].as_str() {
                            thought[name] = json!(thought[name].as_str().unwrap().to_owned() + piece);
                        }
                    }
                    text.push_str(delta["text"].as_str().unwrap_or_default());
                }
                json!([thought, { "type": "text", "text": text }])
            } else {
                answer.json()["content"].clone()
            };
            assert_eq!(content[1]["text"], "Hi", "{model}: {content}");
            let mut again = asked.clone();
            let turns = again["messages"].as_array_mut().unwrap();
            turns.push(json!({ "role": "assistant", "content": content }));
            turns.push(json!({ "role": "user", "content": "echo:Ho" }));
            billed(&world, MESSAGES, &again).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_in_every_house() {
    let schema = json!({ "type": "object", "properties": { "what": { "type": "string" } } });
    for model in CLAUDE {
        for stream in [false, true] {
            let world = World::new();
            let tools = json!({ "stream": stream, "tools": [{ "name": "weigh", "input_schema": schema }] });
            let answer = billed(&world, MESSAGES, &with(messages(model, "use the tool"), tools)).await;
            assert!(answer.text().contains("\"tool_use\""), "{model}: {}", answer.text());
            let id = answer.text().split("toolu_").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let house = model.split('/').next().unwrap();
            let mark = match house {
                "vertex" => "vrtx_01",
                "bedrock" => "bdrk_01",
                _ => "01",
            };
            assert!(id.starts_with(mark), "{model}: {id}");
        }
    }
    for model in GPT {
        for stream in [false, true] {
            let world = World::new();
            let function = json!({ "name": "weigh", "parameters": schema });
            let body = json!({
                "model": model, "stream": stream, "tools": [{ "type": "function", "function": function }],
                "messages": [
                    { "role": "system", "content": "Be brief." }, { "role": "user", "content": "use the tool" }],
            });
            let answer = billed(&world, CHAT, &body).await;
            assert!(answer.text().contains("tool_calls"), "{model}: {}", answer.text());
            let body = json!({
                "model": model, "max_tokens": 100, "stream": stream, "system": "Be brief.",
                "tools": [{ "name": "weigh", "input_schema": schema }],
                "messages": [{ "role": "user", "content": "use the tool" }],
            });
            let answer = billed(&world, MESSAGES, &body).await;
            assert!(answer.text().contains("\"tool_use\""), "{model}: {}", answer.text());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn models_that_reason_are_served_by_azure() {
    for path in [CHAT, RESPONSES, MESSAGES] {
        for stream in [false, true] {
            let world = World::new();
            let model = "azure/gpt-5-mini";
            let body = match path {
                RESPONSES => json!({
                    "model": model, "input": "echo:Hi", "stream": stream, "reasoning": { "effort": "low" },
                }),
                CHAT => json!({
                    "model": model, "stream": stream, "reasoning_effort": "low",
                    "messages": [
                        { "role": "developer", "content": "Be brief." }, { "role": "user", "content": "echo:Hi" }],
                }),
                _ => with(
                    messages(model, "echo:Hi"),
                    json!({ "stream": stream, "thinking": { "type": "enabled", "budget_tokens": 1_024 } }),
                ),
            };
            let answer = billed(&world, path, &body).await;
            assert!(world.invoice()[0].usage.reasoning > 0, "{path}: {}", answer.text());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_by_address_reaches_no_house_that_fetches_nothing() {
    let source = json!({ "type": "url", "url": "https://pictures.test/a.png" });
    for path in [MESSAGES, CHAT] {
        let world = World::new();
        let model = CLAUDE[2];
        let content = match path {
            MESSAGES => json!([{ "type": "image", "source": source }, { "type": "text", "text": "echo:Hi" }]),
            _ => json!([
                { "type": "image_url", "image_url": { "url": "https://pictures.test/a.png" } },
                { "type": "text", "text": "echo:Hi" }]),
        };
        let body = json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": content }] });
        let answer = world.post(path, &body).await;
        // Where the request passes as it came, the house refuses the address; where it is translated, the
        // picture is fetched for it.
        match path {
            MESSAGES => assert_eq!(answer.status, 400, "{}", answer.text()),
            _ => assert!(answer.status == 200 && answer.text().contains("images: 1"), "{}", answer.text()),
        }
    }
}
