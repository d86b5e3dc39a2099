//! Requests into the canonical conversation.
//! <https://platform.openai.com/docs/api-reference/responses/create>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Field, Fields, FromRaw, Kind, Raw, ReadError};
use weighbridge_protocol::openai_responses::INCLUDE_LOGPROBS;
use weighbridge_units::Protocol;

use super::parts_decode::content;
use super::{bag_names, items_decode, tools_decode};
use crate::conversation::{
    Effort, Format, JsonText, ReasoningExtent, ReasoningWish, Sampling, ServiceTier, Shown,
};
use crate::{Conversation, Message, Placed, Role};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut bag = Bag::EMPTY;
    // On some routes the model stands in the path; the target names its own in any case.
    let model = fields.take("model")?.value().unwrap_or_default();
    let messages = messages(&mut fields)?;
    let tools = match fields.take::<Vec<Raw<'_>>>("tools")?.value() {
        Some(tools) => tools.into_iter().map(tools_decode::tool).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let tool_choice = match fields.take::<Raw<'_>>("tool_choice")?.value() {
        Some(raw) => Some(Placed { value: tools_decode::tool_choice(raw, &mut bag)?, place: raw.into() }),
        None => None,
    };
    let (format, verbosity) = text(&mut fields, &mut bag)?;
    let reasoning = reasoning(&mut fields, &mut bag)?;
    let logprobs = logprobs(&mut fields, &mut bag)?;
    let end_user = end_user(&mut fields, &mut bag)?;
    if let Some(options) = fields.take::<Fields<'_>>("stream_options")?.value() {
        bag_names::keep(&mut bag, bag_names::STREAM_OPTIONS, options.rest());
    }
    let service_tier = fields.take::<Placed<'_, Cow<'_, str>>>("service_tier")?.value();
    Ok(Conversation {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: fields.take("parallel_tool_calls")?.value(),
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            ..Sampling::NONE
        },
        max_output: fields.take("max_output_tokens")?.value(),
        format,
        verbosity,
        logprobs,
        reasoning,
        service_tier: service_tier
            .map(|tier| Placed { value: ServiceTier::named(tier.value), place: tier.place }),
        end_user,
        metadata: metadata(&mut fields)?,
        store: fields.take("store")?.value(),
        cache_key: fields.take("prompt_cache_key")?.value(),
        stream: fields.take("stream")?.value().unwrap_or(false),
        bag: {
            crate::bags::append(&mut bag, fields.rest());
            bag
        },
        ..Conversation::new(Protocol::OpenAiResponses)
    })
}

/// `instructions` stand first; `input` is what the user says, or a list of items.
fn messages<'a>(fields: &mut Fields<'a>) -> Result<Vec<Message<'a>>, ReadError> {
    let mut messages = Vec::new();
    match fields.take::<Raw<'a>>("instructions")?.value() {
        Some(list) if list.kind() == Kind::Array => {
            messages = items_decode::messages(items_decode::items(list)?);
        }
        Some(raw) => {
            let parts = content(raw, None)?;
            if !parts.is_empty() {
                messages.push(Message::new(raw, Role::System, parts));
            }
        }
        None => {}
    }
    match fields.take::<Raw<'a>>("input")?.value() {
        Some(text) if text.kind() == Kind::String => {
            messages.push(Message::new(text, Role::User, content(text, None)?));
        }
        Some(list) => messages.extend(items_decode::messages(items_decode::items(list)?)),
        // Another response, a prompt or a conversation of the provider's may say all.
        None => {}
    }
    Ok(messages)
}

type Placement<'a, T> = Option<Placed<'a, T>>;

fn text<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<(Placement<'a, Format<'a>>, Placement<'a, Cow<'a, str>>), ReadError> {
    let Some(mut text) = fields.take::<Fields<'a>>("text")?.value() else { return Ok((None, None)) };
    let format = match text.take::<Raw<'a>>("format")?.value() {
        Some(raw) => Some(Placed { value: format(raw, bag)?, place: raw.into() }),
        None => None,
    };
    let verbosity = text.take("verbosity")?.value();
    bag_names::keep(bag, bag_names::TEXT, text.rest());
    Ok((format, verbosity))
}

