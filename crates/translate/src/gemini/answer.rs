//! Whole answers, to and from the canonical model.
//! <https://ai.google.dev/api/generate-content#generatecontentresponse>

use std::borrow::Cow;

use weighbridge_protocol::gemini::{MODEL, finish as wire, usage};
use weighbridge_protocol::json::{Array, Bag, Fields, Object, Raw, ReadError, Writer};
use weighbridge_units::{Bucket, LossKind, Protocol, Usage};

use super::content_encode::{self, Reader, expressible};
use super::nested::{Leftovers, nest};
use super::{citations, content_decode, finish, logprobs, time};
use crate::answer::{report_usage, usage_rest};
use crate::bags::append;
use crate::{
    Answer, AnswerFacts, AnswerTarget, Candidate, Content, FinishReason, Losses, Part, Placed, StopDetails,
};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    must_say_something(&fields)?;
    let listed: Vec<Raw<'_>> = fields.offer("candidates").unwrap_or_default();
    let mut candidates: Vec<Candidate<'_>> = listed.into_iter().filter_map(candidate).collect();
    let mut answer = Answer::new(Protocol::GeminiGenerateContent);
    if let Some(feedback) = fields.offer::<Raw<'_>>("promptFeedback").filter(|raw| !raw.is_null()) {
        let blocked = blocked(feedback, &mut answer.bag);
        candidates.extend(blocked.filter(|_| candidates.is_empty()));
    }
    let raw_usage = fields.offer::<Raw<'_>>("usageMetadata").filter(|usage| !usage.is_null());
    let searches = candidates.iter().flat_map(|candidate| grounding_of(&candidate.bag)).map(usage::searches);
    answer.usage = raw_usage.map(|raw| with_searches(usage::read(raw), searches.sum()));
    if let Some(raw) = raw_usage {
        answer.usage_place = raw.into();
        answer.service_tier = tier(raw);
        answer.usage_bag = rest_of_usage(raw, answer.service_tier.is_some());
    }
    answer.id = fields.offer("responseId");
    answer.model = fields.offer("modelVersion");
    answer.created = created(&mut fields, &mut answer.bag);
    answer.candidates = candidates;
    append(&mut answer.bag, fields.rest());
    Ok(answer)
}

/// Everything is optional, but a document with nothing of all this is no answer.
fn must_say_something(fields: &Fields<'_>) -> Result<(), ReadError> {
    let known = ["candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion"];
    if known.iter().any(|name| fields.peek(name).is_some()) {
        return Ok(());
    }
    Err(ReadError::missing(fields.raw(), "candidates"))
}

fn with_searches(mut usage: Usage, searches: u64) -> Usage {
    if searches > 0 {
        usage.set(Bucket::WebSearch, searches);
    }
    usage
}

fn tier(usage: Raw<'_>) -> Option<Placed<'_, Cow<'_, str>>> {
    let place = usage.get("serviceTier").or_else(|| usage.get("trafficType"))?;
    Some(Placed { value: usage::service_tier(usage)?, place: place.into() })
}

