//! AWS: what is refused in which words, cache points, reasoning, exceptions, embeddings, counts.

use crate::refusals::all_refused;
use crate::support::{
    Call, Endpoint, answer, binary_frames, body, events, exchange, request, send, streamed,
};
use bytes::Bytes;
use futures::executor::block_on;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator};

const HAIKU: &str = "global.anthropic.claude-haiku-4-5-20251001-v1%3A0";

fn aws() -> Simulator {
    Simulator::new(Endpoint::Converse.vendor())
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"text": text}]})
}

fn called(id: &str) -> Value {
    json!({"role": "assistant", "content": [{"toolUse": {"toolUseId": id, "name": "f", "input": {}}}]})
}

fn results(ids: &[&str]) -> Value {
    let result = |id: &&str| json!({"toolResult": {"toolUseId": id, "content": [{"text": "42"}]}});
    json!({"role": "user", "content": ids.iter().map(result).collect::<Vec<_>>()})
}

fn tools() -> Value {
    json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]})
}

/// A request of any path and body.
fn post(simulator: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::post(format!("http://bedrock.test/model/{path}"))
        .header("authorization", "Bearer absk-1")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let (status, _, bytes) = block_on(send(simulator, request)).expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn it_refuses_by_schema_and_by_rule() {
    let config = |config: Value| json!({"inferenceConfig": config});
    let extra = |fields: Value| json!({"additionalModelRequestFields": fields});
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [{"text": "x"}, block]}]});
    let text = |text: &str| json!({"role": "assistant", "content": [{"text": text}]});
    let point = json!({"cachePoint": {"type": "default"}});
    all_refused(
        Endpoint::Converse,
        &[
            (json!({"messages": "(absent)"}), "must start with a user message"),
            (
                json!({"messages": [{"role": "user"}]}),
                "Value null at 'messages.1.member.content' failed to satisfy constraint: Member must not be null",
            ),
            (
                json!({"messages": [{"role": "robot", "content": []}]}),
                "Value 'robot' at 'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]",
            ),
            (
                json!({"messages": [{"role": "user", "content": "x"}]}),
                "STRING_VALUE can not be converted to an array",
            ),
            (
                json!({"messages": [{"role": "user", "content": []}]}),
                "The content field in the Message object at messages.0 is empty",
            ),
            (json!({"model": "x"}), "extraneous key [model] is not permitted"),
            (block(json!({})), "must set one of the following keys"),
            (block(json!({"text": "x", "cachePoint": {"type": "default"}})), "must set only one of its keys"),
            (
                block(json!({"text": ""})),
                "The text field in the ContentBlock object at messages.0.content.1 is blank",
            ),
            (
                block(json!({"image": {"format": "bmp", "source": {"bytes": "aGk="}}})),
                "Member must satisfy enum value set",
            ),
            (block(json!({"image": {"format": "png", "source": {"bytes": "!"}}})), "Member must be base64"),
            (
                block(json!({"image": {"format": "png", "source": {"url": "https://x"}}})),
                "extraneous key [url]",
            ),
            (
                block(json!({"toolUse": {"toolUseId": "a/b", "name": "f", "input": {}}})),
                "regular expression pattern: [a-zA-Z0-9_.:-]+",
            ),
            (
                block(json!({"toolUse": {"toolUseId": "a", "name": "f", "input": {}}})),
                "is not allowed in a message with the role user",
            ),
            (
                block(json!({"document": {"format": "pdf", "name": "a.pdf", "source": {"bytes": "aGk="}}})),
                "The document file name can only contain",
            ),
            (json!({"messages": [user("x"), user("y")]}), "must alternate between user and assistant roles"),
            (json!({"messages": [text("x")]}), "must start with a user message"),
            (config(json!({"maxTokens": 0})), "Member must have value greater than or equal to 1"),
            (config(json!({"maxTokens": 100_000})), "exceeds the model limit of 64000"),
            (config(json!({"temperature": 1.5})), "Member must have value less than or equal to 1"),
            (config(json!({"temperature": 0.5, "topP": 0.5})), "cannot both be specified"),
            (config(json!({"topK": 5})), "extraneous key [topK]"),
            (json!({"toolConfig": {"tools": []}}), "Member must have length greater than or equal to 1"),
            (
                json!({"toolConfig": {"tools": [tools()["tools"][0], tools()["tools"][0]]}}),
                "defined more than once",
            ),
            (
                json!({"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]}}),
                "must be one of the following: object",
            ),
            (
                json!({"toolConfig": {"tools": tools()["tools"], "toolChoice": {"tool": {"name": "g"}}}}),
                "The tool g of toolChoice is not defined",
            ),
            (extra(json!({"foo": 1})), "foo: Extra inputs are not permitted"),
            (
                extra(json!({"thinking": {"type": "enabled", "budget_tokens": 10}})),
                "greater than or equal to 1024",
            ),
            (
                json!({"messages": [user("x"), called("a"), results(&["a"])]}),
                "The toolConfig field must be defined",
            ),
            (
                json!({"toolConfig": tools(), "messages": [user("x"), called("a"), user("y")]}),
                "Expected toolResult blocks at messages.2.content for the following Ids: a",
            ),
            (
                json!({"toolConfig": tools(), "messages": [user("x"), called("a")]}),
                "Expected toolResult blocks at messages.2.content",
            ),
            (
                json!({"toolConfig": tools(), "messages": [user("x"), text("y"), results(&["a"])]}),
                "exceeds the number of toolUse blocks of previous turn",
            ),
            (
                json!({"system": [point, point, point, point, point]}),
                "maximum number of cache checkpoints of 4",
            ),
            (
                json!({"messages": [user("x"), {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}}]}, user("y")]}),
                "Invalid `signature` in `thinking` block",
            ),
            (
                json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}}),
                "is not valid JSON",
            ),
        ],
    );
}

