//! Law: what is bridged of a stream says what the whole answer says, for everything that an answer can
//! consist of, told in every order and in every pieces that providers have for it.
//!
//! Whole and stream are made here from the providers' documentation, apart from our readers and writers.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Framing, fold_stream};
use weighbridge_translate::adapter;
use weighbridge_units::Protocol;

use crate::replayed::says_the_whole;
use crate::support::*;

/// One part of an answer.
#[derive(Debug, Clone)]
enum Said {
    Text(String),
    /// A text with a source of all of it.
    Cited(String),
    /// Reasoning, with a signature where there are any.
    Thought(String),
    /// Reasoning that is kept from view.
    Sealed,
    Refusal(String),
    /// Name and arguments of a call.
    Call(String, Value),
    /// Something that the provider did by itself.
    Native,
}

impl Said {
    /// Whether it may go on while other parts do.
    fn is_call(&self) -> bool {
        matches!(self, Self::Call(..))
    }

    /// Whether nothing else goes on while it does.
    fn is_alone(&self) -> bool {
        !matches!(self, Self::Call(..) | Self::Text(_) | Self::Refusal(_))
    }
}

/// An answer, and how it is told.
#[derive(Debug, Clone)]
struct Told {
    candidates: Vec<Vec<Said>>,
    /// How long pieces are, in UTF-16 units: a character may be cut in half.
    piece: usize,
    /// Which of what may come next does, again and again.
    turns: Vec<usize>,
    /// Where usage is told.
    usage: usize,
    /// Whether signs of life come, and what else not every provider sends.
    is_odd: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let text = || "[a-zé😀\"\\\\\n ]{1,9}";
    let part = prop_oneof![
        4 => text().prop_map(Said::Text),
        2 => text().prop_map(Said::Cited),
        2 => text().prop_map(Said::Thought),
        1 => Just(Said::Sealed),
        1 => text().prop_map(Said::Refusal),
        4 => ("[a-z]{1,5}", text(), any::<i16>())
            .prop_map(|(name, text, number)| Said::Call(name, json!({ text: [number, {"é": null}] }))),
        1 => Just(Said::Native),
    ];
    let candidates = vec(vec(part, 1..6), 1..3);
    (candidates, 1_usize..6, vec(0_usize..6, 1..12), 0_usize..4, any::<bool>()).prop_map(
        |(candidates, piece, turns, usage, is_odd)| Told { candidates, piece, turns, usage, is_odd },
    )
}

/// Where halves of characters stand until the stream is written: JSON values cannot hold them.
const HALVES: u32 = 0xF_0000;

/// A text in pieces, whose first and last characters may be halves.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let piece = |units: &[u16]| {
        let half = |unit: u16| char::from_u32(HALVES + u32::from(unit) - 0xD800).unwrap();
        char::decode_utf16(units.iter().copied())
            .map(|unit| unit.unwrap_or_else(|error| half(error.unpaired_surrogate())))
            .collect()
    };
    units.chunks(size).map(piece).collect()
}

