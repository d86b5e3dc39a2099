//! Gemini in both directions: what goes in, what comes out, what is lost.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use serde_json::{Value, json};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::{
    AnswerTarget, Dialect, FinishReason, RequestTarget, answer_facts, decode_error, request, response,
};
use weighbridge_units::Protocol::{
    self, AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};
use weighbridge_units::{Bucket, ErrorClass, Loss, LossKind, Usage};

const ANSWER: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000);

/// One field per line, and one item of a list, so that a change shows where it is.
fn shown(body: &[u8], losses: &[Loss]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    let root = Raw::parse(body, &ScanLimits::default()).unwrap();
    let mut names: Vec<(usize, String)> = serde_json::from_str::<Value>(body)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (root.get(name).unwrap().text().as_ptr().addr(), name.clone()))
        .collect();
    names.sort();
    let lines = names.iter().map(|(_, name)| {
        let value = root.get(name).unwrap();
        match value.items() {
            Ok(items) => {
                format!("{name}:{}", items.map(|item| format!("\n  {}", item.text())).collect::<String>())
            }
            Err(_) => format!("{name}: {}", value.text()),
        }
    });
    let losses: String = losses.iter().map(|loss| format!("\n{loss} [{}]", loss.needed)).collect();
    format!("{}\n---{losses}", lines.collect::<Vec<_>>().join("\n"))
}

/// A request of one protocol, as each of the others gets it.
fn requests(from: Protocol, to: &[(Protocol, &str)], body: &str) -> String {
    let one = |(to, model): &(Protocol, &str)| {
        let target = RequestTarget { max_output_default: 1000, ..RequestTarget::new(model) };
        let translated = request(from, *to, body, &target).unwrap();
        format!("== {to} {model}\n{}", shown(&translated.value, &translated.losses))
    };
    to.iter().map(one).collect::<Vec<_>>().join("\n")
}

const OTHERS: [(Protocol, &str); 2] = [(Chat, "gpt-x"), (Anthropic, "claude-x")];

fn to_gemini(from: Protocol, body: &str) -> String {
    requests(from, &[(Gemini, "gemini-3-flash-preview")], body)
}

fn answers(from: Protocol, to: &[Protocol], body: &str) -> String {
    let one = |to: &Protocol| {
        let translated = response(from, *to, body, &ANSWER).unwrap();
        format!("== {to}\n{}", shown(&translated.value.0, &translated.losses))
    };
    to.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn back(body: &str) -> String {
    let translated = request(Gemini, Gemini, body, &RequestTarget::new("gemini-3-pro")).unwrap();
    assert!(translated.losses.is_empty(), "{:?}", translated.losses);
    String::from_utf8(translated.value).unwrap()
}

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
fn gemini_answer_with_thoughts_and_usage() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic],
        r#"{"candidates": [{"content": {"role": "model", "parts": [
            {"text": "hm", "thought": true}, {"text": "Hi", "thoughtSignature": "c2lnbmVk"}, {"text": " there"}]},
            "finishReason": "STOP", "index": 0, "avgLogprobs": -0.1,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]}],
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 5, "thoughtsTokenCount": 7,
            "cachedContentTokenCount": 8, "toolUsePromptTokenCount": 3, "totalTokenCount": 35, "trafficType": "ON_DEMAND"},
        "modelVersion": "gemini-x", "responseId": "r7", "createTime": "2026-04-07T16:49:58.333958Z"}"#
    ));
}

#[test]
fn gemini_answer_with_calls() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic],
        r#"{"candidates": [{"content": {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {"a": 1.0}}, "thoughtSignature": "c2lnbmVk"},
            {"functionCall": {"name": "g", "id": "k2"}}]},
            "finishReason": "STOP", "finishMessage": "Model generated function call(s)."}]}"#
    ));
}

#[test]
fn gemini_answer_with_sources() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic, Gemini],
        r#"{"candidates": [{"content": {"role": "model", "parts": [{"text": "Über 9 Jahre. Ja."}]}, "finishReason": "STOP",
        "groundingMetadata": {"webSearchQueries": ["q"], "searchEntryPoint": {"renderedContent": "<b>"},
            "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"title": "B", "text": "b"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 14, "text": "Über 9 Jahre."},
                "groundingChunkIndices": [0, 1], "confidenceScores": [0.5]}]},
        "citationMetadata": {"citations": [{"startIndex": 15, "endIndex": 18, "uri": "https://c", "license": "mit"}]}}],
        "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 5, "totalTokenCount": 7}}"#
    ));
}