#[test]
fn models_are_known_by_their_profiles() {
    let simulator = aws();
    let body = body(Endpoint::Converse, "hello").body;
    for (model, status, reason) in [
        (HAIKU, 200, ""),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 200, ""),
        (
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude-haiku-4-5-20251001-v1%3A0",
            200,
            "",
        ),
        ("amazon.nova-micro-v1:0", 200, ""),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", 400, "on-demand throughput isn’t supported"),
        ("gpt-4o", 400, "The provided model identifier is invalid."),
        ("amazon.titan-embed-text-v2:0", 400, "The provided model identifier is invalid."),
    ] {
        let (answered, answer) = post(&simulator, &format!("{model}/converse"), &body);
        assert!(answered == status && answer.to_string().contains(reason), "{model}: {answer}");
    }
    let invoice = simulator.invoice();
    assert_eq!(invoice.iter().map(|line| line.usage).collect::<std::collections::HashSet<_>>().len(), 1);
    // A region's profile is a tenth dearer.
    assert_eq!(
        (invoice[0].nano_usd * 11, invoice[1].nano_usd),
        (invoice[1].nano_usd * 10, invoice[2].nano_usd)
    );
}

#[test]
fn conversations_with_tools_are_accepted() {
    let shown = json!({"role": "user", "content": [
        {"toolResult": {"toolUseId": "b", "content": [{"json": {"a": [1]}}], "status": "error"}},
        {"toolResult": {"toolUseId": "a", "content": [{"image": {"format": "png", "source": {"bytes": "aGk="}}}, {"text": "x"}]}}]});
    let both = json!({"role": "assistant", "content": [{"text": "so"},
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}, {"toolUse": {"toolUseId": "b", "name": "f", "input": {"x": 1}}}]});
    let call =
        Call::of(Endpoint::Converse, json!({"toolConfig": tools(), "messages": [user("x"), both, shown]}));
    let (status, answer) = block_on(answer(&aws(), &call));
    let text = &answer["output"]["message"]["content"][0]["text"];
    assert_eq!((status, text), (200, &json!("The tools answered: {\"a\":[1]} | x")), "{answer}");
}

#[test]
fn cache_points_are_written_and_read() {
    let simulator = aws();
    let point = |ttl: &str| json!({"cachePoint": {"type": "default", "ttl": ttl}});
    let mut call = body(Endpoint::Converse, "hello");
    call["system"] = json!([{"text": "a long system prompt"}, point("1h")]);
    call["messages"][0]["content"] = json!([{"text": "a question"}, point("5m"), {"text": "echo:x"}]);
    let mut usages = Vec::new();
    for _ in 0..2 {
        let (_, answer) = block_on(answer(&simulator, &call));
        let usage = answer["usage"].clone();
        let sum = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]
            .map(|name| usage[name].as_u64().expect("a number"));
        assert_eq!(usage["totalTokens"].as_u64(), Some(sum.iter().sum()));
        usages.push(usage);
    }
    assert_eq!(
        (&usages[0]["cacheWriteInputTokens"], &usages[0]["cacheReadInputTokens"]),
        (&json!(11), &json!(0))
    );
    assert_eq!(
        usages[0]["cacheDetails"],
        json!([{"ttl": "5m", "inputTokens": 6}, {"ttl": "1h", "inputTokens": 5}])
    );
    assert_eq!(
        (&usages[1]["cacheWriteInputTokens"], &usages[1]["cacheReadInputTokens"]),
        (&json!(0), &json!(11))
    );
    let lines: Vec<_> = simulator.invoice().iter().map(|line| line.usage).collect();
    assert_eq!((lines[0].cache_write_5m, lines[0].cache_write_1h, lines[1].cache_read), (6, 5, 11));
}

