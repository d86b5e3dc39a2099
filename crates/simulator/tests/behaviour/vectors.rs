//! Vectors at Vertex AI and Bedrock: what is answered, what is refused, who tells the tokens.

use crate::support::send;
use bytes::Bytes;
use futures::executor::block_on;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use weighbridge_simulator::{Fault, Simulator, Vendor};

fn post(simulator: &Simulator, path: &str, body: &Value) -> (u16, HeaderMap, Value) {
    let request = Request::post(format!("http://vectors.test{path}"))
        .header("authorization", "Bearer t")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let (status, headers, bytes) = block_on(send(simulator, request)).expect("an answer");
    (status, headers, serde_json::from_slice(&bytes).expect("JSON"))
}

fn vertex(call: &str) -> String {
    format!("/v1/projects/p/locations/global/publishers/google/models/{call}")
}

fn size(values: &Value) -> Option<usize> {
    values.as_array().map(Vec::len)
}

#[test]
fn vertex_has_three_calls() {
    let google = Simulator::new(Vendor::Google);
    let instances = json!({
        "instances": [{"content": "a text", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"}, {"content": "b"}],
        "parameters": {"outputDimensionality": 8},
    });
    let (status, _, answer) = post(&google, &vertex("text-embedding-005:predict"), &instances);
    let first = &answer["predictions"][0]["embeddings"];
    assert_eq!((status, size(&first["values"])), (200, Some(8)));
    assert_eq!(first["statistics"], json!({"truncated": false, "token_count": 2}));

    let content = json!({"parts": [{"text": "a text"}]});
    let one = json!({"content": content, "embedContentConfig": {"outputDimensionality": 8}});
    let (_, _, answer) = post(&google, &vertex("gemini-embedding-2:embedContent"), &one);
    assert_eq!(size(&answer["embedding"]["values"]), Some(8));
    assert_eq!(answer["usageMetadata"]["promptTokenCount"], 2);
    let both = json!({"requests": [one, one]});
    let (_, _, answer) = post(&google, &vertex("gemini-embedding-001:batchEmbedContents"), &both);
    assert_eq!(size(&answer["embeddings"]), Some(2));
    let lines = google.invoice();
    assert_eq!([0, 1, 2].map(|line| lines[line].usage.input), [3, 2, 4]);
}

#[test]
fn vertex_refuses_what_its_sdk_does_not_send() {
    let google = Simulator::new(Vendor::Google);
    let content = json!({"parts": [{"text": "a text"}]});
    let predict = "text-embedding-005:predict";
    let embed = "gemini-embedding-2:embedContent";
    for (call, body, reason) in [
        (predict, json!({"instances": []}), "allowed per prediction"),
        (
            predict,
            json!({"instances": [{"content": "x", "taskType": "CLUSTERING"}]}),
            "Unknown name \"taskType\"",
        ),
        (predict, json!({"instances": [{"content": "x", "title": "t"}]}), "only valid with the task type"),
        (predict, json!({"instances": [{"content": "x", "task_type": "X"}]}), "Invalid task type"),
        (
            predict,
            json!({"instances": [{"content": "x"}], "parameters": {"outputDimensionality": 769}}),
            "between 1 and 768",
        ),
        (
            embed,
            json!({"content": content, "outputDimensionality": 8}),
            "Unknown name \"outputDimensionality\"",
        ),
        (embed, json!({"content": {}}), "content is not specified"),
        (
            "text-embedding-005:embedContent",
            json!({"content": content}),
            "is not supported in the embedContent",
        ),
        (
            "gemini-embedding-2:predict",
            json!({"instances": [{"content": "x"}]}),
            "is not supported in the predict",
        ),
    ] {
        let (status, _, error) = post(&google, &vertex(call), &body);
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(reason), "{call} {body}: {error}");
    }
    let gemini = "/v1beta/models/text-embedding-005:embedContent";
    assert_eq!(post(&google, gemini, &json!({"content": content})).0, 404);
}

#[test]
fn bedrocks_makers_have_formats_of_their_own() {
    let aws = Simulator::new(Vendor::Aws);
    let cohere = "/model/cohere.embed-v4%3A0/invoke";
    let texts = json!({"texts": ["a text", "b"], "input_type": "search_query", "output_dimension": 256});
    let (status, headers, answer) = post(&aws, cohere, &texts);
    assert_eq!((status, size(&answer["embeddings"][1])), (200, Some(256)));
    assert_eq!(headers["x-amzn-bedrock-input-token-count"], "3");
    let mut typed = texts.clone();
    typed["embedding_types"] = json!(["float"]);
    let (_, _, answer) = post(&aws, cohere, &typed);
    assert_eq!(answer["response_type"], "embeddings_by_type");
    assert_eq!(size(&answer["embeddings"]["float"]), Some(2));
    // Without the header nobody tells.
    aws.push_fault(Fault::NoUsage);
    let (_, headers, _) = post(&aws, cohere, &texts);
    assert!(!headers.contains_key("x-amzn-bedrock-input-token-count"));
    assert_eq!(aws.invoice()[2].usage.input, 3);
    let v3 = "/model/cohere.embed-multilingual-v3/invoke";
    for (path, body, reason) in [
        (v3, texts.clone(), "extraneous key [output_dimension]"),
        (v3, json!({"texts": ["x"]}), "required key [input_type]"),
        (cohere, json!({"texts": vec!["x"; 97], "input_type": "search_query"}), "#/texts:"),
        (cohere, json!({"texts": ["x"], "input_type": "query"}), "#/input_type:"),
        (
            "/model/amazon.titan-embed-text-v1/invoke",
            json!({"inputText": "x", "dimensions": 256}),
            "extraneous key [dimensions]",
        ),
    ] {
        let (status, _, error) = post(&aws, path, &body);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(reason), "{path}: {error}");
    }
}
