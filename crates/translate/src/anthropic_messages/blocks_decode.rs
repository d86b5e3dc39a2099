//! Content blocks into canonical parts: of messages, of results of tools, and of answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, Kind, Raw, ReadError};

use crate::bags::append;
use crate::conversation::{CallKind, Image, MediaSource, Proof, Reasoning, ToolCall, ToolResult};
use crate::{Content, Message, Part, Role, tool_id};

/// `content`: a string, which is shorthand for one text block, or a list of blocks.
pub(super) fn content(raw: Raw<'_>) -> Result<Vec<Part<'_>>, ReadError> {
    match raw.kind() {
        Kind::String if raw.text() == "\"\"" => Ok(Vec::new()),
        Kind::String => Ok(vec![Part::new(raw, Content::Text(raw.str()?.into()))]),
        Kind::Array => raw.items()?.map(block).collect(),
        _ => Err(ReadError::new(raw, "a string or a list of content blocks")),
    }
}

/// A message of somebody that only this protocol knows.
pub(super) fn unknown_message<'a>(role: Cow<'a, str>, raw: Raw<'a>) -> Message<'a> {
    let parts = vec![Part::new(raw, Content::Unknown { name: role.clone(), raw })];
    Message::new(raw, Role::Other(role), parts)
}

fn block(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed(""));
    let content = match name.as_ref() {
        "text" => Content::Text(fields.require::<Cow<'_, str>>("text")?.into()),
        "thinking" => {
            let text = fields.take("thinking")?.value().unwrap_or_default();
            let signature: Option<Cow<'_, str>> = fields.take("signature")?.value();
            let proof = signature.map(|data| Proof::signature(Proof::ANTHROPIC, data));
            Content::Reasoning(Reasoning { text, proof, ..Reasoning::default() })
        }
        "tool_use" => Content::ToolCall(ToolCall {
            id: original_id(fields.take("id")?.value().unwrap_or_default()),
            name: fields.require("name")?,
            arguments: Cow::Borrowed(fields.take::<Raw<'_>>("input")?.value().map_or("", Raw::text)),
            kind: CallKind::Function,
        }),
        "tool_result" => {
            let parts = match fields.take::<Raw<'_>>("content")?.value() {
                Some(raw) => content(raw)?,
                None => Vec::new(),
            };
            Content::ToolResult(ToolResult {
                call_id: original_id(fields.require("tool_use_id")?),
                name: None,
                parts,
                is_error: fields.take("is_error")?.value().unwrap_or(false),
            })
        }
        "image" => {
            let mut source: Fields<'_> = fields.require("source")?;
            let Some(content) = image(&mut source)? else {
                return Ok(Part::new(raw, Content::Unknown { name, raw }));
            };
            let mut bag = source.rest();
            append(&mut bag, fields.rest());
            return Ok(Part { bag, ..Part::new(raw, content) });
        }
        _ => return Ok(Part::new(raw, Content::Unknown { name, raw })),
    };
    Ok(Part { bag: fields.rest(), ..Part::new(raw, content) })
}

/// `None` for sources that only this protocol has, such as an uploaded file.
fn image<'a>(source: &mut Fields<'a>) -> Result<Option<Content<'a>>, ReadError> {
    let source = match source.variant("type").as_deref() {
        Some("base64") => {
            MediaSource::Base64 { media_type: source.require("media_type")?, data: source.require("data")? }
        }
        Some("url") => MediaSource::url(source.require::<Cow<'_, str>>("url")?),
        _ => return Ok(None),
    };
    Ok(Some(Content::Image(Image { source, detail: None })))
}

/// The id that another protocol gave the call, where it had to be escaped for this one.
fn original_id(id: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&id) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => id,
    }
}
