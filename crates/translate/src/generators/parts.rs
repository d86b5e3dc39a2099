//! Generators of messages and of what they consist of.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::Bag;

use super::{raw, text};
use crate::conversation::{
    Audio, CacheMark, CacheTtl, CallKind, Citation, CitationSource, Document, DocumentSource, DocumentSpan,
    Image, JsonText, MediaSource, Proof, ProofKind, Reasoning, Span, Text, ToolCall, ToolResult, Video,
};
use crate::{Content, Message, Part, Place, Placed, Role};

pub(super) fn part(content: Content<'static>) -> Part<'static> {
    Part::new(Place::NOWHERE, content)
}

/// A feature that few things have: so that enough of what is generated has one of them only.
pub(super) fn rarely<T: std::fmt::Debug + Clone>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::weighted(0.05, strategy)
}

pub(super) fn mark() -> impl Strategy<Value = Option<Placed<'static, CacheMark>>> {
    let ttl = option::of(prop::sample::select(CacheTtl::ALL.to_vec()));
    rarely(ttl.prop_map(|ttl| Placed::nowhere(CacheMark { ttl })))
}

pub(super) fn id() -> impl Strategy<Value = Cow<'static, str>> {
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

fn base64(media_type: &'static str) -> MediaSource<'static> {
    MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() }
}

pub(super) fn image() -> impl Strategy<Value = Content<'static>> {
    let source = prop_oneof![
        5 => Just(base64("image/png")),
        5 => Just(MediaSource::url("https://example.com/a.png")),
        1 => Just(base64("image/tiff")),
        1 => Just(MediaSource::File { id: "file_1".into() }),
    ];
    (source, option::weighted(0.2, Just(Placed::nowhere(Cow::Borrowed("low")))))
        .prop_map(|(source, detail)| Content::Image(Image { source, detail }))
}

fn audio() -> impl Strategy<Value = Content<'static>> {
    let format = prop::sample::select(vec!["audio/wav", "audio/mpeg", "audio/flac"]);
    (format, option::weighted(0.3, text()))
        .prop_map(|(format, transcript)| Content::Audio(Audio { transcript, ..Audio::new(base64(format)) }))
}

fn document() -> impl Strategy<Value = Content<'static>> {
    let parts = vec(text().prop_map(|text| part(Content::Text(text.into()))), 1..3);
    let source = prop_oneof![
        4 => Just(DocumentSource::Media(base64("application/pdf"))),
        1 => Just(DocumentSource::Media(base64("text/plain"))),
        1 => Just(DocumentSource::Media(MediaSource::url("https://example.com/a.pdf"))),
        1 => Just(DocumentSource::Media(MediaSource::File { id: "file_2".into() })),
        1 => text().prop_map(DocumentSource::Text),
        1 => parts.prop_map(DocumentSource::Parts),
    ];
    let said = |weight: f64| option::weighted(weight, "[a-z]{1,4}\\.pdf".prop_map(Cow::Owned));
    (source, said(0.5), said(0.1), option::weighted(0.1, any::<bool>())).prop_map(
        |(source, title, context, citations)| {
            Content::Document(Document {
                source,
                title,
                context: context.map(Placed::nowhere),
                citations: citations.map(Placed::nowhere),
            })
        },
    )
}

/// What the user sends besides text.
fn media() -> impl Strategy<Value = Content<'static>> {
    let video = Just(Content::Video(Video { source: MediaSource::url("https://example.com/a.mp4") }));
    prop_oneof![6 => image(), 1 => audio(), 2 => document(), 1 => video]
}

pub(super) fn texts(
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Part<'static>>> {
    let one = (text(), mark()).prop_map(|(text, cache)| Part { cache, ..part(Content::Text(text.into())) });
    vec(one, count)
}

pub(super) fn tool_call() -> impl Strategy<Value = Part<'static>> {
    let function = ("[a-z_]{1,5}", arguments()).prop_map(|(name, text)| (name, text, CallKind::Function));
    let custom = ("[a-z_]{1,5}", text()).prop_map(|(name, text)| (name, text, CallKind::Custom));
    (id(), prop_oneof![9 => function, 1 => custom]).prop_map(|(id, (name, arguments, kind))| {
        part(Content::ToolCall(ToolCall { id, name: name.into(), arguments, kind }))
    })
}

