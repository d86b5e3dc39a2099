//! Content parts into canonical parts: of messages, of results of tools, and of answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::{bag_names, citations, logprobs, media};
use crate::conversation::{
    Audio, CacheMark, CacheTtl, Document, DocumentSource, Image, MediaSource, Text, TokenLogprob,
    media_type_of,
};
use crate::{Content, Part, Placed};

/// Where the probabilities of tokens go; `None` leaves them in the bags of their texts.
pub(super) type Tokens<'l, 'a> = Option<&'l mut Vec<TokenLogprob<'a>>>;

/// `content` or `output`: a string, or a list of parts. An empty string says nothing.
pub(super) fn content<'a>(raw: Raw<'a>, mut tokens: Tokens<'_, 'a>) -> Result<Vec<Part<'a>>, ReadError> {
    match raw.kind() {
        Kind::String if raw.text() == "\"\"" => Ok(Vec::new()),
        Kind::String => Ok(vec![Part::new(raw, Content::Text(raw.str()?.into()))]),
        Kind::Array => raw.items()?.map(|item| part(item, tokens.as_deref_mut())).collect(),
        _ => Err(ReadError::new(raw, "a string or a list of content parts")),
    }
}

pub(super) fn part<'a>(raw: Raw<'a>, tokens: Tokens<'_, 'a>) -> Result<Part<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.variant("type").unwrap_or_default();
    let mut bag = Bag::EMPTY;
    let content = match name.as_ref() {
        "input_text" | "output_text" => text(&mut fields, tokens)?,
        "refusal" => Content::Refusal(fields.require("refusal")?),
        "input_image" => match image(&mut fields)? {
            Some(image) => Content::Image(image),
            None => return Ok(Part::new(raw, Content::Unknown { name, raw })),
        },
        "input_file" => match document(&mut fields)? {
            Some(document) => Content::Document(document),
            None => return Ok(Part::new(raw, Content::Unknown { name, raw })),
        },
        "input_audio" => {
            let mut audio: Fields<'_> = fields.require("input_audio")?;
            let format: Cow<'_, str> = audio.require("format")?;
            let media_type = media_type_of(&format).map_or(format, Cow::Borrowed);
            let source = MediaSource::Base64 { media_type, data: audio.require("data")? };
            bag_names::keep(&mut bag, bag_names::AUDIO, audio.rest());
            Content::Audio(Audio::new(source))
        }
        _ => return Ok(Part::new(raw, Content::Unknown { name, raw })),
    };
    let cache = cache_mark(&mut fields, &mut bag)?;
    crate::bags::append(&mut bag, fields.rest());
    Ok(Part { cache, bag, ..Part::new(raw, content) })
}

fn text<'a>(fields: &mut Fields<'a>, tokens: Tokens<'_, 'a>) -> Result<Content<'a>, ReadError> {
    let text = fields.require("text")?;
    let citations = match fields.take::<Raw<'a>>("annotations")?.value() {
        Some(list) => citations::read(list)?,
        None => Vec::new(),
    };
    if let Some(tokens) = tokens
        && let Some(list) = fields.take::<Raw<'a>>("logprobs")?.value()
    {
        tokens.extend(logprobs::read(list)?);
    }
    Ok(Content::Text(Text { text, citations }))
}

/// `prompt_cache_breakpoint`. A lifetime that is not known is kept.
fn cache_mark<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Option<Placed<'a, CacheMark>>, ReadError> {
    let Some(mut mark) = fields.take::<Fields<'a>>("prompt_cache_breakpoint")?.value() else {
        return Ok(None);
    };
    let place = mark.raw().into();
    let _always_explicit: Option<Raw<'a>> = mark.offer("mode");
    let named = mark.peek("ttl").and_then(|ttl| ttl.str().ok());
    let ttl = named.and_then(|name| CacheTtl::from_name(&name));
    if ttl.is_some() {
        let _understood: Option<Raw<'a>> = mark.offer("ttl");
    }
    bag_names::keep(bag, bag_names::BREAKPOINT, mark.rest());
    Ok(Some(Placed { value: CacheMark { ttl }, place }))
}

/// `None` where neither an address nor a file is named.
fn image<'a>(fields: &mut Fields<'a>) -> Result<Option<Image<'a>>, ReadError> {
    let source = match fields.take::<Cow<'a, str>>("image_url")?.value() {
        Some(url) => media::source(url),
        None => match fields.take("file_id")?.value() {
            Some(id) => MediaSource::File { id },
            None => return Ok(None),
        },
    };
    // The format demands a level of detail; this one says what is the case anyway.
    let detail: Option<Placed<'a, Cow<'a, str>>> = fields.take("detail")?.value();
    Ok(Some(Image { source, detail: detail.filter(|detail| detail.value != "auto") }))
}

/// `None` where the file is given in no way that is known.
fn document<'a>(fields: &mut Fields<'a>) -> Result<Option<Document<'a>>, ReadError> {
    let title: Option<Cow<'a, str>> = fields.take("filename")?.value();
    let source = if let Some(data) = fields.take::<Cow<'a, str>>("file_data")?.value() {
        match media::source(data) {
            // Bytes without the head of a `data:` URL: the name says what they are.
            MediaSource::Url { url: data, .. } if !data.starts_with("data:") => {
                let ending =
                    title.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
                let media_type = ending.and_then(|ending| media_type_of(&ending.to_ascii_lowercase()));
                MediaSource::Base64 { media_type: Cow::Borrowed(media_type.unwrap_or_default()), data }
            }
            source => source,
        }
    } else if let Some(url) = fields.take::<Cow<'a, str>>("file_url")?.value() {
        media::source(url)
    } else if let Some(id) = fields.take("file_id")?.value() {
        MediaSource::File { id }
    } else {
        return Ok(None);
    };
    Ok(Some(Document { source: DocumentSource::Media(source), title, context: None, citations: None }))
}
