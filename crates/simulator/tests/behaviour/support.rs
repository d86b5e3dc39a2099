//! Calls a simulator as a client would, and reads what comes back.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_simulator::{AnswerBody, Simulator, Vendor};

pub(crate) const VENDORS: [Vendor; 2] = [Vendor::OpenAi, Vendor::Anthropic];

/// A smallest body that says `text`.
pub(crate) fn body(vendor: Vendor, text: &str) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    match vendor {
        Vendor::OpenAi => json!({"model": "gpt-4o-mini", "messages": messages}),
        Vendor::Anthropic => json!({"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": messages}),
    }
}

/// The same, streamed with usage.
pub(crate) fn streamed(vendor: Vendor, text: &str) -> Value {
    let mut body = body(vendor, text);
    body["stream"] = json!(true);
    if vendor == Vendor::OpenAi {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// A request as the vendor's SDK sends it.
pub(crate) fn request(vendor: Vendor, body: &Value) -> Request<Bytes> {
    let request = match vendor {
        Vendor::OpenAi => {
            Request::post("http://openai.test/v1/chat/completions").header("authorization", "Bearer sk-1")
        }
        Vendor::Anthropic => Request::post("http://anthropic.test/v1/messages")
            .header("x-api-key", "sk-ant-1")
            .header("anthropic-version", "2023-06-01"),
    };
    let request = request.header("x-client-request-id", "01939d3e-0000-7000-8000-000000000001");
    request.body(Bytes::from(body.to_string())).expect("a request")
}

/// A whole exchange: status, headers, body; `Err` where the connection broke.
pub(crate) async fn exchange(simulator: &Simulator, body: &Value) -> Result<(u16, HeaderMap, Bytes), String> {
    let response = simulator.answer(request(simulator.vendor(), body)).await.map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    let body: AnswerBody = body;
    let bytes = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok((head.status.as_u16(), head.headers, bytes))
}

/// The JSON answer to a body.
pub(crate) async fn answer(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let (status, _, bytes) = exchange(simulator, body).await.expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

/// The JSON payloads of a stream's events, without the `[DONE]` marker.
pub(crate) fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
}
