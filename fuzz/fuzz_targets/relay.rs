//! Relays of every framing and pair: how a stream is cut changes no byte of the output, and the client's
//! grammar is obeyed whatever comes in.
#![no_main]

use std::collections::VecDeque;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weighbridge_fuzz::{PROTOCOLS, cut, pick, settings};
use weighbridge_stream::aws::encode_event;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{End, Framing, Relay, RelayOptions, RelayState, StreamForm};
use weighbridge_units::Protocol;

/// Runs pieces through a relay, as the pipeline does: it stops at the first end that the relay sees.
fn run<'p>(options: &RelayOptions<'_>, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, End) {
    let mut relay = Relay::new(options);
    let mut out = VecDeque::new();
    for piece in pieces {
        relay.push(Bytes::copy_from_slice(piece), &mut out);
        if relay.state() != RelayState::Running {
            break;
        }
    }
    let end = relay.finish(None, &mut out);
    (out.into_iter().flatten().collect(), end)
}

/// The lines of an input as frames of the framing.
fn framed(framing: Framing, stream: &[u8]) -> Vec<u8> {
    if framing != Framing::AwsEventStream {
        return stream.to_vec();
    }
    let mut frames = Vec::new();
    for line in stream.split(|byte| *byte == b'\n') {
        encode_event("chunk", line, &mut frames).expect("it is short");
    }
    frames
}

fuzz_target!(|input: &[u8]| {
    let Some(([seed, provider, client, framing, hide], stream)) = settings(input) else { return };
    let (provider, client) = (pick(&PROTOCOLS, provider), pick(&Protocol::ALL, client));
    let framing = pick(&[Framing::Sse, Framing::AwsEventStream, Framing::JsonArray], framing);
    let options = RelayOptions {
        provider,
        framing,
        client,
        hide_usage: hide % 2 == 1,
        show_usage: hide % 2 == 1,
        form: StreamForm::Events,
        legacy_functions: false,
        id_fallback: "fallback-1",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        request_id: "req_1",
    };
    let stream = framed(framing, stream);
    let (whole, end) = run(&options, [stream.as_slice()]);
    let is_pass_through = provider == client && framing == Framing::Sse;
    for pieces in [cut(&stream, seed), stream.chunks(1).collect()] {
        let (bytes, cut_end) = run(&options, pieces);
        assert_eq!(cut_end.is_complete(), end.is_complete());
        assert_eq!(cut_end.facts().usage, end.facts().usage);
        if is_pass_through && end.is_complete() {
            // Behind the end nobody reads on, and that is at the end of a piece.
            assert!(whole.starts_with(&bytes));
        } else {
            assert_eq!(bytes, whole);
        }
    }
    if provider != client {
        let expected = if end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
        assert_eq!(check(client, &whole), Ok(expected));
    }
});
