//! Streams in other framings than server-sent events, and errors that stand outside of any.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;
use weighbridge_stream::aws::{encode, encode_event, encode_exception};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{DecodeError, Decoded, Decoder, Framing, RelayOptions, aws, json_array};
use weighbridge_translate::FinishReason;
use weighbridge_units::{Bucket, ErrorClass, Protocol, Usage};

use crate::support::*;

/// The recordings in a folder: name, and the bytes of one file.
fn recorded(folder: &str, file: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures").join(folder);
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let mut streams: Vec<_> = cases
        .filter_map(|case| {
            let case = case.ok()?.path();
            let stream = std::fs::read(case.join(file)).ok()?;
            Some((case, stream))
        })
        .collect();
    streams.sort();
    streams
}

/// What a stream says, owned: the names and data of frames, and whatever else in words.
fn decoded<'p>(
    framing: Framing,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<(String, String)>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(framing);
    let mut seen = Vec::new();
    let mut keep = |decoded: Decoded<'_>| {
        seen.push(match decoded {
            Decoded::Frame(frame) => (frame.name.unwrap_or_default().to_owned(), frame.data.to_owned()),
            Decoded::Alive => ("alive".into(), String::new()),
            Decoded::Bare(json) => ("bare".into(), json.to_owned()),
            Decoded::Failed(error) => (error.code.unwrap_or_default(), error.message),
            Decoded::Unknown => ("unknown".into(), String::new()),
        });
    };
    let pushed = pieces.into_iter().try_for_each(|piece| decoder.push(piece, &mut keep));
    let ended = pushed.and_then(|()| decoder.finish(&mut keep));
    (seen, ended)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What other people's decoder made of a recording: one JSON object per frame.
fn frames_beside(case: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(case.join("stream.jsonl")).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).map(json).collect()
}

#[test]
fn recordings_of_bedrock_are_decoded_as_others_decoded_them() {
    for (case, stream) in recorded("bedrock-converse", "stream.bin") {
        let name = case.display();
        for size in [1, 100, 1_000_000] {
            let (seen, ended) = decoded(Framing::AwsEventStream, stream.chunks(size));
            assert_eq!(ended, Ok(()), "{name}");
            let expected = frames_beside(&case);
            assert_eq!(seen.len(), expected.len(), "{name}");
            for ((kind, data), expected) in seen.iter().zip(expected) {
                let headers = &expected["headers"];
                match headers[":message-type"].as_str().unwrap() {
                    "event" => {
                        assert_eq!(headers[":event-type"], kind.as_str(), "{name}");
                        assert_eq!(json(data), expected["payload"], "{name}");
                    }
                    _ => {
                        assert_eq!(headers[":exception-type"], kind.as_str(), "{name}");
                        assert_eq!(expected["payload"]["message"], data.as_str(), "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn recordings_of_bedrock_invocations_are_unwrapped_and_relayed() {
    for (case, stream) in recorded("bedrock-invoke-anthropic", "stream.bin") {
        let name = case.display();
        let (seen, ended) = decoded(Framing::AwsEventStream, [stream.as_slice()]);
        assert_eq!(ended, Ok(()), "{name}");
        let expected: Vec<Value> =
            frames_beside(&case).iter().map(|frame| frame["decoded_bytes"].clone()).collect();
        assert_eq!(seen.iter().map(|(_, data)| json(data)).collect::<Vec<_>>(), expected, "{name}");
        if expected[0]["type"] != "message_start" {
            // The text completions of old: nothing that is relayed.
            continue;
        }

        let chat = over_aws(AnthropicMessages, OpenAiChat);
        let bridged = run(&chat, stream.chunks(100));
        assert!(bridged.end.is_complete(), "{name}: {:?}", bridged.end);
        assert_eq!(check(OpenAiChat, &bridged.bytes), Ok(Verdict::EndedWell), "{name}");
        assert_eq!(run(&chat, stream.chunks(1)).bytes, bridged.bytes, "{name}");
        // What Bedrock measured stands in the last event: kept below, and reported here.
        let measured = "amazon-bedrock-invocationMetrics";
        assert!(expected.last().unwrap()[measured]["outputTokenCount"].is_u64(), "{name}");
        let lost = &bridged.facts().losses;
        assert!(lost.iter().any(|loss| loss.pointer == format!("/{measured}")), "{name}: {lost:?}");

        let same = run(&over_aws(AnthropicMessages, AnthropicMessages), stream.chunks(100));
        let (passed, _) = decoded(Framing::Sse, [same.bytes.as_slice()]);
        for ((kind, data), (_, sent)) in passed.iter().zip(&seen) {
            assert_eq!((json(data)["type"].as_str(), data), (Some(kind.as_str()), sent), "{name}");
        }
        assert_eq!(passed.len(), seen.len(), "{name}");
        let (read, facts) = (bridged.facts(), same.facts());
        assert_eq!((facts.usage, &facts.finish, &facts.id), (read.usage, &read.finish, &read.id), "{name}");
    }
}

#[test]
fn recorded_arrays_of_gemini_are_taken_apart() {
    for (case, stream) in recorded("gemini-generatecontent", "response.json") {
        let name = case.display();
        let text = std::str::from_utf8(&stream).unwrap();
        let expected: Vec<Value> = match json(text) {
            Value::Array(elements) => elements,
            whole => vec![whole],
        };
        for size in [1, 100, 1_000_000] {
            let (seen, ended) = decoded(Framing::JsonArray, stream.chunks(size));
            assert_eq!(ended, Ok(()), "{name}");
            let elements: Vec<Value> = seen.iter().map(|(_, data)| json(data)).collect();
            assert_eq!(elements, expected, "{name}");
        }
    }
}

#[test]
fn a_recorded_error_without_a_field_is_found() {
    for (_, stream) in recorded("gemini-generatecontent", "stream.raw") {
        for size in [1, 100, 1_000_000] {
            let (seen, ended) = decoded(Framing::Sse, stream.chunks(size));
            assert_eq!(ended, Ok(()));
            let kinds: Vec<&str> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
            assert_eq!(kinds, ["", "", "bare"]);
            assert_eq!(json(&seen[2].1)["error"]["status"], "CANCELLED");
        }
    }
}

fn over_aws(provider: Protocol, client: Protocol) -> RelayOptions<'static> {
    RelayOptions { framing: Framing::AwsEventStream, ..options(provider, client) }
}

fn in_array(provider: Protocol, client: Protocol) -> RelayOptions<'static> {
    RelayOptions { framing: Framing::JsonArray, ..options(provider, client) }
}

/// Base64 as it is written, for streams of our own.
fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(digits[(bits >> (18 - 6 * place)) as usize & 63]));
        }
        text.push_str(&"==="[group.len()..]);
    }
    text
}

