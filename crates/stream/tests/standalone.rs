//! Streams without the HTTP around them: the framing is told by the first bytes, and that of the target
//! is written, however the stream is cut and whatever it is.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use weighbridge_stream::aws::{AwsDecoder, AwsKind, AwsWrapper};
use weighbridge_stream::testkit::{Verdict, check, check_array};
use weighbridge_stream::{End, Standalone, StandaloneOptions, StreamForm};
use weighbridge_units::Protocol;

const PROTOCOLS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

/// The golden case with the most in it.
fn stream(protocol: Protocol) -> Vec<u8> {
    let text = match protocol {
        Protocol::OpenAiChat => include_str!("golden/tool-calls-interleaved/openai-chat.sse"),
        Protocol::AnthropicMessages => include_str!("golden/tool-calls-interleaved/anthropic-messages.sse"),
        Protocol::OpenAiResponses => include_str!("golden/tool-calls-interleaved/openai-responses.sse"),
        Protocol::GeminiGenerateContent => include_str!("golden/tool-calls-interleaved/gemini.sse"),
        Protocol::BedrockConverse => include_str!("golden/tool-calls-interleaved/bedrock-converse.sse"),
    };
    if protocol == Protocol::BedrockConverse { wrapped(text) } else { text.as_bytes().to_vec() }
}

fn wrapped(events: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    AwsWrapper::new().push(events.as_bytes(), &mut frames).unwrap();
    frames
}

/// Binary frames in their text form.
fn unwrapped(frames: &[u8]) -> Vec<u8> {
    let mut events = Vec::new();
    let mut decoder = AwsDecoder::new();
    decoder
        .push(frames, &mut |frame| {
            let (AwsKind::Event { name } | AwsKind::Exception { name }) = frame.kind() else {
                unreachable!("{frame:?}");
            };
            events.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
            events.extend_from_slice(frame.payload());
            events.extend_from_slice(b"\n\n");
        })
        .unwrap();
    decoder.finish().unwrap();
    events
}

fn run<'p>(
    from: Protocol,
    to: Protocol,
    form: StreamForm,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<u8>, End) {
    let mut stream = Standalone::new(StandaloneOptions {
        from,
        to,
        form,
        id_fallback: "made-up",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        request_id: "req_1",
    });
    let mut out = VecDeque::new();
    for piece in pieces {
        if !stream.is_running() {
            break;
        }
        stream.push(Bytes::copy_from_slice(piece), &mut out);
    }
    let end = stream.finish(&mut out);
    (out.into_iter().flatten().collect(), end)
}

fn verdict(to: Protocol, form: StreamForm, written: &[u8]) -> Result<Verdict, String> {
    let judged = match (to, form) {
        (Protocol::GeminiGenerateContent, StreamForm::JsonArray) => check_array(written),
        (Protocol::BedrockConverse, _) => check(to, &unwrapped(written)),
        _ => check(to, written),
    };
    judged.map_err(|error| format!("{to}: {error}\n{}", String::from_utf8_lossy(written)))
}

#[test]
fn how_a_stream_is_cut_changes_nothing() {
    for from in PROTOCOLS {
        for to in PROTOCOLS {
            for form in [StreamForm::Events, StreamForm::JsonArray] {
                let bytes = stream(from);
                let (whole, end) = run(from, to, form, [&bytes[..]]);
                assert!(end.is_complete(), "{from} to {to}: {end:?}");
                if from != to {
                    assert_eq!(verdict(to, form, &whole), Ok(Verdict::EndedWell), "from {from}");
                }
                for size in [1, 2, 13, 100] {
                    let (cut, _) = run(from, to, form, bytes.chunks(size));
                    assert!(cut == whole, "{from} to {to} in pieces of {size}");
                }
            }
        }
    }
}

#[test]
fn blanks_before_a_stream_tell_nothing() {
    for from in PROTOCOLS.into_iter().filter(|from| *from != Protocol::BedrockConverse) {
        let bytes = [&b"\n\n"[..], &stream(from)].concat();
        let (_, end) = run(from, Protocol::BedrockConverse, StreamForm::Events, bytes.chunks(1));
        assert!(end.is_complete(), "{from}: {end:?}");
        // An endless row of them is not kept.
        let (_, end) = run(from, Protocol::BedrockConverse, StreamForm::Events, [&[b'\n'; 5000][..]]);
        assert!(!end.is_complete(), "{from}");
    }
}

#[test]
fn converse_passes_frame_by_frame() {
    let bytes = stream(Protocol::BedrockConverse);
    let (same, end) =
        run(Protocol::BedrockConverse, Protocol::BedrockConverse, StreamForm::Events, bytes.chunks(5));
    assert!(end.is_complete() && same == bytes);
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(PROTOCOLS.to_vec())
}

fn pair() -> impl Strategy<Value = (Protocol, Protocol)> {
    (0..PROTOCOLS.len(), 1..PROTOCOLS.len())
        .prop_map(|(from, further)| (PROTOCOLS[from], PROTOCOLS[(from + further) % PROTOCOLS.len()]))
}

/// Bytes that come near to a stream: pieces of real ones, cut and damaged.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let piece =
        (protocol(), any::<prop::sample::Index>(), 0_usize..300).prop_map(|(protocol, at, length)| {
            let bytes = stream(protocol);
            let start = at.index(bytes.len());
            bytes[start..bytes.len().min(start + length)].to_vec()
        });
    let noise = prop::collection::vec(any::<u8>(), 0..20);
    prop::collection::vec(prop_oneof![4 => piece, 1 => noise], 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_comes_the_client_gets_a_stream_of_its_own(
        (from, to) in pair(),
        bytes in damaged(),
        array in any::<bool>(),
        size in 1_usize..400,
    ) {
        let form = if array { StreamForm::JsonArray } else { StreamForm::Events };
        let (written, end) = run(from, to, form, bytes.chunks(size));
        let expected = if end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
        prop_assert_eq!(verdict(to, form, &written), Ok(expected));
    }
}
