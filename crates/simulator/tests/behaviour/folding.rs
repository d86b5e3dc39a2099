//! Rebuilds whole answers from streams.

use serde_json::{Value, json};

use crate::support::{Endpoint, events};

/// Rebuilds a whole answer's message, finish reason and usage from a stream.
pub(crate) fn folded(endpoint: Endpoint, bytes: &[u8]) -> Value {
    match endpoint {
        Endpoint::Chat => folded_chat(&events(bytes)),
        Endpoint::Responses => folded_response(&events(bytes)),
        Endpoint::Messages => folded_message(&events(bytes)),
        Endpoint::Gemini | Endpoint::GeminiArray => folded_content(&events(bytes)),
        Endpoint::Converse => folded_converse(&events(bytes)),
    }
}

fn folded_chat(chunks: &[Value]) -> Value {
    let mut choices: Vec<Value> = Vec::new();
    let mut usage = Value::Null;
    for chunk in chunks {
        if !chunk["usage"].is_null() {
            usage = chunk["usage"].clone();
        }
        for choice in chunk["choices"].as_array().expect("choices") {
            let index = choice["index"].as_u64().expect("index") as usize;
            while choices.len() <= index {
                choices.push(json!({"content": null, "refusal": null, "calls": []}));
            }
            let state = &mut choices[index];
            let delta = &choice["delta"];
            for field in ["content", "refusal"] {
                if let Some(text) = delta[field].as_str() {
                    state[field] = json!(state[field].as_str().unwrap_or_default().to_owned() + text);
                }
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let calls = state["calls"].as_array_mut().expect("calls");
                match calls.get_mut(call["index"].as_u64().expect("index") as usize) {
                    None => calls
                        .push(json!({"id": call["id"], "name": call["function"]["name"], "arguments": ""})),
                    Some(known) => {
                        let more = call["function"]["arguments"].as_str().expect("arguments");
                        known["arguments"] =
                            json!(known["arguments"].as_str().expect("text").to_owned() + more);
                    }
                }
            }
            if !choice["finish_reason"].is_null() {
                state["finish"] = choice["finish_reason"].clone();
            }
        }
    }
    json!({"choices": choices, "usage": usage})
}

fn folded_message(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    for event in events {
        let index = event["index"].as_u64().unwrap_or(0) as usize;
        match event["type"].as_str().expect("type") {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                message["content"].as_array_mut().expect("content").push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = &mut message["content"][index];
                for field in ["text", "thinking", "signature"] {
                    if let Some(text) = delta[field].as_str() {
                        block[field] = json!(block[field].as_str().expect("text").to_owned() + text);
                    }
                }
                inputs[index].push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            "content_block_stop" if !inputs[index].is_empty() => {
                message["content"][index]["input"] = serde_json::from_str(&inputs[index]).expect("JSON");
            }
            "message_delta" => {
                for field in ["stop_reason", "stop_sequence"] {
                    message[field] = event["delta"][field].clone();
                }
                for (field, value) in event["usage"].as_object().expect("usage") {
                    message["usage"][field] = value.clone();
                }
            }
            _ => {}
        }
    }
    message
}

