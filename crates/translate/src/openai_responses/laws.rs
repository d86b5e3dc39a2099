//! The laws of translation for what this protocol can say and the shared generators do not: everything
//! that it can carry is read as it was meant.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::Bag;
use weighbridge_units::Protocol;

use crate::conversation::{
    AllowedMode, CacheMark, CallKind, Citation, CitationSource, CustomFormat, Document, DocumentSource,
    DocumentSpan, Effort, Format, Image, MediaSource, Proof, ProofKind, Reasoning, ReasoningExtent,
    ReasoningWish, ServiceTier, Shown, Span, Text, TokenLogprob, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult,
};
use crate::generators::{answer, conversation, raw};
use crate::laws::{assert_answer_is_read_as_meant, assert_request_is_read_as_meant, encode_answer, parse};
use crate::{Answer, Content, Conversation, Message, Part, Place, Placed, Role, adapter};

const OWN: Protocol = Protocol::OpenAiResponses;

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{1,8}[a-z]", Just("\"é\"\n\\ 😀".to_owned())]
}

fn part(content: Content<'static>) -> Part<'static> {
    Part::new(Place::NOWHERE, content)
}

fn proof() -> impl Strategy<Value = Proof<'static>> {
    let format = prop::sample::select(vec![Proof::ANTHROPIC, Proof::OPENAI, Proof::GEMINI]);
    (format, any::<bool>(), "(wb\\.proof:)?[a-z:]{1,6}").prop_map(|(format, is_sealed, data)| Proof {
        format: format.into(),
        kind: if is_sealed { ProofKind::Sealed } else { ProofKind::Signature },
        data: data.into(),
    })
}

fn reasoning() -> impl Strategy<Value = Part<'static>> {
    (
        option::of("rs_[0-9]"),
        prop_oneof![Just(String::new()), words()],
        vec(words(), 0..3),
        option::of(proof()),
    )
        .prop_map(|(id, text, summary, proof)| {
            part(Content::Reasoning(Reasoning {
                id: id.map(Into::into),
                text: text.into(),
                summary: summary.into_iter().map(Into::into).collect(),
                proof,
            }))
        })
}

fn cited() -> impl Strategy<Value = Part<'static>> {
    let url = Just(CitationSource::Url("https://example.com/\"é".into()));
    let span = option::of(Just(DocumentSpan::Pages(Span { start: 1, end: 2 })));
    let file = span.prop_map(|span| CitationSource::Document {
        index: span.map(|_| 0),
        file: Some("file-1".into()),
        span,
    });
    let span = option::of((0_u64..3, 3_u64..6).prop_map(|(start, end)| Span { start, end }));
    let citation =
        (prop_oneof![4 => url, 1 => file], option::of(words()), span).prop_map(|(source, title, span)| {
            let span = span.filter(|_| matches!(source, CitationSource::Url(_)));
            Citation {
                place: Place::NOWHERE,
                span,
                title: title.map(Into::into),
                quoted: None,
                source,
                bag: Bag::EMPTY,
            }
        });
    (words(), vec(citation, 0..3))
        .prop_map(|(text, citations)| part(Content::Text(Text { text: text.into(), citations })))
}

fn custom_call(id: &'static str) -> Part<'static> {
    part(Content::ToolCall(ToolCall {
        id: id.into(),
        name: "free".into(),
        arguments: "4 + 4\n".into(),
        kind: CallKind::Custom,
    }))
}

fn picture() -> impl Strategy<Value = Content<'static>> {
    let base64 =
        |media_type: &'static str| MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() };
    prop_oneof![
        Just(Content::Image(Image { source: base64("image/jpeg"), detail: None })),
        Just(Content::Image(Image {
            source: MediaSource::url("https://example.com/a.png"),
            detail: Some(Placed::nowhere("original".into())),
        })),
        Just(Content::Image(Image { source: MediaSource::File { id: "file-9".into() }, detail: None })),
    ]
}

fn document() -> impl Strategy<Value = Content<'static>> {
    let pdf = MediaSource::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() };
    let source = prop::sample::select(vec![
        DocumentSource::Media(pdf),
        DocumentSource::Media(MediaSource::url("https://example.com/a.pdf")),
        DocumentSource::Media(MediaSource::File { id: "file-8".into() }),
        DocumentSource::Text("plain".into()),
    ]);
    let asked = option::weighted(0.2, any::<bool>().prop_map(Placed::nowhere));
    (source, option::of(Just("a.pdf")), asked).prop_map(|(source, title, citations)| {
        Content::Document(Document { source, title: title.map(Into::into), context: None, citations })
    })
}

