//! A stream equals the whole: an answer that is replayed as a stream of a client's protocol says what
//! the whole answer in that protocol says. With everything that an answer can consist of.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Folder, Framing, StreamForm, fold_stream, replay};
use weighbridge_translate::conversation::{
    Audio, CallKind, Citation, CitationSource, Image, MediaSource, Proof, Reasoning, Span, Text,
    TokenLogprob, ToolCall,
};
use weighbridge_translate::{
    Answer, AnswerTarget, Candidate, Content, FinishReason, Losses, Part, Place, StopDetails, StreamTarget,
    adapter, stream_writer,
};
use weighbridge_units::{Bucket, Protocol, Usage};

use crate::fixtures::recorded;
use crate::support::*;

fn raw(text: &'static str) -> Raw<'static> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    "[a-zé😀\"\\\\\n ]{1,9}".prop_map(Cow::Owned)
}

fn reasoning() -> impl Strategy<Value = Content<'static>> {
    let signed = (text(), option::of(prop::sample::select(vec![Proof::ANTHROPIC, Proof::GEMINI]))).prop_map(
        |(text, format)| Reasoning {
            text,
            proof: format.map(|format| Proof::signature(format, "c2ln")),
            ..Reasoning::default()
        },
    );
    let sealed = vec(text(), 0..3).prop_map(|summary| Reasoning {
        id: Some("rs_1".into()),
        summary,
        proof: Some(Proof::sealed(Proof::OPENAI, "ZGF0YQ==")),
        ..Reasoning::default()
    });
    let of_call =
        Just(Reasoning { proof: Some(Proof::signature(Proof::GEMINI, "Y2FsbA==")), ..Reasoning::default() });
    let redacted =
        Just(Reasoning { proof: Some(Proof::sealed(Proof::ANTHROPIC, "cmVk")), ..Reasoning::default() });
    prop_oneof![3 => signed, 2 => sealed, 1 => of_call, 1 => redacted].prop_map(Content::Reasoning)
}

fn cited() -> impl Strategy<Value = Content<'static>> {
    let citation = (option::of(Just(Span { start: 0, end: 1 })), option::of(text()), any::<bool>()).prop_map(
        |(span, title, is_url)| Citation {
            place: Place::NOWHERE,
            span,
            title,
            quoted: None,
            source: match is_url {
                true => CitationSource::Url("https://example.com".into()),
                false => CitationSource::Document { index: Some(0), file: None, span: None },
            },
            bag: Bag::EMPTY,
        },
    );
    (text(), option::weighted(0.3, vec(citation, 1..3)))
        .prop_map(|(text, found)| Content::Text(Text { text, citations: found.unwrap_or_default() }))
}

fn call() -> impl Strategy<Value = Content<'static>> {
    let arguments = prop_oneof![Just(r#"{"a":1.0}"#), Just("{}"), Just("")];
    ("[a-z:]{0,5}", "[a-z.]{1,5}", arguments, prop::bool::weighted(0.2)).prop_map(
        |(id, name, arguments, is_custom)| {
            let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
            Content::ToolCall(ToolCall {
                id: id.into(),
                name: name.into(),
                arguments: arguments.into(),
                kind,
            })
        },
    )
}

fn source(media_type: &'static str) -> MediaSource<'static> {
    MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() }
}

fn media() -> impl Strategy<Value = Content<'static>> {
    prop_oneof![
        Just(Content::Image(Image { source: source("image/png"), detail: None })),
        option::of(text()).prop_map(move |transcript| Content::Audio(Audio {
            transcript,
            ..Audio::new(source("audio/wav"))
        })),
    ]
}

