//! Answers that are kept: what a translated stream tells of it, and the answer that is read off a stream.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{AnswerTap, Relay};
use weighbridge_translate::openai_responses::kept::{KeptAs, retold};
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

/// Three events that repeat the answer, and one that is about something else of that name.
fn own_stream(previous: &str) -> String {
    let answer = |status: &str, output: &str| {
        format!(
            r#"{{"id":"resp_2","object":"response","created_at":1,"status":"{status}","error":null,"incomplete_details":null,"model":"m","output":{output},"previous_response_id":{previous},"parallel_tool_calls":true,"tool_choice":"auto","tools":[]}}"#
        )
    };
    let item = |text: &str| {
        format!(
            r#"{{"id":"fc_1","type":"function_call","status":"completed","call_id":"c","name":"f","arguments":"{text}"}}"#
        )
    };
    let said = r#"{\"response\":{\"previous_response_id\":null}}"#;
    let events = [
        ("response.created", format!(r#""response":{}"#, answer("in_progress", "[]"))),
        ("response.in_progress", format!(r#""response":{}"#, answer("in_progress", "[]"))),
        ("response.output_item.added", format!(r#""output_index":0,"item":{}"#, item(""))),
        (
            "response.function_call_arguments.delta",
            format!(r#""item_id":"fc_1","output_index":0,"delta":"{said}""#),
        ),
        (
            "response.function_call_arguments.done",
            format!(r#""item_id":"fc_1","output_index":0,"name":"f","arguments":"{said}""#),
        ),
        ("response.output_item.done", format!(r#""output_index":0,"item":{}"#, item(said))),
        (
            "response.completed",
            format!(r#""response":{}"#, answer("completed", &format!("[{}]", item(said)))),
        ),
    ];
    let frame = |(number, (name, fields)): (usize, &(&str, String))| {
        format!("event: {name}\ndata: {{\"type\":\"{name}\", \"sequence_number\":{number},{fields}}}\n\n")
    };
    events.iter().enumerate().map(frame).collect()
}

fn going_on(stream: &str, sizes: &[usize]) -> String {
    let mut relay = Relay::new(&options(OpenAiResponses, OpenAiResponses));
    relay.goes_on_from("resp_1".into());
    let mut out = VecDeque::new();
    for piece in cut(stream.as_bytes(), sizes) {
        relay.push(Bytes::copy_from_slice(piece), &mut out);
    }
    assert!(relay.finish(None, &mut out).is_complete());
    String::from_utf8(out.into_iter().flatten().collect()).unwrap()
}

proptest! {
    /// Whatever the provider was told, and however its stream is cut; and no other byte changes.
    #[test]
    fn the_providers_own_stream_names_what_its_client_went_on_from(
        said in prop::sample::select(vec!["null", "\"resp_there\"", "\"resp_1\""]),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        is_last_line_whole in any::<bool>(),
        sizes in prop::collection::vec(1_usize..300, 1..5),
    ) {
        let lines = |stream: String| {
            let end = if is_last_line_whole { 0 } else { 2 };
            stream[..stream.len() - end].replace('\n', line_end)
        };
        let found = going_on(&lines(own_stream(said)), &sizes);
        prop_assert_eq!(&found, &lines(own_stream("\"resp_1\"")));
    }
}

#[test]
fn data_in_several_lines_is_changed_too() {
    let stream = own_stream("null").replace("{\"type\"", "{\ndata: \"type\"");
    let found = going_on(&stream, &[40]);
    let told: Vec<Value> = (found.split_terminator("\n\n"))
        .map(|frame| frame.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<String>())
        .map(|data| serde_json::from_str::<Value>(&data).unwrap())
        .filter_map(|event| event.get("response").map(|told| told["previous_response_id"].clone()))
        .collect();
    assert_eq!(told, ["resp_1"; 3]);
}

#[test]
fn kept_answers_are_told_again_within_the_grammar() {
    let (_, translated) = kept(CHAT, None, 1_000);
    let mut answers = vec![("translated".to_owned(), translated.unwrap().to_string())];
    for (name, answer) in crate::fixtures::recorded(OpenAiResponses, "response.json") {
        answers.push((name, String::from_utf8(answer).unwrap()));
    }
    for (name, stream) in crate::fixtures::recorded(OpenAiResponses, "stream.sse") {
        let mut tap = AnswerTap::new();
        tap.push(&stream);
        answers.extend(tap.into_answer().map(|answer| (name, answer)));
    }
    let mut told = 0;
    for (name, answer) in answers {
        let value: Value = serde_json::from_str(&answer).unwrap();
        // What is kept has come to an end; older ones, and other houses', lack what today's models demand.
        let is_whole = ["model", "created_at", "tools", "parallel_tool_calls", "tool_choice", "error"];
        let is_whole = is_whole.iter().all(|field| value.get(field).is_some());
        if !matches!(value["status"].as_str(), Some("completed" | "incomplete")) || !is_whole {
            continue;
        }
        let events = retold(&answer, None).unwrap();
        let text = String::from_utf8_lossy(&events);
        assert_eq!(check(OpenAiResponses, &events), Ok(Verdict::EndedWell), "{name}\n{text}");
        let mut tap = AnswerTap::new();
        tap.push(&events);
        let again: Value = serde_json::from_str(&tap.into_answer().unwrap()).unwrap();
        assert_eq!(again, value, "{name}");
        told += 1;
    }
    let is_recorded =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures").is_dir();
    assert!(told > if is_recorded { 20 } else { 0 }, "{told}");
}
