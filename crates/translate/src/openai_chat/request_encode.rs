//! The canonical conversation, written as a request.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use weighbridge_protocol::Dialect;
use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_protocol::openai_chat::models::{self, ModelFacts};
use weighbridge_units::LossKind;

use super::cache_mark::{self, Marks};
use super::content_encode::Takes;
use super::{message_encode, wishes_encode};
use crate::conversation::{AllowedMode, CustomFormat, Tool, ToolChoice, ToolKind};
use crate::{Content, Conversation, Losses, RequestTarget, Role};

/// `stop` takes at most this many sequences.
const STOP_MAX: usize = 4;

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    let facts = models::facts(target.model);
    let takes = takes(target, facts);
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("model").string(target.model);
    let mut messages = object.key("messages").array();
    for message in &conversation.messages {
        message_encode::message(message, takes, &mut messages, losses);
    }
    drop(messages);
    report_prefill(conversation, losses);
    if let Some(cap) = &conversation.max_output {
        let name = if target.dialect == Dialect::Compatible { "max_tokens" } else { "max_completion_tokens" };
        object.key(name).number(cap.value);
    }
    wishes_encode::write(conversation, target, facts, &mut object, losses);
    stop(conversation, &mut object, losses);
    tools(conversation, takes.marks, &mut object, losses);
    if conversation.stream {
        object.key("stream").bool(true);
        if target.include_usage {
            object.key("stream_options").object().key("include_usage").bool(true);
        }
    }
    losses.write_bag(&conversation.bag, &mut object);
    drop(object);
    out
}

/// What the provider takes, as far as its dialect and the model's name tell.
fn takes(target: &RequestTarget<'_>, facts: Option<ModelFacts>) -> Takes {
    let compatible = target.dialect == Dialect::Compatible;
    // Routers hand Anthropic's marks on to those that know them.
    let routed = ["claude", "gemini"].iter().any(|name| target.model.contains(name));
    let marks = match (compatible, facts) {
        (true, _) if routed => Marks::Routers,
        (false, Some(ModelFacts { cache_marks: true, .. })) => Marks::Own,
        _ => Marks::No,
    };
    Takes { marks, more_content: compatible, developer: !compatible }
}

/// Anthropic continues a message of the model that stands last; here it is history.
fn report_prefill<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
    let Some(last) = conversation.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    let is_call = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if !losses.is_same_protocol() && !is_call {
        losses.report(
            last.place,
            LossKind::Approximated,
            "the model may answer the last message instead of continuing it",
            "continuing a message of the model",
        );
    }
}

fn stop<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if conversation.stop.is_empty() {
        return;
    }
    let mut list = object.key("stop").array();
    for (index, sequence) in conversation.stop.iter().enumerate() {
        if index < STOP_MAX || losses.is_same_protocol() {
            list.item().string(&sequence.value);
        } else {
            losses.dropped(sequence.place, "at most four stop sequences are taken", "more stop sequences");
        }
    }
}

fn tools<'a>(
    conversation: &Conversation<'a>,
    marks: Marks,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let is_known = |tool: &Tool<'_>| !matches!(tool.kind, ToolKind::Unknown { .. });
    let any = conversation.tools.iter().any(|tool| is_known(tool) || losses.is_same_protocol());
    if any {
        let mut list = object.key("tools").array();
        for item in &conversation.tools {
            tool(item, marks, &mut list, losses);
        }
    } else {
        for item in &conversation.tools {
            if let ToolKind::Unknown { name, raw } = &item.kind {
                losses.unknown(*raw, "tool", name);
            }
        }
    }
    tool_choice(conversation, any, object, losses);
    if let Some(parallel) = conversation.parallel_tool_calls.filter(|_| any) {
        object.key("parallel_tool_calls").bool(parallel.value);
    }
}

fn tool_choice<'a>(
    conversation: &Conversation<'a>,
    any: bool,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let Some(choice) = &conversation.tool_choice else { return };
    match &choice.value {
        ToolChoice::Unknown(raw) if losses.is_same_protocol() => object.key("tool_choice").raw(raw.text()),
        ToolChoice::Unknown(raw) => losses.unknown(*raw, "field", "tool_choice"),
        // Without tools there is nothing to choose, and the provider refuses a choice.
        _ if !any => {}
        ToolChoice::Auto => object.key("tool_choice").string("auto"),
        ToolChoice::None => object.key("tool_choice").string("none"),
        ToolChoice::Required => object.key("tool_choice").string("required"),
        ToolChoice::Named(name) => named(name, conversation, &mut object.key("tool_choice").object()),
        ToolChoice::Allowed { mode, names } => {
            let mut object = object.key("tool_choice").object();
            object.key("type").string("allowed_tools");
            let mut allowed = object.key("allowed_tools").object();
            allowed.key("mode").string(match mode {
                AllowedMode::Auto => "auto",
                AllowedMode::Required => "required",
            });
            let mut list = allowed.key("tools").array();
            for name in names {
                named(name, conversation, &mut list.item().object());
            }
        }
    }
}

/// A tool by its name and kind.
fn named(name: &str, conversation: &Conversation<'_>, object: &mut Object<'_>) {
    let is_custom = conversation
        .tools
        .iter()
        .any(|tool| matches!(&tool.kind, ToolKind::Custom { name: custom, .. } if custom == name));
    let kind = if is_custom { "custom" } else { "function" };
    object.key("type").string(kind);
    object.key(kind).object().key("name").string(name);
}

fn tool<'a>(tool: &Tool<'a>, marks: Marks, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let mut object = list.item().object();
            object.key("type").string("function");
            let mut function = object.key("function").object();
            function.key("name").string(name);
            if let Some(description) = description {
                function.key("description").string(description);
            }
            if let Some(parameters) = parameters {
                function.key("parameters").raw(parameters.text());
            }
            if let Some(strict) = strict {
                function.key("strict").bool(*strict);
            }
            losses.write_bag(&tool.bag, &mut function);
            drop(function);
            mark(tool, marks, &mut object, losses);
        }
        ToolKind::Custom { name, description, format } => {
            let mut object = list.item().object();
            object.key("type").string("custom");
            let mut custom = object.key("custom").object();
            custom.key("name").string(name);
            if let Some(description) = description {
                custom.key("description").string(description);
            }
            if let Some(format) = format {
                custom_format(format, &mut custom.key("format").object());
            }
            losses.write_bag(&tool.bag, &mut custom);
            drop(custom);
            mark(tool, marks, &mut object, losses);
        }
        ToolKind::Unknown { raw, .. } if losses.is_same_protocol() => list.item().raw(raw.text()),
        ToolKind::Unknown { name, raw } => losses.unknown(*raw, "tool", name),
    }
}

/// OpenAI marks content only; routers take marks on tools as well.
fn mark<'a>(tool: &Tool<'a>, marks: Marks, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let marks = if marks == Marks::Own { Marks::No } else { marks };
    cache_mark::write(tool.cache.as_ref(), marks, object, losses);
}

fn custom_format(format: &CustomFormat<'_>, object: &mut Object<'_>) {
    match format {
        CustomFormat::Text => object.key("type").string("text"),
        CustomFormat::Grammar { syntax, definition } => {
            object.key("type").string("grammar");
            let mut grammar = object.key("grammar").object();
            grammar.key("syntax").string(syntax);
            grammar.key("definition").string(definition);
        }
    }
}