/// A text in pieces of whole characters: Google's strings are UTF-8.
fn characters(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// The stream of these frames as it is sent.
fn written(frames: impl IntoIterator<Item = String>) -> String {
    let mut stream = String::new();
    for unit in frames.into_iter().collect::<String>().chars() {
        match u32::from(unit).checked_sub(HALVES).filter(|half| *half < 0x800) {
            Some(half) => stream.push_str(&format!("\\u{:04x}", half + 0xD800)),
            None => stream.push(unit),
        }
    }
    stream
}

/// One after the other of several tracks, as `turns` say: they begin in order, and those of calls may go on
/// at the same time.
fn merge<T>(tracks: Vec<(&Said, Vec<T>)>, turns: &[usize]) -> Vec<T> {
    let mut merged = Vec::new();
    let mut running: Vec<(&Said, std::vec::IntoIter<T>)> = Vec::new();
    let mut waiting = tracks.into_iter().peekable();
    let mut turns = turns.iter().cycle();
    while waiting.peek().is_some() || !running.is_empty() {
        let may_begin = waiting.peek().is_some_and(|(said, _)| {
            let reading = running.iter().find(|(said, _)| !said.is_call());
            running.is_empty()
                || (!said.is_alone() && reading.is_none_or(|(open, _)| said.is_call() && !open.is_alone()))
        });
        let turn = turns.next().unwrap() % (running.len() + usize::from(may_begin));
        if turn == running.len() {
            let (said, track) = waiting.next().unwrap();
            running.push((said, track.into_iter()));
        }
        match running[turn].1.next() {
            Some(event) => merged.push(event),
            None => drop(running.remove(turn)),
        }
    }
    merged
}

/// Candidates take turns as they like.
fn alternate<T>(candidates: Vec<Vec<T>>, turns: &[usize]) -> Vec<T> {
    let mut merged = Vec::new();
    let mut running: Vec<_> = candidates.into_iter().map(Vec::into_iter).collect();
    let mut turns = turns.iter().rev().cycle();
    while !running.is_empty() {
        let turn = turns.next().unwrap() % running.len();
        match running[turn].next() {
            Some(event) => merged.push(event),
            None => drop(running.remove(turn)),
        }
    }
    merged
}

const URL: &str = "https://example.com";

/// The whole answer and the stream, as OpenAI and those that speak its protocol send them.
fn as_chat(told: &Told) -> (String, String) {
    let mut choices = Vec::new();
    let mut tracks = Vec::new();
    for (index, parts) in told.candidates.iter().enumerate() {
        let (choice, deltas) = chat_candidate(parts, told);
        let frame = |(delta, logprobs, reason): (Value, Value, Value)| json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
        tracks.push(deltas.into_iter().map(frame).collect());
        let mut choice = choice;
        choice["index"] = json!(index);
        choices.push(choice);
    }
    let usage = json!({"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27, "prompt_tokens_details": {"cached_tokens": 4}});
    let running = json!({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22});
    let chunk = |choices: Value, usage: Option<&Value>| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x",
            "choices": choices, "usage": usage, "system_fingerprint": "fp_1", "obfuscation": "xyz",
        });
        format!("data: {chunk}\n\n")
    };
    let deltas: Vec<Value> = alternate(tracks, &told.turns);
    let mut frames = Vec::new();
    if told.is_odd {
        // Azure's first chunk has no choice and no name.
        frames.push("data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[]}\n\n".to_owned());
        frames.push(": PROCESSING\n\n".to_owned());
    }
    if told.usage == 3 {
        frames.push(chunk(json!([]), Some(&usage)));
    }
    let last = deltas.len() - 1;
    for (place, delta) in deltas.into_iter().enumerate() {
        let usage = match told.usage {
            0 if place == last => Some(&usage),
            // Databricks and Perplexity tell it on every chunk.
            2 => Some(if place == last { &usage } else { &running }),
            _ => None,
        };
        frames.push(chunk(json!([delta]), usage));
    }
    if told.usage == 1 {
        frames.push(chunk(json!([]), Some(&usage)));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt-x", "choices": choices,
        "usage": usage, "system_fingerprint": "fp_1",
    });
    (whole.to_string(), written(frames))
}

type ChatDelta = (Value, Value, Value);

