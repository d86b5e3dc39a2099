//! Answers: what goes in, what comes out, what is lost.

use crate::support::*;

/// Runs an answer from one protocol to another.
macro_rules! golden {
    ($($name:ident: $from:ident => $to:ident, $body:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(answer_shown($from, $to, $body));
        })*
    };
}

const CALLS: &str = r#"
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}, {"type": "summary_text", "text": "Act."}], "encrypted_content": "gAAA"},
    {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "I look."}]},
    {"id": "fc_1", "type": "function_call", "status": "completed", "arguments": "{\"z\": 1.0}", "call_id": "call_1", "name": "weather"},
    {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_2", "input": "4 + 4", "name": "free"}"#;

const SOURCES: &str = r#"
    {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Wait."}]},
    {"id": "msg_2", "type": "message", "status": "completed", "role": "assistant", "phase": "final_answer", "content": [
        {"type": "output_text", "text": "See there.", "annotations": [
            {"type": "url_citation", "start_index": 0, "end_index": 3, "url": "https://example.com", "title": "Example"},
            {"type": "file_citation", "file_id": "file-1", "filename": "a.txt", "index": 4},
            {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "b", "start_index": 0, "end_index": 1}],
         "logprobs": [{"token": "See", "bytes": [83, 101, 101], "logprob": -0.25, "top_logprobs": [{"token": "See", "bytes": [83, 101, 101], "logprob": -0.25}]},
            {"token": " there.", "bytes": [32], "logprob": -1.5, "top_logprobs": []}]}]},
    {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "aGk=", "output_format": "png", "revised_prompt": "a cat"}"#;

const REFUSAL: &str = r#"
    {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}"#;

const CHAT_ANSWER: &str = r#"{
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000001, "model": "gpt-x", "system_fingerprint": "fp",
    "service_tier": "default", "choices": [
        {"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {"role": "assistant", "content": "Hi", "refusal": null,
            "reasoning_content": "Hm.", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{\"cut\":"}}]}},
        {"index": 1, "finish_reason": "stop", "logprobs": null, "message": {"role": "assistant", "content": "Ho", "refusal": null}}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 20}}
}"#;

const CHAT_CUT: &str = r#"{
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000001, "model": "gpt-x",
    "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "Half a", "refusal": null}}]
}"#;

const ANTHROPIC_ANSWER: &str = r#"{
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-x", "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "I"}, {"type": "text", "text": " look."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "text", "text": "Now:"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"z": 1.0}}],
    "stop_reason": "tool_use", "stop_sequence": null,
    "usage": {"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
        "output_tokens": 50, "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard"}
}"#;

const ANTHROPIC_STOPPED: &str = r#"{
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-x", "content": [{"type": "text", "text": "A"}],
    "stop_reason": "stop_sequence", "stop_sequence": "END", "usage": {"input_tokens": 3, "output_tokens": 1}
}"#;

golden! {
    calls_to_chat: RESPONSES => CHAT, &answer_of(CALLS);
    calls_to_anthropic: RESPONSES => ANTHROPIC, &answer_of(CALLS);
    sources_to_chat: RESPONSES => CHAT, &answer_of(SOURCES);
    sources_to_anthropic: RESPONSES => ANTHROPIC, &answer_of(SOURCES);
    refusal_to_chat: RESPONSES => CHAT, &answer_of(REFUSAL);
    refusal_to_anthropic: RESPONSES => ANTHROPIC, &answer_of(REFUSAL);
    calls_of_chat: CHAT => RESPONSES, CHAT_ANSWER;
    cut_of_chat: CHAT => RESPONSES, CHAT_CUT;
    thoughts_of_anthropic: ANTHROPIC => RESPONSES, ANTHROPIC_ANSWER;
    stop_sequence_of_anthropic: ANTHROPIC => RESPONSES, ANTHROPIC_STOPPED;
    sources_to_itself: RESPONSES => RESPONSES, &answer_of(SOURCES);
}
