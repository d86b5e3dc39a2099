//! The canonical answer, written as a whole answer.
//! <https://platform.openai.com/docs/api-reference/chat/object>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Object, Raw, Writer};
use weighbridge_protocol::openai_chat::{OBJECT, usage};
use weighbridge_units::LossKind;

use super::content_encode::{self, Takes};
use super::{cache_mark, citations, finish, logprobs, message_encode, reasoning};
use crate::answer::{report_usage, usage_as_told};
use crate::conversation::{Audio, CallKind, CitationSource, MediaSource, ServiceTier, Text, ToolCall};
use crate::{Answer, AnswerTarget, Candidate, Content, FinishReason, Losses, Part, Place, tool_id};

/// An answer has no marks for a cache.
const TAKES: Takes = Takes { marks: cache_mark::Marks::No, more_content: true, developer: true };

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("id").string(answer.id.as_deref().unwrap_or(target.id_fallback));
    object.key("object").string(OBJECT);
    object.key("created").number(answer.created.unwrap_or(target.created));
    object.key("model").string(target.model_of(answer.model.as_deref()));
    let mut choices = object.key("choices").array();
    for (index, candidate) in answer.candidates.iter().enumerate() {
        let mut choice = choices.item().object();
        choice.key("index").number(index as u64);
        self::choice(candidate, target, &mut choice, losses);
    }
    drop(choices);
    if let Some(raw) = usage_as_told(answer, usage::read, losses) {
        object.key("usage").raw(raw.text());
    } else if let Some(told) = &answer.usage {
        usage::write(told, object.key("usage"));
        report_usage(answer, &usage::UNTOLD, losses);
    }
    service_tier(answer, &mut object, losses);
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    out
}

fn choice<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    choice: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let rest = Rest::of(candidate, losses);
    let mut object = choice.key("message").object();
    object.key("role").string("assistant");
    message(candidate, target, &mut object, losses);
    rest.message.iter().for_each(|(name, value)| object.key(name).raw(value.text()));
    drop(object);
    if candidate.logprobs.is_empty() && rest.logprobs.is_empty() {
        // Required, though it may be null; a bag that is kept may have its own.
        if !rest.choice.iter().any(|(name, _)| *name == "logprobs") {
            choice.key("logprobs").null();
        }
    } else {
        logprobs::write(&candidate.logprobs, &rest.logprobs, choice, &mut |bag: &Bag<'a>, object| {
            losses.write_bag(bag, object)
        });
    }
    choice.key("finish_reason").string(&finish_reason(candidate, target, losses));
    rest.choice.iter().for_each(|(name, value)| choice.key(name).raw(value.text()));
    if losses.is_same_protocol() {
        losses.superseded(&candidate.bag);
    } else {
        losses.bag(&candidate.bag);
    }
}

/// What is kept of a candidate for its own protocol, by the object that it stood in.
#[derive(Default)]
struct Rest<'p, 'a> {
    choice: Vec<(&'p str, Raw<'a>)>,
    message: Vec<(&'p str, Raw<'a>)>,
    logprobs: Vec<(&'p str, Raw<'a>)>,
}

impl<'p, 'a> Rest<'p, 'a> {
    fn of(candidate: &'p Candidate<'a>, losses: &Losses<'a>) -> Self {
        let mut rest = Self::default();
        if !losses.keeps(&candidate.bag) {
            return rest;
        }
        let inner = |name: &str| -> Place<'a> {
            candidate.place.raw().and_then(|choice| choice.get(name)).map_or(Place::NOWHERE, Place::from)
        };
        let (message, logprobs) = (inner("message"), inner("logprobs"));
        for (name, value) in candidate.bag.iter() {
            let object = match name {
                _ if message.holds(value) => &mut rest.message,
                // The whole of it, where it is something else.
                "logprobs" => &mut rest.choice,
                _ if logprobs.holds(value) => &mut rest.logprobs,
                _ => &mut rest.choice,
            };
            object.push((name, value));
        }
        rest
    }
}