fn format<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Format<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let format = match fields.variant("type").as_deref() {
        Some("text") => Format::Text,
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => Format::JsonSchema {
            name: fields.take("name")?.value(),
            description: fields.take("description")?.value(),
            schema: JsonText::from(fields.require::<Raw<'a>>("schema")?),
            strict: fields.take("strict")?.value(),
        },
        _ => return Ok(Format::Unknown(raw)),
    };
    bag_names::keep(bag, bag_names::FORMAT, fields.rest());
    Ok(format)
}

/// A word that is not known stays in the bag.
fn reasoning<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<ReasoningWish<'a>, ReadError> {
    let mut wish = ReasoningWish::NONE;
    let Some(mut reasoning) = fields.take::<Fields<'a>>("reasoning")?.value() else { return Ok(wish) };
    let word = |fields: &Fields<'a>, name| fields.peek(name).and_then(|raw| raw.str().ok());
    match word(&reasoning, "effort").as_deref() {
        Some("none") => {
            let place = reasoning.require::<Raw<'a>>("effort")?.into();
            wish.extent = Some(Placed { value: ReasoningExtent::Off, place });
        }
        Some(name) => {
            if let Some(value) = Effort::from_name(name) {
                let place = reasoning.require::<Raw<'a>>("effort")?.into();
                wish.effort = Some(Placed { value, place });
            }
        }
        None => {}
    }
    // The second is an older name.
    for name in ["summary", "generate_summary"] {
        let shown = match word(&reasoning, name).as_deref() {
            Some("auto") => Shown::Auto,
            Some("concise") => Shown::Concise,
            Some("detailed") => Shown::Detailed,
            _ => continue,
        };
        if wish.shown.is_none() {
            let place = reasoning.require::<Raw<'a>>(name)?.into();
            wish.shown = Some(Placed { value: shown, place });
        }
    }
    bag_names::keep(bag, bag_names::REASONING, reasoning.rest());
    Ok(wish)
}

/// `include` asks for probabilities, and `top_logprobs` for how many of them.
fn logprobs<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Placement<'a, u64>, ReadError> {
    let mut asked = None;
    for raw in fields.take::<Vec<Raw<'a>>>("include")?.value().unwrap_or_default() {
        match raw.str()?.as_ref() {
            INCLUDE_LOGPROBS => asked = Some(raw),
            _ => bag.push(bag_names::INCLUDE, raw),
        }
    }
    let top: Placement<'a, u64> = fields.take("top_logprobs")?.value();
    let top = top.filter(|top| top.value > 0);
    Ok(top.or_else(|| asked.map(|raw| Placed { value: 0, place: raw.into() })))
}

/// One thing under two names. Where both are given and differ, the second goes to the bag.
fn end_user<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Placement<'a, Cow<'a, str>>, ReadError> {
    let user: Placement<'a, Cow<'a, str>> = fields.take("user")?.value();
    let Some(raw) = fields.take::<Raw<'a>>("safety_identifier")?.value() else { return Ok(user) };
    let newer: Placed<'a, Cow<'a, str>> = raw.read()?;
    match user {
        None => Ok(Some(newer)),
        Some(user) => {
            if user != newer {
                bag.push("safety_identifier", raw);
            }
            Ok(Some(user))
        }
    }
}

fn metadata<'a>(fields: &mut Fields<'a>) -> Result<Option<Raw<'a>>, ReadError> {
    match fields.take::<Raw<'a>>("metadata")? {
        Field::Value(raw) => {
            // An object, or it is wrong.
            Fields::from_raw(raw)?;
            Ok(Some(raw))
        }
        Field::Absent | Field::Null => Ok(None),
    }
}
