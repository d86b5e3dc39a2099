//! Laws that hold for every pair with Responses on one side, whatever comes in.

use proptest::prelude::*;
use weighbridge_stream::RelayOptions;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::Protocol::{self, OpenAiResponses};

use super::support::*;
use crate::support::*;

/// Events of Responses, whole and broken, sensible and not.
fn frame() -> impl Strategy<Value = String> {
    let index = 0_u32..3;
    let item = prop_oneof![
        Just(r#"{"id":"i","type":"message","status":"in_progress","role":"assistant","content":[]}"#.to_owned()),
        Just(message(0, "completed", &text("é😀"))),
        Just(message(0, "completed", r#"{"type":"refusal","refusal":"no"},{"type":"odd"}"#)),
        Just(call(0, "")),
        Just(call(0, r#"{\"a\":"#)),
        Just(r#"{"id":"c","type":"custom_tool_call","call_id":"c","name":"f","input":"x"}"#.to_owned()),
        Just(r#"{"id":"r","type":"reasoning","summary":[]}"#.to_owned()),
        Just(r#"{"id":"r","type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":"e"}"#.to_owned()),
        Just(r#"{"id":"g","type":"image_generation_call","status":"completed","result":"aGk="}"#.to_owned()),
        Just(r#"{"id":"w","type":"web_search_call","status":"completed"}"#.to_owned()),
        Just(r#"{"type":"function_call"}"#.to_owned()),
        Just("7".to_owned()),
    ];
    let grown = prop_oneof![
        Just(("content_part.added", format!(r#""part":{}"#, text("")))),
        Just(("content_part.added", r#""part":{"type":"refusal","refusal":""}"#.to_owned())),
        Just(("content_part.done", format!(r#""part":{}"#, text("whole")))),
        Just((
            "output_text.delta",
            r#""delta":"é😀","logprobs":[{"token":"é","logprob":-1,"bytes":[1],"top_logprobs":[]}]"#
                .to_owned()
        )),
        Just(("output_text.delta", r#""delta":"half \ud83d""#.to_owned())),
        Just(("output_text.delta", r#""delta":7"#.to_owned())),
        Just((
            "output_text.annotation.added",
            r#""annotation_index":0,"annotation":{"type":"url_citation","url":"u"}"#.to_owned()
        )),
        Just(("output_text.done", r#""text":"whole""#.to_owned())),
        Just(("refusal.delta", r#""delta":"no""#.to_owned())),
        Just(("function_call_arguments.delta", r#""delta":"{\"a\":""#.to_owned())),
        Just(("custom_tool_call_input.delta", r#""delta":"x""#.to_owned())),
        Just(("reasoning_text.delta", r#""delta":"hm""#.to_owned())),
        (0_u32..3).prop_map(|piece| (
            "reasoning_summary_text.delta",
            format!(r#""summary_index":{piece},"delta":"s""#)
        )),
        Just(("web_search_call.searching", r#""odd":[1]"#.to_owned())),
        Just(("brand_new.delta", r#""odd":[1]"#.to_owned())),
    ];
    let part = 0_u32..3;
    prop_oneof![
        1 => Just(created()),
        1 => Just(in_progress()),
        1 => Just(completed("")),
        1 => Just(completed(&call(0, "{}"))),
        1 => Just(completed("").replace("completed", "incomplete")),
        1 => Just(r#"{"type":"error","message":"no"}"#.to_owned()),
        1 => Just(r#"{"type":"keepalive"}"#.to_owned()),
        1 => Just(r#"{"type":"response.completed"}"#.to_owned()),
        4 => (index.clone(), item.clone()).prop_map(|(index, item)| added(index, &item)),
        4 => (index.clone(), item).prop_map(|(index, item)| done(index, &item)),
        6 => (index, part, grown).prop_map(|(index, part, (kind, more))| {
            about(index, kind, &more).replace("\"content_index\":0", &format!("\"content_index\":{part}"))
        }),
    ]
    .prop_map(|event| {
        let kind =
            event.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    })
}

/// A stream that makes sense, with a few frames of another put in, or nothing but such frames; perhaps cut.
fn own_stream() -> impl Strategy<Value = Vec<u8>> {
    let sensible = stream(&[
        &created(),
        &in_progress(),
        &added(0, &message(0, "in_progress", "")),
        &about(0, "output_text.delta", r#""delta":"Hi""#),
        &done(0, &message(0, "completed", &text("Hi"))),
        &completed(""),
    ]);
    let mixed = prop::collection::vec((any::<prop::sample::Index>(), frame()), 0..6).prop_map(move |extra| {
        let mut frames: Vec<String> = sensible.split_inclusive("\n\n").map(str::to_owned).collect();
        for (place, frame) in extra {
            frames.insert(place.index(frames.len() + 1), frame);
        }
        frames.concat()
    });
    let random = prop::collection::vec(frame(), 0..25).prop_map(|frames| frames.concat());
    (prop_oneof![2 => mixed, 1 => random], 0_usize..40).prop_map(|(stream, cut)| {
        let mut bytes = stream.into_bytes();
        if cut > 20 {
            bytes.truncate(bytes.len().saturating_sub(cut - 20));
        }
        bytes
    })
}

/// A provider's stream, of this protocol or of another.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => own_stream(), 1 => crate::laws::stream()]
}

/// Pairs with Responses on one side at least.
fn pairs() -> impl Iterator<Item = RelayOptions<'static>> {
    let all = [OpenAiResponses, OpenAiChat, AnthropicMessages];
    let pairs = all.into_iter().flat_map(move |provider| all.map(|client| (provider, client)));
    pairs
        .filter(|(provider, client)| *provider == OpenAiResponses || *client == OpenAiResponses)
        .map(|(provider, client)| options(provider, client))
}

fn terminal(protocol: Protocol, stream: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stream);
    let markers: &[&str] = match protocol {
        OpenAiResponses => &["response.completed", "response.incomplete"],
        OpenAiChat => &["[DONE]"],
        _ => &["message_stop"],
    };
    markers.iter().any(|marker| text.contains(marker))
}

proptest! {
    #[test]
    fn any_cut_of_the_same_bytes_gives_the_same_bytes(
        stream in any_stream(),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for options in pairs() {
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
    fn every_bridges_output_obeys_the_clients_grammar(stream in any_stream(), lost in any::<bool>()) {
        for options in pairs().filter(|options| options.provider != options.client) {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
            prop_assert_eq!(check(options.client, &ran.bytes), Ok(expected), "{}", String::from_utf8_lossy(&ran.bytes));
        }
    }

    #[test]
    fn what_did_not_end_well_never_looks_as_if_it_had(stream in any_stream(), lost in any::<bool>()) {
        for options in pairs() {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            if ran.end.is_complete() {
                prop_assert!(terminal(options.provider, &stream) || !lost);
            } else if options.provider != options.client {
                prop_assert!(!terminal(options.client, &ran.bytes));
            }
        }
    }

    /// As far as items begin before their pieces come.
    #[test]
    fn what_passes_and_what_is_bridged_is_weighed_alike(
        events in prop::collection::vec(frame().prop_filter("pieces", |frame| !frame.contains("content_index")), 0..8),
    ) {
        let stream = format!("{}{}", stream(&[&created(), &in_progress()]), events.concat());
        let passed = run_text(&options(OpenAiResponses, OpenAiResponses), &stream);
        let bridged = run_text(&options(OpenAiResponses, OpenAiChat), &stream);
        if bridged.end.is_complete() && passed.end.is_complete() {
            prop_assert_eq!(passed.facts().usage, bridged.facts().usage);
            prop_assert_eq!(&passed.facts().finish, &bridged.facts().finish);
        }
    }
}
