//! Tools and the choice of them, in today's form and in the one before it (`functions`).

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::cache_mark;
use crate::Placed;
use crate::bags::append;
use crate::conversation::{AllowedMode, CustomFormat, JsonText, Tool, ToolChoice, ToolKind};

pub(super) fn tools<'a>(fields: &mut Fields<'a>) -> Result<Vec<Tool<'a>>, ReadError> {
    let mut tools = Vec::new();
    for raw in fields.take::<Vec<Raw<'a>>>("tools")?.value().unwrap_or_default() {
        tools.push(tool(raw)?);
    }
    for raw in fields.take::<Vec<Raw<'a>>>("functions")?.value().unwrap_or_default() {
        let mut function = Fields::read(raw)?;
        let kind = function_kind(&mut function)?;
        tools.push(Tool { place: raw.into(), kind, cache: None, bag: function.rest() });
    }
    Ok(tools)
}

fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed(""));
    let unknown = |name| Tool {
        place: raw.into(),
        kind: ToolKind::Unknown { name, raw },
        cache: None,
        bag: Bag::EMPTY,
    };
    let (kind, mut inner) = match name.as_ref() {
        "function" => {
            let mut function: Fields<'_> = fields.require("function")?;
            (function_kind(&mut function)?, function)
        }
        "custom" => {
            let mut custom: Fields<'_> = fields.require("custom")?;
            let Some(format) = custom_format(&mut custom)? else { return Ok(unknown(name)) };
            let kind = ToolKind::Custom {
                name: custom.require("name")?,
                description: custom.take("description")?.value(),
                format: format.into_option(),
            };
            (kind, custom)
        }
        _ => return Ok(unknown(name)),
    };
    let cache = cache_mark::take(&mut fields).or_else(|| cache_mark::take(&mut inner));
    let mut bag = inner.rest();
    append(&mut bag, fields.rest());
    Ok(Tool { place: raw.into(), kind, cache, bag })
}

fn function_kind<'a>(function: &mut Fields<'a>) -> Result<ToolKind<'a>, ReadError> {
    Ok(ToolKind::Function {
        name: function.require("name")?,
        description: function.take("description")?.value(),
        parameters: function.take::<Raw<'a>>("parameters")?.value().map(JsonText::from),
        strict: function.take("strict")?.value(),
    })
}

/// What a custom tool says about its texts.
enum Said<'a> {
    Nothing,
    Format(CustomFormat<'a>),
}

impl<'a> Said<'a> {
    fn into_option(self) -> Option<CustomFormat<'a>> {
        match self {
            Self::Nothing => None,
            Self::Format(format) => Some(format),
        }
    }
}

/// `None` for formats that are not known.
fn custom_format<'a>(custom: &mut Fields<'a>) -> Result<Option<Said<'a>>, ReadError> {
    let Some(mut format) = custom.take::<Fields<'a>>("format")?.value() else {
        return Ok(Some(Said::Nothing));
    };
    let kind = format.variant("type").unwrap_or_default();
    Ok(match kind.as_ref() {
        "text" if format.peek("grammar").is_none() => Some(Said::Format(CustomFormat::Text)),
        "grammar" => {
            let mut grammar: Fields<'a> = format.require("grammar")?;
            let (syntax, definition) = (grammar.require("syntax")?, grammar.require("definition")?);
            Some(Said::Format(CustomFormat::Grammar { syntax, definition }))
        }
        _ => None,
    })
}

pub(super) fn choice<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Option<Placed<'a, ToolChoice<'a>>>, ReadError> {
    let older = fields.take::<Raw<'a>>("function_call")?.value();
    if let Some(raw) = fields.take::<Raw<'a>>("tool_choice")?.value() {
        if let Some(older) = older {
            bag.push("function_call", older);
        }
        return Ok(Some(Placed { value: tool_choice(raw, bag)?, place: raw.into() }));
    }
    let Some(raw) = older else { return Ok(None) };
    let value = match raw.kind() {
        Kind::String => word(raw)?,
        _ => ToolChoice::Named(Fields::read(raw)?.require("name")?),
    };
    Ok(Some(Placed { value, place: raw.into() }))
}

fn word(raw: Raw<'_>) -> Result<ToolChoice<'_>, ReadError> {
    Ok(match raw.str()?.as_ref() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        // Mistral's word is `any`.
        "required" | "any" => ToolChoice::Required,
        _ => ToolChoice::Unknown(raw),
    })
}

fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<ToolChoice<'a>, ReadError> {
    if raw.kind() == Kind::String {
        return word(raw);
    }
    let mut fields = Fields::read(raw)?;
    match fields.variant("type").as_deref() {
        Some(kind @ ("function" | "custom")) => {
            let mut inner: Fields<'a> =
                fields.require(if kind == "custom" { "custom" } else { "function" })?;
            let name = inner.require("name")?;
            append(bag, inner.rest());
            append(bag, fields.rest());
            Ok(ToolChoice::Named(name))
        }
        Some("allowed_tools") => {
            let unknown = Ok(ToolChoice::Unknown(raw));
            let Some(mut allowed) = fields.offer::<Fields<'a>>("allowed_tools") else { return unknown };
            let mode = match allowed.offer::<Cow<'a, str>>("mode").as_deref() {
                Some("auto") => AllowedMode::Auto,
                Some("required") => AllowedMode::Required,
                _ => return unknown,
            };
            let tools: Vec<Raw<'a>> = allowed.offer("tools").unwrap_or_default();
            let Some(names) = tools.into_iter().map(name_of).collect() else { return unknown };
            append(bag, allowed.rest());
            append(bag, fields.rest());
            Ok(ToolChoice::Allowed { mode, names })
        }
        _ => Ok(ToolChoice::Unknown(raw)),
    }
}

/// The name in an entry of the allowed tools; `None` for tools that the provider runs.
fn name_of(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let kind = raw.get("type")?.str().ok()?;
    let kind = matches!(kind.as_ref(), "function" | "custom").then_some(kind)?;
    raw.get(&kind)?.get("name")?.str().ok()
}