fn chat_candidate(parts: &[Said], told: &Told) -> (Value, Vec<ChatDelta>) {
    let (mut content, mut refusal, mut reasoning) = (String::new(), String::new(), String::new());
    let (mut annotations, mut tokens, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    let plain = |delta: Value| (delta, Value::Null, Value::Null);
    let mut texts: Vec<ChatDelta> = Vec::new();
    for part in parts {
        match part {
            Said::Text(text) | Said::Cited(text) => {
                let start = content.chars().count();
                content.push_str(text);
                let token = json!({"token": text, "logprob": -0.5, "bytes": null, "top_logprobs": []});
                tokens.push(token.clone());
                texts.extend(
                    pieces(text, told.piece).into_iter().map(|piece| plain(json!({"content": piece}))),
                );
                texts.last_mut().unwrap().1 = json!({"content": [token], "refusal": null});
                if matches!(part, Said::Cited(_)) {
                    let end = content.chars().count();
                    let cited = json!({"start_index": start, "end_index": end, "title": "t", "url": URL});
                    let annotation = json!({"type": "url_citation", "url_citation": cited});
                    annotations.push(annotation.clone());
                    texts.push(plain(json!({"annotations": [annotation]})));
                }
            }
            Said::Thought(text) => reasoning.push_str(text),
            Said::Refusal(text) => refusal.push_str(text),
            Said::Call(name, arguments) => calls.push((part, name, arguments.to_string())),
            Said::Sealed | Said::Native => {}
        }
    }
    let mut deltas = vec![plain(json!({"role": "assistant", "content": "", "refusal": null}))];
    let long = |field: &str, text: &str| -> Vec<ChatDelta> {
        pieces(text, told.piece).into_iter().map(|piece| plain(json!({ field: piece }))).collect()
    };
    deltas.extend(long("reasoning_content", &reasoning));
    deltas.extend(texts);
    deltas.extend(long("refusal", &refusal));
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    for (field, text) in [("content", content), ("refusal", refusal), ("reasoning_content", reasoning)] {
        if !text.is_empty() {
            message[field] = json!(text);
        }
    }
    if !annotations.is_empty() {
        message["annotations"] = json!(annotations);
    }
    let mut tracks = Vec::new();
    let mut whole = Vec::new();
    for (index, (said, name, arguments)) in calls.iter().enumerate() {
        let id = format!("call_{index}");
        whole.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
        let mut track = vec![
            json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}),
        ];
        let more = pieces(arguments, told.piece).into_iter();
        track.extend(more.map(|piece| json!({"index": index, "function": {"arguments": piece}})));
        tracks.push((*said, track));
    }
    deltas.extend(merge(tracks, &told.turns).into_iter().map(|call| plain(json!({"tool_calls": [call]}))));
    if !whole.is_empty() {
        message["tool_calls"] = json!(whole);
    }
    let reason = if whole.is_empty() { "stop" } else { "tool_calls" };
    deltas.push((json!({}), Value::Null, json!(reason)));
    let logprobs = if tokens.is_empty() { Value::Null } else { json!({"content": tokens, "refusal": null}) };
    (json!({"message": message, "logprobs": logprobs, "finish_reason": reason}), deltas)
}

