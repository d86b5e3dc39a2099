//! What a simulated provider refuses, and in which words.

use crate::support::{Call, ENDPOINTS, Endpoint, answer, body, request};
use bytes::Bytes;
use futures::executor::block_on;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_simulator::Simulator;

/// The error that a change of the smallest body meets, and its status.
fn refused(endpoint: Endpoint, change: Value) -> (u16, String) {
    let mut body = body(endpoint, "hello");
    for (field, value) in change.as_object().expect("an object") {
        match value {
            Value::String(text) if text == "(absent)" => {
                body.body.as_object_mut().expect("an object").remove(field);
            }
            value => body[field] = value.clone(),
        }
    }
    let simulator = Simulator::new(endpoint.vendor());
    let (status, answer) = block_on(answer(&simulator, &body));
    assert!(simulator.invoice().is_empty() || status == 200, "refused and billed: {body:?}");
    let message = answer["error"]["message"].as_str().or(answer["message"].as_str()).unwrap_or("(accepted)");
    let param = answer["error"]["param"].as_str().map(|param| format!(" [{param}]")).unwrap_or_default();
    (status, format!("{message}{param}"))
}

pub(crate) fn all_refused(endpoint: Endpoint, cases: &[(Value, &str)]) {
    for (change, expected) in cases {
        let (status, message) = refused(endpoint, change.clone());
        assert!(message.contains(expected), "{change}: {message}");
        assert_eq!(
            status,
            match endpoint {
                Endpoint::Responses if expected.contains("Item with id") => 404,
                Endpoint::Responses | Endpoint::Gemini | Endpoint::Converse => 400,
                _ if expected.contains("exist") || expected.starts_with("model:") => 404,
                _ => 400,
            },
            "{change}"
        );
    }
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

fn call(id: &str) -> Value {
    json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
}

#[test]
fn openai_refuses_by_schema_and_by_rule() {
    let user = json!({"role": "user", "content": "hi"});
    let image =
        |url: &str| json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]);
    all_refused(
        Endpoint::Chat,
        &[
            (json!({"messages": "(absent)"}), "Missing required parameter: 'messages'. [messages]"),
            (json!({"messages": []}), "Invalid 'messages': empty array"),
            (json!({"messages": [{"content": "x"}]}), "Missing required parameter: 'messages[0].role'"),
            (
                json!({"messages": [{"role": "robot", "content": "x"}]}),
                "Invalid value: 'robot'. Supported values are: 'developer', 'system'",
            ),
            (
                json!({"messages": [{"role": "user", "content": 5}]}),
                "Invalid type for 'messages[0].content': expected one of a string or an array, but got an integer",
            ),
            (json!({"messages": [{"role": "user", "content": [{"type": "tune"}]}]}), "Invalid value: 'tune'"),
            (json!({"model": "gpt-nine"}), "does not exist"),
            (json!({"modle": 1}), "Unknown parameter: 'modle'. [modle]"),
            (json!({"max_token": 1}), "Unknown parameter"),
            (
                json!({"temperature": "hot"}),
                "Invalid type for 'temperature': expected a decimal, but got a string instead. [temperature]",
            ),
            (json!({"temperature": 2.1}), "Expected a value <= 2, but got 2.1"),
            (json!({"top_p": -0.1}), "below minimum"),
            (json!({"n": 0}), "Invalid 'n'"),
            (json!({"max_tokens": 1, "max_completion_tokens": 1}), "at the same time"),
            (json!({"max_tokens": 100000}), "at most 16384"),
            (json!({"stream_options": {"include_usage": true}}), "only allowed when 'stream'"),
            (json!({"stream": "yes"}), "Invalid type for 'stream'"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), "maximum length 4"),
            (json!({"tool_choice": "auto"}), "only allowed when 'tools'"),
            (json!({"parallel_tool_calls": true}), "only allowed when 'tools'"),
            (json!({"tools": []}), "Invalid 'tools': empty array"),
            (json!({"tools": [tool("a b")]}), "does not match pattern"),
            (
                json!({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "b"}}}),
                "'b' not found",
            ),
            (json!({"tools": [{"type": "function", "name": "flat"}]}), "tools[0]"),
            (
                json!({"messages": [user, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}),
                "must be a response to a preceeding message",
            ),
            (json!({"messages": [user, call("c1")]}), "did not have response messages: c1"),
            (json!({"messages": [user, call("c1"), user]}), "did not have response messages: c1"),
            (json!({"messages": [user, {"role": "assistant"}]}), "expected a string, got null"),
            (json!({"messages": image("ftp://x")}), "invalid format"),
            (json!({"messages": image("data:image/png;base64,***")}), "invalid format"),
            (json!({"top_logprobs": 2}), "only allowed when 'logprobs'"),
            (json!({"metadata": {"a": "b"}}), "only allowed when 'store'"),
            (json!({"response_format": {"type": "json_object"}}), "must contain the word 'json'"),
            (json!({"reasoning_effort": "low"}), "not supported with this model"),
            (json!({"model": "gpt-5-mini", "max_tokens": 5}), "Use 'max_completion_tokens'"),
            (json!({"model": "gpt-5-mini", "temperature": 0.5}), "Only the default"),
        ],
    );
}

