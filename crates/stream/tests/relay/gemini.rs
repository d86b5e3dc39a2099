//! Streams of Gemini, as provider and as client: small ones in full, and what the laws over all pairs
//! generate.

use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_stream::testkit::{Verdict, check, check_array};
use weighbridge_stream::{Framing, RelayOptions, StreamForm, fold_stream};
use weighbridge_translate::{Content, FinishReason};
use weighbridge_units::Protocol::{self, GeminiGenerateContent as Gemini};
use weighbridge_units::{Bucket, Usage};

use crate::stream_equals_whole::{Script, Spoken, pieces};
use crate::support::*;

/// Chunks as Google frames them.
fn chunks(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}

/// A chunk with these parts of the first candidate.
fn parts(parts: Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "modelVersion": "gemini-x", "responseId": "r7",
    })
}

/// The same with a finish reason and usage.
fn last(parts: Value, reason: &str) -> Value {
    let mut chunk = self::parts(parts);
    chunk["candidates"][0]["finishReason"] = json!(reason);
    chunk["usageMetadata"] =
        json!({"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25});
    chunk
}

fn ran(client: Protocol, stream: &[Value]) -> Ran {
    let ran = run_text(&options(Gemini, client), &chunks(stream));
    assert!(ran.end.is_complete(), "{:?}", ran.end);
    assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWell), "{}", ran.text());
    ran
}

fn shown(ran: &Ran) -> String {
    let losses: String = ran.facts().losses.iter().map(|loss| format!("\n{loss}")).collect();
    format!("{}---{losses}", ran.text().replace('\r', ""))
}

/// Text, thoughts, a signed call without an id, an image of a kind that others lack.
fn rich() -> Vec<Value> {
    vec![
        parts(json!([{"text": "**Plan**\n", "thought": true}])),
        parts(json!([{"text": "more", "thought": true}])),
        parts(json!([{"text": "Hel"}])),
        parts(json!([{"text": "lo 😀"}])),
        parts(json!([
            {"functionCall": {"name": "weather", "args": {"city": "Bern"}}, "thoughtSignature": "c2lnbmVk"},
            {"functionCall": {"name": "now", "args": {}, "id": "k2"}},
        ])),
        last(json!([{"text": ""}]), "STOP"),
    ]
}

#[test]
fn gemini_becomes_chat() {
    insta::assert_snapshot!(shown(&ran(OpenAiChat, &rich())));
}

#[test]
fn gemini_becomes_anthropic() {
    insta::assert_snapshot!(shown(&ran(AnthropicMessages, &rich())));
}

fn chat_stream() -> String {
    let call = r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}"#;
    let mut stream: String = [
        delta(r#"{"role":"assistant","content":""}"#),
        delta(r#"{"content":"Hel"}"#),
        delta(r#"{"content":"lo"}"#),
        delta(call),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":" \"Bern\"}"}}]}"#),
        finish("tool_calls"),
    ]
    .iter()
    .map(|choices| chat_chunk(choices, ""))
    .collect();
    let usage = r#","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}"#;
    stream.push_str(&chat_chunk("[]", usage));
    stream.push_str("data: [DONE]\n\n");
    stream
}

#[test]
fn chat_becomes_gemini() {
    let ran = run_text(&options(OpenAiChat, Gemini), &chat_stream());
    assert!(ran.end.is_complete());
    assert!(ran.text().contains("\r\n\r\n"), "Google ends lines with CRLF");
    insta::assert_snapshot!(shown(&ran));
}

