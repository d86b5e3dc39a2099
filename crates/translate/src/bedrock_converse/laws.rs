//! The law of requests over what this protocol says best: content that only a few protocols have, for
//! models whose makers have fields of their own. [`crate::laws`] has the laws that hold for all.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_units::{LossKind, Protocol};

use super::same;
use crate::conversation::{
    Audio, CacheMark, CacheTtl, Citation, CitationSource, Document, DocumentSource, DocumentSpan, Effort,
    Format, Image, JsonText, MediaSource, Proof, Reasoning, ReasoningExtent, ReasoningWish, ServiceTier,
    Shown, Span, Text, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Video,
};
use crate::generators::raw;
use crate::{Content, Conversation, Losses, Message, Part, Place, Placed, RequestTarget, Role, adapter};

type Strategy_<T> = BoxedStrategy<T>;

fn text() -> Strategy_<Cow<'static, str>> {
    prop_oneof!["[a-z ]{0,5}[a-z]", "\\PC{1,4}"].prop_map(Cow::Owned).boxed()
}

fn bytes(media_type: &'static str) -> MediaSource<'static> {
    MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() }
}

fn in_s3(media_type: &'static str) -> MediaSource<'static> {
    MediaSource::Url { url: "s3://bucket/a".into(), media_type: Some(media_type.into()) }
}

fn source(media_type: &'static str) -> Strategy_<MediaSource<'static>> {
    prop_oneof![Just(bytes(media_type)), Just(in_s3(media_type))].boxed()
}

fn mark() -> Strategy_<Option<Placed<'static, CacheMark>>> {
    let ttl = prop::sample::select(vec![None, Some(CacheTtl::FiveMinutes), Some(CacheTtl::OneHour)]);
    option::weighted(0.2, ttl.prop_map(|ttl| Placed::nowhere(CacheMark { ttl }))).boxed()
}

fn marked(content: impl Strategy<Value = Content<'static>> + 'static) -> Strategy_<Part<'static>> {
    (content, mark())
        .prop_map(|(content, cache)| Part { cache, ..Part::new(Place::NOWHERE, content) })
        .boxed()
}

fn document() -> Strategy_<Content<'static>> {
    let texts = vec(text(), 1..3).prop_map(|texts| texts.into_iter().map(Part::text).collect());
    let source = prop_oneof![
        source("application/pdf").prop_map(DocumentSource::Media),
        source("text/plain").prop_map(DocumentSource::Media),
        text().prop_map(DocumentSource::Text),
        texts.prop_map(DocumentSource::Parts),
    ];
    (
        source,
        option::weighted(0.8, "[a-z]{1,6}( \\([a-z]\\))?"),
        option::of(text()),
        option::of(any::<bool>()),
    )
        .prop_map(|(source, title, context, cited)| {
            Content::Document(Document {
                source,
                title: title.map(Cow::Owned),
                context: context.map(Placed::nowhere),
                citations: cited.map(Placed::nowhere),
            })
        })
        .boxed()
}

fn citation() -> Strategy_<Citation<'static>> {
    let span = (0_u64..9, 1_u64..9).prop_map(|(start, length)| Span { start, end: start + length });
    let place = prop_oneof![
        span.clone().prop_map(DocumentSpan::Characters),
        span.clone().prop_map(DocumentSpan::Pages),
        span.prop_map(DocumentSpan::Blocks),
    ];
    let source = prop_oneof![
        Just(CitationSource::Url("https://example.com/a".into())),
        (option::of(0_u64..4), option::of(place)).prop_map(|(index, span)| CitationSource::Document {
            index,
            file: None,
            span
        }),
    ];
    (source, option::of(text()), option::of(text()))
        .prop_map(|(source, title, quoted)| Citation {
            place: Place::NOWHERE,
            span: None,
            title,
            quoted,
            source,
            bag: Bag::EMPTY,
        })
        .boxed()
}