/// What the model said: one text, one refusal, its sound, images, reasoning and calls.
fn message<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut texts: Vec<&Text<'a>> = Vec::new();
    let mut refusals: Vec<&str> = Vec::new();
    let (mut calls, mut images): (Vec<&Part<'a>>, Vec<&Part<'a>>) = (Vec::new(), Vec::new());
    let mut sound = None;
    message_encode::report_moved(&candidate.parts, losses);
    for part in &candidate.parts {
        match &part.content {
            Content::Text(text) => texts.push(text),
            Content::Refusal(text) => refusals.push(text),
            Content::ToolCall(_) => {
                calls.push(part);
                continue;
            }
            // Written by itself.
            Content::Reasoning(_) => continue,
            Content::Image(image) if content_encode::is_reachable(&image.source, false) => {
                images.push(part);
                continue;
            }
            Content::Audio(audio) if sound.is_none() && is_sound(audio) => sound = Some((part, audio)),
            Content::Unknown { name, raw } => losses.unknown(*raw, "content", name),
            _ => losses.dropped(part.place, "it cannot stand in an answer", "such parts in an answer"),
        }
        if sound.is_none_or(|(spoken, _)| !std::ptr::eq(spoken, part)) {
            losses.bag(&part.bag);
        }
    }
    let explanation = explanation(candidate, losses);
    refusals.extend(explanation);
    // Pieces of one text, split by citations for instance: anything between them would change it.
    let is_empty = calls.is_empty() && refusals.is_empty() && sound.is_none() && images.is_empty();
    let text = (!texts.is_empty() || is_empty)
        .then(|| texts.iter().map(|text| text.text.as_ref()).collect::<String>());
    object.key("content").string_or_null(text.as_deref());
    let refusal = (!refusals.is_empty()).then(|| refusals.concat());
    object.key("refusal").string_or_null(refusal.as_deref());
    annotations(&texts, object, losses);
    let same = losses.is_same_protocol();
    let id_of = |call: &ToolCall<'a>, index| match call.id.is_empty() && !same {
        true => tool_id::fallback(target.id_fallback, index),
        false => call.id.to_string(),
    };
    reasoning::write(&candidate.parts, &id_of, object, losses);
    if let Some((part, audio)) = sound {
        self::audio(part, audio, target, object, losses);
    }
    if !images.is_empty() {
        let mut list = object.key("images").array();
        for (index, part) in images.iter().enumerate() {
            if let Content::Image(image) = &part.content {
                let mut object = list.item().object();
                object.key("type").string("image_url");
                content_encode::image(image, object.key("image_url"));
                object.key("index").number(index as u64);
                losses.write_bag(&part.bag, &mut object);
            }
        }
    }
    if target.legacy_functions {
        function_call(&calls, object, losses);
    } else {
        tool_calls(&calls, target, object, losses);
    }
}

/// Clients answer a call by its id: one without gets one.
fn tool_calls<'a>(
    calls: &[&Part<'a>],
    target: &AnswerTarget<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let is_named = |part: &&Part<'a>| matches!(&part.content, Content::ToolCall(call) if !call.id.is_empty());
    if losses.is_same_protocol() || calls.iter().all(is_named) {
        return message_encode::tool_calls(calls, TAKES, object, losses);
    }
    let mut list = object.key("tool_calls").array();
    for (index, part) in calls.iter().enumerate() {
        if let Content::ToolCall(call) = &part.content {
            let mut object = list.item().object();
            let made = tool_id::fallback(target.id_fallback, index);
            let id = if call.id.is_empty() { &made } else { call.id.as_ref() };
            message_encode::tool_call(call, id, &mut object);
            losses.write_bag(&part.bag, &mut object);
        }
    }
}

/// The form before tools: one call, without an id.
fn function_call<'a>(calls: &[&Part<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    for (index, part) in calls.iter().enumerate() {
        let Content::ToolCall(call) = &part.content else { continue };
        if index > 0 || call.kind == CallKind::Custom {
            losses.dropped(part.place, "the client's form of calls has room for one", "several calls");
            continue;
        }
        let mut object = object.key("function_call").object();
        object.key("name").string(&call.name);
        object.key("arguments").string(message_encode::arguments(call));
        losses.write_bag(&part.bag, &mut object);
    }
}

