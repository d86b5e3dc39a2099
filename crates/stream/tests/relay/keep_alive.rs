//! Signs of life of our own, for a client whose provider is silent.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use weighbridge_stream::sse::{SseDecoder, SseItem};
use weighbridge_stream::testkit::{check, check_array};
use weighbridge_stream::{Relay, RelayOptions, RelayState, StreamForm};
use weighbridge_translate::keep_alive;

use crate::frames::sent;
use crate::support::*;

/// As [`run`], with a sign of life after every piece behind the commit point.
fn run_kept_alive(options: &RelayOptions<'_>, pieces: &[&[u8]]) -> (Vec<u8>, usize) {
    let mut relay = Relay::new(options);
    let mut out = VecDeque::new();
    let mut signs = 0;
    for piece in pieces {
        relay.push(Bytes::copy_from_slice(piece), &mut out);
        if relay.state() != RelayState::Running {
            break;
        }
        if relay.committed() {
            let before = out.len();
            relay.keep_alive(&mut out);
            signs += out.len() - before;
        }
    }
    relay.finish(None, &mut out);
    (out.into_iter().flat_map(|bytes| bytes.to_vec()).collect(), signs)
}

/// What a client's SDK makes of a stream: events but for signs of life, and what stands outside of them.
fn heard(stream: &[u8]) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let mut events = Vec::new();
    let mut take = |item: SseItem<'_>| match item {
        SseItem::Message(message) if message.event == Some(b"ping") => {}
        SseItem::Message(message) => {
            events.push((message.event.map(<[u8]>::to_vec), message.data.to_vec()));
        }
        SseItem::Bare(bare) => events.push((None, bare.as_bytes().to_vec())),
        SseItem::Comment => {}
    };
    let mut decoder = SseDecoder::new();
    let _ = decoder.push(stream, &mut take).and_then(|()| decoder.finish(&mut take));
    events
}

proptest! {
    #[test]
    fn signs_of_life_stand_between_frames_and_change_nothing(
        (provider, stream) in sent(),
        hide_usage in any::<bool>(),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for (_, client) in pairs().filter(|(from, _)| *from == provider) {
            let options = RelayOptions { hide_usage, ..options(provider, client) };
            let pieces = cut(&stream, &sizes);
            let plain = run(&options, pieces.clone());
            let (kept, _) = run_kept_alive(&options, &pieces);
            prop_assert_eq!(heard(&kept), heard(&plain.bytes), "{}", String::from_utf8_lossy(&kept));
            if provider != client {
                prop_assert_eq!(check(client, &kept), check(client, &plain.bytes));
            }
        }
    }
}

#[test]
fn each_protocol_has_its_own_sign_of_life() {
    let chat = chat(&[&delta(r#"{"content":"Hello"}"#), &delta(r#"{"content":" you"}"#), &finish("stop")]);
    let pieces: Vec<&[u8]> = chat.split_inclusive("\n\n").map(str::as_bytes).collect();
    for (_, client) in pairs().filter(|(provider, _)| *provider == OpenAiChat) {
        let (bytes, signs) = run_kept_alive(&options(OpenAiChat, client), &pieces);
        // Behind each of the three pieces that do not end the stream; Converse has none.
        let expected = if client == BedrockConverse { 0 } else { 3 };
        assert_eq!(signs, expected, "{client}: {}", String::from_utf8_lossy(&bytes));
        let sign = keep_alive(client);
        let found = bytes.windows(sign.len().max(1)).filter(|window| *window == sign).count();
        assert!(found >= expected, "{client}: {}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn an_array_takes_white_space_between_its_elements() {
    let options = RelayOptions { form: StreamForm::JsonArray, ..options(OpenAiChat, GeminiGenerateContent) };
    let chat = chat(&[&delta(r#"{"content":"Hello"}"#), &delta(r#"{"content":" you"}"#), &finish("stop")]);
    let pieces: Vec<&[u8]> = chat.split_inclusive("\n\n").map(str::as_bytes).collect();
    let (bytes, signs) = run_kept_alive(&options, &pieces);
    assert_eq!(signs, 3);
    assert_eq!(check_array(&bytes), check_array(&run(&options, pieces).bytes));
}

#[test]
fn no_frame_of_a_pass_through_is_torn() {
    let frame = chat_chunk(&delta(r#"{"content":"Hello"}"#), "");
    for hide_usage in [false, true] {
        let mut relay = Relay::new(&RelayOptions { hide_usage, ..options(OpenAiChat, OpenAiChat) });
        let mut out = VecDeque::new();
        relay.push(Bytes::from(format!("{frame}{}", &frame[..40])), &mut out);
        let before = out.len();
        relay.keep_alive(&mut out);
        // What is withheld has not begun for the client.
        assert_eq!(out.len() - before, usize::from(hide_usage));
        relay.push(Bytes::from(frame[40..].to_owned()), &mut out);
        relay.keep_alive(&mut out);
        assert_eq!(out.back().map(|bytes| &bytes[..]), Some(&b": ping\n\n"[..]));
    }
}
