//! The canonical conversation, written as a request.
//! <https://platform.openai.com/docs/api-reference/chat/create>

use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::LossKind;

use super::message_encode;
use crate::conversation::{Tool, ToolChoice, ToolKind, Wish};
use crate::{Content, Conversation, Losses, Place, RequestTarget, Role};

/// `stop` takes at most this many sequences.
const STOP_MAX: usize = 4;

/// What a request of this protocol can wish.
const HEARD: [Wish; 8] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::Stop,
    Wish::MaxOutput,
    Wish::Candidates,
    Wish::EndUser,
];

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    object.key("model").string(target.model);
    let mut messages = object.key("messages").array();
    for message in &conversation.messages {
        message_encode::message(message, &mut messages, losses);
    }
    drop(messages);
    report_prefill(conversation, losses);
    if let Some(cap) = &conversation.max_output {
        object.key("max_completion_tokens").number(cap.value);
    }
    if let Some(temperature) = conversation.sampling.temperature {
        object.key("temperature").raw(temperature.text());
    }
    if let Some(top_p) = conversation.sampling.top_p {
        object.key("top_p").raw(top_p.text());
    }
    stop(conversation, &mut object, losses);
    tools(conversation, &mut object, losses);
    if let Some(count) = &conversation.candidates {
        object.key("n").number(count.value);
    }
    if let Some(user) = &conversation.end_user {
        object.key("user").string(&user.value);
    }
    if conversation.stream {
        object.key("stream").bool(true);
        if target.include_usage {
            object.key("stream_options").object().key("include_usage").bool(true);
        }
    }
    losses.unheard(conversation, &HEARD);
    losses.write_bag(&conversation.bag, &mut object);
    drop(object);
    out
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
        if index < STOP_MAX {
            list.item().string(&sequence.value);
        } else {
            losses.dropped(sequence.place, "at most four stop sequences are taken", "more stop sequences");
        }
    }
}

fn tools<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let is_known = |tool: &Tool<'_>| matches!(tool.kind, ToolKind::Function { .. });
    let any = conversation.tools.iter().any(|tool| is_known(tool) || losses.is_same_protocol());
    if any {
        let mut list = object.key("tools").array();
        for item in &conversation.tools {
            tool(item, &mut list, losses);
        }
    } else {
        for item in &conversation.tools {
            if let ToolKind::Unknown { name, raw } = &item.kind {
                losses.unknown(*raw, "tool", name);
            }
        }
    }
    match conversation.tool_choice.as_ref().map(|choice| &choice.value) {
        None => {}
        Some(ToolChoice::Unknown(raw)) if losses.is_same_protocol() => {
            object.key("tool_choice").raw(raw.text());
        }
        Some(ToolChoice::Unknown(raw)) => losses.unknown(*raw, "field", "tool_choice"),
        // Without tools there is nothing to choose, and the provider refuses a choice.
        Some(_) if !any => {}
        Some(ToolChoice::Auto) => object.key("tool_choice").string("auto"),
        Some(ToolChoice::None) => object.key("tool_choice").string("none"),
        Some(ToolChoice::Required) => object.key("tool_choice").string("required"),
        Some(ToolChoice::Named(name)) => {
            let mut choice = object.key("tool_choice").object();
            choice.key("type").string("function");
            choice.key("function").object().key("name").string(name);
        }
        Some(ToolChoice::Allowed { .. }) => {
            let place = conversation.tool_choice.as_ref().map_or(Place::NOWHERE, |choice| choice.place);
            losses.dropped(
                place,
                "a choice among some of the tools is not carried over",
                "a list of allowed tools",
            );
        }
    }
    if let Some(parallel) = conversation.parallel_tool_calls.filter(|_| any) {
        object.key("parallel_tool_calls").bool(parallel.value);
    }
}

fn tool<'a>(tool: &Tool<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
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
        }
        ToolKind::Custom { name, .. } => losses.dropped(
            tool.place,
            format!("the custom tool `{name}` is not carried over"),
            "tools that take free text",
        ),
        ToolKind::Unknown { raw, .. } if losses.is_same_protocol() => list.item().raw(raw.text()),
        ToolKind::Unknown { name, raw } => losses.unknown(*raw, "tool", name),
    }
}
