//! What the cases share.

use weighbridge_protocol::json::Raw;
use weighbridge_translate::{AnswerTarget, RequestTarget, request, response};
use weighbridge_units::{Loss, Protocol};

pub(crate) const RESPONSES: Protocol = Protocol::OpenAiResponses;
pub(crate) const CHAT: Protocol = Protocol::OpenAiChat;
pub(crate) const ANTHROPIC: Protocol = Protocol::AnthropicMessages;

pub(crate) const REQUEST: RequestTarget<'_> =
    RequestTarget { max_output_default: 1000, ..RequestTarget::new("target-model") };
pub(crate) const ANSWER: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000);

/// One field per line, and one item per line in lists, so that a change shows where it is.
fn shown(body: &[u8], losses: &[Loss]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    let raw = Raw::parse(body, &Default::default()).unwrap();
    let fields = weighbridge_protocol::json::Fields::read(raw).unwrap().rest();
    let lines = fields.iter().map(|(name, value)| match value.items() {
        Ok(items) => {
            format!("{name}:{}", items.map(|item| format!("\n  {}", item.text())).collect::<String>())
        }
        Err(_) => format!("{name}: {}", value.text()),
    });
    let losses: String = losses.iter().map(|loss| format!("\n{loss} [{}]", loss.needed)).collect();
    format!("{}\n---{losses}", lines.collect::<Vec<_>>().join("\n"))
}

/// A request, translated.
pub(crate) fn request_shown(from: Protocol, to: Protocol, body: &str) -> String {
    let translated = request(from, to, body, &REQUEST).unwrap();
    shown(&translated.value, &translated.losses)
}

/// An answer, translated.
pub(crate) fn answer_shown(from: Protocol, to: Protocol, body: &str) -> String {
    let translated = response(from, to, body, &ANSWER).unwrap();
    shown(&translated.value.0, &translated.losses)
}

/// A request, translated, as JSON.
pub(crate) fn request_json(from: Protocol, to: Protocol, body: &str) -> (serde_json::Value, Vec<Loss>) {
    let translated = request(from, to, body, &REQUEST).unwrap_or_else(|error| panic!("{error}"));
    (serde_json::from_slice(&translated.value).unwrap(), translated.losses)
}

/// An answer, translated, as JSON.
pub(crate) fn answer_json(from: Protocol, to: Protocol, body: &str) -> (serde_json::Value, Vec<Loss>) {
    let translated = response(from, to, body, &ANSWER).unwrap_or_else(|error| panic!("{error}"));
    (serde_json::from_slice(&translated.value.0).unwrap(), translated.losses)
}

/// Where something was lost.
pub(crate) fn pointers(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|loss| loss.pointer.as_str()).collect()
}

/// An answer of this protocol with these items, as OpenAI sends it.
pub(crate) fn answer_of(items: &str) -> String {
    format!(
        r#"{{"id":"resp_1","object":"response","created_at":1700000001,"status":"completed","background":false,
        "completed_at":1700000002,"error":null,"frequency_penalty":0.0,"incomplete_details":null,
        "instructions":"Be brief.","max_output_tokens":64,"max_tool_calls":null,"model":"gpt-5","output":[{items}],
        "parallel_tool_calls":true,"presence_penalty":0.0,"previous_response_id":null,"prompt_cache_key":null,
        "prompt_cache_retention":"24h","reasoning":{{"effort":"low","summary":"auto","context":"current_turn"}},
        "safety_identifier":null,"service_tier":"default","store":true,"temperature":1.0,
        "text":{{"format":{{"type":"text"}},"verbosity":"medium"}},"tool_choice":"auto","tools":[{{"type":"web_search"}}],
        "tool_usage":{{"image_gen":{{"input_tokens":0,"output_tokens":0,"total_tokens":0}},"web_search":{{"num_requests":0}}}},
        "top_logprobs":0,"top_p":0.98,"truncation":"disabled","user":null,"metadata":{{"a":"b"}},
        "usage":{{"input_tokens":100,"input_tokens_details":{{"cached_tokens":60,"cache_write_tokens":10}},
        "output_tokens":50,"output_tokens_details":{{"reasoning_tokens":20}},"total_tokens":150}}}}"#
    )
}
