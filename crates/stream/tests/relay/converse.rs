//! Streams of Bedrock Converse: the traps of its wire format, and recordings.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge_stream::aws::{encode_event, encode_exception};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Folder, Framing, RelayOptions, fold_stream};
use weighbridge_translate::{
    AnswerTarget, Content, FinishReason, Frame, FrameRole, FrameScope, adapter, response,
};
use weighbridge_units::{Bucket, ErrorClass, Protocol, Usage};

use crate::support::*;

fn over_aws(client: Protocol) -> RelayOptions<'static> {
    RelayOptions { framing: Framing::AwsEventStream, ..options(BedrockConverse, client) }
}

/// The same frames as [`converse`], in binary; a name that ends so is that of an exception.
fn aws(frames: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in frames {
        match name.ends_with("Exception") {
            true => encode_exception(name, payload.as_bytes(), &mut out).unwrap(),
            false => encode_event(name, payload.as_bytes(), &mut out).unwrap(),
        }
    }
    out
}

fn delta(index: u32, delta: &str) -> String {
    format!(r#"{{"contentBlockIndex":{index},"delta":{delta},"p":"abcdefgh"}}"#)
}

fn stop(index: u32) -> String {
    format!(r#"{{"contentBlockIndex":{index},"p":"ab"}}"#)
}

/// A whole stream of these frames between beginning and end.
fn whole<'f>(frames: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    [&[CONVERSE_START], frames, &[CONVERSE_STOP, CONVERSE_METADATA]].concat()
}

fn parts(frames: &[(&str, &str)]) -> Vec<Content<'static>> {
    let (folder, end) = fold_stream(BedrockConverse, Framing::Sse, converse(frames).as_bytes(), 1 << 20);
    assert_eq!(end, Ok(()));
    let folder: &'static Folder = Box::leak(Box::new(folder));
    folder
        .answer()
        .candidates
        .into_iter()
        .flat_map(|candidate| candidate.parts)
        .map(|part| part.content)
        .collect()
}

