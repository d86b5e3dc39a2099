//! Requests into the canonical conversation. <https://docs.anthropic.com/en/api/messages>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};
use weighbridge_units::Protocol;

use super::{blocks_decode, cache_mark, wishes_decode};
use crate::bags::append;
use crate::conversation::{
    CallKind, JsonText, Proof, ProofKind, Reasoning, Sampling, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::{Content, Conversation, Message, Part, Placed, Role, tool_name};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut bag = Bag::EMPTY;
    let mut messages = Vec::new();
    if let Some(raw) = fields.take::<Raw<'_>>("system")?.value() {
        messages.extend(instructions(raw)?);
    }
    for raw in fields.require::<Raw<'_>>("messages")?.items()? {
        messages.push(message(raw)?);
    }
    let mut end_user = None;
    if let Some(mut metadata) = fields.take::<Fields<'_>>("metadata")?.value() {
        end_user = metadata.take("user_id")?.value();
        append(&mut bag, metadata.rest());
    }
    let tools = match fields.take::<Vec<Raw<'_>>>("tools")?.value() {
        Some(tools) => tools.into_iter().map(tool).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let (tool_choice, parallel_tool_calls) = match fields.take::<Raw<'_>>("tool_choice")?.value() {
        Some(raw) => self::tool_choice(raw, &mut bag)?,
        None => (None, None),
    };
    let (reasoning, format) = wishes_decode::output(&mut fields, &mut bag)?;
    let tier = fields.take::<Placed<'_, Cow<'_, str>>>("service_tier")?.value();
    let conversation = Conversation {
        // On some routes the model stands in the path; the target names its own in any case.
        model: fields.take("model")?.value().unwrap_or_default(),
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: fields.number("top_k")?,
            ..Sampling::NONE
        },
        stop: fields.take("stop_sequences")?.value().unwrap_or_default(),
        max_output: fields.take("max_tokens")?.value(),
        format,
        reasoning,
        service_tier: tier.map(|tier| Placed { value: ServiceTier::named(tier.value), place: tier.place }),
        end_user,
        stream: fields.take("stream")?.value().unwrap_or(false),
        ..Conversation::new(Protocol::AnthropicMessages)
    };
    append(&mut bag, fields.rest());
    Ok(Conversation { bag, ..conversation })
}

/// Instructions that stand first. Without any content there are none.
pub(super) fn instructions(raw: Raw<'_>) -> Result<Option<Message<'_>>, ReadError> {
    let parts = blocks_decode::content(raw)?;
    Ok((!parts.is_empty()).then(|| Message::new(raw, Role::System, parts)))
}

pub(super) fn message(raw: Raw<'_>) -> Result<Message<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let role: Cow<'_, str> = fields.require("role")?;
    let role = match role.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Ok(blocks_decode::unknown_message(role, raw)),
    };
    let mut parts = blocks_decode::content(fields.require("content")?)?;
    parts.iter_mut().for_each(summary);
    Ok(Message { bag: fields.rest(), ..Message::new(raw, role, parts) })
}

/// OpenAI shows a summary of what it has sealed, never the reasoning itself. Here it stood as a text.
fn summary(part: &mut Part<'_>) {
    if let Content::Reasoning(Reasoning { text, summary, proof: Some(proof), .. }) = &mut part.content
        && proof.is(Proof::OPENAI)
        && proof.kind == ProofKind::Sealed
        && !text.is_empty()
    {
        *summary = vec![std::mem::take(text)];
    }
}

/// A tool that the client runs has no type, or `custom`; those that the provider runs have others.
pub(super) fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed("custom"));
    if name != "custom" {
        let kind = ToolKind::Unknown { name, raw };
        return Ok(Tool { place: raw.into(), kind, cache: None, bag: Bag::EMPTY });
    }
    let name = tool_name::into_original(fields.require("name")?);
    let description = fields.take("description")?.value();
    let schema = fields.take::<Raw<'_>>("input_schema")?.value();
    let strict = fields.take("strict")?.value();
    let kind = match name {
        (name, CallKind::Function) => {
            ToolKind::Function { name, description, parameters: schema.map(JsonText::from), strict }
        }
        (name, CallKind::Custom) => ToolKind::Custom { name, description, format: None },
    };
    let cache = cache_mark::take(&mut fields);
    Ok(Tool { place: raw.into(), kind, cache, bag: fields.rest() })
}

type Choice<'a> = (Option<Placed<'a, ToolChoice<'a>>>, Option<Placed<'a, bool>>);

fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Choice<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let choice = match fields.variant("type").as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("any") => ToolChoice::Required,
        Some("tool") => ToolChoice::Named(tool_name::into_original(fields.require("name")?).0),
        _ => return Ok((Some(Placed { value: ToolChoice::Unknown(raw), place: raw.into() }), None)),
    };
    let disabled: Option<Placed<'a, bool>> = fields.take("disable_parallel_tool_use")?.value();
    append(bag, fields.rest());
    let parallel = disabled.map(|disabled| Placed { value: !disabled.value, place: disabled.place });
    Ok((Some(Placed { value: choice, place: raw.into() }), parallel))
}