#[test]
fn gemini_answer_with_code_and_an_image() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic],
        r#"{"candidates": [{"content": {"role": "model", "parts": [
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"text": "Here:"}, {}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1295, "totalTokenCount": 1297,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]}}"#
    ));
}

#[test]
fn gemini_answer_with_several_candidates_and_probabilities() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic, Gemini],
        r#"{"candidates": [
            {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "MAX_TOKENS", "logprobsResult": {
                "chosenCandidates": [{"token": "Hi", "tokenId": 9, "logProbability": -0.50}],
                "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.50}, {"token": "Ho", "logProbability": -12.1}]}],
                "logProbabilitySum": -0.5}},
            {"content": {}, "finishReason": "RECITATION", "index": 1, "finishMessage": "It is a song."}]}"#
    ));
}

#[test]
fn gemini_answer_to_a_refused_prompt() {
    insta::assert_snapshot!(answers(
        Gemini,
        &[Chat, Anthropic, Gemini],
        r#"{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no",
            "safetyRatings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "HIGH", "blocked": true}]},
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}, "modelVersion": "gemini-x"}"#
    ));
}

#[test]
fn chat_answer_to_gemini() {
    insta::assert_snapshot!(answers(
        Chat,
        &[Gemini],
        r#"{"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-x", "system_fingerprint": "fp",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi", "refusal": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1.0}"}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
             "logprobs": null, "finish_reason": "tool_calls"},
            {"index": 1, "message": {"role": "assistant", "content": null, "refusal": "No."}, "finish_reason": "content_filter"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 4}}}"#
    ));
}

#[test]
fn anthropic_answer_to_gemini() {
    insta::assert_snapshot!(answers(
        Anthropic,
        &[Gemini],
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            {"type": "redacted_thinking", "data": "EmwK"},
            {"type": "text", "text": "Hi"},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.0}}],
        "stop_reason": "stop_sequence", "stop_sequence": "END",
        "usage": {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 9}}"#
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

/// protocols.md, section 7, trap 6; `google-ai-studio--agent-run-async-1`.
#[test]
fn trap_6_stop_with_tool_calls_and_without_ids() {
    let body = r#"{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}"#;
    assert_eq!(answer_facts(Gemini, body).unwrap().finish, Some(FinishReason::ToolCalls));
    let anthropic = response(Gemini, Anthropic, body, &ANSWER).unwrap().value.0;
    let anthropic: Value = serde_json::from_slice(&anthropic).unwrap();
    assert_eq!(anthropic["stop_reason"], "tool_use");
    assert_eq!(anthropic["content"][0]["id"], "call_made-up_0");
}

