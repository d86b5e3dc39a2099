//! Canonical parts, written as content parts of messages.

use std::borrow::Cow;

use weighbridge_protocol::json::{Object, Writer};
use weighbridge_units::LossKind;

use super::cache_mark::{self, Marks};
use crate::conversation::{Document, DocumentSource, Image, MediaSource, format_of};
use crate::{Content, Losses, Part};

/// What a request's provider takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    pub(super) marks: Marks,
    /// Reasoning in the history, and films: others than OpenAI.
    pub(super) more_content: bool,
    /// The role `developer`.
    pub(super) developer: bool,
}

/// Where content stands: not everything may stand everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// In instructions, or in the result of a tool: text.
    TextOnly,
    /// In a message of the user.
    User,
    /// In a message of the model: text and refusals.
    Assistant,
}

/// A part that will be written, and in what form.
pub(super) enum Written<'p, 'a> {
    /// As it is.
    Part(&'p Part<'a>),
    /// A text that stands in for the part.
    Instead(&'p Part<'a>, Cow<'p, str>),
}

/// The parts that have a place; others are reported.
pub(super) fn expressible<'p, 'a: 'p>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
    place: Where,
    takes: Takes,
    losses: &mut Losses<'a>,
) -> Vec<Written<'p, 'a>> {
    let mut kept = Vec::new();
    for part in parts {
        one(part, place, takes, &mut kept, losses);
    }
    kept
}

fn one<'p, 'a: 'p>(
    part: &'p Part<'a>,
    place: Where,
    takes: Takes,
    kept: &mut Vec<Written<'p, 'a>>,
    losses: &mut Losses<'a>,
) {
    let same = losses.is_same_protocol();
    match &part.content {
        Content::Unknown { .. } if same => kept.push(Written::Part(part)),
        Content::Unknown { name, raw } => losses.unknown(*raw, "content", name),
        Content::Text(_) | Content::Json(_) => kept.push(Written::Part(part)),
        Content::Refusal(_) if place == Where::Assistant => kept.push(Written::Part(part)),
        Content::Refusal(text) => kept.push(Written::Instead(part, Cow::Borrowed(text))),
        // Written apart from the content.
        Content::Reasoning(_) if place == Where::Assistant && (same || takes.more_content) => {}
        Content::Reasoning(_) => {
            losses.dropped(part.place, "reasoning has no place in messages", "a part for reasoning");
        }
        Content::Document(document) => match &document.source {
            DocumentSource::Text(text) => {
                lost_of_document(part, document, losses);
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "a document of plain text stands as ordinary text",
                    "documents of plain text",
                );
                kept.push(Written::Instead(part, Cow::Borrowed(text)));
            }
            DocumentSource::Parts(parts) => {
                lost_of_document(part, document, losses);
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "the parts of a document stand as ordinary parts",
                    "documents that consist of parts",
                );
                parts.iter().for_each(|inner| one(inner, place, takes, kept, losses));
            }
            DocumentSource::Media(source) if place == Where::User && is_file(source, same) => {
                kept.push(Written::Part(part));
            }
            DocumentSource::Media(source) => unreachable_media(part, source, place, losses),
        },
        Content::Image(image) if place == Where::User && is_reachable(&image.source, same) => {
            kept.push(Written::Part(part));
        }
        Content::Video(video)
            if place == Where::User && (same || takes.more_content) && is_reachable(&video.source, same) =>
        {
            kept.push(Written::Part(part));
        }
        Content::Audio(audio) if place == Where::User && audio_format(&audio.source, same).is_some() => {
            kept.push(Written::Part(part));
        }
        Content::Audio(audio) => match &audio.transcript {
            Some(transcript) => {
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "the words of a sound stand in its place",
                    "such sound in such a place",
                );
                kept.push(Written::Instead(part, Cow::Borrowed(transcript)));
            }
            None => unreachable_media(part, &audio.source, place, losses),
        },
        Content::Image(image) => unreachable_media(part, &image.source, place, losses),
        Content::Video(video) => unreachable_media(part, &video.source, place, losses),
        Content::ToolCall(_) | Content::ToolResult(_) => losses.dropped(
            part.place,
            "it cannot stand in a message of this role",
            "such content in any message",
        ),
    }
}

fn unreachable_media<'a>(part: &Part<'a>, source: &MediaSource<'a>, place: Where, losses: &mut Losses<'a>) {
    let (reason, needed) = match source {
        _ if place != Where::User => {
            ("it cannot stand in a message of this role", "such content in any message")
        }
        MediaSource::File { .. } => {
            ("a file of another provider cannot be reached", "files of other providers")
        }
        MediaSource::Url { .. } => {
            ("only its bytes are taken here, not an address", "such content by address")
        }
        MediaSource::Base64 { .. } => ("it is in a format that is not taken", "such formats"),
    };
    losses.dropped(part.place, reason, needed);
}

fn lost_of_document<'a>(part: &Part<'a>, document: &Document<'a>, losses: &mut Losses<'a>) {
    if document.title.is_some() && !matches!(document.source, DocumentSource::Media(_)) {
        losses.dropped(part.place, "the title of a document cannot be said", "titles of documents");
    }
    if let Some(context) = &document.context {
        losses.dropped(context.place, "the context of a document cannot be said", "a context of documents");
    }
    if let Some(citations) = document.citations.filter(|citations| citations.value) {
        losses.dropped(citations.place, "documents are not cited", "citations of documents");
    }
}