#[test]
fn anthropic_refuses_by_schema_and_by_rule() {
    let user = json!({"role": "user", "content": "hi"});
    let called =
        json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]});
    let result = json!({"type": "tool_result", "tool_use_id": "t1"});
    let text = json!({"type": "text", "text": "x"});
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    all_refused(
        Endpoint::Messages,
        &[
            (json!({"max_tokens": "(absent)"}), "max_tokens: Field required"),
            (json!({"max_tokens": "5"}), "max_tokens: Input should be a valid integer"),
            (json!({"max_tokens": 70000}), "max_tokens: 70000 > 64000"),
            (json!({"messages": []}), "at least one message is required"),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                "messages.0.role: Input should be 'user' or 'assistant'",
            ),
            (json!({"messages": [{"role": "system", "content": "x"}]}), "Unexpected role \"system\""),
            (
                json!({"messages": [{"role": "assistant", "content": "x"}]}),
                "first message must use the \"user\" role",
            ),
            (json!({"messages": [{"role": "user", "content": ""}]}), "non-empty content"),
            (json!({"messages": [user, {"role": "assistant", "content": "x "}]}), "trailing whitespace"),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "extra": 1}]}]}),
                "messages.0.content.0.extra: Extra inputs are not permitted",
            ),
            (json!({"model": "claude-nine"}), "model: claude-nine"),
            (json!({"n": 2}), "n: Extra inputs are not permitted"),
            (json!({"temperature": 1.5}), "temperature: Input should be less than or equal to 1"),
            (json!({"temperature": 0.5, "top_p": 0.5}), "cannot both be specified"),
            (json!({"stop_sequences": [" "]}), "non-whitespace"),
            (json!({"stop_sequences": "x"}), "stop_sequences: Input should be a valid list"),
            (json!({"tool_choice": {"type": "auto"}}), "only be specified while providing tools"),
            (json!({"tools": tools, "tool_choice": {"type": "tool", "name": "g"}}), "Tool 'g' not found"),
            (json!({"tools": [{"name": "f"}]}), "input_schema: Field required"),
            (json!({"tools": [{"name": "f", "input_schema": {}}]}), "input_schema.type: Field required"),
            (json!({"tools": [tools[0], tools[0]]}), "must be unique"),
            (
                json!({"messages": [user, called]}),
                "`tool_use` ids were found without `tool_result` blocks immediately after: t1",
            ),
            (
                json!({"messages": [user, called, {"role": "user", "content": [text, result]}]}),
                "without `tool_result` blocks immediately after",
            ),
            (json!({"messages": [{"role": "user", "content": [result]}]}), "unexpected `tool_use_id` found"),
            (json!({"thinking": {"type": "enabled", "budget_tokens": 10}}), "greater than or equal to 1024"),
            (
                json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
                "must be greater than `thinking.budget_tokens`",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "aGk="}}]}]}),
                "media_type: Input should be",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}}]}]}),
                "invalid base64",
            ),
        ],
    );
}

