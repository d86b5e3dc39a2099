//! Content parts of messages into canonical parts.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::cache_mark;
use crate::bags::append;
use crate::conversation::{
    Audio, Document, DocumentSource, Image, MediaSource, Reasoning, Video, media_type_of,
};
use crate::{Content, Part};

/// `content`: a string, or a list of parts. An empty string says nothing.
pub(super) fn content<'a>(fields: &mut Fields<'a>) -> Result<Vec<Part<'a>>, ReadError> {
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
    let mut inner = Bag::EMPTY;
    let content = match name.as_ref() {
        "text" => Content::Text(fields.require::<Cow<'_, str>>("text")?.into()),
        "refusal" => Content::Refusal(fields.require("refusal")?),
        "thinking" => match thinking(&mut fields)? {
            Some(text) => Content::Reasoning(Reasoning::text(text)),
            None => return Ok(unknown(name, raw)),
        },
        "image_url" => Content::Image(image(&mut fields, &mut inner)?),
        "input_audio" => {
            let mut audio: Fields<'_> = fields.require("input_audio")?;
            let data = audio.require("data")?;
            let format: Cow<'_, str> = audio.require("format")?;
            inner = audio.rest();
            Content::Audio(Audio::new(MediaSource::Base64 { media_type: media_type(format), data }))
        }
        "video_url" => {
            let mut video: Fields<'_> = fields.require("video_url")?;
            let source = source(video.require("url")?);
            inner = video.rest();
            Content::Video(Video { source })
        }
        "file" => {
            let mut file: Fields<'_> = fields.require("file")?;
            let Some(document) = document(&mut file)? else { return Ok(unknown(name, raw)) };
            inner = file.rest();
            Content::Document(document)
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

/// `image_url`: an object, or at some servers the address itself.
pub(super) fn image<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Image<'a>, ReadError> {
    let raw: Raw<'a> = fields.require("image_url")?;
    if raw.kind() == Kind::String {
        return Ok(Image { source: source(raw.str()?), detail: None });
    }
    let mut image = Fields::read(raw)?;
    let source = source(image.require("url")?);
    let detail = image.take("detail")?.value();
    *bag = image.rest();
    Ok(Image { source, detail })
}

/// A file: its bytes in a `data:` URL (or bare, as some clients send them), or its id. `None` where
/// neither is there.
fn document<'a>(file: &mut Fields<'a>) -> Result<Option<Document<'a>>, ReadError> {
    let title: Option<Cow<'a, str>> = file.take("filename")?.value();
    let data: Option<Cow<'a, str>> = file.take("file_data")?.value();
    let id = file.take("file_id")?.value();
    let source = match (data, id) {
        (Some(data), None) => match source(data) {
            // No address: bytes without a media type, which the name may tell.
            MediaSource::Url { url, .. } if !is_address(&url) => {
                let extension = title.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
                let media_type = extension.and_then(media_type_of).unwrap_or("application/pdf");
                MediaSource::Base64 { media_type: media_type.into(), data: url }
            }
            source => source,
        },
        (None, Some(id)) => MediaSource::File { id },
        _ => return Ok(None),
    };
    Ok(Some(Document { source: DocumentSource::Media(source), title, context: None, citations: None }))
}

fn is_address(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

fn media_type(format: Cow<'_, str>) -> Cow<'_, str> {
    match media_type_of(&format) {
        Some(media_type) => Cow::Borrowed(media_type),
        None if format.contains('/') => format,
        None => Cow::Owned(format!("audio/{format}")),
    }
}

/// Mistral's form of reasoning: a list of texts, which is one text in pieces.
fn thinking<'a>(fields: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, ReadError> {
    let Some(pieces) = fields.offer::<Vec<Fields<'a>>>("thinking") else { return Ok(None) };
    let texts = pieces.into_iter().map(|mut piece| piece.require::<Cow<'a, str>>("text"));
    texts.collect::<Result<String, _>>().map(|text| Some(Cow::Owned(text)))
}

/// An address, or the bytes themselves in a `data:` URL (RFC 2397) of base64.
pub(super) fn source(url: Cow<'_, str>) -> MediaSource<'_> {
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
