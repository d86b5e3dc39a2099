//! Azure: what its filters add, its errors, its credentials. Which bodies it refuses is beside its paths.

use crate::support::{events, send};
use bytes::Bytes;
use futures::executor::block_on;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use weighbridge_simulator::{Chunking, Fault, Simulator, Vendor};

const CHAT: &str = "/openai/v1/chat/completions";

fn ask(text: &str, stream: bool) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], "stream": stream})
}

fn post(azure: &Simulator, path: &str, header: (&str, &str), body: &Value) -> (u16, HeaderMap, Bytes) {
    let request = Request::post(format!("http://azure.test{path}"))
        .header(header.0, header.1)
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    block_on(send(azure, request)).expect("an answer")
}

fn answer(azure: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    let (status, _, bytes) = post(azure, path, ("api-key", "k"), body);
    (status, serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn filters_annotate_what_openai_would_answer() {
    let azure = Simulator::builder(Vendor::Azure).chunking(Chunking::PerFrame).build();
    let (status, whole) = answer(&azure, CHAT, &ask("echo:Hi", false));
    assert_eq!((status, &whole["choices"][0]["message"]["content"]), (200, &json!("Hi")));
    assert_eq!(whole["choices"][0]["content_filter_results"]["hate"]["severity"], "safe");
    assert_eq!(whole["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"], false);
    // What was filtered is not there.
    let (_, filtered) = answer(&azure, CHAT, &ask("forbidden", false));
    assert_eq!(filtered["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(filtered["choices"][0]["content_filter_results"]["hate"]["filtered"], true);
    assert!(filtered["choices"][0].get("message").is_none());

    let (_, _, stream) = post(&azure, CHAT, ("authorization", "Bearer t"), &ask("forbidden", true));
    let chunks = events(&stream);
    assert_eq!((&chunks[0]["choices"], &chunks[0]["id"]), (&json!([]), &json!("")));
    assert!(chunks[0]["prompt_filter_results"].is_array());
    let bare = |chunk: &&Value| chunk["choices"][0].is_object() && chunk["choices"][0].get("delta").is_none();
    assert_eq!(chunks.iter().filter(bare).count(), 1);
    let last = &chunks[chunks.len() - 1]["choices"][0];
    assert_eq!((&last["finish_reason"], &last["delta"]), (&json!("content_filter"), &json!({})));

    let input = json!({"model": "gpt-4o-mini", "input": "echo:Hi"});
    let (_, response) = answer(&azure, "/openai/v1/responses", &input);
    assert_eq!(response["content_filters"][0]["source_type"], "prompt");
    assert!(azure.invoice().iter().all(|line| line.vendor == Vendor::Azure && line.nano_usd > 0));
}

#[test]
fn deployments_have_paths_and_vectors() {
    let azure = Simulator::new(Vendor::Azure);
    let path = "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21";
    let (status, _) = answer(&azure, path, &json!({"messages": [{"role": "user", "content": "x"}]}));
    assert_eq!(status, 200);
    let path = "/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21";
    let (status, vectors) = answer(&azure, path, &json!({"input": "x", "dimensions": 4}));
    assert_eq!((status, vectors["data"][0]["embedding"].as_array().map(Vec::len)), (200, Some(4)));
}

#[test]
fn errors_come_from_the_gateway_or_from_the_model() {
    let azure = Simulator::new(Vendor::Azure);
    let (status, error) = answer(&azure, CHAT, &json!({"model": "mine", "messages": []}));
    assert_eq!((status, &error["error"]["code"]), (404, &json!("DeploymentNotFound")));
    assert!(error["error"].get("type").is_none());
    let (status, _, bytes) = post(&azure, CHAT, ("x-api-key", "k"), &ask("x", false));
    let error: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!((status, &error["error"]["code"]), (401, &json!("401")));
    let (status, error) = answer(&azure, CHAT, &json!({"model": "gpt-4o-mini"}));
    assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")));

    azure.push_fault(Fault::ContentPolicy);
    let (status, error) = answer(&azure, CHAT, &ask("x", false));
    assert_eq!((status, &error["error"]["code"]), (400, &json!("content_filter")));
    assert_eq!(error["error"]["innererror"]["code"], "ResponsibleAIPolicyViolation");
    azure.push_fault(Fault::Status { code: 429, retry_after: Some(6) });
    let (status, headers, bytes) = post(&azure, CHAT, ("api-key", "k"), &ask("x", false));
    assert_eq!((status, headers["retry-after"].as_bytes()), (429, &b"6"[..]));
    assert!(String::from_utf8_lossy(&bytes).contains("Please retry after 6 seconds."));
    assert!(azure.invoice().is_empty());
}
