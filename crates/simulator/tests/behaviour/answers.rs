//! What a simulated provider answers: the same whole and streamed, whatever the chunks.

use crate::support::{VENDORS, answer, body, events, exchange, streamed};
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_simulator::{Chunking, Simulator, Vendor};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// Rebuilds a whole answer's message, finish reason and usage from a stream.
fn folded(vendor: Vendor, bytes: &[u8]) -> Value {
    match vendor {
        Vendor::OpenAi => folded_openai(&events(bytes)),
        Vendor::Anthropic => folded_anthropic(&events(bytes)),
    }
}

fn folded_openai(chunks: &[Value]) -> Value {
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

fn folded_anthropic(events: &[Value]) -> Value {
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

/// The same facts of a whole answer.
fn whole(vendor: Vendor, answer: &Value) -> Value {
    if vendor == Vendor::Anthropic {
        return answer.clone();
    }
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
fn without_ids(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("id");
            fields.values_mut().for_each(|value| *value = without_ids(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_ids(value.take())),
        _ => {}
    }
    value
}

fn with_tools(vendor: Vendor, mut body: Value) -> Value {
    let schema = json!({"type": "object", "properties": {
        "what": {"type": "string"}, "grams": {"type": "integer"}, "list": {"type": "array", "items": {"type": "number"}}}});
    let none = json!({"type": "object", "properties": {}});
    body["tools"] = match vendor {
        Vendor::OpenAi => json!([
            {"type": "function", "function": {"name": "weigh", "parameters": schema}},
            {"type": "function", "function": {"name": "tare", "parameters": none}}]),
        Vendor::Anthropic => json!([
            {"name": "weigh", "input_schema": schema}, {"name": "tare", "input_schema": none}]),
    };
    body
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{1,60}",
        "echo:.{0,60}",
        Just("call a tool".to_owned()),
        Just("call two tools in parallel, with a preface".to_owned()),
        Just("please refuse".to_owned()),
        Just("words:30".to_owned()),
    ]
    .prop_filter("Anthropic refuses blank texts", |text| !text.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a5_a_stream_folds_to_the_whole_answer(
        text in text(),
        vendor in prop::sample::select(&VENDORS[..]),
        limit in prop_oneof![Just(900_u64), 0_u64..40],
        stop in prop::option::of("[a-z]"),
        chunking in prop_oneof![Just(Chunking::Ragged), Just(Chunking::PerFrame), Just(Chunking::Bytes(1))],
    ) {
        let simulator = Simulator::builder(vendor).chunking(chunking).build();
        let shaped = |mut body: Value| {
            match vendor {
                Vendor::OpenAi => {
                    body["max_completion_tokens"] = json!(limit.max(1));
                    body["stop"] = json!(stop);
                    body["n"] = json!(2);
                }
                Vendor::Anthropic => {
                    body["max_tokens"] = json!(limit);
                    if let Some(stop) = &stop {
                        body["stop_sequences"] = json!([stop]);
                    }
                }
            }
            with_tools(vendor, body)
        };
        let (status, answer) = block_on(answer(&simulator, &shaped(body(vendor, &text))));
        prop_assert_eq!(status, 200, "{}", answer);
        let stream = block_on(exchange(&simulator, &shaped(streamed(vendor, &text)))).expect("a stream").2;
        let folded = folded(vendor, &stream);
        prop_assert_eq!(without_ids(whole(vendor, &answer)), without_ids(folded));

        let invoice = simulator.invoice();
        prop_assert_eq!(invoice.len(), 2);
        prop_assert_eq!((invoice[0].usage, invoice[0].nano_usd, invoice[0].told), (invoice[1].usage, invoice[1].nano_usd, true));
        prop_assert!(invoice[1].told);
    }
}

#[test]
fn usage_told_is_usage_billed() {
    for vendor in VENDORS {
        let simulator = Simulator::new(vendor);
        let (_, answer) = block_on(answer(&simulator, &body(vendor, "cached:3 hello there")));
        let line = &simulator.invoice()[0];
        let usage = &answer["usage"];
        let (prompt, output) = match vendor {
            Vendor::OpenAi => (&usage["prompt_tokens"], &usage["completion_tokens"]),
            Vendor::Anthropic => (&usage["input_tokens"], &usage["output_tokens"]),
        };
        assert_eq!(
            (prompt.as_u64(), output.as_u64()),
            (Some(line.usage.prompt()), Some(line.usage.answer()))
        );
        if vendor == Vendor::OpenAi {
            assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 3);
            assert_eq!(line.usage.cache_read, 3);
        }
        assert_eq!(
            line.attempt.map(|id| id.to_string()).as_deref(),
            Some("01939d3e-0000-7000-8000-000000000001")
        );
    }
}

#[test]
fn a_reasoning_model_reports_and_bills_reasoning() {
    let simulator = Simulator::new(Vendor::OpenAi);
    let mut body = body(Vendor::OpenAi, "words:100");
    body["model"] = json!("gpt-5-mini");
    let (_, answer) = block_on(answer(&simulator, &body));
    let reasoning = &answer["usage"]["completion_tokens_details"]["reasoning_tokens"];
    assert_eq!(reasoning.as_u64(), Some(simulator.invoice()[0].usage.reasoning));
    assert!(simulator.invoice()[0].usage.reasoning >= 8);
}

#[test]
fn thinking_has_a_signature_and_counts_as_output() {
    let simulator = Simulator::new(Vendor::Anthropic);
    let mut body = body(Vendor::Anthropic, "hello");
    body["max_tokens"] = json!(2000);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let (_, answer) = block_on(answer(&simulator, &body));
    assert_eq!(answer["content"][0]["type"], "thinking");
    assert!(answer["content"][0]["signature"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(answer["usage"]["output_tokens"], simulator.invoice()[0].usage.answer());
}

#[test]
fn json_answers_satisfy_their_schema() {
    let mut body = body(Vendor::OpenAi, "hello");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "properties": {"grams": {"type": "integer"}}}}});
    let (_, answer) = block_on(answer(&Simulator::new(Vendor::OpenAi), &body));
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"grams":7}"#);
}

#[test]
fn tool_results_are_seen() {
    let openai = Simulator::new(Vendor::OpenAi);
    let conversation = json!({"model": "gpt-4o", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"}]});
    let (_, answer) = block_on(crate::support::answer(&openai, &conversation));
    assert_eq!(answer["choices"][0]["message"]["content"], "The tools answered: 42");
}

#[test]
fn images_are_counted() {
    let look = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "echo:seen"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}]});
    let (_, answer) = block_on(crate::support::answer(&Simulator::new(Vendor::OpenAi), &look));
    assert_eq!(answer["choices"][0]["message"]["content"], "seen [images: 1]");
    assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(255));
}

#[test]
fn a_prompt_that_repeats_comes_from_the_cache() {
    let simulator = Simulator::new(Vendor::OpenAi);
    let long = body(Vendor::OpenAi, &"weigh this ".repeat(1_000));
    for cached in [0, 1_024] {
        let (_, answer) = block_on(answer(&simulator, &long));
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    }
}
