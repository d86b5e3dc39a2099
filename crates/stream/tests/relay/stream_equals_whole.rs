//! Law: folding a bridged stream gives what translating the whole answer gives, for parts, tool calls,
//! finish and usage.

use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_stream::{Framing, fold_stream};
use weighbridge_translate::{Answer, AnswerTarget, Content, FinishReason, adapter, response};
use weighbridge_units::{Protocol, Usage};

use crate::gemini::as_gemini;
use crate::responses::stream_equals_whole::as_responses;
use crate::support::*;

/// What an answer says, in a form in which two of them can be compared. Chat knows no order among text,
/// refusal and calls; arguments are compared as JSON, and no arguments are `{}`.
#[derive(Debug, PartialEq)]
struct Said {
    id: Option<String>,
    model: Option<String>,
    text: String,
    refusal: String,
    reasoning: String,
    signature: String,
    calls: Vec<(String, String, Value)>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

fn said(answer: &Answer<'_>) -> Said {
    let mut said = Said {
        id: answer.id.as_deref().map(str::to_owned),
        model: answer.model.as_deref().map(str::to_owned),
        text: String::new(),
        refusal: String::new(),
        reasoning: String::new(),
        signature: String::new(),
        calls: Vec::new(),
        finish: answer.candidates[0].finish.clone(),
        usage: answer.usage,
    };
    for part in &answer.candidates[0].parts {
        match &part.content {
            Content::Text(text) => said.text.push_str(&text.text),
            Content::Refusal(text) => said.refusal.push_str(text),
            Content::Reasoning(reasoning) => {
                said.reasoning.push_str(&reasoning.text);
                said.signature.push_str(reasoning.proof.as_ref().map_or("", |proof| &proof.data));
            }
            Content::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                let arguments = serde_json::from_str(arguments).unwrap();
                said.calls.push((call.id.to_string(), call.name.to_string(), arguments));
            }
            other => panic!("{other:?}"),
        }
    }
    said
}

/// An answer, from which the whole and the streamed form are made independently of our writers.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) parts: Vec<Spoken>,
    /// Where pieces are cut, in characters.
    pub(crate) piece: usize,
    pub(crate) finish: usize,
    pub(crate) cached: Option<u64>,
    pub(crate) usage_at: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Spoken {
    Text(String),
    Reasoning(String),
    Refusal(String),
    /// Id, name, and arguments; `None` for a call without any.
    Call(String, String, Option<Value>),
}

fn script() -> impl Strategy<Value = Script> {
    let text = "[a-zé😀\"\\\\\n ]{1,12}";
    let arguments = prop_oneof![
        Just(None),
        (text, any::<i32>())
            .prop_map(|(text, number)| Some(json!({ text: [number, { "}": "\\\"{" }], "é": null }))),
    ];
    let part = prop_oneof![
        3 => text.prop_map(Spoken::Text),
        1 => text.prop_map(Spoken::Reasoning),
        1 => text.prop_map(Spoken::Refusal),
        3 => ("[a-z]{1,6}", "[a-z_]{1,8}", arguments).prop_map(|(id, name, arguments)| Spoken::Call(id, name, arguments)),
    ];
    (prop::collection::vec(part, 0..6), 1_usize..8, 0_usize..4, prop::option::of(0_u64..9), 0_usize..3)
        .prop_map(|(parts, piece, finish, cached, usage_at)| Script {
            parts,
            piece,
            finish,
            cached,
            usage_at,
        })
}

pub(crate) fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// The whole answer and the stream, as Anthropic sends them.
fn as_anthropic(script: &Script) -> (String, String) {
    let (reason, sequence) = [
        ("end_turn", Value::Null),
        ("max_tokens", Value::Null),
        ("tool_use", Value::Null),
        ("stop_sequence", json!("END")),
    ][script.finish]
        .clone();
    let mut content = Vec::new();
    let mut events = Vec::new();
    for (index, part) in script.parts.iter().enumerate() {
        let (block, deltas): (Value, Vec<Value>) = match part {
            Spoken::Text(text) | Spoken::Refusal(text) => {
                content.push(json!({"type": "text", "text": text}));
                let deltas = pieces(text, script.piece).into_iter();
                (
                    json!({"type": "text", "text": ""}),
                    deltas.map(|text| json!({"type": "text_delta", "text": text})).collect(),
                )
            }
            Spoken::Reasoning(text) => {
                content.push(json!({"type": "thinking", "thinking": text, "signature": "c2ln"}));
                let deltas = pieces(text, script.piece).into_iter();
                let mut deltas: Vec<Value> =
                    deltas.map(|text| json!({"type": "thinking_delta", "thinking": text})).collect();
                deltas.push(json!({"type": "signature_delta", "signature": "c2ln"}));
                (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
            }
            Spoken::Call(id, name, arguments) => {
                let input = arguments.clone().unwrap_or(json!({}));
                content.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
                let text = arguments.as_ref().map(Value::to_string).unwrap_or_default();
                let deltas = pieces(&text, script.piece).into_iter();
                (
                    json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                    deltas.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect(),
                )
            }
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.extend(
            deltas
                .into_iter()
                .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let mut usage = json!({"input_tokens": 11, "output_tokens": 7});
    let mut first_usage = json!({"input_tokens": 11, "output_tokens": 1});
    if let Some(cached) = script.cached {
        usage["cache_read_input_tokens"] = json!(cached);
        first_usage["cache_read_input_tokens"] = json!(cached);
    }
    let mut message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": reason, "stop_sequence": sequence, "usage": usage,
    });
    let whole = message.to_string();
    let last_usage =
        if script.usage_at == 0 { json!({"output_tokens": 7}) } else { message["usage"].clone() };
    for (field, value) in [
        ("content", json!([])),
        ("stop_reason", Value::Null),
        ("stop_sequence", Value::Null),
        ("usage", first_usage),
    ] {
        message[field] = value;
    }
    events.insert(0, json!({"type": "message_start", "message": message}));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence}, "usage": last_usage}));
    events.push(json!({"type": "message_stop"}));
    let frames =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    (whole, frames.collect())
}