/// protocols.md, section 7, trap 8: `google-vertex--unary-failure-finish-reason-safety-no-content`.
#[test]
fn trap_8_no_candidates_no_content_no_parts() {
    for body in [
        r#"{"candidates": [{"finishReason": "SAFETY"}]}"#,
        r#"{"candidates": [{"content": {}, "finishReason": "SAFETY"}]}"#,
        r#"{"candidates": [{"content": {"role": "model"}, "finishReason": "SAFETY"}]}"#,
        r#"{"promptFeedback": {"blockReason": "SAFETY"}}"#,
        r#"{"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}}"#,
    ] {
        let (_, facts) = response(Gemini, Chat, body, &ANSWER).unwrap().value;
        assert_eq!(facts.finish, Some(FinishReason::ContentFilter), "{body}");
        assert_eq!(answer_facts(Gemini, body).unwrap(), facts);
    }
    assert!(response(Gemini, Chat, r#"{"this": [1]}"#, &ANSWER).is_err());
}

/// protocols.md, section 7, trap 13: what a part is signed with comes back on the same part.
#[test]
fn trap_13_signatures_come_back_where_they_stood() {
    for part in [
        r#"{"text":"a","thoughtSignature":"c2ln"}"#,
        r#"{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"}"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"aGk="},"thoughtSignature":"c2ln"}"#,
        r#"{"text":"","thoughtSignature":"c2ln"}"#,
        r#"{"text":"hm","thought":true,"thoughtSignature":"c2ln"}"#,
        r#"{"text":"","thought":true,"thoughtSignature":"c2ln"}"#,
        r#"{"executableCode":{"code":"1"},"thoughtSignature":"c2ln"}"#,
        r#"{"functionCall":{"name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"}"#,
    ] {
        for parts in
            [part.to_owned(), format!(r#"{part},{{"text":"b"}}"#), format!(r#"{{"text":"b"}},{part}"#)]
        {
            let body = format!(r#"{{"contents":[{{"role":"model","parts":[{parts}]}}]}}"#);
            let (there, back): (Value, Value) =
                (serde_json::from_str(&body).unwrap(), serde_json::from_str(&back(&body)).unwrap());
            assert_eq!(back, there);
        }
    }
}

/// The same through a client of another protocol, whose next turn Google must accept.
#[test]
fn trap_13_signatures_survive_a_client_that_does_not_know_them() {
    let answer = r#"{"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"name": "f", "args": {}, "id": "k1"}, "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}]}"#;
    let there = response(Gemini, Gemini, answer, &ANSWER).unwrap().value.0;
    let there: Value = serde_json::from_slice(&there).unwrap();
    assert_eq!(there["candidates"][0]["content"]["parts"][0]["thoughtSignature"], "c2ln");
    // Reasoning of another provider goes to a client of Gemini and comes back as it was.
    let claude = r#"{"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1}, "content": [
            {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]}"#;
    let there = response(Anthropic, Gemini, claude, &ANSWER).unwrap().value.0;
    let there: Value = serde_json::from_slice(&there).unwrap();
    let asked = json!({"role": "user", "parts": [{"text": "Go"}]});
    let next = json!({"contents": [asked, there["candidates"][0]["content"]]}).to_string();
    let sent = request(Gemini, Anthropic, &next, &RequestTarget::new("claude-x")).unwrap();
    let sent: Value = serde_json::from_slice(&sent.value).unwrap();
    // Anthropic demands that the user begins.
    assert_eq!(sent["messages"][0]["role"], "user");
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"})
    );
    // A model of Google's gets the thought without the proof, and may not refuse the call for lack of one.
    let sent = request(Gemini, Gemini, &next, &RequestTarget::new("gemini-3-pro")).unwrap();
    assert_eq!(sent.losses.len(), 1, "{:?}", sent.losses);
}

#[test]
fn trap_13_a_call_that_no_gemini_made_is_not_refused_for_its_signature() {
    let chat = r#"{"model": "m", "messages": [{"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]}"#;
    for (model, expected) in [("gemini-3-pro", 1), ("gemini-2.5-pro", 0)] {
        let sent = request(Chat, Gemini, chat, &RequestTarget::new(model)).unwrap();
        let sent = String::from_utf8(sent.value).unwrap();
        assert_eq!(sent.matches("skip_thought_signature_validator").count(), expected, "{sent}");
    }
}

/// protocols.md, section 7, trap 14.
#[test]
fn trap_14_server_tools_are_no_calls() {
    let body = r#"{"candidates": [{"content": {"parts": [
        {"executableCode": {"code": "1"}}, {"codeExecutionResult": {"output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "1"}}, {"toolResponse": {"id": "1"}}, {"text": "1"}]},
        "finishReason": "STOP"}]}"#;
    let translated = response(Gemini, Anthropic, body, &ANSWER).unwrap();
    let (there, facts) = translated.value;
    let there: Value = serde_json::from_slice(&there).unwrap();
    assert_eq!(there["content"], json!([{"type": "text", "text": "1"}]));
    assert_eq!(facts.finish, Some(FinishReason::Stop));
    let dropped = translated.losses.iter().filter(|loss| loss.kind == LossKind::Dropped);
    assert_eq!(dropped.count(), 4);
}

/// protocols.md, section 7, trap 19.
#[test]
fn trap_19_a_cache_by_name_is_kept_or_reported() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}],"cachedContent":"cachedContents/a"}"#;
    assert_eq!(back(body), body);
    let lost = request(Gemini, Chat, body, &RequestTarget::new("m")).unwrap().losses;
    assert_eq!(lost.iter().map(|loss| loss.pointer.as_str()).collect::<Vec<_>>(), ["/cachedContent"]);
}

