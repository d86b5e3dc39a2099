//! Messages into the canonical conversation; also the message of an answer.

use std::borrow::Cow;
use std::collections::VecDeque;

use weighbridge_protocol::json::{Fields, Kind, Raw, ReadError};

use super::{cache_mark, citations, content_decode, reasoning};
use crate::bags::append;
use crate::conversation::{Audio, CallKind, Image, MediaSource, ToolCall, ToolResult};
use crate::{Content, Message, Part, Placed, Role};

/// The messages of a request. What tools gave back in one turn becomes one message of the user,
/// together with what the user says right after: that is the form in which Anthropic wants it, and
/// it is written back as it was.
pub(super) fn messages(list: Raw<'_>) -> Result<Vec<Message<'_>>, ReadError> {
    let mut messages: Vec<Message<'_>> = Vec::new();
    let mut older = OlderCalls::default();
    for raw in list.items()? {
        let mut message = message(raw)?;
        older.name(&mut message);
        match messages.last_mut().filter(|last| continues(last, &message)) {
            Some(last) => last.parts.extend(message.parts),
            None => messages.push(message),
        }
    }
    Ok(messages)
}

/// Whether `next` belongs to the same turn of the user as the results in `last`. Only messages of
/// tools have results, so where the last part is one, all are.
fn continues(last: &Message<'_>, next: &Message<'_>) -> bool {
    let ends_with_result =
        last.parts.last().is_some_and(|part| matches!(part.content, Content::ToolResult(_)));
    ends_with_result && next.role == Role::User && next.bag.is_empty()
}

/// Calls in the form before tools have no ids: a result names the function alone. Some servers leave
/// the ids of today's calls empty, too: their results come in the order of the calls. Both get ids here,
/// the same in each request of a conversation.
#[derive(Debug, Default)]
struct OlderCalls<'a> {
    count: usize,
    /// The calls of the last turn that have no result yet: name and id.
    waiting: VecDeque<(Cow<'a, str>, String)>,
}

impl<'a> OlderCalls<'a> {
    fn name(&mut self, message: &mut Message<'a>) {
        if message.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))) {
            self.waiting.clear();
        }
        for part in &mut message.parts {
            match &mut part.content {
                Content::ToolCall(call) if call.id.is_empty() => {
                    let id = format!("call_{}_{}", call.name, self.count);
                    self.count += 1;
                    self.waiting.push_back((call.name.clone(), id.clone()));
                    call.id = Cow::Owned(id);
                }
                Content::ToolResult(ToolResult { call_id, name, .. }) if call_id.is_empty() => {
                    let is_meant = |called: &str| name.as_deref().is_none_or(|name| name == called);
                    let place = self.waiting.iter().position(|(called, _)| is_meant(called));
                    if let Some((_, id)) = place.and_then(|place| self.waiting.remove(place)) {
                        *call_id = Cow::Owned(id);
                    }
                }
                _ => {}
            }
        }
    }
}

fn message(raw: Raw<'_>) -> Result<Message<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let role: Cow<'_, str> = fields.require("role")?;
    let (role, mut parts) = match role.as_ref() {
        "system" => (Role::System, content_decode::content(&mut fields)?),
        "developer" => (Role::Developer, content_decode::content(&mut fields)?),
        "user" => (Role::User, content_decode::content(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields)?),
        "tool" | "function" => {
            let (call_id, name) = match role.as_ref() {
                "tool" => (fields.require("tool_call_id")?, None),
                _ => (Cow::Borrowed(""), Some(fields.require("name")?)),
            };
            let parts = content_decode::content(&mut fields)?;
            let result = ToolResult { call_id, name, parts, is_error: false };
            // The message is the part: what is left of it is reported there.
            let cache = cache_mark::take(&mut fields);
            let part = Part { cache, bag: fields.rest(), ..Part::new(raw, Content::ToolResult(result)) };
            return Ok(Message::new(raw, Role::User, vec![part]));
        }
        _ => {
            let content = Content::Unknown { name: role.clone(), raw };
            let parts = vec![Part::new(raw, content)];
            return Ok(Message::new(raw, Role::Other(role), parts));
        }
    };
    // Routers take a mark on the whole message as well: it stands behind its last part.
    if let Some(last) = parts.last_mut().filter(|last| last.cache.is_none()) {
        last.cache = cache_mark::take(&mut fields);
    }
    Ok(Message { bag: fields.rest(), ..Message::new(raw, role, parts) })
}

/// What the model said: reasoning, text, refusal, sound, images and calls.
pub(super) fn assistant<'a>(fields: &mut Fields<'a>) -> Result<Vec<Part<'a>>, ReadError> {
    let mut calls = Vec::new();
    for call in fields.take::<Vec<Raw<'a>>>("tool_calls")?.value().unwrap_or_default() {
        calls.push(tool_call(call)?);
    }
    calls.extend(function_call(fields)?);
    let ids: Vec<Cow<'a, str>> = calls.iter().filter_map(id_of_call).cloned().collect();
    let reasoning = reasoning::Read::take(fields, &ids);
    let mut parts = reasoning.leading;
    let first = parts.len();
    parts.extend(content_decode::content(fields)?);
    annotations(fields, parts.get_mut(first..).unwrap_or_default());
    if let Some(refusal) = fields.take::<Placed<'a, Cow<'a, str>>>("refusal")?.value() {
        parts.push(Part::new(refusal.place, Content::Refusal(refusal.value)));
    }
    parts.extend(audio(fields)?);
    images(fields, &mut parts);
    let mut between = reasoning.between;
    for call in calls {
        let mut after = Vec::new();
        for own in between.extract_if(.., |between| Some(&between.call) == id_of_call(&call)) {
            parts.push(own.before);
            after.extend(own.after);
        }
        parts.push(call);
        parts.extend(after);
    }
    Ok(parts)
}