fn user() -> impl Strategy<Value = Message<'static>> {
    let said = prop_oneof![
        words().prop_map(|text| Content::Text(text.into())),
        picture(),
        document(),
        Just(Content::Json(raw(r#"{"a":1.0}"#).into())),
    ];
    let marked = (said, option::weighted(0.2, Just(Placed::nowhere(CacheMark::default()))))
        .prop_map(|(content, cache)| Part { cache, ..part(content) });
    (vec(marked.clone().boxed(), 1..4), option::of(vec(marked.boxed(), 0..3))).prop_map(|(said, result)| {
        let mut parts = said;
        if let Some(given) = result {
            let result = ToolResult {
                call_id: "call_c".into(),
                name: Some("free".into()),
                parts: given,
                is_error: false,
            };
            parts.insert(0, part(Content::ToolResult(result)));
        }
        Message::new(Place::NOWHERE, Role::User, parts)
    })
}

fn assistant() -> impl Strategy<Value = Message<'static>> {
    let piece = prop_oneof![
        3 => cited(),
        2 => reasoning(),
        1 => Just(custom_call("call_c")),
        1 => words().prop_map(|text| part(Content::Refusal(text.into()))),
    ];
    vec(piece, 1..5).prop_map(|parts| Message::new(Place::NOWHERE, Role::Assistant, parts))
}

fn custom_tool() -> Tool<'static> {
    let format = CustomFormat::Grammar { syntax: "lark".into(), definition: "start: \"a\"\n".into() };
    Tool {
        place: Place::NOWHERE,
        kind: ToolKind::Custom { name: "free".into(), description: None, format: Some(format) },
        cache: None,
        bag: Bag::EMPTY,
    }
}

fn choice() -> impl Strategy<Value = ToolChoice<'static>> {
    prop_oneof![
        Just(ToolChoice::Named("free".into())),
        Just(ToolChoice::Allowed { mode: AllowedMode::Auto, names: vec!["free".into(), "f".into()] }),
        Just(ToolChoice::Allowed { mode: AllowedMode::Required, names: vec![] }),
    ]
}

fn format() -> impl Strategy<Value = Format<'static>> {
    let schema = (option::of(Just("s")), option::of(words()), option::of(any::<bool>())).prop_map(
        |(name, description, strict)| Format::JsonSchema {
            name: name.map(Into::into),
            description: description.map(Into::into),
            schema: raw(r#"{"type":"object","properties":{"z":{"minimum":1.50}}}"#).into(),
            strict,
        },
    );
    prop_oneof![Just(Format::Text), Just(Format::JsonObject), schema]
}

fn wish() -> impl Strategy<Value = ReasoningWish<'static>> {
    let extent = prop_oneof![
        Just(ReasoningExtent::Off),
        Just(ReasoningExtent::Dynamic),
        (1_u64..70_000).prop_map(ReasoningExtent::Budget),
    ];
    let effort = prop::sample::select(Effort::ALL.to_vec());
    let shown = prop::sample::select(vec![Shown::Hidden, Shown::Auto, Shown::Concise, Shown::Detailed]);
    (option::of(extent), option::of(effort), option::of(shown)).prop_map(|(extent, effort, shown)| {
        ReasoningWish {
            extent: extent.map(Placed::nowhere),
            effort: effort.map(Placed::nowhere),
            shown: shown.map(Placed::nowhere),
        }
    })
}

fn tier() -> impl Strategy<Value = ServiceTier<'static>> {
    prop::sample::select(vec!["auto", "standard", "flex", "priority", "scale"])
        .prop_map(|name| ServiceTier::named(name.into()))
}

