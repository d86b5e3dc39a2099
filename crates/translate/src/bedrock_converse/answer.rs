//! Whole answers, to and from the canonical model.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>

use std::borrow::Cow;

use weighbridge_protocol::bedrock_converse::usage;
use weighbridge_protocol::json::{Bag, Fields, Object, Raw, ReadError, Writer};
use weighbridge_units::{LossKind, Protocol};

use super::blocks_encode::Pen;
use super::family::Family;
use super::leftovers::{self, keep, keep_field};
use super::reasoning::For;
use super::turns::Stand;
use super::{blocks_decode, finish};
use crate::answer::report_usage;
use crate::{
    Answer, AnswerFacts, AnswerTarget, Candidate, Content, FinishReason, Losses, Place, Placed, tool_id,
};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut bag = Bag::EMPTY;
    let mut output: Fields<'_> = fields.require("output")?;
    let mut message: Fields<'_> = output.require("message")?;
    let mut candidate = Candidate::new(message.raw());
    candidate.parts = blocks_decode::answered(message.require("content")?)?;
    if message.says("role", "assistant") {
        let _: Option<Raw<'_>> = message.offer("role");
    }
    keep(&mut bag, "output/message", message);
    keep(&mut bag, "output", output);
    candidate.finish = reason(&mut fields, &mut candidate.bag);
    let raw_usage = fields.offer::<Fields<'_>>("usage");
    let usage_place = raw_usage.as_ref().map_or(Place::NOWHERE, |usage| usage.raw().into());
    let usage = raw_usage.as_ref().map(|usage| usage::read(usage.raw()));
    Ok(Answer {
        candidates: vec![candidate],
        usage,
        usage_place,
        usage_bag: raw_usage.map(usage_rest).unwrap_or_default(),
        service_tier: service_tier(&mut fields, &mut bag),
        bag: {
            keep(&mut bag, "", fields);
            bag
        },
        ..Answer::new(Protocol::BedrockConverse)
    })
}

/// Takes the reason. Where there are several words for the same thing, the bag keeps which it was.
fn reason<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Option<FinishReason> {
    let additional = fields.peek("additionalModelResponseFields");
    let raw = fields.offer::<Raw<'a>>("stopReason")?;
    let reason = raw.str().ok().map(|reason| finish::read(&reason, additional));
    let is_usual = reason.as_ref().is_some_and(|reason| {
        let (name, lost) = finish::write(reason, crate::PartsSeen::default());
        lost.is_none() && raw.str().is_ok_and(|raw| raw == name)
    });
    if !is_usual {
        keep_field(bag, "", "stopReason", raw);
    }
    reason
}

fn service_tier<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Option<Placed<'a, Cow<'a, str>>> {
    let mut tier = fields.offer::<Fields<'a>>("serviceTier")?;
    let named = tier.offer("type");
    keep(bag, "serviceTier", tier);
    named
}

fn usage_rest(mut fields: Fields<'_>) -> Bag<'_> {
    for name in usage::FIELDS {
        let _understood: Option<Raw<'_>> = fields.offer(name);
    }
    let mut bag = Bag::EMPTY;
    keep(&mut bag, "", fields);
    bag
}

pub(super) fn facts(mut fields: Fields<'_>) -> Result<AnswerFacts, ReadError> {
    let mut output: Fields<'_> = fields.require("output")?;
    output.require::<Fields<'_>>("message")?.require::<Raw<'_>>("content")?.items()?;
    Ok(AnswerFacts {
        id: None,
        model: None,
        usage: fields.offer::<Fields<'_>>("usage").map(|usage| usage::read(usage.raw())),
        finish: reason(&mut fields, &mut Bag::default()),
        service_tier: service_tier(&mut fields, &mut Bag::default()).map(|tier| tier.value.into_owned()),
    })
}

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    let mut pen = Pen::new(losses, Family::Other, For::Client);
    let mut output = object.key("output").object();
    let mut message = output.key("message").object();
    if !has(&answer.bag, "output/message/role", pen.losses) {
        message.key("role").string("assistant");
    }
    content(answer.candidates.first(), target, &mut message, &mut pen);
    leftovers::write(&answer.bag, "output/message", &mut message, pen.losses);
    drop(message);
    leftovers::write(&answer.bag, "output", &mut output, pen.losses);
    drop(output);
    for candidate in answer.candidates.iter().skip(1) {
        losses.dropped(candidate.place, "one answer can be given", "several answers to one request");
    }
    stop_reason(answer, &mut object, losses);
    write_usage(answer, &mut object, losses);
    if !leftovers::any_at(&answer.bag, "metrics", losses) && !has(&answer.bag, "metrics", losses) {
        // Nobody measured how long it took, and the field is demanded.
        object.key("metrics").object().key("latencyMs").number(0);
    }
    tier(answer, &mut object, losses);
    if let Some(candidate) = answer.candidates.first() {
        leftovers::write(&candidate.bag, "", &mut object, losses);
        leftovers::report(&candidate.bag, losses);
    }
    leftovers::write(&answer.bag, "", &mut object, losses);
    leftovers::report(&answer.bag, losses);
    drop(object);
    out
}