/// Bytes, or an address that the provider can open; its own files on the way back to it.
pub(super) fn is_reachable(source: &MediaSource<'_>, same: bool) -> bool {
    match source {
        MediaSource::Base64 { .. } => true,
        MediaSource::Url { url, .. } => same || url.starts_with("http") || url.starts_with("data:"),
        MediaSource::File { .. } => false,
    }
}

/// A file is its bytes or its id; addresses are taken by some others only, so not from elsewhere.
fn is_file(source: &MediaSource<'_>, same: bool) -> bool {
    match source {
        MediaSource::Base64 { media_type, .. } => {
            same || media_type.is_empty() || media_type == "application/pdf"
        }
        MediaSource::Url { .. } | MediaSource::File { .. } => same,
    }
}

/// The format of a sound that can be sent: wav and mp3 are taken, and what came from here.
fn audio_format(source: &MediaSource<'_>, same: bool) -> Option<Cow<'static, str>> {
    let MediaSource::Base64 { media_type, .. } = source else { return None };
    let format = match format_of(media_type) {
        Some("mpeg" | "mpga") => "mp3",
        Some(format) => format,
        None if same => {
            let name = media_type.strip_prefix("audio/").unwrap_or(media_type);
            return Some(Cow::Owned(name.to_owned()));
        }
        None => return None,
    };
    (same || matches!(format, "wav" | "mp3")).then_some(Cow::Borrowed(format))
}

/// `content` as a string where it is one text, as a list of parts otherwise.
pub(super) fn content<'a>(
    parts: &[Written<'_, 'a>],
    marks: Marks,
    writer: Writer<'_>,
    losses: &mut Losses<'a>,
) {
    match parts {
        [] => return writer.string(""),
        [one] => {
            let (part, text) = match one {
                Written::Instead(part, text) => (*part, Some(text.as_ref())),
                Written::Part(part) => (*part, plain(part)),
            };
            let needs_part = losses.keeps(&part.bag)
                || part.cache.is_some() && (losses.is_same_protocol() || marks != Marks::No);
            if let Some(text) = text.filter(|_| !needs_part) {
                losses.uncached(part.cache.as_ref());
                if let Content::Text(text) = &part.content {
                    losses.uncited(&text.citations);
                }
                losses.bag(&part.bag);
                return writer.string(text);
            }
        }
        _ => {}
    }
    let mut list = writer.array();
    for part in parts {
        content_part(part, marks, list.item(), losses);
    }
}

fn plain<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.content {
        Content::Text(text) => Some(&text.text),
        Content::Json(json) => Some(json.text()),
        _ => None,
    }
}

fn content_part<'a>(written: &Written<'_, 'a>, marks: Marks, writer: Writer<'_>, losses: &mut Losses<'a>) {
    let (part, mut object) = match written {
        Written::Part(Part { content: Content::Unknown { raw, .. }, .. }) => return writer.raw(raw.text()),
        Written::Part(part) => {
            let mut object = writer.object();
            own_part(part, &mut object, losses);
            (*part, object)
        }
        Written::Instead(part, text) => {
            let mut object = writer.object();
            text_part(text, &mut object);
            (*part, object)
        }
    };
    cache_mark::write(part.cache.as_ref(), marks, &mut object, losses);
    losses.write_bag(&part.bag, &mut object);
}

fn text_part(text: &str, object: &mut Object<'_>) {
    object.key("type").string("text");
    object.key("text").string(text);
}

fn own_part<'a>(part: &Part<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Text(text) => {
            text_part(&text.text, object);
            losses.uncited(&text.citations);
        }
        Content::Json(json) => text_part(json.text(), object),
        Content::Refusal(text) => {
            object.key("type").string("refusal");
            object.key("refusal").string(text);
        }
        Content::Image(picture) => {
            object.key("type").string("image_url");
            image(picture, object.key("image_url"));
        }
        Content::Video(video) => {
            object.key("type").string("video_url");
            object.key("video_url").object().key("url").string(&url(&video.source));
        }
        Content::Audio(audio) => {
            if audio.transcript.is_some() {
                losses.dropped(
                    part.place,
                    "the words of a sound cannot be said beside it",
                    "words of a sound",
                );
            }
            object.key("type").string("input_audio");
            let mut inner = object.key("input_audio").object();
            if let MediaSource::Base64 { data, .. } = &audio.source {
                inner.key("data").string(data);
            }
            let format = audio_format(&audio.source, true).unwrap_or(Cow::Borrowed("wav"));
            inner.key("format").string(&format);
        }
        Content::Document(document) => {
            lost_of_document(part, document, losses);
            object.key("type").string("file");
            let mut file = object.key("file").object();
            match &document.source {
                DocumentSource::Media(MediaSource::File { id }) => file.key("file_id").string(id),
                DocumentSource::Media(source) => {
                    file.key("file_data").string(&url(source));
                    // Required beside the bytes.
                    let name = document.title.as_deref().unwrap_or("document.pdf");
                    file.key("filename").string(name);
                    return;
                }
                _ => {}
            }
            if let Some(title) = &document.title {
                file.key("filename").string(title);
            }
        }
        _ => {}
    }
}

pub(super) fn image(image: &Image<'_>, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("url").string(&url(&image.source));
    if let Some(detail) = &image.detail {
        object.key("detail").string(&detail.value);
    }
}

/// An address; of bytes, a `data:` URL.
fn url<'s>(source: &'s MediaSource<'_>) -> Cow<'s, str> {
    match source {
        MediaSource::Url { url, .. } => Cow::Borrowed(url),
        MediaSource::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
        MediaSource::File { id } => Cow::Borrowed(id),
    }
}
