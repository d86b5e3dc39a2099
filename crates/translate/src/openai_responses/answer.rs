//! Whole answers, to and from the canonical model.
//! <https://platform.openai.com/docs/api-reference/responses/object>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError, Writer};
use weighbridge_protocol::openai_responses::usage;
use weighbridge_units::{LossKind, Protocol, Usage};

use super::finish::Ending;
use super::output_encode::{self, ItemIds};
use super::response_object::{AsTold, Counts, Response, tier_name};
use super::{bag_names, finish, items_decode};
use crate::answer::{report_usage, usage_as_told, usage_rest};
use crate::{Answer, AnswerFacts, AnswerTarget, Candidate, FinishReason, Losses, PartsSeen, Place};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut logprobs = Vec::new();
    let parts = items_decode::parts(fields.require("output")?, &mut logprobs)?;
    let mut bag = Bag::EMPTY;
    let mut candidate = Candidate { parts, logprobs, ..Candidate::new(body) };
    candidate.finish = reason(&mut fields, candidate.seen(), &mut bag);
    let _: (Option<Raw<'_>>, Option<Raw<'_>>) = (fields.offer("object"), fields.offer("error"));
    bag_names::take_echo(&mut fields, &mut bag);
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    Ok(Answer {
        id: named(&mut fields, "id"),
        model: named(&mut fields, "model"),
        created: created(&mut fields),
        usage: told(raw_usage, &fields),
        usage_place: raw_usage.map_or(Place::NOWHERE, Place::from),
        usage_bag: raw_usage.map_or(Bag::EMPTY, |raw| usage_rest(raw, &usage::FIELDS, &usage::INNER_FIELDS)),
        service_tier: fields.offer("service_tier"),
        candidates: vec![candidate],
        bag: {
            crate::bags::append(&mut bag, fields.rest());
            bag
        },
        ..Answer::new(Protocol::OpenAiResponses)
    })
}

/// Why it ended. What else is said about an incomplete answer is kept.
fn reason<'a>(fields: &mut Fields<'a>, seen: PartsSeen, bag: &mut Bag<'a>) -> Option<FinishReason> {
    let status: Option<Cow<'a, str>> = fields.offer("status");
    let details: Option<Fields<'a>> = fields.offer("incomplete_details");
    let mut reason: Option<Cow<'a, str>> = None;
    if let Some(mut details) = details {
        reason = details.offer("reason");
        bag_names::keep(bag, bag_names::INCOMPLETE, details.rest());
    }
    finish::read(status.as_deref(), reason.as_deref(), seen)
}

/// A name; an empty one is none.
fn named<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<Cow<'a, str>> {
    fields.offer::<Cow<'a, str>>(name).filter(|text| !text.is_empty())
}

/// Some servers write the time with a fraction.
pub(super) fn created(fields: &mut Fields<'_>) -> Option<i64> {
    let raw: Raw<'_> = fields.offer("created_at")?;
    let whole = raw.text().split_once('.').map_or(raw.text(), |(whole, _)| whole);
    whole.parse().ok()
}

pub(super) fn told(raw_usage: Option<Raw<'_>>, beside: &Fields<'_>) -> Option<Usage> {
    raw_usage.map(|raw| usage::read(raw, beside.peek("tool_usage")))
}

pub(super) fn facts(mut fields: Fields<'_>) -> Result<AnswerFacts, ReadError> {
    let output: Raw<'_> = fields.require("output")?;
    let mut is_call = false;
    for item in output.items()? {
        is_call |= calls_tool(item);
    }
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    let seen = PartsSeen { tool_calls: is_call, refusal: false };
    Ok(AnswerFacts {
        id: named(&mut fields, "id").map(Cow::into_owned),
        model: named(&mut fields, "model").map(Cow::into_owned),
        usage: told(raw_usage, &fields),
        finish: reason(&mut fields, seen, &mut Bag::EMPTY.clone()),
        service_tier: fields.offer("service_tier"),
    })
}

