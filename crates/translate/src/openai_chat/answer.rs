//! Whole answers, to and from the canonical model.
//! <https://platform.openai.com/docs/api-reference/chat/object>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Object, Raw, ReadError, Writer};
use weighbridge_protocol::openai_chat::{OBJECT, finish as wire, usage};
use weighbridge_units::{LossKind, Protocol};

use super::{finish, message_decode, message_encode};
use crate::answer::{report_usage, usage_rest};
use crate::bags::append;
use crate::conversation::Reasoning;
use crate::{
    Answer, AnswerFacts, AnswerTarget, Candidate, Content, FinishReason, Losses, Part, Place, Placed,
};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let choices: Vec<Raw<'_>> = fields.require("choices")?;
    let _: Option<Raw<'_>> = fields.offer("object");
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    Ok(Answer {
        source: Protocol::OpenAiChat,
        id: fields.offer("id"),
        model: fields.offer("model"),
        created: fields.offer("created"),
        candidates: choices.into_iter().map(choice).collect::<Result<_, _>>()?,
        usage: raw_usage.map(usage::read),
        usage_place: raw_usage.map_or(Place::NOWHERE, Place::from),
        usage_bag: raw_usage.map_or(Bag::EMPTY, |raw| usage_rest(raw, &usage::FIELDS, &usage::INNER_FIELDS)),
        service_tier: fields.offer("service_tier"),
        bag: fields.rest(),
    })
}

fn choice(raw: Raw<'_>) -> Result<Candidate<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let _: Option<Raw<'_>> = fields.offer("index");
    let (mut parts, mut bag) = (Vec::new(), Bag::EMPTY);
    // Azure leaves the message out where its filter left nothing of it.
    if let Some(mut message) = fields.take::<Fields<'_>>("message")?.value() {
        let _: Option<Raw<'_>> = message.offer("role");
        parts = reasoning(&mut message);
        parts.extend(message_decode::assistant(&mut message)?);
        parts.extend(message_decode::function_call(&mut message)?);
        bag = message.rest();
    }
    let reason: Option<Cow<'_, str>> = fields.offer("finish_reason");
    append(&mut bag, fields.rest());
    Ok(Candidate { parts, finish: reason.as_deref().map(finish::read), bag, ..Candidate::new(raw) })
}

/// Not documented by OpenAI, but by most others on this route. Where one provider sends both names,
/// they say the same.
fn reasoning<'a>(message: &mut Fields<'a>) -> Vec<Part<'a>> {
    let names = ["reasoning_content", "reasoning"];
    let told = names.map(|name| message.offer::<Placed<'a, Cow<'a, str>>>(name));
    let part = |text: Placed<'a, Cow<'a, str>>| {
        Part::new(text.place, Content::Reasoning(Reasoning::text(text.value)))
    };
    told.into_iter().flatten().find(|text| !text.value.is_empty()).map(part).into_iter().collect()
}

pub(super) fn facts(mut fields: Fields<'_>) -> Result<AnswerFacts, ReadError> {
    let choices: Raw<'_> = fields.require("choices")?;
    let first = choices.items()?.next();
    let reason = first.and_then(|choice| choice.get("finish_reason")).and_then(|reason| reason.str().ok());
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    Ok(AnswerFacts {
        id: fields.offer("id"),
        model: fields.offer("model"),
        usage: raw_usage.map(usage::read),
        finish: reason.as_deref().map(finish::read),
        service_tier: fields.offer("service_tier"),
    })
}

pub(super) fn encode<'a>(answer: &Answer<'a>, target: &AnswerTarget<'_>, losses: &mut Losses<'a>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("id").string(answer.id.as_deref().unwrap_or(target.id_fallback));
    object.key("object").string(OBJECT);
    object.key("created").number(answer.created.unwrap_or(target.created));
    object.key("model").string(answer.model.as_deref().unwrap_or_default());
    let mut choices = object.key("choices").array();
    for (index, candidate) in answer.candidates.iter().enumerate() {
        let mut choice = choices.item().object();
        choice.key("index").number(index as u64);
        let mut message = choice.key("message").object();
        message.key("role").string("assistant");
        message_encode::answer(&candidate.parts, &mut message, losses);
        drop(message);
        // Required, though it may be null; a bag that is kept has its own.
        if !losses.keeps(&candidate.bag) {
            choice.key("logprobs").null();
        }
        choice.key("finish_reason").string(finish_reason(candidate, losses));
        losses.write_bag(&candidate.bag, &mut choice);
    }
    drop(choices);
    if let Some(told) = &answer.usage {
        usage::write(told, object.key("usage"));
        report_usage(answer, &usage::UNTOLD, losses);
    }
    service_tier(answer, &mut object, losses);
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    out
}

fn finish_reason<'a>(candidate: &Candidate<'a>, losses: &mut Losses<'a>) -> &'static str {
    let seen = candidate.seen();
    let Some(reason) = &candidate.finish else {
        losses.report(
            candidate.place,
            LossKind::Defaulted,
            "the provider did not say why the answer ended",
            "an answer without a finish reason",
        );
        return if seen.tool_calls { wire::TOOL_CALLS } else { wire::STOP };
    };
    let (written, lost) = finish::write(reason, seen);
    if let Some(why) = lost {
        losses.report(candidate.place, LossKind::Approximated, why, needed(reason));
    }
    written
}

fn needed(reason: &FinishReason) -> String {
    match reason {
        FinishReason::Other(name) => {
            format!("a finish reason like `{}`", name.chars().take(64).collect::<String>())
        }
        _ => "a finish reason that says so".to_owned(),
    }
}

/// The tiers of both protocols under this one's names: `default` is Anthropic's `standard`.
fn service_tier<'a>(answer: &Answer<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let Some(tier) = &answer.service_tier else { return };
    match tier.value.as_ref() {
        "standard" => object.key("service_tier").string("default"),
        "priority" => object.key("service_tier").string("priority"),
        own if losses.is_same_protocol() => object.key("service_tier").string(own),
        _ => losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier"),
    }
}
