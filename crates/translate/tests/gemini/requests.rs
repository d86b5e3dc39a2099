//! Requests, as each of the other protocols gets them.

use serde_json::{Value, json};
use weighbridge_translate::{Dialect, RequestTarget, request};
use weighbridge_units::Protocol::{
    AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};

use crate::support::*;

#[test]
fn gemini_request_with_all_its_wishes() {
    insta::assert_snapshot!(requests(
        Gemini,
        &OTHERS,
        r#"{
        "systemInstruction": {"parts": [{"text": "Be brief."}], "role": "system"},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.70, "topP": 0.9, "topK": 40, "seed": 7, "candidateCount": 2,
            "maxOutputTokens": 100, "stopSequences": ["END"], "presencePenalty": 0.5, "frequencyPenalty": 0,
            "responseLogprobs": true, "logprobs": 3, "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "responseModalities": ["TEXT"], "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": true}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cachedContent": "cachedContents/abc", "serviceTier": "flex", "labels": {"team": "a"}, "store": true,
        "newField": 1}"#
    ));
}

#[test]
fn gemini_request_with_tools_of_every_kind() {
    insta::assert_snapshot!(requests(
        Gemini,
        &OTHERS,
        r#"{
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [
            {"functionDeclarations": [
                {"name": "old", "description": "d", "behavior": "BLOCKING",
                 "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}},
                {"name": "new", "parametersJsonSchema": {"type": "object", "$defs": {"x": {}}, "properties": {}}}]},
            {"googleSearch": {}, "codeExecution": {}}, {"urlContext": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["old", "new"]},
            "retrievalConfig": {"languageCode": "de"}}}"#
    ));
}

#[test]
fn gemini_request_with_calls_without_ids() {
    insta::assert_snapshot!(requests(
        Gemini,
        &OTHERS,
        r#"{"contents": [
        {"role": "user", "parts": [{"text": "Compare"}]},
        {"role": "model", "parts": [
            {"text": "I look."},
            {"functionCall": {"name": "look", "args": {"at": "a"}}, "thoughtSignature": "c2lnbmVk"},
            {"functionCall": {"name": "look", "args": {"at": "b"}}},
            {"functionCall": {"name": "now", "id": "k2"}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "look", "response": {"output": "A"}}},
            {"functionResponse": {"name": "now", "response": {"output": "noon"}, "id": "k2"}},
            {"functionResponse": {"name": "look", "response": {"output": "B"}}},
            {"text": "So?"}]}],
        "tools": [{"functionDeclarations": [{"name": "look"}, {"name": "now"}]}]}"#
    ));
}

#[test]
fn gemini_request_with_results_of_every_form() {
    insta::assert_snapshot!(requests(
        Gemini,
        &OTHERS,
        r#"{"contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "1"}}, {"functionCall": {"name": "f", "id": "2"}},
            {"functionCall": {"name": "f", "id": "3"}}, {"functionCall": {"name": "f", "id": "4"}}]},
        {"role": "function", "parts": [
            {"functionResponse": {"name": "f", "id": "1", "response": {"result": {"a": [1.0]}}, "scheduling": "SILENT"}},
            {"functionResponse": {"name": "f", "id": "2", "response": {"error": "no such thing"}}},
            {"functionResponse": {"name": "f", "id": "3", "response": {"output": ["a", "b"]}}},
            {"functionResponse": {"name": "f", "id": "4", "response": {},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}}]}]}"#
    ));
}

#[test]
fn gemini_request_with_media() {
    insta::assert_snapshot!(requests(
        Gemini,
        &OTHERS,
        r#"{"contents": [{"role": "user", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": "-_8"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0=", "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/plain", "data": "w7xiZXI="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.jpg"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}, "videoMetadata": {"fps": 1}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a.mp4"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"text": "What is it?"}]}]}"#
    ));
}

#[test]
fn gemini_request_in_snake_case() {
    let snake = r#"{
        "system_instruction": {"parts": {"text": "Be brief."}},
        "contents": [{"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}]}],
        "generation_config": {"max_output_tokens": "100", "top_k": 5, "response_mime_type": "application/json",
            "response_schema": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
            "thinking_config": {"thinking_level": "low", "include_thoughts": false}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}}}"#;
    insta::assert_snapshot!(requests(Gemini, &OTHERS, snake));
    let names = back(snake);
    assert!(!names.contains('_') || !names.contains("max_output"), "{names}");
}

#[test]
fn chat_request_with_instructions_in_several_places() {
    insta::assert_snapshot!(to_gemini(
        Chat,
        r#"{"model": "m", "max_completion_tokens": 60, "temperature": 1.3, "top_p": 0.90, "stop": ["a", "b", "c", "d"],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": "One"},
            {"role": "system", "content": "Answer in French."},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": "Un"}]}"#
    ));
}

#[test]
fn chat_request_with_tools_images_and_results() {
    insta::assert_snapshot!(to_gemini(
        Chat,
        r##"{"model": "m", "parallel_tool_calls": false, "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "d", "strict": true,
                "parameters": {"type": "object", "$defs": {"c": {"type": "string"}}, "properties": {"c": {"$ref": "#/$defs/c"}}}}},
            {"type": "function", "function": {"name": "now"}},
            {"type": "custom", "custom": {"name": "free"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"c\": 1.0}"}},
                {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
                {"id": "call_3", "type": "function", "function": {"name": "now", "arguments": "{\"cut\":"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "on"}]},
            {"role": "tool", "tool_call_id": "gone", "content": ""},
            {"role": "user", "content": "And?"}]}"##
    ));
}

