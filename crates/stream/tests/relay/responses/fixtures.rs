//! Recorded streams of Responses, where the recordings are there.

use serde_json::Value;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Framing, fold_stream};
use weighbridge_translate::{Answer, AnswerTarget, Content, adapter, response};
use weighbridge_units::Protocol;

use crate::support::*;

fn recorded() -> Vec<(String, Vec<u8>)> {
    crate::fixtures::recorded(OpenAiResponses, "stream.sse")
}

/// The recording that ends with an error.
const BROKEN: &str = "openai--error-event-flat-shape";

#[test]
fn recordings_are_bridged_to_every_client_within_its_grammar() {
    for client in Protocol::ALL.into_iter().filter(|client| *client != OpenAiResponses) {
        for (name, stream) in recorded() {
            let options = options(OpenAiResponses, client);
            let ran = run(&options, stream.chunks(1_000));
            let is_broken = name == BROKEN;
            assert_eq!(ran.end.is_complete(), !is_broken, "{name}: {:?}", ran.end);
            let expected = if is_broken { Verdict::EndedWithError } else { Verdict::EndedWell };
            assert_eq!(check(client, &ran.bytes), Ok(expected), "{name} to {client}\n{}", ran.text());
            assert!(run(&options, stream.chunks(1)).bytes == ran.bytes, "{name}");
        }
    }
}

/// Some of its items begin and never end, but for the last event, which repeats them.
const UNENDED: &str = "openai--openai-responses-model-mcp-list-tools-stream-backfills-missing-results";

/// Its pieces were shortened by whoever recorded it, and what repeats them was not.
const SHORTENED: &str = "openai--openai-shell-container-1";

/// Apart from reading: the grammar that judges our output accepts what OpenAI and Azure send, but for
/// recordings from before events were numbered.
#[test]
fn the_grammar_accepts_recordings_of_openai() {
    let is_odd = |name: &str| {
        matches!(
            name,
            "openai--response-stream"
                | "openai--openai-responses-stream-1"
                | "openai--response-function-call-streamed"
                | UNENDED
                | SHORTENED
        )
    };
    let own = |name: &str| name.starts_with("openai--") || name.starts_with("azure--");
    for (name, stream) in recorded().into_iter().filter(|(name, _)| own(name) && !is_odd(name)) {
        let expected = if name == BROKEN { Verdict::EndedWithError } else { Verdict::EndedWell };
        assert_eq!(check(OpenAiResponses, &stream), Ok(expected), "{name}");
    }
}

/// The response that the last event of a stream repeats, where it repeats its items.
fn last_response(stream: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stream);
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let last = events.filter_map(|data| serde_json::from_str::<Value>(data).ok()).next_back()?;
    let response = last.get("response")?;
    let has_items = !response.get("output")?.as_array()?.is_empty();
    has_items.then(|| response.to_string())
}

#[test]
fn the_fold_of_a_recording_is_its_final_response() {
    let mut compared = 0;
    for (name, stream) in recorded() {
        let Some(whole) = last_response(&stream).filter(|_| name != SHORTENED) else { continue };
        let (folder, end) = fold_stream(OpenAiResponses, Framing::Sse, &stream, 1 << 24);
        assert_eq!(end, Ok(()), "{name}");
        let raw = Raw::parse(&whole, &ScanLimits::default()).unwrap();
        let decoded = adapter(OpenAiResponses).decode_answer(raw).unwrap();
        let folded = folder.answer();
        let (mut told, mut repeated) = (parts(&folded), parts(&decoded));
        if name == UNENDED {
            told.sort();
            repeated.sort();
        }
        assert_eq!(told, repeated, "{name}");
        assert_eq!(folded.candidates[0].finish, decoded.candidates[0].finish, "{name}");
        assert_eq!(folded.usage, decoded.usage, "{name}");
        assert_eq!(folded.created, decoded.created, "{name}");
        assert_eq!(folded.model, decoded.model, "{name}");
        compared += 1;
    }
    assert!(compared == 0 || compared > 25, "{compared}");
}

/// What is said and called, in all.
fn said(answer: &Answer<'_>) -> (String, Vec<(String, String)>) {
    let parts = || answer.candidates.iter().flat_map(|candidate| &candidate.parts);
    let text = parts().filter_map(|part| match &part.content {
        Content::Text(text) => Some(text.text.as_ref()),
        Content::Refusal(text) => Some(text.as_ref()),
        _ => None,
    });
    let calls = parts().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some((call.name.to_string(), call.arguments.to_string())),
        _ => None,
    });
    (text.collect(), calls.collect())
}

/// Its call is cut off by the output cap. In a stream the pieces pass as they are, as Anthropic's own
/// do; a whole answer of a protocol whose arguments are an object has them as a text inside one.
const CUT: &str = "openai--streaming-grammar-incomplete-mid-tool-call";

#[test]
fn what_is_bridged_of_a_recording_is_its_final_response_translated() {
    for (name, stream) in recorded().into_iter().filter(|(name, _)| name != SHORTENED && name != UNENDED) {
        let Some(whole) = last_response(&stream) else { continue };
        for client in Protocol::ALL.into_iter().filter(|client| *client != OpenAiResponses) {
            let target = AnswerTarget::new("fallback-1", 1_700_000_000).model("asked-for");
            let translated = response(OpenAiResponses, client, &whole, &target).unwrap().value.0;
            let translated = std::str::from_utf8(&translated).unwrap();
            let raw = Raw::parse(translated, &ScanLimits::default()).unwrap();
            let decoded = adapter(client).decode_answer(raw).unwrap();
            let bridged = run(&options(OpenAiResponses, client), stream.chunks(1_000));
            let (folder, end) = fold_stream(client, Framing::Sse, &bridged.bytes, 1 << 24);
            assert_eq!(end, Ok(()), "{name}");
            let folded = folder.answer();
            let ((text, mut calls), (whole_text, mut whole_calls)) = (said(&folded), said(&decoded));
            assert_eq!(text, whole_text, "{name} to {client}");
            if name == CUT && matches!(client, AnthropicMessages | BedrockConverse) {
                let cut = calls[0].1.clone();
                assert!(!cut.ends_with('}'), "{cut}");
                assert_eq!(whole_calls[0].1, serde_json::json!({ "arguments": cut }).to_string());
                calls.iter_mut().chain(&mut whole_calls).for_each(|call| call.1.clear());
            }
            assert_eq!(calls, whole_calls, "{name} to {client}");
            assert_eq!(folded.candidates[0].finish, decoded.candidates[0].finish, "{name} to {client}");
            assert_eq!(folded.usage, decoded.usage, "{name} to {client}");
        }
    }
}

/// What the parts of an answer say. Ids of items change on the way at some servers, and with them what
/// is encrypted.
fn parts(answer: &Answer<'_>) -> Vec<String> {
    let said = |content: &Content<'_>| match content {
        Content::Text(text) => format!("text {}", text.text),
        Content::Refusal(text) => format!("refusal {text}"),
        Content::ToolCall(call) => format!("{:?} {} {} {}", call.kind, call.id, call.name, call.arguments),
        Content::Reasoning(reasoning) => {
            let proof = reasoning.proof.as_ref().map(|proof| (proof.format.to_string(), proof.kind));
            format!("reasoning {} {:?} {proof:?}", reasoning.text, reasoning.summary)
        }
        Content::Image(image) => format!("{image:?}"),
        Content::Unknown { name, .. } => format!("unknown {name}"),
        other => panic!("{other:?}"),
    };
    answer.candidates.iter().flat_map(|candidate| &candidate.parts).map(|part| said(&part.content)).collect()
}
