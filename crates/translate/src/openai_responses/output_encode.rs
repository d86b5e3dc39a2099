//! Canonical parts, written as the items of an answer's `output`.

use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::logprobs::Shares;
use super::{bag_names, citations, items_encode, logprobs};
use crate::conversation::{CallKind, MediaSource, ToolCall};
use crate::{AnswerTarget, Candidate, Content, FinishReason, Losses, Part, tool_id};

/// Why sound is lost, whole and streamed.
pub(super) const SOUND: &str = "sound has no place in an answer: what is said stands as text";

/// Why the format of an image is lost, whole and streamed.
pub(super) const IMAGE_FORMAT: &str = "the format of an image is not among those that can be named";

/// Whether the format of an image can be said.
pub(super) fn is_named_format(media_type: &str) -> bool {
    matches!(media_type, "image/png" | "image/jpeg" | "image/webp" | "image/gif")
}

/// Makes ids of items: of a kind, an answer, and the item's place in it.
#[derive(Debug, Clone)]
pub(super) struct ItemIds {
    stem: String,
    next: usize,
}

/// The kind in the made-up id of reasoning, which is known by it: the provider's own ids are to come
/// back with what it encrypted, and others must not.
pub(super) const MADE_REASONING: &str = "rs_wb";

/// Whether the id of reasoning was made up here.
pub(super) fn is_made_up(id: &str) -> bool {
    id.strip_prefix(MADE_REASONING).is_some_and(|rest| rest.starts_with('_'))
}

/// OpenAI takes ids of at most 64 characters back.
const STEM_MAX: usize = 40;

impl ItemIds {
    /// Ids for the items of the answer `answer_id`.
    pub(super) fn of(answer_id: &str) -> Self {
        let own = answer_id.split_once('_').map_or(answer_id, |(_, own)| own);
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        Self { stem: own.chars().filter(is_plain).take(STEM_MAX).collect(), next: 0 }
    }

    /// The next one; `kind` is such as `msg`.
    pub(super) fn next(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}_{}_{}", self.stem, self.next - 1)
    }
}

/// The kind in the id of a call's item.
pub(super) fn call_kind(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "fc",
        CallKind::Custom => "ctc",
    }
}

/// Writes the items of a candidate.
pub(super) fn items<'a>(
    candidate: &Candidate<'a>,
    target: &AnswerTarget<'_>,
    mut ids: ItemIds,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    let keeps_items = losses.is_same_protocol();
    let goes_on = |a: &&Part<'_>, b: &&Part<'_>| {
        is_said(a) && is_said(b) && !(keeps_items && bag_names::begins_item(&b.bag))
    };
    // What is left out parts no message from the next.
    let parts: Vec<&Part<'a>> = candidate.parts.iter().filter(|part| is_expressible(part, losses)).collect();
    let texts = parts.iter().filter(|part| has_tokens(part)).count();
    let mut shares = Shares::new(&candidate.logprobs, texts);
    let mut calls = 0;
    let last = parts.iter().rposition(|part| is_said(part) || is_call(part));
    let is_cut = matches!(candidate.finish, Some(FinishReason::Length | FinishReason::ContentFilter));
    let mut seen = 0;
    for run in parts.chunk_by(goes_on) {
        seen += run.len();
        let status = if is_cut && last == Some(seen - 1) { "incomplete" } else { "completed" };
        match run {
            [first, ..] if is_said(first) => message(run, status, &mut ids, &mut shares, list, losses),
            [part @ Part { content: Content::ToolCall(call), .. }] => {
                let id = match call.id.is_empty() {
                    true => tool_id::fallback(target.id_fallback, calls).into(),
                    false => call.id.clone(),
                };
                calls += 1;
                let mut object = list.item().object();
                self::call(call, &id, status, part, &mut ids, &mut object, losses);
            }
            [part] => made(part, &mut ids, list, losses),
            _ => {}
        }
    }
    for token in shares.rest() {
        losses.dropped(
            token.place,
            "probabilities belong to a text, and there is none",
            "probabilities of tokens without a text",
        );
    }
}

/// Whether a part will be an item or stand in one; others are reported.
fn is_expressible<'a>(part: &Part<'a>, losses: &mut Losses<'a>) -> bool {
    match &part.content {
        Content::Reasoning(_) | Content::ToolCall(_) => true,
        Content::Image(image) if matches!(image.source, MediaSource::Base64 { .. }) => true,
        Content::Unknown { .. } if losses.is_same_protocol() => true,
        Content::Unknown { name, raw } => {
            losses.unknown(*raw, "content", name);
            false
        }
        Content::Audio(audio) if audio.transcript.is_none() => {
            losses.report(part.place, LossKind::Approximated, SOUND, "sound in an answer");
            false
        }
        _ if is_said(part) => true,
        _ => {
            losses.dropped(part.place, "it cannot stand in an answer", "such parts in an answer");
            false
        }
    }
}

