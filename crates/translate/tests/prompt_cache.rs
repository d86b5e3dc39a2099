//! Where marks for the prompt cache are placed, by example.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use serde_json::{Value, json};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::conversation::CacheTtl;
use weighbridge_translate::prompt_cache::{PromptCaching, place};
use weighbridge_translate::{RequestTarget, request};
use weighbridge_units::Protocol;
use weighbridge_units::Protocol::{AnthropicMessages as Anthropic, BedrockConverse as Converse, OpenAiChat};

const SHORT: PromptCaching =
    PromptCaching { ttl: CacheTtl::FiveMinutes, minimum_tokens: 0, marks_tools: true };
const LONG: PromptCaching = PromptCaching { ttl: CacheTtl::OneHour, ..SHORT };

/// A body as it passes with its marks put in.
fn passed(protocol: Protocol, body: &str, caching: &PromptCaching) -> String {
    let root = Raw::parse(body, &ScanLimits::default()).unwrap();
    let at = |field: &str| root.get(field).unwrap().text().as_ptr().addr() - body.as_ptr().addr();
    let placed = place(protocol, &|name| root.get(name), caching);
    let mut places: Vec<(usize, &str)> =
        placed.iter().map(|one| (at(one.field) + one.at, one.text)).collect();
    places.sort_by_key(|(at, _)| *at);
    let mut out = body.to_owned();
    places.into_iter().rev().for_each(|(at, text)| out.insert_str(at, text));
    out
}

fn translated(to: Protocol, body: &Value, caching: &PromptCaching) -> Value {
    let target = RequestTarget { prompt_caching: Some(*caching), ..RequestTarget::new("claude-haiku-4-5") };
    let sent = request(OpenAiChat, to, &body.to_string(), &target).unwrap();
    serde_json::from_slice(&sent.value).unwrap()
}

#[test]
fn tools_instructions_and_the_last_two_turns_are_marked() {
    let body = r#"{"model": "m", "system": "Be brief.", "tools": [{"name": "a"}, {"name": "b", "input_schema": {} }],
        "messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"},
        {"role": "assistant", "content": [{"type": "text", "text": "4"}, {"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "5"}]}]}"#;
    let expected = r#"{"model": "m", "system": [{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}], "tools": [{"name": "a"}, {"name": "b", "input_schema": {} ,"cache_control":{"type":"ephemeral"}}],
        "messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": [{"type":"text","text":"3","cache_control":{"type":"ephemeral"}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "4"}, {"type": "tool_use", "id": "t", "name": "a", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "5","cache_control":{"type":"ephemeral"}}]}]}"#;
    assert_eq!(passed(Anthropic, body, &SHORT), expected);
    let with_hour = expected.replace(r#""ephemeral"}"#, r#""ephemeral","ttl":"1h"}"#);
    assert_eq!(passed(Anthropic, body, &LONG), with_hour);
}

#[test]
fn points_stand_behind_what_they_mark() {
    let body = json!({
        "system": [{"text": "Be brief."}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}}]},
        "messages": [{"role": "user", "content": [
            {"text": "1"}, {"document": {"format": "txt", "name": "d", "source": {"bytes": "aGk="}}}]}],
    });
    let marked: Value = serde_json::from_str(&passed(Converse, &body.to_string(), &LONG)).unwrap();
    let point = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    assert_eq!(marked["system"][1], point);
    assert_eq!(marked["toolConfig"]["tools"][1], point);
    // Not behind the document.
    assert_eq!(marked["messages"][0]["content"][1], point);
    let nova = PromptCaching { marks_tools: false, ..SHORT };
    let marked: Value = serde_json::from_str(&passed(Converse, &body.to_string(), &nova)).unwrap();
    assert_eq!(marked["toolConfig"], body["toolConfig"]);
    assert_eq!(marked["system"][1], json!({"cachePoint": {"type": "default"}}));
}

#[test]
fn what_was_translated_is_marked_as_it_is_sent() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1"}, {"role": "user", "content": "2"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": [
            {"type": "text", "text": "4"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
    ]});
    let mark = json!({"type": "ephemeral"});
    let sent = translated(Anthropic, &body, &SHORT);
    assert_eq!(sent["system"], json!([{"type": "text", "text": "Be brief.", "cache_control": mark}]));
    assert_eq!(sent["messages"][0]["content"], "1");
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "2", "cache_control": mark}]));
    assert_eq!(sent["messages"][3]["content"][0], json!({"type": "text", "text": "4"}));
    assert_eq!(sent["messages"][3]["content"][1]["cache_control"], mark);
    let sent = translated(Converse, &body, &SHORT);
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(sent["system"], json!([{"text": "Be brief."}, point]));
    assert_eq!(sent["messages"][0]["content"], json!([{"text": "1"}, {"text": "2"}, point]));
    assert_eq!(sent["messages"][2]["content"][2], point);
}

