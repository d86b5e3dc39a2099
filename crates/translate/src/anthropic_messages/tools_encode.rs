//! Tools, and the choice of them. <https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview>

use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::cache_mark::{Among, Marks};
use super::plan::{Form, Plan};
use crate::conversation::{CallKind, CustomFormat, Tool, ToolChoice, ToolKind, schema_or_empty};
use crate::{Conversation, Losses, tool_name};

pub(super) fn write<'a>(
    conversation: &Conversation<'a>,
    plan: &Plan<'_>,
    marks: &mut Marks,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut kept: Vec<&Tool<'a>> = Vec::with_capacity(conversation.tools.len());
    for tool in &conversation.tools {
        match &tool.kind {
            ToolKind::Unknown { name, raw } if !losses.is_same_protocol() => {
                losses.unknown(*raw, "tool", name);
            }
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }
                if plan.choice.only.is_some_and(|only| !only.contains(name)) => {}
            _ => kept.push(tool),
        }
    }
    let answer = match plan.form {
        Form::Tool { schema, description } => Some((schema, description)),
        Form::Free | Form::Schema(_) => None,
    };
    if !kept.is_empty() || answer.is_some() {
        let mut list = object.key("tools").array();
        kept.iter().for_each(|tool| self::tool(tool, marks, &mut list, losses));
        if let Some((schema, description)) = answer {
            let mut object = list.item().object();
            object.key("name").string(tool_name::ANSWER);
            object.key("description").string(description.unwrap_or(tool_name::ANSWER_DESCRIPTION));
            object.key("input_schema").raw(schema.map_or(r#"{"type":"object"}"#, |schema| schema.text()));
        }
    }
    tool_choice(conversation, plan, !kept.is_empty() || answer.is_some(), object, losses);
}

fn tool<'a>(tool: &Tool<'a>, marks: &mut Marks, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let mut object = list.item().object();
            object.key("name").string(&tool_name::legal(name, CallKind::Function));
            if let Some(description) = description {
                object.key("description").string(description);
            }
            object.key("input_schema").raw(schema_or_empty(parameters.as_ref()));
            if let Some(strict) = strict {
                object.key("strict").bool(*strict);
            }
            marks.write(tool.cache.as_ref(), Among::Tools, &mut object, losses);
            losses.write_bag(&tool.bag, &mut object);
        }
        ToolKind::Custom { name, description, format } => {
            if let Some(CustomFormat::Grammar { .. }) = format {
                losses.report(
                    tool.place,
                    LossKind::Dropped,
                    "the texts that the tool takes are not held to its grammar",
                    "grammars of tools that take free text",
                );
            }
            let mut object = list.item().object();
            object.key("name").string(&tool_name::legal(name, CallKind::Custom));
            if let Some(description) = description {
                object.key("description").string(description);
            }
            object.key("input_schema").raw(tool_name::custom_schema().text());
            marks.write(tool.cache.as_ref(), Among::Tools, &mut object, losses);
            losses.write_bag(&tool.bag, &mut object);
        }
        ToolKind::Unknown { raw, .. } => list.item().raw(raw.text()),
    }
}

/// `tool_choice` also says whether several tools may be called in one turn.
fn tool_choice<'a>(
    conversation: &Conversation<'a>,
    plan: &Plan<'_>,
    has_tools: bool,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    if let Some(ToolChoice::Unknown(raw)) = conversation.tool_choice.as_ref().map(|choice| &choice.value) {
        if losses.is_same_protocol() {
            return object.key("tool_choice").raw(raw.text());
        }
        losses.unknown(*raw, "field", "tool_choice");
    }
    // Without tools there is nothing to choose, and the provider refuses a choice.
    let Some(kind) = plan.choice.kind.filter(|_| has_tools) else { return };
    let mut choice = object.key("tool_choice").object();
    choice.key("type").string(kind);
    if kind == "none" {
        return;
    }
    if let Some(name) = plan.choice.name {
        let is_custom = |tool: &Tool<'_>| matches!(&tool.kind, ToolKind::Custom { name: n, .. } if n == name);
        let kind = match conversation.tools.iter().any(is_custom) {
            true => CallKind::Custom,
            false => CallKind::Function,
        };
        choice.key("name").string(&tool_name::legal(name, kind));
    }
    if let Some(parallel) = conversation.parallel_tool_calls {
        choice.key("disable_parallel_tool_use").bool(!parallel.value);
    }
}