/// The whole answer and the stream, as Anthropic sends them.
fn as_messages(told: &Told) -> (String, String) {
    let mut content: Vec<Value> = Vec::new();
    let mut events = Vec::new();
    let mut block = |whole: Value, begun: Value, deltas: Vec<Value>| {
        let index = content.len();
        content.push(whole);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        if told.is_odd {
            events.push(json!({"type": "ping"}));
        }
        let deltas = deltas.into_iter();
        events.extend(
            deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
    };
    let cut = |text: &str, kind: &str, field: &str| -> Vec<Value> {
        pieces(text, told.piece).into_iter().map(|piece| json!({"type": kind, field: piece})).collect()
    };
    let mut has_called = false;
    for (number, part) in told.candidates[0].iter().enumerate() {
        match part {
            Said::Text(text) | Said::Refusal(text) => block(
                json!({"type": "text", "text": text}),
                json!({"type": "text", "text": ""}),
                cut(text, "text_delta", "text"),
            ),
            Said::Cited(text) => {
                let citation = json!({"type": "web_search_result_location", "url": URL, "title": "t", "cited_text": "c", "encrypted_index": "ZQ=="});
                let mut deltas = cut(text, "text_delta", "text");
                // Between the pieces.
                deltas.insert(1, json!({"type": "citations_delta", "citation": citation}));
                block(
                    json!({"type": "text", "text": text, "citations": [citation]}),
                    json!({"type": "text", "text": "", "citations": []}),
                    deltas,
                );
            }
            Said::Thought(text) => {
                let mut deltas = cut(text, "thinking_delta", "thinking");
                deltas.push(json!({"type": "signature_delta", "signature": "c2ln"}));
                block(
                    json!({"type": "thinking", "thinking": text, "signature": "c2ln"}),
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    deltas,
                );
            }
            Said::Sealed => {
                let sealed = json!({"type": "redacted_thinking", "data": "cmVk"});
                block(sealed.clone(), sealed, Vec::new());
            }
            Said::Call(name, arguments) => {
                has_called = true;
                let call = |input: &Value| json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": input});
                block(
                    call(arguments),
                    call(&json!({})),
                    cut(&arguments.to_string(), "input_json_delta", "partial_json"),
                );
            }
            Said::Native => {
                let id = format!("srvtoolu_{number}");
                let search = |input: Value| json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": input});
                let input = json!({"query": "x"});
                block(
                    search(input.clone()),
                    search(json!({})),
                    cut(&input.to_string(), "input_json_delta", "partial_json"),
                );
                let found = json!({"type": "web_search_tool_result", "tool_use_id": id, "content": []});
                block(found.clone(), found, Vec::new());
            }
        }
    }
    let reason = if has_called { "tool_use" } else { "end_turn" };
    let usage = json!({"input_tokens": 11, "cache_read_input_tokens": 3, "output_tokens": 7});
    let message = |content: &[Value], reason: Value, usage: Value| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
            "stop_reason": reason, "stop_sequence": null, "usage": usage,
        })
    };
    let whole = message(&content, json!(reason), usage.clone());
    // What the end tells of the prompt replaces what the beginning told.
    let (first, last) = match told.usage {
        0 => (
            json!({"input_tokens": 11, "cache_read_input_tokens": 3, "output_tokens": 1}),
            json!({"output_tokens": 7}),
        ),
        _ => (json!({"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}), usage),
    };
    events.insert(0, json!({"type": "message_start", "message": message(&[], Value::Null, first)}));
    if told.usage == 2 {
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": null, "stop_sequence": null}, "usage": {"output_tokens": 5}}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": last}));
    events.push(json!({"type": "message_stop"}));
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    (whole.to_string(), written(events.iter().map(frame)))
}

