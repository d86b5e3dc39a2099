//! What a simulated provider answers: the same whole and streamed, whatever the chunks.

use crate::folding::{folded, whole, without_ids};
use crate::support::{Call, ENDPOINTS, Endpoint, answer, body, exchange, streamed};
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_simulator::{Chunking, Simulator};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// Gives a call two tools, a limit and a stop sequence, where the API has them.
fn shape(call: &mut Call, limit: u64, stop: Option<&str>) {
    let schema = json!({"type": "object", "properties": {
        "what": {"type": "string"}, "grams": {"type": "integer"}, "list": {"type": "array", "items": {"type": "number"}}}});
    let none = json!({"type": "object", "properties": {}});
    match call.endpoint {
        Endpoint::Chat => {
            call["tools"] = json!([
                {"type": "function", "function": {"name": "weigh", "parameters": schema}},
                {"type": "function", "function": {"name": "tare", "parameters": none}}]);
            call["max_completion_tokens"] = json!(limit.max(1));
            call["stop"] = json!(stop);
            call["n"] = json!(2);
        }
        Endpoint::Responses => {
            call["tools"] = json!([
                {"type": "function", "name": "weigh", "parameters": schema, "strict": false},
                {"type": "custom", "name": "tare"}]);
            call["max_output_tokens"] = json!(limit.max(16));
        }
        Endpoint::Messages => {
            call["tools"] =
                json!([{"name": "weigh", "input_schema": schema}, {"name": "tare", "input_schema": none}]);
            call["max_tokens"] = json!(limit);
            if let Some(stop) = stop {
                call["stop_sequences"] = json!([stop]);
            }
        }
        Endpoint::Gemini | Endpoint::GeminiArray => {
            call["tools"] = json!([{"functionDeclarations": [
                {"name": "weigh", "parametersJsonSchema": schema},
                {"name": "tare", "parameters": {"type": "OBJECT", "properties": {}}}]}]);
            call["generationConfig"] = json!({"maxOutputTokens": limit.max(1), "candidateCount": 2,
                "thinkingConfig": {"includeThoughts": limit.is_multiple_of(2), "thinkingBudget": 100 * (limit % 3)}});
            if let Some(stop) = stop {
                call["generationConfig"]["stopSequences"] = json!([stop]);
            }
        }
        Endpoint::Converse => {
            call["toolConfig"] = json!({"tools": [
                {"toolSpec": {"name": "weigh", "inputSchema": {"json": schema}}},
                {"toolSpec": {"name": "tare", "inputSchema": {"json": none}}}]});
            call["inferenceConfig"] = json!({"maxTokens": limit.max(1)});
            call["additionalModelResponseFieldPaths"] = json!(["/stop_sequence"]);
            if let Some(stop) = stop {
                call["inferenceConfig"]["stopSequences"] = json!([stop]);
            }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{1,60}",
        "echo:.{0,60}",
        Just("call a tool".to_owned()),
        Just("call two tools in parallel, with a preface".to_owned()),
        Just("please refuse".to_owned()),
        Just("this is forbidden".to_owned()),
        Just("words:30".to_owned()),
    ]
    .prop_filter("Anthropic refuses blank texts", |text| !text.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(3), ..ProptestConfig::default() })]

    #[test]
    fn a5_a_stream_folds_to_the_whole_answer(
        text in text(),
        endpoint in prop::sample::select(&ENDPOINTS[..]),
        limit in prop_oneof![Just(900_u64), 0_u64..40],
        stop in prop::option::of("[a-z]"),
        chunking in prop_oneof![Just(Chunking::Ragged), Just(Chunking::PerFrame), Just(Chunking::Bytes(1))],
    ) {
        let simulator = Simulator::builder(endpoint.vendor()).chunking(chunking).build();
        let shaped = |mut call: Call| {
            shape(&mut call, limit, stop.as_deref());
            call
        };
        let (status, answer) = block_on(answer(&simulator, &shaped(body(endpoint, &text))));
        prop_assert_eq!(status, 200, "{}", answer);
        let stream = block_on(exchange(&simulator, &shaped(streamed(endpoint, &text)))).expect("a stream").2;
        let folded = folded(endpoint, &stream);
        prop_assert_eq!(without_ids(whole(endpoint, &answer)), without_ids(folded));

        let invoice = simulator.invoice();
        prop_assert_eq!(invoice.len(), 2);
        prop_assert_eq!((invoice[0].usage, invoice[0].nano_usd, invoice[0].told), (invoice[1].usage, invoice[1].nano_usd, true));
        prop_assert!(invoice[1].told);
    }
}