/// protocols.md, section 7, trap 22; `google-vertex--google-vertex-logprobs-from-provider-details`.
#[test]
fn trap_22_probabilities_are_two_lists_side_by_side() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"finishReason":"STOP","index":0,"logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-1.50,"tokenId":7}],"topCandidates":[{"candidates":[{"token":"a","logProbability":-1.50,"tokenId":7},{"token":"b","logProbability":-2}]}]}}],"responseId":"r"}"#;
    let there = response(Gemini, Gemini, body, &ANSWER).unwrap();
    assert!(there.losses.is_empty(), "{:?}", there.losses);
    assert_eq!(String::from_utf8(there.value.0).unwrap(), body);
}

/// protocols.md, section 7, trap 24.
#[test]
fn trap_24_odd_types_in_errors_hide_no_message() {
    let error =
        decode_error(Gemini, 429, br#"{"error":{"code":"429","message":"slow","status":8,"details":"x"}}"#);
    assert_eq!((error.class, error.message.as_str(), error.status), (ErrorClass::RateLimit, "slow", 429));
}

/// protocols.md, section 3: an unknown reason keeps its name.
#[test]
fn an_unknown_finish_reason_is_kept() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"},"finishReason":"FAKE_NEW","index":0}]}"#;
    assert_eq!(answer_facts(Gemini, body).unwrap().finish, Some(FinishReason::Other("FAKE_NEW".into())));
    assert_eq!(String::from_utf8(response(Gemini, Gemini, body, &ANSWER).unwrap().value.0).unwrap(), body);
    let chat = response(Gemini, Chat, body, &ANSWER).unwrap();
    assert!(chat.losses.iter().any(|loss| loss.needed.contains("FAKE_NEW")), "{:?}", chat.losses);
}

/// protocols.md, section 2: `google-ai-studio--thinking-streaming-1`.
#[test]
fn what_usage_leaves_out_is_zero() {
    let body = r#"{"candidates":[{"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":5,"thoughtsTokenCount":9,"totalTokenCount":14}}"#;
    let usage = answer_facts(Gemini, body).unwrap().usage;
    let told = Usage::new().with(Bucket::Input, 5).with(Bucket::Output, 0).with(Bucket::Reasoning, 9);
    assert_eq!(usage, Some(told));
}

#[test]
fn searches_are_counted() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}}"#;
    assert_eq!(answer_facts(Gemini, body).unwrap().usage.unwrap().get(Bucket::WebSearch), 2);
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

#[test]
fn odd_parts_of_an_answer_do_not_spoil_it() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":7},7,{"functionCall":{}},{"text":"a","inlineData":{}},{"newKind":{}},{"text":"b"}]},"finishReason":7,"index":"x"},7],"usageMetadata":7}"#;
    let there = response(Gemini, Chat, body, &ANSWER).unwrap();
    let text: Value = serde_json::from_slice(&there.value.0).unwrap();
    assert_eq!(text["choices"][0]["message"]["content"], "b");
    assert!(there.losses.len() >= 5, "{:?}", there.losses);
}

