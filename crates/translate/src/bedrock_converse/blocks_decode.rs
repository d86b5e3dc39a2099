//! Content blocks into canonical parts: of messages, instructions, results of tools, and answers.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};

use super::leftovers::{keep, keep_field};
use super::media::{self, MediaBlock, MediaKind};
use super::{base64, citations, reasoning};
use crate::conversation::{
    Audio, CacheMark, CacheTtl, Document, DocumentSource, Image, JsonText, MediaSource, Text, ToolResult,
    Video,
};
use crate::{Content, Part, Placed, tool_id, tool_name};

/// Who says a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The user, or whoever runs the application; also the tools.
    User,
    /// The model. What it says of results is of tools that the provider runs.
    Model,
}

/// Kept whole beside the content that was read from it: no other protocol marks content for a guardrail.
pub(super) const GUARDED: &str = "guardContent";

/// Read as a document, and written back as it stood: its fields are not those of a document.
pub(super) const SEARCH_RESULT: &str = "searchResult";

/// The blocks of a request.
pub(super) fn content(raw: Raw<'_>, speaker: Speaker) -> Result<Vec<Part<'_>>, ReadError> {
    let mut parts = Vec::new();
    for item in raw.items()? {
        push(&mut parts, item, block(item, speaker)?);
    }
    Ok(parts)
}

/// The blocks of an answer, which was paid for: one that cannot be read is kept as it is.
pub(super) fn answered(raw: Raw<'_>) -> Result<Vec<Part<'_>>, ReadError> {
    let mut parts = Vec::new();
    for item in raw.items()? {
        let part = block(item, Speaker::Model).unwrap_or_else(|_| unknown(item));
        push(&mut parts, item, part);
    }
    Ok(parts)
}

/// A cache point is a mark on the block before it.
fn push<'a>(parts: &mut Vec<Part<'a>>, item: Raw<'a>, part: Part<'a>) {
    match (parts.last_mut().filter(|last| last.cache.is_none() && !is_cache_point(last)), cache_point(item)) {
        (Some(last), Some(mark)) => last.cache = Some(mark),
        _ => parts.push(part),
    }
}

fn is_cache_point(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Unknown { name, .. } if name == "cachePoint")
}

/// The mark that a block is, if it is one and says no more than a mark can.
pub(super) fn cache_point(raw: Raw<'_>) -> Option<Placed<'_, CacheMark>> {
    let mut fields = Fields::read(raw).ok()?;
    let mut point = fields.offer::<Fields<'_>>("cachePoint")?;
    let is_usual = point.variant("type").is_none_or(|kind| kind == "default");
    let ttl = match point.variant("ttl").as_deref() {
        None => None,
        Some("5m") => Some(CacheTtl::FiveMinutes),
        Some("1h") => Some(CacheTtl::OneHour),
        Some(_) => return None,
    };
    let is_all = is_usual && point.rest().is_empty() && fields.rest().is_empty();
    is_all.then_some(Placed { value: CacheMark { ttl }, place: raw.into() })
}

fn unknown(raw: Raw<'_>) -> Part<'_> {
    let first = Fields::read(raw).map(Fields::rest).unwrap_or_default();
    let name = first.iter().next().map(|(name, _)| name.to_owned()).unwrap_or_default();
    Part::new(raw, Content::Unknown { name: name.into(), raw })
}

/// Reads one block: an object with one field, whose name says what it is.
fn block(raw: Raw<'_>, speaker: Speaker) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let mut bag = Bag::EMPTY;
    let found = match plain(&mut fields, &mut bag)? {
        Some(content) => Some(content),
        None => spoken(&mut fields, &mut bag, speaker)?,
    };
    let Some(content) = found else { return Ok(unknown(raw)) };
    keep(&mut bag, "", fields);
    Ok(Part { bag, ..Part::new(raw, content) })
}

/// Kinds that may stand in results of tools as well.
fn plain<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Option<Content<'a>>, ReadError> {
    if let Some(text) = fields.take::<Cow<'a, str>>("text")?.value() {
        return Ok(Some(Content::Text(text.into())));
    }
    for kind in [MediaKind::Image, MediaKind::Document, MediaKind::Video, MediaKind::Audio] {
        if let Some(raw) = fields.take::<Raw<'a>>(kind.field())?.value() {
            return match kind {
                MediaKind::Document => document(raw, bag),
                kind => media(raw, kind, bag),
            };
        }
    }
    if let Some(raw) = fields.take::<Raw<'a>>(SEARCH_RESULT)?.value() {
        return search_result(raw, bag).map(Some);
    }
    Ok(None)
}

