//! The canonical conversation, written as a request. <https://ai.google.dev/api/generate-content>
//!
//! The model and the wish for a stream stand in the path
//! ([`Call::path`](weighbridge_protocol::gemini::Call::path)), not in the body.

use std::collections::BTreeMap;

use weighbridge_protocol::gemini::MODEL;
use weighbridge_protocol::gemini::models::thinks_in_levels;
use weighbridge_protocol::json::Writer;
use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::content_encode::{self, Reader, expressible};
use super::nested::Leftovers;
use super::schema::json_schema;
use super::wishes_encode;
use crate::conversation::{AllowedMode, ServiceTier, Tool, ToolChoice, ToolKind, Wish};
use crate::{Content, Conversation, Dialect, Losses, Message, Part, RequestTarget, Role};

/// What a request of this protocol can wish.
const HEARD: [Wish; 18] = [
    Wish::ToolChoice,
    Wish::ParallelToolCalls,
    Wish::Temperature,
    Wish::TopP,
    Wish::TopK,
    Wish::Seed,
    Wish::FrequencyPenalty,
    Wish::PresencePenalty,
    Wish::Stop,
    Wish::MaxOutput,
    Wish::Candidates,
    Wish::Format,
    Wish::Audio,
    Wish::Logprobs,
    Wish::Reasoning,
    Wish::ServiceTier,
    Wish::Metadata,
    Wish::Store,
];

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    let left = Leftovers::new(&conversation.bag, losses);
    let reader =
        Reader::Model { names: names(conversation), wants_signatures: thinks_in_levels(target.model) };
    // Instructions that stand first have a field of their own.
    let first = conversation.messages.iter().take_while(|message| is_system(message)).count();
    let (leading, others) = conversation.messages.split_at(first);
    let mut contents = object.key("contents").array();
    for message in others {
        self::message(message, &reader, &mut contents, losses);
    }
    drop(contents);
    report_prefill(conversation, losses);
    instruction(leading, &reader, &mut object, losses);
    let has_tools = tools(conversation, &mut object, losses);
    tool_config(conversation, has_tools, &left, &mut object, losses);
    wishes_encode::generation_config(conversation, target, &left, &mut object, losses);
    others_of_the_root(conversation, target, &mut object, losses);
    losses.unheard(conversation, &HEARD);
    left.write_outside(&mut object);
    drop(object);
    out
}

/// The tools' names by the ids of their calls.
fn names<'n>(conversation: &'n Conversation<'_>) -> BTreeMap<&'n str, &'n str> {
    let parts = conversation.messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some((call.id.as_ref(), call.name.as_ref())),
        _ => None,
    });
    calls.collect()
}

fn is_system(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// Each part of each leading instruction becomes a part: nothing stands between them that was not there
/// before.
fn instruction<'a>(
    leading: &[Message<'a>],
    reader: &Reader<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let parts = text_only(leading.iter().flat_map(|message| &message.parts), losses);
    let kept: Vec<_> = leading.iter().filter(|message| losses.keeps(&message.bag)).collect();
    if parts.is_empty() && kept.is_empty() {
        return leading.iter().for_each(|message| losses.bag(&message.bag));
    }
    let mut content = object.key("systemInstruction").object();
    content_encode::write(&parts, reader, &mut content.key("parts").array(), losses);
    for message in leading.iter().take(1) {
        Leftovers::new(&message.bag, losses).write_outside(&mut content);
    }
    leading.iter().skip(1).for_each(|message| losses.bag(&message.bag));
}

/// Instructions are text; anything else in them is reported.
fn text_only<'p, 'a: 'p>(
    parts: impl Iterator<Item = &'p Part<'a>>,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = expressible(parts, losses);
    let is_same = losses.is_same_protocol();
    kept.retain(|part| {
        let fits = is_same || matches!(part.content, Content::Text(_) | Content::Json(_));
        if !fits {
            losses.dropped(part.place, "instructions are text only", "such content in instructions");
        }
        fits
    });
    kept
}

fn message<'a>(message: &Message<'a>, reader: &Reader<'_>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &message.role {
        Role::System | Role::Developer => {
            losses.report(
                message.place,
                LossKind::Approximated,
                "instructions within the conversation stand there as words of the user",
                "instructions in any place",
            );
            let parts = text_only(message.parts.iter(), losses);
            content("user", message, &parts, reader, list, losses);
        }
        Role::Assistant => {
            let parts = expressible(&message.parts, losses);
            content(MODEL, message, &parts, reader, list, losses);
        }
        Role::User => user(message, reader, list, losses),
        Role::Other(_) => {
            for part in &message.parts {
                match &part.content {
                    Content::Unknown { raw, .. } if losses.is_same_protocol() => list.item().raw(raw.text()),
                    Content::Unknown { name, raw } => losses.unknown(*raw, "role", name),
                    _ => {}
                }
            }
        }
    }
}

