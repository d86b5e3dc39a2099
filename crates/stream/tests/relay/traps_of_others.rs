//! Oddities of Responses, Gemini and Bedrock in streams, each with a recording that shows it.

use serde_json::{Value, json};
use weighbridge_stream::{Framing, RelayOptions, fold_stream};
use weighbridge_translate::{Content, FinishReason};
use weighbridge_units::{Bucket, Protocol};

use crate::fixtures::recorded;
use crate::support::*;

use Protocol::{GeminiGenerateContent, OpenAiResponses};

/// The bytes of a recorded stream; `None` where there are no recordings.
fn recording(provider: Protocol, name: &str) -> Option<Vec<u8>> {
    let file = if provider == BedrockConverse { "stream.bin" } else { "stream.sse" };
    let all = recorded(provider, file);
    let found = all.iter().find(|(found, _)| found == name);
    assert!(found.is_some() || all.is_empty(), "{name} is missing");
    found.map(|(_, stream)| stream.clone())
}

fn bridged(provider: Protocol, client: Protocol, name: &str) -> Option<Ran> {
    let stream = recording(provider, name)?;
    let framing = if provider == BedrockConverse { Framing::AwsEventStream } else { Framing::Sse };
    Some(run(&RelayOptions { framing, ..options(provider, client) }, stream.chunks(100)))
}