fn from_user() -> Strategy_<Vec<Part<'static>>> {
    let json = prop::sample::select(vec![r#"{"a":1.0}"#, "[1]", "null"]);
    let inner = prop_oneof![
        3 => text().prop_map(|text| Content::Text(text.into())),
        1 => json.prop_map(|json| Content::Json(JsonText::from(raw(json)))),
        1 => source("image/webp").prop_map(|source| Content::Image(Image { source, detail: None })),
    ];
    let result = (
        "[a-z]{1,3}",
        vec(inner.prop_map(|content| Part::new(Place::NOWHERE, content)), 0..3),
        any::<bool>(),
    )
        .prop_map(|(id, parts, is_error)| {
            Content::ToolResult(ToolResult { call_id: id.into(), name: None, parts, is_error })
        });
    let said = prop_oneof![
        4 => text().prop_map(|text| Content::Text(text.into())),
        1 => source("image/png").prop_map(|source| Content::Image(Image { source, detail: None })),
        1 => source("video/3gpp").prop_map(|source| Content::Video(Video { source })),
        1 => source("audio/mpeg").prop_map(|source| Content::Audio(Audio::new(source))),
        2 => document(),
    ];
    (vec(marked(result), 0..2), vec(marked(said), 1..4))
        .prop_map(|(results, said)| [results, said].concat())
        .boxed()
}

fn from_model() -> Strategy_<Vec<Part<'static>>> {
    let proof = prop_oneof![
        text().prop_map(|data| Proof::signature(Proof::ANTHROPIC, data)),
        text().prop_map(|data| Proof::sealed(Proof::ANTHROPIC, data)),
        Just(Proof::sealed("amazon-bedrock-v1", "cnNuX3BV")),
    ];
    let reasoning = (option::of(text()), proof).prop_map(|(text, proof)| {
        let text = text.unwrap_or_default();
        Content::Reasoning(Reasoning { text, proof: Some(proof), ..Reasoning::default() })
    });
    let cited =
        (text(), vec(citation(), 0..3)).prop_map(|(text, citations)| Content::Text(Text { text, citations }));
    let call = (
        "[a-z]{1,3}|[a-z]:[0-9]",
        "[a-z]{1,3}(\\.[a-z])?",
        prop::sample::select(vec!["{}", "", r#"{"a":1e3}"#]),
    )
        .prop_map(|(id, name, arguments)| {
            Content::ToolCall(ToolCall {
                id: id.into(),
                name: name.into(),
                arguments: arguments.into(),
                kind: Default::default(),
            })
        });
    (vec(marked(reasoning), 0..2), vec(marked(cited), 1..3), vec(marked(call), 0..2))
        .prop_map(|(reasoning, texts, calls)| [reasoning, texts, calls].concat())
        .boxed()
}

fn tool() -> Strategy_<Tool<'static>> {
    ("[a-z]{1,4}(:[a-z])?", option::of(text()), option::of(any::<bool>()), mark())
        .prop_map(|(name, description, strict, cache)| Tool {
            place: Place::NOWHERE,
            kind: ToolKind::Function { name: name.into(), description, parameters: None, strict },
            cache,
            bag: Bag::EMPTY,
        })
        .boxed()
}

fn wish() -> Strategy_<ReasoningWish<'static>> {
    let extent = prop::sample::select(vec![
        ReasoningExtent::Off,
        ReasoningExtent::Dynamic,
        ReasoningExtent::Budget(100),
        ReasoningExtent::Budget(4000),
    ]);
    let effort = prop::sample::select(Effort::ALL.to_vec());
    let shown = prop::sample::select(vec![Shown::Hidden, Shown::Auto, Shown::Detailed]);
    (option::of(extent), option::of(effort), option::of(shown))
        .prop_map(|(extent, effort, shown)| ReasoningWish {
            extent: extent.map(Placed::nowhere),
            effort: effort.map(Placed::nowhere),
            // Without reasoning there is nothing to show.
            shown: shown.filter(|_| extent.is_some()).map(Placed::nowhere),
        })
        .boxed()
}