#[test]
fn conversations_with_tools_are_accepted() {
    let openai = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}, call("c1"),
        {"role": "tool", "tool_call_id": "c1", "content": "x"}, {"role": "user", "content": "go on"}]);
    assert_eq!(refused(Endpoint::Chat, json!({"messages": openai, "tools": [tool("f")]})).0, 200);

    let anthropic = json!([{"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
            {"type": "tool_use", "id": "t2", "name": "f", "input": {"a": [1, null]}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "x"}], "is_error": true}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}, {"type": "text", "text": "go on"}]}]);
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}, "description": "d"}]);
    assert_eq!(
        refused(Endpoint::Messages, json!({"messages": anthropic, "tools": tools})),
        (200, "(accepted)".into())
    );
}

#[test]
fn credentials_and_versions_are_checked() {
    for endpoint in [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages] {
        let simulator = Simulator::builder(endpoint.vendor()).api_key("sk-right").build();
        let status = |edit: &dyn Fn(&mut http::HeaderMap)| {
            let mut request = request(&body(endpoint, "hello"));
            edit(request.headers_mut());
            let response = block_on(simulator.answer(request)).expect("an answer");
            (response.status().as_u16(), block_on(response.into_body().collect()).expect("bytes").to_bytes())
        };
        let set = |headers: &mut http::HeaderMap, key: &str| {
            headers.insert("authorization", format!("Bearer {key}").parse().expect("a header"));
            headers.insert("x-api-key", key.parse().expect("a header"));
        };
        assert_eq!(status(&|headers| set(headers, "sk-right")).0, 200);
        assert_eq!(status(&|headers| set(headers, "sk-wrong")).0, 401);
        assert_eq!(status(&|headers| headers.clear()).0, 401);
        let bearer_only = |headers: &mut http::HeaderMap| {
            set(headers, "sk-right");
            headers.remove("x-api-key");
        };
        assert_eq!(status(&bearer_only).0, 200);
        if endpoint == Endpoint::Messages {
            let (code, body) = status(&|headers| {
                set(headers, "sk-right");
                headers.remove("anthropic-version");
            });
            assert_eq!(code, 400);
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["error"]["message"], "anthropic-version: header is required");
            assert!(body["request_id"].is_string());
        }
    }
}

#[test]
fn anthropics_version_of_october_2026_refuses_more() {
    let text = json!({"type": "text", "text": "x", "citations": [{"type": "char_location", "cited_text": "x",
        "document_index": 0, "document_title": null, "start_char_index": 0, "end_char_index": 1}]});
    let document =
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}});
    for (change, reason) in [
        (json!({"temperature": 1.0}), "temperature: Extra inputs are not permitted"),
        (json!({"top_k": 5}), "top_k: Extra inputs are not permitted"),
        (json!({"messages": [{"role": "user", "content": [text]}]}), "`citations` can only be"),
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [document]},
                {"role": "user", "content": "x"}]}),
            "`document` blocks can only be",
        ),
    ] {
        let mut body = body(Endpoint::Messages, "hello");
        change.as_object().expect("an object").iter().for_each(|(name, value)| body[name] = value.clone());
        for (version, status) in [("2023-06-01", 200), ("2026-10-21", 400)] {
            let mut request = request(&body);
            request.headers_mut().insert("anthropic-version", version.parse().expect("a header"));
            let response =
                block_on(Simulator::new(Endpoint::Messages.vendor()).answer(request)).expect("an answer");
            assert_eq!(response.status(), status, "{version} {change}");
            let bytes = block_on(response.into_body().collect()).expect("bytes").to_bytes();
            assert_eq!(String::from_utf8_lossy(&bytes).contains(reason), status == 400);
        }
    }
}

#[test]
fn nothing_that_is_sent_makes_it_panic() {
    for endpoint in ENDPOINTS {
        for bytes in
            ["", "{", "null", "[]", "\"x\"", "{}", "{\"model\":{}}", "\u{0}", "{\"messages\":[[[[]]]]}"]
        {
            let mut request = request(&Call::of(endpoint, json!({})));
            *request.body_mut() = Bytes::from(bytes);
            let response = block_on(Simulator::new(endpoint.vendor()).answer(request)).expect("an answer");
            assert_eq!(response.status(), 400, "{bytes}");
        }
        let mut bytes = request(&Call::of(endpoint, json!({})));
        *bytes.body_mut() = Bytes::from_static(&[0xff, 0xfe]);
        assert_eq!(
            block_on(Simulator::new(endpoint.vendor()).answer(bytes)).expect("an answer").status(),
            400
        );
    }
}