/// The whole answer and the stream, as OpenAI sends them: items may interleave.
fn as_responses(told: &Told) -> (String, String) {
    let mut output = Vec::new();
    let mut tracks: Vec<(&Said, Vec<Value>)> = Vec::new();
    for part in &told.candidates[0] {
        let index = output.len();
        let id = format!("item_{index}");
        let at = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "item_id": id, "output_index": index, "content_index": 0});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let cut = |text: &str, kind: &str, more: Value| -> Vec<Value> {
            let delta = |piece| {
                let mut event = at(kind, json!({"delta": piece}));
                event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                event
            };
            pieces(text, told.piece).into_iter().map(delta).collect()
        };
        let (begun, item, grown) = match part {
            Said::Text(text) | Said::Cited(text) | Said::Refusal(text) => {
                let (kind, field) = if matches!(part, Said::Refusal(_)) {
                    ("refusal", "refusal")
                } else {
                    ("output_text", "text")
                };
                let end = text.chars().count();
                let annotation = json!({"type": "url_citation", "start_index": 0, "end_index": end, "title": "t", "url": URL});
                let cited = if matches!(part, Said::Cited(_)) { vec![annotation] } else { Vec::new() };
                let token = json!({"token": text, "logprob": -0.5, "bytes": [], "top_logprobs": []});
                let content = |text: &str, cited: &[Value], tokens: &[Value]| match kind {
                    "refusal" => json!({"type": kind, "refusal": text}),
                    _ => json!({"type": kind, "text": text, "annotations": cited, "logprobs": tokens}),
                };
                let tokens = [token];
                let item = |status: &str, content: Value| json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content});
                let mut grown =
                    vec![at("response.content_part.added", json!({"part": content("", &[], &[])}))];
                grown.extend(cut(text, &format!("response.{kind}.delta"), json!({})));
                if kind == "output_text" {
                    grown.last_mut().unwrap()["logprobs"] = json!(tokens);
                }
                for annotation in &cited {
                    grown.push(at(
                        "response.output_text.annotation.added",
                        json!({"annotation_index": 0, "annotation": annotation}),
                    ));
                }
                grown.push(at(&format!("response.{kind}.done"), json!({field: text, "logprobs": []})));
                let whole = content(text, &cited, &tokens);
                grown.push(at("response.content_part.done", json!({"part": whole})));
                (item("in_progress", json!([])), item("completed", json!([whole])), grown)
            }
            Said::Thought(text) => {
                let begun = json!({"id": id, "type": "reasoning", "summary": []});
                let item = json!({"id": id, "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]});
                let mut grown = cut(text, "response.reasoning_text.delta", json!({}));
                grown.push(at("response.reasoning_text.done", json!({"text": text})));
                (begun, item, grown)
            }
            Said::Sealed => {
                let begun = json!({"id": id, "type": "reasoning", "summary": []});
                let summary =
                    json!([{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]);
                let item =
                    json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": "gAAA"});
                let mut grown = Vec::new();
                for (place, text) in ["one", "two"].into_iter().enumerate() {
                    let more = json!({"summary_index": place});
                    grown.push(at(
                        "response.reasoning_summary_part.added",
                        json!({"summary_index": place, "part": {"type": "summary_text", "text": ""}}),
                    ));
                    grown.extend(cut(text, "response.reasoning_summary_text.delta", more));
                    grown.push(at(
                        "response.reasoning_summary_text.done",
                        json!({"summary_index": place, "text": text}),
                    ));
                    grown.push(at(
                        "response.reasoning_summary_part.done",
                        json!({"summary_index": place, "part": {"type": "summary_text", "text": text}}),
                    ));
                }
                (begun, item, grown)
            }
            Said::Call(name, arguments) => {
                let text = arguments.to_string();
                let item = |status: &str, arguments: &str| json!({"id": id, "type": "function_call", "status": status, "arguments": arguments, "call_id": format!("call_{index}"), "name": name});
                let mut grown = cut(&text, "response.function_call_arguments.delta", json!({}));
                grown.push(at("response.function_call_arguments.done", json!({"arguments": text})));
                (item("in_progress", ""), item("completed", &text), grown)
            }
            Said::Native => {
                let item = |status: &str| json!({"id": id, "type": "web_search_call", "status": status, "action": {"type": "search", "query": "x"}});
                let grown = ["in_progress", "searching", "completed"]
                    .map(|state| at(&format!("response.web_search_call.{state}"), json!({})));
                (item("in_progress"), item("completed"), grown.to_vec())
            }
        };
        let mut track =
            vec![json!({"type": "response.output_item.added", "output_index": index, "item": begun})];
        track.extend(grown);
        track.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
        tracks.push((part, track));
        output.push(item);
    }
    let usage = json!({
        "input_tokens": 20, "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 27,
    });
    let response = |status: &str, output: &[Value], usage: &Value| {
        json!({
            "id": "resp_1", "object": "response", "created_at": 5, "status": status, "error": null,
            "incomplete_details": null, "instructions": null, "model": "gpt-x", "output": output,
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": usage, "metadata": {},
        })
    };
    let begun = response("in_progress", &[], &Value::Null);
    let whole = response("completed", &output, &usage);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    events.extend(merge(tracks, &told.turns));
    if told.is_odd {
        events.insert(2, json!({"type": "keepalive"}));
    }
    // In one variant the last event does not repeat the items.
    let repeated = if told.usage == 0 { &output[..] } else { &[] };
    events.push(json!({"type": "response.completed", "response": response("completed", repeated, &usage)}));
    let frame = |(number, event): (usize, &mut Value)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    };
    (whole.to_string(), written(events.iter_mut().enumerate().map(frame).collect::<Vec<_>>()))
}

