//! What clients bring back of other providers' turns, on its way to the provider of their own protocol.

use serde_json::{Value, json};
use weighbridge_protocol::json::Raw;

use super::*;

const GEMINI: Protocol = Protocol::GeminiGenerateContent;

/// Reasoning as a router tells it, of each of the providers that sign it or seal it.
const REASONING: [(&str, &str); 4] = [
    ("nobody", r#""reasoning_content": "Hm""#),
    (
        "OpenAI",
        r#""reasoning_details": [{"type": "reasoning.encrypted", "data": "c2VhbA==", "id": "rs_1",
            "format": "openai-responses-v1", "index": 0}]"#,
    ),
    (
        "Anthropic",
        r#""reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "c2ln",
            "format": "anthropic-claude-v1", "index": 0}]"#,
    ),
    (
        "Google",
        r#""reasoning_details": [{"type": "reasoning.encrypted", "data": "Z29vZw==", "id": "call_1",
            "format": "google-gemini-v1", "index": 0}]"#,
    ),
];

/// An answer of a router, translated for a client.
fn answer(reasoning: &str, client: Protocol) -> Value {
    let body = format!(
        r#"{{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{{
        "index": 0, "finish_reason": "tool_calls", "message": {{"role": "assistant", "content": "Look:",
        {reasoning}, "tool_calls": [
            {{"id": "call_1", "type": "function", "function": {{"name": "f", "arguments": "{{}}"}}}}]}}}}]}}"#
    );
    let target = AnswerTarget::new("made-up", 1_700_000_000);
    let translated = response(CHAT, client, &body, &target).unwrap();
    serde_json::from_slice(&translated.value.0).unwrap()
}

/// The client's next request, with the result of the call.
fn next(answer: &Value, client: Protocol) -> String {
    let body = match client {
        Protocol::OpenAiResponses => {
            let mut input = answer["output"].as_array().unwrap().clone();
            input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "1"}));
            json!({"model": "gpt-5", "input": input})
        }
        Protocol::GeminiGenerateContent => {
            let result = json!({"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "1"}}}]});
            json!({"contents": [answer["candidates"][0]["content"], result]})
        }
        _ => {
            let result = json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "1"}]});
            let own = json!({"role": "assistant", "content": answer["content"]});
            json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [own, result]})
        }
    };
    body.to_string()
}

fn parse(body: &str) -> Raw<'_> {
    Raw::parse(body, &Default::default()).unwrap()
}

/// The request with its amendments.
fn amended(client: Protocol, model: &str, body: &str) -> (Value, Vec<Loss>) {
    let amended = amend(client, parse(body), model);
    let mut value: Value = serde_json::from_str(body).unwrap();
    for amendment in amended.value {
        value[amendment.field] = serde_json::from_str(&amendment.json).unwrap();
    }
    (value, amended.losses)
}

/// Whether it holds something that only we understand.
fn is_marked(value: &Value) -> bool {
    // The mark, and the mark in base64.
    ["wb.proof", "d2IucHJv", "rs_wb_"].iter().any(|mark| value.to_string().contains(mark))
}

#[test]
fn nothing_of_ours_reaches_a_provider_and_its_own_comes_back_as_it_was() {
    for (client, model, own) in [
        (ANTHROPIC, "claude-sonnet-4-5", "Anthropic"),
        (RESPONSES, "gpt-5", "OpenAI"),
        (GEMINI, "gemini-3-pro", "Google"),
        (GEMINI, "gemini-2.5-flash", "Google"),
    ] {
        let mut shown = Vec::new();
        for (maker, reasoning) in REASONING {
            let body = next(&answer(reasoning, client), client);
            let (sent, losses) = amended(client, model, &body);
            assert!(!is_marked(&sent), "{client} from {maker}: {sent}");
            assert_eq!(amended(client, model, &sent.to_string()).0, sent);
            if maker == own {
                assert!(losses.is_empty(), "{client}: {losses:?}");
            }
            let field = ["messages", "input", "contents"].into_iter().find(|name| sent[name].is_array());
            let items: String =
                (sent[field.unwrap()].as_array().unwrap().iter()).map(|item| format!("\n  {item}")).collect();
            let losses: String = losses.iter().map(|loss| format!("\n  {loss}")).collect();
            shown.push(format!("{maker}{items}{losses}"));
        }
        insta::assert_snapshot!(format!("{client}_{model}"), shown.join("\n\n"));
    }
}

/// What OpenAI made itself is not touched, nor what only looks like ours.
#[test]
fn history_of_openai_is_left_alone() {
    for item in [
        r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}"#,
        r#"{"type":"reasoning","id":"rs_1","summary":[]}"#,
        r#"{"type":"item_reference","id":"rs_1"}"#,
        // It begins as a token of ours does, and is none.
        r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"wb.proof:s:x"}"#,
        r#"{"type":"message","id":"rs_wb_1_0","role":"user","content":"wb.proof:e:x::rs_wb_"}"#,
        r#"{"type":"reasoning","id":"rs_wbx","summary":[{"type":"summary_text","text":"wb.proof"}]}"#,
        r#"7"#,
    ] {
        let body = format!(r#"{{"model":"m","input":[{item}]}}"#);
        let amended = amend(RESPONSES, parse(&body), "gpt-5");
        assert_eq!((amended.value, amended.losses), (Vec::new(), Vec::new()), "{item}");
    }
    let body = r#"{"model":"m","input":"wb.proof rs_wb_1"}"#;
    assert_eq!(amend(RESPONSES, parse(body), "gpt-5").value, Vec::new());
}

/// A reference to reasoning that we made up leads nowhere.
#[test]
fn references_to_reasoning_of_ours_are_taken_out() {
    let body = r#"{"model":"m","input":[{"type":"item_reference","id":"rs_wb_c_0"},{"id":"rs_wb_c_1"},
        {"role":"user","content":"Hi"}]}"#;
    let (sent, losses) = amended(RESPONSES, "gpt-5", body);
    assert_eq!(sent["input"], json!([{"role":"user","content":"Hi"}]));
    let pointers: Vec<&str> = losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert_eq!(pointers, ["/input/0", "/input/1"]);
}

/// Reasoning that OpenAI encrypted, and whose id did not come along: the content names its own.
#[test]
fn an_id_of_ours_beside_openais_own_reasoning_is_taken_out() {
    let body = r#"{"model":"m","input":[{"type":"reasoning","id":"rs_wb_c_0","summary":[],"encrypted_content":"gAAA"}]}"#;
    let (sent, losses) = amended(RESPONSES, "gpt-5", body);
    assert_eq!(sent["input"], json!([{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}]));
    assert_eq!(losses, Vec::new());
}

#[test]
fn history_of_google_is_left_alone() {
    for part in [
        r#"{"text":"","thoughtSignature":"Cv+/IF=="}"#,
        r#"{"text":"d2IucHJv"}"#,
        // It begins as a token of ours does, and is none.
        r#"{"text":"","thoughtSignature":"d2IucHJvAAAA"}"#,
        r#"{"text":"","thoughtSignature":"d2IucHJvb2b/"}"#,
        r#"{"functionCall":{"name":"d2IucHJv"},"thought_signature":7}"#,
    ] {
        let body = format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
        let amended = amend(GEMINI, parse(&body), "gemini-3-pro");
        assert_eq!((amended.value, amended.losses), (Vec::new(), Vec::new()), "{part}");
    }
}
