//! Answers that are kept: what a translated stream tells of it, and the answer that is read off a stream.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{AnswerTap, Relay};
use weighbridge_translate::openai_responses::kept::KeptAs;
use weighbridge_units::Protocol::OpenAiResponses;

use crate::support::*;

const CHAT: &str = "data: {\"id\":\"chatcmpl-123\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n\
    data: {\"id\":\"chatcmpl-123\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: [DONE]\n\n";

/// What the client gets, and what a tap reads off it, in pieces of that many bytes.
fn kept(stream: &str, kept: Option<KeptAs>, piece: usize) -> (Vec<u8>, Option<Value>) {
    let mut relay = Relay::new(&options(OpenAiChat, OpenAiResponses));
    if let Some(kept) = kept {
        relay.keep_as(kept);
    }
    let mut out = VecDeque::new();
    relay.push(Bytes::from(stream.to_owned()), &mut out);
    relay.finish(None, &mut out);
    let bytes: Vec<u8> = out.into_iter().flatten().collect();
    let mut tap = AnswerTap::new();
    bytes.chunks(piece).for_each(|piece| tap.push(piece));
    (bytes, tap.into_answer().map(|answer| serde_json::from_str(&answer).unwrap()))
}

fn data(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn a_translated_stream_tells_the_id_that_it_is_kept_under() {
    let wanted = KeptAs { id: "resp_2".into(), previous: Some("resp_1".into()), store: true };
    let (bytes, answer) = kept(CHAT, Some(wanted), 1_000);
    assert_eq!(check(OpenAiResponses, &bytes), Ok(Verdict::EndedWell));
    let told: Vec<Value> = data(&bytes)
        .iter()
        .filter_map(|event| event.get("response"))
        .map(|told| json!([told["id"], told["previous_response_id"], told["store"]]))
        .collect();
    assert_eq!(told, vec![json!(["resp_2", "resp_1", true]); 3], "created, in progress, completed");
    let answer = answer.unwrap();
    assert_eq!((&answer["id"], &answer["output"][0]["content"][0]["text"]), (&json!("resp_2"), &json!("Hi")));
}

#[test]
fn without_a_word_a_translated_stream_is_not_kept() {
    let (_, answer) = kept(CHAT, None, 1_000);
    let answer = answer.unwrap();
    assert_eq!((&answer["id"], &answer["store"]), (&json!("chatcmpl-123"), &json!(false)));
    assert_eq!(answer["previous_response_id"], Value::Null);
}

#[test]
fn a_broken_stream_has_no_answer() {
    assert_eq!(
        kept("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n", None, 9).1,
        None
    );
}

#[test]
fn what_cannot_be_read_hides_what_follows_and_not_what_was() {
    let end: &[u8] = b"data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
    let garbage: &[u8] = b"data: \xff\n\n";
    let read = |pieces: [&[u8]; 2]| {
        let mut tap = AnswerTap::new();
        pieces.iter().for_each(|piece| tap.push(piece));
        tap.into_answer()
    };
    assert_eq!(read([end, garbage]).as_deref(), Some("{}"));
    assert_eq!(read([garbage, end]), None);
}

#[test]
fn the_last_event_may_lack_its_blank_line() {
    let mut tap = AnswerTap::default();
    tap.push(b"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}");
    assert_eq!(tap.into_answer().as_deref(), Some(r#"{"id":"r"}"#));
}

proptest! {
    #[test]
    fn any_cut_reads_the_same_answer(piece in 1_usize..400) {
        prop_assert_eq!(kept(CHAT, None, piece), kept(CHAT, None, 100_000));
    }
}