fn anthropic_stream() -> String {
    anthropic(&[
        MESSAGE_START,
        &block_start(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        &block_delta(0, r#"{"type":"thinking_delta","thinking":"hm"}"#),
        &block_delta(0, r#"{"type":"signature_delta","signature":"EqQB"}"#),
        &block_stop(0),
        &block_start(1, TEXT_BLOCK),
        &block_delta(1, &text_delta("Hi")),
        &block_stop(1),
        r#"{"type":"ping"}"#,
        &block_start(2, r#"{"type":"tool_use","id":"toolu_1","name":"now","input":{}}"#),
        &block_stop(2),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ])
}

#[test]
fn anthropic_becomes_gemini() {
    let ran = run_text(&options(AnthropicMessages, Gemini), &anthropic_stream());
    assert!(ran.end.is_complete());
    insta::assert_snapshot!(shown(&ran));
}

#[test]
fn a_client_that_asks_for_no_events_gets_an_array() {
    let array = RelayOptions { form: StreamForm::JsonArray, ..options(OpenAiChat, Gemini) };
    let ran = run_text(&array, &chat_stream());
    assert_eq!(check_array(&ran.bytes), Ok(Verdict::EndedWell), "{}", ran.text());
    let events = run_text(&options(OpenAiChat, Gemini), &chat_stream());
    let folded = |framing, bytes: &[u8]| {
        let (folder, end) = fold_stream(Gemini, framing, bytes, 1 << 20);
        assert_eq!(end, Ok(()));
        format!("{:?}", folder.answer())
    };
    assert_eq!(folded(Framing::JsonArray, &ran.bytes), folded(Framing::Sse, &events.bytes));
    insta::assert_snapshot!(ran.text().replace('\r', ""));
}

#[test]
fn a_broken_stream_ends_either_form_with_an_error() {
    let stream = chat_chunk(&delta(r#"{"content":"Hi"}"#), "");
    let broken = run_cut(&options(OpenAiChat, Gemini), [stream.as_bytes()], Some(connection_lost()));
    assert_eq!(check(Gemini, &broken.bytes), Ok(Verdict::EndedWithError));
    assert!(broken.text().ends_with("}\r\n\r\n"), "{}", broken.text());
    let array = RelayOptions { form: StreamForm::JsonArray, ..options(OpenAiChat, Gemini) };
    for pieces in [vec![stream.as_bytes()], Vec::new()] {
        let broken = run_cut(&array, pieces, Some(connection_lost()));
        assert_eq!(check_array(&broken.bytes), Ok(Verdict::EndedWithError), "{}", broken.text());
    }
}

/// protocols.md, section 7, trap 6.
#[test]
fn trap_6_stop_with_tool_calls_and_without_ids() {
    let stream = [last(json!([{"functionCall": {"name": "f", "args": {}}}]), "STOP")];
    let chat = ran(OpenAiChat, &stream);
    assert_eq!(chat.facts().finish, Some(FinishReason::ToolCalls));
    assert!(chat.text().contains(r#""finish_reason":"tool_calls""#), "{}", chat.text());
    let anthropic = ran(AnthropicMessages, &stream);
    assert!(anthropic.text().contains(r#""stop_reason":"tool_use""#), "{}", anthropic.text());
}

/// A call may come behind the finish, and the finish again.
#[test]
fn trap_9_two_stop_signals() {
    let stream = [
        last(json!([{"text": "a"}]), "STOP"),
        parts(json!([{"functionCall": {"name": "f"}}])),
        last(json!([{"text": "b"}]), "STOP"),
    ];
    let ran = ran(OpenAiChat, &stream);
    assert_eq!(ran.facts().finish, Some(FinishReason::ToolCalls));
    assert_eq!(ran.text().matches(r#""finish_reason":"tool_calls""#).count(), 1);
}

/// protocols.md, section 7, trap 8: chunks without candidates, without content, without parts.
#[test]
fn trap_8_missing_candidates_content_and_parts() {
    let usage = json!({"promptTokenCount": 4, "totalTokenCount": 4});
    let stream = [
        json!({"usageMetadata": {"trafficType": "ON_DEMAND"}, "responseId": "r7", "modelVersion": "m"}),
        json!({"candidates": [{"index": 0}]}),
        json!({"candidates": [{"content": {"role": "model"}}]}),
        json!({"candidates": [{"content": {"parts": [{}]}}]}),
        json!({"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": usage}),
    ];
    let ran = ran(OpenAiChat, &stream);
    assert_eq!(ran.facts().finish, Some(FinishReason::Length));
    assert_eq!(ran.facts().usage, Some(Usage::new().with(Bucket::Input, 4).with(Bucket::Output, 0)));
}

#[test]
fn trap_8_a_refused_prompt_has_no_candidate() {
    let feedback = json!({"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"});
    let stream = [
        json!({"promptFeedback": feedback, "responseId": "r7", "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}),
    ];
    let ran = ran(OpenAiChat, &stream);
    assert!(ran.text().contains(r#""finish_reason":"content_filter""#), "{}", ran.text());
}

/// protocols.md, section 7, trap 13: a signature on an empty text belongs to no part that follows.
#[test]
fn trap_13_signature_on_an_empty_text() {
    let stream =
        [parts(json!([{"text": "Hi"}])), last(json!([{"text": "", "thoughtSignature": "c2lnbmVk"}]), "STOP")];
    let (folder, end) = fold_stream(Gemini, Framing::Sse, chunks(&stream).as_bytes(), 1 << 20);
    assert_eq!(end, Ok(()));
    let answer = folder.answer();
    let proofs: Vec<_> = answer.candidates[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Reasoning(reasoning) => reasoning.proof.as_ref().map(|proof| proof.data.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(proofs, ["c2lnbmVk"]);
}

/// protocols.md, section 7, trap 14: code that Google runs is no call of the client's tools.
#[test]
fn trap_14_server_tools_are_no_calls() {
    let stream = [
        parts(json!([{"executableCode": {"language": "PYTHON", "code": "print(1)"}}])),
        parts(json!([{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}])),
        last(json!([{"text": "1"}]), "STOP"),
    ];
    for client in [OpenAiChat, AnthropicMessages] {
        let ran = ran(client, &stream);
        assert_eq!(ran.facts().finish, Some(FinishReason::Stop));
        assert!(!ran.text().contains("tool_"), "{}", ran.text());
        assert!(!ran.facts().losses.is_empty());
    }
}

/// Google signs an answer's last text. Claude Code takes the last block for the answer.
#[test]
fn an_answer_of_messages_does_not_end_with_a_signature() {
    let signed = json!({"text": "", "thoughtSignature": "c2lnbmVk"});
    let ran = self::ran(AnthropicMessages, &[parts(json!([{"text": "Hi"}])), last(json!([signed]), "STOP")]);
    assert!(!ran.text().contains("thinking"), "{}", ran.text());
    let lost: Vec<String> = ran.facts().losses.iter().map(ToString::to_string).collect();
    assert!(lost.iter().any(|loss| loss.contains("does not end with thinking")), "{lost:?}");

    // Before a call it must come back.
    let call = json!({"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "c2lnbmVk"});
    let ran = self::ran(AnthropicMessages, &[parts(json!([{"text": "Hi"}])), last(json!([call]), "STOP")]);
    let text = ran.text();
    let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no {needle} in {text}"));
    assert!(place("\"index\":1") < place("signature_delta") && place("signature_delta") < place("tool_use"));
}

/// protocols.md, section 7, trap 26: an error that is no event.
#[test]
fn trap_26_a_bare_error_in_mid_stream() {
    let mut stream = chunks(&[parts(json!([{"text": "First "}]))]);
    stream.push_str("{\n  \"error\": {\n    \"code\": 499,\n    \"message\": \"cancelled\",\n    \"status\": \"CANCELLED\"\n  }\n}\n");
    let ran = run_text(&options(Gemini, OpenAiChat), &stream);
    assert!(ran.error().message.contains("cancelled"), "{:?}", ran.error());
    assert_eq!(check(OpenAiChat, &ran.bytes), Ok(Verdict::EndedWithError));
}

#[test]
fn an_error_in_place_of_a_chunk_breaks_the_stream() {
    let error = json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}});
    for error in [error.clone(), json!([error])] {
        let stream = chunks(&[parts(json!([{"text": "a"}])), error]);
        let ran = run_text(&options(Gemini, AnthropicMessages), &stream);
        assert_eq!((ran.error().status, ran.error().message.as_str()), (503, "overloaded"));
    }
}

#[test]
fn a_stream_without_a_finish_is_broken() {
    let ran = run_text(&options(Gemini, OpenAiChat), &chunks(&[parts(json!([{"text": "a"}]))]));
    assert!(!ran.end.is_complete());
}

#[test]
fn candidates_stay_apart() {
    let stream = [json!({
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "b"}]}, "finishReason": "MAX_TOKENS", "index": 1},
        ],
        "responseId": "r7",
    })];
    let chat = ran(OpenAiChat, &stream);
    let back = run(&options(OpenAiChat, Gemini), [chat.bytes.as_slice()]);
    let (folder, end) = fold_stream(Gemini, Framing::Sse, &back.bytes, 1 << 20);
    assert_eq!(end, Ok(()));
    let finishes: Vec<_> = folder.answer().candidates.iter().map(|c| c.finish.clone()).collect();
    assert_eq!(finishes, [Some(FinishReason::Stop), Some(FinishReason::Length)]);
}

#[test]
fn a_call_that_never_ends_is_bounded() {
    let argument = "x".repeat(200_000);
    let mut stream = chat_chunk(
        &delta(
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"a\":\""}}]}"#,
        ),
        "",
    );
    for _ in 0..6 {
        let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": argument}}]}).to_string();
        stream.push_str(&chat_chunk(&delta(&more), ""));
    }
    let ran = run_text(&options(OpenAiChat, Gemini), &stream);
    assert!(ran.error().message.contains("1 MiB"), "{}", ran.error().message);
    assert_eq!(check(Gemini, &ran.bytes), Ok(Verdict::EndedWithError));
}

#[test]
fn arguments_of_several_lines_stay_within_the_data_of_an_event() {
    let call = json!({"tool_calls": [{"index": 0, "id": "c0", "type": "function",
        "function": {"name": "f", "arguments": "{\n  \"a\": \"B\\nb\"\r\n}"}}]});
    let stream = chat(&[&delta(&call.to_string()), &finish("tool_calls")]);
    let ran = run_text(&options(OpenAiChat, Gemini), &stream);
    assert_eq!(check(Gemini, &ran.bytes), Ok(Verdict::EndedWell), "{}", ran.text());
    assert!(ran.text().contains(r#""args":{   "a": "B\nb"  }"#), "{}", ran.text());
}

/// Anthropic tells a source of a text before the text.
#[test]
fn a_source_that_comes_before_its_text_is_of_all_of_it() {
    let source = json!({"type": "citations_delta", "citation": {"type": "web_search_result_location",
        "url": "https://a.example", "title": "A", "cited_text": "", "encrypted_index": "x"}});
    let stream = anthropic(&[
        MESSAGE_START,
        &block_start(0, TEXT_BLOCK),
        &block_delta(0, &source.to_string()),
        &block_delta(0, &text_delta("Grüezi")),
        &block_stop(0),
        MESSAGE_DELTA,
        MESSAGE_STOP,
    ]);
    let ran = run_text(&options(AnthropicMessages, Gemini), &stream);
    assert_eq!(check(Gemini, &ran.bytes), Ok(Verdict::EndedWell), "{}", ran.text());
    let support = r#"{"segment":{"endIndex":7,"text":"Grüezi"},"groundingChunkIndices":[0]}"#;
    // With the text, and again with all others at the end.
    assert_eq!(ran.text().matches(support).count(), 2, "{}", ran.text());
}

#[test]
fn parts_behind_an_open_call_wait_for_it() {
    let call = |index: u32, arguments: &str| {
        json!({"tool_calls": [{"index": index, "id": format!("c{index}"), "type": "function",
            "function": {"name": "f", "arguments": arguments}}]})
        .to_string()
    };
    let more = |index: u32, arguments: &str| {
        json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}).to_string()
    };
    let stream = chat(&[
        &delta(&call(0, "{")),
        &delta(&call(1, "{")),
        &delta(&more(1, "}")),
        &delta(&more(0, "\"a\":1}")),
        &finish("tool_calls"),
    ]);
    let ran = run_text(&options(OpenAiChat, Gemini), &stream);
    assert!(ran.end.is_complete() && ran.facts().held_events > 0);
    let (first, second) = (ran.text().find("\"c0\""), ran.text().find("\"c1\""));
    assert!(first.is_some() && first < second, "{}", ran.text());
}

/// The whole answer and the stream, as Google sends them.
pub(crate) fn as_gemini(script: &Script) -> (String, String) {
    let reason = ["STOP", "MAX_TOKENS", "SAFETY", "OTHER"][script.finish];
    let mut whole: Vec<Value> = Vec::new();
    let mut streamed: Vec<Value> = Vec::new();
    for part in &script.parts {
        match part {
            Spoken::Text(text) | Spoken::Refusal(text) => {
                whole.push(json!({"text": text}));
                streamed.extend(pieces(text, script.piece).into_iter().map(|text| json!({"text": text})));
            }
            Spoken::Reasoning(text) => {
                whole.push(json!({"text": text, "thought": true}));
                let pieces = pieces(text, script.piece).into_iter();
                streamed.extend(pieces.map(|text| json!({"text": text, "thought": true})));
            }
            Spoken::Call(id, name, arguments) => {
                let mut call = json!({"name": name, "id": id});
                if let Some(arguments) = arguments {
                    call["args"] = arguments.clone();
                }
                whole.push(json!({"functionCall": call, "thoughtSignature": "c2ln"}));
                streamed.push(json!({"functionCall": call, "thoughtSignature": "c2ln"}));
            }
        }
    }
    let mut usage = json!({"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 30, "thoughtsTokenCount": 3});
    if let Some(cached) = script.cached {
        usage["cachedContentTokenCount"] = json!(cached);
    }
    let response = |parts: Value, reason: Option<&str>, usage: Option<&Value>| {
        let mut response = parts_only(parts);
        if let Some(reason) = reason {
            response["candidates"][0]["finishReason"] = json!(reason);
        }
        if let Some(usage) = usage {
            response["usageMetadata"] = usage.clone();
        }
        response
    };
    let early = json!({"promptTokenCount": 20, "totalTokenCount": 20});
    let mut stream: Vec<Value> = streamed
        .into_iter()
        .map(|part| response(json!([part]), None, Some(if script.usage_at == 0 { &early } else { &usage })))
        .collect();
    stream.push(response(json!([{"text": ""}]), Some(reason), Some(&usage)));
    (response(json!(whole), Some(reason), Some(&usage)).to_string(), chunks(&stream))
}

fn parts_only(parts: Value) -> Value {
    self::parts(parts)
}

/// Chunks of Gemini, whole and broken, sensible and not.
pub(crate) fn chunk() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(json!({"text": "é😀\n"})),
        Just(json!({"text": ""})),
        Just(json!({"text": "hm", "thought": true})),
        Just(json!({"text": "", "thoughtSignature": "c2ln"})),
        Just(json!({"text": "a", "thoughtSignature": "c2ln", "partMetadata": {"a": 1}})),
        Just(json!({"text": "", "thought": true, "thoughtSignature": "d2IucHJvb2Y6czp4Ojp5"})),
        Just(json!({"functionCall": {"name": "f", "args": {"a": [1.0]}}, "thoughtSignature": "c2ln"})),
        Just(json!({"functionCall": {"name": "f", "willContinue": true}})),
        Just(
            json!({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x", "willContinue": true}], "willContinue": true}})
        ),
        Just(
            json!({"functionCall": {"partialArgs": [{"jsonPath": "$.b[0].c", "numberValue": 1}], "willContinue": true}})
        ),
        Just(json!({"functionCall": {}})),
        Just(json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}})),
        Just(json!({"inlineData": {"mimeType": "audio/pcm", "data": "aGk="}})),
        Just(json!({"executableCode": {"code": "1"}})),
        Just(json!({"text": 7})),
        Just(json!({})),
        Just(json!(7)),
    ];
    let reason = prop::sample::select(vec![None, None, None, Some("STOP"), Some("SAFETY"), Some("FAKE")]);
    let candidate =
        (prop::collection::vec(part, 0..3), reason, 0_u32..2).prop_map(|(parts, reason, index)| {
            let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
            if let Some(reason) = reason {
                candidate["finishReason"] = json!(reason);
                candidate["groundingMetadata"] = json!({
                    "groundingChunks": [{"web": {"uri": "https://a", "title": "t"}}],
                    "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0, 9]}],
                });
            }
            candidate
        });
    let chunk = (candidate, any::<bool>()).prop_map(|(candidate, told)| {
        let mut chunk = json!({"candidates": [candidate], "responseId": "r7", "modelVersion": "m"});
        if told {
            chunk["usageMetadata"] =
                json!({"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12});
        }
        format!("data: {chunk}\r\n\r\n")
    });
    let odd = prop_oneof![
        Just("data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\r\n\r\n"),
        Just("data: {\"error\":{\"code\":500,\"message\":\"no\",\"status\":\"INTERNAL\"}}\r\n\r\n"),
        Just("data: {\"this\":[1]}\r\n\r\n"),
        Just("data: [1]\n\n"),
        Just("data: {\n\n"),
        Just(": alive\n\n"),
        Just("{\"error\":{\"message\":\"bare\"}}\n"),
        Just("\r\n"),
    ];
    prop_oneof![8 => chunk, 1 => odd.prop_map(str::to_owned)]
}

/// A stream that makes sense.
pub(crate) fn sensible() -> String {
    chunks(&[parts(json!([{"text": "Hel"}])), last(json!([{"text": "lo"}]), "STOP")])
}
