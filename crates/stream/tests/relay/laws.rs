//! Laws that hold for every pair, whatever comes in.

use proptest::prelude::*;
use weighbridge_stream::RelayOptions;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::Protocol;

use crate::support::*;

/// Frames of both protocols, whole and broken, sensible and not.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let chat = prop_oneof![
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
    let chat = (
        chat,
        prop_oneof![
            3 => Just(""),
            1 => Just(r#","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}"#),
            1 => Just(r#","usage":null,"obfuscation":"x","system_fingerprint":"fp""#),
            1 => Just(r#","service_tier":"default","odd":{"a":[]}"#),
        ],
    )
        .prop_map(|(choices, more)| chat_chunk(&choices, more));
    let index = 0_u32..3;
    let messages = prop_oneof![
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
    .prop_map(|event| anthropic(&[&event]));
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
    let converse_frames = prop_oneof![
        2 => Just((CONVERSE_START.0, CONVERSE_START.1.to_owned())),
        1 => Just((CONVERSE_STOP.0, CONVERSE_STOP.1.to_owned())),
        1 => Just((CONVERSE_METADATA.0, CONVERSE_METADATA.1.to_owned())),
        1 => Just(("odd", "{}".to_owned())),
        1 => Just(("throttlingException", r#"{"message":"no"}"#.to_owned())),
        8 => blocks,
    ]
    .prop_map(|(name, payload)| converse(&[(name, &payload)]));
    let odd = prop_oneof![
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
        6 => chat.prop_map(String::into_bytes),
        6 => messages.prop_map(String::into_bytes),
        6 => converse_frames.prop_map(String::into_bytes),
        1 => odd.prop_map(|frame| frame.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

/// A stream that makes sense, with a few frames of another put in, left out or cut.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let sensible = prop_oneof![
        Just(chat(&[
            &delta(r#"{"role":"assistant","content":""}"#),
            &delta(r#"{"content":"Hi"}"#),
            &finish("stop")
        ])),
        Just(anthropic(&[
            MESSAGE_START,
            &block_start(0, TEXT_BLOCK),
            &block_delta(0, &text_delta("Hi")),
            &block_stop(0),
            MESSAGE_DELTA,
            MESSAGE_STOP,
        ])),
        Just(converse(&[
            CONVERSE_START,
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"a"}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            CONVERSE_STOP,
            CONVERSE_METADATA,
        ])),
    ];
    let mixed = (sensible, prop::collection::vec((any::<prop::sample::Index>(), frame()), 0..6), 0_usize..40)
        .prop_map(|(stream, extra, cut)| {
            let mut frames: Vec<Vec<u8>> =
                stream.split_inclusive("\n\n").map(|frame| frame.as_bytes().to_vec()).collect();
            for (place, frame) in extra {
                frames.insert(place.index(frames.len() + 1), frame);
            }
            let mut stream = frames.concat();
            if cut > 20 {
                stream.truncate(stream.len().saturating_sub(cut - 20));
            }
            stream
        });
    prop_oneof![2 => mixed, 1 => prop::collection::vec(frame(), 0..25).prop_map(|frames| frames.concat())]
}

fn all_options() -> impl Iterator<Item = RelayOptions<'static>> {
    PAIRS.into_iter().flat_map(|(provider, client)| {
        [true, false].map(|choice| RelayOptions {
            hide_usage: choice,
            show_usage: choice,
            ..options(provider, client)
        })
    })
}

fn terminal(protocol: Protocol, stream: &[u8]) -> bool {
    let marker = match protocol {
        OpenAiChat => "[DONE]",
        BedrockConverse => "event: metadata",
        _ => "message_stop",
    };
    String::from_utf8_lossy(stream).contains(marker)
}

proptest! {
    #[test]
    fn any_cut_of_the_same_bytes_gives_the_same_bytes(
        stream in stream(),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for options in all_options() {
            let whole = run(&options, [stream.as_slice()]);
            for pieces in [cut(&stream, &sizes), cut(&stream, &[1])] {
                let ran = run(&options, pieces);
                // Behind the end the pipeline stops reading, at the end of a piece.
                let (whole_bytes, bytes) = match options.provider == options.client && whole.end.is_complete() {
                    true => (&whole.bytes[..ran.bytes.len().min(whole.bytes.len())], ran.bytes.as_slice()),
                    false => (whole.bytes.as_slice(), ran.bytes.as_slice()),
                };
                prop_assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(whole_bytes));
                prop_assert_eq!(ran.end.is_complete(), whole.end.is_complete());
                prop_assert_eq!(ran.facts().usage, whole.facts().usage);
                prop_assert_eq!(&ran.facts().finish, &whole.facts().finish);
            }
        }
    }

    #[test]
    fn every_bridges_output_obeys_the_clients_grammar(stream in stream(), lost in any::<bool>()) {
        for options in all_options().filter(|options| options.provider != options.client) {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
            prop_assert_eq!(check(options.client, &ran.bytes), Ok(expected), "{}", String::from_utf8_lossy(&ran.bytes));
        }
    }

    #[test]
    fn what_did_not_end_well_never_looks_as_if_it_had(stream in stream(), lost in any::<bool>()) {
        for options in all_options() {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            if ran.end.is_complete() {
                prop_assert!(terminal(options.provider, &stream) || !lost);
            } else if options.provider != options.client {
                prop_assert!(!terminal(options.client, &ran.bytes));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_break_and_never_panic(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for options in all_options() {
            let ran = run(&options, cut(&stream, &sizes));
            prop_assert!(!ran.end.is_complete());
        }
    }
}