/// Whether an item is a call of one of the client's tools, and one that can be read.
fn calls_tool(item: Raw<'_>) -> bool {
    let kind = item.get("type").and_then(|kind| kind.str().ok());
    let may_be = matches!(kind.as_deref(), Some("function_call" | "custom_tool_call"));
    may_be && {
        let mut parts = Vec::new();
        items_decode::output_item(item, &mut Vec::new(), &mut parts);
        Candidate { parts, ..Candidate::new(item) }.seen().tool_calls
    }
}

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    let is_same = losses.is_same_protocol();
    // Items have ids of the answer's: where it is found by its own, so are they, whatever its provider called it.
    let kept_id = target.kept.map(|kept| kept.id.as_str());
    let id = kept_id.or(answer.id.as_deref()).unwrap_or(target.id_fallback);
    let candidate = answer.candidates.first();
    let as_told = candidate.and_then(|candidate| as_told(candidate, losses));
    let ending = if as_told.is_some() { finish::UNTOLD } else { ending(candidate, losses) };
    let tool_usage = bag_names::entry(&answer.bag, "tool_usage");
    let raw_usage = usage_as_told(answer, |raw| usage::read(raw, tool_usage), losses);
    let tier = answer.service_tier.as_ref().and_then(|tier| {
        let name = tier_name(&tier.value, is_same);
        if name.is_none() {
            losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
        }
        name
    });
    let mut items = Vec::new();
    let mut list = Writer::new(&mut items).array();
    if let Some(candidate) = candidate {
        output_encode::items(candidate, target, ItemIds::of(id), &mut list, losses);
    }
    drop(list);
    let response = Response {
        id,
        model: target.model_of(answer.model.as_deref()),
        created: answer.created.unwrap_or(target.created),
        ending: &ending,
        as_told: as_told.as_ref(),
        error: None,
        usage: answer.usage.as_ref().map(|told| raw_usage.map_or(Counts::Of(told), Counts::AsTold)),
        service_tier: tier,
        own: is_same.then_some(&answer.bag),
        kept: target.kept,
    };
    let mut object = Writer::new(&mut out).object();
    // The writer writes nothing but UTF-8.
    response.write(std::str::from_utf8(&items).unwrap_or("[]"), &mut object);
    for candidate in answer.candidates.iter().take(1) {
        losses.write_bag(&candidate.bag, &mut object);
        if let Some(details) = &candidate.stop_details {
            losses.dropped(details.place, STOP_DETAILS, "details of a stop reason");
        }
    }
    for candidate in answer.candidates.iter().skip(1) {
        losses.dropped(candidate.place, CANDIDATES, "several answers to one request");
    }
    if answer.usage.is_some() && raw_usage.is_none() {
        report_usage(answer, &usage::UNTOLD, losses);
    }
    // The same protocol's bag was written with what it repeats of its request.
    if !is_same {
        losses.bag(&answer.bag);
    }
    drop(object);
    out
}

/// Why details of the end are lost, whole and streamed.
pub(super) const STOP_DETAILS: &str = "details of why an answer ended have no place";

/// Why all answers but the first are lost, whole and streamed.
pub(super) const CANDIDATES: &str = "one answer can be given";

/// Why the end is made up where the provider told none, whole and streamed.
pub(super) const NO_REASON: &str = "the provider did not say why the answer ended";

/// How an answer ended, as it stood where that still says why the candidate did.
fn as_told<'a>(candidate: &Candidate<'a>, losses: &Losses<'a>) -> Option<AsTold<'a>> {
    let raw = candidate.place.raw().filter(|_| losses.is_same_protocol())?;
    let status = raw.get("status")?;
    let details = raw.get("incomplete_details").filter(|details| !details.is_null());
    let name = status.str().ok()?;
    let reason = details.and_then(|details| details.get("reason")?.str().ok());
    let read = finish::read(Some(&name), reason.as_deref(), candidate.seen());
    (read == candidate.finish).then_some(AsTold { status, details })
}

fn ending<'a>(candidate: Option<&Candidate<'a>>, losses: &mut Losses<'a>) -> Ending {
    let seen = candidate.map(Candidate::seen).unwrap_or_default();
    let place = candidate.map_or(Place::NOWHERE, |candidate| candidate.place);
    let Some(reason) = candidate.and_then(|candidate| candidate.finish.as_ref()) else {
        losses.report(place, LossKind::Defaulted, NO_REASON, "an answer without a status");
        return finish::UNTOLD;
    };
    let ending = finish::write(reason, seen);
    if let Some(why) = ending.lost {
        losses.report(place, LossKind::Approximated, why, needed(reason));
    }
    ending
}

fn needed(reason: &FinishReason) -> String {
    match reason {
        FinishReason::Other(name) => {
            format!("a reason like `{}`", name.chars().take(64).collect::<String>())
        }
        _ => "a reason that says so".to_owned(),
    }
}
