//! Messages of the canonical conversation, written; also the message of an answer.

use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::LossKind;

use crate::conversation::{CallKind, Image, MediaSource, ToolCall, ToolResult};
use crate::{Content, Losses, Message, Part, Role};

pub(super) fn message<'a>(message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    match &message.role {
        Role::System => plain("system", message, list, losses),
        Role::Developer => plain("developer", message, list, losses),
        Role::User => user(message, list, losses),
        Role::Assistant => {
            let mut object = list.item().object();
            object.key("role").string("assistant");
            assistant(&message.parts, &mut object, losses);
            losses.write_bag(&message.bag, &mut object);
        }
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

/// A message with nothing but text.
fn plain<'a>(role: &str, message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let mut object = list.item().object();
    object.key("role").string(role);
    let parts = expressible(&message.parts, is_text, losses);
    content(&parts, object.key("content"), losses);
    losses.write_bag(&message.bag, &mut object);
}

fn is_text(content: &Content<'_>) -> bool {
    matches!(content, Content::Text(_) | Content::Json(_))
}

/// An image that can be reached: files of other providers cannot.
fn is_image(content: &Content<'_>) -> bool {
    matches!(content, Content::Image(image) if !matches!(image.source, MediaSource::File { .. }))
}

/// The parts that a message can have, if `fits` allows its kind there; others are reported.
fn expressible<'p, 'a: 'p>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
    fits: fn(&Content<'_>) -> bool,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = Vec::new();
    for part in parts {
        match &part.content {
            Content::Unknown { name, raw } if !losses.is_same_protocol() => {
                losses.unknown(*raw, "content", name);
            }
            Content::Unknown { .. } => kept.push(part),
            content if fits(content) => kept.push(part),
            Content::Reasoning(_) => {
                losses.dropped(part.place, "reasoning has no place in messages", "a part for reasoning");
            }
            _ => losses.dropped(
                part.place,
                "it cannot stand in a message of this role",
                "such content in any message",
            ),
        }
    }
    kept
}

/// Results of tools become messages of their own, which must follow the calls directly: first the
/// results, then what the user says.
fn user<'a>(message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let is_result = |part: &&Part<'a>| matches!(part.content, Content::ToolResult(_));
    let last_result = message.parts.iter().rposition(|part| is_result(&part));
    let mut said: Vec<&Part<'a>> = Vec::new();
    for (index, part) in message.parts.iter().enumerate() {
        let Content::ToolResult(result) = &part.content else {
            if last_result.is_some_and(|last| index < last) {
                losses.report(
                    part.place,
                    LossKind::Moved,
                    "it stands behind the results of tools, which must follow their calls directly",
                    "results of tools behind other content",
                );
            }
            said.push(part);
            continue;
        };
        tool_result(part, result, &mut said, list, losses);
    }
    if !said.is_empty() || last_result.is_none() {
        let mut object = list.item().object();
        object.key("role").string("user");
        let fits = |content: &Content<'_>| is_text(content) || is_image(content);
        let said = expressible(said, fits, losses);
        content(&said, object.key("content"), losses);
        losses.write_bag(&message.bag, &mut object);
    } else {
        losses.bag(&message.bag);
    }
}

fn tool_result<'r, 'a>(
    part: &Part<'a>,
    result: &'r ToolResult<'a>,
    said: &mut Vec<&'r Part<'a>>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    if result.is_error {
        losses.dropped(part.place, "that the tool failed cannot be said", "a flag on results of tools");
    }
    let mut object = list.item().object();
    object.key("role").string("tool");
    object.key("tool_call_id").string(&result.call_id);
    let (moved, kept): (Vec<&Part<'a>>, Vec<&Part<'a>>) =
        result.parts.iter().partition(|part| is_image(&part.content));
    let kept = expressible(kept, is_text, losses);
    content(&kept, object.key("content"), losses);
    losses.write_bag(&part.bag, &mut object);
    for image in moved {
        losses.report(
            image.place,
            LossKind::Moved,
            "results of tools are text only: the image stands in the user's message behind them",
            "images in results of tools",
        );
        said.push(image);
    }
}

/// `content` as a string where it is one text, as a list of parts otherwise.
fn content<'a>(parts: &[&Part<'a>], writer: Writer<'_>, losses: &mut Losses<'a>) {
    match parts {
        [] => return writer.string(""),
        [part] if matches!(part.content, Content::Text(_)) && !losses.keeps(&part.bag) => {
            if let Content::Text(text) = &part.content {
                losses.uncited(&text.citations);
                losses.uncached(part.cache.as_ref());
                losses.bag(&part.bag);
                writer.string(&text.text);
            }
            return;
        }
        _ => {}
    }
    let mut list = writer.array();
    for part in parts {
        content_part(part, list.item(), losses);
    }
}

