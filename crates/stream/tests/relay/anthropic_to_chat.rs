//! A provider that speaks Anthropic Messages, a client that speaks Chat Completions.

use crate::support::*;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::{Bucket, ErrorClass, LossKind, Usage};

fn bridge(events: &[&str]) -> Ran {
    let ran = run_text(&options(AnthropicMessages, OpenAiChat), &anthropic(events));
    let verdict = check(OpenAiChat, &ran.bytes).unwrap();
    let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
    assert_eq!(verdict, expected);
    ran
}

/// The chunks without what is the same in each.
fn short(ran: &Ran) -> String {
    let head =
        r#"data: {"id":"msg_7","object":"chat.completion.chunk","created":1700000000,"model":"claude-x","#;
    ran.text().replace(head, "{").replace(r#","usage":null}"#, "}").replace("\n\n", "\n")
}

#[test]
fn text_usage_and_finish() {
    let ran = bridge(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        r#"{"type": "ping"}"#,
        &block_delta(0, &text_delta("Hel")),
        &block_delta(0, &text_delta("lo \\\"you\\\"")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ]);
    insta::assert_snapshot!(short(&ran), @r#"
    {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
    : ping
    {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"content":"lo \"you\""},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
    {"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":7,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":5}}}
    data: [DONE]
    "#);
    let usage = Usage::new().with(Bucket::Input, 11).with(Bucket::CacheRead, 5).with(Bucket::Output, 7);
    let facts = ran.facts();
    assert_eq!((facts.usage, facts.output_bytes), (Some(usage), 11));
    assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("msg_7"), Some("claude-x")));
    assert_eq!(facts.losses, []);
}

#[test]
fn usage_is_shown_only_where_it_was_asked_for() {
    let asked_not =
        weighbridge_stream::RelayOptions { show_usage: false, ..options(AnthropicMessages, OpenAiChat) };
    let ran = run_text(&asked_not, &anthropic(&[MESSAGE_START, MESSAGE_DELTA, MESSAGE_STOP]));
    assert!(!ran.text().contains("usage"));
    assert_eq!(ran.facts().usage.map(|usage| usage.answer()), Some(7));
}

#[test]
fn tool_calls_in_parallel_with_arguments_in_pieces() {
    let start = |index, id| {
        block_start(index, &format!(r#"{{"type":"tool_use","id":"{id}","name":"look","input":{{}}}}"#))
    };
    let piece = |index, json: &str| {
        block_delta(index, &format!(r#"{{"type":"input_json_delta","partial_json":"{json}"}}"#))
    };
    let ran = bridge(&[
        MESSAGE_START,
        &start(0, "toolu_1"),
        &piece(0, ""),
        &piece(0, r#"{\"a\": \"\\u00"#),
        &piece(0, r#"e9\"}"#),
        &block_stop(0),
        &start(1, "toolu_2"),
        &block_stop(1),
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}"#,
        MESSAGE_STOP,
    ]);
    insta::assert_snapshot!(short(&ran), @r#"
    {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"look","arguments":""}}]},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\": \"\\u00"}}]},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"e9\"}"}}]},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"look","arguments":""}}]},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null}]}
    {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
    {"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":7,"total_tokens":23,"prompt_tokens_details":{"cached_tokens":5}}}
    data: [DONE]
    "#);
}