fn id_of_call<'p, 'a>(part: &'p Part<'a>) -> Option<&'p Cow<'a, str>> {
    match &part.content {
        Content::ToolCall(call) => Some(&call.id).filter(|id| !id.is_empty()),
        _ => None,
    }
}

/// `annotations` belong to the one text that an answer has. Where there is none, they stay.
fn annotations<'a>(fields: &mut Fields<'a>, parts: &mut [Part<'a>]) {
    let mut texts = parts.iter_mut().filter_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    if let (Some(text), None) = (texts.next(), texts.next())
        && let Some(found) = fields.peek("annotations").and_then(citations::read)
    {
        let _taken: Option<Raw<'a>> = fields.offer("annotations");
        text.citations = found;
    }
}

/// What the model spoke: in an answer its bytes, in a request its id.
fn audio<'a>(fields: &mut Fields<'a>) -> Result<Option<Part<'a>>, ReadError> {
    let Some(mut audio) = fields.take::<Fields<'a>>("audio")?.value() else { return Ok(None) };
    let place = audio.raw();
    let id: Option<Cow<'a, str>> = audio.take("id")?.value();
    let source = match audio.take("data")?.value() {
        Some(data) => MediaSource::Base64 { media_type: Cow::Borrowed(""), data },
        None => MediaSource::File { id: id.clone().unwrap_or_default() },
    };
    let content = Content::Audio(Audio {
        source,
        id,
        transcript: audio.take::<Cow<'a, str>>("transcript")?.value().filter(|words| !words.is_empty()),
        expires_at: audio.take("expires_at")?.value(),
    });
    Ok(Some(Part { bag: audio.rest(), ..Part::new(place, content) }))
}

/// OpenRouter's form of images in an answer; odd ones stay.
fn images<'a>(fields: &mut Fields<'a>, parts: &mut Vec<Part<'a>>) {
    let Some(list) = fields.peek("images").and_then(|raw| raw.items().ok()) else { return };
    let image = |raw: Raw<'a>| {
        let mut fields = Fields::read(raw).ok()?;
        let mut bag = weighbridge_protocol::json::Bag::EMPTY;
        fields.variant("type").filter(|kind| kind == "image_url")?;
        let image: Image<'a> = content_decode::image(&mut fields, &mut bag).ok()?;
        let _place: Option<Raw<'a>> = fields.offer("index");
        append(&mut bag, fields.rest());
        Some(Part { bag, ..Part::new(raw, Content::Image(image)) })
    };
    if let Some(images) = list.map(image).collect::<Option<Vec<_>>>() {
        let _taken: Option<Raw<'a>> = fields.offer("images");
        parts.extend(images);
    }
}

/// The one call of an answer in the form before tools, which has no id.
fn function_call<'a>(fields: &mut Fields<'a>) -> Result<Option<Part<'a>>, ReadError> {
    let Some(mut function) = fields.take::<Fields<'a>>("function_call")?.value() else { return Ok(None) };
    let place = function.raw();
    let call = ToolCall {
        id: Cow::Borrowed(""),
        name: function.require("name")?,
        arguments: arguments(&mut function)?,
        kind: CallKind::Function,
    };
    Ok(Some(Part { bag: function.rest(), ..Part::new(place, Content::ToolCall(call)) }))
}

/// The text of the arguments. Some servers send the object itself instead.
fn arguments<'a>(function: &mut Fields<'a>) -> Result<Cow<'a, str>, ReadError> {
    match function.take::<Raw<'a>>("arguments")?.value() {
        Some(object) if object.kind() == Kind::Object => Ok(Cow::Borrowed(object.text())),
        Some(text) => text.str(),
        None => Ok(Cow::Borrowed("")),
    }
}

fn tool_call(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    // Some servers leave the type out.
    let name = fields.variant("type").unwrap_or(Cow::Borrowed("function"));
    let (kind, mut inner, arguments) = match name.as_ref() {
        "function" => {
            let mut function: Fields<'_> = fields.require("function")?;
            let arguments = arguments(&mut function)?;
            (CallKind::Function, function, arguments)
        }
        "custom" => {
            let mut custom: Fields<'_> = fields.require("custom")?;
            let input = custom.require("input")?;
            (CallKind::Custom, custom, input)
        }
        _ => return Ok(Part::new(raw, Content::Unknown { name, raw })),
    };
    let call = ToolCall {
        id: fields.take("id")?.value().unwrap_or_default(),
        name: inner.require("name")?,
        arguments,
        kind,
    };
    // The place within a stream's chunks; in a whole message the order says the same.
    let _: Option<Raw<'_>> = fields.offer("index");
    let cache = cache_mark::take(&mut fields);
    let mut bag = inner.rest();
    append(&mut bag, fields.rest());
    Ok(Part { cache, bag, ..Part::new(raw, Content::ToolCall(call)) })
}
