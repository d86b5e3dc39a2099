//! Builds requests and reads what comes back.

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_simulator::{AnswerBody, Simulator, Vendor};

/// What is called: an API, and where it has several kinds of streams, which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Responses,
    Messages,
    Gemini,
    /// Streamed as one array.
    GeminiArray,
}

pub(crate) const ENDPOINTS: [Endpoint; 5] =
    [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages, Endpoint::Gemini, Endpoint::GeminiArray];

impl Endpoint {
    pub(crate) const fn vendor(self) -> Vendor {
        match self {
            Self::Chat | Self::Responses => Vendor::OpenAi,
            Self::Messages => Vendor::Anthropic,
            Self::Gemini | Self::GeminiArray => Vendor::Google,
        }
    }
}

/// A request to be.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    /// Where the path asks for a stream.
    pub(crate) stream: bool,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) const fn of(endpoint: Endpoint, body: Value) -> Self {
        Self { endpoint, stream: false, body }
    }
}

impl Index<&str> for Call {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.body[field]
    }
}

impl IndexMut<&str> for Call {
    fn index_mut(&mut self, field: &str) -> &mut Value {
        &mut self.body[field]
    }
}

/// A smallest body that says `text`.
pub(crate) fn body(endpoint: Endpoint, text: &str) -> Call {
    let messages = json!([{"role": "user", "content": text}]);
    let body = match endpoint {
        Endpoint::Chat => json!({"model": "gpt-4o-mini", "messages": messages}),
        Endpoint::Responses => json!({"model": "gpt-4o-mini", "input": text}),
        Endpoint::Messages => json!({"model": "claude-haiku-4-5", "max_tokens": 1000, "messages": messages}),
        Endpoint::Gemini | Endpoint::GeminiArray => {
            json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
        }
    };
    Call::of(endpoint, body)
}

/// The same, streamed with usage.
pub(crate) fn streamed(endpoint: Endpoint, text: &str) -> Call {
    let mut call = body(endpoint, text);
    match endpoint {
        Endpoint::Chat => {
            call["stream"] = json!(true);
            call["stream_options"] = json!({"include_usage": true});
        }
        Endpoint::Responses | Endpoint::Messages => call["stream"] = json!(true),
        Endpoint::Gemini | Endpoint::GeminiArray => call.stream = true,
    }
    call
}

/// A request as the vendor's SDK sends it.
pub(crate) fn request(call: &Call) -> Request<Bytes> {
    let request = match call.endpoint {
        Endpoint::Chat => {
            Request::post("http://openai.test/v1/chat/completions").header("authorization", "Bearer sk-1")
        }
        Endpoint::Responses => {
            Request::post("http://openai.test/v1/responses").header("authorization", "Bearer sk-1")
        }
        Endpoint::Messages => Request::post("http://anthropic.test/v1/messages")
            .header("x-api-key", "sk-ant-1")
            .header("anthropic-version", "2023-06-01"),
        Endpoint::Gemini | Endpoint::GeminiArray => {
            let model = call.body["model"].as_str().unwrap_or("gemini-2.5-flash");
            let method = match (call.stream, call.endpoint) {
                (false, _) => "generateContent",
                (true, Endpoint::GeminiArray) => "streamGenerateContent",
                (true, _) => "streamGenerateContent?alt=sse",
            };
            Request::post(format!("http://google.test/v1beta/models/{model}:{method}"))
                .header("x-goog-api-key", "AIza-1")
        }
    };
    let request = request.header("x-client-request-id", "01939d3e-0000-7000-8000-000000000001");
    request.body(Bytes::from(call.body.to_string())).expect("a request")
}

/// A whole exchange: status, headers, body; `Err` where the connection broke.
pub(crate) async fn exchange(simulator: &Simulator, call: &Call) -> Result<(u16, HeaderMap, Bytes), String> {
    send(simulator, request(call)).await
}

/// The same for any request.
pub(crate) async fn send(
    simulator: &Simulator,
    request: Request<Bytes>,
) -> Result<(u16, HeaderMap, Bytes), String> {
    let response = simulator.answer(request).await.map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    let body: AnswerBody = body;
    let bytes = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok((head.status.as_u16(), head.headers, bytes))
}

/// The JSON answer to a call.
pub(crate) async fn answer(simulator: &Simulator, call: &Call) -> (u16, Value) {
    let (status, _, bytes) = exchange(simulator, call).await.expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

/// The JSON payloads of a stream's events, without the `[DONE]` marker.
pub(crate) fn events(bytes: &[u8]) -> Vec<Value> {
    if bytes.first() == Some(&b'[') {
        return serde_json::from_slice(bytes).expect("an array");
    }
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
}