#[test]
fn reasoning_comes_with_its_signature_and_parts_of_its_own_are_reported_as_lost() {
    let ran = bridge(&[
        MESSAGE_START,
        &block_start(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        &block_delta(0, r#"{"type":"thinking_delta","thinking":"hm"}"#),
        &block_delta(0, r#"{"type":"signature_delta","signature":"c2ln"}"#),
        &block_stop(0),
        &block_start(1, r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}"#),
        &block_delta(1, r#"{"type":"input_json_delta","partial_json":"{}"}"#),
        &block_stop(1),
        &block_start(2, r#"{"type":"text","text":"see","citations":[]}"#),
        &block_delta(2, r#"{"type":"text_delta","text":"é"}"#),
        &block_delta(2, r#"{"type":"citations_delta","citation":{"type":"char_location"}}"#),
        &block_delta(
            2,
            r#"{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.com","title":"E","cited_text":"q","encrypted_index":""}}"#,
        ),
        &block_stop(2),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ]);
    let lost: Vec<(&str, LossKind)> =
        ran.facts().losses.iter().map(|loss| (loss.pointer.as_str(), loss.kind)).collect();
    let dropped = LossKind::Dropped;
    assert_eq!(lost, [("/content/1", dropped), ("/content/2/citations", dropped)]);
    assert!(ran.text().contains(r#""content":"see""#));
    assert!(!ran.text().contains("web_search"));
    for delta in [
        r#"{"reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":4,"title":"E","url":"https://e.com","content":"q"}}]}"#,
    ] {
        assert!(ran.text().contains(delta), "{delta} in {}", ran.text());
    }
}

#[test]
fn a_stop_sequence_and_a_refusal() {
    let finish = |reason: &str, sequence: &str| {
        let delta = format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":{sequence}}},"usage":{{"output_tokens":0}}}}"#
        );
        bridge(&[MESSAGE_START, &delta, MESSAGE_STOP])
    };
    let stopped = finish("stop_sequence", "\"END\"");
    assert!(stopped.text().contains(r#""finish_reason":"stop""#));
    assert_eq!(stopped.facts().losses.len(), 1, "which sequence it was is lost");
    assert!(finish("refusal", "null").text().contains(r#""finish_reason":"content_filter""#));
    assert!(finish("max_tokens", "null").text().contains(r#""finish_reason":"length""#));
}

#[test]
fn unknown_events_are_counted_and_reported() {
    let new = r#"{"type":"message_mood","mood":"fine"}"#;
    let ran = bridge(&[MESSAGE_START, new, new, MESSAGE_DELTA, MESSAGE_STOP]);
    assert_eq!(ran.facts().unknown_events, 2);
    assert_eq!(ran.facts().losses.len(), 1);
}

#[test]
fn an_error_in_mid_stream_is_the_clients_error() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let ran = bridge(&[MESSAGE_START, &block_start(0, TEXT_BLOCK), overloaded, MESSAGE_DELTA, MESSAGE_STOP]);
    assert_eq!(ran.error().class, ErrorClass::Overloaded);
    assert!(!ran.text().contains("[DONE]"));
    let first = bridge(&[overloaded]);
    assert!(!first.committed, "the pipeline may try the next candidate");
}

#[test]
fn what_makes_no_sense_breaks_the_stream() {
    for events in [
        &[&block_start(0, TEXT_BLOCK)[..]][..],
        &[MESSAGE_STOP],
        &[MESSAGE_START, &block_delta(0, &text_delta("x")), MESSAGE_DELTA, MESSAGE_STOP],
        &[MESSAGE_START, &block_stop(3), MESSAGE_STOP],
        &[MESSAGE_START, "{\"type\":\"message_delta\"", MESSAGE_STOP],
        &[MESSAGE_START, r#"{"type":"content_block_start","index":0}"#, MESSAGE_STOP],
    ] {
        let ran = bridge(events);
        assert_eq!((ran.error().class, ran.error().status), (ErrorClass::Server, 502), "{events:?}");
    }
}

#[test]
fn a_cut_stream_never_ends_well() {
    let whole = anthropic(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        &block_delta(0, &text_delta("Hi")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ]);
    let options = options(AnthropicMessages, OpenAiChat);
    let last_byte_needed = whole.trim_end().len();
    for length in 0..last_byte_needed {
        for cut in [None, Some(connection_lost())] {
            let ran = run_cut(&options, [&whole.as_bytes()[..length]], cut);
            assert!(!ran.end.is_complete(), "cut at {length}");
            assert_eq!(check(OpenAiChat, &ran.bytes), Ok(Verdict::EndedWithError), "cut at {length}");
        }
    }
    assert!(run_text(&options, &whole[..last_byte_needed]).end.is_complete());
    assert!(run_cut(&options, [whole.as_bytes()], Some(connection_lost())).end.is_complete());
}

#[test]
fn half_a_character_waits_for_its_other_half() {
    let ran = bridge(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        &block_delta(0, &text_delta("a\\ud83d")),
        &block_delta(0, &text_delta("\\ude00b")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ]);
    assert!(ran.text().contains("\"content\":\"😀b\""));
}
