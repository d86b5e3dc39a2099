//! Whole answers into the canonical model.
//! <https://docs.anthropic.com/en/api/messages#response-id>

use std::borrow::Cow;

use weighbridge_protocol::anthropic_messages::usage;
use weighbridge_protocol::json::{Bag, Fields, FromRaw, Raw, ReadError};
use weighbridge_units::Protocol;

use super::{blocks_decode, finish};
use crate::answer::usage_rest;
use crate::conversation::{Text, ToolCall};
use crate::{
    Answer, AnswerFacts, Candidate, Content, FinishReason, Part, Place, Placed, StopDetails, tool_name,
};

pub(super) fn decode(body: Raw<'_>) -> Result<Answer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut parts = blocks_decode::content(fields.require("content")?)?;
    let is_answer = parts.iter_mut().map(structured_answer).fold(false, |any, this| any | this);
    let _: (Option<Raw<'_>>, Option<Raw<'_>>) = (fields.offer("type"), fields.offer("role"));
    let mut candidate = Candidate { parts, ..Candidate::new(body) };
    candidate.finish = reason(&mut fields);
    if candidate.finish == Some(FinishReason::ToolCalls) && is_answer && !candidate.seen().tool_calls {
        candidate.finish = Some(FinishReason::Stop);
    }
    candidate.stop_details = fields.offer::<Details<'_>>("stop_details").map(|details| details.0);
    let raw_usage = fields.offer::<Raw<'_>>("usage").filter(|usage| !usage.is_null());
    let mut usage_bag = Bag::EMPTY;
    let mut service_tier = None;
    if let Some(raw) = raw_usage {
        service_tier = raw.get("service_tier").and_then(|tier| tier.read().ok());
        let known = [&usage::FIELDS[..], &["service_tier"]].concat();
        usage_bag = usage_rest(raw, &known, &usage::INNER_FIELDS);
    }
    Ok(Answer {
        id: fields.offer("id"),
        model: fields.offer("model"),
        usage: raw_usage.map(usage::read),
        usage_place: raw_usage.map_or(Place::NOWHERE, Place::from),
        usage_bag,
        service_tier,
        candidates: vec![candidate],
        bag: fields.rest(),
        ..Answer::new(Protocol::AnthropicMessages)
    })
}

/// The call of the function that stands for a structured answer is that answer.
fn structured_answer(part: &mut Part<'_>) -> bool {
    let arguments = match &mut part.content {
        Content::ToolCall(ToolCall { name, arguments, .. }) if name == tool_name::ANSWER => {
            std::mem::take(arguments)
        }
        _ => return false,
    };
    part.content = Content::Text(Text::from(arguments));
    true
}

/// `stop_details`: why the model refused.
pub(super) struct Details<'a>(pub(super) StopDetails<'a>);

impl<'a> FromRaw<'a> for Details<'a> {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        let mut fields = Fields::read(raw)?;
        let kind: Option<Placed<'a, Cow<'a, str>>> = fields.offer("type");
        let details = StopDetails {
            place: raw.into(),
            category: fields.offer("category"),
            explanation: fields.offer("explanation"),
            bag: fields.rest(),
        };
        match kind {
            Some(kind) if kind.value == "refusal" => Ok(Self(details)),
            _ => Err(ReadError::new(raw, "details of a refusal")),
        }
    }
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
