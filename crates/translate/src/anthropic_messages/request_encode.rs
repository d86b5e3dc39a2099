//! The canonical conversation, written as a request. <https://docs.anthropic.com/en/api/messages>

use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::LossKind;

use super::blocks_encode::{content, expressible};
use crate::conversation::{Tool, ToolChoice, ToolKind, Wish, schema_or_empty};
use crate::{Content, Conversation, Losses, Message, Part, Place, Placed, RequestTarget, Role};

/// What a request of this protocol can wish.
const HEARD: [Wish; 7] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::Stop,
    Wish::MaxOutput,
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
    max_tokens(conversation, target, &mut object, losses);
    // Instructions that stand first have a field of their own; later ones keep their place.
    let first = conversation.messages.iter().take_while(|message| is_system(message)).count();
    let (leading, others) = conversation.messages.split_at(first);
    system(leading, &mut object, losses);
    let mut messages = object.key("messages").array();
    for message in others {
        self::message(message, &mut messages, losses);
    }
    drop(messages);
    report_prefill(conversation, losses);
    sampling(conversation, &mut object, losses);
    stop_sequences(conversation, &mut object, losses);
    tools(conversation, &mut object, losses);
    if let Some(user) = &conversation.end_user {
        object.key("metadata").object().key("user_id").string(&user.value);
    }
    if conversation.stream {
        object.key("stream").bool(true);
    }
    losses.unheard(conversation, &HEARD);
    losses.write_bag(&conversation.bag, &mut object);
    drop(object);
    out
}

fn max_tokens<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let cap = conversation.max_output.map_or_else(
        || {
            losses.report(
                Place::NOWHERE,
                LossKind::Defaulted,
                "anthropic-messages demands an output cap, and the request has none",
                "a request without an output cap",
            );
            target.max_output_default
        },
        |cap| cap.value,
    );
    object.key("max_tokens").number(cap);
}

/// `developer` is OpenAI's newer name for the same thing.
fn is_system(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// Each part of each leading instruction becomes a block: nothing stands between them that was not
/// there before.
fn system<'a>(leading: &[Message<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    for message in leading {
        losses.bag(&message.bag);
    }
    let parts = text_only(leading.iter().flat_map(|message| &message.parts), losses);
    if !parts.is_empty() {
        content(&parts, object.key("system"), losses);
    }
}

/// Instructions are text; anything else in them is reported.
fn text_only<'p, 'a: 'p>(
    parts: impl Iterator<Item = &'p Part<'a>>,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = expressible(parts, losses);
    kept.retain(|part| {
        let fits = matches!(part.content, Content::Text(_) | Content::Unknown { .. });
        if !fits {
            losses.dropped(part.place, "instructions are text only", "such content in instructions");
        }
        fits
    });
    kept
}

fn message<'a>(message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let role = match &message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Other(_) => return other(message, list, losses),
    };
    let parts = match &message.role {
        Role::System | Role::Developer => text_only(message.parts.iter(), losses),
        _ => ordered(message, losses),
    };
    if parts.is_empty() {
        losses.dropped(message.place, "a message without content is refused", "messages without content");
        return losses.bag(&message.bag);
    }
    let mut object = list.item().object();
    object.key("role").string(role);
    content(&parts, object.key("content"), losses);
    losses.write_bag(&message.bag, &mut object);
}

/// Results of tools stand before anything else in a message, or they are refused.
fn ordered<'p, 'a>(message: &'p Message<'a>, losses: &mut Losses<'a>) -> Vec<&'p Part<'a>> {
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let mut parts = expressible(&message.parts, losses);
    let last_result = parts.iter().rposition(|part| is_result(part));
    let moved: Vec<&Part<'a>> =
        parts.iter().take(last_result.unwrap_or(0)).filter(|part| !is_result(part)).copied().collect();
    for part in moved {
        losses.report(
            part.place,
            LossKind::Moved,
            "it stands behind the results of tools, which must come first",
            "results of tools behind other content",
        );
    }
    parts.sort_by_key(|part| !is_result(part));
    parts
}

fn other<'a>(message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    for part in &message.parts {
        if let Content::Unknown { name, raw } = &part.content {
            if losses.is_same_protocol() {
                list.item().raw(raw.text());
            } else {
                losses.unknown(*raw, "role", name);
            }
        }
    }
}

