//! What the protocol says in several ways, or need not say, brought to one form.

use std::borrow::Cow;

use weighbridge_protocol::json::Bag;

use super::call_ids::CallIds;
use super::{ADAPTER, base64, blocks_decode};
use crate::conversation::{
    Document, DocumentSource, Format, MediaSource, ReasoningExtent, ServiceTier, Tool, ToolChoice, ToolKind,
};
use crate::generators::raw;
use crate::laws::without_silent;
use crate::{Adapter, Answer, Content, Conversation, FinishReason, Message, Part, Place, Placed, Role};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    // The path tells the model and whether the answer is streamed; the laws ask for the model `m`.
    if same.model.is_empty() {
        same.model = Cow::Borrowed("m");
    }
    same.stream = false;
    instructions(same);
    let mut ids = CallIds::default();
    let mut messages: Vec<Message<'_>> = Vec::new();
    for mut message in std::mem::take(&mut same.messages) {
        message.parts.iter_mut().for_each(|part| self::part(part, &mut ids));
        // Neighbours of the same side are one turn.
        match messages.last_mut().filter(|last| last.role == message.role) {
            Some(last) => last.parts.extend(message.parts),
            None => messages.push(message),
        }
    }
    same.messages = messages;
    same.tools.iter_mut().for_each(tool);
    // Several calls in one turn are what is the case anyway.
    same.parallel_tool_calls = same.parallel_tool_calls.filter(|parallel| !parallel.value);
    // Claude's own field for that names a choice, too.
    if same.parallel_tool_calls.is_some() && !same.tools.is_empty() && same.tool_choice.is_none() {
        same.tool_choice = Some(Placed::nowhere(ToolChoice::Auto));
    }
    without_silent(same);
    // The tier that the service picks is what is the case anyway.
    same.service_tier = same.service_tier.take().filter(|tier| tier.value != ServiceTier::Auto);
    // What is not there is not shown.
    let wish = &mut same.reasoning;
    let thinks = match wish.extent.map(|extent| extent.value) {
        None => wish.effort.is_some(),
        Some(extent) => extent != ReasoningExtent::Off,
    };
    wish.shown = wish.shown.filter(|_| thinks);
    if let Some(Format::JsonSchema { strict, .. }) = same.format.as_mut().map(|format| &mut format.value) {
        *strict = Some(true);
    }
}

/// `developer` is another name, and instructions that stand first are one list of blocks.
fn instructions(same: &mut Conversation<'_>) {
    for message in &mut same.messages {
        if message.role == Role::Developer {
            message.role = Role::System;
        }
    }
    let leading = same.messages.iter().take_while(|message| message.role == Role::System).count();
    if leading > 1 {
        let parts = same.messages.drain(..leading).flat_map(|message| message.parts).collect();
        same.messages.insert(0, Message::new(Place::NOWHERE, Role::System, parts));
    }
}

fn part(part: &mut Part<'_>, ids: &mut CallIds) {
    match &mut part.content {
        Content::ToolCall(call) => {
            let id = ids.of_call(&call.id, &call.name).into_owned();
            call.id = blocks_decode::original(Cow::Owned(id));
        }
        Content::ToolResult(result) => {
            let id = ids.of_result(&result.call_id, result.name.as_deref()).into_owned();
            result.call_id = blocks_decode::original(Cow::Owned(id));
            result.name = None;
        }
        Content::Document(document) => self::document(document),
        _ => {}
    }
}

/// Plain text that is not to be cited is written as bytes, and read as what it is.
fn document(document: &mut Document<'_>) {
    if let DocumentSource::Media(MediaSource::Base64 { media_type, data }) = &document.source
        && media_type == "text/plain"
        && document.citations.is_none_or(|wish| !wish.value)
        && let Some(text) = base64::decode_text(data)
    {
        document.source = DocumentSource::Text(text.into());
    }
}

fn tool(tool: &mut Tool<'_>) {
    if let ToolKind::Function { parameters, strict, description, .. } = &mut tool.kind {
        parameters.get_or_insert(raw(r#"{"type":"object","properties":{}}"#).into());
        *strict = strict.filter(|strict| *strict);
        *description = description.take().filter(|text| !text.trim().is_empty());
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    // Headers and path tell these.
    same.id = Some(Cow::Borrowed("fallback"));
    same.model = None;
    same.created = None;
    same.bag = telling(&same.bag);
    for candidate in &mut same.candidates {
        if candidate.finish == Some(FinishReason::Stop) && candidate.seen().tool_calls {
            candidate.finish = Some(FinishReason::ToolCalls);
        }
        candidate.bag = telling(&candidate.bag);
    }
}

/// What a bag says beyond what is the case anyway, such as how long the answer took.
fn telling<'a>(bag: &Bag<'a>) -> Bag<'a> {
    let mut telling = Bag::EMPTY;
    for (name, value) in bag.iter().filter(|(name, value)| !ADAPTER.is_default(name, *value)) {
        telling.push(name.to_owned(), value);
    }
    telling
}
