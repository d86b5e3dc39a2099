//! The protocols that clients speak, a question in each, and a model at each provider.

use serde_json::{Value, json};
use weighbridge_units::Protocol;

use super::{CHAT, MESSAGES};

/// A model at each provider, and what is spoken there to a client of none of its protocols.
pub(crate) const MODELS: [(&str, Protocol); 10] = [
    ("openai/gpt-4o-mini", Protocol::OpenAiChat),
    ("openai-responses/gpt-4o-mini", Protocol::OpenAiResponses),
    ("anthropic/claude-haiku-4-5", Protocol::AnthropicMessages),
    ("gemini/gemini-2.5-flash", Protocol::GeminiGenerateContent),
    ("vertex/gemini-2.5-flash", Protocol::GeminiGenerateContent),
    ("vertex/claude-haiku-4-5@20251001", Protocol::AnthropicMessages),
    ("bedrock/amazon.nova-lite-v1:0", Protocol::BedrockConverse),
    ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", Protocol::BedrockConverse),
    ("azure/gpt-4o-mini", Protocol::OpenAiChat),
    ("azure-dated/gpt-4o-mini", Protocol::OpenAiChat),
];

/// The protocols that clients speak.
pub(crate) fn clients() -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(|protocol| protocol.is_clients())
}

/// Path and body of a question in a client's protocol.
pub(crate) fn ask(client: Protocol, model: &str, text: &str, stream: bool) -> (String, Value) {
    let messages = json!([{ "role": "user", "content": text }]);
    match client {
        Protocol::OpenAiChat => {
            (CHAT.into(), json!({ "model": model, "messages": messages, "stream": stream }))
        }
        Protocol::AnthropicMessages => (
            MESSAGES.into(),
            json!({ "model": model, "messages": messages, "stream": stream, "max_tokens": 200 }),
        ),
        Protocol::OpenAiResponses => {
            ("/v1/responses".into(), json!({ "model": model, "input": text, "stream": stream }))
        }
        Protocol::GeminiGenerateContent => {
            let call = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let contents = json!([{ "role": "user", "parts": [{ "text": text }] }]);
            (format!("/v1beta/models/{model}:{call}"), json!({ "contents": contents }))
        }
        Protocol::BedrockConverse => unreachable!("no client speaks it"),
    }
}

/// The text of a whole answer.
pub(crate) fn text_of(client: Protocol, answer: &Value) -> Option<String> {
    let text = match client {
        Protocol::OpenAiChat => &answer["choices"][0]["message"]["content"],
        Protocol::AnthropicMessages => &answer["content"][0]["text"],
        Protocol::OpenAiResponses => &answer["output"][0]["content"][0]["text"],
        _ => &answer["candidates"][0]["content"]["parts"][0]["text"],
    };
    text.as_str().map(str::to_owned)
}

/// What one event of a stream adds to the text.
fn piece_of(client: Protocol, event: &Value) -> Option<String> {
    let piece = match client {
        Protocol::OpenAiChat => &event["choices"][0]["delta"]["content"],
        Protocol::AnthropicMessages => &event["delta"]["text"],
        Protocol::OpenAiResponses if event["type"] == "response.output_text.delta" => &event["delta"],
        Protocol::OpenAiResponses => return None,
        _ => return text_of(client, event),
    };
    piece.as_str().map(str::to_owned)
}

/// The text that a stream adds up to.
pub(crate) fn streamed_text(client: Protocol, events: &str) -> String {
    let data = events.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.filter_map(|data| piece_of(client, &serde_json::from_str(data).unwrap())).collect()
}
