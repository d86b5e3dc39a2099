//! A provider that speaks Responses: each oddity of its streams, by name.

use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Framing, fold_stream};
use weighbridge_translate::{Content, FinishReason, Frame, FrameError, FrameScope, adapter};
use weighbridge_units::{Bucket, ErrorClass, Protocol::OpenAiResponses};

use super::support::*;
use crate::support::{
    AnthropicMessages, OpenAiChat, Ran, anthropic, connection_lost, options, run, run_cut, run_text,
};

fn bridge(stream: &str) -> Ran {
    let ran = run_text(&options(OpenAiResponses, OpenAiChat), stream);
    let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
    assert_eq!(check(OpenAiChat, &ran.bytes), Ok(expected), "{}", ran.text());
    ran
}

/// What the parts of a folded stream say.
fn folded(stream: &str) -> Vec<String> {
    let (folder, end) = fold_stream(OpenAiResponses, Framing::Sse, stream.as_bytes(), 1 << 20);
    assert_eq!(end, Ok(()));
    let answer = folder.answer();
    let said = |content: &Content<'_>| match content {
        Content::Text(text) => format!("text {}", text.text),
        Content::Refusal(text) => format!("refusal {text}"),
        Content::ToolCall(call) => format!("{:?} {} {} {}", call.kind, call.id, call.name, call.arguments),
        Content::Reasoning(reasoning) => {
            format!(
                "reasoning {:?} {} {:?} {:?}",
                reasoning.id, reasoning.text, reasoning.summary, reasoning.proof
            )
        }
        Content::Image(image) => format!("image {:?}", image.source),
        Content::Unknown { name, raw } => format!("unknown {name} {}", raw.text()),
        other => panic!("{other:?}"),
    };
    answer.candidates.iter().flat_map(|candidate| &candidate.parts).map(|part| said(&part.content)).collect()
}

/// Every event that the reader makes of a stream's frames.
fn read(stream: &str) -> Result<Vec<String>, FrameError> {
    let mut reader = adapter(OpenAiResponses).stream_reader();
    let mut events = Vec::new();
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let frame = Frame { name: None, data };
        reader.read(frame, FrameScope::Whole, &mut |event| events.push(format!("{event:?}")))?;
    }
    Ok(events)
}

