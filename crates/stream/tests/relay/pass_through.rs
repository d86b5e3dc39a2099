//! Client and provider speak the same: bytes pass, and are weighed.

use std::collections::VecDeque;

use bytes::Bytes;
use weighbridge_stream::{Relay, RelayOptions, RelayState};
use weighbridge_translate::FinishReason;
use weighbridge_units::{Bucket, ErrorClass, Protocol, Usage};

use crate::support::*;

const USAGE: &str = r#","usage":{"prompt_tokens":16,"completion_tokens":9,"total_tokens":25}"#;

fn hiding() -> RelayOptions<'static> {
    RelayOptions { hide_usage: true, ..options(OpenAiChat, OpenAiChat) }
}

fn chat_stream() -> String {
    let mut stream = chat(&[
        &delta(r#"{"role":"assistant","content":""}"#),
        &delta(r#"{"content":"Hello"}"#),
        &delta(r#"{"content":" you"}"#),
        &finish("stop"),
    ]);
    stream = stream.replace("data: [DONE]", &format!("{}data: [DONE]", chat_chunk("[]", USAGE)));
    stream
}

fn anthropic_stream() -> String {
    anthropic(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        &block_delta(0, &text_delta("Hello")),
        &block_delta(0, &text_delta(" you")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ])
}

#[test]
fn facts_are_read_beside_untouched_bytes() {
    let told = Usage::new().with(Bucket::Input, 16).with(Bucket::Output, 9);
    let messages = Usage::new().with(Bucket::Input, 11).with(Bucket::CacheRead, 5).with(Bucket::Output, 7);
    for (protocol, stream, id, usage) in [
        (OpenAiChat, chat_stream(), "chatcmpl-7", told),
        (AnthropicMessages, anthropic_stream(), "msg_7", messages),
    ] {
        for size in [1, 7, 64, 100_000] {
            let ran = run(&options(protocol, protocol), stream.as_bytes().chunks(size));
            assert_eq!(ran.text(), stream);
            assert!(ran.end.is_complete() && ran.committed);
            let facts = ran.facts();
            assert_eq!((facts.usage, facts.output_bytes), (Some(usage), 9));
            assert_eq!((facts.id.as_deref(), &facts.finish), (Some(id), &Some(FinishReason::Stop)));
            assert_eq!((facts.losses.len(), facts.unknown_events), (0, 0));
        }
    }
}

#[test]
fn pieces_leave_at_once_as_slices_of_themselves() {
    for (protocol, stream) in [(OpenAiChat, chat_stream()), (AnthropicMessages, anthropic_stream())] {
        let mut relay = Relay::new(&options(protocol, protocol));
        let stream = Bytes::from(stream);
        for start in (0..stream.len()).step_by(50) {
            let piece = stream.slice(start..stream.len().min(start + 50));
            let mut out = VecDeque::new();
            relay.push(piece.clone(), &mut out);
            assert_eq!(out, [&piece]);
            assert_eq!(out[0].as_ptr(), piece.as_ptr(), "no copy");
        }
    }
}

#[test]
fn whole_frames_leave_as_slices_while_usage_is_hidden() {
    let mut relay = Relay::new(&hiding());
    let piece = Bytes::from(chat_chunk(&delta(r#"{"content":"x"}"#), "").repeat(3));
    let mut out = VecDeque::new();
    relay.push(piece.clone(), &mut out);
    assert_eq!(out, [&piece]);
    assert_eq!(out[0].as_ptr(), piece.as_ptr(), "no copy");
}

#[test]
fn the_usage_frame_is_hidden_and_nothing_else() {
    let stream = chat_stream();
    let expected = stream.replace(&chat_chunk("[]", USAGE), "");
    assert_ne!(stream, expected);
    for end in ["\n", "\r\n", "\r"] {
        let (stream, expected) = (stream.replace('\n', end), expected.replace('\n', end));
        for size in (1..200).chain([100_000]) {
            let ran = run(&hiding(), stream.as_bytes().chunks(size));
            // Nobody reads on behind the end: it may lack half of its last line end.
            assert_eq!(ran.text().trim_end(), expected.trim_end(), "pieces of {size}, ends {end:?}");
            assert_eq!(ran.facts().usage.map(|usage| usage.total()), Some(25));
            assert!(ran.end.is_complete());
        }
    }
    // Usage beside a choice is not a frame of its own.
    let beside =
        chat(&[&delta(r#"{"content":"x"}"#)]).replace("data: [DONE]", &chat_chunk(&finish("stop"), USAGE));
    let beside = format!("{}\n\ndata: [DONE]\n\n", beside.trim_end());
    assert_eq!(run_text(&hiding(), &beside).text(), beside);
}

#[test]
fn a_null_usage_on_every_chunk_stays() {
    let stream: String = [delta(r#"{"content":"x"}"#), finish("stop")]
        .iter()
        .map(|choices| chat_chunk(choices, r#","usage":null"#))
        .chain(["data: [DONE]\n\n".to_owned()])
        .collect();
    let ran = run_text(&hiding(), &stream);
    assert_eq!(ran.text(), stream);
    assert_eq!(ran.facts().usage, None);
}

#[test]
fn the_commit_point_is_the_first_content() {
    let committed = |protocol: Protocol, stream: &str| {
        let mut relay = Relay::new(&options(protocol, protocol));
        relay.push(Bytes::copy_from_slice(stream.as_bytes()), &mut VecDeque::new());
        (relay.committed(), relay.state())
    };
    let role = chat_chunk(&delta(r#"{"role":"assistant","content":""}"#), "");
    assert_eq!(committed(OpenAiChat, &role), (false, RelayState::Running));
    let text = chat_chunk(&delta(r#"{"content":"x"}"#), "");
    assert_eq!(committed(OpenAiChat, &format!("{role}{text}")), (true, RelayState::Running));
    assert_eq!(committed(OpenAiChat, &chat_chunk(&finish("stop"), "")), (true, RelayState::Running));
    let start = anthropic(&[MESSAGE_START, r#"{"type":"ping"}"#]);
    assert_eq!(committed(AnthropicMessages, &start), (false, RelayState::Running));
    let open = anthropic(&[MESSAGE_START, &block_start(0, TEXT_BLOCK)]);
    assert_eq!(committed(AnthropicMessages, &open), (true, RelayState::Running));
    for garbage in ["data: <html>\n\n", "data: {\"error\":{\"message\":\"no\"}}\n\n", "data: [DONE]\n\n"] {
        assert_eq!(committed(OpenAiChat, garbage), (false, RelayState::Failed), "{garbage}");
    }
    let error =
        anthropic(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#]);
    assert_eq!(committed(AnthropicMessages, &error), (false, RelayState::Failed));
}

#[test]
fn an_error_of_the_providers_own_passes_once_and_nothing_after_it() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let begun = [MESSAGE_START, &block_start(0, TEXT_BLOCK), error];
    let stream = anthropic(&[&begun[..], &[MESSAGE_DELTA, MESSAGE_STOP]].concat());
    for size in [1, 13, 100_000] {
        let ran = run(&options(AnthropicMessages, AnthropicMessages), stream.as_bytes().chunks(size));
        assert_eq!(ran.text(), anthropic(&begun));
        assert_eq!(ran.error().class, ErrorClass::Overloaded);
    }
    let text = chat_chunk(&delta(r#"{"content":"x"}"#), "");
    let error = "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}\n\n";
    for options in [options(OpenAiChat, OpenAiChat), hiding()] {
        for size in [1, 13, 100_000] {
            let ran = run(&options, format!("{text}{error}data: [DONE]\n\n").as_bytes().chunks(size));
            assert_eq!(ran.text(), format!("{text}{error}"));
            assert!(!ran.end.is_complete());
        }
    }
}

#[test]
fn a_cut_stream_ends_with_the_clients_error_event() {
    for (protocol, stream) in [(OpenAiChat, chat_stream()), (AnthropicMessages, anthropic_stream())] {
        // Perplexity ends without `[DONE]`: usage and finish are enough, where the body ends cleanly.
        let ends_at = match protocol {
            OpenAiChat => stream.find("\n\ndata: [DONE]").unwrap(),
            _ => stream.trim_end().len(),
        };
        for length in 0..stream.trim_end().len() {
            for options in [
                options(protocol, protocol),
                RelayOptions { hide_usage: protocol == OpenAiChat, ..options(protocol, protocol) },
            ] {
                let ran = run_cut(&options, [&stream.as_bytes()[..length]], Some(connection_lost()));
                assert!(!ran.end.is_complete(), "cut at {length}");
                assert_eq!(ran.text().matches("The provider's stream broke off.").count(), 1);
                let ran = run(&options, [&stream.as_bytes()[..length]]);
                assert!(!ran.end.is_complete() || length >= ends_at, "{:?}", &stream[..length]);
                assert!(ran.end.is_complete() || length != ends_at, "{:?}", &stream[..length]);
            }
        }
    }
}

/// The events of a stream as a client's SDK sees them: name and data.
fn events(stream: &[u8]) -> Vec<(String, String)> {
    let mut events = Vec::new();
    let mut decoder = weighbridge_stream::sse::SseDecoder::new();
    decoder
        .push(stream, &mut |item| {
            if let weighbridge_stream::sse::SseItem::Message(message) = item {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                events.push((text(message.event.unwrap_or_default()), text(&message.data)));
            }
        })
        .unwrap();
    events
}

#[test]
fn the_error_event_is_seen_as_one_wherever_the_frame_was_cut() {
    for (protocol, stream) in [(OpenAiChat, chat_stream()), (AnthropicMessages, anthropic_stream())] {
        for length in 0..stream.trim_end().len() {
            let cut = run_cut(
                &options(protocol, protocol),
                [&stream.as_bytes()[..length]],
                Some(connection_lost()),
            );
            let mut seen = events(&cut.bytes);
            let (name, data) = seen.pop().unwrap();
            match protocol {
                OpenAiChat => assert!(data.starts_with("{\"error\":"), "cut at {length}: {data}"),
                // Anthropic's SDKs go by the name: no half document may reach them before it.
                _ => {
                    assert_eq!(name, "error", "cut at {length}");
                    let whole = |data: &str| serde_json::from_str::<serde_json::Value>(data).is_ok();
                    assert!(seen.iter().all(|(_, data)| whole(data)), "cut at {length}: {seen:?}");
                }
            }
        }
    }
}

#[test]
fn an_event_over_the_limit_breaks_the_stream_at_the_same_byte() {
    let text = chat_chunk(&delta(r#"{"content":"x"}"#), "");
    let huge = chat_chunk(&delta(&format!(r#"{{"content":"{}"}}"#, "x".repeat(17 << 20))), "");
    let stream = format!("{text}{huge}data: [DONE]\n\n");
    for options in [options(OpenAiChat, OpenAiChat), hiding(), options(OpenAiChat, AnthropicMessages)] {
        let whole = run_text(&options, &stream);
        assert!(whole.error().message.contains("longer than 16777216 bytes"), "{}", whole.error());
        let pieces = run(&options, stream.as_bytes().chunks(1 << 20));
        assert!(whole.bytes == pieces.bytes);
    }
}

/// Google ends lines with CR LF, and its SDK for Node waits for a whole one.
#[test]
fn an_error_follows_a_whole_line_end() {
    let line_end = "\r\n\r\n";
    let good = r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0}]}"#;
    for bad in [r#"{"candidates":[{"#, r#"{"error":{"code":500,"message":"no","status":"INTERNAL"}}"#] {
        let stream = format!("{good}{line_end}data: {bad}{line_end}");
        for size in [1, 7, stream.len() - 1, stream.len()] {
            let ran =
                run(&options(GeminiGenerateContent, GeminiGenerateContent), stream.as_bytes().chunks(size));
            assert!(!ran.end.is_complete());
            let text = ran.text();
            assert!(text.starts_with(&stream) && text.ends_with(line_end), "{size}: {text:?}");
            let ours = text.matches("malformed stream event").count();
            assert_eq!(ours, usize::from(bad.ends_with('{')), "{size}: {text:?}");
        }
    }
}