/// Writes a part that is [`expressible`].
fn content_part<'a>(part: &Part<'a>, writer: Writer<'_>, losses: &mut Losses<'a>) {
    if let Content::Unknown { raw, .. } = &part.content {
        return writer.raw(raw.text());
    }
    let mut object = writer.object();
    match &part.content {
        Content::Text(text) => {
            object.key("type").string("text");
            object.key("text").string(&text.text);
            losses.uncited(&text.citations);
        }
        Content::Json(json) => {
            object.key("type").string("text");
            object.key("text").string(json.text());
        }
        Content::Refusal(text) => {
            object.key("type").string("refusal");
            object.key("refusal").string(text);
        }
        Content::Image(picture) => {
            object.key("type").string("image_url");
            image(picture, object.key("image_url"));
        }
        _ => {}
    }
    losses.uncached(part.cache.as_ref());
    losses.write_bag(&part.bag, &mut object);
}

fn image(image: &Image<'_>, writer: Writer<'_>) {
    let mut object = writer.object();
    match &image.source {
        MediaSource::Url { url, .. } => object.key("url").string(url),
        MediaSource::File { .. } => {}
        MediaSource::Base64 { media_type, data } => {
            object.key("url").string(&format!("data:{media_type};base64,{data}"));
        }
    }
    if let Some(detail) = &image.detail {
        object.key("detail").string(&detail.value);
    }
}

/// What the model said, in a request's history. Calls stand apart from content, behind it.
fn assistant<'a>(parts: &[Part<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let (calls, said): (Vec<&Part<'a>>, Vec<&Part<'a>>) =
        parts.iter().partition(|part| is_tool_call(part, losses));
    report_moved(parts, losses);
    let fits = |content: &Content<'_>| is_text(content) || matches!(content, Content::Refusal(_));
    let said = expressible(said, fits, losses);
    if !said.is_empty() || calls.is_empty() {
        content(&said, object.key("content"), losses);
    }
    tool_calls(&calls, object, losses);
}

/// What the model said, in an answer: one text, one refusal, and the calls.
pub(super) fn answer<'a>(parts: &[Part<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut texts: Vec<&str> = Vec::new();
    let mut refusals: Vec<&str> = Vec::new();
    let mut calls: Vec<&Part<'a>> = Vec::new();
    report_moved(parts, losses);
    for part in parts {
        match &part.content {
            Content::Text(text) => {
                texts.push(&text.text);
                losses.uncited(&text.citations);
            }
            Content::Refusal(text) => refusals.push(text),
            _ if is_tool_call(part, losses) => {
                calls.push(part);
                continue;
            }
            Content::Reasoning(_) => {
                losses.dropped(part.place, "reasoning has no place in an answer", "a part for reasoning");
            }
            Content::Unknown { name, raw } => losses.unknown(*raw, "content", name),
            _ => losses.dropped(part.place, "it cannot stand in an answer", "such parts in an answer"),
        }
        losses.bag(&part.bag);
    }
    // Pieces of one text, split by citations for instance: anything between them would change it.
    let text = (!texts.is_empty() || (calls.is_empty() && refusals.is_empty())).then(|| texts.concat());
    object.key("content").string_or_null(text.as_deref());
    let refusal = (!refusals.is_empty()).then(|| refusals.concat());
    object.key("refusal").string_or_null(refusal.as_deref());
    tool_calls(&calls, object, losses);
}

/// A call of a function, or, on the way back to this protocol, of what only this protocol has.
fn is_tool_call(part: &Part<'_>, losses: &Losses<'_>) -> bool {
    match &part.content {
        Content::ToolCall(call) => call.kind == CallKind::Function,
        Content::Unknown { name, .. } => losses.is_same_protocol() && name == "custom",
        _ => false,
    }
}

/// Text behind a call will stand before it.
fn report_moved<'a>(parts: &[Part<'a>], losses: &mut Losses<'a>) {
    let after_call = parts.iter().skip_while(|part| !matches!(part.content, Content::ToolCall(_)));
    for part in after_call.filter(|part| matches!(part.content, Content::Text(_) | Content::Refusal(_))) {
        losses.report(
            part.place,
            LossKind::Moved,
            "text stands before all calls of tools",
            "an order between text and calls of tools",
        );
    }
}

fn tool_calls<'a>(calls: &[&Part<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if calls.is_empty() {
        return;
    }
    let mut list = object.key("tool_calls").array();
    for part in calls {
        match &part.content {
            Content::ToolCall(call) => {
                let mut object = list.item().object();
                tool_call(call, &mut object);
                losses.write_bag(&part.bag, &mut object);
            }
            Content::Unknown { raw, .. } => list.item().raw(raw.text()),
            _ => {}
        }
    }
}

fn tool_call(call: &ToolCall<'_>, object: &mut Object<'_>) {
    object.key("id").string(&call.id);
    object.key("type").string("function");
    let mut function = object.key("function").object();
    function.key("name").string(&call.name);
    // Nothing at all is not JSON, and clients parse this.
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    function.key("arguments").string(arguments);
}