/// Rebuilds the response from its items' events alone, and checks their grammar on the way.
fn folded_response(events: &[Value]) -> Value {
    let mut output: Vec<Value> = Vec::new();
    // What is open: the item, and inside of it a part.
    let (mut item_open, mut part_open) = (false, false);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let kind = event["type"].as_str().expect("type");
        let last = number + 1 == events.len();
        assert_eq!(matches!(kind, "response.completed" | "response.incomplete"), last, "{kind}");
        if let Some(index) = event["output_index"].as_u64() {
            let expected = if kind == "response.output_item.added" { output.len() } else { output.len() - 1 };
            assert_eq!(index as usize, expected, "{event}");
        }
        if !event["item_id"].is_null() {
            assert_eq!(event["item_id"], output.last().expect("an item")["id"], "{event}");
        }
        let delta = event["delta"].as_str().unwrap_or_default();
        let append = |field: &mut Value| *field = json!(field.as_str().expect("text").to_owned() + delta);
        match kind {
            "response.created" => assert_eq!(number, 0),
            "response.in_progress" => assert_eq!(number, 1),
            "response.output_item.added" => {
                assert!(!item_open);
                item_open = true;
                output.push(event["item"].clone());
            }
            "response.output_item.done" => {
                assert!(item_open && !part_open);
                item_open = false;
                let item = output.last_mut().expect("an item");
                item["status"] = event["item"]["status"].clone();
                if item["status"].is_null() {
                    item.as_object_mut().expect("an object").remove("status");
                }
                assert_eq!(*item, event["item"]);
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                assert!(item_open && !part_open);
                part_open = true;
                let field = if kind.contains("summary") { "summary" } else { "content" };
                let parts = output.last_mut().expect("an item")[field].as_array_mut().expect("parts");
                parts.push(event["part"].clone());
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                assert!(part_open);
                part_open = false;
                let field = if kind.contains("summary") { "summary" } else { "content" };
                assert_eq!(output.last().expect("an item")[field][0], event["part"]);
            }
            "response.output_text.delta" => {
                append(&mut output.last_mut().expect("an item")["content"][0]["text"])
            }
            "response.refusal.delta" => {
                append(&mut output.last_mut().expect("an item")["content"][0]["refusal"])
            }
            "response.reasoning_summary_text.delta" => {
                append(&mut output.last_mut().expect("an item")["summary"][0]["text"]);
            }
            "response.function_call_arguments.delta" => {
                append(&mut output.last_mut().expect("an item")["arguments"])
            }
            "response.custom_tool_call_input.delta" => {
                append(&mut output.last_mut().expect("an item")["input"])
            }
            "response.completed" | "response.incomplete" => {
                assert!(!item_open && !part_open);
                assert_eq!(event["response"]["output"], json!(output));
            }
            kind => assert!(kind.ends_with(".done"), "{kind}"),
        }
    }
    events.last().expect("an event")["response"].clone()
}

/// Rebuilds a message from Bedrock's events, and checks their grammar on the way.
fn folded_converse(events: &[Value]) -> Value {
    let mut answer = json!({"output": {"message": {"content": []}}});
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    let mut open = false;
    for (number, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().expect("type");
        assert!(event["p"].as_str().is_some_and(|padding| !padding.is_empty()), "{event}");
        if let Some(index) = event["contentBlockIndex"].as_u64() {
            let expected = if open { blocks.len() - 1 } else { blocks.len() };
            assert_eq!(index as usize, expected, "{event}");
        }
        match kind {
            "messageStart" => {
                assert_eq!(number, 0);
                answer["output"]["message"]["role"] = event["role"].clone();
            }
            "contentBlockStart" => {
                assert!(!open);
                open = true;
                blocks.push(event["start"].clone());
                input.clear();
            }
            "contentBlockDelta" => {
                let delta = &event["delta"];
                if !open {
                    open = true;
                    blocks.push(match delta["text"].is_string() {
                        true => json!({"text": ""}),
                        false => json!({"reasoningContent": {"reasoningText": {"text": ""}}}),
                    });
                }
                let block = blocks.last_mut().expect("a block");
                let append = |field: &mut Value, more: &Value| {
                    let more = more.as_str().expect("text");
                    *field = json!(field.as_str().unwrap_or_default().to_owned() + more);
                };
                if delta["text"].is_string() {
                    append(&mut block["text"], &delta["text"]);
                }
                for name in ["text", "signature"] {
                    if delta["reasoningContent"][name].is_string() {
                        append(
                            &mut block["reasoningContent"]["reasoningText"][name],
                            &delta["reasoningContent"][name],
                        );
                    }
                }
                input.push_str(delta["toolUse"]["input"].as_str().unwrap_or_default());
            }
            "contentBlockStop" => {
                open = false;
                let block = blocks.last_mut().expect("a block");
                if block["toolUse"].is_object() {
                    let input = if input.is_empty() { "{}" } else { &input };
                    block["toolUse"]["input"] = serde_json::from_str(input).expect("JSON");
                }
            }
            "messageStop" => {
                assert!(!open);
                answer["stopReason"] = event["stopReason"].clone();
                if !event["additionalModelResponseFields"].is_null() {
                    answer["additionalModelResponseFields"] = event["additionalModelResponseFields"].clone();
                }
            }
            "metadata" => {
                assert_eq!(number + 1, events.len());
                answer["usage"] = event["usage"].clone();
                answer["metrics"] = event["metrics"].clone();
            }
            other => assert_eq!(other, "an event of the service model"),
        }
    }
    answer["output"]["message"]["content"] = blocks.into();
    answer
}

