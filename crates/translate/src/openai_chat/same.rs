//! What the protocol says in several ways, or need not say, brought to one form.

use std::borrow::Cow;

use super::answer_encode::tier_name;
use super::wishes_encode::SCHEMA_NAME;
use crate::conversation::{
    CitationSource, Content, DocumentSource, Format, MediaSource, Proof, ReasoningExtent, Shown, Span,
};
use crate::laws::{ANSWER, joined};
use crate::{Answer, Conversation, FinishReason, Part, Placed};

pub(crate) fn conversation(same: &mut Conversation<'_>) {
    for message in &mut same.messages {
        message.parts.iter_mut().for_each(part);
        signature_to_call(&mut message.parts);
    }
    if let Some(Placed { value: Format::JsonSchema { name, .. }, .. }) = &mut same.format {
        name.get_or_insert(Cow::Borrowed(SCHEMA_NAME));
    }
    let wish = &mut same.reasoning;
    match wish.extent.map(|extent| extent.value) {
        // Left to itself, a model that reasons does so as it sees fit.
        Some(ReasoningExtent::Dynamic) => wish.extent = None,
        Some(ReasoningExtent::Off) => wish.effort = None,
        _ => {}
    }
    wish.shown = wish.shown.filter(|shown| shown.value != Shown::Hidden);
}

fn part(part: &mut Part<'_>) {
    if let Content::Document(document) = &mut part.content {
        document.citations = document.citations.filter(|citations| citations.value);
        if let DocumentSource::Media(MediaSource::Base64 { .. } | MediaSource::Url { .. }) = document.source {
            document.title.get_or_insert(Cow::Borrowed("document.pdf"));
        }
    }
}

pub(crate) fn answer(same: &mut Answer<'_>) {
    if let Some(tier) = &mut same.service_tier {
        tier.value = tier_name(&tier.value).map_or(tier.value.clone(), Cow::Borrowed);
    }
    for candidate in &mut same.candidates {
        if candidate.finish == Some(FinishReason::Refusal) && candidate.seen().refusal {
            candidate.finish = Some(FinishReason::Stop);
        }
        candidate.stop_details = None;
        candidate.parts.iter_mut().for_each(cited);
        candidate.parts = joined(std::mem::take(&mut candidate.parts));
        for part in &mut candidate.parts {
            if let Content::Audio(audio) = &mut part.content {
                audio.id.get_or_insert(Cow::Borrowed(ANSWER.id_fallback));
                audio.expires_at.get_or_insert(ANSWER.created);
            }
        }
        signature_to_call(&mut candidate.parts);
    }
}

/// A source of a whole text says where that ends.
fn cited(part: &mut Part<'_>) {
    if let Content::Text(text) = &mut part.content {
        let end = text.text.chars().count() as u64;
        for citation in &mut text.citations {
            if let CitationSource::Url(_) = citation.source {
                citation.span.get_or_insert(Span { start: 0, end });
            }
        }
    }
}

/// A signature of Google's that names no call belongs to the first.
fn signature_to_call(parts: &mut Vec<Part<'_>>) {
    let signs = |part: &Part<'_>| match &part.content {
        Content::Reasoning(reasoning) => {
            reasoning.visible().is_empty()
                && reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::GEMINI))
        }
        _ => false,
    };
    let is_call = |part: &Part<'_>| matches!(part.content, Content::ToolCall(_));
    let is_reasoning = |part: &Part<'_>| matches!(part.content, Content::Reasoning(_));
    let Some(call) = parts.iter().position(is_call) else { return };
    if let Some(last) = parts.iter().rposition(is_reasoning).filter(|last| *last < call)
        && parts.get(last).is_some_and(signs)
    {
        let part = parts.remove(last);
        parts.insert(call - 1, part);
    }
}
