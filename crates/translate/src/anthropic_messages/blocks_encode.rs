//! Canonical parts, written as content blocks: of messages, of results of tools, and of answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Kind, Object, Raw, ScanLimits, Writer};
use weighbridge_units::LossKind;

use crate::conversation::{CallKind, Image, MediaSource, Proof, ToolCall, ToolResult};
use crate::{Content, Losses, Part, tool_id};

/// Writes `content`: as a string where it is one text, as a list of blocks otherwise.
pub(super) fn content<'a>(parts: &[&Part<'a>], writer: Writer<'_>, losses: &mut Losses<'a>) {
    if let [Part { content: Content::Text(text), bag, cache, .. }] = parts
        && !losses.keeps(bag)
    {
        losses.uncited(&text.citations);
        losses.uncached(cache.as_ref());
        losses.bag(bag);
        return writer.string(&text.text);
    }
    let mut list = writer.array();
    for part in parts {
        block(part, &mut list, losses);
    }
}

/// Whether a part will be a block. Empty texts are refused by the provider, and say nothing.
pub(super) fn is_expressible(part: &Part<'_>, losses: &Losses<'_>) -> bool {
    match &part.content {
        Content::Text(text) => !text.text.is_empty(),
        Content::Refusal(text) => !text.is_empty(),
        Content::Reasoning(reasoning) => {
            reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::ANTHROPIC))
        }
        Content::Unknown { .. } => losses.is_same_protocol(),
        Content::Image(image) => is_reachable(image),
        Content::ToolCall(call) => call.kind == CallKind::Function,
        Content::ToolResult(_) | Content::Json(_) => true,
        Content::Audio(_) | Content::Video(_) | Content::Document(_) => false,
    }
}

/// Splits parts into those that will be blocks and those that are reported as lost.
pub(super) fn expressible<'p, 'a>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = Vec::new();
    for part in parts {
        if is_expressible(part, losses) {
            kept.push(part);
        } else {
            report(part, losses);
        }
    }
    kept
}

fn report<'a>(part: &Part<'a>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Unknown { name, raw } => losses.unknown(*raw, "content", name),
        Content::Audio(_) | Content::Video(_) | Content::Document(_) | Content::ToolCall(_) => {
            losses.dropped(part.place, "it is not carried over", "such content");
        }
        Content::Reasoning(_) => losses.dropped(
            part.place,
            "reasoning is taken only with a signature of the provider",
            "reasoning without a signature",
        ),
        Content::Image(_) => losses.dropped(
            part.place,
            "a `data:` URL is taken only in base64 and with a media type",
            "images in other `data:` URLs",
        ),
        _ => losses.bag(&part.bag),
    }
}

/// An image at an address, or whose bytes are given in the one form that the format has.
fn is_reachable(image: &Image<'_>) -> bool {
    match &image.source {
        MediaSource::Base64 { .. } => true,
        MediaSource::Url { url, .. } => !url.starts_with("data:"),
        MediaSource::File { .. } => false,
    }
}

/// Writes a part that [`is_expressible`].
pub(super) fn block<'a>(part: &Part<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    if let Content::Unknown { raw, .. } = &part.content {
        return list.item().raw(raw.text());
    }
    let mut object = list.item().object();
    match &part.content {
        Content::Text(text) => {
            text_block(&text.text, &mut object);
            losses.uncited(&text.citations);
        }
        Content::Json(json) => text_block(json.text(), &mut object),
        Content::Refusal(text) => {
            losses.report(
                part.place,
                LossKind::Approximated,
                "a refusal stands as ordinary text",
                "a part for refusals",
            );
            text_block(text, &mut object);
        }
        Content::Image(picture) => image(picture, &mut object, losses),
        Content::ToolCall(call) => tool_use(call, &tool_id::legal(&call.id), part, &mut object, losses),
        Content::ToolResult(result) => tool_result(result, &mut object, losses),
        Content::Reasoning(reasoning) => {
            object.key("type").string("thinking");
            object.key("thinking").string(&reasoning.text);
            let signature = reasoning.proof.as_ref().map_or("", |proof| &proof.data);
            object.key("signature").string(signature);
        }
        Content::Audio(_) | Content::Video(_) | Content::Document(_) | Content::Unknown { .. } => {}
    }
    losses.uncached(part.cache.as_ref());
    losses.write_bag(&part.bag, &mut object);
}

fn text_block(text: &str, object: &mut Object<'_>) {
    object.key("type").string("text");
    object.key("text").string(text);
}

fn image<'a>(image: &Image<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    object.key("type").string("image");
    let mut source = object.key("source").object();
    match &image.source {
        MediaSource::Base64 { media_type, data } => {
            source.key("type").string("base64");
            source.key("media_type").string(media_type);
            source.key("data").string(data);
        }
        MediaSource::File { .. } => {}
        MediaSource::Url { url, .. } => {
            source.key("type").string("url");
            source.key("url").string(url);
        }
    }
    if let Some(detail) = image.detail.as_ref().filter(|detail| detail.value != "auto") {
        losses.dropped(detail.place, "how closely an image is looked at cannot be said", "a level of detail");
    }
}

/// Writes a call of a tool under an id that the format accepts.
pub(super) fn tool_use<'a>(
    call: &ToolCall<'a>,
    id: &str,
    part: &Part<'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    object.key("type").string("tool_use");
    object.key("id").string(id);
    object.key("name").string(&call.name);
    let input = input(&call.arguments);
    if let Cow::Owned(_) = input {
        losses.report(
            part.place,
            LossKind::Approximated,
            "the arguments are no JSON object: their text stands in its field `arguments`",
            "arguments of any form",
        );
    }
    object.key("input").raw(&input);
}

/// The arguments as the JSON object that the format demands: the very text, where it is one.
fn input(arguments: &str) -> Cow<'_, str> {
    if arguments.trim_ascii().is_empty() {
        return Cow::Borrowed("{}");
    }
    match Raw::parse(arguments, &ScanLimits::default()) {
        Ok(raw) if raw.kind() == Kind::Object => Cow::Borrowed(raw.text()),
        _ => {
            let mut wrapped = Vec::new();
            Writer::new(&mut wrapped).object().key("arguments").string(arguments);
            Cow::Owned(String::from_utf8(wrapped).unwrap_or_default())
        }
    }
}

fn tool_result<'a>(result: &ToolResult<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    object.key("type").string("tool_result");
    object.key("tool_use_id").string(&tool_id::legal(&result.call_id));
    let parts = expressible(&result.parts, losses);
    if !parts.is_empty() {
        content(&parts, object.key("content"), losses);
    }
    if result.is_error {
        object.key("is_error").bool(true);
    }
}
