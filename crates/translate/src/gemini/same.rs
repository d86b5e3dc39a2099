//! What the protocol says in several ways, or need not say, brought to one form.

use weighbridge_protocol::gemini::usage::is_usual_tier;
use weighbridge_protocol::json::Bag;

use super::{base64, media_encode};
use crate::conversation::{
    AllowedMode, DocumentSource, Format, MediaSource, ReasoningExtent, ServiceTier, Span, ToolChoice,
    ToolKind,
};
use crate::{Answer, Content, Conversation, FinishReason, Message, Part, Place, Placed, Role, StopDetails};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    // It stands in the path.
    same.stream = false;
    // `developer` is another name, and instructions that stand first are one list of parts.
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
    names_of_results(same);
    tools(same);
    if let Some(Format::JsonSchema { strict, .. }) = same.format.as_mut().map(|wish| &mut wish.value) {
        *strict = None;
    }
    if same.reasoning.effort.is_some() {
        let is_dynamic = |extent: &Placed<'_, ReasoningExtent>| extent.value == ReasoningExtent::Dynamic;
        same.reasoning.extent = same.reasoning.extent.filter(|extent| !is_dynamic(extent));
    }
    same.service_tier = same.service_tier.take().filter(|tier| tier.value != ServiceTier::Auto);
    same.verbosity = same.verbosity.take().filter(|word| word.value != "medium");
}

/// Google demands the name of the tool with its result.
fn names_of_results(same: &mut Conversation<'_>) {
    let parts = || same.messages.iter().flat_map(|message| &message.parts);
    let names: Vec<(String, String)> = parts()
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some((call.id.to_string(), call.name.to_string())),
            _ => None,
        })
        .collect();
    for part in same.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Content::ToolResult(result) = &mut part.content {
            let named = names.iter().rev().find(|(id, _)| *id == result.call_id);
            result.name = result.name.take().or_else(|| named.map(|(_, name)| name.clone().into()));
        }
    }
}

fn tools(same: &mut Conversation<'_>) {
    same.parallel_tool_calls = same.parallel_tool_calls.filter(|parallel| !parallel.value);
    if let Some(choice) = &mut same.tool_choice
        && let ToolChoice::Allowed { mode: AllowedMode::Required, names } = &choice.value
        && let [name] = names.as_slice()
    {
        choice.value = ToolChoice::Named(name.clone());
    }
    let mut functions = Vec::new();
    for tool in &mut same.tools {
        if let ToolKind::Function { strict, description, .. } = &mut tool.kind {
            *description = description.take().filter(|text| !text.is_empty());
            functions.push(strict);
        }
    }
    // A call that is demanded always matches its schema.
    let is_free =
        matches!(same.tool_choice.as_ref().map(|choice| &choice.value), None | Some(ToolChoice::Auto));
    let all = !functions.is_empty() && functions.iter().all(|strict| **strict == Some(true));
    if is_free && all {
        same.tool_choice = Some(Placed::nowhere(ToolChoice::Auto));
    } else {
        functions.into_iter().for_each(|strict| *strict = None);
    }
}

fn part(part: &mut Part<'_>) {
    part.bag = without(&without(&part.bag, "thoughtSignature"), "thought");
    match &mut part.content {
        Content::ToolResult(result) => {
            if result.is_error && result.parts.is_empty() {
                return;
            }
            result.parts.iter_mut().for_each(self::part);
        }
        Content::Text(text) => {
            let length = text.text.chars().count() as u64;
            for citation in &mut text.citations {
                citation.place = Place::NOWHERE;
                citation.span.get_or_insert(Span { start: 0, end: length });
            }
        }
        Content::Image(image) => source(&mut image.source, Some("image/jpeg")),
        Content::Audio(audio) => source(&mut audio.source, Some("audio/wav")),
        Content::Video(video) => source(&mut video.source, Some("video/mp4")),
        Content::Document(document) => {
            document.citations = document.citations.filter(|citations| citations.value);
            let text = match &mut document.source {
                DocumentSource::Media(MediaSource::Base64 { media_type, data })
                    if media_type == "text/plain" =>
                {
                    base64::decode(data).and_then(|bytes| String::from_utf8(bytes).ok())
                }
                DocumentSource::Media(media) => {
                    source(media, None);
                    None
                }
                _ => None,
            };
            if let Some(text) = text {
                document.source = DocumentSource::Text(text.into());
            }
        }
        _ => {}
    }
}

/// The name of a file may tell what kind it is.
fn source(source: &mut MediaSource<'_>, usual: Option<&str>) {
    if let MediaSource::Url { url, media_type } = source {
        let told = media_encode::type_of_name(url, usual);
        *media_type = media_type.take().filter(|media_type| Some(media_type.as_ref()) != told);
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    same.service_tier = same.service_tier.take().filter(|tier| !is_usual_tier(&tier.value));
    for candidate in &mut same.candidates {
        if candidate.finish == Some(FinishReason::Stop) && candidate.seen().tool_calls {
            candidate.finish = Some(FinishReason::ToolCalls);
        }
        candidate.stop_details =
            candidate.stop_details.take().filter(|details| *details != StopDetails::default());
        candidate.parts.iter_mut().for_each(part);
        for token in &mut candidate.logprobs {
            token.bytes = None;
            token.top.iter_mut().for_each(|likely| likely.bytes = None);
        }
        candidate.bag = without(&candidate.bag, "groundingMetadata");
    }
}

fn without<'a>(bag: &Bag<'a>, name: &str) -> Bag<'a> {
    let mut kept = Bag::EMPTY;
    bag.iter().filter(|(of, _)| *of != name).for_each(|(of, value)| kept.push(of.to_owned(), value));
    kept
}
