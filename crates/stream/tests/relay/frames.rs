//! Generated streams of every protocol.

use proptest::prelude::*;
use weighbridge_units::Protocol;

use crate::support::*;
use crate::{gemini, responses};

/// Chunks of Chat Completions, whole and broken, sensible and not.
fn chunk() -> impl Strategy<Value = String> {
    let choices = prop_oneof![
        Just(delta(r#"{"role":"assistant","content":""}"#)),
        Just(delta(r#"{"content":"é😀\n\ud83d\ude00"}"#)),
        Just(delta(r#"{"content":"half \ud83d"}"#)),
        Just(delta(r#"{"refusal":"no"}"#)),
        Just(delta(r#"{"reasoning_content":"hm","annotations":[1]}"#)),
        Just(delta(r#"{"content":[{"type":"text","text":"t"},{"type":"odd"}]}"#)),
        Just("[]".to_owned()),
        Just(finish("stop")),
        Just(finish("tool_calls")),
        Just(finish("eos")),
        Just(r#"[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]"#.to_owned()),
        (0_u32..3, "(\\{\\}|\\{|\\}|1| )?", prop::option::of("[ab:]"), any::<bool>()).prop_map(
            |(index, arguments, id, named)| {
                let id = id.map_or(String::new(), |id| format!(r#""id":"{id}","#));
                let name = if named { r#""name":"f","# } else { "" };
                delta(&format!(
                    r#"{{"tool_calls":[{{"index":{index},{id}"function":{{{name}"arguments":"{arguments}"}}}}]}}"#
                ))
            }
        ),
    ];
    (
        choices,
        prop_oneof![
            3 => Just(""),
            1 => Just(r#","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}"#),
            1 => Just(r#","usage":null,"obfuscation":"x","system_fingerprint":"fp""#),
            1 => Just(r#","service_tier":"default","odd":{"a":[]}"#),
        ],
    )
        .prop_map(|(choices, more)| chat_chunk(&choices, more))
}

/// Events of Messages.
fn message_event() -> impl Strategy<Value = String> {
    let index = 0_u32..3;
    prop_oneof![
        2 => Just(MESSAGE_START.to_owned()),
        1 => Just(MESSAGE_DELTA.to_owned()),
        1 => Just(MESSAGE_STOP.to_owned()),
        1 => Just(r#"{"type":"ping"}"#.to_owned()),
        1 => Just(r#"{"type":"odd"}"#.to_owned()),
        3 => (index.clone(), prop_oneof![
            Just(TEXT_BLOCK),
            Just(r#"{"type":"thinking","thinking":"","signature":""}"#),
            Just(r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{}}"#),
            Just(r#"{"type":"tool_use","id":"a:b","name":"f","input":{"a":1}}"#),
            Just(r#"{"type":"web_search_tool_result","content":[]}"#),
        ])
            .prop_map(|(index, block)| block_start(index, block)),
        3 => (index.clone(), prop_oneof![
            Just(r#"{"type":"text_delta","text":"é😀"}"#),
            Just(r#"{"type":"input_json_delta","partial_json":"{\"a\":"}"#),
            Just(r#"{"type":"thinking_delta","thinking":"hm"}"#),
            Just(r#"{"type":"signature_delta","signature":"s"}"#),
            Just(r#"{"type":"odd_delta"}"#),
        ])
            .prop_map(|(index, delta)| block_delta(index, delta)),
        2 => index.prop_map(block_stop),
    ]
    .prop_map(|event| anthropic(&[&event]))
}

/// Frames of Converse.
fn converse_frame() -> impl Strategy<Value = String> {
    let index = 0_u32..3;
    let blocks = prop_oneof![
        2 => (index.clone(), prop_oneof![
            Just(r#"{"toolUse":{"toolUseId":"tooluse_1","name":"f"}}"#),
            Just(r#"{"toolUse":{"toolUseId":"a:b","name":"a.b","type":"tool_use"}}"#),
            Just(r#"{"toolUse":{"toolUseId":"s","name":"nova_grounding","type":"server_tool_use"}}"#),
            Just(r#"{"image":{"format":"png"}}"#),
            Just(r#"{"hologram":{}}"#),
            Just("{}"),
        ])
            .prop_map(|(index, start)| ("contentBlockStart", format!(r#"{{"contentBlockIndex":{index},"start":{start}}}"#))),
        5 => (index.clone(), prop_oneof![
            Just(r#"{"text":"é😀\ud83d\ude00"}"#),
            Just(r#"{"text":""}"#),
            Just(r#"{"text":"half \ud83d"}"#),
            Just(r#"{"toolUse":{"input":"{\"a\":"}}"#),
            Just(r#"{"reasoningContent":{"text":"hm"}}"#),
            Just(r#"{"reasoningContent":{"signature":"s"}}"#),
            Just(r#"{"reasoningContent":{"redactedContent":"RXZnRg=="}}"#),
            Just(r#"{"citation":{"title":"t","location":{"web":{"url":"https://example.com"}}}}"#),
            Just(r#"{"citation":7}"#),
            Just(r#"{"image":{"source":{"bytes":"aGk="}}}"#),
            Just(r#"{"toolResult":[{"text":"x"}]}"#),
            Just(r#"{"odd":1}"#),
            Just("{}"),
        ])
            .prop_map(|(index, delta)| ("contentBlockDelta", format!(r#"{{"contentBlockIndex":{index},"delta":{delta},"p":"a"}}"#))),
        2 => index.prop_map(|index| ("contentBlockStop", format!(r#"{{"contentBlockIndex":{index}}}"#))),
    ];
    prop_oneof![
        2 => Just((CONVERSE_START.0, CONVERSE_START.1.to_owned())),
        1 => Just((CONVERSE_STOP.0, CONVERSE_STOP.1.to_owned())),
        1 => Just((CONVERSE_METADATA.0, CONVERSE_METADATA.1.to_owned())),
        1 => Just(("odd", "{}".to_owned())),
        1 => Just(("throttlingException", r#"{"message":"no"}"#.to_owned())),
        8 => blocks,
    ]
    .prop_map(|(name, payload)| converse(&[(name, &payload)]))
}

/// What any stream may have in it.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        Just("data: [DONE]\n\n"),
        Just(": alive\n\n"),
        Just("data: {\n\n"),
        Just("data: {\"error\":{\"message\":\"no\"}}\n\n"),
        Just(
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"no\"}}\n\n"
        ),
        Just("id: 1\nretry: 5\ndata: {}\r\n\r\n"),
        Just("data: "),
        Just("\n"),
    ];
    prop_oneof![
        1 => frame.prop_map(|frame| frame.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn frame(protocol: Protocol) -> BoxedStrategy<Vec<u8>> {
    let own = match protocol {
        OpenAiChat => chunk().boxed(),
        AnthropicMessages => message_event().boxed(),
        OpenAiResponses => responses::laws::event().boxed(),
        GeminiGenerateContent => gemini::chunk().boxed(),
        BedrockConverse => converse_frame().boxed(),
    };
    prop_oneof![6 => own.prop_map(String::into_bytes), 1 => odd()].boxed()
}

/// A stream that makes sense.
pub(crate) fn sensible(protocol: Protocol) -> String {
    match protocol {
        OpenAiChat => chat(&[
            &delta(r#"{"role":"assistant","content":""}"#),
            &delta(r#"{"content":"Hi"}"#),
            &finish("stop"),
        ]),
        AnthropicMessages => anthropic(&[
            MESSAGE_START,
            &block_start(0, TEXT_BLOCK),
            &block_delta(0, &text_delta("Hi")),
            &block_stop(0),
            MESSAGE_DELTA,
            MESSAGE_STOP,
        ]),
        OpenAiResponses => responses::laws::sensible(),
        GeminiGenerateContent => gemini::sensible(),
        BedrockConverse => converse(&[
            CONVERSE_START,
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"a"}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            CONVERSE_STOP,
            CONVERSE_METADATA,
        ]),
    }
}

/// A stream that makes sense, with a few frames put in, or nothing but frames; perhaps cut.
fn stream_of(protocol: Protocol) -> BoxedStrategy<Vec<u8>> {
    let extra = prop::collection::vec((any::<prop::sample::Index>(), frame(protocol)), 0..6);
    let mixed = extra.prop_map(move |extra| {
        let stream = sensible(protocol).replace("\r\n", "\n");
        let mut frames: Vec<Vec<u8>> =
            stream.split_inclusive("\n\n").map(|frame| frame.as_bytes().to_vec()).collect();
        for (place, frame) in extra {
            frames.insert(place.index(frames.len() + 1), frame);
        }
        frames.concat()
    });
    let random = prop::collection::vec(frame(protocol), 0..25).prop_map(|frames| frames.concat());
    (prop_oneof![2 => mixed, 1 => random], 0_usize..40)
        .prop_map(|(mut stream, cut)| {
            if cut > 20 {
                stream.truncate(stream.len().saturating_sub(cut - 20));
            }
            stream
        })
        .boxed()
}

/// A provider's protocol and what it sends: now and then, frames of another.
pub(crate) fn sent() -> impl Strategy<Value = (Protocol, Vec<u8>)> {
    let protocol = || prop::sample::select(&Protocol::ALL[..]);
    prop_oneof![
        5 => protocol().prop_flat_map(|provider| (Just(provider), stream_of(provider))),
        1 => (protocol(), protocol()).prop_flat_map(|(provider, other)| (Just(provider), stream_of(other))),
    ]
}