fn rest_of_usage(usage: Raw<'_>, has_tier: bool) -> Bag<'_> {
    let known: &[&str] = if has_tier { &["trafficType"] } else { &[] };
    usage_rest(usage, &[&usage::FIELDS[..], known].concat(), &[])
}

fn created<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Option<i64> {
    let raw: Raw<'a> = fields.offer("createTime")?;
    let text = raw.str().unwrap_or_default();
    let seconds = time::seconds(&text);
    if seconds.is_none_or(|seconds| time::text(seconds) != text) {
        // Fractions of a second are kept for the way back.
        bag.push("createTime", raw);
    }
    seconds
}

/// A prompt that was refused has no candidates; it is one that a filter left nothing of.
fn blocked<'a>(feedback: Raw<'a>, bag: &mut Bag<'a>) -> Option<Candidate<'a>> {
    let Ok(mut fields) = Fields::read(feedback) else {
        bag.push("promptFeedback", feedback);
        return None;
    };
    let reason: Option<Cow<'a, str>> = fields.offer("blockReason");
    let explanation = fields.offer("blockReasonMessage");
    bag.push("promptFeedback", feedback);
    append(bag, fields.rest());
    let category = Some(reason?);
    let details = StopDetails { place: feedback.into(), category, explanation, bag: Bag::EMPTY };
    Some(Candidate {
        finish: Some(FinishReason::ContentFilter),
        stop_details: Some(details),
        ..Candidate::new(feedback)
    })
}

fn candidate(raw: Raw<'_>) -> Option<Candidate<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    let mut bag = Bag::EMPTY;
    let mut parts = Vec::new();
    if let Some(mut content) = fields.offer::<Fields<'_>>("content") {
        let object = content.raw();
        let _role: Option<Raw<'_>> = content.offer("role");
        parts = content.offer::<Raw<'_>>("parts").map(content_decode::of_answer).unwrap_or_default();
        nest(&mut bag, "content", object, content.rest());
    }
    let _place: Option<Raw<'_>> = fields.offer("index");
    let reason: Option<Placed<'_, Cow<'_, str>>> = fields.offer("finishReason");
    let finish = reason.as_ref().map(|reason| finish::read(&reason.value, has_calls(&parts)));
    let stop_details = stop_details(reason.as_ref(), raw, &mut fields);
    let logprobs = logprobs::take(&mut fields, &mut bag);
    cite(&mut fields, &mut parts, &mut bag);
    append(&mut bag, fields.rest());
    Some(Candidate { parts, finish, stop_details, logprobs, bag, ..Candidate::new(raw) })
}

fn has_calls(parts: &[Part<'_>]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)))
}

/// What the reason says beyond what it means, and the sentence beside it; that the model called tools needs
/// none.
fn stop_details<'a>(
    reason: Option<&Placed<'a, Cow<'a, str>>>,
    candidate: Raw<'a>,
    fields: &mut Fields<'a>,
) -> Option<StopDetails<'a>> {
    let category = reason.and_then(|reason| finish::category(&reason.value));
    let is_usual = fields.peek("finishMessage").is_some_and(finish::is_usual_message);
    let explanation: Option<Cow<'a, str>> = if is_usual { None } else { fields.offer("finishMessage") };
    (category.is_some() || explanation.is_some()).then(|| StopDetails {
        place: reason.map_or(candidate.into(), |reason| reason.place),
        category: category.map(|name| Cow::Owned(name.to_owned())),
        explanation,
        bag: Bag::EMPTY,
    })
}

/// Gives the texts their sources. The metadata itself stays in the bag, for the way back.
fn cite<'a>(fields: &mut Fields<'a>, parts: &mut [Part<'a>], bag: &mut Bag<'a>) {
    let grounding: Option<Raw<'a>> = fields.offer("groundingMetadata");
    let recitation: Option<Raw<'a>> = fields.offer("citationMetadata");
    if grounding.is_none() && recitation.is_none() {
        return;
    }
    let said = citations::said(parts);
    let mut cited = Vec::new();
    if let Some(metadata) = grounding {
        cited.extend(citations::grounding(metadata, &said));
        citations::keep("groundingMetadata", metadata, &said, bag);
    }
    if let Some(metadata) = recitation {
        cited.extend(citations::recitation(metadata, &said));
        citations::keep("citationMetadata", metadata, &said, bag);
    }
    for (part, citation) in cited {
        if let Some(Part { content: Content::Text(text), .. }) = parts.get_mut(part as usize) {
            text.citations.push(citation);
        }
    }
}

fn grounding_of<'a>(bag: &Bag<'a>) -> Option<Raw<'a>> {
    bag.iter().find(|(name, _)| *name == "groundingMetadata").map(|(_, value)| value)
}

pub(super) fn facts(mut fields: Fields<'_>) -> Result<AnswerFacts, ReadError> {
    must_say_something(&fields)?;
    let raw_usage = fields.offer::<Raw<'_>>("usageMetadata").filter(|usage| !usage.is_null());
    let candidates: Vec<Raw<'_>> = fields.offer("candidates").unwrap_or_default();
    let grounded = candidates.iter().filter_map(|candidate| candidate.get("groundingMetadata"));
    let searches = grounded.map(usage::searches).sum();
    let first = candidates.iter().find(|raw| Fields::read(**raw).is_ok());
    let is_blocked = || Some(fields.peek("promptFeedback")?.get("blockReason")?.str().is_ok());
    let finish = match first {
        Some(first) => finish_of(*first),
        None => is_blocked().filter(|is| *is).map(|_| FinishReason::ContentFilter),
    };
    Ok(AnswerFacts {
        finish,
        usage: raw_usage.map(|raw| with_searches(usage::read(raw), searches)),
        service_tier: raw_usage.and_then(usage::service_tier).map(Cow::into_owned),
        id: fields.offer("responseId"),
        model: fields.offer("modelVersion"),
    })
}

