//! Google: what is refused in which words, signatures, Vertex's dialect, embeddings, counts.

use crate::refusals::all_refused;
use crate::support::{Call, Endpoint, answer, body, exchange, request, send, streamed};
use bytes::Bytes;
use futures::executor::block_on;
use http::Request;
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator};

fn google() -> Simulator {
    Simulator::new(Endpoint::Gemini.vendor())
}

fn user(text: &str) -> Value {
    json!({"role": "user", "parts": [{"text": text}]})
}

fn called(name: &str) -> Value {
    json!({"functionCall": {"name": name, "args": {}}})
}

fn result(name: &str) -> Value {
    json!({"functionResponse": {"name": name, "response": {"output": "42"}}})
}

fn model(parts: Value) -> Value {
    json!({"role": "model", "parts": parts})
}

/// A request of any path and body.
fn post(simulator: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::post(format!("http://google.test{path}"))
        .header("x-goog-api-key", "AIza-1")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let (status, _, bytes) = block_on(send(simulator, request)).expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn it_refuses_by_schema_and_by_rule() {
    let function = |name: &str| json!({"name": name, "parameters": {"type": "OBJECT", "properties": {}}});
    let tools = json!([{"functionDeclarations": [function("f")]}]);
    let schema =
        |schema: Value| json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]});
    let config = |config: Value| json!({"generationConfig": config});
    all_refused(
        Endpoint::Gemini,
        &[
            (json!({"contents": "(absent)"}), "* GenerateContentRequest.contents: contents is not specified"),
            (json!({"contents": [{"role": "user"}]}), "contents[0].parts: contents.parts must not be empty"),
            (json!({"contents": [{"parts": [{}]}]}), "parts[0].data: required oneof field 'data'"),
            (json!({"messages": []}), "Unknown name \"messages\": Cannot find field."),
            (
                json!({"contents": [{"parts": [{"text": "x", "cache_control": {}}]}]}),
                "Unknown name \"cache_control\" at 'contents[0].parts[0]': Cannot find field.",
            ),
            (
                config(json!({"temperature": "hot"})),
                "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
            ),
            (
                config(json!({"maxOutputTokens": 1.5})),
                "'generation_config.max_output_tokens' (TYPE_INT32), 1.5",
            ),
            (
                json!({"contents": [{"parts": [{"text": "x", "inlineData": {}}]}]}),
                "(oneof), oneof field 'data' is already set",
            ),
            (
                json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "!!"}}]}]}),
                "(TYPE_BYTES), Base64 decoding failed for \"!!\"",
            ),
            (
                json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
                "valid role: user, model",
            ),
            (
                json!({"contents": [{"parts": [{"inlineData": {"mimeType": "image/gif", "data": "aGk="}}]}]}),
                "Unsupported MIME type: image/gif",
            ),
            (
                config(json!({"temperature": 2.5})),
                "generation_config.temperature: temperature must be in the range",
            ),
            (config(json!({"maxOutputTokens": 0})), "the supported range is from 1 (inclusive)"),
            (config(json!({"stopSequences": ["a", "b", "c", "d", "e", "f"]})), "at most 5"),
            (
                config(json!({"responseSchema": {"type": "OBJECT"}})),
                "only allowed for responses of mime type",
            ),
            (config(json!({"responseMimeType": "text/html"})), "allowed mimetypes"),
            (
                json!({"generationConfig": {"responseMimeType": "application/json"}, "tools": tools}),
                "Function calling with a response mime type",
            ),
            (
                config(json!({"thinkingConfig": {"thinkingBudget": 99_999}})),
                "The thinking budget 99999 is invalid",
            ),
            (config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}})), "Thinking level is not supported"),
            (config(json!({"logprobs": 3})), "Logprobs is only allowed"),
            (json!({"tools": [{"functionDeclarations": [function("1f")]}]}), "Invalid function name"),
            (
                json!({"tools": [{"functionDeclarations": [function("f"), function("f")]}]}),
                "Duplicate function",
            ),
            (schema(json!({"type": "STRING", "minLength": {}})), "(TYPE_INT64)"),
            (schema(json!({"type": "thing"})), "generativelanguage.v1beta.Type), \"thing\""),
            (
                schema(json!({"type": "INTEGER", "enum": ["1"]})),
                "parameters.enum: only allowed for STRING type",
            ),
            (schema(json!({"type": "ARRAY"})), "parameters.items: missing field"),
            (
                schema(json!({"type": "OBJECT", "required": ["a"]})),
                "parameters.required[0]: property is not defined",
            ),
            (schema(json!({"type": "OBJECT", "$ref": "x"})), "Unknown name \"$ref\""),
            (
                json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}}),
                "allowed_function_names only when",
            ),
            (
                json!({"tools": tools, "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}}),
                "function g is not in",
            ),
            (
                json!({"contents": [user("x"), {"role": "user", "parts": [result("f")]}]}),
                "comes immediately after a function call turn",
            ),
            (
                json!({"contents": [user("x"), model(json!([called("f"), called("f")])), {"role": "user", "parts": [result("f")]}]}),
                "number of function response parts is equal",
            ),
            (json!({"contents": [user("x"), model(json!([called("f")]))]}), "end with a user role"),
            (
                json!({"contents": [model(json!([called("f")])), {"parts": [result("f")]}]}),
                "comes immediately after a user turn",
            ),
            (
                json!({"contents": [user("x"), model(json!([{"text": "y", "thoughtSignature": "aGk="}])), user("z")]}),
                "Thought signature is not valid",
            ),
            (json!({"labels": {"a": "b"}}), "labels parameter is not supported"),
            (json!({"safetySettings": [{"threshold": "BLOCK_NONE"}]}), "element predicate failed"),
        ],
    );
}

