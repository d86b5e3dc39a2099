//! A client that speaks Responses: what its streams look like, and each rule of theirs by name.

use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Framing, fold_stream};
use weighbridge_translate::conversation::{CallKind, Citation, CitationSource, Proof, Span, TokenLogprob};
use weighbridge_translate::{
    Content, Delta, Event, FinishReason, FrameError, PartKind, Place, StreamTarget, StreamWriter, adapter,
    encode_stream_error,
};
use weighbridge_units::{Loss, LossKind, Protocol::OpenAiResponses};

use crate::support::*;

fn bridge(provider: weighbridge_units::Protocol, stream: &str) -> Ran {
    let ran = run_text(&options(provider, OpenAiResponses), stream);
    let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
    assert_eq!(check(OpenAiResponses, &ran.bytes), Ok(expected), "{}", ran.text());
    ran
}

/// The events without those that begin and repeat the answer.
fn short(text: &str) -> String {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| !data.contains("\"response\":{")).collect::<Vec<_>>().join("\n")
}

fn writer() -> Box<dyn StreamWriter> {
    let target = StreamTarget {
        id_fallback: "resp_made",
        model_fallback: "asked-for",
        created: 7,
        show_usage: true,
        legacy_functions: false,
        form: weighbridge_stream::StreamForm::Events,
    };
    adapter(OpenAiResponses).stream_writer(&target)
}