fn spoken<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
    speaker: Speaker,
) -> Result<Option<Content<'a>>, ReadError> {
    if let Some(call) = fields.take::<Fields<'a>>("toolUse")?.value() {
        return tool_use(call, bag);
    }
    if let Some(result) = fields.take::<Fields<'a>>("toolResult")?.value() {
        // Results of the provider's own tools come from the model, and have a type.
        let is_own = speaker == Speaker::Model || result.peek("type").is_some();
        return if is_own { Ok(None) } else { tool_result(result, bag).map(Some) };
    }
    if let Some(mut content) = fields.take::<Fields<'a>>("reasoningContent")?.value() {
        let read = reasoning::read(&mut content, bag)?;
        keep(bag, "reasoningContent", content);
        return Ok(read.map(Content::Reasoning));
    }
    if let Some(cited) = fields.take::<Fields<'a>>("citationsContent")?.value() {
        return cited_text(cited, bag).map(Some);
    }
    match fields.take::<Raw<'a>>(GUARDED)?.value() {
        Some(raw) => {
            keep_field(bag, "", GUARDED, raw);
            guarded(raw)
        }
        None => Ok(None),
    }
}

fn media<'a>(raw: Raw<'a>, kind: MediaKind, bag: &mut Bag<'a>) -> Result<Option<Content<'a>>, ReadError> {
    let mut block = MediaBlock::open(raw, kind)?;
    let path = kind.field();
    let inside = format!("{path}/source");
    let Some(source) = media::source(&mut block.source, block.media_type, &inside, bag)? else {
        return Ok(None);
    };
    keep(bag, &inside, block.source);
    keep(bag, path, block.fields);
    Ok(Some(match kind {
        MediaKind::Video => Content::Video(Video { source }),
        MediaKind::Audio => Content::Audio(Audio::new(source)),
        MediaKind::Image | MediaKind::Document => Content::Image(Image { source, detail: None }),
    }))
}

fn document<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Option<Content<'a>>, ReadError> {
    let MediaBlock { mut fields, mut source, media_type } = MediaBlock::open(raw, MediaKind::Document)?;
    let title = fields.take("name")?.value();
    let context = fields.take("context")?.value();
    let citations = match fields.take::<Fields<'a>>("citations")?.value() {
        Some(mut wish) => {
            let enabled = wish.take("enabled")?.value();
            keep(bag, "document/citations", wish);
            enabled
        }
        None => None,
    };
    let is_text = media_type == "text/plain";
    let read = if let Some(text) = source.take("text")?.value() {
        Some(DocumentSource::Text(text))
    } else if let Some(texts) = source.take::<Vec<Fields<'a>>>("content")?.value() {
        Some(DocumentSource::Parts(texts_of(texts, "document/source/content", bag)?))
    } else {
        let cited = citations.as_ref().is_some_and(|wish: &Placed<'a, bool>| wish.value);
        let found = media::source(&mut source, media_type, "document/source", bag)?;
        // Text that is not to be cited is only taken as bytes.
        found.map(|found| match &found {
            MediaSource::Base64 { data, .. } if is_text && !cited => base64::decode_text(data).map_or_else(
                || DocumentSource::Media(found.clone()),
                |text| DocumentSource::Text(text.into()),
            ),
            _ => DocumentSource::Media(found),
        })
    };
    let Some(read) = read else { return Ok(None) };
    keep(bag, "document/source", source);
    keep(bag, "document", fields);
    Ok(Some(Content::Document(Document { source: read, title, context, citations })))
}

/// A list of objects that have a text each.
fn texts_of<'a>(list: Vec<Fields<'a>>, path: &str, bag: &mut Bag<'a>) -> Result<Vec<Part<'a>>, ReadError> {
    let mut parts = Vec::with_capacity(list.len());
    for (index, mut item) in list.into_iter().enumerate() {
        let text = item.take::<Cow<'a, str>>("text")?.value().unwrap_or_default();
        parts.push(Part::new(item.raw(), Content::Text(text.into())));
        keep(bag, &format!("{path}/{index}"), item);
    }
    Ok(parts)
}

