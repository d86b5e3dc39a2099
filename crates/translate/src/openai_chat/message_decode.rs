//! Messages into the canonical conversation; also the message of an answer.

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw, ReadError};

use crate::bags::append;
use crate::conversation::{CallKind, Image, MediaSource, Reasoning, ToolCall, ToolResult};
use crate::{Content, Message, Part, Placed, Role};

/// The messages of a request. What tools gave back in one turn becomes one message of the user,
/// together with what the user says right after: that is the form in which Anthropic wants it, and
/// it is written back as it was.
pub(super) fn messages(list: Raw<'_>) -> Result<Vec<Message<'_>>, ReadError> {
    let mut messages: Vec<Message<'_>> = Vec::new();
    for raw in list.items()? {
        let message = message(raw)?;
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

fn message(raw: Raw<'_>) -> Result<Message<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let role: Cow<'_, str> = fields.require("role")?;
    let (role, parts) = match role.as_ref() {
        "system" => (Role::System, content(&mut fields)?),
        "developer" => (Role::Developer, content(&mut fields)?),
        "user" => (Role::User, content(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields)?),
        "tool" => {
            let call_id = fields.require("tool_call_id")?;
            let result = ToolResult { call_id, name: None, parts: content(&mut fields)?, is_error: false };
            // The message is the part: what is left of it is reported there.
            let part = Part { bag: fields.rest(), ..Part::new(raw, Content::ToolResult(result)) };
            return Ok(Message::new(raw, Role::User, vec![part]));
        }
        _ => {
            let content = Content::Unknown { name: role.clone(), raw };
            let parts = vec![Part::new(raw, content)];
            return Ok(Message::new(raw, Role::Other(role), parts));
        }
    };
    Ok(Message { place: raw.into(), role, parts, bag: fields.rest() })
}

/// What the model said: text, refusal and calls.
pub(super) fn assistant<'a>(fields: &mut Fields<'a>) -> Result<Vec<Part<'a>>, ReadError> {
    let mut parts = content(fields)?;
    if let Some(refusal) = fields.take::<Placed<'a, Cow<'a, str>>>("refusal")?.value() {
        parts.push(Part::new(refusal.place, Content::Refusal(refusal.value)));
    }
    for call in fields.take::<Vec<Raw<'a>>>("tool_calls")?.value().unwrap_or_default() {
        parts.push(tool_call(call)?);
    }
    Ok(parts)
}

/// `content`: a string, or a list of parts. An empty string says nothing.
fn content<'a>(fields: &mut Fields<'a>) -> Result<Vec<Part<'a>>, ReadError> {
    let Some(raw) = fields.take::<Raw<'a>>("content")?.value() else { return Ok(Vec::new()) };
    match raw.kind() {
        Kind::String if raw.text() == "\"\"" => Ok(Vec::new()),
        Kind::String => Ok(vec![Part::new(raw, Content::Text(raw.str()?.into()))]),
        Kind::Array => raw.items()?.map(part).collect(),
        _ => Err(ReadError::new(raw, "a string or a list of content parts")),
    }
}

fn part(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed(""));
    let content = match name.as_ref() {
        "text" => Content::Text(fields.require::<Cow<'_, str>>("text")?.into()),
        "refusal" => Content::Refusal(fields.require("refusal")?),
        "thinking" => match thinking(&mut fields)? {
            Some(text) => Content::Reasoning(Reasoning::text(text)),
            None => return Ok(Part::new(raw, Content::Unknown { name, raw })),
        },
        "image_url" => {
            let mut image: Fields<'_> = fields.require("image_url")?;
            let source = image_source(image.require("url")?);
            let content = Content::Image(Image { source, detail: image.take("detail")?.value() });
            let mut bag = image.rest();
            append(&mut bag, fields.rest());
            return Ok(Part { bag, ..Part::new(raw, content) });
        }
        _ => return Ok(Part::new(raw, Content::Unknown { name, raw })),
    };
    Ok(Part { bag: fields.rest(), ..Part::new(raw, content) })
}

/// Mistral's form of reasoning: a list of texts, which is one text in pieces.
fn thinking<'a>(fields: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, ReadError> {
    let Some(pieces) = fields.offer::<Vec<Fields<'a>>>("thinking") else { return Ok(None) };
    let texts = pieces.into_iter().map(|mut piece| piece.require::<Cow<'a, str>>("text"));
    texts.collect::<Result<String, _>>().map(|text| Some(Cow::Owned(text)))
}

/// An address, or the bytes themselves in a `data:` URL (RFC 2397) of base64.
fn image_source(url: Cow<'_, str>) -> MediaSource<'_> {
    let Some((media_type, data)) = base64_data_url(&url) else { return MediaSource::url(url) };
    match &url {
        Cow::Borrowed(text) => match base64_data_url(text) {
            Some((media_type, data)) => {
                MediaSource::Base64 { media_type: Cow::Borrowed(media_type), data: Cow::Borrowed(data) }
            }
            None => MediaSource::url(url),
        },
        Cow::Owned(_) => MediaSource::Base64 {
            media_type: Cow::Owned(media_type.to_owned()),
            data: Cow::Owned(data.to_owned()),
        },
    }
}

fn base64_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    (!media_type.is_empty() && !media_type.contains(';')).then_some((media_type, data))
}

/// The one call of an answer in the form before tools, which has no id.
pub(super) fn function_call<'a>(fields: &mut Fields<'a>) -> Result<Option<Part<'a>>, ReadError> {
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
    if name != "function" {
        return Ok(Part::new(raw, Content::Unknown { name, raw }));
    }
    let mut function: Fields<'_> = fields.require("function")?;
    let call = ToolCall {
        id: fields.take("id")?.value().unwrap_or_default(),
        name: function.require("name")?,
        arguments: arguments(&mut function)?,
        kind: CallKind::Function,
    };
    // The place within a stream's chunks; in a whole message the order says the same.
    let _: Option<Raw<'_>> = fields.offer("index");
    let mut bag = function.rest();
    append(&mut bag, fields.rest());
    Ok(Part { bag, ..Part::new(raw, Content::ToolCall(call)) })
}
