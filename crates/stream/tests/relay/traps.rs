//! Oddities of real providers' streams, each with a recording that shows it.

use serde_json::{Value, json};
use weighbridge_units::{Bucket, ErrorClass, Protocol};

use crate::fixtures::recorded;
use crate::support::*;

/// A recorded stream, bridged to a client of the other protocol; `None` where there are no recordings.
fn bridged(provider: Protocol, name: &str) -> Option<Ran> {
    let all = recorded(provider, "stream.sse");
    let client = if provider == OpenAiChat { AnthropicMessages } else { OpenAiChat };
    let found = all.iter().find(|(found, _)| found == name);
    assert!(found.is_some() || all.is_empty(), "{name} is missing");
    found.map(|(_, stream)| run(&options(provider, client), stream.chunks(100)))
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

fn count(ran: &Ran, bucket: Bucket) -> u64 {
    ran.facts().usage.unwrap().get(bucket)
}

#[test]
fn cached_tokens_are_counted_once() {
    let name = "anthropic--anthropic-completion-stream-cache-read";
    let Some(ran) = bridged(AnthropicMessages, name) else { return };
    let usage = found(&frames(&ran), "/usage").pop().unwrap();
    // The last frame tells the output only.
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(11 + 1031), &json!(100)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 1031);
}

#[test]
fn reasoning_that_is_in_no_total() {
    let Some(ran) = bridged(OpenAiChat, "vercel-ai-gateway--thinking-streaming-2") else { return };
    assert_eq!((count(&ran, Bucket::Output), count(&ran, Bucket::Reasoning)), (14, 43));
    let usage = found(&frames(&ran), "/usage").pop().unwrap();
    assert_eq!(usage["output_tokens"], 14 + 43);
}

#[test]
fn usage_after_the_end() {
    let Some(ran) = bridged(OpenAiChat, "azure--completion-azure-stream") else { return };
    let frames = frames(&ran);
    assert_eq!(found(&frames, "/delta/stop_reason"), [json!("end_turn")]);
    assert_eq!(found(&frames, "/usage/output_tokens").pop(), Some(json!(24)));
    // The first chunk has neither choices nor an id.
    assert_eq!(found(&frames, "/message/content"), [json!([])]);
}

/// Later figures take the place of earlier ones; a second model's are in neither, but they are billed.
#[test]
fn figures_that_replace_others() {
    let name = "anthropic--anthropic-advisor-tool-stream";
    let Some(ran) = bridged(AnthropicMessages, name) else { return };
    assert_eq!(count(&ran, Bucket::Input), 1128 + 2543 + 1283);
    assert_eq!(ran.facts().usage.unwrap().answer(), 135 + 18 + 10);
}

#[test]
fn an_answer_without_any_block() {
    let Some(ran) = bridged(AnthropicMessages, "anthropic--anthropic-refusal") else { return };
    let frames = frames(&ran);
    assert_eq!(found(&frames, "/choices/0/finish_reason"), [json!("content_filter")]);
    assert_eq!(found(&frames, "/choices/0/delta/refusal").len(), 1, "{}", ran.text());
}

#[test]
fn two_ends_and_none() {
    let name = "openrouter--document-file-data-streaming-document-file-data-roundtrip-live";
    let Some(ran) = bridged(OpenAiChat, name) else { return };
    assert_eq!(found(&frames(&ran), "/delta/stop_reason"), [json!("end_turn")]);
    let Some(ran) = bridged(OpenAiChat, "snowflake--snowflake-model-streaming") else { return };
    assert_eq!(found(&frames(&ran), "/delta/stop_reason"), [json!("end_turn")]);
    assert!(ran.end.is_complete());
}

#[test]
fn errors_in_the_middle() {
    let Some(ran) = bridged(OpenAiChat, "openrouter--openrouter-stream-error") else { return };
    assert_eq!(ran.error().message, "Token limit reached");
    let Some(ran) = bridged(OpenAiChat, "groq--tool-use-failed-error-streaming-with-text-1") else { return };
    assert_eq!(ran.error().class, ErrorClass::BadRequest);
    assert_eq!(found(&frames(&ran), "/error/message").len(), 1);
}

#[test]
fn ids_that_change() {
    for name in ["perplexity--streaming-streaming-smoke", "avian--multi-tool-streaming-2"] {
        let Some(ran) = bridged(OpenAiChat, name) else { return };
        assert_eq!(found(&frames(&ran), "/message/id").len(), 1, "{name}");
        assert!(ran.end.is_complete(), "{name}");
    }
}

#[test]
fn calls_with_gaps_in_their_numbers_and_calls_in_one_piece() {
    let names = [
        "xai--anthropic-fallback-tool-call",
        "mistral--tool-lifecycle-matrix-streaming-ministral-3b-nested-agent",
    ];
    for name in names {
        let Some(ran) = bridged(OpenAiChat, name) else { return };
        let frames = frames(&ran);
        let starts = found(&frames, "/content_block");
        let calls: Vec<&Value> = starts.iter().filter(|block| block["type"] == "tool_use").collect();
        assert!(!calls.is_empty(), "{name}");
        let input: String = found(&frames, "/delta/partial_json").iter().filter_map(Value::as_str).collect();
        assert!(serde_json::from_str::<Value>(&input).is_ok() || calls.len() > 1, "{name}: {input}");
        assert_eq!(found(&frames, "/delta/stop_reason"), [json!("tool_use")], "{name}");
    }
}

/// A text after a call stands before it in Chat, which has one text; nothing of it is lost.
#[test]
fn texts_around_calls_and_between_citations() {
    for (name, texts) in [
        ("anthropic--anthropic-tool-search-regex-1", 1),
        ("anthropic--chat-citations-with-anthropic-claude-haiku-4-5-streams-citations", 1),
    ] {
        let Some(ran) = bridged(AnthropicMessages, name) else { return };
        let own: String = recorded(AnthropicMessages, "stream.sse")
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, stream)| {
                let stream = String::from_utf8(stream).unwrap();
                let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
                data.filter_map(|data| serde_json::from_str::<Value>(data).ok())
                    .filter(|frame| frame["delta"]["type"] == "text_delta")
                    .filter_map(|frame| frame["delta"]["text"].as_str().map(str::to_owned))
                    .collect()
            })
            .unwrap();
        let frames = frames(&ran);
        let text: String =
            found(&frames, "/choices/0/delta/content").iter().filter_map(Value::as_str).collect();
        assert_eq!(text, own, "{name}");
        assert!(!own.is_empty() && found(&frames, "/choices/0/finish_reason").len() == texts, "{name}");
    }
}

#[test]
fn probabilities_of_tokens() {
    let Some(ran) = bridged(OpenAiChat, "openai--openai-logprobs") else { return };
    let lost: Vec<String> = ran.facts().losses.iter().map(ToString::to_string).collect();
    assert!(lost.iter().any(|loss| loss.contains("probabilities of tokens")), "{lost:?}");
}