#[test]
fn a_single_question_is_marked_up_to_the_instructions_only() {
    let body = json!({"system": "Be brief.", "messages": [{"role": "user", "content": "1"}]});
    let marked: Value = serde_json::from_str(&passed(Anthropic, &body.to_string(), &SHORT)).unwrap();
    assert!(marked["system"].is_array());
    assert_eq!(marked["messages"], body["messages"]);
    for plain in [
        r#"{"messages": [{"role": "user", "content": "1"}]}"#,
        r#"{"system": " ", "messages": [{"role": "user", "content": "1"}]}"#,
    ] {
        assert_eq!(passed(Anthropic, plain, &SHORT), plain);
    }
}

#[test]
fn a_request_with_a_mark_of_the_clients_is_left_as_it_is() {
    let mark = json!({"type": "ephemeral"});
    let text = |cache: &Value| json!({"type": "text", "text": "x", "cache_control": cache});
    let turns = |content: Value| {
        json!({"system": "s", "messages": [
            {"role": "user", "content": content}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]})
    };
    let with = |field: &str, value: Value| {
        let mut body = turns(json!("x"));
        body[field] = value;
        body
    };
    let tool = json!({"name": "t", "input_schema": {}, "cache_control": mark});
    let search = json!({"type": "web_search_20250305", "name": "web_search", "cache_control": mark});
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [text(&mark)]});
    for body in [
        with("cache_control", mark.clone()),
        with("tools", json!([tool])),
        with("tools", json!([search])),
        with("system", json!([text(&mark)])),
        turns(json!([text(&mark)])),
        turns(json!([text(&json!({"type": "eternal"}))])),
        turns(json!([result])),
        turns(json!([{"type": "new_kind", "cache_control": mark}])),
    ] {
        let body = body.to_string();
        assert_eq!(passed(Anthropic, &body, &SHORT), body);
    }
    // What says that it is none is none, and is not made one.
    let none = turns(json!([text(&Value::Null)])).to_string();
    let marked = passed(Anthropic, &none, &SHORT);
    assert_eq!((marked.matches("null").count(), marked.matches("ephemeral").count()), (1, 2));
    // A word in a text is no mark.
    let spoken = turns(json!("\"cache_control\"")).to_string();
    assert_ne!(passed(Anthropic, &spoken, &SHORT), spoken);
    for body in [
        json!({"system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]}),
        json!({"system": [{"text": "s"}, {"cachePoint": {"type": "newer", "x": 1}}]}),
        json!({"system": [{"text": "s"}], "toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}}),
    ] {
        let body = body.to_string();
        assert_eq!(passed(Converse, &body, &SHORT), body);
    }
}

#[test]
fn what_may_not_be_marked_is_not() {
    let body = json!({
        "tools": [{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}, "defer_loading": true},
            {"type": "bash_20250124", "name": "bash"}],
        "system": [{"type": "text", "text": "s"}, {"type": "text", "text": " \n"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "2"}]},
            {"role": "user", "content": [{"type": "new_kind"}]},
            {"role": "assistant", "content": "3"}],
    });
    let marked: Value = serde_json::from_str(&passed(Anthropic, &body.to_string(), &SHORT)).unwrap();
    let marks = |list: &Value| -> Vec<bool> {
        list.as_array().unwrap().iter().map(|block| block["cache_control"].is_object()).collect()
    };
    assert_eq!(marks(&marked["tools"]), [true, false, false]);
    assert_eq!(marks(&marked["system"]), [true, false]);
    assert_eq!(marks(&marked["messages"][0]["content"]), [true, false]);
    assert_eq!(marks(&marked["messages"][1]["content"]), [false, false]);
    assert_eq!(marks(&marked["messages"][2]["content"]), [false]);
    assert_eq!(marked["messages"][3], body["messages"][3]);
}

#[test]
fn what_is_too_short_is_not_marked() {
    let words = |count: usize| "word ".repeat(count);
    let body = json!({"tools": [{"name": "t", "description": words(100), "input_schema": {}}], "system": words(500),
        "messages": [{"role": "user", "content": words(400)}]});
    let minimum = |minimum_tokens| {
        let caching = PromptCaching { minimum_tokens, ..SHORT };
        passed(Anthropic, &body.to_string(), &caching).matches("cache_control").count()
    };
    // 500, 2,500 and 2,000 bytes.
    assert_eq!([minimum(100), minimum(200), minimum(1_024), minimum(2_048)], [3, 2, 1, 0]);
    let picture = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
    let seen = json!({"system": "s", "messages": [{"role": "user", "content": [picture]},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]});
    let marked = passed(Anthropic, &seen.to_string(), &PromptCaching { minimum_tokens: 4_096, ..SHORT });
    assert_eq!(marked.matches("cache_control").count(), 2, "{marked}");
}

#[test]
fn what_cannot_be_read_passes_as_it_came() {
    for body in [
        r#"{}"#,
        r#"{"system": 1, "messages": []}"#,
        r#"{"system": "s", "messages": {"role": "user"}}"#,
        r#"{"system": "s", "messages": [{"role": "user"}]}"#,
        r#"{"system": "s", "tools": [1], "messages": []}"#,
        r#"{"system": "", "tools": null, "messages": null}"#,
    ] {
        assert_eq!(passed(Anthropic, body, &SHORT), body);
    }
}