#[test]
fn reasoning_comes_back_with_its_signature() {
    let simulator = aws();
    let mut first = body(Endpoint::Converse, "hello");
    first["additionalModelRequestFields"] =
        json!({"reasoning_config": {"type": "enabled", "budget_tokens": 2_000}});
    first["inferenceConfig"] = json!({"maxTokens": 4_000});
    let (_, answered) = block_on(answer(&simulator, &first));
    let message = answered["output"]["message"].clone();
    assert!(
        message["content"][0]["reasoningContent"]["reasoningText"]["signature"].is_string(),
        "{answered}"
    );
    let mut next = first.clone();
    next["messages"] = json!([user("hello"), message, user("go on")]);
    assert_eq!(block_on(answer(&simulator, &next)).0, 200);
    next["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]["text"] = json!("something else");
    assert_eq!(block_on(answer(&simulator, &next)).0, 400);
    next["toolConfig"] = tools();
    next["messages"] = json!([user("hello"), called("a"), results(&["a"])]);
    let (status, refusal) = block_on(answer(&simulator, &next));
    assert!(status == 400 && refusal.to_string().contains("Expected `thinking`"), "{refusal}");
}

#[test]
fn a_stream_fails_by_an_exception() {
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..30 {
        let simulator = aws();
        simulator.push_fault(Fault::ErrorMidStream { after_frames: 3 });
        let call = streamed(Endpoint::Converse, &format!("echo:a text of some length {number}"));
        let frames = binary_frames(&block_on(exchange(&simulator, &call)).expect("a stream").2);
        let (name, payload) = frames.last().expect("a frame");
        let payload: Value = serde_json::from_slice(payload).expect("JSON");
        assert!(frames.len() == 4 && payload["message"].is_string());
        seen.insert(name.clone());
    }
    let expected = ["internalServerException", "modelStreamErrorException", "serviceUnavailableException"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn an_endless_frame_says_its_length() {
    let simulator = aws();
    simulator.push_fault(Fault::EndlessEvent { after_frames: 2 });
    let response =
        block_on(simulator.answer(request(&streamed(Endpoint::Converse, "hello")))).expect("an answer");
    let bytes = block_on(response.into_body().collect()).expect("bytes").to_bytes();
    let start = bytes.iter().rposition(|byte| *byte != b'x').expect("a frame") + 1;
    assert_eq!(bytes.len() - start, 64 * 1024 * 1024);
    assert!(bytes[start - 12..].starts_with(&[4, 0, 0, 0]));
}

#[test]
fn errors_have_their_class_in_a_header() {
    let simulator = aws();
    for (status, class) in [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ] {
        simulator.push_fault(Fault::Status { code: status, retry_after: None });
        let (seen, headers, bytes) =
            block_on(exchange(&simulator, &body(Endpoint::Converse, "x"))).expect("an answer");
        let told = headers["x-amzn-errortype"].to_str().expect("text").split(':').next().map(str::to_owned);
        assert_eq!((seen, told.as_deref()), (status, Some(class)));
        let body: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert!(body["message"].is_string() && headers.contains_key("x-amzn-requestid"));
    }
}

#[test]
fn unsigned_requests_are_refused() {
    let mut unsigned = request(&body(Endpoint::Converse, "x"));
    unsigned.headers_mut().remove("authorization");
    let mut wrong = request(&body(Endpoint::Converse, "x"));
    wrong.headers_mut().insert("authorization", "Bearer invalid".parse().expect("a value"));
    for (request, class) in
        [(unsigned, "MissingAuthenticationTokenException"), (wrong, "AccessDeniedException")]
    {
        let (status, headers, _) = block_on(send(&aws(), request)).expect("an answer");
        assert!(status == 403 && headers["x-amzn-errortype"].to_str().expect("text").starts_with(class));
    }
}

#[test]
fn tokens_are_counted_as_they_are_billed() {
    let simulator = aws();
    let call = body(Endpoint::Converse, "how much is this?");
    let (_, answered) = block_on(answer(&simulator, &call));
    let input = json!({"input": {"converse": call.body}});
    let (status, counted) = post(&simulator, &format!("{HAIKU}/count-tokens"), &input);
    assert_eq!((status, &counted["inputTokens"]), (200, &answered["usage"]["inputTokens"]));
    assert_eq!(post(&simulator, &format!("{HAIKU}/count-tokens"), &json!({})).0, 400);
}

#[test]
fn embeddings_are_billed_as_they_are_told() {
    let simulator = aws();
    let titan = "amazon.titan-embed-text-v2%3A0/invoke";
    let (status, answer) = post(&simulator, titan, &json!({"inputText": "a text", "dimensions": 256}));
    assert_eq!((status, answer["embedding"].as_array().map(Vec::len)), (200, Some(256)));
    assert_eq!(answer["inputTextTokenCount"].as_u64(), Some(simulator.invoice()[0].usage.input));
    for body in
        [json!({}), json!({"inputText": "x", "dimensions": 3}), json!({"inputText": "x", "model": "y"})]
    {
        assert_eq!(post(&simulator, titan, &body).0, 400);
    }
}

#[test]
fn a_call_without_arguments_has_no_piece() {
    let mut call = streamed(Endpoint::Converse, "call a tool");
    call["toolConfig"] = tools();
    let events = events(&block_on(exchange(&aws(), &call)).expect("a stream").2);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("type")).collect();
    assert_eq!(kinds, ["messageStart", "contentBlockStart", "contentBlockStop", "messageStop", "metadata"]);
}
