//! Every client against every provider, whole and streamed: answers, records, costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use serde_json::{Value, json};
use weighbridge_units::Protocol;
use world::clients::{MODELS, ask, clients, streamed_text, text_of};
use world::{CHAT, World};

const SAID: &str = "Grüße, \"world\"";

/// Whether a client's own protocol is spoken there beside the other.
fn speaks_too(model: &str, client: Protocol) -> bool {
    match client {
        Protocol::OpenAiResponses => ["openai/", "azure/"].iter().any(|provider| model.starts_with(provider)),
        Protocol::AnthropicMessages => model.contains("claude"),
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn every_pair_answers_and_is_billed_as_invoiced() {
    for client in clients() {
        for (model, spoken) in MODELS {
            for stream in [false, true] {
                let world = World::new();
                let (path, body) = ask(client, model, &format!("echo:{SAID}"), stream);
                let answer = world.post(&path, &body).await;
                let case = format!("{client} {model} stream={stream}");
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                let text = if stream {
                    streamed_text(client, &answer.text())
                } else {
                    text_of(client, &answer.json()).unwrap_or_else(|| panic!("{case}: {}", answer.text()))
                };
                assert_eq!(text, SAID, "{case}: {}", answer.text());
                assert_eq!(answer.header("x-gateway-attempts"), Some("1"), "{case}");

                let record = world.record(&answer).await;
                let attempt = &record["attempts"][0];
                assert_eq!(attempt["outcome"], "success", "{case}: {record}");
                assert_eq!(attempt["provenance"], "reported", "{case}: {record}");
                let spoken = if speaks_too(model, client) { client } else { spoken };
                assert_eq!(attempt["provider_protocol"], spoken.as_str(), "{case}: {record}");
                let lines = world.invoice();
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
async fn gemini_streams_a_json_array_where_no_events_are_asked_for() {
    for (model, _) in MODELS {
        let world = World::new();
        let (path, body) = ask(Protocol::GeminiGenerateContent, model, &format!("echo:{SAID}"), true);
        let answer = world.post(path.trim_end_matches("?alt=sse"), &body).await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{model}");
        let elements = answer.json();
        let elements = elements.as_array().unwrap_or_else(|| panic!("{model}: {}", answer.text()));
        let text: String =
            elements.iter().filter_map(|element| text_of(Protocol::GeminiGenerateContent, element)).collect();
        assert_eq!(text, SAID, "{model}: {}", answer.text());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_providers_are_told_in_the_clients_protocol() {
    for client in clients() {
        for (model, _) in MODELS {
            let world = World::new();
            let provider = model.split('/').next().unwrap();
            let (path, body) = ask(client, &format!("{provider}/no-such-model"), "echo:Hi", false);
            let answer = world.post(&path, &body).await;
            let case = format!("{client} {model}: {}", answer.text());
            assert_eq!(answer.status, 404, "{case}");
            let error = &answer.json()["error"];
            assert!(error["message"].as_str().is_some_and(|text| text.contains("no-such-model")), "{case}");
            let kind = match client {
                Protocol::GeminiGenerateContent => &error["status"],
                _ => &error["type"],
            };
            assert!(kind.is_string(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_taken_from_where_each_sdk_puts_them() {
    let world = World::new();
    let (path, body) = ask(Protocol::GeminiGenerateContent, "gemini/gemini-2.5-flash", "echo:Hi", false);
    for (name, value) in [
        ("authorization", format!("Bearer {}", world.key)),
        ("x-api-key", world.key.clone()),
        ("x-goog-api-key", world.key.clone()),
        ("api-key", world.key.clone()),
    ] {
        let mut request = world::post(&path, &world.key, &body);
        request.headers_mut().remove("authorization");
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(world.send(request).await.status, 200, "{name}");
    }
    let mut request = world::post(&format!("{path}?key={}", world.key), &world.key, &body);
    request.headers_mut().remove("authorization");
    assert_eq!(world.send(request).await.status, 200);
    let received = world.google.requests();
    assert!(received.iter().all(|request| !request.target.contains(&world.key)), "{received:?}");
}

#[tokio::test(start_paused = true)]
async fn azures_paths_name_the_model() {
    let world = World::new();
    let path = "/openai/deployments/gemini%2Fgemini-2.5-flash/chat/completions?api-version=2024-10-21";
    let body = json!({ "messages": [{ "role": "user", "content": "echo:Hi" }] });
    let answer = world.post(path, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(text_of(Protocol::OpenAiChat, &answer.json()).unwrap(), "Hi");
}

#[tokio::test(start_paused = true)]
async fn no_model_leads_to_another_place() {
    let world = World::new();
    for model in ["gemini/..", "gemini/a/../b", "bedrock/.", "gemini//x"] {
        let (path, body) = ask(Protocol::OpenAiChat, model, "echo:Hi", false);
        let answer = world.post(&path, &body).await;
        assert_eq!(answer.status, 404, "{model}: {}", answer.text());
    }
    assert!(world.google.requests().is_empty() && world.aws.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_budget_caps_the_output_in_every_protocol() {
    for client in clients().filter(|client| *client != Protocol::AnthropicMessages) {
        for (model, _) in MODELS {
            let mut world = World::new();
            let key = world.add_key(|key| key.budgets = world::monthly(1_000_000));
            let (path, body) = ask(client, model, "echo:Hi", false);
            let answer = world.send(world::post(&path, &key, &body)).await;
            assert_eq!(answer.status, 200, "{client} {model}: {}", answer.text());
            let loss = answer.header("x-gateway-loss").unwrap_or_default();
            assert!(loss.contains("defaulted"), "{client} {model}: {loss}");
            let requests = world.simulators().map(|simulator| simulator.requests());
            let sent: Value = serde_json::from_slice(&requests.concat()[0].body).unwrap();
            let named = ["max_tokens", "max_completion_tokens", "max_output_tokens"].map(|name| &sent[name]);
            let nested =
                [&sent["generationConfig"]["maxOutputTokens"], &sent["inferenceConfig"]["maxTokens"]];
            let cap = named.into_iter().chain(nested).find(|cap| !cap.is_null());
            assert!(cap.is_some(), "{client} {model}: {sent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let questions = [
        (Protocol::AnthropicMessages, "/v1/messages/count_tokens", "/input_tokens"),
        (Protocol::OpenAiResponses, "/v1/responses/input_tokens", "/input_tokens"),
        (Protocol::GeminiGenerateContent, "", "/totalTokens"),
    ];
    for (client, path, place) in questions {
        for (model, _) in MODELS {
            let world = World::new();
            let (_, mut body) = ask(client, model, "How many tokens are these?", false);
            for wish in ["stream", "max_tokens"] {
                body.as_object_mut().unwrap().remove(wish);
            }
            let path = match path {
                "" => format!("/v1beta/models/{model}:countTokens"),
                path => path.to_owned(),
            };
            let answer = world.post(&path, &body).await;
            let case = format!("{client} {model}: {}", answer.text());
            assert_eq!(answer.status, 200, "{case}");
            let count = answer.json().pointer(place).and_then(Value::as_u64);
            assert!(count.is_some_and(|count| (3..40).contains(&count)), "{case}");
            // The others have no such call, or the simulator does not play it.
            let counts = ["openai/", "openai-responses/", "anthropic/", "gemini/", "vertex/gemini"];
            let counted = counts.iter().any(|counter| model.starts_with(counter));
            assert_eq!(answer.header("x-gateway-token-count").is_none(), counted, "{case}");
            assert!(world.invoice().is_empty(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn vectors_cross_and_are_billed_as_invoiced() {
    let gemini = json!({ "content": { "parts": [{ "text": "Weigh this." }] } });
    for model in [
        "openai/text-embedding-3-small",
        "gemini/gemini-embedding-001",
        "bedrock/amazon.titan-embed-text-v2:0",
    ] {
        for (path, body, place) in [
            (
                "/v1/embeddings".to_owned(),
                json!({ "model": model, "input": "Weigh this." }),
                "/data/0/embedding",
            ),
            (format!("/v1beta/models/{model}:embedContent"), gemini.clone(), "/embedding/values"),
        ] {
            let world = World::new();
            let answer = world.post(&path, &body).await;
            let case = format!("{path} {model}: {}", answer.text().chars().take(300).collect::<String>());
            assert_eq!(answer.status, 200, "{case}");
            let vector = answer.json().pointer(place).and_then(|vector| Some(vector.as_array()?.len()));
            assert!(vector.is_some_and(|length| length > 100), "{case}");
            let record = world.record(&answer).await;
            let lines = world.invoice();
            assert_eq!(lines.len(), 1, "{case}");
            let cost = format!("0.{:09}", lines[0].nano_usd);
            let attempt = &record["attempts"][0];
            // The Gemini API does not tell the tokens of vectors, so its entry is an estimate.
            if model.starts_with("gemini/") {
                assert_eq!(attempt["provenance"], "estimated", "{case} {record}");
            } else {
                assert_eq!(attempt["provenance"], "reported", "{case} {record}");
                assert_eq!(attempt["cost_usd"], cost.as_str(), "{case} {record}");
            }
            assert_eq!(world.pipeline.ledger().outstanding(), 0, "{case}");
        }
    }
    let world = World::new();
    let body = json!({ "model": "anthropic/claude-haiku-4-5", "input": "Weigh this." });
    let refused = world.post("/v1/embeddings", &body).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("makes no vectors"), "{}", refused.text());
}

#[tokio::test(start_paused = true)]
async fn gemini_is_told_of_models_in_its_own_shape() {
    let world = World::new();
    let list = world.get("/v1beta/models?pageSize=2").await.json();
    assert_eq!(list["models"].as_array().map(Vec::len), Some(2), "{list}");
    assert!(list["models"][0]["name"].as_str().unwrap().starts_with("models/"), "{list}");
    let next = list["nextPageToken"].as_str().unwrap();
    let rest = world.get(&format!("/v1beta/models?pageToken={}", next.replace('/', "%2F"))).await.json();
    assert!(rest["models"].as_array().unwrap().len() > 20, "{rest}");
    let one = world.get("/v1beta/models/gemini/gemini-2.5-flash").await;
    assert_eq!((one.status, &one.json()["inputTokenLimit"]), (200, &json!(1_048_576)), "{}", one.text());
}

#[tokio::test(start_paused = true)]
async fn media_by_address_are_fetched_where_the_provider_opens_none() {
    let asked = |model: &str, url: &str| {
        let image = json!({ "type": "image_url", "image_url": { "url": url } });
        let text = json!({ "type": "text", "text": "echo:Hi" });
        json!({ "model": model, "messages": [{ "role": "user", "content": [text, image] }] })
    };
    let world = World::new();
    let bedrock = "bedrock/amazon.nova-lite-v1:0";
    let answer = world.post(CHAT, &asked(bedrock, "https://example.com/a.gif")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let loss = answer.header("x-gateway-loss").unwrap_or_default();
    assert!(!loss.contains("dropped"), "{loss}");
    let sent: Value = serde_json::from_slice(&world.aws.requests()[0].body).unwrap();
    let image = &sent["messages"][0]["content"][1]["image"];
    assert_eq!(image, &json!({ "format": "gif", "source": { "bytes": "R0lGODlh" } }));

    // Nothing is sent, nor reserved, where it cannot be fetched.
    let refused = world.post(CHAT, &asked(bedrock, "https://example.com/missing.gif")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!((world.aws.request_count(), world.pipeline.ledger().outstanding()), (1, 0));

    // Anthropic opens it itself.
    let answer = world.post(CHAT, &asked("anthropic/claude-haiku-4-5", "https://example.com/a.gif")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = String::from_utf8(world.anthropic.requests()[0].body.to_vec()).unwrap();
    assert!(sent.contains("https://example.com/a.gif"), "{sent}");
}
