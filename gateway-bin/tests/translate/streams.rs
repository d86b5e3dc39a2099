//! Streams, between every two protocols and framings.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use weighbridge_stream::aws::{AwsDecoder, AwsKind};
use weighbridge_stream::testkit::{Verdict, check, check_array};
use weighbridge_units::Protocol;

use crate::{assert_exit, between, cases, pairs, said, written};

/// How a stream stands that was written in the framing of its protocol.
fn verdict(protocol: Protocol, stream: &[u8]) -> Verdict {
    let events = if protocol == Protocol::BedrockConverse { unwrapped(stream) } else { stream.to_vec() };
    check(protocol, &events).unwrap_or_else(|error| {
        panic!("{protocol}: {error}\n{}", String::from_utf8_lossy(&events));
    })
}

/// Binary frames in the text form that the grammar of Converse judges.
fn unwrapped(stream: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    let mut decoder = AwsDecoder::new();
    let mut take = |name: &str, payload: &[u8]| {
        events.extend(format!("event: {name}\ndata: ").into_bytes());
        events.extend_from_slice(payload);
        events.extend_from_slice(b"\n\n");
    };
    decoder
        .push(stream, &mut |frame| match frame.kind() {
            AwsKind::Event { name } | AwsKind::Exception { name } => take(name, frame.payload()),
            kind => panic!("a frame is {kind:?}"),
        })
        .unwrap();
    decoder.finish().unwrap();
    events
}

#[test]
fn a_stream_of_every_protocol_goes_to_every_protocol() {
    for (from, to) in pairs() {
        let output = between(from, to, &["--stream"], &cases::stream(from));
        assert_exit(&output, 0);
        if from == to {
            assert!(
                output.stdout == cases::stream(from),
                "{from}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
        } else {
            assert_eq!(verdict(to, &output.stdout), Verdict::EndedWell, "{from} to {to}");
        }
    }
}

#[test]
fn a_stream_that_is_cut_ends_with_the_targets_error() {
    for (from, to) in pairs() {
        let frames = cases::frames(from);
        // Where the finish was told, some streams are whole: half of it is safely short of that.
        let cut = frames[..frames.len() / 2].concat();
        let output = between(from, to, &["--stream"], &cut);
        assert_exit(&output, 1);
        if from == to {
            assert!(output.stdout.starts_with(&cut) && output.stdout.len() > cut.len(), "{from}");
        } else {
            assert_eq!(verdict(to, &output.stdout), Verdict::EndedWithError, "{from} to {to}");
        }
        assert!(said(&output).last().unwrap().contains("the stream broke off"), "{:?}", said(&output));
    }
}

#[test]
fn nothing_at_all_is_a_broken_stream() {
    for (from, to) in pairs() {
        for input in [&b""[..], b" \n\n"] {
            let output = between(from, to, &["--stream"], input);
            assert_exit(&output, 1);
            assert!(!output.stdout.is_empty(), "{from} to {to}");
        }
    }
}

#[test]
fn garbage_is_a_broken_stream() {
    for (from, to) in pairs() {
        for input in [&b"<html>no</html>"[..], b"\x00\x00\xff\xff broken", b"data: {\"a\":\n\n"] {
            assert_exit(&between(from, to, &["--stream"], input), 1);
        }
    }
}

#[test]
fn both_forms_of_gemini_are_read_and_written() {
    let gemini = Protocol::GeminiGenerateContent;
    for to in Protocol::ALL {
        let output = between(gemini, to, &["--stream"], cases::gemini_array().as_bytes());
        assert_exit(&output, 0);
        assert_eq!(verdict(to, &output.stdout), Verdict::EndedWell, "{to}");
    }
    for from in Protocol::ALL {
        let output = between(from, gemini, &["--stream", "--json-array"], &cases::stream(from));
        assert_exit(&output, 0);
        assert_eq!(check_array(&output.stdout), Ok(Verdict::EndedWell), "{}", written(&output));
    }
}

/// Anthropic's stream as a Bedrock invocation frames it.
#[test]
fn an_event_stream_of_aws_is_known_by_its_first_byte() {
    // {"type":"message_stop"} and so on, in base64 within `bytes`.
    let chunk = |event: &str| cases::aws_frame("chunk", &format!(r#"{{"bytes":"{}"}}"#, base64(event)));
    let stream: Vec<u8> = cases::frames(Protocol::AnthropicMessages)
        .iter()
        .map(|frame| std::str::from_utf8(frame).unwrap())
        .flat_map(|frame| chunk(frame.split_once("data: ").unwrap().1.trim_end()))
        .collect();
    let output = between(Protocol::AnthropicMessages, Protocol::OpenAiChat, &["--stream"], &stream);
    assert_exit(&output, 0);
    assert_eq!(verdict(Protocol::OpenAiChat, &output.stdout), Verdict::EndedWell);
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |piece: &[u8]| {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*piece.get(at).unwrap_or(&0)));
        let digit = |at: u32| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at as usize > piece.len() { '=' } else { digit(at) }).collect::<String>()
    };
    text.as_bytes().chunks(3).map(digits).collect()
}

#[test]
fn what_is_complete_is_written_before_the_stream_ends() {
    let frames = cases::frames(Protocol::OpenAiChat);
    let mut child = Command::new(env!("CARGO_BIN_EXE_weighbridge"))
        .args(["translate", "--from", "openai-chat", "--to", "anthropic-messages", "--stream"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(&frames[0]).unwrap();
    input.flush().unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("\"Dr\"") {
        let length = output.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..length]);
    }
    input.write_all(&frames[1..].concat()).unwrap();
    drop(input);
    output.read_to_end(&mut seen).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(verdict(Protocol::AnthropicMessages, &seen), Verdict::EndedWell);
}

#[test]
fn a_stream_that_loses_something_is_held_back_under_reject() {
    // A frame of a kind that no other protocol has.
    let citation = r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"x","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}}}"#;
    let mut frames = cases::frames(Protocol::AnthropicMessages);
    frames.insert(3, format!("event: content_block_delta\ndata: {citation}\n\n").into_bytes());
    let stream = frames.concat();
    let run = |more: &[&str]| between(Protocol::AnthropicMessages, Protocol::OpenAiChat, more, &stream);
    let warned = run(&["--stream"]);
    assert_exit(&warned, 0);
    assert!(!said(&warned).is_empty());
    let rejected = run(&["--stream", "--loss-policy", "reject"]);
    assert_exit(&rejected, 3);
    assert_eq!((written(&rejected), said(&rejected)), ("", said(&warned)));
    let allowed = run(&["--stream", "--loss-policy", "allow"]);
    assert_exit(&allowed, 0);
    assert!(said(&allowed).is_empty());
    assert_eq!(undated(written(&allowed)), undated(written(&warned)));
}

/// A stream without the seconds in which it was made.
fn undated(stream: &str) -> String {
    let mut parts = stream.split(r#""created":"#);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}
