//! Each preset, called where it says that it is: a conversation with a tool from every client, whole and streamed.
//! What each vendor refuses is the simulator's word, which has a table of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use weighbridge_catalogue::{Preset, presets};
use weighbridge_pipeline::settings::{ProviderCredential, ProviderSettings};
use weighbridge_simulator::{COPYISTS, Copyist, Errors, Network, Simulator, UsageAt, Vendor};
use weighbridge_units::Protocol;
use world::clients::clients;
use world::{Answer, CHAT, MESSAGES, World, post};

const QUESTION: &str = "Use the tool.";
const RESULT: &str = "7 kg";

/// A preset at its own address, and whoever is simulated there.
struct Place {
    preset: &'static Preset,
    model: &'static str,
    base_url: String,
    simulator: Simulator,
    copyist: Option<&'static Copyist>,
}

fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for preset in presets() {
        if let Some(copyist) = Copyist::named(preset.name) {
            let simulator = Simulator::builder(Vendor::OpenAi).copyist(copyist).build();
            let base_url = preset.base_url.unwrap_or("http://house.test/v1").to_owned();
            places.push(Place { preset, model: "gpt-4o-mini", base_url, simulator, copyist: Some(copyist) });
            continue;
        }
        let (vendor, models): (_, &[&str]) = match preset.name {
            "openai" => (Vendor::OpenAi, &["gpt-4o-mini"]),
            "azure" => (Vendor::Azure, &["gpt-4o-mini"]),
            "anthropic" => (Vendor::Anthropic, &["claude-haiku-4-5"]),
            "gemini" => (Vendor::Google, &["gemini-2.5-flash"]),
            "vertex" => (Vendor::Google, &["gemini-2.5-flash", "claude-haiku-4-5@20251001"]),
            "bedrock" => {
                (Vendor::Aws, &["amazon.nova-lite-v1:0", "us.anthropic.claude-haiku-4-5-20251001-v1:0"])
            }
            other => panic!("nobody plays `{other}`"),
        };
        let (region, project) =
            if preset.name == "vertex" { ("global", Some("p")) } else { ("us-east-1", None) };
        let base_url = preset.base_url_in(Some(region), project);
        let base_url = base_url.unwrap_or_else(|| "https://mine.openai.azure.com".to_owned());
        for model in models {
            let simulator = Simulator::new(vendor);
            places.push(Place { preset, model, base_url: base_url.clone(), simulator, copyist: None });
        }
    }
    places
}

impl Place {
    fn case(&self, client: Protocol) -> String {
        format!("{client} at {} {}", self.preset.name, self.model)
    }

    fn world(&self) -> World {
        let mut world = World::with_settings(1, |settings| {
            let mut provider = ProviderSettings::of(self.preset, self.base_url.clone());
            provider.name = "here".into();
            provider.credentials = match self.copyist {
                Some(copyist) if !copyist.wants_key => Vec::new(),
                _ => vec![ProviderCredential::key("sk-one".to_owned())],
            };
            let bills_as_openai = self.copyist.is_some() || self.preset.name == "azure";
            if bills_as_openai {
                provider.price_as = "openai".into();
            }
            settings.providers = vec![provider];
            settings.routes.clear();
        });
        let host = self.base_url.parse::<http::Uri>().unwrap().host().unwrap().to_owned();
        world.transport = Arc::new(Network::new().with(&host, &self.simulator));
        world
    }
}