/// Whether a part stands in a message.
fn is_said(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(_) | Content::Refusal(_) | Content::Json(_) => true,
        Content::Audio(audio) => audio.transcript.is_some(),
        _ => bag_names::is_in_message(part),
    }
}

/// Whether the probabilities of tokens can stand beside a part.
fn has_tokens(part: &Part<'_>) -> bool {
    is_said(part) && !matches!(part.content, Content::Refusal(_) | Content::Unknown { .. })
}

fn is_call(part: &Part<'_>) -> bool {
    matches!(part.content, Content::ToolCall(_))
}

fn message<'a>(
    run: &[&Part<'a>],
    status: &str,
    ids: &mut ItemIds,
    shares: &mut Shares<'_, 'a>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    let mut object = list.item().object();
    object.key("type").string("message");
    object.key("role").string("assistant");
    let mut content = object.key("content").array();
    for part in run {
        if let Content::Unknown { raw, .. } = &part.content {
            content.item().raw(raw.text());
            continue;
        }
        let mut object = content.item().object();
        match &part.content {
            Content::Refusal(text) => {
                object.key("type").string("refusal");
                object.key("refusal").string(text);
            }
            _ => output_text(part, shares, &mut object, losses),
        }
        losses.uncached(part.cache.as_ref());
        bag_names::write_part_fields(&part.bag, &mut object, losses);
    }
    drop(content);
    let bag = run.first().map(|first| &first.bag).filter(|_| losses.is_same_protocol());
    let has = |name| bag.and_then(|bag| bag_names::entry(bag, name)).is_some();
    if !has("id") {
        object.key("id").string(&ids.next("msg"));
    }
    if !has("status") {
        object.key("status").string(status);
    }
    if let Some(bag) = bag {
        bag_names::write_item_fields(bag, &mut object, losses);
    }
}

fn output_text<'a>(
    part: &Part<'a>,
    shares: &mut Shares<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let (text, cited) = match &part.content {
        Content::Text(text) => (text.text.as_ref(), text.citations.as_slice()),
        Content::Json(json) => (json.text(), [].as_slice()),
        Content::Audio(audio) => {
            losses.report(part.place, LossKind::Approximated, SOUND, "sound in an answer");
            (audio.transcript.as_deref().unwrap_or_default(), [].as_slice())
        }
        _ => ("", [].as_slice()),
    };
    object.key("type").string("output_text");
    object.key("text").string(text);
    citations::write(text, cited, object.key("annotations"), losses);
    logprobs::write(shares.next(text), object.key("logprobs").array(), losses);
}

fn call<'a>(
    call: &ToolCall<'a>,
    call_id: &str,
    status: &str,
    part: &Part<'a>,
    ids: &mut ItemIds,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    items_encode::call(call, call_id, object);
    item_fields(part, call_kind(call.kind), Some(status), ids, object, losses);
}

/// Id, status, and what is not understood of an item that is one part.
fn item_fields<'a>(
    part: &Part<'a>,
    kind: &str,
    status: Option<&str>,
    ids: &mut ItemIds,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let has = |name| losses.is_same_protocol() && bag_names::entry(&part.bag, name).is_some();
    if !has("id") {
        object.key("id").string(&ids.next(kind));
    }
    if let Some(status) = status.filter(|_| !has("status")) {
        object.key("status").string(status);
    }
    losses.uncached(part.cache.as_ref());
    losses.write_bag(&part.bag, object);
}

fn made<'a>(part: &Part<'a>, ids: &mut ItemIds, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Reasoning(reasoning) => {
            let mut object = list.item().object();
            let id = reasoning.id.as_deref().map_or_else(|| ids.next(MADE_REASONING), str::to_owned);
            items_encode::answered_reasoning(reasoning, &id, &mut object);
            losses.write_bag(&part.bag, &mut object);
        }
        Content::Image(image) => {
            if !image.source.media_type().is_some_and(is_named_format) {
                losses.report(part.place, LossKind::Approximated, IMAGE_FORMAT, "images of any format");
            }
            if let Some(detail) = &image.detail {
                losses.dropped(
                    detail.place,
                    "an image that was made has no level of detail",
                    "levels of detail",
                );
            }
            let mut object = list.item().object();
            items_encode::made_image(image, &mut object);
            item_fields(part, "ig", Some("completed"), ids, &mut object, losses);
        }
        Content::Unknown { raw, .. } => list.item().raw(raw.text()),
        // Reported before.
        _ => {}
    }
}