/// What the application itself found: a document that can be cited, for those that have nothing closer.
fn search_result<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Content<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let title = fields.take("title")?.value();
    let texts = fields.take::<Vec<Fields<'a>>>("content")?.value().unwrap_or_default();
    let parts = texts_of(texts, "searchResult/content", bag)?;
    let citations = match fields.take::<Fields<'a>>("citations")?.value() {
        Some(mut wish) => {
            let enabled = wish.take("enabled")?.value();
            keep(bag, "searchResult/citations", wish);
            enabled
        }
        None => None,
    };
    keep(bag, SEARCH_RESULT, fields);
    Ok(Content::Document(Document { source: DocumentSource::Parts(parts), title, context: None, citations }))
}

/// Content that a guardrail is to look at.
fn guarded(raw: Raw<'_>) -> Result<Option<Content<'_>>, ReadError> {
    let mut fields = Fields::read(raw)?;
    if let Some(mut text) = fields.take::<Fields<'_>>("text")?.value() {
        return Ok(Some(Content::Text(text.require::<Cow<'_, str>>("text")?.into())));
    }
    match fields.take("image")?.value() {
        Some(image) => media(image, MediaKind::Image, &mut Bag::default()),
        None => Ok(None),
    }
}

/// `None` for calls of tools that the provider runs.
fn tool_use<'a>(mut call: Fields<'a>, bag: &mut Bag<'a>) -> Result<Option<Content<'a>>, ReadError> {
    if call.variant("type").is_some_and(|kind| kind != "tool_use") {
        return Ok(None);
    }
    let id = call.take("toolUseId")?.value().unwrap_or_default();
    let name = call.require("name")?;
    let arguments = call.take::<Raw<'a>>("input")?.value().map_or("", Raw::text);
    keep(bag, "toolUse", call);
    Ok(Some(Content::ToolCall(tool_name::original_call(original(id), name, Cow::Borrowed(arguments)))))
}

fn tool_result<'a>(mut result: Fields<'a>, bag: &mut Bag<'a>) -> Result<Content<'a>, ReadError> {
    let call_id = original(result.require("toolUseId")?);
    let mut parts = Vec::new();
    if let Some(content) = result.take::<Raw<'a>>("content")?.value() {
        for item in content.items()? {
            parts.push(result_block(item)?);
        }
    }
    let status = result.peek("status");
    let is_error = status.is_some_and(|status| status.text() == "\"error\"");
    if is_error || status.is_some_and(|status| status.text() == "\"success\"") {
        let _: Option<Raw<'a>> = result.offer("status");
    }
    keep(bag, "toolResult", result);
    Ok(Content::ToolResult(ToolResult { call_id, name: None, parts, is_error }))
}

fn result_block(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let mut bag = Bag::EMPTY;
    let content = match fields.offer::<Raw<'_>>("json") {
        Some(json) => Some(Content::Json(JsonText::from(json))),
        None => plain(&mut fields, &mut bag)?,
    };
    let Some(content) = content else { return Ok(unknown(raw)) };
    keep(&mut bag, "", fields);
    Ok(Part { bag, ..Part::new(raw, content) })
}

/// A text with its sources. The text comes in pieces.
fn cited_text<'a>(mut cited: Fields<'a>, bag: &mut Bag<'a>) -> Result<Content<'a>, ReadError> {
    let mut text: Option<Cow<'a, str>> = None;
    let pieces = cited.take::<Vec<Fields<'a>>>("content")?.value().unwrap_or_default();
    for part in texts_of(pieces, "citationsContent/content", bag)? {
        let Content::Text(piece) = part.content else { continue };
        match &mut text {
            Some(text) => text.to_mut().push_str(&piece.text),
            None => text = Some(piece.text),
        }
    }
    let citations = match cited.take::<Vec<Raw<'a>>>("citations")?.value() {
        Some(list) => list.into_iter().map(citations::read).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    keep(bag, "citationsContent", cited);
    Ok(Content::Text(Text { text: text.unwrap_or_default(), citations }))
}

/// The id that another protocol gave, where it had to be escaped for this one.
pub(super) fn original(text: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&text) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => text,
    }
}
