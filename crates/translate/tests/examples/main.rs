//! Small cases of both directions: what goes in, what comes out, what is lost.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod answers;
mod dialects;
mod history;
mod media;
mod reasoning;
mod tools;
mod wishes;

use weighbridge_translate::{AnswerTarget, Dialect, RequestTarget, amend, request, response};
use weighbridge_units::{Loss, Protocol};

const CHAT: Protocol = Protocol::OpenAiChat;
const ANTHROPIC: Protocol = Protocol::AnthropicMessages;
const RESPONSES: Protocol = Protocol::OpenAiResponses;

/// One field per line, so that a change shows where it is.
fn shown(body: &[u8], losses: &[Loss]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    let lines: Vec<String> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, _)| (body.find(&format!("\"{name}\":")).unwrap(), name))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_values()
        .map(|name| {
            let raw = weighbridge_protocol::json::Raw::parse(body, &Default::default()).unwrap();
            let value = raw.get(name).unwrap();
            match value.items() {
                Ok(items) if name != "stop" => {
                    format!("{name}:{}", items.map(|item| format!("\n  {}", item.text())).collect::<String>())
                }
                _ => format!("{name}: {}", value.text()),
            }
        })
        .collect();
    let losses: String = losses.iter().map(|loss| format!("\n{loss} [{}]", loss.needed)).collect();
    format!("{}\n---{losses}", lines.join("\n"))
}

/// The other one of the two.
fn other(protocol: Protocol) -> Protocol {
    if protocol == CHAT { ANTHROPIC } else { CHAT }
}

const TARGET: RequestTarget<'_> =
    RequestTarget { max_output_default: 1000, ..RequestTarget::new("target-model") };

fn request_shown(from: Protocol, body: &str) -> String {
    request_for(from, &TARGET, body)
}

fn request_for(from: Protocol, target: &RequestTarget<'_>, body: &str) -> String {
    let translated = request(from, other(from), body, target).unwrap();
    shown(&translated.value, &translated.losses)
}

/// A request for a model, of which the name tells what it accepts.
fn for_model(model: &'static str) -> RequestTarget<'static> {
    RequestTarget { model, max_output_default: 32_000, ..TARGET }
}

/// The text of a translated request.
fn requested(from: Protocol, body: &str, target: &RequestTarget<'_>) -> String {
    String::from_utf8(request(from, other(from), body, target).unwrap().value).unwrap()
}

fn answer_shown(from: Protocol, body: &str) -> String {
    let translated = response(from, other(from), body, &AnswerTarget::new("made-up", 1_700_000_000)).unwrap();
    shown(&translated.value.0, &translated.losses)
}

/// The text of a translated answer.
fn answered(from: Protocol, body: &str) -> String {
    let target = AnswerTarget::new("made-up", 1_700_000_000);
    String::from_utf8(response(from, other(from), body, &target).unwrap().value.0).unwrap()
}

#[test]
fn chat_request_with_instructions_in_several_places() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{
        "model": "fast", "max_tokens": 50, "max_completion_tokens": 60, "temperature": 1.3, "top_p": 0.90,
        "stop": ["END", " "], "user": "u1", "safety_identifier": "u2", "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}], "name": "boss"},
            {"role": "assistant", "content": "Hello."},
            {"role": "system", "content": "Answer in French."},
            {"role": "user", "content": ""},
            {"role": "user", "content": "One\n\"two\" \u00e9"},
            {"role": "user", "content": "Three"},
            {"role": "narrator", "content": "?"}
        ]}"#
    ));
}

#[test]
fn chat_request_with_tools_and_images() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{
        "model": "fast", "max_completion_tokens": 60, "parallel_tool_calls": false, "tool_choice": "required",
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "d", "strict": true,
                "parameters": {"type": "object", "properties": {"z": {"minimum": 1.50}, "a": {}}}}},
            {"type": "function", "function": {"name": "now"}},
            {"type": "custom", "custom": {"name": "free"}}
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"z\": 1.0, \"a\": 1e3}"}},
                {"id": "functions.now:1", "type": "function", "function": {"name": "now", "arguments": ""}},
                {"id": "call_3", "type": "function", "function": {"name": "now", "arguments": "{\"cut\":"}}
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "tool", "tool_call_id": "functions.now:1", "content": [{"type": "text", "text": "noon"}]},
            {"role": "tool", "tool_call_id": "call_3", "content": ""},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": null, "refusal": "No."}
        ]}"#
    ));
}

