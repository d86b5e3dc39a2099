//! Two clients against two providers: what is particular to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use world::{CHAT, MESSAGES, World};

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
async fn who_refuses_to_be_asked_for_usage_is_not_asked() {
    let world = World::with_settings(1, |settings| {
        for spoken in settings.providers.iter_mut().flat_map(|provider| &mut provider.spoken) {
            spoken.usage_unasked = true;
        }
    });
    let mut asks = ask(CHAT, "only-gpt", "echo:Hi", true);
    asks["stream_options"] = json!({ "include_usage": true });
    let chats = [(CHAT, asks), (CHAT, ask(CHAT, "only-gpt", "echo:Hi", true))];
    for (path, body) in chats.into_iter().chain([(MESSAGES, ask(MESSAGES, "only-gpt", "echo:Hi", true))]) {
        assert_eq!(world.post(path, &body).await.status, 200);
        let received: Value = serde_json::from_slice(&world.openai.requests().pop().unwrap().body).unwrap();
        assert_eq!((received.get("stream_options"), &received["stream"]), (None, &json!(true)));
    }
    assert_eq!(world.openai.request_count(), 3);
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

/// Claude Code asks for 32,000 tokens, and `gpt-4o-mini` refuses more than 16,384.
#[tokio::test(start_paused = true)]
async fn a_cap_of_another_vendors_models_is_lowered_to_the_targets() {
    let world = World::new();
    let mut body = ask(MESSAGES, "only-gpt", "echo:Hi", false);
    body["max_tokens"] = json!(32_000);
    let answer = world.post(MESSAGES, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let losses = answer.header("x-gateway-loss").unwrap_or_default();
    assert!(losses.starts_with("approximated /max_tokens"), "{losses}");
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
