//! Law 1: what a target cannot express is named, with a pointer to where it stands. Whatever object a
//! request or answer consists of, a field that nobody knows is reported.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use serde_json::{Value, json};
use weighbridge_translate::{AnswerTarget, LISTED_MAX, RequestTarget, request, response};
use weighbridge_units::{Loss, LossKind, Protocol};

const REQUEST: RequestTarget<'_> = RequestTarget { max_output_default: 99, ..RequestTarget::new("m") };
const ANSWER: AnswerTarget<'_> = AnswerTarget::new("id", 1_700_000_000);

/// The two protocols that say all of the documents here.
fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::AnthropicMessages => Protocol::OpenAiChat,
        _ => Protocol::AnthropicMessages,
    }
}

fn chat_request() -> Value {
    json!({
        "model": "m", "max_completion_tokens": 5, "stream": true, "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be briefer."}]},
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":{}}"}},
            ]},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
            {"role": "user", "content": "Go on"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    })
}

fn chat_answer() -> Value {
    json!({
        "id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
            "role": "assistant", "content": "Hi", "refusal": null,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }}],
        "usage": {
            "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 1},
        },
    })
}

fn anthropic_request() -> Value {
    json!({
        "model": "m", "max_tokens": 5, "metadata": {"user_id": "u"},
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            ]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {"x": {}}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
                {"type": "text", "text": "Go on"},
            ]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
    })
}

fn anthropic_answer() -> Value {
    json!({
        "id": "a", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 1, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 1},
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 0},
        },
    })
}

fn converse_request() -> Value {
    json!({
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [
                {"text": "Look"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}},
            ]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": {}}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "status": "success", "content": [{"text": "1"}, {"json": {"a": {}}}]}},
                {"text": "Go on"},
            ]},
        ],
        "inferenceConfig": {"maxTokens": 5, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "performanceConfig": {"latency": "standard"},
    })
}

fn converse_answer() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"text": "Hi"}, {"toolUse": {"toolUseId": "a", "name": "f", "input": {}, "type": "tool_use"}},
        ]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 3, "cacheReadInputTokens": 1},
    })
}

/// What is passed on as it is, so that nothing in it can be lost; and what was taken over as a whole.
const OPAQUE: [&str; 6] = ["parameters", "input", "input_schema", "arguments", "json", "performanceConfig"];

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
    assert!(places.len() > 4);
    for place in places {
        let mut changed = document.clone();
        changed.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("x_new".into(), json!(7.50));
        let losses = translate(&changed.to_string());
        let pointers: Vec<&str> = losses.iter().map(|loss| loss.pointer.as_str()).collect();
        assert_eq!(pointers, [format!("{place}/x_new")]);
    }
}

#[test]
fn an_unknown_field_anywhere_is_reported() {
    let requests = [
        (Protocol::OpenAiChat, chat_request()),
        (Protocol::AnthropicMessages, anthropic_request()),
        (Protocol::BedrockConverse, converse_request()),
    ];
    for (from, document) in requests {
        every_unknown_field_is_reported(&document, |text| {
            request(from, other(from), text, &REQUEST).unwrap().losses
        });
    }
    let answers = [
        (Protocol::OpenAiChat, chat_answer()),
        (Protocol::AnthropicMessages, anthropic_answer()),
        (Protocol::BedrockConverse, converse_answer()),
    ];
    for (from, document) in answers {
        every_unknown_field_is_reported(&document, |text| {
            response(from, other(from), text, &ANSWER).unwrap().losses
        });
    }
}

/// A document whose object at `place` has a field twice: first with a value that nobody could read there.
fn with_twin(document: &Value, place: &str, name: &str) -> String {
    let mut changed = document.clone();
    let object = changed.pointer_mut(place).unwrap().as_object_mut().unwrap();
    let twin = [("!".to_owned(), json!([[7.5]]))];
    *object = twin.into_iter().chain(std::mem::take(object)).collect();
    changed.to_string().replacen("\"!\"", &json!(name).to_string(), 1)
}

