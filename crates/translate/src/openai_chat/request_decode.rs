//! Requests into the canonical conversation.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Field, Fields, FromRaw, Kind, Raw, ReadError};
use weighbridge_units::Protocol;

use super::message_decode;
use crate::bags::append;
use crate::conversation::{JsonText, Sampling, Tool, ToolChoice, ToolKind};
use crate::{Conversation, Placed};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    // On some routes the model stands in the path; the target names its own in any case.
    let model = fields.take("model")?.value().unwrap_or_default();
    let messages = message_decode::messages(fields.require("messages")?)?;
    let mut bag = Bag::EMPTY;
    let max_output = newer_of(&mut fields, "max_completion_tokens", "max_tokens", &mut bag)?;
    let end_user = newer_of(&mut fields, "user", "safety_identifier", &mut bag)?;
    let stop = match fields.take::<Raw<'_>>("stop")? {
        Field::Value(raw) if raw.kind() == Kind::Array => raw.read()?,
        Field::Value(raw) => vec![raw.read()?],
        Field::Absent | Field::Null => Vec::new(),
    };
    let tools = match fields.take::<Vec<Raw<'_>>>("tools")?.value() {
        Some(tools) => tools.into_iter().map(tool).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let tool_choice = match fields.take::<Raw<'_>>("tool_choice")?.value() {
        Some(raw) => Some(Placed { value: tool_choice(raw, &mut bag)?, place: raw.into() }),
        None => None,
    };
    let parallel_tool_calls = fields.take("parallel_tool_calls")?.value();
    let sampling = Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        ..Sampling::NONE
    };
    let candidates = fields.take("n")?.value();
    let stream = fields.take("stream")?.value().unwrap_or(false);
    if let Some(mut options) = fields.take::<Fields<'_>>("stream_options")?.value() {
        // Usage is shown or hidden by whoever writes the stream to the client.
        let _: Field<bool> = options.take("include_usage")?;
        append(&mut bag, options.rest());
    }
    append(&mut bag, fields.rest());
    Ok(Conversation {
        model,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        sampling,
        stop,
        max_output,
        candidates,
        end_user,
        stream,
        bag,
        ..Conversation::new(Protocol::OpenAiChat)
    })
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

fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed(""));
    if name != "function" {
        let kind = ToolKind::Unknown { name, raw };
        return Ok(Tool { place: raw.into(), kind, cache: None, bag: Bag::EMPTY });
    }
    let mut function: Fields<'_> = fields.require("function")?;
    let kind = ToolKind::Function {
        name: function.require("name")?,
        description: function.take("description")?.value(),
        parameters: function.take::<Raw<'_>>("parameters")?.value().map(JsonText::from),
        strict: function.take("strict")?.value(),
    };
    let mut bag = function.rest();
    append(&mut bag, fields.rest());
    Ok(Tool { place: raw.into(), kind, cache: None, bag })
}

fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<ToolChoice<'a>, ReadError> {
    if raw.kind() == Kind::String {
        return Ok(match raw.str()?.as_ref() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => ToolChoice::Unknown(raw),
        });
    }
    let mut fields = Fields::read(raw)?;
    if fields.variant("type").as_deref() != Some("function") {
        return Ok(ToolChoice::Unknown(raw));
    }
    let mut function: Fields<'a> = fields.require("function")?;
    let name = function.require("name")?;
    append(bag, function.rest());
    append(bag, fields.rest());
    Ok(ToolChoice::Named(name))
}
