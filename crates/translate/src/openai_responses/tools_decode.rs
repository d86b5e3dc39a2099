//! Tools and the choice of them, into the canonical model.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::bag_names;
use super::items_decode::original;
use crate::conversation::{AllowedMode, CustomFormat, JsonText, Tool, ToolChoice, ToolKind};

/// Reads a tool. Those that the provider runs are kept as they are.
///
/// Without `strict` the provider makes a function strict where its schema allows that, and does not say
/// whether it did: nobody else has such a default, so nothing is read into it.
pub(super) fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or_default();
    let kind = match name.as_ref() {
        "function" => ToolKind::Function {
            name: original(fields.require("name")?),
            description: fields.take("description")?.value(),
            parameters: fields.take::<Raw<'_>>("parameters")?.value().map(JsonText::from),
            strict: fields.take("strict")?.value(),
        },
        "custom" => {
            let own = fields.clone();
            match custom(&mut fields)? {
                Some(kind) => kind,
                None => return Ok(unknown(name, own.raw())),
            }
        }
        _ => return Ok(unknown(name, raw)),
    };
    Ok(Tool { place: raw.into(), kind, cache: None, bag: fields.rest() })
}

fn unknown<'a>(name: Cow<'a, str>, raw: Raw<'a>) -> Tool<'a> {
    Tool { place: raw.into(), kind: ToolKind::Unknown { name, raw }, cache: None, bag: Bag::EMPTY }
}

/// `None` where its texts are limited in a way that is not known.
fn custom<'a>(fields: &mut Fields<'a>) -> Result<Option<ToolKind<'a>>, ReadError> {
    let format = match fields.take::<Fields<'a>>("format")?.value() {
        None => None,
        Some(mut format) => match format.variant("type").as_deref() {
            Some("text") => Some(CustomFormat::Text),
            Some("grammar") => Some(CustomFormat::Grammar {
                syntax: format.require("syntax")?,
                definition: format.require("definition")?,
            }),
            _ => return Ok(None),
        },
    };
    Ok(Some(ToolKind::Custom {
        name: original(fields.require("name")?),
        description: fields.take("description")?.value(),
        format,
    }))
}

/// Reads the choice of tools.
pub(super) fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<ToolChoice<'a>, ReadError> {
    if raw.kind() == Kind::String {
        return Ok(match raw.str()?.as_ref() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => ToolChoice::Unknown(raw),
        });
    }
    let mut fields = Fields::read(raw)?;
    let choice = match fields.variant("type").as_deref() {
        Some("function" | "custom") => ToolChoice::Named(original(fields.require("name")?)),
        Some("allowed_tools") => match allowed(&mut fields)? {
            Some(choice) => choice,
            None => return Ok(ToolChoice::Unknown(raw)),
        },
        _ => return Ok(ToolChoice::Unknown(raw)),
    };
    bag_names::keep(bag, bag_names::TOOL_CHOICE, fields.rest());
    Ok(choice)
}

/// `None` where a tool that the provider runs is among those allowed, or the mode is not known.
fn allowed<'a>(fields: &mut Fields<'a>) -> Result<Option<ToolChoice<'a>>, ReadError> {
    let mode = match fields.require::<Cow<'a, str>>("mode")?.as_ref() {
        "auto" => AllowedMode::Auto,
        "required" => AllowedMode::Required,
        _ => return Ok(None),
    };
    let mut names = Vec::new();
    for mut tool in fields.require::<Vec<Fields<'a>>>("tools")? {
        match (tool.variant("type").as_deref(), tool.offer("name")) {
            (Some("function" | "custom"), Some(name)) => names.push(original(name)),
            _ => return Ok(None),
        }
    }
    Ok(Some(ToolChoice::Allowed { mode, names }))
}