/// The whole answer and the stream, as OpenAI sends them.
fn as_chat(script: &Script) -> (String, String) {
    let reason = ["stop", "length", "tool_calls", "content_filter"][script.finish];
    let join = |wanted: fn(&Spoken) -> Option<&String>| {
        let all: String = script.parts.iter().filter_map(wanted).map(String::as_str).collect();
        (!all.is_empty()).then_some(all)
    };
    let texts = [
        (
            "reasoning_content",
            join(|part| if let Spoken::Reasoning(text) = part { Some(text) } else { None }),
        ),
        ("content", join(|part| if let Spoken::Text(text) = part { Some(text) } else { None })),
        ("refusal", join(|part| if let Spoken::Refusal(text) = part { Some(text) } else { None })),
    ];
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut deltas = vec![json!({"role": "assistant", "content": "", "refusal": null})];
    for (field, text) in &texts {
        if let Some(text) = text {
            message[field] = json!(text);
            deltas.extend(pieces(text, script.piece).into_iter().map(|piece| json!({ *field: piece })));
        }
    }
    let calls: Vec<&Spoken> = script.parts.iter().filter(|part| matches!(part, Spoken::Call(..))).collect();
    let mut call_pieces: Vec<Vec<Value>> = Vec::new();
    for (index, part) in calls.iter().enumerate() {
        let Spoken::Call(id, name, arguments) = part else { continue };
        let text = arguments.as_ref().map(Value::to_string).unwrap_or_default();
        let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": text}});
        match message.get_mut("tool_calls").and_then(Value::as_array_mut) {
            Some(list) => list.push(call),
            None => message["tool_calls"] = json!([call]),
        }
        let mut own = vec![
            json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}),
        ];
        own.extend(
            pieces(&text, script.piece)
                .into_iter()
                .map(|piece| json!({"index": index, "function": {"arguments": piece}})),
        );
        call_pieces.push(own);
    }
    if script.usage_at == 2 {
        // Interleaved, all begun before any goes on.
        let longest = call_pieces.iter().map(Vec::len).max().unwrap_or(0);
        for round in 0..longest {
            let now: Vec<&Value> = call_pieces.iter().filter_map(|own| own.get(round)).collect();
            deltas.push(json!({ "tool_calls": now }));
        }
    } else {
        deltas.extend(call_pieces.iter().flatten().map(|piece| json!({"tool_calls": [piece]})));
    }
    let mut usage = json!({"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27});
    if let Some(cached) = script.cached {
        usage["prompt_tokens_details"] = json!({ "cached_tokens": cached });
    }
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt-x", "usage": usage,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
    });
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x",
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let choice =
        |delta: &Value, reason: Value| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let mut stream: String =
        deltas.iter().map(|delta| chunk(choice(delta, Value::Null), Value::Null)).collect();
    let with_finish = if script.usage_at == 0 { usage.clone() } else { Value::Null };
    stream.push_str(&chunk(choice(&json!({}), json!(reason)), with_finish));
    if script.usage_at != 0 {
        stream.push_str(&chunk(json!([]), usage));
    }
    stream.push_str("data: [DONE]\n\n");
    (whole.to_string(), stream)
}

