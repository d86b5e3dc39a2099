//! OpenAI's embeddings and Anthropic's counts. Google's and AWS's are beside their other tests.

use crate::support::{Endpoint, answer, body, request, send};
use bytes::Bytes;
use futures::executor::block_on;
use http::Request;
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator};

fn embed(simulator: &Simulator, body: &Value) -> (u16, Value) {
    let request = Request::post("http://openai.test/v1/embeddings")
        .header("authorization", "Bearer sk-1")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let (status, _, bytes) = block_on(send(simulator, request)).expect("an answer");
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

fn embedding_of(input: Value) -> Value {
    json!({"model": "text-embedding-3-small", "input": input, "dimensions": 4})
}

#[test]
fn embeddings_are_billed_as_they_are_told() {
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    let (status, floats) = embed(&simulator, &embedding_of(json!(["a text", "another one"])));
    assert_eq!((status, floats["data"][1]["embedding"].as_array().map(Vec::len)), (200, Some(4)));
    assert_eq!((&floats["usage"]["prompt_tokens"], &floats["usage"]["total_tokens"]), (&json!(5), &json!(5)));
    let line = &simulator.invoice()[0];
    assert_eq!((line.usage.input, line.usage.answer(), line.told, line.nano_usd), (5, 0, true, 100));

    let mut asked = embedding_of(json!("a text"));
    asked["encoding_format"] = json!("base64");
    let (_, encoded) = embed(&simulator, &asked);
    let text = encoded["data"][0]["embedding"].as_str().expect("a text");
    assert_eq!((text.len(), text.ends_with("==")), (24, true));
    let (_, tokens) = embed(&simulator, &embedding_of(json!([1, 2, 3])));
    assert_eq!(tokens["usage"]["prompt_tokens"], 3);

    simulator.push_fault(Fault::NoUsage);
    let (_, untold) = embed(&simulator, &embedding_of(json!("a text")));
    assert!(untold["usage"].is_null() && !simulator.invoice()[3].told);
}

#[test]
fn embeddings_are_refused_by_schema_and_by_rule() {
    let simulator = Simulator::new(Endpoint::Chat.vendor());
    for (body, status, reason) in [
        (json!({"model": "text-embedding-3-small"}), 400, "Missing required parameter: 'input'"),
        (embedding_of(json!("")), 400, "'$.input' is invalid"),
        (embedding_of(json!([])), 400, "'$.input' is invalid"),
        (embedding_of(json!([1, "x"])), 400, "Invalid type for 'input"),
        (embedding_of(json!(vec!["x"; 2_049])), 400, "array too long"),
        (embedding_of(json!("word ".repeat(10_000))), 400, "maximum context length is 8192 tokens"),
        (
            json!({"model": "text-embedding-3-small", "input": "x", "dimensions": 2_000}),
            400,
            "less than or equal to 1536",
        ),
        (json!({"model": "gpt-4o-mini", "input": "x"}), 404, "The model `gpt-4o-mini` does not exist"),
        (
            json!({"model": "text-embedding-3-small", "input": "x", "texts": []}),
            400,
            "Unknown parameter: 'texts'",
        ),
    ] {
        let (seen, answer) = embed(&simulator, &body);
        assert!(seen == status && answer.to_string().contains(reason), "{seen} {answer}");
    }
    let mut chat = body(Endpoint::Chat, "hello");
    chat["model"] = json!("text-embedding-3-small");
    assert_eq!(block_on(answer(&simulator, &chat)).0, 404);
    assert!(simulator.invoice().is_empty());
}

#[test]
fn messages_are_counted_as_they_are_billed() {
    let simulator = Simulator::new(Endpoint::Messages.vendor());
    let mut call = body(Endpoint::Messages, "how much is this?");
    call["system"] = json!("be brief");
    let (_, answered) = block_on(answer(&simulator, &call));
    let count = |body: &Value| {
        let mut request = request(&call);
        *request.uri_mut() = "http://anthropic.test/v1/messages/count_tokens".parse().expect("a URI");
        *request.body_mut() = Bytes::from(body.to_string());
        let (status, _, bytes) = block_on(send(&simulator, request)).expect("an answer");
        (status, serde_json::from_slice::<Value>(&bytes).expect("JSON"))
    };
    let (status, refused) = count(&call.body);
    assert!(
        status == 400 && refused.to_string().contains("max_tokens: Extra inputs are not permitted"),
        "{refused}"
    );
    let mut body = call.body.clone();
    body.as_object_mut().expect("an object").remove("max_tokens");
    assert_eq!(count(&body), (200, json!({"input_tokens": answered["usage"]["input_tokens"]})));
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 2_000});
    assert_eq!(count(&body).0, 200);
    body["messages"] = json!([]);
    assert_eq!(count(&body).0, 400);
    for nonsense in [json!(null), json!([]), json!("x")] {
        assert_eq!(count(&nonsense).0, 400);
    }
    assert_eq!(simulator.invoice().len(), 1);
}