fn tool_result() -> impl Strategy<Value = Part<'static>> {
    let json = Just(Content::Json(JsonText::from(raw(r#"{"a":[1.0]}"#))));
    let more = option::weighted(0.1, prop_oneof![4 => image(), 1 => document(), 2 => json]);
    (id(), texts(0..3), more, prop::bool::weighted(0.1)).prop_map(|(call_id, mut parts, more, is_error)| {
        parts.extend(more.map(part));
        part(Content::ToolResult(ToolResult { call_id, name: None, parts, is_error }))
    })
}

pub(super) fn proof() -> impl Strategy<Value = Proof<'static>> {
    let of = |format: &'static str, kind| {
        "[a-zA-Z0-9+/]{1,8}={0,2}".prop_map(move |data| Proof {
            format: format.into(),
            kind,
            data: data.into(),
        })
    };
    prop_oneof![
        4 => of(Proof::ANTHROPIC, ProofKind::Signature),
        1 => of(Proof::ANTHROPIC, ProofKind::Sealed),
        2 => of(Proof::OPENAI, ProofKind::Sealed),
        2 => of(Proof::GEMINI, ProofKind::Signature),
    ]
}

/// Reasoning as providers give it: a text that may be signed, a sealed one, a summary of one.
pub(super) fn reasoning() -> impl Strategy<Value = Part<'static>> {
    let plain = (text(), option::of(proof())).prop_map(|(text, proof)| Reasoning {
        text,
        proof: proof.filter(|proof| proof.kind == ProofKind::Signature),
        ..Reasoning::default()
    });
    let sealed = proof().prop_map(|proof| Reasoning { proof: Some(proof), ..Reasoning::default() });
    let summary =
        (vec(text(), 1..3), "rs_[0-9]{1,3}", "[a-z]{1,5}").prop_map(|(summary, id, data)| Reasoning {
            id: Some(id.into()),
            summary,
            proof: Some(Proof::sealed(Proof::OPENAI, data)),
            ..Reasoning::default()
        });
    prop_oneof![4 => plain, 1 => sealed, 1 => summary].prop_map(|said| part(Content::Reasoning(said)))
}

fn citation() -> impl Strategy<Value = Citation<'static>> {
    let span = Span { start: 0, end: 1 };
    let document = prop::sample::select(vec![
        DocumentSpan::Characters(span),
        DocumentSpan::Pages(Span { start: 1, end: 2 }),
        DocumentSpan::Blocks(span),
    ])
    .prop_map(|span| CitationSource::Document { index: Some(0), file: None, span: Some(span) });
    let source = prop_oneof![
        3 => Just(CitationSource::Url("https://example.com/".into())),
        1 => document,
    ];
    (option::of(Just(span)), option::of(text()), option::of(text()), source).prop_map(
        |(span, title, quoted, source)| Citation {
            place: Place::NOWHERE,
            span,
            title,
            quoted,
            source,
            bag: Bag::EMPTY,
        },
    )
}

/// Texts of which some name their sources.
pub(super) fn cited_texts() -> impl Strategy<Value = Vec<Part<'static>>> {
    vec((text(), rarely(vec(citation(), 1..3))), 0..3).prop_map(|texts| {
        let text = |(text, citations): (Cow<'static, str>, Option<Vec<_>>)| {
            part(Content::Text(Text { text, citations: citations.unwrap_or_default() }))
        };
        texts.into_iter().map(text).collect()
    })
}

pub(super) fn refusal() -> impl Strategy<Value = Option<Part<'static>>> {
    option::weighted(0.1, text().prop_map(|text| part(Content::Refusal(text))))
}

pub(super) fn message() -> impl Strategy<Value = Message<'static>> {
    let said = prop_oneof![3 => text().prop_map(|text| Content::Text(text.into())), 1 => media()];
    let user = vec((said, mark()).prop_map(|(said, cache)| Part { cache, ..part(said) }), 1..4);
    let results = (vec(tool_result(), 1..3), texts(0..2));
    let assistant = (
        option::weighted(0.1, reasoning()),
        texts(0..3),
        refusal(),
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
