//! Each oddity of the protocol that is not about streams, by its number in protocols.md.

use serde_json::{Value, json};
use weighbridge_translate::{FinishReason, RequestTarget, answer_facts, decode_error, request, response};
use weighbridge_units::Protocol::{
    AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};
use weighbridge_units::{ErrorClass, LossKind};

use crate::support::*;

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