fn annotations<'a>(texts: &[&Text<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut all = texts.iter().flat_map(|text| &text.citations);
    if !all.any(citations::is_expressible) {
        return texts.iter().for_each(|text| {
            text.citations.iter().for_each(|citation| {
                debug_assert!(!matches!(citation.source, CitationSource::Url(_)), "it is expressible");
                losses.dropped(citation.place, "only addresses can be cited", "citations of documents");
            });
        });
    }
    let mut list = object.key("annotations").array();
    let mut offset = 0;
    for text in texts {
        let length = text.text.chars().count() as u64;
        citations::write(&text.citations, offset, length, &mut list, losses);
        offset += length;
    }
}

/// Whether the bytes of a sound are here.
fn is_sound(audio: &Audio<'_>) -> bool {
    matches!(audio.source, MediaSource::Base64 { .. })
}

fn audio<'a>(
    part: &Part<'a>,
    audio: &Audio<'a>,
    target: &AnswerTarget<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut object = object.key("audio").object();
    object.key("id").string(audio.id.as_deref().unwrap_or(target.id_fallback));
    if let MediaSource::Base64 { data, .. } = &audio.source {
        object.key("data").string(data);
    }
    // Nobody keeps the sound under an id of ours.
    object.key("expires_at").number(audio.expires_at.unwrap_or(target.created));
    object.key("transcript").string(audio.transcript.as_deref().unwrap_or_default());
    losses.write_bag(&part.bag, &mut object);
}

/// Why the model refused, where it has not said so itself: the provider's words stand as a refusal.
fn explanation<'p, 'a>(candidate: &'p Candidate<'a>, losses: &mut Losses<'a>) -> Option<&'p str> {
    let details = candidate.stop_details.as_ref()?;
    losses.bag(&details.bag);
    if details.category.is_some() {
        losses.dropped(details.place, "the category of a refusal cannot be said", "categories of refusals");
    }
    let explanation = details.explanation.as_deref()?;
    if candidate.seen().refusal {
        losses.dropped(details.place, "why an answer ended cannot be explained", "explanations of the end");
        return None;
    }
    losses.report(
        details.place,
        LossKind::Approximated,
        "the provider's explanation stands as the model's refusal",
        "explanations of the end",
    );
    Some(explanation)
}

fn finish_reason<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    losses: &mut Losses<'a>,
) -> Cow<'a, str> {
    if let Some(word) = as_told(candidate, losses) {
        return finish::for_client(word, target.legacy_functions);
    }
    let seen = candidate.seen();
    let written = if let Some(reason) = &candidate.finish {
        let (written, lost) = finish::write(reason, seen);
        if let Some(why) = lost {
            losses.report(candidate.place, LossKind::Approximated, why, needed(reason));
        }
        written
    } else {
        losses.report(
            candidate.place,
            LossKind::Defaulted,
            "the provider did not say why the answer ended",
            "an answer without a finish reason",
        );
        finish::ended(seen)
    };
    finish::for_client(written.into(), target.legacy_functions)
}

/// The provider's own word for why the answer ended, where it goes back to its own protocol and says
/// what the answer says.
fn as_told<'a>(candidate: &Candidate<'a>, losses: &Losses<'a>) -> Option<Cow<'a, str>> {
    let choice = candidate.place.raw().filter(|_| losses.is_same_protocol())?;
    let word = choice.get("finish_reason")?.str().ok()?;
    let reason = (!word.is_empty()).then(|| finish::read(&word));
    (candidate.finish == reason).then_some(word)
}

fn needed(reason: &FinishReason) -> String {
    match reason {
        FinishReason::Other(name) => {
            format!("a finish reason like `{}`", name.chars().take(64).collect::<String>())
        }
        _ => "a finish reason that says so".to_owned(),
    }
}

/// The tiers of all protocols under this one's names: `default` is Anthropic's `standard`.
fn service_tier<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let Some(tier) = &answer.service_tier else { return };
    if losses.is_same_protocol() {
        return object.key("service_tier").string(&tier.value);
    }
    match tier_name(&tier.value) {
        Some(name) => object.key("service_tier").string(name),
        None => losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier"),
    }
}

/// The name here of a tier that has another one elsewhere.
pub(super) fn tier_name(name: &str) -> Option<&'static str> {
    match ServiceTier::named(name.into()) {
        ServiceTier::Standard => Some("default"),
        ServiceTier::Priority => Some("priority"),
        ServiceTier::Flex => Some("flex"),
        ServiceTier::Auto | ServiceTier::Other(_) => None,
    }
}