fn finish_of(candidate: Raw<'_>) -> Option<FinishReason> {
    let reason = candidate.get("finishReason")?.str().ok()?;
    let parts = candidate.get("content").and_then(|content| content.get("parts"));
    // Only here do the parts matter, and only where one may be a call.
    let has_calls = reason == wire::STOP
        && parts
            .filter(|parts| parts.text().contains("\"function"))
            .is_some_and(|parts| has_calls(&content_decode::of_answer(parts)));
    Some(finish::read(&reason, has_calls))
}

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    let left = Leftovers::new(&answer.bag, losses);
    let feedback = left.get(None, "promptFeedback");
    if !is_blocked_prompt(answer, feedback) {
        let mut list = object.key("candidates").array();
        for (index, candidate) in answer.candidates.iter().enumerate() {
            self::write(candidate, index, &mut list, losses);
        }
    }
    if let Some(feedback) = feedback {
        object.key("promptFeedback").raw(feedback.text());
    }
    match (&answer.usage, &answer.service_tier) {
        (Some(told), _) => write_usage(answer, told, object.key("usageMetadata"), losses),
        (None, Some(tier)) if !usage::is_usual_tier(&tier.value) => {
            losses.dropped(
                tier.place,
                "the service tier stands in the usage, and there is none",
                "a service tier",
            );
        }
        (None, _) => {}
    }
    // An empty text is what others say for no text.
    let told = |text: &&str| losses.is_same_protocol() || !text.is_empty();
    let asked_for =
        Some(target.model_fallback).filter(|model| !model.is_empty() && !losses.is_same_protocol());
    if let Some(model) = answer.model.as_deref().filter(told).or(asked_for) {
        object.key("modelVersion").string(model);
    }
    if let Some(created) = answer.created.filter(|_| left.get(None, "createTime").is_none()) {
        object.key("createTime").string(&time::text(created));
    }
    // As in a stream: an answer of another provider has an id, even if that provider tells none.
    let made = (!losses.is_same_protocol()).then_some(target.id_fallback);
    if let Some(id) = answer.id.as_deref().filter(told).or(made) {
        object.key("responseId").string(id);
    }
    left.write_outside(&mut object);
    drop(object);
    out
}

/// Whether the only candidate stands for a prompt that was refused.
fn is_blocked_prompt(answer: &Answer<'_>, feedback: Option<Raw<'_>>) -> bool {
    let [candidate] = answer.candidates.as_slice() else { return false };
    let is_blocked = feedback.is_some_and(|feedback| feedback.get("blockReason").is_some());
    is_blocked && candidate.parts.is_empty() && candidate.finish == Some(FinishReason::ContentFilter)
}

fn write<'a>(candidate: &Candidate<'a>, index: usize, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let left = Leftovers::new(&candidate.bag, losses);
    let mut object = list.item().object();
    let mut content = object.key("content").object();
    let parts = standing(&candidate.parts, losses);
    if !parts.is_empty() {
        content_encode::write(&parts, &Reader::Client, &mut content.key("parts").array(), losses);
        content.key("role").string(MODEL);
    }
    left.write_inside("content", &mut content);
    drop(content);
    finish_reason(candidate, &mut object, losses);
    object.key("index").number(index as u64);
    if !candidate.logprobs.is_empty() || left.is_needed("logprobsResult") {
        let mut result = object.key("logprobsResult").object();
        logprobs::write(&candidate.logprobs, &mut result, losses);
        left.write_inside("logprobsResult", &mut result);
    }
    grounding(candidate, &left, &mut object, losses);
    left.write_outside(&mut object);
}