#[test]
fn chat_request_with_much_that_only_chat_has() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{
        "model": "fast", "messages": [{"role": "user", "content": "Hi", "name": "ann"}], "n": 3, "seed": 7,
        "logprobs": true, "top_logprobs": 2, "logit_bias": {"50256": -100}, "presence_penalty": 0.5,
        "response_format": {"type": "json_object"}, "reasoning_effort": "low", "service_tier": "flex",
        "metadata": {"a": "b"}, "functions": [{"name": "f"}], "function_call": "auto",
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}, "store": true}"#
    ));
}

#[test]
fn anthropic_request_with_tools_and_results() {
    insta::assert_snapshot!(request_shown(
        ANTHROPIC,
        r#"{
        "model": "claude", "max_tokens": 100, "temperature": 0.5, "top_k": 5, "stream": true,
        "metadata": {"user_id": "u1"}, "stop_sequences": ["a", "b", "c", "d", "e"],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be kind."}],
        "tools": [
            {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}},
            {"type": "web_search_20250305", "name": "web_search"}
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "wb-functions_2enow_3a1", "name": "weather", "input": {"z": 1.0, "a": 1e3}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
                {"type": "text", "text": "Wait."}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "wb-functions_2enow_3a1", "content": "rain", "is_error": true},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": [
                    {"type": "text", "text": "a map"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
                ]},
                {"type": "text", "text": "And?"},
                {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
            ]},
            {"role": "system", "content": "Answer in French."},
            {"role": "assistant", "content": "The"}
        ], "thinking": {"type": "enabled", "budget_tokens": 2000}}"#
    ));
}

#[test]
fn what_cannot_be_said_leaves_no_empty_list_behind() {
    let shown = request_shown(
        ANTHROPIC,
        r#"{"model": "claude", "max_tokens": 9, "messages": [
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "document"}]}]},
        {"role": "user", "content": [{"type": "document"}]}]}"#,
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn anthropic_request_that_is_plain() {
    insta::assert_snapshot!(request_shown(
        ANTHROPIC,
        r#"{
        "model": "claude", "max_tokens": 100, "system": "Be brief.", "tool_choice": {"type": "tool", "name": "f"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": true}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]}]}"#
    ));
}

#[test]
fn chat_answer_with_calls() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000001, "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop", "message": {"role": "assistant",
            "content": "I look.", "refusal": null, "annotations": [], "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"z\": 1.0}"}},
                {"id": "functions.now:1", "type": "function", "function": {"name": "now", "arguments": ""}},
                {"type": "function", "function": {"name": "now", "arguments": "{\"cut"}}
            ]}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 20}}}"#
    ));
}

#[test]
fn chat_answer_with_refusal_and_a_second_candidate() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000001, "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": null, "refusal": "No."}},
            {"index": 1, "finish_reason": "length", "message": {"role": "assistant", "content": "Yes"}}
        ]}"#
    ));
}

#[test]
fn chat_answer_of_a_reasoning_model() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        r#"{
        "object": "chat.completion", "created": 1700000001, "model": "m",
        "choices": [{"index": 0, "finish_reason": "eos", "message": {"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Yes"}]}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40, "cost": 0.001}}"#
    ));
}

#[test]
fn anthropic_answer_with_calls_and_citations() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        r#"{
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {"type": "text", "text": "It is ", "citations": null},
            {"type": "text", "text": "noon", "citations": [{"type": "char_location"}]},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"z": 1.0, "a": "\u00e9"}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            {"type": "text", "text": "."}
        ],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20},
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}, "service_tier": "standard"}}"#
    ));
}

#[test]
fn anthropic_answer_that_hit_a_stop_sequence() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        r#"{
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "stop_sequence",
        "stop_sequence": "END", "content": [], "usage": {"input_tokens": 10, "output_tokens": 0, "service_tier": "batch"}}"#
    ));
}