/// Results of tools are a content of their own, right behind that of the calls: Google counts whether
/// there are as many of them as there were calls.
fn user<'a>(message: &Message<'a>, reader: &Reader<'_>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let parts = expressible(&message.parts, losses);
    let results = parts.iter().filter(|part| is_result(part)).count();
    if results == 0 || results == parts.len() || losses.is_same_protocol() {
        return content("user", message, &parts, reader, list, losses);
    }
    let last = parts.iter().rposition(|part| is_result(part)).unwrap_or(0);
    for part in parts.iter().take(last).filter(|part| !is_result(part)) {
        losses.report(
            part.place,
            LossKind::Moved,
            "it stands behind the results of tools, which must follow their calls directly",
            "results of tools behind other content",
        );
    }
    let (results, said): (Vec<&Part<'a>>, Vec<&Part<'a>>) = parts.iter().partition(|part| is_result(part));
    for parts in [results, said] {
        let mut object = list.item().object();
        object.key("role").string("user");
        content_encode::write(&parts, reader, &mut object.key("parts").array(), losses);
    }
    losses.bag(&message.bag);
}

fn content<'a>(
    role: &str,
    message: &Message<'a>,
    parts: &[&Part<'a>],
    reader: &Reader<'_>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    if parts.is_empty() && !losses.is_same_protocol() {
        losses.dropped(message.place, "a content without parts is refused", "messages without content");
        return losses.bag(&message.bag);
    }
    let mut object = list.item().object();
    object.key("role").string(role);
    content_encode::write(parts, reader, &mut object.key("parts").array(), losses);
    Leftovers::new(&message.bag, losses).write_outside(&mut object);
}

/// Nobody documents whether a content of the model that stands last is continued.
fn report_prefill<'a>(conversation: &Conversation<'a>, losses: &mut Losses<'a>) {
    let Some(last) = conversation.messages.last().filter(|last| last.role == Role::Assistant) else { return };
    let is_call = last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    if !losses.is_same_protocol() && !is_call {
        losses.report(
            last.place,
            LossKind::Approximated,
            "the model may continue the last message or answer it",
            "a rule for messages of the model that stand last",
        );
    }
}

/// Writes the tools, and says whether there are any.
fn tools<'a>(conversation: &Conversation<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) -> bool {
    let mut kept: Vec<&Tool<'a>> = Vec::with_capacity(conversation.tools.len());
    for tool in &conversation.tools {
        match &tool.kind {
            ToolKind::Unknown { name, raw } if !losses.is_same_protocol() => {
                losses.unknown(*raw, "tool", name)
            }
            ToolKind::Custom { name, .. } => losses.dropped(
                tool.place,
                format!("the custom tool `{name}` is not carried over"),
                "tools that take free text",
            ),
            _ => kept.push(tool),
        }
    }
    if kept.is_empty() {
        return false;
    }
    let strictly = is_strict(conversation);
    let mut list = object.key("tools").array();
    for group in kept.chunk_by(|one, other| is_function(one) && is_function(other)) {
        let mut object = list.item().object();
        if let [Tool { kind: ToolKind::Unknown { name, raw }, .. }] = group {
            object.key(name).raw(raw.text());
            continue;
        }
        let mut functions = object.key("functionDeclarations").array();
        for tool in group {
            function(tool, strictly, &mut functions.item().object(), losses);
        }
    }
    true
}

fn is_function(tool: &Tool<'_>) -> bool {
    matches!(tool.kind, ToolKind::Function { .. })
}

fn function<'a>(tool: &Tool<'a>, strictly: bool, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let ToolKind::Function { name, description, parameters, strict } = &tool.kind else { return };
    object.key("name").string(name);
    if let Some(description) = description {
        object.key("description").string(description);
    }
    let left = Leftovers::new(&tool.bag, losses);
    if let Some(parameters) = parameters {
        let own = left.get(None, "parameters");
        if own.is_none_or(|own| json_schema(own) != *parameters) {
            object.key("parametersJsonSchema").raw(parameters.text());
        }
    }
    if *strict == Some(true) && !strictly {
        losses.dropped(
            tool.place,
            "either all arguments are held to their schemas or none are",
            "a tool whose arguments alone must match its schema",
        );
    }
    losses.uncached(tool.cache.as_ref());
    left.write_outside(object);
}

