//! Requests into the canonical conversation.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Field, Fields, FromRaw, Kind, Raw, ReadError};
use weighbridge_units::Protocol;

use super::{message_decode, tools_decode, wishes_decode};
use crate::bags::append;
use crate::conversation::{Sampling, ServiceTier};
use crate::{Conversation, Placed};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut bag = Bag::EMPTY;
    let stop = match fields.take::<Raw<'_>>("stop")? {
        Field::Value(raw) if raw.kind() == Kind::Array => raw.read()?,
        Field::Value(raw) => vec![raw.read()?],
        Field::Absent | Field::Null => Vec::new(),
    };
    let sampling = Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        // Not OpenAI's, but most others'.
        top_k: fields.number("top_k")?,
        seed: fields.number("seed")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
    };
    let tier = fields.take::<Placed<'_, Cow<'_, str>>>("service_tier")?.value();
    let conversation = Conversation {
        // On some routes the model stands in the path; the target names its own in any case.
        model: fields.take("model")?.value().unwrap_or_default(),
        messages: message_decode::messages(fields.require("messages")?)?,
        tools: tools_decode::tools(&mut fields)?,
        tool_choice: tools_decode::choice(&mut fields, &mut bag)?,
        parallel_tool_calls: fields.take("parallel_tool_calls")?.value(),
        sampling,
        stop,
        max_output: newer_of(&mut fields, "max_completion_tokens", "max_tokens", &mut bag)?,
        candidates: fields.take("n")?.value(),
        format: wishes_decode::format(&mut fields, &mut bag)?,
        verbosity: fields.take("verbosity")?.value(),
        audio: wishes_decode::audio(&mut fields, &mut bag)?,
        logprobs: wishes_decode::logprobs(&mut fields)?,
        reasoning: wishes_decode::reasoning(&mut fields, &mut bag)?,
        service_tier: tier.map(|tier| Placed { value: ServiceTier::named(tier.value), place: tier.place }),
        end_user: newer_of(&mut fields, "user", "safety_identifier", &mut bag)?,
        metadata: wishes_decode::metadata(&mut fields)?,
        store: fields.take("store")?.value(),
        cache_key: fields.take("prompt_cache_key")?.value(),
        stream: fields.take("stream")?.value().unwrap_or(false),
        ..Conversation::new(Protocol::OpenAiChat)
    };
    if let Some(mut options) = fields.take::<Fields<'_>>("stream_options")?.value() {
        // Usage is shown or hidden by whoever writes the stream to the client.
        let _: Field<bool> = options.take("include_usage")?;
        append(&mut bag, options.rest());
    }
    append(&mut bag, fields.rest());
    Ok(Conversation { bag, ..conversation })
}

/// One thing under two names. Where both are given and differ, the second goes to the bag.
fn newer_of<'a, T: FromRaw<'a> + PartialEq>(
    fields: &mut Fields<'a>,
    first: &'static str,
    second: &'static str,
    bag: &mut Bag<'a>,
) -> Result<Option<Placed<'a, T>>, ReadError> {
    let newer: Option<Placed<'a, T>> = fields.take(first)?.value();
    let Some(raw) = fields.take::<Raw<'a>>(second)?.value() else { return Ok(newer) };
    let older: Placed<'a, T> = raw.read()?;
    match newer {
        None => Ok(Some(older)),
        Some(newer) => {
            if newer != older {
                bag.push(second, raw);
            }
            Ok(Some(newer))
        }
    }
}