/// The JSON of a stream's frames.
fn frames(ran: &Ran) -> Vec<Value> {
    let data = ran.text().lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// What is found under one pointer in the frames, one after the other.
fn found(frames: &[Value], pointer: &str) -> Vec<Value> {
    let values = frames.iter().filter_map(|frame| frame.pointer(pointer));
    values.filter(|value| !value.is_null()).cloned().collect()
}

fn joined(values: &[Value]) -> String {
    values.iter().filter_map(Value::as_str).collect()
}

#[test]
fn trap_4_usage_that_comes_behind_the_stop() {
    let name = "aws-bedrock--bedrock-converse-stream-prompt-caching-2";
    let Some(ran) = bridged(BedrockConverse, AnthropicMessages, name) else { return };
    let usage = ran.facts().usage.unwrap();
    assert!(usage.get(Bucket::CacheRead) > 0 && usage.answer() > 0, "{usage:?}");
    let told = found(&frames(&ran), "/usage").pop().unwrap();
    assert_eq!(told["cache_read_input_tokens"], usage.get(Bucket::CacheRead));
    assert_eq!(told["input_tokens"], usage.get(Bucket::Input));
}

#[test]
fn trap_7_a_text_that_nothing_opens() {
    let name = "aws-bedrock--bedrock-model-iter-stream-2";
    let Some(ran) = bridged(BedrockConverse, AnthropicMessages, name) else { return };
    let frames = frames(&ran);
    assert_eq!(found(&frames, "/content_block/type"), [json!("text")]);
    let text = "The current temperature in Paris, the capital of France, is 30°C.";
    assert_eq!(joined(&found(&frames, "/delta/text")), text);
}

#[test]
fn trap_8_content_without_parts() {
    let name = "google-ai-studio--streaming-success-empty-parts";
    for client in [OpenAiChat, AnthropicMessages, OpenAiResponses] {
        let Some(ran) = bridged(GeminiGenerateContent, client, name) else { return };
        assert!(ran.end.is_complete(), "{client}: {:?}", ran.end);
        assert!(ran.text().contains(" with a ball of"), "{client}");
        assert_eq!(ran.facts().usage.unwrap().prompt(), 16, "{client}");
    }
}

#[test]
fn trap_11_ids_of_items_that_change() {
    let name = "copilot--reasoning-roundtrip-streaming-1";
    let Some(ran) = bridged(OpenAiResponses, OpenAiChat, name) else { return };
    assert!(ran.end.is_complete(), "{:?}", ran.end);
    let frames = frames(&ran);
    let mut ids = found(&frames, "/id");
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert!(joined(&found(&frames, "/choices/0/delta/content")).starts_with(r"Let \("));
    // Of reasoning without a word, what is encrypted is all there is.
    let details: Vec<Value> = found(&frames, "/choices/0/delta/reasoning_details/0/data");
    assert_eq!(details, [json!("encrypted_content_REDACTED_2")]);
}

/// The signature of a text stands on an empty text behind it, and comes back from a client of another
/// protocol.
#[test]
fn trap_13_a_signature_on_an_empty_text() {
    for name in ["google-ai-studio--google-web-fetch-2", "google-ai-studio--google-document"] {
        let Some(stream) = recording(GeminiGenerateContent, name) else { return };
        let text = String::from_utf8(stream).unwrap();
        let signature = text.split(r#""thoughtSignature": ""#).nth(1).unwrap().split('"').next().unwrap();
        assert!(signature.len() > 100);
        // An answer of Messages must not end with thinking, so that one says what it has left out.
        let ran = bridged(GeminiGenerateContent, AnthropicMessages, name).unwrap();
        assert!(ran.facts().losses.iter().any(|loss| loss.reason.contains("does not end with thinking")));
        for client in [OpenAiChat, OpenAiResponses] {
            let ran = bridged(GeminiGenerateContent, client, name).unwrap();
            assert!(ran.text().contains(signature), "{name} to {client}");
            let (folder, _) = fold_stream(client, Framing::Sse, &ran.bytes, 1 << 24);
            let answer = folder.answer();
            let proofs: Vec<String> = (answer.candidates[0].parts.iter())
                .filter_map(|part| match &part.content {
                    Content::Reasoning(reasoning) => reasoning.proof.as_ref().map(|p| p.data.to_string()),
                    _ => None,
                })
                .collect();
            assert_eq!(proofs, [signature], "{name} to {client}");
        }
    }
}

#[test]
fn trap_14_tools_that_openai_ran_itself() {
    let name = "openai--openai-code-interpreter-tool-1";
    for client in [OpenAiChat, AnthropicMessages, GeminiGenerateContent] {
        let Some(ran) = bridged(OpenAiResponses, client, name) else { return };
        assert!(ran.end.is_complete(), "{client}: {:?}", ran.end);
        assert_eq!(ran.facts().finish, Some(FinishReason::Stop), "{client}");
        for forbidden in ["tool_calls", "tool_use", "functionCall"] {
            assert!(!ran.text().contains(&format!("\"{forbidden}\"")), "{client}: {forbidden}");
        }
        let lost = &ran.facts().losses;
        for part in ["/content/1", "/content/3", "/content/5"] {
            assert!(lost.iter().any(|loss| loss.pointer == part), "{client}: {lost:?}");
        }
    }
}

#[test]
fn trap_17_a_refusal_in_its_own_channel() {
    let name = "openai--refusal-matrix-responses-streaming-refusal-delta-surfaces";
    let Some(ran) = bridged(OpenAiResponses, OpenAiChat, name) else { return };
    let frames = frames(&ran);
    let refusal = joined(&found(&frames, "/choices/0/delta/refusal"));
    assert!(refusal.starts_with("I'm sorry, I can't assist"), "{refusal}");
    assert_eq!(joined(&found(&frames, "/choices/0/delta/content")), "");
    let Some(ran) = bridged(OpenAiResponses, AnthropicMessages, name) else { return };
    assert_eq!(found(&self::frames(&ran), "/delta/stop_reason"), [json!("refusal")]);
}

#[test]
fn trap_19_what_google_cached_is_inside_the_prompt() {
    let name = "google-ai-studio--cached-content-matrix-use-streaming-2";
    let Some(ran) = bridged(GeminiGenerateContent, AnthropicMessages, name) else { return };
    let told = found(&frames(&ran), "/usage").pop().unwrap();
    let counts = (&told["input_tokens"], &told["cache_read_input_tokens"], &told["output_tokens"]);
    assert_eq!(counts, (&json!(6), &json!(1081), &json!(2)));
}

#[test]
fn trap_25_a_guardrail_tells_what_it_did() {
    let name = "aws-bedrock--guardrail-converse-stream";
    let Some(ran) = bridged(BedrockConverse, OpenAiChat, name) else { return };
    assert_eq!(found(&frames(&ran), "/choices/0/finish_reason"), [json!("content_filter")]);
    let lost = &ran.facts().losses;
    assert!(lost.iter().any(|loss| loss.pointer == "/trace"), "{lost:?}");
}