/// The data of each event of a stream, each in a frame of its own, as Bedrock invocations have it.
fn in_chunks(stream: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let payload = format!(r#"{{"bytes":"{}","p":"abc"}}"#, base64(data.as_bytes()));
        encode_event("chunk", payload.as_bytes(), &mut frames).unwrap();
    }
    frames
}

/// The data of each event of a stream as elements of an array.
fn as_array(stream: &str) -> String {
    let data: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    format!("[{}\r\n]\n", data.join("\r\n,\r\n"))
}

fn anthropic_stream() -> String {
    anthropic(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        &block_delta(0, &text_delta("Hello")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ])
}

#[test]
fn what_a_stream_says_does_not_depend_on_its_framing() {
    for client in [OpenAiChat, AnthropicMessages] {
        let stream = anthropic_stream();
        let told = run_text(&options(AnthropicMessages, client), &stream);
        let framed = run(&over_aws(AnthropicMessages, client), [in_chunks(&stream).as_slice()]);
        let array = run_text(&in_array(AnthropicMessages, client), &as_array(&stream));
        assert_eq!((framed.text(), array.text()), (told.text(), told.text()));
        assert_eq!((framed.facts(), array.facts()), (told.facts(), told.facts()));
        assert!(told.end.is_complete() && framed.end.is_complete() && array.end.is_complete());
    }
}

