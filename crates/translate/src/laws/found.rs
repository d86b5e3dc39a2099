//! What once broke a law, as the generators found it.

use super::*;
use crate::conversation::{
    Audio, Citation, CitationSource, CustomFormat, DocumentSpan, Image, MediaSource, Proof, Reasoning,
    ReasoningExtent, ReasoningWish, ServiceTier, Shown, Text, Tool, ToolCall, ToolKind,
};
use crate::generators::raw;
use crate::{Candidate, FinishReason, Placed};

fn part(content: Content<'static>) -> Part<'static> {
    Part::new(Place::NOWHERE, content)
}

fn custom_call() -> Part<'static> {
    part(Content::ToolCall(ToolCall {
        id: "call_AAaa".into(),
        name: "a".into(),
        arguments: "4 + 4\n".into(),
        kind: CallKind::Custom,
    }))
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

fn said(source: Protocol, role: Role<'static>, content: Vec<Part<'static>>) -> Conversation<'static> {
    Conversation {
        model: "m".into(),
        messages: vec![Message::new(Place::NOWHERE, role, content)],
        ..Conversation::new(source)
    }
}

fn answered(source: Protocol, parts: Vec<Part<'static>>, finish: Option<FinishReason>) -> Answer<'static> {
    Answer {
        created: Some(1_700_000_000),
        candidates: vec![Candidate { parts, finish, ..Candidate::new(Place::NOWHERE) }],
        ..Answer::new(source)
    }
}

fn assert_request(c: &Conversation<'static>) {
    for to in Protocol::ALL {
        assert_request_is_read_as_meant(c, to);
        let (bytes, _) = encode_request(c, to);
        let read = adapter(to).decode_request(parse(&bytes)).unwrap();
        let calls = |c: &Conversation<'_>| -> Vec<_> {
            c.messages.iter().flat_map(|message| names_of_calls(&message.parts)).collect()
        };
        assert_eq!(calls(&read), calls(c), "{to}");
    }
    assert_request_comes_back(c);
}

fn assert_answer(a: &Answer<'static>) {
    for to in Protocol::ALL {
        assert_answer_is_read_as_meant(a, to);
        let (bytes, _) = encode_answer(a, to);
        let read = adapter(to).decode_answer(parse(&bytes)).unwrap();
        let calls = |a: &Answer<'_>| names_of_calls(&a.candidates[0].parts);
        assert_eq!(calls(&read), calls(a), "{to}");
    }
}

#[test]
fn a_call_with_free_text() {
    assert_request(&said(Protocol::OpenAiChat, Role::Assistant, vec![custom_call()]));
    assert_answer(&answered(Protocol::OpenAiChat, vec![custom_call()], None));
}

#[test]
fn a_picture_of_low_detail_before_a_call() {
    let source = MediaSource::Base64 { media_type: "image/png".into(), data: "aGk=".into() };
    let picture = Content::Image(Image { source, detail: Some(Placed::nowhere("low".into())) });
    assert_answer(&answered(
        Protocol::OpenAiChat,
        vec![part(picture), custom_call()],
        Some(FinishReason::ToolCalls),
    ));
}

#[test]
fn a_sound_whose_words_begin_with_a_space() {
    let source = MediaSource::Base64 { media_type: "audio/wav".into(), data: "aGk=".into() };
    let sound = Content::Audio(Audio { transcript: Some(" a".into()), ..Audio::new(source) });
    let mut conversation = said(Protocol::OpenAiResponses, Role::User, vec![part(sound)]);
    conversation.tools.push(custom_tool());
    assert_request(&conversation);
}

#[test]
fn a_text_that_begins_with_a_space() {
    for source in Protocol::ALL {
        assert_request(&said(source, Role::User, vec![Part::text(" a")]));
    }
}

#[test]
fn reasoning_that_is_hidden_and_not_asked_for() {
    let shown = Some(Placed::nowhere(Shown::Hidden));
    let reasoning = ReasoningWish { shown, ..ReasoningWish::NONE };
    let hello = said(Protocol::GeminiGenerateContent, Role::User, vec![Part::text("aa")]);
    assert_request(&Conversation { reasoning, ..hello });
}

#[test]
fn a_short_summary_of_reasoning() {
    for source in Protocol::ALL {
        let reasoning = ReasoningWish {
            extent: Some(Placed::nowhere(ReasoningExtent::Dynamic)),
            shown: Some(Placed::nowhere(Shown::Concise)),
            effort: None,
        };
        let hello = said(source, Role::User, vec![Part::text("aa")]);
        let max_output = Some(Placed::nowhere(0));
        assert_request(&Conversation { reasoning, max_output, ..hello });
    }
}

#[test]
fn a_proof_of_another_maker_and_nothing_beside_it() {
    for proof in [
        Proof::signature(Proof::ANTHROPIC, "A"),
        Proof::sealed(Proof::ANTHROPIC, "A"),
        Proof::sealed(Proof::OPENAI, "A"),
        Proof::signature(Proof::GEMINI, "A"),
    ] {
        let reasoning = part(Content::Reasoning(Reasoning { proof: Some(proof), ..Reasoning::default() }));
        for source in Protocol::ALL {
            assert_request(&said(source, Role::Assistant, vec![reasoning.clone()]));
            assert_answer(&answered(source, vec![reasoning.clone()], None));
        }
    }
}

#[test]
fn a_penalty_of_nothing() {
    let mut conversation = Conversation { model: "m".into(), ..Conversation::new(Protocol::OpenAiChat) };
    conversation.sampling.presence_penalty = Some(raw("0"));
    conversation.tools.push(custom_tool());
    assert_request(&conversation);
}

#[test]
fn a_service_tier_that_the_provider_picks() {
    for source in Protocol::ALL {
        let service_tier = Some(Placed::nowhere(ServiceTier::Auto));
        assert_request(&Conversation { service_tier, ..said(source, Role::User, vec![Part::text("aa")]) });
    }
}

#[test]
fn a_citation_of_pages_of_a_document() {
    let span = DocumentSpan::Pages(Span { start: 1, end: 2 });
    for file in [None, Some("file-1")] {
        let citation = Citation {
            place: Place::NOWHERE,
            span: None,
            title: None,
            quoted: None,
            source: CitationSource::Document {
                index: Some(0),
                file: file.map(Cow::Borrowed),
                span: Some(span),
            },
            bag: Bag::EMPTY,
        };
        let cited = part(Content::Text(Text { text: "aa".into(), citations: vec![citation] }));
        for source in Protocol::ALL {
            assert_answer(&answered(source, vec![cited.clone()], Some(FinishReason::Stop)));
            assert_request(&said(source, Role::Assistant, vec![cited.clone()]));
            for bytes in [
                encode_answer(&answered(source, vec![cited.clone()], None), source).0,
                encode_request(&said(source, Role::Assistant, vec![cited.clone()]), source).0,
            ] {
                assert!(!String::from_utf8_lossy(&bytes).contains("[null"), "{source}");
            }
        }
    }
}
