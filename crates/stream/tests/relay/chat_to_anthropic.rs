//! A provider that speaks Chat Completions, a client that speaks Anthropic Messages.

use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Relay, RelayState};
use weighbridge_translate::FinishReason;
use weighbridge_units::{Bucket, ErrorClass, LossKind, Usage};

use crate::support::*;

const USAGE: &str = r#","usage":{"prompt_tokens":16,"completion_tokens":9,"total_tokens":25,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":2}}"#;

fn bridge(stream: &str) -> Ran {
    let ran = run_text(&options(OpenAiChat, AnthropicMessages), stream);
    let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
    assert_eq!(check(AnthropicMessages, &ran.bytes), Ok(expected), "{}", ran.text());
    ran
}

/// The data of the events, whose names the grammar has checked, without the first.
fn short(ran: &Ran) -> String {
    ran.text().lines().filter_map(|line| line.strip_prefix("data: ")).skip(1).collect::<Vec<_>>().join("\n")
}

fn calls(entries: &str) -> String {
    delta(&format!(r#"{{"tool_calls":{entries}}}"#))
}

fn begin(index: u32, id: &str, arguments: &str) -> String {
    calls(&format!(
        r#"[{{"index":{index},"id":"{id}","type":"function","function":{{"name":"look","arguments":"{arguments}"}}}}]"#
    ))
}

fn go_on(index: u32, arguments: &str) -> String {
    calls(&format!(r#"[{{"index":{index},"function":{{"arguments":"{arguments}"}}}}]"#))
}

#[test]
fn text_usage_and_finish() {
    let mut stream = chat(&[
        &delta(r#"{"role":"assistant","content":"","refusal":null}"#),
        &delta(r#"{"content":"Hel"}"#),
        &delta(r#"{"content":"lo"}"#),
        &finish("stop"),
    ]);
    stream = stream.replace("data: [DONE]", &format!("{}data: [DONE]", chat_chunk("[]", USAGE)));
    let ran = bridge(&stream);
    insta::assert_snapshot!(ran.text(), @r#"
    event: message_start
    data: {"type":"message_start","message":{"id":"chatcmpl-7","type":"message","role":"assistant","model":"gpt-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":11,"cache_creation_input_tokens":null,"cache_read_input_tokens":5,"output_tokens":9,"output_tokens_details":{"thinking_tokens":2}}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
    let usage = Usage::new().with(Bucket::Input, 11).with(Bucket::CacheRead, 5);
    let usage = usage.with(Bucket::Output, 7).with(Bucket::Reasoning, 2);
    assert_eq!(ran.facts().usage, Some(usage));
    assert_eq!(ran.facts().finish, Some(FinishReason::Stop));
    assert_eq!(ran.facts().losses, []);
}

#[test]
fn usage_may_come_anywhere_and_the_last_value_wins() {
    let running = r#","usage":{"prompt_tokens":16,"completion_tokens":1,"total_tokens":17}"#;
    let orders = [
        format!(
            "{}{}{}",
            chat_chunk(&delta(r#"{"content":"x"}"#), running),
            chat_chunk(&finish("stop"), USAGE),
            ""
        ),
        format!("{}{}", chat_chunk(&delta(r#"{"content":"x"}"#), USAGE), chat_chunk(&finish("stop"), "")),
        format!("{}{}", chat_chunk(&finish("stop"), running), chat_chunk("[]", USAGE)),
    ];
    for order in orders {
        let ran = bridge(&format!("{order}data: [DONE]\n\n"));
        assert_eq!(ran.facts().usage.map(|usage| usage.total()), Some(25), "{order}");
        assert!(short(&ran).contains(r#""input_tokens":11"#) || short(&ran).contains(r#""input_tokens":16"#));
    }
}

#[test]
fn calls_one_after_the_other_do_not_wait() {
    let options = options(OpenAiChat, AnthropicMessages);
    let mut relay = Relay::new(&options);
    let mut out = std::collections::VecDeque::new();
    for choices in [
        begin(0, "call_1", ""),
        go_on(0, r#"{\"a\":\"}\\"#),
        go_on(0, r#"\"é\"}"#),
        begin(1, "call_2", r#"{\"b\":"#),
    ] {
        relay.push(chat_chunk(&choices, "").into(), &mut out);
    }
    let so_far: Vec<u8> = out.iter().flat_map(|bytes| bytes.to_vec()).collect();
    let so_far = String::from_utf8(so_far).unwrap();
    assert!(so_far.contains(r#""index":1,"content_block":{"type":"tool_use","id":"call_2""#), "{so_far}");
    assert_eq!(relay.facts().held_events, 0);
}

#[test]
fn interleaved_calls_wait_for_each_other_and_are_counted() {
    let ran = bridge(&chat(&[
        &begin(0, "call_1", r#"{\"a\":"#),
        &begin(1, "call_2", r#"{\"b\":"#),
        &go_on(0, "1"),
        &go_on(1, "2"),
        &go_on(0, "}"),
        &go_on(1, "}"),
        &delta(r#"{"content":"after"}"#),
        &finish("tool_calls"),
    ]));
    insta::assert_snapshot!(short(&ran), @r#"
    {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"look","input":{}}}
    {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}
    {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1"}}
    {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"}"}}
    {"type":"content_block_stop","index":0}
    {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_2","name":"look","input":{}}}
    {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"b\":2}"}}
    {"type":"content_block_stop","index":1}
    {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}
    {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"after"}}
    {"type":"content_block_stop","index":2}
    {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":0,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,"output_tokens":0}}
    {"type":"message_stop"}
    "#);
    assert_eq!(ran.facts().held_events, 4);
}

#[test]
fn a_call_is_closed_as_soon_as_its_arguments_are_complete() {
    // The second call begins while the first is open, and the first is completed later.
    let ran = bridge(&chat(&[
        &begin(0, "a", r#"{\"x\":"#),
        &begin(1, "b", "{}"),
        &go_on(0, "1}"),
        &finish("stop"),
    ]));
    assert!(short(&ran).contains(r#""stop_reason":"tool_use""#), "OpenAI says `stop` for a forced call");
    // White space behind a complete call is nothing; more arguments are a fault.
    assert!(bridge(&chat(&[&begin(0, "a", "{}"), &begin(1, "b", "{}"), &go_on(0, " ")])).end.is_complete());
    assert!(!bridge(&chat(&[&begin(0, "a", "{}"), &begin(1, "b", "{}"), &go_on(0, "{}")])).end.is_complete());
}

#[test]
fn forms_of_calls_that_others_send() {
    let whole = r#"[{"index":1,"id":"a","function":{"name":"look","arguments":"{}"}},{"index":4,"id":"b","type":"function","function":{"name":"see","arguments":{"x":1}}}]"#;
    let without_index = r#"[{"id":"a","function":{"name":"look","arguments":"{\"x\""}}]"#;
    let same_index = [begin(0, "a", r#"{\"x\":1}"#), begin(0, "b", r#"{\"x\":2}"#)];
    let nameless_first = [
        calls(r#"[{"index":0,"id":"a","function":{"arguments":"{"}}]"#),
        calls(r#"[{"index":0,"function":{"name":"look","arguments":"}"}}]"#),
    ];
    let count = |chunks: &[&str]| {
        let ran = bridge(&chat(chunks));
        assert!(ran.end.is_complete(), "{:?}", ran.end);
        short(&ran).matches(r#""type":"tool_use""#).count()
    };
    assert_eq!(count(&[&calls(whole), &finish("tool_calls")]), 2);
    let rest = calls(r#"[{"function":{"arguments":":1}"}}]"#);
    assert_eq!(
        count(&[&calls(without_index), &rest, &calls(&without_index.replace("\"a\"", "\"b\"")), &rest]),
        2
    );
    assert_eq!(count(&[&same_index[0], &same_index[1]]), 2);
    assert_eq!(count(&[&nameless_first[0], &nameless_first[1]]), 1);
    assert_eq!(
        count(&[&delta(r#"{"function_call":{"name":"look","arguments":"{}"}}"#), &finish("function_call")]),
        1
    );
    assert_eq!(count(&[&calls("[]"), &calls(r#"[{"index":0}]"#), &finish("stop")]), 0);
}

#[test]
fn ids_become_what_anthropic_accepts() {
    let ran =
        bridge(&chat(&[&begin(0, "functions.look:0", "{}"), &begin(1, "", "{}"), &finish("tool_calls")]));
    assert!(ran.text().contains(r#""id":"wb-functions_2elook_3a0""#), "{}", ran.text());
    assert!(ran.text().contains(r#""id":"call_fallback-1_1""#), "{}", ran.text());
}

#[test]
fn chunks_without_choices_and_a_late_id() {
    let azure = r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#;
    let stream = chat(&[
        &delta(r#"{"role":"assistant","content":null}"#),
        "[]",
        &delta(r#"{"content":"x"}"#),
        &finish("stop"),
    ]);
    let ran = bridge(&format!("{azure}\n\n{stream}"));
    assert_eq!(ran.facts().id.as_deref(), Some("chatcmpl-7"));
    assert!(ran.text().starts_with("event: message_start"));
    let lost: Vec<&str> = ran.facts().losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert_eq!(lost, ["/prompt_filter_results", "/usage"]);
}

#[test]
fn two_finals_are_one_and_a_missing_one_is_reported() {
    let twice = bridge(&chat(&[
        &delta(r#"{"content":"x"}"#),
        &finish("length"),
        &finish("length"),
        &delta(r#"{"content":""}"#),
    ]));
    assert_eq!(twice.text().matches("message_delta").count(), 2, "its name and its type");
    assert!(twice.text().contains("max_tokens"));
    let never = bridge(&chat(&[&delta(r#"{"content":"x"}"#)]));
    assert!(never.text().contains("end_turn"));
    let kinds: Vec<LossKind> = never.facts().losses.iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::Defaulted, LossKind::Defaulted], "the reason and the usage");
}

#[test]
fn without_done_only_a_complete_answer_ends_well() {
    let text = chat_chunk(&delta(r#"{"content":"x"}"#), "");
    let last = chat_chunk(&finish("stop"), "");
    let usage = chat_chunk("[]", USAGE);
    let at_end = |stream: String| bridge(&stream).end.is_complete();
    assert!(at_end(format!("{text}{last}{usage}")), "as Perplexity ends its streams");
    assert!(!at_end(format!("{text}{last}")), "usage may be missing");
    assert!(!at_end(format!("{text}{usage}")), "it did not finish");
    let cut = run_cut(
        &options(OpenAiChat, AnthropicMessages),
        [format!("{text}{last}{usage}").as_bytes()],
        Some(connection_lost()),
    );
    assert!(!cut.end.is_complete(), "a broken connection is no end");
}

#[test]
fn reasoning_is_thinking_and_refusals_are_text() {
    let ran = bridge(&chat(&[
        &delta(r#"{"role":"assistant","reasoning_content":"hm"}"#),
        &delta(r#"{"reasoning":"hm"}"#),
        &delta(
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"see"}]}"#,
        ),
        &delta(r#"{"refusal":"I will not."}"#),
        &finish("stop"),
    ]));
    let lost: Vec<&str> = ran.facts().losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert_eq!(lost, ["/choices/0/message/refusal", "/usage"]);
    let thinking = r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#;
    assert!(ran.text().contains(thinking), "{}", ran.text());
    assert_eq!(ran.text().matches(r#""thinking":"hm""#).count(), 3);
    assert!(
        ran.text().contains(r#""text":"I will not.""#) && ran.text().contains(r#""stop_reason":"refusal""#)
    );
}

#[test]
fn several_candidates_become_one_and_the_loss_is_reported() {
    let second = r#"[{"index":1,"delta":{"content":"other"},"finish_reason":"stop"}]"#;
    let ran = bridge(&chat(&[&delta(r#"{"content":"one"}"#), second, &finish("stop")]));
    assert!(!ran.text().contains("other"));
    assert_eq!(ran.facts().losses[0].pointer, "/choices/1");
}

#[test]
fn errors_in_every_form() {
    let text = chat_chunk(&delta(r#"{"content":"x"}"#), "");
    let forms = [
        r#"data: {"error":{"message":"slow down","type":"x","code":"rate_limit_exceeded"}}"#.to_owned(),
        r#"event: error
data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#
            .to_owned(),
        chat_chunk(&delta(r#"{"content":""}"#), &format!(r#","error":{{"message":"no","code":429}}{USAGE}"#)),
    ];
    for form in forms {
        let ran = bridge(&format!("{text}{form}\n\ndata: [DONE]\n\n"));
        assert_eq!(ran.error().class, ErrorClass::RateLimit, "{form}");
        assert_eq!(ran.facts().usage.is_some(), form.contains("usage"), "what was metered is kept");
    }
}

#[test]
fn a_hold_over_its_limit_breaks_the_stream() {
    let piece = go_on(1, &"x".repeat(64 * 1024));
    let mut chunks = vec![begin(0, "a", "{"), begin(1, "b", r#"{\"b\":\""#)];
    chunks.extend(std::iter::repeat_n(piece, 20));
    let ran = bridge(&chat(&chunks.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(ran.error().message.contains("over 1 MiB"), "{}", ran.error());
}

#[test]
fn what_makes_no_sense_breaks_the_stream() {
    for stream in [
        "data: [DONE]\n\n".to_owned(),
        "data: {\n\n".to_owned(),
        "data: [1]\n\n".to_owned(),
        chat(&[&go_on(0, "{}")]).replace("\"index\":0,\"function\"", "\"function\""),
        chat(&[&calls(r#"[{"index":0,"id":"a","function":{"arguments":"{}"}}]"#)]),
        chat(&[&delta(r#"{"content":7}"#)]),
    ] {
        let ran = bridge(&stream);
        assert_eq!(ran.error().class, ErrorClass::Server, "{stream}");
    }
    let binary = run(&options(OpenAiChat, AnthropicMessages), [&b"data: {\"a\":\"\xff\"}\n\n"[..]]);
    assert!(binary.error().message.contains("UTF-8"));
}

#[test]
fn what_follows_the_end_is_counted_and_ignored() {
    let options = options(OpenAiChat, AnthropicMessages);
    let stream = chat(&[&delta(r#"{"content":"x"}"#), &finish("stop")]);
    let ran = run_text(&options, &format!("{stream}{}", chat_chunk(&delta(r#"{"content":"y"}"#), "")));
    assert!(ran.end.is_complete());
    assert_eq!(ran.facts().unknown_events, 1);
    assert_eq!(ran.bytes, run_text(&options, &stream).bytes);
    let mut relay = Relay::new(&options);
    relay.push(stream.into(), &mut std::collections::VecDeque::new());
    assert_eq!(relay.state(), RelayState::Ended);
}