/// Writes events, and ends well.
fn written(events: &[Event<'_>]) -> (String, Vec<Loss>) {
    let (mut writer, mut out, mut losses) = (writer(), Vec::new(), Vec::new());
    for event in events {
        writer.write(event, &mut out, &mut losses).unwrap();
    }
    writer.complete(&mut out, &mut losses);
    assert_eq!(check(OpenAiResponses, &out), Ok(Verdict::EndedWell), "{}", String::from_utf8_lossy(&out));
    (String::from_utf8(out).unwrap(), losses)
}

fn open(part: u32, kind: PartKind<'static>) -> Event<'static> {
    Event::Open { part, group: 0, candidate: 0, kind }
}

fn more(part: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta { part, delta }
}

fn said(part: u32, text: &'static str) -> Event<'static> {
    more(part, Delta::Text(text.into()))
}

fn close(part: u32) -> Event<'static> {
    Event::Close { part }
}

fn call(id: &'static str, kind: CallKind) -> PartKind<'static> {
    PartKind::ToolCall { id: id.into(), name: "look".into(), kind }
}

const STOP: Event<'static> = Event::Finish { candidate: 0, reason: FinishReason::Stop };

#[test]
fn text_usage_and_finish_of_chat() {
    let usage = r#","usage":{"prompt_tokens":16,"completion_tokens":9,"total_tokens":25,"prompt_tokens_details":{"cached_tokens":5}}"#;
    let mut stream = chat(&[
        &delta(r#"{"role":"assistant","content":"","refusal":null}"#),
        &delta(r#"{"content":"Hel"}"#),
        &delta(r#"{"content":"lo"}"#),
        &finish("stop"),
    ]);
    stream = stream.replace("data: [DONE]", &format!("{}data: [DONE]", chat_chunk("[]", usage)));
    insta::assert_snapshot!(bridge(OpenAiChat, &stream).text());
}

#[test]
fn thinking_text_and_call_of_anthropic() {
    let stream = anthropic(&[
        MESSAGE_START,
        &block_start(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        &block_delta(0, r#"{"type":"thinking_delta","thinking":"Hm."}"#),
        &block_delta(0, r#"{"type":"signature_delta","signature":"c2ln"}"#),
        &block_stop(0),
        &block_start(1, TEXT_BLOCK),
        &block_delta(1, &text_delta("I look.")),
        &block_stop(1),
        &block_start(2, r#"{"type":"tool_use","id":"toolu_1","name":"look","input":{}}"#),
        &block_delta(2, r#"{"type":"input_json_delta","partial_json":"{\"a\":"}"#),
        &block_delta(2, r#"{"type":"input_json_delta","partial_json":"1}"}"#),
        &block_stop(2),
        &MESSAGE_DELTA.replace("end_turn", "tool_use"),
        MESSAGE_STOP,
    ]);
    insta::assert_snapshot!(bridge(AnthropicMessages, &stream).text());
}

#[test]
fn a_stream_that_breaks_says_so_twice() {
    let begun = [MESSAGE_START, &block_start(0, TEXT_BLOCK), &block_delta(0, &text_delta("Hel"))];
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let stream = anthropic(&[begun[0], begun[1], begun[2], error]);
    let ran = bridge(AnthropicMessages, &stream);
    let end = ran.text().find("event: error").unwrap();
    insta::assert_snapshot!(&ran.text()[end..]);
    let lost = run_cut(
        &options(AnthropicMessages, OpenAiResponses),
        [anthropic(&begun).as_bytes()],
        Some(connection_lost()),
    );
    assert_eq!(check(OpenAiResponses, &lost.bytes), Ok(Verdict::EndedWithError));
    // Before anything came there is an answer that failed, too.
    let none = run_cut(&options(AnthropicMessages, OpenAiResponses), [], Some(connection_lost()));
    assert_eq!(check(OpenAiResponses, &none.bytes), Ok(Verdict::EndedWithError));
    // Where nothing is known of the stream, one event says it.
    let event = encode_stream_error(OpenAiResponses, &connection_lost(), "req_1");
    assert_eq!(check(OpenAiResponses, &event), Ok(Verdict::EndedWithError));
}

#[test]
fn texts_that_follow_each_other_share_a_message() {
    let (text, _) = written(&[
        open(0, PartKind::Text),
        said(0, "a"),
        close(0),
        open(1, PartKind::Refusal),
        said(1, "b"),
        close(1),
        open(2, call("c", CallKind::Function)),
        close(2),
        open(3, PartKind::Text),
        said(3, "d"),
        close(3),
        STOP,
    ]);
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    let kinds: Vec<_> =
        last["response"]["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["message", "function_call", "message"]);
    assert_eq!(last["response"]["output"][0]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn parts_that_interleave_keep_their_places_and_nothing_waits() {
    let (mut writer, mut out, mut losses) = (writer(), Vec::new(), Vec::new());
    let events = [
        open(0, call("a", CallKind::Function)),
        open(1, call("b", CallKind::Function)),
        more(1, Delta::Arguments("{\"b\":1}".into())),
        open(2, PartKind::Text),
        more(0, Delta::Arguments("{\"a\":1}".into())),
        said(2, "t"),
        close(1),
        close(0),
        close(2),
        STOP,
    ];
    for event in &events {
        let before = out.len();
        writer.write(event, &mut out, &mut losses).unwrap();
        assert!(out.len() > before || matches!(event, Event::Finish { .. }), "{event:?}");
    }
    writer.complete(&mut out, &mut losses);
    assert_eq!(check(OpenAiResponses, &out), Ok(Verdict::EndedWell));
    assert_eq!((writer.held_events(), losses.len()), (0, 0));
    let (folder, _) = fold_stream(OpenAiResponses, Framing::Sse, &out, 1 << 20);
    let answer = folder.answer();
    let calls = answer.candidates[0].parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some((call.id.as_ref(), call.arguments.as_ref())),
        _ => None,
    });
    assert_eq!(calls.collect::<Vec<_>>(), [("a", "{\"a\":1}"), ("b", "{\"b\":1}")]);
}

#[test]
fn a_call_without_arguments_has_an_empty_object_and_one_without_an_id_gets_one() {
    let (text, _) = written(&[open(0, call("", CallKind::Function)), close(0), STOP]);
    insta::assert_snapshot!(short(&text));
}

#[test]
fn a_custom_call_and_reasoning_in_all_its_forms() {
    let piece = |piece, text: &'static str| Delta::Summary { piece, text: text.into() };
    let (text, losses) = written(&[
        open(0, PartKind::Reasoning { id: Some("rs_own".into()) }),
        more(0, piece(0, "Thi")),
        more(0, piece(0, "nk.")),
        more(0, piece(1, "Act.")),
        more(0, Delta::Text("Hm.".into())),
        more(0, Delta::Proof(Proof::sealed(Proof::OPENAI, "gA"))),
        more(0, Delta::Proof(Proof::sealed(Proof::OPENAI, "AA"))),
        close(0),
        open(1, PartKind::Reasoning { id: None }),
        more(1, Delta::Proof(Proof::signature(Proof::GEMINI, "c2ln"))),
        close(1),
        open(2, call("c", CallKind::Custom)),
        more(2, Delta::Arguments("4 + 4".into())),
        close(2),
        STOP,
    ]);
    assert!(losses.is_empty());
    insta::assert_snapshot!(short(&text));
}

#[test]
fn sources_probabilities_images_and_sound() {
    let raw = |text: &'static str| Raw::parse(text, &ScanLimits::default()).unwrap();
    let citation = |span| Citation {
        place: Place::NOWHERE,
        span,
        title: Some("E".into()),
        quoted: None,
        source: CitationSource::Url("https://example.com".into()),
        bag: Bag::EMPTY,
    };
    let token = |token: &'static str| TokenLogprob {
        place: Place::NOWHERE,
        token: token.into(),
        logprob: Some(raw("-0.25")),
        bytes: None,
        top: Vec::new(),
        bag: Bag::EMPTY,
    };
    let media = |media_type: &'static str| media_type.into();
    let (text, losses) = written(&[
        open(0, PartKind::Text),
        Event::Logprobs { candidate: 0, tokens: vec![token("Hé")] },
        said(0, "Hé"),
        more(0, Delta::Citation(citation(Some(Span { start: 0, end: 2 })))),
        more(0, Delta::Citation(citation(None))),
        said(0, "!"),
        Event::Logprobs { candidate: 0, tokens: vec![token("!")] },
        close(0),
        open(1, PartKind::Image { media_type: media("image/webp") }),
        more(1, Delta::Data("aGkh".into())),
        more(1, Delta::Data("aGk=".into())),
        close(1),
        open(2, PartKind::Audio { id: None, media_type: media("audio/wav") }),
        more(2, Delta::Data("aGk=".into())),
        said(2, "Spoken."),
        close(2),
        STOP,
    ]);
    let kinds: Vec<LossKind> = losses.iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::Approximated]);
    insta::assert_snapshot!(short(&text));
}

#[test]
fn bytes_that_were_written_in_several_lines_stand_in_one() {
    let raw = |text: &'static str| Raw::parse(text, &ScanLimits::default()).unwrap();
    let token = TokenLogprob {
        place: Place::NOWHERE,
        token: "Hi".into(),
        logprob: Some(raw("-0.25")),
        bytes: Some(raw("[\n  72,\r\n  105\n]")),
        top: Vec::new(),
        bag: Bag::EMPTY,
    };
    let tokens = Event::Logprobs { candidate: 0, tokens: vec![token] };
    let (text, _) = written(&[open(0, PartKind::Text), tokens, said(0, "Hi"), close(0), STOP]);
    assert!(text.contains(r#""bytes":[72,105]"#), "{text}");
}

#[test]
fn what_cannot_be_said_is_reported_once() {
    let unknown = || PartKind::Unknown { name: "odd".into(), text: "{}" };
    let file = Citation {
        place: Place::NOWHERE,
        span: None,
        title: None,
        quoted: None,
        source: CitationSource::Document { index: Some(0), file: None, span: None },
        bag: Bag::EMPTY,
    };
    let (_, losses) = written(&[
        Event::Open { part: 9, group: 0, candidate: 1, kind: PartKind::Text },
        said(9, "b"),
        Event::Finish { candidate: 1, reason: FinishReason::Length },
        open(0, unknown()),
        close(0),
        open(1, PartKind::Text),
        more(1, Delta::Citation(file)),
        close(1),
        Event::Raw { name: "response.odd".into(), text: "{}" },
        Event::Raw { name: "response.odd".into(), text: "{}" },
        Event::Extra { under: "/message", name: "odd".into(), text: "1" },
        Event::ServiceTier("batch".into()),
        Event::Finish { candidate: 0, reason: FinishReason::StopSequence(Some("END".into())) },
    ]);
    let lost: Vec<_> = losses.iter().map(|loss| (loss.kind, loss.pointer.as_str())).collect();
    assert_eq!(
        lost,
        [
            (LossKind::Dropped, "/choices/1"),
            (LossKind::Dropped, "/content/0"),
            (LossKind::Dropped, "/content/citations"),
            (LossKind::Dropped, "/response.odd"),
            (LossKind::Dropped, "/message/odd"),
            (LossKind::Dropped, "/service_tier"),
            (LossKind::Approximated, "/choices/0/finish_reason"),
        ]
    );
}

#[test]
fn a_cut_answer_is_incomplete() {
    let length = Event::Finish { candidate: 0, reason: FinishReason::Length };
    let (text, losses) = written(&[open(0, PartKind::Text), said(0, "Half a"), close(0), length]);
    assert!(losses.is_empty());
    assert!(text.contains("event: response.incomplete") && !text.contains("event: response.completed"));
    assert!(text.contains(r#""incomplete_details":{"reason":"max_output_tokens"}"#));
}

#[test]
fn an_empty_answer_has_all_its_events() {
    let (text, losses) = written(&[]);
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["response.created", "response.in_progress", "response.completed"]);
    assert_eq!(losses.iter().map(|loss| loss.kind).collect::<Vec<_>>(), [LossKind::Defaulted]);
    assert!(text.contains(r#""id":"resp_made""#) && text.contains(r#""created_at":7"#));
}

#[test]
fn what_is_repeated_at_the_end_is_bounded() {
    let (mut writer, mut out, mut losses) = (writer(), Vec::new(), Vec::new());
    let piece = "x".repeat(1 << 20);
    writer.write(&open(0, PartKind::Text), &mut out, &mut losses).unwrap();
    let mut write = || {
        let delta = Delta::Text(piece.as_str().into());
        let result = writer.write(&Event::Delta { part: 0, delta }, &mut out, &mut losses);
        out.clear();
        result
    };
    let refused = (0..20).find_map(|_| write().err());
    assert!(matches!(refused, Some(FrameError::TooMuch(_))));
}
