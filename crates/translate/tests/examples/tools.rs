//! Tools of all kinds, choices among them, and the forms before them.

use super::*;

#[test]
fn custom_tools_become_functions_and_their_calls_come_back() {
    let request = request_shown(
        CHAT,
        r#"{"model": "m", "max_tokens": 10, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "select \"a\""}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"}],
        "tools": [
            {"type": "custom", "custom": {"name": "sql", "description": "Runs SQL.", "format":
                {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /.+/"}}}},
            {"type": "custom", "custom": {"name": "free"}}],
        "tool_choice": {"type": "custom", "custom": {"name": "sql"}}}"#,
    );
    let answer = answer_shown(
        ANTHROPIC,
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "wb_custom__sql", "input": {"input": "select 1"}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 2}}"#,
    );
    insta::assert_snapshot!(format!("{request}\n\nanswer\n{answer}"));
}

#[test]
fn functions_of_older_clients() {
    insta::assert_snapshot!(request_shown(
        CHAT,
        r#"{"model": "m", "max_tokens": 10, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\": 1}"}},
            {"role": "function", "name": "f", "content": "1"}],
        "functions": [{"name": "f", "description": "d", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"}}"#
    ));
}

/// A client that asks with `functions` is answered so.
#[test]
fn answers_to_older_clients() {
    let answer = r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 2}}"#;
    let target = AnswerTarget { legacy_functions: true, ..AnswerTarget::new("made-up", 1_700_000_000) };
    let translated = response(ANTHROPIC, CHAT, answer, &target).unwrap();
    insta::assert_snapshot!(shown(&translated.value.0, &translated.losses));
}

#[test]
fn allowed_tools_are_the_only_ones() {
    let body = |mode: &str| {
        format!(
            r#"{{"model": "m", "max_tokens": 10, "messages": [{{"role": "user", "content": "Hi"}}],
            "tools": [{{"type": "function", "function": {{"name": "a"}}}},
                {{"type": "function", "function": {{"name": "b"}}}}],
            "tool_choice": {{"type": "allowed_tools", "allowed_tools": {{"mode": "{mode}",
                "tools": [{{"type": "function", "function": {{"name": "b"}}}}]}}}}}}"#
        )
    };
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        request_shown(CHAT, &body("auto")),
        request_shown(CHAT, &body("required"))
    ));
}

#[test]
fn names_and_ids_that_anthropic_refuses() {
    let request = r#"{"model": "m", "max_tokens": 10, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "functions.find.it:0", "type": "function", "function": {"name": "find.it", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "functions.find.it:0", "content": "1"}],
        "tools": [{"type": "function", "function": {"name": "find.it", "parameters": {"type": "object"}}}]}"#;
    let written = requested(CHAT, request, &TARGET);
    // A client of Messages that sends the same is understood as the first.
    let back = requested(ANTHROPIC, &written, &TARGET);
    insta::assert_snapshot!(format!("{written}\n\n{back}"));
}

/// What a provider's own tools did is never a call for the client to make.
#[test]
fn tools_of_the_provider() {
    let request = request_shown(
        ANTHROPIC,
        r#"{"model": "m", "max_tokens": 10, "tools": [
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "bash_20250124", "name": "bash"},
            {"name": "f", "input_schema": {"type": "object"}, "defer_loading": true, "strict": true}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "text", "text": "Found."}]}, {"role": "user", "content": "Go on"}]}"#,
    );
    let answer = answer_shown(
        ANTHROPIC,
        r#"{"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "f", "server_name": "x", "input": {}},
            {"type": "text", "text": "Found."}],
        "container": {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"},
        "stop_reason": "pause_turn", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 2, "server_tool_use": {"web_search_requests": 1}}}"#,
    );
    insta::assert_snapshot!(format!("{request}\n\nanswer\n{answer}"));
}
