//! Messages of the canonical conversation, written as those of a request.

use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::cache_mark;
use super::content_encode::{Takes, Where, Written, content, expressible, is_reachable};
use super::reasoning;
use crate::conversation::{Audio, CallKind, DocumentSource, MediaSource, ToolCall, ToolResult};
use crate::{Content, Losses, Message, Part, Role};

pub(super) fn message<'a>(
    message: &Message<'a>,
    takes: Takes,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    match &message.role {
        Role::System => plain("system", message, takes, list, losses),
        // A server that does not know the newer name knows the older one.
        Role::Developer => {
            let role = if takes.developer || losses.is_same_protocol() { "developer" } else { "system" };
            plain(role, message, takes, list, losses);
        }
        Role::User => user(message, takes, list, losses),
        Role::Assistant => {
            let mut object = list.item().object();
            object.key("role").string("assistant");
            assistant(&message.parts, takes, &mut object, losses);
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
fn plain<'a>(role: &str, message: &Message<'a>, takes: Takes, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    let parts = expressible(&message.parts, Where::TextOnly, takes, losses);
    // Instructions of which nothing is left instruct nobody.
    if parts.is_empty() && !message.parts.is_empty() {
        return losses.bag(&message.bag);
    }
    let mut object = list.item().object();
    object.key("role").string(role);
    content(&parts, takes.marks, object.key("content"), losses);
    losses.write_bag(&message.bag, &mut object);
}

/// Results of tools become messages of their own, which must follow the calls directly: first the
/// results, then what the user says.
fn user<'a>(message: &Message<'a>, takes: Takes, list: &mut Array<'_>, losses: &mut Losses<'a>) {
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
        tool_result(part, result, takes, &mut said, list, losses);
    }
    if !said.is_empty() || last_result.is_none() {
        let mut object = list.item().object();
        object.key("role").string("user");
        let said = expressible(said, Where::User, takes, losses);
        content(&said, takes.marks, object.key("content"), losses);
        losses.write_bag(&message.bag, &mut object);
    } else {
        losses.bag(&message.bag);
    }
}

fn tool_result<'r, 'a>(
    part: &Part<'a>,
    result: &'r ToolResult<'a>,
    takes: Takes,
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
    let same = losses.is_same_protocol();
    let moves = |part: &&Part<'a>| match &part.content {
        Content::Image(image) => is_reachable(&image.source, same),
        Content::Document(document) => {
            matches!(document.source, DocumentSource::Media(MediaSource::Base64 { .. }))
        }
        _ => false,
    };
    let (moved, kept): (Vec<&Part<'a>>, Vec<&Part<'a>>) = result.parts.iter().partition(moves);
    let kept = expressible(kept, Where::TextOnly, takes, losses);
    content(&kept, takes.marks, object.key("content"), losses);
    cache_mark::write(part.cache.as_ref(), takes.marks, &mut object, losses);
    losses.write_bag(&part.bag, &mut object);
    for part in moved {
        losses.report(
            part.place,
            LossKind::Moved,
            "results of tools are text only: it stands in the user's message behind them",
            "images and documents in results of tools",
        );
        said.push(part);
    }
}

/// What the model said, in a request's history. Calls stand apart from content, behind it.
fn assistant<'a>(parts: &[Part<'a>], takes: Takes, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let same = losses.is_same_protocol();
    let is_call = |part: &Part<'_>| matches!(part.content, Content::ToolCall(_));
    let by_id = |part: &Part<'_>| match &part.content {
        Content::Audio(Audio { source: MediaSource::File { .. }, .. }) => same,
        _ => false,
    };
    report_moved(parts, losses);
    let said = parts.iter().filter(|part| !is_call(part) && !by_id(part));
    let said = expressible(said, Where::Assistant, takes, losses);
    let calls: Vec<&Part<'a>> = parts.iter().filter(|part| is_call(part)).collect();
    if !said.is_empty() || calls.is_empty() {
        content(&said, takes.marks, object.key("content"), losses);
    }
    drop::<Vec<Written<'_, '_>>>(said);
    if let Some(part) = parts.iter().find(|part| by_id(part))
        && let Content::Audio(Audio { source: MediaSource::File { id }, .. }) = &part.content
    {
        let mut audio = object.key("audio").object();
        audio.key("id").string(id);
        losses.write_bag(&part.bag, &mut audio);
    }
    if same || takes.more_content {
        reasoning::write(parts, &|call, _| call.id.to_string(), object, losses);
    }
    tool_calls(&calls, takes, object, losses);
}

/// Text behind a call will stand before it.
pub(super) fn report_moved<'a>(parts: &[Part<'a>], losses: &mut Losses<'a>) {
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

pub(super) fn tool_calls<'a>(
    calls: &[&Part<'a>],
    takes: Takes,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    if calls.is_empty() {
        return;
    }
    let mut list = object.key("tool_calls").array();
    for part in calls {
        if let Content::ToolCall(call) = &part.content {
            let mut object = list.item().object();
            tool_call(call, &call.id, &mut object);
            cache_mark::write(part.cache.as_ref(), takes.marks, &mut object, losses);
            losses.write_bag(&part.bag, &mut object);
        }
    }
}

pub(super) fn tool_call(call: &ToolCall<'_>, id: &str, object: &mut Object<'_>) {
    object.key("id").string(id);
    match call.kind {
        CallKind::Function => {
            object.key("type").string("function");
            let mut function = object.key("function").object();
            function.key("name").string(&call.name);
            function.key("arguments").string(arguments(call));
        }
        CallKind::Custom => {
            object.key("type").string("custom");
            let mut custom = object.key("custom").object();
            custom.key("name").string(&call.name);
            custom.key("input").string(&call.arguments);
        }
    }
}

/// Nothing at all is not JSON, and clients parse this.
pub(super) fn arguments<'c>(call: &'c ToolCall<'_>) -> &'c str {
    if call.arguments.is_empty() { "{}" } else { &call.arguments }
}