/// Whether a field is written from the leftovers.
fn has<'a>(bag: &Bag<'a>, name: &str, losses: &Losses<'a>) -> bool {
    losses.is_same_protocol() && bag.iter().any(|(field, _)| field == name)
}

fn content<'a>(
    candidate: Option<&Candidate<'a>>,
    target: &AnswerTarget<'_>,
    message: &mut Object<'_>,
    pen: &mut Pen<'_, 'a>,
) {
    let mut list = message.key("content").array();
    let Some(candidate) = candidate else { return };
    let mut calls = 0_usize;
    for part in pen.kept(&candidate.parts, Stand::Model) {
        match &part.content {
            Content::ToolCall(call) => {
                let number = calls;
                calls += 1;
                if !call.id.is_empty() {
                    pen.block(part, &mut list);
                    continue;
                }
                let id = tool_id::fallback(target.id_fallback, number);
                let mut object = list.item().object();
                pen.tool_use(call, &super::call_ids::legal(&id), part, &mut object);
                leftovers::write(&part.bag, "", &mut object, pen.losses);
                leftovers::report(&part.bag, pen.losses);
            }
            _ => pen.block(part, &mut list),
        }
    }
    for token in &candidate.logprobs {
        pen.losses.dropped(
            token.place,
            "the probabilities of tokens cannot be told",
            "probabilities of tokens",
        );
    }
    if let Some(details) = &candidate.stop_details {
        pen.losses.dropped(details.place, "details of the end cannot be told", "details of the stop reason");
        pen.losses.bag(&details.bag);
    }
}

fn stop_reason<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let candidate = answer.candidates.first();
    let seen = candidate.map(Candidate::seen).unwrap_or_default();
    let Some(reason) = candidate.and_then(|candidate| candidate.finish.as_ref()) else {
        losses.report(
            candidate.map_or(Place::NOWHERE, |candidate| candidate.place),
            LossKind::Defaulted,
            "the provider did not say why the answer ended",
            "an answer without a stop reason",
        );
        return object.key("stopReason").string(finish::ended(seen));
    };
    if candidate.is_some_and(|candidate| has(&candidate.bag, "stopReason", losses)) {
        return;
    }
    let (written, lost) = finish::write(reason, seen);
    if let (Some(why), Some(candidate)) = (lost, candidate) {
        losses.report(candidate.place, LossKind::Approximated, why, "a stop reason that says so");
    }
    object.key("stopReason").string(written);
    if let FinishReason::StopSequence(Some(sequence)) = reason
        && !has(&answer.bag, "additionalModelResponseFields", losses)
    {
        object.key("additionalModelResponseFields").object().key("stop_sequence").string(sequence);
    }
}

/// `usage` is required: what nobody told is written as zero, and reported.
fn write_usage<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if answer.usage.is_none() {
        losses.report(
            Place::NOWHERE,
            LossKind::Defaulted,
            "the provider told no usage: it stands as zero",
            "an answer without usage",
        );
    }
    let mut usage = object.key("usage").object();
    usage::write(&answer.usage.unwrap_or_default(), &mut usage);
    leftovers::write(&answer.usage_bag, "", &mut usage, losses);
    drop(usage);
    if losses.is_same_protocol() {
        let told = Answer {
            usage_bag: Bag::EMPTY,
            usage: answer.usage,
            usage_place: answer.usage_place,
            ..Answer::new(answer.source)
        };
        return report_usage(&told, &usage::UNTOLD, losses);
    }
    report_usage(answer, &usage::UNTOLD, losses);
}

fn tier<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let Some(tier) = &answer.service_tier else { return };
    let own = losses.is_same_protocol().then_some(tier.value.as_ref());
    let Some(name) = own.or_else(|| tier_name(&tier.value)) else {
        return losses.dropped(tier.place, NO_SUCH_TIER, "that service tier");
    };
    let mut object = object.key("serviceTier").object();
    object.key("type").string(name);
    leftovers::write(&answer.bag, "serviceTier", &mut object, losses);
}

/// Why a service tier is lost, whole and streamed.
pub(super) const NO_SUCH_TIER: &str = "there is no such service tier";

/// The name here of a service tier of an answer.
pub(super) fn tier_name(tier: &str) -> Option<&str> {
    match tier {
        "standard" => Some("default"),
        "default" | "flex" | "priority" | "reserved" => Some(tier),
        _ => None,
    }
}
