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
    Converse,
}

pub(crate) const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::Gemini,
    Endpoint::GeminiArray,
    Endpoint::Converse,
];

impl Endpoint {
    pub(crate) const fn vendor(self) -> Vendor {
        match self {
            Self::Chat | Self::Responses => Vendor::OpenAi,
            Self::Messages => Vendor::Anthropic,
            Self::Gemini | Self::GeminiArray => Vendor::Google,
            Self::Converse => Vendor::Aws,
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
        Endpoint::Converse => json!({"messages": [{"role": "user", "content": [{"text": text}]}]}),
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
        Endpoint::Gemini | Endpoint::GeminiArray | Endpoint::Converse => call.stream = true,
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
        Endpoint::Converse => {
            let operation = if call.stream { "converse-stream" } else { "converse" };
            let model = "global.anthropic.claude-haiku-4-5-20251001-v1%3A0";
            Request::post(format!("http://bedrock.test/model/{model}/{operation}"))
                .header("authorization", "Bearer absk-1")
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

/// The JSON payloads of a stream's events, without the `[DONE]` marker; those of binary frames with the
/// event's name as `type`.
pub(crate) fn events(bytes: &[u8]) -> Vec<Value> {
    if bytes.first() == Some(&0) {
        let payload = |(name, payload): (String, Vec<u8>)| {
            let mut payload: Value = serde_json::from_slice(&payload).expect("JSON");
            payload["type"] = json!(name);
            payload
        };
        return binary_frames(bytes).into_iter().map(payload).collect();
    }
    if bytes.first() == Some(&b'[') {
        return serde_json::from_slice(bytes).expect("an array");
    }
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// Names and payloads of binary frames, checksums checked.
pub(crate) fn binary_frames(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, rest) = bytes.split_at(number(bytes) as usize);
        bytes = rest;
        let headers_end = 12 + number(&frame[4..]) as usize;
        let payload_end = frame.len() - 4;
        assert_eq!(number(&frame[8..]), checksum(&frame[..8]));
        assert_eq!(number(&frame[payload_end..]), checksum(&frame[..payload_end]));
        let mut headers = &frame[12..headers_end];
        let mut name = String::new();
        while !headers.is_empty() {
            let (header, rest) = headers[1..].split_at(headers[0] as usize);
            assert_eq!(rest[0], 7, "a text");
            let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
            let value = &rest[3..3 + length];
            if header.ends_with(b"event-type") || header.ends_with(b"exception-type") {
                name = String::from_utf8(value.to_vec()).expect("UTF-8");
            }
            headers = &rest[3 + length..];
        }
        frames.push((name, frame[headers_end..payload_end].to_vec()));
    }
    frames
}

/// CRC-32 by a table, unlike the simulator's.
fn checksum(bytes: &[u8]) -> u32 {
    let entry = |mut value: u32| {
        for _ in 0..8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
        }
        value
    };
    let table: Vec<u32> = (0..256).map(entry).collect();
    !bytes.iter().fold(!0, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}