/// The whole answer and the stream, as Google sends them: candidates take turns.
fn as_gemini(told: &Told) -> (String, String) {
    let mut candidates = Vec::new();
    let mut tracks = Vec::new();
    for (index, parts) in told.candidates.iter().enumerate() {
        let (mut whole, mut streamed) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Said::Text(text) | Said::Cited(text) | Said::Refusal(text) => {
                    whole.push(json!({"text": text}));
                    streamed
                        .extend(characters(text, told.piece).into_iter().map(|text| json!({"text": text})));
                }
                Said::Thought(text) => {
                    whole.push(json!({"text": text, "thought": true}));
                    let pieces = characters(text, told.piece).into_iter();
                    streamed.extend(pieces.map(|text| json!({"text": text, "thought": true})));
                }
                Said::Call(name, arguments) => {
                    let call = json!({"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "c2ln"});
                    whole.push(call.clone());
                    streamed.push(call);
                }
                Said::Native => {
                    for part in [
                        json!({"executableCode": {"language": "PYTHON", "code": "1"}}),
                        json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
                    ] {
                        whole.push(part.clone());
                        streamed.push(part);
                    }
                }
                Said::Sealed => {}
            }
        }
        let tokens = json!({"chosenCandidates": [{"token": "a", "logProbability": -0.5}]});
        let candidate =
            |parts: Vec<Value>| json!({"content": {"parts": parts, "role": "model"}, "index": index});
        let mut last = candidate(vec![json!({"text": ""})]);
        let mut all = candidate(whole);
        for candidate in [&mut last, &mut all] {
            candidate["finishReason"] = json!("STOP");
            // Some clients have no place for them behind what is no text.
            let is_text = |part: &Said| matches!(part, Said::Text(_) | Said::Cited(_) | Said::Refusal(_));
            if told.is_odd && parts.iter().all(is_text) {
                candidate["logprobsResult"] = tokens.clone();
            }
        }
        let mut track: Vec<Value> = streamed.into_iter().map(|part| candidate(vec![part])).collect();
        track.push(last);
        tracks.push(track);
        candidates.push(all);
    }
    let usage = json!({"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 30, "thoughtsTokenCount": 3});
    let running = json!({"promptTokenCount": 20, "candidatesTokenCount": 2, "totalTokenCount": 22});
    let mut chunks: Vec<Value> = alternate(tracks, &told.turns)
        .into_iter()
        .map(|candidate| json!({"candidates": [candidate]}))
        .collect();
    let last = chunks.len() - 1;
    for (place, chunk) in chunks.iter_mut().enumerate() {
        match told.usage {
            _ if place == last => chunk["usageMetadata"] = usage.clone(),
            0 => {}
            _ => chunk["usageMetadata"] = running.clone(),
        }
        chunk["modelVersion"] = json!("gemini-x");
        chunk["responseId"] = json!("r1");
    }
    let whole = json!({"candidates": candidates, "usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r1"});
    (whole.to_string(), written(chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n"))))
}

/// The whole answer and the stream, as Bedrock sends them.
fn as_converse(told: &Told) -> (String, String) {
    let mut content = Vec::new();
    let mut frames = vec![("messageStart", json!({"role": "assistant"}))];
    let cut = |text: &str, of: &dyn Fn(String) -> Value| -> Vec<Value> {
        pieces(text, told.piece).into_iter().map(of).collect()
    };
    let mut has_called = false;
    for part in &told.candidates[0] {
        let index = content.len();
        let (block, deltas) = match part {
            Said::Text(text) | Said::Refusal(text) => {
                (json!({"text": text}), cut(text, &|text| json!({"text": text})))
            }
            Said::Cited(text) => {
                let citation = json!({"title": "t", "location": {"web": {"url": URL}}});
                let mut deltas = cut(text, &|text| json!({"text": text}));
                deltas.push(json!({"citation": citation}));
                (json!({"citationsContent": {"content": [{"text": text}], "citations": [citation]}}), deltas)
            }
            Said::Thought(text) => {
                let mut deltas = cut(text, &|text| json!({"reasoningContent": {"text": text}}));
                deltas.push(json!({"reasoningContent": {"signature": "c2ln"}}));
                (json!({"reasoningContent": {"reasoningText": {"text": text, "signature": "c2ln"}}}), deltas)
            }
            Said::Sealed => {
                let sealed = json!({"reasoningContent": {"redactedContent": "cmVk"}});
                (sealed.clone(), vec![sealed])
            }
            Said::Call(name, arguments) => {
                has_called = true;
                let id = format!("tooluse_{index}");
                frames.push(("contentBlockStart", json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}})));
                (
                    json!({"toolUse": {"toolUseId": id, "name": name, "input": arguments}}),
                    cut(&arguments.to_string(), &|piece| json!({"toolUse": {"input": piece}})),
                )
            }
            Said::Native => continue,
        };
        content.push(block);
        frames.extend(deltas.into_iter().map(|delta| {
            ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abcd"}))
        }));
        frames.push(("contentBlockStop", json!({"contentBlockIndex": index})));
    }
    let reason = if has_called { "tool_use" } else { "end_turn" };
    let usage = json!({"inputTokens": 11, "outputTokens": 7, "totalTokens": 22, "cacheReadInputTokens": 4});
    let metrics = json!({"latencyMs": 5});
    frames.push(("messageStop", json!({"stopReason": reason})));
    frames.push(("metadata", json!({"usage": usage, "metrics": metrics})));
    let whole = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason, "usage": usage, "metrics": metrics,
    });
    (
        whole.to_string(),
        written(frames.iter().map(|(name, payload)| format!("event: {name}\ndata: {payload}\n\n"))),
    )
}

