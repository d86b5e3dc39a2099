//! Both clients against both providers, whole and streamed: answers, records, costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use weighbridge_simulator::InvoiceLine;
use world::{Answer, CHAT, MESSAGES, World};

const ROUTES: [&str; 2] = ["only-gpt", "only-claude"];

fn ask(path: &str, model: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({
        "model": model,
        "messages": [{ "role": "user", "content": text }],
        "stream": stream,
    });
    if path == MESSAGES {
        body["max_tokens"] = json!(200);
    }
    body
}

/// The text of an answer, whichever protocol and however it came.
fn text_of(path: &str, answer: &Answer, stream: bool) -> String {
    if !stream {
        let body = answer.json();
        let text = if path == CHAT {
            &body["choices"][0]["message"]["content"]
        } else {
            &body["content"][0]["text"]
        };
        return text.as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned();
    }
    let events = answer.text();
    let data = events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str::<Value>(data).unwrap())
        .filter_map(|event| {
            let delta =
                if path == CHAT { &event["choices"][0]["delta"]["content"] } else { &event["delta"]["text"] };
            delta.as_str().map(str::to_owned)
        })
        .collect()
}

fn invoice(world: &World) -> Vec<InvoiceLine> {
    let mut lines = world.openai.invoice();
    lines.extend(world.anthropic.invoice());
    lines
}

#[tokio::test(start_paused = true)]
async fn every_pair_answers_and_is_billed_as_invoiced() {
    for path in [CHAT, MESSAGES] {
        for model in ROUTES {
            for stream in [false, true] {
                let world = World::new();
                let answer = world.post(path, &ask(path, model, "echo:Grüße, \"world\"", stream)).await;
                let case = format!("{path} {model} stream={stream}");
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                assert_eq!(text_of(path, &answer, stream), "Grüße, \"world\"", "{case}");
                assert_eq!(answer.header("x-gateway-attempts"), Some("1"), "{case}");

                let record = world.record(&answer).await;
                let attempt = &record["attempts"][0];
                assert_eq!(attempt["outcome"], "success", "{case}: {record}");
                assert_eq!(attempt["provenance"], "reported", "{case}: {record}");
                let lines = invoice(&world);
                assert_eq!(lines.len(), 1, "{case}");
                let cost = format!("0.{:09}", lines[0].nano_usd);
                assert_eq!(attempt["cost_usd"], cost.as_str(), "{case}: {record}");
                assert_eq!(attempt["attempt"], lines[0].attempt.unwrap().to_string(), "{case}");
                assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_as_its_protocol_demands() {
    let world = World::new();
    for model in ROUTES {
        let chat = world.post(CHAT, &ask(CHAT, model, "echo:Hi", true)).await;
        assert!(chat.text().trim_end().ends_with("data: [DONE]"), "{model}: {}", chat.text());
        assert!(!chat.text().contains("\"usage\":{"), "{model}: nobody asked for usage: {}", chat.text());
        let messages = world.post(MESSAGES, &ask(MESSAGES, model, "echo:Hi", true)).await;
        assert!(messages.text().contains("event: message_stop"), "{model}: {}", messages.text());
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_shown_where_it_was_asked_for() {
    let world = World::new();
    for model in ROUTES {
        let mut body = ask(CHAT, model, "echo:Hi", true);
        body["stream_options"] = json!({ "include_usage": true });
        let answer = world.post(CHAT, &body).await;
        assert!(answer.text().contains("\"prompt_tokens\":"), "{model}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn same_protocol_bodies_arrive_as_they_were_sent() {
    let world = World::new();
    let odd = r#"{ "messages" : [ {"role":"user","content":"echo:\u0048i"} ], "temperature":0.70, "model":"only-gpt" }"#;
    let request = http::Request::post(CHAT)
        .header("authorization", format!("Bearer {}", world.key))
        .body(http_body_util::Full::new(bytes::Bytes::from(odd)))
        .unwrap();
    assert_eq!(world.send(request).await.status, 200);
    let received = world.openai.requests();
    let body = String::from_utf8(received[0].body.to_vec()).unwrap();
    assert_eq!(body, odd.replace("only-gpt", "gpt-4o-mini"));
}

/// A client brings back what it was given, whoever answered: Anthropic refuses what it has not signed.
#[tokio::test(start_paused = true)]
async fn reasoning_of_another_provider_does_not_reach_anthropic() {
    let world = World::new();
    let mut body = ask(MESSAGES, "only-claude", "echo:Hi", false);
    let thought = json!({ "type": "thinking", "thinking": "Hm", "signature": "wb.proof:s:unknown::" });
    let said = json!({ "type": "text", "text": "Hello" });
    let question = body["messages"][0].clone();
    body["messages"] = json!([question, { "role": "assistant", "content": [thought, said] }, question]);
    let answer = world.post(MESSAGES, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-gateway-loss"), Some("dropped /messages/1/content/0"));
    let received: Value = serde_json::from_slice(&world.anthropic.requests()[0].body).unwrap();
    assert_eq!(received["messages"][1]["content"], json!([said]));
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_the_clients_shape() {
    let world = World::new();
    let list = world.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let names: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert!(names.contains(&"gpt") && names.contains(&"anthropic/claude-haiku-4-5"), "{names:?}");
    let one = world.get("/v1/models/openai/gpt-4o-mini").await;
    assert_eq!((one.status, &one.json()["id"]), (200, &json!("openai/gpt-4o-mini")));
    let request = http::Request::get("/v1/models")
        .header("x-api-key", &world.key)
        .header("anthropic-version", "2023-06-01")
        .body(Default::default())
        .unwrap();
    let list = world.send(request).await.json();
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["has_more"], false);
}

#[tokio::test(start_paused = true)]
async fn losses_are_reported_and_can_be_refused() {
    let world = World::new();
    let mut body = ask(CHAT, "only-claude", "echo:Hi", false);
    body["seed"] = json!(7);
    body["max_tokens"] = json!(100);
    let answer = world.post(CHAT, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-gateway-loss"), Some("dropped /seed"));
    assert_eq!(world.record(&answer).await["losses"][0]["pointer"], "/seed");

    let mut request = world::post(CHAT, &world.key, &body);
    request.headers_mut().insert("x-gateway-loss-policy", "reject".parse().unwrap());
    let before = world.anthropic.request_count();
    let refused = world.send(request).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("/seed"));
    assert_eq!(world.anthropic.request_count(), before, "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn tools_cross_with_their_arguments() {
    for (path, model) in [(CHAT, "only-claude"), (MESSAGES, "only-gpt")] {
        let world = World::new();
        let schema =
            json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
        let tool = if path == CHAT {
            json!({ "type": "function", "function": { "name": "weather", "parameters": schema } })
        } else {
            json!({ "name": "weather", "input_schema": schema })
        };
        for stream in [false, true] {
            let mut body = ask(path, model, "use the tool in parallel", stream);
            body["tools"] = json!([tool]);
            body["max_tokens"] = json!(500);
            let answer = world.post(path, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("weather"), "{path} {stream}: {}", answer.text());
            let reason = if path == CHAT { "tool_calls" } else { "tool_use" };
            assert!(answer.text().contains(reason), "{path} {stream}: {}", answer.text());
        }
    }
}