#[test]
fn chat_request_with_many_wishes() {
    insta::assert_snapshot!(to_gemini(
        Chat,
        r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 2, "seed": 7, "user": "u1",
        "logprobs": true, "top_logprobs": 2, "logit_bias": {"50256": -100}, "presence_penalty": 0.5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"type": "object"}}},
        "reasoning_effort": "high", "service_tier": "priority", "metadata": {"a": "b"}, "verbosity": "low",
        "stop": ["a", "b", "c", "d"], "store": true, "stream": true}"#
    ));
}

#[test]
fn anthropic_request_with_everything() {
    insta::assert_snapshot!(to_gemini(
        Anthropic,
        r#"{"model": "claude", "max_tokens": 4000, "temperature": 0.5, "top_k": 5, "metadata": {"user_id": "u1"},
        "stop_sequences": ["a"], "thinking": {"type": "enabled", "budget_tokens": 2048},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}},
                  {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look"},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.webp"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"a": 1e3}},
                {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no", "is_error": true},
                {"type": "text", "text": "So?"}]}]}"#
    ));
}

#[test]
fn vertex_takes_labels_of_its_own_kind() {
    let chat = r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}"#;
    let gemini = r#"{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "store": true, "labels": {"team": "a", "Owner": "b"}}"#;
    let target = RequestTarget { dialect: Dialect::Vertex, ..RequestTarget::new("gemini-2.5-flash") };
    for (from, body) in [(Chat, chat), (Gemini, gemini)] {
        let sent = request(from, Gemini, body, &target).unwrap();
        let sent = String::from_utf8(sent.value).unwrap();
        assert!(!sent.contains("store"), "{sent}");
        assert_eq!(sent.contains("labels"), from == Gemini);
    }
}

/// Vertex AI answers 400 to a tier in the body.
#[test]
fn vertex_is_told_no_tier_in_the_body() {
    for (tier, lost) in [("default", false), ("priority", true)] {
        let chat =
            json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "service_tier": tier});
        for (dialect, takes) in [(Dialect::Native, true), (Dialect::Vertex, false)] {
            let target = RequestTarget { dialect, ..RequestTarget::new("gemini-2.5-flash") };
            let sent = request(Chat, Gemini, &chat.to_string(), &target).unwrap();
            let body = String::from_utf8(sent.value).unwrap();
            assert_eq!(body.contains("serviceTier"), takes, "{body}");
            let is_told = sent.losses.iter().any(|loss| loss.pointer == "/service_tier");
            assert_eq!(is_told, lost && !takes, "{:?}", sent.losses);
        }
    }
}

#[test]
fn efforts_are_levels_or_budgets_by_model() {
    let thinking = |model: &str, config: &str| {
        let body = format!(r#"{{"contents":[],"generationConfig":{{"thinkingConfig":{config}}}}}"#);
        // Through Anthropic's protocol nothing is kept in a bag.
        let there = request(Gemini, Gemini, &body, &RequestTarget::new(model)).unwrap();
        let there: Value = serde_json::from_slice(&there.value).unwrap();
        there["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(thinking("gemini-3-pro", r#"{"thinkingLevel":"HIGH"}"#), json!({"thinkingLevel": "HIGH"}));
    assert_eq!(thinking("gemini-2.5-pro", r#"{"thinkingLevel":"HIGH"}"#), json!({"thinkingBudget": 24_576}));
    assert_eq!(thinking("gemini-2.5-pro", r#"{"thinkingBudget":-1}"#), json!({"thinkingBudget": -1}));
    assert_eq!(thinking("gemini-3-pro", r#"{"thinkingBudget":0}"#), json!({"thinkingBudget": 0}));
    assert_eq!(thinking("gemini-3-pro", r#"{"thinkingLevel":"NEW"}"#), json!({"thinkingLevel": "NEW"}));
}

#[test]
fn a_request_of_the_wrong_type_points_to_its_fault() {
    for (body, pointer) in [
        (r#"{"contents":7}"#, "/contents"),
        (r"{}", "/contents"),
        (r#"{"contents":[{"parts":[{"text":7}]}]}"#, "/contents/0/parts/0/text"),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"a"}}]}]}"#,
            "/contents/0/parts/0/inlineData/data",
        ),
        (r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#, "/contents/0/parts/0/functionCall/name"),
        (
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":"x"}}"#,
            "/generationConfig/maxOutputTokens",
        ),
        (
            r#"{"contents":[],"tools":[{"functionDeclarations":[{}]}]}"#,
            "/tools/0/functionDeclarations/0/name",
        ),
    ] {
        let error = request(Gemini, Chat, body, &RequestTarget::new("m")).unwrap_err();
        assert!(error.to_string().starts_with(pointer), "{error}");
    }
}

/// Neither has a place for the name that OpenAI demands of a schema.
#[test]
fn the_name_of_a_schema_is_reported() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema",
        "json_schema":{"name":"s","strict":true,"schema":{"type":"object"}}}}"#;
    for (to, model) in [(Gemini, "gemini-3-pro"), (Anthropic, "claude-opus-4-6")] {
        let lost = request(Chat, to, body, &RequestTarget::new(model)).unwrap().losses;
        let reasons: Vec<&str> = lost.iter().map(|loss| loss.reason.as_ref()).collect();
        assert_eq!(reasons, ["a schema has no name here"], "{to}");
    }
}
