//! Whole answers, to and from the other protocols.

use weighbridge_translate::response;
use weighbridge_units::Protocol;

use crate::support::*;

const RICH: &str = r#"{
    "output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "RXZnRg=="}},
        {"text": "It is "},
        {"citationsContent": {"content": [{"text": "no"}, {"text": "on"}], "citations": [
            {"title": "facts", "sourceContent": [{"text": "noon"}], "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 4}}},
            {"location": {"web": {"url": "https://example.com/a", "domain": "example.com"}}},
            {"source": "https://example.com/b", "title": "T", "location": {"searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}}}]}},
        {"toolUse": {"toolUseId": "tooluse_s", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "tooluse_s", "content": [{"text": "x"}], "type": "nova_grounding_result"}},
        {"toolUse": {"toolUseId": "tooluse_a-b_c", "name": "weather", "input": {"z": 1.0, "a": "\u00e9"}, "type": "tool_use"}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}},
        {"hologram": {"x": 1}}
    ]}},
    "stopReason": "tool_use",
    "usage": {"inputTokens": 10, "outputTokens": 50, "totalTokens": 150, "cacheReadInputTokens": 60, "cacheWriteInputTokens": 30,
        "cacheReadInputTokenCount": 60, "cacheWriteInputTokenCount": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}], "serverToolUsage": {}},
    "metrics": {"latencyMs": 700},
    "additionalModelResponseFields": {"stop_sequence": null},
    "trace": {"guardrail": {"modelOutput": ["x"]}},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"}
}"#;

#[test]
fn everything_to_chat() {
    insta::assert_snapshot!(answer_shown(CONVERSE, CHAT, RICH));
}

#[test]
fn everything_to_anthropic() {
    insta::assert_snapshot!(answer_shown(CONVERSE, ANTHROPIC, RICH));
}

#[test]
fn a_stop_sequence_to_anthropic() {
    insta::assert_snapshot!(answer_shown(
        CONVERSE,
        ANTHROPIC,
        r#"{"output": {"message": {"role": "assistant", "content": [{"text": "One"}]}}, "stopReason": "stop_sequence",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 1},
        "additionalModelResponseFields": {"stop_sequence": "END"}}"#
    ));
}

#[test]
fn a_guardrail_that_intervened_to_chat() {
    insta::assert_snapshot!(answer_shown(
        CONVERSE,
        CHAT,
        r#"{"output": {"message": {"role": "assistant", "content": [{"text": "Sorry, the model cannot answer this."}]}},
        "stopReason": "guardrail_intervened", "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
        "metrics": {"latencyMs": 1}, "trace": {"guardrail": {"actionReason": "blocked"}}}"#
    ));
}

#[test]
fn chat_with_calls_from_chat() {
    insta::assert_snapshot!(answer_shown(
        CHAT,
        CONVERSE,
        r#"{
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000001, "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop", "message": {"role": "assistant",
            "content": "I look.", "refusal": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"z\": 1.0}"}},
                {"id": "functions.now:1", "type": "function", "function": {"name": "now", "arguments": ""}},
                {"type": "function", "function": {"name": "now", "arguments": "{\"cut"}}
            ]}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 20}}}"#
    ));
}

#[test]
fn thinking_and_a_pause_from_anthropic() {
    insta::assert_snapshot!(answer_shown(
        ANTHROPIC,
        CONVERSE,
        r#"{
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "pause_turn", "stop_sequence": null,
        "content": [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, {"type": "text", "text": "It is noon"}],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "output_tokens": 50}}"#
    ));
}

#[test]
fn an_answer_names_the_model_that_was_asked_for() {
    for client in [CHAT, ANTHROPIC, Protocol::OpenAiResponses, Protocol::GeminiGenerateContent] {
        let translated = response(CONVERSE, client, RICH, &ANSWER).unwrap();
        let (body, facts) = translated.value;
        let name = match client {
            Protocol::GeminiGenerateContent => "modelVersion",
            _ => "model",
        };
        assert_eq!(json(&body)[name], CLAUDE, "{client}");
        // The provider told none, which is what a record says.
        assert_eq!(facts.model, None, "{client}");
    }
    let told =
        r#"{"id": "c", "model": "gpt-4o", "choices": [{"message": {"role": "assistant", "content": "Hi"}}]}"#;
    let translated = response(CHAT, ANTHROPIC, told, &ANSWER).unwrap();
    assert_eq!(json(&translated.value.0)["model"], "gpt-4o");
}
