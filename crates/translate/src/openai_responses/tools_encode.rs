//! Tools and the choice of them, written.

use weighbridge_protocol::json::{Array, Object};

use super::bag_names;
use crate::conversation::{AllowedMode, CustomFormat, Tool, ToolChoice, ToolKind, schema_or_empty};
use crate::{Conversation, Losses, tool_id};

pub(super) fn tools<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut kept: Vec<&Tool<'a>> = Vec::with_capacity(conversation.tools.len());
    for tool in &conversation.tools {
        match &tool.kind {
            ToolKind::Unknown { name, raw } if !losses.is_same_protocol() => {
                losses.unknown(*raw, "tool", name);
            }
            _ => kept.push(tool),
        }
    }
    if !kept.is_empty() {
        let mut list = object.key("tools").array();
        kept.iter().for_each(|tool| self::tool(tool, &mut list, losses));
    }
    // Without tools there is nothing to choose. The same protocol may have them in a prompt.
    let any = !kept.is_empty() || losses.is_same_protocol();
    choice(conversation, any, object, losses);
    if let Some(parallel) = conversation.parallel_tool_calls.filter(|_| any) {
        object.key("parallel_tool_calls").bool(parallel.value);
    }
}

fn tool<'a>(tool: &Tool<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    if let ToolKind::Unknown { raw, .. } = &tool.kind {
        return list.item().raw(raw.text());
    }
    let mut object = list.item().object();
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            object.key("type").string("function");
            object.key("name").string(&tool_id::legal(name));
            if let Some(description) = description {
                object.key("description").string(description);
            }
            match parameters {
                None if losses.is_same_protocol() => object.key("parameters").null(),
                _ => object.key("parameters").raw(schema_or_empty(parameters.as_ref())),
            }
            // Who says nothing means no, everywhere but here: here it means yes, if that can be.
            match strict {
                None if losses.is_same_protocol() => object.key("strict").null(),
                _ => object.key("strict").bool(strict.unwrap_or(false)),
            }
        }
        ToolKind::Custom { name, description, format } => {
            object.key("type").string("custom");
            object.key("name").string(&tool_id::legal(name));
            if let Some(description) = description {
                object.key("description").string(description);
            }
            if let Some(format) = format {
                custom_format(format, &mut object.key("format").object());
            }
        }
        ToolKind::Unknown { .. } => {}
    }
    losses.uncached(tool.cache.as_ref());
    losses.write_bag(&tool.bag, &mut object);
}

fn custom_format(format: &CustomFormat<'_>, object: &mut Object<'_>) {
    match format {
        CustomFormat::Text => object.key("type").string("text"),
        CustomFormat::Grammar { syntax, definition } => {
            object.key("type").string("grammar");
            object.key("syntax").string(syntax);
            object.key("definition").string(definition);
        }
    }
}

fn choice<'a>(
    conversation: &Conversation<'a>,
    has_tools: bool,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let choice = match conversation.tool_choice.as_ref().map(|choice| &choice.value) {
        None => return,
        Some(ToolChoice::Unknown(raw)) if losses.is_same_protocol() => {
            return object.key("tool_choice").raw(raw.text());
        }
        Some(ToolChoice::Unknown(raw)) => return losses.unknown(*raw, "field", "tool_choice"),
        Some(_) if !has_tools => return,
        Some(choice) => choice,
    };
    let is_custom = |wanted: &str| {
        conversation
            .tools
            .iter()
            .any(|tool| matches!(&tool.kind, ToolKind::Custom { name, .. } if name == wanted))
    };
    let named = |name: &str, object: &mut Object<'_>| {
        object.key("type").string(if is_custom(name) { "custom" } else { "function" });
        object.key("name").string(&tool_id::legal(name));
    };
    match choice {
        ToolChoice::Auto => object.key("tool_choice").string("auto"),
        ToolChoice::None => object.key("tool_choice").string("none"),
        ToolChoice::Required => object.key("tool_choice").string("required"),
        ToolChoice::Named(name) => {
            let mut choice = object.key("tool_choice").object();
            named(name, &mut choice);
            bag_names::write_kept(&conversation.bag, bag_names::TOOL_CHOICE, &mut choice, losses);
        }
        ToolChoice::Allowed { mode, names } => {
            let mut choice = object.key("tool_choice").object();
            choice.key("type").string("allowed_tools");
            choice.key("mode").string(match mode {
                AllowedMode::Auto => "auto",
                AllowedMode::Required => "required",
            });
            let mut list = choice.key("tools").array();
            names.iter().for_each(|name| named(name, &mut list.item().object()));
            drop(list);
            bag_names::write_kept(&conversation.bag, bag_names::TOOL_CHOICE, &mut choice, losses);
        }
        ToolChoice::Unknown(_) => {}
    }
}
