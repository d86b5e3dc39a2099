//! Streams that break off and are continued: wherever the first breaks and however the second is cut into pieces, the
//! client has one stream that obeys its grammar, with the text of both and the usage of the second.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{End, Framing, Relay, RelayOptions, RelayState, StreamForm, fold_stream};
use weighbridge_translate::Content;
use weighbridge_units::Protocol::{AnthropicMessages, GeminiGenerateContent, OpenAiChat, OpenAiResponses};
use weighbridge_units::{Bucket, Protocol};

fn options(provider: Protocol, client: Protocol) -> RelayOptions<'static> {
    RelayOptions {
        provider,
        framing: Framing::Sse,
        client,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "id_1",
        model_fallback: "m",
        created: 1,
        request_id: "req_1",
        legacy_functions: false,
    }
}

fn event(protocol: Protocol, data: &Value) -> Vec<u8> {
    let name = match protocol {
        AnthropicMessages => format!("event: {}\n", data["type"].as_str().unwrap()),
        _ => String::new(),
    };
    format!("{name}data: {data}\n\n").into_bytes()
}

/// A whole stream, frame by frame: so many before the first text, the texts, and what ends it.
fn frames(protocol: Protocol, id: &str, texts: &[String], usage: [u64; 2]) -> (usize, Vec<Vec<u8>>) {
    let [input, output] = usage;
    let text = |text: &String| match protocol {
        OpenAiChat => chat(id, &json!({ "content": text }), Value::Null),
        AnthropicMessages => json!({ "type": "content_block_delta", "index": 0,
            "delta": { "type": "text_delta", "text": text } }),
        _ => gemini(id, Some(text), None),
    };
    let before = match protocol {
        OpenAiChat => vec![chat(id, &json!({ "role": "assistant", "content": "" }), Value::Null)],
        AnthropicMessages => vec![
            json!({ "type": "message_start", "message": { "id": id, "type": "message", "role": "assistant",
                "model": "x", "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": { "input_tokens": input, "cache_read_input_tokens": 7, "output_tokens": 1 } } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ],
        _ => Vec::new(),
    };
    let mut ended = match protocol {
        OpenAiChat => vec![
            chat(id, &json!({}), "stop".into()),
            json!({ "id": id, "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [],
                "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output } }),
        ],
        AnthropicMessages => vec![
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null },
                "usage": { "output_tokens": output } }),
            json!({ "type": "message_stop" }),
        ],
        _ => vec![gemini(id, Some(""), Some([input, output]))],
    };
    let first_text = before.len();
    let mut values = before;
    values.extend(texts.iter().map(text));
    values.append(&mut ended);
    let mut frames: Vec<Vec<u8>> = values.iter().map(|value| event(protocol, value)).collect();
    if protocol == OpenAiChat {
        frames.push(b"data: [DONE]\n\n".to_vec());
    }
    (first_text, frames)
}

fn chat(id: &str, delta: &Value, finish: Value) -> Value {
    json!({ "id": id, "object": "chat.completion.chunk", "created": 1, "model": "x",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

fn gemini(id: &str, text: Option<&str>, usage: Option<[u64; 2]>) -> Value {
    let mut value = json!({ "candidates": [{ "index": 0, "content": { "role": "model",
        "parts": [{ "text": text }] } }], "modelVersion": "x", "responseId": id });
    if let Some([input, output]) = usage {
        value["candidates"][0]["finishReason"] = "STOP".into();
        value["usageMetadata"] = json!({ "promptTokenCount": input, "candidatesTokenCount": output,
            "totalTokenCount": input + output });
    }
    value
}

fn push(relay: &mut Relay, bytes: &[u8], size: usize, out: &mut VecDeque<Bytes>) {
    bytes.chunks(size).for_each(|piece| relay.push(Bytes::copy_from_slice(piece), out));
}

fn text_and_usage(client: Protocol, stream: &[u8]) -> (String, [u64; 2], u64) {
    let (folder, end) = fold_stream(client, Framing::Sse, stream, 1 << 20);
    assert!(end.is_ok(), "{end:?}");
    let answer = folder.answer();
    let parts = &answer.candidates[0].parts;
    let text = parts.iter().map(|part| match &part.content {
        Content::Text(text) => text.text.to_string(),
        other => panic!("{other:?}"),
    });
    let usage = answer.usage.unwrap();
    (text.collect(), [usage.prompt(), usage.answer()], usage.get(Bucket::CacheRead))
}

/// What the continuation adds: without the white space that the client has.
fn added<'s>(first: &str, second: &'s str) -> &'s str {
    let blanks = &first[first.trim_end().len()..];
    let same = second.chars().zip(blanks.chars()).take_while(|(one, other)| one == other);
    &second[same.map(|(one, _)| one.len_utf8()).sum::<usize>()..]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c \n\u{2003}é]{1,4}", 1..8)
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![OpenAiChat, AnthropicMessages, GeminiGenerateContent])
}

fn clients() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![OpenAiChat, AnthropicMessages, GeminiGenerateContent, OpenAiResponses])
}

