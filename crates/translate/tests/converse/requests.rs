//! Requests, to and from the other protocols.

use crate::support::*;

#[test]
fn chat_with_instructions_in_several_places() {
    let body = r#"{
        "model": "fast", "max_completion_tokens": 60, "temperature": 1.3, "top_p": 0.90,
        "stop": ["END", " "], "user": "u1", "stream": true,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}], "name": "boss"},
            {"role": "user", "content": "One\n\"two\" \u00e9"},
            {"role": "user", "content": "Three"},
            {"role": "system", "content": "Answer in French."},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": "Oui."},
            {"role": "narrator", "content": "?"},
            {"role": "user", "content": "Four"}
        ]}"#;
    insta::assert_snapshot!("chat_with_late_instructions_to_claude", request_to(CLAUDE, CHAT, body));
    // The newest models take instructions where they stand.
    insta::assert_snapshot!(
        "chat_with_late_instructions_to_claude_4_8",
        request_to("us.anthropic.claude-opus-4-8", CHAT, body)
    );
}

#[test]
fn chat_with_tools_and_images() {
    insta::assert_snapshot!(request_to(
        CLAUDE,
        CHAT,
        r#"{
        "model": "fast", "max_completion_tokens": 60, "parallel_tool_calls": false, "tool_choice": "required",
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "d", "strict": true,
                "parameters": {"type": "object", "properties": {"z": {"minimum": 1.50}, "a": {}}}}},
            {"type": "function", "function": {"name": "now", "strict": false}},
            {"type": "custom", "custom": {"name": "free"}}
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
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
fn chat_with_calls_of_tools_that_are_not_declared() {
    insta::assert_snapshot!(request_to(
        NOVA,
        CHAT,
        r#"{
        "model": "fast", "tool_choice": "none", "n": 2,
        "messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "mcp.search", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "user", "content": "Sum up"}
        ]}"#
    ));
}

#[test]
fn chat_that_forbids_tools() {
    let body = |history: &str| {
        format!(
            r#"{{"model": "fast", "tool_choice": "none", "parallel_tool_calls": true,
            "tools": [{{"type": "function", "function": {{"name": "f", "parameters": {{"type": "object"}}}}}}],
            "messages": [{{"role": "user", "content": "Hi"}}{history}]}}"#
        )
    };
    insta::assert_snapshot!("chat_that_forbids_tools", request_to(NOVA, CHAT, &body("")));
    let history = r#", {"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}"#;
    insta::assert_snapshot!("chat_that_forbids_tools_it_called", request_to(NOVA, CHAT, &body(history)));
}

#[test]
fn anthropic_with_tools_and_results() {
    insta::assert_snapshot!(request_to(
        CLAUDE,
        ANTHROPIC,
        r#"{
        "model": "claude", "max_tokens": 100, "temperature": 0.5, "stream": true, "stop_sequences": ["a", "b"],
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "tools": [
            {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}},
            {"type": "web_search_20250305", "name": "web_search"}
        ],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "wb-functions_2enow_3a1", "name": "weather", "input": {"z": 1.0, "a": 1e3}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "wb-functions_2enow_3a1", "content": "rain", "is_error": true},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": [
                    {"type": "text", "text": "a map"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "aGk="}}
                ]},
                {"type": "text", "text": "And?"}
            ]},
            {"role": "assistant", "content": "The"}
        ]}"#
    ));
}

