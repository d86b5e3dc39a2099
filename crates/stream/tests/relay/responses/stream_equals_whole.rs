//! The whole answer and the stream of Responses, for the law that they say the same.

use serde_json::{Value, json};

use crate::stream_equals_whole::{Script, Spoken, pieces};

/// The whole answer and the stream, as OpenAI sends them.
pub(crate) fn as_responses(script: &Script) -> (String, String) {
    let mut output = Vec::new();
    let mut events: Vec<Value> = Vec::new();
    for (index, part) in script.parts.iter().enumerate() {
        let id = format!("item_{index}");
        let at = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": id, "output_index": index});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let (begun, item, grown) = match part {
            Spoken::Text(text) => said(&at, &id, text, "output_text", "text", script.piece),
            Spoken::Refusal(text) => said(&at, &id, text, "refusal", "refusal", script.piece),
            Spoken::Reasoning(text) => thought(&at, &id, text, script.piece),
            Spoken::Call(call_id, name, arguments) => {
                let text = arguments.as_ref().map_or("{}".to_owned(), Value::to_string);
                let item = |status: &str, arguments: &str| json!({"id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": call_id, "name": name});
                let mut grown: Vec<Value> = pieces(&text, script.piece)
                    .into_iter()
                    .map(|piece| at("response.function_call_arguments.delta", json!({"delta": piece})))
                    .collect();
                grown.push(at("response.function_call_arguments.done", json!({"arguments": text})));
                (item("in_progress", ""), item("completed", &text), grown)
            }
        };
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
        // Some servers send nothing but the whole item.
        if script.usage_at != 2 {
            events.extend(grown);
        }
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
        output.push(item);
    }
    let (status, details) = match script.finish {
        1 => ("incomplete", json!({"reason": "max_output_tokens"})),
        2 => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    };
    let usage = json!({
        "input_tokens": 20, "input_tokens_details": {"cached_tokens": script.cached.unwrap_or(0)},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 27,
    });
    let response = |status: &str, details: &Value, output: &[Value], usage: &Value| {
        json!({
            "id": "resp_1", "object": "response", "created_at": 5, "status": status, "error": null,
            "incomplete_details": details, "instructions": null, "model": "gpt-x", "output": output,
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage, "metadata": {},
        })
    };
    let begun = response("in_progress", &Value::Null, &[], &Value::Null);
    let whole = response(status, &details, &output, &usage);
    // In one variant the last event does not repeat the items.
    let repeated = if script.usage_at == 0 { &output[..] } else { &[] };
    let last = response(status, &details, repeated, &usage);
    events.insert(0, json!({"type": "response.created", "response": begun}));
    events.insert(1, json!({"type": "response.in_progress", "response": begun}));
    events.push(json!({"type": format!("response.{status}"), "response": last}));
    let frames = events.iter_mut().enumerate().map(|(number, event)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    });
    (whole.to_string(), frames.collect())
}

type Grown = (Value, Value, Vec<Value>);

/// A message of one part: as it begins, as it ends, and how it grows.
fn said(
    at: &dyn Fn(&str, Value) -> Value,
    id: &str,
    text: &str,
    kind: &str,
    field: &str,
    piece: usize,
) -> Grown {
    let part = |text: &str| match kind {
        "refusal" => json!({"type": kind, "refusal": text}),
        _ => json!({"type": kind, "text": text, "annotations": [], "logprobs": []}),
    };
    let item = |status: &str, content: Value| json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content});
    let mut grown = vec![at("response.content_part.added", json!({"content_index": 0, "part": part("")}))];
    for piece in pieces(text, piece) {
        let more = json!({"content_index": 0, "delta": piece, "logprobs": [], "obfuscation": "x"});
        grown.push(at(&format!("response.{kind}.delta"), more));
    }
    grown
        .push(at(&format!("response.{kind}.done"), json!({"content_index": 0, field: text, "logprobs": []})));
    grown.push(at("response.content_part.done", json!({"content_index": 0, "part": part(text)})));
    (item("in_progress", json!([])), item("completed", json!([part(text)])), grown)
}

fn thought(at: &dyn Fn(&str, Value) -> Value, id: &str, text: &str, piece: usize) -> Grown {
    let begun = json!({"id": id, "type": "reasoning", "summary": []});
    let item = json!({
        "id": id, "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}],
        "encrypted_content": "gAAA",
    });
    let mut grown: Vec<Value> = pieces(text, piece)
        .into_iter()
        .map(|piece| at("response.reasoning_text.delta", json!({"content_index": 0, "delta": piece})))
        .collect();
    grown.push(at("response.reasoning_text.done", json!({"content_index": 0, "text": text})));
    (begun, item, grown)
}