/// The whole answer and the stream, as Bedrock sends them: most blocks begin with their first delta.
fn as_converse(script: &Script) -> (String, String) {
    let reason = ["end_turn", "max_tokens", "tool_use", "content_filtered"][script.finish];
    let mut content = Vec::new();
    let mut frames = vec![("messageStart", json!({"role": "assistant"}))];
    for part in &script.parts {
        let index = content.len();
        let (block, deltas): (Value, Vec<Value>) = match part {
            Spoken::Text(text) | Spoken::Refusal(text) => (
                json!({ "text": text }),
                pieces(text, script.piece).into_iter().map(|text| json!({ "text": text })).collect(),
            ),
            Spoken::Reasoning(text) => {
                let pieces = pieces(text, script.piece).into_iter();
                let mut deltas: Vec<Value> =
                    pieces.map(|text| json!({"reasoningContent": {"text": text}})).collect();
                deltas.push(json!({"reasoningContent": {"signature": "c2ln"}}));
                (json!({"reasoningContent": {"reasoningText": {"text": text, "signature": "c2ln"}}}), deltas)
            }
            Spoken::Call(id, name, arguments) => {
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                frames.push(("contentBlockStart", json!({"contentBlockIndex": index, "start": start})));
                let text = arguments.as_ref().map(Value::to_string).unwrap_or_default();
                let deltas = pieces(&text, script.piece).into_iter();
                let input = arguments.clone().unwrap_or(json!({}));
                (
                    json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}),
                    deltas.map(|piece| json!({"toolUse": {"input": piece}})).collect(),
                )
            }
        };
        content.push(block);
        for delta in deltas {
            let p = "abcdefgh".get(..frames.len() % 8).unwrap();
            frames.push(("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": p})));
        }
        frames.push(("contentBlockStop", json!({"contentBlockIndex": index})));
    }
    let mut usage =
        json!({"inputTokens": 11, "outputTokens": 7, "totalTokens": 18 + script.cached.unwrap_or(0)});
    if let Some(cached) = script.cached {
        usage["cacheReadInputTokens"] = json!(cached);
    }
    let metrics = json!({"latencyMs": 5});
    frames.push(("messageStop", json!({ "stopReason": reason })));
    frames.push(("metadata", json!({"usage": usage, "metrics": metrics})));
    let whole = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason, "usage": usage, "metrics": metrics,
    });
    let stream = frames.iter().map(|(name, payload)| format!("event: {name}\ndata: {payload}\n\n"));
    (whole.to_string(), stream.collect())
}

fn decoded(protocol: Protocol, whole: &str) -> Said {
    let raw = Raw::parse(whole, &ScanLimits::default()).unwrap();
    said(&adapter(protocol).decode_answer(raw).unwrap())
}

fn folded(protocol: Protocol, stream: &[u8]) -> Said {
    let (folder, end) = fold_stream(protocol, Framing::Sse, stream, 1 << 20);
    assert_eq!(end, Ok(()), "{}", String::from_utf8_lossy(stream));
    let answer = folder.answer();
    if answer.candidates.is_empty() {
        panic!("no candidate in {}", String::from_utf8_lossy(stream));
    }
    said(&answer)
}

fn laws(provider: Protocol, client: Protocol, whole: &str, stream: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(folded(provider, stream.as_bytes()), decoded(provider, whole), "the provider's own");

    let target = AnswerTarget::new("fallback-1", 1_700_000_000).model("asked-for");
    let translated = response(provider, client, whole, &target).unwrap();
    let bridged = run_text(&options(provider, client), stream);
    prop_assert!(bridged.end.is_complete());
    let translated_whole = std::str::from_utf8(&translated.value.0).unwrap();
    prop_assert_eq!(
        folded(client, &bridged.bytes),
        decoded(client, translated_whole),
        "\n{}\n{}",
        bridged.text(),
        translated_whole
    );

    let (facts, whole_facts) = (bridged.facts(), &translated.value.1);
    prop_assert_eq!(
        (&facts.id, &facts.model, &facts.finish),
        (&whole_facts.id, &whole_facts.model, &whole_facts.finish)
    );
    prop_assert_eq!(facts.usage, whole_facts.usage);
    prop_assert_eq!(&facts.service_tier, &whole_facts.service_tier);
    // The same things are lost, though a stream may report a thing once that a whole answer has twice.
    let kinds = |losses: &[weighbridge_units::Loss]| {
        let mut kinds: Vec<_> = losses.iter().map(|loss| (loss.kind, loss.reason.clone())).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    prop_assert_eq!(
        kinds(&facts.losses).len(),
        kinds(&translated.losses).len(),
        "{:?}\n{:?}",
        facts.losses,
        translated.losses
    );
    Ok(())
}

/// The whole answer and the stream, as the provider sends them.
fn sent(provider: Protocol, script: &Script) -> (String, String) {
    match provider {
        OpenAiChat => as_chat(script),
        AnthropicMessages => as_anthropic(script),
        OpenAiResponses => as_responses(script),
        GeminiGenerateContent => as_gemini(script),
        BedrockConverse => as_converse(script),
    }
}

proptest! {
    #[test]
    fn stream_equals_whole(script in script()) {
        for (provider, client) in pairs().filter(|(provider, client)| provider != client) {
            let (whole, stream) = sent(provider, &script);
            laws(provider, client, &whole, &stream)?;
        }
    }
}
