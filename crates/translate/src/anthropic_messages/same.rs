//! What the protocol says in several ways, or need not say, brought to one form.

use std::borrow::Cow;

use weighbridge_protocol::json::Raw;

use crate::conversation::{
    CustomFormat, Document, DocumentSource, Format, MediaSource, ReasoningExtent, Shown, ToolChoice, ToolKind,
};
use crate::generators::raw;
use crate::laws::without_silent;
use crate::{Answer, Content, Conversation, FinishReason, Message, Part, Place, Placed, Role};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    // `developer` is another name, and instructions that stand first are one list of blocks.
    for message in &mut same.messages {
        if message.role == Role::Developer {
            message.role = Role::System;
        }
        message.parts.iter_mut().for_each(part);
    }
    let leading = same.messages.iter().take_while(|message| message.role == Role::System).count();
    if leading > 1 {
        let parts = same.messages.drain(..leading).flat_map(|message| message.parts).collect();
        same.messages.insert(0, Message::new(Place::NOWHERE, Role::System, parts));
    }
    without_silent(same);
    for tool in &mut same.tools {
        match &mut tool.kind {
            ToolKind::Function { parameters, .. } => {
                parameters.get_or_insert(raw(r#"{"type":"object","properties":{}}"#).into());
            }
            ToolKind::Custom { format, .. } => *format = format.take().filter(|f| *f != CustomFormat::Text),
            ToolKind::Unknown { .. } => {}
        }
    }
    match same.tool_choice.as_ref().map(|choice| &choice.value) {
        Some(ToolChoice::None) => same.parallel_tool_calls = None,
        None if same.parallel_tool_calls.is_some() => {
            same.tool_choice = Some(Placed::nowhere(ToolChoice::Auto));
        }
        _ => {}
    }
    // An answer that has a schema matches it.
    if let Some(Placed { value: Format::JsonSchema { strict, .. }, .. }) = &mut same.format {
        *strict = Some(true);
    }
    let wish = &mut same.reasoning;
    if let Some(ReasoningExtent::Off) = wish.extent.map(|extent| extent.value) {
        wish.effort = None;
    }
    // How thinking is shown is said beside it, and this is how it is shown anyway.
    let thinks = wish.extent.is_some_and(|extent| extent.value != ReasoningExtent::Off);
    wish.shown = wish.shown.filter(|shown| thinks && shown.value == Shown::Hidden);
    // Thinking takes place at this temperature, and no other is taken beside it.
    let is_one = |number: &Raw<'_>| number.text().parse() == Ok(1.0_f64);
    same.sampling.temperature = same.sampling.temperature.filter(|number| !(thinks && is_one(number)));
}

/// A document of plain text is given as text.
fn part(part: &mut Part<'_>) {
    match &mut part.content {
        Content::ToolResult(result) => result.parts.iter_mut().for_each(self::part),
        Content::Document(Document { source, .. }) => {
            if let DocumentSource::Media(MediaSource::Base64 { media_type, .. }) = source
                && media_type == "text/plain"
            {
                *source = DocumentSource::Text(Cow::Borrowed("hi"));
            }
        }
        _ => {}
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    same.created = None;
    if let Some(tier) = same.service_tier.as_mut().filter(|tier| tier.value == "default") {
        tier.value = Cow::Borrowed("standard");
    }
    for candidate in &mut same.candidates {
        let seen = candidate.seen();
        if candidate.finish == Some(FinishReason::Stop) {
            candidate.finish = Some(match (seen.tool_calls, seen.refusal) {
                (true, _) => FinishReason::ToolCalls,
                (_, true) => FinishReason::Refusal,
                _ => FinishReason::Stop,
            });
        }
        for part in &mut candidate.parts {
            if let Content::Text(text) = &mut part.content {
                for citation in &mut text.citations {
                    // A source supports its whole block.
                    citation.span = None;
                }
            }
        }
    }
}
