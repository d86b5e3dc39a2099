//! Images, sounds, films and documents, written as `inlineData` and `fileData`.
//!
//! Google fetches `https:` addresses itself, and `gs:` addresses where it may read them:
//! <https://ai.google.dev/gemini-api/docs/file-input-methods>.

use weighbridge_protocol::json::Object;
use weighbridge_units::LossKind;

use super::base64;
use super::content_encode::is_reachable;
use super::nested::Leftovers;
use crate::conversation::{Document, DocumentSource, Image, MediaSource, media_type_of};
use crate::{Content, Losses, Part};

/// Why a medium cannot be written.
pub(super) fn why_not(content: &Content<'_>, losses: &Losses<'_>) -> Result<(), &'static str> {
    let source = match content {
        Content::Image(image) => &image.source,
        Content::Audio(audio) => &audio.source,
        Content::Video(video) => &video.source,
        Content::Document(document) => match &document.source {
            DocumentSource::Media(source) => source,
            DocumentSource::Text(_) | DocumentSource::Parts(_) => return Ok(()),
        },
        _ => return Err("it cannot stand here"),
    };
    match source {
        source if is_reachable(source, losses) => Ok(()),
        MediaSource::Base64 { .. } => Err("it has no bytes"),
        MediaSource::Url { .. } => Err("a `data:` URL is taken only in base64 and with a media type"),
        MediaSource::File { .. } => Err("the file lies in another provider's store"),
    }
}

/// The media types of images and sounds where nobody says one.
pub(super) const USUAL_IMAGE: &str = "image/jpeg";
pub(super) const USUAL_AUDIO: &str = "audio/wav";

/// Writes a medium that can be written; what cannot be said about it is reported.
pub(super) fn write<'a>(
    part: &Part<'a>,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let mut medium = Medium { part, left, object, losses };
    match &part.content {
        Content::Image(image) => medium.image(image),
        Content::Audio(audio) => {
            if let Some(transcript) = &audio.transcript
                && !transcript.is_empty()
            {
                medium.lost("the words of a sound cannot stand beside it", "transcripts of sounds");
            }
            medium.source(&audio.source, None, Some(USUAL_AUDIO));
        }
        Content::Video(video) => medium.source(&video.source, None, Some("video/mp4")),
        Content::Document(document) => medium.document(document),
        _ => {}
    }
}

struct Medium<'m, 'o, 'a> {
    part: &'m Part<'a>,
    left: &'m Leftovers<'m, 'a>,
    object: &'m mut Object<'o>,
    losses: &'m mut Losses<'a>,
}

impl<'a> Medium<'_, '_, 'a> {
    fn lost(&mut self, reason: &'static str, needed: &'static str) {
        self.losses.dropped(self.part.place, reason, needed);
    }

    fn image(&mut self, image: &Image<'a>) {
        if let Some(detail) = image.detail.as_ref().filter(|detail| detail.value != "auto") {
            self.losses.dropped(
                detail.place,
                "how closely an image is looked at is said for all images at once",
                "a level of detail for each image",
            );
        }
        self.source(&image.source, None, Some(USUAL_IMAGE));
    }

    fn document(&mut self, document: &Document<'a>) {
        if let Some(context) = &document.context {
            self.losses.dropped(context.place, "a document has no context here", "a context of documents");
        }
        if let Some(citations) = document.citations.filter(|citations| citations.value) {
            self.losses.dropped(citations.place, "documents of a request are not cited", "citations");
        }
        let title = document.title.as_deref();
        match &document.source {
            DocumentSource::Media(source) => self.source(source, title, None),
            DocumentSource::Text(text) => self.inline("text/plain", &base64::encode(text.as_bytes()), title),
            DocumentSource::Parts(parts) => {
                self.losses.report(
                    self.part.place,
                    LossKind::Approximated,
                    "a document in pieces stands as one text",
                    "documents in pieces",
                );
                let texts = parts.iter().filter_map(|part| match &part.content {
                    Content::Text(text) => Some(text.text.as_ref()),
                    _ => None,
                });
                let text = texts.collect::<Vec<_>>().join("\n\n");
                self.inline("text/plain", &base64::encode(text.as_bytes()), title);
            }
        }
    }

    /// `usual` is the kind of file that is meant where nobody says it; documents may do without.
    fn source(&mut self, source: &MediaSource<'a>, title: Option<&str>, usual: Option<&'static str>) {
        match source {
            MediaSource::Base64 { media_type, data } if media_type.is_empty() => {
                let media_type = self.assumed(usual.unwrap_or("application/pdf"));
                self.inline(media_type, data, title);
            }
            MediaSource::Base64 { media_type, data } => self.inline(media_type, data, title),
            MediaSource::Url { url, media_type } => {
                let told = media_type.as_deref().or_else(|| type_of_name(url, usual));
                let media_type = match (told, usual) {
                    (Some(told), _) => Some(told),
                    (None, Some(usual)) if !is_film(url) => Some(self.assumed(usual)),
                    (None, _) => None,
                };
                self.file(url, media_type, title);
            }
            MediaSource::File { id } => {
                // What is known of a file that was read stands in the bag.
                let is_told = self.left.get(Some("fileData"), "mimeType").is_some();
                let media_type = usual.filter(|_| !is_told).map(|usual| self.assumed(usual));
                self.file(id, media_type, title);
            }
        }
    }

    fn assumed(&mut self, usual: &'static str) -> &'static str {
        self.losses.report(
            self.part.place,
            LossKind::Defaulted,
            format!("nobody says what kind of file it is: `{usual}` is assumed"),
            "files without a media type",
        );
        usual
    }

    fn inline(&mut self, media_type: &str, data: &str, title: Option<&str>) {
        let mut inner = self.object.key("inlineData").object();
        inner.key("mimeType").string(media_type);
        inner.key("data").string(data);
        if let Some(title) = title {
            inner.key("displayName").string(title);
        }
        self.left.write_inside("inlineData", &mut inner);
    }

    fn file(&mut self, uri: &str, media_type: Option<&str>, title: Option<&str>) {
        let mut inner = self.object.key("fileData").object();
        if let Some(media_type) = media_type {
            inner.key("mimeType").string(media_type);
        }
        inner.key("fileUri").string(uri);
        if let Some(title) = title {
            inner.key("displayName").string(title);
        }
        self.left.write_inside("fileData", &mut inner);
    }
}

/// The media type that the name of a file tells, if it is of the same kind as the usual one.
pub(super) fn type_of_name(url: &str, usual: Option<&str>) -> Option<&'static str> {
    let kind = |media_type: &str| media_type.split('/').next().map(str::to_owned);
    let media_type = media_type_of(&extension(url)?.to_ascii_lowercase())?;
    usual.is_none_or(|usual| kind(usual) == kind(media_type)).then_some(media_type)
}

/// Whether an address is that of a film which Google has itself, and needs no media type.
pub(super) fn is_film(url: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|host| url.starts_with(host))
}

/// The ending of the file's name in an address.
fn extension(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, ending)| ending)
}
