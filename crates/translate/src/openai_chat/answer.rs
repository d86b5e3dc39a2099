//! Whole answers into the canonical model.
//! <https://platform.openai.com/docs/api-reference/chat/object>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};
use weighbridge_protocol::openai_chat::usage;
use weighbridge_units::Protocol;

use super::{finish, logprobs, message_decode};
use crate::answer::usage_rest;
use crate::bags::append;
use crate::{Answer, AnswerFacts, Candidate, Place};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let choices: Vec<Raw<'_>> = fields.require("choices")?;
    let _: Option<Raw<'_>> = fields.offer("object");
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    Ok(Answer {
        id: fields.offer("id"),
        model: fields.offer("model"),
        created: fields.offer("created"),
        candidates: choices.into_iter().map(choice).collect::<Result<_, _>>()?,
        usage: raw_usage.map(usage::read),
        usage_place: raw_usage.map_or(Place::NOWHERE, Place::from),
        usage_bag: raw_usage.map_or(Bag::EMPTY, |raw| usage_rest(raw, &usage::FIELDS, &usage::INNER_FIELDS)),
        service_tier: fields.offer("service_tier"),
        bag: fields.rest(),
        ..Answer::new(Protocol::OpenAiChat)
    })
}

fn choice(raw: Raw<'_>) -> Result<Candidate<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let _: Option<Raw<'_>> = fields.offer("index");
    let (mut parts, mut bag) = (Vec::new(), Bag::EMPTY);
    // Azure leaves the message out where its filter left nothing of it.
    if let Some(mut message) = fields.take::<Fields<'_>>("message")?.value() {
        let _: Option<Raw<'_>> = message.offer("role");
        parts = message_decode::assistant(&mut message)?;
        bag = message.rest();
    }
    let reason: Option<Cow<'_, str>> = fields.offer("finish_reason");
    let logprobs = logprobs::take(&mut fields, &mut bag);
    append(&mut bag, fields.rest());
    Ok(Candidate { parts, finish: reason.as_deref().map(finish::read), logprobs, bag, ..Candidate::new(raw) })
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
