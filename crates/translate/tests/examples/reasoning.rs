//! Reasoning with its proofs, through a client that knows nothing of it and back to the provider.

use super::*;
use weighbridge_protocol::json::Raw;

/// Others than OpenAI take reasoning back.
const ROUTER: RequestTarget<'_> = RequestTarget { dialect: Dialect::Compatible, ..TARGET };

fn parse(text: &str) -> Raw<'_> {
    Raw::parse(text, &Default::default()).unwrap()
}

/// The next request of a client of Chat Completions that sends back what it was answered.
fn next_of_chat(answer: &str) -> String {
    let message =
        parse(answer).get("choices").unwrap().items().unwrap().next().unwrap().get("message").unwrap();
    let calls: Vec<Raw<'_>> =
        message.get("tool_calls").and_then(|calls| calls.items().ok()).into_iter().flatten().collect();
    let results: String = calls
        .iter()
        .map(|call| {
            format!(r#",{{"role":"tool","tool_call_id":{},"content":"1"}}"#, call.get("id").unwrap().text())
        })
        .collect();
    format!(
        r#"{{"model":"m","max_tokens":4000,"tools":[{{"type":"function","function":{{"name":"f"}}}}],
        "messages":[{{"role":"user","content":"Hi"}},{}{results}]}}"#,
        message.text()
    )
}

/// The next request of a client of Messages.
fn next_of_anthropic(answer: &str) -> String {
    let content = parse(answer).get("content").unwrap();
    let results: Vec<String> = content
        .items()
        .unwrap()
        .filter(|block| block.get("type").is_some_and(|kind| kind.text() == "\"tool_use\""))
        .map(|call| {
            let id = call.get("id").unwrap().text();
            format!(r#"{{"type":"tool_result","tool_use_id":{id},"content":"1"}}"#)
        })
        .collect();
    format!(
        r#"{{"model":"m","max_tokens":4000,"tools":[{{"name":"f","input_schema":{{"type":"object"}}}}],"messages":[
        {{"role":"user","content":"Hi"}},{{"role":"assistant","content":{}}},{{"role":"user","content":[{}]}}]}}"#,
        content.text(),
        results.join(",")
    )
}

/// The second message of a request.
fn second(request: &str) -> &str {
    parse(request).get("messages").unwrap().items().unwrap().nth(1).unwrap().text()
}

fn answer_of_anthropic(content: &str) -> String {
    format!(
        r#"{{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": {content},
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {{"input_tokens": 3, "output_tokens": 2}}}}"#
    )
}

/// Thinking in each of its forms comes back as it was, before the call that it led to.
#[test]
fn thinking_of_anthropic_survives_a_client_of_chat() {
    for content in [
        r#"[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"text","text":"Let me see."},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1.0}}]"#,
        r#"[{"type":"redacted_thinking","data":"cmVk"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]"#,
        r#"[{"type":"thinking","thinking":"","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"thinking","thinking":"And","signature":"bW9yZQ=="},{"type":"tool_use","id":"toolu_1","name":"f","input":{}},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]"#,
        r#"[{"type":"thinking","thinking":"One","signature":"c2ln"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}},{"type":"thinking","thinking":"Two","signature":"bW9yZQ=="},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]"#,
    ] {
        let next = next_of_chat(&answered(ANTHROPIC, &answer_of_anthropic(content)));
        let request = requested(CHAT, &next, &TARGET);
        assert_eq!(second(&request), format!(r#"{{"role":"assistant","content":{content}}}"#));
    }
}

/// So do the details of a router, through a client of Messages.
#[test]
fn details_of_chat_survive_a_client_of_anthropic() {
    for details in [
        r#"[{"type":"reasoning.encrypted","data":"c2VhbA==","id":"rs_1","format":"openai-responses-v1","index":0}]"#,
        r#"[{"type":"reasoning.summary","summary":"Sum","id":"rs_1","format":"openai-responses-v1","index":0},{"type":"reasoning.encrypted","data":"c2VhbA==","id":"rs_1","format":"openai-responses-v1","index":1}]"#,
        r#"[{"type":"reasoning.text","text":"Hm","signature":"c2ln","format":"anthropic-claude-v1","index":0}]"#,
        r#"[{"type":"reasoning.encrypted","data":"c2ln","id":"call_1","format":"google-gemini-v1","index":0}]"#,
    ] {
        let answer = format!(
            r#"{{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{{
            "index": 0, "finish_reason": "tool_calls", "message": {{"role": "assistant", "content": null,
            "reasoning_details": {details}, "tool_calls": [
                {{"id": "call_1", "type": "function", "function": {{"name": "f", "arguments": "{{}}"}}}}]}}}}]}}"#
        );
        let next = next_of_anthropic(&answered(CHAT, &answer));
        let request = requested(ANTHROPIC, &next, &ROUTER);
        let message = parse(second(&request));
        let told: serde_json::Value =
            serde_json::from_str(message.get("reasoning_details").unwrap().text()).unwrap();
        assert_eq!(told, serde_json::from_str::<serde_json::Value>(details).unwrap(), "{request}");
    }
}