/// A conversation with much that only the newer protocols can say.
fn rich_conversation() -> impl Strategy<Value = Conversation<'static>> {
    let wishes = (
        option::of(format()),
        option::of(prop::sample::select(vec!["low", "medium", "high", "huge"])),
        option::of(0_u64..21),
        wish(),
        option::of(tier()),
        option::of(Just(r#"{"a":"b"}"#)),
        option::of(any::<bool>()),
        option::of(words()),
    );
    let turns = vec(prop_oneof![user(), assistant()], 0..5);
    (conversation(), turns, option::of(choice()), wishes).prop_map(|(plain, turns, choice, wishes)| {
        let (format, verbosity, logprobs, reasoning, service_tier, metadata, store, cache_key) = wishes;
        let mut messages = plain.messages.clone();
        messages.extend(turns);
        let mut tools = plain.tools.clone();
        tools.push(custom_tool());
        Conversation {
            messages,
            tools,
            tool_choice: choice.map(Placed::nowhere).or(plain.tool_choice.clone()),
            format: format.map(Placed::nowhere),
            verbosity: verbosity.map(|level| Placed::nowhere(level.into())),
            logprobs: logprobs.map(Placed::nowhere),
            reasoning,
            service_tier: service_tier.map(Placed::nowhere),
            metadata: metadata.map(raw),
            store: store.map(Placed::nowhere),
            cache_key: cache_key.map(|key| Placed::nowhere(key.into())),
            ..plain
        }
    })
}

fn token() -> impl Strategy<Value = TokenLogprob<'static>> {
    (words(), option::weighted(0.9, Just("-0.25")), option::of(Just("[104,105]"))).prop_map(
        |(token, logprob, bytes)| TokenLogprob {
            place: Place::NOWHERE,
            token: token.into(),
            logprob: logprob.map(raw),
            bytes: bytes.map(raw),
            top: Vec::new(),
            bag: Bag::EMPTY,
        },
    )
}

/// An answer with much that only the newer protocols can say.
fn rich_answer() -> impl Strategy<Value = Answer<'static>> {
    let made = (words(), prop::sample::select(vec!["image/png", "image/webp", "image/avif"])).prop_map(
        |(_, media_type)| {
            let source = MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() };
            part(Content::Image(Image { source, detail: None }))
        },
    );
    let piece = prop_oneof![
        3 => cited(),
        2 => reasoning(),
        1 => Just(custom_call("call_d")),
        1 => made,
        1 => words().prop_map(|text| part(Content::Refusal(text.into()))),
    ];
    let tokens = (vec(token(), 0..5), vec(token(), 0..2));
    let tier = option::of(prop::sample::select(vec!["default", "standard", "priority", "scale", "batch"]));
    (answer(), vec(piece, 0..6), tokens, tier).prop_map(|(plain, more, (mut tokens, top), tier)| {
        if let Some(first) = tokens.first_mut() {
            first.top = top;
        }
        let mut answer = plain.clone();
        answer.service_tier = tier.map(|name| Placed::nowhere(name.into()));
        if let Some(candidate) = answer.candidates.first_mut() {
            candidate.parts.extend(more);
            candidate.logprobs = tokens;
        }
        answer
    })
}

proptest! {
    #[test]
    fn a_rich_request_without_losses_is_read_as_it_was_meant(c in rich_conversation()) {
        assert_request_is_read_as_meant(&c, OWN);
    }

    #[test]
    fn a_rich_answer_without_losses_is_read_as_it_was_meant(a in rich_answer()) {
        assert_answer_is_read_as_meant(&a, OWN);
    }

    /// What the next turn brings back is what the provider gave, whoever it was.
    #[test]
    fn reasoning_comes_back_from_a_client_with_its_proof(given in reasoning(), source in crate::generators::protocol()) {
        let mut answer = Answer::new(source);
        answer.candidates.push(crate::Candidate { parts: vec![given.clone()], ..crate::Candidate::new(Place::NOWHERE) });
        let (bytes, _) = encode_answer(&answer, OWN);
        let root = parse(&bytes);
        let item = root.get("output").unwrap().items().unwrap().next().unwrap();
        let request = format!(r#"{{"model":"m","input":[{}]}}"#, item.text());
        let read = adapter(OWN).decode_request(parse(request.as_bytes())).unwrap();
        let (Content::Reasoning(back), Content::Reasoning(given)) = (&read.messages[0].parts[0].content, &given.content)
        else { panic!("{request}") };
        prop_assert_eq!((&back.text, &back.summary, &back.proof), (&given.text, &given.summary, &given.proof));
        if given.proof.is_some() {
            prop_assert_eq!(&back.id, &given.id);
        }
    }
}