#[test]
fn usage_told_is_usage_billed() {
    for endpoint in ENDPOINTS {
        let simulator = Simulator::new(endpoint.vendor());
        let (_, answer) = block_on(answer(&simulator, &body(endpoint, "cached:3 hello there")));
        let line = &simulator.invoice()[0];
        let usage = &answer["usage"];
        let metadata = &answer["usageMetadata"];
        let total = json!(
            metadata["candidatesTokenCount"].as_u64().unwrap_or(0)
                + metadata["thoughtsTokenCount"].as_u64().unwrap_or(0)
        );
        let (prompt, output) = match endpoint {
            Endpoint::Gemini | Endpoint::GeminiArray => (&metadata["promptTokenCount"], &total),
            Endpoint::Chat => (&usage["prompt_tokens"], &usage["completion_tokens"]),
            Endpoint::Responses | Endpoint::Messages => (&usage["input_tokens"], &usage["output_tokens"]),
            Endpoint::Converse => (&usage["inputTokens"], &usage["outputTokens"]),
        };
        assert_eq!(
            (prompt.as_u64(), output.as_u64()),
            (Some(line.usage.prompt()), Some(line.usage.answer()))
        );
        if endpoint == Endpoint::Chat {
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
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    let mut body = body(Endpoint::Chat, "words:100");
    body["model"] = json!("gpt-5-mini");
    let (_, answer) = block_on(answer(&simulator, &body));
    let reasoning = &answer["usage"]["completion_tokens_details"]["reasoning_tokens"];
    assert_eq!(reasoning.as_u64(), Some(simulator.invoice()[0].usage.reasoning));
    assert!(simulator.invoice()[0].usage.reasoning >= 8);
}

#[test]
fn thinking_has_a_signature_and_counts_as_output() {
    let simulator = Simulator::new(Endpoint::Messages.vendor());
    let mut body = body(Endpoint::Messages, "hello");
    body["max_tokens"] = json!(2000);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let (_, answer) = block_on(answer(&simulator, &body));
    assert_eq!(answer["content"][0]["type"], "thinking");
    assert!(answer["content"][0]["signature"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(answer["usage"]["output_tokens"], simulator.invoice()[0].usage.answer());
    comes_back_as_it_was(&simulator, &body, &answer["content"][0]);
}

/// A thought is accepted with its own signature, and needed before the calls that it led to.
fn comes_back_as_it_was(simulator: &Simulator, first: &Call, thought: &Value) {
    let next = |blocks: Value, last: Value| {
        let mut call = first.clone();
        call["tools"] = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        call["messages"] = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks},
            {"role": "user", "content": [last]}]);
        let (status, answer) = block_on(answer(simulator, &call));
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "42"});
    assert_eq!(next(json!([thought, call]), result.clone()).0, 200);
    let mut changed = thought.clone();
    changed["thinking"] = json!("something else");
    let (status, message) = next(json!([changed, call]), result.clone());
    assert!(status == 400 && message.contains("Invalid `signature` in `thinking` block"), "{message}");
    let (status, message) = next(json!([call]), result);
    assert!(status == 400 && message.contains("Expected `thinking` or `redacted_thinking`"), "{message}");
    let said = json!([{"type": "text", "text": "y"}]);
    assert_eq!(next(said, json!({"type": "text", "text": "z"})).0, 200);
}

#[test]
fn json_answers_satisfy_their_schema() {
    let mut body = body(Endpoint::Chat, "hello");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "properties": {"grams": {"type": "integer"}}}}});
    let (_, answer) = block_on(answer(&Simulator::new(Endpoint::Chat.vendor()), &body));
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"grams":7}"#);
}

#[test]
fn tool_results_are_seen() {
    let openai = Simulator::new(Endpoint::Chat.vendor());
    let conversation = Call::of(
        Endpoint::Chat,
        json!({"model": "gpt-4o", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"}]}),
    );
    let (_, answer) = block_on(crate::support::answer(&openai, &conversation));
    assert_eq!(answer["choices"][0]["message"]["content"], "The tools answered: 42");
}

#[test]
fn images_are_counted() {
    let look = Call::of(
        Endpoint::Chat,
        json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "echo:seen"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}]}),
    );
    let (_, answer) = block_on(crate::support::answer(&Simulator::new(Endpoint::Chat.vendor()), &look));
    assert_eq!(answer["choices"][0]["message"]["content"], "seen [images: 1]");
    assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(255));
}

#[test]
fn a_prompt_that_repeats_comes_from_the_cache() {
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    let long = body(Endpoint::Chat, &"weigh this ".repeat(1_000));
    for cached in [0, 1_024] {
        let (_, answer) = block_on(answer(&simulator, &long));
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    }
}
