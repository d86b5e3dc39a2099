//! OpenAI Responses: what is refused, what is kept, and how reasoning comes back.

use crate::refusals::all_refused;
use crate::support::{Call, Endpoint, answer, body, events, exchange, request, send, streamed};
use bytes::Bytes;
use futures::executor::block_on;
use http::{Method, Request};
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator};

fn openai() -> Simulator {
    Simulator::new(Endpoint::Responses.vendor())
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "42"})
}

#[test]
fn it_refuses_by_schema_and_by_rule() {
    let function =
        |schema: Value| json!([{"type": "function", "name": "f", "parameters": schema, "strict": true}]);
    let image = |url: &str| json!([{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]);
    all_refused(
        Endpoint::Responses,
        &[
            (json!({"model": "(absent)"}), "Missing required parameter: 'model'. [model]"),
            (json!({"model": "gpt-nine"}), "The requested model 'gpt-nine' does not exist. [model]"),
            (json!({"input": "(absent)"}), "One of \"input\" or \"previous_response_id\""),
            (json!({"input": []}), "Invalid 'input': empty array"),
            (json!({"messages": []}), "Unknown parameter: 'messages'. [messages]"),
            (json!({"max_tokens": 20}), "Unknown parameter: 'max_tokens'"),
            (json!({"input": [{"role": "tool", "content": "x"}]}), "Invalid value: 'tool'"),
            (
                json!({"max_output_tokens": 15}),
                "integer below minimum value. Expected a value >= 16, but got 15",
            ),
            (json!({"temperature": 2.5}), "Expected a value <= 2, but got 2.5"),
            (json!({"top_logprobs": 21}), "above maximum"),
            (
                json!({"model": "gpt-5-mini", "temperature": 0.5}),
                "'temperature' is not supported with this model",
            ),
            (json!({"reasoning": {"effort": "low"}}), "'reasoning.effort' is not supported with this model"),
            (json!({"include": ["reasoning.encrypted_content"]}), "Encrypted content is not supported"),
            (
                json!({"text": {"verbosity": "low"}}),
                "'low' is not supported with the 'gpt-4o-mini-2024-07-18' model",
            ),
            (json!({"stream_options": {"include_obfuscation": true}}), "only allowed when 'stream'"),
            (json!({"previous_response_id": "resp_1"}), "Previous response with id 'resp_1' not found."),
            (json!({"tools": [{"type": "function", "function": {"name": "nested"}}]}), "tools[0]"),
            (
                json!({"tools": function(json!({"type": "object", "properties": {}}))}),
                "'additionalProperties' is required",
            ),
            (json!({"tool_choice": "required"}), "must be specified with 'tools'"),
            (
                json!({"tools": [{"type": "custom", "name": "a"}], "tool_choice": {"type": "function", "name": "b"}}),
                "Tool choice 'b' not found",
            ),
            (
                json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object",
                    "additionalProperties": false, "properties": {"a": {}}}}}}),
                "Invalid schema for response_format 'n': In context=(), 'required' is required",
            ),
            (json!({"text": {"format": {"type": "json_object"}}}), "must contain the word 'json'"),
            (json!({"input": image("data:image/tiff;base64,aGk=")}), "Expected a base64-encoded data URL"),
            (json!({"input": image("gs://a/b")}), "[input[0].content[0].image_url]"),
            (json!({"input": [user("x"), call("c1")]}), "No tool output found for function call c1."),
            (
                json!({"input": [user("x"), output("c1")]}),
                "No tool call found for function call output with call_id c1.",
            ),
            (
                json!({"input": [user("x"), {"type": "function_call", "id": "toolu_1", "call_id": "c", "name": "f", "arguments": ""}]}),
                "Invalid 'input[1].id': 'toolu_1'. Expected an ID that begins with 'fc'.",
            ),
            (json!({"input": [call(&"c".repeat(65)), output(&"c".repeat(65))]}), "maximum length 64"),
            (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), "Item with id 'msg_1' not found"),
        ],
    );
}

#[test]
fn conversations_with_tools_are_accepted() {
    let said =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]});
    let input = json!([{"role": "developer", "content": "d"}, user("x"), said, call("c1"), call("c2"), output("c2"),
        output("c1"), {"role": "user", "content": [{"type": "input_text", "text": "echo:on"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}]}]);
    let (status, answer) = block_on(answer(
        &openai(),
        &Call::of(Endpoint::Responses, json!({"model": "gpt-4o", "input": input})),
    ));
    assert_eq!((status, &answer["output"][0]["content"][0]["text"]), (200, &json!("on")), "{answer}");
}

