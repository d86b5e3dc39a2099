//! Oddities of real providers, each with a recording that shows it.
//!
//! Where each trap of the wire formats has its test, whole (here, and in `tests/converse/traps.rs`,
//! `tests/openai_responses/traps.rs`, `tests/gemini/traps.rs`) and streamed (`weighbridge-stream`,
//! `tests/relay/traps.rs` and `traps_of_others.rs`):
//!
//! | trap | tests |
//! |---|---|
//! | 1 caches counted inside or beside the input | `cached_tokens_are_counted_once` (both), `trap_1_…` of Converse, `cached_and_reasoning_tokens_are_inside_their_wholes` |
//! | 2 reasoning outside of the completion | `reasoning_that_is_not_among_the_completion_tokens`, `reasoning_that_is_in_no_total` |
//! | 3 more cached than prompt tokens | `more_cached_tokens_than_prompt_tokens` |
//! | 4 usage behind the stop | `usage_after_the_end`, `trap_4_…` |
//! | 5 later input figures | `figures_that_replace_others` |
//! | 6 Gemini's `STOP` with calls and without ids | `tests/gemini/traps.rs` |
//! | 7 a text that nothing opens | `trap_7_…` |
//! | 8 no choices, content or parts | `usage_after_the_end`, `an_answer_without_any_block`, `trap_8_…` (both) |
//! | 9 two stops, or none | `two_ends_and_none` |
//! | 10 an error under a status of success | `an_error_under_status_200`, `errors_in_the_middle`, `trap_10_…` |
//! | 11 ids that change | `ids_that_change`, `trap_11_…` |
//! | 12 gaps between calls, calls in one piece | `calls_with_gaps_in_their_numbers_and_calls_in_one_piece` |
//! | 13 signatures and sealed reasoning | `sealed_thinking_is_kept`, `trap_13_…` (both), `tests/examples/reasoning.rs` and `history.rs` |
//! | 14 tools of the provider | `calls_that_the_provider_made_itself`, `calls_that_the_providers_code_made`, `trap_14_…` (both) |
//! | 15 texts after calls, and between citations | `texts_around_calls_and_between_citations`, `trap_15_…` |
//! | 16 a list as content | `content_that_is_a_list_in_an_answer` |
//! | 17 refusals | `a_refusal_in_words`, `refusals_are_parts_of_messages`, `trap_17_…` |
//! | 18 instructions anywhere | `instructions_in_the_middle`, `instructions_may_stand_anywhere` |
//! | 19 hints for the cache | `hints_for_the_cache`, `a_cache_that_has_a_name`, `trap_19_…` |
//! | 20 media by address | `trap_20_…` of Converse, `tests/examples/dialects.rs`, `media_are_addresses_bytes_and_files` |
//! | 21 functions before tools | `functions_before_tools` |
//! | 22 probabilities | `probabilities_of_tokens`, `tests/gemini/traps.rs` |
//! | 23 embeddings | are not translated in this crate's conversations |
//! | 24 codes of any type | `codes_of_errors_are_of_any_type`, `codes_of_errors_may_be_numbers_…` |
//! | 25 what only one provider tells | `extensions_of_providers`, `trap_25_…` (both) |
//! | 26 an error without a field in a stream | `a_recorded_error_without_a_field_is_found` |

use serde_json::{Value, json};
use weighbridge_translate::{
    AnswerTarget, Losses, RequestTarget, TranslateError, adapter, decode_error, request, response,
};
use weighbridge_units::Protocol::{
    self, AnthropicMessages, BedrockConverse, GeminiGenerateContent, OpenAiChat, OpenAiResponses,
};
use weighbridge_units::{Bucket, ErrorClass, Usage};

use crate::parse;
use crate::recordings::{Recording, recordings};

/// One recording; `None` where the recordings are not there.
fn recording(protocol: Protocol, name: &str, file: &str) -> Option<String> {
    let all = recordings(protocol, file);
    let found = all.into_iter().find(|recording| recording.name == name).map(|found| found.text);
    // Another recording of the folder is there, so this one must be.
    assert!(found.is_some() || recordings(protocol, "request.json").is_empty(), "{name} is missing");
    found
}

fn other(protocol: Protocol) -> Protocol {
    if protocol == OpenAiChat { AnthropicMessages } else { OpenAiChat }
}

/// A recorded answer for a client of the other protocol, the losses after it, and what was used.
fn answered(provider: Protocol, name: &str) -> Option<(Value, String, Usage)> {
    let text = recording(provider, name, "response.json")?;
    let target = AnswerTarget::new("made-up", 1_700_000_000);
    let translated = response(provider, other(provider), &text, &target).unwrap();
    let losses = translated.losses.iter().map(|loss| format!("{loss}\n")).collect();
    let (body, facts) = translated.value;
    Some((serde_json::from_slice(&body).unwrap(), losses, facts.usage.unwrap_or_default()))
}