/// Google reads two names of each field. Where both are there one counts, and the other is reported,
/// wherever the request goes: written beside the first it might count for the next reader.
#[test]
fn of_a_field_under_both_its_names_one_counts() {
    let body = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
    let plain = body(r#"{"functionCall":{"name":"f","args":{}}}"#);
    for (part, lost) in [
        (
            r#"{"functionCall":{"name":"f","args":{}},"function_call":{"args":{"a":1}}}"#,
            "/contents/0/parts/0/function_call",
        ),
        (
            r#"{"function_call":{"args":{"a":1}},"functionCall":{"name":"f","args":{}}}"#,
            "/contents/0/parts/0/function_call",
        ),
        (r#"{"functionCall":null,"function_call":{"name":"f","args":{}}}"#, ""),
        (
            r#"{"functionCall":{"args":{"a":1}},"functionCall":{"name":"f","args":{}}}"#,
            "/contents/0/parts/0/functionCall",
        ),
    ] {
        for to in Protocol::ALL {
            let sent = |body: &str| request(Gemini, to, body, &RequestTarget::new("m")).unwrap();
            let (expected, found) = (sent(&plain), sent(&body(part)));
            assert_eq!(String::from_utf8_lossy(&found.value), String::from_utf8_lossy(&expected.value));
            let pointers =
                |losses: &[Loss]| losses.iter().map(|loss| loss.pointer.clone()).collect::<Vec<_>>();
            let mut also = pointers(&expected.losses);
            also.extend((!lost.is_empty()).then(|| lost.to_owned()));
            let mut told = pointers(&found.losses);
            told.sort();
            also.sort();
            assert_eq!(told, also, "{to} {part}");
        }
    }
}

/// What a tool gave back is JSON here and text elsewhere: its very text, there and back.
#[test]
fn json_that_a_tool_gave_back_goes_through_other_protocols_as_its_text() {
    let given = r#"{"result": {"degrees": 20.50, "unit": "C"}}"#;
    let body = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hi"}}]}},{{"role":"model","parts":[{{"functionCall":{{"id":"a","name":"f","args":{{}}}}}}]}},
        {{"role":"user","parts":[{{"functionResponse":{{"id":"a","name":"f","response":{given}}}}}]}}]}}"#
    );
    fn says(body: &Value, text: &str) -> bool {
        match body {
            Value::String(said) => said == text,
            Value::Array(items) => items.iter().any(|item| says(item, text)),
            Value::Object(fields) => fields.values().any(|value| says(value, text)),
            _ => false,
        }
    }
    for other in [Chat, Anthropic, Protocol::OpenAiResponses] {
        let sent = request(Gemini, other, &body, &RequestTarget::new("m")).unwrap();
        assert!(says(&serde_json::from_slice(&sent.value).unwrap(), given), "{other}");
        let there = String::from_utf8(sent.value).unwrap();
        let back = request(other, Gemini, &there, &RequestTarget::new("m")).unwrap();
        let value: Value = serde_json::from_slice(&back.value).unwrap();
        assert_eq!(
            value["contents"][2]["parts"][0]["functionResponse"]["response"],
            json!({"output": given})
        );
        // From here on nothing changes any more.
        let back = String::from_utf8(back.value).unwrap();
        let sent = request(Gemini, other, &back, &RequestTarget::new("m")).unwrap();
        assert!(says(&serde_json::from_slice(&sent.value).unwrap(), given), "{other}");
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

/// Whatever fields a part has, under whichever of their names: what was read is written so that it is read
/// again as the same.
#[test]
fn a_part_of_any_fields_is_read_as_it_was_written() {
    const FIELDS: [&[&str]; 7] = [
        &["", r#""functionCall":null"#, r#""functionCall":{}"#, r#""functionCall":{"name":"f"}"#],
        &["", r#""function_call":null"#, r#""function_call":{}"#, r#""function_call":{"name":"g"}"#],
        &["", r#""text":null"#, r#""text":"""#, r#""text":"Hi""#],
        &["", r#""thoughtSignature":"AA==""#, r#""thoughtSignature":null,"thought_signature":"AA==""#],
        &["", r#""thought":true"#],
        &[
            "",
            r#""inlineData":null,"inline_data":{}"#,
            r#""inlineData":{"mimeType":"image/png","data":"aGk="}"#,
        ],
        &["", r#""new":1"#],
    ];
    let count: usize = FIELDS.iter().map(|values| values.len()).product();
    let mut read = 0;
    for mut number in 0..count {
        let mut fields = Vec::new();
        for values in FIELDS {
            fields.push(values[number % values.len()]);
            number /= values.len();
        }
        fields.retain(|field| !field.is_empty());
        let body = format!(r#"{{"contents":[{{"role":"model","parts":[{{{}}}]}}]}}"#, fields.join(","));
        let written = |body: &str| {
            let sent = request(Gemini, Gemini, body, &RequestTarget::new("m"));
            sent.map(|sent| String::from_utf8(sent.value).unwrap())
        };
        let Ok(first) = written(&body) else { continue };
        read += 1;
        assert_eq!(written(&first).as_deref(), Ok(first.as_str()), "{body}");
    }
    assert!(read > count / 2, "{read} of {count}");
}

/// Declarations under the other name were once a tool of Google's own, and read as functions when they came
/// back.
#[test]
fn of_functions_under_both_names_of_their_field_one_list_counts() {
    let body = r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f"}],"function_declarations":[{"description":"?"}]}]}"#;
    for to in [Gemini, Chat] {
        let sent = request(Gemini, to, body, &RequestTarget::new("m")).unwrap();
        let text = String::from_utf8(sent.value).unwrap();
        assert!(text.contains(r#""name":"f""#) && !text.contains('?'), "{text}");
        let lost: Vec<&str> = sent.losses.iter().map(|loss| loss.pointer.as_str()).collect();
        assert_eq!(lost, ["/tools/0/function_declarations"], "{to}");
        request(to, to, &text, &RequestTarget::new("m")).unwrap();
    }
}
