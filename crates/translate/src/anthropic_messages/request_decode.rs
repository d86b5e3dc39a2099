//! Requests into the canonical conversation. <https://docs.anthropic.com/en/api/messages>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};
use weighbridge_units::Protocol;

use super::blocks_decode;
use crate::bags::append;
use crate::conversation::{JsonText, Sampling, Tool, ToolChoice, ToolKind};
use crate::{Conversation, Message, Placed, Role};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    // On some routes the model stands in the path; the target names its own in any case.
    let model = fields.take("model")?.value().unwrap_or_default();
    let mut messages = Vec::new();
    if let Some(raw) = fields.take::<Raw<'_>>("system")?.value() {
        let parts = blocks_decode::content(raw)?;
        if !parts.is_empty() {
            messages.push(Message::new(raw, Role::System, parts));
        }
    }
    for raw in fields.require::<Raw<'_>>("messages")?.items()? {
        messages.push(message(raw)?);
    }
    let mut bag = Bag::EMPTY;
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
        Some(raw) => tool_choice(raw, &mut bag)?,
        None => (None, None),
    };
    Ok(Conversation {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        stop: fields.take("stop_sequences")?.value().unwrap_or_default(),
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            ..Sampling::NONE
        },
        max_output: fields.take("max_tokens")?.value(),
        end_user,
        stream: fields.take("stream")?.value().unwrap_or(false),
        bag: {
            append(&mut bag, fields.rest());
            bag
        },
        ..Conversation::new(Protocol::AnthropicMessages)
    })
}

fn message(raw: Raw<'_>) -> Result<Message<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let role: Cow<'_, str> = fields.require("role")?;
    let role = match role.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Ok(blocks_decode::unknown_message(role, raw)),
    };
    let parts = blocks_decode::content(fields.require("content")?)?;
    Ok(Message { place: raw.into(), role, parts, bag: fields.rest() })
}

/// A tool that the client runs has no type, or `custom`; those that the provider runs have others.
fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed("custom"));
    if name != "custom" {
        let kind = ToolKind::Unknown { name, raw };
        return Ok(Tool { place: raw.into(), kind, cache: None, bag: Bag::EMPTY });
    }
    let kind = ToolKind::Function {
        name: fields.require("name")?,
        description: fields.take("description")?.value(),
        parameters: fields.take::<Raw<'_>>("input_schema")?.value().map(JsonText::from),
        strict: fields.take("strict")?.value(),
    };
    Ok(Tool { place: raw.into(), kind, cache: None, bag: fields.rest() })
}

type Choice<'a> = (Option<Placed<'a, ToolChoice<'a>>>, Option<Placed<'a, bool>>);

fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Choice<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let choice = match fields.variant("type").as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("any") => ToolChoice::Required,
        Some("tool") => ToolChoice::Named(fields.require("name")?),
        _ => return Ok((Some(Placed { value: ToolChoice::Unknown(raw), place: raw.into() }), None)),
    };
    let disabled: Option<Placed<'a, bool>> = fields.take("disable_parallel_tool_use")?.value();
    append(bag, fields.rest());
    let parallel = disabled.map(|disabled| Placed { value: !disabled.value, place: disabled.place });
    Ok((Some(Placed { value: choice, place: raw.into() }), parallel))
}