/// Joins the texts of pieces, and takes the last usage.
fn folded_content(pieces: &[Value]) -> Value {
    let mut candidates: Vec<Value> = Vec::new();
    let mut usage = Value::Null;
    for piece in pieces {
        assert_eq!(piece["responseId"], pieces[0]["responseId"]);
        usage = piece["usageMetadata"].clone();
        for told in piece["candidates"].as_array().into_iter().flatten() {
            let index = told["index"].as_u64().expect("index") as usize;
            while candidates.len() <= index {
                candidates.push(json!({"thought": "", "text": "", "calls": [], "signed": null}));
            }
            let candidate = &mut candidates[index];
            assert!(candidate["finishReason"].is_null(), "something follows the end: {told}");
            for part in told["content"]["parts"].as_array().into_iter().flatten() {
                let field = if part["thought"] == true { "thought" } else { "text" };
                if let Some(text) = part["text"].as_str() {
                    candidate[field] = json!(candidate[field].as_str().expect("text").to_owned() + text);
                }
                if part["functionCall"].is_object() {
                    candidate["calls"].as_array_mut().expect("calls").push(part["functionCall"].clone());
                }
                if !part["thoughtSignature"].is_null() {
                    let call = candidate["calls"].as_array().expect("calls").len();
                    candidate["signed"] = json!(if part["functionCall"].is_object() { call } else { 0 });
                }
            }
            for name in ["finishReason", "finishMessage"] {
                if !told[name].is_null() {
                    candidate[name] = told[name].clone();
                }
            }
        }
    }
    json!({"candidates": candidates, "usage": usage})
}

/// The same facts of a whole answer.
pub(crate) fn whole(endpoint: Endpoint, answer: &Value) -> Value {
    match endpoint {
        Endpoint::Chat => whole_chat(answer),
        Endpoint::Responses | Endpoint::Messages | Endpoint::Converse => answer.clone(),
        // A whole answer is a stream of one piece.
        Endpoint::Gemini | Endpoint::GeminiArray => folded_content(std::slice::from_ref(answer)),
    }
}

fn whole_chat(answer: &Value) -> Value {
    let choice = |choice: &Value| {
        let message = &choice["message"];
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let calls: Vec<Value> = calls
            .map(|call| {
                json!({"id": call["id"], "name": call["function"]["name"], "arguments": call["function"]["arguments"]})
            })
            .collect();
        json!({"content": message["content"], "refusal": message["refusal"], "calls": calls,
            "finish": choice["finish_reason"]})
    };
    let choices = answer["choices"].as_array().expect("choices");
    json!({"choices": choices.iter().map(choice).collect::<Vec<_>>(), "usage": answer["usage"]})
}

/// Ids depend on the request's bytes, which differ by `stream`.
pub(crate) fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for name in ["id", "call_id", "encrypted_content", "toolUseId"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(|value| *value = without_ids(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_ids(value.take())),
        _ => {}
    }
    value
}
