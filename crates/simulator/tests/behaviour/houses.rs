//! Claude at Vertex and at Bedrock: what each house wants and refuses, and how it answers.

use crate::support::{binary_frames, events, send};
use bytes::Bytes;
use futures::executor::block_on;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator, Vendor};

const VERTEX: &str = "/v1/projects/p/locations/global/publishers/anthropic/models/claude-haiku-4-5@20251001";
const BEDROCK: &str = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0";

fn ask(version: &str) -> Value {
    json!({
        "anthropic_version": version, "max_tokens": 100, "messages": [{"role": "user", "content": "echo:Hi"}],
    })
}

fn at_vertex() -> Value {
    ask("vertex-2023-10-16")
}

fn at_bedrock() -> Value {
    ask("bedrock-2023-05-31")
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn post(simulator: &Simulator, path: &str, body: &Value) -> (u16, HeaderMap, Bytes) {
    let request = Request::post(format!("http://house.test{path}"))
        .header("authorization", "Bearer t")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    block_on(send(simulator, request)).expect("an answer")
}

fn answer(simulator: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    let (status, _, bytes) = post(simulator, path, body);
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn vertex_wants_its_version_and_no_model() {
    let vertex = Simulator::new(Vendor::Google);
    let path = format!("{VERTEX}:rawPredict");
    let (status, whole) = answer(&vertex, &path, &at_vertex());
    assert_eq!((status, &whole["content"][0]["text"]), (200, &json!("Hi")));
    assert_eq!(whole["model"], "claude-haiku-4-5-20251001");
    assert!(whole["id"].as_str().is_some_and(|id| id.starts_with("msg_vrtx_01")));
    let mut bare = at_vertex();
    bare.as_object_mut().expect("an object").remove("anthropic_version");
    for (body, reason) in [
        (bare, "anthropic_version: Field required"),
        (ask("2023-06-01"), "anthropic_version: Input should be 'vertex-2023-10-16'"),
        (with(at_vertex(), "model", json!("claude-haiku-4-5")), "model: Extra inputs are not permitted"),
        (with(at_vertex(), "max_tokens", json!(0.5)), "max_tokens: Input should be a valid integer"),
    ] {
        // Anthropic's own errors are handed on.
        let (status, error) = answer(&vertex, &path, &body);
        assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")), "{error}");
        assert_eq!(error["error"]["message"], reason);
    }
    // As Anthropic's SDK asks since its version 2.
    assert_eq!(answer(&vertex, &path, &ask("2026-10-21")).0, 200);
    let (status, error) = answer(&vertex, &path, &with(ask("2026-10-21"), "temperature", json!(1)));
    assert_eq!(
        (status, &error["error"]["message"]),
        (400, &json!("temperature: Extra inputs are not permitted"))
    );
    let gemini = "/v1/projects/p/locations/global/publishers/google/models/claude-haiku-4-5:generateContent";
    let (status, error) = answer(&vertex, gemini, &json!({"contents": []}));
    assert_eq!((status, &error["error"]["status"]), (404, &json!("NOT_FOUND")));
}

#[test]
fn vertex_streams_as_anthropic_and_fails_as_google() {
    let vertex = Simulator::new(Vendor::Google);
    let path = format!("{VERTEX}:streamRawPredict");
    let (_, _, stream) = post(&vertex, &path, &with(at_vertex(), "stream", json!(true)));
    let events = events(&stream);
    assert_eq!(events.last().map(|event| &event["type"]), Some(&json!("message_stop")));
    let line = &vertex.invoice()[0];
    assert_eq!((line.vendor, line.nano_usd), (Vendor::Google, (5 * 1_000) + 5_000));
    // Elements of an array, as in Google's own streams.
    vertex.push_fault(Fault::Status { code: 429, retry_after: Some(4) });
    let (status, errors) = answer(&vertex, &path, &with(at_vertex(), "stream", json!(true)));
    assert_eq!((status, &errors[0]["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(errors[0]["error"]["details"][0]["retryDelay"], "4s");
    for (fault, reason) in [(Fault::ContextTooLong, "prompt is too long"), (Fault::ContentPolicy, "policy")] {
        vertex.push_fault(fault);
        let (status, error) = answer(&vertex, &path, &at_vertex());
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && error["type"] == "error" && message.contains(reason), "{error}");
    }
}

#[test]
fn bedrock_wants_its_version_and_neither_model_nor_stream() {
    let bedrock = Simulator::new(Vendor::Aws);
    let path = format!("{BEDROCK}/invoke");
    let asked = with(at_bedrock(), "anthropic_beta", json!(["context-1m-2025-08-07"]));
    let (status, headers, bytes) = post(&bedrock, &path, &asked);
    let whole: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!((status, &whole["content"][0]["text"]), (200, &json!("Hi")));
    assert_eq!(headers["x-amzn-bedrock-output-token-count"], "1");
    assert!(whole["id"].as_str().is_some_and(|id| id.starts_with("msg_bdrk_01")));
    let image = json!([{"role": "user", "content": [
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]}]);
    for (body, reason) in [
        (ask("2026-10-21"), "anthropic_version: Input should be 'bedrock-2023-05-31'"),
        (with(at_bedrock(), "model", json!("x")), "model: Extra inputs are not permitted"),
        (with(at_bedrock(), "stream", json!(false)), "stream: Extra inputs are not permitted"),
        (with(at_bedrock(), "service_tier", json!("auto")), "service_tier: Extra inputs are not permitted"),
        (with(at_bedrock(), "anthropic_beta", json!("x")), "anthropic_beta: Input should be a valid list"),
        (with(at_bedrock(), "messages", image), "messages.0.content.0.image.source: Input tag 'url' found"),
    ] {
        let (status, headers, bytes) = post(&bedrock, &path, &body);
        assert_eq!(status, 400);
        assert!(headers["x-amzn-errortype"].as_bytes().starts_with(b"ValidationException:"));
        assert!(String::from_utf8_lossy(&bytes).contains(reason), "{bytes:?}");
    }
    let (status, error) = answer(&bedrock, "/model/amazon.nova-lite-v1%3A0/invoke", &at_bedrock());
    assert_eq!((status, &error["message"]), (400, &json!("The provided model identifier is invalid.")));
}

#[test]
fn bedrock_wraps_the_events_of_a_stream() {
    let bedrock = Simulator::new(Vendor::Aws);
    let path = format!("{BEDROCK}/invoke-with-response-stream");
    let (_, headers, stream) = post(&bedrock, &path, &at_bedrock());
    assert_eq!(headers["content-type"], "application/vnd.amazon.eventstream");
    let frames = binary_frames(&stream);
    assert!(frames.iter().all(|(name, _)| name == "chunk"));
    let wrapped: Vec<Value> =
        frames.iter().map(|(_, payload)| serde_json::from_slice(payload).expect("JSON")).collect();
    assert!(wrapped.iter().all(|frame| frame["bytes"].is_string() && frame["p"].is_string()));
    // `{"amazon-bedrock-invocationMetrics":`
    let last = wrapped.last().and_then(|frame| frame["bytes"].as_str()).unwrap_or_default();
    assert!(last.starts_with("eyJhbWF6b24tYmVkcm9jay1pbnZvY2F0aW9uTWV0cmljcyI6"), "{last}");
    let line = &bedrock.invoice()[0];
    assert_eq!((line.stream, line.told, line.nano_usd), (true, true, (5 * 1_100) + 5_500));

    bedrock.push_fault(Fault::ErrorMidStream { after_frames: 2 });
    let (_, _, stream) = post(&bedrock, &path, &at_bedrock());
    let frames = binary_frames(&stream);
    assert_eq!(frames.len(), 3);
    assert!(frames[2].0.ends_with("Exception"), "{:?}", frames[2]);
}