/// What can stand in an answer.
fn standing<'p, 'a>(parts: &'p [Part<'a>], losses: &mut Losses<'a>) -> Vec<&'p Part<'a>> {
    let mut kept = expressible(parts, losses);
    kept.retain(|part| {
        let fits = !matches!(part.content, Content::ToolResult(_)) || losses.is_same_protocol();
        if !fits {
            losses.dropped(part.place, "it cannot stand in an answer", "such parts in an answer");
        }
        fits
    });
    kept
}

fn finish_reason<'a>(candidate: &Candidate<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let details = candidate.stop_details.as_ref();
    let category = details.and_then(|details| details.category.as_deref());
    let mut written = None;
    if let Some(reason) = &candidate.finish {
        let (value, lost) = match reason {
            FinishReason::Pause if losses.is_same_protocol() => (Cow::Borrowed(wire::CONTINUATION), None),
            FinishReason::Other(own) if losses.is_same_protocol() => (Cow::Borrowed(own.as_str()), None),
            _ => finish::write(reason, candidate.seen(), category),
        };
        object.key("finishReason").string(&value);
        if let Some(why) = lost {
            losses.report(candidate.place, LossKind::Approximated, why, "a finish reason that says so");
        }
        written = Some(value);
    } else if !losses.is_same_protocol() {
        // As in a stream: without a reason Google's SDKs take an answer for one that goes on.
        losses.report(
            candidate.place,
            LossKind::Defaulted,
            "the provider did not say why the answer ended",
            "an answer without a finish reason",
        );
        object.key("finishReason").string(wire::STOP);
    }
    let Some(details) = details else { return };
    if category.is_some() && category != written.as_deref() {
        losses.dropped(details.place, "the category of a refusal has no place", "categories of refusals");
    }
    if let Some(explanation) = &details.explanation {
        object.key("finishMessage").string(explanation);
    }
    losses.write_bag(&details.bag, object);
}

/// Writes what texts rest on: as it was read, where that is still true, else from the citations.
fn grounding<'a>(
    candidate: &Candidate<'a>,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let kept = ["groundingMetadata", "citationMetadata"].map(|name| (name, left.get(None, name)));
    if kept.iter().any(|(_, raw)| raw.is_some_and(|raw| citations::is_true_of(raw, &candidate.parts))) {
        for (name, raw) in kept {
            if let Some(raw) = raw {
                object.key(name).raw(raw.text());
            }
        }
        return;
    }
    let mut grounding = citations::Grounding::default();
    let mut offset = 0;
    for part in &candidate.parts {
        let text = match &part.content {
            Content::Text(text) => text,
            // A refusal is written as text.
            Content::Refusal(text) => {
                offset += text.len();
                continue;
            }
            _ => continue,
        };
        for citation in &text.citations {
            citations::report(citation, losses);
            if citations::is_expressible(citation) {
                grounding.add(citations::Source::of(citation), &text.text, offset);
            }
        }
        offset += text.text.len();
    }
    if !grounding.is_empty() {
        grounding.write(&mut object.key("groundingMetadata").object());
    }
}

/// Writes usage: as it was read, where it says the same, because modalities are not all told apart.
fn write_usage<'a>(answer: &Answer<'a>, told: &Usage, writer: Writer<'_>, losses: &mut Losses<'a>) {
    let searches = told.get(Bucket::WebSearch);
    let read = answer.usage_place.raw().filter(|_| losses.is_same_protocol());
    if let Some(raw) = read.filter(|raw| with_searches(usage::read(*raw), searches) == *told) {
        return writer.raw(raw.text());
    }
    let tier = answer.service_tier.as_ref().filter(|tier| !usage::is_usual_tier(&tier.value));
    let traffic = tier.and_then(|tier| usage::traffic(&tier.value));
    usage::write_with_traffic(told, traffic, writer);
    if let Some(tier) = tier.filter(|_| traffic.is_none()) {
        losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
    }
    let is_grounded = answer.candidates.iter().any(|candidate| grounding_of(&candidate.bag).is_some());
    let untold = usage::UNTOLD.into_iter().filter(|bucket| {
        // Searches are told by what they found.
        *bucket != Bucket::WebSearch || !losses.is_same_protocol() || !is_grounded
    });
    report_usage(answer, &untold.collect::<Vec<_>>(), losses);
}