#[test]
fn its_json_is_read_in_all_its_freedoms() {
    let free = json!({
        "system_instruction": {"parts": {"text": "be brief"}},
        "contents": {"parts": {"text": "echo:free"}},
        "safetySettings": null,
        "generation_config": {"max_output_tokens": "20", "temperature": "0.5", "topK": 3.0,
            "thinking_config": {"thinking_budget": 0}},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "object", "properties": {"snake_case": {"type": 1}},
            "required": ["snake_case"]}}]}],
    });
    let (status, answer) = post(&google(), "/v1beta/models/gemini-2.5-flash:generateContent?key=x", &free);
    assert_eq!(
        (status, &answer["candidates"][0]["content"]["parts"][0]["text"]),
        (200, &json!("free")),
        "{answer}"
    );
}

#[test]
fn conversations_with_tools_are_accepted() {
    let tools = json!([{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]);
    let contents = json!([user("x"), model(json!([{"text": "so"}, called("f"), called("f")])),
        {"role": "user", "parts": [result("f"), result("f")]}, model(json!([{"text": "well"}])),
        {"role": "user", "parts": [{"text": "echo:on"}, {"inlineData": {"mimeType": "image/png", "data": "_-8"}}]}]);
    let call = Call::of(Endpoint::Gemini, json!({"contents": contents, "tools": tools}));
    let (status, answer) = block_on(answer(&google(), &call));
    let text = &answer["candidates"][0]["content"]["parts"][0]["text"];
    assert_eq!((status, text), (200, &json!("on [images: 1]")), "{answer}");
}

#[test]
fn the_newest_models_want_their_signatures_back() {
    let simulator = google();
    let first = json!({"model": "gemini-3.5-flash", "contents": [user("call a tool, parallel")],
        "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]});
    let (_, answered) = block_on(answer(&simulator, &Call::of(Endpoint::Gemini, first.clone())));
    let content = &answered["candidates"][0]["content"];
    let parts = content["parts"].as_array().expect("parts");
    let signed: Vec<bool> = parts.iter().map(|part| !part["thoughtSignature"].is_null()).collect();
    assert_eq!((signed.as_slice(), &content["role"]), (&[true, false][..], &json!("model")), "{answered}");
    assert!(parts.iter().all(|part| part["functionCall"]["id"].as_str().is_some_and(|id| id.len() == 8)));

    let next = |content: Value| {
        let mut call = first.clone();
        call["contents"] =
            json!([first["contents"][0], content, {"role": "user", "parts": [result("f"), result("g")]}]);
        let (status, answer) = block_on(answer(&simulator, &Call::of(Endpoint::Gemini, call)));
        (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(next(content.clone()).0, 200);
    let mut bare = content.clone();
    bare["parts"][0].as_object_mut().expect("an object").remove("thoughtSignature");
    let (status, message) = next(bare);
    assert!(status == 400 && message.contains("missing a thought_signature"), "{message}");
    let mut placeholder = content.clone();
    placeholder["parts"][0]["thoughtSignature"] = json!("skip_thought_signature_validator");
    assert_eq!(next(placeholder).0, 200);
    let mut forged = content.clone();
    forged["parts"][0]["thoughtSignature"] = json!("Q3ZmYWtl");
    assert_eq!(next(forged).0, 400);
}

#[test]
fn credentials_are_checked() {
    let simulator = Simulator::builder(Endpoint::Gemini.vendor()).api_key("right").build();
    let answered = |headers: &[(&'static str, &str)], query: &str| {
        let mut request = request(&body(Endpoint::Gemini, "hello"));
        request.headers_mut().clear();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let uri = format!("{}{query}", request.uri());
        *request.uri_mut() = uri.parse().expect("a URI");
        let (status, _, bytes) = block_on(send(&simulator, request)).expect("an answer");
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        (status, answer["error"]["details"][0]["reason"].as_str().map(str::to_owned))
    };
    assert_eq!(answered(&[("x-goog-api-key", "right")], "").0, 200);
    assert_eq!(answered(&[], "?key=right").0, 200);
    assert_eq!(answered(&[("authorization", "Bearer right")], "").0, 200);
    assert_eq!(answered(&[("x-goog-api-key", "wrong")], ""), (400, Some("API_KEY_INVALID".to_owned())));
    assert_eq!(answered(&[("authorization", "Bearer wrong")], "").0, 401);
    assert_eq!(answered(&[], "").0, 403);
}

#[test]
fn vertex_has_fields_of_its_own() {
    let simulator = google();
    let vertex = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent";
    let body = json!({"contents": [user("echo:x")], "labels": {"team": "a"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF", "method": "SEVERITY"}]});
    let (status, answer) = post(&simulator, vertex, &body);
    assert_eq!((status, &answer["usageMetadata"]["trafficType"]), (200, &json!("ON_DEMAND")), "{answer}");
    let gemini = "/v1beta/models/gemini-2.5-flash:generateContent";
    let (status, answer) = post(&simulator, gemini, &body);
    assert!(status == 400 && answer.to_string().contains("Unknown name \\\"method\\\""), "{answer}");
    assert_eq!(post(&simulator, vertex, &json!({"contents": [user("x")], "store": true})).0, 400);
}

#[test]
fn embeddings_are_billed_and_told_by_the_newer_model_only() {
    let request = |model: &str, text: &str| json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}, "outputDimensionality": 5});
    for (model, told) in [("gemini-embedding-001", false), ("gemini-embedding-2", true)] {
        let simulator = google();
        let both = json!({"requests": [request(model, "one text"), request(model, "another")]});
        let (status, answer) = post(&simulator, &format!("/v1beta/models/{model}:batchEmbedContents"), &both);
        assert_eq!((status, answer["embeddings"][1]["values"].as_array().map(Vec::len)), (200, Some(5)));
        let line = &simulator.invoice()[0];
        assert_eq!((line.usage.input, line.usage.answer(), line.told), (4, 0, told));
        assert_eq!(answer["usageMetadata"]["promptTokenCount"].as_u64(), told.then_some(4));
        let (_, one) =
            post(&simulator, &format!("/v1beta/models/{model}:embedContent"), &request(model, "one text"));
        assert_eq!(one["embedding"], answer["embeddings"][0]);
    }
    let simulator = google();
    for (path, body, reason) in [
        ("gemini-embedding-001:batchEmbedContents", json!({"requests": []}), "requests is not specified"),
        ("gemini-embedding-001:embedContent", json!({}), "contents is not specified"),
        (
            "gemini-embedding-001:embedContent",
            request("gemini-embedding-2", "x"),
            "must be for the model of the URL",
        ),
        (
            "gemini-2.5-flash:embedContent",
            request("gemini-2.5-flash", "x"),
            "is not supported for embedContent",
        ),
        (
            "gemini-embedding-001:generateContent",
            json!({"contents": [user("x")]}),
            "is not supported for generateContent",
        ),
        ("gemini-nine:countTokens", json!({}), "models/gemini-nine is not found"),
    ] {
        let (status, answer) = post(&simulator, &format!("/v1beta/models/{path}"), &body);
        assert!(status >= 400 && answer.to_string().contains(reason), "{path}: {answer}");
    }
    assert!(simulator.invoice().is_empty());
}

#[test]
fn tokens_are_counted_as_they_are_billed() {
    let simulator = google();
    let call = body(Endpoint::Gemini, "how much is this?");
    let (_, answered) = block_on(answer(&simulator, &call));
    let counts = [call.body.clone(), json!({"generateContentRequest": call.body})];
    for body in counts {
        let (status, counted) = post(&simulator, "/v1beta/models/gemini-2.5-flash:countTokens", &body);
        assert_eq!((status, &counted["totalTokens"]), (200, &answered["usageMetadata"]["promptTokenCount"]));
    }
}

#[test]
fn models_are_listed() {
    let get = |path: &str| {
        let request = Request::get(format!("http://google.test/v1beta/models{path}"))
            .header("x-goog-api-key", "AIza-1")
            .body(Bytes::new())
            .expect("a request");
        let (status, _, bytes) = block_on(send(&google(), request)).expect("an answer");
        (status, serde_json::from_slice::<Value>(&bytes).expect("JSON"))
    };
    let (_, list) = get("");
    assert!(list["models"].as_array().is_some_and(|models| models.len() == 6), "{list}");
    assert_eq!(get("/gemini-2.5-pro"), (200, list["models"][2].clone()));
    assert_eq!(get("/gemini-nine").0, 404);
}

#[test]
fn a_stream_fails_in_each_of_its_ways() {
    let mut bare = [false; 2];
    for number in 0..20 {
        let simulator = google();
        simulator.push_fault(Fault::ErrorMidStream { after_frames: 2 });
        let call = streamed(Endpoint::Gemini, &format!("echo:a text of some length {number}"));
        let stream = block_on(exchange(&simulator, &call)).expect("a stream").2;
        let text = String::from_utf8(stream.to_vec()).expect("UTF-8");
        assert!(
            text.contains("\"status\": \"INTERNAL\"") || text.contains("\"status\":\"INTERNAL\""),
            "{text}"
        );
        bare[usize::from(text.ends_with("\n}\n"))] = true;
    }
    assert_eq!(bare, [true; 2]);
    for after_frames in [0, 2] {
        let simulator = google();
        simulator.push_fault(Fault::ErrorMidStream { after_frames });
        let call = streamed(Endpoint::GeminiArray, "echo:a text of some length");
        let stream = block_on(exchange(&simulator, &call)).expect("a stream").2;
        let pieces: Vec<Value> = serde_json::from_slice(&stream).expect("an array");
        assert_eq!((pieces.len(), &pieces[after_frames]["error"]["code"]), (after_frames + 1, &json!(500)));
    }
}

#[test]
fn errors_say_when_to_try_again() {
    let simulator = google();
    simulator.push_fault(Fault::Status { code: 429, retry_after: Some(7) });
    let (status, answer) = block_on(answer(&simulator, &body(Endpoint::Gemini, "hello")));
    assert_eq!((status, &answer["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(answer["error"]["details"][0]["retryDelay"], "7s");
}
