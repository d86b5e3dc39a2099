//! Requests: what goes in, what comes out, what is lost.

use crate::support::*;

/// Runs a request of this protocol to each other protocol, and the other way round.
macro_rules! golden {
    ($($name:ident: $from:ident => $to:ident, $body:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(request_shown($from, $to, $body));
        })*
    };
}

const PLAIN: &str = r#"{
    "model": "fast", "instructions": "Be brief.", "input": "Hi \"you\" \u00e9", "max_output_tokens": 64,
    "temperature": 0.70, "top_p": 0.9, "stream": true, "stream_options": {"include_obfuscation": false},
    "safety_identifier": "u1", "store": false, "truncation": "disabled", "include": ["reasoning.encrypted_content"],
    "text": {"format": {"type": "text"}, "verbosity": "medium"}, "metadata": {}, "service_tier": "auto"
}"#;

const TURNS: &str = r#"{
    "model": "fast", "input": [
        {"role": "system", "content": "Be brief."},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "user", "content": "What is the weather?"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Think."}], "encrypted_content": "gAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
            "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"z\": 1.0}", "status": "completed"},
        {"type": "function_call", "id": "fc_2", "call_id": "functions.now:1", "name": "now", "arguments": ""},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "function_call_output", "call_id": "functions.now:1", "output": [
            {"type": "input_text", "text": "noon"},
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "And"}, {"type": "input_text", "text": "then?"}]},
        {"role": "assistant", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "narrator", "content": "?"},
        {"type": "item_reference", "id": "msg_0"},
        {"id": "rs_0"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": true}
    ],
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": true}],
    "previous_response_id": "resp_0"
}"#;

const WISHES: &str = r#"{
    "model": "fast", "input": [], "background": false, "conversation": "conv_1", "max_tool_calls": 3,
    "prompt": {"id": "pmpt_1"}, "prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "u2",
    "user": "u1", "truncation": "auto", "service_tier": "flex", "store": true, "metadata": {"a": "b"},
    "include": ["message.output_text.logprobs", "web_search_call.action.sources"], "top_logprobs": 3,
    "reasoning": {"effort": "xhigh", "summary": "detailed", "context": "all_turns"},
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object", "properties": {"z": {"minimum": 1.50}}}, "strict": true}, "verbosity": "low"},
    "parallel_tool_calls": false,
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "free"}]},
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {"z": {"minimum": 1.50}, "a": {}}}, "strict": null, "defer_loading": true},
        {"type": "function", "name": "bare", "parameters": null, "strict": false},
        {"type": "custom", "name": "free", "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"a\""}},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "mcp", "server_label": "s", "server_url": "https://example.com"}
    ]
}"#;

const MEDIA: &str = r#"{
    "model": "fast", "input": [
        {"role": "user", "content": [
            {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "high"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_file", "file_id": "file-2"},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"type": "input_hologram", "data": "?"}
        ]},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "aGk=", "output_format": "webp"}
    ]
}"#;

const CUSTOM: &str = r#"{
    "model": "fast", "input": [
        {"role": "user", "content": "Add."},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "free", "input": "4 + 4"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "8"}
    ],
    "tools": [{"type": "custom", "name": "free", "description": "adds"}], "tool_choice": {"type": "custom", "name": "free"}
}"#;

const CHAT_TURNS: &str = r#"{
    "model": "fast", "max_completion_tokens": 60, "parallel_tool_calls": false, "stream": true,
    "stream_options": {"include_usage": true}, "user": "u1",
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "tools": [
        {"type": "function", "function": {"name": "weather", "description": "d", "strict": true, "parameters": {"type": "object", "properties": {"z": {"minimum": 1.50}, "a": {}}}}},
        {"type": "function", "function": {"name": "now"}}
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "kind."}]},
        {"role": "user", "content": [
            {"type": "text", "text": "Look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        ]},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"z\": 1.0, \"a\": 1e3}"}},
            {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}}
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}, {"type": "text", "text": "sharp"}]},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": null, "refusal": "No."}
    ]
}"#;

const CHAT_WISHES: &str = r#"{
    "model": "fast", "messages": [{"role": "user", "content": "Hi", "name": "ann"}], "n": 3, "seed": 7, "max_tokens": 5,
    "stop": ["END"], "logit_bias": {"50256": -100}, "presence_penalty": 0.5, "temperature": 1.3
}"#;

const ANTHROPIC_TURNS: &str = r#"{
    "model": "claude", "max_tokens": 1024, "temperature": 0.5, "top_k": 5, "stop_sequences": ["END"],
    "metadata": {"user_id": "u1"}, "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
    "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
    "tools": [
        {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search"}
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "I"}, {"type": "text", "text": " look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"z": 1.0}},
            {"type": "text", "text": "Wait."}
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                {"type": "text", "text": "no"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
            {"type": "text", "text": "Go on"}
        ]},
        {"role": "assistant", "content": "The answer is"}
    ]
}"#;

golden! {
    plain_to_chat: RESPONSES => CHAT, PLAIN;
    plain_to_anthropic: RESPONSES => ANTHROPIC, PLAIN;
    turns_to_chat: RESPONSES => CHAT, TURNS;
    turns_to_anthropic: RESPONSES => ANTHROPIC, TURNS;
    wishes_to_chat: RESPONSES => CHAT, WISHES;
    wishes_to_anthropic: RESPONSES => ANTHROPIC, WISHES;
    media_to_chat: RESPONSES => CHAT, MEDIA;
    media_to_anthropic: RESPONSES => ANTHROPIC, MEDIA;
    custom_tools_to_chat: RESPONSES => CHAT, CUSTOM;
    turns_of_chat: CHAT => RESPONSES, CHAT_TURNS;
    wishes_of_chat: CHAT => RESPONSES, CHAT_WISHES;
    turns_of_anthropic: ANTHROPIC => RESPONSES, ANTHROPIC_TURNS;
    turns_to_itself: RESPONSES => RESPONSES, TURNS;
    wishes_to_itself: RESPONSES => RESPONSES, WISHES;
    media_to_itself: RESPONSES => RESPONSES, MEDIA;
}
