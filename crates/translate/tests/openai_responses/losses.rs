//! Law 1 for this protocol: a field that nobody knows is reported, wherever it stands.

use serde_json::{Value, json};
use weighbridge_translate::{request, response};
use weighbridge_units::Loss;

use crate::support::*;

fn known_request() -> Value {
    json!({
        "model": "m", "max_output_tokens": 64, "stream": true, "truncation": "disabled", "background": false,
        "stream_options": {"include_obfuscation": false}, "text": {"format": {"type": "text"}},
        "include": ["reasoning.encrypted_content"],
        "input": [
            {"role": "system", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
            ]},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []},
            ]},
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{\"x\":{}}", "status": "completed"},
            {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "1"}]},
            {"role": "user", "content": "Go on"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": null}],
        "tool_choice": {"type": "function", "name": "f"},
    })
}

fn known_answer() -> Value {
    json!({
        "id": "a", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": null,
        "incomplete_details": null, "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []},
            ]},
            {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}", "status": "completed"},
        ],
        "usage": {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 1}, "output_tokens_details": {"reasoning_tokens": 1},
        },
    })
}

/// What is passed on as it is, so that nothing in it can be lost.
const OPAQUE: [&str; 2] = ["parameters", "arguments"];

/// JSON pointers of all objects that a translator looks into.
fn objects(value: &Value, pointer: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.push(pointer.to_owned());
            for (name, value) in fields.iter().filter(|(name, _)| !OPAQUE.contains(&name.as_str())) {
                objects(value, &format!("{pointer}/{name}"), into);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| objects(item, &format!("{pointer}/{i}"), into));
        }
        _ => {}
    }
}

fn every_unknown_field_is_reported(document: &Value, translate: impl Fn(&str) -> Vec<Loss>) {
    let none = translate(&document.to_string());
    assert!(none.is_empty(), "the document itself is expressible: {none:?}");
    let mut places = Vec::new();
    objects(document, "", &mut places);
    assert!(places.len() > 5);
    for place in places {
        let mut changed = document.clone();
        changed.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("x_new".into(), json!(7.50));
        let losses = translate(&changed.to_string());
        assert_eq!(pointers(&losses), [format!("{place}/x_new")]);
    }
}

#[test]
fn an_unknown_field_anywhere_is_reported() {
    every_unknown_field_is_reported(&known_request(), |text| {
        request(RESPONSES, CHAT, text, &REQUEST).unwrap().losses
    });
    every_unknown_field_is_reported(&known_answer(), |text| {
        response(RESPONSES, CHAT, text, &ANSWER).unwrap().losses
    });
}

#[test]
fn what_an_answer_repeats_of_its_request_is_no_loss() {
    let (_, losses) = answer_json(RESPONSES, ANTHROPIC, &answer_of(""));
    assert!(losses.is_empty(), "{losses:?}");
    // Tokens that another model spent on images are billed, and nobody else can tell them.
    let text = answer_of("").replace(r#""total_tokens":0"#, r#""total_tokens":9"#);
    assert_eq!(pointers(&answer_json(RESPONSES, ANTHROPIC, &text).1), ["/tool_usage"]);
}

#[test]
fn nothing_is_lost_on_the_way_back_to_itself() {
    let (back, losses) = request_json(RESPONSES, RESPONSES, &known_request().to_string());
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(back["include"], json!(["reasoning.encrypted_content"]));
    let mut with_more = known_request();
    with_more["reasoning"] = json!({"effort": "low", "x_new": 1});
    with_more["text"]["x_new"] = json!(2);
    with_more["text"]["format"]["x_new"] = json!(3);
    with_more["tool_choice"]["x_new"] = json!(4);
    let (back, losses) = request_json(RESPONSES, RESPONSES, &with_more.to_string());
    assert!(losses.is_empty(), "{losses:?}");
    for name in ["reasoning", "text", "tool_choice", "stream_options"] {
        assert_eq!(back[name], with_more[name], "{name}");
    }
}
