//! What the protocol says in several ways, or need not say, brought to one form.

use std::borrow::Cow;

use weighbridge_protocol::json::Bag;

use super::items_decode::{Item, messages};
use super::request_encode::SCHEMA_NAME;
use super::{OpenAiResponses, bag_names, parts_encode, response_object};
use crate::conversation::{
    CitationSource, DocumentSource, Format, MediaSource, ReasoningExtent, Shown, Span, Text, ToolKind,
};
use crate::generators::raw;
use crate::laws::{joined, without_zero_penalties};
use crate::{Adapter as _, Answer, Content, Conversation, FinishReason, Message, Part, Placed, Role};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    same.candidates = same.candidates.filter(|count| count.value != 1);
    without_zero_penalties(same);
    for tool in &mut same.tools {
        if let ToolKind::Function { parameters, strict, .. } = &mut tool.kind {
            parameters.get_or_insert(raw(r#"{"type":"object","properties":{}}"#).into());
            strict.get_or_insert(false);
        }
    }
    if let Some(Placed { value: Format::JsonSchema { name, .. }, .. }) = &mut same.format {
        name.get_or_insert(SCHEMA_NAME.into());
    }
    let wish = &mut same.reasoning;
    wish.extent = wish.extent.filter(|extent| extent.value != ReasoningExtent::Dynamic);
    wish.shown = wish.shown.filter(|shown| shown.value != Shown::Hidden);
    if wish.extent.is_some_and(|extent| extent.value == ReasoningExtent::Off) {
        wish.effort = None;
    }
    // Reasoning that can be brought back is asked for unasked.
    let mut bag = Bag::EMPTY;
    for (name, value) in same.bag.iter().filter(|(name, value)| !OpenAiResponses.is_default(name, *value)) {
        bag.push(name.to_owned(), value);
    }
    same.bag = bag;
    let mut items = Vec::new();
    for message in std::mem::take(&mut same.messages) {
        take_apart(message, &mut items);
    }
    same.messages = messages(items);
    for message in same.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        message.parts.iter_mut().for_each(without_item);
    }
}

/// The items that a message becomes.
fn take_apart<'a>(mut message: Message<'a>, items: &mut Vec<Item<'a>>) {
    message.parts.iter_mut().for_each(one_form);
    let is_said = |part: &Part<'_>| matches!(part.content, Content::Text(_) | Content::Refusal(_));
    // In the short form of a message texts are one string.
    let is_plain =
        |part: &Part<'_>| matches!(&part.content, Content::Text(text) if text.citations.is_empty());
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    match message.role {
        Role::Assistant => {
            let goes_on =
                |a: &Part<'_>, b: &Part<'_>| is_said(a) && is_said(b) && !bag_names::begins_item(&b.bag);
            for run in message.parts.chunk_by(goes_on) {
                match run {
                    [first, ..] if is_said(first) && run.iter().all(is_plain) => {
                        items.push(Item::Said(joined(run.to_vec())));
                    }
                    [first, ..] if is_said(first) => {
                        let mut run = run.to_vec();
                        // The long form has an id.
                        run.iter_mut().take(1).for_each(|first| first.bag.push("id", raw("\"msg\"")));
                        items.push(Item::Said(run));
                    }
                    others => items.extend(others.iter().cloned().map(Item::Made)),
                }
            }
        }
        Role::User if message.parts.iter().any(is_result) => {
            for run in message.parts.chunk_by(|a, b| !is_result(a) && !is_result(b)) {
                match run {
                    [part] if is_result(part) => items.push(Item::Result(part.clone())),
                    said => {
                        let said = Message { parts: said.to_vec(), ..message.clone() };
                        items.push(Item::Message(said));
                    }
                }
            }
        }
        _ => items.push(Item::Message(message)),
    }
}

fn one_form(part: &mut Part<'_>) {
    // The call of the same id tells as well what kind of result it is.
    let bag = std::mem::take(&mut part.bag);
    for (name, value) in bag.iter().filter(|(name, _)| *name != "type") {
        part.bag.push(name.to_owned(), value);
    }
    match &mut part.content {
        Content::Json(json) => part.content = Content::Text(Text::from(json.text().to_owned())),
        Content::Image(image) => {
            image.detail = image.detail.take().filter(|detail| detail.value != "auto");
        }
        Content::Document(document) => {
            // Not to cite is no wish.
            document.citations = document.citations.filter(|citations| citations.value);
            if let DocumentSource::Media(MediaSource::Base64 { media_type, .. }) = &document.source {
                document.title.get_or_insert(parts_encode::file_name(media_type).into());
            }
        }
        Content::ToolResult(result) => {
            // Found by the call's id.
            result.name = None;
            result.parts.iter_mut().for_each(one_form);
        }
        Content::Text(text) => cited_whole(text),
        _ => {}
    }
}

/// Ids and states of items are the protocol's own.
fn without_item(part: &mut Part<'_>) {
    let mut bag = Bag::EMPTY;
    for (name, value) in part.bag.iter().filter(|(name, _)| !matches!(*name, "id" | "status")) {
        bag.push(name.to_owned(), value);
    }
    part.bag = bag;
}

/// The stretch that a source supports is always said.
fn cited_whole(text: &mut Text<'_>) {
    let end = text.text.chars().count() as u64;
    for citation in &mut text.citations {
        if matches!(citation.source, CitationSource::Url(_)) {
            citation.span.get_or_insert(Span { start: 0, end });
        }
        citation.title = citation.title.take().filter(|title| !title.is_empty());
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    let mut bag = Bag::EMPTY;
    for (name, value) in same.bag.iter() {
        if !bag_names::is_echo(name) && name != "tool_usage" {
            bag.push(name.to_owned(), value);
        }
    }
    same.bag = bag;
    if let Some(tier) = &mut same.service_tier
        && let Some(name) = response_object::tier_name(&tier.value, true)
    {
        tier.value = Cow::Owned(name.to_owned());
    }
    for candidate in &mut same.candidates {
        let seen = candidate.seen();
        if candidate.finish == Some(FinishReason::Refusal) && seen.refusal {
            candidate.finish = Some(FinishReason::Stop);
        }
        if candidate.finish == Some(FinishReason::Stop) && seen.tool_calls {
            candidate.finish = Some(FinishReason::ToolCalls);
        }
        for part in &mut candidate.parts {
            match &mut part.content {
                Content::Image(_) => {}
                _ => one_form(part),
            }
            without_item(part);
        }
        for token in &mut candidate.logprobs {
            spelled(token);
            token.top.iter_mut().for_each(spelled);
        }
    }
}

/// The bytes of a token are demanded.
fn spelled(token: &mut crate::conversation::TokenLogprob<'_>) {
    let bytes = format!("{:?}", token.token.as_bytes()).replace(", ", ",");
    token.bytes.get_or_insert(raw(bytes));
}