/// Of a field that is there twice the last one counts, and the other is reported, even where everything
/// else goes back to its own protocol: written beside the last it might count for the next reader.
fn of_a_field_that_is_there_twice_the_last_counts(
    document: &Value,
    is_same: bool,
    translate: impl Fn(&str) -> (Vec<u8>, Vec<Loss>),
) {
    let mut places = Vec::new();
    objects(document, "", &mut places);
    for place in places {
        // A message that has something left over is not joined with its neighbour.
        let mut changed = document.clone();
        changed.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("x_new".into(), json!(7.50));
        let (expected, _) = translate(&if is_same { document } else { &changed }.to_string());
        for name in document.pointer(&place).unwrap().as_object().unwrap().keys() {
            let text = with_twin(document, &place, name);
            let (written, losses) = translate(&text);
            assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&expected), "{text}");
            let reported: Vec<_> = losses.iter().map(|loss| (loss.kind, loss.pointer.clone())).collect();
            assert_eq!(reported, [(LossKind::Dropped, format!("{place}/{name}"))], "{text}");
        }
    }
}

#[test]
fn a_field_that_is_there_twice_counts_once() {
    for (from, document) in [
        (Protocol::OpenAiChat, chat_request()),
        (Protocol::AnthropicMessages, anthropic_request()),
        (Protocol::BedrockConverse, converse_request()),
    ] {
        for to in [from, other(from)] {
            of_a_field_that_is_there_twice_the_last_counts(&document, from == to, |text| {
                let translated = request(from, to, text, &REQUEST).unwrap();
                (translated.value, translated.losses)
            });
        }
    }
    for (from, document) in [
        (Protocol::OpenAiChat, chat_answer()),
        (Protocol::AnthropicMessages, anthropic_answer()),
        (Protocol::BedrockConverse, converse_answer()),
    ] {
        of_a_field_that_is_there_twice_the_last_counts(&document, false, |text| {
            let translated = response(from, other(from), text, &ANSWER).unwrap();
            (translated.value.0, translated.losses)
        });
    }
}

#[test]
fn what_says_nothing_is_not_reported() {
    let mut document = chat_request();
    for (name, value) in [
        ("n", json!(1)),
        ("logprobs", json!(false)),
        ("seed", Value::Null),
        ("logit_bias", json!({})),
        ("frequency_penalty", json!(0)),
        ("response_format", json!({"type": "text"})),
        ("service_tier", json!("auto")),
    ] {
        document[name] = value;
    }
    let losses = request(Protocol::OpenAiChat, Protocol::AnthropicMessages, &document.to_string(), &REQUEST)
        .unwrap()
        .losses;
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn a_document_of_nothing_but_losses_is_cut_short_and_counted() {
    let fields: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("x{n}"), json!(n))).collect();
    let mut document = chat_request();
    document.as_object_mut().unwrap().extend(fields);
    let losses = request(Protocol::OpenAiChat, Protocol::AnthropicMessages, &document.to_string(), &REQUEST)
        .unwrap()
        .losses;
    assert_eq!(losses.len(), LISTED_MAX + 1);
    let last = losses.last().unwrap();
    assert_eq!((last.kind, last.reason.as_ref()), (LossKind::Dropped, "4744 more losses are not listed"));
}

/// Anthropic refuses to force a call of a model that thinks, however its thinking is measured.
#[test]
fn a_call_is_not_forced_beside_thinking() {
    let body = r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9000,
        "reasoning_effort": "high", "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "f"}}]}"#;
    for (model, thinking) in [("claude-opus-4-8", "adaptive"), ("claude-sonnet-4-5", "enabled")] {
        let target = RequestTarget::new(model);
        let sent = request(Protocol::OpenAiChat, Protocol::AnthropicMessages, body, &target).unwrap();
        let value: Value = serde_json::from_slice(&sent.value).unwrap();
        assert_eq!(value["thinking"]["type"], thinking, "{model}");
        assert_eq!(value["tool_choice"]["type"], "auto", "{model}");
        let lowered = sent.losses.iter().filter(|loss| loss.pointer == "/tool_choice");
        assert_eq!(lowered.map(|loss| loss.kind).collect::<Vec<_>>(), [LossKind::Approximated], "{model}");
    }
}