/// A question with a tool, and what followed upon it.
fn ask(client: Protocol, model: &str, after: &[Value], stream: bool) -> (String, Value) {
    let schema =
        json!({ "type": "object", "properties": { "what": { "type": "string" } }, "required": ["what"] });
    let model = format!("here/{model}");
    let said = |key: &str, first: Value| {
        let mut all = vec![first];
        all.extend(after.iter().cloned());
        (key.to_owned(), Value::Array(all))
    };
    let (path, key, list, mut body) = match client {
        Protocol::OpenAiChat => {
            let (key, mut list) =
                said("messages", json!({ "role": "user", "content": QUESTION, "name": "ada" }));
            list.as_array_mut().unwrap().insert(0, json!({ "role": "developer", "content": "Be brief." }));
            let tool = json!({ "type": "function", "function": { "name": "weigh", "parameters": schema } });
            let body = json!({
                "model": model, "stream": stream, "tools": [tool], "max_completion_tokens": 200, "seed": 7,
                "store": false, "parallel_tool_calls": true, "service_tier": "auto",
            });
            (CHAT.to_owned(), key, list, body)
        }
        Protocol::AnthropicMessages => {
            let (key, list) = said("messages", json!({ "role": "user", "content": QUESTION }));
            let tool = json!({ "name": "weigh", "input_schema": schema });
            let body = json!({ "model": model, "stream": stream, "tools": [tool], "max_tokens": 200, "system": "Be brief." });
            (MESSAGES.to_owned(), key, list, body)
        }
        Protocol::OpenAiResponses => {
            let (key, list) = said("input", json!({ "role": "user", "content": QUESTION }));
            let tool = json!({ "type": "function", "name": "weigh", "parameters": schema, "strict": false });
            let body = json!({ "model": model, "stream": stream, "tools": [tool], "instructions": "Be brief.", "store": false });
            ("/v1/responses".to_owned(), key, list, body)
        }
        _ => {
            let (key, list) = said("contents", json!({ "role": "user", "parts": [{ "text": QUESTION }] }));
            let tool = json!({ "functionDeclarations": [{ "name": "weigh", "parameters": schema }] });
            let call = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let body =
                json!({ "tools": [tool], "systemInstruction": { "parts": [{ "text": "Be brief." }] } });
            (format!("/v1beta/models/{model}:{call}"), key, list, body)
        }
    };
    body[key] = list;
    (path, body)
}

/// The model's turn as its client sends it back, with the result of its call.
fn answered(client: Protocol, answer: &Value) -> Vec<Value> {
    match client {
        Protocol::OpenAiChat => {
            let message = answer["choices"][0]["message"].clone();
            let id = message["tool_calls"][0]["id"].clone();
            vec![message, json!({ "role": "tool", "tool_call_id": id, "content": RESULT })]
        }
        Protocol::AnthropicMessages => {
            let content = answer["content"].clone();
            let calls = content.as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
            let result = json!({ "type": "tool_result", "tool_use_id": calls["id"], "content": RESULT });
            vec![
                json!({ "role": "assistant", "content": content }),
                json!({ "role": "user", "content": [result] }),
            ]
        }
        Protocol::OpenAiResponses => {
            let mut turn = answer["output"].as_array().unwrap().clone();
            let call = turn.iter().find(|item| item["type"] == "function_call").unwrap()["call_id"].clone();
            turn.push(json!({ "type": "function_call_output", "call_id": call, "output": RESULT }));
            turn
        }
        _ => {
            let content = answer["candidates"][0]["content"].clone();
            let parts = content["parts"].as_array().unwrap();
            let call = parts.iter().find_map(|part| part.get("functionCall")).unwrap();
            let mut result = json!({ "name": "weigh", "response": { "result": RESULT } });
            if let Some(id) = call.get("id") {
                result["id"] = id.clone();
            }
            vec![content, json!({ "role": "user", "parts": [{ "functionResponse": result }] })]
        }
    }
}

/// Where the protocol has the name of the tool, and what was said.
fn calls(client: Protocol, answer: &Value) -> bool {
    answered_names(client, answer).iter().any(|name| name == "weigh")
}

fn answered_names(client: Protocol, answer: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match client {
        Protocol::OpenAiChat => {
            let message = list(&answer["choices"][0]["message"]["tool_calls"]);
            message.iter().map(|call| call["function"]["name"].clone()).collect()
        }
        Protocol::AnthropicMessages => {
            list(&answer["content"]).iter().map(|block| block["name"].clone()).collect()
        }
        Protocol::OpenAiResponses => {
            list(&answer["output"]).iter().map(|item| item["name"].clone()).collect()
        }
        _ => list(&answer["candidates"][0]["content"]["parts"])
            .iter()
            .map(|part| part["functionCall"]["name"].clone())
            .collect(),
    }
}