/// Everything that a request of this protocol can have.
const RICH: &str = r#"{
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"guardContent": {"text": {"text": "Be safe.", "qualifiers": ["guard_content"]}}}],
    "messages": [
        {"role": "user", "content": [
            {"text": "Look"},
            {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}},
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png", "bucketOwner": "111122223333"}}}},
            {"document": {"format": "pdf", "name": "Report", "source": {"bytes": "aGk="}, "context": "c", "citations": {"enabled": true}}},
            {"document": {"format": "txt", "name": "Notes", "source": {"bytes": "aGVsbG8="}}},
            {"video": {"format": "three_gp", "source": {"bytes": "aGk="}}},
            {"audio": {"format": "mp3", "source": {"bytes": "aGk="}}},
            {"cachePoint": {"type": "default"}}
        ]},
        {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "RXZnRg=="}},
            {"citationsContent": {"content": [{"text": "It is noon"}], "citations": [
                {"title": "t", "sourceContent": [{"text": "noon"}], "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}]}},
            {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"z": 1.0, "a": 1e3}}},
            {"toolUse": {"toolUseId": "tooluse_2", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
        ]},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": "tooluse_1", "status": "error", "content": [
                {"text": "rain"}, {"json": {"mm": 1.50}},
                {"searchResult": {"source": "https://example.com", "title": "T", "content": [{"text": "found"}]}}]}},
            {"text": "And?"}
        ]}
    ],
    "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "weather", "description": "d", "strict": true, "inputSchema": {"json": {"type": "object"}}}},
            {"cachePoint": {"type": "default", "ttl": "5m"}}, {"systemTool": {"name": "nova_grounding"}}],
        "toolChoice": {"any": {}}},
    "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "schema": "{\"type\":\"object\"}"}}}, "effort": "high"},
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "seed": 7},
    "additionalModelResponseFieldPaths": ["/usage"],
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "promptVariables": {"a": {"text": "b"}},
    "requestMetadata": {"team": "a"},
    "performanceConfig": {"latency": "optimized"},
    "serviceTier": {"type": "flex"}
}"#;

#[test]
fn everything_to_chat() {
    insta::assert_snapshot!(request_from(CHAT, RICH));
}

#[test]
fn everything_to_anthropic() {
    insta::assert_snapshot!(request_from(ANTHROPIC, RICH));
}

#[test]
fn everything_comes_back_as_it_was() {
    let (body, losses) = {
        let mut losses = weighbridge_translate::Losses::new(CONVERSE, CONVERSE);
        let adapter = weighbridge_translate::adapter(CONVERSE);
        let conversation = adapter.decode_request(raw(RICH)).unwrap();
        let target = weighbridge_translate::RequestTarget::new(CLAUDE);
        (adapter.encode_request(&conversation, &target, &mut losses), losses.into_list(RICH))
    };
    assert_eq!(losses, []);
    assert_eq!(json(&body), json(RICH.as_bytes()));
}

#[test]
fn what_the_application_found_is_a_document_that_lacks_its_source() {
    let body = r#"{"messages": [{"role": "user", "content": [{"searchResult": {
        "source": "https://example.com", "title": "T", "content": [{"text": "found"}],
        "citations": {"enabled": true}}}]}]}"#;
    insta::assert_snapshot!(request_from(ANTHROPIC, body), @r#"
    model: "target-model"
    max_tokens: 1000
    messages:
      {"role":"user","content":[{"type":"document","source":{"type":"content","content":"found"},"title":"T","citations":{"enabled":true}}]}
    ---
    defaulted (document): anthropic-messages demands an output cap, and the request has none [a request without an output cap]
    dropped /messages/0/content/0/searchResult/source: the field `searchResult/source` is not carried over to anthropic-messages [a counterpart of `searchResult/source`]
    "#);
}

/// Gemini CLI sets both.
#[test]
fn claude_takes_a_temperature_or_a_top_p() {
    let body = r#"{"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0.5, "topP": 0.9}}"#;
    let to = |model| request_to(model, weighbridge_units::Protocol::GeminiGenerateContent, body);
    for model in
        ["global.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-opus-4-1-20250805-v1:0"]
    {
        let shown = to(model);
        assert!(!shown.contains("\"topP\":0.9") && shown.contains("not both"), "{shown}");
    }
    for model in ["amazon.nova-lite-v1:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"] {
        let shown = to(model);
        assert!(shown.contains("topP") && !shown.contains("not both"), "{shown}");
    }
}
