//! Answers, as each of the other protocols gets them.

use serde_json::Value;
use weighbridge_translate::{FinishReason, answer_facts, response};
use weighbridge_units::Protocol::{
    AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};
use weighbridge_units::{Bucket, Usage};

use crate::support::*;

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
fn odd_parts_of_an_answer_do_not_spoil_it() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":7},7,{"functionCall":{}},{"text":"a","inlineData":{}},{"newKind":{}},{"text":"b"}]},"finishReason":7,"index":"x"},7],"usageMetadata":7}"#;
    let there = response(Gemini, Chat, body, &ANSWER).unwrap();
    let text: Value = serde_json::from_slice(&there.value.0).unwrap();
    assert_eq!(text["choices"][0]["message"]["content"], "b");
    assert!(there.losses.len() >= 5, "{:?}", there.losses);
}