fn sent(provider: Protocol, told: &Told) -> (String, String) {
    match provider {
        OpenAiChat => as_chat(told),
        AnthropicMessages => as_messages(told),
        OpenAiResponses => as_responses(told),
        GeminiGenerateContent => as_gemini(told),
        BedrockConverse => as_converse(told),
    }
}

proptest! {
    // Each case is of all pairs.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_answer_consists_of_stream_equals_whole(told in told(), size in 1_usize..200) {
        for provider in Protocol::ALL {
            let (whole, stream) = sent(provider, &told);
            let raw = Raw::parse(&whole, &ScanLimits::default()).unwrap();
            let answer = adapter(provider).decode_answer(raw).unwrap();
            for client in Protocol::ALL.into_iter().filter(|client| *client != provider) {
                let ran = run(&options(provider, client), stream.as_bytes().chunks(size));
                prop_assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWell), "{} to {}: {:?}\n{}", provider, client, ran.end, stream);
                let (folder, end) = fold_stream(client, Framing::Sse, &ran.bytes, 1 << 20);
                prop_assert_eq!(end, Ok(()));
                says_the_whole(&folder.answer(), &answer, client)
                    .map_err(|error| TestCaseError::fail(format!("{error}\nfrom {provider}:\n{stream}\n{}", ran.text())))?;
                let at_once = run(&options(provider, client), [stream.as_bytes()]);
                prop_assert!(at_once.bytes == ran.bytes);
            }
        }
    }
}
