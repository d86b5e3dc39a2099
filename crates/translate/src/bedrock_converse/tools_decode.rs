//! `toolConfig`, read.

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};

use super::blocks_decode::cache_point;
use super::leftovers::keep;
use crate::conversation::{CallKind, JsonText, Tool, ToolChoice, ToolKind};
use crate::{Conversation, Placed, tool_name};

pub(super) fn read<'a>(
    mut config: Fields<'a>,
    conversation: &mut Conversation<'a>,
    bag: &mut Bag<'a>,
) -> Result<(), ReadError> {
    conversation.tools = tools(config.take::<Vec<Raw<'a>>>("tools")?.value().unwrap_or_default())?;
    if let Some(choice) = config.take::<Fields<'a>>("toolChoice")?.value() {
        conversation.tool_choice = Some(tool_choice(choice, bag)?);
    }
    keep(bag, "toolConfig", config);
    Ok(())
}

/// A cache point is a mark on the tool before it.
pub(super) fn tools<'a>(list: impl IntoIterator<Item = Raw<'a>>) -> Result<Vec<Tool<'a>>, ReadError> {
    let mut tools: Vec<Tool<'a>> = Vec::new();
    for raw in list {
        let last = tools.last_mut().filter(|last| last.cache.is_none());
        match (last, cache_point(raw)) {
            (Some(last), Some(mark)) => last.cache = Some(mark),
            _ => tools.push(tool(raw)?),
        }
    }
    Ok(tools)
}

/// A tool of the client's has a specification; others are the provider's, or marks that stand oddly.
fn tool(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let mut bag = Bag::EMPTY;
    let Some(mut spec) = fields.take::<Fields<'_>>("toolSpec")?.value() else {
        let name = fields.rest().iter().next().map(|(name, _)| name.to_owned()).unwrap_or_default();
        let kind = ToolKind::Unknown { name: name.into(), raw };
        return Ok(Tool { place: raw.into(), kind, cache: None, bag });
    };
    let parameters = match spec.take::<Fields<'_>>("inputSchema")?.value() {
        Some(mut schema) => {
            let json = schema.take::<Raw<'_>>("json")?.value();
            keep(&mut bag, "toolSpec/inputSchema", schema);
            json.map(JsonText::from)
        }
        None => None,
    };
    let description = spec.take("description")?.value();
    let kind = match tool_name::into_original(spec.require("name")?) {
        (name, CallKind::Function) => {
            ToolKind::Function { name, description, parameters, strict: spec.take("strict")?.value() }
        }
        (name, CallKind::Custom) => ToolKind::Custom { name, description, format: None },
    };
    keep(&mut bag, "toolSpec", spec);
    keep(&mut bag, "", fields);
    Ok(Tool { place: raw.into(), kind, cache: None, bag })
}

fn tool_choice<'a>(
    mut choice: Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Placed<'a, ToolChoice<'a>>, ReadError> {
    let raw = choice.raw();
    let mut value = None;
    for (name, plain) in [("auto", ToolChoice::Auto), ("any", ToolChoice::Required)] {
        if let Some(inner) = choice.take::<Fields<'a>>(name)?.value() {
            keep(bag, &format!("toolConfig/toolChoice/{name}"), inner);
            value = Some(plain);
        }
    }
    if let Some(mut tool) = choice.take::<Fields<'a>>("tool")?.value() {
        value = Some(ToolChoice::Named(tool_name::into_original(tool.require("name")?).0));
        keep(bag, "toolConfig/toolChoice/tool", tool);
    }
    let Some(value) = value else {
        return Ok(Placed { value: ToolChoice::Unknown(raw), place: raw.into() });
    };
    keep(bag, "toolConfig/toolChoice", choice);
    Ok(Placed { value, place: raw.into() })
}
