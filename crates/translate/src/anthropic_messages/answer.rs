//! Whole answers, to and from the canonical model.
//! <https://docs.anthropic.com/en/api/messages#response-id>

use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::{MESSAGE, usage};
use weighbridge_protocol::json::{Array, Bag, Fields, Object, Raw, ReadError, Writer};
use weighbridge_units::{LossKind, Protocol};

use super::{blocks_decode, blocks_encode, finish};
use crate::answer::{report_usage, usage_rest};
use crate::conversation::CallKind;
use crate::{
    Answer, AnswerFacts, AnswerTarget, Candidate, Content, FinishReason, Losses, Part, Place, tool_id,
};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let parts = blocks_decode::content(fields.require("content")?)?;
    let _: (Option<Raw<'_>>, Option<Raw<'_>>) = (fields.offer("type"), fields.offer("role"));
    let finish = reason(&mut fields);
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    let mut usage_bag = Bag::EMPTY;
    let mut service_tier = None;
    if let Some(raw) = raw_usage {
        service_tier = raw.get("service_tier").and_then(|tier| tier.read().ok());
        let known = [&usage::FIELDS[..], &["service_tier"]].concat();
        usage_bag = usage_rest(raw, &known, &usage::INNER_FIELDS);
    }
    Ok(Answer {
        source: Protocol::AnthropicMessages,
        id: fields.offer("id"),
        model: fields.offer("model"),
        created: None,
        usage: raw_usage.map(usage::read),
        usage_place: raw_usage.map_or(Place::NOWHERE, Place::from),
        usage_bag,
        service_tier,
        candidates: vec![Candidate { parts, finish, ..Candidate::new(body) }],
        bag: fields.rest(),
    })
}

fn reason(fields: &mut Fields<'_>) -> Option<FinishReason> {
    let sequence: Option<Cow<'_, str>> = fields.offer("stop_sequence");
    let reason: Option<Cow<'_, str>> = fields.offer("stop_reason");
    reason.map(|reason| finish::read(&reason, sequence.as_deref()))
}

pub(super) fn facts(mut fields: Fields<'_>) -> Result<AnswerFacts, ReadError> {
    fields.require::<Raw<'_>>("content")?.items()?;
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    Ok(AnswerFacts {
        id: fields.offer("id"),
        model: fields.offer("model"),
        usage: raw_usage.map(usage::read),
        finish: reason(&mut fields),
        service_tier: raw_usage.and_then(|usage| usage.get("service_tier")?.read().ok()),
    })
}

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("id").string(answer.id.as_deref().unwrap_or(target.id_fallback));
    object.key("type").string(MESSAGE);
    object.key("role").string("assistant");
    object.key("model").string(answer.model.as_deref().unwrap_or_default());
    let mut content = object.key("content").array();
    if let Some(candidate) = answer.candidates.first() {
        blocks(candidate, target, &mut content, losses);
    }
    drop(content);
    for candidate in answer.candidates.iter().skip(1) {
        losses.dropped(candidate.place, "one answer can be given", "several answers to one request");
    }
    stop_reason(answer.candidates.first(), &mut object, losses);
    write_usage(answer, &mut object, losses);
    for candidate in answer.candidates.iter().take(1) {
        losses.write_bag(&candidate.bag, &mut object);
    }
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    out
}

fn blocks<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    let mut calls = 0_usize;
    for part in blocks_encode::expressible(&candidate.parts, losses) {
        match &part.content {
            Content::ToolCall(call) if call.kind == CallKind::Function => {
                let mut object = list.item().object();
                let id = match call.id.is_empty() {
                    true => tool_id::fallback(target.id_fallback, calls).into(),
                    false => tool_id::legal(&call.id),
                };
                calls += 1;
                blocks_encode::tool_use(call, &id, part, &mut object, losses);
                losses.write_bag(&part.bag, &mut object);
            }
            Content::Image(_) | Content::ToolResult(_) => lost(part, losses),
            _ => blocks_encode::block(part, list, losses),
        }
    }
}

fn lost<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    losses.dropped(part.place, "it cannot stand in an answer", "such parts in an answer");
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
    let (written, lost) = finish::write(reason, seen);
    if let (Some(why), Some(candidate)) = (lost, candidate) {
        losses.report(candidate.place, LossKind::Approximated, why, "a stop reason that says so");
    }
    object.key("stop_reason").string(written);
    object.key("stop_sequence").string_or_null(finish::sequence(reason));
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
    usage::write(&answer.usage.unwrap_or_default(), object.key("usage"));
    report_usage(answer, &usage::UNTOLD, losses);
    // `usage` has a service tier of its own, which says nothing that its reader could act on.
    if let Some(tier) = &answer.service_tier
        && !losses.is_same_protocol()
        && tier.value != "default"
    {
        losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
    }
}