#[test]
fn trap_4_usage_comes_after_the_stop() {
    let frames = whole(&[]);
    let expected = Usage::new().with(Bucket::Input, 11).with(Bucket::CacheRead, 5).with(Bucket::Output, 7);
    for client in [OpenAiChat, AnthropicMessages] {
        let ran = run(&over_aws(client), aws(&frames).chunks(7));
        assert_eq!((ran.facts().usage, &ran.facts().finish), (Some(expected), &Some(FinishReason::Stop)));
        assert!(ran.end.is_complete());
    }
    let ran = run_text(&options(BedrockConverse, OpenAiChat), &converse(&frames));
    assert!(
        ran.text().contains(r#""prompt_tokens":16,"completion_tokens":7,"total_tokens":23"#),
        "{}",
        ran.text()
    );
}

#[test]
fn a_stream_names_the_model_that_was_asked_for() {
    for (client, name) in [
        (OpenAiChat, "model"),
        (AnthropicMessages, "model"),
        (Protocol::OpenAiResponses, "model"),
        (Protocol::GeminiGenerateContent, "modelVersion"),
    ] {
        let ran = run(&over_aws(client), aws(&whole(&[])).chunks(7));
        assert!(ran.text().contains(&format!(r#""{name}":"asked-for""#)), "{}", ran.text());
        assert_eq!(ran.facts().model, None, "the provider told none");
    }
}

#[test]
fn the_service_tier_has_the_name_that_a_whole_answer_gives_it() {
    for (tier, told) in [("default", Some("default")), ("flex", Some("flex")), ("scale", None)] {
        let more = format!(r#","service_tier":"{tier}""#);
        let stream = format!(
            "{}{}data: [DONE]\n\n",
            chat_chunk(&super::support::delta(r#"{"content":"Hi"}"#), &more),
            chat_chunk(&finish("stop"), &more),
        );
        let ran = run_text(&options(OpenAiChat, BedrockConverse), &stream);
        let whole = format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}]{more}}}"#
        );
        let target = AnswerTarget::new("fallback-1", 0);
        let translated = response(OpenAiChat, BedrockConverse, &whole, &target).unwrap();
        let written = String::from_utf8(translated.value.0).unwrap();
        for (text, losses) in [(ran.text(), &ran.facts().losses), (written.as_str(), &translated.losses)] {
            let is_told = |name: &str| text.contains(&format!(r#""serviceTier":{{"type":"{name}"}}"#));
            assert!(told.is_none_or(is_told), "{text}");
            assert_eq!(text.contains("serviceTier"), told.is_some(), "{text}");
            assert_eq!(
                losses.iter().any(|loss| loss.pointer == "/service_tier"),
                told.is_none(),
                "{losses:?}"
            );
        }
    }
}

#[test]
fn a_stream_without_metadata_is_complete_once_it_stopped() {
    let ran =
        run_text(&options(BedrockConverse, AnthropicMessages), &converse(&[CONVERSE_START, CONVERSE_STOP]));
    assert!(ran.end.is_complete());
    assert_eq!(ran.facts().usage, None);
    let ran = run_text(&options(BedrockConverse, AnthropicMessages), &converse(&[CONVERSE_START]));
    assert_eq!(check(AnthropicMessages, &ran.bytes), Ok(Verdict::EndedWithError));
    assert_eq!(ran.error().class, ErrorClass::Server);
}

#[test]
fn trap_7_blocks_begin_with_their_first_delta_and_padding_is_dropped() {
    let (first, second, third) = (
        delta(0, r#"{"text":"He"}"#),
        delta(0, r#"{"text":"llo"}"#),
        delta(1, r#"{"reasoningContent":{"text":"hm"}}"#),
    );
    let frames = whole(&[
        ("contentBlockDelta", &first),
        ("contentBlockDelta", &second),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockDelta", &third),
        // One that never began, and one that is not closed.
        ("contentBlockStop", r#"{"contentBlockIndex":9}"#),
    ]);
    let parts = parts(&frames);
    assert_eq!(parts[0], Content::Text("Hello".into()));
    assert!(matches!(&parts[1], Content::Reasoning(reasoning) if reasoning.text == "hm"));
    let ran = run_text(&options(BedrockConverse, AnthropicMessages), &converse(&frames));
    assert!(!ran.text().contains("abcdefgh") && ran.text().contains(r#""text":"llo""#), "{}", ran.text());
    assert!(ran.facts().losses.iter().all(|loss| !loss.pointer.contains("/p")), "{:?}", ran.facts().losses);
}

#[test]
fn a_call_without_arguments_means_an_empty_object() {
    let start = r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"tooluse_1","name":"f"}}}"#;
    let frames = |pieces: &[&str]| {
        let mut list = vec![("contentBlockStart", start.to_owned())];
        list.extend(pieces.iter().map(|piece| {
            ("contentBlockDelta", delta(0, &format!(r#"{{"toolUse":{{"input":"{piece}"}}}}"#)))
        }));
        list.push(("contentBlockStop", stop(0)));
        list
    };
    for (pieces, arguments) in
        [(&[][..], "{}"), (&[""], "{}"), (&["{}"], "{}"), (&["", "{\\\"a", "\\\":1}"], r#"{"a":1}"#)]
    {
        let frames = frames(pieces);
        let frames: Vec<(&str, &str)> =
            frames.iter().map(|(name, payload)| (*name, payload.as_str())).collect();
        let parts = parts(&whole(&frames));
        let Content::ToolCall(call) = &parts[0] else { panic!("{parts:?}") };
        assert_eq!(
            (call.id.as_ref(), call.name.as_ref(), call.arguments.as_ref()),
            ("tooluse_1", "f", arguments)
        );
    }
}

#[test]
fn trap_10_an_exception_ends_the_stream_with_the_clients_error() {
    let text = delta(0, r#"{"text":"Hi"}"#);
    let frames = [
        CONVERSE_START,
        ("contentBlockDelta", text.as_str()),
        ("throttlingException", r#"{"message":"Too many tokens"}"#),
        CONVERSE_STOP,
        CONVERSE_METADATA,
    ];
    for client in [OpenAiChat, AnthropicMessages] {
        let binary = run(&over_aws(client), aws(&frames).chunks(11));
        let named = run_text(&options(BedrockConverse, client), &converse(&frames));
        for ran in [binary, named] {
            assert_eq!(
                (ran.error().class, ran.error().message.as_str()),
                (ErrorClass::RateLimit, "Too many tokens")
            );
            assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWithError));
        }
    }
}

#[test]
fn trap_13_redacted_reasoning_is_what_anthropic_calls_data() {
    let redacted = delta(0, r#"{"reasoningContent":{"redactedContent":"RXU4RUNrZ0k="}}"#);
    let parts = parts(&whole(&[
        ("contentBlockDelta", &redacted),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    ]));
    let Content::Reasoning(reasoning) = &parts[0] else { panic!("{parts:?}") };
    let proof = reasoning.proof.as_ref().unwrap();
    assert_eq!((proof.format.as_ref(), proof.data.as_ref()), ("anthropic-claude-v1", "Eu8ECkgI"));
}

#[test]
fn trap_14_tools_of_the_provider_are_reported_and_not_called() {
    let call = r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"a","name":"nova_grounding","type":"server_tool_use"}}}"#;
    let result = r#"{"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"a","type":"nova_grounding_result","status":"success"}}}"#;
    let (input, found, text) = (
        delta(0, r#"{"toolUse":{"input":"{\"query\":\"x\"}"}}"#),
        delta(1, r#"{"toolResult":[{"text":"[HIDDEN]"}]}"#),
        delta(2, r#"{"text":"4.0"}"#),
    );
    let frames = whole(&[
        ("contentBlockStart", call),
        ("contentBlockDelta", &input),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockStart", result),
        ("contentBlockDelta", &found),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        ("contentBlockDelta", &text),
        ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
    ]);
    for client in [OpenAiChat, AnthropicMessages] {
        let ran = run_text(&options(BedrockConverse, client), &converse(&frames));
        assert!(!ran.text().contains("nova_grounding") && ran.text().contains("4.0"), "{}", ran.text());
        assert!(!ran.facts().losses.is_empty());
        assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWell));
    }
}

#[test]
fn a_source_may_come_before_its_text_and_alone() {
    let (web, text) = (
        delta(0, r#"{"citation":{"location":{"web":{"url":"https://example.com","domain":"example.com"}}}}"#),
        delta(0, r#"{"text":"Hi"}"#),
    );
    let events = |frames: &[(&str, &str)]| {
        let mut reader = adapter(BedrockConverse).stream_reader();
        let mut seen = Vec::new();
        for (name, data) in frames {
            let frame = Frame { name: Some(name), data };
            let role =
                reader.read(frame, FrameScope::Whole, &mut |event| seen.push(format!("{event:?}"))).unwrap();
            assert_eq!(role == FrameRole::Terminal, *name == "metadata");
        }
        seen
    };
    let seen = events(&whole(&[("contentBlockDelta", &web), ("contentBlockDelta", &text)]));
    let place = |what: &str| seen.iter().position(|event| event.contains(what)).unwrap();
    assert!(place("Open") < place("Citation") && place("Citation") < place("Hi"), "{seen:?}");
    assert!(!seen.iter().any(|event| event.contains("Extra")), "{seen:?}");
}

#[test]
fn blocks_out_of_order_break_the_stream() {
    let text = delta(0, r#"{"text":"Hi"}"#);
    let arguments = delta(0, r#"{"toolUse":{"input":"{}"}}"#);
    for frames in [
        vec![("contentBlockDelta", text.as_str())],
        vec![CONVERSE_STOP],
        vec![CONVERSE_START, CONVERSE_STOP, ("contentBlockDelta", &text)],
        vec![CONVERSE_START, ("contentBlockDelta", &arguments)],
        vec![CONVERSE_START, ("contentBlockDelta", "{")],
        vec![CONVERSE_START, ("contentBlockDelta", r#"{"delta":{"text":"a"}}"#)],
    ] {
        let ran = run_text(&options(BedrockConverse, AnthropicMessages), &converse(&frames));
        assert!(!ran.end.is_complete(), "{frames:?}");
        assert_eq!(check(AnthropicMessages, &ran.bytes), Ok(Verdict::EndedWithError));
    }
}

#[test]
fn an_unknown_frame_is_counted_and_reported() {
    let frames = whole(&[("newEvent", r#"{"a":1}"#)]);
    let ran = run_text(&options(BedrockConverse, OpenAiChat), &converse(&frames));
    assert!(ran.end.is_complete());
    assert_eq!(ran.facts().unknown_events, 1);
    assert!(ran.facts().losses.iter().any(|loss| loss.pointer == "/newEvent"), "{:?}", ran.facts().losses);
}

/// The recordings of streams: the case's folder, and its frames as others decoded them.
fn recorded() -> Vec<(PathBuf, Vec<(String, String)>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/bedrock-converse");
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let frame = |line: &str| {
        let frame: Value = serde_json::from_str(line).unwrap();
        let header = |name: &str| frame["headers"][name].as_str().map(str::to_owned);
        let name = header(":event-type").or_else(|| header(":exception-type")).unwrap();
        (name, frame["payload"].to_string())
    };
    let mut streams: Vec<_> = cases
        .filter_map(|case| {
            let case = case.ok()?.path();
            let lines = std::fs::read_to_string(case.join("stream.jsonl")).ok()?;
            Some((case, lines.lines().filter(|line| !line.is_empty()).map(frame).collect()))
        })
        .collect();
    streams.sort();
    streams
}

fn as_events(frames: &[(String, String)]) -> String {
    let frames: Vec<(&str, &str)> =
        frames.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
    converse(&frames)
}

#[test]
fn recordings_are_bridged_to_every_client_whatever_the_framing() {
    for (case, frames) in recorded() {
        let name = case.display();
        let is_broken = name.to_string().contains("error-midstream");
        let binary = std::fs::read(case.join("stream.bin")).unwrap();
        for client in Protocol::ALL.into_iter().filter(|client| client.is_clients()) {
            let ran = run(&over_aws(client), binary.chunks(100));
            assert_eq!(ran.end.is_complete(), !is_broken, "{name}: {:?}", ran.end);
            let expected = if is_broken { Verdict::EndedWithError } else { Verdict::EndedWell };
            assert_eq!(check(client, &ran.bytes), Ok(expected), "{name}\n{}", ran.text());
            assert!(run(&over_aws(client), binary.chunks(1)).bytes == ran.bytes, "{name}");
            let as_text = run_text(&options(BedrockConverse, client), &as_events(&frames));
            // An exception is sorted by whoever meets it first.
            assert!(is_broken || as_text.bytes == ran.bytes, "{name}");
            assert!(is_broken || ran.facts().usage.is_some_and(|usage| !usage.is_contradictory()), "{name}");
        }
    }
}

#[test]
fn recordings_fold_to_what_their_deltas_say() {
    for (case, frames) in recorded() {
        let name = case.display();
        if name.to_string().contains("error-midstream") {
            continue;
        }
        let (folder, end) =
            fold_stream(BedrockConverse, Framing::Sse, as_events(&frames).as_bytes(), 1 << 20);
        assert_eq!(end, Ok(()), "{name}");
        let answer = folder.answer();
        let mut said = String::new();
        for part in &answer.candidates[0].parts {
            match &part.content {
                Content::Text(text) => said.push_str(&text.text),
                Content::Reasoning(reasoning) => said.push_str(&reasoning.text),
                Content::ToolCall(call) => said.push_str(&call.arguments),
                _ => {}
            }
        }
        let mut expected = String::new();
        let mut providers_own = Vec::new();
        for (kind, data) in &frames {
            let payload: Value = serde_json::from_str(data).unwrap();
            let index = &payload["contentBlockIndex"];
            if kind == "contentBlockStart" && payload["start"]["toolUse"]["type"] == "server_tool_use" {
                providers_own.push(index.clone());
            }
            let delta = &payload["delta"];
            let pieces = [&delta["text"], &delta["reasoningContent"]["text"], &delta["toolUse"]["input"]];
            if !providers_own.contains(index) {
                pieces.iter().filter_map(|piece| piece.as_str()).for_each(|piece| expected.push_str(piece));
            }
        }
        assert_eq!(said, expected, "{name}");
        assert!(answer.usage.is_some() && answer.candidates[0].finish.is_some(), "{name}");
    }
}

/// Apart from reading: the grammar that judges our output accepts what Bedrock sends.
#[test]
fn the_grammar_accepts_recordings_of_bedrock() {
    for (case, frames) in recorded() {
        let is_broken = case.display().to_string().contains("error-midstream");
        let expected = if is_broken { Verdict::EndedWithError } else { Verdict::EndedWell };
        assert_eq!(check(BedrockConverse, as_events(&frames).as_bytes()), Ok(expected), "{}", case.display());
    }
}

#[test]
fn the_grammar_refuses_what_is_out_of_order() {
    let text = delta(0, r#"{"text":"Hi"}"#);
    let call = delta(0, r#"{"toolUse":{"input":"{}"}}"#);
    for frames in [
        vec![("contentBlockDelta", text.as_str())],
        vec![CONVERSE_START, CONVERSE_START],
        vec![CONVERSE_START, ("contentBlockDelta", &call)],
        vec![CONVERSE_START, ("contentBlockDelta", &text), ("contentBlockDelta", &call)],
        vec![CONVERSE_START, ("contentBlockDelta", &text), CONVERSE_STOP],
        vec![CONVERSE_START, ("contentBlockStop", r#"{"contentBlockIndex":0}"#)],
        vec![CONVERSE_START, CONVERSE_METADATA],
        vec![CONVERSE_START, CONVERSE_STOP, CONVERSE_METADATA, CONVERSE_METADATA],
        vec![CONVERSE_START, ("odd", "{}")],
    ] {
        assert!(check(BedrockConverse, converse(&frames).as_bytes()).is_err(), "{frames:?}");
    }
    let unfinished = converse(&[CONVERSE_START, CONVERSE_STOP]);
    assert_eq!(check(BedrockConverse, unfinished.as_bytes()), Ok(Verdict::Unfinished));
}

#[test]
fn a_tool_that_takes_free_text_is_called_with_it() {
    let input = [
        delta(0, r#"{"toolUse":{"input":"{\"inp"}}"#),
        delta(0, r#"{"toolUse":{"input":"ut\": \"select \\\"1\\\"\"}"}}"#),
    ];
    let frames = whole(&[
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"a","name":"wb_custom__sql"}}}"#,
        ),
        ("contentBlockDelta", &input[0]),
        ("contentBlockDelta", &input[1]),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    ]);
    let read = parts(&frames);
    let [Content::ToolCall(call)] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((call.name.as_ref(), call.arguments.as_ref()), ("sql", "select \"1\""));

    let ran = run_text(&options(BedrockConverse, OpenAiChat), &converse(&frames));
    assert!(ran.text().contains(r#""custom":{"name":"sql""#), "{}", ran.text());
    let back = run_text(&options(OpenAiChat, BedrockConverse), ran.text());
    assert!(back.text().contains(r#""name":"wb_custom__sql""#), "{}", back.text());
    assert!(back.text().contains(r#"{\"input\":\"select \\\"1\\\"\"}"#), "{}", back.text());
    assert!(back.facts().losses.iter().all(|loss| loss.pointer != "/content/0"), "{:?}", back.facts().losses);
}

/// An event of Gemini's that nobody knows has no name: what is lost is the document itself.
#[test]
fn what_is_lost_in_a_stream_has_a_pointer() {
    let frames = whole(&[("a/new~event", "{}"), ("messageStop", r#"{"stopReason":"end_turn","x/y":1}"#)]);
    let ran = run_text(&options(BedrockConverse, OpenAiChat), &converse(&frames));
    let pointers: Vec<&str> = ran.facts().losses.iter().map(|loss| loss.pointer.as_str()).collect();
    assert_eq!(pointers, ["/a~1new~0event", "/x~1y"]);
    let stream = "data: {\"new\":1}\n\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\
        \"finishReason\":\"STOP\"}]}\n\n";
    let ran = run_text(&options(Protocol::GeminiGenerateContent, OpenAiChat), stream);
    let lost: Vec<String> = ran.facts().losses.iter().map(ToString::to_string).collect();
    assert!(lost.first().is_some_and(|first| first.starts_with("dropped (document): ")), "{lost:?}");
}