/// Whether all arguments are to match their schemas, in the mode in which the tools may be called: a call
/// that is demanded always does.
fn is_strict(conversation: &Conversation<'_>) -> bool {
    let functions = conversation.tools.iter().filter_map(|tool| match &tool.kind {
        ToolKind::Function { strict, .. } => Some(strict),
        _ => None,
    });
    match conversation.tool_choice.as_ref().map(|choice| &choice.value) {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { .. } | ToolChoice::None) => {
            true
        }
        Some(ToolChoice::Unknown(_)) => false,
        Some(ToolChoice::Auto) | None => {
            let mut functions = functions.peekable();
            functions.peek().is_some() && functions.all(|strict| *strict == Some(true))
        }
    }
}

fn tool_config<'a>(
    conversation: &Conversation<'a>,
    has_tools: bool,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    if let Some(parallel) = conversation.parallel_tool_calls.filter(|parallel| has_tools && !parallel.value) {
        losses.dropped(
            parallel.place,
            "several tools may always be called in one turn",
            "a switch for parallel calls of tools",
        );
    }
    let choice = conversation.tool_choice.as_ref().map(|choice| &choice.value);
    if let Some(ToolChoice::Unknown(raw)) = choice
        && !losses.is_same_protocol()
    {
        losses.unknown(*raw, "field", "tool_choice");
    }
    let choice = choice.filter(|choice| {
        let is_foreign = matches!(choice, ToolChoice::Unknown(_)) && !losses.is_same_protocol();
        !is_foreign && (has_tools || losses.is_same_protocol())
    });
    let validated = has_tools && matches!(choice, None | Some(ToolChoice::Auto)) && is_strict(conversation);
    let has_calling = choice.is_some() || validated || left.is_needed("functionCallingConfig");
    if !has_calling && !left.is_needed("toolConfig") {
        return;
    }
    let mut config = object.key("toolConfig").object();
    if let Some(ToolChoice::Unknown(raw)) = choice {
        config.key("functionCallingConfig").raw(raw.text());
    } else if has_calling {
        let mut calling = config.key("functionCallingConfig").object();
        let (mode, names) = match choice {
            Some(ToolChoice::None) => (Some("NONE"), &[][..]),
            Some(ToolChoice::Required) => (Some("ANY"), &[][..]),
            Some(ToolChoice::Named(name)) => (Some("ANY"), std::slice::from_ref(name)),
            Some(ToolChoice::Allowed { mode: AllowedMode::Required, names }) => {
                (Some("ANY"), names.as_slice())
            }
            Some(ToolChoice::Allowed { mode: AllowedMode::Auto, names }) => {
                (Some("VALIDATED"), names.as_slice())
            }
            _ if validated => (Some("VALIDATED"), &[][..]),
            Some(ToolChoice::Auto | ToolChoice::Unknown(_)) => (Some("AUTO"), &[][..]),
            None => (None, &[][..]),
        };
        if let Some(mode) = mode {
            calling.key("mode").string(mode);
        }
        if !names.is_empty() {
            let mut list = calling.key("allowedFunctionNames").array();
            names.iter().for_each(|name| list.item().string(name));
        }
        left.write_inside("functionCallingConfig", &mut calling);
    }
    left.write_inside("toolConfig", &mut config);
}

/// What stands beside the contents.
fn others_of_the_root<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let is_vertex = target.dialect == Dialect::Vertex;
    if let Some(tier) = &conversation.service_tier {
        match &tier.value {
            ServiceTier::Auto => {}
            ServiceTier::Standard if is_vertex => {}
            // It refuses such a field of the body.
            // <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/priority-paygo>
            _ if is_vertex => {
                let reason = "Vertex AI takes the tier in the header `X-Vertex-AI-LLM-Shared-Request-Type`";
                losses.dropped(tier.place, reason, "a service tier in the body");
            }
            ServiceTier::Standard => object.key("serviceTier").string("standard"),
            ServiceTier::Flex => object.key("serviceTier").string("flex"),
            ServiceTier::Priority => object.key("serviceTier").string("priority"),
            ServiceTier::Other(name) if losses.is_same_protocol() => object.key("serviceTier").string(name),
            ServiceTier::Other(_) => {
                losses.dropped(tier.place, "the service tier has no counterpart", "such a service tier");
            }
        }
    }
    match conversation.metadata {
        Some(raw) if losses.is_same_protocol() => object.key("labels").raw(raw.text()),
        Some(raw) if is_vertex => {
            if let Some(labels) = wishes_encode::labels(raw, losses) {
                object.key("labels").raw(labels.text());
            }
        }
        Some(raw) if raw.text() != "{}" => {
            losses.dropped(raw, "only Vertex AI takes labels", "labels on a request");
        }
        Some(_) | None => {}
    }
    match conversation.store {
        Some(store) if !is_vertex => object.key("store").bool(store.value),
        Some(store) if store.value => {
            losses.dropped(store.place, "Vertex AI keeps no answers", "a switch for keeping the answer");
        }
        Some(_) | None => {}
    }
}
