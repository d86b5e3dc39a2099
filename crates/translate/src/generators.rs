//! Generators of canonical conversations and answers, for the laws.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_units::{Bucket, Protocol, Usage};

use crate::conversation::{
    CallKind, Image, MediaSource, Proof, Reasoning, Sampling, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult,
};
use crate::{Answer, Candidate, Content, Conversation, FinishReason, Message, Part, Place, Placed, Role};

/// A value that lives as long as the test run.
pub(crate) fn raw(text: impl Into<String>) -> Raw<'static> {
    Raw::parse(Box::leak(text.into().into_boxed_str()), &ScanLimits::default()).unwrap()
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof!["[a-z ]{1,8}[a-z]", "\\PC{1,6}", Just("\"quoted\"\n\\ \u{1}é😀".to_owned())]
        .prop_map(Cow::Owned)
}

fn id() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof!["call_[a-zA-Z0-9]{4}", "functions\\.[a-z]{2}:[0-9]", "wb-[a-z_]{3}", "\\PC{1,4}"]
        .prop_map(Cow::Owned)
}

fn arguments() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![
        4 => Just(r#"{"b":1.0,"a":{"n":1e3},"b2":"\u00e9"}"#),
        1 => Just("{}"),
        1 => Just(""),
        1 => Just("{\"cut\": \"of"),
        1 => Just("[1]"),
    ]
    .prop_map(Cow::Borrowed)
}

fn image() -> impl Strategy<Value = Content<'static>> {
    let base64 = Just(MediaSource::Base64 { media_type: "image/png".into(), data: "aGk=".into() });
    let source = prop_oneof![base64, Just(MediaSource::url("https://example.com/a.png"))];
    (source, option::weighted(0.2, Just(Placed::nowhere(Cow::Borrowed("low")))))
        .prop_map(|(source, detail)| Content::Image(Image { source, detail }))
}

fn part(content: Content<'static>) -> Part<'static> {
    Part::new(Place::NOWHERE, content)
}

fn texts(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Part<'static>>> {
    vec(text().prop_map(|text| part(Content::Text(text.into()))), count)
}

fn tool_call() -> impl Strategy<Value = Part<'static>> {
    (id(), "[a-z_]{1,5}", arguments()).prop_map(|(id, name, arguments)| {
        part(Content::ToolCall(ToolCall { id, name: name.into(), arguments, kind: CallKind::Function }))
    })
}

fn tool_result() -> impl Strategy<Value = Part<'static>> {
    (id(), texts(0..3), option::weighted(0.1, image()), prop::bool::weighted(0.1)).prop_map(
        |(call_id, mut parts, image, is_error)| {
            parts.extend(image.map(part));
            part(Content::ToolResult(ToolResult { call_id, name: None, parts, is_error }))
        },
    )
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let user =
        vec(prop_oneof![text().prop_map(|text| Content::Text(text.into())), image()].prop_map(part), 1..4);
    let results = (vec(tool_result(), 1..3), texts(0..2));
    let reasoning = (text(), option::of(text())).prop_map(|(text, signature)| {
        let proof = signature.map(|data| Proof::signature(Proof::ANTHROPIC, data));
        part(Content::Reasoning(Reasoning { text, proof, ..Reasoning::default() }))
    });
    let refusal = text().prop_map(|text| part(Content::Refusal(text)));
    let assistant = (
        option::weighted(0.1, reasoning),
        texts(0..3),
        option::weighted(0.1, refusal),
        vec(tool_call(), 0..3),
        option::weighted(0.1, text().prop_map(|text| part(Content::Text(text.into())))),
    );
    prop_oneof![
        1 => texts(1..3).prop_map(|parts| (Role::System, parts)),
        1 => texts(1..3).prop_map(|parts| (Role::Developer, parts)),
        3 => user.prop_map(|parts| (Role::User, parts)),
        2 => results.prop_map(|(results, texts)| (Role::User, [results, texts].concat())),
        3 => assistant.prop_map(|(reasoning, texts, refusal, calls, late)| {
            let parts = reasoning.into_iter().chain(texts).chain(refusal).chain(calls).chain(late).collect();
            (Role::Assistant, parts)
        }),
    ]
    .prop_map(|(role, parts)| Message::new(Place::NOWHERE, role, parts))
}

