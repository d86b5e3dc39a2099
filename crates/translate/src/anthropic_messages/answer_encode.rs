//! The canonical answer, written as a whole answer.
//! <https://docs.anthropic.com/en/api/messages#response-id>

use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::{MESSAGE, usage};
use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::LossKind;

use super::blocks_encode::{self, Blocks};
use super::finish;
use crate::answer::{report_usage, usage_as_told};
use crate::conversation::{Proof, ServiceTier};
use crate::{Answer, AnswerTarget, Candidate, Content, Losses, Part, Place, StopDetails, tool_id};

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("id").string(answer.id.as_deref().unwrap_or(target.id_fallback));
    object.key("type").string(MESSAGE);
    object.key("role").string("assistant");
    object.key("model").string(target.model_of(answer.model.as_deref()));
    let mut content = object.key("content").array();
    if let Some(candidate) = answer.candidates.first() {
        blocks(candidate, target, &mut content, losses);
    }
    drop(content);
    for candidate in answer.candidates.iter().skip(1) {
        losses.dropped(candidate.place, "one answer can be given", "several answers to one request");
    }
    let first = answer.candidates.first();
    stop_reason(first, &mut object, losses);
    if let Some(details) = first.and_then(|candidate| candidate.stop_details.as_ref()) {
        stop_details(details, &mut object, losses);
    }
    if let Some(token) = first.and_then(|candidate| candidate.logprobs.first()) {
        losses.dropped(token.place, "probabilities of tokens cannot be told", "probabilities of tokens");
    }
    write_usage(answer, &mut object, losses);
    for candidate in answer.candidates.iter().take(1) {
        losses.write_bag(&candidate.bag, &mut object);
    }
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    out
}

/// Why Google's signature of an answer's last text is left out, and what it would need. It is one that
/// need not come back: <https://ai.google.dev/gemini-api/docs/thought-signatures>. Clients take the last
/// block for the answer, and Claude Code then prints nothing.
pub(super) const TRAILING_SIGNATURE: (&str, &str) =
    ("an answer does not end with thinking", "a signature of the last text");

fn is_bare_signature(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Reasoning(reasoning) => {
            let is_googles = reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::GEMINI));
            is_googles && reasoning.visible().is_empty()
        }
        _ => false,
    }
}

/// Whether a part is the last of several. Sounds count, on either side of it: they might have words, so that a stream
/// makes a block of each before it is known to have none.
fn ends_others(last: &Part<'_>, blocks: usize, parts: &[Part<'_>]) -> bool {
    let is_sound = |part: &Part<'_>| matches!(part.content, Content::Audio(_));
    let at = parts.iter().position(|part| std::ptr::eq(part, last)).unwrap_or(parts.len());
    let (before, behind) = parts.split_at(at);
    (blocks > 1 || before.iter().any(is_sound)) && !behind.iter().any(is_sound)
}

fn blocks<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    let mut blocks = Blocks::ANSWER;
    let mut calls = 0_usize;
    let mut parts = blocks.expressible(&candidate.parts, losses);
    if let [.., last] = parts.as_slice()
        && is_bare_signature(last)
        && ends_others(last, parts.len(), &candidate.parts)
    {
        losses.dropped(last.place, TRAILING_SIGNATURE.0, TRAILING_SIGNATURE.1);
        parts.pop();
    }
    for part in parts {
        match &part.content {
            Content::ToolCall(call) => {
                let mut object = list.item().object();
                let id = match call.id.is_empty() {
                    true => tool_id::fallback(target.id_fallback, calls).into(),
                    false => tool_id::legal(&call.id),
                };
                calls += 1;
                blocks_encode::tool_use(call, &id, part, &mut object, losses);
                losses.write_bag(&part.bag, &mut object);
            }
            _ => blocks.block(part, list, losses),
        }
    }
}

fn stop_reason<'a>(candidate: Option<&Candidate<'a>>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let seen = candidate.map(Candidate::seen).unwrap_or_default();
    let Some(reason) = candidate.and_then(|candidate| candidate.finish.as_ref()) else {
        losses.report(
            candidate.map_or(Place::NOWHERE, |candidate| candidate.place),
            LossKind::Defaulted,
            "the provider did not say why the answer ended",
            "an answer without a stop reason",
        );
        object.key("stop_reason").string(finish::ended(seen));
        return object.key("stop_sequence").null();
    };
    let told = candidate.and_then(|candidate| as_told(candidate, losses));
    if let Some((word, sequence)) = told {
        object.key("stop_reason").string(&word);
        return object.key("stop_sequence").string_or_null(sequence.as_deref());
    }
    let (written, lost) = finish::write(reason, seen);
    if let (Some(why), Some(candidate)) = (lost, candidate) {
        losses.report(candidate.place, LossKind::Approximated, why, "a stop reason that says so");
    }
    object.key("stop_reason").string(written);
    object.key("stop_sequence").string_or_null(finish::sequence(reason));
}

/// The provider's own words for why the answer ended, where they go back to their own protocol and
/// say what the answer says.
fn as_told<'a>(
    candidate: &Candidate<'a>,
    losses: &Losses<'a>,
) -> Option<(Cow<'a, str>, Option<Cow<'a, str>>)> {
    let body = candidate.place.raw().filter(|_| losses.is_same_protocol())?;
    let word = body.get("stop_reason")?.str().ok()?;
    let sequence = body.get("stop_sequence").and_then(|sequence| sequence.str().ok());
    let reason = finish::read(&word, sequence.as_deref());
    (candidate.finish == Some(reason)).then_some((word, sequence))
}

/// The categories are a closed list of Anthropic's.
fn stop_details<'a>(details: &StopDetails<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut object = object.key("stop_details").object();
    object.key("type").string("refusal");
    let category = details.category.as_deref().filter(|_| losses.is_same_protocol());
    object.key("category").string_or_null(category);
    if category.is_none() && details.category.is_some() {
        losses.dropped(details.place, "the category has no counterpart", "such categories of refusals");
    }
    object.key("explanation").string_or_null(details.explanation.as_deref());
    losses.write_bag(&details.bag, &mut object);
}

/// `usage` is required: what nobody told is written as zero, and reported.
fn write_usage<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if let Some(raw) = usage_as_told(answer, usage::read, losses) {
        return object.key("usage").raw(raw.text());
    }
    if answer.usage.is_none() {
        losses.report(
            Place::NOWHERE,
            LossKind::Defaulted,
            "the provider told no usage: it stands as zero",
            "an answer without usage",
        );
    }
    let told = answer.usage.unwrap_or_default();
    let tier = answer.service_tier.as_ref().and_then(|tier| {
        if losses.is_same_protocol() {
            return Some(tier.value.as_ref());
        }
        let name = tier_name(&tier.value);
        if name.is_none() {
            losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
        }
        name
    });
    usage::write_with_tier(&told, tier, object.key("usage"));
    report_usage(answer, &usage::UNTOLD, losses);
}

/// The name here of a tier that has another one elsewhere.
pub(super) fn tier_name(name: &str) -> Option<&'static str> {
    match ServiceTier::named(name.into()) {
        ServiceTier::Standard => Some("standard"),
        ServiceTier::Priority => Some("priority"),
        ServiceTier::Auto | ServiceTier::Flex | ServiceTier::Other(_) => None,
    }
}