/// A recorded request for a provider of the other protocol.
fn requested(client: Protocol, name: &str, model: &str) -> Option<(Value, String)> {
    let text = recording(client, name, "request.json")?;
    let target = RequestTarget { max_output_default: 99, ..RequestTarget::new(model) };
    let translated = request(client, other(client), &text, &target).unwrap();
    let losses = translated.losses.iter().map(|loss| format!("{loss}\n")).collect();
    Some((serde_json::from_slice(&translated.value).unwrap(), losses))
}

/// What Chat counts inside the prompt stands beside it in Messages.
#[test]
fn cached_tokens_are_counted_once() {
    let name = "anthropic--anthropic-completion-cache-write-1h-ttl";
    let Some((body, losses, usage)) = answered(AnthropicMessages, name) else { return };
    assert_eq!(usage.get(Bucket::CacheWrite1h), 2056);
    assert_eq!(body["usage"]["prompt_tokens"], 17 + 2056);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cache_write_tokens"], 2056);
    assert!(losses.contains("`cache_write_1h`"), "{losses}");
}

#[test]
fn reasoning_that_is_not_among_the_completion_tokens() {
    let Some((body, _, usage)) = answered(OpenAiChat, "xai--simple-object") else { return };
    assert_eq!((usage.get(Bucket::Output), usage.get(Bucket::Reasoning)), (44, 502));
    assert_eq!(usage.prompt() + usage.answer(), 975);
    assert_eq!(body["usage"]["output_tokens"], 44 + 502);
}

#[test]
fn more_cached_tokens_than_prompt_tokens() {
    let name = "azure--chat-with-params-azure-grok-4-1-fast-non-reasoning-supports-response-f";
    let Some((body, _, usage)) = answered(OpenAiChat, name) else { return };
    assert_eq!((usage.get(Bucket::Input), usage.get(Bucket::CacheRead)), (29, 157));
    assert_eq!(body["usage"]["cache_read_input_tokens"], 157);
}