/// What stands last is history to others; here the model continues it.
fn report_prefill<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
    let Some(last) = conversation.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    let is_call = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if !losses.is_same_protocol() && !is_call {
        losses.report(
            last.place,
            LossKind::Approximated,
            "the model continues the last message instead of answering it",
            "a message of the model that stands last and is not continued",
        );
    }
}

fn sampling<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if let Some(temperature) = conversation.sampling.temperature {
        // The range ends at 1 here and at 2 elsewhere.
        if temperature.text().parse::<f64>().is_ok_and(|number| number > 1.0) {
            losses.report(
                temperature,
                LossKind::Approximated,
                "the highest temperature is 1",
                "temperatures above 1",
            );
            object.key("temperature").number(1);
        } else {
            object.key("temperature").raw(temperature.text());
        }
    }
    if let Some(top_p) = conversation.sampling.top_p {
        object.key("top_p").raw(top_p.text());
    }
}

fn stop_sequences<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut kept = Vec::with_capacity(conversation.stop.len());
    for sequence in &conversation.stop {
        if losses.is_same_protocol() || !sequence.value.trim().is_empty() {
            kept.push(&sequence.value);
        } else {
            losses.dropped(
                sequence.place,
                "a stop sequence of nothing but white space is refused",
                "stop sequences of white space",
            );
        }
    }
    if !kept.is_empty() {
        let mut list = object.key("stop_sequences").array();
        kept.into_iter().for_each(|sequence| list.item().string(sequence));
    }
}

fn tools<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut kept: Vec<&Tool<'a>> = Vec::with_capacity(conversation.tools.len());
    for tool in &conversation.tools {
        match &tool.kind {
            ToolKind::Unknown { name, raw } if !losses.is_same_protocol() => {
                losses.unknown(*raw, "tool", name);
            }
            ToolKind::Custom { name, .. } => losses.dropped(
                tool.place,
                format!("the custom tool `{name}` is not carried over"),
                "tools that take free text",
            ),
            _ => kept.push(tool),
        }
    }
    if !kept.is_empty() {
        let mut list = object.key("tools").array();
        kept.iter().for_each(|tool| self::tool(tool, &mut list, losses));
    }
    tool_choice(conversation, !kept.is_empty(), object, losses);
}

fn tool<'a>(tool: &Tool<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let mut object = list.item().object();
            object.key("name").string(name);
            if let Some(description) = description {
                object.key("description").string(description);
            }
            object.key("input_schema").raw(schema_or_empty(parameters.as_ref()));
            if let Some(strict) = strict {
                object.key("strict").bool(*strict);
            }
            losses.uncached(tool.cache.as_ref());
            losses.write_bag(&tool.bag, &mut object);
        }
        ToolKind::Custom { .. } => {}
        ToolKind::Unknown { raw, .. } => list.item().raw(raw.text()),
    }
}

/// `tool_choice` also says whether several tools may be called in one turn.
fn tool_choice<'a>(
    conversation: &Conversation<'a>,
    has_tools: bool,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let wanted = conversation.tool_choice.as_ref();
    if let Some(ToolChoice::Unknown(raw)) = wanted.map(|choice| &choice.value) {
        if losses.is_same_protocol() {
            return object.key("tool_choice").raw(raw.text());
        }
        losses.unknown(*raw, "field", "tool_choice");
    }
    // Without tools there is nothing to choose, and the provider refuses a choice.
    let parallel = conversation.parallel_tool_calls;
    if !has_tools || (wanted.is_none() && parallel.is_none()) {
        return;
    }
    let mut choice = object.key("tool_choice").object();
    if let Some(Placed { value: ToolChoice::Allowed { .. }, place }) = wanted {
        losses.dropped(
            *place,
            "a choice among some of the tools is not carried over",
            "a list of allowed tools",
        );
    }
    let (kind, name) = match wanted.map(|choice| &choice.value) {
        Some(ToolChoice::None) => return choice.key("type").string("none"),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name)),
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. } | ToolChoice::Unknown(_)) | None => ("auto", None),
    };
    choice.key("type").string(kind);
    if let Some(name) = name {
        choice.key("name").string(name);
    }
    if let Some(parallel) = parallel {
        choice.key("disable_parallel_tool_use").bool(!parallel.value);
    }
}