fn conversation() -> Strategy_<Conversation<'static>> {
    let turns = vec((from_user(), from_model()), 0..3).prop_flat_map(|turns| {
        from_user().prop_map(move |last| {
            let message = |role, parts| Message::new(Place::NOWHERE, role, parts);
            let mut messages: Vec<Message<'static>> = turns
                .iter()
                .flat_map(|(user, model)| {
                    [message(Role::User, user.clone()), message(Role::Assistant, model.clone())]
                })
                .collect();
            messages.push(message(Role::User, last));
            messages
        })
    });
    let schema = Format::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: JsonText::from(raw(r#"{"type":"object","z":1.50}"#)),
        strict: Some(true),
    };
    let tier = prop::sample::select(vec![ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority]);
    let choice =
        prop::sample::select(vec![ToolChoice::Auto, ToolChoice::Required, ToolChoice::Named("a".into())]);
    let labels = Just(raw(r#"{"team":"a b"}"#));
    let number = prop::sample::select(vec!["0.5", "1"]).prop_map(raw);
    let how = (
        (option::of(Just(schema)), option::of(tier), option::of(choice), option::of(any::<bool>())),
        (
            option::of(labels),
            option::of(number),
            option::of(Just(raw("5"))),
            option::of(500_u64..9_000),
            wish(),
        ),
    );
    let source = prop::sample::select(vec![
        Protocol::BedrockConverse,
        Protocol::AnthropicMessages,
        Protocol::OpenAiChat,
    ]);
    (source, turns, vec(tool(), 0..3), how)
        .prop_map(
            |(
                source,
                messages,
                tools,
                ((format, tier, choice, parallel), (labels, number, top_k, cap, wish)),
            )| {
                let mut conversation = Conversation {
                    messages,
                    tools,
                    format: format.map(Placed::nowhere),
                    service_tier: tier.map(Placed::nowhere),
                    tool_choice: choice.map(Placed::nowhere),
                    parallel_tool_calls: parallel.map(Placed::nowhere),
                    metadata: labels,
                    max_output: cap.map(Placed::nowhere),
                    reasoning: wish,
                    ..Conversation::new(source)
                };
                (conversation.sampling.temperature, conversation.sampling.top_k) = (number, top_k);
                conversation
            },
        )
        .boxed()
}

fn same<'a>(conversation: &Conversation<'a>) -> Conversation<'a> {
    let mut same = conversation.clone();
    same.source = Protocol::BedrockConverse;
    if same.tools.is_empty() {
        (same.tool_choice, same.parallel_tool_calls) = (None, None);
    }
    same.bag = Bag::EMPTY;
    for part in same.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Content::ToolCall(call) = &mut part.content
            && call.arguments.is_empty()
        {
            call.arguments = "{}".into();
        }
    }
    same::conversation(&mut same);
    // What is not there is not shown.
    if same.reasoning.extent.is_none_or(|extent| extent.value == ReasoningExtent::Off) {
        same.reasoning.shown = None;
    }
    // An effort means that the model thinks.
    if same.reasoning.effort.is_some() && same.reasoning.extent.is_none() {
        same.reasoning.extent = Some(Placed::nowhere(ReasoningExtent::Dynamic));
    }
    same
}

const MODELS: [&str; 3] = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-opus-4-6-v1",
    "anthropic.claude-opus-4-8",
];

proptest! {
    #[test]
    fn a_rich_request_without_losses_is_read_as_it_was_meant(
        c in conversation(),
        model in prop::sample::select(&MODELS[..]),
    ) {
        let adapter = adapter(Protocol::BedrockConverse);
        let mut losses = Losses::new(c.source, Protocol::BedrockConverse);
        let bytes = adapter.encode_request(&c, &RequestTarget::new(model), &mut losses);
        let text = std::str::from_utf8(&bytes).unwrap();
        let read = adapter.decode_request(Raw::parse(text, &ScanLimits::default()).unwrap()).unwrap();
        let lost = losses.into_list("null");
        if lost.is_empty() {
            prop_assert_eq!(same(&read), same(&c));
        }
        // What is only told in other words loses no message, call, result or mark.
        let count = |c: &Conversation<'_>| {
            let parts = || c.messages.iter().flat_map(|message| &message.parts);
            let calls = parts().filter(|part| matches!(part.content, Content::ToolCall(_))).count();
            let results = parts().filter(|part| matches!(part.content, Content::ToolResult(_))).count();
            (c.messages.len(), calls, results, parts().filter(|part| part.cache.is_some()).count())
        };
        if lost.iter().all(|loss| loss.kind != LossKind::Dropped) {
            prop_assert_eq!(count(&read), count(&c));
        }
    }
}