/// The events of a stream, joined to what was said and called.
fn streamed(client: Protocol, events: &str) -> (String, String) {
    let (mut text, mut called) = (String::new(), String::new());
    let data = events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    for event in data.map(|data| serde_json::from_str::<Value>(data).unwrap()) {
        let mut add = |to: &Value, name: &Value| {
            text.push_str(to.as_str().unwrap_or_default());
            called.push_str(name.as_str().unwrap_or_default());
        };
        match client {
            Protocol::OpenAiChat => {
                let delta = &event["choices"][0]["delta"];
                add(&delta["content"], &delta["tool_calls"][0]["function"]["name"]);
            }
            Protocol::AnthropicMessages => add(&event["delta"]["text"], &event["content_block"]["name"]),
            Protocol::OpenAiResponses => match event["type"].as_str() {
                Some("response.output_text.delta") => add(&event["delta"], &Value::Null),
                Some("response.output_item.done") => add(&Value::Null, &event["item"]["name"]),
                _ => {}
            },
            _ => {
                for part in event["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
                    let said = if part["thought"] == true { &Value::Null } else { &part["text"] };
                    add(said, &part["functionCall"]["name"]);
                }
            }
        }
    }
    (text, called)
}

fn ok(case: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{case}: {}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn every_preset_holds_a_conversation_with_a_tool() {
    for place in places() {
        let world = place.world();
        for client in clients() {
            let case = place.case(client);
            place.simulator.forget();
            let send = async |after: &[Value], stream| {
                let (path, body) = ask(client, place.model, after, stream);
                world.send(post(&path, &world.key, &body)).await
            };
            let whole = send(&[], false).await;
            ok(&case, &whole);
            assert!(calls(client, &whole.json()), "{case}: {}", whole.text());
            let after = answered(client, &whole.json());
            let last = send(&after, false).await;
            ok(&case, &last);
            assert!(last.text().contains(RESULT), "{case}: {}", last.text());

            let stream = send(&[], true).await;
            ok(&case, &stream);
            let (_, called) = streamed(client, &stream.text());
            assert_eq!(called, "weigh", "{case}: {}", stream.text());
            let stream = send(&after, true).await;
            ok(&case, &stream);
            let (text, called) = streamed(client, &stream.text());
            assert!(text.contains(RESULT) && called.is_empty(), "{case}: {}", stream.text());

            // Each of the four was billed to the nano-dollar by what the vendor told.
            let lines = place.simulator.invoice();
            assert_eq!(lines.len(), 4, "{case}");
            for (answer, line) in [&whole, &last].into_iter().zip(&lines) {
                let cost = format!("0.{:09}", line.nano_usd);
                assert_eq!(answer.header("x-gateway-cost-usd"), Some(cost.as_str()), "{case}");
            }
            let record = world.record(&stream).await;
            let attempt = &record["attempts"][0];
            assert_eq!(attempt["provenance"], "reported", "{case}: {record}");
            assert_eq!(
                attempt["cost_usd"],
                format!("0.{:09}", lines[3].nano_usd).as_str(),
                "{case}: {record}"
            );
        }
    }
}

/// Asks a copyist directly.
async fn direct(copyist: &'static Copyist, change: impl FnOnce(&mut Value)) -> (u16, Value) {
    let simulator = Simulator::builder(Vendor::OpenAi).copyist(copyist).build();
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "echo:Hi" }] });
    change(&mut body);
    let request = http::Request::post(format!("https://{}{}", copyist.host, copyist.chat.unwrap()))
        .header("authorization", "Bearer sk-one")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let (head, body) = simulator.answer(request).await.unwrap().into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// A value that OpenAI would take.
