//! What the laws over all pairs generate of Responses, and a law of its own.

use proptest::prelude::*;

use super::support::*;
use crate::support::*;

/// Events of Responses, whole and broken, sensible and not.
pub(crate) fn event() -> impl Strategy<Value = String> {
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

/// A stream that makes sense.
pub(crate) fn sensible() -> String {
    stream(&[
        &created(),
        &in_progress(),
        &added(0, &message(0, "in_progress", "")),
        &about(0, "output_text.delta", r#""delta":"Hi""#),
        &done(0, &message(0, "completed", &text("Hi"))),
        &completed(""),
    ])
}

proptest! {
    /// As far as items begin before their pieces come.
    #[test]
    fn what_passes_and_what_is_bridged_is_weighed_alike(
        events in prop::collection::vec(event().prop_filter("pieces", |frame| !frame.contains("content_index")), 0..8),
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