/// A request to a kept response.
fn kept(simulator: &Simulator, method: Method, id: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://openai.test/v1/responses/{id}"))
        .header("authorization", "Bearer sk-1")
        .body(Bytes::new())
        .expect("a request");
    let (status, _, bytes) = block_on(send(simulator, request)).expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn responses_are_kept_unless_they_must_not_be() {
    let simulator = openai();
    let (_, first) = block_on(answer(&simulator, &body(Endpoint::Responses, "echo:first")));
    let id = first["id"].as_str().expect("an id");
    assert_eq!(kept(&simulator, Method::GET, id), (200, first.clone()));

    let mut next = body(Endpoint::Responses, "echo:next");
    next["previous_response_id"] = first["id"].clone();
    let (_, second) = block_on(answer(&simulator, &next));
    assert_eq!(second["previous_response_id"], first["id"]);
    assert!(second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64());

    let deleted = json!({"id": id, "object": "response", "deleted": true});
    assert_eq!(kept(&simulator, Method::DELETE, id), (200, deleted));
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(kept(&simulator, method, id).0, 404);
    }
    assert_eq!(block_on(answer(&simulator, &next)).0, 400);

    let mut unkept = body(Endpoint::Responses, "echo:unkept");
    unkept["store"] = json!(false);
    let (_, answer) = block_on(answer(&simulator, &unkept));
    assert_eq!(kept(&simulator, Method::GET, answer["id"].as_str().expect("an id")).0, 404);
}

#[test]
fn a_streamed_response_is_kept_as_it_was_streamed() {
    let simulator = openai();
    let stream =
        block_on(exchange(&simulator, &streamed(Endpoint::Responses, "echo:streamed"))).expect("a stream").2;
    let last = events(&stream).pop().expect("an event")["response"].clone();
    assert_eq!(kept(&simulator, Method::GET, last["id"].as_str().expect("an id")), (200, last));
}

#[test]
fn reasoning_comes_back_unchanged_and_in_its_place() {
    let simulator = openai();
    let mut first = body(Endpoint::Responses, "call a tool");
    first["model"] = json!("gpt-5-mini");
    first["store"] = json!(false);
    first["include"] = json!(["reasoning.encrypted_content"]);
    first["reasoning"] = json!({"effort": "low", "summary": "auto"});
    first["tools"] = json!([{"type": "function", "name": "weigh", "parameters": null, "strict": null}]);
    let (_, answered) = block_on(answer(&simulator, &first));
    let [reasoning, called] = answered["output"].as_array().expect("output").as_slice() else {
        panic!("{answered}")
    };
    assert_eq!((&reasoning["type"], &called["type"]), (&json!("reasoning"), &json!("function_call")));
    assert!(reasoning["summary"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    let result = output(called["call_id"].as_str().expect("an id"));

    let next = |input: Value| {
        let mut call = first.clone();
        call["input"] = input;
        let (status, answer) = block_on(answer(&simulator, &call));
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(next(json!([user("x"), reasoning, called, result])).0, 200);
    let mut changed = reasoning.clone();
    changed["encrypted_content"] = json!("gAAAAAB0");
    let mut bare = reasoning.clone();
    bare.as_object_mut().expect("an object").remove("encrypted_content");
    for (input, reason) in [
        (json!([user("x"), called, result]), "without its required 'reasoning' item"),
        (json!([user("x"), reasoning]), "without its required following item"),
        (json!([user("x"), called, reasoning, result]), "without its required"),
        (json!([user("x"), changed, called, result]), "could not be verified"),
        (json!([user("x"), bare, called, result]), "Items are not persisted"),
    ] {
        let (status, message) = next(input);
        assert!(status >= 400 && message.contains(reason), "{status} {message}");
    }
}

#[test]
fn a_stream_fails_in_each_of_its_ways() {
    let mut seen = [false; 3];
    for number in 0..40 {
        let simulator = openai();
        simulator.push_fault(Fault::ErrorMidStream { after_frames: 5 });
        let call = streamed(Endpoint::Responses, &format!("echo:a text of some length {number}"));
        let events = events(&block_on(exchange(&simulator, &call)).expect("a stream").2);
        let kinds: Vec<&str> =
            events[5..].iter().map(|event| event["type"].as_str().expect("type")).collect();
        let way = [&["error"][..], &["response.failed"], &["error", "response.failed"]];
        let way = way.iter().position(|way| *way == kinds).expect("a known way");
        seen[way] = true;
        assert!(events.iter().enumerate().all(|(number, event)| event["sequence_number"] == number));
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn input_tokens_are_counted_as_they_are_billed() {
    let simulator = openai();
    let call = body(Endpoint::Responses, "how much is this?");
    let (_, answered) = block_on(answer(&simulator, &call));
    let mut request = request(&call);
    *request.uri_mut() = "http://openai.test/v1/responses/input_tokens".parse().expect("a URI");
    let (status, _, bytes) = block_on(send(&simulator, request)).expect("an answer");
    let counted: Value = serde_json::from_slice(&bytes).expect("JSON");
    let expected =
        json!({"object": "response.input_tokens", "input_tokens": answered["usage"]["input_tokens"]});
    assert_eq!((status, counted), (200, expected));
    assert_eq!(simulator.invoice().len(), 1);
}