fn candidate() -> impl Strategy<Value = Candidate<'static>> {
    let parts = vec(
        prop_oneof![
            3 => reasoning(),
            4 => cited(),
            1 => text().prop_map(Content::Refusal),
            3 => call(),
            1 => media(),
            1 => Just(Content::Unknown { name: "own".into(), raw: raw(r#"{"type":"own"}"#) }),
        ]
        .prop_map(|content| Part::new(Place::NOWHERE, content)),
        0..6,
    );
    let finish = prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::ToolCalls,
        FinishReason::Refusal,
        FinishReason::StopSequence(Some("END".into())),
    ]);
    let details = text()
        .prop_map(|explanation| StopDetails { explanation: Some(explanation), ..StopDetails::default() });
    let token = text().prop_map(|token| TokenLogprob {
        place: Place::NOWHERE,
        token,
        logprob: Some(raw("-0.25")),
        bytes: None,
        top: Vec::new(),
        bag: Bag::EMPTY,
    });
    (parts, option::weighted(0.9, finish), option::weighted(0.1, details), vec(token, 0..3)).prop_map(
        |(mut parts, finish, stop_details, logprobs)| {
            // One sound at most: Gemini says in no stream where one ends and the next begins.
            let mut has_sound = false;
            parts.retain(|part| match part.content {
                Content::Audio(_) => !std::mem::replace(&mut has_sound, true),
                _ => true,
            });
            Candidate { parts, finish, stop_details, logprobs, ..Candidate::new(Place::NOWHERE) }
        },
    )
}

pub(crate) fn answer() -> impl Strategy<Value = Answer<'static>> {
    let usage = (0_u64..99, 0_u64..99, option::of(0_u64..99), option::of(0_u64..99)).prop_map(
        |(input, output, cached, reasoning)| {
            let mut usage = Usage::new().with(Bucket::Input, input).with(Bucket::Output, output);
            cached.into_iter().for_each(|count| usage.set(Bucket::CacheRead, count));
            reasoning.into_iter().for_each(|count| usage.set(Bucket::Reasoning, count));
            usage
        },
    );
    let candidates = prop_oneof![9 => vec(candidate(), 1), 1 => vec(candidate(), 2)];
    let head = (option::of("[a-z]{1,4}"), option::of("m?"));
    (candidates, option::of(usage), head).prop_map(|(candidates, usage, (id, model))| Answer {
        id: id.map(Cow::Owned),
        model: model.map(Cow::Owned),
        created: Some(1_700_000_000),
        candidates,
        usage,
        ..Answer::new(Protocol::BedrockConverse)
    })
}

/// Where a text is cited, and the title of the source.
type Cited = (Option<(u64, u64)>, Option<String>);

/// What an answer says, in one form: how texts are cut into parts does not matter.
#[derive(Debug, PartialEq, Default)]
struct Said {
    text: String,
    refusal: String,
    reasoning: Vec<Reasoning<'static>>,
    calls: Vec<(String, String, String, CallKind)>,
    /// From the beginning of all text.
    citations: Vec<Cited>,
    images: Vec<String>,
    sounds: Vec<String>,
    logprobs: Vec<String>,
    finish: Option<FinishReason>,
    explanation: Option<String>,
}

fn said(candidate: &Candidate<'_>) -> Said {
    let mut said = Said {
        finish: candidate.finish.clone(),
        logprobs: candidate.logprobs.iter().map(|token| token.token.to_string()).collect(),
        explanation: candidate
            .stop_details
            .as_ref()
            .and_then(|d| d.explanation.as_deref().map(str::to_owned)),
        ..Said::default()
    };
    for part in &candidate.parts {
        match &part.content {
            Content::Text(text) => {
                let offset = said.text.chars().count() as u64;
                for citation in &text.citations {
                    let title = citation.title.as_deref().map(str::to_owned);
                    let span = citation.span.map(|span| (offset + span.start, offset + span.end));
                    said.citations.push((span, title));
                }
                said.text.push_str(&text.text);
            }
            Content::Refusal(text) => said.refusal.push_str(text),
            // Where one thought ends and the next begins, not every stream says but by proofs.
            Content::Reasoning(reasoning) => match said.reasoning.last_mut() {
                Some(last) if last.id.is_none() && last.proof.is_none() => {
                    let next = owned(reasoning);
                    last.text = Cow::Owned([&*last.text, &*next.text].concat());
                    last.summary.extend(next.summary);
                    (last.id, last.proof) = (next.id, next.proof);
                }
                _ => said.reasoning.push(owned(reasoning)),
            },
            Content::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                said.calls.push((
                    call.id.to_string(),
                    call.name.to_string(),
                    // Gemini has them as JSON, in which an event's data has no lines.
                    whole_arguments(arguments).replace(['\r', '\n'], " "),
                    call.kind,
                ));
            }
            Content::Image(image) => said.images.push(format!("{:?}", image.source)),
            Content::Audio(audio) => {
                said.sounds.push(format!("{:?} {:?} {:?}", audio.source, audio.transcript, audio.id));
            }
            other => panic!("{other:?}"),
        }
    }
    said
}