fn tool() -> impl Strategy<Value = Tool<'static>> {
    let schema = r#"{"type":"object","properties":{"z":{"type":"number","minimum":1.50},"a":{}}}"#;
    ("[a-z]{1,6}", option::of(text()), option::of(Just(schema)), option::of(any::<bool>())).prop_map(
        |(name, description, schema, strict)| Tool {
            place: Place::NOWHERE,
            kind: ToolKind::Function {
                name: name.into(),
                description,
                parameters: schema.map(|text| raw(text).into()),
                strict,
            },
            cache: None,
            bag: Bag::EMPTY,
        },
    )
}

fn bag() -> impl Strategy<Value = Bag<'static>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(r#"{"odd":[1.0]}"#))].prop_map(|value| {
        let mut bag = Bag::EMPTY;
        if let Some(value) = value {
            bag.push("x_own", raw(value));
        }
        bag
    })
}

fn placed<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Placed<'static, T>>> {
    option::of(strategy.prop_map(Placed::nowhere))
}

pub(crate) fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(Protocol::ALL.to_vec())
}

pub(crate) fn conversation() -> impl Strategy<Value = Conversation<'static>> {
    let number = || prop::sample::select(vec!["0", "0.70", "1", "1.0", "1e-1", "1.5"]).prop_map(raw);
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        "[a-z]{1,4}".prop_map(|name| ToolChoice::Named(name.into())),
    ];
    let how = (
        placed(any::<bool>()),
        vec(text().prop_map(Placed::nowhere), 0..6),
        option::of(number()),
        option::of(number()),
        option::weighted(0.8, (0_u64..100_000).prop_map(Placed::nowhere)),
        option::weighted(0.2, (1_u64..4).prop_map(Placed::nowhere)),
        placed(text()),
        any::<bool>(),
    );
    (protocol(), vec(message(), 0..6), vec(tool(), 0..3), option::of(choice), how, bag()).prop_map(
        |(source, messages, tools, tool_choice, how, bag)| {
            let (parallel_tool_calls, stop, temperature, top_p, max_output, candidates, end_user, stream) =
                how;
            Conversation {
                model: "m".into(),
                messages,
                tools,
                tool_choice: tool_choice.map(Placed::nowhere),
                parallel_tool_calls,
                stop,
                sampling: Sampling { temperature, top_p, ..Sampling::NONE },
                max_output,
                candidates,
                end_user,
                stream,
                bag,
                ..Conversation::new(source)
            }
        },
    )
}

pub(crate) fn finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        option::of("[a-z]{1,3}").prop_map(FinishReason::StopSequence),
        Just(FinishReason::Length),
        Just(FinishReason::ContextFull),
        Just(FinishReason::ToolCalls),
        Just(FinishReason::ContentFilter),
        Just(FinishReason::Refusal),
        Just(FinishReason::Pause),
        Just(FinishReason::MalformedCall),
        "[a-z]{1,5}x".prop_map(FinishReason::Other),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    vec(option::of(0_u64..1 << 40), Bucket::ALL.len()).prop_map(|counts| {
        let told = Bucket::ALL.into_iter().zip(counts).filter_map(|(bucket, count)| Some((bucket, count?)));
        told.fold(Usage::new().with(Bucket::Input, 0).with(Bucket::Output, 0), |usage, (b, n)| {
            usage.with(b, n)
        })
    })
}

fn candidate() -> impl Strategy<Value = Candidate<'static>> {
    let refusal = text().prop_map(|text| part(Content::Refusal(text)));
    let parts = (texts(0..3), option::weighted(0.1, refusal), vec(tool_call(), 0..3))
        .prop_map(|(texts, refusal, calls)| texts.into_iter().chain(refusal).chain(calls).collect());
    (parts, option::weighted(0.9, finish())).prop_map(|(parts, finish)| Candidate {
        parts,
        finish,
        ..Candidate::new(Place::NOWHERE)
    })
}

pub(crate) fn answer() -> impl Strategy<Value = Answer<'static>> {
    let candidates = prop_oneof![9 => vec(candidate(), 1), 1 => vec(candidate(), 2..4)];
    (protocol(), option::of(id()), candidates, option::weighted(0.9, usage()), bag()).prop_map(
        |(source, id, candidates, usage, bag)| Answer {
            id,
            model: Some("m".into()),
            created: Some(1_700_000_000),
            candidates,
            usage,
            bag,
            ..Answer::new(source)
        },
    )
}
