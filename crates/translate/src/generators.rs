//! Generators of canonical conversations and answers, for the laws.

mod parts;
mod wishes;

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::{Bag, Raw, ScanLimits};
use weighbridge_units::{Bucket, Protocol, Usage};

use self::parts::{cited_texts, id, image, message, part, rarely, reasoning, refusal, tool_call};
use crate::conversation::{Audio, MediaSource, TokenLogprob};
use crate::{Answer, Candidate, Content, Conversation, FinishReason, Part, Place, Placed, StopDetails};

/// A value that lives as long as the test run.
pub(crate) fn raw(text: impl Into<String>) -> Raw<'static> {
    Raw::parse(Box::leak(text.into().into_boxed_str()), &ScanLimits::default()).unwrap()
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof!["[a-z ]{1,8}[a-z]", "\\PC{1,6}", Just("\"quoted\"\n\\ \u{1}é😀".to_owned())]
        .prop_map(Cow::Owned)
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
    (wishes::wishes(), vec(message(), 0..6))
        .prop_map(|(wishes, messages)| Conversation { messages, ..wishes })
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

fn logprob(top: usize) -> BoxedStrategy<TokenLogprob<'static>> {
    let top = if top == 0 { Just(Vec::new()).boxed() } else { vec(logprob(0), 0..3).boxed() };
    (text(), prop::sample::select(vec!["-0.5", "-1e-3", "0.0"]), option::of(Just("[104,105]")), top)
        .prop_map(|(token, logprob, bytes, top)| TokenLogprob {
            place: Place::NOWHERE,
            token,
            logprob: Some(raw(logprob)),
            bytes: bytes.map(raw),
            top,
            bag: Bag::EMPTY,
        })
        .boxed()
}

fn stop_details() -> impl Strategy<Value = StopDetails<'static>> {
    (option::of(Just(Cow::Borrowed("cyber"))), option::of(text()))
        .prop_map(|(category, explanation)| StopDetails { category, explanation, ..StopDetails::default() })
}

/// What the model speaks or draws.
fn made() -> impl Strategy<Value = Part<'static>> {
    let sound = (option::of(id()), option::of(text())).prop_map(|(id, transcript)| {
        let source = MediaSource::Base64 { media_type: "".into(), data: "aGk=".into() };
        Content::Audio(Audio { id, transcript, ..Audio::new(source) })
    });
    prop_oneof![sound, image()].prop_map(part)
}

fn candidate() -> impl Strategy<Value = Candidate<'static>> {
    let parts = (
        option::weighted(0.15, vec(reasoning(), 1..3)),
        cited_texts(),
        refusal(),
        rarely(made()),
        vec(tool_call(), 0..3),
    )
        .prop_map(|(reasoning, texts, refusal, made, calls)| {
            let reasoning = reasoning.unwrap_or_default();
            reasoning.into_iter().chain(texts).chain(refusal).chain(made).chain(calls).collect()
        });
    let logprobs = rarely(vec(logprob(1), 1..3)).prop_map(Option::unwrap_or_default);
    (parts, option::weighted(0.9, finish()), rarely(stop_details()), logprobs).prop_map(
        |(parts, finish, stop_details, logprobs)| Candidate {
            parts,
            finish,
            stop_details,
            logprobs,
            ..Candidate::new(Place::NOWHERE)
        },
    )
}

pub(crate) fn answer() -> impl Strategy<Value = Answer<'static>> {
    let candidates = prop_oneof![9 => vec(candidate(), 1), 1 => vec(candidate(), 2..4)];
    let tier = rarely(prop::sample::select(vec!["default", "standard", "priority", "flex", "batch"]));
    let head = (protocol(), option::of(id()), option::weighted(0.9, Just("m")));
    (head, candidates, option::weighted(0.9, usage()), tier, bag()).prop_map(
        |((source, id, model), candidates, usage, tier, bag)| Answer {
            id,
            model: model.map(Cow::Borrowed),
            created: Some(1_700_000_000),
            candidates,
            usage,
            service_tier: tier.map(|tier| Placed::nowhere(Cow::Borrowed(tier))),
            bag,
            ..Answer::new(source)
        },
    )
}