fn framed(events: &[String]) -> String {
    let all: Vec<String> = [created(), in_progress()].into_iter().chain(events.iter().cloned()).collect();
    stream(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn hello() -> Vec<String> {
    vec![
        added(0, &message(0, "in_progress", "")),
        about(0, "content_part.added", &format!(r#""part":{}"#, text(""))),
        about(0, "output_text.delta", r#""delta":"Hel","logprobs":[],"obfuscation":"x7""#),
        about(0, "output_text.delta", r#""delta":"lo","logprobs":[],"obfuscation":"""#),
        about(0, "output_text.done", r#""text":"Hello","logprobs":[]"#),
        about(0, "content_part.done", &format!(r#""part":{}"#, text("Hello"))),
        done(0, &message(0, "completed", &text("Hello"))),
        completed(&message(0, "completed", &text("Hello"))),
    ]
}

#[test]
fn text_that_exists_four_times_is_read_once() {
    let stream = framed(&hello());
    assert_eq!(folded(&stream), ["text Hello"]);
    let ran = bridge(&stream);
    let facts = ran.facts();
    assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("resp_1"), Some("gpt-x")));
    assert_eq!((facts.finish.clone(), facts.output_bytes), (Some(FinishReason::Stop), 5));
    let usage = facts.usage.unwrap();
    assert_eq!(
        (usage.get(Bucket::Input), usage.get(Bucket::CacheRead), usage.get(Bucket::Reasoning)),
        (15, 5, 2)
    );
    assert_eq!(facts.service_tier.as_deref(), Some("default"));
    assert_eq!((facts.unknown_events, ran.committed), (0, true));
}

#[test]
fn padding_and_numbers_are_no_losses() {
    let ran = run_text(&options(OpenAiResponses, AnthropicMessages), &framed(&hello()));
    assert!(ran.facts().losses.is_empty(), "{:?}", ran.facts().losses);
}

#[test]
fn events_need_neither_names_nor_numbers() {
    let bare: String = framed(&hello())
        .lines()
        .filter(|line| !line.starts_with("event:"))
        .map(|line| match line.find(",\"sequence_number\":") {
            Some(at) => format!("{}}}\n", &line[..at]),
            None => format!("{line}\n"),
        })
        .collect();
    assert!(!bare.contains("sequence_number"));
    assert_eq!(folded(&bare), ["text Hello"]);
}

#[test]
fn items_are_known_by_their_place_though_their_ids_change() {
    let mut number = 0;
    let events: Vec<String> = hello()
        .iter()
        .map(|event| {
            number += 1;
            event.replace("item_0", &format!("rotated_{number}"))
        })
        .collect();
    assert_eq!(folded(&framed(&events)), ["text Hello"]);
}

#[test]
fn the_last_event_may_repeat_no_items() {
    let mut events = hello();
    events.pop();
    events.push(completed(""));
    assert_eq!(folded(&framed(&events)), ["text Hello"]);
}

#[test]
fn an_answer_may_be_in_the_last_event_alone() {
    let items = format!("{},{}", message(0, "completed", &text("Hello")), call(1, "{}"));
    let stream = framed(&[completed(&items)]);
    assert_eq!(folded(&stream), ["text Hello", "Function call_1 look {}"]);
    assert_eq!(bridge(&stream).facts().finish, Some(FinishReason::ToolCalls));
}

#[test]
fn an_item_that_never_ends_is_read_from_the_last_event() {
    let hosted = r#"{"id":"item_0","type":"mcp_list_tools","server_label":"s","tools":[]}"#;
    let stream = framed(&[
        added(0, r#"{"id":"item_0","type":"mcp_list_tools","server_label":"s"}"#),
        added(1, &call(1, "")),
        completed(&format!("{hosted},{}", call(1, r#"{\"a\":1}"#))),
    ]);
    assert_eq!(folded(&stream).last().unwrap(), &format!("unknown mcp_list_tools {hosted}"));
    assert_eq!(folded(&stream)[0], r#"Function call_1 look {"a":1}"#);
}

#[test]
fn items_may_have_no_pieces() {
    let sealed = r#"{"id":"item_0","type":"reasoning","summary":[],"encrypted_content":"final"}"#;
    let stream = framed(&[
        added(0, &sealed.replace("final", "not yet whole")),
        done(0, sealed),
        added(1, &message(1, "in_progress", "")),
        done(1, &message(1, "completed", &format!("{},{}", text("a"), text("b")))),
        added(2, &call(2, "")),
        done(2, &call(2, "{}")),
        completed(""),
    ]);
    let said = folded(&stream);
    assert!(
        said[0].starts_with("reasoning Some(\"item_0\")") && said[0].contains("data: \"final\""),
        "{said:?}"
    );
    assert_eq!(said[1..], ["text a", "text b", "Function call_2 look {}"]);
}

#[test]
fn parts_may_be_counted_from_anywhere() {
    let events: Vec<String> =
        hello().iter().map(|event| event.replace("\"content_index\":0", "\"content_index\":3")).collect();
    assert_eq!(folded(&framed(&events)), ["text Hello"]);
}

#[test]
fn pieces_may_come_before_their_part_began() {
    let mut events = hello();
    events.remove(1);
    events.remove(0);
    assert_eq!(folded(&framed(&events)), ["text Hello"]);
}

#[test]
fn items_may_interleave() {
    let stream = framed(&[
        added(0, &call(0, "")),
        added(1, &call(1, "")),
        about(1, "function_call_arguments.delta", r#""delta":"{\"b\"""#),
        about(0, "function_call_arguments.delta", r#""delta":"{\"a\":1}""#),
        about(1, "function_call_arguments.delta", r#""delta":":2}""#),
        about(1, "function_call_arguments.done", r#""arguments":"{\"b\":2}""#),
        done(1, &call(1, r#"{\"b\":2}"#)),
        done(0, &call(0, r#"{\"a\":1}"#)),
        completed(""),
    ]);
    assert_eq!(folded(&stream), [r#"Function call_0 look {"a":1}"#, r#"Function call_1 look {"b":2}"#]);
    assert_eq!(bridge(&stream).facts().finish, Some(FinishReason::ToolCalls));
}

#[test]
fn a_custom_tools_input_is_no_json() {
    let item = |input: &str| {
        format!(
            r#"{{"id":"item_0","type":"custom_tool_call","call_id":"call_0","name":"free","input":"{input}"}}"#
        )
    };
    let stream = framed(&[
        added(0, &item("")),
        about(0, "custom_tool_call_input.delta", r#""delta":"4 +""#),
        about(0, "custom_tool_call_input.delta", r#""delta":" 4""#),
        about(0, "custom_tool_call_input.done", r#""input":"4 + 4""#),
        done(0, &item("4 + 4")),
        completed(""),
    ]);
    assert_eq!(folded(&stream), ["Custom call_0 free 4 + 4"]);
}

#[test]
fn reasoning_has_summary_text_and_proof() {
    let item = r#"{"id":"item_0","type":"reasoning","summary":[{"type":"summary_text","text":"Think."},{"type":"summary_text","text":"Act."}],"content":[{"type":"reasoning_text","text":"Hm."}],"encrypted_content":"gAAA"}"#;
    let piece = |index: u32, kind: &str, more: &str| {
        about(0, &format!("reasoning_summary_{kind}"), &format!(r#""summary_index":{index},{more}"#))
    };
    let part = |text: &str| format!(r#""part":{{"type":"summary_text","text":"{text}"}}"#);
    let stream = framed(&[
        added(0, r#"{"id":"item_0","type":"reasoning","summary":[]}"#),
        piece(0, "part.added", &part("")),
        piece(0, "text.delta", r#""delta":"Thi""#),
        piece(0, "text.delta", r#""delta":"nk.""#),
        piece(0, "text.done", r#""text":"Think.""#),
        piece(0, "part.done", &part("Think.")),
        piece(1, "part.added", &part("")),
        piece(1, "text.delta", r#""delta":"Act.""#),
        piece(1, "text.done", r#""text":"Act.""#),
        piece(1, "part.done", &part("Act.")),
        about(0, "reasoning_part.added", r#""part":{"type":"reasoning_text","text":""}"#),
        about(0, "reasoning_text.delta", r#""delta":"Hm.""#),
        about(0, "reasoning_text.done", r#""text":"Hm.""#),
        done(0, item),
        completed(item),
    ]);
    let said = folded(&stream);
    assert!(said[0].starts_with(r#"reasoning Some("item_0") Hm. ["Think.", "Act."]"#), "{said:?}");
    assert!(said[0].contains("gAAA"), "{said:?}");
    // And where nothing of it came in pieces.
    assert_eq!(folded(&framed(&[done(0, item), completed("")])), said);
}

#[test]
fn sources_and_probabilities_come_with_the_text_or_at_its_end() {
    let annotation =
        r#"{"type":"url_citation","start_index":0,"end_index":2,"url":"https://example.com","title":"E"}"#;
    let tokens = r#"[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[]}]"#;
    let whole =
        format!(r#"{{"type":"output_text","text":"Hi","annotations":[{annotation}],"logprobs":{tokens}}}"#);
    let begun = [
        added(0, &message(0, "in_progress", "")),
        about(0, "content_part.added", &format!(r#""part":{}"#, text(""))),
    ];
    let ended = [
        about(0, "content_part.done", &format!(r#""part":{whole}"#)),
        done(0, &message(0, "completed", &whole)),
        completed(""),
    ];
    let early = [
        about(0, "output_text.delta", &format!(r#""delta":"Hi","logprobs":{tokens}"#)),
        about(
            0,
            "output_text.annotation.added",
            &format!(r#""annotation_index":0,"annotation":{annotation}"#),
        ),
    ];
    let late = [about(0, "output_text.delta", r#""delta":"Hi""#)];
    for pieces in [&early[..], &late[..], &[]] {
        let events: Vec<String> = begun.iter().chain(pieces).chain(&ended).cloned().collect();
        let read = read(&framed(&events)).unwrap();
        let count = |what: &str| read.iter().filter(|event| event.contains(what)).count();
        assert_eq!(
            (count("Citation(Citation"), count("Logprobs"), count("Text(\"Hi\")")),
            (1, 1, 1),
            "{read:#?}"
        );
    }
}

#[test]
fn a_character_may_be_cut_in_half() {
    let stream = framed(&[
        added(0, &message(0, "in_progress", "")),
        about(0, "output_text.delta", r#""delta":"a""#),
        completed(""),
    ]);
    let halved = stream.replace(r#""delta":"a""#, r#""delta":"a\ud83d""#);
    assert!(fold_stream(OpenAiResponses, Framing::Sse, halved.as_bytes(), 1 << 20).1.is_err());
    let second = about(0, "output_text.delta", r#""delta":"\\ude00b""#).replace("\\\\", "\\");
    let whole =
        halved.replace("event: response.completed", &format!("data: {second}\n\nevent: response.completed"));
    assert_eq!(folded(&whole), ["text a😀b"]);
}

#[test]
fn tools_of_the_provider_are_no_calls_of_the_clients() {
    let item = |status: &str| {
        format!(r#"{{"id":"item_0","type":"web_search_call","status":"{status}","action":{{}}}}"#)
    };
    let stream = framed(&[
        added(0, &item("in_progress")),
        about(0, "web_search_call.searching", r#""x":1"#),
        about(0, "mcp_call_arguments.delta", r#""delta":"{}""#),
        about(0, "code_interpreter_call_code.delta", r#""delta":"1""#),
        done(0, &item("completed")),
        completed(""),
    ]);
    assert_eq!(folded(&stream), [format!("unknown web_search_call {}", item("completed"))]);
    let ran = bridge(&stream);
    assert_eq!((ran.facts().finish.clone(), ran.facts().unknown_events), (Some(FinishReason::Stop), 0));
    assert!(!ran.text().contains("tool_calls"));
    let lost: Vec<&str> = ran.facts().losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
}

#[test]
fn ids_of_reasoning_that_were_made_up_are_none() {
    let thought = |id: &str, more: &str| {
        framed(&[
            added(0, &format!(r#"{{"id":"{id}","type":"reasoning","summary":[]}}"#)),
            about(0, "reasoning_summary_text.delta", r#""summary_index":0,"delta":"Hm.""#),
            done(
                0,
                &format!(
                    r#"{{"id":"{id}","type":"reasoning","summary":[{{"type":"summary_text","text":"Hm."}}]{more}}}"#
                ),
            ),
            completed(""),
        ])
    };
    let begins = |stream: &str, beginning: &str| folded(stream)[0].starts_with(beginning);
    assert!(begins(&thought("rs_1", ""), r#"reasoning Some("rs_1") "#));
    assert!(begins(&thought("rs_wb_7_0", ""), "reasoning None "));
    // Who gave the id names it in what is encrypted.
    let sealed = r#","encrypted_content":"wb.proof:e:openai-responses-v1:rs_9:gAAA""#;
    assert!(begins(&thought("rs_wb_7_0", sealed), r#"reasoning Some("rs_9") "#));
}

#[test]
fn images_come_with_the_end_of_their_call() {
    let item = r#"{"id":"item_0","type":"image_generation_call","status":"completed","result":"aGk=","output_format":"webp"}"#;
    let stream = framed(&[
        added(0, r#"{"id":"item_0","type":"image_generation_call","status":"in_progress","result":null}"#),
        about(0, "image_generation_call.in_progress", r#""x":1"#),
        about(
            0,
            "image_generation_call.partial_image",
            r#""partial_image_b64":"aA==","partial_image_index":0"#,
        ),
        done(0, item),
        completed(item),
    ]);
    assert_eq!(folded(&stream), [r#"image Base64 { media_type: "image/webp", data: "aGk=" }"#]);
    let lost = bridge(&stream).facts().losses.clone();
    assert!(
        lost.iter().any(|loss| loss.pointer == "/response.image_generation_call.partial_image"),
        "{lost:?}"
    );
}

#[test]
fn signs_of_life_and_unknown_events_change_nothing() {
    let mut events = hello();
    events.insert(3, r#"{"type":"keepalive"}"#.into());
    events.insert(5, r#"{"type":"response.brand_new","output_index":9}"#.into());
    let stream = framed(&events);
    let ran = bridge(&stream);
    assert_eq!(folded(&stream), ["text Hello"]);
    assert!(ran.text().contains(": ping\n\n"));
    assert_eq!(ran.facts().unknown_events, 1);
}

#[test]
fn errors_are_flat_or_nested() {
    for event in [
        r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#,
        r#"{"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded","message":"slow down","param":null}}"#,
    ] {
        let mut events = hello();
        events.truncate(4);
        events.push(event.into());
        let ran = bridge(&framed(&events));
        let error = ran.error();
        assert_eq!((error.class, error.message.as_str()), (ErrorClass::RateLimit, "slow down"), "{event}");
        assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
        assert!(!ran.text().contains("[DONE]"));
    }
}

#[test]
fn an_answer_that_failed_tells_why_and_what_it_used() {
    let failed =
        response(&format!(r#""status":"failed","output":[],"usage":{USAGE},"incomplete_details":null"#))
            .replace(r#""error":null"#, r#""error":{"code":"server_error","message":"The model broke."}"#);
    let ran = bridge(&framed(&[format!(r#"{{"type":"response.failed","response":{failed}}}"#)]));
    assert_eq!((ran.error().class, ran.error().message.as_str()), (ErrorClass::Server, "The model broke."));
    assert_eq!(ran.facts().usage.unwrap().total(), 27);
    assert!(!ran.committed);
}

#[test]
fn an_answer_that_was_cut_ends_well() {
    let cut =
        completed(&call(0, r#"{\"x\":481"#)).replace("response.completed", "response.incomplete").replace(
            r#""status":"completed","incomplete_details":null"#,
            r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#,
        );
    let ran = bridge(&framed(&[added(0, &call(0, "")), done(0, &call(0, r#"{\"x\":481"#)), cut]));
    assert_eq!(ran.facts().finish, Some(FinishReason::Length));
}

#[test]
fn a_marker_behind_the_end_is_harmless_and_before_it_breaks() {
    let stream = framed(&hello());
    assert!(bridge(&format!("{stream}data: [DONE]\n\n")).end.is_complete());
    let (begun, _) = stream.split_at(stream.find("event: response.completed").unwrap());
    assert!(!bridge(&format!("{begun}data: [DONE]\n\n")).end.is_complete());
}

#[test]
fn without_its_last_event_an_answer_is_broken() {
    let mut events = hello();
    events.pop();
    assert!(!bridge(&framed(&events)).end.is_complete());
    let whole = framed(&hello());
    for end in 0..whole.len() - 1 {
        let ran = run_cut(
            &options(OpenAiResponses, OpenAiChat),
            [&whole.as_bytes()[..end]],
            Some(connection_lost()),
        );
        assert!(!ran.end.is_complete(), "{end}");
    }
}

#[test]
fn events_out_of_order_break() {
    let twice = [added(0, &call(0, "")), added(0, &call(0, "")), completed("")];
    assert!(matches!(read(&framed(&twice)), Err(FrameError::OutOfOrder(_))));
    let ended = [done(0, &call(0, "{}")), done(0, &call(0, "{}"))];
    assert!(matches!(read(&framed(&ended)), Err(FrameError::OutOfOrder(_))));
    let mut events = hello();
    events.insert(6, about(0, "output_text.delta", r#""delta":"more""#));
    assert!(matches!(read(&framed(&events)), Err(FrameError::OutOfOrder(_))));
}

#[test]
fn more_items_than_any_answer_has_are_refused() {
    let events: Vec<String> = (0..5000).map(|index| added(index, &call(index, ""))).collect();
    assert!(matches!(read(&framed(&events)), Err(FrameError::TooMuch(_))));
}

#[test]
fn passing_through_it_learns_what_bridging_does() {
    let mut with_call = hello();
    with_call.pop();
    with_call.extend([
        added(1, &call(1, "")),
        about(1, "function_call_arguments.delta", r#""delta":"{}""#),
        done(1, &call(1, "{}")),
        // Its items are not repeated: that a tool is called is known from their own events.
        completed(""),
    ]);
    for events in [hello(), with_call] {
        let stream = framed(&events);
        let bridged = bridge(&stream);
        for size in [1, 7, 10_000] {
            let passed = run(&options(OpenAiResponses, OpenAiResponses), stream.as_bytes().chunks(size));
            assert_eq!(passed.text(), stream);
            let (passed, bridged) = (passed.facts(), bridged.facts());
            assert_eq!(
                (&passed.id, &passed.usage, &passed.finish),
                (&bridged.id, &bridged.usage, &bridged.finish)
            );
            assert_eq!(passed.service_tier, bridged.service_tier);
            assert_eq!(passed.output_bytes, bridged.output_bytes);
        }
    }
}

#[test]
fn a_stream_of_another_protocol_is_none_of_this_one() {
    let other = anthropic(&[crate::support::MESSAGE_START, crate::support::MESSAGE_STOP]);
    assert!(!bridge(&other).end.is_complete());
}