fn value(name: &str) -> Value {
    match name {
        "logprobs" | "store" | "parallel_tool_calls" => json!(true),
        "stream_options" => json!({ "include_usage": true }),
        "logit_bias" | "metadata" | "audio" | "prediction" => json!({}),
        "modalities" => json!(["text"]),
        "service_tier" => json!("flex"),
        "user" | "safety_identifier" => json!("u"),
        _ => json!(1),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_refuses_is_refused_in_its_words_and_left_out_by_us() {
    let strict = COPYISTS
        .iter()
        .filter(|it| it.only.is_some() || !it.refused.is_empty() || !it.refused_in_messages.is_empty());
    let mut seen = 0;
    for copyist in strict {
        let closed: &[&str] = if copyist.only.is_some() {
            &["store", "seed", "max_completion_tokens", "user", "stream_options"]
        } else {
            &[]
        };
        for name in copyist.refused.iter().chain(closed) {
            let (status, error) = direct(copyist, |body| body[*name] = value(name)).await;
            assert_eq!(status, copyist.refuses_with, "{} {name}: {error}", copyist.name);
            let words = match copyist.errors {
                Errors::Pydantic => &error["message"]["detail"][0]["msg"],
                Errors::Message => &error["message"],
                _ => &error["error"]["message"],
            };
            assert!(words.is_string(), "{} {name}: {error}", copyist.name);
            seen += 1;
        }
        for name in copyist.refused_in_messages {
            let (status, error) = direct(copyist, |body| body["messages"][0][*name] = json!("x")).await;
            assert_eq!(status, copyist.refuses_with, "{} {name}: {error}", copyist.name);
        }
        if !copyist.knows_developer {
            let (status, _) = direct(copyist, |body| body["messages"][0]["role"] = json!("developer")).await;
            assert_eq!(status, copyist.refuses_with, "{}", copyist.name);
        }
        assert_eq!(direct(copyist, |_| {}).await.0, 200, "{}", copyist.name);

        // Through the gateway, the same is left out, and said to be lost.
        let place = places().into_iter().find(|place| place.preset.name == copyist.name).unwrap();
        for name in copyist
            .refused
            .iter()
            .chain(closed)
            .filter(|name| !["stream_options", "audio", "service_tier"].contains(name))
        {
            let world = place.world();
            let mut body =
                json!({ "model": "here/m", "messages": [{ "role": "user", "content": "echo:Hi" }] });
            body["model"] = json!("here/gpt-4o-mini");
            body[*name] = if *name == "n" { json!(1) } else { value(name) };
            let answer = world.send(post(CHAT, &world.key, &body)).await;
            assert_eq!(answer.status, 200, "{} {name}: {}", copyist.name, answer.text());
            let renamed = ["n", "seed", "max_completion_tokens", "parallel_tool_calls"].contains(name)
                || value(name) == json!({});
            let loss = answer.header("x-gateway-loss").unwrap_or_default();
            assert_eq!(
                loss.contains(&format!("dropped /{name}")),
                !renamed,
                "{} {name}: {loss}",
                copyist.name
            );
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test(start_paused = true)]
async fn errors_of_every_shape_are_understood() {
    for place in places().into_iter().filter(|place| place.copyist.is_some_and(|it| it.chat.is_some())) {
        let copyist = place.copyist.unwrap();
        let mut wrong =
            json!({ "model": "here/gpt-4o-mini", "messages": [{ "role": "user", "content": "echo:Hi" }] });
        wrong["temperature"] = json!("warm");
        let world = place.world();
        let answer = world.send(post(CHAT, &world.key, &wrong)).await;
        assert_eq!(answer.status, 400, "{}: {}", copyist.name, answer.text());
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("temperature"), "{}: {message}", copyist.name);
    }
}

#[test]
fn the_simulators_table_says_where_each_vendor_is() {
    for place in places() {
        let Some(copyist) = place.copyist else { continue };
        let authority = place.base_url.parse::<http::Uri>().unwrap().authority().unwrap().to_string();
        assert_eq!(authority, copyist.host);
        let unasked = place.preset.spoken[0].usage_unasked;
        assert_eq!(unasked, copyist.usage == UsageAt::Unasked, "{}", copyist.name);
    }
}
