//! Images and documents, written as content blocks.
//! <https://docs.anthropic.com/en/docs/build-with-claude/pdf-support>

use std::borrow::Cow;

use weighbridge_protocol::json::Object;
use weighbridge_units::LossKind;

use super::blocks_encode::{Blocks, Lost, Where};
use crate::conversation::{Document, DocumentSource, Image, MediaSource, base64};
use crate::{Content, Losses, Part};

/// The formats of images that are taken.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

const PDF: &str = "application/pdf";

pub(super) fn lost_image(image: &Image<'_>, addresses: bool, same: bool) -> Option<Lost> {
    match &image.source {
        MediaSource::Base64 { media_type, .. } if !same && !IMAGES.contains(&media_type.as_ref()) => {
            because("images of this format are not taken", "such formats of images")
        }
        source => lost_source(source, addresses, same),
    }
}

pub(super) fn lost_document(document: &Document<'_>, addresses: bool, same: bool) -> Option<Lost> {
    match &document.source {
        DocumentSource::Text(_) | DocumentSource::Parts(_) => None,
        DocumentSource::Media(source @ MediaSource::Base64 { media_type, .. }) if !same => {
            let is_taken = media_type == PDF || text_of(source).is_some();
            (!is_taken).then_some(Lost::Because {
                reason: "documents of this format are not taken",
                needed: "such formats of documents",
            })
        }
        DocumentSource::Media(source) => lost_source(source, addresses, same),
    }
}

fn lost_source(source: &MediaSource<'_>, addresses: bool, same: bool) -> Option<Lost> {
    match source {
        _ if same => None,
        MediaSource::Base64 { .. } => None,
        MediaSource::Url { url, .. } if url.starts_with("data:") => because(
            "a `data:` URL is taken only in base64 and with a media type",
            "images in other `data:` URLs",
        ),
        MediaSource::Url { url, .. } if !url.starts_with("https:") => {
            because("only addresses of `https:` are opened", "other addresses")
        }
        MediaSource::Url { .. } if !addresses => because("addresses are not opened", "content by address"),
        MediaSource::Url { .. } => None,
        MediaSource::File { .. } => {
            because("a file of another provider cannot be reached", "files of other providers")
        }
    }
}

const fn because(reason: &'static str, needed: &'static str) -> Option<Lost> {
    Some(Lost::Because { reason, needed })
}

pub(super) fn image<'a>(image: &Image<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    object.key("type").string("image");
    source(&image.source, object);
    if let Some(detail) = image.detail.as_ref().filter(|detail| detail.value != "auto") {
        losses.dropped(detail.place, "how closely an image is looked at cannot be said", "a level of detail");
    }
}

fn source(media: &MediaSource<'_>, object: &mut Object<'_>) {
    let mut source = object.key("source").object();
    match media {
        MediaSource::Base64 { media_type, data } => {
            source.key("type").string("base64");
            source.key("media_type").string(media_type);
            source.key("data").string(data);
        }
        MediaSource::Url { url, .. } => {
            source.key("type").string("url");
            source.key("url").string(url);
        }
        MediaSource::File { id } => {
            source.key("type").string("file");
            source.key("file_id").string(id);
        }
    }
}

/// The text of a document whose bytes are plain text: it is taken as a text only.
fn text_of(source: &MediaSource<'_>) -> Option<String> {
    let MediaSource::Base64 { media_type, data } = source else { return None };
    if !media_type.starts_with("text/") && media_type != "application/json" {
        return None;
    }
    String::from_utf8(base64::decode(data)?).ok()
}

impl Blocks {
    pub(super) fn document<'a>(
        &mut self,
        document: &Document<'a>,
        object: &mut Object<'_>,
        losses: &mut Losses<'a>,
    ) {
        object.key("type").string("document");
        match &document.source {
            DocumentSource::Text(text) => plain(text, object),
            DocumentSource::Parts(parts) => {
                let kept = self.parts_of(parts, losses);
                let mut source = object.key("source").object();
                source.key("type").string("content");
                self.content(&kept, source.key("content"), losses);
            }
            DocumentSource::Media(media) => match text_of(media).filter(|_| !losses.is_same_protocol()) {
                Some(text) => plain(&text, object),
                None => source(media, object),
            },
        }
        if let Some(title) = &document.title {
            object.key("title").string(title);
        }
        if let Some(context) = &document.context {
            object.key("context").string(&context.value);
        }
        if let Some(citations) = &document.citations {
            object.key("citations").object().key("enabled").bool(citations.value);
        }
    }

    /// A document consists of texts and images.
    fn parts_of<'p, 'a: 'p>(&self, parts: &'p [Part<'a>], losses: &mut Losses<'a>) -> Vec<&'p Part<'a>> {
        debug_assert!(self.place != Where::Answer, "an answer has no documents");
        let mut kept = self.expressible(parts, losses);
        kept.retain(|part| {
            let fits = matches!(part.content, Content::Text(_) | Content::Image(_) | Content::Json(_))
                || losses.is_same_protocol();
            if !fits {
                losses.report(
                    part.place,
                    LossKind::Dropped,
                    "a document consists of texts and images",
                    "such parts of a document",
                );
            }
            fits
        });
        kept
    }
}

fn plain(text: &str, object: &mut Object<'_>) {
    let mut source = object.key("source").object();
    source.key("type").string("text");
    source.key("media_type").string("text/plain");
    source.key("data").string(&Cow::Borrowed(text));
}