#[test]
fn a_chat_stream_gets_the_end_mark_that_its_framing_made_needless() {
    let usage = r#","usage":{"prompt_tokens":16,"completion_tokens":9,"total_tokens":25}"#;
    let chunks = [chat_chunk(&delta(r#"{"content":"Hi"}"#), ""), chat_chunk(&finish("stop"), "")].concat();
    let counted = chat_chunk("[]", usage);
    let expected = format!("{chunks}data: [DONE]\n\n");
    let hiding = |options: RelayOptions<'static>| RelayOptions { hide_usage: true, ..options };
    for with_mark in ["", "data: [DONE]\n\n"] {
        let stream = [&chunks, &counted, with_mark].concat();
        let ran = run(&hiding(over_aws(OpenAiChat, OpenAiChat)), [in_chunks(&stream).as_slice()]);
        assert_eq!(ran.text(), expected);
        assert!(ran.end.is_complete());
        assert_eq!(ran.facts().usage, Some(Usage::new().with(Bucket::Input, 16).with(Bucket::Output, 9)));
        assert_eq!(ran.facts().finish, Some(FinishReason::Stop));
    }
}

#[test]
fn frames_of_many_lines_become_events_of_one() {
    let frame = "{\r\n  \"type\": \"ping\"\r\n}";
    let ran = run_text(&in_array(AnthropicMessages, AnthropicMessages), &format!("[{frame}"));
    assert!(ran.text().starts_with("event: ping\ndata: {    \"type\": \"ping\"  }\n\n"), "{}", ran.text());
    // What is no name does not become a line of the stream.
    let forged = r#"[{"type":"a\ndata: {}\n\n"}"#;
    let ran = run_text(&in_array(AnthropicMessages, AnthropicMessages), forged);
    assert!(ran.text().starts_with("data: {\"type\":\"a\\n"), "{}", ran.text());
}

#[test]
fn exceptions_break_a_stream_with_the_class_that_they_name() {
    let start = anthropic(&[MESSAGE_START, &block_start(0, TEXT_BLOCK)]);
    let text = aws::HeaderValue::Text;
    let mut exception = Vec::new();
    encode_exception("throttlingException", br#"{"message":"Too many tokens"}"#, &mut exception).unwrap();
    let mut error = Vec::new();
    let headers = [
        (":message-type", text("error")),
        (":error-code", text("InternalFailure")),
        (":error-message", text("It broke")),
    ];
    encode(headers, b"", &mut error).unwrap();
    for (frame, class, message, code) in [
        (exception, ErrorClass::RateLimit, "Too many tokens", "throttlingException"),
        (error, ErrorClass::Server, "It broke", "InternalFailure"),
    ] {
        let stream = [in_chunks(&start), frame, in_chunks(&anthropic(&[MESSAGE_STOP]))].concat();
        for client in [OpenAiChat, AnthropicMessages] {
            let ran = run(&over_aws(AnthropicMessages, client), stream.chunks(7));
            let told = ran.error();
            assert_eq!(
                (told.class, told.message.as_str(), told.code.as_deref()),
                (class, message, Some(code))
            );
            assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWithError), "{}", ran.text());
            assert_eq!(ran.text().matches(message).count(), 1);
        }
    }
}

#[test]
fn a_broken_framing_breaks_the_stream() {
    let whole = in_chunks(&anthropic_stream());
    let mut damaged = whole.clone();
    let half = damaged.len() / 2;
    damaged[half] ^= 1;
    let mut no_chunk = Vec::new();
    encode_event("chunk", br#"{"p":"abc"}"#, &mut no_chunk).unwrap();
    let mut no_text = Vec::new();
    encode_event("chunk", br#"{"bytes":"/w=="}"#, &mut no_text).unwrap();
    for (stream, message) in [
        (damaged, aws::AwsFrameError::MessageChecksum.to_string()),
        (whole[..half].to_vec(), aws::AwsFrameError::Truncated.to_string()),
        ([no_chunk, whole.clone()].concat(), aws::ChunkError.to_string()),
        ([no_text, whole].concat(), DecodeError::NotUtf8.to_string()),
    ] {
        for client in [OpenAiChat, AnthropicMessages] {
            for size in [1, 1_000_000] {
                let ran = run(&over_aws(AnthropicMessages, client), stream.chunks(size));
                assert_eq!((ran.error().status, &ran.error().message), (502, &message));
                assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWithError), "{}", ran.text());
            }
        }
    }
    let array = as_array(&anthropic(&[MESSAGE_START]));
    let ran = run_text(&in_array(AnthropicMessages, OpenAiChat), array.trim_end_matches("\r\n]\n"));
    assert_eq!(ran.error().message, json_array::JsonArrayError::Truncated.to_string());
}

#[test]
fn events_and_frames_that_nobody_knows_are_counted() {
    let mut stream = in_chunks(&anthropic(&[MESSAGE_START]));
    encode([], b"", &mut stream).unwrap();
    stream.extend(in_chunks(&anthropic(&[MESSAGE_DELTA, MESSAGE_STOP])));
    let ran = run(&over_aws(AnthropicMessages, OpenAiChat), [stream.as_slice()]);
    assert!(ran.end.is_complete());
    assert_eq!(ran.facts().unknown_events, 1);
}

#[test]
fn a_bare_error_breaks_a_stream_of_any_protocol() {
    let chat_error =
        "{\n  \"error\": {\n    \"message\": \"Slow down\",\n    \"code\": \"rate_limit_exceeded\"\n  }\n}\n";
    let anthropic_error = "{\n  \"type\": \"error\",\n  \"error\": {\"type\": \"rate_limit_error\", \"message\": \"Slow down\"}\n}\n";
    let begun = [
        chat_chunk(&delta(r#"{"content":"Hi"}"#), ""),
        anthropic(&[MESSAGE_START, &block_start(0, TEXT_BLOCK), &block_delta(0, &text_delta("Hi"))]),
    ];
    for (provider, begun, error) in
        [(OpenAiChat, &begun[0], chat_error), (AnthropicMessages, &begun[1], anthropic_error)]
    {
        for client in [OpenAiChat, AnthropicMessages] {
            for (begun, end) in [(begun.as_str(), ""), (begun.as_str(), "\n\n"), ("", "")] {
                let stream = [begun, error, end].concat();
                let options = options(provider, client);
                let ran = run_text(&options, &stream);
                assert_eq!(
                    (ran.error().class, ran.error().message.as_str()),
                    (ErrorClass::RateLimit, "Slow down")
                );
                assert_eq!(ran.committed, !begun.is_empty());
                let (events, _) = decoded(Framing::Sse, [ran.bytes.as_slice()]);
                let (_, last) = events.last().unwrap();
                assert_eq!(json(last)["error"]["message"], "Slow down", "{}", ran.text());
                for size in 1..70 {
                    assert_eq!(run(&options, stream.as_bytes().chunks(size)).text(), ran.text());
                }
            }
        }
    }
}

#[test]
fn an_object_that_is_no_error_breaks_nothing() {
    let stream = chat(&[&delta(r#"{"content":"Hi"}"#), &finish("stop")]);
    let noisy = stream.replacen("data: {", "{\"note\": 1}\n\n{ odd }\n\ndata: {", 2);
    for client in [OpenAiChat, AnthropicMessages] {
        let ran = run_text(&options(OpenAiChat, client), &noisy);
        assert!(ran.end.is_complete());
        assert_eq!(ran.facts().unknown_events, 4);
    }
}

proptest! {
    /// Streams of any framing, whole and damaged, are relayed alike however they are cut; what the
    /// client gets obeys its grammar.
    #[test]
    fn any_cut_of_any_framing_gives_the_same_bytes(
        kinds in prop::collection::vec(0_usize..8, 0..8),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        let deltas = block_delta(0, &text_delta("é😀"));
        let (start, stop) = (block_start(0, TEXT_BLOCK), block_stop(0));
        let events = [MESSAGE_START, &start, &deltas, &deltas, &stop, MESSAGE_DELTA, MESSAGE_STOP, r#"{"type":"odd"}"#];
        let said: Vec<&str> = kinds.iter().map(|kind| events[*kind]).collect();
        let stream = anthropic(&said);
        for (framing, mut bytes) in [
            (Framing::AwsEventStream, in_chunks(&stream)),
            (Framing::JsonArray, as_array(&stream).into_bytes()),
        ] {
            if let Some((at, byte)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            for client in [OpenAiChat, AnthropicMessages] {
                let options = RelayOptions { framing, ..options(AnthropicMessages, client) };
                let whole = run(&options, [bytes.as_slice()]);
                for pieces in [cut(&bytes, &sizes), cut(&bytes, &[1])] {
                    let ran = run(&options, pieces);
                    prop_assert_eq!(String::from_utf8_lossy(&ran.bytes), String::from_utf8_lossy(&whole.bytes));
                    prop_assert_eq!(ran.end.is_complete(), whole.end.is_complete());
                }
                if client == OpenAiChat {
                    let expected = if whole.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
                    prop_assert_eq!(check(client, &whole.bytes), Ok(expected));
                }
            }
        }
    }
}
