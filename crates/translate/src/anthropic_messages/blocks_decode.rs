//! Content blocks into canonical parts: of messages, of results of tools, and of answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::{cache_mark, citations};
use crate::bags::append;
use crate::conversation::{
    Document, DocumentSource, Image, MediaSource, Proof, ProofKind, Reasoning, Text, ToolResult,
};
use crate::{Content, Message, Part, Placed, Role, tool_id, tool_name};

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

pub(super) fn block(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or(Cow::Borrowed(""));
    let mut inner = Bag::EMPTY;
    let content = match name.as_ref() {
        "text" => {
            let text = fields.require("text")?;
            let citations = fields.peek("citations").and_then(citations::read);
            if citations.is_some() {
                let _taken: Option<Raw<'_>> = fields.offer("citations");
            }
            Content::Text(Text { text, citations: citations.unwrap_or_default() })
        }
        "thinking" => {
            let text = fields.take("thinking")?.value().unwrap_or_default();
            let signature = fields.take("signature")?.value();
            Content::Reasoning(reasoning(text, signature, ProofKind::Signature))
        }
        "redacted_thinking" => {
            let data = fields.require("data")?;
            Content::Reasoning(reasoning(Cow::Borrowed(""), Some(data), ProofKind::Sealed))
        }
        "tool_use" => {
            let id = original_id(fields.take("id")?.value().unwrap_or_default());
            let name = fields.require("name")?;
            let input = fields.take::<Raw<'_>>("input")?.value().map_or("", Raw::text);
            Content::ToolCall(tool_name::original_call(id, name, Cow::Borrowed(input)))
        }
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
            let Some(mut source) = fields.offer::<Fields<'_>>("source") else {
                return Ok(unknown(name, raw));
            };
            let Some(media) = media(&mut source)? else { return Ok(unknown(name, raw)) };
            inner = source.rest();
            Content::Image(Image { source: media, detail: None })
        }
        "document" => {
            let Some(mut source) = fields.offer::<Fields<'_>>("source") else {
                return Ok(unknown(name, raw));
            };
            let Some(document) = document(&mut source)? else { return Ok(unknown(name, raw)) };
            inner = source.rest();
            Content::Document(details(document, &mut fields, &mut inner)?)
        }
        _ => return Ok(unknown(name, raw)),
    };
    let cache = cache_mark::take(&mut fields);
    append(&mut inner, fields.rest());
    Ok(Part { cache, bag: inner, ..Part::new(raw, content) })
}

fn unknown<'a>(name: Cow<'a, str>, raw: Raw<'a>) -> Part<'a> {
    Part::new(raw, Content::Unknown { name, raw })
}

/// Reasoning with its proof, which may be another provider's that a client was given to bring back.
pub(super) fn reasoning<'a>(
    text: Cow<'a, str>,
    token: Option<Cow<'a, str>>,
    kind: ProofKind,
) -> Reasoning<'a> {
    let (proof, id) = token
        .filter(|token| !token.is_empty())
        .map(|token| Proof::from_token(token, Proof::ANTHROPIC, kind))
        .unzip();
    // A token may say only that nothing is proven.
    let proof = proof.filter(|proof| !proof.data.is_empty());
    Reasoning { id: id.flatten(), text, summary: Vec::new(), proof }
}

/// `None` for sources that are not known.
fn media<'a>(source: &mut Fields<'a>) -> Result<Option<MediaSource<'a>>, ReadError> {
    Ok(Some(match source.variant("type").as_deref() {
        Some("base64") => {
            MediaSource::Base64 { media_type: source.require("media_type")?, data: source.require("data")? }
        }
        Some("url") => MediaSource::url(source.require::<Cow<'a, str>>("url")?),
        Some("file") => MediaSource::File { id: source.require("file_id")? },
        _ => return Ok(None),
    }))
}

fn document<'a>(source: &mut Fields<'a>) -> Result<Option<DocumentSource<'a>>, ReadError> {
    let kind = source.peek("type").and_then(|kind| kind.str().ok()).unwrap_or_default();
    Ok(match kind.as_ref() {
        "text" => {
            let _known: (Option<Raw<'a>>, Option<Raw<'a>>) =
                (source.offer("type"), source.offer("media_type"));
            Some(DocumentSource::Text(source.require("data")?))
        }
        "content" => {
            let _known: Option<Raw<'a>> = source.offer("type");
            Some(DocumentSource::Parts(content(source.require("content")?)?))
        }
        _ => media(source)?.map(DocumentSource::Media),
    })
}

fn details<'a>(
    source: DocumentSource<'a>,
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Document<'a>, ReadError> {
    let mut citations = None;
    if let Some(mut config) = fields.take::<Fields<'a>>("citations")?.value() {
        citations = config.take::<Placed<'a, bool>>("enabled")?.value();
        append(bag, config.rest());
    }
    let title = fields.take("title")?.value();
    Ok(Document { source, title, context: fields.take("context")?.value(), citations })
}

/// The id that another protocol gave the call, where it had to be escaped for this one.
fn original_id(id: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&id) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => id,
    }
}
