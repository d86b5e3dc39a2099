//! What the protocol says in several ways, or need not say, brought to one form.

use crate::conversation::{ToolChoice, ToolKind};
use crate::generators::raw;
use crate::{Answer, Conversation, FinishReason, Message, Place, Placed, Role};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    // `developer` is another name, and instructions that stand first are one list of blocks.
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
    same.candidates = same.candidates.filter(|count| count.value != 1);
    for tool in &mut same.tools {
        if let ToolKind::Function { parameters, .. } = &mut tool.kind {
            parameters.get_or_insert(raw(r#"{"type":"object","properties":{}}"#).into());
        }
    }
    match same.tool_choice.as_ref().map(|choice| &choice.value) {
        Some(ToolChoice::None) => same.parallel_tool_calls = None,
        None if same.parallel_tool_calls.is_some() => {
            same.tool_choice = Some(Placed::nowhere(ToolChoice::Auto));
        }
        _ => {}
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    same.created = None;
    for candidate in &mut same.candidates {
        let seen = candidate.seen();
        if candidate.finish == Some(FinishReason::Stop) {
            candidate.finish = Some(match (seen.tool_calls, seen.refusal) {
                (true, _) => FinishReason::ToolCalls,
                (_, true) => FinishReason::Refusal,
                _ => FinishReason::Stop,
            });
        }
    }
}