/// Arguments that were cut off stream as they are. A whole answer has no place for them but as a text
/// inside of others, where arguments are an object.
fn whole_arguments(arguments: &str) -> Cow<'_, str> {
    match serde_json::from_str::<serde_json::Value>(arguments) {
        Ok(_) => Cow::Borrowed(arguments),
        Err(_) => Cow::Owned(serde_json::json!({ "arguments": arguments }).to_string()),
    }
}

fn owned(reasoning: &Reasoning<'_>) -> Reasoning<'static> {
    let text = |text: &str| Cow::Owned(text.to_owned());
    Reasoning {
        id: reasoning.id.as_deref().map(text),
        text: text(&reasoning.text),
        summary: reasoning.summary.iter().map(|piece| text(piece)).collect(),
        proof: reasoning.proof.as_ref().map(|proof| Proof {
            format: text(&proof.format),
            kind: proof.kind,
            data: text(&proof.data),
        }),
    }
}

fn streamed(answer: &Answer<'_>, client: Protocol) -> Vec<u8> {
    let target = StreamTarget {
        id_fallback: "fallback-1",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        show_usage: true,
        form: StreamForm::Events,
        legacy_functions: false,
    };
    let mut writer = stream_writer(client, &target);
    let (mut out, mut losses) = (Vec::new(), Vec::new());
    replay(answer, &mut |event| writer.write(&event, &mut out, &mut losses).unwrap());
    writer.complete(&mut out, &mut losses);
    out
}

/// Replays an answer to a client, and compares that with the whole answer.
fn streams_as_whole(answer: &Answer<'_>, client: Protocol) -> Result<(), TestCaseError> {
    let stream = streamed(answer, client);
    prop_assert_eq!(check(client, &stream), Ok(Verdict::EndedWell));
    let (folder, end) = fold_stream(client, Framing::Sse, &stream, 1 << 20);
    prop_assert!(end.is_ok(), "{:?}", end);
    says_the_whole(&folder.answer(), answer, client)
}

/// Whether what came of a stream to a client is what the whole answer is for it.
pub(crate) fn says_the_whole(
    folded: &Answer<'_>,
    answer: &Answer<'_>,
    client: Protocol,
) -> Result<(), TestCaseError> {
    let mut losses = Losses::new(answer.source, client);
    let target = AnswerTarget::new("fallback-1", 1_700_000_000).model("asked-for");
    let whole = adapter(client).encode_answer(answer, &target, &mut losses);
    let whole = Raw::parse(std::str::from_utf8(&whole).unwrap(), &ScanLimits::default()).unwrap();
    let whole = adapter(client).decode_answer(whole).unwrap();

    prop_assert_eq!(&folded.id, &whole.id);
    // Where a name is required, none is an empty one.
    let model = |answer: &Answer<'_>| answer.model.as_deref().unwrap_or_default().to_owned();
    prop_assert_eq!(model(folded), model(&whole));
    let told = |answer: &Answer<'_>| answer.usage.map(|usage| (usage.prompt(), usage.answer()));
    prop_assert_eq!(told(folded).unwrap_or_default(), told(&whole).unwrap_or_default());
    prop_assert_eq!(folded.candidates.len(), whole.candidates.len());
    for (folded, whole) in folded.candidates.iter().zip(&whole.candidates) {
        prop_assert_eq!(said(folded), said(whole), "as {}", client);
    }
    Ok(())
}

#[test]
fn recorded_answers_are_replayed_as_they_are_whole() {
    for provider in Protocol::ALL {
        for (name, whole) in recorded(provider, "response.json") {
            let whole = std::str::from_utf8(&whole).unwrap();
            let root = Raw::parse(whole, &ScanLimits::default()).unwrap();
            let Ok(answer) = adapter(provider).decode_answer(root) else { continue };
            for client in clients_of(provider) {
                streams_as_whole(&answer, client).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

#[test]
fn recorded_streams_are_bridged_to_what_their_answers_are_whole() {
    for provider in Protocol::ALL {
        for (name, stream) in recorded(provider, "stream.sse") {
            let (folder, end) = fold_stream(provider, Framing::Sse, &stream, 1 << 24);
            if end.is_err() {
                continue;
            }
            for client in clients_of(provider) {
                let ran = run(&options(provider, client), [stream.as_slice()]);
                let (bridged, end) = fold_stream(client, Framing::Sse, &ran.bytes, 1 << 24);
                assert!(end.is_ok(), "{name}: {end:?}");
                says_the_whole(&bridged.answer(), &folder.answer(), client)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

/// The protocols that a provider's answers are translated to.
fn clients_of(provider: Protocol) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(move |client| client.is_clients() && *client != provider)
}

/// The events of an answer, written for each client, say what the whole answer says.
fn assert_replay_is_the_whole(mut answer: Answer<'static>) {
    for candidate in answer.candidates.iter_mut().skip(1) {
        // In a stream, a candidate that says nothing at all is not there.
        candidate.finish.get_or_insert(FinishReason::Stop);
    }
    for client in Protocol::ALL {
        let mut answer = answer.clone();
        if client == Protocol::BedrockConverse {
            // Of another protocol than the client's, whose streams have no sound.
            answer.source = Protocol::OpenAiChat;
            for candidate in &mut answer.candidates {
                candidate.parts.retain(|part| !matches!(part.content, Content::Audio(_)));
            }
        }
        streams_as_whole(&answer, client).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn assert_fold_gives_back(mut answer: Answer<'static>) {
    for candidate in &mut answer.candidates {
        // A candidate that says nothing at all is not there.
        candidate.finish.get_or_insert(FinishReason::Stop);
    }
    let mut folder = Folder::new(answer.source, 1 << 20);
    replay(&answer, &mut |event| folder.push(&event).unwrap());
    assert_eq!(folder.answer(), answer);
}

proptest! {
    #[test]
    fn a_replayed_answer_is_the_whole_answer(answer in answer()) {
        assert_replay_is_the_whole(answer);
    }

    #[test]
    fn folding_a_replay_gives_the_answer_back(answer in answer()) {
        assert_fold_gives_back(answer);
    }
}

/// What once broke these laws.
#[test]
fn answers_of_little_are_replayed() {
    let candidate = |contents: Vec<Content<'static>>| Candidate {
        parts: contents.into_iter().map(|content| Part::new(Place::NOWHERE, content)).collect(),
        ..Candidate::new(Place::NOWHERE)
    };
    let citation = Citation {
        place: Place::NOWHERE,
        span: None,
        title: None,
        quoted: None,
        source: CitationSource::Document { index: Some(0), file: None, span: None },
        bag: Bag::EMPTY,
    };
    let cited = Content::Text(Text { text: "\n".into(), citations: vec![citation] });
    let nameless = Content::ToolCall(ToolCall {
        id: "".into(),
        name: "a".into(),
        arguments: r#"{"a":1.0}"#.into(),
        kind: CallKind::Function,
    });
    let sealed = Content::Reasoning(Reasoning {
        id: Some("rs_1".into()),
        summary: vec![" ".into()],
        proof: Some(Proof::sealed(Proof::OPENAI, "ZGF0YQ==")),
        ..Reasoning::default()
    });
    let wordless = Content::Audio(Audio::new(source("audio/wav")));
    let signed = Content::Reasoning(Reasoning {
        proof: Some(Proof::signature(Proof::GEMINI, "Y2FsbA==")),
        ..Reasoning::default()
    });
    for candidates in [
        vec![candidate(vec![])],
        vec![candidate(vec![wordless, signed])],
        vec![candidate(vec![cited, nameless])],
        vec![candidate(vec![Content::Text(Text { text: "\\".into(), citations: Vec::new() })])],
        vec![candidate(vec![]), candidate(vec![sealed])],
    ] {
        let answer =
            Answer { candidates, created: Some(1_700_000_000), ..Answer::new(Protocol::BedrockConverse) };
        assert_replay_is_the_whole(answer.clone());
        assert_fold_gives_back(answer);
    }
}