/// The first recording was made by a proxy that answers 200 whatever happened.
#[test]
fn an_error_under_status_200() {
    let Some(text) = recording(OpenAiChat, "azure--prompt-content-filtering-1", "response.json") else {
        return;
    };
    let target = AnswerTarget::new("made-up", 1_700_000_000);
    match response(OpenAiChat, AnthropicMessages, &text, &target) {
        Err(TranslateError::InBandError(error)) => {
            assert_eq!((error.status, error.class), (400, ErrorClass::ContentPolicy));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sealed_thinking_is_kept() {
    let name = "anthropic--anthropic-model-thinking-part-redacted-1";
    let Some((body, losses, _)) = answered(AnthropicMessages, name) else { return };
    let details = &body["choices"][0]["message"]["reasoning_details"];
    assert_eq!(details[0]["type"], "reasoning.encrypted");
    assert_eq!(details[0]["format"], "anthropic-claude-v1");
    assert!(!losses.contains("thinking"), "{losses}");
}

/// A client that was told to run them would not find them.
#[test]
fn calls_that_the_provider_made_itself() {
    let Some((body, losses, usage)) = answered(AnthropicMessages, "anthropic--anthropic-web-search-1") else {
        return;
    };
    let message = &body["choices"][0]["message"];
    assert_eq!(
        (&message["tool_calls"], &body["choices"][0]["finish_reason"]),
        (&Value::Null, &json!("stop"))
    );
    assert!(message["annotations"].as_array().is_some_and(|list| !list.is_empty()), "{message}");
    assert!(losses.contains("`server_tool_use`") && losses.contains("`web_search_tool_result`"), "{losses}");
    assert_eq!(usage.get(Bucket::WebSearch), 1);
}

/// Calls of the client's tools that code at the provider made are the client's, and the code is not.
#[test]
fn calls_that_the_providers_code_made() {
    let name = "anthropic--anthropic-programmatic-tool-calling-1";
    let Some((body, losses, _)) = answered(AnthropicMessages, name) else { return };
    let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert!(calls.len() > 1);
    assert!(calls.iter().all(|call| call["function"]["name"] == "rollDie"), "{calls:?}");
    assert!(
        losses.contains("`server_tool_use`") && losses.contains("`code_execution_tool_result`"),
        "{losses}"
    );
}

/// Converse counts caches beside the input, under two names each.
#[test]
fn what_bedrock_cached_is_counted_once() {
    let name = "aws-bedrock--bedrock-cache-usage-includes-cache-tokens";
    let Some((body, _, usage)) = answered(BedrockConverse, name) else { return };
    assert_eq!((usage.get(Bucket::Input), usage.get(Bucket::CacheRead)), (13, 1504));
    assert_eq!(body["usage"]["prompt_tokens"], 13 + 1504);
    assert_eq!(body["usage"]["total_tokens"], 1522);
}

/// Gemini's caches have names, and other providers know none.
#[test]
fn a_cache_that_has_a_name() {
    let name = "google-ai-studio--cached-content-matrix-use-streaming-2";
    let Some((_, losses)) = requested(GeminiGenerateContent, name, "gpt-4o") else { return };
    assert!(losses.contains("dropped /cachedContent"), "{losses}");
}

/// What OpenAI says on the way and what it says in the end are two messages.
#[test]
fn two_messages_of_one_answer() {
    let Some((body, losses, _)) = answered(OpenAiResponses, "openai--openai-phase-1") else { return };
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("I’ll quickly check") && text.contains("Here are some **latest"), "{text}");
    assert!(losses.contains("phase"), "{losses}");
}

#[test]
fn content_that_is_a_list_in_an_answer() {
    let name = "mistral--chat-with-extended-thinking-mistral-mistral-small-latest-preserves-thi-2";
    let Some((body, _, _)) = answered(OpenAiChat, name) else { return };
    let kinds: Vec<&str> =
        body["content"].as_array().unwrap().iter().filter_map(|block| block["type"].as_str()).collect();
    assert_eq!(kinds, ["thinking", "text"]);
    assert_eq!(body["content"][1]["text"], "8 × 2 equals 16.");
}

#[test]
fn a_refusal_in_words() {
    let Some((body, _, _)) = answered(OpenAiChat, "openai--async-parsed-refused-completion-1") else {
        return;
    };
    assert_eq!(body["stop_reason"], "refusal");
    assert_eq!(body["content"][0]["text"], "I'm very sorry, but I can't assist with that request.");
}

#[test]
fn instructions_in_the_middle() {
    let name = "anthropic--native-tool-availability-delta";
    let Some((body, losses)) = requested(AnthropicMessages, name, "gpt-5.1") else { return };
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().filter_map(|message| message["role"].as_str()).collect();
    // Which tools there are from now on cannot be said, and nothing is left of the message.
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert!(losses.contains("/messages/3/content/0"), "{losses}");
}

#[test]
fn hints_for_the_cache() {
    let name = "anthropic--anthropic-completion-cache-write-1h-ttl";
    let Some((body, losses)) = requested(AnthropicMessages, name, "gpt-5.6") else { return };
    let text = body.to_string();
    assert!(text.contains(r#""prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}"#), "{text}");
    assert!(losses.contains("12h instead of 1h"), "{losses}");
}

#[test]
fn functions_before_tools() {
    let name = "openai--open-ai-function-calls-1";
    let Some((body, losses)) = requested(OpenAiChat, name, "claude-sonnet-4-5") else { return };
    assert_eq!(body["tools"][0]["name"], "get_current_weather");
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert!(!losses.contains("function"), "{losses}");
    let Some((body, _, _)) = answered(OpenAiChat, name) else { return };
    assert_eq!((&body["stop_reason"], &body["content"][0]["type"]), (&json!("tool_use"), &json!("tool_use")));
    assert_ne!(body["content"][0]["id"], "");
}

/// Fields that only their provider knows are reported one by one, and kept for their own protocol.
#[test]
fn extensions_of_providers() {
    let mut reported = Vec::new();
    for Recording { text, status, .. } in recordings(OpenAiChat, "response.json") {
        if status >= 400 {
            continue;
        }
        let Ok(answer) = adapter(OpenAiChat).decode_answer(parse(&text)) else { continue };
        let mut losses = Losses::new(OpenAiChat, AnthropicMessages);
        let target = AnswerTarget::new("id", 1_700_000_000);
        let _body = adapter(AnthropicMessages).encode_answer(&answer, &target, &mut losses);
        reported.extend(losses.into_list(&text).into_iter().map(|loss| loss.pointer));
    }
    if reported.is_empty() {
        return;
    }
    for pointer in
        ["/system_fingerprint", "/choices/0/native_finish_reason", "/usage/cost", "/usage/queue_time"]
    {
        assert!(reported.iter().any(|found| found == pointer), "{pointer} is not among {reported:?}");
    }
}

/// Numbers where strings are expected hide no message.
#[test]
fn codes_of_errors_are_of_any_type() {
    for Recording { name, text, status, .. } in recordings(OpenAiChat, "response.json") {
        if status < 400 {
            continue;
        }
        let error = decode_error(OpenAiChat, status, text.as_bytes());
        assert!(!error.message.starts_with('{'), "{name}: {}", error.message);
    }
}