proptest! {
    #[test]
    fn the_client_has_the_text_of_both_in_one_stream(
        one in protocols(), other in protocols(), client in clients(),
        first in texts(), second in texts(),
        (cut, into) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        repeats: bool, breaks_again: bool, size in 1_usize..200,
    ) {
        let (before, whole) = frames(one, "one", &first, [40, 9]);
        let given_frames = 1 + cut.index(first.len());
        let given: String = first[..given_frames].concat();
        let mut bytes = whole[..before + given_frames].concat();
        // And the beginning of another frame, if any.
        let next = &whole[before + given_frames];
        if given_frames < first.len() {
            bytes.extend(&next[..into.index(next.len() - 8)]);
        }
        let break_off = || {
            let (mut relay, mut out) = (Relay::resumable(&options(one, client)), VecDeque::new());
            push(&mut relay, &bytes, size, &mut out);
            assert_eq!((relay.state(), relay.is_resumable()), (RelayState::Running, true));
            let cut = weighbridge_translate::ApiError {
                class: weighbridge_units::ErrorClass::Server, status: 502, message: "cut".into(), code: None,
                param: None,
            };
            let broken = relay.broken_off(Some(cut), &mut out);
            (relay, out, broken)
        };
        let (mut relay, mut out, broken) = break_off();
        if given.trim().is_empty() {
            prop_assert!(broken.is_none());
            return Ok(());
        }
        let broken = broken.expect("it can be continued");
        prop_assert_eq!(&broken.text, &given);
        // Where nobody goes on, the client is told.
        let (mut unresumed, mut told, _) = break_off();
        prop_assert!(!unresumed.finish(None, &mut told).is_complete());
        let told: Vec<u8> = told.iter().flatten().copied().collect();
        prop_assert_eq!(check(client, &told), Ok(Verdict::EndedWithError));

        relay.resume(other, Framing::Sse, repeats, &mut out);
        let mut said = second.clone();
        if repeats {
            said.insert(0, given.trim_end().to_owned());
        }
        let (_, whole) = frames(other, "two", &said, [60, 5]);
        let all = whole.concat();
        let end = if breaks_again { all.len() / 2 } else { all.len() };
        push(&mut relay, &all[..end], size, &mut out);
        prop_assert!(relay.broken_off(None, &mut out).is_none());
        let ended = relay.finish(None, &mut out);
        let stream: Vec<u8> = out.iter().flatten().copied().collect();
        let case = String::from_utf8_lossy(&stream).into_owned();
        let is_whole = matches!(ended, End::Complete(_));
        let verdict = if is_whole { Verdict::EndedWell } else { Verdict::EndedWithError };
        prop_assert_eq!(check(client, &stream), Ok(verdict), "{}", case);
        if is_whole {
            let (text, usage, cached) = text_and_usage(client, &stream);
            let second = second.concat();
            prop_assert_eq!(text, format!("{given}{}", added(&given, &second)), "{}", case);
            let cached_by_second = if other == AnthropicMessages { 7 } else { 0 };
            prop_assert_eq!((usage, cached), ([60 + cached_by_second, 5], cached_by_second), "{}", case);
        } else {
            prop_assert!(breaks_again);
        }
    }

    #[test]
    fn what_does_not_break_passes_frame_by_frame(
        protocol in protocols(), texts in texts(), size in 1_usize..200,
    ) {
        let (_, frames) = frames(protocol, "one", &texts, [40, 9]);
        // The names of events are those of their types.
        let all = frames.concat();
        let (mut relay, mut out) = (Relay::resumable(&options(protocol, protocol)), VecDeque::new());
        push(&mut relay, &all, size, &mut out);
        prop_assert!(relay.broken_off(None, &mut out).is_none());
        prop_assert!(relay.finish(None, &mut out).is_complete());
        let sent: Vec<u8> = out.iter().flatten().copied().collect();
        prop_assert_eq!(String::from_utf8(sent).unwrap(), String::from_utf8(all).unwrap());
    }
}

/// Its events have numbers, and the last ones repeat everything that the provider has said of the answer.
#[test]
fn within_responses_bytes_pass_and_nobody_goes_on() {
    let delta = json!({ "type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1",
        "output_index": 0, "content_index": 0, "delta": "Hi" });
    let frame = event(OpenAiResponses, &delta);
    let mut relay = Relay::resumable(&options(OpenAiResponses, OpenAiResponses));
    assert!(!relay.is_resumable());
    let mut out = VecDeque::new();
    relay.push(Bytes::copy_from_slice(&frame[..20]), &mut out);
    assert_eq!(out.pop_front().as_deref(), Some(&frame[..20]), "as it comes");
    relay.push(Bytes::copy_from_slice(&frame[20..]), &mut out);
    assert_eq!(relay.broken_off(None, &mut out), None);
    assert!(!relay.finish(None, &mut out).is_complete());
}

#[test]
fn an_answer_of_more_than_text_is_not_continued() {
    let delta = |delta: Value| event(OpenAiChat, &chat("c", &delta, Value::Null));
    let text = delta(json!({ "content": "Hi" }));
    let others = [
        delta(json!({ "reasoning_content": "Hm" })),
        delta(json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function",
            "function": { "name": "f", "arguments": "" } }] })),
        delta(json!({ "refusal": "No" })),
        event(OpenAiChat, &chat("c", &json!({}), "stop".into())),
        event(OpenAiChat, &json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x",
            "choices": [{ "index": 1, "delta": { "content": "x" }, "finish_reason": null }] })),
        b"data: {\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"code\":\"content_filter\"}}\n\n".to_vec(),
    ];
    for client in [OpenAiChat, AnthropicMessages] {
        let mut plain = Relay::resumable(&options(OpenAiChat, client));
        plain.push(text.clone().into(), &mut VecDeque::new());
        assert_eq!(
            plain.broken_off(None, &mut VecDeque::new()).map(|broken| broken.text),
            Some("Hi".to_owned())
        );
        for other in &others {
            let (mut relay, mut out) = (Relay::resumable(&options(OpenAiChat, client)), VecDeque::new());
            relay.push(text.clone().into(), &mut out);
            relay.push(other.clone().into(), &mut out);
            assert_eq!(relay.broken_off(None, &mut out), None, "{}", String::from_utf8_lossy(other));
            assert!(!relay.finish(None, &mut out).is_complete());
        }
    }
}