/// Entries that say nothing that is understood are kept by their own protocol, and reported to others.
#[test]
fn details_of_no_known_content() {
    let details = r#"[{"type":"reasoning.text","text":"","id":"rs_1","format":"unknown","index":0},{"type":"reasoning.text","text":"","format":"unknown","index":1,"x_new":1}]"#;
    let answer = format!(
        r#"{{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{{
        "index": 0, "finish_reason": "stop", "message": {{"role": "assistant", "content": "4",
        "reasoning_details": {details}}}}}]}}"#
    );
    let to = |client| response(CHAT, client, &answer, &AnswerTarget::new("c", 1)).unwrap();
    let same = String::from_utf8(to(CHAT).value.0).unwrap();
    assert!(same.contains(details), "{same}");
    for client in [ANTHROPIC, Protocol::OpenAiResponses, Protocol::GeminiGenerateContent] {
        let losses = to(client).losses;
        assert!(losses.iter().any(|loss| loss.pointer.ends_with("/1/x_new")), "{losses:?}");
    }
}

/// Reasoning that nobody signed is shown to a client, but no provider that wants proofs is given it.
#[test]
fn reasoning_without_a_proof() {
    let answer = r#"{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "4",
        "reasoning_content": "2+2"}}]}"#;
    let shown = answered(CHAT, answer);
    let next = next_of_anthropic(&shown).replace(r#""content":[]}"#, r#""content":"And 3+3?"}"#);
    insta::assert_snapshot!(format!(
        "{}\n\nback to Chat\n{}\n\nback to OpenAI\n{}\n\nfrom Chat\n{}",
        shown,
        request_for(ANTHROPIC, &ROUTER, &next),
        request_shown(ANTHROPIC, &next),
        request_shown(
            CHAT,
            r#"{"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
            {"role": "user", "content": "And 3+3?"}]}"#
        )
    ));
}

/// After a turn that another provider answered, a request goes to Anthropic again, as it is but for
/// what Anthropic would refuse.
#[test]
fn history_of_other_providers_on_its_way_to_anthropic() {
    let answer = |reasoning: &str| {
        format!(
            r#"{{"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{{
            "index": 0, "finish_reason": "tool_calls", "message": {{"role": "assistant", "content": "Look:",
            {reasoning}, "annotations": [{{"type": "url_citation", "url_citation": {{
                "start_index": 0, "end_index": 5, "url": "https://example.com", "title": "T"}}}}],
            "tool_calls": [
                {{"id": "call_1", "type": "function", "function": {{"name": "f", "arguments": "{{}}"}}}}]}}}}]}}"#
        )
    };
    let sealed = r#""reasoning_details": [{"type": "reasoning.encrypted", "data": "c2VhbA==", "id": "rs_1",
        "format": "openai-responses-v1", "index": 0}]"#;
    let of_claude = r#""reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "c2ln",
        "id": "r_1", "format": "anthropic-claude-v1", "index": 0}]"#;
    let shown: Vec<String> = [r#""reasoning_content": "Hm""#, sealed, of_claude]
        .into_iter()
        .map(|reasoning| {
            let next = next_of_anthropic(&answered(CHAT, &answer(reasoning)));
            let thinking = r#"{"thinking":{"type":"enabled","budget_tokens":2000},"model""#;
            let next = next.replacen(r#"{"model""#, thinking, 1);
            let amended = amend(ANTHROPIC, parse(&next), "claude");
            let fields: String =
                amended.value.iter().map(|a| format!("\n  {}: {}", a.field, a.json)).collect();
            let losses: String = amended.losses.iter().map(|loss| format!("\n  {loss}")).collect();
            format!("{}{fields}{losses}", second(&next))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

/// What Anthropic made itself is not touched, nor what only looks like a mark of ours.
#[test]
fn history_of_anthropic_is_left_alone() {
    for content in [
        r#"[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"}]"#,
        r#"[{"type":"text","text":"wb.proof:s:unknown::"},{"type":"thinking","thinking":"wb.proof","signature":"c2ln"}]"#,
        r#"[{"type":"thinking","thinking":"Hm","signature":"wb.proof:s:x"}]"#,
        r#""wb.proof""#,
    ] {
        let body = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"Hi"}},
            {{"role":"assistant","content":{content}}},{{"role":"user","content":"wb.proof"}}]}}"#
        );
        let amended = amend(ANTHROPIC, parse(&body), "claude");
        assert_eq!((amended.value, amended.losses), (Vec::new(), Vec::new()), "{content}");
    }
}

/// Thinking is not asked for where the last turn's calls came without theirs: it would be refused.
#[test]
fn effort_after_calls_without_thinking() {
    insta::assert_snapshot!(request_for(
        CHAT,
        &for_model("claude-haiku-4-5"),
        r#"{"model": "m", "max_tokens": 4000, "reasoning_effort": "low", "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"}],
        "tools": [{"type": "function", "function": {"name": "f"}}]}"#
    ));
}
